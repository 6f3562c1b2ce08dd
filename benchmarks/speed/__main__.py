"""Take one of the speed benchmarks: ``python -m benchmarks.speed NAME [options]``; ``--help`` after the name says which it has."""

from __future__ import annotations

import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from benchmarks.speed import arms

# name → what stands without a flag, and the options by their defaults (see arms.options). Each module has cases(given, folder).
BENCHMARKS: dict[str, tuple[str, dict[str, object]]] = {
    "audit": ("", {"megabytes": 3000, "rounds": 3, "jobs": 2, "warm": False, "scaling": False, "clips": 24}),
    "detect": ("", {"clips": 12, "rounds": 2, "detectors": "contrast"}),
    "faces": ("clips*", {"rounds": 3}),
    "fakes": (
        "",
        {
            "people": 3, "frames": 40, "size": 128, "model": "", "mode": "ff", "device": "cpu", "writers": int, "rounds": 1,
        },
    ),
    "marks": ("clips*", {"puppets": 12, "rounds": 1}),
    "media": ("clips*", {"rounds": 5, "gap": [1, 2, 10], "keep": Path}),
    "overhead": ("", {"clips": 24, "rounds": 3, "jobs": 2, "detector": "contrast", "ray": False}),
    "power": ("", {"sets": 200, "rounds": 1}),
    "provenance": ("", {"sizes": [2.0, 57.0, 257.0, 508.0], "rounds": 3, "small": 10_000, "jobs": 2}),
    "stats": ("", {"scores": 100_000, "resamples": 10_000, "identities": 1000, "loop": 20, "rounds": 1}),
    "synth": (
        "",
        {
            "preset": "half", "device": "cpu", "train": False, "render": False, "batch": int, "batches": [1, 32, 128],
            "compile": False, "threads": 2, "rounds": 3,
        },
    ),
}  # fmt: skip


def main(arguments: list[str]) -> int:
    """Measure, in a folder of its own that is then removed, with caches and keys of its own; 2 where there is no such benchmark."""
    if not arguments or arguments[0] not in BENCHMARKS:
        print(f"{__doc__}\nNAME is one of {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    module = import_module(f"benchmarks.speed.{arguments[0]}")
    given = arms.options(module.__doc__ or "", *BENCHMARKS[arguments[0]], arguments[1:])
    with tempfile.TemporaryDirectory(prefix="gioconda-speed-") as name:
        folder = Path(name)
        os.environ |= {"GIOCONDA_HOME": str(folder / "home"), "GIOCONDA_CACHE": str(folder / "cache")}
        found = module.cases(given, folder)
        arms.tell([case.row(given.rounds) if isinstance(case, arms.Case) else case for case in found], given.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
