"""What of a file the signed hash leaves out: a change there would show nowhere, and nothing that is seen or heard may lie there.

Signers choose what their hash leaves out beside the credential itself (C2PA 2.4, 18.5 to 18.7), metadata for instance, and the SDK
reports that they did, not what. Looked into are ISO media and what :mod:`provenance.reading.parts` knows; of other kinds only the number of
bytes is told.
"""

import itertools
import os
from collections.abc import Iterator, Mapping
from typing import IO, Any

from gioconda_core.media import containers
from gioconda_core.types import ProvenanceState
from provenance.reading import cose, rules
from provenance.reading.open import Opened
from provenance.reading.parts import METADATA, OWN, Part, parts, store
from provenance.sanitise import table, tables
from provenance.vocabulary import C2PA_BOX

_KINDS = ("c2pa.hash.data", "c2pa.hash.boxes", "c2pa.hash.bmff", "c2pa.hash.bmff.v2", "c2pa.hash.bmff.v3")
_PIECE = 1 << 20  # bytes read at a time
_NAMED = 6  # parts named
_RANGES = 100  # ranges, or kinds of box, whose parts are looked for
# What ISO media show or play, and where it lies; the rest is padding, an index, or metadata.
_SHOWN = frozenset(("mdat", "moov", "moof", "idat", "imda"))
# Tables of places in the file, at whatever depth, which move with the credential's length: the first kinds of hash leave them out.
_PLACES = frozenset(("stco", "co64", "iloc", "tfra", "tfhd", "trun", "saio"))
_PICTURES = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")
_PURPOSES = (b"manifest", b"original", b"update", b"merkle")


def findings(found: Opened) -> Iterator[rules.Finding]:
    """One finding for what is shown or heard and lies outside of the signed hash, one for anything else there."""
    if cose.is_update(found.plain, found.label) and _hashes(found, found.label):  # the SDK takes no notice of it
        yield rules.Finding("manifest.update.invalid", ProvenanceState.INVALID)
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


def _hashes(found: Opened, manifest: str) -> list[str]:
    """The labels of what binds one manifest to a file."""
    return [name for name in cose.assertions_of(found.plain, manifest) if name.split("__", 1)[0] in _KINDS]


def _bindings(found: Opened) -> list[tuple[str, Mapping[str, Any], bool]]:
    """(label, data) of what binds the credential to the file, and whether it is an earlier credential's: an update has nothing of the kind."""
    label, manifests = found.label, table(found.document.get("manifests"))
    for step in range(len(manifests)):
        names = _hashes(found, label)
        if names and not cose.is_update(found.plain, label):
            assertions = [(name, table(cose.assertion(found.plain, label, name))) for name in names]
            return [(name.split("__", 1)[0], data, step > 0) for name, data in assertions]
        parents = tables(table(manifests.get(label)).get("ingredients"))
        label = next((str(p.get("active_manifest")) for p in parents if p.get("relationship") == "parentOf"), "")
    return []


# --------------------------------------------------------------------- ISO media


def _of_boxes(data: Mapping[str, Any], file: IO[bytes]) -> Iterator[tuple[str, int, bool]]:
    """(box, bytes, whether it is shown or heard) of what a hash over boxes leaves out, beside what the standard says it must."""
    size = os.fstat(file.fileno()).st_size
    boxes = list(itertools.islice(containers.boxes(file, size), containers.MOST))
    hashed_in_leaves = bool(tables(data.get("merkle")))
    file.seek(8)
    shown = _SHOWN | {"meta"} if file.read(4) in _PICTURES else _SHOWN
    for count, item in enumerate(tables(data.get("exclusions"))):
        if count == _RANGES:  # no hash names so many kinds of box
            yield "…", 0, True
            break
        steps = [step.split("[")[0] for step in str(item.get("xpath")).strip("/").split("/")]
        hit = [box for box in boxes if box.kind.decode("latin-1") == steps[0] and _meant(item, box, file)]
        behind = len(boxes) == containers.MOST and steps[0] in shown  # it may lie behind those looked at
        if steps in (["ftyp"], ["mfra"], ["free"], ["skip"]) or not (hit or behind):
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


def _stray(box: containers.Box, file: IO[bytes]) -> bool:
    """Whether a box is named as a credential's, which no hash covers, and is none (C2PA 2.4, A.5.1)."""
    file.seek(box.start + box.header)
    head = file.read(36)
    return head[:16] == C2PA_BOX and head[20:].split(b"\0", 1)[0] not in _PURPOSES


def _meant(item: Mapping[str, Any], box: containers.Box, file: IO[bytes]) -> bool:
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


def _length(box: containers.Box, end: int) -> int:
    return box.size if box.size >= box.header else end - box.start


def _empty(box: containers.Box, file: IO[bytes], end: int) -> bool:
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
    ranges = [(item.get("start"), item.get("length")) for item in tables(data.get("exclusions"))]
    if not ranges:
        return
    size = os.fstat(file.fileno()).st_size
    listed = parts(file, size)
    own = [part for part in listed or () if part.name == "C2PA"]
    met, grown = False, 0  # by how much an update has moved what stands behind the credential (C2PA 2.4, 15.12.1)
    known = sorted((at, n) for at, n in ranges if isinstance(at, int) and isinstance(n, int))
    for start, length in known[:_RANGES]:
        if own and start <= own[0].start < start + length:
            # Of a range that reaches further than the credential the SDK says that the hash does not fit.
            grown = sum(part.end - part.start for part in own) - length if updated else 0
        elif not own and not met and (held := store(file, start, size)) and (held == length or updated):
            met, grown = True, held - length
        else:
            yield from _within(listed, start + grown, start + grown + length)
    for start, length in known[_RANGES:]:
        yield f"{start}–{start + length - 1}", length, listed is not None


def _within(listed: list[Part] | None, start: int, end: int) -> Iterator[tuple[str, int, bool]]:
    """What of a file's parts lies in a range of bytes; where none is named, the bytes, which are content unless the file's kind is not known."""
    at = start
    for part in sorted(listed or (), key=lambda part: part.start):
        size = min(end, part.end) - max(start, part.start)
        if size <= 0:
            continue
        if at < part.start:
            yield f"{at}–{part.start - 1}", part.start - at, True
        if part.name not in OWN:
            yield part.name, size, part.name not in METADATA
        at = max(at, part.end)
    if at < end:
        yield f"{at}–{end - 1}", end - at, listed is not None


# --------------------------------------------------------------------- boxes by name


def _of_names(data: Mapping[str, Any]) -> Iterator[tuple[str, int, bool]]:
    """(box, bytes, whether it is shown) of what a hash over named boxes leaves out (C2PA 2.4, 18.7)."""
    for item in tables(data.get("boxes")):
        names = [str(name) for name in item.get("names") or ()] if isinstance(item.get("names"), list) else []
        if item.get("excluded") is True:
            for name in names:
                if name != "C2PA":
                    yield name[:20], 0, name not in METADATA
        for part in tables(item.get("exclusions")):
            place, length = part.get("boxIndex"), part.get("length")
            if isinstance(place, int) and 0 <= place < len(names) and names[place] != "C2PA":
                name = names[place]
                yield name[:20], length if isinstance(length, int) else 0, name not in METADATA
