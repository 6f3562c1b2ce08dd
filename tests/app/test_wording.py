"""Every rule of wording, over every template and in both languages."""

import re
from pathlib import Path

import pytest

from gioconda.report.wording import LANGUAGES, label, language, number, percent, say, templates, visible
from gioconda_core.types import Sentence

ALL = [(t, lang) for t in templates().values() for lang in LANGUAGES]
SCORE_FIELDS = {"reached", "set", "date"}


def kind(*names):
    return [(t, lang) for t, lang in ALL if t.kind in names]


def test_both_languages_say_the_same_things():
    for template in templates().values():
        for lang in LANGUAGES:
            assert template.fields("en") == template.fields(lang) and template.texts[lang].strip(), (template.key, lang)
        ja = template.texts["ja"]
        assert re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", ja) or template.key in ("label.json",), template.key


def bare_verdict(text, lang):
    """Does a text call the medium real, fake, authentic or manipulated, other than to say that nothing shows it?"""
    if lang == "ja":
        allowed = "本物であることを示すものではありません"
        return bool(
            re.search(r"本物|偽物|フェイクです|偽造です|改ざんされて|ディープフェイク", text.replace(allowed, ""))
        )
    text = re.sub(r"does not show the clip is authentic", "", text)
    subject = r"\b(clip|video|picture|image|media|file|face|person|footage|it|this|that)\b"
    claim = r"\b(is|are|was|were|looks?|appears?|seems?|must be|may be|likely|probably)\b[^.;:]{0,30}"
    word = r"\b(fake|faked|real|authentic|genuine|manipulated|forged|deepfake|synthetic|original)\b"
    return bool(re.search(subject + r"[^.;:]{0,20}" + claim + word, text, re.I)) or bool(
        re.search(r"\b(probability|likelihood|chance|confidence)\b", text, re.I)
    )


@pytest.mark.parametrize("lang", LANGUAGES)
def test_rule_1_the_subject_is_the_signal_never_the_clip(lang):
    for template in templates().values():
        assert not bare_verdict(template.texts[lang], lang), template.key
    assert bare_verdict("This clip is fake.", "en") and bare_verdict("The video is likely a deepfake.", "en")
    assert bare_verdict("このクリップは偽物です。", "ja")


def test_rule_2_beside_a_score_stands_its_false_alarm_rate_set_n_interval_and_date():
    seen = 0
    for template, lang in ALL:
        fields = template.fields(lang)
        assert "rate" not in fields, "shares of real clips are counted"
        if "score" in fields or "reached" in fields:
            seen += 1
            if template.kind == "uncalibrated":
                assert ("uncalibrated, rank only" if lang == "en" else "未較正") in template.texts[lang]
            else:
                assert template.kind == "score" and fields >= SCORE_FIELDS, template.key
    assert seen >= 6
    for template, lang in kind("headline"):
        assert template.fields(lang) >= {"same", "set", "date"}, "a headline says how many real clips got it too"
    for template, lang in kind("uncalibrated"):
        text = template.texts[lang]
        assert ("rank only" in text) if lang == "en" else ("未較正" in text and "順位づけ" in text)


def test_rule_3_low_never_means_authentic():
    assert len(kind("low")) >= 4
    for template, lang in kind("low"):
        text = template.texts[lang]
        assert (
            "this does not show the clip is authentic" if lang == "en" else "本物であることを示すものではありません"
        ) in text
        assert ("no strong signal" in text.lower()) if lang == "en" else ("強い兆候" in text)


def test_rule_4_not_assessed_gives_its_reason_and_disagreement_is_never_averaged():
    for template, lang in kind("abstention"):
        text = template.texts[lang]
        assert "{reason}" in text or "{detectors}" in text, template.key
        assert ("Not assessed" in text) if lang == "en" else ("評価" in text)
    ((template, _), *_) = kind("disagreement")
    said = {"en": "never averaged", "ja": "平均はしません"}
    assert all(words in template.texts[lang] for lang, words in said.items())


def test_rule_5_every_caveat_names_what_was_measured():
    assert len(kind("caveat")) >= 20
    for template, lang in kind("caveat"):
        assert template.fields(lang), template.key


def test_rule_6_credentials_name_signer_list_and_date_and_claim_no_more():
    for template, lang in kind("valid"):
        assert template.fields(lang) >= {"signer", "list", "list_date"}
        text = template.texts[lang]
        assert ("not that the scene happened" if lang == "en" else "実際に起きたという意味ではありません") in text
    assert len(kind("valid-no-list")) == 2
    for template, lang in kind("valid-no-list"):
        assert template.fields(lang) == {"signer"}
        text = template.texts[lang]
        assert ("No trust list" in text) if lang == "en" else ("信頼リストが設定されていない" in text)
        assert ("not that the scene happened" if lang == "en" else "実際に起きたという意味ではありません") in text
    assert len(kind("absent")) >= 8
    for template, lang in kind("absent"):
        text = template.texts[lang]
        assert ("says nothing either way" if lang == "en" else "何の判断材料にもなりません") in text, template.key


