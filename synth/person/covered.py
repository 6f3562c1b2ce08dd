"""Says what stands before a face in a picture: something that covers its mouth, or spectacles.

A bend takes all that lies on a face for the face: lips open on a hand that is held before them, and spectacles rise with the brows. So whoever
bends a picture has to know of both. Two linear heads over the maps of EfficientNet-Lite0, which every installation has, look at
the lower and the upper half of the face square. How they were taught, and how often they are right: docs/experiments.md.
"""

from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file

from gioconda_core import lite0
from gioconda_core.errors import WeightsError
from gioconda_core.faces import align

SIDE, MARGIN = 160, 0.15  # of the crop that is looked at: pixels, and face squares around the face square
HEADS = Path(__file__).parent.parent / "weights" / "covered.safetensors"
Maps = tuple[NDArray[np.float32], ...]  # of blocks 2 to 4: (40, 20, 20), (80, 10, 10), (112, 10, 10)


@dataclass(frozen=True)
class Covered:
    """What stands before a face. mouth : something covers it; spectacles : they are worn; None = nobody could look."""

    mouth: bool | None = None
    spectacles: bool | None = None


_network = cache(lite0.blocks)
_heads = cache(partial(load_file, HEADS))


def maps(frame: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> Maps:
    """Of a face in a picture, uint8 (H, W, 3), with its landmarks (68, 2): what the network's blocks 2 to 4 make of its square."""
    square = align.crop(frame, align.transform(landmarks, SIDE, MARGIN), SIDE)
    with torch.inference_mode():
        found = _network()(torch.from_numpy(square).permute(2, 0, 1)[None].float() / 127.5 - 1)
    return tuple(np.asarray(block[0].numpy(), np.float32) for block in found[2:])


def _part(block: NDArray[np.float32], top: float, bottom: float, left: float, right: float) -> NDArray[np.float32]:
    """A part of a block's map, (channels, places); edges as shares of the square."""
    y0, y1, x0, x1 = (round(edge * block.shape[-1]) for edge in (top, bottom, left, right))
    return block[:, y0:y1, x0:x1].reshape(len(block), -1)


def mouth_features(found: Maps) -> NDArray[np.float32]:
    """The lower half of a face: means and spreads around the mouth, and how they differ from the half above; (656,)."""
    out = []
    for block in found[1:]:
        low, high = _part(block, 0.5, 0.9, 0.2, 0.8), _part(block, 0.2, 0.5, 0.2, 0.8)
        out += [low.mean(1), low.std(1), low.mean(1) - high.mean(1)]
    low = _part(found[0], 0.5, 0.9, 0.2, 0.8)
    return np.concatenate([*out, low.mean(1), low.std(1)])


def spectacle_features(found: Maps) -> NDArray[np.float32]:
    """The upper half of a face: means and spreads around the eyes, and what lies on the nose's bridge; (696,)."""
    out = []
    for block in found:
        eyes = _part(block, 0.2, 0.55, 0.15, 0.85)
        bridge = _part(block, 0.3, 0.5, 0.4, 0.6)
        out += [eyes.mean(1), eyes.std(1), bridge.mean(1)]
    return np.concatenate(out)


def covered(frame: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> Covered:
    """Look at one face. frame : uint8 (H, W, 3) RGB; landmarks : (68, 2) in its pixels.

    Where the package that EfficientNet-Lite0 comes with is not installed, nothing is known.
    """
    try:
        found, heads = maps(frame, landmarks), _heads()
    except WeightsError:
        return Covered()
    score = {
        name: float(described(found) @ heads[f"{name}.weight"] + heads[f"{name}.bias"][0])
        for name, described in (("mouth", mouth_features), ("spectacles", spectacle_features))
    }
    return Covered(mouth=score["mouth"] > 0, spectacles=score["spectacles"] > 0)
