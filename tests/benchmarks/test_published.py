"""Published tables, made again from the counts and data that their authors print; ``docs/published.md`` shows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from score_table import table_of

from benchmarks.stats import compare
from gioconda_core.stats import delong, metrics
from gioconda_core.stats.shares import clopper_pearson

PAGE = (Path(__file__).parents[2] / "docs" / "published.md").read_text(encoding="utf-8")
AUC = metrics.parse("auc")


def shown(*cells: str) -> bool:
    """Whether the page has a row with these cells."""
    return any(all(f"| {cell} |" in line for cell in cells) for line in PAGE.splitlines())


def test_hanley_and_mcneil_1982_table_1():
    """109 pictures in five ratings: area 0.893, standard error 0.032."""
    normal, abnormal = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)
    scores = np.repeat([*range(5), *range(5)], [*normal, *abnormal]).astype(float)
    labels = np.repeat([0, 1], [sum(normal), sum(abnormal)])
    share = delong.auc_shares(labels, scores)
    error = delong.standard_error(share.influence, [np.arange(109)])
    assert round(share.auc, 3) == round(metrics.value(AUC, labels, scores), 3) == 0.893
    assert error == pytest.approx(0.032, abs=0.0015)
    assert shown("0.893 (0.032)", f"{share.auc:.3f} ({error:.3f})")


# DeLong, DeLong and Clarke-Pearson 1988: albumin, total protein and K-G score of 43 patients without a missing value, and outcome.
PATIENTS = """
3.0 5.8 10 0 3.2 6.3 5 1 3.9 6.8 3 1 2.8 4.8 6 0 3.2 5.8 3 1 0.9 4.0 5 0 2.5 5.7 8 0 1.6 5.6 5 1 3.8 5.7 5 1 3.7 6.7 6 1 3.2 5.4 4 1
3.8 6.6 6 1 4.1 6.6 5 1 3.6 5.7 5 1 4.3 7.0 4 1 3.6 6.7 4 0 2.3 4.4 6 1 4.2 7.6 4 0 4.0 6.6 6 0 3.5 5.8 6 1 3.8 6.8 7 1 3.0 4.7 8 0
4.5 7.4 5 1 3.7 7.4 5 1 3.1 6.6 6 1 4.1 8.2 6 1 4.3 7.0 5 1 4.3 6.5 4 1 3.2 5.1 5 1 2.6 4.7 6 1 3.3 6.8 6 0 1.7 4.0 7 0 3.7 6.1 5 1
3.3 6.3 7 1 4.2 7.7 6 1 3.5 6.2 5 1 2.9 5.7 9 0 2.1 4.8 7 1 2.8 6.2 8 0 4.0 7.0 7 1 3.3 5.7 6 1 3.7 6.9 5 1 3.6 6.6 5 1
"""


def patients():
    albumin, protein, kg, outcome = np.array(PATIENTS.split(), float).reshape(-1, 4).T
    return outcome.astype(int), {"albumin": albumin, "total protein": protein, "K-G score": 10 - kg}


def test_delong_1988_areas_and_standard_errors():
    labels, scores = patients()
    for name, area, theirs in (
        ("albumin", 0.7366, 0.0927),
        ("total protein", 0.6478, 0.1),
        ("K-G score", 0.7258, 0.1028),
    ):
        share = delong.auc_shares(labels, scores[name])
        fake, real = share.influence[labels == 1], share.influence[labels == 0]
        by_class = np.sqrt(sum(len(x) / (len(x) - 1) * np.sum(x**2) for x in (fake, real)))
        ours = delong.standard_error(share.influence, [np.arange(len(labels))])
        assert round(share.auc, 4) == area and round(by_class, 4) == theirs, (
            "DeLong's own sum over our shares is DeLong's figure"
        )
        assert ours == pytest.approx(theirs, rel=0.03), "over people, whatever their class, a little less in so few"
        assert shown(name, f"{area:.4f} ({theirs:.4f})", f"{share.auc:.4f} ({ours:.4f})")


def test_delong_1988_comparisons_with_the_k_g_score():
    labels, scores = patients()
    rows = [
        {"id": str(i), "label": int(y), "detector": name, "score": float(values[i])}
        for name, values in scores.items()
        for i, y in enumerate(labels)
    ]
    pairs = [("albumin", "K-G score"), ("total protein", "K-G score")]
    found = compare.compare(table_of(rows), pairs, ["auc"], resamples=500)
    for d, difference, theirs in zip(found, (0.0108, -0.0780), (0.0953, 0.1046), strict=True):
        assert round(d.difference, 4) == difference and d.finding == "unresolved"
        influence = [delong.auc_shares(labels, scores[n]).influence for n in (d.a, d.b)]
        ours = delong.standard_error(influence[0] - influence[1], [np.arange(len(labels))])
        assert ours == pytest.approx(theirs, rel=0.03)
        assert shown(
            f"{d.a} − {d.b}",
            f"{difference:+.4f} ({theirs:.4f})".replace("-", "−"),
            f"{d.difference:+.4f} ({ours:.4f})".replace("-", "−"),
        )


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_newcombe_1998_table_1_clopper_pearson(hits, n, low, high):
    ours = tuple(round(v, 4) for v in clopper_pearson(hits, n))
    assert ours == (low, high)
    assert shown(f"{hits} of {n}", f"{low:.4f} to {high:.4f}", f"{ours[0]:.4f} to {ours[1]:.4f}")


def test_altman_and_bland_1994_predictive_values():
    """231 of 258 abnormal livers are found and 54 of 86 normal ones passed: of alarms 0.88 are right at the study's prevalence of 0.75, 0.45 at 0.25."""
    for prevalence, published in ((258 / 344, 0.88), (0.25, 0.45)):
        ours = float(metrics.right_alarms(231 / 258, 32 / 86, prevalence))
        assert round(ours, 2) == published and shown(f"{prevalence:.2f}", f"{published:.2f}", f"{ours:.3f}")
