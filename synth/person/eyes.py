"""Draws the eyes of a bent picture: lids that close over the eyeball instead of squeezing it, and an iris that looks where the driver looks."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.person.mouth import Axes, arc

Frames = NDArray[np.uint8]
Points = NDArray[np.float64]
# (2, 2): of either eye, along it from corner to corner and across it, in its widths; NaN = not found
Gaze = NDArray[np.float64]

EYES = (slice(36, 42), slice(42, 48))  # each from the corner on the left of the picture, clockwise
IRIS = 0.2  # radius, in widths of the eye: 11.7 mm across in an opening of 29 mm
# How far an iris is moved along and across the eye: beyond, its hidden parts would have to be invented.
FURTHEST = (0.22, 0.06)
BAND = (0.55, 0.4)  # widths of the eye: the skin above and below it that stretches when lids close, at most
BROW = 0.12  # of that, half the thickness of a brow: it stays
RIM = 0.03  # widths: as much of a closing lid's edge is left behind, where landmarks took some of the eyeball for skin
DISAGREE = 0.15  # widths: two eyes that changed by more than this against each other are one misread
SMOOTHING = 0.08  # seconds, standard deviation of the Gaussian over time
_SMALLEST = 12.0  # pixels from corner to corner below which no iris is looked for
_DRAWN = 4.0  # pixels from corner to corner below which an eye is bent as it is
_ALONG, _ACROSS = 64, 40  # of the patch an iris is looked for in: 1.2 by 0.75 widths


class _Axes(Axes):
    """An eye's own frame, x and y in widths of the eye."""

    @classmethod
    def of(cls, eye: Points) -> "_Axes":
        """eye : (6, 2), pixels."""
        width = float(np.linalg.norm(eye[3] - eye[0]))
        return cls(eye[0], (eye[3] - eye[0]) / max(width, 1e-6), width)

    def local(self, at: Points) -> Points:
        """Pixels (…, 2) → this frame."""
        return np.asarray((at - self.origin) @ self.turn.T / max(self.width, 1e-6))

    def pixels(self, at: Points) -> Points:
        """This frame (…, 2) → pixels."""
        return np.asarray(at @ self.turn * self.width + self.origin)


@dataclass(frozen=True)
class _Lids:
    """The lids' edges in the eye's frame, as of :func:`synth.person.mouth.arc`."""

    upper: tuple[float, float]
    lower: tuple[float, float]

    @classmethod
    def of(cls, eye: Points, axes: _Axes) -> "_Lids":
        """From the six landmarks of the eye, in pixels."""
        upper, lower = (axes.local(eye[rows]).T for rows in ([1, 2], [5, 4]))
        return cls(*(arc(np.clip(x, 0.15, 0.85), y) for x, y in (upper, lower)))

    @staticmethod
    def at(edge: tuple[float, float], x: NDArray[np.float64]) -> NDArray[np.float64]:
        """y of an edge at x, 0 beyond the corners."""
        inside = np.clip(x, 0, 1)
        return np.asarray(inside * (1 - inside) * (edge[0] + edge[1] * (inside - 0.5)))

    @property
    def opening(self) -> float:
        """How far they stand apart in the middle, in widths."""
        return (self.lower[0] - self.upper[0]) / 4


def pupils(frame: Frames, points: Points) -> Gaze:
    """Where the irises are, NaN where none can be told: shut, tiny, in the dark, behind glasses that mirror.

    frame : uint8 (S, S, 3). points : (68, 2) in its pixels. An iris is the disc of its known size that is darkest against the rest of the opening.
    """
    found = np.full((2, 2), np.nan)
    for k, rows in enumerate(EYES):
        eye = np.asarray(points[rows], np.float64)
        axes = _Axes.of(eye)
        lids = _Lids.of(eye, axes)
        if axes.width >= _SMALLEST and lids.opening >= 0.14:
            found[k] = _iris(frame, axes, lids)
    return found


