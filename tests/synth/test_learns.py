"""Proof that it learns, at 64 px on the embedded puppets: minutes of CPU, so behind the ``slow`` marker.

Meta-learn on some puppets, then take unseen ones: tuning beats feed-forward, eight shots beat one and beat showing the source
frame unmoved, one shot is level with that but moves as asked, and what the embedding says matters. With ``GIOCONDA_GALLERY=docs/gallery`` the pictures that are judged here are
kept there as ``pocket.jpg``.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from gioconda_core.faces.align import apply, box, crop
from synth.model.config import Config
from synth.model.content_loss import MultiScale
from synth.model.networks import Model
from synth.model.tensors import to_signed
from synth.person.tune import Tune, tune
from synth.reenact.framing import steady
from synth.training.shards import ShardWriter
from synth.training.train import Options, train

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]  # minutes of CPU, however long that takes by the clock
SIZE, PEOPLE, UNSEEN, FRAMES = 64, 32, 6, 16
POCKET = Config("pocket", SIZE, 16)


def take(identity, frames, motion=0):
    """A puppet's crops and landmarks at 64 px, 0.2 s apart."""
    from synth.puppets.perform import perform

    drawn = perform(identity, motion, frames=frames, size=128, fps=5)
    matrix = steady(drawn.landmarks, (128, 128), SIZE)
    return np.stack([crop(p, matrix, SIZE) for p in drawn.frames]), np.stack(
        [apply(matrix, p) for p in drawn.landmarks]
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Two hundred and forty steps on thirty-two puppets."""
    from synth.model.networks import load_checkpoint

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("learn")
    with ShardWriter(folder / "shards", size=SIZE) as writer:
        for identity in range(PEOPLE):
            for number, (frame, points) in enumerate(zip(*take(identity, 12), strict=True)):
                writer.add(frame, points, f"puppet-{identity}", "0", number / 5)
    job = Options(
        shards=(str(folder / "shards"),), preset="pocket", steps=240, batch=4, shots=2, vary_shots=True, content="multiscale",
        lr=4e-4, lr_discriminator=4e-4, checkpoint_every=10_000, sample_every=10_000,
    )  # fmt: skip
    return load_checkpoint(train(job, folder / "run").model)


def similarity(a, b):
    from skimage.metrics import structural_similarity

    return np.mean([structural_similarity(x, y, channel_axis=2) for x, y in zip(a, b, strict=True)])


def landmark_error(frames, points):
    """Mean distance of dlib's landmarks, found in the frames' known face boxes, in percent of the picture's side."""
    import cv2

    from gioconda_core.faces.landmarks import landmarker

    finder = landmarker("dlib")
    errors = []
    for frame, wanted in zip(frames, points, strict=True):
        large = cv2.resize(frame, (4 * SIZE, 4 * SIZE), interpolation=cv2.INTER_CUBIC)
        region = np.append(4 * np.asarray(box(wanted), np.float32), 1.0)[None]
        found = finder.landmarks(large, region.astype(np.float32))[0]
        errors.append(np.linalg.norm(found / 4 - wanted, axis=1).mean())
    return 100 * np.mean(errors) / SIZE


@pytest.fixture(scope="module")
def scores(model):
    """way → (people, 2) array of SSIM and landmark error on frames of a take the model has not seen."""
    found: dict[str, list] = {}
    sheet = []
    for identity in range(1000, 1000 + UNSEEN):
        frames, points = take(identity, FRAMES)
        shots, tests = slice(0, FRAMES, 2), slice(1, FRAMES, 2)
        people = {
            "FF T=1": tune(model, frames[:1], points[:1], Tune(mode="ff")),
            "FF T=8": tune(model, frames[shots], points[shots], Tune(mode="ff")),
            "FT T=1": tune(model, frames[:1], points[:1], Tune(steps=50, lr=0.001, content="multiscale", batch=1)),
            "FT T=8": tune(
                model, frames[shots], points[shots],
                Tune(steps=70, lr=0.001, content="multiscale", batch=1, hold_out=False),
            ),
        }  # fmt: skip
        made = {name: personal.render(points[tests], runtime="torch") for name, personal in people.items()}
        made["copy"] = np.repeat(frames[:1], FRAMES // 2, 0)
        for name, pictures in made.items():
            row = (similarity(pictures, frames[tests]), landmark_error(pictures, points[tests]))
            found.setdefault(name, []).append(row)
        columns = ("copy", "FF T=1", "FF T=8", "FT T=1", "FT T=8")
        sheet.append(np.concatenate([frames[tests][-1], *(made[name][-1] for name in columns)], 1))
    if gallery := os.environ.get("GIOCONDA_GALLERY"):
        import cv2

        picture = cv2.resize(np.concatenate(sheet), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(Path(gallery) / "pocket.jpg"), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    return {name: np.array(rows) for name, rows in found.items()}


def interval(differences):
    """95 % bootstrap interval of a mean over people."""
    rng = np.random.default_rng(0)
    draws = rng.choice(differences, (4000, len(differences))).mean(1)
    return np.quantile(draws, [0.025, 0.975])


@pytest.mark.parametrize(
    ("better", "worse"),
    [("FT T=8", "FF T=8"), ("FT T=1", "FF T=1"), ("FT T=8", "FT T=1"), ("FT T=8", "copy")],
)
def test_similarity_rises_with_tuning_and_with_shots(scores, better, worse):
    low, high = interval(scores[better][:, 0] - scores[worse][:, 0])
    print({name: rows.mean(0).round(4).tolist() for name, rows in scores.items()}, low, high)
    assert low > 0, (better, worse, low, high)


def test_one_shot_is_level_with_copying_it(scores):
    """In SSIM, where so little training brings no clear gain: +0.003 [−0.007, 0.012] of six people; its landmarks are followed, below."""
    low, high = interval(scores["FT T=1"][:, 0] - scores["copy"][:, 0])
    assert low > -0.015 and high > 0, (low, high)


@pytest.mark.parametrize("worse", ["FF T=8", "FT T=1"])
def test_landmarks_are_followed_better_with_tuning_and_with_shots(scores, worse):
    low, high = interval(scores[worse][:, 1] - scores["FT T=8"][:, 1])
    assert low > 0, (worse, low, high)


@pytest.mark.parametrize("way", ["FF T=8", "FT T=1", "FT T=8"])
def test_the_face_moves_as_the_landmarks_say(scores, way):
    low, high = interval(scores["copy"][:, 1] - scores[way][:, 1])
    assert low > 0, (way, low, high)


def test_the_embedding_is_heard(model):
    """Another person's ê, or AdaIN's values without any ê, must make unseen people measurably worse."""
    loss, right, shuffled, without = MultiScale(), [], [], []
    people = [take(identity, 6, motion=1) for identity in range(1000, 1016)]
    with torch.no_grad():
        inputs = [to_signed(frames, torch.device("cpu"), torch.float32) for frames, _ in people]
        from synth.model.landmark_image import draw

        drawn = [np.stack([draw(p, SIZE) for p in points]) for _, points in people]
        rasters = [to_signed(d, torch.device("cpu"), torch.float32) for d in drawn]
        embedded = [model.embedder(x[None, :4], y[None, :4]) for x, y in zip(inputs, rasters, strict=True)]
        for number, (frames, lines) in enumerate(zip(inputs, rasters, strict=True)):
            for e, into in (
                (embedded[number], right),
                (embedded[number - 1], shuffled),
                (torch.zeros_like(embedded[0]), without),
            ):
                into.append(float(loss(model.generator(lines[5:], model.generator.style(e)), frames[5:])))
    for other in (shuffled, without):
        low, high = interval(np.array(other) - np.array(right))
        assert low > 0, (low, high)


def test_one_episode_can_be_learned_by_heart():
    """Tuning an untrained model on one frame brings its content loss towards zero: nothing on the way is lost."""
    torch.set_num_threads(1)
    frames, points = take(3, 1)
    fresh = Model.fresh(Config("pocket", SIZE, 8))
    job = Tune(steps=140, lr=0.002, lr_discriminator=0.0002, content="multiscale", views=False)
    made = tune(fresh, frames, points, job)
    picture = made.render(points, runtime="torch")
    start = tune(fresh, frames, points, Tune(mode="ff")).render(points, runtime="torch")
    a, b, wanted = (to_signed(x, torch.device("cpu"), torch.float32) for x in (picture, start, frames))
    assert MultiScale()(a, wanted) < 0.2 * MultiScale()(b, wanted)
