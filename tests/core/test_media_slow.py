"""What takes minutes: thousands of damaged files through the worker, and two hours of 1080p in bounded memory."""

import functools
import io
import shutil
import subprocess
import sys
import tempfile
from fractions import Fraction

import av
import numpy as np
import pillow_heif
import psutil
import pytest
from media_material import encode, numbered, numbered_clip
from PIL import Image

from gioconda_core.errors import MediaError, UsageError
from gioconda_core.media.clip import Clip, Limits, write_video

pytestmark = pytest.mark.slow

MUTATIONS = 3200


def _originals(folder):
    """One small file of every kind that is read."""
    yield numbered_clip(folder / "a.mp4", 16, options={"g": "6"})
    yield numbered_clip(folder / "a.mkv", 16, options={"g": "6"})
    yield numbered_clip(folder / "a.ts", 16, options={"g": "6"})
    yield numbered_clip(folder / "hevc.mp4", 12, codec="libx265", options={"x265-params": "log-level=none"})
    yield numbered_clip(folder / "a.webm", 12, codec="libvpx-vp9", options={"cpu-used": "8", "deadline": "realtime"})
    # By the writer, which takes back the real-time priority that SVT-AV1 gives whoever opens it as root: the rest of a test run.
    yield write_video(folder / "av1.mp4", map(numbered, range(8)), fps=25, codec="av1") or folder / "av1.mp4"
    yield numbered_clip(folder / "a.avi", 12, codec="mpeg4", options={"bf": "2"})
    yield numbered_clip(folder / "a.mpg", 12, codec="mpeg2video")
    yield encode(folder / "wide.mov", [numbered(i, 360) for i in range(4)], codec="prores_ks", pix_fmt="yuv422p10le")
    yield numbered_clip(folder / "a.flv", 12, codec="flv1")
    pictures = [Image.fromarray(numbered(i)) for i in range(4)]
    pillow_heif.from_pillow(pictures[0]).save(folder / "a.heic")
    pictures[0].save(folder / "big.tif", big_tiff=True)
    (folder / "a.mjpeg").write_bytes(b"".join(_jpeg(picture) for picture in pictures))
    yield from (folder / name for name in ("a.heic", "big.tif", "a.mjpeg"))
    for suffix in ("gif", "webp", "png"):
        pictures[0].save(folder / f"anim.{suffix}", save_all=True, append_images=pictures[1:], duration=80)
        yield folder / f"anim.{suffix}"
    for suffix in ("jpg", "tif", "bmp", "avif", "jp2"):
        pictures[0].save(folder / f"a.{suffix}")
        yield folder / f"a.{suffix}"


def _jpeg(picture):
    out = io.BytesIO()
    picture.save(out, "jpeg")
    return out.getvalue()


def _children():
    return {p for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE}


def _mutated(data, rng):
    """Flipped bits, overwritten, removed or repeated runs; more often near the front, where the headers are."""
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 12))):
        at = int(len(data) * rng.random() ** (3 if rng.random() < 0.5 else 1)) % max(1, len(data))
        kind = rng.integers(0, 6)
        if kind <= 2:
            data[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 3:
            data[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\x80\0\0\0"])
        elif kind == 4:
            del data[at : at + int(rng.integers(1, 64))]
        else:
            data[at:at] = data[at : at + int(rng.integers(1, 64))]
    return bytes(data)


def test_thousands_of_mutations_end_in_frames_or_one_clear_error(tmp_path, monkeypatch):
    rng = np.random.default_rng(20)
    originals = [path.read_bytes() for path in _originals(tmp_path)]
    # A folder of its own for what is temporary: other tests run meanwhile, and have theirs.
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    others = _children()
    path = tmp_path / "mutant.bin"
    read = refused = 0
    limits = Limits(stall_seconds=20, seconds=40, memory_bytes=2 << 30, pixels=20_000_000, frames=2000)
    for i in range(MUTATIONS):
        path.write_bytes(_mutated(originals[i % len(originals)], rng))
        try:
            with Clip.open(path, sandbox=True, limits=limits) as clip:
                sampling = ("all", "even:5", "every:0.1", "keyframes", "at:0,0.2")[i % 5]
                for seconds, frame in clip.frames(sampling):
                    assert frame.dtype == np.uint8 and frame.shape == (clip.facts.height, clip.facts.width, 3)
                    assert 0 <= seconds < 1e7
                read += 1
        except MediaError as error:
            assert error.what and error.where
            refused += 1
        except UsageError as error:
            assert "no frame at" in error.what
    assert read > MUTATIONS / 5 and refused > MUTATIONS / 20
    assert len(_children() - others) <= 2
    assert not list((tmp_path / "temporary").iterdir())


def _long(path, fps, hours=2):
    """Two hours of 1080p, made by repeating the packets of a few seconds with later timestamps."""
    rng = np.random.default_rng(0)
    texture = np.kron(rng.integers(0, 255, (90, 160, 3)).astype(np.uint8), np.ones((12, 12, 1), np.uint8))
    seed = path.with_name("seed.mp4")
    encode(
        seed, [np.roll(texture, 4 * i, axis=1) for i in range(25)], fps=fps, options={"preset": "ultrafast", "bf": "0"}
    )
    with av.open(str(seed)) as source, av.open(str(path), "w") as target:
        packets = [p for p in source.demux(video=0) if p.size]
        stream = target.add_stream_from_template(source.streams.video[0])
        base, count = source.streams.video[0].time_base, 0
        tick = round(1 / fps / base)
        payloads = [(bytes(p), p.is_keyframe) for p in packets]
        while count < hours * 3600 * fps:
            for payload, key in payloads:
                packet = av.Packet(payload)
                packet.pts = packet.dts = count * tick
                packet.time_base, packet.stream, packet.is_keyframe = base, stream, key
                target.mux(packet)
                count += 1
    seed.unlink()
    return path


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Long clips by container and rate, each made once."""
    folder = tmp_path_factory.mktemp("long")
    yield functools.cache(lambda suffix, fps: _long(folder / f"{fps.denominator}-{fps.numerator}.{suffix}", fps))
    shutil.rmtree(folder)  # gigabytes


@pytest.mark.parametrize(
    ("fps", "sampling", "frames"),
    # 36,000 frames are as many as cannot be decoded in half a minute.
    [(Fraction(1, 16), "all", 450), (Fraction(5), "even:32", 32), (Fraction(5), "every:60", 120)],
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_two_hours_of_1080p_stay_under_one_gibibyte(long, fps, sampling, frames, suffix):
    if (suffix, sampling) == ("mkv", "all"):
        pytest.skip("said by the MP4 already")
    path = long(suffix, fps)
    code = f"""
import time
from gioconda_core.media.clip import Clip
from gioconda_core.testing import peak_memory
began = time.process_time()
with Clip.open({str(path)!r}) as clip:
    assert abs(clip.duration - 7200) < 60, clip.duration
    print(sum(1 for _ in clip.frames({sampling!r})), peak_memory(), time.process_time() - began)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    count, peak, seconds = run.stdout.split()
    assert abs(int(count) - frames) <= 1
    assert int(peak) < 1 << 30
    if sampling != "all":
        assert float(seconds) < 30, "all frames were decoded"
