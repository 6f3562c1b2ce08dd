"""What a worker does with one file: hash it, and unless its content is known, examine it; a row comes back."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from gioconda.audit.journal import KnownContent, content_key
from gioconda.audit.walk import aside_of
from gioconda.report import metadata, rows
from gioconda.report.view import credential_sentences
from gioconda.report.wording import say, visible
from gioconda_core.errors import GiocondaError, MediaError
from gioconda_core.files import INSIDE, sha256_of
from gioconda_core.media.sniff import HEAD, kind_of, lost_end, misnamed
from gioconda_core.media.suffixes import is_media_name
from gioconda_core.reasons import MediaWarning
from gioconda_core.types import CredentialReason, Provenance, ProvenanceState, Sentence
from provenance.reading import read
from provenance.reading.open import sidecar_of
from provenance.reading.rules import ANOTHERS, CUT_OFF
from provenance.trust import lists


@dataclass(frozen=True)
class Orders:
    """How a worker examines files, as plain values that can be sent to another process.

    detectors : names; None = shipped; [] = credentials only, near the speed of the disk. seconds : that a detector may take for a file.
    declared : whether the unsigned marks of the metadata are read too where nothing else is; it takes a process a file.
    wanted : which members of archives are looked at. index, config : where to ask whether a content is known, and under which configuration.
    """

    detectors: Sequence[str] | None
    trust: Sequence[str]
    development: bool
    lang: str
    sampling: str | None
    seconds: float
    index: str | None
    config: str
    declared: bool
    wanted: Mapping[str, Any]


@dataclass(frozen=True)
class Task:
    """A file to be examined. shown : the text of its path; size, mtime_ns : of its status, size -1 where it is not there; aside : of its sidecar's; archive : whether to look into it."""

    path: str
    shown: str
    size: int
    mtime_ns: int
    aside: str
    archive: bool = False


@dataclass(frozen=True)
class Answer:
    """What a worker found: its row, those of an archive's members beside it; or no row, where the content is ``known`` (its sha256, and the sidecar's)."""

    row: rows.Row | None = None
    inside: tuple[rows.Row, ...] = ()
    known: str = ""
    sidecar: str | None = None


