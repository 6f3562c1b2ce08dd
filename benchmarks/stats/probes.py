"""Tests whether a set can be solved without looking for a fake: small classifiers that see only a shortcut, read on other identities.

``metadata``: what the container says. ``background``: the picture with the face blanked. ``blur``: how sharp face and picture are.
``spectrum``: the azimuthal power spectrum of the face (Durall 2019). ``identity``: a frozen face embedding, that is who it is.
A set that one of them solves measures that shortcut, and says so on the report's first line.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.stats.table import counts, independent
from gioconda_core.faces import observe
from gioconda_core.faces.cues import Box, blur, number, spread_frames
from gioconda_core.stats import bootstrap, metrics
from gioconda_core.types import Footage

Floats = NDArray[np.float64]

LIMIT = 0.85  # AUC from which a set counts as solved by a shortcut
TITLES = {
    "metadata": "Container metadata",
    "background": "The background",
    "blur": "Sharpness",
    "spectrum": "The power spectrum",
    "identity": "A frozen face embedding",
}
_FACTS = (
    "container", "codec", "width", "height", "fps", "duration", "frame_count", "rotation", "pixel_aspect", "has_audio", "audio_codec",
    "bit_rate", "pix_fmt", "matrix", "transfer", "primaries", "full_range", "profile", "encoder", "streams", "size_bytes",
)  # fmt: skip


def features(footage: Footage, facts: Mapping[str, Any], *, embed: bool = True) -> dict[str, Any]:
    """Plain numbers for each probe; ``metadata`` stays a mapping. Small enough to keep for every clip.

    embed : the face embedding too, which costs more than all the rest (a tenth of finding the faces).
    """
    found: dict[str, Any] = {"metadata": {k: facts.get(k) for k in _FACTS}}
    rows: dict[str, list[Floats]] = {}
    for frame, box, landmarks in spread_frames(footage):
        rows.setdefault("background", []).append(_background(frame, box))
        rows.setdefault("blur", []).append(blur(frame, box))
        if box is not None:
            rows.setdefault("face_size", []).append(np.array([float(box[3] - box[1])]))
            rows.setdefault("spectrum", []).append(_spectrum(frame, box))
            if embed and "identity" not in rows and landmarks is not None:
                rows["identity"] = [observe.embed(frame, landmarks).astype(np.float64)]
    for name, values in rows.items():
        found[name] = [float(f"{v:.4g}") for v in np.mean(values, axis=0)]
    return found


def _background(frame: NDArray[np.uint8], box: Box | None) -> Floats:
    """A 6 × 6 thumbnail with the face blanked by the mean around it, and the grain of the rest."""
    picture = frame.astype(np.float32)
    outside = np.ones(frame.shape[:2], np.uint8)
    face = np.s_[0:0] if box is None else np.s_[box[1] : box[3], box[0] : box[2]]
    outside[face] = 0
    if not outside.any():
        return np.zeros(6 * 6 * 3 + 6)
    mean, spread = cv2.meanStdDev(picture, mask=outside)
    _, grain = cv2.meanStdDev(picture - cv2.GaussianBlur(picture, (0, 0), 1.5), mask=outside)
    picture[face] = mean.ravel()
    small = cv2.resize(picture, (6, 6), interpolation=cv2.INTER_AREA) / 255
    return np.concatenate([small.ravel(), spread.ravel() / 64, np.log(grain.ravel() + 0.1)]).astype(np.float64)


def _spectrum(frame: NDArray[np.uint8], box: Box) -> Floats:
    """Azimuthal mean of the log power spectrum of the face at 96 pixels: 48 numbers. Source: Durall 2019, §3."""
    grey = cv2.cvtColor(np.ascontiguousarray(frame[box[1] : box[3], box[0] : box[2]]), cv2.COLOR_RGB2GRAY)
    side = 96
    square = cv2.resize(
        grey, (side, side), interpolation=cv2.INTER_AREA if min(grey.shape) >= side else cv2.INTER_CUBIC
    )
    window, radius = _rings(side)
    power = np.log(np.abs(np.fft.fftshift(np.fft.fft2((square - square.mean()) * window))) ** 2 + 1.0)
    total = np.bincount(radius, weights=power.ravel())
    return np.asarray((total / np.bincount(radius))[: side // 2])


@functools.cache
def _rings(side: int) -> tuple[Floats, NDArray[np.int64]]:
    """A window for a square picture, and the ring of its spectrum that each frequency lies on, in a row."""
    y, x = np.indices((side, side)) - side // 2
    return np.hanning(side)[:, None] * np.hanning(side)[None], np.hypot(x, y).astype(np.int64).ravel()


# --------------------------------------------------------------------------- reading them


def _metadata_columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Floats]:
    """Field → (n, c): numbers as they are (missing = −1), words one-hot, rare words together."""
    columns: dict[str, Floats] = {}
    for name in _FACTS:
        values = [r.get(name) for r in rows]
        numbers = [number(v) for v in values]
        if all(v is None or n is not None for v, n in zip(values, numbers, strict=True)):
            column = np.array([-1.0 if n is None else n for n in numbers])[:, None]
        else:
            words = np.array([str(v) for v in values])
            kinds, count = np.unique(words, return_counts=True)
            kept = kinds[np.argsort(-count)][:12]
            column = (words[:, None] == kept[None]).astype(np.float64)
        if np.ptp(column, axis=0).any():
            columns[name] = column
    return columns


def _read(x: Floats, labels: NDArray[Any], groups: NDArray[Any], trees: bool) -> Floats | None:
    """Scores of each clip by a classifier fitted on other groups; None when there are too few."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def scores(train: NDArray[Any], test: NDArray[Any]) -> Floats:
        model = (
            RandomForestClassifier(60, min_samples_leaf=2, random_state=0)
            if trees
            else make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=400, class_weight="balanced"))
        )
        return np.asarray(model.fit(x[train], labels[train]).predict_proba(x[test])[:, 1])

    return metrics.cross_fitted(labels, groups, scores)


