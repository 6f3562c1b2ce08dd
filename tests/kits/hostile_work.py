"""Work for workers that misbehaves as its task says: ``Work`` is a pool's target."""

import os
import sys
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Task:
    do: str
    i: int = 0
    size: int = 0
    array: NDArray | None = None


@dataclass(frozen=True)
class Answer:
    did: str = ""
    pid: int = 0
    twice: NDArray | None = None
    names: tuple[str, ...] = ()
    task: Task | None = None


class Work:
    def __init__(self, fail=False):
        self.about = {"name": "hostile"}
        if fail == "hangs":
            time.sleep(60)
        if fail == "dies":
            os._exit(9)
        if fail:
            from gioconda_core.errors import UsageError

            raise UsageError("no such detector", hint="look again")

    def __call__(self, task: Task, progress):
        print("noise on stdout")
        what = task.do
        if what == "die":
            os._exit(7)
        if what == "segv":
            os.kill(os.getpid(), 11)
        if what == "hang":
            time.sleep(60)
        if what == "slow":
            time.sleep(1.5)
        if what == "raise":
            raise ValueError("poisoned")
        if what == "exit":
            sys.exit(3)
        if what == "child":  # a decoder that a worker started, which holds none of its pipes
            import subprocess

            return Answer(pid=subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid)
        if what == "double":
            return Answer(twice=task.array * 2, names=(str(task.array.dtype),))
        if what == "objects":
            return Answer(twice=np.array([object()]))
        return Answer(what, os.getpid(), task=task)
