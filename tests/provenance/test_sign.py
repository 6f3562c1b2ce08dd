"""Signing: whole or not there, never in place, and what was said comes back."""

import os
import stat

import pytest
from provenance_kit import authority, created, leaf, signer_of, synthesis, trust_in, write_any

from gioconda_core.errors import CredentialError, MediaError, UsageError
from gioconda_core.media.fingerprint import essence
from gioconda_core.types import Claim, ProvenanceState
from provenance.keys import keys
from provenance.reading.read import read
from provenance.signing import claims, sign, signers
from provenance.trust import lists


@pytest.fixture
def signer(tmp_path):
    return signer_of(leaf(), tmp_path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".mp4", ".wav"])
def test_a_signed_file_is_trusted_by_its_list_and_valid_without(tmp_path, signer, suffix):
    source = write_any(tmp_path / f"plain{suffix}")
    signed = sign.sign_file(source, tmp_path / f"signed{suffix}", created("hello"), signer=signer)
    found = read(signed, trust=trust_in(authority()))
    assert found.state == ProvenanceState.TRUSTED
    assert found.trust_list.startswith("test list (2026-01-01")
    assert found.says_ai and found.signer == "Test signer, Test house" and not found.development_key
    assert read(signed, trust=lists.Trust()).state == ProvenanceState.VALID
    assert read(source, trust=lists.Trust()).state == ProvenanceState.ABSENT


def test_the_development_key_makes_itself_and_is_never_trusted_unasked(tmp_path):
    source = write_any(tmp_path / "plain.jpg")
    signed = sign.sign_file(source, tmp_path / "signed.jpg", created())
    path = keys.key_path(keys.DEVELOPMENT)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    found = read(signed)
    assert found.state == ProvenanceState.VALID and found.development_key and found.trust_list is None
    assert "gioconda.signer.development" in {code.code for code in found.codes}
    asked = read(signed, trust=lists.load(development=True))
    assert asked.state == ProvenanceState.TRUSTED and asked.trust_list.startswith("development")


def test_a_synthesis_becomes_a_file_that_says_what_it_is(tmp_path, signer):
    made = synthesis(seed=str(2**64 - 1), weights_sha256="ab" * 32, params={"steps": 2**70, "crf": 18})
    path = sign.write(made, tmp_path / "clip.mp4", signer=signer)
    found = read(path, trust=trust_in(authority()))
    assert found.state == ProvenanceState.TRUSTED and found.says_ai
    assert found.label["seed"] == str(2**64 - 1) and found.label["params"]["steps"] == str(2**70)
    assert found.label["label"] == "fake" and len(found.label["essence_sha256"]) == 64
    assert [action["action"] for action in found.actions] == ["c2pa.created"]
    assert sorted(item.name for item in tmp_path.iterdir() if item.suffix == ".mp4") == ["clip.mp4"]


def test_the_essence_is_that_of_the_decoded_file(tmp_path, signer):
    from gioconda_core.media.clip import Clip

    path = sign.write(synthesis(), tmp_path / "clip.mp4", signer=signer)
    with Clip.open(path) as clip:
        assert read(path).label["essence_sha256"] == essence(frame for _, frame in clip.frames("all"))


def test_a_control_clip_does_not_say_that_a_model_made_it(tmp_path, signer):
    path = sign.write(synthesis(label="real", task="control"), tmp_path / "clip.mp4", signer=signer)
    assert not read(path).says_ai


def test_a_file_is_never_signed_in_place(tmp_path, signer):
    source = write_any(tmp_path / "plain.jpg")
    before = source.read_bytes()
    other = tmp_path / "same.jpg"
    os.link(source, other)
    for target in (source, other):
        with pytest.raises(UsageError, match="in place"):
            sign.sign_file(source, target, created(), signer=signer, force=True)
    assert source.read_bytes() == before


def test_nothing_is_left_behind_when_signing_fails(tmp_path):
    def broken(data):
        raise RuntimeError("the key service is closed")

    source = write_any(tmp_path / "plain.jpg")
    failing = signers.CallbackSigner(broken, leaf().chain_pem)
    with pytest.raises(CredentialError, match="the key service is closed"):
        sign.sign_file(source, tmp_path / "out" / "signed.jpg", created(), signer=failing)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_certificate_that_would_not_validate_is_found_before_the_file_has_its_name(tmp_path):
    wrong = signer_of(leaf("wrong purpose", ekus=("1.3.6.1.5.5.7.3.1",)), tmp_path)  # server authentication
    source = write_any(tmp_path / "plain.jpg")
    with pytest.raises(CredentialError):
        sign.sign_file(source, tmp_path / "out" / "signed.jpg", created(), signer=wrong)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_existing_target_is_kept_without_force(tmp_path, signer):
    source = write_any(tmp_path / "plain.jpg")
    target = tmp_path / "taken.jpg"
    target.write_bytes(b"mine")
    with pytest.raises(UsageError, match="already exists"):
        sign.sign_file(source, target, created(), signer=signer)
    assert target.read_bytes() == b"mine"
    sign.sign_file(source, target, created(), signer=signer, force=True)
    assert read(target).state == ProvenanceState.VALID


