"""From readings and container to words; and one real file through the whole of examine."""

import dataclasses
import re
import subprocess
import sys
from fractions import Fraction

import av
import jsonschema
import numpy as np
import pytest
from PIL import Image
from report_samples import abstained, calibrated, report

import gioconda
from detect.reading import calibration
from gioconda.report import as_json, metadata, strips, verdict
from gioconda.report.requirements import Policy, outcome
from gioconda.report.rows import Row
from gioconda.report.view import view
from gioconda.report.wording import LANGUAGES, reason_text, say
from gioconda_core import reasons
from gioconda_core.errors import MediaError, UsageError
from gioconda_core.reasons import (
    Abstention,
    AbstentionReason,
    Difference,
    DifferenceReason,
    MediaWarning,
    UnreadReason,
    WarningReason,
)
from gioconda_core.testing import footage as made_footage
from gioconda_core.types import (
    Code,
    Evidence,
    FaceCalibrated,
    FaceTrack,
    Footage,
    Level,
    Provenance,
    ProvenanceState,
    Sealed,
    Sentence,
    Sound,
    Watermark,
)

READ_HERE = pytest.mark.usefixtures("metadata_here")
ABSENT = Provenance(ProvenanceState.ABSENT)
HIGH = calibrated("residual", 2.0, 0.002, Level.STRONG_SIGNAL)
LOW = calibrated("spectrum", -1.0, 0.6, Level.NO_STRONG_SIGNAL)
RANK = calibrated("vit-ln", 9.0, None)


def footage(face=200, n=16, quality=0.9, yaw=0.0, tracks=1, every=1):
    times = np.arange(n) / 5.0
    kept = times[::every]
    m = len(kept)
    box = np.tile(np.array([50, 50, 50 + face, 50 + face], np.float32), (m, 1))
    found = tuple(
        FaceTrack(
            i,
            kept,
            box,
            np.linspace((50, 50), (50 + face, 40 + face), 68, dtype=np.float32)[None].repeat(m, 0),
            np.full(m, quality, np.float32),
            {"yaw": np.full(m, yaw, np.float32)},
        )
        for i in range(tracks)
    )
    return Footage(np.zeros((n, 8, 8, 3), np.uint8), times, Fraction(25), 3.2, found)


def keys(sentences):
    return [s.key for s in sentences]


def test_a_score_without_a_calibration_card_sets_no_level():
    assert verdict.level_of([RANK]) == Level.NOT_ASSESSED
    assert verdict.level_of([RANK, LOW]) == Level.NO_STRONG_SIGNAL
    # the wrong way: taking a level at its word although nothing calibrates it
    forged = dataclasses.replace(RANK, level=Level.STRONG_SIGNAL)
    assert verdict.level_of([forged]) == Level.NOT_ASSESSED
    assert keys(verdict.sentences([forged])) == ["short.uncalibrated"]


def sealed(value=0.542, low=0.458, high=0.619, cue="sharpness", cue_value=0.682):
    return Sealed("a sealed set", "2026-11-29", value, low, high, 69, 164, 63, 23, cue, cue_value)


def test_a_detector_without_skill_on_unseen_methods_sets_no_other_level_and_the_headline_says_so():
    dull = dataclasses.replace(HIGH, level=Level.NO_SKILL, sealed=sealed())
    for readings in ([dull], [dull, RANK, abstained()]):
        v = verdict.verdict(readings, footage(), {}, ABSENT)
        assert v.level == Level.NO_SKILL and v.sentences[0].key == "short.no-skill"
        assert "next.lead" not in keys(v.next_steps)
        assert "No skill on unseen methods" in say(v.sentences[0])
        for figure in ("0.542", "0.458", "0.619", "2026-11-29", "sharpness alone reaches 0.682"):
            assert figure in say(v.sentences[0])
        assert "0.542" in say(v.sentences[0], "ja") and "鮮鋭さ" in say(v.sentences[0], "ja")
    document = as_json.document(report(readings=(dull,)))
    jsonschema.validate(document, as_json.schema())
    assert as_json.from_document(document).readings[0].sealed == dull.sealed
    # one with skill speaks for itself, beside it
    v = verdict.verdict([dull, LOW], footage(), {}, ABSENT)
    assert v.level == Level.NO_STRONG_SIGNAL and v.sentences[0].key == "short.no-strong-signal"


@pytest.mark.parametrize(
    "figure, skill",
    [
        (sealed(), False),  # a coin lies in the interval
        (sealed(0.66, 0.58, 0.74), False),  # better than a coin, and no better than sharpness
        (sealed(0.72, 0.63, 0.80), True),
        (sealed(0.66, 0.58, 0.74, "", None), True),
    ],
)
def test_skill_is_more_than_a_coin_and_more_than_the_best_trivial_cue(figure, skill):
    assert figure.skill is skill


def test_marked_moments_are_only_spoken_of_where_some_are_marked():
    facts = {"width": 640, "height": 480}
    for line, step in ((1.5, "next.lead"), (99.0, "next.lead-whole"), (None, "next.lead-whole")):
        reading = dataclasses.replace(HIGH, threshold=1.0, window_threshold=line)
        v = verdict.verdict([reading], footage(), facts, ABSENT)
        assert v.level == Level.STRONG_SIGNAL and keys(v.next_steps)[0] == step


def test_a_moment_that_stands_out_of_a_clip_without_a_signal_is_said_with_how_few_real_clips_have_one():
    reading = dataclasses.replace(LOW, window_threshold=0.3, of_reals=236)
    series = dataclasses.replace(reading.reading.series[0], times=(0.5, 1.5, 2.5), scores=(0.1, 0.4, 0.2))
    reading = dataclasses.replace(reading, reading=dataclasses.replace(reading.reading, series=(series,)))
    v = verdict.verdict([reading], footage(), {"width": 640, "height": 480}, ABSENT)
    assert v.level == Level.NO_STRONG_SIGNAL
    assert "around 1.5 s; of 236 real clips at most one in ten" in say(v.sentences[2]), keys(v.sentences)
    assert "next.moments" in keys(v.next_steps)
    quiet = verdict.verdict([dataclasses.replace(reading, window_threshold=0.5)], footage(), {}, ABSENT)
    assert not {"short.moments", "next.moments"} & {*keys(quiet.sentences), *keys(quiet.next_steps)}


def test_a_strips_line_is_that_of_moments_and_the_strip_says_so():
    from gioconda.report.view import view

    reading = dataclasses.replace(HIGH, threshold=1.0, window_threshold=2.5, of_reals=236)
    series = dataclasses.replace(reading.reading.series[0], times=(0.5, 1.5, 2.5), scores=(1.4, 2.2, 2.4))

    def strip(item, scores):
        made = dataclasses.replace(series, scores=scores)
        item = dataclasses.replace(item, reading=dataclasses.replace(item.reading, series=(made,)))
        return view(report(readings=(item,))).readings[0].strips[0]

    none = strip(reading, (1.4, 2.2, 2.4))
    assert none.threshold == 2.5 and none.note.startswith("No moment stands out: the score is of the clip as a whole")
    one = strip(reading, (1.4, 2.2, 2.6))
    assert one.note.startswith("Standing out: around 2.5 s") and "1 of 3 moments" in one.description
    assert "of 236 real clips at most one in ten" in one.description
    unlined = strip(dataclasses.replace(reading, window_threshold=None), (1.4, 2.2, 2.6))
    assert unlined.threshold is None and "is not known" in unlined.description


def test_one_reading_sets_the_headline_and_disagreement_is_said():
    facts = {"width": 640, "height": 480}
    v = verdict.verdict([HIGH, LOW, abstained()], footage(), facts, ABSENT)
    assert v.level == Level.STRONG_SIGNAL
    assert keys(v.sentences) == ["short.strong-signal", "short.disagree"]
    assert {"next.lead", "next.disagree"} <= set(keys(v.next_steps))
    # the strongest of several, each with its own rate, would be no calibrated statement: the first one speaks
    v = verdict.verdict([LOW, HIGH], footage(), facts, ABSENT)
    assert v.level == Level.NO_STRONG_SIGNAL and "short.disagree" in keys(v.sentences)
    # and a detector with a better figure on unseen methods speaks before one without
    best = dataclasses.replace(HIGH, sealed=sealed(0.8, 0.72, 0.87))
    assert verdict.verdict([LOW, best], footage(), facts, ABSENT).level == Level.STRONG_SIGNAL


