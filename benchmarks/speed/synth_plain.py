"""The same networks computed the plain way, as the yardstick: float32, NCHW, instance_norm, nothing folded.

Only the benchmark uses it. It walks over the very modules of :mod:`synth.model.networks`, so weights are shared and the outputs can
be compared; spectral norm iterates in every training forward, as ``torch.nn.utils.spectral_norm`` does.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synth.model.layers import Attention, Conv, Norm
from synth.model.networks import (
    AdaResidual,
    Discriminator,
    Embedder,
    FirstBlock,
    Generator,
    NormResidual,
    Pyramid,
    Residual,
)


def _conv(layer: Conv, x: Tensor) -> Tensor:
    if torch.is_grad_enabled():
        layer.iterate()
    if layer.resample == "up":
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
    x = F.conv2d(x, layer.normalised(), layer.bias, padding=layer.kernel // 2)
    return F.avg_pool2d(x, 2) if layer.resample == "down" else x


def _norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    if weight.dim() == 1:
        return F.relu(F.instance_norm(x, weight=weight, bias=bias))
    return F.relu(F.instance_norm(x) * weight[:, :, None, None] + bias[:, :, None, None])


def _attention(layer: Attention, x: Tensor) -> Tensor:
    n, _, height, width = x.shape
    query = _conv(layer.f, x).flatten(2).transpose(1, 2)
    key = F.max_pool2d(_conv(layer.g, x), 2).flatten(2)
    value = F.max_pool2d(_conv(layer.h, x), 2).flatten(2).transpose(1, 2)
    mixed = torch.bmm(torch.softmax(torch.bmm(query, key), -1), value)
    return x + layer.gamma * _conv(layer.o, mixed.transpose(1, 2).reshape(n, -1, height, width))


def _block(block: nn.Module, x: Tensor, style: Iterator[tuple[Tensor, Tensor]] | None = None) -> Tensor:
    if isinstance(block, FirstBlock):
        y = _conv(block.conv2, F.relu(_conv(block.conv1, x)))
    elif isinstance(block, Residual):
        y = _conv(block.conv2, F.relu(_conv(block.conv1, F.relu(x))))
    elif isinstance(block, NormResidual):
        first: Norm = block.norm1
        y = _norm(_conv(block.conv1, _norm(x, first.weight, first.bias)), block.norm2.weight, block.norm2.bias)
        y = _conv(block.conv2, y)
    else:
        assert isinstance(block, AdaResidual) and style is not None
        y = _conv(block.conv2, _norm(_conv(block.conv1, _norm(x, *next(style))), *next(style)))
    return y + (x if block.skip is None else _conv(block.skip, x))


def _pyramid(net: Pyramid, x: Tensor) -> list[Tensor]:
    found = []
    for index, block in enumerate(net.blocks):
        x = _block(block, x)
        if index == 2 and net.attention is not None:
            x = _attention(net.attention, x)
        found.append(x)
    return found


def embedder(net: Embedder, frames: Tensor, rasters: Tensor) -> Tensor:
    """As ``Embedder.forward``."""
    b, k = frames.shape[:2]
    x = _pyramid(net, torch.cat([rasters, frames], 2).flatten(0, 1))[-1]
    return (F.relu(x.sum((2, 3))) * net.config.pooling).view(b, k, -1).mean(1)


def discriminator(net: Discriminator, frames: Tensor, rasters: Tensor, rows: Tensor) -> tuple[Tensor, list[Tensor]]:
    """As ``Discriminator.forward``."""
    blocks = _pyramid(net, torch.cat([rasters, frames], 1))
    blocks.append(_block(net.last, blocks[-1]))
    vector = F.relu(blocks[-1].sum((2, 3))) * net.config.pooling
    return (vector * (rows + net.w0)).sum(1) + net.b, blocks


def generator(net: Generator, rasters: Tensor, style: Tensor) -> Tensor:
    """As ``Generator.forward``."""
    layers = net.split(style)
    x = _block(net.first, rasters)
    for index, block in enumerate(net.down):
        x = _block(block, x)
        if index == 1 and net.attention_down is not None:
            x = _attention(net.attention_down, x)
    for index, block in enumerate([*net.middle, *net.up]):
        x = _block(block, x, layers)
        if index == len(net.middle) + 1 and net.attention_up is not None:
            x = _attention(net.attention_up, x)
    return torch.tanh(_conv(net.last, _norm(x, *next(layers))))
