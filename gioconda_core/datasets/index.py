"""A labelled set: one row a file, Parquet with a card inside, splits disjoint by identity and by source.

What counts as the same group: an identity, a source video, a donor of a face, a pair, equal bytes, equal decoded frames. Two
samples that share any of these are never put on two sides of a split. Near-duplicates by perceptual hash are
reported by ``leaks`` and can be joined into groups too.
"""

import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from gioconda_core import plugins
from gioconda_core.datasets.groups import axes, components, near_duplicates
from gioconda_core.datasets.tables import read_sheet, samples
from gioconda_core.errors import MediaError, UsageError
from gioconda_core.files import atomic_path, refuse_overwrite, sha256_of
from gioconda_core.types import Label, Sample

SCHEMA = "gioconda.index/1"
_JSON = ("group", "extra")


@dataclass(frozen=True)
class Leak:
    """Something two splits share. axis : identity, source, sha256, essence, pair, donor or phash."""

    axis: str
    value: str
    splits: tuple[str, ...]
    samples: tuple[str, ...]  # paths, at most ten


class Flaw(StrEnum):
    """How a row does not hold what it says."""

    NAMED_TWICE = "named-twice"
    NO_LABEL = "no-label"
    MISSING = "missing"
    FOLDER = "folder"
    CHANGED = "changed"
    LABELS_DIFFER = "labels-differ"
    SAME_FILE = "same-file"

    def of(self, path: str, other: str = "") -> "FlawedRow":
        """The problem of a row with this flaw. other : the row of the same content."""
        return FlawedRow(path, self, _FLAWS[self] + other)


_FLAWS = {
    Flaw.NAMED_TWICE: "stands in the index twice",
    Flaw.NO_LABEL: "has no label",
    Flaw.MISSING: "is missing",
    Flaw.FOLDER: "is a folder, not a clip",
    Flaw.CHANGED: "has changed since it was indexed",
    Flaw.LABELS_DIFFER: "is the same file as this one, which has another label: ",
    Flaw.SAME_FILE: "is the same file as ",
}


@dataclass(frozen=True)
class FlawedRow:
    """One row that does not hold what it says. what : the same as ``kind``, in words."""

    path: str
    kind: Flaw
    what: str


@dataclass(frozen=True)
class Summary:
    """What a set holds: samples in all, by label, generator and split; people, sources and licences that are named."""

    samples: int
    labels: dict[str, int]
    generators: dict[str, int]
    splits: dict[str, int]
    identities: int
    sources: int
    licences: list[str]


