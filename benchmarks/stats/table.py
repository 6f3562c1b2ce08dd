"""The table every figure is computed from: samples × detectors, with what is missing and why; and scores in from tables of any dialect.

One row is one sample under one degradation, keyed by the sample's own id, never by a folder name (two manipulations of one
video in folders of the same name are two samples). Nothing is dropped: a row without a score has a status and a reason.
"""

from __future__ import annotations

import fnmatch
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core.datasets.tables import ALIASES, BadCell, Sheet, label_of, number_of, read_sheet
from gioconda_core.errors import UsageError
from gioconda_core.reasons import AbstentionReason

__all__ = ["CLEAN", "Column", "Problem", "Table", "read_scores"]

CLEAN = "none"  # the degradation that is none
STATUSES = ("scored", "abstained", "failed", "missing")
AXES = ("identity", "source", "generator", "degradation")


@dataclass(frozen=True)
class Problem:
    """Something about the input a reader must know. count : rows it concerns; examples : up to three ids."""

    kind: str
    sentence: str
    count: int = 1
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Column:
    """One detector's answers, a row for each sample.

    scores : (N,) float64, NaN where there is none; status : (N,) one of ``STATUSES``; reasons : (N,) why there is no score.
    probability : scores are probabilities of being fake as given, not raw scores. seconds, cost : (N,) what each row took, in
    whatever currency; NaN where not said. stated : (N,) the share of real clips that its card says score at least as much; NaN where
    it does not say.
    """

    scores: NDArray[np.float64]
    status: NDArray[np.str_]
    reasons: NDArray[np.object_]
    version: str = ""
    weights_sha256: str | None = None
    protocol: str = "video@given"
    probability: bool = False
    levels: NDArray[np.str_] | None = None
    seconds: NDArray[np.float64] | None = None
    cost: NDArray[np.float64] | None = None
    stated: NDArray[np.float64] | None = None

    @cached_property
    def scored(self) -> NDArray[np.bool_]:
        return np.asarray(self.status == "scored")


