"""The certificate matrix: each leaf that must be believed, each that must not, whatever the SDK makes of it."""

import datetime
import subprocess
import sys
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from provenance_forge import resign, rewritten
from provenance_kit import (
    authority,
    both,
    created,
    leaf,
    middle_of,
    odd_authority,
    odd_leaf,
    signer_of,
    trust_in,
    write_wav,
)
from provenance_tsa import Authority

from gioconda.report.verdict import editor
from gioconda.report.view import credential_sentences, state_key
from gioconda.report.wording import say
from gioconda_core.errors import CredentialError
from gioconda_core.types import CredentialReason, Level, Sentence
from gioconda_core.types import ProvenanceState as State
from provenance.codes import sentences
from provenance.keys import certificates
from provenance.reading.describe import lines as described
from provenance.reading.open import opened
from provenance.reading.read import read
from provenance.signing import claims, sign
from provenance.trust.lists import Trust

NOW = datetime.datetime.now(datetime.UTC)
TLS = "1.3.6.1.5.5.7.3.1"


def lines(found):
    return list(described(found))


def days(n):
    return datetime.timedelta(days=n)


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    source = write_wav(folder / "plain.wav")
    with Authority() as clock:  # its timestamp makes the SDK leave room for the forged ones
        signer = signer_of(leaf(), folder, timestamp=clock.url)
        return sign.sign_file(source, folder / "signed.wav", created(), signer=signer)


def codes(found, *kinds):
    # Everything met here has its sentence.
    assert all(sentences().get(code.code) == code.sentence for code in found.codes)
    return {code.code for code in found.codes if not kinds or code.kind in kinds}


@pytest.mark.parametrize("algorithm", ["es256", "es384", "es512", "ps256", "ed25519"])
def test_every_algorithm_signs_and_is_trusted(tmp_path, algorithm):
    source = write_wav(tmp_path / "plain.wav")
    signer = signer_of(leaf(f"{algorithm} leaf", algorithm=algorithm), tmp_path)
    found = read(sign.sign_file(source, tmp_path / "signed.wav", created(), signer=signer), trust=trust_in(authority()))
    assert found.state == State.TRUSTED
    assert found.signer_fingerprint == certificates.fingerprint(leaf(f"{algorithm} leaf", algorithm=algorithm).chain[0])


GOOD = {
    "both purposes": {},
    "claim signing only": {"ekus": (certificates.CLAIM_SIGNING,)},
    "Microsoft's signing only": {"ekus": (certificates.MICROSOFT_SIGNING,)},
    "email only": {"ekus": (certificates.EMAIL_PROTECTION,)},
    "document only": {"ekus": (certificates.DOCUMENT_SIGNING,)},
    "purpose critical": {"eku_critical": True},
    "without its issuer in the chain": {"include_issuer": False},
}


@pytest.mark.parametrize("name", GOOD)
def test_good_leaves_are_trusted(signed, tmp_path, name):
    found = read(resign(signed, tmp_path / "forged.wav", leaf(name, **GOOD[name])), trust=trust_in(authority()))
    assert found.state == State.TRUSTED, codes(found, "failure", "policy")


