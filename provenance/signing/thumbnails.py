"""Make small pictures of ingredients, from a picture or from a video's first frame.

The SDK makes thumbnails of pictures only, enlarges small ones to 1024 pixels, and spends more time on that than on signing.
"""

from pathlib import Path

from gioconda_core.errors import GiocondaError
from gioconda_core.media.clip import Clip
from gioconda_core.media.pictures import jpeg

SIDE = 256  # pixels, the longer side at most


def of(path: str | Path) -> bytes | None:
    """JPEG bytes of a picture or of a clip's first frame; None when there is nothing to see or it cannot be decoded."""
    try:
        with Clip.open(path) as clip:
            for _, frame in clip.frames("at:0"):
                return jpeg(frame, SIDE, quality=80)
    except (GiocondaError, OSError, ValueError):
        return None
    return None
