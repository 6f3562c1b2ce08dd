"""Measures how a face differs from its own surroundings in the maps of a frozen network: in texture, and from one frame to the next.

Nothing absolute is asked of the surroundings: a camera, a codec or an enlarger marks face and room alike, a generator often marks one of
them. Pairs of frames lie a fixed time apart, so that the frame rate tells nothing; they are spread over the clip in
proportion to its length.
Source: ours; why support vectors over frozen maps, and over these, is in docs/decisions/detectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect.base import Abstain, abstaining, read_once, reading, refuse_still
from detect.face_crops import by_size, refuse_small, usable
from detect.features import backbone
from detect.features.model import Shipped
from gioconda_core.faces import align
from gioconda_core.reasons import AbstentionReason
from gioconda_core.types import FaceTrack, Footage, Reading, TrackScore

Array = NDArray[Any]
APART = 0.04  # seconds between the frames of a pair: one frame at 25 a second, and the nearest one at any other rate
MOST_APART = 0.11  # a pair further apart compares two poses, not two drawings of one
MOMENTS = 8  # pairs a window
WINDOW = 8.0  # seconds a window covers, at most; a longer clip has more of them
WINDOWS = 4  # of the longest
LEAST = 4  # pairs a window needs to be read
WHOLE = 2.8  # a picture whose shorter side is under so many faces is a face crop already, and is taken whole
MARGIN = 2.0  # else a square of so many faces
MAX_FACES = 4  # the largest are read
AROUND = 0.25  # of the face's extent: what is nearer to the face than this is the ring, and belongs to neither side
LIPS = 0.06  # of the face's extent, by which the mouth reaches beyond its lips
QUALITY = 92  # of the JPEG that every picture passes before it is measured
BLOCKS = 9  # of features, as many as channels in each
# Of the face's extent: of real clips' faces none of 232 changes so little, of photographs moved over 43 of 46 (docs/experiments-detectors).
RIGID = 0.004
FLOOR = 1e-3  # of a map's values, below which a spread is nothing


def pair_frames(duration: float, fps: float, shift: float = 0.0) -> list[tuple[int, int]]:
    """The frames to look at, by number from 0: (first, second) of each pair, eight pairs in every stretch of about 8 s, 40 ms within a pair.

    duration : seconds. fps : frames a second. shift : by which all pairs lie later, in shares of the distance between two of them; for
    another look at the same clip.
    """
    step = max(1, round(APART * fps))
    count = MOMENTS * int(min(WINDOWS, max(1, round(duration / WINDOW))))
    span = max(0.0, duration - 2 * APART)
    last = max(0, round(duration * fps) - 1)
    firsts = [min(round((k + 0.5 + shift) / count * span * fps), max(0, last - step)) for k in range(count)]
    return [(first, min(first + step, last)) for first in dict.fromkeys(firsts)]


def sampling(duration: float, fps: float | None, shift: float = 0.0) -> str:
    """The ``at:…`` sampling of those pairs; one frame of what does not move. shift : of :func:`pair_frames`."""
    if not fps or duration <= 0:
        return "even:1"
    return at(sorted({frame for pair in pair_frames(duration, fps, shift) for frame in pair}), fps)


def at(frames: Sequence[int], fps: float) -> str:
    """The ``at:…`` sampling of frames by number: half a frame in, so that rounding never asks for the one before."""
    return "at:" + ",".join(f"{(frame + 0.5) / fps:.4f}" for frame in frames)


@dataclass(frozen=True, eq=False)
class Pairs:
    """One face at several moments.

    track : id. times : (M,) seconds of the first frames. pictures : uint8 (M, 2, 256, 256, 3). landmarks, second : (M, 68, 2), pixels of
    the first and of the second picture.
    """

    track: int
    times: Array
    pictures: Array
    landmarks: Array
    second: Array

    def __len__(self) -> int:
        return len(self.times)


def pairs(footage: Footage) -> tuple[Pairs, ...]:
    """Pairs of the largest faces, largest first.

    Raises
    ------
    Abstain
        No face can be measured in two frames that lie near enough, or none of them ever changes.
    """
    if len(footage.frames) == 0:
        raise Abstain(AbstentionReason.NO_PICTURE)
    refuse_still(footage)
    if not footage.tracks:
        raise Abstain(AbstentionReason.NO_FACE)
    near = _neighbours(np.asarray(footage.times, float))
    if not near:
        raise Abstain(AbstentionReason.FRAMES_TOO_FAR_APART, seconds=MOST_APART)
    order = by_size(footage)
    found = [face for track in order[:MAX_FACES] if (face := _of(footage, track, near))]
    if not found:
        refuse_small(order)
        most = max(sum(frame in near for frame, _ in usable(track, footage.times)) for track in order)
        raise Abstain(AbstentionReason.TOO_FEW_PAIRS, seen=most, needed=LEAST)
    alive = tuple(face for face in found if changes(face.landmarks) >= RIGID)
    if not alive:
        times = found[0].times
        raise Abstain(AbstentionReason.FACE_NEVER_CHANGES, moments=len(times), seconds=float(times[-1] - times[0]))
    return alive


def changes(landmarks: Array) -> float:
    """How far the points of a face (M, 68, 2) wander from their mean places once an affine map has laid each moment over the first, as
    it can lay photographs over one another that are moved, enlarged or seen aslant: root mean square, in shares of the face's extent."""
    first = landmarks[0].astype(np.float64)
    laid = []
    for points in landmarks.astype(np.float64):
        x = np.c_[points, np.ones(len(points))]
        laid.append(x @ np.linalg.lstsq(x, first, rcond=None)[0])
    wander = np.stack(laid) - np.mean(laid, 0)
    return float(np.sqrt((wander**2).sum(-1).mean()) / align.extent(first))


