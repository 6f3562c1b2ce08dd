"""Describes the networks in numbers: a table block by block beside the paper's totals."""

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from synth.model.config import Config, preset
from synth.model.layers import Conv
from synth.model.networks import Discriminator, Embedder, Generator, count

# Source: Zakharov 2019, §4, in millions, as the paper rounds them.
PAPER = {"E": 15, "G": 38, "V": 20}
_NAMES = {"E": "embedder", "G": "generator", "V": "discriminator"}


def table(config: Config) -> list[dict[str, object]]:
    """Block by block: network, block, channels, resolution out, parameters. Built on the meta device: costs nothing."""
    with torch.device("meta"):
        e, g, v = Embedder(config), Generator(config), Discriminator(config)
    rows: list[dict[str, object]] = []

    def add(net: str, name: str, module: nn.Module, channels: int, size: int) -> None:
        rows.append({"net": net, "block": name, "channels": channels, "size": size, "parameters": count(module)})

    for key, net in (("E", e), ("V", v), ("G", g)):
        if net.outside is not None:
            add(key, "outside", net.outside, config.down[0], config.inner >> 1)
    for key, net in (("E", e), ("V", v)):
        for index, block in enumerate(net.blocks):
            size = config.inner >> (index + 1)
            add(key, f"down{index + 1}", block, config.down[index], size)
            if index == 2 and net.attention is not None:
                add(key, "attention", net.attention, config.down[index], size)
    add("V", "residual", v.last, config.dim, config.inner >> 6)
    for index, block in enumerate([g.first, *g.down]):
        add("G", f"down{index + 1}", block, config.down[index], config.inner >> (index + 1))
        if index == 2 and g.attention_down is not None:
            add("G", "attention", g.attention_down, config.down[index], config.inner >> 3)
    for index, block in enumerate(g.middle):
        add("G", f"adain{index + 1}", block, config.dim, config.inner >> 4)
    for index, block in enumerate(g.up):
        add("G", f"up{index + 1}", block, config.up[index], config.inner >> (3 - index))
        if index == 1 and g.attention_up is not None:
            add("G", "attention", g.attention_up, config.up[1], config.inner >> 2)
    add("G", "last", g.last, 3, config.inner)
    if g.outside_up is not None:
        add("G", "outside up", g.outside_up, 3, config.size)
    assert g.project is not None  # only a personal model lacks it
    add("G", "P", g.project, g.style_values, 1)
    return rows


def cost(config: Config, *, folded: bool) -> dict[str, float]:
    """Forward GFLOP (2 × MAC) of one frame through E, G and V; ``folded`` : ×2 resampling folded into its convolution."""
    with torch.device("meta"):
        e, g, v = Embedder(config), Generator(config), Discriminator(config)
        for net in (e, g, v):
            for layer in net.modules():
                if isinstance(layer, Conv):
                    layer.folded = folded
        x = torch.zeros(1, 3, config.size, config.size)
        calls: dict[str, Callable[[], object]] = {
            "E": lambda: e(x[None], x[None]),
            "G": lambda: g(x, torch.zeros(1, g.style_values)),
            "V": lambda: v(x, x, torch.zeros(1, config.dim)),
        }
        found = {}
        for key, call in calls.items():
            with FlopCounterMode(display=False) as counter:
                call()
            found[key] = counter.get_total_flops() / 1e9
    return found


def describe(name: str) -> str:
    """A text table of a preset's networks, for ``gioconda synth train --dry-run``."""
    config: Config = preset(name)
    rows = table(config)
    lines = [f"preset {config.name}: {config.size} px, width {config.width}, N = {config.dim}", ""]
    lines.append(f"{'network':<14}{'block':<12}{'channels':>9}{'size':>6}{'parameters':>12}")
    for key, title in _NAMES.items():
        net_rows = [row for row in rows if row["net"] == key]
        for row in net_rows:
            lines.append(f"{title:<14}{row['block']:<12}{row['channels']:>9}{row['size']:>6}{row['parameters']:>12,}")
        total = sum(int(str(row["parameters"])) for row in net_rows)
        beside = f"   the paper says {PAPER[key]} M" if config.name == "paper" else ""
        lines.append(f"{title:<14}{'total':<27}{total:>12,}{beside}")
        lines.append("")
    values = next(row["channels"] for row in rows if row["block"] == "P")
    of_w = f"one row of {config.dim} for each training video, beside the networks"
    lines.append(f"AdaIN values a frame: {values:,}; W: {of_w}")
    for title, folded in (("plain", False), ("as computed here, ×2 folded", True)):
        costs = ", ".join(f"{key} {gflop:.1f}" for key, gflop in cost(config, folded=folded).items())
        lines.append(f"GFLOP of one frame forward, {title}: {costs}")
    return "\n".join(lines)
