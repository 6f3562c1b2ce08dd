"""Open a file's Content Credentials with the SDK, offline, whether embedded, beside the file or given; nothing is judged here.

Not covered by the hashes themselves, so a change there goes unseen by anybody: signature padding, some box headers, MP4
``ftyp`` and ``free`` boxes, and what a signer chose to leave out (:mod:`provenance.reading.coverage`).
"""

import contextlib
import functools
import io
import itertools
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cryptography import x509

from gioconda_core.errors import MediaError
from gioconda_core.files import read_bytes
from gioconda_core.media import containers
from gioconda_core.media.sniff import lost_end, stream_part
from gioconda_core.types import Code, CredentialReason, Provenance, ProvenanceState
from provenance import codes, sanitise
from provenance.reading import cose, rules
from provenance.reading.parts import parts
from provenance.sdk import descriptors, engine, faults

if TYPE_CHECKING:
    import c2pa


_PACKET = 1 << 16  # bytes of XMP looked through
_REFERENCE = re.compile(rb"""provenance\s*(?:=\s*["']|>)\s*(https?://[^"'<\s]+)""")
_ALIKE = 20  # files of one name, apart from their kind, that a credential is held against
_COMPARED = 1 << 30  # bytes of one of them, at most
_SEGMENTS = 5000  # looked at beside one initialisation segment
_Name = str | os.PathLike[str]


@dataclass
class Opened:
    """What the SDK made of a file, before judgement.

    document : its JSON. file : the media, to be read while it is open. lacks : our code for what the credential was read without, so that no byte of it was compared.
    notes : what to tell beside: of other credentials for the file, which were not read; that the file was cut off.
    """

    document: dict[str, Any]
    reader: "c2pa.Reader"
    file: IO[bytes]
    sidecar: bool = False
    lacks: str = ""
    notes: tuple[Code, ...] = ()

    @functools.cached_property
    def store(self) -> bytes:
        """The manifest store's bytes as the SDK parsed them; to be had while the file is open."""
        # Asked for a part that is not a resource, the SDK answers with the whole store.
        buffer = io.BytesIO()
        try:
            self.reader.resource_to_stream(f"self#jumbf=/c2pa/{self.label}/c2pa.signature", buffer)
        except Exception:
            return b""
        return buffer.getvalue()

    @functools.cached_property
    def plain(self) -> bytes:
        """The store to look into: none of its manifests is compressed."""
        return cose.unpacked(self.store)

    @property
    def label(self) -> str:
        """What the active manifest is called; empty where there is none."""
        label = self.document.get("active_manifest")
        return label if isinstance(label, str) else ""

    @property
    def active(self) -> Mapping[str, Any]:
        """The active manifest; the only one to walk from, since others can be injected."""
        return sanitise.table(sanitise.table(self.document.get("manifests")).get(self.label))

    def clock(self) -> list[x509.Certificate]:
        """The certificates of the authority that timestamped the active manifest."""
        return cose.clock_of(self.plain, self.label)


def _exact(file: Path) -> Path:
    return file.with_name(file.name + ".c2pa")


def sidecar_of(path: _Name, *, exact: bool = False) -> Path | None:
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


def _media_of(sidecar: Path) -> list[Path]:
    """The files that a ``.c2pa`` lies beside, by its name (see :func:`sidecar_of`)."""
    whole = sidecar.with_suffix("")
    if whole.suffix and whole.is_file():
        return [whole]
    try:
        beside = [item for item in sidecar.parent.iterdir() if item.stem == whole.name and item.suffix != ".c2pa"]
    except OSError:
        return []
    return sorted(item for item in beside if engine.mime_of(item) and item.is_file())[:_ALIKE]


def _bytes(file: Path) -> tuple[bytes | None, str]:
    """What a file holds; why it cannot be read, where that is so."""
    try:
        return read_bytes(file), ""
    except OSError as error:
        return None, str(error.strerror)


def _made_for(store: bytes | None, media: Iterable[Path]) -> Path | None:
    """The first of some files whose bytes a credential beside them was made of; what is large is not asked."""
    for one in media if store else ():
        if _large(one):
            continue
        with contextlib.suppress(MediaError), opened(one, manifest=store) as found:  # one may not be readable
            if isinstance(found, Opened) and found.store == store and not rules.altered(found.document):
                return one
    return None


def _large(file: Path) -> bool:
    """Whether a file is too large to be read only to learn whose credential it is."""
    with contextlib.suppress(OSError):
        return file.stat().st_size > _COMPARED
    return False


def _segments(initial: Path) -> list[Path]:
    """The media segments in the folder of an initialisation segment, in the order of their numbers."""
    found = []
    for item in sorted(initial.parent.iterdir(), key=_numbered)[:_SEGMENTS]:
        if item.suffix.lower() not in (".m4s", ".mp4", ".m4v", ".m4a", ".cmfv", ".cmfa") or item == initial:
            continue
        with contextlib.suppress(OSError, ValueError), open(item, "rb", buffering=0) as file:
            kinds = {box.kind for box in itertools.islice(containers.boxes(file, item.stat().st_size), 16)}
            if b"moof" in kinds and b"moov" not in kinds:
                found.append(item)
    return found


