"""``gioconda bench``: run suites, report figures that stand up, compare detectors, audit labelled sets."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from gioconda.cli.common import Force, JsonFlag, Output, deliver, emit, notice, parse_outputs, progress, settings

__all__ = ["app"]

app = typer.Typer(
    help="Benchmarks: run suites, report, compare, audit labelled sets.",
    epilog="Example: gioconda bench list",
    no_args_is_help=True,
)

Resamples = Annotated[int, typer.Option("--resamples", min=100, help="Bootstrap resamples.")]
Metrics = Annotated[str, typer.Option("--metrics", help="Figures by name, separated by semicolons.")]


def _split(text: str, at: str) -> list[str]:
    return [item.strip() for item in text.split(at) if item.strip()]


def _shard(text: str) -> tuple[int, int]:
    from gioconda_core.errors import UsageError

    try:
        i, n = (int(part) for part in text.split("/"))
    except ValueError:
        i, n = 0, 0
    if not 1 <= i <= n:
        raise UsageError(f"{text!r} is not a shard", where="--shard", hint="like 2/8: the second of eight")
    return i, n


@app.command("list")
def list_suites(json: JsonFlag = False) -> None:
    """The suites in the box: what each measures and what it needs.

    Example: gioconda bench list
    """
    import json as jsons

    from benchmarks.run import suite as suites

    found = [suites.load(name) for name in suites.built_in()]
    if json:
        rows = [
            {**s.identity, "title": s.title, "needs": "nothing" if s.data["kind"] == "puppets" else "an index"}
            for s in found
        ]
        emit(jsons.dumps(rows, indent=1, ensure_ascii=False))
        return
    for s in found:
        needs = "needs nothing" if s.data["kind"] == "puppets" else "needs --index"
        rungs = f"{len(s.degradations)} degradations" if len(s.degradations) > 1 else "undegraded"
        emit(f"{s.name:<26} {s.version:<6} {s.title} ({needs}; {rungs})")


@app.command()
def run(
    suite: Annotated[str, typer.Argument(help="A suite's name, or a TOML file.")],
    detectors: Annotated[
        str, typer.Option("--detectors", "-d", help="Names, separated by commas, like cnn,scores:theirs.csv.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The run's folder; give it again to resume.")],
    index: Annotated[
        list[str] | None,
        typer.Option("--index", help="A labelled set, [NAME=]FILE.parquet; several times for several."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=0, help="Worker processes; 0 = as many as cores are free.")] = 0,
    engine: Annotated[str, typer.Option("--engine", help="local or ray.")] = "local",
    shard: Annotated[str, typer.Option("--shard", metavar="I/N", help="This machine's part of the samples.")] = "1/1",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Only so many samples; not comparable then.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0.1, help="Seconds a detector may take for one clip.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Measure rows that failed once more.")] = False,
    json: JsonFlag = False,
    force: Force = False,
) -> None:
    """Measure detectors with a suite, one row a sample, appended; survives interruption and resumes.

    Example: gioconda bench run puppets --detectors spectrum,residual --out runs/puppets
    """
    import json as jsons
    import shlex
    import sys

    from benchmarks.run import folds
    from benchmarks.run import suite as suites
    from gioconda.cli.common import thread_budget
    from gioconda_core.datasets.index import Index
    from gioconda_core.errors import ExitCode, UsageError

    part = _shard(shard)
    if not _split(detectors, ","):
        raise UsageError("no detector", where="--detectors", hint="gioconda detect list")
    chosen = suites.load(suite)
    indexes = {}
    for item in index or []:
        name, equals, file = item.partition("=")
        path = Path(file if equals else item)
        indexes[name if equals else path.stem] = Index.read(path)
    if chosen.data["kind"] == "puppets" and not indexes:
        from benchmarks.run import puppet_set

        with progress("making the puppets", puppet_set.size(chosen.data), "clips") as advance:
            indexes["puppets"] = puppet_set.build(chosen.data, advance=advance)
    command = "gioconda " + shlex.join(Path(a).name if Path(a).is_absolute() else a for a in sys.argv[1:])
    with contextlib.ExitStack() as stack:
        bars = []

        def started(total: int, done: int) -> None:
            stack.close()  # the bar of the fold before
            bars.append(stack.enter_context(progress(f"measuring {chosen.name}", total - done, "readings")))

        done = folds.run_suite(
            chosen,
            _split(detectors, ","),
            out,
            indexes,
            jobs=jobs or thread_budget(),
            engine_name=engine,
            shard=part,
            limit=limit,
            timeout=timeout,
            command=command,
            force=force,
            retry=retry,
            started=started,
            advance=lambda n: bars[-1](n),
        )
    told = {"folder": str(out), "rows": done.rows, "failed": done.failed, "abstained": done.abstained}
    if json:
        emit(jsons.dumps({"schema": "gioconda.run-outcome/1", **told}, indent=1))
    else:
        emit(
            f"{done.rows} readings in {out}: {done.failed} failed, {done.abstained} abstained. "
            f"Next: gioconda bench report {shlex.quote(str(out))} -o html=report.html"
        )
    if done.failed:
        raise typer.Exit(ExitCode.INCOMPLETE)


@app.command()
def report(
    source: Annotated[
        Path, typer.Argument(metavar="RUN|SCORES.csv", help="A run's folder, or a CSV of id, label, score.")
    ],
    output: Output = None,
    json: JsonFlag = False,
    metrics: Metrics = "",
    prevalence: Annotated[
        float | None,
        typer.Option("--prevalence", min=0, max=1, help="Share of fakes where you work; for PPV and cost."),
    ] = None,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Scores are probabilities, not raw.")] = False,
    protocol: Annotated[
        str, typer.Option("--protocol", help="What a CSV's scores stand for, like video@32f-even.")
    ] = "",
    title: Annotated[str, typer.Option("--title", help="The report's title.")] = "",
    resamples: Resamples = 2000,
    sign: Annotated[bool, typer.Option("--sign/--no-sign", help="A signed ZIP beside an HTML report.")] = True,
    signer: Annotated[str, typer.Option("--signer", help="Who signs; the development key when not given.")] = "",
    force: Force = False,
) -> None:
    """Figures with intervals, curves, slices, what is missing: text, html, json, csv or latex.

    A CSV of scores is enough: columns id, label, score, and detector, identity, source, generator, degradation or any
    other column to slice by.

    Example: gioconda bench report scores.csv -o html=report.html -o text
    """
    from benchmarks.report import report as reports
    from gioconda_core.errors import UsageError

    wanted = parse_outputs(output, json, ("text", "json", "html", "csv", "latex"), force)
    if signer and not (sign and any(form == "html" and file for form, file in wanted)):
        raise UsageError("nothing to sign", where="--signer", hint="an HTML report in a file: -o html=report.html")
    if signer:
        from provenance.signing import signers

        signers.from_spec(signer)  # one that was asked for must be there
    document = reports.document(
        source,
        metrics=_split(metrics, ";"),
        prevalence=prevalence,
        probabilities=probabilities,
        protocol=protocol,
        title=title,
        resamples=resamples,
        seed=settings.seed,
    )
    for form, file in wanted:
        beside = form == "html" and file and sign
        signed = reports.signed_name(Path(file)) if beside and file else ""
        deliver(reports.render(document, form, folder=source if source.is_dir() else None, signed=signed), file)
        if beside and file:
            for line in reports.sign_report(Path(file), document, signer=signer, force=force):
                notice(line)


@app.command()
def compare(
    a: Annotated[str, typer.Argument(help="A run's folder, a CSV of scores, or either with :DETECTOR.")],
    b: Annotated[str, typer.Argument(help="The other one.")],
    metrics: Metrics = "auc;tpr@fpr=0.01",
    resamples: Resamples = 2000,
    output: Output = None,
    json: JsonFlag = False,
    force: Force = False,
) -> None:
    """Paired differences between detectors over the clips both scored, corrected for how many were asked.

    Example: gioconda bench compare scores.csv:ours scores.csv:theirs
    """
    from benchmarks.report import report as reports

    wanted = parse_outputs(output, json, ("text", "json"), force)
    found = reports.comparison(a, b, _split(metrics, ";"), resamples=resamples, seed=settings.seed)
    for form, file in wanted:
        deliver(reports.render_comparison(found, form), file)


@app.command()
def audit(
    index: Annotated[Path, typer.Argument(help="A labelled set: an index, or a CSV of path and label.")],
    output: Output = None,
    json: JsonFlag = False,
    near: Annotated[int, typer.Option("--near", min=0, max=16, help="Bits of 64 near-duplicates may differ in.")] = 3,
    probes: Annotated[
        bool, typer.Option("--probes/--no-probes", help="Decode clips, for probes and near-duplicates.")
    ] = True,
    jobs: Annotated[int, typer.Option("--jobs", min=0, help="Worker processes; 0 = as many as cores are free.")] = 0,
    fail_on: Annotated[
        str,
        typer.Option(
            "--fail-on", help="Exit 3 on these findings: leak, shortcut, tell, split-tell, label, duplicate, any."
        ),
    ] = "",
    force: Force = False,
) -> None:
    """Is a set fit to measure with: shared people and sources, near-duplicates, encoder tells, shortcut probes.

    Example: gioconda bench audit index.parquet --fail-on leak,shortcut
    """
    import json as jsons

    from benchmarks import audit_set as audits
    from gioconda.cli.common import thread_budget
    from gioconda_core.datasets.index import Index
    from gioconda_core.errors import ExitCode, UsageError

    wanted = parse_outputs(output, json, ("text", "json"), force)
    kinds = set(_split(fail_on, ","))
    known = ("leak", "shortcut", "tell", "split-tell", "label", "duplicate", "any")
    if unknown := kinds.difference(known):
        raise UsageError(f"no finding is called {min(unknown)!r}", where="--fail-on", hint=f"one of {', '.join(known)}")
    found = Index.read(index)
    with progress("looking at clips", len(found) if probes else 0, "clips") as advance:
        document = audits.audit(
            found, near=near, jobs=jobs or thread_budget(), look_at_clips=probes, seed=settings.seed, advance=advance
        )
    for form, file in wanted:
        text = audits.to_text(document) if form == "text" else jsons.dumps(document, indent=1, ensure_ascii=False)
        deliver(text, file)
    if any(f["kind"] in kinds or "any" in kinds for f in document["findings"]):
        raise typer.Exit(ExitCode.POLICY)
    if document["unread_count"]:
        raise typer.Exit(ExitCode.INCOMPLETE)
