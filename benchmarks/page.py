"""The results document as one self-contained HTML page: no script, no external asset, readable in the dark, on paper, aloud."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from benchmarks import figures

__all__ = ["to_html"]

_AXIS_TITLES = {"degradation": "By degradation", "generator": "By generator"}


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _refusals(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Figures or intervals that were refused: once each, with the detectors it concerns and the first one's numbers."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in document["detectors"]:
        for figure in entry["figures"]:
            for what, reason in (("is refused", figure["refused"]), ("has no interval", figure["no_interval"])):
                if reason:
                    row = found.setdefault(
                        (figure["name"], what),
                        {"name": figure["name"], "what": what, "reason": reason, "detectors": []},
                    )
                    row["detectors"].append(entry["name"])
    return list(found.values())


def _heat(document: Mapping[str, Any], axis: str, metric: str) -> dict[str, Any]:
    """A detector × slice grid of one figure; shade runs from chance (0) to perfect (1)."""
    entries = document["slices"][axis]
    columns = list(dict.fromkeys(e["slice"] for e in entries))
    rows = []
    for detector in dict.fromkeys(d["name"] for d in document["detectors"]):
        cells = []
        for column in columns:
            entry = next(e for e in entries if e["slice"] == column and e["detector"] == detector)
            figure = next((f for f in entry["figures"] if f["metric"] == metric), None)
            value = figure["value"] if figure else None
            floor = 0.5 if metric == "auc" else 0.0
            shade = 0 if value is None else round(100 * max(0.0, min(1.0, (value - floor) / (1 - floor))))
            cells.append({"figure": figure, "value": value, "shade": shade, "held": entry.get("held")})
        rows.append({"detector": detector, "cells": cells})
    return {
        "columns": columns,
        "rows": rows,
        "metric": metric,
        "title": _AXIS_TITLES.get(axis, f"By {axis}"),
        "axis": axis,
    }


def _thumb(folder: Path | None, sample: str) -> str | None:
    """A thumbnail of a clip as a data URI, where the run kept one."""
    if folder is None or not sample.isalnum():
        return None
    path = folder / "thumbs" / f"{sample}.jpg"
    if not path.exists() or path.stat().st_size > 200_000:
        return None
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()


def to_html(document: Mapping[str, Any], *, folder: Path | None = None) -> str:
    """The page. folder : the run's folder, for thumbnails of the worst clips."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("benchmarks", ""),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "number": _number, "p": _p, "signed": _signed}
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
        style=(files("gioconda.render") / "style.css").read_text(encoding="utf-8"),
        forest=figures.forest(document),
        roc=figures.roc(document) if has_curves else "",
        det=figures.det(document) if has_curves else "",
        calibration=figures.calibration(document) if has_calibration else "",
        risk=figures.risk_coverage(document) if has_calibration else "",
        heat=heat,
        refusals=_refusals(document),
        colours=colours,
        worst=[{**w, "thumb": _thumb(folder, w["id"])} for w in document["worst"]],
        caution=not document["comparable"] or any(p.get("solved") for p in document.get("probes") or []),
    )
