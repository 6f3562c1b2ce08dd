"""``gioconda provenance keys`` and ``trust``: what this user signs with, and whose signatures this user trusts."""

import datetime
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gioconda.cli.build import Commands, Rows
from gioconda.cli.common import Force, Result, clean, emit, message, notice, settings
from gioconda.report.options import Lang
from gioconda_core.errors import CredentialError, UsageError
from gioconda_core.files import refuse_overwrite, write_text
from gioconda_core.options import Option, argument, not_empty
from gioconda_core.words import joined
from provenance.keys import certificates, keys
from provenance.keys.certificates import ALGORITHMS
from provenance.keys.keys import KeyFile
from provenance.trust import lists, online
from provenance.trust.lists import Card, TrustList

keys_app = Commands("provenance keys", "show", speaks=Lang)

KeyName = Annotated[str, argument("The key's name.")]


@dataclass(frozen=True)
class NewKey:
    """The options of a new key: for whom, by which algorithm, for how long, and what is written beside it."""

    organisation: Annotated[str, Option("Who signs, as the certificate will say.", valid=not_empty)]
    algorithm: Annotated[str, Option(f"{', '.join(ALGORITHMS[:-1])} or {ALGORITHMS[-1]}.", choices=ALGORITHMS)] = (
        "es256"
    )
    days: Annotated[int | None, Option("How long the certificate is valid; default 365.", minimum=1, maximum=36500)] = (
        None
    )
    request: Annotated[
        Path | None,
        Option("Write a signing request for a certificate authority here instead of self-made certificates."),
    ] = None
    root: Annotated[Path | None, Option("Also write the root certificate here: what others add to a trust list.")] = (
        None
    )

    def __post_init__(self) -> None:
        if self.request is not None:
            for option, value in {"--days": self.days, "--root": self.root}.items():
                if value is not None:
                    raise UsageError("is the authority's to say", where=option, hint="leave it out with --request")


@keys_app.command("make", 'newsroom --organisation "The Daily Example" --root newsroom-root.pem')
def keys_make(name: KeyName, job: NewKey, force: Force = False) -> None:
    """Make a signing key with certificates that work, under a root of its own; or a request for an authority to sign.

    The key's own file holds the secret and stays with you; the root certificate is for giving away.
    """
    if (request := job.request) is not None:
        refuse_overwrite(request, force)
        path, text = keys.make_with_request(name, job.organisation, algorithm=job.algorithm, force=force)
        write_text(request, text)
        notice(message("key-request", request=request, path=path))
        emit(str(path))
        return
    if job.root is not None:
        refuse_overwrite(job.root, force)
    path = keys.make(name, job.organisation, algorithm=job.algorithm, days=job.days or 365, force=force)
    _give_root(path, job.root)
    emit(str(path))


def _give_root(path: Path, root: Path | None) -> None:
    """Write the certificate that others must add to their lists, the chain's last, where it was asked for."""
    if root is None:
        notice(message("key-unknown"))
        return
    begin = "-----BEGIN CERTIFICATE-----"
    write_text(root, begin + path.read_text(encoding="ascii").rsplit(begin, 1)[1])
    notice(message("key-root", root=root))


@keys_app.command("show", rows=Rows("gioconda.keys/1", "keys", KeyFile))
def keys_show() -> Result:
    """List this user's keys, without their secrets: subject, purpose, fingerprint, and how long they last."""
    found = keys.show()
    lines = []
    for key in found:
        facts: dict[str, object] = {name: value for name, value in vars(key).items() if isinstance(value, str)}
        facts |= {"days": (key.days_left, "day"), "begin": key.not_before, "end": key.not_after}
        note = f" · {message('key-development')}" if key.development else ""
        lines += [message("key", **facts) + note, "  " + message("key-of", **facts)]
    return Result(lines or message("no-keys"), found)


@keys_app.command("renew", "newsroom --root newsroom-root-2027.pem")
def keys_renew(
    name: KeyName,
    days: Annotated[
        int | None, Option("How long the new one is valid; as long as the old by default.", minimum=1, maximum=36500)
    ] = None,
    root: Annotated[
        Path | None, Option("Also write the new root certificate here: what others add to a trust list.")
    ] = None,
    force: Force = False,
) -> None:
    """Replace a self-made key by a new one of the same subject, under a new root; the old file is kept under its end date."""
    if root is not None:
        refuse_overwrite(root, force)
    path = keys.renew(name, days=days)
    _give_root(path, root)
    emit(str(path))


trust_app = Commands("provenance trust", "show", speaks=Lang)

ListName = Annotated[str, argument("The list's name in the store.")]

# Published by the C2PA's conformance programme; anything else is given with --url.
PUBLISHED = "https://raw.githubusercontent.com/c2pa-org/conformance-public/main/trust-list/"
KNOWN = {"C2PA-TRUST-LIST": "manifest", "C2PA-TSA-TRUST-LIST": "tsa"}


@dataclass(frozen=True)
class StoredList:
    """A list in the store. expired : of its anchors, how many; leaves : certificates listed themselves; overdue : its next issue was due;
    unread : which of its certificates, counted from 1, cannot be read.
    """

    name: str
    kind: str
    scheme: str
    date: str
    next_update: str | None
    sequence: int | None
    overdue: bool
    sha256: str
    source: str
    anchors: int
    leaves: int
    aggregators: int
    expired: int
    unread: tuple[int, ...] = ()


@trust_app.command("show", rows=Rows("gioconda.trust/1", "lists", StoredList))
def trust_show() -> Result:
    """List the trust lists in the store: kind, date, hash, where they came from, and how many of their anchors have expired."""
    rows = [_stored(item) for item in lists.load().lists]
    return Result([_line(row) for row in rows] or message("no-lists"), rows)


