"""The hybrid generator: the source picture itself, bent frame by frame, with a drawn mouth where lips open and the network where a head turns far.

Not the paper's method, and recorded as a departure from it. A trained network of 128 px knows how a head turns and not how this picture was
painted; a smooth bend keeps every brush stroke and hair of the source at its own resolution, and cannot know what lies behind closed lips or a
turned cheek. So each does what it can: the bend of the person, before a background that stands still; inside lips that open wider than in the
shot a cavity with teeth, drawn in the lips' own dark colour; lids that close over the eyeball, and irises that look where the driver's do; and
from ``TURN`` on, where a bend is past mending, the tuned network, joined to the picture by low frequencies. The network is only tuned when a
driver asks for it.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gioconda_core.faces import align
from synth.person.covered import covered
from synth.person.eyes import Eyes, GazeTrack
from synth.person.matte import matte
from synth.person.model import PersonalModel
from synth.person.mouth import INNER_LIPS, LIDS, Mouth, opening, ramp
from synth.person.views import DEPTH
from synth.reenact.framing import face_mask
from synth.warp import bend, field

Frames = NDArray[np.uint8]
Points = NDArray[np.float64]

LARGEST = 1024  # pixels a side of the crop that is bent
SHEARS = 15.0  # degrees out of the shot's pose from which a bend shears the head: nothing is taught by it beyond
# Degrees at which the network begins to show, and at which it is all of the head: docs/decisions/hybrid.md.
TURN = (28.0, 45.0)
WIDE = (12.0, 26.0)  # degrees over which the edge of a head that is not cut out widens
GRID = 65  # of the field
CHUNK = 16  # frames drawn at a time
WIDEN, RAISE = 1.2, 0.045  # most that an eye opens, × the shot's; most that a brow rises, in face squares
FAR = 10.0  # face squares that a shot whose mouth is covered counts as further away
STAY = 0.85  # another shot takes over when it is this much nearer: shots do not flicker
LIFTS = (1.2, 2.2)  # how far above the brows the head is held by points of its own, in distances from eyes to brows
SLACK = 1e-2  # by which the bend may miss what trembles around eyes and lips, to be smoother
# Degrees over which that goes to nothing: what differs from a smooth motion is the finder's noise, and further out the head's shape.
CALM = (8.0, 15.0)
# Ends of the jaw, which slide along the head's outline: a nod takes them past the brows, and a sheet that followed would fold. Where they meet
# brows or eyes, they depart by this share of their distance at most from where the face's plane takes them.
_EARS, APART = np.array([0, 1, 15, 16]), 0.5
_FOLLOWED = np.arange(36, 68)  # eyes and lips, to the point
_BROWS = np.array([17, 19, 21, 22, 24, 26])
# How far shoulders move, sideways and down, in face squares: by the head's shift, by its turn (the third column of its rotation) and by the
# logarithm of its size. Fitted to the optical flow of 66 people: docs/experiments.md.
_SHIFT, _TURN, _SIZE = np.array([0.67, 0.30]), np.array([0.57, 0.23]), np.array([0.0, 0.22])
# Face squares beyond the jaw at which all moves as shoulders do, above the chin in which that begins, and share of the crop in which it ends.
_BODY = (0.7, 0.4, 0.1)
# What moves with the skull: corners of the eyes, nose, and the jaw before the ears. A smile lifts corners of the mouth, and not hair.
_SKULL = np.array([0, 1, 15, 16, *range(27, 36), 36, 39, 42, 45])
_BEHIND_GLASS = np.array([*range(17, 27), *range(36, 48)])  # brows and eyes


def _space(points: Points) -> tuple[Points, NDArray[np.float64]]:
    """Landmarks in space, (68, 3) about the middle of what moves with the skull, and that middle (2,)."""
    middle = points[_SKULL].mean(0)
    depth = DEPTH * align.side(points)
    return np.c_[points - middle, depth - depth[_SKULL].mean()], middle


def turn(source: Points, target: Points) -> tuple[float, NDArray[np.float64]]:
    """How far the head is turned out of the source's pose, degrees, and the map of space (2, 3) that turns and scales it.

    Least squares over what moves with the skull, with the depths of a plain head.
    """
    space, _ = _space(source)
    flat = target[_SKULL] - target[_SKULL].mean(0)
    found = np.linalg.lstsq(space[_SKULL], flat, rcond=None)[0].T  # (2, 3)
    # A head turns and grows but is not sheared: of what fits best, the nearest that does no more.
    left, sizes, right = np.linalg.svd(found, full_matrices=False)
    turned = left @ right
    return float(np.degrees(np.arccos(np.clip(np.cross(*turned)[2], -1, 1)))), sizes.mean() * turned


def _crown(source: Points, matrix: NDArray[np.float64], target: Points) -> tuple[Points, Points]:
    """Points of the head above the face, before and after it has turned: hair goes with the skull, not with the brows."""
    space, middle = _space(source)
    up = source[17:27].mean(0) - source[36:48].mean(0)
    side = align.side(source)
    before, after = [], []
    wanted = target[_SKULL].mean(0)
    for lift in LIFTS:
        for brow in _BROWS:
            at = source[brow] + lift * up * (1 - 0.25 * abs(2 * (brow - 21.5) / 9))
            depth = space[brow, 2] + 0.1 * lift * side
            before.append(at)
            after.append(matrix @ np.array([*(at - middle), depth]) + wanted)
    return np.array(before), np.array(after)


def _carried(source: Points, matrix: NDArray[np.float64], target: Points) -> Points:
    """Brows and eyes (22, 2) as the head alone moves them: where spectacles are worn, what moves a brow would bend the frame."""
    space, _ = _space(source)
    return np.asarray(space[_BEHIND_GLASS] @ matrix.T + target[_SKULL].mean(0))


def _unfolded(source: Points, matrix: NDArray[np.float64], target: Points) -> Points:
    """A target whose ends of the jaw stay on their side of brows and eyes."""
    out = target.copy()
    # How far each lies from each where the face's own plane takes both, (4, 22, 2), and where they are wanted.
    held = (source[_EARS, None] - source[_BEHIND_GLASS]) @ matrix[:, :2].T
    wanted = target[_EARS, None] - target[_BEHIND_GLASS]
    off, square = wanted - held, (held**2).sum(-1)
    far = np.linalg.norm(off, axis=-1)
    near = np.clip(1 - 2 * (wanted * held).sum(-1) / square, 0, 1)  # from half as far on, and 1 where they pass
    pull = near * np.clip(1 - APART * np.sqrt(square) / np.maximum(far, 1e-9), 0, None)
    at = np.arange(len(_EARS)), (pull * far).argmax(1)
    out[_EARS] -= off[at] * pull[at][:, None]
    return out


def _shoulders(
    source: Points, matrix: NDArray[np.float64], target: Points, size: int
) -> tuple[Points, NDArray[np.float32]]:
    """How far shoulders move (2,), pixels, and by how much each place of the field moves as they do, (GRID, GRID, 1) in 0…1."""
    side, scale = align.side(source), float(np.linalg.norm(matrix[0]))
    shift = (target[_SKULL] - source[_SKULL]).mean(0) / side
    moved = side * (_SHIFT * shift + _TURN * matrix[:, 2] / scale + _SIZE * np.log(scale))
    pixels = (size - 1) / (GRID - 1)
    face = face_mask(target[None].astype(np.float32) / np.float32(pixels), GRID, soft=0.5)[0]
    away = cv2.distanceTransform((face < 128).astype(np.uint8), cv2.DIST_L2, 5) * pixels
    at = np.linspace(0, size - 1, GRID)
    across, down = np.minimum(at, at[::-1])[None], at[:, None]
    beyond, above, edge = np.array(_BODY) * (side, side, size)
    within = np.minimum(across, size - 1 - down) / edge  # at the crop's own edges nothing moves
    parts = (away / beyond, 1 + (down - target[8, 1]) / above, within)
    share = np.prod([np.clip(np.broadcast_to(p, face.shape), 0, 1) for p in parts], 0)
    return moved, share[..., None].astype(np.float32)


def _within(source: Points, target: Points) -> Points:
    """A target whose lids and brows stay within what the shot's own skin can be stretched to: a bent eye has no more white to show."""
    out = target.copy()
    side = align.side(source)
    for upper, lower in LIDS:
        had, now = (float(np.linalg.norm(p[upper] - p[lower])) for p in (source, out))
        most = max(WIDEN * had, had + 0.012 * side)
        if now > most:
            middle = (out[upper] + out[lower]) / 2
            out[[upper, lower]] = middle + (out[[upper, lower]] - middle) * (most / now)
    for brow, eye in ((slice(17, 22), slice(36, 42)), (slice(22, 27), slice(42, 48))):
        had, now = (p[brow].mean(0) - p[eye].mean(0) for p in (source, target))
        more = float(np.linalg.norm(now)) - float(np.linalg.norm(had)) * np.sqrt(align.side(target) / side)
        if more > RAISE * side:
            out[brow] -= now / np.linalg.norm(now) * (more - RAISE * side)
    return out


