"""What is left when the picture is predicted from its neighbours: noise residuals, their co-occurrences, block-DCT statistics,
and how sharp each part of the face is beside the others.

Source: Fridrich & Kodovsky 2012, *Rich models for steganalysis* (the filters); the region contrasts are ours.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detect.features.windows import KV, MomentDetector, Moments

__all__ = ["ResidualDetector", "cooccurrence", "features", "region_features"]

Array = NDArray[Any]
SQUARE5 = (
    np.array(
        [[-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [2, -6, 8, -6, 2], [-1, 2, -2, 2, -1]], np.float32
    )
    / 12
)
SECOND = np.array([[0, 0, 0], [1, -2, 1], [0, 0, 0]], np.float32) / 2

_ids = np.arange(125).reshape(5, 5, 5)
_flip = np.minimum(_ids, _ids[::-1, ::-1, ::-1])
_UNIQUE = np.unique(np.minimum(_flip, _flip.transpose(2, 1, 0)))  # one of each class under sign and direction
_DCT = np.array(
    [[np.sqrt((1 if k == 0 else 2) / 8) * np.cos(np.pi * (2 * i + 1) * k / 16) for i in range(8)] for k in range(8)]
)


def _shape(x: Array) -> list[float]:
    """Size and heaviness of tail of a residual."""
    s = float(x.std()) + 1e-3
    z = x / s
    return [
        float(np.log(s)),
        float(np.log(np.abs(x).mean() + 1e-3) - np.log(s)),
        float(np.log((z**4).mean() + 1e-3)),
        float((np.abs(z) > 3).mean() * 10),
    ]


def cooccurrence(residual: Array, step: float) -> Array:
    """Root of the frequencies of triples of neighbours, quantised to −2…2 steps, symmetries merged: (39,)."""
    v = np.clip(np.round(residual / step), -2, 2).astype(int) + 2
    across = v[:, :-2] * 25 + v[:, 1:-1] * 5 + v[:, 2:]
    down = v[:-2] * 25 + v[1:-1] * 5 + v[2:]
    h = (np.bincount(across.ravel(), minlength=125) + np.bincount(down.ravel(), minlength=125)).reshape(5, 5, 5)
    h = h + h[::-1, ::-1, ::-1]
    h = h + h.transpose(2, 1, 0)
    return np.asarray(np.sqrt(h.ravel()[_UNIQUE] / h.sum()))


def _blocks(grey: Array) -> Array:
    """Log mean size of each 8×8 DCT coefficient, by diagonal: (14,), and the share of near-zeros by diagonal: (14,)."""
    n = grey.shape[0] // 8
    blocks = grey[: n * 8, : n * 8].reshape(n, 8, n, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
    size = np.abs(_DCT @ blocks @ _DCT.T)
    diagonal = np.add.outer(np.arange(8), np.arange(8))
    out = []
    for d in range(1, 15):
        part = size[:, diagonal == d]
        out += [np.log(part.mean() + 0.05), np.log((part < 0.5).mean() + 0.01)]
    return np.array(out)


def features(moments: Moments) -> Array:
    """(N, F) noise statistics of the middle of the face at each moment."""
    rows = []
    for i in range(len(moments)):
        rgb = moments.middle(i, 128)
        ycc = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb).astype(np.float32)
        row: list[float] = []
        pairs: list[Array] = []
        for channel in range(3):
            plane = ycc[..., channel]
            residuals = [cv2.filter2D(plane, -1, k) for k in (KV, SQUARE5, SECOND, SECOND.T)]
            for residual in residuals:
                row += _shape(residual)
            if channel == 0:
                for residual in residuals[:2]:
                    pairs += [
                        cooccurrence(residual, 1.0),
                        cooccurrence(residual, max(float(residual.std()) * 0.7, 0.25)),
                    ]
            else:
                pairs.append(cooccurrence(residuals[0], 0.5))
        colours = [cv2.filter2D(rgb[..., c].astype(np.float32), -1, KV).ravel() for c in range(3)]
        for a, b in ((0, 1), (1, 2), (0, 2)):
            spread = np.sqrt((colours[a] ** 2).mean() * (colours[b] ** 2).mean())
            row.append(float((colours[a] * colours[b]).mean() / (spread + 1e-3)))
        rows.append(np.concatenate([row, *pairs, _blocks(ycc[..., 0])]))
    return np.stack(rows).astype(np.float32)


def region_features(moments: Moments) -> Array:
    """(N, F): fine and middling detail of eyes, mouth, nose, rim, background and skin, each over the whole face's; colour spread."""
    rows = []
    for i in range(len(moments)):
        grey = moments.grey(i)
        fine = np.abs(cv2.filter2D(grey, -1, KV))
        middling = np.abs(cv2.Laplacian(cv2.GaussianBlur(grey, (0, 0), 1.5), cv2.CV_32F))
        lab = cv2.cvtColor(moments.crops[i], cv2.COLOR_RGB2LAB).astype(np.float32)
        masks = moments.masks(i)
        detail = {
            name: np.log([fine[mask].mean() + 0.05, middling[mask].mean() + 0.02])
            if mask.sum() > 20
            else np.full(2, np.nan)
            for name, mask in masks.items()
        }
        row = [detail[name] - detail["face"] for name in ("eyes", "mouth", "nose", "rim", "around", "skin")]
        row.append(detail["face"])
        for name in ("skin", "mouth", "eyes", "around"):
            mask = masks[name]
            row.append(np.log(lab[mask].std(0) + 0.1) if mask.sum() > 20 else np.full(3, np.nan))
        rows.append(np.concatenate(row))
    return np.stack(rows).astype(np.float32)


def scale_features(moments: Moments) -> Array:
    """(N, F): energy of four octaves of detail, light and colour, in eight parts of the picture, over the whole face's."""
    rows = []
    for i in range(len(moments)):
        planes = cv2.cvtColor(np.ascontiguousarray(moments.crops[i]), cv2.COLOR_RGB2YCrCb).astype(np.float32)
        masks = dict(moments.masks(i))
        size = moments.crops.shape[1]
        half = np.zeros((size, size), bool)
        half[: size // 2] = True
        masks["above"], masks["below"] = masks["around"] & half, masks["around"] & ~half
        side = np.zeros((size, size), bool)
        side[:, : int(moments.landmarks[i][30, 0])] = True
        masks["left"], masks["right"] = masks["skin"] & side, masks["skin"] & ~side
        row: list[float] = []
        for channel in range(3):
            picture: NDArray[Any] = planes[..., channel]
            for sigma in (1.0, 2.0, 4.0, 8.0)[channel > 0 :]:
                soft = cv2.GaussianBlur(picture, (0, 0), sigma)
                energy = np.abs(picture - soft)
                picture = soft
                whole = np.log(energy[masks["face"]].mean() + 0.03)
                row.append(float(whole))
                for name in ("eyes", "mouth", "nose", "rim", "left", "right", "above", "below"):
                    mask = masks[name]
                    row.append(float(np.log(energy[mask].mean() + 0.03) - whole) if mask.sum() > 20 else np.nan)
        rows.append(row)
    return np.array(rows, dtype=np.float32)


class ResidualDetector(MomentDetector):
    id = "residual"
    version = "1"
