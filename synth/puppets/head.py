"""The puppet's head: anchors in three dimensions, one mesh for everybody, identity and expression as moves of the anchors.

Units: 1 = the mean distance between outer eye corners. x to the right of the picture, y down, z towards the camera;
the origin lies between the eyes. The frontal layout of the 68 landmarks is a mean of measured faces; depths are anatomical estimates.
What it does not cover: ears' inner form, teeth one by one, tongue, wrinkles that follow the expression.
"""

# ruff: noqa: RUF005 -- a tuple added to an array is a shift, not a concatenation

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["MIRROR", "Mesh", "blendshapes", "identity_anchors", "mesh", "uv_of"]

Array = NDArray[np.float64]

# (68, 2): median of frontal detections on filmed faces, made symmetric; the mouth is a little open (0.06).
FRONTAL = np.array(
    [
        *[(-0.823, 0.038), (-0.805, 0.261), (-0.776, 0.488), (-0.737, 0.702), (-0.670, 0.904), (-0.549, 1.088)],
        *[(-0.398, 1.238), (-0.215, 1.346), (0.0, 1.385), (0.215, 1.346), (0.398, 1.238), (0.549, 1.088)],
        *[(0.670, 0.904), (0.737, 0.702), (0.776, 0.488), (0.805, 0.261), (0.823, 0.038)],
        *[(-0.674, -0.142), (-0.579, -0.253), (-0.434, -0.294), (-0.284, -0.281), (-0.143, -0.224)],
        *[(0.143, -0.224), (0.284, -0.281), (0.434, -0.294), (0.579, -0.253), (0.674, -0.142)],
        *[(0.0, -0.044), (0.0, 0.094), (0.0, 0.236), (0.0, 0.373)],
        *[(-0.158, 0.497), (-0.081, 0.528), (0.0, 0.549), (0.081, 0.528), (0.158, 0.497)],
        *[(-0.5, 0.0), (-0.412, -0.052), (-0.308, -0.054), (-0.214, 0.009), (-0.312, 0.035), (-0.415, 0.035)],
        *[(0.214, 0.009), (0.308, -0.054), (0.412, -0.052), (0.5, 0.0), (0.415, 0.035), (0.312, 0.035)],
        *[(-0.294, 0.83), (-0.189, 0.754), (-0.083, 0.711), (0.0, 0.734), (0.083, 0.711), (0.189, 0.754)],
        *[(0.294, 0.83), (0.192, 0.926), (0.088, 0.974), (0.0, 0.985), (-0.088, 0.974), (-0.192, 0.926)],
        *[(-0.243, 0.83), (-0.082, 0.791), (0.0, 0.797), (0.082, 0.791)],
        *[(0.243, 0.83), (0.084, 0.854), (0.0, 0.864), (-0.084, 0.854)],
    ]
)
_JAW_Z = [-0.90, -0.85, -0.75, -0.60, -0.40, -0.18, 0.02, 0.15, 0.21]
_BROW_Z = [-0.02, 0.11, 0.20, 0.26, 0.29]
_EYE_Z = [0.0, 0.075, 0.105, 0.085, 0.09, 0.065]
_LIP_Z = [0.22, 0.355, 0.445, 0.455, 0.445, 0.355, 0.22, 0.345, 0.405, 0.415, 0.405, 0.345]
_INNER_Z = [0.225, 0.375, 0.395, 0.375, 0.225, 0.365, 0.385, 0.365]
DEPTH = np.array(
    [
        *_JAW_Z,
        *_JAW_Z[-2::-1],
        *_BROW_Z,
        *_BROW_Z[::-1],
        *(0.20, 0.32, 0.46, 0.60, 0.28, 0.385, 0.42, 0.385, 0.28),
        *_EYE_Z,
        *(_EYE_Z[3], _EYE_Z[2], _EYE_Z[1], _EYE_Z[0], _EYE_Z[5], _EYE_Z[4]),
        *_LIP_Z,
        *_INNER_Z,
    ]
)
# Everything a landmark does not pin: the rest of the skull. Right half only (x > 0 is mirrored); names are for the blendshapes.
_EXTRA: dict[str, tuple[float, float, float]] = {
    "brow_mid": (0.0, -0.25, 0.29),
    "forehead_low": (0.0, -0.50, 0.32),
    "forehead_low_s": (0.34, -0.50, 0.25),
    "temple_low": (0.60, -0.40, -0.02),
    "forehead": (0.0, -0.82, 0.20),
    "forehead_s": (0.38, -0.80, 0.12),
    "temple": (0.70, -0.55, -0.28),
    "hairline": (0.0, -1.10, -0.08),
    "hairline_s": (0.45, -1.03, -0.16),
    "crown": (0.0, -1.27, -0.60),
    "crown_s": (0.52, -1.13, -0.66),
    "side_top": (0.80, -0.70, -0.75),
    "side": (0.85, -0.25, -0.72),
    "temple_side": (0.76, -0.14, -0.32),
    "behind_ear": (0.86, 0.15, -1.25),
    "back_top": (0.0, -1.15, -1.35),
    "back_top_s": (0.60, -0.92, -1.40),
    "back_side": (0.84, -0.35, -1.50),
    "back_low": (0.74, 0.45, -1.40),
    "eye_under": (0.31, 0.15, 0.145),
    "eye_under_out": (0.50, 0.14, 0.04),
    "lid_up": (0.36, -0.135, 0.165),
    "lid_up_out": (0.53, -0.10, 0.04),
    "nose_side": (0.105, 0.12, 0.235),
    "nose_side_low": (0.125, 0.30, 0.33),
    "alar": (0.185, 0.43, 0.27),
    "nose_under": (0.05, 0.50, 0.50),
    "cheekbone": (0.68, 0.27, -0.16),
    "cheek_in": (0.30, 0.35, 0.255),
    "cheek_mid": (0.50, 0.36, 0.12),
    "nasolabial": (0.33, 0.62, 0.29),
    "cheek": (0.52, 0.62, 0.10),
    "cheek_out": (0.70, 0.55, -0.28),
    "philtrum": (0.0, 0.64, 0.44),
    "jaw_in": (0.47, 0.88, 0.08),
    "lip_below": (0.0, 1.075, 0.375),
    "lip_below_s": (0.22, 1.04, 0.32),
    "chin": (0.0, 1.20, 0.39),
    "chin_s": (0.20, 1.19, 0.32),
    "under_chin": (0.0, 1.385, -0.05),
    "under_jaw": (0.36, 1.26, -0.22),
    "under_jaw_s": (0.58, 1.02, -0.50),
    "under_ear": (0.70, 0.72, -0.86),
    "throat": (0.0, 1.34, -0.42),
    "throat_s": (0.42, 1.18, -0.60),
    "nape": (0.5, 0.95, -1.05),
}
NAMES: list[str] = [f"{i}" for i in range(68)]
_points: list[tuple[float, float, float]] = [(x, y, z) for (x, y), z in zip(FRONTAL.tolist(), DEPTH, strict=True)]
for _name, (_x, _y, _z) in _EXTRA.items():
    NAMES.append(_name)
    _points.append((_x, _y, _z))
    if _x:
        NAMES.append(f"{_name}-")
        _points.append((-_x, _y, _z))
