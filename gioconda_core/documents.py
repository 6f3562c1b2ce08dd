"""Documents that leave the process: dataclasses, each with its ``schema``, written to JSON in one place."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any


def plain(value: Any) -> Any:
    """A document as JSON's own types: fields in their order, a number that is none (NaN, infinity) as null, a path as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, PurePath) else value


def to_json(document: Any, indent: int | None = None) -> str:
    """The text of a document; on one line without ``indent``.

    It may be shown in a terminal: readable letters stay, invisible and bidi characters become ``\\u`` escapes.
    """
    text = json.dumps(plain(document), indent=indent, ensure_ascii=False, allow_nan=False)
    if text.isprintable():
        return text
    # Outside strings JSON has only ASCII, so any other unprintable character is inside one and may be written as an escape.
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
