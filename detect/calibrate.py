"""What a score has meant on real clips: the false-alarm rate at each score, with interval, number, date and kind of clip.

A calibration set is real clips the weights were not fitted on (for the shipped detectors: scored by models that had seen neither
the person nor, in turn, each method). Outside what it holds, a reading is withheld: an abstention that names the measure and its range.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detect.base import Abstain
from detect.model import home_of
from gioconda.core.errors import UsageError, WeightsError
from gioconda.core.files import write_json
from gioconda.core.index import Index
from gioconda.core.types import Calibrated, Footage, Label, Level, Reading

__all__ = ["Calibration", "Scored", "judge", "measures", "selective_risk", "temperature", "threshold"]

Array = NDArray[Any]
SCHEMA = "gioconda.calibration/1"
STRONG = 0.05  # upper end of the interval of the false-alarm rate at or below which a signal is strong
SIGNAL = 0.10  # false-alarm rate at or below which a signal was found
MEASURES = ("face_px", "detail", "seconds", "side")
FEWEST = 20  # real clips a calibration set needs at all
FEWEST_STRATUM = 50  # and a stratum, to speak for itself; below, it is on the card and silent
SIDES = (360.0, 720.0)  # fixed, as video is published: where all clips are of one size, they do not speak of another


def interval(alarms: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper–Pearson: the exact interval of a share, alarms of n. It covers at least what it says at any n."""
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = 0.0 if alarms == 0 else float(beta.ppf(tail, alarms, n - alarms + 1))
    high = 1.0 if alarms == n else float(beta.ppf(1 - tail, alarms + 1, n - alarms))
    return low, high


def measures(footage: Footage) -> dict[str, float]:
    """What decides how like the calibration set a clip is, of its largest face.

    ``face_px`` : median extent of the face, pixels. ``detail`` : log of the mean fine residual in the face, log grey levels.
    ``seconds`` : how long the face is there. ``side`` : the picture's shorter side, pixels.
    """
    from detect import moments

    face = moments.moments(footage)[0]
    track = next(t for t in footage.tracks if t.id == face.track)
    from detect.preparation import face_px

    return {
        "face_px": float(np.median(face_px(track.landmarks))),
        "detail": moments.detail(face),
        "seconds": float(track.times[-1] - track.times[0]),
        "side": float(min(footage.frames.shape[1:3])),
    }


class Scored(NamedTuple):
    """A real clip's score. clip : which; a clip may be scored once for each quality. rung : of the codec ladder, empty = not told."""

    clip: str
    score: float
    measures: Mapping[str, float]
    rung: str = ""


def _names(measure: str, edges: Sequence[float]) -> tuple[str, ...]:
    """What the strata between these edges are called, wherever a rate is quoted."""
    if measure == "detail":
        return ("soft", "middling", "fine")
    what = {"face_px": "face", "side": "shorter side"}[measure]
    between = (f"{what} {low:.0f} to {high:.0f} px" for low, high in pairwise(edges))
    return (f"{what} under {edges[0]:.0f} px", *between, f"{what} from {edges[-1]:.0f} px")


