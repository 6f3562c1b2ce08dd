"""Training of the feature detectors: measure, validate on unseen methods and persons, fit on everything, write card and calibration.

Seconds once the features are measured; measuring is cached. The run folder is the truth: ``options.json`` before work starts,
``stats.jsonl`` as it goes, one folder a detector when it is done.
"""

from __future__ import annotations

import datetime
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect.base import Card
from detect.features.model import Model, fit
from detect.reading.calibration import MEASURES
from detect.training import calibrate, extract, validate
from detect.training.dataset import Clips, gather
from detect.training.options import FEATURES, FeatureTraining
from gioconda_core import config
from gioconda_core.errors import UsageError
from gioconda_core.files import append_row, write_json

__all__ = ["RECIPES", "train"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Recipe:
    """What a feature detector is made of. kind, options : of :func:`detect.features.model.fit`. blend_share : weight of self-blended clips
    over that of all other fakes; more finds swaps better and portrait animation worse. windows : of each clip that are fitted on, evenly
    chosen (all are scored). Source of all numbers: docs/decisions/detectors."""

    parts: tuple[str, ...]
    kind: str
    options: dict[str, Any]
    summary: str
    blend_share: float = 0.0
    windows: int = 2


RECIPES = {
    "spectrum": Recipe(
        ("spectrum",),
        "linear",
        {"C": 0.01},
        FEATURES["spectrum"],
    ),
    "residual": Recipe(
        ("residual",),
        "rbf",
        {"C": 10.0, "gamma": 2.0},
        FEATURES["residual"],
        0.2,
    ),
    "texture": Recipe(
        ("regions", "scales", "texture"),
        "rbf",
        {"C": 4.0},
        FEATURES["texture"],
        0.1,
    ),
    "dynamics": Recipe(
        ("dynamics",),
        "rbf",
        {"C": 10.0},
        FEATURES["dynamics"],
        windows=4,
    ),
}
ENSEMBLE = ("texture", "dynamics", "residual")
LIMITS = (
    "Made from little footage; generators and cameras unlike those named will move the figures.",
    "A low score is not evidence that a clip is authentic.",
    "Faces below the calibrated size, stills and clips under two seconds are not read.",
    "Swaps of the inner face and good full-body generators are found worse than portrait animation.",
)


def _fitter(recipe: Recipe, seed: int) -> validate.Fitter:
    return lambda x, y, w: fit(recipe.kind, x, y, w, seed, **recipe.options).score


@dataclass(frozen=True, eq=False)
class _Trained:
    """What one detector's training leaves for the ensemble: out-of-fold scores by protocol and rung, in units of real clips."""

    unseen: dict[str, dict[str, list[validate.Unseen]]]
    sha256: str


def train(options: FeatureTraining, advance: Any = None) -> dict[str, Any]:
    """Train and write ``out/NAME/{model.safetensors, card.json, calibration.json}``; returns the figures by detector.

    Raises
    ------
    TestSplitError, UsageError
    """
    wanted = list(options.detectors)
    if "ensemble" in wanted:
        wanted = [*dict.fromkeys([*(d for d in wanted if d != "ensemble"), *ENSEMBLE])]
    clips = gather(options.index)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    config.save(options, out / "options.json")
    cache = options.cache or config.core().cache / "detect-features"
    rungs = [*dict.fromkeys([*options.rungs, *options.tests])] + ([extract.SELF_BLEND] if options.blends else [])
    troubles = extract.fill(clips, rungs, cache, options.jobs, options.blends, advance)
    for trouble in troubles:
        append_row(out / "stats.jsonl", {"skipped": trouble})
    tables = {rung: extract.table(clips, rung, cache, options.blends) for rung in rungs}
    done: dict[str, _Trained] = {}
    figures: dict[str, Any] = {}
    for name in wanted:
        done[name], figures[name] = _one(name, clips, tables, options, out / name)
        append_row(out / "stats.jsonl", {"detector": name, **figures[name]})
    if "ensemble" in options.detectors:
        figures["ensemble"] = _ensemble(clips, tables, done, options, out / "ensemble")
        append_row(out / "stats.jsonl", {"detector": "ensemble", **figures["ensemble"]})
    return figures


def _rows(table: extract.Table, recipe: Recipe) -> validate.Rows | None:
    return table.matrix(recipe.parts) if all(part in table.parts for part in recipe.parts) else None


def _thin(rows: validate.Rows, most: int) -> validate.Rows:
    """At most so many windows of each clip: a few tell what many would, and fitting is quadratic in them."""
    x, of = rows
    keep = [
        i[np.unique(np.linspace(0, len(i) - 1, most).round().astype(int))]
        for c in np.unique(of)
        for i in [np.flatnonzero(of == c)]
    ]
    chosen = np.concatenate(keep)
    return x[chosen], of[chosen]


def _one(
    name: str, clips: Clips, tables: dict[str, extract.Table], options: FeatureTraining, folder: Path
) -> tuple[_Trained, dict[str, Any]]:
    recipe = RECIPES[name]
    tests = {rung: rows for rung in options.tests if (rows := _rows(tables[rung], recipe)) is not None}
    train_on = [
        _thin(rows, recipe.windows) for rung in options.rungs if (rows := _rows(tables[rung], recipe)) is not None
    ]
    if not train_on:
        raise UsageError("no clip gave anything to learn from", where=name, hint="give longer clips, or larger faces")
    blends = _rows(tables[extract.SELF_BLEND], recipe) if options.blends and recipe.blend_share else None
    blends = _thin(blends, recipe.windows) if blends is not None else None
    share = recipe.blend_share
    fitter = _fitter(recipe, options.seed)
    found = {
        by: validate.unseen(
            clips,
            train_on,
            tests,
            fitter,
            by=by,
            folds=options.folds,
            extra=blends,
            extra_share=share,
            seed=options.seed,
        )
        for by in ("person", "origin")
    }
    clean = next(iter(tests))
    seen = validate.real_scores(found["person"][clean], clips)
    known = seen[np.isfinite(seen)]
    # Units of real clips' spread, where enough real clips could be held out to have one.
    centre, spread = (float(known.mean()), float(known.std())) if len(known) > 1 and known.std() > 0 else (0.0, 1.0)
    for groups in (g for by in found.values() for g in by.values()):
        for group in groups:
            group.scores[:] = (group.scores - centre) / spread
    x = np.concatenate([rows[0] for rows in train_on])
    of = np.concatenate([rows[1] for rows in train_on])
    vectors, labels, weight = validate.training(clips, x, of, np.arange(len(clips)), blends, share)
    model: Model = fit(recipe.kind, vectors, labels, weight, options.seed, **recipe.options)
    model = model.standardised(centre, spread)
    model.facts["parts"] = list(recipe.parts)
    trained = _Trained(found, model.save(folder))
    figures = _figures(clips, found)
    _papers(name, recipe.summary, clips, tables, trained, figures, options, folder)
    return trained, figures


def _figures(clips: Clips, found: dict[str, dict[str, list[validate.Unseen]]]) -> dict[str, Any]:
    return {by: {rung: validate.figure(clips, groups) for rung, groups in rungs.items()} for by, rungs in found.items()}


def _ensemble(
    clips: Clips, tables: dict[str, extract.Table], done: dict[str, _Trained], options: FeatureTraining, folder: Path
) -> dict[str, Any]:
    """The mean of the members' standardised scores; a member that does not speak of a clip is left out of its mean."""
    from gioconda_core.files import sha256_of

    found: dict[str, dict[str, list[validate.Unseen]]] = {}
    for by in ("person", "origin"):
        found[by] = {}
        for rung, first in done[ENSEMBLE[0]].unseen[by].items():
            groups = []
            for k, group in enumerate(first):
                stack = np.stack([own[k].scores for m in ENSEMBLE if (own := done[m].unseen[by].get(rung))])
                counts = np.isfinite(stack).sum(0)
                mean = np.nansum(stack, 0) / np.maximum(counts, 1)
                groups.append(validate.Unseen(group.name, group.fakes, np.where(np.isfinite(stack[0]), mean, np.nan)))
            found[by][rung] = groups
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "ensemble.json", {"schema": "gioconda.ensemble/1", "members": list(ENSEMBLE)})
    trained = _Trained(found, sha256_of("".join(done[m].sha256 for m in ENSEMBLE).encode()))
    figures = _figures(clips, found)
    summary = f"the mean of {', '.join(ENSEMBLE)}, each in units of real clips' spread"
    _papers("ensemble", summary, clips, tables, trained, figures, options, folder)
    return figures


