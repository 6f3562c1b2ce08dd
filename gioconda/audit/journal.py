"""Rows of an audit: ``readings.jsonl`` is the truth, appended as files are done; ``journal.sqlite`` only finds rows in it.

A run killed at any moment loses at most the row being written. The index follows the journal: whatever the journal holds
beyond what the index knows is read again on the next start, as rows of an earlier run; a lost or damaged index is made anew.

A row belongs to a path (``gioconda_core.files.path_text``, which no two paths share) and is good for as long as the file, what lies beside
it and the configuration are those it was made of, and no certificate has ended since. It may be copied to another file of the
same *content*: the same bytes, the same sidecar and the same suffix, by which readers choose how to read.
"""

import contextlib
import errno
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from gioconda.report.rows import Row, error_row
from gioconda_core.documents import json_default, read
from gioconda_core.errors import ResourceError, UsageError
from gioconda_core.files import INSIDE
from gioconda_core.types import Level

_VERSION = 2  # of the index
_TABLES = f"""
CREATE TABLE rows (
  path TEXT PRIMARY KEY, content TEXT, size INTEGER, mtime_ns INTEGER, aside TEXT, config TEXT, until INTEGER,
  level TEXT, state TEXT, failed INTEGER, place INTEGER, run INTEGER
) WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;
PRAGMA user_version = {_VERSION};
"""
_BY_CONTENT = "CREATE INDEX IF NOT EXISTS content ON rows (content, config) WHERE failed = 0"
_INSERT = "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SEEN = "CREATE TEMP TABLE seen (path TEXT PRIMARY KEY) WITHOUT ROWID"
_CIRCUMSTANCES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG)
_NO_ROW = (ValueError, KeyError, TypeError, AttributeError)
_KINDS, _MOST = frozenset((str, int, float, type(None))), 1 << 63  # what SQLite takes, and below which a number lies
_GOOD = "failed = 0 AND config = ? AND (until IS NULL OR until > ?)"
_DAMAGED = "its row in readings.jsonl is damaged; run again"


def content_key(sha256: str | None, sidecar: str | None, path: str) -> str:
    """What decides a row beside the configuration: bytes, the sidecar's bytes, and the suffix, by which readers choose how to read."""
    dot = path.rfind(".")
    return f"{sha256}/{sidecar or ''}/{path[dot:].lower() if dot > path.rfind('/') else ''}"


def member_of(size: int) -> str:
    """What is kept in the row of an archive's member, beside the archive's time, to know the archive again: its size."""
    return f"in {size}"


