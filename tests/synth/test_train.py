"""One training step, W, and runs that survive: the public re-implementations' mistakes are caught here one by one."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import training_child
from forked import ready, start, together

from gioconda_core.errors import ExitCode, GiocondaError, UsageError
from provenance.reading.read import read
from synth.model.config import PRESETS, Config
from synth.model.content_loss import MultiScale, caffe_input
from synth.model.layers import modulated_relu
from synth.model.losses import feature_matching, hinge_discriminator, hinge_generator, match
from synth.model.networks import Model, load_checkpoint
from synth.model.tensors import to_signed, to_uint8
from synth.session import Session
from synth.training.distributed import Group
from synth.training.episodes import EpisodeSampler
from synth.training.identity_table import WTable
from synth.training.run_folder import RunFolder
from synth.training.shards import ShardSet, ShardWriter
from synth.training.train import Options, Trainer, train

SIZE = 64
TINY = Config("pocket", SIZE, 8)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Before the runs that tests share: sums that two threads add up are rounded in another order than those of one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", autouse=True)
def begun_once():
    """Untrained networks are drawn once for a configuration and a seed, and copied: their orthogonal weights take longer than a step."""
    fresh = functools.cache(Model.fresh)

    def copied(config, seed=0):
        made = copy.deepcopy(fresh(config, seed))
        torch.manual_seed(seed)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Model, "fresh", staticmethod(copied))
        yield


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """The pocket preset at half its width: what is tested here does not depend on it."""
    monkeypatch.setitem(PRESETS, "pocket", TINY)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Four people of noise, in six frames each."""
    folder = tmp_path_factory.mktemp("shards")
    rng = np.random.default_rng(0)
    from gioconda_core.faces.align import FACE_SHAPE

    with ShardWriter(folder, size=SIZE) as writer:
        for unit in range(4):
            base = rng.integers(0, 255, (8, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
            for number in range(6):
                points = (np.asarray(FACE_SHAPE, np.float32) + 0.4) / 1.8 * SIZE + number
                writer.add(np.roll(base, number, 1), points, f"p{unit}", "take", number)
    return folder


def options(shards, **changes):
    basics = {
        "preset": "pocket",
        "steps": 6,
        "batch": 2,
        "shots": 2,
        "content": "multiscale",
        "log_every": 1,
        "match_from": 0,
    }
    return Options(shards=(str(shards),), **{**basics, "checkpoint_every": 100, "sample_every": 100, **changes})


def trainer(shards, tmp_path, **changes):
    chosen = options(shards, **changes)
    sampler = EpisodeSampler([ShardSet(shards)], chosen)
    made = Trainer(chosen, TINY, len(sampler.units), RunFolder(tmp_path / "run"), torch.device("cpu"), Group())
    return made, sampler


# ---- the step


def test_adversarial_gradient_reaches_the_generator_and_the_embedder(shards, tmp_path):
    """With a detach too many, or both losses summed and stepped together, this is exactly zero."""
    made, sampler = trainer(shards, tmp_path, precision="fp32")
    batch = sampler.batch(0, 2)
    rows = made._rows(batch.units, 2)
    _, terms, _, _ = made._generate(batch, np.arange(2), rows)
    for net in (made.model.generator, made.model.embedder):
        gradients = torch.autograd.grad(
            terms["adversarial"], list(net.parameters()), retain_graph=True, allow_unused=True
        )
        assert sum(float(g.abs().sum()) for g in gradients if g is not None) > 1e-6


def test_each_network_is_moved_by_its_own_loss_alone(shards, tmp_path):
    """The other half: D learns to tell, G to fool; neither is dragged by the other's objective."""
    made, sampler = trainer(shards, tmp_path, precision="fp32")
    batch = sampler.batch(0, 2)
    rows = made._rows(batch.units, 2)
    _, terms, scores, _ = made._generate(batch, np.arange(2), rows)
    losses = torch.stack([v for k, v in terms.items() if k != "l1"]).sum()
    losses.backward(inputs=made.generating, retain_graph=True)
    assert rows.grad is None and all(p.grad is None for p in made.model.discriminator.parameters())
    given = [None if p.grad is None else p.grad.clone() for p in made.generating]
    made._judge(rows, *scores, {})
    assert rows.grad is not None and all(p.grad is not None for p in made.model.discriminator.last.parameters())
    for old, parameter in zip(given, made.generating, strict=True):
        assert parameter.grad is None if old is None else torch.equal(parameter.grad, old)
    for net in (made.model.embedder, made.model.generator):
        still = [n for n, p in net.named_parameters() if p.grad is None or not float(p.grad.abs().sum())]
        # Attention starts with γ = 0: its convolutions move from the second step on. Biases under a tie may rest.
        assert all("attention" in name for name in still), still

    before = {n: [p.clone() for p in net.parameters()] for n, net in made.model.nets().items()}
    made.step(batch)
    for name, net in made.model.nets().items():
        assert any(not torch.equal(a, b) for a, b in zip(before[name], net.parameters(), strict=True)), name


def test_discriminator_step_lowers_its_loss_and_generator_step_raises_realness(shards, tmp_path):
    made, sampler = trainer(shards, tmp_path, precision="fp32", lr=0.0, lr_discriminator=1e-3)
    first = [made.step(sampler.batch(0, 2)) for _ in range(12)]
    assert first[-1]["hinge_d"] < first[0]["hinge_d"] - 0.2
    assert first[-1]["real"] > first[-1]["fake"]


def test_loss_formulas():
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.25])
    assert hinge_discriminator(real, fake).item() == pytest.approx((0 + 0.5) / 2 + (0 + 1.25) / 2)
    assert hinge_generator(fake).item() == pytest.approx(1.375)
    a, b = torch.ones(2, 3, 4, 4), torch.zeros(2, 3, 4, 4, requires_grad=True)
    loss = feature_matching([a, 3 * a], [b, b])
    assert loss.item() == pytest.approx(2.0)
    embedding, rows = torch.zeros(2, 4, requires_grad=True), torch.ones(2, 4, requires_grad=True)
    match(embedding, rows).backward()
    assert rows.grad is None and embedding.grad is not None


