"""Scores over time as inline SVG: bars on a quiet ground, what was not examined hatched, the line from which a moment stands out dashed; no script."""

import zlib
from html import escape

from gioconda.report.view import Strip, silences
from gioconda.report.wording import number
from gioconda_core.types import Sound

WINDOW = 2.0  # seconds: as much as one score of the shipped detectors covers, and the most a bar is drawn wide
WIDTH, HEIGHT, BASE = 720, 78, 60  # user units; BASE is where the time axis runs


def svg(strip: Strip, duration: float, *, seek: bool = False, lang: str = "en") -> str:
    """One strip. Bars at or above the threshold are coloured *and* reach the dashed line, so colour is not needed to read it.

    duration : seconds of the clip; 0 for a still picture. seek : mark the strip for the page's script. lang : whose decimal sign is written.
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
    parts = _begun(strip.description, _role(end, seek))
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
            f"{number(round(start, 1), lang)}–{number(round(stop, 1), lang)} s</title></rect>"
        )
    for time, score in zip(strip.times, strip.scores, strict=True):
        over = strip.threshold is not None and score >= strip.threshold
        x = min(max(WIDTH * time / end - wide / 2, 0), WIDTH - wide)
        top = y(score)
        parts.append(
            f'<rect class="bar{" over" if over else ""}" x="{x:.1f}" y="{top:.1f}" width="{wide:.1f}" '
            f'height="{BASE - top:.1f}" rx="1"><title>{number(time, lang)} s: {number(score, lang)}</title></rect>'
        )
    if strip.threshold is not None:
        line = y(strip.threshold)
        parts.append(f'<line class="threshold" x1="0" x2="{WIDTH}" y1="{line:.1f}" y2="{line:.1f}"/>')
    for score in (low, high):
        parts.append(
            f'<text class="scale" x="4" y="{y(score) + (-3 if score == low else 4):.1f}">{number(round(score, 2), lang)}</text>'
        )
    return "".join([*parts, *_axis(duration, end, seek, lang), "</svg>"])


def _begun(name: str, role: str, height: int = BASE - 4) -> list[str]:
    """The picture's start and its ground. name : what is drawn, for people who do not see it."""
    return [
        f'<svg class="strip" viewBox="0 0 {WIDTH} {HEIGHT}" {role} aria-label="{escape(name)}">',
        f'<rect class="ground" x="0" y="4" width="{WIDTH}" height="{height}" rx="4"/>',
    ]


def _axis(duration: float, end: float, seek: bool, lang: str) -> list[str]:
    """The time axis with its moments, and the line that the page's script moves."""
    parts = [f'<line class="axis" x1="0" x2="{WIDTH}" y1="{BASE}" y2="{BASE}"/>']
    parts += moments(end, HEIGHT - 4, lang) if duration > 0 else []
    return [*parts, f'<line class="here" x1="-5" x2="-5" y1="2" y2="{BASE}"/>'] if seek else parts


def moments(end: float, y: int, lang: str) -> list[str]:
    """Five moments from 0 to ``end`` seconds, spread over the width."""
    anchors = ("start", "middle", "middle", "middle", "end")
    return [
        f'<text x="{WIDTH * i / 4:.0f}" y="{y}" text-anchor="{anchor}">{number(round(end * i / 4, 1), lang)} s</text>'
        for i, anchor in enumerate(anchors)
    ]


def _role(end: float, seek: bool) -> str:
    """A picture; on the local page, something that pointer and arrow keys move the video with."""
    if not seek:
        return 'role="img"'
    return f'role="slider" tabindex="0" aria-valuemin="0" aria-valuemax="{end:.3f}" aria-valuenow="0" data-seek="{end:.3f}"'


def waveform(sound: Sound, duration: float, name: str, *, seek: bool = False, lang: str = "en") -> str:
    """The sound under the same seconds as the strips: its peaks about a middle line, stretches without any sound outlined.

    name : what is drawn, for people who do not see it.
    """
    end = max(duration, sound.offset + sound.seconds) or 1.0
    middle, room = (BASE + 4) / 2, (BASE - 8) / 2
    step = sound.seconds / max(1, len(sound.peaks))
    shown = [(WIDTH * max(0.0, sound.offset + i * step) / end, room * peak) for i, peak in enumerate(sound.peaks)]
    outline = [f"{x:.1f},{middle - h:.1f}" for x, h in shown] + [
        f"{x:.1f},{middle + h:.1f}" for x, h in reversed(shown)
    ]
    parts = [*_begun(name, _role(end, seek)), f'<polygon class="wave" points="{" ".join(outline)}"/>']
    for start, stop in silences(sound):
        x, wide = WIDTH * start / end, WIDTH * (stop - start) / end
        parts.append(
            f'<rect class="gap" x="{x:.1f}" y="6" width="{max(2.0, wide):.1f}" height="{BASE - 8}"><title>'
            f"{number(start, lang)}–{number(stop, lang)} s</title></rect>"
        )
    return "".join([*parts, *_axis(duration, end, seek, lang), "</svg>"])


def spectrogram(sound: Sound, duration: float, name: str, picture: str) -> str:
    """The spectrogram under the same seconds as the waveform. picture : its data URI."""
    end = max(duration, sound.offset + sound.seconds) or 1.0
    x, wide = WIDTH * max(0.0, sound.offset) / end, WIDTH * sound.seconds / end
    return (
        "".join(_begun(name, 'role="img"', HEIGHT - 6))
        + f'<image href="{picture}" x="{x:.1f}" y="4" width="{wide:.1f}" height="{HEIGHT - 6}" preserveAspectRatio="none"/>'
        '<text class="scale" x="4" y="16">8 kHz</text></svg>'
    )