class Journal:
    """Rows on disk, found by path and by content. One process writes; workers may read the index.

    Raises
    ------
    UsageError
        Another audit has the folder.
    ResourceError
        The disk is full, or cannot be written to; by every method.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self.index = folder / "readings.jsonl", folder / "journal.sqlite"
        self._lock = _locked(folder / "journal.lock")
        self._file: BinaryIO = open(self.path, "ab+")  # noqa: SIM115 - closed by close()
        with _disk_errors(self.index):
            self._close_torn_line()
            self._base = self._open()
            self._base.execute(_SEEN)
            self.run = _meta(self._base, "run") + 1
            _set(self._base, "run", self.run)
            self._base.commit()
        self._uncommitted, self._committed = 0, time.monotonic()

    def _open(self) -> sqlite3.Connection:
        """The index, brought up to date; made anew from the journal where it is lost, damaged, or of another version."""
        base = self._usable()
        if base is None:
            new = self.index.with_suffix(".new")
            for file in (new, *(self.index.with_name(f"{self.index.name}{end}") for end in ("", "-wal", "-shm"))):
                file.unlink(missing_ok=True)
            base = sqlite3.connect(new)  # takes its place when it is whole: until then nothing has to be safe
            for setting in ("journal_mode=OFF", "synchronous=OFF", "temp_store=FILE", "cache_size=-8000"):
                base.execute(f"PRAGMA {setting}")
            base.executescript(_TABLES)
            self._catch_up(base)
            base.close()
            os.replace(new, self.index)
            return _connected(self.index)
        self._catch_up(base)
        return base

    def _usable(self) -> sqlite3.Connection | None:
        base = None
        try:
            if self.index.is_file():
                base = _connected(self.index)
                (version,) = base.execute("PRAGMA user_version").fetchone()
                if version == _VERSION and base.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
                    return base
        except sqlite3.OperationalError as error:
            if not _index_damaged(error):
                raise
        except sqlite3.DatabaseError:
            pass
        if base is not None:
            base.close()
        return None

    def _close_torn_line(self) -> None:
        end = self._file.seek(0, os.SEEK_END)
        if end:
            self._file.seek(end - 1)
            if self._file.read(1) != b"\n":
                self._file.write(b"\n")
                self._file.flush()

    def _catch_up(self, base: sqlite3.Connection) -> None:
        """Note what the journal holds beyond what the index knows, as rows of an earlier run: whether their files are still there is not known.

        In one pass, and then in order of path, so that the tree of the index is written from left to right: a million rows in seconds.
        """
        place, end = _meta(base, "end"), self._file.seek(0, os.SEEK_END)
        if place > end:  # the journal was replaced by a shorter one
            base.execute("DELETE FROM rows")
            place = 0
        if not place:
            base.execute("DROP INDEX IF EXISTS content")  # quicker made at the end
        self._file.seek(place)
        base.execute("CREATE TEMP TABLE late AS SELECT * FROM rows WHERE 0")
        base.executemany(f"INSERT INTO late {_INSERT}", self._noted(place))
        base.execute("INSERT OR REPLACE INTO rows SELECT * FROM late ORDER BY path, place")
        base.execute("DROP TABLE late")
        base.execute(_BY_CONTENT)
        _set(base, "end", end)
        base.commit()

    def _noted(self, place: int) -> Iterator[tuple[Any, ...]]:
        from pydantic_core import from_json  # half the time of json.loads

        for line in self._file:
            with contextlib.suppress(*_NO_ROW):  # a torn line of a killed run, or bytes that somebody changed
                values = _values(from_json(line, cache_strings="keys"), place, run=0)
                if _KINDS.issuperset(map(type, values)) and all(
                    type(v) is str or -_MOST < (v or 0) < _MOST for v in values
                ):
                    yield values
            place += len(line)

    def append(self, row: Row) -> None:
        """Write a row in one piece, and remember where. What is examined in each run, an error say, is not written again."""
        with _disk_errors(self.path):
            if (row.error or row.until == 0) and self.same(row):
                return
            text = json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=json_default)
            line = text.encode() + b"\n"
            place = self._file.seek(0, os.SEEK_END)
            self._file.write(line)
            self._file.flush()
            self._base.execute(f"INSERT OR REPLACE INTO rows {_INSERT}", _values(vars(row), place, self.run))
            _set(self._base, "end", place + len(line))
        self._uncommitted += 1
        # Often enough that a copy is known soon after its original, where files take long; seldom where thousands pass a second.
        if self._uncommitted >= 200 or time.monotonic() - self._committed > 1.0:
            self.commit()

    def same(self, row: Row) -> bool:
        """Whether a path's row is this one already; then it is counted as seen in this run."""
        with _disk_errors(self.index):
            found = self._base.execute("SELECT place FROM rows WHERE path = ?", (row.path,)).fetchone()
            before = self._read(found[0], row.path) if found else None
            if before is None or replace(before, seconds=None) != replace(row, seconds=None):
                return False
            self._base.execute("UPDATE rows SET run = ? WHERE path = ?", (self.run, row.path))
        return True

    def commit(self) -> None:
        """Commit the index, so that workers see the rows that were written."""
        with _disk_errors(self.index):
            self._base.commit()
        self._uncommitted, self._committed = 0, time.monotonic()

    def first(self, path: str) -> bool:
        """Whether a path is met for the first time in this run: a tree may be named twice."""
        with _disk_errors(self.index):
            return self._base.execute("INSERT OR IGNORE INTO seen VALUES (?)", (path,)).rowcount > 0

    def done(self, path: str, size: int, mtime_ns: int, aside: str, config: str) -> bool | None:
        """Whether this very file has a row that is still good; then it is counted as seen in this run.

        None where it has one, of the same file, that only another configuration or a certificate's end has made old.
        """
        with _disk_errors(self.index):
            found = self._base.execute(
                f"SELECT {_GOOD}, failed FROM rows WHERE path = ? AND size = ? AND mtime_ns = ? AND aside = ? AND until IS NOT 0",
                (config, int(time.time()), path, size, mtime_ns, aside),
            ).fetchone()
            if found is None or found[1]:
                return False
            if not found[0]:
                return None
            self._base.execute("UPDATE rows SET run = ? WHERE path = ?", (self.run, path))
        self._uncommitted += 1
        if self._uncommitted >= 20_000:
            self.commit()
        return True

    def inside(self, path: str, size: int, mtime_ns: int, config: str) -> tuple[int, dict[str, int]] | None:
        """How many rows of members an archive has, counted as seen in this run, and why others were passed over; None unless all are there and good."""
        first, last = path + INSIDE, path + INSIDE[:-1] + chr(ord(INSIDE[-1]) + 1)
        with _disk_errors(self.index):
            (place,) = self._base.execute("SELECT place FROM rows WHERE path = ?", (path,)).fetchone()
            row = self._read(place, path)
            done = self._base.execute(
                f"UPDATE rows SET run = ? WHERE path >= ? AND path < ? AND mtime_ns = ? AND aside = ? AND {_GOOD}",
                (self.run, first, last, mtime_ns, member_of(size), config, int(time.time())),
            ).rowcount
        self._uncommitted += done
        return (done, dict(row.skipped or {})) if row is not None and done == row.members else None

    def content(self, key: str, config: str) -> Row | None:
        """The row of some file with this content, if there is one that can be read."""
        with _disk_errors(self.index):
            found = self._base.execute(
                f"SELECT place, path FROM rows WHERE content = ? AND {_GOOD} LIMIT 1", (key, config, int(time.time()))
            ).fetchone()
            return self._read(*found) if found else None

    def touch(self, path: str, key: str, size: int, mtime_ns: int, aside: str, config: str) -> bool:
        """When the file's row already is of this content, only its time is brought up to date: running again adds nothing."""
        with _disk_errors(self.index):
            done = self._base.execute(
                f"UPDATE rows SET mtime_ns = ?, aside = ?, run = ? WHERE path = ? AND content = ? AND size = ? AND {_GOOD}",
                (mtime_ns, aside, self.run, path, key, size, config, int(time.time())),
            )
        return done.rowcount > 0

    def _read(self, place: int, path: str) -> Row | None:
        """The row at a place; None where what stands there is no row of that path."""
        self._file.seek(place)
        row = _row(self._file.readline())
        return row if row is not None and row.path == path else None

    def rows(self, *, order: str = "path", limit: int | None = None) -> Iterator[Row]:
        """The latest row of every file seen in this run, by path or, with ``order='attention'``, what a person should see first.

        One that cannot be read back is an error, and its file is examined again in the next run.
        """
        self.commit()
        key = "path" if order == "path" else _ATTENTION
        query = f"SELECT place, path FROM rows WHERE run = ? ORDER BY {key}" + (f" LIMIT {limit}" if limit else "")
        lost = []
        with _disk_errors(self.index):
            for place, path in self._base.execute(query, (self.run,)):
                row = self._read(place, path)
                if row is None:
                    lost.append((str(Level.NOT_ASSESSED), path))
                    row = error_row(path, _DAMAGED)
                yield row
            self._base.executemany("UPDATE rows SET failed = 1, level = ?, state = NULL WHERE path = ?", lost)

    def close(self) -> None:
        """Commit, and let another run have the folder."""
        try:
            self.commit()
        finally:
            self._base.close()
            self._file.close()
            self._lock.close()


