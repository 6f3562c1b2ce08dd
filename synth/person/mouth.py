"""Draws a mouth that opens wider than in the picture: a cavity in the lips' own dark colour, with the shot's own teeth where it shows them."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from gioconda_core.faces import align

Frames = NDArray[np.uint8]
Points = NDArray[np.float64]

INNER_LIPS = ((61, 67), (62, 66), (63, 65))  # upper and lower inner lip
# A shot shows teeth whose lips stand apart by so much of the face, and are so pale between, × teeth in its light.
BARE, PALE = 0.025, 0.6
LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))  # upper and lower lid


def opening(points: Points, pairs: tuple[tuple[int, int], ...]) -> float:
    """Mean distance of the pairs of landmarks, pixels."""
    return float(np.mean([np.linalg.norm(points[a] - points[b]) for a, b in pairs]))


def ramp(value: float, low: float, high: float) -> float:
    """0 at low, 1 at high, smooth between."""
    t = float(np.clip((value - low) / (high - low), 0, 1))
    return t * t * (3 - 2 * t)


@dataclass(frozen=True, eq=False)
class Axes:
    """The frame of an eye or a mouth: x runs from one corner (0) to the other (1), y across it, downwards.

    origin : the first corner, (2,) pixels. along : (2,), of length 1. width : from corner to corner, pixels.
    """

    origin: Points
    along: Points
    width: float

    @property
    def turn(self) -> Points:
        """(2, 2), of this frame against the picture's."""
        return np.stack([self.along, [-self.along[1], self.along[0]]])


def arc(x: Points, y: Points) -> tuple[float, float]:
    """(a, b) of the edge y = x(1 − x)(a + b(x − ½)), which goes through both corners and nearest to points (n,)."""
    a, b = np.linalg.lstsq(np.c_[x * (1 - x), x * (1 - x) * (x - 0.5)], y, rcond=None)[0]
    return float(a), float(b)


@dataclass(frozen=True, eq=False)
class _Lips(Axes):
    """The inner lips, y in pixels. upper, lower : edges as of :func:`arc`, and between which y each stays."""

    upper: tuple[float, float, float, float]
    lower: tuple[float, float, float, float]
    open: float  # mean distance of the lips, pixels
    side: float  # of the face square, pixels

    @classmethod
    def of(cls, points: Points) -> "_Lips":
        """From landmarks (68, 2)."""
        width = float(np.linalg.norm(points[64] - points[60]))
        bare = cls(points[60], (points[64] - points[60]) / max(width, 1e-6), width, (0.0,) * 4, (0.0,) * 4, 0.0, 0.0)
        # A curve through the corners and the lip's three points: five of a polygon would show as corners.
        upper, lower = (bare._edge(points[rows]) for rows in ([61, 62, 63], [67, 66, 65]))
        return replace(bare, upper=upper, lower=lower, open=opening(points, INNER_LIPS), side=align.side(points))

    def _edge(self, points: Points) -> tuple[float, float, float, float]:
        """Of a turned mouth the points lie close to one corner, or beyond it, and the curve through them could be anywhere further on."""
        x, y = self.local(points)
        return *arc(np.clip(x, 0.15, 0.85), y), 1.1 * min(0.0, float(y.min())), 1.1 * max(0.0, float(y.max()))

    def local(self, at: Points) -> tuple[Points, Points]:
        """Pixels (…, 2) → x, y."""
        x, y = np.moveaxis((at - self.origin) @ self.turn.T, -1, 0)
        return x / max(self.width, 1e-6), y

    def pixels(self, x: Points, y: Points) -> Points:
        """x, y → pixels (…, 2)."""
        return np.asarray(np.stack([x * self.width, y], -1) @ self.turn + self.origin)

    @staticmethod
    def at(edge: tuple[float, float, float, float], x: Points) -> Points:
        """y of an edge at x."""
        a, b, low, high = edge
        return np.clip(x * (1 - x) * (a + b * (x - 0.5)), low, high)


