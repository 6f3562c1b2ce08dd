"""Measures the way from clips to signed fakes: what decoding, landmarks, the generator, encoding and signing cost, the whole run by the clock, and drawing puppets.

Draws clips of puppets and prepares them as anybody's footage. Stages are first run one after another and counted in CPU seconds of this
process, all threads, so that a busy machine changes little; then the set is made as users make it, with threads beside one another.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed.arms import drawn, take
from gioconda_core.faces.landmarks import DlibLandmarker
from gioconda_core.media import clip
from provenance.signing import sign, signers
from synth import consent
from synth.fakes.make import make
from synth.fakes.options import Fakes, Part, Prepare
from synth.fakes.plan import held_rows, plan, read_part, shot_rows, units_of
from synth.fakes.prepare import prepare
from synth.fakes.sample import draw_sample, motion, render, write_sample
from synth.generators import TalkingHeads, generator
from synth.puppets.perform import perform
from synth.session import Session
from synth.training.shards import ShardSet


class Meter:
    """CPU seconds of this process spent inside functions that run one at a time."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def run(self, stage: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call, and count its time under ``stage``."""
        start = time.process_time()
        try:
            return call(*args, **kwargs)
        finally:
            self.seconds[stage] += time.process_time() - start

    def wrap(self, owner: object, name: str, stage: str) -> None:
        """Count every call of ``owner.name`` under ``stage``."""
        inner: Callable[..., Any] = getattr(owner, name)
        setattr(owner, name, lambda *args, **kwargs: self.run(stage, inner, *args, **kwargs))


def puppet_speed(size: int, takes: int, frames: int) -> dict[str, object]:
    """Frames a CPU second of drawing, of people already painted and with a new person each take."""
    perform(0, 0, frames=2, size=size)
    draw = partial(perform, frames=frames, size=size)
    known = take(lambda: [draw(0, i) for i in range(takes)]).cpu
    new = take(lambda: [draw(900 + i, i) for i in range(takes)]).cpu
    return {
        f"puppets, {size} px, frames a CPU second": takes * frames / known,
        f"with a new person every {frames} frames": takes * frames / new,
    }


def one_by_one(job: Fakes, folder: Path, heads: TalkingHeads, meter: Meter) -> int:
    """Make every sample of the job in this thread; returns how many. folder : with ``shards`` and ``c.toml``, the consent."""
    sets, signer, out = [ShardSet(folder / "shards")], signers.default(), folder / "one"
    granted = consent.read(folder / "c.toml")
    units = units_of(sets, out, job)
    by_hash = {u.sha256: u for u in units}
    recipes = plan(units, job, heads)
    for r in recipes:
        unit, driver = by_hash[r.shots_sha256], by_hash[r.driver_sha256]
        held = meter.run("decode", read_part, sets[0], driver, held_rows(driver, r.frames), heads.size)
        moved = frames = None
        if r.kind != "control":
            shots = meter.run("decode", read_part, sets[0], unit, shot_rows(unit, r.before, r.shots), heads.size)
            learn = partial(heads.personalise, shots.frames, shots.landmarks, mode=r.mode, steps=None, seed=0)
            personal = meter.run("generator", learn)
            moved = meter.run("generator", motion, r, shots, held)
            frames = meter.run("generator", render, personal, r, moved, held)
        sample = meter.run("generator", draw_sample, r, held, moved, frames)
        write_sample(sample, out, granted, signer, {})
    return len(recipes)


def cases(
    folder: Path, people: int = 3, frames: int = 40, size: int = 128, model: str = "", mode: str = "ff", device: str = "cpu",
    writers: int | None = None,
) -> Iterator[dict[str, object]]:  # fmt: skip
    """CPU milliseconds a clip of each stage, one after another; and the whole run by the clock, its threads beside one another."""
    yield puppet_speed(256, people, frames)
    heads = generator("few-shot", model=model, device=device) if model else generator("warp", size=size)
    meter = Meter()
    meter.wrap(DlibLandmarker, "detect", "landmarks")
    meter.wrap(DlibLandmarker, "landmarks", "landmarks")
    meter.wrap(clip, "write_video", "encode")
    meter.wrap(sign, "sign_file", "sign")
    drawn(folder / "clips", people, frames, 256)
    consent.template(folder / "c.toml", "puppets as clips", ["fakes"], "CC0-1.0", [])
    meter.seconds.clear()
    prepared = take(lambda: prepare(Prepare(sources=(str(folder / "clips"),), size=heads.size), folder / "shards"))
    meter.seconds["decode"] += prepared.cpu - meter.seconds["landmarks"]
    (folder / "one").mkdir()
    shards = (str(folder / "shards"),)
    job = Fakes(sources=shards, shots=(1, 8), modes=(mode,), frames=32, splits={"train": 1.0})
    count = one_by_one(job, folder, heads, meter)
    stages, total = dict(meter.seconds), sum(meter.seconds.values())
    about = {"generator": heads.name, "px": heads.size, "mode": mode, "device": device, "clips made": count}
    costs = {f"{name}, CPU ms a clip": 1000 * s / count for name, s in stages.items()}
    yield about | costs | {"clips a CPU second": count / total}
    yield {f"{name}, share": s / total for name, s in stages.items()}
    took = take(lambda: make(job, folder / "set", heads, Session(folder / "c.toml"), Part(writers=writers)))
    done = took.result
    busy = done.stages.get("generator", 0) / done.seconds
    yield {"clips": done.made, "clips/s": done.made / done.seconds, "generator busy": busy, "others": took.others}
