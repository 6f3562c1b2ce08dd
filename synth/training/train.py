"""Trains the networks by meta-learning: episodes in, a model that can be tuned to anybody out.

One step: E and G once, with the adversarial, feature matching, content and (FT) match terms; then two discriminator
updates on the same generated frames, real and generated in one batch. Source: Zakharov 2019, §3.2 and §4.
"""

import copy
import hashlib
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gioconda_core.errors import GiocondaError, UsageError
from gioconda_core.media.pictures import grid
from synth.model.config import WEIGHTS, Config, preset
from synth.model.content_loss import Content, build
from synth.model.layers import held, power_iteration
from synth.model.losses import feature_matching, hinge_discriminator, hinge_generator, match
from synth.model.networks import Embedder, Generator, Model, load_checkpoint, save_checkpoint
from synth.model.tensors import compute_dtype, follow, optimiser, to_signed, to_uint8
from synth.model.widen import widen
from synth.session import Session
from synth.training.distributed import Group
from synth.training.episodes import Batch, EpisodeSampler
from synth.training.identity_table import WTable
from synth.training.malloc import keep_freed
from synth.training.options import FIXED, Options
from synth.training.run_folder import RunFolder, room
from synth.training.shards import ShardSet

MAX_BAD_STEPS = 20  # this many steps in a row without a finite loss end the run
_AVERAGED = ("embedder", "generator")
_SUMMED = ("adversarial", "feature_matching", "content", "match")


@dataclass(frozen=True)
class Result:
    """How a run ended. interrupted : by a signal; run the same command again."""

    step: int
    model: Path
    interrupted: bool
    stats: Mapping[str, float]


