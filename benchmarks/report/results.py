"""From a table of scores to one results document: leaderboard, slices, curves, worst clips, what is missing and why.

The document (schema ``gioconda.benchmark/1``) is plain JSON; the page, the CSV and the LaTeX table are made from it alone.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.stats.compare import (
    Finding,
    against_cues,
    headline,
    leaderboard,
    probabilities_of,
)
from benchmarks.stats.gaps import gaps
from benchmarks.stats.table import CLEAN, Column, Table
from benchmarks.stats.thresholds import choose
from gioconda_core.stats import bootstrap, metrics
from gioconda_core.stats.metrics import DEFAULT_METRICS, Metric, Protocol

__all__ = ["HELD_FPR", "SCHEMA", "build", "held_threshold", "to_csv", "to_latex"]

SCHEMA = "gioconda.benchmark/1"
SLICE_METRICS = ("auc", "tpr@fpr=0.01")
OPERATING_FPR = (0.05, 0.01, 0.001)  # false-alarm rates a reader is told thresholds for, besides those of the suite
PREVALENCES = (0.1, 0.01, 0.001)  # shares of fakes an alarm is weighed at, where the user names none
HELD_FPR = 0.05  # the threshold carried from clean clips to degraded ones: at 1 % it would rest on too few reals
CURVE_POINTS = 400
MOST_EXTREME = 3  # weakest and strongest generators that the first table names
WORST = 3  # of each kind, for each detector


def figures_of(
    table: Table, detector: str, wanted: Sequence[Metric], *, resamples: int, seed: int, protocol: str | None = None
) -> list[dict[str, Any]]:
    """Every wanted figure of one detector over the rows of ``table``, each with its interval, n, and coverage, or a refusal."""
    column = table.detectors[detector]
    labelled = table.labelled
    rows = np.flatnonzero(labelled & column.scored)
    labels, scores = table.labels[rows], column.scores[rows]
    reals, fakes = int((labels == 0).sum()), int((labels == 1).sum())
    coverage = len(rows) / max(int(labelled.sum()), 1)
    named = Protocol.parse(protocol or column.protocol)
    origin = "given" if column.probability else "platt-crossfit"
    resampler = (
        bootstrap.Resampler.over(*(table.columns[c][rows] for c in ("identity", "source")), seed=seed)
        if len(rows)
        else None
    )
    clusters = min(resampler.clusters_of(labels == 0), resampler.clusters_of(labels == 1)) if resampler else 0
    probabilities = None
    if resampler and min(reals, fakes) and any(m.needs_probability for m in wanted):
        probabilities = probabilities_of(scores, labels, column.probability, resampler)
    reasons = {m.name: metrics.refusal(m, reals, fakes) for m in wanted}
    for m in wanted:
        if reasons[m.name] is None and m.needs_probability and probabilities is None:
            reasons[m.name] = "too few identities in each class to turn raw scores into probabilities"
    allowed = [m for m in wanted if reasons[m.name] is None]
    drawn: Mapping[str, NDArray[np.float64]] = {}
    if allowed and resampler and clusters >= bootstrap.FEWEST_CLUSTERS:
        drawn = bootstrap.distribution(allowed, labels, scores, probabilities, resampler, resamples)
    out = []
    for m in wanted:
        value = low = high = interval_reason = None
        if reasons[m.name] is None:
            value = metrics.value(m, labels, scores, probabilities)
            # ECE of a resample is larger than of the set it came from (noise never cancels inside a bin): recentre it
            centre = value if m.kind == "bins" else None
            span = bootstrap.interval(drawn.get(m.name, np.empty(0)), clusters, centre=centre)
            low, high, interval_reason = span.low, span.high, span.reason
        out.append(
            {
                "name": m.full_name(named, origin),
                "metric": m.name,
                "title": m.title,
                "higher_is_better": m.higher_is_better,
                "value": value,
                "low": low,
                "high": high,
                "n_real": reals,
                "n_fake": fakes,
                "clusters": clusters,
                "coverage": coverage,
                "refused": reasons[m.name],
                "no_interval": interval_reason,
            }
        )
    return out


def _statuses(table: Table, column: Column) -> dict[str, Any]:
    """How many rows were scored, abstained on, failed or never came, and the commonest reasons."""
    reasons = Counter(
        str(r) for r, s in zip(column.reasons, column.status, strict=True) if s in ("abstained", "failed") and r
    )
    return {
        **{s: int((column.status == s).sum()) for s in ("scored", "abstained", "failed", "missing")},
        "reasons": [{"reason": r, "n": n} for r, n in reasons.most_common(8)],
    }


def _curves(labels: NDArray[Any], scores: NDArray[np.float64]) -> dict[str, Any]:
    """ROC and DET, thinned to what a page can show; never thinned where few points are."""

    def thin(*arrays: NDArray[np.float64]) -> list[list[float]]:
        n = len(arrays[0])
        keep = np.unique(np.linspace(0, n - 1, CURVE_POINTS).round().astype(int)) if n > CURVE_POINTS else np.arange(n)
        return [[round(float(v), 5) for v in a[keep]] for a in arrays]

    fpr, tpr, _ = metrics.roc(labels, scores)
    dfpr, dfnr, _ = metrics.det(labels, scores)
    return {"roc": thin(fpr, tpr), "det": thin(dfpr, dfnr)}


def _reliability(table: Table, detector: str, seed: int) -> dict[str, Any] | None:
    column = table.detectors[detector]
    rows = np.flatnonzero(table.labelled & column.scored)
    labels = table.labels[rows]
    if min(np.sum(labels == 0), np.sum(labels == 1)) < metrics.FEWEST_PER_CLASS:
        return None
    resampler = bootstrap.Resampler.over(*(table.columns[c][rows] for c in ("identity", "source")), seed=seed)
    p = probabilities_of(column.scores[rows], labels, column.probability, resampler)
    if p is None:
        return None
    coverage, risk = metrics.risk_coverage(labels, p)
    keep = np.unique(np.linspace(0, len(coverage) - 1, 100).round().astype(int))
    return {
        "bins": metrics.calibration_bins(labels, p, 10),
        "origin": "given" if column.probability else "platt-crossfit",
        "risk_coverage": [[round(float(c), 5) for c in coverage[keep]], [round(float(r), 5) for r in risk[keep]]],
    }


def _operating(
    labels: NDArray[Any],
    scores: NDArray[np.float64],
    figures: Sequence[Mapping[str, Any]],
    prevalences: Sequence[float],
    resampler: bootstrap.Resampler | None,
) -> list[dict[str, Any]]:
    """What a threshold does on these clips, one row for each ``tpr@fpr`` and ``mincost`` among ``figures``: the threshold with its
    interval, the fakes found, and how many alarms would be right where fakes are rarer than here."""
    able = [metrics.parse(f["metric"]) for f in figures if f["value"] is not None]
    chosen = {c.metric: c for c in choose(able, labels, scores, resampler)} if resampler and able else {}
    rows = []
    for figure in figures:
        metric, choice = metrics.parse(figure["metric"]), chosen.get(figure["metric"])
        fpr = metric.params["fpr"] if metric.base == "tpr" else choice.false_alarms if choice else None
        found = choice.found if choice else None
        rows.append(
            {
                "rule": "fpr" if metric.base == "tpr" else "cost",
                "metric": metric.name,
                "title": metric.title,
                "fpr": fpr,
                "threshold": choice.threshold if choice else None,
                "threshold_low": choice.low if choice else None,
                "threshold_high": choice.high if choice else None,
                "promise": choice.promise if choice else None,
                "found": found,
                **{k: figure[k] for k in ("value", "low", "high", "refused", "no_interval")},
                "ppv": [
                    {"prevalence": p, "value": float(metrics.right_alarms(found, fpr, p)) if found and fpr else None}
                    for p in prevalences
                ],
            }
        )
    return sorted(rows, key=lambda row: (row["rule"] == "cost", -(row["fpr"] or 0)))


def _price(column: Column) -> dict[str, Any]:
    """What a clip takes: median and 95th percentile of seconds, mean cost; None where it was not said."""
    seconds = column.seconds[np.isfinite(column.seconds)] if column.seconds is not None else np.empty(0)
    cost = column.cost[np.isfinite(column.cost)] if column.cost is not None else np.empty(0)
    return {
        "seconds_per_clip": float(np.median(seconds)) if len(seconds) else None,
        "seconds_at_95": float(np.quantile(seconds, 0.95)) if len(seconds) >= 20 else None,
        "cost_per_clip": float(cost.mean()) if len(cost) else None,
    }


def _board_fpr(detectors: Sequence[Mapping[str, Any]], asked: Sequence[float]) -> float:
    """The false-alarm rate the first table reads at: the first one asked for that these clips carry, else the lowest they carry."""
    for fpr in [*asked, *sorted(OPERATING_FPR)]:
        if any(d["board"][f"tpr@fpr={fpr:g}"]["value"] is not None for d in detectors):
            return fpr
    return asked[0] if asked else OPERATING_FPR[0]


def spread(document: Mapping[str, Any], detector: str) -> dict[str, Any] | None:
    """How a detector does on its weakest and strongest generators, by AUC, and how far apart those are; None without slices by
    generator. A detector is as good as its weakest: that is what whoever wants to be missed will use."""
    found = []
    for entry in document["slices"].get("generator", ()):
        figure = next((f for f in entry["figures"] if f["metric"] == "auc"), None)
        if entry["detector"] == detector and figure and figure["value"] is not None:
            found.append({"generator": entry["slice"], **{k: figure[k] for k in ("value", "low", "high", "n_fake")}})
    if len(found) < 2:
        return None
    found.sort(key=lambda row: row["value"])
    few = min(MOST_EXTREME, len(found) // 2)
    return {
        "weakest": found[:few],
        "strongest": found[: -few - 1 : -1],
        "spread": found[-1]["value"] - found[0]["value"],
        "count": len(found),
        "no_better_than_a_coin": sum(row["low"] is not None and row["low"] <= 0.5 for row in found),
    }


def held_threshold(clean: Table, detector: str) -> float | None:
    """The threshold whose alarms (scores at or above it) stay within ``HELD_FPR`` of the reals; None where they are too few."""
    column = clean.detectors[detector]
    reals = column.scores[(clean.labels == 0) & column.scored]
    if HELD_FPR * len(reals) < 1:
        return None
    allowed = int(np.floor(HELD_FPR * len(reals) + 1e-9))
    return float(np.nextafter(np.sort(reals)[::-1][allowed], np.inf))


def _held(clean: Table, degraded: Table, detector: str) -> dict[str, Any] | None:
    """Alarms on degraded clips at the threshold that kept false alarms at ``HELD_FPR`` on clean reals."""
    threshold = held_threshold(clean, detector)
    if threshold is None:
        return None
    other = degraded.detectors[detector]
    real = other.scores[(degraded.labels == 0) & other.scored]
    fake = other.scores[(degraded.labels == 1) & other.scored]
    if not len(real) or not len(fake):
        return None
    return {
        "threshold": threshold,
        "false_alarms": float(np.mean(real >= threshold)),
        "found": float(np.mean(fake >= threshold)),
        "n_real": len(real),
        "n_fake": len(fake),
    }


def _slices(
    table: Table, wanted: Sequence[Metric], *, resamples: int, seed: int, only: Sequence[str] = ()
) -> dict[str, list[dict[str, Any]]]:
    """Figures by degradation, by generator (its fakes against every real), and by each slice column."""
    out: dict[str, list[dict[str, Any]]] = {}
    clean = headline(table)

    def add(axis: str, value: str, part: Table, held: Table | None = None) -> None:
        for detector in table.detectors:
            row: dict[str, Any] = {
                "slice": value,
                "detector": detector,
                "figures": figures_of(part, detector, wanted, resamples=resamples, seed=seed),
            }
            if held is not None:
                row["held"] = _held(held, part, detector)
            out.setdefault(axis, []).append(row)

    degradations = list(dict.fromkeys(table.columns["degradation"]))
    if len(degradations) > 1:
        held = clean if CLEAN in degradations else None
        for d in sorted(degradations, key=lambda d: (d != CLEAN, degradations.index(d))):
            add("degradation", d, table.take(table.columns["degradation"] == d), held)
    generators = [g for g in dict.fromkeys(clean.columns["generator"][clean.labels == 1]) if g]
    if generators and not any(name.startswith("generator ") for name in clean.columns):  # folds slice by it already
        for g in sorted(generators):
            add("generator", g, clean.take((clean.labels == 0) | (clean.columns["generator"] == g)))
    for axis in [a for a in clean.slices if not only or a in only]:
        for v in sorted(set(clean.columns[axis])):
            add(axis, v or "(not given)", clean.take(clean.columns[axis] == v))
    return out


def _worst(table: Table) -> list[dict[str, Any]]:
    """Clips each detector was most wrong on: fakes that most reals outscore, reals that outscore most fakes."""
    found = []
    for detector, column in table.detectors.items():
        for label, kind in ((1, "fake scored low"), (0, "real scored high")):
            rows = np.flatnonzero((table.labels == label) & column.scored)
            others = np.sort(column.scores[(table.labels == 1 - label) & column.scored])
            if not len(rows) or not len(others):
                continue
            below = np.searchsorted(others, column.scores[rows], "left") / len(others)
            outscored = 1 - below if label else below  # share of the other class on the wrong side of it
            for at in np.argsort(-outscored, kind="stable")[:WORST]:
                if outscored[at] < 0.5:
                    break
                row = rows[at]
                found.append(
                    {
                        "detector": detector,
                        "kind": kind,
                        "id": str(table.ids[row]),
                        "generator": str(table.columns["generator"][row]),
                        "degradation": str(table.columns["degradation"][row]),
                        "score": float(column.scores[row]),
                        "share": float(outscored[at]),
                    }
                )
    return found


def data_card(table: Table) -> dict[str, Any]:
    """What the set is made of, counted in samples (not rows)."""
    _, first = np.unique(table.ids, return_index=True)
    part = table.take(np.sort(first))

    def distinct(name: str) -> int:
        return len({v for v in part.columns[name] if v})

    return {
        "samples": len(part),
        "real": int((part.labels == 0).sum()),
        "fake": int((part.labels == 1).sum()),
        "unlabelled": int((part.labels < 0).sum()),
        "identities": distinct("identity"),
        "sources": distinct("source"),
        "generators": {
            str(g): int(n) for g, n in Counter(part.columns["generator"][part.labels == 1]).most_common() if g
        },
        "degradations": list(dict.fromkeys(str(d) for d in table.columns["degradation"])),
        "slices": {s: {str(k): int(n) for k, n in Counter(part.columns[s]).most_common()} for s in part.slices},
    }


def first_line(document: Mapping[str, Any]) -> str:
    """The sentence a reader must not miss."""
    learned = [p for p in document["problems"] if p["kind"] == "learned"]
    if learned:
        return "; ".join(f"{p['sentence']} ({p['count']:,} of {document['data']['samples']:,})" for p in learned) + "."
    solved = [p for p in document.get("probes") or [] if p.get("solved")]
    if solved:
        told = "; ".join(f"{p['title']} alone reaches AUC {p['value']:.2f}" for p in solved)
        return f"A shortcut solves this set, so its figures may say little about fakes: {told}."
    if not document["comparable"]:
        return f"Not comparable: {document['not_comparable']}."
    card = document["data"]
    told = f"{card['fake']:,} fakes and {card['real']:,} reals of {card['identities']:,} identities"
    if not card["identities"]:
        told = f"{card['fake']:,} fakes and {card['real']:,} reals, identities not given"
    best = next((d for d in document["detectors"] if auc_of(d)), None)
    if best is None:
        return f"No ranking figure can be given for {told}."
    name, figure = best["name"], auc_of(best)
    spread = f" ({figure['low']:.3f} to {figure['high']:.3f})" if figure["low"] is not None else ""
    many = len(document["detectors"]) > 1
    if figure["low"] is not None and figure["low"] <= 0.5:
        who = f"even {name}, which ranks highest, has" if many else f"{name} has"
        return f"No better than a coin: on {told}, {who} AUC {figure['value']:.3f}{spread}; an interval that holds 0.5 shows no skill."
    cue = best.get("cue")
    if cue and cue["finding"] != Finding.A_BETTER:
        return (
            f"No better than {cue['b']}: on {told}, {name}{' ranks highest with' if many else ' has'} AUC {figure['value']:.3f}{spread}, "
            f"{cue['b']} alone has {cue['value_b']:.3f}; the difference is {_open(cue)}."
        )
    return f"On {told}, {name} {'ranks highest: ' if many else 'has '}AUC {figure['value']:.3f}{spread}{_ahead(document, name)}."


def auc_of(entry: Mapping[str, Any]) -> Any:
    """A detector's figure of AUC, None where it has no value."""
    figure = entry["board"]["auc"]
    return figure if figure["value"] is not None else None


