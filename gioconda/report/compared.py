"""What a signer states of a file beside what the file's own metadata say: who made it, with what, when and where, and whether both agree.

Covered: author, camera, lens, time, place, title, description, rights and software in the metadata statements (``stds.exif``, ``stds.iptc``,
schema.org, ``c2pa.metadata``, ``cawg.metadata``), and the digital source type. Not covered: which of the two is true. Metadata can be
changed by anybody; a statement that was signed can be wrong as well, and an old one stays when the metadata are corrected.
"""

import datetime
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gioconda.report.declared import NAMES
from gioconda_core.types import CredentialReason, Provenance, Sentence
from provenance.sanitise import leaves

VALUE = 160  # characters of one value
NEAR = 0.001  # degrees: a hundred metres


class Agreement(StrEnum):
    """How a signed value and the file's own stand to each other."""

    SAME = "same"
    DIFFERS = "differs"
    SIGNED_ONLY = "signed-only"  # the file's metadata say nothing of it
    UNCOMPARED = "uncompared"  # both say something, in forms that are not compared here


@dataclass(frozen=True)
class Compared:
    """One fact that the signer states. field : its name in a report's metadata; file : what the metadata say, None where nothing."""

    field: str
    signed: str
    file: str | None
    agreement: Agreement


_SOURCE = "Digital source type"
_STATEMENTS = re.compile(r"(stds\.(exif|iptc)|stds\.schema-org\.CreativeWork|.*\.metadata)(__\d+)?", re.I)


def compare(
    found: Provenance, metadata: Mapping[str, Any], declared: Iterable[Mapping[str, Any]] = ()
) -> list[Compared]:
    """Each fact that the signer states of this file, with what its metadata say of it; nothing where the credential may be of another file.

    metadata, declared : of :func:`gioconda.report.metadata.inspect`.
    """
    if not (found.state.intact or found.reason in (CredentialReason.EXPIRED, CredentialReason.INGREDIENT)):
        return []
    signed: dict[str, list[str]] = {}
    for name, value in _signed(found):
        for field, names in NAMES["compared"].items():
            if name in names["signed"] and value not in signed.setdefault(field, []):
                signed[field].append(value)
    made = []
    for field, names in NAMES["compared"].items():
        if values := signed.get(field):
            own = next((str(metadata[key]) for key in names["file"] if metadata.get(key)), None)
            made.append(_one(field, ", ".join(values), own))
    sources = [uri.rstrip("/").rsplit("/", 1)[-1] for uri in found.source_types]
    own = next((str(mark["value"]) for mark in declared if mark.get("kind") == "source-type"), None)
    if sources and own:
        made.append(Compared(_SOURCE, ", ".join(sources), own, Agreement.SAME if own in sources else Agreement.DIFFERS))
    return made


def _signed(found: Provenance) -> Iterator[tuple[str, str]]:
    """(name, value) of every fact in the metadata statements; a name's last part, and of an author's name both."""
    for statement in found.statements:
        if not statement.get("created") or not _STATEMENTS.fullmatch(str(statement.get("label"))):
            continue  # what is only reported is not the signer's
        for name, value in leaves(statement.get("data")):
            parts = [part.split(":")[-1].lower() for part in name.split(".")]
            yield ".".join(parts[-2:]) if parts[-2:] == ["author", "name"] else parts[-1], value


def _one(field: str, signed: str, own: str | None) -> Compared:
    signed = signed[:VALUE]
    if own is None:
        return Compared(field, signed, None, Agreement.SIGNED_ONLY)
    own = own[:VALUE]
    if field in ("Latitude", "Longitude"):
        places = _degrees(signed), _degrees(own)
        if places[0] is None or places[1] is None:
            return Compared(field, signed, own, Agreement.UNCOMPARED)
        same = abs(places[0] - places[1]) <= NEAR and _side(signed) * _side(own) >= 0
    elif field == "Recorded date":
        found = _same_time(signed, own)
        if found is None:
            return Compared(field, signed, own, Agreement.UNCOMPARED)
        same = found
    else:
        same = _plain(signed) == _plain(own)
    return Compared(field, signed, own, Agreement.SAME if same else Agreement.DIFFERS)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _same_time(signed: str, own: str) -> bool | None:
    """Whether two dates are of one moment; None where they do not say."""
    first, second = _moment(signed), _moment(own)
    if first and second:
        return abs((first - second).total_seconds()) < 1
    one, other = (re.sub(r"\D", "", re.split(r"[+Z]|(?<=:\d\d)-", text)[0])[:14] for text in (signed, own))
    short = min(len(one), len(other))
    same = one[:short] == other[:short]
    # What a clock on the wall showed, beside a moment in UTC: its zone may be any.
    apart = not same and any(moment and not moment.utcoffset() for moment in (first, second))
    return None if short < 8 or apart else same


def _moment(text: str) -> datetime.datetime | None:
    """A date that says its zone."""
    plain = f"{text.replace('UTC', '').strip()}+00:00" if "UTC" in text else text
    try:
        found = datetime.datetime.fromisoformat(plain)
    except ValueError:
        return None
    return found if found.tzinfo else None


def _side(text: str) -> int:
    """1 north of the equator or east of Greenwich, -1 south or west, 0 where a text does not say."""
    found = re.search(r"^\s*-|[NESW]\s*$", text.upper())
    return 0 if not found else 1 if found[0].strip() in "NE" else -1


def _degrees(text: str) -> float | None:
    """``39,21.102N`` (XMP), ``[39, 21, 51/50]`` (EXIF) or a number, as degrees from the equator or Greenwich."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(?:/(\d+))?", text)
    numbers = [float(top) / float(bottom or 1) for top, bottom in parts if float(bottom or 1)]
    if not 1 <= len(numbers) <= 3:
        return None
    return float(sum(number / 60**i for i, number in enumerate(numbers)))


def sentences(found: Iterable[Compared]) -> list[Sentence]:
    """What is told of each, differences first."""
    said, order = [], [Agreement.DIFFERS, *Agreement]
    for item in sorted(found, key=lambda item: order.index(item.agreement)):
        field = {"key": f"compared.field-{item.field.lower().replace(' ', '-')}"}
        own = {} if item.file is None else {"file": item.file}
        said.append(Sentence(f"compared.{item.agreement}", {"field": field, "signed": item.signed} | own))
    return said
