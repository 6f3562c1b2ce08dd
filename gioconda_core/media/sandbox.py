"""Decodes strangers' files in a worker process, so that a crash, a hang or a memory bomb there is one MediaError here.

Contained: crashes of the decoders, endless loops (a limit on time without a frame, and on time altogether), memory (RLIMIT_AS), writing
files (RLIMIT_FSIZE 0), reading other files by reference (playlist formats are refused, see :mod:`gioconda_core.media.decode`).
Not contained: a file that takes over the decoder and runs code of its own; the worker has the user's rights and may read what the user may.
For that, run the whole program in a container.

The worker is a child as :mod:`gioconda_core.workers.child` starts them, not one of a pool's: it is limited anew for each file, it streams
frames, and it ends after half a minute without work. While this process works on one frame, the worker decodes the next ones.
"""

import atexit
import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO

from gioconda_core.documents import plain, read
from gioconda_core.errors import GiocondaError, MediaError, UsageError
from gioconda_core.media.facts import ClipFacts, Limits, Source
from gioconda_core.media.read_ahead import run_ahead
from gioconda_core.media.sampling import Sampling
from gioconda_core.media.source import open_source
from gioconda_core.reasons import MediaWarning, UnreadReason
from gioconda_core.workers.child import Channel, Child, Lost, Silent, confine, listen
from gioconda_core.workers.cpu import cores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_IDLE_SECONDS = 30.0
_MOST_FILES = 200  # per worker: bounds what a leak in a decoder can add up to
_MOST_IDLE = 2
_MOST_BYTES = 1 << 30  # of a frame: far above any limit on pixels
# Bytes of pictures decoded before they are sent: the other side may be loading what will look at them.
_AHEAD = 64 << 20
_START_SECONDS = 120.0  # for the interpreter and its imports, on a machine that is busy


# --------------------------------------------------------------------------- this side


class _Worker(Child):
    """One decoding process."""

    def __init__(self, fds: tuple[int, ...] = ()) -> None:
        # The threads are the decoder's: those of libraries for numbers, and each arena's 64 MiB, would only take address space.
        few = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
        work = "gioconda_core.media.sandbox:work"
        super().__init__(work, threads=cores(), quiet=True, fds=fds, most=_MOST_BYTES, **few)
        self._fresh = True
        self.files = 0

    def answer(self, seconds: float) -> "tuple[dict[str, Any], NDArray[np.uint8] | None]":
        """The next message, with its picture if it is one. Longer silence than ``seconds`` is Lost."""
        try:
            message, arrays = self.receive(max(0.001, seconds + (_START_SECONDS if self._fresh else 0)))
        except Silent as loss:
            raise Lost("decoding took longer than allowed and was stopped") from loss
        self._fresh = False
        frame = arrays.get("frame")
        if frame is not None and (frame.dtype != "uint8" or frame.ndim != 3 or frame.shape[2] != 3):
            raise Lost("what came is no picture")
        return message, frame

    def obituary(self) -> str:
        return f"the decoder: {super().obituary()}"


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


