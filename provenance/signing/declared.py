"""Write the marks that laws ask for beside a credential into a file's metadata: IPTC's digital source type and China's AIGC label.

They are written before signing, so that the credential covers them; alone they prove nothing, since anybody can write or remove them. In
XMP everywhere; in MP4 and MOV China's label also among the metadata keys, where players and platforms look (TC260-PG-20258A).
"""

import itertools
import json
import os
import shutil
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from gioconda_core.errors import MediaError, UsageError
from gioconda_core.media import containers
from provenance.vocabulary import XMP_BOX

AIGC_SPACE = "http://www.tc260.org.cn/ns/AIGC/1.0/"
_XMP_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_PNG = b"XML:com.adobe.xmp"
_PICTURE = 2**28  # bytes of a picture that are held at once
_PACKET = 2**24  # bytes of a packet that is there already
_BOXED = frozenset((".mp4", ".m4v", ".mov"))
_PICTURES = frozenset((".jpg", ".jpeg", ".png"))
_LABELS = ("1", "2", "3")  # surely generated, possibly, suspected


@dataclass(frozen=True)
class Aigc:
    """China's label (GB 45438-2025). producer : name or code of who offers the generating system; produce_id : its number for this content.

    propagator, propagate_id : of who distributes it. label : 1 generated, 2 possibly, 3 suspected.
    """

    producer: str
    produce_id: str = ""
    propagator: str = ""
    propagate_id: str = ""
    label: str = "1"

    def __post_init__(self) -> None:
        if self.label not in _LABELS:
            raise UsageError(f"{self.label!r:.20} is no label", where="[aigc]", hint=f"one of {', '.join(_LABELS)}")
        if not self.producer.strip():
            raise UsageError("nobody", where="[aigc] producer", hint="name or code of who offers the generating system")

    def to_json(self) -> str:
        """The label as the standard writes it, its reserved fields empty."""
        body = {
            "Label": self.label,
            "ContentProducer": self.producer,
            "ProduceID": self.produce_id,
            "ReservedCode1": "",
            "ContentPropagator": self.propagator,
            "PropagateID": self.propagate_id,
            "ReservedCode2": "",
        }
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def packet(source: str = "", aigc: Aigc | None = None) -> bytes:
    """An XMP packet that gives an IPTC digital source type (its URI), China's label, or both."""
    return (
        "<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?>\n"
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
        f"{_description(source, aigc)}</rdf:RDF></x:xmpmeta>\n<?xpacket end='w'?>"
    ).encode()


def _description(source: str, aigc: Aigc | None) -> str:
    from xml.sax.saxutils import quoteattr  # which brings a client of HTTP along

    xml = "<rdf:Description rdf:about='' xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'"
    if source:
        xml += " xmlns:Iptc4xmpExt='http://iptc.org/std/Iptc4xmpExt/2008-02-29/'"
        xml += f" Iptc4xmpExt:DigitalSourceType={quoteattr(source)}"
    if aigc:
        xml += f" xmlns:TC260='{AIGC_SPACE}' TC260:AIGC={quoteattr(aigc.to_json())}"
    return xml + "/>"


def possible(path: str | os.PathLike[str]) -> bool:
    """Whether marks can be written into a file of this name."""
    return Path(path).suffix.lower() in _BOXED | _PICTURES


def into(path: Path, source: str = "", aigc: Aigc | None = None) -> None:
    """Write marks into a file that nobody reads yet: a copy that is about to be signed. What else its metadata say stays.

    Raises
    ------
    UsageError
        Files of its kind have no place here for them, or this one has not.
    MediaError
        It is not what its name says.
    """
    suffix = path.suffix.lower()
    if not possible(path):
        raise UsageError(
            "marks are not written into this kind of file here",
            where=path.name,
            hint=f"one of {', '.join(sorted(_BOXED | _PICTURES))}",
        )
    if suffix in _BOXED:
        _into_boxes(path, source, aigc)
        return
    if path.stat().st_size > _PICTURE:
        raise UsageError("is too large a picture to be marked", where=path.name)
    data = path.read_bytes()
    path.write_bytes((_jpeg if suffix != ".png" else _png)(data, source, aigc, path.name))


