"""Takes pictures to tensors and back: number types, and the two ways to and from [-1, 1]."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn


def compute_dtype(precision: str, device: torch.device) -> torch.dtype:
    """bf16 where the hardware multiplies it natively, else float32."""
    if precision == "fp32":
        return torch.float32
    if precision == "bf16" or device.type == "cuda":
        return torch.bfloat16
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32


def optimiser(parameters: Iterable[Tensor], rate: float) -> torch.optim.Adam:
    """Adam as adversarial training wants it: no momentum, so that neither side pursues where the other was."""
    return torch.optim.Adam(parameters, rate, betas=(0.0, 0.999), eps=1e-5, fused=True)


def to_signed(pictures: np.ndarray, device: torch.device, dtype: torch.dtype) -> Tensor:
    """uint8 (…, S, S, 3) → [-1, 1] (…, 3, S, S) on the device; S and 3 are moved, S and S never swapped."""
    tensor = torch.from_numpy(pictures).to(device, non_blocking=True).movedim(-1, -3)
    return (tensor.to(dtype) - 127.5) / 127.5  # the difference is exact in bf16 too


def to_uint8(frames: Tensor) -> np.ndarray:
    """[-1, 1] (N, 3, S, S) → uint8 (N, S, S, 3)."""
    scaled = ((frames.detach().float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(scaled.movedim(-3, -1).cpu().numpy())


@torch.no_grad()
def follow(average: nn.Module, live: nn.Module, keep: float) -> None:
    """Move an average of a network's weights on, in place: so much of it is kept, the rest is as the network stands. Buffers are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(live.parameters()), 1 - keep)
    for averaged, theirs in zip(average.buffers(), live.buffers(), strict=True):
        averaged.copy_(theirs)
