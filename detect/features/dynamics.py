"""How a face moves: head pose, blinks, mouth and the tremor of landmarks over a few seconds. Needs no texture, so codecs touch it little.

Sees reenactment that moves too little, too smoothly or too independently. Does not see a swap that keeps the driver's motion.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect.base import Abstain, abstaining, compares_moments, read_once, reading
from detect.face_crops import MIN_FACE, face_px
from detect.features.model import Shipped
from gioconda_core.reasons import AbstentionReason
from gioconda_core.types import FaceTrack, Footage, Reading, TrackScore

__all__ = ["KEPT", "RATE", "WINDOW", "DynamicsDetector", "features", "windows"]

RATE = 25.0  # Hz, the rate tracks are resampled to
WINDOW = 3.0  # seconds a feature vector looks at
MIN_RATE = 10.0  # Hz; sparser tracks cannot show blinks or tremor
# Of the features, those that two ways of following the same faces agree on (correlation over 0.75, shift under 0.4 of their
# spread; 43 clips): the rest is the follower's tremor, not the face's. Leaving them out also helps on methods unseen.
KEPT = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 23, 24, 27, 28, 29, 32, 33, 36, 38, 41,
    42, 45, 46, 50, 51, 54, 55, 56, 59, 60, 61, 62, 63, 64, 65, 68, 69, 70, 71, 72, 77, 78, 80, 81, 83, 86, 90, 95,
    96, 100, 101, 103, 105, 106, 107, 109, 112, 115, 118, 121,
]  # fmt: skip
_STABLE = [*range(27, 36), 36, 39, 42, 45]  # nose and eye corners: what expression moves least
_GROUPS = {
    "jaw": slice(0, 17),
    "brows": slice(17, 27),
    "nose": slice(27, 36),
    "eyes": slice(36, 48),
    "mouth": slice(48, 68),
}
_BANDS = ((0.3, 1.5), (1.5, 4.0), (4.0, 8.0), (8.0, 12.4))  # Hz


def _similarity(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Landmarks (T, 68, 2) → pose (T, 4) [x, y, log scale, roll] and shape (T, 68, 2) with that pose taken out.

    The reference is the track's own median shape, so that identity is taken out too. Closed form, Umeyama 1991 in 2-D.
    """
    stable = points[:, _STABLE]
    centre = stable.mean(1, keepdims=True)
    z = (stable - centre) @ np.array([1.0, 1j])  # (T, P)
    reference = np.median(z.real, 0) + 1j * np.median(z.imag, 0)
    reference = reference / np.sqrt(np.mean(np.abs(reference) ** 2))
    factor = (z @ reference.conj()) / np.sum(np.abs(reference) ** 2)  # (T,) scale and rotation
    shape = ((points - centre) @ np.array([1.0, 1j])) / factor[:, None]
    size = np.median(np.abs(factor))
    pose = np.stack(
        [centre[:, 0, 0] / size, centre[:, 0, 1] / size, np.log(np.abs(factor)), np.unwrap(np.angle(factor))], 1
    )
    return pose, np.stack([shape.real, shape.imag], -1)


def _log(value: Any, floor: float = 1e-4) -> Any:
    return np.log(np.abs(value) + floor)


