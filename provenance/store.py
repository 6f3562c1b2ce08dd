"""Open a file's manifest store through the SDK, offline: embedded, beside the file, or given; with what the SDK found.

Not covered by the hashes themselves, so a change there goes unseen by anybody: signature padding, some box headers, MP4
``ftyp`` and ``free`` boxes. Media samples are covered.
"""

from __future__ import annotations

import contextlib
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

from gioconda.core.errors import MediaError
from gioconda.core.types import Code, Provenance, ProvenanceState
from provenance import codes, cose, engine, policy, sanitise, streams

if TYPE_CHECKING:
    import c2pa

__all__ = ["NOT_FETCHED", "UNSUPPORTED", "Opened", "opened", "sidecar_of", "unreadable"]

UNSUPPORTED = "unsupported container"
NOT_FETCHED = "remote manifest, not fetched"


@dataclass
class Opened:
    """What the SDK made of a file, before judgement. document : its JSON; store : the manifest store's bytes as it parsed them."""

    document: dict[str, Any]
    store: bytes
    reader: c2pa.Reader
    sidecar: bool = False
    remote: str = ""

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

    def clock(self) -> list[x509.Certificate]:
        """The certificates of the authority that timestamped the active manifest."""
        return cose.clock_of(self.store, str(self.document.get("active_manifest"))) if self.store else []


def sidecar_of(path: str | os.PathLike[str]) -> Path | None:
    """``clip.mp4.c2pa`` or ``clip.c2pa`` next to the file, the more exact name first."""
    file = Path(path)
    if file.suffix.lower() == ".c2pa":
        return None
    for candidate in (file.with_name(file.name + ".c2pa"), file.with_suffix(".c2pa")):
        if candidate.is_file():
            return candidate
    return None


def _document(reader: c2pa.Reader) -> dict[str, Any]:
    made = json.loads(reader.json())
    if not isinstance(made, dict):
        raise ValueError("not an object")
    return made


def _store(reader: c2pa.Reader, label: object) -> bytes:
    # Asked for a part that is not a resource, the SDK answers with the whole store as it parsed it.
    buffer = io.BytesIO()
    try:
        reader.resource_to_stream(f"self#jumbf=/c2pa/{label}/c2pa.signature", buffer)
    except Exception:
        return b""
    return buffer.getvalue()


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
                reader = streams.reader(kind, stream, context)
            except c2pa.C2paError as error:
                if manifest is None or not _REMOTE.search(str(error)):
                    raise
            if reader is None and manifest is not None:
                reader, outside = streams.reader(kind, stream, context, manifest), True
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
                    if policy.failures_of(document):
                        break  # the SDK forgets a bad fragment as soon as it is given a good one
                store = _store(reader, document.get("active_manifest"))
                result = Opened(document, store, reader, sidecar=outside and aside is not None)
        except c2pa.C2paError as error:
            result = _refused(str(error))
        except (ValueError, RecursionError) as error:
            result = unreadable(f"the SDK's answer cannot be read: {error}")
        yield result


_REMOTE = re.compile(r"^Remote: .*?(https?://\S+)?$", re.DOTALL)


def unreadable(reason: str, *found: Code) -> Provenance:
    return Provenance(ProvenanceState.UNREADABLE, sanitise.text(reason), codes=found, sdk=engine.sdk())


def _refused(message: str) -> Provenance:
    """The SDK's refusal to open a file, as a state and a reason."""
    remote = _REMOTE.match(message)
    if remote:
        code = "gioconda.remote.notFetched"
        where = sanitise.text(remote.group(1) or "", 2000)
        return unreadable(NOT_FETCHED, Code(code, "policy", codes.sentence(code), where))
    if message.startswith("NotSupported"):
        return unreadable(UNSUPPORTED)
    return unreadable(f"not readable as media or as a credential: {message}")
