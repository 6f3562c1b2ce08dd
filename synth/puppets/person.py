"""One puppet ready to be drawn: the skull with its hair, and the parts around it, as one list of triangles over one texture."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from synth.puppets import head
from synth.puppets.brush import SIDE, Array, to_texture
from synth.puppets.paint import Look, paint_look

BASE_MOUTH_Z = float(head.BASE[60:68, 2].mean())


@dataclass(frozen=True)
class Person:
    """One puppet as triangles: A anchors, V vertices of the head, and the parts around it; in head units."""

    anchors: Array  # (A, 3), lips together
    vertices: Array  # (V, 3) with hair
    shapes: dict[str, Array]  # name → (V, 3)
    moves: dict[str, Array]  # name → (68, 3), of the landmarks alone
    look: Look
    # Parts behind and beside the head: vertices, texels, and whether they turn with the head (1) or stay with the body (0).
    parts: "tuple[Part, ...]"
    texels: NDArray[np.float32]  # (all vertices, 2)
    triangles: NDArray[np.int64]
    bias: Array  # (F,) added to depth for the painter's order
    twosided: NDArray[np.bool_]
    ambient: NDArray[np.float32]  # (all vertices,) share of light that arrives


@dataclass(frozen=True)
class Part:
    """Something around the head: its vertices and normals (n, 3) in head units."""

    name: str
    vertices: Array
    normals: Array
    turn: Array  # (n,) 1 = with the head
    jaw: float  # how far the part follows the jaw


def _grid(columns: int, rows: int) -> tuple[Array, NDArray[np.int64]]:
    """Unit grid (n, 2) in [0, 1] and its triangles, front faces as on the head."""
    y, x = np.mgrid[0:rows, 0:columns]
    i = (np.arange((rows - 1) * columns).reshape(rows - 1, columns)[:, :-1]).ravel()
    triangles = np.concatenate([np.c_[i, i + 1, i + columns], np.c_[i + 1, i + columns + 1, i + columns]])
    return np.c_[x.ravel() / (columns - 1), y.ravel() / (rows - 1)], triangles.astype(np.int64)


def unit(v: Array) -> Array:
    """Vectors (…, 3) of length 1; those of no length stay."""
    return np.asarray(v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9))


class _Assembly:
    """The triangles of a person as they are put together, the skull first."""

    def __init__(self, mesh: head.Mesh) -> None:
        self.parts: list[Part] = []
        self.texels = [to_texture(mesh.uv)]
        self.triangles = [mesh.triangles]
        self.bias = [np.zeros(len(mesh.triangles))]
        self.twosided = [np.zeros(len(mesh.triangles), bool)]
        self.ambient = [np.ones(len(mesh.uv))]
        self.count = len(mesh.uv)

    def add(
        self, part: Part, texel: Array, tri: NDArray[np.int64], *, push: float = 0.0, both: bool = False, light: Array
    ) -> None:
        """Add a part. texel : (n, 2). tri : (f, 3). push : added to depth. both : seen from behind too. light : (n,) that arrives."""
        self.parts.append(part)
        self.texels.append(texel)
        self.triangles.append(tri + self.count)
        self.bias.append(np.full(len(tri), push))
        self.twosided.append(np.full(len(tri), both))
        self.ambient.append(light)
        self.count += len(part.vertices)


def _part(name: str, vertices: Array, normals: Array, *, turn: float | Array = 1.0, jaw: float = 0.0) -> Part:
    return Part(name, vertices, unit(normals), np.broadcast_to(np.asarray(turn, float), len(vertices)), jaw)


@lru_cache(maxsize=16)
def person(identity: int) -> Person:
    """The puppet of a number, drawn from it as seed."""
    rng = np.random.default_rng([identity, 1905, 8233])
    mesh, shapes = head.mesh(), head.blendshapes()
    anchors = head.identity_anchors(rng) + shapes["close"]
    look = paint_look(rng, float(rng.beta(1.2, 1.8)))
    skull = mesh.weights @ anchors
    whole = _Assembly(mesh)
    _eyes(whole, anchors)
    _mouth(whole, anchors[60:68].mean(0))
    _neck(whole, look)
    if look.ears:
        _ears(whole, anchors, look.ears)
    if look.long_hair:
        _locks(whole, look.long_hair)
    return Person(
        anchors=anchors,
        vertices=skull + unit(skull - head.CENTRE) * look.hair[:, None],
        shapes={name: mesh.weights @ s for name, s in shapes.items() if name != "close"},
        moves={name: s[:68] for name, s in shapes.items() if name != "close"},
        look=look,
        parts=tuple(whole.parts),
        texels=np.concatenate(whole.texels).astype(np.float32),
        triangles=np.concatenate(whole.triangles),
        bias=np.concatenate(whole.bias),
        twosided=np.concatenate(whole.twosided),
        ambient=np.concatenate(whole.ambient).astype(np.float32),
    )


def _eyes(whole: _Assembly, anchors: Array) -> None:
    for name, group in (("eye_left", slice(36, 42)), ("eye_right", slice(42, 48))):
        g, tri = _grid(9, 7)
        middle = anchors[group].mean(0)
        local = (g - 0.5) * (0.40, 0.26)
        z = middle[2] + 0.035 - 1.6 * (local**2).sum(1)
        v = np.c_[middle[0] + local[:, 0], middle[1] + local[:, 1], z]
        light = np.clip(0.78 - 5.0 * np.clip(-local[:, 1], 0, 1) - 1.7 * np.abs(local[:, 0]), 0.35, 1)
        part = _part(name, v, np.c_[local * 2.5, np.ones(len(v))])
        whole.add(part, (local / 0.5 + 0.5) * 128 + (0, SIDE), tri, push=-0.35, light=light)


def _mouth(whole: _Assembly, middle: Array) -> None:
    """Teeth above and below, and the cavity behind them."""
    for name, top, bottom, depth, row, jaw in (
        ("teeth_up", -0.120, 0.030, 0.310, 0, 0.0),
        ("teeth_down", 0.012, 0.15, 0.285, 40, 0.93),
        ("cavity", -0.12, 0.13, 0.10, 80, 0.55),
    ):
        g, tri = _grid(9, 4)
        x = (g[:, 0] - 0.5) * 2 * 0.26 * (1.25 if name == "cavity" else 0.95)
        y = middle[1] + top + (bottom - top) * g[:, 1]
        v = np.c_[x, y, depth + (middle[2] - BASE_MOUTH_Z) - 1.5 * x**2]
        texel = np.c_[128 + 2 + g[:, 0] * 123, SIDE + row + 1 + g[:, 1] * (38 if row < 80 else 45)]
        light = (0.70 if jaw == 0 else 0.50) - 1.9 * np.abs(x) if name != "cavity" else np.full(len(v), 0.5)
        part = _part(name, v, np.c_[x * 2, np.zeros(len(v)), np.ones(len(v))], jaw=jaw)
        whole.add(part, texel, tri, push=-0.25 if name != "cavity" else -0.35, light=np.clip(light, 0.2, 1))


def _neck(whole: _Assembly, look: Look) -> None:
    g, tri = _grid(19, 9)
    around = np.deg2rad((g[:, 0] - 0.5) * 230)
    radius = look.neck + 0.10 * np.clip(g[:, 1] - 0.45, 0, 1) ** 2 * 4 + 0.03 * (1 - g[:, 1])
    v = np.c_[np.sin(around) * radius, 0.85 + 1.75 * g[:, 1], -0.66 - 0.02 * g[:, 1] + np.cos(around) * radius * 0.92]
    chin = np.clip((g[:, 1] - 0.26) / 0.42, 0, 1)
    normals = np.c_[np.sin(around), np.full(len(v), 0.12), np.cos(around)]
    part = _part("neck", v, normals, turn=np.clip(1.05 - g[:, 1] * 1.5, 0, 1))
    texel = np.c_[256 + 2 + g[:, 0] * 123, SIDE + 2 + g[:, 1] * 123]
    whole.add(part, texel, tri, push=-0.25, light=0.40 + 0.52 * chin)


def _ears(whole: _Assembly, anchors: Array, size: float) -> None:
    for sign in (-1.0, 1.0):
        g, tri = _grid(6, 9)
        a, b = (g[:, 0] - 0.25) * 1.3, g[:, 1] * 2 - 1
        width = np.sqrt(np.clip(1 - (b * 0.98) ** 2, 0, 1)) * (1.0 - 0.32 * np.clip(b, 0, 1))
        x, y, z = anchors[16 if sign > 0 else 0]
        back = np.array([0.62 * sign, 0.0, -0.78])
        v = np.array([x - 0.03 * sign, y + 0.09, z - 0.06]) + back * (a * width * 0.20 * size)[:, None]
        v = v + np.c_[0.04 * sign * np.abs(b) - 0.03 * sign, b * 0.31 * size + 0.05 * a, np.zeros(len(v))]
        n = np.c_[np.full(len(v), 0.75 * sign) + 0.5 * sign * (a - 0.4), b * 0.35, np.full(len(v), 0.7)]
        rim = np.clip(np.maximum(a * 1.05, np.abs(b)), 0, 1)
        hollow = np.exp(-(((a - 0.15) / 0.2) ** 2) - ((b - 0.05) / 0.3) ** 2)
        light = 0.62 + 0.36 * np.clip((rim - 0.45) * 3, 0, 1) - 0.25 * hollow
        texel = np.c_[256 + 30 + g[:, 0] * 60, SIDE + 30 + g[:, 1] * 60]
        front = tri if sign > 0 else tri[:, [0, 2, 1]]
        whole.add(_part("ear", v, n), texel, front, push=-0.05, both=True, light=light)


def _locks(whole: _Assembly, length: float) -> None:
    """Hair that hangs behind the neck. length : below the ears, in head units."""
    g, tri = _grid(25, 8)
    around = np.deg2rad((g[:, 0] - 0.5) * 2 * 122)
    t = g[:, 1]
    wide = 0.93 + 0.12 * np.sin(t * 2.6) + 0.03 * np.sin(around * 7 + t * 5)
    v = np.c_[np.sin(around) * wide, -0.55 + t * (0.75 + length), -0.92 - np.cos(around) * 0.58 + 0.1 * t]
    n = np.c_[np.sin(around) * 1.0, np.full(len(v), -0.1), np.abs(np.sin(around)) * 0.5 + 0.35]
    light = np.clip(0.35 + 0.75 * np.abs(g[:, 0] - 0.5) * 2, 0, 1) * (1 - 0.15 * t)
    part = _part("locks", v, n, turn=np.clip(1.15 - 0.75 * t, 0, 1))
    whole.add(part, np.c_[384 + 2 + g[:, 0] * 123, SIDE + 2 + t * 123], tri, both=True, light=light)
