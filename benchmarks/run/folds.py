"""Runs suites that train before they test: on one set for the others, or on all generators but one. Training never sees a test row.

Detectors that this project can train are trained for each fold; any other (ONNX, HTTP, command, a table of scores) is measured as
it comes, and the report says which. Weights lie in the run's folder, so that a run resumes without training again.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.run import run as runs
from benchmarks.run.options import Measure
from benchmarks.run.suite import Suite
from detect.training.options import FEATURES, NETWORKS, FeatureTraining, NetworkTraining
from detect.training.train_networks import train as train_net
from gioconda_core.datasets.index import Index
from gioconda_core.errors import UsageError
from gioconda_core.files import sha256_of, write_json
from gioconda_core.types import Label
from gioconda_core.words import counted

_SHARED = ("sha256", "essence", "phash")  # identities are compared only within a set: names mean nothing across sets


@dataclass(frozen=True)
class Fold:
    """One training and the sets it is tested on. name : empty when the suite trains nothing or trains once."""

    name: str
    train: Index | None
    test: Mapping[str, Index]


def folds_of(suite: Suite, indexes: Mapping[str, Index]) -> list[Fold]:
    """The trainings a suite asks for.

    Raises
    ------
    UsageError
        No set is given, or not the one to train on; there are fewer than two generators, or training and test share clips.
    """
    split = suite.data.get("split")
    trained_on = suite.data.get("train")
    if trained_on:
        if trained_on not in indexes:
            raise UsageError(
                f"{suite.name} trains on a set called {trained_on!r}",
                where="--index",
                hint=f"give --index {trained_on}=FILE.parquet",
            )
        test = {name: index for name, index in indexes.items() if name != trained_on}
        if not test:
            raise UsageError("there is no set to test on", where="--index", hint="give --index for each of the others")
        train = _without_test(trained_on, indexes[trained_on])
        for name, index in test.items():
            _refuse_shared(train, index, name)
        return [Fold("", train, test)]
    if not indexes:
        raise UsageError(
            f"{suite.name} needs a labelled set", where="--index", hint="gioconda data index makes one of your clips"
        )
    if suite.data.get("leave_out") == "generator":
        generators = sorted({s.generator for i in indexes.values() for s in i if s.label == Label.FAKE and s.generator})
        if len(generators) < 2:
            raise UsageError(
                "leaving one generator out needs at least two",
                hint="the index's generator column says which made a fake",
            )
        out = []
        for held in generators:
            test = {n: _only(i, held, split) for n, i in indexes.items()}
            test = {n: i for n, i in test.items() if any(s.label == Label.FAKE for s in i)}
            train = _merged([_without_test(n, i, held) for n, i in indexes.items()])
            if not test:
                continue
            for name, index in test.items():
                _refuse_shared(train, index, name)
            out.append(Fold(held, train, test))
        return out
    return [Fold("", None, indexes)]


def _without_test(name: str, index: Index, generator: str = "") -> Index:
    """Rows that may be trained on: not of the test split, not of the generator held out."""
    if not any(s.split for s in index):
        raise UsageError(
            "has no splits, so that nothing may be trained on", where=f"--index {name}", hint="gioconda data split"
        )
    return index.with_samples(
        s for s in index if s.split in ("train", "val") and (not generator or s.generator != generator)
    )


def _only(index: Index, generator: str, split: Any) -> Index:
    """Reals of the test split, and the test fakes of one generator."""
    return index.with_samples(
        s for s in index if s.split == (split or "test") and (s.label == Label.REAL or s.generator == generator)
    )


def _merged(parts: Sequence[Index]) -> Index:
    """Several sets as one, with absolute paths."""
    samples = [replace(s, path=str(part.resolve(s).resolve())) for part in parts for s in part]
    return Index(tuple(samples), Path("/"), {"schema": "gioconda.index/1"})


def _refuse_shared(train: Index, test: Index, name: str) -> None:
    """Training lists that contain the test are refused, by hashes of files, frames and pictures."""
    both = [replace(s, split="train", identity="", source="", pair="") for s in train]
    both += [replace(s, split="test", identity="", source="", pair="") for s in test]
    shared = [leak for leak in Index(tuple(both), Path("/"), {}).leaks() if leak.axis in _SHARED]
    if shared:
        first = shared[0]
        raise UsageError(
            f"training and the test set {name!r} share {counted(len(shared), 'clip')}, by {first.axis}",
            where=", ".join(first.samples[:2]),
            hint="a figure on clips that were trained on measures memory; gioconda bench audit lists them",
        )


# --------------------------------------------------------------------------- training


def trainable(spec: str) -> bool:
    """Whether this project can train the detector: a bare name it has a recipe for."""
    return spec in FEATURES or spec in NETWORKS


def train_one(spec: str, index: Path, out: Path) -> str:
    """Train a detector on an index, or find it trained already; the spec of what came out."""
    folder = out / spec
    if not (folder / "card.json").exists():
        if spec in FEATURES:
            from detect.training.train_features import train

            train(FeatureTraining(index=(str(index),), out=out, detectors=(spec,)))
        else:
            train_net(NetworkTraining(kind=spec, index=(str(index),), out=folder))
    return f"{spec}:{folder}"


def _prepared(fold: Fold, detectors: Sequence[str], home: Path, force: bool) -> list[str]:
    if fold.train is None:
        return list(detectors)
    where = home / "weights" / (_slug(fold.name) or "trained")
    path = where / "train.parquet"
    train = fold.train.rebased(where)
    if path.exists() and runs.listed(Index.read(path)) != runs.listed(train):
        if not force:
            raise UsageError(
                "was trained on other clips or labels than the set has now", where=str(where),
                hint="give another --out, or --force to train and measure anew",
            )  # fmt: skip
        shutil.rmtree(where)
    where.mkdir(parents=True, exist_ok=True)
    train.write(path)
    return [train_one(spec, path, where) if trainable(spec) else spec for spec in detectors]


def _slug(name: str) -> str:
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
    return kept if kept == name or not name else f"{kept}-{sha256_of(name.encode())[:6]}"


def run_suite(
    suite: Suite,
    detectors: Sequence[str],
    out: str | os.PathLike[str],
    indexes: Mapping[str, Index],
    job: Measure | None = None,
    progress: runs.Progress | None = None,
) -> runs.Outcome:
    """Run a suite with whatever training it asks for; the rest as in :func:`benchmarks.run.run.run`."""
    home = Path(out)
    found, force = folds_of(suite, indexes), job is not None and job.force
    if len(found) == 1 and not found[0].name:
        fold = found[0]
        specs = _prepared(fold, detectors, home, force)
        return runs.run(suite, specs, home, fold.test, job, progress)
    home.mkdir(parents=True, exist_ok=True)
    names = {fold.name: f"fold-{_slug(fold.name)}" for fold in found}
    write_json(
        home / "folds.json",
        {"schema": "gioconda.folds/1", "folds": names, "as_they_come": [d for d in detectors if not trainable(d)]},
    )
    totals = [0, 0, 0]
    for fold in found:
        specs = _prepared(fold, detectors, home, force)
        done = runs.run(suite, specs, home / names[fold.name], fold.test, job, progress)
        totals = [a + b for a, b in zip(totals, (done.rows, done.failed, done.abstained), strict=True)]
    return runs.Outcome(home, totals[0], totals[1], totals[2])
