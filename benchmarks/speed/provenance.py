"""Content Credentials against the bare library: time to sign and to verify, memory, and small files a second.

Ours does more in each call: reads back what it signed, applies its policy, flushes to the disk and renames. The two are run in
turns, in child processes of their own (so that peak memory is each one's own). Ratios are of processor time, which a busy
neighbour disturbs less, and of wall time less the waiting for the disk that only ours does (``flush_seconds``).

    python -m benchmarks.speed.provenance --sizes 2 57 257 508 --rounds 3 --small 10000
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

from gioconda_core.testing import peak_memory

MEGABYTE = 2**20


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


def peak() -> float:
    """Peak resident memory of this process so far, MB."""
    return peak_memory() / MEGABYTE


def one(action: str, source: Path, target: Path, key: Path) -> dict[str, float]:
    """Run one call in this process; seconds, and megabytes above what the imports and a first small call took."""
    import c2pa

    from provenance.keys import certificates
    from provenance.reading import read
    from provenance.sdk import engine
    from provenance.signing import claims, sign, signers
    from provenance.trust.lists import Trust, TrustList

    signer = signers.PemSigner(key)
    statement = claims.Credential("b", actions=(claims.Action("c2pa.created", "trainedAlgorithmicMedia"),))
    root = certificates.pem(certificates.certificates_in(signer.chain)[-1])
    lists = Trust((TrustList("bench", "manifest", root, "0" * 64, "2026-01-01"),))
    # The bare library, as its documentation shows it, with the same list and no network.
    settings = engine.settings(lists.anchors)
    del settings["core"]["backing_store_memory_threshold_in_mb"], settings["verify"]["verify_after_sign"]
    context = c2pa.Context.from_dict(settings)

    def call(source: Path, target: Path) -> str:
        if action == "sign":
            sign.sign_file(source, target, statement, signer=signer, force=True)
        elif action == "verify":
            return str(read.read(source, trust=lists).state)
        elif action == "bare-sign":
            with (
                c2pa.Builder(claims.to_manifest(statement), context=context) as builder,
                open(source, "rb") as stream,
                open(target, "w+b") as sink,
            ):
                builder.sign(signer.native(), "video/mp4", stream, sink)
        else:
            with open(source, "rb") as stream, c2pa.Reader("video/mp4", stream, context=context) as reader:
                return str(reader.get_validation_state()).lower()
        return "trusted"

    with tempfile.TemporaryDirectory() as name:
        # What is loaded and made once is not counted in the call that is timed.
        small, signed = Path(name) / "a.mp4", Path(name) / "b.mp4"
        make_video(small, 0.1)
        sign.sign_file(small, signed, statement, signer=signer)
        call(signed if "verify" in action else small, Path(name) / "c.mp4")
    flushing = 0.0
    flush = os.fsync

    def timed(descriptor: int) -> None:
        nonlocal flushing
        start = time.perf_counter()
        flush(descriptor)
        flushing += time.perf_counter() - start

    os.fsync = timed
    before, begin, spent = peak(), time.perf_counter(), time.process_time()
    state = call(source, target)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - spent
    assert state == "trusted", state
    return {"seconds": seconds - flushing, "flush": flushing, "cpu": cpu, "megabytes": peak() - before}


def child(action: str, source: Path, target: Path, key: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.speed.provenance", "--one", action, source, target, key]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def large(sizes: list[float], rounds: int, folder: Path, key: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for size in sizes:
        plain, signed, bare = folder / "plain.mp4", folder / "signed.mp4", folder / "bare.mp4"
        make_video(plain, size)
        found: dict[str, list[dict[str, float]]] = {}
        for _ in range(rounds):
            # Each verifies what it signed itself, in turns, so that a busy neighbour slows both.
            for action, source, target in (
                ("bare-sign", plain, bare),
                ("sign", plain, signed),
                ("bare-verify", bare, bare),
                ("verify", signed, signed),
            ):
                found.setdefault(action, []).append(child(action, source, target, key))
        for action in ("sign", "verify"):
            ours, theirs = found[action], found[f"bare-{action}"]
            ratios = sorted(a["cpu"] / b["cpu"] for a, b in zip(ours, theirs, strict=True))
            # What signing with a reading back costs with the bare library: its two calls together.
            both = [a["cpu"] + b["cpu"] for a, b in zip(found["bare-sign"], found["bare-verify"], strict=True)]
            against_both = statistics.median(run["cpu"] / total for run, total in zip(found["sign"], both, strict=True))
            rows.append(
                {
                    "action": action,
                    "mb": size,
                    "seconds": round(statistics.median(run["seconds"] for run in ours), 4),
                    "bare_seconds": round(statistics.median(run["seconds"] for run in theirs), 4),
                    "ratio": round(
                        statistics.median(a["seconds"] / b["seconds"] for a, b in zip(ours, theirs, strict=True)), 2
                    ),
                    "flush_seconds": round(statistics.median(run["flush"] for run in ours), 4),
                    "cpu_seconds": round(statistics.median(run["cpu"] for run in ours), 4),
                    "bare_cpu_seconds": round(statistics.median(run["cpu"] for run in theirs), 4),
                    "cpu_ratio": round(statistics.median(ratios), 2),
                    "cpu_ratio_range": [round(ratios[0], 2), round(ratios[-1], 2)],
                    **({"cpu_ratio_to_sign_and_verify": round(against_both, 2)} if action == "sign" else {}),
                    "megabytes": round(max(run["megabytes"] for run in ours), 1),
                    "bare_megabytes": round(max(run["megabytes"] for run in theirs), 1),
                    "n": rounds,
                }
            )
            print(json.dumps(rows[-1]), flush=True)
        for path in (plain, signed, bare):
            path.unlink()
    return rows


def small(count: int, folder: Path, key: Path, jobs: int) -> dict[str, object]:
    """Sign, then verify, many small pictures (about 72 kB)."""
    import numpy as np
    from PIL import Image

    from provenance.keys import certificates
    from provenance.signing import claims, signers
    from provenance.tools import batch
    from provenance.trust.lists import Trust, TrustList

    plain = folder / "plain.jpg"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (220, 220, 3), np.uint8)).save(plain, quality=92)
    signer = signers.PemSigner(key)
    root = certificates.pem(certificates.certificates_in(signer.chain)[-1])
    lists = Trust((TrustList("bench", "manifest", root, "0" * 64, "2026-01-01"),))
    statement = claims.Credential("b", actions=(claims.Action("c2pa.created", "trainedAlgorithmicMedia"),))
    pairs = [(plain, folder / "out" / f"{number}.jpg") for number in range(count)]
    begin, spent = time.perf_counter(), time.process_time()
    failed = sum(
        isinstance(result, Exception) for _, result in batch.sign_many(pairs, statement, signer=signer, jobs=jobs)
    )
    middle, half = time.perf_counter(), time.process_time()
    states = {
        str(getattr(found, "state", found))
        for _, found in batch.verdicts((target for _, target in pairs), trust=lists, jobs=jobs)
    }
    end, whole = time.perf_counter(), time.process_time()
    assert not failed and states == {"trusted"}, (failed, states)
    return {
        "files": count,
        "bytes_each": plain.stat().st_size,
        "jobs": jobs,
        "signed_and_verified_per_second": round(count / (middle - begin), 1),
        "verified_per_second": round(count / (end - middle), 1),
        "cpu_ms_signing": round((half - spent) / count * 1000, 2),
        "cpu_ms_verifying": round((whole - half) / count * 1000, 2),
        "peak_mb": round(peak(), 1),
    }


def bare_small(count: int, folder: Path, key: Path, jobs: int) -> dict[str, object]:
    """The same with the bare library: sign, then read, with nothing in between."""
    import c2pa

    from provenance.keys import certificates
    from provenance.sdk import engine
    from provenance.signing import claims, signers

    signer = signers.PemSigner(key)
    root = certificates.pem(certificates.certificates_in(signer.chain)[-1])
    context = c2pa.Context.from_dict(engine.settings((("manifest", "bench", root),)))
    statement = claims.Credential("b", actions=(claims.Action("c2pa.created", "trainedAlgorithmicMedia"),))
    manifest = claims.to_manifest(statement)
    plain, out = folder / "plain.jpg", folder / "bare"
    out.mkdir()

    def sign(number: int) -> None:
        with (
            c2pa.Builder(manifest, context=context) as builder,
            open(plain, "rb") as source,
            open(out / f"{number}.jpg", "w+b") as sink,
        ):
            builder.sign(signer.native(), "image/jpeg", source, sink)

    def verify(number: int) -> str:
        with open(out / f"{number}.jpg", "rb") as stream, c2pa.Reader("image/jpeg", stream, context=context) as reader:
            return str(reader.get_validation_state())

    with ThreadPoolExecutor(jobs) as pool:
        begin, spent = time.perf_counter(), time.process_time()
        list(pool.map(sign, range(count)))
        middle, half = time.perf_counter(), time.process_time()
        assert set(pool.map(verify, range(count))) == {"Trusted"}
        end, whole = time.perf_counter(), time.process_time()
    return {
        "files": count,
        "signed_per_second": round(count / (middle - begin), 1),
        "verified_per_second": round(count / (end - middle), 1),
        "cpu_ms_signing": round((half - spent) / count * 1000, 2),
        "cpu_ms_verifying": round((whole - half) / count * 1000, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=float, nargs="*", default=[2, 57, 257, 508])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=4, metavar=("ACTION", "SOURCE", "TARGET", "KEY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        action, *paths = options.one
        print(json.dumps(one(action, *map(Path, paths))))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["GIOCONDA_HOME"] = str(folder / "home")
        from provenance.keys import keys

        key = keys.make("bench", "Benchmark")
        result: dict[str, object] = {"large": large(options.sizes, options.rounds, folder, key)}
        if options.small:
            result["small"] = small(options.small, folder, key, options.jobs)
            result["bare_small"] = bare_small(options.small, folder, key, options.jobs)
            print(json.dumps({key: result[key] for key in ("small", "bare_small")}), flush=True)
    if options.out:
        from gioconda_core.files import write_json

        write_json(options.out, result)


if __name__ == "__main__":
    main()
