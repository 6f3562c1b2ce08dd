"""How well a detector does on methods, persons and pages it has not seen, beside what the clips' trivial cues do.

For each method, models are fitted once for each fold of origins, without any of the method's fakes, without the page of any of them, and
without whatever shows the fold's or the fakes' persons. Only scores of one model are compared: the method's fakes with the fold's real
clips. What is reported is the mean over fakes, with an interval over persons: ``auc/video`` of unseen methods, persons and origins.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect.figures import Alarm, Figure, Lead, MethodFigure
from detect.training.dataset import Clips
from gioconda_core.stats.cues import matching_weights
from gioconda_core.stats.shares import clopper_pearson

Array = NDArray[Any]
Rows = tuple[Array, Array]  # features (R, F) and the clip of each row (R,)
Fitter = Callable[[Array, Array], dict[str, Array]]  # rows of a Material and their weights → scores of each test's rows
FEWEST = 4  # fakes a method needs to be a group of its own; rarer ones are held out together
RESAMPLES = 1000
UNBALANCED = 0.05  # how far from one half a cue's AUC may stay on matched clips


@dataclass(frozen=True, eq=False)
class Material:
    """Everything that may be fitted on, a row a window. x : (R, F). of : (R,) the clip it is of, or was made of. labels : (R,) 1 = fake.
    groups : (R,) method, family or page. made : (R,) bool, a fake made here from a real clip. share : (R,) of its clip's windows, so
    that a long clip weighs no more."""

    x: Array
    of: Array
    share: Array
    labels: Array
    groups: Array
    made: Array

    @classmethod
    def gather(cls, clips: Clips, tables: Sequence[Rows], made: Sequence[tuple[str, Rows]] = ()) -> "Material":
        """tables : windows of the clips themselves. made : (family, rows) of the fakes made of them."""
        by_clip = np.where(clips.labels == 1, clips.methods, clips.sources).astype(object)
        rows = [*tables, *(own for _, own in made)]
        labels = [clips.labels[of] for _, of in tables] + [np.ones(len(of), int) for _, (_, of) in made]
        groups = [by_clip[of] for _, of in tables] + [
            np.full(len(of), f"family {name}", object) for name, (_, of) in made
        ]
        count = sum(len(of) for _, of in tables)
        of = np.concatenate([of for _, of in rows])
        return cls(
            x=np.concatenate([x for x, _ in rows]),
            of=of,
            share=np.concatenate([1 / np.bincount(of)[of] for _, of in rows]),
            labels=np.concatenate(labels),
            groups=np.concatenate(groups).astype(str),
            made=np.arange(len(of)) >= count,
        )

    def rows(self, keep: Array, footage: bool = True) -> tuple[Array, Array]:
        """Rows of the clips kept, (N,) bool, and their weights: the classes balanced; within them methods, families and pages by the root of
        their number, so that neither the method with most clips nor the one with a single clip is what is learnt.

        footage : False leaves real clips and what was made of them."""
        chosen = np.flatnonzero(keep[self.of] & (self.made | (self.labels == 0) | footage))
        y, groups = self.labels[chosen], self.groups[chosen]
        weight = np.zeros(len(chosen))
        for label in (0, 1):
            of_label = y == label
            if of_label.any():
                _, inverse = np.unique(groups[of_label], return_inverse=True)
                own = self.share[chosen][of_label]
                own = own / np.sqrt(np.bincount(inverse, own)[inverse])
                weight[of_label] = own / own.sum() * len(y) / 2
        return chosen, weight


@dataclass(frozen=True, eq=False)
class Unseen:
    """Scores by the model of one fold that had not seen one group of methods. fakes, reals : rows of the clips it is asked about;
    scores : (N,), NaN for all others."""

    name: str
    fold: int
    fakes: Array
    reals: Array
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


@dataclass(frozen=True)
class HoldOut:
    """What is held out of fitting, beside the method.

    by : ``origin``, or ``person`` for a set that has too few origins to hold any out. footage : False fits on real clips and what was made
    of them here, on no fake of the set: how good is that on fakes of strangers?
    """

    by: str = "origin"
    folds: int = 5
    seed: int = 0
    footage: bool = True


def unseen(
    clips: Clips, material: Material, tests: dict[str, Rows], fitter: Fitter, how: HoldOut = HoldOut()
) -> dict[str, list[Unseen]]:
    """Scores of held-out clips for each table of ``tests`` (quality → rows).

    fitter : (rows of the material, their weights) → scores of each table's rows.
    """
    y, methods, sources, persons = clips.labels, clips.methods, clips.sources, clips.persons
    fold = clips.folds(how.folds, how.seed, how.by)
    out: dict[str, list[Unseen]] = {name: [] for name in tests}
    # Where persons tie nearly all origins together, one fold holds most real clips and its model has seen hardly any: scores of
    # such models say nothing of one another (an AUC of 0.1 came out once), so nothing is claimed.
    if np.bincount(fold[y == 0], minlength=how.folds).max() > 0.5 * max(1, int((y == 0).sum())):
        return out
    fitted: dict[bytes, dict[str, Array]] = {}
    for name, members in groups_of(clips):
        held = np.isin(methods, members) & (y == 1)
        for k in range(how.folds):
            asked = (fold == k) & (y == 0)
            if not asked.any():
                continue
            # All fakes of the method, where that leaves enough to learn from; of a method that shows everybody, those of the fold's persons.
            for fakes in (held, held & (fold == k)):
                away = asked | fakes
                keep = ~away & ~held & ~np.isin(persons, persons[away])
                if how.by == "origin":
                    keep &= ~np.isin(sources, sources[away])
                if (keep & (y == 0)).sum() >= 0.5 * ((y == 0) & ~asked).sum():
                    break
            key = keep.tobytes()
            if key not in fitted:
                rows, weight = material.rows(keep, how.footage)
                if len(set(material.labels[rows].tolist())) < 2:
                    continue  # one origin, say: nothing is left to learn from, and nothing is claimed
                scored = fitter(rows, weight)
                fitted[key] = {q: by_clip(scored[q], clip, len(clips)) for q, (_, clip) in tests.items()}
            for quality, scores in fitted[key].items():
                own_scores = np.where(away, scores, np.nan)
                out[quality].append(Unseen(name, k, np.flatnonzero(fakes), np.flatnonzero(asked), own_scores))
    return out


def all_cues(clips: Clips, cues: Array, found: Sequence[Unseen], by: str = "origin", seed: int = 0) -> list[Unseen]:
    """What all trivial cues together (N, K) would have said of the same clips: a logistic regression fitted on the same clips each time."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    y, sources, persons = clips.labels, clips.sources, clips.persons
    known = np.isfinite(cues).all(1)
    out = []
    for group in found:
        asked = np.zeros(len(clips), bool)
        asked[group.reals] = asked[group.fakes] = True
        keep = known & ~asked & ~np.isin(persons, persons[asked])
        if by == "origin":
            keep &= ~np.isin(sources, sources[asked])
        scores = np.full(len(clips), np.nan)
        if len(set(y[keep].tolist())) == 2:
            model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", random_state=seed))
            model.fit(cues[keep], y[keep])
            rows = asked & known
            scores[rows] = model.decision_function(cues[rows])
        out.append(replace(group, scores=scores))
    return out


