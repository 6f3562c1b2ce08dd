"""Measures what ``bench run`` costs over calling a detector in a bare loop.

The bare loop opens each clip, finds faces and calls the detector, keeping only the score. Face tracks are not cached, so that both do the
same work in one process.
"""

import itertools
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.run import run as runs
from benchmarks.run import suite as suites
from benchmarks.run.options import Measure
from benchmarks.speed.arms import Case, Work, drawn
from detect.base import Detector
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
metrics = ["auc"]
"""


def bare(index: Index, detector: Detector) -> None:
    """A loop over the clips that keeps nothing but scores."""
    kept = []
    for sample in index:
        with Clip.open(index.resolve(sample)) as clip:
            kept.append(detector.read(observe.observe(clip, "even:8", cache=False)).score)
    assert len(kept) == len(index)


def benched(index: Index, spec: str, out: Path, numbers: Iterator[int]) -> None:
    """The same through ``bench run``."""
    suite, folder = suites.load(out / "speed.toml"), out / f"run{next(numbers)}"
    outcome = runs.run(suite, [spec], folder, {"set": index}, Measure(jobs=1))
    assert outcome.rows == len(index) and not outcome.failed


def cases(folder: Path, clips: int = 24, rounds: int = 3, detector: str = "contrast") -> list[Case]:
    """``bench run`` over the bare loop, by processor time."""
    os.environ["GIOCONDA_CACHE_MB"] = "0"  # nothing is kept, and nothing is there
    (folder / "speed.toml").write_text(SUITE)
    paths = drawn(folder / "set", clips, 24, 224)
    labels = itertools.cycle((Label.REAL, Label.FAKE))
    samples = [Sample(p.name, sha256_of(p), label, identity=p.stem) for p, label in zip(paths, labels, strict=False)]
    index = Index(tuple(samples), folder / "set", {})
    loaded = runs.detectors_of((detector,))[detector]
    bare(index, loaded)  # models are loaded by now
    ways: dict[str, Work] = {
        "bare": partial(bare, index, loaded),
        "bench": partial(benched, index, detector, folder, itertools.count()),
    }
    return [Case({"clips": clips}, ways, rounds, {"bench over bare": ("bench", "bare")}, of=["cpu"])]
