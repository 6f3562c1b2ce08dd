"""What a puppet's surface looks like: one texture an identity, with skin, brows, lips, hair, eyes and teeth.

Textures are painted in the head's unrolled directions (:func:`synth.puppets.head.uv_of`), stored squared (gamma 2), so that light multiplies.
"""

# ruff: noqa: RUF005 -- a tuple added to an array is a shift, not a concatenation

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.puppets import head
from synth.puppets.brush import SIDE, Array, blob, fixed, mask, mix, noise, spline, stroke, to_texture
from synth.puppets.hair import paint_beard, paint_hair

ATLAS = (SIDE + 128, SIDE)  # rows below the head hold the eye, the mouth, the neck and the hair strands

_SKIN, _HAIR, _IRIS = (np.array(head.DATA["colours"][name], float) for name in ("skin", "hair", "iris"))


@dataclass(frozen=True)
class Look:
    """One person's surface.

    atlas : float32 ATLAS + (3,), squared colour in [0, 1]. hair : (V,) thickness of hair over each head vertex, in head units.
    """

    atlas: NDArray[np.float32]
    hair: Array
    long_hair: float  # length of hair below the ears, head units; 0 = none
    glasses: tuple[float, float, float, tuple[int, int, int]] | None  # half width, half height, roundness, colour
    ears: float  # size; 0 where hair covers them
    neck: float  # radius


@dataclass(frozen=True)
class _Skin:
    """A face being painted: the picture, where its points lie on it, and the colours of its skin.

    at : (A, 2) texels of the anchors. named : the same by name. depth : 1 fair … 0 deep. mature : 0 young … 1 old.
    """

    rng: np.random.Generator
    image: NDArray[np.float32]  # (SIDE, SIDE, 3) sRGB, 0 to 255
    at: Array
    named: dict[str, Array]
    skin: Array
    dark: Array
    depth: float
    mature: float

    def mix(self, colour: Array, share: NDArray[Any]) -> None:
        mix(self.image, colour, share)


def paint_look(rng: np.random.Generator, mature: float) -> Look:
    """Paint one identity. mature : 0 young … 1 old, for wrinkles and grey."""
    face = _skin(rng, mature)
    _hollows(face)
    _marks(face)
    _lips(face)
    grey = mature > 0.72 and rng.random() < 0.75
    shade = _HAIR[rng.integers(7, 9)] if grey else _HAIR[rng.integers(0, 7) if face.depth > 0.4 else rng.integers(0, 3)]
    shade = np.clip(shade + rng.normal(0, 6, 3), 8, 235)
    _brows(face, shade)
    _lashes(face)
    male = rng.random() < 0.5
    if male and rng.random() < 0.55:
        paint_beard(rng, face.image, face.at, face.named, shade, rng.choice([0.28, 0.45, 0.9]))
    own = ("crop", "bald", "receding", "curls") if male else ("long", "long", "bob", "curls")
    style = str(rng.choice(["short", "short", "crop", *own]))
    hair = paint_hair(rng, face.image, shade, style)
    atlas = _atlas(face, shade)
    glasses = None
    if rng.random() < 0.24:
        frame = tuple(head.DATA["colours"]["glasses"][rng.integers(0, 4)])
        glasses = (rng.uniform(0.235, 0.275), rng.uniform(0.15, 0.21), float(rng.choice([2.0, 3.0, 4.0])), frame)
    longer = {"long": rng.uniform(1.5, 2.3), "bob": rng.uniform(0.85, 1.2)}.get(style, 0.0)
    return Look(
        atlas=np.asarray((np.clip(atlas, 0, 255) / 255) ** 2, np.float32),
        hair=hair,
        long_hair=longer,
        glasses=glasses,
        ears=0.0 if longer else rng.uniform(0.9, 1.12),
        neck=rng.uniform(0.5, 0.6) if male else rng.uniform(0.43, 0.5),
    )


