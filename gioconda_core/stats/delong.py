"""Standard errors, intervals and p-values of an AUC, or of a difference of two, that respect clusters and need no resampling.

An AUC is a mean over pairs, and each sample's share of it is known: for a fake, the share of reals it outscores; for a real, the
share of fakes that outscore it (DeLong 1988). Shares are summed within an identity or a source before they are squared, so that clips
of one person count as one observation (Obuchowski 1997). Where identities and sources cross, the two variances are added and that
of their intersection taken away (Cameron, Gelbach and Miller 2011).

A bootstrap p-value cannot fall below one over the number of resamples: 2,000 resamples and Holm over 153 pairs never show anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Share:
    """An AUC and what each sample adds to its error.

    auc : in [0, 1]. influence : (n,) whose sum over a cluster is what that cluster moves the AUC by; all of them sum to 0.
    """

    auc: float
    influence: Floats


def auc_shares(labels: NDArray[Any], scores: Floats, weights: Floats | None = None) -> Share:
    """The AUC of ``scores`` (n,) and each sample's share of its error; ties count one half. Both classes must be there.

    weights : (n,) what each sample counts, taken as known; one each when not given.
    """
    fake = labels == 1
    w = np.ones(len(scores)) if weights is None else weights
    influence = np.empty(len(scores))
    won = _outscored(scores[fake], scores[~fake], w[~fake])
    lost = 1 - _outscored(scores[~fake], scores[fake], w[fake])
    auc = float(np.average(won, weights=w[fake]))
    influence[fake] = w[fake] * (won - auc) / w[fake].sum()
    influence[~fake] = w[~fake] * (lost - auc) / w[~fake].sum()
    return Share(auc, influence)


def _outscored(values: Floats, among: Floats, weights: Floats) -> Floats:
    """The share of ``among``, by weight, that lies below each value, equal ones by half."""
    order, asked = np.argsort(among, kind="stable"), np.argsort(values, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(weights[order])])
    there, here = among[order], values[asked]  # found several times faster when asked for in their order
    left, right = (np.searchsorted(there, here, side) for side in ("left", "right"))  # type: ignore[call-overload]
    out = np.empty(len(values))
    out[asked] = (total[left] + total[right]) / (2 * total[-1])
    return out


def within_shares(labels: NDArray[Any], scores: Floats, strata: Ints, axes: Sequence[Ints] = ()) -> Share | None:
    """The AUC over pairs of a fake and a real of the same stratum alone; None where no stratum holds both.

    strata : (n,) codes. A sample whose stratum lacks the other class has no influence. axes : the clusters that the influence will be
    summed over: where each stratum lies in one cluster, another draw of it brings its pairs once more, not the square of them.
    """
    whole = len(axes) == 1 and len(np.unique([strata, axes[0]], axis=1).T) == len(np.unique(strata))
    influence = np.zeros(len(scores))
    parts: list[tuple[NDArray[np.int64], int, Share]] = []
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        fakes = int(np.sum(labels[rows] == 1))
        pairs = fakes * (len(rows) - fakes)
        if pairs:
            parts.append((rows, pairs, auc_shares(labels[rows], scores[rows])))
    total = sum(pairs for _, pairs, _ in parts)
    if not total:
        return None
    auc = sum(pairs * share.auc for _, pairs, share in parts) / total
    for rows, pairs, share in parts:  # a stratum's own pull towards its own mean, in proportion to its pairs
        fake = labels[rows] == 1
        pull = np.where(fake, 1 / fake.sum(), 1 / (~fake).sum()) * (share.auc - auc) / (1 + whole)
        influence[rows] = (share.influence + pull) * pairs / total
    return Share(float(auc), influence)


def _by_cluster(influence: Floats, axis: Ints) -> float:
    sums = np.bincount(axis, weights=influence)
    k = len(sums)
    return float(np.sum(sums**2) * k / max(k - 1, 1))


def standard_error(influence: Floats, axes: Sequence[Ints]) -> float:
    """Of a figure with this influence (n,). axes : one (n,) array of cluster codes 0…K−1, or two that cross."""
    if len(axes) == 1:
        return float(np.sqrt(_by_cluster(influence, axes[0])))
    first, second = _by_cluster(influence, axes[0]), _by_cluster(influence, axes[1])
    _, both = np.unique(np.stack([axes[0], axes[1]]), axis=1, return_inverse=True)
    # The difference may fall below either part by chance; a figure is never surer than its surer axis says.
    return float(np.sqrt(max(first + second - _by_cluster(influence, both.reshape(-1)), first, second)))


def p_value(difference: float, error: float, clusters: int) -> float | None:
    """Two-sided, by Student's t over ``clusters`` − 1 degrees of freedom; None where nothing varies."""
    from scipy import special  # all of scipy.stats would take a second to import, and its checks longer than the figure

    if not error > 1e-12:
        return None
    return float(2 * special.stdtr(max(clusters - 1, 1), -abs(difference) / error))


def t_interval(value: float, error: float, clusters: int, level: float = 0.95) -> tuple[float, float]:
    """``value`` ± Student's quantile times its standard error."""
    from scipy import special

    reach = float(special.stdtrit(max(clusters - 1, 1), (1 + level) / 2)) * error
    return value - reach, value + reach


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction; None stays None and is not counted. Source: Holm 1979."""
    asked = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    out: list[float | None] = [None] * len(p_values)
    running = 0.0
    for rank, (p, i) in enumerate(asked):
        running = max(running, min(1.0, p * (len(asked) - rank)))
        out[i] = running
    return out


def ranks(
    count: int, differences: Sequence[tuple[int, int, float, float | None]], alpha: float = 0.05
) -> list[tuple[int, int]]:
    """For each of ``count`` contestants, between which ranks (1 is best) it stands with confidence 1 − ``alpha``.

    differences : (i, j, value of i − value of j, its uncorrected p). Each contestant's own comparisons are corrected together
    (Holm); those above it for certain push its best rank down, those below it for certain pull its worst rank up. A comparison
    that could not be made counts as open. Source: Mogstad, Romano, Shaikh and Wilhelm 2024, marginal intervals.
    """
    out = []
    for me in range(count):
        own = [(d if i == me else -d, p) for i, j, d, p in differences if me in (i, j)]
        shown = [d for (d, _), p in zip(own, holm([p for _, p in own]), strict=True) if p is not None and p < alpha]
        out.append((1 + sum(d < 0 for d in shown), count - sum(d > 0 for d in shown)))
    return out
