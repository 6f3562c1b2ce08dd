"""What stands beside every figure: trivial cues, the same origin, equal cues, frame rates, stated alarm rates, how often a set was looked at."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta
from score_table import table_of

from benchmarks.report import figures, report, results
from benchmarks.report.document import schema
from benchmarks.report.options import Figures, Scores
from benchmarks.stats.alarms import stated_rates
from benchmarks.stats.beside import beside, rates_of
from benchmarks.stats.looks import look
from gioconda_core.stats import delong, metrics
from gioconda_core.stats.shares import clopper_pearson, of_people

NAMES = ("sharpness", "length", "frame rate", "bytes a second", "face size")


def rows(n=600, seed=0, strength=1.0, by_origin=0.0, by_cue=0.0, cue=0.0, detector="theirs"):
    """Clips of people in origins. The score knows the label (strength), the page (by_origin), or what sharpness says (by_cue); fakes
    are softer by ``cue``. Half of the origins hold mostly fakes."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        person = i // 4
        origin = person % 30
        fake = int(rng.random() < (0.8 if origin % 2 else 0.2))
        sharp = rng.normal() - cue * fake
        score = rng.normal() + strength * fake + by_origin * (origin % 2) - by_cue * sharp
        cues = {
            "sharpness": sharp,
            "length": rng.normal(),
            "frame rate": (25.0, 29.97)[i % 2],
            "bytes a second": 1.0,
            "face size": 5.0,
        }
        yield {"id": f"c{i}", "label": fake, "detector": detector, "score": score, "identity": f"p{person}",
               "source": f"page{origin}", "cues": cues}  # fmt: skip


def built(*parts, names=("auc",), resamples=200, **kw):
    return results.build(
        table_of([r for p in (parts or (rows(**kw),)) for r in p]), Figures(names, resamples=resamples)
    )


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch):
    """Nothing here is about the plots of a page, which take longer than all else in it."""
    monkeypatch.setattr(figures, "_svg", lambda draw, title, *_, **size: f'<svg class="plot" aria-label="{title}"/>')


def of(document, name="theirs"):
    return next(d for d in document.detectors if d.name == name).beside


@pytest.mark.parametrize(
    ("given", "skill", "begins"),
    [
        ({"strength": 0.0}, "no-better-than-a-coin", "No better than a coin: on "),
        ({"strength": -1.5}, "the-wrong-way-round", "The wrong way round: on "),
        ({"strength": 0.7, "cue": 1.5}, "no-better-than-a-cue", "No better than "),
        ({"strength": 2.0, "cue": 0.2}, "shown", "On "),
    ],
)
def test_what_a_detector_has_not_shown_is_the_headline_in_every_form(given, skill, begins):
    document = built(**given)
    assert of(document).skill == skill and document.first_line.startswith(begins)
    page = report.render(document, "html")
    for shown in (report.render(document, "text"), page):
        assert document.first_line in shown.replace("&#39;", "'")
    assert json.loads(report.render(document, "json"))["detectors"][0]["beside"]["skill"] == skill
    assert ('class="sheet notice" aria-label="In short"' in page) == (skill != "shown")


def test_few_people_leave_a_figure_without_an_interval_and_the_headline_says_so():
    few = [{**r, "identity": f"p{i % 3}", "source": ""} for i, r in enumerate(rows(60, strength=2.0))]
    document = results.build(table_of(few), Figures(("auc",), resamples=100))
    assert of(document).skill == "unknown" and "without an interval: " in document.first_line
    assert all(c.low is None for c in document.beside.cues) and "sharpness alone: AUC 0." in report.to_text(document)
    assert "Beside what anybody could measure" in report.render(document, "html")


def test_a_frame_rate_is_a_number_however_the_container_writes_it():
    from gioconda_core.faces.cues import cues_of

    for written, rate in (("25", 25.0), ("30000/1001", 29.97), (25, 25.0), ("0/0", None), ("h264", None), (None, None)):
        found = cues_of({"fps": written}).get("frame rate")
        assert found == (None if rate is None else pytest.approx(rate, abs=0.01))


