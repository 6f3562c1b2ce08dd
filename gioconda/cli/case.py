"""``gioconda case``: files, notes and a log of one inquiry in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from gioconda.cli.build import Commands
from gioconda.cli.common import Force, Results, emit, notice
from gioconda.report.evidence import case
from gioconda.report.options import Lang
from gioconda_core.errors import ExitCode
from gioconda_core.options import Option, argument

if TYPE_CHECKING:
    from gioconda.report.evidence.case import Problem

app = Commands()
Folder = Annotated[str, argument("The case's folder.", "CASE")]


@dataclass(frozen=True)
class Entered:
    """Who does it."""

    by: Annotated[str, Option("Who does this; whoever opened the case by default.")] = ""


@dataclass(frozen=True)
class Opened:
    """What a case is called and who opens it."""

    name: Annotated[str, Option("What the case is called.", required=True)] = ""
    by: Annotated[str, Option("Who opens it.", required=True)] = ""


@dataclass(frozen=True)
class Exported(Entered):
    """How a case leaves the house."""

    out: Annotated[str, Option("The ZIP that is written.", metavar="ZIP", required=True)] = ""
    signer: Annotated[str, Option("Signer, as `provenance sign` takes it; the development key by default.")] = ""
    lang: Lang = "en"
    force: Force = False


@dataclass(frozen=True)
class Verified:
    """What ``case verify`` prints. problems : what does not hold; last : sha256 of the log's last line."""

    problems: tuple[Problem, ...]
    last: str
    schema: str = "gioconda.case-check/1"


@app.command("new")
def new(folder: Folder, job: Opened) -> None:
    """Open a case in a new folder.

    Example: gioconda case new strasbourg --name "Clip from Strasbourg" --by "A. Editor"
    """
    emit(str(case.new(folder, job.name, job.by)))


@app.command("add")
def add(
    folder: Folder, files: Annotated[list[str], argument("Clips, pictures, reports.", "FILE…")], job: Entered
) -> None:
    """Copy files into a case under their hashes, and log it.

    Example: gioconda case add strasbourg clip.mp4 report.html
    """
    for path in case.add(folder, files, job.by):
        emit(str(path))


@app.command("note")
def note(folder: Folder, text: Annotated[str, argument("What is to be noted.", "TEXT")], job: Entered) -> None:
    """Write a note into the log of a case.

    Example: gioconda case note strasbourg "The uploader says it was filmed on 12 May." --by "A. Editor"
    """
    entry = case.note(folder, text, job.by)
    notice(f"note {entry.n} of {entry.who}, {entry.time}")


@app.command("verify")
def verify(folder: Folder, results: Results) -> int:
    """Check that a log is whole and in order and every file as it was added; exits 4 where something is not.

    The last line's hash, kept elsewhere, also shows that nothing was cut off the end.

    Example: gioconda case verify strasbourg
    """
    writer = results.among("text", "json")
    problems, last = case.verify(folder), case.head(folder)
    lines = [f"{p.kind}: {p.what}" for p in problems]
    if not lines:
        lines = [f"{len(case.entries(folder))} lines, all in order; last {last}"]
    writer.write(text="\n".join(lines), json=Verified(problems, last))
    return int(ExitCode.INCOMPLETE if problems else ExitCode.DONE)


@app.command("export")
def export(folder: Folder, job: Exported) -> None:
    """Export a case as one signed ZIP; its case.html prints to PDF from any browser.

    Example: gioconda case export strasbourg --out strasbourg.zip --signer key:newsroom
    """
    emit(str(case.export(folder, job.out, case.Export(job.by, job.signer, job.lang, force=job.force))))
