"""Moments of a face: crops a quarter of a second apart, in windows of equal length.

The features of ``spectrum``, ``residual`` and ``texture`` are computed here, per moment; a window's vector is their mean and their
spread over its moments. Windows have one length because spread grows with length, and length must not tell the label.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect.base import Abstain, abstaining, compares_moments, read_once, reading
from detect.face_crops import prepare
from detect.features.model import Shipped
from gioconda_core.reasons import AbstentionReason
from gioconda_core.types import Footage, Reading, Shared, TrackScore

__all__ = ["PARTS", "PER_WINDOW", "STEP", "MomentDetector", "Moments", "sampling", "vectors", "windows"]

Array = NDArray[Any]
STEP = 0.25  # seconds between moments
PER_WINDOW = 8  # moments a window
LEAST = 6  # moments in a window that is still read
# The second-difference kernel of the rich models (Fridrich and Kodovský 2012): what is left is what its neighbours do not foretell.
KV = np.array([[-1, 2, -1], [2, -4, 2], [-1, 2, -1]], np.float32) / 4
SIZE, MARGIN = 224, 1.7  # the crop: about one to one for a face of 130 pixels

PARTS = {
    "spectrum": ("detect.features.spectrum", "features"),
    "residual": ("detect.features.residual", "features"),
    "regions": ("detect.features.residual", "region_features"),
    "scales": ("detect.features.residual", "scale_features"),
}
WINDOW_PARTS = {"texture": ("detect.features.texture", "features")}  # computed of a whole window at once


def sampling(duration: float, fps: float | None, windows: int = 4) -> str:
    """The ``at:…`` sampling that gives every detector here what it needs from a clip: windows of moments.

    A clip of 8 s is covered; of a longer one ``windows`` stretches of 2 s are taken, evenly spread.
    """
    if not fps or duration <= 0:
        return "even:1"
    frame = 1.0 / fps
    span = PER_WINDOW * STEP
    last = duration - frame
    count = int(min(windows, max(1, duration // span)))
    starts = (
        np.linspace(0.0, max(0.0, last - span + STEP), count) if count > 1 else [max(0.0, (last - span + STEP) / 2)]
    )
    times: list[float] = []
    for start in starts:
        for k in range(PER_WINDOW):
            at = start + k * STEP
            if at <= last:
                times.append(at)
    # a time on the grid of frames, half a frame in: so that rounding never asks for the one before
    grid = sorted({int(t * fps + 1e-6) for t in times})
    return "at:" + ",".join(f"{(index + 0.5) * frame:.4f}" for index in grid)


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of one face.

    times : (N,) seconds. crops : uint8 (N, S, S, 3). landmarks : (N, 68, 2), pixels of the crop.
    """

    track: int
    times: Array
    crops: Array
    landmarks: Array
    shared: Shared = field(default_factory=Shared)

    def __len__(self) -> int:
        return len(self.times)

    def middle(self, i: int, size: int) -> Array:
        """The size × size pixels around the middle of the face: no resampling."""
        edge = (self.crops.shape[1] - size) // 2
        return np.asarray(self.crops[i, edge : edge + size, edge : edge + size])

    def grey(self, i: int, size: int | None = None) -> Array:
        import cv2

        picture = self.crops[i] if size is None else self.middle(i, size)
        return cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY).astype(np.float32)

    def masks(self, i: int) -> dict[str, Array]:
        """Parts of the crop, bool (S, S): face, eyes, mouth, nose, rim, skin, and what lies around the head."""
        return self.shared.once(("masks", i), lambda: _masks(self.landmarks[i], self.crops.shape[1]))


def _masks(points: Array, size: int) -> dict[str, Array]:
    import cv2

    def hull(rows: Iterable[int]) -> Array:
        mask = np.zeros((size, size), np.uint8)
        cv2.fillConvexPoly(mask, cv2.convexHull(points[list(rows)].astype(np.int32)), 1)
        return mask

    def block(share: float) -> Array:
        return np.ones((int(extent * share) | 1,) * 2, np.uint8)

    extent = float(np.ptp(points, axis=0).max())
    face = hull(range(68))
    eyes = cv2.dilate(np.maximum(hull(range(36, 42)), hull(range(42, 48))), block(0.06))
    mouth, nose = hull(range(48, 68)), hull(range(27, 36))
    rim = cv2.dilate(face, block(0.12)) - cv2.erode(face, block(0.12))
    masks = {"face": face, "eyes": eyes, "mouth": mouth, "nose": nose, "rim": rim}
    masks["around"] = 1 - cv2.dilate(face, block(0.35))
    masks["skin"] = face & ~(eyes | mouth | nose | rim) & 1
    return {name: mask > 0 for name, mask in masks.items()}


def moments(footage: Footage) -> tuple[Moments, ...]:
    """Every measurable face's moments, the same for all who ask. Raises Abstain when there is none."""

    def make() -> tuple[Moments, ...]:
        faces = prepare(footage, SIZE, mode="square", margin=MARGIN, step=STEP)
        return tuple(Moments(p.track, p.times, p.crops, p.landmarks) for p in faces)

    return footage.shared.once(("moments",), make)


def windows(times: Array, least: int = LEAST) -> list[Array]:
    """Rows of each window of up to ``PER_WINDOW`` moments; a window spans no more than twice its usual length."""
    groups = []
    start = 0
    for i in range(1, len(times) + 1):
        full = i - start == PER_WINDOW
        if i == len(times) or full or times[i] - times[start] > 2 * PER_WINDOW * STEP:
            if i - start >= least:
                groups.append(np.arange(start, i))
            start = i
    return groups


def detail(of: Moments) -> float:
    """Log of the mean fine residual in the face, over its moments: how much there is to measure. −3 is a blank, 1 is grain."""
    import cv2

    fine = [np.abs(cv2.filter2D(of.grey(i), -1, KV))[of.masks(i)["face"]].mean() for i in range(len(of))]
    return float(np.mean(np.log(np.asarray(fine) + 0.05)))


def part(name: str, of: Moments, rows: list[Array]) -> Array:
    """One part's vector of each window, (W, F); measured once, whoever asks."""

    def make() -> Array:
        if name in WINDOW_PARTS:
            module, function = WINDOW_PARTS[name]
            return np.asarray(getattr(import_module(module), function)(of, rows))
        module, function = PARTS[name]
        return vectors(np.asarray(getattr(import_module(module), function)(of)), rows)

    return of.shared.once(("part", name, tuple(row.tobytes() for row in rows)), make)


def vectors(table: Array, rows: list[Array]) -> Array:
    """Features by moment (N, F) → by window (W, 2F): mean, and log of the spread."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a part that cannot be measured is NaN, which the model takes
        return np.stack(
            [np.concatenate([np.nanmean(table[r], 0), np.log(np.nanstd(table[r], 0) + 1e-3)]) for r in rows]
        )


class MomentDetector(Shipped):
    """A small model over the windows' vectors; the model says which parts it was fitted on."""

    sampling = staticmethod(sampling)

    @read_once
    @abstaining
    def read(self, footage: Footage) -> Reading:
        compares_moments(footage)
        series = []
        for face in moments(footage):
            rows = windows(face.times)
            if not rows:
                continue
            x = np.concatenate([part(name, face, rows) for name in self.model.facts["parts"]], 1)
            middle = tuple(float(face.times[r].mean()) for r in rows)
            series.append(TrackScore(face.track, middle, tuple(map(float, self.model.score(x)))))
        if not series:
            raise Abstain(AbstentionReason.TOO_FEW_MOMENTS, moments=LEAST, seconds=2 * PER_WINDOW * STEP)
        return reading(self, footage, series)
