"""Video as it is: the frame asked for is the frame given, upright, in true colours, with the stream's own timestamps."""

import gc
from fractions import Fraction

import av
import numpy as np
import pytest
from media_material import encode, number, numbered, numbered_clip, with_audio

from gioconda_core import documents
from gioconda_core.errors import MediaError, UsageError
from gioconda_core.media.clip import Clip, Limits
from gioconda_core.media.sampling import Sampling

N = 130

# Long and short groups of pictures, B-frames, open groups, decoders and containers that each go wrong in their own way:
# leading pictures (open-gop), timestamps that only a whole read gives (mpg), hidden frames (vp8), none at all (raw .h264).
CLIPS = {
    "long-gop.mp4": {"options": {"g": "250", "bf": "3", "sc_threshold": "0"}},
    "open-gop.mp4": {"options": {"x264-params": "open-gop=1:keyint=30:bframes=3"}},
    "open-gop.ts": {"options": {"x264-params": "open-gop=1:keyint=30:bframes=3"}},
    "refresh.ts": {"options": {"x264-params": "intra-refresh=1:keyint=30"}},
    "short.mkv": {"options": {"g": "12"}},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "keyint=40:open-gop=1:log-level=none"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "50", "cpu-used": "8", "deadline": "realtime"}},
    "vp8.webm": {
        "codec": "libvpx",
        "options": {"g": "50", "deadline": "good", "cpu-used": "16", "auto-alt-ref": "1", "lag-in-frames": "16"},
    },
    "mpeg4.avi": {"codec": "mpeg4", "options": {"g": "30", "bf": "2", "qscale": "2"}},
    "mpeg2.mpg": {"codec": "mpeg2video", "options": {"g": "15", "bf": "2", "b": "2M"}},
    "intra.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "raw.h264": {"options": {"g": "40"}},
}


