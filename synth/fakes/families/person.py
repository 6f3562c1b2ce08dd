"""Families that learn a person from some frames of the clip and draw the others: few-shot reenactment of oneself, and the hybrid's bend."""

from functools import cache

import cv2
import numpy as np

from gioconda_core.faces.families import Made, Take
from synth.fakes.families.parts import Array, Rng, between, family, masks_of, pasted, whole
from synth.hybrid import bent
from synth.reenact.reenact import FewShotGenerator

_shipped = cache(FewShotGenerator)


def _shots(take: Take, difficulty: float, rng: Rng) -> Array:
    """Frames that the person is learned from: more of them, the harder the fake."""
    count = max(1, round(between(difficulty, 1, len(take) / 2, rng)))
    return np.sort(rng.permutation(len(take))[:count])


@family("few-shot", "1")
def FewShot(take: Take, difficulty: float, rng: Rng) -> Made:
    """The person's own motion drawn by the few-shot generator that comes with the package, untuned, at 128 pixels; the head alone, or the
    whole picture."""
    generator, size = _shipped(), take.frames.shape[1]
    shots, everywhere = _shots(take, difficulty, rng), bool(rng.random() < 0.3)
    grow, feather = float(rng.uniform(0, 0.15)), between(difficulty, 0.02, 0.08, rng)
    small = np.stack([cv2.resize(f, (generator.size,) * 2, interpolation=cv2.INTER_AREA) for f in take.frames])
    points = ((take.landmarks + 0.5) * (generator.size / size) - 0.5).astype(np.float32)
    person = generator.personalise(small[shots], points[shots], mode="ff", steps=None, seed=0)
    drawn = [cv2.resize(f, (size, size), interpolation=cv2.INTER_CUBIC) for f in person.render(points)]
    record = {"shots": len(shots), "whole": everywhere, "grow": grow, "feather": feather}
    return whole(np.stack(drawn), record) if everywhere else pasted(drawn, take, masks_of(take, grow, feather), record)


@family("animate", "2")
def Animate(take: Take, difficulty: float, rng: Rng) -> Made:
    """Shots of the clip bent to the landmarks of all its frames as the hybrid generator bends them: hair and skull with the head, and a drawn
    mouth where lips open wider than in the shot. No network takes part: a turn too far is bent as well as it can be."""
    shots = _shots(take, difficulty, rng)
    return whole(bent(take.frames[shots], take.landmarks[shots], take.landmarks), {"shots": len(shots)})
