"""Lays out the first tables of a report, for text and page alike: a row a detector with the figures that decide, what trivial cues reach beside it, and who is better than whom."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report.document import Benchmark, Entry, Spread
from benchmarks.report.words import found, kept, over, part, read_as, share, shows, small
from benchmarks.stats.beside import RATE
from benchmarks.stats.compare import Difference, Finding, Standing
from gioconda_core.stats.cues import ALL
from gioconda_core.stats.metrics import parse

SYMBOLS = {Finding.A_BETTER: "+", Finding.B_BETTER: "−", Finding.UNRESOLVED: "·", Finding.REFUSED: "?"}


@dataclass(frozen=True)
class Cell:
    """One pair from the row's side: + the row's is better, − the column's, · left open, ? not compared."""

    symbol: str
    difference: Difference


def matrix(document: Benchmark) -> list[tuple[str, list[Cell | None]]]:
    """Every pair, folded: for each detector a row of cells, one for each detector, None on the diagonal."""
    names = [d.name for d in document.detectors]
    pairs = {}
    for d in document.pairs:
        for a, b in ((d.a, d.b), (d.b, d.a)):
            turned = d.over(a)
            pairs[a, b] = Cell(SYMBOLS[turned.finding], turned)
    return [(a, [pairs.get((a, b)) for b in names]) for a in names]


def rank_of(standing: Standing | None) -> str:
    """``3 (2–5)``: the place, and the places these clips leave open."""
    if standing is None:
        return "–"
    open_ = standing.low != standing.high
    return f"{standing.rank}" + (f" ({standing.low}–{standing.high})" if open_ else "")


def _extremes(spread: Spread | None, which: str) -> str:
    return ", ".join(f"{g.generator} {g.value:.2f}" for g in getattr(spread, which)) if spread else ""


def _table(columns: Sequence[tuple[str, list[str]]], words: Sequence[str] = ()) -> list[str]:
    """Columns side by side; those named in ``words``, and the first, begin at the left."""
    widths = [max(len(head), *(len(c) for c in cells)) for head, cells in columns]

    def line(cells: Sequence[str]) -> str:
        left = (i == 0 or columns[i][0] in words for i in range(len(cells)))
        parts = [c.ljust(w) if l else c.rjust(w) for c, w, l in zip(cells, widths, left, strict=True)]
        return "  ".join(parts).rstrip()

    return [line([head for head, _ in columns]), *(line(row) for row in zip(*(c for _, c in columns), strict=True))]


def to_lines(document: Benchmark) -> list[str]:
    """The first table for a terminal."""
    shown = document.detectors
    tpr = f"tpr@fpr={document.board_fpr:g}"

    def short(entry: Entry, metric: str) -> str:
        figure = entry.board.get(metric)
        return "–" if figure is None else "refused" if figure.value is None else f"{figure.value:.3f}"

    columns: list[tuple[str, list[str]]] = [
        ("detector", [d.name for d in shown]),
        ("AUC [95 %]", [d.board["auc"].told() for d in shown]),
        ("rank", [rank_of(d.rank) for d in shown]),
        (f"TPR@{100 * document.board_fpr:g}%FPR", [short(d, tpr) for d in shown]),
        ("EER", [short(d, "eer") for d in shown]),
        ("cover", [f"{100 * d.coverage:.0f} %" for d in shown]),
    ]
    if any(d.seconds_per_clip is not None for d in shown):
        columns.append(("ms/clip", ["–" if (s := d.seconds_per_clip) is None else f"{1000 * s:.0f}" for d in shown]))
    if any(d.cost_per_clip is not None for d in shown):
        columns.append(("cost/clip", ["–" if (c := d.cost_per_clip) is None else f"{c:.4g}" for d in shown]))
    columns.append(("has shown", [shows(d.beside) for d in shown]))
    if any(d.generators for d in shown):
        columns.append(("spread", [f"{d.generators.spread:.2f}" if d.generators else "–" for d in shown]))
        columns.append(("weakest generators", [_extremes(d.generators, "weakest") for d in shown]))
        columns.append(("strongest", [_extremes(d.generators, "strongest") for d in shown]))
    notes: dict[tuple[tuple[str, str], str], list[str]] = {}  # state of one figure and of several, reason → figures
    for metric, what in (("auc", "AUC"), (tpr, "TPR"), ("eer", "EER")):
        for d in shown:
            figure = d.board.get(metric)
            for state, reason in (
                (("refused", "refused"), figure and figure.refused),
                (("has no interval", "have no interval"), figure and figure.no_interval),
            ):
                if reason and what not in notes.setdefault((state, reason), []):
                    notes[state, reason].append(what)
    out = _table(columns, ("has shown", "weakest generators", "strongest"))
    return out + [f"{', '.join(what)} {state[len(what) > 1]}: {reason}" for (state, reason), what in notes.items()]


