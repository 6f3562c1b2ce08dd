"""Measures how fast faces are tracked at 720p, decoding included, and what following misses against searching every frame.

Without clips it draws its own: two talking puppets in a 1280 × 720 picture, encoded with H.264. Clips of other sizes are
brought to 1280 × 720 first (scaled to fit, on grey), so that the figure means what it says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np

from benchmarks.speed.arms import alternate, take
from gioconda_core.faces import align, observe
from gioconda_core.faces.landmarks import DlibLandmarker
from gioconda_core.faces.tracker import overlap
from gioconda_core.media.clip import Clip
from gioconda_core.media.pictures import grid
from gioconda_core.media.writer import write_video
from gioconda_core.types import FaceTrack
from synth.puppets.perform import perform

SIZE, SECONDS, EVERY = (1280, 720), 6.0, 5


def drawn(folder: Path) -> list[Path]:
    """Clips of two puppets each, 720p, 25 frames a second."""
    paths = []
    for left in (1, 3):
        pair = [perform(who, who, frames=100, size=320).frames for who in (left, left + 1)]
        frames = np.full((len(pair[0]), *SIZE[::-1], 3), 128, np.uint8)
        frames[:, 200:520, 150:470], frames[:, 150:470, 750:1070] = pair
        paths.append(folder / f"puppets-{left}-{left + 1}.mp4")
        write_video(paths[-1], frames, fps=25)
    return paths


def at_720p(path: Path, folder: Path) -> Path:
    """The clip's first seconds at 1280 × 720, or the clip itself where it is that already."""
    with Clip.open(path) as clip:
        if (clip.facts.width, clip.facts.height) == SIZE:
            return path
        target = folder / f"{path.stem}-720p.mp4"
        fitted = (grid([[frame]], SIZE, paper=128) for moment, frame in clip.frames("all") if moment < SECONDS)
        write_video(target, fitted, fps=clip.fps or Fraction(25))
    return target


def head(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """(time, frame) of the clip's first seconds."""
    with Clip.open(path) as clip:
        for moment, frame in clip.frames("all"):
            if moment >= SECONDS:
                return
            yield moment, frame


class Recording(DlibLandmarker):
    """dlib, remembering what it found in each picture it searched."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Any] = []

    def detect(self, frames: Sequence[np.ndarray]) -> list[Any]:
        boxes = super().detect(frames)
        self.found += boxes
        return boxes


def measure(path: Path, rounds: int) -> tuple[dict[str, Any], list[float]]:
    """Speeds (seconds of video a second) and what following missed, for one 720p clip; and how far landmarks differ."""
    mark, recording = DlibLandmarker(), Recording()
    ways = {
        "decode": lambda: max(moment for moment, _ in head(path)),
        "track": lambda: observe.track(head(path), landmarker=mark, detect_every=EVERY),
    }
    found = alternate(rounds, ways)
    searched = take(lambda: observe.track(head(path), landmarker=recording, detect_every=1))  # slow, the same each time
    length, tracks = found.result("decode"), found.result("track")
    looks: dict[float, list[Any]] = {}
    for track in tracks:
        for moment, box in zip(track.times, track.boxes, strict=True):
            looks.setdefault(float(moment), []).append(box)
    # 0.3: the detector's own box and the landmarks' box of one face overlap by 0.6 to 0.9
    missed = [
        all(overlap(box, other) < 0.3 for other in looks.get(moment, []))
        for (moment, _), boxes in zip(head(path), recording.found, strict=True)
        for box in boxes
    ]
    row: dict[str, Any] = {"clip": path.name}
    seconds = {name: (found.seconds(name, "wall"), found.seconds(name)) for name in ways}
    for name, (wall, cpu) in {**seconds, "every frame": (searched.wall, searched.cpu)}.items():
        row |= {f"{name}, × real time": length / wall, f"{name}, CPU s a second": cpu / length}
    row |= {"found": len(missed), "missed": sum(missed), "followed": sum(map(len, tracks))}
    return row, drift(tracks, searched.result)


def drift(tracks: Sequence[FaceTrack], every: Sequence[FaceTrack]) -> list[float]:
    """Distance between followed and searched landmarks, in shares of the face, wherever both have the same face."""
    at = [{float(t): (b, p) for t, b, p in zip(k.times, k.boxes, k.landmarks, strict=True)} for k in every]
    return [
        float(np.linalg.norm(points - other[float(moment)][1], axis=1).mean()) / align.side(points)
        for track in tracks
        for moment, box, points in zip(track.times, track.boxes, track.landmarks, strict=True)
        for other in at
        if float(moment) in other and overlap(box, other[float(moment)][0]) > 0.5
    ]


def cases(folder: Path, *paths: str, rounds: int = 3) -> list[dict[str, Any]]:
    """A row a clip, and one of all: medians, each with the worst."""
    clips = [at_720p(Path(path), folder) for path in paths] or drawn(folder)
    measured = [measure(path, rounds) for path in clips]
    rows, drifts = [row for row, _ in measured], [d for _, own in measured for d in own]
    whole: dict[str, Any] = {"clips": len(rows), "searched every": EVERY}
    for name in (key for key in rows[0] if "," in key):
        values = [row[name] for row in rows]
        whole[name] = [median(values), min(values) if "real" in name else max(values)]
    whole |= {key: sum(row[key] for row in rows) for key in ("found", "missed")}
    far = "landmarks differ, % of the face, mean and 99th percentile"
    return [*rows, whole | {far: [100 * mean(drifts), 100 * float(np.percentile(drifts, 99))]}]
