"""What a file declares of AI outside of any signature: IPTC's and China's marks, and what generators and editors leave behind.

Covered: IPTC DigitalSourceType and the AI properties of 2025.1, ``AIGC`` of TC260 (GB 45438-2025), the text that image generators
write, tools by their name. Not covered: whether any of it is true, marks in the pixels, and C2PA, which is signed and is read
elsewhere. Everything here is a stranger's: packets, numbers and lengths are bounded, and a document type in XMP is refused.
"""

import json
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from gioconda_core.files import read_toml
from gioconda_core.types import Sentence
from provenance.vocabulary import SOURCE_TYPES

PACKET = 4 << 20  # bytes of XMP parsed at most
DEPTH = 48  # elements one in another
FIELDS = 200  # fields looked at, and marks kept
TEXT = 64_000  # characters of one field looked at
VALUE = 160  # characters of one value kept


class Kind(StrEnum):
    """The kinds of marks of AI in metadata, by who writes them and how."""

    SOURCE_TYPE = "source-type"  # IPTC DigitalSourceType
    SYSTEM = "system"  # IPTC 2025.1 AISystemUsed, AISystemVersionUsed
    PROMPT = "prompt"  # IPTC 2025.1 AIPromptInformation, AIPromptWriterName
    AIGC = "aigc"  # TC260
    GENERATOR = "generator"  # settings as one generator writes them
    TOOL = "tool"  # a program's name
    WORDS = "words"  # a credit line or description


class Ai(StrEnum):
    """What a mark declares of AI's part in a file, the surest first."""

    MADE = "made"
    EDITED = "edited"
    USED = "used"
    POSSIBLE = "possible"
    SUSPECTED = "suspected"
    NONE = "none"


class Field(NamedTuple):
    """One text of the metadata. place : XMP, EXIF, IPTC-IIM, text (PNG, MP4, ID3)."""

    place: str
    name: str
    value: str


NAMES = read_toml(Path(__file__).with_name("fields.toml"))  # how others call what is looked at
_WANTED = NAMES["xmp"]
_RESOURCE = "http://www.w3.org/1999/02/22-rdf-syntax-ns# resource"


def xmp_fields(packet: bytes) -> list[Field]:
    """The fields of one XMP packet that are looked at. Raises ValueError when it is not one, or is not decently written."""
    from xml.parsers import expat

    if len(packet) > PACKET:
        raise ValueError("an XMP packet of more than 4 MB")
    begin, end = packet.find(b"<x:xmpmeta"), packet.rfind(b"</x:xmpmeta>")
    packet = packet[begin : end + 12] if 0 <= begin < end else packet.strip(b"\0 \r\n\t")
    found: list[Field] = []
    open_: list[str] = []
    inside: list[tuple[int, str, list[str]]] = []  # depth, our name, texts

    def add(name: str, value: str) -> None:
        if value.strip() and len(found) < FIELDS:
            found.append(Field("XMP", name, value.strip()[:TEXT]))

    def start(name: str, attributes: Mapping[str, str]) -> None:
        if len(open_) >= DEPTH:
            raise ValueError("XMP nests too deep")
        open_.append(name)
        for key, value in attributes.items():
            if key in _WANTED:
                add(_WANTED[key], value)
        if name in _WANTED:
            inside.append((len(open_), _WANTED[name], []))
            if attributes.get(_RESOURCE):
                add(_WANTED[name], attributes[_RESOURCE])

    def text(data: str) -> None:
        if inside and sum(map(len, inside[-1][2])) < TEXT:
            inside[-1][2].append(data)

    def stop(name: str) -> None:
        if inside and inside[-1][0] == len(open_):
            _, ours, texts = inside.pop()
            add(ours, "".join(texts))
        open_.pop()

    def refuse(*_: Any) -> None:
        raise ValueError("XMP with a document type")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, stop
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text, refuse
    try:
        parser.Parse(packet, True)
    except expat.ExpatError as error:
        raise ValueError(f"malformed XMP: {error}") from error
    return found


