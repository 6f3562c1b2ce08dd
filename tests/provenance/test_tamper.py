"""The tamper matrix: what is done to a signed file, and the state and codes that must follow, in four containers."""

import io
import struct
import zlib

import pytest
from provenance_kit import AI, authority, created, flip, leaf, signer_of, trust_in, write_any, write_mp4, write_picture

from gioconda_core.types import Ingredient
from gioconda_core.types import ProvenanceState as State
from provenance import vocabulary
from provenance.codes import sentences
from provenance.keys import certificates
from provenance.reading import cose
from provenance.reading import open as store
from provenance.reading.read import read
from provenance.sdk import engine
from provenance.signing import claims, sign
from provenance.tools import batch

KINDS = ("jpg", "png", "mp4", "wav")
MISMATCH = {
    "jpg": "assertion.dataHash.mismatch",
    "png": "assertion.dataHash.mismatch",
    "mp4": "assertion.bmffHash.mismatch",
    "wav": "assertion.dataHash.mismatch",
}
TRUST = trust_in(authority())


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Per kind: (unsigned, signed, signed by a stranger)."""
    folder = tmp_path_factory.mktemp("tamper")
    mine, other = signer_of(leaf(), folder), signer_of(leaf("Stranger", root=authority("Strange root")), folder)
    made = {}
    for kind in KINDS:
        plain = write_any(folder / f"plain.{kind}")
        signed = sign.sign_file(plain, folder / f"signed.{kind}", created("mine", label={"a": "mine"}), signer=mine)
        strange = sign.sign_file(plain, folder / f"strange.{kind}", created("theirs"), signer=other)
        made[kind] = (plain, signed, strange)
    return made


@pytest.fixture
def copy(shelf, tmp_path):
    def make(kind, which=1):
        path = tmp_path / f"copy.{kind}"
        path.write_bytes(shelf[kind][which].read_bytes())
        return path

    return make


def failures(found):
    # Everything met here has its sentence.
    assert all(sentences().get(code.code) == code.sentence for code in found.codes)
    return [code.code for code in found.codes if code.kind == "failure"]


def media_offset(path):
    """A byte of the media itself, away from headers and from the manifest."""
    data = path.read_bytes()
    if path.suffix == ".mp4":
        return data.rindex(b"mdat") + 40  # the credential names the box too
    if path.suffix == ".wav":
        return data.index(b"data") + 50
    if path.suffix == ".png":
        return data.index(b"IDAT") + 20
    return len(data) - 40


@pytest.mark.parametrize("kind", KINDS)
def test_untouched_is_trusted(copy, kind):
    assert read(copy(kind), trust=TRUST).state == State.TRUSTED


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_of_the_media(copy, kind):
    path = copy(kind)
    flip(path, media_offset(path))
    found = read(path, trust=TRUST)
    assert found.state == State.INVALID and failures(found)[0] == MISMATCH[kind]


def changed(what, data, path):
    """The signed file's bytes after one kind of tampering."""
    data = bytearray(data)
    if what == "statement":
        data[data.index(b"trainedAlgorithmicMedia")] ^= 1
    elif what == "claim":
        data[data.index(b"created_assertions") + 40] ^= 1
    elif what == "signature":
        with store.opened(path) as found:
            sign1 = cose._signature(found.store, found.document["active_manifest"])
        data[data.index(sign1) + len(sign1) - 1] ^= 1  # its last bytes are the signature itself
    elif what == "cut to a third":
        del data[len(data) * 3 // 10 :]
    elif what == "cut by a tenth":
        del data[len(data) * 9 // 10 :]
    elif what == "a byte more":
        data += b"\0"
    elif what == "a text more":
        data += b"and one more thing" * 20
    return bytes(data)


UNREADABLE = (State.UNREADABLE, None)
EXPECTED = {
    **{("statement", kind): (State.INVALID, "assertion.hashedURI.mismatch") for kind in KINDS},
    **{("claim", kind): (State.INVALID, "claimSignature.mismatch") for kind in KINDS},
    **{("signature", kind): (State.INVALID, "claimSignature.mismatch") for kind in KINDS},
    **{("cut to a third", kind): UNREADABLE for kind in KINDS},
    **{("cut by a tenth", kind): UNREADABLE for kind in ("jpg", "png", "wav")},
    **{(f"a {what} more", kind): (State.INVALID, MISMATCH[kind]) for what in ("byte", "text") for kind in KINDS},
    ("cut by a tenth", "mp4"): (State.INVALID, MISMATCH["mp4"]),
    ("a text more", "mp4"): UNREADABLE,  # no box at all
}


@pytest.mark.parametrize(("what", "kind"), EXPECTED)
def test_what_is_changed_is_seen_with_its_code(copy, what, kind):
    path = copy(kind)
    path.write_bytes(changed(what, path.read_bytes(), path))
    found = read(path, trust=TRUST)
    state, code = EXPECTED[what, kind]
    assert found.state == state and failures(found) == ([code] if code else []), (found.state, failures(found))
    if state == State.UNREADABLE:
        assert found.reason in ("damaged", "malformed")


def test_a_free_box_at_the_end_of_an_mp4_is_known_not_to_be_covered(copy):
    # Written down as a fact of the format: nobody's hashes cover free boxes; media samples are covered.
    path = copy("mp4")
    with open(path, "ab") as file:
        file.write(struct.pack(">I4s", 1 << 20, b"free") + bytes((1 << 20) - 8))
    assert read(path, trust=TRUST).state == State.TRUSTED


@pytest.mark.parametrize("kind", KINDS)
def test_another_files_manifest(shelf, tmp_path, kind):
    """Swap: a good credential beside media that it was not made for."""
    with store.opened(shelf[kind][1]) as found:
        manifest = found.store
    other = tmp_path / f"other.{kind}"
    if kind == "mp4":
        write_mp4(other, frames=5)
    elif kind == "wav":
        other.write_bytes(write_any(other).read_bytes()[:-2] + b"\1\1")
    else:
        write_picture(other, seed=7)
    found = read(other, trust=TRUST, manifest=manifest)
    assert found.state == State.INVALID and MISMATCH[kind] in failures(found)


@pytest.mark.parametrize("kind", KINDS)
def test_signed_over_by_a_stranger_is_the_strangers(copy, kind):
    found = read(copy(kind, 2), trust=TRUST)
    assert found.state == State.VALID and found.signer == "Stranger, Test house"


def test_stripped_pictures_are_absent(copy, tmp_path):
    from PIL import Image

    for kind in ("jpg", "png"):
        Image.open(copy(kind)).save(tmp_path / f"stripped.{kind}")
        assert read(tmp_path / f"stripped.{kind}", trust=TRUST).state == State.ABSENT


def test_a_remuxed_video_is_absent(copy, tmp_path):
    import av

    with av.open(str(copy("mp4"))) as source, av.open(str(tmp_path / "remuxed.mp4"), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                sink.mux(packet)
    assert read(tmp_path / "remuxed.mp4", trust=TRUST).state == State.ABSENT


@pytest.mark.parametrize("kind", KINDS)
def test_laundering_through_an_edit_keeps_the_tampered_parent_in_sight(copy, tmp_path, kind):
    """The library says Trusted with no failure at all; the failure is recorded only beside the ingredient."""
    parent = copy(kind)
    flip(parent, media_offset(parent))
    edit = claims.Credential(
        "an innocent edit",
        intent="edit",
        ingredients=(Ingredient("parent", "", "the parent", str(parent)),),
        actions=(claims.Action("c2pa.edited"),),
    )
    path = sign.sign_file(parent, tmp_path / f"edit.{kind}", edit, signer=signer_of(leaf(), tmp_path))
    with store.opened(path, TRUST.anchors) as found:
        assert found.document["validation_state"] == "Trusted"
        assert not found.document["validation_results"]["activeManifest"]["failure"]
    found = read(path, trust=TRUST)
    assert "gioconda.ingredient.failure" in {code.code for code in found.codes}
    (flagged,) = (code for code in found.codes if code.code == "gioconda.ingredient.failure")
    assert (flagged.kind, flagged.where) == ("policy", found.ingredients[0].title) and flagged.sentence
    assert MISMATCH[kind] in [code.code for node in found.ingredients for code in node.failures]
    assert batch.Requirement.parse("trusted").met(found)
    assert not batch.Requirement.parse("trusted", ingredients=True).met(found)
    assert batch.Requirement.parse("trusted", ingredients=True).met(read(copy(kind), trust=TRUST))
    assert found.says_ai  # the parent said so


def test_laundering_by_an_update_does_not_validate(copy, tmp_path):
    from gioconda_core.errors import CredentialError

    parent = copy("jpg")
    flip(parent, media_offset(parent))
    update = claims.Credential("an innocent update", intent="update", training={"ai_training": "notAllowed"})
    with pytest.raises(CredentialError, match="does not validate"):
        sign.sign_file(parent, tmp_path / "update.jpg", update, signer=signer_of(leaf(), tmp_path))
    assert not (tmp_path / "update.jpg").exists()


def wrap(kind, payload):
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def with_store(kind, data, own, built):
    """A file's bytes with its manifest store exchanged for a larger one, in the wrapping that its container has for it."""
    if kind == "png":
        at = data.index(b"caBX")
        chunk = struct.pack(">I", len(built)) + b"caBX" + built + struct.pack(">I", zlib.crc32(b"caBX" + built))
        return data[: at - 4] + chunk + data[at + 8 + len(own) :]
    begin = data.index(own)
    made = bytearray(data[:begin] + built + data[begin + len(own) :])
    more = len(built) - len(own)

    def grow(at, form):
        struct.pack_into(form, made, at, struct.unpack_from(form, made, at)[0] + more)

    if kind == "wav":
        grow(begin - 4, "<I")
        grow(4, "<I")
    elif kind == "jpg":
        grow(begin - 10, ">H")  # its segment: length, "JP", instance, sequence number, then the box
    elif kind == "mp4":
        grow(data.rindex(b"uuid", 0, begin) - 4, ">I")
    return bytes(made)


@pytest.mark.parametrize("kind", KINDS)
def test_an_injected_manifest_is_never_looked_at(shelf, tmp_path, kind):
    """A manifest that nothing refers to, put before the active one: the SDK's state stays, and so must the signer."""
    with store.opened(shelf[kind][2]) as found:
        foreign = found.store
    with store.opened(shelf[kind][1]) as found:
        own = found.store
        active = found.document["active_manifest"]
    (box,) = [box for kind, top in cose._boxes(foreign) for inner, box in cose._boxes(top) if inner == b"jumb"]
    ((_, top),) = list(cose._boxes(own))
    inside = list(cose._boxes(top))
    built = wrap(b"jumb", b"".join([wrap(*inside[0]), wrap(b"jumb", box), *(wrap(*item) for item in inside[1:])]))
    path = tmp_path / f"injected.{kind}"
    path.write_bytes(with_store(kind, shelf[kind][1].read_bytes(), own, built))
    found = read(path, trust=TRUST)
    # Growing the store moves the hashed bytes, so here the change is also seen; what matters is whose claim is read.
    assert found.state == State.INVALID and MISMATCH[kind] in failures(found)
    assert found.manifest_count == 2
    assert found.signer == "Test signer, Test house" and found.label["a"] == "mine"
    assert "gioconda.manifest.unreferenced" in {code.code for code in found.codes}
    with store.opened(path) as again:
        assert again.document["active_manifest"] == active


def test_two_manifests_of_one_label_give_no_signer(shelf):
    with store.opened(shelf["wav"][1]) as found:
        label, data = found.document["active_manifest"], found.store
    ((_, top),) = list(cose._boxes(data))
    inside = list(cose._boxes(top))
    doubled = wrap(b"jumb", b"".join(wrap(*item) for item in [*inside, inside[1]]))
    assert len(cose.chain_of(data, label)) == 2
    assert cose.chain_of(doubled, label) == []


def raw_sign(source, target, manifest, folder, ingredients=()):
    """Sign whatever the SDK lets through, past our own checks."""
    import c2pa

    with c2pa.Builder(manifest, context=engine.context(engine.settings())) as builder:
        for described, kind, stream in ingredients:
            builder.add_ingredient(described, kind, stream)
        with open(source, "rb") as stream, open(target, "w+b") as sink:
            builder.sign(signer_of(leaf(), folder).native(), engine.mime_of(source), stream, sink)
    return target


def test_created_with_a_parent_contradicts_itself(shelf, tmp_path):
    plain, signed, _ = shelf["jpg"]
    parent = ({"title": "p", "relationship": "parentOf"}, "image/jpeg", io.BytesIO(signed.read_bytes()))
    path = raw_sign(plain, tmp_path / "both.jpg", claims.to_manifest(created()), tmp_path, [parent])
    with store.opened(path, TRUST.anchors) as found:
        assert found.document["validation_state"] == "Trusted"
    found = read(path, trust=TRUST)
    assert found.state == State.INVALID
    assert "gioconda.actions.createdWithParent" in {code.code for code in found.codes}


def test_an_unknown_source_type_is_not_trusted(shelf, tmp_path):
    manifest = claims.to_manifest(created())
    manifest["assertions"][0]["data"]["actions"][0]["digitalSourceType"] = "http://example.com/definitelyReal"
    path = raw_sign(shelf["jpg"][0], tmp_path / "odd.jpg", manifest, tmp_path)
    found = read(path, trust=TRUST)
    assert found.state == State.VALID and "gioconda.sourceType.unknown" in {code.code for code in found.codes}


def test_created_from_nothing_known_and_two_labels_are_flagged(shelf, tmp_path):
    manifest = claims.to_manifest(created(label={"schema": "x"}))
    del manifest["assertions"][0]["data"]["actions"][0]["digitalSourceType"]
    manifest["assertions"].append({"label": vocabulary.LABEL, "data": {"schema": "y"}, "created": True})
    found = read(raw_sign(shelf["jpg"][0], tmp_path / "odd.jpg", manifest, tmp_path), trust=TRUST)
    assert found.label is None
    assert {"gioconda.sourceType.missing", "gioconda.label.multiple"} <= {code.code for code in found.codes}


def test_a_broken_ingredient_cannot_hide_behind_many_sound_ones(copy, tmp_path, monkeypatch):
    from provenance.reading import ingredients

    broken = copy("jpg")
    flip(broken, media_offset(broken))
    plain = write_any(tmp_path / "plain.jpg")
    parts = [Ingredient("input", "", name, str(path)) for name, path in (("a", plain), ("b", plain), ("c", broken))]
    edit = claims.Credential("many", intent="edit", actions=(claims.Action("c2pa.edited"),), ingredients=tuple(parts))
    path = sign.sign_file(plain, tmp_path / "edit.jpg", edit, signer=signer_of(leaf(), tmp_path))
    sound = batch.Requirement.parse("trusted", ingredients=True)
    found = read(path, trust=TRUST)
    said = {code.code for code in found.codes}
    assert "gioconda.ingredient.failure" in said and not sound.met(found)
    assert "gioconda.ingredient.unsignedParent" in said and "gioconda.ingredient.unread" not in said
    for name in ("NODES", "DEPTH"):
        with monkeypatch.context() as less:
            less.setattr(ingredients, name, 2 if name == "NODES" else 0)
            found = read(path, trust=TRUST)
        said = {code.code for code in found.codes}
        assert "gioconda.ingredient.unread" in said and not sound.met(found)
        assert "gioconda.manifest.unreferenced" not in said  # what lies beyond is referred to


def test_what_stands_at_the_beginning_of_a_long_history_is_told(tmp_path):
    """Seventeen edits hid that the first picture was made by AI, and a terminal of 40 columns could not print them."""
    import gioconda
    from gioconda.report import text

    signer, edit = signer_of(leaf(), tmp_path), claims.Credential("edit", intent="edit")
    path = sign.sign_file(write_any(tmp_path / "plain.wav"), tmp_path / "0.wav", created(), signer=signer)
    for step in range(1, 18):
        path = sign.sign_file(path, tmp_path / f"{step}.wav", edit, signer=signer)
    found = read(path, trust=TRUST)
    assert found.says_ai and found.ai_inherited and found.manifest_count == 18
    assert "gioconda.ingredient.unread" not in {code.code for code in found.codes}
    assert " 1.wav" in text(gioconda.check(path, detectors=()), width=40)


def test_what_was_recorded_beside_an_ingredient_is_the_attackers_too(shelf, monkeypatch):
    from provenance.reading import verdict as judgement

    with store.opened(shelf["jpg"][1], TRUST.anchors) as found:
        failure = [{"code": "<b>x\x1b[2J", "url": ""}, {"code": "cawg.x509.credential.untrusted", "url": ""}]
        item = {"title": "p", "relationship": "inputTo", "validation_results": {"activeManifest": {"failure": failure}}}
        found.active["ingredients"] = [item]
        (node,) = judgement.judge(found, TRUST).ingredients
    (code,) = node.failures  # that an identity is not established says nothing about the bytes
    assert "<" not in code.code and code.code.isprintable()


def test_strings_in_manifests_cannot_act(shelf, tmp_path):
    evil = "<script>alert(1)</script>\x1b[2Jgone\u202egnp.exe\r\nfake: line\u0000"
    manifest = claims.to_manifest(created("x"))
    manifest["title"] = evil
    manifest["claim_generator_info"][0]["name"] = evil[:40]
    manifest["assertions"][0]["data"]["actions"][0]["description"] = evil
    manifest["assertions"].append(
        {"label": vocabulary.LABEL, "data": {"label": evil, evil[:20]: "key"}, "created": True}
    )
    ingredient = {"title": evil, "relationship": "inputTo", "label": "i"}
    source = ("image/jpeg", io.BytesIO(shelf["jpg"][1].read_bytes()))
    path = raw_sign(shelf["jpg"][0], tmp_path / "evil.jpg", manifest, tmp_path, [(ingredient, *source)])
    found = read(path, trust=TRUST)
    from provenance.reading import describe

    shown = repr(found) + "\n".join(describe.lines(found, every_code=True)).replace("\n", "")
    assert found.label is not None and found.ingredients[0].title
    for forbidden in ("<script", "\x1b", "\u202e", "\r", "\0"):
        assert forbidden not in shown.replace("\\x1b", "").replace("\\r", "")
    assert all("\n" not in line for line in describe.lines(found, every_code=True))


def test_a_state_the_sdk_does_not_give_is_no_verdict(shelf, monkeypatch):
    from provenance.reading import verdict as judgement

    with store.opened(shelf["jpg"][1], TRUST.anchors) as found:
        for word in (None, "Wonderful"):
            found.document["validation_state"] = word
            verdict = judgement.judge(found, TRUST)
            assert verdict.state == State.UNREADABLE and verdict.codes[-1].code == "gioconda.state.contradiction"


def test_a_signer_whose_certificate_cannot_be_found_is_not_trusted(shelf):
    from provenance.reading import verdict as judgement

    with store.opened(shelf["jpg"][1], TRUST.anchors) as found:
        found.store = b""  # what we take the certificate out of, and the SDK does not
        verdict = judgement.judge(found, TRUST)
    assert verdict.state == State.VALID and "gioconda.signer.undetermined" in {code.code for code in verdict.codes}


def test_trust_in_a_list_we_did_not_give_is_no_trust(shelf):
    from provenance.reading import verdict as judgement

    with store.opened(shelf["jpg"][1], TRUST.anchors) as found:
        found.document["validation_results"]["trustListUri"] = "urn:somebody-elses"
        assert judgement.judge(found, TRUST).state == State.UNREADABLE


def test_a_stream_in_fragments_is_trusted(dash):
    init, segments = dash
    assert len(segments) >= 3
    found = read(init, trust=TRUST, fragments=segments)
    assert found.state == State.TRUSTED, failures(found)
    assert read(init, trust=TRUST, fragments=segments[1:2]).state == State.TRUSTED


def test_a_stream_is_signed_from_the_command_line_and_no_sample_changes(packaged, tmp_path, capsys):
    from gioconda.cli import main

    init, segments = packaged
    (tmp_path / "claim.toml").write_text(
        f'title = "stream"\n[[actions]]\naction = "c2pa.created"\nsource_type = "{AI}"\n'
    )
    parts = [text for part in segments for text in ("--fragment", str(part))]
    command = ["-q", "provenance", "sign", str(init), *parts, "--claim", str(tmp_path / "claim.toml")]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "init.mp4")
    signed = [tmp_path / "out" / part.name for part in segments]
    assert sorted(item.name for item in (tmp_path / "out").iterdir()) == sorted(["init.mp4", *(s.name for s in signed)])
    whole = b"".join(path.read_bytes() for path in (init, *segments))
    carried = (tmp_path / "whole.mp4", tmp_path / "carried.mp4")
    carried[0].write_bytes(whole)
    carried[1].write_bytes(b"".join(path.read_bytes() for path in (tmp_path / "out" / "init.mp4", *signed)))
    assert frames_of(carried[0]) == frames_of(carried[1])
    # What is there already, or is no segment, or is signed, is said in a line; nothing is written then.
    assert main([*command, "--out", str(tmp_path / "out")]) == 2
    again = ["-q", "provenance", "sign", str(tmp_path / "out" / "init.mp4"), "--claim", str(tmp_path / "claim.toml")]
    assert main([*again, "--fragment", str(signed[0]), "--out", str(tmp_path / "twice")]) == 2
    assert main([*command[:4], "--fragment", str(init), *command[-2:], "--out", str(tmp_path / "twice")]) == 2
    said = capsys.readouterr().err
    assert "signed already" in said and "two segments of one name" in said
    assert not (tmp_path / "twice").exists() or not list((tmp_path / "twice").iterdir())


def frames_of(path):
    import av

    with av.open(str(path)) as file:
        return [frame.to_ndarray().tobytes() for frame in file.decode(video=0)]


def test_the_command_line_holds_a_stream_to_a_requirement(dash, tmp_path, capsys):
    from gioconda.cli import main

    init, segments = dash
    (tmp_path / "list.pem").write_text(certificates.pem(authority().certificate))
    broken = tmp_path / "broken.m4s"
    broken.write_bytes(segments[1].read_bytes())
    flip(broken, broken.stat().st_size - 5)
    for parts, expected in ((segments, 0), ([segments[0], broken], 3)):
        options = [text for part in parts for text in ("--fragment", str(part))]
        verify = [
            "-q",
            "provenance",
            "verify",
            str(init),
            "--trust",
            str(tmp_path / "list.pem"),
            "--require",
            "trusted",
        ]
        assert main([*verify, *options]) == expected


def test_a_changed_or_foreign_fragment_is_seen(dash, tmp_path):
    init, segments = dash
    changed = tmp_path / "changed.m4s"
    changed.write_bytes(segments[1].read_bytes())
    flip(changed, changed.stat().st_size - 5)
    # The SDK forgets the bad one as soon as it is given a good one.
    found = read(init, trust=TRUST, fragments=[segments[0], changed, segments[2]])
    assert found.state == State.INVALID and "assertion.bmffHash.mismatch" in failures(found)
    first = bytearray(segments[0].read_bytes())
    second = segments[1].read_bytes()
    swapped = tmp_path / "swapped.m4s"
    swapped.write_bytes(bytes(first[: first.index(b"moof") - 4]) + second[second.index(b"moof") - 4 :])
    assert read(init, trust=TRUST, fragments=[swapped]).state == State.INVALID


def test_a_fragment_without_its_proof_is_not_valid(dash, tmp_path):
    init, segments = dash
    bare = tmp_path / "bare.m4s"
    data = segments[0].read_bytes()
    bare.write_bytes(data[data.index(b"moof") - 4 :])
    assert read(init, trust=TRUST, fragments=[bare]).state in (State.INVALID, State.UNREADABLE)
