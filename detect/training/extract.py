"""Feature vectors of labelled clips for training, clean and down the codec ladder, kept in a cache so that a killed run goes on.

A rung is applied to the whole video before faces are looked for, as it would be in the wild: what a codec does to the landmarks is
part of what it does to a detector. Self-blended clips alone keep the landmarks they were blended by.
"""

from __future__ import annotations

import functools
import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect.base import Abstain
from detect.features import dynamics, windows
from detect.reading import calibration
from detect.training import blend
from detect.training.dataset import Clips
from gioconda_core.errors import UsageError
from gioconda_core.files import atomic_path
from gioconda_core.types import Footage
from gioconda_core.workers.pool import workers

__all__ = ["PARTS", "RUNGS", "SELF_BLEND", "Table", "check", "extract", "table", "worse"]

Array = NDArray[Any]
VERSION = "4"  # raise it when a feature changes: what is cached under another version is not read
PARTS = (*windows.PARTS, *windows.WINDOW_PARTS, "dynamics", "measures")
SELF_BLEND = "self-blend"  # real clips blended onto themselves, encoded as the clean ones were


@dataclass(frozen=True)
class Rung:
    """One way of making a clip worse. shrink : to this share of its size and back; crf : H.264 after that."""

    crf: int
    shrink: float = 1.0


RUNGS = {
    "clean": None,
    "h264-crf23": Rung(23),
    "h264-crf32": Rung(32),
    "h264-crf40": Rung(40),
    "half-crf23": Rung(23, 0.5),
}


def check(rungs: Sequence[str]) -> None:
    """Raise UsageError for a name that is no rung."""
    for rung in rungs:
        if rung not in RUNGS:
            raise UsageError(f"no quality {rung!r}", hint=f"one of {', '.join(RUNGS)}")


@contextmanager
def worse(path: Path, rung: str) -> Iterator[Path]:
    """A clip as it is on a rung, for the while; on ``clean`` the clip itself."""
    change = RUNGS[rung]
    if change is None:
        yield path
        return
    with _worse(path, change) as file:
        yield file


def _footage(path: Path) -> tuple[Footage, str]:
    """A clip sampled for all parts, followed as the detectors ask for it; and its sampling."""
    from gioconda_core.faces import observe
    from gioconda_core.media.clip import Clip

    with Clip.open(path) as clip:
        sampling = windows.sampling(clip.duration, float(clip.fps) if clip.fps else None)
        return observe.observe(clip, sampling, dense=1 / dynamics.RATE, max_faces=2), sampling


@contextmanager
def _worse(path: Path, rung: Rung, change: Any = None) -> Iterator[Path]:
    """The clip after the rung, as a file for the while; ``change(index, time, frame)`` comes before the encoder."""
    import cv2

    from gioconda_core.media.clip import Clip, write_video

    def frames() -> Iterator[Array]:
        with Clip.open(path) as clip:
            for index, (time, frame) in enumerate(clip.frames("all")):
                if rung.shrink != 1:
                    height, width = frame.shape[:2]
                    size = (max(2, round(width * rung.shrink)), max(2, round(height * rung.shrink)))
                    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
                    frame = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
                yield change(index, time, frame) if change else frame

    with Clip.open(path) as clip:
        fps = clip.fps or Fraction(25)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "rung.mp4"
        write_video(target, frames(), fps=fps, crf=rung.crf)
        yield target


def _vectors(footage: Footage) -> dict[str, Array]:
    """Part → (W, F) of the largest face; windows of moments and windows of landmarks are numbered apart, ``measures`` (what decides
    how like the calibration set a clip is) are one row."""
    out: dict[str, Array] = {}
    try:
        found = calibration.measures(footage)
        out["measures"] = np.array([[found[name] for name in calibration.MEASURES if name != "side"]])
        face = windows.moments(footage)[0]
        rows = windows.windows(face.times)
        if rows:
            out |= {name: windows.part(name, face, rows) for name in (*windows.PARTS, *windows.WINDOW_PARTS)}
    except Abstain:
        return out
    track = next(t for t in footage.tracks if t.id == face.track)
    seen = dynamics.windows(track)
    if seen:
        out["dynamics"] = np.stack([dynamics.features(points) for _, points in seen])
    return out


def extract(path: Path, rung: str, seed: int = 0, prepared: tuple[Footage, str] | None = None) -> dict[str, Array]:
    """Part → (W, F) of one clip on one rung; a part that cannot be measured is absent. prepared : the clean clip's footage."""
    from gioconda_core.media.clip import Clip

    if RUNGS.get(rung):
        with worse(path, rung) as file:
            return _vectors(_footage(file)[0])
    footage, sampling = prepared or _footage(path)
    if rung == "clean":
        return _vectors(footage)
    if not footage.tracks:
        return {}
    with _worse(path, Rung(18), _swap(footage, seed)) as file, Clip.open(file) as clip:
        frames, _ = clip.sample(sampling)
    count = min(len(frames), len(footage.times))
    found = _vectors(replace(footage, frames=frames[:count], times=np.asarray(footage.times)[:count]))
    found.pop("dynamics", None)  # it moves as the real clip does
    return found


