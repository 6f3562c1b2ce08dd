"""Small autoencoders whose decoders leave the traces that learned decoders leave, and how they are trained.

Nothing of a picture's meaning is changed: what differs between a frame and its redrawing is the decoder alone.
Source: the idea of Rajan et al. 2025 (arXiv 2410.11835), who redraw each real image by the autoencoder of a latent-diffusion model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gioconda_core.errors import UsageError, WeightsError
from gioconda_core.files import atomic_path

WEIGHTS = Path(__file__).parents[2] / "weights" / "redraw"


@dataclass(frozen=True)
class Variant:
    """One autoencoder. up : how its decoder enlarges: ``nearest`` and a convolution, ``shuffle`` (pixels out of channels) or ``transposed``
    convolution. depth : halvings. latent : channels between. learned : False for an enlarger, whose encoder is an average over blocks.
    critic : whether a small discriminator took part in training."""

    up: str
    depth: int = 2
    latent: int = 4
    learned: bool = True
    critic: bool = False


VARIANTS = {
    "nearest4": Variant("nearest"),
    "shuffle4": Variant("shuffle"),
    "transposed4": Variant("transposed", latent=6, critic=True),
    "super4": Variant("shuffle", learned=False, critic=True),
}
WIDTH, WIDEST = 24, 64  # channels


def _act() -> nn.Module:
    return nn.LeakyReLU(0.2)


class Residual(nn.Module):
    """Two convolutions beside their input, (N, c, H, W) → the same shape."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_act(), nn.Conv2d(c, c, 3, padding=1), _act(), nn.Conv2d(c, c, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        drawn: Tensor = x + self.body(x)
        return drawn


def _up(kind: str, a: int, b: int) -> nn.Sequential:
    if kind == "shuffle":
        return nn.Sequential(nn.Conv2d(a, 4 * b, 3, padding=1), nn.PixelShuffle(2))
    if kind == "nearest":
        return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(a, b, 3, padding=1))
    return nn.Sequential(nn.ConvTranspose2d(a, b, 4, 2, 1))


class Autoencoder(nn.Module):
    """RGB (N, 3, H, W) in [0, 1] → the same, redrawn; H and W are multiples of 2 ** depth."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.variant = variant
        widths = [min(WIDTH * 2**k, WIDEST) for k in range(variant.depth)]
        self.encoder: nn.Module
        latent = variant.latent if variant.learned else 3
        if variant.learned:
            layers: list[nn.Module] = []
            for a, b in zip([3, *widths], widths, strict=False):
                layers += [nn.Conv2d(a, b, 4, 2, 1), _act()]
            self.encoder = nn.Sequential(*layers, nn.Conv2d(widths[-1], latent, 3, padding=1))
        else:
            self.encoder = nn.AvgPool2d(2**variant.depth)
        layers = [nn.Conv2d(latent, widths[-1], 3, padding=1), Residual(widths[-1])]
        c = widths[-1]
        for width in [*reversed(widths[:-1]), widths[0]]:
            layers += [_act(), _up(variant.up, c, width)]
            c = width
        self.decoder = nn.Sequential(*layers, _act(), nn.Conv2d(c, 3, 3, padding=1))

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """noise : of the code's shape, added to it in the code's own spread; an enlarger has no code to add to."""
        code: Tensor = self.encoder(x)
        if noise is not None and self.variant.learned:
            code = code + noise * code.std()
        drawn: Tensor = self.decoder(code)
        if self.variant.learned:
            return drawn
        return drawn + nn.functional.interpolate(code, scale_factor=2.0**self.variant.depth, mode="bilinear")


def redraw(
    frames: NDArray[np.uint8], variant: str, noise: float = 0.0, rng: np.random.Generator | None = None
) -> NDArray[np.float32]:
    """Frames uint8 (N, S, S, 3) through an autoencoder → float32 (N, S, S, 3) in grey levels.

    noise : added to the code, in shares of the code's spread, anew each frame; a generator that draws each frame by itself trembles so.
    """
    net, found = load(variant), []
    cells = frames.shape[1] // 2**net.variant.depth
    with torch.inference_mode():
        for start in range(0, len(frames), 8):
            x = torch.from_numpy(np.ascontiguousarray(frames[start : start + 8])).permute(0, 3, 1, 2).float() / 255
            shaken = None
            if noise and rng is not None and net.variant.learned:
                drawn = rng.normal(size=(len(x), net.variant.latent, cells, cells)).astype(np.float32)
                shaken = noise * torch.from_numpy(drawn)
            found.append((net(x, shaken).clamp(0, 1) * 255).permute(0, 2, 3, 1).numpy())
    return np.asarray(np.concatenate(found), np.float32)


@lru_cache(maxsize=8)
def load(variant: str) -> Autoencoder:
    """The shipped autoencoder of this name, for drawing.

    Raises
    ------
    UsageError, WeightsError
    """
    if variant not in VARIANTS:
        raise UsageError(f"no autoencoder {variant!r}", hint=f"one of {', '.join(VARIANTS)}")
    path = WEIGHTS / f"{variant}.safetensors"
    if not path.is_file():
        raise WeightsError("no trained weights here", where=str(path), hint="reinstall the package")
    net = Autoencoder(VARIANTS[variant])
    net.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return net.eval()


def save(net: Autoencoder, path: Path) -> None:
    """Half precision, safetensors."""
    with atomic_path(path) as file:
        save_file({name: value.half().contiguous() for name, value in net.state_dict().items()}, str(file))


def train(
    variant: Variant,
    frames: NDArray[np.uint8],
    steps: int = 1800,
    seed: int = 0,
    advance: Callable[[float], Any] | None = None,
) -> Autoencoder:
    """Fit an autoencoder to frames uint8 (N, H, W, 3) of real faces: L1 of colours and of gradients, then the critic, where it has one.

    Patches of 96 px, four a step; ``advance`` is called with each step's mean absolute error.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = Autoencoder(variant)
    rate, side = 1.5e-3, 96
    optimiser = torch.optim.Adam(net.parameters(), rate, betas=(0.5, 0.99))
    critic = nn.Sequential(
        nn.Conv2d(3, 24, 4, 2, 1), _act(), nn.Conv2d(24, 48, 4, 2, 1), _act(), nn.Conv2d(48, 1, 3, padding=1)
    )
    critic_optimiser = torch.optim.Adam(critic.parameters(), 5e-4, betas=(0.5, 0.99))
    for step in range(steps):
        y = _patches(frames, rng, side)
        z = net(y)
        error = (z - y).abs().mean()
        loss = error + sum((a - b).abs().mean() for a, b in zip(_gradients(z), _gradients(y), strict=True))
        if variant.critic and step > 0.4 * steps:
            judged = torch.relu(1 - critic(y)).mean() + torch.relu(1 + critic(z.detach())).mean()
            critic_optimiser.zero_grad()
            judged.backward()
            critic_optimiser.step()
            loss = loss - 0.01 * critic(z).mean()
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, 2 * (1 - step / steps) + 0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if advance:
            advance(float(error.detach()))
    return net.eval()


def _patches(frames: NDArray[np.uint8], rng: np.random.Generator, side: int) -> Tensor:
    height, width = frames.shape[1:3]
    cut = []
    for _ in range(4):
        top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
        patch = frames[rng.integers(len(frames)), top : top + side, left : left + side]
        cut.append(patch[:, ::-1] if rng.random() < 0.5 else patch)
    return torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).float() / 255


def _gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]
