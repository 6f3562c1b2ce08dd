"""Processes for tests that kill them: forked from one that has imported everything, which spares each start seconds of processor time."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")


def ready(*modules: str) -> None:
    """Wait for the process that the others are forked from, with these modules imported: what comes after takes the time of a run."""
    CONTEXT.set_forkserver_preload(list(modules))
    first = CONTEXT.Process(target=int)
    first.start()
    first.join()


def start(log: Path, function: Callable[..., object], *arguments: object) -> BaseProcess:
    """Begin ``function(*arguments)`` in a process whose exit code is what it returns; what it says goes to a file."""
    # The process that they are forked from keeps the environment of the test that was first.
    process = CONTEXT.Process(target=_logged, args=(log, function, arguments, dict(os.environ)))
    process.start()
    return process


def _logged(
    log: Path, function: Callable[..., object], arguments: tuple[object, ...], environment: dict[str, str]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with open(log, "w") as said, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = function(*arguments)
    raise SystemExit(code)
