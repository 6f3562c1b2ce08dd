"""The generator on CUDA: same numbers as on the CPU, one training step, a graph of the personal model. Skips without a GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synth.model.config import Config
from synth.model.networks import Generator, Model
from synth.person.model import PersonalModel

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]
CONFIG = Config("tiny", 128, 16)


def test_forward_is_the_same_on_both(monkeypatch):
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    model = Model.fresh(CONFIG)
    x, y = torch.rand(2, 3, 3, 128, 128) * 2 - 1, torch.rand(2, 3, 3, 128, 128) * 2 - 1
    with torch.no_grad():
        embedding = model.embedder(x, y)
        made = model.generator(y[:, 0], model.generator.style(embedding))
        for net in model.nets().values():
            net.cuda()
        there = model.embedder(x.cuda(), y.cuda())
        found = model.generator(y[:, 0].cuda(), model.generator.style(there))
        half = model.generator(y[:, 0].cuda().bfloat16(), model.generator.style(there))
    torch.testing.assert_close(there.cpu(), embedding, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(found.cpu(), made, atol=2e-3, rtol=1e-3)
    assert (half.cpu() - made).abs().mean() < 0.05 and half.is_contiguous(memory_format=torch.channels_last)


def test_training_on_cuda_keeps_w_on_the_host(tmp_path, monkeypatch):
    from gioconda_core.faces.align import FACE_SHAPE
    from synth.model.config import PRESETS
    from synth.training.shards import ShardWriter
    from synth.training.train import Options, train

    monkeypatch.setitem(PRESETS, "sketch", CONFIG)
    points = (np.asarray(FACE_SHAPE, np.float32) + 0.4) / 1.8 * 128
    rng = np.random.default_rng(0)
    with ShardWriter(tmp_path / "shards", size=128) as writer:
        for unit in range(3):
            for number in range(4):
                writer.add(rng.integers(0, 255, (128, 128, 3), np.uint8), points, f"p{unit}", "0", number)
    job = Options(shards=(str(tmp_path / "shards"),), preset="sketch", steps=4, batch=2, shots=2, content="multiscale")
    result = train(job, tmp_path / "run", device="cuda")
    assert result.step == 4 and all(np.isfinite(v) for v in result.stats.values())
    assert (tmp_path / "run" / "w.bin").exists()
    assert train(Options(**{**job.__dict__, "steps": 5}), tmp_path / "run", device="cuda").step == 5


def test_personal_model_renders_and_is_captured_as_a_graph():
    from benchmarks.speed.cuda import graphed

    generator = Generator(CONFIG).eval()
    with torch.no_grad():
        personal = PersonalModel.of(generator, generator.style(torch.rand(1, CONFIG.dim)), {})
    rng = np.random.default_rng(0)
    points = rng.uniform(20, 100, (5, 68, 2)).astype(np.float32)
    here = personal.render(points, runtime="torch").astype(int)
    assert np.abs(personal.render(points, device="cuda").astype(int) - here).mean() < 4
    net = personal.module.to("cuda", torch.bfloat16, memory_format=torch.channels_last)
    graphed(net, 2, 128)()
    torch.cuda.synchronize()
