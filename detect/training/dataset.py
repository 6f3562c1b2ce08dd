"""What training may look at: labelled clips of one or several indexes, without their test splits, in folds that do not leak.

The test split is never opened: :class:`TestSplitError` says so to anybody who tries. Where an index has no splits, all of it is
training material, and what is held out is chosen here, by identity.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect.base import known_as
from gioconda_core.datasets.groups import components
from gioconda_core.datasets.index import Index
from gioconda_core.errors import UsageError
from gioconda_core.types import Label, Sample

Array = NDArray[Any]


class TestSplitError(UsageError):
    """Training asked for a clip of a test split."""

    __test__ = False  # pytest would take the name for a test class


@dataclass(frozen=True)
class Clips:
    """Clips with a label that training may open. samples[i] lies in indexes[home[i]]."""

    samples: tuple[Sample, ...]
    indexes: tuple[Index, ...]
    home: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.samples)

    def path(self, i: int) -> Path:
        """Where clip i lies; the one door to the files, and it is closed to test splits."""
        sample = self.samples[i]
        if sample.split == "test":
            raise TestSplitError("belongs to a test split, which training never opens", where=sample.path)
        return self.indexes[self.home[i]].resolve(sample)

    @property
    def labels(self) -> Array:
        """(N,) int, 1 = fake."""
        return np.array([int(s.label == Label.FAKE) for s in self.samples])

    @property
    def known(self) -> tuple[str, ...]:
        """By what a card says which files a detector learned from."""
        return tuple(sorted(known_as(s.sha256) for s in self.samples if s.sha256))

    @property
    def methods(self) -> Array:
        """(N,) generator of each fake, empty for real clips."""
        return np.array([s.generator if s.label == Label.FAKE else "" for s in self.samples])

    @property
    def persons(self) -> Array:
        """(N,) identity; a clip without one is nobody else."""
        return np.array([s.identity or s.sha256 or s.path for s in self.samples])

    @property
    def sources(self) -> Array:
        """(N,) where a clip was published, its ``group['origin']``: encoders and cameras go with it. One without (made by
        ``synth fakes``, say) has the origin its person's other clips have, else its index is its origin."""
        with_origin = [s for s in self.samples if s.identity and s.group.get("origin")]
        with_origin.sort(key=lambda s: s.label == Label.REAL)  # where a person has real clips, they say it
        known = {s.identity: s.group["origin"] for s in with_origin}
        return np.array(
            [
                s.group.get("origin") or known.get(s.identity) or f"index{h}"
                for s, h in zip(self.samples, self.home, strict=True)
            ]
        )

    def folds(self, count: int = 5, seed: int = 0, by: str = "person") -> Array:
        """(N,) fold of each clip. by ``person``: no person in two folds, real or fake; ``origin``: no origin of real clips either.

        Fakes' own origins do not join folds: one page with fakes by many methods would join most of a set.
        """
        labels, persons, sources = self.labels, self.persons, self.sources
        shared = [
            [("person", persons[i]), *([("origin", sources[i])] if by == "origin" and labels[i] == 0 else [])]
            for i in range(len(self))
        ]
        groups: dict[str, list[int]] = defaultdict(list)
        for i, first in enumerate(components(shared)):
            groups[f"p:{persons[first]}"].append(i)
        number = {name: (int(np.sum(labels[rows] == 0)), int(np.sum(labels[rows]))) for name, rows in groups.items()}
        # Large groups first, each to the fold with fewest real clips (or, where it has none, fewest fakes); among equals a keyed
        # hash, so that order of rows does not matter.
        key = lambda name: (*(-n for n in number[name]), hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())  # noqa: E731
        filled = np.zeros((2, count), int)
        fold = np.zeros(len(self), int)
        for name in sorted(groups, key=key):
            k = int(np.argmin(filled[0] if number[name][0] else filled[1]))
            filled[:, k] += number[name]
            fold[groups[name]] = k
        return fold


def gather(paths: Sequence[str | Path], splits: Sequence[str] = ("train", "val", "")) -> Clips:
    """Clips of these indexes (Parquet or CSV), of the given splits.

    Raises
    ------
    TestSplitError
        When ``test`` is among the splits asked for.
    UsageError
        When the test clips of one index are training clips of another, or one class is missing.
    """
    if "test" in splits:
        raise TestSplitError("training never opens a test split", hint="measure with gioconda bench run")
    indexes = tuple(Index.read(path) for path in paths)
    held = {s.sha256 for index in indexes for s in index if s.split == "test" and s.sha256}
    samples: list[Sample] = []
    home: list[int] = []
    for number, index in enumerate(indexes):
        for sample in index:
            if sample.label == Label.UNKNOWN or sample.split not in splits:
                continue
            if sample.sha256 and sample.sha256 in held:
                raise UsageError(
                    "the same bytes are in a test split and in training", where=sample.path, hint="gioconda data verify"
                )
            samples.append(sample)
            home.append(number)
    labels = {sample.label for sample in samples}
    if labels != {Label.REAL, Label.FAKE}:
        raise UsageError(
            "training needs real and fake clips",
            where=", ".join(map(str, paths)),
            hint="gioconda data split gives splits",
        )
    return Clips(tuple(samples), indexes, tuple(home))
