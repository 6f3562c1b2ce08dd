"""Sign files: write to a temporary file, read it back, rename it; never in place, never half a file.

``write`` is the only way a :class:`~gioconda_core.types.Synthesis` becomes a file, ``write_picture`` the one for a generated picture:
frames are encoded, signed and read back before anything has the name that was asked for.
"""

import contextlib
import dataclasses
import io
import logging
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import CredentialError, MediaError, UsageError
from gioconda_core.files import atomic_path, refuse_overwrite, sha256_of
from gioconda_core.media import clip as media
from gioconda_core.media import containers, fingerprint
from gioconda_core.types import Claim, Ingredient, ProvenanceState, Synthesis
from provenance.keys import certificates
from provenance.reading import rules
from provenance.reading.open import Opened, opened
from provenance.sdk import descriptors, engine, faults, one_pass
from provenance.signing import claims, declared, signers, thumbnails
from provenance.signing.claims import Credential
from provenance.signing.signers import Signer
from provenance.trust.lists import Trust
from provenance.vocabulary import SoftBinding
from provenance.watermark import repository

# Containers laid out in boxes of which we know how to move the media; of which one may be named as another.
_BOXES = frozenset(("video/mp4", "video/quicktime", "video/x-m4v", "audio/mp4"))
# And those that we lay out ourselves for the SDK to sign (see provenance.sdk.one_pass).
_ONE_PASS = _BOXES | {"audio/wav", "video/avi"}
# Above this, media are hashed in 1 MB leaves, which keeps signing and verifying under 64 MB of memory at any size.
LARGE = 64 * 2**20
# The SDK reports a signing callback's failure to the log and again as an error; the error is enough.
logging.getLogger("c2pa").addHandler(logging.NullHandler())


# What embeds an invisible mark before encoding: frames, uint8 (T, H, W, 3) or one by one → (the same, marked; the binding to be signed).
Marker = Callable[[Any], tuple[Any, SoftBinding]]


def video_name(path: str | os.PathLike[str]) -> None:
    """Refuse (UsageError) a name under which :func:`write` could not encode and sign a clip: before frames are made for it."""
    media.video_name(path)
    if engine.mime_of(Path(path)) not in engine.supported()[1]:
        raise UsageError("this container cannot carry a credential", where=str(path), hint="name it .mp4 or .mov")


def write(
    synthesis: Synthesis,
    path: str | os.PathLike[str],
    *,
    signer: Signer | None = None,
    crf: int = 18,
    marker: Marker | None = None,
    force: bool = False,
) -> Path:
    """Encode a synthesis, sign it, verify it, and only then give it its name.

    marker : embeds a soft-binding mark in the frames (``marker`` of ``provenance.watermark.repository``, or ``marker_of`` for frames that come one
        by one); its binding goes into the claim, and
        the credential is remembered under it.
    The label's ``essence_sha256`` is of the encoded frames, decoded again: what a reader of the file sees.

    Raises
    ------
    UsageError
        The target exists and ``force`` was not given.
    CredentialError
        Signing or reading back failed; nothing is left behind.
    """
    target = Path(path)
    refuse_overwrite(target, force)
    video_name(target)
    frames = synthesis.frames
    bindings: tuple[SoftBinding, ...] = ()
    if marker is not None:
        frames, binding = marker(frames)
        bindings = (binding,)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".gioconda-", dir=target.parent) as folder:
        unsigned = Path(folder) / f"unsigned{target.suffix}"
        media.write_video(
            unsigned,
            iter(frames),
            fps=synthesis.fps,
            times=synthesis.times,
            crf=crf,
            audio=synthesis.audio,
        )
        with media.Clip.open(unsigned) as clip:
            essence = fingerprint.essence(frame for _, frame in clip.frames("all"))
            looks = repository.fingerprint_of(clip.sample(f"even:{fingerprint.PERCEPTUAL_FRAMES}")[0])
        claim = synthesis.completed(synthesis.claim) if synthesis.completed else synthesis.claim
        credential = claims.of_synthesis(claim, essence=essence, soft_bindings=bindings)
        declared.into(unsigned, claims.source_of(synthesis.claim), credential.aigc)
        signed = sign_file(unsigned, target, dataclasses.replace(credential, aigc=None), signer=signer, force=force)
    if bindings:
        repository.remember(signed, looks)
    return signed


