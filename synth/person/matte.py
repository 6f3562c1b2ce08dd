"""Says where in a picture a person is, so that what lies behind stands still while they move.

From where a face's landmarks say that head and shoulders may be, and by what colours are there (GrabCut: Rother, Kolmogorov and Blake 2004). What it brings
to a bent picture: docs/experiments.md.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.reenact.framing import face_mask

SIDE = 128  # at which it is looked, pixels
BEHIND = 0.02  # of the picture that must lie behind
GROWN = 7  # pixels by which the person is widened: single hairs, which it misses, go with the head


def matte(frame: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Where the person is, 255, and what lies behind, 0, with a soft edge; 255 everywhere where hardly anything can lie behind.

    frame : uint8 (S, S, 3) RGB; landmarks : (68, 2) in its pixels → uint8 (S, S).
    """
    size = len(frame)
    small = cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    points = (np.asarray(landmarks, np.float32) + 0.5) * (SIDE / size) - 0.5
    extent, chin, middle = float(np.ptp(points, 0).max()), points[8], points[27:31].mean(0)

    def bust(neck: float, rise: float, foot: float) -> NDArray[np.int32]:
        x, y = np.array([-neck, neck, foot, -foot]) * extent + chin[0], chin[1] - rise * extent
        return np.stack([x, [y, y, SIDE, SIDE]], 1).astype(np.int32)

    kinds = np.full((SIDE, SIDE), cv2.GC_BGD, np.uint8)
    axes = int(0.85 * extent), int(1.15 * extent)
    cv2.ellipse(kinds, (int(middle[0]), int(middle[1] - 0.05 * extent)), axes, 0, 0, 360, cv2.GC_PR_FGD, -1)
    cv2.fillPoly(kinds, [bust(0.45, 0.2, 1.7)], cv2.GC_PR_FGD)
    if (kinds == cv2.GC_BGD).mean() < BEHIND:
        return np.full((size, size), 255, np.uint8)
    cv2.fillPoly(kinds, [bust(0.2, 0.0, 0.45)], cv2.GC_FGD)
    kinds[face_mask(points[None], SIDE, soft=1, lift=1.0)[0] > 127] = cv2.GC_FGD
    cv2.setRNGSeed(0)
    colours = np.zeros((2, 1, 65))
    cv2.grabCut(small, kinds, (0, 0, SIDE, SIDE), colours[0], colours[1], 3, cv2.GC_INIT_WITH_MASK)
    person = np.isin(kinds, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    wide = cv2.GaussianBlur(cv2.dilate(255 * person, np.ones((GROWN, GROWN))), (0, 0), GROWN / 6)
    return np.asarray(cv2.resize(wide, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
