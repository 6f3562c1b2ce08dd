"""Renderers: one report, the same sentences everywhere, safe to show, and what to do next as the last line."""

import csv as csvlib
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import jsonschema
import pytest
from report_samples import HOSTILE, abstained, calibrated, hostile, report, signed

from gioconda import report as render
from gioconda.report import as_json
from gioconda.report.view import view
from gioconda_core.types import Code, CredentialReason, IngredientNode, Level, Provenance, ProvenanceState, Verdict


def width(line):
    import unicodedata

    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_text_fits_eighty_columns_and_ends_with_what_to_do(lang):
    shown = render.text(report(provenance=signed()), lang)
    assert max(map(width, shown.splitlines())) <= 80
    assert "\x1b" not in shown and ("顔 1：" if lang == "ja" else "Face 1: ") in shown
    last = view(report(), lang).steps[-1]
    tail = "".join(shown.split())[-20:]
    assert "".join(last.split()).endswith(tail)


def test_text_shows_not_assessed_as_plainly_as_a_score():
    shown = render.text(report())
    assert "(dynamics) 1: Not assessed" in shown and "31 pixels wide, below 64" in shown
    assert "Fine noise in the face (residual) 1: A strong signal was found" in shown
    assert "vit-ln 1: Uncalibrated, rank only" in shown and "Raw score 0.400: uncalibrated, rank only." in shown
    assert all(line == line.rstrip() for line in shown.splitlines())


def test_colour_only_where_asked():
    assert "\x1b[" in render.text(report(), color=True)


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.urls, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert name != "style"  # the page's policy would refuse it
            if name in ("src", "href", "action", "data"):
                self.urls.append(value)

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_html_is_one_file_with_no_script_and_no_outside_address(lang):
    shown = render.html(report(provenance=signed()), lang)
    page = Page()
    page.feed(shown)
    assert "script" not in page.tags and "link" not in page.tags
    assert page.urls[0] == "#main" and all(url.startswith("data:image/") for url in page.urls[1:])
    assert "http" not in re.sub(r"(?s)<style>.*?</style>", "", shown).replace("http-equiv", "")
    assert "default-src 'none'" in shown and f'<html lang="{lang}">' in shown
    assert len(shown) < 200_000


def test_the_policy_allows_exactly_the_stylesheet_in_the_page():
    import base64
    import hashlib

    shown = render.html(report())
    style = re.search(r"(?s)<style>(.*?)</style>", shown).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src &#39;sha256-{digest}&#39;" in shown or f"style-src 'sha256-{digest}'" in shown


def test_text_and_html_say_the_same_sentences():
    page = Page()
    page.feed(render.html(report(provenance=signed())))
    words = " ".join("".join(page.text).split())
    shown = view(report(provenance=signed()))
    text = " ".join(render.text(report(provenance=signed()), width=1000).split())
    for line in [*shown.short, *shown.origin, *shown.caveats, *shown.steps, *shown.signs]:
        assert line in words and line in text, line


def test_strips_are_described_and_their_bars_carry_time_and_score():
    shown = render.html(report())
    assert 'role="img" aria-label="Fine noise in the face (residual), face 1: ' in shown
    assert "stand out; of 420 real clips at most one in ten has any that does" in shown
    assert "uncalibrated, rank only" in shown and "<title>0.4 s: " in shown


@pytest.mark.parametrize("lang", ["en", "ja"])
@pytest.mark.parametrize(
    "make", [report, hostile, lambda: report(provenance=signed(), readings=(), tracks=(), facts={})]
)
def test_json_keeps_its_published_schema_and_comes_back(make, lang):
    first = make()
    body = json.loads(render.json(first, lang))
    jsonschema.Draft202012Validator.check_schema(as_json.schema())
    jsonschema.validate(body, as_json.schema())
    again = as_json.from_document(body)
    assert json.loads(render.json(again, lang)) == body
    assert render.html(again, "ja") == render.html(first, "ja")