def write_picture(
    picture: NDArray[np.uint8],
    path: str | os.PathLike[str],
    claim: Claim,
    *,
    signer: Signer | None = None,
    marker: Marker | None = None,
    quality: int = 95,
    force: bool = False,
) -> Path:
    """Save one generated picture (strips and grids too) and sign it, before it has the name that was asked for.

    Parameters
    ----------
    picture : uint8 (H, W, 3). quality : of JPEG and WebP, 1 to 100. marker : as in :func:`write`.

    Raises
    ------
    UsageError
        The target exists and ``force`` was not given, or pictures of its kind cannot be signed.
    CredentialError
        Signing or reading back failed; nothing is left behind.
    """
    target = Path(path)
    refuse_overwrite(target, force)
    bindings: tuple[SoftBinding, ...] = ()
    if marker is not None:
        marked, binding = marker(picture[None])
        picture, bindings = marked[0], (binding,)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".gioconda-", dir=target.parent) as folder:
        unsigned = Path(folder) / f"unsigned{target.suffix}"
        essence = fingerprint.essence([picture]) if claim.producer else ""
        credential = claims.of_synthesis(claim, soft_bindings=bindings)
        marks = declared.packet(claims.source_of(claim), claims.of_synthesis(claim, essence=essence).aigc)
        media.write_image(unsigned, picture, quality, xmp=marks)
        signed = sign_file(unsigned, target, dataclasses.replace(credential, aigc=None), signer=signer, force=force)
    if bindings:
        repository.remember(signed, repository.fingerprint_of(picture[None]))
    return signed


def sign_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    claim: Claim | Credential,
    *,
    signer: Signer | None = None,
    trust: Trust | None = None,
    force: bool = False,
) -> Path:
    """Sign ``source`` into ``target``.

    Parameters
    ----------
    claim : an edit that names no parent has ``source`` for one.
    signer : the development key when None. One signer may serve many files and threads.
    trust : lists by which signed ingredients are judged when they are taken in.

    Returns
    -------
    Path of what was written.

    Raises
    ------
    UsageError
        Same file, existing target without ``force``, or a container that cannot carry a credential.
    CredentialError
        The signer failed, or what was written does not validate. Nothing is left behind and the source is untouched.
    """
    origin, final = Path(source), Path(target)
    kind = _kind(origin, final, force)
    named = engine.mime_of(final)
    if final.suffix and named != kind and not {named, kind} <= _BOXES:
        raise UsageError(
            "its name says another container than the source's", where=str(final), hint=f"name it *{origin.suffix}"
        )
    chosen = signer or signers.default()
    credential = _of(claim, origin)
    if credential.aigc and not declared.possible(origin):
        raise UsageError("China's label has no place in this file", where=str(origin), hint="leave [aigc] out")
    anchors = anchors_of(chosen, trust)
    with contextlib.ExitStack() as stack:
        temporary, marked = stack.enter_context(atomic_path(final)), origin
        if credential.aigc:
            aside = stack.enter_context(tempfile.TemporaryDirectory(dir=final.parent, prefix=".gioconda-"))
            marked = declared.copied(origin, Path(aside), credential.aigc)
        _sign(marked, temporary, kind, credential, chosen, anchors)
        verify(temporary, anchors, final, chosen)
    return final


def sign_sidecar(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str] | None,
    claim: Claim | Credential,
    *,
    signer: Signer | None = None,
    trust: Trust | None = None,
    force: bool = False,
) -> Path:
    """Leave ``source`` as it is, of whatever kind, and write its credential to a file beside it; the rest as in :func:`sign_file`.

    target : the ``.c2pa`` file; None = the source's name with ``.c2pa`` appended.
    """
    origin = Path(source)
    final = origin.with_name(origin.name + ".c2pa") if target is None else Path(target)
    kind = _kind(origin, final, force, sidecar=True)
    chosen = signer or signers.default()
    credential = _of(claim, origin)
    if credential.aigc:
        raise UsageError("China's label has no place in this file", where=str(origin), hint="leave [aigc] out")
    anchors = anchors_of(chosen, trust)
    with atomic_path(final) as temporary:
        manifest = _sign(origin, None, kind, credential, chosen, anchors)
        temporary.write_bytes(manifest)
        verify(origin, anchors, final, chosen, manifest=manifest)
    return final


