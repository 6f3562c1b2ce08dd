"""Frames that a file has lost are said, with how many and where; pauses, cuts and odd starts are not taken for losses."""

import itertools

import av
import numpy as np
import pytest
from media_material import encode, number, numbered, packets, rough

from gioconda_core.media.clip import Clip
from gioconda_core.reasons import WarningReason

LOST = {WarningReason.FRAMES_LOST, WarningReason.FRAMES_UNDECODED, WarningReason.STOPPED_THERE}


def _told(path, sampling="even:4"):
    with Clip.open(path) as clip:
        list(clip.frames(sampling))
        return {w.code: w.detail for w in clip.warnings if w.of_pictures}


_OPTIONS = {
    "libx264": {"g": "10", "crf": "30", "threads": "1"},
    "libvpx-vp9": {"g": "10", "cpu-used": "8", "threads": "1"},
    "mpeg4": {"g": "10", "threads": "1"},
}


@pytest.mark.parametrize(
    "suffix, codec, most",
    [
        ("mkv", "libx264", 10),
        ("webm", "libvpx-vp9", 10),
        ("flv", "libx264", 3),
        ("ts", "libx264", 3),
        ("avi", "mpeg4", 3),
    ],
)
def test_frames_lost_in_the_middle_are_counted(tmp_path, suffix, codec, most):
    path = encode(tmp_path / f"a.{suffix}", rough(100), codec=codec, options=_OPTIONS[codec])
    assert _told(path) == {}
    place = packets(path)[53].pos
    data = bytearray(path.read_bytes())
    if suffix == "ts":  # packets of the stream got lost on the way: their counter tells
        del data[place : place + 20 * 188]
    else:
        data[place - 3 : place + 3000] = np.random.default_rng(1).bytes(3003)
    path.write_bytes(data)
    missing = 100 - len(packets(path))
    assert 1 <= missing <= most
    detail = _told(path)[WarningReason.FRAMES_LOST]
    assert detail["frames"] == missing and detail["of"] == 100
    assert 1.9 < detail["time"] < 2.5


def test_fragments_that_are_not_reached_are_said(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}) as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "10", "crf": "30"})
        stream.width, stream.height, stream.pix_fmt = 192, 96, "yuv420p"
        for picture in rough(100):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    assert _told(path) == {}
    data = bytearray(path.read_bytes())
    at = -1
    for _ in range(6):
        at = data.index(b"moof", at + 1)
    data[at - 4 : at + 4] = b"\x03\x91\x17\x88\x20\x44\x70\xfa"
    path.write_bytes(data)
    left = len(packets(path))
    assert 40 <= left < 60
    assert _told(path)[WarningReason.STOPPED_THERE]["time"] == pytest.approx(left / 25)


def test_packets_that_give_no_picture_are_counted(tmp_path):
    path = encode(tmp_path / "a.mp4", rough(60), codec="mjpeg", pix_fmt="yuvj420p")
    data = bytearray(path.read_bytes())
    for packet in packets(path)[20:23]:
        data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(data)
    detail = _told(path, "all")[WarningReason.FRAMES_UNDECODED]
    assert dict(detail) == {"frames": 3, "of": 60, "time": pytest.approx(0.8)}


def _copied(source, target, keep, **options):
    """The packets of a clip that ``keep`` takes, as they are."""
    with av.open(str(source)) as a, av.open(str(target), "w", options=options) as b:
        stream = b.add_stream_from_template(a.streams.video[0])
        for i, packet in enumerate(a.demux(video=0)):
            if packet.dts is not None and keep(i, packet):
                packet.stream = stream
                b.mux(packet)
    return target


@pytest.mark.parametrize("suffix", ["mkv", "flv", "ts", "mp4", "mov"])
def test_a_gap_in_the_times_alone_is_no_loss(tmp_path, suffix):
    film = encode(tmp_path / "a.mp4", rough(100), options={"g": "10", "bf": "0", "crf": "30"})
    assert _told(_copied(film, tmp_path / f"b.{suffix}", lambda i, p: i % 10 < 7 or i < 30), "all") == {}


@pytest.mark.parametrize("suffix", ["mkv", "ts", "mp4"])
def test_what_begins_within_an_open_group_of_pictures_is_no_loss(tmp_path, suffix):
    options = {"g": "12", "x264-params": "open-gop=1:bframes=3:b-adapt=0", "crf": "30"}
    film = encode(tmp_path / f"a.{suffix}", rough(72), options=options)
    keys = itertools.count()
    begun = []

    def keep(_, packet):
        if packet.is_keyframe and next(keys) == 2:
            begun.append(packet)
        return bool(begun)

    assert _told(_copied(film, tmp_path / f"b.{suffix}", keep), "all") == {}


@pytest.mark.parametrize(
    "suffix, codec", [("mkv", "libx264"), ("webm", "libvpx"), ("webm", "libvpx-vp9"), ("gif", "gif")]
)
def test_pauses_of_a_screen_recording_are_no_loss(tmp_path, suffix, codec):
    clock = np.cumsum([1 if i % 9 else 40 for i in range(90)]).tolist()
    hidden = {"auto-alt-ref": "1", "lag-in-frames": "16", "b": "400k", "cpu-used": "8"} if "vpx" in codec else {}
    path = encode(
        tmp_path / f"a.{suffix}",
        map(numbered, range(90)),
        codec=codec,
        pts=clock,
        options=hidden,
        pix_fmt="rgb8" if codec == "gif" else "yuv420p",
    )
    assert _told(path, "all") == {}


def test_a_stream_that_begins_in_mid_file_costs_nothing(tmp_path):
    """PyAV knew the streams of the first packets only, and its IndexError made a whole clip "the decoder failed"."""
    path = encode(tmp_path / "a.flv", rough(100), codec="flv", options={"b": "20M", "g": "10"})
    data = path.read_bytes()
    ends = [13]
    while ends[-1] + 15 < len(data):
        at = ends[-1]
        ends.append(at + 11 + int.from_bytes(data[at + 1 : at + 4]) + 4)
    at = ends[-20]
    sound = bytes([8, 0, 0, 65]) + data[at + 4 : at + 8] + bytes(3) + b"\x32" + bytes(64) + (76).to_bytes(4)
    path.write_bytes(data[:at] + sound + data[at:])
    with Clip.open(path) as clip:
        frames, _ = clip.sample("all")
        assert [number(f) for f in frames] == list(range(100))
