"""Name the parts of which JPEG, PNG, RIFF, GIF, TIFF, SVG, MP3, FLAC and PDF files consist, and find the credential among them.

What no part is named for is content as well: a header, an index of pixels. Lengths are a stranger's, and bounded.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import IO, NamedTuple

from gioconda_core.media import containers
from gioconda_core.media.sniff import HEAD, kinds_of

_INDICES = 100  # indices of one TIFF
_ENTRIES = 4096  # entries of one of them
_NUMBERS = 1 << 20  # places and lengths in all of them
_TEXT = 1 << 24  # bytes of an SVG that are parsed
_DEPTH = 1000  # elements of an SVG, one inside the other
OWN = frozenset(("C2PA", "C2PA entry"))  # the credential, and where a TIFF says that it lies
METADATA = frozenset(
    [
        "C2PA", "COM", "tEXt", "zTXt", "iTXt", "eXIf", "tIME", "pHYs", "EXIF", "XMP", "RIFF", "LIST:INFO", "JUNK", "bext", "iXML", "_PMX",
        "id3", "ID3", "comment", "application", "metadata", "IPTC", *(f"APP{i}" for i in range(16)),
        *(f"FLAC:{name}" for name in ("padding", "application", "seek table", "comment", "cue sheet", "picture")),
    ]
)  # fmt: skip


class Part(NamedTuple):
    """One segment, chunk or box of a file, in bytes from its beginning."""

    name: str
    start: int
    end: int


def store(file: IO[bytes], start: int, end: int) -> int:
    """How many bytes a credential takes that begins here, bare or in the base64 of an SVG; 0 where none does."""
    if not 0 <= start < end:
        return 0
    file.seek(start)
    head = file.read(64)
    size = _superbox(head)
    if not size:
        try:
            bare = _superbox(base64.b64decode(head, validate=True))
        except binascii.Error:
            return 0
        size = -(-bare // 3) * 4
    return size


def _superbox(head: bytes) -> int:
    whole = head[4:8] == b"jumb" and head[12:16] == b"jumd" and head[33:38] == b"c2pa\0"
    return int.from_bytes(head[:4], "big") if whole else 0


def _jpeg(file: IO[bytes], end: int) -> Iterator[Part]:
    """The segments of a JPEG; the scan reaches to its end."""
    at = 2
    for piece in containers.jpeg(file, end):
        file.seek(piece.start + 4)
        head, marker = file.read(16), piece.name[0]
        own = marker == 0xEB and head[:2] == b"JP" and head[12:] == b"jumb"  # C2PA 2.4, A.3.1
        name = f"APP{marker - 0xE0}" if 0xE0 <= marker <= 0xEF else "COM" if marker == 0xFE else f"{marker:02X}"
        yield Part("C2PA" if own else name, piece.start, at := piece.end)
    yield Part("SOS", at, end)


def _chunks(file: IO[bytes], end: int) -> Iterator[Part]:
    """The chunks of a PNG or RIFF."""
    file.seek(0)
    riff = file.read(4) == b"RIFF"
    if riff:  # its length grows with the credential
        yield Part("RIFF", 0, 12)
    for piece in containers.riff(file, end) if riff else containers.png(file, end):
        name = "C2PA" if piece.name == b"caBX" else piece.name.decode("latin-1").rstrip()
        if name == "LIST":
            file.seek(piece.start + 8)
            name = f"LIST:{file.read(4).decode('latin-1')}"
        yield Part(name, piece.start, min(piece.end, end))


def _gif(file: IO[bytes], end: int) -> Iterator[Part]:
    """Extensions and images of a GIF; of several that are named as a credential's the first is it."""
    own = False
    for piece in containers.gif(file, end):
        name = {b"\x2c": "image", b"\x21\xfe": "comment", b"\x21\xff": "application"}.get(piece.name, "control")
        file.seek(piece.start + 2)
        head = file.read(9)
        if head[1:] == b"NETSCAPE":
            name = "loop"
        elif head == b"\x0bC2PA_GIF" and piece.name == b"\x21\xff" and not own:
            name, own = "C2PA", True
        yield Part(name, piece.start, min(piece.end, end))


# What a TIFF says of itself, by tag; EXIF, places and the like lie in indices of their own.
_SAID = dict.fromkeys((269, 270, 271, 272, 285, 305, 306, 315, 316, 33432, 37510, 40091, 40092, 40093, 40094, 40095), "comment")  # fmt: skip
_SAID |= {700: "XMP", 33723: "IPTC", 34377: "metadata"}
_ASIDE = (34665, 34853, 40965)
_WIDTHS = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_STRIPS = {273: 279, 324: 325, 513: 514, 288: 289}  # tags of places → of lengths


