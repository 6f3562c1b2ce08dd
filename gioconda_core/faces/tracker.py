"""Faces followed from frame to frame: found now and then, followed by their landmarks in between, known again after a cut.

A face that leaves and comes back, or is cut away from and back to, resumes its own track when dlib's face embedding says it
is the same person (distance below ``SAME``); otherwise it starts a new one. A track therefore means one face, as far as
can be told, and its times may have gaps. Two look-alikes may share a track; a face too small to be recognised gets a new one.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core import plugins
from gioconda_core.errors import PluginError
from gioconda_core.faces import align, quality
from gioconda_core.faces.landmarks import Boxes, Frame, Landmarker, one_each
from gioconda_core.types import FaceTrack
from gioconda_core.workers.cpu import cores

# Embedding distance below which a returning face is the one that left. Within one real clip 92 % of pairs of moments lie
# below it (n = 233), of pairs of different people 0.004 % (n = 109,211); dlib's own 0.6 would join many drawn faces.
SAME = 0.45
# And below which a face in the place of another is that one, where the shot goes on: 99.1 % and, of strangers anywhere, 0.8 %.
SAME_PLACE = 0.6
NEAR = 0.25  # s: frames further apart than this are not followed, every one is searched
_LARGE = 640 * 360  # pixels of a frame from which it is searched in a thread of its own
CUT = 30  # grey levels by which the whole picture changes from one frame to the next where another shot begins
RECOGNISED = 40  # pixels of a face's box from which on its embedding tells anything
COAST = 0.6  # s: how long a face is believed that the detector no longer finds
# Confidence from which on a face stands as it was found: chins of people upside down, taken for faces, got 0.66 at most (n = 76).
UPRIGHT = 0.7
ASIDE = 1.5  # of a face's sides, looked at on each side of one that is less sure
LOOKED = 110  # pixels that the face is shrunk to for it
LIKE = 0.75  # correlation of the aligned face with its last detected look, above which following is trusted as it is


def overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Intersection over union of two boxes xyxy."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:4], b[2:4])
    inside = float(np.prod(np.maximum(high - low, 0)))
    union = float(np.prod(a[2:4] - a[:2])) + float(np.prod(b[2:4] - b[:2])) - inside
    return inside / union if union > 0 else 0.0


def likeness(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Normalised correlation of two chips, in [-1, 1]."""
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0


@dataclass(eq=False)
class _Look:
    """One face in one frame, before it is known whose it is."""

    landmarks: NDArray[np.float32]  # (68, 2)
    box: NDArray[np.float32]  # (4,) the face square's
    chip: NDArray[np.float32]
    confidence: float
    detected: bool


@dataclass(eq=False)
class _Face:
    """A track in the making."""

    look: _Look  # the latest
    reference: NDArray[np.float32]  # chip at the last detection
    detected_at: float
    times: list[float] = field(default_factory=list)
    boxes: list[NDArray[np.float32]] = field(default_factory=list)
    landmarks: list[NDArray[np.float32]] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)
    blurs: list[float] = field(default_factory=list)
    detections: int = 0
    best: float = -1.0  # how good the portrait is
    portrait: tuple[Frame, NDArray[np.float32]] | None = None  # aligned crop and landmarks in it
    embedding: NDArray[np.float32] | None = None

    def add(self, time: float, frame: Frame, look: _Look) -> None:
        self.look = look
        blur = quality.blur(look.chip)
        self.times.append(time)
        self.boxes.append(look.box)
        self.landmarks.append(look.landmarks)
        self.confidences.append(look.confidence)
        self.blurs.append(blur)
        if not look.detected:
            return
        self.reference, self.detected_at = look.chip, time
        self.detections += 1
        worth = look.confidence * (1 - blur) * min(float(look.box[2] - look.box[0]), 150.0)
        if worth > 1.2 * self.best:  # clearly better: a portrait costs a crop
            self.best, self.embedding = worth, None
            matrix = align.transform(look.landmarks, 200)
            self.portrait = align.crop(frame, matrix, 200), align.apply(matrix, look.landmarks)

    def track(self, number: int) -> FaceTrack:
        landmarks = np.stack(self.landmarks).astype(np.float32)
        boxes = np.stack(self.boxes).astype(np.float32)
        yaw, pitch = quality.pose(landmarks)
        measures = {
            "face_px": boxes[:, 2] - boxes[:, 0],
            "blur": np.array(self.blurs, np.float32),
            "yaw": yaw,
            "pitch": pitch,
            "confidence": np.array(self.confidences, np.float32),
        }
        return FaceTrack(number, np.array(self.times), boxes, landmarks, quality.combine(measures), measures)


