"""Words that every package's texts share, and tables of sentences."""

import functools
import tomllib
from collections.abc import Iterable
from importlib import resources

COMMA = ("es", "fr", "de")  # languages that write 0,5


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: ``1 file``, ``1,200 files``.

    plural : where it is not the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def whole(number: int, lang: str) -> str:
    """A whole number as a language groups its figures: 1,200; with a space where a comma is a decimal sign."""
    return f"{number:,}".replace(",", "\u202f" if lang in COMMA else ",")


def colon(lang: str) -> str:
    """What stands between a name and its value in a language."""
    return {"ja": "：", "fr": " : "}.get(lang, ": ")


def joined(texts: Iterable[str], lang: str, between: str = ", ") -> str:
    """A list of texts, with what stands between them in a language."""
    return ("、" if lang == "ja" else between).join(texts)


def running(sentences: Iterable[str], lang: str) -> str:
    """Sentences one after another, with what stands between them in a language."""
    return ("" if lang == "ja" else " ").join(sentences)


@functools.cache
def sentences(package: str, file: str, lang: str) -> dict[str, str]:
    """Code → sentence in a language, of a table that a package carries: TOML, a table a code with a text a language (``en``, ``ja``…)."""
    table = tomllib.loads((resources.files(package) / file).read_text("utf-8"))
    return {code: texts[lang] for code, texts in table.items() if lang in texts}
