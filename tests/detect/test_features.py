"""Feature detectors: arrays instead of pickles, validation that cannot peek, calibration that refuses what it cannot carry."""

import dataclasses
import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from sklearn.svm import SVC

from detect.base import Abstain, Card
from detect.features import backbone, contrast
from detect.features.model import Model, fit, gaussian, remember
from detect.reading import calibration, golden
from detect.reading.calibration import Calibration, judge
from detect.registry import WEIGHTS, load, shipped
from detect.training import calibrate, edits, extract, train_features, validate
from detect.training.calibrate import Scored
from detect.training.dataset import Clips
from detect.training.options import EDITS, QUALITIES, FeatureTraining
from detect.training.validate import HoldOut
from gioconda_core import lite0
from gioconda_core.datasets.index import Index
from gioconda_core.errors import UsageError, WeightsError
from gioconda_core.files import sha256_of
from gioconda_core.media import degrade
from gioconda_core.media.clip import write_video
from gioconda_core.reasons import AbstentionReason
from gioconda_core.stats.shares import clopper_pearson as interval
from gioconda_core.testing import check_detector, footage
from gioconda_core.types import FaceTrack, Footage, Label, Level, Reading, Sample

# --------------------------------------------------------------------------- models


@pytest.mark.parametrize("blocks", [1, 2])
def test_a_model_is_arrays_that_say_what_scikit_learn_said(blocks, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(0, 3, (120, 8)) + 5
    y = (x[:, 0] - x[:, 1] ** 2 / 6 + rng.normal(0, 1, 120) > 0).astype(int)
    made = []
    own = SVC.fit
    monkeypatch.setattr(SVC, "fit", lambda self, *a, **k: (made.append(self), own(self, *a, **k))[1])
    model = fit(x, y, C=2.0, blocks=blocks)
    ours = model.score(x)
    z = model.standard(x)
    theirs = made[0].decision_function(gaussian(z, z, blocks))
    np.testing.assert_allclose(ours, theirs, atol=5e-3)  # support vectors are kept in half precision
    sha256 = model.save(tmp_path)
    assert {model.save(tmp_path) for _ in range(4)} == {sha256}
    back = Model.load(tmp_path)
    np.testing.assert_array_equal(back.score(x), ours)
    assert sha256 == sha256_of(tmp_path / "model.safetensors")
    assert {p.suffix for p in tmp_path.iterdir()} == {".safetensors"}
    with pytest.raises(WeightsError, match="8 features"):
        back.score(x[:, :5])


def test_a_missing_or_absurd_feature_says_no_more_than_the_edge_of_what_was_seen():
    x = np.random.default_rng(0).normal(0, 1, (60, 2))
    model = fit(x, (x[:, 0] > 0).astype(int))
    assert np.isfinite(model.score(np.array([[np.nan, np.inf]]))).all()
    assert model.score(np.array([[1e9, 0.0]])) == model.score(np.array([[1e3, 0.0]]))


def test_standardised_scores_are_in_units_of_real_clips():
    x = np.random.default_rng(0).normal(0, 1, (200, 2))
    y = (x[:, 0] > 0).astype(int)
    model = fit(x, y)
    real = model.score(x[y == 0])
    units = model.standardised(float(real.mean()), float(real.std())).score(x[y == 0])
    assert units.mean() == pytest.approx(0, abs=1e-9) and units.std() == pytest.approx(1)


# --------------------------------------------------------------------------- features


@pytest.mark.parametrize("fps", [12.0, 25.0, 30.0, 59.94])
def test_pairs_lie_a_fixed_time_apart_and_moments_are_spread_over_the_clip(fps):
    for duration, count in ((1.2, 8), (8.0, 8), (16.0, 16), (75.0, 32)):
        found = contrast.pair_frames(duration, fps)
        assert len(found) == count or (duration < 2 and fps < 13)
        apart = {(second - first) / fps for first, second in found}
        assert max(apart) == min(apart) and abs(max(apart) - max(0.04, 1 / fps)) <= 0.5 / fps
        assert found[0][0] / fps < duration / count and found[-1][1] / fps > duration * (1 - 1.6 / count) - 0.1
        asked = [float(t) for t in contrast.sampling(duration, fps).removeprefix("at:").split(",")]
        assert asked == sorted(asked) and asked[-1] < duration
        # Another look: between these moments, and still inside the clip.
        later = contrast.pair_frames(duration, fps, 1 / 3)
        assert later[-1][1] <= round(duration * fps) - 1 and (duration < 2 or not set(later) & set(found))
    assert contrast.sampling(0.0, None) == "even:1"


def test_a_pair_is_two_neighbours_and_frames_too_far_apart_are_none():
    assert contrast._neighbours(np.array([0.0, 0.04, 0.5, 0.54, 1.0])) == {0: 1, 2: 3}
    assert contrast._neighbours(np.arange(10) * 0.25) == {}
    assert contrast._neighbours(np.array([0.0, 1 / 60, 2 / 60, 0.5])) == {0: 2}  # at 60 a second the nearest to 40 ms
    clip = golden.drawn()
    with pytest.raises(Abstain, match="neighbouring frames"):
        contrast.pairs(replace(clip, frames=clip.frames[::2], times=clip.times[::2]))


def test_a_face_crop_is_taken_whole_and_a_face_in_a_room_is_cut_out():
    points = golden.drawn().tracks[0].landmarks[:1]
    extent = float(np.ptp(points[0], axis=0).max())
    frame = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
    (whole,), moved = contrast.cut([frame], points, extent)
    assert np.array_equal(whole, frame) and np.allclose(moved, points)
    room = np.zeros((720, 1280, 3), np.uint8)
    room[200:456, 600:856] = frame
    (cut,), moved = contrast.cut([room], points + np.array([600, 200]), extent)
    assert cut.shape == (256, 256, 3) and np.abs(np.ptp(moved[0], axis=0).max() - 128) < 2  # half the picture
    corner, _ = contrast.cut([room], points - points.mean(1), extent)  # a face half outside: the square stays inside
    assert corner.shape == (1, 256, 256, 3)


def test_a_hull_grows_as_opencv_dilates_it():
    import cv2

    rng = np.random.default_rng(0)
    for spread in (0.0, 0.2, 3, 20, 60, 200):
        for _ in range(5):
            line = np.linspace(-1, 1, 20)[:, None] * rng.normal(0, 30, 2)
            mask = contrast._hull(rng.uniform(-20, 276, 2) + line + rng.normal(0, 1, (20, 2)) * spread, 256)
            reach = int(rng.integers(1, 50))
            block = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
            wide = cv2.copyMakeBorder(mask, reach, reach, reach, reach, cv2.BORDER_CONSTANT)
            wanted = cv2.dilate(wide, block)[reach : reach + 256, reach : reach + 256]
            assert np.array_equal(contrast._grown(mask, reach), wanted), (spread, reach)


def test_maps_of_pictures_read_at_once_are_those_of_each_alone_and_in_their_order():
    pictures = np.random.default_rng(0).integers(0, 256, (5, backbone.SIDE, backbone.SIDE, 3), np.uint8)
    together = backbone.maps(pictures)
    assert [level.shape[1] for level in together] == list(backbone.CHANNELS)
    for place, picture in enumerate(pictures):
        for level, alone in zip(together, backbone.maps(picture[None]), strict=True):
            assert np.array_equal(level[place], alone[0])


def test_statistics_of_many_pairs_are_those_of_each_alone():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (contrast.MOMENTS + 1, 2, backbone.SIDE, backbone.SIDE, 3), np.uint8)
    landmarks = rng.uniform(60, 190, (len(pictures), 68, 2)).astype(np.float32)
    together = contrast.statistics(pictures, landmarks)
    alone = [contrast.statistics(pictures[k : k + 1], landmarks[k : k + 1])[0] for k in (0, contrast.MOMENTS)]
    assert np.array_equal(together[[0, contrast.MOMENTS]], alone)


