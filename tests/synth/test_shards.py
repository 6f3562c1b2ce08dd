"""Landmark images, shards and episodes: what training is fed, and what it must never be fed."""

from __future__ import annotations

import numpy as np
import pytest

from gioconda_core.errors import MediaError, UsageError
from synth.model.landmark_image import LINES, draw
from synth.training.episodes import EpisodeSampler, jitter
from synth.training.options import Options
from synth.training.shards import ShardSet, ShardWriter

SIZE = 64


def face(size=SIZE, dx=0.0):
    """Plausible landmarks with every line apart from the others."""
    from gioconda_core.faces.align import FACE_SHAPE

    return (np.asarray(FACE_SHAPE, np.float32) + 0.4) / 1.8 * size + np.float32([dx, 0])


def fill(folder, units=3, frames=6, size=SIZE, **options):
    """Shards whose pixels say which unit and which frame they are: red = 10·unit, green = 10·frame."""
    with ShardWriter(folder, size=size, quality=100, **options) as writer:
        for unit in range(units):
            for number in range(frames):
                picture = np.zeros((size, size, 3), np.uint8)
                picture[..., 0], picture[..., 1] = 60 * unit, 30 * number
                writer.add(picture, face(size, number), f"person-{unit}", "take", number / 25)
    return folder


# ---- landmark images


def test_colours_of_the_landmark_image():
    points = face(256)
    image = draw(points, 256)
    assert image.shape == (256, 256, 3) and image.dtype == np.uint8
    for first, _, _, colour in LINES:
        x, y = np.round(points[first : first + 2].mean(0)).astype(int)  # the middle of the first segment
        patch = image[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3)
        assert (patch == colour).all(1).any(), colour
    assert {tuple(c) for c in image.reshape(-1, 3)} == {(0, 0, 0), *(line[3] for line in LINES)}, "no anti-aliasing"


def test_eyes_and_mouth_are_closed_the_jaw_is_not_and_the_inner_lip_is_missing():
    points = face(256)
    image = draw(points, 256)

    def drawn(a, b):  # 40 % of the way: the middle of the jaw's ends lies on the nose
        x, y = np.round(0.6 * points[a] + 0.4 * points[b]).astype(int)
        return image[y - 1 : y + 2, x - 1 : x + 2].any()

    assert drawn(41, 36) and drawn(47, 42) and drawn(59, 48)
    assert not drawn(16, 0)
    moved = points.copy()
    moved[60:] += 20
    assert np.array_equal(draw(moved, 256), image)


def test_the_picture_is_not_transposed():
    points = face(256)
    points[:17] = [200, 40]  # the jaw becomes a dot on the right, high up
    image = draw(points, 256)
    assert (image[40, 200] == 255).all() and not (image[200, 40] == 255).all()


def test_landmarks_far_outside_or_not_finite():
    assert draw(face() + 1e7, SIZE).shape == (SIZE, SIZE, 3)
    broken = face()
    broken[3, 0] = np.nan
    with pytest.raises(MediaError, match="finite"):
        draw(broken, SIZE)
    with pytest.raises(MediaError, match=r"\(66, 2\)"):
        draw(face()[:66], SIZE)


# ---- shards


def test_shards_give_back_what_was_put_in(tmp_path):
    shards = ShardSet(fill(tmp_path, max_bytes=20_000))
    assert len(list(tmp_path.glob("*.tar"))) > 1, "several tars"
    assert len(shards) == 18 and shards.size == SIZE
    assert shards.units == [(f"person-{unit}", "take") for unit in range(3)]
    for unit in range(3):
        for number, row in enumerate(shards.rows(f"person-{unit}", "take")):
            frame = shards[row]
            assert (frame.identity, frame.source, frame.time) == (f"person-{unit}", "take", number / 25)
            assert np.abs(frame.frame[0, 0].astype(int) - [60 * unit, 30 * number, 0]).max() <= 3
            np.testing.assert_allclose(frame.landmarks, face(SIZE, number), atol=0.05)  # float16
    stored = {name.split(".", 1)[1] for name in __import__("tarfile").open(tmp_path / "shard-000000.tar").getnames()}
    assert stored == {"jpg", "landmarks.npy", "json"}, "landmark images are never stored"


def test_an_interrupted_writer_loses_only_its_open_tar(tmp_path):
    fill(tmp_path, units=1)
    killed = ShardWriter(tmp_path)
    killed.add(np.zeros((SIZE, SIZE, 3), np.uint8), face(), "late", "x", 0)  # never closed
    assert [who for who, _ in ShardSet(tmp_path).units] == ["person-0"]
    fill(tmp_path, units=2)  # a new run writes over the unfinished tar
    assert len(ShardSet(tmp_path)) == 18


def test_bad_frames_are_refused_at_the_door(tmp_path):
    with ShardWriter(tmp_path, size=SIZE) as writer:
        broken = face()
        broken[0] = np.inf
        with pytest.raises(MediaError, match="finite"):
            writer.add(np.zeros((SIZE, SIZE, 3), np.uint8), broken, "a", "b", 0)
        with pytest.raises(MediaError, match="uint8"):
            writer.add(np.zeros((SIZE, SIZE, 3), np.float32), face(), "a", "b", 0)
        with pytest.raises(MediaError, match="32"):
            writer.add(np.zeros((32, 32, 3), np.uint8), face(), "a", "b", 0)
    with pytest.raises(UsageError, match="no finished shards"):
        ShardSet(tmp_path)


# ---- episodes