def test_every_figure_stands_beside_the_cue_that_is_best_by_it():
    names = ("auc", "ap", "eer", "tpr@fpr=0.05", "logloss")
    document = built(names=names, strength=1.5, cue=0.8)
    figures = {d.metric: d for d in of(document).figures}
    assert set(figures) == {metrics.parse(n).name for n in names}
    table = table_of(rows(strength=1.5, cue=0.8))
    for name, d in figures.items():
        own = next(f for f in document.detectors[0].figures if f.metric == name)
        assert d.value_a == pytest.approx(own.value) and d.low < d.difference < d.high and d.p is not None
        if d.b == "sharpness" and name in ("auc", "ap", "eer"):
            alone = metrics.value(metrics.parse(name), table.labels, -table.cues["sharpness"])
            assert d.value_b == pytest.approx(alone)
    assert figures["logloss"].difference < 0, "less is better there"
    cues = {c.cue for c in document.beside.cues}
    assert {"sharpness", "length", "all cues together"} <= cues and "face size" not in cues, (
        "what never varies tells nothing"
    )
    shown = report.to_text(document)
    assert all(f"theirs {name}: " in shown for name in figures if name != "auc")
    assert 'id="beside"' in report.render(document, "html")
    axes = {line.split(",")[0] for line in report.render(document, "csv").splitlines()}
    assert {"cue", "over cue", "within origin", "matched"} <= axes


def test_skill_that_was_the_page_goes_within_a_page():
    page, face = of(built(strength=0.0, by_origin=2.0)), of(built(strength=1.5))
    assert page.skill == "shown" and page.within.low < 0.5 < page.within.high
    assert face.within.low > 0.7


def test_skill_that_was_a_cue_goes_on_clips_of_equal_cues():
    document = built(strength=0.0, by_cue=1.0, cue=1.2)
    blind, sees = of(document), of(built(strength=1.5, cue=1.2))
    assert blind.matched.low < 0.5 < blind.matched.high, "it had nothing but sharpness"
    assert sees.matched.low > 0.7
    sharp = next(c for c in document.beside.cues if c.cue == "sharpness")
    assert sharp.value > 0.75 and abs(sharp.matched - 0.5) < 0.03


def test_clips_without_counterparts_are_not_matched():
    document = built(strength=1.0, cue=12.0)
    assert of(document).matched.value is None
    assert any(w in of(document).matched.reason for w in ("too few", "equal")), of(document).matched.reason


@pytest.mark.slow
def test_the_auc_within_strata_is_that_of_their_own_pairs_and_its_interval_covers():
    rng = np.random.default_rng(0)
    labels, strata = rng.integers(2, size=60), rng.integers(5, size=60)
    scores = np.round(rng.normal(size=60) + labels, 1)
    won = [
        float(scores[i] > scores[j]) + 0.5 * float(scores[i] == scores[j])
        for i in np.flatnonzero(labels == 1)
        for j in np.flatnonzero((labels == 0) & (strata == strata[i]))
    ]
    share = delong.within_shares(labels, scores, strata)
    assert share.auc == pytest.approx(np.mean(won)) and share.influence.sum() == pytest.approx(0)
    assert delong.within_shares(np.array([0, 1]), np.array([0.0, 1.0]), np.array([0, 1])) is None
    inside = 0
    for seed in range(150):
        bare = replace(table_of(rows(480, seed, 1.0)), cues={})
        row = beside(bare, [], {}, resamples=1, seed=0)[1]["theirs"]
        inside += row.within.low <= 0.7602 <= row.within.high  # Φ(1/√2)
    assert inside >= 150 * 0.95 - 3 * np.sqrt(150 * 0.95 * 0.05)


def test_the_error_within_pages_is_that_of_drawing_other_pages():
    """A page drawn twice brings its pairs twice, not the square of them."""
    rng = np.random.default_rng(2)
    pages = np.repeat(np.arange(40), 10)
    labels = rng.integers(2, size=400)
    scores = rng.normal(size=40)[pages] * labels + labels + rng.normal(size=400)
    share = delong.within_shares(labels, scores, pages, [pages])
    fake, real = labels == 1, labels == 0
    won = (scores[fake][:, None] > scores[real]) & (pairs := pages[fake][:, None] == pages[real])
    own = [np.bincount(pages[fake], each.sum(1), 40) for each in (won, pairs)]
    times = rng.multinomial(40, np.full(40, 1 / 40), 4000)
    drawn = (times @ own[0]) / (times @ own[1])
    assert delong.standard_error(share.influence, [pages]) == pytest.approx(drawn.std(), rel=0.1)


