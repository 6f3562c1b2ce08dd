"""``gioconda data``: labelled sets: index, verify, split, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gioconda.cli.common import Force, JsonFlag, Output, deliver, emit, notice, parse_outputs, progress, settings

app = typer.Typer(
    no_args_is_help=True,
    help="Labelled sets: index, verify, split, export.",
    epilog="Example: gioconda data index footage --out set.parquet",
)

IndexFile = Annotated[Path, typer.Argument(help="An index: .parquet, or a .csv with path and label.")]


def fresh_folder(out: Path) -> None:
    """Refuse a folder to fill that holds something already, or is none."""
    from gioconda_core.errors import UsageError

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError("is not an empty folder", where=str(out), hint="give a new one")


def layout_writer(name: str) -> Any:
    """What writes a layout; refuses one that can only be read."""
    from gioconda_core import plugins
    from gioconda_core.errors import UsageError

    writer = plugins.load("gioconda.datasets", name)()
    if not hasattr(writer, "export"):
        raise UsageError(
            f"the layout {name!r} can be read but not written", hint="plain, faceforensics, celeb-df or df40"
        )
    return writer


@app.command("index")
def index_(
    folder: Annotated[Path, typer.Argument(help="The set's folder, or a CSV list.")],
    out: Annotated[Path, typer.Option("--out", help="Where the index goes.")] = Path("index.parquet"),
    layout: Annotated[
        str,
        typer.Option(help="plain, csv, faceforensics, celeb-df, dfdc, deeperforensics, df40, voxceleb or a plugin's."),
    ] = "plain",
    licence: Annotated[str, typer.Option(help="Licence of every file, for the card.")] = "",
    fingerprint: Annotated[
        bool,
        typer.Option("--fingerprint/--no-fingerprint", help="Also hash decoded frames and take perceptual hashes."),
    ] = True,
    jobs: Annotated[int, typer.Option(min=1, help="Threads.")] = 2,
    force: Force = False,
) -> None:
    """Scan a folder, hash every file, and write an index with its card. Interrupted, it resumes where it was.

    Example: gioconda data index ~/FaceForensics --layout faceforensics --out ff.parquet
    """
    from gioconda_core.datasets.index import Index
    from gioconda_core.errors import ExitCode
    from gioconda_core.files import refuse_overwrite
    from gioconda_core.media.fingerprint import fingerprint_index

    refuse_overwrite(out, force)
    index = Index.read(folder) if folder.suffix.lower() == ".csv" else Index.from_folder(folder, layout)
    with progress("hashing", len(index), "files") as advance:
        index, failures = fingerprint_index(
            index, journal=out.with_suffix(".rows.jsonl"), relative_to=out.parent, decode=fingerprint,
            licence=licence, jobs=jobs, advance=advance,
        )  # fmt: skip
    index.write(out)
    out.with_suffix(".rows.jsonl").unlink(missing_ok=True)
    for path, what in failures:
        notice(f"{path}: {what}")
    summary = index.summary()
    emit(
        f"{out}: {summary['samples']} samples, labels {summary['labels']}, {summary['identities']} identities, "
        f"{summary['sources']} sources, {len(failures)} unreadable (kept, without a fingerprint)"
    )
    if failures:
        raise typer.Exit(ExitCode.INCOMPLETE)


@app.command()
def verify(index: IndexFile, output: Output = None, json: JsonFlag = False, force: Force = False) -> None:
    """Re-hash every file, and look for duplicates, unknown labels and leaks between splits. Exit 4 if anything does not hold.

    Example: gioconda data verify ff.parquet
    """
    import dataclasses
    from json import dumps

    from gioconda_core.datasets.index import Index
    from gioconda_core.errors import ExitCode

    wanted = parse_outputs(output, json, ("text", "json"), force)
    loaded = Index.read(index)
    with progress("verifying", len(loaded), "files") as advance:
        problems = loaded.verify(advance)
    leaks = loaded.leaks()
    for kind, file in wanted:
        if kind == "json":
            text = dumps(
                {
                    "schema": "gioconda.data.verify/1",
                    "problems": [dataclasses.asdict(p) for p in problems],
                    "leaks": [dataclasses.asdict(leak) for leak in leaks],
                },
                ensure_ascii=False,
            )
        else:
            lines = [f"{p.path}: {p.what}" for p in problems]
            lines += [
                f"leak by {k.axis} between {' and '.join(k.splits)}: {k.value} ({', '.join(k.samples)})" for k in leaks
            ]
            text = "\n".join(
                [*lines, f"{len(loaded)} samples, {len(problems)} problems, {len(leaks)} leaks between splits"]
            )
        deliver(text, file)
    if problems or leaks:
        raise typer.Exit(ExitCode.INCOMPLETE)


@app.command()
def split(
    index: IndexFile,
    out: Annotated[Path, typer.Option("--out", help="Where the new index goes.")],
    train: Annotated[float, typer.Option(min=0, max=1, help="Share of the samples.")] = 0.7,
    val: Annotated[float, typer.Option(min=0, max=1, help="Share of the samples.")] = 0.1,
    test: Annotated[float, typer.Option(min=0, max=1, help="Share of the samples.")] = 0.2,
    near: Annotated[
        int,
        typer.Option(
            min=-1, max=16, help="Join samples whose perceptual hashes differ in at most N of 64 bits; -1 = do not."
        ),
    ] = 3,
    force: Force = False,
) -> None:
    """Give every sample a split, disjoint by identity, source and near-duplicate. Deterministic for a --seed.

    Example: gioconda data split all.parquet --out split.parquet --train 0.8 --val 0.1 --test 0.1
    """
    from gioconda_core.datasets.index import Index
    from gioconda_core.files import refuse_overwrite

    refuse_overwrite(out, force)
    loaded = Index.read(index)
    parts = {name: value for name, value in (("train", train), ("val", val), ("test", test)) if value > 0}
    done = loaded.split(parts, seed=settings.seed, near=None if near < 0 else near).rebased(out.parent)
    done.write(out)
    emit(f"{out}: {done.summary()['splits']}, {done.card['split']['groups']} disjoint groups")


@app.command()
def export(
    index: IndexFile,
    out: Annotated[Path, typer.Argument(help="The folder to fill.")],
    layout: Annotated[str, typer.Option(help="plain, faceforensics, celeb-df or df40.")] = "plain",
) -> None:
    """Write an index's files in a layout other people's code reads (hard links where possible).

    Example: gioconda data export fakes.parquet out/ --layout faceforensics
    """
    from gioconda_core.datasets.index import Index

    loaded = Index.read(index)
    writer = layout_writer(layout)
    fresh_folder(out)
    count = writer.export([(sample, loaded.resolve(sample)) for sample in loaded], out)
    emit(f"{out}: {count} files in the layout {layout}")
