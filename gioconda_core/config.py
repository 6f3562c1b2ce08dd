"""Settings of this computer: where weights, caches and keys lie, and which device networks run on.

A ``GIOCONDA_*`` variable beats the nearest ``gioconda.toml``, which beats the default.

A command's own options are no settings: each is declared on the field of a job (:mod:`gioconda_core.options`).
"""

import contextlib
import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from gioconda_core.errors import UsageError
from gioconda_core.files import read_toml


@dataclass(frozen=True)
class Core:
    """Where things lie on this computer, and the landmarker.

    weights : folder of the weights store. cache : folder of derived results, safe to delete.
    home : folder of keys, trust lists and logs of this user. device : auto, cpu, cuda or cuda:N.
    """

    weights: Path = field(default_factory=lambda: _folder("data") / "weights")
    cache: Path = field(default_factory=lambda: _folder("cache"))
    home: Path = field(default_factory=lambda: _folder("config"))
    landmarker: str = "auto"
    device: str = "auto"


_FOLDERS = ("weights", "cache", "home")


def _folder(kind: str) -> Path:
    """The platform's folder of a kind (data, cache, config) for this user and this program."""
    import platformdirs

    found: Path = getattr(platformdirs, f"user_{kind}_path")("gioconda", appauthor=False)
    return found


@dataclass(frozen=True)
class Resolved:
    """The settings, and for each where its value came from: the name of a variable, the path of a ``gioconda.toml``, or ``default``."""

    value: Core
    origins: Mapping[str, str]


def nearest_toml() -> Path | None:
    """The nearest ``gioconda.toml`` from the working folder upwards."""
    folder = Path.cwd().resolve()
    found = (place / "gioconda.toml" for place in (folder, *folder.parents))
    return next((path for path in found if path.is_file()), None)


def resolve() -> Resolved:
    """The settings: from the environment (``GIOCONDA_DEVICE``), the table ``[core]`` of the nearest ``gioconda.toml``, and defaults.

    Raises
    ------
    UsageError
        The file is no TOML, or holds a setting that is unknown or no text; the error names it.
    """
    path = nearest_toml()
    table = read_toml(path, "mend or remove it").get("core", {}) if path else {}
    if not isinstance(table, dict):
        raise UsageError("[core] is not a table", where=str(path))
    values: dict[str, str] = {}
    origins = dict.fromkeys(Core.__dataclass_fields__, "default")
    for name, value in table.items():
        if name not in origins:
            raise UsageError(f"unknown setting {name!r} in [core]", str(path), f"known: {', '.join(origins)}")
        if not isinstance(value, str):
            raise UsageError(f"{name}: should be a text", where=str(path), hint=f"got {value!r}")
        values[name], origins[name] = value, str(path)
    for name in origins:
        variable = f"GIOCONDA_{name.upper()}"
        if variable in os.environ:
            values[name], origins[name] = os.environ[variable], variable
    return Resolved(Core(**{k: Path(v) if k in _FOLDERS else v for k, v in values.items()}), origins)  # type: ignore[arg-type]


def core() -> Core:
    """The settings' values. A relative folder is one of the folder in which it was first asked for: whoever asks later, from a
    thread or after the working folder has changed, is given the same."""
    found = resolve().value
    weights, cache, home = map(_absolute, (found.weights, found.cache, found.home))
    return replace(found, weights=weights, cache=cache, home=home)


@functools.cache
def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def home() -> Path:
    """This user's folder for keys, trust lists and logs; made on first use, readable by the user alone.

    Where it cannot be made there is nothing in it to be read, and writing to it says why.
    """
    folder = core().home
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
