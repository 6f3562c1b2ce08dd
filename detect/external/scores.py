"""Reads somebody else's scores from a CSV, so that a detector we cannot run can still be measured.

Columns: ``score`` and one of ``sha256`` (of the clip's file), ``path`` or ``id`` (as the index calls the clip); further columns are
ignored, and any dialect is read (see :mod:`gioconda_core.datasets.tables`). An empty score is an abstention, and so is a clip that the
file does not name: never a zero.
"""

import math
from pathlib import Path

from detect.base import Card
from gioconda_core.datasets.tables import BadCell, number_of, path_of, read_sheet, refuse
from gioconda_core.errors import UsageError
from gioconda_core.files import sha256_of
from gioconda_core.reasons import Abstention, AbstentionReason
from gioconda_core.types import Footage, Reading


class ScoresDetector:
    """A table of scores. ``of`` takes the sample's hash, path or id; ``read`` needs ``facts['sha256']`` in the footage."""

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
        tails: dict[str, set[str]] = {}
        sheet = read_sheet(path)
        keys = [k for k in ("sha256", "path", "id") if sheet.named(k)]
        if not keys:
            raise UsageError(
                "needs the column sha256, path or id", where=str(path), hint=f"it has {', '.join(sheet.names[:12])}"
            )
        sheet.needs("score")
        sheet.refuse_guess()
        column = str(sheet.named("score"))
        bad = []
        for i, (row, text) in enumerate(zip(sheet.rows, sheet.column("score"), strict=True)):
            try:
                score = number_of(text, sheet.decimal_comma)
            except ValueError:
                bad.append(BadCell(row, column, f"{text[:40]!r} is not a number"))
                continue
            if score is not None and not math.isfinite(score):
                bad.append(BadCell(row, column, f"{text[:40]!r} is not finite"))
                continue
            for key in keys:
                name = sheet.column(key)[i]
                name = name.lower() if key == "sha256" else path_of(name) if key == "path" else name
                if not name:
                    continue
                if self._scores.get(name, score) != score:
                    bad.append(BadCell(row, column, f"a second, different score for {name}"))
                self._scores[name] = score
                if key == "path" and "/" in name:
                    tails.setdefault(name.rpartition("/")[2], set()).add(name)
        refuse(str(path), bad)
        # A table made elsewhere names other folders: a file name that stands for one row alone is enough.
        for tail, names in tails.items():
            if len(names) == 1:
                self._scores.setdefault(tail, self._scores[next(iter(names))])

    def of(self, *names: str, protocol: str = "theirs") -> Reading:
        """The score of the first of a clip's names (sha256, path or id) that the table knows; an abstention where it says nothing."""
        own = (self.id, self.version, self.weights_sha256)
        name = next((name for name in names if name in self._scores), None)
        score = None if name is None else self._scores[name]
        if score is not None:
            return Reading(*own, score, pooling="theirs", protocol=protocol)
        reason = AbstentionReason.NOT_IN_TABLE if name is None else AbstentionReason.NO_SCORE_IN_TABLE
        return Reading(*own, abstained=Abstention(reason), protocol=protocol)

    def read(self, footage: Footage) -> Reading:
        return self.of(str(footage.facts.get("sha256", "")), protocol=footage.protocol)
