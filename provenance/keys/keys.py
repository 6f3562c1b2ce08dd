"""Make, keep and renew signing keys on disk: the development key, made on first use, and named ones.

The development chain is made on this computer for this user, is never shipped, and proves nothing about who signed: its
certificates say so in their names. Its root's private key is thrown away once the leaf is signed, so nothing else can ever
be issued under it. Key files are 0600, one PEM file each: private key, leaf, issuer.
"""

import contextlib
import datetime
import os
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gioconda_core import config
from gioconda_core.errors import CredentialError, UsageError
from gioconda_core.files import alone, refuse_overwrite, write_text
from provenance.keys import certificates
from provenance.keys.certificates import Leaf

DEVELOPMENT = "development"
DEVELOPMENT_NAME = "Gioconda development key"
DEVELOPMENT_ORGANISATION = "Gioconda development: proves nothing about who signed"  # X.520 allows 64 characters
DEVELOPMENT_DAYS = 5 * 365  # long: without a timestamp, everything signed turns invalid the day the leaf expires
ROOT_DAYS = 3653  # ten years: those who were given the root need no other when the leaf is renewed or has expired
RENEW_BEFORE = datetime.timedelta(days=30)


@dataclass(frozen=True)
class KeyFile:
    """A key on disk, described without its secret. days_left is negative once it has expired."""

    name: str
    path: str
    algorithm: str
    subject: str
    issuer: str
    fingerprint: str
    not_before: str
    not_after: str
    days_left: int
    ekus: tuple[str, ...]
    development: bool


def key_path(name: str) -> Path:
    """The file of a named key."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise UsageError("not a name for a key", where=name[:80], hint="letters, digits, dot, dash and underscore")
    return config.home() / "keys" / f"{name}.pem"


def algorithm_of(key: object) -> str:
    """The COSE algorithm that fits a private or public key."""
    if isinstance(key, (ed25519.Ed25519PrivateKey, ed25519.Ed25519PublicKey)):
        return "ed25519"
    if isinstance(key, (rsa.RSAPrivateKey, rsa.RSAPublicKey)):
        return "ps256"
    if isinstance(key, (ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey)):
        names = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
        with contextlib.suppress(KeyError):
            return names[key.curve.name]
    raise CredentialError("this kind of key cannot sign claims", hint="use P-256, P-384, P-521, RSA or Ed25519")


def parse(text: bytes, where: str, password: bytes | None = None) -> Leaf:
    """A key file's contents: one private key and its chain, leaf first.

    Raises
    ------
    CredentialError
        No key, no certificate, or the first certificate is not the key's.
    """
    chain = certificates.certificates_in(text)
    if b"PRIVATE KEY-----" not in text:
        raise CredentialError("no private key in it", where=where, hint="PEM: private key, then leaf, then issuers")
    try:
        key = serialization.load_pem_private_key(text, password)  # which passes over the certificates
    except (ValueError, TypeError) as error:
        raise CredentialError(f"the private key cannot be read: {error}", where=where) from error
    if not chain:
        raise CredentialError("no certificate in it", where=where, hint="append the leaf's PEM, then its issuers'")
    if key.public_key() != chain[0].public_key():
        raise CredentialError("the first certificate is not this key's", where=where, hint="leaf first, then issuers")
    return Leaf(key, chain, algorithm_of(key))  # type: ignore[arg-type]


def _write(path: Path, pem: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_text(path, pem, mode=0o600)  # the temporary file is 0600 before a byte of the key is in it


def _issue(name: str, organisation: str, algorithm: str, days: float) -> Leaf:
    authority = certificates.make_authority(f"{name} root", organisation, days=max(ROOT_DAYS, days + 1))
    return certificates.make_leaf(authority, name, organisation, algorithm=algorithm, days=days)


def _days_left(certificate: x509.Certificate) -> datetime.timedelta:
    return certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)


def _lasts(path: Path) -> bool:
    return path.exists() and _days_left(parse(path.read_bytes(), str(path)).chain[0]) > RENEW_BEFORE


def development() -> Path:
    """The development key's file, made on first use and renewed in its last 30 days. Safe to call from many processes."""
    path = key_path(DEVELOPMENT)
    if _lasts(path):
        return path
    leaf = _issue(DEVELOPMENT_NAME, DEVELOPMENT_ORGANISATION, "es256", DEVELOPMENT_DAYS)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # One winner among many processes: an exclusive lock around "still needed? then write both files".
    lock = path.parent / ".development.lock"
    lock.touch()
    with alone(lock):  # without locks (Windows) the atomic rename still leaves one whole file; two first runs may race
        if not _lasts(path):
            # Older roots stay, so that what they signed still verifies.
            _write(_roots(), development_roots() + certificates.pem(leaf.chain[-1]))
            _write(path, leaf.key_pem + leaf.chain_pem)
    return path


