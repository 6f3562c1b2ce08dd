"""What a file is by its first bytes, and whether its name says so too."""

import contextlib
import os
import re
from collections.abc import Iterator
from typing import IO

from gioconda_core.media import containers
from gioconda_core.media.suffixes import KIND_OF, PICTURE_KINDS

HEAD = 1024  # bytes that kind_of wants to see

_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

# (kind, test of the first bytes)
Signs = tuple[tuple[str, re.Pattern[bytes]], ...]


def _signs(*patterns: tuple[str, bytes]) -> Signs:
    return tuple((kind, re.compile(pattern, re.DOTALL)) for kind, pattern in patterns)


# Of pictures and video; the first that holds.
_SIGNS = _signs(
    ("JPEG", rb"\xff\xd8\xff"),
    ("PNG", rb"\x89PNG\r\n\x1a\n"),
    ("GIF", rb"GIF8[79]a"),
    ("WebP", rb"RIFF....WEBP"),
    ("AVI", rb"RIFF....AVI[ X\x19]"),
    ("TIFF", rb"II[*+]\0|MM\0[*+]"),
    ("BMP", rb"BM.{13}\0\0\0"),
    ("JPEG 2000", rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"),
    ("JPEG XL", rb"\xff\x0a|\0\0\0\x0cJXL "),
    ("PPM", rb"P[56]\s"),
    ("AVIF", rb"....ftypavi[fs]"),
    ("HEIF", rb"....ftyp(?:" + b"|".join(_HEIC) + rb")"),
    ("MP4", rb"....(?:ftyp|moov|mdat|wide|free|skip|pnot)"),
    ("Matroska", rb"\x1a\x45\xdf\xa3"),
    ("MPEG-TS", rb"\x47.{187}\x47.{187}\x47|.{4}\x47.{191}\x47.{191}\x47"),
    ("MPEG", rb"\0\0\x01[\xb3\xba]"),
    ("FLV", rb"FLV\x01"),
    ("ASF", rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    ("Ogg", rb"OggS"),
    ("MXF", rb".{0,64}?\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02"),
    ("RealMedia", rb"\.RMF"),
    ("YUV4MPEG2", rb"YUV4MPEG2 "),
)
# Of what is neither, and may carry a credential all the same.
_OTHER_SIGNS = _signs(
    ("RIFF", rb"RIFF"),
    ("sound", rb"ID3|fLaC|\xff[\xe0-\xff]"),
    ("PDF", rb".*%PDF-"),
    ("SVG", rb".{0,7}<"),
)


def kind_of(head: bytes) -> str | None:
    """The kind of picture or video that a file begins like; None where it is none of those known here (raw streams have no sign)."""
    return next((kind for kind, sign in _SIGNS if sign.match(head)), None)


def kinds_of(head: bytes) -> list[str]:
    """All kinds that a file begins like: of pictures and video, of other RIFF files, sound, PDF and SVG."""
    return [kind for kind, sign in (*_SIGNS, *_OTHER_SIGNS) if sign.match(head)]


_CLIP = re.compile(rb"\0\0\0[\x0c-\x40]ftyp(?:mp4|iso|qt  |M4V|avc|3gp)|\0..[\0-\xff]mpvd", re.DOTALL)
_LOOKED = 64 << 20  # bytes read for that
_NEAR = 1 << 16  # bytes of a JPEG's end looked at first


def clip_behind(file: IO[bytes]) -> int:
    """Bytes from where a video begins behind the picture of a JPEG or HEIC, as telephones take motion photos; 0 where there is none."""
    file.seek(0)
    head = file.read(HEAD)
    kind = kind_of(head)
    if kind not in ("JPEG", "HEIF"):
        return 0
    data = head + file.read(_LOOKED - HEAD)
    found = _CLIP.search(data, max(data.find(b"\xff\xd9"), 0) if kind == "JPEG" else 16)
    return file.seek(0, os.SEEK_END) - found.start() if found else 0


def stream_part(file: IO[bytes]) -> str:
    """Which piece of a stream that is kept in pieces a file is: ``beginning`` (all but the pictures), ``piece`` (pictures without their
    beginning), ``list`` (of the pieces' names); empty where it is none."""
    file.seek(0)
    head = file.read(HEAD)
    if head.startswith(b"#EXTM3U") or (head.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"<") and b"<MPD" in head):
        return "list"
    if head[4:8] not in (b"ftyp", b"styp", b"sidx", b"moof"):
        return ""
    continued = False
    with contextlib.suppress(containers.TooMuch):
        for box in containers.bounded(containers.boxes(file, file.seek(0, os.SEEK_END))):
            if box.kind == b"moof" and not continued:
                return "piece"
            if box.kind == b"moov":
                file.seek(box.start)
                continued = b"mvex" in file.read(min(box.size, _LOOKED))  # pictures are to come in fragments
            if box.size < box.header or box.kind in (b"moof", b"mdat") or (box.kind == b"moov" and not continued):
                return ""
        return "beginning" if continued else ""
    return ""


BROKEN_OFF = "the recording or the copy was broken off; get the file again"
_SHORT = "it ends too early"
_BOXES = frozenset(b"ftyp styp moov moof mdat meta free skip wide uuid sidx mfra pnot".split())
_UNKNOWN = 0xFFFFFFF0  # a RIFF written to a pipe says this or more of its length
_PARTITION = b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02"  # of an MXF, the first
_TAIL = 1 << 20  # bytes of a program stream's end in which a pack begins


_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_WALKS = {"GIF": containers.gif, "FLV": containers.flv, "Ogg": containers.ogg, "Matroska": containers.matroska}


def lost_end(file: IO[bytes]) -> str:
    """What a file lacks of the end that its own structure announces, in words; empty where it is whole, or does not say how long it is.

    Looked at are MP4, HEIF, AVIF, Matroska, AVI, WebP, PNG, JPEG, GIF, FLV, MPEG-TS, MPEG-PS, MXF, Ogg and ASF, the boxes and chunks alone:
    nothing is decoded. What ends between two of its pieces, and does not say how many there are, is not told from a whole one.
    """
    try:
        return _lost_end(file, file.seek(0, os.SEEK_END))
    except containers.TooMuch:
        return ""


def _lost_end(file: IO[bytes], end: int) -> str:
    file.seek(0)
    head = file.read(HEAD)
    kind = kind_of(head)
    if kind in ("MP4", "HEIF", "AVIF"):
        return _lost_boxes(file, end, {b"moov", b"moof"} if kind == "MP4" else {b"moov", b"moof", b"meta"})
    if kind in ("AVI", "WebP"):
        riffs = containers.bounded(_riffs(file, end))
        return _SHORT if any(end < at + size < at + _UNKNOWN for at, size in riffs) else ""
    if kind == "PNG":
        chunks = containers.bounded(containers.png(file, end))
        return "" if any(chunk.name == b"IEND" for chunk in chunks) else _SHORT
    if kind in _WALKS:
        pieces = containers.bounded(_WALKS[kind](file, end))
        return _SHORT if any(piece.end > end for piece in pieces) else ""
    lost = False
    if kind == "MPEG-TS":
        size, sync = (188, 0) if head[:1] == head[188:189] == b"G" else (192, 4)
        file.seek(end - end % size + sync)
        lost = file.read(1) == b"G"
    elif kind == "ASF":
        at = head.find(_ASF_PROPERTIES)
        live = head[at + 88] & 1 if 0 <= at < len(head) - 88 else 1  # written to a stream, its length unknown
        lost = not live and int.from_bytes(head[at + 40 : at + 48], "little") > end
    elif kind == "JPEG":
        lost = _lost_mark(file, end)
    elif kind == "MPEG":
        lost = _lost_packet(file, end)
    elif kind == "MXF":
        # Behind the partition's length, in one byte or as many as that says, is where the last one begins; 0 in what was not closed.
        at = head.find(_PARTITION) + 17
        at += max(0, int.from_bytes(head[at - 1 : at], "big") - 0x80) + 24
        lost = int.from_bytes(head[at : at + 8], "big") >= end
    return _SHORT if lost else ""


def _lost_boxes(file: IO[bytes], end: int, index: set[bytes]) -> str:
    seen = set[bytes]()
    for box in containers.bounded(containers.boxes(file, end)):
        size = box.size or end - box.start
        if box.kind not in _BOXES or size < box.header:
            # what telephones append, an old QuickTime's preview, or no box: not judged
            return ""
        if box.start + size > end:
            return "its index is cut off" if box.kind == b"moov" else _SHORT if seen & index else "its index is missing"
        seen.add(box.kind)
    return "" if seen & index or not seen else "its index is missing"


def _riffs(file: IO[bytes], end: int) -> Iterator[tuple[int, int]]:
    """(place, length) of each RIFF that an AVI of more than a gigabyte consists of."""
    at = 0
    while at + 8 <= end:
        file.seek(at)
        head = file.read(8)
        if head[:4] != b"RIFF":
            return
        size = int.from_bytes(head[4:], "little")
        yield at, size
        at += 8 + size + size % 2


def _lost_packet(file: IO[bytes], end: int) -> bool:
    """Whether the last packet of an MPEG program stream says that it is longer (ISO/IEC 13818-1, 2.5.3)."""
    start = max(0, end - _TAIL)
    file.seek(start)
    data = file.read(_TAIL)
    at = data.find(b"\0\0\1\xba")
    while at >= 0 and data[at : at + 3] == b"\0\0\1":
        head = data[at : at + 14].ljust(14, b"\0")
        if head[3] < 0xBA:  # what ends it
            return False
        if head[3] == 0xBA:
            at += 14 + (head[13] & 7) if head[4] & 0x40 else 12
        else:
            at += 6 + int.from_bytes(head[4:6], "big")
    return at > len(data)


def _lost_mark(file: IO[bytes], end: int) -> bool:
    """Whether the mark that ends a JPEG is missing behind its first scan."""
    *_, last = containers.Piece(b"", 0, 2), *containers.bounded(containers.jpeg(file, end))
    for place in (max(last.end, end - _NEAR), last.end):  # nearly always it is the last of the file
        file.seek(place)
        data = file.read(_LOOKED)
        if b"\xff\xd9" in data:
            return False
    return len(data) < _LOOKED


_SEQUENCES = (b"hevc", b"hevx", b"msf1")  # of HEIF, which PyAV reads


_ARCHIVE = re.compile(
    rb"PK(?:\x03\x04|\x05\x06)|Rar!\x1a\x07|7z\xbc\xaf\x27\x1c|\x1f\x8b\x08|BZh|\xfd7zXZ\0|.{257}ustar", re.DOTALL
)


def is_archive(head: bytes) -> bool:
    """Whether the first 512 bytes are those of an archive (ZIP, RAR, 7z, tar, or what is packed as tar archives are)."""
    return _ARCHIVE.match(head) is not None


def is_picture(head: bytes) -> bool:
    """Whether the first 32 bytes are those of a picture, or an animation, that Pillow reads."""
    kind = kind_of(head)
    if kind == "JPEG XL" or (kind == "JPEG 2000" and head[0]):  # a bare codestream begins with ff
        return False
    return kind == "GIF" or (kind in PICTURE_KINDS and not (kind == "HEIF" and head[8:12] in _SEQUENCES))


def misnamed(name: str | os.PathLike[str], head: bytes) -> dict[str, str] | None:
    """``suffix`` and ``kind`` where a name says another kind than the content is; None where they agree or either says nothing."""
    suffix = os.path.splitext(os.fspath(name))[1].lower()
    named, kind = KIND_OF.get(suffix), kind_of(head)
    return {"suffix": suffix, "kind": kind} if named and kind and named != kind else None
