"""Rows of an audit: ``readings.jsonl`` is the truth, appended as files are done; ``journal.sqlite`` only finds rows in it.

A run killed at any moment loses at most the row being written. The index follows the journal: whatever the journal holds
beyond what the index knows is read again on the next start, and a lost index is made anew.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from gioconda_core.errors import UsageError

__all__ = ["Journal", "known_content"]

_TABLES = """
CREATE TABLE IF NOT EXISTS rows (
  path TEXT PRIMARY KEY, sha256 TEXT, size INTEGER, mtime_ns INTEGER, config TEXT,
  level TEXT, state TEXT, failed INTEGER, place INTEGER, run INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS content ON rows (sha256, config) WHERE failed = 0;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;
"""


class Journal:
    """Rows on disk, found by path and by content. One process writes; workers may read the index."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self.index = folder / "readings.jsonl", folder / "journal.sqlite"
        self._lock = _locked(folder / "journal.lock")
        self._file: BinaryIO = open(self.path, "ab+")  # noqa: SIM115 - closed by close()
        self._base = self._open()
        self._close_torn_line()
        self.run = self._meta("run") + 1
        self._set("run", self.run)
        self._catch_up()
        self._uncommitted, self._committed = 0, time.monotonic()

    def _open(self) -> sqlite3.Connection:
        try:
            base = sqlite3.connect(self.index)
            base.execute("PRAGMA journal_mode=WAL")
            base.execute("PRAGMA synchronous=NORMAL")
            base.executescript(_TABLES)
            return base
        except sqlite3.DatabaseError:  # damaged: the journal makes it anew
            self.index.unlink()
            base = sqlite3.connect(self.index)
            base.executescript(_TABLES)
            return base

    def _meta(self, key: str) -> int:
        found = self._base.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return int(found[0]) if found else 0

    def _set(self, key: str, value: int) -> None:
        self._base.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def _close_torn_line(self) -> None:
        end = self._file.seek(0, os.SEEK_END)
        if end:
            self._file.seek(end - 1)
            if self._file.read(1) != b"\n":
                self._file.write(b"\n")
                self._file.flush()

    def _catch_up(self) -> None:
        place = self._meta("end")
        if place > self._file.seek(0, os.SEEK_END):  # the journal was replaced by a shorter one
            self._base.execute("DELETE FROM rows")
            place = 0
        self._file.seek(place)
        for line in self._file:
            try:
                row = json.loads(line)
                self._note(row, place)
            except (ValueError, KeyError, TypeError):
                pass  # a torn line of a killed run
            place += len(line)
        self._set("end", place)
        self._base.commit()

    def _note(self, row: Mapping[str, Any], place: int) -> None:
        self._base.execute(
            "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row["path"],
                row["sha256"],
                row["size"],
                row.get("mtime_ns"),
                row.get("config"),
                row["level"],
                row["state"],
                int(bool(row["error"])),
                place,
                self.run,
            ),
        )

    def append(self, row: Mapping[str, Any]) -> None:
        """Write a row in one piece, and remember where. An error that was met before is not written again."""
        if row["error"] and self._repeated(row):
            return
        line = json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        place = self._file.seek(0, os.SEEK_END)
        self._file.write(line)
        self._file.flush()
        self._note(row, place)
        self._set("end", place + len(line))
        self._uncommitted += 1
        # Often enough that a copy is known soon after its original, where files take long; seldom where thousands pass a second.
        if self._uncommitted >= 200 or time.monotonic() - self._committed > 1.0:
            self.commit()

    def _repeated(self, row: Mapping[str, Any]) -> bool:
        found = self._base.execute("SELECT place FROM rows WHERE path = ?", (row["path"],)).fetchone()
        if found is None or self._read(found[0]) | {"seconds": None} != dict(row) | {"seconds": None}:
            return False
        self._base.execute("UPDATE rows SET run = ? WHERE path = ?", (self.run, row["path"]))
        return True

    def commit(self) -> None:
        """Let others see what was noted."""
        self._base.commit()
        self._uncommitted, self._committed = 0, time.monotonic()

    def done(self, path: str, size: int, mtime_ns: int, config: str) -> bool:
        """Whether this very file has a row under this configuration; then it is counted as seen in this run."""
        found = self._base.execute(
            "SELECT 1 FROM rows WHERE path = ? AND size = ? AND mtime_ns = ? AND config = ? AND failed = 0",
            (path, size, mtime_ns, config),
        ).fetchone()
        if found:
            self._base.execute("UPDATE rows SET run = ? WHERE path = ?", (self.run, path))
        return found is not None

    def content(self, sha256: str, config: str) -> dict[str, Any] | None:
        """The row of some file with this content, if there is one."""
        found = self._base.execute(
            "SELECT place FROM rows WHERE sha256 = ? AND config = ? AND failed = 0 LIMIT 1", (sha256, config)
        ).fetchone()
        return self._read(found[0]) if found else None

    def touch(self, path: str, sha256: str, size: int, mtime_ns: int, config: str) -> bool:
        """When the file's row already is of this content, only its time is brought up to date: running again adds nothing."""
        done = self._base.execute(
            "UPDATE rows SET mtime_ns = ?, run = ? WHERE path = ? AND sha256 = ? AND size = ? AND config = ? AND failed = 0",
            (mtime_ns, self.run, path, sha256, size, config),
        )
        return done.rowcount > 0

    def _read(self, place: int) -> dict[str, Any]:
        self._file.seek(place)
        row: dict[str, Any] = json.loads(self._file.readline())
        return row

    def rows(self, *, order: str = "path", limit: int | None = None) -> Iterator[dict[str, Any]]:
        """The latest row of every file seen in this run, by path or, with ``order='attention'``, what a person should see first."""
        self.commit()
        key = "path" if order == "path" else _ATTENTION
        query = f"SELECT place FROM rows WHERE run = ? ORDER BY {key}" + (f" LIMIT {limit}" if limit else "")
        for (place,) in self._base.execute(query, (self.run,)):
            yield self._read(place)

    def counts(self) -> dict[str, dict[str, int]]:
        """How many files of this run have each level and each credential state, and how many failed."""
        self.commit()
        found = {}
        for column in ("level", "state"):
            query = f"SELECT {column}, COUNT(*) FROM rows WHERE run = ? GROUP BY {column}"
            found[column] = {str(k or "not-read"): n for k, n in self._base.execute(query, (self.run,))}
        (failed,) = self._base.execute("SELECT COUNT(*) FROM rows WHERE run = ? AND failed", (self.run,)).fetchone()
        return found | {"failed": {"rows": failed}}

    def close(self) -> None:
        """Commit, and let another run have the folder."""
        self.commit()
        self._base.close()
        self._file.close()
        self._lock.close()


