"""A command run under strace, children included: what addresses it spoke to and which files it made, wherever they are now."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CALLS = (
    "socket,connect,bind,sendto,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat"
)
# Of the system, not of the disk: shared memory, terminals, the process's own state.
SYSTEM = ("/dev/", "/proc/")


def strace() -> str | None:
    """The tracer, where it is installed and allowed."""
    program = shutil.which("strace")
    if program is None:
        return None
    return program if subprocess.run([program, "-qq", "-o", os.devnull, "true"], check=False).returncode == 0 else None


@dataclass
class Trace:
    """sockets : lines that make or use an internet socket; made : absolute paths of files and folders created; the rest as run."""

    returncode: int
    stdout: str
    stderr: str
    sockets: list[str]
    made: list[str]

    def outside(self, *folders: Path) -> list[str]:
        """What was made under none of these folders."""
        inside = tuple(f"{folder}/" for folder in map(os.path.realpath, folders)) + SYSTEM
        # What Python compiles lies beside its source, and is not what a command made.
        made = [path for path in self.made if "/__pycache__/" not in f"{path}/"]
        return [path for path in made if not f"{path}/".startswith(inside)]


def traced(folder: Path, *command: str, env: dict[str, str] | None = None, timeout: float = 280) -> Trace:
    """Run ``python command…`` in ``folder`` with a home and a temporary folder of its own, under the tracer."""
    home, scratch, log = folder / "home", folder / "tmp", folder / "strace.log"
    for each in (home, scratch):
        each.mkdir(exist_ok=True)
    own = {
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "GIOCONDA_HOME": str(folder / "gioconda-home"),
        "GIOCONDA_CACHE": str(folder / "gioconda-cache"),
    }
    base = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("XDG_", "HF_", "ORT_", "RAY_", "MPLCONFIG", "CI", "DO_NOT"))
    }
    done = subprocess.run(
        [
            "strace",
            "-f",
            "-qq",
            "--seccomp-bpf",
            "-s",
            "512",
            "-e",
            f"trace={CALLS}",
            "-o",
            str(log),
            sys.executable,
            *command,
        ],
        cwd=folder,
        env=base | own | (env or {}),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    sockets, made = [], []
    for line in log.read_text(errors="replace").splitlines():
        if "AF_INET" in line:  # AF_INET6 too, in socket() and in the address of connect() or sendto()
            sockets.append(line)
        elif " = -1 " not in line and (
            "O_CREAT" in line or re.search(r"\b(creat|mkdir|mkdirat|link|linkat|symlink|symlinkat|rename\w*)\(", line)
        ):
            target = re.findall(r'"((?:[^"\\]|\\.)*)"', line)[-1]
            made.append(os.path.realpath(os.path.join(folder, target)))
    log.unlink()
    return Trace(done.returncode, done.stdout, done.stderr, sockets, made)
