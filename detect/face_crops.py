"""Cuts faces out for networks, the same way for all of them: footage → one stack of crops a track, with their landmarks and times.

Two crops exist. ``aligned`` turns and scales the face into a canonical pose (for networks). ``square`` keeps the pixel
grid's direction and only ever shrinks by area or enlarges by cubic interpolation, so that noise statistics survive.
Not covered: choosing which face matters; every face is prepared, the largest first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detect.base import Abstain
from gioconda_core.faces import align
from gioconda_core.reasons import AbstentionReason
from gioconda_core.types import FaceTrack, Footage

MIN_FACE = 32  # pixels from the outermost landmark to the opposite one: below it there is nothing to measure
MAX_TRACKS = 16  # faces prepared in one clip; a crowd's largest are read, the rest are not
MIN_QUALITY = 0.05


@dataclass(frozen=True, eq=False)
class Prepared:
    """One face ready for a detector.

    track : id of the FaceTrack. times : (N,) seconds. crops : uint8 (N, S, S, 3) RGB.
    landmarks : float32 (N, 68, 2), pixels of the crop.
    """

    track: int
    times: NDArray[np.float64]
    crops: NDArray[np.uint8]
    landmarks: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.times)


def by_size(footage: Footage) -> list[FaceTrack]:
    """The faces, by the median extent of their landmarks, the largest first."""
    return sorted((t for t in footage.tracks if len(t)), key=lambda t: -t.extent)


def refuse_small(faces: Sequence[FaceTrack]) -> None:
    """Raise Abstain where all faces are smaller than what can be measured."""
    largest = max((face.extent for face in faces), default=0.0)
    if largest < MIN_FACE:
        raise Abstain(AbstentionReason.FACE_TOO_SMALL, face_px=largest, least=MIN_FACE)


def square(
    frame: NDArray[np.uint8], landmarks: NDArray[np.float32], size: int, margin: float, extent: float | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """An upright square around the landmarks, ``margin`` times their extent, resampled to size × size.

    ``extent`` (pixels) replaces the landmarks' own, so that a sequence is not rescaled at every twitch of the jaw.
    Returns the crop, uint8 (size, size, 3), and the landmarks in its pixels, float32 (68, 2). Outside the frame: reflected.
    """
    import cv2

    low, high = landmarks.min(0), landmarks.max(0)
    side = max(2, round(float(extent or (high - low).max()) * margin))
    x, y = (int(v) for v in np.round((low + high) / 2 - side / 2))
    height, width = frame.shape[:2]
    left, top, right, bottom = max(0, -x), max(0, -y), max(0, x + side - width), max(0, y + side - height)
    patch = frame[max(y, 0) : max(y + side, 0), max(x, 0) : max(x + side, 0)]
    if patch.size == 0:
        raise Abstain(AbstentionReason.FACE_OUTSIDE_FRAME)
    if left or top or right or bottom:
        small = max(left, right) >= patch.shape[1] or max(top, bottom) >= patch.shape[0]
        border = cv2.BORDER_REPLICATE if small else cv2.BORDER_REFLECT_101
        patch = np.asarray(cv2.copyMakeBorder(patch, top, bottom, left, right, border), np.uint8)
    how = cv2.INTER_AREA if side >= size else cv2.INTER_CUBIC
    crop = np.asarray(cv2.resize(patch, (size, size), interpolation=how), np.uint8)
    scale = size / side
    points = ((landmarks - (x, y) + 0.5) * scale - 0.5).astype(np.float32)
    return crop, points


# Eyes, nose and mouth corners as shares of the side, before the margin. Source: GenD's code, after ArcFace's five points.
_FIVE = np.array([[0.34, 0.46], [0.66, 0.46], [0.5, 0.64], [0.37, 0.82], [0.63, 0.82]])


_ROOM = 1.3  # side of that crop over the square the five points are placed in


def five_point(
    frame: NDArray[np.uint8], landmarks: NDArray[np.float32], size: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The face by five points with a margin, as published detectors were trained on; outside the frame is black."""
    import cv2

    five = np.stack(
        [landmarks[36:42].mean(0), landmarks[42:48].mean(0), landmarks[30], landmarks[48], landmarks[54]]
    ).astype(np.float32)
    target = ((_FIVE + (_ROOM - 1) / 2) / _ROOM * size).astype(np.float32)
    matrix, _ = cv2.estimateAffinePartial2D(five, target, method=cv2.LMEDS)
    if matrix is None:
        raise Abstain(AbstentionReason.LANDMARKS_IN_ONE_POINT)
    crop = np.asarray(cv2.warpAffine(frame, matrix, (size, size), flags=cv2.INTER_LINEAR), np.uint8)
    return crop, (landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def usable(track: FaceTrack, times: Sequence[float] | NDArray[np.float64]) -> list[tuple[int, int]]:
    """(frame index, track index) pairs at which this face was seen in a sampled frame, large and sure enough."""
    pairs = []
    where = np.searchsorted(track.times, times)
    for frame, (time, at) in enumerate(zip(times, where, strict=True)):
        near = [i for i in (at - 1, at) if 0 <= i < len(track) and abs(track.times[i] - time) < 1e-4]
        if not near:
            continue
        index = int(near[0])
        good = np.isfinite(track.landmarks[index]).all() and track.extents[index] >= MIN_FACE
        if good and track.quality[index] >= MIN_QUALITY:
            pairs.append((frame, index))
    return pairs


def prepare(
    footage: Footage,
    size: int,
    *,
    mode: str = "aligned",
    margin: float = 1.3,
    step: float = 0.0,
    max_frames: int | None = None,
) -> tuple[Prepared, ...]:
    """Crops of every face that can be measured.

    Parameters
    ----------
    size : int
        Side of the crops, pixels.
    mode : ``aligned``, ``square``, or ``five-point`` (the crop of GenD and its kin, for weights trained with it)
    margin : float
        For ``square``: side of the crop over the extent of the landmarks. ``aligned`` has its own canonical frame.
    step : float
        Seconds between crops, at least (four fifths of it, since frames lie where they lie).
    max_frames : int
        At most so many crops a face, evenly spaced.

    Returns
    -------
    The faces, the largest first. Detectors that ask for the same crops of a footage are given the same ones, read-only.

    Raises
    ------
    Abstain
        With the reason, when no face can be measured.
    """

    def make() -> tuple[Prepared, ...]:
        return tuple(
            _crops(footage, track, _thin(_apart(footage, pairs, step), max_frames), size, mode, margin)
            for track, pairs in _measurable(footage)
        )

    return footage.shared.once(("crops", size, mode, margin, step, max_frames), make)


def _apart(footage: Footage, pairs: list[tuple[int, int]], step: float) -> list[tuple[int, int]]:
    kept: list[tuple[int, int]] = []
    for frame, row in pairs:
        if not kept or footage.times[frame] - footage.times[kept[-1][0]] >= 0.8 * step:
            kept.append((frame, row))
    return kept


def _thin(pairs: list[tuple[int, int]], most: int | None) -> list[tuple[int, int]]:
    if not most or len(pairs) <= most:
        return pairs
    return [pairs[i] for i in np.unique(np.linspace(0, len(pairs) - 1, most).round().astype(int))]


def _measurable(footage: Footage) -> list[tuple[FaceTrack, list[tuple[int, int]]]]:
    """Tracks that can be measured, largest face first, with their (frame, track row) pairs; Abstain when there is none."""
    if len(footage.frames) == 0:
        raise Abstain(AbstentionReason.NO_PICTURE)
    if not footage.tracks:
        raise Abstain(AbstentionReason.NO_FACE)
    faces = by_size(footage)[:MAX_TRACKS]
    found = [(face, pairs) for face in faces if (pairs := usable(face, footage.times))]
    if not found:
        refuse_small(faces)
        raise Abstain(AbstentionReason.FACE_UNCLEAR)
    return found


def _crops(
    footage: Footage, track: FaceTrack, pairs: list[tuple[int, int]], size: int, mode: str, margin: float
) -> Prepared:
    crops, points = [], []
    extent = track.extent
    for frame, index in pairs:
        picture, landmarks = footage.frames[frame], track.landmarks[index]
        if mode == "square":
            crop, moved = square(picture, landmarks, size, margin, extent)
        elif mode == "five-point":
            crop, moved = five_point(picture, landmarks, size)
        else:
            matrix = align.transform(landmarks, size)
            crop, moved = align.crop(picture, matrix, size), align.apply(matrix, landmarks)
        crops.append(crop)
        points.append(moved)
    prepared = Prepared(
        track=track.id,
        times=np.asarray(footage.times, dtype=np.float64)[[frame for frame, _ in pairs]],
        crops=np.stack(crops),
        landmarks=np.stack(points).astype(np.float32),
    )
    for array in (prepared.times, prepared.crops, prepared.landmarks):
        array.flags.writeable = False  # several detectors look at them
    return prepared