def rate_slices(document: Benchmark) -> list[str]:
    """The frame rates that figures are given by, lowest first."""
    names = dict.fromkeys(row.slice for row in document.slices.get(RATE, ()))
    return sorted(names, key=lambda n: float(n.removeprefix("near ")) if n.startswith("near ") else 1e9)


def at_rate(document: Benchmark, detector: str, rate: str) -> str:
    """A detector's AUC at one frame rate."""
    row = next((r for r in document.slices[RATE] if (r.detector, r.slice) == (detector, rate)), None)
    figure = row.figure("auc") if row else None
    return "–" if figure is None else figure.told()


def beside_lines(document: Benchmark) -> list[str]:
    """Each detector beside the trivial cues, for a terminal: best cue, within an origin, on clips of equal cues, by frame rate."""
    rows = [(d, d.beside) for d in document.detectors if d.beside and d.auc]
    cues = document.beside.cues
    lines = [f"{c.cue}{' alone' * (c.cue != ALL)}: AUC {part(c)}" for c in cues]
    if not rows:
        return lines
    columns: list[tuple[str, list[str]]] = [("beside trivial cues, AUC", [d.name for d, _ in rows])]
    if cues:
        best = [next((x for x in row.cues if x.difference is not None), None) for _, row in rows]
        columns.append(("best cue", ["–" if b is None else f"{b.b} {b.value_b:.3f}" for b in best]))
        columns.append(("over it [95 %]", [over(b) for b in best]))
    if document.beside.origin:
        columns.append((f"within {document.beside.origin}", [part(row.within) for _, row in rows]))
    if cues:
        columns.append(("at equal cues", [part(row.matched) for _, row in rows]))
    for rate in rate_slices(document):
        columns.append((rate.replace("near", "fps near"), [at_rate(document, d.name, rate) for d, _ in rows]))
    if len(columns) > 1:
        lines = [*_table(columns), *lines]
    reasons = dict.fromkeys(
        f"{what}: {p.reason}"
        for _, row in rows
        for what, p in (("within an origin", row.within), ("at equal cues", row.matched))
        if p.reason and (cues if what == "at equal cues" else document.beside.origin)
    )
    if len(document.detectors) <= 4:
        for _, row in rows:
            for d in row.figures:
                if d.metric != "auc":
                    alone = "refused" if d.value_b is None else f"{d.value_b:.4f}"
                    turned = "" if parse(d.metric).higher_is_better else " (less is better)"
                    lines.append(f"{d.a} {d.metric}: {d.b} {alone}; over it {over(d)}{turned}")
    return [*lines, *reasons]


def stated_lines(document: Benchmark) -> list[str]:
    """Alarm rates that scores came with, against what these real clips show."""
    rows = document.stated
    if not rows:
        return []
    return _table(
        [
            ("alarm rates", [r.detector for r in rows]),
            ("stated", [share(r.stated) for r in rows]),
            ("found [95 %]", [found(r) for r in rows]),
            ("real clips", [f"{r.n_real:,}" for r in rows]),
            ("fakes reached", [share(r.reached) for r in rows]),
            ("", [kept(r) for r in rows]),
        ],
        ("",),
    )


def matrix_lines(document: Benchmark) -> list[str]:
    """Who is better than whom, a character a pair."""
    rows = matrix(document)
    asked = max((d.asked for d in document.pairs), default=0)
    if len(rows) < 3 or not asked:
        return []
    wide = max(len(name) for name, _ in rows)
    head = " ".join(str(i % 10) for i in range(1, len(rows) + 1))
    lines = [
        f"every pair ({asked} asked, Holm): + the row's is better, − the column's, · left open, ? not compared",
        f"{'':>{wide + 4}} {head}",
    ]
    for i, (name, cells) in enumerate(rows, 1):
        lines.append(f"{i:>3} {name:<{wide}} {' '.join(c.symbol if c else ' ' for c in cells)}")
    reasons = dict.fromkeys(d.reason for d in document.pairs if d.finding == Finding.REFUSED)
    return [*lines, *(f"not compared: {r}" for r in list(reasons)[:8])]


def difference_lines(differences: Sequence[Difference]) -> list[str]:
    """Comparisons, a line each."""
    lines = []
    for x in differences:
        head = f"{x.a} − {x.b}  {x.metric}:"
        if x.difference is None:
            lines.append(f"{head} not compared: {x.reason}")
            continue
        span = f" [{x.low:+.4f}, {x.high:+.4f}]" if x.low is not None else ""
        p = f"  p {small(x.p_corrected)} (Holm, {x.asked} asked)" if x.p_corrected is not None else ""
        apart = f"  left out: {x.only_a} only {x.a}, {x.only_b} only {x.b}" if x.only_a or x.only_b else ""
        note = f"  note: {x.note}" if x.note else ""
        n = f"n {x.n_real} real, {x.n_fake} fake"
        lines.append(f"{head} {x.difference:+.4f}{span}{p}  {read_as(x)}  {n}{apart}{note}")
    return lines
