"""A family of fakes as a generator: what it makes of a person's held-out frames stands beside what the generators draw."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import UsageError
from gioconda_core.faces import families
from gioconda_core.faces.families import Made, Take

__all__ = ["FamilyGenerator"]

Frames = NDArray[np.uint8]


class FamilyGenerator:
    """A plugin of ``gioconda.families`` where a set is shared out between generators; size : side of its crops, pixels.

    It remakes a take and draws no motion: only self-reenactments can be asked of it.

    Raises
    ------
    UsageError
        Nobody provides the family, or it needs takes of other persons.
    """

    weights_sha256: str | None = None
    batches = False
    remakes = True

    def __init__(self, name: str, size: int = 256, **_: Any) -> None:
        self.family = families.load(name)
        if self.family.others:
            raise UsageError(
                f"the family {name!r} needs other persons' takes", where="--generator", hint="leave it out"
            )
        self.name, self.version, self.size = name, self.family.version, int(size)
        self.departure = f"a family of fakes ({name}): made of the real frames, no network of the paper's"

    def personalise(
        self, frames: Frames, landmarks: NDArray[np.floating], *, mode: str, steps: int | None, seed: int
    ) -> FamilyGenerator:
        """Nothing is learned: every take is remade from itself."""
        return self

    def render(self, landmarks: NDArray[np.floating]) -> Frames:
        """There is nothing to draw landmarks with. Raises UsageError."""
        raise UsageError(f"{self.name} remakes takes and draws no motion", where="--generator")

    def remake(self, frames: Frames, landmarks: NDArray[np.floating], seed: str) -> Made:
        """A fake of these frames (N, S, S, 3), whose difficulty and lots follow the seed and the family's name."""
        digest = hashlib.sha256(f"{self.name} {seed}".encode()).digest()
        rng = np.random.default_rng(list(digest))
        difficulty = float(rng.random())
        made = self.family.make(Take(frames, landmarks), difficulty, rng)
        return Made(made.frames, made.mask, {"difficulty": round(difficulty, 4), **made.record})
