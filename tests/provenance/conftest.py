"""What several tests of credentials stand on."""

import itertools

import pytest
from provenance_kit import created, leaf, signer_of

from provenance.signing import sign


@pytest.fixture(scope="module")
def dash(tmp_path_factory):
    """A DASH presentation: (folder, init segment, media segments), signed by ours."""
    from fractions import Fraction

    import av
    from provenance_forge import fragmented
    from provenance_kit import picture
    from provenance_tsa import Authority

    folder = tmp_path_factory.mktemp("dash")
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    with av.open(str(folder / "whole.mp4"), "w", options=options) as file:
        stream = file.add_stream("h264", rate=Fraction(25))
        stream.width = stream.height = 48
        stream.pix_fmt, stream.codec_context.gop_size = "yuv420p", 4
        for part in [*(av.VideoFrame.from_ndarray(picture(48, i), format="rgb24") for i in range(16)), None]:
            for packet in stream.encode(part):
                file.mux(packet)
    data = (folder / "whole.mp4").read_bytes()
    cuts = [at - 4 for at in range(len(data)) if data[at : at + 4] in (b"moof", b"mfra")]
    (folder / "plain.mp4").write_bytes(data[: cuts[0]])
    with Authority() as clock:  # for the room its timestamp leaves
        signer = signer_of(leaf(), folder, timestamp=clock.url)
        sign.sign_file(folder / "plain.mp4", folder / "signed.mp4", created("stream"), signer=signer)
    pieces = [data[begin:end] for begin, end in itertools.pairwise(cuts)]
    init, segments = fragmented(folder / "signed.mp4", pieces, leaf())
    (folder / "init.mp4").write_bytes(init)
    paths = []
    for number, segment in enumerate(segments):
        paths.append(folder / f"{number}.m4s")
        paths[-1].write_bytes(segment)
    return folder / "init.mp4", paths
