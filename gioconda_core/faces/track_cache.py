"""Tracks kept under the user's cache folder, by content and settings: whole or not there, never unpickled, bounded in size.

A damaged or foreign entry is no entry: it is worked out again and written anew. ``GIOCONDA_CACHE`` moves the folder;
``GIOCONDA_CACHE_MB`` bounds it (512 by default, 0 = keep nothing), the entries longest unused going first.
"""

import contextlib
import itertools
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gioconda_core import config
from gioconda_core.errors import UsageError
from gioconda_core.files import atomic_path, sha256_of
from gioconda_core.types import FaceTrack

_SCHEMA = "gioconda.tracks/1"
_ARRAYS = ("times", "boxes", "landmarks", "quality")
_stores = itertools.count()


def _folder() -> Path:
    return config.core().cache / "tracks"


def bound(variable: str, default: int) -> int:
    """Bytes that a cache may take: as a variable of the environment says in megabytes, else ``default`` megabytes."""
    try:
        return int(float(os.environ.get(variable, default)) * 1e6)
    except ValueError:
        return default * 1_000_000


def _path(key: Mapping[str, Any]) -> Path:
    name = sha256_of(json.dumps(dict(key), sort_keys=True, allow_nan=False).encode())
    clip = str(key.get("clip") or name)
    return _folder() / clip[:2] / f"{clip[:32]}-{name[:32]}.npz"


def known(clip: str) -> bool:
    """Whether any tracks of a clip are kept. clip : its sha256."""
    with contextlib.suppress(OSError):
        return any(name.startswith(f"{clip[:32]}-") for name in os.listdir(_folder() / clip[:2]))
    return False


def load(key: Mapping[str, Any]) -> tuple[FaceTrack, ...] | None:
    """The tracks stored under a key, or None. Whatever is wrong with the file, the answer is None."""
    path = _path(key)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
        head = json.loads(bytes(arrays.pop("head")).decode())
        if head["schema"] != _SCHEMA or head["key"] != json.loads(json.dumps(dict(key))):
            return None
        if not all(np.isfinite(array).all() for array in arrays.values()):
            return None
        tracks = tuple(unpacked(arrays, number, number, names) for number, names in enumerate(head["measures"]))
        os.utime(path)  # used now: the last to be trimmed
    except Exception:  # a damaged archive makes numpy, zipfile and zlib raise nearly anything
        return None
    return tracks


def packed(tracks: Iterable[FaceTrack]) -> dict[str, Any]:
    """The arrays of some tracks by name, the number of the track before it."""
    arrays: dict[str, Any] = {}
    for number, track in enumerate(tracks):
        arrays |= {f"{number}.{name}": getattr(track, name) for name in _ARRAYS}
        arrays |= {f"{number}.measure.{name}": np.asarray(values) for name, values in track.measures.items()}
    return arrays


def unpacked(arrays: Mapping[str, Any], number: int, id: int, measures: Iterable[str]) -> FaceTrack:
    """One track of those that were :func:`packed`."""
    own = {name: arrays[f"{number}.{name}"] for name in _ARRAYS}
    return FaceTrack(id, **own, measures={name: arrays[f"{number}.measure.{name}"] for name in measures})


def store(key: Mapping[str, Any], tracks: tuple[FaceTrack, ...]) -> None:
    """Keep tracks under a key. A cache that cannot be written (read-only home, full disk) is no reason to fail."""
    most = bound("GIOCONDA_CACHE_MB", 512)
    if most <= 0:
        return
    head = {"schema": _SCHEMA, "key": dict(key), "measures": [list(track.measures) for track in tracks]}
    arrays = {"head": np.frombuffer(json.dumps(head).encode(), np.uint8), **packed(tracks)}
    with contextlib.suppress(OSError, UsageError):
        with atomic_path(_path(key)) as path, open(path, "wb") as file:
            np.savez(file, **arrays)  # packed it takes a fifth less and six times as long
        # Looking through the folder costs more than writing to it: once at first, then now and then.
        if next(_stores) % 64 == 0:
            trim(_folder(), most)


def trim(within: Path, most: int) -> int:
    """Remove the files of ``within/??/`` longest unused until the rest takes at most so many bytes; returns how many went."""
    entries = []
    for path in within.glob("??/*"):
        with contextlib.suppress(OSError):
            facts = path.stat()
            entries.append((facts.st_mtime, facts.st_size, path))
    total, removed = sum(size for _, size, _ in entries), 0
    for _, size, path in sorted(entries):
        if total <= most:
            break
        with contextlib.suppress(OSError):
            path.unlink()
            removed += 1
        total -= size
    return removed
