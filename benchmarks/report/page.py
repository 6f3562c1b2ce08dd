"""The results document as one self-contained HTML page: no script, no external asset, readable in the dark, on paper, aloud."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from benchmarks.report import board as tables
from benchmarks.report import figures
from benchmarks.report.words import read_as, small
from benchmarks.stats.compare import Finding

__all__ = ["to_html"]

MOST_ACROSS = 6  # slices laid side by side; more go down the page, which paper can follow
MOST_SPACED = 8  # columns whose cells have room for an interval
MOST_DRAWN = 8  # detectors whose curves one plot can show, and tell apart
MOST_WORST = 3  # detectors whose worst clips are shown, where there are many
_AXIS_TITLES = {"degradation": "By degradation", "generator": "By generator"}


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _p(value: float | None) -> str:
    return "–" if value is None else small(value)


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _breakable(name: str) -> Markup:
    """A figure's name that a narrow column may break before its protocol."""
    measure, slash, protocol = name.partition("/")
    return Markup("<span>{}</span><wbr><span>{}{}</span>").format(measure, slash, protocol)


def _counts(figure: Mapping[str, Any] | None) -> str:
    """How many clips a slice rests on."""
    return "" if figure is None else f"{figure['n_real']:,} real, {figure['n_fake']:,} fake"


def _refusals(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Figures or intervals that were refused: a reason once, with the figures and detectors it concerns and the first one's numbers."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in document["detectors"]:
        for figure in entry["figures"]:
            for what, reason in (("refused", figure["refused"]), ("no interval", figure["no_interval"])):
                if reason:
                    row = found.setdefault(
                        (figure["name"], what),
                        {"names": [figure["name"]], "what": what, "reason": reason, "detectors": []},
                    )
                    row["detectors"].append(entry["name"])
    merged: dict[tuple[str, str, tuple[str, ...]], dict[str, Any]] = {}
    for row in found.values():
        same = merged.setdefault((row["what"], row["reason"], tuple(row["detectors"])), row)
        if same is not row:
            same["names"] += row["names"]
    return list(merged.values())


def _heat(document: Mapping[str, Any], axis: str, metric: str) -> dict[str, Any]:
    """A detector × slice grid of one figure; shade runs from chance (0) to perfect (1)."""
    cells: dict[tuple[str, str], dict[str, Any]] = {}
    floor = 0.5 if metric == "auc" else 0.0
    for entry in document["slices"][axis]:
        figure = next((f for f in entry["figures"] if f["metric"] == metric), None)
        value = figure["value"] if figure else None
        shade = 0 if value is None else round(100 * max(0.0, min(1.0, (value - floor) / (1 - floor))))
        cells[entry["detector"], entry["slice"]] = {"figure": figure, "shade": shade, "held": entry.get("held")}
    detectors = [d["name"] for d in document["detectors"]]
    slices = list(dict.fromkeys(name for _, name in cells))
    # The most clips any detector scored there: what a figure of this slice can rest on.
    sizes = {
        s: _counts(max((cells[d, s]["figure"] for d in detectors), key=lambda f: f["n_real"] + f["n_fake"] if f else 0))
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
        "held": any(cell["held"] for cell in cells.values()),
        "metric": metric,
        "title": _AXIS_TITLES.get(axis, f"By {axis}"),
        "axis": axis,
    }


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


def _worst(document: Mapping[str, Any], thumbs: Sequence[Path]) -> list[dict[str, Any]]:
    """The clips each detector was most wrong on, in the leaderboard's order."""
    found = []
    for entry in document["detectors"]:
        clips = [{**w, "thumb": _thumb(thumbs, w["id"])} for w in document["worst"] if w["detector"] == entry["name"]]
        if clips:
            found.append({"detector": entry["name"], "clips": clips})
    return found if len(found) <= MOST_DRAWN else found[:MOST_WORST]


def _told(cell: Mapping[str, Any]) -> str:
    """What a cell without room for it would say: the interval and the clips, or why there is no figure."""
    figure = cell["figure"]
    if figure is None:
        return ""
    if figure["value"] is None:
        return str(figure["refused"])
    span = "" if figure["low"] is None else f" ({figure['low']:.3f} to {figure['high']:.3f})"
    return f"{figure['value']:.3f}{span}, {_counts(figure)}"


def to_html(document: Mapping[str, Any], *, thumbs: Sequence[Path] = (), signed: str = "") -> str:
    """The page. thumbs : folders with thumbnails of clips, by id. signed : name of the signed copy beside the page, or empty."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("benchmarks.report", ""),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "number": _number, "p": _p, "signed": _signed, "breakable": _breakable}
    environment.filters |= {"read_as": read_as, "rank": tables.rank_of, "told": _told}
    drawn = {**document, "detectors": document["detectors"][:MOST_DRAWN]}
    has_curves = any(d["curves"] for d in document["detectors"])
    has_calibration = any(d["calibration"] for d in document["detectors"])
    heat = [
        _heat(
            document,
            axis,
            "auc" if any(f["metric"] == "auc" for f in entries[0]["figures"]) else entries[0]["figures"][0]["metric"],
        )
        for axis, entries in document["slices"].items()
    ]
    colours = {d["name"]: figures.series_class(i) for i, d in enumerate(document["detectors"])}
    return environment.get_template("page.html.jinja").render(
        d=document,
        board=tables.rows(document),
        pairs=tables.matrix(document) if document["pairs"] else [],
        asked=max((d["asked"] for d in document["pairs"]), default=0),
        uncompared=Counter(d["reason"] for d in document["pairs"] if d["finding"] == Finding.REFUSED),
        style=(files("gioconda.report") / "style.css").read_text(encoding="utf-8"),
        forest=figures.forest(document),
        roc=figures.roc(drawn) if has_curves else "",
        det=figures.det(drawn) if has_curves else "",
        calibration=figures.calibration(drawn) if has_calibration else "",
        risk=figures.risk_coverage(drawn) if has_calibration else "",
        heat=heat,
        refusals=_refusals(document),
        colours=colours,
        worst=_worst(document, thumbs),
        signed=signed,
        caution=not document["comparable"]
        or any(p.get("solved") for p in document.get("probes") or [])
        or document["first_line"].startswith("No better than"),
    )
