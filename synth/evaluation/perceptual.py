"""Measures how far pictures lie apart to the eye, and gives Inception features, for the evaluation: by the networks that are here, each named for what it is.

``perceptual-lite0`` compares the activations of EfficientNet-Lite0, which every installation has: not LPIPS, though it puts pictures in nearly
the same order (docs/experiments.md). LPIPS itself stands beside it where its network is: torchmetrics' (its linear heads come with that package) over
AlexNet from the store, else ST-LPIPS, its shift-tolerant kin (Ghildyal and Liu 2022), over the AlexNet that ``stlpips-pytorch`` brings; the
two are different measures and are named so. ``inception2048`` are the features of
the FID that papers state: the Inception of 2015, whose poolings differ from torchvision's. Source of the
differences: the TensorFlow graph as pytorch-fid documents it. Pictures are resized to 299 px, bilinear, without antialiasing.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file

from gioconda_core import weights
from gioconda_core.errors import WeightsError
from gioconda_core.files import package_file
from synth.model.content_loss import Lite0

Frames = NDArray[np.uint8]
ALEXNET, INCEPTION = "lpips-alexnet", "inception-fid"  # names in the store
LITE0 = "perceptual-lite0"
LITE0_IS = (  # as the evaluation records it
    "distance of EfficientNet-Lite0's activations, not LPIPS, whose order of pictures it nearly has; a network tuned by "
    "the same activations (--content lite0) is judged kindly by it"
)
RESIZE = "resized to 299 px, bilinear, without antialiasing"  # as the evaluation records it
BATCH = 16
# AlexNet's convolutions by torchvision index, and the slice LPIPS puts each in.
_SLICES = {0: 1, 3: 2, 6: 3, 8: 4, 10: 5}


def _tensors(name: str) -> dict[str, Any]:
    return load_file(weights.store().path(name))


Measure = Callable[[Frames, Frames], NDArray[np.float64]]


def distances() -> tuple[dict[str, Measure], dict[str, str]]:
    """By name, every distance between a real and a made picture that can be measured here; and of those that cannot, why."""
    measures: dict[str, Measure] = {}
    absent: dict[str, str] = {}
    for wanted, make in ((LITE0, lite0), ("lpips", lpips)):
        try:
            name, measure = make()
            measures[name] = measure
        except WeightsError as error:
            absent[wanted] = str(error)
    return measures, absent


def lite0() -> tuple[str, Measure]:
    """``perceptual-lite0``: activations inside the early blocks of EfficientNet-Lite0, compared as LPIPS compares AlexNet's, without learned heads.

    At each place the channels are scaled to length one; their squared differences are summed, then averaged over places and layers.

    Raises
    ------
    WeightsError
        The package is not installed, or its file is another.
    """
    net = Lite0()

    def distance(a: Any, b: Any) -> Any:
        pairs = zip(net.features(a), net.features(b), strict=True)
        apart = [(_unit(f) - _unit(g)).pow(2).sum(1).mean((1, 2)) for f, g in pairs]
        return torch.stack(apart).mean(0)

    return LITE0, _batched(distance)


def _unit(x: Any) -> Any:
    return x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)


def lpips() -> tuple[str, Measure]:
    """A name, and a function of real and made frames, uint8 (N, H, W, 3) each, that gives their distance, (N,); lower is closer.

    ``lpips-alex`` where the store has AlexNet, else ``st-lpips-alex``.

    Raises
    ------
    WeightsError
        Neither network is there, or one is another network.
    """
    if weights.store().has(ALEXNET):
        return "lpips-alex", _lpips()
    if _st_file() is not None:
        return "st-lpips-alex", _st_lpips()
    raise WeightsError(
        "LPIPS is not measured: the network it looks through does not come with the installation",
        hint=f"run: gioconda models pull {ALEXNET}, or: pip install 'gioconda[lpips]' for ST-LPIPS, its shift-tolerant kin",
    )


def _batched(distance: Callable[[Any, Any], Any]) -> Measure:
    def measure(real: Frames, made: Frames) -> NDArray[np.float64]:
        with torch.inference_mode():
            pairs = zip(_batches(real), _batches(made), strict=True)
            found = [distance(a / 127.5 - 1, b / 127.5 - 1).flatten() for a, b in pairs]
        return torch.cat(found).double().numpy()

    return measure


def _batches(frames: Frames) -> Iterator[Any]:
    """uint8 (N, H, W, 3) → float32 (n, 3, H, W) in 0–255, some at a time."""
    for part in torch.from_numpy(np.ascontiguousarray(frames)).split(BATCH):
        yield part.permute(0, 3, 1, 2).float()


def _lpips() -> Measure:
    from torchmetrics.functional.image.lpips import _LPIPS  # the public function would download its backbone

    found = _tensors(ALEXNET)
    net = _LPIPS(pretrained=True, net="alex", pnet_rand=True)
    try:
        state = {
            f"slice{s}.{i}.{part}": found[f"features.{i}.{part}"]
            for i, s in _SLICES.items()
            for part in ("weight", "bias")
        }
        net.net.load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        raise WeightsError("is not torchvision's AlexNet", where=ALEXNET) from error
    return _batched(net)


def _st_file() -> Path | None:
    """The package's file, found without importing the package: its own code asks for more than its file holds."""
    return package_file("stlpips_pytorch", "weights", "vST0.0", "alex_shift_tolerant.pth")


