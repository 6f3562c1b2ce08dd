"""Rows as a JUnit report, which every CI system shows: a case a file, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from gioconda.report.as_sarif import faults
from gioconda.report.wording import visible
from gioconda_core.files import atomic_path
from gioconda_core.version import __version__

__all__ = ["write"]


def write(
    items: Iterable[Mapping[str, Any]],
    file: Path,
    *,
    count: int,
    failures: int,
    errors: int,
    skipped: int,
    why: Callable[[Mapping[str, Any]], tuple[list[str], str | None]],
    properties: Mapping[str, str],
) -> None:
    """Write the report.

    why : row → (reasons for which it fails the policy, reason for which its faults are accepted or None).
    """
    with atomic_path(file) as path, open(path, "w", encoding="utf-8") as out:
        numbers = f'tests="{count}" failures="{failures}" errors="{errors}" skipped="{skipped}"'
        out.write(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n<testsuite name="gioconda audit" {numbers}>\n<properties>\n'
        )
        for name, value in {"gioconda": __version__, **properties}.items():
            out.write(f"<property name={_attribute(name)} value={_attribute(value)}/>\n")
        out.write("</properties>\n")
        for item in items:
            reasons, accepted = why(item)
            out.write(
                f'<testcase classname="audit" name={_attribute(item["path"])} time="{item.get("seconds") or 0:.4f}"'
            )
            if accepted is not None:
                inner = f"<skipped message={_attribute(accepted)}/>"
            elif item.get("error"):
                inner = f"<error message={_attribute(item['error'])}/>"
            elif reasons:
                inner = f"<failure message={_attribute('; '.join(reasons))}>{_text(' '.join(item.get('sentences') or ()))}</failure>"
            else:
                inner = f"<system-out>{_text(', '.join(faults(item)))}</system-out>" if faults(item) else ""
            out.write(f">{inner}</testcase>\n" if inner else "/>\n")
        out.write("</testsuite>\n</testsuites>\n")


def _attribute(value: object) -> str:
    return quoteattr(visible(value, 2000))


def _text(value: str) -> str:
    return escape(visible(value, 4000))
