"""The networks against the published counts and costs, block by block: totals alone do not prove the layout."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from gioconda_core.errors import UsageError, WeightsError
from synth.model.config import PRESETS, Config
from synth.model.describe import table
from synth.model.layers import Conv, Spectral, held
from synth.model.networks import (
    Discriminator,
    Embedder,
    Generator,
    Model,
    count,
    load_checkpoint,
    save_checkpoint,
)


def nets(config):
    with torch.device("meta"):
        return Embedder(config), Generator(config), Discriminator(config)


@pytest.mark.parametrize(
    ("attention", "expected"),
    [(True, (14_906_945, 38_073_285, 19_626_561)), (False, (14_825_024, 37_909_443, 19_544_640))],
)
def test_parameters_of_the_paper(attention, expected):
    e, g, v = nets(Config("paper", 256, 64, attention))
    assert (count(e), count(g), count(v)) == expected
    assert count(g.project) == 6_697_728
    assert g.style_values == 13_056


def test_blocks_of_the_paper():
    rows = {(r["net"], r["block"]): (r["channels"], r["size"], r["parameters"]) for r in table(PRESETS["paper"])}
    pyramid = [(64, 128, 40_896), (128, 64, 229_760), (256, 32, 918_272), (512, 16, 3_671_552), (512, 8, 4_982_272)]
    for net in "EV":
        for index, row in enumerate([*pyramid, (512, 4, 4_982_272)]):
            assert rows[net, f"down{index + 1}"] == row
        assert rows[net, "attention"] == (256, 32, 81_921)
    assert rows["V", "residual"] == (512, 4, 4_719_616)
    # G: convolutions that meet a norm carry no bias, first block and skips do
    assert rows["G", "down1"] == (64, 128, 38_976)
    assert rows["G", "down2"] == (128, 64, 229_888)
    assert rows["G", "down3"] == (256, 32, 918_528)
    assert rows["G", "attention"] == (256, 64, 81_921)  # the later one, in the up path
    assert rows["G", "down4"] == (512, 16, 3_672_064)
    for index in range(4):
        assert rows["G", f"adain{index + 1}"] == (512, 16, 4_718_592)
    ups = [(512, 32, 4_981_248), (256, 64, 1_900_800), (128, 128, 475_264), (64, 256, 118_848)]
    for index, row in enumerate(ups):
        assert rows["G", f"up{index + 1}"] == row
    assert rows["G", "last"] == (3, 256, 1_731)


def test_sizes_in_the_table_are_those_of_a_picture_passing_through():
    """The table derives sizes from the preset; here a 256 px picture is sent through and each block's output is looked at."""
    config = PRESETS["paper"]
    found: dict[str, list] = {"E": [], "G": [], "V": []}
    with torch.device("meta"):
        for key, net in zip("EGV", nets(config), strict=True):
            for block in net.modules():
                if type(block).__name__ in ("FirstBlock", "Residual", "NormResidual", "AdaResidual"):
                    block.register_forward_hook(lambda m, a, y, key=key: found[key].append((y.shape[1], y.shape[2])))
            x = torch.zeros(1, 3, 256, 256)
            if key == "E":
                assert net(x[None], x[None]).shape == (1, 512)
            elif key == "G":
                assert net(x, torch.zeros(1, 13_056)).shape == (1, 3, 256, 256)
            else:
                assert [tuple(b.shape[1:3]) for b in net(x, x, torch.zeros(1, 512))[1]] == [
                    (64, 128), (128, 64), (256, 32), (512, 16), (512, 8), (512, 4), (512, 4)
                ]  # fmt: skip
    for key in "EGV":
        blocks = [r for r in table(config) if r["net"] == key and r["block"] not in ("attention", "last", "P")]
        assert found[key] == [(r["channels"], r["size"]) for r in blocks]