BASE: Array = np.array(_points)  # (A, 3) mean anchors
INDEX = {name: i for i, name in enumerate(NAMES)}
CENTRE = np.array([0.0, 0.35, -0.80])  # the head is star-shaped as seen from here; UV is the direction, unrolled

_MIRROR_68 = (
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31]
    + [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    + [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)
MIRROR = np.array(_MIRROR_68)  # landmark i of a mirrored face is landmark MIRROR[i] of the face


def uv_of(points: Array) -> Array:
    """Direction from the head's centre, unrolled: (n, 3) → (n, 2), radians from straight ahead (azimuthal equidistant)."""
    d = points - CENTRE
    d = d / np.linalg.norm(d, axis=1, keepdims=True)
    angle = np.arccos(np.clip(d[:, 2], -1, 1))
    across = np.hypot(d[:, 0], d[:, 1])
    return np.asarray(d[:, :2] / np.maximum(across, 1e-9)[:, None] * angle[:, None])


@dataclass(frozen=True)
class Mesh:
    """Topology and the map from anchors to vertices; shared by all identities.

    uv : (V, 2) radians. weights : (V, A), vertices = weights @ anchors (rows of landmarks are exact).
    triangles : (F, 3) int, with holes for eyes and mouth. to_vertices : sparse (V, F), sums face normals at vertices.
    """

    uv: Array
    weights: Array
    triangles: NDArray[np.int64]
    to_vertices: object


def smooth_closed(points: Array, per: int = 4) -> Array:
    """A closed Catmull-Rom curve through points (n, d), ``per`` samples a span."""
    p = np.concatenate([points[-1:], points, points[:2]])
    t = np.arange(per)[:, None] / per
    out = []
    for i in range(len(points)):
        a, b, c, d = p[i], p[i + 1], p[i + 2], p[i + 3]
        out.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - 3 * c + d - a) * t**3))
    return np.concatenate(out)


