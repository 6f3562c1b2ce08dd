"""How well a map of where a score comes from points at a mask that is known."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def points_inside(map_: Array, mask: Array) -> dict[str, float]:
    """How well a map points at a mask of the same square, bool (…, …): the share of its positive mass inside, the share a map that
    knows nothing would have (the mask's area), and whether its peak is inside."""
    inside = cv2.resize(mask.astype(np.float32), map_.shape[::-1], interpolation=cv2.INTER_AREA) > 0.5
    mass = np.maximum(map_, 0)
    return {
        "inside": float(mass[inside].sum() / max(mass.sum(), 1e-12)),
        "chance": float(inside.mean()),
        "peak": float(inside.flat[int(map_.argmax())]),
    }
