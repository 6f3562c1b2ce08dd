"""Identities aggregated by somebody else (CAWG): believed only from an aggregator on a list, and never fetched unasked."""

import datetime
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from provenance_forge import aggregated, did_of, two_identities
from provenance_kit import authority, both, created, leaf, signer_of, trust_in, write_wav
from provenance_tsa import Authority

from gioconda.report.view import credential_sentences
from gioconda.report.wording import say
from gioconda_core.errors import CredentialError
from gioconda_core.types import ProvenanceState as State
from provenance.reading.read import read
from provenance.signing import claims, sign, signers
from provenance.trust import lists as trust

NOW = datetime.datetime.now(datetime.UTC)
KEY = ed25519.Ed25519PrivateKey.generate()
OTHER = ed25519.Ed25519PrivateKey.generate()


@pytest.fixture(scope="module")
def attested(tmp_path_factory):
    folder = tmp_path_factory.mktemp("identity")
    with Authority() as clock:  # for the room its timestamp leaves
        desk = signer_of(leaf("desk"), folder, timestamp=clock.url)
        pair = signers.IdentitySigner(signer_of(leaf(), folder), desk, roles=("cawg.editor",))
        claim = created(assertions={"org.example.room": {"for": "another identity" * 200}})
        return sign.sign_file(write_wav(folder / "plain.wav"), folder / "signed.wav", claim, signer=pair)


@pytest.fixture
def lists(tmp_path):
    """Our signers, and a newsroom's list of the aggregators it believes."""
    (tmp_path / "newsroom.cawg").write_text(f"# whom we believe\n{did_of(KEY)}\n")
    return both(trust_in(authority()), trust.Trust((trust.read_list(tmp_path / "newsroom.cawg"),)))


def test_an_aggregators_word_counts_when_it_is_on_the_newsrooms_list(attested, lists, tmp_path):
    path = aggregated(attested, tmp_path / "valid.wav", leaf(), key=KEY)
    found = read(path, trust=lists)
    (identity,) = found.identities
    assert found.state == State.TRUSTED and identity["trusted"] and identity["lists"] == ["newsroom"]
    assert identity["name"] == "The picture desk" and identity["roles"] == ["cawg.editor"]
    assert identity["kind"] == "cawg.identity_claims_aggregation" and identity["issuer"] == did_of(KEY)
    stranger = read(aggregated(attested, tmp_path / "stranger.wav", leaf(), key=OTHER), trust=lists)
    assert stranger.state == State.TRUSTED and not stranger.identities[0]["trusted"]
    assert not read(path, trust=trust_in(authority())).identities[0]["trusted"]


@pytest.mark.parametrize(
    ("forged", "code"),
    [
        ({"key": OTHER, "issuer": did_of(KEY)}, "cawg.ica.signature_mismatch"),
        ({"key": KEY, "valid_until": "2026-02-01T00:00:00Z"}, "cawg.ica.valid_until.invalid"),
        ({"key": KEY, "other_asset": True}, "cawg.ica.signer_payload.mismatch"),
        ({"key": KEY, "issuer": "did:nonsense:1"}, "cawg.ica.invalid_issuer"),
        ({"key": KEY, "issuer": "did:jwk:e30="}, "cawg.ica.invalid_did_document"),
    ],
)
def test_a_wrong_key_an_expired_word_and_another_files_word_do_not(attested, lists, tmp_path, forged, code):
    found = read(aggregated(attested, tmp_path / "forged.wav", leaf(), **forged), trust=lists)
    # Its reach is that statement: the file, its signer and the list are what they were.
    assert found.state == State.TRUSTED and found.reason == "identity" and found.decided_by == (code,)
    assert "gioconda.identity.failed" in {item.code for item in found.codes}
    assert code in found.identities[0]["failures"]
    assert not found.identities[0]["trusted"] and found.identities[0]["lists"] == []


LATE = {"not_before": NOW - datetime.timedelta(days=9), "not_after": NOW - datetime.timedelta(days=1)}
MISMATCH, UNTRUSTED = "cawg.x509.signature.mismatch", "cawg.x509.credential.untrusted"


@pytest.mark.parametrize(
    ("root", "dates", "broken", "failures", "listed"),
    [
        ("", {}, False, [], ["newsroom"]),
        ("", {}, True, [MISMATCH], []),
        ("nobody's", {}, False, [UNTRUSTED], []),
        ("a signer's", {}, False, [UNTRUSTED], []),  # an authority of those who sign claims attests nobody
        ("", LATE, False, [UNTRUSTED, "cawg.x509.signature.outside_validity"], []),
    ],
)
def test_of_two_identities_each_is_judged_by_itself(attested, tmp_path, root, dates, broken, failures, listed):
    """The SDK says what failed and not of which: a broken one took the other's good name, or a stranger got it."""
    other = leaf("reporter", root=authority(root) if root else authority(), **dates)
    path = two_identities(attested, tmp_path / "two.wav", leaf(), other, broken)
    newsroom = trust_in(authority(), kind="cawg", name="newsroom")
    found = read(path, trust=both(trust_in(authority(), authority("a signer's")), newsroom))
    named = {item["name"]: item for item in found.identities}
    desk, reporter = named["desk, Test house"], named["reporter, Test house"]
    assert desk["trusted"] and desk["lists"] == ["newsroom"] and desk["failures"] == []
    assert sorted(reporter["failures"]) == failures and reporter["lists"] == listed
    assert reporter["trusted"] == bool(listed) and found.state == State.TRUSTED