BAD = {
    "timestamping only": ({"ekus": (certificates.TIME_STAMPING,)}, State.VALID, "gioconda.signer.purpose"),
    "status signing only": ({"ekus": (certificates.OCSP_SIGNING,)}, State.VALID, "gioconda.signer.purpose"),
    "server": ({"ekus": (TLS,)}, State.INVALID, "signingCredential.invalid"),
    "no purpose": ({"ekus": ()}, State.INVALID, "signingCredential.invalid"),
    "any purpose": ({"ekus": ("2.5.29.37.0",)}, State.INVALID, "signingCredential.invalid"),
    "email and timestamping": (
        {"ekus": (certificates.EMAIL_PROTECTION, certificates.TIME_STAMPING)},
        State.INVALID,
        "signingCredential.invalid",
    ),
    "an authority": ({"is_ca": True}, State.INVALID, "signingCredential.invalid"),
    "no key usage": ({"usage": ()}, State.INVALID, "signingCredential.invalid"),
    "key usage without signing": ({"usage": ("key_encipherment",)}, State.INVALID, "signingCredential.invalid"),
    "may sign certificates": (
        {"usage": ("digital_signature", "key_cert_sign")},
        State.INVALID,
        "signingCredential.invalid",
    ),
    "no key identifiers": ({"key_identifiers": False}, State.INVALID, "signingCredential.invalid"),
    "may only sign certificates": ({"usage": ("key_cert_sign",)}, State.VALID, "gioconda.signer.purpose"),
    "expired": ({"not_before": NOW - days(30), "not_after": NOW - days(1)}, State.INVALID, "signingCredential.expired"),
    "not yet": ({"not_before": NOW + days(1), "not_after": NOW + days(9)}, State.INVALID, "signingCredential.expired"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_leaves_are_refused_with_a_code(signed, tmp_path, name):
    options, state, code = BAD[name]
    found = read(resign(signed, tmp_path / "forged.wav", leaf(name, **options)), trust=trust_in(authority()))
    assert found.state == state and code in codes(found), codes(found, "failure", "policy")
    # The list is named where it is certain who signed, however old the certificate; never for a leaf that may not sign.
    assert (found.trust_list is not None) == (found.reason == "expired")
    assert "signingCredential.untrusted" not in codes(found)  # its authority is on the list


def test_a_leaf_that_nobody_issued_is_not_trusted(signed, tmp_path):
    model, key = leaf().chain[0], certificates.generate_key()
    builder = x509.CertificateBuilder(model.subject, model.subject, key.public_key(), 5)
    builder = builder.not_valid_before(model.not_valid_before_utc).not_valid_after(model.not_valid_after_utc)
    identifiers = (
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()),
    )
    for extension in model.extensions:
        if extension.oid not in {item.oid for item in identifiers}:
            builder = builder.add_extension(extension.value, extension.critical)
    for item in identifiers:
        builder = builder.add_extension(item, False)
    alone = certificates.Leaf(key, (builder.sign(key, hashes.SHA256()),), "es256")
    found = read(resign(signed, tmp_path / "forged.wav", alone), trust=trust_in(authority()))
    assert found.state == State.VALID and "signingCredential.untrusted" in codes(found)


def test_a_key_too_short_signs_nothing(tmp_path, monkeypatch):
    authority()  # with a whole key, before any is short
    monkeypatch.setattr(certificates, "generate_key", lambda algorithm: rsa.generate_private_key(65537, 1024))
    short = certificates.make_leaf(authority(), "short", "x", algorithm="ps256")
    source = write_wav(tmp_path / "plain.wav")
    with pytest.raises(CredentialError, match="do not fit together"):
        sign.sign_file(source, tmp_path / "signed.wav", created(), signer=signer_of(short, tmp_path))
    assert not (tmp_path / "signed.wav").exists()


def test_the_sdk_alone_would_have_trusted_a_timestamping_leaf(signed, tmp_path):
    # The reason for our rule; when this fails, the SDK has become stricter and the rule may go.
    forged = resign(signed, tmp_path / "forged.wav", leaf("timestamping only", ekus=(certificates.TIME_STAMPING,)))
    with opened(forged, trust_in(authority()).anchors) as found:
        assert found.document["validation_state"] == "Trusted"


def test_an_expired_root_is_no_authority(signed, tmp_path):
    root = odd_authority("old root", "x", (NOW - days(900), NOW - days(2)))
    for included in (True, False):
        made = odd_leaf(root, "young leaf", "x", include_issuer=included)
        found = read(resign(signed, tmp_path / "forged.wav", made), trust=trust_in(root))
        assert found.state == State.VALID and found.trust_list is None
        # The SDK sees it itself only where the chain holds the root.
        assert "signingCredential.untrusted" in codes(found) or "gioconda.anchor.expired" in codes(found, "policy")
    assert "gioconda.anchor.expired" in codes(found, "policy")


def test_what_a_library_finds_odd_about_a_strangers_certificate_is_no_line_of_ours():
    """Two warnings of its own with paths of this computer stood before the verdict. What our code is warned of is shown."""
    with pytest.warns(UserWarning, match="length"):
        name = x509.Name([x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "Nowhere", _validate=False)])
    key, now = certificates.generate_key(), NOW.replace(microsecond=0)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + days(1)).sign(key, hashes.SHA256())
    program = (
        "import sys, warnings; from provenance.reading import cose; print(cose._whole(sys.stdin.buffer.read()).subject);"
        "warnings.warn_explicit('overflow', RuntimeWarning, 'mark.py', 1, 'provenance.watermark.mark')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=made.public_bytes(serialization.Encoding.DER), capture_output=True
    )
    assert b"Nowhere" in done.stdout and done.stderr == b"mark.py:1: RuntimeWarning: overflow\n"


