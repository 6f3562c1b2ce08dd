"""Keep trust lists (who may sign, timestamp, or attest identities) with name, hash and date, so that a verdict can say by which it was given.

Lists come from a file or from the store (``GIOCONDA_HOME``/trust). Nothing is trusted that was not asked for: with
no lists, the best a file can be is valid. The development root is never among them unless ``development=True``.
"""

import datetime
import functools
import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cryptography import x509

from gioconda_core import config
from gioconda_core.errors import CredentialError, UsageError
from gioconda_core.files import atomic_path, read_bytes, refuse_overwrite, write_json, write_text
from gioconda_core.options import Option, sha256
from gioconda_core.types import TrustScheme
from provenance.keys import certificates, keys
from provenance.sdk import engine
from provenance.trust import formats

KINDS = ("manifest", "tsa", "cawg")
DEVELOPMENT_LIST = "development"
JSON_LIST = ".list.json"  # in the store; a list's card is the plain ``.json``
_PREFIX = "gioconda:trust:"


@dataclass(frozen=True)
class TrustList:
    """One list. kind : ``manifest`` (claim signers), ``tsa`` (timestamp authorities) or ``cawg`` (identities).

    pem : its anchors; of identities also aggregators believed, by their DID, one a line. date : ISO date that the list states or,
    failing that, of its file; sha256 : of the bytes as read. leaves : sha256 of certificates that are listed themselves.
    next_update, sequence : as the list states them. unread : which of its certificates, counted from 1, cannot be read.
    """

    name: str
    kind: str
    pem: str
    sha256: str
    date: str
    source: str = ""
    scheme: TrustScheme = TrustScheme.OWN
    leaves: frozenset[str] = frozenset()
    next_update: str = ""
    sequence: int | None = None
    unread: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(
                f"no such kind of trust list: {self.kind!r}", where=self.name, hint=f"one of {', '.join(KINDS)}"
            )

    @property
    def uri(self) -> str:
        """The name by which the SDK's answer refers to the list."""
        return f"{_PREFIX}{self.name}"

    @property
    def kinds(self) -> tuple[str, ...]:
        """What its anchors are taken for: the interim list keeps timestamp authorities among its signers, IPTC's publishers also attest identities."""
        more = {TrustScheme.INTERIM: "tsa", TrustScheme.IPTC: "cawg"}.get(self.scheme)
        return (self.kind, more) if more and self.kind == "manifest" else (self.kind,)

    def overdue(self) -> bool:
        """Whether the list's own date for its next issue has passed."""
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        return bool(self.next_update) and self.next_update < today

    @functools.cached_property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        """The authorities it lists."""
        return certificates.certificates_in(self.pem)

    @functools.cached_property
    def issuers(self) -> frozenset[str]:
        """Of a list of identities: the aggregators believed, by their DID, one a line (``did:web:…``, ``did:jwk:…``)."""
        lines = self.pem.split() if self.kind == "cawg" else ()
        return frozenset(line for line in lines if line.startswith("did:"))


@dataclass(frozen=True)
class Trust:
    """The lists a verdict is given against. revoked : sha256 fingerprints of leaves no longer to be believed."""

    lists: tuple[TrustList, ...] = ()
    revoked: frozenset[str] = frozenset()

    @functools.cached_property
    def anchors(self) -> engine.Anchors:
        """What the SDK is given: the certificates alone, since it stops at text it does not know."""
        return tuple(
            engine.Anchor(kind, item.uri, "".join(map(certificates.pem, item.anchors)), formats.leaf_lines(item.leaves))
            for item in self.lists
            if item.anchors or item.leaves
            for kind in item.kinds
        )

    def dated(self, kind: str) -> tuple[tuple[str, str], ...]:
        """Name and date of each list of a kind, for a report to say what was looked through."""
        return tuple((item.name, item.date) for item in self.lists if kind in item.kinds)


def store() -> Path:
    """The folder of stored lists."""
    return config.home() / "trust"


def _date(text: str) -> None:
    try:
        if text:
            datetime.date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"not a date: {text!r}", hint="YYYY-MM-DD") from error


@dataclass(frozen=True)
class Card:
    """What is known of a list beside its file. Where a field is not given, the list itself says it, or its file's name.

    date : ISO, else the file's own time. source : where the list came from.
    """

    name: Annotated[str, Option("Its name in the store; the file's by default.")] = ""
    kind: Annotated[
        str, Option("manifest, tsa or cawg; guessed from the file's name by default.", choices=("", *KINDS))
    ] = ""
    date: Annotated[
        str, Option("When it was published, as YYYY-MM-DD; what it says itself by default.", valid=_date)
    ] = ""
    scheme: Annotated[
        str,
        Option(
            "Whose it is: c2pa, c2pa-interim, iptc or own; by what it says or is called by default.",
            choices=("", *TrustScheme),
        ),
    ] = ""
    source: str = ""


def read_list(path: str | os.PathLike[str], card: Card | None = None) -> TrustList:
    """Read one list, in any form that :mod:`provenance.trust.formats` knows.

    Raises
    ------
    CredentialError
        It cannot be read, or holds no certificate.
    """
    return _read(Path(path), card or Card())[0]


