"""Reads tables of scores in any dialect: the way in for a team that cannot share clips, and for what others publish."""

import fnmatch
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.report.options import Scores
from benchmarks.stats.table import AXES, Problem, ScoreRow, Table
from gioconda_core.datasets.tables import ALIASES, BadCell, Sheet, label_of, number_of, read_sheet
from gioconda_core.errors import UsageError
from gioconda_core.reasons import AbstentionReason

_WORDS = ("abstained", "error", "version", "weights_sha256", "level", "learned")  # columns of words about a score
_NUMBERS = ("seconds", "cost", "false_alarm")
# Columns that `detect score` writes besides: nothing to slice by.
_NOT_SLICES = (
    *("pooling", "reason", "detail", "reals", "calibration", "false_alarm_low", "false_alarm_high"),
    *("protocol", "sha256", "own", "detector", *_WORDS, *_NUMBERS),
)
_UNITS = {"video": "video", "image": "image", "audio": "audio", "frame": "frame", "picture": "image", "clip": "video"}


def read_scores(given: Scores) -> Table:
    """A table of scores → table.

    Columns: ``id``, ``label`` (real/fake or 0/1), ``score``; optional ``detector``, ``identity``, ``source``, ``generator``,
    ``degradation``, ``protocol``, ``abstained``, ``error``, ``seconds``, ``cost``, ``level``, ``false_alarm`` (the rate that was stated
    with the score); ``cue:NAME`` columns of trivial measures; any other column is a slice. Side by side: ``score:NAME`` columns (with
    ``seconds:NAME`` and ``cost:NAME``), or those that ``given.score`` matches, like ``prob_*``: the detector is then called as the star.

    Raises
    ------
    UsageError
        A column is missing, the units are mixed, or a pattern matches nothing.
    """
    return _Reader(read_sheet(given.source), given).table()


class _Reader:
    """One table as it is read, and what was odd about it."""

    def __init__(self, sheet: Sheet, given: Scores) -> None:
        self.sheet, self.given, self.name = sheet, given, given.source.name
        self.wide = _wide(sheet, given.score)
        self.ids = sheet.column(self._key())
        self.keep, self.unit = _of_unit(sheet, given.unit, self.name)
        self.cues = {n[4:].strip(): n for n in sheet.names if n.lower().startswith("cue:")}
        self.slices = self._slices()
        self.strange: Counter[str] = Counter()  # labels that are none
        self.bad: list[BadCell] = []

    def _key(self) -> str:
        """The column of ids; refuses a table that lacks what every table needs."""
        sheet = self.sheet
        key = next((k for k in ("id", "sha256", "path") if sheet.named(k)), None)
        columns = {"id": key, "label": sheet.named("label"), "score": self.wide or sheet.named("score")}
        if missing := [name for name, found in columns.items() if not found]:
            raise UsageError(
                f"column {missing[0]!r} is missing", where=self.name,
                hint=f"it has {', '.join(sheet.names[:12])}; columns of several detectors: --score 'prob_*'",
            )  # fmt: skip
        if not len(sheet):
            raise UsageError("has a header and no rows", where=self.name)
        return str(key)

    def _slices(self) -> dict[str, Sequence[str]]:
        sheet = self.sheet
        taken = {sheet.named(n) for n in (*ALIASES, *AXES, *_NOT_SLICES)} | set(self.cues.values())
        taken |= {column for columns in self.wide.values() for column in columns.values()}
        slices: dict[str, Sequence[str]] = {
            n: sheet.cells[n] for n in sheet.names if n not in taken and n not in sheet.nested
        }
        if self.given.score:  # a published matrix has a column of everything for each detector: only words are slices
            slices = {n: c for n, c in slices.items() if not _numbers(c, sheet.decimal_comma)}
        return slices

    def table(self) -> Table:
        """All rows of the unit; problems of the file first."""
        own = {name: id_ for c in ("path", "own") for name, id_ in zip(self.sheet.column(c), self.ids, strict=True)}
        about = {"source": self.name, "encoding": self.sheet.encoding, "sha256": self.sheet.sha256, "own": own}
        table = Table.of_rows(list(self._rows()), meta=about)
        silent = [n for n, c in table.detectors.items() if self.wide and self.unit and not c.scored.any()]
        loud = (p for p in table.problems if not any(f" {n} " in f" {p.sentence} " for n in silent))
        return replace(
            table,
            detectors={n: c for n, c in table.detectors.items() if n not in silent},
            problems=(*self._problems(silent), *loud),
        )

    def _rows(self) -> Iterator[ScoreRow]:
        sheet, given = self.sheet, self.given
        words, protocols, scored = sheet.column("label"), sheet.column("protocol"), str(sheet.named("score"))
        axes, named = {axis: sheet.column(axis) for axis in AXES}, sheet.column("detector")
        texts = {name: sheet.column(name) for name in _WORDS}
        numbers = {name: column for name in _NUMBERS if (column := sheet.named(name))}
        for i in self.keep:
            if not self.ids[i]:
                continue
            label = label_of(words[i], sheet.decimal_comma)
            if label is None:
                self.strange[words[i]] += 1
            measured = {n: self._number(column, i) for n, column in self.cues.items()}
            base = ScoreRow(
                self.ids[i], -1 if label is None else label, axes["identity"][i], axes["source"][i],
                axes["generator"][i], axes["degradation"][i],
                group={n: column[i] for n, column in self.slices.items()},
                cues={n: v for n, v in measured.items() if v is not None},
                protocol=_protocol(protocols[i], self.unit) or given.protocol or f"{self.unit or 'video'}@given",
                probability=given.probabilities,
            )  # fmt: skip
            for who, columns in self.wide.items():
                beside: dict[str, Any] = {k: self._number(c, i) for k, c in columns.items() if k != "score"}
                yield replace(base, detector=who, **beside, **_score(sheet, columns["score"], i))
            if not self.wide:
                own: dict[str, Any] = {name: column[i] for name, column in texts.items() if column[i]}
                own["learned"] = own.get("learned", "").lower() in ("true", "1")
                own |= {name: self._number(column, i) for name, column in numbers.items()}
                own |= _score(sheet, scored, i, own.get("error"))
                yield replace(base, detector=named[i] or given.source.stem.removesuffix(".csv"), **own)

    def _number(self, column: str, i: int) -> float | None:
        try:
            return number_of(self.sheet.cells[column][i], self.sheet.decimal_comma)
        except ValueError:
            problem = f"{self.sheet.cells[column][i][:40]!r} is no number"
            self.bad.append(BadCell(self.sheet.rows[i], column, problem))
            return None

    def _problems(self, silent: Sequence[str]) -> list[Problem]:
        """What a reader must know of the file. silent : detectors of a matrix without a score of this unit."""
        sheet, found = self.sheet, []
        if sheet.guessed:
            sentence = f"{self.name} is neither UTF-8 nor UTF-16; it was read as {sheet.encoding}"
            found.append(Problem("encoding", sentence))
        unread = [sheet.rows[i] for i in self.keep if not self.ids[i]]
        for kind, sentence, lines in (
            ("ragged", "a line has more or fewer cells than the header", sheet.ragged),
            ("no-id", "a line has no id and cannot be used", unread),
        ):
            if lines:
                found.append(Problem(kind, sentence, len(lines), tuple(f"line {n}" for n in lines[:3])))
        if self.strange:
            sentence = "a label is neither real nor fake, 0 nor 1: treated as unknown"
            found.append(Problem("label-unread", sentence, sum(self.strange.values()), tuple(self.strange)[:3]))
        if self.bad:
            sentence = "a cell of seconds, cost, a stated rate or a cue is no number: taken as not given"
            found.append(Problem("cell-unread", sentence, len(self.bad), tuple(str(b) for b in self.bad[:3])))
        if silent:  # of a matrix of pictures, films and sounds, most detectors read one of them
            sentence = f"no {self.unit} has a score of {', '.join(silent)}: left out"
            found.append(Problem("silent", sentence, len(silent)))
        return found


