"""Takes one of the speed benchmarks: ``python -m benchmarks.speed NAME [options]``; ``--help`` after the name says which it has."""

import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from benchmarks.speed import arms

# Each is a module with ``cases(folder, …)``: rows, or cases that are yet to be measured; its further parameters are the options.
BENCHMARKS = ("audit", "cuda", "detect", "faces", "fakes", "marks", "media", "overhead", "provenance", "stats", "synth")


def main(arguments: list[str]) -> int:
    """Measure, in a folder of its own that is then removed, with caches and keys of its own; 2 where there is no such benchmark."""
    if not arguments or arguments[0] not in BENCHMARKS:
        print(f"{__doc__}\nNAME is one of {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    module = import_module(f"benchmarks.speed.{arguments[0]}")
    given = vars(arms.options(module.cases, module.__doc__ or "", arguments[1:]))
    file, clips = given.pop("json"), given.pop("paths", ())
    with tempfile.TemporaryDirectory(prefix="gioconda-speed-") as name:
        folder = Path(name)
        os.environ |= {"GIOCONDA_HOME": str(folder / "home"), "GIOCONDA_CACHE": str(folder / "cache")}
        found = module.cases(folder, *clips, **given)
        arms.tell([case.row() if isinstance(case, arms.Case) else case for case in found], file)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
