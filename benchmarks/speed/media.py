"""Decoding speed against hand-written PyAV, as ratios taken interleaved in one run.

    python -m benchmarks.speed.media [CLIP…]

Without clips it draws its own: one minute of 720p, 25 frames a second, soft, moving and grainy, H.264 with a keyframe every second, every
two seconds or every ten (x264's own default). ``--keep FOLDER`` keeps what was drawn for the next run. Each figure is the median over
rounds of the ratio within a round, so that a noisy neighbour slows both sides alike.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gioconda_core.files import atomic_path
from gioconda_core.media.clip import Clip

SECONDS, FPS = 60, 25
SIZE = (1280, 720)
GAPS = (1, 2, 10)  # seconds between keyframes


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


def bare_loop(path: Path) -> int:
    """What one writes first with PyAV, its threads turned on."""
    import av

    count = 0
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            frame.to_ndarray(format="rgb24")
            count += 1
    return count


def seek_loop(path: Path, targets: list[float], threads: str) -> int:
    """Seek before each time wanted, decode to it: the best that is commonly written."""
    import av

    count = 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = threads
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
    import av

    wanted = iter(targets)
    target = next(wanted)
    count = 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            if float((frame.pts + (frame.duration or 0)) * stream.time_base) > target:
                frame.to_ndarray(format="rgb24")
                count += 1
                target = next(wanted, float("inf"))
                if target == float("inf"):
                    break
    return count


def reference_loop(path: Path) -> int:
    """Only what other pictures refer to, none of it converted: what nobody who wants exact frames far from keyframes can leave out."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.skip_frame = "NONREF"
        return sum(1 for _ in container.decode(stream))


# --------------------------------------------------------------------------- ours


def ours(path: Path, sampling: str, sandbox: bool = False) -> int:
    with Clip.open(path, sandbox=sandbox) as clip:
        return sum(1 for _ in clip.frames(sampling))


def timed(work: Callable[[], int]) -> tuple[float, float, int]:
    """CPU seconds, clock seconds, and what the work returned."""
    clock, cpu = time.perf_counter(), time.process_time()
    count = work()
    return time.process_time() - cpu, time.perf_counter() - clock, count


def interleaved(rounds: int, **works: Callable[[], int]) -> dict[str, Any]:
    """CPU and clock seconds of each work per round, taken in turn; and how many frames each gave."""
    cpu: dict[str, list[float]] = {name: [] for name in works}
    clock: dict[str, list[float]] = {name: [] for name in works}
    counts: dict[str, int] = {}
    for i in range(rounds):
        for name in list(works) if i % 2 == 0 else list(reversed(works)):
            spent, waited, counts[name] = timed(works[name])
            cpu[name].append(spent)
            clock[name].append(waited)
    return {"cpu": cpu, "clock": clock, "frames": counts}


def ratio(seconds: dict[str, list[float]], slow: str, fast: str) -> float:
    """How many times faster ``fast`` is: the median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(seconds[slow], seconds[fast], strict=True))


def decoding(rounds: int, paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """The media figures, one row for each clip."""
    for path in paths:
        with Clip.open(path) as clip:
            targets = [float(t) for t in range(math.ceil(clip.duration - 1e-9))]
        result = interleaved(
            rounds,
            all=lambda path=path: ours(path, "all"),
            bare=lambda path=path: bare_loop(path),
            sandbox=lambda path=path: ours(path, "all", True),
            every=lambda path=path: ours(path, "every:1s"),
            even=lambda path=path: ours(path, "even:32"),
            keys=lambda path=path: ours(path, "keyframes"),
            references=lambda path=path: reference_loop(path),
            seek=lambda path=path, targets=targets: seek_loop(path, targets, "AUTO"),
            seek_slice=lambda path=path, targets=targets: seek_loop(path, targets, "SLICE"),
            walk=lambda path=path, targets=targets: walk_loop(path, targets),
        )
        cpu, clock = result["cpu"], result["clock"]
        by_hand = ("seek", "seek_slice", "walk")
        best_cpu, best_clock = (min(by_hand, key=lambda name: statistics.median(spent[name])) for spent in (cpu, clock))
        yield {
            "clip": path.name,
            "rounds": rounds,
            "all, frames per CPU second": result["frames"]["all"] / statistics.median(cpu["all"]),
            "all vs bare PyAV loop, CPU": ratio(cpu, "bare", "all"),
            "all vs bare PyAV loop, clock": ratio(clock, "bare", "all"),
            "all in the sandbox vs bare, clock": ratio(clock, "bare", "sandbox"),
            "every:1s vs all, CPU": ratio(cpu, "all", "every"),
            "every:1s vs all, clock": ratio(clock, "all", "every"),
            "references alone vs all, CPU": ratio(cpu, "all", "references"),
            "references alone vs all, clock": ratio(clock, "all", "references"),
            "every:1s vs best by hand, CPU": ratio(cpu, best_cpu, "every"),
            "every:1s vs best by hand, clock": ratio(clock, best_clock, "every"),
            "best by hand, CPU; clock": f"{best_cpu}; {best_clock}",
            "even:32, CPU s": statistics.median(cpu["even"]),
            "keyframes, CPU s": statistics.median(cpu["keys"]),
            "frames given": [result["frames"][n] for n in ("all", "bare", "every", best_cpu)],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, nargs="*", metavar="CLIP", help="clips of your own, in place of drawn ones")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gap", type=int, nargs="+", default=list(GAPS), help="seconds between keyframes")
    parser.add_argument("--keep", type=Path, help="a folder for the drawn clips")
    parser.add_argument("--json", action="store_true", help="one JSON row per line")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gioconda-speed-") as folder:
        drawn = (material(arguments.keep or Path(folder), gap) for gap in arguments.gap)
        for row in decoding(arguments.rounds, arguments.clips or drawn):
            if arguments.json:
                print(json.dumps(row), flush=True)
            else:
                print(
                    "\n".join(
                        f"{key:>34}  {value:.3g}" if isinstance(value, float) else f"{key:>34}  {value}"
                        for key, value in row.items()
                    )
                )
                print(flush=True)


if __name__ == "__main__":
    main()
