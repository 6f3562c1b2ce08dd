"""A detector's failures stay its own: no NaN, exception, hang or death ever becomes a score."""

import dataclasses
import sys
import textwrap
import time

import numpy as np
import pytest

from detect.base import Abstain, Card, abstaining, pool, reading
from detect.external import wire
from detect.external.command import CommandDetector
from detect.external.plugin import IsolatedDetector
from detect.face_crops import MAX_TRACKS, MIN_FACE, prepare, square
from detect.reading.guard import failed, run
from detect.registry import load, parse
from gioconda_core.errors import PluginError, UsageError
from gioconda_core.reasons import AbstentionReason
from gioconda_core.testing import check_detector, footage
from gioconda_core.types import Reading, TrackScore


class Puppet:
    """A detector that does as it is told."""

    id, version, weights_sha256, card = "puppet", "1", None, Card("a test's detector")

    def __init__(self, act=None):
        self.act = act or (lambda f: reading(self, f, [TrackScore(0, (0.0, 1.0), (1.0, 3.0))]))

    @abstaining
    def read(self, clip):
        return self.act(clip)


def score_of(value):
    class Loose:  # a stranger's object that did not come through Reading's own check
        score, series, abstained = value, (), None

    return Loose()


def nan_series(clip):
    return Reading("puppet", "1", None, 0.5, (TrackScore(0, (0.0,), (float("nan"),)),))


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (lambda f: 1 / 0, "ZeroDivisionError"),
        (lambda f: Reading("puppet", "1", None, float("nan")), "finite"),
        (nan_series, "finite"),
        (lambda f: score_of(float("inf")), "not a Reading"),
        (lambda f: Reading("puppet", "1", None, 0.5, (TrackScore(0, (0.0, 1.0), (1.0,)),)), "different number"),
        (lambda f: 0.7, "not a Reading"),
        (lambda f: sys.exit(0), "SystemExit"),
        (lambda f: f.frames.__setitem__(0, 0), "read-only"),
    ],
)
def test_a_failure_is_an_abstention_that_says_it_failed(act, why):
    got = run(Puppet(act), footage())
    assert got.score is None and failed(got) and why in got.abstained.text


def test_a_score_of_single_precision_is_a_number():
    got = run(Puppet(lambda f: Reading("puppet", "1", None, np.float32(0.5))), footage())
    assert type(got.score) is float and got.score == 0.5


def test_a_hang_is_given_up_on():
    start = time.monotonic()
    got = run(Puppet(lambda f: time.sleep(30)), footage(), timeout=0.2)
    assert got.score is None and failed(got) and "0.2 s" in got.abstained.text
    assert time.monotonic() - start < 30  # it was not waited for


def test_a_decision_not_to_say_is_not_a_failure():
    def decline(clip):
        raise Abstain("too dark")

    got = run(Puppet(decline), footage())
    assert got.abstained.text == "too dark" and not failed(got)


def test_a_good_reading_passes_unchanged_and_is_timed():
    got = run(Puppet(), footage())
    assert got.score == 2.0 and got.seconds >= 0


def test_a_clip_scores_as_its_highest_face():
    series = [TrackScore(0, (0, 1), (0.0, 2.0)), TrackScore(1, (0,), (1.5,))]
    assert pool(series) == 1.5
    with pytest.raises(Abstain):
        pool([])


PLUGIN = """
import os, time
from detect.base import Card
from gioconda_core.types import Reading
time.sleep(float(os.environ.get("SLOW_START", "0")))
class D:
    id, version, weights_sha256, card = "theirs", "2", None, Card("somebody's")
    def read(self, clip):
        print("plugins print")
        if clip.protocol == "die": os.kill(os.getpid(), 11)
        if clip.protocol == "hang": time.sleep(60)
        return Reading("theirs", "2", None, float(clip.frames.mean()), protocol=clip.protocol)
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A plugin as pip would install it: a module and an entry point."""
    (tmp_path / "theirs.py").write_text(textwrap.dedent(PLUGIN))
    info = tmp_path / "theirs-2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 2\n")
    (info / "entry_points.txt").write_text("[gioconda.detectors]\ntheirs = theirs:D\nbroken = theirs:Missing\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:" + ":".join(p for p in sys.path if p))
    return tmp_path


def test_a_plugin_that_dies_or_hangs_loses_one_reading_only(installed):
    detector = load("theirs")
    assert isinstance(detector, IsolatedDetector) and detector.id == "theirs"
    clip = footage()
    try:
        good = run(detector, clip)
        assert good.score == pytest.approx(float(clip.frames.mean()))
        dead = run(detector, dataclasses.replace(clip, protocol="die"))
        assert failed(dead) and "signal 11" in dead.abstained.text
        hung = run(detector, dataclasses.replace(clip, protocol="hang"), timeout=0.5)
        assert failed(hung) and "0.5 s" in hung.abstained.text
        assert run(detector, clip).score == good.score
    finally:
        detector.close()
    with pytest.raises(PluginError):
        load("broken")


