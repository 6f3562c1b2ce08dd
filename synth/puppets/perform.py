"""The puppets: procedural talking heads with exact landmarks, as many identities as asked; the embedded material for tests and the demo.

``identity`` seeds the person (skull, skin, hair, eyes, glasses); ``motion`` seeds the take (speech, pose, blinks, gaze, light, room,
clothes, camera). The same two numbers give the same pixels on the same machine. Nobody real is shown and no consent is needed.
What it does not cover: sound, hands, two people in a picture, occlusion, profile views beyond about 40 degrees of yaw.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import UsageError
from synth.puppets.person import person
from synth.puppets.stage import Stage
from synth.puppets.take import take

LICENCE = "CC0-1.0"  # drawn by this program; nobody is depicted


@dataclass(frozen=True, eq=False)
class Performance:
    """One take of one puppet.

    frames : uint8 (T, S, S, 3) RGB. landmarks : float32 (T, 68, 2), pixels, iBUG order, from the geometry; jaw points on the far
    side lie on the visible outline, as annotators and detectors put them. times : (T,) seconds.
    """

    frames: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    times: NDArray[np.float64]
    fps: Fraction
    identity: int
    motion: int


def perform(
    identity: int, motion: int, frames: int = 48, size: int = 256, fps: Fraction | int = Fraction(25)
) -> Performance:
    """Draw one take of one puppet; the same numbers give the same pixels.

    Parameters
    ----------
    identity, motion : int, ≥ 0
        Seeds of the person and of the take; independent of each other.
    frames : int, ≥ 1
        A longer take begins with the shorter one.
    size : int, 64…512
        Side of the square picture, pixels.
    fps : Fraction or int

    Returns
    -------
    Performance

    Raises
    ------
    UsageError
        A number is out of range.
    """
    if identity < 0 or motion < 0:
        raise UsageError("identity and motion are seeds, 0 or more", where=f"identity {identity}, motion {motion}")
    if frames < 1 or not 64 <= size <= 512:
        raise UsageError("frames must be 1 or more and size 64 to 512", where=f"frames {frames}, size {size}")
    rate = Fraction(fps)
    times = np.arange(frames) / float(rate)
    stage = Stage(person(int(identity)), take(int(motion), times), int(motion), int(size))
    pictures = np.empty((frames, size, size, 3), np.uint8)
    landmarks = np.empty((frames, 68, 2), np.float32)
    for k in range(frames):
        pictures[k], landmarks[k] = stage.draw(k)
    return Performance(pictures, landmarks, times, rate, int(identity), int(motion))