def _joined(picture: Frames, patch: Frames, weight: NDArray[np.float32]) -> Frames:
    """A patch in a picture, both uint8 (S, S, 3), where ``weight`` (S, S) is; its light and colour become the picture's own."""
    # How light and colour differ around each place, smoothed over an eighth of the picture and weighed by what is seen of the patch.
    small = 96
    a, b = (
        np.asarray(cv2.resize(p, (small, small), interpolation=cv2.INTER_AREA), np.float32) for p in (picture, patch)
    )
    seen = np.asarray(cv2.resize(weight, (small, small), interpolation=cv2.INTER_AREA), np.float32) + 1e-3
    near = np.asarray(cv2.GaussianBlur((a - b) * seen[..., None], (0, 0), small / 8), np.float32)
    difference = near / np.asarray(cv2.GaussianBlur(seen, (0, 0), small / 8))[..., None]
    size = picture.shape[:2]
    corrected = patch + cv2.resize(difference, size[::-1], interpolation=cv2.INTER_LINEAR)
    return np.clip(np.rint(picture + weight[..., None] * (corrected - picture)), 0, 255).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class _Pose:
    """One moment. points : what is wanted; bent : what the picture is bent to, its lids no nearer than in the shot, since lids are drawn.

    angle : how far the head is turned out of the shot's pose, degrees; share : of the network in it, 0…1, by that.
    """

    shot: int
    points: Points
    bent: Points
    matrix: NDArray[np.float64]
    angle: float
    share: float


