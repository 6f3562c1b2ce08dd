"""Content losses: what is taken when the paper's networks are not there, and that weights are read safely."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gioconda_core import lite0
from gioconda_core.errors import UsageError, WeightsError
from synth.model.config import WEIGHTS
from synth.model.content_loss import VGG, build

FIRES = {2: (96, 16, 64), 3: (128, 16, 64), 4: (128, 32, 128), 5: (256, 32, 128), 6: (256, 48, 192), 7: (384, 48, 192)}


@pytest.fixture
def squeezenet(tmp_path):
    """SqueezeNet v1.0's shapes with random weights, as a plain .npz."""
    rng = np.random.default_rng(0)
    shapes = {"conv1": (96, 3, 7, 7)}
    for number, (cin, squeeze, expand) in FIRES.items():
        shapes[f"fire{number}/conv1x1_1"] = (squeeze, cin, 1, 1)
        shapes[f"fire{number}/conv1x1_2"] = (expand, squeeze, 1, 1)
        shapes[f"fire{number}/conv3x3_2"] = (expand, squeeze, 3, 3)
    arrays = {}
    for name, shape in shapes.items():
        arrays[f"{name}.weight"] = rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32)
        arrays[f"{name}.bias"] = np.zeros(shape[0], np.float32)
    np.savez(tmp_path / "net.npz", **arrays)
    return tmp_path / "net.npz"


def pictures():
    torch.manual_seed(0)
    return torch.rand(2, 3, 64, 64) * 2 - 1, torch.rand(2, 3, 64, 64) * 2 - 1


def test_without_vgg_a_substitute_is_taken_and_says_so(monkeypatch, tmp_path):
    from gioconda_core import weights

    monkeypatch.setattr(weights, "store", lambda: weights.Store(tmp_path))
    content = build("auto", WEIGHTS["v2"])
    assert content.description.startswith("EfficientNet-Lite0") and "instead of the paper's" in content.description
    with monkeypatch.context() as without:
        without.setattr(lite0, "PACKAGE", "no-such-package")
        poorer = build("auto", WEIGHTS["v2"])
    assert poorer.description.startswith("multi-scale") and "no network's weights are there" in poorer.description
    a, b = pictures()
    assert content(a, b) > 1 and content(a, a) < 1e-4
    with pytest.raises(WeightsError):
        build("vgg", WEIGHTS["v2"])
    with pytest.raises(UsageError, match="content loss"):
        build("lpips", WEIGHTS["v2"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("net", ["squeezenet", "lite0"])
def test_small_networks_from_a_file_or_a_package(squeezenet, net, dtype):
    content = build(net, WEIGHTS["v2"], files={"squeezenet": squeezenet}, dtype=dtype)
    a, b = pictures()
    a.requires_grad_()
    loss = content(a, b)
    loss.backward()
    assert loss.dtype == torch.float32 and a.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in content.parameters())
    # a batch split over processes must give the mean of its parts
    parts = [content(a[i : i + 1].detach(), b[i : i + 1]) for i in range(2)]
    assert loss.item() == pytest.approx(float(sum(parts) / 2), rel=2e-2 if dtype == torch.bfloat16 else 1e-4)


def test_weights_that_are_no_weights(tmp_path):
    for name, data in (("torn.npz", b"PK\3\4 torn"), ("torn.safetensors", b"\0" * 40)):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(WeightsError, match="cannot be read"):
            build("squeezenet", WEIGHTS["v2"], files={"squeezenet": tmp_path / name})
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, **{"conv1.weight": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(WeightsError, match="cannot be read"):  # nothing is ever unpickled
        build("squeezenet", WEIGHTS["v2"], files={"squeezenet": pickled})
    np.savez(tmp_path / "other.npz", **{"conv1.weight": np.zeros((3, 3), np.float32)})
    for net in ("squeezenet", "vgg"):
        with pytest.raises(WeightsError, match="another network's"):
            build(net, WEIGHTS["v2"], files=dict.fromkeys(("squeezenet", "vgg19"), tmp_path / "other.npz"))
    with pytest.raises(WeightsError, match="no such file"):
        build("squeezenet", WEIGHTS["v2"], files={"squeezenet": tmp_path / "nothing.npz"})


@pytest.mark.parametrize(
    ("kind", "mean"), [("vgg19", (103.939, 116.779, 123.68)), ("vggface", (93.594, 104.762, 129.186))]
)
def test_vgg_itself_sees_bgr_in_0_to_255_less_its_mean(kind, mean):
    """RGB fed as BGR, where it matters: a first layer that copies channels shows what the network was really fed."""
    net = VGG(kind, None)
    first = net.layers[0]
    first.weight.zero_()
    first.bias.fill_(200.0)  # above the largest mean: nothing is lost in the ReLU
    for channel in range(3):
        first.weight[channel, channel, 1, 1] = 1
    frame = torch.tensor([1.0, -1.0, 0.0])[None, :, None, None].expand(1, 3, 16, 16)  # R 255, G 0, B 127.5
    (seen, *_), _ = zip(*net.terms(frame, frame), strict=True)
    assert (seen[0, :3, 8, 8] - 200).tolist() == pytest.approx([127.5 - mean[0], -mean[1], 255 - mean[2]], abs=1e-3)


def test_ssim_of_the_loss_is_that_of_plain_boxes():
    from synth.model.content_loss import _box

    x = torch.randn(2, 3, 31, 20)
    torch.testing.assert_close(_box(x), torch.nn.functional.avg_pool2d(x, 7, 1), atol=1e-6, rtol=1e-5)


def test_layers_compared_are_the_published_ones():
    """ReLUs 1, 6, 11, 20, 29 of VGG19 and 1, 6, 11, 18, 25 of VGG16, seen by their channels and sizes."""
    x = torch.rand(1, 3, 64, 64)
    for kind, last in (("vgg19", 30), ("vggface", 26)):
        net = VGG(kind, None, divide=8)
        found = net.features(x)
        assert [tuple(f.shape[1:]) for f in found] == [(8, 64, 64), (16, 32, 32), (32, 16, 16), (64, 8, 8), (64, 4, 4)]
        assert len(net.layers) == last and all(f.min() >= 0 for f in found)


def test_vgg_weights_are_read_by_their_torchvision_names(tmp_path):
    from safetensors.torch import save_file
    from torchvision.models.vgg import cfgs, make_layers

    files = {}
    for kind, layout in (("vgg19", "E"), ("vggface", "D")):
        state = make_layers(cfgs[layout]).state_dict()
        files[kind] = tmp_path / f"{kind}.safetensors"
        save_file({f"features.{name}": torch.full_like(value, 1e-3) for name, value in state.items()}, files[kind])
    made = build("vgg", WEIGHTS["v1"], files=files)
    assert made.weights == {"vgg19": 1e-2, "vggface": 2e-3} and "as in the paper" in made.description
    assert float(made.parts["vgg19"].layers[0].weight.mean()) == pytest.approx(1e-3)
