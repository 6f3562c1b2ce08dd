"""A training run in a process of its own, by itself or as one of two."""

from __future__ import annotations

from pathlib import Path


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
