"""Chooses a threshold: by a false-alarm rate or by what misses and false alarms cost, with how far other clips would move it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.stats.table import independent
from gioconda_core.stats import bootstrap, metrics
from gioconda_core.stats.shares import threshold

Floats = NDArray[np.float64]
CONFIDENCE = 0.9  # of the promise that new real clips alarm no oftener
DRAWS = 500  # resamples of a threshold: its interval is read to two digits


@dataclass(frozen=True)
class Choice:
    """One threshold. An alarm is a score at or above it.

    rule : ``fpr`` or ``cost``. threshold : None where even the highest score alarms too often. low, high : 95 % interval of the
    threshold over resampled people. false_alarms, found : shares of reals and fakes of these clips that alarm. promise : the least
    threshold at which new real clips stay within the rate, with ``CONFIDENCE``, if clips are independent; None where these are too
    few to promise it, or the rule is no rate.
    """

    rule: str
    metric: str
    threshold: float | None
    low: float | None
    high: float | None
    false_alarms: float
    found: float
    promise: float | None


def _place(metric: metrics.Metric, tp: Floats, fp: Floats) -> NDArray[np.int64]:
    """Which of the counted thresholds the rule takes, 0 being above every score."""
    if metric.base == "tpr":
        return metrics.last_within(fp, metric.params["fpr"])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(metrics.costs(tp, fp, *metric.params.values()).argmin(axis=-1))


def choose(
    rules: Sequence[metrics.Metric], labels: NDArray[Any], scores: Floats, resampler: bootstrap.Resampler
) -> list[Choice]:
    """A threshold for each rule: ``tpr@fpr=…`` keeps false alarms at a rate, ``mincost@fn=…,fp=…,prevalence=…`` costs least.

    labels, scores : (n,), both classes among them.
    """
    # Every score is a threshold that may be taken, and one above them all; hits and false alarms are counted at each.
    ranking = metrics.Ranking.of(labels, scores)
    values = np.append(np.inf, scores[ranking.order[ranking.ends]])
    tp, fp = metrics.counts(ranking, np.ones(len(labels), np.int64))
    # The same rules on resampled people say how far other people would move each threshold.
    drawn: list[list[Floats]] = [[] for _ in rules]
    clusters = independent(labels, resampler)
    if bootstrap.too_few(clusters) is None:
        for draw in resampler.kept_draws(DRAWS):
            both = bootstrap.weighted_counts(ranking, partial(bootstrap.row_weights, resampler, draw, slice(None)))
            for places, rule in zip(drawn, rules, strict=True):
                places.append(values[_place(rule, *both)])
    out = []
    for rule, places in zip(rules, drawn, strict=True):
        at = int(_place(rule, tp, fp))
        low = high = None
        if places and at:
            kept = np.concatenate(places)
            low, high = (float(v) for v in np.quantile(kept, [0.025, 0.975], method="nearest"))
            high = high if np.isfinite(high) else None
        fpr = rule.params["fpr"] if rule.base == "tpr" else None
        out.append(
            Choice(
                "cost" if fpr is None else "fpr",
                rule.name,
                float(values[at]) if at else None,
                low,
                high,
                float(fp[at] / fp[-1]),
                float(tp[at] / tp[-1]),
                None if fpr is None else threshold(scores[labels == 0], fpr, CONFIDENCE),
            )
        )
    return out