def test_weights_count_as_copies():
    rng = np.random.default_rng(1)
    labels, scores, times = rng.integers(2, size=50), np.round(rng.normal(size=50), 1), rng.integers(1, 4, size=50)
    weighted = delong.auc_shares(labels, scores, times.astype(float))
    copied = delong.auc_shares(np.repeat(labels, times), np.repeat(scores, times))
    assert weighted.auc == pytest.approx(copied.auc)


def test_figures_are_given_by_frame_rate_to_the_nearest():
    document = built(strength=1.0)
    assert {row.slice for row in document.slices["frame rate"]} == {"near 25", "near 30"}
    assert list(rates_of(np.array([23.976, 25.0, 29.97, 59.94, np.nan]))) == [
        "near 24",
        "near 25",
        "near 30",
        "near 60",
        "",
    ]
    assert "fps near 25" in report.to_text(document) and "Near 30 frames a second" in report.render(document, "html")


def test_cues_that_a_table_lacks_are_named_and_not_made_up(tmp_path):
    plain = [{k: v for k, v in r.items() if k != "cues"} for r in rows(strength=1.5)]
    document = results.build(table_of(plain), Figures(("auc",), resamples=100))
    assert document.beside.cues == () and set(document.beside.missing) == set(NAMES)
    assert of(document).skill == "above-a-coin" and of(document).matched.reason == "no cue was measured"
    for form in ("text", "html"):
        assert "No trivial cue of these clips is known" in report.render(document, form)
    path = tmp_path / "s.csv"
    lines = [
        f"{r['id']},{r['label']},{r['score']},{r['identity']},{r['cues']['sharpness']}" for r in rows(strength=1.5)
    ]
    path.write_text("id,label,score,identity,cue:sharpness\n" + "\n".join(lines) + "\n")
    found = report.document(Scores(path), Figures(resamples=100))
    assert found.beside.missing == ("frame rate", "length", "bytes a second", "face size") and found.beside.origin == ""
    assert "Not known of these clips, so nothing is compared with it: frame rate, length" in report.to_text(found)
    assert "no origin" in of(found, "s").within.reason


# --------------------------------------------------------------------------- stated alarm rates


