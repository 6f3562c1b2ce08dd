"""How fast a service may be asked: so many times a second and so many at once, over all processes of this machine."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path


class Pace:
    """Turns at a service. The processes of a run share its limits through files in one folder.

    Parameters
    ----------
    folder : Path
        Where the turns are kept; the same for everybody who asks that service.
    per_second : float or None
        Asks a second. at_once : asks under way at one time. None is no limit.
    """

    def __init__(self, folder: Path, per_second: float | None = None, at_once: int | None = None) -> None:
        self.folder, self.per_second, self.at_once = folder, per_second, at_once

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until another ask is allowed, and hold a place until it is done."""
        with contextlib.ExitStack() as held:
            if self.at_once:
                held.enter_context(self._place())
            if self.per_second:
                self._wait()
            yield

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        while True:
            for i in range(self.at_once or 0):
                with _locked(self.folder / f"place-{i}", wait=False) as got:
                    if got:
                        yield
                        return
            time.sleep(0.02)

    def _wait(self) -> None:
        """The next free moment is written down before it comes, so that everybody waits for a moment of his own."""
        gap = 1 / float(self.per_second or 1)
        with _locked(self.folder / "next", wait=True):
            file = self.folder / "next-moment"
            try:
                free = float(file.read_text())
            except (OSError, ValueError):
                free = 0.0
            now = time.time()
            mine = max(now, min(free, now + 3600))  # a clock that was set back must not stop the run
            file.write_text(repr(mine + gap))
        time.sleep(max(0.0, mine - now))


_threads: dict[Path, threading.Lock] = {}
_guard = threading.Lock()


@contextlib.contextmanager
def _locked(path: Path, wait: bool) -> Iterator[bool]:
    """Hold a file against other processes and a lock against other threads; says whether it is held. A process that dies lets go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _guard:
        lock = _threads.setdefault(path, threading.Lock())
    if not lock.acquire(blocking=wait):
        yield False
        return
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            yield _flock(handle, wait)
        finally:
            os.close(handle)
    finally:
        lock.release()


def _flock(handle: int, wait: bool) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows: limits hold within each process
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