class _Bent:
    """One person as their shots."""

    def __init__(self, frames: Frames, landmarks: NDArray[np.floating], network: Callable[[], Any]) -> None:
        self.frames, self.points = frames, np.asarray(landmarks, np.float64)
        self.network, self.tuned = network, None
        self.mouths = [Mouth(f, p) for f, p in zip(frames, self.points, strict=True)]
        self.eyes = [Eyes(f, p) for f, p in zip(frames, self.points, strict=True)]
        self.covered = [covered(f, p) for f, p in zip(frames, self.points, strict=True)]
        self.matte = cache(lambda shot: matte(frames[shot], self.points[shot]))
        colour = frames.astype(np.int16)
        self.grey = bool(np.mean(np.ptp(colour, axis=-1)) < 4)
        self.parts = dict.fromkeys(("frames", "network", "cavity", "lids", "gaze", "shots_used"), 0)

    @property
    def steps(self) -> int:
        """In how many iterations the network was tuned; 0 where no frame asked for it."""
        return int(getattr(self.tuned, "steps", 0))

    @property
    def content(self) -> str:
        """By which content term; empty where it was not tuned."""
        return str(getattr(self.tuned, "content", ""))

    def _distance(self, points: Points) -> NDArray[np.float64]:
        """Of each shot to what is wanted: pose and shape, and mouth and eyes once more, in face squares."""
        side = align.side(points)
        shape = np.linalg.norm(self.points - points, axis=-1).mean(-1) / side
        mouth = np.array([abs(m.open - opening(points, INNER_LIPS)) for m in self.mouths]) / side
        eyes = np.array([abs(opening(p, LIDS) - opening(points, LIDS)) for p in self.points]) / side
        # Taken only where every shot's mouth is covered.
        hidden = np.array([FAR if c.mouth else 0.0 for c in self.covered])
        return np.asarray(shape + mouth + eyes + hidden)

    def render(self, landmarks: NDArray[np.floating]) -> Frames:
        """landmarks (N, 68, 2), pixels of the shots' crop, in the order of time → uint8 (N, S, S, 3)."""
        return np.concatenate(list(self.stream(landmarks)))

    def stream(self, landmarks: NDArray[np.floating], looks: GazeTrack | None = None) -> Iterator[Frames]:
        """The same, some frames at a time. looks : where the eyes look at each; None = as in the shot."""
        wanted = np.asarray(landmarks, np.float64)
        self.parts = dict.fromkeys(self.parts, 0)
        self.ready(landmarks)
        poses = self._poses(wanted)
        self.parts["shots_used"] = len({pose.shot for pose in poses})
        for first in range(0, len(wanted), CHUNK):
            gaze = self._gaze(looks, slice(first, first + CHUNK))
            yield self._drawn_as(poses[first : first + CHUNK], wanted[first : first + CHUNK], gaze)

    def _gaze(self, looks: GazeTrack | None, part: slice) -> NDArray[np.float64] | None:
        """Where the irises of some moments are wanted, (n, 2, 2): the shot's that the driver resembles, moved as the driver's move."""
        return None if looks is None else self.eyes[looks.shot].gaze[None] + looks.change[part, None]

    def ready(self, landmarks: NDArray[np.floating]) -> None:
        """Tune the network, if these landmarks turn so far that it is needed and it was not yet."""
        if self.tuned is None and any(pose.share > 0 for pose in self._poses(np.asarray(landmarks, np.float64))):
            self.tuned = self.network()

    def _poses(self, wanted: Points) -> list[_Pose]:
        """Of each moment: the shot it is bent from, its landmarks within what that shot can be stretched to, and how far the head turns."""
        found: list[_Pose] = []
        shot = None
        for points in wanted:
            distance = self._distance(points)
            best = int(np.argmin(distance))
            if shot is None or distance[best] < STAY * distance[shot]:
                shot = best
            points = _within(self.points[shot], points)
            angle, matrix = turn(self.points[shot], points)
            bent = _unfolded(self.points[shot], matrix, self.eyes[shot].kept_open(points))
            if self.covered[shot].spectacles:
                bent[_BEHIND_GLASS] = _carried(self.points[shot], matrix, points)
            found.append(_Pose(shot, points, bent, matrix, angle, ramp(angle, *TURN)))
        return found

    def _drawn_as(self, poses: Sequence[_Pose], wanted: Points, gaze: NDArray[np.float64] | None = None) -> Frames:
        out = np.empty((len(poses), *self.frames.shape[1:]), np.uint8)
        heads = []
        for k, pose in enumerate(poses):
            out[k], head = self._bend(pose)
            heads.append(head)
            self.parts["cavity"] += self.mouths[pose.shot].draw(out[k], pose.points) > 0
            lids, looked = self.eyes[pose.shot].draw(out[k], pose.bent, pose.points, None if gaze is None else gaze[k])
            self.parts["lids"] += lids
            self.parts["gaze"] += looked
        asked = [k for k, pose in enumerate(poses) if pose.share > 0]
        if asked:
            for k, patch in zip(asked, self._drawn(wanted[asked]), strict=True):
                out[k] = _joined(out[k], patch, poses[k].share * heads[k])
        if self.grey:
            out[:] = np.rint(out @ np.array([0.299, 0.587, 0.114], np.float32))[..., None].astype(np.uint8)
        self.parts["frames"] += len(out)
        self.parts["network"] += len(asked)
        return out

    def _bend(self, pose: _Pose) -> tuple[Frames, NDArray[np.float32]]:
        """The pose's shot, bent; and where its head is, (S, S) in 0…1. Outside of head and shoulders nothing moves."""
        size, points = self.frames.shape[1], pose.bent
        source = self.points[pose.shot]
        before, after = _crown(source, pose.matrix, points)
        slack = SLACK * (1 - ramp(pose.angle, *CALM)) * ~np.isin(np.arange(len(source) + len(before)), _FOLLOWED)
        coarse = field(size, np.concatenate([source, before]), np.concatenate([points, after]), GRID, slack)
        both = np.concatenate([points, source])[None] * ((GRID - 1) / (size - 1))
        # A person who is cut out moves with a wide, soft edge. Else a narrow one keeps the background still, and cuts through hair.
        frame, person = self.frames[pose.shot], self.matte(pose.shot)
        cut_out = not person.all()
        wide = 1 if cut_out else ramp(pose.angle, *WIDE)
        soft, reach = GRID / (24 - 17 * wide), 1.35 + 0.45 * wide
        head = face_mask(both.astype(np.float32), GRID, soft=soft, lift=2.6, reach=reach)[0].astype(np.float32) / 255
        moved, body = _shoulders(source, pose.matrix, points, size)
        coarse = ((1 - body) * np.clip(1.5 * head, 0, 1)[..., None] * coarse - body * moved).astype(np.float32)
        turned = face_mask(
            points[None].astype(np.float32) * ((GRID - 1) / (size - 1)), GRID, soft=GRID / 32, lift=2.4, reach=1.2
        )[0]
        seen = cv2.resize(turned.astype(np.float32) / 255, (size, size), interpolation=cv2.INTER_LINEAR)
        made = bend(frame, coarse, sharp=True)
        if cut_out:  # what lies behind the person before and after stands still
            still = cv2.multiply(255 - person, 255 - bend(person, coarse), scale=1 / 255**2, dtype=cv2.CV_32F)
            made = np.asarray(cv2.blendLinear(frame, made, still, 1 - still), np.uint8)
        return made, np.asarray(seen, np.float32)

    def _drawn(self, landmarks: Points) -> list[Frames]:
        """The network's frames, at the crop's size."""
        assert self.tuned is not None
        size = self.frames.shape[1]
        scale = self.tuned.size / size
        made = self.tuned.render(((landmarks + 0.5) * scale - 0.5).astype(np.float32))
        return [np.asarray(cv2.resize(f, (size, size), interpolation=cv2.INTER_CUBIC), np.uint8) for f in made]


