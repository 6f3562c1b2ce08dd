"""Processes for tests that kill them: forked from one that has imported everything, which spares each start seconds of processor time."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest import mock

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


def together(folder: Path, function: Callable[..., object], *arguments: object) -> list[Path]:
    """Run ``function(*arguments)`` in two processes as torchrun starts them: each is told its number, how many there are, and where they meet.

    Returns what each said, as files.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    logs, processes = [folder / f"{rank}.log" for rank in range(2)], []
    for rank, log in enumerate(logs):
        with mock.patch.dict(os.environ, told | {"RANK": str(rank), "LOCAL_RANK": str(rank)}):
            processes.append(start(log, function, *arguments))
    for process, log in zip(processes, logs, strict=True):
        process.join(280)
        assert process.exitcode == 0, log.read_text()[-2000:]
    return logs


def _logged(
    log: Path, function: Callable[..., object], arguments: tuple[object, ...], environment: dict[str, str]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with open(log, "w") as said, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = function(*arguments)
    raise SystemExit(code)
