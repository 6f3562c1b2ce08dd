"""Decoding strangers' files in a worker process, so that a crash, a hang or a memory bomb there is one MediaError here.

Contained: crashes of the decoders, endless loops (a limit on time without a frame, and on time altogether), memory (RLIMIT_AS), writing
files (RLIMIT_FSIZE 0), reading other files by reference (playlist formats are refused, see :mod:`gioconda_core.media.decode`).
Not contained: a file that takes over the decoder and runs code of its own; the worker has the user's rights and may read what the user may.
For that, run the whole program in a container.

The worker is a fresh interpreter, never a fork, so a process full of torch and threads may use it. It ends when its socket closes,
which includes the death of this process, and after half a minute without work. Frames come over a socket pair; while this process works
on one, the worker decodes the next.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import GiocondaError, MediaError, UsageError
from gioconda_core.media.facts import ClipFacts, Limits
from gioconda_core.media.sampling import Sampling

__all__ = ["SandboxedSource"]

_HEAD = struct.Struct("!cQ")  # kind, bytes that follow: J = a JSON message, F = a frame
_FRAME = struct.Struct("!dII")  # seconds, height, width; the pixels follow
_IDLE_SECONDS = 30.0
_MOST_FILES = 200  # per worker: bounds what a leak in a decoder can add up to
_MOST_IDLE = 2
_START_SECONDS = 120.0  # for the interpreter and its imports, on a machine that is busy


# --------------------------------------------------------------------------- this side


class _Lost(Exception):
    """The worker is gone or silent; the text says how."""


class _Worker:
    """One worker process and the socket to it."""

    def __init__(self, fds: tuple[int, ...] = ()) -> None:
        mine, theirs = socket.socketpair()
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",  # each arena reserves 64 MiB of the address space that is limited
        }
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "gioconda_core.media.sandbox", str(theirs.fileno())],
                pass_fds=(theirs.fileno(), *fds),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
        self._socket = mine
        self._fresh = True
        self.files = 0
        self.owner = os.getpid()

    @property
    def alive(self) -> bool:
        return self.owner == os.getpid() and self._process.poll() is None

    def send(self, **message: Any) -> None:
        body = json.dumps(message).encode()
        try:
            self._socket.sendall(_HEAD.pack(b"J", len(body)) + body)
        except OSError as error:
            raise _Lost(self._epitaph()) from error

    def receive(self, seconds: float) -> tuple[dict[str, Any] | None, tuple[float, NDArray[np.uint8]] | None]:
        """The next message or the next frame. Waiting longer than ``seconds`` at a stretch, or the worker's death, is _Lost."""
        self._socket.settimeout(max(0.001, seconds + (_START_SECONDS if self._fresh else 0)))
        kind, size = _HEAD.unpack(self._exactly(_HEAD.size))
        self._fresh = False
        if kind == b"J":
            return json.loads(bytes(self._exactly(size))), None
        stamp, height, width = _FRAME.unpack(self._exactly(_FRAME.size))
        if height * width * 3 + _FRAME.size != size:
            raise _Lost("the decoder process sent nonsense")
        picture = np.empty((height, width, 3), dtype=np.uint8)
        self._fill(memoryview(picture.data).cast("B"))
        return None, (stamp, picture)

    def _exactly(self, size: int) -> bytearray:
        if size > 1 << 26:
            raise _Lost("the decoder process sent nonsense")
        buffer = bytearray(size)
        self._fill(memoryview(buffer))
        return buffer

    def _fill(self, view: memoryview) -> None:
        while view.nbytes:
            try:
                count = self._socket.recv_into(view)
            except TimeoutError as error:
                raise _Lost("decoding took longer than allowed and was stopped") from error
            except OSError as error:
                raise _Lost(self._epitaph()) from error
            if count == 0:
                raise _Lost(self._epitaph())
            view = view[count:]

    def _epitaph(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "the decoder process stopped answering"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"the decoder process crashed ({signal.Signals(-code).name})"
        return f"the decoder process ended (code {code})"

    def kill(self) -> None:
        """End the process now and reap it; nothing is left."""
        self._socket.close()
        if self.owner == os.getpid():
            self._process.kill()
            self._process.wait()


_idle: list[_Worker] = []
_lock = threading.Lock()


def _take() -> _Worker:
    with _lock:
        while _idle:
            worker = _idle.pop()
            if worker.alive:
                return worker
            worker.kill()
    return _Worker()


def _give_back(worker: _Worker) -> None:
    with _lock:
        if worker.alive and worker.files < _MOST_FILES and len(_idle) < _MOST_IDLE:
            _idle.append(worker)
            return
    worker.kill()


@atexit.register
def _end_idle() -> None:
    with _lock:
        while _idle:
            _idle.pop().kill()


class SandboxedSource:
    """One file opened in a worker; the same face as the sources that decode in this process."""

    def __init__(self, path: str | None, fd: int, where: str, limits: Limits) -> None:
        self._path, self._fd, self._where, self._limits = path, fd, where, limits
        self.warnings: list[str] = []
        self._worker: _Worker | None = self._opened()

    def _opened(self) -> _Worker:
        """A worker that has the file open."""
        # A descriptor can only be inherited, so stdin's spool gets a worker of its own.
        worker = _take() if self._path else _Worker(fds=(self._fd,))
        worker.files += 1
        try:
            worker.send(op="open", path=self._path, fd=self._fd, where=self._where, limits=asdict(self._limits))
            message, _ = worker.receive(self._limits.stall_seconds)
            if message is None:
                raise _Lost("the decoder process sent nonsense")
            self.facts = _facts(self._answer(message)["facts"])
        except _Lost as loss:
            worker.kill()
            raise self._lost(loss) from loss
        except GiocondaError:
            self._done_with(worker)
            raise
        except BaseException:
            worker.kill()
            raise
        return worker

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        """The message, its warnings taken; raises the error it carries."""
        self.warnings += [w for w in message.get("warnings", ()) if w not in self.warnings]
        if "error" in message:
            kind = UsageError if message["error"] == "UsageError" else MediaError
            raise kind(message["what"], message["where"], message["hint"])
        return message

    def _lost(self, loss: _Lost) -> MediaError:
        return MediaError(
            str(loss), self._where, "the file is damaged or made to break decoders; do not open it elsewhere"
        )

    def _done_with(self, worker: _Worker) -> None:
        if self._path:
            _give_back(worker)
        else:
            worker.kill()

    def play(self, sampling: Sampling) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """(seconds, upright RGB) of the frames wanted, decoded in the worker."""
        worker, self._worker = self._worker or self._opened(), None
        left = self._limits.seconds
        try:
            worker.send(op="play", sampling=asdict(sampling))
            while True:
                if left <= 0:
                    raise _Lost(f"decoding took more than {self._limits.seconds:g} s and was stopped")
                began = time.monotonic()
                message, frame = worker.receive(min(self._limits.stall_seconds, left))
                left -= time.monotonic() - began
                if frame is None:
                    self._answer(message or {})
                    break
                yield frame
        except _Lost as loss:
            worker.kill()
            raise self._lost(loss) from loss
        except GeneratorExit:
            self._stop(worker)
            raise
        except GiocondaError:
            self._keep(worker)
            raise
        except BaseException:
            worker.kill()
            raise
        self._keep(worker)

    def _stop(self, worker: _Worker) -> None:
        """The caller wants no more of this pass: let the worker finish its frame, or end it."""
        try:
            worker.send(op="stop")
            until = time.monotonic() + 2.0
            while True:
                message, _ = worker.receive(max(0.0, until - time.monotonic()))
                if message is not None:
                    break
        except _Lost:
            worker.kill()
            return
        self._keep(worker)

    def _keep(self, worker: _Worker) -> None:
        if self._worker is None and not self._closed:
            self._worker = worker
        else:
            self._done_with(worker)

    _closed = False

    def close(self) -> None:
        """Hand the worker back for the next file."""
        self._closed = True
        if self._worker is not None:
            worker, self._worker = self._worker, None
            self._done_with(worker)


def _facts(plain: dict[str, Any]) -> ClipFacts:
    plain["fps"] = Fraction(plain["fps"]) if plain["fps"] else None
    plain["pixel_aspect"] = Fraction(plain["pixel_aspect"])
    return ClipFacts(**plain)


# --------------------------------------------------------------------------- the worker's side


def _confine(limits: Limits) -> None:
    """Limit this process. Where the system has no such limit (Windows, parts of macOS) the caller's clock is what remains."""
    try:
        import resource
    except ImportError:
        return
    for kind, value in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))


