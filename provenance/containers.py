"""Walk the pieces of which JPEG, PNG and RIFF files consist: to read one, take it out or put one in, while every other byte stays.

A walk ends where something begins that is no piece; lengths are those that the file states, which may reach beyond its end.
"""

import io
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

PNG = b"\x89PNG\r\n\x1a\n"


class Piece(NamedTuple):
    """One segment or chunk. name : of a JPEG the marker's second byte, of the others four letters; start, end : bytes from the file's beginning."""

    name: bytes
    start: int
    end: int


def jpeg(file: IO[bytes], end: int) -> Iterator[Piece]:
    """The segments of a JPEG of ``end`` bytes before its scan."""
    at = 2
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


def split(data: bytes, walk: Callable[[IO[bytes], int], Iterator[Piece]]) -> tuple[bytes, list[bytes], bytes]:
    """What a file begins with, its pieces as bytes, and what follows the last of them."""
    pieces = list(walk(io.BytesIO(data), len(data)))
    begin = 2 if walk is jpeg else len(PNG) if walk is png else 12
    return (
        data[:begin],
        [data[piece.start : piece.end] for piece in pieces],
        data[pieces[-1].end if pieces else begin :],
    )
