"""Intervals that respect identities: a bootstrap over clusters, vectorised over resamples.

With identity-correlated clips a nominal 95 % iid bootstrap covers about 55 %; resampling whole identities covers what it
says. Nested ids (every source video shows one identity) reduce to the outer one; crossed ids (a fake of A driven by B)
are resampled on both axes at once (Owen 2007, the pigeonhole bootstrap: a row's weight is the product).

Scores are sorted once; a resample is a vector of integer cluster weights. AUC under cluster weights is a quadratic form
wᵀMw with M[c, d] = pairs won by fakes of c over reals of d, so with few clusters 10,000 resamples are one matrix product.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core.stats import metrics as m

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RESAMPLES = 2000
FEWEST_CLUSTERS = 10  # identities per class; below, a percentile interval over them is fiction
NOTHING_VARIES = "every resample gives the same value: these clips cannot say how far others would differ"
KEPT, MOST_KEPT = 16 << 20, 6  # bytes of draws remembered at a time, and how many such
_kept: dict[tuple[Any, ...], list[list[NDArray[Any]]]] = {}
BLOCK_BYTES = 32 << 20  # of weights and counts held at a time


def codes(column: Sequence[Any] | NDArray[Any]) -> Ints:
    """Any ids → 0…K−1. Empty ids are nobody's: each such row is a cluster of its own."""
    values = np.asarray(column).astype(str)
    _, inverse = np.unique(values, return_inverse=True)
    out = inverse.astype(np.int64).reshape(-1)
    empty = np.flatnonzero(values == "")
    if len(empty):
        out[empty] = out.max() + 1 + np.arange(len(empty))
        _, out = np.unique(out, return_inverse=True)
    return np.asarray(out, dtype=np.int64).reshape(-1)


def _nested(inner: Ints, outer: Ints) -> bool:
    """Does every inner cluster lie in one outer cluster?"""
    pairs = np.unique(np.stack([inner, outer]), axis=1).shape[1]
    return bool(pairs == len(np.unique(inner)))


