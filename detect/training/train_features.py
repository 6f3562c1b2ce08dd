"""Training of the feature detectors: measure, validate on unseen methods, persons and origins, fit on everything, write card and calibration.

Seconds once the features are measured; measuring is cached. The run folder is the truth: ``options.json`` before work starts,
``stats.jsonl`` as it goes, one folder a detector when it is done.
"""

import datetime
import itertools
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect.base import Card
from detect.features import contrast
from detect.features.model import fit, gaussian, unfitted
from detect.figures import CueFigure, Evaluated, Figure, Kind, Validation
from detect.reading import calibration
from detect.training import calibrate, extract, validate
from detect.training.dataset import Clips, gather
from detect.training.options import EDITS, FEATURES, FeatureTraining
from gioconda_core import config
from gioconda_core.documents import plain
from gioconda_core.errors import UsageError
from gioconda_core.files import append_row, write_json
from gioconda_core.stats.looks import Looks, look
from gioconda_core.types import Level, Sealed

Array = NDArray[Any]


# Of the support vectors over a detector's features, with the kernel of :func:`detect.features.model.gaussian`. Source: docs/decisions/detectors.
COST = 4.0
LIMITS = (
    "Made from little footage; generators and cameras unlike those named will move the figures.",
    "A low score is not evidence that a clip is authentic.",
    "Stills, faces below the calibrated size and clips of a kind on which validation showed no skill are not read.",
    "A family of methods that is unlike everything trained on may be read as more real than real.",
)
WEAK = 0.6  # an unseen method's AUC below which the card names it among the limits
# Kinds of clips that are validated by themselves: measure → where they part. By frame rate, because neighbouring frames are compared;
# by detail and by the surroundings' detail, because face and surroundings are.
KINDS = {"fps": (20.0, 27.0), "detail": (-0.45, 0.3), "room": (-1.1, 0.3), "face_px": (110.0, 150.0)}
FEWEST_KIND = 12  # real clips, and fakes, below which a kind has not been validated


@dataclass(frozen=True, eq=False)
class _Measured:
    """What validation needs: the clips, their tables by quality and family, and their trivial cues (N, 5)."""

    clips: Clips
    tables: dict[str, extract.Table]
    cues: Array
    measures: Array


@dataclass(frozen=True, eq=False)
class _Trained:
    """What the training of one detector came to. found : quality → answers of models that had not seen what they were asked about.
    windows : real clips' scores (N,) of their first window, of their second…, by such models. sha256 : of the weights."""

    name: str
    found: dict[str, list[validate.Unseen]]
    windows: Sequence[Array]
    sha256: str
    figures: Validation


def train(options: FeatureTraining, advance: Callable[..., object] | None = None) -> dict[str, Validation]:
    """Train and write ``out/NAME/{model.safetensors, card.json, calibration.json}``; returns what validation found, by detector.

    Raises
    ------
    TestSplitError, UsageError
    """
    clips = gather(options.index)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "options.json", plain(options))
    cache = options.cache or config.core().cache / "detect-features"
    qualities = [*dict.fromkeys([*options.rungs, *options.tests])]
    made = [extract.FAMILY + name for name in options.families if options.draws]
    for trouble in extract.fill(clips, qualities, made, options.draws, cache, options.jobs, advance):
        append_row(out / "stats.jsonl", {"skipped": trouble})
    tables = {name: extract.table(clips, name, cache, options.draws) for name in (*qualities, extract.LOOKS, *made)}
    clean = tables["clean"]
    if "measures" not in clean.parts:
        raise UsageError(
            "no clip can be measured", where=", ".join(options.index), hint="gioconda detect score says why"
        )
    measured = _Measured(clips, tables, clean.by_clip("cues", len(clips)), clean.by_clip("measures", len(clips)))
    figures = {}
    for name in options.detectors:
        figures[name] = _one(name, measured, options, out / name)
        append_row(out / "stats.jsonl", plain(figures[name]))
    return figures


class _Kernel:
    """Support vectors fitted again and again on parts of one table: distances are measured once.

    Features are centred and scaled by the whole table; no label enters.
    """

    def __init__(self, material: validate.Material, tests: dict[str, validate.Rows]) -> None:
        self.labels = material.labels
        whole = unfitted(material.x)
        z = whole.standard(material.x)
        self.kernel = gaussian(z, z, contrast.BLOCKS).astype(np.float32)
        self.tests = {
            name: gaussian(whole.standard(x), z, contrast.BLOCKS).astype(np.float32) for name, (x, _) in tests.items()
        }

    def __call__(self, rows: Array, weight: Array) -> dict[str, Array]:
        from sklearn.svm import SVC

        svm = SVC(C=COST, kernel="precomputed").fit(self.kernel[np.ix_(rows, rows)], self.labels[rows], weight)
        chosen = rows[svm.support_]
        return {name: k[:, chosen] @ svm.dual_coef_[0] + svm.intercept_[0] for name, k in self.tests.items()}


