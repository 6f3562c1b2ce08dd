"""Makes a wider network, or one of one more block, that does at first exactly what a smaller one did: the curriculum from ``sketch`` to ``paper``.

Net2Net's own way (Chen 2016: channels twice, outgoing weights halved) does not survive spectral norm, which holds each layer's gain at one: a
layer from three colours to twice the channels would answer √2 more quietly in each, and P likewise. Here what was learned stays as
it is in the first channels, which take nothing from the new ones; the new ones begin as a fresh network does, orthogonal, and also listen
to the old. Their rows lie in the complement of the old rows' space and are as long as those, so σ, and with it every old weight, is what it was.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gioconda_core.errors import UsageError
from synth.model.config import Config
from synth.model.layers import Attention, Spectral
from synth.model.networks import Generator, Model


@torch.no_grad()
def widen(model: Model, config: Config, seed: int = 0) -> Model:
    """The model in ``config``'s dimensions: itself where the widths agree, whatever the picture's size.

    model : in float32, with E and P, as :func:`synth.model.networks.load_checkpoint` gives it; it is left alone. seed : of the new channels.

    A ``config`` that is grown goes on from a model that is not: its block outside begins silent.

    Raises UsageError when ``config`` is narrower, or has attention and the model has not, or the other way round, or lacks the model's block outside.
    """
    old = model.config
    if old.grown and not config.grown:
        raise UsageError(f"is of preset {old.name!r}, which has a block more than {config.name!r}", where="--init")
    if config.attention != old.attention:
        raise UsageError("one has attention layers and the other has not", where="--init")
    if config.width < old.width:
        what = f"is of preset {old.name!r} (width {old.width}), wider than {config.name!r} (width {config.width})"
        raise UsageError(what, "--init", f"give --preset {old.name}, or a checkpoint no wider")
    wide = Model.fresh(config, seed)
    for name, net in wide.nets().items():
        _fill(net, model.nets()[name])
    wide.discriminator.w0[old.dim :] = 0
    return wide


def _fill(wide: nn.Module, narrow: nn.Module) -> None:
    """Put the narrow network's numbers into the wide one, module by module."""
    own = dict(narrow.named_modules())
    # New queries would shift what old ones attend to, so they begin as zero.
    silent = {id(layer.f) for layer in wide.modules() if isinstance(layer, Attention)}
    for name, new in wide.named_modules():
        if name not in own:
            continue  # a block outside, which begins silent
        old = own[name]
        rows: Rows = slice
        if isinstance(wide, Generator) and isinstance(narrow, Generator) and new is wide.project:
            rows = _style_rows(wide, narrow)
        for key, value in new.named_parameters(recurse=False):
            learned = old.get_parameter(key)
            if value.dim() == 0:
                value.copy_(learned)
            elif key != "weight" or not isinstance(new, Spectral):
                value[rows(len(learned))] = learned
        if isinstance(new, Spectral):
            assert isinstance(old, Spectral)
            _spectral(new, old, rows, silent=id(new) in silent)


Rows = Callable[[int], "Tensor | slice"]  # how many rows the old one had → where they lie in the new one


def _style_rows(wide: Generator, narrow: Generator) -> Rows:
    """Where P's old rows lie: each AdaIN layer has its shifts first, then its scales, so the new ones come in between."""
    at, found = 0, []
    for new, old in zip(wide.channels, narrow.channels, strict=False):  # a block outside has its own, behind all others
        found += [*range(at, at + old), *range(at + new, at + new + old)]
        at += 2 * new
    where = torch.tensor(found)
    return lambda count: where


def _spectral(new: Spectral, old: Spectral, rows: Rows, *, silent: bool) -> None:
    kept = torch.zeros(len(new.weight), dtype=torch.bool)
    kept[rows(len(old.weight))] = True
    here = torch.zeros_like(new.weight)
    here[kept, : old.weight.shape[1]] = old.weight
    if not silent:
        fresh = _complement(here[kept].flatten(1), int((~kept).sum())) * old.sigma()
        here[~kept] = fresh.view(-1, *here.shape[1:])
    new.weight.copy_(here)
    new.u.zero_()[kept] = old.u
    v = torch.zeros_like(here[0])
    v[: old.weight.shape[1]] = old.v.view(-1, *v.shape[1:])
    new.v.copy_(v.flatten())


def _complement(matrix: Tensor, rows: int) -> Tensor:
    """(rows, columns) with singular values 1 or 0, orthogonal to every row of ``matrix`` (R, columns)."""
    columns = matrix.shape[1]
    if not rows:
        return matrix.new_zeros(0, columns)
    _, values, basis = torch.linalg.svd(matrix, full_matrices=False)
    basis = basis[values > 1e-5 * values.max()]
    drawn = torch.randn(rows, columns)
    for _ in range(2):  # once more, against rounding
        drawn = drawn - (drawn @ basis.t()) @ basis
    u, values, v = torch.linalg.svd(drawn, full_matrices=False)
    live = values > 1e-3 * values.max() if len(basis) < columns else torch.zeros_like(values, dtype=torch.bool)
    out: Tensor = u[:, live] @ v[live]
    return out
