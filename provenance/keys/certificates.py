"""Make roots and signing certificates with exactly the extensions that Content Credentials ask for, and read and compare certificates.

What a leaf needs was measured, not guessed: v3, CA=false (critical), key usage digitalSignature (critical), extended key
usage emailProtection and C2PA claim signing, subject and authority key identifiers.
"""

import contextlib
import datetime
import functools
import inspect
import re
import warnings
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID

from gioconda_core.errors import UsageError

# Of cryptography, about what is odd in a stranger's certificate: its own kind of warning is one of the user's.
warnings.filterwarnings("ignore", category=UserWarning, module=r"provenance\.")

EMAIL_PROTECTION = "1.3.6.1.5.5.7.3.4"
TIME_STAMPING = "1.3.6.1.5.5.7.3.8"
OCSP_SIGNING = "1.3.6.1.5.5.7.3.9"
DOCUMENT_SIGNING = "1.3.6.1.5.5.7.3.36"
CLAIM_SIGNING = "1.3.6.1.4.1.62558.2.1"  # C2PA claim signing
MICROSOFT_SIGNING = "1.3.6.1.4.1.311.76.59.1.9"  # of Microsoft's service, which the C2PA verify site accepts as well
ACCEPTED_EKUS = (EMAIL_PROTECTION, DOCUMENT_SIGNING, CLAIM_SIGNING, MICROSOFT_SIGNING)
_PURPOSES = x509.ExtendedKeyUsage([x509.ObjectIdentifier(EMAIL_PROTECTION), x509.ObjectIdentifier(CLAIM_SIGNING)])

ALGORITHMS = ("es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519")

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
_CURVES: dict[str, Any] = {"es256": ec.SECP256R1, "es384": ec.SECP384R1, "es512": ec.SECP521R1}
HASHES: dict[str, hashes.SHA256 | hashes.SHA384 | hashes.SHA512] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")


@dataclass(frozen=True)
class Authority:
    """A certificate authority of our own: its key and its certificate."""

    key: PrivateKey
    certificate: x509.Certificate


@dataclass(frozen=True)
class Leaf:
    """A signing key with its chain, leaf first, then issuers; the root's certificate last when it is included."""

    key: PrivateKey
    chain: tuple[x509.Certificate, ...]
    algorithm: str

    @property
    def chain_pem(self) -> str:
        """The certificates as PEM, the leaf first."""
        return "".join(pem(certificate) for certificate in self.chain)

    @property
    def key_pem(self) -> str:
        """The private key as unencrypted PKCS#8 PEM text."""
        return key_pem(self.key)


def pem(certificate: x509.Certificate) -> str:
    """A certificate as PEM text."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: PrivateKey) -> str:
    """A private key as unencrypted PKCS#8 PEM text."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@functools.lru_cache(maxsize=4096)  # every verdict compares a chain with every anchor of every list
def fingerprint(certificate: x509.Certificate) -> str:
    """sha256 of the DER certificate, hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def purposes(certificate: x509.Certificate) -> tuple[str, ...]:
    """The extended key usages of a certificate, as dotted numbers; empty where it names none."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(oid.dotted_string for oid in usage)


def valid(certificate: x509.Certificate, when: datetime.datetime | None = None) -> bool:
    """Whether a time lies within a certificate's validity. when : by default now."""
    when = when or datetime.datetime.now(datetime.UTC)
    return certificate.not_valid_before_utc <= when <= certificate.not_valid_after_utc


def signs(certificate: x509.Certificate) -> bool:
    """Whether the key may make signatures, by its key usage (``digitalSignature``)."""
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except (x509.ExtensionNotFound, ValueError):
        return False


def names(certificate: x509.Certificate) -> tuple[str, str]:
    """Common name and organisation as a certificate states them of its subject, each empty where it does not."""
    oids = (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
    found = [certificate.subject.get_attributes_for_oid(oid) for oid in oids]
    first, second = (str(values[0].value) if values else "" for values in found)
    return first, second


@functools.lru_cache(maxsize=2048)
def issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether ``issuer`` signed ``certificate``: by name and by signature; whether it may is not asked here."""
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # cryptography raises several kinds for a signature that does not fit
        return False
    return True


def verifies(key: object, signature: bytes, data: bytes, digest: Any, *, pss: bool = False) -> bool:
    """Whether a public key made a signature. digest : the hash that was signed; pss : of RSA, whether padded so, else by PKCS #1 v1.5."""
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(digest))
        elif isinstance(key, rsa.RSAPublicKey):
            scheme = padding.PSS(padding.MGF1(digest), padding.PSS.AUTO) if pss else padding.PKCS1v15()
            key.verify(signature, data, scheme, digest)
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, TypeError):  # the last of a hash that the key does not take
        return False
    return True