def eye_outline(landmarks: Array, per: int = 4) -> Array:
    """Almond outline through six eye landmarks: lids curve smoothly, corners stay pointed."""
    corner, up1, up2, other, low1, low2 = landmarks
    t = np.linspace(0, 1, 2 * per + 1)[:, None]

    def lid(a: Array, b: Array, c: Array, d: Array) -> Array:
        # Cubic Bezier whose curve passes through b and c at 1/3 and 2/3.
        c1 = (-5 * a + 18 * b - 9 * c + 2 * d) / 6
        c2 = (2 * a - 9 * b + 18 * c - 5 * d) / 6
        return (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * c1 + 3 * t**2 * (1 - t) * c2 + t**3 * d

    return np.concatenate([lid(corner, up1, up2, other)[:-1], lid(other, low1, low2, corner)[:-1]])


def _tps(at: Array, knots: Array) -> Array:
    """Thin-plate weights (n, K): row i interpolates any function on the knots at point i, exactly so on the knots."""

    def kernel(a: Array, b: Array) -> Array:
        r2 = ((a[:, None] - b[None]) ** 2).sum(-1)
        return np.asarray(r2 * np.log(r2 + 1e-12))

    k = len(knots)
    plane = np.c_[np.ones(k), knots]
    system = np.zeros((k + 3, k + 3))
    system[:k, :k] = kernel(knots, knots)
    system[:k, k:], system[k:, :k] = plane, plane.T
    right = np.c_[kernel(at, knots), np.ones(len(at)), at]
    return np.linalg.solve(system.T, right.T).T[:, :k]


@lru_cache(maxsize=1)
def mesh() -> Mesh:
    """Build the one mesh: landmarks, eyelid and lip curves, and a grid that is finer where the face is."""
    from scipy.sparse import csr_matrix
    from scipy.spatial import Delaunay

    knots = uv_of(BASE)
    outlines = [
        eye_outline(knots[36:42]),
        eye_outline(knots[42:48]),
        smooth_closed(knots[60:68], 3),
        smooth_closed(knots[48:60], 2),
    ]
    points = [*knots, *np.concatenate(outlines)]
    fine = np.stack(np.meshgrid(np.linspace(-1.1, 1.1, 31), np.linspace(-0.95, 1.0, 31)), -1).reshape(-1, 2)
    coarse = np.stack(np.meshgrid(np.linspace(-2.1, 2.1, 29), np.linspace(-2.1, 2.1, 29)), -1).reshape(-1, 2)
    coarse = coarse[np.linalg.norm(coarse, axis=1) < 2.1]
    for candidates, gap in ((fine, 0.042), (coarse, 0.10)):
        for candidate in candidates:
            if min(((np.array(points) - candidate) ** 2).sum(1)) > gap**2:
                points.append(candidate)
    uv, first = np.unique(np.round(np.array(points), 6), axis=0, return_index=True)
    uv = np.array(points)[np.sort(first)]
    triangles = Delaunay(uv).simplices.astype(np.int64)
    middle = uv[triangles].mean(1)
    keep = np.ones(len(triangles), bool)
    for outline in outlines[:3]:
        keep &= ~_inside(middle, outline)
    triangles = triangles[keep]
    # Counter-clockwise as seen from outside with y down, so that front faces have a positive cross product's z.
    a, b, c = (uv[triangles[:, i]] for i in range(3))
    flip = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0] < 0
    triangles[flip] = triangles[flip][:, [0, 2, 1]]
    f = len(triangles)
    to_vertices = csr_matrix((np.ones(3 * f), (triangles.ravel(), np.repeat(np.arange(f), 3))), shape=(len(uv), f))
    return Mesh(uv, _tps(uv, knots), triangles, to_vertices)


