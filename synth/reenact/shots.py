"""Reads what reenactment starts from: shots of the person to be shown, and the motion that drives them.

Shots are photographs, paintings, a clip, or a puppet (``puppets:IDENTITY/MOTION``); a driver is a clip, a saved landmark track (.npz), a
puppet, or a camera (``camera:0``). Each comes as landmarks in a steady crop of the generator's size.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import MediaError, UsageError
from gioconda_core.faces import align, observe
from gioconda_core.files import sha256_of
from gioconda_core.media.clip import Clip
from gioconda_core.types import Audio, FaceTrack, Ingredient
from synth.person.covered import Covered, covered
from synth.puppets.perform import LICENCE, perform
from synth.reenact.framing import Matrix, Points, load_track, resized, steady
from synth.reenact.options import Reenact

MIN_FACE = 64  # pixels of the face square: less holds no face to learn
FOLLOWED = 60.0  # seconds of a clip from its beginning in which shots are looked for
Frames = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Shots:
    """The person to be shown.

    frames : uint8 (T, S, S, 3). landmarks : (T, 68, 2) in them. whole : the pictures they come from. matrices : frame → crop of each.
    ingredients : one for each file. real : False where nobody real is shown (the puppets).
    """

    frames: Frames
    landmarks: Points
    whole: tuple[Frames, ...]
    matrices: tuple[Matrix, ...]
    ingredients: tuple[Ingredient, ...]
    real: bool = True

    @property
    def side(self) -> float:
        """Of the first crop in pixels of its own picture."""
        return float(self.frames.shape[1] / np.linalg.norm(self.matrices[0][:, 0]))

    @cached_property
    def covered(self) -> tuple[Covered, ...]:
        """What stands before the face in each."""
        return tuple(covered(frame, points) for frame, points in zip(self.frames, self.landmarks, strict=True))

    def at(self, size: int) -> "Shots":
        """The same crops with sides of ``size``; where that is what the picture has, its very pixels."""
        matrices, marks = [], []
        for matrix, points in zip(self.matrices, self.landmarks, strict=True):
            new = resized(matrix, size / self.frames.shape[1])
            linear = float(np.linalg.norm(new[:, 0]))
            if abs(linear - 1) < 1.5 / size:
                new = np.array([[1.0, 0.0, np.round(new[0, 2])], [0.0, 1.0, np.round(new[1, 2])]])
            matrices.append(new)
            marks.append(align.apply(new, align.apply(align.invert(matrix), points)))
        frames = [align.crop(picture, matrix, size) for picture, matrix in zip(self.whole, matrices, strict=True)]
        return replace(self, frames=np.stack(frames), landmarks=np.stack(marks), matrices=tuple(matrices))


@dataclass(frozen=True, eq=False)
class Driver:
    """The motion.

    landmarks : (N, 68, 2) in a steady crop; found : where they were. times : (N,) seconds. audio : the clip whose sound goes with it, or None.
    pictures : gives the crops anew at a side in pixels, one by one, uint8 (S, S, 3); None where there are none (a saved track).
    """

    name: str
    landmarks: Points
    found: NDArray[np.bool_]
    times: NDArray[np.float64]
    fps: Fraction
    ingredient: Ingredient
    pictures: Callable[[int], Iterator[Frames]] | None = None
    audio: Audio | None = None
    real: bool = True


def _puppet(text: str) -> tuple[int, int]:
    try:
        identity, motion = (int(v) for v in text.removeprefix("puppets:").split("/"))
    except ValueError as error:
        raise UsageError("not a puppet", where=text, hint="puppets:IDENTITY/MOTION, for example puppets:7/1") from error
    return identity, motion


def _ingredient(role: str, path: Path) -> Ingredient:
    return Ingredient(role, sha256_of(path), title=path.name, path=str(path.resolve()))


def pick(tracks: Sequence[FaceTrack], face: int | None, where: str, option: str = "--face") -> FaceTrack:
    """The face asked for. Raises MediaError where there is none, UsageError where it must be said which."""
    if not tracks:
        raise MediaError("no face found", where=where, hint="a frontal face of at least 64 px is needed")
    if face is None and len(tracks) > 1:
        hint = f"choose one with {option} 0…{len(tracks) - 1}, the largest first"
        raise UsageError(f"{len(tracks)} faces found", where, hint)
    # Counted by size, which a person can see, not by the order of appearance.
    ordered = sorted(tracks, key=lambda t: -float(np.median(t.boxes[:, 2] - t.boxes[:, 0])))
    if face is not None and not 0 <= face < len(ordered):
        raise UsageError(f"there is no face {face}, only {len(ordered)}", where=where)
    return ordered[face or 0]


def load_shots(
    paths: Sequence[str | os.PathLike[str]],
    size: int,
    *,
    face: int | None = None,
    landmarker: str = "auto",
    most: int = 32,
) -> Shots:
    """Read shots. face : which one, the largest first, where a picture shows several. most : frames taken of a clip, evenly spaced.

    Raises
    ------
    MediaError
        No face, a face smaller than 64 px, or a file that is no picture or clip; the message names the file.
    UsageError
        Several faces and none chosen.
    """
    texts = [os.fspath(item) for item in paths]
    drawn = [text.startswith("puppets:") for text in texts]
    if face is not None and texts and all(drawn):
        raise UsageError("a puppet is one face", where="--face", hint="leave it out")
    parts = [
        _puppet_shots(text, size, most) if puppet else _file_shots(Path(text), size, face, landmarker, most)
        for text, puppet in zip(texts, drawn, strict=True)
    ]
    rows = [row for found, _ in parts for row in found]
    if not rows:
        raise UsageError("no shots", where="--shots", hint="one photograph is enough")
    frames = np.stack([align.crop(picture, matrix, size) for picture, _, matrix in rows])
    marks = np.stack([align.apply(matrix, points) for _, points, matrix in rows])
    whole, _, matrices = zip(*rows, strict=True)
    return Shots(frames, marks, whole, matrices, tuple(ingredient for _, ingredient in parts), not all(drawn))


_Part = tuple[list[tuple[Frames, Points, Matrix]], Ingredient]


def _puppet_shots(text: str, size: int, most: int) -> _Part:
    identity, motion = _puppet(text)
    drawn = perform(identity, motion, frames=max(most, 8), size=max(256, min(size, 512)))
    take = np.round(np.linspace(0, len(drawn.frames) - 1, most)).astype(int)
    matrix = steady(drawn.landmarks[take], drawn.frames.shape[1:3], size)
    digest = sha256_of(np.ascontiguousarray(drawn.frames[take]).tobytes())
    return (
        [(drawn.frames[k], drawn.landmarks[k], matrix) for k in take],
        Ingredient("source", digest, title=f"puppet {identity}, take {motion} ({LICENCE})"),
    )


def _file_shots(path: Path, size: int, face: int | None, landmarker: str, most: int) -> _Part:
    with Clip.open(path) as clip:
        # Followed from frame to frame, and only then chosen from: of some moments far apart, one who moves would be several.
        followed = takewhile(lambda pair: pair[0] <= FOLLOWED, clip.frames("all"))
        track = pick(observe.track(followed, landmarker=landmarker), face, str(path))
        take = np.unique(np.round(np.linspace(0, len(track.times) - 1, most)).astype(int))
        wanted = {round(float(track.times[k]), 6): track.landmarks[k] for k in take}
        rows = [
            (frame, points)
            for at, frame in takewhile(lambda pair: pair[0] <= track.times[-1], clip.frames("all"))
            if (points := wanted.get(round(float(at), 6))) is not None
        ]
    side = float(np.median([align.side(points) for _, points in rows]))
    if side < MIN_FACE:
        raise MediaError(f"the face is {side:.0f} px, at least {MIN_FACE} are needed", where=str(path))
    matrix = steady(np.stack([points for _, points in rows]), rows[0][0].shape[:2], size)
    return [(picture, points, matrix) for picture, points in rows], _ingredient("source", path)


def load_driver(source: str | os.PathLike[str], size: int, job: Reenact | None = None) -> Driver:
    """Read what drives. size : side of the crop that its landmarks lie in. job : which part of it, which face, found by what.

    Raises
    ------
    MediaError
        No face, no motion (one frame), an unreadable file. UsageError: several faces and none chosen.
    """
    text, job = os.fspath(source), job or Reenact()
    if text.startswith("puppets:"):
        return _puppet_driver(text, size, job)
    if text.startswith("camera"):
        return _camera_driver(text, size, job)
    path = Path(text)
    return _saved_driver(path, size, job) if path.suffix == ".npz" else _clip_driver(path, size, job)


def _checked(name: str, count: int) -> None:
    if count < 2:
        raise MediaError("the driver has one frame: nothing moves", where=name, hint="give a clip, a track or a camera")


def _driver(
    name: str, ingredient: Ingredient, moments: tuple[NDArray[np.float64], Points, NDArray[np.bool_]],
    shape: tuple[int, int], size: int, frames: Callable[[], Iterable[Frames]] | None = None, **more: Any,
) -> Driver:  # fmt: skip
    """A face in its steady crop.

    moments : times (N,), landmarks (N, 68, 2) in pixels of the frame, and whether the face was there. shape : height and width of the frame.
    frames : gives the frames, as often as they are asked for. more : as in Driver.
    """
    times, marks, found = moments
    matrix = steady(marks[found], shape, size)

    def pictures(side: int) -> Iterator[Frames]:
        assert frames is not None
        larger = resized(matrix, side / size)
        return (align.crop(frame, larger, side) for frame in frames())

    own = align.apply(matrix, np.nan_to_num(marks))
    more = {"pictures": pictures if frames else None} | more
    return Driver(name, own, found, times - times[0], ingredient=ingredient, **more)


def _puppet_driver(text: str, size: int, job: Reenact) -> Driver:
    identity, motion = _puppet(text)
    first = round(job.start * 25)
    if first > 1500:
        raise UsageError("a puppet's take is drawn from its beginning", where="--start", hint="at most 60 seconds")
    count = min(round(job.seconds * 25), 250)
    drawn = perform(identity, motion, frames=first + count, size=max(256, min(size, 512)))
    frames, times = drawn.frames[first:], drawn.times[first:]
    _checked(text, len(times))
    digest = sha256_of(np.ascontiguousarray(frames).tobytes())
    return _driver(
        f"puppet-{identity}-{motion}", Ingredient("driver", digest, f"puppet {identity}, take {motion} ({LICENCE})"),
        (times, drawn.landmarks[first:], np.ones(len(times), bool)), frames.shape[1:3], size, lambda: frames,
        fps=drawn.fps, real=False,
    )  # fmt: skip


def _saved_driver(path: Path, size: int, job: Reenact) -> Driver:
    saved = load_track(path)
    inside = (saved["times"] >= job.start) & (saved["times"] < job.start + job.seconds)
    times, marks, found = (saved[name][inside] for name in ("times", "landmarks", "found"))
    _checked(str(path), len(times))
    if not found.any():
        raise MediaError("the track holds no face", where=str(path))
    width, height = np.nanmax(marks[found], (0, 1))
    shape = saved["size"] or (int(height) + 1, int(width) + 1)
    fps = Fraction(saved["fps"]) if saved["fps"] else _rate(times)
    ingredient = Ingredient("driver", sha256_of(path), title=path.name)
    return _driver(path.stem, ingredient, (times, marks, found), shape, size, fps=fps)


def _rate(times: NDArray[np.float64]) -> Fraction:
    return Fraction(1 / float(np.median(np.diff(times)))).limit_denominator(1001)


def _along(track: FaceTrack, times: Sequence[float]) -> tuple[Points, NDArray[np.bool_]]:
    """A face's landmarks at each moment, float32 (N, 68, 2), and (N,) whether it was there."""
    known = {round(float(t), 6): points for t, points in zip(track.times, track.landmarks, strict=True)}
    nowhere = np.zeros((68, 2), np.float32)
    marks = np.stack([known.get(round(t, 6), nowhere) for t in times])
    return marks, np.array([round(t, 6) in known for t in times])


