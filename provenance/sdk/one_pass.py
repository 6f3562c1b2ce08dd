"""Sign an MP4, a WAV or an AVI by laying it out ourselves with room for the credential, hashed by the SDK, then filled in.

The SDK's own call copies the file to a store of its own, hashes that, and copies it again (of a WAV or AVI it holds two copies in memory);
this copies once, in a megabyte of memory, and leaves time to read everything back. It is taken only where the layout is plain
(see :func:`plan`); what else there is is signed by the SDK's own call. See docs/decisions/one-pass-signing.md.
"""

import ctypes
import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from gioconda_core.media import containers
from provenance.sdk import descriptors
from provenance.vocabulary import XMP_BOX

if TYPE_CHECKING:
    import c2pa


LEAF = 2**20  # bytes of media in one leaf of the hash tree: what a reader must hold at a time
PER_LEAF = 40  # bytes of the credential that one leaf takes, rounded up
SLACK = 256  # for the lists those leaves are in
_MOST_TABLES = 64 * 2**20  # bytes of a movie box we are willing to hold
_MOST_META = 2**16  # bytes of a box of metadata keys that is looked at
_MOST_ROOM = 2**28  # bytes a credential may take here
_PLAIN = frozenset((b"ftyp", b"free", b"skip", b"wide", b"moov", b"mdat"))
_NESTED = frozenset((b"trak", b"mdia", b"minf", b"stbl"))
_TABLES = {b"stco": ">u4", b"co64": ">u8"}
# Boxes that place media in the file by other means than those tables; the SDK knows them all, we know none.
_OTHER_OFFSETS = (b"mvex", b"iloc", b"saio", b"cmov", b"rmra")


