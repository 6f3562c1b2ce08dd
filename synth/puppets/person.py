"""One puppet ready to be drawn: the skull with its hair, and the parts around it, as one list of triangles over one texture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from synth.puppets import head
from synth.puppets.brush import SIDE, to_texture
from synth.puppets.paint import Look, paint_look

__all__ = ["Part", "Person", "person", "unit"]

Array = NDArray[np.float64]
BASE_MOUTH_Z = float(head.BASE[60:68, 2].mean())


@dataclass(frozen=True)
class Person:
    anchors: Array  # (A, 3), lips together
    vertices: Array  # (V, 3) with hair
    shapes: dict[str, Array]  # name → (V, 3)
    moves: dict[str, Array]  # name → (68, 3), of the landmarks alone
    look: Look
    # Parts behind and beside the head: vertices, texels, and whether they turn with the head (1) or stay with the body (0).
    parts: tuple[Part, ...]
    texels: NDArray[np.float32]  # (all vertices, 2)
    triangles: NDArray[np.int64]
    bias: Array  # (F,) added to depth for the painter's order
    twosided: NDArray[np.bool_]
    ambient: NDArray[np.float32]  # (all vertices,) share of light that arrives


@dataclass(frozen=True)
class Part:
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
    return np.asarray(v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9))


@lru_cache(maxsize=16)
def person(identity: int) -> Person:
    rng = np.random.default_rng([identity, 1905, 8233])
    mesh, shapes = head.mesh(), head.blendshapes()
    anchors = head.identity_anchors(rng) + shapes["close"]
    look = paint_look(rng, float(rng.beta(1.2, 1.8)))
    skull = mesh.weights @ anchors
    outward = unit(skull - head.CENTRE)
    vertices = skull + outward * look.hair[:, None]
    texels = [to_texture(mesh.uv)]
    triangles, bias, twosided = [mesh.triangles], [np.zeros(len(mesh.triangles))], [np.zeros(len(mesh.triangles), bool)]
    ambient = [np.ones(len(mesh.uv))]
    parts: list[Part] = []
    count = len(mesh.uv)

    def add(
        name: str,
        v: Array,
        n: Array,
        texel: Array,
        tri: NDArray[np.int64],
        *,
        turn: float | Array = 1.0,
        jaw: float = 0.0,
        push: float = 0.0,
        both: bool = False,
        light: float | Array = 1.0,
    ) -> None:
        nonlocal count
        parts.append(Part(name, v, unit(n), np.broadcast_to(np.asarray(turn, float), len(v)), jaw))
        texels.append(texel)
        triangles.append(tri + count)
        bias.append(np.full(len(tri), push))
        twosided.append(np.full(len(tri), both))
        ambient.append(np.broadcast_to(np.asarray(light, float), len(v)))
        count += len(v)

    for name, group in (("eye_left", slice(36, 42)), ("eye_right", slice(42, 48))):
        g, tri = _grid(9, 7)
        middle = anchors[group].mean(0)
        local = (g - 0.5) * (0.40, 0.26)
        z = middle[2] + 0.035 - 1.6 * (local**2).sum(1)
        v = np.c_[middle[0] + local[:, 0], middle[1] + local[:, 1], z]
        light = np.clip(0.78 - 5.0 * np.clip(-local[:, 1], 0, 1) - 1.7 * np.abs(local[:, 0]), 0.35, 1)
        add(
            name,
            v,
            np.c_[local * 2.5, np.ones(len(v))],
            (local / 0.5 + 0.5) * 128 + (0, SIDE),
            tri,
            push=-0.35,
            light=light,
        )
    lips = anchors[60:68]
    mid, half = lips.mean(0), 0.26
    for name, top, bottom, depth, row, jaw in (
        ("teeth_up", -0.120, 0.030, 0.310, 0, 0.0),
        ("teeth_down", 0.012, 0.15, 0.285, 40, 0.93),
        ("cavity", -0.12, 0.13, 0.10, 80, 0.55),
    ):
        g, tri = _grid(9, 4)
        x = (g[:, 0] - 0.5) * 2 * half * (1.25 if name == "cavity" else 0.95)
        y = mid[1] + top + (bottom - top) * g[:, 1]
        v = np.c_[x, y, depth + (mid[2] - BASE_MOUTH_Z) - 1.5 * x**2]
        texel = np.c_[128 + 2 + g[:, 0] * 123, SIDE + row + 1 + g[:, 1] * (38 if row < 80 else 45)]
        light = (0.70 if jaw == 0 else 0.50) - 1.9 * np.abs(x) if name != "cavity" else np.full(len(v), 0.5)
        add(
            name,
            v,
            np.c_[x * 2, np.zeros(len(v)), np.ones(len(v))],
            texel,
            tri,
            jaw=jaw,
            push=-0.25 if name != "cavity" else -0.35,
            light=np.clip(light, 0.2, 1),
        )
    g, tri = _grid(19, 9)
    around = np.deg2rad((g[:, 0] - 0.5) * 230)
    radius = look.neck + 0.10 * np.clip(g[:, 1] - 0.45, 0, 1) ** 2 * 4 + 0.03 * (1 - g[:, 1])
    v = np.c_[np.sin(around) * radius, 0.85 + 1.75 * g[:, 1], -0.66 - 0.02 * g[:, 1] + np.cos(around) * radius * 0.92]
    chin = np.clip((g[:, 1] - 0.26) / 0.42, 0, 1)
    add(
        "neck",
        v,
        np.c_[np.sin(around), np.full(len(v), 0.12), np.cos(around)],
        np.c_[256 + 2 + g[:, 0] * 123, SIDE + 2 + g[:, 1] * 123],
        tri,
        turn=np.clip(1.05 - g[:, 1] * 1.5, 0, 1),
        push=-0.25,
        light=0.40 + 0.52 * chin,
    )
    if look.ears:
        for sign in (-1.0, 1.0):
            g, tri = _grid(6, 9)
            a, b = (g[:, 0] - 0.25) * 1.3, g[:, 1] * 2 - 1
            width = np.sqrt(np.clip(1 - (b * 0.98) ** 2, 0, 1)) * (1.0 - 0.32 * np.clip(b, 0, 1))
            root = anchors[16 if sign > 0 else 0]
            back = np.array([0.62 * sign, 0.0, -0.78])
            v = (
                np.array([root[0] - 0.03 * sign, root[1] + 0.09, root[2] - 0.06])
                + back * (a * width * 0.20 * look.ears)[:, None]
            )
            v = v + np.c_[0.04 * sign * np.abs(b) - 0.03 * sign, b * 0.31 * look.ears + 0.05 * a, np.zeros(len(v))]
            n = np.c_[np.full(len(v), 0.75 * sign) + 0.5 * sign * (a - 0.4), b * 0.35, np.full(len(v), 0.7)]
            rim = np.clip(np.maximum(a * 1.05, np.abs(b)), 0, 1)
            light = (
                0.62
                + 0.36 * np.clip((rim - 0.45) * 3, 0, 1)
                - 0.25 * np.exp(-(((a - 0.15) / 0.2) ** 2) - ((b - 0.05) / 0.3) ** 2)
            )
            add(
                "ear",
                v,
                n,
                np.c_[256 + 30 + g[:, 0] * 60, SIDE + 30 + g[:, 1] * 60],
                tri if sign > 0 else tri[:, [0, 2, 1]],
                push=-0.05,
                both=True,
                light=light,
            )
    if look.long_hair:
        g, tri = _grid(25, 8)
        around = np.deg2rad((g[:, 0] - 0.5) * 2 * 122)
        t = g[:, 1]
        wide = 0.93 + 0.12 * np.sin(t * 2.6) + 0.03 * np.sin(around * 7 + t * 5)
        v = np.c_[np.sin(around) * wide, -0.55 + t * (0.75 + look.long_hair), -0.92 - np.cos(around) * 0.58 + 0.1 * t]
        n = np.c_[np.sin(around) * 1.0, np.full(len(v), -0.1), np.abs(np.sin(around)) * 0.5 + 0.35]
        light = np.clip(0.35 + 0.75 * np.abs(g[:, 0] - 0.5) * 2, 0, 1) * (1 - 0.15 * t)
        add(
            "locks",
            v,
            n,
            np.c_[384 + 2 + g[:, 0] * 123, SIDE + 2 + t * 123],
            tri,
            turn=np.clip(1.15 - 0.75 * t, 0, 1),
            push=0.0,
            both=True,
            light=light,
        )
    widened = {name: mesh.weights @ s for name, s in shapes.items() if name != "close"}
    return Person(
        anchors=anchors,
        vertices=vertices,
        shapes=widened,
        moves={name: s[:68] for name, s in shapes.items() if name != "close"},
        look=look,
        parts=tuple(parts),
        texels=np.concatenate(texels).astype(np.float32),
        triangles=np.concatenate(triangles),
        bias=np.concatenate(bias),
        twosided=np.concatenate(twosided),
        ambient=np.concatenate(ambient).astype(np.float32),
    )
