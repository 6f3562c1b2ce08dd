"""Says where in a picture a person is, so that what lies behind stands still while they move.

What it brings to a bent picture: docs/experiments.md.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from gioconda_core.faces import align, cut_out
from synth.reenact.framing import face_mask

SIDE = 128  # at which it is looked, pixels
BEHIND = 0.02  # of the picture that must lie behind
GROWN = 7  # pixels by which the person is widened: single hairs, which it misses, go with the head


def matte(frame: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Where the person is, 255, and what lies behind, 0, with a soft edge; 255 everywhere where hardly anything can lie behind.

    frame : uint8 (S, S, 3) RGB; landmarks : (68, 2) in its pixels → uint8 (S, S).
    """
    size = len(frame)
    small = np.asarray(cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    points = (np.asarray(landmarks, np.float32) + 0.5) * (SIDE / size) - 0.5
    extent, middle = align.extent(points), points[27:31].mean(0)
    guess = np.full((SIDE, SIDE), cv2.GC_BGD, np.uint8)
    axes = int(0.85 * extent), int(1.15 * extent)
    cv2.ellipse(guess, (int(middle[0]), int(middle[1] - 0.05 * extent)), axes, 0, 0, 360, cv2.GC_PR_FGD, -1)
    cv2.fillPoly(guess, [cut_out.bust(points, SIDE, 0.45, 0.2, 1.7).astype(np.int32)], cv2.GC_PR_FGD)
    if (guess == cv2.GC_BGD).mean() < BEHIND:
        return np.full((size, size), 255, np.uint8)
    cv2.fillPoly(guess, [cut_out.bust(points, SIDE, 0.2, 0.0, 0.45).astype(np.int32)], cv2.GC_FGD)
    guess[face_mask(points[None], SIDE, soft=1, lift=1.0)[0] > 127] = cv2.GC_FGD
    person = cut_out.by_colours(small, guess, 3).astype(np.uint8)
    wide = cv2.GaussianBlur(cv2.dilate(255 * person, np.ones((GROWN, GROWN))), (0, 0), GROWN / 6)
    return np.asarray(cv2.resize(wide, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