def test_a_headline_says_how_many_real_clips_got_it_too_and_never_nought_per_cent():
    v = verdict.verdict([dataclasses.replace(HIGH, same_headline=0, of_reals=53)], footage(), {}, ABSENT)
    assert "None of the 53 real clips it was measured on got this headline; with so few, up to 1 in 15 may" in say(
        v.sentences[0]
    )
    v = verdict.verdict([dataclasses.replace(HIGH, same_headline=9, of_reals=94)], footage(), {}, ABSENT)
    assert "Of the 94 real clips it was measured on, 9 got this headline too" in say(v.sentences[0])
    assert "94" in say(v.sentences[0], "ja") and "that the face was generated or reenacted by AI" in say(
        Sentence("level.signal")
    )
    from gioconda import report as render

    for rate in (0.0, 1.0):
        for level in (Level.STRONG_SIGNAL, Level.NO_STRONG_SIGNAL):
            item = dataclasses.replace(calibrated(rate=rate, level=level), same_headline=round(420 * rate))
            told = report(readings=(item,), verdict=verdict.verdict([item], footage(), {}, ABSENT))
            for lang in ("en", "ja"):
                shown = render.text(told, lang) + render.html(told, lang)
                assert not re.search(r"(?<![\d.])(0|100)[ \u00a0]%", re.sub(r"(?s)<style>.*?</style>", "", shown))


def test_beside_nothing_found_stands_how_much_is_missed():
    counted = dataclasses.replace(sealed(0.8, 0.7, 0.9), missed=98)
    for where in ({"sealed": counted}, {"unseen": counted}, {"sealed": sealed(0.8, 0.7, 0.9), "unseen": counted}):
        v = verdict.verdict([dataclasses.replace(LOW, **where)], footage(), {}, ABSENT)
        assert (
            "Of ten fakes by methods unseen in training it misses about 6 (98 of 164, 23 methods, 2026-11-29)"
            in say(v.sentences[1])
        )
    assert "has not been counted" in say(verdict.verdict([LOW], footage(), {}, ABSENT).sentences[1])


@pytest.mark.parametrize(
    ("facts", "key"), [({"still": True}, "short.still"), ({"moves": False, "examined": {"frames": 16}}, "short.frozen")]
)
def test_a_picture_that_does_not_move_is_said_first_and_once(facts, key):
    why = AbstentionReason.STILL_PICTURE if "still" in facts else AbstentionReason.NOTHING_MOVES
    silent = [abstained(name, Abstention(why, {"frames": 16})) for name in ("dynamics", "texture", "residual")]
    v = verdict.verdict(silent, footage(), {"width": 640, "height": 480, **facts}, ABSENT)
    assert keys(v.sentences) == [key] and v.level == Level.NOT_ASSESSED


def moving(n=24, until=None, step=0.25):
    """Frames of noise, which stop changing at a frame."""
    rng = np.random.default_rng(0)
    frames = np.stack([rng.integers(0, 255, (32, 32, 3), np.uint8).repeat(8, 0).repeat(8, 1) for _ in range(n)])
    frames[until or n - 1 :] = frames[until or n - 1]
    return Footage(frames, np.arange(n) * step, Fraction(25), n * step, ())


def test_seconds_in_which_the_picture_stands_still_are_said():
    whole, frozen = moving(), moving(until=8)
    assert whole.standing == () and frozen.standing == ((2.0, 5.75),)
    assert moving(until=20).standing == (), "a second is a pause"
    assert moving(until=8, step=3.0).standing == (), "what lies between frames far apart is not known"
    said = [say(s) for s in verdict.caveats([LOW], frozen, {})]
    assert any("2 s – 5.8 s" in line and "stands still for part" in line for line in said)
    assert "caveat.stands-still" not in keys(verdict.caveats([LOW], whole, {}))


def test_of_a_sliver_it_is_seen_too_that_it_changes():
    """Of a film narrower than the blocks that movement is looked for in, it was said that hardly anything changes."""
    frames = np.full((4, 64, 4, 3), 20, np.uint8)
    frames[1::2] = 200
    assert Footage(frames, np.arange(4.0), Fraction(25), 4.0, ()).moves


def test_neither_a_fine_pattern_nor_two_colours_of_one_brightness_are_one_plain_colour():
    pattern = np.zeros((2, 64, 64, 3), np.uint8)
    pattern[:, ::2, ::2] = pattern[:, 1::2, 1::2] = 255
    colours = np.zeros((2, 64, 64, 3), np.uint8)
    colours[:, :, :32, 0] = colours[:, :, 32:, 2] = 200
    for frames in (pattern, colours):
        assert not Footage(frames, np.arange(2.0), Fraction(25), 2.0, ()).plain
    assert Footage(np.full_like(pattern, 90), np.arange(2.0), Fraction(25), 2.0, ()).plain


@pytest.mark.parametrize(("low", "plain"), [(0, True), (40, False)])
def test_one_colour_is_called_one_and_no_still_picture(low, plain):
    frames = np.full((6, 64, 64, 3), 90, np.uint8)
    frames[:, :32] -= low
    made = Footage(frames, np.arange(6.0), Fraction(25), 6.0, ())
    assert made.plain is plain and not made.moves
    facts = {"moves": made.moves, "plain": made.plain, "examined": {"frames": 6}}
    said = verdict.sentences(
        [abstained("contrast", Abstention(AbstentionReason.NOTHING_MOVES, {"frames": 6}))], facts=facts
    )
    assert keys(said) == ["short.frozen", *["short.plain"] * plain]
    assert "6 frames that were looked at" in say(said[0])


@pytest.mark.parametrize("lang", LANGUAGES)
def test_of_what_hardly_changes_the_extent_of_the_look_is_said_and_a_still_picture_is_not(lang):
    """Of two frames of a living face it was said that a still picture is shown, of 0.3 s that it is as in a photograph."""
    still = {
        "en": "still|photo",
        "ja": "静止画|写真",
        "es": "fija|fotograf",
        "fr": "fixe|photo",
        "de": "standbild|foto",
    }[lang]
    why = reasons.said("face-never-changes", {"moments": 4, "seconds": 0.3}, lang)
    moves = reasons.said("nothing-moves", {"frames": 2}, lang)
    frozen = say(Sentence("short.frozen", {"frames": 2}), lang)
    assert "4" in why and ("0,3" if lang in ("es", "fr", "de") else "0.3") in why and "2" in moves and "2" in frozen
    assert not re.search(still, f"{why} {moves} {frozen}".lower())


def test_why_a_face_was_not_read_is_said_of_the_detectors_that_come_with_the_package():
    made = report(readings=(calibrated("contrast", -1.0, 0.6, Level.NO_STRONG_SIGNAL, track=0),))
    two = dataclasses.replace(made, tracks=tuple(dataclasses.replace(made.tracks[0], id=i) for i in range(2)))
    assert any("face 2. It leaves out a face" in line for line in view(two).readings[0].lines)
    other = {"detector": "contrast", "summary": "a plugin", "licence": "MIT"}
    (line,) = [x for x in view(dataclasses.replace(two, facts={"others": [other]})).readings[0].lines if "face 2" in x]
    assert line == "Not read by this detector: face 2."


def test_of_several_sound_tracks_it_is_said_which_one_is_drawn():
    """Of a file with a silent first track it was said that "the" sound track is silent."""
    sound = Sound(2.0, 0.0, "aac", 48_000, 1, (0.0,), (), b"")
    made = dataclasses.replace(report(), evidence=Evidence(sound=sound))
    assert "2 sound tracks" in view(dataclasses.replace(made, facts={"sounds": 2})).heard[0]
    assert not any("sound tracks" in line for line in view(dataclasses.replace(made, facts={"sounds": 1})).heard)


