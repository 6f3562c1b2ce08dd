"""How fast clips are read, end to end, and what the time goes to: decoding, following the face, the detector.

    python -m benchmarks.speed.detect [--clips 12] [--rounds 2] [--detectors contrast]

Draws its own clips: puppets of 8 seconds at 256 px, H.264. The pipelined reader (processes that decode and follow, a core each, ahead of
the reading) is timed from its first clip on, and compared with its slower half alone: the looking (decode and follow, in one process) or
the reading. What it takes in CPU seconds, its processes' start included, is set beside the sum of the halves.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

import cv2

import detect
from benchmarks.speed.arms import Rounds, alternate, drawn, options, take, tell
from detect.reading import observe as footages
from detect.reading.guard import run
from detect.reading.score import rows
from gioconda_core.faces import observe
from gioconda_core.media.clip import Clip
from gioconda_core.workers.cpu import cores


def decode(path: Path, detector: Any) -> int:
    with Clip.open(path) as clip:
        sampling, _ = footages.wanted([detector], clip.duration, float(clip.fps or 25))
        return len(clip.sample(sampling)[0])


def look(path: Path, detector: Any) -> Any:
    with Clip.open(path) as clip:
        sampling, dense = footages.wanted([detector], clip.duration, float(clip.fps or 25))
        return observe.observe(clip, sampling, dense=dense, cache=False)


def pipelined(paths: list[Path], detector: Any) -> dict[str, float]:
    """Seconds to the first clip, and then a clip; CPU seconds a clip of all processes, which have ended by then."""
    stream = rows([(p.name, p, None) for p in paths], [detector], calibrated=False, cache=False)
    # The first clip pays for starting the processes. So do those that the other processes looked at meanwhile: the clock starts when each
    # has handed in one.
    parts = [take(lambda: next(stream)), take(lambda: list(islice(stream, cores() - 1))), take(lambda: list(stream))]
    rest = len(parts[2].result)
    return {"start": parts[0].wall, "wall": parts[2].wall / rest, "cpu": sum(p.tree for p in parts) / len(paths)}


def stages(path: Path, detector: Any, rounds: int) -> Rounds:
    seen: list[Any] = []

    def looked() -> None:
        seen[:] = [look(path, detector)]

    arms = {"decode": lambda: decode(path, detector), "look": looked, "read": lambda: run(detector, seen[0])}
    return alternate(rounds, arms)


def measure(detector: Any, paths: list[Path], rounds: int) -> dict[str, Any]:
    found = [stages(path, detector, rounds) for path in paths]
    cpu = {arm: statistics.median(f.seconds(arm) for f in found) for arm in ("decode", "look", "read")}
    wall = {arm: statistics.median(f.seconds(arm, "wall") for f in found) for arm in ("look", "read")}
    piped = [pipelined(paths, detector) for _ in range(rounds)]
    pipe = {key: statistics.median(p[key] for p in piped) for key in piped[0]}
    total = cpu["look"] + cpu["read"]
    return {
        "clips_per_cpu_second": 1 / total,
        "frames_per_cpu_second": found[-1].result("decode") / total,
        "share": {
            "decode": cpu["decode"] / total,
            "faces": max(0.0, cpu["look"] - cpu["decode"]) / total,
            "detector": cpu["read"] / total,
        },
        "seconds_to_the_first_clip": pipe["start"],
        "clips_per_second_pipelined": 1 / pipe["wall"],
        "cpu_over_the_halves": pipe["cpu"] / total,
        "pipelined_over_slower_half": max(wall["look"], wall["read"]) / pipe["wall"],
    }


def main() -> None:
    given = options(__doc__, clips=12, rounds=2, detectors="contrast")
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GIOCONDA_CACHE"] = str(Path(folder) / "cache")
        paths = drawn(Path(folder), given.clips, 200, 256)
        names = given.detectors.split(",")
        tell([{"detector": n, **measure(detect.load(n), paths, given.rounds)} for n in names], given.json)


if __name__ == "__main__":
    main()
