"""Draws episodes of K+1 distinct frames of one person in one video: K to embed, one to reproduce, never the same.

Sampling is stateless: episode (step, slot) depends on the seed alone, so a resumed run, and a run spread over several
processes, sees exactly the frames an uninterrupted single one would. Faulty frames are counted and replaced.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import MediaError, UsageError
from gioconda_core.faces.align import MIRROR
from synth.model.landmark_image import draw
from synth.training.options import Options
from synth.training.shards import Frame, ShardSet

_Pictures = NDArray[np.uint8]
_Episode = tuple[_Pictures, _Pictures, _Pictures, _Pictures, int]
MAX_REDRAWS = 20  # a unit with this many faulty draws in a row is given up for another


@dataclass(frozen=True, eq=False)
class Batch:
    """B episodes as uint8 arrays. shots, shot_rasters : (B, K, S, S, 3); target, raster : (B, S, S, 3); units : (B,) rows of W."""

    shots: NDArray[np.uint8]
    shot_rasters: NDArray[np.uint8]
    target: NDArray[np.uint8]
    raster: NDArray[np.uint8]
    units: NDArray[np.int64]


class EpisodeSampler:
    """Draw episodes from one or several shard folders.

    sets : opened shard folders, all of one size. options : whose ``weights`` (by default in proportion to the square root of a folder's
    units), ``shots``, ``seed``, ``augment`` (one draw an episode, so the person stays one person within it) and ``vary_shots`` they follow.
    """

    def __init__(self, sets: Sequence[ShardSet], options: Options) -> None:
        if not sets:
            raise UsageError("no shards to train on")
        if len({s.size for s in sets}) > 1:
            sizes = ", ".join(f"{s.folder}: {s.size} px" for s in sets)
            raise UsageError("shard folders differ in size", where=sizes, hint="prepare them all at one size")
        self.sets, self.size, self.options = list(sets), sets[0].size, options
        shots, weights = options.shots, options.weights
        self.skipped: Counter[str] = Counter()
        self.units: list[tuple[int, str, str]] = []  # (set, identity, source); the position is the row of W
        self._by_set: list[list[int]] = []
        for number, shards in enumerate(sets):
            usable = []
            for identity, source in shards.units:
                if len(shards.rows(identity, source)) < shots + 1:
                    self.skipped["units with fewer than K+1 frames"] += 1
                    continue
                usable.append(len(self.units))
                self.units.append((number, identity, source))
            if not usable:
                what = f"no video has the {shots + 1} frames an episode takes"
                raise UsageError(what, str(shards.folder), "lower --shots, or prepare more frames a video")
            self._by_set.append(usable)
        share = np.asarray(weights if weights is not None else [len(u) ** 0.5 for u in self._by_set], float)
        if len(share) != len(sets) or (share < 0).any() or share.sum() <= 0:
            raise UsageError("one non-negative weight for each shard folder is needed", where="--weight")
        self._share = share / share.sum()

    def keys(self) -> list[str]:
        """Names of the rows of W, in order; a resumed run checks that they are the same."""
        return [f"{identity}/{source}" for _, identity, source in self.units]

    def batch(self, step: int, size: int, *, rank: int = 0, world: int = 1) -> Batch:
        """The ``rank``-th part of the ``size`` episodes of one step; units within a step differ where there are enough."""
        options, rng = self.options, np.random.default_rng([self.options.seed, 1, step])
        shots = int(2 ** rng.integers(0, int(np.log2(options.shots)) + 1)) if options.vary_shots else options.shots
        units: list[int] = []
        for number in rng.choice(len(self.sets), size=size, p=self._share):
            pool = self._by_set[number]
            unit = int(pool[rng.integers(len(pool))])
            for _ in range(8):
                if unit not in units:
                    break
                unit = int(pool[rng.integers(len(pool))])
            units.append(unit)
        slots = range(rank * size // world, (rank + 1) * size // world)
        parts = [self.episode(units[slot], step, slot, shots) for slot in slots]
        *pictures, drawn = zip(*parts, strict=True)
        shown, shown_rasters, targets, rasters = map(np.stack, pictures)
        return Batch(shown, shown_rasters, targets, rasters, np.array(drawn, np.int64))

    def episode(self, unit: int, step: int, slot: int, shots: int) -> _Episode:
        """K frames with their landmark images, then the target with its own: all distinct rows of one unit; and that unit."""
        rng = np.random.default_rng([self.options.seed, 2, step, slot])
        frames: list[Frame] | None = None
        while frames is None:
            frames = self._draw(unit, rng, shots + 1)
            if frames is None:
                pool = self._by_set[self.units[unit][0]]
                unit = int(pool[rng.integers(len(pool))])
        pairs = [(f.frame, f.landmarks) for f in frames]
        if self.options.augment:
            pairs = jitter(pairs, rng)
        pictures = np.stack([frame for frame, _ in pairs])
        rasters = np.stack([draw(points, self.size) for _, points in pairs])
        return pictures[:-1], rasters[:-1], pictures[-1], rasters[-1], unit

    def _draw(self, unit: int, rng: np.random.Generator, wanted: int) -> list[Frame] | None:
        number, identity, source = self.units[unit]
        frames: list[Frame] = []
        faults = 0
        for row in rng.permutation(self.sets[number].rows(identity, source)):
            try:
                frames.append(self.sets[number][row])
            except MediaError as error:
                self.skipped[error.what] += 1
                faults += 1
                if sum(self.skipped.values()) > 1000 and not frames:
                    what = "too many faulty frames"
                    raise UsageError(what, str(self.sets[number].folder), f"last: {error}") from error
                if faults > MAX_REDRAWS:
                    return None
                continue
            if len(frames) == wanted:
                return frames
        return None


def jitter(
    pairs: Sequence[tuple[NDArray[np.uint8], NDArray[np.float32]]], rng: np.random.Generator
) -> list[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
    """One random mirror, shift, scale and recolouring for all frames of an episode; landmarks follow the pixels."""
    size = pairs[0][0].shape[0]
    flip = bool(rng.random() < 0.5)
    scale = rng.uniform(0.94, 1.12)
    shift = rng.uniform(-0.04, 0.04, 2) * size
    centre = (size - 1) / 2
    matrix = np.array([[scale, 0, centre * (1 - scale) + shift[0]], [0, scale, centre * (1 - scale) + shift[1]]])
    # One look-up table a channel: gain, gamma and offset of the light, the same for every frame.
    levels = np.arange(256) / 255.0
    light = rng.uniform(-0.06, 0.06)
    gains = np.stack(
        [np.clip(levels ** rng.uniform(0.85, 1.18) * rng.uniform(0.9, 1.1) + light, 0, 1) * 255 for _ in range(3)], -1
    )
    table = np.round(gains).astype(np.uint8).reshape(1, 256, 3)
    out = []
    for frame, landmarks in pairs:
        picture, points = frame, landmarks
        if flip:
            picture = np.ascontiguousarray(picture[:, ::-1])
            points = points.copy()
            points[:, 0] = size - 1 - points[:, 0]
            points = points[MIRROR]  # left and right change names with the mirror
        moved = cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        there = (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
        out.append((np.asarray(cv2.LUT(moved, table), np.uint8), there))
    return out
