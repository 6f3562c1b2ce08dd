"""How many cores a process may keep busy, and how one among several workers is held to its own.

Libraries take every core they see, and their threads spin while they wait: two workers of two threads each are slower on two cores
than two of one.
"""

import os
import sys

_OURS = "GIOCONDA_CORES"
_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


def cores() -> int:
    """Cores this process may keep busy: those the system lets it run on, or fewer in a worker that shares them with others."""
    seen = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = os.environ.get(_OURS, "")
    return max(1, min(seen, int(allowed))) if allowed.isdecimal() else seen


def environment(count: int) -> dict[str, str]:
    """Variables that hold a process about to be started, and what it starts in turn, to so many cores."""
    return {name: str(count) for name in (_OURS, *_LIBRARIES)}


def keep_to(count: int) -> None:
    """Hold this process, which has begun, to so many cores."""
    os.environ.update(environment(count))
    if "cv2" in sys.modules:  # imported later, it reads the environment
        sys.modules["cv2"].setNumThreads(count)
