"""What a worker does with one file: hash it, and unless its content is known, examine it; a row comes back."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from gioconda.report import rows
from gioconda_core.errors import MediaError
from gioconda_core.files import sha256_of
from gioconda_core.types import CredentialReason, Level, Provenance, ProvenanceState

__all__ = ["Work"]


class Work:
    """Made once in each worker.

    detectors : names; None = shipped; [] = credentials only, near the speed of the disk.
    index, config : where to ask whether a content is known, and under which configuration.
    """

    def __init__(
        self,
        detectors: Sequence[str] | None,
        trust: Sequence[str],
        development: bool,
        lang: str,
        sampling: str | None,
        timeout: float,
        index: str | None,
        config: str,
    ) -> None:
        from gioconda.audit.journal import known_content
        from provenance.trust import lists

        self.trust = lists.load(trust, development=development)
        self.lang, self.known = lang, known_content(index, config)
        self.examiner: Any = None
        if detectors is None or detectors:
            from gioconda.report.examine import Examiner

            self.examiner = Examiner(detectors, trust=self.trust, sampling=sampling, timeout=timeout)

    def __call__(self, task: dict[str, Any], progress: Callable[[str, float], None]) -> dict[str, Any]:
        path, name = task["path"], task["shown"]
        start = time.monotonic()
        if self.examiner is None:
            return self._credentials(path, name, start)
        digest = _sha256(path)
        if self.known(digest):
            return {"known": digest}
        report = self.examiner.examine(path, title=name)
        return rows.row(report, self.lang, path=name, seconds=round(time.monotonic() - start, 4))

    def _credentials(self, path: str, name: str, start: float) -> dict[str, Any]:
        """A row without opening the picture: content hash and Content Credentials."""
        size, digest = _size(path), _sha256(path)
        if self.known(digest):
            return {"known": digest}
        p, error = _try_read(path, self.trust)  # of a signed file, the same pages again, from the system's cache
        row = rows.error_row(name, error or "", sha256=digest, size=size)
        row |= {"level": str(Level.NOT_ASSESSED), "error": error, "seconds": round(time.monotonic() - start, 4)}
        if p is not None:
            # What was not looked for (a container without credentials, a manifest elsewhere) is no error; `check` says so too.
            asked = p.reason not in (CredentialReason.UNSUPPORTED, CredentialReason.REMOTE)
            if p.state == ProvenanceState.UNREADABLE and asked:
                row["error"] = str(p.reason or CredentialReason.UNJUDGED)
            row |= rows.credential_columns(p)
            row["sentences"] = rows.origin_text(p, self.lang, self.trust.dated("manifest"))
        return row


def _try_read(path: str, trust: Any) -> tuple[Provenance | None, str | None]:
    from provenance.reading import read

    try:
        return read.read(path, trust=trust), None
    except Exception as error:  # one row, not the audit
        return None, f"{type(error).__name__}: {error}"


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError as error:
        raise MediaError(error.strerror or "cannot be read") from error


def _sha256(path: str) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise MediaError(error.strerror or "cannot be read") from error
