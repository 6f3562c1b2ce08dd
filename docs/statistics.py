"""Draw the pictures of docs/statistics.md, of made-up scores, with the functions that reports use.

``python docs/statistics.py`` writes docs/gallery/statistics-*.png.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.stats.thresholds import choose
from gioconda_core.stats import bootstrap, metrics

GALLERY = Path(__file__).resolve().parent / "gallery"
REAL, FAKE, INK = "#4477aa", "#cc6677", "#333333"
AUC = metrics.parse("auc")


def scores(rng: np.random.Generator, people: int, skill: float) -> tuple[Any, Any, Any]:
    """Labels, scores and persons: a real clip and a fake of each person, whose clips are alike."""
    person = np.repeat(np.arange(people), 2)
    labels = np.tile([0, 1], people)
    return labels, rng.normal(0, 0.6, people)[person] + rng.normal(0, 0.8, 2 * people) + skill * labels, person


def axes(width: float = 7.2, height: float = 2.6) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "text.color": INK})
    return plt.subplots(figsize=(width, height), layout="constrained")


def save(figure: Any, name: str) -> None:
    figure.savefig(GALLERY / f"statistics-{name}.png", dpi=110)


def overlap(rng: np.random.Generator) -> None:
    """Scores of real clips and fakes overlap; where the line is drawn decides which mistake is made more often."""
    labels, found, person = scores(rng, 400, 0.9)
    figure, ax = axes()
    bins = np.linspace(found.min(), found.max(), 36)
    for label, colour, name in ((0, REAL, "real clips"), (1, FAKE, "fakes")):
        ax.hist(found[labels == label], bins, color=colour, alpha=0.6, label=name)
    (choice,) = choose([metrics.parse("tpr@fpr=0.1")], labels, found, bootstrap.Resampler.over(person))
    cut = choice.threshold
    missed = np.mean(found[labels == 1] < cut)
    ax.axvline(cut, color=INK, lw=1.5)
    ax.set_ylim(top=1.4 * ax.get_ylim()[1])
    said = f" threshold: 10 % of real clips\n lie above it, and {100 * missed:.0f} % of fakes below"
    ax.text(cut, 0.98 * ax.get_ylim()[1], said, va="top")
    ax.set(xlabel="score of a clip", ylabel="clips", title=f"AUC {metrics.value(AUC, labels, found):.2f}")
    ax.legend(frameon=False, loc="upper left")
    save(figure, "overlap")


def width(rng: np.random.Generator) -> None:
    """The interval of one figure, by how many people were measured."""
    figure, ax = axes()
    for row, people in enumerate((10, 30, 100, 400)):
        labels, found, person = scores(rng, people, 0.9)
        resampler = bootstrap.Resampler.over(person, seed=1)
        drawn = bootstrap.distribution([AUC], labels, found, None, resampler, 2000)[AUC.name]
        bound = bootstrap.interval(drawn, people, centre=metrics.value(AUC, labels, found))
        ax.plot([bound.low, bound.high], [row, row], color=REAL, lw=4, solid_capstyle="round")
        ax.plot(metrics.value(AUC, labels, found), row, "o", color=INK)
    ax.axvline(0.5, color=INK, ls=":", lw=1)
    ax.text(0.503, 3.25, "a coin", va="bottom")
    ax.set_yticks(range(4), [f"{n} people" for n in (10, 30, 100, 400)])
    ax.set(xlabel="AUC, with its range (95 %)", xlim=(0.35, 1))
    save(figure, "people")


def rarity() -> None:
    """What an alarm is worth where fakes are rare."""
    figure, ax = axes()
    shares = (0.5, 0.1, 0.01)
    for row, share in enumerate(shares):
        right = float(metrics.right_alarms(0.6, 0.1, share))
        ax.barh(row, right, color=FAKE)
        ax.barh(row, 1 - right, left=right, color=REAL)
        ax.text(0.01, row, f"{100 * right:.0f} % of alarms are fakes", va="center", color="white")
    ax.set_yticks(range(3), [f"{100 * share:.0f} % of clips are fakes" for share in shares])
    ax.set(
        xlabel="share of alarms",
        xlim=(0, 1),
        title="A detector that finds 60 % of fakes and alarms at 10 % of real clips",
    )
    ax.invert_yaxis()
    save(figure, "rarity")


if __name__ == "__main__":
    overlap(np.random.default_rng(3))
    width(np.random.default_rng(5))
    rarity()
