"""Read trust lists in the forms in which they are published: certificates, ETSI's lists of trusted entities, IPTC's list, hashes of certificates.

C2PA publishes each of its lists as PEM and as JSON (ETSI TS 119 602, ``LoTE``), IPTC the verified news publishers as PEM and JSON, the interim
list is anchors in PEM beside leaves in PEM or as SHA-256. Dates are the list's own where it states them. A list's signature is not checked
here: what counts is that it is the file that was added, by its sha256.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import pkcs7

from gioconda_core.errors import CredentialError
from gioconda_core.types import TrustScheme
from provenance.keys import certificates
from provenance.sanitise import items, table

_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")  # PKCS #7
_WITHDRAWN = ("withdrawn", "revoked", "suspended")


@dataclass(frozen=True)
class Content:
    """What a published list holds. anchors : PEM; leaves : sha256 (hex) of certificates that are listed themselves; unread : which
    of its certificates, counted from 1, cannot be read.

    issued, next_update : ISO dates that the list states, empty where it states none; sequence : its own count of issues.
    """

    anchors: str = ""
    leaves: frozenset[str] = frozenset()
    issuers: frozenset[str] = frozenset()
    title: str = ""
    issued: str = ""
    next_update: str = ""
    sequence: int | None = None
    scheme: TrustScheme | None = None
    unread: tuple[int, ...] = ()


def parse(data: bytes, where: str) -> Content:
    """Read a list in any of these forms.

    Raises
    ------
    CredentialError
        It begins like JSON and is none of the known forms, or it holds a private key.
    """
    if data[:1] == b"0" and data[1:2] >= b"\x80":  # DER
        kind = "PKCS7" if _SIGNED_DATA in data[:32] else "CERTIFICATE"
        data = f"-----BEGIN {kind}-----\n{base64.encodebytes(data).decode()}-----END {kind}-----".encode()
    text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "replace")
    if "PRIVATE KEY-----" in text:
        raise CredentialError(
            "holds a private key", where=where, hint="a trust list is certificates alone: take it out"
        )
    if not text.lstrip("\ufeff \r\n\t").startswith("{"):
        return _text(text)
    try:
        document = json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise CredentialError("is not well-formed JSON", where=where) from error
    if isinstance(document.get("LoTE"), Mapping):
        return _entities(document["LoTE"])
    if isinstance(document.get("entities"), list):
        return _publishers(document)
    raise CredentialError(
        "is in no form of a trust list that is known", where=where, hint="PEM, ETSI TS 119 602 (LoTE), or IPTC's JSON"
    )


def _text(text: str) -> Content:
    """PEM, hashes (hexadecimal or base64), and DIDs, one a line."""
    head, *blocks = text.split("-----BEGIN")

    def date(words: str) -> str:
        found = re.search(rf"^[^\w\n]*(?:{words}):\s*(\d{{4}}-\d{{2}}-\d{{2}})", head, re.M | re.I)
        return found[1] if found else ""

    between = (block.partition("-----END")[2].partition("\n")[2] for block in blocks)
    lines = "\n".join([head, *between]).split()
    hashed = {print_ for line in lines if (print_ := _hash(line))}
    return _content(
        _pem(text),
        leaves=hashed,
        issuers=frozenset(line for line in lines if line.startswith("did:")),
        issued=date("Date|Issued"),
        next_update=date("Next[ -]?update"),
        scheme=TrustScheme.INTERIM if re.search(r"interim", head, re.I) else None,
    )


def _entities(lote: Mapping[str, Any]) -> Content:
    """ETSI TS 119 602: certificates of the services that the list trusts now."""
    about = table(lote.get("ListAndSchemeInformation"))
    title = _english(about.get("SchemeName"))
    operator = f"{title} {_english(about.get('SchemeOperatorName'))}".lower()
    sequence = about.get("LoTESequenceNumber")
    scheme = None
    if "c2pa" in operator:
        scheme = TrustScheme.INTERIM if "interim" in operator else TrustScheme.OFFICIAL
    return _content(
        _services(lote),
        title=title,
        issued=str(about.get("ListIssueDateTime") or "")[:10],
        next_update=str(table(about.get("NextUpdate")).get("dateTime") or about.get("NextUpdate") or "")[:10],
        sequence=sequence if isinstance(sequence, int) else None,
        scheme=scheme,
    )


def _services(lote: Mapping[str, Any]) -> "Certificates":
    for entity in items(lote.get("TrustedEntitiesList")):
        for service in items(table(entity).get("TrustedEntityServices")):
            facts = table(table(service).get("ServiceInformation"))
            if str(facts.get("ServiceStatus") or "").rsplit("/", 1)[-1] in _WITHDRAWN:
                continue
            identity = table(facts.get("ServiceDigitalIdentity"))
            for item in items(identity.get("X509Certificates")):
                yield from _certificate(table(item).get("val"))


def _publishers(document: Mapping[str, Any]) -> Content:
    """IPTC's form: entities with key sets, each a certificate (``x5c``) or its thumbprint (``x5t#S256``)."""
    title = str(document.get("name") or "")
    found, leaves = [], set()
    for entity in items(document.get("entities")):
        for key in items(table(table(entity).get("jwks")).get("keys")):
            given = items(table(key).get("x5c"))[:1]  # the first is the key's own
            found += [certificate for item in given for certificate in _certificate(item)]
            thumbprint = _hash(str(table(key).get("x5t#S256") or ""))
            if thumbprint:
                leaves.add(thumbprint)
    return _content(
        found,
        leaves=leaves,
        title=title,
        issued=str(document.get("last_updated") or "")[:10],
        scheme=TrustScheme.IPTC if "iptc" in f"{title} {document.get('description')}".lower() else None,
    )


