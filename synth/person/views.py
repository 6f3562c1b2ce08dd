"""Makes views of a shot, for tuning to learn from besides the shot itself: the head turned a little, mouth, brows and lids moved.

One photograph has one landmark image; a generator tuned on that alone learns to draw it and forgets how to move. Here its
landmarks are moved as a head moves, the picture is bent after them, and only what the bending can know is trusted: where a mouth
opens wider than in the shot nothing is known of what lies behind the lips, and the mask says so. Not in the paper.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gioconda_core.faces import align
from synth.person.mouth import Mouth
from synth.warp import warp

Frames = NDArray[np.uint8]
Points = NDArray[np.float32]

# Depth of the 68 points behind the eyes' plane, as a share of the face square's side: anthropometric tables, rounded. Left half; the
# right half is its mirror image.
DEPTH = np.zeros(68)
for _at, _values in {
    0: (0.58, 0.54, 0.48, 0.40, 0.31, 0.22, 0.14, 0.09, 0.08),  # jaw, ear to chin
    17: (0.14, 0.05, -0.01, -0.03, -0.05),  # brow
    27: (-0.05, -0.11, -0.16, -0.22, -0.05, -0.08, -0.10),  # bridge, tip, nostril to septum
    36: (0.11, 0.06, 0.05, 0.06, 0.05, 0.07),  # eye
    48: (0.03, -0.03, -0.07, -0.08),  # upper lip
    57: (-0.06, -0.05, -0.02, 0.03, -0.05, -0.06),  # lower lip, inner corner, inner upper lip
    66: (-0.05, -0.04),  # inner lower lip
}.items():
    DEPTH[_at : _at + len(_values)] = _values
    DEPTH[align.MIRROR[_at : _at + len(_values)]] = _values

_UPPER_LIDS, _LOWER_LIDS = np.array([37, 38, 43, 44]), np.array([41, 40, 47, 46])
_LOWER_LIP = np.array([*range(55, 60), 65, 66, 67])
_CHIN = np.arange(4, 13)
_BROWS = np.arange(17, 27)
_INNER = np.arange(60, 68)


@dataclass(frozen=True, eq=False)
class View:
    """A bent shot. frame : uint8 (S, S, 3); landmarks : (68, 2); known : bool (S, S), False where nothing is known."""

    frame: Frames
    landmarks: Points
    known: NDArray[np.bool_]


def moved(landmarks: Points, rng: np.random.Generator) -> Points:
    """Landmarks (68, 2) after a small random motion: turn, nod, tilt, shift, speech, brows, a blink."""
    points = np.asarray(landmarks, np.float64)
    side = align.side(points)
    centre = points[align.RIGID].mean(0)
    depth = DEPTH * side
    depth = depth - depth[align.RIGID].mean()
    speech = points.copy()
    if rng.random() < 0.7:  # the jaw drops, or lips close on what is open
        gap = float((points[66] - points[62])[1])
        drop = max(rng.normal(0.02, 0.05) * side, -0.9 * gap)
        speech[_LOWER_LIP, 1] += drop
        speech[_CHIN, 1] += drop * 0.75 * np.sin(np.linspace(0.35, np.pi - 0.35, len(_CHIN)))
        corners = rng.normal(0, 0.015) * side  # spread or rounded
        for corner, sign in ((48, -1), (60, -1), (54, 1), (64, 1)):
            speech[corner, 0] += sign * corners
            speech[corner, 1] += 0.4 * max(drop, 0.0)
    if rng.random() < 0.5:
        speech[_BROWS, 1] += rng.normal(0, 0.015) * side
    if rng.random() < 0.35:
        closed = rng.uniform(0.2, 1.0)
        middle = 0.3 * speech[_UPPER_LIDS] + 0.7 * speech[_LOWER_LIDS]  # the upper lid travels most of the way
        speech[_UPPER_LIDS] += closed * (middle - speech[_UPPER_LIDS])
        speech[_LOWER_LIDS] += closed * (middle - speech[_LOWER_LIDS])
    yaw, pitch, roll = np.radians(rng.normal(0, (9.0, 6.0, 4.0)))
    x, y = (speech - centre).T
    z = depth
    x, z = x * np.cos(yaw) - z * np.sin(yaw), x * np.sin(yaw) + z * np.cos(yaw)
    y, z = y * np.cos(pitch) - z * np.sin(pitch), y * np.sin(pitch) + z * np.cos(pitch)
    x, y = x * np.cos(roll) - y * np.sin(roll), x * np.sin(roll) + y * np.cos(roll)
    shift = rng.normal(0, 0.03, 2) * side
    scale = np.exp(rng.normal(0, 0.03))
    return np.asarray(np.stack([x, y], -1) * scale + centre + shift, np.float32)


def view(frame: Frames, landmarks: Points, rng: np.random.Generator, mouth: Mouth | None = None) -> View:
    """One random view of a shot. frame : uint8 (S, S, 3), landmarks : (68, 2) in its pixels.

    mouth : the shot's; lips that open wider than in the shot then show a drawn cavity, and everything counts as known.
    """
    target = moved(landmarks, rng)
    bent = warp(frame, landmarks, target)
    if mouth is not None:
        mouth.draw(bent, np.asarray(target, np.float64))
        return View(bent, target, np.ones(frame.shape[:2], bool))
    known = np.ones(frame.shape[:2], np.uint8)
    side = align.side(landmarks)
    before, after = (float(p[[65, 66, 67], 1].mean() - p[[61, 62, 63], 1].mean()) for p in (landmarks, target))
    if after > max(1.25 * before, before + 0.01 * side):
        cv2.fillPoly(known, [np.round(target[_INNER]).astype(np.int32)], 0)
    return View(bent, target, known.astype(bool))
