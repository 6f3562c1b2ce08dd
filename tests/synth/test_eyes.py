"""Eyes of a bent picture: lids come down over an eyeball that stays what it is, irises are found and moved, and nothing is moved blindly."""

from __future__ import annotations

import numpy as np
import pytest
from puppet_material import puppet

from synth.hybrid import HybridGenerator
from synth.person.eyes import EYES, Eyes, GazeTrack, gaze_track, pupils
from synth.puppets.perform import perform

SIGHTED = 4  # a puppet without spectacles


@pytest.fixture(scope="module")
def shot():
    seen = perform(SIGHTED, 6, frames=6, size=512)
    opened = [np.linalg.norm(p[37] - p[41]) for p in seen.landmarks]
    k = int(np.argmax(opened))
    return seen.frames[k], seen.landmarks[k].astype(np.float64)


def shut(points, share):
    """Lids that have come together by a share of how far they stood apart."""
    out = points.copy()
    for rows in EYES:
        for upper, lower in ((1, 5), (2, 4)):
            meet = 0.3 * out[rows.start + upper] + 0.7 * out[rows.start + lower]
            for k in (upper, lower):
                out[rows.start + k] += share * (meet - out[rows.start + k])
    return out


def whiteness(frame, points):
    """How much of the two openings is as pale as an eyeball and not as warm as skin."""
    seen = []
    for rows in EYES:
        (x0, y0), (x1, y1) = points[rows].min(0).astype(int), points[rows].max(0).astype(int)
        area = frame[y0:y1, x0:x1].astype(int)
        seen.append(((area.mean(-1) > 90) & (area[..., 0] - area[..., 2] < 30)).mean())
    return float(np.mean(seen))


def test_lids_close_over_the_eyeball_and_brows_stay(shot):
    frame, points = shot
    person = HybridGenerator(size=512).personalise(frame[None], points[None], mode="ff", steps=None, seed=0)
    half, whole = (person.render(shut(points, share)[None])[0] for share in (0.5, 1.0))
    assert person.parts["lids"] == 1 and person.parts["gaze"] == 0
    assert whiteness(frame, points) > 0.1 and whiteness(whole, points) < 0.2 * whiteness(frame, points)
    for x, y in np.round(points[17:27]).astype(int):
        for made in (half, whole):
            assert (
                np.abs(made[y - 2 : y + 3, x - 2 : x + 3].astype(int) - frame[y - 2 : y + 3, x - 2 : x + 3]).mean() < 3
            )
    # What is still seen of the eyeball is where and what it was, not squeezed.
    for rows in EYES:
        x, y = np.round(0.35 * points[rows][[1, 2]].mean(0) + 0.65 * points[rows][[4, 5]].mean(0)).astype(int)
        assert np.abs(half[y, x - 8 : x + 9].astype(int) - frame[y, x - 8 : x + 9]).mean() < 12


def test_irises_are_found_where_the_puppet_turned_its_eyes():
    from synth.puppets.take import take

    found, true = [], []
    for motion in (6, 7, 8):
        seen = puppet(SIGHTED, motion, frames=24)
        gaze = np.stack([pupils(f, p.astype(np.float64)) for f, p in zip(seen.frames, seen.landmarks, strict=True)])
        assert np.isfinite(gaze).all(-1).mean() > 0.5
        told = np.isfinite(gaze).all((1, 2))
        for values, of in ((found, gaze[told].mean(1)[:, 0]), (true, take(motion, seen.times).gaze[told, 0])):
            values.append(of - of.mean())
    assert np.corrcoef(np.concatenate(found), np.concatenate(true))[0, 1] > 0.6


@pytest.mark.parametrize("change", [(-0.14, 0.0), (0.14, 0.0), (0.1, 0.03)])
def test_an_iris_goes_where_it_is_told_and_no_further_than_it_can(shot, change):
    frame, points = shot
    person = HybridGenerator(size=512).personalise(frame[None], points[None], mode="ff", steps=None, seed=0)
    before = pupils(frame, points)

    def moved(by):
        (made,) = next(person.stream(points[None], GazeTrack(np.array([by]))))
        assert person.parts["gaze"] == 1
        return made, pupils(made, points)

    made, after = moved(change)
    assert np.nanmean(after - before, 0) == pytest.approx(change, abs=0.045)
    _, far = moved((3 * change[0], 0.0))
    assert np.nanmax(np.abs(far - before)[:, 0]) < 0.3
    outside = np.ones(frame.shape[:2], bool)
    for rows in EYES:
        (x0, y0), (x1, y1) = points[rows].min(0).astype(int) - 3, points[rows].max(0).astype(int) + 4
        outside[y0:y1, x0:x1] = False
    assert np.array_equal(made[outside], frame[outside])


def test_where_no_iris_can_be_told_none_is_moved(shot):
    frame, points = shot
    closed = frame.copy()
    for rows in EYES:
        (x0, y0), (x1, y1) = points[rows].min(0).astype(int) - 2, points[rows].max(0).astype(int) + 3
        closed[y0:y1, x0:x1] = closed[y1 + 3, x0:x1].mean(0).astype(np.uint8)
    assert np.isnan(pupils(closed, points)).all() and np.isnan(pupils(frame[::8, ::8], points / 8)).all()
    assert not any(Eyes(closed, points).draw(closed.copy(), points, points, np.full((2, 2), 0.6)))


def test_a_blink_is_bridged_and_eyes_that_disagree_are_no_reading():
    times = np.arange(20) / 25
    gaze = np.full((20, 2, 2), 0.5)
    gaze[:, :, 0] += np.linspace(0, 0.1, 20)[:, None]
    gaze[8:11] = np.nan
    change = gaze_track(gaze, times, 0, 0).change
    assert np.isfinite(change).all() and 0.05 < change[-1, 0] - change[0, 0] < 0.1 and abs(change[9, 0] - 0.047) < 0.02
    gaze[:, 0, 0] -= 0.6 * np.linspace(0, 1, 20) * (np.arange(20) % 2)
    gaze[::2] = np.nan
    assert np.isnan(gaze_track(gaze, times, 0, 0).change).all()
