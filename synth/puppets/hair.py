"""A puppet's hair: where it grows, how its strands run, how far it stands off the skull; and beards."""

# ruff: noqa: RUF005 -- a tuple added to an array is a shift, not a concatenation

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.puppets import head
from synth.puppets.brush import SIDE, Array, mask, mix, noise, spline, to_texture


def paint_beard(
    rng: np.random.Generator, image: NDArray[np.float32], at: Array, named: dict[str, Array], shade: Array,
    amount: float,
) -> None:  # fmt: skip
    """Stubble or a beard over jaw, chin and upper lip, in place. amount : 0.2 a shadow … 0.9 full."""
    jaw = at[2:15]
    above = [named["cheek"] + (6, 0), at[54] + (4, -8), at[35] + (2, 12)]
    region = np.r_[jaw + (0, 8), above, [at[31] + (-2, 12), at[48] + (-4, -8), named["cheek-"] + (-6, 0)]]
    cover = mask(region, 7.0) * (1 - mask(head.smooth_closed(at[48:60], 4), 1.2))
    grain = np.clip(0.75 + 0.35 * noise(rng, SIDE, 256), 0, 1.3)
    mix(image, shade * 0.85, amount * cover * grain)


def _region(rng: np.random.Generator, style: str) -> list[Array]:
    """Outlines, in texels, of where hair grows; empty for a shaven head."""
    front = head.DATA["hair"]["front"][style] + rng.normal(0, 0.045)
    if style in ("short", "long", "bob") and rng.random() < 0.3:
        front = -0.78  # a fringe
    burn = {"bald": -0.5, "long": 0.35, "bob": 0.5}.get(style, rng.uniform(-0.42, 0.0))
    temple, lift = -0.92 + rng.normal(0, 0.04), rng.normal(0, 0.05)
    half = np.array(
        [
            *[(0.0, front), (0.28, front + 0.02), (0.52, front + 0.1 + lift)],
            *[(0.74, min(temple, front + 0.35)), (0.93, -0.62), (1.02, burn), (1.16, burn)],
        ]
    )
    outer = np.array([(1.24, -0.42), (1.5, -0.52), (1.72, -0.2), (1.85, 0.5), (2.1, 0.9), (2.14, -2.14)])
    if style in ("long", "bob"):
        half[4:] = [(0.98, -0.5), (1.06, -0.1), (1.12, burn)]
        outer = np.array([(1.4, 0.7), (1.85, 0.9), (2.1, 0.9), (2.14, -2.14)])
    if style == "receding":
        half[0:4, 1] = [front, front, front + 0.12, min(-1.0, front + 0.4)]
    if style == "bald":
        if rng.random() < 0.5:
            return []
        back = [(2.14, -1.3), (2.14, 0.9), (1.85, 0.5), (1.72, -0.2), (1.5, -0.5), (1.25, -0.4)]
        ring = np.array([(1.15, -0.1), (1.12, -0.5), (1.3, -0.75), (1.5, -1.0), *back])
        return [to_texture(ring), to_texture(ring * (-1, 1))]
    right = np.r_[spline(half, 30), outer]
    return [to_texture(np.r_[right, (right * (-1, 1))[::-1]])]


def _strands(rng: np.random.Generator, style: str) -> NDArray[np.float32]:
    """Brightness of the strands about 1: combed away from a parting, or clumps of curls."""
    if style == "curls":
        knots = np.asarray(noise(rng, SIDE, 70) + 0.7 * noise(rng, SIDE, 120))
        return np.asarray(1 + 0.24 * knots, np.float32)
    part = np.array([rng.choice([-0.35, 0.0, 0.35]), -1.75])
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    centre = to_texture(part)
    angle = np.arctan2(y - centre[1], x - centre[0])
    radius = np.hypot(x - centre[0], y - centre[1])
    wave = rng.uniform(0, 0.12) * np.sin(radius / rng.uniform(9, 22))
    strip = np.asarray(cv2.GaussianBlur(rng.standard_normal((48, 1400)).astype(np.float32), (0, 0), 1.1), np.float32)
    strip /= strip.std()
    across = ((angle + wave + np.pi) / (2 * np.pi) * 1380).astype(np.float32)
    along = (radius / 9).astype(np.float32)
    strands = cv2.remap(strip, across, along, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(1 + 0.26 * strands + 0.10 * noise(rng, SIDE, 12), np.float32)


def paint_hair(rng: np.random.Generator, image: NDArray[np.float32], shade: Array, style: str) -> Array:
    """Paint the scalp's hair in place; returns its thickness over each mesh vertex (V,), head units."""
    uv = head.mesh().uv
    polygons = _region(rng, style)
    if not polygons:
        return np.zeros(len(uv))
    hard = np.max([mask(p, 0) for p in polygons], axis=0)
    soft = np.asarray(cv2.GaussianBlur(hard, (0, 0), 4.0))
    ragged = np.clip((soft - 0.5) * 2.6 + 0.5 + 0.28 * noise(rng, SIDE, 170), 0, 1)
    roots = np.clip(cv2.GaussianBlur(hard, (0, 0), 7.0) * 1.2, 0, 1)
    mix(image, shade * 0.45, 0.5 * roots)  # the hair's shadow on the skin
    colour = np.clip(shade * _strands(rng, style)[..., None], 4, 250).astype(np.float32)
    image += (colour - image) * ragged[..., None]
    thick = rng.uniform(*head.DATA["hair"]["thickness"][style])
    where = to_texture(uv).astype(np.float32)
    field = cv2.GaussianBlur(hard, (0, 0), 11.0)
    inside = cv2.remap(field, where[None, :, 0], where[None, :, 1], cv2.INTER_LINEAR)[0]
    bumps = cv2.remap(noise(rng, SIDE, 22), where[None, :, 0], where[None, :, 1], cv2.INTER_LINEAR)[0]
    rise = np.clip((inside - 0.35) / 0.6, 0, 1)
    side = 0.5 + 0.5 * np.clip(-uv[:, 1] / 1.2, 0, 1)  # flatter at the sides than on top
    if style == "curls":
        side = 0.8 + 0.2 * side
    uneven = np.clip(1 + (0.16 if style == "curls" else 0.12) * bumps + rng.normal(0, 0.12) * uv[:, 0], 0.4, 1.6)
    return np.asarray(thick * rise * rise * (3 - 2 * rise) * side * uneven)
