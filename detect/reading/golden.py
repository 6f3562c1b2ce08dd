"""Holds what each shipped detector scores one drawn clip (golden scores), so that ``doctor`` notices when an installation measures differently."""

import json
import math
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np

from detect.reading.guard import failed, run
from detect.registry import WEIGHTS, load, shipped
from gioconda_core.errors import PluginError
from gioconda_core.faces.align import FACE_SHAPE
from gioconda_core.files import write_json
from gioconda_core.types import FaceTrack, Footage

TOLERANCE = 0.02  # units of real clips' spread: room for another build of OpenCV, none for another model


@lru_cache(maxsize=1)
def drawn() -> Footage:
    """A clip of 4 seconds drawn from arithmetic alone: a textured oval that nods and talks, with its landmarks."""
    size, fps, count = 256, 25, 100
    times = np.arange(count) / fps
    shape = np.asarray(FACE_SHAPE, np.float64)
    shape = (shape - shape.mean(0)) / np.ptp(shape, axis=0).max() * 130
    rng = np.random.default_rng(2019)
    grain = rng.normal(0, 1, (size, size))
    y, x = np.mgrid[:size, :size].astype(float)
    room = 90 + 40 * np.sin(x / 23) * np.cos(y / 31)
    points, frames = [], []
    for i, t in enumerate(times):
        turn = 0.05 * np.sin(2 * np.pi * 0.4 * t)
        cos, sin = np.cos(turn), np.sin(turn)
        landmarks = shape @ np.array([[cos, sin], [-sin, cos]]) + [128 + 4 * np.sin(1.3 * t), 132 + 3 * np.sin(2.1 * t)]
        landmarks[55:60, 1] += 5 * (1 + np.sin(2 * np.pi * 3 * t))
        landmarks[65:68, 1] += 5 * (1 + np.sin(2 * np.pi * 3 * t))
        points.append(landmarks)
        if i % 6 > 1:  # pairs of neighbours
            continue
        middle = landmarks.mean(0)
        inside = ((x - middle[0]) / 62) ** 2 + ((y - middle[1]) / 80) ** 2 < 1
        face = 165 + 20 * np.sin((x - middle[0]) / 9) * np.sin((y - middle[1]) / 11)
        grey = np.where(inside, face, room) + 3 * np.roll(grain, i, 0)
        frames.append(np.clip(grey[..., None] * [1.0, 0.86, 0.76], 0, 255).astype(np.uint8))
    landmarks = np.stack(points).astype(np.float32)
    boxes = np.concatenate([landmarks.min(1), landmarks.max(1)], 1)
    track = FaceTrack(0, times, boxes, landmarks, np.ones(count, np.float32))
    return Footage(np.stack(frames), times[np.arange(count) % 6 < 2], Fraction(fps), count / fps, (track,), "golden")


def write(folder: Path) -> None:
    """Score the drawn clip with the detector in this folder and keep the score as golden."""
    reading = run(load(folder.name, target=str(folder)), drawn())
    if reading.abstained is not None and reading.abstained.failed:
        raise PluginError(reading.abstained.text, where=str(folder))
    write_json(
        folder / "golden.json",
        {
            "score": reading.score,
            "abstained": reading.abstained.document() if reading.abstained else None,
            "weights_sha256": reading.weights_sha256,
        },
    )


def check() -> list[tuple[str, bool, str]]:
    """(name, holds, what was seen) of every shipped detector."""
    results = []
    for name in shipped():
        wanted = json.loads((WEIGHTS / name / "golden.json").read_text(encoding="utf-8"))
        try:
            reading = run(load(name), drawn(), timeout=120)
        except Exception as error:  # a detector that cannot be loaded is what doctor is asked to find
            results.append((name, False, str(error)))
            continue
        if wanted["score"] is None or reading.score is None:
            same = reading.score is None and wanted["score"] is None and not failed(reading)
            results.append((name, same, f"abstained: {reading.abstained}" if reading.score is None else "has a score"))
            continue
        same = math.isclose(reading.score, wanted["score"], abs_tol=TOLERANCE)
        results.append((name, same, f"{reading.score:.4f}, golden {wanted['score']:.4f}"))
    return results
