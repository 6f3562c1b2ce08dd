"""Take a credential out of a file without touching a pixel, and prove it: what is decoded before and after is compared.

Detectors are trained on stripped copies, so that they learn pixels and not the presence of a manifest. MP4, MOV, M4A and AVI are
remuxed (every packet copied); JPEG, PNG, GIF, WebP, WAV, MP3, FLAC and SVG lose the one block the manifest is in, TIFF its entry in the
index; in AVIF and HEIF, where the places of the picture's parts are written down, an empty box of the same size takes its place.
Documents that are ZIP (docx, xlsx, odt, epub …) lose the one entry; in a PDF the manifest's bytes become zeros and its attachment is named
as any other, so that an empty attachment stays and nothing else moves; one that keeps it packed is refused. Where nothing here decodes a
kind (JPEG XL, SVG, documents), what is compared is every other box, entry or byte, or the document without the element.
"""

import hashlib
import io
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gioconda_core.errors import CredentialError, MediaError, UsageError
from gioconda_core.files import atomic_path, refuse_overwrite
from gioconda_core.media import containers
from gioconda_core.types import ProvenanceState
from provenance.vocabulary import C2PA_BOX

_REMUX = {".mp4", ".mov", ".m4v", ".m4a", ".avi"}
_MUXERS = {".m4v": "mp4", ".m4a": "mp4"}
_SOUND = {".wav", ".m4a", ".mp3", ".flac"}


