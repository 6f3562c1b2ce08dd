"""Finds and loads detectors by name: built-in, installed as a plugin, or named with what they need.

``contrast`` · ``cnn:runs/mine`` (a run folder) · ``onnx:model.onnx`` · ``http:https://…`` or ``http:vendor.toml`` ·
``command:./judge`` · ``scores:theirs.csv``. What follows the colon becomes the option ``target``; ``theirs=http:https://…`` gives a name of one's own, so that two services can be told
apart. A plugin that is not ours runs in a process of its own.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gioconda_core import plugins, weights
from gioconda_core.errors import PluginError, UsageError

if TYPE_CHECKING:
    from detect.base import Detector

# One folder a shipped detector: model.safetensors, card, calibration, golden.
WEIGHTS = Path(__file__).parent / "weights"

# What follows the colon of those that are nothing without it.
TARGETS = {
    "cnn": "RUN",
    "vit-ln": "RUN",
    "onnx": "MODEL.onnx",
    "http": "https://…",
    "command": "./JUDGE",
    "scores": "THEIRS.csv",
}

_GROUP = "gioconda.detectors"
PUBLISHED = ("gend-clip-l14", "gend-pe-l")  # others' detectors that ``models pull`` can fetch

_OWN_NAME = re.compile(r"([A-Za-z0-9][\w.-]*)=")  # no colon before the equals sign: an address may hold one after it


def shipped() -> list[str]:
    """Names of the detectors whose weights come with the package."""
    return sorted(path.parent.name for path in WEIGHTS.glob("*/card.json"))


def default() -> list[str]:
    """Detectors that a clip is checked with unless others are named: those shipped, then published ones whose weights were pulled."""
    return [*shipped(), *(f"vit-ln:{name}" for name in PUBLISHED if weights.store().has(name))]


def names() -> list[str]:
    """Built-in detectors and those of installed plugins; nothing is imported."""
    return list(plugins.names(_GROUP))


def built_in() -> set[str]:
    """The detectors that come with this package."""
    return {plugin.name for plugin in plugins.available(_GROUP) if plugin.distribution == plugins.OURS}


def parse(spec: str) -> tuple[str | None, str, str | None]:
    """``ID=NAME:TARGET`` → (id or None, name, target or None)."""
    own = _OWN_NAME.match(spec)
    name, colon, target = spec[own.end() if own else 0 :].partition(":")
    return own[1] if own else None, name, target if colon else None


def specs(parts: Iterable[str]) -> list[str]:
    """Detectors named in a list that was split at its commas, put together again where a comma belongs to an address or a command.
    UsageError where one is not known.

    A comma separates two detectors where a detector's name follows it; ``http:https://a.example/?models=face,voice`` is one.
    """
    known, found = set(names()), list[str]()
    for part in parts:
        _, base, _ = parse(part.strip())
        if found and base not in known and parse(found[-1])[2] is not None:
            found[-1] += f",{part}"
        elif part.strip():
            found.append(part.strip())
    for spec in found:
        _known(parse(spec)[1])
    return found


def _known(base: str) -> None:
    """Raise UsageError for a name that no detector has."""
    if base not in names():
        raise UsageError(f"no detector named {base!r}", hint=f"known: {', '.join(names())}")


def load(name: str, **options: Any) -> "Detector":
    """A detector ready to read.

    Parameters
    ----------
    name : str
        ``NAME``, ``NAME:TARGET`` or ``ID=NAME:TARGET`` (see the module's first lines).
    options
        Passed to the detector's constructor. ``isolate`` (bool): run a plugin in a process of its own;
        default True for plugins that are not built in, which may hang or die.

    Raises
    ------
    UsageError, PluginError, WeightsError
    """
    own, base, target = parse(name)
    if target is not None:
        options["target"] = target
    _known(base)
    isolate = options.pop("isolate", base not in built_in())
    if isolate:
        from detect.external.plugin import IsolatedDetector

        isolated = IsolatedDetector(base, options)
        isolated.id = own or isolated.id
        return isolated
    if base in TARGETS and "target" not in options:
        raise UsageError("is named with what it reads from", where=name, hint=f"{base}:{TARGETS[base]}")
    factory = plugins.load(_GROUP, base)
    with plugins.failing(f"detector {name}", "could not be made"):
        detector = factory(**options)
    from detect.base import Detector

    if not isinstance(detector, Detector):
        raise PluginError("lacks id, version, weights_sha256, card or read", where=f"detector {name}")
    if own:
        detector.id = own
    return detector