def _wide(sheet: Sheet, patterns: Sequence[str]) -> dict[str, dict[str, str]]:
    """Detector → its columns (score, and seconds and cost where they are there)."""
    found: dict[str, dict[str, str]] = {}
    for name in sheet.names:
        kind, colon, who = name.partition(":")
        if colon and who.strip() and kind.strip().lower() in ("score", "seconds", "cost"):
            found.setdefault(who.strip(), {})[kind.strip().lower()] = name
    found = {who: columns for who, columns in found.items() if "score" in columns}
    for pattern in patterns:
        matched = [n for n in sheet.names if fnmatch.fnmatchcase(n.lower(), pattern.lower())]
        if not matched:
            raise UsageError(
                f"no column is called {pattern!r}",
                where=Path(sheet.file).name,
                hint=f"it has {', '.join(sheet.names[:12])}",
            )
        before, star, after = pattern.partition("*")
        for n in matched:
            own = n[len(before) : len(n) - len(after)] if star and "*" not in after else n
            found[own or n] = {"score": n}
    return found


def _of_unit(sheet: Sheet, unit: str, name: str) -> tuple[Sequence[int], str]:
    """The rows of one unit, and which it is; empty where the table does not say."""
    if unit and unit not in _UNITS.values():
        raise UsageError(f"{unit!r} is no unit", where="--unit", hint="video, image or audio")
    if sheet.named("unit") is None:
        return range(len(sheet)), unit
    units = [_UNITS.get(w.lower().removesuffix("s"), w.lower()) for w in sheet.column("unit")]
    kinds = Counter(units)
    if not unit and len(kinds) > 1:
        counts = ", ".join(f"{n:,} {k or 'without one'}" for k, n in kinds.most_common(5))
        raise UsageError(f"mixes units ({counts}), which no figure may", where=name, hint="choose one: --unit video")
    unit = unit or (next(iter(kinds)) if set(kinds) <= set(_UNITS.values()) else "")
    keep = [i for i, word in enumerate(units) if word == unit or not unit]
    if not keep:
        raise UsageError(f"has no row of unit {unit}", where=name, hint=f"it has {', '.join(kinds)}")
    return keep, unit


def _protocol(text: str, unit: str) -> str:
    """A row's own protocol, with the unit asked for where it names none: ``32f-even`` → ``video@32f-even``."""
    return text if not text or "@" in text else f"{unit or 'video'}@{text}"


def _score(sheet: Sheet, column: str, i: int, error: str | None = None) -> dict[str, Any]:
    """A cell of scores: a number, an abstention where it is empty, a failure where it is neither. error : the table's own."""
    text = sheet.cells[column][i]
    try:
        return {"score": number_of(text, sheet.decimal_comma)}
    except ValueError:
        why = error or f"score is not a finite number: {text[:40]!r}"
        return {"score": None, "error": why, "reason": str(AbstentionReason.NOT_FINITE)}


def _numbers(column: Sequence[str], decimal_comma: bool) -> bool:
    """Whether most of a column's cells that are not empty are numbers."""
    seen = [c for c in column if c][:200]
    good = 0
    for cell in seen:
        try:
            good += number_of(cell, decimal_comma) is not None
        except ValueError:
            continue
    return bool(seen) and good > 0.9 * len(seen)
