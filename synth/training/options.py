"""Declares the options of a training run, as its folder keeps them, and which of them a resumed run may not change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from gioconda_core.errors import UsageError
from gioconda_core.options import Option, argument, check
from synth.model.config import CONTENT_NETS, PRESETS, WEIGHTS, Content


def _known(files: Mapping[str, str]) -> None:
    if unknown := set(files) - set(CONTENT_NETS):
        raise UsageError(f"no content net {min(unknown)!r}", "--content-file", f"one of {', '.join(CONTENT_NETS)}")


@dataclass(frozen=True)
class Options:
    """One training run, as written to options.json.

    variant : ``ft`` adds the match term, so that ê can stand in for W_i when tuning; ``ff`` is for use without tuning.
    match_from : the paper's 150 epochs (u), an epoch being one episode for each video. Before W's rows have learned something
    the term pulls ê to nothing (docs/decisions/small-presets.md). lr, lr_discriminator : of Adam; the paper's by default.
    init : the curriculum (:mod:`synth.model.widen`).
    """

    shards: Annotated[tuple[str, ...], argument("Shard folders, from `gioconda synth prepare`.")] = ()
    preset: Annotated[
        str,
        Option("paper, half, half-256 (256 px), half-128, sketch (128 px), pocket (64 px).", choices=tuple(PRESETS)),
    ] = "paper"
    steps: Annotated[int, Option("Steps of the whole run.", minimum=1)] = 100_000
    batch: Annotated[int, Option("Episodes a step, over all processes.", minimum=1)] = 4
    accumulate: Annotated[int, Option("Compute the batch in this many parts.", minimum=1)] = 1
    shots: Annotated[int, Option("K: frames embedded an episode.", minimum=1)] = 8
    vary_shots: Annotated[bool, Option("Draw K from 1, 2, 4 … each step.")] = False
    augment: Annotated[bool, Option("Mirror, shift, scale and recolour episodes.")] = False
    weights: Annotated[
        tuple[float, ...] | None, Option("Share of episodes from each folder, in order.", flag="--weight", repeat=True)
    ] = None
    variant: Annotated[str, Option("ft (for tuning) or ff (feed-forward only).", choices=("ff", "ft"))] = "ft"
    match_from: Annotated[
        int | None, Option("Step at which the match term joins; default: after 150 epochs.", minimum=0)
    ] = None
    losses: Annotated[str, Option("Loss weights: v2 or v1.", choices=tuple(WEIGHTS))] = "v2"
    content: Content = "auto"
    content_files: Annotated[
        Mapping[str, str],
        Option(
            "Weights of a content net, instead of the store's.",
            flag="--content-file",
            metavar="NET=FILE",
            repeat=True,
            valid=_known,
        ),
    ] = field(default_factory=dict)
    lr: Annotated[float, Option("Learning rate of embedder and generator.", minimum=0)] = 5e-5
    lr_discriminator: Annotated[float, Option("Learning rate of the discriminator and W.", minimum=0)] = 2e-4
    ema: float = 0.999
    discriminator_steps: Annotated[
        int, Option("Discriminator updates a step; 1 at twice the rate costs a third less.", minimum=1)
    ] = 2
    precision: Annotated[str, Option("auto, bf16 or fp32.", choices=("auto", "bf16", "fp32"))] = "auto"
    compile: Annotated[bool, Option("torch.compile the networks.")] = False
    init: Annotated[str | None, Option("Start from this model: as wide or narrower, of any picture size.")] = None
    seed: int = 0
    checkpoint_every: Annotated[int, Option("Steps between checkpoints.", minimum=1)] = 1000
    sample_every: Annotated[int, Option("Steps between contact sheets.", minimum=1)] = 1000
    log_every: int = 20

    def __post_init__(self) -> None:
        check(self)
        if self.batch % self.accumulate:
            raise UsageError("does not divide the batch", where="--accumulate", hint=f"batch is {self.batch}")
        if self.variant == "ff" and self.match_from is not None:
            raise UsageError("only the variant ft has a match term", where="--match-from", hint="leave it out")


# A resumed run may change how long, how often and in how many parts; never what is learned from or how.
FIXED = (
    *("preset", "batch", "shots", "vary_shots", "augment", "weights", "variant", "losses", "content", "lr"),
    *("lr_discriminator", "ema", "discriminator_steps", "seed", "units"),
)
