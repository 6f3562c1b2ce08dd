"""Finds the files of a tree, one at a time: no list in memory, no link out of the tree, no pipe that would block.

Unless asked otherwise (``links``), links to folders are not followed, and a link to a file counts only when it leads to a regular file
inside the root it was found under; others are passed over and counted. Where all are followed no folder is entered twice, so that there
are no loops. Files named one by one are taken at their word.
Not covered: a file exchanged for a link between being found and being read.
"""

import functools
import hashlib
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pathspec

from gioconda_core.errors import UsageError
from gioconda_core.media.suffixes import is_archive_name, is_media_name
from gioconda_core.reasons import PassedOver
from provenance.reading.open import sidecar_of


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


LINKS = ("inside", "never", "all")


@dataclass(frozen=True)
class Filter:
    """Which files of a tree count.

    exclude, include : patterns as in ``.gitignore``, of paths below the root; with ``include`` only files that match. max_size : bytes.
    one_file_system : folders on other file systems are not entered. links : ``inside`` (to files inside the root), ``never``, or ``all``.
    """

    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    max_size: int | None = None
    one_file_system: bool = False
    links: str = "inside"

    def __post_init__(self) -> None:
        for where, patterns in (("--exclude", self.exclude), ("--include", self.include)):
            try:
                pathspec.PathSpec.from_lines("gitignore", patterns)
            except ValueError as error:
                raise UsageError(f"is no pattern: {error}", where=where, hint="as in .gitignore") from error

    @functools.cached_property
    def excluded(self) -> pathspec.PathSpec[Any]:
        return pathspec.PathSpec.from_lines("gitignore", self.exclude)

    @functools.cached_property
    def included(self) -> pathspec.PathSpec[Any]:
        return pathspec.PathSpec.from_lines("gitignore", self.include)


