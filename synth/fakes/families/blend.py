"""Self-blended clips: a real face pasted onto itself with the traces of a swap, one set of changes kept through the clip."""

from dataclasses import replace

import numpy as np

from gioconda_core.faces import self_blend
from gioconda_core.faces.families import Made, Take
from synth.fakes.families.parts import Rng, family


@family("self-blend", "1")
def SelfBlend(take: Take, difficulty: float, rng: Rng) -> Made:
    """A face blended onto itself: seams and unlike colours where nothing was swapped."""
    blend = self_blend.draw(rng)
    mild = 1 - 0.6 * difficulty  # the harder, the nearer to no change of colour at all
    blend = replace(blend, gain=1 + (blend.gain - 1) * mild, shift=blend.shift * mild)
    drawn = [blend(frame, points) for frame, points in zip(take.frames, take.landmarks, strict=True)]
    return Made(np.stack([f for f, _ in drawn]), np.stack([m for _, m in drawn]), {"ratio": blend.ratio})