def test_a_leaf_under_another_root_of_the_same_name_is_not_trusted(signed, tmp_path):
    impostor = certificates.make_authority("Test root", "Test house")
    forged = resign(signed, tmp_path / "forged.wav", certificates.make_leaf(impostor, "Test signer", "Test house"))
    found = read(forged, trust=trust_in(authority()))
    assert found.signer == "Test signer, Test house"  # the name proves nothing
    assert found.state == State.VALID and "signingCredential.untrusted" in codes(found)


def test_an_intermediate_on_the_list_is_enough(signed, tmp_path):
    middle = middle_of(authority())
    forged = resign(signed, tmp_path / "forged.wav", certificates.make_leaf(middle, "below", "x"))
    assert read(forged, trust=trust_in(middle)).state == State.TRUSTED
    assert read(forged, trust=trust_in(authority())).state == State.TRUSTED


def test_a_leaf_on_the_users_own_list_of_revoked_ones_is_not_trusted(signed):
    mark = certificates.fingerprint(leaf().chain[0])
    lists = trust_in(authority())
    assert read(signed, trust=lists).state == State.TRUSTED
    found = read(signed, trust=Trust(lists.lists, frozenset({mark})))
    assert found.state == State.VALID and "gioconda.signer.revoked" in codes(found)


def test_the_verdict_names_the_list_that_matched(signed):
    other = certificates.make_authority("other root", "x")
    lists = both(trust_in(other, name="others"), trust_in(authority(), name="mine"))
    found = read(signed, trust=lists)
    assert found.trust_list.startswith("mine (2026-01-01")
    assert [item.split(" (")[0] for item in found.trust_lists] == ["manifest: others", "manifest: mine"]
    stranger = read(signed, trust=trust_in(other, name="others"))
    assert stranger.trust_list is None
    assert any(line.startswith("trust lists looked through: manifest: others (2026-01-01") for line in lines(stranger))
    assert "trust lists looked through: none" in lines(read(signed, trust=Trust()))


def test_a_lists_own_name_is_never_cut_or_translated(signed):
    name = "C2PA’s list, next due never (2)"
    found = read(signed, trust=trust_in(authority(), name=name))
    for lang in ("en", "ja", "es", "fr", "de"):
        assert any(name in line for line in described(found, lang=lang))
        assert any(name in say(item, lang) for item in credential_sentences(found))


def expired_leaf():
    return leaf("was valid", root=old_root(), not_before=NOW - days(30), not_after=NOW - days(1))


def old_root():
    return authority("root of then", not_before=NOW - days(400))


def told(found):
    """What a report says, with every list that was used."""
    said = credential_sentences(found, [("test list", "2026-01-01"), ("clock", "2026-01-01")])
    return " ".join([*described(found), *(say(item, "en") for item in said)])


