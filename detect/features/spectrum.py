"""The azimuthal power spectrum of the face and a logistic regression: the honest floor that every other detector must beat.

Source: Durall 2019, *Unmasking DeepFakes with simple Features*. Up-sampling leaves too much or too little at high frequencies.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect.features.windows import MomentDetector, Moments

__all__ = ["BINS", "SpectrumDetector", "azimuthal", "features"]

BINS = 48  # rings from 0 to the Nyquist frequency


@lru_cache(maxsize=4)
def _rings(size: int) -> tuple[Any, Any, Any]:
    window = np.hanning(size)[:, None] * np.hanning(size)[None]
    radius = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    ring = np.minimum((radius * 2 * BINS).astype(int), BINS)  # the corners beyond Nyquist go to one ring, left out
    return window, ring, np.bincount(ring.ravel(), minlength=BINS + 1)


def azimuthal(grey: NDArray[np.float32]) -> NDArray[np.float64]:
    """Grey picture (S, S) → log power of each ring (BINS,)."""
    window, ring, count = _rings(grey.shape[0])
    power = np.abs(np.fft.rfft2((grey - grey.mean()) * window)) ** 2
    return np.asarray(np.log(np.bincount(ring.ravel(), power.ravel(), BINS + 1) / count + 1e-3)[:BINS])


def features(moments: Moments) -> NDArray[np.float32]:
    """(N, BINS): the spectrum of the face at each moment."""
    return np.stack([azimuthal(moments.grey(i, 128)) for i in range(len(moments))]).astype(np.float32)


class SpectrumDetector(MomentDetector):
    id = "spectrum"
    version = "1"
