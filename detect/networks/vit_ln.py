"""A vision transformer frozen but for a linear probe, or with its LayerNorms tuned: features on the unit sphere, pulled together by
label and spread out over the sphere.

Source: Yermakov 2025, *Deepfake Detection that Generalizes Across Benchmarks* (GenD). ``vit-ln:RUN`` is what
``gioconda detect train vit-ln`` wrote; ``vit-ln:gend-clip-l14`` and ``vit-ln:gend-pe-l`` are GenD's published weights, read from
the weights store (``gioconda models pull``), with GenD's own crop.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from detect.base import Card
from detect.networks.network import CLIP, Net, NetDetector, Shape
from gioconda_core import weights
from gioconda_core.device import device as where
from gioconda_core.errors import WeightsError
from gioconda_core.files import sha256_of

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
    """See :class:`detect.networks.network.NetDetector`; ``target`` may also name GenD's weights in the store."""

    id = "vit-ln"

    def __init__(self, target: str | Path, device: str = "auto", **options: Any) -> None:
        if str(target) not in GEND:
            super().__init__(target, device, **options)
            return
        from safetensors.torch import load_file

        path = weights.store().path(str(target))
        self.device = where(device)
        self.net = from_gend(load_file(path), GEND[str(target)]).to(self.device).eval()
        self.frames = int(options.get("frames", 32))
        self.batch = int(options.get("batch", 8))
        self.dtype = getattr(torch, options.get("precision", "float32"))
        self.weights_sha256 = sha256_of(path)
        self.id = str(target)
        self.card = Card(
            summary=f"GenD as published ({GEND[str(target)].backbone}), LayerNorm-tuned",
            trained_on="FaceForensics++ (by its authors)",
            limits=("Not trained, measured or calibrated here: scores are rank only.",),
            licence="MIT (code and weights, by its authors); the backbone has its own",
        )


def losses(out: dict[str, Tensor], labels: Tensor, options: Any) -> Tensor:
    """GenD's loss on clip features: cross-entropy, alignment 0.1, uniformity 0.5 by default. ``options`` : the run's."""
    loss = F.binary_cross_entropy_with_logits(out["clip"].float(), labels)
    if options.alignment or options.uniformity:
        flat = out["features"].float().flatten(0, 1)
        each = labels.repeat_interleave(out["features"].shape[1])
        loss = loss + options.alignment * alignment(flat, each) + options.uniformity * uniformity(flat)
    return loss
