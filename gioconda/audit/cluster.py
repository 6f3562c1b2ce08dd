"""The Ray engine: the same worker as an actor on one machine or many; a dead actor costs one row, as locally.

Files must be readable under the same path on every machine. ``RAY_ADDRESS`` joins a running cluster; without it a local one is
made for the run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

from gioconda_core.errors import UsageError

__all__ = ["answers"]


def answers(
    target: str, options: dict[str, Any], jobs: int, tasks: Iterator[dict[str, Any]], timeout: float
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None, str | None]]:
    """As ``gioconda_core.workers.pool.Pool.map``: (task, answer or None, error or None), at most ``jobs`` tasks in flight."""
    try:
        import ray
    except ImportError as error:
        raise UsageError("Ray is not installed", where="--engine ray", hint="pip install 'gioconda[ray]'") from error
    started = not ray.is_initialized()
    if started:
        local = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": jobs, "include_dashboard": False}
        for attempt in range(3):  # on a busy machine a node takes longer to come up than Ray waits
            try:
                ray.init(log_to_driver=False, logging_level="error", **local)
                break
            except Exception as error:
                ray.shutdown()
                if attempt == 2:
                    raise UsageError(f"Ray did not start: {error}", "--engine ray", "--engine local") from error

    @ray.remote(num_cpus=1, max_restarts=0)
    class Actor:
        def __init__(self) -> None:
            from gioconda_core.workers.cpu import keep_to
            from gioconda_core.workers.pool import make

            keep_to(1)
            self.work = make(target, options)

        def do(self, task: dict[str, Any]) -> dict[str, Any]:
            return self.work(task, lambda stage, share: None)

    free = [Actor.remote() for _ in range(jobs)]
    flying: dict[Any, tuple[Any, dict[str, Any], float]] = {}
    try:
        while True:
            while free and (task := next(tasks, None)) is not None:
                actor = free.pop()
                flying[actor.do.remote(task)] = (actor, task, time.monotonic())
            if not flying:
                return
            ready, _ = ray.wait(list(flying), num_returns=1, timeout=1.0)
            for reference in ready:
                actor, task, _ = flying.pop(reference)
                try:
                    yield task, ray.get(reference), None
                    free.append(actor)
                except ray.exceptions.RayTaskError as error:
                    cause = error.cause if getattr(error, "cause", None) else error
                    yield task, None, f"{type(cause).__name__}: {cause}".splitlines()[0][:500]
                    free.append(actor)
                except ray.exceptions.RayActorError as error:
                    if "creation task" in str(error):  # it could not be made at all: neither could the next
                        raise UsageError(
                            "workers cannot be made ready", hint=str(error).splitlines()[-1][:300]
                        ) from error
                    yield task, None, "its worker process ended"
                    free.append(Actor.remote())
            for reference, (actor, task, since) in list(flying.items()):
                if time.monotonic() - since > timeout:
                    del flying[reference]
                    ray.kill(actor)
                    free.append(Actor.remote())
                    yield task, None, f"gave no answer within {timeout:g} s"
    finally:
        for actor in [*free, *(actor for actor, _, _ in flying.values())]:
            ray.kill(actor)
        if started:
            ray.shutdown()
