"""The table every figure is computed from: samples × detectors, with what is missing and why; and CSV in, JSON-lines in.

One row is one sample under one degradation, keyed by the sample's own id, never by a folder name (two manipulations of one
video in folders of the same name are two samples). Nothing is dropped: a row without a score has a status and a reason.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import UsageError
from gioconda_core.files import sha256_of

__all__ = ["CLEAN", "Column", "Problem", "Table", "read_csv"]

CLEAN = "none"  # the degradation that is none
STATUSES = ("scored", "abstained", "failed", "missing")
AXES = ("identity", "source", "generator", "degradation")
_LABELS = {"real": 0, "0": 0, "0.0": 0, "genuine": 0, "fake": 1, "1": 1, "1.0": 1, "false": 0, "true": 1}
_UNKNOWN = {"", "unknown", "-1", "?", "na", "nan", "none"}


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
    probability : scores are probabilities of being fake as given, not raw scores.
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

    @property
    def scored(self) -> NDArray[np.bool_]:
        return np.asarray(self.status == "scored")


@dataclass(frozen=True, eq=False)
class Table:
    """Samples × detectors.

    ids : (N,) sample ids; labels : (N,) int8, 1 fake, 0 real, −1 unknown; columns : name → (N,) strings, always with
    identity, source, generator and degradation, then whatever slices the index or CSV has.
    """

    ids: NDArray[np.str_]
    labels: NDArray[np.int8]
    columns: Mapping[str, NDArray[np.str_]]
    detectors: Mapping[str, Column]
    problems: tuple[Problem, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
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
        cells: dict[str, dict[int, tuple[float, str, str, str, float]]] = defaultdict(dict)
        info: dict[str, dict[str, Any]] = {}
        trouble: dict[str, list[str]] = defaultdict(list)
        protocols: dict[str, set[str]] = defaultdict(set)
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
            detector = str(row.get("detector") or "")
            if not detector:
                continue
            cell = _cell(row)
            earlier = cells[detector].get(at)
            if earlier is not None:
                same = earlier[1] == cell[1] and (
                    earlier[0] == cell[0] or (math.isnan(earlier[0]) and math.isnan(cell[0]))
                )
                trouble["duplicate" if same else "duplicate-conflict"].append(key[0])
                if not same:
                    cell = (math.nan, "failed", "the same id came with different scores", "", math.nan)
            cells[detector][at] = cell
            if cell[1] == "failed" and "not a finite number" in cell[2]:
                trouble["nan"].append(key[0])
            if row.get("protocol") and cell[1] == "scored":
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
        )

    def take(self, rows: NDArray[Any]) -> Table:
        """The same table over some rows (mask or indices)."""

        def cut(array: Any) -> Any:
            return None if array is None else array[rows]

        return Table(
            self.ids[rows],
            self.labels[rows],
            {k: v[rows] for k, v in self.columns.items()},
            {
                k: Column(
                    c.scores[rows],
                    c.status[rows],
                    c.reasons[rows],
                    c.version,
                    c.weights_sha256,
                    c.protocol,
                    c.probability,
                    cut(c.levels),
                    cut(c.seconds),
                )
                for k, c in self.detectors.items()
            },
            self.problems,
            self.meta,
        )


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


def _cell(row: Mapping[str, Any]) -> tuple[float, str, str, str, float]:
    """(score, status, reason, level, seconds) of one row."""
    level, seconds = str(row.get("level") or ""), float(row.get("seconds") or math.nan)
    if row.get("error"):
        return math.nan, "failed", str(row["error"]), level, seconds
    score = row.get("score")
    if score is None:
        return math.nan, "abstained", str(row.get("abstained") or "no score given"), level, seconds
    if not math.isfinite(float(score)):
        return math.nan, "failed", f"score is not a finite number: {score}", level, seconds
    return float(score), "scored", "", level, seconds


def _column(cells: Mapping[int, tuple[float, str, str, str, float]], n: int, info: Mapping[str, Any]) -> Column:
    scores, status = np.full(n, np.nan), np.full(n, "missing", dtype="<U9")
    reasons: NDArray[np.object_] = np.full(n, "", dtype=object)
    levels, seconds = np.full(n, "", dtype="<U16"), np.full(n, np.nan)
    for at, (score, state, reason, level, took) in cells.items():
        scores[at], status[at], reasons[at], levels[at], seconds[at] = score, state, reason, level, took
    return Column(
        scores,
        status,
        reasons,
        str(info.get("version") or ""),
        info.get("weights_sha256"),
        str(info.get("protocol") or "video@given"),
        bool(info.get("probability")),
        levels if (levels != "").any() else None,
        seconds if np.isfinite(seconds).any() else None,
    )


# --------------------------------------------------------------------------- scores only


def _decode(raw: bytes) -> tuple[str, str]:
    """(text, encoding): by byte-order mark, then UTF-8, then what Excel on Windows writes."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if raw.startswith(mark):
            return raw.decode(encoding), encoding
    try:
        return raw.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace"), "cp1252"


