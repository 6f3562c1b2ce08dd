"""Defines the results document, ``gioconda.benchmark/2``: everything that a report shows, and all that page, text, CSV and LaTeX are made from."""

from dataclasses import dataclass, field
from typing import Any

from benchmarks.stats.alarms import StatedRate
from benchmarks.stats.beside import Beside, Row
from benchmarks.stats.compare import Difference, Standing
from benchmarks.stats.gaps import Gap
from benchmarks.stats.probes import Probe
from benchmarks.stats.table import Problem
from gioconda_core.stats.looks import Looks

SCHEMA = "gioconda.benchmark/2"


@dataclass(frozen=True)
class Figure:
    """One figure of one detector over some clips.

    name : with its whole protocol, like ``auc/video@32f-even``; metric : without it. low, high : 95 % interval. clusters :
    independent people or sources in the smaller class. coverage : share of the labelled clips that were scored. refused : why there
    is no value; no_interval : why there is no interval.
    """

    name: str
    metric: str
    title: str
    higher_is_better: bool
    value: float | None
    low: float | None
    high: float | None
    n_real: int
    n_fake: int
    clusters: int
    coverage: float
    refused: str | None
    no_interval: str | None

    def told(self, digits: int = 3) -> str:
        """``0.760 [0.592, 0.902]``, or what is there of it."""
        if self.value is None:
            return "refused"
        if self.low is None or self.high is None:
            return f"{self.value:.{digits}f}"
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


@dataclass(frozen=True)
class Reason:
    """Why rows have no score, and how many."""

    reason: str
    n: int


@dataclass(frozen=True)
class Statuses:
    """Rows that were scored, abstained on, failed or never came, with the commonest reasons."""

    scored: int
    abstained: int
    failed: int
    missing: int
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Curves:
    """Thinned to what a page can show. roc : false-alarm rates and hit rates. det : false-alarm rates and miss rates."""

    roc: tuple[list[float], list[float]]
    det: tuple[list[float], list[float]]


@dataclass(frozen=True)
class Bin:
    """Clips of about one probability. p : their mean probability; fakes : the share of them that are."""

    p: float
    fakes: float
    n: int


@dataclass(frozen=True)
class Reliability:
    """Whether probabilities hold. origin : ``given``, or ``platt-crossfit`` where raw scores were calibrated on other people.
    risk_coverage : shares of clips answered, surest first, and the share of errors among them."""

    bins: tuple[Bin, ...]
    origin: str
    risk_coverage: tuple[list[float], list[float]]


@dataclass(frozen=True)
class Worth:
    """The share of alarms that would be right where so many clips are fakes."""

    prevalence: float
    value: float | None


@dataclass(frozen=True)
class Operating:
    """What a threshold does on these clips; an alarm is a score at or above it.

    rule : ``fpr`` keeps false alarms at a rate, ``cost`` costs least. fpr, found : shares of reals and fakes that alarm. promise : the
    least threshold at which new real clips keep to the rate, with 90 % confidence. value, low, high : the figure it stands for.
    """

    rule: str
    metric: str
    title: str
    fpr: float | None
    threshold: float | None
    threshold_low: float | None
    threshold_high: float | None
    promise: float | None
    found: float | None
    value: float | None
    low: float | None
    high: float | None
    refused: str | None
    no_interval: str | None
    ppv: tuple[Worth, ...]


@dataclass(frozen=True)
class OfGenerator:
    """The AUC of one generator's fakes against every real."""

    generator: str
    value: float
    low: float | None
    high: float | None
    n_fake: int


@dataclass(frozen=True)
class Spread:
    """The weakest and strongest generators of a detector, and how far apart they are. count : generators with a figure."""

    weakest: tuple[OfGenerator, ...]
    strongest: tuple[OfGenerator, ...]
    spread: float
    count: int
    no_better_than_a_coin: int


