"""Findings that somebody has looked at and accepted, each with a reason and a last day, after which it counts again.

A baseline is a TOML file:

    [[accept]]
    sha256 = "ab12…"            # or path = "archive/2024/a.mp4" (a glob), or both
    fault = "level/signal"      # as in the SARIF: level/…, credentials/…, error; left out: any
    reason = "Read by two people on 3 November; the archive's own transfer"
    until = 2027-06-30
"""

import datetime
import fnmatch
from dataclasses import dataclass, field
from typing import Any

from gioconda.report.rows import Row
from gioconda_core import options
from gioconda_core.errors import UsageError
from gioconda_core.files import read_toml
from gioconda_core.words import counted


@dataclass
class Accepted:
    """One accepted finding, by file, by fault or both. used : how many findings of this run it covered."""

    sha256: str
    path: str
    fault: str
    reason: str
    until: datetime.date
    used: int = 0

    def holds(self, row: Row, fault: str) -> bool:
        """Whether the entry speaks of this finding, run out or not."""
        return (
            (not self.sha256 or row.sha256 == self.sha256)
            and (not self.path or fnmatch.fnmatchcase(row.path, self.path))
            and (not self.fault or self.fault == fault)
        )


@dataclass
class Baseline:
    """The accepted findings of one baseline file. today : the day that decides which of them have run out."""

    entries: list[Accepted] = field(default_factory=list)
    today: datetime.date = field(default_factory=lambda: datetime.datetime.now(datetime.UTC).date())

    @classmethod
    def read(cls, file: str) -> "Baseline":
        """Read a baseline.

        Raises
        ------
        UsageError
            It is not there or is no TOML, or an entry names no file, no reason or no end.
        """
        document = read_toml(file, "a TOML file of [[accept]] entries")
        entries = document.get("accept", [])
        if set(document) - {"accept"} or not isinstance(entries, list):
            raise UsageError("holds something else than [[accept]] entries", where=file)
        return cls([_entry(entry, f"{file}, entry {number}") for number, entry in enumerate(entries, 1)])

    def accepts(self, row: Row, fault: str) -> str | None:
        """Why this finding is accepted; None where it is not, or no longer."""
        for entry in self.entries:
            if entry.until >= self.today and entry.holds(row, fault):
                entry.used += 1
                return f"{entry.reason} (until {entry.until})"
        return None

    def notes(self) -> list[str]:
        """What whoever keeps the file should know: entries that have run out, and those that nothing was met by."""
        out = [e for e in self.entries if e.until < self.today]
        idle = [e for e in self.entries if e.until >= self.today and not e.used]
        found = []
        if out:
            found.append(f"{_told(out, 'has', 'have')} run out (the first on {min(e.until for e in out)})")
        if idle:
            first = idle[0].path or idle[0].sha256[:16]
            found.append(f"{_told(idle, 'is', 'are')} met by no file (the first: {first})")
        return found


def _told(entries: list[Accepted], one: str, several: str) -> str:
    return f"{counted(len(entries), 'accepted finding')} {several if entries[1:] else one}"


def _entry(entry: Any, where: str) -> Accepted:
    if not isinstance(entry, dict) or set(entry) - {"sha256", "path", "fault", "reason", "until"}:
        raise UsageError("has other keys than sha256, path, fault, reason and until", where=where)
    typed, path = str(entry.get("sha256", "")), str(entry.get("path", ""))
    sha256 = options.sha256(typed, where) if typed else ""
    if not sha256 and not path:
        raise UsageError("names no file", where=where, hint="sha256, path, or both")
    reason, until = str(entry.get("reason", "")).strip(), entry.get("until")
    if not reason:
        raise UsageError("gives no reason", where=where)
    if isinstance(until, datetime.datetime):
        until = until.date()
    if not isinstance(until, datetime.date):
        raise UsageError("has no end", where=where, hint="until = 2027-06-30")
    return Accepted(sha256, path, str(entry.get("fault", "")), reason, until)
