"""Declares the job of an evaluation: on how many shots, people and frames a generator is measured, and against what."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gioconda_core.errors import UsageError
from gioconda_core.options import Option, check, numbers
from synth.reenact.options import MODES, Landmarker


@dataclass(frozen=True)
class Evaluate:
    """How a generator is measured. listed : any text naming identities or clips, such as VoxCeleb's lists."""

    shots: Annotated[tuple[int, ...], Option("T.", minimum=1, parse=numbers)] = (1, 8, 32)
    modes: Annotated[tuple[str, ...], Option("ff, ft.", choices=MODES)] = ("ff", "ft")
    steps: Annotated[int | None, Option("Iterations of tuning; default by the number of shots.", minimum=1)] = None
    people: Annotated[int, Option("Most people; 0 = all.", minimum=0)] = 50
    frames: Annotated[int, Option("Frames held out of each take.", minimum=1)] = 32
    baselines: Annotated[bool, Option("Also measure warp and copy.")] = True
    listed: Annotated[Path | None, Option("A test list (VoxCeleb's, or names of people).", flag="--list")] = None
    landmarker: Landmarker = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        check(self)
        if not self.shots or not self.modes:
            raise UsageError("nothing to measure", hint="shots and modes need a value")
