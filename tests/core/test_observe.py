"""observe: frames and tracks of a clip in one call, denser tracks when asked, and a cache that never gets in the way."""

import shutil
from fractions import Fraction

import av
import numpy as np
import pytest
from media_material import encode

from gioconda_core.errors import PluginError
from gioconda_core.faces import observe, track_cache
from gioconda_core.faces.landmarks import DlibLandmarker
from gioconda_core.files import sha256_of
from gioconda_core.media import writer
from gioconda_core.media.clip import Clip
from gioconda_core.media.sampling import Sampling
from gioconda_core.reasons import WarningReason
from synth.puppets import perform


class Counting(DlibLandmarker):
    searched = loaded = 0

    def ready(self):
        type(self).loaded += 1
        super().ready()

    def detect(self, frames):
        type(self).searched += len(frames)
        return super().detect(frames)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "puppet.mp4"
    acting = perform.perform(2, 2, frames=40, size=128, fps=Fraction(20))
    writer.write_video(path, acting.frames, fps=acting.fps)
    return path


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("GIOCONDA_CACHE", str(tmp_path / "cache"))
    Counting.searched = Counting.loaded = 0
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def looked(film, tmp_path_factory):
    """What a first look at four moments of the film finds, and the cache that it leaves."""
    folder = tmp_path_factory.mktemp("looked") / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIOCONDA_CACHE", str(folder))
        return see(film, sampling="even:4"), folder


@pytest.fixture
def known(looked, kept):
    """The same, as if this test had looked first."""
    shutil.copytree(looked[1], kept)
    return looked[0]


def see(film, **options):
    with Clip.open(film) as clip:
        return observe.observe(clip, landmarker=Counting(), **options)


def entries(kept):
    return sorted(kept.rglob("*.npz"))


def same(a, b):
    return len(a) == len(b) and all(
        x.id == y.id
        and all(np.array_equal(getattr(x, n), getattr(y, n)) for n in ("times", "boxes", "landmarks", "quality"))
        and x.measures.keys() == y.measures.keys()
        for x, y in zip(a, b, strict=True)
    )


def test_tracks_cover_the_sampled_frames(film, kept):
    footage = see(film, sampling="even:6")
    assert footage.frames.shape == (6, 128, 128, 3) and len(footage.times) == 6
    assert footage.protocol == "6f-even" and footage.fps == 20 and footage.duration == pytest.approx(2, abs=0.06)
    (track,) = footage.tracks
    assert set(footage.times.tolist()) <= set(track.times.tolist())
    assert footage.facts["width"] == 128 and "h264" in str(footage.facts["codec"])
    assert not any("puppet" in str(value) for value in footage.facts.values())  # no names: they may tell the label


@pytest.mark.parametrize(("dense", "count"), [(0.0, 40), (0.1, 20), (1 / 15, 40)])
def test_dense_tracks_go_between_the_sampled_frames(film, kept, dense, count):
    footage = see(film, sampling="even:5", dense=dense)
    (track,) = footage.tracks
    assert len(footage.times) == 5
    assert set(footage.times.tolist()) <= set(track.times.tolist())
    assert abs(len(track) - count) <= 5
    if dense:
        assert Counting.searched < 20  # followed, not searched everywhere


@pytest.mark.parametrize(
    ("sampling", "name"),
    [("even:32", "32f-even"), ("all", "all"), ("every:1", "every-1s"), ("every:0.5", "every-0.5s"), ("at:0,1", "2f-at"), ("keyframes", "keyframes")],
)  # fmt: skip
def test_protocols_are_named_as_metrics_name_them(sampling, name):
    assert Sampling.parse(sampling).protocol == name


def test_the_second_look_comes_from_the_cache(film, kept):
    clip = sha256_of(film)
    assert not observe.known(clip)
    first = see(film, sampling="even:4")
    searched, loaded = Counting.searched, Counting.loaded
    again = see(film, sampling="even:4")
    assert Counting.searched == searched > 0 and Counting.loaded == loaded > 0  # no model is loaded for what is kept
    assert observe.known(clip) and not observe.known("0" * 64)
    assert same(first.tracks, again.tracks)
    assert len(entries(kept)) == 1


@pytest.mark.parametrize("other", [{"sampling": "even:5"}, {"dense": 0.5}, {"max_faces": 2}])
def test_other_settings_are_another_entry(film, kept, known, other):
    searched = Counting.searched
    see(film, **{"sampling": "even:4", **other})
    assert Counting.searched > searched
    assert len(entries(kept)) == 2


def test_another_landmarker_or_version_is_another_entry(film, kept, known):
    class Newer(Counting):
        version = "next"

    before = Counting.searched
    with Clip.open(film) as clip:
        observe.observe(clip, "even:4", landmarker=Newer())
    assert Newer.searched > before or Counting.searched > before
    assert len(entries(kept)) == 2


