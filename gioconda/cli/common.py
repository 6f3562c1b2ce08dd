"""What every command shares: global options, where results and progress go, and one shape for errors."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

from gioconda_core.documents import to_json
from gioconda_core.errors import ExitCode, UsageError
from gioconda_core.files import refuse_overwrite, write_text
from gioconda_core.options import Option
from gioconda_core.words import counted
from gioconda_core.workers.cpu import cores

if TYPE_CHECKING:
    from rich.console import Console


@dataclass
class Settings:
    """The global options of this run, set once by the root callback."""

    quiet: bool = False
    verbose: bool = False
    debug: bool = False
    seed: int = 0


settings = Settings()

Force = Annotated[bool, Option("Replace what is already there.")]
JsonFlag = Annotated[bool, Option("Short for -o json.")]
Seconds = Annotated[float, Option("Seconds a detector may take for a clip.", minimum=0.1)]
Threads = Annotated[int | None, Option("CPU threads; default: what is free.", minimum=1)]


@dataclass(frozen=True)
class Printed:
    """The formats a result is wanted in."""

    output: Annotated[
        list[str] | None,
        Option("Result format; may be given several times.", short="-o", metavar="FORMAT[=FILE]", repeat=True),
    ] = None
    json: JsonFlag = False
    force: bool = False  # no command prints to a file that it may replace, unless it says so: Results

    def among(self, *allowed: str, inputs: Sequence[str] = ()) -> Writer:
        """What will write the results, of these formats; text on stdout where nothing was asked for. inputs : what is never replaced.

        Raises
        ------
        UsageError
            An unknown format, two results in one place, and, before any work, a file that is there already.
        """
        wanted: list[tuple[str, str | None]] = []
        for item in (self.output or []) + (["json"] if self.json else []):
            name, equals, file = item.partition("=")
            if name not in allowed:
                raise UsageError(f"unknown format {name!r}", where="-o", hint=f"one of {', '.join(allowed)}")
            if equals and not file:
                raise UsageError(f"no file after {item!r}", where="-o", hint=f"-o {name} for stdout, or -o {name}=FILE")
            wanted.append((name, None if file in ("", "-") else file))
        wanted = wanted or [("text", None)]
        places = [place and os.path.realpath(place) for _, place in wanted]
        if places.count(None) > 1:
            raise UsageError("two results on stdout", where="-o", hint="give one of them a file: -o html=report.html")
        for (_, aim), place in zip(wanted, places, strict=True):
            if aim and places.count(place) > 1:
                raise UsageError("two results in one file", where=f"-o {aim}", hint="give each a file of its own")
            if aim and any(clip != "-" and os.path.realpath(clip) == place for clip in inputs):
                raise UsageError("the output would replace the clip", where=aim, hint="give -o another file name")
            if aim:
                refuse_overwrite(aim, self.force)
        return Writer(tuple(wanted))


@dataclass(frozen=True)
class Results(Printed):
    """Where a result is wanted, and in which formats."""

    force: Force = False


@dataclass(frozen=True)
class Writer:
    """The one way a command's results leave it. wanted : (format, file or None for stdout)."""

    wanted: tuple[tuple[str, str | None], ...]

    def write(self, **made: object) -> None:
        """Write each wanted format: a text, lines one after another, a document (written as JSON), or a function that makes any."""
        for name, file in self.wanted:
            found = made[name]
            found = found() if callable(found) else found
            if isinstance(found, Iterator) and file is None:
                for line in found:
                    emit(line)
                continue
            text = "\n".join(found) if isinstance(found, Iterator) else found
            deliver(text if isinstance(text, str) else to_json(text, indent=1), file)


def stderr() -> Console:
    """The console for progress and logs; results never go here. Obeys NO_COLOR."""
    from rich.console import Console

    return Console(stderr=True, quiet=settings.quiet, highlight=False, soft_wrap=True)


def notice(message: str) -> None:
    """Say something on stderr unless -q."""
    if not settings.quiet:
        print(clean(message), file=sys.stderr, flush=True)


def complain(error: Exception) -> None:
    """Say on stderr what went wrong with one of many, -q or not."""
    print(f"gioconda: {clean(str(error))}", file=sys.stderr, flush=True)


def clean(text: str) -> str:
    """One safe line: terminal escapes, newlines and bidi overrides are shown, not obeyed."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def told(key: str, lang: str, **values: object) -> str:
    """What a command says of its result (``commands.toml``), in a language. values : (number, noun) is counted where the language has plurals."""
    from gioconda.report.wording import say
    from gioconda_core.types import Sentence

    plain = {
        name: (counted(*value) if lang == "en" else value[0]) if isinstance(value, tuple) else value
        for name, value in values.items()
    }
    return say(Sentence(f"command.{key}", plain), lang)


def emit(text: str) -> None:
    """Write a result to stdout."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def deliver(text: str, file: str | None) -> None:
    """A result where it was asked for: in a file, or on stdout."""
    if file:
        write_text(file, text if not text or text.endswith("\n") else text + "\n")
        notice(f"wrote {file}")
    elif text:
        emit(text)


