"""A Report for the terminal: plain lines in 80 columns, colour only where asked; the last line is what to do next."""

from __future__ import annotations

import io
import re
import unicodedata

from gioconda.report.view import STEPS, Node, Strip, View, view
from gioconda.report.wording import label, visible
from gioconda_core.types import Level, Report

__all__ = ["text"]

_STYLE = {
    Level.NOT_ASSESSED: "bold",
    Level.NO_SKILL: "bold",
    Level.NO_STRONG_SIGNAL: "bold cyan",
    Level.SIGNAL: "bold yellow",
    Level.STRONG_SIGNAL: "bold red",
}
# What stays in one piece when a line is broken: a word with the spaces that belong to it, or one wide character with the
# marks that may not begin a line after it and those that may not end one before it.
_PIECES = re.compile(
    r"\s|[（「『(“]*(?:\d[\d.,]* %|n = \d+|[^\s\u2e80-\uffef]+|[\u2e80-\uffef])[、。，．・）」』〜：ー),.;:”]*"
)
METADATA = 16  # fields shown in a terminal; all are in HTML and JSON
_BLOCKS = "▁▂▃▄▅▆▇█"


def text(report: Report, lang: str = "en", *, width: int = 80, color: bool = False) -> str:
    """The report as lines of at most ``width`` columns (wide characters count two), with ANSI colour where ``color``."""
    from rich.console import Console
    from rich.text import Text

    page = view(report, lang)
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=color,
        force_jupyter=False,  # in a notebook rich would draw beside us and leave the text empty
        color_system="standard" if color else None,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )

    def heading(key: str) -> None:
        console.print()
        console.print(Text(label(key, lang), style="bold underline" if color else "bold"))

    def say(line: str, indent: int = 2, style: str = "") -> None:
        for part in wrap(line, width - indent):
            console.print(Text(" " * indent + part, style=style))

    def item(mark: str, line: str) -> None:
        for i, part in enumerate(wrap(line, width - 4)):
            console.print("  " + (mark if i == 0 else "").ljust(2) + part)

    say(page.title, 0, "bold")
    say(f"sha256 {page.sha256}", 0, "dim")

    heading("in-short")
    say(page.level_text, 2, _STYLE[page.level])
    for line in [*page.short, *page.scope]:
        say(line)
    if page.weak:
        heading("weak")
        for line in page.weak:
            item("·", line)
    heading("origin")
    say(page.state_text, 2, "bold")
    for line in page.origin[:2]:
        say(line)
    heading("next")
    for i, line in enumerate(page.steps[:STEPS], 1):
        item(f"{i}", line)
    heading("editor")
    for line in page.editor:
        item("·", line)

    heading("saw")
    for reading in page.readings:
        say(f"{reading.detector} {reading.version}: {reading.level_text}", 2, _STYLE[reading.level])
        for line in reading.lines:
            say(line, 4)
        for strip in reading.strips:
            say(f"{strip.face} {sparkline(strip, width - 30)}", 4)
            say(strip.note, 4)
    if not page.readings:
        say(label("no-detector", lang))
    for track in page.tracks:
        say(f"{track.name}: {track.description}", 2)

    rest = page.caveats[len(page.weak) :]
    if rest or not page.caveats:
        heading("trust")
    for line in rest or (
        [] if page.caveats else [label("nothing-to-trust" if page.readings else "nothing-assessed", lang)]
    ):
        item("·", line)

    failures = [(code, sentence) for code, kind, sentence in page.codes if kind in ("failure", "policy")]
    if page.origin[2:] or page.credential or failures or page.tree:
        heading("credentials")
    for line in page.origin[2:]:
        say(line)
    for name, value in page.credential:
        say(f"{name}: {value}", 4)
    for code, sentence in failures:
        item("!", f"{code}: {sentence}")
    for depth, title, lines in _flatten(page):
        say(f"{label('ingredients', lang)}: {title} ({'; '.join(lines)})", 4 + 2 * depth)

    if page.signs:
        heading("container")
        for line in page.signs:
            item("·", line)
    if page.metadata:
        heading("metadata")
        for name, value in page.metadata[:METADATA]:
            say(f"{name}: {visible(value, 120)}")
        if len(page.metadata) > METADATA:
            say(f"… ({len(page.metadata)})")

    heading("technical")
    for name, value in [*page.quality, *page.details[2:]]:
        say(f"{name}: {value}")
    for line in page.problems:
        item("!", line)
    heading("next")  # a terminal shows its last lines first: they are what to do, again where there is no more
    steps = list(enumerate(page.steps, 1))
    for i, line in steps[STEPS:] or steps[:1]:
        item(f"{i}", line)
    return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


def columns(text: str) -> int:
    """Columns of a terminal that a text takes: wide characters two, combining ones none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` columns, broken between words and, in Japanese, between characters.

    A line never begins with 、 or 。, nor ends with an opening bracket; a number and its per cent sign stay together.
    """
    lines, line, room = [], "", width
    for piece in _PIECES.findall(text):
        while columns(piece) > width:  # a hash or an address longer than a line
            if room < 2:
                lines.append(line)
                line, room = "", width
            cut = next(i for i in range(len(piece), 0, -1) if columns(piece[:i]) <= room)
            lines.append(line + piece[:cut])
            line, room, piece = "", width, piece[cut:]
        if columns(piece) > room:
            lines.append(line)
            line, room = "", width
        if line or not piece.isspace():
            line, room = line + piece, room - columns(piece)
    return [part.rstrip() for part in [*lines, line]] or [""]


def sparkline(strip: Strip, columns: int) -> str:
    """Scores over time as block characters, at most ``columns`` wide; the highest of each group stands for it."""
    n = len(strip.scores)
    columns = max(1, min(columns, n))
    groups = [
        max(strip.scores[n * i // columns : max(n * (i + 1) // columns, n * i // columns + 1)]) for i in range(columns)
    ]
    values = [*strip.scores] + ([strip.threshold] if strip.threshold is not None else [])
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join(_BLOCKS[round((g - low) / span * (len(_BLOCKS) - 1))] for g in groups)


def _flatten(page: View) -> list[tuple[int, str, list[str]]]:
    found: list[tuple[int, str, list[str]]] = []

    def walk(nodes: list[Node], depth: int) -> None:
        for node in nodes:
            found.append((depth, node.title, node.lines))
            walk(node.children, depth + 1)

    walk(page.tree, 0)
    return found