def _content(
    listed: Iterable[x509.Certificate | None], leaves: set[str] | frozenset[str] = frozenset(), **stated: Any
) -> Content:
    numbered = list(listed)
    found = list(dict.fromkeys(filter(None, numbered)))
    return Content(
        unread=tuple(number for number, item in enumerate(numbered, 1) if item is None),
        anchors="".join(certificates.pem(item) for item in found if _issues(item)),
        leaves=frozenset(leaves) | {certificates.fingerprint(item) for item in found if not _issues(item)},
        **stated,
    )


def _issues(certificate: x509.Certificate) -> bool:
    """Whether a certificate may issue others; of one that does not say (version 1), whether it issued itself."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return certificate.subject == certificate.issuer
    except ValueError:
        return False


Certificates = Iterator[x509.Certificate | None]  # None for one that cannot be read


def _certificate(value: object) -> Certificates:
    """A certificate in base64 or PEM."""
    text = str(value or "")
    if "-----BEGIN" in text:
        yield from _pem(text)
        return
    try:
        yield x509.load_der_x509_certificate(base64.b64decode(text))
    except (ValueError, binascii.Error):
        yield None


def _pem(text: str) -> Certificates:
    """Each certificate of a PEM text, also in PKCS #7."""
    for block in text.split("-----BEGIN ")[1:]:
        kind, data = block.split("-----", 1)[0], f"-----BEGIN {block}".encode()
        try:
            if kind == "PKCS7":
                yield from pkcs7.load_pem_pkcs7_certificates(data)
            elif kind.endswith("CERTIFICATE"):
                yield x509.load_pem_x509_certificate(data)
        except (ValueError, UnsupportedAlgorithm):
            yield None


def _hash(text: str) -> str:
    """A SHA-256 as hexadecimal, from hexadecimal or base64 in either alphabet; empty where it is none."""
    if re.fullmatch(r"[0-9A-Fa-f]{64}", text):
        return text.lower()
    if not re.fullmatch(r"[\w+/-]{43}=?", text, re.ASCII):
        return ""
    return base64.b64decode(text[:43].translate(str.maketrans("-_", "+/")) + "=").hex()


def leaf_lines(leaves: frozenset[str]) -> str:
    """Listed leaves as the SDK takes them: the base64 of each SHA-256, one a line."""
    return "".join(base64.b64encode(bytes.fromhex(leaf)).decode() + "\n" for leaf in sorted(leaves))


def _english(value: object) -> str:
    """The text of a list of texts by language, English first."""
    texts = [table(item) for item in items(value)]
    return str(next((item for item in texts if item.get("lang") == "en"), (texts or [{}])[0]).get("value") or "")
