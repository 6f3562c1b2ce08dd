"""Whether the texture of a face stays its own: the same skin seen again a quarter of a second, one and two seconds later.

Every moment's face is unwrapped onto one shape by its landmarks, so that what is left is texture. A warped portrait keeps it too
well, a generator that redraws each frame lets it swim. The surroundings are compared in place: a filmed room has fresh noise.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detect.features.windows import MomentDetector, Moments
from gioconda_core.faces.align import FACE_SHAPE

__all__ = ["TextureDetector", "features", "unwrap"]

Array = NDArray[Any]
SIDE = 112  # pixels of the unwrapped face
LAGS = (1, 3, 6)  # moments of a quarter of a second
_REGIONS = {
    "skin": [*range(1, 16), *range(27, 36)],
    "eyes": [*range(36, 48)],
    "mouth": [*range(48, 68)],
}


@lru_cache(maxsize=1)
def _sheet() -> tuple[Array, Array, Array, dict[str, Array]]:
    """Triangles of the mean shape: for each pixel inside, its three corners and their weights; and masks of the regions."""
    from scipy.spatial import Delaunay

    shape = np.asarray(FACE_SHAPE, np.float64)
    low, high = shape.min(0), shape.max(0)
    points = (shape - (low + high) / 2) / (high - low).max() * (SIDE - 6) + SIDE / 2
    mesh = Delaunay(points)
    y, x = np.mgrid[:SIDE, :SIDE]
    grid = np.stack([x.ravel(), y.ravel()], 1).astype(float)
    which = mesh.find_simplex(grid)
    inside = which >= 0
    transform = mesh.transform[which[inside]]
    two = np.einsum("nij,nj->ni", transform[:, :2], grid[inside] - transform[:, 2])
    weights = np.concatenate([two, 1 - two.sum(1, keepdims=True)], 1)

    masks = {"face": inside.reshape(SIDE, SIDE)}
    for name in ("eyes", "mouth"):
        mask = np.zeros((SIDE, SIDE), np.uint8)
        parts = (range(36, 42), range(42, 48)) if name == "eyes" else (range(48, 68),)
        for part in parts:
            cv2.fillConvexPoly(mask, cv2.convexHull(points[list(part)].astype(np.int32)), 1)
        masks[name] = cv2.dilate(mask, np.ones((7, 7), np.uint8)) > 0
    inner = cv2.erode(masks["face"].astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    masks["skin"] = inner & ~masks["eyes"] & ~masks["mouth"]
    return inside, mesh.simplices[which[inside]], weights, masks


def unwrap(grey: Array, landmarks: Array) -> Array:
    """Picture (S, S) float32 and its landmarks (68, 2) → the face on the mean shape, (SIDE, SIDE); outside it 0."""
    inside, corners, weights, _ = _sheet()
    at = np.einsum("nk,nkd->nd", weights, landmarks[corners].astype(np.float64)).astype(np.float32)
    maps = np.full((2, SIDE * SIDE), -1, np.float32)
    maps[:, inside] = at.T
    x, y = maps.reshape(2, SIDE, SIDE)
    return np.asarray(cv2.remap(grey, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT))


def _bands(picture: Array) -> list[Array]:
    """Fine, middling and coarse detail, and light."""
    soft = [cv2.GaussianBlur(picture, (0, 0), s) for s in (0.8, 1.6, 3.2, 8.0)]
    return [picture - soft[0], soft[0] - soft[1], soft[1] - soft[2], soft[2] - soft[3], soft[3]]


def _persistence(stack: Array, mask: Array) -> list[float]:
    """Stack (T, S, S) of one band → how much of it at a place is there again later, and how much of it comes and goes."""
    flat = stack[:, mask].astype(np.float64)
    if flat.shape[1] < 30:
        return [np.nan] * (len(LAGS) + 2)
    flat = flat - flat.mean(1, keepdims=True)
    norm = np.sqrt((flat**2).mean(1)) + 1e-3
    out = []
    for lag in LAGS:
        a, b = flat[:-lag], flat[lag:]
        out.append(float(np.mean((a * b).mean(1) / (norm[:-lag] * norm[lag:]))) if len(a) else np.nan)
    out.append(float(np.log(flat.std(0).mean() + 1e-2) - np.log(norm.mean() + 1e-2)))
    out.append(float(np.log(norm.std() / norm.mean() + 1e-3)))
    return out


def features(moments: Moments, rows: list[Array]) -> Array:
    """(W, F), one row a window of moments."""
    _, _, _, masks = _sheet()
    faces = [_bands(unwrap(moments.grey(i), moments.landmarks[i])) for i in range(len(moments))]
    around = [_bands(moments.grey(i)) for i in range(len(moments))]
    out = []
    for window in rows:
        row: list[float] = []
        for band in range(5):
            stack = np.stack([faces[i][band] for i in window])
            for name in ("skin", "eyes", "mouth"):
                row += _persistence(stack, masks[name])
            beside = np.logical_and.reduce([moments.masks(i)["around"] for i in window])
            row += _persistence(np.stack([around[i][band] for i in window]), beside)
        out.append(row)
    return np.array(out, dtype=np.float32)


class TextureDetector(MomentDetector):
    id = "texture"
    version = "1"
