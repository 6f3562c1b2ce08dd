"""How fast clips are read, end to end, and what the time goes to: decoding, following the face, the detector.

    python -m benchmarks.speed.detect [--clips 12] [--rounds 2] [--detectors contrast]

Draws its own clips: puppets of 8 seconds at 256 px, H.264. Stages are timed by wall and by CPU of the process, rounds interleaved,
medians taken. The pipelined reader (processes that decode and follow, a core each, ahead of the reading) is timed from its first clip
on, and compared with its slower half alone: the looking (decode and follow, in one process) or the reading. What it takes in CPU seconds,
its processes' start included, is set beside the sum of the halves: a figure that survives a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import cv2

import detect
from detect.reading import observe as footages
from detect.reading.guard import run
from detect.reading.score import rows
from gioconda_core.faces import observe
from gioconda_core.media.clip import Clip, write_video
from gioconda_core.workers.cpu import cores


def drawn(folder: Path, count: int) -> list[Path]:
    from synth.puppets import perform

    paths = []
    for i in range(count):
        path = folder / f"clip{i}.mp4"
        write_video(path, perform.perform(i, i, frames=200, size=256).frames, fps=Fraction(25))
        paths.append(path)
    return paths


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """(wall, CPU seconds, result)."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def decode(path: Path, sampling: str) -> int:
    with Clip.open(path) as clip:
        return len(clip.sample(sampling)[0])


def look(path: Path, detectors: list[Any]) -> Any:
    with Clip.open(path) as clip:
        sampling, dense = footages.wanted(detectors, clip.duration, float(clip.fps or 25))
        return observe.observe(clip, sampling, dense=dense, cache=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--detectors", default="contrast")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    loaded = {name: detect.load(name) for name in options.detectors.split(",")}
    stages: dict[str, dict[str, list[float]]] = {name: {} for name in loaded}

    def note(name: str, stage: str, wall: float, cpu: float) -> None:
        stages[name].setdefault(f"{stage}_wall", []).append(wall)
        stages[name].setdefault(f"{stage}_cpu", []).append(cpu)

    frames = 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GIOCONDA_CACHE"] = str(Path(folder) / "cache")
        paths = drawn(Path(folder), options.clips)
        for _ in range(options.rounds):
            for name, detector in loaded.items():
                for path in paths:
                    with Clip.open(path) as clip:
                        sampling, _ = footages.wanted([detector], clip.duration, float(clip.fps or 25))
                    wall, cpu, frames = timed(lambda p=path, s=sampling: decode(p, s))
                    note(name, "decode", wall, cpu)
                    wall, cpu, seen = timed(lambda p=path, d=detector: look(p, [d]))
                    note(name, "look", wall, cpu)
                    wall, cpu, _ = timed(lambda d=detector, s=seen: run(d, s))
                    note(name, "read", wall, cpu)
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                stream = rows([(p.name, p, None) for p in paths], [detector], calibrated=False, cache=False)
                start, first, _ = timed(lambda s=stream: next(s))  # the first clip pays for starting the processes
                # So do those that the other processes looked at meanwhile: the clock starts when each has handed in one.
                _, others, _ = timed(lambda s=stream: list(islice(s, cores() - 1)))
                wall, cpu, rest = timed(lambda s=stream: len(list(s)))
                after = resource.getrusage(resource.RUSAGE_CHILDREN)  # the lookers have ended and are counted now
                cpu += (
                    first + others + sum(getattr(after, key) - getattr(before, key) for key in ("ru_utime", "ru_stime"))
                )
                note(name, "start", start, 0.0)
                note(name, "pipelined", wall / rest, cpu / len(paths))
    report = {}
    for name, found in stages.items():
        m = {key: statistics.median(values) for key, values in found.items()}
        total = m["look_cpu"] + m["read_cpu"]
        report[name] = {
            "clips_per_cpu_second": round(1 / total, 3),
            "frames_per_cpu_second": round(frames / total, 1),
            "share": {
                "decode": round(m["decode_cpu"] / total, 2),
                "faces": round(max(0.0, m["look_cpu"] - m["decode_cpu"]) / total, 2),
                "detector": round(m["read_cpu"] / total, 2),
            },
            "seconds_to_the_first_clip": round(m["start_wall"], 2),
            "clips_per_second_pipelined": round(1 / m["pipelined_wall"], 3),
            "cpu_over_the_halves": round(m["pipelined_cpu"] / total, 2),
            "pipelined_over_slower_half": round(max(m["look_wall"], m["read_wall"]) / m["pipelined_wall"], 2),
        }
    print(json.dumps({"load": os.getloadavg()[0], "cores": os.cpu_count(), "detectors": report}, indent=1))


if __name__ == "__main__":
    main()
