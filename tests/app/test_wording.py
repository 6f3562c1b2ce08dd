"""Every rule of wording, over every template and in both languages."""

import re
import tomllib
from pathlib import Path

import pytest

from gioconda.report import wording
from gioconda.report.wording import (
    LANGUAGES,
    clock,
    field_name,
    label,
    language,
    number,
    percent,
    say,
    templates,
    visible,
)
from gioconda_core import reasons
from gioconda_core.types import Sentence
from provenance import codes
from provenance.reading import describe

ALL = [(t, lang) for t in templates().values() for lang in LANGUAGES]
SCORE_FIELDS = {"reached", "set", "date"}


def kind(*names):
    return [(t, lang) for t, lang in ALL if t.kind in names]


# What each rule looks for in each language.
WORDS = {
    "low": {
        "en": "this does not show the clip is authentic", "ja": "本物であることを示すものではありません",
        "es": "esto no demuestra que el clip sea auténtico", "fr": "cela ne montre pas que le clip est authentique",
        "de": "das zeigt nicht, dass der Clip authentisch ist",
    },
    "strong": {"en": "no strong signal", "ja": "強い兆候", "es": "ninguna señal fuerte", "fr": "aucun signal fort", "de": "kein starkes signal"},
    "uncalibrated": {"en": "uncalibrated, rank only", "ja": "未較正", "es": "sin calibrar, solo para ordenar", "fr": "non calibré", "de": "nicht kalibriert, nur zum ordnen"},
    "rank": {"en": "rank only", "ja": "順位づけ", "es": "para ordenar", "fr": "pour le classement seulement", "de": "nur zum ordnen"},
    "unassessed": {"en": "not assessed", "ja": "評価", "es": "no evaluado", "fr": "non évalué", "de": "nicht beurteilt"},
    "averaged": {"en": "never averaged", "ja": "平均はしません", "es": "nunca se promedian", "fr": "jamais on n’en fait la moyenne", "de": "gemittelt wird nie"},
    "happened": {
        "en": "not that the scene happened", "ja": "実際に起きたという意味ではありません", "es": "no que la escena ocurriera",
        "fr": "non que la scène a eu lieu", "de": "nicht dass die szene stattgefunden hat",
    },
    "no-list": {"en": "no trust list", "ja": "信頼リストが設定されていない", "es": "ninguna lista de confianza", "fr": "aucune liste de confiance", "de": "keine vertrauensliste"},
    "either-way": {
        "en": "says nothing either way", "ja": "何の判断材料にもなりません", "es": "no dice nada en ningún sentido",
        "fr": "ne dit rien dans un sens ni dans l’autre", "de": "sagt weder das eine noch das andere",
    },
}  # fmt: skip


def says(template, lang, what):
    return WORDS[what][lang].lower() in template.texts[lang].lower()


def test_every_language_says_the_same_things():
    folder = Path(wording.__file__).parent
    for name in ("words.toml", "labels.toml"):
        for key, entry in tomllib.loads((folder / name).read_text("utf-8")).items():
            assert set(LANGUAGES) <= set(entry), f"{key} is not said in {set(LANGUAGES) - set(entry)}"
    for template in templates().values():
        for lang in LANGUAGES:
            assert template.fields("en") == template.fields(lang) and template.texts[lang].strip(), (template.key, lang)
        ja = template.texts["ja"]
        assert re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", ja) or template.key in ("label.json",), template.key
    phrases = tomllib.loads((folder / "phrases.toml").read_text("utf-8"))
    for lang in set(LANGUAGES) - {"en"}:
        for table in (codes, reasons, describe):
            assert set(table.sentences(lang)) == set(table.sentences()), (table.__name__, lang)
        patterns = {pattern for pattern, _ in phrases[lang]}
        assert {pattern for pattern, _ in phrases["ja"]} <= patterns, lang


@pytest.mark.parametrize("lang", LANGUAGES)
def test_fields_of_metadata_have_names_in_the_reader_s_language(lang):
    from gioconda.report.declared import NAMES

    read = {*NAMES["general"].values(), *NAMES["exif"].values(), "Video encoder", "Encoder settings"}
    assert set(NAMES["words"]) == read and all(field_name(name, lang).strip() for name in read)
    same = [name for name in sorted(read) if field_name(name, lang) == name]
    assert lang == "en" or len(same) <= 4, same
    assert field_name("com.example:thing\u202e", lang) == "com.example:thing\\u202e"
    dates = [{"field": "Recorded date", "text": "2023"}, {"field": "Modified", "text": "2024"}]
    said = say(Sentence("sign.dates", {"dates": dates}), lang)
    assert f"{field_name('Recorded date', lang)} 2023" in said and ("Recorded" in said) == (lang == "en")