@pytest.fixture(scope="module", params=CLIPS)
def clip(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("numbered") / request.param
    numbered_clip(path, N, **CLIPS[request.param])
    with Clip.open(path) as opened:
        yield opened


def test_every_frame_once_in_order(clip):
    frames, times = clip.sample("all")
    assert [number(f) for f in frames] == list(range(N))
    assert np.allclose(times, np.arange(N) / 25, atol=6e-4)
    assert clip.duration == pytest.approx(N / 25, abs=0.05) and clip.fps == 25
    assert clip.warnings == []


def test_the_frame_asked_for_is_the_frame_given(clip):
    """The wrong ways: the nearest keyframe; the frame after a seek; one early or late at B-frames."""
    frames, _ = clip.sample("all")
    rng = np.random.default_rng(3)
    for wanted in (
        [0, N - 1],
        [N - 1],
        sorted(rng.integers(0, N, 12)),
        list(range(40, 60)),
        [29, 30, 31, 59, 60, 61, 89],
    ):
        given, times = clip.sample("at:" + ",".join(f"{(w + 0.3) / 25:.4f}" for w in wanted))
        assert [number(f) for f in given] == list(wanted)
        assert np.allclose(times, np.array(wanted) / 25, atol=6e-4)
        assert all(np.array_equal(g, frames[w]) for g, w in zip(given, wanted, strict=True)), (
            "not the pixels a full decode gives"
        )


def test_even_spans_the_clip_and_every_keeps_its_step(clip):
    """The wrong way: the first N frames, as the standard harness takes them."""
    even = [number(f) for f in clip.sample("even:10")[0]]
    assert even == [int((i + 0.5) * N / 10) for i in range(10)]
    assert [number(f) for f in clip.sample("every:1")[0]] == list(range(0, N, 25))
    assert [number(f) for f in clip.sample("every:0.02")[0]] == list(range(N)), "each frame at most once"


def test_keyframes_are_those_the_decoder_marks(clip):
    with av.open(clip.where) as container:
        marked = [f.key_frame for f in container.decode(video=0)]
    keys = [number(f) for f in clip.sample("keyframes")[0]]
    refresh = "refresh" in clip.where  # refreshed column by column: only the first decodes on its own
    assert keys == [i for i, key in enumerate(marked) if key and not (refresh and i)] or (refresh and keys[0] == 0)


def test_a_frame_asked_for_twice_is_given_twice_and_is_not_the_same_memory(clip):
    frames, times = clip.sample("at:1,1")
    assert len(frames) == 2 and times[0] == times[1]
    (_, a), (_, b) = clip.frames("at:1,1")
    a[:] = 0
    assert b.any()


def test_two_passes_at_once_do_not_disturb_each_other(clip):
    pairs = zip(clip.frames("all"), clip.frames("every:0.04"), strict=True)
    assert all(number(a) == number(b) for (_, a), (_, b) in pairs)


def test_a_time_printed_with_three_decimals_still_names_its_frame(tmp_path):
    path = numbered_clip(tmp_path / "ntsc.mp4", 60, fps=Fraction(30000, 1001))
    with Clip.open(path) as clip:
        assert clip.fps == Fraction(30000, 1001)
        _, times = clip.sample("all")
        again = clip.sample("at:" + ",".join(f"{t:.3f}" for t in times))[0]
        assert [number(f) for f in again] == list(range(60))


def test_beyond_the_end_is_said_not_guessed(clip):
    with pytest.raises(UsageError, match="no frame at 100 s"):
        clip.sample("at:1,100")


def test_variable_frame_rate_is_kept(tmp_path):
    """The wrong way: index over average rate."""
    stamps = np.cumsum([0, *([10, 90, 200, 33] * 12)]).tolist()  # milliseconds
    path = numbered_clip(tmp_path / "vfr.mkv", len(stamps), pts=stamps, base=Fraction(1, 1000), options={"g": "20"})
    with Clip.open(path) as clip:
        frames, times = clip.sample("all")
        assert np.allclose(times * 1000, stamps, atol=0.5)
        assert [number(f) for f in frames] == list(range(len(stamps)))
        for t in (0.0, 0.05, 0.31, 1.0, 2.5, 3.9):
            shown = int(np.searchsorted(stamps, t * 1000 + 0.5, side="right")) - 1
            assert number(clip.sample(f"at:{t}")[0][0]) == shown


def test_one_picture_shown_for_an_hour_has_no_rate(tmp_path):
    with av.open(str(tmp_path / "slide.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 192, 96, "yuv420p"
        packets = stream.encode(av.VideoFrame.from_ndarray(numbered(0), format="rgb24")) + stream.encode(None)
        for packet in packets:
            packet.duration = int(3600 / packet.time_base)
            container.mux(packet)
    with Clip.open(tmp_path / "slide.mkv") as clip:
        assert (clip.fps, clip.duration) == (None, 3600.0)


def test_the_rate_is_that_of_the_frames_where_far_fewer_come_than_the_stream_says(tmp_path):
    with Clip.open(numbered_clip(tmp_path / "a.mkv", 10, pts=[10 * i for i in range(10)])) as clip:
        assert float(clip.facts.fps) == pytest.approx(2.7, abs=0.1) and clip.facts.frame_count == 10


def test_of_a_picture_that_changes_its_size_both_sizes_are_said(tmp_path):
    """As recorded calls do: they begin small, and turn with the telephone."""
    for name, shape in (("a.ts", {}), ("b.ts", {"width": 208, "height": 320})):
        encode(tmp_path / name, [numbered(i, **shape) for i in range(12)])
    (tmp_path / "both.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    with Clip.open(tmp_path / "both.ts") as clip:
        frames, _ = clip.sample("all")
        assert frames.shape == (24, 96, 192, 3)
        assert "changes from 192 × 96 to 208 × 320, seen at" in [w.text for w in clip.warnings][-1]


@pytest.mark.parametrize(
    ("name", "begins", "start"), [("a.mp4", 50, 2), ("a.mkv", 50, 2), ("a.mp4", -5, 0), ("a.ts", 50, 0)]
)
def test_when_pictures_begin_on_the_clock_that_players_go_by_is_known(tmp_path, name, begins, start):
    clip = Clip.open(numbered_clip(tmp_path / name, 12, pts=[i + begins for i in range(12)], options={"bf": "0"}))
    assert clip.facts.start == start and next(clip.frames("all"))[0] == 0


def test_times_start_at_the_first_frame(tmp_path):
    """An MPEG transport stream begins at an arbitrary clock."""
    path = numbered_clip(tmp_path / "late.ts", 30, pts=[i + 1000 for i in range(30)])
    with Clip.open(path) as clip:
        assert clip.sample("all")[1][0] == 0.0
        assert number(clip.sample("at:0.4")[0][0]) == 10


# --------------------------------------------------------------------------- upright, square pixels


def _corner_clip(path, **kwargs):
    """Red in the top left corner, green top right, of a 96x64 picture."""
    picture = np.full((64, 96, 3), 120, np.uint8)
    picture[:24, :24], picture[:24, -24:] = (230, 20, 20), (20, 230, 20)
    return encode(path, [picture] * 3, **kwargs), picture


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_display_rotation_is_applied(tmp_path, degrees):
    """PyAV leaves rotation as metadata; a phone's portrait clip would lie on its side."""
    path, upright = _corner_clip(tmp_path / "a.mp4")
    turned = tmp_path / "turned.mp4"
    with av.open(str(path)) as source, av.open(str(turned), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(degrees)  # anticlockwise, as FFmpeg counts
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    with av.open(str(turned)) as container:
        assert next(container.decode(video=0)).rotation % 360 == degrees, "FFmpeg's own reading of the matrix"
    with Clip.open(turned) as clip:
        frame = clip.sample("all")[0][0]
        assert clip.facts.rotation == (360 - degrees) % 360
        assert frame.shape[:2] == ((96, 64) if degrees % 180 else (64, 96)) == (clip.facts.height, clip.facts.width)
        assert np.abs(frame.astype(int) - np.rot90(upright, degrees // 90)).mean() < 12


def test_mirrored_display_matrix():
    from gioconda_core.media.colour import Orientation

    one = 65536
    flip = Orientation.from_matrix(np.array([-one, 0, 0, 0, one, 0, 0, 0, 1 << 30], "<i4").tobytes())
    assert (flip.turns, flip.mirror) == (0, True)
    picture = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    assert np.array_equal(flip.apply(picture), picture[:, ::-1])
    upside = Orientation.from_matrix(np.array([one, 0, 0, 0, -one, 0, 0, 0, 1 << 30], "<i4").tobytes())
    assert np.array_equal(upside.apply(picture), picture[::-1])
    assert Orientation.from_matrix(bytes(36)) == Orientation() == Orientation.from_matrix(b"short")


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(16, 11), (140, 64)), (Fraction(1, 2), (96, 128))])
def test_pixel_aspect_is_applied(tmp_path, aspect, size):
    path, _ = _corner_clip(tmp_path / "a.mp4", sample_aspect_ratio=aspect)
    with Clip.open(path) as clip:
        frame = clip.sample("all")[0][0]
        assert (frame.shape[1], frame.shape[0]) == size == (clip.facts.width, clip.facts.height)
        assert clip.facts.pixel_aspect == aspect


@pytest.mark.parametrize("size", [(1, 1), (101, 56), (101, 57), (17, 64), (322, 241)])
def test_odd_sizes(tmp_path, size):
    picture = np.full((size[1], size[0], 3), (200, 60, 20), np.uint8)
    path = encode(tmp_path / "odd.mkv", [picture] * 2, codec="ffv1", pix_fmt="yuv420p" if min(size) > 10 else "yuv444p")
    with Clip.open(path) as clip:
        frame = clip.sample("all")[0][1]
        assert frame.shape == picture.shape and frame.flags.c_contiguous and frame.flags.writeable
        assert np.abs(frame.astype(int) - picture).max() <= 6


# --------------------------------------------------------------------------- colour


def _patches():
    colours = [(200, 40, 40), (40, 180, 60), (50, 60, 210), (225, 172, 140), (128, 128, 128), (16, 16, 16)]
    return np.repeat(np.array(colours, np.uint8)[None], 64, axis=0).repeat(16, axis=1)


@pytest.mark.parametrize(("matrix", "code"), [("ITU709", 1), ("ITU601", 6), ("BT2020", 9)])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("pix_fmt", "codec"), [("yuv444p", "libx264"), ("yuv444p10le", "libx265")])
def test_matrix_and_range_are_honoured(tmp_path, matrix, code, full, pix_fmt, codec):
    """The wrong ways: BT.601 for everything (skin turns pink), full range read as limited (crushed blacks)."""
    picture = _patches()
    path = tmp_path / "colour.mp4"
    with av.open(str(path), "w") as container:
        options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        stream = container.add_stream(codec, rate=25, options={"crf": "4", **options})
        stream.width, stream.height, stream.pix_fmt = picture.shape[1], picture.shape[0], pix_fmt
        context = stream.codec_context
        context.colorspace, context.color_range = code, 2 if full else 1
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
            format=pix_fmt, dst_colorspace=matrix, src_color_range="JPEG", dst_color_range="JPEG" if full else "MPEG"
        )
        for i in range(3):
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with Clip.open(path) as clip:
        given = clip.sample("all")[0][1]
        assert clip.facts.bit_depth == (10 if "10" in pix_fmt else 8)
        assert clip.facts.matrix == code and clip.facts.full_range is full
        centres = given[32, 8::16].astype(int)
        assert np.abs(centres - picture[32, 8::16]).max() <= 4


def test_an_unnamed_matrix_is_601_for_small_and_709_for_large():
    from gioconda_core.media.colour import Orientation, RgbMaker

    for (width, height), matrix in (((640, 480), "ITU601"), ((1280, 720), "ITU709"), ((720, 576), "ITU601")):
        picture = np.full((height, width, 3), (200, 60, 40), np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
            format="yuv444p", dst_colorspace=matrix, src_color_range="JPEG", dst_color_range="MPEG"
        )
        frame.colorspace, frame.color_range = 2, 0
        given = RgbMaker(width, height, Orientation())(frame)
        assert np.abs(given.astype(int) - picture).max() <= 3, (width, height)


def _hdr_frame(nits, transfer):
    """A frame of BT.2020 patches, each (R, G, B) in nits, as 10-bit limited range."""
    from gioconda_core.media.colour import nits_to_pq

    light = np.asarray(nits, float)
    if transfer == 16:
        signal = nits_to_pq(light)
    else:
        # Inverse OOTF of a 1000-nit display, then the HLG OETF (BT.2100 table 5).
        luminance = light @ np.array([0.2627, 0.6780, 0.0593])
        scene = light / 1000 * (np.maximum(luminance, 1e-9) / 1000)[:, None] ** ((1 - 1.2) / 1.2)
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        signal = np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)
    y = signal @ np.array([0.2627, 0.6780, 0.0593])
    cb, cr = (signal[:, 2] - y) / 1.8814, (signal[:, 0] - y) / 1.4746
    planes = [np.round(876 * y + 64), np.round(896 * cb + 512), np.round(896 * cr + 512)]
    frame = av.VideoFrame(16 * len(light), 16, "yuv444p10le")
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.zeros((16, plane.line_size // 2), np.uint16)
        rows[:, : 16 * len(light)] = np.repeat(values.astype(np.uint16), 16)[None]
        plane.update(rows.tobytes())
    frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries = 9, 1, transfer, 9
    return frame


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_tone_mapped(transfer):
    """The wrong way: PQ shown as if it were gamma, grey and flat: 1 nit at 38 of 255, diffuse white at 148."""
    from gioconda_core.media.colour import Orientation, RgbMaker

    levels = [0.0, 1.0, 20.0, 60.0, 203.0, 600.0, 1000.0]
    given = RgbMaker(16 * 7, 16, Orientation())(_hdr_frame([[v] * 3 for v in levels], transfer))[8, 8::16].astype(int)
    assert np.ptp(given, axis=1).max() <= 2, "grey stays grey"
    grey = given.mean(axis=1)
    assert np.all(np.diff(grey) > 0), "brighter stays brighter, highlights included"

    def srgb(linear):
        return 255 * (12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055)

    for level, value in zip(levels[1:4], grey[1:4], strict=True):
        assert value == pytest.approx(srgb(level / 203), abs=4), "below the knee nothing is bent"
    assert 195 <= grey[4] <= 230 and grey[0] <= 1 and grey[6] >= 252


def test_hdr_primaries_are_converted():
    """A BT.709 red graded in BT.2020 comes back pure; shown unconverted it would be dull and orange."""
    from gioconda_core.media.colour import Orientation, RgbMaker

    to_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    reds = np.array([[80.0, 8.0, 8.0], [8.0, 80.0, 8.0]]) @ to_2020.T
    red, green = RgbMaker(32, 16, Orientation())(_hdr_frame(reds, 16))[8, 8::16].astype(int)
    strong, weak = 169, 55  # sRGB of 80/203 and 8/203
    assert np.abs(red - (strong, weak, weak)).max() <= 5 and np.abs(green - (weak, strong, weak)).max() <= 5


# --------------------------------------------------------------------------- streams, facts, memory


def two_streams(path, sizes=((64, 48), (192, 96)), lasts=(5, 5), default=None):
    """Two video streams; the one of 192x96 shows its frames' numbers."""
    with av.open(str(path), "w") as container:
        streams = []
        for size in sizes:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            streams.append(stream)
        if default is not None:
            for i, stream in enumerate(streams):
                stream.disposition = int(i == default)
        for i in range(max(lasts)):
            for stream, size, n in zip(streams, sizes, lasts, strict=True):
                if i < n:
                    picture = numbered(i) if size[0] == 192 else np.zeros((*size[::-1], 3), np.uint8)
                    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                    frame.pts = i
                    container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("codec", "pix_fmt"), [("ffv1", "yuva420p"), ("ffv1", "bgra"), ("ffv1", "yuv420p")])
def test_transparency_that_is_not_shown_is_said(tmp_path, codec, pix_fmt):
    """Under what is transparent lie pictures that no player shows: they were read, and nothing said so."""
    with Clip.open(numbered_clip(tmp_path / "a.mkv", 3, codec=codec, pix_fmt=pix_fmt)) as clip:
        assert [w.code for w in clip.warnings] == ([] if pix_fmt == "yuv420p" else ["transparency-ignored"])


def test_cover_pictures_are_counted_and_are_no_video(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        video, cover = container.add_stream("libx264", rate=25), container.add_stream("png", rate=25)
        cover.disposition = av.stream.Disposition.attached_pic
        for stream, pix_fmt in ((video, "yuv420p"), (cover, "rgb24")):
            stream.width, stream.height, stream.pix_fmt = 192, 96, pix_fmt
        for i in range(5):
            frame = av.VideoFrame.from_ndarray(numbered(i), format="rgb24")
            container.mux(video.encode(frame))
            container.mux([] if i else cover.encode(frame))
        container.mux([*video.encode(None), *cover.encode(None)])
    with Clip.open(tmp_path / "a.mp4") as clip:
        assert (clip.facts.streams, clip.facts.covers, clip.facts.codec) == (1, 1, "h264")


def test_of_streams_alike_the_largest_is_read_and_said(tmp_path):
    with Clip.open(two_streams(tmp_path / "two.mkv")) as clip:
        assert (clip.facts.width, clip.facts.streams) == (192, 2)
        assert [number(f) for f in clip.sample("all")[0]] == list(range(5))
        assert clip.warnings[0].text.startswith("2 video streams; stream 1 (192x96 h264")
        assert "not examined: stream 0 (64x48 h264" in clip.warnings[0].text


def test_a_larger_second_stream_does_not_hide_the_one_that_players_show(tmp_path):
    """The wrong way: the largest, so that one frame of 720p behind a fake silences every detector."""
    sizes = ((192, 96), (640, 360))
    for name, more in {"default.mkv": {"default": 0}, "shorter.mp4": {}}.items():
        with Clip.open(two_streams(tmp_path / name, sizes, (50, 50) if more else (50, 1), **more)) as clip:
            assert [number(f) for f in clip.sample("all")[0]] == list(range(50)), name
            assert "not examined: stream 1 (640x360" in clip.warnings[0].text


def jumping(path, by, n=100, ahead=0):
    """A clip of 25 frames a second whose clock jumps by so many frames in the middle. ahead : B-frames in a row, for which others are stored ahead."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": str(ahead), "b-adapt": "0", "g": "200"})
        stream.width, stream.height, stream.pix_fmt = 192, 96, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        frames = []
        for i in range(n):
            frame = av.VideoFrame.from_ndarray(numbered(i), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            frames.append(frame)
        for frame in [*frames, None]:
            for packet in stream.encode(frame):
                later = packet.dts >= n // 2
                if packet.pts >= n // 2:
                    packet.pts += by
                packet.dts += by if later else 0
                container.mux(packet)
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "flv", "ts", "joined.ts"])
def test_a_clock_that_jumps_is_said_and_frames_are_spread_all_the_same(tmp_path, suffix):
    """The wrong way: a length of two and a half hours, and one frame for even:8."""
    path = jumping(tmp_path / f"jump.{suffix}", 0 if suffix == "joined.ts" else 225_000)
    if suffix == "joined.ts":  # the clock starts anew in the middle
        path.write_bytes(path.read_bytes() * 2)
    with Clip.open(path) as clip:
        length = 8.0 if suffix == "joined.ts" else 4.0
        assert clip.duration == pytest.approx(length, abs=0.05) and clip.fps == 25
        assert clip.facts.frame_count == length * 25
        whole = 8 * path.stat().st_size / length  # the wrong way: one 2,250th of it, and "compression is strong"
        assert 0.2 * whole < clip.facts.bit_rate < 1.1 * whole
        frames, times = clip.sample("even:8")
        spread = [int((i + 0.5) * length / 8 * 25 + 1e-6) for i in range(8)]
        assert [number(f) for f in frames] == pytest.approx([n % 100 for n in spread], abs=1)
        assert times == pytest.approx([n / 25 for n in spread], abs=0.05)
        assert any(
            ("the clock jumps by -4.00 s at 4.00 s" if length > 4 else "the clock jumps by +9000.00 s at 2.00 s")
            in w.text
            for w in clip.warnings
        )
        every, _ = clip.sample("all")
        assert [number(f) for f in every] == [*range(100)] * int(length / 4)


@pytest.mark.parametrize("ahead", [1, 2, 3])
def test_a_clock_that_jumps_where_pictures_are_stored_out_of_order_is_counted_without_its_jump(tmp_path, ahead):
    """The wrong way: a length of two and a half hours, "the clock jumps by +0.04 s", "the file is truncated" and no frame for even:8."""
    with Clip.open(jumping(tmp_path / "jump.mkv", 225_000, n=101, ahead=ahead)) as clip:
        assert clip.duration == pytest.approx(4.04, abs=0.1)
        assert len(clip.sample("even:8")[0]) == 8
        assert [w.text.split(" at ")[0] for w in clip.warnings] == ["the clock jumps by +9000.00 s"]


def test_a_pause_of_a_screen_recording_is_no_jump(tmp_path):
    with Clip.open(jumping(tmp_path / "pause.mkv", 25 * 40)) as clip:
        assert clip.duration == pytest.approx(44, abs=0.1) and not clip.warnings


def test_exif_with_the_frames_costs_nothing(tmp_path):
    """PyAV has no name for that kind of side data and raised ValueError; cameras' MJPEG frames carry it."""
    import io

    from PIL import Image

    with av.open(str(tmp_path / "camera.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=15)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuvj420p"
        for i in range(8):
            out, exif = io.BytesIO(), Image.Exif()
            exif[0x010F], exif[0x0112] = "Camera", 6
            Image.fromarray(np.full((96, 128, 3), 20 * i, np.uint8)).save(out, "jpeg", exif=exif)
            packet = av.Packet(out.getvalue())
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, i, i, Fraction(1, 15)
            container.mux(packet)
    with Clip.open(tmp_path / "camera.avi") as clip:
        frames, _ = clip.sample("all")
        assert frames.shape == (8, 128, 96, 3) and clip.facts.rotation == 90
        assert any("mirrored" in w.text for w in clip.warnings)


def test_jpeg_after_jpeg_is_a_stream_and_a_picture_with_others_behind_it_is_none(tmp_path):
    import io

    from PIL import Image

    def jpeg(shade, **more):
        out = io.BytesIO()
        Image.fromarray(np.full((64, 64, 3), shade, np.uint8)).save(out, "jpeg", **more)
        return out.getvalue()

    stream = tmp_path / "camera.mjpeg"
    stream.write_bytes(b"".join(jpeg(10 * i) for i in range(12)))
    with Clip.open(stream) as clip:
        assert clip.facts.frame_count == 12 and not clip.facts.still
        assert len(clip.sample("all")[0]) == 12
    pictures = [Image.fromarray(np.full((64, 64, 3), 10 * i, np.uint8)) for i in range(4)]
    pictures[0].save(tmp_path / "stereo.jpg", format="MPO", save_all=True, append_images=pictures[1:])
    (tmp_path / "motion.jpg").write_bytes(jpeg(9) + b"\0\0\0\x18ftypmp42" + b"\0" * 500)
    for name in ("stereo.jpg", "motion.jpg"):
        with Clip.open(tmp_path / name) as clip:
            assert clip.facts.still, name


def test_pictures_without_times_are_not_called_damaged(tmp_path):
    """Written with times below 0, which Matroska does not have: half of the frames have none."""
    with av.open(str(tmp_path / "a.mkv"), "w", options={"avoid_negative_ts": "disabled"}) as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 192, 96, "yuv420p"
        for i in range(50):
            frame = av.VideoFrame.from_ndarray(numbered(i), format="rgb24")
            frame.pts = i - 25
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with Clip.open(tmp_path / "a.mkv") as clip:
        frames, times = clip.sample("all")
        assert [number(f) for f in frames] == list(range(50)) and clip.warnings == []
        assert times == pytest.approx(np.arange(50) / 25) and clip.duration == pytest.approx(2.0)
        assert clip.facts.bit_rate == pytest.approx(8 * clip.facts.size_bytes / 2, rel=0.01)


def test_the_length_reaches_to_the_last_picture_of_a_copy_that_ends_in_mid_group(tmp_path):
    """Packets are stored out of order: of a copy that ends between them the index adds up fewer pictures than are shown till its end."""
    numbered_clip(tmp_path / "whole.mp4", 40, options={"bf": "3", "b-adapt": "0"})
    with av.open(str(tmp_path / "whole.mp4")) as whole, av.open(str(tmp_path / "cut.mp4"), "w") as cut:
        stream = cut.add_stream_from_template(whole.streams.video[0])
        left = [packet for packet in whole.demux(video=0) if packet.size][:31]
        for packet in left:
            packet.stream = stream
            cut.mux(packet)
    with Clip.open(tmp_path / "cut.mp4") as clip:
        _, times = clip.sample("all")
        assert clip.duration == pytest.approx(times[-1] + 0.04, abs=0.001) and len(times) < round(25 * clip.duration)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_sound_that_outlasts_the_pictures_does_not_stretch_them(tmp_path, suffix):
    """The wrong way: the container's duration, which puts half of `even:N` on the last frame."""
    path = with_audio(tmp_path / f"long.{suffix}", 2.0, 5.0)
    with Clip.open(path) as clip:
        assert (
            clip.duration == pytest.approx(2.0, abs=0.05) and clip.facts.has_audio and clip.facts.audio_codec == "aac"
        )
        assert [number(f) for f in clip.sample("even:5")[0]] == [5, 15, 25, 35, 45]


def test_sound_without_pictures_says_so(tmp_path):
    path = tmp_path / "sound.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        audio = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    with pytest.raises(MediaError, match=r"no video stream \(it has audio\)"):
        Clip.open(path)


def test_fragmented_mp4_is_exact(tmp_path):
    path = tmp_path / "frag.mp4"
    with av.open(str(path), "w", options={"movflags": "frag_keyframe+empty_moov"}) as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "20"})
        stream.width, stream.height, stream.pix_fmt = 192, 96, "yuv420p"
        for i in range(90):
            frame = av.VideoFrame.from_ndarray(numbered(i), format="rgb24")
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with Clip.open(path) as clip:
        assert clip.duration == pytest.approx(3.6, abs=0.05)
        assert [number(f) for f in clip.sample("even:6")[0]] == [7, 22, 37, 52, 67, 82]
        assert number(clip.sample("at:3.4")[0][0]) == 85


@pytest.mark.parametrize("woven", [False, True])
def test_pictures_marked_as_interlaced_are_known(tmp_path, woven):
    path = encode(
        tmp_path / "a.mpg",
        map(numbered, range(12)),
        codec="mpeg2video",
        options={"flags": "+ilme+ildct"} if woven else {},
    )
    with Clip.open(path) as clip:
        assert clip.facts.interlaced is woven


def test_facts_are_plain_json(tmp_path):
    import json

    with Clip.open(numbered_clip(tmp_path / "a.mp4", 10)) as clip:
        plain = json.loads(json.dumps(documents.plain(clip.facts)))
        assert len(clip.sha256) == 64
    assert plain["fps"] == "25" and plain["codec"] == "h264" and plain["frame_count"] == 10 and not plain["still"]


def test_one_frame_is_held_at_a_time(tmp_path):
    picture = np.zeros((400, 600, 3), np.uint8)
    path = encode(tmp_path / "a.mp4", [picture] * 80, options={"preset": "ultrafast"})
    with Clip.open(path) as clip:
        seen = 0
        for _, frame in clip.frames():
            seen += 1
            del frame
        gc.collect()
        alive = sum(o.nbytes for o in gc.get_objects() if isinstance(o, np.ndarray) and o.shape == picture.shape)
        assert seen == 80 and alive <= 3 * picture.nbytes


def test_an_array_that_would_not_fit_is_refused_before_decoding(tmp_path):
    path = numbered_clip(tmp_path / "a.mp4", 50)
    with Clip.open(path, limits=Limits(array_bytes=20 * 192 * 96 * 3)) as clip:
        with pytest.raises(UsageError, match="50 frames of 192x96"):
            clip.sample("all")
        assert len(clip.sample("even:20")[0]) == 20


def test_frame_limit(tmp_path):
    path = numbered_clip(tmp_path / "a.mp4", 30)
    with Clip.open(path, limits=Limits(frames=10)) as clip, pytest.raises(MediaError, match="more than 10 frames"):
        clip.sample("all")


@pytest.mark.parametrize(
    "bad",
    ["", "even", "even:0", "even:x", "every:0", "every:-1", "every:nan", "at:", "at:-1", "at:1,b", "all:3", "first:8"],
)
def test_a_sampling_that_means_nothing_is_a_usage_error(bad):
    with pytest.raises(UsageError, match="sampling"):
        Sampling.parse(bad)


def test_protocol_names():
    names = {s: Sampling.parse(s).protocol for s in ("all", "even:32", "every:1s", "every:0.5", "keyframes", "at:1,2")}
    assert list(names.values()) == ["all", "32f-even", "every-1s", "every-0.5s", "keyframes", "2f-at"]
