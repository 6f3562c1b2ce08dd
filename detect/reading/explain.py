"""Shows where in a face a score comes from, as far as that can be shown.

``occlusion`` hides one part of the face after another (any detector), ``gradient`` follows the score's slope (networks). A map says what moved the
score, not what was manipulated; how often it points at a known mask is measured, see docs/experiments-detectors.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect.base import Abstain, Detector
from detect.reading.guard import run
from gioconda_core.types import Footage

Array = NDArray[Any]
MAP = 64  # side of a map
MARGIN = 1.7  # of the square a map covers, over the landmarks' extent


def occlusion(detector: Detector, footage: Footage, grid: int = 5) -> Array:
    """How much the score falls when a part of the face is hidden, float64 (MAP, MAP), over the square around the face.

    A part is hidden by its own average colour under a soft edge, in every frame, following the face. Positive = the part
    speaks for a high score. grid² + 1 readings.

    Raises
    ------
    Abstain
        When the detector has no score for the clip to begin with.
    """
    import cv2

    before = run(detector, footage)
    if before.score is None:
        assert before.abstained is not None  # a reading has one or the other
        raise Abstain(before.abstained)
    face = footage.tracks[0]
    drops = np.zeros((grid, grid))
    for row in range(grid):
        for column in range(grid):
            hidden = dataclasses.replace(footage, frames=_hidden(footage, face, row, column, grid))
            after = run(detector, hidden)
            drops[row, column] = before.score - after.score if after.score is not None else 0.0
    return np.asarray(cv2.resize(drops, (MAP, MAP), interpolation=cv2.INTER_CUBIC))


def _hidden(footage: Footage, face: Any, row: int, column: int, grid: int) -> Array:
    import cv2

    frames = footage.frames.copy()
    extent = float(np.median(np.ptp(face.landmarks, axis=1).max(1))) * MARGIN
    for i, time in enumerate(footage.times):
        at = int(np.argmin(np.abs(face.times - time)))
        if abs(face.times[at] - time) > 0.2:
            continue
        points = face.landmarks[at]
        corner = (points.min(0) + points.max(0)) / 2 - extent / 2
        low = corner + np.array([column, row]) * extent / grid
        x0, y0, x1, y1 = (max(round(float(v)), 0) for v in (*low, *(low + extent / grid)))
        if not frames[i, y0:y1, x0:x1].size:
            continue
        colour = frames[i, y0:y1, x0:x1].reshape(-1, 3).mean(0)
        sigma = max(1.0, extent / grid / 8)
        reach = int(4 * sigma) + 3  # beyond which the blurred mask is nothing
        top, left = max(y0 - reach, 0), max(x0 - reach, 0)
        part = frames[i, top : y1 + reach, left : x1 + reach]
        mask = np.zeros(part.shape[:2], np.float32)
        mask[y0 - top : y1 - top, x0 - left : x1 - left] = 1
        soft = cv2.GaussianBlur(mask, (0, 0), sigma)[..., None]
        part[:] = np.round(part * (1 - soft) + colour * soft).astype(np.uint8)
    return frames


def gradient(detector: Any, footage: Footage, steps: int = 8) -> Array:
    """What in the picture speaks for a network's high score, float64 (MAP, MAP), mean over frames of the largest face, in its own crop.

    Gradients along the way from the crop without its fine detail to the crop itself, times what changes on it; positive = speaks for a
    high score, negative = against. Source: Sundararajan 2017, *Axiomatic Attribution* (integrated gradients), from a blurred picture.
    The mean size of the gradient alone (SmoothGrad) shows where faces have edges; see docs/experiments-detectors.
    """
    import cv2
    import torch

    from detect.face_crops import prepare

    shape = detector.net.shape
    face = prepare(footage, shape.size, mode=shape.crop, max_frames=shape.temporal or 8)[0]
    plain = np.stack([cv2.GaussianBlur(crop, (0, 0), shape.size / 16) for crop in face.crops])
    x, base = (torch.tensor(crops, device=detector.device).permute(0, 3, 1, 2).float() for crops in (face.crops, plain))
    total = torch.zeros_like(x)
    for k in range(steps):
        given = (base + (x - base) * (k + 0.5) / steps).requires_grad_()
        score = detector.net(given[None] if shape.temporal else given[:, None])["clip"].sum()
        total += torch.autograd.grad(score, given)[0]
    found = (total * (x - base) / steps).sum(1).mean(0).cpu().double().numpy()
    return np.asarray(
        cv2.resize(cv2.GaussianBlur(found, (0, 0), shape.size / 32), (MAP, MAP), interpolation=cv2.INTER_AREA)
    )