def _skin(rng: np.random.Generator, mature: float) -> _Skin:
    """Skin with its grain, and flushed cheeks, nose and chin."""
    at = to_texture(head.mesh().uv[: len(head.BASE)])
    named = {name: at[i] for name, i in head.INDEX.items()}
    tone = rng.uniform(0, len(_SKIN) - 1.001)
    skin = _SKIN[int(tone)] * (1 - tone % 1) + _SKIN[int(tone) + 1] * (tone % 1)
    skin = skin + rng.normal(0, 1, 3) * (3, 3, 5)
    image = np.empty((SIDE, SIDE, 3), np.float32)
    image[:] = skin
    for cells, amount in ((6, 3.0), (24, 2.6), (90, 2.2), (256, 2.4)):
        image *= 1 + noise(rng, SIDE, cells)[..., None] * amount / 255
    image[..., 0] += noise(rng, SIDE, 16) * 2.2
    red = np.clip(skin * (1.0, 0.80, 0.78), 0, 255)
    flush = rng.uniform(0.25, 0.8)
    for name in ("cheek_mid", "cheek_mid-"):
        mix(image, red, flush * blob(named[name], (30, 26)))
    mix(image, red, 0.7 * flush * blob(at[30], (17, 16)))
    mix(image, red, 0.4 * flush * blob(named["chin"], (22, 16)))
    depth = 1 - tone / (len(_SKIN) - 1)
    return _Skin(rng, image, at, named, skin, skin * (0.62, 0.52, 0.47), depth, mature)


