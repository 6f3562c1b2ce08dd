"""Draws landmark images: 68 points, as the generator was taught to read them. Drawn at load time, never stored.

Source: Zakharov 2019, §4, in the colours of the third author's public code. There is no gaze in them.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import MediaError

# (first point, one past the last, closed, RGB), iBUG order; the inner lip (60–67) is not drawn.
LINES: tuple[tuple[int, int, bool, tuple[int, int, int]], ...] = (
    (0, 17, False, (255, 255, 255)),  # jaw
    (17, 22, False, (255, 0, 0)),  # left brow
    (22, 27, False, (0, 255, 0)),  # right brow
    (27, 31, False, (0, 0, 255)),  # nose bridge
    (31, 36, False, (0, 0, 255)),  # nostrils
    (36, 42, True, (255, 0, 255)),  # left eye
    (42, 48, True, (0, 255, 255)),  # right eye
    (48, 60, True, (255, 255, 0)),  # outer lip
)

_SHIFT = 4  # cv2 takes fixed-point coordinates: sixteenths of a pixel


def thickness(size: int) -> int:
    """Line width in pixels: 2 at the paper's 256, in proportion elsewhere, never below 1."""
    return max(1, round(2 * size / 256))


def draw(landmarks: NDArray[np.floating], size: int) -> NDArray[np.uint8]:
    """The landmark image of one face.

    Parameters
    ----------
    landmarks : (68, 2), x and y in pixels of a size × size crop; points may lie outside it.
    size : int, pixels.

    Returns
    -------
    uint8 (size, size, 3) RGB, black background, lines without anti-aliasing.

    Raises
    ------
    MediaError
        A coordinate is not a finite number, or there are not 68 points.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.shape != (68, 2):
        raise MediaError(f"landmarks have shape {points.shape}, not (68, 2)")
    if not np.isfinite(points).all():
        raise MediaError("landmarks are not finite numbers")
    # Far outside is as good as just outside, and keeps cv2's fixed point from overflowing.
    fixed = np.round(np.clip(points, -4 * size, 5 * size) * (1 << _SHIFT)).astype(np.int32)
    image = np.zeros((size, size, 3), np.uint8)
    for first, end, closed, colour in LINES:
        line = fixed[first:end].reshape(-1, 1, 2)
        cv2.polylines(image, [line], closed, colour, thickness(size), cv2.LINE_8, _SHIFT)
    return image


def rasters_of(landmarks: NDArray[np.floating], size: int) -> NDArray[np.float32]:
    """(N, 68, 2) → landmark images (N, 3, S, S) in [-1, 1], as the generator takes them."""
    drawn = np.stack([draw(points, size) for points in np.asarray(landmarks, np.float32)])
    return np.ascontiguousarray(((drawn.astype(np.float32) - 127.5) / 127.5).transpose(0, 3, 1, 2))
