"""Tracks through cuts, exits and returns, with two faces and none, and landmarkers that misbehave."""

import numpy as np
import pytest
from skimage.data import astronaut

from gioconda_core.errors import PluginError, UsageError
from gioconda_core.faces import align, observe
from gioconda_core.faces.landmarks import DlibLandmarker
from gioconda_core.faces.tracker import Tracker, ahead, turned
from synth.puppets import perform

FPS = 25


class Counting(DlibLandmarker):
    """dlib, counting the pictures it searches whole."""

    def __init__(self):
        super().__init__()
        self.searched = 0

    def detect(self, frames):
        self.searched += len(frames)
        return super().detect(frames)


@pytest.fixture(scope="module")
def puppets():
    return {n: perform.perform(n, n, frames=16, size=224) for n in (1, 2, 4)}


@pytest.fixture(scope="module")
def woman():
    """A real portrait that drifts and grows a little, (16, 224, 224, 3): nobody's look-alike among the puppets."""
    import cv2

    frames = []
    for i in range(16):
        matrix = np.array([[1.0 + 0.005 * i, 0, -115 + i], [0, 1.0 + 0.005 * i, -22 - 0.5 * i]])
        frames.append(cv2.warpAffine(astronaut(), matrix, (224, 224)))
    return np.array(frames, np.uint8)


def timed(frames, start=0.0):
    return [(start + i / FPS, np.asarray(frame)) for i, frame in enumerate(frames)]


def empty(n, like):
    return np.full((n, *like.frames.shape[1:]), 110, np.uint8)


def test_a_face_is_followed_and_seldom_searched_for(puppets):
    mark = Counting()
    (track,) = observe.track(timed(puppets[2].frames), landmarker=mark, detect_every=5)
    assert len(track) == 16 and (np.diff(track.times) > 0).all()
    assert mark.searched <= 5
    error = np.linalg.norm(track.landmarks - puppets[2].landmarks, axis=-1).mean()
    assert error / align.side(puppets[2].landmarks[0]) < 0.05
    assert track.quality.min() > 0.3 and track.quality.max() <= 1
    assert set(track.measures) == {"face_px", "blur", "yaw", "pitch", "confidence"}


def test_following_shows_no_rhythm_of_the_detector(puppets):
    # If searched frames read the face in another box than followed ones, points jump every fifth frame.
    (track,) = observe.track(timed(puppets[2].frames), landmarker=DlibLandmarker(), detect_every=4)
    offset = (track.landmarks - puppets[2].landmarks).mean(axis=1)
    jump = np.linalg.norm(np.diff(offset, axis=0), axis=1)
    into = np.arange(1, 16) % 4 == 0
    assert jump[into].mean() < 3 * jump[~into].mean() + 0.3


def test_a_cut_ends_one_track_and_begins_another_at_once(puppets, woman):
    frames = timed(np.concatenate([woman[:7], puppets[2].frames[:7]]))
    first, second = observe.track(frames, landmarker=DlibLandmarker())
    assert (first.id, second.id) == (0, 1)
    assert first.times[-1] == frames[6][0] and second.times[0] == frames[7][0]


def test_whoever_returns_after_a_cut_resumes_their_track(puppets, woman):
    frames = timed(np.concatenate([woman[:7], puppets[2].frames[:7], woman[8:15]]))
    first, second = observe.track(frames, landmarker=DlibLandmarker())
    assert len(first) == 14 and len(second) == 7
    assert np.diff(first.times).max() > 0.25  # a gap, not a bridge over the other's shot
    strangers = observe.track(frames, landmarker=DlibLandmarker(), recognise=False)
    assert [len(track) for track in strangers] == [7, 7, 7]


def test_exit_and_return_leave_a_gap(puppets):
    frames = timed(np.concatenate([puppets[4].frames[:6], empty(6, puppets[4]), puppets[4].frames[6:12]]))
    (track,) = observe.track(frames, landmarker=DlibLandmarker())
    assert len(track) == 12
    times = np.round(track.times * FPS).astype(int)
    assert set(times) == {*range(6), *range(12, 18)}


def test_a_face_that_fades_away_between_searches_is_let_go(puppets):
    # Following alone would go on placing 68 points on the wall.
    frames = [puppets[2].frames[0]] * 3 + [empty(1, puppets[2])[0]] * 9
    (track,) = observe.track(timed(frames), landmarker=DlibLandmarker(), detect_every=12)
    assert len(track) == 3


def test_two_faces_are_two_tracks_the_larger_first(puppets):
    import cv2

    def scene(i):
        frame = np.full((260, 480, 3), 128, np.uint8)
        frame[40:208, 10:178] = cv2.resize(puppets[1].frames[i], (168, 168), interpolation=cv2.INTER_AREA)
        frame[20:244, 240:464] = puppets[2].frames[i]
        return frame

    frames = timed([scene(i) for i in range(8)])
    left_right = observe.track(frames, landmarker=DlibLandmarker())
    assert [len(track) for track in left_right] == [8, 8]
    assert left_right[0].boxes[0, 0] > 240 > left_right[1].boxes[0, 2]
    (only,) = observe.track(frames, landmarker=DlibLandmarker(), max_faces=1)
    assert only.boxes[:, 0].min() > 200


def test_sparse_frames_are_all_searched_and_linked(puppets):
    mark = Counting()
    frames = [(i * 2.0, puppets[4].frames[i * 3]) for i in range(5)]
    (track,) = observe.track(frames, landmarker=mark)
    assert len(track) == 5 and mark.searched == 5


def test_two_people_in_the_same_place_seconds_apart_are_not_one(puppets, woman):
    frames = [(i * 2.0, (woman if i % 2 else puppets[2].frames)[i]) for i in range(6)]
    tracks = observe.track(frames, landmarker=DlibLandmarker())
    assert sorted(len(track) for track in tracks) == [3, 3]