def test_the_schema_refuses_a_fused_number_a_bare_verdict_and_a_score_without_its_set():
    for change in (
        lambda b: b.update(probability=0.93),
        lambda b: b["verdict"].update(level="fake"),
        lambda b: b["verdict"].update(next_steps=[]),
        lambda b: b["readings"][0].update(n=None),
        lambda b: b["readings"][0]["reading"].update(abstained="and a score"),
    ):
        body = json.loads(render.json(report()))
        change(body)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(body, as_json.schema())


def test_json_refuses_nan():
    with pytest.raises(ValueError):
        render.json(report(facts={"duration": float("nan")}))


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_hostile_strings_are_shown_and_never_obeyed(lang):
    bad = hostile()
    for shown in (render.text(bad, lang), render.html(bad, lang), render.csv(bad, lang), render.sarif(bad, lang)):
        assert "\x1b" not in shown and "\u202e" not in shown
    page = Page()
    page.feed(render.html(bad, lang))
    assert "script" not in page.tags
    assert not any("svg" in url for url in page.urls)
    json.loads(render.sarif(bad, lang))
    text = render.json(bad, lang)
    assert "\x1b" not in text and "\u202e" not in text and json.loads(text)["title"] == HOSTILE


def test_csv_has_one_line_a_file_and_no_formula():
    text = render.csv([report(), report(title="=HYPERLINK(1)")])
    rows = list(csvlib.DictReader(io.StringIO(text)))
    assert len(rows) == 2 and rows[1]["path"] == "'=HYPERLINK(1)"
    assert rows[0]["residual.false_alarm"] == "0.004" and rows[0]["dynamics.score"] == ""
    assert rows[0]["dynamics.abstained"].startswith("the face is 31")


def test_sarif_says_warning_at_most_for_a_score():
    log = json.loads(render.sarif([report(), report(provenance=signed())]))
    results = log["runs"][0]["results"]
    assert log["version"] == "2.1.0" and len(results) == 4
    rules = {rule["id"] for rule in log["runs"][0]["tool"]["driver"]["rules"]}
    assert {r["ruleId"] for r in results} <= rules
    assert {r["level"] for r in results} <= {"note", "warning"}
    assert results[0]["partialFingerprints"] == {"primaryLocationLineHash": "ab" * 8 + ":1", "sha256": "ab" * 32}


def test_a_named_actor_is_shown_with_the_list_that_vouches_or_with_none():
    desk = {"name": "Picture desk", "roles": ["cawg.editor"], "trusted": True, "lists": ["desks"]}
    shown = render.text(report(provenance=signed(identities=(desk, {**desk, "name": HOSTILE, "lists": []}))))
    assert "Named actor: Picture desk (editor; vouched for by desks)" in shown
    assert "(editor; identity not established)" in " ".join(shown.split()) and "\x1b[31m" not in shown


def test_whom_an_ingredient_names_is_not_said_to_have_signed_it():
    from provenance.reading import describe

    stranger = IngredientNode("a.jpg", "parentOf", signer="Example News")
    found = signed(ingredients=(stranger,))
    assert "names as signer: Example News" in render.text(report(provenance=found))
    assert "names Example News as signer" in "\n".join(describe.lines(found))
    assert "Signer: Example News" not in render.html(report(provenance=found))


def test_tables_and_logs_name_the_list_the_development_key_and_a_broken_ingredient():
    broken = IngredientNode("old.mp4", "parentOf", failures=(Code("assertion.bmffHash.mismatch", "failure", ""),))
    policy = tuple(Code(f"gioconda.{name}", "policy", "") for name in ("ingredient.failure", "signer.development"))
    item = report(provenance=signed(development_key=True, ingredients=(broken,), codes=policy))
    results = json.loads(render.sarif(item))["runs"][0]["results"]
    (found,) = [result for result in results if result["ruleId"] == "credentials/trusted"]
    assert found["level"] == "warning"  # however good the state
    for said in ("project list of 2026-11-01", "development key", "assertion.bmffHash.mismatch"):
        assert said in found["message"]["text"]
    (line,) = csvlib.DictReader(io.StringIO(render.csv(item)))
    assert line["codes"] == "gioconda.ingredient.failure gioconda.signer.development"
    assert line["trust_list"].startswith("project list")


