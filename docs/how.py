"""Run the pages of docs/how: every command in their console blocks, in order, in a folder of its own.

``python docs/how.py`` exits 1 where a page does not say what its commands print; ``python docs/how.py --write`` writes it there.
What differs from run to run (dates, hashes, rates) is a ``…`` on the pages, and progress is left out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PAGES = Path(__file__).resolve().parent / "how"
# In this order: a page may use the files that those before it made.
ORDER = ("label-a-fake", "check-a-clip", "see-who-signed", "sign-your-own", "audit-a-folder", "compare-detectors")
VARYING = (
    (r"\b[0-9a-f]{16,}\b|\b[0-9a-f]{12}…", "…"),
    (r"urn:c2pa:[0-9a-f-]+", "urn:c2pa:…"),
    (r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:\+00:00| UTC)?)?", "…"),
    (r"\d[\d.]* clips/s; decode .*", "…"),
)
PROGRESS = re.compile(r"^[a-z ]+: [\d,]+(/[\d,]+)? (step|file|clip|reading|pair)s?\b.*$")
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)


def commands(block: str) -> list[str]:
    """The commands of a console block; a line that ends in a backslash goes on."""
    found: list[str] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(line[2:])
        elif found and found[-1].endswith("\\"):
            found[-1] += "\n" + line
    return found


def said(command: str, folder: Path, environment: dict[str, str]) -> str:
    """What a person reads after a command, and its exit code where that is not 0."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=folder, env=environment, text=True, timeout=600,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if not PROGRESS.match(line)]
    text = "\n".join(line.rstrip() for line in lines).replace(str(folder.parent), "~")
    for pattern, instead in VARYING:
        text = re.sub(pattern, instead, text)
    return text + (f"\n(exit code {done.returncode})" if done.returncode else "")


def run(page: Path, folder: Path, environment: dict[str, str]) -> str:
    """A page as its commands would have it."""

    def again(block: re.Match[str]) -> str:
        told = [f"$ {c}\n{said(c, folder, environment)}".rstrip() for c in commands(block[1])]
        return "```console\n" + "\n".join(told) + "\n```"

    return BLOCK.sub(again, page.read_text(encoding="utf-8"))


def main(arguments: list[str]) -> int:
    wrong = []
    with tempfile.TemporaryDirectory(prefix="how-") as name:
        folder = Path(name, "desk")
        shutil.copytree(PAGES / "files", folder)
        tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = os.environ | {"PATH": tools, "COLUMNS": "80", "LC_ALL": "C.UTF-8"}
        environment |= {"GIOCONDA_HOME": str(Path(name, ".gioconda"))}
        environment.setdefault("GIOCONDA_CACHE", str(Path(name, ".cache")))
        for page in (PAGES / f"{name}.md" for name in ORDER):
            text = run(page, folder, environment)
            if text == page.read_text(encoding="utf-8"):
                continue
            wrong.append(page)
            if "--write" in arguments:
                page.write_text(text, encoding="utf-8")
            else:
                import difflib

                before = page.read_text(encoding="utf-8").splitlines()
                print(*difflib.unified_diff(before, text.splitlines(), str(page), "as run", lineterm=""), sep="\n")
    return int(bool(wrong) and "--write" not in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
