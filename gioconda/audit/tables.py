"""What an audit leaves at its end: Parquet, CSV, SARIF, JUnit and one HTML page, streamed from the journal in order of path."""

import itertools
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gioconda.audit.baseline import Baseline
from gioconda.audit.journal import Journal
from gioconda.audit.summary import Summary
from gioconda.report import as_junit, as_sarif, rows
from gioconda.report.as_html import page, rendered
from gioconda.report.requirements import Policy, Trip, outcome
from gioconda.report.view import state_key
from gioconda.report.wording import label, problem, reason_text, say, visible
from gioconda_core.errors import UsageError
from gioconda_core.files import atomic_path, write_text
from gioconda_core.types import Level, Sentence

if TYPE_CHECKING:
    import pyarrow

GROUP = 5_000  # rows of a Parquet row group, and held in memory at once
NAMES = {"parquet": "readings.parquet", "html": "index.html", "junit": "readings.junit.xml"}
LISTED = 200  # rows of the HTML page
NOT_READ = "not-read"


@dataclass(frozen=True)
class Job:
    """What the tables of an audit are made from. detectors : those that rows speak of; configuration : what rows depend on (``configurations.json``)."""

    journal: Journal
    out: Path
    summary: Summary
    lang: str = "en"
    detectors: Sequence[str] = ()
    policy: Policy = field(default_factory=Policy)
    baseline: Baseline = field(default_factory=Baseline)
    shard: tuple[int, int] = (1, 1)
    configuration: Mapping[str, Any] = field(default_factory=dict)


def write(job: Job, formats: Sequence[str]) -> dict[str, str]:
    """Write the tables asked for; returns format → file names. Each is whole or not there."""
    made = {"jsonl": job.journal.path.name}
    for name in formats:
        file = job.out / NAMES.get(name, f"readings.{name}")
        made[name] = ", ".join(_WRITERS[name](job, file) or [file.name])
    return made


def table(folder: str | os.PathLike[str]) -> "pyarrow.Table":
    """The rows of a finished audit, one a file, with a group of columns a detector; ``.to_pandas()`` makes a DataFrame of it.

    Raises
    ------
    UsageError
        The folder holds no table: the audit was interrupted, or wrote other formats.
    """
    import pyarrow.parquet

    file = Path(folder) / NAMES["parquet"]
    if not file.is_file():
        raise UsageError(
            "no table of an audit", where=str(file), hint="run the audit to its end, with the format parquet"
        )
    return pyarrow.parquet.read_table(file)


def prepare(formats: Sequence[str]) -> None:
    """Import what ``write`` will need: slow, and so done beside the workers' work."""
    if "parquet" in formats:
        import pyarrow.parquet  # noqa: F401
    if "html" in formats:
        import jinja2  # noqa: F401


def _csv(job: Job, file: Path) -> None:
    with atomic_path(file) as path, open(path, "w", encoding="utf-8", newline="") as out:
        out.write(rows.csv_line(rows.columns(job.detectors)))
        for row in job.journal.rows():
            out.write(rows.csv_line(rows.flat(row, job.detectors).values()))


def _sarif(job: Job, file: Path) -> list[str]:
    """Findings only; a million notes would help nobody."""
    summary = job.summary
    code = outcome(summary.tripped_first, summary.failed > summary.accepted_errors).exit_code
    run = as_sarif.Run(job.shard, code, job.configuration, job.baseline.accepts)
    return as_sarif.write(job.journal.rows(), file, job.lang, run)


def _junit(job: Job, file: Path) -> None:
    def case(row: rows.Row) -> as_junit.Case:
        reasons = [job.baseline.accepts(row, rule) for rule in findings(job.policy, row)]
        accepted = "; ".join(dict.fromkeys(filter(None, reasons))) if reasons and all(reasons) else None
        return as_junit.Case(row, [str(trip) for trip in tripped(job.policy, job.baseline, row)], accepted)

    properties = {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in job.configuration.items()
    }
    as_junit.write(map(case, job.journal.rows()), file, properties)