def _st_lpips() -> Measure:
    """AlexNet of stride one with blurred pooling, its features compared as LPIPS compares them.

    Source: the state dict's shapes and the package's table of layers; agrees with the package to the last digit it prints.
    """
    file = _st_file()
    assert file is not None
    w: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    if w.get("net.slice1.0.weight", torch.empty(0)).shape != (64, 3, 11, 11):
        raise WeightsError("is not the AlexNet of stlpips-pytorch 0.0.2", where=str(file))

    def conv(x: Any, name: str, padding: int) -> Any:
        return F.conv2d(x, w[f"net.{name}.weight"], w[f"net.{name}.bias"], padding=padding)

    kernel = torch.outer(torch.tensor([1.0, 2, 1]), torch.tensor([1.0, 2, 1])) / 16

    def halved(x: Any) -> Any:  # blurred before every other pixel is dropped
        padded = F.pad(x, (2, 2, 2, 2), mode="reflect")
        return F.conv2d(padded, kernel.expand(x.shape[1], 1, 3, 3), stride=2, groups=x.shape[1])

    def features(x: Any) -> list[Any]:
        found = [F.relu(halved(conv(x, "slice1.0", 2)))]
        for name, padding in (("slice2.5", 2), ("slice3.9", 1)):
            found.append(F.relu(conv(halved(F.max_pool2d(found[-1], 3, 1)), name, padding)))
        for name in ("slice4.11", "slice5.13"):
            found.append(F.relu(conv(found[-1], name, 1)))
        return [_unit(x) for x in found]

    def distance(a: Any, b: Any) -> Any:
        pairs = enumerate(zip(features(a), features(b), strict=True))
        apart = [((f - g) ** 2 * w[f"lin{k}.model.1.weight"]).sum(1).mean((1, 2)) for k, (f, g) in pairs]
        return torch.stack(apart).sum(0)

    return _batched(distance)


def inception() -> Callable[[Frames], NDArray[np.float32]]:
    """A function of frames uint8 (N, H, W, 3) that gives pool features, (N, 2048).

    Raises
    ------
    WeightsError
        The network is not in the store, or is another one.
    """
    net = _inception_of_2015()
    try:
        found = _tensors(INCEPTION)
        net.load_state_dict(found, strict=False)
        missing = set(net.state_dict()) - set(found)
    except RuntimeError as error:
        raise WeightsError("is not the Inception of 2015", where=INCEPTION) from error
    if {name for name in missing if not name.endswith("num_batches_tracked")}:
        raise WeightsError("is not the Inception of 2015", where=INCEPTION)
    net.fc, net.dropout = torch.nn.Identity(), torch.nn.Identity()
    net.eval()

    def features(frames: Frames) -> NDArray[np.float32]:
        with torch.inference_mode():
            large = (F.interpolate(x, (299, 299), mode="bilinear", align_corners=False) for x in _batches(frames))
            return torch.cat([net(x / 127.5 - 1) for x in large]).numpy()

    return features


def _inception_of_2015() -> Any:
    """torchvision's Inception with the poolings of the graph that every published FID was measured with; its weights are not loaded."""
    from torchvision.models import inception as tv

    def average(x: Any) -> Any:  # the border is left out of the mean
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)

    class A(tv.InceptionA):  # type: ignore[misc]  # torchvision has no types
        def _forward(self, x: Any) -> list[Any]:
            double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
            return [self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), double, self.branch_pool(average(x))]

    class C(tv.InceptionC):  # type: ignore[misc]  # torchvision has no types
        def _forward(self, x: Any) -> list[Any]:
            seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
            double = x
            for number in range(1, 6):
                double = getattr(self, f"branch7x7dbl_{number}")(double)
            return [self.branch1x1(x), seven, double, self.branch_pool(average(x))]

    class E(tv.InceptionE):  # type: ignore[misc]  # torchvision has no types
        pool = staticmethod(average)

        def _forward(self, x: Any) -> list[Any]:
            three = self.branch3x3_1(x)
            three = torch.cat([self.branch3x3_2a(three), self.branch3x3_2b(three)], 1)
            double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
            double = torch.cat([self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)], 1)
            return [self.branch1x1(x), three, double, self.branch_pool(self.pool(x))]

    class Last(E):
        @staticmethod
        def pool(x: Any) -> Any:
            return F.max_pool2d(x, 3, 1, 1)  # a slip in the graph of 2015 that every published FID contains

    net = tv.Inception3(num_classes=1008, aux_logits=False, init_weights=False)
    net.Mixed_5b, net.Mixed_5c = A(192, pool_features=32), A(256, pool_features=64)
    net.Mixed_5d = A(288, pool_features=64)
    net.Mixed_6b, net.Mixed_6c = C(768, channels_7x7=128), C(768, channels_7x7=160)
    net.Mixed_6d, net.Mixed_6e = C(768, channels_7x7=160), C(768, channels_7x7=192)
    net.Mixed_7b, net.Mixed_7c = E(1280), Last(2048)
    return net
