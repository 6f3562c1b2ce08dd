"""Open a file's manifest store through the SDK, offline: embedded, beside the file, or given; with what the SDK found.

Not covered by the hashes themselves, so a change there goes unseen by anybody: signature padding, some box headers, MP4
``ftyp`` and ``free`` boxes. Media samples are covered.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cryptography import x509

from gioconda_core.errors import MediaError
from gioconda_core.types import Code, Provenance, ProvenanceState, Unread
from provenance import codes, sanitise
from provenance.reading import cose, rules
from provenance.sdk import descriptors, engine

if TYPE_CHECKING:
    import c2pa

__all__ = ["Opened", "opened", "sidecar_of", "unreadable"]

_SAID = {
    Unread.UNSUPPORTED_CONTAINER: "unsupported container",
    Unread.NOT_FETCHED: "remote manifest, not fetched",
}


@dataclass
class Opened:
    """What the SDK made of a file, before judgement. document : its JSON."""

    document: dict[str, Any]
    reader: c2pa.Reader
    sidecar: bool = False
    remote: str = ""

    @functools.cached_property
    def store(self) -> bytes:
        """The manifest store's bytes as the SDK parsed them; to be had while the file is open."""
        # Asked for a part that is not a resource, the SDK answers with the whole store.
        buffer = io.BytesIO()
        try:
            self.reader.resource_to_stream(
                f"self#jumbf=/c2pa/{self.document.get('active_manifest')}/c2pa.signature", buffer
            )
        except Exception:
            return b""
        return buffer.getvalue()

    @property
    def active(self) -> Mapping[str, Any]:
        """The active manifest; the only one to walk from, since others can be injected."""
        label = self.document.get("active_manifest")
        manifests = self.document.get("manifests")
        found = manifests.get(label) if isinstance(manifests, Mapping) and isinstance(label, str) else None
        return found if isinstance(found, Mapping) else {}

    def chain(self, label: str | None = None) -> list[x509.Certificate]:
        """The certificates of one manifest's signature, the active one's by default."""
        wanted = label or self.document.get("active_manifest")
        return cose.chain_of(self.store, str(wanted)) if self.store and wanted else []

    def identity(self, assertion: str) -> list[x509.Certificate]:
        """The certificates of an identity statement of the active manifest."""
        return cose.identity_of(self.store, str(self.document.get("active_manifest")), assertion)

    def clock(self) -> list[x509.Certificate]:
        """The certificates of the authority that timestamped the active manifest."""
        return cose.clock_of(self.store, str(self.document.get("active_manifest"))) if self.store else []


def _exact(file: Path) -> Path:
    return file.with_name(file.name + ".c2pa")


def sidecar_of(path: str | os.PathLike[str], *, exact: bool = False) -> Path | None:
    """``clip.mp4.c2pa`` or ``clip.c2pa`` next to the file, the more exact name first.

    exact : only the former. In a container that the SDK does not know, ``clip.srt`` beside ``clip.mp4`` say, the latter is another file's.
    """
    whole = os.fspath(path)
    stem, suffix = os.path.splitext(whole)
    if suffix.lower() == ".c2pa":
        return None
    for candidate in (whole, *(() if exact else (stem,))):
        if os.path.isfile(candidate + ".c2pa"):
            return Path(candidate + ".c2pa")
    return None


def _document(reader: c2pa.Reader) -> dict[str, Any]:
    made = json.loads(reader.json())
    if not isinstance(made, dict):
        raise ValueError("not an object")
    return made


def _regular(file: Path) -> IO[bytes]:
    """The file, open; a pipe or a device is refused before it can make anybody wait."""
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise MediaError("is not a regular file", where=str(file), hint="give a file, or a folder of files")
        return open(file, "rb", buffering=0)
    except FileNotFoundError as error:
        raise MediaError("no such file", where=str(file), hint="check the path") from error
    except OSError as error:
        raise MediaError(f"cannot be read: {error.strerror}", where=str(file), hint="check its permissions") from error
    except ValueError as error:
        raise MediaError("cannot be read: not a file name", where=str(file)) from error


@contextlib.contextmanager
def opened(
    path: str | os.PathLike[str],
    anchors: engine.Anchors = (),
    *,
    manifest: bytes | None = None,
    fragments: Iterable[str | os.PathLike[str]] = (),
) -> Iterator[Opened | Provenance]:
    """Open a file's credentials; a :class:`Provenance` instead when there is nothing to judge.

    manifest : a store from elsewhere (fetched, or not named like a sidecar), validated against the file; what is embedded
        comes first. fragments : the segments of a fragmented MP4 whose initialisation segment ``path`` is.

    Raises
    ------
    MediaError
        The file itself cannot be opened.
    """
    import c2pa

    file = Path(path)
    aside = None
    if manifest is None:
        aside = sidecar_of(file)
        if aside:
            with contextlib.suppress(OSError):
                manifest = aside.read_bytes()
    context = engine.reading(anchors)
    kind = engine.mime_of(file)
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(_regular(file))
        outside = False
        result: Opened | Provenance
        try:
            reader = None
            try:
                reader = descriptors.reader(kind, stream, context)
            except c2pa.C2paError as error:
                unknown = _unsupported(error) and (aside is None or aside == _exact(file))
                if manifest is None or not (unknown or _REMOTE.search(str(error))):
                    raise
                if unknown:
                    kind = engine.ANY
            if reader is None and manifest is not None:
                reader, outside = descriptors.reader(kind, stream, context, manifest), True
            if reader is None:
                result = Provenance(ProvenanceState.ABSENT, sdk=engine.sdk())
            else:
                stack.callback(reader.close)
                document = _document(reader)
                for fragment in fragments:
                    reader.with_fragment(
                        kind, stack.enter_context(open(file, "rb")), stack.enter_context(open(fragment, "rb"))
                    )
                    document = _document(reader)
                    if rules.failures_of(document):
                        break  # the SDK forgets a bad fragment as soon as it is given a good one
                result = Opened(document, reader, sidecar=outside and aside is not None)
        except c2pa.C2paError as error:
            result = _refused(str(error))
        except (ValueError, RecursionError) as error:
            result = unreadable(f"the SDK's answer cannot be read: {error}")
        yield result


_REMOTE = re.compile(r"^Remote: .*?(https?://\S+)?$", re.DOTALL)


def unreadable(reason: str, *found: Code) -> Provenance:
    return Provenance(ProvenanceState.UNREADABLE, sanitise.text(reason), codes=found, sdk=engine.sdk())


def _not_read(why: Unread, *found: Code) -> Provenance:
    """Nothing was looked for, by no fault of the credentials."""
    return Provenance(ProvenanceState.UNREADABLE, _SAID[why], why, codes=found, sdk=engine.sdk())


def _unsupported(message: object) -> bool:
    return str(message).startswith("NotSupported")


def _refused(message: str) -> Provenance:
    """The SDK's refusal to open a file, as a state and a reason."""
    remote = _REMOTE.match(message)
    if remote:
        where = sanitise.text(remote.group(1) or "", 2000)
        return _not_read(Unread.NOT_FETCHED, codes.told("gioconda.remote.notFetched", where=where))
    if _unsupported(message):
        return _not_read(Unread.UNSUPPORTED_CONTAINER)
    return unreadable(f"not readable as media or as a credential: {message}")
