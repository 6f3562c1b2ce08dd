"""What a score has meant on real clips: the false-alarm rate at each score, read from a card and put beside a reading."""

import json
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect.base import Abstain, Card
from detect.features.model import home_of
from detect.figures import Kind
from gioconda_core import documents
from gioconda_core.errors import WeightsError
from gioconda_core.files import write_json
from gioconda_core.reasons import Abstention, AbstentionReason, Difference, DifferenceReason
from gioconda_core.stats.shares import clopper_pearson
from gioconda_core.types import Calibrated, FaceCalibrated, Footage, Level, Reading

Array = NDArray[Any]


SCHEMA = "gioconda.calibration/1"
STRONG = 0.05  # upper end of the interval of the false-alarm rate at or below which a signal is strong
SIGNAL = 0.10  # and at or below which a signal was found
_DIFFERENCES = {
    "face_px": DifferenceReason.FACE_SIZE,
    "detail": DifferenceReason.DETAIL,
    "seconds": DifferenceReason.LENGTH,
}
MEASURES = ("face_px", "detail", "room", "seconds", "fps", "side")
FEWEST_STRATUM = 100  # and a stratum, to speak for itself; below, it is on the card and silent
SIDES = (360.0, 720.0)  # fixed, as video is published: where all clips are of one size, they do not speak of another
# The second-difference kernel of the rich models (Fridrich and Kodovský 2012): what is left is what its neighbours do not foretell.
KERNEL = np.array([[-1, 2, -1], [2, -4, 2], [-1, 2, -1]], np.float32) / 4
LOOKS = 16  # frames that are measured


def measures(footage: Footage, face: int | None = None) -> dict[str, float]:
    """What decides how like the calibration set a face in a clip is. face : id of its track; None = the largest.

    ``face_px`` : median extent of the face, pixels. ``detail`` : log of the mean fine residual in the face, log grey levels; −3 is a blank, 1
    is grain. ``room`` : the same of its surroundings; −3 is a drawn or painted-over background. ``seconds`` : how long the face is
    there. ``fps`` : frames a second. ``side`` : the picture's shorter side, pixels.

    Raises
    ------
    Abstain
        There is no face that can be measured.
    """
    return footage.shared.once(("measures", face), lambda: _measures(footage, face))


def _measures(footage: Footage, face: int | None) -> dict[str, float]:
    import cv2

    from detect.face_crops import by_size, usable
    from detect.features import contrast

    track = next((t for t in by_size(footage) if face is None or t.id == face), None)
    seen = usable(track, footage.times) if track is not None else []
    if track is None or not seen:
        raise Abstain(AbstentionReason.NO_FACE)
    extent = track.extent
    inside: list[float] = []
    outside: list[float] = []
    for k in np.unique(np.linspace(0, len(seen) - 1, LOOKS).round().astype(int)):
        frame, row = seen[k]
        (picture,), (points,) = contrast.cut([footage.frames[frame]], track.landmarks[row][None], extent)
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
        fine = np.abs(cv2.filter2D(grey, -1, KERNEL)).ravel()
        for kept, mask in zip((inside, outside), contrast.masks(points), strict=True):
            kept.append(float(fine @ mask.ravel()) / max(float(mask.sum()), 1.0))
    found = {
        "face_px": extent,
        "detail": float(np.mean(np.log(np.asarray(inside) + 0.05))),
        "room": float(np.mean(np.log(np.asarray(outside) + 0.05))),
        "seconds": float(track.times[-1] - track.times[0]),
        "side": float(min(footage.frames.shape[1:3])),
    }
    return found | ({"fps": float(footage.fps)} if footage.fps else {})


def _names(measure: str, edges: Sequence[float]) -> tuple[str, ...]:
    """What the strata between these edges are called, wherever a rate is quoted."""
    if measure == "detail":
        return ("soft", "middling", "fine")
    what = {"face_px": "face", "side": "shorter side"}[measure]
    between = (f"{what} {low:.0f} to {high:.0f} px" for low, high in pairwise(edges))
    return (f"{what} under {edges[0]:.0f} px", *between, f"{what} from {edges[-1]:.0f} px")


