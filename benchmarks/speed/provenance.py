"""Measures Content Credentials against the bare library: time to sign and to verify, and memory.

Ours does more in each call: reads back what it signed, applies its policy, flushes to the disk and renames. Large files are taken in
processes of their own, so that peak memory is each one's own. Ratios are of processor time, and of wall time less the waiting for the
disk that only ours does (``flush``).
"""

import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from functools import cached_property, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import c2pa
import numpy as np

from benchmarks.speed.arms import Case, Ratio, Rounds, take
from gioconda_core.media.clip import write_video
from gioconda_core.testing import peak_memory
from provenance.keys import certificates, keys
from provenance.reading import read
from provenance.sdk import engine
from provenance.signing import claims, sign, signers
from provenance.trust.lists import Trust, TrustList

MEGABYTE = 2**20
PAIRS = {"sign": "bare-sign", "verify": "bare-verify"}


def make_video(path: Path, megabytes: float) -> None:
    """A playable MP4 whose media box, the last in the file, is lengthened with noise."""
    noise = np.random.default_rng(0)
    write_video(path, (noise.integers(0, 255, (64, 64, 3), np.uint8) for _ in range(5)), fps=Fraction(25))
    left = int(megabytes * MEGABYTE) - path.stat().st_size
    with open(path, "r+b") as file:
        data = file.read()
        at = data.rindex(b"mdat") - 4
        size = int.from_bytes(data[at : at + 4], "big")
        assert at + size == len(data), "the media box is not the last"
        file.seek(at)
        file.write((size + left).to_bytes(4, "big"))
        file.seek(0, os.SEEK_END)
        while left > 0:
            file.write(noise.bytes(min(left, MEGABYTE)))
            left -= MEGABYTE


class Both:
    """The two libraries with one key, one statement and one list: ours, and the bare one as its documentation shows it, without network."""

    def __init__(self, key: Path) -> None:
        self.signer = signers.PemSigner(key)
        root = certificates.pem(certificates.certificates_in(self.signer.chain)[-1])
        self.statement = claims.Credential("b", actions=(claims.Action("c2pa.created", "trainedAlgorithmicMedia"),))
        self.lists = Trust((TrustList("bench", "manifest", root, "0" * 64, "2026-01-01"),))

    @cached_property
    def context(self) -> Any:
        """The bare library's settings: the same list, nothing read back."""
        settings = engine.settings(self.lists.anchors)
        del settings["core"]["backing_store_memory_threshold_in_mb"], settings["verify"]["verify_after_sign"]
        return c2pa.Context.from_dict(settings)

    def bare_sign(self, source: Path, target: Path) -> None:
        """As the library's documentation signs."""
        manifest = claims.to_manifest(self.statement)
        with (
            c2pa.Builder(manifest, context=self.context) as builder,
            open(source, "rb") as stream,
            open(target, "w+b") as sink,
        ):
            builder.sign(self.signer.native(), "video/mp4", stream, sink)

    def bare_verify(self, path: Path) -> str:
        """The validation state, in lower case."""
        with open(path, "rb") as stream, c2pa.Reader("video/mp4", stream, context=self.context) as reader:
            return str(reader.get_validation_state()).lower()

    def call(self, action: str, source: Path, target: Path) -> None:
        """One of the four; AssertionError where a file that was read is not trusted."""
        state = "trusted"
        if action == "sign":
            sign.sign_file(source, target, self.statement, signer=self.signer, force=True)
        elif action == "bare-sign":
            self.bare_sign(source, target)
        else:
            state = str(read.read(source, trust=self.lists).state) if action == "verify" else self.bare_verify(source)
        assert state == "trusted", state


def one(action: str, source: Path, target: Path, key: Path) -> dict[str, float]:
    """Run one call in this process; seconds, and megabytes above what the imports and a first small call took."""
    both = Both(key)
    with tempfile.TemporaryDirectory() as name:  # what is loaded and made once is not counted in the call that is timed
        small, signed = Path(name) / "a.mp4", Path(name) / "b.mp4"
        make_video(small, 0.1)
        both.call("sign", small, signed)
        both.call(action, signed if "verify" in action else small, Path(name) / "c.mp4")
    flushing, flush = [0.0], os.fsync

    def timed(fd: Any) -> None:
        start = time.perf_counter()
        flush(fd)
        flushing[0] += time.perf_counter() - start

    os.fsync = timed
    before = peak_memory()
    took = take(lambda: both.call(action, source, target))
    megabytes = (peak_memory() - before) / MEGABYTE
    return {"wall": took.wall - flushing[0], "flush": flushing[0], "cpu": took.cpu, "megabytes": megabytes}


def alone(action: str, source: Path, target: Path, key: Path) -> dict[str, float]:
    """:func:`one` in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(one, action, source, target, key).result()


def large(size: float, folder: Path, key: Path, rounds: int) -> Case:
    """A file of so many megabytes, signed and verified; each way verifies what it signed itself."""
    plain, signed, bare = (folder / f"{name}.mp4" for name in ("plain", "signed", "bare"))
    make_video(plain, size)
    files = {
        "bare-sign": (plain, bare),
        "sign": (plain, signed),
        "bare-verify": (bare, bare),
        "verify": (signed, signed),
    }
    for action in ("bare-sign", "sign"):  # there to be verified, whichever way the first round goes
        alone(action, *files[action], key)
    ways = {action: partial(alone, action, *pair, key) for action, pair in files.items()}
    return Case({"mb": size}, ways, rounds, of=[], more=compared)


def compared(found: Rounds) -> Mapping[str, object]:
    """Seconds of both, their ratios, the waiting for the disk and the megabytes, for signing and for verifying."""
    got = {way: [t.result for t in takes] for way, takes in found.takes.items()}
    row: dict[str, object] = {}
    for action, other in PAIRS.items():
        for what in ("wall", "cpu"):
            own, bare = ([run[what] for run in got[way]] for way in (action, other))
            row |= {f"{action}, {what} s": Ratio.of(own), f"{other}, {what} s": Ratio.of(bare)}
            row[f"{action} over bare, {what}"] = Ratio.of([a / b for a, b in zip(own, bare, strict=True)])
        row[f"{action}, flush s"] = Ratio.of([run["flush"] for run in got[action]])
        row |= {f"{way}, MB": max(run["megabytes"] for run in got[way]) for way in (action, other)}
    # What signing with a reading back costs with the bare library: its two calls together.
    runs = zip(got["sign"], got["bare-sign"], got["bare-verify"], strict=True)
    row["sign over bare sign and verify, cpu"] = Ratio.of([a["cpu"] / (b["cpu"] + c["cpu"]) for a, b, c in runs])
    return row


def cases(folder: Path, sizes: Sequence[float] = (2, 57, 257, 508), rounds: int = 3) -> Iterator[Case]:
    """A case a size in megabytes."""
    key = keys.make("bench", "Benchmark")
    return (large(size, folder, key, rounds) for size in sizes)
