"""``gioconda provenance mark|remember|recover|labels|strip``: the invisible mark, the archive of credentials, and labels of a data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from gioconda.cli.build import Commands
from gioconda.cli.common import Force, JsonOption, Result, clean, complain, emit, incomplete, message, notice, progress
from gioconda.report.options import Lang, OwnKey
from gioconda_core.errors import ExitCode, MediaError, UsageError
from gioconda_core.files import atomic_path, refuse_overwrite
from gioconda_core.options import Option, argument, sha256
from provenance.tools.strip import strip as take_out
from provenance.trust import lists as trust

if TYPE_CHECKING:
    from provenance.watermark.repository import Binding
    from provenance.watermark.resolution import Answer


marks_app = Commands("provenance", "mark clip.mp4", speaks=Lang)


@dataclass(frozen=True)
class Mark:
    """What ``mark`` prints. errors : share of coded bits corrected. kept : shares of a picture's height and width that are left."""

    algorithm: str
    value: str | None
    errors: float
    kept: tuple[float, float]
    schema: str = "gioconda.mark/1"


@marks_app.command("mark", "clip.mp4", prints=JsonOption)
def mark(clip: Annotated[Path, argument("A clip or picture.")]) -> Result:
    """Look for Gioconda's invisible mark. No mark found says nothing either way."""
    from gioconda_core.media.clip import Clip
    from provenance.watermark import mark as marks

    with Clip.open(clip, sandbox=True) as opened:
        frames, _ = opened.sample("even:32")
    found = marks.read(frames, crops=True)
    lines = [message("no-mark")]
    if found.value is not None:
        lines = [message("mark", value=found.value, algorithm=marks.ALGORITHM, errors=found.errors)]
        if found.kept != (1.0, 1.0):
            lines.append(message("mark-cut", height=found.kept[0], width=found.kept[1]))
    return Result(lines, Mark(marks.ALGORITHM, found.value, found.errors, found.kept))


@marks_app.command("remember", "published/*.mp4")
def remember(files: Annotated[list[Path], argument("Signed clips and pictures.")]) -> int:
    """Keep the credentials of signed files in your archive, to find them again when a copy has lost its own. Exit 4 if one has none."""
    from provenance.watermark import repository

    without = 0
    with progress("remembering", len(files), "files") as advance:
        for file in files:
            kept = None
            try:
                looks = [b for b in repository.bindings_of(file) if b.algorithm == repository.FINGERPRINT]
                kept = repository.remember(file, looks[0] if looks else None)
            except MediaError as error:
                complain(error)
            if kept is None:
                without += 1
            emit(f"{clean(str(file))}: {kept or message('nothing-to-remember')}")
            advance()
    return incomplete(without)


def _address(text: str) -> None:
    if text and not text.startswith(("http://", "https://")):
        raise UsageError("not the address of an archive", where=text[:120], hint="such as https://archive.example/v1")


@marks_app.command("recover", "copy.mp4 --out copy.history.c2pa")
def recover(
    clip: Annotated[Path, argument("A clip or picture whose credential was stripped.")],
    out: Annotated[Path, Option("Where the credential goes, as a .c2pa file.")],
    ask: Annotated[
        str,
        Option(
            "Ask this archive too (C2PA's Soft Binding Resolution API): the mark and the fingerprint are sent, the file is not.",
            metavar="URL",
            valid=_address,
        ),
    ] = "",
    force: Force = False,
) -> int:
    """Find a stripped credential again, in your own archive: by the mark in the pixels, else by how the picture looks. Exit 4 if there is none."""
    from provenance.watermark import repository

    refuse_overwrite(out, force)
    bindings = repository.bindings_of(clip)
    found = _in_archive(bindings)
    if found is None and ask:
        from provenance.watermark.resolution import Client

        found = Client(ask).recover(bindings)
    if found is None:
        marked = any(item.algorithm != repository.FINGERPRINT for item in bindings)
        emit(message("mark-leads-nowhere" if marked else "looks-lead-nowhere"))
        return int(ExitCode.INCOMPLETE)
    with atomic_path(out) as temporary:
        temporary.write_bytes(found.manifest)
    share = found.match.similarity
    facts = {"out": str(out), "id": found.match.manifest_id}
    emit(message("by-mark", **facts) if share is None else message("by-looks", share=share, **facts))
    return int(ExitCode.DONE)


def _in_archive(bindings: "Sequence[Binding]") -> "Answer | None":
    """The first credential in the user's own archive that one of these leads to."""
    from provenance.watermark import repository
    from provenance.watermark.resolution import Answer

    for binding in bindings:
        for match in repository.matches(binding, 1):
            found = repository.recover(match.manifest_id)
            if found:
                return Answer(binding, match, found.manifest)
    return None


@dataclass(frozen=True)
class LabelRules:
    """Whose labels count when an index is made from signed files."""

    signer: Annotated[tuple[str, ...], Option("Accepted leaf fingerprint (sha256); may repeat.", repeat=True)] = ()
    sources: Annotated[Path | None, Option("Originals: named source and driver hashes must be among them.")] = None
    development: OwnKey = False

    def __post_init__(self) -> None:
        if self.sources is not None and not self.sources.exists():
            raise UsageError("no such file or folder", where=str(self.sources), hint="--sources takes the originals")


@marks_app.command("labels", "fakes/ --out index.parquet --trust-development")
def labels(
    folder: Annotated[Path, argument("Signed files.")],
    job: LabelRules,
    out: Annotated[Path, Option("Where the index goes.", short="-o")] = Path("index.parquet"),
    force: Force = False,
) -> int:
    """Make an index from the labels in signed files; a label that does not count is a row with its reason."""
    from provenance.tools import labels as labelled

    if not folder.is_dir():
        raise UsageError("is not a folder", where=str(folder))
    accepted = {sha256(text, f"--signer {text}") for text in job.signer}
    refuse_overwrite(out, force)
    lists = trust.load(development=job.development)
    with progress("reading labels", None, "files") as advance:
        index, refused = labelled.collect(folder, trust=lists, signers=accepted, sources=job.sources, advance=advance)
    index.rebased(out.parent).write(out)
    for row in refused:
        notice(f"{row.path}: {row.why}")
    emit(message("labels", out=str(out), count=(len(index), "label"), refused=len(refused)))
    return incomplete(refused)


@marks_app.command("strip", "signed.mp4 training/clip.mp4")
def strip(
    source: Annotated[Path, argument("A signed file.")],
    target: Annotated[Path, argument("The copy without a credential.")],
    force: Force = False,
) -> None:
    """Write a copy without its Content Credentials and prove that the pixels are equal."""
    emit(message("stripped", out=str(take_out(source, target, force=force))))