def test_a_container_that_cannot_carry_a_credential_is_said_to_be_one(tmp_path, signer):
    source = tmp_path / "clip.mkv"
    source.write_bytes(b"\x1aE\xdf\xa3" + b"\0" * 100)
    with pytest.raises(UsageError, match="cannot carry"):
        sign.sign_file(source, tmp_path / "out.mkv", created(), signer=signer)
    found = read(source)
    assert found.state == ProvenanceState.UNREADABLE and found.reason == "unsupported"


def test_a_sidecar_leaves_the_file_alone_and_is_found(tmp_path, signer):
    source = write_any(tmp_path / "plain.jpg")
    before = source.read_bytes()
    path = sign.sign_sidecar(source, None, created(), signer=signer)
    assert path.name == "plain.jpg.c2pa" and source.read_bytes() == before
    found = read(source, trust=trust_in(authority()))
    assert found.state == ProvenanceState.TRUSTED and found.sidecar
    source.write_bytes(before[:-30] + b"\0" * 10 + before[-20:])
    assert read(source, trust=trust_in(authority())).state == ProvenanceState.INVALID


def test_a_missing_file_is_an_error_not_a_state(tmp_path):
    with pytest.raises(MediaError):
        read(tmp_path / "none.jpg")
    with pytest.raises(MediaError):
        sign.sign_file(tmp_path / "none.jpg", tmp_path / "out.jpg", created())


def test_created_media_cannot_be_given_a_parent():
    from gioconda_core.types import Ingredient

    with pytest.raises(UsageError, match="parent"):
        created(ingredients=(Ingredient("parent", "00"),))


def test_ingredients_come_back_as_a_tree_with_thumbnails(tmp_path, signer):
    from gioconda_core.files import sha256_of
    from gioconda_core.types import Ingredient

    face = write_any(tmp_path / "face.jpg")
    driver = write_any(tmp_path / "driver.mp4")
    parts = (
        Ingredient("source", sha256_of(face), "the face", str(face), "image/jpeg"),
        Ingredient("driver", sha256_of(driver), "the motion", str(driver), "video/mp4"),
        Ingredient("source", "cd" * 32, "a face that is not here"),
    )
    claim = Claim("clip", "cross-reenactment", "fake", "puppets", "1", ingredients=parts)
    signed = sign.sign_file(write_any(tmp_path / "clip.mp4"), tmp_path / "signed.mp4", claim, signer=signer)
    assert str(tmp_path).encode() not in signed.read_bytes()
    found = read(signed, trust=trust_in(authority()))
    assert found.state == ProvenanceState.TRUSTED
    assert [(node.title, node.relationship) for node in found.ingredients] == [
        ("the face", "inputTo"),
        ("the motion", "inputTo"),
        ("a face that is not here", "inputTo"),
    ]
    pictures = [node.thumbnail for node in found.ingredients]
    assert pictures[0].startswith(b"\xff\xd8") and pictures[1].startswith(b"\xff\xd8") and pictures[2] is None
    assert len(pictures[0]) < 5000  # the SDK's own would be enlarged to 1024 pixels
    assert found.label["source_sha256"] == [sha256_of(face), "cd" * 32]
    assert found.label["driver_sha256"] == [sha256_of(driver)]


def test_a_name_that_says_another_container_is_refused(tmp_path, signer):
    source = write_any(tmp_path / "plain.mp4")
    for name in ("signed.mkv", "signed.jpg"):
        with pytest.raises(UsageError, match="another container"):
            sign.sign_file(source, tmp_path / name, created(), signer=signer)
    assert sign.sign_file(source, tmp_path / "signed.m4v", created(), signer=signer).exists()


