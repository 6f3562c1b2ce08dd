"""Lays out the results document as one self-contained HTML page: no script, no external asset, readable in the dark, on paper, aloud."""

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.report import board as tables
from benchmarks.report import figures, words
from benchmarks.report.document import Benchmark, Figure, SliceRow
from benchmarks.stats.beside import RATE
from benchmarks.stats.compare import Finding
from gioconda_core import page as shell
from gioconda_core.stats.metrics import parse

MOST_ACROSS = 6  # slices laid side by side; more go down the page, which paper can follow
MOST_SPACED = 8  # columns whose cells have room for an interval
MOST_DRAWN = 8  # detectors whose curves one plot can show, and tell apart
MOST_WORST = 3  # detectors whose worst clips are shown, where there are many
_AXIS_TITLES = {"degradation": "By degradation", "generator": "By generator", RATE: "By frame rate"}


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _p(value: float | None) -> str:
    return "–" if value is None else words.small(value)


def _counts(figure: Figure | None) -> str:
    """How many clips a slice rests on."""
    return "" if figure is None else f"{figure.n_real:,} real, {figure.n_fake:,} fake"


@dataclass
class _Refusal:
    """A reason once, with the figures and detectors it concerns."""

    what: str
    reason: str
    names: list[str]
    detectors: list[str]


def _refusals(document: Benchmark) -> list[_Refusal]:
    """Figures or intervals that were refused: a reason once, with the figures and detectors it concerns and the first one's numbers."""
    found: dict[tuple[str, str], _Refusal] = {}
    for entry in document.detectors:
        for figure in entry.figures:
            for what, reason in (("refused", figure.refused), ("no interval", figure.no_interval)):
                if reason:
                    name = figure.metric + (" (frame by frame)" if "/frame@" in figure.name else "")
                    row = found.setdefault((name, what), _Refusal(what, reason, [name], []))
                    row.detectors.append(entry.name)
    merged: dict[tuple[str, str, tuple[str, ...]], _Refusal] = {}
    for row in found.values():
        same = merged.setdefault((row.what, row.reason, tuple(row.detectors)), row)
        if same is not row:
            same.names += row.names
    return list(merged.values())


@dataclass(frozen=True)
class _Heat:
    """A cell of a heat map. shade : from chance (0) to perfect (100)."""

    figure: Figure | None
    shade: int
    held: Any


def _heat(document: Benchmark, axis: str) -> dict[str, Any]:
    """A detector × slice grid of one figure."""
    entries = document.slices[axis]
    metric = "auc" if entries[0].figure("auc") else entries[0].figures[0].metric
    cells = {(row.detector, row.slice): _cell(row, metric) for row in entries}
    detectors = [d.name for d in document.detectors]
    slices = list(dict.fromkeys(name for _, name in cells))
    # The most clips any detector scored there: what a figure of this slice can rest on.
    sizes = {
        s: _counts(max((cells[d, s].figure for d in detectors), key=lambda f: f.n_real + f.n_fake if f else 0))
        for s in slices
    }
    down, across = (slices, detectors) if len(slices) > MOST_ACROSS else (detectors, slices)
    turned = down is slices
    return {
        "dense": len(across) > MOST_SPACED,
        "corner": "Slice" if turned else "Detector",
        "columns": [{"name": c, "size": sizes.get(c, "") if not turned else ""} for c in across],
        "rows": [
            {
                "name": r,
                "size": sizes.get(r, "") if turned else "",
                "cells": [cells[(c, r) if turned else (r, c)] for c in across],
            }
            for r in down
        ],
        "held": any(cell.held for cell in cells.values()),
        "metric": metric,
        "title": _AXIS_TITLES.get(axis, f"By {axis}"),
        "axis": axis,
    }