@dataclass(frozen=True)
class Calibration:
    """A calibration card.

    scores : stratum → scores of real clips, ascending; ``all`` is always there. clips : stratum → number of different clips.
    edges : measure → where its strata part. span : measure → (least, most) that is read, None = no end. temperature : of the fit,
    or None. thresholds : nominal false-positive rate → score, or None where the set is too small to promise it.
    """

    detector: str
    weights_sha256: str | None
    name: str
    date: str
    protocol: str
    scores: Mapping[str, tuple[float, ...]]
    clips: Mapping[str, int]
    edges: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    span: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)
    temperature: float | None = None
    thresholds: Mapping[str, float | None] = field(default_factory=dict)
    selective: tuple[Mapping[str, float], ...] = ()
    note: str = ""

    @property
    def kinds(self) -> dict[str, tuple[str, ...]]:
        """What parts the set → its strata. ``compression`` is by rungs, which nobody knows of a stranger's clip: it is told, and
        never chosen by :meth:`strata`; detail in the face stands for it there."""
        kinds = {measure: _names(measure, edges) for measure, edges in self.edges.items()}
        rungs = tuple(name for name in self.scores if name != "all" and name not in sum(kinds.values(), ()))
        return kinds | ({"compression": rungs} if rungs else {})

    def speaks(self, stratum: str) -> bool:
        """Whether a stratum says something for itself: it holds enough clips, and not every one."""
        return self.clips[stratum] >= FEWEST_STRATUM and len(self.scores[stratum]) < len(self.scores["all"])

    def strata(self, found: Mapping[str, float]) -> list[str]:
        """The strata that a clip of these measures belongs to and that speak for themselves; else ``all``."""
        own = [
            _names(measure, edges)[int(np.searchsorted(edges, found[measure], side="right"))]
            for measure, edges in self.edges.items()
            if measure in found
        ]
        return [name for name in own if self.speaks(name)] or ["all"]

    def false_alarm(self, score: float, stratum: str = "all") -> tuple[float, float, float, int]:
        """(rate, low, high, n): the share of the stratum's real clips that score at least this, its 95 % interval, and how many."""
        values = np.asarray(self.scores[stratum])
        n = self.clips[stratum]
        share = float(np.mean(values >= score))
        low, high = interval(round(share * n), n)
        return share, low, high, n

    def table(self) -> list[dict[str, Any]]:
        """A row a stratum, ``all`` first: its share of real clips at one score, that which a tenth of all of them reach. It tells how
        far kinds of clip differ. speaks : whether :meth:`strata` may choose it."""
        score = float(np.quantile(self.scores["all"], 0.9, method="higher"))
        rows = []
        for kind, names in {"all": ("all",), **self.kinds}.items():
            for name in names:
                rate, low, high, n = self.false_alarm(score, name) if self.scores[name] else (None, None, None, 0)
                speaks = kind != "compression" and self.speaks(name)
                told = {"score": round(score, 4), "false_alarm": rate, "low": low, "high": high}
                rows.append({"kind": kind, "stratum": name, "clips": n, "speaks": speaks, **told})
        return rows

    def unlike(self, found: Mapping[str, float]) -> str | None:
        """Why a clip lies outside what was calibrated, with the measure and its range; None when it lies inside."""
        say = {
            "face_px": ("the face spans {0:.0f} pixels", "{0:.0f} to {1:.0f}"),
            "detail": ("detail is {0:.2f}", "{0:.2f} to {1:.2f}"),
            "seconds": ("the face is there for {0:.1f} s", "at least {0:.1f} s"),
        }
        for key, (least, most) in self.span.items():
            value = found.get(key)
            if value is None or least <= value <= (np.inf if most is None else most):
                continue
            what, spanned = say.get(key, (key + " is {0:.2f}", "{0:.2f} to {1:.2f}"))
            return f"{what.format(value)}; calibrated for {spanned.format(least, most)}"
        return None

    def write(self, folder: Path) -> None:
        document = {"schema": SCHEMA, **{key: getattr(self, key) for key in self.__dataclass_fields__}}
        document["scores"] = {key: [round(float(v), 4) for v in value] for key, value in self.scores.items()}
        write_json(folder / "calibration.json", document)

    @classmethod
    def read(cls, folder: Path) -> Calibration:
        path = folder / "calibration.json"
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise WeightsError("is not calibrated", where=str(folder), hint="gioconda detect calibrate") from None
        if document.pop("schema", None) != SCHEMA:
            raise WeightsError(f"is not a {SCHEMA} document", where=str(path))
        document["scores"] = {key: tuple(value) for key, value in document["scores"].items()}
        document["span"] = {key: tuple(value) for key, value in document["span"].items()}
        edges = document["edges"]
        if isinstance(edges, list):  # a card of before, with strata of detail alone
            edges = {"detail": edges} if edges else {}
        document["edges"] = {key: tuple(value) for key, value in edges.items()}
        document["selective"] = tuple(document["selective"])
        return cls(**document)