@pytest.mark.parametrize("suffix", [".jpg", ".mp4"])
def test_an_edit_without_a_parent_is_one_of_its_source(tmp_path, signer, suffix):
    from gioconda_core.files import sha256_of

    source = write_any(tmp_path / f"interview{suffix}")
    edit = claims.Credential("an edit", intent="edit", actions=(claims.Action("c2pa.edited"),))
    found = read(sign.sign_file(source, tmp_path / f"edited{suffix}", edit, signer=signer), trust=trust_in(authority()))
    assert found.state == ProvenanceState.TRUSTED
    (parent,) = found.ingredients
    assert (parent.title, parent.relationship) == (f"interview{suffix}", "parentOf")
    assert parent.thumbnail.startswith(b"\xff\xd8")
    assert [action["action"] for action in found.actions] == ["c2pa.opened", "c2pa.edited"]
    assert sha256_of(source).encode() in (tmp_path / f"edited{suffix}").read_bytes()


@pytest.mark.parametrize("kind", ["mp4", "mov", "jpg", "png", "webp"])
def test_what_we_generate_declares_it_in_xmp_as_well_and_the_credential_covers_it(tmp_path, signer, kind):
    from gioconda.report import metadata

    made = synthesis()
    path = tmp_path / f"fake.{kind}"
    if kind in ("mp4", "mov"):
        sign.write(made, path, signer=signer)
    else:
        sign.write_picture(made.frames[0], path, made.claim, signer=signer)
    (mark,) = metadata._child(str(path))["declared"]
    assert (mark["kind"], mark["ai"], mark["value"]) == ("source-type", "made", "trainedAlgorithmicMedia")
    assert read(path, trust=trust_in(authority())).state == ProvenanceState.TRUSTED
    data = path.read_bytes()
    assert data.count(b"trainedAlgorithmicMedia") >= 2  # the credential's own, and that of the XMP
    at = data.rindex(b"trainedAlgorithmicMedia") if kind in ("mp4", "mov") else data.index(b"DigitalSourceType=") + 30
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    assert read(path, trust=trust_in(authority())).reason == "altered"


def test_a_control_declares_no_trained_model(tmp_path, signer):
    from gioconda.report import metadata

    path = sign.write(synthesis(label="real", task="control"), tmp_path / "control.mp4", signer=signer)
    assert [mark["ai"] for mark in metadata._child(str(path))["declared"]] == ["none"]


def test_a_large_clip_with_the_mark_is_still_signed_in_one_pass(tmp_path):
    from provenance.sdk import one_pass
    from provenance.signing import declared

    path = write_any(tmp_path / "a.mp4")
    source = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    declared.into(path, source, declared.Aigc("Example Studio", "7"))
    with open(path, "rb") as file:
        assert one_pass.plan(file) is not None


def test_a_root_lasts_ten_years_and_its_leaf_one(tmp_path):
    made = keys.load(keys.make("desk", "The desk").stem)
    spans = [(item.not_valid_after_utc - item.not_valid_before_utc).days for item in made.chain]
    assert spans[0] in (365, 366) and spans[1] >= 3652


def test_an_edit_of_a_tampered_or_generated_parent_is_warned_of_and_can_be_refused(tmp_path, capsys):
    from gioconda.cli import main

    (tmp_path / "edit.toml").write_text('title = "e"\nintent = "edit"\n[[actions]]\naction = "c2pa.edited"\n')
    parent = sign.sign_file(write_any(tmp_path / "plain.jpg"), tmp_path / "parent.jpg", created())
    broken = tmp_path / "broken.jpg"
    data = bytearray(parent.read_bytes())
    data[-40] ^= 1
    broken.write_bytes(bytes(data))
    for source, word in ((parent, "says that AI made"), (broken, "does not hold: what was signed was changed since")):
        out = tmp_path / f"of-{source.name}"
        command = ["provenance", "sign", str(source), "--out", str(out), "--claim", str(tmp_path / "edit.toml")]
        assert main(command) == 0
        assert word in capsys.readouterr().err
    check = ["-q", "check", "--detectors", "none", "--require", "sound-ingredients"]
    assert main([*check, str(tmp_path / "of-parent.jpg")]) == 0
    assert main([*check, str(tmp_path / "of-broken.jpg")]) == 3
    audit = ["-q", "audit", str(tmp_path), "--detectors", "none", "--out", str(tmp_path / "out")]
    assert main([*audit, "--require", "sound-ingredients"]) == 3


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".gif", ".tif", ".wav", ".mp4"])
@pytest.mark.parametrize("content", [b"", bytes(range(256)) * 4, b"\x89PNG\r\n\x1a\n" * 9])
def test_what_cannot_be_signed_is_told_in_words_that_are_ours(tmp_path, suffix, content):
    source = tmp_path / f"broken{suffix}"
    source.write_bytes(content)
    with pytest.raises(CredentialError) as caught:
        sign.sign_file(source, tmp_path / f"signed{suffix}", created(), signer=signer_of(leaf(), tmp_path))
    told = str(caught.value)
    raw = str(caught.value.__cause__)
    assert told.startswith(f"{source}: could not be signed: ") and "whole" in told
    assert raw and raw not in told and not any(word in told for word in ("Io:", "Other:", "buffer", "SDK", "parse"))
    assert not (tmp_path / f"signed{suffix}").exists()


