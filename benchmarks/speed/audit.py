"""Measures how fast an audit is: credentials only against reading every byte once, and full examination from one process to two.

Ratios are of seconds by the clock; ``others`` is the share of all cores that other programs took in each turn.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.speed.arms import Case, drawn
from gioconda_core.files import sha256_of
from gioconda_core.media.clip import write_video
from gioconda_core.types import Claim
from provenance.signing import sign
from synth.puppets.perform import perform


def read(path: str) -> None:
    """Every byte once, nothing done with it: the floor under any audit."""
    buffer = bytearray(1 << 20)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def floor(path: str) -> None:
    """What an audit cannot do without: every byte hashed once, and the bare library's reading of the credential, which hashes again."""
    import c2pa

    sha256_of(path)
    with contextlib.suppress(c2pa.C2paError):
        c2pa.Reader(path).json()


FLOORS: dict[str, Callable[[str], object]] = {"read": read, "hash": sha256_of, "floor": floor}


def over(work: Callable[[str], object], files: list[str], jobs: int) -> float:
    """Seconds of a piece of work over every file, once its processes are there."""
    with ProcessPoolExecutor(jobs) as pool:
        list(pool.map(abs, range(jobs)))
        start = time.perf_counter()
        list(pool.map(work, files))
        return time.perf_counter() - start


def forget(files: list[str]) -> None:
    """Drop files from the system's cache, so that they are read from the disk, as a tree is the first time."""
    for path in files:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def audit(tree: Path, jobs: int, *more: str) -> float:
    """Seconds for every file but the first: the command over the tree, less the command over one of its files.

    Both start the program and its workers and write the tables. The command is run as a person would: a benchmark stands below
    the application and imports nothing of it.
    """
    return command(tree, jobs, *more) - command(min(tree.iterdir()), jobs, *more)


def command(path: Path, jobs: int, *more: str) -> float:
    """Seconds of ``gioconda audit`` over a path."""
    with tempfile.TemporaryDirectory() as out:
        line = [sys.executable, "-m", "gioconda", "audit", str(path), "--out", out, "--jobs", str(jobs), "-q", *more]
        start = time.perf_counter()
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start


def tree_of(folder: Path, megabytes: int) -> Path:
    """Large clips that are hardly compressed, of up to 24 s, every second of them signed."""
    small, signed, media = folder / "small.mp4", folder / "signed.mp4", folder / "media"
    take = perform(1, 1, frames=25, size=256)
    write_video(small, np.concatenate([take.frames] * min(24, megabytes)), fps=take.fps, crf=1)
    sign.sign_file(small, signed, Claim("speed", "control", "real", "speed", "1"))
    media.mkdir()
    for i in range(max(4, megabytes * 1_000_000 // small.stat().st_size)):
        shutil.copyfile(signed if i % 2 else small, media / f"{i}.mp4")
        with open(media / f"{i}.mp4", "ab") as file:  # a box of its own: each content is met once
            file.write((16).to_bytes(4, "big") + b"free" + i.to_bytes(8, "big"))
    return media


def credentials_only(folder: Path, megabytes: int, jobs: int, warm: bool, rounds: int) -> Case:
    """A credentials-only audit over reading, hashing and the floor; half the bytes are signed."""
    media = tree_of(folder, megabytes)
    files = sorted(str(p) for p in media.iterdir())

    def cold(work: Callable[[], float]) -> float:
        if not warm:
            forget(files)
        return work()

    ways = {name: partial(over, work, files, jobs) for name, work in FLOORS.items()}
    ways["audit"] = partial(audit, media, jobs, "--detectors", "none")
    about = {"files": len(files), "bytes": sum(map(os.path.getsize, files)), "jobs": jobs, "cold": not warm}
    ratios = {f"audit over {name}": ("audit", name) for name in FLOORS}
    return Case(about, {name: partial(cold, work) for name, work in ways.items()}, rounds, ratios, of=["result"])


def scaled(folder: Path, clips: int, rounds: int) -> Case:
    """Full examination by the shipped detectors: one process held to one core, one that may use both (the face detector's search runs
    beside the rest), and two processes."""
    drawn(folder / "media", clips, 50, 256)
    cores = os.sched_getaffinity(0)

    def examine(jobs: int, on: set[int]) -> float:
        shutil.rmtree(os.environ["GIOCONDA_CACHE"], ignore_errors=True)
        os.sched_setaffinity(0, on)  # workers inherit it
        return audit(folder / "media", jobs)

    ways = {"one core": (1, {min(cores)}), "one": (1, cores), "two": (2, cores)}
    ratios = {f"two over {name}": (name, "two") for name in ("one core", "one")}
    return Case({"clips": clips}, {n: partial(examine, *how) for n, how in ways.items()}, rounds, ratios, of=["result"])


def cases(
    folder: Path, megabytes: int = 3000, jobs: int = 2, warm: bool = False, scaling: bool = False, clips: int = 24,
    rounds: int = 3,
) -> list[Case]:  # fmt: skip
    """One case: full examination of so many ``clips`` where ``scaling`` is asked for, else credentials of so many megabytes."""
    return [scaled(folder, clips, rounds) if scaling else credentials_only(folder, megabytes, jobs, warm, rounds)]
