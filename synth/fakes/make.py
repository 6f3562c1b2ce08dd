"""Makes a labelled, signed set of fakes and real controls from footage: planned, made, recorded, indexed; resumable and replayable.

Shards are read ahead by some threads, clips are finished, encoded and signed by others, and the generator runs in between and waits
for neither as long as there are cores enough for it.
A sample is done when its record is there; the record is written last. Killed at any moment and run again, the same set comes
out: nothing twice, nothing lost. Output folder: ``clips/SPLIT/ID.mp4``, ``records/ID.json``, ``landmarks/ID.npz`` (before and after
adaptation), ``masks/ID.png`` (frames below one another, white where pixels were generated), ``index.parquet`` with its card, ``sheet.jpg``.
"""

import json
import os
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from itertools import groupby, islice, zip_longest
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gioconda_core.datasets.index import Index
from gioconda_core.errors import GiocondaError, MediaError, UsageError
from gioconda_core.files import alone, append_row, clear_unfinished, sha256_of, unwritable, write_json
from gioconda_core.media.clip import Clip as Opened
from gioconda_core.media.pictures import grid
from gioconda_core.types import Label, Sample
from gioconda_core.version import __version__
from gioconda_core.workers.cpu import cores
from gioconda_core.workers.pool import workers as pool_of
from provenance.signing import sign, signers
from synth import consent as consents
from synth.fakes.options import Fakes, Part, Prepare
from synth.fakes.plan import Clip, Recipe, Unit, held_rows, plan, read_part, shot_rows, units_of
from synth.fakes.prepare import prepare
from synth.fakes.sample import Frames, Motion, Picture, draw_sample, motion, render, write_sample
from synth.generators import Roster, TalkingHeads, generator
from synth.reenact.reenact import FED_FORWARD, FewShotGenerator
from synth.session import Session
from synth.training.shards import ShardSet

SHEET, SHOWN = "sheet.jpg", 6  # the picture of a set, and how many samples of each generator it shows
_FOLDERS = ("clips", "records", "landmarks", "masks")


@dataclass
class Result:
    """What a run did. planned : samples of the whole set; made : in this run; there : found finished. stages : seconds of each thread."""

    planned: int = 0
    made: int = 0
    there: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    index: Path | None = None
    schema: str = "gioconda.fakes/1"

    @property
    def complete(self) -> bool:
        """Whether every planned sample is there."""
        return self.made + self.there == self.planned


def _shards(job: Fakes, out: Path, size: int, jobs: int) -> list[ShardSet]:
    """Shard sets of the job; footage that is not in shards yet is prepared into the output folder."""
    sets = []
    for source in job.sources:
        folder = Path(source)
        if not (folder / "shards.json").exists():
            # By what it is, not by its place in the command: another run's footage may lie here already.
            folder = out / "shards" / sha256_of(repr((source, job.layout, job.where)).encode())[:12]
            wanted = max(job.shots) + job.frames
            footage = Prepare(
                sources=(source,), layout=job.layout, where=job.where, size=size, puppet_frames=wanted, max_frames=4 * wanted
            )  # fmt: skip
            prepare(footage, folder, jobs=jobs)
        sets.append(ShardSet(folder))
    if not sets:
        raise UsageError("no sources", hint="gioconda synth fakes SHARDS… --out DIR")
    return sets


