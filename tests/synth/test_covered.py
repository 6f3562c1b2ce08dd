"""What stands before a face is noticed: a covered mouth is said and recorded, and spectacles keep their shape."""

from __future__ import annotations

import json

import numpy as np
import pytest
from puppet_material import puppet

from gioconda_core.errors import WeightsError
from gioconda_core.faces import align
from gioconda_core.files import sha256_of
from gioconda_core.media.clip import write_image
from provenance.reading.read import read
from synth import hybrid
from synth.hybrid import HybridGenerator
from synth.person.covered import HEADS, Covered, covered
from synth.reenact.options import Reenact
from synth.reenact.reenact import reenact
from synth.session import Session

SPECTACLED, BARE = (10, 21, 22), (3, 4, 12)  # identities of puppets


def sitter(identity):
    take = puppet(identity, 1, 8)
    return take.frames[3], take.landmarks[3].astype(np.float64)


def handed(frame, points):
    """Something of one colour before the mouth, as a hand would be."""
    import cv2

    out, side = frame.copy(), align.side(points)
    x, y = (int(v) for v in points[48:60].mean(0))
    skin = tuple(int(v) for v in 0.9 * frame[tuple(np.round(points[30][::-1]).astype(int))])
    for finger in range(4):
        at = y + int((finger - 1.5) * 0.11 * side)
        cv2.line(out, (x - int(0.6 * side), at + 12), (x + int(0.25 * side), at), skin, int(0.12 * side), cv2.LINE_AA)
        cv2.line(out, (x - int(0.6 * side), at + 20), (x + int(0.22 * side), at + 8), tuple(v // 2 for v in skin), 1)
    return out


@pytest.mark.parametrize("identity", SPECTACLED + BARE)
def test_spectacles_and_a_hand_before_the_mouth_are_seen_and_nothing_else(identity):
    frame, points = sitter(identity)
    worn = identity in SPECTACLED
    assert covered(frame, points) == Covered(mouth=False, spectacles=worn)
    assert covered(handed(frame, points), points).mouth


def test_where_nobody_can_look_nothing_is_known(monkeypatch):
    def nowhere():
        raise WeightsError("not installed")

    monkeypatch.setattr("synth.person.covered._network", nowhere)
    assert covered(*sitter(3)) == Covered(None, None)


def rims_moved(frame, points, monkeypatch, worn):
    """How far the brows' rise moves what lies between brows and eyes, in levels."""
    monkeypatch.setattr(hybrid, "covered", lambda *_: Covered(False, worn))
    raised = points.copy()
    raised[17:27, 1] -= 0.04 * align.side(points)
    made = hybrid.bent(frame[None], points[None], raised[None])[0]
    top, bottom = int(points[36:48, 1].min() - 0.1 * align.side(points)), int(points[36:48, 1].max())
    return np.abs(made[top:bottom].astype(int) - frame[top:bottom]).mean()


def test_spectacles_do_not_rise_with_the_brows(monkeypatch):
    frame, points = sitter(SPECTACLED[0])
    assert rims_moved(frame, points, monkeypatch, True) < 0.2 * rims_moved(frame, points, monkeypatch, False)


def test_of_several_shots_one_whose_mouth_is_seen_is_bent():
    take = puppet(3, 1, 8)
    frames, points = take.frames[:2].copy(), take.landmarks[:2].astype(np.float64)
    frames[1] = handed(frames[1], points[1])
    person = HybridGenerator(size=256).personalise(frames, points, mode="ft", steps=None, seed=0)
    made = person.render(points[1][None])[0]
    assert person.parts["shots_used"] == 1
    assert not covered(made, points[1]).mouth


def test_a_covered_mouth_is_said_before_the_work_and_recorded_and_looked_at_once(tmp_path, monkeypatch):
    looked = []
    for place in ("synth.hybrid.covered", "synth.reenact.shots.covered"):
        monkeypatch.setattr(place, lambda *shot: looked.append(1) or covered(*shot))
    frame, points = sitter(3)
    write_image(tmp_path / "bare.png", frame)
    write_image(tmp_path / "hand.png", handed(frame, points))
    job, said = Reenact(seconds=0.2, frame="crop", side=128, mark=False), []
    for name in ("bare", "hand"):
        session = Session("public-domain", say=said.append)
        (made,) = reenact(
            [tmp_path / f"{name}.png"], ["puppets:4/1"], tmp_path / f"{name}.mp4", HybridGenerator(), job, session
        )
        assert read(made.path).label["params"].get("mouth_covered") == (1 if name == "hand" else None)
    assert len(looked) == 2
    assert len([line for line in said if "cover the mouth" in line]) == 1
    assert next(line for line in said if "cover" in line).startswith("hand.png: something seems to cover the mouth;")


def test_a_sample_of_a_set_records_it_too():
    from types import SimpleNamespace

    from synth.fakes.sample import Motion, render

    frame, points = sitter(3)
    for shot, hidden in ((frame, 0), (handed(frame, points), 1)):
        person = HybridGenerator(size=256).personalise(shot[None], points[None], mode="ft", steps=None, seed=0)
        made = render(person, SimpleNamespace(), Motion(points[None], None), SimpleNamespace())
        assert made.hidden == hidden and made.frames.shape == (1, 256, 256, 3)


def test_the_heads_have_a_card_that_is_theirs():
    card = json.loads(HEADS.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["weights_sha256"] == sha256_of(HEADS)
    assert {"summary", "trained_on", "licence", "date", "figures", "limits"} <= set(card)