def _course(signal: NDArray[np.float64]) -> list[float]:
    """What one course over time (T,) is like: spread, speed, jerkiness, and where its movement lies in frequency."""
    speed = np.diff(signal) * RATE
    spectrum = np.abs(np.fft.rfft((signal - signal.mean()) * np.hanning(len(signal)))) ** 2 / len(signal)
    frequency = np.fft.rfftfreq(len(signal), 1 / RATE)
    bands = [float(_log(np.sqrt(spectrum[(frequency >= a) & (frequency < b)].mean()), 1e-4)) for a, b in _BANDS]
    acceleration = np.diff(speed)
    still = float(np.mean(np.abs(speed) < 0.25 * (np.abs(speed).mean() + 1e-6)))
    turns = float(np.mean(np.sign(acceleration[1:]) != np.sign(acceleration[:-1])))
    return [
        float(_log(signal.std())),
        float(_log(speed.std(), 1e-3)),
        float(_log(acceleration.std(), 1e-3) - _log(speed.std(), 1e-3)),
        still,
        turns,
        *bands,
    ]


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if a.std() < 1e-6 or b.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def features(points: NDArray[np.float64]) -> NDArray[np.float32]:
    """Landmarks of one window, (T, 68, 2) at ``RATE`` → a feature vector (F,), free of place, size and identity."""
    pose, shape = _similarity(np.asarray(points, dtype=np.float64))
    eye = {}
    for side, first in (("right", 36), ("left", 42)):
        lids = np.abs(shape[:, first + 1 : first + 3, 1] - shape[:, [first + 5, first + 4], 1]).mean(1)
        eye[side] = lids / (np.linalg.norm(shape[:, first + 3] - shape[:, first], axis=1) + 1e-6)
    both = (eye["right"] + eye["left"]) / 2
    width = np.linalg.norm(shape[:, 54] - shape[:, 48], axis=1)
    gap = np.linalg.norm(shape[:, 62] - shape[:, 66], axis=1)
    chin = shape[:, 8, 1]
    brows = shape[:, 17:27, 1].mean(1)
    yaw = shape[:, 30, 0] - (shape[:, 36, 0] + shape[:, 45, 0]) / 2
    pitch = shape[:, 30, 1] - (shape[:, 36, 1] + shape[:, 45, 1]) / 2
    courses = [*pose.T, both, width, gap, chin, brows, yaw, pitch]
    out: list[float] = []
    for course in courses:
        out += _course(course)
    head = np.abs(np.diff(pose, axis=0)).sum(1)
    talk = np.abs(np.diff(gap))
    out += [
        _correlation(np.diff(eye["right"]), np.diff(eye["left"])),
        _correlation(gap, chin),
        _correlation(gap, width),
    ]
    out += [
        _correlation(head, talk),
        _correlation(np.diff(pose[:, 3]), np.diff(yaw)),
        _correlation(np.diff(brows), np.diff(pitch)),
    ]
    low = np.median(both) * 0.6
    out += [
        float(np.mean(both < low)),
        float(np.sum((both[1:] < low) & (both[:-1] >= low))),
        float(both.min() / (np.median(both) + 1e-6)),
    ]
    smooth = (shape[:-2] + shape[2:]) / 2
    tremor = np.linalg.norm(shape[1:-1] - smooth, axis=-1)  # (T-2, 68)
    for part in _GROUPS.values():
        out += [
            float(_log(tremor[:, part].mean())),
            float(_log(shape[:, part].std(0).mean())),
            float(tremor[:, part].std() / (tremor[:, part].mean() + 1e-6)),
        ]
    return np.array(out, dtype=np.float32)[KEPT]


def windows(track: FaceTrack) -> list[tuple[float, NDArray[np.float64]]]:
    """(middle time, landmarks (T, 68, 2) at ``RATE``) of each half-overlapping window without a gap over 0.25 s."""
    times, points = np.asarray(track.times, dtype=np.float64), track.landmarks.astype(np.float64)
    good = np.isfinite(points).all((1, 2)) & (track.quality > 0)
    times, points = times[good], points[good]
    found = []
    cuts = np.flatnonzero(np.diff(times) > 0.25) + 1
    for run in np.split(np.arange(len(times)), cuts):
        if len(run) < MIN_RATE * WINDOW:
            continue
        start, end = times[run[0]], times[run[-1]]
        if end - start < WINDOW - 0.1 or (len(run) - 1) / (end - start) < MIN_RATE:
            continue
        count = 1 + max(0, int((end - start - WINDOW) / (WINDOW / 2)))
        for begin in np.linspace(start, max(start, end - WINDOW), count):
            grid = begin + np.arange(round(WINDOW * RATE)) / RATE
            flat = points[run].reshape(len(run), -1)
            moved = np.stack([np.interp(grid, times[run], flat[:, i]) for i in range(flat.shape[1])], 1)
            found.append((float(begin + WINDOW / 2), moved.reshape(len(grid), 68, 2)))
    return found


class DynamicsDetector(Shipped):
    """Landmark dynamics and a small model over them. Wants dense tracks: see ``detect.observe``."""

    id = "dynamics"
    version = "1"
    dense = RATE

    @read_once
    @abstaining
    def read(self, footage: Footage) -> Reading:
        compares_moments(footage)
        large = [t for t in footage.tracks if len(t) and float(np.median(face_px(t.landmarks))) >= MIN_FACE]
        if not large:
            if not footage.tracks:
                raise Abstain(AbstentionReason.NO_FACE)
            sizes = [float(np.median(face_px(t.landmarks))) for t in footage.tracks if len(t)]
            raise Abstain(AbstentionReason.FACE_TOO_SMALL, face_px=max(sizes, default=0.0), least=MIN_FACE)
        series = []
        for track in large:
            seen = windows(track)
            if seen:
                scores = self.model.score(np.stack([features(points) for _, points in seen]))
                series.append(TrackScore(track.id, tuple(time for time, _ in seen), tuple(map(float, scores))))
        if not series:
            raise Abstain(AbstentionReason.NOT_FOLLOWED, seconds=WINDOW, rate=MIN_RATE)
        return reading(self, footage, series)
