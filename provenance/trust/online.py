"""Fetch remote manifests, answers about revocation and trust lists, when asked to; no other module of this package uses the network.

URLs in files are the attacker's. So: http and https only, no private, loopback, link-local or reserved addresses (checked on
the address actually connected to, at every redirect, so a name that resolves twice does not help), at most 8 MiB, 10 seconds
in all, three redirects, no credentials, no cookies. The SDK's own fetching is never used: it has none of these limits.
"""

import contextlib
import datetime
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from gioconda_core.errors import CredentialError
from gioconda_core.types import Code
from provenance import codes
from provenance.keys import certificates


@dataclass(frozen=True)
class Limits:
    """size : bytes; seconds : for the whole fetch; private : allow private addresses (tests only)."""

    size: int = 8 * 2**20
    seconds: float = 10.0
    redirects: int = 3
    private: bool = False


DEFAULT = Limits()
Resolver = Callable[[str, int], list[str]]


def _addresses(host: str, port: int) -> list[str]:
    return [str(item[4][0]) for item in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def allowed(address: str) -> bool:
    """Whether an address is a public one."""
    try:
        parsed = ipaddress.ip_address(address.split("%", 1)[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None) or getattr(parsed, "sixtofour", None)
    return parsed.is_global and not parsed.is_multicast and (mapped is None or mapped.is_global)


def fetch(
    url: str, *, data: bytes | None = None, kind: str = "", limits: Limits = DEFAULT, resolve: Resolver = _addresses
) -> bytes:
    """The body at a URL (POST when ``data`` is given), within limits.

    Raises
    ------
    CredentialError
        Not allowed, too large, too slow, or not there.
    """
    connections: list[Any] = []
    answer: Future[bytes] = Future()

    def work() -> None:
        try:
            answer.set_result(_fetch(url, data, kind, limits, resolve, connections))
        except BaseException as error:
            answer.set_exception(error)

    # A client's timeouts begin anew with every byte, and a name's look-up has none: only somebody else can keep the time.
    threading.Thread(target=work, daemon=True).start()
    try:
        return answer.result(limits.seconds)
    except TimeoutError as error:
        raise CredentialError(f"slower than {limits.seconds:g} s", where=url[:200]) from error
    finally:
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # and so the other thread ends too


def _fetch(url: str, data: bytes | None, kind: str, limits: Limits, resolve: Resolver, connections: list[Any]) -> bytes:
    import httpx

    def opened(event: str, facts: dict[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            connections.append(facts["return_value"].get_extra_info("socket"))

    end = time.monotonic() + limits.seconds
    for _ in range(limits.redirects + 1):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise CredentialError(
                "an address that is not fetched", where=url[:200], hint="http and https without a login only"
            )
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            found = resolve(parts.hostname, port)
        except (OSError, UnicodeError) as error:
            raise CredentialError("its host cannot be found", where=url[:200]) from error
        if not found or (not limits.private and not all(map(allowed, found))):
            raise CredentialError(
                "its host is not a public one", where=url[:200], hint="private addresses are never fetched"
            )
        # Connect to the address that was checked, under the name that was asked for: no second look-up in between.
        target = httpx.URL(url).copy_with(host=found[0])
        headers = {"Host": parts.netloc, "User-Agent": "gioconda", "Accept-Encoding": "identity"}
        if kind:
            headers["Content-Type"] = kind
        left = max(0.1, end - time.monotonic())
        try:
            with (
                httpx.Client(timeout=left, follow_redirects=False, trust_env=False) as client,
                client.stream(
                    "POST" if data is not None else "GET",
                    target,
                    content=data,
                    headers=headers,
                    extensions={"sni_hostname": parts.hostname, "trace": opened},
                ) as answer,
            ):
                if answer.is_redirect:
                    url = urljoin(url, answer.headers.get("location", ""))
                    continue
                if answer.status_code != 200:
                    raise CredentialError(f"answered {answer.status_code}", where=url[:200])
                return _body(answer.iter_raw(), limits, url)
        except httpx.HTTPError as error:
            raise CredentialError(f"could not be fetched: {type(error).__name__}", where=url[:200]) from error
    raise CredentialError("too many redirects", where=url[:200])


def _body(pieces: Iterable[bytes], limits: Limits, url: str) -> bytes:
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > limits.size:
            raise CredentialError(f"larger than {limits.size >> 20} MiB", where=url[:200])
    return bytes(body)


def revocation(chain: list[x509.Certificate], signed_at: datetime.datetime | None = None) -> Code:
    """Ask the issuer (OCSP) whether the leaf was revoked. signed_at : by a trusted timestamp; what is revoked later is no fault then.

    An answer counts only if the issuer, or a responder the issuer appointed, signed it, and it is of today (C2PA 2.4, 15.9).
    """
    nowhere = codes.told("gioconda.revocation.unasked")
    if len(chain) < 2:
        return nowhere
    leaf, issuer = chain[0], chain[1]
    try:
        access = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, ValueError):
        return nowhere
    urls = [
        item.access_location.value
        for item in access
        if item.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(item.access_location, x509.UniformResourceIdentifier)
    ]
    if not urls:
        return nowhere
    # sha1 only names the certificate here, as every responder expects (RFC 5019); it protects nothing.
    request = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, hashes.SHA1()).build()
    try:
        body = fetch(urls[0], data=request.public_bytes(serialization.Encoding.DER), kind="application/ocsp-request")
        return _answer(ocsp.load_der_ocsp_response(body), leaf, issuer, signed_at)
    except (CredentialError, ValueError):
        return codes.told("signingCredential.ocsp.inaccessible", "informational")


def stapled(
    answers: Iterable[bytes], chain: list[x509.Certificate], signed_at: datetime.datetime | None
) -> Code | None:
    """What an answer beside the signature shows; None where none of them was the issuer's word at a time that a trusted timestamp shows.

    The SDK passes over them. Nothing is asked of anybody.
    """
    told = []
    for answer in answers if signed_at is not None and len(chain) > 1 else ():
        with contextlib.suppress(ValueError):
            told.append(_answer(ocsp.load_der_ocsp_response(answer), chain[0], chain[1], signed_at, signed_at))
    kinds = ("failure", "policy", "success")  # the gravest first
    return min((code for code in told if code.kind in kinds), key=lambda code: kinds.index(code.kind), default=None)


def _answer(
    response: Any,
    leaf: x509.Certificate,
    issuer: x509.Certificate,
    signed_at: datetime.datetime | None,
    when: datetime.datetime | None = None,
) -> Code:
    """What an answer says that has to be of some time, by default now."""
    unreached = codes.told("signingCredential.ocsp.inaccessible", "informational")
    if response.response_status != ocsp.OCSPResponseStatus.SUCCESSFUL or response.serial_number != leaf.serial_number:
        return unreached
    now = when or datetime.datetime.now(datetime.UTC)
    until = response.next_update_utc or response.this_update_utc + datetime.timedelta(days=7)
    if not response.this_update_utc - datetime.timedelta(minutes=5) <= now <= until:
        return unreached
    if not _signed_by(response, issuer):
        return unreached
    status = response.certificate_status
    lifted = status == ocsp.OCSPCertStatus.REVOKED and response.revocation_reason == x509.ReasonFlags.remove_from_crl
    if status == ocsp.OCSPCertStatus.GOOD or lifted:
        return codes.told("signingCredential.ocsp.notRevoked", "success")
    if status == ocsp.OCSPCertStatus.UNKNOWN:
        return codes.told("signingCredential.ocsp.unknown", "informational")
    if signed_at is not None and signed_at < response.revocation_time_utc:
        return codes.told("gioconda.revocation.later")
    return codes.told("signingCredential.ocsp.revoked", "failure")


def _signed_by(response: Any, issuer: x509.Certificate) -> bool:
    signers = [issuer]
    for certificate in response.certificates:
        if certificates.issued(certificate, issuer) and certificates.OCSP_SIGNING in certificates.purposes(certificate):
            signers.append(certificate)
    try:
        signed = response.signature, response.tbs_response_bytes, response.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return False
    return any(certificates.verifies(signer.public_key(), *signed) for signer in signers)
