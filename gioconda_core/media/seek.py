"""Finds single frames of a video stream by seeking, exactly, and knows when that is not certain.

The frame found is the one that decoding from the start would show. Packets are read ahead to the time wanted, so the frame's
timestamp is known before anything is decoded; decoding begins at the last keyframe K not after it; pictures with timestamps before K's
refer to what was skipped and are never used; pictures that nothing refers to are not decoded on the way. When the frame does not come
out as its packet promised, the search begins one keyframe earlier and decodes everything, and then gives up with ``Unsure``.

Ticks are units of the stream's time base.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from av.error import FFmpegError

from gioconda_core.media.losses import packets

_MOST_HELD = 256 << 20  # bytes of packets read ahead
_STEPS_BACK = 3  # keyframes, before giving up
_UNFAIR = 1.25  # times its share that the busiest lane may have, before threads within one decoder do better
_WIDENINGS = 8  # times a seek that landed too late is tried further back, doubling the distance
HIDDEN = {"vp8"}  # packets of these may hold pictures that are never shown, so their timestamps are not those of frames
# Decoders that may be told to pass over a picture in mid-stream; dav1d, for one, obeys what it was told at the start for ever.
_SKIPPING = {"h264", "hevc", "mpeg2video", "mpeg4"}


class Unsure(Exception):
    """Seeking cannot prove which frame is on screen; decode from the start instead."""


class Ended(Exception):
    """The file has no frame at the tick asked for. ticks : from the clip's start to the end of its last frame."""

    def __init__(self, ticks: int) -> None:
        super().__init__(ticks)
        self.ticks = ticks


def keyframes(stream: Any) -> list[int]:
    """Decode timestamps of the keyframes that the container lists, ascending; none where it has no index or has not read it yet."""
    entries = getattr(stream, "index_entries", ())
    return [e.timestamp for e in entries if e.is_keyframe and not e.is_discard] if len(entries) > 1 else []


def share_out(ticks: Sequence[int], keys: Sequence[int], step: int, lanes: int) -> list[int]:
    """Which of so many lanes finds each of these ascending ticks, so that none waits long for another; all 0 where that cannot be.

    Ticks that are decoded from one keyframe stay together.
    """
    work, turns = [0] * lanes, []  # ticks that each lane has to decode so far
    lane, before = 0, None  # the keyframe or tick decoded to last
    for tick in ticks:
        key = keys[max(0, bisect_right(keys, tick) - 1)] if keys else 0
        if before is None or key > before:  # decoded from a keyframe of its own: whoever has least to do takes it
            lane, before = work.index(min(work)), key
        work[lane] += max(step, tick - before)
        before = max(before, tick)
        turns.append(lane)
    fair = max(work) * lanes <= _UNFAIR * sum(work)
    return turns if fair else [0] * len(turns)


