"""Runs the frozen ImageNet network whose maps are measured: the first five blocks of EfficientNet-Lite0, by OpenVINO in single precision.

The weights come from :mod:`gioconda_core.lite0`; the network is converted as :mod:`detect.converted` says.
"""

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
LEVELS = (np.arange(256, dtype=np.float32) / 255 - 0.5) / 0.5  # what it is given for each level of a pixel
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
    file = converted.cache_file("backbone", lite0.SHA256)
    return converted.compiled(file, _torch, (1, 3, SEEN, SEEN), one_a_core=True)


def ready() -> Any:
    """The compiled network, compiled on the first call."""
    with _compiling:
        return _compiled()


def maps(pictures: Array) -> list[Array]:
    """uint8 RGB (N, 256, 256, 3) → the maps of the measured blocks, float32 (N, C, h, w) each, C as in ``CHANNELS``."""
    import cv2
    from openvino import AsyncInferQueue

    network = ready()
    found = [np.empty((len(pictures), *port.shape[1:]), np.float32) for port in network.outputs]

    def keep(request: Any, place: int) -> None:
        for level, tensor in zip(found, request.output_tensors, strict=True):
            level[place] = tensor.data[0]

    queue = AsyncInferQueue(network)  # as many pictures at once as it was compiled for
    queue.set_callback(keep)
    for place, picture in enumerate(pictures):
        seen = cv2.resize(picture, (SEEN, SEEN), interpolation=cv2.INTER_CUBIC)
        x = np.stack([cv2.LUT(channel, LEVELS) for channel in cv2.split(seen)])
        queue.start_async(x[None], place)
    queue.wait_all()
    return found
