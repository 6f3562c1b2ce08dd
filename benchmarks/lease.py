"""Checks, measures, trains and evaluates on a GPU that is rented for at most ten minutes, and leaves what was learned in small files.

    python -m benchmarks.lease DATA --out OUT [--device cuda] [--seconds 600]

Built for a bare machine with torch, NumPy, OpenCV, Pillow, safetensors and torchmetrics and nothing else of ours. DATA comes from
:mod:`benchmarks.pack_lease`: clips as H.264, landmarks, and a model to go on from. Frames and landmark images lie on the card as a whole,
a step is one CUDA graph where one can be captured, and losses are read every ``LOOK`` steps. Each stage has its own end, and whatever one raises
is written down and the next begins. The model leaves at a third and at more than half of the time and at the end, always under the same
names, in pieces of at most 16 MB to be joined by ``cat``; ``results.json`` is written after every stage, and last.
"""

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.gpu import pieces
from gioconda_core.files import sha256_of, write_json
from synth.model.config import WEIGHTS, preset
from synth.model.content_loss import build
from synth.model.landmark_image import draw
from synth.model.layers import held, power_iteration
from synth.model.losses import feature_matching, hinge_discriminator, hinge_generator, match
from synth.model.networks import Model, load_checkpoint, save_checkpoint
from synth.model.tensors import compute_dtype
from synth.model.widen import widen

SCHEMA = "gioconda.lease/1"
LOOK = 50  # steps between looks at the losses
SHOTS = 8
# Where each stage ends, as a share of the seconds; training's pieces leave at two places before its end.
CHECKS, FIGURES, TRAINED, EVALUATED = 40 / 600, 75 / 600, 475 / 600, 575 / 600
PIECES_AT = (200 / 600, 330 / 600)
CLIP_NORM = 1e4  # a gradient is no use beyond this; one that is no number is nought


@dataclass(eq=False)
class Data:
    """Everything on the device. frames, rasters : uint8 (N, 3, S, S). units : the rows of each video; held : those nobody trains on."""

    frames: Tensor
    rasters: Tensor
    points: np.ndarray
    units: dict[str, np.ndarray]
    held: dict[str, np.ndarray]


def load(folder: Path, size: int, device: torch.device, most: int = 0, threads: int = 16) -> Data:
    """Decode the clips and draw their landmark images at the network's size. most : clips at most, 0 = all."""
    import cv2

    card = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    rows = card["clips"][:most] if most else card["clips"]
    with np.load(folder / "landmarks.npz", allow_pickle=False) as saved:
        marks = {row["name"]: saved[row["name"]].astype(np.float32) for row in rows}

    def read(row: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        clip = cv2.VideoCapture(str(folder / row["file"]))
        frames = []
        while True:
            good, frame = clip.read()
            if not good:
                break
            scaled = frame if frame.shape[0] == size else cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA)
            frames.append(np.ascontiguousarray(scaled[:, :, ::-1]))
        clip.release()
        count = min(len(frames), len(marks[row["name"]]))
        points = (marks[row["name"]][:count] + 0.5) * (size / card["size"]) - 0.5
        if not count:
            return np.zeros((0, size, size, 3), np.uint8), np.zeros((0, size, size, 3), np.uint8), points
        return np.stack(frames[:count]), np.stack([draw(p, size) for p in points]), points

    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    units: dict[str, np.ndarray] = {}
    held: dict[str, np.ndarray] = {}
    at = 0
    with ThreadPoolExecutor(threads) as pool:
        for row, part in zip(rows, pool.map(read, rows), strict=True):
            if len(part[0]) > SHOTS:
                (held if row["held_out"] else units)[f"{row['identity']}/{row['source']}"] = np.arange(
                    at, at + len(part[0])
                )
                parts.append(part)
                at += len(part[0])
    if not units:
        raise ValueError(f"no clip of {folder} has more than {SHOTS} frames")

    def moved(index: int) -> Tensor:
        return torch.cat([torch.from_numpy(p[index]).movedim(-1, 1).contiguous().to(device) for p in parts])

    return Data(moved(0), moved(1), np.concatenate([p[2] for p in parts]), units, held)


