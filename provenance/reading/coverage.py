"""What of a file the signed hash leaves out: a change there would show nowhere, and nothing that is seen or heard may lie there.

Signers choose what their hash leaves out beside the credential itself (C2PA 2.4, 18.5 to 18.7), metadata for instance, and the SDK
reports that they did, not what. Looked into are JPEG, PNG, WebP, WAV, AVI and ISO media; of other kinds only the number of bytes is told.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, NamedTuple

from gioconda_core.types import ProvenanceState
from provenance import containers
from provenance.reading import cose, rules
from provenance.reading.open import Opened
from provenance.sanitise import table, tables
from provenance.sdk.one_pass import Box, boxes_of
from provenance.vocabulary import C2PA_BOX

_KINDS = ("c2pa.hash.data", "c2pa.hash.boxes", "c2pa.hash.bmff", "c2pa.hash.bmff.v2", "c2pa.hash.bmff.v3")
_PARTS = 100_000  # segments, chunks or boxes of one file looked at
_UPDATES = 16  # updates followed to the credential that has the hash
_PIECE = 1 << 20  # bytes read at a time
_NAMED = 6  # parts named
_ENTRY = 12  # bytes of an entry in a TIFF index: where the credential lies, which a hash must leave out
# What ISO media show or play, and where it lies; the rest is padding, an index, or metadata.
_SHOWN = frozenset(("mdat", "moov", "moof", "idat", "imda"))
# Tables of places in the file, at whatever depth, which move with the credential's length: the first kinds of hash leave them out.
_PLACES = frozenset(("stco", "co64", "iloc", "tfra", "tfhd", "trun", "saio"))
_PICTURES = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")
_PURPOSES = (b"manifest", b"original", b"update", b"merkle")
_METADATA = frozenset(
    [
        "C2PA", "COM", "tEXt", "zTXt", "iTXt", "eXIf", "tIME", "pHYs", "EXIF", "XMP", "LIST:INFO", "JUNK", "bext", "iXML", "_PMX",
        "id3", "ID3", *(f"APP{i}" for i in range(16)),
    ]
)  # fmt: skip


class Part(NamedTuple):
    """One segment, chunk or box of a file, in bytes from its beginning."""

    name: str
    start: int
    end: int


def findings(found: Opened) -> Iterator[rules.Finding]:
    """One finding for what is shown or heard and lies outside of the signed hash, one for anything else there."""
    left_out: list[tuple[str, int, bool]] = []
    for kind, data, updated in _bindings(found):
        if kind == "c2pa.hash.data":
            left_out += _of_ranges(data, found.file, updated)
        elif kind == "c2pa.hash.boxes":
            left_out += _of_names(data)
        else:
            left_out += _of_boxes(data, found.file)
    content: dict[str, int] = {}
    rest: dict[str, int] = {}
    for part, size, shown in left_out:
        where = content if shown else rest
        where[part] = where.get(part, 0) + size
    if content:
        yield rules.Finding(rules.CONTENT, ProvenanceState.INVALID, _told(content))
    if rest:
        yield rules.Finding(rules.PARTIAL, None, _told(rest))


def _told(sizes: Mapping[str, int]) -> str:
    """``moov: 900 B, mdat: 12000 B``."""
    listed = [f"{name}: {size} B" if size else name for name, size in itertools.islice(sizes.items(), _NAMED)]
    return ", ".join(listed) + (", …" if len(sizes) > _NAMED else "")


def _bindings(found: Opened) -> list[tuple[str, Mapping[str, Any], bool]]:
    """(label, data) of what binds the credential to the file, and whether it is an earlier credential's: an update has nothing of the kind."""
    label, manifests = str(found.document.get("active_manifest")), table(found.document.get("manifests"))
    for step in range(_UPDATES):
        names = [name for name in cose.assertions_of(found.plain, label) if name.split("__", 1)[0] in _KINDS]
        if names:
            said = [(name, table(cose.assertion(found.plain, label, name))) for name in names]
            return [(name.split("__", 1)[0], data, step > 0) for name, data in said]
        parents = tables(table(manifests.get(label)).get("ingredients"))
        label = next((str(p.get("active_manifest")) for p in parents if p.get("relationship") == "parentOf"), "")
    return []


# --------------------------------------------------------------------- ISO media


def _of_boxes(data: Mapping[str, Any], file: IO[bytes]) -> Iterator[tuple[str, int, bool]]:
    """(box, bytes, whether it is shown or heard) of what a hash over boxes leaves out, beside what the standard says it must."""
    size = os.fstat(file.fileno()).st_size
    boxes = list(itertools.islice(boxes_of(file, size), _PARTS))
    hashed_in_leaves = bool(tables(data.get("merkle")))
    file.seek(8)
    shown = _SHOWN | {"meta"} if file.read(4) in _PICTURES else _SHOWN
    for item in tables(data.get("exclusions")):
        steps = [step.split("[")[0] for step in str(item.get("xpath")).strip("/").split("/")]
        hit = [box for box in boxes if box.kind.decode("latin-1") == steps[0] and _meant(item, box, file)]
        if steps in (["ftyp"], ["mfra"], ["free"], ["skip"]) or not hit:
            continue
        if steps == ["mdat"] and hashed_in_leaves:  # covered by the leaves, which the SDK checks
            continue
        # Of a movie what is said of it, and of anything where its parts lie: not what it shows.
        aside = steps[1:2] in (["udta"], ["meta"]) or steps[-1] in _PLACES
        lengths = [table(part).get("length") for part in tables(item.get("subset"))]
        whole = sum(_length(box, size) for box in hit) if len(steps) == 1 and not lengths else 0
        yield "/".join(steps)[:60], whole, steps[0] in shown and not aside
    for place, box in enumerate(boxes):
        stray = box.kind == b"uuid" and _stray(box, file)
        padding = box.kind in (b"free", b"skip") or (box.kind == b"ftyp" and place > 0)
        if (stray or padding) and not _empty(box, file, size):
            yield box.kind.decode(), _length(box, size), False


