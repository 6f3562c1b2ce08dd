"""Runs a detector in a process of its own: it may hang or die, and only its own reading is lost.

The process is a worker as a pool has them; what runs in it is :class:`Loaded`.
"""

import contextlib
import queue
import threading
from typing import Any

from detect.base import Abstain, Card, abstaining
from detect.external import wire
from gioconda_core.documents import plain, read
from gioconda_core.errors import PluginError
from gioconda_core.types import Footage, Reading
from gioconda_core.workers.cpu import cores
from gioconda_core.workers.pool import Worker


class Loaded:
    """What runs in the process: the plugin, loaded once, and what it answers to footage."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        from detect.registry import load

        self.detector = load(name, isolate=False, **options)
        self.about = {
            "id": self.detector.id,
            "version": self.detector.version,
            "weights_sha256": self.detector.weights_sha256,
            "card": plain(self.detector.card),
        }

    def __call__(self, task: dict[str, Any], progress: object) -> dict[str, Any]:
        try:
            return wire.answer(self.detector.read(wire.footage(task)))
        except Abstain as said:
            return {"abstain": said.reason.document()}


class IsolatedDetector:
    """Stands for the plugin ``name`` in another process, started at once and again after a death.

    start_timeout : seconds it may take to be loaded.
    """

    def __init__(self, name: str, options: dict[str, Any] | None = None, start_timeout: float = 600.0) -> None:
        self.name, self.options, self.start_timeout = name, dict(options or {}), start_timeout
        self._worker: Worker | None = None
        self._inbox: queue.Queue[Any] = queue.Queue()
        self._kills = 0  # a read that was given up on while its process started puts none in the place of the next
        self._lock = threading.Lock()
        _, _, about = self._start(self._kills)
        self.id: str = about["id"]
        self.version: str = about["version"]
        self.weights_sha256: str | None = about["weights_sha256"]
        self.card = read(Card, about["card"])

    def _start(self, kills: int) -> tuple[Worker, queue.Queue[Any], dict[str, Any]]:
        """A process in which the plugin is loaded, its own inbox, and what the plugin says of itself. kills : how many there had been when the
        read that needs it began."""
        inbox: queue.Queue[Any] = queue.Queue()  # what one that was given up on may yet say stays in its own
        options = {"name": self.name, "options": self.options}
        worker = Worker("detect.external.plugin:Loaded", options, inbox, cores())
        try:
            with self._lock:
                if kills != self._kills:
                    raise EOFError("it was given up on")
                self._worker, self._inbox = worker, inbox
            about: dict[str, Any] = self._message(worker, inbox, "ready", self.start_timeout)
        except (EOFError, queue.Empty, RuntimeError) as error:
            worker.kill()
            why = str(error) or f"it was not loaded within {self.start_timeout:g} s"
            raise PluginError(f"could not be started: {why}", where=f"detector {self.name}") from error
        return worker, inbox, about

    def _message(self, worker: Worker, inbox: queue.Queue[Any], kind: str, seconds: float | None = None) -> Any:
        _, message = inbox.get(timeout=seconds)
        if message is None:
            raise EOFError(worker.child.obituary())
        if "fatal" in message:
            raise PluginError(message["fatal"]["what"], f"detector {self.name}", message["fatal"]["hint"])
        if "error" in message:
            raise RuntimeError(message["error"])
        return message[kind]

    @abstaining
    def read(self, footage: Footage) -> Reading:
        with self._lock:
            worker, inbox, kills = self._worker, self._inbox, self._kills
        if worker is None or not worker.child.alive:
            worker, inbox, _ = self._start(kills)
        worker.send(0, wire.arrays(footage))
        worker.pending.clear()
        answer = self._message(worker, inbox, "answer")
        return wire.reading(answer, self, footage)

    def kill(self) -> None:
        """End the process at once; the next ``read`` starts another."""
        with self._lock:
            worker, self._worker, self._kills = self._worker, None, self._kills + 1
        if worker is not None:
            worker.kill()

    close = kill

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # it was never made
            self.kill()
