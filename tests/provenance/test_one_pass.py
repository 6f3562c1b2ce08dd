"""Signing an MP4, a WAV or an AVI while it is copied: the same statement, the same media, and the SDK's own call wherever the layout is not plain."""

import itertools
import struct
from fractions import Fraction

import numpy as np
import pytest
from provenance_kit import authority, both, created, leaf, picture, signer_of, trust_in, write_mp4, write_wav
from provenance_tsa import Authority

from gioconda_core.errors import CredentialError
from gioconda_core.types import Ingredient
from gioconda_core.types import ProvenanceState as State
from provenance.keys import certificates
from provenance.reading import open as store
from provenance.reading.read import read
from provenance.sdk import one_pass
from provenance.signing import claims, sign, signers

TRUST = trust_in(authority())


@pytest.fixture
def signer(tmp_path):
    return signer_of(leaf(), tmp_path)


def clip(path, *, faststart=False, sound=True, options=None):
    """A clip with sound, its index before or after the media."""
    import av

    flags = {"movflags": "+faststart"} if faststart else dict(options or {})
    with av.open(str(path), "w", options=flags) as file:
        video = file.add_stream("h264", rate=Fraction(25))
        video.width = video.height = 48
        video.pix_fmt = "yuv420p"
        audio = file.add_stream("aac", rate=16000) if sound else None
        for number in range(12):
            for packet in video.encode(av.VideoFrame.from_ndarray(picture(48, number), format="rgb24")):
                file.mux(packet)
        if audio:
            tone = (np.sin(np.arange(8192) / 9)[None] * 9000).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
            frame.sample_rate = 16000
            for packet in [*audio.encode(frame), *audio.encode(None)]:
                file.mux(packet)
        for packet in video.encode(None):
            file.mux(packet)
    return path


def packets(path):
    import av

    with av.open(str(path)) as file:
        return [(p.stream_index, p.pts, bytes(p)) for p in file.demux() if p.size]


def planned(path):
    with open(path, "rb", buffering=0) as file:
        return one_pass.plan(file)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v"])
@pytest.mark.parametrize("faststart", [False, True])
def test_the_media_are_found_where_they_moved_to(tmp_path, signer, suffix, faststart):
    plain = clip(tmp_path / f"plain{suffix}", faststart=faststart)
    assert planned(plain) is not None
    signed = sign.sign_file(plain, tmp_path / f"signed{suffix}", created(), signer=signer)
    assert read(signed, trust=TRUST).state == State.TRUSTED
    assert len(packets(plain)) > 12 and packets(signed) == packets(plain)


def test_sizes_and_offsets_of_64_bits_are_moved_too(tmp_path, signer):
    data = clip(tmp_path / "short.mp4", faststart=True, sound=False).read_bytes()
    at = data.rindex(b"mdat") - 4
    (size,) = struct.unpack_from(">I", data, at)
    wide = data[:at] + struct.pack(">I4sQ", 1, b"mdat", size + 8) + data[at + 8 :]
    # The one table of offsets becomes one of 64 bits, and the boxes around it grow by as much.
    moov = bytearray(wide[wide.index(b"moov") - 4 : at])
    table = moov.index(b"stco")
    (count,) = struct.unpack_from(">I", moov, table + 8)
    offsets = struct.unpack_from(f">{count}I", moov, table + 12)
    more = 4 * count
    made = struct.pack(f">I4sII{count}Q", 16 + 8 * count, b"co64", 0, count, *(o + 8 + more for o in offsets))
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        where = moov.index(name) - 4
        struct.pack_into(">I", moov, where, struct.unpack_from(">I", moov, where)[0] + more)
    moov[table - 4 : table + 12 + 4 * count] = made
    plain = tmp_path / "plain.mp4"
    begin = wide.index(b"moov") - 4
    end = begin + struct.unpack_from(">I", wide, begin)[0]
    plain.write_bytes(wide[:begin] + moov[: end - begin + more] + wide[end:])
    layout = planned(plain)
    assert layout.tables[0][0] == ">u8" and layout.boxes[-1].header == 16
    signed = sign.sign_file(plain, tmp_path / "signed.mp4", created(), signer=signer)
    assert read(signed, trust=TRUST).state == State.TRUSTED
    assert packets(signed) == packets(plain) == packets(tmp_path / "short.mp4")


