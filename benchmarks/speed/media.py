"""Decoding speed against hand-written PyAV, as ratios taken interleaved in one run.

    python -m benchmarks.speed.media [CLIP…]

Without clips it draws its own: one minute of 720p, 25 frames a second, soft, moving and grainy, H.264 with a keyframe every second, every
two seconds or every ten (x264's own default). ``--keep FOLDER`` keeps what was drawn for the next run.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.arms import alternate, options, tell
from gioconda_core.files import atomic_path
from gioconda_core.media.clip import Clip

SECONDS, FPS = 60, 25
SIZE = (1280, 720)
GAPS = (1, 2, 10)  # seconds between keyframes
BY_HAND = ("seek", "seek_slice", "walk")


def material(folder: Path, gap: int, seconds: int = SECONDS) -> Path:
    """One 720p clip with a keyframe every ``gap`` seconds. Encoded here, since the writer leaves keyframes to the encoder."""
    import av

    path = folder / f"{gap}s.mp4"
    if path.exists():
        return path
    import cv2

    rng = np.random.default_rng(0)
    soft = rng.integers(30, 225, (34, 120, 3)).astype(np.uint8)
    texture = cv2.resize(soft, (SIZE[0] * 3, SIZE[1] + 300), interpolation=cv2.INTER_CUBIC)
    grain = rng.normal(0, 2.5, (8, SIZE[1], SIZE[0], 1)).astype(np.int8)  # a camera's, so that nothing is quite still
    with atomic_path(path) as unfinished, av.open(str(unfinished), "w", format="mp4") as container:
        gop = f"keyint={gap * FPS}:min-keyint={gap * FPS}:scenecut=0"  # everything else as x264 does it when not told
        options = {"x264-params": gop}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for i in range(seconds * FPS):
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
    import av

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


def reference_loop(path: Path) -> int:
    """Only what other pictures refer to, none of it converted: what nobody who wants exact frames far from keyframes can leave out."""
    with by_hand(path) as (container, stream):
        stream.codec_context.skip_frame = "NONREF"
        return sum(1 for _ in container.decode(stream))


# --------------------------------------------------------------------------- ours


def ours(path: Path, sampling: str, sandbox: bool = False) -> int:
    with Clip.open(path, sandbox=sandbox) as clip:
        return sum(1 for _ in clip.frames(sampling))


def decoding(rounds: int, path: Path) -> dict[str, Any]:
    """The media figures of one clip."""
    with Clip.open(path) as clip:
        targets = [float(t) for t in range(math.ceil(clip.duration - 1e-9))]
    found = alternate(
        rounds,
        {
            "all": lambda: ours(path, "all"),
            "bare": lambda: bare_loop(path),
            "sandbox": lambda: ours(path, "all", True),
            "every": lambda: ours(path, "every:1s"),
            "even": lambda: ours(path, "even:32"),
            "keys": lambda: ours(path, "keyframes"),
            "references": lambda: reference_loop(path),
            "seek": lambda: seek_loop(path, targets, "AUTO"),
            "seek_slice": lambda: seek_loop(path, targets, "SLICE"),
            "walk": lambda: walk_loop(path, targets),
        },
    )
    best = {of: min(BY_HAND, key=lambda arm: found.seconds(arm, of)) for of in ("cpu", "wall")}
    row: dict[str, Any] = {"clip": path.name, "all, frames per CPU second": found.result("all") / found.seconds("all")}
    for of, name in (("cpu", "CPU"), ("wall", "clock")):
        row |= {
            f"all vs bare PyAV loop, {name}": found.ratio("bare", "all", of),
            f"every:1s vs all, {name}": found.ratio("all", "every", of),
            f"references alone vs all, {name}": found.ratio("all", "references", of),
            f"every:1s vs best by hand, {name}": found.ratio(best[of], "every", of),
            f"best by hand, {name}": best[of],
        }
    return row | {
        "all in the sandbox vs bare, clock": found.ratio("bare", "sandbox", "wall"),
        "even:32, CPU s": found.seconds("even"),
        "keyframes, CPU s": found.seconds("keys"),
        "frames given": [found.result(arm) for arm in ("all", "bare", "every", best["cpu"])],
    }


def main() -> None:
    given = options(__doc__, "clips*", rounds=5, gap=list(GAPS), keep=Path)
    with tempfile.TemporaryDirectory(prefix="gioconda-speed-") as folder:
        paths = (
            map(Path, given.clips) if given.clips else (material(given.keep or Path(folder), gap) for gap in given.gap)
        )
        tell([decoding(given.rounds, path) for path in paths], given.json)


if __name__ == "__main__":
    main()
