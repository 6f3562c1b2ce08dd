"""Families of fakes: of a take they change what their mask covers, as much as the difficulty asks, and the same way for the same lot."""

import numpy as np
import pytest
from puppet_material import puppet

from gioconda_core.errors import UsageError
from gioconda_core.faces import families
from gioconda_core.faces.families import Take
from synth.fakes.families import autoencoder

GRADED = (
    "lowres",
    "sharp",
    "denoise",
    "jitter",
    "smooth",
    "retime",
    "redraw-nearest",
    "redraw-shuffle",
    "redraw-transposed",
)


def take_of(identity=3):
    import cv2

    seen = puppet(identity, frames=8)
    height, width = seen.frames.shape[1:3]
    frames = np.stack([cv2.resize(f, (128, 128), interpolation=cv2.INTER_AREA) for f in seen.frames])
    return Take(frames, (seen.landmarks * [128 / width, 128 / height]).astype(np.float32))


@pytest.fixture(scope="module")
def take():
    return take_of()


@pytest.mark.parametrize("name", families.names())
def test_a_family_changes_what_its_mask_covers_and_draws_by_lot_alone(name, take):
    family = families.load(name)
    assert family.name == name
    others = [take_of(4)] if family.others else []
    made = family.make(take, 0.3, np.random.default_rng(5), others)
    assert made.frames.shape == take.frames.shape and made.frames.dtype == np.uint8
    assert made.mask.shape == take.frames.shape[:3] and made.mask.dtype == np.uint8
    outside = made.mask == 0
    assert np.array_equal(made.frames[outside], take.frames[outside])
    assert not np.array_equal(made.frames, take.frames)
    again = family.make(take, 0.3, np.random.default_rng(5), others)
    assert np.array_equal(again.frames, made.frames) and again.record == made.record
    assert set(map(type, made.record.values())) <= {int, float, str, bool}


@pytest.mark.parametrize("name", GRADED)
def test_a_harder_fake_lies_nearer_to_the_clip(name, take):
    family = families.load(name)

    def error(difficulty):
        made = [family.make(take, difficulty, np.random.default_rng(seed)).frames for seed in range(4)]
        return np.mean([np.abs(m.astype(float) - take.frames).mean() for m in made])

    assert error(0.0) > 1.3 * error(1.0)


def test_a_swap_wears_the_other_face_in_this_one_s_colours(take):
    other = take_of(4)
    made = families.load("swap").make(take, 0.5, np.random.default_rng(1), [other])
    inside = made.mask[0] > 200
    assert (
        np.abs(made.frames[0][inside].astype(float).mean(0) - take.frames[0][inside].astype(float).mean(0)).max() < 12
    )


def test_an_autoencoder_learns_to_redraw_and_comes_back_from_its_file(take, tmp_path, monkeypatch):
    seen = []
    variant = autoencoder.VARIANTS["nearest4"]
    net = autoencoder.train(variant, take.frames, steps=30, advance=seen.append)
    assert np.mean(seen[-5:]) < 0.5 * np.mean(seen[:3])
    autoencoder.save(net, tmp_path / "nearest4.safetensors")
    monkeypatch.setattr(autoencoder, "WEIGHTS", tmp_path)
    autoencoder.load.cache_clear()
    drawn = autoencoder.redraw(take.frames, "nearest4")
    assert drawn.shape == take.frames.shape and 0 < np.abs(drawn - take.frames).mean() < 60
    autoencoder.load.cache_clear()
    with pytest.raises(UsageError, match="autoencoder"):
        autoencoder.load("nearest5")