def _of(claim: Claim | Credential, origin: Path) -> Credential:
    """What is signed; an edit that names no parent has ``origin`` for one."""
    credential = claim if isinstance(claim, Credential) else claims.of_synthesis(claim)
    if credential.intent == "edit" and not any(item.role == "parent" for item in credential.ingredients):
        parent = Ingredient("parent", sha256_of(origin), origin.name, str(origin), engine.mime_of(origin))
        credential = dataclasses.replace(credential, ingredients=(*credential.ingredients, parent))
    return credential


def _kind(origin: Path, final: Path, force: bool, sidecar: bool = False) -> str:
    """The source's media type; refuses what cannot be signed, and to sign a file in place."""
    if not origin.is_file():
        raise MediaError("no such file", where=str(origin))
    kind = engine.mime_of(origin)
    if kind not in engine.supported()[1]:
        if not sidecar:
            known = kind or origin.suffix
            raise UsageError(
                "this container cannot carry a credential" if known else "the container is not known from the name",
                where=str(origin),
                hint="sign an MP4 of it, or write its credential beside it (--sidecar)",
            )
        kind = engine.ANY
    if final.exists() and os.path.samefile(origin, final):
        raise UsageError("a file is never signed in place", where=str(final), hint="name another target")
    refuse_overwrite(final, force)
    return kind


def hosts(signer: Signer) -> tuple[str, ...]:
    """The one host signing may speak to: the timestamp authority's."""
    host = urlsplit(signer.timestamp).hostname if signer.timestamp else None
    return (host,) if host else ()


def anchors_of(signer: Signer, trust: Trust | None) -> engine.Anchors:
    """The lists given, and the signer's own issuer, so that what is read back must lead to the very chain that signed."""
    chains = {"manifest": signer.chain}
    if isinstance(signer, signers.IdentitySigner):
        chains["cawg"] = signer.identity.chain
    own = {kind: certificates.pem(certificates.certificates_in(chain)[-1]) for kind, chain in chains.items()}
    given = trust.anchors if trust else ()
    return (*given, *(engine.Anchor(kind, "gioconda:own-chain", root) for kind, root in own.items()))


def _sign(
    origin: Path, destination: Path | None, kind: str, credential: Credential, signer: Signer, anchors: engine.Anchors
) -> bytes:
    """The signed file in ``destination``; where that is None (sidecar), the manifest's bytes."""
    import c2pa

    try:
        with contextlib.ExitStack() as stack:
            stream = stack.enter_context(open(origin, "rb", buffering=0))
            # An update's parent is the source itself, which only the SDK's own call adds.
            updates = credential.intent == "update"
            plain = destination is not None and kind in _ONE_PASS and not updates and descriptors.possible()
            able = signer if isinstance(signer, signers.Contextual) else None
            layout = one_pass.plan(stream) if plain and able else None
            settings = engine.settings(anchors, hosts=hosts(signer), merkle=bool(layout) or _in_leaves(origin))
            context = able.context(settings) if able and layout else engine.context(settings)
            builder = stack.enter_context(builder_of(claims.to_manifest(credential), context, credential))
            if updates:
                builder.set_intent(c2pa.C2paBuilderIntent.UPDATE)
            sink: IO[bytes]
            if destination is None:
                builder.set_no_embed()
                sink = stack.enter_context(tempfile.TemporaryFile(buffering=0))
            else:
                sink = stack.enter_context(open(destination, "w+b", buffering=0))
            if layout:
                one_pass.sign(builder, kind, layout, stream, sink)
                return b""
            stream.seek(0)
            return descriptors.sign(builder, signer.native(), kind, stream, sink)
    except c2pa.C2paError as error:
        if destination is not None and isinstance(error, c2pa.C2paError.Io):
            with open(destination, "ab") as probe:  # the SDK does not say why: is there room?
                probe.write(bytes(1 << 20))
        raise failed(error, origin, signer) from error


