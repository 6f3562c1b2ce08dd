"""Lists the clips that training footage comes from: folders of clips in the layouts people have, lists, and the embedded puppets.

Each clip gets an identity and a source, so that splits can be disjoint by both. A folder of pictures counts as one clip
(VoxCeleb1 is distributed so). Names that do not fit the layout are reported, not guessed.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gioconda_core.datasets.tables import path_of, read_sheet
from gioconda_core.errors import UsageError
from gioconda_core.media.suffixes import PICTURES, VIDEOS


@dataclass(frozen=True)
class Entry:
    """One clip. path : file, folder of pictures, or ``puppets:IDENTITY/MOTION``. name : unique in the list, stable between runs."""

    path: str
    name: str
    identity: str
    source: str
    pictures: tuple[str, ...] = ()


def _files(root: Path, suffixes: frozenset[str] = VIDEOS) -> Iterator[Path]:
    yield from sorted(p for p in root.rglob("*") if p.suffix.lower() in suffixes and not p.name.startswith("."))


def _folder(root: Path, suffixes: frozenset[str]) -> Iterator[Entry]:
    """Any tree: the identity is the first folder below the root, or the file's own name where it lies in the root."""
    for path in _files(root, suffixes):
        relative = path.relative_to(root)
        identity = relative.parts[0] if len(relative.parts) > 1 else path.stem
        yield Entry(str(path), relative.as_posix(), identity, relative.with_suffix("").as_posix())


def _voxceleb1(root: Path) -> Iterator[Entry]:
    """``[unzippedFaces/]NAME/1.6/VIDEO/*.jpg``, or the same as mp4: ``ID/VIDEO/NNNNN.mp4``."""
    folders: dict[Path, list[Path]] = {}
    for path in _files(root, PICTURES):
        folders.setdefault(path.parent, []).append(path)
    for folder, pictures in sorted(folders.items()):
        parts = [p for p in folder.relative_to(root).parts if p not in ("unzippedFaces", "dev", "test", "1.6")]
        if len(parts) >= 2:
            name = "/".join(parts)
            yield Entry(str(folder), name, parts[0], name, tuple(str(p) for p in pictures))
    yield from _voxceleb2(root)


def _voxceleb2(root: Path) -> Iterator[Entry]:
    """``[dev|test/][mp4/]ID/VIDEO/NNNNN.mp4``; the source is the video, whose utterances share room and clothes."""
    for path in _files(root):
        parts = path.relative_to(root).parts
        if len(parts) >= 3:
            yield Entry(str(path), "/".join(parts), parts[-3], f"{parts[-3]}/{parts[-2]}")


def _named(root: Path, people: Callable[[str], tuple[str, str]]) -> Iterator[Entry]:
    """Clips whose names, without suffix, say which person and source they are of."""
    for path in _files(root):
        yield Entry(str(path), path.relative_to(root).as_posix(), *people(path.stem))


def _hdtf(name: str) -> tuple[str, str]:
    """``WDA_Name_000``, ``RD_Radio1_000``: the person is the name without its clip number."""
    return re.sub(r"_\d+$", "", name), name


def _celebv_hq(name: str) -> tuple[str, str]:
    """``YOUTUBEID_K[_I]``: an 11-character video id (which may hold underscores), then clip numbers. No person is named:
    one identity a video."""
    video = name[:11] if name[11:12] == "_" else name.split("_")[0]
    return video, video


def _talkinghead_1kh(name: str) -> tuple[str, str]:
    """``YOUTUBEID_NNNN_S0_E185_L0_T0_R512_B512``: one identity a video."""
    match = re.match(r"(.+?)_(\d{4})(?:_S\d+_E\d+.*)?$", name)
    video, clip = match.groups() if match else (name, "0000")
    return video, f"{video}_{clip}"


