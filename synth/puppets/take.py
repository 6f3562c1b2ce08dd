"""How a puppet moves and is filmed: speech, blinks, gaze, pose, light and camera as functions of time, from one seed.

Each thing has a random stream of its own and is a function of time alone, so that a longer take begins as the shorter one does.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class _Wander:
    """A smooth random path: a few sines of random frequency and phase, unit variance; the same for any number of frames."""

    def __init__(self, rng: np.random.Generator, low: float, high: float) -> None:
        self.f = np.exp(rng.uniform(np.log(low), np.log(high), 5))
        self.p = rng.uniform(0, 2 * np.pi, 5)
        self.a = rng.uniform(0.5, 1, 5)
        self.a *= np.sqrt(2 / (self.a**2).sum())

    def __call__(self, t: Array) -> Array:
        return np.asarray((self.a * np.sin(2 * np.pi * self.f * t[:, None] + self.p)).sum(1))


@dataclass(frozen=True)
class Take:
    """One take: what moves at each of T moments, and the light and camera of all of them. yaw, pitch, roll : radians."""

    weights: dict[str, Array]  # blendshape → (T,)
    yaw: Array
    pitch: Array
    roll: Array
    shift: Array  # (T, 3) head units
    body: Array  # (T, 2) head units
    gaze: Array  # (T, 2) head units on the eye
    light: tuple[Array, Array, Array, float]  # key direction, key colour, ambient colour, fill
    zoom: float
    centre: tuple[float, float]
    noise: float
    blur: float
    exposure: float
    vignette: float


def _speech(rng: np.random.Generator, t: Array) -> tuple[Array, Array, Array]:
    """Opening, width and upper-lip lift of a mouth that speaks: syllables at 3–6 Hz in phrases, with pauses."""
    opening, width, lift = np.zeros(len(t)), np.zeros(len(t)), np.zeros(len(t))
    clock = -rng.uniform(0, 1.0)
    while clock < t[-1] + 1.0:
        phrase = clock + rng.uniform(0.9, 3.2)
        while clock < phrase:
            span = rng.uniform(0.16, 0.32)
            amount, shape, up = rng.beta(2, 2.2) * 0.95, rng.normal(0, 0.5), rng.uniform(0, 0.6)
            bump = np.exp(-(((t - clock) / (span * 0.42)) ** 2))
            opening += amount * bump
            width += shape * bump
            lift += up * bump
            clock += span * rng.uniform(0.85, 1.15)
        clock = phrase + rng.uniform(0.15, 0.9)
    return np.clip(opening, 0, 1.1), np.clip(width, -1, 1), np.clip(lift, 0, 1)


def _blinks(rng: np.random.Generator, t: Array) -> Array:
    out = np.zeros(len(t))
    clock = rng.uniform(0.2, 3.0)
    while clock < t[-1] + 0.5:
        out = np.maximum(out, np.clip(1.25 * np.exp(-(((t - clock) / rng.uniform(0.055, 0.085)) ** 2)), 0, 1))
        clock += 0.35 + rng.exponential(2.6)
    return out


def take(motion: int, t: Array) -> Take:
    """The take of a number, as seed, at times t (T,) in seconds."""
    # One stream for each thing, so that a longer take begins as the shorter one does.
    streams = [np.random.default_rng([motion, 68, k]) for k in range(8)]
    opening, width, lift = _speech(streams[0], t)
    rng = streams[1]
    liveliness = rng.uniform(0.5, 1.25)

    def slow(low: float = 0.06, high: float = 0.5) -> Array:
        return _Wander(rng, low, high)(t)

    yaw = np.clip(rng.normal(0, 7) + liveliness * 7.5 * slow(), -32, 32)
    pitch = np.clip(rng.normal(1, 3) + liveliness * 4.0 * slow(0.1, 0.8) - 2.5 * (opening - 0.3), -16, 16)
    roll = np.clip(rng.normal(0, 2) + liveliness * 3.0 * slow(), -13, 13)
    shift = np.stack([0.06 * slow(), 0.03 * slow(), 0.12 * slow()], 1)
    body = np.stack([0.05 * slow(), 0.025 * slow()], 1)
    mood = rng.normal(0.12, 0.25)
    smile = np.clip(mood + 0.28 * slow(0.04, 0.25), -0.3, 1.0)
    brows = np.clip(rng.normal(0, 0.2) + 0.38 * slow(0.2, 1.2) + 0.15 * (opening - 0.4), -0.4, 1)
    blink = _blinks(streams[2], t)
    rng = streams[3]
    gaze = np.stack([-0.0009 * yaw + 0.014 * _Wander(rng, 0.2, 1.6)(t), 0.006 * _Wander(rng, 0.2, 1.2)(t)], 1)
    lid = np.clip(0.05 + 0.06 * _Wander(rng, 0.1, 0.6)(t) + 6 * gaze[:, 1] + 0.22 * np.clip(smile, 0, 1), 0, 0.5)
    shut = np.maximum(blink, lid)
    weights = {
        "jaw": 0.92 * opening,
        "smile": smile + 0.35 * np.clip(width, 0, 1),
        "pucker": np.clip(-width, 0, 1) * 0.9,
        "upper": lift * np.clip(opening * 2, 0, 1),
        "lower": 0.5 * lift * np.clip(opening * 2, 0, 1),
        "blink_left": shut,
        "blink_right": shut,
        "brow_left": brows + 0.08 * _Wander(rng, 0.1, 0.6)(t),
        "brow_right": brows + 0.08 * _Wander(rng, 0.1, 0.6)(t),
        "frown": np.clip(0.4 * _Wander(rng, 0.05, 0.4)(t), 0, 1),
    }
    rng = streams[4]
    around, height = rng.normal(0, 0.65), rng.uniform(0.15, 0.75)
    key = np.array([np.sin(around), -height, np.cos(around)])
    warm = rng.normal(0, 0.05)
    strength = rng.uniform(0.55, 0.95)
    colour = strength * np.array([1 + warm, 1.0, 1 - warm])
    ambient = (1.02 - 0.72 * strength) * np.array([1 - 0.6 * warm, 1.0, 1 + 0.6 * warm])
    return Take(
        weights=weights,
        yaw=np.deg2rad(yaw),
        pitch=np.deg2rad(pitch),
        roll=np.deg2rad(roll),
        shift=shift,
        body=body,
        gaze=gaze,
        light=(key / np.linalg.norm(key), colour, ambient, rng.uniform(0.05, 0.25)),
        zoom=rng.uniform(0.255, 0.295),
        centre=(0.5 + rng.normal(0, 0.012), 0.405 + rng.normal(0, 0.012)),
        noise=rng.uniform(1.0, 3.6),
        blur=rng.uniform(0.45, 0.75),
        exposure=rng.uniform(0.88, 1.1),
        vignette=rng.uniform(0, 0.25),
    )


def rotation(yaw: float, pitch: float, roll: float) -> Array:
    """(3, 3), of angles in radians: first about the vertical, then nodding, then tilting."""
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x @ about_y)
