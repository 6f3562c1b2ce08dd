"""Sign a stream in segments (DASH, HLS in fragmented MP4): its initialisation segment carries the credential, each segment its place in it.

The SDK reads such streams and, from Python, signs none. The layout is C2PA 2.4, 18.6 and A.5: a box at the beginning of each segment gives
its number, the credential lists the hash of every segment, and a hash of the initialisation segment. The SDK signs what is laid out here.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from gioconda_core.errors import MediaError, UsageError
from gioconda_core.media import containers
from provenance.sdk import one_pass
from provenance.vocabulary import C2PA_BOX

_PIECE = 2**20
_UNHASHED = (b"ftyp", b"mfra", b"free", b"skip")  # and the box that holds the credential itself
_BASE_DATA_OFFSET = 1  # ISO/IEC 14496-12, 8.8.7: media at places counted from the beginning of the file
BINDING = "c2pa.hash.bmff.v3"


def placed(segment: Path, number: int, target: Path) -> bytes:
    """Copy one segment behind the box that gives its number; its hash, as the credential lists it.

    Raises
    ------
    UsageError
        It is no media segment, is signed already, or counts its places from the beginning of the file, which moves.
    """
    with _unsigned(segment) as (source, boxes):
        kinds = [box.kind for box in boxes]
        if b"moof" not in kinds or b"mdat" not in kinds or b"moov" in kinds:
            raise UsageError(
                "is no media segment",
                where=str(segment),
                hint="the initialisation segment is signed, --fragment takes the others",
            )
        if b"mfra" in kinds or any(box.kind == b"moof" and _absolute(source, box) for box in boxes):
            raise UsageError(
                "counts places from the beginning of the file, which signing moves",
                where=str(segment),
                hint="package it with offsets from each fragment (default-base-is-moof)",
            )
        body = C2PA_BOX + bytes(4) + b"merkle\0" + _place(number)
        head = (8 + len(body)).to_bytes(4, "big") + b"uuid" + body
        # Before everything but the segment's type: an index (sidx) counts from its own end.
        at = boxes[0].size if kinds[0] == b"styp" else 0
        source.seek(0)
        with open(target, "xb") as out:
            out.write(source.read(at) + head)
            shutil.copyfileobj(source, out, _PIECE)
    return hashed(target)


def hashed(path: Path) -> bytes:
    """The hash of a file in boxes (C2PA 2.4, 18.6.2): of every topmost box that counts its place and its bytes."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        for box in _whole_boxes(file, path):
            if box.kind in _UNHASHED or containers.is_uuid(file, box, C2PA_BOX):
                continue
            digest.update(box.start.to_bytes(8, "big"))
            file.seek(box.start)
            left = box.size
            while left:
                piece = file.read(min(left, _PIECE))
                if not piece:
                    raise MediaError("became shorter while it was read", where=str(path))
                digest.update(piece)
                left -= len(piece)
    return digest.digest()


def binding(initial: bytes, leaves: Sequence[bytes]) -> dict[str, Any]:
    """The statement that binds a credential to its stream: hash of the initialisation segment, hashes of the segments."""
    tree = {
        "uniqueId": 1,
        "localId": 1,
        "count": len(leaves),
        "alg": "sha256",
        "initHash": list(initial),
        "hashes": [list(leaf) for leaf in leaves],
    }
    credential = {"xpath": "/uuid", "data": [{"offset": 8, "value": list(C2PA_BOX)}]}
    unhashed = [{"xpath": f"/{kind.decode()}"} for kind in _UNHASHED]
    return {"exclusions": [credential, *unhashed], "alg": "sha256", "merkle": [tree], "name": "jumbf manifest"}


def with_room(initial: Path, target: Path, room: int) -> int:
    """Copy an initialisation segment with a free box of ``room`` bytes after its first; where that begins.

    Raises
    ------
    UsageError
        It is no initialisation segment, or is signed already.
    """
    with _unsigned(initial) as (source, boxes):
        kinds = [box.kind for box in boxes]
        if kinds[:1] != [b"ftyp"] or b"moov" not in kinds or b"moof" in kinds or b"mdat" in kinds:
            raise UsageError(
                "is no initialisation segment", where=str(initial), hint="it holds the movie's description and no media"
            )
        source.seek(0)
        at = boxes[0].size
        with open(target, "xb") as out:
            out.write(source.read(at) + room.to_bytes(4, "big") + b"free" + bytes(room - 8))
            shutil.copyfileobj(source, out, _PIECE)
    return at


def room_for(builder: Any, kind: str, leaves: int) -> int:
    """Bytes that a credential over so many segments takes at most, with a free box to fill them."""
    with builder._exclusive_native_call():
        call = one_pass.Call(builder, kind)
        return len(call.taken(call.native.placeholder)) + one_pass.PER_LEAF * (leaves + 2) + one_pass.SLACK


def sign(builder: Any, kind: str, target: Path, at: int, room: int) -> None:
    """Sign by the builder, whose definition holds :func:`binding`, into the room made in ``target``."""
    with builder._exclusive_native_call(), open(target, "r+b", buffering=0) as out:
        call = one_pass.Call(builder, kind)
        one_pass.fill(out, at, room, call.taken(call.native.sign))


@contextlib.contextmanager
def _unsigned(path: Path) -> Iterator[tuple[IO[bytes], list[containers.Box]]]:
    """A file of a stream, open, with its topmost boxes; refused where it is signed already."""
    with open(path, "rb", buffering=0) as file:
        boxes = _whole_boxes(file, path)
        if any(containers.is_uuid(file, box, C2PA_BOX) for box in boxes):
            raise UsageError("is signed already", where=str(path), hint="sign the stream as it was packaged")
        yield file, boxes


def _whole_boxes(file: IO[bytes], path: Path) -> list[containers.Box]:
    if found := containers.filling(file, os.fstat(file.fileno()).st_size):
        return found
    raise MediaError("is not MP4, or is cut off", where=str(path))


def _absolute(file: IO[bytes], box: containers.Box) -> bool:
    """Whether a fragment says where its media lie in the file."""
    file.seek(box.start)
    content = file.read(box.size)
    at = content.find(b"tfhd")
    while at >= 0:
        if content[at + 7 : at + 8] and content[at + 7] & _BASE_DATA_OFFSET:
            return True
        at = content.find(b"tfhd", at + 4)
    return False


def _place(number: int) -> bytes:
    """A segment's number as CBOR: ``{"uniqueId": 1, "localId": 1, "location": number}`` (RFC 8949)."""
    value = bytes((number,)) if number < 24 else b"\x1a" + number.to_bytes(4, "big")
    return b"\xa3huniqueId\x01glocalId\x01hlocation" + value
