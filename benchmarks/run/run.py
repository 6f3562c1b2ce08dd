"""Runs a suite: config and hashes first, then one row a sample, a degradation and a detector, appended; run again to resume.

The folder is the truth: ``config.json``, ``environment.json``, ``samples.jsonl``, ``readings*.jsonl``, ``thumbs/``, ``complete.json``.
A file that cannot be read, a detector that fails, a worker that dies is a row with its reason; no sample is ever replaced
by another. Detectors get frames and tracks, never a path.
"""

import functools
import json
import os
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice, zip_longest
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np

from benchmarks.run.environment import environment
from benchmarks.run.options import Measure
from benchmarks.run.rows import FeatureRow, ReadingRow, SampleRow, readings, samples_in
from benchmarks.run.suite import NATIVE, Suite
from benchmarks.stats import probes
from detect.base import Detector
from detect.external.scores import ScoresDetector
from detect.reading.observe import readings as readings_of
from detect.registry import load
from gioconda_core.datasets.index import Index
from gioconda_core.documents import plain
from gioconda_core.errors import GiocondaError, UsageError
from gioconda_core.files import append_row, atomic_path, sha256_of, write_json, write_text
from gioconda_core.media import degrade
from gioconda_core.media.clip import Clip
from gioconda_core.media.degrade import CLEAN
from gioconda_core.media.pictures import around, jpeg
from gioconda_core.reasons import Abstention, AbstentionReason
from gioconda_core.types import Footage, Sample, TrackScore
from gioconda_core.workers.pool import workers

SCHEMA = "gioconda.run/1"
PROBED = 5000  # clips whose features are kept for the shortcut probes


@dataclass(frozen=True)
class Task:
    """One sample and what is still missing of it: (degradation, detector spec) pairs. names : what the index calls it (its own id, its
    path), for tables of scores alone. probe : keep features for the shortcut probes."""

    id: str
    path: str
    missing: tuple[tuple[str, str], ...]
    names: tuple[str, ...] = ()
    probe: bool = False


@dataclass(frozen=True)
class Outcome:
    """What ``bench run`` prints. rows : there now, of every sample, degradation and detector; failed : of them, failures."""

    folder: Path
    rows: int
    failed: int
    abstained: int
    schema: str = "gioconda.run-outcome/1"


# --------------------------------------------------------------------------- in the worker


@functools.cache
def detectors_of(specs: tuple[str, ...]) -> dict[str, Detector]:
    """Detectors by spec, loaded once a process."""
    return {spec: load(spec) for spec in specs}


@dataclass(frozen=True)
class Measured:
    """The rows of one sample."""

    readings: Sequence[ReadingRow]
    features: Sequence[FeatureRow] = ()


class Work:
    """What a pool's worker does: every missing reading of one sample, a row each, whatever happens, and its measures where they are kept.

    detectors : specs as given to ``detect.registry.load``. thumbs : folder for one small picture a clip.
    """

    def __init__(self, detectors: Sequence[str], sampling: str, thumbs: str, timeout: float | None) -> None:
        self.detectors, self.thumbs, self.timeout = detectors_of(tuple(detectors)), Path(thumbs), timeout
        self.sampling = None if sampling == NATIVE else sampling

    def __call__(self, task: Task, progress: object) -> Measured:
        rows: list[ReadingRow] = []
        kept: list[FeatureRow] = []
        for name in dict.fromkeys(d for d, _ in task.missing):
            specs = [spec for d, spec in task.missing if d == name]
            rows += self._one(task, name, {spec: self.detectors[spec] for spec in specs}, kept)
        return Measured(rows, kept)

    def _one(
        self, task: Task, degradation: str, detectors: Mapping[str, Any], kept: list[FeatureRow]
    ) -> list[ReadingRow]:
        """The readings of one degradation; ``kept`` gets the clip's measures."""
        from detect.reading.observe import observe

        how = degrade.parse(degradation)
        looked_up = {spec: d for spec, d in detectors.items() if isinstance(d, ScoresDetector)}
        seeing = {spec: d for spec, d in detectors.items() if spec not in looked_up}
        rows = [_lookup(task, how, spec, d) for spec, d in looked_up.items()]
        if not seeing:
            return rows
        try:
            with Clip.open(degrade.apply(task.path, how, sha256=task.id)) as clip:
                facts = plain(clip.facts)
                footage = observe(clip, list(seeing.values()), self.sampling)
        except (GiocondaError, MemoryError, OSError) as error:
            what = error.what if isinstance(error, GiocondaError) else f"{type(error).__name__}: {error}"
            return rows + [
                _row(task, how.name, spec, d, error=f"the clip cannot be read: {what}") for spec, d in seeing.items()
            ]
        if degradation == CLEAN:
            _thumb(self.thumbs / f"{task.id}.jpg", footage)
            if task.probe:
                kept.append(FeatureRow(task.id, probes.features(footage, facts, embed=False)))
        answers = readings_of(footage, list(seeing.values()), timeout=self.timeout)
        for (spec, detector), (reading, judged) in zip(seeing.items(), answers, strict=True):
            pooled = reading.score is not None and reading.pooling != "max-track-mean"
            row = _row(
                task, how.name, spec, detector,
                protocol=f"video@{reading.protocol}{f'+{reading.pooling}' if pooled else ''}",
                seconds=round(reading.seconds or 0.0, 4),
                cost=getattr(detector, "cost", None),
                frames=len(footage.frames),
                faces=len(footage.tracks),
                level=str(judged.level),
                false_alarm=None if judged.false_alarm is None else round(judged.false_alarm, 4),
            )  # fmt: skip
            if reading.score is not None:
                row = replace(row, score=reading.score, series=tuple(map(_shortened, reading.series)))
            elif reading.abstained is not None:
                row = replace(row, **reading.abstained.columns())
            rows.append(row)
        return rows


