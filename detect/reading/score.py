"""Takes clips through detectors, one row a clip and detector: what ``detect score`` prints and ``bench report`` reads.

A clip that cannot be opened is a row with an error, never a missing row and never another clip's score.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

from detect.base import Detector
from detect.external import wire
from detect.reading.observe import Answer, readings, wanted
from gioconda_core.errors import GiocondaError
from gioconda_core.faces import cues, observe
from gioconda_core.media.clip import Clip
from gioconda_core.types import Footage, Sample
from gioconda_core.workers.cpu import cores
from gioconda_core.workers.pool import Sharing, workers

Labelled = tuple[str, Path, Sample | None]  # id, file, and its row of an index


@dataclass(frozen=True)
class Row:
    """What one detector says of one clip.

    id : the sha256 of a clip of an index, else its name. path to own : of an index alone; own : its own id of the clip.
    measured : trivial cues of the clip; given : those that its index gives. version : None where the clip could not be read.
    learned : True where the detector learned from this very file.
    error : why there is no answer; abstained : why there is no score; reason and detail : either by its code.
    false_alarm to calibration : what such a score has meant on real clips. warnings : what was odd about reading the clip.
    """

    id: str
    detector: str
    sha256: str | None = None
    path: str | None = None
    label: str | None = None
    identity: str | None = None
    source: str | None = None
    generator: str | None = None
    own: str | None = None
    measured: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    learned: bool | None = None
    version: str | None = None
    weights_sha256: str | None = None
    protocol: str | None = None
    pooling: str | None = None
    seconds: float | None = None
    score: float | None = None
    abstained: str | None = None
    error: str | None = None
    reason: str | None = None
    detail: Mapping[str, Any] | None = None
    false_alarm: float | None = None
    false_alarm_low: float | None = None
    false_alarm_high: float | None = None
    reals: int | None = None
    calibration: str | None = None
    warnings: str | None = None

    def columns(self) -> dict[str, Any]:
        """As columns of a table, plain JSON; what does not apply has none."""
        columns = {f"cue:{cue}": value for cue, value in self.measured.items()} | {"id": self.id}
        if self.label is not None:
            columns |= {name: getattr(self, name) for name in ("path", "label", "identity", "source", "generator")}
        if self.own is not None:
            columns["own"] = self.own
        if self.sha256 is not None:
            columns["sha256"] = self.sha256
        columns |= {f"cue:{cue}": value for cue, value in self.given.items()} | {"detector": self.detector}
        if self.version is not None:
            own = ("version", "weights_sha256", "protocol", "pooling", "seconds")
            columns |= {name: getattr(self, name) for name in own}
        if self.error is not None:
            columns["error"] = self.error
        else:
            columns |= {"score": self.score, "abstained": self.abstained}
        last = (
            "learned", "reason", "detail", "false_alarm", "false_alarm_low", "false_alarm_high", "reals", "calibration", "warnings",
        )  # fmt: skip
        return columns | {name: value for name in last if (value := getattr(self, name)) is not None}

    @classmethod
    def of(cls, columns: Mapping[str, Any]) -> "Row":
        """Back from its columns."""
        cues = {name.removeprefix("cue:"): value for name, value in columns.items() if name.startswith("cue:")}
        return cls(**{name: value for name, value in columns.items() if not name.startswith("cue:")}, measured=cues)


def rows(
    clips: Iterable[Labelled],
    detectors: Sequence[Detector],
    *,
    timeout: float | None = 300.0,
    calibrated: bool = True,
    jobs: int | None = None,
    cache: bool = True,
) -> Iterator[Row]:
    """Read (id, path, sample or None) with every detector; each clip is decoded and its faces followed once for all of them.

    jobs : processes that decode and follow, ahead of the reading, which stays in this one; None = as many as there are cores.
    cache : see ``faces.observe``.
    """
    for clip, footage, told, odd in _ahead(list(clips), detectors, jobs or cores(), cache):
        name, path, sample = clip
        if footage is None:
            for detector in detectors:
                yield in_index(Row(name, detector.id, error=told), clip)
            continue
        own = (str(sample.extra["id"]),) if sample is not None and sample.extra.get("id") else ()
        names = (told, *own, name, Path(name).name)
        # What a report sets beside the scores of a labelled clip.
        measured = cues.measure(footage, path.stat().st_size) if sample is not None else {}
        learned = {detector.id for detector in detectors if detector.card.learned(told)}
        for answer in readings(footage, detectors, timeout=timeout, calibrated=calibrated, names=names):
            row = replace(row_of(name, answer), sha256=told, measured=measured, warnings=odd or None)
            yield in_index(replace(row, learned=row.detector in learned or None), clip)


def in_index(row: Row, clip: Labelled) -> Row:
    """The row with what an index says of its clip; its id is then as in a benchmark's run, so that the two can be compared."""
    name, _, sample = clip
    if sample is None:
        return row
    given = sample.extra.get("cues") or {}
    sha256 = sample.sha256 or row.sha256
    return replace(
        row,
        id=sha256 or name,
        path=name,
        own=str(sample.extra["id"]) if sample.extra.get("id") else None,
        label=str(sample.label),
        identity=sample.identity,
        source=sample.source,
        generator=sample.generator,
        sha256=sha256,
        measured={cue: given.get(cue, value) for cue, value in row.measured.items()},
        given={cue: value for cue, value in given.items() if cue not in row.measured},
    )


