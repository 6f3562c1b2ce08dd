"""The checks of an installation that ``gioconda doctor`` runs, one failing without stopping the others, and the sentences of ``gioconda explain``."""

import json
import sys
from collections.abc import Callable, Iterator
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


def _python() -> Check:
    return Check("python", "ok", sys.version.split()[0])


def _packages() -> Check:
    names = ("torch", "av", "c2pa-python", "opencv-python", "scikit-learn", "face-alignment", "typer")
    versions = installed(*names)
    if missing := [name for name in names if name not in versions]:
        return Check("packages", "wrong", f"{missing[0]} is not installed")
    if (sdk := versions["c2pa-python"]) != SDK:
        return Check("packages", "wrong", f"c2pa-python {sdk} is installed, {SDK} is needed: its trust rules differ")
    return Check("packages", "ok", ", ".join(f"{name} {version}" for name, version in versions.items()))


def _names() -> Check:
    ours = Path(__file__).resolve().parent.parent
    for name in GENERIC:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            return Check("names", "wrong", f"package {name!r} cannot be found; reinstall gioconda")
        if Path(spec.origin).resolve().parent.parent != ours:
            return Check("names", "wrong", f"another package shadows {name!r}: {spec.origin}")
    # Two distributions that put a package of one name into the same folder overwrite each other's files without a word.
    owners = metadata.packages_distributions()
    for name in GENERIC:
        others = sorted({owner for owner in owners.get(name, ()) if owner.lower() != "gioconda"})
        if others:
            return Check(
                "names", "wrong", f"{others[0]} also installs a package {name!r}; keep it in an environment of its own"
            )
    return Check("names", "ok", "synth, detect, provenance and benchmarks are ours")


def _device() -> Check:
    import torch

    if torch.cuda.is_available():
        return Check("device", "ok", f"{torch.cuda.get_device_name(0)}, CUDA {torch.version.cuda}")
    return Check("device", "note", "no GPU: everything runs, training and generation slowly")


def _landmarker() -> Check:
    from gioconda_core.faces.landmarks import landmarker

    found = landmarker("auto")
    if load := getattr(found, "ready", None):
        load()
    licence = " (its predictor is for non-commercial use)" if found.name == "dlib" else ""
    return Check("landmarker", "ok", f"{found.name} {found.version}{licence}")


def _weights() -> Check:
    from gioconda_core.weights import REGISTRY, store

    here = store()
    stored = list(here.names())
    for name in stored:
        here.path(name)
    missing = len(REGISTRY) - len(stored)
    return Check(
        "weights store",
        "ok" if stored else "note",
        f"{len(stored)} stored and unchanged, {missing} not fetched; {here.folder}",
    )


def _generator() -> Check:
    from synth.model.networks import load_checkpoint, shipped

    weights = shipped()
    model = load_checkpoint(weights)
    card = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    if model.sha256 != card["sha256"]:
        return Check("generator", "wrong", f"{weights} is not the model its card describes; reinstall gioconda")
    return Check("generator", "ok", f"shipped model {model.config.name}, {model.config.size} px, {card['steps']} steps")


def _golden() -> Check:
    from detect.reading.golden import check

    results = check()
    failed = [f"{name}: {detail}" for name, ok, detail in results if not ok]
    if failed:
        return Check("detectors", "wrong", "; ".join(failed))
    return Check("detectors", "ok", f"{counted(len(results), 'shipped detector')}: golden scores as pinned")


def _plugins() -> Check:
    from gioconda_core.plugins import GROUPS, available, load

    broken = []
    count = 0
    for group in GROUPS:
        for plugin in available(group):
            count += 1
            try:
                load(group, plugin.name)
            except PluginError as error:
                broken.append(str(error))
    if broken:
        return Check("plugins", "wrong", "; ".join(broken))
    return Check("plugins", "ok", f"{count} load")


def _key() -> Check:
    folder = core().home
    if not folder.exists():
        return Check("keys", "note", f"no development key yet; one is made on first signing, under {folder}")
    for path in folder.rglob("*.key.pem"):
        if path.stat().st_mode & 0o077:
            return Check("keys", "wrong", f"{path} can be read by others; chmod 600 it")
    return Check("keys", "ok", str(folder))


def checks() -> Iterator[Check]:
    """Run every check; one that fails unexpectedly is itself a ``wrong``."""
    todo: list[tuple[str, Callable[[], Check]]] = [
        ("python", _python), ("packages", _packages), ("names", _names), ("device", _device), ("landmarker", _landmarker),
        ("weights store", _weights), ("plugins", _plugins), ("generator", _generator), ("detectors", _golden), ("keys", _key),
    ]  # fmt: skip
    for name, check in todo:
        try:
            yield check()
        except Exception as error:  # a broken part is a finding, not a crash
            yield Check(name, "wrong", f"{type(error).__name__}: {error}")
