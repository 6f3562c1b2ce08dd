"""A Report as one flat row, and rows as CSV: what an audit writes, one file at a time, in bounded memory."""

import csv as csvlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from gioconda.report import declared
from gioconda.report.view import origin
from gioconda.report.wording import say, visible
from gioconda_core.reasons import MediaWarning
from gioconda_core.types import Calibrated, CredentialReason, Level, Provenance, ProvenanceState, Report


@dataclass(frozen=True)
class Judged:
    """What one detector said of a file. false_alarm : share of real clips that score as much, low to high with 95 %, of ``n``.

    abstained : why there is no score, with its code and details beside it.
    """

    score: float | None = None
    false_alarm: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    level: Level = Level.NOT_ASSESSED
    abstained: str | None = None
    reason: str | None = None
    detail: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, item: Calibrated) -> "Judged":
        """A reading's part of the row."""
        rate = item.false_alarm, item.low, item.high, item.n, item.level
        why = item.reading.abstained
        reason = (None, None, None) if why is None else (why.text, str(why.code), why.detail)
        return cls(item.reading.score, *rate, *reason)


@dataclass(frozen=True)
class Row:
    """One file of an audit. Schema ``gioconda.row/1``; a table has the fields down to ``seconds`` as columns, and a group a detector.
    The JSON of ``check`` has a row, with its ``outcome`` beside, for each file that could not be opened.

    codes : of the credential, what failed at the top and what our policy has to say. says_ai : whether the credential states AI;
    declared_ai, declared : what the metadata do, None where they were not looked at. mark : whether our invisible mark was read.
    duration : seconds. warnings : what was odd about reading it, frames that are lost among it. error : why it could not be examined, or not wholly. seconds : that it took.
    sentences : what a person reads first; credentials : those of them on the credentials.

    What a resumed audit knows a row by: until (a certificate's end, seconds of the epoch; 0: not kept), sidecar (its sha256), mtime_ns, aside
    (the sidecar's status), config. Of an archive: members (how many have rows of their own), and how many were skipped, and why.
    """

    path: str
    sha256: str | None = None
    size: int | None = None
    level: Level = Level.NOT_ASSESSED
    state: ProvenanceState | None = None
    reason: CredentialReason | None = None
    signer: str | None = None
    trust_list: str | None = None
    codes: tuple[str, ...] = ()
    says_ai: bool = False
    declared_ai: bool | None = None
    declared: str | None = None
    mark: bool = False
    faces: int | None = None
    duration: float | None = None
    width: int | None = None
    height: int | None = None
    codec: str | None = None
    caveats: tuple[str, ...] = ()
    warnings: tuple[MediaWarning, ...] = ()
    error: str | None = None
    seconds: float | None = None
    detectors: Mapping[str, Judged] = field(default_factory=dict)
    sentences: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    until: int | None = None
    sidecar: str | None = None
    mtime_ns: int | None = None
    aside: str | None = None
    config: str | None = None
    members: int | None = None
    skipped: Mapping[str, int] | None = None
    schema: str = "gioconda.row/1"

    @property
    def broken_ingredient(self) -> bool:
        """Whether the file was made from one whose credential did not validate: to be seen however good the state."""
        return "gioconda.ingredient.failure" in self.codes


_NAMES = [item.name for item in fields(Row)]
COLUMNS = tuple(_NAMES[: _NAMES.index("detectors")])
DETECTOR_COLUMNS = tuple(item.name for item in fields(Judged) if item.name != "detail")


def row(report: Report, lang: str = "en", *, path: str | None = None) -> Row:
    """A report's row."""
    facts, origins = report.facts, tuple(say(s, lang) for s in origin(report))
    return Row(
        path=path if path is not None else report.title,
        sha256=report.sha256,
        size=facts.get("size"),
        level=report.verdict.level,
        **credential_columns(report.provenance),
        **declared_columns(facts.get("declared")),
        mark=bool(report.mark),
        faces=len(report.tracks) if "examined" in facts else None,  # None where nobody looked
        duration=facts.get("duration"),
        width=facts.get("width"),
        height=facts.get("height"),
        codec=facts.get("codec"),
        caveats=tuple(s.key.removeprefix("caveat.") for s in report.verdict.caveats),
        warnings=report.warnings,
        detectors={item.reading.detector: Judged.of(item) for item in report.readings},
        sentences=tuple(say(s, lang) for s in report.verdict.sentences) or origins,
        credentials=origins,
        error="; ".join(problem.text for problem in report.errors) or None,
    )


def credential_columns(p: Provenance) -> dict[str, Any]:
    """The fields of a row that are of the credentials."""
    codes = dict.fromkeys(code.code for code in p.codes if code.kind in ("failure", "policy"))
    same = {name: getattr(p, name) for name in ("state", "reason", "signer", "trust_list", "says_ai")}
    return same | {"codes": tuple(codes)}


def declared_columns(found: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    """The fields of a row that are of the file's unsigned marks."""
    if found is None:
        return {}
    marks = [f"{mark['kind']}:{mark['value']}" for mark in found]
    return {"declared_ai": declared.names_ai(found), "declared": "; ".join(marks) or None}


def error_row(path: str, error: str, *, size: int | None = None) -> Row:
    """The row of a file that could not be examined."""
    return Row(path, size=size, error=visible(error))


def columns(detectors: Iterable[str]) -> list[str]:
    """The columns of a table: those of every row, then a group a detector, ``NAME.score`` and so on."""
    return [*COLUMNS, *(f"{name}.{column}" for name in detectors for column in DETECTOR_COLUMNS)]


def flat(item: Row, detectors: Iterable[str]) -> dict[str, Any]:
    """A row with its detectors spread over their columns; lists become text."""
    out = {name: getattr(item, name) for name in COLUMNS}
    out |= {name: " ".join(out[name]) for name in ("caveats", "codes")}
    out["warnings"] = "; ".join(warning.text for warning in item.warnings) or None
    for name in detectors:
        judged = item.detectors.get(name)
        out |= {f"{name}.{column}": getattr(judged, column, None) for column in DETECTOR_COLUMNS}
    return out


def csv_line(values: Iterable[Any]) -> str:
    """One CSV line. A text that a spreadsheet would run as a formula is kept a text by a leading apostrophe."""
    out = io.StringIO()
    csvlib.writer(out, lineterminator="\n").writerow([_cell(v) for v in values])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        value = visible(value, 2000)
        return "'" + value if value[:1] in ("=", "+", "-", "@") else value
    return "" if value is None else value


def csv(items: Iterable[Row]) -> str:
    """A small table at once; an audit writes line by line instead."""
    kept = list(items)
    names = sorted({name for item in kept for name in item.detectors})
    return csv_line(columns(names)) + "".join(csv_line(flat(item, names).values()) for item in kept)
