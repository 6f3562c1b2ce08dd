"""``gioconda audit``: a tree of media, resumable, with an exit code for CI."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated

from gioconda.audit import Audit, Summary
from gioconda.audit.journal import rows_of
from gioconda.audit.tables import state_text
from gioconda.audit.walk import read_list
from gioconda.cli.build import built
from gioconda.cli.common import Bar, FormatOptions, Result, notice, settings
from gioconda.report.requirements import Outcome, outcome
from gioconda_core.documents import to_json
from gioconda_core.errors import UsageError
from gioconda_core.options import Option
from gioconda_core.reasons import said
from gioconda_core.words import counted

SHOWN = 20  # of those that trip the policy, named on stderr


@dataclass
class AuditDocument(Summary):
    """What ``audit`` prints as JSON: the summary, with the outcome that the exit code says."""

    outcome: Outcome = field(default_factory=lambda: outcome((), False))


@built("audit", "media/ --out audit --fail-on signal --jobs 8", prints=FormatOptions, formats=("text", "json", "jsonl"))
def audit(
    job: Audit,
    results: FormatOptions,
    from_file: Annotated[str | None, Option("Also the paths listed in a file, or - for stdin; by line or NUL.")] = None,
) -> Result:
    """Examine every clip and picture under the paths: one row for each file, tables and one page at the end.

    Resumable: run the same command again. --detectors none reads credentials only, near the speed of the disk.
    The tables are readings.jsonl, .parquet, .csv, .sarif, .junit.xml and index.html in --out; -o says what goes to stdout.
    """
    if any(item.partition("=")[2] not in ("", "-") for item in results.output or ()):
        raise UsageError("files are written to --out", where="-o", hint="-o text, -o json or -o jsonl, without a file")
    given = list(job.roots)
    job.roots = [*given, *(read_list(from_file) if from_file else ())]
    if not job.roots:
        raise UsageError("nothing to audit", hint="give folders or files, or --from-file -")
    for root in given:
        try:
            os.lstat(root)
        except FileNotFoundError:
            raise UsageError("no such file or folder", where=root) from None
        except OSError as error:
            raise UsageError(f"cannot be read: {error.strerror}", where=root) from error
    with Bar("audit", "files") as bar:
        job.report = None if settings.quiet else _following(bar)
        summary = job.run()
        if job.report:
            job.report(summary, summary.seen)
    result = outcome(summary.tripped_first, summary.failed > summary.accepted_errors)
    for line in summary.notes:
        notice(f"baseline: {line}")
    for line in summary.tripped_first[:SHOWN]:
        notice(f"policy: {line}")
    if summary.tripped > SHOWN:
        notice(f"policy: and {summary.tripped - SHOWN} more")
    document = AuditDocument(**vars(summary), outcome=result)
    rows = lambda: map(to_json, rows_of(job.folder))  # noqa: E731
    return Result(_text(summary, str(job.out)), document, result.exit_code, jsonl=rows)


def _text(summary: Summary, out: str) -> str:
    lines = [
        f"{counted(summary.seen, 'file')}: {summary.examined:,} examined, {summary.resumed:,} done before, "
        f"{summary.copied:,} of known content, {summary.failed:,} with an error"
    ]
    if summary.renewed:
        why = ", ".join(summary.because) or "a certificate has ended"
        lines.append(f"  {summary.renewed:>9,}  examined anew: not as they were examined before ({why})")
    lines += [f"  {n:>9,}  {level}" for level, n in sorted(summary.levels.items())]
    lines += [f"  {n:>9,}  {state_text(state)}" for state, n in sorted(summary.states.items())]
    lines += [f"  {n:>9,}  passed over: {said(why, {})}" for why, n in sorted(summary.skipped.items())]
    if summary.accepted:
        lines.append(f"  {summary.accepted:>9,}  findings accepted by the baseline")
    if summary.tripped:
        lines.append(f"  {summary.tripped:>9,}  trip the policy")
    lines.append(f"{out}: {', '.join(summary.files.values())}")
    return "\n".join(lines)


def _following(bar: Bar) -> Callable[[Summary, int | None], None]:
    """Tells a bar how far an audit is: what was done before counts, but not for the speed."""
    bar.begin(None)
    before = Summary()

    def report(summary: Summary, total: int | None) -> None:
        nonlocal before
        fresh = summary.copied + summary.examined - before.copied - before.examined
        bar.total = total
        bar.count(fresh, counted(summary.failed, "error"), summary.resumed - before.resumed)
        before = replace(summary)

    return report