def test_a_cover_picture_is_said_not_to_be_examined():
    assert "not examined: 1." in say(verdict.caveats([], None, {"covers": 1})[0])


def test_a_video_of_one_frame_is_said_to_be_one_and_nothing_more_is_made_of_it():
    facts = {
        "width": 640,
        "height": 480,
        "duration": 0.04,
        "frame_count": 1,
        "moves": False,
        "examined": {"seconds": 0.0},
    }
    v = verdict.verdict(
        [abstained("contrast", "no two frames that were read lie close enough")], footage(n=1), facts, ABSENT
    )
    assert keys(v.sentences) == ["short.one-frame"] and "scope.clip" not in keys(v.scope)
    torn = facts | {"duration": 5.0, "frame_count": None, "examined": {"frames": 1, "seconds": 0.0}}
    v = verdict.verdict([abstained("contrast", "no two")], footage(n=1), torn, ABSENT)
    assert keys(v.sentences)[0] == "short.one-looked-at" and "scope.clip" not in keys(v.scope), (
        "not that hardly anything changes"
    )


@pytest.mark.parametrize(("sound", "asked"), [(True, "Confirm speaker"), (False, "Confirm who is shown")])
def test_a_speaker_is_asked_for_only_where_somebody_can_be_heard(sound, asked):
    steps = verdict.next_steps(Level.NOT_ASSESSED, [abstained()], ABSENT, (), {"has_audio": sound})
    assert any(say(step).startswith(asked) for step in steps)


def test_moments_of_the_sound_are_told_as_those_of_the_pictures_are():
    """Of a sound that began half a second late it was told where its own clock had its gaps, and drawn elsewhere."""
    late = Sound(4.0, 0.5, "aac", 48_000, 1, (0.5,), ((1.0, 2.0),), b"")
    early = dataclasses.replace(late, offset=-1.5, gaps=((0.2, 0.5), (1.0, 2.0)))
    for sound, said in ((late, "1.5 s – 2.5 s"), (early, "at 0 s – 0.5 s.")):
        made = dataclasses.replace(report(), evidence=Evidence(sound=sound))
        assert any(said in line for line in view(made).heard)
        assert f"<title>{'1.5–2.5' if sound is late else '0–0.5'} s" in strips.waveform(sound, 4.0, "sound")


def test_what_was_examined_and_what_was_not_is_said():
    facts = {
        "width": 640,
        "height": 480,
        "duration": 600.0,
        "has_audio": True,
        "streams": 2,
        "examined": {"seconds": 64.0},
    }
    said = [say(s) for s in verdict.verdict([HIGH], footage(tracks=2), facts, ABSENT).scope]
    assert (
        said[0] == "Examined: 16 frames, spread over 1:04 of 10:00; faces read: 1 of 2."
        and "2 picture tracks" in said[1]
    )
    assert said[2] == "Not examined: the voice, the background, and any text in the picture."
    none = [say(s) for s in verdict.verdict([abstained()], footage(tracks=0), facts, ABSENT).scope]
    assert none[0] == "Examined: 16 frames, spread over 1:04 of 10:00; no face was found in them."
    hours = verdict.verdict([abstained()], footage(tracks=0), facts | {"duration": 7205.0}, ABSENT).scope[0]
    assert "1:04 of 2:00:05" in say(hours)
    lying = dataclasses.replace(footage(tracks=0), facts={"turned": 180})
    assert say(verdict.verdict([abstained()], lying, facts, ABSENT).scope[0]).endswith("found upright in them.")
    assert "caveat.not-followed" in keys(verdict.caveats([HIGH], footage(), facts | {"examined": {"followed": False}}))


@pytest.mark.parametrize(
    ("why", "helps"),
    [
        (Abstention(AbstentionReason.STILL_PICTURE), False),
        (Abstention(AbstentionReason.FACE_TURNED, {"degrees": 180}), False),
        (Abstention(AbstentionReason.NO_FACE), True),
    ],
)
def test_a_better_copy_is_asked_for_only_where_it_could_be_read(why, helps):
    small = {"width": 64, "height": 64, "duration": 4.0}
    steps = verdict.verdict([abstained("contrast", why)], footage(tracks=0), small, ABSENT).next_steps
    assert ("next.better-copy" in keys(steps)) == helps


def test_an_editor_is_told_what_may_be_said_and_nothing_of_what_was_not_done():
    def said(readings, provenance=ABSENT):
        return keys(verdict.verdict(readings, footage(), {"width": 9, "height": 9}, provenance).editor)

    assert said([HIGH]) == ["editor.may-signal", "editor.not-signal"]
    assert said([LOW]) == ["editor.may-silent", "editor.not-silent"]
    assert said([abstained()]) == ["editor.may-unassessed", "editor.not-unassessed"]
    signed = Provenance(ProvenanceState.VALID, signer="Example News", says_ai=True)
    unlisted = ["editor.may-unchanged", "editor.not-signer"]  # anybody can put that name into a certificate
    assert said([], signed) == ["editor.not-run", *unlisted, "editor.may-ai"]
    broken = Code("gioconda.ingredient.failure", "policy", "")
    listed = dataclasses.replace(signed, state=ProvenanceState.TRUSTED, says_ai=False, codes=(broken,))
    assert said([], listed) == ["editor.not-run", "editor.may-credential", "editor.not-ingredient"]
    told = verdict.verdict([], footage(), {"width": 9, "height": 9}, listed)
    assert "next.ingredient" in keys(told.next_steps)
    assert said([], Provenance(ProvenanceState.INVALID, signer="Example News")) == ["editor.not-run"]
    assert not verdict.verdict([], footage(), {"width": 9, "height": 9}, ABSENT).scope


def test_each_face_has_its_reading():
    from gioconda.report.view import view

    faces = (
        FaceCalibrated(0, Level.SIGNAL, 2.3, 3, 420, "all"),
        FaceCalibrated(1, Level.NO_STRONG_SIGNAL, -0.4, 300, 420, "all"),
    )
    left = report().tracks[0]
    right = dataclasses.replace(left, id=1, boxes=((0.7, 0.2, 0.9, 0.6),))
    left = dataclasses.replace(left, boxes=((0.1, 0.2, 0.3, 0.6),))
    told = report(readings=(dataclasses.replace(HIGH, faces=faces),), tracks=(left, right))
    lines = view(told).readings[0].lines
    assert any(line.startswith("Face 1 (left): raw score 2.300") and "3 of 420" in line for line in lines)
    assert any(line.startswith("Face 2 (right): raw score -0.400") and "300 of 420" in line for line in lines)

    under = dataclasses.replace(left, id=2, boxes=((0.1, 0.7, 0.3, 0.9),))
    crowd = dataclasses.replace(told, tracks=(left, right, under))
    for lang, where in (("en", "left, half-way up"), ("ja", "左、中段")):
        lines = view(crowd, lang).readings[0].lines
        assert any(f"{where}）" in line or f"{where})" in line for line in lines)  # another is on the left too
        assert "3" in lines[-1].replace("。", ".").split(".")[0] and "Not read" in view(crowd).readings[0].lines[-1]


def test_of_a_crowd_it_is_said_that_there_may_be_more_faces():
    from gioconda_core.types import MOST_FACES

    for tracks in (MOST_FACES - 1, MOST_FACES):
        told = verdict.scope([LOW], footage(tracks=tracks), {"width": 9, "height": 9, "duration": 4.0})
        assert ("there may be more" in " ".join(map(say, told))) == (tracks == MOST_FACES)


def test_where_nothing_was_assessed_the_face_is_not_passed_over():
    """ "Not examined: the background" beside a still would say that its face was."""
    still = {"width": 640, "height": 480, "still": True, "frame_count": 1}
    for readings, sound, said in (
        ([abstained()], False, "Not assessed: the face, the background, and any text in the picture."),
        ([abstained()], True, "Not assessed: the face, the voice, the background, and any text in the picture."),
        ([HIGH], False, "Not examined: the background, and any text in the picture."),
    ):
        assert say(verdict.scope(readings, footage(n=1), still | {"has_audio": sound})[-1]) == said
    empty = verdict.scope([abstained()], footage(n=1, tracks=0), still)
    assert "face" not in say(empty[-1]), "there was none"
    assert say(empty[0]) == "No face was found in the picture that was looked at.", "nor is that passed over"


