"""How well a detector does on methods and persons it has not seen: leave-one-method-out, with an interval over persons.

For each method, models are fitted without any of its fakes, once for each fold of persons and without whatever shows those persons; the
method's fakes and the real clips of the fold are scored by that model, and give the method's AUC. Neither a person's real clips nor
fakes of that person by other methods have been seen. What is reported is the mean over fakes, ``auc/video`` of unseen methods.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect.training.dataset import Clips

__all__ = ["Unseen", "figure", "groups_of", "unseen"]

Array = NDArray[Any]
Rows = tuple[Array, Array]  # features (R, F) and the clip of each row (R,)
Fitter = Callable[[Array, Array, Array], Callable[[Array], Array]]
FEWEST = 4  # fakes a method needs to be a group of its own; rarer ones are held out together


@dataclass(frozen=True, eq=False)
class Unseen:
    """Scores of one held-out group: name, its fakes' mask (N,), and scores (N,) of them and of every real clip, else NaN."""

    name: str
    fakes: Array
    scores: Array


def groups_of(clips: Clips) -> list[tuple[str, list[str]]]:
    """Methods to hold out, the rare ones together."""
    methods = clips.methods
    names = sorted({m for m in methods.tolist() if m})
    large = [m for m in names if int(np.sum(methods == m)) >= FEWEST]
    rare = [m for m in names if m not in large]
    groups = [(m, [m]) for m in large] + ([("rare", rare)] if rare else [])
    return groups if len(groups) > 1 else [(m, [m]) for m in names]


def by_clip(scores: Array, clip: Array, count: int) -> Array:
    """Window scores (R,) → (N,) mean of each clip, NaN where it has no window."""
    total = np.bincount(clip, scores, count)
    number = np.bincount(clip, minlength=count)
    return np.asarray(np.where(number > 0, total / np.maximum(number, 1), np.nan))


def unseen(
    clips: Clips,
    train: Sequence[Rows],
    tests: dict[str, Rows],
    fit: Fitter,
    *,
    by: str = "person",
    folds: int = 5,
    extra: Rows | None = None,
    extra_share: float = 0.3,
    seed: int = 0,
) -> dict[str, list[Unseen]]:
    """Out-of-fold scores for each table of ``tests`` (rung → rows).

    train : tables whose rows are fitted on (clean, and rungs as augmentation). extra : self-blended rows, with the clip they
    were made of: fakes of no method, left out with that clip. by : ``person``, or ``origin``: neither the origin of a real clip that
    is scored (see :meth:`Clips.folds`) nor that of a fake is in its model's training.
    """
    y, methods, sources = clips.labels, clips.methods, clips.sources
    fold = clips.folds(folds, seed, by)
    # Where persons tie nearly all origins together, one fold holds most real clips and its model has seen hardly any: scores of
    # such models cannot be laid beside one another (an AUC of 0.1 came out once), so nothing is claimed.
    largest = np.bincount(fold[y == 0], minlength=folds).max() / max(1, int((y == 0).sum()))
    if largest > 0.5:
        folds = 0
    x = np.concatenate([t[0] for t in train])
    of = np.concatenate([t[1] for t in train])
    out: dict[str, list[Unseen]] = {name: [] for name in tests}
    for name, members in groups_of(clips):
        held = np.isin(methods, members) & (y == 1)
        scores = {rung: np.full(len(clips), np.nan) for rung in tests}
        alone = not ((y == 1) & ~held).any()  # a set of one method: only persons can be held out
        for k in range(folds):
            asked = np.flatnonzero((fold == k) & ((y == 0) | held))
            keep = (fold != k) & ((y == 0) | alone | ~held)
            if by == "origin":
                keep &= ~np.isin(sources, sources[asked])
            if not (keep & (y == 0)).any() or not (keep & (y == 1)).any():
                continue  # one origin, say: nothing is left to learn from, and nothing is claimed
            score = _fit(clips, x, of, np.flatnonzero(keep), fit, extra, extra_share)
            for rung, (rows, clip) in tests.items():
                scores[rung][asked] = by_clip(score(rows), clip, len(clips))[asked]
        for rung in tests:
            out[rung].append(Unseen(name, held, scores[rung]))
    return out


