"""Walk the pieces of which JPEG, PNG, RIFF, GIF, FLV, Ogg, Matroska and ISO media (MP4, HEIF) consist: to read one, take it out or put one in,
while every other byte stays.

A walk ends where something begins that is no piece; lengths are those that the file states, which may reach beyond its end.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, NamedTuple, TypeVar

PNG = b"\x89PNG\r\n\x1a\n"
MOST = 100_000  # pieces of one file that are looked at
_CHAIN = 1 << 20  # blocks of one GIF
_Piece = TypeVar("_Piece")


class TooMuch(Exception):
    """A file has more pieces than are looked at."""


def bounded(pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    """The pieces of one file, at most ``MOST``; TooMuch where there is one more."""
    for count, piece in enumerate(pieces):
        if count == MOST:
            raise TooMuch
        yield piece


class Piece(NamedTuple):
    """One segment, chunk, block, tag, page or element. start, end : bytes from the file's beginning.

    name : of a JPEG the marker's second byte; of a GIF what begins it, with an extension's label; of a PNG or RIFF four letters; of a Matroska
    the element's number; of an FLV the tag's kind; of an Ogg empty.
    """

    name: bytes
    start: int
    end: int


def jpeg(file: IO[bytes], end: int, at: int = 2) -> Iterator[Piece]:
    """The segments of a JPEG of ``end`` bytes before its scan. at : where the first of them begins."""
    while at + 4 <= end:
        file.seek(at)
        head = file.read(4)
        if head[:1] != b"\xff" or head[1:2] == b"\xda":
            return
        yield Piece(head[1:2], at, at := at + 2 + int.from_bytes(head[2:], "big"))


def png(file: IO[bytes], end: int) -> Iterator[Piece]:
    """The chunks of a PNG of ``end`` bytes: each is its length, name, content and checksum."""
    at = len(PNG)
    while at + 12 <= end:
        file.seek(at)
        head = file.read(8)
        yield Piece(head[4:], at, at := at + 12 + int.from_bytes(head[:4], "big"))


def riff(file: IO[bytes], end: int) -> Iterator[Piece]:
    """The chunks of a RIFF of ``end`` bytes: each is its name, length and content, filled up to an even length."""
    at = 12
    while at + 8 <= end:
        file.seek(at)
        head = file.read(8)
        length = int.from_bytes(head[4:], "little")
        yield Piece(head[:4], at, at := at + 8 + length + length % 2)


def gif(file: IO[bytes], end: int) -> Iterator[Piece]:
    """The extensions and images of a GIF of ``end`` bytes, each with its chain of blocks; TooMuch where those are too many."""
    file.seek(0)
    at, left = 13 + _colours(file.read(13).ljust(13, b"\0")[10]), _CHAIN
    while at < end:
        file.seek(at)
        head = file.read(10)
        start, name = at, head[:2] if head[:1] == b"\x21" else head[:1]
        if name[:1] not in (b"\x21", b"\x2c"):
            return
        at += 2 if name[:1] == b"\x21" else 11 + _colours(head.ljust(10, b"\0")[9])
        size = 1
        while size and at < end:
            file.seek(at)
            size = int.from_bytes(file.read(1), "big")
            at, left = at + 1 + size, left - 1
            if not left:
                raise TooMuch
        yield Piece(name, start, at + (size > 0))  # with the block that would end the chain


def flv(file: IO[bytes], end: int) -> Iterator[Piece]:
    """The tags of an FLV of ``end`` bytes, each behind the length of the one before."""
    at = 9
    while at + 4 < end:
        file.seek(at)
        head = file.read(8)
        if head[4] & 0x1F not in (8, 9, 18):
            return
        yield Piece(head[4:5], at, at := at + 15 + int.from_bytes(head[5:], "big"))


def ogg(file: IO[bytes], end: int) -> Iterator[Piece]:
    """The pages of an Ogg of ``end`` bytes."""
    at = 0
    while at < end:
        file.seek(at)
        head = file.read(27 + 255)
        if head[:4] != b"OggS":
            return
        parts = sum(head[26:27])
        yield Piece(b"", at, at := at + 27 + parts + sum(head[27 : 27 + parts]))


_ENDLESS = (b"\x18S\x80g", b"\x1fC\xb6u")  # of a Matroska segment and cluster, which need not say their length
# Its head; of a segment seek head, info, tracks, cues, tags, chapters and attachments; of a cluster timestamp, blocks and what places it; and
# what fills up or checks either. Source: RFC 9559, section 5.
_ELEMENTS = (*_ENDLESS, b"\x1aE\xdf\xa3", b"\x11M\x9bt", b"\x15I\xa9f", b"\x16T\xaek", b"\x1cS\xbbk", b"\x12T\xc3g", b"\x10C\xa7p",
             b"\x19A\xa4i", b"\xe7", b"\xa3", b"\xa0", b"\xab", b"\xa7", b"\xec", b"\xbf")  # fmt: skip


def matroska(file: IO[bytes], end: int) -> Iterator[Piece]:
    """The elements of a Matroska of ``end`` bytes: of a segment or cluster that does not say its length, its head and what it consists of."""
    at = 0
    while at < end:
        file.seek(at)
        head = file.read(12)
        name = next((one for one in _ELEMENTS if head.startswith(one)), head)
        length = 9 - head[len(name)].bit_length() if len(name) < len(head) else 9
        if length > 8:
            return
        size = int.from_bytes(head[len(name) : len(name) + length], "big") & (1 << 7 * length) - 1
        if size + 1 == 1 << 7 * length:
            if name not in _ENDLESS:
                return
            size = 0
        yield Piece(name, at, at := at + len(name) + length + size)


def _colours(flags: int) -> int:
    """How many bytes a GIF's table of colours takes."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


@dataclass(frozen=True)
class Box:
    """One box of ISO media where it lies in the file."""

    kind: bytes
    start: int
    header: int  # bytes
    size: int  # bytes, header included


def boxes(file: IO[bytes], end: int) -> Iterator[Box]:
    """The topmost boxes of ISO media, as they are written: the last may claim more than the file has, or no size at all."""
    at = 0
    while at + 8 <= end:
        file.seek(at)
        head = file.read(16)
        size, header = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, header = int.from_bytes(head[8:16], "big"), 16
        yield Box(head[4:8], at, header, size)
        if size < header:  # to the end of the file, or not a box at all
            return
        at += size


def filling(file: IO[bytes], end: int) -> list[Box]:
    """The topmost boxes of ISO media of ``end`` bytes that reach exactly to its end; none where they do not."""
    found = list(boxes(file, end))
    whole = bool(found) and found[-1].size >= found[-1].header and found[-1].start + found[-1].size == end
    return found if whole else []


def is_uuid(file: IO[bytes], box: Box, kind: bytes) -> bool:
    """Whether a box is a ``uuid`` box of one kind, of 16 bytes."""
    file.seek(box.start + box.header)
    return box.kind == b"uuid" and file.read(16) == kind


def split(data: bytes, walk: Callable[[IO[bytes], int], Iterator[Piece]]) -> tuple[bytes, list[bytes], bytes]:
    """What a file begins with, its pieces as bytes, and what follows the last of them; all is beginning where there is no piece."""
    pieces = list(walk(io.BytesIO(data), len(data)))
    if not pieces:
        return data, [], b""
    return data[: pieces[0].start], [data[piece.start : piece.end] for piece in pieces], data[pieces[-1].end :]
