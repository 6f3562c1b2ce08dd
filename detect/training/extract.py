"""Feature vectors for training: of labelled clips as they came and degraded, and of fakes made from the real ones.

They are kept in a cache, so that a killed run goes on. A degradation is applied to the whole video before faces are looked for, as it
would be in the wild: what a codec does to the landmarks is part of what it does to a detector. A fake of a family is made of the very
pictures that are measured of its clip, and keeps their landmarks.
"""

import functools
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect.base import Abstain
from detect.features import contrast
from detect.reading import calibration
from detect.training.dataset import Clips
from detect.training.edits import KINDS, edited
from detect.training.options import EDITS, QUALITIES
from gioconda_core.errors import GiocondaError, UsageError
from gioconda_core.faces import families, observe
from gioconda_core.faces.families import Take
from gioconda_core.files import atomic_path, sha256_of
from gioconda_core.media import degrade
from gioconda_core.media.clip import Clip
from gioconda_core.types import Footage
from gioconda_core.workers.pool import workers

Array = NDArray[Any]
VERSION = "10"  # raise it when a feature changes: what is cached under another version is not read
CUES = ("sharpness", "fps", "length", "bytes", "brightness")  # what must not tell the label, and often does
# the name under which further windows of a real clip are kept, at moments between those of its clean ones
LOOKS = "looks"
SHIFTS = (-1 / 3, 1 / 3)  # where those lie, in shares of the distance between two moments
FAMILY = "family:"  # before the name of a family that a real clip was passed through
MOMENTS = 6  # of a clip that a family is made of: enough to learn from


def check(qualities: Sequence[str]) -> None:
    """Raise UsageError for a name that is no degradation."""
    for name in qualities:
        if name not in QUALITIES:
            raise UsageError(f"no quality {name!r}", hint=f"one of {', '.join(QUALITIES)}")


@contextmanager
def degraded(path: Path, name: str) -> Iterator[Path]:
    """A clip of one of the ``QUALITIES``, as a file for the while; on ``clean`` the clip itself."""
    with tempfile.TemporaryDirectory() as folder:
        yield degrade.apply(path, degrade.parse(QUALITIES[name]), folder=Path(folder))


def _footage(path: Path, shift: float = 0.0) -> Footage:
    """A clip as the detector asks for it. shift : of :func:`detect.features.contrast.pair_frames`."""
    with Clip.open(path) as clip:
        sampling = contrast.sampling(clip.duration, float(clip.fps) if clip.fps else None, shift)
        return observe.observe(clip, sampling, max_faces=2)


def cues(path: Path, face: contrast.Pairs, footage: Footage) -> Array:
    """What a clip could be told apart by without looking at how it was made, in the order of ``CUES``."""
    import cv2

    grey = [cv2.cvtColor(first, cv2.COLOR_RGB2GRAY) for first, _ in face.pictures]
    sharp = np.mean([np.log(cv2.Laplacian(g, cv2.CV_64F).var() + 1) for g in grey])
    seconds = float(footage.duration) or 1.0
    bytes_a_second = np.log(path.stat().st_size / seconds)
    return np.array([sharp, float(footage.fps or 0), seconds, bytes_a_second, np.mean(grey)])


def extract(path: Path, name: str, seed: int = 0, others: Sequence[Path] = ()) -> dict[str, Array]:
    """Part → (W, F) of one clip after a degradation, or passed through a family; a part that cannot be measured is absent.

    others : clips of other persons, for families that need one.
    """
    if name.startswith(FAMILY):
        return _family(path, name.removeprefix(FAMILY), seed, others)
    if name == LOOKS:
        return _looks(path)
    if name in EDITS:
        return _edited(path, name, others)
    out: dict[str, Array] = {}
    with degraded(path, name) as file:
        footage = _footage(file)
    try:
        found = calibration.measures(footage)
        face = contrast.pairs(footage)[0]
    except Abstain:
        return out
    out["measures"] = np.array([[found.get(key, np.nan) for key in calibration.MEASURES if key != "side"]])
    out["cues"] = cues(path, face, footage)[None]
    out["contrast"] = np.stack(_windows(face))
    return out