@READ_HERE
def test_sound_alone_is_said_to_be_that_and_no_other_copy_is_asked_for(tmp_path):
    import wave

    from gioconda.report.examine import Examiner

    with wave.open(str(tmp_path / "voice.wav"), "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
        out.writeframes(b"\0\0" * 32_000)
    with av.open(str(tmp_path / "album.mp3"), "w") as album:  # its cover is no video
        sound, cover = album.add_stream("mp3", rate=44_100), album.add_stream("png", rate=25)
        cover.width, cover.height, cover.pix_fmt, cover.disposition = 32, 32, "rgb24", 1024
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 44_100), np.int16), format="s16p", layout="stereo")
        frame.rate = 44_100
        album.mux(cover.encode(av.VideoFrame(32, 32, "rgb24")))
        album.mux([*sound.encode(frame), *sound.encode(None), *cover.encode(None)])
    (album,) = Examiner(()).examine(tmp_path / "album.mp3").errors
    assert "it has audio) (a cover picture is not video" in album.text
    assert "sound and no picture" in say(Examiner(()).examine(tmp_path / "album.mp3").verdict.sentences[0])
    (tmp_path / "torn.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(200))
    found, torn = (Examiner(()).examine(tmp_path / name).verdict for name in ("voice.wav", "torn.mp4"))
    assert "sound and no picture" in say(found.sentences[0]) and "next.no-media" not in keys(found.next_steps)
    assert "next.sound-only" in keys(found.next_steps)
    assert "could be decoded" in say(torn.sentences[0]) and "next.no-media" in keys(torn.next_steps)


@READ_HERE
@pytest.mark.parametrize(
    "name",
    ["two.zip", "two.tgz", "two.tar", "empty.mp4", "huge.png", "alone.c2pa", "list.m3u8", "a.pdf", "a.svg", "raw.dng"],
)
def test_what_to_do_with_a_file_without_a_picture_depends_on_what_it_is(tmp_path, name):
    import tarfile
    import zipfile

    from gioconda.report.examine import Examiner

    path, note = tmp_path / name, tmp_path / "note.txt"
    note.write_text("a note\n")
    if name.endswith("zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(note, "note.txt")
    elif ".t" in name:
        with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as archive:
            archive.add(note, "note.txt")
    elif name == "raw.dng":
        Image.new("RGB", (16, 16)).save(path, "tiff", tiffinfo={254: 1})  # a smaller one of another picture
    elif name == "huge.png":
        _png(path, 16400, 16000)  # more pixels than telephones take
    else:
        bodies = {
            "empty.mp4": b"",
            "a.pdf": b"%PDF-1.4\n",
            "a.svg": b"\n<svg/>",
            "list.m3u8": b"#EXTM3U\n",
            "alone.c2pa": b"\0\0\1\0jumb" + bytes(248),
        }
        path.write_bytes(bodies[name])
    found = Examiner(()).examine(path).verdict
    why = {
        "zip": "archive",
        "m3u8": "stream-part",
        "pdf": "to-export",
        "svg": "to-export",
        "dng": "to-export",
        "tgz": "archive",
        "tar": "archive",
        "png": "too-large",
        "mp4": "empty",
        "c2pa": "credential",
    }
    assert found.sentences[0].args["reason"]["key"] == f"reason.{why[name.split('.')[1]]}"
    assert found.next_steps[0].key == f"next.{why[name.split('.')[1]]}"
    shown = " ".join(say(one) for one in (*found.sentences, *found.next_steps))
    assert "could be decoded" not in shown and "open it in a player" not in shown


def test_a_file_that_stopped_the_decoder_is_not_to_be_opened_elsewhere():
    for why in UnreadReason:
        told = verdict.verdict([], None, {}, ABSENT, unread=why)
        assert say(told.sentences[0]) and say(told.next_steps[0], "ja")
        assert ("in a player" in say(told.next_steps[0])) == (why == UnreadReason.NO_MEDIA)


def test_without_a_face_nobody_is_sent_for_more_seconds_of_one():
    facts = {"width": 640, "height": 480, "duration": 2.0, "fps": 10.0}
    for tracks, asked in ((0, False), (1, True)):
        told = verdict.verdict([abstained()], footage(tracks=tracks), facts, ABSENT)
        assert ("next.longer-copy" in keys(told.next_steps)) == asked
        assert ({"caveat.short", "caveat.frame-rate"} <= set(keys(told.caveats))) == asked


def test_a_signal_tells_of_real_clips_with_a_stronger_one_too():
    said = say(verdict.sentences([dataclasses.replace(HIGH, level=Level.SIGNAL, same_headline=9, stronger=4)])[0])
    assert "9 got this headline too, and 4 a stronger one (set" in said


def test_of_two_faces_that_nothing_was_read_of_no_reading_is_told():
    assert "caveat.several-faces" not in keys(verdict.caveats([abstained()], footage(n=1, tracks=2), {"still": True}))


def test_no_quality_is_claimed_of_a_face():
    """The number is of the face as it is followed, shrunk: a soft one that was enlarged six times had "quality 1 on a scale from 0 to 1"."""
    from gioconda.report.view import view

    for lang in ("en", "ja", "es", "fr", "de"):
        said = view(report(), lang).tracks[0].description
        assert not re.search("qualit|calidad|品質", said, re.I) and re.search(r"\d", said), said


def test_one_further_track_is_one():
    for streams, said in ((2, "1 more picture track than"), (3, "2 more picture tracks than")):
        told = say(verdict.caveats([], None, {"streams": streams})[0])
        assert said in told and ("it was not examined" in told) == (streams == 2)


def test_of_several_faces_the_headline_says_which_and_which_were_not_assessed():
    from gioconda_core.reasons import Abstention, AbstentionReason

    small = Abstention(AbstentionReason.FACE_TOO_SMALL, {"face_px": 31.8, "least": 32})
    faces = (
        FaceCalibrated(0, Level.NOT_ASSESSED, abstained=small),
        FaceCalibrated(1, Level.SIGNAL, 2.3, 3, 420, "all"),
        FaceCalibrated(2, Level.NO_STRONG_SIGNAL, -0.4, 300, 420, "all"),
    )
    found = dataclasses.replace(HIGH, faces=faces, track=1)
    said = [say(s) for s in verdict.sentences([found])]
    assert "With a signal: face 2 (faces assessed: 2)." in said
    assert "Face 1 was not assessed: the largest face spans 31.8 pixels; below 32 nothing can be measured." in said
    assert "has 2 chances" in said[0] and "chances" not in say(verdict.sentences([HIGH])[0])
    assert any("31,8" in say(s, "de") for s in verdict.sentences([found])), "decimals are the language's"
    none = dataclasses.replace(abstained(), faces=(faces[0], dataclasses.replace(faces[0], track=1)))
    assert keys(verdict.sentences([none])) == ["face.not-assessed", "face.not-assessed"]


def test_what_weakens_a_reading_is_told_of_the_face_that_was_read():
    """The headline is of the second, small face: its size is told, not that of the largest."""
    clip = footage(tracks=2, face=200)
    second = dataclasses.replace(clip.tracks[1], landmarks=clip.tracks[1].landmarks * 0.3)
    clip = dataclasses.replace(clip, tracks=(clip.tracks[0], second))
    told = [s for s in verdict.caveats([dataclasses.replace(HIGH, track=1)], clip, {}) if s.key == "caveat.face-small"]
    assert next(say(s) for s in told).startswith("Face 2 spans 60 pixels; below 96 pixels")
    assert "caveat.face-small" not in keys(verdict.caveats([dataclasses.replace(HIGH, track=0)], clip, {}))


def test_a_level_says_that_it_was_measured_on_filmed_people():
    """A drawn puppet that talks got "a signal that the face was generated by AI", and nothing said that no drawn face was measured."""
    for reading in (HIGH, LOW):
        assert "caveat.filmed-people" in keys(verdict.caveats([reading], footage(), {}))
    for readings in ([], [RANK], [abstained()]):
        assert "caveat.filmed-people" not in keys(verdict.caveats(readings, footage(), {}))


def test_beside_a_signal_stands_that_what_covers_a_face_can_make_one():
    """With something drawn over the face a signal is found in half as many filmed clips again."""
    for reading, told in ((HIGH, True), (LOW, False), (RANK, False)):
        assert ("caveat.covered-face" in keys(verdict.caveats([reading], footage(), {}))) == told


@pytest.mark.parametrize(("grey", "told"), [(255, True), (245, False)])
def test_a_face_that_has_lost_its_detail_to_light_is_told(grey, told):
    """Where much of the face is white there is little skin to examine."""
    clip = footage()
    lit = np.full((len(clip.times), 200, 200, 3), grey, np.uint8)
    lit[:, :, :100] = 90
    said = [say(s) for s in verdict.caveats([HIGH], dataclasses.replace(clip, frames=lit), {})]
    assert ("is plain white over" in said[0]) == told and not any("plain white" in line for line in said[1:])


def test_of_a_still_picture_nothing_is_said_of_frames_or_medians():
    told = [say(s) for s in verdict.caveats([abstained()], footage(n=1, yaw=60, face=50), {"still": True})]
    turned = [said for said in told if "turned" in said]
    assert turned and "frames" not in turned[0] and not any("spans" in said and "median" in said for said in told), told
    assert "100 % of its frames" in say(
        next(s for s in verdict.caveats([HIGH], footage(yaw=60), {}) if "turned" in s.key)
    )


def test_a_picture_read_smaller_is_said_to_be(tmp_path, monkeypatch):
    told = [say(s) for s in verdict.caveats([], None, {"still": True, "reduced": 2})]
    assert len(told) == 1 and "1/2 of its width and height" in told[0]
    assert not verdict.caveats([], None, {"still": True, "reduced": 1})


@READ_HERE
def test_the_metadata_of_a_very_large_picture_are_read(tmp_path):
    """Of 200 megapixels they were not: Pillow takes the header alone for a bomb."""
    found = metadata.inspect(_png(tmp_path / "a.png", 20_000, 12_000, (b"tEXt", b"Software\0A phone")))
    assert found["metadata"]["Software"] == "A phone" and "error" not in found


def test_a_face_has_one_size_in_a_report():
    """A reading withheld for the face's size, and what weakens it, told 41 and 44.5 pixels of the same face."""
    clip = made_footage(size=75, frames=4)
    measured = calibration.measures(clip)["face_px"]
    why = Difference(
        DifferenceReason.FACE_SIZE, {"measure": "face_px", "value": measured, "least": 74.0, "most": 1568.0}
    )
    told = next(s for s in verdict.caveats([abstained()], clip, {}) if s.key == "caveat.face-small")
    size = re.search(r"spans (\d+) pixels", why.text)[1]
    assert f"spans {size} pixels" in say(told), (why.text, say(told))


@pytest.mark.parametrize("lang", ["en", "ja", "es", "fr", "de"])
def test_a_number_under_a_threshold_never_reads_like_the_threshold(lang):
    told = {"face": {"key": "face.only"}}
    for key, value, threshold in (
        ("caveat.frame-rate", {"fps": 14.985}, 15),
        ("caveat.short", {"duration": 2.9997}, 3.0),
        ("caveat.face-small", told | {"face_px": 95.99}, 96),
        ("caveat.compressed", {"bits": 0.049996}, 0.05),
        ("caveat.blurred", {"quality": 0.39999}, 0.4),
    ):
        said = say(Sentence(key, value | {"threshold": threshold}), lang)
        assert len({float(x.replace(",", ".")) for x in re.findall(r"\d+(?:[.,]\d+)?", said)} - {0.0, 1.0}) == 2, said


UNSEEN = Sealed("development", "2026-11-29", 0.736, 0.69, 0.781, 236, 442, 400, 55, "sharpness", 0.613, 277)


@pytest.mark.parametrize(
    ("readings", "most"),
    [([LOW], 250), ([dataclasses.replace(LOW, unseen=UNSEEN)], 250), ([abstained()], 250), ([HIGH, LOW], 350)],
)
def test_the_first_screen_is_short_and_the_rest_is_folded(readings, most):
    from gioconda import report as render

    facts = {
        "width": 320, "height": 240, "duration": 2.0, "fps": 12.0, "codec": "h264", "bits_per_pixel": 0.01, "has_audio": True,
        "examined": {"seconds": 2.0, "spans": [[0.0, 2.0]]},
    }  # fmt: skip
    told = report(
        readings=tuple(readings), verdict=verdict.verdict(readings, footage(face=40, tracks=2), facts, ABSENT)
    )
    text = render.text(told)
    screen = text[: text.index("What the detectors saw")].split("\n", 2)[2]
    assert len(screen.split()) < most, len(screen.split())
    for heading in ("Why this is weak", "Where it came from", "What to do next", "For your editor"):
        assert heading in screen
    page = render.html(told)
    assert '<details class="sheet folded">' in page and "<details open" not in page
    for sentence in told.verdict.caveats:  # each caveat once
        assert text.replace("\n    ", " ").count(say(sentence)) <= 1


def test_what_was_not_examined_is_hatched_on_the_strip():
    from gioconda import report as render

    facts = report().facts | {"duration": 600.0, "examined": {"seconds": 8.0, "spans": [[0.0, 8.0], [300.0, 302.0]]}}
    page = render.html(report(facts=facts))
    assert page.count('class="unexamined"') >= 2 and "hatched: not examined" in page
    assert 'class="unexamined"' not in render.html(report())


def test_low_says_it_is_not_authentic_and_names_what_may_be_missed():
    v = verdict.verdict([LOW], footage(), {}, ABSENT)
    assert v.sentences[0].key == "short.no-strong-signal" and "caveat.unseen-generators" in keys(v.caveats)


def test_nothing_assessed_gives_the_reason():
    v = verdict.verdict([abstained(), abstained("cnn")], None, {}, ABSENT)
    assert v.level == Level.NOT_ASSESSED and "31 pixels" in say(v.sentences[0])
    v = verdict.verdict([abstained(), abstained("cnn", "too short")], None, {}, ABSENT)
    assert "beside each" in say(v.sentences[0])
    v = verdict.verdict([], None, {}, ABSENT, unread=UnreadReason.NO_MEDIA)
    assert "no picture in the file" in say(v.sentences[0]) and "読み出せません" in say(v.sentences[0], "ja")
    assert v.next_steps[0].key == "next.no-media"


@pytest.mark.parametrize(
    ("changes", "facts", "key"),
    [
        ({"face": 40}, {}, "caveat.face-small"),
        ({"quality": 0.2}, {}, "caveat.blurred"),
        ({"yaw": 60.0}, {}, "caveat.turned"),
        ({"tracks": 2}, {}, "caveat.several-faces"),
        ({"every": 5}, {}, "caveat.few-frames"),
        ({}, {"codec": "h264", "bits_per_pixel": 0.01}, "caveat.compressed"),
        ({}, {"duration": 1.2}, "caveat.short"),
        ({}, {"width": 320, "height": 240}, "caveat.picture-small"),
        ({}, {"fps": 10.0}, "caveat.frame-rate"),
        ({}, {"interlaced": True}, "caveat.interlaced"),
        ({}, {"hdr": "HLG"}, "caveat.hdr"),
        ({}, {"learned_by": [HIGH.reading.detector]}, "caveat.learned"),
        ({}, {"still": True, "width": 900, "height": 900}, "caveat.still"),
    ],
)
def test_each_caveat_is_computed_from_this_clip(changes, facts, key):
    good = {"width": 1280, "height": 720, "duration": 8.0, "fps": 25.0, "codec": "h264", "bits_per_pixel": 0.2}
    assert key not in keys(verdict.caveats([HIGH], footage(), good))
    said = verdict.caveats([HIGH], footage(**changes), good | facts)
    assert key in keys(said)
    assert all(say(s, lang) for s in said for lang in ("en", "ja"))


def test_what_cannot_be_read_of_the_pictures_is_a_caveat():
    torn = [
        MediaWarning(WarningReason.DAMAGED_DATA, {"time": 0.4}),
        MediaWarning(WarningReason.PIXEL_ASPECT, {"aspect": "9:1"}),
    ]
    said = verdict.verdict([LOW], footage(), {}, ABSENT, warnings=torn).caveats
    assert [s.args["reason"] for s in said if s.key == "caveat.partly-decoded"] == [torn[0].document()]
    assert "0.40" in say(said[0], "ja") and "may be wrong" not in say(said[0], "ja")


def test_several_detectors_make_an_alarm_by_chance_likelier_and_that_is_said():
    assert "caveat.several-detectors" in keys(verdict.caveats([HIGH, LOW], footage(), {}))
    assert "caveat.several-detectors" not in keys(verdict.caveats([HIGH, RANK], footage(), {}))
    assert "caveat.several-detectors" not in keys(verdict.caveats([LOW, LOW], footage(), {}))


def test_next_steps_ask_for_nothing_that_the_file_has_not():
    for facts, key in (
        ({"still": True}, "next.earliest-still"),
        ({"has_audio": False}, "next.earliest-silent"),
        ({"has_audio": True}, "next.earliest"),
    ):
        steps = keys(verdict.verdict([LOW], footage(), facts, ABSENT).next_steps)
        assert [s for s in steps if s.startswith("next.earliest")] == [key]
    assert "next.longer-copy" in keys(verdict.verdict([LOW], footage(), {"duration": 1.0}, ABSENT).next_steps)


def test_credentials_change_next_steps_and_never_the_level():
    for state in ProvenanceState:
        p = Provenance(state, signer="Example News", says_ai=True)
        v = verdict.verdict([LOW], footage(), {}, p)
        assert v.level == Level.NO_STRONG_SIGNAL
        assert keys(v.sentences) == ["short.no-strong-signal", "short.missed-unknown"]
        assert ("next.say-ai" in keys(v.next_steps)) == (state in ("valid", "trusted"))
    own = Provenance(ProvenanceState.VALID, signer="me", development_key=True)
    assert "next.signer" not in keys(verdict.verdict([LOW], footage(), {}, own).next_steps)


def test_signs_are_facts_of_the_container():
    found = {
        "metadata": {"Make": "Apple", "Model": "iPhone", "Writing application": "Lavf61", "Recorded date": "2024:01:02 10:00", "Encoded date": "2026-03-04"},
        "streams": {"video_seconds": 10.0, "audio_seconds": 8.0, "lowest_rate": 20.0, "highest_rate": 30.0, "video_source_seconds": 11.0},
    }  # fmt: skip
    said = {s["key"].removeprefix("sign.") for s in metadata.signs(found)}
    assert said == {"camera", "writer", "durations", "variable-rate", "edit-list", "dates"}
    assert [s["key"] for s in metadata.signs({"metadata": {}})] == ["sign.bare"]
    # a phone's own writer is no sign of re-encoding; FFmpeg's is, and is called by the name people know
    phone = metadata.signs({"metadata": {"Make": "Apple", "Writing library": "Apple QuickTime"}})
    assert [s["key"] for s in phone] == ["sign.camera", "sign.written"]
    assert metadata.signs({"metadata": {"Writing application": "Lavf61"}})[0]["args"] == {"writer": "Lavf61 (FFmpeg)"}
    same = {"metadata": {"Encoded date": "2026-03-04 01:00 UTC", "Modified": "2026:03:04"}}
    assert metadata.signs(same) == []
    early = {"metadata": {"Creation date": "2026-03-05T07:30:00+0900", "Encoded date": "2026-03-04 22:30:00 UTC"}}
    assert metadata.signs(early) == []  # before nine in Tokyo it is yesterday in UTC
    assert metadata.signs({"metadata": {"Encoded date": "2026-03-04", "Recorded date": "0000:00:00 00:00:00"}}) == []


@READ_HERE
def test_sound_that_begins_late_is_not_said_to_last_longer(tmp_path):
    """ "2.29 s and 3.21 s" was said of 2.46 s of sound that begins after 0.75 s."""
    import av

    path = tmp_path / "late.mp4"
    with av.open(str(path), "w") as file:
        video, audio = file.add_stream("libx264", rate=25), file.add_stream("aac", rate=44100)
        video.width = video.height = 64
        packets = []
        for k in range(50):
            packets += video.encode(av.VideoFrame.from_ndarray(np.full((64, 64, 3), 3 * k, np.uint8), "rgb24"))
        for k in range(int(2 * 44100 / 1024)):
            silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp")
            silence.sample_rate, silence.pts = 44100, 1024 * k + 44100
            packets += audio.encode(silence)
        for packet in [*packets, *video.encode(), *audio.encode()]:
            file.mux(packet)
    found = metadata.inspect(path)
    assert found["streams"]["audio_seconds"] == pytest.approx(2, abs=0.1)
    assert not [s for s in metadata.signs(found) if s["key"] == "sign.durations"]


def written(path, sound=0.0, early=0.0, pts=range(75), tags=None):
    """A clip as other programs write them, its index at the end. early : seconds of pictures before the clip's beginning."""
    import av

    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"} if tags else {}) as file:
        file.metadata.update(tags or {})
        video = file.add_stream("libx264", rate=25, options={"bf": "0"})
        video.width = video.height = 64
        audio = file.add_stream("aac", rate=44100) if sound else None
        packets = []
        for number, at in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 3 * number, np.uint8), "rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 25)
            packets += video.encode(frame)
        for packet in [*packets, *video.encode()]:
            packet.pts -= int(early / packet.time_base)
            packet.dts -= int(early / packet.time_base)
            file.mux(packet)
        for number in range(int(sound * 44100 / 1024)):
            silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp")
            silence.sample_rate, silence.pts = 44100, 1024 * number
            file.mux(audio.encode(silence))
        if audio:
            file.mux(audio.encode())
    return metadata.inspect(path)


@READ_HERE
@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, {"writer"}),
        ({"sound": 3.0}, {"writer"}),
        ({"sound": 5.0}, {"writer", "durations"}),
        ({"sound": 2.0, "early": 1.0}, {"writer", "edit-list"}),
        ({"pts": [*range(40), *range(40, 110, 2)]}, {"writer", "variable-rate"}),
    ],
)
def test_signs_are_found_in_files_that_other_programs_wrote(tmp_path, how, expected):
    found = written(tmp_path / "clip.mp4", **how)
    assert {s["key"].removeprefix("sign.") for s in metadata.signs(found)} == expected
    assert found["metadata"]["Video encoder"].startswith("x264") and "crf=" in found["metadata"]["Encoder settings"]


