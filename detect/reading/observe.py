"""The one way from a file to readings: ``observe`` looks at a clip once for all detectors, ``readings`` asks each of them.

What detectors compute of a footage on the way (crops, features, measures for calibration) they share, so that each is made once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from detect.base import Detector
from gioconda_core.types import Calibrated, Footage, Level, Reading

if TYPE_CHECKING:
    from gioconda_core.media.clip import Clip


class Answer(NamedTuple):
    """What one detector answered. reading : as it gave it; judged : beside its calibration, which may withhold it."""

    reading: Reading
    judged: Calibrated


def wanted(detectors: Sequence[Detector], duration: float, fps: float | None) -> tuple[str, float | None]:
    """(sampling, seconds between positions of a track) that gives all these detectors what they ask for; ``even:32`` where none asks."""
    samplers = [sampler for d in detectors if callable(sampler := getattr(d, "sampling", None))]
    rate = max((float(getattr(d, "dense", 0) or 0) for d in detectors), default=0.0)
    sampling = samplers[0](duration, fps) if samplers else "even:32"
    return sampling, 1 / rate if rate else None


def observe(
    clip: Clip, detectors: Sequence[Detector], sampling: str | None = None, *, follow: bool = True, **options: Any
) -> Footage:
    """Frames and tracks of a clip for these detectors, decoded once for all of them.

    sampling : instead of what the detectors ask for. follow : False leaves out the tracks between sampled frames, which cost a
    pass over the whole clip. Further options go to :func:`gioconda_core.faces.observe.observe`.
    """
    from gioconda_core.faces import observe as faces

    asked, dense = wanted(detectors, clip.duration, float(clip.fps) if clip.fps else None)
    return faces.observe(clip, sampling or asked, dense=dense if follow else None, **options).frozen()


def readings(
    footage: Footage,
    detectors: Sequence[Detector],
    *,
    timeout: float | None = None,
    calibrated: bool = True,
    names: Sequence[str] = (),
) -> Iterator[Answer]:
    """The answer of each detector, in order.

    Parameters
    ----------
    timeout : seconds before a detector is given up on. calibrated : put each score beside its calibration.
    names : what the clip is called (hash, path, name), for tables of scores alone; a detector that sees frames is never told.
    """
    from detect.external.scores import ScoresDetector
    from detect.reading.calibration import judge
    from detect.reading.guard import run

    footage = footage.frozen()
    for detector in detectors:
        if names and isinstance(detector, ScoresDetector):
            reading = detector.of(*names)
        else:
            reading = run(detector, footage, timeout)
        yield Answer(reading, judge(reading, footage) if calibrated else Calibrated(reading, Level.NOT_ASSESSED))
