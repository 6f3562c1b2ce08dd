"""Says what a generator of talking heads is, and finds one by name: it learns a person from shots and then draws landmarks as that person.

``hybrid`` bends the source picture itself and asks the trained generator where that cannot do; ``few-shot`` is the trained generator
alone, the paper's way. ``warp`` and ``copy`` need no weights: a smooth warp of the most similar shot, and that shot itself; they are
baselines to measure against, and what the tests and the pipeline's own checks run on.
Others register under the entry-point group ``gioconda.generators``.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gioconda_core import plugins
from gioconda_core.errors import UsageError
from synth.fakes.family import FamilyGenerator
from synth.hybrid import HybridGenerator
from synth.options import remakes, sized
from synth.warp import warp

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


class _Nearest:
    """A person as their shots: of each moment the shot that looks most like it, bent to the landmarks where ``bends``."""

    def __init__(self, frames: Frames, landmarks: Points, bends: bool) -> None:
        self.frames, self.landmarks, self.bends = frames, np.asarray(landmarks, np.float64), bends

    def render(self, landmarks: Points) -> Frames:
        wanted = np.asarray(landmarks, np.float64)
        nearest = [int(np.argmin(np.linalg.norm(self.landmarks - p, axis=-1).mean(-1))) for p in wanted]
        if not self.bends:
            return self.frames[nearest]
        return np.stack([warp(self.frames[k], self.landmarks[k], p) for k, p in zip(nearest, landmarks, strict=True)])


class CopyGenerator:
    """Baseline: the shot that looks most like the landmarks, unchanged."""

    name, version, bends = "copy", "1", False
    weights_sha256: str | None = None

    def __init__(self, size: int = 256, **_: Any) -> None:
        self.size = int(size)

    def personalise(self, frames: Frames, landmarks: Points, *, mode: str, steps: int | None, seed: int) -> Personal:
        """Nothing is learned; mode, steps and seed change nothing."""
        return _Nearest(frames, landmarks, self.bends)


class WarpGenerator(CopyGenerator):
    """Baseline: the most similar shot, warped smoothly so that its landmarks lie where they are wanted."""

    name, bends = "warp", True


class Roster:
    """Several generators that share the samples of one set out between them; all draw crops of one size."""

    def __init__(self, members: Sequence[TalkingHeads]) -> None:
        self.members = tuple(members)
        self.name = ",".join(h.name for h in members)
        self.version = ",".join(h.version for h in members)
        self.weights_sha256 = ",".join(sorted({h.weights_sha256 for h in members if h.weights_sha256})) or None
        self.size = members[0].size
        self.device = next((h.device for h in members if hasattr(h, "device")), "cpu")

    @staticmethod
    def of(heads: "TalkingHeads | Roster") -> tuple[TalkingHeads, ...]:
        """The generators that a set is shared out between: one, where no list was given."""
        return heads.members if isinstance(heads, Roster) else (heads,)

    @staticmethod
    def named(heads: "TalkingHeads | Roster", name: str) -> TalkingHeads:
        """The generator that a recipe names. Raises UsageError where it is not there."""
        for member in Roster.of(heads):
            if member.name == name:
                return member
        raise UsageError(f"was made by {name}", where="--generator", hint=f"this is {heads.name}")


_OURS: dict[str, Any] = {"copy": CopyGenerator, "warp": WarpGenerator, "hybrid": HybridGenerator}


def _roster(names: Sequence[str], options: dict[str, Any]) -> Roster:
    if len(set(names)) < len(names):
        raise UsageError("a generator is named twice", where="--generator")
    fixed = {name: generator(name, **{**options, "size": None}) for name in names if not sized(name)}
    sizes = {heads.size for heads in fixed.values()}
    if len(sizes) > 1:
        raise UsageError(f"these draw crops of several sizes: {', '.join(map(str, sorted(sizes)))}", "--generator")
    size = sizes.pop() if sizes else options.get("size") or 256
    return Roster([fixed.get(name) or generator(name, **{**options, "size": size}) for name in names])


def generator(name: str, **options: Any) -> Any:
    """A generator by name: ``hybrid``, ``few-shot``, ``warp``, ``copy``, a plugin's or a family of fakes; of several names with commas, a :class:`Roster`.

    options : model, device, size…

    Raises
    ------
    UsageError
        Nobody provides it.
    """
    if "," in name:
        return _roster([part.strip() for part in name.split(",") if part.strip()], options)
    given = {option: value for option, value in options.items() if value is not None}
    if name not in _OURS and remakes(name):
        return FamilyGenerator(name, **given)
    made: TalkingHeads = (_OURS.get(name) or plugins.load("gioconda.generators", name))(**given)
    missing = [part for part in ("name", "version", "weights_sha256", "size", "personalise") if not hasattr(made, part)]
    if missing:
        raise UsageError(f"generator {name!r} lacks {', '.join(missing)}")
    return made
