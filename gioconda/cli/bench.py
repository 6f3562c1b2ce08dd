"""``gioconda bench``: run suites, report figures that stand up, compare detectors, audit labelled sets."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from benchmarks.report.options import METRICS, Figures, Resamples, Scores
from benchmarks.run.options import AuditSet, Measure, suite_file
from gioconda.cli.build import Commands, Rows
from gioconda.cli.common import (
    Bar,
    JsonOption,
    OutputOptions,
    Result,
    deliver,
    incomplete,
    notice,
    progress,
    settings,
    thread_budget,
    typed_command,
)
from gioconda.report.options import names_of
from gioconda_core.errors import ExitCode, UsageError
from gioconda_core.options import Option, argument
from gioconda_core.words import counted

app = Commands("bench", "list")

FINDINGS = ("leak", "shortcut", "tell", "split-tell", "label", "duplicate", "any")


@dataclass(frozen=True)
class SuiteRow:
    """A suite in the box. needs : ``nothing`` or ``an index``."""

    name: str
    version: str
    sha256: str
    title: str
    needs: str


@app.command("list", prints=JsonOption, rows=Rows("gioconda.suites/1", "suites", SuiteRow))
def list_suites() -> Result:
    """List the suites that come with the program: what each measures and what it needs."""
    from benchmarks.run import suite as suites

    rows, lines = [], []
    for s in map(suites.load, suites.built_in()):
        needs = "nothing" if s.data["kind"] == "puppets" else "an index"
        rows.append(SuiteRow(**s.identity, title=s.title, needs=needs))
        rungs = f"{len(s.degradations)} degradations" if len(s.degradations) > 1 else "undegraded"
        typed = "nothing" if needs == "nothing" else "--index"
        lines.append(f"{s.name:<26} {s.version:<6} {s.title} (needs {typed}; {rungs})")
    return Result(lines, rows)


@app.command("run", "puppets --detectors contrast --out runs/puppets", prints=JsonOption)
def run(
    suite: Annotated[str, argument("A suite's name, or a TOML file.", valid=suite_file)],
    detectors: Annotated[
        tuple[str, ...], Option("Names, separated by commas, like cnn,scores:theirs.csv.", short="-d", parse=names_of)
    ],
    out: Annotated[Path, Option("The run's folder; give it again to resume.")],
    job: Measure,
    index: Annotated[
        list[str] | None, Option("A labelled set, [NAME=]FILE.parquet; several times for several.", repeat=True)
    ] = None,
) -> Result:
    """Measure detectors with a suite, one row for each sample; interrupted, it resumes when run again."""
    if not detectors:
        raise UsageError("no detector", where="--detectors", hint="gioconda detect list")
    from benchmarks.run import folds
    from benchmarks.run import suite as suites
    from gioconda_core.datasets.index import Index

    chosen = suites.load(suite)
    indexes = {}
    for item in index or []:
        name, equals, file = item.partition("=")
        path = Path(file if equals else item)
        indexes[name if equals else path.stem] = Index.read(path)
    if chosen.data["kind"] == "puppets" and not indexes:
        from benchmarks.run.puppet_set import Puppets, build

        wanted = Puppets.of(chosen.data).part(job.limit)
        with progress("making the puppets", wanted.clips, "clips") as advance:
            indexes["puppets"] = build(wanted, advance=advance)
    job = replace(job, jobs=job.jobs or thread_budget(), command=typed_command(short=True))
    with Bar(f"measuring {chosen.name}", "readings") as bar:
        done = folds.run_suite(chosen, detectors, out, indexes, job, bar)
    text = (
        f"{counted(done.rows, 'reading')} in {out}: {done.failed} failed, {done.abstained} abstained. "
        f"Next: gioconda bench report {shlex.quote(str(out))} -o html=report.html"
    )
    return Result(text, done, incomplete(done.failed))


@app.command("report", "scores.csv -o html=report.html -o text")
def report(
    job: Scores,
    wanted: Figures,
    results: OutputOptions,
    sign: Annotated[bool, Option("A signed ZIP beside an HTML report.")] = True,
    signer: Annotated[str, Option("Who signs; the development key when not given.")] = "",
) -> None:
    """Report figures with intervals, curves, slices, and what is missing: as text, html, json, csv or latex.

    A table of scores is enough: columns id, label, score, and detector, identity, source, generator, degradation or any
    other column to slice by; CSV of any dialect, or Parquet. A table with a column a detector is read with --score.
    """
    places = results.among(("text", "json", "html", "csv", "latex"), [job.source])
    from benchmarks.report import report as reports

    if signer and not (sign and any(form == "html" and file for form, file in places)):
        raise UsageError("nothing to sign", where="--signer", hint="an HTML report in a file: -o html=report.html")
    if signer:
        from provenance.signing import signers

        signers.from_spec(signer)  # one that was asked for must be there
    document = reports.document(job, wanted)
    run = job.source if job.source.is_dir() else None
    for form, file in places:
        page = Path(file) if file and form == "html" and sign else None
        signed = reports.signed_name(page) if page else ""
        deliver(reports.render(document, form, folder=run, signed=signed), file)
        if page:
            for line in reports.sign_report(page, document, signer=signer, force=results.force):
                notice(line)


@app.command("compare", "scores.csv:ours scores.csv:theirs")
def compare(
    a: Annotated[str, argument("A run's folder, a CSV of scores, or either with :DETECTOR.")],
    others: Annotated[list[str], argument("The other one, or several, each compared with the first.")],
    metrics: Annotated[tuple[str, ...], replace(METRICS, shown="auc;tpr@fpr=0.01")] = ("auc", "tpr@fpr=0.01"),
    resamples: Resamples = 2000,
) -> Result:
    """Compare detectors by paired differences over the clips that both scored, corrected for the number of comparisons.

    Dated runs of one detector that share no clip are compared too, each as a set of its own: does it drift?
    """
    from benchmarks.report import report as reports

    found = reports.comparison(a, others, metrics, resamples=resamples, seed=settings.seed)
    return Result(reports.render_comparison(found, "text"), reports.render_comparison(found, "json"))


@app.command("audit", "index.parquet --fail-on leak,shortcut")
def audit(
    index: Annotated[Path, argument("A labelled set: an index, or a CSV of path and label.")],
    job: AuditSet,
    fail_on: Annotated[
        tuple[str, ...],
        Option("Exit 3 on these findings: leak, shortcut, tell, split-tell, label, duplicate, any.", choices=FINDINGS),
    ] = (),
) -> Result:
    """Check whether a set is fit to measure with: shared people and sources, near-duplicates, traces of encoders, shortcuts."""
    from benchmarks import audit_set as audits
    from gioconda_core.datasets.index import Index

    found = Index.read(index)
    job = replace(job, jobs=job.jobs or thread_budget())
    with progress("looking at clips", len(found) if job.probes else 0, "clips") as advance:
        document = audits.audit(found, job, advance)
    policy = any(f.kind in fail_on or "any" in fail_on for f in document.findings)
    code = ExitCode.POLICY if policy else incomplete(document.unread_count)
    return Result(audits.to_text(document), document, code)
