"""What a media file says of itself, and the limits under which a stranger's file is read."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

from gioconda_core.media.sampling import Sampling
from gioconda_core.reasons import MediaWarning

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOO_LARGE_HINT = "scale it down; from Python, Limits(pixels=…) raises the limit for a file you trust"


@dataclass(frozen=True)
class Limits:
    """How much a file may cost. What passes a limit is a MediaError, never a crash.

    pixels : of one picture (width × height as stored, and again after pixel aspect).
    stored_pixels : of a still picture as stored; one of more than ``pixels`` is read at a half, a quarter or an eighth of its sides.
    frames : given in one pass.
    input_bytes : read from stdin.
    array_bytes : of the array that ``Clip.sample`` may build.
    memory_bytes, seconds, stall_seconds : of the worker process (``sandbox=True`` only): address space, wall time of one pass,
        and wall time without a frame.
    """

    pixels: int = 100_000_000
    stored_pixels: int = 250_000_000
    frames: int = 10_000_000
    input_bytes: int = 4 << 30
    array_bytes: int = 8 << 30
    memory_bytes: int = 4 << 30
    seconds: float = 3600.0
    stall_seconds: float = 60.0


@dataclass(frozen=True)
class ClipFacts:
    """Container facts.

    width, height : pixels of the upright frame with square pixels. reduced : ``frames`` gives one so-manieth of them, 1 = all.
    duration : seconds from the first frame to the end of the last; 0 for a still. start : of the first frame, on the clock by which players show
        the file, where they keep to it (MP4, Matroska). frame_count : None when the container does not say.
    rotation : degrees clockwise that were applied; mirrored : whether it was mirrored first; pixel_aspect : width:height of a stored pixel.
    bit_rate : bits per second of the video stream, or of the whole file when only that is known.
    matrix, transfer, primaries : H.273 numbers, 2 = not said. full_range : None when not said.
    streams : how many video streams the file has; covers : how many cover pictures beside them; sounds : how many sound tracks.
    """

    container: str
    codec: str
    width: int
    height: int
    fps: Fraction | None
    duration: float
    frame_count: int | None
    still: bool = False
    start: float = 0.0
    rotation: int = 0
    mirrored: bool = False
    pixel_aspect: Fraction = Fraction(1)
    has_audio: bool = False
    sounds: int = 0
    audio_codec: str = ""
    bit_rate: int | None = None
    pix_fmt: str = ""
    bit_depth: int = 8
    hdr: str = ""  # "PQ", "HLG" or empty
    interlaced: bool = False  # as the first frame is marked; frames are given woven
    matrix: int = 2
    transfer: int = 2
    primaries: int = 2
    full_range: bool | None = None
    profile: str = ""
    encoder: str = ""
    streams: int = 1
    covers: int = 0
    reduced: int = 1
    size_bytes: int | None = None


class Source(Protocol):
    """One opened file: what ``Clip`` stands on. Video, stills and the sandboxed worker each have one."""

    facts: ClipFacts
    warnings: list[MediaWarning]

    def play(self, sampling: Sampling) -> "Iterator[tuple[float, NDArray[np.uint8]]]":
        """(seconds, uint8 (H, W, 3) RGB upright) in display order."""
        ...

    def close(self) -> None: ...