def _tiff(file: IO[bytes], end: int) -> Iterator[Part]:
    """Strips and tiles, what is said of the picture, and the credential's entry."""
    file.seek(0)
    head = file.read(16)
    order = "little" if head[:1] == b"I" else "big"
    wide = b"+" in head[2:4]  # BigTIFF
    word, entry, counted = (8, 20, 8) if wide else (4, 12, 2)

    def number(data: bytes) -> int:
        return int.from_bytes(data, order)  # type: ignore[arg-type]

    left, seen, numbers = [(number(head[8:16] if wide else head[4:8]), False)], set[int](), _NUMBERS
    while left:
        at, aside = left.pop()
        if at in seen or not 0 < at < end:
            continue
        if len(seen) == _INDICES:
            raise containers.TooMuch
        seen.add(at)
        file.seek(at)
        if (count := number(file.read(counted))) > _ENTRIES:
            raise containers.TooMuch
        rows = file.read(count * entry + word)
        values: dict[int, list[int]] = {}
        if aside:
            yield Part("EXIF", at, at + counted + len(rows))
        for row in range(0, count * entry, entry):
            one = rows[row : row + entry]
            tag, kind, many = number(one[:2]), number(one[2:4]), number(one[4 : 4 + word])
            width = _WIDTHS.get(kind, 1)
            inside = at + counted + row + 4 + word
            place = inside if many * width <= word else number(one[4 + word :])
            if tag == 52545:  # C2PA 2.4, A.3.4
                yield Part("C2PA entry", inside - 4 - word, inside + word)
            elif aside or tag in _SAID:
                yield Part(_SAID.get(tag, "EXIF"), place, place + many * width)
            if tag in (330, *_ASIDE, *_STRIPS, *_STRIPS.values()) and place < end:
                if (numbers := numbers - many) < 0:
                    raise containers.TooMuch
                file.seek(place)
                raw = file.read(many * width)
                values[tag] = [number(raw[i : i + width]) for i in range(0, len(raw), width)]
        for places, lengths in _STRIPS.items():
            for start, length in zip(values.get(places, ()), values.get(lengths, ()), strict=False):
                yield Part("strip", start, start + length)
        left += [(place, aside) for place in (number(rows[count * entry :]), *values.get(330, ()))]
        left += [(place, True) for tag in _ASIDE for place in values.get(tag, ())]


_BLOCKS = {1: "padding", 2: "application", 3: "seek table", 4: "comment", 5: "cue sheet", 6: "picture"}


def _sound(file: IO[bytes], end: int) -> Iterator[Part]:
    """Tags at both ends of an MP3 or FLAC, the latter's blocks, and the sound."""
    file.seek(0)
    head, at = file.read(10), 0
    if head[:3] == b"ID3":
        at = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=False))
        yield Part("ID3", 0, at)
    file.seek(at)
    if file.read(4) == b"fLaC":
        at, last = at + 4, False
        while not last and at + 4 <= end:
            file.seek(at)
            head = file.read(4)
            last = head[:1] >= b"\x80"
            name = _BLOCKS.get(head[0] & 0x7F, "stream")
            yield Part(f"FLAC:{name}", at, at := at + 4 + int.from_bytes(head[1:], "big"))
    file.seek(max(at, end - 128))
    if file.read(3) == b"TAG":
        end -= 128
        yield Part("ID3", end, end + 128)
    yield Part("sound", at, end)


def _svg(file: IO[bytes], end: int) -> Iterator[Part]:
    """Comments and ``metadata`` of an SVG; nothing of one that declares entities."""
    from xml.parsers import expat

    found: list[Part] = []
    inside: list[int] = []  # where each open element begins
    parser = expat.ParserCreate(namespace_separator=" ")

    def refuse(*_: object) -> None:
        raise ValueError("entities, or too much")

    def note(part: Part) -> None:
        found.append(part)
        if len(found) > containers.MOST:
            refuse()

    def begin(*_: object) -> None:
        inside.append(parser.CurrentByteIndex)
        if len(inside) > _DEPTH:
            refuse()

    def stop(name: str) -> None:
        start = inside.pop()
        if name == "http://www.w3.org/2000/svg metadata":
            note(Part("metadata", start, parser.CurrentByteIndex))

    def comment(text: str) -> None:
        note(Part("comment", at := parser.CurrentByteIndex, at + 7 + len(text.encode())))

    parser.StartElementHandler, parser.EndElementHandler = begin, stop
    parser.CommentHandler, parser.EntityDeclHandler = comment, refuse
    file.seek(0)
    try:
        parser.Parse(file.read(min(end, _TEXT)), True)
    except (expat.ExpatError, ValueError):
        found = []
    yield from found or [Part("SVG", 0, end)]


def _whole(file: IO[bytes], end: int) -> Iterator[Part]:
    """A PDF: any object of it may be shown, or decide what is."""
    yield Part("PDF", 0, end)


_WALKS = {
    "JPEG": _jpeg,
    "PNG": _chunks,
    "RIFF": _chunks,
    "GIF": _gif,
    "TIFF": _tiff,
    "sound": _sound,
    "PDF": _whole,
    "SVG": _svg,
}


def parts(file: IO[bytes], end: int) -> list[Part] | None:
    """The parts of a file of ``end`` bytes; None where its kind is not one of those known here."""
    file.seek(0)
    walk = next((_WALKS[kind] for kind in kinds_of(file.read(HEAD)) if kind in _WALKS), None)
    if walk is None:
        return None
    found: list[Part] = []
    try:
        for part in containers.bounded(walk(file, end)):
            found.append(part)
    except containers.TooMuch:  # what was taken for metadata may be shown as well
        found = [part for part in found if part.name not in METADATA]
    return found
