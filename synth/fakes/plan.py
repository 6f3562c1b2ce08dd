"""Plans what a labelled set will hold: units of footage, identity-disjoint splits, and every sample to make, named by what goes into it.

A sample's id is a hash of its recipe: the pixels and landmarks of the shots and of the driver, the generator and its weights, the
settings and the seed. The same recipe has the same id on every machine, which is what makes a killed run go on
exactly where it was. Nothing here draws or writes a picture.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import UsageError
from gioconda_core.files import append_row, read_rows
from synth.fakes.options import Fakes
from synth.generators import Roster, TalkingHeads
from synth.training.shards import ShardSet

SCHEMA = "gioconda.fake/1"


@dataclass(frozen=True)
class Unit:
    """One take of one person in the shards. rows : numbers of its frames, in time. times : seconds. sha256 : of all its pixels and landmarks."""

    identity: str
    source: str
    shards: int
    rows: tuple[int, ...]
    fps: str
    sha256: str


@dataclass(frozen=True)
class Recipe:
    """Everything that decides one sample's pixels. ``id`` names its files.

    departure : of the generator from the paper, in its own words. aigc : producer in China's label. shots : T, drawn from the unit's first ``before`` frames. frames : how many of the driver's last frames drive, or are passed through.
    """

    kind: str
    identity: str
    source: str
    shots_sha256: str
    driver_identity: str
    driver_source: str
    driver_sha256: str
    shots: int
    before: int
    frames: int
    mode: str
    steps: int
    region: str
    crf: int
    adapt: str
    smoothing: float
    split: str
    seed: str
    generator: str
    generator_version: str
    weights_sha256: str | None
    size: int
    mark: bool
    departure: str = ""
    aigc: str = ""
    schema: str = SCHEMA

    @property
    def id(self) -> str:
        """The first 20 hex digits of the sha256 of this recipe as canonical JSON."""
        # What keeps to the paper and carries no label of China's has the ids it had before either was recorded.
        chosen = {k: v for k, v in asdict(self).items() if k not in ("departure", "aigc") or v}
        text = json.dumps(chosen, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    @property
    def person(self) -> tuple[Any, ...]:
        """What a personal model is learned from, and how."""
        return (self.identity, self.source, self.shots, self.mode, self.steps)

    @property
    def sitting(self) -> tuple[Any, ...]:
        """Recipes that share this share a personal model: of one generator, learned from the same shots in the same way."""
        return (self.generator, *self.person)


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames of a unit: the shots, or the held-out part that drives and is passed through."""

    frames: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    times: NDArray[np.float64]
    fps: Fraction


def units_of(sets: Sequence[ShardSet], out: Path, job: Fakes) -> list[Unit]:
    """Units with enough frames, each hashed once (remembered in ``units.jsonl``); a take that appears twice is kept once."""
    known = {(row["identity"], row["source"], row.get("outline")): row for row in read_rows(out / "units.jsonl")}
    seen: set[str] = set()
    units: list[Unit] = []
    for number, shards in enumerate(sets):
        for identity, source in shards.units:
            rows = [int(r) for r in shards.rows(identity, source)]
            if len(rows) < min(job.shots) + job.min_frames:
                continue
            key = (identity, source, shards.outline(identity, source))
            if key not in known:
                digest = hashlib.sha256()
                times = []
                for row in rows:
                    frame = shards[row]
                    digest.update(frame.frame.tobytes())
                    digest.update(frame.landmarks.tobytes())
                    times.append(frame.time)
                fps = Fraction(1 / max(float(np.median(np.diff(times))), 1e-3)).limit_denominator(100)
                about = {"identity": identity, "source": source, "frames": len(rows), "outline": key[2]}
                known[key] = about | {"fps": str(fps), "sha256": digest.hexdigest()}
                append_row(out / "units.jsonl", known[key])
            row_ = known[key]
            if row_["sha256"] in seen:
                continue
            seen.add(row_["sha256"])
            units.append(Unit(identity, source, number, tuple(rows), row_["fps"], row_["sha256"]))
    units.sort(key=lambda u: (u.identity, u.source))
    if job.people:
        # Chosen by hash, not by name, so that adding footage does not reshuffle the choice.
        people = sorted({u.identity for u in units}, key=lambda name: lot(job.seed, "people", name))[: job.people]
        units = [u for u in units if u.identity in set(people)]
    if not units:
        raise UsageError(
            f"no take has {min(job.shots) + job.min_frames} frames: {min(job.shots)} shots and {job.min_frames} held out",
            hint="lower --shots or --min-frames, or prepare more frames of each clip",
        )
    return units


