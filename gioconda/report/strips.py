"""Scores over time as inline SVG: bars on a quiet ground, what was not examined hatched, the line of a signal dashed; no script."""

from __future__ import annotations

import zlib
from html import escape

from gioconda.report.view import Strip
from gioconda.report.wording import number

__all__ = ["svg"]

WINDOW = 2.0  # seconds: as much as one score of the shipped detectors covers, and the most a bar is drawn wide
WIDTH, HEIGHT, BASE = 720, 78, 60  # user units; BASE is where the time axis runs


def svg(strip: Strip, duration: float, *, seek: bool = False) -> str:
    """One strip. Bars at or above the threshold are coloured *and* reach the dashed line, so colour is not needed to read it.

    duration : seconds of the clip; 0 for a still picture. seek : mark the strip for the page's script.
    """
    end = max([duration, *strip.times]) or 1.0
    values = [*strip.scores] + ([strip.threshold] if strip.threshold is not None else [])
    low, high = min(values), max(values)
    span = (high - low) or 1.0

    def y(score: float) -> float:
        return BASE - 6 - (BASE - 18) * (score - low) / span

    gaps = sorted(b - a for a, b in zip(strip.times, strip.times[1:], strict=False))
    step = gaps[len(gaps) // 2] if gaps else end / 12
    wide = max(2.0, WIDTH * min(step, WINDOW) / end - 1)
    role = 'role="img"'
    if seek:  # the page's script moves the video with it, by pointer and by arrow keys
        role = f'role="slider" tabindex="0" aria-valuemin="0" aria-valuemax="{end:.3f}" aria-valuenow="0" data-seek="{end:.3f}"'
    parts = [
        f'<svg class="strip" viewBox="0 0 {WIDTH} {HEIGHT}" {role} aria-label="{escape(strip.description)}">',
        f'<rect class="ground" x="0" y="4" width="{WIDTH}" height="{BASE - 4}" rx="4"/>',
    ]
    hatch = f"hatch-{zlib.crc32(strip.description.encode()):08x}"
    if strip.unexamined:
        parts.append(
            f'<defs><pattern id="{hatch}" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            '<line class="hatch" x1="0" y1="0" x2="0" y2="8"/></pattern></defs>'
        )
    for start, stop in strip.unexamined:
        x, span_wide = WIDTH * start / end, WIDTH * (min(stop, end) - start) / end
        parts.append(
            f'<rect class="unexamined" fill="url(#{hatch})" x="{x:.1f}" y="4" width="{span_wide:.1f}" height="{BASE - 4}"><title>'
            f"{number(round(start, 1))}–{number(round(stop, 1))} s</title></rect>"
        )
    for time, score in zip(strip.times, strip.scores, strict=True):
        over = strip.threshold is not None and score >= strip.threshold
        x = min(max(WIDTH * time / end - wide / 2, 0), WIDTH - wide)
        top = y(score)
        parts.append(
            f'<rect class="bar{" over" if over else ""}" x="{x:.1f}" y="{top:.1f}" width="{wide:.1f}" '
            f'height="{BASE - top:.1f}" rx="1"><title>{number(time)} s: {score:.3f}</title></rect>'
        )
    if strip.threshold is not None:
        line = y(strip.threshold)
        parts.append(f'<line class="threshold" x1="0" x2="{WIDTH}" y1="{line:.1f}" y2="{line:.1f}"/>')
    parts.append(f'<line class="axis" x1="0" x2="{WIDTH}" y1="{BASE}" y2="{BASE}"/>')
    if duration > 0:
        for i in range(5):
            anchor = "start" if i == 0 else "end" if i == 4 else "middle"
            parts.append(
                f'<text x="{WIDTH * i / 4:.0f}" y="{HEIGHT - 4}" text-anchor="{anchor}">{number(round(end * i / 4, 1))} s</text>'
            )
    if seek:
        parts.append(f'<line class="here" x1="-5" x2="-5" y1="2" y2="{BASE}"/>')
    parts.append("</svg>")
    return "".join(parts)
