"""Views of a shot: the picture follows its landmarks, faces stay faces, and what is not known is not learned from."""

import cv2
import numpy as np

from gioconda_core.faces import align
from gioconda_core.faces.quality import pose
from synth.person import views
from synth.warp import warp

SIZE = 128
BASE = ((align.FACE_SHAPE + 0.4) / 1.8 * SIZE).astype(np.float32)


def dotted(points, at):
    """A black picture with a white dot on each of some landmarks."""
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    for x, y in points[at]:
        cv2.circle(picture, (round(float(x)), round(float(y))), 2, (255, 255, 255), -1)
    return picture


def test_the_picture_follows_its_landmarks():
    at = [0, 8, 16, 30, 36, 45, 48, 54]
    for seed in range(20):
        made = views.view(dotted(BASE, at), BASE, np.random.default_rng(seed))
        for x, y in made.landmarks[at]:
            near = made.frame[
                max(0, round(float(y)) - 2) : round(float(y)) + 3, max(0, round(float(x)) - 2) : round(float(x)) + 3
            ]
            assert near.max() > 120, (seed, x, y)


def test_nothing_moves_where_nothing_is_asked():
    picture = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
    assert np.abs(warp(picture, BASE, BASE).astype(int) - picture).max() <= 1


def test_faces_stay_faces_and_turn():
    made = np.stack([views.moved(BASE, np.random.default_rng(seed)) for seed in range(300)])
    assert np.isfinite(made).all()
    assert (made[:, 45, 0] - made[:, 36, 0] > 0.3 * (BASE[45, 0] - BASE[36, 0])).all()  # eyes do not pass one another
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46), (62, 66)):
        up = made[:, 8] - made[:, 27]  # down the face, whatever its tilt
        gap = ((made[:, lower] - made[:, upper]) * up).sum(-1) / np.linalg.norm(up, axis=-1)
        assert (gap > -0.6).all(), (upper, lower, gap.min())
    yaw, pitch = pose(made)
    assert 5 < yaw.std() < 15 and 2 < pitch.std() < 15


def test_a_turn_brings_the_far_side_nearer_the_nose():
    """Depth has the right sign: turned to the picture's right, the nose tip moves right of the eyes' middle."""
    made = np.stack([views.moved(BASE, np.random.default_rng(seed)) for seed in range(300)])
    yaw, _ = pose(made)
    middle = (made[:, 36, 0] + made[:, 45, 0]) / 2
    assert np.corrcoef(yaw, made[:, 30, 0] - middle)[0, 1] > 0.8


def test_the_inside_of_a_mouth_that_opens_is_unknown():
    opened = 0
    for seed in range(40):
        made = views.view(np.zeros((SIZE, SIZE, 3), np.uint8), BASE, np.random.default_rng(seed))
        gap = float(made.landmarks[66, 1] - made.landmarks[62, 1])
        if gap > 1.6 * float(BASE[66, 1] - BASE[62, 1]):
            opened += 1
            x, y = made.landmarks[[62, 66]].mean(0).round().astype(int)
            assert not made.known[y, x]
        assert made.known.mean() > 0.9
    assert opened > 5


def test_nothing_is_learned_where_nothing_is_known(monkeypatch):
    """Views that know nothing, whatever they show, leave the same model behind."""
    from synth.model.config import Config
    from synth.model.networks import Model
    from synth.person import tune

    model = Model.fresh(Config("pocket", 64, 8), seed=1)
    points = BASE[None] / 2
    frame = np.full((1, 64, 64, 3), 90, np.uint8)

    def blind(colour):
        nothing = np.zeros((64, 64), bool)
        return lambda *_: views.View(np.full((64, 64, 3), colour, np.uint8), points[0] + 1, nothing)

    made = []
    for colour in ((0, 0, 255), (255, 0, 0), (0, 255, 0)):
        monkeypatch.setattr(tune, "view", blind(colour))
        personal = tune.tune(model, frame, points, tune.Tune(steps=4, content="multiscale", precision="fp32"))
        made.append(personal.render(points, runtime="torch"))
    for other in made[1:]:
        np.testing.assert_array_equal(made[0], other)
