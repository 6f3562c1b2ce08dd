"""Finds one steady crop for a whole clip, and saves face tracks to a file and reads them again.

Within a clip the crop does not follow the face: the head moves inside it, as the generator must learn to move it. The crop is
the one of :mod:`gioconda_core.faces.align` (the face square with a margin), upright, at the middle of the clip's face squares.
"""

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import MediaError, UsageError
from gioconda_core.faces import align
from gioconda_core.files import atomic_path, refuse_overwrite

MARGIN = 0.45  # of the face square on each side: room for the head to turn and nod in

Matrix = NDArray[np.float64]
Points = NDArray[np.float32]


def steady(landmarks: NDArray[np.float32], shape: tuple[int, int], size: int) -> Matrix:
    """The crop of a stretch of frames: frame pixels → crop pixels, (2, 3), no rotation.

    Parameters
    ----------
    landmarks : (T, 68, 2) pixels of the frame. shape : height and width of the frame. size : side of the crop, pixels.

    The crop is widened until every landmark lies in it and, where the frame is large enough, moved inside the frame.
    """
    boxes = np.array([align.box(points) for points in landmarks], np.float64)
    middle = np.median((boxes[:, :2] + boxes[:, 2:]) / 2, axis=0)
    side = float(np.median(boxes[:, 2] - boxes[:, 0])) * (1 + 2 * MARGIN)
    low, high = landmarks.min((0, 1)).astype(np.float64), landmarks.max((0, 1)).astype(np.float64)
    side = max(side, float((high - low).max()) * 1.06)
    middle = np.clip(middle, high - side * 0.485, low + side * 0.485)
    height, width = shape
    if side > min(height, width) > float((high - low).max()) and low.min() >= 0:
        side = float(min(height, width))  # footage that is a face crop already: take all of it
    for axis, extent in ((0, width), (1, height)):
        if side <= extent:
            middle[axis] = np.clip(middle[axis], side / 2 - 0.5, extent - side / 2 - 0.5)
    scale = size / side
    shift = (size / 2 - 0.5) - middle * scale
    return np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])


def resized(matrix: Matrix, factor: float) -> Matrix:
    """The same crop with sides ``factor`` times as long."""
    new = matrix * factor
    new[:, 2] += (factor - 1) / 2  # pixel centres are integers
    return new


def stretches(landmarks: NDArray[np.float32]) -> list[slice]:
    """Cut a track where the face has wandered too far for one crop: the union of boxes stays under two face squares."""
    out: list[slice] = []
    start = 0
    low = high = np.zeros(2)
    for k, points in enumerate(landmarks):
        box = align.box(points).astype(np.float64)
        new_low, new_high = (box[:2], box[2:]) if k == start else (np.minimum(low, box[:2]), np.maximum(high, box[2:]))
        if k > start and float((new_high - new_low).max()) > 2 * float(box[2] - box[0]):
            out.append(slice(start, k))
            start, new_low, new_high = k, box[:2], box[2:]
        low, high = new_low, new_high
    if len(landmarks):
        out.append(slice(start, len(landmarks)))
    return out


def face_mask(landmarks: Points, size: int, *, soft: float, lift: float = 0.9, reach: float = 1.0) -> NDArray[np.uint8]:
    """Faces as soft-edged convex hulls, uint8 (N, S, S), 255 inside.

    Parameters
    ----------
    landmarks : (N, 68·k, 2), pixels of the crop; with k > 1 the hull holds several poses of the same face.
    size : side of the crop. soft : standard deviation of the soft edge, pixels.
    lift : how far the forehead goes above the brows, in distances from eyes to brows; 0.9 ends below the hair, 2.6 at the crown.
    reach : the hull is grown by this factor about its middle; 1.3 brings ears, hair and chin in.
    """
    out = np.zeros((len(landmarks), size, size), np.uint8)
    for k, points in enumerate(landmarks):
        poses = points.reshape(-1, 68, 2)
        brows = poses[:, 17:27]
        up = brows.mean(1, keepdims=True) - poses[:, 36:48].mean(1, keepdims=True)
        hull = cv2.convexHull(np.concatenate([points, (brows + lift * up).reshape(-1, 2)]).astype(np.float32))
        middle = (hull.min(0) + hull.max(0)) / 2
        grown = np.round((middle + (hull - middle) * reach) * 16).astype(np.int32)
        cv2.fillConvexPoly(out[k], grown, 255, cv2.LINE_AA, 4)
        out[k] = cv2.GaussianBlur(out[k], (0, 0), soft)
    return out


def save_track(
    path: str | os.PathLike[str],
    times: NDArray[np.float64],
    landmarks: NDArray[np.float32],
    *,
    fps: Fraction | float,
    size: tuple[int, int],
    force: bool = False,
) -> None:
    """Write a track as .npz: times (T,) s, landmarks (T, 68, 2), fps (text), and the frame's height and width."""
    target = Path(path)
    if target.suffix != ".npz":
        raise UsageError("a landmark track is saved as .npz", where=str(target))
    refuse_overwrite(target, force)
    with atomic_path(target) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file, times=times.astype(np.float64), landmarks=landmarks.astype(np.float32), fps=str(fps), size=size
        )


def load_track(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a saved track: ``times``, ``landmarks``, ``found`` (T,) bool, and ``fps``, ``size`` or None.

    Raises
    ------
    MediaError
        It cannot be read, or its arrays are not a track.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            times, landmarks = data["times"].astype(np.float64), data["landmarks"].astype(np.float32)
            found = data["found"].astype(bool) if "found" in data else np.ones(len(landmarks), bool)
            fps = str(data["fps"]) if "fps" in data else None
            size = tuple(int(v) for v in data["size"]) if "size" in data else None
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise MediaError("is not a landmark track", where=str(path), hint=".npz with times and landmarks") from error
    if landmarks.shape != (len(times), 68, 2) or len(found) != len(times):
        raise MediaError(f"landmarks are {landmarks.shape}, times {times.shape}", where=str(path))
    if len(times) > 1 and not (np.diff(times) > 0).all():
        raise MediaError("times do not increase", where=str(path))
    found = found & np.isfinite(landmarks).all((1, 2))
    return {"times": times, "landmarks": landmarks, "found": found, "fps": fps, "size": size}