class Finder:
    """Finds the frames on screen at ascending ticks in one opened stream.

    start : tick of the clip's first frame; step : ticks a frame usually lasts; keys : as :func:`keyframes` lists them.
    """

    _stamps: list[int]  # timestamps this run's packets promise, from the last found on

    def __init__(self, container: Any, stream: Any, start: int, step: int, keys: Sequence[int]) -> None:
        self._container, self._stream, self._context = container, stream, stream.codec_context
        self._start, self._step, self._keys = start, max(1, step), keys
        if self._context.name in HIDDEN:
            raise Unsure
        self._gap = round(2.0 / float(stream.time_base))  # most ticks between keyframes, guessed until seen
        self._gap_seen = False
        self._packets: Any = packets(container, stream)
        self._ahead: int | None = None  # decode timestamp of the last packet read
        # timestamp and duration of the latest picture of the file read so far
        self._last: tuple[int, int] | None = None
        self._over = False  # the file has no more packets
        self._frame: Any = None  # found last
        self._begin(None)

    @property
    def _end(self) -> int:
        """Ticks from the clip's start to the end of the last frame, once reading has come to it."""
        return 0 if self._last is None else self._last[0] + max(self._last[1], self._step) - self._start

    def find_all(self, ticks: Sequence[int]) -> Iterator[Any]:
        """The frame on screen at each of these ascending ticks; errors as of :meth:`find`."""
        for i, tick in enumerate(ticks):
            yield self.find(tick, ticks[i + 1] if i + 1 < len(ticks) else None)

    def find(self, tick: int, following: int | None) -> Any:
        """The frame on screen at ``tick``. ``following`` : the tick asked for next, if any.

        Raises
        ------
        Ended
            When the file ends before.
        Unsure
            When the stream's timestamps or keyframes do not bear it out.
        """
        # The frame found last is still on screen, and what was read ahead holds no later one: nothing is decoded.
        read = self._frame is not None and self._ahead is not None and self._ahead > tick
        if read and self._stamp(tick) == self._frame.pts:
            return self._frame
        # Reading on costs less than a seek, unless a keyframe lies between here and there.
        if self._worth_a_seek(tick):
            self._seek(tick)
        for _ in range(_STEPS_BACK):
            # The packets up to the tick name the frame's timestamp, before anything is decoded.
            self._read_to(tick)
            if self._past_end(tick):
                raise Ended(self._end)
            stamp = self._stamp(tick)
            if stamp is not None:
                # A decoder may be drained, and hand out what it holds back, only where it will not be asked to go on from here.
                leaving = following is None or self._leaves(stamp, following)
                frame = self._decode_to(stamp, leaving)
                if frame is not None and not frame.is_corrupt:
                    self._frame = frame
                    self._stamps = [s for s in self._stamps if s >= stamp]
                    return frame
            # The promised frame did not come out: the keyframe was none, or the frame refers to what lies before it.
            if self._first is None or self._first <= self._start:
                break
            self._seek(self._first - 1, careful=True)
        raise Unsure

    # ----------------------------------------------------------------- where to decode from

    def _begin(self, key: Any, careful: bool = False) -> None:
        """Forget the run so far; begin anew at this keyframe packet (None: at whatever is read next)."""
        self._queue: deque[Any] = deque()  # packets read and not yet sent
        self._held = 0
        self._ready: deque[Any] = deque()  # frames decoded and not yet looked at
        self._stamps = []
        self._sent: set[int] = set()
        self._spent = False  # the decoder was drained and takes no more
        self._careful = careful  # decode everything, begin nowhere else
        self._first: int | None = None  # the keyframe's timestamp
        if key is not None:
            self._first = key.pts
            self._keep(key)

    def _worth_a_seek(self, tick: int) -> bool:
        if self._spent:
            return True
        now = self._ahead if self._ahead is not None else self._start
        if self._keys:
            before = bisect_right(self._keys, tick) - 1
            return before > 0 and self._keys[before] > now
        return tick - now > self._gap

    def _leaves(self, stamp: int, following: int) -> bool:
        """Whether the frame asked for next is best decoded from another keyframe, so that the decoder may be drained now."""
        if self._keys:
            after = bisect_right(self._keys, stamp)
            return after < len(self._keys) and self._keys[after] <= following
        return following - stamp > self._gap

    def _seek(self, tick: int, careful: bool = False) -> None:
        """Stand at the last keyframe not after ``tick``."""
        aim = tick
        for attempt in range(_WIDENINGS):  # a container's seek may land behind the tick: aim further back each time
            try:
                self._container.seek(aim, stream=self._stream, backward=True)
            except FFmpegError as error:
                raise Unsure from error
            self._packets = packets(self._container, self._stream)
            self._over, self._ahead = False, None
            self._begin(None, careful)
            while (packet := self._next()) is not None:
                if packet.is_keyframe and not packet.is_discard:
                    break
            if packet is not None and packet.pts <= tick:
                self._begin(packet, careful)
                return
            if aim <= self._start:
                break
            aim = max(self._start, aim - self._gap * 2**attempt)
        raise Unsure

    # ----------------------------------------------------------------- reading and decoding

    def _next(self) -> Any:
        """The next packet of the stream; None at the end. Unsure when it carries no timestamps or cannot be read."""
        try:
            packet = next(self._packets, None)
        except FFmpegError as error:
            raise Unsure from error
        if packet is None or packet.size == 0:
            self._over = True
            return None
        if packet.pts is None:
            raise Unsure
        if packet.dts is not None:  # Matroska gives none for the first packets after a seek
            self._ahead = packet.dts
        if not packet.is_discard and (self._last is None or packet.pts > self._last[0]):
            self._last = (packet.pts, packet.duration or 0)
        return packet

    def _keep(self, packet: Any) -> None:
        if self._first is not None and packet.pts < self._first:
            return  # a leading picture: it refers to what was skipped
        self._queue.append(packet)
        self._held += packet.size
        if self._held > _MOST_HELD:
            raise Unsure
        if not packet.is_discard:
            self._stamps.append(packet.pts)

    def _read_to(self, tick: int) -> None:
        """Read until no later packet can be on screen at ``tick``, beginning anew at each keyframe on the way."""
        while not self._over and (self._ahead is None or self._ahead <= tick):
            packet = self._next()
            if packet is None:
                return
            if packet.is_keyframe and not packet.is_discard and packet.pts <= tick and not self._careful:
                if self._first is not None:
                    self._gap = max(self._gap if self._gap_seen else 0, packet.pts - self._first, self._step)
                    self._gap_seen = True
                if self._sent:
                    self._context.flush_buffers()
                self._begin(packet)
            else:
                self._keep(packet)

    def _stamp(self, tick: int) -> int | None:
        return max((s for s in self._stamps if s <= tick), default=None)

    def _past_end(self, tick: int) -> bool:
        """Whether the file ends before ``tick``; the last frame is granted one step of grace."""
        return self._over and self._last is not None and tick >= self._start + self._end + self._step

    def _decode_to(self, stamp: int, leaving: bool) -> Any:
        """Send packets until the frame with this timestamp comes out; None when it does not."""
        while True:
            while self._ready:
                frame = self._ready.popleft()
                if frame.pts is None or (frame.pts == self._first and not frame.key_frame):
                    raise Unsure  # the container calls it a keyframe and the decoder does not
                if frame.pts == stamp:
                    return frame
                if frame.pts > stamp:
                    return None
            if self._spent:
                return None
            if self._queue and not (leaving and stamp in self._sent):
                packet = self._queue.popleft()
                self._held -= packet.size
                skippable = packet.pts < stamp and not self._careful and self._context.name in _SKIPPING
                self._context.skip_frame = "NONREF" if skippable else "DEFAULT"
                self._sent.add(packet.pts)
                self._decode(packet)
            elif leaving or self._over:
                self._spent = True
                self._decode(None)
            else:
                packet = self._next()
                if packet is not None:
                    self._keep(packet)

    def _decode(self, packet: Any) -> None:
        try:
            self._ready.extend(self._context.decode(packet))
        except FFmpegError as error:
            raise Unsure from error
