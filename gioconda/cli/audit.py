"""``gioconda audit``: a tree of media, resumable, with an exit code for CI."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gioconda.cli.check import Detectors, FailOn, Lang, OwnKey, Require, TrustOption, names_of
from gioconda.cli.common import JsonFlag, Output, emit, notice, parse_outputs, settings
from gioconda_core.workers.cpu import cores

if TYPE_CHECKING:
    from gioconda.audit import Summary

TABLES = ("parquet", "csv", "sarif", "html")
SHOWN = 20  # of those that trip the policy, named on stderr


def audit(
    paths: Annotated[list[str] | None, typer.Argument(metavar="PATH…", help="Folders and files.")] = None,
    from_file: Annotated[
        str | None, typer.Option("--from-file", help="Also the paths listed in a file, or - for stdin; by line or NUL.")
    ] = None,
    out: Annotated[str, typer.Option(help="Where rows and tables go; run again to resume.")] = "gioconda-audit",
    detectors: Detectors = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Worker processes; default one a core.")
    ] = None,
    engine: Annotated[str, typer.Option(help="local or ray.")] = "local",
    shard: Annotated[str, typer.Option(metavar="I/N", help="Only the I-th of N parts of the paths.")] = "1/1",
    every: Annotated[bool, typer.Option("--all", help="Every file, whatever its suffix.")] = False,
    fail_on: FailOn = None,
    require: Require = None,
    trust: TrustOption = None,
    trust_development: OwnKey = False,
    lang: Lang = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds one file may take.")] = 900.0,
    sampling: Annotated[
        str | None, typer.Option(help="Frames the detectors see, such as even:32; what they ask for by default.")
    ] = None,
    output: Output = None,
    json: JsonFlag = False,
) -> int:
    """Examine every clip and picture under the paths; one row a file, tables and one page at the end.

    Resumable: run the same command again. --detectors none reads credentials only, near the speed of the disk.
    The tables are readings.jsonl, .parquet, .csv, .sarif and index.html in --out; -o says what goes to stdout.

    Example: gioconda audit media/ --out audit --fail-on strong-signal --jobs 8
    """
    import dataclasses
    import json as json_module
    import os

    from gioconda.audit import Audit
    from gioconda.audit.walk import read_list
    from gioconda.report.requirements import Policy, outcome
    from gioconda.report.wording import language
    from gioconda_core.errors import UsageError

    wanted = parse_outputs(output, json, ("text", "json", "jsonl"))
    if any(file not in (None, "-") for _, file in wanted):
        raise UsageError("files are written to --out", where="-o", hint="-o text, -o json or -o jsonl, without a file")
    roots = list(paths or ())
    if from_file:
        roots += read_list(from_file)
    if not roots:
        raise UsageError("nothing to audit", hint="give folders or files, or --from-file -")
    for root in paths or ():
        if not os.path.lexists(root):
            raise UsageError("no such file or folder", where=root)
    i, _, n = shard.partition("/")
    if not (i.isdigit() and n.isdigit()):
        raise UsageError(f"no shard {shard!r}", where="--shard", hint="i/n, such as 1/4")
    meter = _Meter()
    job = Audit(
        roots,
        out,
        detectors=names_of(detectors),
        trust=tuple(trust or ()),
        development=trust_development,
        lang=language(lang),
        sampling=sampling,
        timeout=timeout,
        jobs=jobs or cores(),
        engine=engine,
        shard=(int(i), int(n)),
        every=every,
        policy=Policy(fail_on, tuple(require or ())),
        formats=TABLES,
        report=None if settings.quiet else meter,
    )
    summary = job.run()
    meter.end()
    result = outcome(summary.tripped_first, summary.failed > 0)
    for line in summary.tripped_first[:SHOWN]:
        notice(f"policy: {line}")
    if summary.tripped > SHOWN:
        notice(f"policy: and {summary.tripped - SHOWN} more")
    for format, _ in wanted:
        if format == "json":
            emit(json_module.dumps(dataclasses.asdict(summary) | {"outcome": result}, indent=1))
        elif format == "jsonl":
            _rows(out, job.shard)
        else:
            emit(_text(summary, out))
    return int(result["exit_code"])


def _rows(out: str, shard: tuple[int, int]) -> None:
    from json import dumps
    from pathlib import Path

    from gioconda.audit.journal import rows_of

    for row in rows_of(Path(out) / f"shard-{shard[0]}-of-{shard[1]}" if shard[1] > 1 else Path(out)):
        emit(dumps(row, ensure_ascii=True))


def _text(summary: Summary, out: str) -> str:
    lines = [
        f"{summary.seen:,} files: {summary.examined:,} examined, {summary.resumed:,} done before, "
        f"{summary.copied:,} of known content, {summary.failed:,} with an error",
    ]
    if summary.renewed:
        why = ", ".join(summary.because) or "a certificate has ended"
        lines.append(f"  {summary.renewed:>9,}  examined anew: not as they were examined before ({why})")
    lines += [f"  {n:>9,}  {level}" for level, n in sorted(summary.levels.items())]
    lines += [f"  {n:>9,}  credentials {state}" for state, n in sorted(summary.states.items())]
    lines += [f"  {n:>9,}  passed over: {why}" for why, n in sorted(summary.skipped.items())]
    if summary.tripped:
        lines.append(f"  {summary.tripped:>9,}  trip the policy")
    lines.append(f"{out}: {', '.join(summary.files.values())}")
    return "\n".join(lines)


class _Meter:
    """Rate, time left and counts on stderr: one line rewritten on a terminal, one line every ten seconds elsewhere."""

    def __init__(self) -> None:
        import sys

        self.start, self.last, self.terminal, self.used = time.monotonic(), 0.0, sys.stderr.isatty(), False

    def __call__(self, summary: Any, total: int | None) -> None:
        import sys

        now = time.monotonic()
        if not self.terminal and now - self.last < 10:
            return
        self.last = now
        fresh = summary.copied + summary.examined
        done = summary.resumed + fresh
        rate = fresh / max(now - self.start, 1e-9)
        of = f"/{total:,}" if total else ""
        # The first few came while workers were still being made ready: nothing can be told from them.
        known = fresh >= 5
        left = f", {_span((total - done) / rate)} left" if total and known else ""
        speed = (f", {rate:.1f}/s" if rate >= 1 else f", {60 * rate:.1f}/min") if known else ""
        line = f"audit: {done:,}{of} files{speed}{left}, {summary.failed:,} errors"
        if self.terminal:
            self.used = True
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
        else:
            print(line, file=sys.stderr, flush=True)

    def end(self) -> None:
        if self.used:
            import sys

            sys.stderr.write("\n")


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
