"""Computes the results document from a table of scores: first table, cues beside it, slices, curves, worst clips, what is missing and why."""

import csv
import functools
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report.document import (
    Benchmark,
    Bin,
    Curves,
    DataCard,
    Entry,
    Figure,
    Held,
    Intervals,
    Leader,
    OfGenerator,
    Operating,
    Reason,
    Reliability,
    SliceRow,
    Spread,
    Statuses,
    WorstClip,
    Worth,
)
from benchmarks.report.options import Figures
from benchmarks.report.words import first_line
from benchmarks.stats.alarms import stated_rates
from benchmarks.stats.beside import RATE, beside, rates_of
from benchmarks.stats.compare import headline, leaderboard, probabilities_of
from benchmarks.stats.gaps import gaps
from benchmarks.stats.table import Column, Table, counts, independent
from benchmarks.stats.thresholds import choose
from gioconda_core.media.degrade import CLEAN
from gioconda_core.stats import bootstrap, metrics
from gioconda_core.stats.metrics import DEFAULT_METRICS, Metric, Protocol
from gioconda_core.stats.shares import threshold

Floats = NDArray[np.float64]
SLICE_METRICS = ("auc", "tpr@fpr=0.01")
OPERATING_FPR = (0.05, 0.01, 0.001)  # false-alarm rates a reader is told thresholds for, besides those of the suite
PREVALENCES = (0.1, 0.01, 0.001)  # shares of fakes an alarm is weighed at, where the user names none
HELD_FPR = 0.05  # the threshold carried from clean clips to degraded ones: at 1 % it would rest on too few reals
CURVE_POINTS = 400
MOST_EXTREME = 3  # weakest and strongest generators that the first table names
WORST = 3  # of each kind, for each detector


@dataclass(frozen=True, eq=False)
class _Scored:
    """One detector's scores on the labelled rows of a table."""

    rows: NDArray[np.int64]
    labels: NDArray[np.int8]
    scores: Floats
    resampler: bootstrap.Resampler | None
    probability: bool

    @classmethod
    def of(cls, table: Table, detector: str, seed: int) -> "_Scored":
        column = table.detectors[detector]
        rows = np.flatnonzero(table.labelled & column.scored)
        resampler = table.resampler(rows, seed) if len(rows) else None
        return cls(rows, table.labels[rows], column.scores[rows], resampler, column.probability)

    @property
    def reals(self) -> int:
        return counts(self.labels)[0]

    @property
    def fakes(self) -> int:
        return counts(self.labels)[1]

    @property
    def clusters(self) -> int:
        """Independent people or sources in the smaller class."""
        return independent(self.labels, self.resampler) if self.resampler else 0

    @property
    def enough(self) -> bool:
        return min(self.reals, self.fakes) >= metrics.FEWEST_PER_CLASS

    @functools.cached_property
    def probabilities(self) -> Floats | None:
        """(n,) as given, or calibrated across people; None where they are too few."""
        if not self.resampler or not min(self.reals, self.fakes):
            return None
        return probabilities_of(self.scores, self.labels, self.probability, self.resampler)


def figures_of(
    table: Table, detector: str, wanted: Sequence[Metric], *, resamples: int, seed: int, scored: _Scored | None = None
) -> list[Figure]:
    """Every wanted figure of one detector over the rows of ``table``, each with its interval, n, and coverage, or a refusal.

    scored : its scores there, where they are taken out already.
    """
    scored = scored or _Scored.of(table, detector, seed)
    labels, scores = scored.labels, scored.scores
    clusters = scored.clusters
    named = Protocol.parse(table.detectors[detector].protocol)
    probabilities = scored.probabilities if any(m.needs_probability for m in wanted) else None
    reasons = {m.name: metrics.refusal(m, scored.reals, scored.fakes) for m in wanted}
    for m in wanted:
        if reasons[m.name] is None and m.needs_probability and probabilities is None:
            reasons[m.name] = "too few identities in each class to turn raw scores into probabilities"
    allowed = [m for m in wanted if reasons[m.name] is None]
    drawn: Mapping[str, Floats] = {}
    if allowed and scored.resampler and clusters >= bootstrap.FEWEST_CLUSTERS:
        drawn = bootstrap.distribution(allowed, labels, scores, probabilities, scored.resampler, resamples)
    out = []
    for m in wanted:
        value, span = None, bootstrap.Interval(None, None)
        if reasons[m.name] is None:
            value = metrics.value(m, labels, scores, probabilities)
            # ECE of a resample is larger than of the set it came from (noise never cancels inside a bin): recentre it
            centre = value if m.kind == "bins" else None
            span = bootstrap.interval(drawn.get(m.name, np.empty(0)), clusters, centre=centre)
        out.append(
            Figure(
                m.full_name(named, "given" if scored.probability else "platt-crossfit"),
                m.name, m.title, m.higher_is_better, value, span.low, span.high, scored.reals, scored.fakes, clusters,
                len(scored.rows) / max(int(table.labelled.sum()), 1), reasons[m.name], span.reason,
            )
        )  # fmt: skip
    return out


