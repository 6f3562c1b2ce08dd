"""The jobs of training a detector: which options each kind has, and nothing that loads torch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from gioconda_core.errors import UsageError
from gioconda_core.faces import families
from gioconda_core.options import Option, check

# What each is, as its card and its command say it.
FEATURES = {
    "contrast": "how a face differs from its own surroundings in the maps of a frozen network, in texture and from one frame to the next; "
    "support vectors"
}
NETWORKS = ("cnn", "vit-ln")
# What clips are learned from and calibrated on, by the name that cards and caches keep it under.
QUALITIES = {
    "clean": "none",
    **{f"h264-crf{crf}": f"h264:crf={crf}" for crf in (23, 32, 35, 40)},
    "half-crf23": "shrink:to=0.5|h264:crf=23",
}
# As they came, but for an edit that says nothing of how they were made (detect.training.edits).
EDITS = ("face-covered", "face-captioned", "surroundings-changed")


@dataclass(frozen=True, kw_only=True)
class Training:
    """What every training of a detector is given."""

    index: Annotated[
        tuple[str, ...],
        Option("A labelled set, Parquet or CSV; may be given several times.", metavar="FILE", repeat=True),
    ]
    out: Annotated[Path, Option("The run folder; run again to resume.", metavar="DIR")]
    name: Annotated[str, Option("What the set is called on the card.")] = "the given indexes"
    licence: Annotated[str, Option("Licence of the weights, for the card.")] = "unspecified"
    seed: int = 0
    cache: Path | None = None
    command: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True)
class FeatureTraining(Training):
    """One training run of feature detectors. detectors : names of FEATURES. families, draws : each real clip is passed through a third of the
    families a draw, one difficulty each, and what comes out is trained on as fake."""

    detectors: tuple[str, ...] = ("contrast",)
    rungs: Annotated[tuple[str, ...], Option("Qualities trained on.", choices=(*QUALITIES, *EDITS))] = (
        "clean",
        "h264-crf32",
        *EDITS,
    )
    tests: Annotated[
        tuple[str, ...], Option("Qualities measured on, clean among them.", choices=(*QUALITIES, *EDITS))
    ] = ("clean", "h264-crf32", "h264-crf35", *EDITS)
    families: Annotated[
        tuple[str, ...],
        Option("Families of fakes that are made of each real clip and trained on; default all that are installed."),
    ] = field(default_factory=families.names)
    draws: Annotated[
        int, Option("Passes over the real clips, a third of the families each; 0 makes none.", minimum=0)
    ] = 1
    folds: int = 5
    jobs: Annotated[int, Option("Processes that measure.", minimum=1)] = 1

    def __post_init__(self) -> None:
        check(self)
        if "clean" not in self.tests:
            raise UsageError("clean is measured always", where="--tests")
        for name in self.families:
            if name not in families.names():
                raise UsageError(
                    f"no family {name!r}", where="--families", hint=f"one of {', '.join(families.names())}"
                )


@dataclass(frozen=True, kw_only=True)
class NetworkTraining(Training):
    """One training run of a network.

    backbone, start : see :func:`detect.networks.network.pretrained`; without either's weights the backbone begins at random.
    frames : crops a clip in a batch. patience : validations without a better lower end of the interval before stopping.
    alignment, uniformity : GenD's losses. What is None or empty follows from the kind (``train_networks.settled``).
    """

    kind: str = "cnn"
    backbone: Annotated[str, Option("Any timm name, or hub:OWNER/NAME (or hub:FOLDER) with the weights it brings.")] = (
        ""
    )
    start: Annotated[
        str, Option("Weights the backbone starts from, safetensors or a name of the weights store.", metavar="FILE")
    ] = ""
    tune: Annotated[str, Option("all, layer-norm or probe.", choices=("", "all", "layer-norm", "probe"))] = ""
    temporal: bool = False
    steps: Annotated[int, Option("Optimiser steps.", minimum=1)] = 2000
    pairs: Annotated[int, Option("Real/fake pairs a step, over all processes.", flag="--batch", minimum=1)] = 8
    size: Annotated[int, Option("Side of the crops, pixels.", minimum=16)] = 224
    frames: int = 1
    rate: float = 3e-4
    decay: float = 1e-4
    self_blend: float = 0.3
    alignment: float | None = None
    uniformity: float | None = None
    validate_every: int = 200
    save_every: int = 100
    patience: int = 8
    held_out: float = 0.2
    bf16: bool = True
    device: str = "auto"

    def __post_init__(self) -> None:
        check(self)
        if self.kind not in NETWORKS:
            raise UsageError(f"{self.kind!r} is no network that is trained here", hint=f"one of {', '.join(NETWORKS)}")


@dataclass(frozen=True, kw_only=True)
class CnnTraining(NetworkTraining):
    """A convolutional backbone, tuned whole unless told otherwise."""

    temporal: Annotated[bool, Option("A head over time instead of pooling.")] = False


@dataclass(frozen=True, kw_only=True)
class VitLnTraining(NetworkTraining):
    """A vision transformer whose LayerNorms alone are tuned unless told otherwise."""

    kind: str = "vit-ln"