def _windows(face: contrast.Pairs) -> list[Array]:
    """The features of each window of a face, (F,) each."""
    table = contrast.statistics(face.pictures, face.landmarks)
    return [contrast.features(table[rows]) for rows in contrast.windows(face.times)]


def _looks(path: Path) -> dict[str, Array]:
    """Windows of the largest face at other moments than the clean ones: how much one window differs from another of the same clip."""
    found = []
    for shift in SHIFTS:
        try:
            found += _windows(contrast.pairs(_footage(path, shift))[0])
        except Abstain:
            continue
    return {"contrast": np.stack(found)} if found else {}


@functools.lru_cache(maxsize=2)
def _largest(path: Path) -> contrast.Pairs:
    """The largest face of a clip as it came. Raises Abstain."""
    return contrast.pairs(_footage(path))[0]


def _edited(path: Path, name: str, others: Sequence[Path]) -> dict[str, Array]:
    """Windows of the largest face after an edit, drawn by lot."""
    try:
        face = _largest(path)
        other = _largest(others[0]).pictures[0, 0] if others else face.pictures[0, 0, :, ::-1]
    except Abstain:
        return {}
    rng = np.random.default_rng(_lot(sha256_of(path), name))
    pictures = edited(KINDS[name], face.pictures, np.stack([face.landmarks, face.second], 1), other, rng)
    return {"contrast": np.stack(_windows(replace(face, pictures=pictures)))}


@functools.lru_cache(maxsize=2)
def _pictures(path: Path) -> tuple[Take, Array]:
    """What a family makes fakes of: both pictures of some of a clip's pairs, and the landmarks of the first of each, (M, 68, 2).

    Raises
    ------
    Abstain
    """
    face = _largest(path)
    keep = np.sort(np.random.default_rng(_lot(path.name)).permutation(len(face))[:MOMENTS])
    both = np.stack([face.landmarks, face.second], 1)[keep]
    frames = face.pictures[keep]
    return Take(frames.reshape(-1, *frames.shape[2:]), both.reshape(-1, 68, 2)), face.landmarks[keep]


def _lot(*parts: Any) -> int:
    """A number that looks drawn by lot and is always the same for these parts."""
    return int(sha256_of(json.dumps(parts).encode())[:12], 16)


def _family(path: Path, name: str, seed: int, others: Sequence[Path]) -> dict[str, Array]:
    try:
        take, landmarks = _pictures(path)
        family = families.load(name)
        donors = [_pictures(other)[0] for other in others] if family.others else []
    except Abstain:
        return {}
    if family.others and not donors:
        return {}
    rng = np.random.default_rng(_lot(sha256_of(path), seed, name))
    made = family.make(take, float(rng.random()), rng, donors).frames
    table = contrast.statistics(made.reshape(-1, 2, *made.shape[1:]), landmarks)
    return {"contrast": contrast.features(table)[None]}


def _file(cache: Path, sha256: str, name: str, draw: int) -> Path:
    """Where the vectors of a clip of one quality or family lie. draw : of a family; everything else is the same in each."""
    about = json.dumps([VERSION, sha256, name, draw if name.startswith(FAMILY) else 0])
    return cache / f"{sha256_of(about.encode())[:32]}.npz"


@dataclass(frozen=True)
class _Task:
    """A clip, and which of its vectors are wanted. sha256 : of the clip; names : qualities and families; others : clips of strangers."""

    path: str
    sha256: str
    names: Sequence[str]
    draw: int
    others: Sequence[str]


@dataclass(frozen=True)
class _Filled:
    """trouble : what went wrong, a sentence; None where nothing did."""

    trouble: str | None


class Fill:
    """What a worker does: the vectors of one clip into the cache. An error is a sentence, so that one clip does not end the run."""

    def __init__(self, cache: str) -> None:
        self.cache = Path(cache)

    def __call__(self, task: _Task, progress: object) -> _Filled:
        path, others = Path(task.path), [Path(other) for other in task.others]
        try:
            for name in task.names:
                target = _file(self.cache, task.sha256, name, task.draw)
                if target.exists():
                    continue
                found = extract(path, name, task.draw, others)
                with atomic_path(target) as temporary, open(temporary, "wb") as file:
                    parts: dict[str, Any] = {part: value.astype(np.float32) for part, value in found.items()}
                    np.savez(file, **parts)
        except (GiocondaError, Abstain, ValueError) as error:
            return _Filled(f"{path.name}: {error}")
        return _Filled(None)