_ATTENTION = (
    "CASE level WHEN 'strong-signal' THEN 0 WHEN 'signal' THEN 1 ELSE 4 END, "
    "CASE state WHEN 'invalid' THEN 0 ELSE 1 END, failed DESC, path"
)


def _locked(path: Path) -> BinaryIO:
    file = open(path, "ab+")  # noqa: SIM115 - held while the journal is open
    try:
        import fcntl
    except ImportError:  # Windows: two runs in one folder are the user's to avoid
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise UsageError(
            "another audit is writing here", where=str(path.parent), hint="give --out another folder"
        ) from error
    return file


class known_content:
    """Asked by workers: has this content been examined before under this configuration? False where the index is out of reach."""

    def __init__(self, index: str | None, config: str) -> None:
        self.config, self._base = config, None
        if index and os.path.exists(index):
            try:
                self._base = sqlite3.connect(f"{Path(index).absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)
            except sqlite3.Error:
                self._base = None

    def __call__(self, sha256: str) -> bool:
        if self._base is None:
            return False
        try:
            query = "SELECT 1 FROM rows WHERE sha256 = ? AND config = ? AND failed = 0 LIMIT 1"
            return self._base.execute(query, (sha256, self.config)).fetchone() is not None
        except sqlite3.Error:
            return False
