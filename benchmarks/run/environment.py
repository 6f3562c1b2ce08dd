"""What can change a figure and is not in the suite: versions and the kind of machine; nothing that names a person or a host."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version


def environment() -> dict[str, str]:
    """Versions that can change a figure; nothing that names a person or a machine."""
    found = {"python": platform.python_version(), "system": platform.system()}
    for name in ("gioconda", "numpy", "scikit-learn", "torch", "av"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