@pytest.fixture
def face():
    """A drawn face at four moments."""
    (found,) = contrast.pairs(golden.drawn())
    moments = {name: getattr(found, name)[:4] for name in ("times", "pictures", "landmarks", "second")}
    return replace(found, **moments)


@pytest.mark.slow
def test_trembling_of_the_face_alone_is_seen_and_grain_all_over_is_not(face):
    base = contrast.features(contrast.statistics(face.pictures, face.landmarks))
    count = sum(backbone.CHANNELS)
    noise = np.random.default_rng(0).normal(0, 12, face.pictures.shape)
    inside = np.stack([contrast.masks(p)[0] for p in face.landmarks])[:, None, ..., None]

    def moved(added):
        pictures = np.clip(face.pictures + added, 0, 255).astype(np.uint8)
        change = contrast.features(contrast.statistics(pictures, face.landmarks)) - base
        return np.abs(change.reshape(contrast.BLOCKS, count)).mean(1)

    assert base.shape == (contrast.BLOCKS * count,) and np.isfinite(base).all()
    assert moved(noise * inside)[5] > 5 * moved(noise)[5]  # change of the face over its surroundings
    # what is done to the lips alone, the mouth's blocks tell most of
    lips = np.stack([contrast.regions(p)[2] for p in face.landmarks])[:, None, ..., None]
    told = moved(noise * lips)
    assert told[3] > 1.5 * told[2] and told[6] > 1.5 * told[5]


