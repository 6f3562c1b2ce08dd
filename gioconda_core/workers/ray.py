"""The one place that imports Ray: the tasks of a pool, on one machine or many.

Each worker is an actor with a core of its own. What becomes of a task that goes wrong is what becomes of it in a pool. Files must be
readable under the same path on every machine. ``RAY_ADDRESS`` joins a running cluster, all of whose cores are used; without it a local
one is made for the run.
"""

import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gioconda_core.errors import UsageError
from gioconda_core.workers.cpu import keep_to
from gioconda_core.workers.pool import A, Failure, Result, Sharing, T, Why, Work, Workers, describe, make, unwatched


class _Actor:
    def __init__(self, target: str, options: Mapping[str, Any]) -> None:
        keep_to(1)
        self.work: Work = make(target, options)

    def do(self, task: Any) -> tuple[Any, str]:
        """The answer, or why there is none."""
        try:
            return self.work(task, unwatched), ""
        except Exception as error:
            return None, describe(error)


class RayPool(Workers[A]):
    """As :class:`gioconda_core.workers.pool.Pool`."""

    def __init__(self, target: str, options: Mapping[str, Any], jobs: int, limits: Sharing = Sharing()) -> None:
        try:
            import ray
        except ImportError as error:
            raise UsageError("Ray is not installed", "--engine ray", "pip install 'gioconda[ray]'") from error
        self.ray: Any = ray  # it has no types to name
        self.target, self.options = target, dict(options)
        self.timeout = limits.seconds
        self.own = not ray.is_initialized()
        if self.own:
            self._start(jobs)
        self.jobs = max(jobs, int(self.ray.cluster_resources().get("CPU", jobs)))

    def _start(self, jobs: int) -> None:
        where = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": jobs, "include_dashboard": False}
        for attempt in range(3):  # on a busy machine a node takes longer to come up than the half minute Ray waits
            try:
                self.ray.init(log_to_driver=False, logging_level=logging.ERROR, configure_logging=False, **where)
                return
            except Exception as error:
                self.ray.shutdown()
                if attempt == 2:
                    raise UsageError(f"Ray did not start: {error}", "--engine ray", "--engine local") from error

    def map(self, tasks: Iterable[T], *, ordered: bool = False) -> Iterator[Result[T, A]]:
        if ordered:
            raise NotImplementedError("answers of a cluster come as they are finished")
        kind = self.ray.remote(num_cpus=1, max_restarts=0)(_Actor)
        free: list[Any] = []
        begun: dict[Any, tuple[Any, T, float]] = {}
        source = iter(tasks)
        try:
            while True:
                while len(begun) < self.jobs and (task := next(source, None)) is not None:
                    actor = free.pop() if free else kind.remote(self.target, self.options)
                    begun[actor.do.remote(task)] = actor, task, time.monotonic()
                if not begun:
                    return
                done, _ = self.ray.wait(list(begun), num_returns=1, timeout=1.0)
                for reference in done:
                    actor, task, _ = begun.pop(reference)
                    answer, failure = self._answer(reference)
                    if failure is None or failure.why is Why.RAISED:
                        free.append(actor)
                    yield task, answer, failure
                now = time.monotonic()
                for reference in [r for r, (_, _, since) in begun.items() if now - since > self.timeout]:
                    actor, task, _ = begun.pop(reference)
                    self.ray.kill(actor)
                    yield task, None, Failure(Why.LATE, f"gave no answer within {self.timeout:g} s")
        finally:
            for actor in [*free, *(actor for actor, _, _ in begun.values())]:
                self.ray.kill(actor)

    def _answer(self, reference: Any) -> tuple[A | None, Failure | None]:
        try:
            answer, why = self.ray.get(reference)
            return answer, None if answer is not None else Failure(Why.RAISED, why)
        except self.ray.exceptions.RayActorError as error:
            if error.actor_init_failed:  # it could not be made at all: neither could the next
                reason = str(error).splitlines()[-1][:300]
                raise UsageError("workers cannot be made ready", hint=reason) from error
            return None, Failure(Why.ENDED, "its process ended")

    def close(self) -> None:
        if self.own:
            self.ray.shutdown()