def judge(reading: Reading, footage: Footage) -> Calibrated:
    """A reading beside what its score has meant. Without a card: no level, rank only. Outside the card: an abstention."""
    if reading.score is None:
        return Calibrated(reading, Level.NOT_ASSESSED)
    folder = home_of(reading.weights_sha256)
    if folder is None or not (folder / "calibration.json").is_file():
        return Calibrated(reading, Level.NOT_ASSESSED)
    card = Calibration.read(folder)
    if card.weights_sha256 != reading.weights_sha256:
        return Calibrated(reading, Level.NOT_ASSESSED)  # another training's card says nothing about these weights
    try:
        found = measures(footage)
    except Abstain:
        found = {}
    why = card.unlike(found)
    if why:
        silent = replace(reading, score=None, series=(), abstained=f"outside what was calibrated: {why}")
        return Calibrated(silent, Level.NOT_ASSESSED, calibration_set=card.name, date=card.date)
    told = {name: card.false_alarm(reading.score, name) for name in card.strata(found)}
    stratum = max(told, key=lambda name: (told[name][0], told[name][2]))  # the one in which such a score means least
    rate, low, high, n = told[stratum]
    level = Level.NO_STRONG_SIGNAL
    if rate <= SIGNAL:
        level = Level.STRONG_SIGNAL if high <= STRONG else Level.SIGNAL
    return Calibrated(
        reading,
        level,
        rate,
        low,
        high,
        n,
        calibration_set=card.name,
        date=card.date,
        stratum=stratum,
        threshold=card.thresholds.get("0.05"),
    )


# --------------------------------------------------------------------------- making a card


