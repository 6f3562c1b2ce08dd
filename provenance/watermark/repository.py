"""Keep credentials in an archive, one SQLite file, that finds a stripped one again: by its mark or by how the picture looks.

A credential found this way describes the file it was made for. Against a copy whose bytes differ it cannot validate; what it
says is history, and the reader is told so. A mark names one file; a fingerprint only resembles, and how closely is said.
"""

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gioconda_core import config
from gioconda_core.errors import CredentialError
from gioconda_core.files import sha256_of
from gioconda_core.media import fingerprint
from gioconda_core.media.clip import Clip
from gioconda_core.types import Frames
from provenance.reading import rules
from provenance.reading.open import Opened, opened
from provenance.sanitise import table, tables
from provenance.vocabulary import SOFT_BINDING, SoftBinding
from provenance.watermark import mark

FINGERPRINT = "org.gioconda.phash.1"  # 64-bit DCT hashes of three frames (of a picture, one), one after another
ALGORITHMS = (mark.ALGORITHM, FINGERPRINT)
HASH = 8  # bytes of one of them
CLOSE = 8.0  # bits of 64 that may differ, on average, between two of one picture; see docs/performance.md
MOST = 10  # matches given


@dataclass(frozen=True)
class Binding:
    """What a file is looked up by. value : the mark's eight bytes, or those of a fingerprint."""

    algorithm: str
    value: bytes


@dataclass(frozen=True)
class Match:
    """A remembered credential that a binding leads to. similarity : of the pictures, 0 to 1; None where a mark names it."""

    manifest_id: str
    similarity: float | None = None


@dataclass(frozen=True)
class Found:
    """A remembered credential. manifest : the store's bytes, as a .c2pa sidecar holds them; made : ISO date of remembering."""

    manifest_id: str
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
        connection.executescript(
            "CREATE TABLE IF NOT EXISTS stores (manifest_id TEXT PRIMARY KEY, manifest BLOB NOT NULL, file_sha256 TEXT NOT NULL,"
            " title TEXT NOT NULL, made TEXT NOT NULL DEFAULT CURRENT_DATE);"
            "CREATE TABLE IF NOT EXISTS bindings (algorithm TEXT NOT NULL, value BLOB NOT NULL, manifest_id TEXT NOT NULL,"
            " PRIMARY KEY (algorithm, value, manifest_id)) WITHOUT ROWID;"
        )
        with connection:
            yield connection
    except sqlite3.DatabaseError as error:
        raise CredentialError(
            "the archive of credentials cannot be used: it is damaged, locked or no archive",
            where=str(path),
            hint="move it away; a new one is made",
        ) from error
    finally:
        connection.close()


def marker(frames: Frames) -> tuple[Frames, SoftBinding]:
    """Mark frames with 64 bits of their own hash, so that the same frames always carry the same mark (replay is exact).

    frames : uint8 (T, H, W, 3). This is what ``provenance.signing.sign.write(..., marker=marker)`` takes.
    """
    payload, binding = _payload(frame.tobytes() for frame in frames)
    return mark.embed(frames, payload), binding


Pictures = Iterable[NDArray[np.uint8]]


def marker_of(*material: bytes) -> Callable[[Pictures], tuple[Iterator[NDArray[np.uint8]], SoftBinding]]:
    """A marker for frames that come one by one: its 64 bits are of what they are made from, so that replay is exact here too."""
    payload, binding = _payload(hashlib.sha256(part).digest() for part in material)
    return lambda frames: (mark.stream(frames, payload), binding)