def _material(measured: _Measured, part: str, options: FeatureTraining) -> validate.Material:
    tables = measured.tables
    own = [tables[name].parts[part] for name in options.rungs if part in tables[name].parts]
    made = [
        (name.removeprefix(extract.FAMILY), table.parts[part])
        for name, table in tables.items()
        if name.startswith(extract.FAMILY) and part in table.parts
    ]
    return validate.Material.gather(measured.clips, own, made)


def _one(name: str, measured: _Measured, options: FeatureTraining, folder: Path) -> Validation:
    clips = measured.clips
    tests = {q: measured.tables[q].parts[name] for q in options.tests if name in measured.tables[q].parts}
    windows = _windows(measured, name)
    tests |= windows
    material = _material(measured, name, options)
    kernel = _Kernel(material, tests)
    how = validate.HoldOut("origin", options.folds, options.seed)
    found = validate.unseen(clips, material, tests, kernel, how)
    if not found["clean"]:  # too few origins to hold any out: persons are, and the card says no more than that
        how = replace(how, by="person")
        found = validate.unseen(clips, material, tests, kernel, how)
    alone: list[validate.Unseen] = []
    if material.made.any():
        asked = {"clean": tests["clean"]}
        alone = validate.unseen(clips, material, asked, kernel, replace(how, footage=False))["clean"]
    known = validate.real_scores(found["clean"], clips)
    known = known[np.isfinite(known)]
    # Units of real clips' spread, where enough real clips could be held out to have one.
    centre, spread = (float(known.mean()), float(known.std())) if len(known) > 1 and known.std() > 0 else (0.0, 1.0)
    for group in (g for groups in found.values() for g in groups):
        group.scores[:] = (group.scores - centre) / spread
    scored = [validate.real_scores(found.pop(window), clips) for window in windows]
    rows, weight = material.rows(np.ones(len(clips), bool))
    model = fit(material.x[rows], material.labels[rows], weight, options.seed, C=COST, blocks=contrast.BLOCKS)
    model = model.standardised(centre, spread)
    folder.mkdir(parents=True, exist_ok=True)
    sha256 = model.save(folder)
    figures = _figures(name, measured, found, alone, how.by)
    _papers(measured, _Trained(name, found, scored, sha256, figures), options, folder)
    return figures


def _windows(measured: _Measured, part: str) -> dict[str, validate.Rows]:
    """Every window of the real clips, of those moments and of others: a table of the first of each clip, of the second…"""
    tables = [
        measured.tables[name].parts[part] for name in ("clean", extract.LOOKS) if part in measured.tables[name].parts
    ]
    x, of = np.concatenate([x for x, _ in tables]), np.concatenate([of for _, of in tables])
    real = measured.clips.labels[of] == 0
    x, of = x[real], of[real]
    nth = np.array([int(np.sum(of[:k] == i)) for k, i in enumerate(of)], int)
    return {f"window {n}": (x[nth == n], of[nth == n]) for n in range(nth.max(initial=-1) + 1)}


def _figures(
    name: str, measured: _Measured, found: dict[str, list[validate.Unseen]], alone: list[validate.Unseen], by: str
) -> Validation:
    """Every figure on methods, persons and origins unseen, and what trivial cues do on the same clips."""
    clips, clean = measured.clips, found["clean"]
    fps = measured.cues[:, extract.CUES.index("fps")]
    figures = {quality: validate.figure(clips, groups) for quality, groups in found.items()}
    figures["clean, 25 a second"] = validate.figure(clips, clean, np.abs(fps - 25) < 0.1)
    figures["clean, near 30 a second"] = validate.figure(clips, clean, np.abs(fps - 30) < 0.6)
    equal = validate.matched(clips, clean, measured.cues)
    if equal is not None:
        figures["clean, at equal cues"] = equal
    if alone:
        figures["fitted on families alone; clean"] = validate.figure(clips, alone)
    cues = {}
    for i, cue in enumerate(extract.CUES):
        values = measured.cues[:, i]
        answers = validate.with_scores(clean, values)
        own = validate.figure(clips, answers)
        # A cue that points the other way tells as much: it is turned round, and so is what it is compared by.
        if (own.value or 0.5) < 0.5:
            answers = validate.with_scores(clean, -values)
            own = validate.figure(clips, answers)
        cues[cue] = _cue(clips, clean, answers, own)
    together = validate.all_cues(clips, measured.cues, clean, by)
    cues["all together"] = _cue(clips, clean, together, validate.figure(clips, together))
    return Validation(
        name, by, figures, cues, validate.alarms(clips, clean), _kinds(measured, clean), _looks(name, clips, clean)
    )


