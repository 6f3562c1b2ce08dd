"""Trust lists in the forms in which they are published, whose they are, their own dates, and what a verdict says of each."""

import base64
import datetime
import json
import os
import time

import pytest
from cryptography.hazmat.primitives.serialization import pkcs7
from provenance_forge import resign
from provenance_kit import authority, both, created, leaf, signer_of, trust_in, write_any, write_wav
from provenance_tsa import Authority

from gioconda.cli import main
from gioconda.report.view import credential_sentences
from gioconda.report.wording import say
from gioconda_core.errors import CredentialError, UsageError
from gioconda_core.types import ProvenanceState as State
from gioconda_core.types import TrustScheme
from provenance.keys import certificates
from provenance.reading import describe
from provenance.reading.read import read
from provenance.signing import sign
from provenance.trust import lists

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def b64(certificate):
    return base64.b64encode(certificate.public_bytes(certificates.serialization.Encoding.DER)).decode()


def hashed(certificate, url=False):
    raw = bytes.fromhex(certificates.fingerprint(certificate))
    return base64.urlsafe_b64encode(raw).decode().rstrip("=") if url else base64.b64encode(raw).decode()


def lote(*given, name="C2PA Trust List", update=NOW + 100 * DAY, status="trusted"):
    """ETSI TS 119 602, as C2PA publishes it."""
    service = {
        "ServiceInformation": {
            "ServiceName": [{"lang": "en", "value": "somebody's authority"}],
            "ServiceDigitalIdentity": {"X509Certificates": [{"val": b64(item)} for item in given]},
            "ServiceStatus": f"http://c2pa.org/conformance/trust-list/{status}",
        }
    }
    about = {
        "LoTEVersionIdentifier": 1,
        "LoTESequenceNumber": 7,
        "SchemeName": [{"lang": "en", "value": name}],
        "SchemeOperatorName": [{"lang": "en", "value": "C2PA"}],
        "ListIssueDateTime": "2026-08-05T00:11:47Z",
        "NextUpdate": f"{update:%Y-%m-%d}T00:11:47Z",
    }
    entity = {"TrustedEntityInformation": {"TEName": []}, "TrustedEntityServices": [service]}
    return json.dumps({"LoTE": {"ListAndSchemeInformation": about, "TrustedEntitiesList": [entity]}})


def iptc(*keys):
    """The form of the verified news publishers (trust-list-format 0.1)."""
    entities = [{"display_name": "Somebody", "isCA": False, "jwks": {"keys": list(keys)}}]
    return json.dumps(
        {
            "version": "0.1",
            "name": "IPTC - Verified Publishers",
            "description": "International Press Telecommunications Council (IPTC)",
            "last_updated": "2026-09-18T10:00:00Z",
            "entities": entities,
        }
    )


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("listed")
    return sign.sign_file(
        write_any(folder / "a.jpg"), folder / "b.jpg", created(), signer=signer_of(leaf(), folder.parent)
    )


