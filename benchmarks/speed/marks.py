"""How the invisible mark fares: read rate, coded-bit errors and false alarms over the codec ladder, and milliseconds a frame.

    python -m benchmarks.speed.marks [CLIP…] [--json FILE]

Without clips it draws its own puppets. Every clip is marked, encoded once at CRF 18 as ``synth`` does, sent down each rung of the
``ladder`` suite, and read with the search for even crops that ``provenance mark`` and ``recover`` make; ``as it is`` counts what is read without
it, as ``check`` does. Its unmarked twin takes the same way for the false alarms.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.run import degrade, suite
from benchmarks.speed.arms import options, take, tell
from gioconda_core.media.clip import Clip, write_video
from gioconda_core.stats.shares import clopper_pearson
from provenance.watermark import mark, repository

FRAMES = 32
OWN = 12  # puppets, when no clip is given


def clips_of(paths: list[str]) -> list[tuple[str, np.ndarray, Fraction]]:
    """(name, frames, fps): the first ``FRAMES`` frames of each clip, or puppets."""
    if paths:
        found = []
        for path in paths:
            with Clip.open(path) as clip:
                frames = [frame for _, (_, frame) in zip(range(FRAMES), clip.frames(), strict=False)]
                found.append((Path(path).name, np.stack(frames), clip.fps or Fraction(25)))
        return found
    from synth.puppets import perform

    played = [perform.perform(700 + i, i, frames=FRAMES, size=256) for i in range(OWN)]
    return [(f"puppet-{p.identity}", p.frames, p.fps) for p in played]


def grain(frames: np.ndarray, marked: np.ndarray) -> float:
    """Root mean square change, in luma levels, of the flat tenth of the first frame: where a mark is seen first; NaN if none is flat."""
    import cv2

    luma = cv2.cvtColor(frames[0], cv2.COLOR_RGB2GRAY).astype(np.float32)
    mean = cv2.GaussianBlur(luma, (0, 0), 4)
    deviation = np.sqrt(np.maximum(cv2.GaussianBlur(luma * luma, (0, 0), 4) - mean * mean, 0))
    flat = deviation < min(3.0, float(np.quantile(deviation, 0.1)) + 1e-3)
    change = marked[0].astype(np.float64) - frames[0]
    return float(np.sqrt(np.mean(change[flat] ** 2))) if flat.any() else float("nan")


def measure(clips: list[tuple[str, np.ndarray, Fraction]]) -> dict[str, Any]:
    """Rows by rung: clips read back, errors of coded bits, false alarms; with the embedder's cost and PSNR."""
    rungs = suite.load("ladder").degradations
    hits: dict[str, list[bool]] = defaultdict(list)
    plainly: dict[str, list[bool]] = defaultdict(list)
    errors: dict[str, list[float]] = defaultdict(list)
    alarms: dict[str, list[bool]] = defaultdict(list)
    psnr, flat, embedding, reading = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for number, (_, frames, fps) in enumerate(clips):
            embedded = take(partial(repository.marker, frames))
            marked, binding = embedded.result
            embedding.append(embedded.wall / len(frames))
            flat.append(grain(frames, marked))
            psnr.append(10 * np.log10(255**2 / np.mean((frames.astype(np.float64) - marked) ** 2)))
            for kind, pictures in (("marked", marked), ("plain", frames)):
                path = Path(folder) / f"{number}-{kind}.mp4"
                write_video(path, pictures, fps=fps, crf=18)
                for rung in rungs:
                    worse = degrade.apply(path, degrade.parse(rung), folder=Path(folder) / "cache")
                    with Clip.open(worse) as clip:
                        seen, _ = clip.sample("all")
                    looked = take(partial(mark.read, seen, crops=True))
                    found = looked.result
                    reading.append(looked.wall / max(found.frames, 1))
                    if kind == "marked":
                        hits[rung].append(found.value == binding.value)
                        plainly[rung].append(hits[rung][-1] and found.kept == (1.0, 1.0))
                        errors[rung].append(found.errors)
                    else:
                        alarms[rung].append(found.payload is not None)
    rows = [
        {
            "rung": rung,
            "read": sum(hits[rung]),
            "as_it_is": sum(plainly[rung]),
            "n": len(hits[rung]),
            "interval": clopper_pearson(sum(hits[rung]), len(hits[rung])),
            "coded_bit_errors": float(np.mean(errors[rung])),
            "false_alarms": sum(alarms[rung]),
        }
        for rung in rungs
    ]
    total = sum(len(v) for v in alarms.values())
    return {
        "rows": rows,
        "false_alarms": sum(sum(v) for v in alarms.values()),
        "false_alarm_trials": total,
        "false_alarm_upper95": clopper_pearson(sum(sum(v) for v in alarms.values()), total)[1],
        "psnr_db": [float(f(psnr)) for f in (np.min, np.median, np.max)],
        "flat_levels": [float(f(flat)) for f in (np.nanmin, np.nanmedian, np.nanmax)],
        "embed_ms_a_frame": 1000 * float(np.median(embedding)),
        "read_ms_a_frame": 1000 * float(np.median(reading)),
    }


def main() -> None:
    given = options(__doc__, "clips*")
    found = measure(clips_of(given.clips))
    rows = found.pop("rows")
    tell([*rows, found], given.json)


if __name__ == "__main__":
    main()
