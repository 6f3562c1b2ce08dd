"""Is A better than B? Paired differences over the same samples and the same resamples, corrected for how many were asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.stats.table import CLEAN, Table
from gioconda_core.errors import UsageError
from gioconda_core.stats import bootstrap, metrics

__all__ = ["Difference", "compare", "holm", "leaderboard_differences"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """A minus B on one metric over the samples both scored.

    p : two-sided bootstrap p-value; p_corrected : after Holm over all comparisons made together.
    only_a, only_b : samples that just one of them scored: they are in neither figure, so they are told.
    """

    a: str
    b: str
    metric: str
    value_a: float | None
    value_b: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    p_corrected: float | None
    n_real: int
    n_fake: int
    clusters: int
    only_a: int
    only_b: int
    reason: str | None = None


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction; None stays None and is not counted. Source: Holm 1979."""
    asked = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    out: list[float | None] = [None] * len(p_values)
    running = 0.0
    for rank, (p, i) in enumerate(asked):
        running = max(running, min(1.0, p * (len(asked) - rank)))
        out[i] = running
    return out


def p_value(differences: Floats) -> float:
    """Two-sided: twice the share of resampled differences on the far side of zero, never below 2 / (resamples + 1)."""
    n = len(differences)
    below = (np.sum(differences <= 0) + 1) / (n + 1)
    above = (np.sum(differences >= 0) + 1) / (n + 1)
    return float(min(1.0, 2 * min(below, above)))


def compare(
    table: Table,
    pairs: Sequence[tuple[str, str]],
    names: Sequence[str] = ("auc",),
    *,
    resamples: int = bootstrap.RESAMPLES,
    seed: int = 0,
) -> list[Difference]:
    """Paired comparisons over the rows of ``table``; all of them are corrected together."""
    found: list[Difference] = []
    for a, b in pairs:
        for name in (a, b):
            if name not in table.detectors:
                raise UsageError(f"no scores of {name!r}", hint=f"there are {', '.join(table.detectors)}")
        one, two = table.detectors[a], table.detectors[b]
        if one.protocol != two.protocol:
            raise UsageError(
                f"{a} was measured as {one.protocol}, {b} as {two.protocol}: a difference would mix the protocols",
                hint="run both under one suite",
            )
        both = table.labelled & one.scored & two.scored
        only_a = int((table.labelled & one.scored & ~two.scored).sum())
        only_b = int((table.labelled & two.scored & ~one.scored).sum())
        found += _pair(
            table, a, b, np.flatnonzero(both), [metrics.parse(n) for n in names], (only_a, only_b), resamples, seed
        )
    corrected = holm([d.p for d in found])
    return [Difference(**{**d.__dict__, "p_corrected": p}) for d, p in zip(found, corrected, strict=True)]


def _pair(
    table: Table,
    a: str,
    b: str,
    rows: NDArray[np.int64],
    wanted: Sequence[metrics.Metric],
    only: tuple[int, int],
    resamples: int,
    seed: int,
) -> list[Difference]:
    labels = table.labels[rows]
    resampler = bootstrap.Resampler.over(*(table.columns[c][rows] for c in ("identity", "source")), seed=seed)
    reals, fakes = int((labels == 0).sum()), int((labels == 1).sum())
    clusters = min(resampler.clusters_of(labels == 0), resampler.clusters_of(labels == 1)) if len(rows) else 0
    empty: dict[str, Any] = dict.fromkeys(("value_a", "value_b", "difference", "low", "high", "p", "p_corrected"))
    shared: dict[str, Any] = {
        "a": a, "b": b, "n_real": reals, "n_fake": fakes, "clusters": clusters, "only_a": only[0], "only_b": only[1],
    }  # fmt: skip
    out: list[Difference] = []
    allowed = []
    for metric in wanted:
        reason = metrics.refusal(metric, reals, fakes)
        if reason:
            out.append(Difference(metric=metric.name, **shared, **empty, reason=reason))
        else:
            allowed.append(metric)
    if not allowed:
        return out
    sides = []
    for name in (a, b):
        column = table.detectors[name]
        scores = column.scores[rows]
        probabilities = probabilities_of(scores, labels, column.probability, resampler)
        drawn = bootstrap.distribution(allowed, labels, scores, probabilities, resampler, resamples)
        points = {
            m.name: metrics.value(m, labels, scores, probabilities)
            for m in allowed
            if not (m.needs_probability and probabilities is None)
        }
        sides.append((points, drawn))
    for metric in allowed:
        if any(metric.name not in points for points, _ in sides):
            out.append(Difference(metric=metric.name, **shared, **empty, reason="too few identities to calibrate on"))
            continue
        (points_a, drawn_a), (points_b, drawn_b) = sides
        differences = drawn_a[metric.name] - drawn_b[metric.name]
        span = bootstrap.interval(differences, clusters)
        kept = differences[np.isfinite(differences)]
        out.append(
            Difference(
                metric=metric.name,
                **shared,
                value_a=points_a[metric.name],
                value_b=points_b[metric.name],
                difference=points_a[metric.name] - points_b[metric.name],
                low=span.low,
                high=span.high,
                p=p_value(kept) if span.reason is None else None,
                p_corrected=None,
                reason=span.reason,
            )
        )
    return out


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


def leaderboard_differences(
    table: Table, order: Sequence[str], *, metric: str = "auc", resamples: int = bootstrap.RESAMPLES, seed: int = 0
) -> list[Difference]:
    """Every pair of detectors of one protocol, best first, on the undegraded rows (all rows where none is undegraded)."""
    table = headline(table)
    pairs = [(a, b) for a, b in combinations(order, 2) if table.detectors[a].protocol == table.detectors[b].protocol]
    return compare(table, pairs, [metric], resamples=resamples, seed=seed)


def headline(table: Table) -> Table:
    """The rows headline figures are computed on: the undegraded ones."""
    clean = table.columns["degradation"] == CLEAN
    return table.take(clean) if clean.any() and not clean.all() else table
