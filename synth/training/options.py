"""The options of a training run, as its folder keeps them, and which of them a resumed run may not change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gioconda_core.errors import UsageError
from synth.model.losses import WEIGHTS

__all__ = ["FIXED", "Options"]


@dataclass(frozen=True)
class Options:
    """One training run, as written to options.json.

    variant : ``ft`` adds the match term, so that ê can stand in for W_i when tuning; ``ff`` is for use without tuning.
    match_from : step at which the match term joins; None = after 150 epochs, as the paper (u), an epoch being one
    episode for each video. Before W's rows have learned something it pulls ê to nothing (docs/decisions/small-presets.md).
    batch : episodes a step over all processes; accumulate : parts it is computed in. precision : auto, bf16, fp32.
    lr, lr_discriminator : of Adam; the paper's by default. init : a model to start from, of the same width or
    narrower, of any picture size: that is the curriculum (:mod:`synth.model.widen`).
    """

    shards: tuple[str, ...]
    preset: str = "paper"
    steps: int = 100_000
    batch: int = 4
    accumulate: int = 1
    shots: int = 8
    vary_shots: bool = False
    augment: bool = False
    weights: tuple[float, ...] | None = None
    variant: str = "ft"
    match_from: int | None = None
    losses: str = "v2"
    content: str = "auto"
    content_files: Mapping[str, str] = field(default_factory=dict)
    lr: float = 5e-5
    lr_discriminator: float = 2e-4
    ema: float = 0.999
    discriminator_steps: int = 2
    precision: str = "auto"
    compile: bool = False
    init: str | None = None
    seed: int = 0
    checkpoint_every: int = 1000
    sample_every: int = 1000
    log_every: int = 20

    def __post_init__(self) -> None:
        if self.variant not in ("ff", "ft"):
            raise UsageError(f"no variant {self.variant!r}", where="--variant", hint="ff or ft")
        if self.losses not in WEIGHTS:
            raise UsageError(f"no loss preset {self.losses!r}", where="--losses", hint=", ".join(WEIGHTS))
        if self.precision not in ("auto", "bf16", "fp32"):
            raise UsageError(f"no precision {self.precision!r}", where="--precision", hint="auto, bf16 or fp32")
        if min(self.batch, self.accumulate, self.shots, self.steps) < 1:
            raise UsageError("batch, accumulate, shots and steps start at 1")
        if self.batch % self.accumulate:
            raise UsageError("does not divide the batch", where="--accumulate", hint=f"batch is {self.batch}")
        if unknown := set(self.content_files) - {"vgg19", "vggface", "squeezenet"}:
            raise UsageError(
                f"no content net {min(unknown)!r}", where="--content-file", hint="vgg19, vggface or squeezenet"
            )


# A resumed run may change how long, how often and in how many parts; never what is learned from or how.
FIXED = (
    *("preset", "batch", "shots", "vary_shots", "augment", "weights", "variant", "losses", "content", "lr"),
    *("lr_discriminator", "ema", "discriminator_steps", "seed", "units"),
)