@dataclass(frozen=True)
class Stratum:
    """A kind of real clips in :meth:`Calibration.table`.

    speaks : whether :meth:`Calibration.strata` may choose it. false_alarm, low, high : the share of its clips that score at least
    ``score``, with its 95 % interval; None where it has none.
    """

    kind: str
    stratum: str
    clips: int
    speaks: bool
    score: float
    false_alarm: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Calibration:
    """A calibration card.

    scores : stratum → scores of real clips, ascending; ``all`` is always there. clips : stratum → number of different clips.
    edges : measure → where its strata part. span : measure → (least, most) that is read, None = no end.
    thresholds : nominal false-positive rate → score, None where the set is too small to promise it.
    kinds_validated : kinds of clips with the skill shown on them; of a kind without it no clip is read.
    windows : of each real clip the scores of its windows, of those that its score is the mean of and of others at moments between.
    headlines : level → how many of the set's real clips get it by :meth:`meaning`, each judged by the clips of other persons alone.
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
    thresholds: Mapping[str, float | None] = field(default_factory=dict)
    note: str = ""
    kinds_validated: tuple[Kind, ...] = ()
    windows: tuple[tuple[float, ...], ...] = ()
    headlines: Mapping[str, int] = field(default_factory=dict)

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

    def strata(self, found: Mapping[str, float], faces: int = 1) -> list[str]:
        """The strata that a clip of these measures belongs to and that speak for themselves; else ``all``. faces : read in the clip: a stratum
        of so few clips that no score of one of so many faces could be a signal says nothing."""
        own = [
            _names(measure, edges)[int(np.searchsorted(edges, found[measure], side="right"))]
            for measure, edges in self.edges.items()
            if measure in found
        ]
        return [
            name
            for name in own
            if self.speaks(name) and any_of(clopper_pearson(0, self.clips[name])[1], faces) <= SIGNAL
        ] or ["all"]

    def false_alarm(self, score: float, stratum: str = "all") -> tuple[float, float, float, int]:
        """(rate, low, high, n): the share of the stratum's real clips that score at least this, its 95 % interval, and how many."""
        values = np.asarray(self.scores[stratum])
        n = self.clips[stratum]
        share = float(np.mean(values >= score))
        low, high = clopper_pearson(round(share * n), n)
        return share, low, high, n

    def meaning(
        self, score: float, found: Mapping[str, float], faces: int = 1
    ) -> tuple[Level, str, float, float, float, int]:
        """What a score means on a face of these measures: level, and of the stratum in which such a score means least its name, rate,
        interval and number of real clips. faces : of one clip, of which this is the one with the highest score."""
        return self.least(score, self.strata(found, faces), faces)

    def least(self, score: float, strata: Sequence[str], faces: int = 1) -> tuple[Level, str, float, float, float, int]:
        """:meth:`meaning` among these strata."""
        rates = {name: self.false_alarm(score, name) for name in strata}
        stratum = max(rates, key=lambda name: (rates[name][0], rates[name][2]))
        rate, low, high, n = rates[stratum]
        return level_of(any_of(high, faces)), stratum, rate, low, high, n

    def threshold_of(self, stratum: str = "all", faces: int = 1) -> float | None:
        """The least score at which a signal is found: just above one of the stratum's; None where no score is high enough. faces : read in
        one clip."""
        above: list[float] = np.nextafter(np.unique(np.asarray(self.scores[stratum])), np.inf).tolist()
        return _first(above, lambda score: any_of(self.false_alarm(score, stratum)[2], faces) <= SIGNAL)

    @cached_property
    def _about_means(self) -> tuple[Array, Array]:
        """Each clip's mean over its windows, and how far windows lie from their clip's mean, ascending."""
        means = np.array([np.mean(own) for own in self.windows])
        apart = [
            np.subtract(own, np.mean(own)) * np.sqrt(len(own) / (len(own) - 1)) for own in self.windows if len(own) > 1
        ]
        return means, np.sort(np.concatenate([*apart, np.zeros(0 if apart else 1)]))

    def any_window(self, score: float, count: int) -> float:
        """The share of real clips of which any of ``count`` windows would score at least this.

        Each clip's windows are taken to lie about their own mean as those of all clips lie about theirs, one independent of the other."""
        means, residuals = self._about_means
        below = np.searchsorted(residuals, score - means, side="left") / len(residuals)
        return float(np.mean(1 - below**count))

    def threshold_of_windows(self, count: int, stratum: str = "all", faces: int = 1) -> float | None:
        """The least score at which a single one of a clip's ``count`` windows stands out: by the rule of a signal, told of the share of real
        clips of which *any* of so many windows scores as much. Never under the clip's own line, and that line itself where there is one window.
        None where no score is high enough, or where the card has no windows. faces : whose windows they are."""
        line = self.threshold_of(stratum, faces)
        if count <= 1 or line is None:
            return line
        if not self.windows:
            return None
        n = len(self.windows)
        scores = sorted({line, *(value for own in self.windows for value in own if value > line)})
        return _first(scores, lambda score: clopper_pearson(round(self.any_window(score, count) * n), n)[1] <= SIGNAL)

    def table(self) -> list[Stratum]:
        """A row a stratum, ``all`` first: its share of real clips at one score, that which a tenth of all of them reach. It tells how
        far kinds of clip differ."""
        score = float(np.quantile(self.scores["all"], 0.9, method="higher"))
        rows = []
        for kind, names in {"all": ("all",), **self.kinds}.items():
            for name in names:
                rate, low, high, n = self.false_alarm(score, name) if self.scores[name] else (None, None, None, 0)
                speaks = kind != "compression" and self.speaks(name)
                rows.append(Stratum(kind, name, n, speaks, round(score, 4), rate, low, high))
        return rows

    def unlike(self, found: Mapping[str, float]) -> Difference | None:
        """In what a clip lies outside what was calibrated, with its range; None when it lies inside."""
        for key, (least, most) in self.span.items():
            value = found.get(key)
            if value is None or least <= value <= (np.inf if most is None else most):
                continue
            detail = {"measure": key, "value": value, "least": least, "most": most}
            return Difference(_DIFFERENCES.get(key, DifferenceReason.MEASURE), detail)
        return None

    def unskilled(self, found: Mapping[str, float]) -> Abstention | None:
        """Why a clip is of a kind on which validation showed no skill, or too few clips to tell; None when it is of none."""
        for kind in self.kinds_validated:
            value = found.get(kind.measure)
            if value is None or kind.skill or not kind.holds(value):
                continue
            detail = {"measure": kind.measure, "value": value, "reals": kind.reals, "fakes": kind.fakes}
            if kind.skill is None:
                return Abstention(AbstentionReason.KIND_NOT_VALIDATED, detail)
            return Abstention(AbstentionReason.NO_SKILL_ON_KIND, detail | {"low": kind.low, "high": kind.high})
        return None

    def write(self, folder: Path) -> None:
        """Write ``calibration.json`` into a folder of weights."""
        rounded = replace(
            self,
            scores={key: tuple(round(v, 4) for v in own) for key, own in self.scores.items()},
            windows=tuple(tuple(round(v, 4) for v in own) for own in self.windows),
        )
        write_json(folder / "calibration.json", {"schema": SCHEMA, **documents.plain(rounded)})

    @classmethod
    def read(cls, folder: Path) -> "Calibration":
        """The card in a folder of weights; WeightsError where there is none."""
        path = folder / "calibration.json"
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise WeightsError("is not calibrated", where=str(folder), hint="gioconda detect calibrate") from None
        if document.get("schema") != SCHEMA:
            raise WeightsError(f"is not a {SCHEMA} document", where=str(path))
        return documents.read(cls, document)


