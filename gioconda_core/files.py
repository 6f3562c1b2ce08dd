"""Files that are whole or not there: temporary file, fsync, rename; hashes; append-only rows that survive kill -9."""

import contextlib
import datetime
import errno
import hashlib
import io
import json
import os
import re
import shutil
import stat
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import UnionType
from typing import Any, BinaryIO, TypeVar, get_args, get_origin, get_type_hints

from gioconda_core.errors import GiocondaError, ResourceError, UsageError

T = TypeVar("T")


def sha256_of(source: str | os.PathLike[str] | BinaryIO | bytes) -> str:
    """Hex sha256 of a file's bytes, in pieces: any size in little memory."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    if hasattr(source, "read"):
        return hashlib.file_digest(source, "sha256").hexdigest()  # type: ignore[arg-type]
    with open(source, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def path_text(path: str | os.PathLike[str]) -> str:
    """A path as text that any file can hold, and no two paths share: bytes that are no UTF-8 become ``\\xNN``, a backslash two.

    Separators are ``/``; doubled ones and ``./`` are left out.
    """
    name = Path(path).as_posix().encode("utf-8", "surrogateescape").replace(b"\\", b"\\\\")
    return name.decode("utf-8", "backslashreplace")


INSIDE = "\\!/"  # between an archive's path and a member's name, as texts: no path has this in its text


def outermost(text: str) -> str:
    """The text of the path of a file, where ``text`` names a member of an archive."""
    found = re.match(r"((?:\\(?!!)[\\x]|[^\\])*)", text)
    return found[1] if found else text


def path_bytes(text: str) -> bytes:
    """The path, as the system has it, that :func:`path_text` made a text of."""
    return re.sub(
        rb"\\(?:\\|x([0-9a-f]{2}))",
        lambda m: bytes.fromhex(m[1].decode()) if m[1] else b"\\",
        text.encode("utf-8", "surrogateescape"),
    )


def _fsync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def no_room(error: Exception) -> bool:
    """Whether it is a disk without room that failed: by the system's number, or by its text where a library in Rust hands on nothing else."""
    if isinstance(error, OSError):
        return error.errno in NO_ROOM
    match = re.search(r"\(os error (\d+)\)", str(error))  # as safetensors says it
    return match is not None and int(match[1]) in NO_ROOM


def unwritable(error: OSError, where: str | os.PathLike[str]) -> GiocondaError:
    """Why nothing can be written there: no room and no permission are the machine's affair, anything else the place that was named."""
    what = f"cannot be written: {error.strerror or error}".lower()
    if error.errno in NO_ROOM:
        return ResourceError(what, where=str(where), hint="make room and run again")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return ResourceError(what, where=str(where), hint="check permissions, or write elsewhere")
    return UsageError(what, where=str(where))


