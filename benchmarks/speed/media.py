"""Measures the speed of decoding against a bare PyAV loop, and of sampling against decoding all, as ratios taken interleaved in one run.

Without clips it draws its own: one minute of 720p, 25 frames a second, soft, moving and grainy, H.264 with a keyframe every second, every
two seconds or every ten (x264's own default). ``--keep FOLDER`` keeps what was drawn for the next run.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np

from benchmarks.speed.arms import Case
from gioconda_core.files import atomic_path
from gioconda_core.media.clip import Clip

FPS, SIZE = 25, (1280, 720)


def material(folder: Path, gap: int, seconds: int) -> Path:
    """One 720p clip of so many seconds with a keyframe every ``gap`` seconds. Encoded here, since the writer leaves keyframes to the encoder."""
    path = folder / f"{gap}s-of-{seconds}s.mp4"
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
        for i in range(seconds * FPS):
            left = i * 3 % (texture.shape[1] - SIZE[0])
            still = texture[i % 300 : i % 300 + SIZE[1], left : left + SIZE[0]].astype(np.int16)
            picture = np.clip(still + grain[i % 8], 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def bare_loop(path: Path) -> int:
    """What one writes first: every frame decoded and converted."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        return sum(frame.to_ndarray(format="rgb24") is not None for frame in container.decode(stream))


def ours(path: Path, sampling: str, sandbox: bool = False) -> int:
    """How many frames a sampling gives, all of them read."""
    with Clip.open(path, sandbox=sandbox) as clip:
        return sum(1 for _ in clip.frames(sampling))


def cases(
    folder: Path,
    *paths: str,
    rounds: int = 5,
    gap: Sequence[int] = (1, 2, 10),
    seconds: int = 60,
    keep: Path | None = None,
) -> Iterator[Case]:
    """A case a clip. gap : seconds between keyframes of the drawn ones. seconds : their length."""
    for path in map(Path, paths) if paths else (material(keep or folder, each, seconds) for each in gap):
        ways = {
            "all": partial(ours, path, "all"),
            "bare": partial(bare_loop, path),
            "sandbox": partial(ours, path, "all", True),
            "every": partial(ours, path, "every:1s"),
            "even:32": partial(ours, path, "even:32"),
            "keyframes": partial(ours, path, "keyframes"),
        }
        ratios = {
            "all vs bare PyAV loop": ("bare", "all"),
            "all in the sandbox vs bare": ("bare", "sandbox"),
            "every:1s vs all": ("all", "every"),
        }
        yield Case({"clip": path.name}, ways, rounds, ratios, agree=("all", "bare", "sandbox"))