def _neighbours(times: Array) -> dict[int, int]:
    """First frame → second frame of each pair; no frame is the first of one and the second of another."""
    found, i = {}, 0
    while i < len(times) - 1:
        later = times[i + 1 :] - times[i]
        near = np.flatnonzero((later > 1e-4) & (later <= MOST_APART))
        if not len(near):
            i += 1
            continue
        j = i + 1 + int(near[np.argmin(np.abs(later[near] - APART))])
        found[i] = j
        i = j + 1
    return found


def _of(footage: Footage, track: FaceTrack, near: dict[int, int]) -> Pairs | None:
    rows = dict(usable(track, footage.times))
    seen = [frame for frame in rows if frame in near]
    if len(seen) < LEAST:
        return None
    extent = track.extent
    pictures, landmarks = [], []
    for frame in seen:
        # The tracker may have lost the face in the very next frame: it has not gone far.
        points = np.stack([track.landmarks[rows[frame]], track.landmarks[rows.get(near[frame], rows[frame])]])
        both, points = cut([footage.frames[k] for k in (frame, near[frame])], points, extent)
        pictures.append(both)
        landmarks.append(points)
    times = np.asarray(footage.times, float)[seen]
    first, second = np.stack(landmarks, 1).astype(np.float32)
    return Pairs(track.id, times, np.stack(pictures), first, second)


def cut(frames: Sequence[Array], points: Array, extent: float) -> tuple[Array, Array]:
    """Frames of one size, all cut alike around the first of the landmarks: uint8 (k, 256, 256, 3), and landmarks (n, 68, 2) moved into them.

    extent : of the face, pixels of the frame.
    """
    import cv2

    around = points[0]
    height, width = frames[0].shape[:2]
    short = min(height, width)
    side = short if short <= WHOLE * extent else min(short, round(MARGIN * extent))
    middle = (around.min(0) + around.max(0)) / 2
    left, top = (
        int(np.clip(round(float(m) - side / 2), 0, full - side))
        for m, full in zip(middle, (width, height), strict=True)
    )
    how = cv2.INTER_AREA if side > backbone.SIDE else cv2.INTER_CUBIC
    patches = [frame[top : top + side, left : left + side] for frame in frames]
    if side != backbone.SIDE:
        patches = [cv2.resize(patch, (backbone.SIDE, backbone.SIDE), interpolation=how) for patch in patches]
    return np.stack(patches), ((points - (left, top) + 0.5) * (backbone.SIDE / side) - 0.5).astype(np.float32)


def masks(points: Array, size: int = backbone.SIDE) -> tuple[Array, Array]:
    """The face (the hull of its 68 points) and its surroundings (outside it by a quarter of its extent), float32 (S, S)."""
    face = _hull(points, size)
    return face.astype(np.float32), (1 - _grown(face, AROUND * align.extent(points))).astype(np.float32)


def regions(points: Array, size: int = backbone.SIDE) -> Array:
    """Face, surroundings, mouth, and the ring between face and surroundings (hair, neck, ears), float32 (4, S, S) in [0, 1]."""
    face, room = masks(points, size)
    mouth = _grown(_hull(points[48:68], size), max(1.0, LIPS * align.extent(points)))
    return np.stack([face, room, mouth.astype(np.float32), np.clip(1 - face - room, 0, 1)])


def _hull(points: Array, size: int) -> Array:
    import cv2

    mask = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points).astype(np.int32)), 1)
    return mask