@dataclass(frozen=True)
class _Clip:
    """What a worker is to look at."""

    path: str


class Look:
    """What a worker does: it decodes a clip and follows its faces, for detectors that it does not know.

    wishes : of each detector, ``module:name`` of its sampling or None, and how densely it wants faces followed.
    """

    def __init__(self, wishes: Sequence[tuple[str | None, float]], cache: bool) -> None:
        self.wishes = [_Wish(_named(name) if name else None, dense) for name, dense in wishes]
        self.cache = cache

    def __call__(self, task: _Clip, progress: object) -> dict[str, Any]:
        footage, sha256, odd = _look(Path(task.path), self.wishes, self.cache)
        return wire.arrays(footage) | {"sha256": sha256, "warnings": odd}


@dataclass(frozen=True)
class _Wish:
    """What a detector asks for of its footage, without the detector."""

    sampling: Any
    dense: float


def _name(sampling: Any) -> str | None:
    """``module:name`` by which another process finds a function; None for one that has no such name."""
    name = f"{getattr(sampling, '__module__', '')}:{getattr(sampling, '__qualname__', '')}"
    try:
        return name if _named(name) is sampling and not name.startswith("__main__") else None
    except (ImportError, AttributeError, ValueError):
        return None


def _named(name: str) -> Any:
    module, _, path = name.partition(":")
    return attrgetter(path)(import_module(module))


def _look(path: Path, wishes: Sequence[Any], cache: bool) -> tuple[Footage, str, str]:
    with Clip.open(path) as clip:
        sampling, dense = wanted(wishes, clip.duration, float(clip.fps) if clip.fps else None)
        footage = observe.observe(clip, sampling, dense=dense, cache=cache)
        return footage, clip.sha256, "; ".join(warning.text for warning in clip.warnings)


def _ahead(
    clips: Sequence[Labelled], detectors: Sequence[Detector], jobs: int, cache: bool
) -> Iterator[tuple[Labelled, Footage | None, str, str]]:
    """Footage of each clip, its sha256 and what was odd, in order, or None and why. Few are held that have not been read, so that memory
    stays bounded."""
    wishes = [_Wish(getattr(d, "sampling", None), float(getattr(d, "dense", 0) or 0)) for d in detectors]
    names = [w.sampling and _name(w.sampling) for w in wishes]
    # Without a name, a function cannot be found by another process; and starting one takes longer than a single clip does.
    if len(clips) < 2 or any(w.sampling and not name for w, name in zip(wishes, names, strict=True)):
        for clip in clips:
            try:
                yield clip, *_look(clip[1], wishes, cache)
            except GiocondaError as error:
                yield clip, None, str(error), ""
        return
    options = {"wishes": [(name, w.dense) for w, name in zip(wishes, names, strict=True)], "cache": cache}
    with workers(
        "local", "detect.reading.score:Look", options, min(jobs, len(clips)), dict, Sharing(apart=True)
    ) as pool:
        tasks = (_Clip(str(path)) for _, path, _ in clips)
        for clip, (_, answer, failure) in zip(clips, pool.map(tasks, ordered=True), strict=True):
            if answer is None:
                yield clip, None, str(failure), ""
            else:
                yield clip, wire.footage(answer), answer["sha256"], answer["warnings"]


def row_of(name: str, answer: Answer) -> Row:
    """One answer of a clip; a failure is an ``error``, a decision not to say is ``abstained``, both with their code."""
    reading, judged = answer
    pooled = reading.score is not None and reading.pooling != "max-track-mean"
    row = Row(
        name,
        reading.detector,
        version=reading.version,
        weights_sha256=reading.weights_sha256,
        protocol=f"video@{reading.protocol}{f'+{reading.pooling}' if pooled else ''}",
        pooling=reading.pooling,
        seconds=round(reading.seconds or 0.0, 4),
    )
    failed = reading.abstained is not None and reading.abstained.failed
    silent = reading.abstained if failed else judged.reading.abstained
    if silent is not None:
        row = replace(row, **silent.columns())
    if failed:
        return row
    row = replace(row, score=judged.reading.score)
    if judged.false_alarm is None:
        return row
    return replace(
        row,
        false_alarm=round(judged.false_alarm, 4),
        false_alarm_low=round(judged.low or 0.0, 4),
        false_alarm_high=round(judged.high or 0.0, 4),
        reals=judged.n,
        calibration=f"{judged.calibration_set}, {judged.date}, {judged.stratum}",
    )