class _Clock:
    """Seconds each stage has worked, over all threads."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    def run(self, stage: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return call(*args, **kwargs)
        finally:
            with self._lock:
                self.seconds[stage] += time.perf_counter() - start


def make(
    job: Fakes,
    out: str | os.PathLike[str],
    heads: TalkingHeads | Roster,
    session: Session | None = None,
    part: Part | None = None,
) -> Result:
    """Make the set, or what is missing of it.

    Parameters
    ----------
    session : its consent is needed when anybody real is shown; progress is told by sample. part : this process's part of the
    work; whoever finishes last writes the index.

    Raises
    ------
    UsageError
        No footage with enough frames, no consent, a folder begun with another job or that cannot be written.
    """
    session, part, begun = session or Session(), part or Part(), time.perf_counter()
    making = _Making(job, Path(out), heads, session, part)
    recipes, finished = making.recipes, making.finished()
    # People are dealt out before looking at what is done, so that processes which start at different times agree.
    everybody = groupby(recipes, key=lambda r: (r.identity, r.source))
    people = [list(group) for _, group in islice(everybody, part.rank, None, part.world)]
    missing = [left for group in people if (left := [r for r in group if r.id not in finished])]
    result = Result(planned=len(recipes), there=len(finished))
    session.begin(sum(map(len, missing)))
    own = [finished[r.id] for group in people for r in group if r.id in finished]
    making.log([r for group in missing for r in group], _unnamed(own))
    made: list[dict[str, Any]] = []
    try:
        for item in making.run(missing):
            if isinstance(item, GiocondaError):
                result.failed[str(item)] += 1
                append_row(making.out / "failed.jsonl", {"why": str(item)})
                session.say(str(item))
            else:
                made.append(item)
            session.advance(1)
    finally:
        making.log([], made)
    if hidden := sum("mouth_covered" in record for record in made):
        session.say(f"{hidden} of {len(made)} clips made now are of shots in which something seems to cover the mouth")
    if fed := sum(r.mode == "ff" and r.generator == FewShotGenerator.name for r in recipes):
        session.say(f"{fed} of {len(recipes)} clips are {FED_FORWARD}")
    result.made, result.seconds = len(made), time.perf_counter() - begun
    result.stages = {name: round(value, 3) for name, value in making.clock.seconds.items()}
    records = making.finished()
    if all(r.id in records for r in recipes):
        result.index = write_index(recipes, records, making.out, job)
        if made or not (making.out / SHEET).exists():
            making.sheet()
    return result


def _opened(job: Fakes, folder: Path, heads: TalkingHeads | Roster, part: Part) -> tuple[list[ShardSet], list[Unit]]:
    """The folder begun or taken up again; the footage in shards, and the takes in it that are long enough."""
    try:
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        with alone(folder):
            _same_job(job, folder, heads)
    except OSError as error:
        raise unwritable(error, folder) from error
    if part.world == 1:
        for name in _FOLDERS:
            clear_unfinished(folder / name)
    # torchrun starts several processes on the same folder, and the footage is prepared by the first alone
    with alone(folder):
        sets = _shards(job, folder, heads.size, part.jobs)
        return sets, units_of(sets, folder, job)


def _unnamed(finished: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Finished samples that no row of the log names: those of a run that was killed."""
    named = {digest for row in consents.check_log().rows for digest in row.outputs} if finished else set()
    return [record for record in finished if record["sha256"] not in named]


