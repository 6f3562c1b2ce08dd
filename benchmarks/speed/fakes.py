"""Measures the way from clips to signed fakes: preparing, making, and each stage's share.

Draws clips of puppets and prepares them as anybody's footage, then makes a set as users make it, its threads beside one another.
Processor time is that of the process, all threads, so that a busy machine changes little; a stage's share is of its threads' seconds.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.speed.arms import drawn, take
from synth import consent
from synth.fakes.make import make
from synth.fakes.options import Fakes, Prepare
from synth.fakes.prepare import prepare
from synth.generators import generator
from synth.session import Session

FRAMES = 40  # of each clip that is drawn


def cases(
    folder: Path, people: int = 3, size: int = 128, model: str = "", mode: str = "ff", device: str = "cpu"
) -> Iterator[dict[str, object]]:
    """CPU milliseconds a clip of preparing and of making, the stages' shares of the latter, and the run by the clock."""
    heads = generator("few-shot", model=model, device=device) if model else generator("warp", size=size)
    drawn(folder / "clips", people, FRAMES, 256)
    consent.template(folder / "c.toml", "puppets as clips", ["fakes"], "CC0-1.0", [])
    shards = str(folder / "shards")
    prepared = take(partial(prepare, Prepare(sources=(str(folder / "clips"),), size=heads.size), shards))
    job = Fakes(sources=(shards,), shots=(1, 8), modes=(mode,), frames=32, splits={"train": 1.0})
    took = take(lambda: make(job, folder / "set", heads, Session(folder / "c.toml")))
    done = took.result
    yield {
        "generator": heads.name,
        "px": heads.size,
        "mode": mode,
        "device": device,
        "clips": done.made,
        "preparing, CPU ms a clip": 1000 * prepared.cpu / done.made,
        "making, CPU ms a clip": 1000 * took.cpu / done.made,
        "clips a CPU second": done.made / (prepared.cpu + took.cpu),
        **{f"{name}, share": s / sum(done.stages.values()) for name, s in done.stages.items()},
        "clips/s": done.made / done.seconds,
        "generator busy": done.stages.get("generator", 0) / done.seconds,
        "others": took.others,
    }
