"""Whatever is given: a clip, or one clear line with what, where and hint; never a traceback, a hang or a leftover."""

import contextlib
import functools
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import psutil
import pytest
from media_material import encode, number, numbered, numbered_clip
from PIL import Image

from gioconda_core.errors import ExitCode, MediaError
from gioconda_core.media.clip import Clip, Limits
from gioconda_core.media.sniff import lost_end, stream_part
from gioconda_core.reasons import WarningReason


def _refused(path, match, **kwargs):
    with pytest.raises(MediaError, match=match) as caught:
        Clip.open(path, **kwargs)
    error = caught.value
    assert error.exit_code == ExitCode.INCOMPLETE and error.what and error.where and error.hint
    assert "\n" not in str(error)
    return error


@pytest.fixture(params=[False, True], ids=["here", "sandbox"])
def sandbox(request):
    return request.param


def test_missing_folder_pipe_and_device(tmp_path, sandbox):
    _refused(tmp_path / "none.mp4", "no such file", sandbox=sandbox)
    _refused(tmp_path, "is a folder", sandbox=sandbox)
    os.mkfifo(tmp_path / "pipe.mp4")
    _refused(tmp_path / "pipe.mp4", "named pipe", sandbox=sandbox)
    _refused("/dev/zero", "is a device, not a clip", sandbox=sandbox)
    _refused("a\0b", "cannot be opened", sandbox=sandbox)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")