def stated(n=800, seed=0, factor=1.0, people=2):
    """Scores with the rate their card states; real clips alarm ``factor`` times as often as stated."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        fake = i % 2
        rate = rng.random() if not fake else rng.random() ** 3
        said = min(1.0, rate / factor) if not fake else rate
        yield {
            "id": f"c{i}",
            "label": fake,
            "detector": "ours",
            "score": -said,
            "false_alarm": said,
            "identity": f"p{i // (2 * people)}",
        }


def test_stated_rates_are_held_against_what_real_clips_show(tmp_path):
    good = {r.stated: r for r in stated_rates(table_of(stated()))}
    bad = {r.stated: r for r in stated_rates(table_of(stated(factor=2.3)))}
    assert all(r.kept == "holds" and r.low <= r.stated <= r.high for r in good.values())
    assert bad[0.1].kept == "more" and bad[0.1].found == pytest.approx(0.23, abs=0.05) and bad[0.1].low > 0.1
    assert bad[0.1].reached > 0.3 and bad[0.1].n_real == 400
    path = tmp_path / "scores.csv"
    lines = [f"{r['id']},{r['label']},{r['score']},{r['identity']},{r['false_alarm']}" for r in stated(factor=2.3)]
    path.write_text("id,label,score,identity,false_alarm\n" + "\n".join(lines) + "\n")
    document = report.document(Scores(path), Figures(resamples=100))
    shown = report.to_text(document)
    line = next(x for x in shown.splitlines() if x.startswith("scores") and "10 %" in x)
    assert "more alarms than stated" in line and "400" in line
    assert "Alarm rates, stated and found" in report.render(document, "html")
    assert json.loads(report.render(document, "json"))["stated"][2]["kept"] == "more"
    assert built(strength=1.0).stated == (), "raw scores state nothing"


def test_a_run_keeps_what_was_stated(tmp_path):
    rows_ = list(stated(60))
    assert table_of(rows_).detectors["ours"].stated is not None
    few = stated_rates(table_of([r for r in rows_ if r["label"] or int(r["id"][1:]) < 10]))
    assert {r.kept for r in few} == {"refused"}


def test_an_interval_of_a_share_counts_people_not_clips():
    assert clopper_pearson(2, 20) == pytest.approx((0.0123, 0.3170), abs=1e-4)
    for hits, n in ((0, 1), (1, 1), (3, 234), (0.37, 12.5), (4.694, 4.714), (233, 234), (1, 3e6), (70_000, 100_000)):
        low, high = clopper_pearson(hits, n)
        assert low == pytest.approx(beta.ppf(0.025, hits, n - hits + 1) if hits > 0 else 0.0, rel=1e-9)
        assert high == pytest.approx(beta.ppf(0.975, hits + 1, n - hits) if hits < n else 1.0, rel=1e-9)
    hit = np.repeat(np.arange(40) < 8, 10)
    alone, together = of_people(hit, [np.arange(400)]), of_people(hit, [np.repeat(np.arange(40), 10)])
    assert together[1] - together[0] > 2.5 * (alone[1] - alone[0])
    assert of_people(np.zeros(400, bool), [np.repeat(np.arange(40), 10)])[1] == pytest.approx(clopper_pearson(0, 40)[1])
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        said = np.repeat(rng.normal(size=60), 6) + rng.normal(size=360) > np.sqrt(2) * 1.2816
        low, high = of_people(said, [np.repeat(np.arange(60), 6)])
        covered += low <= 0.1 <= high
    assert covered >= 300 * 0.95 - 3 * np.sqrt(300 * 0.95 * 0.05)


# --------------------------------------------------------------------------- looks, and the schema


def test_how_often_a_set_was_looked_at_is_counted_and_the_same_scores_are_no_new_look(tmp_path):
    path = tmp_path / "s.csv"

    def document(seed):
        labels = [int(i % 3 == 0) for i in range(90)]
        scores = np.random.default_rng(seed).normal(size=90) + labels
        lines = [f"c{i},{y},{s:.4f}" for i, (y, s) in enumerate(zip(labels, scores, strict=True))]
        path.write_text("id,label,score\n" + "\n".join(lines) + "\n")
        return report.document(Scores(path), Figures(resamples=100))

    first, again, second = document(0), document(0), document(1)
    assert (first.looks.scores, again.looks.scores, second.looks.scores) == (1, 1, 2)
    assert "for the first time" in report.to_text(again)
    told = "2 columns of scores have been measured against these labels on this computer"
    assert told in report.to_text(second) and told in report.render(second, "html")
    other = table_of({"id": f"d{i}", "label": i % 2, "detector": "d", "score": float(i)} for i in range(40))
    assert look(other).scores == 1, "another set"


def test_a_look_that_cannot_be_written_down_is_said_and_the_report_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GIOCONDA_HOME", str(tmp_path / "file" / "home"))
    looks = look(table_of(rows(40)))
    assert not looks.recorded
    assert "could not be written down" in report.to_text(replace(built(strength=1.0), looks=looks))


def test_the_document_is_what_its_published_schema_says():
    """The schema is frozen: what changes a field's meaning or takes one away raises the number."""
    import jsonschema

    from benchmarks import report as package

    path = os.path.join(os.path.dirname(package.__file__), "benchmark.schema.json")
    with open(path, encoding="utf-8") as file:
        published = json.load(file)
    assert published == schema(), "python docs/generate.py writes it"
    several = built(rows(strength=1.5, cue=0.5), rows(strength=0.5, detector="other"), names=metrics.DEFAULT_METRICS)
    found = json.loads(report.render(several, "json"))
    jsonschema.Draft202012Validator(published).validate(found)
    assert set(published["required"]) <= set(found)
