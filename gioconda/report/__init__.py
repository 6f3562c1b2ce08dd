"""Write a Report as text, JSON, HTML, SARIF or CSV, in each language; writers see the Report and nothing else.

>>> from gioconda import report
>>> report.text(gioconda.check("clip.mp4"), lang="ja")       # doctest: +SKIP
"""

from collections.abc import Iterable, Sequence
from typing import Any

from gioconda_core.types import Report


def text(report: Report, lang: str = "en", **options: Any) -> str:
    """The report for a terminal. Options: width (80 columns by default), color."""
    from gioconda.report.as_text import text as write

    return write(report, lang, **options)


def json(report: Report, lang: str = "en", **options: Any) -> str:
    """The report as a document of schema ``gioconda.report/1`` (``report.schema.json`` beside this file). Options: indent."""
    from gioconda.report.as_json import dumps

    return dumps(report, lang, **options)


def html(report: Report | Sequence[Report], lang: str = "en") -> str:
    """The reports as one file with no script and no external asset, under a strict content-security policy."""
    from gioconda.report.as_html import html as write

    return write(report, lang)


def csv(reports: Report | Iterable[Report], lang: str = "en") -> str:
    """A table with a line a file and a group of columns a detector."""
    from gioconda.report import rows

    return rows.csv([rows.row(r, lang) for r in _many(reports)])


def sarif(reports: Report | Iterable[Report], lang: str = "en") -> str:
    """The reports as SARIF 2.1.0, for code-scanning dashboards."""
    from gioconda.report import rows
    from gioconda.report.as_sarif import log

    return log([rows.row(r, lang) for r in _many(reports)], lang)


def _many(reports: Report | Iterable[Report]) -> list[Report]:
    return [reports] if isinstance(reports, Report) else list(reports)