def test_networks_of_the_meta_device_are_shapes_alone(monkeypatch):
    """Loading a checkpoint builds the networks there first: drawing weights that are replaced at once took seconds."""
    monkeypatch.setattr(Conv, "iterate", lambda self: pytest.fail("iterated"))
    with torch.device("meta"):
        assert {p.device.type for net in nets(PRESETS["paper"]) for p in net.state_dict().values()} == {"meta"}


@pytest.mark.parametrize(("folded", "expected"), [(False, (31.1, 96.7, 31.2)), (True, (18.7, 63.7, 18.9))])
def test_cost_of_the_paper(folded, expected):
    """2 × MAC of a 256 px frame. E and V are published without attention, G with it."""
    with torch.device("meta"):
        e, _, v = nets(Config("plain", 256, 64, attention=False))
        g = Generator(PRESETS["paper"])
        x = torch.zeros(1, 1, 3, 256, 256)
        for net in (e, g, v):
            for layer in net.modules():
                if isinstance(layer, Conv):
                    layer.folded = folded
        found = []
        calls = (
            lambda: e(x, x),
            lambda: g(x[0], torch.zeros(1, g.style_values)),
            lambda: v(x[0], x[0], torch.zeros(1, 512)),
        )
        for call in calls:
            with FlopCounterMode(display=False) as counter:
                call()
            found.append(counter.get_total_flops() / 1e9)
    assert found == pytest.approx(expected, abs=0.06)


def test_dry_run_shows_the_table_beside_the_paper(capsys):
    from gioconda.cli import main

    assert main(["synth", "train", "--preset", "paper", "--dry-run"]) == 0
    text = capsys.readouterr().out
    for number in ("14,906,945", "38,073,285", "19,626,561", "6,697,728", "13,056", "15 M", "38 M", "20 M"):
        assert number in text
    assert "G 96.7" in text and "G 63.7" in text


@pytest.mark.parametrize("resample", ["up", "down"])
@pytest.mark.parametrize("kernel", [1, 3])
def test_folding_is_exact(kernel, resample):
    torch.manual_seed(0)
    conv = Conv(20, 12, kernel, resample=resample).requires_grad_(False)
    x = torch.randn(2, 20, 16, 16)
    conv.folded = False
    plain = conv(x)
    conv.folded = True
    torch.testing.assert_close(conv(x), plain, atol=1e-5, rtol=0)


