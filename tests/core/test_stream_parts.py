"""Parts of a stream that is kept in pieces: each is named, and said to be joined; what was joined is read."""

import av
import numpy as np
import pytest

from gioconda_core.errors import MediaError
from gioconda_core.media.clip import Clip
from gioconda_core.reasons import UnreadReason


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    """A fragmented MP4 of twenty pictures."""
    path = tmp_path_factory.mktemp("stream") / "whole.mp4"
    with av.open(str(path), "w", options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}) as file:
        video = file.add_stream("libx264", rate=25, options={"g": "5"})
        video.width = video.height = 64
        for k in range(20):
            file.mux(video.encode(av.VideoFrame.from_ndarray(np.full((64, 64, 3), 9 * k, np.uint8), "rgb24")))
        file.mux(video.encode())
    return path


@pytest.mark.parametrize("sandbox", [False, True])
def test_a_part_of_a_stream_is_named_and_the_joined_stream_is_read(stream, tmp_path, sandbox):
    data = stream.read_bytes()
    first, second = data.index(b"moof") - 4, data.index(b"moof", data.index(b"moof") + 4) - 4
    parts = {
        "init.mp4": (data[:first], "is the beginning of a stream in pieces"),
        "1.m4s": (data[first:second], "is a piece of a stream"),
        "2.m4s": (b"\0\0\0\x10styp" + b"msdh" * 2 + data[second:], "is a piece of a stream"),
        "list.m3u8": (b"#EXTM3U\n#EXT-X-VERSION:7\n", "is the list of the pieces of a stream"),
        "list.mpd": (
            b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"/>',
            "is the list of the pieces of a stream",
        ),
    }
    for name, (body, said) in parts.items():
        (tmp_path / name).write_bytes(body)
        with pytest.raises(MediaError, match=said) as refused:
            Clip.open(tmp_path / name, sandbox=sandbox)
        assert refused.value.unread == UnreadReason.STREAM_PART and "join the beginning" in refused.value.hint
    (tmp_path / "whole.mp4").write_bytes(parts["init.mp4"][0] + parts["1.m4s"][0] + data[second:])
    with Clip.open(tmp_path / "whole.mp4", sandbox=sandbox) as clip:
        assert len(list(clip.frames())) == 20
    (tmp_path / "begun.mp4").write_bytes(parts["init.mp4"][0] + parts["1.m4s"][0])
    with Clip.open(tmp_path / "begun.mp4", sandbox=sandbox) as clip:
        assert len(list(clip.frames())) == 5
