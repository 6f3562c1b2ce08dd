"""Small pictures of ingredients, made here: from pictures and from a video's first frame.

The SDK makes thumbnails of pictures only, enlarges small ones to 1024 pixels, and spends more time on that than on signing.
"""

from __future__ import annotations

import io
from pathlib import Path

from gioconda_core.errors import GiocondaError

__all__ = ["of"]

SIDE = 256  # pixels, the longer side at most
QUALITY = 80


def of(path: str | Path) -> bytes | None:
    """JPEG bytes of a picture or of a clip's first frame; None when there is nothing to see or it cannot be decoded."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture)
            assert upright is not None
            return _jpeg(upright)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        pass
    from gioconda_core.media.clip import Clip

    try:
        with Clip.open(path) as clip:
            for _, frame in clip.frames("at:0"):
                return _jpeg(Image.fromarray(frame))
    except (GiocondaError, OSError, ValueError):
        return None
    return None


def _jpeg(picture: object) -> bytes:
    from PIL import Image

    assert isinstance(picture, Image.Image)
    small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