def _statuses(column: Column) -> Statuses:
    reasons = Counter(
        str(r) for r, s in zip(column.reasons, column.status, strict=True) if s in ("abstained", "failed") and r
    )
    count = {s: int((column.status == s).sum()) for s in ("scored", "abstained", "failed", "missing")}
    return Statuses(**count, reasons=tuple(Reason(r, n) for r, n in reasons.most_common(8)))


def _curves(labels: NDArray[Any], scores: Floats) -> Curves:
    """ROC and DET, thinned to what a page can show; never thinned where few points are."""
    from sklearn.metrics import det_curve, roc_curve

    def thin(one: Floats, two: Floats) -> tuple[list[float], list[float]]:
        n = len(one)
        keep = np.unique(np.linspace(0, n - 1, CURVE_POINTS).round().astype(int)) if n > CURVE_POINTS else np.arange(n)
        return [round(float(v), 5) for v in one[keep]], [round(float(v), 5) for v in two[keep]]

    return Curves(thin(*roc_curve(labels, scores)[:2]), thin(*det_curve(labels, scores)[:2]))


def _reliability(scored: _Scored) -> Reliability | None:
    p = scored.probabilities if scored.enough else None
    if p is None:
        return None
    coverage, risk = metrics.risk_coverage(scored.labels, p)
    first = min(metrics.FEWEST_PER_CLASS, len(coverage)) - 1  # of fewer clips an error rate is an anecdote
    keep = np.unique(np.linspace(first, len(coverage) - 1, 100).round().astype(int))
    bins = tuple(Bin(b["p"], b["fakes"], int(b["n"])) for b in metrics.calibration_bins(scored.labels, p, 10))
    return Reliability(
        bins,
        "given" if scored.probability else "platt-crossfit",
        ([round(float(c), 5) for c in coverage[keep]], [round(float(r), 5) for r in risk[keep]]),
    )


def _operating(scored: _Scored, figures: Sequence[Figure], prevalence: float | None) -> tuple[Operating, ...]:
    """What a threshold does on these clips, one row for each ``tpr@fpr`` and ``mincost`` among ``figures``: the threshold with its
    interval, the fakes found, and how many alarms would be right where fakes are rarer than here."""
    able = [metrics.parse(f.metric) for f in figures if f.value is not None]
    chosen = {}
    if scored.enough and scored.resampler and able:
        chosen = {c.metric: c for c in choose(able, scored.labels, scored.scores, scored.resampler)}
    prevalences = PREVALENCES if prevalence is None else (prevalence,)
    rows = []
    for figure in figures:
        metric, choice = metrics.parse(figure.metric), chosen.get(figure.metric)
        fpr = metric.params["fpr"] if metric.base == "tpr" else choice.false_alarms if choice else None
        found = choice.found if choice else None
        rows.append(
            Operating(
                "fpr" if metric.base == "tpr" else "cost",
                metric.name, metric.title, fpr,
                choice.threshold if choice else None, choice.low if choice else None, choice.high if choice else None,
                choice.promise if choice else None, found,
                figure.value, figure.low, figure.high, figure.refused, figure.no_interval,
                tuple(
                    Worth(p, float(metrics.right_alarms(found, fpr, p)) if found and fpr else None) for p in prevalences
                ),
            )
        )  # fmt: skip
    return tuple(sorted(rows, key=lambda row: (row.rule == "cost", -(row.fpr or 0))))


def _price(column: Column) -> tuple[float | None, float | None, float | None]:
    """What a clip takes: median and 95th percentile of seconds, mean cost; None where it was not said."""
    seconds = column.seconds[np.isfinite(column.seconds)] if column.seconds is not None else np.empty(0)
    cost = column.cost[np.isfinite(column.cost)] if column.cost is not None else np.empty(0)
    return (
        float(np.median(seconds)) if len(seconds) else None,
        float(np.quantile(seconds, 0.95)) if len(seconds) >= 20 else None,
        float(cost.mean()) if len(cost) else None,
    )


