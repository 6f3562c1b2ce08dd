"""A detector in a process of its own: it may hang or die, and only its own reading is lost.

The process is a worker as a pool has them; what runs in it is :mod:`detect.plugin_process`.
"""

from __future__ import annotations

import contextlib
import queue
from typing import Any

from detect.base import Card, abstaining
from detect.external import wire
from gioconda_core.errors import PluginError
from gioconda_core.types import Footage, Reading
from gioconda_core.workers.cpu import cores
from gioconda_core.workers.pool import Worker


class IsolatedDetector:
    """Stands for the plugin ``name`` in another process, started at once and again after a death.

    start_timeout : seconds it may take to be loaded.
    """

    def __init__(self, name: str, options: dict[str, Any] | None = None, start_timeout: float = 600.0) -> None:
        self.name, self.options, self.start_timeout = name, dict(options or {}), start_timeout
        self._worker: Worker | None = None
        self._inbox: queue.Queue[Any] = queue.Queue()
        about = self._start()
        self.id: str = about["id"]
        self.version: str = about["version"]
        self.weights_sha256: str | None = about["weights_sha256"]
        self.card = Card(**about["card"])

    def _start(self) -> dict[str, Any]:
        """What the plugin says of itself once it is loaded."""
        self._inbox = queue.Queue()  # what one that was given up on may yet say stays in its own
        options = {"name": self.name, "options": self.options}
        self._worker = Worker("detect.plugin_process:Plugin", options, self._inbox, cores())
        try:
            about: dict[str, Any] = self._message(self._worker, self._inbox, "ready", self.start_timeout)
        except (EOFError, queue.Empty, RuntimeError) as error:
            self.kill()
            why = str(error) or f"it was not loaded within {self.start_timeout:g} s"
            raise PluginError(f"could not be started: {why}", where=f"detector {self.name}") from error
        return about

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
        if self._worker is None or not self._worker.child.alive:
            self._start()
        worker, inbox = self._worker, self._inbox
        assert worker is not None
        worker.send(0, wire.arrays(footage))
        worker.pending.clear()
        answer = self._message(worker, inbox, "answer")
        return wire.reading(answer, self, footage)

    def kill(self) -> None:
        """End the process at once; the next ``read`` starts another."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()

    close = kill

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # it was never made
            self.kill()