def _hollows(face: _Skin) -> None:
    """Hollows and folds: light alone does not make them on so coarse a mesh."""
    at, named, dark, skin, mature = face.at, face.named, face.dark, face.skin, face.mature
    for eye, sign in ((slice(36, 42), -1), (slice(42, 48), 1)):
        centre = at[eye].mean(0)
        face.mix(dark, 0.36 * blob(centre + (0, -3), (24, 13)))
        face.mix(dark, 0.30 * blob(centre + (-sign * 17, -8), (10, 12)))
        lid = head.eye_outline(at[eye])
        upper = lid[: len(lid) // 2 + 1]
        crease = upper + np.c_[np.zeros(len(upper)), -6.0 - 2.2 * np.sin(np.linspace(0, np.pi, len(upper)))]
        face.mix(dark * 0.8, face.rng.uniform(0.35, 0.75) * stroke(crease, 1, 0.9))
        bag = lid[len(lid) // 2 :] + (0, 8.5)
        face.mix(dark, (0.16 + 0.3 * mature) * stroke(bag, 3, 2.6))
        face.mix(skin * (0.85, 0.66, 0.62), 0.6 * stroke(lid[len(lid) // 2 :], 3, 1.0))  # wet rim
    for wing, corner, fold, alar in ((31, 48, "nasolabial-", "alar-"), (35, 54, "nasolabial", "alar")):
        line = np.array(
            [named[alar] + (0, -3), named[fold] * 0.72 + at[wing] * 0.28, named[fold] * 0.75 + at[corner] * 0.25]
        )
        side = np.array([named[alar] + (0, -9), named[alar], at[wing] + (0, 4)])
        face.mix(dark, (0.22 + 0.34 * mature) * stroke(spline(line), 4, 3.0))
        face.mix(dark, 0.45 * stroke(spline(side), 3, 2.2))
        face.mix(dark * 0.9, 0.35 * blob(at[corner], (6, 5)))
    face.mix(dark * 0.85, 0.55 * stroke(spline(at[[31, 32, 33, 34, 35]] + (0, 2)), 4, 2.4))
    for nostril, sign in ((32, -1), (34, 1)):
        face.mix(np.array([32.0, 15, 12]), 0.95 * blob(at[nostril] + (sign * 1.0, -1.5), (5.2, 3.4)) ** 0.8)
    face.mix(dark, 0.5 * blob(named["lip_below"] + (0, -4), (26, 6)))
    face.mix(np.minimum(skin * 1.08, 255), 0.35 * blob(at[29], (6, 22)))
    face.mix(dark, 0.20 * blob(named["philtrum"], (4, 8)))


def _marks(face: _Skin) -> None:
    """Lines of the forehead, freckles and moles."""
    rng, at, dark, brow = face.rng, face.at, face.dark, face.named["forehead_low"]
    for i in range(3):
        if face.mature > 0.45:
            x = np.linspace(-52, 52, 9)
            line = np.c_[brow[0] + x, brow[1] - 8 - 13 * i + rng.normal(0, 0.8, 9) + (x / 40) ** 2]
            face.mix(dark, 0.4 * (face.mature - 0.3) * stroke(line, 2, 1.4))
    if face.depth > 0.45 and rng.random() < 0.3:
        spots = (noise(rng, SIDE, 200) > 1.55).astype(np.float32)
        face.mix(face.skin * (0.78, 0.66, 0.55), 0.7 * cv2.GaussianBlur(spots, (0, 0), 0.8) * blob(at[29], (80, 38)))
    for _ in range(rng.poisson(1.3)):
        spot = at[rng.choice([3, 13, 5, 11, 31, 35])] + rng.normal(0, 14, 2)
        face.mix(dark * 0.55, 0.9 * blob(spot, (1.7, 1.7)))


def _lips(face: _Skin) -> None:
    rng, at, skin = face.rng, face.at, face.skin
    lips = np.array([skin[0] * 0.86, skin[1] * 0.62, skin[2] * 0.62]) + rng.normal(0, 1, 3) * (8, 5, 5)
    if rng.random() < 0.22:
        lips = np.array([rng.uniform(125, 170), rng.uniform(45, 75), rng.uniform(55, 85)])
    lips = np.clip(lips, 10, 240)
    outer, inner = head.smooth_closed(at[48:60], 4), head.smooth_closed(at[60:68], 4)
    face.mix(lips, 0.92 * mask(outer, 1.1))
    face.mix(lips * 1.16, 0.5 * blob((at[57] + at[66]) / 2, (17, 3.6)))
    face.mix(lips * 0.55, 0.8 * stroke(np.r_[inner, inner[:1]], 2, 0.9))
    face.mix(face.dark * 0.8, 0.4 * stroke(outer[len(outer) // 2 - 1 :] + (0, 2.0), 2, 1.3))


def _brows(face: _Skin, shade: Array) -> None:
    rng, at = face.rng, face.at
    brow = shade * (0.62 if shade.mean() > 60 else 0.85)
    thick = rng.uniform(2.4, 5.2)
    for side in (range(17, 22), range(26, 21, -1)):
        curve = spline(at[list(side)], 40)
        face.mix(brow, 0.5 * stroke(curve, round(thick), 1.7))
        inward = 1 if side[0] == 17 else -1
        canvas = np.zeros((SIDE, SIDE), np.uint8)
        for t in rng.uniform(0, 1, 150):
            p = curve[min(int(t * 39), 39)] + (rng.normal(0, 1.2), rng.normal(0, 0.42 * thick * (1 - 0.5 * t)))
            # Hairs start by the nose pointing up, and lie down along the arch towards the temple.
            rise = 0.9 - 1.5 * (1 - t)
            tip = p + np.array([-inward * 5.0, -4.5 * max(-0.25, rise)])
            cv2.line(canvas, fixed(p), fixed(tip), 255, 1, cv2.LINE_AA, 4)
        face.mix(brow * 0.8, 0.65 * cv2.GaussianBlur(canvas, (0, 0), 0.6).astype(np.float32) / 255)


def _lashes(face: _Skin) -> None:
    lash = np.array([22.0, 16, 14])
    for eye, sign in ((slice(36, 42), -1), (slice(42, 48), 1)):
        lid = head.eye_outline(face.at[eye])
        upper = lid[: len(lid) // 2 + 1]
        face.mix(lash, face.rng.uniform(0.75, 0.95) * stroke(upper + (0, -1.0), 3, 0.8))
        out = upper[-1] if sign > 0 else upper[0]
        face.mix(lash, 0.6 * stroke(np.array([out, out + (sign * 5, -3.0)]), 2, 0.8))


def _atlas(face: _Skin, shade: Array) -> NDArray[np.float32]:
    """The head's picture, and below it the eye, the mouth, the neck and strands of hair; sRGB, 0 to 255."""
    rng, row = face.rng, slice(SIDE, SIDE + 128)
    atlas = np.zeros((*ATLAS, 3), np.float32)
    atlas[:SIDE] = face.image
    atlas[row, 0:128] = _eye(rng, _IRIS[rng.integers(0, len(_IRIS)) if face.depth > 0.45 else rng.integers(0, 2)])
    atlas[row, 128:256] = _mouth(rng)
    neck = np.empty((128, 128, 3), np.float32)
    neck[:] = face.skin * 0.97
    neck *= 1 + noise(rng, 128, 24)[..., None] * 0.012
    for y in rng.uniform(30, 110, 2):
        colour = tuple(map(float, face.skin * 0.9))
        cv2.line(neck, (0, int(y)), (127, int(y + rng.normal(0, 3))), colour, 1, cv2.LINE_AA)
    atlas[row, 256:384] = cv2.GaussianBlur(neck, (0, 0), 1.0)
    strands = cv2.resize(rng.standard_normal((3, 64)).astype(np.float32), (128, 128), interpolation=cv2.INTER_CUBIC)
    atlas[row, 384:512] = shade * (1 + 0.22 * strands)[..., None]
    return atlas


def _eye(rng: np.random.Generator, iris: Array) -> NDArray[np.float32]:
    """Sclera, iris and pupil; 128 texels across = 0.5 head units."""
    y, x = np.mgrid[0:128, 0:128].astype(np.float32)
    r = np.hypot(x - 63.5, y - 63.5)
    out = np.empty((128, 128, 3), np.float32)
    out[:] = (198, 189, 184)  # an eye lies in its socket's shade: white as paper it would glow
    out -= (r / 64)[..., None] ** 2 * np.array([48, 76, 74], np.float32)
    out += noise(rng, 128, 30)[..., None] * (0.5, 1.5, 1.5)
    big = rng.uniform(16.2, 17.8)  # iris radius 0.066 head units, some 6 mm
    angle = np.arctan2(y - 63.5, x - 63.5)
    rays = np.interp((angle + np.pi) * 20, np.arange(128), rng.standard_normal(128)).astype(np.float32)
    colour = iris * (0.74 + 0.14 * rays[..., None] + 0.25 * ((r / big)[..., None] - 0.5))
    edge = 1 / (1 + np.exp(np.clip((r - big) / 0.7, -30, 30)))
    out += (colour - out) * edge[..., None]
    limbus = np.exp(-(((r - big) / 2.2) ** 2)) * 0.85
    out += (np.array([30, 24, 22]) - out) * limbus[..., None]
    pupil = 1 / (1 + np.exp(np.clip((r - rng.uniform(7.5, 9.5)) / 0.6, -30, 30)))
    out += (np.array([10, 8, 8]) - out) * pupil[..., None]
    return out


def _mouth(rng: np.random.Generator) -> NDArray[np.float32]:
    """Rows 0–39 upper teeth (x −0.26…0.26), 40–79 lower teeth, 80–127 the cavity with the tongue."""
    out = np.empty((128, 128, 3), np.float32)
    out[:] = (52, 20, 20)
    tooth = np.array([226, 218, 200]) - rng.uniform(0, 1) * np.array([8, 16, 40])
    edges = 64 + np.cumsum([0, 12, 9.5, 9.5, 8.5, 8.5, 8.0])
    for top, rows, flip in ((0, 40, False), (40, 40, True)):
        x = np.arange(128)
        band = np.empty((rows, 128, 3), np.float32)
        band[:] = tooth * (0.97 if not flip else 0.9)
        for e in [*edges, *(127 - edges)]:
            band *= (1 - 0.38 * np.exp(-(((x - e) / 0.9) ** 2)))[None, :, None]
        band *= np.clip(1.04 - (np.abs(x - 63.5) / 78) ** 2.2, 0.25, 1)[None, :, None]
        below = 26 - np.arange(rows) if flip else np.arange(rows) - 11  # the gum's edge
        gum = np.clip(below / 3.0, 0, 1)[:, None, None]
        out[top : top + rows] = band * gum + np.array([150, 72, 72]) * (1 - gum)
    y, x = np.mgrid[0:48, 0:128].astype(np.float32)
    tongue = np.exp(-(((x - 64) / 34) ** 4) - ((y - 42) / 15) ** 2)
    out[80:] += (np.array([150, 70, 72]) - out[80:]) * tongue[..., None]
    return out
