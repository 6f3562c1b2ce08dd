"""Tests whether a detector does worse on one group of people or clips than on the rest: gaps with intervals and a test."""

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.stats.compare import SIGNIFICANT
from benchmarks.stats.table import Table, counts, independent
from gioconda_core.stats import bootstrap, delong, metrics


@dataclass(frozen=True)
class Gap:
    """One group against all others of its axis, by AUC: value − rest.

    p : two-sided, from standard errors over people and sources; p_corrected : after Holm over the groups of all detectors on this
    axis. shown : the gap is there. reason : why there is no figure.
    """

    axis: str
    group: str
    detector: str
    n_real: int
    n_fake: int
    value: float | None = None
    rest: float | None = None
    gap: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_corrected: float | None = None
    shown: bool = False
    reason: str | None = None


def gaps(table: Table, axis: str, *, seed: int = 0) -> list[Gap]:
    """Every group of a slice column, for each detector; on the rows of ``table``, which must be of one degradation."""
    found = [
        _gap(table, axis, group, name, seed) for name in table.detectors for group in sorted(set(table.columns[axis]))
    ]
    corrected = delong.holm([g.p for g in found])
    return [
        replace(g, p_corrected=p, shown=p is not None and p < SIGNIFICANT)
        for g, p in zip(found, corrected, strict=True)
    ]


def _gap(table: Table, axis: str, group: str, detector: str, seed: int) -> Gap:
    rows = np.flatnonzero(table.labelled & table.detectors[detector].scored)
    labels, scores = table.labels[rows], table.detectors[detector].scores[rows]
    inside = table.columns[axis][rows] == group
    here = Gap(axis, group or "(not given)", detector, *counts(labels[inside]))
    auc = metrics.parse("auc")
    for part in (inside, ~inside):
        refused = metrics.refusal(auc, *counts(labels[part]))
        if refused:
            return replace(here, reason=refused if part is inside else f"of the rest: {refused}")
    one, rest = (delong.auc_shares(labels[part], scores[part]) for part in (inside, ~inside))
    here = replace(here, value=one.auc, rest=rest.auc, gap=one.auc - rest.auc)
    influence = np.zeros(len(rows))
    influence[inside], influence[~inside] = one.influence, -rest.influence
    resampler = table.resampler(rows, seed)
    clusters = independent(np.where(inside, labels, -1), resampler)
    few = bootstrap.too_few(clusters)
    if few is not None:
        return replace(here, reason=few)
    error = delong.standard_error(influence, resampler.axes)
    p = delong.p_value(one.auc - rest.auc, error, clusters)
    if p is None:
        return replace(here, reason=bootstrap.NOTHING_VARIES)
    low, high = delong.t_interval(one.auc - rest.auc, error, clusters)
    return replace(here, low=low, high=high, p=p)