def with_scores(found: Sequence[Unseen], scores: Array) -> list[Unseen]:
    """The same questions answered by one number a clip (N,)."""
    return [replace(group, scores=scores) for group in found]


class _Wins:
    """Which fakes scored above which real clips, asked again for each resample. mask : (N,) bool, clips that count."""

    def __init__(self, clips: Clips, found: Sequence[Unseen], mask: Array | None) -> None:
        allowed = np.ones(len(clips), bool) if mask is None else mask
        self.parts: dict[str, list[tuple[Array, Array, Array]]] = {}
        for group in found:
            fakes = group.fakes[np.isfinite(group.scores[group.fakes]) & allowed[group.fakes]]
            reals = group.reals[np.isfinite(group.scores[group.reals]) & allowed[group.reals]]
            if len(fakes) and len(reals):
                f, r = group.scores[fakes][:, None], group.scores[reals][None]
                self.parts.setdefault(group.name, []).append((fakes, reals, (f > r) + 0.5 * (f == r)))
        self.fakes = {name: np.unique(np.concatenate([f for f, _, _ in folds])) for name, folds in self.parts.items()}

    def value(self, weight: Array, name: str | None = None) -> float:
        """The mean over fakes of the share of real clips below them, clips weighted (N,)."""
        total = mass = 0.0
        for method, folds in self.parts.items():
            if name is not None and method != name:
                continue
            pairs = sum(float(weight[f].sum() * weight[r].sum()) for f, r, _ in folds)
            if pairs:
                won = sum(float(weight[f] @ win @ weight[r]) for f, r, win in folds)
                share = float(weight[self.fakes[method]].sum())
                total += share * won / pairs
                mass += share
        return total / mass if mass else np.nan

    def clips(self, side: int) -> set[int]:
        return {int(i) for folds in self.parts.values() for fold in folds for i in fold[side]}


def draws(persons: Array, seed: int, resamples: int) -> list[Array]:
    """Weights (N,) of the clips in each resample of the persons that are in them, (N,) names."""
    names, code = np.unique(persons, return_inverse=True)
    rng = np.random.default_rng(seed)
    count = len(names)
    return [np.bincount(rng.integers(count, size=count), minlength=count)[code].astype(float) for _ in range(resamples)]


