"""Measures how fast clips are read, end to end, and what the time goes to: decoding, following the face, the detector.

Draws its own clips: puppets of 8 seconds at 256 px, H.264. Each is taken apart in one process, with nothing from a cache.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

import cv2

from benchmarks.speed.arms import Rounds, Work, alternate, drawn
from detect.base import Detector
from detect.reading import observe as footages
from detect.reading.guard import run
from detect.registry import load
from gioconda_core.media.clip import Clip
from gioconda_core.types import Footage


def decode(path: Path, detector: Detector) -> int:
    """How many frames the detector wants of the clip, decoded."""
    with Clip.open(path) as clip:
        sampling, _ = footages.wanted([detector], clip.duration, float(clip.fps or 25))
        return len(clip.sample(sampling)[0])


def look(path: Path, detector: Detector) -> Footage:
    """The clip decoded and its faces followed, nothing taken from a cache."""
    with Clip.open(path) as clip:
        return footages.observe(clip, [detector], cache=False)


def stages(path: Path, detector: Detector, rounds: int) -> Rounds:
    """Decoding, looking and reading of one clip, in turn."""
    ways: dict[str, Work] = {
        "decode": partial(decode, path, detector),
        "look": partial(look, path, detector),
        "read": partial(run, detector, look(path, detector)),
    }
    return alternate(rounds, ways)


def cases(folder: Path, clips: int = 12, rounds: int = 2, detectors: str = "contrast") -> Iterator[dict[str, object]]:
    """A row a detector: how many clips a CPU second, and what each stage takes of one."""
    cv2.setNumThreads(1)
    paths = drawn(folder, clips, 200, 256)
    for name in detectors.split(","):
        found = [stages(path, load(name), rounds) for path in paths]
        decoding, looking, reading = (median(each.seconds(stage) for each in found) for stage in found[0].takes)
        total = looking + reading
        shares = {"decode": decoding, "faces": max(0.0, looking - decoding), "detector": reading}
        yield {
            "detector": name,
            "clips a CPU second": 1 / total,
            "frames a CPU second": found[-1].result("decode") / total,
            **{f"{stage}, share": seconds / total for stage, seconds in shares.items()},
            "others": [share for each in found for share in each.others],
        }
