"""How fakes are made of real clips for detectors to learn from: the take, what was made of it, and the interface of a family of fakes.

A family is a plugin of the group ``gioconda.families``: a way of making a fake of the same person, frames and length, so that only
the making differs between the two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from gioconda_core import plugins

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GROUP = "gioconda.families"


@dataclass(frozen=True, eq=False)
class Take:
    """A real clip of one face, or some of its frames in order of time.

    frames : uint8 (N, S, S, 3) RGB. landmarks : (N, 68, 2), pixels of the frames, iBUG order.
    """

    frames: "NDArray[np.uint8]"
    landmarks: "NDArray[np.floating]"

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, eq=False)
class Made:
    """A fake. frames : as the take's. mask : uint8 (N, S, S), 255 where a pixel was made. record : what was drawn by lot, plain JSON."""

    frames: "NDArray[np.uint8]"
    mask: "NDArray[np.uint8]"
    record: Mapping[str, Any] = field(default_factory=dict)


class Family(Protocol):
    """A way of making fakes. others : whether it needs takes of other persons."""

    name: str
    version: str
    others: bool

    def make(self, take: Take, difficulty: float, rng: "np.random.Generator", others: Sequence[Take] = ()) -> Made:
        """A fake of the same person, frames and length. difficulty : 0 = plain to see … 1 = hard to tell."""
        ...


def names() -> tuple[str, ...]:
    """Installed families; nothing is imported."""
    return plugins.names(GROUP)


def load(name: str) -> Family:
    """A family by name.

    Raises
    ------
    UsageError, PluginError
    """
    family: Family = plugins.load(GROUP, name)()
    return family