def bent(frames: Frames, landmarks: NDArray[np.floating], wanted: NDArray[np.floating]) -> Frames:
    """Shots (T, S, S, 3) with landmarks (T, 68, 2) bent to the landmarks wanted (N, 68, 2), mouths drawn, and nothing asked of a network."""
    person, points = _Bent(frames, landmarks, lambda: None), np.asarray(wanted, np.float64)
    return person._drawn_as([replace(pose, share=0.0) for pose in person._poses(points)], points)


class HybridGenerator:
    """The hybrid. model : of the network that large turns are asked of, as for ``few-shot``; size : side of its crops, pixels.

    ``departure`` says in a record what is not the paper's.
    """

    name = "gioconda-hybrid"
    batches = False
    departure = "the source picture bent by landmarks, a drawn mouth cavity, the few-shot network at large turns: not the paper's method"

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        device: str = "cpu",
        size: int = 256,
        content: str = "auto",
        **_: Any,
    ) -> None:
        from synth.reenact.reenact import FewShotGenerator, TunedGenerator

        self.few_shot: Any  # a personal model where the file is one, else the shipped or given model
        if model is not None and PersonalModel.at(model):
            self.few_shot = TunedGenerator(model, device)
        else:
            self.few_shot = FewShotGenerator(model, device, content)
        self.version, self.weights_sha256, self.device = self.few_shot.version, self.few_shot.weights_sha256, device
        self.size = int(size)
        self.begin: Callable[[int], None] = lambda total: None
        self.progress: Callable[[float, str], None] = lambda n, note: None

    def fit(self, side: float) -> None:
        """Take crops of this many pixels of the source, ``LARGEST`` at most: a picture is bent at its own resolution."""
        self.size = int(np.clip(2 * round(side / 2), self.few_shot.size, LARGEST))

    def personalise(
        self, frames: Frames, landmarks: NDArray[np.floating], *, mode: str, steps: int | None, seed: int
    ) -> _Bent:
        """Keep the shots; tune the network on them once a driver turns far enough to need it."""

        def network() -> Any:
            size = self.few_shot.size
            self.few_shot.begin, self.few_shot.progress = self.begin, self.progress
            small = np.stack([cv2.resize(f, (size, size), interpolation=cv2.INTER_AREA) for f in frames])
            points = (np.asarray(landmarks, np.float32) + 0.5) * (size / frames.shape[1]) - 0.5
            found: Any = self.few_shot.personalise(
                np.asarray(small, np.uint8), points, mode=mode, steps=steps, seed=seed
            )
            found.size = size
            return found

        return _Bent(frames, landmarks, network)
