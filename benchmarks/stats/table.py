"""Builds the table every figure is computed from: samples × detectors, with what is missing and why.

One row is one sample under one degradation, keyed by the sample's own id, never by a folder name (two manipulations of one
video in folders of the same name are two samples). Nothing is dropped: a row without a score has a status and a reason.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import UsageError
from gioconda_core.media.degrade import CLEAN
from gioconda_core.reasons import AbstentionReason
from gioconda_core.stats import bootstrap

AXES = ("identity", "source", "generator", "degradation")


@dataclass(frozen=True)
class Problem:
    """Something about the input a reader must know. count : rows it concerns; examples : up to three ids."""

    kind: str
    sentence: str
    count: int = 1
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScoreRow:
    """One detector's answer about one sample under one degradation; without a detector, the sample alone.

    label : 1 fake, 0 real, −1 unknown. group : slices. cues : trivial measures of the clip. score : raw, or a probability of being fake
    where ``probability`` says so; None where ``error`` or ``abstained`` says why, in words, and ``reason`` by its code. level,
    false_alarm : what was stated with the score. learned : the detector learned from this very clip. seconds, cost : of the reading.
    """

    id: str
    label: int = -1
    identity: str = ""
    source: str = ""
    generator: str = ""
    degradation: str = CLEAN
    group: Mapping[str, str] = field(default_factory=dict)
    cues: Mapping[str, float] = field(default_factory=dict)
    detector: str = ""
    score: float | None = None
    abstained: str | None = None
    error: str | None = None
    reason: str | None = None
    level: str | None = None
    false_alarm: float | None = None
    learned: bool = False
    seconds: float | None = None
    cost: float | None = None
    version: str = ""
    weights_sha256: str | None = None
    protocol: str | None = None
    probability: bool = False


@dataclass(frozen=True, eq=False)
class Column:
    """One detector's answers, a row for each sample.

    scores : (N,) float64, NaN where there is none; status : (N,) ``scored``, ``abstained``, ``failed`` or ``missing``; reasons : (N,) why there is no score.
    probability : scores are probabilities of being fake as given, not raw scores. seconds, cost : (N,) what each row took, in
    whatever currency; NaN where not said. stated : (N,) the share of real clips that its card says score at least as much; NaN where
    it does not say. learned : how many of the clips the detector learned from.
    """

    scores: NDArray[np.float64]
    status: NDArray[np.str_]
    reasons: NDArray[np.object_]
    version: str = ""
    weights_sha256: str | None = None
    protocol: str = "video@given"
    probability: bool = False
    levels: NDArray[np.str_] | None = None
    seconds: NDArray[np.float64] | None = None
    cost: NDArray[np.float64] | None = None
    stated: NDArray[np.float64] | None = None
    learned: int = 0

    @cached_property
    def scored(self) -> NDArray[np.bool_]:
        """(N,) rows that have a score."""
        return np.asarray(self.status == "scored")


@dataclass(frozen=True, eq=False)
class Table:
    """Samples × detectors.

    ids : (N,) sample ids; labels : (N,) int8, 1 fake, 0 real, −1 unknown; columns : name → (N,) strings, always with
    identity, source, generator and degradation, then whatever slices the index or CSV has; cues : name → (N,) float64, trivial
    measures of the clips (sharpness, length…), NaN where not measured.
    """

    ids: NDArray[np.str_]
    labels: NDArray[np.int8]
    columns: Mapping[str, NDArray[np.str_]]
    detectors: Mapping[str, Column]
    problems: tuple[Problem, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    cues: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """(N,) rows whose label is known."""
        return np.asarray(self.labels >= 0)

    @property
    def slices(self) -> list[str]:
        """Columns to slice by: more than one value, and not an id in disguise."""
        wanted = []
        for name, values in self.columns.items():
            if name in ("identity", "source", "generator", "degradation"):
                continue
            distinct = len(np.unique(values))
            if 1 < distinct <= 20:
                wanted.append(name)
        return wanted

    @classmethod
    def of_rows(
        cls, rows: Iterable[ScoreRow], *, problems: Sequence[Problem] = (), meta: Mapping[str, Any] | None = None
    ) -> "Table":
        """Long rows → table.

        The same (id, degradation, detector) twice is counted: once if the scores agree, a failure if they do not.
        Labels that disagree make the sample unlabelled.
        """
        growing = _Growing(list(problems))
        for row in rows:
            growing.add(row)
        return growing.table(dict(meta or {}))

    def resampler(self, rows: NDArray[Any], seed: int = 0) -> bootstrap.Resampler:
        """What intervals of some rows are resampled over: people and source videos."""
        return bootstrap.Resampler.over(self.columns["identity"][rows], self.columns["source"][rows], seed=seed)

    def take(self, rows: NDArray[Any]) -> "Table":
        """The same table over some rows (mask or indices)."""

        def cut(array: Any) -> Any:
            return None if array is None else array[rows]

        return replace(
            self,
            ids=self.ids[rows],
            labels=self.labels[rows],
            columns={k: v[rows] for k, v in self.columns.items()},
            detectors={k: replace(c, **{f: cut(getattr(c, f)) for f in _BY_ROW}) for k, c in self.detectors.items()},
            cues={k: v[rows] for k, v in self.cues.items()},
        )


def counts(labels: NDArray[Any]) -> tuple[int, int]:
    """How many real (0) and fake (1) clips there are."""
    return int((labels == 0).sum()), int((labels == 1).sum())


def independent(labels: NDArray[Any], resampler: bootstrap.Resampler) -> int:
    """How many people, or sources where those are fewer, the smaller class shows: what an interval rests on."""
    return min(resampler.clusters_of(labels == side) for side in (0, 1))


_MEASURED = ("seconds", "cost", "stated")  # numbers that may stand beside a score
_BY_ROW = ("scores", "status", "reasons", "levels", *_MEASURED)
_SENTENCES = {
    "label-conflict": "the same id came with different labels: the sample is left out of every figure",
    "duplicate": "the same row came twice: counted once",
    "duplicate-conflict": "the same id came with different scores from one detector: counted as a failure of that row",
    "nan": "a score is not a finite number: counted as a failure, not as a low score",
    "unlabelled": "no known label: the sample is left out of every figure",
}


_CONFLICT = "the same id came with different scores"


def _merged(protocols: Sequence[str]) -> str:
    """One name for several: ``video@8f-at`` and ``video@32f-at`` → ``video@8-32f-at``; ``mixed`` where they differ in kind."""
    found = [re.fullmatch(r"(\w+@)(\d+)(f-.*)", name) for name in protocols]
    kinds = {(m[1], m[3]) for m in found if m}
    if all(found) and len(kinds) == 1:
        counts = sorted(int(m[2]) for m in found if m)
        start, end = kinds.pop()
        return f"{start}{counts[0]}-{counts[-1]}{end}"
    return f"{protocols[0].split('@')[0]}@mixed"


@dataclass(frozen=True)
class _Cell:
    """What one detector says of one row."""

    score: float = math.nan
    status: str = "scored"
    reason: str = ""
    level: str = ""
    seconds: float = math.nan
    cost: float = math.nan
    stated: float = math.nan
    not_finite: bool = False

    @classmethod
    def of(cls, row: ScoreRow) -> "_Cell":
        seconds, cost, stated = (math.nan if v is None else v for v in (row.seconds, row.cost, row.false_alarm))
        cell = cls(level=row.level or "", seconds=seconds, cost=cost, stated=stated)
        if row.error:
            not_finite = row.reason == AbstentionReason.NOT_FINITE
            return replace(cell, status="failed", reason=row.error, not_finite=not_finite)
        if row.score is None:
            return replace(cell, status="abstained", reason=row.abstained or "no score given")
        if not math.isfinite(float(row.score)):
            why = f"score is not a finite number: {row.score}"
            return replace(cell, status="failed", reason=why, not_finite=True)
        return replace(cell, score=float(row.score))

    def agrees(self, other: "_Cell") -> bool:
        """Whether both say the same: the same status and, where there is one, the same score."""
        both = self.score == other.score or (math.isnan(self.score) and math.isnan(other.score))
        return self.status == other.status and both


class _Growing:
    """A table as its rows come in."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        self.places: dict[tuple[str, str], int] = {}  # (id, degradation) → its number
        self.labels: list[int] = []
        self.groups: list[dict[str, str]] = []
        self.cues: dict[str, dict[int, float]] = defaultdict(dict)
        self.cells: dict[str, dict[int, _Cell]] = defaultdict(dict)
        self.first: dict[str, ScoreRow] = {}  # of each detector
        self.protocols: dict[str, set[str]] = defaultdict(set)
        self.learned: dict[str, set[str]] = defaultdict(set)  # detector → ids of clips it learned from
        self.trouble: dict[str, list[str]] = defaultdict(list)  # kind of problem → ids
        self.contrary: set[int] = set()  # numbers of those that came with different labels

    def add(self, row: ScoreRow) -> None:
        """Take a row in."""
        at = self._place(row)
        for cue, measured in row.cues.items():
            self.cues[cue][at] = float(measured)
        if not row.detector:
            return
        cell, earlier = _Cell.of(row), self.cells[row.detector].get(at)
        if earlier is not None:
            same = earlier.agrees(cell)
            if not same and earlier.reason != _CONFLICT:
                self.trouble["duplicate-conflict"].append(row.id)
            elif same and at not in self.contrary:
                self.trouble["duplicate"].append(row.id)
            if not same:
                cell = _Cell(status="failed", reason=_CONFLICT)
        self.cells[row.detector][at] = cell
        if cell.not_finite:
            self.trouble["nan"].append(row.id)
        if row.learned:
            self.learned[row.detector].add(row.id)
        if row.protocol and cell.status == "scored":
            self.protocols[row.detector].add(row.protocol)
        self.first.setdefault(row.detector, row)

    def _place(self, row: ScoreRow) -> int:
        """The number of the row's sample under its degradation; a new one where it has not been met."""
        key = (row.id, row.degradation or CLEAN)
        at = self.places.setdefault(key, len(self.places))
        if at == len(self.labels):
            self.labels.append(row.label)
            own = {axis: getattr(row, axis) or "" for axis in AXES}
            self.groups.append(own | {name: str(v) for name, v in row.group.items()} | {"degradation": key[1]})
        elif self.labels[at] != row.label and at not in self.contrary:
            self.trouble["label-conflict"].append(row.id)
            self.contrary.add(at)
            self.labels[at] = -1
        return at

    def table(self, meta: Mapping[str, Any]) -> Table:
        """All that came in."""
        n = len(self.places)
        if not n:
            raise UsageError("no samples", hint="an index or a CSV with at least one row is needed")
        self.trouble["unlabelled"] += [
            key[0] for key, at in self.places.items() if self.labels[at] < 0 and at not in self.contrary
        ]
        for kind, ids in self.trouble.items():
            if ids:
                self.problems.append(Problem(kind, _SENTENCES[kind], len(ids), tuple(ids[:3])))
        detectors = {name: self._column(name, n) for name in self.cells}
        names = dict.fromkeys((*AXES, *(name for group in self.groups for name in group)))
        return Table(
            np.array([id_ for id_, _ in self.places]),
            np.array(self.labels, dtype=np.int8),
            {name: np.array([group.get(name, "") for group in self.groups]) for name in names},
            detectors,
            tuple(self.problems),
            meta,
            {name: np.array([cue.get(i, math.nan) for i in range(n)]) for name, cue in self.cues.items()},
        )

    def _column(self, detector: str, n: int) -> Column:
        """One detector's answers; what a reader must know of them is added to the problems."""
        found = sorted(self.protocols[detector])
        protocol = self.first[detector].protocol or "video@given"
        if found:
            protocol = found[0] if len(found) == 1 else _merged(found)
        if protocol.endswith("@mixed"):
            sentence = f"scores of {detector} come from different protocols: {', '.join(found[:4])}"
            self.problems.append(Problem("mixed-protocol", sentence))
        scores, status = np.full(n, np.nan), np.full(n, "missing", dtype="<U9")
        reasons, levels = np.full(n, "", dtype=object), np.full(n, "", dtype="<U16")
        measured = {name: np.full(n, np.nan) for name in _MEASURED}
        for at, cell in self.cells[detector].items():
            scores[at], status[at], reasons[at], levels[at] = cell.score, cell.status, cell.reason, cell.level
            for name, values in measured.items():
                values[at] = getattr(cell, name)
        missing = int((status == "missing").sum())
        if missing:
            sentence = f"{detector} has no row for some samples: they count against its coverage"
            self.problems.append(Problem("missing", sentence, missing))
        scored = scores[status == "scored"]
        if len(scored) > 1 and np.ptp(scored) == 0:
            sentence = f"every score of {detector} is the same number: it ranks nothing"
            self.problems.append(Problem("constant", sentence, len(scored)))
        learned = self.learned[detector]
        if learned:
            sentence = f"{detector} learned from clips of this set, so its figures are not what it reaches on clips it has not seen"
            self.problems.append(Problem("learned", sentence, len(learned), tuple(sorted(learned)[:3])))
        first = self.first[detector]
        return Column(
            scores, status, reasons, "" if first.version == "0" else first.version, first.weights_sha256, protocol, first.probability,
            levels if (levels != "").any() else None, learned=len(learned),
            **{name: values if np.isfinite(values).any() else None for name, values in measured.items()},
        )  # fmt: skip
