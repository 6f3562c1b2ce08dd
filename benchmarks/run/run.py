"""Running a suite: config and hashes first, then one row a sample, a degradation and a detector, appended; run again to resume.

The folder is the truth: ``config.json``, ``environment.json``, ``samples.jsonl``, ``readings*.jsonl``, ``thumbs/``, ``complete.json``.
A file that cannot be read, a detector that fails, a worker that dies is a row with its reason; no sample is ever replaced
by another. Detectors get frames and tracks, never a path.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.run import degrade
from benchmarks.run.environment import environment
from benchmarks.run.suite import NATIVE, Suite
from benchmarks.stats import probes
from benchmarks.stats.table import CLEAN
from gioconda_core.datasets.index import Index
from gioconda_core.errors import GiocondaError, UsageError
from gioconda_core.files import append_row, atomic_path, read_rows, sha256_of, write_json, write_text
from gioconda_core.media.pictures import around, jpeg
from gioconda_core.reasons import Abstention, AbstentionReason
from gioconda_core.types import Footage, Label, Sample
from gioconda_core.workers.pool import workers

SCHEMA = "gioconda.run/1"
PROBED = 5000  # clips whose features are kept for the shortcut probes


@dataclass(frozen=True)
class Plan:
    """What a worker needs to know; plain data that goes to any process or machine.

    detectors : specs as given to ``detect.load``. thumbs : folder for one small picture a clip, or "".
    """

    detectors: tuple[str, ...]
    sampling: str
    degradations: tuple[str, ...]
    thumbs: str = ""
    cache: str = ""
    timeout: float | None = None


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
    """What a run did. rows : rows wanted in all; done : rows there now; failed : of them, failures."""

    folder: Path
    rows: int
    done: int
    failed: int
    abstained: int

    @property
    def complete(self) -> bool:
        return self.done >= self.rows


# --------------------------------------------------------------------------- in the worker

_loaded: dict[tuple[str, ...], dict[str, Any]] = {}


def detectors_of(specs: Sequence[str]) -> dict[str, Any]:
    """Detectors by spec, loaded once a process."""
    import detect

    key = tuple(specs)
    if key not in _loaded:
        _loaded[key] = {spec: detect.load(spec) for spec in specs}
    return _loaded[key]


class Work:
    """What a pool's worker holds: the plan, and the detectors of its process."""

    def __init__(self, **plan: Any) -> None:
        self.plan = Plan(**plan)

    def __call__(self, task: dict[str, Any], progress: object) -> dict[str, Any]:
        return {"rows": work(self.plan, Task(**task))}


def work(plan: Plan, task: Task) -> list[dict[str, Any]]:
    """Every missing reading of one sample: a row each, whatever happens."""
    loaded = detectors_of(plan.detectors)
    rows = []
    for name in dict.fromkeys(d for d, _ in task.missing):
        specs = [spec for d, spec in task.missing if d == name]
        rows += _one(plan, task, name, {spec: loaded[spec] for spec in specs})
    return rows