_ATTENTION = (
    "CASE level WHEN 'strong-signal' THEN 0 WHEN 'signal' THEN 1 ELSE 4 END, "
    "CASE state WHEN 'invalid' THEN 0 ELSE 1 END, failed DESC, path"
)


def rows_of(folder: Path) -> Iterator[Row]:
    """The rows of a folder's last audit, by path: the same set as its tables."""
    path, index = folder / "readings.jsonl", folder / "journal.sqlite"
    if not path.is_file() or not index.is_file():
        raise UsageError("holds no audit", where=str(folder), hint="give the --out of one, or one of its shards")
    with _disk_errors(index), open(path, "rb") as file:
        base = sqlite3.connect(f"{index.absolute().as_uri()}?mode=ro", uri=True)
        try:
            query = "SELECT place FROM rows WHERE run = (SELECT value FROM meta WHERE key = 'run') ORDER BY path"
            for (place,) in base.execute(query):
                file.seek(place)
                # else its file is an error, and examined again by the next audit
                if (row := _row(file.readline())) is not None:
                    yield row
        finally:
            base.close()


def _row(line: bytes) -> Row | None:
    try:
        body = json.loads(line)
        return read(Row, body) if "level" in body and "error" in body else None
    except _NO_ROW:
        return None


def _values(row: Mapping[str, Any], place: int, run: int) -> tuple[Any, ...]:
    """The values of a row that the index keeps, in the order of its columns."""
    path = row["path"]
    return (
        path, content_key(row["sha256"], row.get("sidecar"), path), row["size"], row.get("mtime_ns"), row.get("aside"), row.get("config"),
        row.get("until"), row["level"], row["state"], int(bool(row["error"])), place, run,
    )  # fmt: skip