class Mouth:
    """What a shot says of a mouth that opens wider: the dark between its lips, its teeth, or how bright they would be in its light."""

    def __init__(self, frame: Frames, points: Points) -> None:
        self.frame, self.lips = frame, _Lips.of(points)
        self.open, self.side = self.lips.open, self.lips.side
        inside = np.zeros(frame.shape[:2], np.uint8)
        cv2.fillPoly(inside, [np.round(points[48:60]).astype(np.int32)], 1)
        lips = frame[inside > 0].astype(np.float32)
        if not len(lips):
            lips = frame.reshape(-1, 3).astype(np.float32)
        light = lips @ np.array([0.299, 0.587, 0.114], np.float32)
        dark = lips[light <= np.quantile(light, 0.1)].mean(0)
        self.dark = dark * min(1.0, 0.45 * 60 / max(float(dark.mean()), 1.0) + 0.15)
        self.flesh = 0.55 * np.median(lips, 0)
        face = np.zeros(frame.shape[:2], np.uint8)
        cv2.fillConvexPoly(face, cv2.convexHull(np.round(points).astype(np.int32)), 1)
        skin = frame[face > 0].astype(np.float32)
        bright = np.quantile(skin, 0.85, axis=0) if len(skin) else np.full(3, 200, np.float32)
        # Paler than skin, in the same light: as bright as the median of 22 photographs of ten people who smile.
        self.teeth = 1.05 * (0.45 * bright.mean() + 0.55 * bright)
        between = np.zeros(frame.shape[:2], np.uint8)
        cv2.fillPoly(between, [np.round(points[60:68]).astype(np.int32)], 1)
        shown = frame[between > 0].astype(np.float32)
        self.bare = bool(self.open > BARE * self.side and len(shown) and np.median(shown) > PALE * self.teeth.mean())

    def draw(self, frame: Frames, target: Points) -> float:
        """Fill the lips of a bent frame where they stand open wider than in the shot, in place; how much of it is seen, 0 to 1."""
        lips = _Lips.of(target)
        # Teeth that the shot shows are stretched until the cavity takes over: with the same teeth, it can early.
        a, b, c, d = (1.05, 0.005, 1.3, 0.015) if self.bare else (1.25, 0.01, 1.6, 0.035)
        share = ramp(lips.open, max(a * self.open, self.open + b * self.side), c * self.open + d * self.side)
        if share <= 0 or lips.width < 2:
            return 0.0
        low = np.maximum(np.floor(target[60:68].min(0) - 3).astype(int), 0)
        high = np.minimum(np.ceil(target[60:68].max(0) + 4).astype(int), frame.shape[1::-1])
        if (high <= low).any():
            return 0.0
        grid = np.stack(np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1])), -1).astype(np.float64)
        x, y = lips.local(grid)
        inside = (x > 0) & (x < 1)
        upper, lower = lips.at(lips.upper, x), lips.at(lips.lower, x)
        gap = np.maximum(lower - upper, 1e-3)
        soft = max(0.7, 0.006 * self.side)
        edge = np.clip((np.minimum(y - upper, lower - y)) / soft, 0, 1) * inside
        depth = np.clip((y - upper) / gap, 0, 1)
        picture = np.empty((*x.shape, 3), np.float32)
        tongue = np.clip((depth - 0.55) / 0.45, 0, 1)[..., None] * np.clip(1 - (2 * x - 1) ** 2, 0, 1)[..., None]
        picture[:] = self.dark + 0.7 * tongue * (self.flesh - self.dark)
        colour, seen = self._own(lips, x, y - upper) if self.bare else self._painted(lips, x, y - upper, gap)
        picture += seen[..., None] * (colour - picture)
        weight = (edge * share)[..., None].astype(np.float32)
        area = frame[low[1] : high[1], low[0] : high[0]]
        area[:] = np.clip(np.rint(area + weight * (cv2.GaussianBlur(picture, (0, 0), 0.6 * soft) - area)), 0, 255)
        return share

    def _own(self, lips: _Lips, x: Points, depth: Points) -> tuple[Points, Points]:
        """The shot's own teeth, and how much of them is seen: they hang below the upper lip as they did, and no lip stretches them."""
        scale = lips.side / self.lips.side
        at = 0.5 + (x - 0.5) * lips.width / (scale * self.lips.width)
        top, bottom = (self.lips.at(edge, at) for edge in (self.lips.upper, self.lips.lower))
        place = self.lips.pixels(at, top + depth / scale).astype(np.float32)
        own = cv2.remap(self.frame, place[..., 0], place[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        # The lower lip and its edge are left behind.
        left = (0.85 * (bottom - top) - depth / scale) / max(0.7, 0.02 * self.side)
        return own.astype(np.float64), np.clip(left, 0, 1) * ((at > 0.02) & (at < 0.98))

    def _painted(self, lips: _Lips, x: Points, depth: Points, gap: Points) -> tuple[Points, Points]:
        """Upper teeth as anybody has, and how much of them is seen."""
        height = np.minimum(0.5 * gap, 0.05 * self.side) + 1e-3
        row = depth / height
        soft = max(0.7, 0.006 * self.side)
        bite = np.clip((1 - row) * height / (1.6 * soft), 0, 1) * np.clip((1 - np.abs(2 * x - 1) / 0.86) * 4, 0, 1)
        # The lip's shadow above, a round arch to the sides, and lines between teeth that are only just there.
        light = (0.7 + 0.3 * np.clip(row * 2.2, 0, 1)) * (1 - 0.55 * (2 * x - 1) ** 2)
        lines = 1 - 0.04 * np.clip(np.cos(2 * np.pi * (x - 0.5) * lips.width / max(0.052 * self.side, 2)) * 6 - 5, 0, 1)
        shine = ramp(lips.open, 0.02 * self.side, 0.06 * self.side)
        return (light * lines)[..., None] * self.teeth, bite * shine