def _read(file: Path, card: Card) -> tuple[TrustList, bytes]:
    """A list, and the bytes that it was read from."""
    try:
        data = read_bytes(file)
        modified = datetime.datetime.fromtimestamp(file.stat().st_mtime, datetime.UTC).date().isoformat()
    except OSError as error:
        raise CredentialError(f"cannot be read: {error.strerror}", where=str(file)) from error
    content = formats.parse(data, str(file))
    called = f"{card.name or file.name} {content.title}".lower()
    kind = card.kind or ("tsa" if "tsa" in called else "cawg" if "cawg" in called else "manifest")
    found = TrustList(
        name=card.name or file.name.removesuffix(JSON_LIST).removesuffix(file.suffix),
        kind=kind,
        pem=content.anchors + "".join(f"{issuer}\n" for issuer in sorted(content.issuers)),
        sha256=hashlib.sha256(data).hexdigest(),
        date=card.date or content.issued or modified,
        source=card.source or str(file.name),
        scheme=TrustScheme(card.scheme or content.scheme or _scheme(called)),
        leaves=content.leaves,
        next_update=content.next_update,
        sequence=content.sequence,
        unread=content.unread,
    )
    if not found.anchors and not found.issuers and not found.leaves:
        raise CredentialError(
            "none of the certificates in it can be read" if found.unread else "no certificate in it",
            where=str(file),
            hint="a trust list is a bundle of certificates (PEM, DER, PKCS #7); one of identities may also name DIDs, one a line",
        )
    return found, data


def _scheme(called: str) -> TrustScheme:
    """Whose list it is, by the name that it was stored or given under."""
    if "interim" in called:
        return TrustScheme.INTERIM
    if "iptc" in called or "news-publishers" in called or "news publishers" in called:
        return TrustScheme.IPTC
    return TrustScheme.OFFICIAL if re.match(r"c2pa-(tsa-)?trust-list\b", called) else TrustScheme.OWN


def development_list() -> TrustList | None:
    """This user's development roots as a list; None when no development key was ever made."""
    text = keys.development_roots()
    if not text:
        return None
    digest = hashlib.sha256(text.encode()).hexdigest()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return TrustList(DEVELOPMENT_LIST, "manifest", text, digest, today, "this user's own development key")


def load(
    paths: Iterable[str | os.PathLike[str]] = (),
    *,
    development: bool = False,
    stored: bool = True,
) -> Trust:
    """The lists of the store, those in ``paths`` (a name like ``KIND=FILE`` says the kind), and, only if asked, the development root."""
    lists: list[TrustList] = []
    if stored:
        lists += map(_stored, sorted([*store().glob("*.pem"), *store().glob(f"*{JSON_LIST}")]))
    for item in paths:
        kind, file = kind_of(item)
        lists.append(read_list(file, Card(kind=kind)) if kind else read_list(file))
    if development and (own := development_list()):
        lists.append(own)
    names = [item.name for item in lists]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise UsageError(
            "two trust lists of one name", where=", ".join(sorted(doubled)), hint="rename one of the files"
        )
    refused = store() / "revoked.txt"
    lines = refused.read_text(encoding="utf-8").split() if stored and refused.exists() else []
    return Trust(tuple(lists), frozenset(sha256(line, str(refused)) for line in lines))


def _card(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(JSON_LIST).removesuffix(".pem") + ".json")


def _stored(path: Path) -> TrustList:
    card = _card(path)
    try:
        facts = json.loads(card.read_text(encoding="utf-8")) if card.exists() else {}
        TrustScheme(facts.get("scheme") or TrustScheme.OWN)  # one that there is
    except ValueError as error:
        raise CredentialError(f"its card cannot be read: {error}", where=str(card)) from error
    known = {key: str(facts[key]) for key in ("kind", "date", "source", "scheme") if facts.get(key)}
    found = read_list(path, Card(**known))
    expected = facts.get("sha256")
    if expected and expected != found.sha256:
        raise CredentialError(
            "not the list that was added: its sha256 differs from its card",
            where=str(path),
            hint="gioconda provenance trust add it again",
        )
    return found


def add(path: str | os.PathLike[str], card: Card | None = None, *, force: bool = False) -> TrustList:
    """Copy a list into the store with its card, and the sha256 of the file."""
    found, data = _read(Path(path), card or Card())
    if (
        not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", found.name)
        or found.name == DEVELOPMENT_LIST
        or found.name.endswith(".list")
    ):
        raise UsageError("not a name for a trust list", where=found.name[:80], hint="give --name")
    forms = [store() / f"{found.name}{suffix}" for suffix in (".pem", JSON_LIST)]
    if data.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{"):
        forms.reverse()
    for form in forms:
        refuse_overwrite(form, force)
    with atomic_path(forms[0]) as temporary:
        temporary.write_bytes(data)
    forms[1].unlink(missing_ok=True)
    kept = {key: getattr(found, key) for key in ("kind", "scheme", "date", "sha256", "source")}
    write_json(_card(forms[0]), kept)
    return found


def kind_of(item: str | os.PathLike[str]) -> tuple[str, str]:
    """``KIND=FILE`` or ``FILE`` → (kind, or empty where none is given; the file)."""
    kind, _, rest = str(item).partition("=")
    return (kind, rest) if rest and kind in KINDS else ("", str(item))


def remove(name: str) -> None:
    """Take a list out of the store."""
    stored = [path for suffix in (".pem", JSON_LIST) if (path := store() / f"{name}{suffix}").exists()]
    if not stored:
        raise UsageError("no such trust list in the store", where=name)
    for path in (*stored, _card(stored[0])):
        path.unlink(missing_ok=True)


def revoke(fingerprint: str) -> str:
    """Remember a leaf (sha256, hex) as no longer to be believed; what it signed is at best valid."""
    wanted = sha256(fingerprint)
    path = store() / "revoked.txt"
    known = set(path.read_text(encoding="utf-8").split()) if path.exists() else set()
    write_text(path, "\n".join(sorted(known | {wanted})) + "\n")
    return wanted