def _one(plan: Plan, task: Task, degradation: str, detectors: Mapping[str, Any]) -> list[dict[str, Any]]:
    from detect.reading.observe import observe
    from detect.reading.observe import readings as readings_of
    from gioconda_core.media.clip import Clip

    how = degrade.parse(degradation)
    looked_up = {spec: d for spec, d in detectors.items() if hasattr(d, "lookup")}
    seeing = {spec: d for spec, d in detectors.items() if spec not in looked_up}
    rows = [_lookup(task, how, spec, d, plan.sampling) for spec, d in looked_up.items()]
    if not seeing:
        return rows
    try:
        folder = Path(plan.cache) if plan.cache else None
        path = degrade.apply(task.path, how, sha256=task.id, folder=folder)
        with Clip.open(path) as clip:
            facts = clip.facts.as_dict()
            footage = observe(clip, list(seeing.values()), None if plan.sampling == NATIVE else plan.sampling)
    except (GiocondaError, MemoryError, OSError) as error:
        what = error.what if isinstance(error, GiocondaError) else f"{type(error).__name__}: {error}"
        return rows + [
            _row(task, how.name, spec, d, error=f"the clip cannot be read: {what}") for spec, d in seeing.items()
        ]
    if degradation == CLEAN:
        if plan.thumbs:
            _thumb(Path(plan.thumbs) / f"{task.id}.jpg", footage)
        if task.probe:
            rows.append({"id": task.id, "features": probes.features(footage, facts, embed=False)})
    answers = readings_of(footage, list(seeing.values()), timeout=plan.timeout)
    for (spec, detector), (reading, judged) in zip(seeing.items(), answers, strict=True):
        row = _row(task, how.name, spec, detector)
        row["protocol"] = f"video@{reading.protocol}" + (
            f"+{reading.pooling}" if reading.score is not None and reading.pooling != "max-track-mean" else ""
        )
        row["seconds"] = round(reading.seconds or 0.0, 4)
        if (cost := getattr(detector, "cost", None)) is not None:
            row["cost"] = cost
        row["frames"] = len(footage.frames)
        row["faces"] = len(footage.tracks)
        if reading.score is not None:
            row["score"] = reading.score
            row["series"] = [
                {
                    "track": s.track,
                    "times": [round(t, 3) for t in s.times],
                    "scores": [float(f"{v:.6g}") for v in s.scores],
                }
                for s in reading.series
            ]
        elif reading.abstained is not None:
            row |= reading.abstained.columns()
        row["level"] = str(judged.level)
        if judged.false_alarm is not None:
            row["false_alarm"] = round(judged.false_alarm, 4)
        rows.append(row)
    return rows


def _row(task: Task, degradation: str, spec: str, detector: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": task.id,
        "degradation": degradation,
        "detector": detector.id,
        "spec": spec,
        "version": detector.version,
        "weights_sha256": detector.weights_sha256,
        **more,
    }


def _lookup(task: Task, how: degrade.Degradation, spec: str, detector: Any, sampling: str) -> dict[str, Any]:
    """A table's score. It speaks of the clip as it was, so of no degraded version of it."""
    from detect import Abstain

    row = _row(task, how.name, spec, detector, protocol="video@theirs")
    if how.steps:
        return row | Abstention(AbstentionReason.TABLE_NOT_OF_DEGRADED).columns()
    try:
        reading = detector.lookup(task.id, *task.names, Path(task.path).name)
    except Abstain as said:
        return row | said.reason.columns()
    return row | {"score": reading.score}


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
        found.append((_with(sample, sha, group), path))
    return found


def _with(sample: Sample, sha: str, group: Mapping[str, str]) -> Sample:

    return replace(sample, sha256=sha, group=dict(group))


def _sample_row(sample: Sample) -> dict[str, Any]:
    label = {Label.REAL: 0, Label.FAKE: 1}.get(sample.label, -1)
    return {
        "id": sample.sha256,
        "label": label,
        "generator": sample.generator,
        "identity": sample.identity,
        "source": sample.source,
        "group": dict(sample.group),
        "path": sample.path,
        **({"own": str(sample.extra["id"])} if sample.extra.get("id") else {}),
        **({"cues": sample.extra["cues"]} if sample.extra.get("cues") else {}),
    }


def limited(samples: list[tuple[Sample, Path]], limit: int | None) -> list[tuple[Sample, Path]]:
    """The first ``limit`` in an order by hash, taken from the labels in turn, so that a small run has both."""
    if limit is None or limit >= len(samples):
        return samples
    ordered = sorted(samples, key=lambda s: sha256_of(s[0].sha256.encode()))
    by_label: dict[str, list[tuple[Sample, Path]]] = {}
    for item in ordered:
        by_label.setdefault(str(item[0].label), []).append(item)
    out: list[tuple[Sample, Path]] = []
    while len(out) < limit:
        for queue in by_label.values():
            if queue and len(out) < limit:
                out.append(queue.pop(0))
    return out


