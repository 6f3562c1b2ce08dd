"""Feature detectors: arrays instead of pickles, validation that cannot peek, calibration that refuses what it cannot carry."""

import dataclasses
import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from detect.features import dynamics, windows
from detect.features.model import Model, fit, remember
from detect.features.spectrum import azimuthal
from detect.features.texture import unwrap
from detect.reading import calibration, golden
from detect.reading.calibration import Calibration, interval, judge
from detect.registry import WEIGHTS, load, shipped
from detect.training import calibrate, extract, train_features, validate
from detect.training.calibrate import Scored
from detect.training.dataset import Clips
from detect.training.options import QUALITIES, FeatureTraining
from gioconda_core.datasets.index import Index
from gioconda_core.errors import UsageError, WeightsError
from gioconda_core.files import sha256_of
from gioconda_core.media.clip import write_video
from gioconda_core.testing import check_detector, footage
from gioconda_core.types import FaceTrack, Footage, Label, Level, Reading, Sample

# --------------------------------------------------------------------------- models


@pytest.mark.parametrize(("kind", "options"), [("linear", {"C": 0.1}), ("rbf", {"C": 2.0}), ("trees", {"rounds": 20})])
def test_a_model_is_arrays_that_say_what_scikit_learn_said(kind, options, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(0, 3, (120, 7)) + 5
    y = (x[:, 0] - x[:, 1] ** 2 / 6 + rng.normal(0, 1, 120) > 0).astype(int)
    made = []
    for module, name in (
        ("sklearn.linear_model", "LogisticRegression"),
        ("sklearn.svm", "SVC"),
        ("sklearn.ensemble", "GradientBoostingClassifier"),
    ):
        base = getattr(__import__(module, fromlist=[name]), name)
        own = base.fit
        monkeypatch.setattr(base, "fit", lambda self, *a, own=own, **k: (made.append(self), own(self, *a, **k))[1])
    model = fit(kind, x, y, **options)
    ours = model.score(x)
    theirs = made[0].decision_function(model.standard(x))
    np.testing.assert_allclose(
        ours, theirs, atol=5e-3 if kind == "rbf" else 1e-6
    )  # support vectors are kept in half precision
    sha256 = model.save(tmp_path)
    assert {model.save(tmp_path) for _ in range(4)} == {sha256}
    back = Model.load(tmp_path)
    np.testing.assert_array_equal(back.score(x), ours)
    assert sha256 == sha256_of(tmp_path / "model.safetensors")
    assert {p.suffix for p in tmp_path.iterdir()} == {".safetensors"}
    with pytest.raises(WeightsError, match="7 features"):
        back.score(x[:, :5])


def test_a_missing_or_absurd_feature_says_no_more_than_the_edge_of_what_was_seen():
    x = np.random.default_rng(0).normal(0, 1, (60, 2))
    model = fit("linear", x, (x[:, 0] > 0).astype(int))
    assert np.isfinite(model.score(np.array([[np.nan, np.inf]]))).all()
    assert model.score(np.array([[1e9, 0.0]])) == model.score(np.array([[1e3, 0.0]]))


def test_standardised_scores_are_in_units_of_real_clips():
    x = np.random.default_rng(0).normal(0, 1, (200, 2))
    y = (x[:, 0] > 0).astype(int)
    model = fit("linear", x, y)
    real = model.score(x[y == 0])
    units = model.standardised(float(real.mean()), float(real.std())).score(x[y == 0])
    assert units.mean() == pytest.approx(0, abs=1e-9) and units.std() == pytest.approx(1)


# --------------------------------------------------------------------------- features


def test_windows_have_one_length_whatever_the_clip_s():
    for duration in (2.1, 8.0, 75.0):
        times = np.array([float(t) for t in windows.sampling(duration, 25.0)[3:].split(",")])
        rows = windows.windows(times)
        assert times.max() < duration
        assert rows and all(np.ptp(times[r]) < 8 * 0.25 + 0.05 for r in rows)
        assert len(rows) == (1 if duration < 4 else 4)
    assert windows.windows(np.arange(20) * 2.0) == []  # sampled too thinly: nothing to say


def test_the_spectrum_sees_a_checkerboard():
    rng = np.random.default_rng(0)
    plain = rng.normal(128, 8, (128, 128)).astype(np.float32)
    board = plain + 10 * (np.indices((128, 128)).sum(0) % 2 - 0.5).astype(np.float32)
    wide = plain + 10 * ((np.indices((128, 128))[0] // 2) % 2 - 0.5).astype(np.float32)
    rise = azimuthal(wide) - azimuthal(plain)
    assert rise[22:27].max() > 3 and np.abs(rise[:15]).max() < 1.5
    assert azimuthal(board).shape == (48,)


def test_motion_features_do_not_know_place_size_or_person():
    rng = np.random.default_rng(1)
    base = rng.uniform(-50, 50, (68, 2))
    path = np.cumsum(rng.normal(0, 0.4, (75, 68, 2)), 0) + base
    np.testing.assert_allclose(dynamics.features(path), dynamics.features(path * 1.7 + [300, 200]), atol=1e-3)
    slow = base + (path - base) * 0.2
    assert np.abs(dynamics.features(path) - dynamics.features(slow)).max() > 1


def test_dynamics_needs_a_face_followed_without_gaps():
    times = np.arange(100) / 25
    points = np.random.default_rng(0).uniform(0, 100, (1, 68, 2)).repeat(100, 0).astype(np.float32)
    track = FaceTrack(0, times, np.zeros((100, 4), np.float32), points, np.ones(100, np.float32))
    assert len(dynamics.windows(track)) == 1
    keep = np.r_[0:45, 60:100]  # 0.6 s away in the middle
    gap = FaceTrack(0, times[keep], track.boxes[keep], points[keep], track.quality[keep])
    assert dynamics.windows(gap) == []


def test_an_unwrapped_face_stays_put_when_the_head_moves():
    clip = golden.drawn()
    track = clip.tracks[0]
    grey = clip.frames[0].astype(np.float32).mean(-1)
    sheet = unwrap(grey, track.landmarks[0])
    shifted = unwrap(np.roll(grey, (7, 11), (0, 1)), track.landmarks[0] + np.float32([11, 7]))
    assert sheet.shape == shifted.shape and np.abs(sheet - shifted).mean() < 0.5


# --------------------------------------------------------------------------- validation


def clips_of(persons=20, methods="abc"):
    samples = []
    for p in range(persons):
        samples.append(Sample(f"r{p}", f"r{p}", Label.REAL, identity=f"p{p}", group={"origin": f"o{p % 6}"}))
        for m in methods:
            samples.append(
                Sample(f"f{p}{m}", f"f{p}{m}", Label.FAKE, m, identity=f"p{p}", group={"origin": f"page{p % 6}"})
            )
    index = Index(tuple(samples), WEIGHTS, {})
    return Clips(index.samples, (index,), (0,) * len(samples))


@pytest.mark.parametrize("by", ["person", "origin"])
def test_no_model_ever_sees_the_method_or_the_person_it_is_asked_about(by):
    clips = clips_of()
    rows = np.arange(len(clips))
    x = rows[:, None].astype(float)  # a feature that names the clip
    asked = []

    def spy(seen, labels, weight):
        members = seen[:, 0].astype(int)

        def score(given):
            asked.append((set(members.tolist()), given))
            return np.zeros(len(given))

        return score

    found = validate.unseen(clips, [(x, rows)], {"clean": (x, rows)}, spy, by=by, folds=4)["clean"]
    fold = clips.folds(4, by=by)
    assert len(asked) == 4 * len(found)
    for k, (seen, _) in enumerate(asked):
        group, number = found[k // 4], k % 4
        scored = np.flatnonzero((fold == number) & ((clips.labels == 0) | group.fakes))
        known = sorted(seen)
        assert not set(known) & set(np.flatnonzero(group.fakes).tolist())
        assert not set(clips.persons[known]) & set(clips.persons[scored])  # of real clips and of fakes alike
        if by == "origin":
            assert not set(clips.sources[known]) & set(clips.sources[scored])
    assert all(np.isfinite(g.scores[clips.labels == 0]).all() and np.isfinite(g.scores[g.fakes]).all() for g in found)


def test_a_detector_of_persons_gets_no_credit():
    """Real and fake persons differ here, so that knowing persons would be enough: out of fold it is worth nothing."""
    clips = clips_of(methods="ab")
    figures, known = [], []
    for seed in range(12):  # one draw of twenty looks is luck: 0.29 and 0.57 both come out
        rng = np.random.default_rng(seed)
        look = {p: rng.normal(0, 1, 8) for p in sorted(set(clips.persons))}
        x = np.stack([look[p] for p in clips.persons]) + rng.normal(0, 0.01, (len(clips), 8))
        rows = (x, np.arange(len(clips)))
        fitter = lambda a, b, w: fit("rbf", a, b, w, C=10.0).score  # noqa: E731
        figures.append(validate.figure(clips, validate.unseen(clips, [rows], {"clean": rows}, fitter)["clean"]))
        mine = np.isin(clips.persons, [f"p{k}" for k in range(10)])  # the same features do tell persons that were seen
        known.append(np.mean((fit("rbf", x, mine.astype(int), np.ones(len(x)), C=10.0).score(x) > 0) == mine))
    assert 0.35 < np.mean([f["value"] for f in figures]) < 0.55 and np.mean(known) > 0.95
    assert all(f["reals"] == 20 and f["fakes"] == 40 and f["coverage"] == 1 for f in figures)


def test_a_clip_weighs_the_same_however_many_windows_it_has():
    clips = clips_of(persons=4, methods="a")
    of = np.array([0] * 9 + [1, 2, 3, 4, 5, 6, 7])
    _, labels, weight = validate.training(clips, np.zeros((16, 1)), of, np.arange(8), None, 0.3)
    assert weight[of == 0].sum() == pytest.approx(weight[of == 2].sum())
    assert weight[labels == 0].sum() == pytest.approx(weight[labels == 1].sum())


def test_a_rung_is_applied_before_faces_are_followed(tmp_path, monkeypatch):
    clip = tmp_path / "clip.mp4"
    y, x = np.mgrid[:64, :64]
    write_video(
        clip,
        [np.stack([x * 3, y * 3, (x + 2 * i) % 256], -1).astype(np.uint8) for i in range(50)],
        fps=Fraction(25),
        crf=18,
    )
    followed = []

    def observe(of, sampling, **options):
        frames, times = of.sample(sampling)
        followed.append((of.sha256, frames.astype(float)))
        return Footage(frames, times, of.fps, of.duration, ())

    monkeypatch.setattr("gioconda_core.faces.observe.observe", observe)
    for rung in ("clean", "h264-crf23", "h264-crf40", "half-crf23"):
        assert extract.extract(clip, rung) == {}
    assert len({sha256 for sha256, _ in followed}) == 4
    change = [np.abs(frames - followed[0][1]).mean() for _, frames in followed]
    assert change[0] == 0 < change[1] < change[2] and change[1] < change[3]


def test_a_clip_made_from_somebody_has_the_origin_of_their_footage():
    of = clips_of(persons=3, methods="a")
    made = Sample("m", "m", Label.FAKE, "few-shot", identity="p1")
    stranger = Sample("n", "n", Label.FAKE, "few-shot", identity="q")
    both = Clips((*of.samples, made, stranger), of.indexes * 2, (*of.home, 1, 1))
    assert both.sources[-2:].tolist() == ["o1", "index1"]


def test_a_training_run_leaves_weights_card_and_calibration(tmp_path, monkeypatch):
    clips = clips_of(persons=24, methods="ab")
    path = tmp_path / "set.parquet"
    clips.indexes[0].write(path)
    rng = np.random.default_rng(0)

    def table(of, rung, cache, blends):
        at = np.repeat(np.arange(len(of)), 2)
        parts = {
            name: (rng.normal(0, 1, (len(at), 26)) + 1.2 * of.labels[at][:, None] * (np.arange(26) < 4), at)
            for name in (*windows.PARTS, *windows.WINDOW_PARTS)
        }
        measured = (
            np.stack(
                [
                    rng.uniform(100, 150, len(of)),
                    rng.normal(0, 0.2, len(of)),
                    rng.uniform(3, 8, len(of)),
                    np.full(len(of), 256),
                ],
                1,
            ),
            np.arange(len(of)),
        )
        return extract.Table(rung, parts | {"dynamics": parts["spectrum"], "measures": measured})

    monkeypatch.setattr(extract, "fill", lambda *a, **k: [])
    monkeypatch.setattr(extract, "table", table)
    options = FeatureTraining(
        index=(str(path),),
        out=tmp_path / "run",
        detectors=("ensemble",),
        rungs=("clean",),
        tests=("clean", "h264-crf32"),
        folds=3,
        blends=0,
        name="a set",
    )
    figures = train_features.train(options)
    ensemble, texture = (figures[n]["person"]["clean"]["value"] for n in ("ensemble", "texture"))
    assert ensemble > 0.8 and texture > 0.8
    for name in ("texture", "dynamics", "residual", "ensemble"):
        card = json.loads((tmp_path / "run" / name / "card.json").read_text())
        assert "2 methods (a, b)" in card["trained_on"] and card["limits"] and len(card["evaluated"]) >= 2
        assert sorted(card["clips"]) == sorted(s.sha256[:12] for s in Index.read(path) if s.split != "test")
        calibration = Calibration.read(tmp_path / "run" / name)
        assert calibration.clips["all"] == 24 and calibration.weights_sha256 == card["weights_sha256"]
        assert set(calibration.kinds) == {"detail", "face_px", "side", "compression"}
        assert calibration.clips["clean"] == calibration.clips["h264-crf32"] == 24
        assert (
            calibration.clips["shorter side under 360 px"] == 24 and calibration.clips["shorter side from 720 px"] == 0
        )
        assert "face spans 60 pixels" in str(calibration.unlike({"face_px": 60.0}))
        assert "1.0 s; calibrated for at least" in str(calibration.unlike({"seconds": 1.0}))
        assert calibration.unlike({"face_px": 400.0, "seconds": 600.0, "detail": 0.0}) is None
    detector = load("ensemble", target=str(tmp_path / "run" / "ensemble"))
    assert detector.weights_sha256 == card["weights_sha256"]


# --------------------------------------------------------------------------- calibration


def test_intervals_are_exact():
    assert interval(0, 86) == (0.0, pytest.approx(0.0420, abs=2e-4))
    assert interval(5, 100) == (pytest.approx(0.0164, abs=2e-4), pytest.approx(0.1128, abs=2e-4))
    assert interval(3, 3)[1] == 1.0


def test_a_small_set_promises_no_small_rate_and_a_large_one_keeps_its_promise():
    rng = np.random.default_rng(0)
    assert calibrate.threshold(rng.normal(0, 1, 80), 0.001) is None
    assert calibrate.threshold(rng.normal(0, 1, 30), 0.01) is None
    broken = 0
    for seed in range(40):
        cut = calibrate.threshold(np.random.default_rng(seed).normal(0, 1, 300), 0.1, confidence=0.9)
        assert cut is not None
        broken += float(np.mean(rng.normal(0, 1, 20_000) >= cut)) > 0.1
    assert broken <= 9  # one in ten may; nine of forty is the 99 % end of that


def test_temperature_undoes_a_known_one():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 4000)
    logit = np.where(labels == 1, 1.0, -1.0) + rng.normal(0, np.sqrt(2) / np.sqrt(1), 4000)
    scale = calibrate.temperature(logit, labels)
    assert calibrate.temperature(5 * logit, labels) == pytest.approx(5 * scale, rel=0.02)


def test_abstaining_on_the_doubtful_lowers_the_risk_of_the_rest():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 1000)
    curve = calibrate.selective_risk(labels * 2 - 1 + rng.normal(0, 1.5, 1000), labels)
    assert curve[0]["risk"] < curve[-1]["risk"] and curve[-1]["coverage"] == 1.0


@pytest.fixture
def card(tmp_path):
    rng = np.random.default_rng(0)
    real = [
        Scored(str(i), float(rng.normal()), {"detail": float(rng.uniform(0, 1)), "face_px": 100.0}) for i in range(400)
    ]
    made = calibrate.make("d", "f" * 64, "a set", "2026-01-01", "32f", real, rng.normal(2, 1, 50))
    made.write(tmp_path)
    remember("f" * 64, tmp_path)
    return Calibration.read(tmp_path)


def read_as(score, weights="f" * 64):
    return Reading("d", "1", weights, score)


def test_a_score_is_quoted_with_what_it_has_meant(card, monkeypatch):
    monkeypatch.setattr(calibration, "measures", lambda clip: {"detail": 0.5, "face_px": 100.0})
    low, high = judge(read_as(-1.0), footage()), judge(read_as(9.0), footage())
    assert low.level == Level.NO_STRONG_SIGNAL and low.false_alarm > 0.5
    assert high.level == Level.STRONG_SIGNAL and high.false_alarm == 0 and high.high > 0
    assert (
        high.n >= 100 and high.stratum == "middling" and high.calibration_set == "a set" and high.date == "2026-01-01"
    )
    rates = [judge(read_as(s), footage()).false_alarm for s in (-2.0, 0.0, 1.0, 2.0)]
    assert rates == sorted(rates, reverse=True)


def test_a_card_that_admits_no_skill_on_a_sealed_set_takes_the_level_and_leaves_the_rate(card, tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "measures", lambda clip: {"detail": 0.5, "face_px": 100.0})
    figure = {
        "set": "sealed",
        "date": "2026-11-29",
        "value": 0.54,
        "low": 0.46,
        "high": 0.62,
        "reals": 69,
        "fakes": 164,
    }
    figure |= {"persons": 63, "methods": 23, "cue": "sharpness", "cue_value": 0.68}
    (tmp_path / "card.json").write_text(json.dumps({"summary": "s", "sealed": figure}))
    said = judge(read_as(9.0), footage())
    assert said.level == Level.NO_SKILL and said.false_alarm == 0 and said.expected.value == 0.54
    (tmp_path / "card.json").write_text(json.dumps({"summary": "s", "sealed": figure | {"value": 0.8, "low": 0.7}}))
    said = judge(read_as(9.0), footage())
    assert said.level == Level.STRONG_SIGNAL and said.expected.skill


def by_kind(tmp_path):
    """200 clips on two rungs: small faces score high, large pictures are few, and the worse rung scores a little higher."""
    rng = np.random.default_rng(1)
    real = []
    for i in range(200):
        small = i % 2 == 0
        measured = {"face_px": 60.0 + 3 * rng.uniform() + 100 * (not small), "side": 1080.0 if i < 20 else 480.0}
        measured |= {"seconds": 5.0, "detail": float(rng.uniform(0, 1))}
        for k, rung in enumerate(("clean", "h264-crf32")):
            real.append(Scored(str(i), float(rng.normal() + 2 * small + 0.5 * k), measured, rung))
    calibrate.make("d", "f" * 64, "a set", "2026-01-01", "32f", real).write(tmp_path)
    remember("f" * 64, tmp_path)
    return Calibration.read(tmp_path)


def test_a_card_holds_the_scores_of_each_kind_of_clip(tmp_path):
    card = by_kind(tmp_path)
    assert card.kinds["compression"] == ("clean", "h264-crf32") and card.clips["clean"] == 200
    assert card.false_alarm(1.0, "clean")[0] < card.false_alarm(1.0, "h264-crf32")[0]
    for names in card.kinds.values():
        assert sum(len(card.scores[name]) for name in names) == len(card.scores["all"]) == 400
    assert card.clips["shorter side from 720 px"] == 20 and card.clips["shorter side under 360 px"] == 0
    small, *_, large = card.kinds["face_px"]
    assert card.false_alarm(2.0, small)[0] > card.false_alarm(2.0, "all")[0] > card.false_alarm(2.0, large)[0]


def test_of_the_kinds_a_clip_is_of_the_one_where_the_score_means_least_speaks(tmp_path, monkeypatch):
    card = by_kind(tmp_path)
    for face, side in ((61.0, 480.0), (170.0, 480.0), (61.0, 1080.0)):
        found = {"detail": 0.5, "face_px": face, "seconds": 5.0, "side": side}
        monkeypatch.setattr(calibration, "measures", lambda clip, found=found: found)
        said = judge(read_as(2.0), footage())
        own = card.strata(found)
        assert "shorter side from 720 px" not in own  # 20 clips are on the card, and too few to speak
        assert said.stratum in own and said.n == card.clips[said.stratum] >= calibration.FEWEST_STRATUM
        assert said.false_alarm == max(card.false_alarm(2.0, name)[0] for name in own)
        assert said.stratum == card.kinds["face_px"][0] or face > 100
    monkeypatch.setattr(calibration, "measures", lambda clip: {})
    assert judge(read_as(2.0), footage()).stratum == "all"


def test_a_card_of_before_is_read(card, tmp_path):
    document = json.loads((tmp_path / "calibration.json").read_text())
    (tmp_path / "calibration.json").write_text(json.dumps(document | {"edges": document["edges"]["detail"]}))
    assert Calibration.read(tmp_path).strata({"detail": 0.5, "face_px": 9.0}) == ["middling"]


def test_calibrating_down_the_ladder_scores_every_real_clip_on_every_rung(tmp_path, monkeypatch):
    class Detector:
        id, version, weights_sha256, sampling = "d", "1", "a" * 64, staticmethod(lambda duration, fps: "even:2")

        def read(self, clip):
            return Reading("d", "1", "a" * 64, float(clip.frames.astype(float).std()), protocol=clip.protocol)

    rows = []
    for i in range(21):
        picture = np.random.default_rng(i).integers(0, 255, (64, 64, 3)).astype(np.uint8)
        write_video(tmp_path / f"{i}.mp4", [picture] * 3, fps=Fraction(25), crf=18)
        label = Label.REAL if i < 20 else Label.FAKE
        rows.append(Sample(f"{i}.mp4", f"{i:064x}", label, "a" * (i == 20), identity=f"p{i}"))
    remember("a" * 64, tmp_path)
    monkeypatch.setattr("detect.registry.load", lambda name: Detector())
    monkeypatch.setattr(
        "detect.reading.observe.observe", lambda clip, detectors: Footage(*clip.sample("even:2"), clip.fps, 0.1, ())
    )
    monkeypatch.setattr(calibrate, "measures", lambda clip: {"side": float(clip.frames.shape[1])})
    index = Index(tuple(rows), tmp_path, {})
    with pytest.raises(UsageError, match="quality"):
        calibrate.run("d", index, "mine", rungs=("clean", "vhs"))
    card = calibrate.run("d", index, "mine", rungs=("clean", "h264-crf40"))
    assert card.kinds["compression"] == ("clean", "h264-crf40") and len(card.scores["all"]) == 40
    assert card.clips["clean"] == card.clips["h264-crf40"] == card.clips["all"] == 20
    assert np.mean(card.scores["h264-crf40"]) < np.mean(card.scores["clean"])
    assert Calibration.read(tmp_path).kinds == card.kinds


def test_outside_the_card_a_reading_is_withheld_and_a_stranger_s_has_no_level(card, monkeypatch):
    monkeypatch.setattr(calibration, "measures", lambda clip: {"detail": -3.0, "face_px": 100.0})
    withheld = judge(read_as(9.0), footage())
    assert (
        withheld.level == Level.NOT_ASSESSED
        and withheld.reading.score is None
        and withheld.reading.abstained.detail["difference"]["code"] == "differs-in-detail"
    )
    monkeypatch.setattr(calibration, "measures", lambda clip: {"detail": 0.5, "face_px": 10.0})
    assert "pixels" in judge(read_as(9.0), footage()).reading.abstained.text
    monkeypatch.setattr(calibration, "measures", lambda clip: {"detail": 0.5, "face_px": 100.0})
    for weights in (None, "e" * 64):
        said = judge(read_as(9.0, weights), footage())
        assert said.level == Level.NOT_ASSESSED and said.false_alarm is None and said.reading.score == 9.0
    remember("d" * 64, calibrate.home_of("f" * 64))
    assert judge(read_as(9.0, "d" * 64), footage()).false_alarm is None  # the card is of other weights


def test_a_clip_seen_at_several_qualities_counts_once():
    rng = np.random.default_rng(0)
    rows = [
        calibrate.Scored(str(i), float(rng.normal()), {"detail": float(r + rng.uniform(0, 0.1))})
        for i in range(40)
        for r in range(3)
    ]
    made = calibrate.make("d", None, "a set", "2026-01-01", "32f", rows)
    assert made.clips["all"] == 40 and len(made.scores["all"]) == 120
    assert made.false_alarm(99.0)[2:] == (interval(0, 40)[1], 40)


def test_too_few_real_clips_are_no_calibration():
    with pytest.raises(UsageError, match="at least 20"):
        calibrate.make("d", None, "a set", "2026-01-01", "32f", [(str(i), 0.0, {}) for i in range(19)])


# --------------------------------------------------------------------------- what ships


def test_shipped_detectors_give_their_golden_scores():
    results = golden.check()
    assert (
        {name for name, _, _ in results}
        == set(shipped())
        >= {"spectrum", "residual", "texture", "dynamics", "ensemble"}
    )
    assert all(ok for _, ok, _ in results), results


def test_shipped_weights_are_small_and_say_what_they_are():
    assert sum(p.stat().st_size for p in WEIGHTS.rglob("*") if p.is_file()) <= 12 << 20
    for name in shipped():
        detector = load(name)
        card = detector.card
        assert (
            card.trained_on != "unknown"
            and card.limits
            and "research" in card.licence
            and card.recipe.startswith("gioconda detect train")
        )
        assert all(
            {"set", "metric", "value", "low", "high", "reals", "fakes", "persons"} <= set(row) for row in card.evaluated
        )
        assert Calibration.read(WEIGHTS / name).weights_sha256 == detector.weights_sha256
        check_detector(detector)


def test_swapped_weights_are_noticed(tmp_path):
    import shutil

    shutil.copytree(WEIGHTS / "spectrum", tmp_path / "spectrum")
    shutil.copy(WEIGHTS / "dynamics" / "model.safetensors", tmp_path / "spectrum")
    with pytest.raises(WeightsError, match="card"):
        load("spectrum", target=str(tmp_path / "spectrum"))


def test_blank_short_and_still_footage_is_not_scored():
    clip = golden.drawn()
    still = dataclasses.replace(
        clip, frames=clip.frames[:1], times=clip.times[:1], tracks=(first_only(clip.tracks[0]),), duration=0.0
    )
    tiny = replace(clip, tracks=(replace(clip.tracks[0], landmarks=clip.tracks[0].landmarks * np.float32(0.08)),))
    for name in shipped():
        for bad in (still, tiny, replace(clip, tracks=())):
            assert load(name).read(bad).score is None, name
    black = replace(clip, frames=clip.frames * 0)
    for name in shipped():
        said = judge(load(name).read(black), black)
        assert said.level == Level.NOT_ASSESSED and "detail" in said.reading.abstained.text


def first_only(track):
    return FaceTrack(track.id, track.times[:1], track.boxes[:1], track.landmarks[:1], track.quality[:1])


def test_the_qualities_one_may_ask_for_are_those_that_are_made():
    assert sorted(QUALITIES) == sorted(extract.RUNGS)
