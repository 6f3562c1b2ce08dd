"""What the SDK's errors mean, in words of ours: its own are a programmer's, and are kept for a log (``--debug``)."""

from __future__ import annotations

# The SDK's kinds of error (what its message begins with) → what happened, and what to do.
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
_CERTIFICATE = ("certificate", "cose", "signing cert", "private key", "signer")
_LAYOUT = ("parse", "asset", "jumbf", "box", "invalid file", "embed")


def of(message: str) -> tuple[str, str]:
    """(what happened, what to do) for an error's message."""
    known = _KINDS.get(message.split(":", 1)[0].strip())
    if known:
        return known
    lowered = message.lower()
    if any(word in lowered for word in _CERTIFICATE):
        return _KINDS["Signature"]
    if any(word in lowered for word in _LAYOUT):
        return _KINDS["Decoding"]
    return "it was refused, and no reason is known", "is the file whole, and what its name says?"
