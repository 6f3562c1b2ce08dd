"""A smooth (thin-plate) bend of a face crop so that its landmarks come to lie where they are wanted; the border stays."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["warp"]

_GRID = 33  # the field is solved on a coarse grid and interpolated: it is smooth


def _kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    r2 = ((a[:, None] - b[None]) ** 2).sum(-1)
    return np.asarray(r2 * np.log(r2 + 1e-9))


@lru_cache(maxsize=4)
def _frame_of(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]:
    """Border knots, the coarse grid, and the pixel positions of a crop of this size."""
    edge = np.linspace(0, size - 1, 5)
    border = np.array([(x, y) for x in edge for y in edge if x in (edge[0], edge[-1]) or y in (edge[0], edge[-1])])
    at = np.linspace(0, size - 1, _GRID)
    grid = np.stack(np.meshgrid(at, at), -1).reshape(-1, 2)
    return border, grid, np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1).astype(np.float32)


def warp(frame: NDArray[np.uint8], source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Bend a crop. frame : uint8 (S, S, 3). source, target : landmarks (68, 2), pixels of the crop, before and after."""
    import cv2

    size = frame.shape[0]
    border, grid, yx = _frame_of(size)
    points = np.asarray(target, np.float64)
    knots = np.concatenate([points, border])
    shift = np.concatenate([np.asarray(source, np.float64) - points, np.zeros_like(border)])
    n = len(knots)
    plane = np.c_[np.ones(n), knots / size]
    system = np.zeros((n + 3, n + 3))
    # Landmarks of two frames may nearly coincide (closed lips): a little slack keeps the system well conditioned.
    system[:n, :n] = _kernel(knots / size, knots / size) + 1e-4 * np.eye(n)
    system[:n, n:], system[n:, :n] = plane, plane.T
    weights = np.linalg.solve(system, np.concatenate([shift, np.zeros((3, 2))]))
    coarse = np.c_[_kernel(grid / size, knots / size), np.ones(len(grid)), grid / size] @ weights
    # The grid's corners are the crop's corners: scale with aligned corners, not aligned edges.
    at = yx * np.float32((_GRID - 1) / (size - 1))
    field = cv2.remap(coarse.reshape(_GRID, _GRID, 2).astype(np.float32), at[..., 0], at[..., 1], cv2.INTER_LINEAR)
    from_where = yx + field
    bent = cv2.remap(frame, from_where[..., 0], from_where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(bent, np.uint8)
