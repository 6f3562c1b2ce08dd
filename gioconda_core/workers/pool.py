"""Worker processes that may die: what every command that works on many clips shares its tasks out to.

A task and its answer are frozen dataclasses whose fields are JSON's own types, further dataclasses, or numpy arrays; a work says by the
type of its parameter ``task`` what it takes, its caller by ``answer`` what comes back. What becomes of a task that goes wrong is the same
everywhere, here and on Ray: one that raises, ends its worker or takes too long has a Failure for an answer, is not tried again,
and costs no other task. Workers answer in order, so it is known which task a dead one had in hand; a new worker takes what that one had
not begun.
"""

import math
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from enum import StrEnum
from pkgutil import resolve_name
from typing import Any, Generic, Protocol, Self, TypeVar, get_type_hints

from gioconda_core.documents import read
from gioconda_core.errors import ExitCode, GiocondaError, UsageError
from gioconda_core.workers.child import Channel, Child, Lost, listen
from gioconda_core.workers.cpu import cores

T = TypeVar("T")  # a task
A = TypeVar("A")  # its answer


class Progress(Protocol):
    """Told a stage's name and the share of all that is done; where something is counted, how many of about how many too."""

    def __call__(self, stage: str, share: float, *, done: int = 0, of: int = 0) -> None: ...


def unwatched(stage: str, share: float, *, done: int = 0, of: int = 0) -> None:
    """The :class:`Progress` of work that nobody watches."""


Work = Callable[[Any, Progress], Any]

_START_SECONDS = 900.0  # for a worker to be made ready: a network may have to be read from a slow disk


class Why(StrEnum):
    """Why a task has no answer."""

    RAISED = "raised"
    ENDED = "ended"  # its worker did
    LATE = "late"


@dataclass(frozen=True)
class Failure:
    """What became of a task that has no answer; ``str()`` of it is one line for a person."""

    why: Why
    text: str

    def __str__(self) -> str:
        return self.text


Result = tuple[T, A | None, Failure | None]


class Fatal(GiocondaError):
    """A worker could not be made ready at all: the same would happen to every task."""


class Workers(ABC, Generic[A]):
    """Whoever does tasks by ``target(**options)``: this process, other processes, or Ray.

    target : ``module:name`` of what is called once in each worker; what it returns is called with (task, progress) for each task.
    """

    @abstractmethod
    def map(self, tasks: Iterable[T], *, ordered: bool = False) -> Iterator[Result[T, A]]:
        """(task, answer or None, Failure or None) of every task, of which no more are taken than there is work for.

        ordered : in the order of the tasks, else as they are finished. Raises Fatal, or what the target raised that was to make a worker.
        """

    def close(self) -> None:
        """End what was started."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Sharing:
    """How tasks are shared out among workers.

    timeout : seconds one task may take, None = no limit. apart : never in this process, even for one job.
    depth : tasks a worker holds at once, more than two where they are tiny. readers : further workers, for large files only, where a task
    waits for the disk as often as for the processor. Ray knows the timeout alone: each of its actors has one task.
    """

    timeout: float | None = None
    apart: bool = False
    depth: int = 2
    readers: int = 0

    @property
    def seconds(self) -> float:
        """The timeout as a number."""
        return math.inf if self.timeout is None else self.timeout


def workers(
    engine: str, target: str, options: Mapping[str, Any], jobs: int, answer: type[A], limits: Sharing = Sharing()
) -> Workers[A]:
    """``local`` (in this process for one job, unless it is to be apart; else a Pool) or ``ray``.

    answer : what the target's answers are.
    """
    if engine == "ray":
        from gioconda_core.workers.ray import RayPool

        return RayPool(target, options, jobs, limits)
    if engine != "local":
        raise UsageError(f"unknown engine {engine!r}", where="--engine", hint="local or ray")
    return Pool(target, options, jobs, answer, limits) if limits.apart or jobs > 1 else Here(target, options)


def make(target: str, options: Mapping[str, Any]) -> Work:
    """The callable that a target gives."""
    made: Work = resolve_name(target)(**options)
    return made


def describe(error: BaseException) -> str:
    """One line that says what was raised."""
    if isinstance(error, GiocondaError):
        return str(error)
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


class Here(Workers[A]):
    """One task after another in this process: a crash or a hang is this process's own."""

    def __init__(self, target: str, options: Mapping[str, Any]) -> None:
        self.work = make(target, options)

    def map(self, tasks: Iterable[T], *, ordered: bool = False) -> Iterator[Result[T, A]]:
        for task in tasks:
            try:
                result: Result[T, A] = task, self.work(task, unwatched), None
            except Exception as error:
                result = task, None, Failure(Why.RAISED, describe(error))
            yield result


