"""The contracts a plugin's author runs: ``check_detector(MyDetector())`` raises AssertionError with a plain sentence.

They check behaviour at the interface (what goes in, what comes out, what must not happen), not quality.
"""

import dataclasses
import sys
from fractions import Fraction
from typing import Any

import numpy as np

from gioconda_core.types import FaceTrack, Footage, Reading


def footage(frames: int = 8, size: int = 160, seed: int = 0, faces: int = 1) -> Footage:
    """A small drawn clip with ``faces`` talking faces of plausible landmarks, for calling a detector with; no face model needed."""
    rng = np.random.default_rng(seed)
    pictures = rng.integers(60, 200, (frames, size, size, 3), dtype=np.uint8)
    times = np.arange(frames) / 25
    tracks = []
    for face in range(faces):
        angle = np.linspace(0.1 * np.pi, 0.9 * np.pi, 17)
        centre = size * np.array([(face + 0.5) / faces, 0.5])
        radius = size * 0.3 / faces
        jaw = np.stack([-np.cos(angle), np.sin(angle)], axis=1)
        inner = rng.uniform(-0.5, 0.5, (51, 2))
        shape = centre + radius * np.concatenate([jaw, inner])
        landmarks = (shape + rng.normal(0, 0.5, (frames, 68, 2))).astype(np.float32)
        lips = landmarks[:, 48:, 1]
        middle = lips.mean(1, keepdims=True)
        lips[:] = middle + (lips - middle) * (1 + 0.5 * np.sin(6 * np.pi * times))[:, None]
        boxes = np.concatenate([landmarks.min(1), landmarks.max(1)], axis=1)
        tracks.append(FaceTrack(face, times, boxes, landmarks, np.full(frames, 0.8, np.float32)))
    return Footage(pictures, times, Fraction(25), frames / 25, tuple(tracks))


def peak_memory() -> int:
    """Most memory this process has held at once, in bytes.

    Not ``ru_maxrss`` where Linux tells better: a child starts with the peak of whoever forked it, so that one born of a test run of
    two gigabytes seems to need them itself.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def check_detector(detector: Any) -> None:
    """Check an instance against the detector contract.

    It has ``id``, ``version`` and ``weights_sha256``; ``read(footage)`` returns a ``Reading`` under its own name; the same
    footage gives the same score; the footage is not changed; no face is an abstention, not an error.
    """
    assert isinstance(detector.id, str) and detector.id, "a detector has a non-empty id"
    assert isinstance(detector.version, str) and detector.version, "a detector has a version"
    assert detector.weights_sha256 is None or len(detector.weights_sha256) == 64, (
        "weights_sha256 is a hex sha256 or None"
    )
    clip = footage()
    before = clip.frames.copy()
    first, second = detector.read(clip), detector.read(clip)
    assert isinstance(first, Reading), f"read returns a Reading, not {type(first).__name__}"
    assert first.detector == detector.id, "a reading carries its detector's id"
    assert (first.score, first.abstained) == (second.score, second.abstained), "the same footage gives the same reading"
    assert np.array_equal(before, clip.frames), "read must not change the frames it is given"
    nobody = detector.read(dataclasses.replace(clip, tracks=()))
    assert nobody.abstained or nobody.score is not None, "a clip without a face gets an abstention with its reason"
    for series in first.series:
        assert len(series.times) == len(series.scores), "a series has a time for each score"


def check_landmarker(landmarker: Any) -> None:
    """Check an instance against the landmarker contract, on a blank picture: no face found is an empty array, not an error."""
    assert isinstance(landmarker.name, str) and landmarker.name, "a landmarker has a name"
    assert isinstance(landmarker.version, str), "a landmarker has a version"
    blank = np.zeros((1, 96, 96, 3), np.uint8)
    found = landmarker.detect(blank)
    assert len(found) == 1, "detect returns one array for each frame"
    assert np.asarray(found[0]).reshape(-1, 5).shape[1] == 5, "boxes are (M, 5): xyxy and confidence"
    points = landmarker.landmarks(blank[0], np.array([[20, 20, 76, 76, 1.0]], np.float32))
    assert points.shape == (1, 68, 2), "landmarks returns (M, 68, 2)"
    assert points.dtype == np.float32, "landmarks are float32"


def check_signer(signer: Any) -> None:
    """Check an instance against the signer contract: bytes in, signature out; a certificate chain in PEM; no key in its repr."""
    assert "BEGIN CERTIFICATE" in signer.chain, "chain is the leaf and its issuers in PEM"
    assert "PRIVATE KEY" not in signer.chain + repr(signer), "a signer never shows its key"
    signature = signer.sign(b"gioconda")
    assert isinstance(signature, bytes) and signature, "sign(bytes) returns bytes"
