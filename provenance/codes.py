"""Give each status code of C2PA 2.x and CAWG, and each of our own policy, a plain sentence in each language (``codes.toml``)."""

from collections.abc import Mapping
from typing import Any

from gioconda_core import words
from gioconda_core.types import Code
from provenance import sanitise

# What is wrong with a timestamp decides no state by itself; it is told all the same.
CLOCK_FAULTS = (
    "timeStamp.mismatch",
    "timeStamp.malformed",
    "timeStamp.untrusted",
    "timeStamp.outsideValidity",
    "timeStamp.credentialInvalid",
    "gioconda.timestamp.otherList",
)

# What came of asking the issuer, where it gave no answer that counts: whoever asked must know.
UNANSWERED = ("signingCredential.ocsp.inaccessible", "signingCredential.ocsp.unknown")

_FAMILIES = {
    "signingCredential": "the signing certificate",
    "claimSignature": "the claim's signature",
    "timeStamp": "the timestamp",
    "claim": "the claim",
    "manifest": "a manifest",
    "ingredient": "an ingredient",
    "assertion": "a statement in the credential",
    "algorithm": "an algorithm",
    "livevideo": "a live stream",
    "cawg": "an identity statement",
}


def sentences(lang: str = "en") -> dict[str, str]:
    """Code → sentence, in a language."""
    return words.sentences("provenance", "codes.toml", lang)


def told(code: str, kind: str = "policy", *, where: str = "") -> Code:
    """A code of ours with its sentence."""
    return Code(code, kind, sentence(code), where)


def reported(item: Mapping[str, Any], kind: str) -> Code:
    """A finding as the SDK reports it: code and place come out of the file, and are made safe to show."""
    code = str(item.get("code"))
    return Code(sanitise.text(code, 120), kind, sentence(code), sanitise.text(item.get("url", ""), 200))


def sentence(code: str) -> str:
    """A sentence for any code: ours, or for one newer than this list, what it is about."""
    family = _FAMILIES.get(code.split(".", 1)[0], "the credential")
    return sentences().get(code) or f"A finding about {family} that this version has no sentence for."