def test_it_says_what_the_sdks_own_call_says(tmp_path, signer, monkeypatch):
    plain = clip(tmp_path / "plain.mp4")
    made = []
    for number, able in enumerate((True, False)):
        with monkeypatch.context() as patch:
            patch.setattr(sign.descriptors, "possible", lambda able=able: able)
            path = sign.sign_file(plain, tmp_path / f"{number}.mp4", created("same", label={"a": "b"}), signer=signer)
        with store.opened(path, TRUST.anchors) as found:
            active = dict(found.active)
            codes = sorted(item["code"] for item in found.document["validation_results"]["activeManifest"]["success"])
        for own in ("instance_id", "label", "signature_info"):
            active.pop(own)
        # How the bytes are bound differs: leaves here, one hash there.
        active["assertions"] = [item for item in active["assertions"] if item["label"] != "c2pa.hash.bmff.v3"]
        made.append((active, codes))
    assert made[0] == made[1]


def many(path, count):
    data = clip(path, faststart=True).read_bytes()
    path.write_bytes(data + b"".join(struct.pack(">I4s", 1008, b"mdat") + bytes(1000) for _ in range(count)))
    return path


def test_what_is_not_plain_is_left_to_the_sdk_and_signed_all_the_same(tmp_path, signer):
    once = sign.sign_file(clip(tmp_path / "plain.mp4"), tmp_path / "once.mp4", created(), signer=signer)
    fragmented = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    odd = [once, many(tmp_path / "many.mp4", 2), clip(tmp_path / "fragments.mp4", options=fragmented)]
    for path in odd:
        assert planned(path) is None
        signed = sign.sign_file(path, tmp_path / "signed.mp4", created(), signer=signer, force=True)
        assert read(signed, trust=TRUST).state == State.TRUSTED
        assert packets(signed) == packets(path)


def test_boxes_that_do_not_fit_are_nobodys_plan(tmp_path):
    data = clip(tmp_path / "plain.mp4").read_bytes()
    table = data.index(b"stco")
    broken = {
        "short": data[:-1],
        "empty": b"",
        "head": data[:6],
        "table": data[: table + 8] + b"\xff\xff\xff\xff" + data[table + 12 :],
        "far": data[: table + 12] + b"\xff\xff\xff\xf0" + data[table + 16 :],
        "size": data[: data.index(b"trak") - 4] + b"\0\0\0\1" + data[data.index(b"trak") :],
    }
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
        assert planned(tmp_path / name) is None, name


def cartoon(path):
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("mjpeg", rate=Fraction(25))
        stream.width = stream.height = 48
        stream.pix_fmt = "yuvj420p"
        for part in [*(av.VideoFrame.from_ndarray(picture(48, i), format="rgb24") for i in range(4)), None]:
            for packet in stream.encode(part):
                file.mux(packet)
    return path


RIFFS = {".wav": write_wav, ".avi": cartoon}


@pytest.mark.parametrize("suffix", RIFFS)
def test_a_riff_gains_one_chunk_and_nothing_else(tmp_path, signer, suffix):
    plain = RIFFS[suffix](tmp_path / f"plain{suffix}")
    assert isinstance(planned(plain), one_pass.Chunks)
    signed = sign.sign_file(plain, tmp_path / f"signed{suffix}", created(), signer=signer)
    assert read(signed, trust=TRUST).state == State.TRUSTED
    before, after = plain.read_bytes(), signed.read_bytes()
    assert after[8 : len(before)] == before[8:] and after[len(before) :][:4] == b"C2PA"
    assert struct.unpack_from("<I", after, 4)[0] == len(after) - 8
    assert packets(signed) == packets(plain)


