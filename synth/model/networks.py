"""Embedder, generator and discriminator of the few-shot talking-head model, exact to the paper's counts.

Source: Zakharov, Shysheya, Burkov, Lempitsky 2019 (arXiv 1905.08233), §3.1 and §4; the block layout is checked
block by block against the published parameter counts (:mod:`synth.model.describe`). No pose-dependent skip from landmark image to
output, no normalisation in embedder and discriminator.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gioconda_core.errors import WeightsError
from gioconda_core.files import atomic_path, sha256_of
from synth.model.config import Config
from synth.model.layers import Attention, Conv, Linear, Norm, modulated_relu

SCHEMA = "gioconda.generator/1"


class FirstBlock(nn.Module):
    """conv3-ReLU-conv3-mean2 + skip conv1-mean2: no pre-activation, no norm."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.conv1 = Conv(cin, cout)
        self.conv2 = Conv(cout, cout, resample="down")
        self.skip = Conv(cin, cout, 1, resample="down")

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(F.relu(self.conv1(x), inplace=True)) + self.skip(x)
        return out


class Residual(nn.Module):
    """Pre-activation residual block of E and V, without norm: ReLU-conv3-ReLU-conv3-[mean2]; conv1 skip when the shape changes."""

    def __init__(self, cin: int, cout: int, *, down: bool = True) -> None:
        super().__init__()
        self.conv1 = Conv(cin, cout)
        self.conv2 = Conv(cout, cout, resample="down" if down else "")
        self.skip = Conv(cin, cout, 1, resample="down") if down else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(F.relu(self.conv1(F.relu(x)), inplace=True))
        out: Tensor = y + (x if self.skip is None else self.skip(x))
        return out


class NormResidual(nn.Module):
    """G's down block: affine instance norm-ReLU-conv3-norm-ReLU-conv3-mean2. Convolutions that meet a norm carry no bias."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = Norm(cin), Norm(cout)
        self.conv1 = Conv(cin, cout, bias=False)
        self.conv2 = Conv(cout, cout, bias=False, resample="down")
        self.skip = Conv(cin, cout, 1, resample="down")

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(self.norm2(self.conv1(self.norm1(x)))) + self.skip(x)
        return out


class AdaResidual(nn.Module):
    """G's AdaIN block: AdaIN-ReLU-[nearest ×2]-conv3-AdaIN-ReLU-conv3; conv1 skip when the shape changes.

    The two AdaIN layers take ``2·cin`` and ``2·cout`` values: biases first, then weights (used directly, not 1+w).
    """

    def __init__(self, cin: int, cout: int, *, up: bool = False) -> None:
        super().__init__()
        self.adain = (cin, cout)  # channels modulated
        self.conv1 = Conv(cin, cout, bias=False, resample="up" if up else "")
        self.conv2 = Conv(cout, cout, bias=False)
        self.skip = Conv(cin, cout, 1, resample="up") if up else None

    def forward(self, x: Tensor, style: Iterator[tuple[Tensor, Tensor]]) -> Tensor:
        y = self.conv1(modulated_relu(x, *next(style)))
        y = self.conv2(modulated_relu(y, *next(style)))
        out: Tensor = y + (x if self.skip is None else self.skip(x))
        return out


class Outside(nn.Module):
    """One more block around a network's first, which sees the picture at half its size: what is only to be seen at the whole.

    Silent at first (γ starts at 0, as attention's does): a network that grew answers at first as it did on halved pictures.
    """

    def __init__(self, cin: int, thin: int, cout: int) -> None:
        super().__init__()
        self.first, self.second = FirstBlock(cin, thin), Residual(thin, cout)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, first: nn.Module) -> Tensor:
        """x : (N, C, S, S) → what ``first`` makes of it at half the size, and this block's part: (N, C', S/4, S/4)."""
        out: Tensor = first(F.avg_pool2d(x, 2)) + self.gamma.to(x.dtype) * self.second(self.first(x))
        return out


class OutsideUp(nn.Module):
    """The same at the generator's end: AdaIN block to twice the size and its colours, added to the enlarged frame with a γ that starts at 0."""

    def __init__(self, cin: int, thin: int) -> None:
        super().__init__()
        self.block, self.last = AdaResidual(cin, thin, up=True), Conv(thin, 3)
        self.adain = (cin, thin, thin)  # channels modulated
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, small: Tensor, style: Iterator[tuple[Tensor, Tensor]]) -> Tensor:
        """x : features (N, C, S, S); small : the frame made of them, before tanh, (N, 3, S, S) → (N, 3, 2S, 2S)."""
        detail = self.last(modulated_relu(self.block(x, style), *next(style)))
        large = F.interpolate(small, scale_factor=2.0, mode="bilinear", align_corners=False)
        out: Tensor = large + self.gamma.to(x.dtype) * detail
        return out