def _iris(frame: Frames, axes: _Axes, lids: _Lids) -> Points:
    # The eye, cut out along its own axes and brought to one size.
    scale = _ALONG / 1.2  # patch pixels a width
    x, y = np.meshgrid(
        (np.arange(_ALONG) + 0.5) / scale - 0.1, (np.arange(_ACROSS) + 0.5) / scale - _ACROSS / scale / 2
    )
    at = axes.pixels(np.stack([x, y], -1)).astype(np.float32)
    patch = cv2.remap(frame, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    luma = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY).astype(np.float32)
    upper, lower = lids.at(lids.upper, x), lids.at(lids.lower, x)
    margin = 0.1 * (lower - upper)  # lashes and their shadow
    open_ = ((y > upper + margin) & (y < lower - margin) & (x > 0.06) & (x < 0.94)).astype(np.float32)
    # At every place: how dark the open part of an iris' disc is, and how bright what is open around a slightly larger one.
    radius = IRIS * scale
    disc = _disc(radius)
    inside = cv2.filter2D(open_, cv2.CV_32F, disc, borderType=cv2.BORDER_CONSTANT)
    dark = cv2.filter2D(open_ * luma, cv2.CV_32F, disc, borderType=cv2.BORDER_CONSTANT) / np.maximum(inside, 1e-3)
    wide = _disc(1.2 * radius)
    around = float(open_.sum()) - cv2.filter2D(open_, cv2.CV_32F, wide, borderType=cv2.BORDER_CONSTANT)
    bright = float((open_ * luma).sum()) - cv2.filter2D(open_ * luma, cv2.CV_32F, wide, borderType=cv2.BORDER_CONSTANT)
    contrast = bright / np.maximum(around, 1e-3) - dark
    # Only where an iris can be: mostly uncovered, near the middle between lids and corners, with white beside it.
    middle = (upper + lower) / 2
    fits = (
        (open_ > 0)
        & (inside > 0.5 * inside.max())
        & (abs(x - 0.5) < 0.33)
        & (around > 0.25 * open_.sum())
        & (abs(y - middle) < 0.08)
    )
    contrast = np.where(fits, contrast, -np.inf)
    best = float(contrast.max(initial=-np.inf))
    if not best > max(10.0, 0.14 * float(luma[open_ > 0].mean() if open_.any() else 255)):
        return np.full(2, np.nan)
    weight = np.clip(contrast - 0.85 * best, 0, None)  # between the patch's pixels
    return np.asarray([(weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()], np.float64)


def _disc(radius: float) -> NDArray[np.float32]:
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return np.asarray(np.clip(radius + 0.5 - np.hypot(x, y), 0, 1), np.float32)


@dataclass(frozen=True, eq=False)
class GazeTrack:
    """Where a driver looks. change : (N, 2), how far both irises stand from where they stood at the moment that resembles the shot, in widths
    of the eye; NaN where it cannot be told. shot : number of the shot that it resembles."""

    change: NDArray[np.float64]
    shot: int = 0


def gaze_track(gaze: NDArray[np.float64], times: NDArray[np.float64], reference: int, shot: int) -> GazeTrack:
    """From the driver's irises (N, 2, 2) at all moments; NaN in all where too few are told.

    Eyes turn together, so either's change stands for both; a blink is bridged, and the trembling of a reading smoothed.
    """
    middle = np.nanmedian(gaze, 0) if np.isfinite(gaze).any(0).all() else np.full((2, 2), np.nan)
    apart = gaze - middle
    both = np.isfinite(apart).all((1, 2))
    agreed = both & (np.abs(apart[:, 0] - apart[:, 1])[:, 0] < DISAGREE)
    if agreed.sum() < max(2, 0.3 * len(gaze)):
        return GazeTrack(np.full((len(gaze), 2), np.nan), shot)
    change = np.stack([np.interp(times, times[agreed], apart[agreed].mean(1)[:, axis]) for axis in (0, 1)], 1)
    weight = np.exp(-0.5 * ((times[:, None] - times[None]) / SMOOTHING) ** 2)
    change = weight @ change / weight.sum(1, keepdims=True)
    return GazeTrack(change - change[reference], shot)


class Eyes:
    """A shot's eyes: how far they stand open and where they look."""

    def __init__(self, frame: Frames, points: Points) -> None:
        self.gaze = pupils(frame, points)
        self.shapes = []
        for rows in EYES:
            axes = _Axes.of(points[rows])
            self.shapes.append((axes.local(points[rows]), _Lids.of(points[rows], axes)))

    def kept_open(self, target: Points) -> Points:
        """The landmarks that the picture is bent to: lids that come nearer than in the shot stay as far apart as there, for :meth:`draw` to close."""
        out = target.copy()
        for rows, (shape, lids) in zip(EYES, self.shapes, strict=True):
            axes = _Axes.of(target[rows])
            if axes.width >= _DRAWN and _Lids.of(target[rows], axes).opening < lids.opening:
                out[rows] = axes.pixels(shape)
        return out

    def draw(self, frame: Frames, bent: Points, target: Points, gaze: Gaze | None = None) -> tuple[bool, bool]:
        """Close the lids of a bent frame from ``bent`` to ``target`` and move its irises to ``gaze``, in place; whether either was done."""
        closed = looked = False
        for k, rows in enumerate(EYES):
            axes = _Axes.of(bent[rows])
            if axes.width < _DRAWN:
                continue
            had, wanted = _Lids.of(bent[rows], axes), _Lids.of(target[rows], axes)
            move = np.zeros(2) if gaze is None else np.clip(gaze[k] - self.gaze[k], -np.array(FURTHEST), FURTHEST)
            move = move if np.isfinite(move).all() else np.zeros(2)
            brow = float(axes.local(bent[17:22] if k == 0 else bent[22:27])[:, 1].mean())
            bands = (float(np.clip(0.25 * had.upper[0] - brow - BROW, 0.12, BAND[0])), BAND[1])
            closes, looks = had.opening - wanted.opening > 0.004, float(np.abs(move).max()) > 0.004
            if closes or looks:
                _redraw(frame, axes, (had, wanted), bands, (self.gaze[k], move))
            closed, looked = closed or closes, looked or looks
        return closed, looked


def _redraw(
    frame: Frames, axes: _Axes, lids: tuple[_Lids, _Lids], bands: tuple[float, float], iris: tuple[Points, Points]
) -> None:
    """One eye, in place: where each pixel comes from in the frame as it is bent with its lids open.

    lids : as they are and as they are wanted. bands : of skin that stretches, above and below. iris : where it is, and how far it moves.
    """
    (had, wanted), (iris_at, move) = lids, iris
    corners = axes.pixels(np.array([(-0.1, -0.9), (1.1, -0.9), (-0.1, 0.7), (1.1, 0.7)]))
    low = np.maximum(np.floor(corners.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(0)).astype(int) + 1, frame.shape[1::-1])
    if (high - low < 3).any():
        return
    grid = np.stack(np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1])), -1).astype(np.float64)
    x, y = np.moveaxis(axes.local(grid), -1, 0)
    upper, lower = had.at(had.upper, x), had.at(had.lower, x)
    closing_upper = np.maximum(wanted.at(wanted.upper, x), upper)
    closing_lower = np.minimum(wanted.at(wanted.lower, x), lower)
    crossed = closing_upper > closing_lower
    meet = (closing_upper + closing_lower) / 2
    closing_upper, closing_lower = np.where(crossed, meet, closing_upper), np.where(crossed, meet, closing_lower)
    from_x, from_y = x.copy(), y.copy()
    # Skin of the lids: stretched from the band's far end, which stays, to the edge, which moves.
    rim = RIM * float(np.clip(1 - wanted.opening / max(had.opening, 1e-6), 0, 1))
    for edge, now, band, side in (
        (upper - rim, closing_upper, bands[0], -1),
        (lower + rim, closing_lower, bands[1], 1),
    ):
        far = edge + side * band
        share = np.clip((y - far) / np.where(abs(now - far) < 1e-6, 1e-6, now - far), 0, None)
        skin = ((y - now) * side > 0) & ((y - far) * side < 0)
        from_y = np.where(skin, far + share * (edge - far), from_y)
    if np.abs(move).max() > 0.004:
        seen = (y > closing_upper) & (y < closing_lower) & (x > 0) & (x < 1)
        # White stretches on one side of the iris and gathers on the other, up to the corners.
        away = np.hypot(x - iris_at[0] - move[0], y - iris_at[1] - move[1])
        share = 1 - np.clip((away - 1.1 * IRIS) / (1.6 * IRIS), 0, 1)
        share = share * share * (3 - 2 * share)
        from_x = np.where(seen, x - share * move[0], from_x)
        from_y = np.where(seen, y - share * move[1], from_y)
    source = (axes.pixels(np.stack([from_x, from_y], -1)) - low).astype(np.float32)
    area = frame[low[1] : high[1], low[0] : high[0]]
    drawn = cv2.remap(area, source[..., 0], source[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    moved = np.abs(np.stack([from_x - x, from_y - y], -1)).max(-1) > 1e-4
    # Edges of lids are a pixel wide, not a staircase.
    near = np.minimum(np.abs(y - closing_upper), np.abs(y - closing_lower)) * axes.width
    seam = (np.clip(1.5 - near, 0, 1) * ((x > 0) & (x < 1)))[..., None].astype(np.float32)
    smooth = cv2.GaussianBlur(drawn, (0, 0), max(0.7, 0.012 * axes.width)).astype(np.float32)
    made = drawn + seam * (smooth - drawn)
    weight = cv2.GaussianBlur(moved.astype(np.float32), (0, 0), max(0.4, 0.006 * axes.width))[..., None]
    weight = np.where(moved[..., None], 1.0, weight)
    area[:] = np.clip(np.rint(area + weight * (made - area)), 0, 255)