def _single_tells(columns: Mapping[str, Floats], labels: NDArray[Any]) -> list[tuple[str, float]]:
    """How far each field alone separates the labels, best first: |2 AUC − 1| of its best column."""
    found = []
    for name, column in columns.items():
        best = max(
            abs(2 * metrics.value(metrics.parse("auc"), labels, column[:, c]) - 1) for c in range(column.shape[1])
        )
        found.append((name, float(best)))
    return sorted(found, key=lambda item: -item[1])


@dataclass(frozen=True)
class Tell:
    """A field of the container that tells two sides apart. strength : |2 AUC − 1|; usual : what each side usually says."""

    field: str
    strength: float
    usual: dict[str, str]


def tells(rows: Sequence[Mapping[str, Any]], sides: NDArray[Any], least: float = 0.5) -> list[Tell]:
    """Container fields that tell two sides (labels or splits) apart, with what each side usually says."""
    if len(np.unique(sides)) != 2:
        return []
    binary = (sides == np.unique(sides)[1]).astype(int)
    columns = _metadata_columns(rows)
    found = []
    for name, strength in _single_tells(columns, binary):
        if strength < least:
            continue
        usual = {}
        for side in np.unique(sides):
            values = [str(r.get(name)) for r, s in zip(rows, sides, strict=True) if s == side]
            kinds, count = np.unique(values, return_counts=True)
            top = int(np.argmax(count))
            usual[str(side)] = f"{kinds[top]} ({count[top] / len(values):.0%})"
        found.append(Tell(name, strength, usual))
    return found


@dataclass(frozen=True)
class Probe:
    """What one shortcut reaches. value, low, high : AUC on other identities than it was fitted on. solved : it reaches ``limit``. tell :
    the container's field that it mostly goes by. reason : why there is no figure, or no interval."""

    probe: str
    title: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    solved: bool = False
    limit: float = LIMIT
    tell: str = ""
    reason: str = ""

    @property
    def told(self) -> str:
        """A shortcut that solves the set, in words."""
        return f"{self.title} alone reaches AUC {self.value or 0:.2f}"


def warning(probed: Iterable[Probe]) -> str:
    """What has to be said first of a set that shortcuts solve; empty where none does."""
    solved = [probe.told for probe in probed if probe.solved]
    return (
        f"A shortcut solves this set, so its figures may say little about fakes: {'. '.join(solved)}." if solved else ""
    )


def run_probes(
    rows: Sequence[Mapping[str, Any]],
    labels: NDArray[Any],
    identities: Sequence[str],
    sources: Sequence[str],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> list[Probe]:
    """Every probe over clips' features. rows : one ``features`` a clip; labels : (n,) 0 real, 1 fake."""
    labels = np.asarray(labels)
    out = []
    for probe in TITLES:
        have = np.array([bool(r.get(probe)) for r in rows])
        if not have.any():  # not looked at
            continue
        keep = [int(i) for i in np.flatnonzero(have & (labels >= 0))]
        who = (np.array([ids[i] for i in keep]) for ids in (identities, sources))
        resampler = bootstrap.Resampler.over(*who, seed=seed) if keep else None
        found = _probe(probe, [rows[i] for i in keep], labels[keep], resampler, resamples)
        out.append(replace(found, n=len(keep)))
    return out


def _probe(
    probe: str,
    rows: Sequence[Mapping[str, Any]],
    y: NDArray[Any],
    resampler: bootstrap.Resampler | None,
    resamples: int,
) -> Probe:
    auc = metrics.parse("auc")
    reason = metrics.refusal(auc, *counts(y))
    if reason or resampler is None:
        return Probe(probe, TITLES[probe], reason=reason or "no clips")
    columns = _metadata_columns([r["metadata"] for r in rows]) if probe == "metadata" else {}
    if probe == "metadata":
        if not columns:
            return Probe(probe, TITLES[probe], value=0.5, reason="every file says the same")
        x = np.concatenate(list(columns.values()), axis=1)
    else:
        x = np.array([r[probe] for r in rows], dtype=np.float64)
    scores = _read(x, y, resampler.axes[0], trees=probe == "metadata")
    if scores is None:
        return Probe(probe, TITLES[probe], reason="too few identities to fit on some and read on others")
    value = metrics.value(auc, y, scores)
    drawn = bootstrap.distribution([auc], y, scores, None, resampler, resamples)["auc"]
    span = bootstrap.interval(drawn, independent(y, resampler))
    tell = ""
    if value >= LIMIT and probe == "metadata":
        name, strength = _single_tells(columns, y)[0]
        tell = f"mostly by {name}" if strength > 0.5 else ""
    return Probe(
        probe, TITLES[probe], value, span.low, span.high, solved=value >= LIMIT, tell=tell, reason=span.reason or ""
    )
