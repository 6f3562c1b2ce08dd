"""Figures over arrays of labels and scores, each named by its whole protocol: ``auc/video@32f-even``.

Point values come from scikit-learn where it has them. Nothing here reads a file, knows a detector, or pools frames.
``counts`` and the ``*_from_counts`` functions are the same figures over weighted counts, vectorised over resamples:
:mod:`gioconda_core.stats.bootstrap` uses them, and tests hold both to the same values.

Labels are 1 = fake, 0 = real. Scores are raw, higher = more like the fakes a detector was trained on.
"""

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import UsageError
from gioconda_core.options import settings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# a rate at FPR f is refused below this many expected false alarms: f = 0.01 needs 300 reals, 0.001 3,000
EXPECTED_ALARMS = 3
FEWEST_PER_CLASS = 10  # below this many samples of either class even a ranking figure is an anecdote
NARROW = 1 << 14  # rows whose weighted counts fit 32 bits, even where two axes' weights are multiplied
BINS = 15  # equal-width bins of ECE, as in Guo 2017, §2
DEFAULT_POOLING = "max-track-mean"
DEFAULT_METRICS = (
    "auc", "ap", "eer", "pauc@fpr=0.1", "tpr@fpr=0.01", "tpr@fpr=0.001", "logloss", "brier", "ece", "aurc",
    "ppv@fpr=0.01,prevalence=0.01", "mincost@fn=10,fp=1,prevalence=0.01",
)  # fmt: skip

# --------------------------------------------------------------------------- names


@dataclass(frozen=True)
class Protocol:
    """What one score stands for: the second half of a metric's name.

    unit : ``video``, ``image``, ``audio``, ``frame`` or ``track``; sampling : ``32f-even``, ``all``, ``given`` (a CSV that does not say);
    pooling : how per-time scores became one; the usual ``max-track-mean`` is not spelled out.
    """

    unit: str = "video"
    sampling: str = "given"
    pooling: str = DEFAULT_POOLING

    def __str__(self) -> str:
        tail = f"+{self.pooling}" if self.unit != "frame" and self.pooling != DEFAULT_POOLING else ""
        return f"{self.unit}@{self.sampling}{tail}"

    @classmethod
    def parse(cls, text: str) -> "Protocol":
        """``video@32f-even+mean`` → Protocol."""
        match = re.fullmatch(r"(video|image|audio|frame|track)@([^+@/]+)(?:\+([^+@/]+))?", text.strip())
        if match is None:
            raise UsageError(f"not a protocol: {text!r}", hint="like video@32f-even or video@32f-even+mean")
        return cls(match[1], match[2], match[3] or DEFAULT_POOLING)


@dataclass(frozen=True)
class Metric:
    """One figure: what it is called, how it is computed, what it needs, which way is better.

    kind : ``rank`` (from counts along the ranking), ``mean`` (a mean of per-sample losses), ``bins`` (ECE),
        ``selective`` (risk–coverage).
    fpr : the false-alarm rate it is read at, or None; it decides how many reals are needed.
    """

    name: str
    kind: str
    title: str
    higher_is_better: bool
    params: Mapping[str, float]

    @property
    def base(self) -> str:
        """Its name without parameters: ``tpr`` of ``tpr@fpr=0.01``."""
        return self.name.split("@")[0]

    @property
    def fpr(self) -> float | None:
        """The rate of false alarms at which it is read, of ``tpr`` and ``ppv``; None of others."""
        return self.params.get("fpr") if self.base in ("tpr", "ppv") else None

    @property
    def needs_probability(self) -> bool:
        """Whether scores must be probabilities for it, and not only in the right order."""
        return self.kind != "rank"

    def full_name(self, protocol: Protocol, probability: str = "") -> str:
        """The whole protocol in one string; ``probability`` says where probabilities came from, when they matter."""
        origin = f"[{probability}]" if self.needs_probability and probability else ""
        return f"{self.name}{origin}/{protocol}"


