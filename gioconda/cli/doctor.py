"""``plugins``, ``doctor``, ``config`` and ``explain``: what is installed, what is wrong, where a setting comes from, what a code means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gioconda.cli.build import built
from gioconda.cli.common import JsonFlag, emit, told
from gioconda.doctor import LEVELS, STATES
from gioconda.report.options import Lang
from gioconda.report.view import state_key
from gioconda.report.wording import code_sentence, say, templates
from gioconda_core import config as c
from gioconda_core.documents import to_json
from gioconda_core.errors import ExitCode, UsageError
from gioconda_core.options import argument
from gioconda_core.plugins import GROUPS, available
from gioconda_core.types import CredentialReason, Level, ProvenanceState, Sentence
from provenance import codes
from provenance.reading.describe import REASONS

if TYPE_CHECKING:
    from gioconda.doctor import Check
    from gioconda_core.plugins import Plugin


@dataclass(frozen=True)
class Plugins:
    """What ``plugins`` prints."""

    plugins: list[Plugin]
    schema: str = "gioconda.plugins/1"


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


@dataclass(frozen=True)
class Checks:
    """What ``doctor`` prints."""

    checks: list[Check]
    schema: str = "gioconda.doctor/1"


@built
def plugins(json: JsonFlag = False) -> None:
    """Detectors, generators, data-set layouts, signers and landmarkers that are installed, without importing any of them.

    Example: gioconda plugins
    """
    found = [plugin for group in GROUPS for plugin in available(group)]
    if json:
        emit(to_json(Plugins(found), indent=1))
        return
    for group in GROUPS:
        emit(group.split(".")[-1])
        for plugin in found:
            if plugin.group == group:
                emit(f"  {plugin.name:18} {plugin.target:42} {plugin.distribution} {plugin.version}")


@built
def config(
    section: Annotated[str | None, argument("One section; default: all.")] = None, json: JsonFlag = False
) -> None:
    """Every setting, its value, and where it comes from: a GIOCONDA_ variable, a gioconda.toml, or the default.

    Example: gioconda config core
    """
    document: dict[str, dict[str, Setting]] = {}
    for name in [section] if section else list(c.SECTIONS):
        resolved = c.resolve(c.section(name), name)
        values = c.as_json(resolved.value)
        document[name] = {key: Setting(values[key], resolved.origins[key]) for key in values}
    if json:
        emit(to_json(Config(c.nearest_toml(), document), indent=1))
        return
    emit(f"gioconda.toml: {c.nearest_toml() or 'none found from here upwards'}")
    for name, keys in document.items():
        emit(f"[{name}]")
        for key, entry in keys.items():
            emit(f"  {key} = {entry.value!r}   ({entry.origin})")


@built
def doctor(json: JsonFlag = False) -> None:
    """Check this installation: versions, name clashes, landmarker, weights, detectors against golden scores, keys. Exit 4 if something is wrong.

    Example: gioconda doctor
    """
    from gioconda.doctor import checks

    found = list(checks())
    if json:
        emit(to_json(Checks(found), indent=1))
    else:
        for check in found:
            emit(f"{check.state:5} {check.name:24} {check.detail}")
    if any(check.state == "wrong" for check in found):
        raise typer.Exit(ExitCode.INCOMPLETE)


@built
def explain(
    code: Annotated[
        str,
        argument(
            "A status code, a reason or state of credentials, an exit code, a level, a report's word, or `exit-codes`."
        ),
    ],
    lang: Lang = "",
) -> None:
    """A plain sentence for a Content Credentials status code, reason or state, an exit code, a level or a word of a report.

    Words: ensemble, contrast, false alarm, raw score, calibration, unseen methods.

    Example: gioconda explain signingCredential.untrusted
    """
    if code == "exit-codes":
        for exit_code in ExitCode:
            emit(f"{int(exit_code):4}  {told(f'exit-{int(exit_code)}', lang)}")
        return
    if code.isdigit() and int(code) in {int(exit_code) for exit_code in ExitCode}:
        emit(f"{code}: {told(f'exit-{code}', lang)}")
        return

    if code in set(Level):
        emit(LEVELS[Level(code)] if lang == "en" else say(Sentence(f"level.{code}"), lang))
        return
    if code in set(ProvenanceState):
        emit(STATES[ProvenanceState(code)] if lang == "en" else say(Sentence(f"state.{code}"), lang))
        return
    if code in set(CredentialReason):
        reason = CredentialReason(code)
        key = state_key(ProvenanceState.INVALID, reason)
        other = (
            code_sentence("gioconda.identity.failed", "", lang) if key == "state.invalid" else say(Sentence(key), lang)
        )
        emit(REASONS[reason] if lang == "en" else other)
        return
    term = f"term.{'-'.join(code.lower().split())}"
    if term in templates():
        emit(f"{code}: {say(Sentence(term), lang)}")
        return

    found = codes.sentences().get(code)
    if found is None:
        raise UsageError(
            f"no code {code!r} is known", hint="codes are case-sensitive, e.g. assertion.dataHash.mismatch"
        )
    emit(f"{code}: {code_sentence(code, found, lang)}")
