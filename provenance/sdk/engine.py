"""The one place that talks to the Content Credentials SDK: its settings, contexts and formats, with no network unless it is allowed.

Measured facts this module exists for (c2pa-python 0.38.1): global ``load_settings`` reaches neither readers nor builders;
unknown settings are accepted in silence; by default URLs named inside a file are fetched; a context does not survive a fork.
"""

from __future__ import annotations

import functools
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gioconda_core.errors import CredentialError
from provenance.keys.certificates import ACCEPTED_EKUS

if TYPE_CHECKING:
    import c2pa


ANY = "application/octet-stream"  # any bytes at all: nothing can be embedded in them, but a sidecar can be held against them


class Anchor(NamedTuple):
    """One trust list. kind : manifest, tsa or cawg; anchors : PEM; leaves : base64 SHA-256 of certificates listed themselves, one a line."""

    kind: str
    uri: str
    anchors: str
    leaves: str = ""


Anchors = tuple[Anchor, ...]

# What each setting may be; a key or a type that is not here is a mistake of ours and is said aloud, because the SDK will not.
_SCHEMA: dict[str, dict[str, type | tuple[type, ...]]] = {
    "trust": {"trust_config": str, "anchors": list},
    "cawg_trust": {"trust_config": str, "verify_trust_list": bool},
    "verify": {
        "verify_after_reading": bool,
        "verify_after_sign": bool,
        "verify_trust": bool,
        "remote_manifest_fetch": bool,
        "ocsp_fetch": bool,
    },
    "core": {
        "allowed_network_hosts": list,
        "backing_store_memory_threshold_in_mb": int,
        "merkle_tree_chunk_size_in_kb": int,
    },
    "builder": {"thumbnail": dict},
    "signer": {"local": dict},
    "cawg_x509_signer": {"local": dict},
}
_KINDS = ("manifest", "tsa", "cawg")


def accepted_eku_text() -> str:
    """The accepted key purposes, as the SDK's trust configuration; without the last, leaves that have only it are Invalid."""
    return "".join(f"{oid}\n" for oid in ACCEPTED_EKUS)


def settings(
    anchors: Anchors = (),
    *,
    hosts: tuple[str, ...] = (),
    merkle: bool = False,
    extra: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Settings for one context: hermetic unless ``hosts`` are named, small in memory, all trust in named lists.

    merkle : hash BMFF media in 1 MB leaves; with it, signing and verifying 508 MB stay under 64 MB of memory, but a verifier
        reads the leaves' own list too, so it is only worth its bytes for large files.
    """
    for item in anchors:
        if item.kind not in _KINDS:
            raise CredentialError(
                f"no such kind of trust list: {item.kind!r}", where=item.uri, hint=f"one of {', '.join(_KINDS)}"
            )
    document: dict[str, Any] = {
        "version": 1,
        "trust": {
            "trust_config": accepted_eku_text(),
            "anchors": [
                {"trust_kind": item.kind, "trust_uri": item.uri, "trust_anchors": item.anchors}
                | ({"allowed_list": item.leaves} if item.leaves else {})
                for item in anchors
            ],
        },
        "verify": {
            "verify_after_sign": False,  # sign() verifies what is on disk itself, once, with our policy
            "verify_trust": True,
            "remote_manifest_fetch": False,
            "ocsp_fetch": False,
        },
        "core": {"allowed_network_hosts": list(hosts), "backing_store_memory_threshold_in_mb": 8},
        "builder": {"thumbnail": {"enabled": False}},  # see provenance.signing.thumbnails
    }
    if merkle:
        document["core"]["merkle_tree_chunk_size_in_kb"] = 1024
    for section, values in (extra or {}).items():
        document.setdefault(section, {}).update(values)
    _check(document)
    return document


def _check(document: Mapping[str, Any]) -> None:
    for section, values in document.items():
        if section == "version":
            continue
        known = _SCHEMA.get(section)
        if known is None:
            raise CredentialError(f"unknown SDK settings section {section!r}")
        for key, value in values.items():
            if key not in known or not isinstance(value, known[key]):
                raise CredentialError(f"unknown or mistyped SDK setting {section}.{key}")


_local = threading.Lock()


def reading(anchors: Anchors) -> c2pa.Context:
    """The context for reading with these lists."""
    with _local:
        return _reading(os.getpid(), anchors)


@functools.lru_cache(maxsize=16)
def _reading(pid: int, anchors: Anchors) -> c2pa.Context:
    return _context(pid, json.dumps(settings(anchors), sort_keys=True))


def context(document: dict[str, Any]) -> c2pa.Context:
    """A context for these settings, shared between threads, made anew in a forked child."""
    with _local:
        return _context(os.getpid(), json.dumps(document, sort_keys=True))


@functools.lru_cache(maxsize=16)
def _context(pid: int, document: str) -> c2pa.Context:
    import c2pa

    return c2pa.Context.from_json(document)


@functools.cache
def sdk() -> str:
    """The SDK's versions, kept with every verdict: verdicts on the same file drift between releases."""
    import c2pa

    return f"c2pa-python {c2pa.__version__} (c2pa-rs {c2pa.sdk_version()})"


_MIME = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".dng": "image/dng",
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".svg": "image/svg+xml",
    ".jxl": "image/jxl",
    ".mp4": "video/mp4",
    ".m4v": "video/x-m4v",
    ".mov": "video/quicktime",
    ".m4a": "audio/mp4",
    ".avi": "video/avi",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".flac": "audio/flac",
    ".pdf": "application/pdf",
    ".c2pa": "application/c2pa",
}


def mime_of(path: str | os.PathLike[str]) -> str:
    """The media type by suffix; the SDK's own suffix names for document containers; empty asks the SDK to look at the bytes."""
    suffix = Path(path).suffix.lower()
    known = _MIME.get(suffix)
    if known:
        return known
    return suffix[1:] if suffix[1:] in supported()[0] else ""


@functools.cache
def supported() -> tuple[frozenset[str], frozenset[str]]:
    """Media types and suffixes the SDK (reads, writes)."""
    import c2pa

    return frozenset(c2pa.Reader.get_supported_mime_types()), frozenset(c2pa.Builder.get_supported_mime_types())
