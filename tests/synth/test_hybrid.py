"""The hybrid generator: the source's own pixels where they can be kept, a drawn mouth, the network only where a head turns far."""

from __future__ import annotations

import numpy as np
import pytest
from puppet_material import puppet

from gioconda_core.media.clip import Clip, write_image
from provenance.reading.read import read
from synth.generators import Roster, generator
from synth.hybrid import HybridGenerator, turn
from synth.reenact.reenact import Reenact, reenact
from synth.session import Session


def frames_of(path):
    with Clip.open(path) as found:
        return found.sample("all")[0]


@pytest.fixture(scope="module")
def sitter():
    take = puppet(3, 5)
    return take.frames[:1], take.landmarks[:1].astype(np.float32)


def opened(points, share=0.1):
    """Lips that stand open by a share of the face."""
    out = points.copy()
    side = np.ptp(points[:, 1])
    out[[65, 66, 67, 55, 56, 57, 58, 59], 1] += share * side
    out[4:13, 1] += 0.7 * share * side
    return out


def test_where_nothing_moves_the_picture_is_its_own(sitter):
    frames, marks = sitter
    person = HybridGenerator(size=256).personalise(frames, marks, mode="ft", steps=None, seed=0)
    assert np.array_equal(person.render(marks), frames)
    assert person.parts == {"frames": 1, "network": 0, "cavity": 0, "shots_used": 1} and person.steps == 0


def test_around_the_head_nothing_moves_and_lips_open_on_a_dark_mouth(sitter):
    frames, marks = sitter
    person = HybridGenerator(size=256).personalise(frames, marks, mode="ft", steps=None, seed=0)
    wide = opened(marks[0])
    made = person.render(wide[None])[0]
    assert person.parts["cavity"] == 1
    corner = (slice(0, 40), slice(0, 40))
    assert np.array_equal(made[corner], frames[0][corner])
    inside = tuple(np.round(wide[[62, 66]].mean(0)[::-1]).astype(int))
    lips = frames[0][tuple(np.round(marks[0][57][::-1]).astype(int))]
    assert made[inside].mean() < 0.75 * lips.mean()


def test_a_grey_picture_stays_grey(sitter):
    frames, marks = sitter
    grey = np.repeat(frames.mean(-1, keepdims=True).round().astype(np.uint8), 3, -1)
    person = HybridGenerator(size=256).personalise(grey, marks, mode="ft", steps=None, seed=0)
    assert (np.ptp(person.render(opened(marks[0])[None]), axis=-1) == 0).all()


def test_a_turn_is_found_and_a_far_one_asks_the_network(sitter):
    from synth.hybrid import _space

    frames, marks = sitter
    space, middle = _space(marks[0].astype(float))
    for wanted in (8.0, 32.0):
        a = np.radians(wanted)
        turned = np.c_[space[:, 0] * np.cos(a) - space[:, 2] * np.sin(a), space[:, 1]] + middle
        angle, _ = turn(marks[0].astype(float), turned)
        assert abs(angle - wanted) < 1
        person = HybridGenerator(size=128).personalise(
            np.stack([f[::2, ::2] for f in frames]), marks / 2, mode="ff", steps=None, seed=0
        )
        person.render((turned / 2)[None])
        assert person.parts["network"] == (wanted > 15)


def test_of_several_shots_the_nearest_is_bent():
    take = puppet(3, 5)
    person = HybridGenerator(size=256).personalise(take.frames, take.landmarks, mode="ft", steps=None, seed=0)
    at = [0, len(take.frames) - 1]
    made = person.render(take.landmarks[at])
    assert np.abs(made.astype(int) - take.frames[at]).mean() < 0.5 and person.parts["shots_used"] == 2


def test_a_portrait_keeps_its_resolution_and_its_background_and_says_that_it_departs(tmp_path):
    frame = puppet(3, 5).frames[0]
    large = np.repeat(np.repeat(frame, 2, 0), 2, 1)
    write_image(tmp_path / "p.png", large)
    job = Reenact(seconds=0.4, mark=False, label=False, crf=1)
    made = reenact(
        [tmp_path / "p.png"], ["puppets:4/1"], tmp_path / "a.mp4", HybridGenerator(), job, Session("public-domain")
    )[0]
    drawn = frames_of(made.path)
    assert drawn.shape == (10, 512, 512, 3)
    assert np.abs(drawn[:, :40, :40].astype(int) - large[:40, :40]).mean() < 2
    params = read(made.path).label["params"]
    assert "not the paper's" in params["departure"] and params["drawn_by"]["frames"] == 10


def test_generators_with_commas_share_out_one_size():
    roster = generator("few-shot,warp,hybrid")
    assert {h.size for h in roster.members} == {128} and roster.name == "gioconda-few-shot,warp,gioconda-hybrid"
    assert Roster.named(roster, "warp").name == "warp"
    assert Roster.of(generator("warp"))[0].name == "warp"
