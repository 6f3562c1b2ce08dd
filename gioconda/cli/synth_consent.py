"""``gioconda synth consent``: who allowed what, and the log of what was made with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from gioconda.cli.build import Commands
from gioconda.cli.common import Force, Printed, Result, emit, incomplete
from gioconda_core.files import refuse_overwrite, sha256_of
from gioconda_core.options import Option, argument, filled
from gioconda_core.words import counted
from synth import consent
from synth.consent import SCOPES

consent_app = Commands("gioconda synth consent log")


@consent_app.command("new")
def consent_new(
    file: Annotated[Path, argument("The file to write.")],
    who: Annotated[str, Option("Whose face.", valid=filled)],
    scope: Annotated[
        list[str], Option("reenact, fakes, evaluate, tune or any; repeatable.", choices=SCOPES, repeat=True)
    ],
    licence: Annotated[str, Option("Under which the result may be used.", valid=filled)],
    source: Annotated[list[Path] | None, Option("Only these source files; repeatable.", repeat=True)] = None,
    force: Force = False,
) -> None:
    """Write a consent file for one person, with the hashes of the files it is for.

    Example: gioconda synth consent new lisa.toml --who "Lisa G." --scope reenact --licence CC-BY-4.0 --source lisa.jpg
    """
    refuse_overwrite(file, force)
    consent.template(file, who, scope, licence, [str(s) for s in source or []])
    emit(f"{file}: consent {consent.read(file).id}")


@consent_app.command("check")
def consent_check(
    file: Annotated[str, argument("A consent file, embedded or public-domain.")],
    task: Annotated[
        str, Option("reenact, fakes, evaluate or tune.", choices=tuple(s for s in SCOPES if s != "any"))
    ] = "reenact",
    source: Annotated[list[Path] | None, Option("Files it must cover; repeatable.", repeat=True)] = None,
) -> None:
    """Say what a consent file allows today, for a task and files.

    Example: gioconda synth consent check lisa.toml --task reenact --source lisa.jpg
    """
    found = consent.require(file, task, [sha256_of(s) for s in source or []])
    people = "; ".join(f"{p.who}: {', '.join(p.scope)}, {p.licence}" for p in found.people) or found.licence
    emit(f"{file} allows {task}: {people}\nid {found.id}")


@consent_app.command("log", prints=Printed)
def consent_log() -> Result:
    """Show what was made on this account, and whether rows of the log were changed or removed. Exit 4 if so.

    Example: gioconda synth consent log --json
    """
    log = consent.check_log()
    lines = []
    for number, row in enumerate(log.rows):
        flag = "  <- does not follow the row before it" if number in log.broken else ""
        made = f"{len(row.outputs)} files, consent {row.consent[:16]}"
        lines.append(f"{row.time} {row.task} by {row.generator}: {made}{flag}")
    lines.append(f"{counted(len(log.rows), 'row')}, {len(log.broken)} that do not follow the one before")
    return Result(lines, log, incomplete(log.broken))