def test_the_frozen_network_s_file_is_found_checked_and_missed_clearly(tmp_path, monkeypatch):
    assert sha256_of(lite0.weights_file()) == lite0.SHA256
    monkeypatch.setattr(lite0, "SHA256", "0" * 64)
    with pytest.raises(WeightsError, match="not the file"):
        lite0.weights_file()
    monkeypatch.setattr(lite0, "PACKAGE", "no-such-package")
    with pytest.raises(WeightsError, match="not installed"):
        lite0.weights_file()


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
    made = ("lowres", (np.zeros((20, 1)), rows[clips.labels == 0]))
    material = validate.Material.gather(clips, [(np.zeros((len(clips), 1)), rows)], [made])
    asked = []

    def spy(chosen, weight):
        asked.append(set(material.of[chosen].tolist()))
        return {"clean": np.zeros(len(clips))}

    found = validate.unseen(clips, material, {"clean": (np.zeros((len(clips), 1)), rows)}, spy, HoldOut(by, 4))["clean"]
    assert {g.name for g in found} == set("abc") and len(asked) <= len(found)
    covered = set()
    for group in found:
        scored = np.concatenate([group.fakes, group.reals])
        # one of the fits saw none of these: neither a fake by the method, nor a person, nor a page
        fits = [
            seen
            for seen in asked
            if not seen & set(scored.tolist())
            and not set(clips.persons[sorted(seen)]) & set(clips.persons[scored])
            and not (by == "origin" and set(clips.sources[sorted(seen)]) & set(clips.sources[scored]))
        ]
        assert fits and np.isfinite(group.scores[scored]).all()
        assert np.isfinite(group.scores).sum() == len(scored)
        covered |= set(scored.tolist())
    assert covered == set(rows.tolist())


def test_a_detector_of_persons_gets_no_credit():
    """Real and fake persons differ here, so that knowing persons would be enough: out of fold it is worth nothing."""
    clips = clips_of(methods="ab")
    figures, known = [], []
    for seed in range(12):  # one draw of twenty looks is luck: 0.29 and 0.57 both come out
        rng = np.random.default_rng(seed)
        look = {p: rng.normal(0, 1, 8) for p in sorted(set(clips.persons))}
        x = np.stack([look[p] for p in clips.persons]) + rng.normal(0, 0.01, (len(clips), 8))
        rows = (x, np.arange(len(clips)))
        material = validate.Material.gather(clips, [rows])

        def fitter(chosen, weight, material=material, x=x):
            return {"clean": fit(material.x[chosen], material.labels[chosen], weight, C=10.0).score(x)}

        found = validate.unseen(clips, material, {"clean": rows}, fitter, HoldOut("person"))["clean"]
        figures.append(validate.figure(clips, found, resamples=50))
        mine = np.isin(clips.persons, [f"p{k}" for k in range(10)])  # the same features do tell persons that were seen
        known.append(np.mean((fit(x, mine.astype(int), np.ones(len(x)), C=10.0).score(x) > 0) == mine))
    assert 0.35 < np.mean([f.value for f in figures]) < 0.6 and np.mean(known) > 0.95
    assert all(f.reals == 20 and f.fakes == 40 and f.coverage == 1 for f in figures)


def test_a_clip_weighs_the_same_however_many_windows_it_has():
    clips = clips_of(persons=4, methods="a")
    of = np.array([0] * 9 + [1, 2, 3, 4, 5, 6, 7])
    material = validate.Material.gather(clips, [(np.zeros((16, 1)), of)])
    rows, weight = material.rows(np.ones(8, bool))
    assert weight[material.of[rows] == 0].sum() == pytest.approx(weight[material.of[rows] == 2].sum())
    assert weight[material.labels[rows] == 0].sum() == pytest.approx(weight[material.labels[rows] == 1].sum())
    made = validate.Material.gather(clips, [(np.zeros((16, 1)), of)], [("swap", (np.zeros((2, 1)), np.array([0, 2])))])
    # Real clips and what was made of them, no fake of the set.
    rows, weight = made.rows(np.ones(8, bool), footage=False)
    assert made.made[rows].sum() == 2 and (made.made == (made.labels == 1))[rows].all()
    assert weight[made.made[rows]].sum() == pytest.approx(weight[~made.made[rows]].sum())