def test_weights_rates_and_counts_are_the_papers():
    from synth.model.config import WEIGHTS

    v1, v2 = WEIGHTS["v1"], WEIGHTS["v2"]
    assert (v2.vgg19, v2.vggface, v2.match, v2.feature_matching) == (1.5e-1, 2.5e-2, 10, 10)
    assert (v1.vgg19, v1.vggface, v1.match, v1.feature_matching) == (1e-2, 2e-3, 80, 10)
    plain = Options(shards=())
    assert (plain.lr, plain.lr_discriminator, plain.ema, plain.shots) == (5e-5, 2e-4, 0.999, 8)
    assert (plain.discriminator_steps, plain.losses, plain.variant) == (2, "v2", "ft")


def test_one_step_is_put_together_as_the_paper_says(shards, tmp_path, monkeypatch):
    """Adam with β1 = 0; one power iteration; the discriminator steps on the passes of the generator step, then on real and generated in one batch; then the average."""
    made, sampler = trainer(shards, tmp_path, precision="fp32", losses="v1", lr=1e-3)
    for adam in made.adam.values():
        assert (adam.defaults["betas"], adam.defaults["eps"]) == ((0.0, 0.999), 1e-5)
    sizes, judge = [], made.judge
    monkeypatch.setattr(
        made, "judge", lambda x, *rest: sizes.append((len(x), torch.is_grad_enabled())) or judge(x, *rest)
    )
    layers = [m for net in made.model.nets().values() for m in net.modules() if hasattr(m, "sigma")]
    wanted = []
    for layer in layers:
        matrix = layer.weight.detach().flatten(1)
        v = torch.nn.functional.normalize(matrix.t() @ layer.u, dim=0)
        wanted.append(torch.nn.functional.normalize(matrix @ v, dim=0))
    batch = sampler.batch(0, 2)
    _, terms, _, _ = made._generate(batch, np.arange(2), made._rows(batch.units, 2))
    with torch.no_grad():
        embedding = made.embed(*(to_signed(x, made.device, made.dtype) for x in (batch.shots, batch.shot_rasters)))
    assert terms["match"].item() == pytest.approx(80 * match(embedding, made._rows(batch.units, 2)).item(), rel=1e-5)
    average = [p.clone() for p in made.ema["generator"].parameters()]
    sizes.clear()
    made.step(batch)
    assert sizes == [(2, True), (2, True), (4, True)]
    for layer, u in zip(layers, wanted, strict=True):
        torch.testing.assert_close(layer.u, u, atol=1e-5, rtol=1e-4)
    keep = 2 / 11  # step 1: min(0.999, (1 + n) / (10 + n))
    for old, new, live in zip(
        average, made.ema["generator"].parameters(), made.model.generator.parameters(), strict=True
    ):
        torch.testing.assert_close(new, keep * old + (1 - keep) * live.detach(), atol=1e-6, rtol=1e-4)