@dataclass(frozen=True)
class Layout:
    """The boxes of a plain MP4 or MOV, ``ftyp`` first; tables : where in ``moov`` the chunk offsets are, as (dtype, begin, end)."""

    boxes: tuple[containers.Box, ...]
    moov: bytes
    tables: tuple[tuple[str, int, int], ...]

    @property
    def leaves(self) -> int:
        """How many leaves the media box has at most."""
        return max(-(-box.size // LEAF) for box in self.boxes if box.kind == b"mdat")

    def moved(self, by: int) -> bytes:
        """The movie box for a file whose media lie ``by`` bytes further on."""
        import numpy as np  # only here: boxes are walked where a tenth of a second counts

        made = bytearray(self.moov)
        for kind, begin, end in self.tables:
            made[begin:end] = (np.frombuffer(self.moov[begin:end], kind) + by).astype(kind).tobytes()
        return bytes(made)


@dataclass(frozen=True)
class Chunks:
    """A WAV or AVI: one RIFF of whole chunks that fills the file. size : bytes."""

    size: int


def plan(file: IO[bytes]) -> Layout | Chunks | None:
    """The layout of an unsigned, unfragmented MP4 or MOV, or of an unsigned WAV or AVI; None for anything that is not plainly that."""
    end = os.fstat(file.fileno()).st_size
    file.seek(0)
    return _chunks(file, end) if file.read(4) == b"RIFF" else _boxes(file, end)


def _chunks(file: IO[bytes], end: int) -> Chunks | None:
    file.seek(0)
    head = file.read(12)
    if int.from_bytes(head[4:8], "little") + 8 != end or head[8:12] not in (b"WAVE", b"AVI "):
        return None  # several RIFFs, or one that goes on past 4 GB
    at = 12
    for chunk in containers.riff(file, end):
        if chunk.name == b"C2PA":
            return None
        at = chunk.end
    return Chunks(end) if at == end and end + _MOST_ROOM < 2**32 else None


def _places_nothing(file: IO[bytes], box: containers.Box) -> bool:
    """Whether a box of metadata places no media, and so may move with the rest."""
    if box.kind == b"meta" and box.size < _MOST_META:
        file.seek(box.start)
        content = file.read(box.size)
        return not any(name in content for name in _OTHER_OFFSETS)
    return containers.is_uuid(file, box, XMP_BOX)


def _boxes(file: IO[bytes], end: int) -> Layout | None:
    boxes = containers.filling(file, end)
    kinds = [box.kind for box in boxes]
    if not all(box.kind in _PLAIN or _places_nothing(file, box) for box in boxes):
        return None
    if kinds[:1] != [b"ftyp"] or kinds.count(b"ftyp") != 1 or kinds.count(b"moov") != 1 or kinds.count(b"mdat") != 1:
        return None  # of several media boxes the SDK signs the leaves in any order, and refuses all but one
    movie = boxes[kinds.index(b"moov")]
    media = boxes[kinds.index(b"mdat")]
    if movie.size > _MOST_TABLES or media.size == media.header:
        return None
    file.seek(movie.start)
    moov = file.read(movie.size)
    if any(name in moov for name in _OTHER_OFFSETS):
        return None
    try:
        tables = tuple(_tables(moov, movie.header, len(moov)))
    except ValueError:
        return None
    return Layout(tuple(boxes), moov, tables) if tables else None


def _tables(moov: bytes, at: int, end: int) -> Iterator[tuple[str, int, int]]:
    """(dtype, begin, end) of every table of chunk offsets; ValueError where one cannot be had or moved."""
    import numpy as np

    while at < end:
        size, kind = int.from_bytes(moov[at : at + 4], "big"), moov[at + 4 : at + 8]
        if size < 8 or at + size > end:
            raise ValueError("a box of the movie does not fit")
        if kind in _NESTED:
            yield from _tables(moov, at + 8, at + size)
        elif kind in _TABLES:
            width = np.dtype(_TABLES[kind]).itemsize
            begin, count = at + 16, int.from_bytes(moov[at + 12 : at + 16], "big")
            if begin + count * width > at + size:
                raise ValueError("a table of chunks does not fit")
            offsets = np.frombuffer(moov, _TABLES[kind], count, begin)
            if count and int(offsets.max()) + _MOST_ROOM > np.iinfo(offsets.dtype).max:
                raise ValueError("a chunk lies too far in the file for its table, once moved")
            yield _TABLES[kind], begin, begin + count * width
        at += size


class Call:
    """The SDK's embedding calls on one builder. kind : what the credential is wrapped for."""

    def __init__(self, builder: "c2pa.Builder", kind: str) -> None:
        self.builder, self.kind, self.native = builder, kind.encode(), _functions()

    def ask(self, function: Any, *arguments: Any) -> int:
        """Call a function of the SDK on this builder and return its number; C2paError where that is negative."""
        from c2pa import c2pa as sdk

        result = int(function(self.builder._handle, *arguments))
        sdk._check_ffi_operation_result(result, "Error during signing", check=lambda number: number < 0)
        return result

    def taken(self, function: Any) -> bytes:
        """Call a function of the SDK that makes bytes, copy them and free the SDK's own."""
        pointer = ctypes.c_void_p()
        length = self.ask(function, self.kind, ctypes.byref(pointer))
        try:
            return ctypes.string_at(pointer, length)
        finally:
            self.native.free(pointer)

    def hash_rest(self, target: IO[bytes]) -> None:
        """Let the SDK hash the file as it is laid out now."""
        target.seek(0)
        with descriptors.descriptor(target) as stream:
            self.ask(self.native.rest, self.kind, stream._stream)


def sign(builder: "c2pa.Builder", kind: str, layout: Layout | Chunks, source: IO[bytes], target: IO[bytes]) -> None:
    """Sign ``source`` into ``target`` (both unbuffered, the target readable) with the signer in the builder's context.

    Raises
    ------
    c2pa.C2paError
        As the SDK's own signing does.
    """
    with builder._exclusive_native_call():
        if isinstance(layout, Chunks):
            _sign_chunks(Call(builder, "application/c2pa"), layout, source, target)
        else:
            _sign_boxes(Call(builder, kind), layout, source, target)


def _sign_chunks(call: Call, layout: Chunks, source: IO[bytes], target: IO[bytes]) -> None:
    """The file as it is, then a ``C2PA`` chunk (C2PA 2.x, A.3.6); the SDK wraps nothing for RIFF, so the bare store is asked for."""
    from c2pa import C2paError

    first = call.taken(call.native.placeholder)
    room = 8 + len(first)
    _copy(source, target, 0, layout.size)
    target.write(b"C2PA" + len(first).to_bytes(4, "little") + first + bytes(room % 2))
    target.seek(4)
    target.write((layout.size + room + room % 2 - 8).to_bytes(4, "little"))
    call.ask(call.native.exclude, (ctypes.c_uint64 * 2)(layout.size, room), 1)
    call.hash_rest(target)
    signed = call.taken(call.native.sign)
    if len(signed) != len(first):
        raise C2paError("the credential does not fit in the room made for it")
    target.seek(layout.size + 8)
    target.write(signed)


def _sign_boxes(call: Call, layout: Layout, source: IO[bytes], target: IO[bytes]) -> None:
    from c2pa import C2paError

    call.ask(call.native.leaves, LEAF // 1024)
    first = call.taken(call.native.placeholder)
    # The placeholder has no room for the leaves, so the credential will outgrow it: a free box, which no hash covers, keeps it.
    room = len(first) + PER_LEAF * layout.leaves + SLACK
    if room > _MOST_ROOM:
        raise C2paError("the credential is too large")
    moov = layout.moved(room)
    at = layout.boxes[0].size
    _copy(source, target, 0, at)
    fill(target, at, room, first)
    for box in layout.boxes[1:]:
        if box.kind == b"moov":
            target.write(moov)
        elif box.kind == b"mdat":
            _copy(source, target, box.start, box.header)
            for buffer, length in _pieces(source, target, box.start + box.header, box.size - box.header):
                call.ask(call.native.media, 0, buffer, length, box.header == 16)
        else:
            _copy(source, target, box.start, box.size)
    call.hash_rest(target)
    fill(target, at, room, call.taken(call.native.sign))


def fill(target: IO[bytes], at: int, room: int, credential: bytes) -> None:
    """The credential's box after the first one, and a free box to the end of the room."""
    from c2pa import C2paError

    left = room - len(credential)
    if left < 8:
        raise C2paError("the credential does not fit in the room made for it")
    target.seek(at)
    target.write(credential + left.to_bytes(4, "big") + b"free" + bytes(left - 8))


def _pieces(source: IO[bytes], target: IO[bytes], start: int, size: int) -> Iterator[tuple[Any, int]]:
    """Copy, a leaf at a time; yields (the bytes just copied, how many) for hashing while they are at hand."""
    buffer = (ctypes.c_ubyte * min(LEAF, size))()
    view = memoryview(buffer).cast("B")
    source.seek(start)
    while size:
        length = source.readinto(view[: min(LEAF, size)])  # type: ignore[attr-defined]
        if not length:
            raise OSError("the file became shorter while it was signed")
        done = 0
        while done < length:
            done += target.write(view[done:length])
        size -= length
        yield buffer, length


def _copy(source: IO[bytes], target: IO[bytes], start: int, size: int) -> None:
    for _ in _pieces(source, target, start, size):
        pass


class _Native:
    """The SDK's functions for embedding."""

    def __init__(self) -> None:
        pointer, text, declared = ctypes.c_void_p, ctypes.c_char_p, descriptors.declared
        out, integer, size = ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_size_t
        self.placeholder = declared("c2pa_builder_placeholder", ctypes.c_int64, pointer, text, out)
        self.leaves = declared("c2pa_builder_set_fixed_size_merkle", integer, pointer, size)
        self.media = declared("c2pa_builder_hash_mdat_bytes", integer, pointer, size, pointer, size, ctypes.c_bool)
        self.rest = declared("c2pa_builder_update_hash_from_stream", integer, pointer, text, pointer)
        self.exclude = declared(
            "c2pa_builder_set_data_hash_exclusions", integer, pointer, ctypes.POINTER(ctypes.c_uint64), size
        )
        self.sign = declared("c2pa_builder_sign_embeddable", ctypes.c_int64, pointer, text, out)
        self.free = declared("c2pa_free", integer, pointer)


@functools.cache
def _functions() -> _Native:
    return _Native()
