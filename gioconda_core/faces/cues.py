"""Trivial measures of a clip, by which real and fake must not differ and often do: sharpness, face size, frame rate, length, bytes."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core.types import Footage

FRAMES = 3  # frames a clip that measures are averaged over
Floats = NDArray[np.float64]
Box = tuple[int, int, int, int]


def spread_frames(footage: Footage) -> Iterator[tuple[NDArray[np.uint8], Box | None, Any]]:
    """Frames spread over the clip, each with the box of its largest face (a margin of a quarter around it) and that face's landmarks."""
    picks = np.unique(np.linspace(0, len(footage.frames) - 1, FRAMES + 2).round().astype(int)[1:-1])
    for i in picks:
        yield (footage.frames[i], *_face(footage, float(footage.times[i])))


def _face(footage: Footage, time: float) -> tuple[Box | None, Any]:
    h, w = footage.frames.shape[1:3]
    for track in footage.tracks:
        at = int(np.argmin(np.abs(track.times - time)))
        if abs(float(track.times[at]) - time) > 0.02:
            continue
        x0, y0, x1, y1 = (float(v) for v in track.boxes[at])
        mx, my = (x1 - x0) / 4, (y1 - y0) / 4
        box = max(0, int(x0 - mx)), max(0, int(y0 - my)), min(w, int(x1 + mx)), min(h, int(y1 + my))
        if box[2] - box[0] >= 16 and box[3] - box[1] >= 16:
            return box, track.landmarks[at]
    return None, None


def blur(frame: NDArray[np.uint8], box: Box | None) -> Floats:
    """(9,) log variance of the Laplacian at three scales, of the picture and of the face, and their differences."""
    import cv2

    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    parts = [grey, grey if box is None else grey[box[1] : box[3], box[0] : box[2]]]
    rows = []
    for part in parts:
        for _ in range(3):
            _, spread = cv2.meanStdDev(cv2.Laplacian(part, cv2.CV_32F))
            rows.append(math.log(float(spread[0, 0]) ** 2 + 1e-3))
            half = max(8, part.shape[1] // 2), max(8, part.shape[0] // 2)
            part = cv2.resize(part, half, interpolation=cv2.INTER_AREA)
    values = np.array(rows)
    return np.concatenate([values, values[:3] - values[3:]])


def measure(footage: Footage, size_bytes: int | None) -> dict[str, float]:
    """The cues of a clip that is open. size_bytes : of its file, where it is known."""
    seen = list(spread_frames(footage))
    face = [float(box[3] - box[1]) for _, box, _ in seen if box is not None]
    facts = {"fps": footage.fps, "duration": footage.duration or None, "height": footage.frames.shape[1]}
    blurred = np.mean([blur(frame, box) for frame, box, _ in seen], axis=0) if seen else None
    return cues_of({**facts, "size_bytes": size_bytes}, blurred, float(np.mean(face)) if face else None)


def cues_of(facts: Mapping[str, Any], blurred: Any = None, face: float | None = None) -> dict[str, float]:
    """Cue → number, of what is known. facts : of the container; blurred : see :func:`blur`; face : pixels of the largest face."""
    found = {
        "frame rate": number(facts.get("fps")),
        "length": number(facts.get("duration")),
        "picture size": number(facts.get("height")),
    }
    size, length = number(facts.get("size_bytes")), found["length"]
    found["bytes a second"] = size / length if size and length else None
    if blurred is not None and len(blurred):
        found |= {"sharpness": float(blurred[0]), "sharpness of the face": float(blurred[3])}
    if face is not None:
        found["face size"] = face
    return {name: float(f"{value:.6g}") for name, value in found.items() if value is not None}


def number(value: Any) -> float | None:
    """A container's fact as a number: ``25`` and ``30000/1001`` are, in text too; None for what is none."""
    top, _, bottom = str(value).partition("/") if isinstance(value, str) else (value, "", "")
    try:
        return None if top is None else float(top) / (float(bottom) if bottom else 1.0)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
