"""Preparing footage: layouts, steady crops, rows that say why, and resumption without loss or double."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from puppet_material import clip, puppet, shards

from gioconda_core.errors import MediaError, UsageError
from gioconda_core.faces import align
from gioconda_core.files import read_rows, sha256_of
from gioconda_core.media.clip import write_image, write_video
from synth.fakes.prepare import Dropped, Prepare, prepare
from synth.fakes.sources import entries
from synth.reenact.framing import load_track, save_track, steady, stretches
from synth.training.shards import ShardSet


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return str(root)


@pytest.mark.parametrize(
    ("layout", "name", "identity", "source"),
    [
        ("folder", "anna/monday/1.mp4", "anna", "anna/monday/1"),
        ("folder", "solo.mp4", "solo", "solo"),
        ("voxceleb2", "dev/mp4/id00012/21Uxsk56VDQ/00001.mp4", "id00012", "id00012/21Uxsk56VDQ"),
        ("voxceleb1", "mp4/id10001/1zcIwhmdeo4/00001.mp4", "id10001", "id10001/1zcIwhmdeo4"),
        ("voxceleb1", "unzippedFaces/Aamir_Khan/1.6/5ablueV_1tw/0000350.jpg", "Aamir_Khan", "Aamir_Khan/5ablueV_1tw"),
        ("hdtf", "WDA_BarackObama_001.mp4", "WDA_BarackObama", "WDA_BarackObama_001"),
        ("celebv-hq", "M2Ohb0FAaJU_1_0.mp4", "M2Ohb0FAaJU", "M2Ohb0FAaJU"),
        ("celebv-hq", "_X_b0FAaJU__3.mp4", "_X_b0FAaJU_", "_X_b0FAaJU_"),
        ("talkinghead-1kh", "train/cropped_clips/--Y9imYnfBw_0000_S0_E271_L504_T63_R792_B351.mp4", "--Y9imYnfBw", "--Y9imYnfBw_0000"),
    ],
)  # fmt: skip
def test_layouts(tmp_path, layout, name, identity, source):
    found = entries(touch(tmp_path, name, ".hidden.mp4", "notes.txt"), layout)
    assert [(e.identity, e.source) for e in found] == [(identity, source)]


def test_a_list_is_filtered_by_its_columns(tmp_path):
    listed = tmp_path / "index.csv"
    listed.write_text("file,kind,person\na.mp4,real,p1\nb.mp4,fake,p1\nc.mp4,real,p2\nd.png,real,p3\n")
    assert [e.identity for e in entries(str(listed), where="kind=real")] == ["p1", "p2"]
    assert len(entries(str(listed), where="kind=real|fake")) == 3
    with pytest.raises(UsageError, match="no column 'sort'"):
        entries(str(listed), where="sort=real")


def test_puppets_and_what_is_none():
    assert [e.path for e in entries("puppets:2x2")] == [
        "puppets:0/0",
        "puppets:0/1",
        "puppets:1/1000",
        "puppets:1/1001",
    ]
    assert len(entries("puppets:100-104")) == 5
    for text in ("puppets:many", "puppets:"):
        with pytest.raises(UsageError, match="not puppets"):
            entries(text)


def test_nothing_to_do_is_said(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        entries(str(tmp_path / "none"))
    with pytest.raises(UsageError, match="no clips found"):
        entries(str(tmp_path))
    with pytest.raises(UsageError, match="unknown layout"):
        entries(str(tmp_path), "tiktok")


def test_shards_hold_faces_where_the_landmarks_say():
    found = ShardSet(shards())
    assert len({who for who, _ in found.units}) == 4 and len(found) == 80 and found.size == 96
    for identity, source in found.units:
        rows = found.rows(identity, source)
        boxes = [align.box(found[r].landmarks) for r in rows]
        middles = np.array([(b[:2] + b[2:]) / 2 for b in boxes])
        assert (np.abs(middles - 48) < 24).all()
        # The crop is steady: the head moves in it, as it does in the take.
        assert np.ptp(middles, axis=0).max() > 0.3


def test_puppets_is_drawn_as_often_as_frames_are_kept(tmp_path):
    prepare(Prepare(sources=("puppets:3-3",), size=64, puppet_frames=9, every=0.2, min_face=20), tmp_path)
    found = ShardSet(tmp_path)
    frames = sorted((found[k] for k in range(len(found))), key=lambda f: f.time)
    assert [round(f.time, 6) for f in frames] == [round(0.2 * k, 6) for k in range(9)]
    drawn = puppet(3, 3000, frames=41)
    apart = np.linalg.norm(drawn.landmarks[::5, 36] - drawn.landmarks[::5, 45], axis=1)
    kept = np.linalg.norm([f.landmarks[36] - f.landmarks[45] for f in frames], axis=1)
    assert np.ptp(kept / apart) < 0.005 * np.mean(kept / apart), "the moments of the take, in one crop"


def test_a_steady_crop_keeps_the_motion_and_every_landmark():
    drawn = puppet()
    matrix = steady(drawn.landmarks, (256, 256), 128)
    moved = align.apply(matrix, drawn.landmarks)
    assert matrix[0, 1] == matrix[1, 0] == 0 and (moved >= 0).all() and (moved < 128).all()
    back = align.apply(align.invert(matrix), moved)
    assert np.abs(back - drawn.landmarks).max() < 1e-2


def test_a_face_that_wanders_is_cut_into_stretches():
    still = np.repeat(puppet().landmarks[:1], 10, 0)
    jump = np.concatenate([still, still + 300])
    assert stretches(still) == [slice(0, 10)]
    assert stretches(jump) == [slice(0, 10), slice(10, 20)]
    assert stretches(still[:0]) == []


def test_a_folder_of_clips_rows_and_resumption(tmp_path):
    footage, out = tmp_path / "in", tmp_path / "out"
    (footage / "anna").mkdir(parents=True)
    clip(footage / "anna" / "talk.mp4", frames=12)
    write_video(footage / "wall.mp4", iter(np.full((10, 96, 96, 3), 128, np.uint8)), fps=Fraction(25))
    (footage / "broken.mp4").write_bytes(b"not a film")
    job = Prepare(sources=(str(footage),), size=96, min_frames=8)
    first = prepare(job, out)
    assert (first.clips, first.kept, first.frames, first.identities) == (3, 1, 12, 1)
    reasons = {row["clip"]: row["dropped"] for row in read_rows(out / "clips.jsonl")}
    assert reasons["wall.mp4"] == Dropped.NO_FACE and reasons["broken.mp4"] == Dropped.UNREADABLE
    assert reasons["anna/talk.mp4"] == "" and first.frames_per_second > 0
    again = prepare(job, out)
    assert (again.kept, again.frames, dict(again.dropped)) == (1, 12, dict(first.dropped))
    assert len(list(read_rows(out / "clips.jsonl"))) == 3


def test_a_picture_gives_itself_and_views_of_it_where_they_are_asked_for(tmp_path):
    footage = tmp_path / "in"
    footage.mkdir()
    write_image(footage / "portrait.png", puppet().frames[0])
    write_image(footage / "wall.png", np.full((96, 96, 3), 128, np.uint8))
    with pytest.raises(UsageError, match="no clips"):
        prepare(Prepare(sources=(str(footage),), size=96), tmp_path / "none")
    found = prepare(Prepare(sources=(str(footage),), size=96, views=10, min_face=20), tmp_path / "out")
    assert (found.clips, found.kept, found.frames, dict(found.dropped)) == (2, 1, 11, {Dropped.NO_FACE: 1})
    shards = ShardSet(tmp_path / "out")
    first, *views = (shards[k] for k in range(11))
    assert all(np.abs(v.landmarks - first.landmarks).max() > 1 for v in views)
    assert len({v.frame.tobytes() for v in views}) == 10
    widest = max(views, key=lambda v: (v.landmarks[66] - v.landmarks[62])[1])  # into a cavity, not into stretched lips
    (x, top), (_, bottom) = widest.landmarks[[62, 66]].round().astype(int)
    assert bottom - top > (first.landmarks[66] - first.landmarks[62])[1] + 1
    assert widest.frame[top : bottom + 1, x].mean(-1).min() < 0.7 * first.frame[int(first.landmarks[62, 1]), x].mean()
    again = prepare(Prepare(sources=(str(footage),), size=96, views=10, min_face=20), tmp_path / "again")
    assert again.frames == 11
    np.testing.assert_array_equal(ShardSet(tmp_path / "again")[5].frame, shards[5].frame)


def test_killed_between_shard_and_rows_or_before_the_shard(tmp_path):
    job = Prepare(sources=("puppets:2",), size=64, puppet_frames=9, min_face=20, shard_mb=0)
    prepare(job, tmp_path)
    before = sorted((f.identity, f.time) for f in map(ShardSet(tmp_path).__getitem__, range(18)))
    (tmp_path / "clips.jsonl").unlink()  # the shards were finished, the rows not yet written
    (tmp_path / "shard-000001.parquet").unlink()  # the second shard was not finished: its tar does not count
    done = prepare(job, tmp_path)
    after = ShardSet(tmp_path)
    assert done.kept == 2 and sorted((after[k].identity, after[k].time) for k in range(len(after))) == before


def test_shards_know_whose_consent_they_need(tmp_path):
    """The puppets needs nobody's, whoever is called like it does, and clips are known by the hashes a consent file holds."""
    (tmp_path / "in" / "puppet-000003").mkdir(parents=True)
    file = clip(tmp_path / "in" / "puppet-000003" / "talk.mp4", frames=9)
    out = tmp_path / "out"
    prepare(Prepare(sources=(str(tmp_path / "in"), "puppets:1"), size=64, puppet_frames=9, min_face=20), out)
    assert [who for who, _ in ShardSet(out).units] == ["puppet-000000", "puppet-000003"] and ShardSet(
        shards()
    ).real_files() == set()
    assert ShardSet(out).real_files() == {sha256_of(file)}
    (out / "clips.jsonl").unlink()  # killed between the shard and its rows
    assert ShardSet(out).real_files() == {""}
    prepare(Prepare(sources=(str(tmp_path / "in"), "puppets:1"), size=64, puppet_frames=9, min_face=20), out)
    assert ShardSet(out).real_files() == {sha256_of(file)}


