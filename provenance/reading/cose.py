"""Find the certificate chain inside a manifest store, with as much of CBOR, JUMBF and COSE as that takes.

The SDK reports a signer's names, which prove nothing, and not the certificate. We ask it for the store's bytes as it parsed
them (so that a decoy elsewhere in the file cannot be looked at instead) and take the chain of one manifest's signature.
Nothing here is trusted to validate: signatures and hashes are the SDK's work.
"""

import contextlib
import functools
import io
from collections.abc import Iterator, Mapping
from typing import Any

from cryptography import x509

from gioconda_core.media.containers import boxes
from provenance.keys import certificates
from provenance.sanitise import items, table

_DEPTH = 32
_ANSWERS = 8  # answers of a status service looked at
_X5CHAIN = 33  # RFC 9360
_SUPERBOX, _DESCRIPTION, _CBOR, _BROTLI = b"jumb", b"jumd", b"cbor", b"brob"
_UNPACKED = 64 << 20  # bytes of compressed manifests, unpacked


class _Reader:
    """A CBOR reader (RFC 8949) over bytes that may be hostile: bounded depth, no allocation by claimed length."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, n: int) -> bytes:
        if n < 0 or self.at + n > len(self.data):
            raise ValueError("CBOR ends early")
        piece = self.data[self.at : self.at + n]
        self.at += n
        return piece

    def value(self, depth: int = 0) -> Any:
        if depth > _DEPTH:
            raise ValueError("CBOR nests too deep")
        first = self.take(1)[0]
        major, info = first >> 5, first & 31
        endless = info == 31 and major in (2, 3, 4, 5)
        if info > 27 and not endless:
            raise ValueError("CBOR length is malformed")
        n = info if info < 24 or endless else int.from_bytes(self.take(1 << (info - 24)), "big")
        match major:
            case 0 | 1:
                return -1 - n if major else n
            case 2 | 3 if endless:
                return (b"" if major == 2 else "").join(self.items(None, depth))
            case 2 | 3:
                return self.take(n) if major == 2 else self.take(n).decode("utf-8", "replace")
            case 4:
                return self.items(None if endless else n, depth)
            case 5:
                flat = self.items(None if endless else 2 * n, depth)
                keys = [repr(key) if isinstance(key, (list, dict)) else key for key in flat[::2]]
                return dict(zip(keys, flat[1::2], strict=True))
            case 6:
                return self.value(depth + 1)  # the tag itself does not matter here
        return {20: False, 21: True}.get(n)  # null, undefined, floats: nothing here needs them

    def items(self, n: int | None, depth: int) -> list[Any]:
        """So many values, or those before a break."""
        if n is not None and n > len(self.data):
            raise ValueError("CBOR claims more items than it has bytes")
        if n is not None:
            return [self.value(depth + 1) for _ in range(n)]
        found = []
        while self.data[self.at : self.at + 1] != b"\xff":
            found.append(self.value(depth + 1))
        self.at += 1
        return found


def decode(data: bytes) -> Any:
    """The first CBOR item in ``data``. Raises ValueError when it is malformed."""
    try:
        return _Reader(data).value()
    except (TypeError, RecursionError, UnicodeError) as error:
        raise ValueError(f"malformed CBOR: {error}") from error


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, payload) of each box laid end to end in ``data``; stops where the lengths stop making sense."""
    for box in boxes(io.BytesIO(data), len(data)):
        end = len(data) if (box.size, box.header) == (0, 8) else box.start + box.size
        if not box.start + box.header <= end <= len(data):
            return
        yield box.kind, data[box.start + box.header : end]


def _label(superbox: bytes) -> str:
    for kind, payload in _boxes(superbox):
        if kind == _DESCRIPTION and len(payload) > 17 and payload[16] & 2:  # 16 bytes type, 1 toggles, then the label
            return payload[17:].split(b"\0", 1)[0].decode("utf-8", "replace")
        break
    return ""


def unpacked(store: bytes) -> bytes:
    """A store with its compressed manifests (C2PA 2.4, 11.2.4) as they were before; one that cannot be unpacked stays as it is."""
    if _BROTLI not in store:
        return store
    made, left = bytearray(), _UNPACKED
    for kind, top in _boxes(store):
        inner = bytearray()
        for child, manifest in _boxes(top):
            packed = [payload for part, payload in _boxes(manifest) if part == _BROTLI] if child == _SUPERBOX else []
            whole = _inflated(packed[0], left) if len(packed) == 1 else b""
            left -= len(whole)
            inner += whole or _box(child, manifest)
        made += _box(kind, bytes(inner))
    return bytes(made)


