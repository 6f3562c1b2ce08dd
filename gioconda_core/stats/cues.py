"""What sharpness, length or frame rate alone would score on the same clips: the figures a detector has to pass to have shown anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core.stats import metrics

__all__ = ["ALL", "cue_scores"]

ALL = "all cues together"
Floats = NDArray[np.float64]


def cue_scores(cues: Mapping[str, Floats], labels: NDArray[Any], groups: NDArray[np.int64]) -> dict[str, Floats]:
    """Each cue as a score, (n,), turned so that fakes score higher, and all of them together.

    cues : name → (n,) numbers, NaN where not measured. labels : (n,) 0 real, 1 fake. groups : (n,) cluster codes; the
    combination of a group's clips is fitted on the others, so that it knows nobody. A cue is turned by these very labels,
    which flatters it a little: a detector has to pass the best that could be made of it.
    """
    out: dict[str, Floats] = {}
    columns = []
    for name, values in cues.items():
        known = np.isfinite(values)
        if known.sum() < len(values) / 2 or np.ptp(values[known]) == 0:
            continue
        filled = np.where(known, values, np.median(values[known]))
        sign = 1.0 if metrics.value(metrics.parse("auc"), labels, filled) >= 0.5 else -1.0
        out[name] = sign * filled
        order = np.argsort(filled, kind="stable")
        rank = np.empty(len(filled))
        rank[order] = np.linspace(-1.7, 1.7, len(filled))
        columns += [rank, np.abs(rank)]  # a cue may tell by being unusual, either way
    if len(out) > 1:
        together = _crossfit(np.stack(columns, axis=1), labels, groups)
        if together is not None:
            out[ALL] = together
    return out


def _crossfit(x: Floats, labels: NDArray[Any], groups: NDArray[np.int64]) -> Floats | None:
    from sklearn.linear_model import LogisticRegression

    def scores(train: NDArray[Any], test: NDArray[Any]) -> Floats:
        model = LogisticRegression(C=0.3, class_weight="balanced").fit(x[train], labels[train])
        return np.asarray(model.decision_function(x[test]))

    return metrics.cross_fitted(labels, groups, scores)
