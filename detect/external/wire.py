"""How footage travels to somebody else's detector, and how the answer comes back: a ZIP in, JSON out.

The ZIP holds ``footage.json`` (times, fps, duration, protocol, tracks with boxes and landmarks) and ``frames/00000.png``…
(upright RGB, lossless: any re-encoding would change what is measured). The answer is
``{"score": 1.5, "series": [{"track": 0, "times": […], "scores": […]}]}`` or ``{"abstain": "why"}``; for "why" also
``{"code": …, "detail": …}`` with a code of :class:`gioconda_core.reasons.AbstentionReason` that is no failure.
"""

import io
import json
import math
import zipfile
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from detect.base import Abstain, Detector
from gioconda_core.faces import track_cache
from gioconda_core.reasons import Abstention, AbstentionReason
from gioconda_core.types import FaceTrack, Footage, Reading, TrackScore

SCHEMA = "gioconda.footage/1"
LIMIT = 4 << 30  # bytes of an unpacked archive


def pack(footage: Footage) -> bytes:
    """Footage as a ZIP."""
    import cv2

    tracks = [
        {
            "id": track.id,
            "times": track.times.tolist(),
            "boxes": np.round(track.boxes.astype(float), 2).tolist(),
            "landmarks": np.round(track.landmarks.astype(float), 3).tolist(),
            "quality": track.quality.astype(float).tolist(),
        }
        for track in footage.tracks
    ]
    document = {
        "schema": SCHEMA,
        "times": np.asarray(footage.times, dtype=float).tolist(),
        "fps": str(footage.fps) if footage.fps else None,
        "duration": footage.duration,
        "protocol": footage.protocol,
        "facts": {k: v for k, v in footage.facts.items() if isinstance(v, str | int | float | bool | None)},
        "tracks": tracks,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("footage.json", json.dumps(document))
        for index, frame in enumerate(footage.frames):
            _, png = cv2.imencode(".png", frame[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
            archive.writestr(f"frames/{index:05d}.png", png.tobytes())
    return buffer.getvalue()


def unpack(body: bytes) -> Footage:
    """The other side of ``pack``: what a service written in Python calls first."""
    import cv2

    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        if sum(info.file_size for info in archive.infolist()) > LIMIT:
            raise ValueError("the archive unpacks to more than 4 GiB")
        document = json.loads(archive.read("footage.json"))
        frames = []
        for index in range(len(document["times"])):
            data = np.frombuffer(archive.read(f"frames/{index:05d}.png"), dtype=np.uint8)
            frame = cv2.imdecode(data, cv2.IMREAD_COLOR)
            if frame is None:
                raise ValueError(f"frame {index} is no picture")
            frames.append(frame[..., ::-1])
    tracks = tuple(
        FaceTrack(
            id=int(track["id"]),
            times=np.array(track["times"], dtype=np.float64),
            boxes=np.array(track["boxes"], dtype=np.float32).reshape(-1, 4),
            landmarks=np.array(track["landmarks"], dtype=np.float32).reshape(-1, 68, 2),
            quality=np.array(track["quality"], dtype=np.float32),
        )
        for track in document["tracks"]
    )
    return Footage(
        frames=np.stack(frames) if frames else np.zeros((0, 0, 0, 3), np.uint8),
        times=np.array(document["times"], dtype=np.float64),
        fps=Fraction(document["fps"]) if document["fps"] else None,
        duration=float(document["duration"]),
        tracks=tracks,
        protocol=document["protocol"],
        facts=document["facts"],
    )


def arrays(given: Footage) -> dict[str, Any]:
    """Footage as the task or the answer of a worker of ours: exactly as it is. A dictionary, since arrays travel beside the JSON, by name."""
    return {
        "frames": given.frames,
        "times": np.asarray(given.times),
        "fps": str(given.fps) if given.fps else None,
        "duration": given.duration,
        "protocol": given.protocol,
        "facts": dict(given.facts),
        "tracks": [[track.id, list(track.measures)] for track in given.tracks],
        **track_cache.packed(given.tracks),
    }


def footage(task: Mapping[str, Any]) -> Footage:
    """The other side of ``arrays``."""
    tracks = tuple(track_cache.unpacked(task, i, *about) for i, about in enumerate(task["tracks"]))
    fps = Fraction(task["fps"]) if task["fps"] else None
    return Footage(task["frames"], task["times"], fps, task["duration"], tracks, task["protocol"], task["facts"])


def answer(reading: Reading) -> dict[str, Any]:
    """A Reading as the JSON that ``reading`` takes."""
    if reading.abstained is not None:
        return {"abstain": reading.abstained.document()}
    return {
        "score": reading.score,
        "pooling": reading.pooling,
        "series": [
            {"track": track.track, "times": list(track.times), "scores": list(track.scores)} for track in reading.series
        ],
    }


def _abstention(given: Any) -> Abstention:
    """A stranger's reason: one of ours where it is one and says all it must, else its words."""
    if isinstance(given, dict):
        try:
            known = Abstention.from_document(given)
            if known.text and not known.failed:
                return known
        except (KeyError, TypeError, ValueError):
            pass
        given = given.get("text") or given.get("code") or "no reason given"
    return Abstention(AbstentionReason.OTHER, {"text": str(given)})


def reading(document: Any, detector: Detector, footage: Footage) -> Reading:
    """A stranger's JSON answer as a Reading; raises ValueError where it is not one."""
    if not isinstance(document, dict):
        raise ValueError("the answer is not a JSON object")
    if document.get("abstain"):
        raise Abstain(_abstention(document["abstain"]))
    score = document.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise ValueError(f"the answer's score is not a number ({score!r})")
    if not math.isfinite(score):
        raise Abstain(Abstention(AbstentionReason.NOT_FINITE, {"value": repr(score)}))
    series = tuple(
        TrackScore(int(row["track"]), tuple(map(float, row["times"])), tuple(map(float, row["scores"])))
        for row in document.get("series", ())
    )
    return Reading(
        detector=detector.id,
        version=str(document.get("version", detector.version)),
        weights_sha256=document.get("weights_sha256", detector.weights_sha256),
        score=float(score),
        series=series,
        pooling=str(document.get("pooling", "theirs")),
        protocol=footage.protocol,
    )
