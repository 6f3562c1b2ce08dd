"""Measures the generator's speed: training steps and rendering against the plain fp32 NCHW instance-norm build; :mod:`benchmarks.speed.cuda` on a GPU.

A training step is the trainer's own, on random frames: K = 8, two discriminator updates, VGG19 (random weights cost the same).
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.speed.arms import Case, Work
from synth.model import layers, networks
from synth.model.config import Config
from synth.model.config import preset as preset_of
from synth.model.content_loss import VGG, Content
from synth.model.layers import Conv
from synth.model.networks import Generator
from synth.person.model import PersonalModel, compile_openvino
from synth.training.distributed import Group
from synth.training.episodes import Batch
from synth.training.options import Options
from synth.training.run_folder import RunFolder
from synth.training.train import Trainer

SHOTS = 8


@contextmanager
def plain() -> Iterator[None]:
    """The same networks computed the plain way inside (``plain()(work)`` calls it so), as the yardstick: NCHW, instance_norm, nothing folded.

    Weights are shared and outputs can be compared; spectral norm iterates in every training forward, as
    ``torch.nn.utils.spectral_norm`` does.
    """

    def conv(layer: Conv, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            layer.u, layer.v = layer.u.clone(), layer.v.clone()  # an earlier pass of the step still needs its own
            layer.iterate()
        if layer.resample == "up":
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        x = F.conv2d(x, layer.normalised(), layer.bias, padding=layer.kernel // 2)
        return F.avg_pool2d(x, 2) if layer.resample == "down" else x

    def norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        if weight.dim() == 1:
            return F.relu(F.instance_norm(x, weight=weight, bias=bias))
        return F.relu(F.instance_norm(x) * weight[:, :, None, None] + bias[:, :, None, None])

    with ExitStack() as replaced:
        replaced.enter_context(patch.object(torch, "channels_last", torch.contiguous_format))
        replaced.enter_context(patch.object(Conv, "forward", conv))
        for module in (layers, networks):
            replaced.enter_context(patch.object(module, "modulated_relu", norm))
        yield


def training_step(
    config: Config, device: str, batch: int, folder: Path, *, compile: bool = False
) -> Callable[[str], object]:
    """The trainer's step on one random batch, by the number type it computes in: ``bf16``, or ``fp32`` for the plain build."""
    rng = np.random.default_rng(0)
    pictures = [
        rng.integers(0, 255, (batch, *many, config.size, config.size, 3), np.uint8)
        for many in ((SHOTS,), (SHOTS,), (), ())
    ]
    episodes = Batch(pictures[0], pictures[1], pictures[2], pictures[3], np.arange(batch))

    @functools.cache
    def trainer(precision: str) -> Trainer:
        options = Options(batch=batch, shots=SHOTS, content="none", precision=precision, match_from=0, compile=compile)
        own = RunFolder(folder / precision)
        made = Trainer(options, config, batch, own, torch.device(device), Group())
        vgg = VGG("vgg19", None)
        vgg.dtype = made.dtype
        made.content = Content({"vgg19": (0.15, vgg)}, "VGG19 of random weights").to(device, made.dtype)
        return made

    return lambda precision: trainer(precision).step(episodes)


def personal(config: Config) -> PersonalModel:
    """A personal model of random weights."""
    generator = Generator(config).eval()
    with torch.no_grad():
        return PersonalModel.of(generator, generator.style(torch.rand(1, config.dim)), {})


def rendering(config: Config) -> dict[str, Work]:
    """One frame of one personal model by plain torch, ours, and OpenVINO in each precision."""
    model = personal(config)
    x = torch.rand(1, 3, config.size, config.size) * 2 - 1
    array = np.ascontiguousarray(x.numpy())
    ours = model._torch(torch.device("cpu"))
    ways: dict[str, Work] = {
        "plain": plain()(torch.inference_mode()(partial(model.generator, x, model.style))),
        "torch bf16 folded": partial(ours, array),
    }
    return ways | {f"openvino {p}": partial(compile_openvino(model, precision=p), array) for p in ("f32", "bf16")}


def cases(
    folder: Path, preset: str = "half", only: str = "", batch: int = 1, threads: int = 2, rounds: int = 3
) -> Iterator[Case]:
    """Training steps of ``batch`` samples, and rendering; only : ``train`` or ``render``."""
    torch.set_num_threads(threads)
    config = preset_of(preset)
    about = {"preset": config.name, "size": config.size, "width": config.width, "threads": threads}
    if only != "render":
        step = training_step(config, "cpu", batch, folder)
        ways: dict[str, Work] = {"plain": plain()(partial(step, "fp32")), "ours": partial(step, "bf16")}
        yield Case(
            about | {"training, batch": batch}, ways, rounds, {"training, ours faster": ("plain", "ours")}, warm=True
        )
    if only != "train":
        ways = rendering(config)
        yield Case(about, ways, rounds, {f"{way} faster": ("plain", way) for way in ways if way != "plain"}, warm=True)
