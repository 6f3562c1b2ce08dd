"""Content Credentials against the bare library: time to sign and to verify, memory, and small files a second.

Ours does more in each call: reads back what it signed, applies its policy, flushes to the disk and renames. Large files are taken in
child processes of their own, so that peak memory is each one's own. Ratios are of processor time, and of wall time less the waiting for the
disk that only ours does (``flush``).

    python -m benchmarks.speed.provenance --sizes 2 57 257 508 --rounds 3 --small 10000
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from benchmarks.speed.arms import Ratio, Rounds, alternate, options, take, tell
from gioconda_core.testing import peak_memory

MEGABYTE = 2**20
PAIRS = {"sign": "bare-sign", "verify": "bare-verify"}


def make_video(path: Path, megabytes: float) -> None:
    """A playable MP4 whose media box, the last in the file, is lengthened with noise."""
    import numpy as np

    from gioconda_core.media.clip import write_video

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
        from provenance.keys import certificates
        from provenance.signing import claims, signers
        from provenance.trust.lists import Trust, TrustList

        self.signer = signers.PemSigner(key)
        root = certificates.pem(certificates.certificates_in(self.signer.chain)[-1])
        self.statement = claims.Credential("b", actions=(claims.Action("c2pa.created", "trainedAlgorithmicMedia"),))
        self.lists = Trust((TrustList("bench", "manifest", root, "0" * 64, "2026-01-01"),))

    @cached_property
    def context(self) -> Any:
        import c2pa

        from provenance.sdk import engine

        settings = engine.settings(self.lists.anchors)
        del settings["core"]["backing_store_memory_threshold_in_mb"], settings["verify"]["verify_after_sign"]
        return c2pa.Context.from_dict(settings)

    def bare_sign(self, source: Path, target: Path, kind: str = "video/mp4") -> None:
        import c2pa

        from provenance.signing import claims

        manifest = claims.to_manifest(self.statement)
        with (
            c2pa.Builder(manifest, context=self.context) as builder,
            open(source, "rb") as stream,
            open(target, "w+b") as sink,
        ):
            builder.sign(self.signer.native(), kind, stream, sink)

    def bare_verify(self, path: Path, kind: str = "video/mp4") -> str:
        import c2pa

        with open(path, "rb") as stream, c2pa.Reader(kind, stream, context=self.context) as reader:
            return str(reader.get_validation_state()).lower()

    def call(self, action: str, source: Path, target: Path) -> None:
        from provenance.reading import read
        from provenance.signing import sign

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


def child(action: str, source: Path, target: Path, key: Path) -> dict[str, float]:
    """:func:`one` in a process of its own."""
    line = [sys.executable, "-m", "benchmarks.speed.provenance", "--one", action, source, target, key]
    done = subprocess.run(list(map(str, line)), capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def large(size: float, rounds: int, folder: Path, key: Path) -> list[dict[str, Any]]:
    """A file of so many megabytes, signed and verified; each way verifies what it signed itself."""
    plain, signed, bare = (folder / f"{name}.mp4" for name in ("plain", "signed", "bare"))
    make_video(plain, size)
    ways = {
        "bare-sign": (plain, bare),
        "sign": (plain, signed),
        "bare-verify": (bare, bare),
        "verify": (signed, signed),
    }
    for action in ("bare-sign", "sign"):  # there to be verified, whichever way the first round goes
        child(action, *ways[action], key)
    found = alternate(rounds, {action: partial(child, action, *files, key) for action, files in ways.items()})
    for path in (plain, signed, bare):
        path.unlink()
    return [_large(found, action, size) for action in PAIRS]


def _large(found: Rounds, action: str, size: float) -> dict[str, Any]:
    got = {way: [t.result for t in takes] for way, takes in found.takes.items()}
    ours, theirs = got[action], got[PAIRS[action]]
    row: dict[str, Any] = {"action": action, "mb": size}
    for what in ("wall", "cpu"):
        own, bare = ([run[what] for run in runs] for runs in (ours, theirs))
        row |= {f"{what}_seconds": Ratio.of(own), f"bare_{what}_seconds": Ratio.of(bare)}
        row[f"{what}_ratio"] = Ratio.of([a / b for a, b in zip(own, bare, strict=True)])
    if action == "sign":  # what signing with a reading back costs with the bare library: its two calls together
        both = [a["cpu"] + b["cpu"] for a, b in zip(got["bare-sign"], got["bare-verify"], strict=True)]
        row["cpu_ratio_to_sign_and_verify"] = Ratio.of([a["cpu"] / b for a, b in zip(ours, both, strict=True)])
    row["flush_seconds"] = Ratio.of([run["flush"] for run in ours])
    megabytes = {"megabytes": ours, "bare_megabytes": theirs}
    return row | {name: max(run["megabytes"] for run in runs) for name, runs in megabytes.items()}


def small(count: int, folder: Path, key: Path, jobs: int) -> list[dict[str, Any]]:
    """Sign, then verify, many small pictures (about 72 kB): ours, and the bare library with nothing in between."""
    import numpy as np
    from PIL import Image

    from provenance.tools import batch

    both = Both(key)
    plain, kind = folder / "plain.jpg", "image/jpeg"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (220, 220, 3), np.uint8)).save(plain, quality=92)
    files = {way: [folder / way / f"{number}.jpg" for number in range(count)] for way in ("ours", "bare")}
    for way in files:
        (folder / way).mkdir()
    pool = ThreadPoolExecutor(jobs)

    def sign() -> None:
        pairs = [(plain, target) for target in files["ours"]]
        failed = [
            r
            for _, r in batch.sign_many(pairs, both.statement, signer=both.signer, jobs=jobs)
            if isinstance(r, Exception)
        ]
        assert not failed, failed[0]

    def verify() -> None:
        found = batch.verdicts(files["ours"], trust=both.lists, jobs=jobs)
        assert {str(getattr(v, "state", v)) for _, v in found} == {"trusted"}

    arms: dict[str, dict[str, Callable[[], Any]]] = {
        "ours": {"sign": sign, "verify": verify},
        "bare": {
            "sign": lambda: list(pool.map(lambda path: both.bare_sign(plain, path, kind), files["bare"])),
            "verify": lambda: set(pool.map(lambda path: both.bare_verify(path, kind), files["bare"])),
        },
    }
    rows = []
    for way, work in arms.items():
        took = {action: take(call) for action, call in work.items()}
        row = {"files": count, "way": way, "bytes_each": plain.stat().st_size, "jobs": jobs}
        row |= {f"{action}_per_second": count / t.wall for action, t in took.items()}
        row |= {f"{action}_cpu_ms": 1000 * t.cpu / count for action, t in took.items()}
        rows.append(row | {"peak_mb": peak_memory() / MEGABYTE})
    return rows


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        action, *paths = sys.argv[2:]
        print(json.dumps(one(action, *map(Path, paths))))
        return
    given = options(__doc__, sizes=[2.0, 57.0, 257.0, 508.0], rounds=3, small=10_000, jobs=2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["GIOCONDA_HOME"] = str(folder / "home")
        from provenance.keys import keys

        key = keys.make("bench", "Benchmark")
        rows = [row for size in given.sizes for row in large(size, given.rounds, folder, key)]
        tell(rows + (small(given.small, folder, key, given.jobs) if given.small else []), given.json)


if __name__ == "__main__":
    main()
