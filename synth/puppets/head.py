"""The puppet's head: anchors in three dimensions, one mesh for everybody, identity and expression as moves of the anchors.

Units: 1 = the mean distance between outer eye corners. x to the right of the picture, y down, z towards the camera;
the origin lies between the eyes. The numbers are in ``puppets.toml``.
What it does not cover: ears' inner form, teeth one by one, tongue, wrinkles that follow the expression.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial import Delaunay
from skimage.measure import points_in_poly

from gioconda_core.faces.align import MIRROR

Array = NDArray[np.float64]

DATA = tomllib.loads(Path(__file__).with_name("puppets.toml").read_text(encoding="utf-8"))
_ANCHORS = {str(i): (*xy, z) for i, (xy, z) in enumerate(zip(DATA["frontal"], DATA["depth"], strict=True))}
for _name, (_x, _y, _z) in DATA["anchors"].items():
    _ANCHORS[_name] = (_x, _y, _z)
    if _x:
        _ANCHORS[f"{_name}-"] = (-_x, _y, _z)
BASE: Array = np.array(list(_ANCHORS.values()))  # (A, 3) mean anchors: the landmarks, then the rest of the skull
NAMES = list(_ANCHORS)
INDEX = {name: i for i, name in enumerate(NAMES)}
CENTRE = np.array([0.0, 0.35, -0.80])  # the head is star-shaped as seen from here; UV is the direction, unrolled
HINGE = np.array([0.0, 0.2, -0.85])  # of the jaw
GAPE = np.deg2rad(22.0)  # the jaw's turn at full strength


def _mirrored(i: int) -> int:
    """The anchor on the other side of a landmark, or of an anchor of the right half; itself in the middle."""
    return int(MIRROR[i]) if i < 68 else INDEX.get(f"{NAMES[i]}-", i)


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
    to_vertices: csr_matrix


def smooth_closed(points: Array, per: int) -> Array:
    """A closed Catmull-Rom curve through points (n, d), ``per`` samples a span."""
    p = np.concatenate([points[-1:], points, points[:2]])
    t = np.arange(per)[:, None] / per
    out = []
    for i in range(len(points)):
        a, b, c, d = p[i], p[i + 1], p[i + 2], p[i + 3]
        out.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - 3 * c + d - a) * t**3))
    return np.concatenate(out)


def eye_outline(landmarks: Array) -> Array:
    """Almond outline (16, d) through six eye landmarks (6, d): lids curve smoothly, corners stay pointed."""
    corner, up1, up2, other, low1, low2 = landmarks
    t = np.linspace(0, 1, 9)[:, None]

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
    knots = uv_of(BASE)
    outlines = [*map(eye_outline, (knots[36:42], knots[42:48])), smooth_closed(knots[60:68], 3)]
    outlines.append(smooth_closed(knots[48:60], 2))
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
        keep &= ~points_in_poly(middle, outline)
    triangles = triangles[keep]
    # Counter-clockwise as seen from outside with y down, so that front faces have a positive cross product's z.
    a, b, c = (uv[triangles[:, i]] for i in range(3))
    flip = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0] < 0
    triangles[flip] = triangles[flip][:, [0, 2, 1]]
    f = len(triangles)
    to_vertices = csr_matrix((np.ones(3 * f), (triangles.ravel(), np.repeat(np.arange(f), 3))), shape=(len(uv), f))
    return Mesh(uv, _tps(uv, knots), triangles, to_vertices)


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
    shapes = {"jaw": _jaw(), "close": _close()}
    shapes |= {name: _moved(DATA["moves"][name]) for name in ("smile", "pucker", "upper", "lower")}
    for side, other in (("left", True), ("right", False)):
        shapes[f"blink_{side}"] = _blink(other)
        shapes[f"brow_{side}"] = _moved(DATA["brow"], mirrored=other, both=False)
    return shapes | {"frown": _moved(DATA["moves"]["frown"])}


def _moved(rows: Mapping[str, Sequence[float]], *, mirrored: bool = False, both: bool = True) -> Array:
    """Moves (A, 3) from rows by anchor's name: on both sides, or as given, or on the other side alone."""
    out = np.zeros_like(BASE)
    for name, move in rows.items():
        i = INDEX[name]
        other = _mirrored(i)
        if both or not mirrored:
            out[i] = move
        if (both or mirrored) and (mirrored or other != i):
            out[other] = (-move[0], *move[1:])
    return out


def _jaw() -> Array:
    """The mandible's turn about the hinge near the ears, as far as each anchor takes part in it."""
    share = np.zeros(len(BASE))
    for name, part in DATA["jaw"].items():
        share[[INDEX[name], _mirrored(INDEX[name])]] = part
    d = BASE - HINGE
    return np.asarray((turned(d, GAPE) - d) * share[:, None])


def turned(d: Array, angle: float) -> Array:
    """Points (n, 3) given from the jaw's hinge, turned about it as the jaw opens; angle in radians."""
    y, z = d[:, 1], d[:, 2]
    return np.asarray(np.c_[d[:, 0], np.cos(angle) * y + np.sin(angle) * z, np.cos(angle) * z - np.sin(angle) * y])


def _close() -> Array:
    out = np.zeros_like(BASE)
    middle = (BASE[61:64, 1] + BASE[[67, 66, 65], 1]) / 2
    out[61:64, 1] = middle - BASE[61:64, 1]
    out[[67, 66, 65], 1] = middle - BASE[[67, 66, 65], 1]
    out[[49, 50, 51, 52, 53], 1] = 0.024
    out[[55, 56, 57, 58, 59], 1] = -0.022
    return out


def _blink(left: bool) -> Array:
    """The upper lid comes down to the lower one, which rises a little."""
    out = np.zeros_like(BASE)
    for up, low in ((37, 41), (38, 40)) if left else ((44, 46), (43, 47)):
        out[up, 1] = (BASE[low, 1] - BASE[up, 1]) * 0.86
        out[low, 1] = (BASE[up, 1] - BASE[low, 1]) * 0.10
        out[up, 2] = 0.012
    out[INDEX["lid_up-" if left else "lid_up"], 1] = 0.022
    return out
