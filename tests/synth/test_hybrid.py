"""The hybrid generator: the source's own pixels where they can be kept, a drawn mouth, the network only where a head turns far."""

from __future__ import annotations

import numpy as np
import pytest
from puppet_material import puppet

from gioconda_core.errors import MediaError, UsageError
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
    assert person.parts == {"frames": 1, "network": 0, "cavity": 0, "lids": 0, "gaze": 0, "shots_used": 1}
    assert person.steps == 0


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


def test_what_lies_behind_stands_still_beside_a_head_that_moves_and_none_of_its_hair_stays(sitter):
    """Lines behind a head are not dragged along by it, however near; where nothing can lie behind, all moves as one sheet."""
    from synth.person.matte import matte

    frames, marks = sitter
    side = float(np.ptp(marks[0, :, 0]))
    person = matte(frames[0], marks[0])
    striped = frames[0].copy()
    behind = person == 0
    striped[behind & (np.arange(256) // 4 % 2 == 1)] //= 2
    shift = round(0.12 * side)
    moved = (marks[0] + [shift, 0])[None]
    made = HybridGenerator(size=256).personalise(striped[None], marks, mode="ft", steps=None, seed=0).render(moved)[0]
    row = slice(int(marks[0, 17:27, 1].min() - 0.2 * side), int(marks[0, 27, 1]))  # at the height of hair and brows
    still = behind[row] & (np.roll(person, shift, 1) == 0)[row]
    assert still[:, int(marks[0, 0, 0] - 0.6 * side) : int(marks[0, 16, 0] + 0.6 * side)].sum() > 1000
    assert np.abs(made[row].astype(int) - striped[row])[still].mean() < 2
    close = (marks[0] - marks[0].mean(0)) * 2 + 128
    assert (matte(frames[0], close) == 255).all()


def test_shoulders_go_along_in_part_and_nothing_moves_at_the_edges(sitter):
    import cv2

    frame = cv2.copyMakeBorder(sitter[0][0], 64, 128, 96, 96, cv2.BORDER_REPLICATE)
    marks = sitter[1] + np.float32([96, 64])
    spots = [(int(marks[0, 8, 0]) + x, int(marks[0, 8, 1]) + 65) for x in (-40, 40)]
    for spot in spots:
        cv2.circle(frame, spot, 3, (255, 0, 255), -1)
    person = HybridGenerator(size=448).personalise(frame[None], marks, mode="ft", steps=None, seed=0)
    made = person.render(marks + np.float32([15, 0]))[0].astype(int)
    seen = (made[..., [0, 2]].min(-1) - made[..., 1] > 60).astype(np.uint8)
    found = sorted(cv2.connectedComponentsWithStats(seen)[3][1:].tolist())
    assert len(found) == 2
    for (x, y), spot in zip(found, spots, strict=True):
        assert 7 < x - spot[0] < 12 and abs(y - spot[1]) < 1.5
    assert np.array_equal(made[-1], frame[-1]) and np.array_equal(made[:, [0, -1]], frame[:, [0, -1]])


def test_a_mouth_that_shows_its_teeth_keeps_them_when_it_opens_wider(sitter):
    import cv2

    frames, marks = sitter
    smiling = opened(marks[0], 0.06)
    person = HybridGenerator(size=256).personalise(frames, marks, mode="ft", steps=None, seed=0)
    frame, teeth = person.render(smiling[None])[0].copy(), (250, 240, 255)
    cv2.fillPoly(frame, [np.round(smiling[60:68]).astype(np.int32)], teeth)
    person = HybridGenerator(size=256).personalise(frame[None], smiling[None], mode="ft", steps=None, seed=0)
    wide = opened(smiling, 0.1)
    made = person.render(wide[None])[0].astype(int)
    assert person.parts["cavity"] == 1
    upper, lower = (np.round(wide[k]).astype(int) for k in (62, 66))
    gap = int(lower[1] - upper[1])
    assert np.abs(made[upper[1] + gap // 5, upper[0]] - teeth).max() < 25
    assert made[lower[1] - gap // 4, lower[0]].mean() < 120


def test_a_turned_mouth_is_drawn_between_its_lips(sitter):
    """Its inner lips lie close to one corner, or beyond: the curve through them went far above the upper lip."""
    from synth.person.mouth import Mouth

    frames, marks = sitter
    points = marks[0].astype(float)
    x = np.array([0, -0.13, -0.09, 0.05, 1, 0.39, 0.26, 0.15])
    y = np.array([0, -0.31, -0.29, -0.28, 0, 0.69, 0.67, 0.54])
    points[60:68] = np.array([110, 190]) + 40 * np.c_[x, y]
    made = frames[0].copy()
    assert Mouth(frames[0], marks[0].astype(float)).draw(made, points) > 0.5
    changed = (made != frames[0]).any(-1)
    assert changed[192:200, 115:130].mean() > 0.9
    assert not changed[:179, 145:].any()  # where the lips meet again, nothing above them


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


def _sketched(frame):
    import cv2

    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    lines = cv2.divide(grey, 255 - cv2.GaussianBlur(255 - grey, (21, 21), 0), scale=256)
    return np.repeat(lines[..., None], 3, -1)


def _spectacled(frame, points):
    import cv2

    out = frame.copy()
    for eye in (slice(36, 42), slice(42, 48)):
        middle, wide = points[eye].mean(0), np.ptp(points[eye, 0])
        cv2.circle(out, tuple(int(v) for v in middle), int(wide), (20, 20, 20), 3)
    return out


def _handed(frame, points):
    import cv2

    out = frame.copy()
    x, y = (int(v) for v in points[48:60].mean(0))
    cv2.ellipse(out, (x, y + 20), (70, 30), 20, 0, 360, (190, 140, 120), -1)
    return out


def _half(frame, points):
    """One side of the head alone, as in a profile: what is behind the nose's bridge is wall."""
    out = frame.copy()
    out[:, int(points[27, 0]) :] = frame[5, 5]
    return out


@pytest.mark.parametrize("kind", ["sketch", "spectacles", "hand", "profile"])
def test_hard_pictures_are_moved_or_refused_in_one_line(sitter, tmp_path, kind):
    """No face that can be read is said to be none; a face that can be is moved, and its clip is signed like any other."""
    frame, points = sitter[0][0], sitter[1][0]
    made_of = {
        "sketch": lambda: _sketched(frame),
        "spectacles": lambda: _spectacled(frame, points),
        "hand": lambda: _handed(frame, points),
        "profile": lambda: _half(frame, points),
    }
    write_image(tmp_path / "hard.png", made_of[kind]())
    job = Reenact(seconds=0.4, frame="crop", side=128)
    try:
        (made,) = reenact(
            [tmp_path / "hard.png"],
            ["puppets:4/1"],
            tmp_path / "a.mp4",
            HybridGenerator(),
            job,
            Session("public-domain"),
        )
    except (MediaError, UsageError) as error:
        assert kind != "spectacles" and "face" in str(error) and "hard.png" in str(error)
        assert "\n" not in str(error) and not (tmp_path / "a.mp4").exists()
    else:
        assert read(made.path).label["label"] == "fake" and len(frames_of(made.path)) == 10


def test_a_generator_is_itself_whatever_families_are_called(monkeypatch):
    from gioconda_core import plugins
    from synth.options import learns, remakes, sized

    real = plugins.names
    shadow = ("few-shot", "warp", "jitter")
    monkeypatch.setattr(plugins, "names", lambda group: shadow if group == "gioconda.families" else real(group))
    assert [n for n in shadow if remakes(n)] == ["jitter"] and learns("few-shot") and not sized("few-shot")
    assert generator("few-shot").name == "gioconda-few-shot" and not hasattr(generator("warp"), "remakes")


def test_generators_with_commas_share_out_one_size():
    roster = generator("few-shot,warp,hybrid")
    assert {h.size for h in roster.members} == {128} and roster.name == "gioconda-few-shot,warp,gioconda-hybrid"
    assert Roster.named(roster, "warp").name == "warp"
    assert Roster.of(generator("warp"))[0].name == "warp"


def test_a_smile_moves_no_hair(sitter):
    """Corners of the mouth are no part of the skull: raised, they were once taken for a nod that took the hair along."""
    frames, marks = sitter
    person = HybridGenerator(size=256).personalise(frames, marks, mode="ft", steps=None, seed=0)
    smile = marks[0].copy()
    side = np.ptp(smile[:, 1])
    smile[[48, 54, 60, 64], 1] -= 0.1 * side
    smile[[48, 60], 0] -= 0.06 * side
    smile[[54, 64], 0] += 0.06 * side
    made = person.render(smile[None])[0]
    hair = int(marks[0][17:27, 1].min() - 0.25 * side)
    assert np.abs(made[:hair].astype(int) - frames[0][:hair]).mean() < 0.3
    lips = slice(*np.round([marks[0][48:60, 1].min() - 4, marks[0][48:60, 1].max() + 4]).astype(int))
    assert np.abs(made[lips].astype(int) - frames[0][lips]).mean() > 2


def test_a_nod_that_takes_the_ears_past_the_brows_folds_nothing(sitter):
    """What lies between an ear and a brow is seen once: a bend that folds there smears brows into the hair."""
    import cv2

    from synth.hybrid import _space

    frame, points = sitter[0][0].copy(), sitter[1][0].astype(float)
    for ends in ([0, 17], [16, 26]):
        cv2.circle(frame, [round(v) for v in points[ends].mean(0)], 4, (0, 0, 255), -1)
    (space, middle), a = _space(points), np.radians(20)
    nod = np.c_[space[:, 0], space[:, 1] * np.cos(a) - space[:, 2] * np.sin(a)] + middle
    assert nod[16, 1] < nod[26, 1] - 5 and points[16, 1] > points[26, 1] + 5
    person = HybridGenerator(size=256).personalise(frame[None], sitter[1], mode="ft", steps=None, seed=0)
    made = person.render(nod[None])[0].astype(int)
    blue = (made[..., 2] - made[..., :2].max(-1) > 90).astype(np.uint8)
    assert cv2.connectedComponents(blue)[0] - 1 == 2


def test_trembling_landmarks_hardly_shake_a_head_and_lips_go_where_they_are_wanted(sitter):
    from synth.hybrid import _FOLLOWED, GRID, SLACK
    from synth.warp import field, warp

    frames, marks = sitter
    person = HybridGenerator(size=256).personalise(frames, marks, mode="ft", steps=None, seed=0)
    rng = np.random.default_rng(0)
    shaken = marks[0] + rng.normal(0, 1, (4, 68, 2))
    made = np.abs(person.render(shaken).astype(int) - frames[0]).mean()
    assert made < 0.72 * np.mean([np.abs(warp(frames[0], marks[0], p).astype(int) - frames[0]).mean() for p in shaken])
    wide, followed = opened(marks[0]), np.isin(np.arange(68), _FOLLOWED)
    coarse = field(256, marks[0], wide, GRID, SLACK * ~followed)
    at = np.round(wide * (GRID - 1) / 255).astype(int)
    assert np.abs(wide + coarse[at[:, 1], at[:, 0]] - marks[0])[followed].max() < 4
