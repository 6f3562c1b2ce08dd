"""The seam through which faces are made: something that learns a person from shots and then draws landmarks as that person.

``few-shot`` is the trained generator. ``warp`` and ``copy`` need no weights: a smooth warp of the most similar shot, and that
shot itself; they are baselines to measure against, and what the tests and the pipeline's own checks run on.
Others register under the entry-point group ``gioconda.generators``.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import UsageError
from synth.warp import warp

__all__ = ["CopyGenerator", "Personal", "TalkingHeads", "WarpGenerator", "generator"]

Frames = NDArray[np.uint8]
Points = NDArray[np.float32]


class Personal(Protocol):
    """One person, learned. One that was tuned may say in how many ``steps``; they are recorded."""

    def render(self, landmarks: Points) -> Frames:
        """landmarks (N, 68, 2), pixels of a crop of the generator's size → uint8 (N, S, S, 3)."""
        ...


class TalkingHeads(Protocol):
    """A generator. size : side of its crops, pixels. weights_sha256 : of what was trained, None where nothing was.

    One on a GPU may also say ``batches = True``: several clips of one person are then drawn in one call of ``render``, whose
    frames must not depend on what stands beside them.
    """

    name: str
    version: str
    weights_sha256: str | None
    size: int

    def personalise(self, frames: Frames, landmarks: Points, *, mode: str, steps: int | None, seed: int) -> Personal:
        """Learn a person from shots. mode : ``ff`` (as the model stands) or ``ft`` (tuned for ``steps``, None = the generator's own)."""
        ...


class _Copy:
    def __init__(self, frames: Frames, landmarks: Points) -> None:
        self.frames, self.landmarks = frames, np.asarray(landmarks, np.float64)

    def nearest(self, points: NDArray[np.float64]) -> int:
        return int(np.argmin(np.linalg.norm(self.landmarks - points, axis=-1).mean(-1)))

    def render(self, landmarks: Points) -> Frames:
        return self.frames[[self.nearest(np.asarray(p, np.float64)) for p in landmarks]]


class _Warp(_Copy):
    """The shot that looks most like what is wanted, bent to it."""

    def render(self, landmarks: Points) -> Frames:
        nearest = [self.nearest(np.asarray(p, np.float64)) for p in landmarks]
        bent = [warp(self.frames[k], self.landmarks[k], p) for k, p in zip(nearest, landmarks, strict=True)]
        return np.stack(bent)


class CopyGenerator:
    """Baseline: the shot that looks most like the landmarks, unchanged."""

    name, version = "copy", "1"
    weights_sha256: str | None = None

    def __init__(self, size: int = 256, **_: Any) -> None:
        self.size = int(size)

    def personalise(self, frames: Frames, landmarks: Points, *, mode: str, steps: int | None, seed: int) -> Personal:
        """Nothing is learned; mode, steps and seed change nothing."""
        return _Copy(frames, landmarks)


class WarpGenerator:
    """Baseline: the most similar shot, warped smoothly so that its landmarks lie where they are wanted."""

    name, version = "warp", "1"
    weights_sha256: str | None = None

    def __init__(self, size: int = 256, **_: Any) -> None:
        self.size = int(size)

    def personalise(self, frames: Frames, landmarks: Points, *, mode: str, steps: int | None, seed: int) -> Personal:
        """Nothing is learned; mode, steps and seed change nothing."""
        return _Warp(frames, landmarks)


_OURS: dict[str, Any] = {"copy": CopyGenerator, "warp": WarpGenerator}


def generator(name: str, **options: Any) -> TalkingHeads:
    """A generator by name: ``copy``, ``warp``, ``few-shot`` or a plugin's. options : model, device, size…

    Raises
    ------
    UsageError
        Nobody provides it.
    """
    if name in _OURS:
        return _OURS[name](**{k: v for k, v in options.items() if v is not None})  # type: ignore[no-any-return]
    from gioconda_core import plugins

    made: TalkingHeads = plugins.load("gioconda.generators", name)(
        **{k: v for k, v in options.items() if v is not None}
    )
    missing = [
        field for field in ("name", "version", "weights_sha256", "size", "personalise") if not hasattr(made, field)
    ]
    if missing:
        raise UsageError(f"generator {name!r} lacks {', '.join(missing)}")
    return made