class Pyramid(nn.Module):
    """The trunk E and V share: six down blocks with attention after the third."""

    def __init__(self, config: Config, cin: int = 6) -> None:
        super().__init__()
        widths = config.down
        self.outside = Outside(cin, config.thin, widths[0]) if config.grown else None
        self.blocks = nn.ModuleList([FirstBlock(cin, widths[0])])
        for before, after in pairwise(widths):
            self.blocks.append(Residual(before, after))
        self.attention = Attention(widths[2]) if config.attention else None

    def features(self, x: Tensor) -> Iterator[Tensor]:
        """Output of each block in turn; attention belongs to the third."""
        for index, block in enumerate(self.blocks):
            x = self.outside(x, block) if index == 0 and self.outside is not None else block(x)
            if index == 2 and self.attention is not None:
                x = self.attention(x)
            yield x


class Embedder(Pyramid):
    """E(x, y; φ): frames with their landmark images → embeddings."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.config = config

    def forward(self, frames: Tensor, rasters: Tensor) -> Tensor:
        """ê, the mean over K shots of relu(sum over space). Source: Zakharov 2019, §3.2, eq. 1.

        frames, rasters : (B, K, 3, S, S) in [-1, 1] → (B, N) float32.
        """
        b, k = frames.shape[:2]
        x = torch.cat([rasters, frames], 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        *_, x = self.features(x)
        x = F.relu(x.float().sum((2, 3))) * self.config.pooling  # a sum, not a maximum, as in the paper: (B·K, N)
        return x.view(b, k, -1).mean(1)


class Discriminator(Pyramid):
    """V(x, y; θ) with the projection head r = vᵀ(W_i + w0) + b. W itself lives outside, in :mod:`synth.training.identity_table`."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.config = config
        self.last = Residual(config.dim, config.dim, down=False)
        self.w0 = nn.Parameter(torch.empty(config.dim))
        if not self.w0.is_meta:  # there drawing is written in Python, over modules that take a second to import
            with torch.no_grad():
                self.w0.normal_().mul_(0.02)
        self.b = nn.Parameter(torch.zeros(()))

    def forward(self, frames: Tensor, rasters: Tensor, rows: Tensor) -> tuple[Tensor, list[Tensor]]:
        """frames, rasters : (N, 3, S, S); rows : (N, dim) W_i → realness r (N,) float32, block outputs."""
        x = torch.cat([rasters, frames], 1).contiguous(memory_format=torch.channels_last)
        blocks = list(self.features(x))
        blocks.append(self.last(blocks[-1]))
        vector = F.relu(blocks[-1].float().sum((2, 3))) * self.config.pooling  # (N, dim)
        return (vector * (rows.float() + self.w0)).sum(1) + self.b, blocks


