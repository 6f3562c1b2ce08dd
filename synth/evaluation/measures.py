"""Measures how far generated frames are from the real ones: pixels, structure, identity, landmarks, pose, and distances between sets.

Each measure's name is its protocol: ``fid-dlib128`` is a Fréchet distance over dlib's face embeddings, not the FID of papers, which
is ``fid-inception2048`` and needs Inception's weights. Intervals are over people (bootstrap; jackknife
for distances between sets), since frames of one person are not independent. What it does not cover: LPIPS where its weights are absent, and user studies.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import WeightsError
from gioconda_core.faces.landmarks import Landmarker
from gioconda_core.faces.observe import embed
from gioconda_core.faces.quality import pose
from gioconda_core.stats.delong import auc_shares

Array = NDArray[np.float64]
Frames = NDArray[np.uint8]
Points = NDArray[np.float32]


@dataclass(frozen=True)
class Figure:
    """A value with its 95 % interval. n : people; frames : frames, or clips for a detector. better : ``up`` or ``down``."""

    name: str
    value: float
    low: float
    high: float
    n: int
    frames: int
    better: str
    coverage: float = 1.0


def ssim(real: Frames, made: Frames) -> Array:
    """Structural similarity of each pair of frames, colour, 7×7 window; (N,) in [-1, 1]."""
    from skimage.metrics import structural_similarity

    return np.array(
        [structural_similarity(a, b, channel_axis=2, data_range=255) for a, b in zip(real, made, strict=True)]
    )


def embeddings(frames: Frames, landmarks: Points) -> NDArray[np.float32]:
    """dlib's 128-d embedding of the face in each frame, at known landmarks; (N, 128)."""
    return np.stack([embed(frame, points) for frame, points in zip(frames, landmarks, strict=True)])


# Where ArcFace-type networks expect eyes, nose tip and mouth corners in a picture of 112 px. Source: Deng 2019, InsightFace.
_FIVE = np.array([(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)])


def onnx_embedding(path: str) -> Callable[[Frames, Points], NDArray[np.float32]]:
    """An ArcFace-type network of one's own, as ONNX: input (N, 3, 112, 112) RGB, (x − 127.5) / 128; output (N, D)."""
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own kinds for a missing or foreign file
        raise WeightsError(f"cannot be read as an ONNX embedding: {error}", where=path) from error
    name = session.get_inputs()[0].name

    def embed(frames: Frames, landmarks: Points) -> NDArray[np.float32]:
        out = []
        for frame, points in zip(frames, landmarks, strict=True):
            five = np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])
            matrix, _ = cv2.estimateAffinePartial2D(five.astype(np.float64), _FIVE, method=cv2.LMEDS)
            face = cv2.warpAffine(frame, matrix, (112, 112)).astype(np.float32)
            out.append(session.run(None, {name: ((face - 127.5) / 128).transpose(2, 0, 1)[None]})[0].reshape(-1))
        return np.stack(out).astype(np.float32)

    return embed


def csim(real: NDArray[np.float32], made: NDArray[np.float32]) -> Array:
    """Cosine of paired embeddings, (N,). dlib's are not centred: two strangers come out near 0.8, not near 0."""
    a, b = real.astype(np.float64), made.astype(np.float64)
    return np.asarray((a * b).sum(1) / np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-12))


def landmark_error(found: Points, wanted: Points) -> Array:
    """Mean distance of landmarks in inter-ocular distances, (N,); NaN where no face was found."""
    eyes = np.linalg.norm(wanted[:, 36] - wanted[:, 45], axis=-1)
    return np.asarray(np.linalg.norm(found - wanted, axis=-1).mean(-1) / np.maximum(eyes, 1e-6), np.float64)


def pose_error(found: Points, wanted: Points) -> Array:
    """Mean of the absolute differences of yaw and pitch, degrees, (N,); NaN where no face was found in either."""
    good = np.isfinite(found).all((1, 2)) & np.isfinite(wanted).all((1, 2))
    out = np.full(len(found), np.nan)
    if good.any():
        a, b = pose(found[good]), pose(wanted[good])
        out[good] = (np.abs(a[0] - b[0]) + np.abs(a[1] - b[1])) / 2
    return out


