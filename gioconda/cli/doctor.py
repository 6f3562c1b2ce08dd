"""``plugins``, ``doctor``, ``config`` and ``explain``: what is installed, what is wrong, where a setting comes from, what a code means."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from gioconda.cli.build import Rows, built
from gioconda.cli.common import JsonOption, Result, emit, incomplete, message, settings
from gioconda.doctor import LEVELS, Check, checks
from gioconda.report.options import Lang
from gioconda.report.wording import code_sentence, label, say, templates
from gioconda_core import config as c
from gioconda_core.documents import plain
from gioconda_core.errors import ExitCode, UsageError
from gioconda_core.options import argument
from gioconda_core.plugins import GROUPS, Plugin, available
from gioconda_core.types import CredentialReason, Level, ProvenanceState, Sentence
from provenance import codes
from provenance.reading import describe


@dataclass(frozen=True)
class Setting:
    """A setting's value, and where it comes from."""

    value: Any
    origin: str


@dataclass(frozen=True)
class Config:
    """What ``config`` prints. file : the nearest gioconda.toml."""

    file: Path | None
    sections: dict[str, dict[str, Setting]]
    schema: str = "gioconda.config/1"


@built("plugins", prints=JsonOption, rows=Rows("gioconda.plugins/1", "plugins", Plugin))
def plugins() -> Result:
    """List the detectors, generators, data-set layouts, signers and landmarkers that are installed, without importing any."""
    found = {group: available(group) for group in GROUPS}
    lines = []
    for group, own in found.items():
        lines.append(group.split(".")[-1])
        lines += [f"  {p.name:18} {p.target:42} {p.distribution} {p.version}" for p in own]
    return Result(lines, [plugin for own in found.values() for plugin in own])


@built("config", "core", prints=JsonOption)
def config(section: Annotated[str | None, argument("One section; default: all.")] = None) -> Result:
    """Show every setting, its value, and where it comes from: a GIOCONDA_ variable, a gioconda.toml, or the default."""
    if section not in (None, "core"):
        raise UsageError(f"no section {section!r}", hint="known: core")
    resolved = c.resolve()
    document = {"core": {k: Setting(v, resolved.origins[k]) for k, v in plain(resolved.value).items()}}
    lines = [f"gioconda.toml: {c.nearest_toml() or 'none found from here upwards'}"]
    for name, keys in document.items():
        lines += [f"[{name}]", *(f"  {key} = {entry.value!r}   ({entry.origin})" for key, entry in keys.items())]
    return Result(lines, Config(c.nearest_toml(), document))


@built("doctor", prints=JsonOption, rows=Rows("gioconda.doctor/1", "checks", Check))
def doctor() -> Result:
    """Check this installation: versions, name clashes, landmarker, weights, detectors against golden scores, keys. Exit 4 if something is wrong."""
    found = list(checks())
    lines = [f"{check.state:5} {check.name:24} {check.detail}" for check in found]
    return Result(lines, found, incomplete(any(check.state == "wrong" for check in found)))


@built("explain", "signingCredential.untrusted", speaks=Lang)
def explain(
    code: Annotated[
        str,
        argument(
            "A status code, a reason or state of credentials, an exit code, a level, a report's word, or `exit-codes`; all words when left out."
        ),
    ] = "",
) -> None:
    """Explain a Content Credentials status code, reason or state, an exit code, a level or a word of a report in a plain sentence."""
    if not code:
        terms = [key.removeprefix("term.") for key in templates() if key.startswith("term.")]
        known: dict[str, Iterable[object]] = {
            "words": terms,
            "levels": Level,
            "states": (*ProvenanceState, "not-read"),
            "reasons": CredentialReason,
            "exits": ExitCode,
        }
        told = ((message(f"explained-{kind}"), ", ".join(map(str, own))) for kind, own in known.items())
        return emit("\n".join(f"{kind}: {own}" for kind, own in told))
    sentence = _explained(code)
    if sentence is None:
        hint = "gioconda explain lists what is; status codes are case-sensitive, e.g. assertion.dataHash.mismatch"
        raise UsageError(f"no code {code!r} is known", hint=hint)
    emit(sentence)


def _explained(code: str) -> str | None:
    """What a code or word means; English has longer sentences here than in a report. None where it is not known."""
    lang, term = settings.lang, f"term.{'-'.join(code.lower().split())}"
    exits = {str(int(item)): message(f"exit-{int(item)}") for item in ExitCode}
    if code == "exit-codes":
        return "\n".join(f"{number:>4}  {text}" for number, text in exits.items())
    if code in set(Level):
        return LEVELS[Level(code)] if lang == "en" else say(Sentence(f"level.{code}"), lang)
    if code in set(ProvenanceState):
        return f"{code}: {describe.state(ProvenanceState(code), lang)}"
    if code == "not-read":  # of an audit's row
        return f"{code}: {label('no-state', lang)}"
    if code in set(CredentialReason):
        return describe.reason(CredentialReason(code), lang)
    if code in exits:
        return f"{code}: {exits[code]}"
    if term in templates():
        return f"{code}: {say(Sentence(term), lang)}"
    found = codes.sentences().get(code)
    return None if found is None else f"{code}: {code_sentence(code, found, lang)}"
