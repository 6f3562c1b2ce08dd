"""How often a detector's map of a picture points at what was changed, on fakes whose masks are known, against the mask's area and other clips' masks.

    python -m benchmarks.speed pointing INDEX [--detectors contrast] [--grid 5] [--most 16] [--blend]

INDEX is what ``gioconda synth fakes`` leaves (fakes with a mask of the pixels generated; ``--regions face`` leaves some unchanged). With
``--blend`` its real clips are taken instead, each blended onto itself here and encoded, with the blend's own mask. Only clips that the
detector scores are asked; the interval is over persons.
"""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import detect
from detect.base import Abstain, Detector
from detect.face_crops import square
from detect.reading import explain
from detect.reading import observe as footages
from gioconda_core.datasets.index import Index
from gioconda_core.faces.self_blend import draw
from gioconda_core.media.clip import Clip, write_video
from gioconda_core.reasons import AbstentionReason
from gioconda_core.stats import bootstrap
from gioconda_core.types import Footage, Label, Sample

Array = NDArray[Any]


def around_face(masks: Array, footage: Footage) -> Array:
    """Masks uint8 (T, H, W) of the sampled frames → their mean over the square that a map covers, float (MAP, MAP) in 0…1."""
    face = footage.tracks[0]
    extent = float(np.median(np.ptp(face.landmarks, axis=1).max(1)))
    seen = []
    for mask, time in zip(masks, footage.times, strict=True):
        at = int(np.argmin(np.abs(face.times - time)))
        if abs(face.times[at] - time) < 0.2:
            part, _ = square(np.repeat(mask[..., None], 3, 2), face.landmarks[at], explain.MAP, explain.MARGIN, extent)
            seen.append(part[..., 0] / 255)
    return np.asarray(np.mean(seen, 0))


def known(index: Index, sample: Sample, detector: Detector) -> tuple[Footage, Array]:
    """A fake of ``synth fakes`` and its mask; the mask file holds the frames below one another."""
    import cv2

    with Clip.open(index.resolve(sample)) as clip:
        footage = footages.observe(clip, [detector])
        fps = float(clip.fps or 25)
    sheet = cv2.imread(str(index.root / sample.extra["mask"]), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None, sample.extra["mask"]
    height, width = footage.frames.shape[1:3]
    sheet = sheet.reshape(-1, sheet.shape[1], sheet.shape[1]) if height == width else sheet.reshape(-1, height, width)
    rows = np.clip(np.round(footage.times * fps).astype(int), 0, len(sheet) - 1)
    masks = np.stack([cv2.resize(sheet[row], (width, height)) for row in rows])
    return footage, masks


def blended(index: Index, sample: Sample, detector: Detector, seed: int) -> tuple[Footage, Array]:
    """A real clip blended onto itself and encoded, and the blend's mask."""
    path = index.resolve(sample)
    with Clip.open(path) as clip:
        footage = footages.observe(clip, [detector])
        if not footage.tracks:
            raise Abstain(AbstentionReason.NO_FACE)
        change, masks, fps = draw(np.random.default_rng(seed)), [], clip.fps
        face = footage.tracks[0]

        def frames() -> Iterator[Array]:
            for time, frame in clip.frames("all"):
                at = int(np.argmin(np.abs(face.times - time)))
                picture, mask = change(frame, face.landmarks[at])
                if np.abs(footage.times - time).min() < 1e-6:
                    masks.append(mask)
                yield picture

        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "blend.mp4"
            write_video(target, frames(), fps=fps or 25, crf=18)
            with Clip.open(target) as again:
                return footages.observe(again, [detector]), np.stack(masks)


def asked(name: str, index: Index, wanted: list[Sample], given: Namespace) -> dict[str, object]:
    """A detector's maps of the clips that it scores, one a person, against their masks."""
    detector = detect.load(name)
    maps: list[Array] = []
    inside: list[Array] = []
    persons: set[str] = set()
    for number, sample in enumerate(wanted):
        if len(maps) >= given.most:
            break
        if sample.identity in persons:
            continue
        try:
            found = blended(index, sample, detector, number) if given.blend else known(index, sample, detector)
            footage, masks = found
            mask = around_face(masks[: len(footage.times)], footage)
            if not 0.02 < (mask > 0.5).mean() < 0.8:
                continue  # nothing, or nearly everything, was changed: any map points there
            maps.append(explain.occlusion(detector, footage, grid=given.grid))
        except Abstain:
            continue
        inside.append(mask > 0.5)
        persons.add(sample.identity)
    return {"detector": name, "grid": given.grid, "blend": given.blend, "clips": len(maps), **summary(maps, inside)}


def summary(maps: list[Array], masks: list[Array]) -> dict[str, object]:
    """Means over clips (one a person) with 95 % bootstrap intervals: the share of a map's positive mass inside its clip's mask, over
    chance (the mask's area) and over what the same map has inside the other clips' masks; and whether its peak lies inside."""
    if len(maps) < 2:
        return {}
    every = [[explain.points_inside(a, b) for b in masks] for a in maps]
    table = {key: np.array([row[i][key] for i, row in enumerate(every)]) for key in every[0][0]}
    gains = np.array([[found["inside"] - found["chance"] for found in row] for row in every])
    gain = np.diag(gains)
    others = (gains.sum(1) - gain) / (len(maps) - 1)
    compared = {
        "inside over chance": gain,
        "inside over other masks": gain - others,
        "peak over chance": table["peak"] - table["chance"],
    }
    persons = bootstrap.Resampler.over(np.arange(len(maps)))
    return {key: float(value.mean()) for key, value in table.items()} | {
        key: (float(value.mean()), *bootstrap.quantiles(bootstrap.mean_distribution(value, persons), len(maps)))
        for key, value in compared.items()
    }


def cases(given: Namespace, folder: Path) -> Iterator[dict[str, object]]:
    """A row a detector."""
    index = Index.read(given.index)
    wanted = [s for s in index if (s.label == Label.REAL if given.blend else "mask" in s.extra)]
    wanted = [wanted[i] for i in np.random.default_rng(0).permutation(len(wanted))]
    for name in given.detectors.split(","):
        yield asked(name, index, wanted, given)
