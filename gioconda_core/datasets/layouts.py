"""Folder layouts others use, read into samples and written from an index.

A layout's ``scan`` looks at names and small lists only: no file is opened as media and no hash is taken. ``export`` writes
clips of an index into the layout (hard links where possible, else copies), so that other people's code can read them.
"""

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar, Protocol

from gioconda_core.datasets.tables import read_sheet, samples
from gioconda_core.errors import UsageError
from gioconda_core.files import atomic_path, read_text, write_text
from gioconda_core.media.suffixes import PICTURES, is_media_name
from gioconda_core.types import Label, Sample


class Layout(Protocol):
    """What the entry-point group ``gioconda.datasets`` holds."""

    name: ClassVar[str]

    def scan(self, root: Path) -> Iterator[Sample]: ...


def _media(root: Path, pattern: str = "**/*") -> Iterator[Path]:
    yield from sorted(path for path in root.glob(pattern) if is_media_name(path) and path.is_file())


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


class PlainTree:
    """``real/**`` and ``fake/GENERATOR/**``. Identity is a folder below that, if any; else each file is its own source."""

    name: ClassVar[str] = "plain"

    def scan(self, root: Path) -> Iterator[Sample]:
        for label, names in (
            (Label.REAL, ("real", "reals", "original")),
            (Label.FAKE, ("fake", "fakes", "manipulated")),
        ):
            for top in names:
                for path in _media(root / top):
                    inner = path.relative_to(root / top).parts[:-1]
                    generator = (inner[0] if inner else "unknown") if label is Label.FAKE else ""
                    people = inner[1:] if label is Label.FAKE else inner
                    yield Sample(
                        path=_relative(path, root),
                        sha256="",
                        label=label,
                        generator=generator,
                        identity=people[0] if people else "",
                        source=path.stem,
                    )

    def export(self, samples: Iterable[tuple[Sample, Path]], root: Path) -> int:
        rows = [
            (path, f"fake/{s.generator or 'unknown'}" if s.label == Label.FAKE else "real", path.stem)
            for s, path in samples
        ]
        return _place_named(rows, root)


class CsvList:
    """A CSV with the columns of :func:`gioconda_core.datasets.tables.samples`."""

    name: ClassVar[str] = "csv"

    def scan(self, root: Path) -> Iterator[Sample]:
        file = root if root.is_file() else next(iter(sorted(root.glob("*.csv"))), None)
        if file is None:
            raise UsageError("no CSV here", where=str(root))
        yield from samples(read_sheet(file))


class FaceForensics:
    """FaceForensics++: ``original_sequences`` and ``manipulated_sequences/METHOD``; pairs ``TARGET_SOURCE``; official split lists."""

    name: ClassVar[str] = "faceforensics"
    # The face seen is the source's in the swaps and the target's in the reenactments (Rössler 2019, §3).
    _swaps: ClassVar[set[str]] = {"Deepfakes", "FaceSwap", "FaceShifter", "DeepFakeDetection"}

    def scan(self, root: Path) -> Iterator[Sample]:
        splits = self._splits(root)
        for path in _media(root, "original_sequences/*/*/*/*"):
            origin, compression = path.parts[-4], path.parts[-3]
            person = path.stem if origin == "youtube" else path.stem.split("__")[0]
            source = path.stem if origin == "youtube" else f"{origin}/{path.stem}"
            yield Sample(
                _relative(path, root), "", Label.REAL, identity=person, source=source,
                split=splits.get(path.stem, ""), group={"compression": compression, "origin": origin},
            )  # fmt: skip
        for path in _media(root, "manipulated_sequences/*/*/*/*"):
            method, compression = path.parts[-4], path.parts[-3]
            parts = path.stem.split("_")
            target, donor = parts[0], parts[1].split("-")[0] if len(parts) > 1 else ""
            shown, other = (donor, target) if method in self._swaps and donor else (target, donor)
            yield Sample(
                _relative(path, root), "", Label.FAKE, generator=method, identity=shown, source=target,
                split=splits.get(target, ""), group={"compression": compression}, extra={"donor": other},
            )  # fmt: skip

    @staticmethod
    def _splits(root: Path) -> dict[str, str]:
        found: dict[str, str] = {}
        for split in ("train", "val", "test"):
            for file in (root / f"{split}.json", root / "splits" / f"{split}.json"):
                if file.is_file():
                    found.update({str(name): split for pair in json.loads(file.read_text()) for name in pair})
        return found

    def export(self, samples: Iterable[tuple[Sample, Path]], root: Path) -> int:
        """``cCRF/videos`` below each method, three-digit names, and the split lists. Numbers follow first appearance of a source.

        CRF is 23 where the sample does not say its own; several fakes of one pair get ``-1``, ``-2`` after the name.
        """
        numbers: dict[str, str] = {}
        pairs: dict[str, list[list[str]]] = {"train": [], "val": [], "test": []}
        placed = []
        for sample, path in samples:
            number = numbers.setdefault(sample.source or sample.path, f"{len(numbers):03d}")
            donor = numbers.setdefault(
                str(sample.extra.get("donor") or sample.source or sample.path), f"{len(numbers):03d}"
            )
            compression = f"c{sample.group.get('crf', 23)}"
            if sample.label == Label.FAKE:
                folder, stem = f"manipulated_sequences/{sample.generator}/{compression}/videos", f"{number}_{donor}"
                if sample.split in pairs and [number, donor] not in pairs[sample.split]:
                    pairs[sample.split].append([number, donor])
            else:
                folder, stem = f"original_sequences/youtube/{compression}/videos", number
            placed.append((path, folder, stem))
        count = _place_named(placed, root)
        for split, listed in pairs.items():
            write_text(root / "splits" / f"{split}.json", json.dumps(listed))
        return count