def _interval(values: Array) -> tuple[float, float]:
    """The 95 % interval of a figure (B,) under resamples, NaN where none of them has a value."""
    if not np.isfinite(values).any():
        return np.nan, np.nan
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def figure(
    clips: Clips,
    found: Sequence[Unseen],
    mask: Array | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    weight: Array | None = None,
) -> Figure:
    """The AUC of unseen methods with its 95 % interval by bootstrap over persons, and each method's own.

    mask : (N,) bool, clips that count. weight : (N,) by how much; all alike where there is none."""
    wins = _Wins(clips, found, mask)
    even = np.ones(len(clips)) if weight is None else weight
    low, high = _interval(np.array([wins.value(even * drawn) for drawn in draws(clips.persons, seed, resamples)]))
    reals, fakes = wins.clips(1), wins.clips(0)
    asked = {int(i) for g in found for i in (*g.fakes, *g.reals)}
    return Figure(
        value=_plain(wins.value(even)),
        low=_plain(low),
        high=_plain(high),
        reals=len(reals),
        fakes=len(fakes),
        persons=len({clips.persons[i] for i in reals | fakes}),
        coverage=round(len(reals | fakes) / max(1, len(asked)), 3),
        methods={
            name: MethodFigure(round(wins.value(even, name), 3), len({int(i) for fold in folds for i in fold[0]}))
            for name, folds in sorted(wins.parts.items())
        },
    )


def matched(clips: Clips, found: Sequence[Unseen], cues: Array) -> Figure | None:
    """The figure on clips weighted so that real ones and fakes have equal cues (N, K) on average; None where no weighting makes them so.

    Its numbers of clips are what so many weighted ones are worth (Kish's effective number)."""
    y, rows = clips.labels, np.flatnonzero(np.isfinite(cues).all(1))
    if len(set(y[rows].tolist())) < 2:
        return None
    own = matching_weights({str(k): cues[rows, k] for k in range(cues.shape[1])}, y[rows])
    if own is None:
        return None
    weight = np.zeros(len(clips))
    weight[rows] = own
    for cue in cues.T:
        left = figure(clips, with_scores(found, cue), weight=weight, resamples=0).value
        if left is None or abs(left - 0.5) > UNBALANCED:
            return None
    worth = [int(weight[y == side].sum() ** 2 / np.sum(weight[y == side] ** 2)) for side in (0, 1)]
    return replace(figure(clips, found, weight=weight), reals=worth[0], fakes=worth[1], methods={})


def paired(
    clips: Clips, found: Sequence[Unseen], other: Sequence[Unseen], resamples: int = RESAMPLES, seed: int = 0
) -> Lead:
    """The difference of two answers to the same questions and its 95 % interval over persons, on the clips that both answer."""
    both = np.zeros(len(clips), bool)
    for a, b in zip(found, other, strict=True):
        both |= np.isfinite(a.scores) & np.isfinite(b.scores)
    one, two = _Wins(clips, found, both), _Wins(clips, other, both)
    even = np.ones(len(clips))
    low, high = _interval(np.array([one.value(w) - two.value(w) for w in draws(clips.persons, seed, resamples)]))
    return Lead(_plain(one.value(even) - two.value(even)), _plain(low), _plain(high))


def _plain(number: float) -> float | None:
    return round(float(number), 4) if np.isfinite(number) else None  # nothing could be held out: nothing is claimed


def real_scores(found: Sequence[Unseen], clips: Clips) -> Array:
    """(N,) each real clip's score by models that had seen neither it, its person nor its page, averaged over held-out methods."""
    stack = np.stack([g.scores for g in found]) if found else np.full((1, len(clips)), np.nan)
    out = np.full(len(clips), np.nan)
    counts = np.isfinite(stack).sum(0)
    real = (clips.labels == 0) & (counts > 0)
    out[real] = np.nansum(stack[:, real], 0) / counts[real]
    return out


def alarms(clips: Clips, found: Sequence[Unseen], rates: Sequence[float] = (0.1, 0.05)) -> tuple[Alarm, ...]:
    """Stated against found: a threshold from the real clips of all other folds at each rate, and how many of the fold's real clips and of the
    unseen methods' fakes reach it."""
    scores = real_scores(found, clips)
    fold = np.full(len(clips), -1)
    for group in found:
        fold[group.reals] = group.fold
    rows = []
    for rate in rates:
        alarm = asked = hit = fakes = 0
        for k in sorted({g.fold for g in found}):
            rest = scores[(fold >= 0) & (fold != k) & np.isfinite(scores)]
            own = scores[(fold == k) & np.isfinite(scores)]
            if len(rest) < 10:
                continue
            cut = float(np.quantile(rest, 1 - rate, method="higher"))
            alarm, asked = alarm + int((own >= cut).sum()), asked + len(own)
            for group in found:
                if group.fold == k:
                    own_scores = group.scores[group.fakes]
                    hit, fakes = hit + int((own_scores >= cut).sum()), fakes + int(np.isfinite(own_scores).sum())
        if asked:
            low, high = clopper_pearson(alarm, asked)
            reached = round(hit / fakes, 4) if fakes else None
            rows.append(Alarm(rate, round(alarm / asked, 4), round(low, 4), round(high, 4), asked, reached, fakes))
    return tuple(rows)
