"""Exact intervals of a share: alarms among clips, counted clip by clip or with people whose clips go together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gioconda_core.stats import delong


def clopper_pearson(hits: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share, ``hits`` of ``n``; it covers at least what it says at any n. Source: Clopper and Pearson 1934.

    hits, n : counts, or what clips that go together are worth (see :func:`of_people`).
    """
    # The beta distribution's quantile alone: all of scipy.stats would take a second to import.
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = 0.0 if hits <= 0 else float(betaincinv(hits, n - hits + 1, tail))
    high = 1.0 if hits >= n else float(betaincinv(hits + 1, n - hits, 1 - tail))
    return low, high


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
