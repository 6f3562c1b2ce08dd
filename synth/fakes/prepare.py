"""Prepares footage for training and for sets of fakes: clips → tracks → steady crops → shards; resumable, with a row for each clip that says what became of it.

Clips are worked on in parallel by processes (or by Ray, beyond one machine); this process alone writes. A clip lies whole in
one shard, and a shard counts once its table is written, so that after kill -9 the same command goes on: nothing twice, nothing
lost. Rows: ``clips.jsonl`` in the output folder. Landmark images are never stored.
"""

import json
import os
import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gioconda_core.errors import GiocondaError, UsageError
from gioconda_core.faces import align, observe
from gioconda_core.files import append_row, read_rows, sha256_of, unwritable, write_json
from gioconda_core.media.clip import Clip
from gioconda_core.media.suffixes import PICTURES
from gioconda_core.workers.pool import workers
from synth.fakes.options import Prepare
from synth.fakes.sources import Entry, entries
from synth.hybrid import SHEARS, turn
from synth.person.mouth import Mouth
from synth.person.views import View, view
from synth.puppets.perform import perform
from synth.reenact.framing import load_track, steady, stretches
from synth.session import Session
from synth.training.shards import ShardWriter


class Dropped(StrEnum):
    """Why nothing of a clip is kept; what its reader said of an unreadable or failed one stands in the row's ``note``."""

    UNREADABLE = "unreadable"
    NO_FACE = "no-face"
    LOW_QUALITY = "low-quality"
    FACE_TOO_SMALL = "face-too-small"
    TOO_FEW_FRAMES = "too-few-frames"
    FAILED = "failed"

    def sentence(self, job: Prepare) -> str:
        """In words, with the limit of the job that it missed."""
        return {
            Dropped.UNREADABLE: "unreadable",
            Dropped.NO_FACE: "no face",
            Dropped.LOW_QUALITY: "face of too low quality",
            Dropped.FAILED: "failed (another run tries again)",
            Dropped.FACE_TOO_SMALL: f"face smaller than {job.min_face} px",
            Dropped.TOO_FEW_FRAMES: f"fewer than {job.min_frames} frames with the face",
        }[self]


@dataclass
class Prepared:
    """What became of the footage, and why the rest did not. seconds : wall time of this run; frames_per_second : of frames read in it."""

    clips: int = 0
    kept: int = 0
    frames: int = 0
    identities: int = 0
    dropped: Counter[Dropped] = field(default_factory=Counter)
    seconds: float = 0.0
    frames_per_second: float = 0.0
    schema: str = "gioconda.prepare/1"


@dataclass(frozen=True, eq=False)
class _Result:
    """What became of a clip: its crops (T, S, S, 3), landmarks (T, 68, 2) in them and times (T,), or why there are none."""

    entry: Entry
    read: int  # frames decoded or drawn
    frames: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 0, 0, 3), np.uint8))
    landmarks: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 68, 2), np.float32))
    times: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    seconds: float = 0.0
    dropped: Dropped | None = None
    note: str = ""
    sha256: tuple[str, ...] = ()  # of the files; none for the puppets


def _hashes(entry: Entry) -> tuple[str, ...]:
    """sha256 of the files of a clip: what a consent file names; none of a puppet."""
    if entry.path.startswith("puppets:"):
        return ()
    return tuple(sha256_of(path) for path in entry.pictures or (entry.path,))


def _frames(entry: Entry) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """A clip's frames with their times; a folder of pictures is one a second of nominal time (VoxCeleb1's are taken once a second)."""
    if not entry.pictures:
        with Clip.open(entry.path) as clip:
            yield from clip.frames()
    for k, path in enumerate(entry.pictures):
        with Clip.open(path) as clip:
            yield float(k), next(iter(clip.frames()))[1]


