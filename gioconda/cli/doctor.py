"""``plugins``, ``doctor``, ``config`` and ``explain``: what is installed, what is wrong, where a setting comes from, what a code means."""

from __future__ import annotations

from typing import Annotated

import typer

from gioconda.cli.common import JsonFlag, emit

__all__ = ["config", "doctor", "explain", "plugins"]


def plugins(json: JsonFlag = False) -> None:
    """Everything installed at the five seams, without importing any of it.

    Example: gioconda plugins
    """
    import dataclasses
    from json import dumps

    from gioconda_core.plugins import GROUPS, available

    found = [plugin for group in GROUPS for plugin in available(group)]
    if json:
        emit(dumps({"schema": "gioconda.plugins/1", "plugins": [dataclasses.asdict(p) for p in found]}))
        return
    for group in GROUPS:
        emit(group.split(".")[-1])
        for plugin in found:
            if plugin.group == group:
                emit(f"  {plugin.name:18} {plugin.target:42} {plugin.distribution} {plugin.version}")


def config(
    section: Annotated[str | None, typer.Argument(help="One section; default: all.")] = None, json: JsonFlag = False
) -> None:
    """Every setting, its value, and where it comes from: a GIOCONDA_ variable, a gioconda.toml, or the default.

    Example: gioconda config core
    """
    from json import dumps

    from gioconda_core import config as c

    document = {}
    for name in [section] if section else list(c.SECTIONS):
        resolved = c.resolve(c.section(name), name)
        values = c.as_json(resolved.value)
        document[name] = {key: {"value": values[key], "origin": resolved.origins[key]} for key in values}
    if json:
        emit(dumps({"schema": "gioconda.config/1", "file": str(c.nearest_toml() or ""), "sections": document}))
        return
    emit(f"gioconda.toml: {c.nearest_toml() or 'none found from here upwards'}")
    for name, keys in document.items():
        emit(f"[{name}]")
        for key, entry in keys.items():
            emit(f"  {key} = {entry['value']!r}   ({entry['origin']})")


def doctor(json: JsonFlag = False) -> None:
    """Check this installation: versions, name clashes, landmarker, weights, detectors against golden scores, keys. Exit 4 if something is wrong.

    Example: gioconda doctor
    """
    import dataclasses
    from json import dumps

    from gioconda.doctor import checks
    from gioconda_core.errors import ExitCode

    found = list(checks())
    if json:
        emit(dumps({"schema": "gioconda.doctor/1", "checks": [dataclasses.asdict(check) for check in found]}))
    else:
        for check in found:
            emit(f"{check.state:5} {check.name:24} {check.detail}")
    if any(check.state == "wrong" for check in found):
        raise typer.Exit(ExitCode.INCOMPLETE)


def explain(
    code: Annotated[str, typer.Argument(help="A status code, an exit code, a level, or `exit-codes`.")],
) -> None:
    """A plain sentence for a Content Credentials status code, an exit code or a level of a report.

    Example: gioconda explain signingCredential.untrusted
    """
    from gioconda_core.errors import ExitCode, UsageError

    if code == "exit-codes":
        for exit_code in ExitCode:
            emit(f"{int(exit_code):4}  {exit_code.meaning}")
        return
    if code.isdigit() and int(code) in {int(exit_code) for exit_code in ExitCode}:
        emit(f"exit code {code}: {ExitCode(int(code)).meaning}")
        return
    from gioconda.doctor import LEVELS, STATES
    from gioconda_core.types import Level, ProvenanceState

    if code in set(Level):
        emit(LEVELS[Level(code)])
        return
    if code in set(ProvenanceState):
        emit(STATES[ProvenanceState(code)])
        return
    from provenance.codes import explain as sentence

    found = sentence(code)
    if found is None:
        raise UsageError(
            f"no code {code!r} is known", hint="codes are case-sensitive, e.g. assertion.dataHash.mismatch"
        )
    emit(f"{code}: {found}")