class Training:
    """The networks on the card, and one whole step of meta-learning on what lies there."""

    def __init__(self, data: Data, model: Model, device: torch.device, *, batch: int, seed: int = 0) -> None:
        self.data, self.model, self.device, self.batch, self.seed = data, model, device, batch, seed
        self.config = model.config
        self.dtype = compute_dtype("auto", device)
        for net in model.nets().values():
            net.to(device).requires_grad_(True).train()
        self.average = {
            name: [p.detach().clone() for p in model.nets()[name].parameters()] for name in ("embedder", "generator")
        }
        self.generating = [*model.embedder.parameters(), *model.generator.parameters()]
        self.judging = list(model.discriminator.parameters())
        settings: dict[str, Any] = {
            "betas": (0.0, 0.999), "eps": 1e-5, "fused": device.type == "cuda", "capturable": device.type == "cuda",
        }  # fmt: skip
        self.adam = torch.optim.Adam(self.generating, 5e-5, **settings)
        self.adam_judge = torch.optim.Adam(self.judging, 2e-4, **settings)
        self.content = build("auto", WEIGHTS["v2"], dtype=self.dtype).to(device)
        self.names = sorted(data.units)
        rng = torch.Generator().manual_seed(seed)
        rows = torch.randn(len(self.names), self.config.dim, generator=rng) * 0.02
        self.w = rows.to(device).requires_grad_(True)
        self.w_v, self.w_count = torch.zeros_like(rows, device=device), torch.zeros(len(rows), 1, device=device)
        self.chosen = torch.zeros(batch, SHOTS + 1, dtype=torch.long, device=device)
        self.of = torch.zeros(batch, dtype=torch.long, device=device)
        self.mirrored = torch.zeros(batch, dtype=torch.bool, device=device)
        self.losses = torch.zeros(4, device=device)
        self.steps = 0
        self.graph: Any = None

    def draw(self) -> None:
        """Choose the frames of the next step: K shots and another target of each video, half of the videos mirrored."""
        rng = np.random.default_rng([self.seed, 1, self.steps])
        of = rng.choice(len(self.names), self.batch, replace=len(self.names) < self.batch)
        rows = np.stack([rng.choice(self.data.units[self.names[u]], SHOTS + 1, replace=False) for u in of])
        self.chosen.copy_(torch.from_numpy(rows))
        self.of.copy_(torch.from_numpy(of))
        self.mirrored.copy_(torch.from_numpy(rng.random(self.batch) < 0.5))

    def _gathered(self, pictures: Tensor, *, names: bool) -> Tensor:
        """Chosen frames in [-1, 1], (B, K+1, 3, S, S). names : colours of a landmark image tell left from right, and change with a mirror."""
        found = pictures[self.chosen]
        turned = found.flip(-1)
        if names:  # left brow red and right green, left eye magenta and right cyan: red and green change places
            turned = turned[:, :, [1, 0, 2]]
        found = torch.where(self.mirrored[:, None, None, None, None], turned, found)
        return (found.to(self.dtype) - 127.5) / 127.5

    def mathematics(self) -> None:
        """One generator update and two of the discriminator; nothing here waits for the host.

        The first of the discriminator's takes the passes that the generator's losses went through, as in :class:`synth.training.train.Trainer`.
        """
        model, weights = self.model, WEIGHTS["v2"]
        power_iteration(*model.nets().values())
        frames, rasters = self._gathered(self.data.frames, names=False), self._gathered(self.data.rasters, names=True)
        target, raster = frames[:, -1], rasters[:, -1]
        row = self.w[self.of]
        embedding = model.embedder(frames[:, :-1], rasters[:, :-1])
        fake = model.generator(raster, model.generator.style(embedding))
        with held(model.discriminator):
            of_real, wanted = model.discriminator(target, raster, row)
            of_fake, found = model.discriminator(fake.to(self.dtype), raster, row)
        matched = weights.feature_matching * feature_matching(wanted, found)
        content = self.content(fake, target)
        loss = hinge_generator(of_fake) + matched + content + weights.match * match(embedding, row)
        # Each side's gradients alone: the other's is never computed.
        loss.backward(inputs=self.generating, retain_graph=True)
        self._judge(of_real, of_fake)
        _usable(self.generating)
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        self._update_judge()
        both, twice = torch.cat([target, fake.detach().to(self.dtype)]), raster.repeat(2, 1, 1, 1)
        scores, _ = model.discriminator(both, twice, self.w[self.of].repeat(2, 1))
        hinge = self._judge(*scores.chunk(2))
        self._update_judge()
        for name, average in self.average.items():
            torch._foreach_lerp_(average, [p.detach() for p in model.nets()[name].parameters()], 1 - 0.999)
        self.losses.copy_(
            torch.stack([(fake.detach() - target.float()).abs().mean(), content, matched, hinge]).detach().float()
        )

    def _judge(self, of_real: Tensor, of_fake: Tensor) -> Tensor:
        """The hinge loss; its gradients of the discriminator and of W are computed."""
        hinge = hinge_discriminator(of_real, of_fake)
        hinge.backward(inputs=[*self.judging, self.w])  # type: ignore[no-untyped-call]
        return hinge

    def _update_judge(self) -> None:
        _usable(self.judging)
        self.adam_judge.step()
        self.adam_judge.zero_grad(set_to_none=True)
        self._move_rows()

    @torch.no_grad()
    def _move_rows(self) -> None:
        """One Adam step with β1 = 0 on the rows of W that took part, each with its own count."""
        gradient = self.w.grad
        assert gradient is not None
        gradient.nan_to_num_(0, 0, 0)
        took = torch.zeros_like(self.w_count).index_fill_(0, self.of, 1.0)
        self.w_count += took
        self.w_v.mul_(1 - took * 0.001).addcmul_(gradient, gradient, value=0.001)
        step = 2e-4 * gradient / ((self.w_v / (1 - 0.999**self.w_count).clamp_min(1e-3)).sqrt() + 1e-5)
        self.w -= took * step
        gradient.zero_()

    def capture(self) -> None:
        """Make a step one CUDA graph. Raises where that cannot be done; the step is then run as it is."""
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.draw()
                self.mathematics()
                self.steps += 1
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.mathematics()
        self.graph = graph

    def step(self) -> None:
        """The next step."""
        self.draw()
        if self.graph is None:
            self.mathematics()
        else:
            self.graph.replay()
        self.steps += 1

    def averaged(self) -> Model:
        """The model as it would be used, on the CPU."""
        import copy

        m = self.model
        embedder, generator = copy.deepcopy(m.embedder).cpu(), copy.deepcopy(m.generator).cpu()
        for net, name in ((embedder, "embedder"), (generator, "generator")):
            for mine, value in zip(net.parameters(), self.average[name], strict=True):
                mine.data.copy_(value.cpu())
        facts = {
            "step": self.steps, "variant": "ft", "content": self.content.description, "losses": "v2",
            "matched_steps": self.steps, "lr": 5e-5, "lr_discriminator": 2e-4, "units": len(self.names),
        }  # fmt: skip
        return Model(self.config, embedder, generator, copy.deepcopy(m.discriminator).cpu(), facts)


