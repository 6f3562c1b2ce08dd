"""Decoded pictures to upright uint8 RGB: colour matrix, range, HDR tone mapping, pixel aspect and display orientation.

SDR is display-referred and passed through: the matrix and range the stream names are undone, nothing else. Where a stream does
not name its matrix, BT.709 is assumed for HD (more than 576 lines or 1024 columns) and BT.601 below, as players do.
PQ and HLG (BT.2100) are brought to SDR: to display light in nits, BT.2020 to BT.709 primaries, the BT.2390 roll-off of the largest
component from 1000 to 203 nits (diffuse white of BT.2408), and the sRGB curve. Not covered: Dolby Vision profile 5 (its base layer is
shown as it is), ICC profiles inside video.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# AVColorSpace → SWS_CS: what swscale calls them (H.273 matrix_coefficients on the left).
_MATRIX = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_UNSPECIFIED = 2
_PQ, _HLG = 16, 18  # H.273 transfer_characteristics
_BT2020 = 9  # H.273 colour_primaries

HDR_PEAK = 1000.0  # nits: the mastering peak assumed; almost all graded material and every phone
SDR_WHITE = 203.0  # nits: HDR reference white, ITU-R BT.2408

# BT.2020 → BT.709 linear light. Source: ITU-R BT.2087, table 2 inverted.
_TO_709 = np.array(
    [[1.6604910, -0.5876411, -0.0728499], [-0.1245505, 1.1328999, -0.0083494], [-0.0181508, -0.1005789, 1.1187297]],
    dtype=np.float32,
)


@dataclass(frozen=True)
class Orientation:
    """How a stored picture is turned to be upright: mirrored left-right first if ``mirror``, then turned ``turns`` × 90° clockwise."""

    turns: int = 0
    mirror: bool = False

    @property
    def swaps(self) -> bool:
        """Whether width and height change places."""
        return self.turns % 2 == 1

    @classmethod
    def from_matrix(cls, matrix: bytes) -> "Orientation":
        """From a display matrix: nine int32, ``x' = a x + c y``, ``y' = b x + d y`` with y downwards. Nearest right angle."""
        if len(matrix) < 36:
            return cls()
        a, b, _, c, d, *_ = (float(v) for v in np.frombuffer(matrix[:36], dtype="<i4"))
        mirror = a * d - b * c < 0
        if mirror:
            a, b = -a, -b  # M = R · diag(-1, 1)
        if a == b == 0:
            return cls()
        return cls(round(math.degrees(math.atan2(b, a)) / 90) % 4, mirror)

    @classmethod
    def from_exif(cls, tag: int) -> "Orientation":
        """From EXIF tag 0x0112 (1 to 8)."""
        turned = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (1, False), 7: (1, True), 8: (3, False)}
        return cls(*turned.get(tag, ()))

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn an (H, W, 3) picture upright; C-contiguous."""
        if self.mirror:
            picture = picture[:, ::-1]
        if self.turns == 0:
            return np.ascontiguousarray(picture)
        import cv2  # ten times faster at this than numpy's strided copy

        code = {1: cv2.ROTATE_90_CLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_COUNTERCLOCKWISE}[self.turns]
        return np.asarray(cv2.rotate(np.ascontiguousarray(picture), code), dtype=np.uint8)