def _from_puppet(entry: Entry, job: Prepare) -> _Result:
    identity, motion = (int(v) for v in entry.path.removeprefix("puppets:").split("/"))
    rate = Fraction(25, max(1, round(job.every * 25)))  # a take is a function of time: only what is kept is drawn
    drawn = perform(identity, motion, frames=job.puppet_frames, size=min(max(job.size, 256), 512), fps=rate)
    return _cut(entry, job, drawn.frames, drawn.landmarks, drawn.times, len(drawn.frames))


def _from_clip(entry: Entry, job: Prepare) -> _Result:
    frames: list[NDArray[np.uint8]] = []
    times: list[float] = []

    def thinned() -> Iterator[tuple[float, NDArray[np.uint8]]]:
        due = -np.inf
        for at, frame in _frames(entry):
            if at < due - 1e-6:
                continue
            due = at + job.every
            frames.append(frame)
            times.append(at)
            yield at, frame
            if len(frames) >= 4 * job.max_frames:  # a film, not a clip: bound the memory
                return

    saved = _saved(entry, job)
    if saved is not None:
        deque(thinned(), maxlen=0)
        known = {round(float(t), 6): k for k, t in enumerate(saved["times"])}
        marks, usable, note = saved["landmarks"], saved["found"], "saved landmarks"
    else:
        tracks = observe.track(thinned(), landmarker=job.landmarker)
        if not tracks:
            return _Result(entry, len(frames), dropped=Dropped.NO_FACE)
        largest = max(tracks, key=lambda t: float(np.median(t.boxes[:, 2] - t.boxes[:, 0])) * len(t))
        good = largest.quality >= job.min_quality
        if not good.any():
            return _Result(entry, len(frames), dropped=Dropped.LOW_QUALITY)
        known = {round(float(t), 6): k for k, t in enumerate(largest.times)}
        marks, usable = largest.landmarks, good
        note = f"{len(tracks)} faces, the largest taken" if len(tracks) > 1 else ""
    pairs = [(i, known[key]) for i, at in enumerate(times) if (key := round(at, 6)) in known and usable[known[key]]]
    if not pairs:
        return _Result(entry, len(frames), dropped=Dropped.NO_FACE)
    chosen = np.array([frames[i] for i, _ in pairs])
    if not entry.pictures and Path(entry.path).suffix.lower() in PICTURES:
        return _from_still(entry, job, chosen[0], marks[pairs[0][1]])
    at = np.array([times[i] for i, _ in pairs])
    return replace(_cut(entry, job, chosen, marks[[k for _, k in pairs]], at, len(frames)), note=note)


