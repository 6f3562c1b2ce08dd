"""Set up the Content Credentials SDK: its settings, contexts and formats; it uses no network unless a host is named.

Measured facts this module exists for (c2pa-python 0.38.1): global ``load_settings`` reaches neither readers nor builders;
unknown settings are accepted in silence; by default URLs named inside a file are fetched; a context does not survive a fork.
"""

import functools
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from provenance.keys.certificates import ACCEPTED_EKUS
from provenance.vocabulary import MEDIA_TYPES

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


def settings(anchors: Anchors = (), *, hosts: tuple[str, ...] = (), merkle: bool = False) -> dict[str, Any]:
    """Settings for one context: hermetic unless ``hosts`` are named, small in memory, all trust in named lists.

    merkle : hash BMFF media in 1 MB leaves; with it, signing and verifying 508 MB stay under 64 MB of memory, but a verifier
        reads the leaves' own list too, so it is only worth its bytes for large files.
    """
    leaves = {"merkle_tree_chunk_size_in_kb": 1024} if merkle else {}
    return {
        "version": 1,
        "trust": {
            "trust_config": "".join(f"{oid}\n" for oid in ACCEPTED_EKUS),
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
        "core": {"allowed_network_hosts": list(hosts), "backing_store_memory_threshold_in_mb": 8, **leaves},
        "builder": {"thumbnail": {"enabled": False}},  # see provenance.signing.thumbnails
    }


_local = threading.Lock()


def reading(anchors: Anchors) -> "c2pa.Context":
    """The context for reading with these lists."""
    with _local:
        return _reading(os.getpid(), anchors)


@functools.lru_cache(maxsize=16)
def _reading(pid: int, anchors: Anchors) -> "c2pa.Context":
    return _context(pid, json.dumps(settings(anchors), sort_keys=True))


def context(document: dict[str, Any]) -> "c2pa.Context":
    """A context for these settings, shared between threads, made anew in a forked child."""
    with _local:
        return _context(os.getpid(), json.dumps(document, sort_keys=True))


@functools.lru_cache(maxsize=16)
def _context(pid: int, document: str) -> "c2pa.Context":
    import c2pa

    return c2pa.Context.from_json(document)


@functools.cache
def sdk() -> str:
    """The SDK's versions, kept with every verdict: verdicts on the same file drift between releases."""
    import c2pa

    return f"c2pa-python {c2pa.__version__} (c2pa-rs {c2pa.sdk_version()})"


def mime_of(path: str | os.PathLike[str]) -> str:
    """The media type by suffix; the SDK's own suffix names for document containers; empty asks the SDK to look at the bytes."""
    suffix = Path(path).suffix.lower().removeprefix(".")
    return MEDIA_TYPES.get(suffix) or (suffix if suffix in supported()[0] else "")


@functools.cache
def supported() -> tuple[frozenset[str], frozenset[str]]:
    """Media types and suffixes the SDK (reads, writes)."""
    import c2pa

    return frozenset(c2pa.Reader.get_supported_mime_types()), frozenset(c2pa.Builder.get_supported_mime_types())
