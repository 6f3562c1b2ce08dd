"""An invisible mark: 64 bits spread over mid frequencies of a picture's luma, read back without the original or any weights.

The whole frame is brought to 256×256, so that a mark survives resizing to any size and aspect ratio; it is spread over the DCT
coefficients in a ring, and the embedder cancels the picture's own share of each correlation (improved spread spectrum, Malvar
and Florêncio 2003), so that what is left to fight is compression. In a clip every frame carries the same bits and the
reader adds up frames. Asked to, it looks again as if the edges had been cut away evenly, since the mark lies where
the whole frame was. What it does not survive: other crops, rotation, mirroring, and an opponent who knows this file. It
is a help for finding a stripped manifest again, never evidence by itself. Survival over the codec ladder is in
docs/performance.md.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gioconda_core.types import Frames
from provenance.watermark.code import CODED_BITS, decode, encode

__all__ = ["ALGORITHM", "MarkReading", "embed", "read"]

ALGORITHM = "org.gioconda.mark.1"
GRID = 256  # pixels a side of the canonical luma
INNER, OUTER = 28, 100  # DCT radii of the ring: below is visible, above compression removes it
BAND = 4  # DCT radii in one band of equal strength
FALL = 70  # DCT radius at which trust has fallen to 1/e
CLIP = 2.5  # of the picture's own strength: how much one coefficient may vote
FLOOR = 0.5  # least strength of a band, in luma levels; a flat picture has none of its own
STRENGTH = 0.95  # standard deviations each bit is pushed to
STEP, ROUNDS = 0.2, 8  # of the embedder's correction
FLAT_ROOM = 0.12  # least room, that of a flat area
FLAT_MOST, BUSY_MOST = (
    2.0,
    0.6,
)  # luma levels a pixel may change in a flat area, and more for each level of texture there
CALM = 9  # pixels of the neighbourhood whose least busy part counts
LIMIT = 2.0  # of a band's strength: how far one coefficient may move
# Even crops that are tried: shares of the height and of the width that may be left, of both alike or of one alone.
KEPT = tuple(
    pair
    for share in np.round(np.arange(0.99, 0.74, -0.01), 2).tolist()
    for pair in ((share, share), (share, 1.0), (1.0, share))
)
SCREENED, LIKELY = 6, 3  # frames by which crops are compared, and how many of them are then read in full
MIN_SIDE = 64  # pixels; a smaller picture has no room for 64 bits


@dataclass(frozen=True)
class MarkReading:
    """payload : the 64 bits, or None when no mark was read. errors : share of coded bits that had to be corrected.

    kept : the shares of the height and of the width that an even crop left, where the mark was found in one.
    An unmarked picture reads as None but for about four in 2²⁴: as it is, and as each of the likeliest crops.
    """

    payload: int | None
    errors: float
    frames: int
    kept: tuple[float, float] = (1.0, 1.0)

    @property
    def value(self) -> str | None:
        """The payload as 16 hex digits, as the soft-binding assertion writes it."""
        return None if self.payload is None else f"{self.payload:016x}"


@functools.lru_cache(maxsize=1)
def _layout() -> tuple[
    NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]
]:
    """Of each coefficient of the ring: its flat DCT index, coded bit, chip (±1, from a public seed), radial bin, and weight."""
    u, v = np.meshgrid(np.arange(GRID), np.arange(GRID), indexing="ij")
    radius = np.hypot(u, v).ravel()
    flat = np.flatnonzero((radius >= INNER) & (radius < OUTER))
    rng = np.random.Generator(np.random.PCG64(0x6D61726B31))
    flat = flat[rng.permutation(len(flat))]
    bit = np.arange(len(flat)) % CODED_BITS
    chip = rng.choice(np.array([-1.0, 1.0]), len(flat))
    band = ((radius[flat] - INNER) // BAND).astype(np.int64)
    # Quantisation eats the outer ring first, so what lies there is trusted, and spent on, less.
    weight = np.exp(-((radius[flat] / FALL) ** 2))
    return flat, bit, chip, band, weight


def _luma(frame: NDArray[np.uint8], kept: tuple[float, float] = (1.0, 1.0)) -> NDArray[np.float32]:
    """The canonical luma, (256, 256); where only the middle of a picture is left, put where it was, its edges mirrored outwards."""
    import cv2

    grey = frame.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    height, width = (round(GRID * share) for share in kept)
    how = cv2.INTER_AREA if min(grey.shape) >= GRID else cv2.INTER_CUBIC
    middle = cv2.resize(grey, (width, height), interpolation=how)
    top, left = (GRID - height) // 2, (GRID - width) // 2
    around = (top, GRID - height - top, left, GRID - width - left)
    return np.asarray(cv2.copyMakeBorder(middle, *around, cv2.BORDER_REFLECT) if any(around) else middle, np.float32)


def _ring(luma: NDArray[np.float32]) -> NDArray[np.float64]:
    """The ring's DCT coefficients of a canonical luma, (n,)."""
    from scipy.fft import dctn

    return np.asarray(dctn(luma, norm="ortho").ravel()[_layout()[0]], np.float64)


