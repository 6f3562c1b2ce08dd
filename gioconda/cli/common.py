"""What every command shares: global options, where results and progress go, and one shape for errors."""

import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from gioconda_core.documents import to_json
from gioconda_core.errors import ExitCode, UsageError
from gioconda_core.files import atomic_path, refuse_overwrite
from gioconda_core.options import Force as Force
from gioconda_core.options import Option
from gioconda_core.words import counted
from gioconda_core.workers.cpu import cores

if TYPE_CHECKING:
    from rich.progress import Progress


def _is_device(name: str) -> None:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise UsageError(f"no device {name!r}", hint="auto, cpu, cuda or cuda:N")


@dataclass
class Settings:
    """The global options, and those of this run; lang : of what it says, set by a command that speaks several."""

    quiet: Annotated[bool, Option("No progress on stderr.", short="-q")] = False
    verbose: Annotated[bool, Option("More on stderr.", short="-v")] = False
    debug: Annotated[bool, Option("Show the traceback of an error.")] = False
    device: Annotated[str | None, Option("auto, cpu, cuda or cuda:N; auto by default.", valid=_is_device)] = None
    seed: Annotated[int, Option("Seed of everything random.")] = 0
    lang: str = "en"


settings = Settings()

JsonFlag = Annotated[bool, Option("Short for -o json.")]
Seconds = Annotated[float, Option("Seconds a detector may take for a clip.", minimum=0.1)]
Threads = Annotated[int | None, Option("CPU threads; default: what is free.", minimum=1)]


@dataclass(frozen=True)
class JsonOption:
    """Where a result is wanted, and in which formats: the options of a command with ``--json`` alone."""

    output: list[str] | None = None
    json: JsonFlag = False
    force: bool = False

    def among(self, allowed: Sequence[str], inputs: Iterable[object] = ()) -> "Wanted":
        """The formats that are wanted of those a command has; text on stdout where nothing was asked for. inputs : what is never replaced.

        Raises
        ------
        UsageError
            An unknown format, two results in one place, and, before any work, a file that is there already.
        """
        wanted: Wanted = []
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
        read = {os.path.realpath(str(one)) for item in inputs for one in (item if isinstance(item, list) else [item])}
        for (_, aim), place in zip(wanted, places, strict=True):
            if aim and places.count(place) > 1:
                raise UsageError("two results in one file", where=f"-o {aim}", hint="give each a file of its own")
            if aim and place in read and os.path.exists(aim):
                raise UsageError("the output would replace the input", where=aim, hint="give -o another file name")
            if aim:
                refuse_overwrite(aim, self.force)
        return wanted


@dataclass(frozen=True)
class FormatOptions(JsonOption):
    """The options of a command with ``--json`` and ``-o``."""

    output: Annotated[
        list[str] | None,
        Option("Result format; may be given several times.", short="-o", metavar="FORMAT[=FILE]", repeat=True),
    ] = None


@dataclass(frozen=True)
class OutputOptions(FormatOptions):
    """The options of a command with ``--json`` and ``-o`` that may replace files."""

    force: Force = False


class Result:
    """What a command found: its exit code, and for each format a text, its lines, a document (for JSON), or a function that makes any of these.

    Lines are made safe to show; a text is, by who makes it.
    """

    def __init__(self, text: object, json: object, code: int = ExitCode.DONE, **others: object) -> None:
        self.formats, self.code = {"text": text, "json": json, **others}, int(code)


Wanted = list[tuple[str, str | None]]  # formats, each with its file or None for stdout


def write(result: Result, wanted: Wanted) -> None:
    """Write each wanted format, the one way in which results leave a command; lines that are made one by one go to stdout as they come."""
    for name, file in wanted:
        found: Any = result.formats[name]
        found = found() if callable(found) else found
        if isinstance(found, Iterator) and file is None:
            for line in found:
                emit(line)
        elif name == "json":
            deliver(found if isinstance(found, str) else to_json(found, indent=1), file)
        else:
            deliver(found if isinstance(found, str) else "\n".join(map(clean, found)), file)


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


