"""Audit a tree of media files: a cut run goes on where it was, memory does not grow with the tree, and a file that breaks its reader costs one row.

>>> from gioconda.audit import Audit
>>> summary = Audit("media/", out="audit-out").run()          # doctest: +SKIP
>>> table("audit-out").to_pandas()                            # doctest: +SKIP

``walk`` finds files, ``journal`` keeps rows, ``work`` is what a worker does with one file, ``run`` puts them together,
``tables`` writes what is made at the end. A worker imports none but its own, so the names are looked up on first use.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gioconda.audit.run import Audit
    from gioconda.audit.summary import Summary
    from gioconda.audit.tables import table

__all__ = ["Audit", "Summary", "table"]

_MODULES = {"Audit": "run", "Summary": "summary", "table": "tables"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
