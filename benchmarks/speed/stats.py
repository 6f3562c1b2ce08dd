"""Measures the speed of the clustered bootstrap: 10,000 resamples of 100,000 scores against scikit-learn in a loop, same values checked.

The loop is timed over ``--loop`` resamples and its time a resample is what is compared; processor time. Run it with OMP_NUM_THREADS=1: one
thread each.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks.speed.arms import Case, Ratio, Rounds
from gioconda_core.stats import bootstrap, metrics

Array = NDArray[Any]


def material(n: int, identities: int) -> tuple[Array, Array, Array]:
    """labels (n,), scores (n,), identity (n,): identity-correlated scores of an AUC near 0.75."""
    rng = np.random.default_rng(0)
    identity = rng.integers(identities, size=n)
    labels = rng.integers(2, size=n)
    scores = labels * 1.2 + 0.7 * rng.normal(size=(2, identities))[labels, identity] + rng.normal(size=n)
    return labels, scores, identity


def clustered(name: str, material: tuple[Array, Array], ids: Array, count: int, loop: int, rounds: int) -> Case:
    """One way of clustering: milliseconds a resample, ours and scikit-learn's, ratio, largest difference."""
    labels, scores = material
    resampler = bootstrap.Resampler.over(ids)
    clusters = resampler.axes[0]
    members = np.split(np.argsort(clusters, kind="stable"), np.cumsum(np.bincount(clusters))[:-1])
    draws = np.concatenate([d[0] for d in resampler.draws(loop)])
    picked = [np.concatenate([members[k] for k in np.repeat(np.arange(len(draw)), draw)]) for draw in draws]

    def ours() -> Array:
        return bootstrap.distribution([metrics.parse("auc")], labels, scores, None, resampler, count)["auc"]

    def more(found: Rounds) -> Mapping[str, object]:
        pairs = zip(found.takes["sklearn"], found.takes["ours"], strict=True)
        difference = float(np.abs(found.result("ours")[:loop] - found.result("sklearn")).max())
        assert difference < 1e-12, f"ours and scikit-learn's differ by {difference}"
        return {
            "ours, CPU ms a resample": 1e3 * found.seconds("ours") / count,
            "sklearn, CPU ms a resample": 1e3 * found.seconds("sklearn") / loop,
            "ratio of a resample": Ratio.of([(theirs.cpu / loop) / (own.cpu / count) for theirs, own in pairs]),
            "largest difference": difference,
        }

    ways = {"ours": ours, "sklearn": lambda: [roc_auc_score(labels[rows], scores[rows]) for rows in picked]}
    return Case({"clusters": name, "scores": len(scores), "resamples": count}, ways, rounds, of=["cpu"], more=more)


def cases(
    folder: Path,
    scores: int = 100_000,
    resamples: int = 10_000,
    identities: int = 1000,
    loop: int = 20,
    rounds: int = 1,
) -> Iterator[Case]:
    """Scores of people, and every score a cluster of its own."""
    labels, drawn, identity = material(scores, identities)
    yield clustered(f"{identities} identities", (labels, drawn), identity, resamples, loop, rounds)
    alone, fewer = np.arange(scores), max(loop, resamples // 10)
    yield clustered("every score its own cluster", (labels, drawn), alone, fewer, loop, rounds)
