"""A comparison for people and programs: lines for the terminal, a document, a page; all three say the same sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from gioconda.report.as_html import page, rendered
from gioconda.report.as_json import plain
from gioconda.report.as_text import wrap
from gioconda.report.evidence.compare import SCHEMA, Comparison, Span, sentences
from gioconda.report.strips import WIDTH, moments
from gioconda.report.view import quality
from gioconda.report.wording import label, number, say
from gioconda_core.documents import read
from gioconda_core.page import safe
from gioconda_core.types import Sentence

HEIGHT = 120  # user units of the timeline


@dataclass(frozen=True)
class Said:
    """A sentence: its key, its arguments, and its text in the document's language."""

    key: str
    args: Mapping[str, Any]
    text: str


@dataclass(frozen=True)
class Document(Comparison):
    """What is written: a comparison with its sentences in a language; pictures are JPEG in base64."""

    lang: str = "en"
    sentences: tuple[Said, ...] = ()


def schema() -> dict[str, Any]:
    """The JSON Schema of the document, as published beside it in ``comparison.schema.json``; a test holds the two together."""
    from pydantic import TypeAdapter

    made = TypeAdapter(Document).json_schema(mode="serialization")
    made["properties"]["schema"] = {"const": SCHEMA}
    made["required"] = list(made["properties"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA, **made}


def document(c: Comparison, lang: str = "en") -> dict[str, Any]:
    """The comparison as plain JSON, with its sentences in a language; pictures are JPEG in base64."""
    body: dict[str, Any] = plain(c, lang)
    return body | {"lang": lang, "sentences": plain(sentences(c), lang)}


def from_document(body: Mapping[str, Any]) -> Comparison:
    """The comparison back from its document. Raises ValueError for another schema."""
    if body.get("schema") != SCHEMA:
        raise ValueError(f"not a {SCHEMA} document: {body.get('schema')!r}")
    return read(Comparison, body)


def _table(c: Comparison, lang: str) -> list[tuple[str, str, str]]:
    """Facts of both, one beside the other: name, of A, of B."""
    one, other = dict(quality(c.a.facts, lang)), dict(quality(c.b.facts, lang))
    rows = [(label("file", lang), c.a.title, c.b.title)]
    rows += [(name, one.get(name, "–"), other.get(name, "–")) for name in dict.fromkeys([*one, *other])]
    return [*rows, ("sha256", c.a.sha256, c.b.sha256)]


def text(c: Comparison, lang: str = "en") -> str:
    """Lines for a terminal: what was found, then the facts of both."""
    lines = []
    for sentence in sentences(c):
        first, *rest = wrap(say(sentence, lang), 76)
        lines += [f"· {first}", *(f"  {part}" for part in rest)]
    for span in c.spans if c.moves else ():
        lines.append(f"  {_beside(span, lang)}")
    lines.append("")
    for name, of_a, of_b in _table(c, lang):
        lines += [f"{name}", f"  A {of_a}", f"  B {of_b}"]
    return "\n".join(lines) + "\n"


def _beside(span: Span, lang: str) -> str:
    """Which seconds of A are which of B."""
    ends = [number(value, lang) for value in (span.a, span.a_end, span.b, span.b_end)]
    return "A {}–{} s = B {}–{} s".format(*ends)


def fragment(c: Comparison, lang: str = "en", player: str = "") -> str:
    """The comparison's sections without a page around them. player : ready HTML shown after the first."""
    shown = [(say(Sentence("compare.pair", {"a": p.a, "b": p.b, "bits": p.bits}), lang), p) for p in c.pairs]
    return rendered(
        "_compare.html.jinja",
        lang,
        c=c,
        lines=[say(s, lang) for s in sentences(c)],
        table=_table(c, lang),
        pairs=shown,
        timeline=safe(_timeline(c, label("timeline", lang), lang)),
        player=safe(player),
    )


def html(c: Comparison, lang: str = "en") -> str:
    """One file with no script and no external asset."""
    return page(f"{c.a.title} · {c.b.title} · {label('comparison', lang)}", fragment(c, lang), lang)


def _timeline(c: Comparison, name: str, lang: str) -> str:
    """Both clips as bars on one scale, what matches joined, what does not hatched in neither."""
    ends = [float(side.facts.get("duration") or 0.0) for side in (c.a, c.b)]
    end = max([*ends, *(max(s.a_end, s.b_end) for s in c.spans)]) or 1.0

    def x(seconds: float) -> float:
        return WIDTH * seconds / end

    parts = [
        f'<svg class="strip timeline" viewBox="-18 0 {WIDTH + 18} {HEIGHT}" role="img" aria-label="{escape(name)}">'
    ]
    for y, letter, length in ((6, "A", ends[0]), (78, "B", ends[1])):
        parts.append(f'<text x="-16" y="{y + 18}">{letter}</text>')
        parts.append(f'<rect class="ground" x="0" y="{y}" width="{max(1.0, x(length)):.1f}" height="26" rx="3"/>')
    for s in c.spans:
        points = f"{x(s.a):.1f},32 {x(s.a_end):.1f},32 {x(s.b_end):.1f},78 {x(s.b):.1f},78"
        parts.append(f'<polygon class="link" points="{points}"><title>{_beside(s, lang)}</title></polygon>')
        for y, start, stop in ((6, s.a, s.a_end), (78, s.b, s.b_end)):
            parts.append(f'<rect class="bar" x="{x(start):.1f}" y="{y}" width="{x(stop) - x(start):.1f}" height="26"/>')
    return "".join([*parts, *moments(end, HEIGHT - 3, lang), "</svg>"])