def test_a_read_given_up_on_while_its_plugin_starts_leaves_the_next_one_alone(installed, monkeypatch):
    from gioconda_core.workers.child import Child

    detector, clip, told = load("theirs"), footage(), Child.obituary
    try:
        detector.kill()
        monkeypatch.setenv("SLOW_START", "1")
        # The first read learns late that its process was killed: the second one's is starting by then.
        monkeypatch.setattr(Child, "obituary", lambda child: (time.sleep(0.5), told(child))[1])
        late = run(detector, clip, timeout=0.2)
        assert failed(late) and "0.2 s" in late.abstained.text
        assert run(detector, clip).score == pytest.approx(float(clip.frames.mean()))
    finally:
        detector.close()
    with pytest.raises(PluginError, match="not loaded within"):
        IsolatedDetector("theirs", start_timeout=0.01)


def test_footage_goes_to_a_worker_and_comes_back_as_it_is():
    clip = footage(frames=3, faces=2)
    track = dataclasses.replace(clip.tracks[1], measures={"yaw": np.ones(len(clip.tracks[1]), np.float32)})
    clip = dataclasses.replace(clip, tracks=(clip.tracks[0], track), facts={"codec": "h264", "width": 64})
    back = wire.footage(wire.arrays(clip))
    assert (back.fps, back.duration, back.protocol, back.facts) == (clip.fps, clip.duration, clip.protocol, clip.facts)
    assert np.array_equal(back.frames, clip.frames) and np.array_equal(back.times, clip.times)
    for one, other in zip(back.tracks, clip.tracks, strict=True):
        assert one.id == other.id and list(one.measures) == list(other.measures)
        for name in ("times", "boxes", "landmarks", "quality"):
            assert np.array_equal(getattr(one, name), getattr(other, name))


def test_footage_survives_the_wire_exactly():
    clip = footage(frames=3, faces=2)
    back = wire.unpack(wire.pack(clip))
    assert np.array_equal(back.frames, clip.frames) and back.fps == clip.fps
    assert len(back.tracks) == 2
    np.testing.assert_allclose(back.tracks[1].landmarks, clip.tracks[1].landmarks, atol=1e-3)


@pytest.mark.parametrize("bad", [[], {"score": None}, {"score": True}, {"score": "0.3"}, {}])
def test_a_strangers_answer_must_hold_a_number(bad):
    with pytest.raises(ValueError):
        wire.reading(bad, Puppet(), footage())
    with pytest.raises(Abstain) as said:
        wire.reading({"score": float("nan")}, Puppet(), footage())
    assert said.value.reason.code == "not-finite" and said.value.reason.failed


SCRIPT = """
import json, sys
from detect.external import wire
clip = wire.unpack(sys.stdin.buffer.read())
mode = sys.argv[1]
if mode == "sleep":
    import time; time.sleep(60)
if mode == "code": sys.exit(3)
print({"good": json.dumps({"score": float(clip.frames.mean()), "version": "9"}), "nan": '{"score": NaN}',
       "none": '{"abstain": "no face"}', "text": "sorry"}[mode])
"""


def test_a_command_is_fed_footage_and_believed_only_when_it_answers_well(tmp_path):
    script = tmp_path / "judge.py"
    script.write_text(SCRIPT)
    clip = footage(frames=2)

    def judge(mode, **options):
        return run(CommandDetector(f"{sys.executable} {script} {mode}", **options), clip)

    good = judge("good")
    assert good.score == pytest.approx(float(clip.frames.mean())) and good.version == "9"
    assert judge("none").abstained.text == "no face" and not failed(judge("none"))
    for mode in ("nan", "text", "code"):
        assert failed(judge(mode)), mode
    assert failed(judge("sleep", timeout=0.6))


def test_scores_from_a_table(tmp_path):
    table = tmp_path / "theirs.csv"
    table.write_text("sha256,path,score\nAB,clips/a.mp4,0.25\ncd,clips/b.mp4,\n")
    detector = load(f"scores:{table}")
    assert detector.of("ab").score == 0.25 == detector.of("?", "clips/a.mp4").score
    known = dataclasses.replace(footage(), facts={"sha256": "ab"})
    assert run(detector, known).score == 0.25
    assert run(detector, footage()).abstained  # a clip the table does not name has no score, least of all zero
    assert detector.of("cd").abstained.code == AbstentionReason.NO_SCORE_IN_TABLE
    table.write_text("path,score\na,0.1\na,0.2\n")
    with pytest.raises(UsageError, match="second"):
        load(f"scores:{table}")
    table.write_text("path,score\na,nan\n")
    with pytest.raises(UsageError, match="finite"):
        load(f"scores:{table}")


