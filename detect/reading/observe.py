"""The one way from a file to readings: ``observe`` looks at a clip once for all detectors, ``readings`` asks each of them.

What detectors compute of a footage on the way (crops, features, measures for calibration) they share, so that each is made once."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from detect.base import Detector
from gioconda_core.faces import observe as faces
from gioconda_core.stats.shares import clopper_pearson
from gioconda_core.types import Calibrated, Footage, Level, Reading

if TYPE_CHECKING:
    from gioconda_core.media.clip import Clip

Sampler = Callable[[float, "float | None"], str]


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


def ready(detectors: Sequence[Detector]) -> None:
    """Load what reading and judging will need: in a thread of its own, while a decoder in another process opens the clip, that costs no time."""
    for load in (getattr(detector, "ready", None) for detector in detectors):
        if load is not None:
            load()
    clopper_pearson(1, 2)  # imports what it is computed by


STRETCH = 20.0  # seconds of a long clip that are sampled as a clip of that length would be
MOST_STRETCHES = 30  # so that even a film costs minutes
MOST_BYTES = 1 << 30  # of sampled frames held at once


def spread(sampler: Sampler, duration: float, fps: float | None, frame_bytes: int) -> str:
    """The sampling of a whole clip, in proportion to its length: that of each stretch of about ``STRETCH`` seconds.

    Where a clip has more stretches than time and memory allow, evenly spaced ones are taken. A sampling that does not name its
    times (``at:…``) is taken as the detector gives it.
    """
    count = math.ceil(duration / STRETCH) if fps else 1
    length = duration / max(1, count)
    one = sampler(length, fps) if count > 1 else ""
    if not one.startswith("at:"):
        return sampler(duration, fps)
    times = [float(time) for time in one.removeprefix("at:").split(",")]
    most = max(1, min(MOST_STRETCHES, MOST_BYTES // max(1, frame_bytes * len(times))))
    chosen = sorted({round(k * (count - 1) / max(1, most - 1)) for k in range(most)}) if count > most else range(count)
    grid = dict.fromkeys(math.floor((k * length + time) * (fps or 1)) for k in chosen for time in times)
    # half a frame in, as the samplers do, so that rounding never asks for the frame before
    return "at:" + ",".join(f"{(index + 0.5) / (fps or 1):.4f}" for index in grid)


def observe(
    clip: "Clip",
    detectors: Sequence[Detector],
    sampling: str | None = None,
    *,
    follow: bool = True,
    whole: bool = False,
    **options: Any,
) -> Footage:
    """Frames and tracks of a clip for these detectors, decoded once for all of them.

    sampling : instead of what the detectors ask for. follow : False leaves out the tracks between sampled frames, which cost a
    pass over the whole clip. whole : sample a long clip in proportion to its length (see :func:`spread`), instead of as many moments as
    of a short one. Further options go to :func:`gioconda_core.faces.observe.observe`.
    """
    fps = float(clip.fps) if clip.fps else None
    asked, dense = wanted(detectors, clip.duration, fps)
    sampler = next((s for d in detectors if callable(s := getattr(d, "sampling", None))), None)
    if whole and sampler is not None:
        asked = spread(sampler, clip.duration, fps, 3 * clip.facts.width * clip.facts.height)
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
