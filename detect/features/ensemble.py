"""Several of the shipped detectors as one: the mean of their standardised scores. The members are read and shown by themselves too.

Members' scores are in units of the spread of real clips they were not trained on, so that a mean means something. A member
that abstains is left out; at least the first one must speak.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from detect.base import Abstain, Card, abstaining, reading
from detect.features.model import remember
from detect.features.windows import sampling
from detect.registry import WEIGHTS, load
from gioconda_core.errors import WeightsError
from gioconda_core.files import sha256_of
from gioconda_core.types import Footage, Reading, TrackScore

__all__ = ["EnsembleDetector", "combine"]


def combine(series: list[tuple[TrackScore, ...]]) -> list[TrackScore]:
    """Members' series → one a face: at the first member's times, the mean of what each member says nearest to then."""
    out = []
    for track in series[0]:
        total = np.array(track.scores, dtype=float)
        count = 1
        for other in series[1:]:
            same = next((t for t in other if t.track == track.track and len(t.scores)), None)
            if same is not None:
                total += np.interp(track.times, same.times, same.scores)
                count += 1
        out.append(TrackScore(track.track, track.times, tuple(map(float, total / count))))
    return out


class EnsembleDetector:
    """target : folder of ``ensemble.json`` (members by name, or by folder) and ``card.json``; default: the shipped one."""

    id = "ensemble"
    version = "1"
    sampling = staticmethod(sampling)
    dense = 25.0

    def __init__(self, target: str | Path | None = None) -> None:
        self.folder = Path(target) if target else WEIGHTS / self.id
        file = self.folder / "ensemble.json"
        if not file.is_file():
            raise WeightsError(
                "no ensemble here", where=str(self.folder), hint="gioconda detect train ensemble makes one"
            )
        document = json.loads(file.read_text(encoding="utf-8"))
        self.members = [
            load(name, target=str(self.folder.parent / name)) if target else load(name) for name in document["members"]
        ]
        joined = "".join(member.weights_sha256 or "" for member in self.members)
        self.weights_sha256: str | None = sha256_of(joined.encode())
        self.card = Card.read(self.folder / "card.json")
        remember(self.weights_sha256, self.folder)

    @abstaining
    def read(self, footage: Footage) -> Reading:
        said = [member.read(footage) for member in self.members]
        if said[0].abstained is not None:
            raise Abstain(said[0].abstained)
        return reading(self, footage, combine([r.series for r in said if r.abstained is None]))
