"""Make a labelled set of signed files: which labels count, and why each of the others does not.

A label counts only if the credential is trusted, its signer is on the project's list, exactly one label assertion is there and it is
*created*, no ingredient failure is recorded, and the hashes it names match. File hashes are malleable, so
copies are recognised by the hash of their decoded frames.
"""

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gioconda_core.datasets.index import Index
from gioconda_core.errors import GiocondaError
from gioconda_core.files import sha256_of
from gioconda_core.media import fingerprint
from gioconda_core.media.clip import Clip
from gioconda_core.media.suffixes import is_media_name
from gioconda_core.types import Label, Provenance, ProvenanceState, Sample
from provenance.reading.ingredients import UNREAD
from provenance.reading.read import read
from provenance.sanitise import items, table
from provenance.trust.lists import Trust
from provenance.vocabulary import LABEL_SCHEMA


@dataclass(frozen=True)
class Refused:
    """A file whose label does not count, and why."""

    path: str
    why: str


def why_not(found: Provenance, signers: Collection[str]) -> str | None:
    """Why a label does not count, judged from the credential alone; None when it does.

    signers : hex sha256 of leaf certificates on the project's list; empty = any signer of a trusted chain.
    """
    if found.state != ProvenanceState.TRUSTED:
        return f"the credential is {found.state}, not trusted" + (f" ({found.reason})" if found.reason else "")
    if signers and found.signer_fingerprint not in signers:
        return f"the signer {(found.signer_fingerprint or '?')[:16]}… is not on the project's list"
    if found.label is None:
        return "there is not exactly one label that the signer states (created)"
    if found.label.get("schema") != LABEL_SCHEMA:
        return f"the label's schema is {str(found.label.get('schema'))[:40]!r}, not {LABEL_SCHEMA!r}"
    if found.label.get("label") not in (Label.REAL, Label.FAKE):
        return "the label is neither real nor fake"
    if any(code.code == UNREAD for code in found.codes):
        return "it has more ingredients than are looked at"

    nodes = list(found.ingredients)
    for node in nodes:
        if node.failures:
            return f"an ingredient failed when it was taken in: {node.failures[0].code}"
        nodes += node.children
    return None


def collect(
    folder: str | os.PathLike[str],
    *,
    trust: Trust | None = None,
    signers: Collection[str] = (),
    sources: str | os.PathLike[str] | None = None,
    advance: Callable[[], Any] = lambda: None,
) -> tuple[Index, list[Refused]]:
    """Read every media file below ``folder`` and index those whose label counts.

    Parameters
    ----------
    signers : fingerprints of accepted leaf certificates; empty accepts every trusted signer.
    sources : a folder of originals; where given, each hash of a source or driver must be of a file in it.

    Returns
    -------
    The index (deduplicated by decoded frames: the first path wins), and the refused files with reasons.
    """
    root = Path(folder)
    known = {sha256_of(path) for path in sorted(Path(sources).rglob("*")) if path.is_file()} if sources else None
    samples: list[Sample] = []
    refused: list[Refused] = []
    seen: dict[str, str] = {}
    for path in sorted(p for p in root.rglob("*") if p.is_file() and is_media_name(p)):
        name = path.relative_to(root).as_posix()
        try:
            sample = _one(path, name, trust, signers, known)
        except GiocondaError as error:
            sample = error.what
        if isinstance(sample, Sample) and sample.essence in seen:
            sample = f"decodes to the same frames as {seen[sample.essence]}"
        if isinstance(sample, Sample):
            seen[sample.essence] = name
            samples.append(sample)
        else:
            refused.append(Refused(name, sample))
        advance()
    card = {
        "made": "from signed labels",
        "signers": sorted(signers) or ["any trusted signer"],
        "refused": len(refused),
        "sources": "re-hashed" if known is not None else "not re-hashed",
    }
    return Index(tuple(samples), root, card), refused


def _one(path: Path, name: str, trust: Trust | None, signers: Collection[str], known: set[str] | None) -> Sample | str:
    """The row, or why there is none."""
    found = read(path, trust=trust, thumbnails=False)
    reason = why_not(found, signers)
    if reason:
        return reason
    assert found.label is not None  # why_not has seen to it
    label = found.label
    with Clip.open(path, sandbox=True) as clip:
        essence = fingerprint.essence(frame for _, frame in clip.frames("all"))
    if label.get("essence_sha256") and label["essence_sha256"] != essence:
        return "the decoded frames are not those the label names"
    named = [str(h) for role in ("source", "driver") for h in items(label.get(f"{role}_sha256"))]
    if known is not None:
        missing = [h for h in named if h not in known]
        if missing:
            return f"no file in the sources has the hash {missing[0][:16]}…"
    sources = items(label.get("source_sha256"))
    return Sample(
        path=name,
        sha256=sha256_of(path),
        label=Label(str(label["label"])),
        generator=str(label.get("generator", "")) if label["label"] == Label.FAKE else "",
        identity=str(label.get("identity", "")),
        source=str(sources[0])[:16] if sources else "",
        pair=str(table(label.get("params")).get("pair") or ""),
        licence=str(label.get("licence", "")),
        split=str(label.get("split", "")),
        essence=essence,
        extra={"task": str(label.get("task", "")), "signer": found.signer_fingerprint or ""},
    )
