"""Clips through detectors, one row a clip and detector: what ``detect score`` prints and ``bench report`` reads.

A clip that cannot be opened is a row with an error, never a missing row and never another clip's score.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

from detect.base import Detector
from detect.external import wire
from detect.reading.observe import Answer, readings, wanted
from gioconda_core.errors import GiocondaError
from gioconda_core.faces import cues
from gioconda_core.types import Footage, Sample
from gioconda_core.workers.cpu import cores
from gioconda_core.workers.pool import workers

Labelled = tuple[str, Path, Sample | None]  # id, file, and its row of an index


def rows(
    clips: Iterable[Labelled],
    detectors: Sequence[Detector],
    *,
    timeout: float | None = 300.0,
    calibrated: bool = True,
    jobs: int | None = None,
    cache: bool = True,
) -> Iterator[dict[str, Any]]:
    """Read (id, path, sample or None) with every detector; each clip is decoded and its faces followed once for all of them.

    jobs : processes that decode and follow, ahead of the reading, which stays in this one; None = as many as there are cores.
    cache : see ``faces.observe``.
    """
    for (name, path, sample), footage, told in _ahead(list(clips), detectors, jobs or cores(), cache):
        about: dict[str, Any] = {"id": name}
        if sample is not None:
            about |= {
                "id": sample.sha256 or name,  # as in a benchmark's run, so that the two can be compared
                "path": name,
                "label": str(sample.label),
                "identity": sample.identity,
                "source": sample.source,
                "generator": sample.generator,
                "sha256": sample.sha256,
                **{f"cue:{cue}": value for cue, value in (sample.extra.get("cues") or {}).items()},
            }
        if footage is None:
            for detector in detectors:
                yield {**about, "detector": detector.id, "error": told}
            continue
        about.setdefault("sha256", told)
        if sample is not None:  # what a report sets beside the scores
            measured = cues.measure(footage, path.stat().st_size).items()
            about = {**{f"cue:{cue}": value for cue, value in measured}, **about}
        own = (str(sample.extra["id"]),) if sample is not None and sample.extra.get("id") else ()
        names = (told, *own, name, Path(name).name)
        for answer in readings(footage, detectors, timeout=timeout, calibrated=calibrated, names=names):
            yield {**about, **row_of(answer)}


class Look:
    """What a worker does: it decodes a clip and follows its faces, for detectors that it does not know.

    wishes : of each detector, ``module:name`` of its sampling or None, and how densely it wants faces followed.
    """

    def __init__(self, wishes: Sequence[tuple[str | None, float]], cache: bool) -> None:
        self.wishes = [_Wish(_named(name) if name else None, dense) for name, dense in wishes]
        self.cache = cache

    def __call__(self, task: dict[str, Any], progress: object) -> dict[str, Any]:
        footage, sha256 = _look(Path(task["path"]), self.wishes, self.cache)
        return wire.arrays(footage) | {"sha256": sha256}


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


def _look(path: Path, wishes: Sequence[Any], cache: bool) -> tuple[Footage, str]:
    from gioconda_core.faces import observe
    from gioconda_core.media.clip import Clip

    with Clip.open(path) as clip:
        sampling, dense = wanted(wishes, clip.duration, float(clip.fps) if clip.fps else None)
        return observe.observe(clip, sampling, dense=dense, cache=cache), clip.sha256


def _ahead(
    clips: Sequence[Labelled], detectors: Sequence[Detector], jobs: int, cache: bool
) -> Iterator[tuple[Labelled, Footage | None, str]]:
    """Footage of each clip and its sha256, in order, or None and why; few are held that have not been read, so memory stays bounded."""
    wishes = [_Wish(getattr(d, "sampling", None), float(getattr(d, "dense", 0) or 0)) for d in detectors]
    names = [w.sampling and _name(w.sampling) for w in wishes]
    # Without a name, a function cannot be found by another process; and starting one takes longer than a single clip does.
    if len(clips) < 2 or any(w.sampling and not name for w, name in zip(wishes, names, strict=True)):
        for clip in clips:
            try:
                yield clip, *_look(clip[1], wishes, cache)
            except GiocondaError as error:
                yield clip, None, str(error)
        return
    options = {"wishes": [(name, w.dense) for w, name in zip(wishes, names, strict=True)], "cache": cache}
    with workers("local", "detect.reading.score:Look", options, min(jobs, len(clips)), apart=True) as pool:
        tasks = ({"path": str(path)} for _, path, _ in clips)
        for clip, (_, answer, failure) in zip(clips, pool.map(tasks, ordered=True), strict=True):
            if answer is None:
                yield clip, None, str(failure)
            else:
                yield clip, wire.footage(answer), answer["sha256"]


def row_of(answer: Answer) -> dict[str, Any]:
    """One answer as plain columns; a failure is an ``error``, a decision not to say is ``abstained``, both with their code."""
    reading, said = answer
    row: dict[str, Any] = {
        "detector": reading.detector,
        "version": reading.version,
        "weights_sha256": reading.weights_sha256,
        "protocol": f"video@{reading.protocol}"
        + (f"+{reading.pooling}" if reading.score is not None and reading.pooling != "max-track-mean" else ""),
        "pooling": reading.pooling,
        "seconds": round(reading.seconds or 0.0, 4),
    }
    if reading.abstained is not None and reading.abstained.failed:
        return row | reading.abstained.columns()
    row |= {"score": said.reading.score, "abstained": None}
    if said.reading.abstained is not None:
        row |= said.reading.abstained.columns()
    if said.false_alarm is not None:
        row |= {
            "false_alarm": round(said.false_alarm, 4),
            "false_alarm_low": round(said.low or 0.0, 4),
            "false_alarm_high": round(said.high or 0.0, 4),
            "reals": said.n,
            "calibration": f"{said.calibration_set}, {said.date}, {said.stratum}",
        }
    return row
