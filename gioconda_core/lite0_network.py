"""The early blocks of EfficientNet-Lite0 as torch modules; :mod:`gioconda_core.lite0` loads them, and needs no torch until then."""

from torch import Tensor, nn

# Of each block: layers, side of the kernel, stride of the first layer, how many times it widens. Source: Tan and Le 2019, table 1.
_LAYERS = ((1, 3, 1, 1), (2, 3, 2, 6), (2, 5, 2, 6), (3, 3, 2, 6), (3, 5, 1, 6))


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
    """Pictures (N, 3, H, W) → the output of each block. channels : of each block."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        before = 32
        self.stem = nn.Sequential(Same(3, before, 3, 2), normed(before))
        self.blocks = nn.ModuleList()
        for wanted, (depth, kernel, stride, widen) in zip(channels, _LAYERS, strict=True):
            block = nn.Sequential()
            for number in range(depth):
                block.append(Layer(before, wanted, kernel, 1 if number else stride, widen))
                before = wanted
            self.blocks.append(block)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x, found = self.stem(x), []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        return tuple(found)