class Trainer:
    """Networks, optimisers and W of one run; :meth:`step` is the whole mathematics of training."""

    def __init__(
        self, options: Options, config: Config, rows: int, folder: RunFolder, device: torch.device, group: Group
    ) -> None:
        self.options, self.config, self.device, self.group = options, config, device, group
        self.dtype = compute_dtype(options.precision, device)
        self.losses = WEIGHTS[options.losses]
        content = build(options.content, self.losses, files=options.content_files, dtype=self.dtype)
        self.content: Content = content.to(device)
        self.began_as: dict[str, Any] | None = None
        if options.init:
            earlier = load_checkpoint(options.init)
            self.began_as = {"sha256": earlier.sha256, **earlier.config.as_dict()}
            self.model = widen(earlier, config, options.seed)
            for net in self.model.nets().values():
                net.requires_grad_(True).train()
        else:
            self.model = Model.fresh(config, options.seed)
        for net in self.model.nets().values():
            net.to(device)
        self.ema = {name: copy.deepcopy(self.model.nets()[name]).requires_grad_(False) for name in _AVERAGED}
        m = self.model
        self.generating = [*m.embedder.parameters(), *m.generator.parameters()]
        self.judging = list(m.discriminator.parameters())
        self.adam = {
            "generating": optimiser(self.generating, options.lr),
            "judging": optimiser(self.judging, options.lr_discriminator),
        }
        if group.rank > 0:
            group.barrier()  # until the first process has made the file
        with room(folder.path):
            self.table = WTable(folder.path / "w.bin", rows, config.dim, seed=options.seed)
        if group.rank == 0:
            group.barrier()
        wrap: Callable[[Any], Any] = torch.compile if options.compile else lambda net: net
        self.embed, self.generate, self.judge = wrap(m.embedder), wrap(m.generator), wrap(m.discriminator)
        self.step_number = 0
        self.bad_steps = 0

    @property
    def matching(self) -> bool:
        """Whether the match term takes part in this step."""
        return self.options.variant == "ft" and self.step_number >= self.match_from

    @property
    def match_from(self) -> int:
        """First step with the match term."""
        if self.options.match_from is not None:
            return self.options.match_from
        return -(-150 * self.table.rows // self.options.batch)

    def step(self, batch: Batch) -> dict[str, float]:
        """One generator update and ``discriminator_steps`` discriminator updates on a batch (this process's part of it).

        The first of the discriminator's updates takes the passes that the generator's losses went through: its weights are the same.
        """
        options = self.options
        power_iteration(*self.model.nets().values())
        parts = [np.arange(len(batch.units))[i :: options.accumulate] for i in range(options.accumulate)]
        units = self.group.gather_rows(batch.units)
        rows = self._rows(units, len(batch.units))
        stats: dict[str, Tensor] = {}
        judged: dict[str, Tensor] = {}
        made: list[tuple[Tensor, Tensor, Tensor]] = []
        for part in parts:
            fake, terms, scores, kept = self._generate(batch, part, rows)
            loss = torch.stack([value for name, value in terms.items() if name in _SUMMED]).sum()
            # Each side's gradients alone: the other's is never computed.
            (loss / options.accumulate).backward(inputs=self.generating, retain_graph=True)
            self._judge(rows, *scores, judged)
            made.append((fake.detach(), *kept))
            self._note(stats, terms)
        good = self._update("generating", self.generating, stats)
        stats |= judged
        self._update_judge(units, rows, judged, good)
        for _ in range(1, options.discriminator_steps):
            rows, judged = self._rows(units, len(batch.units)), {}
            for part, (fake, real, raster) in zip(parts, made, strict=True):
                both, twice = torch.cat([real, fake.to(real.dtype)]), raster.repeat(2, 1, 1, 1)
                of_real, of_fake = self.judge(both, twice, rows[part].repeat(2, 1))[0].chunk(2)
                self._judge(rows, of_real, of_fake, judged)
            self._update_judge(units, rows, judged, good)
        self.step_number += 1
        if good:
            self.bad_steps = 0
            self._average()
        else:
            self.bad_steps += 1
            if self.bad_steps >= MAX_BAD_STEPS:
                what = f"the loss has not been finite for {MAX_BAD_STEPS} steps"
                raise GiocondaError(what, f"step {self.step_number}", "lower --lr, or use --precision fp32")
        return {name: float(value) for name, value in self.group.mean(stats).items()}

    def _generate(
        self, batch: Batch, part: np.ndarray, rows: Tensor
    ) -> tuple[Tensor, dict[str, Tensor], tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Forward pass and generator losses of one part of the batch, and what the discriminator says of real and generated frames.

        x̂ keeps its graph: detached here, the adversarial gradient would be exactly zero.
        """
        device, dtype = self.device, self.dtype
        shots = to_signed(batch.shots[part], device, dtype)  # (b, K, 3, S, S)
        shot_rasters = to_signed(batch.shot_rasters[part], device, dtype)
        target = to_signed(batch.target[part], device, dtype)  # (b, 3, S, S)
        raster = to_signed(batch.raster[part], device, dtype)
        embedding = self.embed(shots, shot_rasters)  # (b, N)
        fake = self.generate(raster, self.model.generator.style(embedding))  # (b, 3, S, S)
        row = rows[part]
        # torch.compile would compile anew for every layer that holds something.
        with nullcontext() if self.options.compile else held(self.model.discriminator):
            of_real, wanted = self.judge(target, raster, row)
            of_fake, found = self.judge(fake.to(dtype), raster, row)
        terms = {
            "adversarial": hinge_generator(of_fake),
            "feature_matching": self.losses.feature_matching * feature_matching(wanted, found),
            "content": self.content(fake, target),
        }
        distance = match(embedding, row)
        if self.matching:
            terms["match"] = self.losses.match * distance
        terms["l1"] = (fake.detach() - target.float()).abs().mean()
        return fake, terms, (of_real, of_fake), (target, raster)

    def _judge(self, rows: Tensor, of_real: Tensor, of_fake: Tensor, terms: dict[str, Tensor]) -> None:
        """The discriminator's gradients of one part of the batch, and its rows'."""
        hinge = hinge_discriminator(of_real, of_fake)
        (hinge / self.options.accumulate).backward(inputs=[*self.judging, rows])
        self._note(terms, {"hinge_d": hinge, "real": of_real.mean(), "fake": of_fake.mean()})

    def _note(self, stats: dict[str, Tensor], terms: Mapping[str, Tensor]) -> None:
        for name, value in terms.items():
            stats[name] = stats.get(name, torch.zeros(())) + value.detach().float().cpu() / self.options.accumulate

    def _update_judge(self, units: np.ndarray, rows: Tensor, terms: Mapping[str, Tensor], good: bool) -> None:
        """Step the discriminator and, where the generator's losses were finite too, the rows of W."""
        if self._update("judging", self.judging, terms) and good:
            assert rows.grad is not None
            gradient = self.group.gather(rows.grad / self.group.world)
            own = units % self.group.world == self.group.rank
            self.table.update(units[own], gradient[torch.from_numpy(own)], lr=self.options.lr_discriminator)

    def _rows(self, units: np.ndarray, own: int) -> Tensor:
        """W rows of this process's part of the global batch; each process fills in those it keeps."""
        rows = self.table.gather(units)
        rows[torch.from_numpy(units % self.group.world != self.group.rank)] = 0
        whole = self.group.sum(rows.to(self.device))
        return whole[self.group.rank * own : (self.group.rank + 1) * own].detach().requires_grad_(True)

    def _update(self, name: str, parameters: Sequence[nn.Parameter], terms: Mapping[str, Tensor]) -> bool:
        """Average gradients over processes and step, unless a loss anywhere is not finite."""
        total = torch.stack([torch.as_tensor(value).float().cpu() for value in terms.values()]).sum()
        good = bool(torch.isfinite(self.group.sum(total.reshape(1).to(self.device))).all())
        if good:
            self.group.average_gradients(parameters)
            self.adam[name].step()
        self.adam[name].zero_grad(set_to_none=True)
        return good

    def _average(self) -> None:
        # Early on the average follows faster, so that samples and short runs are not of the first random weights.
        keep = min(self.options.ema, (1 + self.step_number) / (10 + self.step_number))
        for name, average in self.ema.items():
            follow(average, self.model.nets()[name], keep)

    def averaged(self) -> Model:
        """The model as it would be used: averaged E and G, the live discriminator."""
        facts = {
            "step": self.step_number,
            "variant": self.options.variant,
            "content": self.content.description,
            "losses": self.options.losses,
            "matched_steps": max(0, self.step_number - self.match_from) if self.options.variant == "ft" else 0,
            "lr": self.options.lr,
            "lr_discriminator": self.options.lr_discriminator,
            "units": self.table.rows,
        }
        if self.began_as is not None:
            facts["began_as"] = self.began_as
        embedder, generator = self.ema["embedder"], self.ema["generator"]
        assert isinstance(embedder, Embedder) and isinstance(generator, Generator)
        return Model(self.config, embedder, generator, self.model.discriminator, facts)

    @torch.no_grad()
    def sheet(self, batch: Batch) -> np.ndarray:
        """Contact sheet: a shot, the landmark image, what the averaged model makes, the true frame."""
        model = self.averaged()
        shots, rasters = (to_signed(a, self.device, self.dtype) for a in (batch.shots, batch.shot_rasters))
        style = model.generator.style(model.embedder(shots, rasters))
        made = model.generator(to_signed(batch.raster, self.device, self.dtype), style)
        size = self.config.size
        rows = list(zip(batch.shots[:, 0], batch.raster, to_uint8(made), batch.target, strict=True))
        return grid(rows, (size, size), gap=2, paper=40)

    def _nets(self) -> dict[str, nn.Module]:
        return {**self.model.nets(), **{f"{name}-ema": net for name, net in self.ema.items()}}

    def save(self, folder: RunFolder) -> None:
        """Checkpoint: nets, averages, Adam states, changed rows of W; then the model itself."""
        rows = self.group.gather_dirty(self.table.dirty())
        if self.group.rank == 0:
            state = {"step": self.step_number, "content": self.content.description}
            path = folder.save(self._nets(), self.adam, rows, state)
            self.table.fold_in(rows)
            folder.prune(path)
            with room(folder.path):
                save_checkpoint(folder.path / "model.safetensors", self.averaged())
        self.group.barrier()
        if self.group.rank > 0:
            self.table.reload()

    def resume(self, folder: RunFolder) -> bool:
        """Put the newest whole checkpoint back; False when there is none."""
        path = folder.latest()
        if path is None:
            return False
        state, rows = folder.load(path, self._nets(), self.adam)
        if self.group.rank == 0:
            self.table.fold_in(rows)
        self.group.barrier()
        self.table.reload()
        self.step_number = int(state["step"])
        return True


def train(
    options: Options,
    out: str | Path,
    *,
    device: str | torch.device = "cpu",
    limit_steps: int | None = None,
    session: Session | None = None,
) -> Result:
    """Train until ``options.steps``, resuming whatever ``out`` already holds.

    limit_steps : stop (with a checkpoint) after this many steps of this call. session : told of progress, by the steps of this call alone:
    what an earlier one did would make a rate and a time left that are true of neither.
    SIGTERM and SIGINT end the run after the step in hand, with a checkpoint; kill -9 loses what came after the last.
    """
    device, session = torch.device(device), session or Session()
    group = Group.join(device)
    if device.type == "cpu":
        keep_freed()
    config = preset(options.preset)
    sets = [ShardSet(path, cache=20_000) for path in options.shards]
    sampler = EpisodeSampler(sets, options)
    if sampler.size != config.size:
        what = f"shards of {sampler.size} px do not fit preset {config.name!r}, which is {config.size} px"
        raise UsageError(what, hint="train at the size you will run at: gioconda synth prepare --size")
    if options.batch % (group.world * options.accumulate):
        what = f"a batch of {options.batch} cannot be split over {group.world} processes in {options.accumulate} parts"
        raise UsageError(what)
    folder = RunFolder(out)
    if group.rank == 0:
        units = hashlib.sha256("\n".join(sampler.keys()).encode()).hexdigest()
        folder.start({**asdict(options), "units": units, "config": config.as_dict()}, FIXED)
    group.barrier()
    trainer = Trainer(options, config, len(sampler.units), folder, device, group)
    if trainer.resume(folder):
        session.say(f"resumed at step {trainer.step_number}")
    session.say(f"content loss: {trainer.content.description}")
    for reason, number in sampler.skipped.items():
        session.say(f"skipped: {number} {reason}")
    last = min(options.steps, trainer.step_number + limit_steps if limit_steps else options.steps)
    session.begin(max(0, last - trainer.step_number))
    return _loop(trainer, sampler, folder, last, session)


def _loop(trainer: Trainer, sampler: EpisodeSampler, folder: RunFolder, last: int, session: Session) -> Result:
    options, group = trainer.options, trainer.group
    stop = threading.Event()
    previous = {}
    if threading.current_thread() is threading.main_thread():
        previous = {s: signal.signal(s, lambda *_: stop.set()) for s in (signal.SIGTERM, signal.SIGINT)}
    writer = _events(folder) if group.rank == 0 else None
    stats: dict[str, float] = {}
    saved = trainer.step_number

    def fetch(step: int) -> Batch:
        return sampler.batch(step, options.batch, rank=group.rank, world=group.world)

    fixed = None
    started, since = time.monotonic(), trainer.step_number
    try:
        with ThreadPoolExecutor(1) as loader:
            upcoming: Future[Batch] = loader.submit(fetch, trainer.step_number)
            while trainer.step_number < last:
                batch = upcoming.result()
                upcoming = loader.submit(fetch, trainer.step_number + 1)
                stats = trainer.step(batch)
                step = trainer.step_number
                session.advance(1, f"L1 {stats['l1']:.3f}  D {stats['hinge_d']:.2f}")
                ending = group.any(stop.is_set()) or step >= last
                if group.rank == 0 and (step % options.log_every == 0 or ending):
                    rate = (step - since) / (time.monotonic() - started)
                    row = {"step": step, "steps_per_s": rate, **stats, "skipped": sum(sampler.skipped.values())}
                    folder.log({k: round(v, 6) if np.isfinite(v) else None for k, v in row.items()})
                    assert writer is not None
                    for name, value in row.items():
                        writer.add_scalar(name, value, step)
                if step % options.checkpoint_every == 0 or ending:
                    trainer.save(folder)
                    saved = step
                # After the checkpoint: a picture that cannot be signed must not cost what was learned.
                if group.rank == 0 and (step % options.sample_every == 0 or step >= last):
                    fixed = fixed or sampler.batch(2**31, min(6, max(4, options.batch)))
                    folder.sample(step, trainer.sheet(fixed))
                if ending:
                    break
            upcoming.cancel()
    finally:
        for which, handler in previous.items():
            signal.signal(which, handler)
        if writer is not None:
            writer.close()
    if saved != trainer.step_number or not (folder.path / "model.safetensors").exists():
        trainer.save(folder)
    for reason, number in sampler.skipped.items():
        session.say(f"skipped: {number} {reason}")
    return Result(trainer.step_number, folder.path / "model.safetensors", stop.is_set(), stats)


def _events(folder: RunFolder) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(folder.path / "events")
