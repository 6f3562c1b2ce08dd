"""Measures how fast faces are tracked at 720p, decoding included.

Without clips it draws its own: two talking puppets in a 1280 × 720 picture, encoded with H.264. Clips of other sizes are
brought to 1280 × 720 first (scaled to fit, on grey), so that the figure means what it says.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import partial
from itertools import takewhile
from pathlib import Path

import numpy as np

from benchmarks.speed.arms import Case, Rounds, Work
from gioconda_core.faces import observe
from gioconda_core.faces.landmarks import DlibLandmarker
from gioconda_core.media.clip import Clip
from gioconda_core.media.pictures import grid
from gioconda_core.media.writer import write_video
from synth.puppets.perform import perform

SIZE, SECONDS, EVERY = (1280, 720), 6.0, 5


def drawn(folder: Path, frames: int) -> list[Path]:
    """Clips of two puppets each, 720p, 25 frames a second."""
    paths = []
    for left in (1, 3):
        pair = [perform(who, who, frames=frames, size=320).frames for who in (left, left + 1)]
        wide = np.full((frames, *SIZE[::-1], 3), 128, np.uint8)
        wide[:, 200:520, 150:470], wide[:, 150:470, 750:1070] = pair
        paths.append(folder / f"puppets-{left}-{left + 1}.mp4")
        write_video(paths[-1], wide, fps=25)
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
        yield from takewhile(lambda taken: taken[0] < SECONDS, clip.frames("all"))


def decoded(path: Path) -> float:
    """When the last of these frames is, in seconds."""
    return max(moment for moment, _ in head(path))


def followed(path: Path, landmarker: DlibLandmarker) -> object:
    """The faces, with their landmarks in every frame."""
    return observe.track(head(path), landmarker=landmarker, detect_every=EVERY)


def speeds(found: Rounds) -> Mapping[str, object]:
    """Each way in seconds of video a second, and in CPU seconds for a second of video."""
    length, row = found.result("decoded"), dict[str, object]()
    for way in found.takes:
        row |= {f"{way}, × real time": length / found.seconds(way, "wall")}
        row |= {f"{way}, CPU s a second": found.seconds(way) / length}
    return row


def cases(folder: Path, *paths: str, rounds: int = 3, frames: int = 100) -> Iterator[Case]:
    """A case a clip: decoding alone, and following with the whole picture searched every fifth frame. frames : of each drawn clip."""
    landmarker = DlibLandmarker()
    for path in [at_720p(Path(path), folder) for path in paths] or drawn(folder, frames):
        ways: dict[str, Work] = {"decoded": partial(decoded, path), "followed": partial(followed, path, landmarker)}
        yield Case({"clip": path.name, "searched every": EVERY}, ways, rounds, of=[], more=speeds)