def _box(kind: bytes, payload: bytes) -> bytes:
    return (8 + len(payload)).to_bytes(4, "big") + kind + payload


def _inflated(packed: bytes, most: int) -> bytes:
    """The superbox in a Brotli stream; empty where there is none, or more than ``most`` bytes."""
    import pyarrow  # only here: hardly any store is compressed

    try:
        with pyarrow.CompressedInputStream(pyarrow.BufferReader(packed), "brotli") as stream:
            whole: bytes = stream.read(most + 1)
    except (OSError, pyarrow.ArrowException):
        return b""
    boxes = list(_boxes(whole))
    return whole if len(whole) <= most and [kind for kind, _ in boxes] == [_SUPERBOX] else b""


def chain_of(store: bytes, manifest: str) -> list[x509.Certificate]:
    """The certificates beside the signature of one manifest, leaf first; empty when they cannot be had.

    Two manifests of the same label, or two signatures in one, are ambiguous: nothing is returned, and policy then refuses to
    call the signer trusted.
    """
    return _certificates(_signature(store, manifest))


def assertions_of(store: bytes, manifest: str) -> list[str]:
    """The labels of one manifest's assertions, as they stand in the store."""
    inside = _inside(store, "c2pa", manifest, "c2pa.assertions")
    return [_label(box) for kind, box in _boxes(inside) if kind == _SUPERBOX]


def is_update(store: bytes, manifest: str) -> bool:
    """Whether one manifest is an update of another (C2PA 2.4, 11.2.3), by the type of its box."""
    return next((payload[:4] == b"c2um" for _, payload in _boxes(_inside(store, "c2pa", manifest))), False)


def assertion(store: bytes, manifest: str, label: str) -> Any:
    """The data of one assertion that is CBOR; None where there is none to be read."""
    return _decoded(_content(store, "c2pa", manifest, "c2pa.assertions", label))


def claim(store: bytes, manifest: str) -> Any:
    """The claim of one manifest, of either version; None where there is none to be read."""
    inside = _inside(store, "c2pa", manifest)
    label = next((label for label in ("c2pa.claim.v2", "c2pa.claim") if _inside(inside, label)), "")
    return _decoded(_content(inside, label))


def _decoded(data: bytes) -> Any:
    try:
        return decode(data)
    except ValueError:
        return None


def identity_of(store: bytes, manifest: str, label: str) -> list[x509.Certificate]:
    """The certificates beside the signature of one identity statement (CAWG), leaf first; empty when they cannot be had."""
    signature = table(assertion(store, manifest, label)).get("signature")
    return _certificates(signature) if isinstance(signature, bytes) else []


def clock_of(store: bytes, manifest: str) -> list[x509.Certificate]:
    """The certificates of the authority that timestamped one manifest's signature: its own, then towards its root.

    Empty without exactly one timestamp, and where none of the certificates beside it made its signature. A claim of version 1
    carries a whole response (RFC 3161 ``TimeStampResp``, header ``sigTst``), one of version 2 the bare token (``sigTst2``).
    The SDK takes any authority's for a claim of version 1: who it was is for us to establish, so a name alone is not enough.
    """
    try:
        _, headers = _headers(_signature(store, manifest))
        (stamps,) = (headers[name] for name in ("sigTst2", "sigTst") if name in headers)
        (token,) = stamps["tstTokens"]
        signed = _signed_data(token["val"])
        (signer,) = signed["signer_infos"]
        known = [_whole(item.chosen.dump()) for item in signed["certificates"]]
        return next((_path(leaf, known) for leaf in known if _signed_by(leaf, signer)), [])
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return []


def stapled_to(store: bytes, manifest: str) -> list[bytes]:
    """The answers of the issuer's status service (OCSP) that lie beside the signature of one manifest."""
    _, beside = _headers(_signature(store, manifest))
    listed = items(table(beside.get("rVals")).get("ocspVals"))
    return [item for item in listed if isinstance(item, bytes)][:_ANSWERS]


