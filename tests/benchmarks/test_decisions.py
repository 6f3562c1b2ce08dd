"""What a lead asks of scores: where to put the threshold, whether groups fare alike, whether a detector drifts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from score_table import table_of

from benchmarks.report import report, results
from benchmarks.report.options import Figures
from benchmarks.stats.gaps import gaps
from benchmarks.stats.thresholds import choose
from gioconda_core.errors import UsageError
from gioconda_core.stats import bootstrap, metrics
from gioconda_core.stats.shares import threshold


def rows(n=1200, seed=0, shift=1.5, people=4, worse="", **more):
    rng = np.random.default_rng(seed)
    for i in range(n):
        fake, group = i % 2, "ab"[(i // people) % 2]
        strength = shift - 1.2 * (group == worse)
        yield {"id": f"{seed}-{i}", "label": fake, "detector": "d", "score": rng.normal() + fake * strength,
               "identity": f"{seed}-p{i // people}", "group": {"skin": group}, **more}  # fmt: skip


def test_a_promised_rate_holds_on_new_clips_as_often_as_promised():
    rng = np.random.default_rng(0)
    kept = []
    for _ in range(400):
        cut = threshold(rng.normal(size=400), 0.05, 0.9)
        kept.append(1 - _normal(cut) <= 0.05)
    assert np.mean(kept) >= 0.9 - 3 * np.sqrt(0.09 / 400)
    assert threshold(np.arange(10.0), 0.01, 0.9) is None, "ten reals promise nothing about one in a hundred"
    assert threshold(rng.normal(size=3000), 0.01, 0.9) is not None


def test_a_promise_is_the_exact_bound_and_hardly_less_than_mapies():
    from scipy import stats

    rng = np.random.default_rng(3)
    for n, rate in ((100, 0.1), (400, 0.05), (1000, 0.01)):
        reals = rng.normal(size=n)
        ours, theirs = threshold(reals, rate, 0.9), mapies(reals, rate)
        assert ours <= theirs <= ours + 0.15, (
            "MAPIE's bound is a little looser on top, and its thresholds lie on a grid"
        )
        alarms = int((reals >= ours).sum())
        assert stats.binom.cdf(alarms, n, rate) <= 0.1 < stats.binom.cdf(alarms + 1, n, rate)
        kept = threshold(reals, rate)
        assert np.mean(reals >= kept) == rate and kept < ours, "these very clips keep to the rate sooner"
    assert threshold(rng.normal(size=100), 0.01, 0.9) is mapies(rng.normal(size=100), 0.01) is None


def mapies(real, rate):
    """The same promise by MAPIE's risk control: thresholds on a grid of the squashed score, tested from the highest down."""
    import warnings

    from mapie.risk_control import BinaryClassificationController

    def squashed(x):
        p = 1 / (1 + np.exp(-np.asarray(x, float).ravel()))
        return np.stack([1 - p, p], 1)

    controller = BinaryClassificationController(
        squashed, risk="fpr", target_level=rate, confidence_level=0.9,
        list_predict_params=np.linspace(0.005, 0.995, 199), fwer_method="fixed_sequence",
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "no threshold found" is an answer here
        controller.calibrate(np.asarray(real)[:, None], np.zeros(len(real), int))
    valid = np.asarray(controller.valid_predict_params, float).ravel()
    return float(np.log(valid.min() / (1 - valid.min()))) if len(valid) else None


def _normal(x):
    from statistics import NormalDist

    return NormalDist().cdf(x)


def test_thresholds_keep_their_rate_and_cost_least_and_have_intervals():
    table = table_of(rows())
    scores, labels = table.detectors["d"].scores, table.labels
    resampler = bootstrap.Resampler.over(table.columns["identity"])
    rate, cost = choose(
        [metrics.parse("tpr@fpr=0.05"), metrics.parse("mincost@fn=10,fp=1,prevalence=0.1")], labels, scores, resampler
    )
    assert rate.false_alarms <= 0.05 and rate.low < rate.threshold < rate.high
    assert rate.threshold == min(cut for cut in scores if np.mean(scores[labels == 0] >= cut) <= 0.05)
    assert rate.promise > rate.threshold, "what new clips keep to asks for more than what these do"

    def expected(cut):
        missed, alarms = np.mean(scores[labels == 1] < cut), np.mean(scores[labels == 0] >= cut)
        return 0.1 * 10 * missed + 0.9 * alarms

    assert expected(cost.threshold) == pytest.approx(min(expected(c) for c in np.sort(scores)))
    assert cost.rule == "cost" and cost.promise is None and cost.low <= cost.threshold <= cost.high


def test_the_interval_of_a_threshold_covers_where_it_would_lie():
    inside = 0
    for seed in range(60):
        table = table_of(rows(400, seed))
        (choice,) = choose(
            [metrics.parse("tpr@fpr=0.1")],
            table.labels,
            table.detectors["d"].scores,
            bootstrap.Resampler.over(table.columns["identity"], seed=seed),
        )
        inside += choice.low <= 1.2816 <= choice.high
    assert inside >= 60 * 0.95 - 3 * np.sqrt(60 * 0.95 * 0.05)


@pytest.mark.slow
def test_a_gap_between_groups_is_shown_with_its_interval_and_none_is_not_claimed():
    worse = gaps(table_of(rows(worse="b")), "skin")
    by = {g.group: g for g in worse}
    assert by["b"].shown and by["b"].high < 0 and by["a"].low > 0 and by["b"].p_corrected < 0.001
    wrong = sum(any(g.shown for g in gaps(table_of(rows(400, seed)), "skin")) for seed in range(60))
    assert wrong <= 60 * 0.05 + 3 * np.sqrt(60 * 0.05 * 0.95)
    few = gaps(
        table_of([*rows(400), {"id": "x", "label": 1, "detector": "d", "score": 1.0, "group": {"skin": "c"}}]),
        "skin",
    )
    assert "needs at least" in next(g for g in few if g.group == "c").reason
    page = report.render(results.build(table_of(rows(worse="b")), Figures(("auc",), resamples=100)), "html")
    assert "worse on this group" in page and "skin: b" in page


def csv(path, seed, shift, n=800):
    lines = [f"{r['id']},{r['label']},{r['score']:.5f},{r['identity']}" for r in rows(n, seed, shift)]
    path.write_text("id,label,score,identity,detector\n" + "".join(f"{line},ours\n" for line in lines))
    return str(path)


def test_dated_runs_over_other_clips_show_drift_and_name_what_they_compare(tmp_path, capsys):
    from gioconda.cli import main

    september, october = csv(tmp_path / "september.csv", 4, 1.5), csv(tmp_path / "october.csv", 5, 1.5)
    november = csv(tmp_path / "november.csv", 3, 0.7)
    assert (
        main(["bench", "compare", september, october, november, "--metrics", "auc", "--json", "--resamples", "100"])
        == 0
    )
    same, worse = json.loads(capsys.readouterr().out)["differences"]
    assert "september" in same["a"] and "october" in same["b"] and "not paired" in same["note"]
    assert same["finding"] == "unresolved" and same["low"] < 0 < same["high"]
    assert worse["finding"] == "a-better" and worse["low"] > 0.05 and worse["asked"] == 2
    other = tmp_path / "other.csv"
    other.write_text((tmp_path / "october.csv").read_text().replace("ours", "theirs"))
    with pytest.raises(UsageError, match="no detector in common"):
        report.comparison(september, [str(other)], ["auc"], resamples=100)
    with pytest.raises(UsageError, match="no two detectors to compare"):
        report.comparison(september, [september], ["auc"], resamples=100)


@pytest.mark.slow
def test_drift_is_called_as_seldom_as_it_says():
    from benchmarks.stats import compare

    wrong = 0
    for seed in range(100):
        one, two = (table_of(rows(300, 1000 + 2 * seed + k)) for k in (0, 1))
        (found,) = compare.corrected(compare.apart(("d", one), ("d", two), resamples=100))
        wrong += found.finding != "unresolved"
    assert wrong <= 100 * 0.05 + 3 * np.sqrt(100 * 0.05 * 0.95)
