"""Counts how often what would be said of a clip changes when it is shared again: the same clip after upload-like chains of degradations.

Criticism on record is a photo whose score went from 0.000 to 0.9999 by rescaling. A flip is a change of level (by the
detector's own calibration) or, without one, a crossing of the threshold that kept false alarms at 5 % on undegraded reals.
"""

import numpy as np
from numpy.typing import NDArray

from benchmarks.report.document import Flips
from benchmarks.report.results import held_threshold
from benchmarks.stats.table import Column, Table
from gioconda_core.media.degrade import CLEAN
from gioconda_core.stats import bootstrap
from gioconda_core.types import Level


def _said(column: Column, threshold: float | None) -> NDArray[np.int64] | None:
    """What would be said of each row, as a rank: 0 not assessed, then weaker to stronger; None when nothing can be."""
    if column.levels is not None:
        ranks = {str(level): i for i, level in enumerate(Level)}
        levels = np.array([ranks.get(str(level), 0) for level in column.levels])
    elif threshold is not None:
        levels = 1 + (np.nan_to_num(column.scores, nan=-np.inf) >= threshold).astype(np.int64)
    else:
        return None
    return np.where(column.scored, levels, 0)


def stability(table: Table, *, resamples: int = bootstrap.RESAMPLES, seed: int = 0) -> list[Flips]:
    """One row a detector and degradation: shares of the clips that were assessed undegraded."""
    degradations = [d for d in dict.fromkeys(table.columns["degradation"]) if d != CLEAN]
    clean_rows = np.flatnonzero(table.columns["degradation"] == CLEAN)
    if not degradations or not len(clean_rows):
        return []
    clean = table.take(clean_rows)
    rows = []
    for name in table.detectors:
        threshold = held_threshold(clean, name)
        before = _said(clean.detectors[name], threshold)
        if before is None:
            continue
        for degradation in degradations:
            part = table.take(table.columns["degradation"] == degradation)
            where = {str(i): n for n, i in enumerate(part.ids)}
            pairs = [(a, where[str(i)]) for a, i in enumerate(clean.ids) if str(i) in where and before[a] > 0]
            after_all = _said(part.detectors[name], threshold)
            if not pairs or after_all is None:
                continue
            a, b = np.array(pairs).T
            b = b[part.detectors[name].status[b] != "missing"]
            if len(b) < len(a):
                continue
            was, now = before[a], after_all[b]
            flipped = (was != now).astype(np.float64)
            low, high = _interval(clean, a, flipped, resamples, seed)
            rows.append(
                Flips(
                    name, degradation, len(a), float(flipped.mean()), low, high,
                    up=float(np.mean(now > was)), down=float(np.mean((now < was) & (now > 0))),
                    lost=float(np.mean(now == 0)), by_level=clean.detectors[name].levels is not None,
                )
            )  # fmt: skip
    return rows


def _interval(
    table: Table, rows: NDArray[np.int64], flipped: NDArray[np.float64], resamples: int, seed: int
) -> tuple[float | None, float | None]:
    resampler = table.resampler(rows, seed)
    drawn = bootstrap.mean_distribution(flipped, resampler, resamples)
    span = bootstrap.interval(drawn, resampler.clusters)
    return span.low, span.high
