"""Documents that leave the process: dataclasses, each with its ``schema``, written to JSON and read back in one place."""

from __future__ import annotations

import base64
import functools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def plain(value: Any, special: Callable[[Any], Any] | None = None) -> Any:
    """A document as JSON's own types: fields in their order, a number that is none (NaN, infinity) as null, a path as text, bytes in base64.

    special : asked first, of each value; what it makes of one (not None) stands in its place.
    """
    if special is not None and (made := special(value)) is not None:
        return made
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name), special) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item, special) for key, item in value.items()}
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, list | tuple | set | frozenset):
        listed = sorted(value) if isinstance(value, set | frozenset) else value
        return [plain(item, special) for item in listed]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if hasattr(value, "item"):  # numpy's scalars
        return value.item()
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


def read(kind: type[T], value: Any) -> T:
    """A document back from JSON's own types: dataclasses, tuples, enums and bytes again, as ``kind`` and its fields are declared.

    A key for which the dataclass has no field is passed over, and a field without a key has its default. A dataclass that is read in its
    own way says so by a class method ``from_document``. Pydantic would do the same, but for base64, in a third of a second for its import.

    Raises
    ------
    ValueError, TypeError
        An enum has no such value, or a field without a default has no key.
    """
    found: T = _read(kind, value)
    return found


def _read(kind: Any, value: Any) -> Any:
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        kinds = [part for part in inside if part is not NoneType]
        return value if value is None else _read(next((k for k in kinds if _fits(k, value)), kinds[-1]), value)
    if is_dataclass(kind):
        if hasattr(kind, "from_document"):
            return kind.from_document(value)
        hints: dict[str, Any] = _hints(kind)  # type: ignore[arg-type]  # mypy takes a class for unhashable
        return kind(**{name: _read(hint, value[name]) for name, hint in hints.items() if name in value})  # type: ignore[operator]
    if origin is tuple and inside[-1] is not Ellipsis:
        return tuple(_read(part, item) for part, item in zip(inside, value, strict=True))
    if origin in (tuple, list):
        return origin(_read(inside[0], item) for item in value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _read(inside[1], item) for key, item in value.items()}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    return base64.b64decode(value) if kind is bytes and isinstance(value, str) else value


@functools.cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {item.name: hints[item.name] for item in fields(kind) if item.init}


def _fits(kind: Any, value: Any) -> bool:
    """Whether a value may be of this one among several kinds: a dataclass needs a key for each field without a default."""
    if not is_dataclass(kind):
        return not isinstance(value, Mapping)
    needed = (item.name for item in fields(kind) if item.default is MISSING and item.default_factory is MISSING)
    return isinstance(value, Mapping) and all(name in value for name in needed)
