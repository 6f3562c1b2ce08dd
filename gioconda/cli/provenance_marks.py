"""``gioconda provenance mark|recover|labels|strip``: what a credential and a mark do for a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gioconda.cli.common import Force, JsonFlag, emit, notice, progress

__all__ = ["register"]


def mark(clip: Annotated[Path, typer.Argument(help="A clip or picture.")], json: JsonFlag = False) -> None:
    """Look for Gioconda's invisible mark. No mark found says nothing either way.

    Example: gioconda provenance mark clip.mp4
    """
    from json import dumps

    from gioconda_core.media.clip import Clip
    from provenance.watermark import mark as marks

    with Clip.open(clip, sandbox=True) as opened:
        frames, _ = opened.sample("even:32")
    found = marks.read(frames, crops=True)
    if json:
        emit(
            dumps(
                {
                    "schema": "gioconda.mark/1",
                    "algorithm": marks.ALGORITHM,
                    "value": found.value,
                    "errors": found.errors,
                    "kept": found.kept,
                }
            )
        )
    elif found.value is None:
        emit("no mark found; this says nothing either way")
    else:
        height, width = found.kept
        cut = (
            ""
            if found.kept == (1.0, 1.0)
            else f", in what is left of a picture: {height:.0%} of its height, {width:.0%} of its width"
        )
        emit(f"mark {found.value} found ({marks.ALGORITHM}, {found.errors:.0%} of coded bits corrected{cut})")


def recover(
    clip: Annotated[Path, typer.Argument(help="A clip whose credential was stripped.")],
    out: Annotated[Path, typer.Option("--out", help="Where the credential goes, as a .c2pa file.")],
    force: Force = False,
) -> None:
    """Find a stripped credential again by the mark in the pixels, in this computer's own repository. Exit 4 if there is none.

    Example: gioconda provenance recover copy.mp4 --out copy.history.c2pa
    """
    from gioconda_core.errors import ExitCode
    from gioconda_core.files import atomic_path, refuse_overwrite
    from gioconda_core.media.clip import Clip
    from provenance.watermark import mark as marks
    from provenance.watermark import repository

    refuse_overwrite(out, force)
    with Clip.open(clip, sandbox=True) as opened:
        frames, _ = opened.sample("even:32")
    value = marks.read(frames, crops=True).value
    found = repository.recover(value) if value else None
    if found is None:
        emit("no mark found" if value is None else f"mark {value} found, but no credential is remembered under it")
        raise typer.Exit(ExitCode.INCOMPLETE)
    with atomic_path(out) as temporary:
        temporary.write_bytes(found.manifest)
    emit(
        f"{out}: the credential of {found.title!r}, signed here on {found.made}. It describes that file, not this copy."
    )


def labels(
    folder: Annotated[Path, typer.Argument(help="Signed files.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the index goes.")] = Path("index.parquet"),
    signer: Annotated[list[str] | None, typer.Option(help="Accepted leaf fingerprint (sha256); may repeat.")] = None,
    sources: Annotated[
        Path | None, typer.Option(help="Originals: named source and driver hashes must be among them.")
    ] = None,
    development: Annotated[
        bool, typer.Option("--trust-development", help="Also trust this user's own development key.")
    ] = False,
    force: Force = False,
) -> None:
    """Make an index from the labels in signed files; a label that does not count is a row with its reason.

    Example: gioconda provenance labels fakes/ --out index.parquet --trust-development
    """
    import re

    from gioconda_core.errors import ExitCode, UsageError
    from gioconda_core.files import refuse_overwrite
    from provenance.tools import labels as labelled
    from provenance.trust import lists as trust

    if not folder.is_dir():
        raise UsageError("is not a folder", where=str(folder))
    if sources is not None and not sources.exists():
        raise UsageError("no such file or folder", where=str(sources), hint="--sources takes the originals")
    accepted = {s.lower().replace(":", "") for s in signer or []}
    for fingerprint in accepted:
        if not re.fullmatch("[0-9a-f]{64}", fingerprint):
            raise UsageError("not a sha256 fingerprint", where=f"--signer {fingerprint}", hint="64 hexadecimal digits")
    refuse_overwrite(out, force)
    lists = trust.load(development=development)
    with progress("reading labels", None, "files") as advance:
        index, refused = labelled.collect(
            folder,
            trust=lists,
            signers=accepted,
            sources=sources,
            advance=advance,
        )
    index.rebased(out.parent).write(out)
    for row in refused:
        notice(f"{row.path}: {row.why}")
    emit(f"{out}: {len(index)} labels count, {len(refused)} do not")
    if refused:
        raise typer.Exit(ExitCode.INCOMPLETE)


def strip(
    source: Annotated[Path, typer.Argument(help="A signed file.")],
    target: Annotated[Path, typer.Argument(help="The copy without a credential.")],
    force: Force = False,
) -> None:
    """Write a copy without its Content Credentials and prove that the pixels are equal.

    Example: gioconda provenance strip signed.mp4 training/clip.mp4
    """
    from provenance.tools.strip import strip as take_out

    emit(f"{take_out(source, target, force=force)}: no credential, the same decoded frames")


def register(app: typer.Typer) -> None:
    """Add these commands to the ``provenance`` group."""
    for command in (mark, recover, labels, strip):
        app.command()(command)
