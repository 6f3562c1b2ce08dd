"""What can be said of a network and its losses without loading torch: sizes, presets, weights of the terms, names of content nets."""

from dataclasses import asdict, dataclass
from typing import Annotated

from gioconda_core.errors import UsageError
from gioconda_core.options import Option

CONTENT = ("auto", "vgg", "squeezenet", "lite0", "multiscale", "random-vgg", "none")
Content = Annotated[
    str, Option("Content loss: auto, vgg, squeezenet, lite0, multiscale, random-vgg or none.", choices=CONTENT)
]
CONTENT_NETS = ("vgg19", "vggface", "squeezenet")


@dataclass(frozen=True)
class Config:
    """One dial for the size of the picture, one for the width; everything else follows.

    size : pixels of the square crop, a power of two from 64. width : channels after the first block (64 in the paper);
    the widest layers and the embedding have 8 × width. attention : the three self-attention layers.
    grown : whether one more block lies outside of each network, so that one trained at half the size goes on at this one (not in the paper).
    """

    name: str = "paper"
    size: int = 256
    width: int = 64
    attention: bool = True
    grown: bool = False

    def __post_init__(self) -> None:
        if self.inner < 64 or self.size & (self.size - 1) or self.width < 8 or self.width % 8:
            what = f"no network of {self.size} px and width {self.width}"
            raise UsageError(what, hint="64, 128, 256 … px; widths are multiples of 8")

    @property
    def dim(self) -> int:
        """N, the length of an embedding: 512 in the paper."""
        return 8 * self.width

    @property
    def down(self) -> tuple[int, ...]:
        """Channels after each of the six down blocks of E and V; G uses the first four."""
        return tuple(self.width * factor for factor in (1, 2, 4, 8, 8, 8))

    @property
    def up(self) -> tuple[int, ...]:
        """Channels after each of G's four up blocks."""
        return tuple(self.width * factor for factor in (8, 4, 2, 1))

    @property
    def pooling(self) -> float:
        """Factor on sums over space: the paper's 256 px sum 4 × 4 positions, and smaller sizes are brought to the same.

        Without it spectral norm keeps a small preset's ê too short to be heard (docs/decisions/small-presets.md).
        """
        return 16 / (self.inner / 64) ** 2

    @property
    def inner(self) -> int:
        """Pixels of the side that the paper's own blocks see."""
        return self.size // 2 if self.grown else self.size

    @property
    def thin(self) -> int:
        """Channels of the block outside, where a picture is largest."""
        return max(8, self.width // 2)

    def as_dict(self) -> dict[str, object]:
        """JSON-able; ``Config(**d)`` rebuilds it."""
        found = asdict(self)
        if not self.grown:
            del found["grown"]  # files written before there was such a thing say nothing of it
        return found


PRESETS: dict[str, Config] = {
    "paper": Config("paper", 256, 64),
    "half": Config("half", 256, 32),
    "half-256": Config("half-256", 256, 32, grown=True),  # half-128 with one more block: goes on from it
    "half-128": Config("half-128", 128, 32),  # what two CPU cores can meta-train in days
    "sketch": Config("sketch", 128, 16),  # and in hours
    "pocket": Config("pocket", 64, 16),  # tests
}


def preset(name: str) -> Config:
    """A preset by name, or a clear refusal."""
    if name not in PRESETS:
        raise UsageError(f"no preset {name!r}", where="--preset", hint=f"one of {', '.join(PRESETS)}")
    return PRESETS[name]


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms. vgg19, vggface : the paper's content nets; substitute : any stand-in for both (ours)."""

    vgg19: float
    vggface: float
    match: float
    feature_matching: float
    substitute: float = 10.0


WEIGHTS: dict[str, LossWeights] = {
    "v2": LossWeights(1.5e-1, 2.5e-2, 10.0, 10.0),
    "v1": LossWeights(1e-2, 2e-3, 80.0, 10.0),
}
