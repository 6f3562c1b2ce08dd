"""Holds back requests to a service: so many times a second and so many at once, over all processes of this machine."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout


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
        """Wait until another ask is allowed, and hold a place until it is done. A process that dies lets go of its place."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as held:
            if self.at_once:
                held.enter_context(self._place())
            if self.per_second:
                self._wait()
            yield

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        places = [FileLock(self.folder / f"place-{i}", mode=0o600) for i in range(self.at_once or 0)]
        while (place := next(filter(_taken, places), None)) is None:
            time.sleep(0.02)
        try:
            yield
        finally:
            place.release()

    def _wait(self) -> None:
        """The next free moment is written down before it comes, so that everybody waits for a moment of his own."""
        gap = 1 / float(self.per_second or 1)
        with FileLock(self.folder / "next", mode=0o600):
            file = self.folder / "next-moment"
            try:
                free = float(file.read_text())
            except (OSError, ValueError):
                free = 0.0
            now = time.time()
            turn = max(now, min(free, now + 3600))  # a clock that was set back must not stop the run
            file.write_text(repr(turn + gap))
        time.sleep(max(0.0, turn - now))


def _taken(place: FileLock) -> bool:
    """Take a place, if nobody else has it."""
    try:
        place.acquire(blocking=False)
    except Timeout:
        return False
    return True