def _payload(parts: Iterable[bytes]) -> tuple[int, SoftBinding]:
    """64 bits of a hash over some bytes, and the binding that names them."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    payload = int.from_bytes(digest.digest()[:8], "big")
    return payload, SoftBinding(mark.ALGORITHM, f"{payload:016x}", "invisible mark, 64 bits")


def fingerprint_of(frames: Frames) -> Binding | None:
    """The fingerprint of a clip's three sampled frames, or of a picture; None where they show nothing (a flat picture).

    frames : uint8 (T, H, W, 3).
    """
    hashes = fingerprint.perceptual(frames)
    return Binding(FINGERPRINT, bytes.fromhex(hashes.replace(";", ""))) if hashes else None


def bindings_of(path: str | os.PathLike[str]) -> list[Binding]:
    """What a file can be looked up by, the surest first: its mark, where one is read, and its fingerprint.

    Raises
    ------
    MediaError
        It cannot be decoded.
    """
    with Clip.open(path, sandbox=True) as clip:
        frames, _ = clip.sample("even:32")
        few, _ = clip.sample(f"even:{fingerprint.PERCEPTUAL_FRAMES}")
    value = mark.read(frames, crops=True).value
    seen = fingerprint_of(few)
    return [*([Binding(mark.ALGORITHM, bytes.fromhex(value))] if value else []), *([seen] if seen else [])]


def remember(path: str | os.PathLike[str], looks: Binding | None = None) -> str | None:
    """Store a signed file's credential under the mark that it names and under its fingerprint; the manifest's id, or None without one.

    looks : its fingerprint; None = no picture of it is looked at, and the mark alone leads to it.
    """
    with opened(path) as found:
        if not isinstance(found, Opened) or not found.store:
            return None
        title = str(found.active.get("title") or Path(path).name)
        label, store, bindings = found.label, found.store, named_in(found)
    bindings += [looks] if looks else []
    if not bindings:
        return None
    with _database() as database:
        database.execute(
            "INSERT OR REPLACE INTO stores (manifest_id, manifest, file_sha256, title) VALUES (?, ?, ?, ?)",
            (label, store, sha256_of(path), title),
        )
        database.executemany(
            "INSERT OR IGNORE INTO bindings VALUES (?, ?, ?)", [(b.algorithm, b.value, label) for b in bindings]
        )
    return label


def named_in(found: Opened) -> list[Binding]:
    """The marks of ours that a credential names."""
    named = []
    for assertion in rules.assertions_of(found.active, SOFT_BINDING):
        data = table(assertion.get("data"))
        for block in tables(data.get("blocks")) if data.get("alg") == mark.ALGORITHM else ():
            with contextlib.suppress(ValueError):
                named.append(Binding(mark.ALGORITHM, bytes.fromhex(str(block.get("value")))))
    return named


def matches(binding: Binding, most: int = MOST) -> list[Match]:
    """The remembered credentials that a binding leads to, the closest first."""
    with _database() as database:
        if binding.algorithm == FINGERPRINT:
            rows = database.execute(
                "SELECT value, manifest_id FROM bindings WHERE algorithm = ? AND length(value) = ?",
                (FINGERPRINT, len(binding.value)),
            ).fetchall()
            return _closest(binding.value, rows)[:most]
        rows = database.execute(
            "SELECT manifest_id FROM bindings WHERE algorithm = ? AND value = ? LIMIT ?",
            (binding.algorithm, binding.value, most),
        ).fetchall()
    return [Match(row[0]) for row in rows]


def _closest(value: bytes, rows: list[tuple[bytes, str]]) -> list[Match]:
    if not rows or not value or len(value) % HASH:
        return []
    known = np.frombuffer(b"".join(row[0] for row in rows), np.uint8).reshape(len(rows), len(value))
    differing = np.bitwise_count(known ^ np.frombuffer(value, np.uint8)).sum(1) / (len(value) // HASH)
    order = [int(i) for i in np.argsort(differing, kind="stable") if differing[i] <= CLOSE]
    return [Match(rows[i][1], round(1 - float(differing[i]) / (8 * HASH), 4)) for i in order]


def recover(manifest_id: str) -> Found | None:
    """A remembered credential by its manifest's id."""
    with _database() as database:
        row = database.execute(
            "SELECT manifest_id, manifest, file_sha256, title, made FROM stores WHERE manifest_id = ?", (manifest_id,)
        ).fetchone()
    return Found(*row) if row else None