def _cell(row: SliceRow, metric: str) -> _Heat:
    figure = row.figure(metric)
    floor = 0.5 if metric == "auc" else 0.0
    value = floor if figure is None or figure.value is None else figure.value
    return _Heat(figure, round(100 * max(0.0, min(1.0, (value - floor) / (1 - floor)))), row.held)


def _thumb(folders: Sequence[Path], sample: str) -> str | None:
    """A thumbnail of a clip as a data URI, where a run kept one. sample : its id, with ``@fold`` where folds pool."""
    name = sample.partition("@")[0]
    if not name.isalnum():
        return None
    for folder in folders:
        path = folder / f"{name}.jpg"
        if path.exists() and path.stat().st_size <= 200_000:
            return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()
    return None


def _worst(document: Benchmark, thumbs: Sequence[Path]) -> list[dict[str, Any]]:
    """The clips each detector was most wrong on, in the leaderboard's order."""
    found = []
    for entry in document.detectors:
        clips = [(w, _thumb(thumbs, w.id)) for w in document.worst if w.detector == entry.name]
        if clips:
            found.append({"detector": entry.name, "clips": clips})
    return found if len(found) <= MOST_DRAWN else found[:MOST_WORST]


def _told(cell: _Heat) -> str:
    """What a cell without room for it would say: the interval and the clips, or why there is no figure."""
    figure = cell.figure
    if figure is None:
        return ""
    if figure.value is None:
        return str(figure.refused)
    span = "" if figure.low is None else f" ({figure.low:.3f} to {figure.high:.3f})"
    return f"{figure.value:.3f}{span}, {_counts(figure)}"


def to_html(document: Benchmark, *, thumbs: Sequence[Path] = (), signed: str = "") -> str:
    """The page. thumbs : folders with thumbnails of clips, by id. signed : name of the signed copy beside the page, or empty."""
    environment = shell.environment(("benchmarks.report", ""))
    environment.filters |= {"percent": _percent, "number": _number, "p": _p, "told": _told, "parse": parse}
    environment.filters |= {
        n: getattr(words, n) for n in ("found", "kept", "over", "part", "read_as", "share", "shows")
    }
    environment.filters |= {"signed": words.signed, "wrong": words.wrong, "rank": tables.rank_of}
    style = shell.stylesheet("benchmarks.report")
    drawn = replace(document, detectors=document.detectors[:MOST_DRAWN])
    has_curves = any(d.curves for d in document.detectors)
    has_calibration = any(d.calibration for d in document.detectors)
    beside = [d for d in document.detectors if d.beside and d.auc]
    return environment.get_template("page.html.jinja").render(
        d=document,
        tpr=f"tpr@fpr={document.board_fpr:g}",
        beside=beside if document.beside.cues or document.beside.origin else [],
        rates=[
            (r, {e.name: tables.at_rate(document, e.name, r) for e in beside}) for r in tables.rate_slices(document)
        ],
        unmeasured=words.unmeasured(document),
        looked=words.looked(document),
        flip_basis=words.flip_basis(document.stability) if document.stability else "",
        pairs=tables.matrix(document) if document.pairs else [],
        asked=max((d.asked for d in document.pairs), default=0),
        uncompared=Counter(d.reason for d in document.pairs if d.finding == Finding.REFUSED),
        lang="en",
        title=f"{document.title} – benchmark report",
        skip="Skip to the content",
        style=shell.safe(style),
        policy=shell.safe(shell.policy(style, attributes=True)),
        forest=figures.forest(document),
        roc=figures.roc(drawn) if has_curves else "",
        det=figures.det(drawn) if has_curves else "",
        calibration=figures.calibration(drawn) if has_calibration else "",
        risk=figures.risk_coverage(drawn) if has_calibration else "",
        heat=[_heat(document, axis) for axis in document.slices],
        refusals=_refusals(document),
        colours={d.name: figures.series_class(i) for i, d in enumerate(document.detectors)},
        worst=_worst(document, thumbs),
        signed=signed,
        caution=words.cautious(document),
    )
