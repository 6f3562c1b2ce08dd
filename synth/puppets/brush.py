"""Brushes of the puppets' painters: soft strokes, blobs, masks and noise on a square of texels.

Texels of the head are directions from its centre, unrolled (:func:`synth.puppets.head.uv_of`).
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SIDE = 512  # head texture, texels
REACH = 2.15  # radians from straight ahead to the texture's edge


def to_texture(uv: Array) -> Array:
    """Radians → texels of the head part of the atlas."""
    return np.asarray((uv / (2 * REACH) + 0.5) * SIDE)


def noise(rng: np.random.Generator, size: int, cells: int) -> NDArray[np.float32]:
    """Smooth noise of unit variance, about ``cells`` bumps across; (size, size)."""
    small = rng.standard_normal((cells, cells)).astype(np.float32)
    return np.asarray(cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC))


def blob(at: Array, spread: tuple[float, float]) -> NDArray[np.float64]:
    """A soft round spot, 1 in the middle; (SIDE, SIDE). Nothing where it would be less than 1e-13."""
    out = np.zeros((SIDE, SIDE))
    (left, right), (top, bottom) = (
        (max(0, int(c - 5.5 * s)), max(0, min(SIDE, int(c + 5.5 * s) + 1))) for c, s in zip(at, spread, strict=True)
    )
    x, y = np.arange(left, right)[None], np.arange(top, bottom)[:, None]
    out[top:bottom, left:right] = np.exp(-(((x - at[0]) / spread[0]) ** 2) - ((y - at[1]) / spread[1]) ** 2)
    return out


def mask(points: Array, blur: float) -> NDArray[np.float32]:
    """A filled polygon with soft edges; (SIDE, SIDE) in [0, 1]."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(canvas, [np.round(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    out = canvas.astype(np.float32) / 255
    return np.asarray(cv2.GaussianBlur(out, (0, 0), blur) if blur else out)


def stroke(points: Array, width: int, blur: float) -> NDArray[np.float32]:
    """A soft line; (SIDE, SIDE) in [0, 1]."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    cv2.polylines(canvas, [np.round(points * 16).astype(np.int32)], False, 255, width, cv2.LINE_AA, 4)
    out = canvas.astype(np.float32) / 255
    return np.asarray(cv2.GaussianBlur(out, (0, 0), blur) if blur else out)


def mix(image: NDArray[np.float32], colour: Array, cover: NDArray[np.floating]) -> None:
    """Lay a colour over the picture, in place, where ``cover`` in [0, 1] says."""
    rows, columns = np.flatnonzero(cover.any(1)), np.flatnonzero(cover.any(0))
    if not len(rows):
        return
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]  # most strokes touch little of the picture
    image[part] += (np.asarray(colour, np.float32) - image[part]) * np.clip(cover[part], 0, 1)[..., None]


def fixed(p: Array) -> tuple[int, int]:
    """A point in OpenCV's fixed point, shift 4."""
    return round(float(p[0]) * 16), round(float(p[1]) * 16)


def spline(points: Array, n: int = 24) -> Array:
    """A smooth curve through a few points (Catmull-Rom, ends repeated), n samples."""
    p = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = np.linspace(0, len(points) - 1.0001, n)
    i, f = t.astype(int), (t % 1)[:, None]
    a, b, c, d = p[i], p[i + 1], p[i + 2], p[i + 3]
    return np.asarray(0.5 * (2 * b + (c - a) * f + (2 * a - 5 * b + 4 * c - d) * f**2 + (3 * b - 3 * c + d - a) * f**3))
