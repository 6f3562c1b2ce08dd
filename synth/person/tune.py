"""Few-shot tuning: some frames of a person and a meta-learned model make a personal one.

ψ′ starts as P·ê and becomes a free parameter; the discriminator's row starts as w′ = w0 + ê
(w0 alone for a model that never met the match term); the adversarial, feature
matching and content terms stay, the match term goes. Source: Zakharov 2019, §3.3. Too many iterations overfit and lose
expression: the budget is in iterations, and held-out shots stop it earlier where there are enough to hold out.

Ours, not the paper's (docs/decisions/tuning.md): few shots are helped out by views of them, and a substitute content
term goes alone at first.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gioconda_core.errors import UsageError
from synth.model.config import WEIGHTS
from synth.model.content_loss import build
from synth.model.landmark_image import draw
from synth.model.layers import power_iteration
from synth.model.losses import feature_matching, hinge_discriminator, hinge_generator
from synth.model.networks import Generator, Model
from synth.model.tensors import compute_dtype, optimiser, to_signed
from synth.person.model import PersonalModel
from synth.person.options import Tune
from synth.person.views import view
from synth.training.malloc import keep_freed

__all__ = ["PersonalModel", "Schedule", "Tune", "budget", "tune"]

HOLD_OUT_FROM = 8  # shots from which some are kept aside to stop by
CHECK_EVERY = 20  # iterations between looks at the held-out shots
RATE = 3.0  # × the rate the model was trained at; measured on ``sketch`` (docs/performance.md, "Generator")
VIEWS = 64  # views made of one shot; four fewer for each further shot, so that seventeen are left to themselves
PATIENCE = 5  # looks without improvement that end the tuning


@dataclass(frozen=True)
class Schedule:
    """How the terms share the iterations.

    alone : share of the iterations, from the first, in which the content term is alone. adversarial : weight of −D(x̂).
    judge_rate : the discriminator's rate, × the generator's.
    """

    alone: float
    adversarial: float
    judge_rate: float


PAPER = Schedule(alone=0.0, adversarial=1.0, judge_rate=1.0)
# The paper's VGG terms are tens of times larger than its adversarial one; a substitute of a hundredth of their size is not, and
# the discriminator, which does not know the new person, then tears the face apart.
SUBSTITUTE = Schedule(alone=0.7, adversarial=0.1, judge_rate=0.2)


def budget(shots: int) -> int:
    """Iterations for T shots: 125 for one, 230 for thirty-two (u), in between by the logarithm."""
    return round(125 + 21 * float(np.log2(max(1, shots))))


def tune(
    model: Model,
    frames: NDArray[np.uint8],
    landmarks: NDArray[np.floating],
    job: Tune | None = None,
    *,
    device: str | torch.device = "cpu",
    advance: Callable[[float, str], None] = lambda n, note: None,
) -> PersonalModel:
    """Tune a meta-learned model to one person.

    Parameters
    ----------
    model : from ``networks.load_checkpoint``; it is not changed.
    frames : uint8 (T, S, S, 3) RGB crops at the model's size, T ≥ 1. landmarks : (T, 68, 2) in their pixels.
    job : how; tuned fully by default. advance : told of each iteration.

    Returns
    -------
    PersonalModel, whose ``facts`` record mode, shots, iterations run and the content loss.
    """
    job = job or Tune()
    frames, points = np.asarray(frames), np.asarray(landmarks, np.float32)
    size = model.config.size
    if frames.ndim != 4 or frames.shape[1:] != (size, size, 3) or frames.dtype != np.uint8 or not len(frames):
        raise UsageError(f"shots are {frames.dtype} {frames.shape}", hint=f"uint8 (T, {size}, {size}, 3) is needed")
    if points.shape != (len(frames), 68, 2):
        raise UsageError(f"landmarks are {points.shape}, not ({len(frames)}, 68, 2)")
    device = torch.device(device)
    dtype = compute_dtype(job.precision, device)
    started = time.monotonic()
    if device.type == "cpu":
        keep_freed()
    shots = to_signed(frames, device, dtype)  # (T, 3, S, S)
    rasters = to_signed(np.stack([draw(p, size) for p in points]), device, dtype)
    embedder = model.embedder.to(device)
    generator = copy.deepcopy(model.generator).to(device)
    with torch.no_grad():
        parts = [embedder(s[None], r[None]) for s, r in zip(shots.split(8), rasters.split(8), strict=True)]
        lengths = torch.tensor([len(s) for s in shots.split(8)], device=device)
        embedding = (torch.cat(parts) * lengths[:, None]).sum(0, keepdim=True) / len(shots)  # (1, N)
        style = generator.style(embedding).clone()  # (1, values)
    facts: dict[str, Any] = {
        "mode": job.mode,
        "shots": len(frames),
        "steps": 0,
        "model_sha256": model.sha256,
        "model": dict(model.facts),
    }
    if job.mode == "ff":
        return PersonalModel.of(generator, style, facts)

    judge = copy.deepcopy(model.discriminator).to(device).requires_grad_(True)
    # w′ = w0 + ê, w0 being the discriminator's own. Where ê was never matched to rows of W it means nothing to the
    # discriminator, whose rows lie about zero: then w′ = w0.
    row = nn.Parameter(embedding.clone() if model.facts.get("matched_steps") else torch.zeros_like(embedding))
    psi = nn.Parameter(style)
    moving = _moving(generator, job.mode)
    term = build(job.content, WEIGHTS["v2"], files=job.content_files, dtype=dtype).to(device)
    lr = job.lr or RATE * float(model.facts.get("lr", 5e-5))
    schedule = SUBSTITUTE if term.parts and "vgg19" not in term.parts else PAPER
    lr_discriminator = job.lr_discriminator or schedule.judge_rate * lr
    adam = optimiser([psi, *moving], lr)
    adam_judge = optimiser([row, *judge.parameters()], lr_discriminator)
    average = _Average(generator, psi, keep=0.972)

    kept = _held_out(len(frames)) if job.hold_out else []
    pool = [i for i in range(len(frames)) if i not in kept]
    examples = _Examples(frames[pool], points[pool], shots[pool], rasters[pool], job.batch, job.views, job.seed)
    steps = budget(len(frames)) if job.steps is None else job.steps
    best: tuple[float, int, dict[str, Tensor], Tensor] | None = None
    looks = 0
    done = 0
    for done in range(1, steps + 1):
        power_iteration(generator, judge)
        shown = examples.draw()
        if done <= round(schedule.alone * steps):
            _content_step(generator, psi, *shown, term, adam)
        else:
            _step(generator, judge, psi, row, *shown, term, schedule.adversarial, adam, adam_judge)
        average.update(generator, psi)
        advance(1, "")
        if kept and done % CHECK_EVERY == 0:
            looks += 1
            error = average.error(shots[kept], rasters[kept])
            if best is None or error < best[0]:
                best, looks = (error, done, copy.deepcopy(average.generator.state_dict()), average.psi.clone()), 0
            if looks >= PATIENCE:
                break
    if best is not None:
        average.generator.load_state_dict(best[2])
        average.psi = best[3]
    facts |= {
        "steps": done,
        "kept_step": best[1] if best else done,
        "held_out": len(kept),
        "content": term.description,
        "schedule": asdict(schedule),
        "views": examples.views,
        "lr": lr,
        "seconds": round(time.monotonic() - started, 1),
        "seed": job.seed,
    }
    return PersonalModel.of(average.generator, average.psi, facts)


class _Examples:
    """What each step learns from: shots as they are and, the fewer there are, the more views of them."""

    def __init__(
        self, frames: NDArray[np.uint8], points: NDArray[np.float32], real: Tensor, raster: Tensor, batch: int,
        views: bool, seed: int,
    ) -> None:  # fmt: skip
        self.rng = np.random.default_rng([seed, 4])
        self.shots, size = len(frames), frames.shape[1]
        self.views = max(0, VIEWS - 4 * (self.shots - 1)) if views else 0
        made = [view(frames[k % self.shots], points[k % self.shots], self.rng) for k in range(self.views)]
        known = np.ones((self.shots + self.views, 1, size, size), bool)
        self.real, self.raster = real, raster  # (n, 3, S, S), shots first
        if made:
            bent = np.stack([v.frame for v in made]), np.stack([draw(v.landmarks, size) for v in made])
            self.real, self.raster = (
                torch.cat([shots, to_signed(views, shots.device, shots.dtype)])
                for shots, views in zip((real, raster), bent, strict=True)
            )
            known[self.shots :, 0] = np.stack([v.known for v in made])
        self.known = torch.from_numpy(known).to(real.device)  # (n, 1, S, S)
        self.batch = min(batch, len(self.real))

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Frames, landmark images and what is known of the frames, for one step; the first is a shot as it is."""
        first = int(self.rng.integers(self.shots))
        others = np.delete(np.arange(len(self.real)), first)
        chosen = [first, *self.rng.choice(others, self.batch - 1, replace=False).tolist()]
        return self.real[chosen], self.raster[chosen], self.known[chosen]


