"""The plugin contracts accept a sound plugin and catch each way of being unsound."""

import numpy as np
import pytest

from gioconda_core.testing import check_detector, check_landmarker, footage
from gioconda_core.types import Reading


class Sound:
    id, version, weights_sha256 = "sound", "1", None

    def read(self, clip):
        if not clip.tracks:
            return Reading(self.id, self.version, None, abstained="no face was found")
        return Reading(self.id, self.version, None, score=float(clip.frames.mean()))


class Draws(Sound):
    def read(self, clip):
        clip.frames[0] = 0
        return super().read(clip)


class Dice(Sound):
    def read(self, clip):
        return Reading(self.id, self.version, None, score=float(np.random.default_rng().random()))


class Stranger(Sound):
    def read(self, clip):
        return Reading("somebody", "1", None, score=1.0)


class Bare(Sound):
    def read(self, clip):
        return 0.9


def test_a_sound_detector_passes():
    check_detector(Sound())


@pytest.mark.parametrize("kind", [Draws, Dice, Stranger, Bare])
def test_an_unsound_detector_is_caught(kind):
    with pytest.raises(AssertionError):
        check_detector(kind())


def test_contract_footage_is_deterministic():
    assert np.array_equal(footage().frames, footage().frames)
    assert len(footage(faces=2).tracks) == 2


def test_a_landmarker_with_wrong_shapes_is_caught():
    class Wrong:
        name, version = "w", "1"

        def detect(self, frames):
            return [np.zeros((0, 5), np.float32) for _ in frames]

        def landmarks(self, frame, boxes):
            return np.zeros((1, 5, 2), np.float32)

    with pytest.raises(AssertionError, match="68"):
        check_landmarker(Wrong())
