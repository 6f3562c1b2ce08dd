"""Iterators run ahead in threads of their own, their items taken in a given order: how one clip is decoded in several places at once.

Decoders let other Python threads run while they work, so each lane keeps a core busy. A lane stays at most ``ahead`` items before
the caller, so memory is bounded; an exception comes out where its lane's next item was due.
"""

import contextlib
import itertools
import queue
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class _Exhausted(RuntimeError):
    pass


def run_ahead(work: Iterator[T], ahead: int) -> Generator[T, None, None]:
    """The items of one work, up to ``ahead`` of them made before they are taken; otherwise as :func:`in_turn`."""

    def items() -> Generator[T, None, None]:
        yield from work

    with contextlib.suppress(_Exhausted):
        yield from in_turn([items()], itertools.repeat(0), ahead)


def in_turn(works: Sequence[Generator[T, None, None]], turns: Iterable[int], ahead: int) -> Iterator[T]:
    """The next item of ``works[i]`` for each i of ``turns``.

    Each work runs in one thread, from its first item until it is closed there; all have ended when this iterator ends or is closed.
    """
    lanes = [_Lane(work, ahead) for work in works]
    try:
        for i in turns:
            yield lanes[i].take()
    finally:
        for lane in lanes:
            lane.stop()
        for lane in lanes:
            lane.join()


class _Lane(Generic[T]):
    """One work in its thread. Started at once."""

    def __init__(self, work: Generator[T, None, None], ahead: int) -> None:
        self._work = work
        self._made: queue.SimpleQueue[tuple[T] | BaseException] = queue.SimpleQueue()
        self._room = threading.Semaphore(ahead)
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="lane", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with contextlib.closing(self._work):
                for item in self._work:
                    self._made.put((item,))
                    del item  # the caller's now: a frame held here would be one more than promised
                    self._room.acquire()
                    if self._stopped:
                        return
            raise _Exhausted("more was taken from a lane than its work gives")
        except BaseException as error:  # whatever it is, it is raised where the item was due
            self._made.put(error)

    def take(self) -> T:
        made = self._made.get()
        if isinstance(made, BaseException):
            raise made
        self._room.release()
        return made[0]

    def stop(self) -> None:
        self._stopped = True
        self._room.release()

    def join(self) -> None:
        self._thread.join()
