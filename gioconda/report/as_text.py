"""A Report for the terminal: plain lines in 80 columns, colour only where asked; the last line is what to do next."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from gioconda.report.view import STEPS, Node, Strip, View, view
from gioconda.report.wording import label, visible
from gioconda_core.types import Level, Report
from gioconda_core.words import colon, joined

_BOLD, _DIM = "1", "2"  # as ECMA-48 has them, and the colours below: cyan, yellow, red
_STYLE = {
    Level.NOT_ASSESSED: _BOLD,
    Level.NO_SKILL: _BOLD,
    Level.NO_STRONG_SIGNAL: f"{_BOLD};36",
    Level.SIGNAL: f"{_BOLD};33",
    Level.STRONG_SIGNAL: f"{_BOLD};31",
}
# What stays in one piece when a line is broken: a word with the spaces that belong to it, or one wide character with the
# marks that may not begin a line after it and those that may not end one before it.
_PIECES = re.compile(
    r"\s|[（「『(“]*(?:« )?(?:\d[\d.,]* %|n = \d+|[^\s\u2e80-\uffef]+|[\u2e80-\uffef])"
    r"[、。，．・）」』〜：ー),.;:”]*(?: [»:;?!][.,)]*(?!\S))*"  # in French a space stands before these
)
METADATA = 16  # fields shown in a terminal; all are in HTML and JSON
_BLOCKS = "▁▂▃▄▅▆▇█"


class _Lines:
    """Lines of at most ``width`` columns, with ANSI colour where ``color``."""

    def __init__(self, lang: str, width: int, color: bool) -> None:
        self.lang, self.width, self.color = lang, width, color
        self.lines: list[str] = []

    def put(self, line: str, style: str = "") -> None:
        line = line.rstrip()
        self.lines.append(f"\x1b[{style}m{line}\x1b[0m" if style and self.color and line else line)

    def heading(self, key: str) -> None:
        self.put("")
        self.say(label(key, self.lang), 0, f"{_BOLD};4")

    def say(self, line: str, indent: int = 2, style: str = "") -> None:
        indent = min(indent, self.width // 2)  # ingredients of ingredients stand deep
        for part in wrap(line, self.width - indent):
            self.put(" " * indent + part, style)

    def pair(self, name: str, value: str, indent: int = 2, style: str = "") -> None:
        self.say(f"{name}{colon(self.lang)}{value}", indent, style)

    def item(self, mark: str, line: str) -> None:
        for i, part in enumerate(wrap(line, self.width - 4)):
            self.put("  " + (mark if i == 0 else "").ljust(2) + part)

    def items(self, lines: Iterable[str], mark: str = "·") -> None:
        for line in lines:
            self.item(mark, line)


def text(report: Report, lang: str = "en", *, width: int = 80, color: bool = False) -> str:
    """The report as lines of at most ``width`` columns (wide characters count two), with ANSI colour where ``color``."""
    page, lines = view(report, lang), _Lines(lang, width, color)
    _first_screen(page, lines)
    _readings(page, lines)
    _details(page, lines)
    lines.heading("next")  # a terminal shows its last lines first: they are what to do, again where there is no more
    steps = list(enumerate(page.steps, 1))
    for i, line in steps[STEPS:] or steps[:1]:
        lines.item(f"{i}", line)
    return "\n".join([*lines.lines, ""])


def _first_screen(page: View, lines: _Lines) -> None:
    lines.say(page.title, 0, _BOLD)
    lines.say(f"sha256 {page.sha256}", 0, _DIM)
    lines.heading("in-short")
    lines.say(page.level_text, 2, _STYLE[page.level])
    for line in [*page.short, *page.scope]:
        lines.say(line)
    if page.weak:
        lines.heading("weak")
        lines.items(page.weak)
    lines.heading("origin")
    lines.say(page.state_text, 2, _BOLD)
    for line in page.origin[:2]:
        lines.say(line)
    lines.heading("next")
    for i, line in enumerate(page.steps[:STEPS], 1):
        lines.item(f"{i}", line)
    lines.heading("editor")
    lines.items(page.editor)


def _readings(page: View, lines: _Lines) -> None:
    lines.heading("saw")
    for reading in page.readings:
        lines.pair(f"{reading.detector} {reading.version}", reading.level_text, 2, _STYLE[reading.level])
        for line in reading.lines:
            lines.say(line, 4)
        for strip in reading.strips:
            lines.say(f"{strip.face} {sparkline(strip, lines.width - 30)}", 4)
            lines.say(strip.note, 4)
    if not page.readings:
        lines.say(label("no-detector", lines.lang))
    for track in page.tracks:
        lines.pair(track.name, track.description, 2)
    if page.heard:
        lines.heading("sound")
        lines.items(page.heard)
    rest = page.caveats[len(page.weak) :]
    if not page.caveats:
        rest = [label("nothing-to-trust" if page.readings else "nothing-assessed", lines.lang)]
    if rest:
        lines.heading("trust")
    lines.items(rest)


def _details(page: View, lines: _Lines) -> None:
    failures = [(code, sentence) for code, kind, sentence in page.codes if kind in ("failure", "policy")]
    if page.origin[2:] or page.credential or failures or page.tree:
        lines.heading("credentials")
    for line in page.origin[2:]:
        lines.say(line)
    for name, value in page.credential:
        lines.pair(name, value, 4)
    lines.items((f"{code}: {sentence}" for code, sentence in failures), "!")
    for depth, node in _flatten(page.tree):
        about = f"{node.title} ({joined(node.lines, lines.lang, '; ')})"
        lines.pair(label("ingredients", lines.lang), about, 4 + 2 * depth)
    if page.signs:
        lines.heading("container")
        lines.items(page.signs)
    if page.metadata:
        lines.heading("metadata")
        for name, value in page.metadata[:METADATA]:
            lines.pair(name, visible(value, 120))
        if len(page.metadata) > METADATA:
            lines.say(f"… ({len(page.metadata)})")
    lines.heading("technical")
    for name, value in [*page.quality, *page.details[2:]]:
        lines.pair(name, value)
    lines.items(page.problems, "!")


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


def _flatten(nodes: Iterable[Node], depth: int = 0) -> Iterator[tuple[int, Node]]:
    for node in nodes:
        yield depth, node
        yield from _flatten(node.children, depth + 1)