def shard_of(sample: Sample, n: int) -> int:
    """Which of n shards (1…n) a sample belongs to: by its hash, whatever else is in the set."""
    return int(sha256_of(sample.sha256.encode())[:8], 16) % n + 1


def _identity(
    suite: Suite, detectors: Mapping[str, Any], samples: Sequence[tuple[Sample, Path]], limit: int | None
) -> dict[str, Any]:
    """What must be the same for two runs to be one."""
    listing = json.dumps(sorted([s.sha256, str(s.label), s.generator, s.identity, s.source] for s, _ in samples))
    return {
        "suite": suite.identity,
        "detectors": [
            {"spec": spec, "id": d.id, "version": d.version, "weights_sha256": d.weights_sha256}
            for spec, d in detectors.items()
        ],
        "sampling": suite.sampling,
        "degradations": list(suite.degradations),
        "data": {"samples": len(samples), "sha256": sha256_of(listing.encode())},
        "limit": limit,
    }


def _names(detectors: Mapping[str, Any]) -> None:
    seen: dict[str, str] = {}
    for spec, d in detectors.items():
        if d.id in seen:
            raise UsageError(
                f"{seen[d.id]} and {spec} both call themselves {d.id!r}",
                hint=f"name one of them yourself: another={spec}",
            )
        seen[d.id] = spec


@dataclass
class _Ledger:
    """Rows that are there. A row counts by (sample, degradation, detector id), and only with the versions of this run."""

    known: set[tuple[str, str, str]] = field(default_factory=set)
    failed: int = 0
    abstained: int = 0

    def add(self, row: Mapping[str, Any]) -> bool:
        key = (str(row.get("id")), str(row.get("degradation")), str(row.get("detector")))
        if key in self.known:
            return False
        self.known.add(key)
        self.failed += bool(row.get("error"))
        self.abstained += bool(row.get("abstained"))
        return True


def run(
    suite: Suite,
    detectors: Sequence[str],
    out: str | os.PathLike[str],
    indexes: Mapping[str, Index],
    *,
    jobs: int = 1,
    engine_name: str = "local",
    shard: tuple[int, int] = (1, 1),
    limit: int | None = None,
    timeout: float | None = None,
    command: str = "",
    force: bool = False,
    retry: bool = False,
    advance: Callable[..., None] = lambda *a, **k: None,
    started: Callable[[int, int], None] = lambda total, done: None,
) -> Outcome:
    """Run a suite over labelled sets; resumes what is in ``out`` if it is the same run.

    Parameters
    ----------
    indexes : name → index. shard : (i, n), 1-based. retry : measure rows that failed before once more.
    advance : called with the number of rows done. started : called with rows wanted and rows there already.

    Raises
    ------
    UsageError
        ``out`` holds another run, two detectors share a name, or nothing is left to measure.
    """
    folder = Path(out)
    loaded = detectors_of(tuple(detectors))
    _names(loaded)
    many = len(indexes) > 1
    samples: list[tuple[Sample, Path]] = []
    for name, index in indexes.items():
        samples += samples_of(index, split=suite.data.get("split"), name=name if many else "")
    if not samples:
        raise UsageError("there is nothing to measure", hint="the index has no sample in the suite's split")
    whole = len(samples)
    samples = limited(samples, limit)
    identity = _identity(suite, loaded, samples, limit)
    sets = {name: _set_card(index) for name, index in indexes.items()}
    _claim(folder, identity, loaded, suite, whole, command, force, sets)
    write_samples(folder, samples)
    ledger = _Ledger()
    for row in readings(folder):
        if not (retry and row.get("error")):
            ledger.add(row)
    wanted_names = [degrade.parse(d).name for d in suite.degradations]
    # In the order of their hashes: a run that is only half there is a fair half.
    mine = sorted(
        ((s, p) for s, p in samples if shard_of(s, shard[1]) == shard[0]), key=lambda item: shard_of(item[0], 2**31)
    )
    tasks = []
    share = 1000 * PROBED / len(samples)  # of every thousand, how many are kept features of
    seen: set[str] = set()
    for sample, path in mine:
        if sample.sha256 in seen:  # the same bytes twice: measured once, told in the report
            continue
        seen.add(sample.sha256)
        missing = tuple(
            (d, spec)
            for d, name in zip(suite.degradations, wanted_names, strict=True)
            for spec in detectors
            if (sample.sha256, name, loaded[spec].id) not in ledger.known
        )
        if missing:
            names = (str(sample.extra.get("id") or ""), sample.path)
            tasks.append(Task(sample.sha256, str(path), missing, names, shard_of(sample, 1000) <= share))
    rows = len(seen) * len(wanted_names) * len(detectors)
    started(rows, rows - sum(len(t.missing) for t in tasks))
    target = folder / ("readings.jsonl" if shard[1] == 1 else f"readings-{shard[0]}-of-{shard[1]}.jsonl")
    plan = Plan(tuple(detectors), suite.sampling, suite.degradations, str(folder / "thumbs"), "", timeout)
    with workers(engine_name, "benchmarks.run.run:Work", asdict(plan), jobs) as pool:
        for task, answer, failure in pool.map(map(asdict, tasks)):
            result = (
                [
                    _row(Task(**task), degrade.parse(d).name, spec, loaded[spec], error=str(failure))
                    for d, spec in task["missing"]
                ]
                if answer is None
                else answer["rows"]
            )
            done = 0
            for row in result:
                if "features" in row:
                    append_row(folder / f"features{target.stem.removeprefix('readings')}.jsonl", row)
                    continue
                append_row(target, row)
                ledger.add(row)
                done += 1
            advance(done)
    degrade.trim()
    outcome = Outcome(folder, rows, rows if tasks or seen else 0, ledger.failed, ledger.abstained)
    if shard[1] == 1:
        write_json(folder / "complete.json", {"rows": rows, "failed": ledger.failed, "abstained": ledger.abstained})
    return outcome


