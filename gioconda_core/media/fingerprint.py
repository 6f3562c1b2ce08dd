"""Hashes of an index's files: of the bytes, of the decoded frames (essence), and perceptual hashes for near-duplicates.

The essence hash is over the decoded RGB of every frame, so that it survives a changed manifest or a remux but not a re-encode;
the perceptual hash (DCT, 64 bits a frame, three frames) survives a mild re-encode and resize.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core.datasets.index import Index
from gioconda_core.errors import GiocondaError
from gioconda_core.files import append_row, read_rows, sha256_of
from gioconda_core.media.clip import Clip
from gioconda_core.types import Sample

PERCEPTUAL_FRAMES = 3


def essence(frames: Iterable[NDArray[np.uint8]]) -> str:
    """sha256 over the frames' shapes and pixels, hex: the same for every file that holds the same decoded frames.

    frames : uint8 (H, W, 3) each, RGB, upright, in order.
    """
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(repr(frame.shape).encode())
        digest.update(np.ascontiguousarray(frame).tobytes())
    return digest.hexdigest()


def perceptual(frames: Iterable[NDArray[np.uint8]]) -> str:
    """64-bit DCT hash of each given frame, hex, joined by ``;``; one that is all zero (a flat picture) is left out."""
    return ";".join(f"{value:016x}" for value in map(bits, frames) if value)


def bits(frame: NDArray[np.uint8]) -> int:
    """The hash of one frame as a number of 64 bits, 0 of a flat picture.

    A bit says whether one of the 8 × 8 lowest frequencies of the picture, at 32 × 32 in grey, lies above their median: the hash that
    imagehash calls phash, bit for bit, without the second that its libraries take to load. Source: hackerfactor.com, "Looks Like It".
    """
    import cv2
    from PIL import Image

    grey = Image.fromarray(frame).convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    low = cv2.dct(np.asarray(grey, np.float64))[:8, :8]
    low[0] *= np.sqrt(2)  # of a transform without norms, as that hash was defined
    low[:, 0] *= np.sqrt(2)
    value = int("".join("01"[bit] for bit in (low > np.median(low)).ravel().astype(int)), 2)
    return value if value.bit_count() > 1 else 0


def _one(path: Path, decode: bool) -> dict[str, str]:
    if path.is_dir():
        return {"failure": "is a folder"}
    try:
        row = {"sha256": sha256_of(path)}
    except OSError as error:
        return {"failure": f"cannot be read: {error.strerror}"}
    if decode:
        try:
            with Clip.open(path, sandbox=True) as clip:
                row["essence"] = essence(frame for _, frame in clip.frames("all"))
                row["phash"] = perceptual(clip.sample(f"even:{PERCEPTUAL_FRAMES}")[0])
        except GiocondaError as error:
            row["failure"] = error.what
    return row


def fingerprint_index(
    index: Index,
    *,
    journal: Path,
    relative_to: Path,
    decode: bool = True,
    jobs: int = 2,
    advance: Callable[[], Any] = lambda: None,
) -> tuple[Index, list[tuple[str, str]]]:
    """Hash every file of an index; rows go to ``journal`` as they are done, so that an interrupted run resumes.

    Returns the index with paths relative to ``relative_to``, and (path, reason) of files that could not be read or decoded:
    they stay in the index, without the hash that failed.
    """
    from concurrent.futures import ThreadPoolExecutor

    done = {(row["path"], row["stamp"]): row for row in read_rows(journal)}
    paths = [index.resolve(sample) for sample in index]

    def work(path: Path) -> dict[str, Any]:
        try:
            stat = os.stat(path)
            stamp = f"{stat.st_size}:{stat.st_mtime_ns}:{int(decode)}"
        except OSError:
            return {"path": str(path), "failure": "is missing"}
        found = done.get((str(path), stamp))
        return found or {"path": str(path), "stamp": stamp, **_one(path, decode), "new": "1"}

    samples: list[Sample] = []
    failures: list[tuple[str, str]] = []
    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        for sample, row in zip(index, pool.map(work, paths), strict=True):
            if row.pop("new", ""):
                append_row(journal, row)
            if "failure" in row:
                failures.append((sample.path, row["failure"]))
            hashes = {name: row.get(name, "") for name in ("essence", "phash")}
            samples.append(replace(sample, sha256=row.get("sha256", sample.sha256), **hashes))
            advance()
    return index.with_samples(samples).rebased(relative_to), failures
