"""Families that only resample or filter: what a small generator, an enlarger or a beauty filter leaves of a face's detail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from gioconda_core.faces.families import Made, Take
from synth.fakes.families.parts import Array, between, face_mask, paste
from synth.warp import warp

__all__ = ["Denoise", "Jitter", "Lowres", "Sharp", "Smooth"]

_ENLARGE = {
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
    "nearest": cv2.INTER_NEAREST,
}


def shrunk(frame: Array, scale: float, enlarge: str = "cubic") -> Array:
    """The frame reduced to ``scale`` by area and enlarged again."""
    height, width = frame.shape[:2]
    small = cv2.resize(
        frame, (max(8, round(width * scale)), max(8, round(height * scale))), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.resize(small, (width, height), interpolation=_ENLARGE[enlarge]))


def _masks(take: Take, grow: float = 0.0, feather: float = 0.05) -> list[Array]:
    return [face_mask(p, take.frames.shape[1], grow, feather) for p in take.landmarks]


def _made(take: Take, drawn: Sequence[Array], masks: Sequence[Array] | None, record: dict[str, Any]) -> Made:
    if masks is None:
        frames = np.stack([np.clip(d + 0.5, 0, 255).astype(np.uint8) if d.dtype != np.uint8 else d for d in drawn])
        return Made(frames, np.full(frames.shape[:3], 255, np.uint8), record)
    frames = np.stack([paste(d.astype(np.float32), f, m) for d, f, m in zip(drawn, take.frames, masks, strict=True)])
    return Made(frames, np.stack([np.ceil(m * 255).astype(np.uint8) for m in masks]), record)


class Lowres:
    """The face at a lower resolution than its surroundings, as generators of 64 to 192 pixels leave it."""

    name, version, others = "lowres", "1", False

    def make(self, take: Take, difficulty: float, rng: np.random.Generator, others: Sequence[Take] = ()) -> Made:
        scale, how = between(difficulty, 0.3, 0.75, rng), str(rng.choice(["linear", "cubic", "lanczos"]))
        grow = float(rng.uniform(-0.03, 0.12))
        drawn = [shrunk(f, scale, how) for f in take.frames]
        return _made(
            take,
            drawn,
            _masks(take, grow, float(rng.uniform(0.02, 0.08))),
            {"scale": scale, "enlarge": how, "grow": grow},
        )


class Sharp:
    """The whole picture enlarged from a smaller one and sharpened: the look of a generator with an enhancer behind it."""

    name, version, others = "sharp", "1", False

    def make(self, take: Take, difficulty: float, rng: np.random.Generator, others: Sequence[Take] = ()) -> Made:
        scale, how = between(difficulty, 0.3, 0.7, rng), str(rng.choice(["linear", "cubic", "lanczos"]))
        amount, sigma = between(difficulty, 2.0, 0.7, rng), float(rng.uniform(0.8, 2.0))
        whole = bool(rng.random() < 0.6)
        drawn = []
        for frame in take.frames:
            large = shrunk(frame, scale, how).astype(np.float32)
            drawn.append(large + amount * (large - cv2.GaussianBlur(large, (0, 0), sigma)))
        masks = None if whole else _masks(take, 0.1)
        drawn = [np.clip(d, 0, 255) for d in drawn]
        return _made(
            take, drawn, masks, {"scale": scale, "enlarge": how, "amount": amount, "sigma": sigma, "whole": whole}
        )


class Denoise:
    """Edges kept and texture taken out, by a bilateral filter; of the face, or of the whole picture."""

    name, version, others = "denoise", "1", False

    def make(self, take: Take, difficulty: float, rng: np.random.Generator, others: Sequence[Take] = ()) -> Made:
        colour, reach = between(difficulty, 45, 10, rng), float(rng.uniform(1.5, 4.0))
        whole = bool(rng.random() < 0.4)
        drawn = [cv2.bilateralFilter(f, 0, colour, reach) for f in take.frames]
        return _made(
            take, drawn, None if whole else _masks(take, 0.08), {"colour": colour, "reach": reach, "whole": whole}
        )


class Jitter:
    """The face redrawn anew at each frame: a little shift, scale and gain that no camera has."""

    name, version, others = "jitter", "1", False

    def make(self, take: Take, difficulty: float, rng: np.random.Generator, others: Sequence[Take] = ()) -> Made:
        size = take.frames.shape[1]
        shift, gain = between(difficulty, 1.2, 0.3, rng), between(difficulty, 0.03, 0.006, rng)
        drawn = []
        for frame, points in zip(take.frames, take.landmarks, strict=True):
            scale, move, middle = 1 + rng.normal(0, shift / 100), rng.normal(0, shift, 2), points.mean(0)
            offset = middle + move - scale * middle
            matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]], np.float32)
            moved = cv2.warpAffine(frame, matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            drawn.append(moved.astype(np.float32) * (1 + rng.normal(0, gain, 3) * 0.4 + rng.normal(0, gain)))
        drawn = [np.clip(d, 0, 255) for d in drawn]
        return _made(take, drawn, _masks(take, 0.05), {"shift": shift, "gain": gain})


class Smooth:
    """The face averaged with the frame before it, bent to its landmarks: the steadiness of a temporal smoother."""

    name, version, others = "smooth", "1", False

    def make(self, take: Take, difficulty: float, rng: np.random.Generator, others: Sequence[Take] = ()) -> Made:
        share = between(difficulty, 0.7, 0.35, rng)
        drawn = [take.frames[0].astype(np.float32)]
        for i in range(1, len(take)):
            if (
                np.linalg.norm(take.landmarks[i] - take.landmarks[i - 1], axis=1).mean() > 12
            ):  # another moment of the clip
                drawn.append(take.frames[i].astype(np.float32))
                continue
            before = warp(np.clip(drawn[-1], 0, 255).astype(np.uint8), take.landmarks[i - 1], take.landmarks[i])
            drawn.append(share * before + (1 - share) * take.frames[i])
        return _made(take, drawn, _masks(take, 0.08), {"share": share})