def _fit(
    clips: Clips, x: Array, of: Array, keep: Array, fit: Fitter, extra: Rows | None, share: float
) -> Callable[[Array], Array]:
    rows, labels, weight = training(clips, x, of, keep, extra, share)
    return fit(rows, labels, weight)


def training(
    clips: Clips, x: Array, of: Array, keep: Array, extra: Rows | None, share: float
) -> tuple[Array, Array, Array]:
    """Rows, labels and weights of the clips kept; a clip weighs the same however many windows it has."""
    per_clip = np.zeros(len(clips))
    per_clip[keep] = clips.weights(keep)
    chosen = np.isin(of, keep)
    rows, labels = x[chosen], clips.labels[of[chosen]]
    weight = per_clip[of[chosen]] / np.bincount(of[chosen], minlength=len(clips))[of[chosen]]
    if extra is not None:
        also = np.isin(extra[1], keep)
        rows = np.concatenate([rows, extra[0][also]])
        labels = np.concatenate([labels, np.ones(int(also.sum()), int)])
        weight = np.concatenate([weight, np.full(int(also.sum()), share * weight.sum() / 2 / max(1, int(also.sum())))])
    for label in (0, 1):
        weight[labels == label] *= len(labels) / 2 / weight[labels == label].sum()
    return rows, labels, weight


def figure(clips: Clips, groups: Sequence[Unseen], resamples: int = 1000, seed: int = 0) -> dict[str, Any]:
    """The AUC of unseen methods with its 95 % interval by bootstrap over persons, and each method's own.

    Returns ``{value, low, high, reals, fakes, persons, coverage, methods: {name: {auc, fakes}}}``.
    """
    real = np.flatnonzero(clips.labels == 0)
    persons, code = np.unique(clips.persons, return_inverse=True)
    wins, parts, seen = [], {}, 0
    used: set[int] = set()
    for group in groups:
        fakes = np.flatnonzero(group.fakes & np.isfinite(group.scores))
        reals = real[np.isfinite(group.scores[real])]
        seen += len(fakes)
        if not len(fakes) or not len(reals):
            continue
        used |= {*fakes.tolist(), *reals.tolist()}
        f, r = group.scores[fakes][:, None], group.scores[reals][None]
        win = (f > r) + 0.5 * (f == r)
        wins.append((fakes, reals, win))
        parts[group.name] = {"auc": round(float(win.mean()), 3), "fakes": len(fakes)}

    def value(weight: Array) -> float:
        total, mass = 0.0, 0.0
        for fakes, reals, win in wins:
            a, b = weight[fakes], weight[reals]
            if a.sum() and b.sum():
                total += float(a @ win @ b) / b.sum()
                mass += float(a.sum())
        return total / mass if mass else np.nan

    rng = np.random.default_rng(seed)
    draws = [
        value(np.bincount(rng.integers(len(persons), size=len(persons)), minlength=len(persons))[code].astype(float))
        for _ in range(resamples)
    ]
    low, high = np.nanpercentile(draws, [2.5, 97.5]) if np.isfinite(draws).any() else (np.nan, np.nan)

    def plain(number: float) -> float | None:
        return round(float(number), 4) if np.isfinite(number) else None  # nothing could be held out: nothing is claimed

    fakes_all = int(sum(int(g.fakes.sum()) for g in groups))
    return {
        "value": plain(value(np.ones(len(clips)))),
        "low": plain(low),
        "high": plain(high),
        "reals": len({i for i in used if clips.labels[i] == 0}),
        "fakes": seen,
        "persons": len({code[i] for i in used}),
        "coverage": round(len(used) / (len(real) + fakes_all), 3),
        "methods": parts,
    }


def real_scores(groups: Sequence[Unseen], clips: Clips) -> Array:
    """(N,) each real clip's score by models that had seen neither it nor its person, averaged over held-out methods."""
    stack = np.stack([g.scores for g in groups])
    out = np.full(len(clips), np.nan)
    real = clips.labels == 0
    out[real] = stack[:, real].mean(0)
    return out
