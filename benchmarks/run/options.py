"""Declares the jobs of measuring: how a run is shared out and what it leaves aside, and how a labelled set is looked at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gioconda_core.errors import UsageError
from gioconda_core.options import Engine, Force, Option, check
from gioconda_core.options import shard as shard_of

Jobs = Annotated[int, Option("Worker processes; 0 = as many as cores are free.", minimum=0)]
SUITES = Path(__file__).parents[1] / "suites"


def suite_file(name: str) -> Path:
    """Where a suite's TOML lies: in the box, by its name, or any file. UsageError where there is none."""
    found = SUITES / f"{name}.toml"
    if found in SUITES.glob("*.toml"):
        return found
    if Path(name).is_file():
        return Path(name)
    known = ", ".join(sorted(path.stem for path in SUITES.glob("*.toml")))
    raise UsageError(f"no suite {name!r}", hint=f"built in: {known}; or give a TOML file")


@dataclass(frozen=True)
class Measure:
    """How a suite is run. command : what was typed, for the record."""

    jobs: Jobs = 0
    engine: Engine = "local"
    shard: Annotated[
        tuple[int, int], Option("This machine's part of the samples.", metavar="I/N", parse=shard_of, shown="1/1")
    ] = (1, 1)
    limit: Annotated[
        int | None, Option("Only so many samples, and of puppets no more are made; not comparable then.", minimum=1)
    ] = None
    timeout: Annotated[float | None, Option("Seconds a detector may take for one clip.", minimum=0.1)] = None
    retry: Annotated[bool, Option("Measure rows that failed once more.")] = False
    force: Force = False
    command: str = ""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class AuditSet:
    """How a labelled set is looked at. resamples : of the probes' intervals."""

    near: Annotated[int, Option("Bits of 64 near-duplicates may differ in.", minimum=0, maximum=16)] = 3
    probes: Annotated[bool, Option("Decode clips, for probes and near-duplicates.")] = True
    jobs: Jobs = 0
    seed: int = 0
    resamples: int = 1000

    def __post_init__(self) -> None:
        check(self)
