"""A calibration card: how many real clips would get the same headline, and where the line of a signal lies."""

from detect.reading.calibration import Calibration
from gioconda_core.stats.shares import clopper_pearson as interval
from gioconda_core.types import Level


def card(scores, clips=None):
    return Calibration(
        "d", None, "set", "2026-11-29", "all", {"all": tuple(sorted(scores))}, {"all": clips or len(scores)}
    )


def test_the_headline_is_counted_on_real_clips_each_judged_by_the_others():
    spread = card([float(i) for i in range(200)])
    counted = {level: spread.same(level) for level in Level}
    assert sum(counted.values()) == 200
    # at the upper end of the interval a tenth of real clips reach the score of each of these: a signal, real as they are
    alarms = counted[Level.SIGNAL] + counted[Level.STRONG_SIGNAL]
    assert interval(alarms - 1, 199)[1] <= 0.10 < interval(alarms, 199)[1]
    assert counted[Level.STRONG_SIGNAL] >= 1, "a strong signal can be reached"
    assert card([0.0] * 200).same(Level.NO_STRONG_SIGNAL) == 200
    # clips scored at three qualities each count as one clip
    assert card([float(i // 3) for i in range(300)], clips=100).same(Level.NO_STRONG_SIGNAL) <= 100


def test_strip_and_level_have_one_threshold():
    spread = card([float(i) for i in range(200)])
    line = spread.threshold_of()
    assert line is not None
    for score, found in ((line, True), (line - 1.5, False)):
        from detect.reading.calibration import level_of

        rate, _, high, _ = spread.false_alarm(score)
        assert (level_of(rate, high) != Level.NO_STRONG_SIGNAL) == found
    assert card([0.0] * 30).threshold_of() is None, "no score of the set is high enough to be a signal"
