"""The blocks the three networks are built from: spectrally normalised convolutions, instance norms, attention.

Everything here runs in the dtype of its input. Master weights stay float32: a convolution divides its weight by σ,
folds a neighbouring ×2 resampling into it where asked, and only then rounds to the compute dtype. That makes bf16
training explicit, with no autocast state, and keeps the islands that must be float32 (spectral norm, norm statistics)
in float32 by construction.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SPECTRAL_EPS = 1e-4  # Source: Zakharov 2019 §4 (u), as BigGAN
NORM_EPS = 1e-5  # instance norm's usual


class Spectral(nn.Module):
    """A weight with a spectral norm estimate, updated only by :func:`power_iteration`, never by a forward pass.

    ``torch.nn.utils.parametrizations.spectral_norm`` iterates in every training forward, and meets DDP and compile
    badly (pytorch#113415). Here u and v are plain buffers that one explicit call a step moves, so a forward pass
    has no side effect and three discriminator passes a step see one and the same weight.
    """

    weight: nn.Parameter
    u: Tensor
    v: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))
        self.baked = False
        self.held: dict[tuple[str, torch.dtype], Tensor] | None = None  # see held()
        rows, columns = shape[0], self.weight[0].numel()
        if self.weight.is_meta:  # only shapes are wanted there, and drawing "nothing" costs seconds a model
            self.register_buffer("u", torch.empty(rows))
            self.register_buffer("v", torch.empty(columns))
            return
        # Orthogonal, as BigGAN: with σ fixed at 1, a Gaussian start halves the signal in every block, and ê hardly
        # differs between people for thousands of steps (docs/decisions/small-presets.md).
        nn.init.orthogonal_(self.weight)
        self.register_buffer("u", F.normalize(torch.randn(rows), dim=0))
        self.register_buffer("v", F.normalize(torch.randn(columns), dim=0))
        self.iterate()  # of an orthogonal weight one iteration finds σ, which is 1

    @torch.no_grad()
    def iterate(self) -> None:
        """One power iteration: v ← Wᵀu/|Wᵀu|, u ← Wv/|Wv|, in float32."""
        if self.baked:
            return
        matrix = self.weight.detach().float().flatten(1)  # (rows, columns)
        self.v.copy_(F.normalize(matrix.t() @ self.u, dim=0, eps=SPECTRAL_EPS))
        self.u.copy_(F.normalize(matrix @ self.v, dim=0, eps=SPECTRAL_EPS))

    def sigma(self) -> Tensor:
        """σ = uᵀWv, differentiable in W; scalar. u and v change only between steps, when no graph is alive.

        In float32 even where somebody else's autocast is on, which would round one factor of the product and then refuse it.
        """
        if self.weight.is_meta:  # costs are counted there; autocast knows no such device
            return torch.dot(self.u, self.weight.flatten(1) @ self.v)
        with torch.autocast(self.weight.device.type, enabled=False):
            return torch.dot(self.u, self.weight.flatten(1) @ self.v)

    def normalised(self) -> Tensor:
        """W/σ in float32, or W itself once σ has been baked in."""
        return self.weight if self.baked else self.weight / self.sigma()

    def once(self, what: str, dtype: torch.dtype, make: Callable[[], Tensor]) -> Tensor:
        """What is made of the weight, made once while it is held."""
        if self.held is None:
            return make()
        if (what, dtype) not in self.held:
            self.held[what, dtype] = make()
        return self.held[what, dtype]

    @torch.no_grad()
    def bake(self) -> None:
        """Divide σ in for good: the layer is then an ordinary one."""
        if not self.baked:
            self.weight.copy_(self.weight / self.sigma())
            self.baked = True


class Conv(Spectral):
    """Spectrally normalised convolution, with an optional ×2 resampling beside it.

    ``resample`` : ``""``; ``"up"`` = nearest ×2 before; ``"down"`` = 2×2 average after.
    ``folded`` : do both in one strided kernel, which is the same mathematics: nearest ×2 + conv3 is a transposed 4×4
    convolution of stride 2, conv3 + mean is a 4×4 convolution of stride 2, and a 1×1 convolution commutes with either.
    """

    def __init__(self, cin: int, cout: int, kernel: int = 3, *, bias: bool = True, resample: str = "") -> None:
        super().__init__((cout, cin, kernel, kernel))
        self.kernel, self.resample, self.folded = kernel, resample, True
        self.bias = nn.Parameter(torch.zeros(cout)) if bias else None

    def forward(self, x: Tensor) -> Tensor:  # (N, Cin, H, W) → (N, Cout, H', W')
        bias = None if self.bias is None else self.bias.to(x.dtype)
        if not self.folded:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest") if self.resample == "up" else x
            x = F.conv2d(x, self._cast("plain", self.normalised, x), bias, padding=self.kernel // 2)
            return F.avg_pool2d(x, 2) if self.resample == "down" else x
        if self.kernel == 1 and self.resample == "down" and x.shape[1] < 16 and x.device.type == "cpu":
            # ATen's pooling crawls over a handful of channels-last channels; a 2×2 convolution does not.
            box = self._cast("box", lambda: (self.normalised() * 0.25).expand(-1, -1, 2, 2), x)
            return F.conv2d(x, box, bias, stride=2)
        return convolved(x, self._cast("folded", self.folded_weight, x), bias, self.resample)

    def folded_weight(self) -> Tensor:
        """What stands for the kernel and its resampling: of 3×3 a 4×4 one, (Cout, Cin, 4, 4) down and (Cin, Cout, 4, 4) up."""
        weight = self.normalised()
        if self.kernel == 1 or not self.resample:
            return weight
        if self.resample == "down":
            weight = weight * 0.25
        else:
            weight = weight.flip(2, 3).transpose(0, 1)
        wide = F.pad(weight, (0, 1, 0, 0)) + F.pad(weight, (1, 0, 0, 0))
        return F.pad(wide, (0, 0, 0, 1)) + F.pad(wide, (0, 0, 1, 0))

    def _cast(self, what: str, make: Callable[[], Tensor], x: Tensor) -> Tensor:
        return self.once(what, x.dtype, lambda: make().to(dtype=x.dtype, memory_format=torch.channels_last, copy=False))


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None, resample: str) -> Tensor:
    """A convolution by a :meth:`Conv.folded_weight`, with its resampling. x : (N, Cin, H, W)."""
    if weight.shape[-1] == 1:  # the skip moves to the low resolution
        x = F.avg_pool2d(x, 2) if resample == "down" else x
        x = F.conv2d(x, weight, bias)
        return F.interpolate(x, scale_factor=2.0, mode="nearest") if resample == "up" else x
    if resample == "up":
        return F.conv_transpose2d(x, weight, bias, stride=2, padding=1)
    return F.conv2d(x, weight, bias, stride=2 if resample else 1, padding=1)


class Linear(Spectral):
    """Spectrally normalised linear layer; always computed in float32 (it makes AdaIN's statistics)."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__((cout, cin))
        self.bias = nn.Parameter(torch.zeros(cout))

    def forward(self, x: Tensor) -> Tensor:  # (N, Cin) → (N, Cout)
        return F.linear(x.float(), self.once("plain", torch.float32, self.normalised), self.bias)


class _ModulatedReLU(torch.autograd.Function):
    """Instance norm, affine and ReLU in one, for channels_last tensors on CPU, with its own backward.

    ATen's group_norm backward is 4× (float32) to 20× (bf16) slower on channels_last CPU tensors than these few
    passes. Rows of W·C values are treated as one long axis, so that broadcasting over H keeps the inner loops wide
    even for 16 channels. Sums are float32 whatever the tensor's dtype. Measured: docs/performance.md, "Generator".
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        n, c, h, w = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(n, h, w * c)
        wide = rows.float()
        mean = wide.sum(1).view(n, w, c).sum(1) / (h * w)  # (N, C)
        square = (wide * wide).sum(1).view(n, w, c).sum(1) / (h * w)
        rstd = (square - mean * mean).clamp_min_(0).add_(NORM_EPS).rsqrt_()
        scale = weight * rstd
        shift = bias - mean * scale
        y = torch.addcmul(_tile(shift, w, x.dtype), rows, _tile(scale, w, x.dtype)).clamp_(min=0)
        ctx.save_for_backward(rows, y, mean, rstd, scale)
        ctx.shape, ctx.shared = (n, c, h, w), weight.dim() == 1
        return y.view(n, h, w, c).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows, y, mean, rstd, scale = ctx.saved_tensors
        n, c, h, w = ctx.shape
        grad = torch.ops.aten.threshold_backward(dy.permute(0, 2, 3, 1).reshape(n, h, w * c), y, 0)
        dbias = grad.sum(1, dtype=torch.float32).view(n, w, c).sum(1)
        dot = (grad * rows).sum(1, dtype=torch.float32).view(n, w, c).sum(1)
        dweight = rstd * (dot - mean * dbias)
        # dx = scale·(g − mean(g) − x̂·mean(g·x̂)), gathered into g·scale + x·c1 + c0
        c1 = -scale * dweight * rstd / (h * w)
        c0 = -scale * dbias / (h * w) - c1 * mean
        dx = torch.addcmul(_tile(c0, w, grad.dtype), rows, _tile(c1, w, grad.dtype))
        dx = dx.addcmul_(grad, _tile(scale, w, grad.dtype)).view(n, h, w, c).permute(0, 3, 1, 2)
        return (dx, dweight.sum(0), dbias.sum(0)) if ctx.shared else (dx, dweight, dbias)


def _tile(values: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    """(N, C) → (N, 1, W·C), the coefficients of one row of pixels."""
    n, c = values.shape
    return values.repeat(1, width).view(n, 1, width * c).to(dtype)


def modulated_relu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """ReLU(instance-norm(x)·weight + bias). x : (N, C, H, W); weight, bias : (C,) affine or (N, C) AdaIN, float32.

    ``F.group_norm`` with one channel a group is instance norm; ``F.instance_norm`` undoes channels_last.
    Statistics are accumulated in float32 whatever the dtype of x.
    """
    if x.device.type == "cpu" and x.requires_grad and torch.is_grad_enabled():
        out: Tensor = _ModulatedReLU.apply(x, weight, bias)
        return out
    channels = int(x.shape[1])  # a constant in exported graphs
    if weight.dim() == 1:
        return F.relu(F.group_norm(x, channels, weight.to(x.dtype), bias.to(x.dtype), NORM_EPS), inplace=True)
    y = F.group_norm(x, channels, eps=NORM_EPS)
    return F.relu(torch.addcmul(bias.to(x.dtype)[:, :, None, None], y, weight.to(x.dtype)[:, :, None, None]))


class Norm(nn.Module):
    """Affine instance norm followed by ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return modulated_relu(x, self.weight, self.bias)


class Attention(nn.Module):
    """BigGAN's self-attention: f, g C→C/8, h C→C/2, o C/2→C, keys and values max-pooled by 2, γ starts at 0.

    Source: Brock 2018, appendix; 81,921 parameters at C = 256.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.f = Conv(channels, channels // 8, 1, bias=False)
        self.g = Conv(channels, channels // 8, 1, bias=False)
        self.h = Conv(channels, channels // 2, 1, bias=False)
        self.o = Conv(channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        n, _, height, width = x.shape
        query = self.f(x).flatten(2).transpose(1, 2)  # (N, HW, C/8)
        key = F.max_pool2d(self.g(x), 2).flatten(2)  # (N, C/8, HW/4)
        value = F.max_pool2d(self.h(x), 2).flatten(2).transpose(1, 2)  # (N, HW/4, C/2)
        weight = torch.softmax(torch.bmm(query, key).float(), dim=-1).to(x.dtype)  # (N, HW, HW/4)
        mixed = torch.bmm(weight, value).transpose(1, 2).reshape(n, -1, height, width)
        mixed = mixed.contiguous(memory_format=torch.channels_last)
        out: Tensor = x + self.gamma.to(x.dtype) * self.o(mixed)
        return out


def spectral_modules(module: nn.Module) -> Iterable[Spectral]:
    """Every spectrally normalised layer below ``module``."""
    return (m for m in module.modules() if isinstance(m, Spectral))


def power_iteration(*modules: nn.Module) -> None:
    """Move every σ estimate once. Called once a training step, before it; deterministic, so ranks stay equal."""
    for module in modules:
        for layer in spectral_modules(module):
            layer.iterate()


@contextmanager
def held(*modules: nn.Module) -> Iterator[None]:
    """Passes inside make W/σ, its folding and its rounded copy once a layer, and their backward passes go through them once.

    For passes of one and the same weights: nobody may step an optimiser or :func:`power_iteration` inside.
    """
    layers = [layer for module in modules for layer in spectral_modules(module)]
    for layer in layers:
        layer.held = {}
    try:
        yield
    finally:
        for layer in layers:
            layer.held = None
