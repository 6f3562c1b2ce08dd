"""Speed of the clustered bootstrap: 10,000 resamples of 100,000 scores against scikit-learn in a loop, same values checked.

Run: python -m benchmarks.speed.stats [--scores 100000] [--resamples 10000] [--identities 1000] [--loop 20]
The loop is timed over ``--loop`` resamples and its time a resample is what is compared; processor time, so that neighbours on a
shared machine do not count. Run it with OMP_NUM_THREADS=1: one thread each.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from sklearn.metrics import roc_auc_score

from gioconda_core.stats import bootstrap, metrics


def material(n: int, identities: int, seed: int = 0):
    """labels (n,), scores (n,), identity (n,): identity-correlated scores of an AUC near 0.75."""
    rng = np.random.default_rng(seed)
    identity = rng.integers(identities, size=n)
    labels = rng.integers(2, size=n)
    scores = labels * 1.2 + 0.7 * rng.normal(size=(2, identities))[labels, identity] + rng.normal(size=n)
    return labels, scores, identity


def measure(n: int, resamples: int, identities: int, loop: int) -> list[dict[str, float | str]]:
    """One row for each way of clustering: milliseconds a resample, ours and scikit-learn's, ratio, largest difference."""
    labels, scores, identity = material(n, identities)
    auc = [metrics.parse("auc")]
    several = [metrics.parse(m) for m in ("auc", "ap", "eer", "pauc@fpr=0.1", "tpr@fpr=0.01", "tpr@fpr=0.001")]
    rows: list[dict[str, float | str]] = []
    for kind, ids, count in (
        (f"{identities} identities", identity, resamples),
        ("every score its own cluster", np.arange(n), max(loop, resamples // 10)),
    ):
        resampler = bootstrap.Resampler.over(ids)
        members = np.split(np.argsort(resampler.axes[0], kind="stable"), np.cumsum(np.bincount(resampler.axes[0]))[:-1])
        draws = np.concatenate([d[0] for d in resampler.draws(loop)])
        theirs, spent = [], 0.0
        start = time.process_time()
        ours = bootstrap.distribution(auc, labels, scores, None, resampler, count)["auc"]
        took = time.process_time() - start
        for draw in draws:
            picked = np.concatenate([members[k] for k in np.repeat(np.arange(len(draw)), draw)])
            start = time.process_time()
            theirs.append(roc_auc_score(labels[picked], scores[picked]))
            spent += time.process_time() - start
        start = time.process_time()
        bootstrap.distribution(several, labels, scores, None, resampler, loop)
        all_took = (time.process_time() - start) / loop
        rows.append(
            {
                "clusters": kind,
                "scores": n,
                "resamples": count,
                "ours_ms": 1e3 * took / count,
                "sklearn_ms": 1e3 * spent / loop,
                "ratio": (spent / loop) / (took / count),
                "six_figures_ms": 1e3 * all_took,
                "largest_difference": float(np.abs(ours[:loop] - theirs).max()),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scores", type=int, default=100_000)
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--identities", type=int, default=1000)
    parser.add_argument("--loop", type=int, default=20)
    options = parser.parse_args()
    for row in measure(options.scores, options.resamples, options.identities, options.loop):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
