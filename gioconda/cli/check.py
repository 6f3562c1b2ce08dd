"""``gioconda check``: the report on a clip or picture."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from gioconda import report as render
from gioconda.cli.build import built
from gioconda.cli.common import Bar, OutputOptions, Seconds, clean, complain, deliver, notice, settings, typed_command
from gioconda.report import rows
from gioconda.report.as_json import document
from gioconda.report.options import Judges, Lang, Sampled
from gioconda.report.requirements import Outcome, Policy, outcome
from gioconda.report.wording import problem
from gioconda_core.documents import plain, to_json
from gioconda_core.errors import GiocondaError, UsageError
from gioconda_core.files import spooled
from gioconda_core.options import argument
from gioconda_core.types import Report
from gioconda_core.workers.pool import Progress
from provenance.trust import lists

FORMATS = ("text", "json", "jsonl", "csv", "html", "sarif", "keyframes")


@dataclass(frozen=True)
class Check(Judges):
    """The options by which ``check`` examines clips and reports on them."""

    policy: Policy = field(default_factory=Policy)
    lang: Lang = "en"
    sampling: Sampled = None
    timeout: Seconds = 300.0


@dataclass(frozen=True)
class Checked(Outcome):
    """How a check ends. unopened : files of which there is no report, and why."""

    unopened: tuple[str, ...] = ()


@built("check", "clip.mp4 -o text -o html=report.html")
def check(
    clips: Annotated[list[str], argument("Videos or pictures; - for stdin.", "CLIP…")],
    job: Check,
    results: OutputOptions,
) -> int:
    """Report on clips and pictures: what they are, where they say they come from, what detectors saw, what to do next.

    Nothing leaves this computer. A score alone never changes the exit code; --fail-on and --require do.
    """
    wanted = results.among(FORMATS, clips)
    if ("keyframes", None) in wanted:
        raise UsageError("keyframes are a ZIP", where="-o keyframes", hint="give it a file: -o keyframes=FRAMES.zip")
    from gioconda_core.media import sandbox

    sandbox.warm()  # while what examines is imported
    from gioconda.report.evidence import keyframes
    from gioconda.report.examine import Examiner, unread

    own = lists.load(job.trust, development=job.trust_development)
    examiner = Examiner(job.detectors, trust=own, sampling=job.sampling, timeout=job.timeout)
    reports: list[Report] = []
    frames: dict[str, bytes] = {}  # archives of keyframes, by the title of their clip
    tripped: list[str] = []
    unopened: list[rows.Row] = []
    for path, title in _inputs(clips):
        try:
            with Bar(clean(title)[:50], "", transient=True) as bar:
                report = examiner.examine(path, title=title, progress=_progress(title, bar), command=typed_command())
        except GiocondaError as error:
            if settings.debug:
                raise
            complain(error)
            unopened.append(rows.error_row(title, error.why))
            tripped += [f"{title}: {why}" for why in job.policy.tripped(unopened[-1])]
            continue
        if nothing := unread(report):
            complain(nothing)
        if "keyframes" in dict(wanted):
            full = keyframes.full(path, report.evidence.keyframes)
            frames[f"{len(frames) + 1:02d}-{title}.zip"] = keyframes.archive(report.title, report.sha256, full)
        tripped += [f"{title}: {why}" for why in job.policy.tripped(rows.row(report))]
        reports.append(report)
    ended = outcome(tripped, bool(unopened) or any(report.errors for report in reports))
    result = Checked(**vars(ended), unopened=tuple(f"{one.path}: {one.error}" for one in unopened))
    for format, file in wanted:
        if format == "keyframes":  # of one clip its archive, of several an archive of archives
            deliver(next(iter(frames.values())) if len(frames) == 1 else keyframes.packed(frames), file)
            continue
        # On a terminal the one line on stderr says it all; a file or a program gets the whole report.
        said = format == "text" and not file
        shown, missing = ([r for r in reports if not unread(r)], []) if said else (reports, unopened)
        color = file is None and sys.stdout.isatty()
        deliver(_render(format, shown, missing, job.lang, result, color=color), file)
    for line in tripped:
        notice(f"policy: {line}")
    return result.exit_code


def _inputs(clips: list[str]) -> Iterator[tuple[str, str]]:
    """(path, shown name); stdin is kept in a temporary file while it is examined."""
    for clip in clips:
        if clip != "-":
            yield clip, Path(clip).name
            continue
        with spooled(sys.stdin.buffer) as path:
            yield str(path), "stdin"


def _progress(title: str, bar: Bar) -> Progress | None:
    """Shows on stderr how far a clip is: a bar on a terminal, one line each with -v, else nothing."""
    if settings.quiet or not (settings.verbose or sys.stderr.isatty()):
        return None
    reached = 0.0
    if not settings.verbose:
        bar.begin(100)

    def step(stage: str, share: float, *, done: int = 0, of: int = 0) -> None:
        nonlocal reached
        if settings.verbose:
            notice(f"{title}: {stage} ({100 * share:.0f} %)")
        bar.count(round(100 * share) - reached, f"{stage}, {done} of {of} frames" if of else stage)
        reached = round(100 * share)

    return step


def _render(
    format: str, reports: list[Report], unopened: list[rows.Row], lang: str, result: Outcome, *, color: bool
) -> str:
    if format == "text":
        color = color and not os.environ.get("NO_COLOR")
        texts = [render.text(r, lang, color=color) for r in reports]
        texts += [f"{clean(r.path)}: {problem(r.error or '', lang)}\n" for r in unopened]
        return ("\n" + "─" * 80 + "\n\n").join(texts)
    if format in ("json", "jsonl"):  # a document a file: where there is no report, the row that an audit would have
        documents = [*(document(r, lang) for r in reports), *map(plain, unopened)]
        if format == "jsonl":
            return "".join(to_json(one) + "\n" for one in documents)
        documents = [one | {"outcome": plain(result)} for one in documents]
        return to_json(documents[0] if len(documents) == 1 else documents, indent=1)
    if format == "html":
        from gioconda.report.as_html import html

        return html(reports, lang, [(row.path, problem(row.error or "", lang)) for row in unopened])
    from gioconda.report.as_sarif import log

    table = [*(rows.row(report, lang) for report in reports), *unopened]
    return rows.csv(table) if format == "csv" else log(table, lang)
