"""What a detector is: gets frames and tracks, never a path; answers with a raw score or an abstention, never both.

The protocol, the card that says what a detector was trained on and where it fails, and the exception by which it declines.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from detect.figures import Alarm, CueFigure, Evaluated
from gioconda_core import documents
from gioconda_core.files import write_json
from gioconda_core.reasons import Abstention, AbstentionReason
from gioconda_core.types import Footage, Reading, Sealed, TrackScore


class Abstain(Exception):
    """A detector declines: the reason becomes the reading's ``abstained``. Not an error.

    ``Abstain(AbstentionReason.TOO_FEW_FRAMES, seen=3, needed=8)``, or a plugin's own words: ``Abstain("too dark")``.
    """

    def __init__(self, reason: AbstentionReason | Abstention | str, **detail: Any) -> None:
        if isinstance(reason, AbstentionReason):
            reason = Abstention(reason, detail)
        elif not isinstance(reason, Abstention):
            reason = Abstention(AbstentionReason.OTHER, {"text": str(reason)})
        super().__init__(reason)
        self.reason = reason


def known_as(sha256: str) -> str:
    """How a card names a clip: 12 hex digits, which two clips out of a million share by chance with probability 0.002."""
    return sha256[:12]


@dataclass(frozen=True)
class Card:
    """What a detector is, in the words a stranger needs before trusting a number of it.

    trained_on, limits, licence : plain sentences. evaluated : its figures, each with set, metric and protocol. cues, alarms : what trivial
    cues reach on the same clips, and stated alarm rates against found ones.
    recipe : the exact command that made the weights. network : the footage leaves this computer when it reads.
    clips : the clips it learned from, as :func:`known_as` names them. sealed : its figure on a set it was neither trained on nor chosen
    by, None = not measured; what it says of unseen methods comes before everything in ``evaluated``. unseen : its figure on its own
    set's clips, each scored by models that had not seen its method, person and origin.
    """

    summary: str
    trained_on: str = "unknown"
    evaluated: tuple[Evaluated, ...] = ()
    limits: tuple[str, ...] = ()
    licence: str = "unknown"
    recipe: str = ""
    network: bool = False
    date: str = ""
    clips: tuple[str, ...] = ()
    sealed: Sealed | None = None
    unseen: Sealed | None = None
    cues: Mapping[str, CueFigure] = field(default_factory=dict)
    alarms: tuple[Alarm, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Card":
        """A card from its JSON file; keys that are no field's are kept under ``extra``."""
        document = json.loads(path.read_text(encoding="utf-8"))
        others = {key: value for key, value in document.items() if key not in cls.__dataclass_fields__}
        return documents.read(cls, document | {"extra": document.get("extra", {}) | others})

    def write(self, folder: Path) -> None:
        """Write ``card.json`` beside the weights; what is under ``extra`` becomes keys of its own."""
        document = documents.plain(self)
        write_json(folder / "card.json", document | document.pop("extra"))

    def learned(self, sha256: str) -> bool:
        """Whether this very file is among the clips it learned from; a copy encoded anew is not known."""
        return known_as(sha256) in self.clips


@runtime_checkable
class Detector(Protocol):
    """The seam. ``read`` answers with a score or an abstention; whatever it raises is a failure of the detector.

    Two optional attributes say what footage it wants: ``sampling`` (a function of duration and fps, see
    :func:`detect.features.contrast.sampling`) and ``dense`` (positions of a track a second). A third, ``ready``, loads what ``read`` will
    need; it may be called in another thread while a clip is being opened.
    """

    id: str
    version: str
    weights_sha256: str | None
    card: Card

    def read(self, footage: Footage) -> Reading: ...


def abstaining(read: Callable[[Any, Footage], Reading]) -> Callable[[Any, Footage], Reading]:
    """For ``read`` methods: an :class:`Abstain` raised inside becomes the reading that says so."""

    @wraps(read)
    def wrapper(self: Any, footage: Footage) -> Reading:
        try:
            return read(self, footage)
        except Abstain as said:
            return Reading(self.id, self.version, self.weights_sha256, abstained=said.reason, protocol=footage.protocol)

    return wrapper


def refuse_still(footage: Footage) -> None:
    """For detectors of what changes over time: raises Abstain for a still picture, and for a clip in which nothing moves."""
    if not footage.fps or footage.duration <= 0:
        raise Abstain(AbstentionReason.STILL_PICTURE)
    if len(footage.frames) > 1 and not footage.moves:
        raise Abstain(AbstentionReason.NOTHING_MOVES, frames=len(footage.frames))


def read_once(read: Callable[[Any, Footage], Reading]) -> Callable[[Any, Footage], Reading]:
    """For ``read`` methods that depend on nothing but weights and footage: a second detector of the same weights, as in an
    ensemble, is given what the first one read."""

    @wraps(read)
    def wrapper(self: Any, footage: Footage) -> Reading:
        key = ("reading", type(self), self.version, self.weights_sha256)
        return replace(footage.shared.once(key, lambda: read(self, footage)), detector=self.id)

    return wrapper


def pool(series: Sequence[TrackScore]) -> float:
    """One score of a clip from the per-time scores of its faces, ``max-track-mean``: the mean over time of each face, then the largest, so
    that one generated face makes the clip notable. Raises Abstain where no face has a score."""
    import numpy as np

    means = [float(np.mean(face.scores)) for face in series if len(face.scores)]
    if not means:
        raise Abstain(AbstentionReason.NO_FACE_SCORED)
    return max(means)


def reading(detector: Detector, footage: Footage, series: Sequence[TrackScore]) -> Reading:
    """The Reading of per-time scores, pooled (:func:`pool`)."""
    return Reading(
        detector=detector.id,
        version=detector.version,
        weights_sha256=detector.weights_sha256,
        score=pool(series),
        series=tuple(series),
        protocol=footage.protocol,
    )
