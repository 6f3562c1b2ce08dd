"""Clips through detectors, one row a clip and detector: what ``detect score`` prints and ``bench report`` reads.

A clip that cannot be opened is a row with an error, never a missing row and never another clip's score.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from detect.base import Detector
from detect.reading.guard import FAILED, failed, run
from detect.reading.observe import wanted
from gioconda_core.errors import GiocondaError, MediaError
from gioconda_core.types import Footage, Sample
from gioconda_core.workers.cpu import cores, settle

__all__ = ["row_of", "rows"]

Labelled = tuple[str, Path, Sample | None]  # id, file, and its row of an index
Look = tuple[Footage | GiocondaError, str]  # what was seen of a clip, and its sha256


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
    They are started anew (``spawn``), so a script that calls this needs ``if __name__ == "__main__"``. cache : see ``faces.observe``.
    """
    for (name, _, sample), (footage, sha256) in _ahead(list(clips), detectors, jobs or cores(), cache):
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
            }
        if isinstance(footage, GiocondaError):
            for detector in detectors:
                yield {**about, "detector": detector.id, "error": str(footage)}
            continue
        about.setdefault("sha256", sha256)
        for detector in detectors:
            yield {**about, **row_of(detector, footage, timeout, calibrated, (sha256, name, Path(name).name))}


class _Lookers:
    """Decoding and following in ``jobs`` processes of their own, beside the reading in this one: neither waits for the other's
    interpreter. A file that kills its process costs its own row only."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._pool = self._fresh()

    def _fresh(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self.jobs, mp_context=get_context("spawn"), initializer=settle)

    def submit(self, *job: Any) -> Future[Look]:
        try:
            return self._pool.submit(_look, *job)
        except BrokenProcessPool:  # another clip has just broken it; what was in it is asked for again by ``result``
            self._pool = self._fresh()
            return self._pool.submit(_look, *job)

    def result(self, future: Future[Look], job: tuple[Any, ...]) -> Look:
        """What was seen. Where a process died, nobody knows whose clip it was: this one is tried again, alone."""
        try:
            return future.result()
        except BrokenProcessPool:
            pass
        with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=settle) as alone:
            try:
                return alone.submit(_look, *job).result()
            except BrokenProcessPool:
                return MediaError("decoding it ended the process that tried", where=str(job[0])), ""

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class _Wish:
    """What a detector asks for of its footage, without the detector: all that a looker needs to know."""

    sampling: Any
    dense: float


def _look(path: Path, wishes: Sequence[Any], cache: bool) -> Look:
    from gioconda_core.faces import observe
    from gioconda_core.media.clip import Clip

    try:
        with Clip.open(path) as clip:
            sampling, dense = wanted(wishes, clip.duration, float(clip.fps) if clip.fps else None)
            return observe.observe(clip, sampling, dense=dense, cache=cache), clip.sha256
    except GiocondaError as error:
        return error, ""


def _ahead(
    clips: Sequence[Labelled], detectors: Sequence[Detector], jobs: int, cache: bool
) -> Iterator[tuple[Labelled, Look]]:
    """Footage of each clip, in order; at most ``jobs`` + 1 are held that have not been read, so that memory stays bounded."""
    wishes = [_Wish(getattr(d, "sampling", None), float(getattr(d, "dense", 0) or 0)) for d in detectors]
    # A function that has no name to be found by cannot be sent to another process; and starting one takes longer than a clip does.
    nameless = any(w.sampling is not None and "<" in getattr(w.sampling, "__qualname__", "<") for w in wishes)
    if len(clips) < 2 or nameless:
        for clip in clips:
            yield clip, _look(clip[1], wishes, cache)
        return
    lookers = _Lookers(min(jobs, len(clips)))
    waiting: deque[tuple[Labelled, tuple[Any, ...], Future[Look]]] = deque()
    try:
        for clip in clips:
            job = (clip[1], wishes, cache)
            waiting.append((clip, job, lookers.submit(*job)))
            if len(waiting) > lookers.jobs:
                first, asked, future = waiting.popleft()
                yield first, lookers.result(future, asked)
        while waiting:
            first, asked, future = waiting.popleft()
            yield first, lookers.result(future, asked)
    finally:
        lookers.close()


def row_of(
    detector: Detector, footage: Any, timeout: float | None, calibrated: bool, names: Sequence[str] = ()
) -> dict[str, Any]:
    """One reading as plain columns; a failure is an ``error``, a decision not to say is ``abstained``.

    names : what the clip is called, for tables of scores alone; a detector that sees frames is never told.
    """
    from detect.external.scores import ScoresDetector
    from detect.reading.calibration import judge

    reading = detector.of(*names) if isinstance(detector, ScoresDetector) and names else run(detector, footage, timeout)
    row: dict[str, Any] = {
        "detector": reading.detector,
        "version": reading.version,
        "weights_sha256": reading.weights_sha256,
        "protocol": f"video@{reading.protocol}"
        + (f"+{reading.pooling}" if reading.score is not None and reading.pooling != "max-track-mean" else ""),
        "pooling": reading.pooling,
        "seconds": round(reading.seconds or 0.0, 4),
    }
    if failed(reading):
        return row | {"error": (reading.abstained or "").removeprefix(FAILED)}
    if not calibrated:
        return row | {"score": reading.score, "abstained": reading.abstained}
    said = judge(reading, footage)
    row |= {"score": said.reading.score, "abstained": said.reading.abstained}
    if said.false_alarm is not None:
        row |= {
            "false_alarm": round(said.false_alarm, 4),
            "false_alarm_low": round(said.low or 0.0, 4),
            "false_alarm_high": round(said.high or 0.0, 4),
            "reals": said.n,
            "calibration": f"{said.calibration_set}, {said.date}, {said.stratum}",
        }
    return row
