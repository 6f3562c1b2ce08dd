"""Families whose pixels come out of a learned decoder: resynthesis by small autoencoders, enlargement by a learned enlarger."""

import cv2
import numpy as np

from gioconda_core.faces.families import Made, Take
from synth.fakes.families.autoencoder import redraw
from synth.fakes.families.bend import animate
from synth.fakes.families.parts import Array, Rng, between, face_mask, family, masks_of, pasted, whole


def _mixed(take: Take, drawn: Array, share: float) -> Array:
    return share * drawn + (1 - share) * take.frames


def _redrawn(take: Take, variant: str, difficulty: float, rng: Rng) -> Made:
    """The whole picture through a small autoencoder: the traces that decoders of latent diffusion leave."""
    share = between(difficulty, 1.0, 0.7, rng)
    return whole(_mixed(take, redraw(take.frames, variant), share), {"share": share})


@family("redraw-nearest", "1")
def RedrawNearest(take: Take, difficulty: float, rng: Rng) -> Made:
    """The whole picture redrawn by a decoder that repeats pixels and convolves."""
    return _redrawn(take, "nearest4", difficulty, rng)


@family("redraw-shuffle", "1")
def RedrawShuffle(take: Take, difficulty: float, rng: Rng) -> Made:
    """The whole picture redrawn by a decoder that lays pixels out of channels."""
    return _redrawn(take, "shuffle4", difficulty, rng)


@family("redraw-transposed", "1")
def RedrawTransposed(take: Take, difficulty: float, rng: Rng) -> Made:
    """The whole picture redrawn by a decoder of transposed convolutions, trained against a critic."""
    return _redrawn(take, "transposed4", difficulty, rng)


@family("redraw-face", "1")
def RedrawFace(take: Take, difficulty: float, rng: Rng) -> Made:
    """The face alone through an autoencoder, its surroundings as filmed: an inpainted or swapped face."""
    variants = ("nearest4", "shuffle4", "transposed4")
    variant, grow = str(rng.choice(variants)), float(rng.uniform(-0.05, 0.15))
    share, noise = between(difficulty, 1.0, 0.75, rng), max(0.0, between(difficulty, 0.1, -0.1, rng))
    drawn = _mixed(take, redraw(take.frames, variant, noise, rng), share)
    masks = [face_mask(p, take.frames.shape[1], grow, float(rng.uniform(0.02, 0.06))) for p in take.landmarks]
    return pasted(drawn, take, masks, {"variant": variant, "share": share, "noise": noise, "grow": grow})


@family("redraw-motion", "1")
def RedrawMotion(take: Take, difficulty: float, rng: Rng) -> Made:
    """One frame bent to the others' landmarks and redrawn by an autoencoder, sharpened or not: animation as most methods do it."""
    variants = ("nearest4", "shuffle4", "transposed4", "super4")
    variant, noise = str(rng.choice(variants)), max(0.0, between(difficulty, 0.1, -0.1, rng))
    moved, record = animate(take, difficulty, rng)
    drawn = redraw(moved, variant, noise, rng)
    sharpen = float(rng.choice([0.0, 0.6, 1.2]))
    if sharpen:
        drawn = np.stack([d + sharpen * (d - cv2.GaussianBlur(d, (0, 0), 1.2)) for d in drawn])
    return whole(drawn, {**record, "variant": variant, "noise": noise, "sharpen": sharpen})


@family("enhance", "1")
def Enhance(take: Take, difficulty: float, rng: Rng) -> Made:
    """The face reduced to a quarter and enlarged by a learned enlarger: a small generator with super-resolution behind it."""
    share, everywhere = between(difficulty, 1.0, 0.7, rng), bool(rng.random() < 0.4)
    grow = float(rng.uniform(0, 0.15))
    drawn = _mixed(take, redraw(take.frames, "super4"), share)
    record = {"share": share, "whole": everywhere, "grow": grow}
    return whole(drawn, record) if everywhere else pasted(drawn, take, masks_of(take, grow), record)
