"""The harness of the speed benchmarks: arms in turn, ratios within a round, and an interval by order."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.speed import __main__ as command
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


def test_a_case_tells_ratios_and_refuses_ways_that_disagree():
    ways = {"slow": lambda: sum(range(200_000)), "fast": lambda: sum(range(200_000)), "wrong": lambda: 0}
    ratios, agree = {"times": ("slow", "fast")}, ("slow", "fast")
    case = arms.Case({"n": 1}, ways, 2, ratios, agree=agree, more=lambda r: {"most": r.result("slow")})
    row = case.row()
    assert row["n"] == 1 and row["times, cpu"].n == 2 and row["slow, wall s"] > 0 and row["most"] == sum(range(200_000))
    with pytest.raises(AssertionError, match="disagree"):
        dataclasses.replace(case, agree=("slow", "wrong")).row()


def test_options_follow_from_the_parameters_of_cases_and_figures_are_kept_whole(tmp_path, capsys):
    file = tmp_path / "figures.json"

    def cases(
        folder: Path,
        *paths: str,
        sizes: Sequence[float] = (1,),
        warm: bool = False,
        rounds: int = 3,
        at_once: int | None = None,
    ): ...

    line = ["a.mp4", "--sizes", "2", "3", "--warm", "--at-once", "4", "--json", str(file)]
    given = arms.options(cases, "about", line)
    assert (given.paths, given.sizes, given.warm, given.rounds, given.at_once) == (["a.mp4"], [2.0, 3.0], True, 3, 4)
    assert arms.options(cases, "about", []).at_once is None
    arms.tell([{"ratio": arms.Ratio(1.23456, 1.0, 2.0, 5), "clip": "a"}], given.json)
    assert json.loads(file.read_text())[0]["ratio"]["median"] == 1.23456
    assert "1.23 [1, 2] n=5" in capsys.readouterr().out


def test_every_benchmark_is_a_module_with_cases_and_an_unknown_one_is_refused(capsys):
    folder = Path(arms.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__", "arms"}
    assert modules == set(command.BENCHMARKS)
    for name in modules - {"synth", "cuda"}:  # torch is slow to import, and its tests do
        assert callable(import_module(f"benchmarks.speed.{name}").cases)
    assert command.main(["no-such"]) == 2 and "NAME is one of audit" in capsys.readouterr().err


@pytest.mark.slow  # draws and measures, as one would
@pytest.mark.parametrize(
    "line",
    [
        "stats --scores 500 --resamples 100 --identities 20 --loop 5",
        "synth --preset pocket --rounds 1 --only train",
        "provenance --sizes 1 --rounds 1",
        "fakes --people 2 --size 64",
        "overhead --clips 4 --rounds 1",
        "audit --megabytes 1 --rounds 1 --jobs 1",
        "detect --clips 1 --rounds 1",
        "faces --rounds 1 --frames 12",
        "media --rounds 1 --gap 1 --seconds 3",
    ],
)
def test_a_benchmark_runs(line, capsys, tmp_path, monkeypatch):
    for name in ("GIOCONDA_HOME", "GIOCONDA_CACHE", "GIOCONDA_CACHE_MB"):
        monkeypatch.setenv(name, os.environ.get(name, str(tmp_path / "x")))  # put back afterwards
    file = tmp_path / "figures.json"
    assert command.main([*line.split(), "--json", str(file)]) == 0
    assert json.loads(file.read_text()) and "others" in capsys.readouterr().out