def test_spectral_norm_makes_the_largest_singular_value_one_and_baking_changes_nothing():
    torch.manual_seed(0)
    conv = Conv(16, 24)
    for _ in range(100):
        conv.iterate()
    singular = torch.linalg.svdvals(conv.normalised().flatten(1))
    assert singular[0].item() == pytest.approx(1, abs=1e-3)
    x = torch.randn(1, 16, 8, 8)
    before = conv(x)
    assert torch.equal(before, conv(x)), "a forward pass must not move the estimate"
    conv.bake()
    torch.testing.assert_close(conv(x), before, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_held_is_made_once_and_changes_neither_answers_nor_gradients(dtype, monkeypatch):
    judge = Model.fresh(PRESETS["pocket"], seed=3).discriminator
    torch.manual_seed(4)
    real, fake, raster = torch.randn(3, 2, 3, 64, 64).to(dtype)
    rows = torch.randn(2, judge.config.dim)
    made, found = [], []
    sigma = Spectral.sigma
    monkeypatch.setattr(Spectral, "sigma", lambda layer: (made[-1].append(layer), sigma(layer))[1])
    for context in (nullcontext(), held(judge)):
        made.append([])
        judge.zero_grad()
        with context:
            scores = [judge(frames, raster, rows)[0] for frames in (real, fake)]
        (scores[0].sum() - 2 * scores[1].sum()).backward()
        found.append([*scores, *(p.grad for p in judge.parameters())])
    assert len(made[0]) == 2 * len(made[1]) == 2 * len(set(map(id, made[1])))
    for plain, once in zip(*found, strict=True):
        torch.testing.assert_close(
            once, plain, atol=1e-5 if dtype == torch.float32 else 0.02, rtol=1e-4 if dtype == torch.float32 else 0.03
        )
    with torch.no_grad():
        # Outside, nothing is held: other weights answer otherwise.
        judge.last.conv1.weight.copy_(judge.last.conv1.weight.flip(0))
    assert not torch.equal(judge(real, raster, rows)[0], found[1][0]) or dtype == torch.bfloat16


def test_checkpoint_carries_its_dimensions_and_a_torn_one_is_refused(tmp_path):
    model = Model.fresh(PRESETS["pocket"], seed=3)
    path = save_checkpoint(tmp_path / "m.safetensors", model)
    again = load_checkpoint(path)
    assert again.config == PRESETS["pocket"] and len(again.sha256) == 64
    for mine, theirs in zip(model.generator.state_dict().values(), again.generator.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="cannot be read"):
        load_checkpoint(path)
    with pytest.raises(UsageError):
        Config("odd", 100, 16)


def test_untrained_networks_are_the_same_for_the_same_seed_alone():
    """Tests of training draw them once a configuration and seed, and would not see it."""

    def drawn(seed):
        return [p for net in Model.fresh(Config("tiny", 64, 8), seed).nets().values() for p in net.parameters()]

    first, again, other = drawn(1), drawn(1), drawn(2)
    assert all(map(torch.equal, first, again)) and not all(map(torch.equal, first, other))


def test_the_benchmarks_plain_build_is_the_same_mathematics():
    """float32, NCHW, instance_norm, unfolded: what ours is measured against must compute the same thing."""
    from benchmarks.speed.synth import plain

    model = Model.fresh(Config("tiny", 64, 8))
    with torch.no_grad():
        model.generator.attention_up.gamma.fill_(0.5)
        model.embedder.attention.gamma.fill_(0.5)
        x, y = torch.rand(2, 2, 3, 64, 64) * 2 - 1, torch.rand(2, 2, 3, 64, 64) * 2 - 1
        embedding = model.embedder(x, y)
        style = model.generator.style(embedding)
        made = model.generator(x[:, 0], style)
        rows = torch.randn(2, 64)
        score, _ = model.discriminator(x[:, 0], y[:, 0], rows)
        with plain():
            torch.testing.assert_close(model.embedder(x, y), embedding, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(model.generator(x[:, 0], style), made, atol=1e-4, rtol=1e-3)
            theirs, _ = model.discriminator(x[:, 0], y[:, 0], rows)
    torch.testing.assert_close(theirs, score, atol=1e-3, rtol=1e-3)
    assert (theirs != score).any()  # computed another way


@pytest.mark.slow
def test_networks_compile_whole_and_carry_no_parametrisation():
    """Spectral norm (pytorch#113415) by parametrisation or hook breaks graphs; ours is a plain function of buffers."""
    from torch.nn.utils.parametrize import is_parametrized

    model = Model.fresh(Config("tiny", 64, 8))
    for net in model.nets().values():
        assert not any(is_parametrized(m) or m._forward_pre_hooks or m._forward_hooks for m in net.modules())
    x = torch.rand(1, 1, 3, 64, 64)
    compiled = torch.compile(model.embedder, backend="eager", fullgraph=True)  # one graph, no break
    with torch.no_grad():
        before = compiled(x, x)
        torch.testing.assert_close(before, model.embedder(x, x), atol=1e-5, rtol=1e-5)
        weight = model.embedder.blocks[0].conv1.weight
        weight.mul_(3)
        model.embedder.blocks[0].conv1.iterate()  # the graph sees the buffers move: W/σ does not change with W's scale
        torch.testing.assert_close(compiled(x, x), before, atol=1e-3, rtol=1e-2)


def test_somebody_elses_autocast_changes_no_spectral_norm():
    net = Generator(PRESETS["pocket"])
    raster, style = torch.rand(1, 3, 64, 64), torch.rand(1, net.style_values)
    plain = net(raster, style)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = net(raster, style)
        assert net.last.sigma().dtype == torch.float32
    assert (found - plain).abs().mean() < 0.05