class CelebDF:
    """Celeb-DF v1 and v2: ``Celeb-real``, ``YouTube-real``, ``Celeb-synthesis``, ``List_of_testing_videos.txt``."""

    name: ClassVar[str] = "celeb-df"

    def scan(self, root: Path) -> Iterator[Sample]:
        listed = root / "List_of_testing_videos.txt"
        testing = set()
        if listed.is_file():
            testing = {line.split(maxsplit=1)[1].strip() for line in read_text(listed).splitlines() if " " in line}
        for path in _media(root, "*/*"):
            folder, relative = path.parent.name, _relative(path, root)
            split = ("test" if relative in testing else "train") if testing else ""
            if folder == "Celeb-real":
                yield Sample(relative, "", Label.REAL, identity=path.stem.split("_")[0], source=path.stem, split=split)
            elif folder == "YouTube-real":
                yield Sample(relative, "", Label.REAL, identity=f"yt{path.stem}", source=f"yt{path.stem}", split=split)
            elif folder == "Celeb-synthesis":
                parts = path.stem.split("_")
                if len(parts) == 3:
                    target, donor, number = parts
                    yield Sample(
                        relative, "", Label.FAKE, generator="Celeb-DF", identity=donor, source=f"{target}_{number}",
                        split=split, extra={"donor": target},
                    )  # fmt: skip

    def export(self, samples: Iterable[tuple[Sample, Path]], root: Path) -> int:
        people: dict[str, str] = {}
        takes: dict[str, int] = {}
        placed, testing = [], []
        for sample, path in samples:
            person = people.setdefault(sample.identity or sample.source, f"id{len(people)}")
            other = people.setdefault(
                str(sample.extra.get("donor") or sample.identity or sample.source), f"id{len(people)}"
            )
            name = f"{other}_{person}" if sample.label == Label.FAKE else person
            take = takes[name] = takes.get(name, -1) + 1
            folder = "Celeb-synthesis" if sample.label == Label.FAKE else "Celeb-real"
            stem = f"{name}_{take:04d}"
            placed.append((path, folder, stem))
            if sample.split == "test":
                testing.append(f"{int(sample.label == Label.REAL)} {folder}/{stem}{path.suffix}")
        count = _place_named(placed, root)
        write_text(root / "List_of_testing_videos.txt", "\n".join(testing) + "\n")
        return count