def test_scores_of_different_models_are_never_laid_beside_one_another():
    """Each fold's model has a level of its own: an AUC over the heap would be near a coin, within models it is perfect."""
    clips = clips_of(methods="ab")
    rows = np.arange(len(clips))
    material = validate.Material.gather(clips, [(np.zeros((len(clips), 1)), rows)])
    level = iter(range(1000))

    def fitter(chosen, weight):
        return {"clean": clips.labels + 10.0 * next(level)}

    found = validate.unseen(clips, material, {"clean": (np.zeros((len(clips), 1)), rows)}, fitter)["clean"]
    assert validate.figure(clips, found, resamples=20).value == 1.0


def test_a_set_that_a_cue_tells_apart_is_known_by_the_paired_difference():
    clips = clips_of(persons=24)
    rng = np.random.default_rng(0)
    cue = clips.labels + rng.normal(0, 0.4, len(clips))
    rows = np.arange(len(clips))
    material = validate.Material.gather(clips, [(np.zeros((len(clips), 1)), rows)])
    weak = clips.labels + rng.normal(0, 1.5, len(clips))
    tests = {"clean": (np.zeros((len(clips), 1)), rows)}
    found = validate.unseen(clips, material, tests, lambda chosen, weight: {"clean": weak})["clean"]
    by_cue = validate.with_scores(found, cue)
    all_of_them = validate.all_cues(clips, cue[:, None], found)
    behind = validate.paired(clips, found, by_cue, resamples=200)
    assert behind.high < 0 and validate.figure(clips, by_cue, resamples=20).value > 0.9
    assert validate.figure(clips, all_of_them, resamples=20).value > 0.9
    (tenth, _) = validate.alarms(clips, found)
    assert tenth.stated == 0.1 and tenth.low <= tenth.found <= tenth.high and tenth.reals == 24


def test_a_degradation_is_applied_before_faces_are_followed(tmp_path, monkeypatch):
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
    for name in ("clean", "h264-crf23", "h264-crf40", "half-crf23"):
        assert extract.extract(clip, name) == {}
    assert len({sha256 for sha256, _ in followed}) == 4
    change = [np.abs(frames - followed[0][1]).mean() for _, frames in followed]
    assert change[0] == 0 < change[1] < change[2] and change[3] > 0


@pytest.mark.slow
def test_a_fake_is_made_of_the_very_pictures_that_are_measured_of_its_clip(tmp_path, monkeypatch):
    from puppet_material import clip as puppet_clip

    path = puppet_clip(tmp_path / "a.mp4", frames=60)
    other = puppet_clip(tmp_path / "b.mp4", identity=4, frames=60)
    measured = []
    own = contrast.through_jpeg
    monkeypatch.setattr(contrast, "through_jpeg", lambda pictures: (measured.append(pictures), own(pictures))[1])

    def found(name, others=(other,)):
        return extract.extract(path, name, 0, others)

    clean = found("clean")["contrast"]
    lowres, swap = (found(extract.FAMILY + name)["contrast"] for name in ("lowres", "swap"))
    assert all(
        x.shape == (1, contrast.BLOCKS * sum(backbone.CHANNELS)) and np.isfinite(x).all() for x in (clean, lowres, swap)
    )
    assert np.abs(lowres - clean).mean() > 0.02
    assert [len(pictures) for pictures in measured] == [2 * contrast.MOMENTS, 2 * extract.MOMENTS, 2 * extract.MOMENTS]
    # Nothing has coded the fake in between: far from the face it is the clip's own picture, to the bit.
    real = {picture[:8, :8].tobytes() for picture in measured[0]}
    assert all(picture[:8, :8].tobytes() in real for picture in measured[1])
    assert np.array_equal(found(extract.FAMILY + "lowres")["contrast"], lowres)
    assert found(extract.FAMILY + "swap", ()) == {}  # nobody to swap with
    for name in EDITS:
        changed = found(name)["contrast"]
        assert changed.shape == clean.shape and np.abs(changed - clean).mean() > 0.02
    looks = found(extract.LOOKS)["contrast"]  # the same clip at other moments, before and after
    assert looks.shape == (2, clean.shape[1]) and all(0 < np.abs(look - clean).mean() < 0.3 for look in looks)