def judge(reading: Reading, footage: Footage) -> Calibrated:
    """A reading beside what its score has meant. Without a card: no level, rank only. Outside the card: an abstention.

    Where a detector read several faces, each is judged by its own measures, and the clip by the face with the strongest level: a face that
    cannot be assessed is named beside the others and withholds nothing of theirs. The set's clips show one face each, so that a clip of
    several has as many chances of a false alarm; its levels allow for them (:func:`any_of`).

    A detector whose own card says that it showed no skill on a sealed set has its rates told, and sets no level.
    """
    if reading.score is None:
        return Calibrated(reading, Level.NOT_ASSESSED)
    folder = home_of(reading.weights_sha256)
    if folder is None or not (folder / "calibration.json").is_file():
        return Calibrated(reading, Level.NOT_ASSESSED)
    card = Calibration.read(folder)
    if card.weights_sha256 != reading.weights_sha256:
        return Calibrated(reading, Level.NOT_ASSESSED)  # another training's card says nothing about these weights
    about = Card.read(folder / "card.json") if (folder / "card.json").is_file() else None
    sealed = about.sealed if about else None
    shown = sealed is None or sealed.skill
    found = [_measured(track, score, card, footage) for track, score in _scores(reading)]
    count = sum(face.reason is None for face in found)
    if not count:
        return _withheld(reading, card, found)
    faces = [_judged(face, card, count, shown) for face in found]
    strength = [Level.NO_SKILL, Level.NO_STRONG_SIGNAL, Level.SIGNAL, Level.STRONG_SIGNAL]
    assessed = [k for k, face in enumerate(faces) if face.abstained is None]
    first = max(assessed, key=lambda k: (strength.index(faces[k].level), found[k].score))
    lead = faces[first]
    stratum = lead.stratum or "all"
    rate, low, high, n = card.false_alarm(found[first].score, stratum)
    silent = {face.track for face in faces if face.abstained is not None}
    series = tuple(one for one in reading.series if one.track not in silent)
    windows = sum(len(one.scores) for one in series)
    lines = [card.threshold_of_windows(windows, faces[k].stratum or "all", count) for k in assessed]
    return Calibrated(
        replace(reading, score=found[first].score, series=series),
        lead.level,
        rate,
        low,
        high,
        n,
        calibration_set=card.name,
        date=card.date,
        stratum=stratum,
        threshold=card.threshold_of(stratum, count),
        window_threshold=max((line for line in lines if line is not None), default=None),
        sealed=sealed,
        unseen=about.unseen if about else None,
        same_headline=card.headlines.get(lead.level),
        of_reals=card.clips["all"],
        faces=tuple(faces) if len(faces) > 1 else (),
        track=lead.track if reading.series else None,
        stronger=card.headlines.get(Level.STRONG_SIGNAL) if lead.level == Level.SIGNAL else None,
    )