@pytest.mark.parametrize("state", list(ProvenanceState))
def test_every_credential_state_has_its_sentences(state):
    shown = render.text(
        report(
            provenance=Provenance(
                state, None if state in ("absent", "valid", "trusted") else CredentialReason.MALFORMED
            )
        )
    )
    assert shown


def test_what_was_not_looked_for_is_never_called_unreadable():
    for reason, heading, sentence in (
        (
            CredentialReason.UNSUPPORTED,
            "Content Credentials not looked for",
            "no credential can lie in this kind of file",
        ),
        (
            CredentialReason.REMOTE,
            "Content Credentials kept elsewhere, not fetched",
            "kept elsewhere, which were not fetched",
        ),
        (CredentialReason.DAMAGED, "The file could not be read for Content Credentials", "damaged, cut off"),
        (
            CredentialReason.MALFORMED,
            "Content Credentials are not well formed",
            "not written in a way that can be read",
        ),
        (CredentialReason.UNJUDGED, "Content Credentials without a verdict", "could not be judged"),
    ):
        shown = view(report(provenance=Provenance(ProvenanceState.UNREADABLE, reason, "Io: torn")))
        assert "Io" not in " ".join(shown.origin)  # the SDK's own words are for a log
        assert shown.state_text == heading and sentence in shown.origin[0]
        assert "nothing either way" in shown.origin[0] and "is there" not in shown.origin[0]


def test_a_signer_on_no_list_is_told_with_the_lists_that_were_used():
    own = Provenance(ProvenanceState.VALID, signer="Example News")
    assert "No trust list is set up here" in view(report(provenance=own)).origin[0]
    facts = {"trust_lists": [["C2PA", "2026-08-21"], ["ours", "2026-11-01"]]}
    assert (
        "none of the trust lists used: C2PA, ours (dated 2026-08-21, 2026-11-01)"
        in view(report(provenance=own, facts=facts)).origin[0]
    )


def test_the_terminal_says_at_which_moments_to_look():
    shown = render.text(report())
    assert "Standing out: around " in shown and re.search(r"highest at [\d.]+ s", shown)


def test_a_still_picture_is_described_as_one():
    track = replace(report().tracks[0], seen=1, start=0.0, end=0.0)
    shown = render.text(report(tracks=(track,), facts={"still": True, "width": 9, "height": 9}))
    assert "Face 1: Spans 61 pixels" in shown and "sampled frame" not in shown
    once = render.text(report(tracks=(replace(track, start=1.2, end=1.2),)))
    assert "Seen in one sampled frame, at 1.2 s" in once


def test_japanese_lines_break_between_characters_and_never_before_a_comma():
    from gioconda.report.as_text import wrap

    text = (
        "dynamics、ensemble、residual では「較正セット」の 0.19 % が、このスコア以上になります（95 % 区間 0 %〜3.1 %、n = 119）。"
        * 3
    )
    for columns in range(12, 90):
        lines = wrap(text, columns)
        assert all(width(line) <= columns for line in lines)
        assert "".join("".join(lines).split()) == "".join(text.split())
        assert not any(line[0] in "、。）」〜%" or line[-1] in "（「" for line in lines)
    assert max(map(width, wrap(text, 78)[:-1])) >= 74  # no ragged lines
    assert [len(part) for part in wrap("a" * 25, 10)] == [10, 10, 5]
    french = "Signées par « Test signer, Test house », le clip diffère (calibré de -0,90 à 1,39) : son taux est inconnu ; et ?"
    for columns in range(20, 60):
        lines = wrap(french, columns)
        assert not any(line[0] in "»:;?" or line.endswith("«") for line in lines), (columns, lines)
        assert " ".join(lines) == french