@pytest.mark.slow
def test_what_coded_a_picture_before_hardly_tells(face):
    rng = np.random.default_rng(0)
    grainy = np.clip(face.pictures + rng.normal(0, 6, face.pictures.shape), 0, 255).astype(np.uint8)
    once = contrast.through_jpeg(grainy.reshape(-1, 256, 256, 3)).reshape(grainy.shape)

    def measured(pictures):
        return contrast.features(contrast.statistics(pictures, face.landmarks))

    def uncoded(pictures):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(contrast, "through_jpeg", lambda pictures: pictures)
            return measured(pictures)

    assert np.abs(measured(once) - measured(grainy)).mean() < 0.3 * np.abs(uncoded(once) - uncoded(grainy)).mean()


@pytest.mark.parametrize("kind", [*edits.COVERS, *edits.SURROUNDINGS])
def test_an_edit_changes_the_face_or_what_surrounds_it_and_is_drawn_by_lot_alone(kind, face):
    covers = kind in edits.COVERS
    kinds = {kind: ((edits.COVERS if covers else edits.SURROUNDINGS)[kind][0], 1.0)}
    landmarks = np.stack([face.landmarks, face.second], 1)
    other = face.pictures[0, 0, ::-1]
    hull = np.stack([contrast.masks(points)[0] for points in face.landmarks])[:, None] > 0
    for lot in range(4):
        found = edits.edited(kinds, face.pictures, landmarks, other, np.random.default_rng(lot))
        assert found.dtype == np.uint8 and found.shape == face.pictures.shape
        changed = (found != face.pictures).any(-1)
        assert 0.003 < changed.mean() < 0.95
        assert (changed & (hull if covers else ~hull)).any((2, 3)).all()
        if not covers:
            assert (changed & hull).sum() < 0.1 * changed.sum()
        again = edits.edited(kinds, face.pictures, landmarks, other, np.random.default_rng(lot))
        assert np.array_equal(found, again)


def test_three_draws_pass_a_real_clip_through_every_family_once():
    clips = clips_of(persons=3, methods="a")
    names = [f"{extract.FAMILY}{k}" for k in "abcdefg"]
    given = [extract.shares(clips, names, seed) for seed in range(3)]
    for i in range(len(clips)):
        own = [name for draw in given for name in draw[i]]
        assert sorted(own) == (names if clips.labels[i] == 0 else [])
    more = extract.shares(clips, [*names, f"{extract.FAMILY}h"], 0)  # what is cached stays of use
    assert [[name for name in own if name in names] for own in more] == given[0]


def test_a_clip_made_from_somebody_has_the_origin_of_their_footage():
    of = clips_of(persons=3, methods="a")
    made = Sample("m", "m", Label.FAKE, "few-shot", identity="p1")
    stranger = Sample("n", "n", Label.FAKE, "few-shot", identity="q")
    both = Clips((*of.samples, made, stranger), of.indexes * 2, (*of.home, 1, 1))
    assert both.sources[-2:].tolist() == ["o1", "index1"]


