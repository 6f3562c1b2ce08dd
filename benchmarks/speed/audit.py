"""How fast an audit is: credentials only against reading every byte once, and full examination from one process to two.

Everything is interleaved in one run and told as ratios, since other work on the machine moves absolute numbers; ``others`` is
the share of all cores that it took in each turn.

    python -m benchmarks.speed.audit --megabytes 3000 --repeats 3
    python -m benchmarks.speed.audit --scaling --clips 24
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from gioconda_core.files import sha256_of

PIECE = 1 << 20


def _read(path: str) -> int:
    """Every byte once, nothing done with it: the floor under any audit."""
    total = 0
    buffer = bytearray(PIECE)
    with open(path, "rb", buffering=0) as file:
        while n := file.readinto(buffer):
            total += n
    return total


def _hash(path: str) -> int:
    """Every byte once, hashed: the floor under an audit that knows content again."""
    sha256_of(path)
    return os.path.getsize(path)


def _floor(path: str) -> int:
    """What an audit cannot do without: every byte hashed once, and the bare library's reading of the credential, which hashes again."""
    import c2pa

    _hash(path)
    with contextlib.suppress(c2pa.C2paError):
        c2pa.Reader(path).json()
    return os.path.getsize(path)


def _all(work: Callable[[str], int], files: list[str], jobs: int) -> float:
    with ProcessPoolExecutor(jobs) as pool:
        list(pool.map(_nothing, range(jobs)))  # processes are there before the clock starts
        start = time.perf_counter()
        list(pool.map(work, files))
        return time.perf_counter() - start


def _forget(files: list[str]) -> None:
    """Drop files from the system's cache, so that they are read from the disk, as a tree is the first time."""
    for path in files:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def _busy() -> tuple[float, float]:
    """CPU seconds of the whole machine and of this process with its children, so far."""
    import psutil

    times = psutil.cpu_times()
    machine = sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
    return machine, sum(os.times()[:4])


@contextlib.contextmanager
def _beside(into: list[float]) -> Iterator[None]:
    """Note the share of all cores that other programs took meanwhile: a figure by the clock is worth little beside a busy neighbour."""
    start, (machine, own) = time.perf_counter(), _busy()
    yield
    after, ours = _busy()
    room = (time.perf_counter() - start) * (os.cpu_count() or 1)
    into.append(round(max(0.0, (after - machine) - (ours - own)) / room, 3))


def _nothing(_: int) -> None:
    return None


def _audit(tree: Path, jobs: int, detectors: tuple[str, ...] | None) -> float:
    """Seconds for every file but the first: the command over the tree, less the command over one of its files.

    Both start the program and its workers and write the tables. The command is run as a person would: a benchmark stands below
    the application and imports nothing of it.
    """
    one = min(path for path in tree.iterdir())
    return _command(tree, jobs, detectors) - _command(one, jobs, detectors)


def _command(path: Path, jobs: int, detectors: tuple[str, ...] | None) -> float:
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "gioconda", "audit", str(path), "--out", out, "--jobs", str(jobs), "-q"]
        if detectors is not None:
            command += ["--detectors", ",".join(detectors) or "none"]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start


def credentials_only(megabytes: int, repeats: int, jobs: int, cold: bool) -> dict[str, Any]:
    """Ratios of a credentials-only audit to reading, and to reading and hashing, every byte once; half the bytes are signed."""
    from gioconda_core.types import Claim
    from provenance.signing import sign
    from synth.puppets.perform import perform

    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        small, signed = tree / "small.mp4", tree / "signed.mp4"
        _clip(small, perform(1, 1, frames=25, size=256), 24)
        claim = Claim("speed", "control", "real", "speed", "1")
        sign.sign_file(small, signed, claim)
        (tree / "media").mkdir()
        size = small.stat().st_size
        for i in range(max(4, megabytes * 1_000_000 // size)):
            shutil.copyfile(signed if i % 2 else small, tree / "media" / f"{i}.mp4")
            with open(tree / "media" / f"{i}.mp4", "ab") as file:  # a box of its own: each content is met once
                file.write((16).to_bytes(4, "big") + b"free" + i.to_bytes(8, "big"))
        files = sorted(str(p) for p in (tree / "media").iterdir())
        floors = {"read": _read, "hash": _hash, "floor": _floor}
        figures: dict[str, list[float]] = {name: [] for name in (*floors, "audit")}
        others: list[float] = []
        for _ in range(repeats):
            for name in figures:
                if cold:
                    _forget(files)
                with _beside(others):
                    if name == "audit":
                        figures[name].append(_audit(tree / "media", jobs, ()))
                    else:
                        figures[name].append(_all(floors[name], files, jobs))
        total = sum(os.path.getsize(p) for p in files)
        over = {
            f"audit_over_{name}": statistics.median(a / b for a, b in zip(figures["audit"], figures[name], strict=True))
            for name in floors
        }
        return {
            "files": len(files),
            "bytes": total,
            "jobs": jobs,
            "cold": cold,
            "seconds": figures,
            "others": others,
            **over,
        }


def _clip(path: Path, performance: Any, copies: int) -> None:
    """A file of many megabytes: one take again and again, hardly compressed."""
    import numpy as np

    from gioconda_core.media.clip import write_video

    write_video(path, np.concatenate([performance.frames] * copies), fps=performance.fps, crf=1)


def scaling(clips: int, repeats: int) -> dict[str, Any]:
    """Full examination by the shipped detectors: one process held to one core, one that may use both (the face detector's search runs
    beside the rest), and two processes."""
    from gioconda_core.media.clip import write_video
    from synth.puppets.perform import perform

    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        os.environ["GIOCONDA_CACHE"] = str(tree / "cache")
        (tree / "media").mkdir()
        for i in range(clips):
            take = perform(i, i, frames=50, size=256)
            write_video(tree / "media" / f"{i}.mp4", take.frames, fps=take.fps)
        turns: dict[str, list[float]] = {"one_core": [], "one": [], "two": []}
        others: list[float] = []
        cores = os.sched_getaffinity(0)
        for _ in range(repeats):
            for name, into in turns.items():
                shutil.rmtree(tree / "cache", ignore_errors=True)
                os.sched_setaffinity(0, {min(cores)} if name == "one_core" else cores)  # workers inherit it
                with _beside(others):
                    into.append(_audit(tree / "media", 2 if name == "two" else 1, None))
        os.sched_setaffinity(0, cores)
        speedup = {
            f"two_over_{name}": statistics.median(a / b for a, b in zip(turns[name], turns["two"], strict=True))
            for name in ("one_core", "one")
        }
        return {"clips": clips, **turns, "others": others, **speedup}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--warm", action="store_true", help="read from the system's cache instead of the disk")
    parser.add_argument("--scaling", action="store_true")
    parser.add_argument("--clips", type=int, default=24)
    given = parser.parse_args()
    if given.scaling:
        found = scaling(given.clips, given.repeats)
    else:
        found = credentials_only(given.megabytes, given.repeats, given.jobs, not given.warm)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