_TERMS = {uri.rsplit("/", 1)[-1].casefold() for uri in SOURCE_TYPES}
_SHARES = {
    "trainedalgorithmicmedia": Ai.MADE,
    "trainedalgorithmicdata": Ai.MADE,
    "compositewithtrainedalgorithmicmedia": Ai.EDITED,
    "compositesynthetic": Ai.EDITED,
}
_LABELS = {"1": Ai.MADE, "2": Ai.POSSIBLE, "3": Ai.SUSPECTED}
# Fields that name the program which wrote a file; and those that may be about anything, where a name counts as a name and no more.
_PROGRAMS = {"software", "creatortool", "make", "writing application", "writing library"}
_ANYTHING = {"title", "source", "host"}
# Names that are words of nothing else.
_ONLY_TOOLS = re.compile(r"stable.?diffusion|midjourney|comfyui|invokeai|novelai|dall[·.\- ]?e \d", re.I)
_TEXTS = {"credit", "description", "imagedescription", "comment", "usercomment", "title", "caption", "xpcomment"}
_MAKES = r"(?:made|edited|generated|created|enhanced)"
# A line that says this and nothing else declares it; a longer text may deny it, or be about something else.
_DECLARES = re.compile(
    rf"(?:{_MAKES} (?:with|by|using) (?:[\w.]+ )?ai|ai[- ]{_MAKES}(?: (?:image|picture|photo(?:graph)?|video|clip|content|media|art(?:work)?|illustration))?"
    r"|(?:ai|人工智能)\s?生成(?:的)?(?:内容|图片|图像|视频)?)[.!。]?",
    re.I,
)
_SPEAKS = re.compile(
    rf"\b{_MAKES} (?:with|by|using) (?:[\w.]+ )?AI\b|\b(?:ai|AI)[- ]{_MAKES}\b|(?:ai|AI|人工智能)\s?生成"
)
_EDITED = re.compile(r"\bedit|\benhanc", re.I)
_WEBUI = re.compile(r"\bSteps: \d+,.*\b(Sampler|CFG scale|Seed): ", re.S)
_DREAM = re.compile(r"-[sWHCS] ?\d")  # InvokeAI's early command line
_MIDJOURNEY = re.compile(r"--(v|ar|niji|s|stylize) [\w:.]+.*\bJob ID: [0-9a-f]{8}-", re.S)
_NO_SYSTEM = {"", "-", "–", "0", "false", "n/a", "na", "no", "none", "not applicable", "null", "unknown"}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)


def marks(fields: Iterable[Field]) -> list[dict[str, Any]]:
    """The marks in a file's metadata as plain JSON: ``kind``, ``ai``, ``field``, ``value``, and of AIGC its four numbers; no two alike."""
    listed = [Field(*field) for field in list(fields)[:FIELDS]]
    found: list[dict[str, Any]] = []
    for field in listed:
        for kind, ai, value, more in _of(field):
            where = f"{field.place} {field.name}"[:80]
            found.append({"kind": str(kind), "ai": str(ai), "field": where, "value": value[:VALUE], **more})
    by_name = {field.name.lower(): field.value for field in listed if field.place == "EXIF"}
    note = by_name.get("imagedescription", "")
    if re.match(r"Signature: [A-Za-z0-9+/=]{4,}", note) and _UUID.fullmatch(by_name.get("artist", "").strip()):
        grok = {"kind": str(Kind.GENERATOR), "ai": str(Ai.MADE)}
        found.append(grok | {"field": "EXIF ImageDescription", "value": "Grok (xAI)"})
    return _once(found)


def together(first: list[dict[str, Any]], second: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The marks of two readers of one file; what both found is told once, as the first has it."""
    return _once([*first, *second])


def _once(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each mark once. A generator's own settings say more than its name: the name alone is not told a second time."""
    listed: dict[tuple[str, str], dict[str, Any]] = {}
    for mark in found:
        listed.setdefault((mark["kind"], mark["value"]), mark)
    made_by = {value.split(" (")[0] for kind, value in listed if kind == Kind.GENERATOR}
    kept = [m for (kind, value), m in listed.items() if kind != Kind.TOOL or value.split(" (")[0] not in made_by]
    return kept[:FIELDS]


def _of(field: Field) -> Iterable[tuple[Kind, Ai, str, dict[str, str]]]:
    """What one field declares."""
    name, value = field.name.lower(), field.value[:TEXT]
    if name == "digitalsourcetype":
        term = value.strip().rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1]
        known = term.casefold() in _TERMS
        yield Kind.SOURCE_TYPE, _SHARES.get(term.casefold(), Ai.NONE), term, {"known": "yes" if known else "no"}
        return
    if name in ("aisystemused", "aisystemversionused"):
        if value.strip().casefold() not in _NO_SYSTEM:
            yield Kind.SYSTEM, Ai.USED, value, {}
        return
    if name in ("aipromptinformation", "aipromptwritername"):
        yield Kind.PROMPT, Ai.USED, value, {}
        return
    label = _aigc(value, name)
    if label is not None:
        yield label
        return
    generator = _generator(name, value)
    if generator:
        yield Kind.GENERATOR, Ai.MADE, generator, {}
    if name in _PROGRAMS or name in _ANYTHING:
        yield from _tool(name, value.strip()[:500])
    if name in _TEXTS and not generator:
        text = value.strip()[:2000]
        if _DECLARES.fullmatch(text):
            yield Kind.WORDS, Ai.EDITED if _EDITED.search(text) else Ai.MADE, value, {}
        elif _SPEAKS.search(text):  # told, and left to the reader
            yield Kind.WORDS, Ai.NONE, value, {}