class Work:
    """Examines files; made once in each worker. values : the fields of :class:`Orders`."""

    def __init__(self, **values: Any) -> None:
        orders = self.orders = Orders(**values)
        self.trust = lists.load(orders.trust, development=orders.development)
        self.known = KnownContent(orders.index, orders.config)
        self.examiner: Any = None
        if orders.detectors is None or orders.detectors:
            from gioconda.report.examine import Examiner

            self.examiner = Examiner(
                orders.detectors, trust=self.trust, sampling=orders.sampling, timeout=orders.seconds
            )

    def __call__(self, task: Task, progress: Callable[[str, float], None]) -> Answer:
        path = task.path
        before = _status(path)
        answer = self._archive(path, task.shown) if task.archive else self._answer(path, task.shown)
        if _status(path) != before:  # its hash may be of other bytes than what was found in them
            raise MediaError("changed while it was read")
        return answer

    def _answer(self, path: str, name: str) -> Answer:
        digest, beside, sidecar = _sha256(path), sidecar_of(path), None
        if beside:
            try:
                sidecar = _sha256(str(beside))
            except MediaError as error:
                what = f"the credential beside it, {beside.name}, cannot be read: {error.what}"
                raise MediaError(what) from error
        if self.known(content_key(digest, sidecar, name)):
            return Answer(known=digest, sidecar=sidecar)
        return Answer(replace(self._row(path, name, digest), sidecar=sidecar))

    def _row(self, path: str, name: str, digest: str) -> rows.Row:
        start = time.monotonic()
        if self.examiner is None:
            row = self._credentials(path, name, digest)
        else:
            report = self.examiner.examine(path, title=name, evidence=False)
            row = replace(rows.row(report, self.orders.lang, path=name), until=_until(report.provenance))
        return replace(row, seconds=round(time.monotonic() - start, 4))

    def _archive(self, path: str, name: str) -> Answer:
        """The archive's own row, with those of its members beside it."""
        from gioconda.audit.archives import members

        found: list[rows.Row] = []
        skipped: dict[str, int] = {}
        error = ""
        digest, size = _sha256(path), _size(path)
        for member in members(path, self.orders.wanted):
            shown = f"{name}{INSIDE}{member.name}"
            if not member.name:
                error = member.error
            elif member.skipped:
                skipped[member.skipped] = skipped.get(member.skipped, 0) + 1
            elif member.error:
                found.append(rows.error_row(shown, member.error, size=member.size))
            else:
                try:
                    found.append(self._row(member.file, shown, _sha256(member.file)))
                except GiocondaError as failure:  # its own row only
                    found.append(rows.error_row(shown, str(failure), size=_size(member.file)))
        own = rows.Row(name, digest, size, error=error or None, members=len(found), skipped=skipped)
        return Answer(own, tuple(found))

    def _credentials(self, path: str, name: str, digest: str) -> rows.Row:
        """A row without decoding the picture: what the file begins like, and its Content Credentials."""
        p, error = _try_read(path, self.trust)  # of a signed file, the same pages again, from the system's cache
        row = rows.Row(name, digest, _size(path), error=error and visible(error))
        if self.orders.declared:
            row = replace(row, **rows.declared_columns(metadata.inspect(path).get("declared", [])))
        if p is not None:
            told = credential_sentences(p, self.trust.dated("manifest"))
            sentences = tuple(say(sentence, self.orders.lang) for sentence in told)
            row = replace(row, **rows.credential_columns(p), sentences=sentences, until=_until(p))
            if p.state == ProvenanceState.UNREADABLE and p.reason not in _UNASKED:
                row = replace(row, error=str(p.reason or CredentialReason.UNJUDGED))
        if is_media_name(path, hidden=True):  # of others (--all) it is not said that they hold a picture
            with open(path, "rb") as file:
                head = file.read(HEAD)
                # Of what it reads, the reader of credentials says whether it is cut off.
                lost = CUT_OFF in row.codes or ((p is None or p.reason in _UNASKED) and bool(lost_end(file)))
            if found := misnamed(path, head):
                misnomer = say(Sentence("caveat.misnamed", found), self.orders.lang)
                row = replace(row, caveats=("misnamed",), sentences=(*row.sentences, misnomer))
            # A decoder says whether it shows a picture all the same.
            if (row.error and p) or lost or kind_of(head) is None:
                error, warnings = _opened(path)
                row = replace(row, error=error or (None if p else row.error), warnings=warnings)
        return row


# What was not looked for (a container without credentials, a manifest elsewhere) is no error; `check` says so too.
_UNASKED = (CredentialReason.UNSUPPORTED, CredentialReason.REMOTE)


def _try_read(path: str, trust: Any) -> tuple[Provenance | None, str | None]:
    try:
        return read.read(path, trust=trust), None
    except GiocondaError as error:
        return None, error.what
    except ImportError:
        raise
    except Exception:  # one row, not the audit
        return None, "the reader of credentials failed"


def _until(p: Provenance) -> int | None:
    """Seconds of the epoch until which a verdict on credentials holds: a certificate that ends, where no timestamp says when it signed.

    0 where it depends on what else lies beside the sidecar, of which nothing is remembered.
    """
    if (p.sidecar and p.reason == CredentialReason.ALTERED) or any(code.code == ANOTHERS for code in p.codes):
        return 0
    if p.expires_at is None or p.timestamped:
        return None
    end = int(datetime.fromisoformat(p.expires_at).timestamp())
    return end if end > time.time() else None


def _opened(path: str) -> tuple[str | None, tuple[MediaWarning, ...]]:
    """Why a decoder can give no picture of a file, None where it can, and what it finds odd about it."""
    from gioconda_core.media.clip import Clip

    try:
        with Clip.open(path, sandbox=True) as clip:
            return None, tuple(clip.warnings)
    except MediaError as error:
        return error.why, ()


def _size(path: str) -> int:
    return _status(path)[0]


def _status(path: str) -> tuple[int, int, str]:
    """What tells whether a file, or what lies beside it, has changed; its size first."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise MediaError(error.strerror or "cannot be read") from error
    return found.st_size, found.st_mtime_ns, aside_of(path)


def _sha256(path: str) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise MediaError(error.strerror or "cannot be read") from error