def doubtful(signed, folder, case):
    """A file whose signer is on a list and is not called trusted, the lists, and the code that says why."""
    target = folder / "doubted.wav"
    if case == "root gone":
        root = authority("root that ended", not_before=NOW - days(400), not_after=NOW - days(3))
        return resign(signed, target, leaf("after its root", root=root)), trust_in(root), "gioconda.anchor.expired"
    if case == "root younger than the stamp":
        root = authority("young root", not_before=NOW - days(5))
        with Authority(at=NOW - days(10)) as clock:
            path = resign(signed, target, leaf("older than its root", root=root, not_before=NOW - days(60)), clock)
        lists = both(trust_in(root), trust_in(clock.root, kind="tsa", name="clock"))
        return path, lists, "gioconda.anchor.expired"
    if case == "source type":

        def invented(said):
            types = "http://cv.iptc.org/newscodes/digitalsourcetype/inventedHere"
            return {**said, "actions": [{**action, "digitalSourceType": types} for action in said["actions"]]}

        path = rewritten(signed, target, leaf(), {"c2pa.actions.v2": invented})
        return path, trust_in(authority()), "gioconda.sourceType.unknown"
    if case == "list of clocks":
        return resign(signed, target, leaf()), trust_in(authority(), kind="tsa"), "gioconda.anchor.otherList"
    purposes = {"ekus": (certificates.OCSP_SIGNING,)}
    return resign(signed, target, leaf("status", **purposes)), trust_in(authority()), "gioconda.signer.purpose"


@pytest.mark.parametrize(
    "case", ["root gone", "root younger than the stamp", "source type", "list of clocks", "purpose"]
)
def test_a_signer_whose_list_is_known_is_never_said_to_be_on_none(signed, tmp_path, case):
    path, lists, why = doubtful(signed, tmp_path, case)
    found = read(path, trust=lists)
    assert (found.state, found.reason, found.decided_by) == (State.VALID, CredentialReason.DOUBTED, (why,))
    assert "signingCredential.untrusted" not in codes(found)
    shown = told(found)
    assert sentences()[why] in shown and "is not called trusted here" in shown
    for wrong in ("on none of the trust lists", "leads to no authority", "not established by a trust list"):
        assert wrong not in shown
    assert (
        say(Sentence(state_key(found.state, found.reason)), "en")
        == "Content Credentials intact, signer not called trusted"
    )
    may = [item.key for item in editor(Level.NOT_ASSESSED, [], found)]
    assert "editor.not-doubted" in may and not {"editor.not-signer", "editor.may-credential"} & set(may)


def test_a_signer_on_no_list_is_said_to_be_on_none(signed):
    found = read(signed, trust=trust_in(certificates.make_authority("other root", "x")))
    assert (found.state, found.reason, found.decided_by) == (State.VALID, None, ())
    assert "on none of the trust lists used" in told(found) and "signingCredential.untrusted" in codes(found)


def test_without_a_timestamp_a_file_turns_invalid_when_its_leaf_expires(signed, tmp_path):
    found = read(resign(signed, tmp_path / "old.wav", expired_leaf()), trust=trust_in(old_root()))
    assert found.state == State.INVALID and not found.timestamped


def test_with_a_trusted_timestamp_it_stays_trusted(signed, tmp_path):
    with Authority(at=NOW - days(10)) as clock:
        forged = resign(signed, tmp_path / "old.wav", expired_leaf(), clock)
    lists = both(trust_in(old_root()), trust_in(clock.root, kind="tsa", name="clock"))
    found = read(forged, trust=lists)
    assert found.state == State.TRUSTED and found.timestamped, codes(found, "failure", "policy")
    assert found.signed_at.startswith((NOW - days(10)).date().isoformat())


def test_a_timestamp_of_a_clock_nobody_trusts_helps_nothing(signed, tmp_path):
    with Authority(at=NOW - days(10)) as clock:
        forged = resign(signed, tmp_path / "old.wav", expired_leaf(), clock)
    found = read(forged, trust=trust_in(old_root()))
    assert found.state == State.INVALID and not found.timestamped


