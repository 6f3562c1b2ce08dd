"""A personal model: the generator of one person, with nothing in it that only training needed.

Spectral norms are divided in, ψ′ is a constant, embedder and P are gone; ×2 resampling is folded into its neighbouring
convolution when the file is loaded (the file keeps the smaller 3×3 kernels). Landmarks in, frames out.
"""

import copy
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor, nn

from gioconda_core.errors import UsageError, WeightsError
from gioconda_core.files import refuse_overwrite, sha256_of, write_json
from synth.model.config import Config
from synth.model.landmark_image import rasters_of
from synth.model.layers import Conv, convolved, spectral_modules
from synth.model.networks import Generator, read_model, write_model
from synth.model.tensors import compute_dtype

SCHEMA = "gioconda.personal/1"
RUNTIMES = ("auto", "torch", "openvino")
Runtime = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # landmark images (N, 3, S, S) → frames, both in [-1, 1]
# Frames × pixels from which compiling for OpenVINO (seconds) pays: about a hundred frames of 256 px.
_WORTH_COMPILING = 100 * 256 * 256


class FoldedConv(nn.Module):
    """An ordinary convolution that stands for a spectrally normalised one and its resampling."""

    def __init__(self, conv: Conv) -> None:
        super().__init__()
        with torch.no_grad():
            weight = conv.folded_weight().contiguous(memory_format=torch.channels_last)
            self.weight = nn.Parameter(weight, requires_grad=False)
            self.bias = None if conv.bias is None else nn.Parameter(conv.bias.clone(), requires_grad=False)
        self.resample = conv.resample

    def forward(self, x: Tensor) -> Tensor:
        return convolved(x, self.weight, self.bias, self.resample)


def folded(module: nn.Module) -> nn.Module:
    """Replace every spectrally normalised convolution below ``module`` by the ordinary one it amounts to; in place."""
    for name, child in module.named_children():
        if isinstance(child, Conv):
            setattr(module, name, FoldedConv(child))
        else:
            folded(child)
    return module


class _Fixed(nn.Module):
    """The folded generator with ψ′ inside: landmark images in, frames out; what runtimes compile."""

    def __init__(self, generator: Generator, style: Tensor) -> None:
        super().__init__()
        self.generator = folded(copy.deepcopy(generator).float())
        self.style: Tensor
        self.register_buffer("style", style.detach().float().clone())

    def forward(self, rasters: Tensor) -> Tensor:
        """(N, 3, S, S) in [-1, 1] → the same."""
        out: Tensor = self.generator(rasters, self.style.expand(rasters.shape[0], -1))
        return out


