"""Configuration of one job: flags beat ``GIOCONDA_*`` variables beat the nearest ``gioconda.toml`` beat defaults.

A job is a dataclass. ``resolve`` fills it, checks types with pydantic, refuses keys it does not know, and remembers
where each value came from. ``save`` writes the merged result before work starts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, TypeVar, get_type_hints

from gioconda_core.errors import UsageError
from gioconda_core.files import read_toml, write_json

T = TypeVar("T")

# Sections of gioconda.toml by name; loaded only when asked for, since a job's module may be heavy.
SECTIONS: dict[str, str] = {"core": "gioconda_core.config:Core"}


@dataclass(frozen=True)
class Core:
    """Where things lie on this computer, and the landmarker.

    weights : folder of the weights store. cache : folder of derived results, safe to delete.
    home : folder of keys, trust lists and logs of this user. device : auto, cpu, cuda or cuda:N.
    """

    weights: Path = dataclasses.field(default_factory=lambda: _dirs("data") / "weights")
    cache: Path = dataclasses.field(default_factory=lambda: _dirs("cache"))
    home: Path = dataclasses.field(default_factory=lambda: _dirs("config"))
    landmarker: str = "auto"
    device: str = "auto"


@dataclass(frozen=True)
class Resolved(Generic[T]):
    """A filled dataclass and, for each field, where its value came from."""

    value: T
    origins: Mapping[str, str]


def _dirs(kind: str) -> Path:
    import platformdirs

    find = {
        "data": platformdirs.user_data_path,
        "cache": platformdirs.user_cache_path,
        "config": platformdirs.user_config_path,
    }[kind]
    return find("gioconda", appauthor=False)


def nearest_toml(start: Path | None = None) -> Path | None:
    """The nearest ``gioconda.toml`` from ``start`` (default: the working folder) upwards."""
    folder = (start or Path.cwd()).resolve()
    for candidate in (folder, *folder.parents):
        path = candidate / "gioconda.toml"
        if path.is_file():
            return path
    return None


def _toml_section(section: str) -> tuple[dict[str, Any], str]:
    path = nearest_toml()
    if path is None:
        return {}, ""
    document = read_toml(path, "mend or remove it")
    for part in section.split("."):
        document = document.get(part, {})
        if not isinstance(document, dict):
            raise UsageError(f"[{section}] is not a table", where=str(path))
    return {k: v for k, v in document.items() if not isinstance(v, dict)}, str(path)


@functools.cache
def _kinds(job: type[Any]) -> dict[str, Any]:
    return get_type_hints(job)


def resolve(job: type[T], section: str, flags: Mapping[str, Any] | None = None) -> Resolved[T]:
    """Fill ``job`` from flags, environment, file and defaults, in that order of precedence.

    Parameters
    ----------
    job : a dataclass type.
    section : its table in ``gioconda.toml``, and with dots as underscores its prefix in the environment:
        section ``synth.training.train``, field ``lr`` → ``GIOCONDA_SYNTH_TRAIN_LR``; section ``core`` has no prefix.
    flags : values given on the command line; None means not given.

    Raises
    ------
    UsageError
        A key the job does not know, or a value of the wrong type; it names the origin.
    """
    names = [field.name for field in dataclasses.fields(job)]  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    origins = dict.fromkeys(names, "default")
    table, path = _toml_section(section)
    for key, value in table.items():
        if key not in origins:
            raise UsageError(f"unknown setting {key!r} in [{section}]", where=path, hint=f"known: {', '.join(names)}")
        values[key], origins[key] = value, path
    prefix = "GIOCONDA_" if section == "core" else f"GIOCONDA_{section.replace('.', '_').upper()}_"
    for name in names:
        variable = prefix + name.upper()
        if variable in os.environ:
            values[name], origins[name] = os.environ[variable], variable
    for name, value in (flags or {}).items():
        if name not in origins:
            raise UsageError(f"unknown setting {name!r}", where=section, hint=f"known: {', '.join(names)}")
        if value is not None:
            values[name], origins[name] = value, "flag"
    kinds = _kinds(job)  # type: ignore[arg-type]  # mypy takes a class for unhashable
    if all(isinstance(value, str) and kinds[name] in (str, Path) for name, value in values.items()):  # nothing to check
        return Resolved(job(**{name: kinds[name](value) for name, value in values.items()}), origins)
    from pydantic import TypeAdapter, ValidationError  # a third of a second, which most commands are spared

    try:
        return Resolved(TypeAdapter(job).validate_python(values), origins)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else section
        raise UsageError(
            f"{name}: {first['msg'].lower()}", where=origins.get(name, section), hint=f"got {first['input']!r}"
        ) from error


def core() -> Core:
    """The resolved ``[core]`` section. A relative folder is one of the folder in which it was first asked for: whoever asks later, from a
    thread or after the working folder has changed, is given the same."""
    found = resolve(Core, "core").value
    weights, cache, home = map(_absolute, (found.weights, found.cache, found.home))
    return dataclasses.replace(found, weights=weights, cache=cache, home=home)


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


def section(name: str) -> type[Any]:
    """The dataclass behind a section of ``gioconda.toml``."""
    if name not in SECTIONS:
        raise UsageError(f"no section {name!r}", hint=f"known: {', '.join(SECTIONS)}")
    module, _, attribute = SECTIONS[name].partition(":")
    found: type[Any] = getattr(import_module(module), attribute)
    return found


def as_json(job: Any) -> dict[str, Any]:
    """A job's dataclass as plain JSON values."""
    from pydantic_core import to_jsonable_python

    plain: dict[str, Any] = to_jsonable_python(dataclasses.asdict(job))
    return plain


def save(job: Any, target: Path) -> None:
    """Write the merged configuration atomically, before work starts."""
    write_json(target, as_json(job))