def _stored(item: TrustList) -> StoredList:
    now = datetime.datetime.now(datetime.UTC)
    return StoredList(
        item.name,
        "+".join(item.kinds),
        str(item.scheme),
        item.date,
        item.next_update or None,
        item.sequence,
        item.overdue(),
        item.sha256,
        item.source,
        anchors=len(item.anchors),
        leaves=len(item.leaves),
        aggregators=len(item.issuers),
        expired=sum(anchor.not_valid_after_utc < now for anchor in item.anchors),
        unread=item.unread,
    )


def _line(row: StoredList) -> str:
    """A list in one line: whose it is, its dates, what it holds."""
    facts = [row.kind, message(f"list-{row.scheme}"), row.date]
    if row.sequence is not None:
        facts.append(message("list-issue", number=row.sequence))
    if row.next_update:
        facts.append(message("list-was-due" if row.overdue else "list-due", date=row.next_update))
    facts.append(message("list-anchors", count=(row.anchors, "anchor"), expired=row.expired))
    further = {"leaves": row.leaves, "aggregators": row.aggregators}
    facts += [message(f"list-{what}", count=count) for what, count in further.items() if count]
    if row.unread:
        facts.append(message("list-unread", numbers=joined(map(str, row.unread), settings.lang)))
    facts.append(message("list-from", sha256=row.sha256, source=row.source))
    return f"{row.name}: {joined(facts, settings.lang)}"


@trust_app.command(
    "add", "newsroom.pem --kind cawg --date 2026-08-21", "anchors.pem --name interim-anchors --scheme c2pa-interim"
)
def trust_add(
    file: Annotated[
        Path, argument("PEM, ETSI’s or IPTC’s JSON, or SHA-256 of certificates; of identities, also DIDs.")
    ],
    card: Card,
    force: Force = False,
) -> None:
    """Add a trust list to the store, with its date and hash, which every verdict will name."""
    added = lists.add(file, card, force=force)
    emit(clean(_line(_stored(added))))


@trust_app.command("update", "--yes")
def trust_update(
    names: Annotated[list[str] | None, argument("Lists to fetch; the published C2PA and TSA lists by default.")] = None,
    url: Annotated[str, Option("Where to fetch one list from, when it is not one of the published ones.")] = "",
    kind: Annotated[str, Option("manifest, tsa or cawg, for --url.", choices=("", *lists.KINDS))] = "",
    yes: Annotated[bool, Option("Take the new list without showing the difference first.")] = False,
) -> None:
    """Fetch current trust lists. What was added and removed is shown, and an existing list is replaced only with --yes."""
    wanted = names or ([] if url else list(KNOWN))
    if url and len(wanted) != 1:
        raise UsageError("one name for one URL", where="--url", hint="gioconda provenance trust update NAME --url URL")
    if kind and not url:
        raise UsageError("is known of a published list", where="--kind", hint="only with --url")
    stored = {item.name: item for item in lists.load().lists}
    for name in wanted:
        if not url and name not in KNOWN:
            raise UsageError("not a published list", where=name, hint=f"give --url, or one of {', '.join(KNOWN)}")
        address = url or f"{PUBLISHED}{name}.pem"
        card = Card(name, kind or KNOWN.get(name, ""), source=address)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{name}.pem"
            file.write_bytes(online.fetch(address))
            try:
                fetched, old = lists.read_list(file, card), stored.get(name)
            except CredentialError as error:  # of the address, and not of the copy here
                raise CredentialError(error.what, where=address, hint=error.hint) from error
            if old is not None and old.sha256 == fetched.sha256:
                emit(message("list-unchanged", name=name, date=old.date))
                continue
            if old is not None:
                _show_difference(old, fetched)
                if not yes:
                    notice(message("list-kept", name=name))
                    continue
            emit(clean(_line(_stored(lists.add(file, card, force=True)))))


def _show_difference(old: TrustList, new: TrustList) -> None:
    """A line for what is in one list only: anchors, identities' issuers, certificates by themselves."""

    def held(item: TrustList) -> list[str]:
        lines = []
        for anchor in item.anchors:
            subject, until = anchor.subject.rfc4514_string(), anchor.not_valid_after_utc.date()
            lines.append(f"{subject} (until {until}, sha256 {certificates.fingerprint(anchor)})")
        lines += sorted(item.issuers)
        return lines + [f"a certificate by itself, sha256 {leaf}" for leaf in sorted(item.leaves)]

    before, after = held(old), held(new)
    lines = [f"+ {line}" for line in after if line not in before]
    lines += [f"- {line}" for line in before if line not in after]
    emit("\n".join(map(clean, lines)) or message("list-same"))


@trust_app.command("diff", "C2PA-TRUST-LIST new-list.pem")
def trust_diff(
    old: Annotated[Path, argument("A list: a file, or a name in the store.")],
    new: Annotated[Path, argument("Another.")],
) -> None:
    """Show which anchors one list has that another has not."""

    def find(item: Path) -> lists.TrustList:
        stored = {known.name: known for known in lists.load().lists}
        return stored[str(item)] if str(item) in stored and not item.exists() else lists.read_list(item)

    _show_difference(find(old), find(new))


@trust_app.command("remove", "C2PA-TRUST-LIST")
def trust_remove(name: ListName) -> None:
    """Take a list out of the store."""
    lists.remove(name)
    emit(message("list-removed", name=name))


@trust_app.command("revoke", "3f2a…")
def trust_revoke(fingerprint: Annotated[str, argument("sha256 of the signing certificate, hex.")]) -> None:
    """Stop believing one signing certificate, whatever the lists say."""
    emit(message("leaf-revoked", fingerprint=lists.revoke(fingerprint)))