def test_other_settings_are_refused_in_the_same_folder(tmp_path):
    prepare(Prepare(sources=("puppets:1",), size=64, puppet_frames=9, min_face=20), tmp_path)
    with pytest.raises(UsageError, match="other settings: size"):
        prepare(Prepare(sources=("puppets:1",), size=96, puppet_frames=9, min_face=20), tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        prepare(Prepare(sources=("puppets:1",)), tmp_path / "file" / "below")


def test_small_faces_and_short_clips_are_dropped_with_the_reason(tmp_path):
    small = prepare(Prepare(sources=("puppets:1",), size=64, puppet_frames=9, min_face=400), tmp_path / "a")
    short = prepare(Prepare(sources=("puppets:1",), size=64, puppet_frames=4, min_face=20), tmp_path / "b")
    assert dict(small.dropped) == {Dropped.FACE_TOO_SMALL: 1}
    assert dict(short.dropped) == {Dropped.TOO_FEW_FRAMES: 1}


def test_saved_landmarks_are_used_instead_of_looking_again(tmp_path):
    drawn = puppet()
    (tmp_path / "in").mkdir()
    clip(tmp_path / "in" / "talk.mp4")
    save_track(tmp_path / "marks" / "talk.mp4.npz", drawn.times, drawn.landmarks, fps=25, size=(256, 256))
    done = prepare(
        Prepare(sources=(str(tmp_path / "in"),), size=256, landmarks=str(tmp_path / "marks")), tmp_path / "out"
    )
    rows = list(read_rows(tmp_path / "out" / "clips.jsonl"))
    assert done.frames == 20 and rows[0]["note"] == "saved landmarks"


def test_a_folder_of_pictures_is_a_clip(tmp_path):
    folder = tmp_path / "in" / "unzippedFaces" / "Ada" / "1.6" / "v1"
    folder.mkdir(parents=True)
    for k in range(3):
        write_image(folder / f"{k:07d}.jpg", puppet().frames[5 * k])
    done = prepare(
        Prepare(sources=(str(tmp_path / "in"),), layout="voxceleb1", size=64, min_frames=2), tmp_path / "out"
    )
    assert (done.kept, done.frames) == (1, 3)


def test_tracks_are_checked_when_read(tmp_path):
    with pytest.raises(MediaError, match="not a landmark track"):
        load_track(tmp_path / "none.npz")
    np.savez(tmp_path / "bad.npz", times=np.zeros(3), landmarks=np.zeros((3, 66, 2)))
    with pytest.raises(MediaError, match="landmarks are"):
        load_track(tmp_path / "bad.npz")
    np.savez(tmp_path / "back.npz", times=np.array([1.0, 0.5]), landmarks=np.zeros((2, 68, 2)))
    with pytest.raises(MediaError, match="do not increase"):
        load_track(tmp_path / "back.npz")


def test_a_clip_whose_worker_failed_is_said_and_tried_again(tmp_path, monkeypatch):
    from synth.fakes import prepare as module

    job = Prepare(sources=("puppets:2",), size=64, puppet_frames=9, min_face=20)
    with monkeypatch.context() as patch:
        good = module.perform
        patch.setattr(
            module, "perform", lambda identity, *take, **how: 1 / (1 - identity) and good(identity, *take, **how)
        )
        first = prepare(job, tmp_path)
    assert first.kept == 1 and dict(first.dropped) == {Dropped.FAILED: 1}
    assert [row["note"] for row in read_rows(tmp_path / "clips.jsonl") if row["dropped"]] == [
        "ZeroDivisionError: division by zero"
    ]
    second = prepare(job, tmp_path)
    assert second.kept == 2 and not second.dropped
