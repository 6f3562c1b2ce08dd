"""What families of fakes share: how one is declared, masks of a face, pasting onto the clip, and parameters that follow a difficulty."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gioconda_core.faces import align
from gioconda_core.faces.families import Family, Made, Take

Frames = NDArray[np.uint8]
Array = NDArray[Any]
Rng = np.random.Generator
ANOTHER_MOMENT = 12  # pixels of landmark movement beyond which two frames of a take are no neighbours


def family(name: str, version: str, *, swaps: bool = False) -> Callable[[Callable[..., Made]], type[Family]]:
    """Make a family, which is a class, of the function that makes its fakes from a take, a difficulty and lots.

    swaps : the function is also given takes of other persons.
    """

    def declared(draw: Callable[..., Made]) -> type[Family]:
        def make(_: Family, take: Take, difficulty: float, rng: Rng, others: Sequence[Take] = ()) -> Made:
            return draw(take, difficulty, rng, *([others] if swaps else []))

        own = {"name": name, "version": version, "others": swaps, "make": make, "__doc__": draw.__doc__}
        return type(draw.__name__, (), own | {"__module__": draw.__module__})

    return declared


def face_mask(points: Array, size: int, grow: float = 0.0, feather: float = 0.05, rows: Array | None = None) -> Array:
    """Soft mask, float32 (S, S) in [0, 1], of the hull of these landmarks and the forehead above the brows.

    grow, feather : shares of the face's extent.
    """
    extent = align.extent(points)
    own = np.asarray(points if rows is None else points[rows], np.float32)
    if rows is None:
        own = np.concatenate([own, points[17:27] + (points[17:27].mean(0) - points[8]) * 0.22])
    mask: Array = np.zeros((size, size), np.float32)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(own).astype(np.int32)), 1.0)
    if grow:
        reach = max(1, round(abs(grow) * extent))
        block = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        mask = cv2.dilate(mask, block) if grow > 0 else cv2.erode(mask, block)
    return np.clip(cv2.GaussianBlur(mask, (0, 0), max(0.5, feather * extent)), 0, 1).astype(np.float32)


def paste(over: Array, under: Array, mask: Array) -> Frames:
    """``over`` where the mask is 1, ``under`` where it is 0; uint8 (S, S, 3)."""
    m = mask[..., None]
    return np.asarray(np.clip(over * m + under.astype(np.float32) * (1 - m) + 0.5, 0, 255).astype(np.uint8))


def masks_of(take: Take, grow: float, feather: float = 0.05) -> list[Array]:
    """The mask of :func:`face_mask` for each frame."""
    return [face_mask(points, take.frames.shape[1], grow, feather) for points in take.landmarks]


def whole(frames: Array, record: Mapping[str, Any]) -> Made:
    """A fake all of whose pixels were made. frames : (N, S, S, 3) in grey levels of any number type."""
    if frames.dtype != np.uint8:
        frames = np.clip(frames + 0.5, 0, 255).astype(np.uint8)
    return Made(frames, np.full(frames.shape[:3], 255, np.uint8), record)


def pasted(drawn: Iterable[Array], take: Take, masks: Sequence[Array], record: Mapping[str, Any]) -> Made:
    """A fake drawn in the masks alone. drawn : a picture for each frame of the take, grey levels."""
    frames = [paste(d, f, m) for d, f, m in zip(drawn, take.frames, masks, strict=True)]
    return Made(np.stack(frames), np.stack([np.ceil(m * 255).astype(np.uint8) for m in masks]), record)


def between(difficulty: float, easy: float, hard: float, rng: Rng) -> float:
    """A parameter at this difficulty, give or take a tenth of the way."""
    share = float(np.clip(difficulty + rng.uniform(-0.1, 0.1), 0, 1))
    return easy + (hard - easy) * share


def neighbour(landmarks: Array, i: int) -> int | None:
    """Which of the frames beside frame ``i`` lies nearer by its landmarks (N, 68, 2); None where both are of another moment."""
    beside = [k for k in (i - 1, i + 1) if 0 <= k < len(landmarks)]
    apart = [(float(np.linalg.norm(landmarks[k] - landmarks[i], axis=1).mean()), k) for k in beside]
    return next((k for distance, k in sorted(apart) if distance <= ANOTHER_MOMENT), None)
