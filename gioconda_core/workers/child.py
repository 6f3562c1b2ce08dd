"""The one place where processes of ours are started: how they begin, what is said to them, and how they end.

A child is a fresh interpreter, never a fork, so a process full of torch and threads may start one, and a script that does so needs no
``if __name__ == "__main__"``. It inherits the environment, is held to its own cores, takes no module from the working folder, and leads
a process group: ending it ends the decoders and detectors that it started. It ends when this process closes the pipe, or dies.

Messages are JSON objects with numpy arrays beside them, never pickles: what a child sends can name no code to run here. Not covered: a
child that is taken over may still send a wrong answer, or one as large as ``most`` allows.
"""

import contextlib
import json
import math
import os
import queue
import select
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from io import RawIOBase
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from gioconda_core.documents import json_default
from gioconda_core.workers.cpu import environment

if TYPE_CHECKING:
    from numpy.typing import NDArray


_HEAD = struct.Struct("!I")  # bytes of the JSON that follows; the arrays come after it
_PIPE = 1 << 20  # bytes a pipe holds, where the system lets us say so: fewer turns for a picture


class Lost(Exception):
    """The other side is gone, silent, or sends what is no message; the text says which."""


class Silent(Lost):
    """Nothing came in time."""


class Channel:
    """Messages over a pair of pipes. most : bytes of one message that are accepted."""

    def __init__(self, source: RawIOBase, sink: RawIOBase, most: int = 1 << 34) -> None:
        self._source, self._sink, self._most = source, sink, most
        self._sending = threading.Lock()

    def send(self, message: Mapping[str, Any], arrays: "Mapping[str, NDArray[Any]] | None" = None) -> None:
        """Send an object and arrays of numbers. Raises Lost when nobody is there to read."""
        parts = [] if not arrays else [(name, _contiguous(array)) for name, array in arrays.items()]
        listed = [(name, array.dtype.str, array.shape) for name, array in parts]
        body = json.dumps([message, listed], allow_nan=False, default=json_default).encode()
        try:
            with self._sending:
                self._write(memoryview(_HEAD.pack(len(body)) + body))
                for _, array in parts:
                    if array.size:
                        self._write(array.data.cast("B"))
        except (OSError, ValueError) as error:  # ValueError: it has been closed
            raise Lost(self.obituary()) from error

    def receive(self, seconds: float | None = None) -> "tuple[dict[str, Any], dict[str, NDArray[Any]]]":
        """The next object and its arrays. Raises Lost at the end, or when nothing comes for so many seconds at a stretch."""
        (size,) = _HEAD.unpack(self._read(_HEAD.size, seconds))
        try:
            if size > min(self._most, 1 << 28):
                raise ValueError(size)
            message, listed = json.loads(bytes(self._read(size, seconds)))
            return message, {name: self._array(kind, shape, seconds) for name, kind, shape in listed}
        except (ValueError, TypeError) as error:
            raise Lost("what came is no message") from error

    def _array(self, text: str, shape: list[int], seconds: float | None) -> "NDArray[Any]":
        import numpy as np

        kind = np.dtype(text)
        if kind.kind not in "biuf" or any(side < 0 for side in shape) or math.prod(shape) * kind.itemsize > self._most:
            raise ValueError(text)
        array = np.empty(shape, kind)
        if array.size:
            self._fill(array.data.cast("B"), seconds)
        return array

    def obituary(self) -> str:
        """How the other side ended, in words."""
        return "the other side is gone"

    def _write(self, view: memoryview) -> None:
        while view.nbytes:
            view = view[self._sink.write(view) :]

    def _read(self, size: int, seconds: float | None) -> bytearray:
        buffer = bytearray(size)
        self._fill(memoryview(buffer), seconds)
        return buffer

    def _fill(self, view: memoryview, seconds: float | None) -> None:
        while view.nbytes:
            if seconds is not None and not self._waits(seconds):
                raise Silent(f"gave no answer within {seconds:g} s")
            try:
                count = self._source.readinto(view)
            except (OSError, ValueError) as error:
                raise Lost(self.obituary()) from error
            if not count:
                raise Lost(self.obituary())
            view = view[count:]

    def _waits(self, seconds: float) -> bool:
        """Whether there is something to read, at the latest after so many seconds."""
        if not hasattr(select, "poll"):  # Windows cannot wait for a pipe: there the limit on silence is missing
            return True
        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        return bool(poll.poll(max(1.0, seconds * 1000)))


