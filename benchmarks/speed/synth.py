"""Generator speed: training steps and rendering against the plain fp32 NCHW instance-norm build, and on CUDA against the ceilings.

    python -m benchmarks.speed.synth [--preset half] [--train] [--render] [--threads 2] [--rounds 3]
    python -m benchmarks.speed.synth --device cuda --preset paper

On CUDA the bf16 matmul and copy ceilings are measured in the same run, and shares of them are told.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.speed import synth_plain
from benchmarks.speed.arms import alternate, options, tell
from synth.model import describe
from synth.model.config import Config, preset
from synth.model.content_loss import VGG
from synth.model.layers import power_iteration
from synth.model.losses import feature_matching, hinge_discriminator, hinge_generator, match
from synth.model.networks import Generator, Model
from synth.person.model import PersonalModel

SHOTS = 8


class Step:
    """One whole training step on random data: K = 8, two discriminator updates, VGG19 (random weights cost the same)."""

    def __init__(self, config: Config, device: str, batch: int, *, plain: bool, compile: bool = False) -> None:
        self.model, self.plain, self.batch = Model.fresh(config), plain, batch
        self.dtype = torch.float32 if plain else torch.bfloat16
        for net in self.model.nets().values():
            net.to(device)
        m = self.model
        if plain:
            self.embed: Callable[..., Any] = lambda *a: synth_plain.embedder(m.embedder, *a)
            self.generate: Callable[..., Any] = lambda *a: synth_plain.generator(m.generator, *a)
            self.judge: Callable[..., Any] = lambda *a: synth_plain.discriminator(m.discriminator, *a)
        else:
            wrap: Callable[[Any], Any] = torch.compile if compile else lambda net: net
            self.embed, self.generate, self.judge = wrap(m.embedder), wrap(m.generator), wrap(m.discriminator)
        self.content = VGG("vgg19", None).to(device, self.dtype)
        self.content.dtype = self.dtype
        if plain:
            self.content._prepare = lambda frames: (frames.flip(1) + 1) * 127.5  # type: ignore[method-assign]
        settings: dict[str, Any] = {"betas": (0.0, 0.999), "eps": 1e-5, "fused": not plain}
        self.adam = torch.optim.Adam([*m.embedder.parameters(), *m.generator.parameters()], 5e-5, **settings)
        self.adam_judge = torch.optim.Adam(m.discriminator.parameters(), 2e-4, **settings)
        s, k = config.size, SHOTS

        def noise(*shape: int) -> Tensor:
            return (torch.rand(*shape, device=device) * 2 - 1).to(self.dtype)

        self.data = (noise(batch, k, 3, s, s), noise(batch, k, 3, s, s), noise(batch, 3, s, s), noise(batch, 3, s, s))
        self.rows = torch.randn(batch, config.dim, device=device)

    def __call__(self) -> None:
        frames, rasters, target, raster = self.data
        if not self.plain:
            power_iteration(*self.model.nets().values())
        self.model.discriminator.requires_grad_(False)
        embedding = self.embed(frames, rasters)
        fake = self.generate(raster, self.model.generator.style(embedding))
        with torch.no_grad():
            _, wanted = self.judge(target, raster, self.rows)
        score, found = self.judge(fake.to(self.dtype), raster, self.rows)
        loss = hinge_generator(score) + 10 * feature_matching(wanted, found) + 10 * match(embedding, self.rows)
        (loss + 0.15 * self.content(fake, target.float())).backward()
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        self.model.discriminator.requires_grad_(True)
        both, twice = torch.cat([target, fake.detach().to(self.dtype)]), raster.repeat(2, 1, 1, 1)
        for _ in range(2):
            scores, _ = self.judge(both, twice, self.rows.repeat(2, 1))
            hinge_discriminator(*scores.chunk(2)).backward()
            self.adam_judge.step()
            self.adam_judge.zero_grad(set_to_none=True)


def beside(rounds: int, arms: dict[str, Callable[[], Any]], plain: str) -> dict[str, Any]:
    """Each way's seconds, and how many times faster than the plain one it is."""
    found = alternate(rounds, arms, warm=True)
    return {
        name: {
            "wall_s": found.seconds(name, "wall"),
            "cpu_s": found.seconds(name),
            "faster_wall": found.ratio(plain, name, "wall"),
            "faster_cpu": found.ratio(plain, name),
        }
        for name in arms
    }


def personal(config: Config) -> PersonalModel:
    """A personal model of random weights."""
    generator = Generator(config).eval()
    with torch.no_grad():
        return PersonalModel.of(generator, generator.style(torch.rand(1, config.dim)), {})


