"""Sets every detector beside what trivial measures of the same clips score: all together, within an origin, and on clips of equal measures.

A detector that does not pass sharpness has shown nothing, however high it scores; one that loses its skill where real and fake
come from the same page, or are of equal length and size, had learned the page or the length.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.stats.compare import Difference, Finding, Pairs, corrected, probabilities_of
from benchmarks.stats.table import Column, Table, counts, independent
from gioconda_core.stats import bootstrap, delong, metrics
from gioconda_core.stats.cues import ALL, NAMES, cue_scores, matching_weights

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
AUC = metrics.parse("auc")
UNBALANCED = 0.05  # how far from one half a cue's AUC may stay on matched clips
RATE = "frame rate"  # the slice by it
RATES = (12.0, 15.0, 24.0, 25.0, 30.0, 50.0, 60.0)  # frames a second that clips are sorted by, to the nearest


class Skill(StrEnum):
    """What a detector has shown on these clips."""

    SHOWN = "shown"  # its interval lies above 0.5, and it passes the best cue
    ABOVE_A_COIN = "above-a-coin"  # its interval lies above 0.5; there is no cue to compare it with
    COIN = "no-better-than-a-coin"
    CUE = "no-better-than-a-cue"
    INVERTED = "the-wrong-way-round"  # its whole interval lies below 0.5
    UNKNOWN = "unknown"  # no figure, or no interval


@dataclass(frozen=True)
class Cue:
    """What one trivial measure, or all of them together, scores by itself; it is turned so that fakes score higher.

    value, low, high : AUC with its 95 % interval; None over too few people or sources. matched : its AUC on the matched clips, where it should be one half.
    """

    cue: str
    value: float
    low: float | None
    high: float | None
    matched: float | None = None


@dataclass(frozen=True)
class Part:
    """An AUC over some of the clips, or over weighted ones. reason : why there is no figure, or no interval."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n_real: int = 0
    n_fake: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class Row:
    """One detector beside the cues.

    skill, cue : what it has shown, and the cue that is best on the clips it scored. figures : each figure asked for against the cue that is best by it. cues : its AUC against each cue's. within : over pairs of one origin. matched : clips weighted to equal cues.
    """

    detector: str
    skill: Skill
    cue: str | None
    figures: tuple[Difference, ...]
    cues: tuple[Difference, ...]
    within: Part
    matched: Part


@dataclass(frozen=True)
class Beside:
    """What every detector of a report stands beside. cues : best first. missing : which of the usual cues were not measured. origin :
    the column taken for the page or camera a clip comes from; empty where none is given."""

    cues: tuple[Cue, ...]
    missing: tuple[str, ...]
    origin: str


def rates_of(cue: Floats) -> NDArray[np.str_]:
    """Frame rates (n,) as slices: ``near 25``; empty where not known."""
    known = np.isfinite(cue)
    nearest = np.array(RATES)[np.abs(np.where(known, cue, 0.0)[:, None] - np.array(RATES)).argmin(axis=1)]
    return np.array([f"near {rate:g}" if is_known else "" for rate, is_known in zip(nearest, known, strict=True)])


def origin_of(table: Table) -> str:
    """The column that names the page or camera of a clip: ``origin``, else ``source``; empty where neither says anything."""
    named = (n for n in ("origin", "source") if n in table.columns and len(set(table.columns[n]) - {""}) > 1)
    return next(named, "")


def beside(
    table: Table,
    wanted: Sequence[metrics.Metric],
    spans: Mapping[str, tuple[float | None, float | None, float | None]],
    *,
    resamples: int,
    seed: int,
) -> tuple[Beside, dict[str, Row]]:
    """The cues of a table, which must be of one degradation, and each detector beside them.

    wanted : figures to set beside the cues'. spans : the AUC of each detector and its interval, as the report gives them.
    """
    part = table.take(np.flatnonzero(table.labelled))
    origin = origin_of(part)
    known = {n: v for n, v in part.cues.items() if np.isfinite(v).any()}
    missing = tuple(n for n in NAMES if n not in known)
    labels = part.labels
    scores: dict[str, Floats] = {}
    if known and metrics.refusal(AUC, *counts(labels)) is None:
        groups = bootstrap.codes(part.columns[origin or "identity"])
        scores = cue_scores(known, labels, groups)
    weights = matching_weights(part.cues, labels) if scores else None
    cues = sorted((_cue(name, values, weights, part, seed) for name, values in scores.items()), key=lambda c: -c.value)
    asked = _Asked(part, scores, wanted, resamples, seed)
    rows = {name: asked.row(name, origin, *spans.get(name, (None, None, None))) for name in part.detectors}
    return Beside(tuple(cues), missing, origin), rows


