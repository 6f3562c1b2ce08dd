"""Worker processes that may die: tasks and answers as JSON lines over pipes; a crash or a hang costs one task.

No pickle, nothing inherited from the parent but the environment, and no need for ``if __name__ == "__main__"`` in a caller's
script. A worker leads a process group of its own, so that ending it also ends the decoders and detectors it started.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from gioconda_core.errors import ExitCode, GiocondaError, UsageError
from gioconda_core.workers.cpu import cores, environment

__all__ = ["Fatal", "Pool", "Worker"]

Task = dict[str, Any]
Progress = Callable[[str, float], None]


class Fatal(GiocondaError):
    """A worker could not be made ready at all: the same would happen to every task."""


class Worker:
    """One process that holds ``target(**options)`` and answers tasks in order.

    target : ``module:name`` of a callable that returns a callable ``(task, progress) -> dict``.
    inbox : queue that receives ``(worker, message)``; message None when the process has ended.
    """

    def __init__(self, target: str, options: Mapping[str, Any], inbox: queue.Queue[Any], threads: int = 1) -> None:
        self.pending: deque[tuple[int, Task]] = deque()
        self.since = time.monotonic()  # when the task now worked on was begun, or the process started
        self.ready = False
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "gioconda_core.workers.pool", target, json.dumps(dict(options))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | environment(threads),
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        threading.Thread(target=self._listen, args=(inbox,), daemon=True).start()

    def _listen(self, inbox: queue.Queue[Any]) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                with contextlib.suppress(ValueError):  # a torn line of a killed worker
                    inbox.put((self, json.loads(line)))
        inbox.put((self, None))

    def send(self, number: int, task: Task) -> None:
        """Give the worker a task; it is answered after those before it."""
        assert self.process.stdin is not None
        if not self.pending:
            self.since = time.monotonic()
        self.pending.append((number, task))
        with contextlib.suppress(BrokenPipeError, OSError):  # it has died: the inbox will say so
            self.process.stdin.write(json.dumps({"n": number, "task": task}).encode() + b"\n")
            self.process.stdin.flush()

    def done(self, number: int) -> Task:
        """Take note of an answer; returns its task."""
        while self.pending:
            known, task = self.pending.popleft()
            if known == number:
                self.since = time.monotonic()
                return task
        raise KeyError(number)

    def kill(self) -> None:
        """End the process and everything it started, at once."""
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                import signal

                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()
        self._reap()

    def close(self) -> None:
        """Let it finish what it has in hand, for a moment; then end it."""
        with contextlib.suppress(OSError):
            if self.process.stdin is not None:
                self.process.stdin.close()
        try:
            self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            self.kill()

    def _reap(self) -> None:
        with contextlib.suppress(OSError):
            if self.process.stdin is not None:
                self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)


# Bytes of files (a task's ``size``) from which a worker is given no more than one task ahead, and a file goes to readers too.
LARGE = 4_000_000


class Pool:
    """``jobs`` workers over a stream of tasks, in bounded memory; order of answers is not that of tasks.

    timeout : seconds one task may take. depth : tasks a worker holds at once, more than one where tasks are tiny.
    readers : further workers, for large files only, where a task waits for the disk as often as for the processor.
    Each is started when there is first something for it to do: a short list of small files pays for no more than it needs.
    """

    def __init__(
        self,
        target: str,
        options: Mapping[str, Any],
        jobs: int,
        *,
        timeout: float = 900.0,
        depth: int = 1,
        readers: int = 0,
    ) -> None:
        self.target, self.options, self.timeout, self.depth = target, dict(options), timeout, depth
        self.inbox: queue.Queue[Any] = queue.Queue()
        self.jobs, self.readers, self.threads = jobs, readers, max(1, cores() // jobs)
        self.workers: list[Worker] = []
        self._stillborn = 0

    def _start(self) -> Worker:
        return Worker(self.target, self.options, self.inbox, self.threads)

    def map(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, dict[str, Any] | None, str | None]]:
        """(task, answer or None, error or None) for every task.

        Raises Fatal when workers cannot be made ready.
        """
        source = enumerate(tasks)
        again: deque[tuple[int, Task]] = deque()  # what dead workers had not begun
        while True:
            while (item := again.popleft() if again else next(source, None)) is not None:
                taker = self._taker(item[1])
                if taker is None:
                    again.appendleft(item)
                    break
                taker.send(*item)
            if not any(worker.pending for worker in self.workers):
                return
            try:
                worker, message = self.inbox.get(timeout=0.5)
            except queue.Empty:
                message = worker = None
            if worker is not None:
                yield from self._handle(worker, message, again)
            now = time.monotonic()
            for slow in self.workers:
                if slow.pending and slow.ready and now - slow.since > self.timeout:
                    _, task = slow.pending.popleft()
                    self._replace(slow, again)
                    yield task, None, f"gave no answer within {self.timeout:g} s"

    def _taker(self, task: Task) -> Worker | None:
        """Who has least to do, so that a short list is shared out and not swallowed by the first; None when nobody has room."""
        most = self.jobs + (self.readers if _size(task) >= LARGE else 0)
        if len(self.workers) < most and all(worker.pending for worker in self.workers):
            self.workers.append(self._start())
        able = (worker for worker in self.workers[:most] if self._room(worker))
        return min(able, key=lambda worker: len(worker.pending), default=None)

    def _room(self, worker: Worker) -> bool:
        waiting = len(worker.pending)
        if waiting < 2:
            return waiting < self.depth  # one task ahead, however large: no worker waits for us between two
        return waiting < self.depth and sum(_size(task) for _, task in worker.pending) < LARGE

    def _handle(self, worker: Worker, message: Any, again: deque[tuple[int, Task]]) -> Iterator[Any]:
        if worker not in self.workers:
            return  # the last words of one that was replaced
        if message is None:
            status = worker.process.wait()
            why = f"its worker process ended with {'signal ' + str(-status) if status < 0 else 'code ' + str(status)}"
            if not worker.ready:
                self._stillborn += 1
                if self._stillborn > 3:
                    raise Fatal("workers end before they are ready", hint=why)
                self._replace(worker, again)
                return
            blamed = worker.pending.popleft() if worker.pending else None
            self._replace(worker, again)
            if blamed is not None:
                yield blamed[1], None, why
        elif "fatal" in message:
            raise _error(message["fatal"])
        elif "ready" in message:
            worker.ready, worker.since, self._stillborn = True, time.monotonic(), 0
        elif "answer" in message:
            yield worker.done(message["n"]), message["answer"], None
        elif "error" in message:
            yield worker.done(message["n"]), None, message["error"]

    def _replace(self, worker: Worker, again: deque[tuple[int, Task]]) -> None:
        again.extend(worker.pending)
        worker.pending.clear()
        self.workers[self.workers.index(worker)] = self._start()
        worker.kill()

    def close(self) -> None:
        """End all workers."""
        for worker in self.workers:
            if worker.pending:
                worker.kill()
            else:
                worker.close()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _size(task: Task) -> int:
    return int(task.get("size") or 0)


def _error(told: Mapping[str, Any]) -> GiocondaError:
    kind = UsageError if told.get("exit") == ExitCode.USAGE else Fatal
    error = kind(told["what"], told.get("where", ""), told.get("hint", ""))
    error.exit_code = ExitCode(told.get("exit", ExitCode.FAULT))
    return error


# ------------------------------------------------------------------------- in the worker


def make(target: str, options: Mapping[str, Any]) -> Callable[[Task, Progress], dict[str, Any]]:
    """The callable a target names."""
    from importlib import import_module

    module, _, name = target.partition(":")
    made: Callable[[Task, Progress], dict[str, Any]] = getattr(import_module(module), name)(**options)
    return made


def _serve(target: str, options: Mapping[str, Any], source: Any, sink: Any) -> None:
    def say(message: Mapping[str, Any]) -> None:
        sink.write(json.dumps(message, allow_nan=False).encode() + b"\n")
        sink.flush()

    try:
        work = make(target, options)
    except GiocondaError as error:
        say({"fatal": {"what": error.what, "where": error.where, "hint": error.hint, "exit": int(error.exit_code)}})
        return
    except Exception as error:
        say({"fatal": {"what": f"{type(error).__name__}: {error}", "exit": int(ExitCode.FAULT)}})
        return
    say({"ready": os.getpid()})
    for line in source:
        order = json.loads(line)
        number = order["n"]
        last = 0.0

        def progress(stage: str, share: float, number: int = number) -> None:
            nonlocal last
            if time.monotonic() - last > 0.1:
                last = time.monotonic()
                say({"n": number, "progress": [stage, share]})

        try:
            say({"n": number, "answer": work(order["task"], progress)})
        except GiocondaError as error:
            say({"n": number, "error": str(error)})
        except Exception as error:
            say({"n": number, "error": f"{type(error).__name__}: {error}"[:500]})


def _outlive_nobody() -> None:
    """End, with everything started, when the parent is gone: killed, it could not tell us to."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        if hasattr(os, "killpg"):
            import signal

            os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    _outlive_nobody()
    # Detectors and libraries may print: their stdout becomes stderr, and the answers keep the real one to themselves.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        _serve(sys.argv[1], json.loads(sys.argv[2]), sys.stdin.buffer, answers)
