"""``gioconda synth consent``: who allowed what, and the log of what was made with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gioconda.cli.common import (
    Force,
    JsonFlag,
    emit,
)

__all__ = ["consent_app", "consent_check", "consent_log", "consent_new"]

consent_app = typer.Typer(
    no_args_is_help=True,
    help="Consent files, and the log of what was made.",
    epilog="Example: gioconda synth consent log",
)


@consent_app.command("new")
def consent_new(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    who: Annotated[str, typer.Option(help="Whose face.")],
    scope: Annotated[list[str], typer.Option(help="reenact, fakes, evaluate, tune or any; repeatable.")],
    licence: Annotated[str, typer.Option(help="Under which the result may be used.")],
    source: Annotated[list[Path] | None, typer.Option(help="Only these source files; repeatable.")] = None,
    force: Force = False,
) -> None:
    """Write a consent file for one person, with the hashes of the files it is for.

    Example: gioconda synth consent new lisa.toml --who "Lisa G." --scope reenact --licence CC-BY-4.0 --source lisa.jpg
    """
    from gioconda_core.errors import UsageError
    from gioconda_core.files import refuse_overwrite
    from synth import consent

    if bad := [s for s in scope if s not in consent.SCOPES]:
        raise UsageError(f"unknown scope {bad[0]!r}", hint=", ".join(consent.SCOPES))
    for option, value in {"--who": who, "--licence": licence}.items():
        if not value.strip():
            raise UsageError("is empty", where=option, hint="gioconda synth consent new --help")
    refuse_overwrite(file, force)
    consent.template(file, who, scope, licence, [str(s) for s in source or []])
    emit(f"{file}: consent {consent.read(file).id}")


@consent_app.command("check")
def consent_check(
    file: Annotated[str, typer.Argument(help="A consent file, embedded or public-domain.")],
    task: Annotated[str, typer.Option(help="reenact, fakes, evaluate or tune.")] = "reenact",
    source: Annotated[list[Path] | None, typer.Option(help="Files it must cover; repeatable.")] = None,
) -> None:
    """Say what a consent file allows today, for a task and files.

    Example: gioconda synth consent check lisa.toml --task reenact --source lisa.jpg
    """
    from gioconda_core.errors import UsageError
    from gioconda_core.files import sha256_of
    from synth import consent

    if task not in consent.SCOPES or task == "any":
        raise UsageError(f"unknown task {task!r}", where="--task", hint="reenact, fakes, evaluate or tune")
    found = consent.require(file, task, [sha256_of(s) for s in source or []])
    people = "; ".join(f"{p.who}: {', '.join(p.scope)}, {p.licence}" for p in found.people) or found.licence
    emit(f"{file} allows {task}: {people}\nid {found.id}")


@consent_app.command("log")
def consent_log(json: JsonFlag = False) -> None:
    """Show what was made on this account, and whether rows of the log were changed or removed. Exit 4 if so.

    Example: gioconda synth consent log --json
    """
    from json import dumps

    from synth import consent

    rows, broken = consent.check_log()
    if json:
        emit(dumps({"schema": "gioconda.synth.log/1", "rows": rows, "broken": broken}, ensure_ascii=False))
    else:
        for number, row in enumerate(rows):
            flag = "  <- does not follow the row before it" if number in broken else ""
            emit(
                f"{row['time']} {row['task']} by {row['generator']}: {len(row['outputs'])} files, consent {row['consent'][:16]}{flag}"
            )
        emit(f"{len(rows)} rows, {len(broken)} that do not follow the one before")
    if broken:
        raise typer.Exit(4)
