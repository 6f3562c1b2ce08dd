"""Sign a stream in segments (DASH, HLS): the credential goes into its initialisation segment, and every segment is listed in it."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gioconda_core.errors import MediaError, UsageError
from gioconda_core.files import atomic_path, refuse_overwrite
from gioconda_core.types import Claim
from provenance.sdk import engine, fragments
from provenance.signing import claims, sign, signers
from provenance.signing.claims import Credential
from provenance.signing.signers import Signer
from provenance.trust.lists import Trust


def sign_stream(
    files: Sequence[str | os.PathLike[str]],
    target: str | os.PathLike[str],
    claim: Claim | Credential,
    *,
    signer: Signer | None = None,
    trust: Trust | None = None,
    force: bool = False,
) -> Path:
    """Sign a stream in segments (DASH, HLS) into the folder ``target``: every file under the name that it had, the credential in the first.

    Parameters
    ----------
    files : the initialisation segment, then the media segments in their order. They stay as they are.
    claim, signer, trust : as in :func:`provenance.signing.sign.sign_file`; an edit names its parent.

    Returns
    -------
    Path of the signed initialisation segment.

    Raises
    ------
    UsageError
        A file is of another kind than said, is signed already, two have one name, or one is there already and ``force`` was not given.
    CredentialError
        The signer failed, or what was written does not validate. Nothing is left behind.
    """
    import c2pa

    (first, *rest), folder = map(Path, files), Path(target)
    credential = claim if isinstance(claim, Credential) else claims.of_synthesis(claim)
    _check_fragments(first, rest, folder, credential, force)
    chosen = signer or signers.default()
    if not isinstance(chosen, signers.Contextual):
        raise UsageError("this signer signs whole files only", where=str(first), hint="use a built-in kind of signer")
    anchors = sign.anchors_of(chosen, trust)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".gioconda-", dir=folder) as room:
        made = [Path(room) / item.name for item in (first, *rest)]
        leaves = [fragments.placed(item, i, made[i + 1]) for i, item in enumerate(rest)]
        try:
            _bind(
                first, made[0], leaves, credential, chosen.context(engine.settings(anchors, hosts=sign.hosts(chosen)))
            )
        except c2pa.C2paError as error:
            raise sign.failed(error, first, chosen) from error
        sign.verify(made[0], anchors, folder / first.name, chosen, segments=made[1:])
        for item in (*made[1:], made[0]):  # the one that lists the others last
            with atomic_path(folder / item.name) as temporary:
                os.replace(item, temporary)
    return folder / first.name


def _check_fragments(first: Path, rest: list[Path], folder: Path, credential: Credential, force: bool) -> None:
    names = [item.name for item in (first, *rest)]
    for item in (first, *rest):
        if not item.is_file():
            raise MediaError("no such file", where=str(item))
        if folder.is_dir() and item.resolve().parent == folder.resolve():
            raise UsageError("a file is never signed in place", where=str(item), hint="name another folder")
        refuse_overwrite(folder / item.name, force)
    if not rest or len(set(names)) != len(names):
        raise UsageError(
            "two segments of one name" if rest else "no segments",
            where=str(folder),
            hint="give each segment by --fragment",
        )
    if credential.intent != "create" and not any(item.role == "parent" for item in credential.ingredients):
        raise UsageError(
            "a stream in segments is no parent of itself", where="claim", hint='name the parent, or intent = "create"'
        )


def _bind(first: Path, target: Path, leaves: list[bytes], credential: Credential, context: Any) -> None:
    """Sign an initialisation segment over its own hash and those of its segments."""
    kind = "video/mp4"
    definition = claims.to_manifest(credential)
    with sign.builder_of(definition, context, credential) as measured:
        room = fragments.room_for(measured, kind, len(leaves))
    at = fragments.with_room(first, target, room)
    bound = {"label": fragments.BINDING, "data": fragments.binding(fragments.hashed(target), leaves), "created": True}
    definition["assertions"] = [*definition["assertions"], bound]
    with sign.builder_of(definition, context, credential) as builder:
        fragments.sign(builder, kind, target, at, room)
