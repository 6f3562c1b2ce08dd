"""Bends a face crop smoothly (thin plate), so that its landmarks come to lie where they are wanted; the border stays."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

_GRID = 33  # the field is solved on a coarse grid and interpolated: it is smooth


def _kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    r2 = np.subtract.outer(a[:, 0], b[:, 0]) ** 2 + np.subtract.outer(a[:, 1], b[:, 1]) ** 2
    return np.asarray(r2 * np.log(r2 + 1e-9))


@lru_cache(maxsize=4)
def _frame_of(size: int, grid: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]:
    """Border knots, the coarse grid, and the pixel positions of a crop of this size."""
    edge = np.linspace(0, size - 1, 5)
    border = np.array([(x, y) for x in edge for y in edge if x in (edge[0], edge[-1]) or y in (edge[0], edge[-1])])
    at = np.linspace(0, size - 1, grid)
    coarse = np.stack(np.meshgrid(at, at), -1).reshape(-1, 2)
    return border, coarse, np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1).astype(np.float32)


def field(
    size: int,
    source: NDArray[np.floating],
    target: NDArray[np.floating],
    grid: int = _GRID,
    slack: NDArray[np.floating] | float = 0.0,
) -> NDArray[np.float32]:
    """How far from its own place each part of a bent crop comes, pixels, (grid, grid, 2).

    source, target : (N, 2), pixels of a crop with sides of ``size``, where points lie before and after.
    slack : of each point, (N,), by how much a smoother field may miss it: a weight against bending. The border is not missed.
    """
    border, coarse, _ = _frame_of(size, grid)
    points = np.asarray(target, np.float64)
    knots = np.concatenate([points, border])
    shift = np.concatenate([np.asarray(source, np.float64) - points, np.zeros_like(border)])
    n = len(knots)
    plane = np.c_[np.ones(n), knots / size]
    system = np.zeros((n + 3, n + 3))
    # Landmarks of two frames may nearly coincide (closed lips): a little slack keeps the system well conditioned.
    system[:n, :n] = _kernel(knots / size, knots / size) + 1e-4 * np.eye(n)
    system[range(len(points)), range(len(points))] += slack
    system[:n, n:], system[n:, :n] = plane, plane.T
    weights = np.linalg.solve(system, np.concatenate([shift, np.zeros((3, 2))]))
    found = np.c_[_kernel(coarse / size, knots / size), np.ones(len(coarse)), coarse / size] @ weights
    return np.asarray(found.reshape(grid, grid, 2), np.float32)


def bend(frame: NDArray[np.uint8], coarse: NDArray[np.float32], *, sharp: bool = False) -> NDArray[np.uint8]:
    """Apply a field. frame : uint8 (S, S, 3).

    sharp : the mean of linear and cubic interpolation. OpenCV's cubic (a = −0.75) alone leaves pictures sharper than true frames, linear softer.
    """
    size, grid = frame.shape[0], len(coarse)
    _, _, yx = _frame_of(size, grid)
    # The grid's corners are the crop's corners: scale with aligned corners, not aligned edges.
    at = yx * np.float32((grid - 1) / (size - 1))
    from_where = yx + cv2.remap(coarse, at[..., 0], at[..., 1], cv2.INTER_LINEAR)
    ways = (cv2.INTER_LINEAR, cv2.INTER_CUBIC) if sharp else (cv2.INTER_LINEAR,)
    x, y = from_where[..., 0], from_where[..., 1]
    bent = [cv2.remap(frame, x, y, how, borderMode=cv2.BORDER_REPLICATE) for how in ways]
    return np.asarray(cv2.addWeighted(bent[0], 0.5, bent[-1], 0.5, 0), np.uint8)


def warp(frame: NDArray[np.uint8], source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Bend a crop. frame : uint8 (S, S, 3). source, target : landmarks (68, 2), pixels of the crop, before and after."""
    return bend(frame, field(frame.shape[0], source, target))