def _inside(points: Array, polygon: Array) -> NDArray[np.bool_]:
    x, y = points[:, 0], points[:, 1]
    inside = np.zeros(len(points), bool)
    for a, b in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        crosses = (a[1] > y) != (b[1] > y)
        inside ^= crosses & (x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1] + 1e-15) + a[0])
    return inside


def _field(points: Array, where: tuple[float, float], spread: tuple[float, float]) -> Array:
    """A bump in the frontal plane, mirrored: 1 at ``where``."""
    x, y = np.abs(points[:, 0]), points[:, 1]
    return np.asarray(np.exp(-(((x - where[0]) / spread[0]) ** 2) - ((y - where[1]) / spread[1]) ** 2))


def identity_anchors(rng: np.random.Generator) -> Array:
    """One person's anchors (A, 3): some twenty independent proportions about the mean, each within about ±2.5 s.d."""

    def draw(sd: float) -> float:
        return float(np.clip(rng.normal(), -2.3, 2.3) * sd)

    p = BASE.copy()
    x, y = BASE[:, 0], BASE[:, 1]
    sign = np.sign(x)
    p[:, 0] *= 1 + draw(0.035)  # whole width
    low = np.clip((y - 0.35) / 0.9, 0, 1)
    p[:, 0] *= 1 + draw(0.06) * low * (np.abs(x) > 0.33)  # jaw width
    p[:, 1] += draw(0.055) * np.clip((y - 0.55) / 0.8, 0, 1)  # length of the lower face
    p[:, 1] += draw(0.035) * np.clip((y - 1.0) / 0.38, 0, 1)  # chin
    p[:, 2] += draw(0.05) * _field(BASE, (0.0, 1.25), (0.25, 0.2))
    p[:, 1] += draw(0.05) * np.clip((-0.4 - y) / 0.7, 0, 1)  # forehead
    p[:, 2] += draw(0.05) * _field(BASE, (0.62, 0.3), (0.25, 0.25)) - draw(0.04) * _field(BASE, (0.5, 0.7), (0.2, 0.25))
    nose = _field(BASE, (0.0, 0.42), (0.2, 0.22))
    p[:, 0] *= 1 + draw(0.11) * nose
    p[:, 1] += draw(0.035) * nose
    p[:, 2] += draw(0.06) * _field(BASE, (0.0, 0.38), (0.12, 0.2)) + draw(0.05) * _field(BASE, (0.0, 0.1), (0.1, 0.12))
    mouth = _field(BASE, (0.0, 0.85), (0.42, 0.2))
    p[:, 0] *= 1 + draw(0.07) * mouth
    p[:, 1] += draw(0.03) * mouth
    # Lips: outer contour away from the inner one.
    up, down = draw(0.25), draw(0.25)
    for outer, inner, amount in (
        ((49, 50, 51, 52, 53), (61, 61, 62, 63, 63), up),
        ((55, 56, 57, 58, 59), (65, 65, 66, 67, 67), down),
    ):
        p[list(outer), 1] += amount * (p[list(outer), 1] - p[list(inner), 1]) * (1 if amount > 0 else 0.8)
    eyes = list(range(36, 48))
    spacing, size, tilt, openness = draw(0.014), 1 + draw(0.045), draw(0.05), 1 + draw(0.13)
    for group in (eyes[:6], eyes[6:]):
        centre = p[group].mean(0)
        local = p[group] - centre
        local[:, 0] *= size
        local[:, 1] *= size * openness
        side = np.sign(centre[0])
        local[:, 1] -= side * tilt * local[:, 0]
        p[group] = centre + local
        p[group, 0] += side * spacing
    brows = list(range(17, 27))
    p[brows, 1] += draw(0.032)
    p[brows, 1] += draw(0.09) * (np.abs(x[brows]) - 0.4)
    p[[18, 19, 20, 23, 24, 25], 1] += draw(0.012)
    p[:, 1] += 0.006 * rng.normal() * sign  # nobody is quite symmetric
    p[:68] += rng.normal(0, 0.0045, (68, 3))
    return p


