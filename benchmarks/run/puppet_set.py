"""Makes the embedded labelled set from seeds alone: puppets, and fakes of puppets by methods whose names are their labels.

Every clip, real or fake, is encoded by the same encoder with the same settings from frames of the same size and number, so
that nothing but the picture tells them apart. Credentials lie beside the clips, not in them: a signature has a time and a key,
and the clips' bytes, by which results refer to them, come from seeds alone. A fake shares the identity and source of the take it
was made from. ``face-swap`` puts another puppet's face on, colour-matched and feathered; every other method is a generator of
:mod:`synth.generators` that reenacts the take it learned from: ``warp`` (one photograph, warped) and ``few-shot``.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gioconda_core import config
from gioconda_core.datasets.index import Index
from gioconda_core.faces import align
from gioconda_core.files import sha256_of, write_json
from gioconda_core.media.clip import write_video
from gioconda_core.types import Claim, Ingredient, Label, Sample
from provenance.signing import sign
from synth.puppets.perform import LICENCE, Performance, perform
from synth.warp import warp

_VERSION = 5
Frames = NDArray[np.uint8]


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
    size = target.frames.shape[1]
    out = []
    for picture, points in zip(target.frames, target.landmarks, strict=True):
        laid = warp(donor.frames[0], donor.landmarks[0], points)
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


@dataclass(frozen=True)
class Puppets:
    """What a suite's ``data`` part asks for. data : that part as it is written; the same one gives the same clips.

    identities, takes : people, and clips of each. size : side of the frames, pixels. generators : a fake of every take by each.
    """

    data: Mapping[str, Any]
    identities: int = 16
    takes: int = 2
    frames: int = 48
    size: int = 224
    seed: int = 0
    generators: tuple[str, ...] = ("warp", "face-swap")

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Puppets":
        """From a suite's ``data`` part; what it does not say is as usual."""
        numbers = {name: int(data[name]) for name in ("identities", "takes", "frames", "size", "seed") if name in data}
        return cls(dict(data), **numbers, generators=tuple(map(str, data.get("generators", cls.generators))))

    @property
    def clips(self) -> int:
        """How many clips there will be."""
        return self.identities * self.takes * (1 + len(self.generators))

    def part(self, limit: int | None) -> "Puppets":
        """A set that holds ``limit`` clips and both labels: of as few people, takes and methods as that needs.

        limit : of a run's clips; the whole set without one, and where it asks for more than there is.
        """
        if limit is None or limit >= self.clips:
            return self
        methods, takes = self.generators[: max(1, limit - 1)], self.takes
        if -(-limit // (1 + len(methods))) <= self.identities:
            takes = 1
        # Two people at least: a face swap needs a donor.
        people = max(2, -(-limit // (takes * (1 + len(methods)))))
        fewer = {"identities": people, "takes": takes, "generators": list(methods), "whole": self.clips}
        return Puppets.of({**self.data, **fewer})


def build(wanted: Puppets, folder: Path | None = None, advance: Callable[..., None] = lambda *a, **k: None) -> Index:
    """The set: from the cache, or made now."""
    key = sha256_of(json.dumps([_VERSION, wanted.data], sort_keys=True).encode())[:20]
    home = (folder or config.core().cache / "puppets") / key
    if not (home / "complete.json").exists():
        _Making(wanted, home, advance).run()
    return Index.read(home / "index.parquet")


class _Making:
    """A set as it is made."""

    def __init__(self, wanted: Puppets, home: Path, advance: Callable[..., None]) -> None:
        self.wanted, self.home, self.advance = wanted, home, advance
        self.samples: list[Sample] = []
        self.made_from: dict[tuple[int, int], str] = {}  # a take → sha256 of its clip

    def run(self) -> None:
        """Every clip, and the index of them with its card."""
        wanted = self.wanted
        last = self._takes(wanted.identities - 1)
        previous = last  # the donor of the first puppet's face swaps
        for i in range(wanted.identities):
            own = self._takes(i) if i < wanted.identities - 1 else last
            for generator in wanted.generators:
                for take, clip in enumerate(_fakes(generator, own, previous)):
                    donor = previous[0] if generator == "face-swap" else None
                    self._keep(f"{generator}-{i:03d}-{take}", clip, own[take], generator, donor)
            previous = own
        card = {
            "name": "puppets",
            "made by": f"benchmarks.run.puppet_set {_VERSION}",
            "data": wanted.data,
            "whole": wanted.data.get("whole", wanted.clips),
            "licence": LICENCE,
        }
        Index(tuple(self.samples), self.home, {}).write(self.home / "index.parquet", card)
        write_json(self.home / "complete.json", {"samples": len(self.samples)})

    def _takes(self, i: int) -> list[Performance]:
        """The takes of the i-th person, whose real clips are kept."""
        wanted = self.wanted
        first = wanted.seed * 1000  # far from the identities that shipped weights were trained on
        drawn = [
            perform(first + i, first + i * 17 + take, frames=wanted.frames, size=wanted.size)
            for take in range(wanted.takes)
        ]
        for take, performance in enumerate(drawn):
            self._keep(f"real-{i:03d}-{take}", performance.frames, performance)
        return drawn

    def _keep(
        self, name: str, clip: Frames, like: Performance, generator: str = "", donor: Performance | None = None
    ) -> None:
        """Write a clip with its credential and note its row. generator : empty for a real clip."""
        path = self.home / f"{name}.mp4"
        write_video(path, iter(clip), fps=like.fps, codec="h264", crf=18, force=True)
        digest, identity = sha256_of(path), f"puppet-{like.identity}"
        if not generator:
            self.made_from[like.identity, like.motion] = digest
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
                Ingredient("source", self.made_from[t.identity, t.motion], f"puppet-{t.identity}") for t in sources
            ),
            licence=LICENCE,
            consent="embedded",
            split="test",
            identity=identity,
        )
        sign.sign_sidecar(path, None, claim, force=True)
        self.samples.append(
            Sample(
                path.name,
                digest,
                label=label,
                generator=generator,
                identity=identity,
                source=f"{identity}-take-{like.motion}",
                licence=LICENCE,
                split="test",
                extra={"donor": f"puppet-{donor.identity}"} if donor else {},
            )
        )
        self.advance(1)