def test_one_real_clip_and_many_agree_with_their_verb():
    for name in ("reading.calibrated", "reading.face"):
        assert "scored at least this high" in templates()[name].texts["en"], "1 of 100 score is no English"


BARE = {  # subject … claim … word: the medium called real, fake, authentic or manipulated
    "es": r"\b(clip|vídeo|imagen|archivo|cara|esto)\b[^.;:]{0,20}\b(es|está|parece)\b[^.;:]{0,20}\b(fals[oa]|auténtic[oa]|real|manipulad[oa])\b",
    "fr": r"\b(clip|vidéo|image|fichier|visage|ceci|cela)\b[^.;:]{0,20}\b(est|semble|paraît)\b[^.;:]{0,20}\b(faux|fausse|authentique|réel(le)?|truqué(e)?|manipulé(e)?)\b",
    "de": r"\b(clip|video|bild|datei|gesicht|dies|das)\b[^.;:]{0,20}\b(ist|scheint|wirkt)\b[^.;:]{0,20}\b(gefälscht|echt|authentisch|manipuliert)\b",
}


def bare_verdict(text, lang):
    """Does a text call the medium real, fake, authentic or manipulated, other than to say that nothing shows it?"""
    text = re.sub(re.escape(WORDS["low"][lang]), "", text, flags=re.I)
    if lang == "ja":
        return bool(re.search(r"本物|偽物|フェイクです|偽造です|改ざんされて|ディープフェイク", text))
    if lang != "en":
        return bool(re.search(BARE[lang], text, re.I)) or bool(
            re.search(r"\b(probabilidad|probabilité|Wahrscheinlichkeit)\b", text, re.I)
        )
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
    wrong = {
        "en": ("This clip is fake.", "The video is likely a deepfake."), "ja": ("このクリップは偽物です。",),
        "es": ("Este clip es falso.", "El vídeo parece manipulado."), "fr": ("Ce clip est faux.", "La vidéo semble truquée."),
        "de": ("Dieser Clip ist gefälscht.", "Das Video wirkt echt."),
    }  # fmt: skip
    assert all(bare_verdict(text, lang) for text in wrong[lang])


def test_rule_2_beside_a_score_stands_its_false_alarm_rate_set_n_interval_and_date():
    seen = 0
    for template, lang in ALL:
        fields = template.fields(lang)
        assert "rate" not in fields, "shares of real clips are counted"
        if "score" in fields or "reached" in fields:
            seen += 1
            if template.kind == "uncalibrated":
                assert says(template, lang, "uncalibrated"), template.key
            else:
                assert template.kind == "score" and fields >= SCORE_FIELDS, template.key
    assert seen >= 6
    for template, lang in kind("headline"):
        assert template.fields(lang) >= {"same", "set", "date"}, "a headline says how many real clips got it too"
    for template, lang in kind("uncalibrated"):
        assert says(template, lang, "rank") and says(template, lang, "uncalibrated"), (template.key, lang)


def test_rule_3_low_never_means_authentic():
    assert len(kind("low")) >= 4
    for template, lang in kind("low"):
        assert says(template, lang, "low") and says(template, lang, "strong"), (template.key, lang)


def test_rule_4_not_assessed_gives_its_reason_and_disagreement_is_never_averaged():
    for template, lang in kind("abstention"):
        text = template.texts[lang]
        assert "{reason}" in text or "{detectors}" in text, template.key
        assert says(template, lang, "unassessed"), (template.key, lang)
    for template, lang in kind("disagreement"):
        assert says(template, lang, "averaged"), lang


def test_rule_5_every_caveat_names_what_was_measured():
    assert len(kind("caveat")) >= 20
    for template, lang in kind("caveat"):
        assert template.fields(lang), template.key


