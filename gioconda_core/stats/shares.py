"""Exact intervals of a share: alarms among clips, counted clip by clip or with people whose clips go together; thresholds that keep it."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gioconda_core.stats import delong


@lru_cache(maxsize=4096)
def clopper_pearson(hits: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share, ``hits`` of ``n``; it covers at least what it says at any n. Source: Clopper and Pearson 1934.

    hits, n : counts, or what clips that go together are worth (see :func:`of_people`).
    """
    tail = (1 - level) / 2
    low = 0.0 if hits <= 0 else _beta_quantile(tail, hits, n - hits + 1)
    high = 1.0 if hits >= n else _beta_quantile(1 - tail, hits + 1, n - hits)
    return low, high


def _beta_quantile(share: float, a: float, b: float) -> float:
    """Where so much of the beta distribution of a and b lies below: Newton's steps, halved where they leave what is known to hold it.

    scipy.special has it; importing that takes a tenth of the processor time of a whole check.
    """
    low, high, x = 0.0, 1.0, a / (a + b)
    for _ in range(64):
        below, density = _beta(x, a, b)
        low, high = (x, high) if below < share else (low, x)
        step = x - (below - share) / density if density > 0 else math.nan
        new = step if low < step < high else (low + high) / 2
        if abs(new - x) <= 1e-15 * x or new == 1:
            return new
        x = new
    return x


def _beta(x: float, a: float, b: float) -> tuple[float, float]:
    """The share of the beta distribution of a and b that lies below x, in (0, 1), and its density there.

    Source: DLMF 8.17.22, its continued fraction by Lentz.
    """
    if x > (a + 1) / (a + b + 2):
        above, density = _beta(1 - x, b, a)
        return 1 - above, density
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    found, step, m = d, 0.0, 1
    while abs(step - 1) > 1e-15 and m < 10_000:
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / (1 + term * d), 1 + term / c
            step = c * d
            found *= step
        m += 1
    return front * found / a, front / (x * (1 - x))


def of_people(hit: NDArray[np.bool_], axes: Sequence[NDArray[np.int64]]) -> tuple[float, float]:
    """The interval of the share of (n,) ``hit``, with clips of one cluster counted together.

    axes : (n,) cluster codes, one or two that cross. n clips are worth as many independent ones as give a share the error it has
    over clusters; where all or none are hit, as many as there are clusters. Source: Korn and Graubard 1998.
    """
    n, share = len(hit), float(np.mean(hit))
    worth = float(min(len(np.unique(axis)) for axis in axes))
    if 0 < share < 1:
        error = delong.standard_error((hit - share) / n, axes)
        worth = min(float(n), share * (1 - share) / error**2) if error > 0 else worth
    return clopper_pearson(share * worth, worth)


def threshold(reals: NDArray[np.float64], rate: float, confidence: float | None = None) -> float | None:
    """The least threshold at which no more than ``rate`` of these (n,) real clips alarm, an alarm being a score at or above it.

    confidence : that *new* real clips alarm no oftener, if clips are independent: as many of these may alarm as a rate of exactly ``rate``
    would exceed with it; None where they are too few for that. Source: Angelopoulos 2021 (learn then test, fixed sequence, exact
    binomial); MAPIE's bound is a little looser, and its thresholds lie on a grid.
    """
    n = len(reals)
    allowed = int(rate * n + 1e-9)
    if confidence is not None:
        from scipy import special  # all of scipy.stats would take a second to import

        allowed = int(np.sum(special.bdtr(np.arange(allowed + 1), n, rate) <= 1 - confidence)) - 1
    return float(np.nextafter(np.sort(reals)[::-1][allowed], np.inf)) if 0 <= allowed < n else None
