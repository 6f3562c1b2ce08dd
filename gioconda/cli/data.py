"""``gioconda data``: labelled sets: index, verify, split, export."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from gioconda.cli.build import Commands
from gioconda.cli.common import Force, Result, emit, incomplete, notice, progress, settings
from gioconda_core import plugins
from gioconda_core.errors import UsageError
from gioconda_core.files import refuse_overwrite
from gioconda_core.options import Option, argument
from gioconda_core.words import counted

if TYPE_CHECKING:
    from gioconda_core.datasets.index import FlawedRow, Leak

app = Commands("data", "index footage --out set.parquet")

IndexFile = Annotated[Path, argument("An index: .parquet, or a .csv with path and label.")]
Share = Annotated[float, Option("Share of the samples.", minimum=0, maximum=1)]
_LAYOUTS = "gioconda.datasets"


def _layouts() -> tuple[str, ...]:
    return plugins.names(_LAYOUTS)


def fresh_folder(out: Path) -> None:
    """Raise UsageError for a target that is a file or a folder with something in it."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError("is not an empty folder", where=str(out), hint="give a new one")


def layout_writer(name: str) -> Any:
    """The writer of a layout. Raises UsageError for a layout that can only be read."""
    writer = plugins.load(_LAYOUTS, name)()
    if not hasattr(writer, "export"):
        raise UsageError(
            f"the layout {name!r} can be read but not written", hint="plain, faceforensics, celeb-df or df40"
        )
    return writer


@dataclass(frozen=True)
class Indexing:
    """How a folder becomes an index: layout, licence, hashes."""

    layout: Annotated[
        str,
        Option(
            "plain, csv, faceforensics, celeb-df, dfdc, deeperforensics, df40, voxceleb or a plugin's.",
            choices=_layouts,
        ),
    ] = "plain"
    licence: Annotated[str, Option("Licence of every file, for the card.")] = ""
    fingerprint: Annotated[bool, Option("Also hash decoded frames and take perceptual hashes.")] = True
    jobs: Annotated[int, Option("Threads.", minimum=1)] = 2


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in counts.items())


@app.command("index", "~/FaceForensics --layout faceforensics --out ff.parquet")
def index_(
    folder: Annotated[Path, argument("The set's folder, or a CSV list.")],
    job: Indexing,
    out: Annotated[Path, Option("Where the index goes.")] = Path("index.parquet"),
    force: Force = False,
) -> int:
    """Scan a folder, hash every file, and write an index with its card. Interrupted, it resumes where it was."""
    from gioconda_core.datasets.index import Index
    from gioconda_core.media.fingerprint import fingerprint_index

    refuse_overwrite(out, force)
    index = Index.read(folder) if folder.suffix.lower() == ".csv" else Index.from_folder(folder, job.layout)
    if job.licence:
        index = index.with_samples(replace(sample, licence=job.licence) for sample in index)
    journal = out.with_suffix(".rows.jsonl")
    with progress("hashing", len(index), "files") as advance:
        index, failures = fingerprint_index(
            index, journal=journal, relative_to=out.parent, decode=job.fingerprint, jobs=job.jobs, advance=advance
        )
    index.write(out)
    journal.unlink(missing_ok=True)
    for path, what in failures:
        notice(f"{path}: {what}")
    held = index.summary()
    emit(
        f"{out}: {held.samples} samples ({_told(held.labels)}), {held.identities} identities, "
        f"{held.sources} sources, {len(failures)} unreadable (kept, without a fingerprint)"
    )
    return incomplete(failures)


@dataclass(frozen=True)
class Verified:
    """What ``data verify`` prints: rows that do not hold what they say, and what two splits share."""

    problems: "list[FlawedRow]"
    leaks: "list[Leak]"
    schema: str = "gioconda.data.verify/1"


@app.command("verify", "ff.parquet")
def verify(index: IndexFile) -> Result:
    """Re-hash every file, and look for duplicates, unknown labels and leaks between splits. Exit 4 if anything does not hold."""
    from gioconda_core.datasets.index import Index

    loaded = Index.read(index)
    with progress("verifying", len(loaded), "files") as advance:
        problems = loaded.verify(advance)
    leaks = loaded.leaks()
    lines = [
        *(f"{p.path}: {p.what}" for p in problems),
        *(f"leak by {k.axis} between {' and '.join(k.splits)}: {k.value} ({', '.join(k.samples)})" for k in leaks),
        f"{counted(len(loaded), 'sample')}, {counted(len(problems), 'problem')}, {counted(len(leaks), 'leak')} between splits",
    ]
    return Result(lines, Verified(problems, leaks), incomplete(problems or leaks))


@dataclass(frozen=True)
class Shares:
    """What share of the samples each split gets."""

    train: Share = 0.7
    val: Share = 0.1
    test: Share = 0.2
    near: Annotated[
        int,
        Option(
            "Join samples whose perceptual hashes differ in at most N of 64 bits; -1 = do not.", minimum=-1, maximum=16
        ),
    ] = 3


@app.command("split", "all.parquet --out split.parquet --train 0.8 --val 0.1 --test 0.1")
def split(
    index: IndexFile, out: Annotated[Path, Option("Where the new index goes.")], job: Shares, force: Force = False
) -> None:
    """Give every sample a split, disjoint by identity, source and near-duplicate. Deterministic for a --seed."""
    from gioconda_core.datasets.index import Index

    refuse_overwrite(out, force)
    loaded = Index.read(index)
    shares = {"train": job.train, "val": job.val, "test": job.test}
    parts = {name: value for name, value in shares.items() if value > 0}
    done = loaded.split(parts, seed=settings.seed, near=None if job.near < 0 else job.near).rebased(out.parent)
    done.write(out)
    emit(f"{out}: {_told(done.summary().splits)}, in {done.card['split']['groups']} disjoint groups")


@app.command("export", "fakes.parquet out/ --layout faceforensics")
def export(
    index: IndexFile,
    out: Annotated[Path, argument("The folder to fill.")],
    layout: Annotated[str, Option("plain, faceforensics, celeb-df or df40.", choices=_layouts)] = "plain",
) -> None:
    """Write an index's files in a layout other people's code reads (hard links where possible)."""
    from gioconda_core.datasets.index import Index

    loaded = Index.read(index)
    writer = layout_writer(layout)
    fresh_folder(out)
    count = writer.export([(sample, loaded.resolve(sample)) for sample in loaded], out)
    emit(f"{out}: {counted(count, 'file')} in the layout {layout}")
