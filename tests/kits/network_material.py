"""Crops and options by which a network is trained in no time, also as one of several processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from detect.training import network_crops, train_networks
from detect.training.options import NetworkTraining


def checkered(path, sha256, folder, size, mode):
    """Crops without files: fakes carry a fine checkerboard, as a careless decoder leaves one."""
    number = int(path.stem)
    rng = np.random.default_rng(number // 2)
    crops = np.repeat(rng.integers(60, 180, (1, size // 8, size // 8, 3)), 10, 0).repeat(8, 1).repeat(8, 2)
    crops = crops + np.random.default_rng(number).normal(0, 4, (10, size, size, 3))
    if number % 2:
        crops = crops + 25 * (np.indices((size, size)).sum(0) % 2 - 0.5)[None, :, :, None]
    points = size / 2 + size * 0.3 * np.random.default_rng(1).uniform(-1, 1, (10, 68, 2))
    return network_crops.Crops(np.clip(crops, 0, 255).astype(np.uint8), points.astype(np.float32))


def options(index, out, **more):
    base = {
        "backbone": "test_efficientnet", "size": 48, "steps": 6, "pairs": 2, "rate": 3e-3, "validate_every": 3, "save_every": 2,
        "bf16": False, "device": "cpu",
    }  # fmt: skip
    return NetworkTraining(index=(str(index),), out=out, **(base | more))


def one_of_several(index, out: Path) -> None:
    """Train as the process that the environment says it is, and say what was best."""
    network_crops.cached = checkered
    best = train_networks.train(options(index, out, steps=12, pairs=4, patience=1))
    print("best", best.step, best.figure.low)
