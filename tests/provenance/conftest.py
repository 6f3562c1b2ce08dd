"""What several tests of credentials stand on."""

import itertools
from fractions import Fraction

import pytest
from provenance_kit import created, leaf, picture, signer_of

from provenance.signing import stream


@pytest.fixture(scope="module")
def packaged(tmp_path_factory):
    """A DASH presentation that nobody signed: (init segment, media segments)."""
    import av

    folder = tmp_path_factory.mktemp("packaged")
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    with av.open(str(folder / "whole.mp4"), "w", options=options) as file:
        stream = file.add_stream("h264", rate=Fraction(25))
        stream.width = stream.height = 48
        stream.pix_fmt, stream.codec_context.gop_size = "yuv420p", 4
        for part in [*(av.VideoFrame.from_ndarray(picture(48, i), format="rgb24") for i in range(16)), None]:
            for packet in stream.encode(part):
                file.mux(packet)
    data = (folder / "whole.mp4").read_bytes()
    (folder / "whole.mp4").unlink()
    cuts = [at - 4 for at in range(len(data)) if data[at : at + 4] in (b"moof", b"mfra")]
    (folder / "init.mp4").write_bytes(data[: cuts[0]])
    paths = [folder / f"{number}.m4s" for number in range(len(cuts) - 1)]
    for path, (begin, end) in zip(paths, itertools.pairwise(cuts), strict=True):
        path.write_bytes(data[begin:end])
    return folder / "init.mp4", paths


@pytest.fixture(scope="module")
def dash(packaged, tmp_path_factory):
    """The same, signed: (init segment, media segments)."""
    folder = tmp_path_factory.mktemp("dash")
    init = stream.sign_stream(
        [packaged[0], *packaged[1]], folder, created("stream"), signer=signer_of(leaf(), folder.parent)
    )
    return init, [folder / path.name for path in packaged[1]]
