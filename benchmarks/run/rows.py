"""Writes and reads the rows of a run's folder: its samples, what detectors said of them, and the clips' plain measures."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from gioconda_core.documents import read
from gioconda_core.files import read_rows
from gioconda_core.types import Label, Sample, TrackScore

LABELS = {Label.REAL: 0, Label.FAKE: 1}


@dataclass(frozen=True)
class _Row:
    """A row as one line of JSON."""

    @classmethod
    def of(cls, columns: Mapping[str, Any]) -> Self:
        """From its columns; what is not known is left out. Raises TypeError where one is missing that every row has."""
        return read(cls, columns)

    def columns(self) -> dict[str, Any]:
        """As columns of plain JSON, in the order of the fields."""
        return asdict(self)


@dataclass(frozen=True)
class SampleRow(_Row):
    """One line of ``samples.jsonl``: what a report knows of a sample.

    id : sha256 of the file. label : 1 fake, 0 real, −1 unknown. group : its slices. path : in its index. own : what its index calls it.
    cues : trivial measures that the index gives.
    """

    id: str
    label: int
    generator: str
    identity: str
    source: str
    group: Mapping[str, str]
    path: str = ""
    own: str = ""
    cues: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def about(cls, sample: Sample) -> Self:
        """What an index says."""
        return cls(
            sample.sha256, LABELS.get(sample.label, -1), sample.generator, sample.identity, sample.source, dict(sample.group),
            sample.path, str(sample.extra.get("id") or ""), sample.extra.get("cues") or {},
        )  # fmt: skip

    def columns(self) -> dict[str, Any]:
        return {name: value for name, value in super().columns().items() if value or name not in ("own", "cues")}


@dataclass(frozen=True)
class FeatureRow(_Row):
    """One line of ``features*.jsonl``: a clip's measures for the shortcut probes (see :func:`benchmarks.stats.probes.features`)."""

    id: str
    features: Mapping[str, Any]


@dataclass(frozen=True)
class ReadingRow(_Row):
    """One line of ``readings*.jsonl``: what one detector said of one sample under one degradation.

    spec : the detector as it was asked for. protocol : unit, sampling and pooling. seconds, cost : of the reading. frames, faces : that were
    seen. series : the score over time, a track each. abstained, error : why there is no score, in words; reason, detail : the same by its
    code. level, false_alarm : what the detector's calibration says of the score.
    """

    id: str
    degradation: str
    detector: str
    spec: str = ""
    version: str = ""
    weights_sha256: str | None = None
    protocol: str | None = None
    seconds: float | None = None
    cost: float | None = None
    frames: int | None = None
    faces: int | None = None
    score: float | None = None
    series: tuple[TrackScore, ...] | None = None
    abstained: str | None = None
    error: str | None = None
    reason: str | None = None
    detail: Mapping[str, Any] | None = None
    level: str | None = None
    false_alarm: float | None = None

    def columns(self) -> dict[str, Any]:
        always = ("weights_sha256",)
        return {name: value for name, value in super().columns().items() if value is not None or name in always}


def readings(folder: str | os.PathLike[str]) -> Iterator[ReadingRow]:
    """Every reading of every shard."""
    for path in sorted(Path(folder).glob("readings*.jsonl")):
        yield from map(ReadingRow.of, read_rows(path))


def samples_in(folder: Path) -> list[SampleRow]:
    """The samples of a run's folder."""
    return [SampleRow.of(row) for row in read_rows(folder / "samples.jsonl")]


def features_in(folder: Path) -> dict[str, FeatureRow]:
    """The measures of clips that a run kept, by sample."""
    rows = (FeatureRow.of(row) for path in sorted(folder.glob("features*.jsonl")) for row in read_rows(path))
    return {row.id: row for row in rows}
