"""How often the labels of a set were looked at: each look at other scores is a chance to choose what suits this set by luck."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core import config
from gioconda_core.files import append_row, read_rows, sha256_of


@dataclass(frozen=True)
class Looks:
    """How many different columns of scores were measured against one set of labels on this computer, this report's among them.

    set : sha256 of its ids and labels. own : this report's columns; the same column twice is one. since : the day of the first look.
    recorded : False where nothing could be written down.
    """

    set: str
    scores: int
    own: int
    since: str
    recorded: bool = True


def _file() -> Path:
    return config.home() / "looks.jsonl"


def look(labelled: Iterable[tuple[str, int]], scores: Mapping[str, NDArray[Any]]) -> Looks:
    """Write down that these scores were measured against these labels, and count what was before. The same scores again are no new look.

    labelled : id and label of each clip. scores : detector → its scores, in an order of clips that is the same each time.
    """
    name = sha256_of("\n".join(dict.fromkeys(sorted(f"{own} {label}" for own, label in labelled))).encode())
    shown = {sha256_of(np.ascontiguousarray(column).tobytes()): detector for detector, column in scores.items()}
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    known = [row for row in read_rows(_file()) if row.get("set") == name]
    seen = {str(row.get("scores")) for row in known}
    recorded = True
    try:
        for key, detector in shown.items():
            if key not in seen:
                append_row(_file(), {"set": name, "scores": key, "detector": detector, "date": today})
    except OSError:  # a home that cannot be written to is no reason to refuse a report
        recorded = False
    since = min((str(row["date"]) for row in known if row.get("date")), default=today)
    return Looks(name, len(seen | set(shown)), len(shown), since, recorded)
