"""How fast faces are tracked at 720p, decoding included, and what following misses against searching every frame.

    python -m benchmarks.speed.faces [CLIP…]

Without clips it draws its own: two talking puppets in a 1280 × 720 picture, encoded with H.264. Clips of other sizes are
brought to 1280 × 720 first (scaled to fit, on grey), so that the figure means what it says. The runs of each
clip are interleaved in one process, so that a busy machine slows all of them alike.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from gioconda_core.faces import align, observe
from gioconda_core.faces.landmarks import DlibLandmarker
from gioconda_core.faces.tracker import overlap
from gioconda_core.media.clip import Clip
from gioconda_core.media.writer import write_video

WIDTH, HEIGHT, SECONDS, ROUNDS = 1280, 720, 6.0, 3


def fit(frame: np.ndarray) -> np.ndarray:
    """The frame in the middle of a grey 1280 × 720 picture, as large as it goes."""
    import cv2

    height, width = frame.shape[:2]
    scale = min(WIDTH / width, HEIGHT / height)
    size = (round(width * scale), round(height * scale))
    out = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    x, y = (WIDTH - size[0]) // 2, (HEIGHT - size[1]) // 2
    out[y : y + size[1], x : x + size[0]] = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return out


def drawn(folder: Path) -> list[Path]:
    """Clips of two puppets each, 720p, 25 frames a second."""
    from synth.puppets import perform

    paths = []
    for pair in ((1, 2), (3, 4)):
        left, right = (perform.perform(who, who, frames=100, size=320) for who in pair)
        frames = []
        for a, b in zip(left.frames, right.frames, strict=True):
            frame = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
            frame[200:520, 150:470], frame[150:470, 750:1070] = a, b
            frames.append(frame)
        paths.append(folder / f"puppets-{pair[0]}-{pair[1]}.mp4")
        write_video(paths[-1], frames, fps=Fraction(25))
    return paths


def at_720p(path: Path, folder: Path) -> Path:
    """The clip's first seconds at 1280 × 720, or the clip itself where it is that already."""
    with Clip.open(path) as clip:
        if (clip.facts.width, clip.facts.height) == (WIDTH, HEIGHT):
            return path
        target = folder / f"{path.stem}-720p.mp4"
        write_video(target, (fit(f) for t, f in clip.frames("all") if t < SECONDS), fps=clip.fps or Fraction(25))
    return target


def head(path: Path) -> Iterator[tuple[float, np.ndarray]]:
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


def measure(path: Path, detect_every: int) -> dict[str, Any]:
    """Speeds (seconds of video a second) and what following missed, for one 720p clip."""
    mark, recording = DlibLandmarker(), Recording()
    spent: dict[str, list[float]] = {"decode": [], "track": [], "search every frame": []}
    worked: dict[str, list[float]] = {name: [] for name in spent}
    tracks, every, length = (), (), 0.0
    for turn in range(ROUNDS):
        for name, values in spent.items():
            begin, work = time.perf_counter(), time.process_time()
            if name == "decode":
                length = max(moment for moment, _ in head(path))
            elif name == "track":
                tracks = observe.track(head(path), landmarker=mark, detect_every=detect_every)
            elif turn == 0:  # slow, and the same each time
                every = observe.track(head(path), landmarker=recording, detect_every=1)
            else:
                continue
            values.append(time.perf_counter() - begin)
            worked[name].append(time.process_time() - work)
    looks: dict[float, list[Any]] = {}
    for track in tracks:
        for moment, box in zip(track.times, track.boxes, strict=True):
            looks.setdefault(float(moment), []).append(box)
    searched = missed = 0
    for (moment, _), boxes in zip(head(path), recording.found, strict=True):
        for box in boxes:
            searched += 1
            # 0.3: the detector's own box and the landmarks' box of one face overlap by 0.6 to 0.9
            missed += all(overlap(box, other) < 0.3 for other in looks.get(moment, []))
    speeds = {name: length / statistics.median(values) for name, values in spent.items()}
    return {
        **speeds,
        "cpu": {name: statistics.median(values) / length for name, values in worked.items()},
        "found": searched,
        "missed": missed,
        "followed": sum(map(len, tracks)),
        "drift": _drift(tracks, every),
    }


def _drift(tracks: Sequence[Any], every: Sequence[Any]) -> list[float]:
    """Distance between followed and searched landmarks, in shares of the face, wherever both have the same face."""
    reference = {
        (float(t), i): (b, p)
        for i, k in enumerate(every)
        for t, b, p in zip(k.times, k.boxes, k.landmarks, strict=True)
    }
    out = []
    for track in tracks:
        for moment, box, points in zip(track.times, track.boxes, track.landmarks, strict=True):
            for i in range(len(every)):
                other = reference.get((float(moment), i))
                if other is not None and overlap(box, other[0]) > 0.5:
                    out.append(float(np.linalg.norm(points - other[1], axis=1).mean()) / align.side(points))
    return out


def main(arguments: Sequence[str]) -> None:
    detect_every = 5
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        paths = [at_720p(Path(a), folder) for a in arguments] if arguments else drawn(folder)
        rows = []
        for path in paths:
            row = measure(path, detect_every)
            rows.append(row)
            print(
                f"{path.name:48.48} decode {row['decode']:6.1f}×  track {row['track']:5.1f}×  "
                f"every frame {row['search every frame']:5.1f}×  found {row['found']:4d}  missed {row['missed']:3d}",
                flush=True,
            )
    found, missed = sum(r["found"] for r in rows), sum(r["missed"] for r in rows)
    drift = [d for r in rows for d in r["drift"]]
    print(f"\n{len(rows)} clips at {WIDTH}×{HEIGHT}, detect_every={detect_every}, decoding included")
    for name in ("decode", "track", "search every frame"):
        values, cpu = [r[name] for r in rows], [r["cpu"][name] for r in rows]
        print(
            f"{name:20} {statistics.median(values):6.1f} × real time (slowest {min(values):.1f}); "
            f"CPU seconds for a second of video: {statistics.median(cpu):.2f} (most {max(cpu):.2f})"
        )
    print(
        f"faces found by searching every frame: {found}; missed by following: {missed} ({100 * missed / max(found, 1):.2f} %)"
    )
    print(
        f"landmarks differ by {100 * statistics.mean(drift):.2f} % of the face on average, 99th percentile {100 * np.percentile(drift, 99):.2f} %"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