def _drawn(generator: Generator, psi: Tensor, real: Tensor, raster: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """x̂, and the frames it is compared with: where a view knows nothing, x̂ itself, so that nothing is asked there."""
    fake = generator(raster, psi.expand(len(real), -1))  # (n, 3, S, S)
    return fake, torch.where(known, real, fake.detach().to(real.dtype))


def _content_step(
    generator: Generator, psi: Tensor, real: Tensor, raster: Tensor, known: Tensor, term: nn.Module,
    adam: torch.optim.Optimizer,
) -> None:  # fmt: skip
    """One generator update by the content term."""
    fake, real = _drawn(generator, psi, real, raster, known)
    term(fake, real).backward()
    adam.step()
    adam.zero_grad(set_to_none=True)


def _step(
    generator: Generator,
    judge: nn.Module,
    psi: Tensor,
    row: Tensor,
    real: Tensor,
    raster: Tensor,
    known: Tensor,
    term: nn.Module,
    adversarial: float,
    adam: torch.optim.Optimizer,
    adam_judge: torch.optim.Optimizer,
) -> None:
    """One generator update, then two of the discriminator, as in meta-learning."""
    n = len(real)
    judge.requires_grad_(False)
    fake, real = _drawn(generator, psi, real, raster, known)
    with torch.no_grad():
        _, wanted = judge(real, raster, row.expand(n, -1))
    score, found = judge(fake.to(real.dtype), raster, row.detach().expand(n, -1))
    matched = WEIGHTS["v2"].feature_matching * feature_matching(wanted, found)
    (adversarial * hinge_generator(score) + matched + term(fake, real)).backward()
    adam.step()
    adam.zero_grad(set_to_none=True)
    judge.requires_grad_(True)
    both, rasters = torch.cat([real, fake.detach().to(real.dtype)]), raster.repeat(2, 1, 1, 1)
    for _ in range(2):
        scores, _ = judge(both, rasters, row.expand(2 * n, -1))
        hinge_discriminator(*scores.chunk(2)).backward()
        adam_judge.step()
        adam_judge.zero_grad(set_to_none=True)


def _moving(generator: Generator, mode: str) -> list[nn.Parameter]:
    """The parameters of G a mode trains; the others are frozen. P never moves: ψ′ has taken its place."""
    generator.requires_grad_(False)
    modules: list[nn.Module] = []
    if mode == "full":
        modules = [m for name, m in generator.named_children() if name != "project"]
    elif mode == "last":
        modules = [*generator.up[-2:], generator.last]
    parameters = [p for module in modules for p in module.parameters()]
    for parameter in parameters:
        parameter.requires_grad_(True)
    return parameters


def _held_out(shots: int) -> list[int]:
    """Shots kept aside to stop by, spread over the sequence: one in eight from eight shots on."""
    if shots < HOLD_OUT_FROM:
        return []
    number = max(1, shots // 8)
    return sorted({round((i + 0.5) * shots / number) for i in range(number)})


class _Average:
    """Moving average of G and ψ′, and how well it does on held-out shots."""

    def __init__(self, generator: Generator, psi: Tensor, *, keep: float) -> None:
        self.generator = copy.deepcopy(generator).requires_grad_(False)
        self.psi, self.keep = psi.detach().clone(), keep

    @torch.no_grad()
    def update(self, generator: Generator, psi: Tensor) -> None:
        torch._foreach_lerp_(list(self.generator.parameters()), list(generator.parameters()), 1 - self.keep)
        self.psi.lerp_(psi, 1 - self.keep)
        for mine, theirs in zip(self.generator.buffers(), generator.buffers(), strict=True):
            mine.copy_(theirs)

    @torch.no_grad()
    def error(self, shots: Tensor, rasters: Tensor) -> float:
        """Multi-scale L1 and SSIM against the held-out shots; lower is better."""
        from synth.model.content_loss import MultiScale

        made = self.generator(rasters, self.psi.expand(len(rasters), -1))
        return float(MultiScale()(made, shots))