def detect(frames: Frames, near: Points, mark: Landmarker) -> Points:
    """Landmarks a landmarker finds in each frame by itself, (N, 68, 2); NaN where it finds no face."""
    out = np.full((len(frames), 68, 2), np.nan, np.float32)
    for k, boxes in enumerate(mark.detect(list(frames))):
        if len(boxes):
            middle = (boxes[:, :2] + boxes[:, 2:4]) / 2
            best = int(np.argmin(np.linalg.norm(middle - near[k].mean(0), axis=1)))
            out[k] = mark.landmarks(frames[k], boxes[best : best + 1])[0]
    return out


def frechet(a: Array, b: Array) -> float:
    """Fréchet distance of two sets of features (N, D) taken as Gaussians. Source: Heusel 2017; the trace of the root by eigenvalues."""
    mean = a.mean(0) - b.mean(0)
    ca, cb = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    values, vectors = np.linalg.eigh(ca)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    # tr √(ca·cb) = Σ √eig(√ca · cb · √ca), which is symmetric and so never complex.
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ cb @ root), 0, None)).sum()
    return float(mean @ mean + np.trace(ca) + np.trace(cb) - 2 * cross)


def kid(a: Array, b: Array) -> float:
    """Unbiased squared MMD with the kernel (x·y/D + 1)³. Source: Bińkowski 2018."""
    d = a.shape[1]
    aa, bb, ab = ((x @ y.T / d + 1) ** 3 for x, y in ((a, a), (b, b), (a, b)))
    n, m = len(a), len(b)
    return float((aa.sum() - np.trace(aa)) / (n * (n - 1)) + (bb.sum() - np.trace(bb)) / (m * (m - 1)) - 2 * ab.mean())


def auc(real: Array, made: Array) -> float:
    """Share of pairs (made, real) in which the made one scores higher; ties count half."""
    labels = np.repeat([0, 1], [len(real), len(made)])
    return auc_shares(labels, np.concatenate([real, made])).auc


def bootstrap(people: int, statistic: Callable[[NDArray[np.int64]], float], *, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of a statistic over people drawn with replacement.

    statistic : takes the drawn people's numbers (people,), returns a float; rounds in which it is not finite are left out.
    NaN where there is none: one person, or the same value in every round (clips told apart without a mistake).
    """
    if people < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    values = np.array([statistic(rng.integers(0, people, people)) for _ in range(1000)])
    values = values[np.isfinite(values)]
    if not len(values) or np.ptp(values) == 0:  # the same in every round says nothing of people not drawn
        return float("nan"), float("nan")
    return float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))


def mean_figure(name: str, groups: Sequence[Array], better: str, seed: int = 0) -> Figure:
    """A figure that is a mean over people of each one's mean over frames; NaN frames are left out and count against coverage."""
    frames = sum(len(g) for g in groups)
    finite = sum(int(np.isfinite(g).sum()) for g in groups)
    kept = [g[np.isfinite(g)] for g in groups]
    means = np.array([g.mean() for g in kept if len(g)])
    if not len(means):
        return Figure(name, float("nan"), float("nan"), float("nan"), 0, frames, better, 0.0)
    low, high = bootstrap(len(means), lambda rows: float(means[rows].mean()), seed=seed)
    return Figure(name, float(means.mean()), low, high, len(means), frames, better, finite / max(frames, 1))


def set_figure(
    name: str, real: Sequence[Array], made: Sequence[Array], distance: Callable[[Array, Array], float]
) -> Figure:
    """A distance between two sets of features, given by person (frames, D), with a jackknife interval over people.

    Not a bootstrap: people drawn twice look like a match between frames and bias such distances (KID most of all).
    """
    n, frames = len(real), sum(len(g) for g in made)
    value = distance(np.concatenate(real), np.concatenate(made))
    if n < 3:
        return Figure(name, value, float("nan"), float("nan"), n, frames, "down")

    def without(groups: Sequence[Array], i: int) -> Array:
        return np.concatenate([*groups[:i], *groups[i + 1 :]])

    left = np.array([distance(without(real, i), without(made, i)) for i in range(n)])
    error = float(np.sqrt((n - 1) / n * ((left - left.mean()) ** 2).sum()))
    return Figure(name, value, value - 1.96 * error, value + 1.96 * error, n, frames, "down")