_TITLES: dict[str, tuple[str, str, bool, dict[str, float]]] = {
    # base: (kind, title, higher is better, default parameters)
    "auc": ("rank", "Area under the ROC curve", True, {}),
    "ap": ("rank", "Average precision", True, {}),
    "eer": ("rank", "Equal error rate", False, {}),
    "pauc": ("rank", "Partial AUC up to FPR {fpr:g}, standardised", True, {"fpr": 0.1}),
    "tpr": ("rank", "Fakes found at FPR {fpr:.4g}", True, {"fpr": 0.01}),
    "ppv": (
        "rank",
        "Alarms that are right at prevalence {prevalence:g}, FPR {fpr:g}",
        True,
        {"fpr": 0.01, "prevalence": 0.01},
    ),
    "mincost": (
        "rank",
        "Lowest decision cost, prevalence {prevalence:g}, miss {fn:g}, false alarm {fp:g}",
        False,
        {"fn": 10.0, "fp": 1.0, "prevalence": 0.01},
    ),
    "logloss": ("mean", "Log-loss", False, {}),
    "brier": ("mean", "Brier score", False, {}),
    "ece": ("bins", "Expected calibration error", False, {}),
    "aurc": ("selective", "Area under risk–coverage", False, {}),
}


def parse(name: str) -> Metric:
    """``tpr@fpr=0.01`` → Metric. Unknown names, unknown parameters and rates outside (0, 1) are refused.

    The name is made canonical (parameters sorted, defaults written out), so that one figure has one name.
    """
    base, _, tail = name.strip().partition("@")
    if base not in _TITLES:
        raise UsageError(f"no metric {name!r}", hint=f"one of {', '.join(_TITLES)}, like tpr@fpr=0.01")
    kind, title, better, defaults = _TITLES[base]
    params = settings(tail, defaults, f"metric {base}")
    for key in ("fpr", "prevalence"):
        if key in params and not 0 < params[key] < 1:
            raise UsageError(f"{key} of {name!r} is a rate between 0 and 1")
    suffix = ",".join(f"{k}={params[k]:g}" for k in sorted(params))
    return Metric(f"{base}@{suffix}" if suffix else base, kind, title.format(**params), better, params)


def refusal(metric: Metric, reals: int, fakes: int) -> str | None:
    """Why n cannot carry this figure, in a sentence; None when it can."""
    if min(reals, fakes) < FEWEST_PER_CLASS:
        return f"needs at least {FEWEST_PER_CLASS} real and {FEWEST_PER_CLASS} fake samples with a score; there are {reals} and {fakes}"
    if metric.fpr is not None and metric.fpr * reals < EXPECTED_ALARMS - 1e-9:
        need = int(np.ceil(EXPECTED_ALARMS / metric.fpr - 1e-9))
        return (
            f"FPR {metric.fpr:g} needs at least {need:,} reals; with {reals:,} it would rest on "
            f"{metric.fpr * reals:.2g} false alarms"
        )
    return None


# --------------------------------------------------------------------------- weighted counts along the ranking


@dataclass(frozen=True, eq=False)
class Ranking:
    """Samples in descending order of score, with ties marked. Sort once, count under any weights.

    order : (n,) indices, highest score first; ends : (U,) last position of each group of equal scores.
    fake : (n,) int64 in that order.
    """

    order: Ints
    ends: Ints
    fake: Ints

    @property
    def strict(self) -> bool:
        """Whether no two scores are equal."""
        return len(self.ends) == len(self.fake)

    @classmethod
    def of(cls, labels: NDArray[Any], scores: Floats) -> "Ranking":
        """Rank (n,) scores, highest first, with their (n,) labels: 1 fake, 0 real."""
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        return cls(order, ends, labels[order].astype(np.int64))


def counts(ranking: Ranking, weights: Ints) -> tuple[Floats, Floats]:
    """Fakes and reals at or above each threshold. weights : int32 or int64 (..., n) in ranked order → two float64 (..., U + 1), from 0.

    Integer sums: exact, and several times faster than floating ones.
    """
    narrow: Any = np.int32 if weights.dtype == np.int32 and weights.shape[-1] < NARROW else np.int64
    above_fake: Ints = np.cumsum(weights * ranking.fake.astype(weights.dtype), axis=-1, dtype=narrow)
    above: Ints = np.cumsum(weights, axis=-1, dtype=narrow)
    if not ranking.strict:
        above_fake, above = above_fake[..., ranking.ends], above[..., ranking.ends]
    zero = np.zeros((*weights.shape[:-1], 1))
    tp = np.concatenate([zero, above_fake], axis=-1)
    fp = np.concatenate([zero, above - above_fake], axis=-1)
    return tp, fp