@dataclass(frozen=True, eq=False)
class Table:
    """Vectors of all clips of one quality. parts : part → (rows (R, F), clip (R,) index of each row's clip)."""

    name: str
    parts: dict[str, tuple[Array, Array]]

    def by_clip(self, part: str, count: int) -> Array:
        """(N, F) of a part with one row a clip; NaN where a clip has none."""
        rows, of = self.parts[part]
        out = np.full((count, rows.shape[1]), np.nan)
        out[of] = rows
        return out


def shares(clips: Clips, names: Sequence[str], seed: int) -> list[list[str]]:
    """The families that each real clip is passed through in one draw: about a third of them by lot, so that three draws are all of them once.
    The lot of one family does not depend on which others there are: what is cached stays of use when one is added."""
    out: list[list[str]] = []
    for sample, label in zip(clips.samples, clips.labels, strict=True):
        clip = sample.sha256 or sample.path
        own = [] if label == 1 else [name for name in sorted(names) if _lot("share", clip, name) % 3 == seed % 3]
        out.append(own)
    return out


def fill(
    clips: Clips,
    qualities: Sequence[str],
    made: Sequence[str],
    draws: int,
    cache: Path,
    jobs: int = 1,
    advance: Callable[..., object] | None = None,
) -> list[str]:
    """Measure every clip of every quality, every real clip at further moments and through its share of the families, as far as the cache
    does not hold it.

    Returns what went wrong, a sentence a clip.
    """
    cache.mkdir(parents=True, exist_ok=True)
    real = [i for i in range(len(clips)) if clips.labels[i] == 0]
    persons, sources = clips.persons, clips.sources
    tasks = []
    for i, sample in enumerate(clips.samples):
        path = clips.path(i)
        sha256 = sample.sha256 or sha256_of(path)
        names = [*qualities, *([LOOKS] if clips.labels[i] == 0 else [])]
        strangers = [k for k in real if persons[k] != persons[i] and sources[k] != sources[i]]
        for draw in range(max(1, draws)):
            chosen = np.random.default_rng(_lot("donor", sha256, draw)).permutation(len(strangers))[:1]
            donors = [str(clips.path(strangers[k])) for k in chosen]
            if draw == 0:
                tasks.append(_Task(str(path), sha256, names, 0, donors))
            tasks.append(_Task(str(path), sha256, shares(clips, made, draw)[i], draw, donors))
    troubles = []
    with workers("local", "detect.training.extract:Fill", {"cache": str(cache)}, jobs, _Filled) as pool:
        for task, answer, failure in pool.map([task for task in tasks if task.names]):
            trouble = answer.trouble if answer is not None else f"{Path(task.path).name}: {failure}"
            if trouble:
                troubles.append(trouble)
            if advance:
                advance()
    return troubles


def table(clips: Clips, name: str, cache: Path, draws: int = 1) -> Table:
    """What the cache holds of these clips of this quality, or of this family over all draws."""
    gathered: dict[str, tuple[list[Array], list[int]]] = {}
    for i, sample in enumerate(clips.samples):
        for seed in range(draws) if name.startswith(FAMILY) else (0,):
            path = _file(cache, sample.sha256 or sha256_of(clips.path(i)), name, seed)
            if not path.exists():
                continue
            with np.load(path, allow_pickle=False) as file:
                found = {part: file[part] for part in file.files}
            if "measures" in found:
                side = _side(clips.path(i))  # no degradation changes it, and a header tells it: it is not in the cache
                found["measures"] = np.append(found["measures"], [[side]], 1)
            for part, values in found.items():
                rows, of = gathered.setdefault(part, ([], []))
                rows.append(values)
                of += [i] * len(values)
    return Table(name, {part: (np.concatenate(rows), np.array(of)) for part, (rows, of) in gathered.items()})


@functools.cache  # asked for at every quality
def _side(path: Path) -> float:
    """The picture's shorter side, pixels."""
    with Clip.open(path) as clip:
        return float(min(clip.facts.width, clip.facts.height))
