"""Families whose pixels come out of a learned decoder: resynthesis by small autoencoders, enlargement by a learned enlarger."""

from collections.abc import Sequence

import cv2
import numpy as np

from gioconda_core.faces.families import Made, Take
from synth.fakes.families.autoencoder import redraw
from synth.fakes.families.bend import animate
from synth.fakes.families.parts import Array, between, face_mask, masks_of, pasted, whole


def _mixed(take: Take, drawn: Array, share: float) -> Array:
    return share * drawn + (1 - share) * take.frames


class Redraw:
    """The whole picture through a small autoencoder: the traces that decoders of latent diffusion leave."""

    version, others = "1", False
    name = variant = ""

    def make(self, take: Take, difficulty: float, rng: np.random.Generator, others: Sequence[Take] = ()) -> Made:
        share = between(difficulty, 1.0, 0.7, rng)
        return whole(_mixed(take, redraw(take.frames, self.variant), share), {"share": share})


class RedrawNearest(Redraw):
    """By a decoder that repeats pixels and convolves."""

    name, variant = "redraw-nearest", "nearest4"


class RedrawShuffle(Redraw):
    """By a decoder that lays pixels out of channels."""

    name, variant = "redraw-shuffle", "shuffle4"


class RedrawTransposed(Redraw):
    """By a decoder of transposed convolutions, trained against a critic."""

    name, variant = "redraw-transposed", "transposed4"


class RedrawFace:
    """The face alone through an autoencoder, its surroundings as filmed: an inpainted or swapped face."""

    name, version, others = "redraw-face", "1", False
    variants = ("nearest4", "shuffle4", "transposed4")

    def make(self, take: Take, difficulty: float, rng: np.random.Generator, others: Sequence[Take] = ()) -> Made:
        variant, grow = str(rng.choice(self.variants)), float(rng.uniform(-0.05, 0.15))
        share, noise = between(difficulty, 1.0, 0.75, rng), max(0.0, between(difficulty, 0.1, -0.1, rng))
        drawn = _mixed(take, redraw(take.frames, variant, noise, rng), share)
        masks = [face_mask(p, take.frames.shape[1], grow, float(rng.uniform(0.02, 0.06))) for p in take.landmarks]
        return pasted(drawn, take, masks, {"variant": variant, "share": share, "noise": noise, "grow": grow})


class RedrawMotion:
    """One frame bent to the others' landmarks and redrawn by an autoencoder, sharpened or not: animation as most methods do it."""

    name, version, others = "redraw-motion", "1", False
    variants = ("nearest4", "shuffle4", "transposed4", "super4")

    def make(self, take: Take, difficulty: float, rng: np.random.Generator, others: Sequence[Take] = ()) -> Made:
        variant, noise = str(rng.choice(self.variants)), max(0.0, between(difficulty, 0.1, -0.1, rng))
        moved, record = animate(take, difficulty, rng)
        drawn = redraw(moved, variant, noise, rng)
        sharpen = float(rng.choice([0.0, 0.6, 1.2]))
        if sharpen:
            drawn = np.stack([d + sharpen * (d - cv2.GaussianBlur(d, (0, 0), 1.2)) for d in drawn])
        return whole(drawn, {**record, "variant": variant, "noise": noise, "sharpen": sharpen})


class Enhance:
    """The face reduced to a quarter and enlarged by a learned enlarger: a small generator with super-resolution behind it."""

    name, version, others = "enhance", "1", False

    def make(self, take: Take, difficulty: float, rng: np.random.Generator, others: Sequence[Take] = ()) -> Made:
        share, everywhere = between(difficulty, 1.0, 0.7, rng), bool(rng.random() < 0.4)
        grow = float(rng.uniform(0, 0.15))
        drawn = _mixed(take, redraw(take.frames, "super4"), share)
        record = {"share": share, "whole": everywhere, "grow": grow}
        return whole(drawn, record) if everywhere else pasted(drawn, take, masks_of(take, grow), record)
