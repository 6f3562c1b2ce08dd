"""What ``bench run`` costs over calling a detector in a bare loop, and what Ray costs over local processes.

    python -m benchmarks.speed.overhead [--clips 24] [--rounds 3] [--jobs 2] [--ray]

The bare loop opens each clip, finds faces and calls the detector, keeping only the score. Face tracks are not cached, so that both do the
same work. One process is compared by CPU seconds, several by the clock.
"""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.run import run as runs
from benchmarks.run import suite as suites
from benchmarks.run.options import Measure
from benchmarks.speed.arms import alternate, drawn, options, tell
from gioconda_core.datasets.index import Index
from gioconda_core.faces import observe
from gioconda_core.files import sha256_of
from gioconda_core.media.clip import Clip
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
    samples = [
        Sample(path.name, sha256_of(path), Label.FAKE if i % 2 else Label.REAL, identity=f"p{i}")
        for i, path in enumerate(drawn(folder, n, 24, 224))
    ]
    return Index(tuple(samples), folder, {})


def bare(index: Index, detector: Any) -> None:
    """A loop over the clips that keeps nothing but scores."""
    kept = []
    for sample in index:
        with Clip.open(index.resolve(sample)) as clip:
            kept.append(detector.read(observe.observe(clip, "even:8", cache=False)).score)
    assert len(kept) == len(index)


def benched(index: Index, spec: str, out: Path, jobs: int, engine: str, names: Any) -> float:
    """The same through ``bench run``; seconds a clip once a quarter is through, when every worker has started and loaded its models."""
    ticks: list[float] = []
    watching = SimpleNamespace(begin=lambda total: None, count=lambda n: ticks.append(time.perf_counter()))
    suite, folder = suites.load(out / "speed.toml"), out / f"run{next(names)}"
    outcome = runs.run(suite, [spec], folder, {"set": index}, Measure(jobs=jobs, engine_name=engine), watching)
    assert outcome.complete and not outcome.failed
    warm = max(1, len(ticks) // 4)
    return (ticks[-1] - ticks[warm - 1]) / (len(ticks) - warm)


def main() -> None:
    given = options(__doc__, clips=24, rounds=3, jobs=2, detector="contrast", ray=False)
    detector, names = runs.detectors_of((given.detector,))[given.detector], itertools.count()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"GIOCONDA_CACHE_MB": "0", "GIOCONDA_CACHE": name}  # nothing is kept, and nothing is there
        (folder / "speed.toml").write_text(SUITE)
        index = clips(folder / "set", given.clips)
        bare(index, detector)  # models are loaded by now
        run = partial(benched, index, given.detector, folder, names=names)
        arms: dict[str, Callable[[], Any]] = {"bare": partial(bare, index, detector), "bench": partial(run, 1, "local")}
        found = alternate(given.rounds, arms)
        figures: dict[str, Any] = {
            "clips": given.clips,
            "cpu_seconds": {arm: found.seconds(arm) for arm in arms},
            "bench_over_bare": found.ratio("bench", "bare"),
        }
        if given.ray:
            several = alternate(given.rounds, {engine: partial(run, given.jobs, engine) for engine in ("local", "ray")})
            once = {e: statistics.median(t.result for t in takes) for e, takes in several.takes.items()}
            figures |= {
                "seconds": {engine: several.seconds(engine, "wall") for engine in several.takes},
                "ray_over_local": several.ratio("ray", "local", "wall"),
                "seconds_a_clip_once_started": once,
                "ray_over_local_once_started": several.ratio("ray", "local", "result"),
            }
    tell(figures, given.json)


if __name__ == "__main__":
    main()