_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128  # SMPTE ST 2084, §5
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def pq_to_nits(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """PQ EOTF, [0, 1] → nits. Source: SMPTE ST 2084, eq. 4.1."""
    power = np.power(np.clip(signal, 0, 1), 1 / _M2)
    return 10000.0 * np.power(np.maximum(power - _C1, 0) / (_C2 - _C3 * power), 1 / _M1)


def nits_to_pq(nits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of :func:`pq_to_nits`."""
    power = np.power(np.clip(nits, 0, 10000) / 10000.0, _M1)
    return np.power((_C1 + _C2 * power) / (1 + _C3 * power), _M2)


def hlg_to_scene(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """HLG inverse OETF, [0, 1] → scene light [0, 1]. Source: ITU-R BT.2100, table 5."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    signal = np.clip(signal, 0, 1)
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def _roll_off(nits: NDArray[np.float64]) -> NDArray[np.float64]:
    """BT.2390 EETF, §5.4.1: nits up to HDR_PEAK → nits up to SDR_WHITE, untouched below the knee."""
    top = nits_to_pq(np.array(HDR_PEAK))
    e = np.clip(nits_to_pq(nits) / top, 0, 1)
    limit = float(nits_to_pq(np.array(SDR_WHITE)) / top)
    knee = 1.5 * limit - 0.5
    t = np.clip((e - knee) / (1 - knee), 0, 1)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * limit
    return pq_to_nits(np.where(e < knee, e, spline) * top)


@functools.cache
def _decode_table(transfer: int) -> NDArray[np.float32]:
    """65536 code values → nits (PQ) or scene light (HLG)."""
    signal = np.arange(65536) / 65535.0
    return (pq_to_nits(signal) if transfer == _PQ else hlg_to_scene(signal)).astype(np.float32)


_GAIN_STEPS = 4096  # of sqrt(nits / 10000): fine where the eye is


@functools.cache
def _gain_table() -> NDArray[np.float32]:
    """sqrt(nits / 10000) in _GAIN_STEPS → factor that the roll-off multiplies nits by, divided by SDR_WHITE."""
    nits = np.maximum((np.arange(_GAIN_STEPS) / (_GAIN_STEPS - 1)) ** 2 * 10000.0, 1e-6)
    return (_roll_off(nits) / nits / SDR_WHITE).astype(np.float32)


@functools.cache
def _srgb_table() -> NDArray[np.uint8]:
    """4096 steps of sqrt(linear) → sRGB code. Square root first, so that shadows keep their steps."""
    linear = (np.arange(4096) / 4095.0) ** 2
    code = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.power(linear, 1 / 2.4) - 0.055)
    return np.round(code * 255).astype(np.uint8)


def tone_map(signal: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    """BT.2100 R'G'B' in BT.2020 primaries → sRGB.

    signal : uint16 (H, W, 3), full range; transfer : 16 (PQ) or 18 (HLG), H.273. Returns uint8 (H, W, 3).
    """
    light = _decode_table(transfer)[signal].reshape(-1, 3)
    if transfer == _HLG:
        # OOTF for a 1000-nit display, BT.2100 table 5: gamma 1.2 on scene luminance.
        luminance = light @ np.array([0.2627, 0.6780, 0.0593], dtype=np.float32)
        light *= (HDR_PEAK * np.power(np.maximum(luminance, 1e-6), 0.2))[:, None].astype(np.float32)
    light = np.maximum(light @ _TO_709.T, 0)
    peak = light.max(axis=1)
    index = np.sqrt(np.minimum(peak, 10000.0) / 10000.0) * (_GAIN_STEPS - 1)
    light *= _gain_table()[(index + 0.5).astype(np.int32)][:, None]
    code = (np.sqrt(np.minimum(light, 1.0)) * 4095 + 0.5).astype(np.int32)
    picture: NDArray[np.uint8] = _srgb_table()[code].reshape(signal.shape)
    return picture


class RgbMaker:
    """Turns decoded PyAV frames of one stream into upright RGB arrays of one size.

    width, height : of the stored picture with square pixels, before turning; orientation : the turn.
    One swscale context is kept, since making one per frame costs more than the conversion of a small picture.
    """

    def __init__(self, width: int, height: int, orientation: Orientation) -> None:
        from av.video.reformatter import VideoReformatter

        self.width, self.height, self.orientation = width, height, orientation
        self._scaler: Any = VideoReformatter()

    def __call__(self, frame: Any) -> NDArray[np.uint8]:
        """uint8 (H, W, 3), C-contiguous, writable, its own memory."""
        hdr = frame.color_trc in (_PQ, _HLG) and frame.color_primaries in (_BT2020, _UNSPECIFIED)
        matrix = frame.colorspace
        if matrix == _UNSPECIFIED:
            matrix = 9 if hdr else (1 if frame.height > 576 or frame.width > 1024 else 6)
        # "yuvj" formats say full range by their name and swscale knows it; everything else by the frame's tag.
        to = {"width": self.width, "height": self.height, "format": "rgb48le" if hdr else "rgb24", "dst_color_range": 2}
        picture = self._scaler.reformat(frame, src_colorspace=_MATRIX.get(matrix), **to).to_ndarray()
        if hdr:
            picture = tone_map(picture, int(frame.color_trc))
        return self.orientation.apply(picture)
