"""Keyframes: the few sharp, distinct frames of a clip by which its earliest copy can be searched for.

Shots are told apart by perceptual hash among the frames that were sampled anyway; docs/decisions/evidence.md says why not by PySceneDetect.
Not covered: a shot that lies between two sampled frames.
"""

import hashlib
import io
import os
import zipfile
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from gioconda.report.rows import csv_line
from gioconda_core.media.clip import Clip
from gioconda_core.media.fingerprint import bits
from gioconda_core.media.pictures import Picture, grid, jpeg
from gioconda_core.types import Keyframe

LEAST, MOST = 4, 12  # keyframes of a clip that has as many distinct frames
CUT = 18  # bits of 64 by which two neighbouring frames differ across a cut; see docs/decisions/evidence.md
SAME = 3  # bits within which two frames are one picture
SIDE = 320  # pixels of a keyframe on a page
QUALITY = 95  # of the JPEG that is exported, and hashed


def find(frames: Sequence[Picture], times: Sequence[float]) -> tuple[Keyframe, ...]:
    """The keyframes among sampled frames, in order of time: the sharpest of each shot, then what differs most from those.

    Parameters
    ----------
    frames : uint8 (H, W, 3) each, RGB, upright. times : seconds of each. Give one frame of what does not move.

    Returns
    -------
    ``LEAST`` to ``MOST`` of them; fewer where there are fewer frames.
    """
    hashes = [bits(frame) for frame in frames]
    shots = np.cumsum([0, *(_far(a, b) >= CUT for a, b in pairwise(hashes))])
    sharp = np.array([_sharpness(frame) for frame in frames])
    chosen: list[int] = []
    shown = [shot for shot, _ in sorted(zip(*np.unique(shots, return_counts=True), strict=True), key=lambda x: -x[1])]
    for shot in shown[:MOST]:  # of more shots than that, the longest
        of_shot = np.flatnonzero(shots == shot)
        best = int(of_shot[np.argmax(sharp[of_shot])])
        if all(_far(hashes[best], hashes[i]) > SAME for i in chosen) or not chosen:
            chosen.append(best)
    length = max(float(times[-1]) - float(times[0]), 1e-6) if len(times) else 1.0
    apart = length / (2 * LEAST)
    wanted = min(MOST, max(LEAST, len(chosen), round(length / 10)))
    sharp_enough = sharp >= 0.7 * np.array([np.median(sharp[shots == shot]) for shot in shots])

    def news(i: int) -> float:
        """How far a frame is from those chosen, in bits and in time."""
        return min(_far(hashes[i], hashes[j]) + 16 * abs(times[i] - times[j]) / length for j in chosen)

    while 0 < len(chosen) < wanted:
        few = len(chosen) < LEAST  # a person who sits still changes few bits: frames far apart in time will do
        others = [
            i
            for i in range(len(frames))
            if (few and min(abs(times[i] - times[j]) for j in chosen) > apart)
            or (sharp_enough[i] and min(_far(hashes[i], hashes[j]) for j in chosen) > SAME)
        ]
        if not others:
            break
        chosen.append(max(others, key=news))
    return tuple(_keyframe(frames[i], float(times[i]), int(shots[i]), hashes[i]) for i in sorted(chosen))


def _keyframe(frame: Picture, time: float, shot: int, phash: int) -> Keyframe:
    exported = hashlib.sha256(jpeg(frame, quality=QUALITY)).hexdigest()
    return Keyframe(round(time, 4), shot, exported, f"{phash:016x}", jpeg(frame, SIDE))


def _far(a: int, b: int) -> int:
    return (a ^ b).bit_count()


def _sharpness(frame: Picture) -> float:
    """Variance of the Laplacian of the picture made small, where what differs is focus and movement, not size."""
    import cv2

    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    scale = 480 / max(grey.shape)
    if scale < 1:
        size = [max(1, round(side * scale)) for side in grey.shape[::-1]]  # a strip of 20,000 × 20 pixels too
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


def full(path: str | os.PathLike[str], keyframes: Sequence[Keyframe]) -> list[tuple[Keyframe, bytes]]:
    """Each keyframe with its full frame as JPEG, decoded again in a limited child process.

    Raises MediaError where the file is no longer what it was.
    """
    if not keyframes:
        return []
    with Clip.open(path, sandbox=True) as clip:
        at = "all" if clip.facts.still else "at:" + ",".join(f"{k.time:.4f}" for k in keyframes)
        return [(k, jpeg(frame, quality=QUALITY)) for k, (_, frame) in zip(keyframes, clip.frames(at), strict=False)]


def archive(title: str, sha256: str, pictures: Sequence[tuple[Keyframe, bytes]]) -> bytes:
    """A ZIP of full frames, with a contact sheet, a table of times and hashes, and SHA256SUMS as ``sha256sum -c`` reads it.

    title, sha256 : of the clip. The same clip gives the same bytes.
    """
    from PIL import Image

    files: dict[str, bytes] = {}
    table = [csv_line(["file", "seconds", "shot", "sha256", "phash", "clip", "clip_sha256"])]
    shown = []
    for i, (k, body) in enumerate(pictures, 1):
        name = f"keyframe-{i:02d}-{k.time:09.3f}s.jpg"
        files[name] = body
        digest = hashlib.sha256(body).hexdigest()
        table.append(csv_line([name, f"{k.time:.4f}", k.shot + 1, digest, k.phash, title, sha256]))
        shown.append(np.asarray(Image.open(io.BytesIO(body)).convert("RGB")))
    if shown:
        across = min(3, len(shown))
        sheet = grid([shown[i : i + across] for i in range(0, len(shown), across)], (480, 300), gap=12)
        files["contact-sheet.jpg"] = jpeg(sheet, quality=88)
    files["keyframes.csv"] = "".join(table).encode()
    files["SHA256SUMS"] = "".join(f"{hashlib.sha256(b).hexdigest()}  {n}\n" for n, b in files.items()).encode()
    return packed(files)


def packed(files: dict[str, bytes]) -> bytes:
    """A ZIP of these files, dated so that the same files give the same bytes; pictures are stored as they are."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        for name, body in files.items():
            entry: Any = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            kind = zipfile.ZIP_STORED if name.endswith((".jpg", ".zip")) else zipfile.ZIP_DEFLATED
            zipped.writestr(entry, body, kind)
    return out.getvalue()