def _open(d: Mapping[str, Any]) -> str:
    """A difference with what its interval leaves open."""
    value = f"{d['difference']:+.3f}".replace("-", "−")
    if d["low"] is None:
        return value
    return f"{value} ({d['low']:+.3f} to {d['high']:+.3f})".replace("-", "−")


MOST_NAMED = 4  # detectors that one sentence names; more are counted


def _ahead(document: Mapping[str, Any], name: str) -> str:
    """Whom the leader is ahead of, whom these clips do not tell it from, and whom it could not be compared with."""
    found: dict[str, list[str]] = {}
    for d in document["differences"]:
        other = d["b"] if d["a"] == name else d["a"] if d["b"] == name else None
        if other is not None:
            found.setdefault(d["finding"], []).append(other)

    def listed(names: Sequence[str]) -> str:
        return ", ".join(names) if len(names) <= MOST_NAMED else f"{len(names)} others"

    ahead = (
        Finding.A_BETTER if document["leaderboard"] and document["leaderboard"]["first"] == name else Finding.B_BETTER
    )
    parts = []
    if found.get(ahead):
        whole = len(found[ahead]) == len(document["differences"]) > 1
        parts.append(f"ahead of {'all ' if whole else ''}{listed(found[ahead])} by more than chance explains")
    if found.get(Finding.UNRESOLVED):
        parts.append(f"these clips leave open whether it is better than {listed(found[Finding.UNRESOLVED])}")
    if found.get(Finding.REFUSED):
        parts.append(f"not compared with {listed(found[Finding.REFUSED])}")
    return "".join(f"; {p}" for p in parts)


