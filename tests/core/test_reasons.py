"""Reasons: a code and its details, said in two languages that agree, and read back as what was written."""

import re
import string

import pytest

from gioconda_core import reasons
from gioconda_core.documents import read
from gioconda_core.reasons import (
    Abstention,
    AbstentionReason,
    Difference,
    DifferenceReason,
    MediaWarning,
    WarningReason,
    sentences,
)
from gioconda_core.types import Reading

KINDS = [
    reasons.AbstentionReason,
    reasons.DifferenceReason,
    reasons.WarningReason,
    reasons.ProblemReason,
    reasons.PassedOver,
]


def fields(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_code_has_one_sentence_in_each_language_with_the_same_details():
    codes = [code for kind in KINDS for code in kind]
    assert len(set(map(str, codes))) == len(codes) and set(codes) == set(sentences())
    english, japanese = sentences(), sentences("ja")
    for code in codes:
        for lang in ("ja", "es", "fr", "de"):
            assert fields(sentences(lang)[code]) == fields(english[code]), (code, lang)
        own_words = re.fullmatch(r"(\{\w+\}[：:]? ?)+", english[code])
        assert own_words or re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", japanese[code]), code
        assert not english[code].endswith("."), "a reason stands within a sentence"


def test_a_plugins_own_words_are_a_reason_and_never_a_failure_whatever_they_say():
    words = "the detector failed: outside what was calibrated: no face was found"
    said = Reading("theirs", "1", None, abstained=words).abstained
    assert said == Abstention(AbstentionReason.OTHER, {"text": words}) and said.text == words and not said.failed


def test_documents_come_back_and_codes_of_a_newer_version_keep_their_words():
    why = Abstention(AbstentionReason.TOO_FEW_FRAMES, {"seen": 3, "needed": 8})
    assert Abstention.from_document(why.document()) == why and why.columns()["reason"] == "too-few-frames"
    assert Abstention(AbstentionReason.BAD_ANSWER, {"text": "x"}).columns()["error"] == "the detector failed: x"
    newer = Abstention.from_document({"code": "of-tomorrow", "detail": {}, "text": "the moon is wrong"})
    assert newer.code == AbstentionReason.OTHER and newer.text == "the moon is wrong"
    odd = MediaWarning(WarningReason.STOPPED, {"time": 1.0, "declared": 2.0})
    assert read(MediaWarning, odd.document()) == odd and odd.of_pictures
    assert not MediaWarning(WarningReason.EXIF_DAMAGED).of_pictures


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("too dark", AbstentionReason.OTHER),
        ({"code": "no-face", "detail": {}}, AbstentionReason.NO_FACE),
        ({"code": "too-few-frames", "detail": {}}, AbstentionReason.OTHER),  # does not say what it must
        ({"code": "detector-error", "detail": {"text": "x"}}, AbstentionReason.OTHER),  # a failure is ours to find
        ({"text": "none"}, AbstentionReason.OTHER),
        ({"code": 7, "detail": []}, AbstentionReason.OTHER),
    ],
)
def test_a_strangers_reason_is_ours_only_where_it_is_whole(given, code):
    from detect.base import Abstain
    from detect.external import wire
    from gioconda_core.testing import footage

    with pytest.raises(Abstain) as said:
        wire.reading({"abstain": given}, None, footage())
    assert said.value.reason.code == code and said.value.reason.text


def test_a_measure_is_called_by_words_and_not_by_its_key():
    detail = {"measure": "room", "value": -1.12, "reals": 2, "fakes": 12}
    why = Abstention(AbstentionReason.KIND_NOT_VALIDATED, detail)
    assert "(fine detail around the face -1.12)" in why.text and why.detail["measure"] == "room"
    for lang in ("en", "ja", "es", "fr", "de"):
        assert reasons.measure("fps", lang) != "fps" and reasons.measure("theirs", lang) == "theirs"


def test_numbers_that_differ_never_read_alike():
    """ "Spans 74 pixels; calibrated for 74 to 1568" would contradict itself."""
    size = Difference(DifferenceReason.FACE_SIZE, {"measure": "face_px", "value": 74.1, "least": 74.22, "most": 1568.0})
    assert size.text == "the face spans 74.1 pixels; calibrated for 74.2 to 1568"
    small = Abstention(AbstentionReason.FACE_TOO_SMALL, {"face_px": 31.7, "least": 32})
    assert small.text.startswith("the largest face spans 31.7 pixels; below 32")
    assert (
        "spans 20 pixels; below 32 " in Abstention(AbstentionReason.FACE_TOO_SMALL, {"face_px": 20.2, "least": 32}).text
    )