def _clip_driver(path: Path, size: int, job: Reenact) -> Driver:
    times: list[float] = []

    def part(clip: Clip) -> Iterator[tuple[float, Frames]]:
        for at, frame in clip.frames("all"):
            if at >= job.start + job.seconds - 1e-6:
                return
            if at >= job.start - 1e-6:
                yield at, frame

    def noted(clip: Clip) -> Iterator[tuple[float, Frames]]:
        for at, frame in part(clip):
            times.append(at)
            yield at, frame

    with Clip.open(path) as clip:
        if clip.facts.still:
            _checked(str(path), 1)
        tracks = observe.track(noted(clip), landmarker=job.landmarker)
        _checked(str(path), len(times))
        track = pick(tracks, job.driver_face, str(path), "--driver-face")
        facts, fps = clip.facts, clip.fps or _rate(np.array(times))

    def again() -> Iterator[Frames]:
        with Clip.open(path) as reopened:
            yield from (frame for _, frame in part(reopened))

    return _driver(
        path.stem, _ingredient("driver", path), (np.array(times), *_along(track, times)), (facts.height, facts.width), size,
        again, fps=fps, audio=Audio(path, times[0]) if facts.has_audio else None,
    )  # fmt: skip


def _camera_driver(text: str, size: int, job: Reenact) -> Driver:
    if job.start:
        raise UsageError("a camera has no past", where="--start", hint="leave it out")
    number = text.partition(":")[2] or "0"
    camera: Any = cv2.VideoCapture(int(number) if number.isdigit() else number)
    if not camera.isOpened():
        raise MediaError("the camera cannot be opened", where=text, hint="camera:0 is the first one")
    frames: list[Frames] = []
    times: list[float] = []
    try:
        begun = time.monotonic()
        while (now := time.monotonic() - begun) < job.seconds:
            good, frame = camera.read()
            if not good:
                break
            frames.append(np.ascontiguousarray(frame[:, :, ::-1]))
            times.append(now)
    finally:
        camera.release()
    _checked(text, len(frames))
    tracks = observe.track(zip(times, frames, strict=True), landmarker=job.landmarker)
    track = pick(tracks, job.driver_face, text, "--driver-face")
    marks, found = _along(track, times)
    ingredient = Ingredient("driver", sha256_of(np.ascontiguousarray(marks).tobytes()), "camera")
    # A camera's clock trembles; the clip gets the even rate it had on average.
    rate = Fraction(int(np.clip(round((len(times) - 1) / max(times[-1] - times[0], 1e-3)), 1, 60)))
    even = np.arange(len(times)) / float(rate)
    return _driver("camera", ingredient, (even, marks, found), frames[0].shape[:2], size, lambda: frames, fps=rate)
