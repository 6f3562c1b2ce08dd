"""A vision transformer frozen but for a linear probe or its LayerNorms (GenD).

Its features lie on the unit sphere; training pulls those of one label together and spreads all of them over the sphere.
Source: Yermakov 2025, *Deepfake Detection that Generalizes Across Benchmarks* (GenD). ``vit-ln:RUN`` is what
``gioconda detect train vit-ln`` wrote; ``vit-ln:gend-clip-l14`` and ``vit-ln:gend-pe-l`` are GenD's published weights, read from
the weights store (``gioconda models pull``), with GenD's own crop.
"""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from detect import converted
from detect.base import Card
from detect.networks.network import CLIP, Net, NetDetector, Shape, Undrawn
from gioconda_core import weights
from gioconda_core.device import device as where
from gioconda_core.errors import WeightsError

GEND = {
    "gend-clip-l14": Shape("vit-ln", "vit_large_patch14_clip_quickgelu_224", 224, True, 0, "five-point", *CLIP),
    "gend-pe-l": Shape(
        "vit-ln", "vit_pe_core_large_patch14_336", 224, True, 0, "five-point", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    ),
}


def alignment(features: Tensor, labels: Tensor) -> Tensor:
    """Mean squared distance between features of the same label. Source: Wang & Isola 2020, §4.1, within labels."""
    same = (labels[:, None] == labels[None]).triu(1)
    if not same.any():
        return features.new_zeros(())
    i, j = same.nonzero(as_tuple=True)
    return (features[i] - features[j]).square().sum(1).mean()


def uniformity(features: Tensor, t: float = 2.0) -> Tensor:
    """Log of the mean Gaussian potential between features: least when they are spread over the sphere. Wang & Isola 2020, §4.1."""
    return torch.pdist(features.float()).square().mul(-t).exp().mean().clamp(min=1e-6).log()


def trainable(net: Net, tune: str) -> list[str]:
    """Names of the parameters training moves: the head, and with ``layer-norm`` every normalisation of the backbone."""
    if tune == "all":
        return [name for name, _ in net.named_parameters()]
    norms = {
        f"{name}.{leaf}"
        for name, module in net.backbone.named_modules(prefix="backbone")
        if isinstance(module, torch.nn.LayerNorm) or type(module).__name__.startswith("LayerNorm")
        for leaf, _ in module.named_parameters(recurse=False)
    }
    keep = norms if tune == "layer-norm" else set()
    return [name for name, _ in net.named_parameters() if name in keep or not name.startswith("backbone.")]


def from_gend(tensors: Mapping[str, Tensor], shape: Shape) -> Net:
    """GenD's published checkpoint (Hugging Face's names for CLIP, timm's for PE) as a network of ours.

    Its two logits become one raw score: fake minus real.
    """
    with Undrawn():
        net = Net(shape)
    state: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if name.startswith("feature_extractor.vision_model."):
            state |= _clip_name(name.removeprefix("feature_extractor.vision_model."), value, tensors)
        elif name.startswith("feature_extractor.backbone."):
            state[f"backbone.{name.removeprefix('feature_extractor.backbone.')}"] = value
    try:
        weight, bias = tensors["model.linear.weight"], tensors["model.linear.bias"]
    except KeyError as error:
        raise WeightsError(f"is not a GenD checkpoint: it lacks {error}") from None
    state["head.weight"], state["head.bias"] = (weight[1] - weight[0])[None], (bias[1] - bias[0])[None]
    missing, unexpected = net.load_state_dict(state, strict=False)
    if missing or unexpected:
        raise WeightsError(
            f"does not fit {shape.backbone}: {len(missing)} tensors missing ({', '.join(missing[:3])}), {len(unexpected)} unknown"
        )
    return net


_CLIP = {
    "embeddings.patch_embedding.weight": "patch_embed.proj.weight",
    "pre_layrnorm": "norm_pre",  # the spelling is Hugging Face's
    "post_layernorm": "norm",
}
_BLOCK = {
    "layer_norm1": "norm1",
    "layer_norm2": "norm2",
    "self_attn.out_proj": "attn.proj",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}


