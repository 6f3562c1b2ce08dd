"""A Report as JSON and back: schema ``gioconda.report/1``, published as ``report.schema.json`` beside this file."""

import json
import math
from collections.abc import Mapping
from importlib import resources
from typing import Any

from gioconda.report.wording import reason_text, say
from gioconda_core import documents
from gioconda_core.reasons import Reason
from gioconda_core.types import Report, Sentence


def schema() -> dict[str, Any]:
    """The published JSON Schema (draft 2020-12) of the document."""
    found: dict[str, Any] = json.loads((resources.files("gioconda.report") / "report.schema.json").read_text("utf-8"))
    return found


def document(report: Report, lang: str = "en") -> dict[str, Any]:
    """The report as plain JSON values; each sentence carries its key, its arguments and its text in ``lang``."""
    body: dict[str, Any] = plain(report, lang)
    body["lang"] = lang
    return body


def dumps(report: Report, lang: str = "en", *, indent: int | None = 1) -> str:
    """The document as JSON text. Raises ValueError for a number that is none."""
    return documents.to_json(document(report, lang), indent)


def plain(value: Any, lang: str) -> Any:
    """Any document's dataclass as plain JSON values: sentences and reasons with their text in ``lang``, bytes in base64.

    Raises ValueError for a number that is none.
    """

    def spoken(item: Any) -> Any:
        if isinstance(item, Sentence):
            return {"key": item.key, "args": plain(item.args, lang), "text": say(item, lang)}
        if isinstance(item, Reason):
            return plain(item.document(), lang) | {"text": reason_text(item.document(), lang)}
        if isinstance(item, float) and not math.isfinite(item):
            raise ValueError("a report carries no NaN and no infinity")
        return None

    return documents.plain(value, spoken)


def from_document(body: Mapping[str, Any]) -> Report:
    """The Report back from its document, so that it can be rendered again in another language.

    Raises ValueError for another schema.
    """
    if body.get("schema") != Report.schema:
        raise ValueError(f"not a {Report.schema} document: {body.get('schema')!r}")
    return documents.read(Report, body)