@contextlib.contextmanager
def _named(final: Path, written: Path) -> Iterator[None]:
    """Say of which file it was that there was no room for it: a write that fails does not know."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM and (
            error.filename is None or str(written) in map(str, (error.filename, error.filename2))
        ):
            error.filename = str(final)
        raise


@contextlib.contextmanager
def atomic_path(target: str | os.PathLike[str], *, mode: int | None = None) -> Iterator[Path]:
    """A temporary path beside ``target`` (same suffix), renamed over it when the block ends well, removed when it does not.

    Raises
    ------
    UsageError
        The target is a folder, or its folder cannot be written to.
    OSError
        There is no room for it (``NO_ROOM``), or the block raised it.
    """
    final = Path(target)
    if final.is_dir():
        raise UsageError("is a folder", where=str(final), hint="name a file")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(prefix=f".{final.stem[:40]}.", suffix=final.suffix or ".tmp", dir=final.parent)
    except OSError as error:
        if error.errno in NO_ROOM:
            error.filename = str(final)
            raise
        raise unwritable(error, final) from error
    os.close(fd)
    temporary = Path(name)
    try:
        with _named(final, temporary):
            yield temporary
            if mode is None:
                umask = os.umask(0)
                os.umask(umask)
                mode = 0o666 & ~umask
            os.chmod(temporary, mode)
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, final)
            _fsync_folder(final.parent)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def clear_unfinished(folder: Path) -> None:
    """Remove what killed writers (by :func:`atomic_path`, or in hidden folders) have left below a folder that nobody else is writing to."""
    for path in [*folder.rglob(".*.????????.*"), *folder.rglob(".gioconda-*")]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def spooled(source: BinaryIO | bytes) -> Iterator[Path]:
    """What a stream or bytes hold, as a temporary file that is gone afterwards."""
    handle, name = tempfile.mkstemp(prefix="gioconda-")
    try:
        with os.fdopen(handle, "wb") as file:
            shutil.copyfileobj(io.BytesIO(source) if isinstance(source, bytes) else source, file, 1 << 20)
        yield Path(name)
    finally:
        os.unlink(name)


def read_bytes(file: str | os.PathLike[str], most: int = 64 << 20) -> bytes:
    """A whole file that somebody gave, and that is small where it is what it should be.

    Raises
    ------
    OSError
        It cannot be read, or holds more than ``most`` bytes: then it is not read, lest it fill the memory.
    """
    with open(file, "rb") as opened:
        status = os.fstat(opened.fileno())
        data = b""
        if status.st_size <= most:  # a pipe or a device has no size
            data = opened.read() if stat.S_ISREG(status.st_mode) else opened.read(most + 1)
    if max(status.st_size, len(data)) > most:
        limit = f"{most >> 30} GiB" if most >= 1 << 30 else f"{most >> 20} MiB"
        raise OSError(errno.EOVERFLOW, f"larger than {limit}", os.fspath(file))
    return data


def read_text(file: str | os.PathLike[str]) -> str:
    """A text file in UTF-8 or UTF-16 (by BOM).

    Raises
    ------
    UsageError
        It cannot be read, or is in another encoding.
    """
    try:
        raw = read_bytes(file)
        return raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(file)) from error
    except UnicodeDecodeError:
        raise UsageError("is not UTF-8 text", where=str(file), hint="save it as UTF-8 and run again") from None


def read_toml(file: str | os.PathLike[str], hint: str = "") -> dict[str, Any]:
    """A TOML file. Raises UsageError as :func:`read_text` does, and where it is none."""
    try:
        return tomllib.loads(read_text(file))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"is not TOML: {error}", where=str(file), hint=hint) from error


def from_table(kind: type[T], values: Any, where: str, table: str) -> T:
    """A dataclass from a table of a TOML file that a person wrote; a date becomes text, a list a tuple.

    where : the file. table : what of it, as a sentence names it.

    Raises
    ------
    UsageError
        A key is no field's, since a slip must not silently drop a setting; a value is of another type than its field; a field is missing.
    """
    hints = get_type_hints(kind)
    if not isinstance(values, dict):
        raise UsageError(f"{table} is not a table", where=where)
    if unknown := sorted(set(values) - set(hints)):
        raise UsageError(f"unknown in {table}: {', '.join(unknown)}", where=where, hint=f"known: {', '.join(hints)}")
    made = {}
    for key, value in values.items():
        value = value.isoformat() if isinstance(value, datetime.date) else value
        if not _fits(value, hints[key]):
            raise UsageError(f"{key} of {table} is of the wrong type", where=where, hint=f"it was {value!r:.80}")
        made[key] = tuple(value) if isinstance(value, list) else value
    try:
        return kind(**made)
    except TypeError as error:
        raise UsageError(f"{table}: {error}", where=where) from error


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value read from TOML is what a field's annotation asks for."""
    if isinstance(hint, UnionType):
        return any(_fits(value, part) for part in get_args(hint))
    kind, inside = get_origin(hint) or hint, get_args(hint)
    if kind is tuple:
        return isinstance(value, list | tuple) and all(_fits(item, inside[0]) for item in value)
    if kind is Mapping:
        return isinstance(value, dict) and all(_fits(item, inside[1]) for item in value.values())
    if kind in (int, float):
        return isinstance(value, int | kind) and not isinstance(value, bool)
    return kind is Any or isinstance(value, kind)


def package_file(package: str, *parts: str) -> Path | None:
    """A file that an installed package carries, found without importing the package; None where it is not there."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder, *parts)).is_file():
            return path
    return None


@contextlib.contextmanager
def alone(path: str | os.PathLike[str]) -> Iterator[None]:
    """Hold a file or folder, waiting until nobody else does, where the system can see to that."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_text(target: str | os.PathLike[str], text: str, *, mode: int | None = None) -> None:
    """Write text atomically, UTF-8."""
    with atomic_path(target, mode=mode) as path:
        path.write_text(text, encoding="utf-8")


def write_json(target: str | os.PathLike[str], document: Any) -> None:
    """Write a JSON document atomically, indented, keys in the order given. NaN is refused."""
    write_text(target, json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def append_row(target: str | os.PathLike[str], row: dict[str, Any]) -> None:
    """Append one JSON line in a single write, so that kill -9 leaves at most one torn last line (``read_rows`` drops it)."""
    line = json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _named(path, path), open(path, "ab+") as file:
        file.seek(0, os.SEEK_END)
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")  # close a torn line left by a killed run
        file.write(line.encode())


def read_rows(target: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Rows of a JSON-lines file; a torn line (from a killed run) is skipped. A missing file has no rows."""
    path = Path(target)
    if not path.exists():
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict):
                yield row


def refuse_overwrite(target: str | os.PathLike[str], force: bool) -> None:
    """Raise unless the target is free or the user said --force."""
    if not force and Path(target).exists():
        raise UsageError("already exists", where=str(target), hint="give --force to replace it")
