"""Fits a driver's motion to the face that is to be drawn: landmarks carry the proportions of whoever they were taken from.

``absolute`` takes the driver's landmarks as they are; ``procrustes`` gives them the source's size, place and proportions of width
to height; ``relative`` adds to the source's own landmarks what the driver changes with respect to the driver's frame that
looks most like the source. What was done is recorded in every claim. Without
it a driver's face shape shows through, as in the public re-implementations of Zakharov 2019.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from gioconda_core.errors import MediaError, UsageError
from gioconda_core.faces import align
from synth.person.mouth import INNER_LIPS, LIDS
from synth.reenact.options import ADAPTATIONS

Points = NDArray[np.float32]

# Face squares by which a landmark may leave what the others say of it; in 46 filmed clips none left it by 0.076.
LEAP = 0.08
WINDOW = 25  # frames over whose median it is said where a landmark lies with respect to the others
LEAPS = 8  # most landmarks of a frame that are replaced: where more are off, it is not they that slipped


def _around() -> NDArray[np.float64]:
    """Of each landmark the mean of those beside it on its contour, (68, 68)."""
    out = np.zeros((68, 68))
    for first, last in ((0, 17), (17, 22), (22, 27), (27, 31), (31, 36), (36, 42), (42, 48), (48, 60), (60, 68)):
        count, closed = last - first, first >= 36
        for k in range(count):
            # At an end the next two, so that a leap of its neighbour is not taken for its own.
            beside = (k - 1, k + 1) if closed or 0 < k < count - 1 else (1, 2) if k == 0 else (count - 2, count - 3)
            out[first + k, [first + at % count for at in beside]] = 1
    for outer, inner in ((48, 60), (54, 64)):
        out[outer, inner] = out[inner, outer] = 1  # corners of lips move together, whatever opens
    return np.asarray(out / out.sum(1, keepdims=True))


_AROUND = _around()


def without_outliers(points: NDArray[np.floating]) -> tuple[NDArray[np.float64], int]:
    """Landmarks (N, 68, 2) of one face in the order of time, those that leave its shape for a while replaced; and how many these are.

    A landmark is told by the others: by an affine map of the face's usual shape, and by how those beside it on its contour depart from that.
    Where it lies with respect to this may change with the pose but does not leap; a mouth that opens, a lid or a turn takes its neighbours along.
    """
    out = np.array(points, np.float64)
    if len(out) < 3:  # of two frames nobody can say which has slipped
        return out, 0
    usual = np.c_[np.median(out, 0), np.ones(68)]
    told = (np.eye(68) - _AROUND) @ (np.eye(68) - usual @ np.linalg.pinv(usual))
    window = min(WINDOW, len(out))
    edge = window // 2
    expected = median_filter(told @ out, (window, 1, 1))
    expected[:edge], expected[len(out) - edge :] = expected[edge], expected[-edge - 1]
    most = LEAP * np.median([align.side(p) for p in out])
    off = np.arange(len(out))
    for _ in range(LEAPS + 1):
        change = told @ out[off] - expected[off]
        far = np.linalg.norm(change, axis=-1)
        off, change, worst = (x[far.max(1) > most] for x in (off, change, far.argmax(1)))
        at = np.arange(len(off))
        out[off, worst] -= change[at, worst] / told[worst, worst, None]
    out[off] = points[off]
    return out, int((out != points).any(-1).sum())


@dataclass(frozen=True)
class Adapted:
    """How landmarks were adapted.

    reference : index of the driver's frame that looks most like the source. shot : index of the source's shot it matches.
    scale : source's size over driver's. distance : of that best match, in inter-ocular distances. moved : mean change of a
    landmark by the adaptation, in the same unit. smoothing : seconds, standard deviation of the Gaussian over time. outliers : of
    the driver's landmarks, replaced by what the others say.
    """

    mode: str
    reference: int
    shot: int
    scale: float
    distance: float
    moved: float
    smoothing: float = 0.0
    outliers: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON, rounded to what is meant."""
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(self).items()}