def _room(luma: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How much change each pixel hides, (256, 256) around 1, and the most that it may change, in luma levels.

    Little in flat areas, much in hair and cloth. The flat side of an edge is flat: the limit looks at the least busy
    neighbourhood around, or the mark would stand as blotches along every outline.
    """
    import cv2

    mean = cv2.GaussianBlur(luma, (0, 0), 4)
    deviation = np.sqrt(np.maximum(cv2.GaussianBlur(luma * luma, (0, 0), 4) - mean * mean, 0))
    room = cv2.GaussianBlur(np.clip(deviation / 9, FLAT_ROOM, 1.8), (0, 0), 3)
    calm = cv2.GaussianBlur(cv2.erode(deviation, np.ones((CALM, CALM), np.uint8)), (0, 0), 2)
    return np.asarray(room, np.float32), np.asarray(FLAT_MOST + BUSY_MOST * calm, np.float32)


def _scale(coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """The picture's own strength at each coefficient's radius, (n,): root mean square of the smaller 90 % in its band."""
    _, _, _, band, _ = _layout()
    size = np.abs(coefficients)
    out = np.empty(band.max() + 1)
    for index in range(len(out)):
        inside = np.sort(size[band == index])
        out[index] = np.sqrt(np.mean(inside[: int(0.9 * len(inside)) + 1] ** 2))
    return np.maximum(out, FLOOR)[band]


def _project(coefficients: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Whitened, clipped correlation of each coded bit, (CODED_BITS,); unit variance on an unmarked picture."""
    _, bit, chip, _, weight = _layout()
    # Clipped, so that a few strong edges do not outvote dozens of quiet coefficients.
    votes = np.clip(coefficients / scale, -CLIP, CLIP) * chip * weight
    return np.bincount(bit, weights=votes, minlength=CODED_BITS) / np.sqrt(
        np.bincount(bit, weights=weight**2, minlength=CODED_BITS)
    )


def _too_small(frames: Frames) -> bool:
    return bool(min(frames.shape[1:3]) < MIN_SIDE)


def embed(frames: Frames, payload: int, strength: float = STRENGTH) -> Frames:
    """Mark every frame with the same 64 bits.

    Parameters
    ----------
    frames : uint8 (T, H, W, 3) RGB.
    payload : integer in [0, 2⁶⁴).
    strength : the margin each coded bit is pushed to, in standard deviations of an unmarked picture's correlation.

    Raises
    ------
    ValueError
        A frame is smaller than 64 pixels a side, or the payload does not fit.
    """
    import cv2
    from scipy.fft import idctn

    if _too_small(frames):
        raise ValueError(f"a mark needs {MIN_SIDE} pixels a side, not {frames.shape[2]}x{frames.shape[1]}")
    flat, bit, chip, _, weight = _layout()
    word = encode(payload).astype(np.float64)
    out = np.empty_like(frames)
    height, width = frames.shape[1:3]
    for t, frame in enumerate(frames):
        luma = _luma(frame)
        room, most = _room(luma)
        host = _ring(luma)
        scale = _scale(host)
        change = np.zeros_like(host)
        pattern = np.zeros_like(luma)
        # Only what a bit lacks is added, in a few rounds because of clipping and room: a picture that says it already costs nothing.
        for _ in range(ROUNDS):
            lacks = np.clip(strength - word * _project(_ring(luma + pattern), scale), 0, None)
            change = np.clip(change + (word * lacks)[bit] * chip * weight * scale * STEP, -LIMIT * scale, LIMIT * scale)
            spectrum = np.zeros(GRID * GRID, np.float32)
            spectrum[flat] = change
            pattern = idctn(spectrum.reshape(GRID, GRID), norm="ortho") * room
            pattern = np.clip(pattern, -most, most)
        added = cv2.resize(pattern, (width, height), interpolation=cv2.INTER_CUBIC)
        out[t] = np.clip(np.rint(frame.astype(np.float32) + added[..., None]), 0, 255).astype(np.uint8)
    return out


def read(frames: Frames, most: int = 32, *, crops: bool = False) -> MarkReading:
    """Look for a mark. frames : uint8 (T, H, W, 3); of a long clip, ``most`` evenly spaced frames are used.

    crops : where nothing is read, look again as if the edges had been cut away evenly; some 0.3 s more for what is unmarked.
    """
    if len(frames) == 0 or _too_small(frames):
        return MarkReading(None, 0.5, 0)
    found = _read(frames, most)
    if crops and found.payload is None:
        likely = sorted(KEPT, key=lambda kept: _read(frames, SCREENED, kept).errors)[:LIKELY]
        again = (_read(frames, most, kept) for kept in likely)
        found = next((reading for reading in again if reading.payload is not None), found)
    return found


def _read(frames: Frames, most: int, kept: tuple[float, float] = (1.0, 1.0)) -> MarkReading:
    picks = np.unique(np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int))
    total = np.zeros(CODED_BITS)
    for index in picks:
        coefficients = _ring(_luma(frames[index], kept))
        total += _project(coefficients, _scale(coefficients))
    payload, errors = decode(total)
    return MarkReading(payload, errors, len(picks), kept)
