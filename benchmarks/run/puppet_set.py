"""The embedded labelled set: puppets, and fakes of puppets made by methods whose names are their labels; from seeds alone.

Every clip, real or fake, is encoded by the same encoder with the same settings from frames of the same size and number, so
that nothing but the picture tells them apart. Credentials lie beside the clips, not in them: a signature has a time and a key,
and the clips' bytes, by which results refer to them, come from seeds alone. A fake shares the identity and source of the take it
was made from. ``face-swap`` puts another puppet's face on, colour-matched and feathered; every other method is a generator of
:mod:`synth.generators` that reenacts the take it learned from: ``warp`` (one photograph, warped) and ``few-shot``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core.datasets.index import Index
from gioconda_core.faces import align
from gioconda_core.faces.track_cache import folder as cache_folder
from gioconda_core.files import sha256_of, write_json
from gioconda_core.media.clip import write_video
from gioconda_core.types import Claim, Ingredient, Label, Sample

if TYPE_CHECKING:
    from synth.puppets.perform import Performance


_VERSION = 4
Frames = NDArray[np.uint8]


def _edges(size: int) -> NDArray[np.float32]:
    """Points of the picture's border that stay where they are."""
    t = np.linspace(0, size - 1, 5)
    rim = [(x, y) for x in t for y in t if x in (t[0], t[-1]) or y in (t[0], t[-1])]
    return np.array(rim, np.float32)