def threshold(real: Array, rate: float, confidence: float = 0.9) -> float | None:
    """The least score at which the false-positive rate of new real clips stays at or below ``rate`` with this confidence.

    None where the set is too small to promise it (0.1 % needs thousands). By MAPIE's risk control, thresholds tested from the
    highest down (fixed sequence), so that looking at many costs nothing.
    """
    from mapie.risk_control import BinaryClassificationController

    unit = max(1.0, float(np.subtract(*np.quantile(real, [0.75, 0.25]))))
    grid = np.linspace(0.005, 0.995, 199)  # of the squashed score, fixed beforehand

    def squashed(x: Any) -> Array:
        p = 1 / (1 + np.exp(-np.asarray(x, float).ravel() / unit))
        return np.stack([1 - p, p], 1)

    controller = BinaryClassificationController(
        squashed,
        risk="fpr",
        target_level=rate,
        confidence_level=confidence,
        list_predict_params=grid,
        fwer_method="fixed_sequence",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "no threshold found" is an answer here, and is returned as None
        controller.calibrate(np.asarray(real)[:, None], np.zeros(len(real), int))
    valid = np.asarray(controller.valid_predict_params, float).ravel()
    if not len(valid):
        return None
    cut = float(valid.min())
    return float(np.log(cut / (1 - cut)) * unit)


def temperature(scores: Array, labels: Array) -> float:
    """T such that sigmoid(score / T) has the least log-loss on a balanced set. Source: Guo 2017."""
    from scipy.optimize import minimize_scalar

    weight = np.where(labels == 1, 0.5 / max(1, np.sum(labels == 1)), 0.5 / max(1, np.sum(labels == 0)))

    def loss(log_t: float) -> float:
        z = scores / np.exp(log_t)
        return float(np.sum(weight * (np.logaddexp(0, z) - labels * z)))

    return float(np.exp(minimize_scalar(loss, bounds=(-4, 6), method="bounded").x))


def selective_risk(scores: Array, labels: Array, cut: float = 0.0) -> list[dict[str, float]]:
    """Error rate among the clips a rule would still speak of, when it abstains on those nearest the cut first.

    Returns rows ``{coverage, risk}``, both classes weighing the same.
    """
    weight = np.where(labels == 1, 0.5 / max(1, np.sum(labels == 1)), 0.5 / max(1, np.sum(labels == 0)))
    order = np.argsort(-np.abs(scores - cut), kind="stable")
    wrong = ((scores >= cut).astype(int) != labels)[order] * weight[order]
    covered = np.cumsum(weight[order])
    risk = np.cumsum(wrong) / covered
    picks = np.unique(np.searchsorted(covered, np.arange(0.1, 1.001, 0.1) - 1e-9).clip(0, len(order) - 1))
    return [{"coverage": round(float(covered[i]), 3), "risk": round(float(risk[i]), 4)} for i in picks]


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


def make(
    detector: str,
    weights_sha256: str | None,
    name: str,
    date: str,
    protocol: str,
    real: Sequence[Scored],
    fakes: Sequence[float] = (),
    note: str = "",
) -> Calibration:
    """A card from scores of real clips, parted by each of detail, face size, picture size and rung.

    fakes : scores of fakes of methods unseen, for temperature and the selective-risk curve only; no rate rests on them.
    """
    if len(real) < FEWEST:
        raise UsageError(
            f"{len(real)} real clips can be scored; a calibration needs at least {FEWEST}",
            where=name,
            hint="an alarm rate from fewer would be an anecdote",
        )
    ids = np.array([row.clip for row in real])
    scores = np.array([row.score for row in real])
    rungs = np.array([row.rung for row in real])
    rows: dict[str, Array] = {"all": np.ones(len(ids), bool)}
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
    rows |= {rung: rungs == rung for rung in dict.fromkeys(rungs.tolist()) if rung}
    alone = _one_a_clip(ids, scores)
    both = np.concatenate([alone, np.asarray(fakes, float)])
    labels = np.concatenate([np.zeros(len(alone), int), np.ones(len(fakes), int)])
    cut = float(np.median(both)) if len(fakes) else 0.0
    return Calibration(
        detector=detector,
        weights_sha256=weights_sha256,
        name=name,
        date=date,
        protocol=protocol,
        scores={key: tuple(sorted(float(v) for v in scores[mask])) for key, mask in rows.items()},
        clips={key: len(set(ids[mask].tolist())) for key, mask in rows.items()},
        edges=edges,
        span=span,
        temperature=temperature(both - cut, labels) if len(fakes) else None,
        thresholds={f"{rate:g}": threshold(alone, rate) for rate in (0.1, 0.05, 0.01, 0.001)},
        selective=tuple(selective_risk(both, labels, cut)) if len(fakes) else (),
        note=note,
    )


def run(
    name: str,
    index: Index,
    set_name: str,
    *,
    rungs: Sequence[str] = ("clean",),
    force: bool = False,
    advance: Any = None,
) -> Calibration:
    """Score a set with a detector whose weights lie in a folder of the user's, and write ``calibration.json`` beside them.

    rungs : of :data:`detect.extract.RUNGS`; real clips are scored on each, fakes on the first.

    Raises
    ------
    UsageError
        A card is there already, the weights come with the package, or too few real clips can be scored.
    """
    import datetime

    from detect import extract
    from detect.contain import run as read
    from detect.footage import observe
    from detect.registry import WEIGHTS, load
    from gioconda.core.files import refuse_overwrite
    from gioconda.core.media import Clip

    detector = load(name)
    folder = home_of(detector.weights_sha256)
    if folder is None or folder.is_relative_to(WEIGHTS):
        raise UsageError("has no folder of its own to keep a card in", where=name, hint="give NAME:RUN, a run folder")
    refuse_overwrite(folder / "calibration.json", force)
    extract.check(rungs)
    real: list[Scored] = []
    fakes: list[float] = []
    protocol = "all"
    for sample in index:
        if advance:
            advance()
        if sample.label == Label.UNKNOWN:
            continue
        for rung in rungs if sample.label == Label.REAL else rungs[:1]:
            with extract.worse(index.resolve(sample), rung) as path, Clip.open(path) as clip:
                footage = observe(clip, [detector])
            said = read(detector, footage)
            if said.score is None:
                continue
            protocol = said.protocol
            if sample.label == Label.REAL:
                real.append(Scored(sample.sha256 or sample.path, said.score, measures(footage), rung))
            else:
                fakes.append(said.score)
    today = datetime.date.today().isoformat()
    card = make(detector.id, detector.weights_sha256, set_name, today, protocol, real, fakes)
    card.write(folder)
    return card


def _one_a_clip(ids: Array, scores: Array) -> Array:
    """The largest score of each clip: the cautious side for a promise about false alarms."""
    return np.array([scores[ids == clip].max() for clip in sorted(set(ids.tolist()))])
