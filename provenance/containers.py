"""The pieces that JPEG, PNG and RIFF files consist of, so that one can be taken out or put in and every other byte stays.

A piece runs from its marker, its length or its name to the next one. What cannot be read as a piece is given back as the rest.
"""

from __future__ import annotations

from collections.abc import Callable

PNG = b"\x89PNG\r\n\x1a\n"


def _pieces(data: bytes, at: int, head: int, size: Callable[[int], int]) -> tuple[list[bytes], bytes]:
    """From ``at`` on. head : bytes that the head of a piece has; size : bytes of the piece at a place, 0 where none is."""
    found = []
    while at + head <= len(data) and (length := size(at)):
        found.append(data[at : at + length])
        at += length
    return found, data[at:]


def jpeg(data: bytes) -> tuple[list[bytes], bytes]:
    """(segments before the scan, each with its marker; the rest)."""

    def size(at: int) -> int:
        ends = data[at] != 0xFF or data[at + 1] == 0xDA
        return 0 if ends else 2 + int.from_bytes(data[at + 2 : at + 4], "big")

    return _pieces(data, 2, 4, size)


def png(data: bytes) -> tuple[list[bytes], bytes]:
    """(chunks: length, name, content and checksum; the rest)."""
    return _pieces(data, len(PNG), 12, lambda at: 12 + int.from_bytes(data[at : at + 4], "big"))


def riff(data: bytes) -> tuple[list[bytes], bytes]:
    """(chunks: name, length and content, filled up to an even length; the rest)."""

    def size(at: int) -> int:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        return 8 + length + length % 2

    return _pieces(data, 12, 8, size)
