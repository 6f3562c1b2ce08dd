"""Defines networks over face crops: a timm backbone of any name, a head for frames, and over them pooling or a head in time.

A checkpoint is safetensors whose header holds the dimensions that rebuild the network. Pretrained weights come from a file, from the
weights store, or from a model hub when one is named (``hub:OWNER/NAME``: the only thing here that uses the network).
"""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from detect.base import Abstain, Card, abstaining, reading
from detect.face_crops import prepare
from detect.features.model import remember
from gioconda_core import weights
from gioconda_core.device import device as where
from gioconda_core.errors import UsageError, WeightsError
from gioconda_core.files import atomic_path, sha256_of
from gioconda_core.offline import hub_allowed
from gioconda_core.reasons import AbstentionReason
from gioconda_core.types import Footage, Reading, TrackScore

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HUB = "hub:"
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


@dataclass(frozen=True)
class Shape:
    """What a network is, as far as rebuilding it needs.

    unit : features are put on the unit sphere before the head (GenD). temporal : frames a head in time looks at, 0 = pooling.
    crop : mode of :func:`detect.face_crops.prepare`.
    """

    kind: str = "cnn"
    backbone: str = "efficientnet_b0"
    size: int = 224
    unit: bool = False
    temporal: int = 0
    crop: str = "aligned"
    mean: tuple[float, float, float] = IMAGENET[0]
    std: tuple[float, float, float] = IMAGENET[1]


class _InTime(nn.Module):
    """One transformer layer over the features of a window of frames, and attention that weighs them."""

    def __init__(self, width: int, frames: int) -> None:
        super().__init__()
        inner = min(width, 256)
        self.narrow = nn.Linear(width, inner)
        self.place = nn.Parameter(torch.zeros(1, frames, inner))
        self.layer = nn.TransformerEncoderLayer(inner, 4, 2 * inner, dropout=0.1, batch_first=True, norm_first=True)
        self.weigh = nn.Linear(inner, 1)
        self.head = nn.Linear(inner, 1)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, D) → (B,)
        x = self.layer(self.narrow(x) + self.place[:, : x.shape[1]])
        weight = self.weigh(x).softmax(1)
        scores: Tensor = self.head((weight * x).sum(1)).squeeze(-1)
        return scores