class _Making:
    """What all samples of a run have in common, and the threads that they go through."""

    def __init__(self, job: Fakes, out: Path, heads: TalkingHeads | Roster, session: Session, part: Part) -> None:
        self.out, self.heads = out, heads
        self.sets, units = _opened(job, out, heads, part)
        self.units = {(u.identity, u.source): u for u in units}
        real: set[str] = set()
        for number, shards in enumerate(self.sets):
            real |= shards.real_files([(u.identity, u.source) for u in units if u.shards == number])
        self.granted = session.granted("fakes", sorted(real), bool(real))
        self.recipes = plan(units, job, heads)
        if not self.recipes:
            raise UsageError("nothing to make: no take has enough frames for these shots", hint="lower --shots")
        self.signer, self.writers = session.signer or signers.default(), part.writers or max(2, cores())
        self.clock = _Clock()
        # What else pixels depend on: another torch, or another device, need not draw the same ones bit for bit.
        self.versions = {"gioconda": __version__, "numpy": np.__version__, "opencv": cv2.__version__}
        self.versions |= {"torch": version("torch"), "device": getattr(heads, "device", "cpu")}

    def finished(self) -> dict[str, dict[str, Any]]:
        """By their ids, the records of samples that are finished: each is whole, and the clip it names has the size it had."""
        found = {}
        for r in self.recipes:
            with suppress(OSError, ValueError, KeyError):
                record = json.loads((self.out / "records" / f"{r.id}.json").read_text())
                if (self.out / record["file"]).stat().st_size == record["bytes"]:
                    found[r.id] = record
        return found

    def log(self, wanted: Sequence[Recipe], records: Sequence[Mapping[str, Any]]) -> None:
        """A row of what is about to be made, and of finished samples that no row names yet."""
        if wanted or records:
            self.granted.log(
                "fakes",
                self.heads.name,
                [row["sha256"] for row in records],
                sources=[*(r.shots_sha256 for r in wanted), *(row["recipe"]["shots_sha256"] for row in records)],
                drivers=[*(r.driver_sha256 for r in wanted), *(row["recipe"]["driver_sha256"] for row in records)],
            )

    def run(self, groups: Sequence[Sequence[Recipe]]) -> Iterator[dict[str, Any] | GiocondaError]:
        """Read ahead → generate → encode and sign; yields each record, or the reason why there is none."""
        # Pictures are decoded in a third of the time that a clip takes to encode and sign.
        readers = max(1, self.writers // 3)
        with ThreadPoolExecutor(readers) as reading, ThreadPoolExecutor(self.writers) as writing:
            coming, ahead = iter(groups), deque[tuple[Sequence[Recipe], Future[dict[Any, Clip]]]]()
            waiting: deque[Future[dict[str, Any]]] = deque()
            while True:
                # One more than is read at a time: what the generator takes next is there while it draws.
                for group in islice(coming, readers + 1 - len(ahead)):
                    ahead.append((group, reading.submit(self.clock.run, "decode", self._load, group)))
                if not ahead:
                    break
                group, loading = ahead.popleft()
                clips = _tried(loading.result)
                if isinstance(clips, GiocondaError):
                    yield from [MediaError(f"{group[0].identity}/{group[0].source}: {clips.what}")] * len(group)
                    continue
                for r, drawing in self._drawings(group, clips):
                    if isinstance(drawing, GiocondaError):
                        yield MediaError(f"{r.id}: {drawing.what}")
                        continue
                    held = clips["held", r.driver_sha256]
                    waiting.append(writing.submit(self.clock.run, "encode and sign", self._finish, r, held, drawing))
                    while len(waiting) > 4 * self.writers:  # finished frames wait in memory: bound them
                        yield _tried(waiting.popleft().result)
            for future in waiting:
                yield _tried(future.result)

    def _load(self, group: Sequence[Recipe]) -> dict[Any, Clip]:
        clips: dict[Any, Clip] = {}

        def take(key: tuple[str, Any], unit: Unit, rows: Sequence[int]) -> None:
            if key not in clips:
                clips[key] = read_part(self.sets[unit.shards], unit, rows, self.heads.size)

        for r in group:
            driver, unit = self.units[r.driver_identity, r.driver_source], self.units[r.identity, r.source]
            take(("held", driver.sha256), driver, held_rows(driver, r.frames))
            if r.kind != "control":
                take(("shots", r.shots), unit, shot_rows(unit, r.before, r.shots))
        return clips

    def _drawings(
        self, group: Sequence[Recipe], clips: Mapping[Any, Clip]
    ) -> Iterator[tuple[Recipe, tuple[Motion | None, Picture | None] | GiocondaError]]:
        """Each recipe with what was drawn for it; the same frames at another CRF or in another region are not drawn again."""
        for learned, samples in groupby(group, key=lambda r: r.sitting if r.kind != "control" else ()):
            recipes = list(samples)
            drawings = self._sitting(recipes, clips) if learned else {}
            for r in recipes:
                yield r, drawings.get((r.kind, r.driver_sha256), (None, None))

    def _sitting(
        self, recipes: Sequence[Recipe], clips: Mapping[Any, Clip]
    ) -> Mapping[tuple[str, str], tuple[Motion, Picture] | GiocondaError]:
        """One person learned, and every motion asked of them drawn once: (kind, driver) → landmarks and frames, or why there are none."""
        first = recipes[0]
        maker, shots = Roster.named(self.heads, first.generator), clips["shots", first.shots]
        wanted = {(r.kind, r.driver_sha256): r for r in recipes}
        personal = self._drawn(
            maker.personalise, shots.frames, shots.landmarks, mode=first.mode, steps=first.steps or None, seed=int(first.seed)
        )  # fmt: skip
        if isinstance(personal, GiocondaError):
            return dict.fromkeys(wanted, personal)
        out = {key: _tried(motion, r, shots, clips["held", key[1]]) for key, r in wanted.items()}
        motions = {key: moved for key, moved in out.items() if isinstance(moved, Motion)}
        if getattr(maker, "batches", False) and len(motions) > 1:
            # On a GPU the clips of one person fill its batches together; on a CPU that gains nothing.
            marks = [moved.landmarks for moved in motions.values()]
            frames = self._drawn(personal.render, np.concatenate(marks))
            if isinstance(frames, GiocondaError):
                return out | dict.fromkeys(motions, frames)
            pictures = [Picture(part) for part in np.split(frames, np.cumsum([len(m) for m in marks])[:-1])]
        else:
            pictures = [
                self._drawn(render, personal, wanted[key], moved, clips["held", key[1]])
                for key, moved in motions.items()
            ]
        drawn = zip(motions.items(), pictures, strict=True)
        return out | {key: (moved, p) if isinstance(p, Picture) else p for (key, moved), p in drawn}

    def _drawn(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What the generator gives, or why it gives nothing; its time is taken."""
        return _tried(self.clock.run, "generator", call, *args, **kwargs)

    def _finish(self, r: Recipe, driver: Clip, drawing: tuple[Motion | None, Picture | None]) -> dict[str, Any]:
        try:
            drawn = draw_sample(r, driver, *drawing)
        except GiocondaError as error:
            raise MediaError(f"{r.id}: {error.what}") from error
        return write_sample(drawn, self.out, self.granted, self.signer, self.versions)

    def sheet(self) -> None:
        """``sheet.jpg``: of each generator some self-reenactments, each beside the real frame of the same moment; signed."""
        real = {(r.driver_sha256, r.crf): r for r in self.recipes if r.kind == "control"}
        columns: list[list[Frames]] = []
        titles: list[str] = []

        def middle(recipe: Recipe) -> Frames:
            with Opened.open(self.out / "clips" / recipe.split / f"{recipe.id}.mp4") as clip:
                frames, _ = clip.sample("all")
            return np.asarray(frames[len(frames) // 2], np.uint8)

        fakes = [r for r in self.recipes if r.kind == "self" and (r.driver_sha256, r.crf) in real]
        for name in sorted({r.generator for r in fakes}):
            of_it = [r for r in fakes if r.generator == name]
            different = list({r.driver_sha256: r for r in of_it}.values())[:SHOWN]
            columns += [[middle(real[r.driver_sha256, r.crf]) for r in different], [middle(r) for r in different]]
            titles += ["real", name]
        if not columns:
            return  # no fake has a real clip of the same frames: nothing to set side by side
        blank = np.full_like(columns[0][0], 255)  # where one generator made fewer than another
        picture = grid(list(zip_longest(*columns, fillvalue=blank)), (128, 128), titles=titles)
        claim = self.granted.claim(SHEET, "contact-sheet", self.heads)
        path = sign.write_picture(picture, self.out / SHEET, claim, quality=90, signer=self.signer, force=True)
        self.granted.log("sheet", self.heads.name, [sha256_of(path)])


def _tried(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a call gives; one of our own errors is an answer too."""
    try:
        return call(*args, **kwargs)
    except GiocondaError as error:
        return error


def _same_job(job: Fakes, folder: Path, heads: TalkingHeads | Roster) -> None:
    """Save the merged configuration before work starts; note a later run with another one (its samples join the folder)."""
    text = {**asdict(job), "generator": heads.name, "weights_sha256": heads.weights_sha256}
    text["splits"] = dict(job.splits)
    document = json.loads(json.dumps(text))
    file = folder / "fakes.json"
    if file.exists():
        before = json.loads(file.read_text())
        if {k: before.get(k) for k in ("splits", "seed")} != {k: document[k] for k in ("splits", "seed")}:
            what = "was begun with another seed or other splits: people would change sides"
            raise UsageError(what, str(folder), "give a new --out")
        if before != document:
            append_row(folder / "fakes.history.jsonl", before)
    write_json(file, document)


def write_index(recipes: Sequence[Recipe], records: Mapping[str, Mapping[str, Any]], out: Path, job: Fakes) -> Path:
    """``index.parquet``: one row a sample of this plan, fakes paired with the control of the same frames and CRF."""
    controls = {(r.driver_sha256, r.crf): records[r.id]["sha256"] for r in recipes if r.kind == "control"}
    samples = []
    for r in recipes:
        record = records[r.id]
        fake = r.kind != "control"
        group, extra = {"task": r.kind, "crf": str(r.crf)}, {"record": f"records/{r.id}.json"}
        if "making" in record:
            group["difficulty"] = _third(record["making"]["difficulty"])
        if fake:
            group |= {"shots": str(r.shots), "mode": r.mode, "steps": str(r.steps), "region": r.region}
            extra["mask"] = f"masks/{r.id}.png"
        if r.kind == "cross":
            extra |= {"donor": r.driver_identity, "driver_source": r.driver_source}
        paired = r.kind == "self" or "making" in record
        sample = Sample(
            record["file"], record["sha256"], Label.FAKE if fake else Label.REAL, generator=r.generator,
            identity=r.identity, source=r.source, licence=record["licence"], split=r.split, essence=record["essence"],
            pair=controls.get((r.driver_sha256, r.crf), "") if paired else "", group=group, extra=extra,
        )  # fmt: skip
        samples.append(sample)
    target = out / "index.parquet"
    card = {
        "title": "Reenactments by a few-shot talking-head generator, with real pass-through controls",
        "generator": sorted({r.generator for r in recipes if r.generator}),
        "weights_sha256": sorted({r.weights_sha256 for r in recipes if r.weights_sha256}),
        "grid": {axis: list(getattr(job, axis)) for axis in ("shots", "modes", "steps", "crf", "regions")},
        "controls": "real frames passed through the same crop, size, codec and CRF as the fakes",
        "splits_are": "disjoint by identity and source; a cross-reenactment's driver is of the same split",
        "seed": str(job.seed),
    }
    Index(tuple(samples), out, {}).write(target, card)
    return target


def _third(difficulty: float) -> str:
    return ("easy", "middling", "hard")[min(2, int(3 * difficulty))]


class Share:
    """What a worker does: one process's share of the people, with a generator of its own."""

    def __init__(
        self, job: Mapping[str, Any], out: str, name: str, options: Mapping[str, Any], consent: str | None
    ) -> None:
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in job.items()}
        self.job = Fakes(**settings)
        self.out, self.consent = out, consent
        self.heads = generator(name, **options)

    def __call__(self, task: Part, progress: object) -> Result:
        return make(self.job, self.out, self.heads, Session(self.consent), task)


def on_ray(
    job: Fakes, out: str | os.PathLike[str], name: str, options: Mapping[str, Any], *, consent: str | None, workers: int
) -> Result:
    """Make the set with Ray workers that see the same files (RAY_ADDRESS for a cluster).

    Footage is prepared, and what is left without a record after the workers is made, by this process.
    """
    heads = generator(name, **options)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    units_of(_shards(job, folder, heads.size, workers), folder, job)  # once, not once in each worker
    share = {"job": asdict(job), "out": os.path.abspath(folder), "name": name, "options": dict(options)}
    parts = [Part(rank=rank, world=workers) for rank in range(workers)]
    with pool_of("ray", "synth.fakes.make:Share", share | {"consent": consent}, workers, Result) as pool:
        shares = [answer for _, answer, _ in pool.map(parts) if answer is not None]
    final = make(job, folder, heads, Session(consent))
    final.made += sum(answer.made for answer in shares)
    final.there = final.planned - final.made
    for answer in shares:
        final.failed.update(answer.failed)
    return final