def test_the_target_is_never_among_the_shots_and_all_frames_are_of_one_take(tmp_path):
    """The target frame is never among the shots. The unit and the frame can be read off each picture."""
    sampler = EpisodeSampler([ShardSet(fill(tmp_path))], Options(shots=5, seed=1))
    for step in range(20):
        batch = sampler.batch(step, 3)
        assert batch.shots.shape == (3, 5, SIZE, SIZE, 3) and batch.target.shape == (3, SIZE, SIZE, 3)
        for b in range(3):
            frames = np.concatenate([batch.shots[b], batch.target[b][None]])
            numbers = np.round(frames[:, 8, 8, 1] / 30).astype(int)
            assert sorted(numbers) == [0, 1, 2, 3, 4, 5], "K+1 distinct frames"
            assert len(set(np.round(frames[:, 8, 8, 0] / 60))) == 1, "of one person"
            assert sampler.units[batch.units[b]][1] == f"person-{round(frames[0, 8, 8, 0] / 60)}"
            for picture, raster in zip(frames, [*batch.shot_rasters[b], batch.raster[b]], strict=True):
                assert np.array_equal(raster, draw(np.float16(face(SIZE, round(picture[8, 8, 1] / 30))), SIZE))


def test_episodes_depend_on_seed_and_step_alone(tmp_path):
    shards = ShardSet(fill(tmp_path))
    first = EpisodeSampler([shards], Options(shots=3, seed=7, augment=True))
    second = EpisodeSampler([shards], Options(shots=3, seed=7, augment=True))
    for step in (5, 0, 5):  # in any order
        whole = first.batch(step, 4)
        halves = [second.batch(step, 4, rank=rank, world=2) for rank in range(2)]
        for name in ("shots", "shot_rasters", "target", "raster", "units"):
            joined = np.concatenate([getattr(half, name) for half in halves])
            assert np.array_equal(getattr(whole, name), joined), name
    other = EpisodeSampler([shards], Options(shots=3, seed=8, augment=True)).batch(5, 4)
    assert not np.array_equal(other.target, first.batch(5, 4).target)


def test_short_units_are_counted_and_faulty_frames_replaced(tmp_path):
    fill(tmp_path, units=2, frames=6)
    with ShardWriter(tmp_path) as writer:
        for number in range(3):
            writer.add(np.zeros((SIZE, SIZE, 3), np.uint8), face(), "short", "x", number)
    shards = ShardSet(tmp_path)
    tar = tmp_path / "shard-000000.tar"
    data = bytearray(tar.read_bytes())
    torn = shards._rows[int(shards.rows("person-0", "take")[0])]
    data[torn[4] : torn[4] + torn[5]] = bytes(torn[5])  # the picture's bytes become zeros
    nan = shards._rows[int(shards.rows("person-1", "take")[0])]
    values = np.frombuffer(data, np.float16, count=2, offset=nan[6] + nan[7] - 4).copy()
    values[:] = np.nan
    data[nan[6] + nan[7] - 4 : nan[6] + nan[7]] = values.tobytes()
    tar.write_bytes(data)
    sampler = EpisodeSampler([ShardSet(tmp_path)], Options(shots=4))
    assert len(sampler.units) == 2
    for step in range(10):
        assert sampler.batch(step, 2).target.shape[0] == 2
    assert sampler.skipped["units with fewer than K+1 frames"] == 1
    assert sampler.skipped["a picture in the shard is torn"] > 0
    assert sampler.skipped["landmarks in the shard are not 68 finite points"] > 0
    with pytest.raises(UsageError, match="9 frames"):
        EpisodeSampler([ShardSet(tmp_path)], Options(shots=8))


def test_sets_are_drawn_by_weight(tmp_path):
    sets = [ShardSet(fill(tmp_path / name, units=n)) for name, n in (("a", 1), ("b", 3))]
    sampler = EpisodeSampler(sets, Options(weights=(0.0, 1.0), shots=3))
    assert all(sampler.units[u][0] == 1 for step in range(10) for u in sampler.batch(step, 3).units)
    with pytest.raises(UsageError, match="weight"):
        EpisodeSampler(sets, Options(weights=(1.0,), shots=3))
    with pytest.raises(UsageError, match="size"):
        EpisodeSampler([sets[0], ShardSet(fill(tmp_path / "c", size=128))], Options(shots=3))


def test_augmentation_is_one_draw_an_episode_and_landmarks_follow(tmp_path):
    """A bright dot on a landmark stays on that landmark's mirror twin, whichever way the picture is thrown."""
    from gioconda_core.faces.align import MIRROR

    points = face(128)
    seen_mirror = set()
    for seed in range(12):
        picture = np.zeros((128, 128, 3), np.uint8)
        x, y = np.round(points[36]).astype(int)  # outer corner of one eye
        picture[y - 1 : y + 2, x - 1 : x + 2] = 255
        out = jitter([(picture, points), (picture, points)], np.random.default_rng(seed))
        assert np.array_equal(out[0][0], out[1][0]) and np.array_equal(out[0][1], out[1][1])
        frame, moved = out[0]
        centre = np.argwhere(frame.sum(-1) > 0.8 * frame.sum(-1).max()).mean(0)[::-1]
        distances = np.linalg.norm(moved - centre, axis=1)
        mirrored = int(distances.argmin()) == MIRROR[36]
        assert distances[MIRROR[36] if mirrored else 36] < 1.5
        seen_mirror.add(mirrored)
    assert seen_mirror == {True, False}