@dataclass(frozen=True, eq=False)
class Table:
    """Samples × detectors.

    ids : (N,) sample ids; labels : (N,) int8, 1 fake, 0 real, −1 unknown; columns : name → (N,) strings, always with
    identity, source, generator and degradation, then whatever slices the index or CSV has; cues : name → (N,) float64, trivial
    measures of the clips (sharpness, length…), NaN where not measured.
    """

    ids: NDArray[np.str_]
    labels: NDArray[np.int8]
    columns: Mapping[str, NDArray[np.str_]]
    detectors: Mapping[str, Column]
    problems: tuple[Problem, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    cues: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        return np.asarray(self.labels >= 0)

    @property
    def slices(self) -> list[str]:
        """Columns to slice by: more than one value, and not an id in disguise."""
        wanted = []
        for name, values in self.columns.items():
            if name in ("identity", "source", "generator", "degradation"):
                continue
            distinct = len(np.unique(values))
            if 1 < distinct <= 20:
                wanted.append(name)
        return wanted

    @classmethod
    def of_rows(
        cls,
        rows: Iterable[Mapping[str, Any]],
        *,
        problems: Sequence[Problem] = (),
        meta: Mapping[str, Any] | None = None,
    ) -> Table:
        """Long rows → table. A row: id, label, detector, and score or abstained or error; axes and groups as strings.

        The same (id, degradation, detector) twice is counted: once if the scores agree, a failure if they do not.
        Labels that disagree make the sample unlabelled.
        """
        found = list(problems)
        keys: dict[tuple[str, str], int] = {}
        labels: list[int] = []
        columns: dict[str, list[str]] = defaultdict(list)
        cells: dict[str, dict[int, _Cell]] = defaultdict(dict)
        info: dict[str, dict[str, Any]] = {}
        trouble: dict[str, list[str]] = defaultdict(list)
        protocols: dict[str, set[str]] = defaultdict(set)
        cues: dict[str, dict[int, float]] = defaultdict(dict)
        names: list[str] = list(AXES)
        for row in rows:
            key = (str(row["id"]), str(row.get("degradation") or CLEAN))
            groups = {
                **{a: str(row.get(a) or "") for a in AXES},
                **{k: str(v) for k, v in (row.get("group") or {}).items()},
            }
            groups["degradation"] = key[1]
            at = keys.get(key)
            label = int(row.get("label", -1))
            if at is None:
                at = keys[key] = len(keys)
                labels.append(label)
                for name in groups:
                    if name not in names:
                        names.append(name)
                for name in names:
                    column = columns[name]
                    column += [""] * (at - len(column)) + [groups.get(name, "")]
            elif labels[at] != label:
                trouble["label-conflict"].append(key[0])
                labels[at] = -1
            for cue, measured in (row.get("cues") or {}).items():
                cues[cue][at] = float(measured)
            detector = str(row.get("detector") or "")
            if not detector:
                continue
            cell = _cell(row)
            earlier = cells[detector].get(at)
            if earlier is not None:
                same = earlier.status == cell.status and (
                    earlier.score == cell.score or (math.isnan(earlier.score) and math.isnan(cell.score))
                )
                trouble["duplicate" if same else "duplicate-conflict"].append(key[0])
                if not same:
                    cell = _Cell(status="failed", reason="the same id came with different scores")
            cells[detector][at] = cell
            if cell.not_finite:
                trouble["nan"].append(key[0])
            if row.get("protocol") and cell.status == "scored":
                protocols[detector].add(str(row["protocol"]))
            info.setdefault(
                detector,
                {k: row.get(k) for k in ("version", "weights_sha256", "protocol", "probability")},
            )
        n = len(keys)
        if not n:
            raise UsageError("no samples", hint="an index or a CSV with at least one row is needed")
        for name in names:
            columns[name] += [""] * (n - len(columns[name]))
        unknown = [k[0] for k, i in keys.items() if labels[i] < 0]
        if unknown:
            trouble["unlabelled"] += unknown
        found += [Problem(kind, _SENTENCES[kind], len(ids), tuple(ids[:3])) for kind, ids in trouble.items()]
        built = {}
        for detector in cells:
            if len(protocols[detector]) > 1:
                info[detector]["protocol"] = merged = _merged(protocols[detector])
                if merged.endswith("@mixed"):
                    told = f"scores of {detector} come from different protocols: {', '.join(sorted(protocols[detector])[:4])}"
                    found.append(Problem("mixed-protocol", told))
            elif protocols[detector]:
                info[detector]["protocol"] = next(iter(protocols[detector]))
            built[detector] = _column(cells[detector], n, info[detector])
            missing = int((built[detector].status == "missing").sum())
            if missing:
                found.append(
                    Problem(
                        "missing", f"{detector} has no row for some samples: they count against its coverage", missing
                    )
                )
            scores = built[detector].scores[built[detector].scored]
            if len(scores) > 1 and np.ptp(scores) == 0:
                found.append(
                    Problem("constant", f"every score of {detector} is the same number: it ranks nothing", len(scores))
                )
        return cls(
            np.array([k[0] for k in keys]),
            np.array(labels, dtype=np.int8),
            {name: np.array(values) for name, values in columns.items()},
            built,
            tuple(found),
            dict(meta or {}),
            {name: np.array([cue.get(i, math.nan) for i in range(n)]) for name, cue in cues.items()},
        )

    def take(self, rows: NDArray[Any]) -> Table:
        """The same table over some rows (mask or indices)."""

        def cut(array: Any) -> Any:
            return None if array is None else array[rows]

        return replace(
            self,
            ids=self.ids[rows],
            labels=self.labels[rows],
            columns={k: v[rows] for k, v in self.columns.items()},
            detectors={k: replace(c, **{f: cut(getattr(c, f)) for f in _BY_ROW}) for k, c in self.detectors.items()},
            cues={k: v[rows] for k, v in self.cues.items()},
        )


_MEASURED = ("seconds", "cost", "stated")  # numbers that may stand beside a score
_BY_ROW = ("scores", "status", "reasons", "levels", *_MEASURED)
_SENTENCES = {
    "label-conflict": "the same id came with different labels: the sample is left out of every figure",
    "duplicate": "the same row came twice: counted once",
    "duplicate-conflict": "the same id came with different scores from one detector: counted as a failure of that row",
    "nan": "a score is not a finite number: counted as a failure, not as a low score",
    "unlabelled": "no label: the sample is left out of every figure",
}


def _merged(protocols: set[str]) -> str:
    """One name for several: ``video@8f-at`` and ``video@32f-at`` → ``video@8-32f-at``; ``mixed`` where they differ in kind."""
    found = [re.fullmatch(r"(\w+@)(\d+)(f-.*)", name) for name in protocols]
    kinds = {(m[1], m[3]) for m in found if m}
    if all(found) and len(kinds) == 1:
        counts = sorted(int(m[2]) for m in found if m)
        start, end = kinds.pop()
        return f"{start}{counts[0]}-{counts[-1]}{end}"
    return f"{sorted(protocols)[0].split('@')[0]}@mixed"


@dataclass(frozen=True)
class _Cell:
    """What one detector says of one row."""

    score: float = math.nan
    status: str = "scored"
    reason: str = ""
    level: str = ""
    seconds: float = math.nan
    cost: float = math.nan
    stated: float = math.nan
    not_finite: bool = False


def _cell(row: Mapping[str, Any]) -> _Cell:
    more: dict[str, Any] = {"level": str(row.get("level") or "")}
    more |= {k: math.nan if row.get(k) is None else float(row[k]) for k in ("seconds", "cost")}
    more["stated"] = math.nan if row.get("false_alarm") is None else float(row["false_alarm"])
    if row.get("error"):
        not_finite = row.get("reason") == AbstentionReason.NOT_FINITE
        return _Cell(status="failed", reason=str(row["error"]), not_finite=not_finite, **more)
    score = row.get("score")
    if score is None:
        return _Cell(status="abstained", reason=str(row.get("abstained") or "no score given"), **more)
    if not math.isfinite(float(score)):
        return _Cell(status="failed", reason=f"score is not a finite number: {score}", not_finite=True, **more)
    return _Cell(float(score), **more)


def _column(cells: Mapping[int, _Cell], n: int, info: Mapping[str, Any]) -> Column:
    scores = np.full(n, np.nan)
    status, levels = np.full(n, "missing", dtype="<U9"), np.full(n, "", dtype="<U16")
    reasons: NDArray[np.object_] = np.full(n, "", dtype=object)
    measured = {name: np.full(n, np.nan) for name in _MEASURED}
    for at, cell in cells.items():
        scores[at], status[at], reasons[at], levels[at] = cell.score, cell.status, cell.reason, cell.level
        for name, values in measured.items():
            values[at] = getattr(cell, name)
    return Column(
        scores,
        status,
        reasons,
        str(info.get("version") or ""),
        info.get("weights_sha256"),
        str(info.get("protocol") or "video@given"),
        bool(info.get("probability")),
        levels if (levels != "").any() else None,
        **{name: values if np.isfinite(values).any() else None for name, values in measured.items()},
    )


# --------------------------------------------------------------------------- scores only

_ROW = ("detector", "abstained", "error", "seconds", "cost", "version", "weights_sha256", "level", "false_alarm")
# Columns that `detect score` writes besides: nothing to slice by.
_NOT_SLICES = {
    "pooling",
    "reason",
    "detail",
    "reals",
    "calibration",
    "false_alarm_low",
    "false_alarm_high",
    "protocol",
    "sha256",
}
_UNITS = {"video": "video", "image": "image", "audio": "audio", "frame": "frame", "picture": "image", "clip": "video"}


def read_scores(
    path: str | Path,
    *,
    detector: str = "",
    protocol: str = "",
    probability: bool = False,
    score: Sequence[str] = (),
    unit: str = "",
) -> Table:
    """A table of scores → table: the way in for a team that cannot share clips, and for what others publish.

    Columns: ``id``, ``label`` (real/fake or 0/1), ``score``; optional ``detector``, ``identity``, ``source``, ``generator``,
    ``degradation``, ``protocol``, ``abstained``, ``error``, ``seconds``, ``cost``, ``level``, ``false_alarm`` (the rate that was stated
    with the score); ``cue:NAME`` columns of trivial
    measures; any other column is a slice. Side by side: ``score:NAME`` columns (with ``seconds:NAME`` and ``cost:NAME``), or those
    that ``score`` matches, like ``prob_*``; the detector is then called as the star. unit : ``video``, ``image`` or ``audio``; the
    rows of a ``unit`` or ``modality`` column that say so.

    Raises
    ------
    UsageError
        A column is missing, the units are mixed, or a pattern matches nothing.
    """
    sheet = read_sheet(path)
    name = Path(path).name
    problems = []
    if sheet.guessed:
        problems.append(Problem("encoding", f"{name} is neither UTF-8 nor UTF-16; it was read as {sheet.encoding}"))
    if sheet.ragged:
        told = tuple(f"line {n}" for n in sheet.ragged[:3])
        problems.append(Problem("ragged", "a line has more or fewer cells than the header", len(sheet.ragged), told))
    wide = _wide(sheet, score)
    key = next((k for k in ("id", "sha256", "path") if sheet.named(k)), None)
    if key is None or sheet.named("label") is None or not (wide or sheet.named("score")):
        missing = [
            w
            for w, there in (("id", key), ("label", sheet.named("label")), ("score", wide or sheet.named("score")))
            if not there
        ]
        raise UsageError(
            f"column {missing[0]!r} is missing", where=name,
            hint=f"it has {', '.join(sheet.names[:12])}; columns of several detectors: --score 'prob_*'",
        )  # fmt: skip
    if not len(sheet):
        raise UsageError("has a header and no rows", where=name)
    keep, unit = _of_unit(sheet, unit, name)
    given = protocol or f"{unit or 'video'}@given"
    ids, words = sheet.column(key), sheet.column("label")
    axes = {axis: sheet.column(axis) for axis in AXES}
    taken = {sheet.named(n) for n in (*ALIASES, *AXES, *_ROW, *_NOT_SLICES)} | {
        c for columns in wide.values() for c in columns.values()
    }
    cues = {n[4:].strip(): n for n in sheet.names if n.lower().startswith("cue:")}
    taken |= set(cues.values())
    slices = {n: sheet.cells[n] for n in sheet.names if n not in taken and n not in sheet.nested}
    if score:  # a published matrix has a column of everything for each detector: only words are slices
        slices = {n: c for n, c in slices.items() if not _numbers(c, sheet.decimal_comma)}
    own = {k: sheet.column(k) for k in (*_ROW, "protocol", "score")}
    unread = [str(sheet.rows[i]) for i in keep if not ids[i]]
    if unread:
        told = tuple(f"line {n}" for n in unread[:3])
        problems.append(Problem("no-id", "a line has no id and cannot be used", len(unread), told))
    strange: Counter[str] = Counter()
    bad: list[BadCell] = []

    def number(column: str, i: int, what: str) -> float | None:
        try:
            return number_of(sheet.cells[column][i], sheet.decimal_comma)
        except ValueError:
            bad.append(BadCell(sheet.rows[i], column, f"{sheet.cells[column][i][:40]!r} is no {what}"))
            return None

    def rows() -> Iterator[dict[str, Any]]:
        for i in keep:
            if not ids[i]:
                continue
            label = label_of(words[i], sheet.decimal_comma)
            if label is None:
                strange[words[i]] += 1
            base: dict[str, Any] = {
                "id": ids[i], "label": -1 if label is None else label, "probability": probability,
                **{axis: column[i] for axis, column in axes.items()},
                "group": {n: column[i] for n, column in slices.items()},
                "protocol": _protocol(own["protocol"][i], unit) or given,
            }  # fmt: skip
            if cues:
                measured = {n: number(column, i, "number") for n, column in cues.items()}
                base["cues"] = {n: v for n, v in measured.items() if v is not None}
            for who, columns in wide.items():
                numbers = {k: number(c, i, "number") for k, c in columns.items() if k != "score"}
                yield {**base, "detector": who, **_score(sheet, columns["score"], i), **numbers}
            if not wide:
                more: dict[str, Any] = {
                    k: own[k][i] for k in ("abstained", "error", "version", "weights_sha256", "level") if own[k][i]
                }
                more |= {
                    k: number(str(sheet.named(k)), i, "number") for k in ("seconds", "cost", "false_alarm") if own[k][i]
                }
                who = own["detector"][i] or detector or Path(path).stem.removesuffix(".csv")
                yield {**base, "detector": who, **_score(sheet, str(sheet.named("score")), i), **more}

    table = Table.of_rows(list(rows()), meta={"source": name, "encoding": sheet.encoding, "sha256": sheet.sha256})
    if strange:
        sentence = "a label is neither real nor fake, 0 nor 1: treated as unknown"
        problems.append(Problem("label-unread", sentence, sum(strange.values()), tuple(strange)[:3]))
    if bad:
        sentence = "a cell of seconds, cost, a stated rate or a cue is no number: taken as not given"
        problems.append(Problem("cell-unread", sentence, len(bad), tuple(str(b) for b in bad[:3])))
    silent = [n for n, c in table.detectors.items() if wide and unit and not c.scored.any()]
    if silent:  # of a matrix of pictures, films and sounds, most detectors read one of them
        problems.append(Problem("silent", f"no {unit} has a score of {', '.join(silent)}: left out", len(silent)))
    return replace(
        table,
        detectors={n: c for n, c in table.detectors.items() if n not in silent},
        problems=tuple(problems)
        + tuple(p for p in table.problems if not any(f" {n} " in f" {p.sentence} " for n in silent)),
    )


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
    said = [_UNITS.get(w.lower().removesuffix("s"), w.lower()) for w in sheet.column("unit")]
    kinds = Counter(said)
    if not unit and len(kinds) > 1:
        told = ", ".join(f"{n:,} {k or 'without one'}" for k, n in kinds.most_common(5))
        raise UsageError(f"mixes units ({told}), which no figure may", where=name, hint="choose one: --unit video")
    unit = unit or (next(iter(kinds)) if set(kinds) <= set(_UNITS.values()) else "")
    keep = [i for i, word in enumerate(said) if word == unit or not unit]
    if not keep:
        raise UsageError(f"has no row of unit {unit}", where=name, hint=f"it has {', '.join(kinds)}")
    return keep, unit


def _protocol(text: str, unit: str) -> str:
    """A row's own protocol, with the unit asked for where it names none: ``32f-even`` → ``video@32f-even``."""
    return text if not text or "@" in text else f"{unit or 'video'}@{text}"


def _score(sheet: Sheet, column: str, i: int) -> dict[str, Any]:
    """A cell of scores: a number, an abstention where it is empty, a failure where it is neither."""
    text = sheet.cells[column][i]
    try:
        return {"score": number_of(text, sheet.decimal_comma)}
    except ValueError:
        why = {"error": f"score is not a finite number: {text[:40]!r}", "reason": str(AbstentionReason.NOT_FINITE)}
        return {"score": None} | why


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