def _tool(name: str, value: str) -> Iterable[tuple[Kind, Ai, str, dict[str, str]]]:
    """The program that a field names, if it is one of those: as used where the field is for that, else only as named."""
    for pattern, tool in NAMES["tools"].items():
        if name in _PROGRAMS and re.search(pattern, value, re.I):
            yield Kind.TOOL, Ai.USED, tool, {}
            return
        if name in _ANYTHING and (
            re.fullmatch(pattern, value, re.I) or (_ONLY_TOOLS.match(value) and re.search(pattern, value, re.I))
        ):
            yield Kind.TOOL, Ai.NONE, tool, {}
            return


def _aigc(value: str, name: str) -> tuple[Kind, Ai, str, dict[str, str]] | None:
    """TC260's label, wherever it stands: the JSON object, or one that holds it."""
    if name != "aigc" and '"AIGC"' not in value:
        return None
    try:
        body = json.loads(value)
    except (ValueError, RecursionError):
        return None
    body = body.get("AIGC", body) if isinstance(body, dict) else None
    if not isinstance(body, dict) or "Label" not in body:
        return None
    numbers = {ours: str(body.get(theirs) or "")[:VALUE] for ours, theirs in NAMES["aigc"].items()}
    label = str(body["Label"])
    return Kind.AIGC, _LABELS.get(label, Ai.NONE), label, numbers


def _generator(name: str, value: str) -> str:
    """The image generator whose settings a text is; empty when it is none's."""
    if name in ("invokeai_metadata", "sd-metadata") or (name == "dream" and _DREAM.search(value)):
        return "InvokeAI"
    if _WEBUI.search(value[:20_000]):
        return "Stable Diffusion"
    if name in ("prompt", "workflow", "comment", "description") and '"class_type"' in value:
        return "ComfyUI"
    if name == "workflow" and '"nodes"' in value and ('"last_node_id"' in value or '"class_type"' in value):
        return "ComfyUI"
    if name in ("fooocus_scheme", "sd_prompt"):
        return "Stable Diffusion"
    if name == "software" and value.strip() == "NovelAI":
        return "NovelAI"
    if _MIDJOURNEY.search(value[:20_000]):
        return "Midjourney"
    return ""


def names_ai(found: Iterable[Mapping[str, Any]]) -> bool:
    """Whether one of the marks declares AI, however surely."""
    return any(mark.get("ai") != Ai.NONE for mark in found)


def sentences(found: Iterable[Mapping[str, Any]]) -> list[Sentence]:
    """A sentence a mark, and at their end what such marks are worth."""
    said = []
    for mark in found:
        kind, ai = str(mark["kind"]), str(mark["ai"])
        part = "unknown" if ai == Ai.NONE and mark.get("known") == "no" else ai
        share = {"key": f"declared.share.{part}"}
        args: dict[str, Any] = {"field": mark["field"], "value": mark["value"], "share": share}
        if kind == Kind.AIGC:
            args |= {name: mark.get(name) or "–" for name in NAMES["aigc"]}
        said.append(Sentence(f"declared.{kind}", args))
    return [*said, Sentence("declared.unsigned")] if said else []


def short(found: Iterable[Mapping[str, Any]]) -> Sentence | None:
    """The one sentence for what is read first; None where no AI is declared."""
    telling = [mark for mark in found if mark.get("ai") != Ai.NONE]
    if not telling:
        return None
    sure = next(ai for ai in Ai if any(mark["ai"] == ai for mark in telling))
    fields = list(dict.fromkeys(str(mark["field"]) for mark in telling))[:3]
    return Sentence("declared.short", {"share": {"key": f"declared.share.{sure}"}, "field": fields})