def _shortened(track: TrackScore) -> TrackScore:
    """A score over time to as many digits as a row keeps."""
    times, scores = (round(t, 3) for t in track.times), (float(f"{v:.6g}") for v in track.scores)
    return TrackScore(track.track, tuple(times), tuple(scores))


def _row(task: Task, degradation: str, spec: str, detector: Any, **more: Any) -> ReadingRow:
    return ReadingRow(task.id, degradation, detector.id, spec, detector.version, detector.weights_sha256, **more)


def _lookup(task: Task, how: degrade.Degradation, spec: str, detector: ScoresDetector) -> ReadingRow:
    """A table's score. It speaks of the clip as it was, so of no degraded version of it."""
    row = _row(task, how.name, spec, detector, protocol="video@theirs")
    if how.steps:
        return replace(row, **Abstention(AbstentionReason.TABLE_NOT_OF_DEGRADED).columns())
    reading = detector.of(task.id, *task.names, Path(task.path).name)
    return replace(row, score=reading.score, **(reading.abstained.columns() if reading.abstained else {}))


def _thumb(path: Path, footage: Footage) -> None:
    """The middle frame around its largest face, 160 pixels, for the report."""
    if path.exists():
        return
    middle = len(footage.frames) // 2
    picture = footage.frames[middle]
    if footage.tracks:
        track = footage.tracks[0]
        picture = around(picture, track.boxes[int(np.argmin(np.abs(track.times - footage.times[middle])))], 1.6)
    with atomic_path(path) as temporary:
        temporary.write_bytes(jpeg(picture, 160, quality=80))


# --------------------------------------------------------------------------- in the parent


def samples_of(index: Index, *, split: str | None = None, name: str = "") -> list[tuple[Sample, Path]]:
    """Samples to measure, with their paths; hashed where the index has no hash. ``split`` is used only where the index has it."""
    chosen = index.filter(split=split) if split and any(s.split == split for s in index) else index
    found = []
    for sample in chosen:
        path = index.resolve(sample)
        sha = sample.sha256
        if not sha:
            try:
                sha = sha256_of(path)
            except OSError:
                sha = "unreadable-" + sha256_of(sample.path.encode())[:24]
        group = {**sample.group, **({"set": name} if name else {})}
        found.append((replace(sample, sha256=sha, group=group), path))
    return found


def limited(samples: list[tuple[Sample, Path]], limit: int | None) -> list[tuple[Sample, Path]]:
    """The first ``limit`` in an order by hash, taken from the labels in turn, so that a small run has both."""
    if limit is None or limit >= len(samples):
        return samples
    ordered = sorted(samples, key=lambda s: sha256_of(s[0].sha256.encode()))
    by_label: dict[str, list[tuple[Sample, Path]]] = {}
    for item in ordered:
        by_label.setdefault(str(item[0].label), []).append(item)
    turns = zip_longest(*by_label.values())  # one of each label, while there are any
    return list(islice((item for turn in turns for item in turn if item is not None), limit))


def shard_of(sample: Sample, n: int) -> int:
    """Which of n shards (1…n) a sample belongs to: by its hash, whatever else is in the set."""
    return int(sha256_of(sample.sha256.encode())[:8], 16) % n + 1


