"""Metrics and the clustered bootstrap: the same values as scikit-learn, intervals that respect identities, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from gioconda_core.errors import UsageError
from gioconda_core.stats import bootstrap, metrics
from gioconda_core.stats.bootstrap import Resampler

RANK = ["auc", "ap", "eer", "pauc@fpr=0.1", "tpr@fpr=0.05", "mincost@fn=10,fp=1,prevalence=0.01"]
PROBABLE = ["logloss", "brier", "ece", "aurc"]


def clustered(seed: int = 0, identities: int = 40, each: int = 12, ties: bool = False):
    """Labels, scores and identities with a strong identity effect."""
    rng = np.random.default_rng(seed)
    identity = np.repeat(np.arange(identities), each)
    labels = np.tile(np.arange(each) % 2, identities)
    scores = labels * 1.0 + rng.normal(size=(2, identities))[labels, identity] + rng.normal(size=len(labels))
    return labels, np.round(scores, 1) if ties else scores, identity


def sklearn_value(name: str, labels, scores, weights):
    if name == "auc":
        return sk.roc_auc_score(labels, scores, sample_weight=weights)
    if name == "ap":
        return sk.average_precision_score(labels, scores, sample_weight=weights)
    if name.startswith("pauc"):
        return sk.roc_auc_score(labels, scores, sample_weight=weights, max_fpr=0.1)
    fpr, tpr, _ = sk.roc_curve(labels, scores, sample_weight=weights, drop_intermediate=False)
    if name.startswith("tpr"):
        return tpr[fpr <= 0.05 + 1e-12].max()
    if name.startswith("mincost"):
        return np.min(0.01 * 10 * (1 - tpr) + 0.99 * fpr) / min(0.1, 0.99)
    gap = fpr + tpr - 1
    right = np.argmax(gap >= 0)
    return np.interp(0, gap[right - 1 : right + 1], fpr[right - 1 : right + 1])


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("name", RANK)
def test_resampled_figures_equal_scikit_learn_with_weights(name, ties):
    labels, scores, identity = clustered(ties=ties)
    resampler = Resampler.over(identity, seed=3)
    ours = bootstrap.distribution([metrics.parse(name)], labels, scores, None, resampler, 25)[metrics.parse(name).name]
    draws = np.concatenate([draw[0] for draw in resampler.draws(25)])
    theirs = [sklearn_value(name, labels, scores, w[resampler.axes[0]].astype(float)) for w in draws]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", RANK + PROBABLE)
def test_the_vectorised_figure_at_unit_weights_is_the_point_value(name):
    labels, scores, identity = clustered(ties=True)
    p = 1 / (1 + np.exp(-scores))
    metric = metrics.parse(name)

    class Once(Resampler):
        def draws(self, resamples):
            yield [np.ones((1, 40), dtype=np.int64)]

    once = Once((identity,), 0)
    value = bootstrap.distribution([metric], labels, scores, p, once, 1)[metric.name]
    assert value[0] == pytest.approx(metrics.value(metric, labels, scores, p), abs=1e-12)


def test_losses_equal_scikit_learn_under_weights():
    labels, scores, identity = clustered()
    p = 1 / (1 + np.exp(-scores))
    resampler = Resampler.over(identity)
    found = bootstrap.distribution([metrics.parse("brier"), metrics.parse("logloss")], labels, scores, p, resampler, 10)
    draws = np.concatenate([draw[0] for draw in resampler.draws(10)])
    for i, w in enumerate(draws):
        weights = w[resampler.axes[0]].astype(float)
        assert found["brier"][i] == pytest.approx(sk.brier_score_loss(labels, p, sample_weight=weights))
        assert found["logloss"][i] == pytest.approx(sk.log_loss(labels, p, sample_weight=weights))


def test_auc_by_pairs_and_auc_by_counting_agree(monkeypatch):
    labels, scores, identity = clustered(ties=True)
    resampler = Resampler.over(identity, seed=1)
    wanted = [metrics.parse("auc")]
    monkeypatch.setattr(bootstrap, "_pairs_pay", lambda *_: True)
    by_pairs = bootstrap.distribution(wanted, labels, scores, None, resampler, 60)["auc"]
    monkeypatch.setattr(bootstrap, "_pairs_pay", lambda *_: False)
    monkeypatch.setattr(bootstrap, "BLOCK_BYTES", 1 << 20)
    by_counts = bootstrap.distribution(wanted, labels, scores, None, resampler, 60)["auc"]
    np.testing.assert_allclose(by_pairs, by_counts, rtol=0, atol=1e-12)


def test_ece_is_that_of_scikit_learns_reliability_curve():
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(0)
    p = rng.random(500)
    labels = (rng.random(500) < p**2).astype(int)
    rate, mean = calibration_curve(labels, p, n_bins=metrics.BINS)
    held, _ = np.histogram(p, metrics.BINS, (0, 1))
    theirs = np.sum(held[held > 0] / len(p) * np.abs(rate - mean))
    assert metrics.value(metrics.parse("ece"), labels, p, p) == pytest.approx(theirs, abs=1e-9)


def test_constant_scores_rank_nothing_and_break_nothing():
    labels, _, identity = clustered()
    scores = np.full(len(labels), 0.3)
    for name in RANK:
        assert np.isfinite(metrics.value(metrics.parse(name), labels, scores))
    assert metrics.value(metrics.parse("auc"), labels, scores) == 0.5
    drawn = bootstrap.distribution([metrics.parse("auc")], labels, scores, None, Resampler.over(identity), 50)["auc"]
    assert np.all(drawn == 0.5)


def test_ppv_falls_with_prevalence_as_the_specification_says():
    # TPR 0.9 at FPR 0.01 has PPV 0.48 at 1 % prevalence and 0.08 at 0.1 %
    tp, fp = np.array([0.0, 90.0, 100.0]), np.array([0.0, 1.0, 100.0])
    assert metrics.ppv_from_counts(tp, fp, 0.01, 0.01) == pytest.approx(0.476, abs=1e-3)
    assert metrics.ppv_from_counts(tp, fp, 0.01, 0.001) == pytest.approx(0.083, abs=1e-3)


def test_rates_that_n_cannot_carry_are_refused_with_the_number_needed():
    one, tenth = metrics.parse("tpr@fpr=0.01"), metrics.parse("tpr@fpr=0.001")
    assert "300" in (metrics.refusal(one, 178, 500) or "")
    assert metrics.refusal(one, 300, 500) is None
    assert "3,000" in (metrics.refusal(tenth, 2999, 500) or "")
    assert metrics.refusal(tenth, 3000, 500) is None
    assert "10 real" in (metrics.refusal(metrics.parse("auc"), 9, 500) or "")
    assert metrics.refusal(metrics.parse("ppv@fpr=0.01,prevalence=0.1"), 178, 500)


@pytest.mark.parametrize("name", ["accuracy", "tpr@fpr=1.5", "tpr@fpr=x", "auc@fpr=0.1", "ppv@prevalence=0"])
def test_unknown_or_impossible_figures_are_usage_errors(name):
    with pytest.raises(UsageError):
        metrics.parse(name)


def test_the_name_of_a_figure_is_its_whole_protocol():
    protocol = metrics.Protocol("video", "32f-even")
    assert metrics.parse("auc").full_name(protocol) == "auc/video@32f-even"
    assert str(metrics.Protocol("video", "32f-even", "mean")) == "video@32f-even+mean"
    assert metrics.Protocol.parse("video@32f-even+mean") == metrics.Protocol("video", "32f-even", "mean")
    assert metrics.parse("tpr@fpr=0.010").name == "tpr@fpr=0.01"
    assert metrics.parse("brier").full_name(protocol, "platt-crossfit") == "brier[platt-crossfit]/video@32f-even"
    with pytest.raises(UsageError):
        metrics.Protocol.parse("auc")


def test_nested_ids_reduce_to_the_outer_and_crossed_ids_stay_two_axes():
    identity = np.repeat(np.arange(10), 6)
    source = np.arange(60) // 2
    assert len(Resampler.over(identity, source).axes) == 1
    assert Resampler.over(identity, source).clusters == 10
    crossed = np.tile(np.arange(6), 10)
    assert len(Resampler.over(identity, crossed).axes) == 2
    # ids not given: each row is its own
    assert Resampler.over(np.full(60, ""), np.full(60, "")).clusters == 60


def test_crossed_axes_weigh_rows_by_the_product():
    labels, scores, identity = clustered()
    driver = np.random.default_rng(1).integers(0, 15, len(labels))
    resampler = Resampler.over(identity, driver, seed=2)
    found = bootstrap.distribution([metrics.parse("auc")], labels, scores, None, resampler, 5)["auc"]
    first, second = next(iter(resampler.draws(5)))
    for i in range(5):
        weights = (first[i][resampler.axes[0]] * second[i][resampler.axes[1]]).astype(float)
        assert found[i] == pytest.approx(sk.roc_auc_score(labels, scores, sample_weight=weights))


def test_a_clustered_interval_is_wider_than_an_iid_one_where_identities_correlate():
    labels, scores, identity = clustered(identities=60, each=20)
    auc = [metrics.parse("auc")]
    by_identity = bootstrap.distribution(auc, labels, scores, None, Resampler.over(identity), 500)["auc"]
    iid = bootstrap.distribution(auc, labels, scores, None, Resampler.over(np.arange(len(labels))), 500)["auc"]
    assert by_identity.std() > 1.3 * iid.std()


def test_no_interval_over_a_handful_of_identities():
    found = bootstrap.interval(np.linspace(0, 1, 1000), clusters=4)
    assert found.low is None and "10" in (found.reason or "")
    found = bootstrap.interval(np.where(np.arange(1000) % 20 == 0, np.nan, 0.5), clusters=50)
    assert found.low is None and "lack" in (found.reason or "")


def test_clips_told_apart_without_a_mistake_give_no_interval():
    """Every resample of them is as perfect: "1.000 to 1.000" would claim to know of others."""
    found = bootstrap.interval(np.ones(1000), clusters=40)
    assert found.low is None and "every resample" in (found.reason or "")


def test_calibration_never_sees_the_identity_it_calibrates():
    """Scores that carry only who it is: in-sample calibration would look fine, cross-fitted must say 'coin'."""
    rng = np.random.default_rng(0)
    identity = np.repeat(np.arange(40), 10)
    labels = (identity % 2).astype(int)
    noise = rng.normal(size=40)[identity]
    p = metrics.crossfit_probabilities(labels, noise, identity)
    assert p is not None
    assert metrics.value(metrics.parse("brier"), labels, noise, p) > 0.24
    assert metrics.crossfit_probabilities(labels, noise, np.zeros(400, dtype=int)) is None


def test_risk_falls_with_confidence():
    labels, scores, _ = clustered()
    coverage, risk = metrics.risk_coverage(labels, 1 / (1 + np.exp(-scores)))
    assert coverage[-1] == 1.0
    assert risk[-1] == pytest.approx(np.mean((scores > 0) != (labels == 1)))
    assert risk[len(risk) // 5] < risk[-1]


def test_the_same_seed_gives_the_same_draws_whatever_the_number_of_resamples():
    resampler = Resampler.over(np.arange(30), seed=5)
    few = np.concatenate([d[0] for d in resampler.draws(10)])
    many = np.concatenate([d[0] for d in resampler.draws(2000)])
    np.testing.assert_array_equal(few, many[:10])
    assert np.all(many.sum(axis=1) == 30)


def test_auc_over_many_clusters_equals_scikit_learn():
    rng = np.random.default_rng(4)
    n = 4600
    labels = rng.integers(2, size=n)
    scores = labels + rng.normal(size=n)
    for ids in (np.arange(n), np.minimum(np.arange(n), 4100)):
        resampler = Resampler.over(ids, seed=1)
        ours = bootstrap.distribution([metrics.parse("auc")], labels, scores, None, resampler, 5)["auc"]
        draws = np.concatenate([draw[0] for draw in resampler.draws(5)])
        theirs = [sk.roc_auc_score(labels, scores, sample_weight=w[resampler.axes[0]].astype(float)) for w in draws]
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.slow
def test_the_clustered_interval_covers_what_it_says():
    """1,000 simulated sets of 100 identities: 93–97 % of 95 % intervals hold the true AUC; iid ones hold far fewer."""
    from statistics import NormalDist

    identities, each, effect = 100, 6, 1.0
    rng = np.random.default_rng(11)
    identity = np.repeat(np.arange(identities), 2 * each)
    labels = np.tile(np.repeat([0, 1], each), identities)
    # real and fake scores of a person move apart or together: independent identity effects for each class
    truth = NormalDist().cdf(1.0 / np.sqrt(2 * (1 + effect**2)))
    hits = {"clustered": 0, "iid": 0}
    trials = 1000
    for trial in range(trials):
        shift = rng.normal(size=(2, identities)) * effect
        scores = labels + shift[labels, identity] + rng.normal(size=len(labels))
        for kind, ids in (("clustered", identity), ("iid", np.arange(len(labels)))):
            if kind == "iid" and trial >= 150:
                continue
            resampler = Resampler.over(ids, seed=trial)
            drawn = bootstrap.distribution([metrics.parse("auc")], labels, scores, None, resampler, 600)["auc"]
            found = bootstrap.interval(drawn, resampler.clusters)
            hits[kind] += found.low <= truth <= found.high
    assert 0.93 <= hits["clustered"] / trials <= 0.97, hits
    assert hits["iid"] / 150 < 0.75, hits
