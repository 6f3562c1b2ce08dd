"""Writes rows of ``detect score`` down as they are made, so that a command that was cut short goes on where it was."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from detect.base import Detector
from detect.reading.score import Labelled, Row, in_index, rows
from gioconda_core.documents import plain
from gioconda_core.errors import UsageError
from gioconda_core.files import append_row, read_rows

SCHEMA = "gioconda.scores.partial/1"


class Partial:
    """The rows so far, a line a clip, in ``FILE.partial`` beside the result; it goes when the result is written.

    result : None where rows go to no file; then nothing is kept. Rows are kept a clip at a time: of a clip that a killed command left
    half read nothing is kept, and a clip that has changed since, or a reading that failed, is asked for again.
    """

    def __init__(self, result: Path | None, detectors: Sequence[Detector], *, force: bool = False) -> None:
        self.path = result and result.with_name(result.name + ".partial")
        self.detectors = detectors
        self._rows: dict[tuple[str, int, int], list[Row]] = {}
        if self.path:
            self._resume(self.path, force)

    def _resume(self, path: Path, force: bool) -> None:
        about = {"schema": SCHEMA, "detectors": [[d.id, d.version, d.weights_sha256] for d in self.detectors]}
        if force:
            self.close()
        found = list(read_rows(path))
        if found and found[0] != about:
            raise UsageError(
                "holds the rows of other detectors", where=str(path), hint="remove it, or give --force to start over"
            )
        if not found:
            append_row(path, about)
        for line in found[1:]:
            if isinstance(line.get("rows"), list) and isinstance(line.get("clip"), list):
                self._rows[tuple(line["clip"])] = [Row.of(row) for row in line["rows"]]

    @staticmethod
    def _clip(clip: Labelled) -> tuple[str, int, int]:
        """A clip as it is now: its name, size and time of change."""
        try:
            about = os.stat(clip[1])
        except OSError:
            return clip[0], -1, -1
        return clip[0], about.st_size, about.st_mtime_ns

    def read(self, clips: Sequence[Labelled], **options: Any) -> Iterator[list[Row]]:
        """Each clip's rows, in order: those that are there, and the others as they are made. options : of :func:`rows`."""
        keys = [self._clip(clip) for clip in clips]
        kept = {key: own for key, own in self._rows.items() if not any(row.error is not None for row in own)}
        fresh = rows(
            [clip for clip, key in zip(clips, keys, strict=True) if key not in kept], self.detectors, **options
        )
        for clip, key in zip(clips, keys, strict=True):
            own = [in_index(row, clip) for row in kept.get(key, ())]
            if not own:
                own = [next(fresh) for _ in self.detectors]
                if self.path:
                    append_row(self.path, {"clip": list(key), "rows": [plain(row.columns()) for row in own]})
            yield own

    def close(self) -> None:
        """The result is written: what was kept for a cut is not needed any more."""
        if self.path:
            self.path.unlink(missing_ok=True)
