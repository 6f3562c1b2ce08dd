"""What a file says of itself beside its picture: metadata, encoder, dates, and signs of editing; read in a limited child process.

MediaInfo reads containers, ExifRead and Pillow read pictures, and ExifTool, where it is installed, both again for marks of AI; none of them is trusted with a stranger's file in our own
process. Not covered: the truth of any of it. Metadata is easily changed, and every sentence made from it says so.
"""

import contextlib
import datetime
import io
import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any

from gioconda.report import declared
from gioconda.report.declared import NAMES
from gioconda_core.media import containers
from gioconda_core.reasons import MediaWarning, WarningReason
from gioconda_core.workers.child import Lost, Silent, ask_once
from provenance.vocabulary import XMP_BOX

SECONDS = 20.0  # wall time of the child
MEMORY = 2 << 30  # its address space, bytes
FIELDS = 60  # metadata fields kept
BOXES = 4000  # topmost boxes of ISO media looked at
LENGTH = 500  # characters kept of each

# What editors, sites and screen recorders write with. A camera's own writer is named and nothing is concluded from it.
_REWRITERS = re.compile(
    r"^lavf|^lavc|ffmpeg|handbrake|mkvmerge|mkvtoolnix|libebml|gpac|mp4box|adobe|premiere|after effects|final cut|davinci|"
    r"vegas|capcut|inshot|imovie|google|youtube|x26[45]|virtualdub|avidemux|camtasia|openshot|kdenlive|shotcut",
    re.I,
)
_HEIF = (b"avif", b"heic", b"heix", b"heim", b"heis", b"mif1")  # pictures in the boxes of MP4


def inspect(path: str | os.PathLike[str], *, seconds: float = SECONDS) -> dict[str, Any]:
    """Metadata of a file as plain JSON: ``metadata`` (name → text), ``streams`` (numbers the signs need), ``declared`` (:mod:`gioconda.report.declared`), ``reader``.

    Never raises for what the file does to the parsers: ``error`` (a MediaWarning's document) then says so.
    """
    try:
        found, _ = ask_once(f"{__name__}:_child", seconds=seconds, memory=MEMORY, path=os.path.abspath(os.fspath(path)))
        return found
    except Silent:
        why = MediaWarning(WarningReason.METADATA_TIMEOUT, {"seconds": seconds})
    except Lost as loss:
        # An exception's name, which says nothing to whoever reads it: the parser gave up on what it found.
        text = "the data is not what its format asks for" if str(loss).isidentifier() else str(loss)
        why = MediaWarning(WarningReason.METADATA_UNREAD, {"text": text})
    return {"metadata": {}, "error": why.document()}