@pytest.mark.slow
def test_a_training_run_leaves_weights_card_and_calibration(tmp_path, monkeypatch):
    clips = clips_of(persons=24, methods="ab")
    path = tmp_path / "set.parquet"
    clips.indexes[0].write(path)
    rng = np.random.default_rng(0)

    def table(of, name, cache, draws):
        at = np.repeat(np.arange(len(of)), 2)
        if name.startswith(extract.FAMILY):
            at = np.flatnonzero(of.labels == 0)
        fake = of.labels[at] if name in ("clean", "h264-crf32", *EDITS, extract.LOOKS) else np.ones(len(at))
        x = rng.normal(0, 1, (len(at), 26)) + 1.2 * fake[:, None] * (np.arange(26) < 4)
        if name.startswith(extract.FAMILY):
            return extract.Table(name, {"contrast": (x, at)})
        rows = np.arange(len(of))
        columns = [rng.uniform(100, 150, len(of)), rng.normal(0, 0.2, len(of)), rng.normal(0, 0.2, len(of))]
        columns += [rng.uniform(3, 8, len(of)), np.where(rows % 12 == 0, 12.0, 25.0), np.full(len(of), 256)]
        cues = rng.normal(0, 1, (len(of), len(extract.CUES)))
        cues[:, 1] = columns[4]
        return extract.Table(
            name, {"contrast": (x, at), "measures": (np.stack(columns, 1), rows), "cues": (cues, rows)}
        )

    monkeypatch.setattr(extract, "fill", lambda *a, **k: [])
    monkeypatch.setattr(extract, "table", table)
    options = FeatureTraining(
        index=(str(path),),
        out=tmp_path / "run",
        rungs=("clean",),
        tests=("clean", "h264-crf32", *EDITS),
        families=("lowres", "swap"),
        folds=3,
        name="a set",
    )
    figures = train_features.train(options)["contrast"]
    assert figures.by == "origin" and figures.figures["clean"].value > 0.8
    assert figures.figures["fitted on families alone; clean"].value > 0.8
    assert figures.cues["sharpness"].behind_by.low > 0 and set(figures.cues) == {
        *extract.CUES,
        "all together",
    }
    again = train_features.train(replace(options, out=tmp_path / "again", folds=4))["contrast"]
    # Another answer on the same labels is another look at them.
    assert (figures.looks.scores, again.looks.scores) == (
        1,
        2,
    )
    said = json.loads((tmp_path / "again" / "contrast" / "card.json").read_text())["limits"]
    assert "scores of 2 trainings" in said[0]
    folder = tmp_path / "run" / "contrast"
    card = json.loads((folder / "card.json").read_text())
    assert "2 methods (a, b)" in card["trained_on"]
    assert any(limit.startswith("With the face covered: AUC ") for limit in card["limits"])
    assert "48 made of the real clips by 2 families (lowres 24, swap 24)" in card["trained_on"]
    assert card["trained_on"].endswith("at these qualities: clean (72 of the clips)")
    assert card["sealed"] is None and card["unseen"]["value"] == figures.figures["clean"].value
    assert card["unseen"]["cue"] and Card.read(folder / "card.json").unseen.skill
    assert sorted(card["clips"]) == sorted(s.sha256[:12] for s in Index.read(path) if s.split != "test")
    told = card["evaluated"][0]["methods"]  # what is missed is counted, by method and in all
    assert set(told) == {"a", "b"} and all(0 <= row["missed"] <= row["fakes"] for row in told.values())
    assert card["unseen"]["missed"] == round(sum(row["missed"] for row in told.values()))
    made = Calibration.read(folder)
    assert made.clips["all"] == 24 and made.weights_sha256 == card["weights_sha256"]
    assert set(made.kinds) == {"detail", "face_px", "side", "compression"}
    # two windows of the clean clip and two of other moments, by models that had seen neither page nor person
    assert len(made.windows) == 24 and {len(own) for own in made.windows} == {4}
    assert made.any_window(-9.0, 1) == 1.0 and made.any_window(9.0, 4) == 0.0
    assert made.clips["clean"] == made.clips["h264-crf32"] == 24
    assert not made.clips.keys() & set(EDITS), "rates are of clips as they come"
    assert made.clips["shorter side under 360 px"] == 24 and made.clips["shorter side from 720 px"] == 0
    assert "face spans 60 pixels" in str(made.unlike({"face_px": 60.0}))
    assert "1.0 s; calibrated for at least" in str(made.unlike({"seconds": 1.0}))
    assert made.unlike({"face_px": 400.0, "seconds": 600.0, "detail": 0.0}) is None
    # two real clips of twelve frames a second are too few to have shown anything
    assert (
        made.unskilled({"fps": 12.0}).code == AbstentionReason.KIND_NOT_VALIDATED
        and made.unskilled({"fps": 25.0}) is None
    )
    assert load("contrast", target=str(folder)).weights_sha256 == card["weights_sha256"]


def test_the_shipped_card_tells_where_a_single_window_stands_out():
    """One window is the clip, and has the clip's own line; of many, the line lies higher, so that real clips with any window over it stay as few."""
    shipped = Calibration.read(WEIGHTS / "contrast")
    assert abs(len(shipped.windows) - shipped.clips["all"]) < 5 and any(len(own) > 1 for own in shipped.windows)
    line = shipped.threshold_of()
    lines = [shipped.threshold_of_windows(count) for count in (1, 2, 8, 60)]
    assert lines[0] == line and lines == sorted(lines) and lines[-1] > line
    for count, own in zip((2, 8, 60), lines[1:], strict=True):
        rate = shipped.any_window(own, count)
        assert interval(round(rate * len(shipped.windows)), len(shipped.windows))[1] <= 0.10
        assert shipped.any_window(line, count) > rate
    assert shipped.any_window(line, 60) > 0.10  # what a strip of ten minutes would mark by the clip's line