@dataclass(frozen=True)
class _Face:
    """A face's score, its measures, and why it is not assessed."""

    track: int | None
    score: float
    measures: Mapping[str, float]
    reason: Abstention | None


def _scores(reading: Reading) -> list[tuple[int | None, float]]:
    """(track, score) of each face that was read, where the reading's score is the highest of theirs; else one score of the largest face."""
    assert reading.score is not None
    faces = [(series.track, float(np.mean(series.scores))) for series in reading.series if series.scores]
    if reading.pooling != "max-track-mean" or not faces:
        return [(None, reading.score)]
    return [(faces[0][0], reading.score)] if len(faces) == 1 else list(faces)


def _measured(track: int | None, score: float, card: Calibration, footage: Footage) -> _Face:
    """A face beside what was calibrated."""
    try:
        found = measures(footage, track)
    except Abstain:
        found = {}
    if difference := card.unlike(found):
        reason = Abstention(AbstentionReason.OUTSIDE_CALIBRATION, {"difference": difference.document()})
        return _Face(track, score, found, reason)
    return _Face(track, score, found, card.unskilled(found))


def _judged(face: _Face, card: Calibration, count: int, shown: bool) -> FaceCalibrated:
    """One of ``count`` assessed faces. shown : whether the detector has shown skill at all."""
    track = -1 if face.track is None else face.track
    if face.reason is not None:
        return FaceCalibrated(track, Level.NOT_ASSESSED, abstained=face.reason)
    level, stratum, rate, _, _, n = card.meaning(face.score, face.measures, count)
    return FaceCalibrated(track, level if shown else Level.NO_SKILL, face.score, round(rate * n), n, stratum)


def _first(scores: Sequence[float], signal: Callable[[float], bool]) -> float | None:
    """The least of ascending scores that is a signal, as every higher one is; None where none is."""
    place = bisect_left(scores, True, key=signal)
    return scores[place] if place < len(scores) else None


def any_of(rate: float, faces: int) -> float:
    """The share of real clips of which any of so many faces reaches what this share of single faces reach: as of faces independent of each
    other, which is the most where they resemble each other."""
    return 1 - (1 - rate) ** max(1, faces)


def level_of(high: float) -> Level:
    """The level of a score. high : the upper end of the interval of the share of real clips that reach it."""
    if high > SIGNAL:
        return Level.NO_STRONG_SIGNAL
    return Level.STRONG_SIGNAL if high <= STRONG else Level.SIGNAL


def _withheld(reading: Reading, card: Calibration, found: Sequence[_Face]) -> Calibrated:
    """A reading of faces none of which can be assessed; the reason is that of the first, which is the largest."""
    silent = replace(reading, score=None, series=(), abstained=found[0].reason)
    faces = tuple(FaceCalibrated(face.track or 0, Level.NOT_ASSESSED, abstained=face.reason) for face in found)
    return Calibrated(
        silent, Level.NOT_ASSESSED, calibration_set=card.name, date=card.date, faces=faces if len(faces) > 1 else ()
    )