def _swap(footage: Footage, seed: int) -> Any:
    """A self-blend that follows the largest face."""
    track = max(footage.tracks, key=lambda t: float(np.median(t.boxes[:, 2] - t.boxes[:, 0])) * len(t))
    swap = blend.draw(np.random.default_rng(seed))

    def change(index: int, time: float, frame: Array) -> Array:
        at = int(np.argmin(np.abs(track.times - time)))
        return swap(frame, track.landmarks[at])[0] if abs(track.times[at] - time) < 0.2 else frame

    return change


def _key(sha256: str, rung: str, seed: int) -> str:
    text = json.dumps([VERSION, sha256, rung, seed if rung == SELF_BLEND else 0])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _work(path: Path, sha256: str, rungs: Sequence[str], seeds: Sequence[int], cache: Path) -> str | None:
    """Fill the cache for one clip; an error is a sentence, so that one clip does not end the run."""
    from gioconda_core.errors import GiocondaError

    todo = [
        (r, s) for r in rungs for s in (seeds if r == SELF_BLEND else (0,)) if not _file(cache, sha256, r, s).exists()
    ]
    if not todo:
        return None
    try:
        plain = any(not RUNGS.get(rung) for rung, _ in todo)
        prepared = _footage(path) if plain else None
        for rung, seed in todo:
            found = extract(path, rung, seed, prepared)
            with atomic_path(_file(cache, sha256, rung, seed)) as temporary, open(temporary, "wb") as file:
                parts: dict[str, Any] = {name: value.astype(np.float32) for name, value in found.items()}
                np.savez(file, **parts)
    except (GiocondaError, Abstain, ValueError) as error:
        return f"{path.name}: {error}"
    return None


class Fill:
    """What a worker does: the vectors of one clip into the cache."""

    def __init__(self, cache: str) -> None:
        self.cache = Path(cache)

    def __call__(self, task: dict[str, Any], progress: object) -> dict[str, str | None]:
        return {"trouble": _work(Path(task["path"]), task["sha256"], task["rungs"], task["seeds"], self.cache)}


def _file(cache: Path, sha256: str, rung: str, seed: int) -> Path:
    return cache / f"{_key(sha256, rung, seed)}.npz"


@dataclass(frozen=True, eq=False)
class Table:
    """Vectors of all clips on one rung. parts : part → (rows (R, F), clip (R,) index of each row's clip)."""

    rung: str
    parts: dict[str, tuple[Array, Array]]

    def matrix(self, names: Sequence[str]) -> tuple[Array, Array]:
        """Several parts side by side (R, ΣF) and each row's clip; all but ``dynamics`` share their windows."""
        first = self.parts[names[0]][1]
        return np.concatenate([self.parts[name][0] for name in names], 1), first


def fill(
    clips: Clips, rungs: Sequence[str], cache: Path, jobs: int = 1, blends: int = 2, advance: Any = None
) -> list[str]:
    """Measure every clip on every rung, as far as the cache does not hold it; returns what went wrong, a sentence a clip."""
    from gioconda_core.files import sha256_of

    cache.mkdir(parents=True, exist_ok=True)
    tasks = []
    for i, sample in enumerate(clips.samples):
        path = clips.path(i)
        own = [r for r in rungs if r != SELF_BLEND or clips.labels[i] == 0]
        seeds = list(range(blends))
        tasks.append({"path": str(path), "sha256": sample.sha256 or sha256_of(path), "rungs": own, "seeds": seeds})
    troubles = []
    with workers("local", "detect.training.extract:Fill", {"cache": str(cache)}, jobs) as pool:
        for task, answer, failure in pool.map(tasks):
            trouble = answer["trouble"] if answer is not None else f"{Path(task['path']).name}: {failure}"
            if trouble:
                troubles.append(trouble)
            if advance:
                advance()
    return troubles


def table(clips: Clips, rung: str, cache: Path, blends: int = 2) -> Table:
    """What the cache holds of these clips on this rung."""
    from gioconda_core.files import sha256_of

    gathered: dict[str, tuple[list[Array], list[int]]] = {}
    for i, sample in enumerate(clips.samples):
        for seed in range(blends) if rung == SELF_BLEND else (0,):
            path = _file(cache, sample.sha256 or sha256_of(clips.path(i)), rung, seed)
            if not path.exists():
                continue
            with np.load(path, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
            if "measures" in found:
                side = _side(clips.path(i))  # no rung changes it, and a header tells it: it is not in the cache
                found["measures"] = np.append(found["measures"], [[side]], 1)
            for name, values in found.items():
                rows, of = gathered.setdefault(name, ([], []))
                rows.append(values)
                of += [i] * len(values)
    return Table(rung, {name: (np.concatenate(rows), np.array(of)) for name, (rows, of) in gathered.items()})


@functools.cache  # asked for on every rung
def _side(path: Path) -> float:
    """The picture's shorter side, pixels."""
    from gioconda_core.media.clip import Clip

    with Clip.open(path) as clip:
        return float(min(clip.facts.width, clip.facts.height))
