"""What the harness costs over calling a detector in a bare loop, and what Ray costs over local processes.

Run: python -m benchmarks.speed.harness [--clips 24] [--repeats 3] [--jobs 2] [--ray]
The bare loop opens each clip, finds faces and calls the detector, keeping only the score. Rounds are interleaved and the
medians compared; CPU seconds, since neighbours on a shared machine do not count. Face tracks are not
cached, so that both do the same work.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from benchmarks.run import run as runs
from benchmarks.run import suite as suites
from benchmarks.run.options import Measure
from gioconda_core.datasets.index import Index
from gioconda_core.faces import observe
from gioconda_core.files import sha256_of
from gioconda_core.media.clip import Clip, write_video
from gioconda_core.types import Label, Sample

SUITE = """
name = "speed"
version = "1"
[data]
kind = "index"
[protocol]
sampling = "even:8"
degradations = ["none"]
metrics = ["auc"]
"""


def clips(folder: Path, n: int) -> Index:
    """n puppet clips of 24 frames."""
    from synth.puppets import perform

    samples = []
    for i in range(n):
        path = folder / f"c{i}.mp4"
        shown = perform.perform(i % 6, i, frames=24, size=224)
        write_video(path, iter(shown.frames), fps=shown.fps)
        samples.append(Sample(path.name, sha256_of(path), Label.FAKE if i % 2 else Label.REAL, identity=f"p{i % 6}"))
    return Index(tuple(samples), folder, {})


def bare(index: Index, detector) -> float:
    """CPU seconds of a loop over the clips that keeps nothing but scores."""
    start = time.process_time()
    kept = []
    for sample in index:
        with Clip.open(index.resolve(sample)) as clip:
            kept.append(detector.read(observe.observe(clip, "even:8", cache=False)).score)
    assert len(kept) == len(index)
    return time.process_time() - start


def harness(index: Index, spec: str, out: Path, jobs: int, engine: str) -> tuple[float, float]:
    """Seconds of the same through ``bench run``: of CPU for one job in this process, by the clock for several.

    The second number is seconds a clip once a quarter is through, when every worker has started and loaded its models.
    """
    suite = suites.load(out.parent / "speed.toml")
    clock = time.process_time if jobs == 1 else time.perf_counter
    ticks: list[float] = []
    start = clock()
    watching = SimpleNamespace(begin=lambda total: None, count=lambda n: ticks.append(clock()))
    outcome = runs.run(suite, [spec], out, {"set": index}, Measure(jobs=jobs, engine_name=engine), watching)
    took = clock() - start
    assert outcome.complete and not outcome.failed
    warm = len(ticks) // 4
    return took, (ticks[-1] - ticks[warm - 1]) / (len(ticks) - warm)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--detector", default="contrast")
    parser.add_argument("--ray", action="store_true")
    options = parser.parse_args()
    detector = runs.detectors_of((options.detector,))[options.detector]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"GIOCONDA_CACHE_MB": "0", "GIOCONDA_CACHE": name}  # nothing is kept, and nothing is there
        (folder / "speed.toml").write_text(SUITE)
        index = clips(folder / "set", options.clips)
        bare(index, detector)  # models are loaded by now
        found: dict[str, list[float]] = {"bare": [], "harness": [], "local": [], "ray": []}
        steady: dict[str, list[float]] = {"local": [], "ray": []}
        for i in range(options.repeats):
            found["bare"].append(bare(index, detector))
            found["harness"].append(harness(index, options.detector, folder / f"h{i}", 1, "local")[0])
            if options.ray:
                for engine in ("local", "ray"):
                    took, a_clip = harness(index, options.detector, folder / f"{engine}{i}", options.jobs, engine)
                    found[engine].append(took)
                    steady[engine].append(a_clip)
        medians = {k: statistics.median(v) for k, v in found.items() if v}
        row: dict[str, object] = {"clips": options.clips, "repeats": options.repeats, "seconds": medians}
        row["overhead"] = float(np.round(medians["harness"] / medians["bare"] - 1, 4))
        if options.ray:
            row["ray_over_local"] = float(np.round(medians["ray"] / medians["local"] - 1, 4))
            row["seconds_a_clip_once_started"] = rate = {k: statistics.median(v) for k, v in steady.items()}
            row["ray_over_local_once_started"] = float(np.round(rate["ray"] / rate["local"] - 1, 4))
        print(json.dumps(row))


if __name__ == "__main__":
    main()
