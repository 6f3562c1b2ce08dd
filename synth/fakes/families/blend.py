"""Self-blended clips: a real face pasted onto itself with the traces of a swap, one set of changes kept through the clip."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gioconda_core.faces import self_blend
from gioconda_core.faces.families import Made, Take


class SelfBlend:
    """A face blended onto itself: seams and unlike colours where nothing was swapped."""

    name, version, others = "self-blend", "1", False

    def make(self, take: Take, difficulty: float, rng: np.random.Generator, others: Sequence[Take] = ()) -> Made:
        blend = self_blend.draw(rng)
        mild = 1 - 0.6 * difficulty  # the harder, the nearer to no change of colour at all
        blend = replace(blend, gain=1 + (blend.gain - 1) * mild, shift=blend.shift * mild)
        drawn = [blend(frame, points) for frame, points in zip(take.frames, take.landmarks, strict=True)]
        return Made(np.stack([f for f, _ in drawn]), np.stack([m for _, m in drawn]), {"ratio": blend.ratio})
