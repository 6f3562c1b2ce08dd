"""Decoding in several places at once: the same frames in the same order, no more held than said, nothing left running."""

import threading
import time

import numpy as np
import pytest
from media_material import number, numbered_clip

from gioconda_core.media import decode
from gioconda_core.media.clip import Clip
from gioconda_core.media.read_ahead import in_turn, run_ahead
from gioconda_core.media.seek import share_out


def _counting(start, step, made=None):
    for i in range(start, 1000, step):
        if made is not None:
            made.append(i)
        yield i


def _threads():
    return [t for t in threading.enumerate() if t.daemon and t.name.startswith("lane")]


def test_items_come_in_the_order_of_the_turns():
    turns = [0, 0, 1, 2, 1, 0]
    assert list(in_turn([_counting(0, 3), _counting(1, 3), _counting(2, 3)], turns, 1)) == [0, 3, 1, 2, 4, 6]
    assert not _threads()


def test_a_lane_stays_no_further_ahead_than_said():
    made = []
    items = in_turn([_counting(0, 1, made)], [0, 0], 3)
    next(items)
    time.sleep(0.1)
    assert len(made) <= 5, "three ready, the one taken, and the one waiting for room"
    items.close()
    assert not _threads()


def test_one_work_runs_ahead_and_ends_where_it_ends():
    made = []
    items = run_ahead(_counting(990, 1, made), 3)
    assert next(items) == 990
    until = time.monotonic() + 10
    while len(made) < 4 and time.monotonic() < until:
        time.sleep(0.01)
    assert 4 <= len(made) <= 5, "made while nobody asked"
    assert list(items) == list(range(991, 1000))
    assert not _threads()


def test_an_error_is_raised_where_its_item_was_due():
    def fails():
        yield "first"
        raise KeyError("second")

    items = in_turn([fails(), _counting(0, 1)], [0, 1, 1, 0], 8)
    assert [next(items) for _ in range(3)] == ["first", 0, 1]
    with pytest.raises(KeyError, match="second"):
        next(items)
    assert not _threads()


def test_more_turns_than_items_is_an_error_not_a_hang():
    with pytest.raises(RuntimeError, match="more was taken"):
        list(in_turn([iter_of(1)], [0, 0], 2))


def iter_of(*items):
    yield from items


@pytest.mark.parametrize(
    ("ticks", "keys", "turns"),
    [
        ([0, 25, 50, 75], [0, 25, 50, 75], [0, 1, 0, 1]),  # a keyframe each
        ([0, 25, 50, 75], [0, 50], [0, 0, 1, 1]),  # those of one keyframe stay together
        ([0, 25, 50, 75], [0], [0, 0, 0, 0]),  # one keyframe for all
        ([0, 25, 50, 75], [], [0, 0, 0, 0]),  # keyframes not known
        ([0, 90, 101], [0, 100], [0, 0, 0]),  # one lane would wait for the other
        ([-5, 3], [0, 2], [0, 1]),  # before the first
        ([7, 7], [0, 5], [0, 0]),
    ],
)
def test_work_is_shared_out_by_keyframes(ticks, keys, turns):
    assert share_out(ticks, keys, 1, 2) == turns
    assert share_out(ticks, keys, 1, 1) == [0] * len(ticks)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_the_frame_asked_for_is_the_frame_given_whatever_the_lanes(tmp_path, monkeypatch, name, lanes):
    """The wrong ways: one lane's frames in another's place; pictures left out that a later wanted one refers to."""
    options = {"g": "12", "bf": "3", "sc_threshold": "0"}
    codec = {"a.avi": {"codec": "mpeg4", "options": {"g": "12", "bf": "2", "qscale": "3"}}}.get(
        name, {"options": options}
    )
    path = numbered_clip(tmp_path / name, 100, **codec)
    monkeypatch.setattr(decode, "cores", lambda: lanes)
    with Clip.open(path) as clip:
        frames = clip.sample("all")[0]
        for sampling, wanted in (
            ("every:0.48", range(0, 100, 12)),
            ("every:0.2", range(0, 100, 5)),
            ("even:9", [int((i + 0.5) * 100 / 9) for i in range(9)]),
            ("at:0.1,0.1,2,2.04,3.96", [2, 2, 50, 51, 99]),
        ):
            given = clip.sample(sampling)[0]
            assert [number(f) for f in given] == list(wanted), sampling
            assert all(np.array_equal(g, frames[w]) for g, w in zip(given, wanted, strict=True))
        first = clip.frames("every:0.2")
        next(first)
        first.close()
    assert not _threads()


def test_lanes_end_where_the_file_does(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "cores", lambda: 2)
    path = numbered_clip(tmp_path / "a.mkv", 100, options={"g": "12"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with Clip.open(path) as clip:
        whole = [number(f) for f in clip.sample("all")[0]]
        given = [number(f) for f in clip.sample("every:0.2")[0]]
    assert given == [n for n in range(0, 100, 5) if n <= whole[-1]]
    assert not _threads()