def _records(reader: csv.DictReader[str], where: str) -> Iterator[dict[str, Any]]:
    try:
        yield from reader
    except csv.Error as error:
        long = "field larger" in str(error)
        what = f"a cell of more than {csv.field_size_limit():,} characters" if long else "is not CSV"
        raise UsageError(f"line {reader.line_num + 1}: {what}", where=where) from error


def read_csv(path: str | Path, *, detector: str = "", protocol: str = "", probability: bool = False) -> Table:
    """A CSV of scores → table: the way in for a team that cannot share clips.

    Columns: ``id``, ``label`` (real/fake or 0/1), ``score``; optional ``detector``, ``identity``, ``source``, ``generator``,
    ``degradation``, ``protocol``, ``abstained``, ``error``; ``score:NAME`` columns for several detectors side by side; any
    other column is a slice. Comma, semicolon or tab; UTF-8, UTF-16 or cp1252; decimal commas where the separator is not one.
    """
    path = Path(path)
    raw = path.read_bytes()
    text, encoding = _decode(raw)
    problems = []
    if encoding not in ("utf-8", "utf-8-sig"):
        problems.append(Problem("encoding", f"{path.name} is not UTF-8; it was read as {encoding}"))
    first = next(iter(text.splitlines()), "")
    delimiter = max(",;\t", key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=None), delimiter=delimiter, skipinitialspace=True)
    header = [h.strip() for h in (reader.fieldnames or []) if h is not None]
    reader.fieldnames = header
    wide = [h for h in header if h.lower().startswith("score:")]
    lower = Counter(h.lower() for h in header)
    for needed in ("id", "label") + (() if wide else ("score",)):
        if lower[needed] != 1:
            raise UsageError(
                f"column {needed!r} is {'there twice' if lower[needed] else 'missing'}",
                where=path.name,
                hint="a header line with id, label and score is needed; separators are comma, semicolon or tab",
            )
    known = {
        "id",
        "label",
        "score",
        "detector",
        "protocol",
        "abstained",
        "error",
        "reason",
        "detail",
        "seconds",
        "version",
        *AXES,
    }
    known |= {
        "path",
        "sha256",
        "weights_sha256",
        "pooling",
        "reals",
        "calibration",
    }  # of `detect score`: nothing to slice by
    known |= {"false_alarm", "false_alarm_low", "false_alarm_high"}
    rows: list[dict[str, Any]] = []
    unread: list[str] = []
    short: list[str] = []
    strange: Counter[str] = Counter()
    for record in _records(reader, path.name):
        if None in record or any(v is None for v in record.values()):
            short.append(str(record.get("id") or f"line {reader.line_num}"))
        cells = {
            str(k).lower(): (v or "").strip() for k, v in record.items() if k is not None and not isinstance(v, list)
        }
        if not any(cells.values()):
            continue
        if not cells.get("id"):
            unread.append(f"line {reader.line_num}")
            continue
        word = cells.get("label", "").lower()
        label = _LABELS.get(word, -1)
        if label < 0 and word not in _UNKNOWN:
            strange[cells["label"]] += 1
        base = {
            "id": cells["id"],
            "label": label,
            **{axis: cells.get(axis, "") for axis in AXES},
            "group": {h: (record.get(h) or "").strip() for h in header if h.lower() not in known and h not in wide},
            "protocol": cells.get("protocol") or protocol or "video@given",
            "probability": probability,
            "version": cells.get("version", ""),
        }
        if wide:
            for h in wide:
                rows.append({**base, "detector": h.split(":", 1)[1], **_number(cells[h.lower()], delimiter)})
        else:
            named = cells.get("detector") or detector or path.stem
            extra = {k: cells[k] for k in ("abstained", "error", "seconds") if cells.get(k)}
            rows.append({**base, "detector": named, **_number(cells.get("score", ""), delimiter), **extra})
    if unread:
        problems.append(Problem("no-id", "a line has no id and cannot be used", len(unread), tuple(unread[:3])))
    if short:
        problems.append(
            Problem("ragged", "a line has more or fewer cells than the header", len(short), tuple(short[:3]))
        )
    if strange:
        problems.append(
            Problem(
                "label-unread",
                "a label is neither real nor fake, 0 nor 1: treated as unknown",
                sum(strange.values()),
                tuple(strange)[:3],
            )
        )
    return Table.of_rows(
        rows, problems=problems, meta={"source": path.name, "encoding": encoding, "sha256": sha256_of(raw)}
    )


def _number(text: str, delimiter: str) -> dict[str, Any]:
    """``0,53`` (where the comma does not separate) → score; empty → abstention; words → failure."""
    if text == "":
        return {"score": None}
    if delimiter != "," and text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    try:
        return {"score": float(text)}
    except ValueError:
        return {"score": None, "error": f"score is not a finite number: {text[:40]!r}"}
