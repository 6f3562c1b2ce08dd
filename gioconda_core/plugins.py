"""Plugins by entry point: listed without being imported, loaded one at a time, failures contained to their own name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gioconda_core.errors import PluginError, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUPS = (
    "gioconda.detectors",
    "gioconda.generators",
    "gioconda.families",
    "gioconda.datasets",
    "gioconda.signers",
    "gioconda.landmarkers",
)


@dataclass(frozen=True)
class Plugin:
    """A plugin as installed metadata describes it; nothing has been imported."""

    group: str
    name: str
    target: str
    distribution: str
    version: str


def _points(group: str) -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points

    if group not in GROUPS:
        raise UsageError(f"no plugin group {group!r}", hint=f"one of {', '.join(GROUPS)}")
    points: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        # The first one found wins, ours before others, so that a plugin cannot replace a built-in by taking its name.
        ours = point.dist is not None and point.dist.name == "gioconda"
        if point.name not in points or ours:
            points[point.name] = point
    return points


def available(group: str) -> list[Plugin]:
    """Plugins of a group by name, without importing any of them."""
    found = []
    for name, point in sorted(_points(group).items()):
        dist = point.dist
        found.append(Plugin(group, name, point.value, dist.name if dist else "?", dist.version if dist else "?"))
    return found


def names(group: str) -> tuple[str, ...]:
    """Names of a group's plugins, without importing any of them."""
    return tuple(sorted(_points(group)))


def load(group: str, name: str) -> Any:
    """Import one plugin's object.

    Raises
    ------
    UsageError
        No plugin of that name is installed.
    PluginError
        It is installed, but importing it failed: the message names it and says why.
    """
    points = _points(group)
    if name not in points:
        known = ", ".join(sorted(points)) or "none"
        raise UsageError(f"no {group.split('.')[-1][:-1]} named {name!r}", hint=f"installed: {known}")
    try:
        return points[name].load()
    except Exception as error:  # a broken plugin harms only its own name
        raise PluginError(
            f"could not be loaded: {type(error).__name__}: {error}",
            where=f"{group}:{name}",
            hint=f"it comes from {points[name].value}",
        ) from error