def test_at_equal_cues_a_score_that_was_a_cue_tells_nothing_and_one_that_saw_the_making_still_does():
    clips = clips_of(persons=60, methods="ab")
    rng = np.random.default_rng(0)
    y = clips.labels
    cue = rng.normal(0, 1, len(clips)) + 0.8 * y
    making = rng.normal(0, 1, len(clips)) + 1.2 * y
    asked = [validate.Unseen("a", 0, np.flatnonzero(y == 1), np.flatnonzero(y == 0), cue)]
    plain = validate.figure(clips, asked)
    equal = validate.matched(clips, asked, cue[:, None])
    assert plain.value > 0.65 and abs(equal.value - 0.5) <= validate.UNBALANCED
    assert equal.reals < plain.reals and equal.fakes < plain.fakes  # what they are worth
    assert validate.matched(clips, validate.with_scores(asked, making), cue[:, None]).low > 0.6
    # where a cue says everything, no weighting makes clips equal
    assert validate.matched(clips, asked, (y + rng.normal(0, 0.01, len(clips)))[:, None]) is None


def test_where_validation_showed_no_skill_a_reading_is_withheld(card, tmp_path, monkeypatch):
    kind = {
        "measure": "fps",
        "least": 27.0,
        "most": None,
        "value": 0.47,
        "low": 0.38,
        "high": 0.56,
        "reals": 60,
        "fakes": 90,
    }
    document = json.loads((tmp_path / "calibration.json").read_text())
    (tmp_path / "calibration.json").write_text(json.dumps(document | {"kinds_validated": [kind | {"skill": False}]}))
    for fps, read in ((25.0, True), (30.0, False)):
        monkeypatch.setattr(
            calibration, "measures", lambda clip, track=None, fps=fps: {"detail": 0.5, "face_px": 100.0, "fps": fps}
        )
        said = judge(read_as(9.0), footage())
        assert (said.reading.score is not None) == read
        assert read or said.reading.abstained.code == AbstentionReason.NO_SKILL_ON_KIND
        assert read or "0.38 and 0.56" in said.reading.abstained.text


# --------------------------------------------------------------------------- calibration


def test_intervals_are_exact():
    assert interval(0, 86) == (0.0, pytest.approx(0.0420, abs=2e-4))
    assert interval(5, 100) == (pytest.approx(0.0164, abs=2e-4), pytest.approx(0.1128, abs=2e-4))
    assert interval(3, 3)[1] == 1.0


@pytest.fixture
def card(tmp_path):
    rng = np.random.default_rng(0)
    real = [
        Scored(str(i), float(rng.normal()), {"detail": float(rng.uniform(0, 1)), "face_px": 100.0}) for i in range(400)
    ]
    made = calibrate.make("d", "f" * 64, "a set", "2026-01-01", "32f", real)
    made.write(tmp_path)
    remember("f" * 64, tmp_path)
    return Calibration.read(tmp_path)


def read_as(score, weights="f" * 64):
    return Reading("d", "1", weights, score)


def test_a_score_is_quoted_with_what_it_has_meant(card, monkeypatch):
    monkeypatch.setattr(calibration, "measures", lambda clip, track=None: {"detail": 0.5, "face_px": 100.0})
    low, high = judge(read_as(-1.0), footage()), judge(read_as(9.0), footage())
    assert low.level == Level.NO_STRONG_SIGNAL and low.false_alarm > 0.5
    assert high.level == Level.STRONG_SIGNAL and high.false_alarm == 0 and high.high > 0
    assert (
        high.n >= 100 and high.stratum == "middling" and high.calibration_set == "a set" and high.date == "2026-01-01"
    )
    rates = [judge(read_as(s), footage()).false_alarm for s in (-2.0, 0.0, 1.0, 2.0)]
    assert rates == sorted(rates, reverse=True)


def test_a_card_that_admits_no_skill_on_a_sealed_set_takes_the_level_and_leaves_the_rate(card, tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "measures", lambda clip, track=None: {"detail": 0.5, "face_px": 100.0})
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
    assert said.level == Level.NO_SKILL and said.false_alarm == 0 and said.sealed.value == 0.54
    (tmp_path / "card.json").write_text(json.dumps({"summary": "s", "sealed": figure | {"value": 0.8, "low": 0.7}}))
    said = judge(read_as(9.0), footage())
    assert said.level == Level.STRONG_SIGNAL and said.sealed.skill


def by_kind(tmp_path):
    """330 clips at two qualities: small faces score high, large pictures are few, and the worse quality scores a little higher."""
    rng = np.random.default_rng(1)
    real = []
    for i in range(330):
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
    assert card.kinds["compression"] == ("clean", "h264-crf32") and card.clips["clean"] == 330
    assert card.false_alarm(1.0, "clean")[0] < card.false_alarm(1.0, "h264-crf32")[0]
    for names in card.kinds.values():
        assert sum(len(card.scores[name]) for name in names) == len(card.scores["all"]) == 660
    assert card.clips["shorter side from 720 px"] == 20 and card.clips["shorter side under 360 px"] == 0
    small, *_, large = card.kinds["face_px"]
    assert card.false_alarm(2.0, small)[0] > card.false_alarm(2.0, "all")[0] > card.false_alarm(2.0, large)[0]