@pytest.mark.parametrize(
    ("first", "second", "failures", "doubts"),
    [
        ({}, {}, [[], []], [[], []]),
        ({}, {"valid_until": "2026-02-01T00:00:00Z"}, [[], ["cawg.ica.valid_until.invalid"]], [[], []]),
        ({}, {"issuer": "did:web:127.0.0.1%3A9"}, [[], ["cawg.ica.did_unavailable"]], [[], []]),
        ({}, {"key": OTHER}, [[], []], [["cawg.ica.signature_mismatch"]] * 2),
        ({"key": OTHER}, {"key": OTHER}, [["cawg.ica.signature_mismatch"]] * 2, [[], []]),
    ],
)
def test_of_two_aggregators_none_is_said_to_fail_that_may_hold(
    attested, lists, tmp_path, first, second, failures, doubts
):
    """The SDK says how often something failed and not of which: what fails once was said of both."""
    ours = {"key": KEY, "issuer": did_of(KEY)}
    other = {**ours, **second, "name": "A stranger"}
    found = read(aggregated(attested, tmp_path / "two.wav", leaf(), other, **{**ours, **first}), trust=lists)
    named = {item["name"]: item for item in found.identities}
    desk, stranger = named["The picture desk"], named["A stranger"]
    assert [desk["failures"], stranger["failures"]] == failures and [desk["doubts"], stranger["doubts"]] == doubts
    assert desk["trusted"] == (failures[0] == doubts[0] == []) and found.state == State.TRUSTED
    told = " ".join(say(item, "en") for item in credential_sentences(found))
    assert ("not all hold" in told and "A stranger, The picture desk" in told) == any(doubts)
    assert told.count("does not hold, so take that name") == sum(
        "unavailable" not in str(one) for one in failures if one
    )


def test_an_ingredients_identity_that_fails_is_not_said_of_what_was_made_of_it(attested, tmp_path):
    """The SDK gives it among the findings of the active credential, and both were said to fail."""
    broken = two_identities(attested, tmp_path / "broken.wav", leaf(), leaf("reporter"), True)
    edit = claims.Credential("edit", intent="edit", actions=(claims.Action("c2pa.edited"),))
    pair = signers.IdentitySigner(signer_of(leaf(), tmp_path), signer_of(leaf("desk"), tmp_path))
    path = sign.sign_file(broken, tmp_path / "edit.wav", edit, signer=pair)
    found = read(path, trust=both(trust_in(authority()), trust_in(authority(), kind="cawg", name="newsroom")))
    assert (found.state, found.reason) == (State.TRUSTED, None) and MISMATCH in {code.code for code in found.codes}
    (desk,) = found.identities
    assert desk["trusted"] and desk["failures"] == [] and "gioconda.identity.failed" not in str(found.codes)


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"), reason="the kernel's filter is Linux's"
)
def test_an_aggregators_key_elsewhere_is_not_fetched_and_the_file_is_what_it_was(attested, lists, tmp_path):
    path = aggregated(attested, tmp_path / "web.wav", leaf(), key=KEY, issuer="did:web:127.0.0.1%3A9")
    found = read(path, trust=lists)
    assert found.state == State.TRUSTED and found.identities[0]["failures"] == ["cawg.ica.did_unavailable"]
    assert not found.identities[0]["trusted"]
    program = [
        sys.executable,
        str(Path(__file__).parents[1] / "kits" / "provenance_nosockets.py"),
        "hermetic",
        str(path),
    ]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith("valid"), done.stderr
    data = bytearray(path.read_bytes())
    data[data.index(b"data") + 60] ^= 1
    path.write_bytes(bytes(data))
    assert read(path, trust=lists).state == State.INVALID


def test_a_list_that_names_nobody_is_refused(tmp_path):
    (tmp_path / "newsroom.cawg").write_text("# nobody yet\n")
    with pytest.raises(CredentialError, match="no certificate"):
        trust.read_list(tmp_path / "newsroom.cawg")
    (tmp_path / "signers.pem").write_text(did_of(KEY))
    with pytest.raises(CredentialError, match="no certificate"):
        trust.read_list(tmp_path / "signers.pem")
