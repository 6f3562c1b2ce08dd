"""Keeps W, one row for each training video, in a host memory map with its own row-wise Adam; never on the GPU as a whole.

145,569 × 512 rows with Adam's v are 596 MB; a dense tensor would move all of it every step. With
β1 = 0 Adam needs no m, and each row carries its own v and step count, so a person seen rarely is not dragged along.

The map is private (copy-on-write): between checkpoints changed rows live in memory, and a killed run finds the file
as the last checkpoint left it. ``dirty`` hands out what changed; ``fold_in`` writes such rows into the file.
"""

import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gioconda_core.errors import UsageError
from gioconda_core.files import atomic_path

BETA2, EPS = 0.999, 1e-5  # of Adam
Rows = tuple[NDArray[np.int64], NDArray[np.float32]]  # numbers (n,) of rows of W, and their contents (n, 2·dim+1)


class WTable:
    """Rows of W with v and step counts. Layout of a row: dim float32 of W, dim float32 of v, one float32 count.

    Parameters
    ----------
    path : file of the map; made (rows drawn N(0, 0.02²) from the seed) if it is not there.
    rows, dim : its size. seed : of the first values.
    """

    def __init__(self, path: str | os.PathLike[str], rows: int, dim: int, *, seed: int = 0) -> None:
        self.path, self.rows, self.dim = Path(path), rows, dim
        width = 2 * dim + 1
        if not self.path.exists():
            rng = np.random.default_rng([seed, 3])
            with atomic_path(self.path) as temporary, open(temporary, "wb") as file:
                for start in range(0, rows, 4096):
                    block = np.zeros((min(4096, rows - start), width), np.float32)
                    block[:, :dim] = rng.standard_normal((len(block), dim), np.float32) * 0.02
                    file.write(block.tobytes())
        found = self.path.stat().st_size
        if found != rows * width * 4:
            hint = "the shards or the preset changed: use a new run folder"
            raise UsageError(f"holds {found // (width * 4)} rows of W, not {rows}", str(self.path), hint)
        self._changed: set[int] = set()
        self.reload()

    def gather(self, rows: NDArray[np.int64]) -> Tensor:
        """W_i of B rows: float32 (B, dim), a copy."""
        return torch.from_numpy(np.array(self._map[rows, : self.dim]))

    def update(self, rows: NDArray[np.int64], gradient: Tensor, *, lr: float) -> None:
        """One Adam step with β1 = 0 on these rows alone; gradients of a row named twice are added. gradient : (B, dim)."""
        unique, where = np.unique(rows, return_inverse=True)
        total = np.zeros((len(unique), self.dim), np.float32)
        np.add.at(total, where, gradient.detach().float().cpu().numpy())
        block = np.array(self._map[unique])
        w, v, count = block[:, : self.dim], block[:, self.dim : -1], block[:, -1:]
        count += 1
        v *= BETA2
        v += (1 - BETA2) * total * total
        w -= lr * total / (np.sqrt(v / (1 - BETA2**count)) + EPS)
        self._map[unique] = block
        self._changed.update(int(row) for row in unique)

    def dirty(self) -> Rows:
        """Rows changed since the last fold."""
        rows = np.array(sorted(self._changed), np.int64)
        return rows, np.array(self._map[rows])

    def fold_in(self, rows: Rows) -> None:
        """Write rows into the file itself and start afresh from it. Doing it twice is doing it once."""
        numbers, contents = rows
        if len(numbers):
            shared = np.memmap(self.path, np.float32, mode="r+", shape=(self.rows, 2 * self.dim + 1))
            shared[numbers] = contents
            shared.flush()
            del shared
        self.reload()

    def reload(self) -> None:
        """Drop private changes and read the file as it is."""
        self._changed.clear()
        self._map = np.memmap(self.path, np.float32, mode="c", shape=(self.rows, 2 * self.dim + 1))
