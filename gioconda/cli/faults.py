"""What a command prints when it fails: one line for a full disk, a damaged file or a missing package; for a bug of ours a line and a file to attach."""

import csv
import errno
import json
import os
import platform
import sqlite3
import sys
import time
import tomllib
import traceback
from pathlib import Path
from types import TracebackType

from gioconda_core.errors import GiocondaError, ResourceError, UsageError
from gioconda_core.version import __version__, installed

_HINTS = {
    "make room and run again": (errno.ENOSPC, errno.EDQUOT),
    "write elsewhere": (errno.EROFS,),
    "check permissions": (errno.EACCES, errno.EPERM),
    "the disk or the network it lies on is failing": (errno.EIO,),
    "the network drive was lost; run again when it is back": (errno.ESTALE,),
    "the network drive does not answer; run again when it does": (errno.ETIMEDOUT,),
    "raise the limit of open files (ulimit -n), or give fewer --jobs": (errno.EMFILE,),
    "close other programs and run again": (errno.ENFILE,),
    "close other programs, or give fewer --jobs": (errno.ENOMEM, errno.EAGAIN),
    "the disk takes no file so large; write elsewhere": (errno.EFBIG,),
}
_OURS = ("gioconda", "gioconda_core", "synth", "detect", "provenance", "benchmarks")


def circumstance(error: BaseException) -> UsageError | ResourceError | None:
    """The error as one that a person can act on, where the machine, the installation or a file is to blame; None for a bug of ours."""
    if isinstance(error, OSError) and not isinstance(error, ConnectionError):
        hint = next((hint for hint, numbers in _HINTS.items() if error.errno in numbers), "")
        if error.filename is None and not hint:
            return None
        wrong_kind = isinstance(error, FileExistsError | NotADirectoryError | IsADirectoryError)
        kind = UsageError if wrong_kind else ResourceError
        # Libraries have words of their own.
        what = os.strerror(error.errno) if hint and error.errno else str(error.strerror)
        return kind(what.lower(), str(error.filename or ""), hint)
    if isinstance(error, MemoryError):
        return ResourceError("there is not enough memory", hint="close other programs, or give fewer --jobs")
    if isinstance(error, ImportError):
        name = (error.name or "").partition(".")[0]
        what = f"the installation is incomplete: {name or 'a package'} cannot be loaded"
        return ResourceError(what, hint="install gioconda again; `gioconda doctor` checks it")
    if isinstance(error, sqlite3.DatabaseError):
        full = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
        what = "the disk is full" if full else "an index is damaged, or cannot be written to"
        return ResourceError(what, _file_of(error.__traceback__), "make room and run again" if full else "run again")
    kinds = {
        UnicodeDecodeError: "is not UTF-8 text",
        json.JSONDecodeError: "is not JSON, or is cut off",
        tomllib.TOMLDecodeError: "is not TOML",
        csv.Error: "is not CSV",
    }
    for wrong, what in kinds.items():
        if isinstance(error, wrong) and (file := _file_of(error.__traceback__)):
            return ResourceError(what, file, "get or make it again; --debug shows who read it")
    return None


def _file_of(trace: TracebackType | None) -> str:
    """The file that the innermost function of ours was reading: the only one that its variables name; empty where that is not certain."""
    found: set[str] = set()
    for frame, _ in traceback.walk_tb(trace):
        if frame.f_globals.get("__name__", "").partition(".")[0] in _OURS:
            values = [v for v in frame.f_locals.values() if isinstance(v, str | Path) and 0 < len(str(v)) < 4096]
            files = {str(v) for v in values if "\0" not in str(v) and os.path.isfile(v)}
            found = files or found
    return found.pop() if len(found) == 1 else ""


def report(error: BaseException, argv: list[str]) -> Path | None:
    """Write what a bug report needs into a small file of the user's own; None where nothing can be written."""
    from gioconda_core import config

    lines = [f"gioconda {__version__}, Python {platform.python_version()}, {platform.platform()}"]
    names = ("c2pa-python", "av", "pillow", "numpy", "torch", "onnxruntime", "openvino", "pyarrow")
    versions = installed(*names)
    lines += [f"{name} {versions.get(name, 'is not installed')}" for name in names]
    lines += ["", "Command: " + " ".join(argv), "", *traceback.format_exception(error)]
    text = "\n".join(lines).encode("utf-8", "backslashreplace")
    try:
        folder = config.home() / "bugs"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / time.strftime("bug-%Y%m%d-%H%M%S.txt")
        file.write_bytes(text[-100_000:])
        return file
    except Exception:  # whatever is broken, the line on stderr must come
        return None


def say(error: BaseException, argv: list[str]) -> int:
    """Print an error as one line on stderr and return the exit code."""
    known: GiocondaError | None = circumstance(error)
    if known is None:
        file = report(error, argv)
        how = (
            f"please send us {file}; read it first, it names your files"
            if file
            else "run again with --debug and report it"
        )
        known = GiocondaError(f"internal error: {type(error).__name__}: {error}", hint=f"a bug of ours; {how}")
    print(f"gioconda: {known}", file=sys.stderr)
    return known.exit_code
