"""Take a credential out of a file without touching a pixel, and prove it: the decoded frames before and after are compared.

Detectors are trained on stripped copies, so that they learn pixels and not the presence of a manifest. MP4, MOV and M4A are
remuxed (every packet copied); JPEG, PNG, WebP and WAV lose the one block the manifest is in; in AVIF and HEIF, where the places of
the picture's parts are written down, an empty box of the same size takes its place.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
from pathlib import Path
from typing import Any

from gioconda_core.errors import CredentialError, MediaError, UsageError
from gioconda_core.files import atomic_path, refuse_overwrite
from gioconda_core.types import ProvenanceState
from provenance.sdk.one_pass import boxes_of

_REMUX = {".mp4", ".mov", ".m4v", ".m4a", ".avi"}
_MUXERS = {".m4v": "mp4", ".m4a": "mp4"}
_SOUND = {".wav", ".m4a"}
_C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # C2PA 2.x, A.5.1


def strip(source: str | os.PathLike[str], target: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Write a copy of ``source`` without its credential.

    Raises
    ------
    UsageError
        The container is one we cannot take a manifest out of without re-encoding.
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
    if data[:2] == b"\xff\xd8":
        return _jpeg(data)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _png(data)
    if data[:4] == b"RIFF":
        return _riff(data)
    if data[4:8] == b"ftyp":
        return _boxes(data)
    raise UsageError(
        "a manifest cannot be taken out of this container without re-encoding",
        where=str(origin),
        hint="jpg, png, webp, avif, heic, wav, mp4, mov, m4a and avi can be stripped",
    )


def _jpeg(data: bytes) -> bytes:
    """Drop APP11 segments (C2PA 2.x, A.3.1: JUMBF in JPEG XT boxes) before the scan."""
    out, at = bytearray(data[:2]), 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        length = 2 + struct.unpack_from(">H", data, at + 2)[0]
        if data[at + 1] != 0xEB:
            out += data[at : at + length]
        at += length
    return bytes(out + data[at:])


def _png(data: bytes) -> bytes:
    """Drop ``caBX`` chunks (C2PA 2.x, A.3.2)."""
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        length = 12 + struct.unpack_from(">I", data, at)[0]
        if data[at + 4 : at + 8] != b"caBX":
            out += data[at : at + length]
        at += length
    return bytes(out)


def _boxes(data: bytes) -> bytes:
    """Make the ``uuid`` box of AVIF and HEIF a free one of the same size: what stands after it stays where it is."""
    out = bytearray(data)
    for box in boxes_of(io.BytesIO(data), len(data)):
        begin, end = box.start + box.header, box.start + box.size
        if box.kind == b"uuid" and data[begin : begin + 16] == _C2PA_BOX and begin + 16 <= end <= len(data):
            out[box.start + 4 : box.start + 8] = b"free"
            out[begin:end] = bytes(end - begin)
    return bytes(out)


def _riff(data: bytes) -> bytes:
    """Drop ``C2PA`` chunks of WebP and WAV (C2PA 2.x, A.3.6) and mend the RIFF length."""
    out, at = bytearray(data[:12]), 12
    while at + 8 <= len(data):
        length = struct.unpack_from("<I", data, at + 4)[0]
        length = 8 + length + (length & 1)
        if data[at : at + 4] != b"C2PA":
            out += data[at : at + length]
        at += length
    struct.pack_into("<I", out, 4, len(out) - 8)
    return bytes(out)
