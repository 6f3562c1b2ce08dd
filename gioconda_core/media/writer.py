"""Writes video and pictures: H.264, H.265, VP9 and AV1 by quality, atomically and the same bytes every time.

Colours are BT.709 limited range, 4:2:0, and tagged so. The 4:2:0 encoders want even sizes: an odd width or height is padded by
repeating the last column or row, since 4:4:4 does not play in browsers; a clip of 101x57 is therefore read back as 102x58.
Thread counts are fixed, because encoders decide differently with other numbers of threads.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import MediaError, UsageError
from gioconda_core.files import atomic_path, refuse_overwrite
from gioconda_core.types import Audio

# name → encoder, quality option's range, options for speed and for the same bytes on every machine
CODECS: dict[str, tuple[str, int, dict[str, str]]] = {
    "h264": ("libx264", 51, {"preset": "medium", "threads": "2"}),
    "h265": ("libx265", 51, {"preset": "medium", "x265-params": "frame-threads=1:pools=2:log-level=none"}),
    "vp9": (
        "libvpx-vp9",
        63,
        {"deadline": "good", "cpu-used": "4", "threads": "2", "row-mt": "0", "tile-columns": "0"},
    ),
    "av1": ("libsvtav1", 63, {"preset": "8", "svtav1-params": "lp=2"}),
}
_CONTAINERS = {
    ".mp4": {"h264", "h265", "vp9", "av1"},
    ".m4v": {"h264", "h265"},
    ".mov": {"h264", "h265"},
    ".mkv": {"h264", "h265", "vp9", "av1"},
    ".webm": {"vp9", "av1"},
}
_ISO = (".mp4", ".m4v", ".mov")
_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".tif", ".bmp")
_VFR_CLOCK = 90_000  # ticks a second for free timestamps: 11 µs, the clock of MPEG


def video_name(path: str | os.PathLike[str], codec: str = "h264") -> None:
    """Refuse (UsageError) an unknown codec, and a name whose container does not take it: before frames are made for it."""
    suffix = Path(path).suffix.lower()
    if codec not in CODECS:
        raise UsageError(f"unknown codec {codec!r}", "codec", f"one of {', '.join(CODECS)}")
    if codec not in _CONTAINERS.get(suffix, ()):
        good = ", ".join(s for s, codecs in _CONTAINERS.items() if codec in codecs)
        raise UsageError(f"{codec} is not written to {suffix or 'a file without suffix'}", str(path), f"use {good}")


def write_video(
    path: str | os.PathLike[str],
    frames: Iterable[NDArray[np.uint8]],
    *,
    fps: Fraction | int | float,
    times: Sequence[float] | NDArray[np.float64] | None = None,
    codec: str = "h264",
    crf: float = 18,
    audio: Audio | None = None,
    force: bool = False,
) -> None:
    """Encode frames into a file that is whole or not there.

    Parameters
    ----------
    path : PathLike
        The container follows the suffix: .mp4, .mov, .mkv, .webm (VP9 and AV1 only).
    frames : iterable of uint8 (H, W, 3)
        RGB, all of one size; odd sizes are padded to even ones.
    fps : Fraction
        Frames per second; with ``times`` only the nominal rate.
    times : (T,) seconds, strictly increasing, optional
        Timestamps to keep (variable frame rate).
    codec : str
        ``h264``, ``h265``, ``vp9`` or ``av1``.
    crf : float
        Constant quality, lower is better: 0 to 51 (H.264, H.265), 0 to 63 (VP9, AV1).
    audio : Audio, optional
        The clip whose first audio track is copied, packet for packet, for as long as the frames last.

    Raises
    ------
    UsageError
        For an unknown codec or suffix, a file already there, frames of differing sizes, times that do not fit.
    MediaError
        When the audio cannot be copied or the encoder refuses.
    """
    from av.error import FFmpegError

    target = Path(path)
    video_name(target, codec)
    encoder, worst, options = CODECS[codec]
    if not 0 <= crf <= worst:
        raise UsageError(f"crf {crf:g} is out of range", "crf", f"0 to {worst} for {codec}")
    rate = Fraction(fps).limit_denominator(1001 * 1000)
    if rate <= 0:
        raise UsageError(f"{fps} frames per second", "fps", "give a rate above 0")
    refuse_overwrite(target, force)
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 talks on stderr unless told otherwise; 1 = errors only
    with atomic_path(target) as temporary:
        try:
            film = _Film(encoder, options | {"crf": f"{crf:g}"}, rate, times, target.suffix.lower())
            film.write(temporary, frames, audio)
        except FFmpegError as error:
            what = f"cannot be written: {error.strerror or error}".lower()
            raise MediaError(what, str(target), "try another codec or suffix") from error


@dataclass(frozen=True)
class _Film:
    """How frames become a file. times : seconds, None for a constant rate."""

    encoder: str
    options: dict[str, str]
    rate: Fraction
    times: Sequence[float] | NDArray[np.float64] | None
    suffix: str

    @property
    def clock(self) -> Fraction:
        return Fraction(1, _VFR_CLOCK) if self.times is not None else 1 / self.rate

    def write(self, temporary: Path, frames: Iterable[NDArray[np.uint8]], audio: Audio | None) -> None:
        import av

        flags = {"fflags": "+bitexact"} | ({"movflags": "+faststart"} if self.suffix in _ISO else {})
        stream: Any = None
        copied: _Copied | None = None
        pts, count, size = -1, 0, (0, 0)
        scaler = av.video.reformatter.VideoReformatter()
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(av.open(f"file:{temporary}", "w", container_options=flags))
            for count, picture in enumerate(frames, start=1):
                found = _size(picture, f"frame {count}", "frames")
                if stream is None:
                    size, stream = found, self._stream(output, *found)
                    if audio is not None:
                        copied = stack.enter_context(_Copied(output, audio))
                if found != size:
                    what = f"frame {count} is {found[0]}x{found[1]}, the first was {size[0]}x{size[1]}"
                    raise UsageError(what, "frames", "")
                now = count - 1 if self.times is None else _tick(self.times, count - 1)
                if now <= pts:
                    what = f"times do not increase at frame {count}"
                    raise UsageError(what, "times", "give strictly increasing seconds")
                pts = now
                frame = _frame(scaler, picture)
                frame.pts, frame.time_base, frame.duration = pts, self.clock, self._lasts(count - 1)
                for packet in stream.encode(frame):
                    output.mux(packet)
                    if copied is not None and packet.dts is not None:
                        copied.copy_until(float(packet.dts * packet.time_base))
            if stream is None:
                raise UsageError("there are no frames to write", "frames", "")
            if self.times is not None and len(self.times) != count:
                raise UsageError(f"{count} frames but {len(self.times)} times", "times", "give one per frame")
            output.mux(stream.encode(None))
            if copied is not None:
                copied.copy_until(float((pts + self._lasts(count - 1)) * self.clock))

    def _stream(self, output: Any, width: int, height: int) -> Any:
        """The output's video stream, opened; odd sides grow by one."""
        options = dict(self.options)
        if self.encoder == "libx264" and _has_avx512():
            # x264's AVX-512 lookahead gives other bytes now and then (3 to 7 runs in 60 here); AVX2 gives those of its C code, always.
            options["x264-params"] = "asm=avx2"
        stream = output.add_stream(self.encoder, rate=self.rate, options=options)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = self.clock
        context.bit_rate = 0  # as SVT-AV1 and libvpx want it beside a crf
        context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
        context.color_range = 1  # limited
        if self.encoder == "libx265" and self.suffix in _ISO:
            context.codec_tag = "hvc1"  # what players on phones accept
        with _own_priority():
            context.open(strict=False)
        return stream

    def _lasts(self, i: int) -> int:
        """Ticks that frame i stays on screen; the last one for one nominal frame."""
        if self.times is None:
            return 1
        if i + 1 < len(self.times):
            return max(1, _tick(self.times, i + 1) - _tick(self.times, i))
        return max(1, round(1 / self.rate / self.clock))