def _from_still(entry: Entry, job: Prepare, frame: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> _Result:
    """A photograph or painting as a clip: itself, and views of it, one a second of nominal time."""
    if align.side(landmarks) < job.min_face:
        return _Result(entry, 1, dropped=Dropped.FACE_TOO_SMALL)
    matrix = steady(landmarks[None], frame.shape[:2], job.size)
    picture, points = align.crop(frame, matrix, job.size), align.apply(matrix, landmarks)
    # The picture's own chance, whatever else is prepared beside it.
    rng = np.random.default_rng([job.size, int(sha256_of(entry.path)[:8], 16)])
    mouth = Mouth(picture, np.asarray(points, np.float64))
    made: list[View] = []
    while len(made) < job.views:
        found = view(picture, points, rng, mouth)
        if turn(*(np.asarray(p, np.float64) for p in (points, found.landmarks)))[0] < SHEARS:
            made.append(found)
    frames = np.stack([picture, *(v.frame for v in made)])
    marks = np.stack([points, *(v.landmarks for v in made)])
    return _Result(entry, 1, frames, marks, np.arange(1.0 + job.views), note=f"{job.views} views of a picture")


def _saved(entry: Entry, job: Prepare) -> dict[str, Any] | None:
    if not job.landmarks:
        return None
    file = Path(job.landmarks) / (entry.name.replace("/", "__") + ".npz")
    return load_track(file) if file.is_file() else None


def _cut(
    entry: Entry, job: Prepare, frames: NDArray[np.uint8], landmarks: NDArray[np.float32], times: NDArray[np.float64],
    read: int,
) -> _Result:  # fmt: skip
    """Crop each stretch of a followed face steadily, drop what is too small or too short.

    frames : (T, H, W, 3) with landmarks (T, 68, 2) and times (T,). read : frames decoded or drawn.
    """
    pictures: list[NDArray[np.uint8]] = []
    points: list[NDArray[np.float32]] = []
    kept: list[float] = []
    small = 0
    for part in stretches(landmarks):
        sides = np.array([align.side(p) for p in landmarks[part]])
        if float(np.median(sides)) < job.min_face:
            small += len(sides)
            continue
        matrix = steady(landmarks[part], frames.shape[1:3], job.size)
        for frame, mark, at in zip(frames[part], landmarks[part], times[part], strict=True):
            pictures.append(align.crop(frame, matrix, job.size))
            points.append(align.apply(matrix, mark))
            kept.append(float(at))
    if len(kept) < job.min_frames:
        return _Result(entry, read, dropped=Dropped.FACE_TOO_SMALL if small else Dropped.TOO_FEW_FRAMES)
    if len(kept) > job.max_frames:
        take = np.round(np.linspace(0, len(kept) - 1, job.max_frames)).astype(int)
        pictures, points, kept = ([seq[i] for i in take] for seq in (pictures, points, kept))
    return _Result(entry, read, np.array(pictures), np.array(points), np.array(kept))


class Crop:
    """What a worker does: one clip's crops and landmarks, or the reason why there are none."""

    def __init__(self, **job: Any) -> None:
        self.job = Prepare(**job)

    def __call__(self, task: Entry, progress: object) -> _Result:
        start = time.perf_counter()
        try:
            if task.path.startswith("puppets:"):
                found = _from_puppet(task, self.job)
            else:
                found = replace(_from_clip(task, self.job), sha256=_hashes(task))
        except GiocondaError as error:
            found = _Result(task, 0, dropped=Dropped.UNREADABLE, note=error.what)
        return replace(found, seconds=time.perf_counter() - start)


def _results(todo: Iterable[Entry], job: Prepare, jobs: int, engine: str) -> Iterator[_Result]:
    with workers(engine, "synth.fakes.prepare:Crop", asdict(job), jobs, _Result) as pool:
        for entry, result, failure in pool.map(todo):
            yield result or _Result(entry, 0, dropped=Dropped.FAILED, note=str(failure))


def _finished(out: Path) -> dict[str, tuple[str, int]]:
    """Sources of every clip that lies in a finished shard: name → (identity, frames)."""
    found: dict[str, tuple[str, int]] = {}
    for file in sorted(out.glob("shard-*.parquet")):
        columns = (column.to_pylist() for column in pq.read_table(file, columns=["identity", "source"]).columns)
        for identity, source in zip(*columns, strict=True):
            found[source] = (identity, found.get(source, ("", 0))[1] + 1)
    return found


def prepare(
    job: Prepare,
    out: str | os.PathLike[str],
    *,
    jobs: int = 1,
    engine: str = "local",
    session: Session | None = None,
) -> Prepared:
    """Fill a folder with shards. Run again after an interruption, it goes on where it was.

    Parameters
    ----------
    out : the folder; it keeps ``prepare.json``, ``clips.jsonl`` and the shards.
    jobs : processes. engine : ``local`` or ``ray`` (RAY_ADDRESS for a cluster that sees the same files).
    session : told of progress, by clip.

    Raises
    ------
    UsageError
        Nothing to do, settings that differ from those the folder was begun with, or a folder that cannot be written.
    """
    folder = Path(out)
    listed = [entry for source in job.sources for entry in entries(source, job.layout, job.where, job.views > 0)]
    names = Counter(entry.name for entry in listed)
    if twice := [name for name, n in names.items() if n > 1]:
        raise UsageError(f"the same clip twice: {twice[0]}", hint="two sources overlap")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _same_job(job, folder)
    except OSError as error:
        raise unwritable(error, folder) from error
    begun = time.perf_counter()
    dropped, todo = _left(folder, listed)
    session = session or Session()
    session.begin(len(todo))
    read = 0
    with closing(_filled(folder, job, _results(todo, job, jobs, engine))) as filling:
        for item in filling:
            read += item.read
            if item.dropped:
                dropped[item.entry.name] = item.dropped
            session.advance(1, note=item.entry.name[-40:])
    final = _finished(folder)
    wanted = {entry.name for entry in listed}
    kept = [found for name, found in final.items() if name in wanted]
    frames, people = sum(n for _, n in kept), len({identity for identity, _ in kept})
    why, seconds = Counter(why for name, why in dropped.items() if name in wanted), time.perf_counter() - begun
    return Prepared(len(listed), len(kept), frames, people, why, seconds, read / max(seconds, 1e-9))


def _left(folder: Path, listed: Sequence[Entry]) -> tuple[dict[str, Dropped], list[Entry]]:
    """Clips that an earlier run dropped, and those that are still to do; rows that a killed run owes are written."""
    # The shard's source column holds the clip's name: what is in a finished shard is done, whatever the rows say.
    done = _finished(folder)
    noted = {row["clip"]: row for row in read_rows(folder / "clips.jsonl")}
    for entry in listed:
        if entry.name in done and entry.name not in noted:  # killed between the shard and its rows
            identity, frames = done[entry.name]
            row = {"clip": entry.name, "identity": identity, "frames": frames, "dropped": ""}
            append_row(folder / "clips.jsonl", {**row, "sha256": list(_hashes(entry))})
    dropped = {
        name: Dropped(row["dropped"]) for name, row in noted.items() if row.get("dropped") and not row.get("failed")
    }
    return dropped, [entry for entry in listed if entry.name not in done and entry.name not in dropped]


def _filled(folder: Path, job: Prepare, results: Iterator[_Result]) -> Generator[_Result]:
    """Write clips into shards as they come, and a row of each; yields them on."""
    rows, pending, size = folder / "clips.jsonl", [], 0
    with ShardWriter(folder, size=job.size, max_bytes=1 << 50, quality=job.quality) as writer:
        for item in results:
            of = {"clip": item.entry.name, "identity": item.entry.identity, "source": item.entry.source}
            cost = {"frames": len(item.frames), "read": item.read, "seconds": round(item.seconds, 3)}
            row = {**of, **cost, "dropped": item.dropped or "", "note": item.note, "sha256": list(item.sha256)}
            if item.dropped:
                append_row(rows, row | ({"failed": True} if item.dropped is Dropped.FAILED else {}))
            else:
                for frame, marks, at in zip(item.frames, item.landmarks, item.times, strict=True):
                    writer.add(frame, marks, item.entry.identity, item.entry.name, float(at))
                    size += frame.nbytes // 12  # about what the JPEG takes
                pending.append(row)
                if size > job.shard_mb << 20:
                    _flush(writer, rows, pending)
                    pending, size = [], 0
            yield item
        _flush(writer, rows, pending)


def _flush(writer: ShardWriter, rows: Path, pending: list[dict[str, Any]]) -> None:
    writer.close()  # the shard is whole now; rows follow
    for row in pending:
        append_row(rows, row)


def _same_job(job: Prepare, folder: Path) -> None:
    file = folder / "prepare.json"
    # Which clips are asked for may change between runs; how they are cut may not.
    fixed = {k: v for k, v in asdict(job).items() if k not in ("sources", "where", "layout", "landmarks", "shard_mb")}
    if file.exists():
        before = json.loads(file.read_text())["cut"]
        if differ := [k for k in fixed if before.get(k) != fixed[k]]:
            raise UsageError(f"was begun with other settings: {', '.join(differ)}", str(folder), "give a new --out")
    write_json(file, {"schema": "gioconda.prepare/1", "sources": list(job.sources), "cut": fixed})
