"""Measures how the invisible mark fares: read rate, coded-bit errors and false alarms over the codec ladder, and milliseconds a frame.

Without clips it draws its own puppets. Every clip is marked, encoded once at CRF 18 as ``synth`` does, sent down each rung of the
``ladder`` suite, and read with the search for even crops that ``provenance mark`` and ``recover`` make; ``as it is`` counts what is read without
it, as ``check`` does. Its unmarked twin takes the same way for the false alarms.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from benchmarks.run import suite
from benchmarks.speed.arms import take
from gioconda_core.media import degrade
from gioconda_core.media.clip import Clip, write_video
from gioconda_core.stats.shares import clopper_pearson
from provenance.watermark import mark, repository
from synth.puppets.perform import perform

FRAMES = 32


def clips_of(paths: Sequence[str], puppets: int) -> Iterator[tuple[np.ndarray, Fraction]]:
    """(frames, fps): the first ``FRAMES`` frames of each clip, or puppets where none is given."""
    for path in paths:
        with Clip.open(path) as clip:
            yield np.stack([frame for _, frame in islice(clip.frames(), FRAMES)]), clip.fps or Fraction(25)
    for i in range(0 if paths else puppets):
        played = perform(700 + i, i, frames=FRAMES, size=256)
        yield played.frames, played.fps


def grain(frames: np.ndarray, marked: np.ndarray) -> float:
    """Root mean square change, in luma levels, of the flat tenth of the first frame: where a mark is seen first; NaN if none is flat."""
    luma = cv2.cvtColor(frames[0], cv2.COLOR_RGB2GRAY).astype(np.float32)
    mean = cv2.GaussianBlur(luma, (0, 0), 4)
    deviation = np.sqrt(np.maximum(cv2.GaussianBlur(luma * luma, (0, 0), 4) - mean * mean, 0))
    flat = deviation < min(3.0, float(np.quantile(deviation, 0.1)) + 1e-3)
    change = marked[0].astype(np.float64) - frames[0]
    return float(np.sqrt(np.mean(change[flat] ** 2))) if flat.any() else float("nan")


def cases(folder: Path, *paths: str, puppets: int = 12) -> Iterator[dict[str, object]]:
    """A row a rung: clips read back, errors of coded bits, false alarms; then the embedder's cost and PSNR over all."""
    if not paths and puppets < 1:
        raise SystemExit("marks: there is nothing to mark: give clips, or --puppets 1 or more")
    rungs = suite.load("ladder").degradations
    # rung → of each marked clip: read, read as it is, share of wrong coded bits; and of each unmarked one: taken for marked
    read: dict[str, list[tuple[bool, bool, float]]] = defaultdict(list)
    alarms: dict[str, list[bool]] = defaultdict(list)
    psnr, flat, embedding, reading = [], [], [], []
    for number, (frames, fps) in enumerate(clips_of(paths, puppets)):
        embedded = take(partial(repository.marker, frames))
        marked, binding = embedded.result
        embedding.append(embedded.wall / len(frames))
        flat.append(grain(frames, marked))
        psnr.append(10 * np.log10(255**2 / np.mean((frames.astype(np.float64) - marked) ** 2)))
        for kind, pictures in (("marked", marked), ("plain", frames)):
            path = folder / f"{number}-{kind}.mp4"
            write_video(path, pictures, fps=fps, crf=18)
            for rung in rungs:
                with Clip.open(degrade.apply(path, degrade.parse(rung), folder=folder / "degraded")) as clip:
                    seen, _ = clip.sample("all")
                looked = take(partial(mark.read, seen, crops=True))
                found = looked.result
                reading.append(looked.wall / max(found.frames, 1))
                if kind == "marked":
                    hit = found.value == binding.value
                    read[rung].append((hit, hit and found.kept == (1.0, 1.0), found.errors))
                else:
                    alarms[rung].append(found.payload is not None)
    for rung in rungs:
        hits, plainly, errors = np.array(read[rung]).sum(0)
        yield {
            "rung": rung, "read": int(hits), "as it is": int(plainly), "n": len(read[rung]),
            "interval": clopper_pearson(hits, len(read[rung])), "coded bit errors": errors / len(read[rung]),
            "false alarms": sum(alarms[rung]),
        }  # fmt: skip
    every = [alarm for rung in rungs for alarm in alarms[rung]]
    yield {
        "false alarms": sum(every),
        "false alarm trials": len(every),
        "false alarms, upper 95 %": clopper_pearson(sum(every), len(every))[1],
        "PSNR dB, least, median, most": [float(f(psnr)) for f in (np.min, np.median, np.max)],
        "flat levels, least, median, most": [float(f(flat)) for f in (np.nanmin, np.nanmedian, np.nanmax)],
        "embed, ms a frame": 1000 * float(np.median(embedding)),
        "read, ms a frame": 1000 * float(np.median(reading)),
    }
