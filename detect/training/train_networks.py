"""Training of networks: one loop for ``cnn`` and ``vit-ln``, on a processor, a GPU, or several under torchrun.

The run folder is the truth: ``options.json`` before work starts, ``stats.jsonl`` a row a step or validation, ``checkpoint/`` the
latest state, ``model.safetensors`` and ``card.json`` the best by validation. Run again to resume; ``done.json`` is written last.
Covered: test splits stay shut, validation shares no person, source or pair with training. Not covered: several nodes.
"""

import datetime
import json
import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from detect.base import Card
from detect.figures import Best, Evaluated, Figure
from detect.networks import network, vit_ln
from detect.training import network_crops as frames
from detect.training.dataset import Clips, gather
from detect.training.options import NetworkTraining
from detect.training.validate import draws
from gioconda_core import config
from gioconda_core.datasets.groups import components
from gioconda_core.device import device as where
from gioconda_core.documents import plain, read
from gioconda_core.errors import UsageError
from gioconda_core.files import append_row, atomic_path, clear_unfinished, write_json

Array = NDArray[Any]


def settled(job: NetworkTraining) -> NetworkTraining:
    """The job with what follows from its kind filled in."""
    vit = job.kind == "vit-ln"
    return replace(
        job,
        backbone=job.backbone or ("vit_large_patch14_clip_quickgelu_224" if vit else "efficientnet_b0"),
        tune=job.tune or ("layer-norm" if vit else "all"),
        alignment=(0.1 if vit else 0.0) if job.alignment is None else job.alignment,
        uniformity=(0.5 if vit else 0.0) if job.uniformity is None else job.uniformity,
        frames=max(job.frames, 8) if job.temporal else job.frames,
    )


def holdout(clips: Clips, share: float, seed: int) -> tuple[Array, Array]:
    """(training rows, validation rows): an index's own ``val`` split, else whole groups that share a person, source or pair."""
    own = np.array([s.split == "val" for s in clips.samples])
    names = _groups(clips)
    if own.any():
        inside = {names[i] for i in np.flatnonzero(own)}
        leak = [i for i in np.flatnonzero(~own) if names[i] in inside]
        if leak:
            raise UsageError(
                "a person, source or pair is in both the train and the val split",
                where=clips.samples[leak[0]].path,
                hint="gioconda data split gives splits that do not leak",
            )
        return np.flatnonzero(~own), np.flatnonzero(own)
    members: dict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        members[name].append(i)
    order = sorted(members.values(), key=lambda rows: clips.samples[rows[0]].sha256 or clips.samples[rows[0]].path)
    np.random.default_rng(seed).shuffle(order)
    labels = clips.labels
    val: list[int] = []
    for label in (0, 1):  # each class reaches its share by whole groups
        need = share * int(np.sum(labels == label))
        for rows in order:
            have = sum(int(labels[i] == label) for i in val)
            if (
                have < need
                and any(labels[i] == label for i in rows)
                and rows[0] not in val
                and len(rows) <= 0.5 * len(clips)
            ):
                val += rows
    chosen = np.array(sorted(set(val)), int)
    rest = np.setdiff1d(np.arange(len(clips)), chosen)
    for side in (chosen, rest):
        if set(labels[side].tolist()) != {0, 1}:
            raise UsageError(
                "too few persons to hold some out for validation", hint="give more clips, or an index with a val split"
            )
    return rest, chosen


def _groups(clips: Clips) -> list[str]:
    """A name for each clip's component over persons, sources and pairs."""
    shared = [
        [(kind, value) for kind, value in (("i", s.identity), ("s", s.source), ("f", s.sha256), ("f", s.pair)) if value]
        for s in clips.samples
    ]
    return [f"#{first}" for first in components(shared)]


def auc_interval(scores: Array, labels: Array, persons: Array, seed: int = 0, resamples: int = 500) -> Figure:
    """AUC with its 95 % interval by bootstrap over persons."""
    real, fake = np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)
    win = (scores[fake][:, None] > scores[real][None]) + 0.5 * (scores[fake][:, None] == scores[real][None])
    sides = [(weight[fake], weight[real]) for weight in draws(persons, seed, resamples)]
    values = [float(a @ win @ b / a.sum() / b.sum()) for a, b in sides if a.sum() and b.sum()]
    low, high = np.percentile(values, [2.5, 97.5]) if values else (0.0, 1.0)
    return Figure(float(win.mean()), float(low), float(high), len(real), len(fake), len(np.unique(persons)))