class Net(nn.Module):
    """Crops (B, T, 3, S, S), values 0…255 → ``clip`` (B,), ``frames`` (B, T) raw scores, ``features`` (B, T, D)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        import timm

        self.shape = shape
        try:
            options: dict[str, Any] = {"img_size": shape.size} if "vit" in shape.backbone else {}
            self.backbone = timm.create_model(shape.backbone, pretrained=False, num_classes=0, **options)
        except (RuntimeError, TypeError, ValueError) as error:
            raise UsageError(f"timm cannot make {shape.backbone!r}: {error}", where="--backbone") from error
        width = cast(int, self.backbone.num_features)
        self.head = nn.Linear(width, 1)
        self.time = _InTime(width, shape.temporal) if shape.temporal else None
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(shape.mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(shape.std).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        batch, frames = x.shape[:2]
        flat = (x.flatten(0, 1).float() - self.mean) / self.std  # (B·T, 3, S, S)
        features = self.backbone(flat)  # (B·T, D)
        if self.shape.unit:
            features = F.normalize(features.float(), dim=-1)
        each = self.head(features).view(batch, frames)
        features = features.view(batch, frames, -1)
        clip = self.time(features) if self.time is not None else each.mean(1)
        return {"clip": clip, "frames": each, "features": features}


class Undrawn(TorchFunctionMode):
    """Inside, networks are made without drawing weights to begin with, which takes seconds for a large one: those of a checkpoint follow."""

    draws = ("uniform_", "normal_", "trunc_normal_", "kaiming_uniform_", "xavier_uniform_", "erfinv_")
    scales = ("mul_", "add_", "clamp_")  # what is then done to numbers that were drawn

    def __init__(self) -> None:
        super().__init__()
        self.undrawn: dict[int, Tensor] = {}  # kept, so that no other tensor gets the number of one that is gone

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named, name = kwargs or {}, getattr(func, "__name__", "")
        if name in self.draws or (name in self.scales and id(args[0]) in self.undrawn):
            tensor = args[0] if args else named["tensor"]
            self.undrawn[id(tensor)] = tensor
            return tensor
        return func(*args, **named)


def pretrained(backbone: str, start: str = "") -> tuple[str, tuple[Any, Any], dict[str, Tensor] | None]:
    """(timm's name, (mean, std) of its pixels, weights or None) of what ``--backbone`` and ``--start`` name.

    backbone : timm's name, or ``hub:`` and a repository of the hub or the folder of one, in timm's layout (``config.json`` and
    ``model.safetensors``). start : a safetensors file or a name in the weights store; a hub's backbone brings its own.

    Raises
    ------
    UsageError, WeightsError
    """
    from safetensors.torch import load_file
    from timm.models import get_pretrained_cfg

    if not backbone.startswith(HUB):
        usual = get_pretrained_cfg(backbone)
        pixels = (tuple(usual.mean), tuple(usual.std)) if usual else IMAGENET
        if not start:
            return backbone, pixels, None
        path = Path(start) if start.endswith(".safetensors") else weights.store().path(start)
        if not path.is_file():
            raise WeightsError("does not exist", where=str(path))
        return backbone, pixels, load_file(path)
    if start:
        raise UsageError("a hub's backbone brings its own weights", where="--start")
    config, tensors = (_of_hub(backbone.removeprefix(HUB), file) for file in ("config.json", "model.safetensors"))
    document = json.loads(config.read_text(encoding="utf-8"))
    if "architecture" not in document or document.get("model_args"):
        raise UsageError(
            "is not a model that timm makes by name alone", where=backbone, hint="its config.json lacks architecture"
        )
    own = document.get("pretrained_cfg", {})
    return (
        str(document["architecture"]),
        (tuple(own.get("mean", IMAGENET[0])), tuple(own.get("std", IMAGENET[1]))),
        load_file(tensors),
    )


def _of_hub(name: str, file: str) -> Path:
    """One file of a hub's repository, downloaded unless the name is a folder or it is in the hub's own cache."""
    if Path(name).is_dir():
        path = Path(name) / file
        if not path.is_file():
            raise WeightsError(
                f"has no {file}", where=name, hint="weights are read from safetensors, never from pickles"
            )
        return path
    from huggingface_hub import hf_hub_download

    try:
        with hub_allowed():
            return Path(hf_hub_download(name, file))
    except Exception as error:  # no network, no such repository, no safetensors in it: the hub's own words say which
        raise WeightsError(f"{file} cannot be had: {' '.join(str(error).split())[:200]}", where=HUB + name) from error


def begin(net: Net, state: dict[str, Tensor], source: str) -> None:
    """Load a backbone's weights, under timm's names or those its architecture is published under (positions are resampled)."""
    rename = getattr(sys.modules[type(net.backbone).__module__], "checkpoint_filter_fn", None)
    if rename is not None:
        state = rename(state, net.backbone)
    try:
        missing, _ = net.backbone.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise UsageError(
            f"does not fit {net.shape.backbone}: {' '.join(str(error).split())[:200]}", where=source
        ) from None
    if missing:
        raise UsageError(
            f"does not fit {net.shape.backbone}: {len(missing)} tensors missing ({', '.join(missing[:3])})",
            where=source,
        )


def save(net: Net, path: Path) -> str:
    """Write a checkpoint; returns its sha256."""
    from safetensors.torch import save_file

    tensors = {key: value.detach().cpu().contiguous() for key, value in net.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"shape": json.dumps(asdict(net.shape))})
    return sha256_of(path)


def load(path: Path, device: str = "cpu") -> Net:
    """Read a checkpoint that ``save`` wrote."""
    from safetensors import safe_open

    if not path.is_file():
        raise WeightsError("no trained weights here", where=str(path), hint="gioconda detect train makes them")
    with safe_open(path, framework="pt") as file:
        header = (file.metadata() or {}).get("shape")
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    if header is None:
        raise WeightsError("is not a checkpoint of ours", where=str(path))
    shape: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(header).items()}
    with Undrawn():
        net = Net(Shape(**shape))
    net.load_state_dict(tensors)
    return net.to(device).eval()


class NetDetector:
    """A network run over at most ``frames`` crops of each face.

    Parameters
    ----------
    target : run folder with ``model.safetensors`` and ``card.json``, or the checkpoint itself.
    batch : crops at a time. precision : ``float32``, or ``bfloat16``, whose effect on the AUC is yours to
    measure (docs/performance).
    """

    id = "cnn"
    version = "1"
    apart = 0.0  # seconds between crops, at least

    def __init__(
        self,
        target: str | Path,
        device: str = "auto",
        frames: int = 32,
        batch: int = 8,
        precision: str = "float32",
    ) -> None:
        path = Path(target)
        path = path / "model.safetensors" if path.is_dir() else path
        self.device = where(device)
        self.net = load(path, self.device)
        self.shape = self.net.shape
        self.frames, self.batch, self.dtype = frames, batch, getattr(torch, precision)
        self.weights_sha256: str | None = sha256_of(path)
        card = path.parent / "card.json"
        self.card = Card.read(card) if card.is_file() else Card(summary=f"{self.net.shape.backbone}, no card")
        remember(self.weights_sha256, path.parent)

    def scores(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Crops (N, S, S, 3) → scores and the index of the crop in the middle of what each speaks of."""
        step = self.net.shape.temporal
        with torch.inference_mode(), torch.autocast(self.device.split(":")[0], self.dtype, self.dtype != torch.float32):
            if not step:
                out = [
                    self.net(self._tensor(crops[i : i + self.batch][:, None]))["clip"].float().cpu()
                    for i in range(0, len(crops), self.batch)
                ]
                return torch.cat(out).double().numpy(), np.arange(len(crops))
            if len(crops) < step:
                raise Abstain(AbstentionReason.TOO_FEW_FRAMES, seen=len(crops), needed=step)
            starts = np.unique(np.linspace(0, len(crops) - step, max(1, len(crops) // step)).astype(int))
            values = [self.net(self._tensor(crops[None, s : s + step]))["clip"].float().cpu() for s in starts]
            return torch.cat(values).double().numpy(), starts + step // 2

    def _tensor(self, crops: NDArray[np.uint8]) -> Tensor:
        return torch.from_numpy(np.array(crops)).to(self.device).permute(0, 1, 4, 2, 3)

    @abstaining
    def read(self, footage: Footage) -> Reading:
        shape, series = self.shape, []
        for face in prepare(footage, shape.size, mode=shape.crop, step=self.apart, max_frames=self.frames):
            values, at = self.scores(face.crops)
            series.append(TrackScore(face.track, tuple(face.times[at].tolist()), tuple(values.tolist())))
        return reading(self, footage, series)