class Generator(nn.Module):
    """G(y, ê; ψ, P): a landmark image, dressed as the person of the embedding."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        widths = config.down[:4]
        self.first = FirstBlock(3, widths[0])
        self.down = nn.ModuleList([NormResidual(a, b) for a, b in pairwise(widths)])
        self.middle = nn.ModuleList([AdaResidual(config.dim, config.dim) for _ in range(4)])
        ups = (config.dim, *config.up)
        self.up = nn.ModuleList([AdaResidual(a, b, up=True) for a, b in pairwise(ups)])
        self.last = Conv(config.width, 3)
        self.attention_down = Attention(widths[2]) if config.attention else None
        self.attention_up = Attention(config.up[1]) if config.attention else None
        self.channels: list[int] = [c for block in (*self.middle, *self.up) for c in block.adain] + [config.width]
        self.outside = Outside(3, config.thin, widths[0]) if config.grown else None
        self.outside_up = OutsideUp(config.width, config.thin) if config.grown else None
        if self.outside_up is not None:
            self.channels += self.outside_up.adain
        self.project: Linear | None = Linear(config.dim, self.style_values)
        with torch.no_grad():  # start near the identity: shift 0, scale 1 (P's bias; P·ê then moves it)
            for _, weight in self.split(self.project.bias[None]):
                weight.fill_(1.0)

    @property
    def style_values(self) -> int:
        """AdaIN values a frame takes: 13,056 in the paper's size."""
        return 2 * sum(self.channels)

    def split(self, style: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """ψ̂ (N, values) → (bias, weight) of each AdaIN layer in turn, each (N, C) views."""
        at = 0
        for channels in self.channels:
            yield style[:, at : at + channels], style[:, at + channels : at + 2 * channels]
            at += 2 * channels

    def style(self, embedding: Tensor) -> Tensor:
        """P·ê: (B, N) → (B, values)."""
        assert self.project is not None
        values: Tensor = self.project(embedding)
        return values

    def forward(self, rasters: Tensor, style: Tensor) -> Tensor:
        """rasters : (B, 3, S, S) in [-1, 1]; style : (B, values), from :meth:`style` or a tuned ψ′ → frames in [-1, 1]."""
        layers = self.split(style)
        x = rasters.contiguous(memory_format=torch.channels_last)
        x = self.first(x) if self.outside is None else self.outside(x, self.first)
        for index, block in enumerate(self.down):
            x = block(x)
            if index == 1 and self.attention_down is not None:
                x = self.attention_down(x)
        for block in self.middle:
            x = block(x, layers)
        for index, block in enumerate(self.up):
            x = block(x, layers)
            if index == 1 and self.attention_up is not None:
                x = self.attention_up(x)
        out = self.last(modulated_relu(x, *next(layers)))
        if self.outside_up is not None:
            out = self.outside_up(x, out, layers)
        return torch.tanh(out.float())


def count(module: nn.Module) -> int:
    """Parameters of a network, as the paper counts them: the projection head's w0 and b go with W, not with V."""
    extra = module.w0.numel() + module.b.numel() if isinstance(module, Discriminator) else 0
    return sum(p.numel() for p in module.parameters()) - extra


@dataclass(eq=False)
class Model:
    """A meta-learned model: what tuning starts from. facts : plain JSON about the run that made it."""

    config: Config
    embedder: Embedder
    generator: Generator
    discriminator: Discriminator
    facts: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""

    @classmethod
    def fresh(cls, config: Config, seed: int = 0) -> "Model":
        """Untrained networks, the same for the same seed."""
        torch.manual_seed(seed)
        return cls(config, Embedder(config), Generator(config), Discriminator(config))

    def nets(self) -> dict[str, nn.Module]:
        """Networks by the names their tensors carry in files."""
        return {"embedder": self.embedder, "generator": self.generator, "discriminator": self.discriminator}


def save_checkpoint(path: str | os.PathLike[str], model: Model, *, dtype: torch.dtype | None = None) -> Path:
    """Write a model as one safetensors file that carries the dimensions which rebuild it, whole or not at all.

    dtype : store in this dtype (bf16 halves the file; every load gives float32).
    """
    tensors = {
        f"{net}.{name}": value.detach().to("cpu", dtype or value.dtype).contiguous().clone()
        for net, module in model.nets().items()
        for name, value in module.state_dict().items()
    }
    return write_model(path, SCHEMA, model.config, model.facts, tensors)


def write_model(
    path: str | os.PathLike[str], schema: str, config: Config, facts: Mapping[str, Any], tensors: dict[str, Tensor]
) -> Path:
    """Tensors as one safetensors file whose header says what rebuilds the network, and how it was made."""
    header = {"schema": schema, "config": json.dumps(config.as_dict()), "facts": json.dumps(dict(facts))}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata=header)
    return Path(path)


@contextmanager
def read_model(path: Path, schema: str, kind: str, maker: str) -> Iterator[tuple[Any, Config, dict[str, Any]]]:
    """What :func:`write_model` wrote: the open file, whose tensors are read inside, the network's dimensions, and facts.

    kind, maker : what the file should be, and the command that makes one, for the sentence of a WeightsError.
    """
    if not path.is_file():
        raise WeightsError("no such file", where=str(path), hint=f"a {kind} is made by: {maker}")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("schema") != schema:
                raise WeightsError(f"is not a {kind} (schema {header.get('schema')!r})", where=str(path))
            yield file, Config(**json.loads(header["config"])), json.loads(header.get("facts", "{}"))
    except WeightsError:
        raise
    except Exception as error:  # a torn or foreign file raises many things; all mean the same
        raise WeightsError(f"cannot be read as a {kind}: {error}", where=str(path)) from error


def shipped() -> Path:
    """The model that comes with the package; its card lies beside it.

    Raises WeightsError in an installation without it.
    """
    path = Path(__file__).parents[1] / "weights" / "sketch.safetensors"
    if not path.is_file():
        raise WeightsError("the shipped model is not installed", where=str(path), hint="reinstall, or give --model")
    return path


def load_checkpoint(path: str | os.PathLike[str]) -> Model:
    """Read a model written by :func:`save_checkpoint`; float32, on the CPU, in eval mode.

    Raises WeightsError when the file is missing, broken or of another kind.
    """
    path = Path(path)
    with read_model(path, SCHEMA, "generator model", "gioconda synth train") as (file, config, facts):
        with torch.device("meta"):  # shapes alone: nothing is drawn only to be replaced
            model = Model(config, Embedder(config), Generator(config), Discriminator(config), facts, sha256_of(path))
        for net, module in model.nets().items():
            state = {name: file.get_tensor(f"{net}.{name}").float() for name in module.state_dict()}
            module.load_state_dict(state, assign=True)
            module.eval().requires_grad_(False)
    return model
