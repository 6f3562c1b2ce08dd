"""``gioconda provenance keys``: what this user signs with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gioconda.cli.build import Commands
from gioconda.cli.common import Force, Result, Results, clean, emit, notice, told
from gioconda.report.options import Lang
from gioconda_core.errors import UsageError
from gioconda_core.files import refuse_overwrite, write_text
from gioconda_core.options import Option, argument, filled
from provenance.keys import keys
from provenance.keys.certificates import ALGORITHMS
from provenance.keys.keys import KeyFile

keys_app = Commands("gioconda provenance keys show")

KeyName = Annotated[str, argument("The key's name.")]


@dataclass(frozen=True)
class NewKey:
    """What a key is made for."""

    organisation: Annotated[str, Option("Who signs, as the certificate will say.", valid=filled)]
    algorithm: Annotated[str, Option("es256, es384, es512, ps256, ps384, ps512 or ed25519.", choices=ALGORITHMS)] = (
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


@keys_app.command("make")
def keys_make(name: KeyName, job: NewKey, force: Force = False, lang: Lang = "") -> None:
    """Make a signing key with certificates that work, under a root of its own; or a request for an authority to sign.

    The key's own file holds the secret and stays with you; the root certificate is for giving away.

    Example: gioconda provenance keys make newsroom --organisation "The Daily Example" --root newsroom-root.pem
    """
    if (request := job.request) is not None:
        refuse_overwrite(request, force)
        path, text = keys.make_with_request(name, job.organisation, algorithm=job.algorithm, force=force)
        write_text(request, text)
        notice(told("key-request", lang, request=request, path=path))
        emit(str(path))
        return
    if job.root is not None:
        refuse_overwrite(job.root, force)
    path = keys.make(name, job.organisation, algorithm=job.algorithm, days=job.days or 365, force=force)
    _give_root(path, job.root, lang)
    emit(str(path))


def _give_root(path: Path, root: Path | None, lang: str) -> None:
    """Write the certificate that others must add to their lists, the chain's last, where it was asked for."""
    if root is None:
        notice(told("key-unknown", lang))
        return
    begin = "-----BEGIN CERTIFICATE-----"
    write_text(root, begin + path.read_text(encoding="ascii").rsplit(begin, 1)[1])
    notice(told("key-root", lang, root=root))


@dataclass(frozen=True)
class Keys:
    """What ``keys show`` prints: keys without their secrets."""

    keys: list[KeyFile]
    schema: str = "gioconda.keys/1"


@keys_app.command("show", prints=Results)
def keys_show(lang: Lang = "") -> Result:
    """This user's keys, without their secrets: subject, purpose, fingerprint, and how long they last.

    Example: gioconda provenance keys show
    """
    found = keys.show()
    lines = []
    for key in found:
        note = f" · {told('key-development', lang)}" if key.development else ""
        facts = {
            "name": key.name,
            "algorithm": key.algorithm,
            "days": (key.days_left, "day"),
            "fingerprint": key.fingerprint,
        }
        lines.append(clean(told("key", lang, **facts) + note))
        owner = {"subject": key.subject, "issuer": key.issuer, "begin": str(key.not_before), "end": str(key.not_after)}
        lines.append(clean("  " + told("key-of", lang, **owner)))
    return Result(lines or told("no-keys", lang), Keys(found))


@keys_app.command("renew")
def keys_renew(
    name: KeyName,
    days: Annotated[
        int | None, Option("How long the new one is valid; as long as the old by default.", minimum=1, maximum=36500)
    ] = None,
    root: Annotated[
        Path | None, Option("Also write the new root certificate here: what others add to a trust list.")
    ] = None,
    force: Force = False,
    lang: Lang = "",
) -> None:
    """Replace a self-made key by a new one of the same subject, under a new root; the old file is kept under its end date.

    Example: gioconda provenance keys renew newsroom --root newsroom-root-2027.pem
    """
    if root is not None:
        refuse_overwrite(root, force)
    path = keys.renew(name, days=days)
    _give_root(path, root, lang)
    emit(str(path))