def train(given: NetworkTraining, advance: Callable[..., object] | None = None) -> Best:
    """Train, resume or find the run done; returns the best validation figure."""
    options = settled(given)
    out = Path(options.out)
    rank, world, local = (
        int(os.environ.get(key, default)) for key, default in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))
    )
    if (out / "done.json").is_file():
        return read(Best, json.loads((out / "done.json").read_text())["best"])
    device = where(options.device)
    if world > 1:
        torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")
        device = f"cuda:{local}" if device == "cuda" else device
    try:
        return _run(options, out, _Process(rank, world, device), advance)
    finally:
        if world > 1:
            torch.distributed.destroy_process_group()


@dataclass(frozen=True)
class _Process:
    """One of the processes that train together. rank : from 0, which writes what all come to. world : how many there are."""

    rank: int
    world: int
    device: str


@dataclass(frozen=True)
class _State:
    """How far a run has come. waited : validations since the best."""

    step: int = 0
    best: Best | None = None
    waited: int = 0


class _Learner:
    """A network and what trains it. folder : of the checkpoint that it goes on from, where there is one."""

    def __init__(self, options: NetworkTraining, process: _Process, folder: Path) -> None:
        backbone, (mean, std), weights = network.pretrained(options.backbone, options.start)
        window = options.frames if options.temporal else 0
        shape = network.Shape(
            options.kind, backbone, options.size, options.kind == "vit-ln", window, mean=mean, std=std
        )
        self.options, self.device, self.folder = options, process.device, folder
        self.net = network.Net(shape)
        if weights is not None:
            network.begin(self.net, weights, options.start or options.backbone)
        self.net.to(process.device)
        moving = set(vit_ln.trainable(self.net, options.tune))
        for name, parameter in self.net.named_parameters():
            parameter.requires_grad_(name in moving)
        self.moving = [p for p in self.net.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(self.moving, options.rate, weight_decay=options.decay)
        self.state = self._resumed() if (folder / "state.json").is_file() else _State()
        self.module: Any = torch.nn.parallel.DistributedDataParallel(self.net) if process.world > 1 else self.net

    def step(self, number: int, crops: Array, labels: Array) -> float:
        """One step of the optimiser, on crops (B, T, S, S, 3) and labels (B,), 1 = fake; returns the loss."""
        options = self.options
        for group in self.optimiser.param_groups:  # warmed up over 50 steps, then down along a cosine
            group["lr"] = (
                options.rate * min(1.0, (number + 1) / 50) * 0.5 * (1 + np.cos(np.pi * number / options.steps))
            )
        self.net.train()
        if options.tune == "probe":
            self.net.backbone.eval()
        with torch.autocast(self.device.split(":")[0], torch.bfloat16, options.bf16):
            given = self.module(torch.from_numpy(crops).to(self.device).permute(0, 1, 4, 2, 3))
        loss = vit_ln.losses(given, torch.from_numpy(labels).to(self.device), options)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.moving, 1.0)
        self.optimiser.step()
        return loss.item()

    def validate(self, clips: Clips, crops: dict[int, frames.Crops], rows: Array) -> Figure:
        """Video AUC of the validation clips, eight even crops (or one window) each."""
        self.net.eval()
        scores = []
        with torch.inference_mode():
            for i in rows:
                of = crops[int(i)].crops
                count = self.net.shape.temporal or min(8, len(of))
                pick = np.linspace(0, len(of) - 1, count).round().astype(int)
                x = torch.from_numpy(np.ascontiguousarray(of[pick])).to(self.device).permute(0, 3, 1, 2)[None]
                scores.append(float(self.net(x)["clip"].float().cpu()))
        return auc_interval(np.array(scores), clips.labels[rows], clips.persons[rows], self.options.seed)

    def save(self, state: _State) -> None:
        """Everything a resumed run needs, as tensors and JSON; ``state.json`` last, so that a torn checkpoint is not one."""
        from safetensors.torch import save_file

        network.save(self.net, self.folder / "model.safetensors")
        moments: dict[str, torch.Tensor] = {}
        for number, values in self.optimiser.state_dict()["state"].items():
            for key, value in values.items():
                moments[f"{number}.{key}"] = torch.as_tensor(value).detach().cpu().contiguous()
        with atomic_path(self.folder / "optimiser.safetensors") as path:
            save_file(moments, path)
        write_json(self.folder / "state.json", plain(state))

    def _resumed(self) -> _State:
        from safetensors.torch import load_file

        self.net.load_state_dict(load_file(self.folder / "model.safetensors"))
        document = self.optimiser.state_dict()
        restored: dict[int, dict[str, Any]] = defaultdict(dict)
        for name, value in load_file(self.folder / "optimiser.safetensors").items():
            number, key = name.split(".", 1)
            restored[int(number)][key] = value
        document["state"] = dict(restored)
        self.optimiser.load_state_dict(document)
        return read(_State, json.loads((self.folder / "state.json").read_text()))