class Worker:
    """One process that holds ``target(**options)`` and answers tasks in order.

    inbox : queue that receives ``(worker, message)``; message None when the process has ended, else a dictionary with one of ``ready``
    (what the made object has to say of itself, its ``about``), ``fatal``, ``progress`` (stage, share, done, of), ``answer``, ``error``.
    """

    def __init__(self, target: str, options: Mapping[str, Any], inbox: queue.Queue[Any], threads: int = 1) -> None:
        self.pending: deque[tuple[int, Any]] = deque()
        self.since = time.monotonic()  # when the task now worked on was begun, or the process started
        self.ready = False
        self.child = Child("gioconda_core.workers.pool:serve", threads=threads)
        threading.Thread(target=self._listen, args=(inbox,), daemon=True).start()
        self._send({"target": target, "options": dict(options)})

    def _listen(self, inbox: queue.Queue[Any]) -> None:
        try:
            while True:
                message, arrays = self.child.receive()
                if arrays:
                    message["answer"] |= arrays
                inbox.put((self, message))
        except Lost:
            inbox.put((self, None))

    def _send(self, message: Mapping[str, Any], arrays: Mapping[str, Any] | None = None) -> None:
        try:
            self.child.send(message, arrays)
        except Lost:  # the inbox will say so
            return

    def send(self, number: int, task: Any) -> None:
        """Give the worker a task; it is answered after those before it."""
        if not self.pending:
            self.since = time.monotonic()
        self.pending.append((number, task))
        body, arrays = _apart(task)
        self._send({"n": number, "task": body}, arrays)

    def done(self, number: int) -> Any:
        """Take note of an answer; returns its task."""
        while self.pending:
            known, task = self.pending.popleft()
            if known == number:
                self.since = time.monotonic()
                return task
        raise KeyError(number)

    def kill(self) -> None:
        """End the process and everything it started, at once."""
        self.child.kill()


# Bytes of files (a task's ``size``) from which a worker is given no more than one task ahead, and a file goes to readers too.
LARGE = 4_000_000


