"""A calibration card: how many real clips would get the same headline, and where the line of a signal lies."""

from dataclasses import replace

import numpy as np
import pytest

from detect.reading.calibration import Calibration
from detect.training import calibrate
from gioconda_core.stats.shares import clopper_pearson as interval
from gioconda_core.types import Level


def card(scores, clips=None):
    return Calibration(
        "d", None, "set", "2026-11-29", "all", {"all": tuple(sorted(scores))}, {"all": clips or len(scores)}
    )


def made(scores, persons=None, copies=1):
    """What the card of these real clips counts, a score a clip; copies : qualities that each clip is scored at."""
    rows = [
        calibrate.Scored(str(k // copies), float(v), {}, f"quality {k % copies}", persons[k] if persons else "")
        for k, v in enumerate(scores)
    ]
    return calibrate.make("d", None, "set", "2026-11-29", "all", rows).headlines


def test_the_headline_is_counted_on_real_clips_each_judged_by_the_others():
    counted = made(range(200))
    assert sum(counted.values()) == 200
    # at the upper end of the interval a tenth of real clips reach the score of each of these: a signal, real as they are
    alarms = counted[Level.SIGNAL] + counted[Level.STRONG_SIGNAL]
    assert interval(alarms - 1, 199)[1] <= 0.10 < interval(alarms, 199)[1]
    assert counted[Level.STRONG_SIGNAL] >= 1, "a strong signal can be reached"
    assert made([0.0] * 200) == {Level.NO_STRONG_SIGNAL: 200, Level.SIGNAL: 0, Level.STRONG_SIGNAL: 0}
    # clips scored at three qualities each count as one clip
    assert sum(made([k // 3 for k in range(300)], copies=3).values()) == 100


def test_a_persons_clips_do_not_vouch_for_one_another():
    """Thirty clips of one person score higher than anybody else's: each of them is judged by the others' clips alone."""
    scores = [*range(200), *range(1000, 1030)]
    alone = made(scores)
    assert alone[Level.SIGNAL] + alone[Level.STRONG_SIGNAL] < 30
    together = made(scores, [*map(str, range(200)), *["one person"] * 30])
    assert together[Level.STRONG_SIGNAL] >= 30


def test_the_headline_is_counted_by_the_rule_of_reports():
    """Where a kind of clips speaks for itself, its clips are judged by that kind, as a stranger's clip is."""
    rng = np.random.default_rng(0)
    rows = [
        calibrate.Scored(str(k), float(rng.normal() + 3 * (k % 2)), {"face_px": 60.0 + 100 * (k % 2) + rng.uniform()})
        for k in range(600)
    ]
    card = calibrate.make("d", None, "set", "2026-11-29", "all", rows)
    levels = [card.meaning(row.score, row.measures)[0] for row in rows]
    for level in (Level.SIGNAL, Level.STRONG_SIGNAL):
        assert card.headlines[level] == pytest.approx(levels.count(level), abs=3)


def test_strip_and_level_have_one_threshold():
    spread = card([float(i) for i in range(200)])
    line = spread.threshold_of()
    assert line is not None
    for score, found in ((line, True), (line - 1.5, False)):
        from detect.reading.calibration import level_of

        rate, _, high, _ = spread.false_alarm(score)
        assert (level_of(rate, high) != Level.NO_STRONG_SIGNAL) == found
    assert card([0.0] * 30).threshold_of() is None, "no score of the set is high enough to be a signal"


def test_a_single_window_stands_out_by_how_many_real_clips_have_any_that_high(tmp_path):
    rng = np.random.default_rng(0)
    means = rng.normal(0, 1, 300)
    windows = tuple(tuple(mean + rng.normal(0, 0.5, 3)) for mean in means)
    spread = replace(card([float(np.mean(own)) for own in windows]), windows=windows)
    assert spread.threshold_of_windows(1) == spread.threshold_of()
    lines = [spread.threshold_of_windows(count) for count in (1, 2, 4, 16)]
    assert lines == sorted(lines) and lines[-1] > lines[0]
    # On other clips of the same making the share that has any window over the line is what was stated of them.
    for count, line in zip((4, 16), lines[2:], strict=True):
        others = rng.normal(0, 1, 4000)[:, None] + rng.normal(0, 0.5, (4000, count))
        found = float((others.max(1) >= line).mean())
        assert spread.any_window(line, count) == pytest.approx(found, abs=0.02)
        assert 0.03 < found < 0.10
        # by the line of a clip's mean, far more real clips would have some window marked
        assert (others.max(1) >= lines[0]).mean() > 0.12
    spread.write(tmp_path)
    assert Calibration.read(tmp_path).threshold_of_windows(4) == pytest.approx(lines[2], abs=1e-3)
    assert card([float(i) for i in range(200)]).threshold_of_windows(4) is None, "a card without windows says nothing"
