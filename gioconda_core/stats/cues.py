"""What sharpness, length or frame rate alone would score on the same clips: the figures a detector has to pass to have shown anything."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core.stats import metrics

ALL = "all cues together"
NAMES = ("sharpness", "frame rate", "length", "bytes a second", "face size")  # what every set should be asked for
Floats = NDArray[np.float64]


def _filled(cues: Mapping[str, Floats]) -> dict[str, Floats]:
    """The cues that most clips have and that vary, a missing one as the median."""
    out = {}
    for name, values in cues.items():
        known = np.isfinite(values)
        if known.sum() >= len(values) / 2 and np.ptp(values[known]) > 0:
            out[name] = np.where(known, values, np.median(values[known]))
    return out


def _features(filled: Mapping[str, Floats]) -> Floats:
    """(n, 2 · cues): each cue's rank, equal values sharing one, and how unusual it is either way."""
    from scipy.stats import rankdata

    ranks = [3.4 * (rankdata(values) - 0.5) / len(values) - 1.7 for values in filled.values()]
    return np.stack([column for rank in ranks for column in (rank, np.abs(rank))], axis=1)


def cue_scores(cues: Mapping[str, Floats], labels: NDArray[Any], groups: NDArray[np.int64]) -> dict[str, Floats]:
    """Each cue as a score, (n,), turned so that fakes score higher, and all of them together.

    cues : name → (n,) numbers, NaN where not measured. labels : (n,) 0 real, 1 fake. groups : (n,) codes of origins, or of persons;
    the combination of a group's clips is fitted on the others, so that it knows none of them. A cue is turned by these very labels,
    which flatters it a little: a detector has to pass the best that could be made of it.
    """
    filled = _filled(cues)
    auc = metrics.parse("auc")
    out = {name: values if metrics.value(auc, labels, values) >= 0.5 else -values for name, values in filled.items()}
    if len(out) > 1:
        together = _crossfit(_features(filled), labels, groups)
        if together is not None:
            out[ALL] = together
    return out


def _crossfit(x: Floats, labels: NDArray[Any], groups: NDArray[np.int64]) -> Floats | None:
    from sklearn.linear_model import LogisticRegression

    def scores(train: NDArray[Any], test: NDArray[Any]) -> Floats:
        model = LogisticRegression(C=0.3, class_weight="balanced").fit(x[train], labels[train])
        return np.asarray(model.decision_function(x[test]))

    return metrics.cross_fitted(labels, groups, scores)


def matching_weights(cues: Mapping[str, Floats], labels: NDArray[Any]) -> Floats | None:
    """(n,) weights under which reals and fakes have equal cues on average; None where no cue varies.

    Each clip weighs the chance that one of its cues is of the other class, by a logistic regression: overlap weights, which make
    the means of what it was fitted on equal. A clip without a counterpart weighs next to nothing. Source: Li, Morgan, Zaslavsky 2018.
    """
    from sklearn.linear_model import LogisticRegression

    filled = _filled(cues)
    if not filled:
        return None
    x = _features(filled)
    fake = LogisticRegression(C=100.0, max_iter=2000).fit(x, labels).predict_proba(x)[:, 1]
    return np.asarray(np.where(labels == 1, 1 - fake, fake))
