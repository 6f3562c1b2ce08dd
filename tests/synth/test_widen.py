"""A widened model does at first what the narrow one did, and all of it can learn."""

import pytest
import torch

from gioconda_core.errors import UsageError
from synth.model.config import Config
from synth.model.layers import Attention, power_iteration, spectral_modules
from synth.model.networks import Model
from synth.model.widen import widen


def trained(config: Config) -> Model:
    """A model away from its start: weights moved, attention heard, σ estimated."""
    model = Model.fresh(config, 1)
    torch.manual_seed(2)
    with torch.no_grad():
        for net in model.nets().values():
            for value in net.parameters():
                value.add_(torch.randn_like(value) * 0.02)
            for layer in net.modules():
                if isinstance(layer, Attention):
                    layer.gamma.fill_(0.3)
    for _ in range(10):
        power_iteration(*model.nets().values())
    return model


def answers(model: Model, dim: int):
    """ê's first entries, frames, realness and the features it is matched by."""
    torch.manual_seed(3)
    size = model.config.size
    frames, rasters = torch.rand(2, 2, 2, 3, size, size) * 2 - 1
    rows = torch.zeros(2, model.config.dim)
    rows[:, :dim] = torch.randn(2, dim)
    with torch.no_grad():
        embedding = model.embedder(frames, rasters)
        drawn = model.generator(rasters[:, 0], model.generator.style(embedding))
        realness, features = model.discriminator(drawn, rasters[:, 0], rows)
    return embedding[:, :dim], drawn, realness, list(features)


@pytest.mark.parametrize("width", [16, 24])
@pytest.mark.parametrize("attention", [True, False])
def test_a_widened_model_says_what_the_narrow_one_said(width, attention):
    narrow = trained(Config("narrow", 64, 8, attention))
    wide = widen(narrow, Config("wide", 64, width, attention))
    before, after = answers(narrow, 64), answers(wide, 64)
    for mine, theirs in zip(before[:3], after[:3], strict=True):
        torch.testing.assert_close(theirs, mine, atol=2e-5, rtol=1e-4)
    for mine, theirs in zip(before[3], after[3], strict=True):
        torch.testing.assert_close(theirs[:, : mine.shape[1]], mine, atol=2e-5, rtol=1e-4)
        assert theirs[:, mine.shape[1] :].abs().mean() > 0.05 * mine.abs().mean(), "new channels are alive"


def test_a_grown_model_says_of_a_picture_what_the_small_one_said_of_it_halved_and_learns_more():
    small = trained(Config("small", 64, 8))
    grown = widen(small, Config("grown", 128, 16, grown=True))
    torch.manual_seed(3)
    frames, rasters = torch.rand(2, 2, 2, 3, 64, 64) * 2 - 1
    large = [
        x.flatten(0, 1).repeat_interleave(2, -1).repeat_interleave(2, -2).unflatten(0, (2, 2))
        for x in (frames, rasters)
    ]
    rows = torch.zeros(2, 128)
    rows[:, :64] = torch.randn(2, 64)
    with torch.no_grad():
        before, after = small.embedder(frames, rasters), grown.embedder(*large)
        torch.testing.assert_close(after[:, :64], before, atol=2e-5, rtol=1e-4)
        drawn = small.generator(rasters[:, 0], small.generator.style(before))
        again = grown.generator(large[1][:, 0], grown.generator.style(after))
        assert again.shape == (2, 3, 128, 128)
        inside = torch.nn.functional.interpolate(drawn.atanh(), scale_factor=2, mode="bilinear").tanh()
        torch.testing.assert_close(again, inside, atol=2e-4, rtol=1e-3)
        judged = [
            small.discriminator(frames[:, 0], rasters[:, 0], rows[:, :64])[0],
            grown.discriminator(large[0][:, 0], large[1][:, 0], rows)[0],
        ]
        torch.testing.assert_close(judged[1], judged[0], atol=2e-5, rtol=1e-4)
    with pytest.raises(UsageError, match="a block more"):
        widen(grown, Config("back", 128, 16))


def test_no_layer_gains_by_it():
    @torch.no_grad()
    def gains(model: Model) -> list[float]:
        """The true largest singular value of every layer over its estimate."""
        layers = [layer for net in model.nets().values() for layer in spectral_modules(net)]
        return [float(torch.linalg.matrix_norm(v.weight.flatten(1), 2) / v.sigma()) for v in layers]

    narrow = trained(Config("narrow", 64, 8))
    assert gains(widen(narrow, Config("wide", 64, 16))) == pytest.approx(gains(narrow), rel=1e-4)


def test_every_parameter_learns_within_three_steps():
    wide = widen(trained(Config("narrow", 64, 8)), Config("wide", 64, 16))
    nets = (wide.embedder, wide.generator)
    parameters = {f"{i}.{n}": p.requires_grad_(True) for i, net in enumerate(nets) for n, p in net.named_parameters()}
    start = {name: p.detach().clone() for name, p in parameters.items()}
    adam = torch.optim.Adam(parameters.values(), 1e-3)
    torch.manual_seed(4)
    frames, rasters, wanted = torch.rand(3, 2, 2, 3, 64, 64) * 2 - 1
    for _ in range(3):
        adam.zero_grad()
        drawn = wide.generator(rasters[:, 0], wide.generator.style(wide.embedder(frames, rasters)))
        (drawn - wanted[:, 0]).square().mean().backward()
        adam.step()
    for name, p in parameters.items():
        # A row may be a dead ReLU's at so few pixels; most must move, and the columns that were silent too.
        if p.dim() > 1:
            moved = p != start[name]
            assert moved.flatten(1).any(1).float().mean() > 0.6, name
            assert moved[: len(p) // 2, p.shape[1] // 2 :].any(), name


def test_the_same_width_is_the_same_model_at_any_size_and_a_narrower_one_is_refused():
    model = trained(Config("small", 64, 16))
    larger = widen(model, Config("larger", 128, 16))
    for name, net in larger.nets().items():
        for key, value in model.nets()[name].state_dict().items():
            assert torch.equal(net.state_dict()[key], value), key
    with pytest.raises(UsageError, match="wider than"):
        widen(model, Config("thin", 64, 8))
    with pytest.raises(UsageError, match="attention"):
        widen(model, Config("plain", 64, 16, attention=False))
