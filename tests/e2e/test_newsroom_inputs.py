"""What a newsroom is sent, made of puppets: each gets the right sentence first, and none a traceback."""

from fractions import Fraction

import numpy as np
import pytest
from media_material import encode

from gioconda.report import text
from gioconda.report.evidence import compare
from gioconda.report.examine import Examiner, unread
from gioconda.report.view import view
from gioconda_core.media.clip import write_video
from gioconda_core.types import Level

pytestmark = pytest.mark.slow
RATE = Fraction(25)


@pytest.fixture(scope="module")
def examiner():
    return Examiner(cache=False)


@pytest.fixture(scope="module")
def puppets():
    from synth.puppets.perform import perform

    return [perform(who, 1, frames=130, size=320).frames for who in (3, 7)]


@pytest.fixture(scope="module")
def room(puppets):
    """The first puppet in a wide picture, as it was filmed."""
    return np.pad(puppets[0], ((0, 0), (0, 0), (124, 124), (0, 0)), mode="edge")


def report(examiner, folder, name, frames, **options):
    write_video(folder / name, frames, fps=RATE, **options)
    return examiner.examine(folder / name)


def sentences(found):
    return " ".join(view(found).short)


def caveats(found):
    return {s.key for s in found.verdict.caveats}


def test_sound_alone(examiner, tmp_path):
    import wave

    with wave.open(str(tmp_path / "voice.wav"), "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
        out.writeframes(b"\0\0" * 32_000)
    found = examiner.examine(tmp_path / "voice.wav")
    assert unread(found) and "no video stream" in str(unread(found))
    assert sentences(found).startswith("Not assessed: the file holds sound and no picture")


def test_no_face(examiner, tmp_path):
    across = np.tile(np.arange(320, dtype=np.uint8), (180, 1))
    frames = np.stack([np.repeat(np.roll(across, 3 * i, 1)[..., None], 3, -1) for i in range(60)])
    assert sentences(report(examiner, tmp_path, "pattern.mp4", frames)).startswith(
        "Not assessed by any detector: no face was found"
    )


def test_a_face_of_34_pixels(examiner, tmp_path, puppets):
    import cv2

    small = np.stack([cv2.resize(f, (64, 64), interpolation=cv2.INTER_AREA) for f in puppets[0][:80]])
    frames = np.pad(small, ((0, 0), (148, 148), (288, 288), (0, 0)), mode="edge")
    found = report(examiner, tmp_path, "far.mp4", frames)
    assert found.verdict.level == Level.NOT_ASSESSED, view(found).short
    assert sentences(found).startswith("Not assessed by any detector: outside what was calibrated: the face spans 3"), (
        sentences(found)
    )
    assert "caveat.face-small" in caveats(found)


@pytest.mark.timeout(900)
def test_4k_is_examined_and_one_frame_is_a_still(examiner, tmp_path, room):
    import cv2

    large = np.stack([cv2.resize(f, (3840, 2160), interpolation=cv2.INTER_CUBIC) for f in room[:6]])
    found = report(examiner, tmp_path, "4k.mp4", large)
    assert "3840 × 2160" in text(found) and len(found.tracks) == 1
    one = report(examiner, tmp_path, "one.mp4", room[:1])
    assert sentences(one) == "This video holds a single frame: nothing in it can be followed over time."
    assert not any("0 s of 0 s" in line for line in view(one).scope)


def test_two_faces_have_a_reading_each(examiner, tmp_path, puppets):
    found = report(examiner, tmp_path, "beside.mp4", np.concatenate([frames[:80] for frames in puppets], 2))
    assert len(found.tracks) == 2 and "caveat.several-faces" in caveats(found)
    assert any("faces read: 2 of 2" in line for line in view(found).scope) or found.verdict.level == Level.NOT_ASSESSED
    lines = [line for reading in view(found).readings for line in reading.lines]
    if found.verdict.level != Level.NOT_ASSESSED:
        assert any(line.startswith("Face 1 (left)") for line in lines) and any(
            line.startswith("Face 2 (right)") for line in lines
        )


def test_a_photograph_shown_as_video_is_said_first(examiner, tmp_path, room):
    found = report(examiner, tmp_path, "photo.mp4", np.repeat(room[:1], 125, 0), crf=23)
    assert sentences(found).startswith("Hardly anything changes over the ")
    assert len(found.evidence.keyframes) == 1


def test_subtitles_and_a_logo_are_said_not_to_be_examined(examiner, tmp_path, room):
    import cv2

    frames = room[:80].copy()
    for frame in frames:
        frame[260:] //= 3
        cv2.putText(frame, "BREAKING - he said the words", (20, 295), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2)
        cv2.putText(frame, "NEWS24", (440, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 0, 0), 2)
    found = report(examiner, tmp_path, "subtitled.mp4", frames)
    assert any("any text in the picture" in line for line in view(found).scope) and len(found.tracks) == 1


def test_mirrored_is_told_by_comparison(examiner, tmp_path, room):
    write_video(tmp_path / "as-filmed.mp4", room[:80], fps=RATE)
    found = report(examiner, tmp_path, "mirrored.mp4", np.ascontiguousarray(room[:80, :, ::-1]))
    assert len(found.tracks) == 1
    said = [s.key for s in compare.sentences(compare.compare(tmp_path / "as-filmed.mp4", tmp_path / "mirrored.mp4"))]
    assert "compare.mirrored" in said, said


@pytest.mark.timeout(900)
def test_of_five_minutes_what_was_examined_is_said(examiner, tmp_path, puppets):
    import cv2

    def small(frames):
        return [cv2.resize(frame, (192, 192), interpolation=cv2.INTER_AREA) for frame in frames]

    first, second = (np.stack(small(frames)) for frames in puppets)
    there_and_back = np.concatenate([first, first[::-1]])

    def five_minutes():
        for i in range(1500):  # five a second
            yield second[(i + 900) % 130] if 900 <= i < 940 else there_and_back[(i + 900) % 260]

    encode(tmp_path / "long.mp4", five_minutes(), fps=5, options={"preset": "ultrafast", "crf": "18"})
    found = examiner.examine(tmp_path / "long.mp4")
    scope = " ".join(view(found).scope)
    # At five frames a second no neighbouring frames lie close enough to be read.
    assert "of 5:00" in scope and "of 2." in scope
    spans = found.facts["examined"]["spans"]
    assert any(start <= 181 and end >= 187 for start, end in spans), "the eight seconds are examined"
