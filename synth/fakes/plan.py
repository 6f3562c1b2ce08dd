"""What a labelled set will hold: units of footage, identity-disjoint splits, and every sample to make, named by what goes into it.

A sample's id is a hash of its recipe: the pixels and landmarks of the shots and of the driver, the generator and its weights, the
settings and the seed. The same recipe has the same id on every machine, which is what makes a killed run go on
exactly where it was. Nothing here draws or writes a picture.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import UsageError
from gioconda_core.files import append_row, read_rows
from synth.fakes.options import Fakes

if TYPE_CHECKING:
    from synth.generators import Roster, TalkingHeads
    from synth.training.shards import ShardSet

__all__ = ["Clip", "Fakes", "Recipe", "Unit", "plan", "read_part", "split_of", "units_of"]

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
        """What a personal model is learned from: recipes that share this share the model."""
        return (self.identity, self.source, self.shots, self.mode, self.steps)


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames of a unit: the shots, or the held-out part that drives and is passed through."""

    frames: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    times: NDArray[np.float64]
    fps: Fraction


def units_of(
    sets: Sequence[ShardSet], out: Path, job: Fakes, advance: Callable[..., None] = lambda n=1, note="": None
) -> list[Unit]:
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
                    digest.update(np.ascontiguousarray(frame.landmarks, np.float32).tobytes())
                    times.append(frame.time)
                step = float(np.median(np.diff(times))) if len(times) > 1 else 0.04
                fps = Fraction(1 / max(step, 1e-3)).limit_denominator(100)
                known[key] = {
                    "identity": identity,
                    "source": source,
                    "frames": len(rows),
                    "outline": key[2],
                    "fps": str(fps),
                    "sha256": digest.hexdigest(),
                }
                append_row(out / "units.jsonl", known[key])
            row_ = known[key]
            advance(1, note=source[-40:])
            if row_["sha256"] in seen:
                continue
            seen.add(row_["sha256"])
            units.append(Unit(identity, source, number, tuple(rows), row_["fps"], row_["sha256"]))
    units.sort(key=lambda u: (u.identity, u.source))
    if job.people:
        # Chosen by hash, not by name, so that adding footage does not reshuffle the choice.
        people = sorted({u.identity for u in units}, key=lambda name: _hash(job.seed, "people", name))[: job.people]
        units = [u for u in units if u.identity in set(people)]
    if not units:
        raise UsageError(
            f"no take has {min(job.shots) + job.min_frames} frames: {min(job.shots)} shots and {job.min_frames} held out",
            hint="lower --shots or --min-frames, or prepare more frames of each clip",
        )
    return units


def _hash(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()[:8], "big")


def split_of(identities: Sequence[str], shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """A split for each person: shares met as closely as whole people allow, each non-empty share getting one where there are enough."""
    order = sorted(set(identities), key=lambda name: _hash(seed, "split", name))
    total = sum(shares.values())
    names = [name for name, share in shares.items() if share > 0]
    counts = {name: int(len(order) * shares[name] / total) for name in names}
    for name in sorted(names, key=lambda n: counts[n] - len(order) * shares[n] / total):
        if sum(counts.values()) < len(order):
            counts[name] += 1
    for name in names:
        if counts[name] == 0 and (rich := max(names, key=lambda n: counts[n])) and counts[rich] > 1:
            counts[name], counts[rich] = 1, counts[rich] - 1
    counts[names[0]] += len(order) - sum(counts.values())
    out: dict[str, str] = {}
    at = 0
    for name in names:
        out.update(dict.fromkeys(order[at : at + counts[name]], name))
        at += counts[name]
    return out


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

    Several generators take turns over the people of a split and the grid, so that each makes as many samples of each kind.
    """
    from synth.generators import Roster

    splits = split_of([u.identity for u in units], job.splits, job.seed)
    recipes: list[Recipe] = []
    makers = Roster.of(heads)
    turns: Counter[str] = Counter()
    grid = [
        (t, mode, steps) for t in job.shots for mode in job.modes for steps in (job.steps if mode == "ft" else (0,))
    ]

    def add(kind: str, unit: Unit, driver: Unit, t: int, mode: str, steps: int, region: str, turn: int = 0) -> None:
        frames, before = held_out(driver, job), len(unit.rows) - held_out(unit, job)
        if frames < job.min_frames or (kind != "control" and before < t):
            return
        made = kind != "control"
        able = [m for m in makers if kind != "cross" or not getattr(m, "remakes", False)]
        if not able:
            return  # families of fakes remake a take; nobody drives it
        maker = able[turn % len(able)]
        for crf in job.crf:
            recipes.append(
                Recipe(
                    kind, unit.identity, unit.source, unit.sha256, driver.identity, driver.source, driver.sha256,
                    t if made else 0,
                    before if made else 0,
                    frames,
                    mode if made else "", steps if made else 0, region if made else "",
                    crf, job.adapt if kind == "cross" else "", job.smoothing if kind == "cross" else 0.0,
                    splits[unit.identity], str(job.seed), maker.name if made else "", maker.version if made else "",
                    maker.weights_sha256 if made else None, maker.size, job.mark,
                    getattr(maker, "departure", "") if made else "",
                    job.aigc if made else "",
                )
            )  # fmt: skip

    for unit in units:
        if "control" in job.kinds:
            add("control", unit, unit, 0, "", 0, "")
        others = [u for u in units if u.identity != unit.identity and splits[u.identity] == splits[unit.identity]]
        others.sort(key=lambda u: _hash(job.seed, "driver", unit.sha256, u.sha256))
        first = turns[splits[unit.identity]]
        turns[splits[unit.identity]] += 1
        for turn, (t, mode, steps) in enumerate(grid, first):
            if "self" in job.kinds:
                for region in job.regions:
                    add("self", unit, unit, t, mode, steps, region, turn)
            if "cross" in job.kinds:
                for driver in others[: job.drivers]:
                    add("cross", unit, driver, t, mode, steps, "whole", turn)
    return recipes


def read_part(shards: ShardSet, unit: Unit, rows: Sequence[int], size: int) -> Clip:
    """Decode rows of a unit, brought to the generator's size where the shards have another."""
    frames, marks, times = [], [], []
    for row in rows:
        item = shards[row]
        frame, points = item.frame, item.landmarks
        if frame.shape[0] != size:
            import cv2

            scale = size / frame.shape[0]
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            frame = np.asarray(cv2.resize(frame, (size, size), interpolation=how), np.uint8)
            points = (points + 0.5) * scale - 0.5
        frames.append(frame)
        marks.append(points.astype(np.float32))
        times.append(item.time)
    return Clip(np.stack(frames), np.stack(marks), np.array(times), Fraction(unit.fps))
