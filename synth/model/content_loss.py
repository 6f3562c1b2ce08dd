"""Computes content (perceptual) losses: the paper's two VGGs, SqueezeNet, and stand-ins that need no weights at all.

Weights come from the store or from a file the user names; they are never shipped here. ``build`` picks what can be
had and says in plain words what was taken, because a run without the VGGs is not the paper's run.
"""

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from gioconda_core import lite0
from gioconda_core.errors import UsageError, WeightsError
from synth.model.config import CONTENT, LossWeights

# torchvision's letter for each layout, the indices in its `features` of the ReLUs compared, and BGR means in 0–255.
# Source: the nets' Caffe deployments.
_VGGS = {
    "vgg19": ("E", (1, 6, 11, 20, 29), (103.939, 116.779, 123.68)),
    "vggface": ("D", (1, 6, 11, 18, 25), (93.594, 104.762, 129.186)),
}
# torchvision's names of SqueezeNet's layers → those of its Caffe deployment.
_SQUEEZENET = {"0": "conv1"} | {
    f"{place}.{part}": f"fire{number}/{name}"
    for number, place in enumerate((3, 4, 5, 7, 8, 9), 2)
    for part, name in (("squeeze", "conv1x1_1"), ("expand1x1", "conv1x1_2"), ("expand3x3", "conv3x3_2"))
}
_STORE = {"vgg19": "vgg19-caffe", "vggface": "vggface-vgg16-caffe", "squeezenet": "squeezenet10"}


def caffe_input(frames: Tensor, mean: tuple[float, float, float]) -> Tensor:
    """[-1, 1] RGB (N, 3, H, W) → BGR in 0–255 less the mean, as the Caffe-trained networks were fed; RGB in [0, 1] is the common mistake."""
    bgr = (frames.flip(1).float() + 1) * 127.5
    return bgr - torch.tensor(mean, device=frames.device)[None, :, None, None]