def builder_of(definition: Mapping[str, Any], context: Any, credential: Credential) -> Any:
    """The SDK's builder of a manifest, with the credential's ingredients; it serves once."""
    import c2pa

    builder = c2pa.Builder(definition, context=context)
    for index, item in enumerate(credential.ingredients):
        _add_ingredient(builder, index, item)
    return builder


def failed(error: Exception, origin: Path, signer: Signer) -> CredentialError:
    """Why a file could not be signed, in words: the signer's own where it failed, else of the SDK's kind of error."""
    own = getattr(signer, "failure", lambda: "")()
    message = str(error)
    if signer.timestamp and faults.of_the_clock(message):
        return CredentialError(
            "could not be signed: no usable timestamp was given",
            where=str(origin),
            hint=f"the timestamp authority {signer.timestamp} may be out of reach",
        )
    if own:
        return CredentialError(f"could not be signed: {own}", where=str(origin))
    what, hint = faults.explained(message)
    return CredentialError(f"could not be signed: {what}", where=str(origin), hint=hint)


def verify(
    path: Path,
    anchors: engine.Anchors,
    final: Path,
    signer: Signer,
    *,
    manifest: bytes | None = None,
    segments: Sequence[Path] = (),
) -> None:
    """Read back what was written; anything but a clean trust in our own chain is a failure of signing."""
    lone = len(certificates.certificates_in(signer.chain)) == 1  # without an issuer there is no chain to check
    with opened(path, anchors, manifest=manifest, fragments=segments) as found:
        if not isinstance(found, Opened):
            raise CredentialError(
                f"what was signed cannot be read back: {faults.explained(found.detail)[0]}", where=str(final)
            )
        decision = rules.decide(found.document)
        state = decision.state if decision else None
        if state != ProvenanceState.TRUSTED and not (lone and state == ProvenanceState.VALID):
            failed = dict.fromkeys(rules.failures_of(found.document))
            likely = "the certificate is not one for claims, or has expired"
            if any(code.endswith("Hash.mismatch") for code in failed):
                likely = "the SDK cannot write this in such a file: sign an edit instead of an update, or a JPEG, a PNG or an MP4"
            raise CredentialError(
                f"what was signed does not validate: {', '.join(failed) or state}",
                where=str(final),
                hint=f"gioconda explain CODE; most often {likely}",
            )


def _in_leaves(path: Path) -> bool:
    """Whether to hash media in leaves: large MP4s with one media box. With several the SDK signs what it then refuses."""
    size = path.stat().st_size
    if size <= LARGE:
        return False
    with open(path, "rb") as file:
        return sum(box.kind == b"mdat" for box in containers.boxes(file, size)) == 1


def _add_ingredient(builder: Any, index: int, item: Ingredient) -> None:
    """Add one ingredient; from its file where there is one, so that it brings its thumbnail and its own credential."""
    name = claims.ingredient_id(index)
    file = Path(item.path) if item.path and Path(item.path).is_file() else None
    kind = item.mime or (engine.mime_of(item.path) if item.path else "") or engine.ANY
    described: dict[str, Any] = {
        "title": item.title or item.role,
        "relationship": claims.ROLES[item.role],
        "label": name,
        "instance_id": f"sha256:{item.sha256}" if item.sha256 else name,
        "format": kind,
    }
    if file and (picture := thumbnails.of(file)):
        builder.add_resource(f"{name}.jpg", io.BytesIO(picture))
        described["thumbnail"] = {"format": "image/jpeg", "identifier": f"{name}.jpg"}
    # Of a file that the SDK cannot open, or that is not there, the description and our sha256 go in, over an empty stream.
    readable = file is not None and kind in engine.supported()[0]
    with open(file, "rb") if file and readable else io.BytesIO() as stream:
        builder.add_ingredient(described, kind, stream)