def findings(policy: Policy, row: rows.Row) -> list[str]:
    """The rules that a row breaks, and those of the policy that it trips: what a baseline may accept."""
    return list(dict.fromkeys((*as_sarif.faults(row), *(trip.rule for trip in _trips(policy, row)))))


def tripped(policy: Policy, baseline: Baseline, row: rows.Row) -> list[Trip]:
    """How a row trips the policy, less what is accepted."""
    return [trip for trip in _trips(policy, row) if baseline.accepts(row, trip.rule) is None]


def _trips(policy: Policy, row: rows.Row) -> list[Trip]:
    """How a row trips the policy; an archive does not, since its members are judged."""
    return [] if row.members is not None else policy.tripped(row)


def _parquet(job: Job, file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"size": pa.int64(), **dict.fromkeys(("faces", "width", "height"), pa.int32())}
    kinds |= dict.fromkeys(("duration", "seconds"), pa.float64())
    kinds |= dict.fromkeys(("says_ai", "declared_ai", "mark"), pa.bool_())
    numbers = {"score", "false_alarm", "low", "high"}

    def kind(name: str) -> Any:
        if name in kinds:
            return kinds[name]
        column = name.rpartition(".")[2] if "." in name else ""
        return pa.float64() if column in numbers else pa.int64() if column == "n" else pa.string()

    about = {"gioconda": json.dumps(job.configuration, ensure_ascii=False)}
    schema = pa.schema([(name, kind(name)) for name in rows.columns(job.detectors)], metadata=about)
    with atomic_path(file) as path, pq.ParquetWriter(path, schema, compression="zstd") as out:
        flat = (rows.flat(row, job.detectors) for row in job.journal.rows())
        while group := list(itertools.islice(flat, GROUP)):
            out.write_table(pa.Table.from_pylist(group, schema=schema))


def state_of(row: rows.Row) -> str:
    """What is told of a row's credentials, by what decided their state and not by the state alone: what has expired is not altered, nor
    unreadable what was not looked for. ``not-read`` where nothing was asked of a file."""
    if not row.state:
        return NOT_READ
    return state_key(row.state, row.reason, "gioconda.signer.development" in row.codes).removeprefix("state.")


def state_text(state: str, lang: str = "en") -> str:
    """What :func:`state_of` gives, as a heading."""
    return label("no-state", lang) if state == NOT_READ else say(Sentence(f"state.{state}"), lang)


def _html(job: Job, file: Path) -> None:
    lang = job.lang

    def text(kind: str, key: str) -> str:
        try:
            return say(Sentence(f"{kind}.{key}"), lang)
        except KeyError:
            return visible(key)

    listed = [row for row in job.journal.rows(order="attention", limit=LISTED) if as_sarif.faults(row)]
    summary = job.summary
    runs = [job.configuration, *(part for part in job.configuration.values() if isinstance(part, Mapping))]
    read = "no-detector-run" if any(part.get("declared") for part in runs) else "credentials-only"
    body = rendered(
        "audit.html.jinja",
        lang,
        summary=summary,
        rows=listed,
        levels=[(level, text("level", level), summary.levels.get(level, 0)) for level in reversed(list(Level))],
        states=[(state_text(state, lang), n) for state, n in Counter(summary.states).most_common()],
        judges=job.detectors,
        unjudged="nothing-assessed" if any(part.get("detectors") for part in runs) else read,
        level_text=lambda level: text("level", level),
        state_text=lambda row: state_text(state_of(row), lang) if row.state else "–",
        say=lambda words: visible(problem(words, lang)),
        skipped=[
            (label("passed-over", lang, why=reason_text({"code": why, "detail": {}}, lang)), n)
            for why, n in sorted(summary.skipped.items())
        ],
        total=summary.seen,
    )
    write_text(file, page(label("audit", lang), body, lang))


_WRITERS: dict[str, Callable[[Job, Path], list[str] | None]] = {
    "csv": _csv, "sarif": _sarif, "junit": _junit, "parquet": _parquet, "html": _html,
}  # fmt: skip