def _roots() -> Path:
    return config.home() / "keys" / "development-roots.pem"


def development_roots() -> str:
    """PEM of every development root this user ever had; empty when none was made."""
    return _roots().read_text(encoding="ascii") if _roots().exists() else ""


def is_development(certificate: x509.Certificate) -> bool:
    """Whether a certificate calls itself a Gioconda development certificate, whoever's it is."""
    return DEVELOPMENT_ORGANISATION in certificate.subject.rfc4514_string()


def make(name: str, organisation: str, *, algorithm: str = "es256", days: float = 365, force: bool = False) -> Path:
    """Make a named key with a self-made root; others must be given the root (the chain's last certificate) to trust it."""
    path = key_path(name)
    if name == DEVELOPMENT:
        raise UsageError("this key makes itself", where=name, hint="choose another name")
    refuse_overwrite(path, force)
    leaf = _issue(name, organisation, algorithm, days)
    _write(path, leaf.key_pem + leaf.chain_pem)
    return path


def make_with_request(
    name: str, organisation: str, *, algorithm: str = "es256", force: bool = False
) -> tuple[Path, str]:
    """Make a key and a signing request for a certificate authority. Append the chain it returns to the key's file."""
    path = key_path(name)
    refuse_overwrite(path, force)
    key = certificates.generate_key(algorithm)
    _write(path, certificates.key_pem(key))
    return path, certificates.make_request(key, name, organisation, algorithm)


def renew(name: str, *, days: float | None = None) -> Path:
    """Replace a self-made key by a new one of the same subject and algorithm; the old file is kept, marked with its end.

    Raises
    ------
    CredentialError
        Somebody else issued it: only they can renew it.
    """
    path = key_path(name)
    old = load(name)
    leaf = old.chain[0]
    if name != DEVELOPMENT and old.chain[-1].issuer != old.chain[-1].subject:
        raise CredentialError("issued by somebody else", where=str(path), hint="ask the issuer for a new certificate")
    ended = leaf.not_valid_after_utc.strftime("%Y%m%d")
    kept = path.with_name(f"{path.stem}-until-{ended}-{certificates.fingerprint(leaf)[:8]}.pem")
    os.replace(path, kept)
    if name == DEVELOPMENT:
        return development()
    span = days or (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days
    new = _issue(name, certificates.names(leaf)[1], old.algorithm, span)
    _write(path, new.key_pem + new.chain_pem)
    return path


def load(name: str) -> Leaf:
    """A named key with its chain."""
    path = key_path(name)
    if not path.exists():
        raise CredentialError("no such key", where=name, hint="gioconda provenance keys show lists them")
    return parse(path.read_bytes(), str(path))


def _described(path: Path) -> KeyFile:
    try:
        leaf = parse(path.read_bytes(), str(path))
    except CredentialError as error:
        return KeyFile(path.stem, str(path), "?", error.what, "", "", "", "", 0, (), False)
    certificate = leaf.chain[0]
    return KeyFile(
        name=path.stem,
        path=str(path),
        algorithm=leaf.algorithm,
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        fingerprint=certificates.fingerprint(certificate),
        not_before=certificate.not_valid_before_utc.isoformat(),
        not_after=certificate.not_valid_after_utc.isoformat(),
        days_left=_days_left(certificate).days,
        ekus=certificates.purposes(certificate),
        development=is_development(certificate),
    )


def show() -> list[KeyFile]:
    """Every key in the folder, by name; a file that holds only a key (its request is with an authority) is described too."""
    return [_described(path) for path in sorted(_roots().parent.glob("*.pem")) if path != _roots()]
