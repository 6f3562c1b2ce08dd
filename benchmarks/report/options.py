"""Declares the jobs of reporting: which scores are read and how, and which figures are wanted of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gioconda_core.options import Option, argument, check


def named(text: str) -> tuple[str, ...]:
    """``auc;tpr@fpr=0.01`` → names of figures; refuses what is none, before anything is read."""
    from gioconda_core.stats.metrics import parse

    names = tuple(name.strip() for name in text.split(";") if name.strip())
    for name in names:
        parse(name)
    return names


METRICS = Option("Figures by name, separated by semicolons.", parse=named)
Resamples = Annotated[int, Option("Bootstrap resamples.", minimum=100)]


@dataclass(frozen=True)
class Scores:
    """Where scores lie, and how they are read."""

    source: Annotated[Path, argument("A run's folder, or a table of id, label, score: CSV or Parquet.", "RUN|SCORES")]
    probabilities: Annotated[bool, Option("Scores are probabilities, not raw.")] = False
    protocol: Annotated[str, Option("What a CSV's scores stand for, like video@32f-even.")] = ""
    score: Annotated[
        tuple[str, ...], Option("Columns of scores side by side, separated by commas, like 'prob_*'.")
    ] = ()
    unit: Annotated[
        str,
        Option(
            "Of a table that holds several: video, image or audio.", choices=("", "video", "image", "audio", "frame")
        ),
    ] = ""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Figures:
    """Which figures a report shows. metrics : those of the suite, or the usual ones, when not given."""

    metrics: Annotated[tuple[str, ...], METRICS] = ()
    prevalence: Annotated[
        float | None, Option("Share of fakes where you work; for PPV and cost.", minimum=0, maximum=1)
    ] = None
    title: Annotated[str, Option("The report's title.")] = ""
    against: Annotated[str, Option("The detector to compare the others with; the leader when not given.")] = ""
    resamples: Resamples = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        check(self)