def warm() -> None:
    """Start a worker for the next file, so that its start passes while other things are being made ready."""
    with _lock:
        ready = any(worker.alive for worker in _idle)
    if not ready:
        _give_back(_Worker())


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
        self.warnings: list[MediaWarning] = []
        self._worker: _Worker | None = self._opened()

    def _opened(self) -> _Worker:
        """A worker that has the file open."""
        # A descriptor can only be inherited, so stdin's spool gets a worker of its own.
        worker = _take() if self._path else _Worker(fds=(self._fd,))
        worker.files += 1
        with self._ending(worker, self._done_with):
            about = {"path": self._path, "fd": self._fd, "where": self._where, "limits": asdict(self._limits)}
            worker.send({"op": "open", **about})
            message, _ = worker.answer(self._limits.stall_seconds)
            self.facts = read(ClipFacts, self._checked(message)["facts"])
        return worker

    @contextlib.contextmanager
    def _ending(self, worker: _Worker, keep: Callable[[_Worker], None]) -> Iterator[None]:
        """What becomes of a worker that does not do all it was asked: ``keep`` where it says what is wrong with the file, else its end."""
        try:
            yield
        except Lost as loss:
            worker.kill()
            hint = "the file is damaged or made to break decoders; do not open it elsewhere"
            raise MediaError(str(loss), self._where, hint, unread=UnreadReason.STOPPED) from loss
        except GeneratorExit:
            self._stop(worker)
            raise
        except GiocondaError:
            keep(worker)
            raise
        except BaseException:
            worker.kill()
            raise

    def _checked(self, message: dict[str, Any]) -> dict[str, Any]:
        """The message, its warnings taken; raises the error it carries."""
        warnings = (read(MediaWarning, item) for item in message.get("warnings", ()))
        self.warnings += [w for w in warnings if w not in self.warnings]
        if "error" in message:
            problem = message["what"], message["where"], message["hint"]
            if message["error"] == "UsageError":
                raise UsageError(*problem)
            raise MediaError(*problem, unread=UnreadReason(message.get("unread", UnreadReason.NO_MEDIA)))
        return message

    def _done_with(self, worker: _Worker) -> None:
        """Hand a worker back for the next file, or end it where it can open no other."""
        if self._path:
            _give_back(worker)
        else:
            worker.kill()

    def play(self, sampling: Sampling) -> "Iterator[tuple[float, NDArray[np.uint8]]]":
        """(seconds, upright RGB) of the frames wanted, decoded in the worker."""
        worker, self._worker = self._worker or self._opened(), None
        left = self._limits.seconds
        with self._ending(worker, self._keep):
            worker.send({"op": "play", "sampling": asdict(sampling)})
            while True:
                if left <= 0:
                    raise Lost(f"decoding took more than {self._limits.seconds:g} s and was stopped")
                began = time.monotonic()
                message, frame = worker.answer(min(self._limits.stall_seconds, left))
                left -= time.monotonic() - began
                if frame is None:
                    self._checked(message)
                    break
                yield float(message["seconds"]), frame
        self._keep(worker)

    def _stop(self, worker: _Worker) -> None:
        """The caller wants no more of this pass: let the worker finish its frame, or end it."""
        try:
            worker.send({"op": "stop"})
            until = time.monotonic() + 2.0
            while worker.answer(until - time.monotonic())[1] is not None:
                pass
        except Lost:
            worker.kill()
            return
        self._keep(worker)

    def _keep(self, worker: _Worker) -> None:
        """Keep the worker, which has the file open, for the next pass."""
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


# --------------------------------------------------------------------------- the worker's side


def work(channel: Channel) -> None:
    """Answer until the other side closes or nothing comes for a while."""
    inbox: queue.Queue[dict[str, Any]] = queue.Queue()
    stopped = threading.Event()

    def take(request: dict[str, Any], _: object) -> None:
        if request["op"] == "stop":
            stopped.set()
        else:
            inbox.put(request)

    listen(channel, take)
    for name in ("stills", "decode"):  # what opening a file takes, while nobody has asked for one yet
        import_module(f"gioconda_core.media.{name}")
    source: Source | None = None
    file: BinaryIO | None = None
    where = ""

    def say(**message: Any) -> None:
        channel.send(message)

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
                confine(limits.memory_bytes)
                path = request["path"]
                file = open(path, "rb") if path else os.fdopen(os.dup(request["fd"]), "rb")  # noqa: SIM115 - kept while open
                source = open_source(file, path, where, limits)
                say(facts=plain(source.facts), warnings=[w.document() for w in source.warnings])
            elif request["op"] == "play":
                assert source is not None  # a pass is asked for of a file that was opened
                stopped.clear()
                playing = source.play(read(Sampling, request["sampling"]))
                each = 3 * source.facts.width * source.facts.height
                with contextlib.closing(run_ahead(playing, _AHEAD // max(1, each))) as pictures:
                    for seconds, picture in pictures:
                        channel.send({"seconds": seconds}, {"frame": picture})
                        if stopped.is_set():
                            break
                say(done=True, warnings=[w.document() for w in source.warnings])
        except Lost:
            return
        except Exception as raised:
            error = _blamed(raised, where)
            kind, unread = type(error).__name__, getattr(error, "unread", UnreadReason.NO_MEDIA)
            warnings = [w.document() for w in getattr(source, "warnings", ())]
            say(error=kind, what=error.what, where=error.where, hint=error.hint, unread=unread, warnings=warnings)


def _blamed(error: Exception, where: str) -> GiocondaError:
    """What to say of an error: whatever else a decoder throws is the file's fault until shown otherwise."""
    if isinstance(error, GiocondaError):
        return error
    if isinstance(error, MemoryError):
        return MediaError("decoding needs more memory than allowed", where, unread=UnreadReason.STOPPED)
    return MediaError("the decoder failed", where, "the file is damaged")
