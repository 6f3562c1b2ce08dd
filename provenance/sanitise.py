"""Make strings from manifests, which may be an attacker's, safe to print, to put in a page and to log.

Control characters, terminal escapes, bidirectional overrides, zero-width and private characters become visible escapes;
angle brackets become the look-alikes ‹ ›, so that even a renderer that forgot to escape cannot be handed a tag; lengths,
depths and counts are capped. Renderers still escape: this is the second wall, not the only one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

LENGTH = 500  # characters of one string
DEPTH = 12
ITEMS = 400  # members of one list or mapping

_BRACKETS = str.maketrans({"<": "‹", ">": "›"})


def text(value: object, limit: int = LENGTH) -> str:
    """One safe line of at most ``limit`` characters (an ellipsis is added when it was longer)."""
    raw = value if isinstance(value, str) else str(value)
    if len(raw) <= limit and raw.isprintable():  # nearly always
        return raw.translate(_BRACKETS)
    cut = len(raw) > limit
    safe = "".join(
        c if c.isprintable() else " " if c == "\u3000" else c.encode("unicode_escape", "surrogatepass").decode()
        for c in raw[:limit]
    )
    return safe.translate(_BRACKETS) + ("…" if cut else "")


def plain(value: Any, depth: int = DEPTH) -> Any:
    """A JSON-able value with every string in it (keys too) made safe, capped in depth and size."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bool) or value is None or isinstance(value, (int, float)):
        return value
    if depth <= 0:
        return "…"
    if isinstance(value, Mapping):
        return {text(key, 120): plain(item, depth - 1) for key, item in list(value.items())[:ITEMS]}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [plain(item, depth - 1) for item in list(value)[:ITEMS]]
    return text(repr(value))


def table(value: object) -> Mapping[str, Any]:
    """A stranger's value as a table, empty where it is none."""
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> list[Any]:
    """A stranger's value as a list, empty where it is none."""
    return value if isinstance(value, list) else []


def tables(value: object) -> list[Mapping[str, Any]]:
    """The tables of a stranger's list; none where it is no list."""
    return [item for item in items(value) if isinstance(item, Mapping)]


def joined(parts: Iterable[object]) -> str:
    """The parts that are not empty, each once, on a safe line of at most 200 characters."""
    return text(", ".join(dict.fromkeys(str(part) for part in parts if part)), 200)


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """(dotted name, value) of each single fact in a statement's data; every member of a list has the list's name."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not str(key).startswith("@context"):
                yield from leaves(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item, name)
    elif value not in (None, ""):
        yield name or "value", str(value)
