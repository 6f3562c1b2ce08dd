"""Families that only resample or filter, in space or in time: what a small generator, an enlarger, a beauty filter or another frame rate
leaves of a face."""

import cv2
import numpy as np

from gioconda_core.faces.families import Made, Take
from synth.fakes.families.parts import Array, Rng, between, family, masks_of, neighbour, pasted, whole
from synth.warp import warp

_ENLARGE = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "lanczos": cv2.INTER_LANCZOS4}


def shrunk(frame: Array, scale: float, enlarge: str = "cubic") -> Array:
    """The frame reduced to ``scale`` by area and enlarged again."""
    height, width = frame.shape[:2]
    size = max(8, round(width * scale)), max(8, round(height * scale))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=_ENLARGE[enlarge]))


@family("lowres", "1")
def Lowres(take: Take, difficulty: float, rng: Rng) -> Made:
    """The face at a lower resolution than its surroundings, as generators of 64 to 192 pixels leave it."""
    scale, how = between(difficulty, 0.35, 0.7, rng), str(rng.choice(["linear", "cubic", "lanczos"]))
    grow = float(rng.uniform(0, 0.1))
    drawn = [shrunk(f, scale, how) for f in take.frames]
    masks = masks_of(take, grow, float(rng.uniform(0.03, 0.08)))
    return pasted(drawn, take, masks, {"scale": scale, "enlarge": how, "grow": grow})


@family("sharp", "2")
def Sharp(take: Take, difficulty: float, rng: Rng) -> Made:
    """The whole picture enlarged from a smaller one and sharpened: the look of a generator with an enhancer behind it."""
    scale, how = between(difficulty, 0.4, 0.75, rng), str(rng.choice(["linear", "cubic", "lanczos"]))
    amount, sigma = between(difficulty, 1.6, 0.6, rng), float(rng.uniform(0.8, 1.8))
    drawn: list[Array] = []
    for frame in take.frames:
        large = shrunk(frame, scale, how).astype(np.float32)
        drawn.append(np.clip(large + amount * (large - cv2.GaussianBlur(large, (0, 0), sigma)), 0, 255))
    return whole(np.stack(drawn), {"scale": scale, "enlarge": how, "amount": amount, "sigma": sigma})


@family("denoise", "1")
def Denoise(take: Take, difficulty: float, rng: Rng) -> Made:
    """Edges kept and texture taken out, by a bilateral filter; of the face, or of the whole picture."""
    colour, reach = between(difficulty, 40, 12, rng), float(rng.uniform(1.5, 4.0))
    everywhere = bool(rng.random() < 0.5)
    drawn = [cv2.bilateralFilter(f, 0, colour, reach) for f in take.frames]
    record = {"colour": colour, "reach": reach, "whole": everywhere}
    return whole(np.stack(drawn), record) if everywhere else pasted(drawn, take, masks_of(take, 0.08), record)


@family("jitter", "2")
def Jitter(take: Take, difficulty: float, rng: Rng) -> Made:
    """The face drawn anew at each frame: a little shift and gain that no camera has."""
    size = take.frames.shape[1]
    shift, gain = between(difficulty, 0.75, 0.45, rng), between(difficulty, 0.02, 0.01, rng)
    drawn: list[Array] = []
    for frame in take.frames:
        move, how = rng.normal(0, shift, 2), cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR
        matrix = np.array([[1, 0, move[0]], [0, 1, move[1]]], np.float32)
        moved = cv2.warpAffine(frame, matrix, (size, size), flags=how, borderMode=cv2.BORDER_REPLICATE)
        drawn.append(np.clip(moved.astype(np.float32) * (1 + rng.normal(0, gain)), 0, 255))
    return pasted(drawn, take, masks_of(take, 0.05), {"shift": shift, "gain": gain})


@family("smooth", "2")
def Smooth(take: Take, difficulty: float, rng: Rng) -> Made:
    """The face averaged with a neighbouring frame, bent to its landmarks: the steadiness of a temporal smoother."""
    share = between(difficulty, 0.6, 0.3, rng)
    drawn: list[Array] = []
    for i, (frame, points) in enumerate(zip(take.frames, take.landmarks, strict=True)):
        k = neighbour(take.landmarks, i)
        if k is None:
            drawn.append(frame)
            continue
        mixed = share * warp(take.frames[k], take.landmarks[k], points) + (1 - share) * frame
        drawn.append(mixed.astype(np.float32))
    return pasted(drawn, take, masks_of(take, 0.08), {"share": share})


@family("retime", "1")
def Retime(take: Take, difficulty: float, rng: Rng) -> Made:
    """The face brought to another frame rate by mixing neighbours: the head is slower or faster than its surroundings, and doubled while
    it moves. Reenactment drawn at 25 frames a second and pasted into a clip of another rate looks so."""
    most, grow = between(difficulty, 0.5, 0.2, rng), float(rng.uniform(0.05, 0.2))
    rate = float(rng.uniform(0.15, 0.85))  # of a frame by which the mixing drifts from one to the next
    drawn: list[Array] = []
    for i, frame in enumerate(take.frames):
        k = neighbour(take.landmarks, i)
        phase = abs((i * rate) % 2 - 1)  # to and fro between none of the neighbour and the most
        share = most * phase if k is not None else 0.0
        other = take.frames[k if k is not None else i].astype(np.float32)
        drawn.append(((1 - share) * frame + share * other).astype(np.float32))
    return pasted(drawn, take, masks_of(take, grow), {"most": most, "rate": rate, "grow": grow})
