"""Has the C library keep the memory that a training step frees, for the next step to use again.

glibc hands blocks of megabytes back to the kernel as they are freed, and every step then waits for thousands of fresh pages to be
cleared: a fifth of a step of ``sketch`` on two virtual cores (docs/performance.md, "Generator").
"""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names of malloc.h; glibc's mallopt(3)


def keep_freed() -> bool:
    """Neither map large blocks one by one nor trim the heap, from now on in this process. False where there is no glibc.

    The process keeps the most it ever used, which a loop of equal steps needs again anyway.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return mallopt is not None and bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, -1))
