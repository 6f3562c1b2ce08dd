"""Measures the generator's speed: training steps and rendering against the plain fp32 NCHW instance-norm build, and on CUDA against the ceilings.

A training step is the trainer's own, on random frames: K = 8, two discriminator updates, VGG19 (random weights cost the same). On CUDA the
bf16 matmul and copy ceilings are measured in the same run, and shares of them are told.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.speed.arms import Case, Work, take
from synth.model import describe, layers, networks
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


# --------------------------------------------------------------------------- CUDA


def _timed(work: Callable[[], object], seconds: float = 1.0) -> float:
    """Seconds a call on the GPU, after warming up, over about ``seconds``."""

    def calls(n: int) -> float:
        def all_of_them() -> None:
            for _ in range(n):
                work()
            torch.cuda.synchronize()

        return take(all_of_them).wall / n

    calls(3)
    return calls(max(3, min(2000, int(seconds / max(calls(1), 1e-6)))))


def ceilings() -> dict[str, float]:
    """What this GPU multiplies (bf16, 8192³, TFLOP/s) and copies (1 GiB, read and written, TB/s)."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    source = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return {
        "matmul_tflops": 2 * 8192**3 / _timed(lambda: a @ b) / 1e12,
        "copy_tb_s": 2 * (1 << 30) / _timed(lambda: target.copy_(source)) / 1e12,
    }


def graphed(net: torch.nn.Module, batch: int, size: int) -> Callable[[], None]:
    """The network's forward as one CUDA graph over fixed buffers."""
    x = torch.zeros(batch, 3, size, size, device="cuda", dtype=torch.bfloat16)
    x = x.contiguous(memory_format=torch.channels_last)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.inference_mode(), torch.cuda.stream(side):
        for _ in range(3):
            net(x)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.inference_mode(), torch.cuda.graph(graph):
        net(x)
    return graph.replay


def cuda(
    config: Config, folder: Path, batch: int, batches: Sequence[int], compile: bool
) -> Iterator[dict[str, object]]:
    """Frames a second at each batch with CUDA graphs, training samples a second, and shares of the measured ceilings."""
    torch.backends.cudnn.benchmark = True
    top, cost = ceilings(), describe.cost(config, folded=True)
    yield {"gpu": torch.cuda.get_device_name(), **top} | {f"GFLOP of {net}, folded": flop for net, flop in cost.items()}
    net: Any = personal(config).module.to("cuda", torch.bfloat16).to(memory_format=torch.channels_last)
    net = torch.compile(net) if compile else net
    for many in batches:
        seconds = _timed(graphed(net, many, config.size))
        share = many / seconds * cost["G"] / 1e3 / top["matmul_tflops"]
        yield {"render, batch": many, "ms": seconds * 1e3, "frames/s": many / seconds, "share of matmul": share}
    seconds = _timed(partial(training_step(config, "cuda", batch, folder, compile=compile), "bf16"), 5.0)
    # Forward and backward are three forwards; E sees K frames; V: real and fake forward, the input gradient for G and both gradients of
    # both for itself, then one more update on real and fake; VGG19 to its fifth block is 51 GFLOP at 256 px, three passes.
    work = (
        3 * SHOTS * cost["E"] + 3 * cost["G"] + (2 + 1 + 2 * 2 + 2 * 3) * cost["V"] + 3 * 51 * (config.size / 256) ** 2
    )
    row: dict[str, object] = {
        "training, batch": batch,
        "samples/s": batch / seconds,
        "GFLOP a sample": work,
        "share of matmul": batch * work / seconds / 1e3 / top["matmul_tflops"],
        "peak GiB": torch.cuda.max_memory_allocated() / 2**30,
    }
    if not compile:
        few = max(1, batch // 4)
        step = partial(training_step(config, "cuda", few, folder / "plain"), "fp32")
        row["plain, samples/s"] = few / _timed(plain()(step), 3.0)
    yield row


def cases(
    folder: Path, preset: str = "half", device: str = "cpu", train: bool = False, render: bool = False, batch: int | None = None,
    batches: Sequence[int] = (1, 32, 128), compile: bool = False, threads: int = 2, rounds: int = 3,
) -> Iterator[Case | dict[str, object]]:  # fmt: skip
    """Training and rendering on this processor, both unless one is asked for; or everything that a GPU can show.

    batch : samples of a training step. batches : frames drawn at a time, on a GPU. compile : with ``torch.compile``, there.
    """
    torch.set_num_threads(threads)
    config = preset_of(preset)
    about = {"preset": config.name, "size": config.size, "width": config.width}
    if device.startswith("cuda"):
        yield from (about | row for row in cuda(config, folder, batch or 16, batches, compile))
        return
    about["threads"] = threads
    if train or not render:
        step = training_step(config, "cpu", batch or 1, folder)
        ways: dict[str, Work] = {"plain": plain()(partial(step, "fp32")), "ours": partial(step, "bf16")}
        material = about | {"training, batch": batch or 1}
        yield Case(material, ways, rounds, {"training, ours faster": ("plain", "ours")}, warm=True)
    if render or not train:
        ways = rendering(config)
        yield Case(about, ways, rounds, {f"{way} faster": ("plain", way) for way in ways if way != "plain"}, warm=True)
