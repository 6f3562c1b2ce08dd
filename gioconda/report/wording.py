"""Templates to sentences, in each of ``LANGUAGES``: every word a report says is in ``words.toml`` and passes here.

Arguments are formatted by kind (``{rate:percent}``, ``{score:score}``, ``{face_px:whole}``) and made safe to show;
they are never parsed as templates themselves.
"""

import datetime
import os
import re
import string
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from gioconda_core import reasons
from gioconda_core.errors import UsageError
from gioconda_core.files import read_toml
from gioconda_core.types import Sentence
from gioconda_core.words import COMMA, joined
from provenance import codes

# What each language calls itself.
NAMES = {"en": "English", "ja": "日本語", "es": "Español", "fr": "Français", "de": "Deutsch"}
LANGUAGES = tuple(NAMES)


@dataclass(frozen=True)
class Template:
    """One thing that can be said. kind : what the wording rules look at (``score``, ``low``, ``caveat``…)."""

    key: str
    kind: str
    texts: Mapping[str, str]

    def fields(self, lang: str) -> set[str]:
        """Names of the arguments the template takes."""
        return {name for _, name, _, _ in string.Formatter().parse(self.texts[lang]) if name}


@cache
def templates() -> Mapping[str, Template]:
    """Every template by key, from ``words.toml``, ``labels.toml`` (kind ``label``) and ``commands.toml`` (kind ``command``)."""
    found = {}
    for name, kind in (("words", ""), ("labels", "label"), ("commands", "command")):
        text = (resources.files("gioconda.report") / f"{name}.toml").read_text("utf-8")
        for key, entry in tomllib.loads(text).items():
            whole = f"{kind}.{key}" if kind else key
            # English where a sentence was not translated yet, which a test would not let pass.
            texts = {lang: entry.get(lang, entry["en"]) for lang in LANGUAGES}
            found[whole] = Template(whole, kind or entry["kind"], texts)
    return found


def language(wanted: str | None = None, environment: Mapping[str, str] | None = None) -> str:
    """The language asked for, else the locale's (LC_ALL, LC_MESSAGES, LANG), else English.

    Raises UsageError for a language that is not spoken here.
    """
    if wanted:
        short = wanted.split("_")[0].split("-")[0].lower()
        if short not in LANGUAGES:
            raise UsageError(f"no sentences in {wanted!r}", where="--lang", hint=f"one of {', '.join(LANGUAGES)}")
        return short
    env = os.environ if environment is None else environment
    locale = next((env[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if env.get(name)), "")
    return language_of(locale)


def language_of(tag: str) -> str:
    """The language of a locale or a browser's tag (``ja_JP.UTF-8``, ``es-MX``), English where it is not spoken here."""
    short = re.split("[-_.;@]", tag.lower())[0]
    return short if short in LANGUAGES else "en"


@cache
def _phrases(lang: str) -> Sequence[tuple[re.Pattern[str], str]]:
    text = (resources.files("gioconda.report") / "phrases.toml").read_text("utf-8")
    return [(re.compile(pattern), said) for pattern, said in tomllib.loads(text).get(lang, ())]


def phrase(text: str, lang: str) -> str:
    """A detector's reason in a language, where it is a known one; else as it was given."""
    for pattern, said in _phrases(lang):
        found = pattern.fullmatch(text)
        if found:
            for i, group in enumerate(found.groups(), 1):
                said = said.replace(f"{{{i}}}", phrase(group or "", lang))
            return said
    return text


def problem(text: str, lang: str) -> str:
    """An error or warning, ``what (hint)``, in a language: each half by itself, since either may be known and may hold brackets itself."""
    halves = [(text[: at.start()], text[at.end() : -1]) for at in re.finditer(r" \(", text) if text.endswith(")")]
    said = [(phrase(what, lang), phrase(hint, lang)) for what, hint in halves]
    known = [sum(a != b for a, b in zip(*pair, strict=True)) for pair in zip(halves, said, strict=True)]
    if any(known):
        what, hint = said[max(range(len(known)), key=lambda i: (known[i], i))]
        text = f"{what}（{hint}）" if lang == "ja" else f"{what} ({hint})"
    else:
        text = phrase(text, lang)
    return _SECONDS.sub(r"\1,\2", text) if lang in COMMA else text


def reason_text(reason: Mapping[str, Any], lang: str) -> str:
    """What the document of a reason (``code``, ``detail``) says in a language; a stranger's own words stay as they are."""
    return reasons.said(reason["code"], reason["detail"], lang, lambda text: problem(text, lang))


@cache
def _fields() -> Mapping[str, Mapping[str, str]]:
    words: Mapping[str, Mapping[str, str]] = read_toml(Path(__file__).with_name("fields.toml"))["words"]
    return words


def field_name(name: str, lang: str) -> str:
    """What a field of metadata is called in a language, where its name is a word of ours; a standard's or a file's own as it stands."""
    return _fields().get(name, {}).get(lang) or visible(name, 80)


def code_sentence(code: str, given: str, lang: str) -> str:
    """What a status code of Content Credentials says in a language; ``given`` (English) where there is no sentence of ours."""
    return codes.sentences(lang).get(code, given) if lang != "en" else given


def visible(text: object, limit: int = 300) -> str:
    """A stranger's string made safe to show: control characters, terminal escapes and bidi overrides become visible escapes.

    Manifest titles, issuers, tags and file names are whatever their author liked; so are detectors' messages.
    """
    raw = str(text)
    cut = raw[:limit]
    shown = cut
    if not cut.isprintable():
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in cut)
    return shown + "…" if len(raw) > limit else shown


