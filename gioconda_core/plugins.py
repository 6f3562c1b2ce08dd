"""Plugins by entry point: listed without being imported, loaded one at a time, failures contained to their own name."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from gioconda_core.errors import GiocondaError, PluginError, UsageError

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

OURS = "gioconda"  # the distribution
_KINDS = ("detectors", "generators", "families", "datasets", "signers", "landmarkers")
GROUPS = tuple(f"gioconda.{kind}" for kind in _KINDS)


@dataclass(frozen=True)
class Plugin:
    """A plugin as installed metadata describes it; nothing has been imported."""

    group: str
    name: str
    target: str
    distribution: str
    version: str


def _found(group: str) -> "dict[str, tuple[EntryPoint, Plugin]]":
    if group not in GROUPS:
        raise UsageError(f"no plugin group {group!r}", hint=f"one of {', '.join(GROUPS)}")
    return _installed(tuple(sys.path))[group]


@lru_cache(maxsize=2)
def _installed(path: tuple[str, ...]) -> "dict[str, dict[str, tuple[EntryPoint, Plugin]]]":
    """By group and name, what the distributions on this path offer; read once, since that is milliseconds for hundreds of them."""
    from importlib.metadata import entry_points

    everything = entry_points()
    found: dict[str, dict[str, tuple[EntryPoint, Plugin]]] = {group: {} for group in GROUPS}
    for group, known in found.items():
        for point in everything.select(group=group):
            by, version = _of(point.dist)
            # The first one found wins, ours before others, so that a plugin cannot replace a built-in by taking its name.
            if point.name not in known or by == OURS:
                known[point.name] = point, Plugin(group, point.name, point.value, by, version)
    return found


@cache
def _of(dist: "Distribution | None") -> tuple[str, str]:
    """A distribution's name and version, which are parsed anew whenever it is asked for them."""
    return (dist.name, dist.version) if dist else ("?", "?")


def available(group: str) -> list[Plugin]:
    """Plugins of a group by name, without importing any of them."""
    return [plugin for _, (_, plugin) in sorted(_found(group).items())]


def names(group: str) -> tuple[str, ...]:
    """Names of a group's plugins, without importing any of them."""
    return tuple(sorted(_found(group)))


@contextmanager
def failing(where: str, what: str, hint: str = "") -> Iterator[None]:
    """Whatever somebody's plugin raises inside becomes a PluginError of one line: its own name is harmed, and nothing else.

    where : the plugin. what : what it was asked to do, as in ``could not be loaded``. Our own errors pass as they are.
    """
    try:
        yield
    except GiocondaError:
        raise
    except Exception as error:
        raise PluginError(f"{what}: {type(error).__name__}: {error}", where, hint) from error


def load(group: str, name: str) -> Any:
    """Import one plugin's object.

    Raises
    ------
    UsageError
        No plugin of that name is installed.
    PluginError
        It is installed, but importing it failed: the message names it and says why.
    """
    points = _found(group)
    if name not in points:
        known = ", ".join(sorted(points)) or "none"
        raise UsageError(f"no {group.split('.')[-1][:-1]} named {name!r}", hint=f"installed: {known}")
    point, plugin = points[name]
    if plugin.distribution == OURS:  # what fails is this installation, and nobody's plugin
        return point.load()
    with failing(f"{group}:{name}", "could not be loaded", f"it comes from {plugin.target}"):
        return point.load()