@dataclass(frozen=True, eq=False)
class Resampler:
    """Integer weights of rows, drawn over clusters. The same seed gives the same draws, whatever the block size.

    axes : one (n,) int64 code array, or two where identities and sources cross.
    """

    axes: tuple[Ints, ...]
    seed: int = 0

    @classmethod
    def over(cls, *columns: Sequence[Any] | NDArray[Any], seed: int = 0) -> "Resampler":
        """Columns of ids (identity, source…) → the fewest axes that respect them all."""
        axes: list[Ints] = []
        for column in columns:
            new = codes(column)
            if any(_nested(new, old) for old in axes):
                continue
            axes = [old for old in axes if not _nested(old, new)] + [new]
        return cls(tuple(axes), seed)

    @property
    def clusters(self) -> int:
        """The smallest number of clusters on any axis: what an interval can rest on."""
        return min(int(axis.max()) + 1 for axis in self.axes)

    def clusters_of(self, rows: NDArray[Any]) -> int:
        """How many clusters these rows (indices) come from, on the axis that has fewest."""
        return min((len(np.unique(axis[rows])) for axis in self.axes), default=0)

    def draws(self, resamples: int) -> Iterator[list[NDArray[Any]]]:
        """Blocks of cluster weights, integers (b, K) for each axis; rows sum to K (a multinomial with equal chances)."""
        sizes = [int(axis.max()) + 1 for axis in self.axes]
        # The block depends on the clusters alone, so that a figure does not change with how many rows it is computed on.
        block = int(np.clip(BLOCK_BYTES // (16 * max(sizes)), 1, 1024))
        drawers = [_drawer([self.seed, i], k, block) for i, k in enumerate(sizes)]
        for start in range(0, resamples, block):
            b = min(block, resamples - start)
            yield [draw(b) for draw in drawers]

    def kept_draws(self, resamples: int) -> Iterable[list[NDArray[Any]]]:
        """As ``draws``, remembered where they are small: all detectors and slices of as many clusters share them."""
        sizes = tuple(int(axis.max()) + 1 for axis in self.axes)
        if resamples * sum(sizes) > KEPT:
            return self.draws(resamples)
        key = (self.seed, sizes, resamples)
        if key not in _kept:
            while len(_kept) >= MOST_KEPT:
                _kept.pop(next(iter(_kept)))
            # A count of 256 is drawn with a chance of 1e-500: eight bits are exact.
            # Clusters lie together, so that the weights of one row under all resamples are one piece of memory.
            _kept[key] = [[np.asfortranarray(d, dtype=np.uint8) for d in draw] for draw in self.draws(resamples)]
        return _kept[key]


def _drawer(seed: Sequence[int], k: int, block: int) -> Callable[[int], NDArray[Any]]:
    """Rows of the next block: b ↦ (b, K), b at most ``block`` and less only in the last one."""
    rng = np.random.Generator(np.random.SFC64(seed))

    def draw(b: int) -> NDArray[Any]:
        picks = rng.integers(k, size=(block, k))[:b]
        picks += np.arange(b)[:, None] * k  # a range of numbers for each resample, so that all are counted at once
        return np.bincount(picks.ravel(), minlength=b * k).reshape(b, k)

    return draw


def _pairs(labels: NDArray[Any], scores: Floats, axis: Ints) -> Floats:
    """M (K, K): over pairs (fake of cluster c, real of cluster d), 1 where the fake scores higher, ½ where equal. Exact."""
    k = int(axis.max()) + 1
    fake = np.flatnonzero(labels == 1)
    fake = fake[np.argsort(scores[fake], kind="stable")]
    sorted_scores, cluster = scores[fake], axis[fake]
    # Reals by cluster and, within one, by score: each cluster's are a slice in which a fake's place is the number it outscores.
    real = np.flatnonzero(labels == 0)
    real = real[np.lexsort((scores[real], axis[real]))]
    bounds = np.searchsorted(axis[real], np.arange(k + 1))
    out = np.zeros((k, k))
    for d in range(k):
        own = scores[real[bounds[d] : bounds[d + 1]]]
        if len(own):
            # Below it and below or level with it: a tie is counted once of two, which is the half that it is worth.
            won = np.searchsorted(own, sorted_scores, "left") + np.searchsorted(own, sorted_scores, "right")
            out[:, d] = np.bincount(cluster, weights=won, minlength=k) / 2
    return out


def _auc_by_pairs(labels: NDArray[Any], scores: Floats, resampler: Resampler, resamples: int) -> Floats:
    """AUC under each resample as wᵀMw over the product of the classes' weights: nothing of it grows with the number of rows."""
    axis = resampler.axes[0]
    k = int(axis.max()) + 1
    pairs = _pairs(labels, scores, axis)
    fakes = np.bincount(axis[labels == 1], minlength=k).astype(np.float64)
    reals = np.bincount(axis[labels == 0], minlength=k).astype(np.float64)
    out = []
    for (draw,) in resampler.kept_draws(resamples):
        w = draw.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            out.append(np.einsum("bk,bk->b", w @ pairs, w) / ((w @ fakes) * (w @ reals)))
    return np.concatenate(out)


def _pairs_pay(resampler: Resampler, n: int, resamples: int) -> bool:
    """Is the quadratic form cheaper than counting along the ranking? (nanoseconds, measured on one core)"""
    if len(resampler.axes) != 1:
        return False
    k = resampler.clusters
    return k <= 6000 and 15.0 * k * n / 2 + resamples * k * k * 0.1 < resamples * n * 10.0


def distribution(
    wanted: Sequence[m.Metric],
    labels: NDArray[Any],
    scores: Floats,
    probabilities: Floats | None,
    resampler: Resampler,
    resamples: int = RESAMPLES,
) -> dict[str, Floats]:
    """Every figure under every resample: name → (resamples,). All figures see the same draws, so differences are paired.

    labels (n,) of 0 and 1, scores (n,) finite, probabilities (n,) or None, resampler over the same n rows.
    """
    out: dict[str, Floats] = {}
    rank = [metric for metric in wanted if metric.kind == "rank"]
    if any(metric.base == "auc" for metric in rank) and _pairs_pay(resampler, len(labels), resamples):
        auc = next(metric for metric in rank if metric.base == "auc")
        out[auc.name] = _auc_by_pairs(labels, scores, resampler, resamples)
        rank = [metric for metric in rank if metric.base != "auc"]
    if rank:
        out |= _ranked(rank, m.Ranking.of(labels, scores), resampler, resamples)
    if probabilities is None:
        return out
    if selective := [metric for metric in wanted if metric.kind == "selective"]:
        confidence, wrong = m.errors_by_confidence(labels, probabilities)
        out |= _ranked(selective, m.Ranking.of(wrong, confidence), resampler, resamples)
    if means := [metric for metric in wanted if metric.kind in ("mean", "bins")]:
        out |= _summed(means, labels, probabilities, resampler, resamples)
    return out


def row_weights(resampler: Resampler, draw: Sequence[NDArray[Any]], rows: slice, order: Ints) -> Ints:
    """Weights of the rows ``order`` under resamples ``rows`` of a block: integers (n, b), so that a running sum along a ranking adds
    whole lines."""
    weights = draw[0].T[resampler.axes[0][order], rows]
    for axis, other in zip(resampler.axes[1:], draw[1:], strict=True):
        weights = weights.astype(np.int32) * other.T[axis[order], rows]
    return np.asarray(weights)


def weighted_counts(ranking: m.Ranking, weights: Callable[[Ints], Ints]) -> tuple[Floats, Floats]:
    """``metrics.counts`` of a ranking under resamples. weights : of rows, as :func:`row_weights` gives them."""
    return m.counts(ranking, np.ascontiguousarray(weights(ranking.order).T, dtype=np.int32))


def _ranked(wanted: Sequence[m.Metric], ranking: m.Ranking, resampler: Resampler, resamples: int) -> dict[str, Floats]:
    """Figures that depend on the order of scores, under each resample: from the weighted counts of fakes and reals at or above each
    threshold."""
    found: dict[str, list[Floats]] = {metric.name: [] for metric in wanted}
    step = max(1, BLOCK_BYTES // (8 * 8 * max(len(ranking.order), 1)))
    for draw in resampler.kept_draws(resamples):
        for start in range(0, len(draw[0]), step):
            tp, fp = weighted_counts(ranking, partial(row_weights, resampler, draw, slice(start, start + step)))
            for metric in wanted:
                found[metric.name].append(m.from_counts(metric, tp, fp))
    return {name: np.concatenate(values) for name, values in found.items()}


def _summed(
    wanted: Sequence[m.Metric], labels: NDArray[Any], probabilities: Floats, resampler: Resampler, resamples: int
) -> dict[str, Floats]:
    """Means and binned gaps, which are ratios of weighted sums."""
    n = len(labels)
    which = m.bin_of(probabilities)  # in each row, the gap stands in the column of its bin
    gaps = np.zeros((n, m.BINS))
    gaps[np.arange(n), which] = probabilities - labels
    columns = np.concatenate(
        [np.ones((n, 1))]
        + [gaps if metric.kind == "bins" else m.losses(metric, labels, probabilities)[:, None] for metric in wanted],
        axis=1,
    )
    total = _totals(columns, resampler, resamples)
    found, at = {}, 1
    for metric in wanted:
        width = m.BINS if metric.kind == "bins" else 1
        found[metric.name] = np.abs(total[:, at : at + width]).sum(axis=1) / total[:, 0]
        at += width
    return found


def mean_distribution(values: Floats, resampler: Resampler, resamples: int = RESAMPLES) -> Floats:
    """The mean of (n,) values under every resample: (resamples,), NaN where one has no row."""
    total = _totals(np.stack([np.ones(len(values)), values], axis=1), resampler, resamples)
    with np.errstate(invalid="ignore"):
        return np.asarray(total[:, 1] / total[:, 0])


def _totals(columns: Floats, resampler: Resampler, resamples: int) -> Floats:
    """Sums of columns (n, F) over the rows of every resample: (resamples, F)."""
    found = []
    if len(resampler.axes) == 1:  # summed within clusters first, so that one small product is left for a block
        sums = np.stack([np.bincount(resampler.axes[0], weights=column) for column in columns.T], axis=1)
        found = [draw[0].astype(np.float64) @ sums for draw in resampler.kept_draws(resamples)]
        return np.concatenate(found)
    n = len(columns)
    step = max(1, BLOCK_BYTES // (8 * 4 * max(n, 1)))
    for draw in resampler.kept_draws(resamples):
        for start in range(0, len(draw[0]), step):
            weights = row_weights(resampler, draw, slice(start, start + step), np.arange(n))
            found.append(weights.T.astype(np.float64) @ columns)
    return np.concatenate(found)


# --------------------------------------------------------------------------- intervals


@dataclass(frozen=True)
class Interval:
    """low, high, or why there is none."""

    low: float | None
    high: float | None
    reason: str | None = None


def quantiles(values: Floats, clusters: int, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval, widened for few clusters (Hesterberg 2015, §"expanded percentile"): the plain one is too narrow
    by √((K−1)/K) and by the normal quantile where Student's belongs."""
    from scipy import stats

    k = max(clusters, 2)
    reach = stats.t.ppf((1 + level) / 2, k - 1) * np.sqrt(k / (k - 1))
    tail = float(stats.norm.cdf(-reach))
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def too_few(clusters: int) -> str | None:
    """Why so few clusters carry no interval and no p-value; None when they do."""
    if clusters >= FEWEST_CLUSTERS:
        return None
    return f"an interval needs at least {FEWEST_CLUSTERS} independent identities or sources in each class; there are {clusters}"


def interval(values: Floats, clusters: int, level: float = 0.95, centre: float | None = None) -> Interval:
    """(resamples,) figures → interval; refused over few clusters or where resamples often lack a class.

    centre : the point value of a figure that resampling biases upwards and that cannot be negative; the interval is moved
        by that bias.
    """
    few = too_few(clusters)
    if few is not None:
        return Interval(None, None, few)
    kept = values[np.isfinite(values)]
    if len(kept) < 0.99 * len(values):
        return Interval(None, None, "resamples too often lack one of the classes")
    if kept.min() == kept.max():
        # Told apart without a mistake, say: that nothing varies here is no knowledge of others.
        return Interval(None, None, NOTHING_VARIES)
    low, high = quantiles(kept, clusters, level)
    if centre is not None:
        bias = float(kept.mean()) - centre
        low, high = max(0.0, low - bias), max(0.0, high - bias)
    return Interval(low, high)
