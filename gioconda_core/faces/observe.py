"""Faces of a clip: ``observe`` gives a detector its footage, ``track`` links faces in any frames, ``embed`` tells persons apart.

What a track is, and what becomes of cuts, exits and returns, is said in :mod:`gioconda_core.faces.tracker`. No face gives an
empty tuple, which is not an error.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import UsageError
from gioconda_core.faces import track_cache as _cache
from gioconda_core.faces.landmarks import Frame, Landmarker, package_model
from gioconda_core.faces.landmarks import landmarker as _landmarker
from gioconda_core.faces.tracker import UPRIGHT, Tracker, ahead, turned
from gioconda_core.media.clip import Clip
from gioconda_core.media.sampling import Sampling
from gioconda_core.types import MOST_FACES, FaceTrack, Footage

EVERY = 5  # of so many frames one is searched as a whole
Watch = Callable[[int, int], None]

_loading = threading.Lock()  # who comes while a landmarker is being loaded waits for it, instead of loading it again

# Change it whenever tracks change for the same frames and settings: it is part of the cache key.
_VERSION = 5


def track(
    frames: Iterable[tuple[float, Frame]],
    *,
    landmarker: Landmarker | str | None = None,
    detect_every: int = EVERY,
    max_faces: int = MOST_FACES,
    recognise: bool = True,
) -> tuple[FaceTrack, ...]:
    """Link the faces in frames into tracks.

    Parameters
    ----------
    frames : (seconds, uint8 (H, W, 3) RGB upright), in order of time. Taken one by one: memory does not grow with them.
    landmarker : an object, a name, or None for ``auto``.
    detect_every : search the whole picture every so many frames and follow landmarks in between; frames more than a
        quarter of a second apart, and the first after a cut, are always searched.
    max_faces : follow at most so many at one time, those already followed first, then the largest.
    recognise : let a face that returns resume its track (costs an embedding when a face appears after another has gone).

    Returns
    -------
    Tracks by first appearance, larger face first; empty when there is no face.
    """
    if detect_every < 1 or max_faces < 1:
        raise UsageError(f"detect_every and max_faces start at 1, not at {min(detect_every, max_faces)}")
    mark = _resolve(landmarker)
    _load(mark)
    tracker = Tracker(mark, max_faces=max_faces, embed=embed if recognise else None)
    for time, frame, boxes in ahead(frames, mark, detect_every):
        tracker.step(time, frame, boxes)
    return tracker.finish()


def ready() -> None:
    """Load the landmarker that is taken where none is named: half a second that may pass while a clip is being opened."""
    _load(_resolve(None))


def known(clip: str) -> bool:
    """Whether tracks of a clip are kept, so that most likely nothing needs to be loaded for it. clip : its sha256."""
    return _cache.known(clip)


def _load(mark: Landmarker) -> None:
    if load := getattr(mark, "ready", None):
        load()


def _resolve(landmarker: Landmarker | str | None) -> Landmarker:
    if landmarker is None or isinstance(landmarker, str):
        with _loading:
            return _named(landmarker or "auto")
    return landmarker


@lru_cache(maxsize=4)
def _named(name: str) -> Landmarker:
    return _landmarker(name)


@lru_cache(maxsize=1)
def _encoder() -> tuple[Any, Any]:
    import dlib

    return dlib, dlib.face_recognition_model_v1(str(package_model("dlib_face_recognition_resnet_model_v1.dat")))


def embed(frame: Frame, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """dlib's 128-d face embedding; two faces less than about 0.6 apart (Euclidean) are likely one person.

    frame : uint8 (H, W, 3) RGB; landmarks : (68, 2) of the face in it. Returns float32 (128,).
    """
    dlib, encoder = _encoder()
    points = np.asarray(landmarks, np.float64)
    low, high = np.floor(points.min(0)).astype(int), np.ceil(points.max(0)).astype(int)
    reach = int((high - low).max())
    x0, y0 = np.maximum(low - reach, 0)  # only the face's surroundings: dlib copies the whole picture
    part = np.ascontiguousarray(frame[y0 : max(high[1] + reach, 1), x0 : max(high[0] + reach, 1)])
    moved = np.round(points - (x0, y0)).astype(int)
    rectangle = dlib.rectangle(*(int(v) for v in (*moved.min(0), *moved.max(0))))
    shape = dlib.full_object_detection(rectangle, [dlib.point(int(x), int(y)) for x, y in moved])
    return np.array(encoder.compute_face_descriptor(part, shape), np.float32)


def observe(
    clip: Clip,
    sampling: str = "even:32",
    *,
    dense: float | None = None,
    landmarker: Landmarker | str | None = None,
    cache: bool = True,
    max_faces: int = MOST_FACES,
    watch: Watch | None = None,
) -> Footage:
    """Everything a detector is given of a clip: sampled frames, and tracks that cover them.

    Parameters
    ----------
    sampling : as in :meth:`Clip.frames`.
    dense : follow faces between the sampled frames too, at times about so many seconds apart (0 = every frame), for
        detectors of motion; the whole clip is then decoded once more. None = the sampled frames only.
    cache : keep tracks under the user's cache folder, by the clip's content and these settings.
    watch : told, frame by frame, how many have been followed and of about how many.

    Returns
    -------
    Footage; its tracks are empty when there is no face.
    """
    frames, times = clip.sample(sampling)
    if len(fresh := np.flatnonzero(np.diff(times, prepend=-np.inf) > 0)) < len(times):
        # Of moments between which the picture stays, as in a recording that pauses, the one frame counts once.
        frames, times = frames[fresh], times[fresh]
    odd = len(clip.warnings)
    mark = _resolve(landmarker)
    key = {"clip": clip.sha256, "sampling": sampling, "dense": dense, "landmarker": [mark.name, mark.version]}
    key |= {"detect_every": EVERY, "max_faces": max_faces, "version": _VERSION}
    tracks = _cache.load(key) if cache else None
    if tracks is None:
        source = zip(times.tolist(), frames, strict=True) if dense is None else _denser(clip, times.tolist(), dense)
        if watch is not None:
            expected = len(times) if dense is None else round(clip.duration / max(dense, 1 / float(clip.fps or 25)))
            source = _watched(source, watch, max(expected, len(times)))
        tracks = track(source, landmarker=mark, max_faces=max_faces)
        if cache and len(clip.warnings) == odd:  # what was odd on the way is to be said the next time too
            _cache.store(key, tracks)
    facts = _safe_facts(clip) | ({} if tracks else {"turned": _turned(frames, mark)})
    protocol = Sampling.parse(sampling).protocol
    return Footage(frames, times, clip.fps, clip.duration, tracks, protocol, facts)


def _turned(frames: NDArray[np.uint8], mark: Landmarker) -> int:
    """Degrees, clockwise, by which pictures without a face must be turned for one to be found in them; 0 where none is."""
    looked = frames[sorted({len(frames) // 3, 2 * len(frames) // 3})]
    found = {quarters: max(turned(mark, frame, quarters) for frame in looked) for quarters in (1, 2, 3)}
    best = max(found, key=found.__getitem__)
    return 360 - 90 * best if found[best] >= UPRIGHT else 0


def _watched(source: Iterable[tuple[float, Frame]], watch: Watch, expected: int) -> Iterator[tuple[float, Frame]]:
    for done, item in enumerate(source, 1):
        watch(done, expected)
        yield item


def _denser(clip: Clip, wanted: list[float], spacing: float) -> Iterator[tuple[float, Frame]]:
    """Frames at the wanted times, and others about ``spacing`` seconds apart. A frame a third too early is taken: the next one may
    come far too late (at 30 frames a second, every other frame is 15 a second where 25 were asked for)."""
    due, sampled = -np.inf, set(wanted)
    for time, frame in clip.frames("all"):
        if time in sampled or time >= due - 1e-6:
            yield time, frame
            due = time + spacing * 2 / 3


def _safe_facts(clip: Clip) -> dict[str, Any]:
    """Container facts for a detector's caveats; nothing that names a file or says how it was labelled."""
    names = ("container", "codec", "width", "height", "bit_rate", "pix_fmt", "still", "frame_count", "has_audio")
    return {name: getattr(clip.facts, name) for name in names if getattr(clip.facts, name, None) is not None}
