"""Keeps a training run's folder: options, statistics, samples, checkpoints. The folder is the truth; a run resumes from it.

``options.json`` · ``stats.jsonl`` · ``samples/step-*.png`` · ``checkpoint/step-*/`` · ``w.bin`` · ``model.safetensors``
· ``events/`` (TensorBoard). A checkpoint counts once its ``state.json``, written last, is there. W's file is brought
up to date after that from the rows saved in the checkpoint; doing so again on resume changes nothing.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gioconda_core.errors import ExitCode, GiocondaError, UsageError
from gioconda_core.files import append_row, atomic_path, clear_unfinished, no_room, write_json
from gioconda_core.types import Claim
from gioconda_core.version import __version__
from synth.training.identity_table import Rows

Nets = Mapping[str, nn.Module]
Optimisers = Mapping[str, torch.optim.Optimizer]


class DiskFullError(GiocondaError):
    """No room for a checkpoint. What was there before is whole."""

    exit_code = ExitCode.INCOMPLETE


@contextlib.contextmanager
def room(where: Path) -> Iterator[None]:
    """Say it in one sentence when the disk is full while ``where`` is written."""
    try:
        yield
    except Exception as error:
        if not no_room(error):
            raise
        what = "the disk is full; the last whole checkpoint is kept"
        raise DiskFullError(what, str(where), "make room and run the same command again") from error


class RunFolder:
    """Reads and writes everything a run leaves on disk."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)

    def start(self, options: Mapping[str, Any], fixed: tuple[str, ...]) -> None:
        """Write the options of a new run, or check that a resumed one has the same ``fixed`` ones."""
        file = self.path / "options.json"
        if file.exists():
            known = json.loads(file.read_text(encoding="utf-8"))
            for name in fixed:
                if known.get(name) != json.loads(json.dumps(options[name])):
                    what = f"was started with {name} = {known.get(name)!r}, not {options[name]!r}"
                    raise UsageError(what, str(self.path), "use another folder for another run")
            clear_unfinished(self.path)
        with room(self.path):
            write_json(file, dict(options))

    def log(self, row: dict[str, Any]) -> None:
        """One line of stats.jsonl."""
        with room(self.path):
            append_row(self.path / "stats.jsonl", row)

    def latest(self) -> Path | None:
        """The newest whole checkpoint."""
        whole = sorted(p.parent for p in (self.path / "checkpoint").glob("step-*/state.json"))
        return whole[-1] if whole else None

    def save(self, nets: Nets, optimisers: Optimisers, rows: Rows, state: Mapping[str, Any]) -> Path:
        """Write a checkpoint whole. state : its ``step`` among it."""
        folder = self.path / "checkpoint" / f"step-{state['step']:09d}"
        with room(folder):
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
            for name, net in nets.items():
                _save(folder / f"{name}.safetensors", net.state_dict())
            for name, optimiser in optimisers.items():
                _save(folder / f"{name}.adam.safetensors", _flatten(optimiser))
            own = {name: torch.from_numpy(array) for name, array in zip(("rows", "contents"), rows, strict=True)}
            _save(folder / "w-rows.safetensors", own)
            write_json(folder / "state.json", dict(state))
        return folder

    def prune(self, keep: Path) -> None:
        """Remove every checkpoint but one."""
        for folder in (self.path / "checkpoint").glob("step-*"):
            if folder != keep:
                shutil.rmtree(folder, ignore_errors=True)

    def load(self, folder: Path, nets: Nets, optimisers: Optimisers) -> tuple[dict[str, Any], Rows]:
        """Put a checkpoint back; returns its state and its rows of W."""
        for name, net in nets.items():
            net.load_state_dict(load_file(folder / f"{name}.safetensors"))
        for name, optimiser in optimisers.items():
            _unflatten(optimiser, load_file(folder / f"{name}.adam.safetensors"))
        table = load_file(folder / "w-rows.safetensors")
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        return state, (table["rows"].numpy(), table["contents"].numpy())

    def sample(self, step: int, sheet: NDArray[np.uint8]) -> Path:
        """Write a contact sheet, signed: half of its faces are generated."""
        from provenance.signing import sign

        target = self.path / "samples" / f"step-{step:09d}.png"
        claim = Claim(target.name, "training", "fake", "gioconda-few-shot", __version__)
        with room(target):
            return sign.write_picture(sheet, target, claim, force=True)


def _save(target: Path, tensors: Mapping[str, Tensor]) -> None:
    with atomic_path(target) as path:
        save_file({name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}, path)


def _flatten(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{index}.{name}": torch.as_tensor(value)
        for index, entry in optimiser.state_dict()["state"].items()
        for name, value in entry.items()
    }


def _unflatten(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    whole = optimiser.state_dict()
    whole["state"] = state
    optimiser.load_state_dict(whole)
