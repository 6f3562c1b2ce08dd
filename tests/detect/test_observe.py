"""The one way from a file to readings: what several detectors need of a clip is made once."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from detect import face_crops, registry
from detect.base import read_once, reading
from detect.features import contrast
from detect.reading import calibration
from detect.reading.observe import observe, readings, spread
from gioconda_core.testing import footage
from gioconda_core.types import TrackScore


@pytest.fixture
def calls(monkeypatch):
    """How often each piece of work was done: pictures through the network, pairs of frames cut, and what calibration measures."""
    counted = Counter()

    def count(module, name, key):
        plain = getattr(module, name)

        def counting(*args, **options):
            counted[key(*args)] += 1
            return plain(*args, **options)

        monkeypatch.setattr(module, name, counting)

    count(contrast, "_of", lambda clip, track, near: ("pairs", track.id))
    count(contrast, "statistics", lambda pictures, landmarks: ("network", hash(pictures.tobytes())))
    count(calibration, "_measures", lambda clip, face: ("measures", face))
    return counted


@pytest.mark.slow
def test_pairs_network_and_measures_are_made_once_for_all_detectors_and_their_calibrations(calls):
    clip = footage(frames=20, faces=2, size=320)
    detectors = [*map(registry.load, registry.shipped()), registry.load("contrast")]  # the same weights twice
    answers = list(readings(clip, detectors))
    assert len(answers) == len(detectors) and sum(a.reading.score is not None for a in answers) >= 2
    assert {kind for kind, *_ in calls} == {"pairs", "network", "measures"}
    assert set(calls.values()) == {1}, {key: n for key, n in calls.items() if n > 1}
    # asked again of other pixels, everything is made anew: nothing is remembered of a clip that is not this one
    before = [a.reading.score for a in answers]
    other = dataclasses.replace(clip, frames=255 - clip.frames)
    after = [a.reading.score for a in readings(other, detectors)]
    assert calls[("measures", 0)] == 2 and after != before


@pytest.mark.slow
def test_what_is_shared_changes_no_score(calls):
    clip = footage(frames=20, size=320)
    names = [*registry.shipped(), "contrast"]
    together = [a.reading.score for a in readings(clip, [registry.load(name) for name in names])]
    alone = [next(readings(footage(frames=20, size=320), [registry.load(name)])).reading.score for name in names]
    assert together == alone and together[0] is not None


def test_calibration_measures_a_clip_once(calls):
    clip = footage(frames=60, size=320).frozen()
    found = calibration.measures(clip)
    assert calibration.measures(clip) is found and calls[("measures", None)] == 1


def test_shared_crops_cannot_be_written_to_and_belong_to_their_frames():
    clip = footage(frames=20)
    (face,) = face_crops.prepare(clip, 64)
    assert face_crops.prepare(clip, 64)[0] is face and face_crops.prepare(clip, 96)[0] is not face
    with pytest.raises(ValueError):
        face.crops[0] = 0
    darker = dataclasses.replace(clip, frames=clip.frames // 2)
    assert not np.array_equal(face_crops.prepare(darker, 64)[0].crops, face.crops)
    assert clip.frozen().frozen() is not clip and clip.frozen().shared is not clip.shared


def test_one_reading_serves_two_detectors_of_the_same_weights_under_their_own_names():
    class Counting:
        version, weights_sha256, card, reads = "1", "a" * 64, None, 0

        def __init__(self, name):
            self.id = name

        @read_once
        def read(self, clip):
            Counting.reads += 1
            return reading(self, clip, [TrackScore(0, (0.0,), (2.0,))])

    first, second = readings(footage(), [Counting("mine"), Counting("theirs")], calibrated=False)
    assert Counting.reads == 1
    assert (first.reading.detector, second.reading.detector) == ("mine", "theirs")
    assert first.reading.score == second.reading.score == 2.0


def moments_of(sampling):
    return [float(t) for t in sampling.removeprefix("at:").split(",")]


def test_a_long_clip_is_sampled_in_proportion_to_its_length():
    def sampler(duration, fps):  # as the detectors' own: so many moments, however long the clip
        return "at:" + ",".join(f"{duration * (k + 0.5) / 16:.4f}" for k in range(16))

    assert spread(sampler, 15.0, 25.0, 1000) == sampler(15.0, 25.0)
    ten_minutes = moments_of(spread(sampler, 600.0, 25.0, 640 * 480 * 3))
    assert len(ten_minutes) == 16 * 30 and ten_minutes == sorted(ten_minutes)
    assert max(np.diff([0.0, *ten_minutes, 600.0])) < 2, "no eight seconds of it go unseen"
    assert all(abs((t * 25) % 1 - 0.5) < 0.01 for t in ten_minutes), "half a frame in"
    # more than memory or time allows: evenly spaced stretches, the first and the last among them
    large = moments_of(spread(sampler, 600.0, 25.0, 3840 * 2160 * 3))
    assert len(large) == 32 and large[0] < 20 and large[-1] > 580
    hours = moments_of(spread(sampler, 7200.0, 25.0, 1000))
    assert len(hours) == 16 * 30 and hours[0] < 20 and hours[-1] > 7180
    assert spread(lambda duration, fps: "even:32", 600.0, 25.0, 1000) == "even:32"


def test_a_check_looks_at_the_whole_clip_and_a_benchmark_as_the_detector_was_calibrated(monkeypatch):
    from fractions import Fraction
    from types import SimpleNamespace

    from gioconda_core.faces import observe as faces

    asked = []
    monkeypatch.setattr(faces, "observe", lambda clip, sampling, **options: asked.append(sampling) or footage())
    clip = SimpleNamespace(duration=100.0, fps=Fraction(25), facts=SimpleNamespace(width=64, height=64))
    detector = SimpleNamespace(sampling=lambda duration, fps: f"at:{duration / 2:.4f}")
    observe(clip, [detector])
    observe(clip, [detector], whole=True)
    assert [len(moments_of(s)) for s in asked] == [1, 5]
