"""Cuts a person out of a picture: from where their landmarks say that head and shoulders may be, and by the colours that are there.

Source: GrabCut (Rother, Kolmogorov and Blake 2004), as OpenCV has it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from gioconda_core.faces import align


def bust(points: NDArray[np.floating], size: int, neck: float, rise: float, foot: float) -> NDArray[np.float64]:
    """Neck and shoulders, a polygon (4, 2) from about the chin down to the lower edge of a picture of ``size`` pixels.

    neck, foot : half its width above and below, rise : how far above the chin it begins, all in extents of the face.
    """
    extent, chin = align.extent(points), points[8]
    upper = chin + np.array([(-neck, -rise), (neck, -rise)]) * extent
    return np.array([*upper, (chin[0] + foot * extent, size), (chin[0] - foot * extent, size)])


def by_colours(picture: NDArray[np.uint8], guess: NDArray[np.uint8], rounds: int) -> NDArray[np.bool_]:
    """(H, W): which pixels are the person's. guess : cv2.GC_… of each, what is known or likely; the same each time for the same."""
    found = guess.copy()
    colours = np.zeros((2, 1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(picture, found, (0, 0, 1, 1), colours[0], colours[1], rounds, cv2.GC_INIT_WITH_MASK)
    return np.isin(found, (cv2.GC_FGD, cv2.GC_PR_FGD))
