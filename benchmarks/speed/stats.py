"""Speed of the clustered bootstrap: 10,000 resamples of 100,000 scores against scikit-learn in a loop, same values checked.

    python -m benchmarks.speed.stats [--scores 100000] [--resamples 10000] [--identities 1000] [--loop 20] [--rounds 1]

The loop is timed over ``--loop`` resamples and its time a resample is what is compared; processor time. Run it with OMP_NUM_THREADS=1: one
thread each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.speed.arms import Ratio, alternate, options, tell
from gioconda_core.stats import bootstrap, metrics

SEVERAL = ("auc", "ap", "eer", "pauc@fpr=0.1", "tpr@fpr=0.01", "tpr@fpr=0.001")


def material(n: int, identities: int, seed: int = 0) -> tuple[Any, Any, Any]:
    """labels (n,), scores (n,), identity (n,): identity-correlated scores of an AUC near 0.75."""
    rng = np.random.default_rng(seed)
    identity = rng.integers(identities, size=n)
    labels = rng.integers(2, size=n)
    scores = labels * 1.2 + 0.7 * rng.normal(size=(2, identities))[labels, identity] + rng.normal(size=n)
    return labels, scores, identity


def measure(labels: Any, scores: Any, ids: Any, count: int, given: Any) -> dict[str, Any]:
    """One way of clustering: milliseconds a resample, ours and scikit-learn's, ratio, largest difference."""
    resampler = bootstrap.Resampler.over(ids)
    clusters = resampler.axes[0]
    members = np.split(np.argsort(clusters, kind="stable"), np.cumsum(np.bincount(clusters))[:-1])
    draws = np.concatenate([d[0] for d in resampler.draws(given.loop)])
    picked = [np.concatenate([members[k] for k in np.repeat(np.arange(len(draw)), draw)]) for draw in draws]

    def ours(names: tuple[str, ...], resamples: int) -> Any:
        wanted = [metrics.parse(name) for name in names]
        return bootstrap.distribution(wanted, labels, scores, None, resampler, resamples)["auc"]

    found = alternate(
        given.rounds,
        {
            "ours": lambda: ours(("auc",), count),
            "sklearn": lambda: [roc_auc_score(labels[rows], scores[rows]) for rows in picked],
            "six": lambda: ours(SEVERAL, given.loop),
        },
    )
    pairs = zip(found.takes["sklearn"], found.takes["ours"], strict=True)
    return {
        "scores": len(scores),
        "resamples": count,
        "ours_ms": 1e3 * found.seconds("ours") / count,
        "sklearn_ms": 1e3 * found.seconds("sklearn") / given.loop,
        "ratio": Ratio.of([(theirs.cpu / given.loop) / (own.cpu / count) for theirs, own in pairs]),
        "six_figures_ms": 1e3 * found.seconds("six") / given.loop,
        "largest_difference": float(np.abs(found.result("ours")[: given.loop] - found.result("sklearn")).max()),
    }


def main() -> None:
    given = options(__doc__, scores=100_000, resamples=10_000, identities=1000, loop=20, rounds=1)
    labels, scores, identity = material(given.scores, given.identities)
    kinds = {
        f"{given.identities} identities": (identity, given.resamples),
        "every score its own cluster": (np.arange(given.scores), max(given.loop, given.resamples // 10)),
    }
    rows = [{"clusters": name, **measure(labels, scores, *kind, given)} for name, kind in kinds.items()]
    tell(rows, given.json)


if __name__ == "__main__":
    main()
