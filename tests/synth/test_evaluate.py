"""Measures against other people's values, and the protocol on baselines whose order is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from puppet_material import puppet, shards

from gioconda_core.documents import plain
from gioconda_core.errors import UsageError
from gioconda_core.faces.landmarks import landmarker
from provenance.reading.read import read
from synth import consent
from synth.evaluation import measures
from synth.evaluation.evaluate import Instruments, _listed, choose, evaluate, sign_grid, text
from synth.evaluation.options import Evaluate
from synth.generators import CopyGenerator, WarpGenerator
from synth.session import Session


def test_auc_is_scikit_learns_with_ties():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    real, made = rng.integers(0, 6, 40).astype(float), rng.integers(1, 7, 30).astype(float)
    want = roc_auc_score(np.r_[np.zeros(40), np.ones(30)], np.r_[real, made])
    assert measures.auc(real, made) == pytest.approx(want, abs=1e-12)


def test_frechet_and_kid_in_closed_form():
    rng = np.random.default_rng(2)
    a = rng.normal(0, 1, (400, 3)) * (1, 2, 3)
    shifted = a * 2 + (5, 0, 0)  # covariances commute: |Δμ|² + Σ (σ_a − σ_b)²
    eigen = np.linalg.eigvalsh(np.cov(a, rowvar=False))
    want = ((a.mean(0) - shifted.mean(0)) ** 2).sum() + eigen.sum()
    assert measures.frechet(a, shifted) == pytest.approx(want, rel=1e-6)
    assert measures.frechet(a, a) == pytest.approx(0, abs=1e-6)
    x, y = a[:6], shifted[:5]

    def kernel(p, q):
        return (p @ q / 3 + 1) ** 3

    within_x = np.mean([kernel(p, q) for i, p in enumerate(x) for j, q in enumerate(x) if i != j])
    within_y = np.mean([kernel(p, q) for i, p in enumerate(y) for j, q in enumerate(y) if i != j])
    across = np.mean([kernel(p, q) for p in x for q in y])
    assert measures.kid(x, y) == pytest.approx(within_x + within_y - 2 * across, rel=1e-9)


@pytest.mark.slow
def test_frechet_and_kid_are_torchmetrics():
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import poly_mmd

    class Features(torch.nn.Module):
        num_features = 8

        def forward(self, x):
            return x

    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, (60, 8)), rng.normal(0.4, 1.3, (50, 8))
    metric = FrechetInceptionDistance(feature=Features())
    metric.update(torch.from_numpy(a), real=True)
    metric.update(torch.from_numpy(b), real=False)
    assert measures.frechet(a, b) == pytest.approx(float(metric.compute()), rel=1e-4)
    same = float(poly_mmd(torch.from_numpy(a[:50]), torch.from_numpy(b)))
    assert measures.kid(a[:50], b) == pytest.approx(same, rel=1e-6)


def test_measures_of_equal_and_of_spoilt_frames():
    drawn = puppet()
    spoilt = np.roll(drawn.frames, 6, axis=2)
    assert measures.ssim(drawn.frames[:2], drawn.frames[:2]) == pytest.approx(1)
    assert measures.ssim(drawn.frames[:2], spoilt[:2]).max() < 0.95
    moved = drawn.landmarks + np.float32([3, 4])
    eyes = np.linalg.norm(drawn.landmarks[:, 36] - drawn.landmarks[:, 45], axis=1)
    assert measures.landmark_error(moved, drawn.landmarks) == pytest.approx(5 / eyes, rel=1e-4)
    assert measures.pose_error(drawn.landmarks[:3], drawn.landmarks[:3]).max() < 1e-3
    assert np.isnan(measures.pose_error(np.full((1, 68, 2), np.nan), drawn.landmarks[:1])).all()


def test_csim_tells_people_apart():
    one = measures.embeddings(puppet(3, 5).frames[:2], puppet(3, 5).landmarks[:2])
    other = measures.embeddings(puppet(4, 6).frames[:2], puppet(4, 6).landmarks[:2])
    assert measures.csim(one[:1], one[1:]) > measures.csim(one[:1], other[:1])
    assert measures.csim(one, one) == pytest.approx(1)


def test_intervals_are_over_people_and_frames_without_a_face_lower_the_coverage():
    groups = [np.array([1.0, np.nan]), np.array([3.0, 3.0]), np.array([np.nan, np.nan])]
    figure = measures.mean_figure("x", groups, "up")
    assert (figure.value, figure.n, figure.frames) == (2.0, 2, 6) and figure.coverage == pytest.approx(0.5)
    # A thousand frames of two people are two people: the interval is as wide as they are apart.
    wide = measures.mean_figure("x", [np.full(500, 0.0), np.full(500, 1.0)], "up")
    assert (wide.low, wide.high) == (0.0, 1.0)
    same = measures.mean_figure("x", [np.ones(2)] * 3, "up")
    assert same.value == 1 and np.isnan(same.low) and np.isnan(same.high), "[1, 1] would claim to know of others"
    none = measures.mean_figure("x", [np.array([np.nan])], "up")
    assert np.isnan(none.value) and none.coverage == 0


def thumbnails(frames, landmarks):
    """An embedding that costs nothing: the picture itself, very small."""
    import cv2

    return np.stack([cv2.resize(f, (4, 4), interpolation=cv2.INTER_AREA).ravel() for f in frames]).astype(np.float32)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    said = []
    judged = {"bright": lambda footage: float(footage.frames.mean()), "mute": lambda footage: "nothing to go by"}
    made = evaluate(
        [shards()],
        WarpGenerator(size=96),
        tmp_path_factory.mktemp("evaluation"),
        Evaluate(shots=(1,), modes=("ff",), frames=2, people=3),
        Instruments(detectors=judged, embedding=("thumbnail", thumbnails)),
        Session(say=said.append, advance=lambda *_, **__: said.append(None)),
    )
    return *made, said


@pytest.mark.slow
def test_what_cannot_be_measured_is_said_before_the_work_and_in_the_table(found):
    result, _, said = found
    assert "LPIPS is not measured" in said[0] and "pip install 'gioconda[lpips]'" in said[0] and None in said
    assert "not computed: lpips: LPIPS is not measured" in text(result)


def test_the_protocol_on_baselines(found):
    result, grid, _ = found
    cells = {(c.generator, c.shots): {f.name: f for f in c.figures} for c in result.cells}
    assert set(cells) == {("warp", 1), ("copy", 1)}
    for t in (1,):
        warp, copy = cells["warp", t], cells["copy", t]
        assert warp["ssim"].value > copy["ssim"].value  # what bends to the landmarks fits better than what does not
        assert {f.n for f in warp.values() if not f.name.startswith("auc")} == {3}
        assert 0 <= warp["auc/bright"].value <= 1 and warp["auc/mute"].coverage == 0
        assert {"csim-thumbnail", "fid-thumbnail", "kid-thumbnail"} < set(warp)  # a name is its protocol
        assert 0 < warp["perceptual-lite0"].value < copy["perceptual-lite0"].value
    assert grid.shape[0] > 3 * 128 and grid.shape[1] == 3 * 128
    shown = text(result)
    assert "3 people" in shown and "not computed: lpips" in shown and "not assessed" in shown
    assert (
        "not computed: auc/mute: nothing to go by (clips of 0.0 s; --frames" in shown
        and "auc/bright" not in result.absent
    )
    assert "not LPIPS" in result.protocol["perceptual-lite0"]
    document = plain(result)
    assert document["schema"] == "gioconda.evaluate/1" and document["protocol"]["held_out_frames"] == 2
    import json

    assert "nan" not in shown
    assert "NaN" not in json.dumps(document, allow_nan=False)


def test_with_their_weights_lpips_and_fid_are_measured_and_the_resize_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "synth.evaluation.perceptual.lpips", lambda: ("lpips-alex", lambda real, made: np.full(len(made), 0.25))
    )
    monkeypatch.setattr("synth.evaluation.perceptual.inception", lambda: lambda frames: thumbnails(frames, None))
    result, _ = evaluate(
        [shards()],
        CopyGenerator(size=96),
        tmp_path,
        Evaluate(shots=(1,), modes=("ff",), frames=2, people=2, baselines=False),
        Instruments(embedding=("thumbnail", thumbnails)),
    )
    figures = {f.name: f for f in result.cells[0].figures}
    assert figures["lpips-alex"].value == 0.25 and figures["fid-inception2048"].value > 0
    assert figures["kid-inception2048"].n == 2 and set(result.absent) == {"user study"}
    assert "299 px, bilinear" in result.protocol["fid, kid of inception2048"]


def test_the_grid_is_signed(found, tmp_path):
    footage = found[0].protocol["footage_sha256"]
    assert len(footage) == 3
    sign_grid(found[1], tmp_path / "grid.jpg", CopyGenerator(size=96), consent.read("embedded"), footage)
    label = read(tmp_path / "grid.jpg").label
    assert (label["task"], label["consent"]) == ("evaluation", "embedded")
    row = consent.check_log().rows[-1]
    assert (row.task, list(row.sources)) == ("evaluate", footage)


def test_detectors_see_real_and_generated_frames_through_one_codec():
    from synth.evaluation.evaluate import _footage

    frames = puppet(3, 5).frames[:6, ::2, ::2]
    seen = _footage(np.ascontiguousarray(frames), np.arange(6) / 25, landmarker("dlib"))
    assert seen.frames.shape == frames.shape and (seen.frames != frames).any()
    assert np.abs(seen.frames.astype(int) - frames).mean() < 4


def test_lists_choose_people(tmp_path):
    from synth.fakes.plan import Unit

    units = [
        Unit(f"id{k:05d}", f"id{k:05d}/vid{j}/00001.mp4", 0, (0, 1), "25", f"{k}{j}")
        for k in range(4)
        for j in range(2)
    ]
    assert len(choose(units, 3, 0)) == 3 and len({u.identity for u in choose(units, 0, 0)}) == 4
    file = tmp_path / "list.txt"
    file.write_text(
        "1 id00001/vid0/00001.wav id00001/vid1/00001.wav\n0 id00003/vid0/00001.wav id00001/vid0/00001.wav\n"
    )
    chosen = choose(units, 0, 0, _listed(file))
    assert {u.identity for u in chosen} == {"id00001", "id00003"}
    # Of a person whose clips are named, one of those clips; vid1 of id00003 is not on the list.
    assert next(u.source for u in chosen if u.identity == "id00003") == "id00003/vid0/00001.mp4"
    below = [replace(u, source=f"dev/mp4/{u.source}") for u in units]
    assert len(choose(below, 0, 0, _listed(file))) == 2
    (tmp_path / "people.txt").write_text("id00002\nid00000\n")
    assert {u.identity for u in choose(units, 0, 0, _listed(tmp_path / "people.txt"))} == {"id00000", "id00002"}
    with pytest.raises(UsageError, match="on the list"):
        choose(units, 0, 0, {"nobody"})
    with pytest.raises(UsageError, match="64 shots and 8 held out"):
        evaluate([shards()], CopyGenerator(size=96), tmp_path, Evaluate(shots=(64,)))