def test_rule_6_credentials_name_signer_list_and_date_and_claim_no_more():
    for template, lang in kind("valid"):
        assert template.fields(lang) >= {"signer", "list", "list_date"}
        assert says(template, lang, "happened"), (template.key, lang)
    assert len(kind("valid-no-list")) == len(LANGUAGES)
    for template, lang in kind("valid-no-list"):
        assert template.fields(lang) == {"signer"}
        assert says(template, lang, "no-list") and says(template, lang, "happened"), lang
    for template, lang in kind("doubted"):
        assert template.fields(lang) == {"signer", "reason"} and says(template, lang, "happened"), lang
    assert len(kind("absent")) >= 8
    for template, lang in kind("absent"):
        assert says(template, lang, "either-way"), (template.key, lang)


def test_rule_7_no_sentence_mixes_a_score_with_a_credential():
    for template, lang in ALL:
        fields = template.fields(lang)
        assert not (fields & {"score", "reached", "same"} and fields & {"signer", "list"}), template.key
        assert template.kind not in ("score", "low", "headline") or not re.search(
            "credential|credencial|認証情報", template.texts[lang], re.I
        )


def test_views_and_sound_are_shown_and_never_judge():
    for template, lang in ALL:
        if template.key.startswith(("sound.", "compare.", "label.view", "label.sound")):
            assert not re.search(
                r"\b(fake|forged|suspicious|sospechos|suspect|verdächtig|偽)", template.texts[lang], re.I
            )


def test_numbers_have_the_decimal_sign_of_their_language():
    late = Sentence("sound.offset-late", {"seconds": 0.5})
    assert "0.5 s" in say(late, "en") and "0.5 秒" in say(late, "ja")
    assert all("0,5 s" in say(late, lang) for lang in ("es", "fr", "de"))
    spans = Sentence("sound.gaps", {"spans": ["3.2 s – 8.1 s"]})
    assert "3,2 s – 8,1 s" in say(spans, "de") and "3.2 s – 8.1 s" in say(spans, "en")


def test_language_comes_from_the_flag_then_the_locale():
    assert language("ja") == "ja" and language("ja_JP.UTF-8") == "ja" and language("EN-us") == "en"
    assert language(None, {"LANG": "ja_JP.UTF-8"}) == "ja" and language(None, {"LANG": "es_MX.UTF-8"}) == "es"
    assert language(None, {"LC_ALL": "C", "LANG": "ja_JP.UTF-8"}) == "en"
    assert language(None, {}) == "en" and language(None, {"LANG": "pt_BR"}) == "en"
    with pytest.raises(Exception, match="en, ja, es, fr, de"):
        language("pt")


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
    told = ["0 s", "0.033 s", "8.4 s", "10:00", "2:00:00"]
    assert [clock(x) for x in (0, 0.0334, 8.41, 600, 7200)] == told, "what is no nought is not told as one"
    assert [percent(x) for x in (0, 0.00004, 0.0042, 0.05, 0.123, 0.9996, 1)] == [
        "0 %", "< 0.01 %", "0.42 %", "5 %", "12.3 %", "99.9 %", "100 %",
    ]  # fmt: skip
    assert [number(x) for x in (0.0342, 1920, 12.345, 3.0, 0.00012)] == ["0.0342", "1920", "12.3", "3", "0.0001"]
    assert label("next") == "What to do next" and label("next", "ja") == "次にすること"


def test_every_status_code_is_said_in_japanese_too():
    from gioconda.report.wording import code_sentence

    for code, english in codes.sentences().items():
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


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_measure_in_a_reason_is_said_in_words(lang):
    from gioconda.report.wording import reason_text
    from gioconda_core.reasons import Abstention, AbstentionReason

    for measure in ("fps", "detail", "room", "face_px"):
        detail = {"measure": measure, "value": -1.11, "reals": 2, "fakes": 12}
        said = reason_text(Abstention(AbstentionReason.KIND_NOT_VALIDATED, detail).document(), lang)
        assert f"({measure} " not in said and f"（{measure} " not in said and re.search("-1[.,]11", said), said


