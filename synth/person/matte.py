"""Says where in a picture a person is, so that what lies behind stands still while they move.

The network is MediaPipe's selfie segmentation (Google, Apache-2.0), run by OpenCV. What it brings to a bent picture: docs/experiments.md.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.reenact.framing import face_mask

NETWORK = Path(__file__).parent.parent / "weights" / "person.tflite"
SIDE = 256  # of what the network looks at, pixels
LEAST = 0.2  # of its certainty from which a place is the person's
SEEN = 0.9  # of the head that it must find
GROWN = 13  # pixels by which the person is widened: single hairs, which it misses, go with the head


def matte(frame: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Where the person is, 255, and what lies behind, 0, with a soft edge; 255 everywhere where the network misses the head or finds nothing behind.

    frame : uint8 (S, S, 3) RGB; landmarks : (68, 2) in its pixels → uint8 (S, S).
    """
    size = len(frame)
    small = cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    network = cv2.dnn.readNetFromTFLite(str(NETWORK))
    network.setInput(cv2.dnn.blobFromImage(small, 1 / 255))
    found = network.forward()[0, 0]
    points = ((np.asarray(landmarks, np.float32) + 0.5) * (SIDE / size) - 0.5)[None]
    head = face_mask(points, SIDE, soft=1, lift=1.5)[0] > 127
    kinds = np.where(found > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    kinds[head | (found > 0.9)] = cv2.GC_FGD
    if found[head].mean() < SEEN or (kinds % 2).all():
        return np.full((size, size), 255, np.uint8)
    # Whatever has the person's colours rather than the background's is the person's too: the network misses hair of drawn people.
    cv2.setRNGSeed(0)
    colours = np.zeros((2, 1, 65))
    cv2.grabCut(small, kinds, (0, 0, SIDE, SIDE), colours[0], colours[1], 3, cv2.GC_INIT_WITH_MASK)
    person = ((found > LEAST) | (kinds % 2 == 1)).astype(np.uint8)
    wide = cv2.GaussianBlur(cv2.dilate(255 * person, np.ones((GROWN, GROWN))), (0, 0), GROWN / 6)
    return np.asarray(cv2.resize(wide, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
