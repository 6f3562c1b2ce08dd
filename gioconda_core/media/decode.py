"""Video files through PyAV: facts, every frame in order, and exact sparse sampling that seeks where that is faster.

Exactness: the frame given for a time is the one on screen then, the same one that decoding everything gives. A seek lands on a
keyframe packet K; frames before K's timestamp are leading pictures that refer to what was skipped and are never given; if K lies
after the time wanted, or the frame wanted does not come out, the search goes further back.

Speed: packets are read ahead to the time wanted, so that the frame's timestamp is known before decoding, everything before the last
keyframe not after it is never decoded, and pictures that nothing refers to are skipped on the way. Where the times wanted lie behind
different keyframes, several decoders work at once, each in one thread (:mod:`gioconda_core.media.read_ahead`).

Not covered: deinterlacing (interlaced frames are given woven), subtitles, layered (multi-view) streams beyond the base.
"""

import contextlib
import math
import os
from array import array
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from gioconda_core.errors import MediaError, UsageError
from gioconda_core.media.colour import Orientation, RgbMaker
from gioconda_core.media.facts import TOO_LARGE_HINT, ClipFacts, Limits
from gioconda_core.media.losses import REORDERED, Loss, Sent, Survey, packets
from gioconda_core.media.read_ahead import in_turn
from gioconda_core.media.sampling import SLACK, Sampling
from gioconda_core.media.seek import HIDDEN, Ended, Finder, Unsure, keyframes, share_out
from gioconda_core.media.sniff import BROKEN_OFF, lost_end
from gioconda_core.reasons import MediaWarning, UnreadReason, WarningReason
from gioconda_core.workers.cpu import cores

Picture = NDArray[np.uint8]

# Demuxers that open other files or addresses named inside the file: a stranger's "video" must not read our disk.
_REFERRING = {
    "concat", "concatf", "dash", "hls", "applehttp", "image2", "imf", "lavfi", "rtp", "rtsp", "sap", "sdp", "webm_dash_manifest",
    "xwma_list", "vapoursynth", "avisynth", "alias_pix", "tty", "bin", "xbin", "adf", "idf",
    "cdg",  # no video: karaoke graphics, which a text beginning with "I" is taken for
}  # fmt: skip

# Containers in which every packet carries its own timestamp. Elsewhere (MPEG program streams, Ogg) they are worked out from what was
# read before, and are wrong by some frames after a seek.
_OWN_TIMESTAMPS = {"mp4", "matroska", "avi", "flv", "mpegts", "asf"}

_WIDEST_PIXEL = 8  # a pixel aspect beyond 8:1 is a broken header, not a lens
_MOST_ERRORS = 1000  # damaged packets passed over before giving up on the file
_AHEAD = 96 << 20  # bytes of decoded pictures that lanes may keep ready, counted as RGB
COVER = 0x400 | 0x800  # AV_DISPOSITION_ATTACHED_PIC, _TIMED_THUMBNAILS
_DEPENDENT = 0x80000  # AV_DISPOSITION_DEPENDENT: a tile or a layer of another stream

_SURVEYED = 1 << 30  # bytes of a file up to which every packet's timestamp is looked at, two seconds at most
_LEAP = 60.0  # seconds between one frame and the next from which a clock has jumped; a pause of a screen recording is shorter
_LEAP_BACK = 1.0  # seconds, and one frame more than are stored out of order


def _formats() -> str:
    return ",".join(sorted(name for name in av.formats_available if name not in _REFERRING))


def _length(stream: Any) -> float:
    """Seconds that a stream says it lasts; 0 where it does not say."""
    if stream.duration and stream.duration > 0 and stream.time_base:
        return float(stream.duration * stream.time_base)
    tag = next((v for k, v in stream.metadata.items() if k.upper().startswith("DURATION")), "")
    with contextlib.suppress(ValueError):
        h, m, s = tag.split(":")
        return int(h) * 3600 + int(m) * 60 + float(s)
    return 0.0


def _count(stream: Any) -> int:
    """Frames that a stream says it has; 0 where it does not say."""
    tag = next((v for k, v in stream.metadata.items() if k.upper().startswith("NUMBER_OF_FRAMES")), "")
    return int(stream.frames or (tag if tag.isdecimal() else 0))