def test_what_was_odd_while_following_is_said_the_second_time_too(tmp_path, kept):
    path = tmp_path / "film.mp4"
    encode(path, perform.perform(2, 2, frames=40, size=128).frames, codec="mjpeg", pix_fmt="yuvj420p")
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        spoilt = [packet for packet in container.demux(video=0) if packet.size][30]
    data[spoilt.pos : spoilt.pos + spoilt.size] = bytes(spoilt.size)
    path.write_bytes(data)
    told = []
    for _ in range(2):
        with Clip.open(path) as clip:
            observe.observe(clip, "at:0.4", dense=0.0, landmarker=Counting())
            told.append([(w.code, dict(w.detail)) for w in clip.warnings])
    assert told[0] == told[1] and WarningReason.FRAMES_UNDECODED in dict(told[0])


def test_no_cache_means_none(film, kept):
    see(film, sampling="even:2", cache=False)
    assert not entries(kept)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: b"not an archive",
        lambda data: bytes(b ^ (0xFF if 300 < i < 900 else 0) for i, b in enumerate(data)),
    ],
)
def test_a_damaged_entry_is_ignored_and_written_anew(film, kept, known, damage):
    (entry,) = entries(kept)
    whole = entry.read_bytes()
    entry.write_bytes(damage(whole))
    searched = Counting.searched
    again = see(film, sampling="even:4")
    assert Counting.searched > searched
    assert same(known.tracks, again.tracks)
    searched = Counting.searched
    see(film, sampling="even:4")
    assert Counting.searched == searched  # whole again


def test_an_entry_that_would_run_code_is_no_entry(film, kept, known, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    (entry,) = entries(kept)
    np.savez(entry, head=np.array([Evil()], dtype=object))
    (tmp_path / "owned").unlink(missing_ok=True)
    assert len(see(film, sampling="even:4").tracks) == 1
    assert not (tmp_path / "owned").exists()


def test_an_entry_of_another_clip_is_no_entry(kept):
    key, other = {"clip": "a"}, {"clip": "b"}
    track_cache.store(key, ())
    (entry,) = entries(kept)
    track_cache.store(other, ())
    target = next(path for path in entries(kept) if path != entry)
    target.write_bytes(entry.read_bytes())  # a file moved by hand
    assert track_cache.load(key) == ()
    assert track_cache.load(other) is None


def test_the_cache_is_bounded_and_the_longest_unused_goes_first(kept, monkeypatch):
    import os

    for number in range(6):
        track_cache.store({"n": number}, ())
        os.utime(track_cache._path({"n": number}), (number, number))
    assert track_cache.load({"n": 0}) == ()  # used now: no longer the oldest
    size = sum(path.stat().st_size for path in entries(kept))
    assert track_cache.trim(track_cache._folder(), size // 2) >= 3
    assert track_cache.load({"n": 0}) == () and track_cache.load({"n": 1}) is None
    monkeypatch.setenv("GIOCONDA_CACHE_MB", "0")
    track_cache.store({"n": 9}, ())
    assert track_cache.load({"n": 9}) is None


def test_a_cache_that_cannot_be_written_is_no_failure(film, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("GIOCONDA_CACHE", str(blocked))
    assert len(see(film, sampling="even:2").tracks) == 1


def test_a_landmarkers_failure_is_not_cached(film, kept):
    class Broken(Counting):
        def landmarks(self, frame, boxes):
            raise RuntimeError("boom")

    with Clip.open(film) as clip, pytest.raises(PluginError):
        observe.observe(clip, "even:2", landmarker=Broken())
    assert not entries(kept)


def test_a_picture_is_a_clip_of_one_frame(tmp_path, kept):
    from skimage.data import astronaut

    writer.write_image(tmp_path / "portrait.png", astronaut())
    footage = see(tmp_path / "portrait.png")
    assert len(footage.frames) == 1 and footage.fps is None and footage.duration == 0
    assert len(footage.tracks) == 1 and len(footage.tracks[0]) == 1
    assert footage.tracks[0].quality[0] > 0.7


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_of_a_picture_without_a_face_it_is_known_how_to_turn_it_for_one(tmp_path, kept, degrees):
    from skimage.data import astronaut

    lying = np.ascontiguousarray(np.rot90(astronaut()[:256, 100:356], degrees // 90))  # against the clock
    writer.write_image(tmp_path / "lying.png", lying)
    footage = see(tmp_path / "lying.png")
    assert footage.tracks == () and footage.facts["turned"] == degrees
    writer.write_image(tmp_path / "wall.png", np.full((64, 64, 3), 128, np.uint8))
    assert see(tmp_path / "wall.png").facts["turned"] == 0


def test_a_picture_a_pixel_high_is_looked_at_like_any_other(tmp_path, kept):
    writer.write_image(tmp_path / "thin.png", np.zeros((1, 4096, 3), np.uint8))
    assert see(tmp_path / "thin.png").facts["turned"] == 0


@pytest.mark.usefixtures("kept")
def test_a_picture_that_stays_is_one_frame_however_often_it_was_asked_for(film):
    assert see(film, sampling="at:0.51,0.52,0.53,1.5").times.tolist() == [0.5, 1.5]