def _numbered(path: Path) -> list[tuple[int, int | str]]:
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", path.name)]


def _document(reader: "c2pa.Reader") -> dict[str, Any]:
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


@dataclass
class _Source:
    """The media and the credential for it that is not in it.

    aside, store : its place beside the file, and its bytes, None where they cannot be read; fault : why. forced : it was asked about; alone : without its media.
    used : nothing but it is read. remote : where the file says that its own credential is kept.
    """

    media: Path
    aside: Path | None = None
    store: bytes | None = None
    fault: str = ""
    forced: bool = False
    alone: bool = False
    used: bool = False
    remote: str = ""

    @classmethod
    def of(cls, file: Path, given: bytes | None) -> "_Source":
        """What is to be read; a ``.c2pa`` says something only of the file that it was made for. given : its credential."""
        if given is not None:
            return cls(file, None, given)
        if file.suffix.lower() != ".c2pa" or not file.is_file():
            aside = sidecar_of(file)
            return cls(file, aside, *_bytes(aside)) if aside else cls(file)
        media, (store, fault) = _media_of(file), _bytes(file)
        own = media[0] if len(media) == 1 else _made_for(store, media)
        # Where none of the small ones is it, a large one may be.
        own = own or next(filter(_large, media), None)
        if fault and not own:
            raise MediaError(f"cannot be read: {fault}", where=str(file))
        return cls(own, file, store, fault, forced=True) if own else cls(file, alone=True)

    def reader(self, stream: IO[bytes], context: "c2pa.Context") -> "c2pa.Reader | None":
        """The SDK's reader of the credential in the file, else of the one for it; None where there is neither."""
        import c2pa

        kind = engine.mime_of(self.media)
        try:
            if not self.forced and (embedded := descriptors.reader(kind, stream, context)):
                return embedded
        except c2pa.C2paError as error:
            why, elsewhere = faults.refusal(str(error)), self.store is not None or self.aside is not None
            unknown = why is CredentialReason.UNSUPPORTED and self.aside in (None, _exact(self.media))
            if not elsewhere or not (unknown or why is CredentialReason.REMOTE):
                raise
            if unknown:
                kind = engine.ANY
            elif self.aside:
                self.remote = sanitise.text(faults.address(str(error)), 2000)
        if self.aside and self.store is None:
            what = f"the credential beside it, {sanitise.text(self.aside.name, 300)}, cannot be read: {self.fault}"
            raise MediaError(what, where=str(self.media))
        self.used = self.store is not None
        return descriptors.reader(kind, stream, context, self.store) if self.used else None

    def unread(self) -> str:
        """What the credential beside the file is called where another is read; empty where it may be another file's."""
        unread = self.aside and not self.used and _media_of(self.aside) == [self.media]
        return sanitise.text(self.aside.name, 300) if self.aside and unread else ""

    def found(self, reader: "c2pa.Reader", stream: IO[bytes], fragments: Sequence[_Name]) -> Opened | Provenance:
        """What the reader says; that there is no credential where the one beside the file was made of another file there."""
        document, lacks = _whole(reader, engine.mime_of(self.media), self.media, stream, fragments)
        lacks, beside = rules.ALONE if self.alone else lacks, self.aside if self.used else None
        made = Opened(document, reader, stream, sidecar=beside is not None, lacks=lacks)
        if beside and not self.remote and rules.altered(document):
            theirs = _made_for(self.store, [one for one in _media_of(beside) if one != self.media])
            if theirs:
                note = codes.told(rules.ANOTHERS, where=sanitise.text(theirs.name, 300))
                return Provenance(ProvenanceState.ABSENT, codes=(note,), sdk=engine.sdk())
        own = self.aside is None or made.store == self.store
        places = (self.remote, "" if own else self.unread(), "" if self.used else _referred(stream))
        made.notes = tuple(codes.told(rules.ELSEWHERE, where=place) for place in places if place)
        if lost_end(stream):
            made.notes += (codes.told(rules.CUT_OFF),)
        return made


