"""The figures that validation finds, as cards, calibrations and the records of training runs hold them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gioconda_core.stats.looks import Looks


@dataclass(frozen=True)
class MethodFigure:
    """One method when unseen. auc : of its fakes against real clips. missed : how many of its fakes got no signal; None = not counted."""

    auc: float
    fakes: int
    missed: float | None = None


@dataclass(frozen=True)
class Figure:
    """An AUC by clip with its 95 % interval over persons; None where nothing could be held out.

    coverage : share of the clips asked about that were scored. methods : name → its own.
    """

    value: float | None
    low: float | None
    high: float | None
    reals: int
    fakes: int
    persons: int = 0
    coverage: float | None = None
    methods: Mapping[str, MethodFigure] = field(default_factory=dict)


@dataclass(frozen=True)
class Best:
    """The best validation of a network's training so far, and the step it was made at."""

    figure: Figure
    step: int


@dataclass(frozen=True)
class Evaluated:
    """A figure beside what it is: which set, which metric, and by which protocol."""

    set: str
    metric: str
    protocol: str
    value: float
    low: float
    high: float
    reals: int
    fakes: int
    persons: int = 0
    coverage: float | None = None
    methods: Mapping[str, MethodFigure] = field(default_factory=dict)

    @classmethod
    def of(cls, figure: Figure, set: str, metric: str, protocol: str) -> "Evaluated":
        """A figure that has a value."""
        return cls(set, metric, protocol, **vars(figure))


@dataclass(frozen=True)
class Lead:
    """By how much one answer is better than another on the same clips (an AUC less the other), with its 95 % interval over persons."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class CueFigure:
    """What a trivial cue reaches on the same clips. behind_by : how far the detector is above it, in pairs."""

    value: float | None
    low: float | None
    high: float | None
    reals: int
    fakes: int
    behind_by: Lead


@dataclass(frozen=True)
class Alarm:
    """A stated rate of false alarms beside the one found on pages that were left out in turn.

    found, low, high : of ``reals`` real clips, with its 95 % interval. reached : the share of unseen methods' fakes that score as much,
    of ``fakes`` questions asked.
    """

    stated: float
    found: float
    low: float
    high: float
    reals: int
    reached: float | None
    fakes: int


@dataclass(frozen=True)
class Kind:
    """A kind of clips, those whose ``measure`` lies from ``least`` to below ``most``, and the AUC of methods, persons and origins unseen
    on them. skill : whether its interval lies above a coin; None where too few clips were seen to tell."""

    measure: str
    least: float | None
    most: float | None
    value: float | None
    low: float | None
    high: float | None
    reals: int
    fakes: int
    skill: bool | None

    def holds(self, value: float) -> bool:
        """Whether a clip of this measure is of this kind."""
        return (self.least is None or value >= self.least) and (self.most is None or value < self.most)


@dataclass(frozen=True)
class Validation:
    """What a training run's validation found. by : ``origin`` where origins were held out, else ``person``. figures : what was asked → AUC.
    looks : how often scores were measured against these labels on this computer."""

    detector: str
    by: str
    figures: Mapping[str, Figure]
    cues: Mapping[str, CueFigure]
    alarms: tuple[Alarm, ...]
    kinds: tuple[Kind, ...]
    looks: "Looks | None" = None
