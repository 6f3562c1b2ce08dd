"""Measures how fast an audit of credentials is, against reading every byte once.

Ratios are of seconds by the clock; ``others`` is the share of all cores that other programs took in each turn.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.speed.arms import Case
from benchmarks.speed.provenance import make_video
from gioconda_core.types import Claim
from provenance.signing import sign


def read(path: str) -> None:
    """Every byte once, nothing done with it: the floor under any audit."""
    buffer = bytearray(1 << 20)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def reading(files: list[str], jobs: int) -> float:
    """Seconds of reading every file, once the processes are there."""
    with ProcessPoolExecutor(jobs) as pool:
        list(pool.map(abs, range(jobs)))
        start = time.perf_counter()
        list(pool.map(read, files))
        return time.perf_counter() - start


def forget(files: list[str]) -> None:
    """Drop files from the system's cache, so that they are read from the disk, as a tree is the first time."""
    for path in files:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def audit(tree: Path, jobs: int) -> float:
    """Seconds for every file but the first: the command over the tree, less the command over one of its files.

    Both start the program and its workers and write the tables. The command is run as a person would: a benchmark stands below
    the application and imports nothing of it.
    """
    return command(tree, jobs) - command(min(tree.iterdir()), jobs)


def command(path: Path, jobs: int) -> float:
    """Seconds of ``gioconda audit`` over a path, credentials only."""
    with tempfile.TemporaryDirectory() as out:
        line = [sys.executable, "-m", "gioconda", "audit", str(path), "--detectors", "none", "--out", out, "--jobs", str(jobs), "-q"]  # fmt: skip
        start = time.perf_counter()
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start


def tree_of(folder: Path, megabytes: int) -> Path:
    """Clips of up to 24 MB, every second of them signed."""
    small, signed, media = folder / "small.mp4", folder / "signed.mp4", folder / "media"
    make_video(small, min(24, megabytes))
    sign.sign_file(small, signed, Claim("speed", "control", "real", "speed", "1"))
    media.mkdir()
    for i in range(max(4, megabytes * 1_000_000 // small.stat().st_size)):
        shutil.copyfile(signed if i % 2 else small, media / f"{i}.mp4")
        with open(media / f"{i}.mp4", "ab") as file:  # a box of its own: each content is met once
            file.write((16).to_bytes(4, "big") + b"free" + i.to_bytes(8, "big"))
    return media


def cases(folder: Path, megabytes: int = 3000, jobs: int = 2, warm: bool = False, rounds: int = 3) -> list[Case]:
    """One case, of so many megabytes, half of them signed. warm : files stay in the system's cache."""
    media = tree_of(folder, megabytes)
    files = sorted(str(p) for p in media.iterdir())

    def cold(work: partial[float]) -> float:
        if not warm:
            forget(files)
        return work()

    ways = {"read": partial(reading, files, jobs), "audit": partial(audit, media, jobs)}
    about = {"files": len(files), "bytes": sum(map(os.path.getsize, files)), "jobs": jobs, "cold": not warm}
    ratios = {"audit over read": ("audit", "read")}
    return [Case(about, {name: partial(cold, work) for name, work in ways.items()}, rounds, ratios, of=["result"])]
