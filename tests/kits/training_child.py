"""A training run in a process of its own, for tests that kill it: forked from one that has imported everything, three seconds a start less."""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")


def run(shards: str | Path, folder: str | Path, steps: int, every: int) -> None:
    """Train the pocket preset at half its width and say how it ended."""
    import torch

    from synth.model.config import PRESETS, Config
    from synth.training.train import Options, train

    torch.set_num_threads(1)
    PRESETS["pocket"] = Config("pocket", 64, 8)
    job = Options(
        shards=(str(shards),), preset="pocket", steps=steps, batch=2, shots=2, content="multiscale", precision="fp32",
        log_every=1, checkpoint_every=every, sample_every=10**6,
    )  # fmt: skip
    result = train(job, folder)
    print("ended", result.step, result.interrupted, flush=True)


def ready() -> None:
    """Wait for the process that the others are forked from: what comes after takes the time of a run."""
    CONTEXT.set_forkserver_preload(["synth.training.train", "torch._dynamo", "torch.utils.tensorboard"])
    first = CONTEXT.Process(target=int)
    first.start()
    first.join()


def launch(shards: Path, folder: Path, steps: int, every: int) -> multiprocessing.process.BaseProcess:
    """Begin a run, or go on with it."""
    process = CONTEXT.Process(target=_logged, args=(shards, folder, steps, every))
    process.start()
    return process


def said(folder: Path) -> str:
    """What the last run over this folder said."""
    return _log(folder).read_text()


def _logged(shards: Path, folder: Path, steps: int, every: int) -> None:
    with open(_log(folder), "w") as log, contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        run(shards, folder, steps, every)


def _log(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.log")


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
