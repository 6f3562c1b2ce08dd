"""How often the labels of a set were looked at: each look at other scores is a chance to choose what suits this set by luck."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.stats.table import Table
from gioconda_core import config
from gioconda_core.files import append_row, read_rows, sha256_of

__all__ = ["Looks", "look"]


@dataclass(frozen=True)
class Looks:
    """How many different columns of scores were measured against one set of labels on this computer, this report's among them.

    set : sha256 of its ids and labels. own : this report's columns; the same column twice is one. since : the day of the first look. recorded : False where nothing could be written down.
    """

    set: str
    scores: int
    own: int
    since: str
    recorded: bool = True


def _file() -> Path:
    return config.home() / "looks.jsonl"


def look(table: Table) -> Looks:
    """Write down that these scores were measured against these labels, and count what was before. The same scores again are no new look."""
    labelled = np.flatnonzero(table.labelled)
    keys = sorted(f"{table.ids[i]} {table.labels[i]}" for i in labelled)
    name = sha256_of("\n".join(dict.fromkeys(keys)).encode())
    order = np.lexsort((table.columns["degradation"][labelled], table.ids[labelled]))
    shown = {
        sha256_of(np.ascontiguousarray(column.scores[labelled][order]).tobytes()): detector
        for detector, column in table.detectors.items()
        if column.scored[labelled].any()
    }
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    known = [row for row in read_rows(_file()) if row.get("set") == name]
    seen = {str(row.get("scores")) for row in known}
    recorded = True
    try:
        for scores, detector in shown.items():
            if scores not in seen:
                append_row(_file(), {"set": name, "scores": scores, "detector": detector, "date": today})
    except OSError:  # a home that cannot be written to is no reason to refuse a report
        recorded = False
    since = min((str(row["date"]) for row in known if row.get("date")), default=today)
    return Looks(name, len(seen | set(shown)), len(shown), since, recorded)
