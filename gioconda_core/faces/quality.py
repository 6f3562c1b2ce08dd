"""How usable a face is at a moment: its size, sharpness, pose and the detector's confidence, and one number from them.

The number says how much a landmarker or a detector can get out of the pixels; it says nothing of whether they are genuine.
"""

import numpy as np
from numpy.typing import NDArray

from gioconda_core.faces import align

CHIP = 64  # px: side of the small aligned face by which sharpness and likeness are judged

_HEAD = align.table("plain_head.csv")
_POINTS, _MODEL = _HEAD[:, 0].astype(int), np.ascontiguousarray(_HEAD[:, 1:])


def chip(frame: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """The face square, grey, float32 (CHIP, CHIP)."""
    import cv2

    picture = align.crop(frame, align.transform(landmarks, CHIP, margin=0.0), CHIP)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32)


def blur(face: NDArray[np.float32]) -> float:
    """0 = crisp … 1 = no detail: the chip's Laplacian energy against its contrast, so that dark faces are not called blurred."""
    import cv2

    contrast = float(face.var())
    if contrast < 1.0:
        return 1.0
    detail = float(cv2.Laplacian(face, cv2.CV_32F).var()) / contrast
    return float(1 / (1 + detail / 0.05))


def pose(landmarks: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Yaw and pitch in degrees, each (T,), of landmarks (T, 68, 2), by PnP on a plain head.

    yaw > 0 : the face is turned towards the picture's right; pitch > 0 : it looks up. A camera some five heads away is assumed.
    """
    import cv2

    yaw, pitch = np.zeros(len(landmarks), np.float32), np.zeros(len(landmarks), np.float32)
    for i, points in enumerate(np.asarray(landmarks, np.float64)):
        side = align.side(points)
        focal = 6.0 * side  # in face squares (about 130 mm each): the head fills a sixth of the view's depth
        centre = points[_POINTS].mean(0)
        camera = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]])
        found, turn, _ = cv2.solvePnP(_MODEL, points[_POINTS], camera, None, flags=cv2.SOLVEPNP_SQPNP)
        if not found:
            yaw[i], pitch[i] = 90, 0
            continue
        nose = cv2.Rodrigues(turn)[0] @ np.array([0.0, 0.0, -1.0])  # where the face looks
        yaw[i] = np.degrees(np.arctan2(nose[0], -nose[2]))
        pitch[i] = np.degrees(np.arctan2(-nose[1], np.hypot(nose[0], nose[2])))
    return yaw, pitch


def combine(measures: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """One quality in [0, 1] per time: the product of four shares, so that any one of them at its worst makes the face unusable."""
    size = np.clip((measures["face_px"] - 20) / 80, 0, 1)  # 20 px: nothing; 100 px: all there is to see
    sharp = np.clip((0.95 - measures["blur"]) / 0.45, 0, 1)
    frontal = np.clip((75 - np.abs(measures["yaw"])) / 45, 0, 1) * np.clip((60 - np.abs(measures["pitch"])) / 30, 0, 1)
    sure = np.clip(measures["confidence"] / 0.7, 0, 1)
    return np.asarray(size * sharp * frontal * sure, np.float32)