def message(key: str, **values: object) -> str:
    """What a command says of its result (``commands.toml``), in the language of the run. values : (number, noun) is counted where the language has plurals."""
    from gioconda.report.wording import say
    from gioconda_core.types import Sentence

    plain = {
        name: (counted(*value) if settings.lang == "en" else value[0]) if isinstance(value, tuple) else value
        for name, value in values.items()
    }
    return say(Sentence(f"command.{key}", plain), settings.lang)


def emit(text: str) -> None:
    """Write a result to stdout."""
    sys.stdout.write(_ended(text) or "\n")
    sys.stdout.flush()


def deliver(made: str | bytes, file: str | None) -> None:
    """A result where it was asked for: in a file, or on stdout."""
    if file:
        with atomic_path(file) as path:
            path.write_bytes(made if isinstance(made, bytes) else _ended(made).encode())
        notice(f"wrote {file}")
    elif made:
        emit(str(made))


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def incomplete(something: object) -> int:
    """The exit code of a command that did all it was asked, or, where ``something`` is left, not all."""
    return int(ExitCode.INCOMPLETE if something else ExitCode.DONE)


class Bar:
    """A progress bar on stderr with rate and time left, or a line every ten seconds where there is no terminal; silent with -q.

    It may be begun again, with another total, while it is open: what was before is then ended. total : may become known while it is open.
    transient : a bar that is wiped away at its end.
    """

    def __init__(self, description: str, unit: str, transient: bool = False) -> None:
        self.description, self.unit, self.transient = description, unit, transient
        self.total: float | None = None
        self._drawn: Progress | None = None
        self._shown = False

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._shown = False
        if self._drawn:
            self._drawn.stop()
            self._drawn = None

    def begin(self, total: float | None) -> None:
        """Start with so many things to do; ``total`` is None where that is not known."""
        self.__exit__()
        self.total, self._shown = total, not settings.quiet
        self._done = self._fresh = 0.0
        self._ended: float | None = None  # how many were done when the last line was given
        self._start = self._last = time.monotonic()
        if self._shown:
            self._drawn = self._draw()

    def count(self, n: float = 1, note: str = "", before: float = 0) -> None:
        """Count ``n`` things as done. note : shown beside the bar. before : things that were done before this run, which say nothing of its speed."""
        if not self._shown:
            return
        self._done, self._fresh = self._done + n + before, self._fresh + n
        total = None if self.total is None else max(self.total, self._done)
        if self._drawn:
            task = self._drawn.tasks[0]
            task.completed += before  # not by its methods, which would count them as speed
            self._drawn.advance(task.id, n)
            rate = f"{task.speed:.2f} {self.unit}/s" if task.speed and self.unit else ""
            self._drawn.update(task.id, total=total, rate=rate, note=clean(note))
            return
        over = total is not None and self._done >= total
        if self._done != self._ended if over else time.monotonic() - self._last >= 10:
            self._last, self._ended = time.monotonic(), self._done if over else None
            self._line(total, note)

    def _line(self, total: float | None, note: str) -> None:
        """Print how far it is as a line."""
        rate = self._fresh / max(self._last - self._start, 1e-9)
        speed = f", {rate:.2f}/s" if self._fresh else ""
        left = f", {_span((total - self._done) / rate)} left" if total and self._fresh else ""
        of = f"/{total:.10g}" if total else ""
        line = f"{self.description}: {self._done:.10g}{of} {self.unit}{speed}{left}{f', {note}' if note else ''}"
        print(clean(line), file=sys.stderr, flush=True)

    def _draw(self) -> "Progress | None":
        """A bar that is drawn again and again, where there is a terminal. It obeys NO_COLOR."""
        from rich.console import Console

        console = Console(stderr=True, highlight=False, soft_wrap=True)
        if not console.is_terminal:
            return None
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        about, rate, note = (TextColumn(f"{{task.{name}}}") for name in ("description", "fields[rate]", "fields[note]"))
        columns = (about, BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn(), note)
        drawn = Progress(*columns, console=console, transient=self.transient)
        drawn.start()
        drawn.add_task(self.description, total=self.total, rate="", note="")
        return drawn


@contextmanager
def progress(description: str, total: float | None, unit: str = "items") -> Iterator[Callable[..., None]]:
    """A :class:`Bar` whose total is known; yields its ``count``."""
    with Bar(description, unit) as bar:
        bar.begin(total)
        yield bar.count


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


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
