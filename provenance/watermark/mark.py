"""Mark pictures invisibly with 64 bits, spread over mid frequencies of the luma, and read them back without the original.

The whole frame is brought to 256×256, a large one to 512×512, so that a mark survives resizing to any size and aspect ratio and its
waves are short where there are pixels enough. Before the DCT each area is divided by its own local contrast: edges and hair, which
would outvote the mark, then say no more than skin and walls do, and a change of one or two levels is enough. The bits are spread over
the coefficients in a ring, and the embedder cancels the picture's own share of each correlation (improved spread spectrum, Malvar and
Florêncio 2003), so that what is left to fight is compression. In a clip one pattern stays for some frames, and the reader adds up
frames. Asked to, it looks again as if the edges had been cut away evenly, since the mark lies where the whole frame was.

No pixel changes by more than ``MOST`` levels, and no picture by more than ``MOST_RMS`` over all its pixels, which is a PSNR of 42 dB:
where that is not enough for a picture's bits, the mark is lost and not the picture. What it does not survive: other crops, rotation,
mirroring, strong compression, and an opponent who knows this file. It is a help for finding a stripped manifest again, never evidence
by itself. Survival over the codec ladder is in docs/performance.md.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from gioconda_core.types import Frames
from provenance.vocabulary import MARK
from provenance.watermark.code import CODED_BITS, decode, encode

ALGORITHM = MARK
GRIDS = (256, 512)  # pixels a side of the canonical luma: of small pictures, and of large ones
LARGE = 384  # pixels of the shorter side from which a picture is a large one
INNER, OUTER = 28, 100  # radii of the ring in a DCT of 256²: below is visible, above compression removes it
BAND = 4  # DCT radii in one band of equal strength
FALL = 70  # DCT radius at which trust has fallen to 1/e
CLIP = 2.5  # of the picture's own strength: how much one coefficient may vote
FLOOR = 0.5  # least strength of a band; a flat picture has none of its own
COARSE = 6.0  # pixels of 256², standard deviation: what is smoother is shading and no texture
AREA = 4.0  # likewise: the area of a local contrast
GRAIN = 1.0  # luma levels of contrast that the flattest area is taken to have: below lies what codecs leave behind
UNIT = 20.0  # luma levels: the contrast that every area is brought to
STRENGTH = 1.2  # to how many standard deviations of an unmarked picture's correlation each coded bit is pushed
SHARED = 0.95  # likewise in a clip, whose frames the reader adds up
HELD = 32  # frames that one pattern stays for
STEP, ROUNDS = 0.9, 10  # of the embedder's correction
LIMIT = 3.0  # of a band's strength: how far one coefficient may move
MOST = 4.0  # luma levels a pixel may change at most, in hair and cloth
FLAT_MOST, BUSY_MOST = 1.3, 0.5  # in a flat area, and more for each level of texture there
DARK = 25  # luma levels: at black half as much is allowed as from twice this on
CALM = 7  # pixels of 256² to each side whose least busy part counts
MOST_RMS = 1.9  # luma levels over a whole picture: 42.5 dB, of which rounding takes some
TILE = 64  # pixels a side of the tile of rounding thresholds
# Even crops that are tried: shares of the height and of the width that may be left, of both alike or of one alone.
KEPT = tuple(
    pair
    for share in np.round(np.arange(0.99, 0.74, -0.01), 2).tolist()
    for pair in ((share, share), (share, 1.0), (1.0, share))
)
READ = 32  # frames of a clip that are read at most
SCREENED, LIKELY = 6, 3  # frames by which crops are compared, and how many of them are then read in full
MIN_SIDE = 64  # pixels; a smaller picture has no room for 64 bits


@dataclass(frozen=True)
class MarkReading:
    """What was read of a mark. payload : the 64 bits, or None when no mark was read. errors : share of coded bits that had to be corrected.

    kept : the shares of the height and of the width that an even crop left, where the mark was found in one.
    An unmarked picture reads as None but for about five in 2²⁴: on each grid as it is, and as each of the likeliest crops.
    """

    payload: int | None
    errors: float
    frames: int
    kept: tuple[float, float] = (1.0, 1.0)

    @property
    def value(self) -> str | None:
        """The payload as 16 hex digits, as the soft-binding assertion writes it."""
        return None if self.payload is None else f"{self.payload:016x}"


@functools.lru_cache(maxsize=len(GRIDS))
def _layout(
    grid: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Of each coefficient of the ring: its flat DCT index, coded bit, chip (±1, from a public seed), radial bin, and weight."""
    u, v = np.meshgrid(np.arange(grid), np.arange(grid), indexing="ij")
    radius = np.hypot(u, v).ravel() * GRIDS[0] / grid
    flat = np.flatnonzero((radius >= INNER) & (radius < OUTER))
    rng = np.random.Generator(np.random.PCG64(0x6D61726B31))
    flat = flat[rng.permutation(len(flat))]
    bit = np.arange(len(flat)) % CODED_BITS
    chip = rng.choice(np.array([-1.0, 1.0]), len(flat))
    band = ((radius[flat] - INNER) // BAND).astype(np.int64)
    # Quantisation eats the outer ring first, so what lies there is trusted, and spent on, less.
    weight = np.exp(-((radius[flat] / FALL) ** 2))
    return flat, bit, chip, band, weight


@functools.lru_cache(maxsize=len(GRIDS))
def _bands(grid: int) -> list[NDArray[np.int64]]:
    """Which coefficients lie in each band."""
    band = _layout(grid)[3]
    return [np.flatnonzero(band == index) for index in range(band.max() + 1)]


@functools.lru_cache(maxsize=1)
def _thresholds() -> NDArray[np.float32]:
    """What is added before rounding, (TILE, TILE) in (-0.5, 0.5): half a level on skin would else be rounded to none."""
    order = np.random.Generator(np.random.PCG64(0x6D61726B32)).permutation(TILE * TILE).reshape(TILE, TILE)
    return ((order + 0.5) / TILE**2 - 0.5).astype(np.float32)


def _grey(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(frame.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32))


def _luma(grey: NDArray[np.float32], grid: int, kept: tuple[float, float] = (1.0, 1.0)) -> NDArray[np.float32]:
    """The canonical luma, (grid, grid); where only the middle of a picture is left, put where it was, its edges mirrored outwards."""
    import cv2

    height, width = (round(grid * share) for share in kept)
    how = cv2.INTER_AREA if min(grey.shape) >= grid else cv2.INTER_CUBIC
    middle = cv2.resize(grey, (width, height), interpolation=how)
    top, left = (grid - height) // 2, (grid - width) // 2
    around = (top, grid - height - top, left, grid - width - left)
    return np.asarray(cv2.copyMakeBorder(middle, *around, cv2.BORDER_REFLECT) if any(around) else middle, np.float32)


def _ring(evened: NDArray[np.float32]) -> NDArray[np.float64]:
    """The ring's DCT coefficients, (n,)."""
    import cv2

    return np.asarray(cv2.dct(evened).ravel()[_layout(len(evened))[0]], np.float64)


def _smooth(picture: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Two box filters one after the other, of a Gaussian's variance: their cost does not grow with their width."""
    import cv2

    width = 2 * round((np.sqrt(6 * sigma**2 + 1) - 1) / 2) + 1
    return np.asarray(cv2.blur(cv2.blur(picture, (width, width)), (width, width)), np.float32)


def _texture(luma: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A canonical luma without its shading, and what each pixel of it is multiplied by so that every area has one contrast."""
    import cv2

    grid = len(luma)
    # Both maps are smooth: the larger grid's are found on the smaller one.
    small = np.asarray(cv2.resize(luma, GRIDS[:1] * 2, interpolation=cv2.INTER_AREA), np.float32)
    coarse = cv2.resize(_smooth(small, COARSE), (grid, grid), interpolation=cv2.INTER_LINEAR)
    detail = luma - coarse
    energy = np.asarray(cv2.resize(detail * detail, GRIDS[:1] * 2, interpolation=cv2.INTER_AREA), np.float32)
    contrast = cv2.resize(np.sqrt(np.maximum(_smooth(energy, AREA), 0)), (grid, grid), interpolation=cv2.INTER_LINEAR)
    return np.asarray(detail, np.float32), np.asarray(UNIT / (contrast + GRAIN), np.float32)


def _host(luma: NDArray[np.float32]) -> NDArray[np.float64]:
    """What the picture itself says at each coefficient of the ring, (n,)."""
    detail, gain = _texture(luma)
    return _ring(detail * gain)


def _most(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    """The most that each pixel may change, in luma levels: little on skin and walls, some more in hair and cloth.

    Shading is no texture. The flat side of an edge is flat: the limit looks at the least busy neighbourhood around, or the mark would
    stand as blotches along every outline.
    """
    import cv2

    unit = len(luma) / GRIDS[0]
    detail = luma - _smooth(luma, 1.5 * unit)
    busy = np.sqrt(np.maximum(_smooth(detail * detail, 2 * unit), 0))
    side = 2 * round(CALM * unit) + 1
    calm = _smooth(np.asarray(cv2.erode(busy, np.ones((side, side), np.uint8)), np.float32), 2 * unit)
    # In the dark a level is a larger step to the eye.
    light = np.clip((_smooth(luma, 2 * unit) + DARK) / (3 * DARK), 0.5, 1)
    return np.asarray(np.minimum(FLAT_MOST + BUSY_MOST * calm, MOST) * light, np.float32)


def _scale(coefficients: NDArray[np.float64], grid: int) -> NDArray[np.float64]:
    """The picture's own strength at each coefficient's radius, (n,): root mean square of the smaller 90 % in its band."""
    band = _layout(grid)[3]
    size = np.abs(coefficients).astype(np.float32)
    out = np.empty(band.max() + 1)
    for index, members in enumerate(_bands(grid)):
        inside = size[members]
        count = int(0.9 * len(inside)) + 1
        out[index] = np.sqrt(np.mean(np.partition(inside, count - 1)[:count] ** 2))
    return np.maximum(out, FLOOR)[band]


def _project(coefficients: NDArray[np.float64], scale: NDArray[np.float64], grid: int) -> NDArray[np.float64]:
    """Whitened, clipped correlation of each coded bit, (CODED_BITS,); unit variance on an unmarked picture."""
    _, bit, chip, _, weight = _layout(grid)
    # Clipped, so that a few strong edges do not outvote dozens of quiet coefficients.
    votes = np.clip(coefficients / scale, -CLIP, CLIP) * chip * weight
    return np.bincount(bit, weights=votes, minlength=CODED_BITS) / np.sqrt(
        np.bincount(bit, weights=weight**2, minlength=CODED_BITS)
    )


def _too_small(frames: Frames) -> bool:
    return bool(min(frames.shape[1:3]) < MIN_SIDE)


def embed(frames: Frames, payload: int) -> Frames:
    """Mark every frame with the same 64 bits.

    Parameters
    ----------
    frames : uint8 (T, H, W, 3) RGB.
    payload : integer in [0, 2⁶⁴).

    Raises
    ------
    ValueError
        A frame is smaller than 64 pixels a side, or the payload does not fit.
    """
    out = np.empty_like(frames)
    for index, frame in enumerate(stream(frames, payload)):
        out[index] = frame
    return out


def stream(frames: Iterable[NDArray[np.uint8]], payload: int) -> Iterator[NDArray[np.uint8]]:
    """:func:`embed` for frames that come one by one, of which no more than ``HELD`` are kept at a time."""
    word = encode(payload).astype(np.float64)
    coming, strength = iter(frames), None
    while part := list(islice(coming, HELD)):
        together = np.stack(part)
        if _too_small(together):
            raise ValueError(f"a mark needs {MIN_SIDE} pixels a side, not {together.shape[2]}x{together.shape[1]}")
        strength = strength or (STRENGTH if len(part) == 1 else SHARED)  # one frame that comes last is still of a clip
        change = _change(together, word, strength)
        for frame in part:
            yield np.clip(frame + change[..., None], 0, 255).astype(np.uint8)


def _change(frames: Frames, word: NDArray[np.float64], strength: float) -> NDArray[np.int16]:
    """What is added to each of some frames, whole luma levels (H, W).

    One pattern for all of them: it stands still as the background does, codecs keep what does not move, and the picture's own share is
    less where a head that moves has been averaged.
    """
    import cv2

    height, width = frames.shape[1:3]
    grid = GRIDS[min(height, width) >= LARGE]
    flat, bit, chip, _, weight = _layout(grid)
    most = np.full((grid, grid), MOST, np.float32)
    gain = np.zeros((grid, grid), np.float32)
    hosts, scales = [], []
    for frame in frames:
        luma = _luma(_grey(frame), grid)
        detail, multiplied = _texture(luma)
        gain += multiplied / len(frames)
        most = np.minimum(most, _most(luma))
        hosts.append(_ring(detail * multiplied))
        scales.append(_scale(hosts[-1], grid))
    scale = np.mean(scales, 0)
    # How far one unit of change at every coefficient of a bit moves its correlation.
    pull = np.bincount(bit, weights=weight**2 / scale, minlength=CODED_BITS) / np.sqrt(
        np.bincount(bit, weights=weight**2, minlength=CODED_BITS)
    )
    change = np.zeros(len(flat))
    added = np.zeros(len(flat))
    pattern = np.zeros((grid, grid), np.float32)
    # Only what a bit lacks is added, in a few rounds because of clipping and limits: a picture that says it already costs nothing.
    for _ in range(ROUNDS):
        said = np.mean([_project(h + added, s, grid) for h, s in zip(hosts, scales, strict=True)], 0)
        lacks = np.clip(strength - word * said, 0, None)
        change = np.clip(change + (word * lacks / pull)[bit] * chip * weight * STEP, -LIMIT * scale, LIMIT * scale)
        spectrum = np.zeros(grid * grid, np.float32)
        spectrum[flat] = change
        pattern = np.clip(cv2.idct(spectrum.reshape(grid, grid)), -most, most)
        added = _ring(pattern * gain)
    # Cubic interpolation overshoots, and rounding may add half a level: the limits hold for what is written.
    wanted = np.asarray(cv2.resize(pattern, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
    wanted = wanted * np.float32(min(1.0, MOST_RMS / max(float(np.sqrt(np.mean(wanted**2))), 1e-6)))
    rounding = np.tile(_thresholds(), (height // TILE + 1, width // TILE + 1))[:height, :width]
    return np.asarray(np.clip(np.rint(wanted + rounding), -MOST, MOST), np.int16)


def read(frames: Frames, *, crops: bool = False) -> MarkReading:
    """Look for a mark. frames : uint8 (T, H, W, 3); of a long clip, ``READ`` evenly spaced frames are used.

    crops : where nothing is read, look again as if the edges had been cut away evenly; some 0.3 s more for what is unmarked.
    """
    if len(frames) == 0 or _too_small(frames):
        return MarkReading(None, 0.5, 0)
    found = MarkReading(None, 1.0, 0)
    for grid in GRIDS:
        if found.payload is None:
            found = min(
                found, *_read(frames, READ, grid), key=lambda reading: (reading.payload is None, reading.errors)
            )
    if crops and found.payload is None:
        # A large picture made small has lost what it carried before it was cropped.
        able = [grid for grid in GRIDS if min(frames.shape[1:3]) >= grid / 2]
        tried = [(grid, way) for grid in able for way in _read(frames, SCREENED * GRIDS[0] // grid, grid, KEPT)]
        likely = sorted(tried, key=lambda one: one[1].errors)[:LIKELY]
        fully = (_read(frames, READ, grid, (way.kept,))[0] for grid, way in likely)
        found = next((reading for reading in fully if reading.payload is not None), found)
    return found


def _read(
    frames: Frames, most: int, grid: int, ways: Sequence[tuple[float, float]] = ((1.0, 1.0),)
) -> list[MarkReading]:
    """What is read of at most so many frames, for each of the even crops that they are taken for."""
    picks = np.unique(np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int))
    totals = np.zeros((len(ways), CODED_BITS))
    for index in picks:
        grey = _grey(frames[index])
        for total, kept in zip(totals, ways, strict=True):
            coefficients = _host(_luma(grey, grid, kept))
            total += _project(coefficients, _scale(coefficients, grid), grid)
    decoded = map(decode, totals)
    return [
        MarkReading(payload, errors, len(picks), kept) for (payload, errors), kept in zip(decoded, ways, strict=True)
    ]