def _looks(name: str, clips: Clips, clean: Sequence[validate.Unseen]) -> Looks:
    """This training's scores, written down as one look at these clips' labels."""
    scores = np.stack([group.scores for group in clean]) if clean else np.full((1, len(clips)), np.nan)
    ids = [sample.sha256 or sample.path for sample in clips.samples]
    order = np.argsort(ids)
    return look(zip(ids, clips.labels.tolist(), strict=True), {name: np.round(scores[:, order], 4)})


def _cue(clips: Clips, clean: list[validate.Unseen], answers: list[validate.Unseen], own: Figure) -> CueFigure:
    behind = validate.paired(clips, clean, answers)
    return CueFigure(own.value, own.low, own.high, own.reals, own.fakes, behind)


def _kinds(measured: _Measured, clean: Sequence[validate.Unseen]) -> tuple[Kind, ...]:
    """Skill by kind of clip."""
    rows = []
    for measure, edges in KINDS.items():
        values = measured.measures[:, calibration.MEASURES.index(measure)]
        for least, most in itertools.pairwise([None, *edges, None]):
            mask = np.isfinite(values)
            mask &= (values >= (-np.inf if least is None else least)) & (values < (np.inf if most is None else most))
            own = validate.figure(measured.clips, clean, mask, resamples=500)
            few = min(own.reals, own.fakes) < FEWEST_KIND
            skill = None if few or own.low is None else own.low > 0.5
            rows.append(Kind(measure, least, most, own.value, own.low, own.high, own.reals, own.fakes, skill))
    return tuple(rows)


def _calibration(measured: _Measured, trained: _Trained, options: FeatureTraining) -> calibration.Calibration | None:
    """What scores mean, from real clips by models that had not seen them; None where they are too few to state an alarm rate, and every
    report of the detector says so."""
    clips, real = measured.clips, measured.clips.labels == 0
    rows = []
    for quality, groups in trained.found.items():
        if quality in EDITS:
            continue  # rates are of clips as they come
        scores = validate.real_scores(groups, clips)
        values, of = measured.tables[quality].parts["measures"]
        rows += [
            calibrate.Scored(
                str(i),
                float(scores[i]),
                dict(zip(calibration.MEASURES, map(float, row), strict=True)),
                quality,
                str(clips.persons[i]),
            )
            for row, i in zip(values, of, strict=True)
            if real[i] and np.isfinite(scores[i])
        ]
    if len({row.clip for row in rows}) < calibrate.FEWEST:
        return None
    today = datetime.date.today().isoformat()
    windows = np.sort(np.stack(trained.windows, 1), axis=1)  # what is NaN comes last
    return replace(
        calibrate.make(trained.name, trained.sha256, options.name, today, "16f-pairs", rows),
        kinds_validated=trained.figures.kinds,
        windows=tuple(tuple(row[np.isfinite(row)].tolist()) for row in windows if np.isfinite(row).any()),
        note="Scores of real clips by models that had seen neither their page nor their person nor, in turn, each method; a clip counts once "
        "however many qualities it was seen at.",
    )


def _missed(card: calibration.Calibration, measured: _Measured, clean: Sequence[validate.Unseen]) -> dict[str, float]:
    """Method → how many of its fakes got no signal from models that had not seen it, by the very rule that reports go by; a fake that several
    models were asked about counts by the share of them."""
    answers: dict[tuple[str, int], list[bool]] = {}
    for group in clean:
        for i in group.fakes[np.isfinite(group.scores[group.fakes])]:
            own = zip(calibration.MEASURES, measured.measures[i], strict=True)
            found = {key: float(value) for key, value in own if np.isfinite(value)}
            level = card.meaning(float(group.scores[i]), found)[0]
            answers.setdefault((group.name, int(i)), []).append(level == Level.NO_STRONG_SIGNAL)
    missed: dict[str, float] = {}
    for (name, _), silent in answers.items():
        missed[name] = missed.get(name, 0.0) + sum(silent) / len(silent)
    return missed