class Pool(Workers[A]):
    """``jobs`` processes over a stream of tasks, in bounded memory.

    Each is started when there is first something for it to do: a short list of small files pays for no more than it needs.
    """

    def __init__(
        self, target: str, options: Mapping[str, Any], jobs: int, answer: type[A], limits: Sharing = Sharing()
    ) -> None:
        self.target, self.options, self.answer = target, dict(options), answer
        self.timeout, self.depth = limits.seconds, limits.depth
        self.inbox: queue.Queue[Any] = queue.Queue()
        self.jobs, self.readers, self.threads = jobs, limits.readers, max(1, cores() // jobs)
        self.workers: list[Worker] = []
        self._stillborn = 0

    def _start(self) -> Worker:
        return Worker(self.target, self.options, self.inbox, self.threads)

    def map(self, tasks: Iterable[T], *, ordered: bool = False) -> Iterator[Result[T, A]]:
        early: dict[int, Result[T, A]] = {}
        self._turn = 0  # of those in order, the next to be given
        for number, result in self._run(tasks, self.jobs if ordered else math.inf):
            if not ordered:
                yield result
                continue
            early[number] = result
            while (ready := early.pop(self._turn, None)) is not None:
                self._turn += 1
                yield ready

    def _run(self, tasks: Iterable[T], ahead: float) -> Iterator[tuple[int, Result[T, A]]]:
        """Results with their numbers. ahead : how far beyond ``_turn`` tasks are begun, so that few results wait for their turn."""
        source = enumerate(tasks)
        again: deque[tuple[int, T]] = deque()  # what nobody had room for, and what dead workers had not begun
        taken = 0
        while True:
            while again or taken <= self._turn + ahead:
                item = again.popleft() if again else next(source, None)
                if item is None:
                    break
                taken = max(taken, item[0] + 1)
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
            yield from self._late(again)

    def _taker(self, task: object) -> Worker | None:
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

    def _handle(
        self, worker: Worker, message: dict[str, Any] | None, again: deque[tuple[int, T]]
    ) -> Iterator[tuple[int, Result[T, A]]]:
        if worker not in self.workers:
            return  # the last words of one that was replaced
        if message is None:
            why = worker.child.obituary()
            if not worker.ready:
                self._stillborn += 1
                if self._stillborn > 3:
                    raise Fatal("workers end before they are ready", hint=why)
                self._replace(worker, again)
            else:
                yield from self._lose(worker, Failure(Why.ENDED, why), again)
        elif "fatal" in message:
            raise _error(message["fatal"])
        elif "ready" in message:
            worker.ready, worker.since, self._stillborn = True, time.monotonic(), 0
        elif "answer" in message:
            number = message["n"]
            yield number, (worker.done(number), read(self.answer, message["answer"]), None)
        elif "error" in message:
            number = message["n"]
            yield number, (worker.done(number), None, Failure(Why.RAISED, message["error"]))

    def _late(self, again: deque[tuple[int, T]]) -> Iterator[tuple[int, Result[T, A]]]:
        """Give up on tasks that take too long."""
        now = time.monotonic()
        for worker in [w for w in self.workers if w.pending]:
            if worker.ready and now - worker.since > self.timeout:
                yield from self._lose(worker, Failure(Why.LATE, f"gave no answer within {self.timeout:g} s"), again)
            elif not worker.ready and now - worker.since > _START_SECONDS:
                raise Fatal(f"a worker was not ready within {_START_SECONDS:g} s")

    def _lose(
        self, worker: Worker, failure: Failure, again: deque[tuple[int, T]]
    ) -> Iterator[tuple[int, Result[T, A]]]:
        """Another worker for this one; the task that it had in hand is lost."""
        blamed = worker.pending.popleft() if worker.pending else None
        self._replace(worker, again)
        if blamed is not None:
            yield blamed[0], (blamed[1], None, failure)

    def _replace(self, worker: Worker, again: deque[tuple[int, T]]) -> None:
        again.extend(worker.pending)
        worker.pending.clear()
        self.workers[self.workers.index(worker)] = self._start()
        worker.kill()

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()


def _size(task: object) -> int:
    return int(getattr(task, "size", 0) or 0)


def _apart(content: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is JSON, and what is an array."""
    given = vars(content) if is_dataclass(content) else content
    arrays = {name: value for name, value in given.items() if hasattr(value, "dtype") and hasattr(value, "shape")}
    return {name: value for name, value in given.items() if name not in arrays}, arrays


def _error(told: Mapping[str, Any]) -> GiocondaError:
    kind = UsageError if told["exit"] == ExitCode.USAGE else Fatal
    error = kind(told["what"], told["where"], told["hint"])
    error.exit_code = ExitCode(told["exit"])
    return error


# ------------------------------------------------------------------------- in the worker


def _takes(work: object) -> Any:
    """What a work's task is declared to be; a plain dictionary where it is not."""
    call = work if hasattr(work, "__name__") else getattr(type(work), "__call__", None)  # noqa: B004 - not whether, but what
    return get_type_hints(call).get("task", dict) if call is not None else dict


def serve(channel: Channel) -> None:
    """Make what does the work, then answer tasks until the other side closes."""
    inbox: queue.Queue[tuple[dict[str, Any], dict[str, Any]]] = queue.Queue()
    listen(channel, lambda message, arrays: inbox.put((message, arrays)))
    order, _ = inbox.get()
    try:
        work = make(order["target"], order["options"])
        kind = _takes(work)
    except Exception as error:
        failure = error if isinstance(error, GiocondaError) else GiocondaError(describe(error))
        about = {"what": failure.what, "where": failure.where, "hint": failure.hint, "exit": int(failure.exit_code)}
        channel.send({"fatal": about})
        return
    channel.send({"ready": getattr(work, "about", None)})
    while True:
        order, arrays = inbox.get()
        number = order["n"]
        last = 0.0

        def progress(stage: str, share: float, *, done: int = 0, of: int = 0, number: int = number) -> None:
            nonlocal last
            if time.monotonic() - last > 0.1:
                last = time.monotonic()
                channel.send({"n": number, "progress": [stage, share, done, of]})

        try:
            answer, found = _apart(work(read(kind, order["task"] | arrays), progress))
            channel.send({"n": number, "answer": answer}, found)
        except Lost:
            return
        except Exception as error:
            channel.send({"n": number, "error": describe(error)})