class _Frozen(nn.Module):
    """A frozen feature extractor whose L1 feature distance is a loss. taps : indices of the layers whose outputs are compared."""

    mean: tuple[float, float, float]
    layers: nn.Sequential
    taps: tuple[int, ...]
    dtype = torch.float32

    def features(self, x: Tensor) -> list[Tensor]:
        found = []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in self.taps:
                found.append(x)
        return found

    def _take(self, weights: Mapping[str, Tensor], names: Mapping[str, str], kind: str) -> None:
        """Give the layers their weights. names : of each in the layers → in the file. kind : of the net, for a WeightsError."""
        try:
            self.layers.load_state_dict({own: weights[name] for own, name in names.items()}, assign=True)
        except (KeyError, RuntimeError) as error:
            raise WeightsError("the weights are another network's", where=kind) from error

    def _prepare(self, frames: Tensor) -> Tensor:
        return caffe_input(frames, self.mean).to(dtype=self.dtype, memory_format=torch.channels_last)

    def terms(self, fake: Tensor, real: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Pairs (fake features, real features); the real side carries no graph."""
        with torch.no_grad():
            wanted = self.features(self._prepare(real))
        return list(zip(self.features(self._prepare(fake)), wanted, strict=True))

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """Sum over layers of the mean L1, in float32. fake, real : (N, 3, S, S) in [-1, 1]."""
        return torch.stack([(f.float() - r.float()).abs().mean() for f, r in self.terms(fake, real)]).sum()


class VGG(_Frozen):
    """VGG19 or VGGFace's VGG16 up to the last compared ReLU. weights : by torchvision's names; None = random. divide : of the channels."""

    def __init__(self, kind: str, weights: Mapping[str, Tensor] | None, *, divide: int = 1) -> None:
        from torchvision.models.vgg import cfgs, make_layers

        super().__init__()
        layout, self.taps, self.mean = _VGGS[kind]
        layers = make_layers([item if item == "M" else item // divide for item in cfgs[layout]])
        self.layers = layers[: self.taps[-1] + 1].requires_grad_(False)
        if weights is not None:
            self._take(weights, {name: f"features.{name}" for name in self.layers.state_dict()}, kind)
            return
        generator = torch.Generator().manual_seed(0)
        for conv in (layer for layer in self.layers if isinstance(layer, nn.Conv2d)):
            assert conv.bias is not None
            # Frozen random net: He-normal keeps the signal's size through the layers.
            conv.weight.normal_(0, (2 / (9 * conv.in_channels)) ** 0.5, generator=generator)
            conv.bias.zero_()


class _Relative(_Frozen):
    """Each layer's L1 is divided by the mean size of the real features, so layers weigh alike whatever their scale."""

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        # Each sample has its own divisor, so that a batch split over processes gives the same loss as a whole one.
        pairs = [(f.float(), r.float()) for f, r in self.terms(fake, real)]
        apart = [((f - r).abs().mean((1, 2, 3)) / r.abs().mean((1, 2, 3)).clamp_min(1e-3)).mean() for f, r in pairs]
        return torch.stack(apart).mean()


class SqueezeNet(_Relative):
    """ImageNet SqueezeNet v1.0 to fire7: a small content net where the VGGs cannot be had."""

    mean = (104.0, 117.0, 123.0)
    taps = (1, 4, 5, 7, 9)  # conv1, fire3, fire4, fire5, fire7

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        from torchvision.models import squeezenet1_0

        super().__init__()
        with torch.device("meta"):  # shapes alone: nothing is drawn only to be replaced
            self.layers = squeezenet1_0().features[: self.taps[-1] + 1]
        names = {f"{own}.{kind}": f"{name}.{kind}" for own, name in _SQUEEZENET.items() for kind in ("weight", "bias")}
        self._take(weights, names, "squeezenet")
        self.layers.requires_grad_(False).to(memory_format=torch.channels_last)


class Lite0(_Relative):
    """The early blocks of EfficientNet-Lite0, which every installation has, compared in their activations.

    A block's output is a linear mixture without a ReLU; its widened activations inside say more (docs/decisions/content-loss.md).
    """

    def __init__(self) -> None:
        super().__init__()
        self.net = lite0.blocks()
        self.found: list[Tensor] = []
        for layer in (layer for block in self.net.blocks for layer in block):
            layer[1].register_forward_hook(lambda _, __, out: self.found.append(out))

    def _prepare(self, frames: Tensor) -> Tensor:
        return frames.to(dtype=self.dtype, memory_format=torch.channels_last)  # [-1, 1], as it was trained

    def features(self, x: Tensor) -> list[Tensor]:
        self.found = []
        self.net(x)
        return self.found


class MultiScale(nn.Module):
    """L1 at full, half and quarter resolution, plus 1 − SSIM at full and half: needs no weights."""

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        fake, real = fake.float().contiguous(), real.float().contiguous()  # pooling 3 channels-last channels is slow
        total = fake.new_zeros(())
        for level in range(3):
            total = total + (fake - real).abs().mean()
            if level < 2:
                total = total + 0.5 * (1 - _ssim(fake, real))
                fake, real = F.avg_pool2d(fake, 2), F.avg_pool2d(real, 2)
        return total / 3


@lru_cache
def _averaging(length: int, device: torch.device) -> Tensor:
    """(length - 6, length): each row averages seven neighbours, so that ``A x Aᵀ`` is a 7×7 box filter."""
    offset = torch.arange(length, device=device)[None] - torch.arange(length - 6, device=device)[:, None]
    return ((offset >= 0) & (offset < 7)).float() / 7


def _box(x: Tensor) -> Tensor:
    """Mean over 7×7 boxes as two products: on a CPU a third of the time of ``avg_pool2d``, which looks at all 49."""
    return _averaging(x.shape[-2], x.device) @ x @ _averaging(x.shape[-1], x.device).t()


def _ssim(a: Tensor, b: Tensor) -> Tensor:
    """Mean SSIM over 7×7 boxes for data in [-1, 1] (range 2): a loss, not the metric of the evaluation."""
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    mean_a, mean_b = _box(a), _box(b)
    var_a = _box(a * a) - mean_a**2
    var_b = _box(b * b) - mean_b**2
    both = _box(a * b) - mean_a * mean_b
    alike = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    return (alike / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean()


class Content(nn.Module):
    """The content term of a run: a weighted sum of parts, with a description for the run's record."""

    def __init__(self, parts: Mapping[str, tuple[float, nn.Module]], description: str) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({name: part for name, (_, part) in parts.items()})
        self.weights = {name: weight for name, (weight, _) in parts.items()}
        self.description = description

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        total = fake.new_zeros((), dtype=torch.float32)
        for name, part in self.parts.items():
            total = total + self.weights[name] * part(fake, real)
        return total


def _load(kind: str, files: Mapping[str, str | os.PathLike[str]]) -> dict[str, Tensor]:
    """Weights of a net, from the user's file or the store. Nothing is unpickled: safetensors, or npz of plain arrays."""
    if kind in files:
        path = Path(files[kind])
    else:
        from gioconda_core import weights

        path = weights.store().path(_STORE[kind])
    if not path.exists():
        raise WeightsError("no such file", where=str(path), hint="give a .safetensors or .npz file")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return {name: torch.from_numpy(archive[name]) for name in archive.files}
        return load_file(path)
    except Exception as error:  # whatever a broken file raises, it is the file's fault
        raise WeightsError(f"cannot be read as weights: {error}", where=str(path)) from error


def _term(choice: str, weights: LossWeights, files: Mapping[str, str | os.PathLike[str]]) -> Content:
    """The term of this name. Raises WeightsError where its networks are not to be had."""
    instead = "instead of the paper's VGG19 and VGGFace"
    beside: dict[str, tuple[float, nn.Module]] = {"multiscale": (0.5 * weights.substitute, MultiScale())}
    match choice:
        case "vgg":
            nets = {kind: (getattr(weights, kind), VGG(kind, _load(kind, files))) for kind in _VGGS}
            return Content(nets, "VGG19 and VGGFace, as in the paper")
        case "squeezenet":
            net = {"squeezenet": (weights.substitute, SqueezeNet(_load("squeezenet", files)))}
            return Content({**net, **beside}, f"SqueezeNet v1.0 with multi-scale L1 and SSIM, {instead}")
        case "lite0":
            early = {"lite0": (2 * weights.substitute, Lite0())}
            return Content(
                {**early, **beside}, f"EfficientNet-Lite0's early blocks with multi-scale L1 and SSIM, {instead}"
            )
        case "multiscale":
            alone = {"multiscale": (weights.substitute, MultiScale())}
            return Content(alone, f"multi-scale L1 and SSIM, without any network, {instead}")
        case "random-vgg":
            random = {"random": (weights.substitute * 0.02, VGG("vgg19", None, divide=4))}
            return Content({**random, **beside}, f"a frozen random VGG with multi-scale L1 and SSIM, {instead}")
    return Content({}, "none: feature matching alone")


def _first_there(weights: LossWeights, files: Mapping[str, str | os.PathLike[str]]) -> Content:
    """The paper's nets, else SqueezeNet, else what comes with the installation: in the order in which they were measured to help."""
    for name in ("vgg", "squeezenet", "lite0"):
        try:
            return _term(name, weights, files)
        except WeightsError:
            continue
    content = _term("multiscale", weights, files)
    content.description += " (no network's weights are there)"
    return content


def build(
    choice: str,
    weights: LossWeights,
    *,
    files: Mapping[str, str | os.PathLike[str]] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Content:
    """The content term by name; ``auto`` takes the VGGs where the store holds both, else SqueezeNet, else EfficientNet-Lite0.

    files : net name (``vgg19``, ``vggface``, ``squeezenet``) → local file, used instead of the store.
    """
    files = files or {}
    if choice not in CONTENT:
        raise UsageError(f"no content loss {choice!r}", where="--content", hint=f"one of {', '.join(CONTENT)}")
    content = _first_there(weights, files) if choice == "auto" else _term(choice, weights, files)
    for part in content.parts.values():
        if isinstance(part, _Frozen):
            part.dtype = dtype
            part.to(dtype)
    return content.requires_grad_(False)