@READ_HERE
def test_pictures_that_begin_late_on_the_clock_of_players_are_said_to(tmp_path):
    """A moment that a report told of lay two seconds elsewhere in a player, and in that of the local page."""
    written(tmp_path / "clip.mp4", pts=range(50, 60))
    signs = gioconda.check(tmp_path / "clip.mp4", detectors=(), sandbox=False).facts["signs"]
    assert "2 s after the file's own clock" in say(Sentence(signs[-1]["key"], signs[-1]["args"]))


@READ_HERE
@pytest.mark.parametrize("text", ["0000:00:00 00:00:00", "1970:01:01 00:00:00", "1904:01:01 00:00:00"])
def test_the_beginning_of_a_clock_is_no_date(tmp_path, text):
    """A WMV was said to have been encoded in 1970, an MXF in the year 0."""
    exif = Image.Exif()
    exif[0x0132] = text
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", exif=exif)
    found = metadata.inspect(tmp_path / "a.jpg")
    assert found["metadata"] == {} and [s["key"] for s in metadata.signs(found)] == ["sign.bare"]


@READ_HERE
def test_what_a_phone_writes_is_read(tmp_path):
    import pillow_heif

    apple = "com.apple.quicktime."
    tags = {f"{apple}make": "Apple", f"{apple}model": "iPhone 15", f"{apple}creationdate": "2024-01-02T10:00:00+0900"}
    said = metadata.signs(written(tmp_path / "clip.mov", tags=tags | {"creation_time": "2026-03-04T00:00:00Z"}))
    assert [s["key"] for s in said] == ["sign.camera", "sign.dates"] and said[0]["args"] == {
        "camera": "Apple iPhone 15"
    }
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131], exif[0x0132] = "Canon", "R5", "Photoshop", "2024:01:02 10:00:00"
    exif.get_ifd(0x8769)[0x9003] = "2023:05:06 10:00:00"
    pillow_heif.register_heif_opener()
    for suffix in ("jpg", "png", "webp", "avif", "heic"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"a.{suffix}", exif=exif)
        said = metadata.signs(metadata.inspect(tmp_path / f"a.{suffix}"))
        assert [s["key"] for s in said] == ["sign.camera", "sign.software", "sign.dates"], suffix
    boxes = (tmp_path / "a.avif").read_bytes()
    (tmp_path / "a.heic").write_bytes(boxes[:8] + b"heic" + boxes[12:])  # as far as EXIF goes, what an iPhone writes
    assert metadata.inspect(tmp_path / "a.heic")["metadata"]["Model"] == "R5"


