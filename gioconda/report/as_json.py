"""A Report as JSON and back: schema ``gioconda.report/1``, published as ``report.schema.json`` beside this file."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

from gioconda.report.wording import reason_text, say
from gioconda_core.documents import to_json
from gioconda_core.reasons import Abstention, MediaWarning, Problem, Reason
from gioconda_core.types import (
    Calibrated,
    Code,
    CredentialReason,
    Evidence,
    FaceCalibrated,
    IngredientNode,
    Keyframe,
    Level,
    PictureView,
    Provenance,
    ProvenanceState,
    Reading,
    Report,
    Sealed,
    Sentence,
    Sound,
    TrackScore,
    Verdict,
)

__all__ = ["decoded", "document", "dumps", "from_document", "plain", "printable", "schema"]


def schema() -> dict[str, Any]:
    """The published JSON Schema (draft 2020-12) of the document."""
    from importlib import resources

    found: dict[str, Any] = json.loads((resources.files("gioconda.report") / "report.schema.json").read_text("utf-8"))
    return found


def document(report: Report, lang: str = "en") -> dict[str, Any]:
    """The report as plain JSON values; each sentence carries its key, its arguments and its text in ``lang``."""
    body: dict[str, Any] = plain(report, lang)
    body["lang"] = lang
    return body


def dumps(report: Report, lang: str = "en", *, indent: int | None = 1) -> str:
    """The document as text; NaN is refused."""
    return printable(document(report, lang), indent=indent)


def printable(body: Any, *, indent: int | None = None) -> str:
    """JSON that may be shown in a terminal: readable letters stay, invisible and bidi characters become ``\\u`` escapes."""
    return to_json(body, indent)


def plain(value: Any, lang: str) -> Any:
    """Any document's dataclass as plain JSON values: sentences and reasons with their text in ``lang``, bytes in base64.

    Raises ValueError for a number that is none.
    """
    if isinstance(value, Sentence):
        return {"key": value.key, "args": plain(value.args, lang), "text": say(value, lang)}
    if isinstance(value, Reason):
        return plain(value.document(), lang) | {"text": reason_text(value.document(), lang)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name), lang) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(k): plain(v, lang) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v, lang) for v in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError("a report carries no NaN and no infinity")
        return value
    if hasattr(value, "item"):  # numpy scalars
        return value.item()
    return str(value)


def from_document(body: Mapping[str, Any]) -> Report:
    """The Report back from its document, so that it can be rendered again in another language.

    Raises ValueError for another schema.
    """
    if body.get("schema") != "gioconda.report/1":
        raise ValueError(f"not a gioconda.report/1 document: {body.get('schema')!r}")
    v = body["verdict"]
    parts = ("sentences", "caveats", "next_steps", "scope", "editor")
    verdict = Verdict(Level(v["level"]), **{part: _sentences(v[part]) for part in parts})
    tracks = tuple(_track(t) for t in body["tracks"])
    rest = {k: body[k] for k in ("title", "sha256", "facts", "mark", "versions", "command", "created")}
    return Report(
        verdict=verdict,
        provenance=_provenance(body["provenance"]),
        readings=tuple(_calibrated(r) for r in body["readings"]),
        tracks=tracks,
        warnings=tuple(map(MediaWarning.of, body["warnings"])),
        errors=tuple(map(Problem.of, body["errors"])),
        evidence=_evidence(body.get("evidence") or {}),
        **rest,
    )


def decoded(item: Mapping[str, Any], *pictures: str) -> dict[str, Any]:
    """A document's object for its dataclass again: these fields from base64, lists as tuples."""
    rest = {k: tuple(v) if isinstance(v, list) else v for k, v in item.items()}
    return rest | {name: base64.b64decode(item[name]) for name in pictures}


def _evidence(body: Mapping[str, Any]) -> Evidence:
    sound = body.get("sound")
    return Evidence(
        tuple(Keyframe(**decoded(item, "jpeg")) for item in body.get("keyframes", ())),
        tuple(PictureView(**decoded(item, "jpeg")) for item in body.get("views", ())),
        Sound(**decoded(sound, "spectrogram") | {"gaps": tuple(map(tuple, sound["gaps"]))}) if sound else None,
    )


def _sentences(items: list[Mapping[str, Any]]) -> tuple[Sentence, ...]:
    return tuple(Sentence(s["key"], s["args"]) for s in items)


def _track(body: Mapping[str, Any]) -> dict[str, Any]:
    track = dict(body)
    if track.get("thumbnail"):
        track["thumbnail"] = base64.b64decode(track["thumbnail"])
    track["stills"] = [s | {"jpeg": base64.b64decode(s["jpeg"])} for s in track.get("stills", ())]
    return track


def _calibrated(body: Mapping[str, Any]) -> Calibrated:
    reading = dict(body["reading"])
    if reading["abstained"] is not None:
        reading["abstained"] = Abstention.of(reading["abstained"])
    reading["series"] = tuple(
        TrackScore(s["track"], tuple(s["times"]), tuple(s["scores"])) for s in reading.get("series", ())
    )
    rest = {k: x for k, x in body.items() if k not in ("reading", "level", "sealed", "unseen", "faces")}
    rest["faces"] = tuple(FaceCalibrated(**face) for face in body["faces"])
    sealed, unseen = (Sealed(**body[key]) if body.get(key) else None for key in ("sealed", "unseen"))
    return Calibrated(Reading(**reading), Level(body["level"]), **rest, sealed=sealed, unseen=unseen)


def _provenance(body: Mapping[str, Any]) -> Provenance:
    p = dict(body)
    p["state"] = ProvenanceState(p["state"])
    p["reason"] = CredentialReason(p["reason"]) if p.get("reason") else None
    p["codes"] = tuple(Code(**c) for c in p["codes"])
    p["ingredients"] = tuple(_node(n) for n in p["ingredients"])
    for name in (
        "decided_by",
        "actions",
        "source_types",
        "soft_bindings",
        "identities",
        "statements",
        "redacted",
        "trust_lists",
    ):
        p[name] = tuple(p.get(name, ()))
    return Provenance(**p)


def _node(body: Mapping[str, Any]) -> IngredientNode:
    n = dict(body)
    n["failures"] = tuple(Code(**c) for c in n["failures"])
    n["thumbnail"] = base64.b64decode(n["thumbnail"]) if n["thumbnail"] else None
    n["children"] = tuple(_node(c) for c in n["children"])
    return IngredientNode(**n)
