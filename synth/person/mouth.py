"""Draws a mouth that opens wider than in the picture: a cavity with teeth and tongue, drawn in the lips' own dark colour."""

import cv2
import numpy as np
from numpy.typing import NDArray

from gioconda_core.faces import align

Frames = NDArray[np.uint8]
Points = NDArray[np.float64]

INNER_LIPS = ((61, 67), (62, 66), (63, 65))  # upper and lower inner lip
LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))  # upper and lower lid


def opening(points: Points, pairs: tuple[tuple[int, int], ...]) -> float:
    """Mean distance of the pairs of landmarks, pixels."""
    return float(np.mean([np.linalg.norm(points[a] - points[b]) for a, b in pairs]))


def ramp(value: float, low: float, high: float) -> float:
    """0 at low, 1 at high, smooth between."""
    t = float(np.clip((value - low) / (high - low), 0, 1))
    return t * t * (3 - 2 * t)


class Mouth:
    """What a shot says of the mouth that it does not show: the dark between its lips and how bright teeth would be in its light."""

    def __init__(self, frame: Frames, points: Points) -> None:
        self.open = opening(points, INNER_LIPS)
        self.side = align.side(points)
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
        # Teeth are paler than skin, and stand in the same light.
        self.teeth = 0.97 * (0.45 * bright.mean() + 0.55 * bright)

    def draw(self, frame: Frames, target: Points) -> float:
        """Fill the lips of a bent frame where they stand open wider than in the shot, in place; how much of it is seen, 0 to 1."""
        wide = opening(target, INNER_LIPS)
        share = ramp(wide, max(1.25 * self.open, self.open + 0.01 * self.side), 1.6 * self.open + 0.035 * self.side)
        if share <= 0:
            return 0.0
        left, right = target[60], target[64]
        width = float(np.linalg.norm(right - left))
        if width < 2:
            return 0.0
        along = (right - left) / width
        across = np.array([-along[1], along[0]])
        low = np.maximum(np.floor(target[60:68].min(0) - 3).astype(int), 0)
        high = np.minimum(np.ceil(target[60:68].max(0) + 4).astype(int), frame.shape[1::-1])
        if (high <= low).any():
            return 0.0
        grid = np.stack(np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1])), -1) - left
        x, y = grid @ along / width, grid @ across  # along the mouth 0…1, across it in pixels

        def contour(order: tuple[int, ...]) -> NDArray[np.float64]:
            points = target[list(order)] - left
            px, py = points @ along / width, points @ across
            # A parabola through the corners and the lip's three points: five of a polygon would show as corners.
            basis = np.c_[px * (1 - px), px * (1 - px) * (px - 0.5)]
            a, b = np.linalg.lstsq(basis[1:-1], py[1:-1], rcond=None)[0]
            return np.asarray(x * (1 - x) * (a + b * (x - 0.5)))

        inside = (x > 0) & (x < 1)
        upper, lower = contour((60, 61, 62, 63, 64)), contour((60, 67, 66, 65, 64))
        gap = np.maximum(lower - upper, 1e-3)
        soft = max(0.7, 0.006 * self.side)
        edge = np.clip((np.minimum(y - upper, lower - y)) / soft, 0, 1) * inside
        depth = np.clip((y - upper) / gap, 0, 1)
        picture = np.empty((*x.shape, 3), np.float32)
        tongue = np.clip((depth - 0.55) / 0.45, 0, 1)[..., None] * np.clip(1 - (2 * x - 1) ** 2, 0, 1)[..., None]
        picture[:] = self.dark + 0.7 * tongue * (self.flesh - self.dark)
        height = np.minimum(0.5 * gap, 0.05 * self.side) + 1e-3
        row = (y - upper) / height
        bite = np.clip((1 - row) * height / (1.6 * soft), 0, 1) * np.clip((1 - np.abs(2 * x - 1) / 0.86) * 4, 0, 1)
        # The lip's shadow above, a round arch to the sides, and lines between teeth that are only just there.
        light = (0.7 + 0.3 * np.clip(row * 2.2, 0, 1)) * (1 - 0.55 * (2 * x - 1) ** 2)
        lines = 1 - 0.04 * np.clip(np.cos(2 * np.pi * (x - 0.5) * width / max(0.052 * self.side, 2)) * 6 - 5, 0, 1)
        shine = ramp(wide, 0.02 * self.side, 0.06 * self.side)
        tooth = (bite * shine)[..., None]
        picture += tooth * ((light * lines)[..., None] * self.teeth - picture)
        weight = (edge * share)[..., None].astype(np.float32)
        area = frame[low[1] : high[1], low[0] : high[0]]
        area[:] = np.clip(np.rint(area + weight * (cv2.GaussianBlur(picture, (0, 0), 0.6 * soft) - area)), 0, 255)
        return share