def _run(options: NetworkTraining, out: Path, process: _Process, advance: Callable[..., object] | None) -> Best:
    clips, first = gather(options.index), process.rank == 0
    if first:
        out.mkdir(parents=True, exist_ok=True)
        if (out / "options.json").exists():
            clear_unfinished(out)
        write_json(out / "options.json", plain(options))
    torch.manual_seed(options.seed)
    learner = _Learner(options, process, out / "checkpoint")
    train_rows, val_rows = holdout(clips, options.held_out, options.seed)
    crops = _crops(clips, options)
    train_rows, val_rows = (np.array([i for i in rows if int(i) in crops], int) for rows in (train_rows, val_rows))
    pairs = frames.partners(clips, train_rows)
    step, best, waited = learner.state.step, learner.state.best, learner.state.waited
    if advance and step:
        advance(step)
    while step < options.steps and waited < options.patience:
        rng = np.random.default_rng([options.seed, step, process.rank])
        share = max(1, options.pairs // process.world)
        loss = learner.step(step, *frames.draw(clips, crops, pairs, rng, share, options))
        step += 1
        if first:
            append_row(out / "stats.jsonl", {"step": step, "loss": round(loss, 5)})
            if advance:
                advance(1)
        last = step == options.steps
        if step % options.validate_every == 0 or last:
            found = _of_first(lambda: learner.validate(clips, crops, val_rows), process)
            # The lower end decides: on few persons a lucky value is easy, a lucky interval is not.
            if best is None or (found.low or 0.0) > (best.figure.low or 0.0):
                best, waited = Best(found, step), 0
                if first:
                    _keep(learner.net, options, clips, found, out)
            else:
                waited += 1
            if first:
                append_row(out / "stats.jsonl", {"step": step, "validation": plain(found)})
        if first and (step % options.save_every == 0 or last):
            learner.save(_State(step, best, waited))
    assert best is not None
    if first:
        write_json(out / "done.json", {"best": plain(best), "steps": step})
    return best


def _of_first(measure: Callable[[], Figure], process: _Process) -> Figure:
    """What the first process measures, sent to all: batch statistics differ between them, and two that disagree on when to stop
    would wait for each other for ever."""
    if process.world == 1:
        return measure()
    own = measure() if process.rank == 0 else Figure(0.0, 0.0, 0.0, 0, 0)
    sides = [own.value, own.low, own.high, own.reals, own.fakes, own.persons]
    values = torch.tensor(sides, dtype=torch.float64, device=process.device)
    torch.distributed.broadcast(values, 0)
    value, low, high, reals, fakes, persons = values.tolist()
    return Figure(value, low, high, int(reals), int(fakes), int(persons))


def _crops(clips: Clips, options: NetworkTraining) -> dict[int, frames.Crops]:
    folder = (options.cache or config.core().cache) / "detect-crops"
    mode = network.Shape().crop
    found = {i: frames.cached(clips.path(i), s.sha256, folder, options.size, mode) for i, s in enumerate(clips.samples)}
    return {i: value for i, value in found.items() if value is not None}


def _keep(net: network.Net, options: NetworkTraining, clips: Clips, best: Figure, out: Path) -> None:
    """The best so far, with its card."""
    sha256 = network.save(net, out / "model.safetensors")
    methods = sorted({m for m in clips.methods.tolist() if m})
    card = Card(
        summary=f"{options.backbone}, {options.tune}"
        + (", a head in time" if options.temporal else ", mean over frames"),
        trained_on=f"{options.name}: {int(np.sum(clips.labels == 0))} real and {int(clips.labels.sum())} fake clips "
        f"({', '.join(methods)}), self-blended images for {options.self_blend:.0%} of the fakes",
        evaluated=(
            Evaluated.of(
                best,
                options.name,
                "auc/video@8f-even",
                "validation: person, source and pair unseen, methods seen; chosen as the best, so optimistic",
            ),
        ),
        limits=("Measured only on its validation clips: measure it with gioconda bench run before quoting a figure.",),
        licence=options.licence,
        recipe=options.command,
        date=datetime.date.today().isoformat(),
        clips=clips.known,
        extra={"weights_sha256": sha256},
    )
    card.write(out)
