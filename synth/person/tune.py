"""Tunes a meta-learned model to one person, of whom there are some frames.

ψ′ starts as P·ê and becomes a free parameter; the discriminator's row starts as w′ = w0 + ê
(w0 alone for a model that never met the match term); the adversarial, feature
matching and content terms stay, the match term goes. Source: Zakharov 2019, §3.3. Too many iterations overfit and lose
expression: the budget is in iterations, and held-out shots stop it earlier where there are enough to hold out.

Ours, not the paper's (docs/decisions/tuning.md): few shots are helped out by views of them, and a substitute content
term goes alone at first.
"""

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
from synth.model.content_loss import MultiScale, build
from synth.model.landmark_image import draw
from synth.model.layers import held, power_iteration
from synth.model.losses import feature_matching, hinge_discriminator, hinge_generator
from synth.model.networks import Generator, Model
from synth.model.tensors import compute_dtype, follow, optimiser, to_signed
from synth.person.model import PersonalModel
from synth.person.options import Tune
from synth.person.views import view
from synth.training.malloc import keep_freed

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

    Raises
    ------
    UsageError
        Frames or landmarks are of another shape or type.
    """
    job, device = job or Tune(), torch.device(device)
    started = time.monotonic()
    frames, points = _checked(frames, landmarks, model.config.size)
    if device.type == "cpu":
        keep_freed()
    dtype = compute_dtype(job.precision, device)
    shots = Pairs(
        to_signed(frames, device, dtype),
        to_signed(np.stack([draw(p, model.config.size) for p in points]), device, dtype),
    )
    embedding = _embedded(model.embedder.to(device), shots)
    facts: dict[str, Any] = {
        "mode": job.mode,
        "shots": len(frames),
        "steps": 0,
        "model_sha256": model.sha256,
        "model": dict(model.facts),
    }
    if job.mode == "ff":
        generator = copy.deepcopy(model.generator).to(device)
        with torch.no_grad():
            return PersonalModel.of(generator, generator.style(embedding).clone(), facts)
    kept = _held_out(len(frames)) if job.hold_out else []
    pool = [i for i in range(len(frames)) if i not in kept]
    examples = _Examples.of(frames[pool], points[pool], shots[pool], job)
    learning = _Learning(model, embedding, job, dtype)
    steps = budget(len(frames)) if job.steps is None else job.steps
    done, best = _learn(learning, examples, steps, shots[kept] if kept else None, advance)
    facts |= {"steps": done, "kept_step": best, "held_out": len(kept), **learning.facts(), "views": examples.views}
    facts |= {"seconds": round(time.monotonic() - started, 1), "seed": job.seed}
    return PersonalModel.of(learning.average.generator, learning.average.psi, facts)


@dataclass(frozen=True)
class Pairs:
    """Frames and their landmark images, each (n, 3, S, S) in [-1, 1]; known : bool (n, 1, S, S), where a frame can be trusted, None = everywhere."""

    real: Tensor
    raster: Tensor
    known: Tensor | None = None

    def __len__(self) -> int:
        return len(self.real)

    def __getitem__(self, chosen: list[int]) -> "Pairs":
        return Pairs(self.real[chosen], self.raster[chosen], None if self.known is None else self.known[chosen])


def _checked(
    frames: NDArray[np.uint8], landmarks: NDArray[np.floating], size: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    frames, points = np.asarray(frames), np.asarray(landmarks, np.float32)
    if frames.ndim != 4 or frames.shape[1:] != (size, size, 3) or frames.dtype != np.uint8 or not len(frames):
        raise UsageError(f"shots are {frames.dtype} {frames.shape}", hint=f"uint8 (T, {size}, {size}, 3) is needed")
    if points.shape != (len(frames), 68, 2):
        raise UsageError(f"landmarks are {points.shape}, not ({len(frames)}, 68, 2)")
    return frames, points


@torch.no_grad()
def _embedded(embedder: nn.Module, shots: Pairs) -> Tensor:
    """ê of all shots, (1, N)."""
    parts = [(s, r) for s, r in zip(shots.real.split(8), shots.raster.split(8), strict=True)]
    return torch.cat([embedder(s[None], r[None]) * len(s) for s, r in parts]).sum(0, keepdim=True) / len(shots)


def _learn(
    learning: "_Learning", examples: "_Examples", steps: int, aside: Pairs | None, advance: Callable[[float, str], None]
) -> tuple[int, int]:
    """Iterate, and stop by the shots kept aside where there are some; how many iterations were run, and which was kept."""
    average = learning.average
    best: tuple[float, int, dict[str, Tensor], Tensor] | None = None
    looks = done = 0
    for done in range(1, steps + 1):
        learning.step(examples.draw(), alone=done <= round(learning.schedule.alone * steps))
        advance(1, "")
        if aside is not None and done % CHECK_EVERY == 0:
            looks += 1
            error = average.error(aside)
            if best is None or error < best[0]:
                best, looks = (error, done, copy.deepcopy(average.generator.state_dict()), average.psi.clone()), 0
            if looks >= PATIENCE:
                break
    if best is None:
        return done, done
    average.generator.load_state_dict(best[2])
    average.psi = best[3]
    return done, best[1]


@dataclass
class _Examples:
    """What each step learns from: shots as they are and, the fewer there are, the more views of them. pairs : shots first, then the views."""

    pairs: Pairs
    shots: int
    batch: int
    rng: np.random.Generator

    @classmethod
    def of(cls, frames: NDArray[np.uint8], points: NDArray[np.float32], pairs: Pairs, job: Tune) -> "_Examples":
        """Shots with their landmarks and as tensors."""
        rng = np.random.default_rng([job.seed, 4])
        shots, size = len(frames), frames.shape[1]
        wanted = max(0, VIEWS - 4 * (shots - 1)) if job.views else 0
        made = [view(frames[k % shots], points[k % shots], rng) for k in range(wanted)]
        real, raster = pairs.real, pairs.raster
        known = np.ones((shots + wanted, 1, size, size), bool)
        if made:
            bent = np.stack([v.frame for v in made]), np.stack([draw(v.landmarks, size) for v in made])
            real, raster = (
                torch.cat([pictures, to_signed(views, pictures.device, pictures.dtype)])
                for pictures, views in zip((real, raster), bent, strict=True)
            )
            known[shots:, 0] = np.stack([v.known for v in made])
        both = Pairs(real, raster, torch.from_numpy(known).to(real.device))
        return cls(both, shots, min(job.batch, len(both)), rng)

    @property
    def views(self) -> int:
        """How many of the pairs are views."""
        return len(self.pairs) - self.shots

    def draw(self) -> Pairs:
        """The pairs of one step; the first is a shot as it is."""
        first = int(self.rng.integers(self.shots))
        others = np.delete(np.arange(len(self.pairs)), first)
        return self.pairs[[first, *self.rng.choice(others, self.batch - 1, replace=False).tolist()]]


class _Learning:
    """Networks, optimisers and terms of one tuning; :meth:`step` is all of its mathematics."""

    def __init__(self, model: Model, embedding: Tensor, job: Tune, dtype: torch.dtype) -> None:
        device = embedding.device
        self.generator = copy.deepcopy(model.generator).to(device)
        self.judge = copy.deepcopy(model.discriminator).to(device).requires_grad_(True)
        # w′ = w0 + ê, w0 being the discriminator's own. Where ê was never matched to rows of W it means nothing to the
        # discriminator, whose rows lie about zero: then w′ = w0.
        matched = bool(model.facts.get("matched_steps"))
        self.row = nn.Parameter(embedding.clone() if matched else torch.zeros_like(embedding))
        with torch.no_grad():
            self.psi = nn.Parameter(self.generator.style(embedding).clone())  # (1, values)
        self.term = build(job.content, WEIGHTS["v2"], dtype=dtype).to(device)
        self.lr = job.lr or RATE * float(model.facts.get("lr", 5e-5))
        self.schedule = SUBSTITUTE if self.term.parts and "vgg19" not in self.term.parts else PAPER
        self.moving = [self.psi, *_moving(self.generator, job.mode)]
        self.judging = [self.row, *self.judge.parameters()]
        self.adam = optimiser(self.moving, self.lr)
        self.adam_judge = optimiser(self.judging, job.lr_discriminator or self.schedule.judge_rate * self.lr)
        self.average = _Average(self.generator, self.psi)

    def facts(self) -> dict[str, Any]:
        """What is recorded of how was learned."""
        return {"content": self.term.description, "schedule": asdict(self.schedule), "lr": self.lr}

    def step(self, pairs: Pairs, *, alone: bool) -> None:
        """One iteration. alone : by the content term alone, without the discriminator."""
        power_iteration(self.generator, self.judge)
        if alone:
            fake, real = self._drawn(pairs)
            self.term(fake, real).backward()
            self._update(self.adam)
        else:
            self._contest(pairs)
        self.average.update(self.generator, self.psi)

    def _drawn(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """x̂, and the frames it is compared with: where a view knows nothing, x̂ itself, so that nothing is asked there."""
        fake = self.generator(pairs.raster, self.psi.expand(len(pairs), -1))  # (n, 3, S, S)
        if pairs.known is None:
            return fake, pairs.real
        return fake, torch.where(pairs.known, pairs.real, fake.detach().to(pairs.real.dtype))

    def _contest(self, pairs: Pairs) -> None:
        """One generator update, then two of the discriminator, the first of them by the passes that the generator's losses went through."""
        n, raster = len(pairs), pairs.raster
        fake, real = self._drawn(pairs)
        with held(self.judge):
            of_real, wanted = self.judge(real, raster, self.row.expand(n, -1))
            of_fake, found = self.judge(fake.to(real.dtype), raster, self.row.expand(n, -1))
        matched = WEIGHTS["v2"].feature_matching * feature_matching(wanted, found)
        loss = self.schedule.adversarial * hinge_generator(of_fake) + matched + self.term(fake, real)
        loss.backward(inputs=self.moving, retain_graph=True)
        hinge_discriminator(of_real, of_fake).backward(inputs=self.judging)
        self._update(self.adam)
        self._update(self.adam_judge)
        both, rasters = torch.cat([real, fake.detach().to(real.dtype)]), raster.repeat(2, 1, 1, 1)
        scores, _ = self.judge(both, rasters, self.row.expand(2 * n, -1))
        hinge_discriminator(*scores.chunk(2)).backward()
        self._update(self.adam_judge)

    @staticmethod
    def _update(adam: torch.optim.Optimizer) -> None:
        adam.step()
        adam.zero_grad(set_to_none=True)


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

    KEEP = 0.972

    def __init__(self, generator: Generator, psi: Tensor) -> None:
        self.generator = copy.deepcopy(generator).requires_grad_(False)
        self.psi = psi.detach().clone()

    @torch.no_grad()
    def update(self, generator: Generator, psi: Tensor) -> None:
        follow(self.generator, generator, self.KEEP)
        self.psi.lerp_(psi, 1 - self.KEEP)

    @torch.no_grad()
    def error(self, aside: Pairs) -> float:
        """Multi-scale L1 and SSIM against held-out shots; lower is better."""
        made = self.generator(aside.raster, self.psi.expand(len(aside), -1))
        return float(MultiScale()(made, aside.real))
