"""Gioconda: animate, detect, attest.

The front door. Everything heavy is imported on first use, so that ``import gioconda`` stays instant.

>>> import gioconda
>>> report = gioconda.check("clip.mp4")        # doctest: +SKIP
>>> print(report.verdict.level)                # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Clip", "Report", "__version__", "check"]

if TYPE_CHECKING:
    from gioconda.core.media import Clip as Clip
    from gioconda.core.types import Report as Report
    from gioconda.examine import check as check

_LAZY = {
    "Clip": ("gioconda.core.media", "Clip"),
    "Report": ("gioconda.core.types", "Report"),
    "check": ("gioconda.examine", "check"),
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        module, attribute = _LAZY[name]
        return getattr(import_module(module), attribute)
    raise AttributeError(f"module 'gioconda' has no attribute {name!r}")
