"""The puppets: faces that detectors find, landmarks that are true, people and motions seeded apart."""

from __future__ import annotations

import inspect
from fractions import Fraction

import numpy as np
import pytest
from puppet_material import puppet

from gioconda_core.errors import UsageError
from gioconda_core.faces import align
from gioconda_core.faces.landmarks import DlibLandmarker
from synth.puppets import head
from synth.puppets import perform as drawing
from synth.reenact.motion import without_outliers

perform = inspect.unwrap(drawing.perform)  # drawn anew each time, not kept from another test


def against_dlib(people, motions, frames, fps):
    """Share of frames in which dlib finds the face, and its mean landmark error in inter-ocular distances."""
    mark = DlibLandmarker()
    found, errors = [], []
    for identity, motion in zip(people, motions, strict=True):
        drawn = perform(identity, motion, frames=frames, fps=fps)
        for k in range(frames):
            boxes = mark.detect([drawn.frames[k]])[0]
            found.append(len(boxes) > 0)
            if len(boxes):
                points = mark.landmarks(drawn.frames[k], boxes[:1])[0]
                eyes = np.linalg.norm(drawn.landmarks[k, 36] - drawn.landmarks[k, 45])
                errors.append(np.linalg.norm(points - drawn.landmarks[k], axis=1).mean() / eyes)
    return np.mean(found), np.mean(errors), len(found)


def test_found_by_dlib_with_true_landmarks():
    share, error, n = against_dlib(range(1000, 1005), range(5), 3, 4)
    assert n == 15 and share >= 0.93 and error < 0.06


@pytest.mark.slow
def test_found_by_dlib_many():
    share, error, n = against_dlib(range(1000, 1030), range(30), 3, 1)
    assert n == 90 and share >= 0.95 and error < 0.06


def test_same_numbers_same_pixels_and_a_longer_take_begins_as_the_shorter():
    first, again = perform(7, 9, frames=5, size=96), perform(7, 9, frames=8, size=96)
    assert np.array_equal(first.landmarks, again.landmarks[:5])
    assert np.array_equal(first.frames, again.frames[:5])


def test_a_take_is_the_same_at_any_rate():
    often, seldom = perform(7, 9, frames=21, size=96), perform(7, 9, frames=3, size=96, fps=Fraction(5, 2))
    assert np.allclose(often.times[::10], seldom.times)
    assert np.abs(often.landmarks[::10] - seldom.landmarks).max() < 0.01 < np.ptp(often.landmarks, 0).max()


def test_a_take_is_the_same_at_any_size():
    large, small = (perform(7, 9, frames=2, size=size) for size in (512, 64))
    assert large.frames.shape == (2, 512, 512, 3) and np.abs(large.landmarks / 8 - small.landmarks).max() < 0.01
    shrunk = large.frames.reshape(2, 64, 8, 64, 8, 3).mean((2, 4))
    assert np.corrcoef(shrunk.ravel(), small.frames.ravel())[0, 1] > 0.95


def test_identity_and_motion_are_seeded_apart():
    base, other_face, other_take = (perform(i, m, frames=6, size=96) for i, m in ((1, 2), (8, 2), (1, 3)))
    # The same take of another person: the head turns the same way, the face is another.
    drift = (base.landmarks[-1] - base.landmarks[0]).mean(0) - (
        other_face.landmarks[-1] - other_face.landmarks[0]
    ).mean(0)
    assert np.abs(drift).max() < 1.0
    assert np.abs(base.landmarks - other_face.landmarks).max() > 2
    assert np.abs(base.landmarks - other_take.landmarks).max() > 2


def test_thousands_of_distinct_people():
    shapes = np.stack([head.identity_anchors(np.random.default_rng([i, 1905, 8233]))[:68].ravel() for i in range(2000)])
    centred = shapes - shapes.mean(0)
    close = centred @ centred.T
    squared = np.diag(close)[:, None] + np.diag(close)[None] - 2 * close
    np.fill_diagonal(squared, np.inf)
    # Root mean square over 68 points, in head units (about 9 cm): nobody's double within a millimetre.
    assert np.sqrt(squared.min() / 68) > 0.01


def test_the_mouth_opens_and_shows_dark_and_the_eyes_blink():
    drawn = perform(3, 11, frames=75, size=128)
    eyes = np.linalg.norm(drawn.landmarks[:, 36] - drawn.landmarks[:, 45], axis=1)
    gap = (drawn.landmarks[:, 66, 1] - drawn.landmarks[:, 62, 1]) / eyes
    lids = (drawn.landmarks[:, 41, 1] - drawn.landmarks[:, 37, 1]) / eyes
    assert gap.max() > 0.12 and gap.min() < 0.03
    assert lids.min() < 0.4 * np.median(lids)
    wide, shut = int(gap.argmax()), int(gap.argmin())

    def darkness(k):
        x, y = ((drawn.landmarks[k, 62] + drawn.landmarks[k, 66]) / 2).round().astype(int)
        return drawn.frames[k, y - 1 : y + 2, x - 2 : x + 3].mean()

    assert darkness(wide) < darkness(shut)


@pytest.mark.parametrize(("identity", "motion"), [(540, 2), (61, 9)])
def test_the_ends_of_the_jaw_stay_on_their_own_side_of_a_head_that_nods_and_turns(identity, motion):
    """Of the first, hair covers the skin beside one eye; of the second, the cheek hides what lies before one ear."""
    points = perform(identity, motion, frames=40, size=64).landmarks
    assert (points[:, 0, 0] < points[:, 36, 0]).all() and (points[:, 16, 0] > points[:, 45, 0]).all()
    assert np.abs(np.diff(points, axis=0)).max() < 3, "nothing leaps from one frame to the next"
    assert without_outliers(points)[1] == 0, "nor leaves the face's outline"


def test_landmarks_are_symmetric_under_the_mirror():
    assert sorted(align.MIRROR) == list(range(68))
    assert np.allclose(head.BASE[align.MIRROR][:, :2] * (-1, 1), head.BASE[:68, :2], atol=1e-9)


@pytest.mark.parametrize(
    "arguments", [{"identity": -1}, {"motion": -1}, {"frames": 0}, {"size": 32}, {"size": 1024}], ids=str
)
def test_numbers_out_of_range_are_refused(arguments):
    with pytest.raises(UsageError):
        perform(**{"identity": 0, "motion": 0, "frames": 1, **arguments})


def test_no_two_frames_alike():
    frames = puppet().frames
    assert (np.abs(np.diff(frames.astype(int), axis=0)).mean((1, 2, 3)) > 0.5).all()