def _unseen(
    measured: _Measured, figures: Validation, missed: dict[str, float], options: FeatureTraining
) -> Sealed | None:
    """The figure on methods, persons and origins unseen beside the best cue; None where no origin could be held out."""
    clean = figures.figures["clean"]
    if clean.value is None or clean.low is None or clean.high is None or figures.by != "origin":
        return None
    cues = {cue: own.value for cue, own in figures.cues.items() if own.value is not None}
    best = max(cues, key=lambda cue: cues[cue], default="")
    return Sealed(
        options.name,
        datetime.date.today().isoformat(),
        value=clean.value,
        low=clean.low,
        high=clean.high,
        reals=clean.reals,
        fakes=clean.fakes,
        persons=clean.persons,
        methods=len({m for m in measured.clips.methods.tolist() if m}),
        cue=best.replace("all together", "all"),
        cue_value=cues.get(best),
        missed=round(sum(missed.values())) if missed else None,
    )


def _limits(figures: Validation) -> tuple[str, ...]:
    """What every card of ours says, and the weak places that validation found."""
    limits = []
    looks = figures.looks
    if looks is not None and looks.scores > 1:
        limits.append(
            f"Chosen, if by any figures, by these: scores of {looks.scores} trainings have been measured against these clips' labels on the "
            f"computer that trained it, since {looks.since}."
        )
    methods = figures.figures["clean"].methods
    if methods:
        order = sorted(methods, key=lambda name: methods[name].auc)
        weak = [f"{name} {methods[name].auc:.2f}" for name in order if methods[name].auc < WEAK]
        most = (
            f"By method, when unseen, its AUC ranges from {methods[order[0]].auc:.2f} to {methods[order[-1]].auc:.2f}"
        )
        limits.append(most + (f"; weakest: {', '.join(weak)}." if weak else "."))
    for asked, own in figures.figures.items():
        if own.value is not None and not asked.startswith("clean"):
            if asked in EDITS:
                what = f"with the {asked.replace('-', ' ')}"
            else:
                what = asked if asked.startswith("fitted") else f"after {asked}"
            limits.append(
                f"{what[0].upper()}{what[1:]}: AUC {own.value:.2f}, on {own.reals} real and {own.fakes} fake clips."
            )
    return (*limits, *LIMITS)


def _beside(measured: _Measured, name: str, options: FeatureTraining) -> str:
    """What was learned from beside the clips, counted as it was measured: fakes made of the real ones, and qualities."""

    def rows(table: str) -> Array:
        found = measured.tables[table].parts.get(name) if table in measured.tables else None
        return found[1] if found is not None else np.zeros(0, int)

    made = {family: len(rows(extract.FAMILY + family)) for family in options.families}
    made = {family: count for family, count in made.items() if count}
    further = ""
    if made:
        further = f"; as further fakes {sum(made.values())} made of the real clips by {len(made)} families ("
        further += ", ".join(f"{family} {count}" for family, count in made.items()) + ")"
    qualities = ", ".join(f"{quality} ({len(set(rows(quality).tolist()))} of the clips)" for quality in options.rungs)
    return f"{further}; at these qualities: {qualities}"


def _papers(measured: _Measured, trained: _Trained, options: FeatureTraining, folder: Path) -> None:
    """Card and calibration beside the weights."""
    clips, real = measured.clips, measured.clips.labels == 0
    figures = trained.figures
    made = _calibration(measured, trained, options)
    missed: dict[str, float] = {}
    if made is not None:
        made.write(folder)
        missed = _missed(made, measured, trained.found["clean"])
        told = {
            method: replace(own, missed=round(missed.get(method, 0.0), 1))
            for method, own in figures.figures["clean"].methods.items()
        }
        clean = replace(figures.figures["clean"], methods=told)
        figures = replace(figures, figures={**figures.figures, "clean": clean})
    methods = sorted({m for m in clips.methods.tolist() if m})
    unseen = "method, person and origin unseen" if figures.by == "origin" else "method and person unseen"
    evaluated = [
        Evaluated.of(own, options.name, "auc/video@16f-pairs", f"{unseen}; {asked}")
        for asked, own in figures.figures.items()
        if own.value is not None  # a single origin, say, cannot be held out
    ]
    card = Card(
        summary=FEATURES[trained.name],
        trained_on=f"{options.name}: {int(real.sum())} real clips of {len(set(clips.persons[real]))} persons from "
        f"{len(set(clips.sources[real]))} origins, {int(np.sum(clips.labels))} fakes by {len(methods)} methods ({', '.join(methods)})"
        + _beside(measured, trained.name, options),
        evaluated=tuple(evaluated),
        limits=_limits(figures),
        licence=options.licence,
        recipe=options.command,
        date=datetime.date.today().isoformat(),
        clips=clips.known,
        unseen=_unseen(measured, figures, missed, options),
        cues=figures.cues,
        alarms=figures.alarms,
        extra={"weights_sha256": trained.sha256, "python": platform.python_version()},
    )
    card.write(folder)
