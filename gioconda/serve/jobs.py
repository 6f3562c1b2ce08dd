"""The queue of the local page: one clip at a time, kept in SQLite, so that a restart goes on where it stopped.

A queue of its own rather than huey's: a job must be ended at once when its clip is cancelled, deleted or hangs, and only a
process can be; see docs/decisions.
"""

import contextlib
import json
import queue
import secrets
import sqlite3
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException

from gioconda_core.errors import GiocondaError
from gioconda_core.files import write_text
from gioconda_core.workers.cpu import cores
from gioconda_core.workers.pool import Progress, Worker


class Refused(HTTPException):
    """A request is not served. detail : the label that says why."""


ACTIVE = ("queued", "running")
ATTEMPTS = 3  # times a job may be begun before it is given up: one that takes the server down must not do so for ever

_TABLES = """
CREATE TABLE IF NOT EXISTS clips (
  id TEXT PRIMARY KEY, title TEXT NOT NULL, file TEXT NOT NULL, size INTEGER NOT NULL, created REAL NOT NULL,
  state TEXT NOT NULL, stage TEXT NOT NULL DEFAULT '', share REAL NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '', other TEXT NOT NULL DEFAULT '',
  begun REAL NOT NULL DEFAULT 0, frames INTEGER NOT NULL DEFAULT 0, of INTEGER NOT NULL DEFAULT 0, summary TEXT NOT NULL DEFAULT '{}'
);
"""


@dataclass(frozen=True)
class Clip:
    """One dropped file, or two of them to be compared. state : queued, running, done, failed or cancelled. share : of the work done, 0 to 1.

    other : of a comparison, the ids of both clips. begun : when it was taken up; frames, of : followed so far, of about how many.
    summary : of a report, JSON for the list: level, seconds, jpeg (base64).
    """

    id: str
    title: str
    file: str
    size: int
    created: float
    state: str
    stage: str
    share: float
    attempts: int
    error: str
    other: str = ""
    begun: float = 0.0
    frames: int = 0
    of: int = 0
    summary: str = "{}"

    @property
    def left(self) -> float | None:
        """Seconds it will still take, judged by what it took so far; None where that is too little to judge by."""
        took = time.time() - self.begun
        return (
            took * (1 - self.share) / self.share if self.state == "running" and self.share > 0.2 and took > 2 else None
        )