class Child(Channel):
    """A process that runs ``entry`` (``module:function``, called with its Channel).

    threads : cores it may keep busy. quiet : nothing that its libraries print is shown. fds : descriptors it keeps.
    Further options are environment variables.
    """

    def __init__(
        self,
        entry: str,
        *,
        threads: int = 1,
        quiet: bool = False,
        fds: tuple[int, ...] = (),
        most: int = 1 << 34,
        **variables: str,
    ) -> None:
        modules = [*sys.path, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        path = os.pathsep.join(dict.fromkeys(p for p in modules if p))  # as here, but for the working folder
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "gioconda_core.workers.child", entry],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            bufsize=0,
            env={**os.environ, **environment(threads), "PYTHONPATH": path, **variables},
            process_group=0,  # Ctrl-C is the parent's to handle; of the same session, so that the scheduler takes both for one program
            pass_fds=fds,
        )
        self.owner = os.getpid()
        assert isinstance(self.process.stdin, RawIOBase) and isinstance(self.process.stdout, RawIOBase)
        super().__init__(self.process.stdout, self.process.stdin, most)
        with contextlib.suppress(ImportError, AttributeError, OSError):
            import fcntl

            for pipe in (self.process.stdin, self.process.stdout):
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)

    @property
    def alive(self) -> bool:
        """Whether it runs, and is ours: after a fork it is the parent's."""
        return self.owner == os.getpid() and self.process.poll() is None

    def obituary(self) -> str:
        """How the process ended: with which code or by which signal."""
        try:
            status = self.process.wait(5)
        except subprocess.TimeoutExpired:
            return "its process stopped answering"
        if status >= 0:
            return f"its process ended with code {status}"
        with contextlib.suppress(ValueError):
            return f"its process ended with signal {-status} ({signal.Signals(-status).name})"
        return f"its process ended with signal {-status}"

    def kill(self) -> None:
        """End it and everything that it started, now; nothing is left of it."""
        if self.owner != os.getpid():
            return
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()
        with contextlib.suppress(OSError):
            self._sink.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)


def ask_once(
    function: str, *, seconds: float, memory: int, **arguments: Any
) -> "tuple[dict[str, Any], dict[str, NDArray[Any]]]":
    """One answer from a limited child of its own, which then ends: for parsers of strangers' files that say one thing.

    function : ``module:name``; called with the arguments, it returns an object, or an object and arrays. seconds : wall time, the
    child's start included. memory : bytes of address space; it can write no file.

    Raises
    ------
    Silent
        No answer came in time.
    Lost
        The child ended, or the function raised; the text then is the exception's name.
    """
    child = Child("gioconda_core.workers.child:answer", quiet=True, OPENBLAS_NUM_THREADS="1", MALLOC_ARENA_MAX="2")
    try:
        child.send({"function": function, "memory": memory, "arguments": arguments})
        message, arrays = child.receive(seconds)
    finally:
        child.kill()
    if "failed" in message:
        raise Lost(str(message["failed"]))
    return message["answer"], arrays


# ------------------------------------------------------------------------- in the child


def confine(memory: int, file_size: int = 0) -> None:
    """Limit this process to so many bytes of address space and of a file it writes.

    Where the system has no such limit (Windows, parts of macOS) the caller's clock is what remains.
    """
    try:
        import resource
    except ImportError:
        return
    for kind, value in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, file_size), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))


def answer(channel: Channel) -> None:
    """What :func:`ask_once` runs: one function, called once."""
    inbox: queue.Queue[dict[str, Any]] = queue.Queue()
    listen(channel, lambda message, _: inbox.put(message))
    order = inbox.get()
    confine(order["memory"])
    try:
        found = resolve_name(order["function"])(**order["arguments"])
    except Exception as error:
        channel.send({"failed": type(error).__name__})
        return
    body, arrays = found if isinstance(found, tuple) else (found, None)
    channel.send({"answer": body}, arrays)


def listen(channel: Channel, take: "Callable[[dict[str, Any], dict[str, NDArray[Any]]], None]") -> None:
    """Hand on what comes, from a thread. When the other side is gone this process ends, whatever it is doing, with all it started."""

    def loop() -> None:
        with contextlib.suppress(Lost):
            while True:
                take(*channel.receive())
        if hasattr(os, "killpg"):
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=loop, daemon=True).start()


def _contiguous(array: "NDArray[Any]") -> "NDArray[Any]":
    import numpy as np

    if array.dtype.kind not in "biuf":
        raise TypeError(f"only arrays of numbers are sent, not of {array.dtype}")
    return np.ascontiguousarray(array)


def _main(entry: str) -> None:
    channel = Channel(os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0))
    # Libraries may read and print: their stdin is empty, their stdout becomes stderr, and the pipes are ours alone.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    resolve_name(entry)(channel)
    sys.stderr.flush()
    os._exit(0)  # no native library's farewell may hang


if __name__ == "__main__":
    from gioconda_core.workers import child

    child._main(sys.argv[1])