def render_cpu(config: Config, rounds: int) -> dict[str, Any]:
    """Frames a second of one personal model, batch 1, by plain torch, ours, and OpenVINO in each precision."""
    from synth.person.model import compile_openvino

    model = personal(config)
    x = torch.rand(1, 3, config.size, config.size) * 2 - 1
    array = np.ascontiguousarray(x.numpy())

    def plain() -> None:
        with torch.inference_mode():
            synth_plain.generator(model.generator, x, model.style)

    ours = model._torch(torch.device("cpu"))
    ways: dict[str, Callable[[], Any]] = {"plain fp32": plain, "torch bf16 folded": lambda: ours(array)}
    for precision in ("f32", "bf16"):
        run = compile_openvino(model, precision=precision)
        ways[f"openvino {precision}"] = partial(run, array)
    return beside(rounds, ways, "plain fp32")


# --------------------------------------------------------------------------- CUDA


def _timed(work: Callable[[], Any], seconds: float = 1.0) -> float:
    """Seconds a call, by CUDA events, after warming up, over about ``seconds``."""
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    work()
    end.record()
    torch.cuda.synchronize()
    calls = max(3, min(2000, int(seconds / max(start.elapsed_time(end) / 1e3, 1e-6))))
    start.record()
    for _ in range(calls):
        work()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end)) / 1e3 / calls


def ceilings() -> dict[str, float]:
    """What this GPU multiplies (bf16, 8192³, TFLOP/s) and copies (1 GiB, read and written, TB/s)."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    source = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return {
        "matmul_tflops": 2 * 8192**3 / _timed(lambda: a @ b) / 1e12,
        "copy_tb_s": 2 * (1 << 30) / _timed(lambda: target.copy_(source)) / 1e12,
    }


def _graphed(net: torch.nn.Module, batch: int, size: int) -> Callable[[], None]:
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


def cuda(config: Config, batches: list[int], train_batch: int, compile: bool) -> dict[str, Any]:
    """Frames a second at each batch with CUDA graphs, training samples a second, and shares of the measured ceilings."""
    torch.backends.cudnn.benchmark = True
    top = ceilings()
    cost = describe.cost(config, folded=True)
    net = personal(config).module().to("cuda", torch.bfloat16).to(memory_format=torch.channels_last)
    if compile:
        net = torch.compile(net)  # type: ignore[assignment]
    report: dict[str, Any] = {"gpu": torch.cuda.get_device_name(), "ceilings": top, "gflop_folded": cost, "render": {}}
    for batch in batches:
        seconds = _timed(_graphed(net, batch, config.size))
        fps = batch / seconds
        share = fps * cost["G"] / 1e3 / top["matmul_tflops"]
        report["render"][batch] = {"ms": seconds * 1e3, "fps": fps, "share_of_matmul": share}
    step = Step(config, "cuda", train_batch, plain=False, compile=compile)
    seconds = _timed(step, 5.0)
    # Forward and backward are three forwards; E sees K frames; V: real forward and fake forward + input gradient for G,
    # then two updates on real and fake; VGG19 to its fifth block is 51 GFLOP at 256 px, three passes.
    vgg = 51 * (config.size / 256) ** 2
    work = 3 * SHOTS * cost["E"] + 3 * cost["G"] + (3 + 2 * 2 * 3) * cost["V"] + 3 * vgg
    report["train"] = {
        "batch": train_batch,
        "samples_per_s": train_batch / seconds,
        "gflop_per_sample": work,
        "share_of_matmul": train_batch * work / seconds / 1e3 / top["matmul_tflops"],
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
    }
    if not compile:
        plain = Step(config, "cuda", max(1, train_batch // 4), plain=True)
        report["train"]["plain_samples_per_s"] = plain.batch / _timed(plain, 3.0)
    return report


def main() -> None:
    given = options(
        __doc__, preset="half", device="cpu", train=False, render=False, batch=int, batches=[1, 32, 128],
        compile=False, threads=2, rounds=3,
    )  # fmt: skip
    torch.set_num_threads(given.threads)
    config = preset(given.preset)
    report: dict[str, Any] = {"preset": config.name, "size": config.size, "width": config.width}
    if given.device.startswith("cuda"):
        tell(report | cuda(config, given.batches, given.batch or 16, given.compile), given.json)
        return
    report["threads"] = given.threads
    if given.train or not given.render:
        batch = given.batch or 1
        ways: dict[str, Callable[[], Any]] = {
            name: Step(config, "cpu", batch, plain=name == "plain") for name in ("plain", "ours")
        }
        report["train"] = {"batch": batch, **beside(given.rounds, ways, "plain")}
    if given.render or not given.train:
        report["render"] = render_cpu(config, given.rounds)
    tell(report, given.json)


if __name__ == "__main__":
    main()