@pytest.mark.parametrize(("apart", "elsewhere", "found"), [(0.5, 0, [6]), (0.7, 0, [3, 3]), (0.5, 60, [3, 3])])
def test_a_face_that_has_changed_in_its_place_is_the_same_one_while_the_shot_goes_on(woman, apart, elsewhere, found):
    """Lit from the left and from the right in turn, the face looks unlike itself, as one does that turns between sparse frames. An embedding
    half apart says that it is no stranger, which is enough in its place, and not in another shot (elsewhere : grey levels)."""
    across = (np.arange(224)[None, :, None] - 112) / 60
    down = (np.arange(224)[:, None, None] - 95) / 60
    near = np.exp(-(across**2 + down**2) * 1.1)
    left, right = (
        np.clip(woman[0] * (1 - near + near * np.clip(0.6 + k * across, 0.15, 1.4)) + add, 0, 255).astype(np.uint8)
        for k, add in ((0.9, 0), (-0.9, elsewhere))
    )

    def embed(frame, landmarks):
        low, high = frame[:, : frame.shape[1] // 2], frame[:, frame.shape[1] // 2 :]
        return np.array([apart if low.mean() > high.mean() else 0.0], np.float32)

    mark = DlibLandmarker()
    tracker = Tracker(mark, max_faces=8, embed=embed)
    for time, frame, boxes in ahead(((i * 2.0, (left, right)[i % 2]) for i in range(6)), mark, 5):
        tracker.step(time, frame, boxes)
    assert sorted(len(track) for track in tracker.finish()) == found


def test_a_chin_of_someone_who_stands_upside_down_is_no_face():
    upright = perform.perform(3, 3, frames=2, size=160).frames
    over = np.ascontiguousarray(upright[:, ::-1, ::-1])
    assert len(DlibLandmarker().detect([over[1]])[0]) == 1, "no face is found there that could be doubted"
    assert observe.track(timed(over), landmarker=DlibLandmarker()) == ()
    assert len(observe.track(timed(upright), landmarker=DlibLandmarker())) == 1


def test_black_clips_and_no_clips_have_no_tracks():
    assert observe.track(timed(np.zeros((6, 90, 160, 3), np.uint8)), landmarker=DlibLandmarker()) == ()
    assert observe.track([], landmarker=DlibLandmarker()) == ()


def test_a_change_of_size_and_a_repeated_time_are_survived():
    big = astronaut()
    frames = [(0.0, big), (0.0, big), (0.04, np.ascontiguousarray(big[::2, ::2])), (0.08, big)]
    tracks = observe.track(frames, landmarker=DlibLandmarker())
    assert sum(len(track) for track in tracks) == 3


def test_memory_does_not_grow_with_the_clip(puppets):
    # The trap: list(frames). A two-hour film must pass through frame by frame.
    alive, most = 0, 0

    class Watched(np.ndarray):
        def __del__(self):
            nonlocal alive
            if self.base is None:
                alive -= 1

    def frames():
        nonlocal alive, most
        for i in range(40):
            frame = np.empty(puppets[2].frames[0].shape, np.uint8).view(np.ndarray)
            frame[:] = puppets[2].frames[i % 16]
            watched = np.ndarray.__new__(Watched, frame.shape, np.uint8)
            watched[:] = frame
            alive += 1
            most = max(most, alive)
            yield i / FPS, watched
            del watched

    observe.track(frames(), landmarker=DlibLandmarker(), detect_every=10)
    assert most < 12


class Broken:
    name, version = "theirs", "1"

    def __init__(self, boxes=None, points=None):
        self.boxes, self.points = boxes, points

    def detect(self, frames):
        if self.boxes is None:
            raise RuntimeError("boom")
        return [self.boxes for _ in frames]

    def landmarks(self, frame, boxes):
        if self.points is None:
            raise MemoryError("no")
        return self.points


ONE = np.array([[10, 10, 60, 60, 0.9]], np.float32)


@pytest.mark.parametrize(
    "broken",
    [
        Broken(),
        Broken(boxes=np.zeros((1, 4))),
        Broken(boxes=ONE * np.nan),
        Broken(boxes=ONE),
        Broken(boxes=ONE, points=np.zeros((1, 5, 2))),
        Broken(boxes=ONE, points=np.full((1, 68, 2), np.inf)),
        Broken(boxes=ONE, points=np.zeros((1, 68, 2))),
    ],
)
def test_a_landmarker_that_fails_is_named_and_nothing_else_is_harmed(broken):
    with pytest.raises(PluginError) as caught:
        observe.track(timed(np.zeros((2, 80, 80, 3), np.uint8)), landmarker=broken)
    assert "theirs" in caught.value.where


def test_a_plugin_needs_no_verify_and_no_glance_of_its_own(puppets):
    class Plain:
        name, version = "plain", "1"
        inner = DlibLandmarker()

        def detect(self, frames):
            return self.inner.detect(frames)

        def landmarks(self, frame, boxes):
            return self.inner.landmarks(frame, boxes)

    frames = [puppets[2].frames[0]] * 3 + [empty(1, puppets[2])[0]] * 3
    (track,) = observe.track(timed(frames), landmarker=Plain(), detect_every=6)
    assert len(track) == 3
    assert all(turned(mark, np.rot90(frames[0], 3), 1) > 0.7 for mark in (Plain(), Plain.inner))


@pytest.mark.parametrize("options", [{"detect_every": 0}, {"max_faces": 0}])
def test_nonsense_settings_are_refused(options):
    with pytest.raises(UsageError):
        observe.track([], landmarker=DlibLandmarker(), **options)