# Quotation marks of the templates → those of a quotation in one.
_INNER = str.maketrans("“”„«»「」", "‘’‚‹›『』")


def quoted(text: object) -> str:
    """A stranger's string as it stands between quotation marks: it cannot end the quotation and go on as our sentence."""
    return visible(text).translate(_INNER)


def number(value: float, lang: str = "en") -> str:
    """A measured number to three significant figures, never in exponent form: 0.0342 → 0.034, 1920 → 1920; with a language's decimal sign."""
    if isinstance(value, int) or float(value).is_integer():
        return str(int(value))
    if abs(value) >= 100:
        return f"{value:.0f}"
    text = f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.4f}"
    return text.replace(".", ",") if lang in COMMA else text


def clock(seconds: float, lang: str = "en") -> str:
    """A time as people read it: 8.4 → 8.4 s, 600 → 10:00, 7200 → 2:00:00."""
    if seconds < 60:
        return f"{number(round(seconds, 1) or round(seconds, 3), lang)} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def percent(value: float) -> str:
    """A share as a percentage: 0.0042 → 0.42 %, 0.05 → 5 %, 0.00004 → under 0.01 %."""
    p = 100 * value
    if 0 < p < 0.01:
        return "< 0.01 %"
    if p < 1:
        text = f"{p:.2f}"
    elif p < 99.95:
        text = f"{p:.1f}"
    else:
        text = "100" if p >= 100 else "99.9"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + " %"


def local(text: str, lang: str) -> str:
    """A moment in UTC with the time of where the language is spoken beside it, where that is one zone: JST for Japanese."""
    found = _MOMENT.fullmatch(text) if lang == "ja" else None
    if not found:
        return text
    there = datetime.datetime.fromisoformat(f"{found[1]}T{found[2]}") + datetime.timedelta(hours=9)
    return f"{text}（日本時間 {there:%Y-%m-%d %H:%M}）"


