"""The harness of the speed benchmarks: arms in turn, ratios within a round, and an interval by order."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks.speed import arms


def test_arms_are_taken_in_turn_and_every_other_round_backwards():
    seen = []
    found = arms.alternate(3, {name: lambda name=name: seen.append(name) or name for name in "ab"}, warm=True)
    assert "".join(seen) == "ab" + "abbaab" and found.result("b") == "b"
    assert len(found.others) == 6 and all(0 <= share <= 1 for share in found.others)


def test_a_ratio_is_of_one_round_and_its_interval_is_by_order():
    takes = {
        "slow": [arms.Take(0, cpu, 0, 0, None) for cpu in (2.0, 6.0, 40.0)],
        "fast": [arms.Take(0, cpu, 0, 0, None) for cpu in (1.0, 2.0, 10.0)],
    }
    assert arms.Rounds(takes).ratio("slow", "fast") == arms.Ratio(3.0, 2.0, 4.0, 3)
    values = [float(v) for v in range(1, 22)]
    assert arms.Ratio.of(values) == arms.Ratio(11.0, 6.0, 16.0, 21)  # the binomial interval of a median of 21


def test_options_follow_from_their_defaults_and_figures_are_kept_whole(tmp_path, monkeypatch, capsys):
    file = tmp_path / "figures.json"
    monkeypatch.setattr(sys, "argv", ["speed", "a.mp4", "--sizes", "2", "3", "--warm", "--json", str(file)])
    given = arms.options("about", "clips*", sizes=[1.0], warm=False, rounds=3, batch=int)
    assert (given.clips, given.sizes, given.warm, given.rounds, given.batch) == (["a.mp4"], [2.0, 3.0], True, 3, None)
    arms.tell([{"ratio": arms.Ratio(1.23456, 1.0, 2.0, 5), "clip": "a"}], given.json)
    assert json.loads(file.read_text())[0]["ratio"]["median"] == 1.23456
    assert "1.23 [1, 2] n=5" in capsys.readouterr().out


@pytest.mark.slow  # draws and measures, as one would
def test_a_benchmark_runs(tmp_path, monkeypatch, capsys):
    from benchmarks.speed import stats

    line = ["speed", "--scores", "500", "--resamples", "100", "--identities", "20", "--loop", "5"]
    monkeypatch.setattr(sys, "argv", line)
    stats.main()
    assert "largest_difference" in capsys.readouterr().out
