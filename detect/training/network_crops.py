"""Crops for training networks: measured once and kept without loss, drawn in same-source pairs, changed as the world changes clips.

A step's batch depends on the seed and the step's number alone, so that a resumed run draws what the killed one would have drawn.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detect.base import Abstain
from detect.face_crops import prepare
from detect.training.dataset import Clips
from detect.training.options import NetworkTraining
from gioconda_core.faces import observe
from gioconda_core.faces import self_blend as blend
from gioconda_core.files import atomic_path, sha256_of
from gioconda_core.media.clip import Clip

Array = NDArray[Any]
FRAMES = 32  # crops kept of a clip


@dataclass(frozen=True, eq=False)
class Crops:
    """A clip's crops uint8 (N, S, S, 3) and landmarks float32 (N, 68, 2) of its largest face."""

    crops: Array
    landmarks: Array


def cached(path: Path, sha256: str, folder: Path, size: int, mode: str) -> Crops | None:
    """The crops of a clip, from the cache or measured now; None where no face can be measured."""
    key = f"{sha256 or sha256_of(path)}-{size}-{mode}.npz"
    file = folder / key[:2] / key
    if not file.exists():
        found = _measure(path, size, mode)
        with atomic_path(file) as temporary, open(temporary, "wb") as out:
            arrays: dict[str, Any] = _packed(found)
            np.savez(out, **arrays)
    with np.load(file, allow_pickle=False) as data:
        if not len(data["ends"]):
            return None
        starts = np.concatenate([[0], data["ends"][:-1]])
        pictures = [_decoded(data["png"][a:b]) for a, b in zip(starts, data["ends"], strict=True)]
        return Crops(np.stack(pictures), data["landmarks"])


def _measure(path: Path, size: int, mode: str) -> Crops | None:
    with Clip.open(path) as clip:
        footage = observe.observe(clip, f"even:{FRAMES}", max_faces=2)
    try:
        face = prepare(footage, size, mode=mode)[0]
    except Abstain:
        return None
    return Crops(face.crops, face.landmarks)


def _packed(found: Crops | None) -> dict[str, Array]:
    """PNG bytes end to end: crops are evidence, so they are not compressed with loss a second time."""
    if found is None:
        return {
            "png": np.zeros(0, np.uint8),
            "ends": np.zeros(0, np.int64),
            "landmarks": np.zeros((0, 68, 2), np.float32),
        }
    parts = [cv2.imencode(".png", crop[..., ::-1])[1].ravel() for crop in found.crops]
    ends = np.cumsum([len(part) for part in parts])
    return {"png": np.concatenate(parts), "ends": ends, "landmarks": found.landmarks}


def partners(clips: Clips, rows: Array) -> dict[int, list[int]]:
    """Real clip → fakes to pair it with: made from it, else of its source, else of its person, else any."""
    fakes = [int(i) for i in rows if clips.labels[i] == 1]
    out = {}
    for i in (int(r) for r in rows if clips.labels[r] == 0):
        real = clips.samples[i]
        shared = (("pair", real.sha256), ("source", real.source), ("identity", real.identity))
        closest = ([j for j in fakes if getattr(clips.samples[j], axis) == value] for axis, value in shared if value)
        out[i] = next((own for own in closest if own), fakes)
    return out


def _decoded(data: Array) -> Array:
    """Bytes of a picture of ours → RGB."""
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert picture is not None
    return picture[..., ::-1]


def encode(crops: Array, crf: int) -> Array:
    """Crops (N, S, S, 3) through H.264 as a short clip: the codec's traces as they are, not an imitation."""
    import av
    from av.video.reformatter import VideoReformatter

    size = crops.shape[1]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": str(crf), "preset": "veryfast", "threads": "1"})
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        for crop in crops:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(crop), format="rgb24")))
        out.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer, "r") as file:
        turn = VideoReformatter()  # one for all: each frame's own would start threads anew
        back = [turn.reformat(frame, format="rgb24").to_ndarray() for frame in file.decode(video=0)]
    return np.stack(back[: len(crops)])


def augment(crops: Array, rng: np.random.Generator) -> Array:
    """One drawn change for all crops of a clip: mirror, light, resize, blur, noise, JPEG, and the H.264 ladder."""
    out = crops[:, :, ::-1] if rng.random() < 0.5 else crops
    size = out.shape[1]
    if rng.random() < 0.5:
        gain, shift = rng.uniform(0.85, 1.15), rng.uniform(-15, 15)
        out = np.clip(out * gain + shift, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        small = int(size * rng.uniform(0.4, 0.9))
        out = np.stack(
            [
                cv2.resize(
                    cv2.resize(c, (small, small), interpolation=cv2.INTER_AREA),
                    (size, size),
                    interpolation=cv2.INTER_CUBIC,
                )
                for c in out
            ]
        )
    if rng.random() < 0.2:
        sigma = rng.uniform(0.3, 1.5)
        out = np.stack([cv2.GaussianBlur(c, (0, 0), sigma) for c in out])
    if rng.random() < 0.2:
        out = np.clip(out + rng.normal(0, rng.uniform(1, 6), out.shape), 0, 255).astype(np.uint8)
    kind = rng.random()
    if kind < 0.25:
        quality = int(rng.integers(40, 96))
        coded = [
            cv2.imencode(".jpg", np.ascontiguousarray(c[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            for c in out
        ]
        out = np.stack([_decoded(c) for c in coded])
    elif kind < 0.65:
        out = encode(out, int(rng.choice([18, 23, 28, 32, 36, 40])))
    return np.ascontiguousarray(out)


def draw(
    clips: Clips,
    crops: dict[int, Crops],
    pairs: dict[int, list[int]],
    rng: np.random.Generator,
    count: int,
    job: NetworkTraining,
) -> tuple[Array, Array]:
    """One batch of ``count`` real/fake pairs, ``job.frames`` crops each: uint8 (2·count, frames, S, S, 3) and labels (2·count,).

    Both classes are half of every batch. Within a pair both are encoded and changed alike, so that the change tells nothing;
    the share ``job.self_blend`` of the fakes are the real clip itself, self-blended.
    """
    reals = sorted(pairs)
    methods = clips.methods
    pictures, labels = [], []
    for i in rng.choice(reals, count):
        real = _window(crops[int(i)], job.frames, rng)
        if rng.random() < job.self_blend or not pairs[int(i)]:
            swap = blend.draw(rng)
            fake = np.stack([swap(c, p)[0] for c, p in zip(*real, strict=True)])
        else:
            own = pairs[int(i)]
            names = sorted({str(methods[j]) for j in own})
            method = names[rng.integers(len(names))]  # by method first: the largest set must not be all there is
            j = int(rng.choice([j for j in own if methods[j] == method]))
            fake = _window(crops[j], job.frames, rng)[0]
        seed = int(rng.integers(2**31))
        for label, picture in ((0, real[0]), (1, fake)):
            pictures.append(augment(picture, np.random.default_rng(seed)))
            labels.append(label)
    return np.stack(pictures), np.array(labels, np.float32)


def _window(of: Crops, frames: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """``frames`` neighbouring crops; a short clip repeats its last."""
    count = len(of.crops)
    start = int(rng.integers(max(1, count - frames + 1)))
    rows = np.minimum(np.arange(start, start + frames), count - 1)
    return of.crops[rows], of.landmarks[rows]