def _merged(old: bytes, source: str, aigc: Aigc | None) -> bytes:
    """A packet with one more description in it (RDF lets several speak of one file); a new one where there was none."""
    at = old.rfind(b"</rdf:RDF>")
    if not old.strip(b"\0 ") or at < 0:
        return packet(source, aigc)
    return old[:at] + _description(source, aigc).encode() + old[at:]


def _jpeg(data: bytes, source: str, aigc: Aigc | None, name: str) -> bytes:
    head, segments, rest = containers.split(data, containers.jpeg)
    if head != b"\xff\xd8" or not segments:
        raise MediaError("is no JPEG", where=name)
    old = [item for item in segments if item[1] == 0xE1 and item[4:].startswith(_XMP_JPEG)]
    kept = [item for item in segments if item not in old]
    content = _XMP_JPEG + _merged(old[-1][4 + len(_XMP_JPEG) :] if old else b"", source, aigc)
    if len(content) > 65_533:
        raise UsageError("has so much metadata that no mark fits beside it", where=name)
    leading = len(list(itertools.takewhile(lambda item: item[1] in (0xE0, 0xE1), kept)))  # JFIF and EXIF come first
    kept.insert(leading, b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content)
    return head + b"".join(kept) + rest


def _png(data: bytes, source: str, aigc: Aigc | None, name: str) -> bytes:
    if data[:8] != containers.PNG or data[12:16] != b"IHDR":
        raise MediaError("is no PNG", where=name)
    head, chunks, rest = containers.split(data, containers.png)
    old, kept = b"", []
    for chunk in chunks:
        if chunk[4:8] == b"iTXt" and chunk[8:].startswith(_XMP_PNG + b"\0"):
            flag, content = chunk[8 + len(_XMP_PNG) + 1], chunk[8 + len(_XMP_PNG) + 3 : -4]
            text = content.split(b"\0", 2)[-1]
            old = zlib.decompressobj().decompress(text, _PACKET) if flag else text
        else:
            kept.append(chunk)
    made = b"iTXt" + _XMP_PNG + b"\0\0\0\0\0" + _merged(old, source, aigc)
    kept.insert(1, struct.pack(">I", len(made) - 4) + made + struct.pack(">I", zlib.crc32(made)))  # behind IHDR
    return head + b"".join(kept) + rest


def _into_boxes(path: Path, source: str, aigc: Aigc | None) -> None:
    """At the end, where nothing moves; an XMP box that is there becomes a free one, and what it said goes into the new one."""
    size, old = path.stat().st_size, b""
    with open(path, "r+b", buffering=0) as file:
        if not (boxes := containers.filling(file, size)):
            raise UsageError(
                "its last box has no end, so nothing can follow it", where=path.name, hint="remux it first"
            )
        for box in boxes:
            if containers.is_uuid(file, box, XMP_BOX) and box.size < _PACKET:
                file.seek(box.start + box.header + 16)
                old = file.read(box.size - box.header - 16)
                file.seek(box.start + 4)
                file.write(b"free")
        file.seek(size)
        content = _merged(old, source, aigc)
        file.write(_box(b"uuid", XMP_BOX + content) + (_key("AIGC", aigc.to_json()) if aigc else b""))


def _key(name: str, value: str) -> bytes:
    """A ``meta`` box with one key and its text (QuickTime File Format, metadata)."""
    handler = _box(b"hdlr", bytes(8) + b"mdta" + bytes(12) + b"\0")
    keys = _box(b"keys", bytes(4) + struct.pack(">I", 1) + _box(b"mdta", name.encode()))
    text = _box(b"data", struct.pack(">II", 1, 0) + value.encode())
    return _box(b"meta", bytes(4) + handler + keys + _box(b"ilst", _box(struct.pack(">I", 1), text)))


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def copied(origin: Path, folder: Path, aigc: Aigc) -> Path:
    """A copy of a file in ``folder`` with China's label in it."""
    marked = folder / f"marked{origin.suffix}"
    shutil.copyfile(origin, marked)
    into(marked, aigc=aigc)
    return marked
