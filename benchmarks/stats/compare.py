"""Says which of two detectors is better, or that these clips leave it open: paired differences over the clips both scored, with p-values by standard errors, corrected for how many were asked.

What must match is the clips, the degradation and the unit (video, image, audio…): figures are then of the same question. How a
detector samples and pools is part of what it is, so a difference there is a note.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.stats.table import Column, Table, counts, independent
from gioconda_core.errors import UsageError
from gioconda_core.media.degrade import CLEAN
from gioconda_core.stats import bootstrap, delong, metrics
from gioconda_core.stats.delong import holm
from gioconda_core.words import counted

Floats = NDArray[np.float64]
SIGNIFICANT = 0.05


class Finding(StrEnum):
    """What a comparison shows. Unresolved is not "the same": these clips leave it open."""

    A_BETTER = "a-better"
    B_BETTER = "b-better"
    UNRESOLVED = "unresolved"
    REFUSED = "refused"


@dataclass(frozen=True)
class Difference:
    """A minus B on one metric over the clips both scored.

    low, high : 95 % interval of the difference, for this comparison alone. p : two-sided, for this comparison alone; for an AUC
    from clustered standard errors (DeLong), for another figure from the bootstrap's. p_corrected : after Holm over ``asked``
    comparisons. only_a, only_b : clips that just one of them scored: they are in neither figure.
    note : how the two differ in what does not forbid a comparison. reason : why something is not given.
    """

    a: str
    b: str
    metric: str
    value_a: float | None = None
    value_b: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_corrected: float | None = None
    asked: int = 0
    finding: Finding = Finding.REFUSED
    n_real: int = 0
    n_fake: int = 0
    clusters: int = 0
    only_a: int = 0
    only_b: int = 0
    note: str = ""
    reason: str | None = None

    def over(self, a: str) -> "Difference":
        """The same comparison with ``a`` first."""
        if a == self.a or a != self.b:
            return self
        other = {Finding.A_BETTER: Finding.B_BETTER, Finding.B_BETTER: Finding.A_BETTER}
        return replace(
            self,
            a=self.b, b=self.a, value_a=self.value_b, value_b=self.value_a, finding=other.get(self.finding, self.finding),
            difference=None if self.difference is None else -self.difference,
            low=None if self.high is None else -self.high, high=None if self.low is None else -self.low,
            only_a=self.only_b, only_b=self.only_a,
        )  # fmt: skip


@dataclass(frozen=True)
class Standing:
    """Where a detector stands: its rank by AUC (1 is best), and the ranks that these clips leave open to it, with 95 % confidence."""

    detector: str
    rank: int
    low: int
    high: int


def _note(*sides: tuple[str, Column]) -> str:
    """How two detectors differ in what does not forbid a comparison, and which of them have met the clips before."""
    protocols = [column.protocol for _, column in sides]
    notes = [f"measured as {' and '.join(protocols)}"] if len(set(protocols)) > 1 else []
    return "; ".join(
        notes + [f"{name} learned from {counted(c.learned, 'clip')} of this set" for name, c in sides if c.learned]
    )


@dataclass(frozen=True, eq=False)
class _Side:
    """One detector's figure over some rows. of : (n,) each row's share of an AUC's error, or (resamples,) what another figure was drawn as."""

    value: float
    of: Floats

    @classmethod
    def measured(
        cls, column: Column, metric: metrics.Metric, rows: NDArray[np.int64], labels: NDArray[Any],
        resampler: bootstrap.Resampler, resamples: int,
    ) -> "_Side | None":  # fmt: skip
        """None where raw scores cannot be made the probabilities that the figure needs. resamples : 0 where nothing is drawn."""
        scores, probabilities = column.scores[rows], None
        if metric.base == "auc":
            share = delong.auc_shares(labels, scores)
            return cls(share.auc, share.influence)
        if metric.needs_probability:
            probabilities = probabilities_of(scores, labels, column.probability, resampler)
            if probabilities is None:
                return None
        drawn = {metric.name: np.empty(0)}
        if resamples:
            drawn = bootstrap.distribution([metric], labels, scores, probabilities, resampler, resamples)
        return cls(metrics.value(metric, labels, scores, probabilities), drawn[metric.name])


