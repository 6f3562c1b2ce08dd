"""Where a puppet sits: a room out of focus, and clothes."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.puppets.brush import Array, fixed, noise, spline
from synth.puppets.head import DATA

_CLOTH = np.array(DATA["colours"]["cloth"], float)


def paint_backdrop(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    """A room out of focus: wall, panels, lamps; float32 (size, size, 3), squared colour."""
    y, x = np.mgrid[0:64, 0:64].astype(np.float32) / 63
    wall = rng.uniform(40, 200) + rng.normal(0, 10, 3)
    canvas = np.clip(wall, 15, 235) * (1 + rng.normal(0, 0.18) * (x - 0.5) + rng.normal(0, 0.18) * (y - 0.5))[..., None]
    canvas = canvas.astype(np.float32)
    for _ in range(rng.integers(2, 7)):
        colour = np.clip(wall * rng.uniform(0.4, 1.5) + rng.normal(0, 13, 3), 5, 250)
        x0, y0 = rng.integers(-10, 60, 2)
        w, h = rng.integers(5, 40, 2)
        cv2.rectangle(canvas, (int(x0), int(y0)), (int(x0 + w), int(y0 + h)), tuple(map(float, colour)), -1)
    for _ in range(rng.integers(0, 4)):
        colour = np.clip(np.array([250, 225, 190]) * rng.uniform(0.6, 1) + rng.normal(0, 12, 3), 0, 255)
        at, radius = tuple(map(int, rng.integers(0, 64, 2))), int(rng.integers(2, 7))
        cv2.circle(canvas, at, radius, tuple(map(float, colour)), -1)
    canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(1.2, 3.5))
    out = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray((np.clip(out, 0, 255) / 255) ** 2, dtype=np.float32)


def paint_torso(rng: np.random.Generator, size: int, scale: float, centre: tuple[float, float]) -> NDArray[np.float32]:
    """Shoulders and collar as float32 (size, size, 4): squared colour and cover. scale : pixels a head unit at the neck."""
    cloth = np.clip(_CLOTH[rng.integers(0, len(_CLOTH))] + rng.normal(0, 12, 3), 8, 245)
    kind = str(rng.choice(["crew", "v", "shirt"]))
    up = 2
    s, c = scale * up, np.array(centre) * up
    width, drop = rng.uniform(1.75, 2.2), rng.uniform(0.4, 0.7)
    shoulder = [(0.50, 1.62), (0.72, 1.66), (1.2, 1.66 + drop * 0.55), (width, 1.75 + drop)]
    half = np.array([*shoulder, (width + 0.25, 2.9), (width + 0.3, 6)])
    outline = np.r_[spline(half, 40), (spline(half, 40) * (-1, 1))[::-1]]
    dip = {"crew": 0.28, "v": 0.85, "shirt": 0.62}[kind]
    t = np.linspace(-1, 1, 21)
    curve = np.c_[t * 0.5, 1.62 + dip * ((1 - np.abs(t)) if kind != "crew" else (1 - t**2))]
    n = size * up
    cover = np.zeros((n, n), np.uint8)
    cv2.fillPoly(cover, [np.round((outline * s + c) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    hole = np.r_[curve, [(0.5, 1.0), (-0.5, 1.0)]]
    cv2.fillPoly(cover, [np.round((hole * s + c) * 16).astype(np.int32)], 0, cv2.LINE_AA, 4)
    colour = np.empty((n, n, 3), np.float32)
    colour[:] = cloth
    if rng.random() < 0.3:
        period = rng.uniform(0.08, 0.3) * s
        stripes = (np.sin(np.arange(n) * 2 * np.pi / period) > 0.3).astype(np.float32)
        axis = stripes[:, None, None] if rng.random() < 0.6 else stripes[None, :, None]
        colour += (np.clip(cloth * 1.5 + 25, 0, 255) - colour) * axis * 0.5
    y, x = np.mgrid[0:n, 0:n].astype(np.float32)
    u, v = (x - c[0]) / s, (y - c[1]) / s
    colour *= (1.08 - 0.16 * np.abs(u) - 0.10 * np.clip(v - 1.8, 0, 2))[..., None]
    colour *= 1 + 0.06 * noise(rng, n, 10)[..., None]
    if kind == "shirt":
        _collar(colour, cover, cloth, lambda points: points * s + c, 1.62 + dip, up)
    else:
        band = np.round((curve * s + c) * 16).astype(np.int32)
        cv2.polylines(colour, [band], False, tuple(map(float, cloth * 0.72)), max(2, round(0.05 * s)), cv2.LINE_AA, 4)
    out = np.dstack([(np.clip(colour, 0, 255) / 255) ** 2, cover.astype(np.float32) / 255])
    return np.asarray(cv2.resize(out, (size, size), interpolation=cv2.INTER_AREA), dtype=np.float32)


def _collar(
    colour: NDArray[np.float32], cover: NDArray[np.uint8], cloth: Array, pixels: Callable[[Array], Array], throat: float,
    width: int,
) -> None:  # fmt: skip
    """A shirt's two flaps and its row of buttons. pixels : head units → pixels. throat : where the flaps meet, head units."""
    pale = tuple(map(float, np.clip(cloth * 1.2 + 18, 0, 255)))
    for sign in (-1, 1):
        flap = np.array([(0.02 * sign, throat), (0.52 * sign, 1.55), (0.66 * sign, 1.75), (0.36 * sign, 2.42)])
        outline = [np.round(pixels(flap) * 16).astype(np.int32)]
        cv2.fillPoly(colour, outline, pale, cv2.LINE_AA, 4)
        cv2.fillPoly(cover, outline, 255, cv2.LINE_AA, 4)
        cv2.polylines(colour, outline, True, tuple(map(float, cloth * 0.7)), width, cv2.LINE_AA, 4)
    top, hem = fixed(pixels(np.array([0, throat]))), fixed(pixels(np.array([0, 6])))
    cv2.line(colour, top, hem, tuple(map(float, cloth * 0.75)), width, cv2.LINE_AA, 4)