class Jobs:
    """Clips and their states; safe to use from several threads. folder : private to the user, holds files, reports, queue."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(OSError):
            folder.chmod(0o700)
        self.folder = folder
        (folder / "files").mkdir(exist_ok=True, mode=0o700)
        self._lock = threading.Lock()
        self._base = sqlite3.connect(folder / "queue.sqlite", check_same_thread=False, isolation_level=None)
        self._base.row_factory = sqlite3.Row
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.executescript(_TABLES)
        # What was running when the server ended is begun again, but not for ever.
        given_up = (
            "UPDATE clips SET state = 'failed', error = 'ended the server' WHERE state = 'running' AND attempts >= ?"
        )
        self._do(given_up, ATTEMPTS)
        self._do("UPDATE clips SET state = 'queued', share = 0, stage = '' WHERE state = 'running'")

    def _do(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._base.execute(query, values).fetchall()

    def new_file(self, suffix: str) -> tuple[str, Path]:
        """An id nobody can guess, and the path its file will have; the user's name for it is never part of a path."""
        identity = secrets.token_hex(16)
        return identity, self.folder / "files" / f"{identity}{suffix}"

    def add(self, identity: str, title: str, file: Path, size: int, other: str = "") -> Clip:
        """Put a file that is there into the queue; or, with ``other``, a comparison of two clips by their ids."""
        self._do(
            "INSERT INTO clips (id, title, file, size, created, state, other) VALUES (?, ?, ?, ?, ?, 'queued', ?)",
            identity, title, file.name, size, time.time(), other,
        )  # fmt: skip
        found = self.get(identity)
        assert found is not None
        return found

    def get(self, identity: str) -> Clip | None:
        """The clip of an id, or None."""
        rows = self._do("SELECT * FROM clips WHERE id = ?", identity)
        return Clip(**dict(rows[0])) if rows else None

    def all(self) -> list[Clip]:
        """Every clip, newest first."""
        return [Clip(**dict(row)) for row in self._do("SELECT * FROM clips ORDER BY created DESC")]

    def take(self) -> Clip | None:
        """The oldest waiting clip, now running; None when none waits."""
        rows = self._do(
            "UPDATE clips SET state = 'running', attempts = attempts + 1, stage = 'open', share = 0, begun = ? WHERE id = "
            "(SELECT id FROM clips WHERE state = 'queued' ORDER BY created LIMIT 1) RETURNING *",
            time.time(),
        )
        return Clip(**dict(rows[0])) if rows else None

    def before(self, clip: Clip) -> int:
        """How many clips are examined before a waiting one."""
        query = "SELECT COUNT(*) FROM clips WHERE state = 'running' OR (state = 'queued' AND created < ?)"
        return int(self._do(query, clip.created)[0][0])

    def note(self, identity: str, stage: str, share: float, done: int = 0, of: int = 0) -> None:
        """How far a running clip is: its stage, the share of all, and what is counted of it."""
        query = "UPDATE clips SET stage = ?, share = ?, frames = ?, of = ? WHERE id = ? AND state = 'running'"
        self._do(query, stage, share, done, of, identity)

    def sum_up(self, identity: str, document: Mapping[str, Any]) -> None:
        """Keep what the list shows of a report."""
        tracks, frames = document.get("tracks") or [], document.get("evidence", {}).get("keyframes") or []
        jpeg = next(filter(None, [*(t.get("thumbnail") for t in tracks), *(k["jpeg"] for k in frames)]), "")
        level, seconds = document.get("verdict", {}).get("level", ""), document.get("facts", {}).get("duration") or 0
        summary = json.dumps({"level": level, "seconds": seconds, "jpeg": jpeg})
        self._do("UPDATE clips SET summary = ? WHERE id = ?", summary, identity)

    def end(self, identity: str, state: str, error: str = "") -> None:
        """A running clip is done or failed; one that was cancelled meanwhile stays cancelled."""
        query = "UPDATE clips SET state = ?, share = 1, error = ? WHERE id = ? AND state = 'running'"
        self._do(query, state, error, identity)

    def cancel(self, identity: str) -> None:
        """Stop waiting or running."""
        self._do("UPDATE clips SET state = 'cancelled' WHERE id = ? AND state IN ('queued', 'running')", identity)

    def delete(self, identity: str) -> None:
        """Forget a clip: row, file and report."""
        clip = self.get(identity)
        self._do("DELETE FROM clips WHERE id = ?", identity)
        if clip is not None:
            paths = [self.report_path(identity), self.frames_path(identity)]
            for path in paths if clip.other else [self.media(clip), *paths]:
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()

    def sweep(self, hours: float) -> int:
        """Delete clips older than so many hours, and files no clip owns; returns how many clips went."""
        old = self._do("SELECT id FROM clips WHERE created < ?", time.time() - 3600 * hours)
        for row in old:
            self.delete(row["id"])
        clips = self.all()
        known = {c.file for c in clips} | {p(c.id).name for c in clips for p in (self.report_path, self.frames_path)}
        for path in (self.folder / "files").iterdir():
            if path.name not in known and time.time() - path.stat().st_mtime > 600:
                path.unlink()
        return len(old)

    def media(self, clip: Clip) -> Path:
        """Where a clip's file is."""
        return self.folder / "files" / clip.file

    def report_path(self, identity: str) -> Path:
        """Where a clip's report is."""
        return self.folder / "files" / f"{identity}.json"

    def frames_path(self, identity: str) -> Path:
        """Where the archive of a clip's keyframes is, once somebody has asked for it."""
        return self.folder / "files" / f"{identity}.zip"

    def report(self, identity: str) -> Mapping[str, Any] | None:
        """The report's document, or None."""
        try:
            body: dict[str, Any] = json.loads(self.report_path(identity).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return body

    def close(self) -> None:
        """Close the queue."""
        with self._lock:
            self._base.close()


class Runner:
    """Takes clips from the queue, one at a time, into a worker process that can be ended.

    target, options : of ``gioconda_core.workers.pool.Worker``. seconds : one clip may take.
    """

    def __init__(self, jobs: Jobs, target: str, options: Mapping[str, Any], seconds: float = 900.0) -> None:
        self.jobs, self.target, self.options, self.seconds = jobs, target, dict(options), seconds
        self._stop = threading.Event()
        self._inbox: queue.Queue[Any] = queue.Queue()
        self._worker: Any = None
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def start(self) -> None:
        """Begin; a worker is made ready at once, since loading detectors takes seconds."""
        self._thread.start()

    def stop(self) -> None:
        """End the worker. What was running is begun again by the next start."""
        self._stop.set()
        self._thread.join(15)
        if self._worker is not None:
            self._worker.kill()

    def _fresh(self) -> Any:
        if self._worker is not None:
            self._worker.kill()
        self._inbox = queue.Queue()
        threads = max(1, cores() - 1)
        self._worker = Worker(self.target, self.options, self._inbox, threads)
        return self._worker

    def _loop(self) -> None:
        self._fresh()
        while not self._stop.is_set():
            clip = self.jobs.take()
            if clip is None:
                self._stop.wait(0.2)
                continue
            state, error, document = self._one(clip)
            if self._stop.is_set() and state == "stopped":
                return
            if document is not None:
                write_text(self.jobs.report_path(clip.id), json.dumps(document, ensure_ascii=False), mode=0o600)
                self.jobs.sum_up(clip.id, document)
            self.jobs.end(clip.id, state, error)
            if self.jobs.get(clip.id) is None:  # deleted while its report was being written
                self.jobs.report_path(clip.id).unlink(missing_ok=True)

    def _one(self, clip: Clip) -> tuple[str, str, Mapping[str, Any] | None]:
        """Examine one clip: (state, error, report's document)."""
        worker = self._worker if self._worker.child.alive else self._fresh()
        both = [self.jobs.get(identity) for identity in clip.other.split()] or [clip]
        if None in both:
            return "failed", "a clip that was to be compared is no longer here", None
        worker.send(0, Task(tuple((str(self.jobs.media(one)), one.title) for one in both if one is not None)))
        limit = time.monotonic() + self.seconds
        while True:
            if self._stop.is_set():
                return "stopped", "", None
            now = self.jobs.get(clip.id)
            if now is None or now.state != "running":
                self._fresh()
                return "cancelled", "", None
            if time.monotonic() > limit:
                self._fresh()
                return "failed", f"no report within {self.seconds:g} s", None
            try:
                _, message = self._inbox.get(timeout=0.1)
            except queue.Empty:
                continue
            if message is None:
                self._fresh()
                return "failed", "the process that examined it ended", None
            if "fatal" in message:
                self._fresh()
                return "failed", str(message["fatal"]["what"]), None
            if "progress" in message:
                self.jobs.note(clip.id, *message["progress"])
            elif "error" in message:
                worker.done(0)
                return "failed", str(message["error"]), None
            elif "answer" in message:
                worker.done(0)
                return "done", "", message["answer"]


@dataclass(frozen=True)
class Task:
    """One file, or two to be compared. clips : (path, title) of each."""

    clips: tuple[tuple[str, str], ...]


class Examine:
    """The work on one clip: one file to its report's document, or two to their comparison's."""

    def __init__(self, detectors: list[str] | None, trust: list[str], development: bool) -> None:
        from gioconda.report.examine import Examiner
        from provenance.trust import lists

        self.examiner = Examiner(detectors, trust=lists.load(trust, development=development))

    def __call__(self, task: Task, progress: Progress) -> dict[str, Any]:
        from gioconda.report.as_json import document
        from gioconda.report.evidence import compare, compare_pages
        from gioconda.report.examine import unread

        (path, title), *others = task.clips
        if others:
            other, named = others[0]
            return compare_pages.document(compare.compare(path, other, titles=(title, named), progress=progress))
        report = self.examiner.examine(path, title=title, progress=progress)
        if nothing := unread(report):
            raise GiocondaError(nothing.what)
        return document(report)
