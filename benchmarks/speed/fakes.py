"""From clips to signed fakes: what decode, landmarks, generator, encode and sign cost, the whole run by the clock, and the puppets itself.

Run: python -m benchmarks.speed.fakes [--people 3] [--model model.safetensors] [--size 128] [--writers 2] [--elsewhere 8 4 2 1]
Draws clips of puppets and prepares them as anybody's footage. Stages are first run one after another and counted in CPU seconds of this
process, all threads, so that a busy machine changes little; then the set is made as users make it, with threads beside one another.
With --elsewhere no stage is counted: a stand-in takes so many milliseconds a frame and no core, as a GPU would, which shows from what speed
of the generator on these cores can no longer feed it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gioconda_core.faces.landmarks import DlibLandmarker
from gioconda_core.media import clip
from provenance.signing import sign, signers
from synth import consent
from synth.fakes.make import make
from synth.fakes.options import Fakes, Part
from synth.fakes.plan import held_rows, plan, read_part, shot_rows, units_of
from synth.fakes.prepare import Prepare, prepare
from synth.fakes.sample import draw_sample, motion, write_sample
from synth.generators import generator
from synth.puppets.perform import perform
from synth.session import Session
from synth.training.shards import ShardSet


class Meter:
    """CPU seconds of this process spent inside functions that run one at a time."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

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

    name, version, weights_sha256, batches = "elsewhere", "1", None, True

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
    start = time.process_time()
    for take in range(takes):
        perform(0, take, frames=frames, size=size)
    known = takes * frames / (time.process_time() - start)
    start = time.process_time()
    for identity in range(takes):
        perform(900 + identity, identity, frames=frames, size=size)
    return known, takes * frames / (time.process_time() - start)


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
            frames = meter.run("generator", personal.render, moved.landmarks)
        drawn = meter.run("generator", draw_sample, r, held, moved, frames)
        write_sample(drawn, out, granted, signer, {})
    return len(recipes)


def fed(speeds: list[float], tuning: float, people: int, size: int, writers: int | None) -> None:
    """Print how much of the time a generator of each speed is busy while its clips are read, encoded and signed."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["GIOCONDA_HOME"] = str(root / "home")
        prepare(Prepare(sources=(f"puppets:{people}",), size=size, puppet_frames=40), root / "shards")
        job = Fakes(sources=(str(root / "shards"),), shots=(1, 8), modes=("ff",), frames=32, splits={"train": 1.0})
        for speed in speeds:
            done = make(job, root / f"{speed:g}", Elsewhere(size, speed, tuning), part=Part(writers=writers))
            share = done.stages["generator"] / done.seconds
            print(
                f"{tuning:g} s a person, {speed:g} ms a frame, {size} px: {done.made} clips, {done.made / done.seconds:.1f} clips/s, the generator busy "
                f"{share:.0%}; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--people", type=int, default=3)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--model", default=None, help="a trained model; without one the warp baseline draws")
    parser.add_argument("--mode", default="ff")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--writers", type=int, default=None)
    parser.add_argument("--elsewhere", type=float, nargs="+", metavar="MS", help="milliseconds a frame")
    parser.add_argument("--tuning", type=float, default=0.0, metavar="S", help="seconds a person, with --elsewhere")
    args = parser.parse_args()
    if args.elsewhere:
        fed(args.elsewhere, args.tuning, args.people, args.size, args.writers)
        return
    known, new = puppet_speed(256)
    print(
        f"puppets, 256 px: {known:.0f} frames a CPU second of a known person, {new:.0f} with a new one every 75 frames"
    )
    heads = (
        generator("few-shot", model=args.model, device=args.device) if args.model else generator("warp", size=args.size)
    )
    meter = Meter()
    meter.wrap(DlibLandmarker, "detect", "landmarks")
    meter.wrap(DlibLandmarker, "landmarks", "landmarks")
    meter.wrap(clip, "write_video", "encode")
    meter.wrap(sign, "sign_file", "sign")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["GIOCONDA_HOME"] = str(root / "home")
        footage = root / "clips"
        footage.mkdir()
        for person in range(args.people):
            drawn = perform(person, person, frames=args.frames)
            clip.write_video(footage / f"person{person}.mp4", iter(drawn.frames), fps=25)
        consent.template(root / "c.toml", "puppets as clips", ["fakes"], "CC0-1.0", [])
        meter.seconds.clear()
        start = time.process_time()
        prepared = prepare(Prepare(sources=(str(footage),), size=heads.size), root / "shards")
        meter.seconds["decode"] += time.process_time() - start - meter.seconds["landmarks"]
        job = Fakes(sources=(str(root / "shards"),), shots=(1, 8), modes=(args.mode,), frames=32, splits={"train": 1.0})
        (root / "one").mkdir()
        count = one_by_one(job, root / "shards", root / "one", heads, consent.read(root / "c.toml"), meter)
        stages = dict(meter.seconds)
        done = make(job, root / "set", heads, Session(root / "c.toml"), Part(writers=args.writers))
    total = sum(stages.values())
    print(
        f"{heads.name}, {heads.size} px, {args.mode}, {args.device}: {count} clips of 32 frames from {prepared.clips} clips"
    )
    for name in ("decode", "landmarks", "generator", "encode", "sign"):
        print(f"  {name:10s} {stages[name] / count * 1000:8.1f} CPU ms a clip made  {stages[name] / total:6.1%}")
    print(f"  together   {total / count * 1000:8.1f} CPU ms: {count / total:.2f} clips a CPU second")
    print(
        f"by the clock, threads beside one another: {done.made / done.seconds:.2f} clips/s, the generator busy "
        f"{done.stages.get('generator', 0) / done.seconds:.0%}; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )


if __name__ == "__main__":
    main()