def _set_card(index: Index) -> dict[str, str]:
    """What a reader of figures must know of the set: what it was made from, under which licences."""
    card = {k: str(index.card[k]) for k in ("name", "from", "made by") if index.card.get(k)}
    return card | {"licences": ", ".join(index.summary()["licences"]) or "not given"}


def _claim(
    folder: Path,
    identity: Mapping[str, Any],
    loaded: Mapping[str, Any],
    suite: Suite,
    whole: int,
    command: str,
    force: bool,
    sets: Mapping[str, Mapping[str, str]],
) -> None:
    """Write the configuration before any work, or check that the folder holds the same run."""
    path = folder / "config.json"
    if path.exists():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        if earlier.get("identity") == json.loads(json.dumps(identity)):
            return
        if not force:
            differs = next((k for k in identity if earlier.get("identity", {}).get(k) != identity[k]), "schema")
            raise UsageError(
                f"holds another run (its {differs} differs)",
                where=str(folder),
                hint="give another --out, or --force to start over",
            )
        for old in folder.glob("readings*.jsonl"):
            old.unlink()
        with contextlib.suppress(FileNotFoundError):
            (folder / "complete.json").unlink()
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "environment.json", environment())
    write_json(
        path,
        {
            "schema": SCHEMA,
            "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "identity": identity,
            "suite": {**asdict(suite), "data": dict(suite.data)},
            "cards": {d.id: d.card.json() for d in loaded.values()},
            "samples_in_set": whole,
            "sets": sets,
            "command": command,
        },
    )


def write_samples(folder: Path, samples: Sequence[tuple[Sample, Path]]) -> None:
    """One line a sample: what the report knows of it. The same run writes the same bytes."""
    lines = [json.dumps(_sample_row(sample), ensure_ascii=False) for sample, _ in samples]
    write_text(folder / "samples.jsonl", "\n".join(lines) + "\n")


def readings(folder: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Every reading of every shard."""
    for path in sorted(Path(folder).glob("readings*.jsonl")):
        yield from read_rows(path)