def _moved(picture: Frames, source: NDArray[np.float32], target: NDArray[np.float32]) -> Frames:
    """The picture with the points ``source`` (n, 2) carried to ``target``, linear between them."""
    import cv2
    from scipy.interpolate import LinearNDInterpolator

    size = picture.shape[0]
    fixed = _edges(size)
    to = np.concatenate([target, fixed]).astype(np.float64)
    back = np.concatenate([source, fixed]) - to
    to += np.linspace(0, 1e-4, len(to))[:, None]  # points exactly on one line make the triangulation fail
    y, x = np.mgrid[0:size, 0:size]
    shift = LinearNDInterpolator(to, back, fill_value=0.0)(np.c_[x.ravel(), y.ravel()]).reshape(size, size, 2)
    grid = np.stack([x, y], -1).astype(np.float32) + shift.astype(np.float32)
    return np.asarray(
        cv2.remap(picture, grid[..., 0], grid[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT), np.uint8
    )


def reenacted(name: str, take: Performance) -> Frames:
    """Self-reenactment by a registered generator: learned from the first quarter of a take, driven by all of its landmarks,
    and pasted back over the take, so that pose, light and room are the real clip's."""
    from synth.generators import generator

    few_shot = name == "few-shot"
    heads = generator(name, **({} if few_shot else {"size": take.frames.shape[1]}))
    # One crop for the whole take: a crop that follows every twitch would shake the face it is pasted back as.
    matrix = align.transform(take.landmarks.mean(0), heads.size)
    count = len(take.frames) // 4
    picks = np.unique(np.linspace(0, count - 1, 8 if few_shot else 1).round().astype(int))
    shots = np.stack([align.crop(take.frames[i], matrix, heads.size) for i in picks])
    points = np.stack([align.apply(matrix, marks) for marks in take.landmarks])
    person = heads.personalise(shots, points[picks], mode="ff", steps=None, seed=0)
    drawn = person.render(points)
    return np.stack([align.paste(f, d, matrix) for f, d in zip(take.frames, drawn, strict=True)])


def face_swap(target: Performance, donor: Performance) -> Frames:
    """The donor's first face laid over the target's, landmark by landmark; colour-matched inside, feathered at the rim."""
    import cv2

    size = target.frames.shape[1]
    out = []
    for picture, points in zip(target.frames, target.landmarks, strict=True):
        laid = _moved(donor.frames[0], donor.landmarks[0], points)
        mask = np.zeros((size, size), np.uint8)
        cv2.fillConvexPoly(mask, cv2.convexHull(points[:68].astype(np.int32)), 255)
        inner = cv2.erode(mask, np.ones((max(3, size // 24),) * 2, np.uint8)) > 0
        a, b = laid[inner].astype(np.float32), picture[inner].astype(np.float32)
        matched = (laid - a.mean(0)) * (b.std(0) / np.maximum(a.std(0), 1)) + b.mean(0)
        soft = cv2.GaussianBlur((inner * 255).astype(np.uint8), (0, 0), size / 40)[..., None].astype(np.float32) / 255
        out.append(np.clip(matched * soft + picture * (1 - soft), 0, 255).astype(np.uint8))
    return np.stack(out)


def _fakes(generator: str, own: list[Performance], other: list[Performance]) -> list[Frames]:
    """One clip for each take of a puppet; ``other`` are a donor's takes."""
    if generator == "face-swap":
        return [face_swap(take, other[0]) for take in own]
    return [reenacted(generator, take) for take in own]


def generators(data: Mapping[str, Any]) -> list[str]:
    """The methods a suite's ``data`` part asks for."""
    return [str(name) for name in data.get("generators", ("warp", "face-swap"))]


def size(data: Mapping[str, Any]) -> int:
    """How many clips ``build`` makes."""
    return int(data.get("identities", 16)) * int(data.get("takes", 2)) * (1 + len(generators(data)))


def part(data: Mapping[str, Any], limit: int | None) -> dict[str, Any]:
    """The ``data`` of a set that holds ``limit`` clips and both labels: as few people, takes and methods as that needs, and how many
    clips ("whole") the set would have had.

    limit : of a run's clips; the whole set without one, and where it asks for more than there is.
    """
    if limit is None or limit >= size(data):
        return dict(data)
    methods = generators(data)[: max(1, limit - 1)]
    people, takes = int(data.get("identities", 16)), int(data.get("takes", 2))
    if -(-limit // (1 + len(methods))) <= people:
        takes = 1
    fewest = -(-limit // (takes * (1 + len(methods))))
    # Two at least: a face swap needs a donor.
    return dict(data) | {"identities": max(2, fewest), "takes": takes, "generators": methods, "whole": size(data)}


def build(
    data: Mapping[str, Any], folder: Path | None = None, advance: Callable[..., None] = lambda *a, **k: None
) -> Index:
    """The set for a suite's ``data`` part: from the cache, or made now. The same data part gives the same clips."""
    key = sha256_of(json.dumps([_VERSION, dict(data)], sort_keys=True).encode())[:20]
    home = (folder or cache_folder() / "puppets") / key
    if (home / "complete.json").exists():
        return Index.read(home / "index.parquet")
    return _make(data, home, advance)


def _make(data: Mapping[str, Any], home: Path, advance: Callable[..., None]) -> Index:
    from provenance.signing import sign
    from synth.puppets import perform as puppets

    identities, takes = int(data.get("identities", 16)), int(data.get("takes", 2))
    frames, side, seed = int(data.get("frames", 48)), int(data.get("size", 224)), int(data.get("seed", 0))
    first = seed * 1000  # far from the identities that shipped weights were trained on

    def perform(i: int) -> list[Performance]:
        return [puppets.perform(first + i, first + i * 17 + take, frames=frames, size=side) for take in range(takes)]

    samples = []
    made_from: dict[tuple[int, int], str] = {}  # a take → sha256 of its clip

    def keep(name: str, clip: Frames, like: Performance, generator: str = "", donor: Performance | None = None) -> None:
        """generator : empty for a real clip."""
        path = home / f"{name}.mp4"
        write_video(path, iter(clip), fps=like.fps, codec="h264", crf=18, force=True)
        digest, identity = sha256_of(path), f"puppet-{like.identity}"
        if not generator:
            made_from[like.identity, like.motion] = digest
        sources = [take for take in (like, donor) if take and generator]
        label = Label.FAKE if generator else Label.REAL
        tasks = {"": "control", "face-swap": "face-swap"}
        claim = Claim(
            title=path.name,
            task=tasks.get(generator, "self-reenactment"),
            label=str(label),
            generator=generator or "puppets",
            generator_version=str(_VERSION),
            ingredients=tuple(
                Ingredient("source", made_from[t.identity, t.motion], f"puppet-{t.identity}") for t in sources
            ),
            licence=puppets.LICENCE,
            consent="embedded",
            split="test",
            identity=identity,
        )
        sign.sign_sidecar(path, None, claim, force=True)
        samples.append(
            Sample(
                path.name,
                digest,
                label=label,
                generator=generator,
                identity=identity,
                source=f"{identity}-take-{like.motion}",
                licence=puppets.LICENCE,
                split="test",
                extra={"donor": f"puppet-{donor.identity}"} if donor else {},
            )
        )
        advance(1)

    def keep_real(i: int, takes: list[Performance]) -> None:
        for take, performance in enumerate(takes):
            keep(f"real-{i:03d}-{take}", performance.frames, performance)

    last = perform(identities - 1)
    previous = last  # the donor of the first puppet's face swaps
    keep_real(identities - 1, last)
    for i in range(identities):
        own = perform(i) if i < identities - 1 else last
        if own is not last:
            keep_real(i, own)
        for generator in generators(data):
            for take, clip in enumerate(_fakes(generator, own, previous)):
                donor = previous[0] if generator == "face-swap" else None
                keep(f"{generator}-{i:03d}-{take}", clip, own[take], generator, donor)
        previous = own
    card = {
        "name": "puppets",
        "made by": f"benchmarks.run.puppet_set {_VERSION}",
        "data": dict(data),
        "whole": data.get("whole", size(data)),
        "licence": puppets.LICENCE,
    }
    index = Index(tuple(samples), home, {})
    index.write(home / "index.parquet", card)
    write_json(home / "complete.json", {"samples": len(samples)})
    return Index.read(home / "index.parquet")
