"""The checks of an installation that ``gioconda doctor`` runs, one failing without stopping the others, and the sentences of ``gioconda explain``."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from gioconda_core.config import core
from gioconda_core.errors import PluginError
from gioconda_core.types import Level
from gioconda_core.version import installed
from gioconda_core.words import counted

LEVELS = {
    Level.NOT_ASSESSED: "not-assessed: nothing could be said; the report gives the reason and the threshold that was missed",
    Level.NO_SKILL: "no-skill: the detectors that read it told fakes by methods they had not seen no better than a coin or a trivial cue, "
    "on the sealed set their cards name; their scores set no level",
    Level.NO_STRONG_SIGNAL: "no-strong-signal: no strong signal found; this does not show the clip is authentic",
    Level.SIGNAL: "signal: a signal was found at a score that more than a few real clips of the calibration set also reach",
    Level.STRONG_SIGNAL: "strong-signal: a signal was found at a score that few real clips of the calibration set reach; "
    "it is not proof, and the report states the false-alarm rate",
}

SDK = "0.38.1"  # of c2pa-python
GENERIC = ("synth", "detect", "provenance", "benchmarks")  # our top-level names that another package might also use


@dataclass(frozen=True)
class Check:
    """What one check found. state : ``ok``, ``note`` (something to know) or ``wrong`` (something to mend)."""

    name: str
    state: str
    detail: str


Found = tuple[str, str]  # a check's state and its detail


def _packages() -> Found:
    names = ("torch", "av", "c2pa-python", "opencv-python", "scikit-learn", "face-alignment", "typer")
    versions = installed(*names)
    if missing := [name for name in names if name not in versions]:
        return "wrong", f"{missing[0]} is not installed"
    if (sdk := versions["c2pa-python"]) != SDK:
        return "wrong", f"c2pa-python {sdk} is installed, {SDK} is needed: its trust rules differ"
    return "ok", ", ".join(f"{name} {version}" for name, version in versions.items())


def _names() -> Found:
    ours = Path(__file__).resolve().parent.parent
    for name in GENERIC:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            return "wrong", f"package {name!r} cannot be found; reinstall gioconda"
        if Path(spec.origin).resolve().parent.parent != ours:
            return "wrong", f"another package shadows {name!r}: {spec.origin}"
    # Two distributions that put a package of one name into the same folder overwrite each other's files without a word.
    owners = metadata.packages_distributions()
    for name in GENERIC:
        others = sorted({owner for owner in owners.get(name, ()) if owner.lower() != "gioconda"})
        if others:
            return "wrong", f"{others[0]} also installs a package {name!r}; keep it in an environment of its own"
    return "ok", "synth, detect, provenance and benchmarks are ours"


def _device() -> Found:
    import torch

    if torch.cuda.is_available():
        return "ok", f"{torch.cuda.get_device_name(0)}, CUDA {torch.version.cuda}"
    return "note", "no GPU: everything runs, training and generation slowly"


def _landmarker() -> Found:
    from gioconda_core.faces.landmarks import landmarker

    found = landmarker("auto")
    if load := getattr(found, "ready", None):
        load()
    licence = " (its predictor is for non-commercial use)" if found.name == "dlib" else ""
    return "ok", f"{found.name} {found.version}{licence}"


def _weights_store() -> Found:
    from gioconda_core.weights import REGISTRY, store

    here = store()
    stored = list(here.names())
    for name in stored:
        here.path(name)
    missing = len(REGISTRY) - len(stored)
    detail = f"{len(stored)} stored and unchanged, {missing} not fetched; {here.folder}"
    return "ok" if stored else "note", detail


def _generator() -> Found:
    from synth.model.networks import load_checkpoint, shipped

    weights = shipped()
    model = load_checkpoint(weights)
    card = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    if model.sha256 != card["sha256"]:
        return "wrong", f"{weights} is not the model its card describes; reinstall gioconda"
    return "ok", f"shipped model {model.config.name}, {model.config.size} px, {card['steps']} steps"


def _detectors() -> Found:
    from detect.reading.golden import check

    results = check()
    failed = [f"{name}: {detail}" for name, ok, detail in results if not ok]
    if failed:
        return "wrong", "; ".join(failed)
    return "ok", f"{counted(len(results), 'shipped detector')}: golden scores as pinned"


def _plugins() -> Found:
    from gioconda_core.plugins import GROUPS, available, load

    broken = []
    found = [(group, plugin.name) for group in GROUPS for plugin in available(group)]
    for group, name in found:
        try:
            load(group, name)
        except PluginError as error:
            broken.append(str(error))
    if broken:
        return "wrong", "; ".join(broken)
    return "ok", f"{len(found)} load"


def _keys() -> Found:
    folder = core().home
    if not folder.exists():
        return "note", f"no development key yet; one is made on first signing, under {folder}"
    for path in folder.rglob("*.key.pem"):
        if path.stat().st_mode & 0o077:
            return "wrong", f"{path} can be read by others; chmod 600 it"
    return "ok", str(folder)


def checks() -> Iterator[Check]:
    """Run every check; one that fails unexpectedly is itself a ``wrong``."""
    todo = {
        "python": lambda: ("ok", sys.version.split()[0]), "packages": _packages, "names": _names, "device": _device, "landmarker": _landmarker,
        "weights store": _weights_store, "plugins": _plugins, "generator": _generator, "detectors": _detectors, "keys": _keys,
    }  # fmt: skip
    for name, check in todo.items():
        try:
            yield Check(name, *check())
        except Exception as error:  # a broken part is a finding, not a crash
            yield Check(name, "wrong", f"{type(error).__name__}: {error}")