def test_a_file_that_may_not_be_read(tmp_path):
    """As another user where the tests run as root, to whom everything is readable."""
    path = numbered_clip(tmp_path / "a.mp4", 3)
    path.chmod(0)
    code = f"""
import os, sys
from gioconda_core.errors import MediaError
from gioconda_core.media.clip import Clip
if os.geteuid() == 0:
    os.setegid(65534); os.seteuid(65534)
try:
    Clip.open({str(path)!r})
except MediaError as error:
    sys.exit(str(error))
"""
    for folder in [tmp_path, *tmp_path.parents]:  # pytest's own folders are private to this user
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(0o755)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 1 and "may not be read" in run.stderr and "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is empty"),
        (b"hello, I am a text\n" * 50, "cannot be opened as video"),
        (b"\0" * 5000, "cannot be opened as video"),
        (b"\xff\xd8\xff", "picture"),
        (b"GIF89a", "picture"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "picture"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "its index is missing"),
        (b"\x1aE\xdf\xa3" + b"\x42" * 400, "it ends too early"),
        (b"RIFF\x10\0\0\0AVI LIST", "cannot be opened|no video stream"),
    ],
)
def test_a_file_that_is_not_what_its_name_says(tmp_path, sandbox, content, match):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    _refused(path, match, sandbox=sandbox)


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{victim}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{victim}'\n",
    ],
)
def test_a_file_may_not_name_other_files_to_read(tmp_path, sandbox, playlist):
    """The wrong way: FFmpeg's defaults, by which a stranger's "video" shows the local file it names."""
    victim = numbered_clip(tmp_path / "private.ts", 10)
    path = tmp_path / "clip.mp4"
    path.write_text(playlist.format(victim=victim))
    said = "is the list of the pieces of a stream" if playlist.startswith("#EXT") else "cannot be opened"
    _refused(path, said, sandbox=sandbox)
    if sandbox:
        return  # what follows is the same
    piped = subprocess.run(
        [sys.executable, "-c", "from gioconda_core.media.clip import Clip; Clip.open('-')"],
        stdin=open(path, "rb"),  # noqa: SIM115 - the child reads it
        capture_output=True,
        text=True,
    )
    assert said in piped.stderr


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """A function that gives the bytes of 100 numbered pictures, in the container of a suffix, made once."""
    folder = tmp_path_factory.mktemp("noisy")

    @functools.cache
    def data(suffix):
        rng = np.random.default_rng(0)
        pictures = [numbered(i) for i in range(100)]
        for picture in pictures:  # noise, so that the frames are spread over the bytes
            picture[30:] = rng.integers(0, 255, picture[30:].shape)
        options = {"g": "12", "crf": "30"}
        codec = "mpeg4" if suffix == "avi" else "libx264"
        whole = encode(folder / f"whole.{suffix}", pictures, codec=codec, options=options)
        if suffix == "mp4":
            _remux(whole, folder / "fast.mp4")
            whole = folder / "fast.mp4"
        return whole.read_bytes()

    return data


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
def test_truncated_at_every_tenth(noisy, tmp_path, sandbox, suffix):
    """The frames it has, right, and a warning that names the time; or one clear error where there is no frame."""
    data = noisy(suffix)
    given = []
    for tenth in range(1, 10):
        path = tmp_path / f"cut{tenth}.{suffix}"
        path.write_bytes(data[: len(data) * tenth // 10])
        try:
            with Clip.open(path, sandbox=sandbox) as clip:
                frames, times = clip.sample("all")
                numbers = [number(f) for f in frames]
                assert numbers[:-1] == list(range(len(numbers) - 1)), (tenth, numbers)
                stopped = [w for w in clip.warnings if w.code in (WarningReason.STOPPED, WarningReason.ENDS_EARLY)]
                # A transport stream or AVI cut in two is a shorter whole one as far as anyone can tell.
                if suffix in ("mp4", "mkv"):
                    assert len(stopped) == 1, (tenth, clip.warnings)
                    named = stopped[0].detail["time"]
                    assert named == pytest.approx(times[-1] + 0.04, abs=0.3), "the time named is where the frames end"
                even = clip.sample("even:4")[0]
                assert len(even) >= 2
                assert all(number(f) in range(len(numbers) + 1) for f in even)
                given.append(len(numbers))
        except MediaError as error:
            assert error.what and error.where and error.hint
            given.append(0)
    assert given == sorted(given) and given[-1] >= 80 and sum(g > 0 for g in given) >= 8


def _remux(source, target):
    import av

    with av.open(str(source)) as a, av.open(str(target), "w", options={"movflags": "+faststart"}) as b:
        stream = b.add_stream_from_template(a.streams.video[0])
        for packet in a.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                b.mux(packet)


def test_damage_in_the_middle_is_passed_over_and_said(tmp_path, sandbox):
    rng = np.random.default_rng(0)
    pictures = [numbered(i) for i in range(100)]
    for picture in pictures:
        picture[30:] = rng.integers(0, 255, picture[30:].shape)
    # One thread: with several, x264 at times makes another file, in which the damage lies elsewhere. Three places: FFmpeg's decoder of
    # several frames at once hands out a frame in some twenty before it knows of the damage in it, and then nothing is said of that one.
    path = encode(tmp_path / "a.mkv", pictures, options={"g": "10", "crf": "30", "threads": "1"})
    data, noise = bytearray(path.read_bytes()), bytes(rng.integers(0, 255, 4000, np.uint8))
    for share in (0.3, 0.5, 0.7):
        at = int(len(data) * share)
        data[at : at + 4000] = noise
    path.write_bytes(data)
    with Clip.open(path, sandbox=sandbox) as clip:
        frames, times = clip.sample("all")
        assert len(frames) >= 80 and times[-1] == pytest.approx(3.96, abs=0.01)
        assert any(w.of_pictures for w in clip.warnings)
        assert [number(f) for f in frames[-20:]] == list(range(80, 100))


def test_names_with_newline_and_emoji(tmp_path, sandbox):
    path = numbered_clip(tmp_path / "plain.mp4", 5).rename(tmp_path / "two\nlines \N{PERFORMING ARTS}.mp4")
    with Clip.open(path, sandbox=sandbox) as clip:
        assert len(clip.sample("all")[0]) == 5
    bad = tmp_path / "bad\n\N{PERFORMING ARTS}\x1b[31m.mp4"
    bad.write_bytes(b"nothing" * 30)
    assert "\x1b" not in str(_refused(bad, "cannot be opened", sandbox=sandbox))
    raw = os.fsencode(tmp_path) + b"/\xff\xfe.mp4"  # not UTF-8
    os.rename(path, raw)
    with Clip.open(os.fsdecode(raw), sandbox=sandbox) as clip:
        assert len(clip.sample("all")[0]) == 5


def test_zero_duration(tmp_path, sandbox):
    """One frame and no time: still a clip."""
    path = numbered_clip(tmp_path / "one.mp4", 1)
    with Clip.open(path, sandbox=sandbox) as clip:
        for sampling in ("all", "even:8", "every:1", "keyframes", "at:0"):
            assert [number(f) for f in clip.sample(sampling)[0]] == [0]


def test_video_over_the_pixel_limit(tmp_path, sandbox):
    path = encode(tmp_path / "wide.mp4", [np.zeros((64, 4096, 3), np.uint8)])
    _refused(path, r"4096x64 is more than 0\.2 megapixels", sandbox=sandbox, limits=Limits(pixels=200_000))


def test_stdin(tmp_path, sandbox):
    path = numbered_clip(tmp_path / "a.mp4", 40)  # its index is at the end: cannot be read in one go
    code = f"""
import os, subprocess, sys; sys.path.insert(0, {str(Path(__file__).parents[1] / "kits")!r})
from media_material import number
from gioconda_core.media.clip import Clip
cat = subprocess.Popen(["cat", {str(path)!r}], stdout=subprocess.PIPE)
for given in (open({str(path)!r}, "rb"), cat.stdout, open(os.devnull, "rb")):
    os.dup2(given.fileno(), 0)
    with Clip.open("-", sandbox={sandbox}) as clip:
        print([number(f) for f in clip.sample("even:4")[0]], clip.where, len(clip.sha256), clip.facts.codec)
"""
    run = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert run.stdout.splitlines() == ["[5, 15, 25, 35] stdin 64 h264"] * 2, run.stderr
    assert "the file is empty" in run.stderr


# --------------------------------------------------------------------------- the worker process


def _children():
    return {p for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE}


def _worker_of(clip):
    return psutil.Process(clip._source._worker.process.pid)


def test_the_sandbox_gives_the_same_frames(tmp_path):
    path = numbered_clip(tmp_path / "a.mp4", 60)
    with Clip.open(path) as plain, Clip.open(path, sandbox=True) as boxed:
        assert plain.facts == boxed.facts and plain.sha256 == boxed.sha256
        for sampling in ("all", "even:7", "keyframes", "at:1,1,2"):
            for a, b in zip(plain.sample(sampling), boxed.sample(sampling), strict=True):
                assert np.array_equal(a, b)
        assert b.flags.writeable
        first, second = boxed.frames("all"), boxed.frames("even:3")
        assert number(next(first)[1]) == 0 and number(next(second)[1]) == 10 and number(next(first)[1]) == 1
        first.close()
        assert len(boxed.sample("even:5")[0]) == 5, "a pass given up does not spoil the next"


def test_a_crash_in_the_decoder_is_one_error_and_leaves_no_process(tmp_path):
    path = numbered_clip(tmp_path / "a.mp4", 150)  # more than a pipe holds
    with Clip.open(path, sandbox=True) as clip:
        worker = _worker_of(clip)
        frames = clip.frames("all")
        next(frames)
        worker.send_signal(11)
        with pytest.raises(MediaError, match=r"signal 11 \(SIGSEGV\)"):
            list(frames)
        assert not worker.is_running()
        assert len(clip.sample("even:3")[0]) == 3, "the next pass has a new worker"


def test_a_hang_is_one_error_and_leaves_no_process(tmp_path):
    path = numbered_clip(tmp_path / "a.mp4", 150)  # more than a pipe holds
    with Clip.open(path, sandbox=True, limits=Limits(stall_seconds=0.5)) as clip:
        worker = _worker_of(clip)
        frames = clip.frames("all")
        next(frames)
        worker.suspend()
        with pytest.raises(MediaError, match="longer than allowed"):
            list(frames)
        assert not worker.is_running()


def test_too_much_time_altogether(tmp_path):
    path = numbered_clip(tmp_path / "a.mp4", 150)
    with (
        Clip.open(path, sandbox=True, limits=Limits(seconds=0.0005)) as clip,
        pytest.raises(MediaError, match="stopped"),
    ):
        clip.sample("all")


def test_too_much_memory(tmp_path):
    path = encode(tmp_path / "big.mp4", [np.zeros((4000, 4000, 3), np.uint8)] * 4, options={"preset": "ultrafast"})
    with pytest.raises(MediaError), Clip.open(path, sandbox=True, limits=Limits(memory_bytes=300 << 20)) as clip:
        clip.sample("all")
    with Clip.open(path, sandbox=True) as clip:
        assert len(clip.sample("all")[0]) == 4, "the limit of one file is not that of the next"


def test_the_worker_may_not_write_files():
    code = """
import resource
from gioconda_core.media.facts import Limits
from gioconda_core.workers.child import confine
import signal, tempfile
confine(Limits().memory_bytes)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * 10); file.flush()
except OSError:
    print("refused")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "refused", run.stderr


def test_workers_are_reused_and_end_with_their_process(tmp_path):
    path = numbered_clip(tmp_path / "a.mp4", 5)
    code = f"""
import sys, psutil
from gioconda_core.media.clip import Clip
pids = set()
for _ in range(5):
    with Clip.open({str(path)!r}, sandbox=True) as clip:
        pids.add(clip._source._worker.process.pid)
        clip.sample()
print(*pids)
if len(sys.argv) > 1:
    import os, signal
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    for how in ([], ["killed"]):
        run = subprocess.run([sys.executable, "-c", code, *how], capture_output=True, text=True)
        (pid,) = run.stdout.split()
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(int(pid)).wait(timeout=5)


def test_a_bad_file_does_not_cost_the_worker(tmp_path):
    others = _children()
    good = numbered_clip(tmp_path / "a.mp4", 5)
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"text" * 100)
    with Clip.open(good, sandbox=True) as clip:
        before = _worker_of(clip).pid
    _refused(bad, "cannot be opened", sandbox=True)
    with Clip.open(good, sandbox=True) as clip:
        assert _worker_of(clip).pid == before
    assert len(_children() - others) <= 2


def test_a_recording_that_was_broken_off_is_said_so_in_words_of_ours(tmp_path):
    numbered_clip(tmp_path / "whole.mp4", 20)
    data = (tmp_path / "whole.mp4").read_bytes()
    index = data.index(b"moov") - 4
    for name, piece, what in (
        ("none.mp4", data[:index], "its index is missing"),
        ("begun.mp4", data[: index + 9], "its index is cut off"),
        ("half.mp4", data[: index + 200], "its index is cut off"),
    ):
        (tmp_path / name).write_bytes(piece)
        _refused(tmp_path / name, what)


# As far as the length of the whole file in its properties.
_PACK = b"\0\0\1\xba\x44" + bytes(8) + b"\xf8" + b"\0\0\1\xe0\0\x04data"
_MXF = bytes.fromhex("060e2b34020501010d01020101020400")
_ASF = bytes.fromhex("3026b2758e66cf11") + bytes(22) + bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365") + bytes(24)


@pytest.mark.parametrize(
    ("content", "lost"),
    [
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  \0\0\0\x10mdat" + bytes(8) + b"\0\0\0\x08moov", ""),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  \0\0\0\x10mdat" + bytes(8), "its index is missing"),
        (b"\0\0\0\x08wide\0\0\0\x30mdat" + bytes(8), "its index is missing"),
        (b"\0\0\0\x08moov\0\0\0\x30mdat" + bytes(8), "it ends too early"),
        (b"\0\0\0\x0cpnot" + bytes(4) + b"\0\0\0\x0cPICT" + bytes(4), ""),  # a preview first, which is not looked into
        (b"\0\0\0\x08moov\0\0\0\x08mdatSEFT junk that a telephone appends", ""),
        (b"\0\0\0\x14ftypheic\0\0\0\0heic\0\0\0\x10meta" + bytes(8), ""),
        (b"\0\0\0\x14ftypavif\0\0\0\0avif\0\0\0\x30meta" + bytes(8), "its index is missing"),
        (b"RIFF\xff\xff\xff\xffAVI LIST" + bytes(50), ""),  # written to a pipe
        (b"RIFF\x42\0\0\0AVI LIST" + bytes(50), ""),  # the header counted in, as some programs do
        (b"RIFF\x80\0\0\0WEBPVP8 " + bytes(50), "it ends too early"),
        (b"RIFF\x0c\0\0\0AVI LIST" + bytes(4) + b"RIFF\x0e\0\0\0AVIXLIST" + bytes(4), ""),
        (b"RIFF\x0c\0\0\0AVI LIST" + bytes(4) + b"RIFF\x20\0\0\0AVIXLIST" + bytes(4), "it ends too early"),
        (b"RIFF\x04\0\0\0AVI " + b"RIFF\0\0\0\0" * 100_001, ""),  # of so many pieces it is not judged
        (b"\x1aE\xdf\xa3\x80\x18S\x80g\x01\xff\xff\xff\xff\xff\xff\xff" + bytes(9), ""),  # a live stream
        (b"\x1aE\xdf\xa3\x80\x18S\x80g\x89" + bytes(9), ""),
        (b"\x1aE\xdf\xa3\x80\x18S\x80g\x8a" + bytes(9), "it ends too early"),
        (b"\x1aE\xdf\xa3\x80\x18S\x80g\xff\x1fC\xb6u\xff\xa3\x84data" * 2, ""),  # a live stream's blocks
        (b"\x1aE\xdf\xa3\x80\x18S\x80g\xff\x1fC\xb6u\xff\xa3\x84data\xa3\x84dat", "it ends too early"),
        (b"\x1aE\xdf\xa3\x80\x18S\x80g\x81aTAG and what else a program appends", ""),
        (b"\xff\xd8\xff\xe1\0\x06\xff\xd9ab\xff\xda\0\x02scan\xff\xd9\0\0", ""),
        # Its thumbnail's end is not its own.
        (b"\xff\xd8\xff\xe1\0\x06\xff\xd9ab\xff\xda\0\x02scan", "it ends too early"),
        (_ASF + b"\0\0" + bytes(46) + b"\x02", ""),
        (_ASF + b"\0\x01" + bytes(46) + b"\x03", ""),  # written to a stream
        (_ASF + b"\0\x01" + bytes(46) + b"\x02", "it ends too early"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\0IENDcrc!junk", ""),
        (b"\x89PNG\r\n\x1a\n\0\0\0\0tEXtcrc!", "it ends too early"),
        (b"FLV\x01\x05\0\0\0\x09\0\0\0\0\x09\0\0\x04" + bytes(7) + b"data\0\0\0\x0f", ""),
        (b"FLV\x01\x05\0\0\0\x09\0\0\0\0\x09\0\0\x04" + bytes(7) + b"data", ""),  # without the last tag's length
        (b"FLV\x01\x05\0\0\0\x09\0\0\0\0\x09\0\0\x04" + bytes(7) + b"dat", "it ends too early"),
        (b"GIF89a\x01\0\x01\0\x80\0\0" + bytes(6) + b"!\xf9\x04\0\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;", ""),
        (b"GIF89a\x01\0\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0", ""),  # without the mark that ends it
        (b"GIF89a\x01\0\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01", "it ends too early"),
        (b"GIF89a\x01\0\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02" + b"\x01a" * (1 << 21), ""),
        ((b"G" + bytes(187)) * 4, ""),
        ((b"G" + bytes(187)) * 4 + b"junk", ""),
        ((b"G" + bytes(187)) * 4 + b"G" + bytes(9), "it ends too early"),
        ((bytes(4) + b"G" + bytes(187)) * 4 + bytes(4) + b"G", "it ends too early"),
        (_PACK + b"\0\0\1\xb9", ""),
        (_PACK + _PACK, ""),
        (_PACK + _PACK[:-1], "it ends too early"),
        (b"\0\0\1\xba\x21" + bytes(7) + b"\0\0\1\xc0\0\x04dat", "it ends too early"),  # MPEG-1
        (b"\0\0\1\xb3" + bytes(50), ""),  # bare video
        (_PACK * 60_000 + b"\0\0\1\xba", "it ends too early"),
        (_MXF + b"\x48" + bytes(71), ""),  # not closed
        (_MXF + b"\x83\0\0\x48" + bytes(24) + b"\0\0\0\0\0\0\1\0" + bytes(300), ""),
        (_MXF + b"\x83\0\0\x48" + bytes(24) + b"\0\0\0\0\0\0\1\0" + bytes(200), "it ends too early"),
        (_MXF, ""),
        ((b"OggS" + bytes(22) + b"\x01\x04data") * 2, ""),
        ((b"OggS" + bytes(22) + b"\x01\x04data") * 2 + b"OggS", "it ends too early"),
        (b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0tEXtcrc!" * 100_001, ""),  # of so many pieces a file is not judged
        (b"a text", ""),
    ],
)
def test_a_lost_end_is_seen_by_the_structure_alone(content, lost):
    assert lost_end(io.BytesIO(content)) == lost


def test_a_box_longer_than_any_file_and_boxes_without_end_are_no_piece_of_a_stream():
    assert stream_part(io.BytesIO(b"\0\0\0\x01ftyp" + b"\xff" * 8 + bytes(40))) == ""
    assert stream_part(io.BytesIO(b"\0\0\0\x08ftyp" + b"\0\0\0\x08free" * 200_000 + b"\0\0\0\x08moof")) == ""


def test_no_decoder_s_words_are_shown(tmp_path):
    """Of many damaged files, no message repeats what FFmpeg, Pillow or Python says."""
    import random

    numbered_clip(tmp_path / "whole.mp4", 20)
    numbered_clip(tmp_path / "whole.mkv", 20)
    Image.new("RGB", (32, 32)).save(tmp_path / "whole.png")
    theirs = re.compile(
        r"Error|Invalid|invalid data|0x|Errno|\bat address|not implemented|moov|EBML|truncated header", re.IGNORECASE
    )
    draw = random.Random(1)
    said = set()
    for name in ("whole.mp4", "whole.mkv", "whole.png"):
        data = (tmp_path / name).read_bytes()
        for i in range(60):
            bad = bytearray(data)
            for _ in range(draw.choice((1, 8, 60))):
                bad[draw.randrange(len(bad) if i % 2 else min(400, len(bad)))] = draw.randrange(256)
            path = tmp_path / f"bad.{name[6:]}"
            path.write_bytes(bad[: draw.randrange(20, len(bad)) if i % 5 == 0 else None])
            try:
                with Clip.open(path) as clip:
                    list(clip.frames("even:4"))
                    said.update(w.text for w in clip.warnings)
            except MediaError as error:
                said |= {error.what, error.hint}
    assert len(said) > 5 and not [text for text in said if theirs.search(text)]