def _stray(box: Box, file: IO[bytes]) -> bool:
    """Whether a box is named as a credential's, which no hash covers, and is none (C2PA 2.4, A.5.1)."""
    file.seek(box.start + box.header)
    head = file.read(36)
    return head[:16] == C2PA_BOX and head[20:].split(b"\0", 1)[0] not in _PURPOSES


def _meant(item: Mapping[str, Any], box: Box, file: IO[bytes]) -> bool:
    """Whether an exclusion is about this very box (C2PA 2.4, 18.6.2); never where it is the credential's own."""
    file.seek(box.start + box.header)
    if box.kind == b"uuid" and file.read(16) == C2PA_BOX:
        return False
    if isinstance(item.get("length"), int) and item["length"] != box.size:
        return False
    for known in tables(item.get("data")):
        offset, value = known.get("offset"), known.get("value")
        if isinstance(offset, int) and isinstance(value, bytes) and 0 <= offset < 1 << 40:
            file.seek(box.start + offset)
            if file.read(len(value)) != value:
                return False
    return True


def _length(box: Box, end: int) -> int:
    return box.size if box.size >= box.header else end - box.start


def _empty(box: Box, file: IO[bytes], end: int) -> bool:
    """Whether there is nothing but zeros in a box."""
    file.seek(box.start + box.header)
    left = _length(box, end) - box.header
    while left > 0 and (piece := file.read(min(left, _PIECE))):
        if any(piece):
            return False
        left -= len(piece)
    return True


# --------------------------------------------------------------------- ranges of bytes


def _of_ranges(data: Mapping[str, Any], file: IO[bytes], updated: bool) -> Iterator[tuple[str, int, bool]]:
    """(part, bytes, whether it is shown or heard) of the ranges that a hash over the whole file leaves out beside the credential."""
    size = os.fstat(file.fileno()).st_size
    parts = list(itertools.islice(_parts(file, size), _PARTS))
    own = [part for part in parts if part.name == "C2PA"]
    file.seek(0)
    index = file.read(4) in (b"II*\0", b"MM\0*")
    ranges = [(item.get("start"), item.get("length")) for item in tables(data.get("exclusions"))]
    known = [(start, length) for start, length in ranges if isinstance(start, int) and isinstance(length, int)]
    grown = 0  # by how much an update has moved what stands behind the credential (C2PA 2.4, 15.12.1)
    for start, length in sorted(known):
        if own and start <= own[0].start < start + length:
            grown = sum(part.end - part.start for part in own) - length if updated else 0
        elif not own and length == max(length for _, length in known):
            continue  # where the credential lies is not known here: it is the longest by far
        elif not (index and length <= _ENTRY):
            yield from _within(parts, start + grown, start + grown + length)


def _within(parts: Iterable[Part], start: int, end: int) -> Iterator[tuple[str, int, bool]]:
    """What of a file's parts lies in a range of bytes."""
    met = False
    for part in parts:
        size = min(end, part.end) - max(start, part.start)
        if size > 0:
            met = True
            yield part.name, size, part.name not in _METADATA
    if not met and end > start:
        yield f"{start}–{end - 1}", end - start, False


def _parts(file: IO[bytes], end: int) -> Iterator[Part]:
    """The segments of a JPEG or the chunks of a PNG or RIFF, nothing of other kinds; the scan of a JPEG reaches to its end."""
    file.seek(0)
    head = file.read(12)
    if head[:2] == b"\xff\xd8":
        at = 2
        for piece in containers.jpeg(file, end):
            yield Part(_segment(piece, file), piece.start, at := piece.end)
        yield Part("SOS", at, end)
    elif head[:8] == containers.PNG or head[:4] == b"RIFF":
        for piece in containers.riff(file, end) if head[:4] == b"RIFF" else containers.png(file, end):
            name = "C2PA" if piece.name == b"caBX" else piece.name.decode("latin-1").rstrip()
            if name == "LIST":
                file.seek(piece.start + 8)
                name = f"LIST:{file.read(4).decode('latin-1')}"
            yield Part(name, piece.start, min(piece.end, end))


def _segment(piece: containers.Piece, file: IO[bytes]) -> str:
    """What a segment of a JPEG is called."""
    file.seek(piece.start + 4)
    head, marker = file.read(16), piece.name[0]
    if marker == 0xEB and head[:2] == b"JP" and head[12:] == b"jumb":  # C2PA 2.4, A.3.1
        return "C2PA"
    return f"APP{marker - 0xE0}" if 0xE0 <= marker <= 0xEF else "COM" if marker == 0xFE else f"{marker:02X}"


# --------------------------------------------------------------------- boxes by name


def _of_names(data: Mapping[str, Any]) -> Iterator[tuple[str, int, bool]]:
    """(box, bytes, whether it is shown) of what a hash over named boxes leaves out (C2PA 2.4, 18.7)."""
    for item in tables(data.get("boxes")):
        names = [str(name) for name in item.get("names") or ()] if isinstance(item.get("names"), list) else []
        if item.get("excluded") is True:
            for name in names:
                if name != "C2PA":
                    yield name[:20], 0, name not in _METADATA
        for part in tables(item.get("exclusions")):
            place, length = part.get("boxIndex"), part.get("length")
            if isinstance(place, int) and 0 <= place < len(names) and names[place] != "C2PA":
                name = names[place]
                yield name[:20], length if isinstance(length, int) else 0, name not in _METADATA