def _clip_name(name: str, value: Tensor, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One tensor of Hugging Face's CLIP vision model under timm's name; queries, keys and values are joined."""
    if name == "embeddings.class_embedding":
        return {"backbone.cls_token": value.view(1, 1, -1)}
    if name == "embeddings.position_embedding.weight":
        return {"backbone.pos_embed": value[None]}
    if name == "embeddings.position_ids":
        return {}
    if name.startswith("encoder.layers."):
        _, _, number, rest = name.split(".", 3)
        part, _, leaf = rest.rpartition(".")
        block = f"backbone.blocks.{number}"
        if part.startswith("self_attn.") and part != "self_attn.out_proj":
            if not part.endswith("q_proj"):
                return {}
            stem = f"feature_extractor.vision_model.encoder.layers.{number}.self_attn"
            return {f"{block}.attn.qkv.{leaf}": torch.cat([tensors[f"{stem}.{x}_proj.{leaf}"] for x in "qkv"])}
        return {f"{block}.{_BLOCK.get(part, part)}.{leaf}": value}
    for theirs, ours in _CLIP.items():
        if name.startswith(theirs):
            return {f"backbone.{ours}{name.removeprefix(theirs)}": value}
    return {f"backbone.{name}": value}


class VitLnDetector(NetDetector):
    """See :class:`detect.networks.network.NetDetector`; ``target`` may also name GenD's weights in the store, see :class:`Published`."""

    id = "vit-ln"

    def __new__(cls, target: str | Path, *args: Any, **options: Any) -> "VitLnDetector":
        return super().__new__(Published if str(target) in GEND else cls)


class Published(VitLnDetector):
    """GenD as its authors published it, by OpenVINO on a processor and by torch on a GPU, or where a precision is named.

    Crops lie 0.2 s apart: of two neighbouring frames the second would tell nothing more. The network is loaded with the first reading.
    """

    apart = 0.2

    def __init__(
        self, target: str | Path, device: str = "auto", frames: int = 32, batch: int = 8, precision: str = ""
    ) -> None:
        name, store = str(target), weights.store()
        self.path = store.path(name)
        self.weights_sha256 = store.record(name).sha256
        self.device, self.shape, self.id = where(device), GEND[name], name
        self.frames, self.batch, self.dtype = frames, batch, getattr(torch, precision or "float32")
        self.converted = not precision and self.device == "cpu"
        self._loading = threading.Lock()
        self._loaded: Any = None
        self.card = Card(
            summary=f"GenD as published ({self.shape.backbone}), LayerNorm-tuned",
            trained_on="FaceForensics++ (by its authors)",
            limits=("Not trained, measured or calibrated here: scores are rank only.",),
            licence="MIT (code and weights, by its authors); the backbone has its own",
        )

    def ready(self) -> Any:
        """The network, loaded on the first call: compiled, or a torch module."""
        with self._loading:
            if self._loaded is None:
                self._loaded = self._compiled() if self.converted else self._torch()
            return self._loaded

    def _torch(self) -> Net:
        from safetensors.torch import load_file

        return from_gend(load_file(self.path), self.shape).to(self.device).eval()

    def _compiled(self) -> Any:
        side = self.shape.size
        file = converted.cache_file("published", self.weights_sha256 or "")
        return converted.compiled(file, lambda: _Scores(self._torch()), (1, 3, side, side))

    def scores(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        network = self.ready()
        if not self.converted:
            self.net = network
            return super().scores(crops)
        x = np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32)
        found = [network(x[i : i + self.batch])[0] for i in range(0, len(x), self.batch)]
        return np.concatenate(found).astype(np.float64), np.arange(len(x))


class _Scores(nn.Module):
    """Crops (B, 3, S, S), values 0…255 → scores (B,)."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.net(x[:, None])["clip"]
        return scores


def losses(out: dict[str, Tensor], labels: Tensor, options: Any) -> Tensor:
    """GenD's loss on clip features: cross-entropy, alignment 0.1, uniformity 0.5 by default. ``options`` : the run's."""
    loss = F.binary_cross_entropy_with_logits(out["clip"].float(), labels)
    if options.alignment or options.uniformity:
        flat = out["features"].float().flatten(0, 1)
        each = labels.repeat_interleave(out["features"].shape[1])
        loss = loss + options.alignment * alignment(flat, each) + options.uniformity * uniformity(flat)
    return loss
