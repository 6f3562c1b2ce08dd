"""Alignment: a similarity that can be undone, crops of different sizes that agree, pasting that gives back what was taken."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gioconda_core.errors import UsageError
from gioconda_core.faces import align


def face(scale: float = 100.0, angle: float = 0.0, x: float = 150.0, y: float = 120.0) -> np.ndarray:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return ((align.FACE_SHAPE - 0.5) * scale @ turn.T + (x, y)).astype(np.float32)


poses = st.tuples(st.floats(15, 900), st.floats(-3.1, 3.1), st.floats(-500, 2500), st.floats(-500, 2500))


@settings(max_examples=60, deadline=None)
@given(pose=poses, size=st.integers(32, 512), margin=st.floats(0, 1.5))
def test_the_transform_is_a_similarity_that_puts_the_face_in_its_place_and_can_be_undone(pose, size, margin):
    landmarks = face(*pose)
    matrix = align.transform(landmarks, size, margin)
    linear = matrix[:, :2]
    assert np.allclose(
        linear @ linear.T, np.eye(2) * np.linalg.det(linear), atol=1e-6 * np.abs(linear).max() ** 2 + 1e-9
    )
    assert np.linalg.det(linear) > 0  # a reflection would swap left and right
    there = align.apply(matrix, landmarks)
    want = (align.FACE_SHAPE + margin) * size / (1 + 2 * margin) - 0.5
    assert np.abs(there - want).max() < 0.02 * size / 100 + 0.05
    assert np.abs(align.apply(align.invert(matrix), there) - landmarks).max() < 0.05
    assert align.side(landmarks) == pytest.approx(pose[0], rel=1e-3)


@settings(max_examples=30, deadline=None)
@given(pose=poses, size=st.sampled_from([32, 64, 128]))
def test_crops_of_different_sizes_show_the_same_place(pose, size):
    # The trap: scaling a matrix without regard to pixel centres shifts small crops by half a pixel against large ones.
    landmarks = face(*pose)
    small, large = align.transform(landmarks, size), align.transform(landmarks, 4 * size)
    corner = align.apply(align.invert(small), [(-0.5, -0.5), (size - 0.5, size - 0.5)])
    again = align.apply(align.invert(large), [(-0.5, -0.5), (4 * size - 0.5, 4 * size - 0.5)])
    assert np.abs(corner - again).max() < 0.02


def test_speech_does_not_move_the_crop():
    still, talking = face(), face()
    talking[[*range(5, 12), *range(55, 60), *range(65, 68)]] += (0, 12)  # the jaw drops
    assert np.allclose(align.transform(still, 256), align.transform(talking, 256))


def test_a_small_crop_is_averaged_not_picked():
    # Stripes of one pixel must become grey, not moiré, when a large face is taken into a small crop.
    frame = np.zeros((900, 900, 3), np.uint8)
    frame[:, ::2] = 255
    crop = align.crop(frame, align.transform(face(600, 0.0, 450, 450), 64), 64)
    assert crop[20:44, 20:44].astype(float).std() < 20
    assert abs(crop[20:44, 20:44].mean() - 127) < 10


@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_what_was_cropped_can_be_pasted_back(angle):
    y, x = np.mgrid[:300, :400]
    frame = np.stack([x * 255 // 400, y * 255 // 300, (np.sin(x / 17) * np.cos(y / 13) + 1) * 120], -1).astype(np.uint8)
    matrix = align.transform(face(120, angle, 200, 150), 256)
    crop = align.crop(frame, matrix, 256)
    back = align.paste(frame, crop, matrix, feather=0.1)
    assert np.abs(back.astype(int) - frame).max() <= 6
    painted = align.paste(frame, np.full_like(crop, 255), matrix, feather=0.1)
    assert (painted[150, 200] == 255).all()  # the middle is the crop's alone
    assert (painted[:5] == frame[:5]).all()  # far outside, nothing changes
    edge = align.apply(align.invert(matrix), (3, 128)).round().astype(int)
    assert frame[edge[1], edge[0]].sum() < painted[edge[1], edge[0]].sum() < 3 * 255  # soft there


def test_a_mask_keeps_the_frame_outside_it():
    frame = np.zeros((200, 200, 3), np.uint8)
    matrix = align.transform(face(80, 0.0, 100, 100), 128)
    mask = np.zeros((128, 128), np.uint8)
    mask[:, :64] = 255
    out = align.paste(frame, np.full((128, 128, 3), 200, np.uint8), matrix, feather=0.0, mask=mask)
    left, right = align.apply(align.invert(matrix), [(30, 64), (100, 64)]).round().astype(int)
    assert out[left[1], left[0], 0] == 200
    assert out[right[1], right[0], 0] == 0


def test_a_crop_outside_the_frame_pastes_nothing():
    frame = np.full((50, 50, 3), 9, np.uint8)
    matrix = align.transform(face(40, 0.0, 500, 500), 64)
    assert (align.paste(frame, np.zeros((64, 64, 3), np.uint8), matrix) == frame).all()


def test_mirrored_landmarks_are_a_face_again():
    mirrored = align.FACE_SHAPE[align.MIRROR] * (-1, 1) + (1, 0)
    assert np.allclose(mirrored, align.FACE_SHAPE, atol=2e-3)


@pytest.mark.parametrize("bad", [np.zeros((68, 2)), np.full((68, 2), np.nan), np.zeros((5, 2))])
def test_landmarks_that_mean_nothing_are_refused(bad):
    with pytest.raises(UsageError):
        align.transform(bad, 64)
