"""Lets a family of fakes stand as a generator: what it makes of a person's held-out frames stands beside what the generators draw."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import UsageError
from gioconda_core.faces import families
from gioconda_core.faces.families import Family, Made, Take

Frames = NDArray[np.uint8]


class FamilyGenerator:
    """A plugin of ``gioconda.families`` where a set is shared out between generators; size : side of its crops, pixels.

    It remakes a take and draws no motion. kinds : what may be asked of it: a take remade from itself (``self``), or, where the family needs
    another person's face, that face put on the frames of whoever drives (``cross``).

    Raises
    ------
    UsageError
        Nobody provides the family.
    """

    weights_sha256: str | None = None
    batches = False
    remakes = True

    def __init__(self, name: str, size: int = 256, **_: object) -> None:
        self.family = families.load(name)
        self.kinds = ("cross",) if self.family.others else ("self",)
        self.name, self.version, self.size = name, self.family.version, int(size)
        self.departure = f"a family of fakes ({name}): made of the real frames, no network of the paper's"

    def personalise(
        self, frames: Frames, landmarks: NDArray[np.floating], *, mode: str, steps: int | None, seed: int
    ) -> "_Remaker":
        """Nothing is learned: every take is remade from itself, or is given the face of these shots."""
        return _Remaker(self.family, (Take(frames, landmarks),) if self.family.others else ())


@dataclass(frozen=True, eq=False)
class _Remaker:
    """A family, and the takes whose faces it puts on others."""

    family: Family
    donors: tuple[Take, ...]

    def render(self, landmarks: NDArray[np.floating]) -> Frames:
        """There is nothing to draw landmarks with. Raises UsageError."""
        raise UsageError(f"{self.family.name} remakes takes and draws no motion", where="--generator")

    def remake(self, frames: Frames, landmarks: NDArray[np.floating], seed: str) -> Made:
        """A fake of these frames (N, S, S, 3), whose difficulty and lots follow the seed and the family's name."""
        digest = hashlib.sha256(f"{self.family.name} {seed}".encode()).digest()
        rng = np.random.default_rng(list(digest))
        difficulty = float(rng.random())
        made = self.family.make(Take(frames, landmarks), difficulty, rng, self.donors)
        return Made(made.frames, made.mask, {"difficulty": round(difficulty, 4), **made.record})
