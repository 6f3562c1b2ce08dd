"""``gioconda check``: the report on a clip or picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gioconda.cli.common import Force, JsonFlag, Output, Seconds, complain, deliver, notice, parse_outputs, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gioconda_core.types import Report

FORMATS = ("text", "json", "jsonl", "csv", "html", "sarif")

Detectors = Annotated[
    str | None,
    typer.Option("--detectors", metavar="A,B", help="Detectors by name; none for credentials and container only."),
]
Lang = Annotated[str | None, typer.Option("--lang", help="en or ja; the locale's by default.")]
TrustOption = Annotated[
    list[str] | None, typer.Option("--trust", metavar="[KIND=]PEM", help="A trust list beside the stored ones.")
]
OwnKey = Annotated[bool, typer.Option("--trust-development", help="Also trust this user's own development key.")]
FailOn = Annotated[
    str | None, typer.Option("--fail-on", metavar="LEVEL", help="Exit 3 at this level or above: signal, strong-signal.")
]
Require = Annotated[
    list[str] | None,
    typer.Option("--require", metavar="WHAT", help="Exit 3 unless every file is assessed, valid or trusted."),
]


def names_of(detectors: str | None) -> tuple[str, ...] | None:
    """``a,b`` → names; ``none`` → no detector; None → those shipped."""
    if detectors is None:
        return None
    names = tuple(name.strip() for name in detectors.split(",") if name.strip())
    return () if names == ("none",) else names


def trust_of(lists: list[str] | None, development: bool) -> Any:
    """The trust lists a command was given, with those of the user's store."""
    from provenance.trust import lists as trust

    return trust.load(lists or (), development=development)


def check(
    clips: Annotated[list[str], typer.Argument(metavar="CLIP…", help="Videos or pictures; - for stdin.")],
    detectors: Detectors = None,
    lang: Lang = None,
    output: Output = None,
    json: JsonFlag = False,
    trust: TrustOption = None,
    trust_development: OwnKey = False,
    fail_on: FailOn = None,
    require: Require = None,
    sampling: Annotated[
        str | None, typer.Option(help="Frames the detectors see; what they ask for by default.")
    ] = None,
    timeout: Seconds = 300.0,
    force: Force = False,
) -> int:
    """Report on clips and pictures: what they are, where they say they come from, what detectors saw, what to do next.

    Nothing leaves this computer. A score alone never changes the exit code; --fail-on and --require do.

    Example: gioconda check clip.mp4 -o text -o html=report.html
    """
    import sys

    from gioconda.report.examine import Examiner, unread
    from gioconda.report.requirements import Policy, outcome
    from gioconda.report.rows import row
    from gioconda.report.wording import language
    from gioconda_core.errors import GiocondaError

    for item in output or ():
        _spare(item.partition("=")[2], clips)
    wanted = parse_outputs(output, json, FORMATS, force)
    spoken = language(lang)
    policy = Policy(fail_on, tuple(require or ()))
    lists = trust_of(trust, trust_development)
    examiner = Examiner(names_of(detectors), trust=lists, sampling=sampling, timeout=timeout)
    reports: list[Report] = []
    tripped: list[str] = []
    incomplete = False
    for path, title in _inputs(clips):
        try:
            report = examiner.examine(path, title=title, progress=_progress(title), command=_command())
        except GiocondaError as error:
            if settings.debug:
                raise
            complain(error)
            incomplete = True
            continue
        if nothing := unread(report):
            complain(nothing)
        incomplete |= bool(report.errors)
        tripped += [f"{title}: {why}" for why in policy.tripped(row(report))]
        reports.append(report)
    result = outcome(tripped, incomplete)
    for format, file in wanted:
        # On a terminal the one line on stderr says it all; a file or a program gets the whole report.
        shown = reports if file or format != "text" else [r for r in reports if not unread(r)]
        text = _render(format, shown, spoken, result, color=file is None and sys.stdout.isatty())
        deliver(text, file)
    for line in tripped:
        notice(f"policy: {line}")
    return int(result["exit_code"])


def _spare(file: str, clips: list[str]) -> None:
    """An output never lands on an input, --force or not."""
    from pathlib import Path

    from gioconda_core.errors import UsageError

    if file and any(clip != "-" and Path(clip).resolve() == Path(file).resolve() for clip in clips):
        raise UsageError("the output would replace the clip", where=file, hint="give -o another file name")


def _inputs(clips: list[str]) -> Iterator[tuple[str, str]]:
    """(path, shown name); stdin is kept in a temporary file while it is examined."""
    from pathlib import Path

    for clip in clips:
        if clip != "-":
            yield clip, Path(clip).name
            continue
        with _spooled() as path:
            yield path, "stdin"


def _spooled() -> Any:
    import contextlib
    import os
    import shutil
    import sys
    import tempfile

    @contextlib.contextmanager
    def spool() -> Iterator[str]:
        handle, path = tempfile.mkstemp(prefix="gioconda-")
        try:
            with os.fdopen(handle, "wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
            yield path
        finally:
            os.unlink(path)

    return spool()


def _progress(title: str) -> Any:
    """Stages on stderr: one line rewritten on a terminal, one line each with -v."""
    import sys

    if settings.quiet:
        return None
    from gioconda.cli.common import clean

    def step(stage: str, share: float) -> None:
        if settings.verbose:
            notice(f"{title}: {stage} ({100 * share:.0f} %)")
        elif sys.stderr.isatty():
            done = stage == "report"
            line = "" if done else f"{clean(title)[:50]}: {stage} ({100 * share:.0f} %)"
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()

    return step


def _command() -> str:
    import shlex
    import sys

    return shlex.join(["gioconda", *sys.argv[1:]])


def _render(format: str, reports: list[Report], lang: str, result: dict[str, Any], color: bool) -> str:
    import os

    from gioconda import report as render

    if format == "text":
        color = color and not os.environ.get("NO_COLOR")
        return ("\n" + "─" * 80 + "\n\n").join(render.text(r, lang, color=color) for r in reports)
    if format == "json":
        from gioconda.report.as_json import document, printable

        documents = [document(r, lang) | {"outcome": result} for r in reports]
        return printable(documents[0] if len(documents) == 1 else documents, indent=1)
    if format == "jsonl":
        return "".join(render.json(r, lang, indent=None) + "\n" for r in reports)
    if format == "html":
        return render.html(reports, lang)
    return render.csv(reports, lang) if format == "csv" else render.sarif(reports, lang)
