"""Intervals that respect identities: a bootstrap over clusters, vectorised over resamples.

With identity-correlated clips a nominal 95 % iid bootstrap covers about 55 %; resampling whole identities covers what it
says. Nested ids (every source video shows one identity) reduce to the outer one; crossed ids (a fake of A driven by B)
are resampled on both axes at once (Owen 2007, the pigeonhole bootstrap: a row's weight is the product).

Scores are sorted once; a resample is a vector of integer cluster weights. AUC under cluster weights is a quadratic form
wᵀMw with M[c, d] = pairs won by fakes of c over reals of d, so with few clusters 10,000 resamples are one matrix product.
"""

import itertools
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
MANY = 1 << 12  # clusters from which resamples are drawn, and AUC counted, one at a time and inside a core's cache
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


class _EqualCounts:
    """Draws of a multinomial of K items over K ≥ ``MANY`` clusters of equal chance, in an eighth of numpy's time for it.

    Independent Poisson counts, given that they sum to s, are such a draw of s items. Their mean is set six standard deviations
    below one, so that the sum hardly ever exceeds K (then it is drawn again), and the missing K − s items are drawn one by one.
    A count is looked up in a table by 16 random bits; where a step of the distribution falls inside a cell, 53 more bits decide.
    """

    UNSURE = 255

    def __init__(self, seed: Sequence[int], k: int) -> None:
        from scipy import stats

        self.k, self.bits = k, np.random.SFC64(seed)
        self.rng = np.random.Generator(self.bits)
        self.cdf = stats.poisson.cdf(np.arange(40), 1 - 6 / np.sqrt(k))
        cells = np.arange(1 << 16)
        count = np.searchsorted(self.cdf, cells / (1 << 16), "right")
        crossed = np.searchsorted(self.cdf, (cells + 1) / (1 << 16), "left") != count
        self.table = np.where(crossed, self.UNSURE, count).astype(np.uint8)

    def draw(self) -> NDArray[np.uint8]:
        """(K,) counts that sum to K."""
        missing = -1
        while missing < 0:  # the sum exceeds K: one draw in a billion, and not one to be mended
            cells = self.bits.random_raw(-(-self.k // 4)).view(np.uint16)[: self.k]
            out = np.take(self.table, cells)
            # In these cells of the table one count ends and the next begins: more bits say on which side it falls.
            unsure = np.flatnonzero(out == self.UNSURE)
            finer = (cells[unsure] + self.rng.random(len(unsure))) / (1 << 16)
            out[unsure] = np.searchsorted(self.cdf, finer, "left")
            missing = self.k - int(out.sum(dtype=np.uint32))
        # What the lowered mean left out, drawn one by one: the whole is then an exact draw of K.
        np.add.at(out, self.rng.integers(self.k, size=missing), np.uint8(1))
        return np.asarray(out)


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
        most = max(sizes)
        block = max(1, 32 * MANY // most) if most >= MANY else int(np.clip(BLOCK_BYTES // (16 * most), 1, 1024))
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
    if k >= MANY:
        counts = _EqualCounts(seed, k)
        return lambda b: np.stack([counts.draw() for _ in range(b)])
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
    return k <= 6000 and 15.0 * k * n / 2 + resamples * k * k * 0.1 < resamples * n * 4.0


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
    """Figures that depend on the order of scores, under each resample.

    All follow from the weighted counts of fakes and reals at or above each threshold. AUC needs less than those (:class:`_Sides`,
    :class:`_AucByRow`), and so does a figure at a small rate of false alarms (:class:`_Head`).
    """
    found: dict[str, list[Floats]] = {metric.name: [] for metric in wanted}
    n = len(ranking.order)
    step = max(1, BLOCK_BYTES // (8 * 8 * max(n, 1)))
    areas = [metric for metric in wanted if metric.base == "auc"]
    early = [metric for metric in wanted if metric.base in ("tpr", "ppv", "pauc")]
    rest = [metric for metric in wanted if metric not in areas and metric not in early]
    by_row = None
    if areas and len(resampler.axes) == 1 and resampler.clusters >= MANY and n < _AucByRow.MOST and ranking.strict:
        by_row = _AucByRow(ranking, resampler.axes[0])
    sides = _Sides.of(ranking) if areas and by_row is None else None
    head = _Head.of(ranking, max(metric.params["fpr"] for metric in early)) if early else None
    for draw in resampler.kept_draws(resamples):
        if by_row is not None:
            found[areas[0].name].append(np.array([by_row.auc(row) for row in draw[0]]))
        for start in range(0, len(draw[0]), step):
            weights = partial(row_weights, resampler, draw, slice(start, start + step))
            if sides is not None:
                found[areas[0].name].append(sides.auc(weights))
            if rest:
                tp, fp = weighted_counts(ranking, weights)
                for metric in (*rest, *early):
                    found[metric.name].append(m.from_counts(metric, tp, fp))
            elif head is not None:
                tp, fp = head.counts(ranking, weights)
                for metric in early:
                    found[metric.name].append(m.from_counts(metric, tp, fp))
    return {name: np.concatenate(values) for name, values in found.items()}


@dataclass(frozen=True, eq=False)
class _Sides:
    """The two classes in order of score, and where those of the smaller one lie in the larger: AUC takes one running sum over the
    larger class and a look-up for each of the smaller.

    low, high : how many of the larger class lie below each of the smaller, and below or level with it.
    """

    larger: Ints
    smaller: Ints
    low: Ints
    high: Ints
    fakes_smaller: bool

    @classmethod
    def of(cls, ranking: m.Ranking) -> "_Sides":
        # Which group of equal scores, highest first.
        place = np.searchsorted(ranking.ends, np.arange(len(ranking.order)))
        level = -place
        fake = ranking.fake == 1
        fakes_smaller = bool(fake.sum() <= (~fake).sum())
        small = np.flatnonzero(fake == fakes_smaller)[::-1]
        large = np.flatnonzero(fake != fakes_smaller)[::-1]
        low, high = (np.searchsorted(level[large], level[small], side) for side in ("left", "right"))
        return cls(ranking.order[large], ranking.order[small], low, high, fakes_smaller)

    def auc(self, weights: Callable[[Ints], Ints]) -> Floats:
        """AUC of each resample: NaN where one lacks a class. Integer sums, exact."""
        large, small = weights(self.larger), weights(self.smaller)
        # Running sums are looked up at a few places only: sum what lies between those, then add along them.
        edges, at = np.unique(np.concatenate([self.low, self.high, [0, len(large)]]), return_inverse=True)
        parts = [large[i:j].sum(axis=0, dtype=np.int64) for i, j in itertools.pairwise(edges)]
        below = np.concatenate([np.zeros((1, large.shape[1]), np.int64), np.cumsum(parts, axis=0)])
        n = len(self.low)
        won = below[at[:n]].astype(np.float64)
        tied = self.low != self.high
        if tied.any():
            won[tied] = (won[tied] + below[at[n : 2 * n][tied]]) / 2
        pairs = below[-1].astype(np.float64) * small.sum(axis=0, dtype=np.int64)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.einsum("nb,nb->b", won, small.astype(np.float64)) / pairs
        return np.asarray(share if self.fakes_smaller else 1 - share)


@dataclass(frozen=True, eq=False)
class _Head:
    """The top of a ranking, deep enough that a false-alarm rate is reached in it: figures at that rate need no more.

    top : of the ranking. rest : rows below it, none where the top would be most of it. fpr : the rate.
    """

    top: m.Ranking
    rest: Ints
    fpr: float

    @classmethod
    def of(cls, ranking: m.Ranking, fpr: float) -> "_Head":
        reals = np.cumsum(1 - ranking.fake)
        n = len(reals)
        # So many reals are alarmed on at the rate; a resample that weighs the top lightly needs more rows, ten deviations at most.
        mean = fpr * float(reals[-1]) if n else 0.0
        cut = int(np.searchsorted(reals, mean + 10 * np.sqrt(mean + 1) + 10))
        group = min(int(np.searchsorted(ranking.ends, cut)), len(ranking.ends) - 1)
        cut = int(ranking.ends[group]) + 1 if n else 0
        if cut > 0.8 * n:
            cut = n
        top = m.Ranking(ranking.order[:cut], ranking.ends[ranking.ends < cut], ranking.fake[:cut])
        return cls(top, ranking.order[cut:], fpr)

    def counts(self, ranking: m.Ranking, weights: Callable[[Ints], Ints]) -> tuple[Floats, Floats]:
        """As ``metrics.counts`` over the top, with the totals at the end; over all of it where a resample needs that."""
        tp, fp = weighted_counts(self.top, weights)
        if not len(self.rest):
            return tp, fp
        fake = ranking.fake[len(self.top.order) :] == 1
        all_fake = tp[:, -1] + weights(self.rest[fake]).sum(axis=0, dtype=np.int64)
        all_real = fp[:, -1] + weights(self.rest[~fake]).sum(axis=0, dtype=np.int64)
        if np.any(fp[:, -1] <= self.fpr * all_real + 1e-6):  # the rate is not reached in the top
            return weighted_counts(ranking, weights)
        return np.column_stack([tp, all_fake]), np.column_stack([fp, all_real])


class _AucByRow:
    """AUC of one resample at a time when no two scores are equal, in the same few buffers: eight bits a weight, so that what is
    read in random order fits a core's cache: a resample of 100,000 scores takes 0.3 ms instead of 49. Exact, as every sum stays below 2⁵³.
    """

    MOST = 2**31 // 255  # rows whose weights surely sum to less than 2³¹

    def __init__(self, ranking: m.Ranking, axis: Ints) -> None:
        fake = ranking.fake == 1
        cluster = axis[ranking.order]
        self.fakes, self.reals = cluster[fake], cluster[~fake]
        self.above = np.cumsum(fake)[~fake]  # fakes that outscore each real
        self.fake, self.real = np.empty(len(self.fakes), np.uint8), np.empty(len(self.reals), np.uint8)
        self.count = np.zeros(len(self.fakes) + 1, np.int32)
        self.won = np.empty(len(self.reals), np.int32)
        self.x, self.y = np.empty(len(self.reals)), np.empty(len(self.reals))

    def auc(self, draw: NDArray[np.uint8]) -> float:
        """draw : (K,) weights of clusters. NaN where the resample lacks a class."""
        np.take(draw, self.fakes, mode="clip", out=self.fake)
        np.take(draw, self.reals, mode="clip", out=self.real)
        np.cumsum(self.fake, dtype=np.int32, out=self.count[1:])
        np.take(self.count, self.above, mode="clip", out=self.won)
        self.x[:], self.y[:] = self.won, self.real
        pairs = float(self.count[-1]) * float(self.real.sum(dtype=np.uint32))
        return float(self.x @ self.y) / pairs if pairs else float("nan")


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