def _csv(root: Path, where: str, suffixes: frozenset[str]) -> Iterator[Entry]:
    """A list: a path column (``path``, ``file``), and ``identity`` or ``person``, ``source``, as they are there.

    where : ``column=value`` conditions joined by commas, ``kind=real,view=face crop``; ``kind=real|fake`` takes either.
    """
    wanted = [tuple(part.split("=", 1)) for part in where.split(",") if "=" in part]
    sheet = read_sheet(root)
    sheet.refuse_guess()
    if not len(sheet):
        raise UsageError("the list has no rows", where=str(root))
    column = sheet.named("path") or sheet.named("video")
    if not column:
        raise UsageError("the list has no path or file column", where=str(root))
    for name, _ in wanted:
        if name not in sheet.cells:
            raise UsageError(f"the list has no column {name!r}", str(root), f"it has {', '.join(sheet.names)}")
    people, own, sources = (sheet.column(name) for name in ("identity", "id", "source"))
    for i, text in enumerate(sheet.cells[column]):
        if any(sheet.cells[name][i] not in value.split("|") for name, value in wanted):
            continue
        relative = path_of(text)
        if Path(relative).suffix.lower() not in suffixes:
            continue
        name = Path(relative).with_suffix("").as_posix()
        yield Entry(str((root.parent / relative).resolve()), relative, people[i] or own[i] or name, sources[i] or name)


LAYOUTS: dict[str, Callable[[Path], Iterator[Entry]]] = {
    "folder": partial(_folder, suffixes=VIDEOS),
    "voxceleb1": _voxceleb1,
    "voxceleb2": _voxceleb2,
    "hdtf": partial(_named, people=_hdtf),
    "celebv-hq": partial(_named, people=_celebv_hq),
    "talkinghead-1kh": partial(_named, people=_talkinghead_1kh),
}


def _puppets(text: str) -> Iterator[Entry]:
    """``puppets:300`` = identities 0…299; ``puppets:100-199`` a range; ``puppets:50x3`` three takes of each."""
    match = re.fullmatch(r"puppets:(\d+)(?:-(\d+))?(?:x(\d+))?", text)
    if not match:
        raise UsageError(f"not puppets: {text!r}", hint="puppets:300, puppets:100-199 or puppets:50x3")
    first, last, takes = match.groups()
    people = range(int(first), int(last) + 1) if last else range(int(first))
    if not people or takes == "0":
        raise UsageError("no puppet at all", where=text, hint="puppets:300, puppets:100-199 or puppets:50x3")
    for identity in people:
        for take in range(int(takes or 1)):
            # Takes of two people never share a motion seed, so that no room or light ties identities together.
            motion = identity * 1000 + take
            name = f"puppets/{identity:06d}/{motion}"
            yield Entry(f"puppets:{identity}/{motion}", name, f"puppet-{identity:06d}", name)


def entries(source: str, layout: str = "folder", where: str = "", stills: bool = False) -> list[Entry]:
    """The clips of a source.

    Parameters
    ----------
    source : a folder, a .csv list, or ``puppets:N``.
    layout : one of LAYOUTS; a .csv and puppets need none. where : conditions on a list's columns.
    stills : photographs and paintings of a list, or of a folder without a layout of its own, count too.

    Raises
    ------
    UsageError
        The source is missing, the layout unknown, or nothing in it looks like a clip.
    """
    if source.startswith("puppets:"):
        return list(_puppets(source))
    root = Path(source)
    if not root.exists():
        raise UsageError("no such folder or list", where=source)
    if where and root.suffix.lower() != ".csv":
        raise UsageError("chooses rows of a .csv list", where="--where", hint=f"{source} is none")
    if layout not in LAYOUTS:
        raise UsageError(f"unknown layout {layout!r}", hint=f"one of {', '.join(LAYOUTS)}")
    suffixes = VIDEOS | PICTURES if stills else VIDEOS
    if root.suffix.lower() == ".csv":
        found = list(_csv(root, where, suffixes))
    else:
        found = list(_folder(root, suffixes) if layout == "folder" else LAYOUTS[layout](root))
    if not found:
        raise UsageError(f"no clips found in the layout {layout}", where=source)
    return found
