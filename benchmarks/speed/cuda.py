"""Measures the generator on a GPU: frames drawn a second with CUDA graphs, training samples a second, and shares of the ceilings.

The ceilings, a bf16 matmul and a copy, are measured in the same run.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed.arms import take
from benchmarks.speed.synth import SHOTS, personal, plain, training_step
from synth.model import describe
from synth.model.config import preset as preset_of


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


def cases(
    folder: Path, preset: str = "half", batch: int = 16, batches: Sequence[int] = (1, 32, 128), compile: bool = False
) -> Iterator[dict[str, object]]:
    """Drawing, so many ``batches`` of frames at a time, and training, ``batch`` samples a step. compile : with ``torch.compile``."""
    config = preset_of(preset)
    about = {"preset": config.name, "size": config.size, "width": config.width}
    torch.backends.cudnn.benchmark = True
    top, cost = ceilings(), describe.cost(config, folded=True)
    flop = {f"GFLOP of {net}, folded": each for net, each in cost.items()}
    yield about | {"gpu": torch.cuda.get_device_name(), **top, **flop}
    net: Any = personal(config).module.to("cuda", torch.bfloat16).to(memory_format=torch.channels_last)
    net = torch.compile(net) if compile else net
    for many in batches:
        seconds = _timed(graphed(net, many, config.size))
        share = many / seconds * cost["G"] / 1e3 / top["matmul_tflops"]
        yield about | {"render, batch": many, "ms": seconds * 1e3, "frames/s": many / seconds, "share of matmul": share}
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
    yield about | row