def strip(source: str | os.PathLike[str], target: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Write a copy of ``source`` without its credential.

    Raises
    ------
    UsageError
        The container is one that a manifest is not taken out of here.
    CredentialError
        The copy would not decode to the same frames, or still carries a credential; nothing is written.
    """
    from provenance.reading.read import read

    origin, final = Path(source), Path(target)
    if final.resolve() == origin.resolve():
        raise UsageError("a file is never changed in place", where=str(origin), hint="name another target")
    refuse_overwrite(final, force)
    if not origin.is_file():
        raise MediaError("no such file", where=str(origin))
    suffix = origin.suffix.lower()
    with atomic_path(final) as temporary:
        if suffix in _REMUX:
            _remux(origin, temporary, final.suffix)
        else:
            temporary.write_bytes(_without_block(origin.read_bytes(), origin))
        if read(temporary).state != ProvenanceState.ABSENT:
            raise CredentialError("a credential would remain", where=str(origin))
        if _decoded(origin) != _decoded(temporary):
            raise CredentialError("the copy does not decode to the same frames", where=str(origin))
    return final


def _decoded(path: Path) -> tuple[str, str]:
    """Hashes of the decoded pictures and of the decoded sound; empty where there are none."""
    import av

    from gioconda_core.media import fingerprint
    from gioconda_core.media.clip import Clip

    seen, heard = "", hashlib.sha256()
    proof = _PROOFS.get(path.suffix.lower())
    if proof:
        return proof(path.read_bytes()), ""
    if path.suffix.lower() not in _SOUND:
        with Clip.open(path) as clip:
            seen = fingerprint.essence(frame for _, frame in clip.frames())
    if path.suffix.lower() in _REMUX | _SOUND:
        try:
            with av.open(str(path)) as file:
                for frame in file.decode(audio=0) if file.streams.audio else ():
                    heard.update(frame.to_ndarray().tobytes())
        except av.FFmpegError as error:
            raise MediaError(f"its sound cannot be decoded: {error}", where=str(path)) from error
    return seen, heard.hexdigest()


def _remux(origin: Path, target: Path, suffix: str) -> None:
    import av

    try:
        with (
            av.open(str(origin)) as source,
            av.open(str(target), "w", format=_MUXERS.get(suffix.lower(), suffix[1:].lower())) as out,
        ):
            streams: dict[int, Any] = {}
            for stream in source.streams:
                if stream.type in ("video", "audio"):
                    streams[stream.index] = out.add_stream_from_template(stream)
            for packet in source.demux():
                if packet.stream_index in streams and packet.dts is not None:
                    packet.stream = streams[packet.stream_index]
                    out.mux(packet)
    except av.FFmpegError as error:
        raise MediaError(f"cannot be copied packet by packet: {error}", where=str(origin)) from error


def _without_block(data: bytes, origin: Path) -> bytes:
    for at, begins, without in _WITHOUT:
        if data.startswith(begins, at):
            try:
                return without(data)
            except containers.TooMuch as error:
                raise UsageError("has more pieces than are looked at", where=str(origin)) from error
    if origin.suffix.lower() == ".svg":
        return _svg(data)
    raise UsageError(
        "a credential is not taken out of this kind of file here",
        where=str(origin),
        hint="jpg, png, gif, tif, webp, avif, heic, jxl, svg, pdf, office documents, wav, mp3, flac, mp4, mov, m4a and avi can be stripped",
    )


def _id3(data: bytes) -> bytes:
    """Drop the frames of an ID3 tag that hold a manifest (C2PA 2.x, A.3.7: GEOB of type application/c2pa), and a tag that was only they."""
    version, size = data[3], _sevens(data[6:10])
    tag, rest = data[10 : 10 + size], data[10 + size :]
    if version not in (3, 4) or data[5] & 0xC0:
        raise UsageError("an ID3 tag of a kind that is not rewritten", hint="write the tag anew with a tagger first")
    kept, at = bytearray(), 0
    while at + 10 <= len(tag) and tag[at : at + 4].strip(b"\0"):
        length = 10 + (_sevens(tag[at + 4 : at + 8]) if version == 4 else int.from_bytes(tag[at + 4 : at + 8], "big"))
        if not (tag[at : at + 4] == b"GEOB" and b"application/c2pa\0" in tag[at + 10 : at + 40]):
            kept += tag[at : at + length]
        at += length
    if not kept:
        return rest
    sized = bytes((len(kept) >> shift) & 127 for shift in (21, 14, 7, 0))
    return data[:6] + sized + bytes(kept) + rest


def _sevens(data: bytes) -> int:
    """A number of four times seven bits, as ID3 writes lengths."""
    return sum((byte & 127) << (21 - 7 * i) for i, byte in enumerate(data))


def _gif(data: bytes) -> bytes:
    """Drop the application extension that holds a manifest (C2PA 2.x, A.3.4)."""
    head, blocks, rest = containers.split(data, containers.gif)
    return head + b"".join(block for block in blocks if block[:2] + block[3:11] != b"\x21\xffC2PA_GIF") + rest


_TIFF_TAG = 0xCD41  # C2PA 2.x, A.3.5
_TIFF_SIZES = {1: 1, 2: 1, 6: 1, 7: 1}  # bytes of a value, of the types a store is written in


def _tiff(data: bytes) -> bytes:
    """Take the manifest's entry out of the first index, and empty the bytes it pointed to; nothing else moves."""
    order = "<" if data[:2] == b"II" else ">"
    (first,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, first)
    entries = [data[first + 2 + 12 * i : first + 14 + 12 * i] for i in range(count)]
    out, kept = bytearray(data), []
    for entry in entries:
        tag, kind, number, place = struct.unpack(order + "HHII", entry)
        if tag != _TIFF_TAG:
            kept.append(entry)
        elif kind in _TIFF_SIZES and number > 4 and place + number <= len(out):
            out[place : place + number] = bytes(number)
    following = data[first + 2 + 12 * count : first + 6 + 12 * count]
    index = struct.pack(order + "H", len(kept)) + b"".join(kept) + following
    out[first : first + len(index)] = index
    return bytes(out)


_JXL = b"\0\0\0\x0cJXL "


def _jxl(data: bytes) -> bytes:
    """Drop the topmost boxes that are JUMBF (C2PA 2.x, A.5.2)."""
    boxes = containers.boxes(io.BytesIO(data), len(data))
    return b"".join(
        data[box.start : box.start + box.size if box.size else len(data)] for box in boxes if box.kind != b"jumb"
    )


_SVG = re.compile(rb"<c2pa:manifest\b[^>]*>[^<]*</c2pa:manifest>|<c2pa:manifest\b[^>]*/>")


def _svg(data: bytes) -> bytes:
    """Drop the element that holds the manifest (C2PA 2.x, A.3.8)."""
    return _SVG.sub(b"", data)


def _svg_proof(data: bytes) -> str:
    """The document without that element, in canonical form."""
    from xml.etree import ElementTree

    if b"<!DOCTYPE" in data:
        raise MediaError("an SVG with a document type is not compared", hint="remove its DOCTYPE first")
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise MediaError(f"not well-formed SVG: {error}") from error
    for parent in root.iter():
        for element in [item for item in parent if item.tag == "{http://c2pa.org/manifest}manifest"]:
            parent.remove(element)
    return ElementTree.canonicalize(ElementTree.tostring(root), strip_text=True)


_ENTRY = "META-INF/content_credential.c2pa"  # C2PA 2.x, A.6: documents that are ZIP archives
_MOST_ENTRIES, _MOST_UNPACKED = 20_000, 2**31


def _entries(data: bytes) -> list[tuple[zipfile.ZipInfo, bytes]]:
    """Each entry of an archive but the manifest's, with its bytes; a folder made for that alone is left out too."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            listed = [item for item in archive.infolist() if item.filename != _ENTRY]
            if len(listed) > _MOST_ENTRIES or sum(item.file_size for item in listed) > _MOST_UNPACKED:
                raise MediaError("holds more than is unpacked here")
            alone = not any(item.filename.startswith("META-INF/") and not item.is_dir() for item in listed)
            kept = [item for item in listed if not (alone and item.filename == "META-INF/")]
            return [(item, archive.read(item)) for item in kept]
    except (zipfile.BadZipFile, RuntimeError, OSError, zlib.error) as error:
        raise MediaError("is no archive that can be read, or is encrypted") from error


def _zip(data: bytes) -> bytes:
    """The archive without the manifest's entry; every other entry keeps its name, place, time and way of packing."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for item, content in _entries(data):
            archive.writestr(item, content, item.compress_type)
    return made.getvalue()


def _zip_proof(data: bytes) -> str:
    """Every other entry: name and content, in order."""
    digest = hashlib.sha256()
    for item, content in _entries(data):
        digest.update(f"{item.filename}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


_PDF_NAME = re.compile(rb"(/AFRelationship\s*)/C2PA_Manifest\b")  # C2PA 2.x, A.4
_PDF_STREAM = re.compile(rb"stream\r?\n(?=[\0-\xff]{4}jumb[\0-\xff]{4}jumd[\0-\xff]{16})", re.S)


def _pdf(data: bytes) -> bytes:
    """The manifest's bytes as zeros, and its attachment's relationship as unspecified: every other byte stays in its place."""
    out = bytearray(_PDF_NAME.sub(lambda found: found[1] + b"/Unspecified  ", data))
    for found in _PDF_STREAM.finditer(data):
        begin = found.end()
        end = min(begin + int.from_bytes(data[begin : begin + 4], "big"), len(data))
        out[begin:end] = bytes(end - begin)
    if bytes(out) != data and b"jumdc2pa" in out:
        raise UsageError("keeps its credential packed, where it is not taken out")
    return bytes(out)


def _sha256(without: Callable[[bytes], bytes]) -> Callable[[bytes], str]:
    return lambda data: hashlib.sha256(without(data)).hexdigest()


_OFFICE = "docx docm xlsx xlsm pptx pptm odt ods odp odg ott ots otp otg epub oxps zip"
_PROOFS: dict[str, Callable[[bytes], str]] = {
    ".svg": _svg_proof,
    ".jxl": _sha256(_jxl),
    ".pdf": _sha256(_pdf),
    **{f".{suffix}": _zip_proof for suffix in _OFFICE.split()},
}


def _jpeg(data: bytes) -> bytes:
    """Drop APP11 segments (C2PA 2.x, A.3.1: JUMBF in JPEG XT boxes) before the scan."""
    head, segments, rest = containers.split(data, containers.jpeg)
    return head + b"".join(segment for segment in segments if segment[1] != 0xEB) + rest


def _png(data: bytes) -> bytes:
    """Drop ``caBX`` chunks (C2PA 2.x, A.3.2)."""
    head, chunks, rest = containers.split(data, containers.png)
    return head + b"".join(chunk for chunk in chunks if chunk[4:8] != b"caBX") + rest


def _boxes(data: bytes) -> bytes:
    """Make the ``uuid`` box of AVIF and HEIF a free one of the same size: what stands after it stays where it is."""
    out = bytearray(data)
    for box in containers.boxes(io.BytesIO(data), len(data)):
        begin, end = box.start + box.header, box.start + box.size
        if box.kind == b"uuid" and data[begin : begin + 16] == C2PA_BOX and begin + 16 <= end <= len(data):
            out[box.start + 4 : box.start + 8] = b"free"
            out[begin:end] = bytes(end - begin)
    return bytes(out)


def _riff(data: bytes) -> bytes:
    """Drop ``C2PA`` chunks of WebP and WAV (C2PA 2.x, A.3.6) and mend the RIFF length."""
    head, chunks, rest = containers.split(data, containers.riff)
    kept = b"".join(chunk for chunk in chunks if chunk[:4] != b"C2PA") + rest
    return head[:4] + struct.pack("<I", len(head) - 8 + len(kept)) + head[8:] + kept


# (place, what is there, how a file that has it loses its manifest); the first that fits.
_WITHOUT: tuple[tuple[int, bytes, Callable[[bytes], bytes]], ...] = (
    (0, b"\xff\xd8", _jpeg),
    (0, containers.PNG, _png),
    (0, b"RIFF", _riff),
    (4, b"ftyp", _boxes),
    (0, b"ID3", _id3),
    (0, b"GIF8", _gif),
    (0, b"II*\0", _tiff),
    (0, b"MM\0*", _tiff),
    (0, _JXL, _jxl),
    (0, b"%PDF", _pdf),
    (0, b"PK\3\4", _zip),
)
