"""What every command shares: global options, where results and progress go, and one shape for errors."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gioconda_core.workers.cpu import cores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from rich.progress import Progress

__all__ = [
    "Force",
    "JsonFlag",
    "Output",
    "Seconds",
    "Settings",
    "deliver",
    "device",
    "emit",
    "notice",
    "parse_outputs",
    "progress",
    "settings",
    "stderr",
]


@dataclass
class Settings:
    """The global options of this run, set once by the root callback."""

    quiet: bool = False
    verbose: bool = False
    debug: bool = False
    seed: int = 0


settings = Settings()

Force = Annotated[bool, typer.Option("--force", help="Replace what is already there.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Short for -o json.")]
Output = Annotated[
    list[str] | None,
    typer.Option("-o", "--output", metavar="FORMAT[=FILE]", help="Result format; may be given several times."),
]


Seconds = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds a detector may take for a clip.")]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Processes.")]


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


def emit(text: str) -> None:
    """Write a result to stdout."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def deliver(text: str, file: str | None) -> None:
    """A result where it was asked for: in a file, or on stdout."""
    from gioconda_core.files import write_text

    if file:
        write_text(file, text if not text or text.endswith("\n") else text + "\n")
        notice(f"wrote {file}")
    elif text:
        emit(text)


def parse_outputs(
    output: list[str] | None, json: bool, allowed: tuple[str, ...], force: bool = False
) -> list[tuple[str, str | None]]:
    """``-o text -o json=report.json`` → [(format, file or None)]; default text to stdout (also ``-``, which is given as None).

    Raises UsageError for an unknown format, two results in one place, and, before any work, a file that is there already.
    """
    from gioconda_core.errors import UsageError
    from gioconda_core.files import refuse_overwrite

    wanted: list[tuple[str, str | None]] = []
    for item in (output or []) + (["json"] if json else []):
        name, equals, file = item.partition("=")
        if name not in allowed:
            raise UsageError(f"unknown format {name!r}", where="-o", hint=f"one of {', '.join(allowed)}")
        if equals and not file:
            raise UsageError(f"no file after {item!r}", where="-o", hint=f"-o {name} for stdout, or -o {name}=FILE")
        wanted.append((name, None if file in ("", "-") else file))
    wanted = wanted or [("text", None)]
    places = [file and os.path.realpath(file) for _, file in wanted]
    if places.count(None) > 1:
        raise UsageError("two results on stdout", where="-o", hint="give one of them a file: -o html=report.html")
    for _, file in wanted:
        if file and places.count(os.path.realpath(file)) > 1:
            raise UsageError("two results in one file", where=f"-o {file}", hint="give each a file of its own")
        if file:
            refuse_overwrite(file, force)
    return wanted


@contextmanager
def progress(description: str, total: float | None, unit: str = "items") -> Iterator[Any]:
    """A progress bar on stderr with rate and time left; yields ``advance(n=1, note="")``. Plain lines where there is no terminal."""
    import time

    if settings.quiet:
        yield lambda n=1, note="": None
        return
    console = stderr()
    if not console.is_terminal:
        start = last = time.monotonic()
        done = 0.0

        def advance(n: float = 1, note: str = "") -> None:
            nonlocal done, last
            done += n
            now = time.monotonic()
            if now - last >= 10 or (total is not None and done >= total):
                last = now
                rate = done / max(now - start, 1e-9)
                left = f", {(total - done) / max(rate, 1e-9):.0f} s left" if total else ""
                of = f"/{total:g}" if total else ""
                print(
                    clean(f"{description}: {done:g}{of} {unit}, {rate:.2f}/s{left} {note}".rstrip()),
                    file=sys.stderr,
                    flush=True,
                )

        yield advance
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    bar: Progress = Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        transient=False,
    )
    with bar:
        task = bar.add_task(description, total=total, rate="", note="")

        def tick(n: float = 1, note: str = "") -> None:
            bar.advance(task, n)
            speed = bar.tasks[0].speed
            bar.update(task, rate=f"{speed:.2f} {unit}/s" if speed else "", note=clean(note))

        yield tick


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