def test_the_discriminators_first_update_is_the_one_that_passes_of_its_own_would_make(shards, tmp_path):
    """Real and generated in one batch, the generated ones detached, before anything has moved."""
    made, sampler = trainer(shards, tmp_path, precision="fp32")
    batch = sampler.batch(0, 2)
    rows = made._rows(batch.units, 2)
    fake, _, scores, (real, raster) = made._generate(batch, np.arange(2), rows)
    made._judge(rows, *scores, {})
    found = [p.grad.clone() for p in made.judging]
    made.adam["judging"].zero_grad()
    again = made._rows(batch.units, 2)
    both = torch.cat([real, fake.detach()])
    plain, _ = made.judge(both, raster.repeat(2, 1, 1, 1), again.repeat(2, 1))
    hinge_discriminator(*plain.chunk(2)).backward()
    for mine, wanted in zip([*found, rows.grad], [*(p.grad for p in made.judging), again.grad], strict=True):
        torch.testing.assert_close(mine, wanted, atol=1e-5, rtol=1e-4)


def test_ff_has_no_match_term_and_ft_gets_it_when_told_or_after_150_epochs(shards, tmp_path):
    for variant, wanted in (("ff", [False] * 3), ("ft", [False, False, True])):
        made, sampler = trainer(shards, tmp_path / variant, variant=variant, match_from=2 if variant == "ft" else None)
        assert ["match" in made.step(sampler.batch(i, 2)) for i in range(3)] == wanted
        assert made.averaged().facts["matched_steps"] == sum(wanted)
    made, _ = trainer(shards, tmp_path / "default", match_from=None)
    assert made.match_from == 150 * 4 / 2  # four videos, two episodes a step


def test_pictures_are_neither_transposed_nor_rescaled_on_the_way():
    """Height and width are never swapped."""
    picture = np.zeros((1, 8, 8, 3), np.uint8)
    picture[0, 1, 6] = [255, 0, 128]  # y = 1, x = 6
    for dtype in (torch.float32, torch.bfloat16):
        tensor = to_signed(picture, torch.device("cpu"), dtype)
        assert tensor.shape == (1, 3, 8, 8)
        assert tensor[0, 0, 1, 6] == 1 and tensor[0, 1, 1, 6] == -1 and tensor[0, 0, 6, 1] == -1
    noise = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    assert np.array_equal(to_uint8(to_signed(noise, torch.device("cpu"), torch.float32)), noise)


def test_vgg_is_fed_as_caffe_fed_it():
    """BGR, 0–255, less the mean; never [0, 1] RGB."""
    frame = torch.tensor([1.0, -1.0, 0.0])[None, :, None, None].expand(1, 3, 4, 4)  # R 255, G 0, B 127.5
    fed = caffe_input(frame, (103.939, 116.779, 123.68))
    expected = [127.5 - 103.939, 0 - 116.779, 255 - 123.68]
    assert fed[0, :, 0, 0].tolist() == pytest.approx(expected, abs=1e-3)


