"""Clips drawn for the media tests: every frame carries its own number as a strip of black and white squares."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

BITS, CELL = 12, 16
WIDTH, HEIGHT = BITS * CELL, 96


def numbered(n: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A frame that says n: 12 bits along the top, and a moving, textured bar below so that frames depend on one another."""
    picture = np.full((height, width, 3), 90, np.uint8)
    for bit in range(BITS):
        picture[:CELL, bit * CELL : (bit + 1) * CELL] = 235 if n >> bit & 1 else 16
    x = (n * 5) % (width - 24)
    picture[CELL + 8 :, x : x + 24] = (40 + n * 3 % 180, 200, 60)
    return picture


def number(picture: np.ndarray) -> int:
    """The number a frame says."""
    cells = picture[CELL // 4 : CELL - CELL // 4, : BITS * CELL].reshape(CELL // 2, BITS, CELL, 3)
    return sum(1 << bit for bit, value in enumerate(cells[:, :, 4:-4].mean(axis=(0, 2, 3))) if value > 125)


def encode(
    path,
    pictures,
    *,
    codec="libx264",
    fps=Fraction(25),
    options=None,
    pts=None,
    base=None,
    pix_fmt="yuv420p",
    **context,
):
    """Encode with PyAV directly, so that the reader is not tested against our own writer."""
    container = av.open(str(path), "w")
    stream = container.add_stream(codec, rate=fps, options=options or {})
    first = True
    for i, picture in enumerate(pictures):
        if first:
            stream.width, stream.height, stream.pix_fmt = picture.shape[1], picture.shape[0], pix_fmt
            stream.codec_context.time_base = base or 1 / Fraction(fps)
            for name, value in context.items():
                setattr(stream.codec_context if hasattr(stream.codec_context, name) else stream, name, value)
            first = False
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = (i if pts is None else pts[i]), base or 1 / Fraction(fps)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
    container.close()
    return path


def numbered_clip(path, n=120, **kwargs):
    return encode(path, (numbered(i) for i in range(n)), **kwargs)


def rough(n):
    """Numbered pictures with noise below, so that packets are some kilobytes."""
    rng = np.random.default_rng(0)
    for i in range(n):
        picture = numbered(i)
        picture[40:] = rng.integers(0, 255, picture[40:].shape)
        yield picture


def packets(path):
    """Those of the video that hold data."""
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(video=0) if packet.size]


def torn(path):
    """A Matroska film of two seconds, whatever its name, in the middle of which a few frames are lost."""
    made = encode(path.with_suffix(".mkv"), rough(50), options={"g": "10", "crf": "30", "threads": "1"})
    place = packets(made)[23].pos
    data = bytearray(made.read_bytes())
    data[place : place + 3000] = np.random.default_rng(1).bytes(3000)
    made.unlink()
    path.write_bytes(data)
    return path


def with_audio(path, video_seconds, audio_seconds):
    """A clip whose sound may last longer than its pictures."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 192, 96, "yuv420p"
        audio = container.add_stream("aac", rate=48000, layout="mono")
        for i in range(int(video_seconds * 25)):
            frame = av.VideoFrame.from_ndarray(numbered(i), format="rgb24")
            frame.pts = i
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for i in range(int(audio_seconds * 48000) // 1024):
            tone = np.sin(np.arange(i * 1024, (i + 1) * 1024) * 440 * 2 * np.pi / 48000).astype(np.float32)[None]
            sound = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = 48000, i * 1024, Fraction(1, 48000)
            container.mux(audio.encode(sound))
        container.mux(audio.encode(None))
    return path


def small_tree(root: Path) -> Path:
    """A folder with five files of media to audit, four pictures in a folder below and one that is broken, and one that is none."""
    (root / "sub").mkdir(parents=True)
    for i in range(4):
        Image.new("RGB", (16, 16), (i * 40, 90, 90)).save(root / "sub" / f"{i}.png")
    (root / "notes.txt").write_text("not media, not looked at")
    (root / "broken.mp4").write_bytes(b"not media either")
    return root
