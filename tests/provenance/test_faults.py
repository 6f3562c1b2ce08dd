"""The texts of the SDK's errors that have no class of their own: what this release says, and what it is read as."""

import io

import c2pa
from provenance_forge import rewritten
from provenance_kit import created, leaf, signer_of, write_any, write_mp4
from provenance_tsa import Authority

from gioconda_core.types import CredentialReason
from provenance.reading.read import read
from provenance.sdk import engine, faults
from provenance.signing import claims, sign


def opens(kind, data):
    """None where the SDK opens these bytes, else its error."""
    try:
        c2pa.Reader(kind, io.BytesIO(data), context=engine.reading(engine.Anchors())).close()
    except c2pa.C2paError as error:
        return error
    return None


def remote(path):
    """A picture whose credential is said to be elsewhere, and is not in it."""
    builder = c2pa.Builder(claims.to_manifest(created()), context=engine.context(engine.settings()))
    with builder, open(path, "rb") as plain, open(path.with_name("remote.jpg"), "w+b") as signed:
        builder.set_no_embed()
        builder.set_remote_url("https://archive.example/a.c2pa")
        builder.sign(signer_of(leaf(), path.parent).native(), "image/jpeg", plain, signed)
    return path.with_name("remote.jpg")


def test_kinds_without_a_class_are_read_from_the_text_of_this_release(tmp_path):
    error = opens("image/jpeg", remote(write_any(tmp_path / "a.jpg")).read_bytes())
    assert type(error) is c2pa.C2paError and str(error).startswith("Remote: "), "has the SDK given it a class?"
    assert faults.refusal(str(error)) is CredentialReason.REMOTE
    assert faults.address(str(error)) == "https://archive.example/a.c2pa"
    path = sign.sign_file(tmp_path / "a.jpg", tmp_path / "b.jpg", created(), signer=signer_of(leaf(), tmp_path))
    data = path.read_bytes()
    said = set()
    for at in range(data.index(b"jumb"), data.index(b"jumb") + 1200, 9):  # a byte of the credential changed
        error = opens("image/jpeg", data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])
        said.add(str(error)) if isinstance(error, c2pa.C2paError.Other) else None
    of_a_credential = {text for text in said if "JUMBF" in text}
    assert of_a_credential and {faults.refusal(text) for text in of_a_credential} == {CredentialReason.MALFORMED}


def test_a_credential_that_breaks_a_rule_is_malformed_and_its_file_not_damaged(tmp_path):
    with Authority() as clock:
        signer = signer_of(leaf(), tmp_path, timestamp=clock.url)
        path = sign.sign_file(write_any(tmp_path / "a.wav"), tmp_path / "b.wav", created(), signer=signer)
    rewritten(path, tmp_path / "c.wav", leaf(), {"c2pa.actions.v2": lambda said: said | {"actions": []}})
    found = read(tmp_path / "c.wav")
    assert "validation rule" in found.detail and found.reason is CredentialReason.MALFORMED


def test_a_hash_of_an_unknown_kind_is_no_alteration(tmp_path):
    """The SDK says of it that the statements were changed."""
    with Authority() as clock:
        signer = signer_of(leaf(), tmp_path, timestamp=clock.url)
        path = sign.sign_file(write_any(tmp_path / "a.wav"), tmp_path / "b.wav", created(), signer=signer)
    rewritten(path, tmp_path / "c.wav", leaf(), claim=lambda said: said | {"alg": "SHA-256"})
    found = read(tmp_path / "c.wav")
    assert (found.reason, found.decided_by) == (CredentialReason.MALFORMED, ("gioconda.hash.unsupported",))
    assert "SHA-256" in {code.where for code in found.codes}
    data = (tmp_path / "c.wav").read_bytes()
    (tmp_path / "d.wav").write_bytes(data.replace(b"SHA-256", b"SHA-255"))  # what was signed says otherwise
    assert read(tmp_path / "d.wav").reason is CredentialReason.ALTERED


def test_kinds_with_a_class_begin_with_its_name(tmp_path):
    error = opens("video/x-matroska", b"\x1aE\xdf\xa3" + bytes(50))
    assert isinstance(error, c2pa.C2paError.NotSupported) and faults.refusal(str(error)) is CredentialReason.UNSUPPORTED
    cut = write_mp4(tmp_path / "a.mp4").read_bytes()[:60]
    assert faults.refusal(str(opens("video/mp4", cut))) is CredentialReason.DAMAGED
    assert faults.explained("Signature: no")[0].startswith("certificate, key") and faults.explained("?")[1]


def test_a_file_is_read_as_its_error_says(tmp_path):
    found = read(remote(write_any(tmp_path / "a.jpg")))
    assert found.reason is CredentialReason.REMOTE and "archive.example" in found.codes[0].where