LEAF = leaf().chain[0]
FORMS = {
    "C2PA-TRUST-LIST.json": (lote(authority().certificate), TrustScheme.OFFICIAL, "2026-08-05"),
    "C2PA-TRUST-LIST.pem": (certificates.pem(authority().certificate), TrustScheme.OFFICIAL, None),
    "interim-anchors.pem": (certificates.pem(authority().certificate), TrustScheme.INTERIM, None),
    "interim-allowed.pem": (certificates.pem(LEAF), TrustScheme.INTERIM, None),
    "interim-allowed.sha256.txt": (f"{hashed(LEAF)}\n", TrustScheme.INTERIM, None),
    "iptc-end-entity-list.pem": (certificates.pem(LEAF), TrustScheme.IPTC, None),
    "publishers.json": (iptc({"kty": "EC", "x5t#S256": hashed(LEAF, url=True)}), TrustScheme.IPTC, "2026-09-18"),
    "whole.json": (iptc({"kty": "EC", "x5c": [b64(LEAF)]}), TrustScheme.IPTC, "2026-09-18"),
    "desk.pem": (certificates.pem(LEAF), TrustScheme.OWN, None),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_list_in_each_form_names_the_signer_and_whose_list_it_is(name, signed, tmp_path):
    text, scheme, date = FORMS[name]
    (tmp_path / name).write_text(text)
    assert read(signed, trust=lists.load()).state == State.VALID
    added = lists.add(tmp_path / name)
    assert added.scheme == scheme and (date is None or added.date == date)
    found = read(signed, trust=lists.load())
    assert found.state == State.TRUSTED and found.trust_scheme == scheme and not found.reason
    assert found.trust_list.startswith(added.name) and found.trust_list_date == added.date
    first = next(describe.lines(found))
    assert ("interim" in first) == (scheme == TrustScheme.INTERIM) and ("IPTC" in first) == (scheme == TrustScheme.IPTC)
    assert ("gioconda.list.interim" in {code.code for code in found.codes}) == (scheme == TrustScheme.INTERIM)
    for lang in ("en", "ja"):
        told = "\n".join(say(item, lang) for item in credential_sentences(found))
        assert ("2026-01-01" in told) == (scheme == TrustScheme.INTERIM)
        assert ("IPTC" in told) == (scheme == TrustScheme.IPTC)
    lists.remove(added.name)
    assert lists.load().lists == () and not [*lists.store().iterdir()]


def test_another_leaf_of_the_same_authority_is_on_no_list_of_leaves(tmp_path):
    (tmp_path / "allowed.txt").write_text(hashed(LEAF))
    other = sign.sign_file(
        write_any(tmp_path / "a.png"), tmp_path / "b.png", created(), signer=signer_of(leaf("Another"), tmp_path)
    )
    assert read(other, trust=lists.load([tmp_path / "allowed.txt"], stored=False)).state == State.VALID


@pytest.mark.parametrize("kind", ["tsa", "cawg"])
def test_a_leaf_on_a_list_of_clocks_or_identities_signs_no_claims(kind, signed, tmp_path):
    (tmp_path / "list.txt").write_text(hashed(LEAF))
    found = read(signed, trust=lists.load([f"{kind}={tmp_path / 'list.txt'}"], stored=False))
    assert found.state == State.VALID and "gioconda.anchor.otherList" in {code.code for code in found.codes}


def test_a_lists_own_dates_are_shown_and_what_was_due_is_said(signed, tmp_path, capsys):
    (tmp_path / "C2PA-TRUST-LIST.json").write_text(lote(authority().certificate, update=NOW - 5 * DAY))
    assert main(["-q", "provenance", "trust", "add", str(tmp_path / "C2PA-TRUST-LIST.json")]) == 0
    assert main(["-q", "provenance", "trust", "show"]) == 0
    due = f"{NOW - 5 * DAY:%Y-%m-%d}"
    shown = capsys.readouterr().out
    assert shown.count(f"C2PA’s own, 2026-08-05, issue 7, next was due {due}") == 2
    found = read(signed, trust=lists.load())
    assert found.state == State.TRUSTED and found.trust_list_update == due
    assert "gioconda.list.overdue" in {code.code for code in found.codes}
    assert f"next due {due}" in found.trust_list and any(due in line for line in describe.lines(found))
    assert main(["-q", "provenance", "trust", "show", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["lists"]
    assert row["overdue"] and row["sequence"] == 7 and row["scheme"] == "c2pa" and row["anchors"] == 1


def test_a_service_that_the_list_has_withdrawn_is_not_trusted(tmp_path):
    (tmp_path / "list.json").write_text(lote(authority().certificate, status="withdrawn"))
    with pytest.raises(CredentialError, match="no certificate in it"):
        lists.read_list(tmp_path / "list.json")


def test_the_interim_lists_clocks_are_taken_from_where_they_lie(tmp_path):
    """One file holds signers' and clocks' authorities: an expired file of then stays trusted by it alone."""
    root = authority("root of then", not_before=NOW - 400 * DAY)
    short = leaf("was valid", root=root, not_before=NOW - 30 * DAY, not_after=NOW - DAY)
    with Authority(at=NOW - 10 * DAY) as clock:
        signer = signer_of(leaf(), tmp_path, timestamp=clock.url)
        path = sign.sign_file(write_wav(tmp_path / "a.wav"), tmp_path / "b.wav", created(), signer=signer)
        old = resign(path, tmp_path / "old.wav", short, clock)
    together = {"roots": (root, clock.root)}["roots"]
    assert read(old, trust=trust_in(*together, name="a list")).state == State.INVALID
    found = read(old, trust=trust_in(*together, name="a list", scheme=TrustScheme.INTERIM))
    assert found.state == State.TRUSTED and found.timestamped and found.trust_scheme == TrustScheme.INTERIM
    assert read(old, trust=both(trust_in(root), trust_in(clock.root, kind="tsa", name="b"))).state == State.TRUSTED


@pytest.mark.parametrize("form", ["DER", "PKCS #7", "PKCS #7 in PEM", "UTF-16", "twice", "carriage returns"])
def test_a_list_is_read_in_the_forms_that_people_have(form, tmp_path):
    root, encodings = authority().certificate, certificates.serialization.Encoding
    text = certificates.pem(root)
    forms = {
        "DER": root.public_bytes(encodings.DER),
        "PKCS #7": pkcs7.serialize_certificates([root], encodings.DER),
        "PKCS #7 in PEM": pkcs7.serialize_certificates([root], encodings.PEM),
        "UTF-16": text.encode("utf-16"),
        "twice": f"# a comment\n{text}{text}".encode(),
        "carriage returns": text.replace("\n", "\r\n").encode(),
    }
    (tmp_path / "list.pem").write_bytes(forms[form])
    found = lists.add(tmp_path / "list.pem")
    assert found.anchors == lists.load().lists[0].anchors == (root,) and found.unread == ()


def test_a_certificate_that_cannot_be_read_is_told_and_the_others_count(signed, tmp_path, capsys):
    text = certificates.pem(authority().certificate)
    torn = text[:200] + text[260:]
    (tmp_path / "list.pem").write_text(text + torn + certificates.pem(LEAF) + text[:300])
    assert main(["-q", "provenance", "trust", "add", str(tmp_path / "list.pem")]) == 0
    assert "not read, while the others count: certificate 2, 4" in capsys.readouterr().out
    found = read(signed, trust=lists.load())
    assert found.state == State.TRUSTED and found.trust_list.endswith("…, not read: certificate 2, 4)")
    assert any(line.endswith("…、読み取れない証明書：2、4）") for line in describe.lines(found, lang="ja"))
    (tmp_path / "list.json").write_text(lote(authority().certificate).replace(b64(authority().certificate), "MIIB"))
    for name in ("torn.pem", "list.json"):
        (tmp_path / "torn.pem").write_text(torn)
        with pytest.raises(CredentialError, match="none of the certificates in it can be read"):
            lists.read_list(tmp_path / name)


def test_a_list_from_a_pipe_is_stored_whole():
    there, here = os.pipe()
    os.write(here, certificates.pem(authority().certificate).encode())
    os.close(here)
    added = lists.add(f"/dev/fd/{there}", lists.Card("piped"))
    os.close(there)
    assert lists.load().lists[0].anchors == added.anchors != ()


@pytest.mark.parametrize("encoding", ["ascii", "utf-16"])
def test_a_private_key_among_certificates_is_neither_taken_nor_shown(encoding, tmp_path):
    text = certificates.key_pem(authority().key) + certificates.pem(authority().certificate)
    (tmp_path / "list.pem").write_text(text, encoding)
    with pytest.raises(CredentialError, match="holds a private key") as refused:
        lists.add(tmp_path / "list.pem")
    assert "BEGIN" not in str(refused.value) and not lists.store().exists()


@pytest.mark.parametrize(
    "text",
    [
        '{"lists": []}',
        '{"entities": ',
        "{" * 5000,
        '{"LoTE": {"TrustedEntitiesList": 3}}',
        "-----BEGIN " * 30_000,
        "\n" * 60_000,
    ],
)
def test_what_is_no_list_is_said_in_a_line(text, tmp_path):
    begun = time.process_time()
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(CredentialError):
        lists.read_list(tmp_path / "x.json")
    assert time.process_time() - begun < 5


def test_a_list_changed_on_disk_or_of_a_reserved_name_is_refused(tmp_path):
    (tmp_path / "a.json").write_text(lote(authority().certificate))
    lists.add(tmp_path / "a.json")
    stored = lists.store() / "a.list.json"
    stored.write_text(stored.read_text() + " ")
    with pytest.raises(CredentialError, match="sha256"):
        lists.load()
    with pytest.raises(UsageError, match="not a name"):
        lists.add(tmp_path / "a.json", lists.Card("a.list"))