def test_a_clock_on_the_list_of_signers_is_no_clock(signed, tmp_path):
    """The SDK takes it for one; then anybody whose authority may sign claims could also date them."""
    with Authority(at=NOW - days(10)) as clock:
        forged = resign(signed, tmp_path / "old.wav", expired_leaf(), clock)
        clock.at = NOW
        fresh = resign(signed, tmp_path / "fresh.wav", leaf(), clock)
    lists = both(trust_in(old_root(), authority()), trust_in(clock.root, name="clock"))
    found = read(forged, trust=lists)
    assert found.state == State.INVALID
    assert {"gioconda.timestamp.otherList", "gioconda.signer.expired"} <= codes(found, "policy")
    assert read(fresh, trust=lists).state != State.INVALID and not read(fresh, trust=lists).timestamped


def test_a_timestamp_from_after_the_expiry_helps_nothing(signed, tmp_path):
    with Authority(at=NOW) as clock:
        forged = resign(signed, tmp_path / "old.wav", expired_leaf(), clock)
    lists = both(trust_in(old_root()), trust_in(clock.root, kind="tsa", name="clock"))
    assert read(forged, trust=lists).state == State.INVALID


def test_a_timestamp_of_something_else_helps_nothing(signed, tmp_path):
    with Authority(at=NOW - days(10), wrong_imprint=True) as clock:
        forged = resign(signed, tmp_path / "old.wav", expired_leaf(), clock)
    lists = both(trust_in(old_root()), trust_in(clock.root, kind="tsa", name="clock"))
    found = read(forged, trust=lists)
    assert found.state == State.INVALID and not found.timestamped


def test_signing_asks_the_authority_once_and_the_time_is_believed_only_with_its_list(tmp_path):
    source = write_wav(tmp_path / "plain.wav")
    with Authority() as clock:
        signer = signer_of(leaf(), tmp_path, timestamp=clock.url)
        path = sign.sign_file(source, tmp_path / "signed.wav", created(), signer=signer)
        assert clock.requests == 1
    mine = trust_in(authority())
    assert not read(path, trust=mine).timestamped
    assert read(path, trust=both(mine, trust_in(clock.root, kind="tsa", name="clock"))).timestamped


def test_an_authority_out_of_reach_is_named_and_nothing_is_left_behind(tmp_path):
    signer = signer_of(leaf(), tmp_path, timestamp="http://127.0.0.1:9/")
    source = write_wav(tmp_path / "plain.wav")
    with pytest.raises(CredentialError) as caught:
        sign.sign_file(source, tmp_path / "out" / "signed.wav", created(), signer=signer)
    assert caught.value.hint == "the timestamp authority http://127.0.0.1:9/ may be out of reach"
    assert list((tmp_path / "out").iterdir()) == []


def test_a_gathered_claim_is_not_the_signers(tmp_path):
    import c2pa

    from provenance.sdk import engine

    manifest = claims.to_manifest(created(label={"schema": "x"}))
    for assertion in manifest["assertions"]:
        assertion.pop("created")
    source = write_wav(tmp_path / "plain.wav")
    with (
        c2pa.Builder(manifest, context=engine.context(engine.settings())) as builder,
        open(source, "rb") as stream,
        open(tmp_path / "gathered.wav", "w+b") as sink,
    ):
        builder.sign(signer_of(leaf(), tmp_path).native(), "audio/wav", stream, sink)
    found = read(tmp_path / "gathered.wav", trust=trust_in(authority()))
    assert found.label is None
    assert {"gioconda.label.gathered", "gioconda.actions.gathered"} <= codes(found, "policy")


def test_a_certificate_without_a_name_is_told_by_its_fingerprint(signed, tmp_path):
    key, issued = leaf().key, leaf().chain[0]
    made = x509.CertificateBuilder(
        authority().certificate.subject,
        x509.Name([x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "GB")]),
        issued.public_key(),
        x509.random_serial_number(),
        issued.not_valid_before_utc,
        issued.not_valid_after_utc,
        list(issued.extensions),
    ).sign(authority().key, hashes.SHA256())
    nameless = SimpleNamespace(key=key, chain=(made, authority().certificate))
    found = read(resign(signed, tmp_path / "nameless.wav", nameless), trust=trust_in(authority()))
    assert found.state == State.TRUSTED and found.signer is None
    assert f"signer: unnamed (the certificate has no name; sha256 {certificates.fingerprint(made)})" in lines(found)
