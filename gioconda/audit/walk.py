"""Files of a tree, one at a time: no list in memory, no link out of the tree, no pipe that would block.

Links to folders are never followed, so there are no loops. A link to a file counts only when it leads to a regular file inside
the root it was found under; others are passed over and counted. Files named one by one are taken at their word.
Not covered: a file exchanged for a link between being found and being read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gioconda_core.errors import UsageError
from gioconda_core.media.suffixes import is_media_name
from provenance.reading.open import sidecar_of

__all__ = ["Found", "Walk", "read_list"]


@dataclass(frozen=True)
class Found:
    """A file to examine.

    path : as the system knows it (may hold bytes that are no text); size, mtime_ns : of its status; aside : of its sidecar's status,
    empty where it has none.
    """

    path: str
    size: int
    mtime_ns: int
    aside: str = ""


@dataclass
class Walk:
    """Files under ``roots``, and how many were passed over and why (``skipped``)."""

    roots: tuple[str, ...]
    every: bool = False  # every file, whatever its name
    exclude: tuple[str, ...] = ()  # folders left out, resolved
    shard: tuple[int, int] = (1, 1)
    skipped: dict[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Found]:
        for root in self.roots:
            if os.path.isdir(root):
                yield from self._tree(root)
            else:
                yield from self._one(root)

    def _skip(self, why: str) -> None:
        self.skipped[why] = self.skipped.get(why, 0) + 1  # asked for files of this shard only, so that shards add up

    def _ours(self, key: str) -> bool:
        i, n = self.shard
        return n == 1 or shard_of(key, n) == i

    def _tree(self, root: str) -> Iterator[Found]:
        inside = os.path.realpath(root)
        stack = [root]
        while stack:
            folder = stack.pop()
            try:
                entries = os.scandir(folder)
            except OSError:
                if self._ours(os.path.relpath(folder, root)):
                    self._skip("folder that may not be read")
                continue
            with entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if os.path.realpath(entry.path) not in self.exclude:
                            stack.append(entry.path)
                    elif not self._ours(os.path.relpath(entry.path, root)):
                        continue
                    elif self.every or is_media_name(entry.name, hidden=True):
                        if found := self._entry(entry, inside):
                            yield found
                    else:
                        self._skip("no name of a clip or picture (--all takes it)")

    def _entry(self, entry: os.DirEntry[str], inside: str) -> Found | None:
        try:
            if entry.is_symlink():
                target = os.path.realpath(entry.path)
                if os.path.commonpath([target, inside]) != inside:
                    self._skip("link that leads out of the tree")
                    return None
                if os.path.isdir(target):
                    self._skip("link to a folder")
                    return None
            status = entry.stat()
        except (OSError, ValueError):
            self._skip("link that leads nowhere" if entry.is_symlink() else "file that may not be looked at")
            return None
        if not stat.S_ISREG(status.st_mode):
            self._skip("not a regular file")
            return None
        return Found(entry.path, status.st_size, status.st_mtime_ns, _aside(entry.path))

    def _one(self, path: str) -> Iterator[Found]:
        if not self._ours(path):
            return
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            yield Found(path, -1, 0)  # a row will say that it is not there
            return
        if stat.S_ISREG(status.st_mode):
            yield Found(path, status.st_size, status.st_mtime_ns, _aside(path))
        else:
            self._skip("not a regular file")


def _aside(path: str) -> str:
    """What a resumed audit knows a sidecar by: which of the two names it has, its size and its time."""
    found = sidecar_of(path)
    if found is None:
        return ""
    try:
        status = os.stat(found)
    except OSError:
        return ""
    return f"{'file' if len(str(found)) > len(path) else 'stem'} {status.st_size} {status.st_mtime_ns}"


def shard_of(key: str, n: int) -> int:
    """Which of ``n`` shards (1…n) a path belongs to; the same on every machine."""
    import hashlib

    digest = hashlib.sha256(key.replace(os.sep, "/").encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % n + 1


def read_list(source: str) -> Iterable[str]:
    """Paths from a file or ``-``, one a line, or separated by NUL where there is one in the first piece."""
    import sys

    stream = sys.stdin.buffer if source == "-" else None
    try:
        file = stream or open(source, "rb")  # noqa: SIM115 - closed below; stdin is not ours to close
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=source) from error
    separator, rest = None, b""
    try:
        while piece := file.read(1 << 16):
            separator = separator or (b"\0" if b"\0" in piece else b"\n")
            *whole, rest = (rest + piece).split(separator)
            yield from (os.fsdecode(name.rstrip(b"\r")) for name in whole if name.strip())
        if rest.strip():
            yield os.fsdecode(rest.rstrip(b"\r\n"))
    finally:
        if stream is None:
            file.close()