def _signed_data(der: bytes) -> Any:
    """The CMS signed data of a timestamp, bare or in its response. Raises ValueError when it is neither."""
    from asn1crypto import cms, tsp

    try:
        response = tsp.TimeStampResp.load(der, strict=True)
        token = response["time_stamp_token"]
        token["content_type"].native  # noqa: B018  parsed only when it is looked at
    except (ValueError, TypeError):
        token = cms.ContentInfo.load(der, strict=True)
    if token["content_type"].native != "signed_data":
        raise ValueError("a timestamp that is not signed data")
    return token["content"]


def _signed_by(certificate: x509.Certificate, signer: Any) -> bool:
    """Whether a certificate's key made the signature over a CMS signer's attributes (RFC 5652, 5.4)."""
    digest = certificates.HASHES[signer["digest_algorithm"]["algorithm"].native.removeprefix("sha")]
    attributes, signature = signer["signed_attrs"].untag().dump(), signer["signature"].native
    pss = signer["signature_algorithm"]["algorithm"].native == "rsassa_pss"
    return certificates.verifies(certificate.public_key(), signature, attributes, digest, pss=pss)


def _path(leaf: x509.Certificate, known: list[x509.Certificate]) -> list[x509.Certificate]:
    """``leaf`` and those of ``known`` that issued it, each after the one it issued: a token may hold them in any order."""
    path, rest = [leaf], [item for item in known if item != leaf]
    while issuer := next((item for item in rest if certificates.issued(path[-1], item)), None):
        path.append(issuer)
        rest.remove(issuer)
    return path


def _content(store: bytes, *labels: str) -> bytes:
    """The CBOR in the box at a path of labels; empty when there is none, or more than one to choose from."""
    return next((payload for kind, payload in _boxes(_inside(store, *labels)) if kind == _CBOR), b"")


# A history of thousands of manifests is looked through once, and not once for each of them.
@functools.lru_cache(maxsize=1)
def _manifests(store: bytes) -> dict[str, bytes]:
    """What each manifest of a store holds, by its label; nothing of several of one label."""
    held: dict[str, bytes] = {}
    for kind, box in _boxes(_inside(store, "c2pa")):
        if kind == _SUPERBOX:
            label = _label(box)
            held[label] = b"" if label in held else box
    return held


def _inside(store: bytes, *labels: str) -> bytes:
    """What the box at a path of labels holds; empty when there is none, or more than one to choose from."""
    inside = store
    if labels[0] == "c2pa" and len(labels) > 1:
        inside, labels = _manifests(store).get(labels[1], b""), labels[2:]
    for label in labels:
        found = [box for kind, box in _boxes(inside) if kind == _SUPERBOX and _label(box) == label]
        if len(found) != 1:
            return b""
        inside = found[0]
    return inside


def _signature(store: bytes, manifest: str) -> bytes:
    """The COSE signature of one manifest."""
    return _content(store, "c2pa", manifest, "c2pa.signature")


def _headers(sign1: bytes) -> tuple[Mapping[Any, Any], Mapping[Any, Any]]:
    """The headers of a COSE signature: what is signed, and what is not; empty where it is none."""
    parts = _decoded(sign1)
    if not isinstance(parts, list) or len(parts) != 4:
        return {}, {}
    return table(_decoded(parts[0]) if isinstance(parts[0], bytes) else None), table(parts[1])


def _certificates(sign1: bytes) -> list[x509.Certificate]:
    chains = [header[key] for header in _headers(sign1) for key in (_X5CHAIN, "x5chain") if key in header]
    if len(chains) != 1:
        return []
    with contextlib.suppress(ValueError):
        return [_whole(piece) for piece in items(chains[0]) or chains if isinstance(piece, bytes)]
    return []


@functools.lru_cache(maxsize=512)
def _whole(der: bytes) -> x509.Certificate:
    """A certificate every part of which can be read: cryptography reads lazily, and a mutated one fails later, anywhere."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        parts = (
            certificate.subject,
            certificate.issuer,
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
        )
        _ = (parts, certificate.serial_number, certificate.extensions, certificate.public_key())
        certificate.subject.rfc4514_string()
    except Exception as error:  # ValueError, InvalidVersion, UnsupportedAlgorithm, DuplicateExtension…
        raise ValueError(f"a certificate cannot be read: {error}") from error
    return certificate