def _board_fpr(detectors: Sequence[Entry], asked: Sequence[float]) -> float:
    """The false-alarm rate the first table reads at: the first one asked for that these clips carry, else the lowest they carry."""
    for fpr in [*asked, *sorted(OPERATING_FPR)]:
        if any(d.board[f"tpr@fpr={fpr:g}"].value is not None for d in detectors):
            return fpr
    return asked[0] if asked else OPERATING_FPR[0]


def _spread(rows: Sequence[SliceRow], detector: str) -> Spread | None:
    """How a detector does on its weakest and strongest generators, by AUC, and how far apart those are; None without slices by
    generator. A detector is as good as its weakest: that is what whoever wants to be missed will use."""
    found = [
        OfGenerator(row.slice, f.value, f.low, f.high, f.n_fake)
        for row in rows
        if row.detector == detector and (f := row.figure("auc")) and f.value is not None
    ]
    if len(found) < 2:
        return None
    found.sort(key=lambda row: row.value)
    few = min(MOST_EXTREME, len(found) // 2)
    return Spread(
        tuple(found[:few]),
        tuple(found[: -few - 1 : -1]),
        found[-1].value - found[0].value,
        len(found),
        sum(row.low is not None and row.low <= 0.5 for row in found),
    )


def held_threshold(clean: Table, detector: str) -> float | None:
    """The threshold whose alarms (scores at or above it) stay within ``HELD_FPR`` of the reals; None where they are too few."""
    column = clean.detectors[detector]
    reals = column.scores[(clean.labels == 0) & column.scored]
    return threshold(reals, HELD_FPR) if HELD_FPR * len(reals) >= 1 else None


def _held(clean: Table, degraded: Table, detector: str) -> Held | None:
    cut = held_threshold(clean, detector)
    if cut is None:
        return None
    other = degraded.detectors[detector]
    real = other.scores[(degraded.labels == 0) & other.scored]
    fake = other.scores[(degraded.labels == 1) & other.scored]
    if not len(real) or not len(fake):
        return None
    return Held(cut, float(np.mean(real >= cut)), float(np.mean(fake >= cut)), len(real), len(fake))


def _slices(
    table: Table, wanted: Sequence[Metric], asked: Figures, axes: Sequence[str]
) -> dict[str, tuple[SliceRow, ...]]:
    """Figures by degradation, by generator (its fakes against every real), and by each slice column among ``axes``."""
    clean = headline(table)
    parts: list[tuple[str, str, Table]] = []
    degradations = list(dict.fromkeys(table.columns["degradation"]))
    if len(degradations) > 1:
        for d in sorted(degradations, key=lambda d: (d != CLEAN, degradations.index(d))):
            parts.append(("degradation", d, table.take(table.columns["degradation"] == d)))
    generators = [g for g in dict.fromkeys(clean.columns["generator"][clean.labels == 1]) if g]
    if generators and not any(name.startswith("generator ") for name in clean.columns):  # folds slice by it already
        for g in sorted(generators):
            parts.append(("generator", g, clean.take((clean.labels == 0) | (clean.columns["generator"] == g))))
    for axis in axes:
        for v in sorted(set(clean.columns[axis])):
            parts.append((axis, v or "(not given)", clean.take(clean.columns[axis] == v)))
    out: dict[str, list[SliceRow]] = {}
    for axis, value, part in parts:
        for detector in table.detectors:
            figures = figures_of(part, detector, wanted, resamples=asked.resamples, seed=asked.seed)
            held = _held(clean, part, detector) if axis == "degradation" and CLEAN in degradations else None
            out.setdefault(axis, []).append(SliceRow(value, detector, tuple(figures), held))
    return {axis: tuple(rows) for axis, rows in out.items()}


def _axes(clean: Table, slices: Sequence[str]) -> list[str]:
    return [a for a in clean.slices if not slices or a in slices or a == RATE]


def _worst(table: Table) -> list[WorstClip]:
    """Clips each detector was most wrong on: fakes that most reals outscore, reals that outscore most fakes."""
    found = []
    for detector, column in table.detectors.items():
        for label in (1, 0):
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
                generator, degradation = (str(table.columns[c][row]) for c in ("generator", "degradation"))
                found.append(
                    WorstClip(
                        detector, label, str(table.ids[row]), generator, degradation,
                        float(column.scores[row]), float(outscored[at]),
                    )
                )  # fmt: skip
    return found


def data_card(table: Table) -> DataCard:
    """What the set is made of, counted in samples (not rows)."""
    _, first = np.unique(table.ids, return_index=True)
    part = table.take(np.sort(first))
    fakes = Counter(part.columns["generator"][part.labels == 1])
    return DataCard(
        samples=len(part),
        real=counts(part.labels)[0],
        fake=counts(part.labels)[1],
        unlabelled=int((part.labels < 0).sum()),
        identities=len({v for v in part.columns["identity"] if v}),
        sources=len({v for v in part.columns["source"] if v}),
        generators={str(g): int(n) for g, n in fakes.most_common() if g},
        degradations=tuple(dict.fromkeys(str(d) for d in table.columns["degradation"])),
        slices={s: {str(k): int(n) for k, n in Counter(part.columns[s]).most_common()} for s in part.slices},
    )


def _entry(
    table: Table, main: Table, name: str, wanted: Sequence[Metric], frames: Table | None, asked: Figures
) -> Entry:
    """One detector; main : the undegraded rows."""
    column = table.detectors[name]
    names = {metric.name for metric in wanted}
    more = [metrics.parse(m) for m in ("auc", "eer", *(f"tpr@fpr={fpr:g}" for fpr in OPERATING_FPR))]
    scored = _Scored.of(main, name, asked.seed)
    all_of = [*wanted, *(m for m in more if m.name not in names)]
    every = figures_of(main, name, all_of, resamples=asked.resamples, seed=asked.seed, scored=scored)
    figures = every[: len(wanted)]
    seconds, at_95, cost = _price(column)
    if frames is not None and name in frames.detectors:
        auc = [m for m in wanted if m.base == "auc"]
        figures += figures_of(headline(frames), name, auc, resamples=asked.resamples, seed=asked.seed)
    return Entry(
        name=name,
        version=column.version,
        weights_sha256=column.weights_sha256,
        protocol=column.protocol,
        statuses=_statuses(column),
        coverage=float(main.detectors[name].scored[main.labelled].mean()) if main.labelled.any() else 0.0,
        figures=tuple(figures),
        board={f.metric: f for f in every if f.metric in ("auc", "eer") or f.metric.startswith("tpr@")},
        operating=_operating(scored, [f for f in every if f.metric.startswith(("tpr@", "mincost@"))], asked.prevalence),
        curves=_curves(scored.labels, scored.scores) if scored.enough else None,
        calibration=_reliability(scored),
        seconds_per_clip=seconds,
        seconds_at_95=at_95,
        cost_per_clip=cost,
    )


def build(table: Table, asked: Figures, slices: Sequence[str] = (), frames: Table | None = None) -> Benchmark:
    """Everything that is computed from scores.

    asked : the usual figures where it names none. slices : columns to slice by, besides degradation, generator and frame rate; all when
    empty. frames : the same clips frame by frame, for frame-level figures.
    """
    if "frame rate" in table.cues:
        table = replace(table, columns={**table.columns, RATE: rates_of(table.cues["frame rate"])})
    wanted = [metrics.parse(name) for name in asked.metrics or DEFAULT_METRICS]
    main = headline(table)
    axes = _axes(main, slices)
    detectors = [_entry(table, main, name, wanted, frames, asked) for name in table.detectors]
    detectors.sort(key=lambda d: -d.auc.value if d.auc and d.auc.value is not None else 1.0)
    order = [d.name for d in detectors]
    board = leaderboard(table, order, against=asked.against)
    spans = {d.name: (d.auc.value, d.auc.low, d.auc.high) for d in detectors if d.auc}
    cues, rows = beside(main, wanted, spans, resamples=asked.resamples, seed=asked.seed)
    sliced = _slices(table, [m for m in wanted if m.name in SLICE_METRICS] or wanted[:1], asked, axes)
    standings = {s.detector: s for s in board.standings} if board else {}
    entries = tuple(
        replace(
            d, rank=standings.get(d.name), beside=rows[d.name], generators=_spread(sliced.get("generator", ()), d.name)
        )
        for d in detectors
    )
    document = Benchmark(
        title="Benchmark",
        first_line="",
        comparable=True,
        not_comparable="",
        bootstrap=Intervals(asked.resamples, asked.seed),
        data=data_card(table),
        problems=table.problems,
        detectors=entries,
        board_fpr=_board_fpr(entries, [m.fpr for m in wanted if m.base == "tpr" and m.fpr]),
        leaderboard=Leader(board.first, board.named) if board else None,
        differences=board.differences if board else (),
        pairs=board.pairs if board else (),
        beside=cues,
        slices=sliced,
        gaps=tuple(g for axis in axes for g in gaps(main, axis, seed=asked.seed)),
        stated=tuple(stated_rates(main)),
        worst=tuple(_worst(main)),
    )
    return replace(document, first_line=first_line(document))


# --------------------------------------------------------------------------- other forms

_FLAT = ("value", "low", "high", "n_real", "n_fake", "clusters", "coverage", "refused", "no_interval")


def rows_of(document: Benchmark) -> list[dict[str, Any]]:
    """Every figure as a flat row: axis, slice, detector, figure, value, interval, n."""
    parts = [("all", "", d.name, d.figures) for d in document.detectors]
    parts += [(axis, row.slice, row.detector, row.figures) for axis, rows in document.slices.items() for row in rows]
    return [
        {"axis": axis, "slice": value, "detector": detector, "figure": f.name} | {k: getattr(f, k) for k in _FLAT}
        for axis, value, detector, figures in parts
        for f in figures
    ]


def _beside_rows(document: Benchmark) -> list[dict[str, Any]]:
    """What stands beside the figures, as rows of the same columns: cues, differences from them, within an origin, matched."""
    blank: dict[str, Any] = dict.fromkeys(("axis", "slice", "detector", "figure", *_FLAT))
    rows = [
        blank | {"axis": "cue", "slice": c.cue, "figure": "auc", "value": c.value, "low": c.low, "high": c.high}
        for c in document.beside.cues
    ]
    for entry in document.detectors:
        if entry.beside is None:
            continue
        for d in entry.beside.figures:
            values = {"value": d.difference, "low": d.low, "high": d.high, "n_real": d.n_real, "n_fake": d.n_fake}
            about = {"axis": "over cue", "slice": d.b, "detector": d.a, "figure": d.metric, "clusters": d.clusters}
            rows.append(blank | about | values | {"refused": d.reason if d.difference is None else None})
        for axis, part in (("within origin", entry.beside.within), ("matched", entry.beside.matched)):
            values = asdict(part)
            values["refused" if part.value is None else "no_interval"] = values.pop("reason")
            rows.append(blank | {"axis": axis, "slice": "", "detector": entry.name, "figure": "auc"} | values)
    return rows


def to_csv(document: Benchmark) -> str:
    """Every figure, one a line, and what stands beside it."""
    rows = [*rows_of(document), *_beside_rows(document)]
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=["axis", "slice", "detector", "figure", *_FLAT], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


_TEX = {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}  # fmt: skip


def tex(text: str) -> str:
    """Text with what LaTeX would read as commands escaped."""
    return "".join(_TEX.get(c, c) for c in text)


def to_latex(document: Benchmark) -> str:
    """The leaderboard as a booktabs table; refusals are dashes with their reason in the note."""
    shown = [f.metric for f in document.detectors[0].figures][:6] if document.detectors else []
    names = {f.metric: f.name for d in document.detectors for f in d.figures}
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        rf"\caption{{{tex(document.title)}. {tex(document.first_line)} 95\,\% intervals by bootstrap over identities and sources, or over clips where neither is given.}}",
        rf"\begin{{tabular}}{{l{'r' * (len(shown) + 1)}}}",
        r"\toprule",
        " & ".join(["Detector", "coverage", *(rf"\texttt{{{tex(names[m])}}}" for m in shown)]) + r" \\",
        r"\midrule",
    ]
    notes = set()
    for d in document.detectors:
        cells = [tex(d.name), f"{d.coverage:.3f}"]
        for m in shown:
            f = next(f for f in d.figures if f.metric == m)
            if f.value is None:
                notes.add(f.refused)
                cells.append("--")
            elif f.low is None:
                notes.add(f.no_interval)
                cells.append(f"{f.value:.3f}")
            else:
                cells.append(rf"{f.value:.3f} {{\scriptsize[{f.low:.3f}, {f.high:.3f}]}}")
        lines.append(" & ".join(cells) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\footnotesize {tex(str(n))}." for n in sorted(str(n) for n in notes)]
    return "\n".join([*lines, r"\end{table}"]) + "\n"