def _spread(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Size of each shape (…, 68, 2): root mean square distance of the points that speech hardly moves."""
    rigid = points[..., align.RIGID, :]
    return np.asarray(np.sqrt(((rigid - rigid.mean(-2, keepdims=True)) ** 2).sum(-1).mean(-1)))


def _centre(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(points[..., align.RIGID, :].mean(-2, keepdims=True))


def adapt(driver: Points, source: Points, mode: str = "relative") -> tuple[Points, Adapted]:
    """Fit a driver's landmarks to a source's face.

    Parameters
    ----------
    driver : (N, 68, 2), pixels of the driver's steady crop.
    source : (T, 68, 2), the shots' landmarks, pixels of a crop of the same size.
    mode : ``absolute``, ``relative`` or ``procrustes``.

    Returns
    -------
    (N, 68, 2) landmarks in the source's crop, and how they came about.

    Raises
    ------
    UsageError
        An unknown mode. MediaError: no landmarks, or not numbers.
    """
    if mode not in ADAPTATIONS:
        raise UsageError(f"unknown adaptation {mode!r}", where="--adapt", hint=", ".join(ADAPTATIONS))
    d, s = np.asarray(driver, np.float64), np.asarray(source, np.float64)
    if len(d) == 0 or len(s) == 0:
        raise MediaError("there are no landmarks to adapt")
    if not (np.isfinite(d).all() and np.isfinite(s).all()):
        raise MediaError("landmarks are not finite numbers")
    d, outliers = without_outliers(d)
    # Which of the driver's frames looks most like which shot: shapes of one size and place; pose and expression both count.
    dn = (d - _centre(d)) / np.median(_spread(d))
    sn = (s - _centre(s)) / _spread(s)[:, None, None]
    eyes = float(np.median(np.linalg.norm(sn[:, 36] - sn[:, 45], axis=-1)))
    gaps = np.stack([np.linalg.norm(dn - shot, axis=-1).mean(-1) for shot in sn]) / eyes  # (T, N)
    shot, reference = (int(v) for v in np.unravel_index(int(np.argmin(gaps)), gaps.shape))
    scale = float(_spread(s[shot : shot + 1])[0] / _spread(d[reference : reference + 1])[0])
    if mode == "absolute":
        out = d
    elif mode == "relative":
        out = s[shot] + scale * (d - d[reference])
    else:
        # Sizes a face keeps whatever it says: taken from medians over time, so that opening the mouth does not shrink the face.
        box_d, box_s = (np.median(np.ptp(p[:, align.RIGID], axis=1), axis=0) for p in (d, s))
        stretch = np.clip(box_s / np.maximum(box_d, 1e-6), 0.4 * scale, 2.5 * scale)
        out = (d - np.median(_centre(d), axis=0)) * stretch + np.median(_centre(s), axis=0)
    if mode != "absolute":
        out = _untangle(out)
    inter_ocular = float(np.linalg.norm(s[shot, 36] - s[shot, 45]))
    moved = float(np.linalg.norm(out - d, axis=-1).mean() / max(inter_ocular, 1e-6))
    distance = float(gaps[shot, reference])
    return out.astype(np.float32), Adapted(mode, reference, shot, scale, distance, moved, outliers=outliers)


def _untangle(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lips and lids that crossed because a closed mouth was driven by a more closed one meet in the middle instead."""
    out = points.copy()
    for upper, lower in (*INNER_LIPS, *LIDS):
        crossed = out[:, upper, 1] > out[:, lower, 1]
        middle = (out[crossed, upper, 1] + out[crossed, lower, 1]) / 2
        out[crossed, upper, 1] = middle
        out[crossed, lower, 1] = middle
    return out


def smooth(points: Points, times: NDArray[np.float64], sigma: float) -> Points:
    """Gaussian over time. sigma : seconds; 0 = as it is. Works with uneven times; costs O(N · window)."""
    if sigma <= 0 or len(points) < 2:
        return points
    out = np.empty_like(points)
    for k, t in enumerate(times):
        low, high = np.searchsorted(times, (t - 3 * sigma, t + 3 * sigma + 1e-9))
        weight = np.exp(-0.5 * ((times[low:high] - t) / sigma) ** 2)
        out[k] = np.tensordot(weight / weight.sum(), points[low:high], 1)
    return out


def fill_gaps(
    points: Points, found: NDArray[np.bool_], times: NDArray[np.float64], longest: float = 0.5
) -> tuple[Points, int]:
    """Landmarks of the moments at which the driver's face was not found, drawn between their neighbours.

    Returns
    -------
    (N, 68, 2), and how many were filled.

    Raises
    ------
    MediaError
        The face is away for more than ``longest`` seconds, or at fewer than two moments there.
    """
    if int(found.sum()) < 2:
        raise MediaError(
            "the driver shows a face at fewer than two moments: nothing moves",
            hint="give a clip in which a face is seen",
        )
    seen = np.flatnonzero(found)
    edges = np.concatenate([times[:1], times[seen], times[-1:]])  # before the first and after the last it is away too
    holes = np.diff(edges)
    if float(holes.max()) > longest + 1e-6:
        at = int(np.argmax(holes))
        raise MediaError(
            f"the driver's face is away for {holes[at]:.2f} s from {edges[at]:.2f} s",
            hint=f"cut the clip there, or allow it with --max-gap {np.ceil(100 * holes[at] - 1e-4) / 100:.2f}",
        )
    if found.all():
        return points, 0
    flat = points.reshape(len(points), -1).astype(np.float64)
    filled = np.stack([np.interp(times, times[seen], flat[seen, k]) for k in range(flat.shape[1])], 1)
    return filled.reshape(points.shape).astype(np.float32), int((~found).sum())