@contextlib.contextmanager
def opened(
    path: _Name,
    anchors: engine.Anchors = (),
    *,
    manifest: bytes | None = None,
    fragments: Iterable[_Name] = (),
) -> Iterator[Opened | Provenance]:
    """Open a file's credentials; a :class:`Provenance` instead when there is nothing to judge.

    manifest : a store from elsewhere (fetched, or not named like a sidecar), validated against the file; what is embedded
        comes first. fragments : the segments of a fragmented MP4 whose initialisation segment ``path`` is.

    Raises
    ------
    MediaError
        The file itself cannot be opened, or the credential beside it.
    """
    import c2pa

    source = _Source.of(Path(path), manifest)
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(_regular(source.media))
        result: Opened | Provenance
        try:
            if reader := source.reader(stream, engine.reading(anchors)):
                stack.callback(reader.close)
                result = source.found(reader, stream, tuple(fragments))
            elif lost := lost_end(stream):  # with what a credential may have lain in
                result = unreadable(CredentialReason.DAMAGED, lost)
            else:
                result = Provenance(ProvenanceState.ABSENT, sdk=engine.sdk())
        except c2pa.C2paError as error:
            result = _refused(str(error), source.unread())
        except (ValueError, RecursionError) as error:
            result = unreadable(CredentialReason.UNJUDGED, f"the SDK's answer cannot be read: {error}")
        yield result


def _referred(file: IO[bytes]) -> str:
    """Where the XMP of a file that is not ISO media says that its credential is kept (``dcterms:provenance``); empty where it does not."""
    for part in parts(file, os.fstat(file.fileno()).st_size) or ():
        if part.name in ("APP1", "iTXt", "XMP", "_PMX", "metadata"):
            file.seek(part.start)
            packet = file.read(min(part.end - part.start, _PACKET))
            if b"http://purl.org/dc/terms/" in packet and (found := _REFERENCE.search(packet)):
                return sanitise.text(found[1].decode("utf-8", "replace"), 2000)
    return ""


def _followed(reader: "c2pa.Reader", kind: str, initial: Path, fragments: Iterable[_Name]) -> dict[str, Any]:
    """The answer about a stream with these of its segments, up to the first that does not fit."""
    document: dict[str, Any] = {}
    for fragment in fragments:
        with open(initial, "rb") as first, open(fragment, "rb") as rest:  # thousands may follow
            reader.with_fragment(kind, first, rest)
            document = _document(reader)
        if rules.failures_of(document):
            break  # the SDK forgets a bad fragment as soon as it is given a good one
    return document


def _whole(
    reader: "c2pa.Reader", kind: str, file: Path, stream: IO[bytes], fragments: Sequence[_Name]
) -> tuple[dict[str, Any], str]:
    """The answer about a file with the segments given, else those beside it that it needs, and what it lacks."""
    if fragments:
        return _followed(reader, kind, file, fragments), ""
    document = _document(reader)
    if _HALF in rules.failures_of(document) and stream_part(stream) == "beginning":
        return _continued(reader, kind, file, document)
    return document, ""


_HALF = "assertion.bmffHash.mismatch"  # what the SDK says of an initialisation segment without its segments


def _continued(reader: "c2pa.Reader", kind: str, initial: Path, document: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The answer about an initialisation segment with those of the segments beside it that fit, and what it lacks."""
    import c2pa

    fit, unfit, places = document, 0, set()
    found = _segments(initial)
    for segment in found:
        try:
            with open(initial, "rb") as first, open(segment, "rb") as rest:
                place = rest.read(_PLACE)
                rest.seek(0)
                reader.with_fragment(kind, first, rest)
                answer = _document(reader)
        except (c2pa.C2paError, OSError):
            unfit += 1
            continue
        if _HALF in rules.failures_of(answer):
            unfit += 1
        else:
            fit = answer
            places.add(place)
    if not found:
        return document, rules.SEGMENTS
    if unfit:
        return fit, rules.UNFIT
    return fit, rules.MISSING if len(places) < _promised(document) else ""


_PLACE = 4096  # bytes at a segment's beginning, among them the box that gives its place: no two segments of a stream share them


def _promised(document: Mapping[str, Any]) -> int:
    """How many segments the active credential counts; 0 where it does not say."""
    active = sanitise.table(sanitise.table(document.get("manifests")).get(str(document.get("active_manifest"))))
    bound = [a for a in sanitise.tables(active.get("assertions")) if str(a.get("label")).startswith("c2pa.hash.bmff")]
    trees = [tree for one in bound for tree in sanitise.tables(sanitise.table(one.get("data")).get("merkle"))]
    return sum(count for tree in trees if isinstance(count := tree.get("count"), int))


def unreadable(reason: CredentialReason, detail: str, *found: Code) -> Provenance:
    """The state *unreadable*, with its reason and detail; found : the codes that there are all the same."""
    return Provenance(ProvenanceState.UNREADABLE, reason, sanitise.text(detail), codes=found, sdk=engine.sdk())


def _refused(message: str, unread: str) -> Provenance:
    """The SDK's refusal to open a file, as a state and a reason. unread : the credential beside it, which may be another file's."""
    why = faults.refusal(message)
    if why is not CredentialReason.REMOTE:
        told = unread and why is not CredentialReason.UNSUPPORTED
        return unreadable(why, message, *([codes.told(rules.ELSEWHERE, where=unread)] if told else []))
    where = sanitise.text(faults.address(message), 2000)
    return unreadable(CredentialReason.REMOTE, message, codes.told("gioconda.remote.notFetched", where=where))
