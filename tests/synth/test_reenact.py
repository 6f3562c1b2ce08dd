"""Reenactment: what comes out is signed, labelled and where it belongs; what cannot be done is refused with a reason."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from puppet_material import clip, puppet, tone

from gioconda_core.errors import MediaError, UsageError
from gioconda_core.faces import align
from gioconda_core.files import sha256_of
from gioconda_core.media.clip import Clip, write_image, write_video
from gioconda_core.types import Audio
from provenance.reading.read import read
from synth import consent
from synth.generators import WarpGenerator, generator
from synth.reenact.framing import save_track
from synth.reenact.reenact import LABEL, Reenact, draw_icon, draw_label, reenact
from synth.session import Session

HEADS = WarpGenerator(size=128)
QUICK = Reenact(seconds=0.4, most_shots=2, mark=False, label=False)


def frames_of(path):
    with Clip.open(path) as found:
        return found.sample("all")[0]


def quick(**changes):
    from dataclasses import replace

    return replace(QUICK, **changes)


@pytest.fixture
def portrait(tmp_path):
    path = tmp_path / "portrait.png"
    write_image(path, puppet(3, 5).frames[0])
    return path


@pytest.mark.slow
def test_three_drivers_one_portrait(portrait, tmp_path):
    made = reenact(
        [portrait],
        ["puppets:4/1", "puppets:5/1", "puppets:6/1"],
        tmp_path / "out",
        HEADS,
        quick(),
        Session("public-domain"),
    )
    assert len(made) == 3 and len({m.path for m in made}) == 3
    clips = [frames_of(m.path) for m in made]
    assert all(c.shape == (10, 256, 256, 3) for c in clips)
    # Three drivers, three motions of the same face.
    assert np.abs(clips[0][5].astype(int) - clips[1][5]).mean() > 0.5
    for item in made:
        found = read(item.path)
        assert str(found.state) in ("valid", "trusted") and found.says_ai
        assert found.label["label"] == "fake" and found.label["task"] == "cross-reenactment"
        assert found.label["source_sha256"] == [sha256_of(portrait)]
        assert found.label["params"]["adaptation"]["mode"] == "relative"
        assert found.label["consent"] == "public-domain" and len(found.ingredients) == 2
    log = consent.check_log()
    assert [r.outputs[0] for r in log.rows] == [sha256_of(m.path) for m in made] and not log.broken


def test_the_picture_outside_the_face_stays(portrait, tmp_path):
    from synth.reenact.shots import load_shots

    shots = load_shots([portrait], 128)
    made = reenact([portrait], ["puppets:4/1"], tmp_path / "a.mp4", HEADS, quick(crf=0), Session("public-domain"))
    result = frames_of(made[0].path).astype(int)
    still = puppet(3, 5).frames[0].astype(int)
    x0, y0 = -shots.matrices[0][:, 2] / shots.matrices[0][0, 0]
    outside = np.ones((256, 256), bool)
    side = 128 / shots.matrices[0][0, 0]
    outside[max(0, int(y0) - 2) : int(y0 + side) + 3, max(0, int(x0) - 2) : int(x0 + side) + 3] = False
    assert outside.sum() > 500
    assert np.abs(result - still)[:, outside].mean() < 3  # the codec's 4:2:0 and nothing else
    assert np.abs(result - still)[:, ~outside].mean() > 1


def test_the_seam_is_soft():
    from synth.reenact.reenact import _place
    from synth.reenact.shots import Shots

    base = np.full((200, 200, 3), 100, np.uint8)
    matrix = np.array([[1.0, 0, -50], [0, 1.0, -50]])
    face = (np.array(align.FACE_SHAPE, np.float32)[None] + 0.45) / 1.9 * 100
    shots = Shots(base[None, :100, :100], face, (base,), (matrix,), (1,))
    out = _place(np.full((1, 100, 100, 3), 200, np.uint8), face, shots, Reenact())[0].astype(int)
    assert out[100, 100, 0] == 200 and out[100, 20, 0] == 100
    assert np.abs(np.diff(out[100, :, 0])).max() < 30
    # Only the head is pasted: the crop's corners keep the source's background.
    assert out[52:60, 52:60].max() == 100 and out[140:148, 140:148].max() == 100
    # A head that has moved away still covers the place where it was.
    moved = _place(np.full((1, 100, 100, 3), 200, np.uint8), face + np.float32([8, 0]), shots, Reenact())[0]
    assert (moved[60:140, 60:140] >= out[60:140, 60:140] - 1).all() and moved.astype(int).sum() > out.sum()


def test_a_preview_sets_moments_below_one_another():
    from synth.reenact.reenact import strip

    source = np.full((64, 64, 3), 90, np.uint8)
    frame, driver = np.zeros((300, 100, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)
    frame[:, 50] = 255
    driver[:, 32] = 255
    picture = strip(source, [(driver, frame)] * 5)
    assert picture.shape == (320, 6 * 160, 3) and picture[240, 80, 0] == 90  # the source stands before them
    above, below = picture[80, 160:, 0].astype(float), picture[240, 160:, 0].astype(float)
    for k in range(5):
        cells = [row[k * 160 : (k + 1) * 160] for row in (above, below)]
        assert abs(cells[0].argmax() - cells[1].argmax()) <= 3
    assert strip(source, [(None, frame)] * 5).shape == (160, 6 * 160, 3)


def test_a_preview_has_one_label_and_beside_the_result_stands_the_pictures_own_shot(portrait, tmp_path):
    """Labels of the moments would lie under the strip's; a shot from the network's crop would be soft."""
    made = reenact(
        [portrait], ["puppets:4/1"], tmp_path / "a.mp4", HEADS,
        quick(side_by_side=True, preview=True, label=True), Session("public-domain"),
    )[0]  # fmt: skip
    import cv2

    preview = cv2.imread(str(made.preview))
    bars = [preview[140:158, k * 160 + 4 : k * 160 + 60].mean() for k in range(1, 9)]
    assert np.ptp(bars) < 60, "no moment has a dark bar of its own"
    whole = cv2.imread(str(portrait))[..., ::-1].astype(int)
    shown = frames_of(made.path)[0].astype(int)
    assert np.abs(shown[:, : whole.shape[1]] - whole).mean() < 4


@pytest.mark.parametrize("name", ["warp", "hybrid"])
def test_frames_go_to_the_encoder_as_they_come(monkeypatch, name):
    """No more than some frames are alive at a time, however long the clip is."""
    import gc

    from synth.generators import generator
    from synth.reenact import reenact as module
    from synth.reenact.shots import load_driver, load_shots

    heads = generator(name, size=128)
    person, driver = load_shots(["puppets:3/1"], 128, most=1), load_driver("puppets:4/1", 128, Reenact(seconds=2))
    model = heads.personalise(person.frames, person.landmarks, mode="ff", steps=None, seed=0)
    marks = driver.landmarks
    drawing = module._Drawing(model, marks, person, driver, quick(frame="crop"), False, lambda n: None)
    alive, most, count = [], 0, 0
    import weakref

    for frame in drawing:
        count += 1
        alive = [ref for ref in alive if ref() is not None]
        alive.append(weakref.ref(frame))
        most = max(most, sum(ref() is not None for ref in alive))
    gc.collect()
    assert count == len(marks) == 50 and most <= 32


def test_what_an_untuned_network_drew_is_said_not_to_be_for_single_clips(portrait, tmp_path):
    from synth.model.config import Config
    from synth.model.networks import Model, save_checkpoint
    from synth.reenact.reenact import FED_FORWARD, FewShotGenerator

    path = save_checkpoint(tmp_path / "m.safetensors", Model.fresh(Config("pocket", 64, 8), seed=1))
    said = []
    for name, heads in (("a", FewShotGenerator(path)), ("b", HEADS)):
        session = Session("public-domain", say=said.append)
        reenact([portrait], ["puppets:4/1"], tmp_path / f"{name}.mp4", heads, quick(mode="ff"), session)
    assert said == [f"a.mp4: {FED_FORWARD}"] and "not for single clips" in FED_FORWARD


def test_tuning_counts_its_own_steps_and_then_the_frames(tmp_path, monkeypatch):
    """One bar for both would say of the time left what is true of neither."""
    from synth.model.config import Config
    from synth.model.networks import Model, save_checkpoint
    from synth.reenact.reenact import FewShotGenerator

    save_checkpoint(tmp_path / "m.safetensors", Model.fresh(Config("pocket", 64, 8), seed=1))
    told, said = [], []
    session = Session(
        "embedded", say=said.append,
        begin=lambda total: told.append([total, 0]), advance=lambda n=1, note="": told[-1].__setitem__(1, told[-1][1] + n),
    )  # fmt: skip
    heads = FewShotGenerator(tmp_path / "m.safetensors", content="multiscale")
    made = reenact(["puppets:3/1"], ["puppets:4/1"], tmp_path / "a.mp4", heads, quick(mode="ft", steps=3), session)
    assert told == [[3, 3], [made[0].frames, made[0].frames]]
    assert made[0].claim.params["steps"] == 3 and made[0].claim.params["content"].startswith("multi-scale")
    assert read(made[0].path).label["params"]["content"] == made[0].claim.params["content"]
    assert any("tuned in 3 steps by multi-scale" in line for line in said)


def test_the_label_is_seen_and_not_too_large():
    for shape in ((2, 64, 64, 3), (2, 256, 256, 3), (1, 720, 1280, 3), (1, 512, 96, 3)):
        grey = np.full(shape, 128, np.uint8)
        drawn = grey.copy()
        for frame in drawn:
            draw_label(frame)
        changed = (drawn != grey).any((0, 3))
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        assert rows.min() > shape[1] * 0.7 and np.ptp(columns) < shape[2] * 0.62
        assert drawn.max() > 180 and drawn[changed[None].repeat(shape[0], 0)].min() < 60
    assert LABEL == "AI-GENERATED"


def test_an_icon_keeps_its_proportions_and_lies_in_the_lower_right_corner(tmp_path):
    from PIL import Image

    icon = np.zeros((40, 120, 4), np.uint8)  # three times as wide as high, black, its right half clear
    icon[:, :60, 3] = 255
    Image.fromarray(icon).save(tmp_path / "icon.png")
    white = np.full((256, 320, 3), 255, np.uint8)
    drawn = white.copy()
    draw_icon(drawn, str(tmp_path / "icon.png"))
    rows, columns = (np.flatnonzero((drawn < 128).any((axis, 2))) for axis in (1, 0))
    assert np.ptp(rows) + 1 == 32 and abs(np.ptp(columns) + 1 - 48) <= 1 and rows.max() >= 245
    assert columns.max() < 320 - 48
    with pytest.raises(MediaError, match="does not fit"):
        draw_icon(white[:40, :40].copy(), str(tmp_path / "icon.png"))
    (tmp_path / "no.png").write_bytes(b"no picture")
    with pytest.raises(MediaError, match="no picture"):
        draw_icon(white.copy(), str(tmp_path / "no.png"))
    with pytest.raises(UsageError, match="no such file"):
        Reenact(icon=str(tmp_path / "missing.png"))


def test_chinas_label_and_the_icon_are_there_on_request_and_iptcs_always(tmp_path):
    from PIL import Image

    from gioconda.report import metadata

    Image.new("RGBA", (30, 30), (250, 0, 0, 255)).save(tmp_path / "icon.png")
    asked = quick(aigc="Example Studio", icon=str(tmp_path / "icon.png"))
    plain, marked = (
        reenact(["puppets:3/1"], ["puppets:4/1"], tmp_path / name, HEADS, job, Session("embedded"))[0].path
        for name, job in (("plain.mp4", quick()), ("marked.mp4", asked))
    )
    kinds = [{mark["kind"]: mark for mark in metadata._child(str(path))["declared"]} for path in (plain, marked)]
    assert all(found["source-type"]["value"] == "trainedAlgorithmicMedia" for found in kinds)
    assert (
        "aigc" not in kinds[0] and kinds[1]["aigc"]["producer"] == "Example Studio" and kinds[1]["aigc"]["produce_id"]
    )
    corner = [frames_of(path)[:, 225:245, 225:245].mean((0, 1, 2)) for path in (plain, marked)]
    assert corner[1][0] > 180 and corner[1][1] < 80 and np.abs(corner[1] - corner[0]).max() > 60
    assert read(marked).state.intact


def test_the_label_is_on_by_default_and_leaving_it_off_needs_consent(tmp_path):
    assert Reenact().label and Reenact().mark
    with pytest.raises(UsageError, match="--no-label needs --consent"):
        reenact(["puppets:3/1"], ["puppets:4/1"], tmp_path / "a.mp4", HEADS, quick())
    with_label = reenact(["puppets:3/1"], ["puppets:4/1"], tmp_path / "b.mp4", HEADS, quick(label=True))[0]
    without = reenact(["puppets:3/1"], ["puppets:4/1"], tmp_path / "c.mp4", HEADS, quick(), Session("embedded"))[0]
    difference = np.abs(frames_of(with_label.path).astype(int) - frames_of(without.path)).mean((0, 3))
    assert difference[235:250, 10:60].mean() > 20 and difference[:150].mean() < 2


def test_beside_the_shot_and_the_driver_the_label_is_on_the_result(tmp_path):
    pictures = [
        reenact(['puppets:3/1'], ['puppets:4/1'], tmp_path / f'{on}.mp4', HEADS, quick(side_by_side=True, label=on), Session('embedded'))
        for on in (True, False)
    ]  # fmt: skip
    on, off = (frames_of(made[0].path).astype(int) for made in pictures)
    difference = np.abs(on - off).mean((0, 3))[235:250]
    assert difference[:, 522:572].mean() > 20 and difference[:, :512].mean() < 2


def test_the_invisible_mark_is_signed_and_read_back(tmp_path):
    from provenance.watermark import mark as marks

    made = reenact(
        ["puppets:3/1"], ["puppets:4/1"], tmp_path / "a.mp4", HEADS, quick(mark=True, preview=True), Session("embedded")
    )[0]
    for path in (made.path, made.preview):  # the picture beside the clip too
        binding = read(path).soft_bindings[0]
        reading = marks.read(frames_of(path))
        assert reading.value is not None and reading.value in str(binding)
    assert consent.check_log().rows[-1].outputs == (sha256_of(made.path), sha256_of(made.preview))


def test_real_people_need_consent(portrait, tmp_path):
    with pytest.raises(UsageError, match="need consent"):
        reenact([portrait], ["puppets:4/1"], tmp_path / "a.mp4", HEADS, quick(label=True))
    consent.template(tmp_path / "c.toml", "P", ["reenact"], "CC0-1.0", [str(portrait)])
    made = reenact([portrait], ["puppets:4/1"], tmp_path / "a.mp4", HEADS, quick(), Session(tmp_path / "c.toml"))
    assert read(made[0].path).label["consent"] == sha256_of(tmp_path / "c.toml")


def test_a_driver_who_is_shown_needs_consent_too(tmp_path):
    driver = clip(tmp_path / "driver.mp4", 4, 6)
    with pytest.raises(UsageError, match="the driver's face is shown too"):
        reenact(["puppets:3/1"], [driver], tmp_path / "a.mp4", HEADS, quick(label=True, preview=True))
    assert not (tmp_path / "a.mp4").exists()
    reenact(["puppets:3/1"], [driver], tmp_path / "a.mp4", HEADS, quick(label=True))  # only the motion: nobody is seen
    consent.template(tmp_path / "c.toml", "D", ["reenact"], "CC0-1.0", [str(driver)])
    made = reenact(
        ["puppets:3/1"],
        [driver],
        tmp_path / "b.mp4",
        HEADS,
        quick(label=True, preview=True),
        Session(tmp_path / "c.toml"),
    )
    assert made[0].preview is not None


def test_a_clip_drives_with_its_sound_and_a_saved_track_drives_the_same(tmp_path):
    driver = clip(tmp_path / "driver.mp4", 4, 6, audio=Audio(tone(tmp_path / "tone.m4a")))
    made = reenact(
        ["puppets:3/1"],
        [driver],
        tmp_path / "a.mp4",
        HEADS,
        quick(side_by_side=True, start=0.12, preview=True, save_tracks=True),
        Session("embedded"),
    )[0]
    with Clip.open(made.path) as found:
        assert found.facts.has_audio and (found.facts.width, found.facts.height) == (3 * 256, 256)
    assert read(made.preview).label["label"] == "fake"
    again = reenact(["puppets:3/1"], [tmp_path / "a.npz"], tmp_path / "b.mp4", HEADS, quick(), Session("embedded"))[0]
    assert again.frames == made.frames and again.adapted.reference == made.adapted.reference
    with Clip.open(again.path) as found:
        assert not found.facts.has_audio


def test_a_clip_of_shots_is_pasted_back_frame_by_frame(tmp_path):
    source = clip(tmp_path / "source.mp4")
    made = reenact([source], ["puppets:4/1"], tmp_path / "a.mp4", HEADS, quick(most_shots=4), Session("embedded"))[0]
    corner = frames_of(made.path)[:, :40, :20].astype(int)
    assert np.abs(np.diff(corner, axis=0)).mean() > 0.3  # the camera's noise goes on behind the face
    assert made.claim.params["shots"] == 4


def test_a_camera_drives_and_a_missing_one_is_said(tmp_path, monkeypatch):
    import cv2

    class Camera:
        def __init__(self, number):
            self.frames = iter(puppet(4, 6).frames[:10] if number == 1 else ())
            self.there = number == 1

        def isOpened(self):
            return self.there

        def read(self):
            frame = next(self.frames, None)
            return frame is not None, None if frame is None else frame[:, :, ::-1]

        def release(self):
            self.there = False

    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    made = reenact(["puppets:3/1"], ["camera:1"], tmp_path / "a.mp4", HEADS, quick(seconds=60), Session("embedded"))[0]
    assert made.frames == 10 and made.driver == "camera"
    refused(MediaError, "camera cannot be opened", ["puppets:3/1"], ["camera:0"], tmp_path / "b.mp4")


def test_output_sizes(portrait, tmp_path):
    small = reenact([portrait], ["puppets:4/1"], tmp_path / "a.mp4", HEADS, quick(side=200), Session("embedded"))[0]
    crop = reenact([portrait], ["puppets:4/1"], tmp_path / "b.mp4", HEADS, quick(frame="crop"), Session("embedded"))[0]
    assert frames_of(small.path).shape[1:3] == (200, 200) and frames_of(crop.path).shape[1:3] == (128, 128)


def test_a_real_portrait(tmp_path):
    data = pytest.importorskip("skimage.data")
    write_image(tmp_path / "astronaut.png", data.astronaut())
    made = reenact(
        [tmp_path / "astronaut.png"],
        ["puppets:4/1"],
        tmp_path / "a.mp4",
        HEADS,
        quick(label=True),
        Session("public-domain"),
    )[0]
    assert frames_of(made.path).shape == (10, 512, 512, 3)


# ---- bad input, each with a clear reason


def refused(error, match, *arguments, **options):
    with pytest.raises(error, match=match):
        reenact(*arguments, HEADS, options.pop("job", quick()), Session("embedded"), **options)


def test_no_face_in_the_shot(tmp_path):
    write_image(tmp_path / "wall.png", np.full((200, 200, 3), 128, np.uint8))
    refused(MediaError, "wall.png: no face found", [tmp_path / "wall.png"], ["puppets:4/1"], tmp_path / "a.mp4")


def test_two_faces_must_be_chosen_between(tmp_path):
    import cv2

    small = cv2.resize(puppet(4, 6).frames[0], (180, 180), interpolation=cv2.INTER_AREA)
    two = np.zeros((256, 436, 3), np.uint8)
    two[:, :256], two[:180, 256:] = puppet(3, 5).frames[0], small
    write_image(tmp_path / "two.png", two)
    shots, drive = [tmp_path / "two.png"], ["puppets:6/1"]
    refused(UsageError, "2 faces found.*--face 0…1", shots, drive, tmp_path / "a.mp4")
    refused(UsageError, "no face 2, only 2", shots, drive, tmp_path / "a.mp4", job=quick(face=2))
    from synth.reenact.shots import load_shots

    sides = [1 / load_shots(shots, 128, face=k).matrices[0][0, 0] for k in (0, 1)]
    assert sides[0] > 1.2 * sides[1]  # 0 is the largest


@pytest.mark.slow
def test_two_faces_of_a_driver_are_chosen_between(tmp_path):
    import cv2

    from synth.reenact.shots import load_driver

    truth = [puppet(3, 5).landmarks[:10], puppet(4, 6).landmarks[:10]]
    two = np.zeros((10, 256, 436, 3), np.uint8)
    two[:, :, :256] = puppet(3, 5).frames[:10]
    two[:, :180, 256:] = [cv2.resize(f, (180, 180), interpolation=cv2.INTER_AREA) for f in puppet(4, 6).frames[:10]]
    write_video(tmp_path / "two.mp4", iter(two), fps=Fraction(25))
    refused(UsageError, "2 faces found.*--driver-face 0…1", ["puppets:6/1"], [tmp_path / "two.mp4"], tmp_path / "a.mp4")

    def shape(points):
        return (points - points.mean(1, keepdims=True)) / points.std()

    for face in (0, 1):
        found = shape(load_driver(tmp_path / "two.mp4", 128, Reenact(driver_face=face)).landmarks)
        own, other = (np.abs(found - shape(truth[k])).mean() for k in (face, 1 - face))
        assert own < other
    for other, task in ((1, "cross-reenactment"), (0, "self-reenactment")):
        job = quick(face=0, driver_face=other, most_shots=1)
        made = reenact(
            [tmp_path / "two.mp4"], [tmp_path / "two.mp4"], tmp_path / f"{other}.mp4", HEADS, job, Session("embedded")
        )
        assert made[0].claim.task == task


def test_a_choice_of_face_where_there_is_none_is_refused(tmp_path):
    np.savez(tmp_path / "t.npz", times=np.arange(10) / 25, landmarks=puppet().landmarks[:10])
    out = tmp_path / "a.mp4"
    refused(UsageError, "--face: a puppet is one face", ["puppets:3/1"], ["puppets:4/1"], out, job=quick(face=0))
    for driver in ("puppets:4/1", tmp_path / "t.npz"):
        refused(UsageError, "--driver-face.*one face", ["puppets:3/1"], [driver], out, job=quick(driver_face=0))
    refused(UsageError, "--start: a camera has no past", ["puppets:3/1"], ["camera:0"], out, job=quick(start=1))


def test_a_shot_smaller_than_64_px(tmp_path):
    import cv2

    tiny = cv2.resize(puppet(3, 5).frames[0], (110, 110), interpolation=cv2.INTER_AREA)
    write_image(tmp_path / "tiny.png", cv2.copyMakeBorder(tiny, 60, 60, 60, 60, cv2.BORDER_REPLICATE))
    refused(MediaError, "at least 64", [tmp_path / "tiny.png"], ["puppets:4/1"], tmp_path / "a.mp4")


def test_a_driver_of_one_frame(tmp_path, portrait):
    refused(MediaError, "one frame: nothing moves", ["puppets:3/1"], [portrait], tmp_path / "a.mp4")
    np.savez(tmp_path / "one.npz", times=np.zeros(1), landmarks=puppet().landmarks[:1])
    refused(MediaError, "one frame: nothing moves", ["puppets:3/1"], [tmp_path / "one.npz"], tmp_path / "a.mp4")


def test_a_driver_with_gaps(tmp_path):
    marks, times = puppet(4, 6).landmarks.copy(), np.arange(20) / 10
    marks[4:7] = np.nan
    save_track(tmp_path / "gap.npz", times, marks, fps=10, size=(256, 256))
    refused(
        MediaError,
        "away for 0.40 s from 0.30 s",
        ["puppets:3/1"],
        [tmp_path / "gap.npz"],
        tmp_path / "a.mp4",
        job=quick(max_gap=0.2, seconds=2),
    )
    said = []
    made = reenact(
        ["puppets:3/1"],
        [tmp_path / "gap.npz"],
        tmp_path / "a.mp4",
        HEADS,
        quick(seconds=2),
        Session("embedded", say=said.append),
    )
    assert made[0].filled == 3 and made[0].claim.params["filled"] == 3 and "3 of 20 moments" in said[0]


def test_a_folder_that_cannot_be_written_and_a_file_that_is_there(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"mine")
    refused(UsageError, "already exists", ["puppets:3/1"], ["puppets:4/1"], tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == b"mine"
    refused(UsageError, "cannot be written", ["puppets:3/1"], ["puppets:4/1"], tmp_path / "a.mp4" / "below" / "b.mp4")


def test_a_folder_that_is_there_but_takes_nothing_is_said_before_anything_is_learned():
    class Learning(WarpGenerator):
        def personalise(self, *args, **options):
            pytest.fail("minutes of tuning came first")

    with pytest.raises(UsageError, match=r"b\.mp4: cannot be written"):
        reenact(["puppets:3/1"], ["puppets:4/1"], "/proc/b.mp4", Learning(size=128), quick(), Session("embedded"))


def test_a_shot_that_is_no_picture(tmp_path):
    (tmp_path / "x.png").write_bytes(b"hello")
    refused(MediaError, "x.png", [tmp_path / "x.png"], ["puppets:4/1"], tmp_path / "a.mp4")


def test_settings_that_mean_nothing():
    for bad in ({"mode": "fast"}, {"frame": "half"}, {"seconds": 0}, {"side": -1}):
        with pytest.raises(UsageError):
            Reenact(**bad)
    with pytest.raises(UsageError, match="no generator named"):
        generator("mona")
    with pytest.raises(UsageError, match="not a puppet"):
        from synth.reenact.shots import load_shots

        load_shots(["puppets:seven"], 128)


def test_a_gpu_draws_in_batches_of_one_size():
    """What was tuned on a device is drawn on it; a clip's pixels must not depend on how many frames stand beside it."""
    from typing import ClassVar

    from synth.reenact.reenact import _Sitter

    seen = []

    class Model:
        facts: ClassVar = {"steps": 7}

        def render(self, landmarks, **options):
            seen.append((len(landmarks), options))
            return landmarks[:, 0, :1]

    marks = np.arange(40, dtype=np.float32)[:, None, None].repeat(68, 1).repeat(2, 2)
    sitter = _Sitter(Model(), "cuda:1")
    drawn = sitter.render(marks)
    assert (
        sitter.steps == 7
        and seen == [(64, {"device": "cuda:1", "batch": 32})]
        and drawn[:, 0].tolist() == list(range(40))
    )
    assert len(_Sitter(Model(), "cpu").render(marks)) == 40 and seen[1] == (40, {})


def test_the_trained_generator_goes_the_same_way(tmp_path):
    from synth.model.config import Config
    from synth.model.networks import Model, save_checkpoint

    save_checkpoint(tmp_path / "m.safetensors", Model.fresh(Config("pocket", 64, 8)))
    heads = generator("few-shot", model=tmp_path / "m.safetensors", device="cpu")
    assert heads.size == 64 and heads.weights_sha256
    for mode, steps in (("ff", None), ("ft", 2)):
        job = quick(mode=mode, steps=steps)
        made = reenact(["puppets:3/1"], ["puppets:4/1"], tmp_path / f"{mode}.mp4", heads, job, Session("embedded"))[0]
        label = read(made.path).label
        assert (label["weights_sha256"], label["params"]["steps"]) == (heads.weights_sha256, steps or 0)