def _standing(entry: Mapping[str, Any]) -> float:
    """Leaderboard order: AUC, best first; a detector without one comes last."""
    figure = auc_of(entry)
    return -figure["value"] if figure else 1.0


def build(
    table: Table,
    names: Sequence[str] = DEFAULT_METRICS,
    *,
    resamples: int = bootstrap.RESAMPLES,
    seed: int = 0,
    title: str = "Benchmark",
    frames: Table | None = None,
    extra: Mapping[str, Any] | None = None,
    not_comparable: str = "",
    slices: Sequence[str] = (),
    prevalences: Sequence[float] = PREVALENCES,
    against: str = "",
) -> dict[str, Any]:
    """Everything the page shows. ``frames`` : the same clips frame by frame, for frame-level figures.

    ``slices`` : columns to slice by, besides degradation and generator; all of them when empty.

    ``against`` : the detector that the others are compared with, where it was named beforehand.

    ``extra`` : suite, probes, stability, command, versions… copied into the document as they are.
    """
    wanted = [metrics.parse(name) for name in names]
    asked = {metric.name for metric in wanted}
    more = [metrics.parse(name) for name in ("auc", "eer", *(f"tpr@fpr={fpr:g}" for fpr in OPERATING_FPR))]
    more = [metric for metric in more if metric.name not in asked]
    main = headline(table)
    detectors: list[dict[str, Any]] = []
    for name, column in table.detectors.items():
        rows = np.flatnonzero(main.labelled & main.detectors[name].scored)
        labels, scores = main.labels[rows], main.detectors[name].scores[rows]
        both = min(np.sum(labels == 0), np.sum(labels == 1)) >= metrics.FEWEST_PER_CLASS
        every = figures_of(main, name, [*wanted, *more], resamples=resamples, seed=seed)
        at = [f for f in every if f["metric"].startswith(("tpr@", "mincost@"))]
        over = (main.columns[c][rows] for c in ("identity", "source"))
        resampler = bootstrap.Resampler.over(*over, seed=seed) if both else None
        figures = every[: len(wanted)]
        if frames is not None and name in frames.detectors:
            figures += figures_of(
                headline(frames), name, [m for m in wanted if m.base == "auc"], resamples=resamples, seed=seed
            )
        detectors.append(
            {
                "name": name,
                "version": column.version,
                "weights_sha256": column.weights_sha256,
                "protocol": column.protocol,
                "statuses": _statuses(table, column),
                "coverage": float(main.detectors[name].scored[main.labelled].mean()) if main.labelled.any() else 0.0,
                "figures": figures,
                "board": {
                    f["metric"]: f for f in every if f["metric"] in ("auc", "eer") or f["metric"].startswith("tpr@")
                },
                "operating": _operating(labels, scores, at, prevalences, resampler),
                "curves": _curves(labels, scores) if both else None,
                "calibration": _reliability(main, name, seed),
                **_price(column),
            }
        )
    detectors.sort(key=_standing)
    board = leaderboard(table, [d["name"] for d in detectors], against=against, resamples=resamples, seed=seed)
    cues, beside = against_cues(main, seed=seed)
    for entry in detectors:
        standing = next((s for s in board.standings if s.detector == entry["name"]), None) if board else None
        entry["rank"] = standing.__dict__ if standing else None
        entry["cue"] = beside[entry["name"]].__dict__ if entry["name"] in beside else None
    board_fpr = _board_fpr(detectors, [m.fpr for m in wanted if m.base == "tpr" and m.fpr])
    slice_metrics = [m for m in wanted if m.name in SLICE_METRICS] or wanted[:1]
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "title": title,
        "first_line": "",
        "comparable": not not_comparable,
        "not_comparable": not_comparable,
        "bootstrap": {"resamples": resamples, "seed": seed, "over": "identity and source", "level": 0.95},
        "data": data_card(table),
        "problems": [p.__dict__ | {"examples": list(p.examples)} for p in table.problems],
        "detectors": detectors,
        "board_fpr": board_fpr,
        "leaderboard": {"first": board.first, "named": board.named} if board else None,
        "differences": [d.__dict__ for d in board.differences] if board else [],
        "pairs": [d.__dict__ for d in board.pairs] if board else [],
        "cues": cues,
        "slices": _slices(table, slice_metrics, resamples=resamples, seed=seed, only=slices),
        "gaps": [
            g.__dict__ for axis in main.slices if not slices or axis in slices for g in gaps(main, axis, seed=seed)
        ],
        "worst": _worst(main),
        **dict(extra or {}),
    }
    for entry in detectors:
        entry["generators"] = spread(document, entry["name"])
    document["first_line"] = first_line(document)
    return document


