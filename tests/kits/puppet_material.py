"""Footage drawn for the synth tests: shards and clips of puppets, made once a session."""

from __future__ import annotations

import functools
import tempfile
from fractions import Fraction
from pathlib import Path

from gioconda_core.media.clip import write_video
from synth.fakes.prepare import Prepare, prepare
from synth.puppets.perform import Performance, perform

take = functools.lru_cache(maxsize=8)(perform)


def puppet(identity: int = 3, motion: int = 5, frames: int = 20) -> Performance:
    """A short take, drawn once."""
    return take(identity, motion, frames)


@functools.lru_cache(maxsize=1)
def shards() -> Path:
    """Shards of four puppets, 20 frames each, 96 px."""
    folder = Path(tempfile.mkdtemp(prefix="puppet-shards-"))
    prepare(Prepare(sources=("puppets:4",), size=96, puppet_frames=20, min_face=32), folder)
    return folder


def clip(path: Path, identity: int = 3, motion: int = 5, frames: int = 20, **options) -> Path:
    """A take as a video file."""
    write_video(path, iter(puppet(identity, motion, frames).frames), fps=Fraction(25), **options)
    return path


def tone(path: Path, seconds: float = 2.0) -> Path:
    """A 440 Hz tone as AAC in MP4."""
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        wave = (0.3 * np.sin(2 * np.pi * 440 * np.arange(int(44100 * seconds)) / 44100)).astype(np.float32)
        for at in range(0, len(wave), 1024):
            frame = av.AudioFrame.from_ndarray(wave[None, at : at + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44100, at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
