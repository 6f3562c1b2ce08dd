"""Self-blended images: a real face pasted onto itself with the traces of a swap, so that a detector learns seams from real footage.

Source: Shiohara & Yamasaki 2022, *Detecting Deepfakes with Self-Blended Images*. They are made while a network is trained. One set of changes is drawn for a clip and kept
through it, since a swap does not change its mind from frame to frame.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gioconda_core.faces import align

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Blend:
    """One drawn swap. gain, shift : of each colour; soften : sigma in pixels per 100 pixels of face; warp : similarity noise."""

    gain: Array
    shift: Array
    soften: float
    sharpen: float
    shrink: float
    scale: float
    move: Array
    points: Array  # which landmarks span the mask
    swell: Array  # (68,) how far each is pushed out from the middle
    feather: float
    ratio: float

    def __call__(self, frame: Array, landmarks: Array) -> tuple[Array, Array]:
        """frame uint8 (H, W, 3), landmarks (68, 2) → the blended frame and its mask, uint8 (H, W), 255 = replaced."""
        extent = align.extent(landmarks)
        picture = frame.astype(np.float32)
        source: Array = picture * self.gain + self.shift
        if self.soften:
            source = cv2.GaussianBlur(source, (0, 0), max(0.3, self.soften * extent / 100))
        if self.sharpen:
            source = source + self.sharpen * (source - cv2.GaussianBlur(source, (0, 0), 1.2))
        height, width = frame.shape[:2]
        if self.shrink < 1:
            size = (max(8, int(width * self.shrink)), max(8, int(height * self.shrink)))
            small = cv2.resize(source, size, interpolation=cv2.INTER_AREA)
            source = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
        middle = landmarks.mean(0)
        shift = middle + self.move * extent - self.scale * middle
        matrix = np.array([[self.scale, 0, shift[0]], [0, self.scale, shift[1]]], np.float32)
        source = cv2.warpAffine(source, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        spread = middle + (landmarks - middle) * self.swell[:, None]
        mask: Array = np.zeros((height, width), np.float32)
        cv2.fillConvexPoly(mask, cv2.convexHull(spread[self.points].astype(np.int32)), 1.0)
        mask = cv2.GaussianBlur(mask, (0, 0), max(0.5, self.feather * extent))
        alpha = mask[..., None] * self.ratio
        out = np.clip(source * alpha + picture * (1 - alpha), 0, 255)
        return np.round(out).astype(np.uint8), np.ceil(mask * 255).astype(np.uint8)


def draw(rng: np.random.Generator) -> Blend:
    """Draw one swap."""
    regions = (np.arange(68), np.r_[0:17, 17:27], np.r_[27:68], np.r_[17:27, 36:48, 27:36], np.r_[31:36, 48:68])
    kind = rng.integers(3)
    return Blend(
        gain=1 + rng.uniform(-0.12, 0.12) + rng.uniform(-0.05, 0.05, 3),
        shift=rng.uniform(-12, 12) + rng.uniform(-6, 6, 3),
        soften=float(rng.uniform(0.3, 1.4)) if kind == 0 else 0.0,
        sharpen=float(rng.uniform(0.3, 1.0)) if kind == 1 else 0.0,
        shrink=float(rng.uniform(0.35, 0.8)) if kind == 2 else 1.0,
        scale=float(rng.uniform(0.96, 1.04)),
        move=rng.uniform(-0.02, 0.02, 2),
        points=regions[rng.choice(5, p=[0.35, 0.25, 0.2, 0.1, 0.1])],
        swell=1 + rng.uniform(-0.12, 0.12) + rng.normal(0, 0.03, 68),
        feather=float(rng.choice([0.01, 0.03, 0.06, 0.1])),
        ratio=float(rng.choice([0.5, 0.75, 1.0, 1.0, 1.0])),
    )