def test_an_invalid_credential_repeats_nothing_it_claims():
    shown = render.text(report(provenance=Provenance(ProvenanceState.INVALID, says_ai=True, label={"task": "x"})))
    assert "states that AI" not in shown and "data-set label" not in shown


def test_that_a_credential_names_ai_is_said_in_short_and_only_where_it_is_intact():
    said = "The credential itself states that AI made or edited this media, or a part of it."
    for state in ProvenanceState:
        for says_ai in (True, False):
            p = Provenance(state, signer="Example News", says_ai=says_ai)
            intact = state in (ProvenanceState.VALID, ProvenanceState.TRUSTED)
            assert (said in view(report(provenance=p)).origin[:2]) == (intact and says_ai)


def test_an_invalid_credential_is_news_and_says_what_broke_it():
    codes = (
        Code("signingCredential.untrusted", "failure", "Nobody knows the signer."),
        Code("assertion.bmffHash.mismatch", "failure", "The file was changed."),
        Code("gioconda.ingredient.unsignedParent", "policy", "The parent has no credential."),
    )
    shown = view(
        report(
            provenance=Provenance(
                ProvenanceState.INVALID,
                CredentialReason.ALTERED,
                decided_by=("assertion.bmffHash.mismatch",),
                codes=codes,
            )
        )
    )
    assert shown.state_text == "Changed since signing, or another file’s Content Credentials"
    assert "The file was changed" in shown.origin[0]
    assert "Nobody knows" not in shown.origin[0] and "The parent" not in shown.origin[0]
    assert "Content Credentials" not in " ".join(view(report(provenance=Provenance(ProvenanceState.ABSENT))).short)


def test_a_number_and_its_per_cent_sign_stay_on_one_line():
    assert not re.search(r"\d %", render.html(report()))
    for length in range(1, 40):  # wherever the line happens to break
        reading = replace(calibrated(), calibration_set="s" * length)
        shown = render.text(report(readings=(reading,)))
        assert not re.search(r"^\s*%", shown, re.M)


def test_a_still_picture_and_a_single_moment_have_strips_too():
    still = report(facts={"duration": 0.0, "width": 10, "height": 10, "still": True})
    assert "<svg" in render.html(still)


def test_levels_of_readings_are_words_before_colours():
    shown = render.html(report(verdict=Verdict(Level.NOT_ASSESSED, (), (), ()), readings=(abstained(), calibrated())))
    assert shown.count("Not assessed") >= 2
    assert HOSTILE not in shown


def test_dates_stay_on_one_line_and_japanese_has_its_own_time_beside_utc():
    shown = report(provenance=signed())
    page = render.html(shown, "ja")
    assert (
        '<span class="whole">2026-11-19 10:00 UTC</span>（日本時間 <span class="whole">2026-11-19 19:00</span>）'
        in page
    )
    assert "日本時間" not in render.html(
        shown, "en"
    ) and "2026-11-19 10:00 UTC（日本時間 2026-11-19 19:00）" in "".join(
        line.strip() for line in render.text(shown, "ja", width=200).splitlines()
    )
    late = signed(signed_at="2026-11-19T20:30:00+00:00")
    assert "2026-11-20 05:30" in render.text(report(provenance=late), "ja", width=200)
    assert "auto-phrase" in page and not re.search(r"(?<![\d.])0 ?[%％]", page.split("</style>")[1])


def test_a_development_key_is_never_headed_as_a_trusted_signer():
    for state in (ProvenanceState.VALID, ProvenanceState.TRUSTED):
        own = Provenance(
            state, signer="anybody", development_key=True, trust_list="development", trust_list_date="2026-11-22"
        )
        shown = view(report(provenance=own))
        assert shown.state_text == "Content Credentials intact, signed with a development key"
        assert any("proves nothing about who signed" in line for line in shown.origin)