def last_within(fp: Floats, fpr: float) -> Ints:
    """Index of the lowest threshold whose false-alarm rate is still at most ``fpr``: no interpolation between thresholds."""
    limit = fpr * fp[..., -1:] + 1e-9
    return np.asarray(np.sum(fp <= limit, axis=-1) - 1)


def _at(values: Floats, index: Ints) -> Floats:
    return np.asarray(np.take_along_axis(values, index[..., None], axis=-1)[..., 0])


def auc_from_counts(tp: Floats, fp: Floats) -> Floats:
    """The area under the ROC curve, from the counts of :func:`counts`, (..., U + 1) each → (...)."""
    area = np.sum(np.diff(fp, axis=-1) * (tp[..., 1:] + tp[..., :-1]), axis=-1) / 2
    return np.asarray(area / (tp[..., -1] * fp[..., -1]))


def ap_from_counts(tp: Floats, fp: Floats) -> Floats:
    """Average precision, the mean of precision over the recalls, from the counts of :func:`counts`, (..., U + 1) each → (...)."""
    shown = tp[..., 1:] + fp[..., 1:]
    precision = np.divide(tp[..., 1:], shown, out=np.ones_like(shown), where=shown > 0)
    return np.asarray(np.sum(np.diff(tp, axis=-1) * precision, axis=-1) / tp[..., -1])


def eer_from_counts(tp: Floats, fp: Floats) -> Floats:
    """Where misses equal false alarms, on the straight line between the two thresholds around it."""
    gap = fp / fp[..., -1:] + tp / tp[..., -1:] - 1  # FPR − FNR, rising from −1 to 1
    right = np.argmax(gap >= 0, axis=-1)
    left = right - 1
    low, high = _at(gap, left), _at(gap, right)
    share = -low / (high - low)
    rate = fp / fp[..., -1:]
    return np.asarray(_at(rate, left) + share * (_at(rate, right) - _at(rate, left)))


def pauc_from_counts(tp: Floats, fp: Floats, fpr: float) -> Floats:
    """Area up to ``fpr``, standardised so that chance is 0.5 and perfect 1. Source: McClish 1989, as in scikit-learn."""
    x, y = fp / fp[..., -1:], tp / tp[..., -1:]
    x0, x1, y0, y1 = x[..., :-1], x[..., 1:], y[..., :-1], y[..., 1:]
    width = np.minimum(x1, fpr) - np.minimum(x0, fpr)
    full = x1 - x0
    slope = np.divide(y1 - y0, full, out=np.zeros_like(full), where=full > 0)
    area = np.sum(width * (2 * y0 + slope * width) / 2, axis=-1)
    lowest, highest = fpr**2 / 2, fpr
    return np.asarray(0.5 * (1 + (area - lowest) / (highest - lowest)))


def tpr_from_counts(tp: Floats, fp: Floats, fpr: float) -> Floats:
    """Share of fakes at or above the lowest threshold that keeps false alarms at or under ``fpr``."""
    return np.asarray(_at(tp, last_within(fp, fpr)) / tp[..., -1])


def right_alarms(found: Floats | float, fpr: float, prevalence: float) -> Floats:
    """How many alarms are right where ``prevalence`` of clips are fakes, ``found`` of which alarm. The nominal ``fpr`` is used,
    not the attained one: zero alarms among a few hundred reals do not make a detector infallible."""
    right = prevalence * np.asarray(found, dtype=np.float64)
    return np.asarray(right / (right + (1 - prevalence) * fpr))


def ppv_from_counts(tp: Floats, fp: Floats, fpr: float, prevalence: float) -> Floats:
    """``right_alarms`` at the threshold that keeps false alarms at or under ``fpr``."""
    return right_alarms(tpr_from_counts(tp, fp, fpr), fpr, prevalence)


