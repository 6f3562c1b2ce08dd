"""Clips through detectors, one row a clip and detector: what ``detect score`` prints and ``bench report`` reads.

A clip that cannot be opened is a row with an error, never a missing row and never another clip's score.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from detect.base import Detector
from detect.contain import FAILED, failed, run
from detect.footage import observe
from gioconda.core.errors import GiocondaError
from gioconda.core.types import Footage, Sample

__all__ = ["row_of", "rows"]


def rows(
    clips: Iterable[tuple[str, Path, Sample | None]],
    detectors: Sequence[Detector],
    *,
    timeout: float | None = 300.0,
    calibrated: bool = True,
) -> Iterator[dict[str, Any]]:
    """Read (id, path, sample or None) with every detector; each clip is decoded and its faces followed once for all of them."""
    for (name, _, sample), footage, sha256 in _ahead(clips, detectors):
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
            yield {**about, **row_of(detector, footage, timeout, calibrated)}


def _ahead(
    clips: Iterable[tuple[str, Path, Sample | None]], detectors: Sequence[Detector]
) -> Iterator[tuple[tuple[str, Path, Sample | None], Footage | GiocondaError, str]]:
    """Footage of each clip, the next one decoded and followed while this one is read; one clip ahead, so that memory stays bounded."""
    from concurrent.futures import Future, ThreadPoolExecutor

    from gioconda.core.media import Clip

    def look(path: Path) -> tuple[Footage | GiocondaError, str]:
        try:
            with Clip.open(path) as clip:
                return observe(clip, detectors), clip.sha256
        except GiocondaError as error:
            return error, ""

    with ThreadPoolExecutor(1) as pool:
        waiting: tuple[tuple[str, Path, Sample | None], Future[tuple[Footage | GiocondaError, str]]] | None = None
        for clip in clips:
            after = (clip, pool.submit(look, clip[1]))
            if waiting is not None:
                yield (waiting[0], *waiting[1].result())
            waiting = after
        if waiting is not None:
            yield (waiting[0], *waiting[1].result())


def row_of(detector: Detector, footage: Any, timeout: float | None, calibrated: bool) -> dict[str, Any]:
    """One reading as plain columns; a failure is an ``error``, a decision not to say is ``abstained``."""
    from detect.calibrate import judge

    reading = run(detector, footage, timeout)
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
