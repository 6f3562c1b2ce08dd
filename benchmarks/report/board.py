"""The first table of a report: one row a detector with what decides, and who is better than whom as a matrix; for text and page alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.stats.compare import Finding

__all__ = ["matrix", "rows", "to_lines"]

SYMBOLS = {Finding.A_BETTER: "+", Finding.B_BETTER: "−", Finding.UNRESOLVED: "·", Finding.REFUSED: "?"}


def rows(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One a detector, in the leaderboard's order: its figures, ranks, coverage, price, and its weakest and strongest generators."""
    tpr = f"tpr@fpr={document['board_fpr']:g}"
    out = []
    for entry in document["detectors"]:
        out.append(
            {
                "name": entry["name"],
                "version": entry["version"],
                "protocol": entry["protocol"],
                "rank": entry["rank"],
                "auc": entry["board"]["auc"],
                "tpr": entry["board"].get(tpr),
                "eer": entry["board"]["eer"],
                "coverage": entry["coverage"],
                "seconds": entry["seconds_per_clip"],
                "cost": entry["cost_per_clip"],
                "cue": entry["cue"],
                "generators": entry["generators"],
            }
        )
    return out


def matrix(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every pair, folded: for each detector a row of cells, one for each detector, None on the diagonal.

    A cell: symbol (+ the row's is better, − the column's, · left open, ? not compared), finding, difference, low, high, p, reason.
    """
    names = [d["name"] for d in document["detectors"]]
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for d in document["pairs"]:
        keys = ("difference", "low", "high")
        forward = {**{k: d[k] for k in keys}, "p": d["p_corrected"], "reason": d["reason"], "note": d["note"]}
        back = {**forward, **{k: None if d[k] is None else -d[k] for k in keys}}
        back["low"], back["high"] = back["high"], back["low"]
        turned = {Finding.A_BETTER: Finding.B_BETTER, Finding.B_BETTER: Finding.A_BETTER}.get(
            d["finding"], d["finding"]
        )
        found[d["a"], d["b"]] = {**forward, "finding": d["finding"], "symbol": SYMBOLS[d["finding"]]}
        found[d["b"], d["a"]] = {**back, "finding": turned, "symbol": SYMBOLS[turned]}
    return [{"name": a, "cells": [found.get((a, b)) for b in names]} for a in names]


def _span(figure: Mapping[str, Any] | None, interval: bool = True) -> str:
    if figure is None or figure["value"] is None:
        return "refused" if figure else "–"
    if not interval or figure["low"] is None:
        return f"{figure['value']:.3f}"
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"


def rank_of(standing: Mapping[str, Any] | None) -> str:
    """``3 (2–5)``: the place, and the places these clips leave open."""
    if standing is None:
        return "–"
    if standing["low"] == standing["high"]:
        return f"{standing['rank']}"
    return f"{standing['rank']} ({standing['low']}–{standing['high']})"


def _extremes(found: Mapping[str, Any] | None, which: str) -> str:
    return ", ".join(f"{g['generator']} {g['value']:.2f}" for g in found[which]) if found else ""


def to_lines(document: Mapping[str, Any]) -> list[str]:
    """The table for a terminal."""
    shown = rows(document)
    columns: list[tuple[str, list[str]]] = [
        ("detector", [r["name"] for r in shown]),
        ("AUC [95 %]", [_span(r["auc"]) for r in shown]),
        ("rank", [rank_of(r["rank"]) for r in shown]),
        (f"TPR@{100 * document['board_fpr']:g}%FPR", [_span(r["tpr"], False) for r in shown]),
        ("EER", [_span(r["eer"], False) for r in shown]),
        ("cover", [f"{100 * r['coverage']:.0f} %" for r in shown]),
    ]
    if any(r["seconds"] is not None for r in shown):
        columns.append(("ms/clip", ["–" if r["seconds"] is None else f"{1000 * r['seconds']:.0f}" for r in shown]))
    if any(r["cost"] is not None for r in shown):
        columns.append(("cost/clip", ["–" if r["cost"] is None else f"{r['cost']:.4g}" for r in shown]))
    if document["cues"]:
        best = document["cues"][0]
        columns.append((f"− {best['cue']}", ["–" if not r["cue"] else f"{r['cue']['difference']:+.3f}" for r in shown]))
    if any(r["generators"] for r in shown):
        columns.append(("spread", [f"{r['generators']['spread']:.2f}" if r["generators"] else "–" for r in shown]))
        columns.append(("weakest generators", [_extremes(r["generators"], "weakest") for r in shown]))
        columns.append(("strongest", [_extremes(r["generators"], "strongest") for r in shown]))
    widths = [max(len(head), *(len(c) for c in cells)) for head, cells in columns]
    words = {0, len(columns) - 1, len(columns) - 2} if any(r["generators"] for r in shown) else {0}

    def line(cells: Sequence[str]) -> str:
        parts = [c.ljust(w) if i in words else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
        return "  ".join(parts).rstrip()

    out = [line([head for head, _ in columns])]
    out += [line([cells[i] for _, cells in columns]) for i in range(len(shown))]
    for cue in document["cues"][:3]:
        out.append(f"for comparison, {cue['cue']} alone: AUC {cue['value']:.3f} [{cue['low']:.3f}, {cue['high']:.3f}]")
    notes: dict[tuple[str, str], list[str]] = {}
    for key, what in (("auc", "AUC"), ("tpr", "TPR"), ("eer", "EER")):
        for r in shown:
            for state, reason in (
                ("refused", r[key] and r[key]["refused"]),
                ("without an interval", r[key] and r[key]["no_interval"]),
            ):
                if reason and what not in notes.setdefault((state, reason), []):
                    notes[state, reason].append(what)
    return out + [f"{', '.join(what)} {state}: {reason}" for (state, reason), what in notes.items()]


def matrix_lines(document: Mapping[str, Any]) -> list[str]:
    """Who is better than whom, a character a pair."""
    found = matrix(document)
    if len(found) < 3 or not document["pairs"]:
        return []
    wide = max(len(row["name"]) for row in found)
    asked = max(d["asked"] for d in document["pairs"])
    head = " ".join(str(i % 10) for i in range(1, len(found) + 1))
    lines = [
        f"every pair ({asked} asked, Holm): + the row's is better, − the column's, · left open, ? not compared",
        f"{'':>{wide + 4}} {head}",
    ]
    for i, row in enumerate(found, 1):
        cells = " ".join(" " if c is None else c["symbol"] for c in row["cells"])
        lines.append(f"{i:>3} {row['name']:<{wide}} {cells}")
    reasons = dict.fromkeys(d["reason"] for d in document["pairs"] if d["finding"] == Finding.REFUSED)
    return [*lines, *(f"not compared: {r}" for r in list(reasons)[:8])]
