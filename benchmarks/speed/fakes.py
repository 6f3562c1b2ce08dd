"""From clips to signed fakes: what decoding, landmarks, the generator, encoding and signing cost, the whole run by the clock, and drawing puppets.

    python -m benchmarks.speed fakes [--people 3] [--model model.safetensors] [--size 128] [--writers 2]

Draws clips of puppets and prepares them as anybody's footage. Stages are first run one after another and counted in CPU seconds of this
process, all threads, so that a busy machine changes little; then the set is made as users make it, with threads beside one another.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed.arms import Take, drawn, take
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


def puppet_speed(size: int, takes: int = 3, frames: int = 75) -> dict[str, object]:
    """Frames a CPU second of drawing, of people already painted and with a new person each take."""
    perform(0, 0, frames=2, size=size)
    draw = partial(perform, frames=frames, size=size)
    known = take(lambda: [draw(0, i) for i in range(takes)]).cpu
    new = take(lambda: [draw(900 + i, i) for i in range(takes)]).cpu
    return {
        f"puppets, {size} px, frames a CPU second": takes * frames / known,
        f"with a new person every {frames} frames": takes * frames / new,
    }


def one_by_one(job: Fakes, shards: Path, out: Path, heads: TalkingHeads, granted: consent.Consent, meter: Meter) -> int:
    """Make every sample of the job in this thread; returns how many."""
    sets, signer = [ShardSet(shards)], signers.default()
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


def by_the_clock(took: Take) -> dict[str, object]:
    """Clips a second of a run of ``make``, and the share of it in which the generator was busy."""
    done = took.result
    busy = done.stages.get("generator", 0) / done.seconds
    return {"clips": done.made, "clips/s": done.made / done.seconds, "generator busy": busy, "others": took.others}


def staged(root: Path, job: Fakes, given: Namespace) -> Iterator[dict[str, object]]:
    """CPU milliseconds a clip of each stage, one after another; and the whole run with its threads beside one another."""
    yield puppet_speed(256, takes=given.people)
    own = {"model": given.model, "device": given.device} if given.model else {"size": given.size}
    heads = generator("few-shot" if given.model else "warp", **own)
    meter = Meter()
    for owner, name, stage in (
        (DlibLandmarker, "detect", "landmarks"),
        (DlibLandmarker, "landmarks", "landmarks"),
        (clip, "write_video", "encode"),
        (sign, "sign_file", "sign"),
    ):
        meter.wrap(owner, name, stage)
    drawn(root / "clips", given.people, given.frames, 256)
    consent.template(root / "c.toml", "puppets as clips", ["fakes"], "CC0-1.0", [])
    meter.seconds.clear()
    prepared = take(lambda: prepare(Prepare(sources=(str(root / "clips"),), size=heads.size), root / "shards"))
    meter.seconds["decode"] += prepared.cpu - meter.seconds["landmarks"]
    (root / "one").mkdir()
    count = one_by_one(job, root / "shards", root / "one", heads, consent.read(root / "c.toml"), meter)
    stages, total = dict(meter.seconds), sum(meter.seconds.values())
    about = {"generator": heads.name, "px": heads.size, "mode": given.mode, "device": given.device, "clips made": count}
    costs = {f"{name}, CPU ms a clip": 1000 * s / count for name, s in stages.items()}
    yield about | costs | {"clips a CPU second": count / total}
    yield {f"{name}, share": s / total for name, s in stages.items()}
    part = Part(writers=given.writers)
    yield by_the_clock(take(lambda: make(job, root / "set", heads, Session(root / "c.toml"), part)))


def cases(given: Namespace, folder: Path) -> Iterator[dict[str, object]]:
    """Rows of the stages, and of the whole run."""
    shards = (str(folder / "shards"),)
    job = Fakes(sources=shards, shots=(1, 8), modes=(given.mode,), frames=32, splits={"train": 1.0})
    yield from staged(folder, job, given)