class Pairs:
    """Paired comparisons over one table; what is computed of a detector on the same rows is computed once."""

    def __init__(self, table: Table, resamples: int, seed: int) -> None:
        self.table, self.resamples, self.seed = table, resamples, seed
        self._seen: dict[tuple[Any, ...], Any] = {}

    def _once(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        if key not in self._seen:
            self._seen[key] = make()
        return self._seen[key]

    def _resampler(self, key: bytes, rows: NDArray[np.int64]) -> bootstrap.Resampler:
        made: bootstrap.Resampler = self._once(("resampler", key), lambda: self.table.resampler(rows, self.seed))
        return made

    def compare(self, a: str, b: str, wanted: Sequence[metrics.Metric]) -> list[Difference]:
        """One difference a metric, with its interval: an AUC's by its standard error, another figure's by bootstrap."""
        one, two = self.table.detectors[a], self.table.detectors[b]
        unit_a, unit_b = (metrics.Protocol.parse(c.protocol) for c in (one, two))
        labelled = self.table.labelled
        mask = labelled & one.scored & two.scored
        rows = np.flatnonzero(mask)
        labels = self.table.labels[rows]
        reals, fakes = counts(labels)
        base = Difference(
            a, b, "",
            n_real=reals, n_fake=fakes,
            only_a=int((labelled & one.scored & ~two.scored).sum()),
            only_b=int((labelled & two.scored & ~one.scored).sum()),
            note=_note((a, one), (b, two)),
        )  # fmt: skip
        refusal = None
        if unit_a.unit != unit_b.unit:
            refusal = f"{a} was measured by {unit_a.unit}, {b} by {unit_b.unit}: these are two questions"
        for name, column in ((a, one), (b, two)):
            if not (labelled & column.scored).any():
                refusal = f"{name} scored no labelled clip"
        if refusal is None and not len(rows):
            refusal = "no labelled clip was scored by both"
        if refusal is not None:
            return [replace(base, metric=m.name, reason=refusal) for m in wanted]
        key = np.packbits(mask).tobytes()
        resampler = self._resampler(key, rows)
        clusters = self._once(("clusters", key), lambda: independent(labels, resampler))
        out = []
        for metric in wanted:
            reason = metrics.refusal(metric, reals, fakes)
            if reason is None:
                named = replace(base, metric=metric.name, clusters=clusters)
                out.append(self._one(named, metric, key, rows, resampler))
            else:
                out.append(replace(base, metric=metric.name, clusters=clusters, reason=reason))
        return out

    def _one(
        self,
        base: Difference,
        metric: metrics.Metric,
        key: bytes,
        rows: NDArray[np.int64],
        resampler: bootstrap.Resampler,
    ) -> Difference:
        few = bootstrap.too_few(base.clusters)

        def side(name: str) -> _Side | None:
            asked = 0 if few else self.resamples
            return _Side.measured(self.table.detectors[name], metric, rows, self.table.labels[rows], resampler, asked)

        first, second = (self._once((n, metric.name, key), lambda n=n: side(n)) for n in (base.a, base.b))  # type: ignore[misc]
        if first is None or second is None:
            return replace(base, reason="too few identities to calibrate on")
        difference = first.value - second.value
        base = replace(
            base, value_a=first.value, value_b=second.value, difference=difference, finding=Finding.UNRESOLVED
        )
        if few is not None:
            return replace(base, reason=few)
        if metric.base == "auc":
            error = delong.standard_error(first.of - second.of, resampler.axes)
            span = bootstrap.Interval(*delong.t_interval(difference, error, base.clusters))
        else:
            error = float(np.nanstd(first.of - second.of))
            span = bootstrap.interval(first.of - second.of, base.clusters)
        p = delong.p_value(difference, error, base.clusters)
        if span.reason or p is None:
            return replace(base, reason=span.reason or bootstrap.NOTHING_VARIES)
        return replace(base, low=span.low, high=span.high, p=p)


def corrected(found: Sequence[Difference]) -> list[Difference]:
    """Holm over all of them, and what each shows. A metric of which less is better turns the finding round."""
    asked = sum(d.p is not None for d in found)
    out = []
    for d, p in zip(found, holm([d.p for d in found]), strict=True):
        finding = d.finding
        if p is not None and p < SIGNIFICANT and d.difference is not None:
            better = (d.difference > 0) == metrics.parse(d.metric).higher_is_better
            finding = Finding.A_BETTER if better else Finding.B_BETTER
        out.append(replace(d, p_corrected=p, asked=asked, finding=finding))
    return out


def compare(
    table: Table,
    pairs: Sequence[tuple[str, str]],
    names: Sequence[str] = ("auc",),
    *,
    resamples: int = bootstrap.RESAMPLES,
    seed: int = 0,
) -> list[Difference]:
    """Paired comparisons over the rows of ``table``; all of them are corrected together. A pair that cannot be compared says why."""
    for name in {n for pair in pairs for n in pair}:
        if name not in table.detectors:
            raise UsageError(f"no scores of {name!r}", hint=f"there are {', '.join(table.detectors)}")
    wanted = [metrics.parse(n) for n in names]
    made = Pairs(table, resamples, seed)
    return corrected([d for a, b in pairs for d in made.compare(a, b, wanted)])


def apart(
    a: tuple[str, Table], b: tuple[str, Table], names: Sequence[str] = ("auc",), *, resamples: int, seed: int = 0
) -> list[Difference]:
    """Two detectors on two sets that share no clip: the sets' own errors add up. For a detector over time, where the clips change.

    a, b : (detector, its table). Not corrected; see :func:`corrected`.
    """
    out = []
    for metric in (metrics.parse(n) for n in names):
        sides = [_alone(name, table, metric, resamples, seed) for name, table in (a, b)]
        base = Difference(
            a[0], b[0], metric.name,
            n_real=min(s.n_real for s in sides), n_fake=min(s.n_fake for s in sides), clusters=min(s.clusters for s in sides),
            note="no id in common, so taken as different clips: not paired",
        )  # fmt: skip
        reason = next((s.reason for s in sides if s.value is None), None)
        if reason is not None:
            out.append(replace(base, reason=reason))
            continue
        one, two = sides
        difference = float(one.value or 0) - float(two.value or 0)
        base = replace(base, value_a=one.value, value_b=two.value, difference=difference, finding=Finding.UNRESOLVED)
        if (why := one.reason or two.reason) is not None:
            out.append(replace(base, reason=why))
            continue
        error = float(np.hypot(one.error, two.error))
        low, high = delong.t_interval(difference, error, base.clusters)
        out.append(replace(base, low=low, high=high, p=delong.p_value(difference, error, base.clusters)))
    return out


@dataclass(frozen=True)
class _Alone:
    """One detector's figure on its own set, and its standard error; the reason where there is none."""

    value: float | None
    error: float
    n_real: int
    n_fake: int
    clusters: int
    reason: str | None


def _alone(name: str, table: Table, metric: metrics.Metric, resamples: int, seed: int) -> _Alone:
    column = table.detectors[name]
    rows = np.flatnonzero(table.labelled & column.scored)
    labels = table.labels[rows]
    n_real, n_fake = counts(labels)
    refused = metrics.refusal(metric, n_real, n_fake)
    if refused is not None:
        return _Alone(None, 0.0, n_real, n_fake, 0, f"{name}: {refused}")
    resampler = table.resampler(rows, seed)
    clusters = independent(labels, resampler)
    few = bootstrap.too_few(clusters)
    side = _Side.measured(column, metric, rows, labels, resampler, 0 if few else resamples)
    if side is None:
        return _Alone(None, 0.0, n_real, n_fake, clusters, "too few identities to calibrate on")
    error = 0.0
    if few is None:
        by_rows = metric.base == "auc"
        error = delong.standard_error(side.of, resampler.axes) if by_rows else float(np.nanstd(side.of))
    return _Alone(side.value, error, n_real, n_fake, clusters, few or (None if error > 0 else bootstrap.NOTHING_VARIES))


def probabilities_of(
    scores: Floats, labels: NDArray[Any], given: bool, resampler: bootstrap.Resampler
) -> Floats | None:
    """Scores as probabilities: as given where they are ones, else calibrated across identities."""
    if given:
        if len(scores) and (scores.min() < 0 or scores.max() > 1):
            raise UsageError(
                "scores called probabilities lie outside [0, 1]",
                hint="leave --probabilities out: raw scores are calibrated",
            )
        return scores
    if len(np.unique(labels)) < 2:
        return None
    return metrics.crossfit_probabilities(labels, scores, resampler.axes[0])


@dataclass(frozen=True)
class Leaderboard:
    """first : the one the others are measured against. named : it was named beforehand, so that only k − 1 questions are asked.

    differences : first against each other. pairs : every pair. standings : one a detector that has an AUC.
    """

    first: str
    named: bool
    differences: tuple[Difference, ...]
    pairs: tuple[Difference, ...]
    standings: tuple[Standing, ...]


def leaderboard(table: Table, order: Sequence[str], *, against: str = "") -> Leaderboard | None:
    """The first of ``order`` (best first) against each other, and every pair, by AUC on the undegraded rows (all where none is undegraded).

    against : the detector the others are compared with, named before the scores were seen: k − 1 questions. Without it the leader
    is found in these very scores, and whoever leads k equal detectors by luck leads by more than k − 1 questions allow for: its
    comparisons are then corrected as part of all k (k − 1) / 2. Ranks are each detector's own k − 1 questions.
    None where there are fewer than two detectors.
    """
    if against and against not in table.detectors:
        raise UsageError(f"no scores of {against!r}", where="--against", hint=f"there are {', '.join(table.detectors)}")
    if len(order) < 2:
        return None
    table = headline(table)
    auc = metrics.parse("auc")
    made = Pairs(table, 0, 0)
    pairs = corrected([made.compare(a, b, [auc])[0] for a, b in combinations(order, 2)])
    first = against or order[0]
    of_first = [d.over(first) for d in pairs if first in (d.a, d.b)]
    differences = corrected(of_first) if against else of_first
    # Ranks that the pairs leave open, among those that have an AUC.
    able = [n for n in order if metrics.refusal(auc, *_scored(table, n)) is None]
    spots = delong.ranks(
        len(able),
        [
            (able.index(d.a), able.index(d.b), d.difference, d.p)
            for d in pairs
            if d.difference is not None and d.a in able and d.b in able
        ],
    )
    standings = tuple(Standing(n, i + 1, low, high) for i, (n, (low, high)) in enumerate(zip(able, spots, strict=True)))
    return Leaderboard(first, bool(against), tuple(differences), tuple(pairs), standings)


def _scored(table: Table, detector: str) -> tuple[int, int]:
    """How many real and fake clips a detector scored."""
    return counts(table.labels[table.labelled & table.detectors[detector].scored])


def headline(table: Table) -> Table:
    """The rows headline figures are computed on: the undegraded ones."""
    clean = table.columns["degradation"] == CLEAN
    return table.take(clean) if clean.any() and not clean.all() else table
