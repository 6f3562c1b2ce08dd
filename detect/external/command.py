"""Asks somebody else's detector that is a program or a container: a ZIP of the footage on stdin, one JSON document on stdout.

``command:docker run --rm -i --network none their/image`` · the format is in ``detect.external.wire``.
"""

import json
import os
import shlex
import signal
import subprocess

from detect.base import Card, abstaining
from detect.external import wire
from gioconda_core.errors import UsageError
from gioconda_core.types import Footage, Reading

LIMIT = 16 << 20  # bytes of an answer


class CommandDetector:
    """A program run once a clip.

    Parameters
    ----------
    target : str
        The command line; split as a shell would split it, but no shell runs it.
    name : str
        The id its readings carry.
    timeout : float
        Seconds for one clip; then the program and its children are killed.
    """

    def __init__(self, target: str, name: str = "command", version: str = "0", timeout: float = 300.0) -> None:
        self.argv = shlex.split(target)
        if not self.argv:
            raise UsageError("names no program", where="detector command", hint="command:./judge --fast")
        self.id, self.version, self.timeout = name, version, float(timeout)
        self.weights_sha256: str | None = None
        self.card = Card(
            summary=f"somebody else's program ({os.path.basename(self.argv[0])}), run once a clip",
            limits=("What it was trained on and how often it is wrong is unknown here.",),
        )
        self._child: subprocess.Popen[bytes] | None = None

    @abstaining
    def read(self, footage: Footage) -> Reading:
        body = wire.pack(footage)
        self._child = subprocess.Popen(
            self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        try:
            out, err = self._child.communicate(body, timeout=self.timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"no answer within {self.timeout:g} s") from None
        finally:
            code = self._child.poll()
            self.kill()
        if code:
            how = f"signal {-code}" if code < 0 else f"code {code}"
            raise RuntimeError(f"it ended with {how}: {err.decode(errors='replace').strip()[-200:]}")
        if len(out) > LIMIT:
            raise ValueError("its answer is larger than 16 MiB")
        return wire.reading(json.loads(out), self, footage)

    def kill(self) -> None:
        """End the program and whatever it started."""
        child, self._child = self._child, None
        if child is not None and child.poll() is None:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                child.kill()
            child.wait()