def costs(tp: Floats, fp: Floats, fn_cost: float, fp_cost: float, prevalence: float) -> Floats:
    """Expected cost at each threshold, as a share of the better of "always alarm" and "never alarm" (NIST DCF): (..., U + 1)."""
    cost = prevalence * fn_cost * (1 - tp / tp[..., -1:]) + (1 - prevalence) * fp_cost * fp / fp[..., -1:]
    return np.asarray(cost / min(prevalence * fn_cost, (1 - prevalence) * fp_cost))


def from_counts(metric: Metric, tp: Floats, fp: Floats) -> Floats:
    """Any figure of a ranking over its counts (..., U + 1) → (...). NaN where a class is empty."""
    if metric.kind == "selective":  # fakes and reals are then wrong and right answers, of which a class may be empty
        return aurc_from_counts(tp, tp + fp)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = _FROM_COUNTS[metric.base](tp, fp, *metric.params.values())
    empty = (tp[..., -1] == 0) | (fp[..., -1] == 0)
    return np.where(empty, np.nan, value)


# Their parameters are a metric's own, in the order of its defaults in ``_TITLES``.
_FROM_COUNTS: dict[str, Callable[..., Floats]] = {
    "auc": auc_from_counts,
    "ap": ap_from_counts,
    "eer": eer_from_counts,
    "pauc": pauc_from_counts,
    "tpr": tpr_from_counts,
    "ppv": ppv_from_counts,
    "mincost": lambda *counted: costs(*counted).min(axis=-1),
}


# --------------------------------------------------------------------------- point values


def losses(metric: Metric, labels: NDArray[Any], probabilities: Floats) -> Floats:
    """Per-sample losses of a ``mean`` figure. probabilities : (n,) in [0, 1] of being fake."""
    y = labels.astype(np.float64)
    if metric.base == "brier":
        return np.asarray((probabilities - y) ** 2)
    clipped = np.clip(probabilities, np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps)
    return np.asarray(-(y * np.log(clipped) + (1 - y) * np.log(1 - clipped)))


def bin_of(probabilities: Floats, bins: int = BINS) -> Ints:
    """Which of ``bins`` equal-width bins each probability falls in."""
    return np.minimum((probabilities * bins).astype(np.int64), bins - 1)


def calibration_bins(labels: NDArray[Any], probabilities: Floats, bins: int = BINS) -> list[dict[str, float]]:
    """Reliability diagram: for each non-empty bin its mean probability, share of fakes, and n."""
    which = bin_of(probabilities, bins)
    rows = []
    for b in np.unique(which):
        inside = which == b
        rows.append(
            {"p": float(probabilities[inside].mean()), "fakes": float(labels[inside].mean()), "n": int(inside.sum())}
        )
    return rows


