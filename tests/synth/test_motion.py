"""Landmark adaptation: what each mode keeps of the source's face and takes of the driver's motion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from puppet_material import puppet

from gioconda_core.errors import MediaError, UsageError
from synth.reenact.motion import adapt, fill_gaps, smooth, without_outliers


def width(points):
    """Width of the jaw over the distance of the eyes: a proportion of the person, not of the expression."""
    return np.linalg.norm(points[..., 2, :] - points[..., 14, :], axis=-1) / np.linalg.norm(
        points[..., 36, :] - points[..., 45, :], axis=-1
    )


def mouth(points):
    return points[:, 66, 1] - points[:, 62, 1]


def wider(points, factor=1.3):
    """Another person: the same motion with a broader jaw."""
    out = points.copy()
    centre = out[:, :17, 0].mean(1, keepdims=True)
    out[:, :17, 0] = centre + (out[:, :17, 0] - centre) * factor
    return out


def test_absolute_takes_the_driver_as_it_is():
    driver = puppet(4, 6).landmarks
    out, how = adapt(driver, puppet(3, 5).landmarks[:1], "absolute")
    assert np.allclose(out, driver, atol=1e-4) and how.moved == pytest.approx(0, abs=1e-6)


def test_relative_at_the_best_match_is_the_source():
    source = puppet(3, 5).landmarks[:1]
    out, how = adapt(puppet(4, 6).landmarks, source, "relative")
    assert np.allclose(out[how.reference], source[0], atol=0.5)


def test_relative_keeps_the_source_face_where_absolute_distorts_it():
    source = puppet(3, 5).landmarks
    driver = wider(source)
    kept, _ = adapt(driver, source[:1], "relative")
    lost, _ = adapt(driver, source[:1], "absolute")
    truth = width(source).mean()
    assert abs(width(kept).mean() - truth) < 0.1 * truth < abs(width(lost).mean() - truth)


def test_the_best_matching_frame_is_found():
    driver = puppet(4, 6).landmarks
    for wanted in (2, 13):
        _, how = adapt(driver * 1.7 + 30, driver[wanted : wanted + 1], "relative")
        assert how.reference == wanted and how.scale == pytest.approx(1 / 1.7, rel=0.01) and how.distance < 0.01


@settings(max_examples=25, deadline=None)
@given(
    scale=st.floats(0.4, 2.5),
    x=st.floats(-80, 80),
    y=st.floats(-80, 80),
    mode=st.sampled_from(["relative", "procrustes"]),
)
def test_size_and_place_of_the_driver_do_not_matter(scale, x, y, mode):
    driver, source = puppet(4, 6).landmarks, puppet(3, 5).landmarks[:2]
    here, _ = adapt(driver, source, mode)
    there, _ = adapt((driver * scale + np.float32([x, y])).astype(np.float32), source, mode)
    assert np.abs(here - there).max() < 0.6


def test_procrustes_brings_size_and_place():
    source = puppet(3, 5).landmarks
    out, _ = adapt(puppet(4, 6).landmarks * 0.5, source, "procrustes")
    assert np.abs(out[:, 27:48].mean((0, 1)) - source[:, 27:48].mean((0, 1))).max() < 3
    assert np.ptp(out[:, 36:48, 0], axis=1).mean() == pytest.approx(np.ptp(source[:, 36:48, 0], axis=1).mean(), rel=0.1)


@pytest.mark.parametrize("point", [0, 5, 19, 30, 38, 48, 62])
@pytest.mark.parametrize("frames", [slice(7, 8), slice(0, 5)])
def test_a_landmark_that_leaps_is_placed_by_the_others_and_a_face_that_moves_is_left_alone(point, frames):
    take = puppet(4, 6).landmarks
    assert without_outliers(take)[1] == 0  # it speaks, blinks and nods
    side = np.ptp(take[0, :, 1])
    thrown = take.copy()
    thrown[frames, point] += np.float32([0.3, -0.2]) * side
    source = puppet(3, 5).landmarks[:1]
    (undisturbed, before), (out, how) = (adapt(driver, source) for driver in (take, thrown))
    assert how.outliers == len(take[frames]) and before.outliers == 0
    assert np.abs(out - undisturbed).max() < 0.03 * side


def test_where_many_landmarks_leap_nobody_says_which_were_right():
    take = puppet(4, 6).landmarks.copy()
    take[7, ::5] += 40
    assert without_outliers(take)[1] == 0


def test_lips_never_cross():
    driver = puppet(4, 6).landmarks
    wide_open = driver[np.argmax(mouth(driver))][None].copy()
    shut = puppet(3, 5).landmarks[:1].copy()
    shut[0, 61:64, 1] = shut[0, [67, 66, 65], 1]
    out, _ = adapt(np.concatenate([wide_open, driver]), shut, "relative")
    assert (mouth(out) >= -1e-3).all()


def test_smoothing_keeps_what_stands_still_and_damps_what_trembles():
    rng = np.random.default_rng(0)
    times = np.arange(40) / 25
    still = np.repeat(puppet().landmarks[:1], 40, 0)
    shaky = (still + rng.normal(0, 2, still.shape)).astype(np.float32)
    assert np.allclose(smooth(still, times, 0.1), still, atol=1e-3)
    assert np.abs(smooth(shaky, times, 0.1) - still).mean() < 0.6 * np.abs(shaky - still).mean()
    assert smooth(shaky, times, 0.0) is shaky


def test_short_gaps_are_filled_and_long_ones_refused():
    marks, times = puppet().landmarks.copy(), np.arange(20) / 25
    found = np.ones(20, bool)
    found[5:8] = False
    damaged = marks.copy()
    damaged[5:8] = 0
    filled, count = fill_gaps(damaged, found, times, 0.5)
    assert count == 3 and np.abs(filled[5:8] - marks[5:8]).max() < 12
    assert np.array_equal(filled[found], marks[found])
    with pytest.raises(MediaError, match=r"away for 0\.16 s from 0\.16 s"):
        fill_gaps(damaged, found, times, 0.1)
    late = np.arange(20) > 8  # no face to begin with: what is drawn there stands still, and so is a gap as well
    with pytest.raises(MediaError, match=r"away for 0\.36 s from 0\.00 s"):
        fill_gaps(marks, late, times, 0.2)
    with pytest.raises(MediaError, match=r"away for 0\.36 s from 0\.40 s"):
        fill_gaps(marks, np.arange(20) < 11, times, 0.2)
    for step in (0.0401, 0.2, 1 / 30):  # what the message offers is enough
        with pytest.raises(MediaError) as refused:
            fill_gaps(damaged, found, np.arange(20) * step, 0.01)
        assert fill_gaps(damaged, found, np.arange(20) * step, float(str(refused.value.hint).split()[-1]))[1] == 3
    with pytest.raises(MediaError, match="nothing moves"):
        fill_gaps(damaged, np.arange(20) == 4, times)


def test_bad_modes_and_numbers_are_refused():
    with pytest.raises(UsageError, match="unknown adaptation"):
        adapt(puppet().landmarks, puppet().landmarks, "affine")
    broken = puppet().landmarks.copy()
    broken[0, 0] = np.nan
    with pytest.raises(MediaError, match="finite"):
        adapt(broken, puppet().landmarks)
    with pytest.raises(MediaError, match="no landmarks"):
        adapt(puppet().landmarks[:0], puppet().landmarks)