def lot(*parts: object) -> int:
    """A number drawn by hash: what is sorted by it lies as by chance, and in the same order wherever the parts are the same."""
    return int.from_bytes(hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()[:8], "big")


def split_of(identities: Sequence[str], shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """A split for each person: shares met as closely as whole people allow, each non-empty share getting one where there are enough."""
    # People in an order by hash, so that a name says nothing of its split and the same seed deals out the same.
    order = sorted(set(identities), key=lambda name: lot(seed, "split", name))
    total = sum(shares.values())
    names = [name for name, share in shares.items() if share > 0]
    counts = {name: int(len(order) * shares[name] / total) for name in names}
    # Whole people left over by rounding down go where most was cut off.
    for name in sorted(names, key=lambda n: counts[n] - len(order) * shares[n] / total):
        if sum(counts.values()) < len(order):
            counts[name] += 1
    # A split that got nobody takes one from the largest that can spare one.
    for name in names:
        if counts[name] == 0 and (rich := max(names, key=lambda n: counts[n])) and counts[rich] > 1:
            counts[name], counts[rich] = 1, counts[rich] - 1
    dealt = [name for name in names for _ in range(counts[name])]
    return dict(zip(order, dealt, strict=True))


def held_out(unit: Unit, job: Fakes) -> int:
    """How many frames at the end of a take are held out: the same whatever T is, so that the grid compares like with like.

    0 where the take is too short for the smallest T.
    """
    for shots in sorted(set(job.shots), reverse=True):
        left = len(unit.rows) - shots
        if left >= job.min_frames:
            return min(job.frames, left)
    return 0


def shot_rows(unit: Unit, before: int, shots: int) -> list[int]:
    """Rows of T shots, spread over the take's first ``before`` frames; empty where there are fewer."""
    if before < shots:
        return []
    return [unit.rows[int(i)] for i in np.round(np.linspace(0, before - 1, shots))]


def held_rows(unit: Unit, frames: int) -> list[int]:
    """Rows of the held-out clip: the take's last frames."""
    return list(unit.rows[len(unit.rows) - frames :])


def plan(units: Sequence[Unit], job: Fakes, heads: TalkingHeads | Roster) -> list[Recipe]:
    """Every sample of the set, in a stable order, people of one personal model together.

    Several generators take turns over people and the grid, so that each makes as many samples of each kind that it can make. Turns go on
    from one split to the next: begun anew in each, small splits would all be made by the generator that was named first.

    Raises
    ------
    UsageError
        A generator can make nothing of the kinds that were asked for.
    """
    for maker in Roster.of(heads):
        able = _able(maker)
        if not set(able) & set(job.kinds) and set(job.kinds) != {"control"}:
            raise UsageError(f"{maker.name} makes {' and '.join(able)} only", "--kinds", "add it, or leave it out")
    splits = split_of([u.identity for u in units], job.splits, job.seed)
    planner = _Planner(job, Roster.of(heads), splits)
    by_split = sorted(units, key=lambda u: list(job.splits).index(splits[u.identity]))
    turns = {unit.sha256: turn for turn, unit in enumerate(by_split)}
    recipes: list[Recipe] = []
    for unit in units:
        others = [u for u in units if u.identity != unit.identity and splits[u.identity] == splits[unit.identity]]
        others.sort(key=lambda u: lot(job.seed, "driver", unit.sha256, u.sha256))
        recipes += planner.of(unit, others[: job.drivers], turns[unit.sha256])
    return recipes


def _able(maker: TalkingHeads) -> tuple[str, ...]:
    """The kinds of fakes that a generator makes: families remake takes, and nobody drives those."""
    return getattr(maker, "kinds", ("self", "cross"))


@dataclass(frozen=True)
class _Planner:
    """What all recipes of a set have in common. splits : of each person."""

    job: Fakes
    makers: Sequence[TalkingHeads]
    splits: Mapping[str, str]

    def of(self, unit: Unit, drivers: Sequence[Unit], turn: int) -> Iterator[Recipe]:
        """Every recipe of one take. turn : of the generators, at the first cell of the grid."""
        job = self.job
        if "control" in job.kinds:
            yield from self._control(unit)
        grid = [(t, m, steps) for t in job.shots for m in job.modes for steps in (job.steps if m == "ft" else (0,))]
        for number, (shots, mode, steps) in enumerate(grid, turn):
            wanted = [("self", unit, region) for region in job.regions] + [("cross", d, "whole") for d in drivers]
            for kind, driver, region in wanted:
                able = [m for m in self.makers if kind in _able(m)]
                if kind in job.kinds and able:
                    how = {"shots": shots, "mode": mode, "steps": steps, "region": region}
                    yield from self._fake(kind, unit, driver, able[number % len(able)], how)

    def _control(self, unit: Unit) -> Iterator[Recipe]:
        frames = held_out(unit, self.job)
        if frames < self.job.min_frames:
            return
        for crf in self.job.crf:
            yield Recipe(
                "control", **self._between(unit, unit), shots=0, before=0, frames=frames, mode="", steps=0, region="",
                crf=crf, adapt="", smoothing=0.0, generator="", generator_version="", weights_sha256=None,
                size=self.makers[0].size, mark=self.job.mark,
            )  # fmt: skip

    def _fake(
        self, kind: str, unit: Unit, driver: Unit, maker: TalkingHeads, how: Mapping[str, Any]
    ) -> Iterator[Recipe]:
        job, frames, before = self.job, held_out(driver, self.job), len(unit.rows) - held_out(unit, self.job)
        if frames < job.min_frames or before < how["shots"]:
            return
        driven = kind == "cross" and not getattr(maker, "remakes", False)  # a swap keeps the motion of its take
        for crf in job.crf:
            yield Recipe(
                kind, **self._between(unit, driver), **how, before=before, frames=frames, crf=crf,
                adapt=job.adapt if driven else "", smoothing=job.smoothing if driven else 0.0,
                generator=maker.name, generator_version=maker.version, weights_sha256=maker.weights_sha256,
                size=maker.size, mark=job.mark, departure=getattr(maker, "departure", ""), aigc=job.aigc,
            )  # fmt: skip

    def _between(self, unit: Unit, driver: Unit) -> dict[str, Any]:
        return {
            "identity": unit.identity, "source": unit.source, "shots_sha256": unit.sha256,
            "driver_identity": driver.identity, "driver_source": driver.source, "driver_sha256": driver.sha256,
            "split": self.splits[unit.identity], "seed": str(self.job.seed),
        }  # fmt: skip


def read_part(shards: ShardSet, unit: Unit, rows: Sequence[int], size: int) -> Clip:
    """Decode rows of a unit, brought to the generator's size where the shards have another."""
    frames, marks, times = [], [], []
    for row in rows:
        item = shards[row]
        frame, points = item.frame, item.landmarks
        if frame.shape[0] != size:
            scale = size / frame.shape[0]
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            frame = np.asarray(cv2.resize(frame, (size, size), interpolation=how), np.uint8)
            points = (points + 0.5) * scale - 0.5
        frames.append(frame)
        marks.append(points.astype(np.float32))
        times.append(item.time)
    return Clip(np.stack(frames), np.stack(marks), np.array(times), Fraction(unit.fps))
