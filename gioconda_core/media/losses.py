"""Finds frames that a file has lost, or that its decoder did not give: a gap in the times counts only where something else confirms it.

A pause of a screen recording, a camera that drops frames and an edit all leave gaps. A gap counts as a loss only where something else
says so: bytes of the file that belong to no packet, an index that lists a frame which was not read, a transport stream's own counter,
or a packet due within the gap that gave no picture.

Not covered: data that decodes to other pictures than were filmed. Most decoders cannot know it.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

# Bytes between packets that are no damage, whatever the gap in time: headers of clusters and blocks (Matroska), script tags (FLV).
_BETWEEN = {"matroska": 128, "flv": 2048}
_USUAL = 4  # times the bytes between nearly all packets of this file: alpha planes and HDR metadata lie there too
_GAP = 1.5  # times a frame's usual length, from which one is missing
REORDERED = 16  # frames by which the order of the file and that of the screen may differ
_EMPTY = 16  # bytes up to which a packet may say "the last picture again"
_TAIL = 64 << 20  # bytes after the last packet that are looked through


@dataclass(frozen=True)
class Loss:
    """frames : about how many are missing; of : how many there should be; tick : when the first of them was due."""

    frames: int
    of: int
    tick: int


def packets(container: Any, *streams: Any) -> Iterator[Any]:
    """The packets of these streams (none named: of all), and one empty packet for each at the end.

    A stream that begins in mid-file makes PyAV end with IndexError, after the empty packets of those known from the start.
    """
    try:
        yield from container.demux(*streams)
    except IndexError:
        return


class Survey:
    """Where each packet of a file lies and when its pictures are due, noted while all of it is read.

    kind : name of the container's format. stream : index of the video stream.
    """

    def __init__(self, kind: str, stream: int) -> None:
        self._kind = next((k for k in ("matroska", "flv", "avi", "mpegts", "mp4") if k in kind.split(",")), "")
        self._stream = stream
        self._places, self._sizes = array("q"), array("q")  # of all packets
        self._ticks, self._at = array("q"), array("q")  # of the video's
        self._flagged: list[int] = []  # where a transport stream's counter jumps

    def add(self, packet: Any) -> None:
        """Note a packet of any stream."""
        if not self._kind or not packet.size:
            return
        place = -1 if packet.pos is None else packet.pos
        if place >= 0:
            self._places.append(place)
            self._sizes.append(packet.size)
        if packet.stream_index == self._stream and packet.pts is not None and not packet.is_discard:
            if packet.is_corrupt:
                self._flagged.append(len(self._ticks))
            self._ticks.append(packet.pts)
            self._at.append(place)

    def loss(self, entries: Sequence[Any]) -> Loss | None:
        """What is missing between the packets. entries : the stream's index, as PyAV lists it."""
        if self._kind == "avi":
            return self._unlisted(entries)
        if self._kind == "mpegts":
            return self._gaps([i - 1 for i in self._flagged] + self._flagged)
        if self._kind not in _BETWEEN or len(self._places) < 2:
            return None
        begin, end = self._spans()
        between = begin[1:] - end[:-1]
        allowed = max(_BETWEEN[self._kind], _USUAL * float(np.percentile(between, 95)))
        holes = begin[1:][between > allowed]
        return self._gaps(np.searchsorted(np.asarray(self._at), holes).tolist())

    def unread(self, file: BinaryIO) -> bool:
        """Whether fragments of an MP4 lie behind the last packet that could be read."""
        if self._kind != "mp4" or not len(self._places):
            return False
        _, end = self._spans()
        file.seek(int(end[-1]))
        tail = file.read(_TAIL)
        return b"moof" in tail or b"mdat" in tail

    def _spans(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where packets begin, ascending, and where all of them up to there have ended."""
        begin = np.asarray(self._places, dtype=np.int64)
        order = np.argsort(begin, kind="stable")
        ends = np.maximum.accumulate((begin + np.asarray(self._sizes, dtype=np.int64))[order])
        return begin[order], ends

    def _gaps(self, places: Sequence[int]) -> Loss | None:
        """Frames missing where the file is damaged before these packets of the video, counted in the order of the file."""
        ticks = np.asarray(self._ticks, dtype=np.int64)
        near = np.zeros(len(ticks), dtype=bool)
        for i in places:
            near[max(0, i - REORDERED) : i + REORDERED] = True
        order = np.argsort(ticks, kind="stable")
        return _missing(ticks[order], near[order][:-1] & near[order][1:])

    def _unlisted(self, entries: Sequence[Any]) -> Loss | None:
        """Frames that an AVI's index lists within bytes of no packet."""
        listed = [e for e in entries if e.size > _EMPTY]
        if not listed or len(self._places) < 2:
            return None
        begin, end = self._spans()
        at = np.asarray([e.pos for e in listed], dtype=np.int64)
        after = np.searchsorted(begin, at)  # the packet that begins there, or behind the eight bytes of its head
        pairs = zip(listed, after, strict=True)
        lost = [e for e, i in pairs if 0 < i < len(begin) and begin[i] - e.pos > 8 and e.pos >= end[i - 1]]
        return Loss(len(lost), len(self._ticks) + len(lost), lost[0].timestamp) if lost else None


class Sent:
    """Which of the packets sent to a decoder gave no picture."""

    def __init__(self) -> None:
        self._packets, self._frames = array("q"), array("q")

    def send(self, packet: Any) -> None:
        """Note a packet that is about to be decoded."""
        if packet.size > _EMPTY and packet.pts is not None and not packet.is_discard:
            self._packets.append(packet.pts)

    def came(self, frame: Any) -> None:
        """Note a picture that came out."""
        if frame.pts is not None:
            self._frames.append(frame.pts)

    def loss(self) -> Loss | None:
        """What did not come out between the first picture and the last: before and after, pictures may lack what they refer to."""
        frames, sent = np.unique(self._frames), np.unique(self._packets)
        if len(frames) < 3:
            return None
        usual = max(float(np.median(np.diff(frames))), float(np.median(np.diff(sent))) if len(sent) > 1 else 0.0)
        due = sent[np.searchsorted(frames, sent) < len(frames)]
        after = np.searchsorted(frames, due, side="right")
        inside = (after > 0) & (after < len(frames))
        due, after = due[inside], after[inside]
        early, late = frames[after - 1], frames[after]
        # A hair's breadth from a picture: the second field of it, or a reference that is never shown.
        lost = due[(late - early > _GAP * usual) & (due - early > usual / 2) & (late - due > usual / 4)]
        return Loss(len(lost), len(sent), int(lost[0])) if len(lost) else None


def _missing(ticks: NDArray[np.int64], suspect: NDArray[np.bool_]) -> Loss | None:
    """Frames missing between ascending ticks, where ``suspect`` (one shorter) says that they may be."""
    steps = np.diff(ticks)
    if not (steps > 0).any():
        return None
    usual = float(np.median(steps[steps > 0]))
    gaps = np.flatnonzero(suspect & (steps > _GAP * usual))
    if not len(gaps):
        return None
    frames = int(np.rint(steps[gaps] / usual - 1).sum())
    return Loss(frames, len(ticks) + frames, int(ticks[gaps[0]] + usual))