def _work(channel: socket.socket) -> None:
    """Answer until the other side closes or nothing comes for a while."""
    from gioconda_core.media.source import open_source

    inbox: queue.Queue[dict[str, Any]] = queue.Queue()
    stopped = threading.Event()
    threading.Thread(target=_listen, args=(channel, inbox, stopped), daemon=True).start()
    source: Any = None
    file: Any = None
    where = ""

    def say(**message: Any) -> None:
        body = json.dumps(message).encode()
        channel.sendall(_HEAD.pack(b"J", len(body)) + body)

    while True:
        try:
            request = inbox.get(timeout=_IDLE_SECONDS if source is None else None)
        except queue.Empty:
            return
        try:
            if request["op"] == "open":
                if file is not None:
                    file.close()
                source = file = None
                limits, where = Limits(**request["limits"]), request["where"]
                _confine(limits)
                path = request["path"]
                file = open(path, "rb") if path else os.fdopen(os.dup(request["fd"]), "rb")  # noqa: SIM115 - kept while open
                source = open_source(file, path, where, limits)
                say(facts=source.facts.as_dict(), warnings=source.warnings)
            elif request["op"] == "play":
                stopped.clear()
                plan = Sampling(**{**request["sampling"], "at": tuple(request["sampling"]["at"])})
                for seconds, picture in source.play(plan):
                    head = _FRAME.pack(seconds, *picture.shape[:2])
                    channel.sendall(_HEAD.pack(b"F", len(head) + picture.nbytes) + head)
                    channel.sendall(memoryview(picture).cast("B"))
                    if stopped.is_set():
                        break
                say(done=True, warnings=source.warnings)
        except GiocondaError as error:
            name = "UsageError" if isinstance(error, UsageError) else "MediaError"
            say(
                error=name,
                what=error.what,
                where=error.where,
                hint=error.hint,
                warnings=getattr(source, "warnings", []),
            )
        except MemoryError:
            say(
                error="MediaError",
                what="decoding needs more memory than allowed",
                where=where,
                hint="",
            )
        except (BrokenPipeError, ConnectionError):
            return
        except Exception as error:  # whatever else a decoder throws is the file's fault until shown otherwise
            what = f"the decoder failed: {type(error).__name__}: {error}"
            say(error="MediaError", what=what, where=where, hint="the file is damaged")


def _listen(channel: socket.socket, inbox: queue.Queue[dict[str, Any]], stopped: threading.Event) -> None:
    """Requests into the inbox; when the other side is gone, so is this process, whatever the decoder is doing."""
    with channel.makefile("rb") as stream, contextlib.suppress(OSError):
        while head := stream.read(_HEAD.size):
            request = json.loads(stream.read(_HEAD.unpack(head)[1]))
            if request["op"] == "stop":
                stopped.set()
            else:
                inbox.put(request)
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's to handle
    with socket.socket(fileno=int(sys.argv[1])) as _channel:
        _work(_channel)
    os._exit(0)
