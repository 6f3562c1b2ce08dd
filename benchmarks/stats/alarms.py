"""Compares the false-alarm rates that scores were given with, against what these real clips show."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from benchmarks.stats.table import Table
from gioconda_core.stats import bootstrap
from gioconda_core.stats.shares import of_people

RATES = (0.01, 0.05, 0.1, 0.2)  # stated rates that are looked at
FEWEST = 10  # real clips, below which nothing is said of a rate


class Kept(StrEnum):
    """What real clips say of a stated rate."""

    HOLDS = "holds"  # the interval of what was found holds what was stated
    MORE = "more"  # more alarms than stated
    FEWER = "fewer"
    REFUSED = "refused"  # too few real clips


@dataclass(frozen=True)
class StatedRate:
    """Alarms at scores that are said to occur on at most ``stated`` of real clips.

    found, low, high : share of these real clips that alarm, with its 95 % interval over people. reached : share of the fakes.
    n_real, n_fake : clips with a score and a stated rate.
    """

    detector: str
    stated: float
    kept: Kept
    n_real: int
    n_fake: int
    found: float | None = None
    low: float | None = None
    high: float | None = None
    reached: float | None = None


def stated_rates(table: Table) -> list[StatedRate]:
    """A row a detector and rate, for the detectors whose scores came with a calibration; on clips of one degradation."""
    out = []
    for name, column in table.detectors.items():
        if column.stated is None:
            continue
        rows = np.flatnonzero(table.labelled & column.scored & np.isfinite(column.stated))
        labels, stated = table.labels[rows], column.stated[rows]
        real, fake = labels == 0, labels == 1
        for rate in RATES:
            n_real, n_fake = int(real.sum()), int(fake.sum())
            if n_real < FEWEST:
                out.append(StatedRate(name, rate, Kept.REFUSED, n_real, n_fake))
                continue
            alarm = stated <= rate
            who = [table.columns[c][rows][real] for c in ("identity", "source")]
            low, high = of_people(alarm[real], bootstrap.Resampler.over(*who).axes)
            kept = Kept.MORE if low > rate else Kept.FEWER if high < rate else Kept.HOLDS
            reached = float(alarm[fake].mean()) if n_fake else None
            out.append(StatedRate(name, rate, kept, n_real, n_fake, float(alarm[real].mean()), low, high, reached))
    return out
