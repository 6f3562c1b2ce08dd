"""Rows as a JUnit report, which every CI system shows: a case a file, in bounded memory."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from gioconda.report.as_sarif import faults
from gioconda.report.rows import Row
from gioconda.report.wording import visible
from gioconda_core.files import atomic_path
from gioconda_core.version import __version__


@dataclass(frozen=True)
class Case:
    """A row, the reasons for which it fails the policy, and why its faults are accepted, where they are."""

    row: Row
    reasons: Sequence[str]
    accepted: str | None

    @property
    def outcome(self) -> str:
        """``skipped``, ``errors`` or ``failures``, as the counts at the top call them; empty where all is well."""
        if self.accepted is not None:
            return "skipped"
        return "errors" if self.row.error else "failures" if self.reasons else ""

    def xml(self) -> str:
        """The case as an element."""
        row, outcome = self.row, self.outcome
        if outcome == "skipped":
            inner = f"<skipped message={_attribute(self.accepted)}/>"
        elif outcome == "errors":
            inner = f"<error message={_attribute(row.error)}/>"
        elif outcome == "failures":
            text = _text(" ".join(row.sentences))
            inner = f"<failure message={_attribute('; '.join(self.reasons))}>{text}</failure>"
        else:
            found = ", ".join(faults(row))
            inner = f"<system-out>{_text(found)}</system-out>" if found else ""
        head = f'<testcase classname="audit" name={_attribute(row.path)} time="{row.seconds or 0:.4f}"'
        return f"{head}>{inner}</testcase>\n" if inner else f"{head}/>\n"


def write(cases: Iterable[Case], file: Path, properties: Mapping[str, str]) -> None:
    """Write the report. The counts stand at its top, so that the cases wait in a file of their own until all are counted."""
    counts: Counter[str] = Counter()
    with (
        atomic_path(file) as path,
        open(path, "w", encoding="utf-8") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8") as body,
    ):
        for case in cases:
            counts.update(("tests", case.outcome))
            body.write(case.xml())
        numbers = " ".join(f'{name}="{counts[name]}"' for name in ("tests", "failures", "errors", "skipped"))
        out.write(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n<testsuite name="gioconda audit" {numbers}>\n<properties>\n'
        )
        for name, value in {"gioconda": __version__, **properties}.items():
            out.write(f"<property name={_attribute(name)} value={_attribute(value)}/>\n")
        out.write("</properties>\n")
        body.seek(0)
        shutil.copyfileobj(body, out)
        out.write("</testsuite>\n</testsuites>\n")


def _attribute(value: object) -> str:
    return quoteattr(visible(value, 2000))


def _text(value: str) -> str:
    return escape(visible(value, 4000))