class DFDC:
    """The DFDC's folders, each with a ``metadata.json``: label, split and the original a fake was made from."""

    name: ClassVar[str] = "dfdc"

    def scan(self, root: Path) -> Iterator[Sample]:
        for metadata in sorted(root.rglob("metadata.json")):
            for name, row in sorted(json.loads(metadata.read_text()).items()):
                path = metadata.parent / name
                if not path.is_file():
                    continue
                fake = str(row.get("label", "")).upper() == "FAKE" or row.get("is_fake") == 1
                original = str(row.get("original") or name)
                yield Sample(
                    _relative(path, root), "", Label.FAKE if fake else Label.REAL,
                    generator="DFDC" if fake else "", identity=str(row.get("actor", "")), source=Path(original).stem,
                    split={"validation": "val"}.get(str(row.get("split", "")), str(row.get("split", ""))),
                )  # fmt: skip


class DeeperForensics:
    """DeeperForensics-1.0: ``source_videos`` of actors and ``manipulated_videos/VARIANT/TARGET_ACTOR.mp4``, split lists."""

    name: ClassVar[str] = "deeperforensics"

    def scan(self, root: Path) -> Iterator[Sample]:
        splits = {
            line.strip(): file.stem
            for file in sorted((root / "lists" / "splits").glob("*.txt"))
            for line in read_text(file).splitlines()
            if line.strip()
        }
        for path in _media(root / "source_videos"):
            actor = next((part for part in path.parts if re.fullmatch(r"[MW]\d+", part)), "")
            yield Sample(_relative(path, root), "", Label.REAL, identity=actor, source=f"{actor}/{path.stem}")
        for path in _media(root / "manipulated_videos", "*/*"):
            target, _, actor = path.stem.partition("_")
            yield Sample(
                _relative(path, root), "", Label.FAKE, generator="DF-VAE", identity=actor, source=target,
                split=splits.get(path.name, ""), group={"variant": path.parent.name}, extra={"donor": target},
            )  # fmt: skip


class DF40:
    """DF40: ``METHOD/{cdf,ff}/{frames/CLIP/*, CLIP.mp4}``. Frames of a clip share its source; benchmarks pool them by it."""

    name: ClassVar[str] = "df40"

    def scan(self, root: Path) -> Iterator[Sample]:
        for path in _media(root):
            parts = path.relative_to(root).parts
            if len(parts) < 3:
                continue
            method, domain = parts[0], parts[1]
            clip = path.parent.name if path.suffix.lower() in PICTURES and len(parts) > 3 else path.stem
            target, _, donor = clip.partition("_")
            real = method.lower() in {"real", "original", "celeb-real", "youtube-real"}
            yield Sample(
                _relative(path, root), "", Label.REAL if real else Label.FAKE, generator="" if real else method,
                identity=target, source=f"{domain}/{clip}", group={"domain": domain},
                extra={} if real or not donor else {"donor": donor},
            )  # fmt: skip

    def export(self, samples: Iterable[tuple[Sample, Path]], root: Path) -> int:
        rows = [
            (path, f"{s.generator if s.label == Label.FAKE else 'real'}/gioconda", path.stem) for s, path in samples
        ]
        return _place_named(rows, root)


class VoxCeleb:
    """VoxCeleb1/2 video: ``[dev|test/]mp4/ID/YOUTUBE/NNNNN.mp4``; everything is real, identity and source are in the path."""

    name: ClassVar[str] = "voxceleb"

    def scan(self, root: Path) -> Iterator[Sample]:
        for path in _media(root):
            parts = path.relative_to(root).parts
            if len(parts) >= 3 and re.fullmatch(r"id\d+", parts[-3]):
                split = next((name for name in ("dev", "test") if name in parts), "")
                yield Sample(
                    _relative(path, root), "", Label.REAL, identity=parts[-3], source=parts[-2],
                    split={"dev": "train"}.get(split, split),
                )  # fmt: skip


def _place_named(rows: Iterable[tuple[Path, str, str]], root: Path) -> int:
    """Put (file, folder below ``root``, name without suffix) there, by a link where that can be; returns how many."""
    count = 0
    for path, folder, stem in rows:
        target = root / folder / f"{stem}{path.suffix}"
        serial = 1
        while target.exists() and not os.path.samefile(path, target):
            target = root / folder / f"{stem}-{serial}{path.suffix}"
            serial += 1
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, target)
            except OSError:
                with atomic_path(target) as temporary:
                    shutil.copyfile(path, temporary)
        count += 1
    return count