def _grown(mask: Array, by: float) -> Array:
    """A convex mask dilated by an ellipse of so many pixels; what lies outside the picture counts as empty.

    Row by row, of which each is one run of pixels: ``cv2.dilate`` looks at every pixel of the ellipse for every one of the picture.
    """
    import cv2

    reach, size = int(by), len(mask)
    block = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    wider = np.asarray(block).sum(1, dtype=np.int64) // 2
    rows = np.flatnonzero(mask.any(1))
    first, last = mask[rows].argmax(1), size - 1 - mask[rows, ::-1].argmax(1)
    at = rows[:, None] + np.arange(-reach, reach + 1)
    inside = (at >= 0) & (at < size)
    left, right = np.full(size, size), np.full(size, -1)
    np.minimum.at(left, at[inside], (first[:, None] - wider)[inside])
    np.maximum.at(right, at[inside], (last[:, None] + wider)[inside])
    x = np.arange(size)
    return ((x >= left[:, None]) & (x <= right[:, None])).astype(np.uint8)


def through_jpeg(pictures: Array) -> Array:
    """Pictures uint8 (N, H, W, 3) as a JPEG leaves them. What was coded last marks a picture most: here it is the same for all, for real
    clips, for fakes as found and for those made here of decoded frames, so that only what lies beneath it can tell them apart."""
    import cv2

    found = []
    for picture in pictures:
        _, file = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        decoded: Any = cv2.imdecode(file, cv2.IMREAD_COLOR)
        found.append(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB))
    return np.stack(found)


def statistics(pictures: Array, landmarks: Array) -> Array:
    """Pairs uint8 (M, 2, 256, 256, 3) and landmarks (M, 68, 2) → (M, C, 4, 3) of every channel in each of the :func:`regions`: the mean of the
    first frame, its spread, and the mean absolute difference of the two frames; all after :func:`through_jpeg`. A region that lies outside the
    picture is NaN."""
    # A few at a time: the maps of all take a gigabyte.
    starts = range(0, len(pictures), MOMENTS)
    return np.concatenate([_statistics(pictures[k : k + MOMENTS], landmarks[k : k + MOMENTS]) for k in starts])


def _statistics(pictures: Array, landmarks: Array) -> Array:
    import cv2

    found = []
    where = [regions(points).transpose(1, 2, 0) for points in landmarks]
    for level in backbone.maps(through_jpeg(pictures.reshape(-1, *pictures.shape[2:]))):
        channels, height, width = level.shape[1:]
        flat = level.reshape(len(pictures), 2, channels, height * width)
        rows = []
        for (first, second), masks_ in zip(flat, where, strict=True):
            weight = cv2.resize(masks_, (width, height), interpolation=cv2.INTER_AREA).reshape(height * width, -1)
            total = weight.sum(0)
            weight = np.where(total > 0.5, weight / np.maximum(total, 1e-6), np.nan)
            mean = first @ weight
            spread = np.sqrt(np.maximum(first**2 @ weight - mean**2, 0))
            rows.append(np.stack([mean, spread, np.abs(second - first) @ weight], -1))
        found.append(np.stack(rows))
    return np.concatenate(found, 1).astype(np.float32)


def features(table: Array) -> Array:
    """:func:`statistics` of one window (M, C, 4, 3) → (9 C,), in blocks of C: mean inside the face; log spread inside; log spread inside over the
    surroundings', the mouth's over the face's, the face's over the ring's; log change from frame to frame, the same three; and how far
    the log spread inside wanders over the window.

    Changes are averaged before the logarithm: a repeated frame is not a log of nothing. Change by itself is left out: it tells how much
    a person moves and how a clip was encoded (docs/decisions/detectors)."""
    table = table.astype(np.float64)
    spread = np.log(table[..., 1] + FLOOR)  # (M, C, 4)
    change = np.log(table[..., 2].mean(0) + FLOOR)  # (C, 4)
    face, room, mouth, ring = range(4)
    over = ((face, room), (mouth, face), (face, ring))
    return np.concatenate(
        [
            table[..., face, 0].mean(0),
            spread[..., face].mean(0),
            *((spread[..., a] - spread[..., b]).mean(0) for a, b in over),
            *(change[:, a] - change[:, b] for a, b in over),
            spread[..., face].std(0, ddof=1),
        ]
    )


def windows(times: Array) -> list[Array]:
    """Rows of each window: equal shares of the moments, eight or so in each."""
    count = max(1, round(len(times) / MOMENTS))
    return [rows for rows in np.array_split(np.arange(len(times)), count) if len(rows) >= LEAST]


class ContrastDetector(Shipped):
    """See the module's first lines. One score a window of up to eight seconds and face."""

    id = "contrast"
    version = "5"
    sampling = staticmethod(sampling)
    ready = staticmethod(backbone.ready)

    @read_once
    @abstaining
    def read(self, footage: Footage) -> Reading:
        series = []
        for face in pairs(footage):
            table = statistics(face.pictures, face.landmarks)
            rows = windows(face.times)
            x = np.stack([features(table[r]) for r in rows])
            middle = tuple(float(face.times[r].mean()) for r in rows)
            series.append(TrackScore(face.track, middle, tuple(map(float, self.model.score(x)))))
        return reading(self, footage, series)