_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d) UTC")
_KINDS: Mapping[str, Callable[[float], str]] = {"percent": percent, "score": "{:.3f}".format}
_APART: Mapping[str, Callable[[float], str]] = {"number": number, "whole": "{:.0f}".format}
_SECONDS = re.compile(r"(\d)\.(\d+ s\b)")  # within a longer text
_SPAN = re.compile(r"[\d.]+ s( – [\d.]+ s)?")
_NUMBER = re.compile(r"<? ?-?\d+\.\d+( s| %)?( – [\d.]+ s)?")


def _apart(value: float, others: Sequence[float], show: Callable[[float], str]) -> str:
    """A number as ``show`` writes it, with more figures where it would read like another one of its sentence that it is not: a threshold, an end."""
    text = show(value)
    alike = [other for other in others if other != value and show(other) == text]
    for figures in range(4, 8):
        if not alike:
            break
        text = f"{value:.{figures}g}"
        alike = [other for other in alike if f"{other:.{figures}g}" == text]
    return text


class _Formatter(string.Formatter):
    def __init__(self, lang: str, numbers: Sequence[float] = ()) -> None:
        self.lang, self.numbers = lang, numbers

    def format_field(self, value: Any, spec: str) -> str:
        if spec in _APART:
            return self._decimal(_apart(float(value), self.numbers, _APART[spec]))
        if spec in _KINDS:
            return self._decimal(_KINDS[spec](float(value)))
        if isinstance(value, Mapping) and "named" in value:
            return detector_name(str(value["named"]), self.lang)
        if isinstance(value, Mapping) and "key" in value:
            return say(Sentence(value["key"], value.get("args", {})), self.lang)
        if isinstance(value, Mapping) and "field" in value:
            return f"{field_name(value['field'], self.lang)} {quoted(value['text'])}"
        if isinstance(value, Mapping) and "detail" in value:
            return visible(reason_text(value, self.lang))
        if isinstance(value, Mapping) and "code" in value:
            return visible(code_sentence(value["code"], value["sentence"], self.lang)).rstrip(".。")
        if isinstance(value, Sequence) and not isinstance(value, str):
            between = "; " if value and isinstance(value[0], Mapping) else ", "
            each = (self.format_field(v, "") if isinstance(v, Mapping) else self._decimal(quoted(v)) for v in value)
            return joined(each, self.lang, between)
        if isinstance(value, str):
            return self._decimal(quoted(phrase(value, self.lang)))
        return self._decimal(number(value)) if isinstance(value, float) else visible(value)

    def _decimal(self, text: str) -> str:
        """A number, with or without its unit, with the decimal sign of the language; a time of day also in local time; else as it is."""
        if self.lang == "ja" and _SPAN.fullmatch(text):
            return text.replace(" s", " 秒")
        return text.replace(".", ",") if self.lang in COMMA and _NUMBER.fullmatch(text) else local(text, self.lang)

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return kwargs[key]  # type: ignore[index]

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return kwargs[field_name], field_name  # plain names only: no attribute or index reaches into an argument


def detector_name(detector: str, lang: str) -> str:
    """A detector by what it looks at, where we know it, with its name; else by its name."""
    key = f"label.looks-at-{detector}"
    shown = visible(detector, 80)
    return f"{say(Sentence(key), lang)} ({shown})" if key in templates() else shown


def say(sentence: Sentence, lang: str = "en") -> str:
    """The sentence in a language.

    Raises KeyError when the key is unknown or an argument is missing: a report must not say half a sentence.
    """
    template = templates()[sentence.key]
    numbers = [v for name, v in sentence.args.items() if isinstance(v, float) or name == "threshold"]
    return _Formatter(lang, numbers).vformat(template.texts[lang], (), sentence.args)


def when(holds: object, key: str, **args: Any) -> list[Sentence]:
    """A sentence where something holds, else none: for lists of what is said."""
    return [Sentence(key, args)] if holds else []


def label(key: str, lang: str = "en", **values: Any) -> str:
    """A heading, field name or notice of the interface."""
    return say(Sentence(f"label.{key}", values), lang)