def test_unknown_detectors_and_addresses_are_usage_errors():
    with pytest.raises(UsageError):
        load("no-such", isolate=False)
    with pytest.raises(UsageError):
        load("http:ftp://example.org")


# --------------------------------------------------------------------------- preparation


def test_bad_footage_is_an_abstention_with_a_reason():
    clip = footage()
    reasons = {}
    for name, bad in {
        "nobody": dataclasses.replace(clip, tracks=()),
        "tiny": footage(size=30),
        "no frames": dataclasses.replace(clip, frames=clip.frames[:0], times=clip.times[:0]),
    }.items():
        with pytest.raises(Abstain) as reason:
            prepare(bad, 64)
        reasons[name] = str(reason.value)
    lying = dataclasses.replace(clip, tracks=(), facts={"turned": 180})
    turned = run(Puppet(lambda f: prepare(f, 64)), lying).abstained
    assert turned is not None and (turned.code, turned.detail) == (AbstentionReason.FACE_TURNED, {"degrees": 180})
    assert "no face" in reasons["nobody"] and str(MIN_FACE) in reasons["tiny"] and "no picture" in reasons["no frames"]
    blurred = dataclasses.replace(clip.tracks[0], quality=np.zeros(len(clip.tracks[0]), np.float32))
    with pytest.raises(Abstain) as unclear:  # large enough, and nothing to see of it
        prepare(dataclasses.replace(clip, tracks=(blurred,)), 64)
    assert unclear.value.reason.code == AbstentionReason.FACE_UNCLEAR


def test_a_crowd_is_cut_to_its_largest_faces():
    clip = footage(frames=2, size=256)
    crowd = tuple(dataclasses.replace(clip.tracks[0], id=i) for i in range(10_000))
    assert len(prepare(dataclasses.replace(clip, tracks=crowd), 32)) == MAX_TRACKS < len(crowd)


@pytest.mark.parametrize("mode", ["aligned", "square"])
def test_crops_and_their_landmarks_agree(mode):
    clip = footage()
    (face,) = prepare(clip, 96, mode=mode)
    assert face.crops.shape == (8, 96, 96, 3) and face.crops.dtype == np.uint8
    assert face.landmarks.shape == (8, 68, 2) and (np.abs(face.landmarks.mean((0, 1)) - 48) < 24).all()


def test_a_square_crop_at_one_to_one_is_the_picture_itself():
    clip = footage(size=200)
    points = clip.tracks[0].landmarks[0]
    extent = float(np.ptp(points, axis=0).max())
    crop, moved = square(clip.frames[0], points, 64, 64 / extent)
    x, y = np.round(points[0] - moved[0]).astype(int)
    assert np.array_equal(crop, clip.frames[0][y : y + 64, x : x + 64])


def test_a_face_over_the_edge_is_still_a_crop():
    clip = footage(size=160)
    for shift in ((-70, 0), (90, 90), (0, -75)):
        crop, _ = square(clip.frames[0], clip.tracks[0].landmarks[0] + np.float32(shift), 64, 1.7)
        assert crop.shape == (64, 64, 3)


def test_a_step_keeps_crops_apart_and_one_window_serves_the_whole_track():
    clip = footage(frames=30)
    (face,) = prepare(clip, 64, mode="square", step=0.25)
    assert np.all(np.diff(face.times) >= 0.2) and len(face) == 6


def test_many_crops_are_thinned_evenly():
    clip = footage(frames=30)
    (face,) = prepare(clip, 64, mode="square", max_frames=6)
    assert len(face) == 6 and face.times[0] == clip.times[0] and face.times[-1] == clip.times[-1]


def test_the_contract_for_plugins_holds_for_a_command(tmp_path):
    script = tmp_path / "judge.py"
    script.write_text(SCRIPT)
    check_detector(CommandDetector(f"{sys.executable} {script} good"))


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("contrast", (None, "contrast", None)),
        ("cnn:runs/mine", (None, "cnn", "runs/mine")),
        ("theirs=http:https://a.example/judge?key=1", ("theirs", "http", "https://a.example/judge?key=1")),
        ("http:https://a.example/judge?key=1", (None, "http", "https://a.example/judge?key=1")),
        ("command:./judge --mode=fast", (None, "command", "./judge --mode=fast")),
        ("old=contrast", ("old", "contrast", None)),
    ],
)
def test_a_name_of_ones_own_is_told_from_an_address_with_an_equals_sign(spec, parts):
    assert parse(spec) == parts


def test_a_detector_answers_under_the_name_it_was_given():
    detector = load("mine=command:true")
    assert detector.id == "mine" and run(detector, footage()).detector == "mine"