@pytest.mark.parametrize("lang", sorted(set(LANGUAGES) - {"en"}))
def test_what_becomes_of_a_decoder_is_said_in_every_language(lang):
    from gioconda.report.wording import problem
    from gioconda_core.media import sandbox

    hint = "the file is damaged or made to break decoders; do not open it elsewhere"
    assert hint in Path(sandbox.__file__).read_text("utf-8")
    for what in (
        "decoding took longer than allowed and was stopped",
        "decoding needs more memory than allowed",
        "the decoder: its process ended with signal 9 (SIGKILL)",
        "no report within 900 s",
        "the process that examined it ended",
    ):
        said = problem(f"{what} ({hint})", lang)
        assert what not in said and hint not in said, said


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
    assert reason_text(why, "ja") == "較正の範囲外です（顔の大きさは 31 画素、較正の範囲は 60〜400 画素）"
    own = Abstention(AbstentionReason.OTHER, {"text": "le visage est flou {x}"}).document()
    assert reason_text(own, "ja") == reason_text(own, "en") == "le visage est flou {x}"


def test_the_sets_that_shipped_detectors_were_calibrated_on_have_a_name_in_every_language():
    import json

    import detect

    cards = list((Path(detect.__file__).parent / "weights").glob("*/calibration.json"))
    assert cards
    for card in cards:
        name = json.loads(card.read_text("utf-8"))["name"]
        for lang in set(LANGUAGES) - {"en"}:
            assert wording.phrase(name, lang) != name, (name, lang)


def test_the_kind_of_clip_that_a_rate_is_quoted_of_is_named_wherever_the_rate_is():
    from dataclasses import replace

    from report_samples import calibrated

    from detect import registry
    from detect.reading.calibration import Calibration
    from detect.training.options import QUALITIES
    from gioconda.report.view import reading_sentences
    from gioconda.report.wording import phrase

    weights = Path(registry.__file__).parent / "weights"
    for stratum in {name for card in weights.iterdir() for name in Calibration.read(card).clips}:
        item = replace(calibrated(), stratum=stratum)
        for sentence in (reading_sentences(item)[0],):
            assert (f"real clips like this one ({phrase(stratum, 'en')})" in say(sentence)) == (stratum != "all")
            assert "(fine)" not in say(sentence) and "(soft)" not in say(sentence)
            assert stratum in ("all", *QUALITIES) or stratum not in say(sentence, "ja")


def test_an_error_with_brackets_in_its_hint_is_said_in_every_language():
    """ "12000x9000 is more than 100 megapixels (scale it down; from Python, Limits(pixels=…) …)" stayed English."""
    from gioconda.report.wording import problem
    from gioconda_core.media.facts import TOO_LARGE_HINT

    for hint in (TOO_LARGE_HINT, TOO_LARGE_HINT.replace("pixels", "stored_pixels")):
        for lang in LANGUAGES[1:]:
            said = problem(f"16400x16000 is more than 250 megapixels ({hint})", lang)
            assert (
                "more than" not in said and "trust" not in said and re.search(r"Limits\((stored_)?pixels=…\)", said)
            ), said
    assert "enthält audio" in problem("no video stream (it has audio) (give a video or picture file)", "de")
    assert "4,05 s" in problem("no video stream (480x480 h264, 4.05 s)", "fr")
    seconds = {"frames": 16, "seconds": "3.5 s", "duration": "4 s"}
    assert "4 秒" in say(Sentence("scope.no-face", seconds), "ja") and " s " not in say(
        Sentence("scope.no-face", seconds), "ja"
    )


def test_the_ends_of_a_span_never_read_alike():
    """Of a face in the last second of two minutes it said "from 119 s to 119 s"."""
    seen = {"seen": 2, "start": 119.04, "end": 119.12, "face_px": 265.0}
    assert "from 119 s to 119.1 s; it spans 265 pixels" in say(Sentence("face.seen", seen))
    assert "von 119 s bis 119,1 s" in say(Sentence("face.seen", seen), "de")
    assert "from 361 s to 367 s" in say(Sentence("face.seen", seen | {"start": 361.2, "end": 366.9}))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_name_cannot_end_its_quotation_and_go_on_as_our_sentence(lang):
    """Anybody writes a name into a certificate: BBC”, found on the trust list of …"""
    plain = say(Sentence("editor.not-signer", {"signer": "BBC"}), lang)
    for name in (
        "BBC”, on C2PA’s list, “",
        "BBC“, steht auf der Liste, „",
        "BBC», en la lista, «",
        "BBC」は信頼リストに記載「",
    ):
        said = say(Sentence("editor.not-signer", {"signer": name}), lang)
        assert [said.count(mark) for mark in "“”„«»「」"] == [plain.count(mark) for mark in "“”„«»「」"]
        assert all(part in said for part in plain.split("BBC"))