def test_metadata_that_cannot_be_read_is_told_in_words_and_not_by_an_exception(tmp_path):
    from PIL import Image

    Image.effect_noise((200, 200), 90).convert("RGB").save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:40_000])
    reason = metadata.inspect(tmp_path / "half.png")["error"]
    assert reason["text"] == "metadata could not be read: the data is not what its format asks for"
    assert "Daten passen nicht" in reason_text(reason, "de") and "Error" not in reason_text(reason, "ja")


def test_policy_is_the_only_way_to_exit_three():
    row = Row("a", level=Level.STRONG_SIGNAL, state=ProvenanceState.ABSENT)
    assert Policy().tripped(row) == []
    assert Policy("signal").tripped(row) and not Policy("strong-signal").tripped(
        dataclasses.replace(row, level=Level.SIGNAL)
    )
    assert Policy(None, ("trusted",)).tripped(dataclasses.replace(row, state=ProvenanceState.VALID))
    assert not Policy(None, ("valid", "assessed")).tripped(dataclasses.replace(row, state=ProvenanceState.TRUSTED))
    # read by a detector without skill is not assessed by anything that can assess
    dull = dataclasses.replace(row, level=Level.NO_SKILL)
    assert Policy(None, ("assessed",)).tripped(dull) and not Policy("signal").tripped(dull)
    assert outcome(["x"], True).exit_code == 3 and outcome([], True).exit_code == 4
    for wrong in (Policy, lambda *a: Policy(None, a)):
        with pytest.raises(UsageError):
            wrong("no-strong-signal")


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    from PIL import Image, PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a portrait\x1b[31m\nSteps: 20, Sampler: Euler a, CFG scale: 7")
    path = tmp_path_factory.mktemp("examined") / "a b;$(x).png"
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(path, pnginfo=info)
    return path


def test_a_picture_through_the_whole_of_check(picture):
    report = gioconda.check(picture, detectors=(), sandbox=False)
    assert report.provenance.state == "absent" and report.facts["still"] and report.facts["width"] == 64
    assert [mark["value"] for mark in report.facts["declared"]] == ["Stable Diffusion"]
    assert report.verdict.level == Level.NOT_ASSESSED and not report.errors
    assert len(report.sha256) == 64 and report.title == "a b;$(x).png"
    from gioconda import report as render

    assert "\x1b" not in render.text(report) + render.html(report)


@READ_HERE
def test_the_name_that_a_file_came_with_is_held_to_its_content_wherever_it_lies(picture, tmp_path):
    from gioconda.report.examine import Examiner

    kept = tmp_path / "0123.bin"  # as the local page keeps what it has no type for
    kept.write_bytes(picture.read_bytes())
    for title, found in (("holiday.heic", {"suffix": ".heic", "kind": "PNG"}), ("holiday.png", None), (None, None)):
        assert Examiner(()).examine(kept, title=title).facts.get("misnamed") == found


@READ_HERE
def test_a_video_behind_a_picture_is_said_to_be_there_unexamined(tmp_path):
    from gioconda.report.examine import Examiner
    from gioconda_core.media.clip import write_video
    from gioconda_core.media.pictures import jpeg

    grey = np.full((32, 32, 3), 90, np.uint8)
    write_video(tmp_path / "clip.mp4", [grey] * 5, fps=Fraction(25))
    for name, behind in (
        ("plain.jpg", b""),
        ("tail.jpg", b"more" * 99),
        ("motion.jpg", (tmp_path / "clip.mp4").read_bytes()),
    ):
        (tmp_path / name).write_bytes(jpeg(grey) + behind)
        said = Examiner(()).examine(tmp_path / name).verdict.caveats
        assert ("caveat.clip-behind" in keys(said)) == (name == "motion.jpg")
    assert "caveat.clip-behind" not in keys(Examiner(()).examine(tmp_path / "clip.mp4").verdict.caveats)


@READ_HERE
def test_a_text_file_called_mp4_is_a_report_and_a_missing_file_an_error(tmp_path):
    path = tmp_path / "text.mp4"
    path.write_text("not a clip\n")
    report = gioconda.check(path, detectors=(), sandbox=False)
    assert report.errors and report.verdict.next_steps[0].key == "next.no-media"
    with pytest.raises(MediaError, match="no such file"):
        gioconda.check(tmp_path / "none.mp4", detectors=())
    with pytest.raises(MediaError, match="no such file") as caught:
        gioconda.check("https://example.org/clip.mp4", detectors=())
    assert "nothing is fetched" in caught.value.hint and caught.value.where == "https://example.org/clip.mp4"
    with pytest.raises(MediaError, match="no such file") as caught:
        gioconda.check(f"file://{path}", detectors=())
    assert "file://" in caught.value.hint, "the file is there: it is not to be fetched or saved"
    with pytest.raises(MediaError, match="not a regular file"):
        gioconda.check(tmp_path, detectors=())


@READ_HERE
def test_of_a_file_that_grows_while_it_is_read_there_is_no_report(picture, tmp_path):
    """The hash was that of its first half, and what was said that of another piece of it."""
    copied = tmp_path / "a.png"
    copied.write_bytes(picture.read_bytes())

    def grow(stage, *_, **__):
        with open(copied, "ab") as file:
            file.write(b"more")

    with pytest.raises(MediaError, match="changed while it was read"):
        gioconda.check(copied, detectors=(), progress=grow)


def test_metadata_is_read_in_a_child_that_imports_nothing_from_the_folder_we_stand_in(picture, tmp_path, monkeypatch):
    (tmp_path / "pymediainfo.py").write_text("raise SystemExit('hijacked')")
    (tmp_path / "exifread.py").write_text("raise SystemExit('hijacked')")
    (tmp_path / "json.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.setenv("PYTHONPATH", str(metadata.__file__).rsplit("/gioconda/", 1)[0])
    monkeypatch.chdir(tmp_path)
    assert metadata.inspect(picture)["declared"][0]["field"] == "text parameters"


@READ_HERE
def test_a_detector_that_fails_makes_the_report_incomplete_and_others_go_on(picture, monkeypatch):
    from detect.base import Card
    from gioconda.report.examine import Examiner
    from gioconda_core.faces import observe
    from gioconda_core.types import Reading

    class Good:
        id, version, weights_sha256, card = "good", "1", None, Card("always the same")

        def read(self, footage):
            return Reading("good", "1", None, score=3.0)

    class Bad(Good):
        id = "bad"

        def read(self, footage):
            raise RuntimeError("lost my weights")

    monkeypatch.setattr(observe, "observe", lambda clip, *a, **k: footage(n=2))
    examiner = Examiner((), sandbox=False)
    examiner.detectors = [Bad(), Good()]
    report = examiner.examine(picture)
    assert [e.text for e in report.errors] == ["bad: the detector failed: RuntimeError: lost my weights"]
    assert report.errors[0].detail["reason"]["code"] == "detector-error"
    good = report.readings[1]
    assert good.reading.score == 3.0 and good.false_alarm is None and report.verdict.level == Level.NOT_ASSESSED
    assert "short.uncalibrated" in keys(report.verdict.sentences)


@READ_HERE
def test_what_detectors_need_is_loaded_once_and_aside_while_the_clip_is_opened(picture, monkeypatch):
    import threading

    from detect.base import Card
    from gioconda.report.examine import Examiner
    from gioconda_core.faces import observe
    from gioconda_core.types import Reading

    loaded = []

    class Heavy:
        id, version, weights_sha256, card = "heavy", "1", None, Card("always the same")

        def ready(self):
            loaded.append(threading.current_thread())
            raise OSError("no weights yet")  # told by read, if it lasts until then

        def read(self, footage):
            return Reading("heavy", "1", None, score=1.0)

    monkeypatch.setattr(observe, "observe", lambda clip, *a, **k: footage(n=2))
    following = []
    monkeypatch.setattr(observe, "ready", lambda: following.append(1))
    monkeypatch.setattr(observe, "known", lambda clip: not following)  # the tracks of the first are kept
    examiner = Examiner((), sandbox=False)
    examiner.detectors = [Heavy()]
    reports = [examiner.examine(picture), examiner.examine(picture)]
    for thread in examiner.loading:
        thread.join()
    assert [report.readings[0].reading.score for report in reports] == [1.0, 1.0]
    assert loaded == examiner.loading[:1] and not following  # nothing that follows faces, whose tracks are kept
    assert not any(report.errors for report in reports)


@READ_HERE
def test_check_reads_the_invisible_mark(tmp_path):
    from gioconda.report import text
    from gioconda_core.media.clip import write_video
    from provenance.watermark import mark
    from synth.puppets import perform

    frames = perform.perform(3, 5, frames=6, size=256).frames
    for name, seen in (("plain", frames), ("marked", mark.embed(frames, 0x0123456789ABCDEF))):
        write_video(tmp_path / f"{name}.mp4", seen, fps=Fraction(25))
        report = gioconda.check(tmp_path / f"{name}.mp4", detectors=("contrast",), sandbox=False)
        assert (report.mark and report.mark.value) == ("0123456789abcdef" if name == "marked" else None)
        assert ("0123456789abcdef" in text(report)) == (name == "marked")


@pytest.mark.parametrize(
    ("own", "inherited", "read", "said"),
    [
        ("ab12", "", "AB12", "The credential names this very mark."),
        ("", "ab12", "ab12", "something that this file was made from names this very mark"),
        ("cd34", "", "ab12", "names, of this file or of what it was made from, is another (cd34)"),
        ("", "cd34", "ab12", "names, of this file or of what it was made from, is another (cd34)"),
        ("", "", "ab12", "The credential names no mark of this kind"),
        ("ab12", "", None, "names an invisible mark (ab12), and none was read"),
        ("", "ab12", None, None),  # an edit need not keep it
        ("", "", None, None),
    ],
)
def test_the_mark_in_the_pixels_is_held_beside_the_one_that_the_credential_names(own, inherited, read, said):
    from gioconda.report.view import origin
    from provenance.vocabulary import MARK

    named = [({"alg": MARK, "blocks": [{"value": value}]},) if value else () for value in (own, inherited)]
    mark = Watermark(MARK, read, 0.0, 8) if read else None
    for state in (ProvenanceState.TRUSTED, ProvenanceState.INVALID, ProvenanceState.ABSENT):
        held = Provenance(state, soft_bindings=named[0], inherited_soft_bindings=named[1])
        found = dataclasses.replace(report(), provenance=held, mark=mark, facts={"examined": {}})
        told = [say(item, "en") for item in origin(found) if item.key.startswith("mark.") and item.key != "mark.found"]
        assert len(told) == (said is not None and state != ProvenanceState.ABSENT)
        assert not told or str(said) in told[0]


def test_a_metadata_parser_that_never_ends_is_given_up_on(picture):
    assert metadata.inspect(picture, seconds=0.001)["error"]["code"] == "metadata-timeout"


def cli(*args, **options):
    command = [sys.executable, "-m", "gioconda", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=options.pop("text", True), timeout=120, **options)


def test_check_on_the_command_line(picture, tmp_path, capsys):
    import json

    from gioconda.cli import main

    text = tmp_path / "text.mp4"
    text.write_text("not a clip")
    page = tmp_path / "r.html"
    done = cli("check", picture, text, "--detectors", "none", "--json", "-o", f"html={page}", "--require", "trusted")
    assert done.returncode == 3, done.stderr  # 3 beats 4, and JSON carries both
    documents = json.loads(done.stdout)
    for document in documents:
        jsonschema.validate(document, as_json.schema())
    assert [d["outcome"]["incomplete"] for d in documents] == [True, True]
    assert len(documents[0]["outcome"]["policy"]) == 2 and page.read_text().count("<h1>") == 2
    ids = [part.split('"')[0] for part in page.read_text().split(' id="')[1:]]
    assert len(ids) == len(set(ids)) >= 10
    again = ["check", str(picture), "--detectors", "none", "-o"]
    assert main([*again, f"html={page}"]) == 2 and "--force" in capsys.readouterr().err
    assert main([*again, f"html={picture}", "--force"]) == 2 and "replace the input" in capsys.readouterr().err


def test_check_reads_stdin_and_speaks_japanese(picture):
    done = cli("check", "-", "--detectors", "none", "--lang", "ja", input=picture.read_bytes(), text=False)
    assert done.returncode == 0, done.stderr
    assert "次にすること" in done.stdout.decode() and done.stdout.decode().startswith("stdin\n")


def _png(path, width, height, *chunks):
    """A one-bit PNG of zeros: hundreds of megapixels in a hundred kilobytes."""
    import struct
    import zlib

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = zlib.compress(bytes((width // 8 + 1) * height), 9)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + head + b"".join(chunk(*c) for c in chunks) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    return path


def test_decompression_bombs_are_errors_of_a_report(tmp_path):
    import zlib

    pixels = _png(tmp_path / "pixels.png", 20_000, 20_000)
    assert pixels.stat().st_size < 500_000
    report = gioconda.check(pixels, detectors=())
    assert report.errors and report.verdict.level == Level.NOT_ASSESSED
    text = b"comment\0\0" + zlib.compress(bytes(200_000_000), 1)  # a 200 MB comment in 900 kB
    comment = _png(tmp_path / "comment.png", 8, 8, (b"zTXt", text))
    found = metadata.inspect(comment)
    assert "error" in found or len(str(found)) < 100_000


def test_hostile_bytes_in_every_reader_are_one_report(tmp_path):
    rng = np.random.default_rng(7)
    from gioconda import report as render

    for name, head in (
        ("a.mp4", b"\0\0\0\x18ftypisom"),
        ("b.jpg", b"\xff\xd8\xff\xe1"),
        ("c.png", b"\x89PNG\r\n\x1a\n"),
        ("d.webp", b"RIFF"),
    ):
        path = tmp_path / name
        path.write_bytes(head + rng.integers(0, 256, 3000, dtype=np.uint8).tobytes())
        report = gioconda.check(path, detectors=(), sandbox=False)
        assert report.errors and report.provenance.state in ("absent", "unreadable", "invalid")
        assert render.html(report, "ja") and render.text(report)


def test_a_share_that_is_a_signal_of_one_face_and_none_of_two_is_explained():
    from gioconda.report.view import reading_sentences

    two = tuple(FaceCalibrated(k, Level.NO_STRONG_SIGNAL, 1.5 - k, 12, 234) for k in range(2))
    near = dataclasses.replace(LOW, false_alarm=12 / 234, high=0.088, n=234, faces=two, level=Level.NO_STRONG_SIGNAL)
    told = reading_sentences(near)
    assert [s.key for s in told] == ["reading.calibrated", "reading.one-of-several", "reading.low"]
    assert told[1].args == {"faces": 2, "n": 234, "count": 23, "most": 39, "limit": 23}
    assert "reading.one-of-several" not in keys(reading_sentences(dataclasses.replace(near, high=0.3)))
    assert "reading.one-of-several" not in keys(reading_sentences(dataclasses.replace(near, faces=())))
