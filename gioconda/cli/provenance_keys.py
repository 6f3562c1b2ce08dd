"""``gioconda provenance keys``: what this user signs with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gioconda.cli.common import Force, JsonFlag, Output, clean, deliver, emit, notice, parse_outputs

__all__ = ["KeyName", "keys_app", "keys_make", "keys_renew", "keys_show"]

keys_app = typer.Typer(
    no_args_is_help=True, help="Signing keys: make, show, renew.", epilog="Example: gioconda provenance keys show"
)


KeyName = Annotated[str, typer.Argument(help="The key's name.", show_default=False)]


@keys_app.command("make")
def keys_make(
    name: KeyName,
    organisation: Annotated[str, typer.Option(help="Who signs, as the certificate will say.")],
    algorithm: Annotated[str, typer.Option(help="es256, es384, es512, ps256, ps384, ps512 or ed25519.")] = "es256",
    days: Annotated[
        int | None, typer.Option(min=1, max=36500, help="How long the certificate is valid; default 365.")
    ] = None,
    request: Annotated[
        Path | None,
        typer.Option(
            help="Write a signing request for a certificate authority here instead of self-made certificates."
        ),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Also write the root certificate here: what others add to a trust list.")
    ] = None,
    force: Force = False,
) -> None:
    """Make a signing key with certificates that work, under a root of its own; or a request for an authority to sign.

    The key's own file holds the secret and stays with you; the root certificate is for giving away.

    Example: gioconda provenance keys make newsroom --organisation "The Daily Example" --root newsroom-root.pem
    """
    from gioconda_core.errors import UsageError
    from gioconda_core.files import refuse_overwrite, write_text
    from provenance.keys import keys

    if not organisation.strip():
        raise UsageError("nobody", where="--organisation", hint="who signs, as the certificate will say")
    if request is not None:
        for option, value in {"--days": days, "--root": root}.items():
            if value is not None:
                raise UsageError("is the authority's to say", where=option, hint="leave it out with --request")
        refuse_overwrite(request, force)
        path, text = keys.make_with_request(name, organisation, algorithm=algorithm, force=force)
        write_text(request, text)
        emit(str(path))
        notice(f"send {request} to your certificate authority, then append the chain it returns (leaf first) to {path}")
        return
    if root is not None:
        refuse_overwrite(root, force)
    path = keys.make(name, organisation, algorithm=algorithm, days=days or 365, force=force)
    emit(str(path))
    _give_root(path, root)


def _give_root(path: Path, root: Path | None) -> None:
    """Write the certificate that others must add to their lists, the chain's last, where it was asked for."""
    from gioconda_core.files import write_text

    if root is None:
        notice("others trust it only if they add its last certificate to a trust list of theirs (--root writes it)")
        return
    begin = "-----BEGIN CERTIFICATE-----"
    write_text(root, begin + path.read_text(encoding="ascii").rsplit(begin, 1)[1])
    notice(f"{root} is for others: gioconda provenance trust add {root}")


@keys_app.command("show")
def keys_show(output: Output = None, json: JsonFlag = False, force: Force = False) -> None:
    """This user's keys, without their secrets: subject, purpose, fingerprint, and how long they last.

    Example: gioconda provenance keys show
    """
    import dataclasses
    import json as codec

    from provenance.keys import keys

    wanted = parse_outputs(output, json, ("text", "json"), force)
    found = keys.show()
    for name, file in wanted:
        if name == "json":
            deliver(codec.dumps([dataclasses.asdict(key) for key in found], indent=1, ensure_ascii=False), file)
            continue
        lines = []
        for key in found:
            note = " · development: proves nothing about who signed" if key.development else ""
            lines.append(
                clean(f"{key.name}: {key.algorithm}, {key.days_left} days left, sha256 {key.fingerprint}{note}")
            )
            lines.append(clean(f"  {key.subject} · issued by {key.issuer} · {key.not_before} to {key.not_after}"))
        deliver("\n".join(lines) or "no keys yet; the development key is made when it is first needed", file)


@keys_app.command("renew")
def keys_renew(
    name: KeyName,
    days: Annotated[
        int | None, typer.Option(min=1, max=36500, help="How long the new one is valid; as long as the old by default.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Also write the new root certificate here: what others add to a trust list.")
    ] = None,
    force: Force = False,
) -> None:
    """Replace a self-made key by a new one of the same subject, under a new root; the old file is kept under its end date.

    Example: gioconda provenance keys renew newsroom --root newsroom-root-2027.pem
    """
    from gioconda_core.files import refuse_overwrite
    from provenance.keys import keys

    if root is not None:
        refuse_overwrite(root, force)
    path = keys.renew(name, days=days)
    emit(str(path))
    _give_root(path, root)