def _named(stream: Any) -> str:
    context, length = stream.codec_context, _length(stream)
    if context is None:
        return str(stream.index)
    lasts = f", {length:.2f} s" if length else ""
    return f"{stream.index} ({context.width}x{context.height} {context.name}{lasts})"


def _no_other_file(*_: Any) -> Any:
    raise PermissionError("a file may not name other files to open")


def _reason(error: BaseException) -> str:
    """What an error of FFmpeg's comes to, in our words."""
    for kind, words in _WORDS.items():
        if isinstance(error, kind):
            return words
    return "it cannot be read"


_WORDS: dict[Any, str] = {
    av.error.EOFError: "it ends too early",
    (av.error.DecoderNotFoundError, av.error.PatchWelcomeError): "it uses a format that is not read here",
    av.error.DemuxerNotFoundError: "it is of no kind that is read here",
    MemoryError: "it needs more memory than allowed",
    PermissionError: "it may not be read, or names other files to open",
    ValueError: "the data is not what its format asks for",  # FFmpeg's own kind of it among them
}


class VideoSource:
    """One video file. Each ``play`` opens the container afresh, so passes are independent of one another.

    path : file to open, or None with ``file`` a seekable binary file (stdin spooled). where : how messages name it.
    """

    def __init__(self, path: str | None, file: BinaryIO | None, where: str, limits: Limits) -> None:
        self._path, self._file, self._where, self._limits = path, file, where, limits
        self.warnings: list[MediaWarning] = []
        self._said: set[WarningReason] = set()
        self._errors = 0
        self._leaps = 0  # of the clock
        self._counted = 0  # frames, where all packets were looked at
        self.size = os.path.getsize(path) if path else file.seek(0, os.SEEK_END) if file else None
        container, stream = self._open()
        try:
            self._examine(container, stream)
        finally:
            container.close()

    # ----------------------------------------------------------------- opening

    def _open(self) -> tuple[Any, Any]:
        hint = "is this a video or picture file, and whole?"
        options = {"format_whitelist": _formats(), "protocol_whitelist": "file"}
        source: Any = f"file:{self._path}"  # which keeps a name such as "a:b.mp4" from being read as a protocol
        more: dict[str, Any] = {}
        try:
            if self._file is not None:
                self._file.seek(0)
                source, more = self._file, {"buffer_size": 1 << 18, "io_open": _no_other_file}
            container = av.open(source, "r", options=options, metadata_errors="replace", **more)
        except (FFmpegError, OSError, ValueError, UnicodeError) as error:
            self._blame_end()
            raise MediaError(f"cannot be opened as video: {_reason(error)}", self._where, hint) from error
        try:
            stream = self._choose(container)
            context = stream.codec_context
            context.thread_type = "AUTO"
            with contextlib.suppress(Exception):
                context.options = {"max_pixels": str(self._limits.pixels)}
            return container, stream
        except BaseException:
            container.close()
            raise

    def _blame_end(self) -> None:
        """Of a file that gives no picture: raise where its index or its end is missing."""
        with contextlib.ExitStack() as stack:
            lost = lost_end(self._file or stack.enter_context(open(str(self._path), "rb")))
        if lost:
            raise MediaError(lost, self._where, BROKEN_OFF)

    def _choose(self, container: Any) -> Any:
        """The stream that players show: no cover picture nor part of another, the default one, then the longest, then the largest."""
        videos = list(container.streams.video)
        real = [s for s in videos if not int(s.disposition) & COVER]
        usable = [s for s in real if s.codec_context is not None]
        self._streams, self._covers = len(real), len(videos) - len(real)
        if not usable:
            self._blame_end()
            if real:
                hint = "save a video as H.264, a picture as PNG"
                raise MediaError("the video stream's codec is not known", self._where, hint)
            kinds = sorted({s.type for s in container.streams if s not in videos})
            what = f"no video stream (it has {', '.join(kinds)})" if kinds else "no video stream"
            hint = "a cover picture is not video" if videos else "give a video or picture file"
            unread = UnreadReason.SOUND_ONLY if "audio" in kinds else UnreadReason.NO_MEDIA
            raise MediaError(what, self._where, hint, unread=unread)
        lengths, counts = {s.index: _length(s) for s in usable}, {s.index: _count(s) for s in usable}
        longest, most = max(lengths.values()), max(counts.values())

        def worth(s: Any) -> tuple[Any, ...]:
            flags, context = int(s.disposition), s.codec_context
            # In tenths: a frame more or less at the end decides nothing.
            length = round(10 * lengths[s.index] / longest) if longest else 0
            count = round(10 * counts[s.index] / most) if most else 0
            return (not flags & _DEPENDENT, flags & 1, length, count, context.width * context.height, -s.index)

        best = max(usable, key=worth)
        if len(real) > 1:
            read, *others = [best, *(s for s in real if s.index != best.index)]
            names = "; ".join(_named(s) for s in others[:3]) + (f"; and {len(others) - 3} more" if others[3:] else "")
            self._warn(WarningReason.SEVERAL_STREAMS, streams=len(real), read=_named(read), others=names)
        return best

    def _cut(self, stream: Any) -> float | None:
        """Seconds at which a truncated file runs out, from the container's index; None when it is whole or has no index."""
        if self._path is None or not len(stream.index_entries):
            return None
        size = os.path.getsize(self._path)
        if stream.index_entries[-1].pos + stream.index_entries[-1].size <= size:
            return None
        first = stream.index_entries[0].timestamp
        stamps = (e.timestamp for e in stream.index_entries if e.pos + e.size > size)
        return float((next(stamps) - first) * self._base)

    def _warn(self, code: WarningReason, **detail: Any) -> None:
        """Each kind once; that the end is missing, once by whichever way it was found."""
        once = WarningReason.STOPPED if code == WarningReason.ENDS_EARLY else code
        if once not in self._said:
            self._said.add(once)
            self.warnings.append(MediaWarning(code, detail))

    def _check_pixels(self, width: int, height: int) -> None:
        if width <= 0 or height <= 0:
            raise MediaError("the video stream has no picture size", self._where, "the file is damaged or empty")
        if width * height > self._limits.pixels:
            what = f"{width}x{height} is more than {self._limits.pixels / 1e6:g} megapixels"
            raise MediaError(what, self._where, TOO_LARGE_HINT, unread=UnreadReason.TOO_LARGE)

    def _examine(self, container: Any, stream: Any) -> None:
        """Gather the facts, some of which only the first frame knows: its side data holds the orientation and colours."""
        context, frame = stream.codec_context, self._first(container, stream)
        aspect = self._pixel_aspect(stream)
        width, height = round(frame.width * max(aspect, 1)), round(frame.height / min(aspect, 1))
        self._check_pixels(width, height)

        turn = self._orientation(frame)
        self._rgb = RgbMaker(width, height, turn)
        duration = self._duration(container, stream)
        self._keys = keyframes(stream)  # now, when finding the end has made containers read their index that do so late
        audio = [s for s in container.streams.audio if s.codec_context is not None]
        format_, said = frame.format, container.metadata
        kept = {"mp4", "matroska"} & set(container.format.name.split(","))  # players show these by their own clock
        # What FFmpeg reads as a pipe of pictures, and holds one: PSD, EXR, QOI and the like.
        still = container.format.name.endswith(("_pipe", "ico")) and self._counted == 1
        # Of VP8 and VP9 the transparency is a stream of its own inside, which FFmpeg's decoders do not read.
        if any(c.is_alpha for c in format_.components) or stream.metadata.get("alpha_mode") == "1":
            self._warn(WarningReason.TRANSPARENCY_IGNORED)
        self.facts = ClipFacts(
            container=container.format.name,
            codec=context.codec.canonical_name if hasattr(context.codec, "canonical_name") else context.name,
            width=height if turn.swaps else width,
            height=width if turn.swaps else height,
            fps=None if still else self._rate(duration),
            duration=0.0 if still else duration,
            frame_count=stream.frames or self._counted or None,
            still=still,
            start=max(0.0, float(self._start * self._base)) if kept else 0.0,
            rotation=turn.turns * 90,
            mirrored=turn.mirror,
            pixel_aspect=aspect,
            has_audio=bool(audio),
            sounds=len(audio),
            audio_codec=audio[0].codec_context.name if audio else "",
            bit_rate=self._bit_rate(container, context.bit_rate, duration),
            pix_fmt=format_.name,
            bit_depth=max((c.bits for c in format_.components), default=8),
            hdr={16: "PQ", 18: "HLG"}.get(int(frame.color_trc), ""),
            interlaced=bool(frame.interlaced_frame),
            matrix=int(frame.colorspace),
            transfer=int(frame.color_trc),
            primaries=int(frame.color_primaries),
            full_range={1: False, 2: True}.get(int(frame.color_range)),
            profile=context.profile or "",
            encoder=str(stream.metadata.get("encoder") or said.get("encoder") or said.get("ENCODER") or ""),
            streams=self._streams,
            covers=self._covers,
            size_bytes=self.size,
        )

    def _rate(self, duration: float) -> Fraction | None:
        """Frames per second: what the stream states, or the mean where it has far fewer, as recordings of a screen that say 25 or 60.

        Asked for after the duration, which corrects what is stated where the clock jumps.
        """
        if self._fps and 0 < self._counted < 0.8 * duration * float(self._fps):
            # One picture for hours has no rate.
            return Fraction(self._counted / duration).limit_denominator(1001) or None
        return self._fps

    def _first(self, container: Any, stream: Any) -> Any:
        """The first frame, by which the clock of all is set."""
        context = stream.codec_context
        self._check_pixels(max(context.width, 1), max(context.height, 1))
        self._base: Fraction = stream.time_base or Fraction(1, 1000)
        rate = stream.average_rate or stream.guessed_rate or stream.base_rate
        self._fps: Fraction | None = rate if rate and 0 < rate < 10_000 else None
        frame = next(self._frames(container, stream), None)
        if frame is None:
            self._blame_end()
            raise MediaError("no frame could be decoded", self._where, "the file is damaged or holds no pictures")
        self._check_pixels(frame.width, frame.height)
        self._stored = (frame.width, frame.height)
        self._start: int = frame.pts or 0
        self._timed = frame.pts is not None
        self._seekable = bool(_OWN_TIMESTAMPS & set(container.format.name.split(",")))
        lasts = float(frame.duration * self._base) if frame.duration else 0.04
        self._step = float(1 / self._fps) if self._fps else lasts
        return frame

    def _pixel_aspect(self, stream: Any) -> Fraction:
        """Width to height of a stored pixel; 1 where the header is broken."""
        aspect: Fraction = stream.sample_aspect_ratio or Fraction(1)
        if Fraction(1, _WIDEST_PIXEL) <= aspect <= _WIDEST_PIXEL:
            return aspect
        if aspect > 0:
            self._warn(WarningReason.PIXEL_ASPECT, aspect=str(aspect))
        return Fraction(1)

    def _orientation(self, frame: Any) -> Orientation:
        try:
            block = frame.side_data.get("DISPLAYMATRIX")
        except ValueError:
            # PyAV lists all that goes with a frame, and knows no name for one kind: EXIF, a 3-D display…
            turns = round(-frame.rotation / 90) % 4
            if turns:
                self._warn(WarningReason.MIRROR_UNKNOWN)
            return Orientation(turns)
        return Orientation.from_matrix(bytes(block) if block is not None else b"")

    def _bit_rate(self, container: Any, stated: int, duration: float) -> int | None:
        """Bits per second: as the stream or its container states them, or, where its clock jumps, of the footage that the whole file holds."""
        if self._leaps and duration > 0:
            return int(8 * container.size / duration)
        # Not the container's own figure: FFmpeg divides by a length in which negative times do not count.
        longest = max(duration, (container.duration or 0) / av.time_base)
        return stated or (int(8 * container.size / longest) if longest > 0 else None)

    def _duration(self, container: Any, stream: Any) -> float:
        """Seconds of video that can be read; says so when the file declares more.

        The container's own figure covers its longest stream, often the sound, so it is believed last.
        """
        declared = _length(stream)
        if not stream.duration and declared:  # Matroska's tag counts from 0, not from the first frame
            declared -= float(self._start * self._base)
        if "mp4" in container.format.name and stream.frames:
            shown = self._last_shown(container, stream, declared)
            longer = shown > declared + self._step / 2  # of a copy that ends in mid-group
            readable = self._cut(stream) or (shown if longer else declared)  # the index tells without reading
            readable = self._leapt([entry.timestamp for entry in stream.index_entries]) or readable
        else:
            readable = self._last_packet(container, stream) or declared
        if self._leaps:
            return readable
        if not readable and container.duration and container.duration > 0:
            return float(container.duration / av.time_base)
        if readable < declared - self._slack:
            self._warn(WarningReason.ENDS_EARLY, time=readable, declared=declared)
        return readable

    def _last_shown(self, container: Any, stream: Any, length: float) -> float:
        """Seconds to the end of the last picture, from the packets behind the last keyframe; 0 where nothing is found there."""
        with contextlib.suppress(FFmpegError):
            container.seek(self._start + int(max(0.0, length - 1) / self._base), stream=stream)
            return self._read_out(container, stream)[0]
        return 0.0

    def _last_packet(self, container: Any, stream: Any) -> float:
        """Seconds to the end of the last video packet: found near the end, or by reading everything; 0 when it cannot be read.

        Streams without timestamps (raw H.264) are counted instead.
        """
        if (self.size or 0) > _SURVEYED:
            for back in (2, 30):
                near = (container.duration or 0) - back * av.time_base
                if self._timed and near > 0:
                    with contextlib.suppress(FFmpegError):
                        container.seek(near, backward=True)
                        end, span = self._read_out(container, stream)
                        if span >= 0.5:  # less may miss the last picture, which need not come last in the file
                            return end
        fresh, stream = self._open()
        with fresh:
            return self._read_out(fresh, stream, survey=True)[0]

    def _read_out(self, container: Any, stream: Any, survey: bool = False) -> tuple[float, float]:
        """Seconds from the clip's start to the end of what is left to read, and how much that was. survey : all of the file is."""
        stamps, lasts = array("q"), 0
        last, count = -(1 << 63), 0
        seen = Survey(container.format.name, stream.index)
        with contextlib.suppress(FFmpegError):
            for packet in packets(container, *([] if survey else [stream])):
                if survey:
                    seen.add(packet)
                    if packet.stream_index != stream.index:
                        continue
                count += packet.size > 0
                if packet.pts is not None and not packet.is_discard:
                    stamps.append(packet.pts)
                    if packet.pts > last:
                        last, lasts = packet.pts, packet.duration or 0
        if survey and count:
            self._counted = count
        if not self._timed:
            return count * self._step, 0.0
        if not stamps or last < self._start:
            return 0.0, 0.0
        if survey and (length := self._leapt(stamps)):
            return length, length
        if survey:
            self._lost(WarningReason.FRAMES_LOST, seen.loss(stream.index_entries))
            with contextlib.ExitStack() as stack:
                if seen.unread(self._file or stack.enter_context(open(str(self._path), "rb"))):
                    self._warn(WarningReason.STOPPED_THERE, time=self._seconds(last) + self._step)
        end = self._seconds(last) + max(self._step, float(lasts * self._base))
        return end, float((last - min(stamps)) * self._base)

    def _leapt(self, stamps: Sequence[int]) -> float:
        """Seconds of footage where the clock jumps, counted without the jumps, which are said; 0 where it runs on.

        From there on frames have the times at which they would be shown had the clock run on, the rate is that of the frames, and
        nothing is sought by time. stamps : of all frames, in the order of the file.
        """
        ticks = np.asarray(stamps, dtype=np.int64)
        seconds = (ticks - self._start) * float(self._base)
        jumps = np.flatnonzero(self._is_leap(np.diff(seconds)))
        firm = [i for i in jumps if seconds[i + 1] > seconds[i] or self._stays_behind(seconds[i : i + 2 + REORDERED])]
        if not firm:
            return 0.0
        # Back from a picture that was stored ahead of a leap to those before it: no leap of its own, and on the other side all the same.
        last = np.array([-REORDERED - 1, *firm])[np.searchsorted(firm, jumps, side="right")]  # at or before each jump
        leaps = jumps[jumps - last <= REORDERED]
        runs: list[NDArray[np.float64]] = []
        # stored out of order: across a jump, pieces of both sides take turns
        for piece in np.split(seconds, leaps + 1):
            late = [i for i in (-1, -2) if len(runs) >= -i and not self._is_leap(piece[0] - runs[i].max())]
            if late:
                runs[late[0]] = np.concatenate([runs[late[0]], piece])
            else:
                runs.append(piece)
        if len(runs) < 2:
            return 0.0
        steps = np.concatenate([np.diff(np.sort(run)) for run in runs])
        usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else self._step
        if self._fps is None or not 0.8 < usual * float(self._fps) < 1.25:
            self._fps, self._step = Fraction(1 / usual).limit_denominator(1001), usual
        self._leaps = len(runs) - 1
        by, at = runs[1].min() - runs[0].max() - self._step, np.ptp(runs[0]) + self._step
        self._warn(WarningReason.CLOCK_JUMPS, by=round(float(by), 6), time=round(float(at), 6), jumps=self._leaps)
        return round(float(sum(np.ptp(run) + self._step for run in runs)), 6)

    def _stays_behind(self, seconds: NDArray[Any]) -> bool:
        """Whether the clock jumps back after the first of these: a picture stored ahead of those before a pause is soon passed by others."""
        return len(seconds) > REORDERED + 1 and bool(self._is_leap(seconds[1:].max() - seconds[0]))

    def _is_leap(self, gap: Any) -> Any:
        """Whether so many seconds from one frame to the next (an array of them, or one) are a jump of the clock."""
        return (gap > max(_LEAP, 50 * self._step)) | (gap < -max(_LEAP_BACK, (REORDERED + 1) * self._step))

    # ----------------------------------------------------------------- playing

    def play(self, sampling: Sampling) -> Iterator[tuple[float, Picture]]:
        """(seconds, upright RGB) of the frames wanted, in display order."""
        for given, (seconds, frame) in enumerate(self._wanted(sampling)):
            if given >= self._limits.frames:
                hint = "sample it; from Python, Limits(frames=…) raises the limit"
                raise MediaError(f"more than {self._limits.frames} frames", self._where, hint)
            self._check_pixels(frame.width, frame.height)
            if (frame.width, frame.height) != self._stored:
                first, other = (f"{width} × {height}" for width, height in (self._stored, (frame.width, frame.height)))
                self._warn(WarningReason.SIZE_CHANGES, time=seconds, first=first, other=other)
            # No name for the picture: held here while the next is made, it would cost the allocator a page fault for every 4 KiB.
            yield seconds, self._rgb(frame)

    def _wanted(self, sampling: Sampling) -> Iterator[tuple[float, Any]]:
        if sampling.mode in ("all", "keyframes"):
            container, stream = self._open()
            with container:
                keys = sampling.mode == "keyframes"
                frames = self._keyframes(container, stream) if keys else self._frames(container, stream)
                yield from self._clocked(frames, whole=not keys)
            return
        targets = sampling.targets(self.facts.duration)
        if sampling.mode == "at" and targets[-1] > self.facts.duration + self._step:
            raise UsageError(f"no frame at {targets[-1]:g} s", self._where, f"the clip lasts {self.facts.duration:g} s")
        for seconds, frame, fresh in self._sparse(targets):
            if fresh or sampling.repeats:
                yield seconds, frame

    def _sparse(self, targets: Sequence[float]) -> Iterator[tuple[float, Any, bool]]:
        """(seconds, frame, not the previous one again) for each target; by seeking while that is certain, else in order."""
        previous: float | None = None  # time of the frame given last
        done = 0
        if self._timed and self._seekable and not self._leaps:
            ticks = [self._start + math.floor((t + SLACK) / self._base) for t in targets]
            try:
                for frame in self._sought(ticks):
                    seconds = self._seconds(frame.pts)
                    yield seconds, frame, seconds != previous
                    previous = seconds
                    done += 1
                return
            except Ended as error:
                return self._stopped(float(error.ticks * self._base))
            except Unsure:
                pass  # decode from the start instead: slower, and right whatever the file's index says
        pending = deque(targets[done:])
        before: tuple[float, Any] | None = None
        container, stream = self._open()
        with container:
            for seconds, frame in self._clocked(self._frames(container, stream)):
                while pending and before is not None and seconds > pending[0] + SLACK:
                    yield *before, before[0] != previous
                    previous = before[0]
                    pending.popleft()
                if not pending:
                    return
                before = (seconds, frame)
            while pending and before is not None and pending[0] <= before[0] + 2 * self._step:
                yield *before, before[0] != previous
                previous = before[0]
                pending.popleft()

    def _sought(self, ticks: Sequence[int]) -> Iterator[Any]:
        """The frame on screen at each tick, by seeking; in several places at once where keyframes divide the work evenly."""
        step = max(1, round(self._step / self._base))
        turns = share_out(ticks, self._keys, step, min(4, cores())) if self._path is not None else [0] * len(ticks)
        if not any(turns):
            yield from self._lane(ticks, "AUTO")
            return
        # Threads within one decoder stand idle whenever it is drained: at each frame that is wanted from a keyframe of its own.
        dealt = list(zip(ticks, turns, strict=True))
        parts = [[tick for tick, turn in dealt if turn == lane] for lane in range(max(turns) + 1)]
        ahead = max(1, _AHEAD // (self._stored[0] * self._stored[1] * 3 * len(parts)))
        yield from in_turn([self._lane(part, "NONE") for part in parts], turns, ahead)

    def _lane(self, ticks: Sequence[int], threads: str) -> Generator[Any, None, None]:
        container, stream = self._open()
        with container:
            stream.codec_context.thread_type = threads
            finder = Finder(container, stream, self._start, round(self._step / self._base), self._keys)
            yield from finder.find_all(ticks)

    @property
    def _slack(self) -> float:
        """Seconds by which a declared end may be late before we say that something is missing."""
        return max(0.25, 2 * self._step)

    def _seconds(self, pts: int) -> float:
        return float((pts - self._start) * self._base)

    def _clocked(self, frames: Iterable[Any], whole: bool = True) -> Iterator[tuple[float, Any]]:
        """Every frame with its time; says so when the file ends before the time it declares."""
        seconds, end, leapt = -math.inf, 0.0, 0.0
        for count, frame in enumerate(frames):
            timed = self._timed and frame.pts is not None  # where the first has none, others count from elsewhere
            now = self._seconds(frame.pts) - leapt if timed else count * self._step
            if self._leaps and count and self._is_leap(now - seconds):
                leapt += now - seconds - self._step
                now = seconds + self._step
            now = max(now, 0.0)  # a keyframe that was lost in the first pass lies before what began that one
            if now <= seconds:
                self._warn(WarningReason.TIMESTAMPS, time=seconds)
                now = seconds + float(self._base)
            seconds = now
            end = seconds + (float(frame.duration * self._base) if frame.duration else self._step)
            if frame.is_corrupt:
                self._warn(WarningReason.DAMAGED_DATA, time=seconds)
            yield seconds, frame
        if whole and end < self.facts.duration - self._slack:
            self._stopped(end)

    def _lost(self, code: WarningReason, loss: Loss | None) -> None:
        if loss is not None:
            self._warn(code, frames=loss.frames, of=loss.of, time=max(0.0, self._seconds(loss.tick)))

    def _stopped(self, seconds: float) -> None:
        self._warn(WarningReason.STOPPED, time=seconds, declared=self.facts.duration)

    def _frames(self, container: Any, stream: Any) -> Iterator[Any]:
        """Every frame that decodes; damaged packets are passed over and said, and how many gave no frame."""
        left, sent = packets(container, stream), Sent()
        try:
            while True:
                try:
                    packet = next(left)
                    sent.send(packet)
                    for frame in packet.decode():
                        sent.came(frame)
                        yield frame
                except StopIteration:
                    return
                except FFmpegError as error:
                    if not self._damage(error):
                        return
        finally:
            if stream.codec_context.name not in HIDDEN:
                self._lost(WarningReason.FRAMES_UNDECODED, sent.loss())

    def _keyframes(self, container: Any, stream: Any) -> Iterator[Any]:
        """The frames that decode on their own, each drained from the decoder by itself: fed in a row, some codecs reorder them."""
        context = stream.codec_context
        context.thread_type = "SLICE"
        with contextlib.suppress(AttributeError):
            stream.discard = 32  # AVDISCARD_NONKEY: containers with an index need not even read the rest
        left = packets(container, stream)
        while True:
            try:
                packet = next(left)
                if packet.is_keyframe and not packet.is_discard and packet.size:
                    frames = [*context.decode(packet), *context.decode(None)]
                    context.flush_buffers()
                    yield from (f for f in frames if f.key_frame)
            except StopIteration:
                return
            except FFmpegError as error:
                if not self._damage(error):
                    return

    def _damage(self, error: FFmpegError) -> bool:
        """Note damaged data that was passed over; False when there is too much of it to go on."""
        self._warn(WarningReason.DAMAGED_DATA_SKIPPED, text=_reason(error))
        self._errors += 1
        return self._errors <= _MOST_ERRORS

    def close(self) -> None:
        """Nothing is kept open between passes."""