def test_rule_7_no_sentence_mixes_a_score_with_a_credential():
    for template, lang in ALL:
        fields = template.fields(lang)
        assert not (fields & {"score", "reached", "same"} and fields & {"signer", "list"}), template.key
        assert template.kind not in ("score", "low", "headline") or not re.search(
            "credential|認証情報", template.texts[lang], re.I
        )


def test_language_comes_from_the_flag_then_the_locale():
    assert language("ja") == "ja" and language("ja_JP.UTF-8") == "ja" and language("EN-us") == "en"
    assert language(None, {"LANG": "ja_JP.UTF-8"}) == "ja"
    assert language(None, {"LC_ALL": "C", "LANG": "ja_JP.UTF-8"}) == "en"
    assert language(None, {}) == "en"
    with pytest.raises(Exception, match="en, ja"):
        language("fr")


def test_arguments_are_never_parsed_as_templates_and_never_obeyed():
    hostile = "{detector.__class__} \x1b[2J\u202e\r\n"
    text = say(Sentence("provenance.signed-at", {"signed_at": hostile}))
    assert "{detector.__class__}" in text and "\x1b" not in text and "\u202e" not in text and "\n" not in text
    assert len(visible("x" * 10_000)) < 400
    assert visible("\ud800")  # a lone surrogate, as file names on Linux may carry


def test_half_a_sentence_is_an_error():
    with pytest.raises(KeyError):
        say(Sentence("short.signal", {"detector": "x"}))
    with pytest.raises(KeyError):
        say(Sentence("no.such.sentence"))


def test_numbers_read_as_people_write_them():
    assert [percent(x) for x in (0, 0.00004, 0.0042, 0.05, 0.123, 0.9996, 1)] == [
        "0 %", "< 0.01 %", "0.42 %", "5 %", "12.3 %", "99.9 %", "100 %",
    ]  # fmt: skip
    assert [number(x) for x in (0.0342, 1920, 12.345, 3.0, 0.00012)] == ["0.0342", "1920", "12.3", "3", "0.0001"]
    assert label("next") == "What to do next" and label("next", "ja") == "次にすること"


def test_every_status_code_is_said_in_japanese_too():
    from gioconda.report.wording import code_sentence
    from provenance.codes import CODES

    for code, english in CODES.items():
        said = code_sentence(code, english, "ja")
        assert re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", said) and said.endswith(("。", "）。")), code
        assert code_sentence(code, english, "en") == english
        assert not bare_verdict(said, "ja") and not bare_verdict(english, "en"), code
    assert code_sentence("a.code.newer.than.this", "As given.", "ja") == "As given."


def test_errors_and_warnings_are_said_in_japanese_too():
    from gioconda.report.wording import problem

    text = "cannot be opened as video: the data is not what its format asks for (is this a video or picture file, and whole?)"
    assert problem(text, "en") == text
    assert problem(text, "ja") == (
        "映像として開けません。データの形式が不正です（映像か画像のファイルで、途中で切れていないか確かめてください）"
    )
    assert problem("no video stream (it has audio) (give a video or picture file)", "ja").startswith("映像がありません")
    assert problem("never seen (before)", "ja") == "never seen (before)"


def test_reasons_are_said_in_japanese_and_strangers_words_are_left_as_they_are():
    from gioconda.report.wording import reason_text
    from gioconda_core.reasons import Abstention, AbstentionReason, Difference, DifferenceReason

    face = Difference(DifferenceReason.FACE_SIZE, {"measure": "face_px", "value": 31.0, "least": 60.0, "most": 400.0})
    why = Abstention(AbstentionReason.OUTSIDE_CALIBRATION, {"difference": face.document()}).document()
    assert (
        reason_text(why, "en")
        == why["text"]
        == ("outside what was calibrated: the face spans 31 pixels; calibrated for 60 to 400")
    )
    assert reason_text(why, "ja") == "較正の範囲外です（顔の幅は 31 画素、較正の範囲は 60〜400 画素）"
    own = Abstention(AbstentionReason.OTHER, {"text": "le visage est flou {x}"}).document()
    assert reason_text(own, "ja") == reason_text(own, "en") == "le visage est flou {x}"


def test_the_kind_of_clip_that_a_rate_is_quoted_of_is_named_wherever_the_rate_is():
    from dataclasses import replace

    from report_samples import calibrated

    from detect import registry
    from detect.reading.calibration import Calibration
    from detect.training import extract
    from gioconda.report.view import reading_sentences
    from gioconda.report.wording import phrase

    weights = Path(registry.__file__).parent / "weights"
    for stratum in {name for card in weights.iterdir() for name in Calibration.read(card).clips}:
        item = replace(calibrated(), stratum=stratum)
        for sentence in (reading_sentences(item)[0],):
            assert (f"real clips like this one ({phrase(stratum, 'en')})" in say(sentence)) == (stratum != "all")
            assert "(fine)" not in say(sentence) and "(soft)" not in say(sentence)
            assert stratum in ("all", *extract.DEGRADATIONS) or stratum not in say(sentence, "ja")