def _papers(
    name: str,
    summary: str,
    clips: Clips,
    tables: dict[str, extract.Table],
    trained: _Trained,
    figures: dict[str, Any],
    options: FeatureTraining,
    folder: Path,
) -> None:
    """Card and calibration beside the weights."""
    date = datetime.date.today().isoformat()
    methods = sorted({m for m in clips.methods.tolist() if m})
    evaluated = []
    for by, rungs in figures.items():
        for rung, row in rungs.items():
            if row["value"] is None:
                continue  # a single origin, say, cannot be held out
            if row["coverage"] < 0.9 * (rungs["clean"].get("coverage") or 0.0):
                continue  # measured on other clips than the clean figure was: not comparable, so not quoted
            evaluated.append(
                {
                    "set": options.name,
                    "metric": "auc/video@32f-moments",
                    "protocol": f"method unseen, person unseen{', origin unseen' if by == 'origin' else ''}; {rung}",
                    **{k: row[k] for k in ("value", "low", "high", "reals", "fakes", "persons", "coverage")},
                }
                | ({"methods": row["methods"]} if rung == "clean" else {})
            )
    card = Card(
        summary=summary,
        trained_on=f"{options.name}: {int(np.sum(clips.labels == 0))} real clips of {len(set(clips.persons[clips.labels == 0]))} "
        f"persons, {int(np.sum(clips.labels))} fakes by {len(methods)} methods ({', '.join(methods)})"
        + (
            f", {options.blends} self-blended versions of each real clip"
            if options.blends and name != "dynamics"
            else ""
        )
        + f"; on {', '.join(options.rungs)}",
        evaluated=tuple(evaluated),
        limits=LIMITS,
        licence=options.licence,
        recipe=options.command,
        date=date,
        clips=clips.known,
        extra={"weights_sha256": trained.sha256, "python": platform.python_version()},
    )
    document = card.json()
    document |= document.pop("extra")
    write_json(folder / "card.json", document)
    real = []
    for rung, groups in trained.unseen["person"].items():
        scores = validate.real_scores(groups, clips)
        measured, of = tables[rung].parts["measures"]
        real += [
            calibrate.Scored(str(i), float(scores[i]), dict(zip(MEASURES, map(float, row), strict=True)), rung)
            for row, i in zip(measured, of, strict=True)
            if clips.labels[i] == 0 and np.isfinite(scores[i])
        ]
    if len({row.clip for row in real}) < calibrate.FEWEST:
        return  # too few to state an alarm rate: the detector is uncalibrated, and every report of it says so
    clean = trained.unseen["person"]["clean"]
    fakes = [float(v) for group in clean for v in group.scores[group.fakes] if np.isfinite(v)]
    calibrate.make(
        name,
        trained.sha256,
        options.name,
        date,
        "32f-moments",
        real,
        fakes,
        note="Scores of real clips by models that had seen neither the person nor, in turn, each method; a clip counts once "
        "however many rungs it was seen on.",
    ).write(folder)
