"""The frozen ImageNet network whose maps are measured: the first five blocks of EfficientNet-Lite0, run by OpenVINO in single precision.

The weights come from :mod:`gioconda_core.lite0`; the network is converted as :mod:`detect.converted` says.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect import converted
from gioconda_core import lite0

Array = NDArray[Any]
SIDE = 256  # pixels of the pictures it is given
SEEN = 512  # pixels at which it sees them: enlarged, its maps are finer than the traces that making leaves (docs/decisions/detectors)
FIRST = 2  # blocks 2, 3 and 4 are measured
CHANNELS = lite0.CHANNELS[FIRST:]
BATCH = 8
_compiling = threading.Lock()  # who comes while the network is being compiled waits for it


def _torch() -> Any:
    """The measured part of the network as a torch module."""
    import torch

    class Maps(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.all = lite0.blocks()

        def forward(self, x: Any) -> tuple[Any, ...]:
            return tuple(self.all(x)[FIRST:])

    return Maps()


@lru_cache(maxsize=1)
def _compiled() -> Any:
    return converted.compiled(converted.kept("backbone", lite0.SHA256), _torch, (1, 3, SEEN, SEEN))


def ready() -> Any:
    """The compiled network, compiled on the first call."""
    with _compiling:
        return _compiled()


def maps(pictures: Array) -> list[Array]:
    """uint8 RGB (N, 256, 256, 3) → the maps of the measured blocks, float32 (N, C, h, w) each, C as in ``CHANNELS``."""
    import cv2

    network = ready()
    found: list[list[Array]] = [[] for _ in CHANNELS]
    for start in range(0, len(pictures), BATCH):
        seen = [cv2.resize(p, (SEEN, SEEN), interpolation=cv2.INTER_CUBIC) for p in pictures[start : start + BATCH]]
        x = (np.stack(seen).astype(np.float32) / 255 - 0.5) / 0.5
        answer = network(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
        for kept, value in zip(found, answer.values(), strict=True):
            kept.append(np.array(value))
    return [np.concatenate(values) for values in found]
