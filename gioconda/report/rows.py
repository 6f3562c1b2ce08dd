"""A Report as one flat row, and rows as CSV: what an audit writes, one file at a time, in bounded memory."""

from __future__ import annotations

import csv as csvlib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gioconda.report import declared
from gioconda.report.view import credential_sentences, origin
from gioconda.report.wording import say, visible
from gioconda_core.types import Level, Provenance, Report

__all__ = [
    "COLUMNS",
    "broken_ingredient",
    "credential_columns",
    "csv",
    "csv_line",
    "error_row",
    "flat",
    "origin_text",
    "row",
]

SCHEMA = "gioconda.row/1"

# Columns every table has, in order; each detector adds its own group after them.
COLUMNS = (
    "path",
    "sha256",
    "size",
    "level",
    "state",
    "reason",
    "signer",
    "trust_list",
    "codes",
    "says_ai",
    "declared_ai",
    "declared",
    "mark",
    "faces",
    "duration",
    "width",
    "height",
    "codec",
    "caveats",
    "error",
    "seconds",
)
DETECTOR_COLUMNS = ("score", "false_alarm", "low", "high", "n", "level", "abstained", "reason")


def row(report: Report, lang: str = "en", *, path: str | None = None, seconds: float | None = None) -> dict[str, Any]:
    """A report's row: plain JSON, a few hundred bytes. ``sentences`` is what a person reads first."""
    p = report.provenance
    detectors: dict[str, dict[str, Any]] = {}
    for item in report.readings:
        detectors[item.reading.detector] = {
            "score": item.reading.score,
            "false_alarm": item.false_alarm,
            "low": item.low,
            "high": item.high,
            "n": item.n,
            "level": str(item.level),
            "abstained": None,
            "reason": None,
        }
        if (why := item.reading.abstained) is not None:
            detectors[item.reading.detector] |= {"abstained": why.text, "reason": str(why.code), "detail": why.detail}
    return {
        "schema": SCHEMA,
        "path": path if path is not None else report.title,
        "sha256": report.sha256,
        "size": report.facts.get("size"),
        "level": str(report.verdict.level),
        **credential_columns(p),
        **declared_columns(report.facts.get("declared")),
        "mark": bool(report.mark),
        "faces": len(report.tracks) if "width" in report.facts else None,
        "duration": report.facts.get("duration"),
        "width": report.facts.get("width"),
        "height": report.facts.get("height"),
        "codec": report.facts.get("codec"),
        "caveats": [s.key.removeprefix("caveat.") for s in report.verdict.caveats],
        "detectors": detectors,
        "sentences": [say(s, lang) for s in report.verdict.sentences] or [say(s, lang) for s in origin(report)],
        "credentials": [say(s, lang) for s in origin(report)],
        "error": "; ".join(problem.text for problem in report.errors) or None,
        "seconds": seconds,
    }


def credential_columns(p: Provenance) -> dict[str, Any]:
    """What the columns of a row say of the credentials. codes : what failed, at the top, and what our policy has to say."""
    codes = dict.fromkeys(code.code for code in p.codes if code.kind in ("failure", "policy"))
    return {
        "state": str(p.state),
        "reason": str(p.reason) if p.reason else None,
        "signer": p.signer,
        "trust_list": p.trust_list,
        "codes": list(codes),
        "says_ai": p.says_ai,
    }


def declared_columns(found: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    """What the columns of a row say of the file's unsigned marks; None where they were not looked for."""
    if found is None:
        return {"declared_ai": None, "declared": None}
    told = [f"{mark['kind']}:{mark['value']}" for mark in found]
    return {"declared_ai": declared.names_ai(found), "declared": "; ".join(told) or None}


def origin_text(provenance: Provenance, lang: str, lists: Sequence[Sequence[str]] = ()) -> list[str]:
    """What the credentials say, where nothing else was looked at. lists : (name, date) of the trust lists used."""
    return [say(s, lang) for s in credential_sentences(provenance, lists)]


def error_row(path: str, error: str, *, sha256: str | None = None, size: int | None = None) -> dict[str, Any]:
    """The one row a poisoned file costs."""
    empty: dict[str, Any] = dict.fromkeys(COLUMNS)
    empty |= {"caveats": [], "codes": [], "mark": False, "says_ai": False}
    return (
        {"schema": SCHEMA}
        | empty
        | {
            "path": path,
            "sha256": sha256,
            "size": size,
            "level": str(Level.NOT_ASSESSED),
            "detectors": {},
            "sentences": [],
            "credentials": [],
            "error": visible(error),
        }
    )


def flat(item: Mapping[str, Any], detectors: Iterable[str]) -> dict[str, Any]:
    """A row with its detectors spread over columns ``NAME.score``…; lists become text."""
    out = {name: item.get(name) for name in COLUMNS}
    for name in ("caveats", "codes"):
        out[name] = " ".join(item.get(name) or ())
    for name in detectors:
        reading = item.get("detectors", {}).get(name, {})
        for column in DETECTOR_COLUMNS:
            out[f"{name}.{column}"] = reading.get(column)
    return out


def csv_line(values: Iterable[Any]) -> str:
    """One CSV line. A text that a spreadsheet would run as a formula is kept a text by a leading apostrophe."""
    out = io.StringIO()
    csvlib.writer(out, lineterminator="\n").writerow([_cell(v) for v in values])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        value = visible(value, 2000)
        return "'" + value if value[:1] in ("=", "+", "-", "@") else value
    return "" if value is None else value


def csv(items: Iterable[Mapping[str, Any]]) -> str:
    """A small table at once; an audit writes line by line instead."""
    kept = list(items)
    names = sorted({name for item in kept for name in item.get("detectors", {})})
    header = list(flat({}, names))
    return csv_line(header) + "".join(csv_line(flat(item, names).values()) for item in kept)


_BROKEN_INGREDIENT = "gioconda.ingredient.failure"  # to be seen however good the state


def broken_ingredient(item: Mapping[str, Any]) -> bool:
    """Whether a row's file was made from one whose credential did not validate."""
    return _BROKEN_INGREDIENT in (item.get("codes") or ())