def _cue(name: str, values: Floats, weights: Floats | None, part: Table, seed: int) -> Cue:
    resampler = part.resampler(np.arange(len(part)), seed)
    clusters = independent(part.labels, resampler)
    share = delong.auc_shares(part.labels, values)
    matched = None if weights is None else delong.auc_shares(part.labels, values, weights).auc
    if bootstrap.too_few(clusters):
        return Cue(name, share.auc, None, None, matched)
    low, high = delong.t_interval(share.auc, delong.standard_error(share.influence, resampler.axes), clusters)
    return Cue(name, share.auc, max(low, 0.0), min(high, 1.0), matched)


class _Asked:
    """The questions asked of each detector; cues stand in the table as detectors of their own."""

    def __init__(
        self, part: Table, scores: Mapping[str, Floats], wanted: Sequence[metrics.Metric], resamples: int, seed: int
    ) -> None:
        n = len(part)
        self.names = {f"cue:{name}": name for name in scores}
        columns = {
            key: Column(scores[name], np.full(n, "scored"), np.full(n, "", dtype=object))
            for key, name in self.names.items()
        }
        self.part = replace(part, detectors={**part.detectors, **columns})
        self.pairs = Pairs(self.part, resamples, seed)
        self.wanted, self.seed = wanted, seed
        self._best: dict[tuple[bytes, str], str | None] = {}

    def best(self, rows: Ints, metric: metrics.Metric) -> str | None:
        """The cue that is best by this figure on these rows."""
        key = (rows.tobytes(), metric.name)
        if key not in self._best:
            found = {k: v for k in self.names if (v := self._value(k, rows, metric)) is not None}
            pick = max if metric.higher_is_better else min
            self._best[key] = pick(found, key=lambda k: found[k]) if found else None
        return self._best[key]

    def _value(self, cue: str, rows: Ints, metric: metrics.Metric) -> float | None:
        labels, scores = self.part.labels[rows], self.part.detectors[cue].scores[rows]
        if metrics.refusal(metric, *counts(labels)):
            return None
        probabilities = None
        if metric.needs_probability:
            probabilities = probabilities_of(scores, labels, False, self.part.resampler(rows, self.seed))
            if probabilities is None:
                return None
        return float(metrics.value(metric, labels, scores, probabilities))

    def against(self, detector: str, cue: str, metric: metrics.Metric) -> Difference:
        """The paired difference over persons; not corrected, since each asks of one detector whether it shows anything at all."""
        (found,) = corrected(self.pairs.compare(detector, cue, [metric]))
        # How a cue samples is no question.
        return replace(
            found, b=self.names[cue], note="", reason=found.reason and found.reason.replace(cue, self.names[cue])
        )

    def row(self, detector: str, origin: str, value: float | None, low: float | None, high: float | None) -> Row:
        """One detector, whose AUC is ``value`` with this interval, beside the cues."""
        column = self.part.detectors[detector]
        rows = np.flatnonzero(column.scored)
        figures = [
            self.against(detector, cue, metric)
            for metric in self.wanted
            if (cue := self.best(rows, metric)) is not None
        ]
        cues = sorted(
            (self.against(detector, key, AUC) for key in self.names),
            key=lambda d: -(d.value_b if d.value_b is not None else -1.0),
        )
        best = next((d for d in cues if d.difference is not None), None)
        return Row(
            detector, skill_of(value, low, high, best), best.b if best else None, tuple(figures), tuple(cues),
            self._within(rows, column.scores, origin), self._matched(rows, column.scores),
        )  # fmt: skip

    def _part(self, rows: Ints, share_of: Any, scores: Floats) -> Part:
        """The AUC that ``share_of`` makes of these rows, with its interval over persons, or why there is none."""
        labels = self.part.labels[rows]
        n_real, n_fake = counts(labels)
        refused = metrics.refusal(AUC, n_real, n_fake)
        if refused:
            return Part(n_real=n_real, n_fake=n_fake, reason=refused)
        resampler = self.part.resampler(rows, self.seed)
        share = share_of(labels, scores[rows], resampler.axes)
        clusters = independent(labels, resampler)
        error = delong.standard_error(share.influence, resampler.axes)
        reason = bootstrap.too_few(clusters) or (None if error > 1e-12 else bootstrap.NOTHING_VARIES)
        if reason:
            return Part(share.auc, None, None, n_real, n_fake, reason)
        low, high = delong.t_interval(share.auc, error, clusters)
        return Part(share.auc, max(low, 0.0), min(high, 1.0), n_real, n_fake)

    def _within(self, rows: Ints, scores: Floats, origin: str) -> Part:
        if not origin:
            return Part(reason="no origin (page, camera or source) is given")
        names = self.part.columns[origin][rows]
        labels = self.part.labels[rows]
        mixed = {n for n in set(names[labels == 0]) & set(names[labels == 1]) if n}
        kept = rows[np.isin(names, list(mixed))] if mixed else rows[:0]
        strata = bootstrap.codes(self.part.columns[origin][kept]) if len(kept) else kept
        found = self._part(kept, lambda y, s, axes: delong.within_shares(y, s, strata, axes), scores)
        return (
            replace(found, reason=f"of origins that hold both real and fake: {found.reason}")
            if found.value is None
            else found
        )

    def _matched(self, rows: Ints, scores: Floats) -> Part:
        labels = self.part.labels[rows]
        n_real, n_fake = counts(labels)
        if not self.names or metrics.refusal(AUC, n_real, n_fake):
            reason = metrics.refusal(AUC, n_real, n_fake) if self.names else "no cue was measured"
            return Part(n_real=n_real, n_fake=n_fake, reason=reason)
        weights = matching_weights(
            {n: v[rows] for n, v in self.part.cues.items() if np.isfinite(v[rows]).any()}, labels
        )
        if weights is None:
            return Part(n_real=n_real, n_fake=n_fake, reason="no cue varies")
        # What so many weighted clips are worth: Kish's effective number.
        worth = [int(weights[labels == y].sum() ** 2 / np.sum(weights[labels == y] ** 2)) for y in (0, 1)]
        # All of them together are fitted on others, and may be worse than a coin where nothing is left.
        left = [
            abs(auc - 0.5) if name != ALL else auc - 0.5
            for key, name in self.names.items()
            for auc in [delong.auc_shares(labels, self.part.detectors[key].scores[rows], weights).auc]
        ]
        refused = metrics.refusal(AUC, *worth)
        if refused:
            return Part(n_real=worth[0], n_fake=worth[1], reason=f"clips of equal cues are too few: {refused}")
        if max(left) > UNBALANCED:
            return Part(n_real=worth[0], n_fake=worth[1], reason="weighting does not make the cues equal")
        found = self._part(rows, lambda y, s, _: delong.auc_shares(y, s, weights), scores)
        return replace(found, n_real=worth[0], n_fake=worth[1])


def skill_of(value: float | None, low: float | None, high: float | None, best: Difference | None) -> Skill:
    """What an AUC with this interval, and its difference from the best cue, show."""
    if low is None or high is None:
        return Skill.COIN if value == 0.5 else Skill.UNKNOWN  # scores that are all the same rank nothing
    if low <= 0.5:
        return Skill.INVERTED if high < 0.5 else Skill.COIN
    if best is None:
        return Skill.ABOVE_A_COIN
    return Skill.SHOWN if best.finding == Finding.A_BETTER else Skill.CUE
