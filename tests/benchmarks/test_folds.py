"""Suites that train: the test is never in the training, and each generator is measured by a detector that has not seen it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.report import report
from benchmarks.report.options import Figures, Scores
from benchmarks.run import folds
from benchmarks.run import run as runs
from benchmarks.run import suite as suites
from benchmarks.run.rows import ReadingRow
from detect.base import Card
from gioconda_core.datasets.index import Index
from gioconda_core.errors import UsageError
from gioconda_core.types import Label, Sample


def labelled(name: str, generators=("glow", "warp"), people: int = 40, phash: int = 0) -> Index:
    """A set that exists on paper: per person one real and one fake of each generator; a third of the people are the test."""
    samples = []
    for p in range(people):
        split = "test" if p % 3 == 0 else "train"
        for k, generator in enumerate(("", *generators)):
            sha = f"{name}{p:03d}{k}".ljust(64, "0")
            label = Label.FAKE if generator else Label.REAL
            samples.append(Sample(f"{sha}.mp4", sha, label, generator, f"{name}-p{p}", f"{name}-v{p}", split=split))
    return Index(tuple(samples), Path("/nowhere"), {})


def test_leaving_a_generator_out_trains_on_the_others_and_on_no_test_row():
    suite = suites.load("leave-one-generator-out")
    found = folds.folds_of(suite, {"set": labelled("a", ("glow", "warp", "swap"))})
    assert [f.name for f in found] == ["glow", "swap", "warp"]
    for fold in found:
        assert fold.train is not None
        assert all(s.split != "test" and s.generator != fold.name for s in fold.train)
        tested = [s for index in fold.test.values() for s in index]
        assert {s.generator for s in tested} == {"", fold.name} and all(s.split == "test" for s in tested)
        assert not {s.sha256 for s in fold.train} & {s.sha256 for s in tested}


def test_training_on_one_set_for_the_others():
    suite = suites.load("protocol-ff")
    fold = folds.folds_of(suite, {"faceforensics": labelled("ff"), "celeb": labelled("c"), "dfdc": labelled("d")})[0]
    assert set(fold.test) == {"celeb", "dfdc"} and all(
        s.sha256.startswith("ff") and s.split != "test" for s in fold.train
    )
    with pytest.raises(UsageError, match="faceforensics"):
        folds.folds_of(suite, {"celeb": labelled("c")})
    with pytest.raises(UsageError, match="no set to test on"):
        folds.folds_of(suite, {"faceforensics": labelled("ff")})


def test_a_set_without_splits_is_named_as_it_was_given():
    """Its folder was named, which for an index that lies here is "."."""
    whole = labelled("ff")
    bare = replace(whole, root=Path(), samples=tuple(replace(s, split="") for s in whole))
    with pytest.raises(UsageError, match="has no splits") as caught:
        folds.folds_of(suites.load("protocol-ff"), {"faceforensics": bare, "celeb": labelled("c")})
    assert caught.value.where == "--index faceforensics"


def test_a_training_list_that_contains_the_test_is_refused():
    """DeepfakeBench has training lists that contain the test."""
    suite = suites.load("protocol-ff")
    trained, tested = labelled("ff"), labelled("c")
    leaky = tested.with_samples([*tested, replace(trained.samples[3], split="test")])
    with pytest.raises(UsageError, match="share 1 clip, by sha256"):
        folds.folds_of(suite, {"faceforensics": trained, "celeb": leaky})


def test_a_set_without_splits_cannot_be_trained_on():
    whole = labelled("ff")
    unsplit = whole.with_samples(replace(s, split="") for s in whole)
    with pytest.raises(UsageError, match="no splits"):
        folds.folds_of(suites.load("protocol-ff"), {"faceforensics": unsplit, "celeb": labelled("c")})


@pytest.mark.parametrize("name", ["ladder", "leave-one-generator-out"])
def test_a_suite_without_a_set_asks_for_one(name):
    """It used to speak of the splits and generators of a set that nobody had given."""
    with pytest.raises(UsageError, match="needs a labelled set") as error:
        folds.folds_of(suites.load(name), {})
    assert error.value.where == "--index"


def test_one_generator_cannot_be_left_out():
    with pytest.raises(UsageError, match="at least two"):
        folds.folds_of(suites.load("leave-one-generator-out"), {"set": labelled("a", ("glow",))})


def test_a_run_of_folds_and_its_report(tmp_path, monkeypatch):
    """Each fold's detector finds every generator but the one it was kept from; the report's slices say so."""
    trained: list[set[str]] = []

    def train(spec, index, out):
        seen = {s.generator for s in Index.read(index) if s.generator}
        assert not any(s.split == "test" for s in Index.read(index))
        trained.append(seen)
        return f"{spec}:{','.join(sorted(seen))}"

    class Knows:
        id, version, weights_sha256, card = "knows", "1", None, Card("knows the generators it was trained on")

        def __init__(self, seen):
            self.seen = seen

    def work(worker, task, progress):
        knows = next(iter(worker.detectors)).split(":")[1].split(",")
        by_sha = {s.sha256: s for s in whole}
        made = by_sha[task.id].generator
        score = (2.0 if made in knows else 1.0 if made else 0.0) + 0.001 * int(task.id[1:4])
        rows = [ReadingRow(task.id, d, "knows", s, "1", protocol="video@all", score=score) for d, s in task.missing]
        return runs.Measured(rows)

    whole = labelled("a", ("glow", "warp"), people=60)
    monkeypatch.setattr(folds, "train_one", train)
    monkeypatch.setattr(folds, "trainable", lambda spec: True)
    monkeypatch.setattr(runs, "detectors_of", lambda specs: {s: Knows(s) for s in specs})
    monkeypatch.setattr(runs.Work, "__call__", work)
    suite = suites.load("leave-one-generator-out")
    done = folds.run_suite(suite, ["knows"], tmp_path / "out", {"set": whole})
    assert trained == [{"warp"}, {"glow"}] and done.rows == 2 * 40
    assert folds.run_suite(suite, ["knows"], tmp_path / "out", {"set": whole}).rows == 80
    taught = next(s for s in whole if s.split == "train" and s.label == Label.FAKE)
    corrected = whole.with_samples(replace(s, label=Label.REAL, generator="") if s is taught else s for s in whole)
    with pytest.raises(UsageError, match="trained on other clips or labels"):
        folds.run_suite(suite, ["knows"], tmp_path / "out", {"set": corrected})
    document = report.document(Scores(tmp_path / "out"), Figures(resamples=100, metrics=["auc"]))
    slices = {e.slice: e.figures[0] for e in document.slices["generator held out"]}
    assert set(slices) == {"glow", "warp"} and "generator" not in document.slices
    assert slices["glow"].n_fake == 20 and slices["glow"].n_real == 20 and slices["glow"].value == 1.0
    assert document.comparable and "Folds" in document.card
    assert "generator held out" in report.render(document, "html").lower()
