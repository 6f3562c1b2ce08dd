"""The alignment of faces that every part uses: landmarks → similarity → canonical crop at any size, and back by feathered pasting.

The canonical frame is the *face square*: the unit square in which an average frontal face has its eyes level, its brows
near the top and its lower lip near the bottom. A crop of any size shows that square with a margin around it. Pixel
centres are integers, as in OpenCV, and the square's corners are pixel corners, so crops of different sizes agree.
"""

from importlib import resources
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gioconda_core.errors import UsageError

Matrix = NDArray[np.float64]  # (2, 3), similarity: frame pixels → crop pixels
Picture = NDArray[np.uint8]  # (H, W, 3)


def table(file: str) -> NDArray[np.float64]:
    """The numbers of a file beside this module."""
    lines = (resources.files("gioconda_core.faces") / file).read_text("ascii").splitlines()
    return np.asarray(np.loadtxt(lines, delimiter=","), np.float64)


MARGIN = 0.4  # of the face square, on each side: brings hair and chin into the crop

# Mean of 718 faces of talking people, aligned by similarity and made symmetric; unit = the box dlib's detector draws. (68, 2)
FACE_SHAPE = table("face_shape.csv")

# Points that speech and brows hardly move: nose, eyes, mouth corners. Jaw and lips would make the crop bob with every word.
RIGID = np.array([*range(27, 48), 48, 54])

# Index of each point's mirror image: landmarks of a mirrored picture are landmarks[MIRROR] with x turned round.
MIRROR = np.linalg.norm(FACE_SHAPE[:, None] - (FACE_SHAPE * (-1, 1) + (1, 0)), axis=-1).argmin(1)


def extent(points: NDArray[np.floating]) -> float:
    """The longer side of the box around a face's landmarks (68, 2), which is what a face's size means wherever it is told."""
    return float(np.ptp(points, axis=0).max())