def printed(json: bool, document: object, lines: Iterable[str]) -> None:
    """A document on stdout: as JSON where that was asked for, else in lines."""
    for line in [to_json(document, indent=1)] if json else lines:
        emit(line)


def incomplete(something: object) -> int:
    """The exit code of a command that did all it was asked, or, where ``something`` is left, not all."""
    return int(ExitCode.INCOMPLETE if something else ExitCode.DONE)


class Advance(Protocol):
    """Tells a progress bar that ``n`` more are done; ``note`` stands beside it. before : so many more were done already, which says nothing of speed."""

    def __call__(self, n: float = 1, note: str = "", before: float = 0) -> None: ...


class Bar:
    """A progress bar on stderr with rate and time left, or plain lines where there is no terminal; silent with -q.

    It may be begun again, with another total, while it is open: what was before is then ended. total : may become known while it is open.
    transient : a bar that is wiped away at its end.
    """

    def __init__(self, description: str, unit: str, transient: bool = False) -> None:
        self.description, self.unit, self.transient = description, unit, transient
        self.total: float | None = None
        self.advance: Advance = _nothing
        self._end: Callable[[], None] = lambda: None

    def __enter__(self) -> Bar:
        return self

    def begin(self, total: float | None) -> None:
        """Start, with so many things to do; None where nobody knows."""
        self._end()
        self.total = total
        if settings.quiet:
            return
        self.advance, self._end = (_drawn if stderr().is_terminal else _lines)(self)

    def count(self, n: float = 1, note: str = "", before: float = 0) -> None:
        """So many more are done, now and ``before``."""
        self.advance(n, note, before)

    def __exit__(self, *_: object) -> None:
        self._end()
        self.advance, self._end = _nothing, lambda: None


@contextmanager
def progress(description: str, total: float | None, unit: str = "items") -> Iterator[Advance]:
    """A :class:`Bar` whose total is known; yields its ``advance``."""
    with Bar(description, unit) as bar:
        bar.begin(total)
        yield bar.advance


def _nothing(n: float = 1, note: str = "", before: float = 0) -> None:
    """Nobody is told."""


def _lines(bar: Bar) -> tuple[Advance, Callable[[], None]]:
    """A line every ten seconds, and one at the end."""
    start = last = time.monotonic()
    done = fresh = 0.0

    def advance(n: float = 1, note: str = "", before: float = 0) -> None:
        nonlocal done, fresh, last
        done, fresh = done + n + before, fresh + n
        now, total = time.monotonic(), None if bar.total is None else max(bar.total, done)
        if now - last >= 10 or (total is not None and done >= total):
            last = now
            rate = fresh / max(now - start, 1e-9)
            speed = f", {rate:.2f}/s" if fresh else ""
            left = f", {_span((total - done) / rate)} left" if total and fresh else ""
            of = f"/{total:.10g}" if total else ""
            beside = f", {note}" if note else ""
            line = f"{bar.description}: {done:.10g}{of} {bar.unit}{speed}{left}{beside}"
            print(clean(line), file=sys.stderr, flush=True)

    return advance, lambda: None


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _drawn(bar: Bar) -> tuple[Advance, Callable[[], None]]:
    """A bar that is drawn again and again on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    drawn = Progress(*columns, console=stderr(), transient=bar.transient)
    drawn.start()
    task = drawn.add_task(bar.description, total=bar.total, rate="", note="")

    def advance(n: float = 1, note: str = "", before: float = 0) -> None:
        drawn.tasks[0].completed += before  # not by its methods, which would count them as speed
        drawn.advance(task, n)
        speed = drawn.tasks[0].speed
        rate = f"{speed:.2f} {bar.unit}/s" if speed and bar.unit else ""
        total = None if bar.total is None else max(bar.total, drawn.tasks[0].completed)
        drawn.update(task, total=total, rate=rate, note=clean(note))

    return advance, drawn.stop


def typed_command(short: bool = False) -> str:
    """The command as it was typed, for records of what made a file; ``short`` keeps only the names of files given by whole paths."""
    return shlex.join(["gioconda", *(Path(a).name if short and Path(a).is_absolute() else a for a in sys.argv[1:])])


def device() -> str:
    """The device asked for; under torchrun, where it may be any GPU, this process's own."""
    from gioconda_core.device import device as found

    name = found()
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if name == "cuda" else name


def thread_budget() -> int:
    """Threads worth using here: a busy neighbour makes two-thread torch several times slower, so count free cores."""
    try:
        busy = os.getloadavg()[0]
    except OSError:
        busy = 0.0
    return max(1, round(cores() - max(0.0, busy - 0.5)))


def keep_threads(threads: int | None) -> None:
    """Hold torch to so many threads, or to what is free."""
    import torch

    torch.set_num_threads(threads or thread_budget())


def split(text: str, at: str = ",") -> list[str]:
    """``a, b`` → ["a", "b"]; nothing for nothing."""
    return [item.strip() for item in text.split(at) if item.strip()]
