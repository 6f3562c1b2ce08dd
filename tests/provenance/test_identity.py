"""Identities aggregated by somebody else (CAWG): believed only from an aggregator on a list, and never fetched unasked."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from provenance_forge import aggregated, did_of
from provenance_kit import authority, both, created, leaf, signer_of, trust_in, write_wav
from provenance_tsa import Authority

from gioconda_core.errors import CredentialError
from gioconda_core.types import ProvenanceState as State
from provenance.reading.read import read
from provenance.signing import sign, signers
from provenance.trust import lists as trust

KEY = ed25519.Ed25519PrivateKey.generate()
OTHER = ed25519.Ed25519PrivateKey.generate()


@pytest.fixture(scope="module")
def attested(tmp_path_factory):
    folder = tmp_path_factory.mktemp("identity")
    with Authority() as clock:  # for the room its timestamp leaves
        desk = signer_of(leaf("desk"), folder, timestamp=clock.url)
        pair = signers.IdentitySigner(signer_of(leaf(), folder), desk, roles=("cawg.editor",))
        return sign.sign_file(write_wav(folder / "plain.wav"), folder / "signed.wav", created(), signer=pair)


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
