"""The frozen ImageNet network whose maps are measured: the first five blocks of EfficientNet-Lite0, run by OpenVINO in single precision.

The weights come from :mod:`gioconda_core.lite0`. The converted network is kept in the user's cache under their sha256, so that a later
start needs no torch.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core import config, lite0
from gioconda_core.workers.cpu import cores

Array = NDArray[Any]
SIDE = 256  # pixels of the pictures it is given
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

    return Maps().eval()


@lru_cache(maxsize=1)
def _compiled() -> Any:
    import openvino as ov

    core = ov.Core()
    file = config.core().cache / "backbone" / f"{lite0.SHA256[:16]}-{ov.__version__.split('-')[0]}.xml"
    model = None
    if file.is_file() and file.with_suffix(".bin").is_file():
        try:
            model = core.read_model(file)
        except RuntimeError:
            model = None  # half written, or another build's: made again
    if model is None:
        model = _convert(file)
    return core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": cores(), "INFERENCE_PRECISION_HINT": "f32"})


def _convert(file: Path) -> Any:
    """Convert once and keep the result; where the cache cannot be written, it is converted again next time."""
    import warnings

    import openvino as ov
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openvino traces by way of a deprecated call of torch's
        model = ov.convert_model(_torch(), example_input=torch.zeros(1, 3, SIDE, SIDE))
    import contextlib
    import os
    import tempfile

    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            ov.save_model(model, Path(folder) / file.name, compress_to_fp16=False)
            os.replace(Path(folder) / file.with_suffix(".bin").name, file.with_suffix(".bin"))
            os.replace(Path(folder) / file.name, file)
    return model


def ready() -> Any:
    """The compiled network, compiled on the first call."""
    with _compiling:
        return _compiled()


def maps(pictures: Array) -> list[Array]:
    """uint8 RGB (N, 256, 256, 3) → the maps of the measured blocks, float32 (N, C, h, w) each, C as in ``CHANNELS``."""
    network = ready()
    found: list[list[Array]] = [[] for _ in CHANNELS]
    for start in range(0, len(pictures), BATCH):
        x = (pictures[start : start + BATCH].astype(np.float32) / 255 - 0.5) / 0.5
        answer = network(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
        for kept, value in zip(found, answer.values(), strict=True):
            kept.append(np.array(value))
    return [np.concatenate(values) for values in found]
