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

        assert (level_of(spread.false_alarm(score)[2]) != Level.NO_STRONG_SIGNAL) == found
    # between two scores of the set a signal is found already: the line lies just above the lower one
    assert spread.threshold_of() - np.floor(spread.threshold_of()) < 1e-9
    assert spread.meaning(line, {})[0] != Level.NO_STRONG_SIGNAL == spread.meaning(np.nextafter(line, -np.inf), {})[0]
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


def test_a_clip_of_several_faces_gives_no_more_false_alarms_than_one_of_one():
    """Four faces have four chances: of clips of four filmed faces, as many as of one may get a signal, not four times as many."""
    rng = np.random.default_rng(3)
    known = card(rng.normal(size=400).tolist())
    for faces in (1, 2, 4):
        clips = rng.normal(size=(4000, faces))
        levels = [known.meaning(float(row.max()), {}, faces)[0] for row in clips]
        found = float(np.mean([level != Level.NO_STRONG_SIGNAL for level in levels]))
        assert 0.03 < found < 0.10
        line = known.threshold_of(faces=faces)
        assert line is not None and found == pytest.approx(float((clips.max(1) >= line).mean()), abs=1e-9)
    naive = np.mean([known.meaning(float(row.max()), {})[0] != Level.NO_STRONG_SIGNAL for row in clips])
    assert naive > 0.20, "judged as if there were one face, a fifth of such clips would get a signal"


def test_a_kind_of_too_few_clips_is_silent_where_no_face_of_so_many_could_get_a_signal():
    """Otherwise "no strong signal" would be told of a clip of three faces whatever their scores."""
    rng = np.random.default_rng(2)
    sizes = np.repeat([60.0, 120.0], [101, 300])
    rows = [
        calibrate.Scored(str(k), float(score), {"face_px": float(size)})
        for k, (score, size) in enumerate(zip(rng.normal(size=401), sizes, strict=True))
    ]
    known = replace(
        card([row.score for row in rows]),
        scores={
            "all": tuple(sorted(row.score for row in rows)),
            "face under 100 px": tuple(sorted(row.score for row in rows[:101])),
        },
        clips={"all": 401, "face under 100 px": 101},
        edges={"face_px": (100.0,)},
    )
    assert known.strata({"face_px": 60.0}) == ["face under 100 px"]
    assert known.strata({"face_px": 60.0}, faces=3) == ["all"]
    for faces in (1, 2, 3, 4):
        assert known.meaning(50.0, {"face_px": 60.0}, faces)[0] != Level.NO_STRONG_SIGNAL


class TestFaces:
    """A clip of three faces, each judged by itself."""

    @pytest.fixture
    def judge(self, tmp_path, monkeypatch):
        from detect.reading import calibration
        from gioconda_core.types import Footage, Reading, TrackScore

        rng = np.random.default_rng(5)
        known = replace(card(rng.normal(size=400).tolist()), weights_sha256="w" * 64, span={"face_px": (74.0, 1568.0)})
        known.write(tmp_path)
        monkeypatch.setattr(calibration, "home_of", lambda weights: tmp_path)

        def judged(scores, sizes):
            found = {None: max(sizes)} | dict(enumerate(sizes))
            monkeypatch.setattr(calibration, "measures", lambda footage, face=None: {"face_px": found[face]})
            series = tuple(TrackScore(k, (1.0, 9.0), (score, score)) for k, score in enumerate(scores))
            reading = Reading("d", "1", "w" * 64, max(scores), series, "max-track-mean")
            return calibration.judge(reading, Footage(np.zeros((1, 8, 8, 3), np.uint8), np.zeros(1), None, 9.0, ()))

        return judged

    def test_one_that_cannot_be_assessed_withholds_nothing_of_the_others(self, judge):
        found = judge([9.0, 5.0, -1.0], [40.0, 200.0, 150.0])
        assert (found.level, found.track, found.reading.score) == (Level.STRONG_SIGNAL, 1, 5.0)
        assert [face.level for face in found.faces] == [Level.NOT_ASSESSED, Level.STRONG_SIGNAL, Level.NO_STRONG_SIGNAL]
        assert found.faces[0].score is None and found.faces[0].abstained.detail["difference"]["detail"]["value"] == 40.0
        assert [series.track for series in found.reading.series] == [1, 2], "a withheld score is nowhere"
        assert found.faces_assessed == 2

    def test_the_largest_has_no_more_say_than_another(self, judge):
        assert judge([5.0, -1.0], [90.0, 300.0]).track == 0
        assert judge([-1.0, 5.0], [90.0, 300.0]).track == 1

    def test_where_none_can_be_assessed_each_has_its_reason(self, judge):
        found = judge([9.0, 5.0], [40.0, 60.0])
        assert found.level == Level.NOT_ASSESSED and found.reading.score is None and not found.reading.series
        assert [face.abstained.detail["difference"]["detail"]["value"] for face in found.faces] == [40.0, 60.0]

    def test_a_single_face_is_judged_by_its_own_measures(self, judge):
        """The only face that was read need not be the largest of the clip."""
        assert judge([5.0], [200.0]).level == Level.STRONG_SIGNAL
        assert judge([5.0], [40.0]).level == Level.NOT_ASSESSED and not judge([5.0], [40.0]).faces
