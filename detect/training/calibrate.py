"""Makes calibration cards: the false-alarm rate that each score has meant on real clips, with interval, number, date and kind of clip.

A calibration set is real clips the weights were not fitted on (for the shipped detectors: scored by models that had seen neither
the person nor, in turn, each method). Outside what it holds, a reading is withheld: an abstention that names the measure and its range.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from detect.features.model import home_of
from detect.reading.calibration import MEASURES, SIDES, Array, Calibration, _names, measures
from gioconda_core.datasets.index import Index
from gioconda_core.errors import UsageError
from gioconda_core.files import refuse_overwrite
from gioconda_core.media.clip import Clip
from gioconda_core.stats.shares import threshold
from gioconda_core.types import Label, Level

FEWEST = 20  # real clips a calibration set needs at all


class Scored(NamedTuple):
    """A real clip's score. clip : which; a clip may be scored once for each quality. rung : of the codec ladder, empty = not told.
    person : who is in it, empty = nobody who is in another clip."""

    clip: str
    score: float
    measures: Mapping[str, float]
    rung: str = ""
    person: str = ""


# --------------------------------------------------------------------------- making a card


# How far beyond what was seen a clip may lie and still be read. Larger faces are shrunk to the size of those measured, and longer
# clips are read in windows as long as theirs; a smaller face or a shorter clip has less to measure than any that was calibrated.
_SPAN: Mapping[str, Callable[[float, float], tuple[float, float | None]]] = {
    "face_px": lambda least, most: (least / 1.25, most * 8),
    "detail": lambda least, most: (least - 0.3, most + 0.3),
    "seconds": lambda least, most: (least / 1.25, None),
}

_EDGES: Mapping[str, Callable[[Array], tuple[float, ...]]] = {
    "detail": lambda values: tuple(map(float, np.quantile(values, [1 / 3, 2 / 3]))),
    "face_px": lambda values: tuple(map(float, np.unique(np.round(np.quantile(values, [1 / 3, 2 / 3]))))),
    "side": lambda values: SIDES,
}


def _parted(
    real: Sequence[Scored],
) -> tuple[dict[str, Array], dict[str, tuple[float, ...]], dict[str, tuple[float, float | None]]]:
    """Kind of clip → (N,) which of them are of it; measure → where kinds meet; measure → what may be read."""
    rungs = np.array([row.rung for row in real])
    rows: dict[str, Array] = {"all": np.ones(len(real), bool)}
    edges: dict[str, tuple[float, ...]] = {}
    span: dict[str, tuple[float, float | None]] = {}
    for key in MEASURES:
        values = np.array([row.measures.get(key, np.nan) for row in real])
        if not np.isfinite(values).all():
            continue
        if key in _SPAN:
            span[key] = _SPAN[key](float(values.min()), float(values.max()))
        if key in _EDGES:
            edges[key] = _EDGES[key](values)
            which = np.searchsorted(edges[key], values, side="right")
            rows |= {name: which == k for k, name in enumerate(_names(key, edges[key]))}
    return rows | {rung: rungs == rung for rung in dict.fromkeys(rungs.tolist()) if rung}, edges, span


def make(
    detector: str, weights_sha256: str | None, name: str, date: str, protocol: str, real: Sequence[Scored]
) -> Calibration:
    """A card from scores of real clips, parted by each of detail, face size, picture size and rung; no rate rests on fakes."""
    if len(real) < FEWEST:
        raise UsageError(
            f"{len(real)} real clips can be scored; a calibration needs at least {FEWEST}",
            where=name,
            hint="an alarm rate from fewer would be an anecdote",
        )
    ids = np.array([row.clip for row in real])
    scores = np.array([row.score for row in real])
    rows, edges, span = _parted(real)
    # the cautious side for a promise
    alone = np.array([scores[ids == clip].max() for clip in sorted(set(ids.tolist()))])
    card = Calibration(
        detector=detector,
        weights_sha256=weights_sha256,
        name=name,
        date=date,
        protocol=protocol,
        scores={key: tuple(sorted(float(v) for v in scores[mask])) for key, mask in rows.items()},
        clips={key: len(set(ids[mask].tolist())) for key, mask in rows.items()},
        edges=edges,
        span=span,
        thresholds={f"{rate:g}": threshold(alone, rate, 0.9) for rate in (0.1, 0.05, 0.01, 0.001)},
    )
    return replace(card, headlines=_headlines(card, real, rows))


def _headlines(card: Calibration, real: Sequence[Scored], rows: Mapping[str, Array]) -> dict[str, int]:
    """Level → how many of the set's real clips get it by the very rule of reports. A clip is judged by the clips of everybody else (of all
    other clips, where there is one person), in the strata that the whole card would choose; one of several qualities counts by their share.

    rows : stratum → (N,) which of ``real`` are in it."""
    ids = np.array([row.clip for row in real])
    scores = np.array([row.score for row in real])
    persons = np.array([row.person or f"clip {row.clip}" for row in real])
    groups = persons if len(set(persons.tolist())) > 1 else ids
    found = dict.fromkeys((Level.NO_STRONG_SIGNAL, Level.SIGNAL, Level.STRONG_SIGNAL), 0.0)
    for who in set(groups.tolist()):
        others = groups != who
        rest = replace(
            card,
            scores={name: scores[mask & others] for name, mask in rows.items()},
            clips={name: len(set(ids[mask & others].tolist())) for name, mask in rows.items()},
        )
        for k in np.flatnonzero(~others).tolist():
            strata = [name for name in card.strata(real[k].measures) if rest.clips[name]] or ["all"]
            level = rest.least(real[k].score, strata)[0]
            found[level] += 1 / float(np.sum(ids == ids[k]))
    return {level.value: round(clips) for level, clips in found.items()}


def run(
    name: str,
    index: Index,
    set_name: str,
    *,
    rungs: Sequence[str] = ("clean",),
    force: bool = False,
    advance: Callable[..., object] | None = None,
) -> Calibration:
    """Score a set with a detector whose weights lie in a folder of the user's, and write ``calibration.json`` beside them.

    rungs : of :data:`detect.training.options.QUALITIES`; real clips are scored on each.

    Raises
    ------
    UsageError
        A card is there already, the weights come with the package, or too few real clips can be scored.
    """
    import datetime

    from detect.reading.observe import observe, readings
    from detect.registry import WEIGHTS, load
    from detect.training import extract

    detector = load(name)
    folder = home_of(detector.weights_sha256)
    if folder is None or folder.is_relative_to(WEIGHTS):
        raise UsageError("has no folder of its own to keep a card in", where=name, hint="give NAME:RUN, a run folder")
    refuse_overwrite(folder / "calibration.json", force)
    extract.check(rungs)
    real: list[Scored] = []
    protocol = "all"
    for sample in index:
        if advance:
            advance()
        for rung in rungs if sample.label == Label.REAL else ():
            with extract.degraded(index.resolve(sample), rung) as path, Clip.open(path) as clip:
                footage = observe(clip, [detector])
            ((reading, _),) = readings(footage, [detector], calibrated=False)
            if reading.score is None:
                continue
            protocol = reading.protocol
            clip_id, person = sample.sha256 or sample.path, sample.identity or ""
            real.append(Scored(clip_id, reading.score, measures(footage), rung, person))
    today = datetime.date.today().isoformat()
    card = make(detector.id, detector.weights_sha256, set_name, today, protocol, real)
    card.write(folder)
    return card
