"""One look at a clip that serves several detectors at once: the sampling and the tracks that each of them asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from detect.base import Detector
from gioconda_core.types import Footage

if TYPE_CHECKING:
    from gioconda_core.media.clip import Clip

__all__ = ["observe", "wanted"]


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
    return faces.observe(clip, sampling or asked, dense=dense if follow else None, **options)