@functools.lru_cache(maxsize=64)  # a batch reads the same chains and lists for every file
def certificates_in(text: str | bytes) -> tuple[x509.Certificate, ...]:
    """Every certificate in a PEM bundle, in order; text between them is ignored. A block that does not parse is left out."""
    found: list[x509.Certificate] = []
    for block in _BLOCK.findall(text.encode() if isinstance(text, str) else text):
        with contextlib.suppress(ValueError):
            found.append(x509.load_pem_x509_certificate(block))
    return tuple(found)


def generate_key(algorithm: str = "es256") -> PrivateKey:
    """A fresh private key for a COSE algorithm name."""
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm]())
    if algorithm.startswith("ps") and algorithm in ALGORITHMS:
        return rsa.generate_private_key(65537, 3072)
    if algorithm == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    raise UsageError(f"no signing algorithm {algorithm!r}", hint=f"one of {', '.join(ALGORITHMS)}")


def _name(common_name: str, organisation: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation[:64]),
        ]
    )


def _usage(*names: str) -> x509.KeyUsage:
    known = inspect.signature(x509.KeyUsage).parameters  # it wants each of them said
    return x509.KeyUsage(**{name: name in names for name in known})


def lasting(days: float) -> tuple[datetime.datetime, datetime.datetime]:
    """The first and the last moment of a certificate's validity, from an hour ago: no clock that is a little behind refuses a fresh one."""
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    return start, start + datetime.timedelta(days=days)


def _begun(
    key: PrivateKey,
    subject: x509.Name,
    issuer: x509.Name,
    window: tuple[datetime.datetime, datetime.datetime],
    *,
    is_ca: bool,
) -> x509.CertificateBuilder:
    """What every certificate has, to which extensions are added. window : when it is valid."""
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(window[0])
        .not_valid_after(window[1])
        .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
    )


def _identified(
    builder: x509.CertificateBuilder, key: PrivateKey, issuer: PrivateKey | None
) -> x509.CertificateBuilder:
    """With the identifiers of its own key and, where another signs, of the issuer's."""
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = builder.add_extension(own, critical=False)
    if issuer is None:
        return builder
    theirs = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())
    return builder.add_extension(theirs, critical=False)


def make_authority(common_name: str, organisation: str, *, days: float = 3650) -> Authority:
    """A root that may sign leaves; its key is of P-256."""
    key, name = generate_key(), _name(common_name, organisation)
    builder = _begun(key, name, name, lasting(days), is_ca=True)
    builder = builder.add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
    return Authority(key, _identified(builder, key, None).sign(key, HASHES["256"]))


def make_leaf(
    authority: Authority, common_name: str, organisation: str, *, algorithm: str = "es256", days: float = 365
) -> Leaf:
    """A signing certificate with a fresh key for a COSE algorithm name."""
    key = generate_key(algorithm)
    builder = _begun(key, _name(common_name, organisation), authority.certificate.subject, lasting(days), is_ca=False)
    builder = builder.add_extension(_usage("digital_signature"), critical=True).add_extension(_PURPOSES, critical=False)
    certificate = _identified(builder, key, authority.key).sign(authority.key, HASHES["256"])
    return Leaf(key, (certificate, authority.certificate), algorithm)


def make_request(key: PrivateKey, common_name: str, organisation: str, algorithm: str = "es256") -> str:
    """A signing request (PEM) that asks a certificate authority for the extensions a claim signer needs."""
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_name(common_name, organisation))
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        .add_extension(_PURPOSES, critical=False)
    )
    # Ed25519, which hashes by itself, takes none.
    return builder.sign(key, HASHES.get(algorithm[-3:])).public_bytes(serialization.Encoding.PEM).decode()