def _names(detectors: Mapping[str, Any]) -> None:
    seen: dict[str, str] = {}
    for spec, d in detectors.items():
        if d.id in seen:
            raise UsageError(
                f"{seen[d.id]} and {spec} both call themselves {d.id!r}",
                hint=f"name one of them yourself: another={spec}",
            )
        seen[d.id] = spec


def listed(samples: Iterable[Sample]) -> list[list[str]]:
    """What makes a list of samples another one: their contents, and what is said of them that figures rest on."""
    return sorted([s.sha256, str(s.label), s.generator, s.identity, s.source] for s in samples)


@dataclass
class _Ledger:
    """Rows that are there. A row counts by (sample, degradation, detector id), and only with the versions of this run."""

    known: set[tuple[str, str, str]] = field(default_factory=set)
    failed: int = 0
    abstained: int = 0

    def add(self, row: ReadingRow) -> None:
        """Count a row, unless it is there already."""
        key = (row.id, row.degradation, row.detector)
        if key not in self.known:
            self.known.add(key)
            self.failed += bool(row.error)
            self.abstained += bool(row.abstained)


@dataclass(frozen=True)
class _Run:
    """What one run measures: its suite, its detectors by spec, and the samples of the sets. whole : samples before a limit."""

    suite: Suite
    detectors: Mapping[str, Any]
    samples: Sequence[tuple[Sample, Path]]
    whole: int
    sets: Mapping[str, Mapping[str, str]]
    limit: int | None

    @classmethod
    def of(cls, suite: Suite, specs: Sequence[str], indexes: Mapping[str, Index], limit: int | None) -> "_Run":
        detectors = detectors_of(tuple(specs))
        _names(detectors)
        samples: list[tuple[Sample, Path]] = []
        for name, index in indexes.items():
            samples += samples_of(index, split=suite.data.get("split"), name=name if len(indexes) > 1 else "")
        if not samples:
            raise UsageError("there is nothing to measure", hint="the index has no sample in the suite's split")
        sets = {name: _set_card(index) for name, index in indexes.items()}
        whole = max(len(samples), sum(int(index.card.get("whole", 0)) for index in indexes.values()))
        return cls(suite, detectors, limited(samples, limit), whole, sets, limit)

    @property
    def identity(self) -> dict[str, Any]:
        """What must be the same for two runs to be one."""
        listing = json.dumps(listed(s for s, _ in self.samples))
        return {
            "suite": self.suite.identity,
            "detectors": [
                {"spec": spec, "id": d.id, "version": d.version, "weights_sha256": d.weights_sha256}
                for spec, d in self.detectors.items()
            ],
            "sampling": self.suite.sampling,
            "degradations": list(self.suite.degradations),
            "data": {"samples": len(self.samples), "sha256": sha256_of(listing.encode())},
            "limit": self.limit,
        }

    def _unlike(self, folder: Path) -> str | None:
        """Why the readings in the folder are none of this run's; empty where they are, None where the very same run wrote them.

        Clips may have come, gone, or be labelled otherwise, and detectors may have come: what was read of a clip is read of its bytes.
        """
        now = json.loads(json.dumps(self.identity))
        try:
            then = json.loads((folder / "config.json").read_text(encoding="utf-8"))["identity"]
            if then == now:
                return None
            if any(detector not in now["detectors"] for detector in then["detectors"]):
                return "its detectors differ"
            if then["data"] != now["data"] and not {s.sha256 for s, _ in self.samples} & {
                s.id for s in samples_in(folder)
            }:
                return "its data differs"
            return next((f"its {k} differs" for k in ("suite", "sampling", "degradations") if then[k] != now[k]), "")
        except (OSError, ValueError, TypeError, KeyError):
            return "its config.json or samples.jsonl is damaged"

    def claim(self, folder: Path, job: Measure) -> None:
        """Write the configuration before any work; refuse a folder that holds another run."""
        path = folder / "config.json"
        why = self._unlike(folder) if path.exists() else ""
        if why is None:
            return
        if why and not job.force:
            raise UsageError(
                f"holds another run: {why}", where=str(folder), hint="give another --out, or --force to start over"
            )
        for old in folder.glob("readings*.jsonl") if why else ():
            old.unlink()
        (folder / "complete.json").unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "environment.json", environment())
        write_json(
            path,
            {
                "schema": SCHEMA,
                "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "identity": self.identity,
                "suite": {**asdict(self.suite), "data": dict(self.suite.data)},
                "cards": {d.id: plain(d.card) for d in self.detectors.values()},
                "samples_in_set": self.whole,
                "sets": self.sets,
                "command": job.command,
            },
        )

    def tasks(self, known: Container[tuple[str, str, str]], shard: tuple[int, int]) -> tuple[list[Task], int]:
        """What is missing of a shard's samples, in the order of their hashes, so that a run that is only half there is a fair half;
        and how many rows the shard has in all. The same bytes twice are measured once, and the report says so."""
        names = {d: degrade.parse(d).name for d in self.suite.degradations}
        share = 1000 * PROBED / len(self.samples)  # of every thousand, how many are kept features of
        own = {s.sha256: (s, path) for s, path in reversed(self.samples) if shard_of(s, shard[1]) == shard[0]}
        tasks = []
        for sample, path in sorted(own.values(), key=lambda item: shard_of(item[0], 2**31)):
            missing = tuple(
                (d, spec)
                for d, name in names.items()
                for spec, detector in self.detectors.items()
                if (sample.sha256, name, detector.id) not in known
            )
            if missing:
                called = (str(sample.extra.get("id") or ""), sample.path)
                tasks.append(Task(sample.sha256, str(path), missing, called, shard_of(sample, 1000) <= share))
        return tasks, len(own) * len(names) * len(self.detectors)


