"""Does the few collective operations that training needs; a single process passes through untouched.

Plain all-reduces instead of DistributedDataParallel: gradients are averaged once a step in one flat buffer, nothing
wraps the networks, so compile and spectral norm meet no hooks (pytorch#113415).
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from synth.training.identity_table import Rows


@dataclass(frozen=True)
class Group:
    """This process among those of the run; rows of W with ``row % world == rank`` are its own."""

    rank: int = 0
    world: int = 1

    @classmethod
    def join(cls, device: torch.device) -> "Group":
        """Join the group torchrun announces in the environment; a single process joins nothing."""
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if world == 1:
            return cls()
        if not dist.is_initialized():
            if device.type == "cuda":
                torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(dist.get_rank(), world)

    @property
    def device(self) -> str:
        """Where tensors lie that processes exchange."""
        return "cuda" if dist.get_backend() == "nccl" else "cpu"

    def barrier(self) -> None:
        """Wait for everybody."""
        if self.world > 1:
            dist.barrier()

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum over processes."""
        if self.world > 1:
            dist.all_reduce(tensor)
        return tensor

    def any(self, flag: bool) -> bool:
        """True everywhere if it is true anywhere."""
        if self.world == 1:
            return flag
        return bool(self.sum(torch.tensor([float(flag)], device=self.device)).item())

    def gather(self, tensor: Tensor) -> Tensor:
        """Concatenate (b, …) of every process in order of rank: (b·world, …)."""
        if self.world == 1:
            return tensor.detach()
        parts = [torch.empty_like(tensor) for _ in range(self.world)]
        dist.all_gather(parts, tensor.detach().contiguous())
        return torch.cat(parts)

    def gather_rows(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Row numbers of the global batch."""
        if self.world == 1:
            return rows
        return self.gather(torch.from_numpy(rows).to(self.device)).cpu().numpy()

    def gather_dirty(self, rows: Rows) -> Rows:
        """Changed rows of W of every process, on rank 0."""
        if self.world == 1:
            return rows
        found: list[Any] | None = [None] * self.world if self.rank == 0 else None  # what any process sends
        dist.gather_object(rows, found)
        if found is None:
            return rows
        return np.concatenate([part[0] for part in found]), np.concatenate([part[1] for part in found])

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Mean of the gradients over processes, in one buffer."""
        if self.world == 1:
            return
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        flat /= self.world
        for parameter, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
            parameter.grad = part.view_as(parameter)

    def mean(self, stats: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mean of each number over processes."""
        if self.world == 1:
            return dict(stats)
        values = self.sum(torch.stack([v.detach().float().cpu() for v in stats.values()]).to(self.device)) / self.world
        return dict(zip(stats, values.cpu(), strict=True))
