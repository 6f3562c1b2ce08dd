"""``gioconda case``: files, notes and a log of one inquiry in a folder."""

from dataclasses import dataclass
from typing import Annotated

from gioconda.cli.build import Commands
from gioconda.cli.common import Result, emit, incomplete, notice
from gioconda.report.evidence import case
from gioconda.report.evidence.case import By, Problem
from gioconda_core.options import Option, argument

app = Commands("case", "new strasbourg --name 'Clip from Strasbourg' --by 'A. Editor'")
Folder = Annotated[str, argument("The case's folder.", "CASE")]


@dataclass(frozen=True)
class Verified:
    """What ``case verify`` prints. problems : what does not hold; last : sha256 of the log's last line."""

    problems: tuple[Problem, ...]
    last: str
    schema: str = "gioconda.case-check/1"


@app.command("new", 'strasbourg --name "Clip from Strasbourg" --by "A. Editor"')
def new(
    folder: Folder,
    name: Annotated[str, Option("What the case is called.")],
    by: Annotated[str, Option("Who opens it.")],
) -> None:
    """Open a case in a new folder."""
    emit(str(case.new(folder, name, by)))


@app.command("add", "strasbourg clip.mp4 report.html")
def add(
    folder: Folder, files: Annotated[list[str], argument("Clips, pictures, reports.", "FILE…")], by: By = ""
) -> None:
    """Copy files into a case under their hashes, and log it."""
    for path in case.add(folder, files, by):
        emit(str(path))


@app.command("note", 'strasbourg "The uploader says it was filmed on 12 May." --by "A. Editor"')
def note(folder: Folder, text: Annotated[str, argument("What is to be noted.", "TEXT")], by: By = "") -> None:
    """Write a note into the log of a case."""
    entry = case.note(folder, text, by)
    notice(f"note {entry.n} of {entry.who}, {entry.time}")


@app.command("verify", "strasbourg")
def verify(folder: Folder) -> Result:
    """Check that a log is whole and in order and every file as it was added; exits 4 where something is not.

    The last line's hash, kept elsewhere, also shows that nothing was cut off the end.
    """
    problems, last = case.verify(folder), case.head(folder)
    lines = [f"{p.kind}: {p.what}" for p in problems]
    if not lines:
        lines = [f"{len(case.entries(folder))} lines, all in order; last {last}"]
    return Result(lines, Verified(problems, last), incomplete(problems))


@app.command("export", "strasbourg --out strasbourg.zip --signer key:newsroom")
def export(
    folder: Folder, out: Annotated[str, Option("The ZIP that is written.", metavar="ZIP")], job: case.Export
) -> None:
    """Export a case as one signed ZIP; its case.html prints to PDF from any browser."""
    emit(str(case.export(folder, out, job)))