@dataclass(eq=False)
class PersonalModel:
    """One person's generator.

    generator : baked, without P. style : ψ′ (1, values). facts : plain JSON about how it was made (T, mode, steps,
    sha256 of the model tuned from). sha256 : of the file, once saved or loaded.
    """

    config: Config
    generator: Generator
    style: Tensor
    facts: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    _nets: dict[torch.device, nn.Module] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, generator: Generator, style: Tensor, facts: Mapping[str, Any]) -> "PersonalModel":
        """Strip a trained generator down to one person. style : (1, values)."""
        bare = copy.deepcopy(generator).cpu().float().eval().requires_grad_(False)
        bare.project = None
        for layer in spectral_modules(bare):
            layer.bake()
        return cls(generator.config, bare, style.detach().cpu().float().reshape(1, -1), dict(facts))

    # ---- running

    @cached_property
    def module(self) -> nn.Module:
        """The network runtimes compile: landmark images (N, 3, S, S) in [-1, 1] → frames in [-1, 1]."""
        return _Fixed(self.generator, self.style).eval().requires_grad_(False)

    def render(
        self,
        landmarks: NDArray[np.floating],
        *,
        runtime: str = "auto",
        device: str | torch.device = "cpu",
        batch: int = 8,
    ) -> NDArray[np.uint8]:
        """Frames for poses.

        Parameters
        ----------
        landmarks : (N, 68, 2) or (68, 2), pixels of this model's size × size crop.
        runtime : ``torch``, ``openvino``, or ``auto``: OpenVINO on a CPU where the clip is long enough to repay compiling it.

        Returns
        -------
        uint8 (N, S, S, 3) RGB.
        """
        points = np.asarray(landmarks, np.float32)
        points = points[None] if points.ndim == 2 else points
        if runtime not in RUNTIMES:
            raise UsageError(f"no runtime {runtime!r}", where="runtime", hint=f"one of {', '.join(RUNTIMES)}")
        size = self.config.size
        device = torch.device(device)
        if runtime == "auto":
            # By this call alone, not by what was drawn before: a replay of one clip of many must take the same way.
            long = len(points) * size * size >= _WORTH_COMPILING
            runtime = "openvino" if device.type == "cpu" and long else "torch"
        run = self._openvino if runtime == "openvino" else self._torch(device)
        frames = np.empty((len(points), size, size, 3), np.uint8)
        for start in range(0, len(points), batch):
            made = run(rasters_of(points[start : start + batch], size))
            frames[start : start + batch] = np.clip(np.round((made + 1) * 127.5), 0, 255).transpose(0, 2, 3, 1)
        return frames

    def _torch(self, device: torch.device) -> Runtime:
        dtype = compute_dtype("auto", device)
        if device not in self._nets:
            self._nets[device] = copy.deepcopy(self.module).to(device, dtype).to(memory_format=torch.channels_last)
        net = self._nets[device]

        def run(x: NDArray[np.float32]) -> NDArray[np.float32]:
            with torch.inference_mode():
                tensor = torch.from_numpy(x).to(device, dtype, memory_format=torch.channels_last)
                made: NDArray[np.float32] = net(tensor).float().cpu().numpy()
                return made

        return run

    @cached_property
    def _openvino(self) -> Runtime:
        return compile_openvino(self)

    # ---- files

    @staticmethod
    def at(path: str | os.PathLike[str]) -> bool:
        """Whether a file calls itself a personal model; a file that cannot be read does not."""
        try:
            with safe_open(Path(path), framework="pt") as file:
                return (file.metadata() or {}).get("schema") == SCHEMA
        except Exception:  # torn, foreign or missing: whoever loads it says what is wrong
            return False

    def save(self, path: str | os.PathLike[str], *, dtype: torch.dtype = torch.bfloat16, force: bool = False) -> Path:
        """Write one safetensors file, and beside it a card (``.json``) saying how it was made."""
        path = Path(path)
        refuse_overwrite(path, force)
        # Power iteration vectors are training's; W/σ is all that is kept.
        state = {n: v for n, v in self.generator.state_dict().items() if not n.endswith((".u", ".v"))}
        tensors = {name: value.to(dtype).contiguous().clone() for name, value in {**state, "style": self.style}.items()}
        self.sha256 = sha256_of(write_model(path, SCHEMA, self.config, self.facts, tensors))
        card = {
            "schema": SCHEMA,
            "sha256": self.sha256,
            "config": self.config.as_dict(),
            "parameters": sum(value.numel() for value in tensors.values()),
            "dtype": str(dtype).removeprefix("torch."),
            "facts": dict(self.facts),
        }
        write_json(path.with_suffix(".json"), card)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "PersonalModel":
        """Read a personal model. Raises WeightsError when the file is missing, broken or something else."""
        path = Path(path)
        with read_model(path, SCHEMA, "personal model", "gioconda synth tune") as (file, config, facts):
            with torch.device("meta"):  # shapes alone: nothing is drawn only to be replaced
                generator = Generator(config)
            generator.project = None
            state = {name: file.get_tensor(name).float() for name in file.keys() if name != "style"}  # noqa: SIM118
            missing, unexpected = generator.load_state_dict(state, strict=False, assign=True)
            if unexpected or any(not name.endswith((".u", ".v")) for name in missing):
                raise WeightsError("does not hold the tensors of its own dimensions", where=str(path))
            for layer in spectral_modules(generator):
                layer.baked, layer.u, layer.v = True, torch.empty(0), torch.empty(0)
            style = file.get_tensor("style").float()
        return cls(config, generator.eval().requires_grad_(False), style, facts, sha256_of(path))


def compile_openvino(model: PersonalModel, *, precision: str | None = None) -> Runtime:
    """A function from landmark images (N, 3, S, S) float32 to frames, compiled by OpenVINO for this CPU.

    precision : ``f32``, ``bf16``; None lets OpenVINO take what the CPU multiplies fastest.
    """
    import openvino as ov

    converted = openvino_graph(model)
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    if precision:
        settings["INFERENCE_PRECISION_HINT"] = precision
    compiled = ov.Core().compile_model(converted, "CPU", settings)
    return lambda x: compiled(x)[0]


def openvino_graph(model: PersonalModel) -> Any:
    """The model as OpenVINO's own graph, for any number of frames."""
    import openvino as ov

    size = model.config.size
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of each norm, that its channels are constant
        return ov.convert_model(model.module, example_input=torch.zeros(1, 3, size, size), input=[(-1, 3, size, size)])