@dataclass(frozen=True)
class Entry:
    """One detector. board : the first table's figures by metric. rank : None where it has no AUC. beside : against trivial cues.
    cost_per_clip : in whatever currency it was given."""

    name: str
    version: str
    weights_sha256: str | None
    protocol: str
    statuses: Statuses
    coverage: float
    figures: tuple[Figure, ...]
    board: dict[str, Figure]
    operating: tuple[Operating, ...]
    curves: Curves | None
    calibration: Reliability | None
    seconds_per_clip: float | None
    seconds_at_95: float | None
    cost_per_clip: float | None
    rank: Standing | None = None
    beside: Row | None = None
    generators: Spread | None = None

    @property
    def auc(self) -> Figure | None:
        """Its AUC on undegraded clips, where it has one."""
        figure = self.board["auc"]
        return figure if figure.value is not None else None


@dataclass(frozen=True)
class Held:
    """Alarms on degraded clips at the threshold that kept false alarms at 5 % of the undegraded reals."""

    threshold: float
    false_alarms: float
    found: float
    n_real: int
    n_fake: int


@dataclass(frozen=True)
class SliceRow:
    """Figures of one detector over one slice."""

    slice: str
    detector: str
    figures: tuple[Figure, ...]
    held: Held | None = None

    def figure(self, metric: str) -> Figure | None:
        """The one of this metric."""
        return next((f for f in self.figures if f.metric == metric), None)


@dataclass(frozen=True)
class WorstClip:
    """A clip that a detector was most wrong on. label : 1 fake, scored low; 0 real, scored high. share : of the other class on the
    wrong side of it."""

    detector: str
    label: int
    id: str
    generator: str
    degradation: str
    score: float
    share: float


@dataclass(frozen=True)
class DataCard:
    """What the set is made of, in samples. generators, slices : how many of each."""

    samples: int
    real: int
    fake: int
    unlabelled: int
    identities: int
    sources: int
    generators: dict[str, int]
    degradations: tuple[str, ...]
    slices: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Intervals:
    """How intervals were made."""

    resamples: int
    seed: int
    over: str = "identity and source"
    level: float = 0.95


@dataclass(frozen=True)
class Leader:
    """The detector the others are compared with. named : it was named before the scores were seen."""

    first: str
    named: bool


@dataclass(frozen=True)
class Flips:
    """How often what would be said of a clip changes after a chain of degradations. by_level : by its own calibration, else at the
    threshold that kept false alarms at 5 %. up : towards alarm; down : away from it; lost : no longer assessed."""

    detector: str
    chain: str
    n: int
    flipped: float
    low: float | None
    high: float | None
    up: float
    down: float
    lost: float
    by_level: bool


@dataclass(frozen=True)
class Benchmark:
    """A benchmark's results. detectors : best first. differences : the leader against each other; pairs : all of them. slices : axis →
    rows. stated : rates that scores came with, against what was found. suite, command, environment, cards : of a run."""

    title: str
    first_line: str
    comparable: bool
    not_comparable: str
    bootstrap: Intervals
    data: DataCard
    problems: tuple[Problem, ...]
    detectors: tuple[Entry, ...]
    board_fpr: float
    leaderboard: Leader | None
    differences: tuple[Difference, ...]
    pairs: tuple[Difference, ...]
    beside: Beside
    slices: dict[str, tuple[SliceRow, ...]]
    gaps: tuple[Gap, ...]
    stated: tuple[StatedRate, ...]
    worst: tuple[WorstClip, ...]
    created: str = ""
    looks: Looks | None = None
    suite: dict[str, str] | None = None
    probes: tuple[Probe, ...] = ()
    stability: tuple[Flips, ...] = ()
    command: str = ""
    report_command: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    card: dict[str, str] = field(default_factory=dict)
    cards: dict[str, Any] = field(default_factory=dict)
    schema: str = SCHEMA


def schema() -> dict[str, Any]:
    """The JSON Schema of the document, as published beside it in ``benchmark.schema.json``; a test holds the two together."""
    from pydantic import TypeAdapter

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **TypeAdapter(Benchmark).json_schema(mode="serialization"),
    }
