"""Documents that leave the process: dataclasses, each with its ``schema``, written to JSON and read back in one place."""

import base64
import functools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def plain(value: Any, special: Callable[[Any], Any] | None = None) -> Any:
    """A document as JSON's own types: fields in their order, a number that is none (NaN, infinity) as null, a path or a fraction as
    text, bytes in base64.

    special : asked first, of each value; what it makes of one (not None) stands in its place.
    """
    if special is not None and (made := special(value)) is not None:
        return made
    if value is None or type(value) in (str, int, bool):
        return value
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
    return str(value) if isinstance(value, PurePath | Fraction) else value


def to_json(document: Any, indent: int | None = None) -> str:
    """The text of a document; on one line without ``indent``.

    It may be shown in a terminal: readable letters stay, invisible and bidi characters become ``\\u`` escapes.
    """
    text = json.dumps(plain(document), indent=indent, ensure_ascii=False, allow_nan=False)
    if text.isprintable():
        return text
    # Outside strings JSON has only ASCII, so any other unprintable character is inside one and may be written as an escape.
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def json_default(value: Any) -> Any:
    """What ``json.dumps`` is to write for an object that it does not know (its ``default``): a dataclass's fields, bytes in base64."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else vars(value)


def read(kind: type[T], value: Any) -> T:
    """A document back from JSON's own types: dataclasses, tuples, enums, fractions and bytes again, as ``kind`` and its fields are declared.

    A key for which the dataclass has no field is passed over, and a field without a key has its default. A dataclass that is read in its
    own way says so by a class method ``from_document``. Pydantic would do the same, but for base64, in a third of a second for its import.

    Raises
    ------
    ValueError, TypeError
        An enum has no such value, or a field without a default has no key.
    """
    convert: Reader = _reader(kind)  # type: ignore[arg-type]  # mypy takes a class for unhashable
    found: T = value if convert is None else convert(value)
    return found


Reader = Callable[[Any], Any] | None  # None: what is read is as it is


@functools.cache
def _reader(kind: Any) -> Reader:
    """What makes a value of a kind of JSON's."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _of_one([part for part in inside if part is not NoneType])
    if is_dataclass(kind):
        return getattr(kind, "from_document", None) or _of_fields(kind)
    if origin is tuple and inside[-1] is not Ellipsis:
        parts = [_reader(part) or _same for part in inside]
        return lambda value: tuple(part(item) for part, item in zip(parts, value, strict=True))
    if isinstance(origin, type) and issubclass(origin, Sequence):
        one, several = _reader(inside[0]), origin if origin in (tuple, list) else list
        return several if one is None else lambda value: several(map(one, value))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        part = _reader(inside[1])
        return None if part is None else lambda value: {key: part(item) for key, item in value.items()}
    if kind is bytes:
        return lambda value: base64.b64decode(value) if isinstance(value, str) else value
    return kind if isinstance(kind, type) and issubclass(kind, Enum | Fraction) else None


def _same(value: Any) -> Any:
    return value


def _of_fields(kind: Any) -> Reader:
    parts: list[tuple[str, Reader]] = []  # found when first asked for: a dataclass may hold others of its own kind

    def make(value: Mapping[str, Any]) -> Any:
        if not parts:
            hints = get_type_hints(kind)
            parts.extend((item.name, _reader(hints[item.name])) for item in fields(kind) if item.init)
        given = {name: value[name] if part is None else part(value[name]) for name, part in parts if name in value}
        return kind(**given)

    return make


def _without_default(kind: Any) -> set[str]:
    return {item.name for item in fields(kind) if item.default is MISSING and item.default_factory is MISSING}


def _of_one(kinds: Sequence[Any]) -> Reader:
    """Of several kinds the first that a value may be of; a dataclass is one where there is a key for each field without a default."""
    readers = [_reader(kind) for kind in kinds]
    if not any(readers):
        return None
    needed = [_without_default(kind) if is_dataclass(kind) else None for kind in kinds]

    def make(value: Any) -> Any:
        if value is None:
            return None
        found = isinstance(value, Mapping)
        pairs = zip(readers, needed, strict=True)
        fits = (r for r, keys in pairs if (keys is not None) == found and (not keys or keys <= value.keys()))
        part = next(fits, readers[-1])
        return value if part is None else part(value)

    return make
