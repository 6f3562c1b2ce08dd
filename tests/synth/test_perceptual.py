"""A perceptual distance that every installation has; LPIPS and Inception features from the store or not at all, run whole with random weights of the right shape."""

import numpy as np
import pytest
import torch
from puppet_material import puppet
from safetensors.torch import save_file

from gioconda_core import weights
from gioconda_core.errors import WeightsError
from gioconda_core.files import sha256_of, write_json
from synth.evaluation import perceptual


def stored(name, tensors):
    store = weights.store()
    store.folder.mkdir(parents=True, exist_ok=True)
    path = store.folder / f"{name}.safetensors"
    save_file({k: v.contiguous() for k, v in tensors.items()}, path)
    write_json(path.with_suffix(".json"), {"sha256": sha256_of(path)})


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 255, (3, 96, 96, 3), dtype=np.uint8)


def test_without_weights_it_says_which(frames, monkeypatch):
    monkeypatch.setattr(perceptual, "_st_file", lambda: None)
    with pytest.raises(
        WeightsError, match=r"LPIPS is not measured.*models pull lpips-alexnet, or: pip install 'gioconda\[lpips\]'"
    ):
        perceptual.lpips()
    with pytest.raises(WeightsError, match="inception-fid"):
        perceptual.inception()


def test_every_installation_has_a_distance_that_is_not_called_lpips(monkeypatch):
    monkeypatch.setattr(perceptual, "_st_file", lambda: None)
    there, absent = perceptual.distances()
    assert list(there) == ["perceptual-lite0"] and "LPIPS is not measured" in absent["lpips"]
    import cv2

    face = puppet().frames[:2]
    blurred = [np.stack([cv2.GaussianBlur(f, (0, 0), sigma) for f in face]) for sigma in (1, 3)]
    moved = np.roll(face, 1, axis=2)
    none, little, much, shifted = (there["perceptual-lite0"](face, x) for x in (face, *blurred, moved))
    assert np.allclose(none, 0, atol=1e-6)
    assert (little > 0).all() and (much > little).all() and (shifted < much).all()
    assert np.allclose(there["perceptual-lite0"](blurred[0], face), little, rtol=1e-4), (
        "either picture may be the first"
    )


def test_without_its_package_the_distance_is_missed_and_said(monkeypatch):
    def nowhere():
        raise WeightsError("the frozen network is not installed", hint="pip install it")

    monkeypatch.setattr("gioconda_core.lite0.blocks", nowhere)
    there, absent = perceptual.distances()
    assert "perceptual-lite0" not in there and "frozen network" in absent["perceptual-lite0"]


def test_lpips_is_zero_on_itself_and_grows_with_damage(frames):
    torch.manual_seed(0)
    from torchvision import models

    with torch.device("meta"):  # its classifier, nine tenths of it, is not looked at
        shapes = models.alexnet(weights=None).features.state_dict()
    stored(perceptual.ALEXNET, {f"features.{name}": torch.randn(x.shape) * 0.05 for name, x in shapes.items()})
    name, measure = perceptual.lpips()
    assert name == "lpips-alex"
    a_little = np.clip(frames.astype(int) + 6, 0, 255).astype(np.uint8)
    none, some, much = measure(frames, frames), measure(frames, a_little), measure(frames, 255 - frames)
    assert np.allclose(none, 0, atol=1e-6)
    assert (some > none).all() and (much > some).all()


@pytest.mark.skipif(perceptual._st_file() is None, reason="stlpips-pytorch is not installed")
def test_st_lpips_is_what_its_own_package_computes():
    """Computed once with stlpips-pytorch 0.0.2 itself, version ST0.0."""
    rng = np.random.default_rng(0)
    real = rng.integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    made = np.clip(real.astype(int) + rng.integers(-40, 40, real.shape), 0, 255).astype(np.uint8)
    name, measure = perceptual.lpips()
    assert name == "st-lpips-alex"
    np.testing.assert_allclose(measure(real, made), [0.0033, 0.0040], atol=6e-5)
    assert np.allclose(measure(real, real), 0)


def test_another_network_is_refused(frames):
    stored(perceptual.ALEXNET, {"features.0.weight": torch.zeros(3)})
    with pytest.raises(WeightsError, match="AlexNet"):
        perceptual.lpips()
    stored(perceptual.INCEPTION, {"fc.weight": torch.zeros(3)})
    with pytest.raises(WeightsError, match="Inception"):
        perceptual.inception()


def test_inception_gives_2048_features_and_leaves_the_border_out_of_its_means(frames):
    torch.manual_seed(0)
    from torchvision import models

    reference = models.Inception3(num_classes=1008, aux_logits=False, init_weights=False).eval()
    stored(perceptual.INCEPTION, reference.state_dict())
    found = perceptual.inception()(frames)
    assert found.shape == (3, 2048) and np.isfinite(found).all()
    # torchvision's own poolings count the padded border and take a mean at the end: the 2015 graph differs in both.
    reference.fc, reference.dropout = torch.nn.Identity(), torch.nn.Identity()
    with torch.inference_mode():
        x = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
        x = torch.nn.functional.interpolate(x, (299, 299), mode="bilinear", align_corners=False) / 127.5 - 1
        assert not np.allclose(found, reference(x).numpy(), rtol=1e-3)