def _usable(parameters: list[Any]) -> None:
    """Gradients that are no numbers become nought: inside a graph nobody can leave a step out."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.nan_to_num_(0, CLIP_NORM, -CLIP_NORM)


@dataclass
class Rented:
    """The time there is, and what has been found in it; every stage is guarded."""

    out: Path
    seconds: float
    device: torch.device
    begun: float = field(default_factory=time.monotonic)
    results: dict[str, Any] = field(default_factory=dict)

    def left(self, share: float) -> float:
        """Seconds until a share of the time is over."""
        return self.begun + share * self.seconds - time.monotonic()

    def stage(self, name: str, work: Callable[[], Any]) -> Any:
        """Do one thing; what it raises is a result too."""
        began = time.monotonic()
        try:
            value = work()
            self.results[name] = {"state": "done", **(value if isinstance(value, dict) else {})}
        except Exception as error:
            value = None
            self.results[name] = {"state": "failed", "why": f"{type(error).__name__}: {error}"[:500]}
            (self.out / "failures.txt").open("a", encoding="utf-8").write(f"{name}\n{traceback.format_exc()}\n")
        self.results[name]["seconds"] = round(time.monotonic() - began, 2)
        self.results["seconds"] = round(time.monotonic() - self.begun, 2)
        write_json(self.out / "results.json", {"schema": SCHEMA, **self.results})
        print(f"{self.results['seconds']:7.1f} s  {name}: {self.results[name]}", flush=True)
        return value

    def wait(self) -> None:
        """Until the card has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()


