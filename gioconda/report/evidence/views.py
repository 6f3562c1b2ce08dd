"""A still picture seen other ways: its JPEG grid, its noise, its error level. Views to be looked at, never verdicts."""

import io

import numpy as np
from numpy.typing import NDArray

from gioconda_core.media.pictures import Picture, jpeg
from gioconda_core.types import PictureView

SIDE = 1024  # pixels of a view on a page
QUALITY = 90  # of the JPEG that the error level is taken against
BLOCK = 8  # pixels of a JPEG block


def views(frame: Picture) -> tuple[PictureView, ...]:
    """The three views of a picture, each a JPEG of at most ``SIDE`` pixels. frame : uint8 (H, W, 3), RGB, upright."""
    grey = frame.mean(-1).astype(np.float32)
    if min(grey.shape) < 2 * BLOCK:
        return ()
    made = {"grid": _grid(grey), "noise": _noise(grey), "error-level": _error_level(frame)}
    return tuple(PictureView(kind, jpeg(picture, SIDE, quality=85)) for kind, picture in made.items())


def _shown(values: NDArray[np.float32]) -> Picture:
    """Values as a grey picture, the brightest hundredth white."""
    top = float(np.percentile(values, 99)) or 1.0
    grey = np.clip(values / top * 255, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def _grid(grey: NDArray[np.float32]) -> Picture:
    """Where steps between neighbouring pixels are larger than those beside them on the grid that fits best, block by block.

    A part that was pasted in often keeps a grid of its own, and shows none of the picture's.
    """
    import cv2

    along = [np.abs(np.diff(grey, 2, axis=axis)) for axis in (0, 1)]
    offsets = [
        int(np.argmax([a.mean(axis=1 - axis)[k::BLOCK].mean() for k in range(BLOCK)])) for axis, a in enumerate(along)
    ]
    strength = np.zeros_like(grey)
    for axis, (a, k) in enumerate(zip(along, offsets, strict=True)):
        on = np.take(a, range(k, a.shape[axis], BLOCK), axis=axis)
        off = np.take(a, range((k + 4) % BLOCK, a.shape[axis], BLOCK), axis=axis)
        n = min(on.shape[axis], off.shape[axis])
        more = np.clip(np.take(on, range(n), axis=axis) - np.take(off, range(n), axis=axis), 0, None)
        wide = np.repeat(more, BLOCK, axis=axis)
        part = tuple(slice(0, m) for m in np.minimum(wide.shape, strength.shape))
        strength[part] += wide[part]
    return _shown(np.asarray(cv2.blur(strength, (2 * BLOCK, 2 * BLOCK)), np.float32))


def _noise(grey: NDArray[np.float32]) -> Picture:
    """What a 3 × 3 median takes away, without its sign."""
    import cv2

    return _shown(np.abs(grey - np.asarray(cv2.medianBlur(grey.astype(np.uint8), 3), np.float32)))


def _error_level(frame: Picture) -> Picture:
    """How much each part changes when the picture is saved as a JPEG once more."""
    from PIL import Image

    recoded = np.asarray(Image.open(io.BytesIO(jpeg(frame, quality=QUALITY))).convert("RGB"), np.float32)
    return _shown(np.abs(frame.astype(np.float32) - recoded).max(-1))