def _size(picture: NDArray[np.uint8], name: str, where: str) -> tuple[int, int]:
    """Width and height of a picture; UsageError of what is none."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        what = f"{name} has shape {picture.shape} and type {picture.dtype}"
        raise UsageError(what, where, "give uint8 (H, W, 3) RGB")
    return picture.shape[1], picture.shape[0]


def _frame(scaler: Any, picture: NDArray[np.uint8]) -> Any:
    """An RGB picture as the encoders take it: even sides, 4:2:0, BT.709 limited."""
    import av

    height, width = picture.shape[:2]
    if width % 2 or height % 2:
        picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    return scaler.reformat(
        frame, format="yuv420p", dst_colorspace="ITU709", src_color_range="JPEG", dst_color_range="MPEG"
    )


@contextlib.contextmanager
def _own_priority() -> Iterator[None]:
    """Give every thread its scheduling back afterwards.

    SVT-AV1, opened by root, makes the calling thread and all of its own real-time at the highest priority: one small clip then
    stops everything else on the machine, and the caller stays real-time for ever.
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        tasks = Path("/proc/self/task")
        for task in (int(p.name) for p in tasks.iterdir()) if tasks.is_dir() else (0,):
            with contextlib.suppress(OSError):  # a thread may have ended meanwhile
                if os.sched_getscheduler(task) != policy:
                    os.sched_setscheduler(task, policy, parameters)


