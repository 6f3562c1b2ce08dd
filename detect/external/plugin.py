"""A detector in a process of its own: it may hang or die, and only its own reading is lost.

The child is :mod:`detect.plugin_process` run as a program. Footage goes in as one ZIP (see ``detect.external.wire``), one JSON line comes back.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from typing import Any

from detect.base import Card, abstaining
from detect.external import wire
from gioconda_core.errors import PluginError
from gioconda_core.types import Footage, Reading

__all__ = ["IsolatedDetector"]


class IsolatedDetector:
    """Stands for the plugin ``name`` in another process, started on first use and again after a death."""

    def __init__(self, name: str, options: dict[str, Any] | None = None, start_timeout: float = 60.0) -> None:
        self.name, self.options, self.start_timeout = name, dict(options or {}), start_timeout
        self._child: subprocess.Popen[bytes] | None = None
        try:
            about = self._start()
        except (OSError, EOFError) as error:
            raise PluginError(f"could not be started: {error}", where=f"detector {name}") from error
        if "error" in about:
            raise PluginError(about["error"], where=f"detector {name}")
        self.id: str = about["id"]
        self.version: str = about["version"]
        self.weights_sha256: str | None = about["weights_sha256"]
        self.card = Card(**about["card"])

    def _start(self) -> dict[str, Any]:
        self._child = subprocess.Popen(
            # -P: the folder we are run in may hold a stranger's files, and must not be where modules come from.
            [sys.executable, "-P", "-m", "detect.plugin_process", self.name, json.dumps(self.options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._child is not None and self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            code = self._child.wait()
            self._child = None
            raise EOFError(f"its process ended with {'signal ' + str(-code) if code < 0 else 'code ' + str(code)}")
        document = json.loads(line)
        assert isinstance(document, dict)
        return document

    @abstaining
    def read(self, footage: Footage) -> Reading:
        if self._child is None or self._child.poll() is not None:
            self._start()
        assert self._child is not None and self._child.stdin is not None
        body = wire.pack(footage)
        self._child.stdin.write(struct.pack("<Q", len(body)) + body)
        self._child.stdin.flush()
        answer = self._answer()
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return wire.reading(answer, self, footage)

    def kill(self) -> None:
        """End the child at once; the next ``read`` starts another."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()

    close = kill

    def __del__(self) -> None:
        if getattr(self, "_child", None) is not None:
            self.kill()
