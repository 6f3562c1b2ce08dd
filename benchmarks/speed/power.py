"""How often comparisons of detectors are wrong, and how small a difference they show: simulated sets with known differences.

``python -m benchmarks.speed power [--sets 200]`` prints the table of docs/performance.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.stats import compare
from benchmarks.stats.compare import Finding
from benchmarks.stats.table import Column, Table
from gioconda_core.stats import delong

GAPS = (0.0, 0.1, 0.2, 0.3, 0.4)  # of the better detector's strength, in deviations of the scores


def simulated(strengths: Sequence[float], clips: int, seed: int = 0, people: int = 10) -> Table:
    """Scores of detectors of known strength: what clips and people share is shared, the rest is each detector's own.

    strengths : how far apart each holds real and fake, in deviations. people : clips of each person.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(clips) % 2
    person = np.arange(clips) // people
    shared = rng.normal(size=clips) * 0.7
    detectors = {}
    for i, strength in enumerate(strengths):
        by_person = 0.5 * rng.normal(size=person.max() + 1)[person]
        scores = labels * strength + shared + by_person + 0.7 * rng.normal(size=clips)
        detectors[f"d{i:02d}"] = Column(scores, np.full(clips, "scored"), np.full(clips, "", dtype=object))
    blank = {"source": "", "generator": "", "degradation": "none"}
    columns = {"identity": person.astype(str), **{name: np.full(clips, value) for name, value in blank.items()}}
    return Table(np.arange(clips).astype(str), labels.astype(np.int8), columns, detectors)


@dataclass(frozen=True)
class Power:
    """Over simulated sets in which detector ``d00`` is better by ``gap`` than equal others; shares.

    gap : of AUC. wrong : sets in which an equal one is called worse or better than another, over all pairs. led : sets in which the
    leader is called better than one that is its equal or better. led_few : the same, had only k − 1 questions been asked. found :
    comparisons of the better one with another that show it. named : sets in which its rank interval holds 1.
    """

    gap: float
    wrong: float
    led: float
    led_few: float
    found: float
    named: float


def power(gap: float, sets: int, few: bool = True, detectors: int = 20, clips: int = 2000) -> Power:
    """gap : as in ``GAPS``. few : whether ``led_few`` is wanted, a quarter of the time; 0 without."""
    strengths = [1.0 + gap] + [1.0] * (detectors - 1)
    order = [f"d{i:02d}" for i in range(detectors)]
    rows = []
    for seed in range(sets):
        table = simulated(strengths, clips, seed)
        values = {n: delong.auc_shares(table.labels, table.detectors[n].scores).auc for n in order}
        ranked = sorted(order, key=lambda n: -values[n])
        board = compare.leaderboard(table, ranked, resamples=0)
        assert board is not None
        boards = [board, compare.leaderboard(table, ranked, resamples=0, against=ranked[0]) if few else None]
        best = [_better(d) for d in board.pairs if _better(d)]
        rows.append(
            (
                values["d00"] - float(np.mean([values[n] for n in order[1:]])),
                any(name != "d00" or not gap for name in best),
                *(
                    b is not None
                    and any(_better(d) == ranked[0] and (ranked[0] != "d00" or not gap) for d in b.differences)
                    for b in boards
                ),
                sum(name == "d00" for name in best) / (detectors - 1),
                board.standings[ranked.index("d00")].low == 1,
            )
        )
    return Power(*(float(v) for v in np.mean(rows, axis=0)))


def _better(d: compare.Difference) -> str:
    """The one that a comparison shows better; empty where it shows none."""
    return {Finding.A_BETTER: d.a, Finding.B_BETTER: d.b}.get(d.finding, "")


def cases(folder: Path, sets: int = 200) -> Iterator[dict[str, object]]:
    """A row a gap."""
    return (vars(power(gap, sets)) for gap in GAPS)
