"""A local repository that finds a stripped credential again: mark in the pixels → manifest store, in one SQLite file.

A credential found this way describes the file it was made for. Against a copy whose bytes differ it cannot validate; what it
says is history, and the reader is told so.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gioconda_core import config
from gioconda_core.errors import CredentialError
from gioconda_core.files import sha256_of
from gioconda_core.types import Frames
from provenance.reading.open import Opened, opened
from provenance.vocabulary import SoftBinding
from provenance.watermark import mark


@dataclass(frozen=True)
class Found:
    """A remembered credential. manifest : the store's bytes, as a .c2pa sidecar holds them; made : ISO date of signing here."""

    value: str
    manifest: bytes
    file_sha256: str
    title: str
    made: str


@contextlib.contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    path = config.home() / "manifests.sqlite"
    connection = sqlite3.connect(path, timeout=30)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS manifests (value TEXT PRIMARY KEY, manifest BLOB NOT NULL, file_sha256 TEXT NOT NULL,"
            " title TEXT NOT NULL, made TEXT NOT NULL DEFAULT CURRENT_DATE)"
        )
        with connection:
            yield connection
    except sqlite3.DatabaseError as error:
        raise CredentialError(f"the repository of marks cannot be used: {error}", where=str(path)) from error
    finally:
        connection.close()


def marker(frames: Frames) -> tuple[Frames, SoftBinding]:
    """Mark frames with 64 bits of their own hash, so that the same frames always carry the same mark (replay is exact).

    frames : uint8 (T, H, W, 3). This is what ``provenance.signing.sign.write(..., marker=marker)`` takes.
    """
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(frame.tobytes())
    payload = int.from_bytes(digest.digest()[:8], "big")
    return mark.embed(frames, payload), SoftBinding(mark.ALGORITHM, f"{payload:016x}", "invisible mark, 64 bits")


def remember(path: str | os.PathLike[str]) -> str | None:
    """Store a signed file's credential under the mark it names; the mark's value, or None where it names none of ours."""
    with opened(path) as found:
        if not isinstance(found, Opened) or not found.store:
            return None
        values = [
            str(block.get("value"))
            for assertion in found.active.get("assertions", [])
            if str(assertion.get("label", "")).startswith("c2pa.soft-binding")
            and assertion.get("data", {}).get("alg") == mark.ALGORITHM
            for block in assertion["data"].get("blocks", [])
        ]
        title = str(found.active.get("title") or Path(path).name)
        store = found.store
    if not values:
        return None
    with _database() as database:
        database.execute(
            "INSERT OR REPLACE INTO manifests (value, manifest, file_sha256, title) VALUES (?, ?, ?, ?)",
            (values[0], store, sha256_of(path), title),
        )
    return values[0]


def recover(value: str) -> Found | None:
    """The credential remembered under a mark's value (16 hex digits), or None."""
    with _database() as database:
        row = database.execute(
            "SELECT value, manifest, file_sha256, title, made FROM manifests WHERE value = ?", (value,)
        ).fetchone()
    return Found(*row) if row else None
