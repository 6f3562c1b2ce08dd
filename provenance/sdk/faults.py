"""Explain the SDK's errors: nowhere else are their class and, where they have none of their own, their text read.

The texts are a programmer's and are kept for a log (``--debug``); what a person is told stands here. ``tests/provenance/test_faults.py``
holds the texts that are read to what this release of the SDK says.
"""

import re

from gioconda_core.types import CredentialReason

# The SDK's kinds of error → what happened, and what to do.
_KINDS = {
    "Io": ("the file ends before what it announces, or cannot be read or written", "is the file whole, and what its name says?"),
    "FileNotFound": ("a file is not there", "check the path"),
    "NotSupported": ("no credential can lie in this kind of file", "sign an MP4 of it, or write its credential beside it (--sidecar)"),
    "Json": ("a statement is not written as the standard asks", "check the claim"),
    "Encoding": ("a statement cannot be written as the standard asks", "check the claim"),
    "Assertion": ("a statement is not written as the standard asks", "check the claim"),
    "AssertionNotFound": ("a statement that is referred to is not there", "check the claim"),
    "ResourceNotFound": ("a picture or file that the claim refers to is not there", "check the claim"),
    "Manifest": ("the manifest is not written as the standard asks", "check the claim"),
    "ManifestNotFound": ("no credential is where one is referred to", ""),
    "Decoding": ("what it holds cannot be read", "is the file whole, and what its name says?"),
    "Verify": ("a credential in it does not validate", "gioconda provenance read says why"),
    "Remote": ("a credential is kept elsewhere and was not fetched", "--online fetches it"),
    "Signature": ("certificate, key and algorithm do not fit together, or the certificate may not sign claims", "gioconda provenance keys show describes the certificate"),
}  # fmt: skip
_ADDRESS = re.compile(r"Remote: .*?(https?://\S+)?", re.DOTALL)
_OF_A_CREDENTIAL = re.compile(r"Verify|Json|Manifest\w*|Assertion\w*|Claim\w*|Decoding|Encoding|Signature")
_MALFORMED = re.compile(
    r"Other: (unknown algorithm|prerelease|validation rule|missing data box|cyclic ingredient|.*(JUMBF|CBOR|COSE|claim|assertion|manifest))"
)
_CERTIFICATE = ("certificate", "cose", "signing cert", "private key", "signer")
_LAYOUT = ("parse", "asset", "jumbf", "box", "invalid file", "embed")
_CLOCK = ("timestamp", "time stamp", "http resolver")


def _kind(message: str) -> str:
    """The SDK's own name of an error's kind, with which its message begins: its Python classes are made from it, and there are not all."""
    return re.match(r"\w*", message)[0]  # type: ignore[index]  # it matches always


def refusal(message: str) -> CredentialReason:
    """Why the SDK opened no credential: *damaged*, the file itself, where it says nothing of a credential."""
    named = _kind(message)
    if named == "NotSupported":
        return CredentialReason.UNSUPPORTED
    if named == "Remote":
        return CredentialReason.REMOTE
    malformed = _OF_A_CREDENTIAL.fullmatch(named) or _MALFORMED.match(message)
    return CredentialReason.MALFORMED if malformed else CredentialReason.DAMAGED


def address(message: str) -> str:
    """Where a credential that is kept elsewhere is; empty where that is not said."""
    found = _ADDRESS.fullmatch(message)
    return found[1] or "" if found else ""


def of_the_clock(message: str) -> bool:
    """Whether a signature failed for want of its timestamp."""
    return any(word in message.lower() for word in _CLOCK)


def explained(message: str) -> tuple[str, str]:
    """(what happened, what to do) for a person."""
    known = _KINDS.get(_kind(message))
    if known:
        return known
    lowered = message.lower()
    if any(word in lowered for word in _CERTIFICATE):
        return _KINDS["Signature"]
    if any(word in lowered for word in _LAYOUT):
        return _KINDS["Decoding"]
    return "it was refused, and no reason is known", "is the file whole, and what its name says?"