@dataclass(frozen=True)
class Index:
    """A labelled set. root : the folder sample paths are relative to. card : plain JSON that says what this is."""

    samples: tuple[Sample, ...]
    root: Path
    card: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def resolve(self, sample: Sample) -> Path:
        """Where a sample lies. Paths that climb out of the root are refused: an index may come from a stranger."""
        path = Path(sample.path)
        if path.is_absolute():
            return path
        full = self.root / path
        if ".." in path.parts:
            raise UsageError("path climbs out of the index's folder", where=sample.path)
        return full

    # ------------------------------------------------------------------ reading and writing

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Index":
        """Read an index: Parquet or CSV of any dialect, with at least ``path`` and ``label`` columns.

        Raises
        ------
        MediaError
            It cannot be read. UsageError: a column is missing, or a cell cannot be read, named by row and column.
        """
        file = Path(path)
        if not file.is_file():
            raise MediaError(
                "no such index", where=str(file), hint="make one: gioconda data index FOLDER --out index.parquet"
            )
        sheet = read_sheet(file)
        try:
            card = json.loads(sheet.metadata.get(b"gioconda.card", b"{}"))
        except ValueError:
            card = {}
        if sheet.encoding != "parquet":
            card = {"schema": SCHEMA, "from": file.name}
        return cls(samples(sheet), file.parent, card)

    def write(self, path: str | os.PathLike[str], card: Mapping[str, Any] | None = None, *, force: bool = True) -> None:
        """Write the Parquet file atomically, with its card inside and a readable copy beside it (``.md``)."""
        import pyarrow
        import pyarrow.parquet as parquet

        file = Path(path)
        refuse_overwrite(file, force)
        rows: dict[str, list[Any]] = {field.name: [] for field in fields(Sample)}
        for sample in self.samples:
            for name, column in rows.items():
                value = getattr(sample, name)
                if name in _JSON:
                    value = json.dumps(dict(value), ensure_ascii=False, sort_keys=True, allow_nan=False)
                column.append(str(value) if name == "label" else value)
        full = {"schema": SCHEMA, **self.card, **(card or {}), **asdict(self.summary())}
        schema = pyarrow.schema([(name, pyarrow.string()) for name in rows])
        table = pyarrow.table(rows, schema=schema).replace_schema_metadata(
            {b"gioconda.card": json.dumps(full, ensure_ascii=False).encode()}
        )
        with atomic_path(file) as temporary:
            parquet.write_table(table, temporary, compression="zstd")
        with atomic_path(file.with_suffix(".md")) as temporary:
            temporary.write_text(_card_text(file.stem, full), encoding="utf-8")

    @classmethod
    def from_folder(cls, folder: str | os.PathLike[str], layout: str = "plain") -> "Index":
        """Scan a folder by one of the installed layouts; hashes are not taken (see ``hashed``)."""
        root = Path(folder)
        if not root.is_dir():
            raise UsageError("is not a folder", where=str(root))
        samples = tuple(plugins.load("gioconda.datasets", layout)().scan(root))
        if not samples:
            raise UsageError(
                f"nothing that the layout {layout!r} knows is here",
                where=str(root),
                hint="the layout plain has real/CLIP and fake/METHOD/CLIP; a CSV of path and label serves too",
            )
        return cls(samples, root, {"schema": SCHEMA, "layout": layout})

    # ------------------------------------------------------------------ views

    def rebased(self, root: str | os.PathLike[str]) -> "Index":
        """The same files, with paths relative to another folder (absolute where they lie outside it)."""
        base = Path(root).resolve()

        def moved(sample: Sample) -> str:
            full = self.resolve(sample).resolve()
            return full.relative_to(base).as_posix() if full.is_relative_to(base) else str(full)

        return replace(self, samples=tuple(replace(s, path=moved(s)) for s in self.samples), root=base)

    def with_samples(self, samples: Iterable[Sample]) -> "Index":
        """The same index with other rows."""
        return replace(self, samples=tuple(samples))

    def filter(self, *, split: str | Sequence[str] | None = None, label: str | None = None) -> "Index":
        """Rows of a split (or several), of a label."""
        splits = {split} if isinstance(split, str) else set(split) if split is not None else None
        return self.with_samples(
            sample
            for sample in self.samples
            if (splits is None or sample.split in splits) and (label is None or sample.label == label)
        )

    def summary(self) -> Summary:
        """Counts for the card."""
        return Summary(
            len(self.samples),
            labels=dict(sorted(Counter(str(s.label) for s in self.samples).items())),
            generators=dict(sorted(Counter(s.generator for s in self.samples if s.generator).items())),
            splits=dict(sorted(Counter(s.split or "none" for s in self.samples).items())),
            identities=len({s.identity for s in self.samples if s.identity}),
            sources=len({s.source for s in self.samples if s.source}),
            licences=sorted({s.licence for s in self.samples if s.licence}),
        )

    # ------------------------------------------------------------------ groups, splits, leaks

    def groups(self, near: int | None = None) -> list[str]:
        """A group name for each sample: the connected component over everything two samples may share.

        near : also join samples whose perceptual hashes differ in at most this many of 64 bits.
        """
        pairs = [] if near is None else near_duplicates([s.phash for s in self.samples], near)
        return [f"g{first:06d}" for first in components([axes(s) for s in self.samples], pairs)]

    def split(self, fractions: Mapping[str, float], seed: int = 0, near: int | None = None) -> "Index":
        """Give every sample a split so that no group lies on two sides.

        fractions : e.g. ``{"train": 0.7, "val": 0.1, "test": 0.2}``; they must sum to 1.

        Groups are ordered by a keyed hash of their smallest member and given, one by one, to the split that lacks most;
        the same set with the same seed is split the same way whatever the order of its rows.
        """
        if abs(sum(fractions.values()) - 1) > 1e-6 or any(value < 0 for value in fractions.values()):
            shares = ", ".join(f"{name} {share:g}" for name, share in fractions.items()) or "no share"
            raise UsageError("the shares must be positive and sum to 1", where=shares)
        names = self.groups(near)
        members: dict[str, list[int]] = defaultdict(list)
        for i, name in enumerate(names):
            members[name].append(i)

        def order(indices: list[int]) -> tuple[int, str]:
            key = min(self.samples[i].sha256 or self.samples[i].path for i in indices)
            # Large groups first, or a large one that comes last overflows the split it lands in.
            return -len(indices), hashlib.sha256(f"{seed}:{key}".encode()).hexdigest()

        total = len(self.samples)
        filled = dict.fromkeys(fractions, 0)
        given = [""] * total
        for indices in sorted(members.values(), key=order):
            wanted = max(fractions, key=lambda name: fractions[name] * total - filled[name])
            filled[wanted] += len(indices)
            for i in indices:
                given[i] = wanted
        card = {**self.card, "split": {"fractions": dict(fractions), "seed": str(seed), "groups": len(members)}}
        return replace(self, samples=tuple(replace(s, split=given[i]) for i, s in enumerate(self.samples)), card=card)

    def leaks(self, near: int = 3) -> list[Leak]:
        """Everything two splits share, by axis; near-duplicates by perceptual hash within ``near`` bits of 64."""
        where: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for sample in self.samples:
            if sample.split:
                for axis in axes(sample):
                    where[axis][sample.split].append(sample.path)
        found = [
            Leak(axis, value, tuple(sorted(by_split)), tuple(p for paths in by_split.values() for p in paths[:5])[:10])
            for (axis, value), by_split in sorted(where.items())
            if len(by_split) > 1
        ]
        for i, j in near_duplicates([s.phash for s in self.samples], near):
            a, b = self.samples[i], self.samples[j]
            if a.split and b.split and a.split != b.split:
                found.append(
                    Leak("phash", f"{a.phash} ~ {b.phash}", tuple(sorted((a.split, b.split))), (a.path, b.path))
                )
        return found

    def verify(self, advance: Callable[[], object] | None = None) -> list[FlawedRow]:
        """Rows whose file is missing, whose bytes changed, whose label is unknown, or that stand twice."""
        problems = []
        seen: set[str] = set()
        by_hash: dict[str, list[Sample]] = defaultdict(list)
        for sample in self.samples:
            path, digest = self.resolve(sample), sample.sha256
            if sample.path in seen:
                problems.append(Flaw.NAMED_TWICE.of(sample.path))
            seen.add(sample.path)
            if sample.label == Label.UNKNOWN:
                problems.append(Flaw.NO_LABEL.of(sample.path))
            if not path.exists():
                problems.append(Flaw.MISSING.of(sample.path))
            elif path.is_dir():
                problems.append(Flaw.FOLDER.of(sample.path))
            elif path.is_file():
                digest = sha256_of(path)
                if sample.sha256 not in ("", digest):
                    problems.append(Flaw.CHANGED.of(sample.path))
            if digest:
                by_hash[digest].append(sample)
            if advance:
                advance()
        for first, *others in by_hash.values():
            for other in others:
                if other.label != first.label:
                    problems.append(Flaw.LABELS_DIFFER.of(other.path, first.path))
                elif other.path != first.path:
                    problems.append(Flaw.SAME_FILE.of(other.path, first.path))
        return problems


def _card_text(name: str, card: Mapping[str, Any]) -> str:
    lines = [
        f"# {name}",
        "",
        "A labelled set indexed by Gioconda. This card is a copy of the one inside the Parquet file.",
        "",
    ]
    for key, value in card.items():
        if isinstance(value, dict):
            lines.append(f"- **{key}**: " + (", ".join(f"{k} {v}" for k, v in value.items()) or "none"))
        elif isinstance(value, list):
            lines.append(f"- **{key}**: " + (", ".join(map(str, value)) or "none"))
        else:
            lines.append(f"- **{key}**: {value}")
    return "\n".join(lines) + "\n"