class Progress(Protocol):
    """Told how much there is to do, and each time that some of it is done."""

    def begin(self, total: float | None, /) -> None: ...

    def count(self, n: float = 1, /) -> None: ...


_NOBODY = SimpleNamespace(begin=lambda total: None, count=lambda n=1: None)


def run(
    suite: Suite,
    detectors: Sequence[str],
    out: str | os.PathLike[str],
    indexes: Mapping[str, Index],
    job: Measure | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Run a suite over labelled sets; resumes what is in ``out`` if it is the same run.

    Parameters
    ----------
    indexes : name → index. progress : counts rows.

    Raises
    ------
    UsageError
        ``out`` holds another run, two detectors share a name, or nothing is left to measure.
    """
    folder, job, progress = Path(out), job or Measure(), progress or _NOBODY
    this = _Run.of(suite, detectors, indexes, job.limit)
    this.claim(folder, job)
    write_samples(folder, this.samples)
    ledger = _Ledger()
    wanted = {sample.sha256 for sample, _ in this.samples}
    for row in readings(folder):
        if row.id in wanted and not (job.retry and row.error):
            ledger.add(row)
    tasks, rows = this.tasks(ledger.known, job.shard)
    progress.begin(sum(len(t.missing) for t in tasks))
    shard, shards = job.shard
    part = "" if shards == 1 else f"-{shard}-of-{shards}"
    plan = {
        "detectors": list(detectors),
        "sampling": suite.sampling,
        "thumbs": str(folder / "thumbs"),
        "timeout": job.timeout,
    }
    with workers(job.engine, "benchmarks.run.run:Work", plan, max(1, job.jobs), Measured) as pool:
        for task, answer, failure in pool.map(tasks):
            measured = answer or Measured(_failed(task, this.detectors, str(failure)))
            for kept in measured.features:
                append_row(folder / f"features{part}.jsonl", kept.columns())
            for row in measured.readings:
                append_row(folder / f"readings{part}.jsonl", row.columns())
                ledger.add(row)
            progress.count(len(measured.readings))
    degrade.trim()
    if shards == 1:
        write_json(folder / "complete.json", {"rows": rows, "failed": ledger.failed, "abstained": ledger.abstained})
    return Outcome(folder, rows, ledger.failed, ledger.abstained)


def _failed(task: Task, detectors: Mapping[str, Any], why: str) -> list[ReadingRow]:
    """The rows of a sample whose worker gave no answer."""
    return [_row(task, degrade.parse(d).name, spec, detectors[spec], error=why) for d, spec in task.missing]


def _set_card(index: Index) -> dict[str, str]:
    """What a reader of figures must know of the set: what it was made from, under which licences."""
    card = {k: str(index.card[k]) for k in ("name", "from", "made by") if index.card.get(k)}
    return card | {"licences": ", ".join(index.summary().licences) or "not given"}


def write_samples(folder: Path, samples: Sequence[tuple[Sample, Path]]) -> None:
    """One line a sample: what the report knows of it. The same run writes the same bytes."""
    lines = [json.dumps(SampleRow.about(sample).columns(), ensure_ascii=False) for sample, _ in samples]
    write_text(folder / "samples.jsonl", "\n".join(lines) + "\n")
