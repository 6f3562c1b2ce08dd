"""Measures how fast clips are read, end to end, and what the time goes to: decoding, following the face, the detector.

Draws its own clips: puppets of 8 seconds at 256 px, H.264. The pipelined reader (processes that decode and follow, a core each, ahead of
the reading) is timed from its first clip on, and compared with its slower half alone: the looking (decode and follow, in one process) or
the reading. What it takes in CPU seconds, its processes' start included, is set beside the sum of the halves.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median

import cv2

from benchmarks.speed.arms import Rounds, alternate, drawn, take
from detect.base import Detector
from detect.reading import observe as footages
from detect.reading.guard import run
from detect.reading.score import rows
from detect.registry import load
from gioconda_core.faces import observe
from gioconda_core.media.clip import Clip
from gioconda_core.types import Footage
from gioconda_core.workers.cpu import cores


def decode(path: Path, detector: Detector) -> int:
    """How many frames the detector wants of the clip, decoded."""
    with Clip.open(path) as clip:
        sampling, _ = footages.wanted([detector], clip.duration, float(clip.fps or 25))
        return len(clip.sample(sampling)[0])


def look(path: Path, detector: Detector) -> Footage:
    """The clip decoded and its faces followed, nothing taken from a cache."""
    with Clip.open(path) as clip:
        sampling, dense = footages.wanted([detector], clip.duration, float(clip.fps or 25))
        return observe.observe(clip, sampling, dense=dense, cache=False)


def pipelined(paths: list[Path], detector: Detector) -> dict[str, float]:
    """Seconds to the first clip, and then a clip; CPU seconds a clip of all processes, which have ended by then."""
    stream = rows([(p.name, p, None) for p in paths], [detector], calibrated=False, cache=False)
    # The first clip pays for starting the processes. So do those that the other processes looked at meanwhile: the clock starts when each
    # has handed in one.
    parts = [take(lambda: next(stream)), take(lambda: list(islice(stream, cores() - 1))), take(lambda: list(stream))]
    rest = len(parts[2].result)
    return {"start": parts[0].wall, "wall": parts[2].wall / rest, "cpu": sum(p.tree for p in parts) / len(paths)}


def stages(path: Path, detector: Detector, rounds: int) -> Rounds:
    """Decoding, looking and reading of one clip, in turn."""
    seen = look(path, detector)
    ways = {"decode": lambda: decode(path, detector), "look": lambda: look(path, detector)}
    return alternate(rounds, {**ways, "read": lambda: run(detector, seen)})


def cases(folder: Path, clips: int = 12, rounds: int = 2, detectors: str = "contrast") -> Iterator[dict[str, object]]:
    """A row a detector: what each stage takes of a clip, and the whole pipeline beside the slower half."""
    cv2.setNumThreads(1)
    paths = drawn(folder, clips, 200, 256)
    for name in detectors.split(","):
        detector = load(name)
        found = [stages(path, detector, rounds) for path in paths]
        cpu, wall = (
            {arm: median(each.seconds(arm, of) for each in found) for arm in ("decode", "look", "read")}
            for of in ("cpu", "wall")
        )
        piped = [pipelined(paths, detector) for _ in range(rounds)]
        pipe = {key: median(p[key] for p in piped) for key in piped[0]}
        total = cpu["look"] + cpu["read"]
        shares = (cpu["decode"], max(0.0, cpu["look"] - cpu["decode"]), cpu["read"])
        yield {
            "detector": name,
            "clips a CPU second": 1 / total,
            "frames a CPU second": found[-1].result("decode") / total,
            **{f"{stage}, share": s / total for stage, s in zip(("decode", "faces", "detector"), shares, strict=True)},
            "seconds to the first clip": pipe["start"],
            "clips a second, pipelined": 1 / pipe["wall"],
            "CPU over the halves": pipe["cpu"] / total,
            "pipelined over the slower half": max(wall["look"], wall["read"]) / pipe["wall"],
        }