@lru_cache(maxsize=1)
def blendshapes() -> dict[str, Array]:
    """Expressions as moves of the anchors (A, 3) at full strength; ``close`` brings the mean's parted lips together."""
    a = len(BASE)
    shapes: dict[str, Array] = {}

    def zero() -> Array:
        return np.zeros((a, 3))

    def put(shape: Array, rows: dict[str, tuple[float, ...]]) -> None:
        """Set rows by name; an extra anchor's row, and landmark pairs given once, are mirrored."""
        for name, move in rows.items():
            i = INDEX[name]
            shape[i] = move
            other = int(MIRROR[i]) if i < 68 else INDEX.get(f"{name}-", i)
            if other != i:
                shape[other] = (-move[0], *move[1:])

    # Jaw: rotation about the hinge near the ears; how much of the mandible's turn each anchor takes.
    jaw = np.zeros(a)
    for name, w in {
        "2": 0.06,
        "3": 0.2,
        "4": 0.45,
        "5": 0.75,
        "6": 0.95,
        "7": 1.0,
        "8": 1.0,
        "48": 0.42,
        "59": 0.85,
        "58": 0.97,
        "57": 1.0,
        "60": 0.42,
        "67": 0.97,
        "66": 1.0,
        "chin": 1.0,
        "chin_s": 1.0,
        "lip_below": 1.0,
        "lip_below_s": 0.97,
        "jaw_in": 0.6,
        "cheek": 0.25,
        "under_chin": 1.0,
        "under_jaw": 0.9,
        "under_jaw_s": 0.5,
        "throat": 0.7,
        "throat_s": 0.5,
        "nasolabial": 0.15,
        "cheek_out": 0.1,
        "49": 0.03,
        "51": -0.02,
    }.items():
        i = INDEX[name]
        jaw[i] = w
        jaw[int(MIRROR[i]) if i < 68 else INDEX.get(f"{name}-", i)] = w
    hinge = np.array([0.0, 0.2, -0.85])
    angle = np.deg2rad(22.0)
    d = BASE - hinge
    turned = np.c_[
        d[:, 0], np.cos(angle) * d[:, 1] + np.sin(angle) * d[:, 2], np.cos(angle) * d[:, 2] - np.sin(angle) * d[:, 1]
    ]
    shapes["jaw"] = (turned - d) * jaw[:, None]

    close = zero()
    middle = (BASE[61:64, 1] + BASE[[67, 66, 65], 1]) / 2
    close[61:64, 1] = middle - BASE[61:64, 1]
    close[[67, 66, 65], 1] = middle - BASE[[67, 66, 65], 1]
    close[[49, 50, 51, 52, 53], 1] = 0.024
    close[[55, 56, 57, 58, 59], 1] = -0.022
    shapes["close"] = close

    smile = zero()
    put(smile, {"54": (0.085, -0.06, -0.07), "64": (0.085, -0.055, -0.07), "53": (0.045, -0.015, -0.03)})
    put(smile, {"55": (0.05, -0.03, -0.03), "52": (0.01, 0.01, -0.01), "56": (0.012, -0.005, -0.01)})
    put(smile, {"63": (0.02, -0.004, -0.01), "65": (0.02, -0.012, -0.01), "57": (0, 0.0, -0.01)})
    put(smile, {"nasolabial": (0.05, -0.03, 0.02), "cheek_mid": (0.02, -0.05, 0.05), "cheek": (0.05, -0.03, 0.02)})
    put(smile, {"eye_under": (0.0, -0.02, 0.01), "46": (0, -0.010, 0), "47": (0, -0.010, 0), "alar": (0.015, 0, 0)})
    shapes["smile"] = smile

    pucker = zero()
    put(pucker, {"54": (-0.10, 0.0, 0.05), "64": (-0.10, 0.0, 0.05), "53": (-0.06, -0.012, 0.05)})
    put(pucker, {"55": (-0.06, 0.012, 0.05), "52": (-0.02, -0.012, 0.05), "56": (-0.02, 0.012, 0.05)})
    put(pucker, {"63": (-0.025, -0.014, 0.04), "65": (-0.025, 0.014, 0.04), "nasolabial": (-0.03, 0.0, 0.01)})
    pucker[[51, 57, 62, 66], 2] = 0.05
    pucker[[62], 1], pucker[[66], 1] = -0.014, 0.014
    shapes["pucker"] = pucker

    upper = zero()  # upper lip lifted, teeth shown
    put(
        upper,
        {"52": (0, -0.03, 0), "53": (0, -0.022, 0), "63": (0, -0.032, 0), "51": (0, -0.028, 0), "62": (0, -0.03, 0)},
    )
    shapes["upper"] = upper
    lower = zero()
    put(lower, {"56": (0, 0.03, 0), "55": (0, 0.022, 0), "65": (0, 0.034, 0), "57": (0, 0.03, 0), "66": (0, 0.034, 0)})
    shapes["lower"] = lower

    for side, sign in (("left", -1), ("right", 1)):
        blink = zero()
        base = 36 if side == "left" else 42
        ups, lows = ((37, 38), (41, 40)) if side == "left" else ((44, 43), (46, 47))
        for up, low in zip(ups, lows, strict=True):
            blink[up, 1] = (BASE[low, 1] - BASE[up, 1]) * 0.86
            blink[low, 1] = (BASE[up, 1] - BASE[low, 1]) * 0.10
            blink[up, 2] = 0.012
        blink[INDEX["lid_up" if sign > 0 else "lid_up-"], 1] = 0.022
        del base
        shapes[f"blink_{side}"] = blink
        brow = zero()
        order = range(17, 22) if side == "left" else range(26, 21, -1)
        for i, lift in zip(order, (0.03, 0.055, 0.075, 0.08, 0.07), strict=True):
            brow[i, 1] = -lift
        suffix = "" if sign > 0 else "-"
        brow[INDEX[f"lid_up{suffix}"], 1] = -0.02
        brow[INDEX[f"forehead_low_s{suffix}"], 1] = -0.03
        brow[INDEX["brow_mid"], 1] = -0.02
        shapes[f"brow_{side}"] = brow
    frown = zero()
    put(frown, {"22": (-0.03, 0.035, 0.01), "23": (-0.02, 0.025, 0.005), "24": (-0.01, 0.008, 0)})
    frown[INDEX["brow_mid"]] = (0, 0.015, 0.005)
    shapes["frown"] = frown
    return shapes
