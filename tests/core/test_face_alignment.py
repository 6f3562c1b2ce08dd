"""face-alignment's networks from local files: the loading runs, the decoding matches the original's, nothing is fetched."""

import json
import socket

import numpy as np
import pytest
from skimage.data import astronaut

from gioconda_core import testing
from gioconda_core.errors import UsageError, WeightsError
from gioconda_core.faces import align, face_alignment
from gioconda_core.faces.face_alignment import FaceAlignmentLandmarker
from gioconda_core.files import sha256_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store with random weights of the right shapes for FAN and BlazeFace."""
    import torch
    from face_alignment.detection.blazeface.net_blazeface import BlazeFace
    from face_alignment.models import FAN

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    stored(folder, "fan2d-4", FAN(4).state_dict())
    stored(folder, "blazeface", BlazeFace().state_dict())
    return folder


def stored(folder, name, state):
    from safetensors.torch import save_file

    save_file(state, folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps({"sha256": sha256_of(folder / f"{name}.safetensors")}))


@pytest.fixture
def at(monkeypatch):
    return lambda folder: monkeypatch.setenv("GIOCONDA_WEIGHTS", str(folder))


@pytest.fixture(scope="module")
def mark(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIOCONDA_WEIGHTS", str(folder))
        return FaceAlignmentLandmarker("cpu")


@pytest.mark.slow
def test_it_is_built_from_local_files_and_keeps_the_contract(mark):
    # S3FD's file is not there: BlazeFace is taken.
    assert mark.detector == "blazeface" and mark.version == "1.5.0-blazeface"
    testing.check_landmarker(mark)
    assert len(mark.landmarks(astronaut(), np.array([[170, 70, 270, 170], [0, 0, 50, 50]], np.float32))) == 2


def test_nothing_is_downloaded_when_weights_are_missing(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a landmarker opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("GIOCONDA_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        FaceAlignmentLandmarker("cpu")
    assert "models pull fan2d-4" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_weights_of_another_network_are_refused(tmp_path, folder, at):
    from safetensors.torch import load_file

    stored(tmp_path, "fan2d-4", load_file(folder / "blazeface.safetensors"))
    at(tmp_path)
    with pytest.raises(WeightsError, match="not the weights of this network"):
        FaceAlignmentLandmarker("cpu")


def test_names_that_mean_nothing_are_usage_errors(folder, at):
    at(folder)
    with pytest.raises(UsageError):
        FaceAlignmentLandmarker("cpu", detector="haar")  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        FaceAlignmentLandmarker("cuda:7")


def test_of_boxes_on_one_face_the_surest_is_kept():
    boxes = np.array([[0, 0, 10, 10, 0.6], [1, 0, 11, 10, 0.9], [30, 0, 40, 10, 0.7], [5, 0, 15, 10, 0.5]], np.float32)
    assert face_alignment._nms(boxes)[:, 4].tolist() == pytest.approx([0.9, 0.7])
    assert face_alignment._nms(boxes[:0]).shape == (0, 5)


def test_heatmaps_are_decoded_as_face_alignment_does(monkeypatch):
    from face_alignment import utils

    # As Python, for compiling these loops takes longer than running them.
    monkeypatch.setattr(utils, "_get_preds_fromhm", utils._get_preds_fromhm.py_func)
    heat = np.random.default_rng(0).random((3, 68, 64, 64)).astype(np.float32)
    ours, peaks = face_alignment._decode(heat)
    theirs, _, scores = utils.get_preds_fromhm(heat.copy())
    # Theirs: cells from the edge; ours: pixel centres of the input.
    assert np.allclose(ours, theirs * 4 - 0.5, atol=1e-4)
    assert np.allclose(peaks, scores)


@pytest.mark.parametrize("box", [(300, 120, 420, 240), (40, 60, 76, 96), (-30, -20, 90, 100)])
def test_a_peak_in_the_heatmap_lands_on_its_place_in_the_frame(mark, monkeypatch, box):
    import torch

    # A stand-in for FAN that sees one thing, brightness: every point must come out where the bright spot is.
    class Bright(torch.nn.Module):
        def forward(self, x):
            return [torch.nn.functional.avg_pool2d(x.mean(1, keepdim=True), 4).expand(-1, 68, -1, -1)]

    side = box[2] - box[0]
    spot = np.array([box[0] + 0.7 * side, box[1] + 0.6 * side])
    y, x = np.mgrid[:400, :640]
    blob = np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / (2 * (side / 20) ** 2)) * 255
    frame = np.repeat(blob[..., None], 3, axis=2).astype(np.uint8)
    monkeypatch.setattr(mark, "_fan", Bright())
    points = mark.landmarks(frame, np.array([box], np.float32))
    cell = 200 / 195 * 2.22 * side / 64
    assert np.abs(points[0] - spot).max() < 0.6 * cell


@pytest.mark.slow
def test_s3fd_boxes_are_those_of_face_alignment(mark, monkeypatch):
    import torch
    from face_alignment.detection.sfd.detect import batch_detect
    from face_alignment.detection.sfd.net_s3fd import s3fd

    torch.manual_seed(1)
    network = s3fd().eval()
    monkeypatch.setattr(mark, "_finder", network)
    frame = np.ascontiguousarray(astronaut()[:160, 100:300])
    ours = mark._sfd([frame])[0]
    theirs = batch_detect(network, torch.from_numpy(frame.transpose(2, 0, 1)[None].copy()), "cpu")
    theirs = theirs.reshape(-1, 5)
    theirs = theirs[theirs[:, 4] > 0.5]
    assert len(ours) == len(theirs) > 0
    assert np.allclose(ours + np.float32([0.5, 0.5, 0.5, 0.5, 0]), theirs, atol=0.05)


def test_blazeface_covers_a_wide_frame(mark, monkeypatch):
    import torch

    # A stand-in that fires one anchor in the middle of every square it is shown.
    class Middle(torch.nn.Module):
        def forward(self, x):
            raw, logits = torch.zeros(len(x), 896, 16), torch.full((len(x), 896, 1), -9.0)
            raw[:, :, 2:4] = 32.0  # a quarter of the square
            middle = 2 * (16 * 8 + 8)
            logits[:, middle] = 9.0
            return raw, logits

    monkeypatch.setattr(mark, "_finder", Middle())
    boxes = mark._blaze([np.zeros((180, 640, 3), np.uint8)])[0]
    centres = np.sort((boxes[:, 0] + boxes[:, 2]) / 2)
    assert centres[0] < 100 and centres[-1] > 540 and np.diff(centres).max() <= 91
    assert np.allclose(boxes[:, 2] - boxes[:, 0], 45, atol=0.1)


def test_face_squares_follow_the_detectors_convention():
    # The crop that follows from the square must be face-alignment's own crop of the box it came from.
    box = np.array([[100, 80, 190, 205, 0.9]], np.float32)
    (square,) = face_alignment._squares(box)
    side = square[2] - square[0]
    centre = (square[0] + square[2]) / 2, (square[1] + square[3]) / 2 - face_alignment._RAISE * side
    width, height = 90, 125
    assert face_alignment._CROP * side == pytest.approx(200 * (width + height) / 195, rel=1e-5)
    assert centre == pytest.approx((145, 142.5 - 0.12 * height), rel=1e-5)


def test_overlapping_boxes_become_one():
    boxes = np.array([[0, 0, 10, 10, 0.6], [1, 1, 11, 11, 0.9], [30, 30, 40, 40, 0.7]], np.float32)
    assert face_alignment._nms(boxes)[:, 4].tolist() == pytest.approx([0.9, 0.7])
    assert face_alignment._nms(np.zeros((0, 5), np.float32)).shape == (0, 5)


def test_mirroring_pairs_are_the_ones_of_face_alignment():
    import torch
    from face_alignment.utils import shuffle_lr

    assert shuffle_lr(torch.arange(68)[:, None, None])[:, 0, 0].tolist() == align.MIRROR.tolist()


@pytest.mark.gpu
def test_on_a_gpu_it_gives_the_same_points_in_batches(folder, mark, at):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    at(folder)
    fast = FaceAlignmentLandmarker("cuda")
    assert fast.batch > 1 and fast.version == mark.version
    frame, boxes = astronaut(), np.array([[170, 70, 270, 170]] * 5, np.float32)
    agree = np.linalg.norm(fast.landmarks(frame, boxes) - mark.landmarks(frame, boxes), axis=-1) < 4
    assert agree.mean() > 0.9  # random weights: an argmax may tip over
    assert [len(b) for b in fast.detect([frame] * 9)] == [len(b) for b in mark.detect([frame] * 9)]