def errors_by_confidence(labels: NDArray[Any], probabilities: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """(confidence, wrong): confidence |p − ½|, wrong 1 where the side p falls on is not the label; p = ½ counts as wrong."""
    side = np.sign(probabilities - 0.5)
    wrong = (side != np.where(labels == 1, 1, -1)).astype(np.int64)
    return np.abs(probabilities - 0.5), wrong


def aurc_from_counts(wrong_above: Floats, above: Floats) -> Floats:
    """Area under risk–coverage: mean, over samples in order of confidence, of the error rate among those at least as sure."""
    risk = np.divide(wrong_above[..., 1:], above[..., 1:], out=np.zeros_like(above[..., 1:]), where=above[..., 1:] > 0)
    return np.asarray(np.sum(np.diff(above, axis=-1) * risk, axis=-1) / above[..., -1])


def risk_coverage(labels: NDArray[Any], probabilities: Floats) -> tuple[Floats, Floats]:
    """(coverage, risk): error rate among the share of clips a detector is surest of."""
    confidence, wrong = errors_by_confidence(labels, probabilities)
    ranking = Ranking.of(wrong, confidence)
    wrong_above, right_above = counts(ranking, np.ones(len(wrong), dtype=np.int64))
    above = wrong_above + right_above
    return above[1:] / above[-1], wrong_above[1:] / above[1:]


def value(metric: Metric, labels: NDArray[Any], scores: Floats, probabilities: Floats | None = None) -> float:
    """The figure itself. labels, scores, probabilities : (n,). Both classes must be there; refusals are the caller's."""
    from sklearn import metrics as sk

    if metric.needs_probability and probabilities is None:
        raise UsageError(f"{metric.name} needs probabilities, and a raw score is not one")
    point: dict[str, Callable[[], Any]] = {
        "auc": lambda: sk.roc_auc_score(labels, scores),
        "ap": lambda: sk.average_precision_score(labels, scores),
        "pauc": lambda: sk.roc_auc_score(labels, scores, max_fpr=metric.params["fpr"]),
        "brier": lambda: sk.brier_score_loss(labels, probabilities),
        "logloss": lambda: sk.log_loss(labels, probabilities),
        "ece": lambda: _ece(labels, probabilities),
        "aurc": lambda: _aurc(labels, probabilities),
    }
    if metric.base in point:
        return float(point[metric.base]())
    tp, fp = counts(Ranking.of(labels, scores), np.ones(len(labels), dtype=np.int64))
    return float(from_counts(metric, tp, fp))


def _ece(labels: NDArray[Any], probabilities: Any) -> float:
    rows = calibration_bins(labels, probabilities)
    return float(sum(r["n"] * abs(r["p"] - r["fakes"]) for r in rows) / len(labels))


def _aurc(labels: NDArray[Any], probabilities: Any) -> float:
    confidence, wrong = errors_by_confidence(labels, probabilities)
    wrong_above, right_above = counts(Ranking.of(wrong, confidence), np.ones(len(wrong), dtype=np.int64))
    return float(aurc_from_counts(wrong_above, wrong_above + right_above))


def group_folds(labels: NDArray[Any], groups: Ints, folds: int = 5) -> list[tuple[Ints, Ints]] | None:
    """(train, test) rows of each fold: no group on two sides, labels as even as that allows. The same input gives the same folds.

    None when there are fewer groups than two, or fewer samples of a class than folds.
    """
    folds = min(folds, len(np.unique(groups)))
    if folds < 2 or min(np.bincount(labels.astype(np.int64), minlength=2)) < folds:
        return None
    return _folds(np.asarray(labels, np.int8).tobytes(), np.asarray(groups, np.int64).tobytes(), folds)


@functools.lru_cache(16)  # the detectors of one table are split alike, and placing 2,000 groups takes a second
def _folds(labels: bytes, groups: bytes, folds: int) -> list[tuple[Ints, Ints]]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    y, g = np.frombuffer(labels, np.int8), np.frombuffer(groups, np.int64)
    alone = len(np.unique(g)) == len(g)  # nobody has two samples: the plain splitter does the same at no cost
    splitter = StratifiedKFold if alone else StratifiedGroupKFold
    return list(splitter(folds, shuffle=True, random_state=0).split(y[:, None], y, None if alone else g))


def cross_fitted(
    labels: NDArray[Any], groups: Ints, scores_of: Callable[[Ints, Ints], Floats], folds: int = 5
) -> Floats | None:
    """(n,) scores of each row by a model fitted on other groups; None when there are too few, or a fold would lack a class.

    scores_of : given the rows to fit on and the rows to score, fits and returns the scores of the latter.
    """
    splits = group_folds(labels, groups, folds)
    if splits is None:
        return None
    out = np.full(len(labels), np.nan)
    for train, test in splits:
        if len(np.unique(labels[train])) < 2:
            return None
        out[test] = scores_of(train, test)
    return out


def crossfit_probabilities(labels: NDArray[Any], scores: Floats, groups: Ints, folds: int = 5) -> Floats | None:
    """Raw scores → probabilities by logistic calibration, each fold fitted on the other identities.

    So log-loss, Brier and ECE of a raw logit say how well it *can* be calibrated, and no identity calibrates itself.
    groups : (n,) cluster codes. None when there are fewer groups than two or a fold would lack a class.
    """
    from sklearn.linear_model import LogisticRegression

    centre, spread = float(np.median(scores)), float(np.std(scores)) or 1.0
    x = ((scores - centre) / spread)[:, None]

    def fitted(train: Ints, test: Ints) -> Floats:
        return np.asarray(LogisticRegression(C=1e6).fit(x[train], labels[train]).predict_proba(x[test])[:, 1])

    return cross_fitted(labels, groups, fitted, folds)