@pytest.mark.parametrize("suffix", RIFFS)
def test_every_byte_of_a_riff_is_covered(tmp_path, signer, suffix):
    plain = RIFFS[suffix](tmp_path / f"plain{suffix}")
    data = sign.sign_file(plain, tmp_path / f"signed{suffix}", created(), signer=signer).read_bytes()
    size = plain.stat().st_size
    for where in (*range(16), *range(16, size, size // 24), size - 1):
        changed = bytearray(data)
        changed[where] ^= 1
        (tmp_path / f"changed{suffix}").write_bytes(changed)
        found = read(tmp_path / f"changed{suffix}", trust=TRUST)  # a changed length can hide the credential
        assert found.state in (State.INVALID, State.UNREADABLE, State.ABSENT), where


def test_a_riff_that_is_not_plain_is_left_to_the_sdk(tmp_path, signer):
    plain = write_wav(tmp_path / "plain.wav")
    data = plain.read_bytes()
    assert planned(sign.sign_file(plain, tmp_path / "signed.wav", created(), signer=signer)) is None
    broken = {
        "more": data + b"RIFF",  # another RIFF after the first, as a long AVI has
        "short": data[:-2],
        "long": b"RF64" + data[4:],
        "picture": data[:8] + b"WEBP" + data[12:],
        "chunk": data[:16] + b"\xff\xff\xff\x7f" + data[20:],
    }
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
        assert planned(tmp_path / name) is None, name


def test_parents_clocks_and_identities_go_into_a_riff(tmp_path):
    parent = write_wav(tmp_path / "parent.wav")
    edit = claims.Credential("an edit", intent="edit", actions=(claims.Action("c2pa.edited"),))
    with Authority() as clock:
        claim = signer_of(leaf(), tmp_path, timestamp=clock.url)
        desk = signer_of(leaf("Picture desk"), tmp_path)
        signed = sign.sign_file(
            parent, tmp_path / "signed.wav", edit, signer=signers.IdentitySigner(claim, desk, roles=("cawg.editor",))
        )
    found = read(signed, trust=both(TRUST, trust_in(clock.root, kind="tsa", name="clock")))
    assert found.state == State.TRUSTED and found.timestamped, [code.code for code in found.codes]
    assert [node.title for node in found.ingredients] == ["parent.wav"] and len(found.identities) == 1


def test_parents_pictures_clocks_and_identities_go_in(tmp_path):
    desk_root = certificates.make_authority("Desk root", "The Daily Example")
    desk = certificates.make_leaf(desk_root, "Picture desk", "The Daily Example")
    parent = clip(tmp_path / "parent.mp4")
    edit = claims.Credential(
        "an edit",
        intent="edit",
        ingredients=(Ingredient("parent", "", "the parent", str(parent)),),
        actions=(claims.Action("c2pa.edited"),),
    )
    with Authority() as clock:
        claim = signer_of(leaf(), tmp_path, timestamp=clock.url)
        both_signers = signers.IdentitySigner(claim, signer_of(desk, tmp_path), roles=("cawg.editor",))
        signed = sign.sign_file(parent, tmp_path / "signed.mp4", edit, signer=both_signers)
    lists = trust_in(authority())
    for more in (trust_in(clock.root, kind="tsa", name="clock"), trust_in(desk_root, kind="cawg", name="desks")):
        lists = both(lists, more)
    found = read(signed, trust=lists)
    assert found.state == State.TRUSTED and found.timestamped, [code.code for code in found.codes]
    assert found.identities[0]["trusted"] and found.ingredients[0].thumbnail.startswith(b"\xff\xd8")
    assert packets(signed) == packets(parent)


def test_what_the_key_service_says_is_passed_on_and_nothing_is_left(tmp_path):
    def closed(data):
        raise RuntimeError("the key service is closed")

    plain = write_mp4(tmp_path / "plain.mp4")
    with pytest.raises(CredentialError, match="the key service is closed"):
        sign.sign_file(
            plain, tmp_path / "out" / "signed.mp4", created(), signer=signers.CallbackSigner(closed, leaf().chain_pem)
        )
    assert list((tmp_path / "out").iterdir()) == []


def test_a_plugins_signer_needs_only_the_protocol(tmp_path, signer):
    class Plain:
        chain, algorithm, timestamp, development = signer.chain, signer.algorithm, None, False
        sign, native = signer.sign, signer.native

    made = sign.sign_file(clip(tmp_path / "plain.mp4"), tmp_path / "signed.mp4", created(), signer=Plain())
    assert read(made, trust=TRUST).state == State.TRUSTED


def test_every_byte_of_the_media_is_covered(tmp_path, signer):
    signed = sign.sign_file(clip(tmp_path / "plain.mp4"), tmp_path / "signed.mp4", created(), signer=signer)
    data = signed.read_bytes()
    at = data.rindex(b"mdat")
    (size,) = struct.unpack_from(">I", data, at - 4)
    moov = data.rindex(b"moov")
    for where in itertools.chain(
        range(at + 4, at - 4 + size, 997), (at - 5 + size, moov + 40, data.rindex(b"stco") + 13)
    ):
        changed = bytearray(data)
        changed[where] ^= 1
        (tmp_path / "changed.mp4").write_bytes(changed)
        assert read(tmp_path / "changed.mp4", trust=TRUST).state in (State.INVALID, State.UNREADABLE), where
