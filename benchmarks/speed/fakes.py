"""From clips to signed fakes: what decoding, landmarks, the generator, encoding and signing cost, the whole run by the clock, and drawing puppets.

Run: python -m benchmarks.speed.fakes [--people 3] [--model model.safetensors] [--size 128] [--writers 2] [--elsewhere 8 4 2 1]
Draws clips of puppets and prepares them as anybody's footage. Stages are first run one after another and counted in CPU seconds of this
process, all threads, so that a busy machine changes little; then the set is made as users make it, with threads beside one another.
With --elsewhere no stage is counted: a stand-in takes so many milliseconds a frame and no core, as a GPU would, which shows from what speed
of the generator on these cores can no longer feed it.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.arms import Take, drawn, options, take, tell
from gioconda_core.faces.landmarks import DlibLandmarker
from gioconda_core.media import clip
from provenance.signing import sign, signers
from synth import consent
from synth.fakes.make import make
from synth.fakes.options import Fakes, Part
from synth.fakes.plan import held_rows, plan, read_part, shot_rows, units_of
from synth.fakes.prepare import Prepare, prepare
from synth.fakes.sample import draw_sample, motion, render, write_sample
from synth.generators import generator
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

    def wrap(self, owner: Any, name: str, stage: str) -> None:
        """Count every call of ``owner.name`` under ``stage``."""
        inner: Callable[..., Any] = getattr(owner, name)
        setattr(owner, name, lambda *args, **kwargs: self.run(stage, inner, *args, **kwargs))


class Elsewhere:
    """A generator that waits instead of working, and gives the shots back: what is left of the pipeline when drawing costs no core."""

    name, version, batches = "elsewhere", "1", True
    weights_sha256: str | None = None

    def __init__(self, size: int, milliseconds: float, tuning: float) -> None:
        self.size, self.seconds, self.tuning = size, milliseconds / 1000, tuning

    def personalise(self, frames: Any, landmarks: Any, **_: Any) -> _Waiting:
        """The person's shots, to be given back, after the time that tuning to them would take."""
        time.sleep(self.tuning)
        return _Waiting(frames, self.seconds)


class _Waiting:
    def __init__(self, shots: Any, seconds: float) -> None:
        self.shots, self.seconds = shots, seconds

    def render(self, landmarks: Any) -> Any:
        """As many frames as landmarks, after the time that they would take."""
        time.sleep(len(landmarks) * self.seconds)
        return self.shots[np.arange(len(landmarks)) % len(self.shots)]


def puppet_speed(size: int, takes: int = 3, frames: int = 75) -> tuple[float, float]:
    """Frames a CPU second of drawing, of people already painted and with a new person each take."""
    perform(0, 0, frames=2, size=size)
    known = take(lambda: [perform(0, i, frames=frames, size=size) for i in range(takes)]).cpu
    new = take(lambda: [perform(900 + i, i, frames=frames, size=size) for i in range(takes)]).cpu
    return takes * frames / known, takes * frames / new


def one_by_one(job: Fakes, shards: Path, out: Path, heads: Any, granted: consent.Consent, meter: Meter) -> int:
    """Make every sample of the job in this thread; returns how many."""
    sets = [ShardSet(shards)]
    units = units_of(sets, out, job)
    by_hash = {u.sha256: u for u in units}
    signer = signers.default()
    recipes = plan(units, job, heads)
    for r in recipes:
        unit, driver = by_hash[r.shots_sha256], by_hash[r.driver_sha256]
        held = meter.run("decode", read_part, sets[0], driver, held_rows(driver, r.frames), heads.size)
        moved = frames = None
        if r.kind != "control":
            shots = meter.run("decode", read_part, sets[0], unit, shot_rows(unit, r.before, r.shots), heads.size)
            personal = meter.run(
                "generator", heads.personalise, shots.frames, shots.landmarks, mode=r.mode, steps=None, seed=0
            )
            moved = meter.run("generator", motion, r, shots, held)
            frames = meter.run("generator", render, personal, r, moved, held)
        drawn = meter.run("generator", draw_sample, r, held, moved, frames)
        write_sample(drawn, out, granted, signer, {})
    return len(recipes)


def fed(root: Path, given: Any) -> list[dict[str, Any]]:
    """How much of the time a generator of each speed is busy while its clips are read, encoded and signed."""
    prepare(Prepare(sources=(f"puppets:{given.people}",), size=given.size, puppet_frames=40), root / "shards")
    job = Fakes(sources=(str(root / "shards"),), shots=(1, 8), modes=("ff",), frames=32, splits={"train": 1.0})
    rows = []
    for speed in given.elsewhere:
        heads = Elsewhere(given.size, speed, given.tuning)
        took = take(partial(make, job, root / f"{speed:g}", heads, part=Part(writers=given.writers)))
        rows.append({"s a person": given.tuning, "ms a frame": speed, "px": given.size} | by_the_clock(took))
    return rows


def by_the_clock(took: Take) -> dict[str, Any]:
    done = took.result
    busy = done.stages.get("generator", 0) / done.seconds
    return {"clips": done.made, "clips/s": done.made / done.seconds, "generator busy": busy, "others": took.others}


def staged(root: Path, given: Any) -> list[dict[str, Any]]:
    """CPU milliseconds a clip of each stage, one after another; and the whole run with its threads beside one another."""
    known, new = puppet_speed(256)
    few = given.model != ""
    heads = generator("few-shot", model=given.model, device=given.device) if few else generator("warp", size=given.size)
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
    job = Fakes(sources=(str(root / "shards"),), shots=(1, 8), modes=(given.mode,), frames=32, splits={"train": 1.0})
    (root / "one").mkdir()
    count = one_by_one(job, root / "shards", root / "one", heads, consent.read(root / "c.toml"), meter)
    stages = dict(meter.seconds)
    took = take(lambda: make(job, root / "set", heads, Session(root / "c.toml"), Part(writers=given.writers)))
    total = sum(stages.values())
    about = {"generator": heads.name, "px": heads.size, "mode": given.mode, "device": given.device, "clips made": count}
    return [
        {"puppets, 256 px, frames a CPU second": known, "with a new person every 75 frames": new},
        about
        | {f"{name}, CPU ms a clip": 1000 * s / count for name, s in stages.items()}
        | {"clips a CPU second": count / total},
        {f"{name}, share": s / total for name, s in stages.items()},
        by_the_clock(took),
    ]


def main() -> None:
    given = options(
        __doc__, people=3, frames=40, size=128, model="", mode="ff", device="cpu", writers=int, elsewhere=[0.0], tuning=0.0,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GIOCONDA_HOME"] = str(Path(folder) / "home")
        tell((fed if any(given.elsewhere) else staged)(Path(folder), given), given.json)


if __name__ == "__main__":
    main()