def test_of_the_kinds_a_clip_is_of_the_one_where_the_score_means_least_speaks(tmp_path, monkeypatch):
    card = by_kind(tmp_path)
    for face, side in ((61.0, 480.0), (170.0, 480.0), (61.0, 1080.0)):
        found = {"detail": 0.5, "face_px": face, "seconds": 5.0, "side": side}
        monkeypatch.setattr(calibration, "measures", lambda clip, track=None, found=found: found)
        said = judge(read_as(2.0), footage())
        own = card.strata(found)
        assert "shorter side from 720 px" not in own  # 20 clips are on the card, and too few to speak
        assert said.stratum in own and said.n == card.clips[said.stratum] >= calibration.FEWEST_STRATUM
        assert said.false_alarm == max(card.false_alarm(2.0, name)[0] for name in own)
        assert said.stratum == card.kinds["face_px"][0] or face > 100
    monkeypatch.setattr(calibration, "measures", lambda clip, track=None: {})
    assert judge(read_as(2.0), footage()).stratum == "all"


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
    monkeypatch.setattr(calibration, "measures", lambda clip, track=None: {"detail": -3.0, "face_px": 100.0})
    withheld = judge(read_as(9.0), footage())
    assert (
        withheld.level == Level.NOT_ASSESSED
        and withheld.reading.score is None
        and withheld.reading.abstained.detail["difference"]["code"] == "differs-in-detail"
    )
    monkeypatch.setattr(calibration, "measures", lambda clip, track=None: {"detail": 0.5, "face_px": 10.0})
    assert "pixels" in judge(read_as(9.0), footage()).reading.abstained.text
    monkeypatch.setattr(calibration, "measures", lambda clip, track=None: {"detail": 0.5, "face_px": 100.0})
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
    assert {name for name, _, _ in results} == set(shipped()) == {"contrast"}
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
            row.low <= row.value <= row.high and row.reals and row.fakes and row.persons for row in card.evaluated
        )
        assert Calibration.read(WEIGHTS / name).weights_sha256 == detector.weights_sha256
        check_detector(detector)


def test_swapped_weights_are_noticed(tmp_path):
    import shutil

    shutil.copytree(WEIGHTS / "contrast", tmp_path / "contrast")
    model = Model.load(tmp_path / "contrast")
    model.standardised(9.0, 1.0).save(tmp_path / "contrast")
    with pytest.raises(WeightsError, match="card"):
        load("contrast", target=str(tmp_path / "contrast"))


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
        assert said.level == Level.NOT_ASSESSED and said.reading.abstained.code == AbstentionReason.NOTHING_MOVES


def first_only(track):
    return FaceTrack(track.id, track.times[:1], track.boxes[:1], track.landmarks[:1], track.quality[:1])


def test_the_qualities_one_may_ask_for_are_degradations_under_the_names_that_cards_keep():
    assert [*QUALITIES] == ["clean", "h264-crf23", "h264-crf32", "h264-crf35", "h264-crf40", "half-crf23"]
    for name, steps in QUALITIES.items():
        assert degrade.parse(steps).name in (name, "none", "shrink-to0.5+h264-crf23")


def test_a_picture_that_a_camera_moves_over_is_not_scored():
    """Its face moves over the screen, larger and smaller, but never changes: no detector was validated on such clips."""
    clip, rng = golden.drawn(), np.random.default_rng(0)
    track = clip.tracks[0]
    one = track.landmarks[0].astype(float)
    moved = []
    for k in range(len(track.landmarks)):
        turn, size = 0.002 * k, 1 + 0.002 * k
        around = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        moved.append(
            (one - one.mean(0)) * size @ around + one.mean(0) + [0.1 * k, -0.05 * k] + rng.normal(0, 0.2, one.shape)
        )
    panned = replace(clip, tracks=(replace(track, landmarks=np.array(moved, np.float32)),))
    assert load("contrast").read(clip).score is not None
    answer = load("contrast").read(panned)
    assert answer.score is None and answer.abstained.code == AbstentionReason.FACE_NEVER_CHANGES
    # A short look at a living face is said with its length, and not likened to a photograph.
    assert answer.abstained.detail["moments"] >= 4 and 0 < answer.abstained.detail["seconds"] < clip.duration
    assert f"within {answer.abstained.detail['seconds']:.1f} s" in answer.abstained.text and "photo" not in str(answer)
