"""Draws the report's plots: matplotlib SVG that takes its colours from the page, so that it works in light, dark and print."""

import io
import re
from collections.abc import Callable, Sequence
from html import escape
from statistics import NormalDist
from typing import Any

from benchmarks.report.document import Benchmark

FEWEST = 10  # clips, below which a share of them is not drawn

# Stand-in colours that matplotlib accepts; each becomes a CSS variable of the page.
_INK, _MUTED, _RULE = "#010101", "#020202", "#030303"
_SERIES = [f"#0401{i:02x}" for i in range(1, 9)]
_DASHES: list[Any] = [
    "-",
    (0, (5, 2)),
    (0, (1, 1.5)),
    (0, (5, 1.5, 1, 1.5)),
    "-",
    (0, (5, 2)),
    (0, (1, 1.5)),
    (0, (3, 1)),
]
_VARIABLES = {_INK: "var(--ink)", _MUTED: "var(--muted)", _RULE: "var(--rule)"} | {
    c: f"var(--s{i})" for i, c in enumerate(_SERIES, 1)
}


def series_class(index: int) -> str:
    """The CSS variable of the index-th detector's colour."""
    return f"var(--s{index % len(_SERIES) + 1})"


def _svg(draw: Callable[[Any], None], title: str, description: str, width: float = 4.6, height: float = 3.7) -> str:
    """Draw on one axes and return an inline SVG with a title and a description for a screen reader."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": title,
        "font.family": "sans-serif",
        "font.size": 11,
        "text.color": _INK,
        "axes.edgecolor": _MUTED,
        "axes.labelcolor": _INK,
        "xtick.color": _MUTED,
        "ytick.color": _MUTED,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": _RULE,
        "grid.linewidth": 0.7,
        "axes.axisbelow": True,
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        buffer = io.StringIO()
        figure.patch.set_alpha(0)
        axes.patch.set_alpha(0)
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # The page's style sheet says what the drawing's own would, which the page's policy would refuse.
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.S)
    text = re.sub(r'(<g) id="[^"]*"', r"\1", text)  # ids that another plot on the page would repeat
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = text.replace("<svg", f'<svg class="plot" role="img" aria-label="{escape(title)}. {escape(description)}"', 1)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    return re.sub(r"font-family: [^;\"]*;? ?", "", re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text))


def _lines(axes: Any, curves: Sequence[tuple[str, Sequence[float], Sequence[float]]], **options: Any) -> None:
    for i, (name, x, y) in enumerate(curves):
        axes.plot(x, y, color=_SERIES[i % 8], linestyle=_DASHES[i % 8], linewidth=1.7, label=name, **options)
    if curves:
        axes.legend(frameon=False, fontsize=10, loc="best", handlelength=2.6)


def _curves(document: Benchmark, kind: str) -> list[tuple[str, list[float], list[float]]]:
    return [(d.name, *getattr(d.curves, kind)) for d in document.detectors if d.curves]


def roc(document: Benchmark) -> str:
    """ROC with a logarithmic false-alarm axis, where the decisions are."""
    curves = _curves(document, "roc")
    floor = 0.5 / max(document.data.real, 50)

    def draw(axes: Any) -> None:
        _lines(axes, [(n, [max(v, floor) for v in x], y) for n, x, y in curves], drawstyle="steps-post")
        axes.plot([floor * (1 / floor) ** (i / 50) for i in range(51)], [floor ** (1 - i / 50) for i in range(51)], color=_MUTED, linewidth=0.8, linestyle=":")  # fmt: skip
        axes.set(
            xscale="log", xlim=(floor, 1), ylim=(0, 1.005), xlabel="False alarms among reals", ylabel="Fakes found"
        )
        ticks = [t for t in (0.0001, 0.001, 0.01, 0.1, 1.0) if t >= floor]
        axes.set_xticks(ticks, [f"{100 * t:g} %" for t in ticks])
        axes.set_yticks([i / 5 for i in range(6)], [f"{20 * i} %" for i in range(6)])

    summary = "; ".join(
        f"{n} finds {_read(x, y, 0.01):.0%} of fakes at 1 % false alarms and {_read(x, y, 0.1):.0%} at 10 %"
        for n, x, y in curves
    )
    return _svg(draw, "ROC curves, logarithmic false-alarm axis", summary)


def _read(x: Sequence[float], y: Sequence[float], at: float) -> float:
    return max((b for a, b in zip(x, y, strict=True) if a <= at), default=0.0)


def det(document: Benchmark) -> str:
    """DET: misses against false alarms, both on normal deviates, so that normal scores make straight lines."""
    deviate = NormalDist().inv_cdf
    curves = _curves(document, "det")
    ticks = [0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99]
    floor = 0.5 / max(document.data.real, document.data.fake, 50)

    def bend(values: Sequence[float]) -> list[float]:
        return [deviate(min(max(v, floor), 1 - floor)) for v in values]

    def draw(axes: Any) -> None:
        _lines(axes, [(n, bend(x), bend(y)) for n, x, y in curves])
        kept = [t for t in ticks if t >= floor]
        for set_ticks in (axes.set_xticks, axes.set_yticks):
            set_ticks([deviate(t) for t in kept], [f"{t * 100:g} %" for t in kept])
        edge = (deviate(max(floor, 0.0005)), deviate(0.99))
        axes.set(xlim=edge, ylim=edge, xlabel="False alarms among reals", ylabel="Fakes missed")

    summary = "; ".join(
        f"{n} misses {1 - _read(x, [1 - v for v in y], 0.05):.0%} at 5 % false alarms" for n, x, y in curves
    )
    return _svg(draw, "DET curves", summary)


def calibration(document: Benchmark) -> str:
    """Reliability diagram: said probability against the share of fakes."""
    found = [(d.name, [b for b in d.calibration.bins if b.n >= FEWEST]) for d in document.detectors if d.calibration]

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=_MUTED, linewidth=0.8, linestyle=":")
        for i, (name, bins) in enumerate(found):
            axes.plot([b.p for b in bins], [b.fakes for b in bins], color=_SERIES[i % 8], linestyle=_DASHES[i % 8], marker="o", markersize=3.5, linewidth=1.4, label=name)  # fmt: skip
        axes.set(xlim=(0, 1), ylim=(0, 1.01), xlabel="Probability said", ylabel="Share that are fakes")
        if found:
            axes.legend(frameon=False, fontsize=10, loc="upper left", handlelength=2.6)

    summary = "; ".join(
        f"{n} is off by at most {max(abs(b.p - b.fakes) for b in bins):.2f}" for n, bins in found if bins
    )
    return _svg(draw, "Calibration", summary)


def risk_coverage(document: Benchmark) -> str:
    """Error rate among the clips a detector is surest of."""
    curves = [(d.name, *d.calibration.risk_coverage) for d in document.detectors if d.calibration]

    def draw(axes: Any) -> None:
        _lines(axes, curves)
        axes.set(
            xlim=(0, 1), ylim=(0, None), xlabel="Share of clips answered, surest first", ylabel="Errors among them"
        )

    summary = "; ".join(
        f"{n} errs on {y[-1]:.0%} of all clips and {_upto(x, y, 0.5):.0%} of its surest half" for n, x, y in curves
    )
    return _svg(draw, "Risk and coverage", summary)


def _upto(x: Sequence[float], y: Sequence[float], at: float) -> float:
    return next((b for a, b in zip(reversed(x), reversed(y), strict=True) if a <= at), y[0])


def course(title: str, steps: Sequence[float], values: Sequence[float]) -> str:
    """A figure over the steps of a training, with its name above it."""

    def draw(axes: Any) -> None:
        axes.plot(steps, values, color=_SERIES[0], linewidth=1.7)
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("Step")

    ends = f"from {values[0]:.3g} to {values[-1]:.3g}" if values else "no step was logged"
    return _svg(draw, f"{title} over the steps of training", ends, width=3.4, height=2.6)


def forest(document: Benchmark) -> str:
    """The leaderboard as dots with their intervals."""
    rows = [
        (d.name, d.auc.value, d.auc.low, d.auc.high) for d in document.detectors if d.auc and d.auc.value is not None
    ]
    if not rows:
        return ""

    def draw(axes: Any) -> None:
        for i, (_, value, low, high) in enumerate(rows):
            if low is not None:
                axes.plot([low, high], [i, i], color=_SERIES[i % 8], linewidth=3, solid_capstyle="round", alpha=0.55)
            axes.plot([value], [i], "o", color=_SERIES[i % 8], markersize=6)
            axes.text(
                0, i - 0.28, rows[i][0], transform=axes.get_yaxis_transform()
            )  # beside the axis, names leave a phone no room
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_ylim(len(rows) - 0.6, -0.8)
        axes.axvline(0.5, color=_MUTED, linewidth=0.8, linestyle=":")
        axes.set_xlim(min([0.48] + [r[2] if r[2] is not None else r[1] for r in rows]) - 0.01, 1.005)
        shown = ", with 95 % interval" if any(low is not None for _, _, low, _ in rows) else ""
        axes.set_xlabel(f"AUC{shown}; 0.5 is chance")

    summary = "; ".join(f"{n} {v:.3f}" + (f", {lo:.3f} to {hi:.3f}" if lo is not None else "") for n, v, lo, hi in rows)
    return _svg(draw, "Leaderboard by AUC", summary, height=0.8 + 0.42 * len(rows))
