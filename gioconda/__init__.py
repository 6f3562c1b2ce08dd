"""Checks clips of talking people, from Python; ``check`` is where to begin.

Everything heavy is imported on first use, so that ``import gioconda`` stays instant.

>>> import gioconda
>>> report = gioconda.check("clip.mp4")        # doctest: +SKIP
>>> print(report.verdict.level)                # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

from gioconda_core.version import __version__

__all__ = ["Clip", "Report", "__version__", "audit", "check", "report"]

if TYPE_CHECKING:
    from gioconda import audit, report
    from gioconda.api import check
    from gioconda_core.media.clip import Clip
    from gioconda_core.types import Report

_LAZY = {
    "Clip": ("gioconda_core.media.clip", "Clip"),
    "Report": ("gioconda_core.types", "Report"),
    "check": ("gioconda.api", "check"),
}


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in ("audit", "report"):
        return import_module(f"gioconda.{name}")
    if name in _LAZY:
        module, attribute = _LAZY[name]
        return getattr(import_module(module), attribute)
    raise AttributeError(f"module 'gioconda' has no attribute {name!r}")