def _similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> Matrix:
    """Least-squares similarity (no reflection) from source (N, 2) to target (N, 2)."""
    a, b = source.mean(0), target.mean(0)
    s, t = source - a, target - b
    spread = float((s * s).sum())
    if not np.isfinite(spread) or spread < 1e-12:
        raise UsageError("the landmarks all lie in one point or are not numbers: nothing can be aligned to them")
    p = float((s * t).sum()) / spread
    q = float((s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum()) / spread
    linear = np.array([[p, -q], [q, p]])
    return np.concatenate([linear, (b - linear @ a)[:, None]], axis=1)


def _to_square(landmarks: ArrayLike) -> Matrix:
    """Similarity from frame pixels to the unit face square."""
    points = np.asarray(landmarks, np.float64)
    if points.shape != (68, 2):
        raise UsageError(f"expected landmarks (68, 2), got {points.shape}")
    return _similarity(points[RIGID], FACE_SHAPE[RIGID])


def transform(landmarks: ArrayLike, size: int, margin: float = MARGIN) -> Matrix:
    """The similarity that carries frame pixels to a canonical crop.

    Parameters
    ----------
    landmarks : (68, 2), pixels of the upright frame, iBUG order.
    size : side of the crop in pixels.
    margin : extra on each side, in face squares; 0 = brows to chin, 0.4 = whole head, more = shoulders.

    Returns
    -------
    float64 (2, 3).
    """
    square = _to_square(landmarks)
    scale = size / (1 + 2 * margin)
    matrix = square * scale
    matrix[:, 2] += margin * scale - 0.5  # pixel centres are integers: the crop's left edge is at -0.5
    return matrix


def invert(matrix: Matrix) -> Matrix:
    """Crop pixels → frame pixels, (2, 3)."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.concatenate([linear, -(linear @ matrix[:, 2])[:, None]], axis=1)


def apply(matrix: Matrix, points: ArrayLike) -> NDArray[np.float32]:
    """Carry points (..., 2) through a (2, 3) matrix; float32 (..., 2)."""
    return np.asarray(np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2], np.float32)


def side(landmarks: ArrayLike) -> float:
    """Side of the face square in frame pixels: the size of the face."""
    square = _to_square(landmarks)
    return float(1 / np.sqrt(np.linalg.det(square[:, :2])))


def box(landmarks: ArrayLike) -> NDArray[np.float32]:
    """The upright square box xyxy (4,) of a face: centre and side of its face square, whatever the head's roll."""
    centre = apply(invert(_to_square(landmarks)), (0.5, 0.5))
    half = side(landmarks) / 2
    return np.array([centre[0] - half, centre[1] - half, centre[0] + half, centre[1] + half], np.float32)


def _warp(
    picture: NDArray[np.uint8], matrix: Matrix, width: int, height: int, border: Literal["edge", "black"]
) -> NDArray[np.uint8]:
    """Warp without aliasing: where the map shrinks, draw larger and average down."""
    import cv2

    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    most = max(1, 4096 // max(width, height))  # bounds the memory of absurd reductions
    factor = int(np.clip(np.ceil(0.75 / scale), 1, most)) if scale > 0 else 1
    big = matrix * factor
    big[:, 2] += (factor - 1) / 2  # u·factor at pixel edges, expressed at pixel centres
    mode = cv2.BORDER_REPLICATE if border == "edge" else cv2.BORDER_CONSTANT
    warped = cv2.warpAffine(picture, big, (width * factor, height * factor), flags=cv2.INTER_LINEAR, borderMode=mode)
    if factor > 1:
        warped = cv2.resize(warped, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(warped, np.uint8)


def crop(frame: Picture, matrix: Matrix, size: int, *, border: Literal["edge", "black"] = "edge") -> Picture:
    """The canonical crop, uint8 (size, size, 3); outside the frame the edge pixels are repeated, or black."""
    return _warp(frame, matrix, size, size, border)


def paste(
    frame: Picture, picture: Picture, matrix: Matrix, *, feather: float = 0.1, mask: Picture | None = None
) -> Picture:
    """Put a crop back where it came from, on a copy of the frame.

    Parameters
    ----------
    frame : uint8 (H, W, 3), left as it is.
    picture : uint8 (S, S, 3), in the crop that ``matrix`` (from :func:`transform` at size S) describes.
    feather : width of the soft edge, as a share of the crop's side; 0 = a hard edge.
    mask : uint8 (S, S), optional, 255 where the picture is to be seen; the soft edge is applied on top.
    """
    import cv2

    size = picture.shape[0]
    height, width = frame.shape[:2]
    back = invert(matrix)
    corners = apply(back, [(-0.5, -0.5), (size - 0.5, -0.5), (size - 0.5, size - 0.5), (-0.5, size - 0.5)])
    x0, y0 = np.maximum(np.floor(corners.min(0)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(corners.max(0)).astype(int) + 1, (width, height))
    out = frame.copy()
    if x1 <= x0 or y1 <= y0:
        return out
    local = back.copy()
    local[:, 2] -= (x0, y0)
    # Distance to the crop's edge, in shares of its side: 0 at the edge, 1 once `feather` inside.
    ramp = (np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5) / size
    ramp = np.clip(ramp / feather, 0, 1) if feather > 0 else np.ones(size)
    alpha = np.minimum(ramp[:, None], ramp[None, :])
    if mask is not None:
        alpha = alpha * (mask.astype(np.float64) / 255)
    soft = _warp(np.round(alpha * 255).astype(np.uint8), local, x1 - x0, y1 - y0, "black")
    weight = soft.astype(np.float32)[..., None] / 255
    new = _warp(picture, local, x1 - x0, y1 - y0, "edge").astype(np.float32)
    old = out[y0:y1, x0:x1].astype(np.float32)
    out[y0:y1, x0:x1] = np.asarray(cv2.convertScaleAbs(old + (new - old) * weight), np.uint8)
    return out