# --------------------------------------------------------------------------- stages


def _checks(rented: Rented) -> dict[str, Any]:
    """What machine this is, how fast it multiplies and copies, and whether it draws what a CPU draws."""
    device = rented.device
    found: dict[str, Any] = {"torch": torch.__version__, "device": str(device)}
    if device.type == "cuda":
        found["name"] = torch.cuda.get_device_name(device)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    side, dtype = (8192, torch.bfloat16) if device.type == "cuda" else (512, torch.float32)
    a = torch.randn(side, side, device=device, dtype=dtype)
    found["matmul_tflops"] = round(2 * side**3 / _timed(rented, lambda: a @ a, 5) / 1e12, 2)
    much = torch.zeros((1 << 30) if device.type == "cuda" else (1 << 24), dtype=torch.uint8, device=device)
    found["copy_gbytes_per_s"] = round(2 * much.numel() / _timed(rented, much.clone, 5) / 1e9, 1)
    del much
    model = Model.fresh(preset("pocket"), 0)
    raster, style = torch.rand(2, 3, 64, 64) * 2 - 1, model.generator.style(torch.rand(2, model.config.dim))
    with torch.no_grad():
        here = model.generator(raster, style)
        there = model.generator.to(device)(raster.to(device), style.to(device)).cpu()
    found["difference_from_cpu"] = float((here - there).abs().max())
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = True
    if not found["difference_from_cpu"] < 2e-3:
        raise ValueError(f"this device draws {found['difference_from_cpu']:.4f} otherwise than a CPU")
    return found


def _timed(rented: Rented, work: Callable[[], Any], times: int) -> float:
    """Seconds of one call, the median of some after one to warm up."""
    work()
    rented.wait()
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        rented.wait()
        took.append(time.perf_counter() - begun)
    return float(np.median(took))


def _figures(rented: Rented, name: str) -> dict[str, Any]:
    """Frames a second of a personal model of the paper's size (or the preset's, on a CPU), alone and in batches, with a CUDA graph."""
    from benchmarks.speed.cuda import graphed
    from benchmarks.speed.synth import personal

    config = preset("paper" if rented.device.type == "cuda" else name)
    dtype = compute_dtype("auto", rented.device)
    net = personal(config).module.to(rented.device, dtype).to(memory_format=torch.channels_last)
    found: dict[str, Any] = {"preset": config.name}
    for batch in (1, 32, 128) if rented.device.type == "cuda" else (1,):
        if rented.left(FIGURES) < 3:
            break
        if rented.device.type == "cuda":
            took = _timed(rented, graphed(net, batch, config.size), 20)
        else:
            x = (torch.rand(batch, 3, config.size, config.size) * 2 - 1).to(dtype)
            with torch.inference_mode():
                took = _timed(rented, partial(net, x.to(memory_format=torch.channels_last)), 3)
        found[f"batch_{batch}"] = {"ms": round(1000 * took, 3), "frames_per_s": round(batch / took, 1)}
    return found