def test_embedding_sums_over_space_and_averages_over_shots():
    """A maximum would not double with the area, and the order of shots must not matter."""
    model = Model.fresh(TINY)
    shots, rasters = torch.rand(1, 3, 3, SIZE, SIZE), torch.rand(1, 3, 3, SIZE, SIZE)
    with torch.no_grad():
        whole = model.embedder(shots, rasters)
        single = torch.stack([model.embedder(shots[:, i : i + 1], rasters[:, i : i + 1]) for i in range(3)]).mean(0)
        turned = model.embedder(shots.flip(1), rasters.flip(1))
        *_, last = model.embedder.features(torch.cat([rasters[:, 0], shots[:, 0]], 1).repeat(1, 1, 2, 2))
        doubled = model.embedder(shots[:, :1].repeat(1, 1, 1, 2, 2), rasters[:, :1].repeat(1, 1, 1, 2, 2))
    torch.testing.assert_close(whole, single, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(whole, turned, atol=1e-5, rtol=1e-4)
    expected = torch.relu(last.sum((2, 3)))[0] * TINY.pooling
    torch.testing.assert_close(doubled[0], expected, atol=1e-3, rtol=1e-4)
    assert last.shape[-1] == 2, "four positions are summed"


def test_realness_sums_over_space_too():
    """The same in the discriminator: four times the same features weigh four times as much as once."""
    model = Model.fresh(TINY)
    frames, rows = torch.rand(1, 3, SIZE, SIZE), torch.rand(1, TINY.dim)
    with torch.no_grad():
        wide = frames.repeat(1, 1, 2, 2)
        score, blocks = model.discriminator(wide, wide, rows)
        vector = torch.relu(blocks[-1].sum((2, 3))) * TINY.pooling
        wanted = (vector * (rows + model.discriminator.w0)).sum(1) + model.discriminator.b
    assert blocks[-1].shape[-1] == 2
    torch.testing.assert_close(score, wanted, atol=1e-4, rtol=1e-4)
    assert all(b.is_contiguous(memory_format=torch.channels_last) for b in blocks[:-2]), (
        "a kernel that undoes channels_last is slow"
    )


@pytest.mark.parametrize("shape", [(2, 16, 12, 12), (3, 8, 4, 4)])
@pytest.mark.parametrize("shared", [True, False])
def test_fused_norm_is_instance_norm(shape, shared):
    """Forward and backward of the CPU kernel against autograd through F.instance_norm, in double precision."""
    torch.manual_seed(0)
    x = (torch.randn(shape, dtype=torch.float64) * 3 + 2).requires_grad_()
    weight = torch.randn(shape[1] if shared else shape[:2], dtype=torch.float64).requires_grad_()
    bias = torch.randn_like(weight).requires_grad_()
    up = torch.randn(shape, dtype=torch.float64)
    normal = torch.nn.functional.instance_norm(x, eps=1e-5)
    w, b = (v[None] if shared else v for v in (weight, bias))
    wanted = torch.relu(normal * w[..., None, None] + b[..., None, None])
    reference = torch.autograd.grad((wanted * up).sum(), (x, weight, bias))
    mine = [v.detach().float().requires_grad_() for v in (x, weight, bias)]
    fast = mine[0].to(memory_format=torch.channels_last)
    made = modulated_relu(fast, mine[1], mine[2])
    assert made.is_contiguous(memory_format=torch.channels_last), "a kernel that undoes channels_last is slow"
    torch.testing.assert_close(made.double(), wanted, atol=1e-5, rtol=1e-5)
    found = torch.autograd.grad((made * up.float()).sum(), mine)
    for a, b in zip(found, reference, strict=True):
        torch.testing.assert_close(a.double(), b, atol=2e-4, rtol=1e-4)
    with torch.no_grad():
        still = modulated_relu(fast, mine[1], mine[2])
    assert still.is_contiguous(memory_format=torch.channels_last), "at inference too"
    torch.testing.assert_close(still.double(), wanted, atol=1e-5, rtol=1e-5)


def test_norm_statistics_are_float32_under_bf16():
    """A large mean beside a small spread: statistics gathered in bf16 would be worthless."""
    torch.manual_seed(0)
    x = (torch.randn(1, 16, 32, 32) + 8).to(torch.bfloat16).to(memory_format=torch.channels_last)
    weight, bias = torch.ones(16, requires_grad=True), torch.zeros(16)
    made = modulated_relu(x.clone().requires_grad_(), weight, bias).float()
    wanted = torch.relu(torch.nn.functional.instance_norm(x.float()))
    assert (made - wanted).abs().mean() < 0.03


def test_realness_and_style_are_float32_whatever_the_network_runs_in():
    model = Model.fresh(TINY)
    frames = torch.rand(2, 3, SIZE, SIZE, dtype=torch.bfloat16)
    with torch.no_grad():
        score, blocks = model.discriminator(frames, frames, torch.zeros(2, TINY.dim))
        embedding = model.embedder(frames[:, None], frames[:, None])
        assert score.dtype == embedding.dtype == model.generator.style(embedding).dtype == torch.float32
        assert model.generator(frames, model.generator.style(embedding)).dtype == torch.float32
    assert {b.dtype for b in blocks} == {torch.bfloat16} and len(blocks) == 7


def test_multiscale_substitute_is_zero_only_for_the_same_picture():
    a, b = torch.rand(2, 3, 32, 32) * 2 - 1, torch.rand(2, 3, 32, 32) * 2 - 1
    loss = MultiScale()
    assert loss(a, a).item() == pytest.approx(0, abs=1e-5) and loss(a, b) > 0.3


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
@pytest.mark.slow
def test_memory_that_a_step_frees_is_used_again():
    """Otherwise each block of 36 MB is nine thousand pages to be cleared, every time. In a process of its own: it is for good."""
    script = """
import resource, torch
from synth.training.malloc import keep_freed
def faults(rounds):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds): torch.empty(9 << 20).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
before = faults(5)
kept = keep_freed()
faults(30)  # until the small blocks between the large ones have found their places
print(before, faults(5) if kept else 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after <= 0.1 * before, done.stdout


# ---- W


def test_rows_of_w_have_adam_states_of_their_own(tmp_path):
    """Adam's state is a row's own: a row seen once moves exactly as if it were alone, however often others were seen."""
    table = WTable(tmp_path / "w.bin", 10, 4, seed=1)
    before = table.gather(np.arange(10))
    for _ in range(50):
        table.update(np.array([3]), torch.full((1, 4), 5.0), lr=0.1)
    gradient = torch.tensor([[1.0, -2.0, 0.5, 4.0]])
    table.update(np.array([7]), gradient, lr=0.1)
    after = table.gather(np.arange(10))
    alone = torch.nn.Parameter(before[7].clone())
    adam = torch.optim.Adam([alone], 0.1, betas=(0.0, 0.999), eps=1e-5)
    alone.grad = gradient[0]
    adam.step()
    torch.testing.assert_close(after[7], alone.detach())
    untouched = [0, 1, 2, 4, 5, 6, 8, 9]
    assert torch.equal(after[untouched], before[untouched])
    assert np.array_equal(table.dirty()[0], [3, 7])


def test_a_row_named_twice_gets_both_gradients(tmp_path):
    a = WTable(tmp_path / "a.bin", 4, 2, seed=1)
    b = WTable(tmp_path / "b.bin", 4, 2, seed=1)
    a.update(np.array([1, 1]), torch.tensor([[1.0, 2.0], [3.0, -1.0]]), lr=0.1)
    b.update(np.array([1]), torch.tensor([[4.0, 1.0]]), lr=0.1)
    assert torch.equal(a.gather(np.arange(4)), b.gather(np.arange(4)))


def test_w_of_voxceleb2_costs_under_a_gigabyte_and_is_not_a_parameter(tmp_path):
    """W with its state does not fit a GPU. The file is sparse here; its size is what a full one would be."""
    rows, dim = 145_569, 512
    with open(tmp_path / "w.bin", "wb") as file:
        file.truncate(rows * (2 * dim + 1) * 4)
    table = WTable(tmp_path / "w.bin", rows, dim)
    assert table.path.stat().st_size < 1e9
    table.update(np.array([0, rows - 1]), torch.ones(2, dim), lr=1e-3)
    assert table.dirty()[1].nbytes == 2 * (2 * dim + 1) * 4, "a step moves the rows it saw"
    model = Model.fresh(TINY)
    assert all(p.shape[:1] != (rows,) for p in model.discriminator.parameters())


def test_the_file_of_w_changes_only_when_told_and_twice_is_once(tmp_path):
    table = WTable(tmp_path / "w.bin", 6, 3, seed=1)
    original = (tmp_path / "w.bin").read_bytes()
    table.update(np.array([2]), torch.ones(1, 3), lr=0.1)
    assert (tmp_path / "w.bin").read_bytes() == original, "kill -9 now would lose nothing of the checkpoint"
    rows = table.dirty()
    changed = table.gather(np.arange(6))
    table.fold_in(rows)
    once = (tmp_path / "w.bin").read_bytes()
    table.fold_in(rows)
    assert (tmp_path / "w.bin").read_bytes() == once != original
    assert torch.equal(WTable(tmp_path / "w.bin", 6, 3).gather(np.arange(6)), changed)
    with pytest.raises(UsageError, match="rows of W"):
        WTable(tmp_path / "w.bin", 7, 3)


# ---- runs


def everything(folder):
    """All numbers of a run's newest checkpoint and of W."""
    from safetensors.torch import load_file

    newest = RunFolder(folder).latest()
    found = {
        f"{file.name}/{name}": value
        for file in sorted(newest.glob("*.safetensors"))
        if file.name != "w-rows.safetensors"
        for name, value in load_file(file).items()
    }
    found["w"] = torch.from_numpy(np.fromfile(folder / "w.bin", np.float32))
    return found


@pytest.mark.parametrize(
    ("precision", "threads"), [("fp32", 1), ("fp32", 2), pytest.param("bf16", 1, marks=pytest.mark.slow)]
)
def test_resume_is_bit_exact(shards, tmp_path, request, precision, threads):
    """At any number of threads, as long as it stays the same."""
    request.addfinalizer(lambda: torch.set_num_threads(1))
    torch.set_num_threads(threads)
    first = 2 if threads == 1 else 1  # threads wait for one another, where others use the cores
    straight = options(shards, steps=first + 1, precision=precision, augment=True, vary_shots=True)
    train(straight, tmp_path / "a")
    told = []
    session = Session(begin=lambda total: told.append([total, 0]), advance=lambda n, note: told[-1].append(n))
    assert train(straight, tmp_path / "b", limit_steps=first, session=session).step == first
    assert train(straight, tmp_path / "b", session=session).step == first + 1
    assert [(total, sum(steps)) for total, *steps in told] == [(first, first), (1, 1)], "each call counts its own steps"
    a, b = everything(tmp_path / "a"), everything(tmp_path / "b")
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def test_same_seed_same_run_another_seed_another(shards, runs, tmp_path):
    for name, seed in (("b", 0), ("c", 2)):
        train(options(shards, steps=2, seed=seed), tmp_path / name)
    a, b, c = (everything(folder) for folder in (runs / "2", tmp_path / "b", tmp_path / "c"))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert any(not torch.equal(a[k], c[k]) for k in a if "generator" in k)


def test_what_a_run_leaves(shards, tmp_path):
    said = []
    result = train(
        options(shards, steps=3, sample_every=2, checkpoint_every=2), tmp_path / "run", session=Session(say=said.append)
    )
    run = tmp_path / "run"
    assert any("instead of the paper's VGG19 and VGGFace" in line for line in said)
    assert [p.name for p in sorted((run / "samples").iterdir())] == ["step-000000002.png", "step-000000003.png"]
    assert read(run / "samples" / "step-000000003.png").label["task"] == "training"  # half of its faces are generated
    rows = [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert {"adversarial", "feature_matching", "content", "match", "hinge_d", "steps_per_s"} <= rows[0].keys()
    assert json.loads((run / "options.json").read_text())["preset"] == "pocket"
    assert list((run / "events").glob("events.*")) and len(list((run / "checkpoint").iterdir())) == 1
    model = load_checkpoint(result.model)
    assert model.facts["step"] == 3 and "multi-scale" in model.facts["content"]


def test_accumulation_is_the_same_batch_in_parts(shards, tmp_path):
    whole = train(options(shards, steps=1, batch=4, precision="fp32"), tmp_path / "a").stats
    parts = train(options(shards, steps=1, batch=4, accumulate=2, precision="fp32"), tmp_path / "b").stats
    for name in whole:
        assert parts[name] == pytest.approx(whole[name], rel=1e-4, abs=1e-5), name
    a, b = everything(tmp_path / "a"), everything(tmp_path / "b")
    key = "generating.adam.safetensors/0.exp_avg_sq"
    torch.testing.assert_close(a[key], b[key], rtol=1e-2, atol=1e-10)


def test_a_run_refuses_other_settings_other_shards_and_another_size(shards, tmp_path):
    train(options(shards, steps=1), tmp_path / "run")
    with pytest.raises(UsageError, match="batch"):
        train(options(shards, steps=2, batch=4), tmp_path / "run")
    assert train(options(shards, steps=2), tmp_path / "run").step == 2  # longer is fine
    with pytest.raises(
        UsageError, match="64 px do not fit preset 'sketch'"
    ):  # the common mistake is to resize in silence
        train(options(shards, preset="sketch"), tmp_path / "other")
    with pytest.raises(UsageError, match="wider than"):
        train(options(shards, init=str(wide(tmp_path))), tmp_path / "third")


def wide(tmp_path):
    from synth.model.networks import save_checkpoint

    return save_checkpoint(tmp_path / "wide.safetensors", Model.fresh(Config("wide", SIZE, 16)))


@pytest.mark.slow
def test_a_curriculum_may_change_the_picture_size(shards, tmp_path):
    from synth.model.networks import save_checkpoint

    larger = save_checkpoint(tmp_path / "l.safetensors", Model.fresh(dataclasses.replace(TINY, size=128), seed=9))
    train(options(shards, steps=1, lr=0.0, init=str(larger)), tmp_path / "run")
    started = load_checkpoint(larger).generator.last.weight
    made = load_checkpoint(tmp_path / "run/model.safetensors")
    assert torch.equal(made.generator.last.weight, started)
    assert made.facts["began_as"]["size"] == 128 and made.facts["began_as"]["sha256"] == load_checkpoint(larger).sha256


@pytest.mark.slow
def test_losses_that_are_not_finite_skip_the_step_then_end_the_run(shards, tmp_path, monkeypatch):
    made, sampler = trainer(shards, tmp_path)
    monkeypatch.setattr(made, "content", lambda fake, real: fake.sum() * float("nan"))
    before = [p.clone() for p in made.generating]
    made.step(sampler.batch(0, 2))
    assert all(torch.equal(a, b) for a, b in zip(before, made.generating, strict=True))
    with pytest.raises(GiocondaError, match="not been finite"):
        for _ in range(30):
            made.step(sampler.batch(0, 2))


@pytest.fixture(scope="module")
def runs(shards, tmp_path_factory):
    """A run of two steps, and a copy of it that went on to three."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "pocket", TINY)
        train(options(shards, steps=2), folder / "2")
        shutil.copytree(folder / "2", folder / "3", symlinks=True)
        train(options(shards, steps=3), folder / "3")
    return folder


@pytest.mark.parametrize("victim", ["embedder-ema.safetensors", "judging.adam.safetensors", "model.safetensors"])
def test_a_full_disk_is_one_sentence_and_the_last_checkpoint_stays(shards, runs, tmp_path, monkeypatch, victim):
    """The disk fills up in the middle of a checkpoint, or right after it; the same command then goes on."""
    import errno

    from synth.model import networks
    from synth.training import run_folder

    run, write = tmp_path / "run", networks.save_file
    shutil.copytree(runs / "2", run, symlinks=True)
    before = everything(run)

    def full(tensors, path, **rest):
        if victim.removesuffix(".safetensors") in str(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(tensors, path, **rest)

    for module in (networks, run_folder):
        monkeypatch.setattr(module, "save_file", full)
    with pytest.raises(GiocondaError, match="disk is full") as caught:
        train(options(shards, steps=3), run)
    assert caught.value.exit_code == ExitCode.INCOMPLETE
    if victim != "model.safetensors":
        assert all(torch.equal(before[k], v) for k, v in everything(run).items())
    for module in (networks, run_folder):
        monkeypatch.setattr(module, "save_file", write)
    train(options(shards, steps=3), run)
    after, wanted = everything(run), everything(runs / "3")
    assert all(torch.equal(wanted[k], v) for k, v in after.items())


def test_no_room_for_w_is_the_same_sentence(shards, tmp_path, monkeypatch):
    import errno

    def full(*arguments, **rest):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("synth.training.train.WTable", full)
    with pytest.raises(GiocondaError, match="disk is full"):
        train(options(shards), tmp_path / "run")


def launch(shards, folder, end, every):
    return start(folder.with_suffix(".log"), training_child.run, shards, folder, end, every)


def said(folder):
    return folder.with_suffix(".log").read_text()


def wait_for_step(run, step, process):
    for _ in range(6000):
        if (run / "stats.jsonl").exists() and len((run / "stats.jsonl").read_text().splitlines()) >= step:
            return
        assert process.is_alive(), said(run)
        time.sleep(0.1)
    raise AssertionError("no progress")


def at(run):
    """The last step that was logged, and that of the newest checkpoint."""
    latest = RunFolder(run).latest()
    kept = json.loads((latest / "state.json").read_text())["step"] if latest else 0
    return json.loads((run / "stats.jsonl").read_text().splitlines()[-1])["step"], kept


def test_a_run_that_goes_on_removes_what_a_killed_writer_left(tmp_path):
    folder = RunFolder(tmp_path)
    folder.start({"seed": 0}, ("seed",))
    (tmp_path / ".notes").write_text("of the user")
    for name in ("model.safetensors", "checkpoint/step-000000003/state.json"):
        killed = f"import os; from gioconda_core.files import atomic_path\nwith atomic_path({str(tmp_path / name)!r}): os._exit(9)"
        assert subprocess.run([sys.executable, "-c", killed]).returncode == 9
    assert len([path for path in tmp_path.rglob(".*") if path.is_file()]) == 3
    folder.start({"seed": 0}, ("seed",))
    assert [path.name for path in tmp_path.rglob(".*") if path.is_file()] == [".notes"]


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_sigterm_checkpoints_kills_lose_one_interval_each_and_the_end_is_that_of_an_undisturbed_run(shards, tmp_path):
    """kill -9 at ``GIOCONDA_KILLS`` moments spread over the time that the run takes, each time from where it was."""
    run, whole, end, every = tmp_path / "run", tmp_path / "whole", 14, 3
    kills = int(os.environ.get("GIOCONDA_KILLS", "4"))
    ready("synth.training.train", "torch._dynamo", "torch.utils.tensorboard")
    begun = time.monotonic()
    launch(shards, whole, end, every).join(600)
    takes = time.monotonic() - begun
    assert f"ended {end} False" in said(whole), said(whole)

    process = launch(shards, run, end, every)
    wait_for_step(run, 5, process)
    process.terminate()  # SIGTERM
    process.join(600)
    assert process.exitcode == 0 and "True" in said(run)
    reached, kept = at(run)
    assert reached == kept

    dead = 0
    for k in range(kills):
        process = launch(shards, run, end, every)
        process.join(takes * (0.25 + 0.75 * (k + 0.5) / kills))
        if process.is_alive():
            process.kill()
            process.join()
            dead += 1
            reached, kept = at(run)
            assert reached - kept <= every + 1
    assert dead, "it ended before it could be killed"
    launch(shards, run, end, every).join(600)
    assert f"ended {end} False" in said(run), said(run)
    a, b = everything(run), everything(whole)
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    assert not [path.name for path in run.rglob(".*") if path.is_file()], "what a killed writer left half made"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_processes_are_one(shards, tmp_path):
    """Over gloo, as torchrun starts them: same losses as one process on the same global batch, W rows owned by one rank each."""
    ready("synth.training.train", "torch._dynamo", "torch.utils.tensorboard")
    together(tmp_path, training_child.run, shards, tmp_path / "two", 4, 2)
    alone = options(
        shards, steps=4, precision="fp32", match_from=Options.match_from, checkpoint_every=2, sample_every=10**6
    )
    train(alone, tmp_path / "one")
    rows = {
        name: [json.loads(line) for line in (tmp_path / name / "stats.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    }
    assert len(rows["one"]) == len(rows["two"]) == 4
    for one, two in zip(rows["one"], rows["two"], strict=True):
        for key in ("adversarial", "feature_matching", "content", "hinge_d", "l1"):
            assert two[key] == pytest.approx(one[key], rel=2e-3, abs=2e-3), (one["step"], key)
    a, b = everything(tmp_path / "one"), everything(tmp_path / "two")
    torch.testing.assert_close(a["w"], b["w"], atol=2e-3, rtol=1e-2)


def test_a_picture_that_cannot_be_signed_costs_nothing_that_was_learned(shards, tmp_path, monkeypatch):
    def unsigned(*_):
        raise OSError("no signer here")

    monkeypatch.setattr(RunFolder, "sample", unsigned)
    with pytest.raises(OSError, match="no signer"):
        train(options(shards, steps=2, sample_every=2, checkpoint_every=2), tmp_path / "run")
    assert load_checkpoint(tmp_path / "run" / "model.safetensors").facts["step"] == 2


@pytest.mark.slow
def test_half_256_goes_on_from_half_128_with_one_more_block(tmp_path):
    """One step of the presets as they are: 128 px first, then 256 px by a block that is silent at first and learns."""
    from gioconda_core.faces.align import FACE_SHAPE
    from synth.model.networks import save_checkpoint
    from synth.person.tune import Tune, tune

    size = PRESETS["half-256"].size
    points = ((np.asarray(FACE_SHAPE) + 0.4) / 1.8 * size).astype(np.float32)
    rng = np.random.default_rng(0)
    with ShardWriter(tmp_path / "shards", size=size) as writer:
        for number in range(3):
            frame = rng.integers(0, 255, (8, 8, 3), np.uint8).repeat(size // 8, 0).repeat(size // 8, 1)
            writer.add(frame, points + number, "p", "take", number)
    small = save_checkpoint(tmp_path / "small.safetensors", Model.fresh(PRESETS["half-128"], 1))
    how = options(tmp_path / "shards", preset="half-256", steps=1, batch=1, shots=1, init=str(small), content="none")
    result = train(how, tmp_path / "run")
    model = load_checkpoint(result.model)
    assert (result.step, model.config.size, model.config.grown) == (1, 256, True)
    assert float(model.generator.outside_up.gamma) != 0 and float(model.discriminator.outside.gamma) != 0
    frame = rng.integers(0, 255, (1, size, size, 3), dtype=np.uint8)
    person = tune(model, frame, points[None], Tune(mode="ff"))
    assert person.render(points).shape == (1, 256, 256, 3)
    again = person.save(tmp_path / "p.safetensors")
    assert type(person).load(again).config == model.config