def signs(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Sentences (key and arguments) about how the file was written; each a fact of the container, none a verdict."""
    metadata: Mapping[str, str] = found.get("metadata", {})
    streams: Mapping[str, float] = found.get("streams", {})
    said: list[dict[str, Any]] = []

    def say(name: str, **args: Any) -> None:
        said.append({"key": f"sign.{name}", "args": args})

    camera = " ".join(metadata[k] for k in ("Make", "Model") if metadata.get(k))
    writer = metadata.get("Writing application") or metadata.get("Writing library")
    software = metadata.get("Software")
    if camera:
        say("camera", camera=camera)
    if writer:
        name = f"{writer} (FFmpeg)" if writer.startswith("Lavf") else writer
        say("writer" if _REWRITERS.search(writer) else "written", writer=name)
    if software:
        say("software", software=software)
    video, audio = streams.get("video_seconds"), streams.get("audio_seconds")
    if video and audio and abs(video - audio) > max(0.3, 0.03 * max(video, audio)):
        say("durations", video=video, audio=audio)
    source = streams.get("video_source_seconds")
    if video and source and source - video > 0.2:
        say("edit-list", delay=source - video)
    lowest, highest = streams.get("lowest_rate"), streams.get("highest_rate")
    if lowest and highest and highest > 1.05 * lowest:
        say("variable-rate", lowest=lowest, highest=highest)
    dates = {k: metadata[k] for k in _DATES if metadata.get(k)}
    days = [day for text in dates.values() if (day := _day(text))]
    if days and max(days) - min(days) > 1:  # a day apart is what a clock in UTC and one on the wall may be
        say("dates", dates=[{"field": k, "text": v} for k, v in dates.items()])
    # Said only where it was looked for, and nothing of the kind was found.
    if not (camera or writer or software or dates or found.get("declared") or found.get("error")):
        said.append({"key": "sign.bare", "args": {}})
    return said


_DATES = ("Recorded date", "Creation date", "Encoded date", "Digitised", "Modified")
# What is written where no clock was set: noughts, and where the clocks of QuickTime, Unix and Windows begin.
_UNSET = re.compile(r"(UTC )?(0+[-:]00[-:]00|1904[-:]01[-:]01|1970[-:]01[-:]01 00:00:00|1601[-:]01[-:]01)")


def _day(text: str) -> int | None:
    """A number for the day, growing by one each day."""
    found = re.search(r"(\d{4})[-:](\d\d)[-:](\d\d)", text)
    try:
        return datetime.date(*map(int, found.groups())).toordinal() if found else None
    except ValueError:  # "0000:00:00", as cameras without a clock write
        return None


# ------------------------------------------------------------------------- in the child


def _media_info(path: str) -> dict[str, Any]:
    from pymediainfo import MediaInfo

    # A file object, not a name: MediaInfo then looks at no neighbouring file and follows no reference or address.
    with open(path, "rb") as file:
        # In two pieces at least: given the whole file at once, it does not go back from an index at the end to the pictures.
        tracks = MediaInfo.parse(file, buffer_size=min(1 << 16, os.path.getsize(path) // 2 + 1)).tracks
    metadata: dict[str, str] = {}
    streams: dict[str, float] = {}
    fields: list[declared.Field] = []
    for item in tracks:
        facts = item.to_data()
        if item.track_type == "General":
            for key, name in NAMES["general"].items():
                value = facts.get(key)
                if value and name not in metadata:
                    metadata[name] = str(value)
            fields += [declared.Field("text", key, value) for key, value in facts.items() if isinstance(value, str)]
            fields += [declared.Field("text", name, value) for name, value in metadata.items()]
        elif item.track_type == "Video" and "video_seconds" not in streams:
            _number(streams, "video_seconds", _lasting(facts), 1000)
            _number(streams, "video_source_seconds", facts.get("source_duration"), 1000)
            _number(streams, "lowest_rate", facts.get("minimum_frame_rate"))
            _number(streams, "highest_rate", facts.get("maximum_frame_rate"))
            for key, name in (("writing_library", "Video encoder"), ("encoding_settings", "Encoder settings")):
                if facts.get(key):
                    metadata[name] = str(facts[key])
        elif item.track_type == "Audio" and "audio_seconds" not in streams:
            _number(streams, "audio_seconds", _lasting(facts), 1000)
    return {"metadata": metadata, "streams": streams, "declared": declared.marks([*_xmp(_packets(path)), *fields])}


def _lasting(facts: Mapping[str, Any]) -> float | None:
    """How long a track of an MP4 plays, in milliseconds: what MediaInfo calls its duration holds the time before it begins too."""
    try:
        return float(facts["duration"]) - max(0.0, float(facts.get("source_delay") or 0))
    except (KeyError, TypeError, ValueError):
        return None


def _number(into: dict[str, float], name: str, value: Any, divide: float = 1) -> None:
    try:
        into[name] = float(value) / divide
    except (TypeError, ValueError):
        return


def _packets(path: str) -> list[bytes]:
    """The XMP packets that the libraries used here do not give out: of ISO media (MP4, MOV, HEIF, JPEG XL), GIF and ID3."""
    found: list[bytes] = []
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(64)
        if head[:3] == b"ID3":
            return [head + file.read(declared.PACKET - 64)]
        # its blocks hold the packet as it is, with a trailer that makes the blocks' lengths come out
        if head[:4] == b"GIF8":
            return [head + file.read(declared.PACKET - 64)]
        if head[4:8] not in (b"ftyp", b"JXL ", b"moov", b"wide"):
            return []
        for box in itertools.islice(containers.boxes(file, size), BOXES):
            file.seek(box.start + box.header)
            length = min(max(0, box.size - box.header), declared.PACKET)
            if box.kind == b"uuid" and file.read(16) == XMP_BOX:
                found.append(file.read(max(0, length - 16)))
            elif box.kind in (b"xml ", b"meta", b"moov") or (box.kind in (b"mdat", b"idat") and head[8:12] in _HEIF):
                # JPEG XL; HEIF's items in their index; QuickTime's user data
                found.append(file.read(length))
    return [packet for packet in found if b"<x:xmpmeta" in packet]


def _xmp(packets: Iterable[bytes]) -> list[declared.Field]:
    fields: list[declared.Field] = []
    for packet in packets:
        begin, end = packet.find(b"<x:xmpmeta"), packet.find(b"</x:xmpmeta>")
        if 0 <= begin < end:
            packet = packet[begin : end + 12]
        with contextlib.suppress(ValueError):  # what is not decently written declares nothing
            fields += declared.xmp_fields(packet)
    return fields


def _picture(path: str) -> dict[str, Any]:
    import exifread
    import pillow_heif
    from PIL import Image, UnidentifiedImageError

    metadata: dict[str, str] = {}
    fields: list[declared.Field] = []
    try:
        pillow_heif.register_heif_opener()
        Image.MAX_IMAGE_PIXELS = None  # of this child: only the header and text chunks are read, no pixel is decoded
        with Image.open(path) as image:
            info = dict(image.info)
            comment = image.getexif().get_ifd(0x8769).get(0x9286)
    except UnidentifiedImageError:  # a HEIC that libheif does not take: its EXIF is read all the same
        info, comment = {}, None
    tags: dict[str, Any] = {}
    with open(path, "rb") as file:
        try:
            tags = exifread.process_file(file, details=False)
        except AssertionError:  # of a HEIC that was not written by a telephone
            if "exif" not in info:
                raise
    if not tags and isinstance(info.get("exif"), bytes):  # where ExifRead does not look, as in most WebP
        tags = exifread.process_file(io.BytesIO(info["exif"].removeprefix(b"Exif\0\0")), details=False)
    for key, name in NAMES["exif"].items():
        if key in tags and str(tags[key]).strip():
            metadata[name] = f"{tags[key]} {tags.get(f'{key}Ref', '')}".strip()  # of a place: north or south
    for key in ("Make", "Software", "ImageDescription", "Artist"):
        if f"Image {key}" in tags:
            fields.append(declared.Field("EXIF", key, str(tags[f"Image {key}"])))
    if isinstance(comment, (bytes, str)):
        text = _comment(comment) if isinstance(comment, bytes) else comment
        fields.append(declared.Field("EXIF", "UserComment", text))
    for chunk, value in info.items():
        key = str(chunk)
        if isinstance(value, str) and value.strip() and "xmp" not in key.lower():
            metadata.setdefault(key, value)
            fields.append(declared.Field("text", key, value))
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp") or b""
    packets = [xmp.encode() if isinstance(xmp, str) else bytes(xmp), *_packets(path)]
    resources = info.get("photoshop")
    if isinstance(resources, dict) and isinstance(resources.get(0x0404), bytes):
        fields += _iim(resources[0x0404])
    return {"metadata": metadata, "declared": declared.marks([*_xmp(packets), *fields])}


def _comment(raw: bytes) -> str:
    """EXIF UserComment, after the eight bytes that name its characters (EXIF 2.3, 4.6.5)."""
    code, body = raw[:8], raw[8:]
    if code == b"UNICODE\0":
        # The standard leaves the order of bytes open; the one in which the text reads as letters is meant.
        order = "utf-16-le" if body[1::2].count(0) > body[::2].count(0) else "utf-16-be"
        return body.decode(order, "replace").strip("\0 ")
    return body.decode("utf-8", "replace").strip("\0 ")


def _iim(block: bytes) -> list[declared.Field]:
    fields: list[declared.Field] = []
    at = 0
    while at + 5 <= len(block) and block[at] == 0x1C and len(fields) < FIELDS:
        record, name, length = block[at + 1], block[at + 2], int.from_bytes(block[at + 3 : at + 5], "big")
        if length & 0x8000:
            break
        if record == 2 and (ours := NAMES["iim"].get(str(name))):
            text = block[at + 5 : at + 5 + length].decode("utf-8", "replace")
            fields.append(declared.Field("IPTC-IIM", ours, text))
        at += 5 + length
    return fields


_EXIFTOOL = 8.0  # seconds


def _exiftool(path: str) -> tuple[str, list[declared.Field]]:
    """(its name and version, the fields it finds) where ExifTool is installed; it knows containers that the libraries do not."""
    tool = shutil.which("exiftool")
    if tool is None:
        return "", []
    names = NAMES["exiftool"]
    asked = [f"-{name}" for name in names["asked"]]
    command = [tool, "-config", "", "-j", "-G0", "-fast", "-m", "-ExifToolVersion", *asked, path]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_EXIFTOOL, stdin=subprocess.DEVNULL, check=False)
        (found,) = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, OSError, ValueError):
        return "", []
    fields = []
    for key, value in list(found.items())[: declared.FIELDS]:
        group, _, name = str(key).partition(":")
        if name and isinstance(value, (str, int, float, list)) and group not in ("ExifTool", "File", "Composite"):
            text = ", ".join(map(str, value if isinstance(value, list) else [value]))
            fields.append(declared.Field(names["groups"].get(group, "text"), name, text[: declared.TEXT]))
    return f"ExifTool {found.get('ExifTool:ExifToolVersion', '')}".strip(), fields


def _child(path: str) -> dict[str, Any]:
    with open(path, "rb") as file:
        head = file.read(16)
    picture = (
        head.startswith((b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*", b"BM"))
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[4:8] == b"ftyp" and head[8:12] in _HEIF)
    )
    found = _picture(path) if picture else _media_info(path)
    tool, fields = _exiftool(path)
    found["declared"] = declared.together(found["declared"], declared.marks(fields))
    found["reader"] = ", ".join(filter(None, ["Pillow, ExifRead" if picture else "MediaInfo", tool]))
    found["metadata"] = {
        str(k)[:80]: str(v)[:LENGTH]
        for k, v in list(found["metadata"].items())[:FIELDS]
        if "xmp" not in str(k).lower() and not (k in (*_DATES, "Tagged date") and _UNSET.match(str(v)))
    }
    return found
