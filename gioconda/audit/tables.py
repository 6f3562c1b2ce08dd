"""What an audit leaves at its end: Parquet, CSV, SARIF and one HTML page, streamed from the journal in order of path."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gioconda.audit.journal import Journal
from gioconda.report import rows
from gioconda_core.files import atomic_path, write_text
from gioconda_core.types import Level, ProvenanceState

if TYPE_CHECKING:
    from gioconda.audit.summary import Summary

__all__ = ["prepare", "write"]

GROUP = 5_000  # rows of a Parquet row group, and held in memory at once
LISTED = 200  # rows of the HTML page


def write(
    journal: Journal, out: Path, summary: Summary, formats: Sequence[str], lang: str, detectors: list[str]
) -> dict[str, str]:
    """Write the tables asked for; returns format → file name. Each is whole or not there. detectors : those that rows speak of."""
    made = {"jsonl": journal.path.name}
    for name in formats:
        file = out / {"parquet": "readings.parquet", "html": "index.html"}.get(name, f"readings.{name}")
        _WRITERS[name](journal, file, detectors, summary, lang)
        made[name] = file.name
    return made


def prepare(formats: Sequence[str]) -> None:
    """Import what ``write`` will need: slow, and so done beside the workers' work."""
    if "parquet" in formats:
        import pyarrow.parquet  # noqa: F401
    if "html" in formats:
        import jinja2  # noqa: F401


def _csv(journal: Journal, file: Path, detectors: list[str], summary: Summary, lang: str) -> None:
    with atomic_path(file) as path, open(path, "w", encoding="utf-8", newline="") as out:
        out.write(rows.csv_line(rows.flat({}, detectors)))
        for row in journal.rows():
            out.write(rows.csv_line(rows.flat(row, detectors).values()))


def _sarif(journal: Journal, file: Path, detectors: list[str], summary: Summary, lang: str) -> None:
    """Findings only: signals, invalid credentials, broken ingredients and errors; a million notes would help nobody."""
    with atomic_path(file) as path, open(path, "w", encoding="utf-8") as out:
        out.write(rows.sarif_head(lang))
        first = True
        for row in journal.rows():
            if not _finding(row):
                continue
            for text in rows.sarif_result(row):
                out.write(("" if first else ",\n") + text)
                first = False
        out.write(rows.sarif_tail())


def _finding(row: dict[str, Any]) -> bool:
    signal = row["level"] in (Level.SIGNAL, Level.STRONG_SIGNAL)
    return bool(row["error"]) or signal or row["state"] == ProvenanceState.INVALID or rows.broken_ingredient(row)


def _parquet(journal: Journal, file: Path, detectors: list[str], summary: Summary, lang: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"size": pa.int64(), "faces": pa.int32(), "width": pa.int32(), "height": pa.int32()}
    kinds |= {
        "duration": pa.float64(),
        "seconds": pa.float64(),
        "says_ai": pa.bool_(),
        "declared_ai": pa.bool_(),
        "mark": pa.bool_(),
    }
    numbers = {"score", "false_alarm", "low", "high"}

    def kind(name: str) -> Any:
        if name in kinds:
            return kinds[name]
        column = name.rpartition(".")[2] if "." in name else ""
        return pa.float64() if column in numbers else pa.int64() if column == "n" else pa.string()

    schema = pa.schema([(name, kind(name)) for name in rows.flat({}, detectors)])
    with atomic_path(file) as path, pq.ParquetWriter(path, schema, compression="zstd") as out:
        for group in _groups(rows.flat(row, detectors) for row in journal.rows()):
            out.write_table(pa.Table.from_pylist(group, schema=schema))


def _groups(items: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while group := list(itertools.islice(items, GROUP)):
        yield group


def _html(journal: Journal, file: Path, detectors: list[str], summary: Summary, lang: str) -> None:
    from gioconda.report.as_html import environment, page
    from gioconda.report.view import state_key
    from gioconda.report.wording import label, phrase, problem, say, visible
    from gioconda_core.types import Sentence

    def text(kind: str, key: str) -> str:
        try:
            return say(Sentence(f"{kind}.{key}"), lang)
        except KeyError:
            return visible(key)

    def state(row: dict[str, Any]) -> str:
        if not row["state"]:
            return "–"
        key = state_key(row["state"], row.get("reason"), "gioconda.signer.development" in row["codes"])
        return say(Sentence(key), lang)

    listed = [row for row in journal.rows(order="attention", limit=LISTED) if _finding(row)]
    body = (
        environment()
        .get_template("audit.html.jinja")
        .render(
            summary=summary,
            rows=listed,
            levels=[(level, text("level", level), summary.levels.get(level, 0)) for level in reversed(list(Level))],
            states=[(text("state", state), n) for state, n in sorted(summary.states.items())],
            level_text=lambda level: text("level", level),
            state_text=state,
            say=lambda words: visible(problem(words, lang)),
            skipped=[(phrase(why, lang), n) for why, n in sorted(summary.skipped.items())],
            total=summary.seen,
            t=lambda key: label(key, lang),
        )
    )
    write_text(file, page(label("audit", lang), body, lang))


_WRITERS = {"csv": _csv, "sarif": _sarif, "parquet": _parquet, "html": _html}