def _has_avx512() -> bool:
    try:
        from numpy._core._multiarray_umath import __cpu_features__  # numpy keeps no public list
    except ImportError:
        return False
    return bool(__cpu_features__.get("AVX512F"))


def _tick(times: Sequence[float] | NDArray[np.float64], i: int) -> int:
    if i >= len(times):
        raise UsageError(f"more frames than the {len(times)} times", "times", "give one per frame")
    return round(float(times[i]) * _VFR_CLOCK)


class _Copied:
    """Copies the first audio track of a clip into the output, packet by packet, no faster than the video is written."""

    def __init__(self, output: Any, audio: Audio) -> None:
        import av
        from av.error import FFmpegError

        where, start = os.fspath(audio.path), audio.start
        try:
            self._input = av.open(f"file:{os.path.abspath(where)}", "r", options={"protocol_whitelist": "file"})
        except (FFmpegError, OSError, ValueError) as error:
            hint = "give a clip with sound, or leave the audio out"
            raise MediaError("the audio source cannot be opened", where, hint) from error
        if not self._input.streams.audio:
            self._input.close()
            raise MediaError("has no audio track to copy", where, "leave the audio out")
        track = self._input.streams.audio[0]
        try:
            self._stream = output.add_stream_from_template(track)
        except (FFmpegError, ValueError) as error:
            name = track.codec_context.name
            self._input.close()
            what = f"{name} audio does not fit this container"
            raise MediaError(what, where, "write .mkv, or leave the audio out") from error
        # The clip's clock begins at its first video frame; a file of sound alone begins with its sound.
        lead: Any = self._input.streams.video[0] if self._input.streams.video else track
        self._zero = float((lead.start_time or 0) * lead.time_base) + start
        self._start = start
        self._packets: Iterator[Any] = self._input.demux(track)
        self._waiting: Any = None
        self._output = output

    def copy_until(self, seconds: float) -> None:
        """Copy the packets that begin before ``seconds`` of the output."""
        while True:
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None:
                return
            if packet.pts is None:
                continue
            begins = float(packet.pts * packet.time_base) - self._zero
            if begins >= seconds:
                self._waiting = packet
                return
            # Priming packets (before zero) belong to a track that is copied from its beginning; a cut one starts at a packet edge.
            if begins < 0 and self._start > 0:
                continue
            shift = round(self._zero / float(packet.time_base))
            packet.pts -= shift
            packet.dts = packet.pts
            packet.stream = self._stream
            self._output.mux(packet)

    def __enter__(self) -> "_Copied":
        return self

    def __exit__(self, *_: object) -> None:
        self._input.close()


def write_image(
    path: str | os.PathLike[str], frame: NDArray[np.uint8], quality: int = 95, *, xmp: bytes = b"", force: bool = False
) -> None:
    """Write one uint8 (H, W, 3) RGB picture, atomically; the format follows the suffix (.png, .jpg, .webp, .avif, .tif, .bmp).

    quality : 1 to 100 for JPEG, WebP and AVIF; JPEG keeps full chroma from 90 up.
    xmp : a packet of metadata, for the formats that have a place for it (all but .bmp).
    """
    from PIL import Image, PngImagePlugin

    target = Path(path)
    refuse_overwrite(target, force)
    suffix = target.suffix.lower()
    if suffix not in _PICTURES:
        what = f"pictures are not written to {suffix or 'a file without suffix'}"
        raise UsageError(what, str(target), f"use {', '.join(_PICTURES)}")
    _size(frame, "the picture", str(target))
    kind = {".jpg": "JPEG", ".tif": "TIFF"}.get(suffix, suffix[1:].upper())
    extra: dict[str, Any] = {"quality": quality} if kind in ("JPEG", "WEBP", "AVIF") else {}
    if kind == "JPEG" and quality >= 90:
        extra["subsampling"] = 0
    if xmp and kind == "PNG":
        extra["pnginfo"] = PngImagePlugin.PngInfo()
        extra["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode())
    elif xmp and kind == "TIFF":
        extra["tiffinfo"] = {700: xmp}
    elif xmp and kind != "BMP":
        extra["xmp"] = xmp
    with atomic_path(target) as temporary:
        Image.fromarray(frame).save(temporary, format=kind, **extra)