# --------------------------------------------------------------------------- other forms


def rows_of(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every figure as a flat row: axis, slice, detector, figure, value, interval, n."""
    rows = []

    def add(axis: str, value: str, detector: str, figure: Mapping[str, Any]) -> None:
        rows.append(
            {
                "axis": axis,
                "slice": value,
                "detector": detector,
                "figure": figure["name"],
                **{
                    k: figure[k]
                    for k in (
                        "value",
                        "low",
                        "high",
                        "n_real",
                        "n_fake",
                        "clusters",
                        "coverage",
                        "refused",
                        "no_interval",
                    )
                },
            }
        )

    for d in document["detectors"]:
        for figure in d["figures"]:
            add("all", "", d["name"], figure)
    for axis, entries in document["slices"].items():
        for entry in entries:
            for figure in entry["figures"]:
                add(axis, entry["slice"], entry["detector"], figure)
    return rows


def to_csv(document: Mapping[str, Any]) -> str:
    """Every figure, one a line."""
    rows = rows_of(document)
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]) if rows else ["axis"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


_TEX = {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}  # fmt: skip


def tex(text: str) -> str:
    return "".join(_TEX.get(c, c) for c in text)


def to_latex(document: Mapping[str, Any]) -> str:
    """The leaderboard as a booktabs table; refusals are dashes with their reason in the note."""
    shown = [f["metric"] for f in document["detectors"][0]["figures"]][:6] if document["detectors"] else []
    names = {f["metric"]: f["name"] for d in document["detectors"] for f in d["figures"]}
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        rf"\caption{{{tex(document['title'])}. {tex(document['first_line'])} 95\,\% intervals by bootstrap over identities and sources.}}",
        rf"\begin{{tabular}}{{l{'r' * (len(shown) + 1)}}}",
        r"\toprule",
        " & ".join(["Detector", "coverage", *(rf"\texttt{{{tex(names[m])}}}" for m in shown)]) + r" \\",
        r"\midrule",
    ]
    notes = set()
    for d in document["detectors"]:
        cells = [tex(d["name"]), f"{d['coverage']:.3f}"]
        for m in shown:
            f = next(f for f in d["figures"] if f["metric"] == m)
            if f["value"] is None:
                notes.add(f["refused"])
                cells.append("--")
            elif f["low"] is None:
                notes.add(f["no_interval"])
                cells.append(f"{f['value']:.3f}")
            else:
                cells.append(rf"{f['value']:.3f} {{\scriptsize[{f['low']:.3f}, {f['high']:.3f}]}}")
        lines.append(" & ".join(cells) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\footnotesize {tex(str(n))}." for n in sorted(str(n) for n in notes)]
    return "\n".join([*lines, r"\end{table}"]) + "\n"
