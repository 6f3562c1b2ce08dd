"""Declares the job of tuning a model to one person."""

from dataclasses import dataclass
from typing import Annotated

from gioconda_core.errors import UsageError
from gioconda_core.options import Option, check
from synth.model.config import Content

MODES = ("ff", "psi", "last", "full")


@dataclass(frozen=True)
class Tune:
    """How a model is tuned.

    mode : ``ff`` none at all; ``psi`` ψ′ alone; ``last`` ψ′ and the last two up blocks; ``full`` ψ′ and all of G.
    steps : None = :func:`synth.person.tune.budget`. lr : None = three times the rate the model was trained at;
    lr_discriminator : None = by the content term's :class:`synth.person.tune.Schedule`.
    """

    mode: Annotated[str, Option("ff (feed-forward, not for single clips), psi, last or full.", choices=MODES)] = "full"
    steps: Annotated[int | None, Option("Iterations at most; default by the number of shots.", minimum=1)] = None
    lr: Annotated[float | None, Option("Learning rate; default: the model's own.", minimum=0)] = None
    lr_discriminator: float | None = None
    content: Content = "auto"
    views: Annotated[
        bool,
        Option("Learn from bent views of the shots too, the fewer shots the more; --no-views for the paper's way."),
    ] = True
    batch: int = 2
    precision: str = "auto"
    hold_out: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        check(self)
        if self.mode == "ff" and (self.steps, self.lr) != (None, None):
            raise UsageError("mode ff is not tuned", where="--mode", hint="leave out --steps and --lr")