AIGC = """title = "made elsewhere"
[[actions]]
action = "c2pa.created"
source_type = "trainedAlgorithmicMedia"
[aigc]
producer = "Beispiel „Studio“ <GmbH>"
produce_id = "content-7"
propagator = "a platform"
"""


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".mp4"])
@pytest.mark.parametrize("before", ["nothing", "xmp"])
def test_chinas_label_is_written_before_signing_beside_what_was_there(tmp_path, signer, suffix, before):
    from gioconda.report import metadata
    from provenance.signing import declared

    source = write_any(tmp_path / f"plain{suffix}")
    if before == "xmp":
        declared.into(source, "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia")
    data = source.read_bytes()
    (tmp_path / "claim.toml").write_text(AIGC)
    out = sign.sign_file(source, tmp_path / f"out{suffix}", claims.from_toml(tmp_path / "claim.toml"), signer=signer)
    assert source.read_bytes() == data
    found = read(out, trust=trust_in(authority()))
    assert found.state == ProvenanceState.TRUSTED
    marks = metadata._child(str(out))["declared"]
    (label,) = [mark for mark in marks if mark["kind"] == "aigc"]
    assert label["producer"] == "Beispiel „Studio“ <GmbH>" and label["ai"] == "made"
    assert (label["produce_id"], label["propagator"]) == ("content-7", "a platform")
    assert ("source-type" in {mark["kind"] for mark in marks}) == (before == "xmp")
    assert _pixels(out) == _pixels(source)
    # It is covered: another producer is another file.
    changed = tmp_path / f"changed{suffix}"
    changed.write_bytes(out.read_bytes().replace(b"content-7", b"content-8"))
    assert read(changed).state == ProvenanceState.INVALID


def _pixels(path):
    from gioconda_core.media.clip import Clip

    with Clip.open(path) as clip:
        return [frame.tobytes() for _, frame in clip.frames("all")]


def test_chinas_label_is_found_among_the_keys_of_an_mp4_by_ffmpeg(tmp_path, signer):
    import av

    path = sign.write(synthesis(producer="Example Studio"), tmp_path / "fake.mp4", signer=signer)
    with av.open(str(path)) as file:
        assert '"ContentProducer":"Example Studio"' in file.metadata["AIGC"]
    plain = sign.write(synthesis(), tmp_path / "other.mp4", signer=signer)
    with av.open(str(plain)) as file:
        assert "AIGC" not in file.metadata


def test_chinas_label_where_it_has_no_place_is_refused(tmp_path, signer):
    from provenance.signing.declared import Aigc

    label = Aigc("somebody")
    with pytest.raises(UsageError, match="no place"):
        sign.sign_file(write_any(tmp_path / "a.wav"), tmp_path / "b.wav", created(aigc=label), signer=signer)
    with pytest.raises(UsageError, match="no place"):
        sign.sign_sidecar(write_any(tmp_path / "a.jpg"), None, created(aigc=label), signer=signer)
    with pytest.raises(UsageError, match="changes no byte"):
        claims.Credential("x", intent="update", aigc=label)
    with pytest.raises(UsageError, match="is no label"):
        Aigc("somebody", label="4")
    assert not (tmp_path / "b.wav").exists() and not [*tmp_path.glob(".gioconda*")]


def test_what_the_sdk_cannot_write_in_a_kind_of_file_is_not_put_down_to_the_certificate(tmp_path, signer):
    """An update of a WAV moves what its first hash covers; the SDK signs it and then refuses it."""
    first = sign.sign_file(write_any(tmp_path / "a.wav"), tmp_path / "b.wav", created(), signer=signer)
    with pytest.raises(CredentialError, match="sign an edit instead of an update"):
        sign.sign_file(first, tmp_path / "c.wav", claims.Credential("more", intent="update"), signer=signer)
    assert not (tmp_path / "c.wav").exists()
