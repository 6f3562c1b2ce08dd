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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from cryptography import x509

from gioconda_core.errors import MediaError
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
_SEGMENTS = 5000  # looked at beside one initialisation segment


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
            self.reader.resource_to_stream(
                f"self#jumbf=/c2pa/{self.document.get('active_manifest')}/c2pa.signature", buffer
            )
        except Exception:
            return b""
        return buffer.getvalue()

    @functools.cached_property
    def plain(self) -> bytes:
        """The store to look into: none of its manifests is compressed."""
        return cose.unpacked(self.store)

    @property
    def active(self) -> Mapping[str, Any]:
        """The active manifest; the only one to walk from, since others can be injected."""
        label = self.document.get("active_manifest")
        known = sanitise.table(self.document.get("manifests"))
        return sanitise.table(known.get(label) if isinstance(label, str) else None)

    def chain(self) -> list[x509.Certificate]:
        """The certificates of the active manifest's signature."""
        return cose.chain_of(self.plain, str(self.document.get("active_manifest")))

    def identity(self, assertion: str) -> list[x509.Certificate]:
        """The certificates of an identity statement of the active manifest."""
        return cose.identity_of(self.plain, str(self.document.get("active_manifest")), assertion)

    def clock(self) -> list[x509.Certificate]:
        """The certificates of the authority that timestamped the active manifest."""
        return cose.clock_of(self.plain, str(self.document.get("active_manifest")))

    def stapled(self) -> list[bytes]:
        """What the issuer of the active manifest's certificate said of it when it signed (OCSP), where that lies beside the signature."""
        return cose.stapled_to(self.plain, str(self.document.get("active_manifest")))


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


def _bytes(file: Path) -> bytes | None:
    """What a file holds; None where it cannot be read."""
    with contextlib.suppress(OSError):
        return file.read_bytes()
    return None


def _made_for(store: bytes | None, media: Iterable[Path]) -> Path | None:
    """The first of some files whose bytes a credential beside them was made of."""
    for one in media if store else ():
        with contextlib.suppress(MediaError), opened(one, manifest=store) as found:  # one may not be readable
            if isinstance(found, Opened) and found.store == store and not rules.altered(found.document):
                return one
    return None


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

    file, aside, forced, alone = _placed(Path(path), manifest is not None)
    if aside:
        manifest = _bytes(aside)
    context, kind = engine.reading(anchors), engine.mime_of(file)
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(_regular(file))
        reader, outside, remote = None, forced, ""
        result: Opened | Provenance
        try:
            lost = lost_end(stream)  # with what a credential, or what one binds, may have lain in
            stream.seek(0)
            try:
                if not forced:
                    reader = descriptors.reader(kind, stream, context)
            except c2pa.C2paError as error:
                why = faults.refusal(str(error))
                unknown = why is CredentialReason.UNSUPPORTED and (aside is None or aside == _exact(file))
                if manifest is None or not (unknown or why is CredentialReason.REMOTE):
                    raise
                if unknown:
                    kind = engine.ANY
                elif aside:
                    remote = sanitise.text(faults.address(str(error)), 2000)
            if reader is None and manifest is not None:
                outside = True
                reader = descriptors.reader(kind, stream, context, manifest)
            if reader is None:
                result = _absent(lost)
            else:
                stack.callback(reader.close)
                document, lacks = _whole(reader, kind, file, stream, tuple(fragments))
                lacks = rules.ALONE if alone else lacks
                result = Opened(document, reader, stream, sidecar=outside and aside is not None, lacks=lacks)
                own = outside or not aside or result.store == manifest
                unread = (remote, "" if own else _name(aside, file), "" if outside else _referred(stream))
                result.notes = _notes(unread, lost)
                if result.sidecar and aside and manifest and not remote and rules.altered(document):
                    result = _anothers(manifest, aside, file) or result
        except c2pa.C2paError as error:
            result = _refused(str(error), "" if outside else _name(aside, file))
        except (ValueError, RecursionError) as error:
            result = unreadable(CredentialReason.UNJUDGED, f"the SDK's answer cannot be read: {error}")
        yield result


def _absent(lost: str) -> Provenance:
    """A file without a credential; of one that was cut off nobody knows whether it had any."""
    found = Provenance(ProvenanceState.ABSENT, sdk=engine.sdk())
    return unreadable(CredentialReason.DAMAGED, lost) if lost else found


def _notes(unread: Iterable[str], lost: str) -> tuple[Code, ...]:
    """What to tell beside a credential. unread : where others for the file are. lost : what of the file's end is missing."""
    elsewhere = [codes.told(rules.ELSEWHERE, where=place) for place in unread if place]
    return (*elsewhere, *([codes.told(rules.CUT_OFF)] if lost else []))


class _Placed(NamedTuple):
    """The media and the credential beside it. forced : the latter was asked about; alone : without its media."""

    media: Path
    aside: Path | None = None
    forced: bool = False
    alone: bool = False


def _placed(file: Path, given: bool) -> _Placed:
    """What is to be read; a ``.c2pa`` says something only of the file that it was made for. given : its credential is at hand."""
    if given:
        return _Placed(file)
    if file.suffix.lower() == ".c2pa" and file.is_file():
        media = _media_of(file)
        own = media[0] if len(media) == 1 else _made_for(_bytes(file), media)
        return _Placed(own, file, forced=True) if own else _Placed(file, alone=True)
    return _Placed(file, sidecar_of(file))


def _referred(file: IO[bytes]) -> str:
    """Where the XMP of a file that is not ISO media says that its credential is kept (``dcterms:provenance``); empty where it does not."""
    for part in parts(file, os.fstat(file.fileno()).st_size) or ():
        if part.name in ("APP1", "iTXt", "XMP", "_PMX", "metadata"):
            file.seek(part.start)
            packet = file.read(min(part.end - part.start, _PACKET))
            if b"http://purl.org/dc/terms/" in packet and (found := _REFERENCE.search(packet)):
                return sanitise.text(found[1].decode("utf-8", "replace"), 2000)
    return ""


def _anothers(store: bytes, aside: Path, file: Path) -> Provenance | None:
    """That a file has no credential, where the one that lies beside it was made of another file there."""
    theirs = _made_for(store, [one for one in _media_of(aside) if one != file])
    if theirs is None:
        return None
    note = codes.told(rules.ANOTHERS, where=sanitise.text(theirs.name, 300))
    return Provenance(ProvenanceState.ABSENT, codes=(note,), sdk=engine.sdk())


def _name(aside: Path | None, media: Path) -> str:
    """What the credential beside a file is called; empty where it may be another file's."""
    return sanitise.text(aside.name, 300) if aside and _media_of(aside) == [media] else ""


def _followed(
    reader: "c2pa.Reader", kind: str, initial: Path, fragments: Iterable[str | os.PathLike[str]]
) -> dict[str, Any]:
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
    reader: "c2pa.Reader", kind: str, file: Path, stream: IO[bytes], fragments: Iterable[str | os.PathLike[str]]
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
