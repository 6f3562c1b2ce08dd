"""Measures the speed of decoding against hand-written PyAV, as ratios taken interleaved in one run.

Without clips it draws its own: one minute of 720p, 25 frames a second, soft, moving and grainy, H.264 with a keyframe every second, every
two seconds or every ten (x264's own default). ``--keep FOLDER`` keeps what was drawn for the next run.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from benchmarks.speed.arms import Case, Rounds
from gioconda_core.files import atomic_path
from gioconda_core.media.clip import Clip

SECONDS, FPS, SIZE = 60, 25, (1280, 720)
BY_HAND = ("seek", "seek slice", "walk")


def material(folder: Path, gap: int) -> Path:
    """One 720p clip with a keyframe every ``gap`` seconds. Encoded here, since the writer leaves keyframes to the encoder."""
    path = folder / f"{gap}s.mp4"
    if path.exists():
        return path
    rng = np.random.default_rng(0)
    soft = rng.integers(30, 225, (34, 120, 3)).astype(np.uint8)
    texture = cv2.resize(soft, (SIZE[0] * 3, SIZE[1] + 300), interpolation=cv2.INTER_CUBIC)
    grain = rng.normal(0, 2.5, (8, SIZE[1], SIZE[0], 1)).astype(np.int8)  # a camera's, so that nothing is quite still
    with atomic_path(path) as unfinished, av.open(str(unfinished), "w", format="mp4") as container:
        gop = f"keyint={gap * FPS}:min-keyint={gap * FPS}:scenecut=0"  # everything else as x264 does it when not told
        stream = container.add_stream("libx264", rate=FPS, options={"x264-params": gop})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for i in range(SECONDS * FPS):
            left = i * 3 % (texture.shape[1] - SIZE[0])
            still = texture[i % 300 : i % 300 + SIZE[1], left : left + SIZE[0]].astype(np.int16)
            picture = np.clip(still + grain[i % 8], 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


# --------------------------------------------------------------------------- by hand


@contextlib.contextmanager
def by_hand(path: Path, threads: str = "AUTO") -> Iterator[tuple[Any, Any]]:
    """A container and its video stream, as one opens them with PyAV, its threads turned on."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = threads
        yield container, stream


def bare_loop(path: Path) -> int:
    """What one writes first: every frame decoded and converted."""
    with by_hand(path) as (container, stream):
        return sum(frame.to_ndarray(format="rgb24") is not None for frame in container.decode(stream))


def seek_loop(path: Path, targets: list[float], threads: str) -> int:
    """Seek before each time wanted, decode to it: the best that is commonly written."""
    count = 0
    with by_hand(path, threads) as (container, stream):
        for target in targets:
            tick = round(target / stream.time_base)
            container.seek(tick, stream=stream)
            for frame in container.decode(stream):
                if frame.pts + (frame.duration or 0) > tick:
                    frame.to_ndarray(format="rgb24")
                    count += 1
                    break
    return count


def walk_loop(path: Path, targets: list[float]) -> int:
    """Decode everything, convert only what is wanted: better than seeking where keyframes are rare."""
    left = list(reversed(targets))
    with by_hand(path) as (container, stream):
        for frame in container.decode(stream):
            if float((frame.pts + (frame.duration or 0)) * stream.time_base) > left[-1]:
                frame.to_ndarray(format="rgb24")
                left.pop()
                if not left:
                    break
    return len(targets) - len(left)


# --------------------------------------------------------------------------- ours


def ours(path: Path, sampling: str, sandbox: bool = False) -> int:
    """How many frames a sampling gives, all of them read."""
    with Clip.open(path, sandbox=sandbox) as clip:
        return sum(1 for _ in clip.frames(sampling))


def more(found: Rounds) -> Mapping[str, object]:
    """Against the best of the three by hand, by the processor and by the clock."""
    best = {of: min(BY_HAND, key=lambda arm: found.seconds(arm, of)) for of in ("cpu", "wall")}
    return {
        **{f"best by hand, {of}": arm for of, arm in best.items()},
        **{f"every:1s vs best by hand, {of}": found.ratio(arm, "every", of) for of, arm in best.items()},
        "all, frames per CPU second": found.result("all") / found.seconds("all"),
        "frames given": [found.result(arm) for arm in ("all", "bare", "every", best["cpu"])],
    }


def cases(
    folder: Path, *paths: str, rounds: int = 5, gap: Sequence[int] = (1, 2, 10), keep: Path | None = None
) -> Iterator[Case]:
    """A case a clip. gap : seconds between keyframes of the drawn ones."""
    for path in map(Path, paths) if paths else (material(keep or folder, seconds) for seconds in gap):
        with Clip.open(path) as clip:
            targets = [float(t) for t in range(math.ceil(clip.duration - 1e-9))]
        ways = {
            "all": partial(ours, path, "all"),
            "bare": partial(bare_loop, path),
            "sandbox": partial(ours, path, "all", True),
            "every": partial(ours, path, "every:1s"),
            "even:32": partial(ours, path, "even:32"),
            "keyframes": partial(ours, path, "keyframes"),
            "seek": partial(seek_loop, path, targets, "AUTO"),
            "seek slice": partial(seek_loop, path, targets, "SLICE"),
            "walk": partial(walk_loop, path, targets),
        }
        ratios = {
            "all vs bare PyAV loop": ("bare", "all"),
            "all in the sandbox vs bare": ("bare", "sandbox"),
            "every:1s vs all": ("all", "every"),
        }
        yield Case({"clip": path.name}, ways, rounds, ratios, agree=("all", "bare", "sandbox"), more=more)
