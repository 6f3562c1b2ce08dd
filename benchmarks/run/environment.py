"""Notes what can change a figure and is not in the suite: versions and the kind of machine; nothing that names a person or a host."""

import platform

from gioconda_core.version import installed


def environment() -> dict[str, str]:
    """Versions that can change a figure; nothing that names a person or a machine."""
    found = {"python": platform.python_version(), "system": platform.system()}
    return found | installed("gioconda", "numpy", "scikit-learn", "torch", "av")
