"""Where the work of a run is done: in this process, in processes of this machine, or on Ray; one interface, bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from gioconda_core.errors import UsageError
from gioconda_core.workers.cpu import keep_to, settle

__all__ = ["Engine", "engine"]

AHEAD = 4  # tasks waiting for each worker


class Engine(Protocol):
    """Calls ``work(plan, task)`` for each task and yields (task, rows or the error that ended its worker), in any order."""

    def map(self, work: Callable[[Any, Any], Any], plan: Any, tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]: ...


class _Here:
    def map(self, work: Callable[[Any, Any], Any], plan: Any, tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        for task in tasks:
            try:
                yield task, work(plan, task)
            except Exception as error:
                yield task, error


class _Processes:
    """A pool of processes that survives the death of one: its task is tried once more, then reported."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._pool: Any = None

    def _start(self) -> None:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        # spawn: a fork of a process with OpenMP or codec threads in it may hang
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(self.jobs, mp_context=context, initializer=settle)

    def map(self, work: Callable[[Any, Any], Any], plan: Any, tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        from concurrent.futures import FIRST_COMPLETED, wait
        from concurrent.futures.process import BrokenProcessPool

        source = iter(tasks)
        again: deque[Any] = deque()
        running: dict[Any, Any] = {}
        alone = False  # after a death one task runs at a time until the suspects are through, so that only one can be blamed
        while True:
            room = 1 if alone else self.jobs * AHEAD
            while len(running) < room:
                task = again.popleft() if again else next(source, None) if not alone else None
                if task is None:
                    break
                if self._pool is None:
                    self._start()
                try:
                    running[self._pool.submit(work, plan, task)] = task
                except BrokenProcessPool:  # it broke a moment ago; what was running says so below
                    again.appendleft(task)
                    if not running:
                        self._pool = None
                    break
            if not running and again:
                continue
            if not running:
                if alone:
                    alone = False
                    continue
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            died: list[Any] = []
            for future in done:
                task = running.pop(future)
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    died.append(task)
                elif error is not None:
                    yield task, error
                else:
                    yield task, future.result()
            if died:
                suspects = [*died, *running.values()]
                running.clear()
                self._pool.shutdown(wait=False, cancel_futures=True)
                self._pool = None
                if alone:  # it was by itself: it is the one that kills
                    yield suspects.pop(), RuntimeError("its process ended without a word")
                again.extend(suspects)
                alone = True

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


class _Ray:
    """Ray on one machine or a cluster: the same work, one task a clip, a bounded number in flight."""

    def __init__(self, jobs: int) -> None:
        import logging
        import os

        try:
            import ray
        except ImportError as error:
            raise UsageError("Ray is not installed", hint='pip install "gioconda[ray]"') from error
        self.ray: Any = ray
        self.own = not ray.is_initialized()
        if self.own:
            address = os.environ.get("RAY_ADDRESS")
            where: dict[str, Any] = {"address": address} if address else {"num_cpus": jobs, "include_dashboard": False}
            for attempt in range(3):  # on a busy machine a node takes longer to come up than the half minute Ray waits
                try:
                    ray.init(log_to_driver=False, logging_level=logging.ERROR, configure_logging=False, **where)
                    break
                except Exception as error:
                    ray.shutdown()
                    if attempt == 2:
                        raise UsageError(
                            f"Ray did not start: {error}", where="--engine ray", hint="--engine local"
                        ) from error
        self.jobs = max(jobs, int(self.ray.cluster_resources().get("CPU", jobs)))

    def map(self, work: Callable[[Any, Any], Any], plan: Any, tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        def alone(plan: Any, task: Any) -> Any:
            keep_to(1)
            return work(plan, task)

        call = self.ray.remote(num_cpus=1, max_retries=1)(alone)
        shared = self.ray.put(plan)
        source = iter(tasks)
        running: dict[Any, Any] = {}
        while True:
            while len(running) < self.jobs * AHEAD:
                task = next(source, None)
                if task is None:
                    break
                running[call.remote(shared, task)] = task
            if not running:
                return
            done, _ = self.ray.wait(list(running), num_returns=1)
            for reference in done:
                task = running.pop(reference)
                try:
                    yield task, self.ray.get(reference)
                except Exception as error:
                    yield task, error

    def close(self) -> None:
        if self.own:
            self.ray.shutdown()


@contextmanager
def engine(name: str, jobs: int) -> Iterator[Engine]:
    """``local`` (in this process for one job, else processes) or ``ray``."""
    if name == "ray":
        found: Any = _Ray(jobs)
    elif name == "local":
        found = _Here() if jobs <= 1 else _Processes(jobs)
    else:
        raise UsageError(f"unknown engine {name!r}", where="--engine", hint="local or ray")
    try:
        yield found
    finally:
        if hasattr(found, "close"):
            found.close()
