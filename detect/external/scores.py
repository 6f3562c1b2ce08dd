"""Somebody else's scores from a CSV, so that a detector we cannot run can still be measured.

Columns: ``score`` and one of ``sha256`` (of the clip's file) or ``path``; further columns are ignored. An empty score is
an abstention. A clip the file does not name is an abstention too, never a zero.
"""

from __future__ import annotations

import math
from pathlib import Path

from detect.base import Abstain, Card, abstaining
from gioconda_core.datasets.layouts import csv_rows
from gioconda_core.errors import UsageError
from gioconda_core.files import sha256_of
from gioconda_core.reasons import AbstentionReason
from gioconda_core.types import Footage, Reading

__all__ = ["ScoresDetector"]


class ScoresDetector:
    """A table of scores. ``lookup`` takes the sample's hash or path; ``read`` needs ``facts['sha256']`` in the footage."""

    def __init__(self, target: str, name: str = "", version: str = "csv") -> None:
        path = Path(target)
        if not path.is_file():
            raise UsageError("does not exist", where=f"detector scores:{target}")
        self.id, self.version = name or path.stem, version
        self.weights_sha256: str | None = sha256_of(path)
        self.card = Card(
            summary=f"scores read from {path.name}; no detector is run",
            limits=("How these scores were made is unknown here.",),
        )
        self._scores: dict[str, float | None] = {}
        table = csv_rows(path)
        columns = set(table[0] if table else ())
        if "score" not in columns or not columns & {"sha256", "path"}:
            raise UsageError("needs the columns score and sha256 or path, and a row", where=str(path))
        for line, row in enumerate(table, start=2):
            text = (row["score"] or "").strip()
            try:
                score = float(text) if text else None
            except ValueError:
                raise UsageError(f"line {line}: {text!r} is not a number", where=str(path)) from None
            if score is not None and not math.isfinite(score):
                raise UsageError(f"line {line}: the score is not finite", where=str(path))
            for key in filter(None, ((row.get("sha256") or "").lower(), row.get("path"))):
                if self._scores.get(key, score) != score:
                    raise UsageError(f"line {line}: a second, different score for {key}", where=str(path))
                self._scores[key] = score

    def lookup(self, *keys: str, protocol: str = "theirs") -> Reading:
        """The reading of the first key (sha256 or path) the table names; raises Abstain when there is none."""
        for key in keys:
            if key in self._scores:
                score = self._scores[key]
                if score is None:
                    raise Abstain(AbstentionReason.NO_SCORE_IN_TABLE)
                return Reading(self.id, self.version, self.weights_sha256, score, pooling="theirs", protocol=protocol)
        raise Abstain(AbstentionReason.NOT_IN_TABLE)

    def of(self, *keys: str) -> Reading:
        """As ``lookup``, with an abstention where the table says nothing."""
        try:
            return self.lookup(*keys)
        except Abstain as said:
            return Reading(self.id, self.version, self.weights_sha256, abstained=said.reason, protocol="theirs")

    @abstaining
    def read(self, footage: Footage) -> Reading:
        return self.lookup(str(footage.facts.get("sha256", "")), protocol=footage.protocol)
