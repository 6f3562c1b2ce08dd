"""The job of measuring: how a run is shared out, and what it leaves aside. Field for field what :func:`benchmarks.run.run.run` takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from gioconda_core.options import Option, check, shard


@dataclass(frozen=True)
class Measure:
    """How a suite is run."""

    jobs: Annotated[int, Option("Worker processes; 0 = as many as cores are free.", minimum=0)] = 0
    engine_name: Annotated[str, Option("local or ray.", flag="--engine", choices=("local", "ray"))] = "local"
    shard: Annotated[
        tuple[int, int], Option("This machine's part of the samples.", metavar="I/N", parse=shard, shown="1/1")
    ] = (1, 1)
    limit: Annotated[int | None, Option("Only so many samples; not comparable then.", minimum=1)] = None
    timeout: Annotated[float | None, Option("Seconds a detector may take for one clip.", minimum=0.1)] = None
    retry: Annotated[bool, Option("Measure rows that failed once more.")] = False

    def __post_init__(self) -> None:
        check(self)
