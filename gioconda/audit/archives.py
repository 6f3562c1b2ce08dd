"""Unpacks files inside ZIP and tar archives one at a time, in a limited child process, into a folder that is gone afterwards.

A member's name is shown and is never a path: it decides neither where anything is written nor how it is called there. Links and archives
inside archives are counted and not followed. What is encrypted, damaged or larger than allowed has a row that says so, and an archive
that holds or unpacks to more than is allowed an error of its own, with as many members examined as were.
Not covered: a sidecar inside an archive is not read beside its clip, so that such a clip has no credential here.
"""

import os
import queue
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from gioconda.audit.walk import Walk
from gioconda_core.files import INSIDE, no_room, path_text
from gioconda_core.media.suffixes import is_archive_name, is_media_name
from gioconda_core.reasons import PassedOver
from gioconda_core.workers.child import Channel, Child, Lost, confine, listen

MEMORY = 2 << 30  # bytes of address space
MOST_BYTES = 4 << 30  # of one member
MOST_UNPACKED = 32 << 30  # of all members of an archive
MOST_MEMBERS = 10_000
SECONDS = 120.0  # without a word from the child
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, ValueError, RuntimeError)


@dataclass(frozen=True)
class Member:
    """One file inside an archive, unpacked or passed over; without a name the end of the archive, whose error it then carries.

    name : follows the archive's path and ``INSIDE`` in the path of its row. file : where it is unpacked, until the next member is asked for.
    error : why it could not be unpacked. skipped : why it was passed over (:class:`~gioconda_core.reasons.PassedOver`).
    """

    name: str = ""
    size: int = 0
    file: str = ""
    error: str = ""
    skipped: str = ""


def members(path: str, wanted: Mapping[str, Any]) -> Iterator[Member]:
    """Every member of an archive, each once it is unpacked. wanted : options of :class:`~gioconda.audit.walk.Walk`, which names are judged by."""
    with tempfile.TemporaryDirectory(prefix="gioconda-") as folder:
        child = Child("gioconda.audit.archives:unpack", quiet=True)
        try:
            limits = {"most": MOST_BYTES, "unpacked": MOST_UNPACKED, "members": MOST_MEMBERS, "memory": MEMORY}
            child.send({"path": os.path.abspath(path), "folder": folder, "wanted": dict(wanted)} | limits)
            while True:
                member = Member(**child.receive(SECONDS)[0])
                yield member
                if not member.name:
                    return
                if member.file:
                    os.unlink(member.file)
                child.send({"next": True})
        except Lost as loss:
            yield Member(error=f"cannot be unpacked: {loss}")
        finally:
            child.kill()


# --------------------------------------------------------------------------- in the child


def unpack(channel: Channel) -> None:
    """Unpack one archive, each member when the one before has been examined."""
    inbox: queue.Queue[dict[str, Any]] = queue.Queue()
    listen(channel, lambda message, _: inbox.put(message))
    order = inbox.get()
    confine(order["memory"], order["most"] + 1)
    count, left = 0, order["unpacked"]
    names: dict[str, int] = {}
    walk = Walk.of(order["wanted"])

    def tell(name: str = "", **member: Any) -> None:
        channel.send({"name": name} | member)
        if name:
            inbox.get()

    try:
        with open(order["path"], "rb") as file:
            for raw, size, kind, opened in _entries(file):
                count += 1
                if count > order["members"]:
                    tell(error=f"holds more than {order['members']:,} files; the rest was not examined")
                    return
                name = path_text(raw)
                names[name] = names.get(name, 0) + 1
                if names[name] > 1:
                    name = f"{name}{INSIDE}{names[name]}"  # one name twice: both are looked at
                if why := kind or _passed_over(raw, size, walk):
                    tell(name, size=size, skipped=why)
                    continue
                # A media file keeps its suffix, by which readers choose how to read it.
                suffix = os.path.splitext(raw)[1].lower() if is_media_name(raw, hidden=True) else ""
                target = Path(order["folder"], f"member{suffix}")
                error, got = _copied(opened, target, order["most"], left)
                left -= got
                if left < 0:
                    tell(error=f"unpacks to more than {order['unpacked']:,} bytes; the rest was not examined")
                    return
                tell(name, size=size, **({"error": error} if error else {"file": str(target)}))
        tell()
    except MemoryError:
        tell(error="takes more memory to unpack than allowed")
    except _BROKEN:
        tell(error="is cut off or damaged" if count else "is no ZIP or tar archive, or is cut off")


def _passed_over(name: str, size: int, walk: Walk) -> PassedOver | None:
    if is_archive_name(name):
        return PassedOver.NESTED_ARCHIVE
    most = walk.filter.max_size
    return walk.passed_over(name) or (PassedOver.TOO_LARGE if most is not None and size > most else None)


def _entries(file: IO[bytes]) -> Iterator[tuple[str, int, PassedOver | None, Any]]:
    """(name, size as it says, why it is passed over, a function that opens it) of all but folders, in the archive's order."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                mode = info.external_attr >> 16
                if not info.is_dir():
                    kind = PassedOver.LINK if stat.S_ISLNK(mode) else None
                    yield info.filename, info.file_size, kind, lambda info=info: _decrypted(archive, info)
        return
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r|*") as stream:
        for entry in stream:
            if not entry.isdir():
                link = PassedOver.LINK if entry.issym() or entry.islnk() else PassedOver.NOT_REGULAR
                kind = None if entry.isreg() else link
                yield entry.name, entry.size, kind, lambda entry=entry: stream.extractfile(entry)


class _Encrypted(Exception):
    pass


def _decrypted(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    if info.flag_bits & 1:
        raise _Encrypted
    return archive.open(info)


def _copied(opened: Any, where: Path, most: int, left: int) -> tuple[str, int]:
    """Unpack one member to a file; returns what went wrong, empty where nothing did, and how many bytes came."""
    got = 0
    try:
        with opened() as source, open(where, "wb") as target:
            while piece := source.read(1 << 20):
                got += len(piece)
                if got > most:
                    return f"unpacks to more than {most:,} bytes", got
                if got > left:
                    break
                target.write(piece)
    except _Encrypted:
        return "is encrypted", got
    except _BROKEN as error:
        return "there is no room to unpack it" if no_room(error) else "is cut off or damaged inside its archive", got
    return "", got