def _keep(rented: Rented, training: Training) -> dict[str, Any]:
    """The model so far, in pieces, whole or not at all: pieces of an earlier look are replaced."""
    scratch = rented.out.parent / f".{rented.out.name}-scratch"
    scratch.mkdir(exist_ok=True)
    file = save_checkpoint(scratch / "model.safetensors", training.averaged(), dtype=torch.bfloat16)
    joined = pieces(file, rented.out)
    rows = {"w": training.w.detach().cpu(), "v": training.w_v.cpu(), "count": training.w_count.cpu()}
    save_file(rows, rented.out / "w.safetensors", metadata={"units": json.dumps(training.names)})
    model = {**joined, "step": training.steps, "w_sha256": sha256_of(rented.out / "w.safetensors")}
    rented.results["model"] = model
    return model


def _train(rented: Rented, training: Training) -> dict[str, Any]:
    from torch.utils.flop_counter import FlopCounterMode

    found: dict[str, Any] = {
        "preset": training.config.name,
        "batch": training.batch,
        "content": training.content.description,
    }
    training.draw()
    with FlopCounterMode(display=False) as counted:
        training.mathematics()
    training.steps += 1
    flop = counted.get_total_flops()
    found["gflop_a_sample"] = round(flop / training.batch / 1e9, 1)
    if rented.device.type == "cuda":
        try:
            training.capture()
            found["graph"] = "captured"
        except Exception as error:
            found["graph"] = f"not captured: {type(error).__name__}: {error}"[:300]
            training.graph = None
    curve: list[list[float]] = []
    looks = [share for share in PIECES_AT if rented.left(share) > 0]
    begun, since = time.monotonic(), training.steps
    while rented.left(TRAINED) > 0:
        training.step()
        if training.steps % LOOK == 0 or rented.device.type != "cuda":
            rented.wait()
            l1, content, matched, hinge = (round(float(v), 5) for v in training.losses)
            if training.steps % LOOK == 0 or not curve:
                curve.append([training.steps, l1, content, matched, hinge])
        if looks and rented.left(looks[0]) <= 0:
            rented.wait()
            looks.pop(0)
            rented.stage(f"pieces_at_{training.steps}", lambda: _keep(rented, training))
    rented.wait()
    took = time.monotonic() - begun
    found |= {
        "steps": training.steps, "steps_per_s": round((training.steps - since) / took, 3),
        "tflops": round(flop * (training.steps - since) / took / 1e12, 2),
        "losses": {"columns": ["step", "l1", "content", "feature_matching", "hinge_d"], "rows": curve[:: max(1, len(curve) // 200)]},
    }  # fmt: skip
    ceiling = rented.results.get("checks", {}).get("matmul_tflops")
    if ceiling:
        found["share_of_matmul"] = round(found["tflops"] / ceiling, 3)
    return found


def _evaluations(rented: Rented, training: Training, model: Model) -> Iterator[tuple[str, int, np.ndarray, np.ndarray]]:
    """(generator, T, real, made) of each held-out person, tuned, beside the warp and the copy, while there is time."""
    from synth.generators import CopyGenerator, WarpGenerator
    from synth.person.options import Tune
    from synth.person.tune import tune

    data, size = training.data, training.config.size
    for rows in data.held.values():
        held = rows[-8:]
        real = np.ascontiguousarray(data.frames[held].movedim(1, -1).cpu().numpy())
        for count in (1, SHOTS):
            if rented.left(EVALUATED) < 3 or len(rows) - 8 < count:
                return
            shots = rows[np.unique(np.linspace(0, len(rows) - 9, count).round().astype(int))]
            frames = np.ascontiguousarray(data.frames[shots].movedim(1, -1).cpu().numpy())
            few = min(1.0, max(0.0, rented.left(EVALUATED)) / (0.4 * rented.seconds))
            steps = max(2, round(few * 125)) if rented.device.type == "cuda" else 2
            how = Tune(steps=steps, views=rented.device.type == "cuda")
            person = tune(model, frames, data.points[shots], how, device=rented.device)
            yield "few-shot", count, real, person.render(data.points[held], device=rented.device)
            for made in (WarpGenerator(size), CopyGenerator(size)):
                plain = made.personalise(frames, data.points[shots], mode="ff", steps=None, seed=0)
                yield made.name, count, real, plain.render(data.points[held])


def _evaluate(rented: Rented, training: Training) -> dict[str, Any]:
    from torchmetrics.functional.image import structural_similarity_index_measure as similarity

    from synth.evaluation.perceptual import distances

    perceived, absent = distances()
    figures: dict[str, dict[str, list[float]]] = {"ssim_torchmetrics": {}, **{measure: {} for measure in perceived}}
    rows: list[np.ndarray] = []
    for name, count, real, made in _evaluations(rented, training, training.averaged()):
        a, b = (torch.from_numpy(x).movedim(-1, 1).float() / 255 for x in (real, made))
        value = similarity(b, a, data_range=1.0)
        assert isinstance(value, Tensor)
        found = {"ssim_torchmetrics": float(value)}
        found |= {measure: float(distance(real, made).mean()) for measure, distance in perceived.items()}
        for measure, figure in found.items():
            figures[measure].setdefault(f"{name} T={count}", []).append(round(figure, 4))
        if name == "few-shot":
            rows.append(np.concatenate([real[0], made[0], real[-1], made[-1]], 1))
    if not figures["ssim_torchmetrics"]:
        raise ValueError("no held-out person could be evaluated in the time there was")
    if rows:
        from PIL import Image

        Image.fromarray(np.concatenate(rows[:16])).save(rented.out / "held-out.jpg", quality=88)
    return {
        measure: {name: {"mean": round(float(np.mean(v)), 4), "n": len(v), "each": v} for name, v in each.items()}
        for measure, each in figures.items()
    } | {"absent": absent}


def _begin(folder: Path, name: str, seed: int) -> Model:
    """The packed model, made wider where the preset asks for it, or a fresh one."""
    packed = folder / "init.safetensors"
    return widen(load_checkpoint(packed), preset(name), seed) if packed.exists() else Model.fresh(preset(name), seed)


def _resumed(training: Training, folder: Path) -> int:
    """Rows of W of an earlier lease, by the videos' names; how many were found."""
    if not (folder / "w.safetensors").exists():
        return 0
    with safe_open(folder / "w.safetensors", framework="pt") as file:
        names = json.loads((file.metadata() or {})["units"])
        saved = {name: file.get_tensor(name) for name in ("w", "v", "count")}
    both = [(k, names.index(name)) for k, name in enumerate(training.names) if name in names]
    if not both or saved["w"].shape[1] != training.config.dim:
        return 0
    here, there = (list(column) for column in zip(*both, strict=True))
    with torch.no_grad():
        for mine, name in ((training.w, "w"), (training.w_v, "v"), (training.w_count, "count")):
            mine[here] = saved[name][there].to(mine)
    return len(both)


def main(arguments: list[str] | None = None) -> int:
    """Run the lease; 0 when a trained model came out, 4 when not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("lease-out"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--preset", default="half")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--clips", type=int, default=0, help="at most; 0 = all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    device = torch.device(options.device)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
    rented = Rented(options.out, options.seconds, device)
    rented.stage("checks", lambda: _checks(rented))
    rented.stage("figures", lambda: _figures(rented, options.preset))
    held: list[Training] = []

    def prepared() -> dict[str, Any]:
        data = load(options.data, preset(options.preset).size, device, options.clips)
        model = _begin(options.data, options.preset, options.seed)
        held.append(Training(data, model, device, batch=options.batch, seed=options.seed))
        known = _resumed(held[0], options.data)
        return {
            "frames": len(data.frames),
            "videos": len(data.units),
            "held_out": len(data.held),
            "w_rows_known": known,
        }

    rented.stage("data", prepared)
    if held:
        training = held[0]
        rented.stage("training", lambda: _train(rented, training))
        if training.steps:
            rented.stage("pieces", lambda: _keep(rented, training))
            rented.stage("evaluation", lambda: _evaluate(rented, training))
    rented.results["ended"] = "whole" if rented.results.get("pieces", {}).get("state") == "done" else "without a model"
    write_json(options.out / "results.json", {"schema": SCHEMA, **rented.results})
    return 0 if rented.results["ended"] == "whole" else 4


if __name__ == "__main__":
    sys.exit(main())
