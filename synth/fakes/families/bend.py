"""Families that bend a face to landmarks: portrait animation, swaps, borrowed mouths, invented frames, frozen surroundings."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from gioconda_core.faces.families import Made, Take
from synth.fakes.families.parts import Array, Rng, between, face_mask, family, masks_of, neighbour, pasted, whole
from synth.fakes.families.resample import shrunk
from synth.warp import warp

_MOUTH = np.r_[2:15, 31:36, 48:68]


@family("bend", "1")
def Bend(take: Take, difficulty: float, rng: Rng) -> Made:
    """One frame of the clip bent to the landmarks of all the others: the person's own photograph set in motion."""
    return whole(*animate(take, difficulty, rng))


def animate(take: Take, difficulty: float, rng: Rng) -> tuple[Array, dict[str, Any]]:
    """Frames (N, S, S, 3) of one shot bent to the take's landmarks, and what was drawn by lot."""
    spread = np.linalg.norm(take.landmarks - take.landmarks.mean(0), axis=-1).mean(-1)
    order = np.argsort(spread)  # a hard fake starts from the pose that is nearest to all others
    shot = int(order[round(between(difficulty, len(order) - 1, 0, rng))])
    return np.stack([warp(take.frames[shot], take.landmarks[shot], p) for p in take.landmarks]), {"shot": shot}


@family("mouth", "1")
def Mouth(take: Take, difficulty: float, rng: Rng) -> Made:
    """The mouth of another moment bent into place, or drawn at low resolution: what lip editing leaves alone and what it does not."""
    borrowed = bool(rng.random() < 0.5)
    scale, feather = between(difficulty, 0.35, 0.75, rng), between(difficulty, 0.02, 0.06, rng)
    shift = int(rng.integers(len(take) // 4, max(len(take) // 4 + 1, 3 * len(take) // 4)))
    size = take.frames.shape[1]
    low = take.landmarks.copy()
    made = []
    for i, (frame, points) in enumerate(zip(take.frames, take.landmarks, strict=True)):
        if borrowed:
            k = (i + shift) % len(take)
            # the mouth's own opening comes along; jaw line and nose go where they are now
            target = points.copy()
            centre, other = points[48:68].mean(0), low[k, 48:68].mean(0)
            target[48:68] = centre + (low[k, 48:68] - other) * np.ptp(points[:, 0]) / max(1.0, np.ptp(low[k, :, 0]))
            made.append(warp(take.frames[k], low[k], target))
        else:
            made.append(shrunk(frame, scale, "linear"))
    masks = [face_mask(points, size, -0.01, feather, _MOUTH) for points in take.landmarks]
    return pasted(made, take, masks, {"borrowed": borrowed, "scale": scale, "feather": feather})


@family("swap", "1", swaps=True)
def Swap(take: Take, difficulty: float, rng: Rng, others: Sequence[Take]) -> Made:
    """Another person's inner face bent to the landmarks, in this face's colours, at low resolution, blended in."""
    donor = others[int(rng.integers(len(others)))] if others else take
    scale, feather = between(difficulty, 0.4, 0.9, rng), between(difficulty, 0.02, 0.07, rng)
    grow = -float(rng.uniform(0.0, 0.06))
    masks, made = masks_of(take, grow, feather), []
    spread = [donor.landmarks[k] - donor.landmarks[k].mean(0) for k in range(len(donor))]
    for frame, points, mask in zip(take.frames, take.landmarks, masks, strict=True):
        own = points - points.mean(0)
        k = int(np.argmin([np.linalg.norm(s * np.ptp(own) / np.ptp(s) - own, axis=1).mean() for s in spread]))
        drawn = warp(donor.frames[k], donor.landmarks[k], points)
        if scale < 0.85:
            drawn = shrunk(drawn, scale, "cubic")
        made.append(in_colours_of(drawn, frame, mask > 0.5))
    return pasted(made, take, masks, {"scale": scale, "feather": feather, "grow": grow})


def in_colours_of(picture: Array, model: Array, where: Array) -> Array:
    """The picture with mean and spread of the model's Lab colours, both taken where told. Source: Reinhard 2001."""
    a, b = (cv2.cvtColor(p, cv2.COLOR_RGB2LAB).astype(np.float32) for p in (picture, model))
    if where.sum() > 50:
        x, y = a[where], b[where]
        ratio = np.clip(y.std(0) / (x.std(0) + 1e-3), 0.6, 1.6)
        a = (a - x.mean(0)) * ratio + y.mean(0)
    return np.asarray(cv2.cvtColor(np.clip(a, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB).astype(np.float32))


@family("interpolate", "2")
def Interpolate(take: Take, difficulty: float, rng: Rng) -> Made:
    """Every other frame invented half-way between itself and its neighbour, both bent there: how a slow generator is brought to full rate."""
    odd, frames, size = int(rng.integers(2)), list(take.frames), take.frames.shape[1]
    share = between(difficulty, 0.5, 0.75, rng)  # of its own pixels
    masks = [np.zeros((size, size), np.uint8) for _ in frames]
    for i in range(odd, len(take), 2):
        k = neighbour(take.landmarks, i)
        if k is None:
            continue
        half = (take.landmarks[i] + take.landmarks[k]) / 2
        own, other = (warp(take.frames[n], take.landmarks[n], half).astype(np.float32) for n in (i, k))
        frames[i] = np.clip(share * own + (1 - share) * other + 0.5, 0, 255).astype(np.uint8)
        masks[i][:] = 255
    return Made(np.stack(frames), np.stack(masks), {"odd": odd, "share": share})


@family("still", "1")
def Still(take: Take, difficulty: float, rng: Rng) -> Made:
    """A moving face before surroundings that stand still, sharp to the seam: animation pasted back into its photograph."""
    grow, feather = float(rng.uniform(0.08, 0.25)), between(difficulty, 0.02, 0.08, rng)
    moved, record = animate(take, difficulty, rng)
    frozen = Take(np.stack([take.frames[record["shot"]]] * len(take)), take.landmarks)
    record |= {"grow": grow, "feather": feather}
    return whole(pasted(moved, frozen, masks_of(take, grow, feather), record).frames, record)
