"""Measures speeds, in the one way used here: arms taken in turn within one run, ratios within a round with their interval, a table or JSON.

A neighbour on a shared machine moves seconds and leaves ratios of one round alone; processor time moves less than the clock. Each take
notes the share of all cores that other programs had meanwhile, since a figure by the clock is worth little beside a busy neighbour.
"""

import argparse
import inspect
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from gioconda_core.files import write_json
from gioconda_core.media.clip import write_video

Work = Callable[[], Any]


@dataclass(frozen=True)
class Take:
    """One call: seconds by the clock, of this process's cores, of its children's too, and what it returned. others : share of all cores."""

    wall: float
    cpu: float
    tree: float
    others: float
    result: Any


def take(work: Work) -> Take:
    """Call once, and measure it."""
    machine, began, wall, cpu = _machine(), os.times(), time.perf_counter(), time.process_time()
    result = work()
    cpu, wall, ended = time.process_time() - cpu, time.perf_counter() - wall, os.times()
    # counted in hundredths: 0 for a short call, which others are divided by
    tree = max(cpu, sum(ended[:4]) - sum(began[:4]))
    others = max(0.0, _machine() - machine - tree) / (wall * (os.cpu_count() or 1))
    others = min(1.0, others)  # the machine's clock ticks in hundredths, which is long beside a short call
    return Take(wall, cpu, tree, round(others, 3), result)


def _machine() -> float:
    """Processor seconds of the whole machine so far."""
    import psutil

    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


@dataclass(frozen=True)
class Ratio:
    """A median of ratios of n rounds. low, high : its 95 % interval by order, which below six rounds is their range."""

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Ratio":
        """From the ratios of the rounds; the interval is that of a median, by the binomial distribution."""
        from scipy.stats import binom

        ordered = sorted(values)
        aside = max(0, int(binom.ppf(0.025, len(ordered), 0.5)) - 1)
        return cls(statistics.median(ordered), ordered[aside], ordered[-1 - aside], len(ordered))

    def __str__(self) -> str:
        return f"{self.median:.3g} [{self.low:.3g}, {self.high:.3g}] n={self.n}"


@dataclass(frozen=True)
class Rounds:
    """What each arm took in each round."""

    takes: Mapping[str, Sequence[Take]]

    def seconds(self, arm: str, of: str = "cpu") -> float:
        """The median; of : ``cpu``, ``wall`` or ``tree``."""
        return float(statistics.median(getattr(t, of) for t in self.takes[arm]))

    def ratio(self, slow: str, fast: str, of: str = "cpu") -> Ratio:
        """How many times longer ``slow`` took than ``fast`` in the same round."""
        pairs = zip(self.takes[slow], self.takes[fast], strict=True)
        return Ratio.of([getattr(a, of) / getattr(b, of) for a, b in pairs])

    def result(self, arm: str) -> Any:
        """What the last call returned."""
        return self.takes[arm][-1].result

    @property
    def others(self) -> list[float]:
        """Shares of all cores that other programs had, take by take."""
        return [t.others for takes in self.takes.values() for t in takes]


def alternate(rounds: int, arms: Mapping[str, Work], warm: bool = False) -> Rounds:
    """Take every arm once a round, in turn, every other round from the last to the first. warm : call each once before."""
    if warm:
        for work in arms.values():
            work()
    takes: dict[str, list[Take]] = {name: [] for name in arms}
    for number in range(rounds):
        for name in list(arms)[:: 1 if number % 2 == 0 else -1]:
            takes[name].append(take(arms[name]))
    return Rounds(takes)


@dataclass(frozen=True)
class Case:
    """One piece of material, the ways that are taken over it, and what is told of them; :meth:`row` measures.

    Parameters
    ----------
    about : what the material is: the first columns of the row.
    arms : each way by its name; called without arguments, once in each of ``rounds``.
    ratios : column → (slow, fast): how many times longer the first takes than the second.
    of : what is compared: ``cpu``, ``wall``, ``tree``, or ``result`` where a way returns seconds of its own.
    agree : ways that must return the same; AssertionError where they do not.
    more : further columns, from what was taken. warm : call each way once before.
    """

    about: Mapping[str, object]
    arms: Mapping[str, Work]
    rounds: int
    ratios: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    of: Sequence[str] = ("cpu", "wall")
    agree: Sequence[str] = ()
    more: Callable[[Rounds], Mapping[str, object]] | None = None
    warm: bool = False

    def row(self) -> dict[str, object]:
        """Take the ways in turn; seconds are medians."""
        found = alternate(self.rounds, self.arms, self.warm)
        answers = {arm: found.result(arm) for arm in self.agree}
        assert all(answer == answers[self.agree[0]] for answer in answers.values()), f"the ways disagree: {answers}"
        row: dict[str, object] = dict(self.about)
        for of in self.of:
            row |= {f"{arm}, {of} s": found.seconds(arm, of) for arm in self.arms}
            row |= {f"{name}, {of}": found.ratio(*pair, of) for name, pair in self.ratios.items()}
        return row | dict(self.more(found) if self.more else {}) | {"others": found.others}


def drawn(folder: Path, count: int, frames: int, size: int) -> list[Path]:
    """Clips of puppets, each of its own person."""
    from synth.puppets.perform import perform

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{i}.mp4" for i in range(count)]
    for i, path in enumerate(paths):
        shown = perform(i, i, frames=frames, size=size)
        write_video(path, iter(shown.frames), fps=shown.fps)
    return paths


def options(cases: Callable[..., Any], about: str, arguments: Sequence[str]) -> argparse.Namespace:
    """The command line of a benchmark: ``--json FILE``, and an option for each parameter of ``cases`` but its folder, by name, type and default.

    ``*paths`` stand without a flag.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = get_type_hints(cases)
    for name, parameter in list(inspect.signature(cases).parameters.items())[1:]:
        flag, kind = "--" + name.replace("_", "-"), kinds[name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            parser.add_argument(name, nargs="*")
        elif kind is bool:
            parser.add_argument(flag, action="store_true")
        else:  # Sequence[float], int | None, or a plain type
            several = "*" if get_origin(kind) is Sequence else None
            parser.add_argument(
                flag, type=(get_args(kind) or (kind,))[0], nargs=several, default=parameter.default, help="default: %(default)s"
            )  # fmt: skip
    parser.add_argument("--json", type=Path, help="also write the figures here")
    return parser.parse_args(arguments)


def tell(rows: Sequence[Mapping[str, object]], file: Path | None) -> None:
    """Print rows as tables, and keep them as JSON where asked. What is printed rounds; what is kept does not."""
    for row in rows:
        width = max(map(len, row))
        print("\n".join(f"{name:>{width}}  {_shown(value)}" for name, value in row.items()), flush=True)
    if file is not None:
        plain: list[object] = json.loads(json.dumps(rows, default=vars))  # a ratio is kept as its parts
        write_json(file, plain)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    if isinstance(value, dict):
        return "; ".join(f"{name} {_shown(each)}" for name, each in value.items())
    return str(value)