class Tracker:
    """Feed it frames in order with :meth:`step`; :meth:`finish` gives the tracks.

    Parameters
    ----------
    embed : (frame, landmarks) → (128,), or None to never recognise a face again.
    """

    def __init__(
        self,
        landmarker: Landmarker,
        *,
        max_faces: int,
        embed: Callable[[Frame, NDArray[np.float32]], NDArray[np.float32]] | None,
    ) -> None:
        self.landmarker, self.max_faces, self.embed = landmarker, max_faces, embed
        self.active: list[_Face] = []
        self.gone: list[_Face] = []
        self.searched = 0  # frames given to the detector
        self._time: float | None = None
        self._thumb: NDArray[np.float32] | None = None
        self._stir = 0.0  # running mean of the change between frames
        self._change = np.inf  # of the latest frame from the one before, grey levels

    # ------------------------------------------------------------------ one frame

    def step(self, time: float, frame: Frame, boxes: Boxes | None) -> None:
        """Take the next frame. boxes : what the detector found in it, or None where it has not been asked."""
        if self._time is not None and time <= self._time:
            return  # a repeated timestamp: the track's times must increase
        near = self._continues(time, frame)
        followed: list[tuple[_Face, _Look | None]] = []
        if near:
            followed = [(face, self._follow(time, frame, face)) for face in self.active]
        lost = any(look is None for _, look in followed)
        if boxes is None and near and not lost:
            for face, look in followed:
                assert look is not None
                face.add(time, frame, look)
            return
        if boxes is None:
            boxes = detect(self.landmarker, [frame])[0]
        self._settle(time, frame, boxes, near, {id(face): look for face, look in followed})

    def _continues(self, time: float, frame: Frame) -> bool:
        """Whether this frame goes on from the last one closely enough for faces to be followed into it."""
        step = max(1, frame.shape[1] // 64)
        thumb = frame[::step, ::step].astype(np.float32)
        last, self._thumb = self._thumb, thumb
        gap, self._time = (time - self._time if self._time is not None else np.inf), time
        if last is None or last.shape != thumb.shape:
            self._change = np.inf
            return False
        self._change = change = float(np.abs(thumb - last).mean())
        # A wrong guess of "cut" costs one search; a missed cut is caught by the likeness of the followed face.
        cut = change > CUT or (change > 10 and change > 5 * self._stir + 2)
        self._stir = 0.0 if cut else 0.8 * self._stir + 0.2 * change
        return gap <= NEAR and not cut

    def _look(self, frame: Frame, landmarks: NDArray[np.float32], confidence: float, detected: bool) -> _Look:
        return _Look(landmarks, align.box(landmarks), quality.chip(frame, landmarks), confidence, detected)

    def _follow(self, time: float, frame: Frame, face: _Face) -> _Look | None:
        """The face where its last box leads, or None when it is no longer there."""
        last = face.look.box
        look = self._look(frame, read(self.landmarker, frame, last[None])[0], 0.0, False)
        grown = float((look.box[2] - look.box[0]) / max(last[2] - last[0], 1e-3))
        centre = (look.box[:2] + look.box[2:]) / 2
        height, width = frame.shape[:2]
        steady = 0.7 < grown < 1.4 and overlap(look.box, last) > 0.35
        steady = steady and 0 <= centre[0] < width and 0 <= centre[1] < height
        alike = likeness(look.chip, face.reference)
        known = face.confidences[-1]
        if steady and alike > LIKE and time - face.detected_at <= COAST:
            look.confidence = min(known, alike)
            return look
        # In doubt (a blink, a turn, a hand, the end of a shot): look again, only there.
        verified = verify(self.landmarker, frame, last)
        if not len(verified):
            return None
        look = self._look(frame, read(self.landmarker, frame, verified[:, :4])[0], float(verified[0, 4]), True)
        return look if likeness(look.chip, face.reference) > 0.2 else None

    # ------------------------------------------------------------------ who is who

    def _settle(self, time: float, frame: Frame, boxes: Boxes, near: bool, followed: dict[int, _Look | None]) -> None:
        """Match what the detector found with the faces being followed; recognise, begin and end tracks."""
        self.searched += 1
        boxes = one_each(boxes)[: 4 * self.max_faces]
        points = read(self.landmarker, frame, boxes) if len(boxes) else np.zeros((0, 68, 2), np.float32)
        looks = [self._look(frame, p, float(b[4]), True) for p, b in zip(points, boxes, strict=True)]
        faces, taken = list(self.active), dict[int, _Look]()  # id(face) → look

        # Faces that are followed, each with the boxes that lie where it was led to, or where it was seen last.
        pairs = []
        for face in faces:
            place = followed.get(id(face)) or face.look
            for look in looks:
                share = overlap(place.box, look.box)
                if share <= 0.3:
                    continue
                # Far apart in time, the same place is not enough: the face there must look the same too, or be the same person.
                if near or likeness(face.reference, look.chip) > 0.6 or self._same_place(frame, face, look):
                    pairs.append((share, face, look))
        # The pairs that overlap most are taken first; a face and a box are used once.
        free = {id(look) for look in looks}
        for _, face, look in sorted(pairs, key=lambda p: -p[0]):
            if id(face) not in taken and id(look) in free:
                taken[id(face)] = look
                free.discard(id(look))

        if near:  # the detector blinked, following did not
            for face in faces:
                look_or_none = followed.get(id(face))
                if id(face) in taken or look_or_none is None or time - face.detected_at > COAST:
                    continue
                if all(overlap(look_or_none.box, other.box) < 0.3 for other in taken.values()):
                    taken[id(face)] = look_or_none

        self.active = [face for face in faces if id(face) in taken]
        self.gone += [face for face in faces if id(face) not in taken]
        for face in self.active:
            face.add(time, frame, taken[id(face)])
        # What is left over is a face that returns, or a new one.
        for look in looks:
            if id(look) not in free or len(self.active) >= self.max_faces:
                continue
            if any(overlap(look.box, face.look.box) > 0.3 for face in self.active):
                continue  # a second box on a face that already has one
            known = self._recognise(frame, look)
            if known is not None:
                self.gone.remove(known)
            elif look.confidence < UPRIGHT and _upside_down(self.landmarker, frame, look):
                continue
            else:
                known = _Face(look, look.chip, time)
            known.add(time, frame, look)
            self.active.append(known)

    def _same_place(self, frame: Frame, face: _Face, look: _Look) -> bool:
        """Whether a face that stands where another stood is that one: in the same shot, and not a stranger by its embedding."""
        if self._change > CUT or self.embed is None or face.portrait is None or look.box[2] - look.box[0] < RECOGNISED:
            return False
        return self._distance(self.embed(frame, look.landmarks), face) < SAME_PLACE

    def _distance(self, mine: NDArray[np.float32], face: _Face) -> float:
        """Between an embedding and that of a face's portrait."""
        assert self.embed is not None and face.portrait is not None
        if face.embedding is None:
            face.embedding = self.embed(*face.portrait)
        return float(np.linalg.norm(mine - face.embedding))

    def _recognise(self, frame: Frame, look: _Look) -> _Face | None:
        """The face that has gone and is this one, by embedding; None when it is a stranger or cannot be told."""
        if self.embed is None or not self.gone or look.box[2] - look.box[0] < RECOGNISED:
            return None
        descriptor = self.embed(frame, look.landmarks)
        best, distance = None, SAME
        for face in self.gone:
            if face.portrait is not None and (d := self._distance(descriptor, face)) < distance:
                best, distance = face, d
        return best

    def finish(self) -> tuple[FaceTrack, ...]:
        """The tracks, by first appearance, larger face first. A face seen once, weakly, in many searches is left out."""
        every = self.gone + self.active
        faces = [f for f in every if self.searched < 3 or f.detections > 1 or max(f.confidences) > 0.65]
        faces.sort(key=lambda face: (face.times[0], -float(face.boxes[0][2] - face.boxes[0][0])))
        return tuple(face.track(number) for number, face in enumerate(faces))


# ---------------------------------------------------------------------- a landmarker's calls, failures contained


def _asked(landmarker: Landmarker, what: str, call: Callable[[], Any]) -> Any:
    """What a landmarker answers; what it raises is its plugin's error."""
    with plugins.failing(f"gioconda.landmarkers:{landmarker.name}", f"{what} failed"):
        return call()


def _checked(landmarker: Landmarker, what: str, array: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A landmarker's answer as float32 of this shape, a negative number of rows meaning any; PluginError of another or of NaN."""
    out = np.asarray(array, np.float32)
    if out.size == 0 and shape[0] <= 0:
        out = out.reshape(0, *shape[1:])
    if out.shape[1:] != shape[1:] or (shape[0] >= 0 and len(out) != shape[0]) or not np.isfinite(out).all():
        what = f"{what} gave an array of shape {out.shape} or with values that are not numbers"
        hint = "gioconda_core.faces.landmarks.Landmarker says what is expected"
        raise PluginError(what, f"gioconda.landmarkers:{landmarker.name}", hint)
    return out


def detect(landmarker: Landmarker, frames: list[Frame]) -> list[Boxes]:
    """The landmarker's boxes (M, 5) of each frame, checked."""
    found = _asked(landmarker, "detection", lambda: list(landmarker.detect(frames)))
    if len(found) != len(frames):
        raise PluginError("detection skipped frames", where=f"gioconda.landmarkers:{landmarker.name}")
    return [_checked(landmarker, "detection", boxes, (-1, 5)) for boxes in found]


def read(landmarker: Landmarker, frame: Frame, boxes: Boxes) -> NDArray[np.float32]:
    """The landmarker's points (M, 68, 2) in boxes, checked."""
    points = _asked(landmarker, "landmarks", lambda: landmarker.landmarks(frame, boxes))
    points = _checked(landmarker, "landmarks", points, (len(boxes), 68, 2))
    if len(points) and np.ptp(points[:, align.RIGID], axis=1).max(axis=1).min() < 1e-3:
        raise PluginError("landmarks all lie in one point", where=f"gioconda.landmarkers:{landmarker.name}")
    return points


def verify(landmarker: Landmarker, frame: Frame, box: NDArray[np.float32]) -> Boxes:
    """Whether a face is still about this box: (1, 5) or (0, 5). A landmarker may have a cheap ``verify`` of its own."""
    own = getattr(landmarker, "verify", None)
    if own is not None:
        return _checked(landmarker, "verify", _asked(landmarker, "verify", lambda: own(frame, box)), (-1, 5))[:1]
    part, left, top = _around(frame, box, 0.5)
    if part.size == 0 or min(part.shape[:2]) < 8:
        return np.zeros((0, 5), np.float32)
    found = detect(landmarker, [np.ascontiguousarray(part)])[0]
    found[:, :4] += np.array([left, top, left, top], np.float32)
    found = np.array([f for f in found if overlap(f, box) > 0.2], np.float32).reshape(-1, 5)
    return found[np.argsort(-found[:, 4])][:1]


def _around(frame: Frame, box: NDArray[np.float32], share: float) -> tuple[Frame, int, int]:
    """The part of a frame about a box with so many of its sides on each side, and where it begins in the frame (x, y)."""
    reach = share * float(max(box[2] - box[0], box[3] - box[1]))
    left, top = max(int(box[0] - reach), 0), max(int(box[1] - reach), 0)
    return frame[top : max(int(box[3] + reach), 0), left : max(int(box[2] + reach), 0)], left, top


def _upside_down(landmarker: Landmarker, frame: Frame, look: _Look) -> bool:
    """Whether a surer face is about there where the picture is turned round."""
    part, _, _ = _around(frame, look.box, ASIDE)
    return part.size > 0 and turned(landmarker, part, 2, round((1 + 2 * ASIDE) * LOOKED)) > look.confidence


def turned(landmarker: Landmarker, frame: Frame, quarters: int, longest: int = 640) -> float:
    """The confidence of the surest face in a picture that is turned by quarters against the clock; 0 where there is none.

    longest : pixels that its longer side is shrunk to. A landmarker may have a cheap ``glance`` of its own.
    """
    import cv2

    scale = min(1.0, longest / max(frame.shape[:2]))
    size = max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    lying = np.ascontiguousarray(np.rot90(small, quarters), np.uint8)
    own = getattr(landmarker, "glance", None)
    if own is not None:
        return float(_asked(landmarker, "glance", lambda: own(lying)))
    return float(detect(landmarker, [lying])[0][:, 4].max(initial=0.0))


def ahead(
    frames: Iterable[tuple[float, Frame]], landmarker: Landmarker, detect_every: int
) -> Iterator[tuple[float, Frame, Boxes | None]]:
    """Frames with the detector's boxes where the schedule asks for them, found in batches of the landmarker's liking.

    Every ``detect_every``-th frame is searched, and every frame that comes long after the one before it.
    """
    batch = max(1, int(getattr(landmarker, "batch", 1)))
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        return
    # While one core follows, others may search: only for landmarkers that say their methods may run side by side, and where a
    # search takes long enough to be worth handing over (at 256 px it cost a tenth more processor time and saved none).
    beside = getattr(landmarker, "threads", False) and cores() > 1 and first[1].shape[0] * first[1].shape[1] >= _LARGE
    pool = ThreadPoolExecutor(2) if beside else None
    lead = min(detect_every, 8) if pool else 0  # frames read ahead of the one being followed; frames are large
    waiting: deque[tuple[float, Frame, Future[list[Boxes]] | None, int]] = deque()
    group: list[Frame] = []  # due frames not yet searched
    promised: Future[list[Boxes]] = Future()
    last = -np.inf

    def search() -> None:
        nonlocal promised
        if not group:
            return
        batch_of_frames, promise = list(group), promised
        group.clear()
        promised = Future()

        def work() -> None:
            try:
                promise.set_result(detect(landmarker, batch_of_frames))
            except BaseException as error:  # handed to whoever asks for the boxes
                promise.set_exception(error)

        if pool:
            pool.submit(work)
        else:
            work()

    try:
        for number, (time, frame) in enumerate(chain([first], frames)):
            due = number % detect_every == 0 or time - last > NEAR
            last = time
            waiting.append((time, frame, promised if due else None, len(group)))
            if due:
                group.append(frame)
                if len(group) >= batch:
                    search()
            while len(waiting) > lead + 2 * (batch - 1):
                yield _next(waiting, search)
        while waiting:
            yield _next(waiting, search)
    finally:
        if pool:
            pool.shutdown(wait=True, cancel_futures=True)


def _next(
    waiting: deque[tuple[float, Frame, Future[list[Boxes]] | None, int]], search: Callable[[], None]
) -> tuple[float, Frame, Boxes | None]:
    time, frame, promise, place = waiting.popleft()
    if promise is None:
        return time, frame, None
    if not promise.done():
        search()  # a group that is not full yet: it is needed now
    return time, frame, promise.result()[place]