def _meta(base: sqlite3.Connection, key: str) -> int:
    found = base.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return int(found[0]) if found else 0


def _set(base: sqlite3.Connection, key: str, value: int) -> None:
    base.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def _connected(index: Path) -> sqlite3.Connection:
    base = sqlite3.connect(index)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA synchronous=NORMAL")
    base.execute("PRAGMA temp_store=FILE")
    return base


@contextlib.contextmanager
def _disk_errors(where: Path) -> Iterator[None]:
    """Raise what SQLite and the disk report as one ResourceError that names the journal's file."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        what, hint = "cannot be written to", "check the folder"
        if _code(error) == sqlite3.SQLITE_FULL:
            what, hint = "the disk is full", "make room and run again"
        elif _index_damaged(error):
            what, hint = "is damaged", "run again: it is made anew"
        raise ResourceError(what, str(where), f"{hint}; nothing that was done is lost") from error
    except OSError as error:
        if error.errno not in _CIRCUMSTANCES:
            raise
        hint = "make room and run again; nothing that was done is lost"
        raise ResourceError(os.strerror(error.errno).lower(), str(where), hint) from error


def _index_damaged(error: sqlite3.DatabaseError) -> bool:
    """Whether what the file holds is to blame: damage, or tables that are not ours (of which SQLite says no more than "error")."""
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


def _code(error: sqlite3.DatabaseError) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what the extended codes add


def _locked(path: Path) -> BinaryIO:
    file = open(path, "ab+")  # noqa: SIM115 - held while the journal is open
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise UsageError(
            "another audit is writing here", where=str(path.parent), hint="give --out another folder, or wait for it"
        ) from error
    return file


class KnownContent:
    """Tells a worker whether a content has been examined before under this configuration; False where the index cannot be reached."""

    def __init__(self, index: str | None, config: str) -> None:
        self.config, self._base = config, None
        if index and os.path.exists(index):
            try:
                self._base = sqlite3.connect(f"{Path(index).absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)
            except sqlite3.Error:
                self._base = None

    def __call__(self, key: str) -> bool:
        if self._base is None:
            return False
        try:
            query = f"SELECT 1 FROM rows WHERE content = ? AND {_GOOD} LIMIT 1"
            return self._base.execute(query, (key, self.config, int(time.time()))).fetchone() is not None
        except sqlite3.Error:
            return False