@dataclass
class Walk:
    """Files under ``roots``, and how many were passed over and why (``skipped``)."""

    roots: tuple[str, ...]
    every: bool = False  # every file, whatever its name
    exclude: tuple[str, ...] = ()  # folders left out, resolved
    shard: tuple[int, int] = (1, 1)
    filter: Filter = field(default_factory=Filter)
    archives: bool = False  # ZIP and tar archives too
    skipped: dict[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Found]:
        for root in self.roots:
            if os.path.isdir(root):
                yield from self._tree(root)
            elif self._ours(root) and (found := self._one(root)):
                yield found

    def skip(self, why: PassedOver) -> None:
        """Count what is passed over."""
        self.skipped[why] = self.skipped.get(why, 0) + 1  # asked for files of this shard only, so that shards add up

    @property
    def wanted(self) -> dict[str, Any]:
        """The options by which names are judged, as plain values that can be sent to a worker."""
        chosen = {"exclude": self.filter.exclude, "include": self.filter.include, "max_size": self.filter.max_size}
        return {"every": self.every} | chosen

    @classmethod
    def of(cls, wanted: Mapping[str, Any]) -> "Walk":
        """A walk without roots that judges names by what :attr:`wanted` gave."""
        chosen = Filter(tuple(wanted["exclude"]), tuple(wanted["include"]), wanted["max_size"])
        return cls((), wanted["every"], filter=chosen)

    def passed_over(self, below: str) -> PassedOver | None:
        """Why a file is passed over for its name, if it is. An archive is looked into for what it may hold."""
        archive = self.archives and is_archive_name(below)
        if not self.every and not archive and not is_media_name(below, hidden=True):
            return PassedOver.NOT_MEDIA
        if self.filter.excluded.match_file(below):
            return PassedOver.EXCLUDED
        if self.filter.include and not archive and not self.filter.included.match_file(below):
            return PassedOver.NOT_INCLUDED
        return None

    def _ours(self, key: str) -> bool:
        i, n = self.shard
        return n == 1 or shard_of(key, n) == i

    def _tree(self, root: str) -> Iterator[Found]:
        inside = os.path.realpath(root)
        status = os.stat(root)
        device = status.st_dev if self.filter.one_file_system else None
        entered = {(status.st_dev, status.st_ino)}  # looked at where links to folders are followed
        stack = [root]
        while stack:
            folder = stack.pop()
            try:
                entries = os.scandir(folder)
            except OSError:
                if self._ours(os.path.relpath(folder, root)):
                    self.skip(PassedOver.FOLDER_UNREADABLE)
                continue
            with entries:
                for entry in entries:
                    below = os.path.relpath(entry.path, root)
                    linked = self.filter.links == "all" and entry.is_symlink() and os.path.isdir(entry.path)
                    if linked or entry.is_dir(follow_symlinks=False):
                        if self._entered(entry, below, device, entered):
                            stack.append(entry.path)
                    elif not self._ours(below):
                        continue
                    elif why := self.passed_over(below):
                        # What --all would not take either is told as what it is.
                        odd = why == PassedOver.NOT_MEDIA and (entry.is_symlink() or not entry.is_file())
                        if not odd or self._entry(entry, inside):
                            self.skip(why)
                    elif found := self._entry(entry, inside):
                        yield found

    def _entered(self, entry: os.DirEntry[str], below: str, device: int | None, entered: set[tuple[int, int]]) -> bool:
        if os.path.realpath(entry.path) in self.exclude:
            return False
        why = None
        if self.filter.excluded.match_file(below + "/"):
            why = PassedOver.FOLDER_EXCLUDED
        elif device is not None or self.filter.links == "all":
            try:
                status = entry.stat()
            except OSError:
                why = PassedOver.FOLDER_UNREADABLE
            else:
                key = (status.st_dev, status.st_ino)
                if device is not None and status.st_dev != device:
                    why = PassedOver.FOLDER_ELSEWHERE
                elif self.filter.links == "all" and key in entered:
                    why = PassedOver.FOLDER_ENTERED
                entered.add(key)
        if why and self._ours(below):
            self.skip(why)
        return why is None

    def _entry(self, entry: os.DirEntry[str], inside: str) -> Found | None:
        try:
            if entry.is_symlink() and self.filter.links != "all":
                if self.filter.links == "never":
                    self.skip(PassedOver.LINK)
                    return None
                target = os.path.realpath(entry.path)
                if os.path.commonpath([target, inside]) != inside:
                    self.skip(PassedOver.LINK_OUT)
                    return None
                if os.path.isdir(target):
                    self.skip(PassedOver.LINK_TO_FOLDER)
                    return None
            status = entry.stat()
        except (OSError, ValueError):
            self.skip(PassedOver.LINK_NOWHERE if entry.is_symlink() else PassedOver.FILE_UNREADABLE)
            return None
        return self._file(entry.path, status)

    def _file(self, path: str, status: os.stat_result) -> Found | None:
        """What was found, where it is a file and not too large."""
        most = self.filter.max_size
        if not stat.S_ISREG(status.st_mode):
            self.skip(PassedOver.NOT_REGULAR)
        elif most is not None and status.st_size > most:
            self.skip(PassedOver.TOO_LARGE)
        else:
            return Found(path, status.st_size, status.st_mtime_ns, aside_of(path))
        return None

    def _one(self, path: str) -> Found | None:
        try:
            return self._file(path, os.stat(path))
        except (OSError, ValueError):
            return Found(path, -1, 0)  # a row will say that it is not there


def aside_of(path: str) -> str:
    """What a sidecar is known again by: which of the two names it has, its size and its time."""
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
    digest = hashlib.sha256(key.replace(os.sep, "/").encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % n + 1


def read_list(source: str) -> list[str]:
    """Paths from a file or ``-``, one a line, or separated by NUL where there is one."""
    try:
        raw = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=source) from error
    names = raw.rstrip(b"\r\n").split(b"\0" if b"\0" in raw else b"\n")
    return [os.fsdecode(name.rstrip(b"\r")) for name in names if name.strip()]
