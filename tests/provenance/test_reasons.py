"""Why a credential does not hold: each reason forged, with its state, the codes that decided, and a sentence that is true of it."""

import datetime
import os
import re
import shutil

import pytest
from provenance_forge import resign
from provenance_kit import (
    authority,
    both,
    created,
    flip,
    leaf,
    signer_of,
    trust_in,
    write_any,
    write_picture,
    write_wav,
)
from provenance_tsa import Authority

from gioconda.report.examine import Examiner
from gioconda.report.view import credential_sentences, state_key
from gioconda.report.wording import say
from gioconda_core.datasets.tables import read_sheet
from gioconda_core.errors import GiocondaError, MediaError
from gioconda_core.files import read_toml
from gioconda_core.types import CredentialReason, Ingredient
from gioconda_core.types import ProvenanceState as State
from provenance import codes
from provenance.keys import certificates
from provenance.reading import cose, describe, rules
from provenance.reading import open as store
from provenance.reading.read import read
from provenance.sdk import engine
from provenance.signing import claims, sign
from provenance.signing.signers import PemSigner
from provenance.trust.lists import read_list

NOW = datetime.datetime.now(datetime.UTC)
TRUST = trust_in(authority())


def days(n):
    return datetime.timedelta(days=n)


def told(found):
    """Everything a person is told of it, in English and Japanese both."""
    for lang in ("en", "ja"):
        shown = " ".join(say(item, lang) for item in credential_sentences(found))
        assert say(credential_sentences(found)[0], lang) and "{" not in shown
        assert say(describe_key(found), lang)
    return " ".join(say(item, "en") for item in credential_sentences(found))


def describe_key(found):
    from gioconda_core.types import Sentence

    return Sentence(state_key(found.state, found.reason, found.development_key))


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A claim of version 1, as everything signed from 2021 to 2024 has it, with the timestamp of the SDK's own making."""
    import c2pa

    folder = tmp_path_factory.mktemp("first")
    manifest = claims.to_manifest(created("old")) | {"claim_version": 1}
    with Authority() as clock:
        signer = signer_of(leaf(), folder, timestamp=clock.url)
        settings = engine.settings(hosts=("127.0.0.1",))
        source, target = write_wav(folder / "plain.wav"), folder / "signed.wav"
        with (
            c2pa.Builder(manifest, context=engine.context(settings)) as builder,
            open(source, "rb") as plain,
            open(target, "w+b") as signed,
        ):
            builder.sign(signer.native(), "audio/wav", plain, signed)
    return target, clock


def old_root():
    return authority("root of then", not_before=NOW - days(400))


def old_leaf():
    return leaf("was valid", root=old_root(), not_before=NOW - days(30), not_after=NOW - days(1))


def clock_list(clock):
    return trust_in(clock.root, kind="tsa", name="clock")


def test_the_timestamp_of_a_first_claim_is_read(first):
    path, clock = first
    found = read(path, trust=both(TRUST, clock_list(clock)))
    assert found.state == State.TRUSTED and found.timestamped
    with store.opened(path) as opened:
        assert "sigTst" in cose.decode(cose._signature(opened.store, opened.document["active_manifest"]))[1]
        assert opened.clock()[0] == clock.leaf.chain[0]


def test_an_expired_first_claim_whose_signer_and_clock_are_listed_is_trusted(first, tmp_path):
    with Authority(at=NOW - days(10)) as clock:
        forged = resign(first[0], tmp_path / "old.wav", old_leaf(), clock)
    found = read(forged, trust=both(trust_in(old_root()), clock_list(clock)))
    assert found.state == State.TRUSTED and found.timestamped and found.reason is None


def test_a_clock_that_is_not_listed_never_counts_though_the_sdk_takes_any_for_a_first_claim(first, tmp_path):
    with Authority(at=NOW - days(10)) as clock:
        forged = resign(first[0], tmp_path / "old.wav", old_leaf(), clock)
    with store.opened(forged, trust_in(old_root()).anchors) as opened:
        assert "timeStamp.trusted" in rules.succeeded(opened.document)  # with no list of clocks at all
    for lists in (trust_in(old_root()), both(trust_in(old_root()), trust_in(authority(), kind="tsa", name="other"))):
        found = read(forged, trust=lists)
        assert (found.state, found.reason) == (State.INVALID, CredentialReason.EXPIRED) and not found.timestamped
        shown = list(describe.lines(found, every_code=True))
        assert not [line for line in shown if "timeStamp.trusted" in line or "insideValidity" in line]
        assert "gioconda.timestamp.otherList" in {code.code for code in found.codes}


def test_a_first_claim_that_an_unlisted_clock_puts_before_its_certificate_has_a_listed_signer_all_the_same(
    first, tmp_path
):
    """The SDK follows no chain then, and the certificate was said to lead to no authority on any list."""
    with Authority(at=NOW - days(800)) as clock:
        forged = resign(first[0], tmp_path / "early.wav", leaf("valid now", root=old_root()), clock)
    found = read(forged, trust=trust_in(old_root()))
    assert (found.state, found.reason, found.trust_list_date) == (State.INVALID, CredentialReason.EXPIRED, "2026-01-01")
    assert "signingCredential.untrusted" not in {code.code for code in found.codes}


def test_a_listed_clocks_certificate_beside_a_strangers_token_does_not_lend_its_name(first, tmp_path):
    """The certificates in a token are anybody's to choose: the one that made the signature counts."""
    from asn1crypto import cms, tsp
    from asn1crypto import x509 as asn1

    when = NOW - days(10)
    with Authority(at=when) as listed, Authority(at=when) as stranger:
        good = [
            asn1.Certificate.load(item.public_bytes(certificates.serialization.Encoding.DER))
            for item in listed.leaf.chain
        ]

        def decoyed(token):
            response = tsp.TimeStampResp.load(token)
            signed = response["time_stamp_token"]["content"]
            signed["certificates"] = cms.CertificateSet([*good, *(item.chosen for item in signed["certificates"])])
            return [response.dump(force=True)]

        def doubled(token):
            return [token, token]

        lists = both(trust_in(old_root()), clock_list(listed))
        for change in (decoyed, doubled):
            forged = resign(first[0], tmp_path / f"{change.__name__}.wav", old_leaf(), stranger, tokens=change)
            found = read(forged, trust=lists)
            assert found.reason == CredentialReason.EXPIRED and not found.timestamped


def test_an_expired_file_is_said_to_be_unaltered_and_undated(first, tmp_path):
    found = read(resign(first[0], tmp_path / "old.wav", old_leaf()), trust=trust_in(old_root()))
    assert (found.state, found.reason) == (State.INVALID, CredentialReason.EXPIRED)
    assert "gioconda.signer.expired" in found.decided_by
    shown = told(found)
    assert "What was signed is unaltered" in shown and "not proven" in shown
    assert "since expired" not in shown  # it may have been signed with a certificate that had expired already
    assert "relied on" not in shown and "changed" not in shown
    # The root is given: that it is not must not be said, and whose certificate it is must.
    assert "signingCredential.untrusted" not in {code.code for code in found.codes}
    assert found.trust_list.startswith("test list") and "“was valid, Test house”" in shown
    lines = "\n".join(describe.lines(found))
    assert "certificate expired on:" in lines and "turns invalid" not in lines
    plain = read(resign(first[0], tmp_path / "old.wav", old_leaf()), trust=TRUST)
    assert "signingCredential.untrusted" in {code.code for code in plain.codes} and plain.trust_list is None


def test_a_certificate_of_tomorrow_is_not_called_expired(first, tmp_path):
    root = authority("root of then", not_before=NOW - days(400))
    early = leaf("early", root=root, not_before=NOW + days(1), not_after=NOW + days(9))
    found = read(resign(first[0], tmp_path / "early.wav", early), trust=trust_in(root))
    assert found.reason == CredentialReason.EXPIRED and "not valid yet" in told(found)


def test_an_altered_file_of_a_listed_signer_names_them_and_an_unlisted_one_does_not(tmp_path):
    path = sign.sign_file(
        write_any(tmp_path / "a.jpg"), tmp_path / "b.jpg", created(), signer=signer_of(leaf(), tmp_path)
    )
    flip(path, path.stat().st_size - 40)
    found = read(path, trust=TRUST)
    assert (found.state, found.reason) == (State.INVALID, CredentialReason.ALTERED)
    assert found.decided_by == ("assertion.dataHash.mismatch",)
    assert "signed by “Test signer, Test house”, found on the trust list test list" in told(found)
    stranger = told(read(path, trust=trust_in(authority("another"))))
    assert "Test signer" not in stranger and "changed after signing" in stranger


def test_a_hash_that_does_not_fit_is_not_said_to_show_that_this_file_was_changed(tmp_path):
    for name in ("assertion.dataHash", "assertion.bmffHash", "assertion.boxesHash"):
        assert "changed" not in codes.sentence(f"{name}.mismatch")  # the credential may be another file's
    path = sign.sign_file(
        write_any(tmp_path / "a.jpg"), tmp_path / "b.jpg", created(), signer=signer_of(leaf(), tmp_path)
    )
    data, other = path.read_bytes(), (tmp_path / "a.jpg").read_bytes()
    begin = data.index(b"\xff\xeb")
    end = begin
    while data[end : end + 2] == b"\xff\xeb":
        end += 2 + int.from_bytes(data[end + 2 : end + 4], "big")
    pasted = tmp_path / "pasted.jpg"  # whose pixels nobody has touched
    pasted.write_bytes(other[:2] + data[begin:end] + other[2:] + b"more")
    found = read(pasted, trust=TRUST)
    assert found.reason == CredentialReason.ALTERED
    assert "another file" in say(describe_key(found)) and "made for another file" in told(found)
    assert len(set(found.codes)) == len(found.codes)  # the SDK reports this one twice


@pytest.mark.parametrize("ahead", [-1, 3])
def test_a_time_from_an_unknown_clock_is_not_called_the_signers_own(first, tmp_path, ahead):
    long = leaf("long", root=old_root(), not_before=NOW - days(90), not_after=NOW + days(90))
    with Authority(at=NOW + days(ahead)) as clock:
        forged = resign(first[0], tmp_path / "stamped.wav", long, clock)
    plain = read(forged, trust=trust_in(old_root()))
    assert (plain.state, plain.timestamped) == (State.TRUSTED, False) and plain.signed_at
    shown = told(plain)
    assert "timestamp that nobody on the lists used vouches for" in shown and "own statement" not in shown
    assert ("still to come" in shown) == (ahead > 0)
    listed = told(read(forged, trust=both(trust_in(old_root()), trust_in(clock.root, kind="tsa"))))
    assert "comes from a time-stamping authority" in listed and ("still to come" in listed) == (ahead > 0)


def test_of_a_signed_file_that_was_cut_off_it_is_said_that_it_is(tmp_path):
    """A download that broke off was told like a forgery: "changed since signing", and nothing of its end."""
    path = sign.sign_file(
        write_any(tmp_path / "a.jpg"), tmp_path / "b.jpg", created(), signer=signer_of(leaf(), tmp_path)
    )
    assert "gioconda.asset.cutOff" not in [code.code for code in read(path, trust=TRUST).codes]
    path.write_bytes(path.read_bytes()[:-200])
    found = read(path, trust=TRUST)
    assert found.reason == CredentialReason.ALTERED and "gioconda.asset.cutOff" in [code.code for code in found.codes]
    assert "The file is cut off" in "\n".join(describe.lines(found))  # without --codes
    # Without a credential, what its missing part held is not known.
    bare = write_any(tmp_path / "c.jpg")
    assert read(bare, trust=TRUST).state == State.ABSENT
    bare.write_bytes(bare.read_bytes()[:-200])
    assert (read(bare).state, read(bare).reason) == (State.UNREADABLE, CredentialReason.DAMAGED)


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("stamped", [-60, 0, 600])
def test_a_certificate_not_valid_when_stamped_is_not_called_one_of_tomorrow(first, tmp_path, stamped, listed):
    ends = NOW - days(1) if stamped == 0 else NOW + days(90)
    short = leaf("short", root=old_root(), not_before=NOW - days(30), not_after=ends)
    with Authority(at=NOW + days(stamped)) as clock:
        forged = resign(first[0], tmp_path / "stamped.wav", short, clock)
    clocks = [trust_in(clock.root, kind="tsa")] if listed else []
    found = read(forged, trust=both(trust_in(old_root()), *clocks))
    assert (found.state, found.reason) == (State.INVALID, CredentialReason.EXPIRED)
    shown, lines = told(found), "\n".join(describe.lines(found))
    assert "not valid yet" not in shown and "clock of this computer or" not in shown
    if listed or stamped:
        assert "certificate behind the signature was not valid" in shown and "not proven" not in shown
    assert "signature is older" not in lines or not listed


def test_a_certificate_beside_a_signature_it_did_not_make_names_nobody(first, tmp_path):
    data = first[0].read_bytes()
    with store.opened(first[0]) as opened:
        sign1 = cose._signature(opened.store, opened.document["active_manifest"])
    changed = bytearray(data)
    changed[data.index(sign1) + len(sign1) - 1] ^= 1
    (tmp_path / "forged.wav").write_bytes(changed)
    found = read(tmp_path / "forged.wav", trust=TRUST)
    assert found.reason == CredentialReason.ALTERED and found.decided_by[0] == "claimSignature.mismatch"
    assert found.trust_list is None and "signed by" not in told(found)


def test_an_empty_sidecar_is_told_and_not_taken_for_none(tmp_path):
    picture, sidecar = write_any(tmp_path / "p.jpg"), tmp_path / "p.jpg.c2pa"
    sidecar.touch()
    assert read(picture).reason == read(sidecar).reason == CredentialReason.MALFORMED


@pytest.mark.parametrize("name", ["p.jpg.c2pa", "alone.c2pa", "list.pem", "key.pem", "config.toml", "scores.csv"])
def test_what_is_too_large_to_be_what_it_is_named_is_not_read(name, tmp_path):
    """A sidecar of any size was read whole, and so was whatever else a stranger sends beside a clip."""
    write_any(tmp_path / "p.jpg")
    (tmp_path / name).touch()
    os.truncate(tmp_path / name, (2 << 30 if name == "scores.csv" else 64 << 20) + 1)  # no byte of it is on the disk
    reads = {"list.pem": read_list, "key.pem": PemSigner, "config.toml": read_toml, "scores.csv": read_sheet}
    reader = reads.get(name, read)
    with pytest.raises(GiocondaError, match=f"{re.escape(name)}.*: larger than (64 M|2 G)iB"):
        reader(tmp_path / ("p.jpg" if name == "p.jpg.c2pa" else name))


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs a file that gives nobody its first byte")
def test_a_sidecar_that_cannot_be_read_is_an_error_and_not_taken_for_none(tmp_path):
    picture, sidecar = write_any(tmp_path / "p.jpg"), tmp_path / "p.jpg.c2pa"
    sidecar.symlink_to("/proc/self/mem")
    for path in (picture, sidecar):
        with pytest.raises(MediaError, match=r"the credential beside it, p\.jpg\.c2pa, cannot be read"):
            read(path)
    report = Examiner([], sandbox=False).examine(picture, evidence=False)
    assert (report.provenance.state, report.provenance.reason) == (State.UNREADABLE, CredentialReason.UNJUDGED)
    assert "p.jpg.c2pa, cannot be read" in report.errors[0].text and "gave no findings" in told(report.provenance)
    signed = sign.sign_file(picture, tmp_path / "s.jpg", created(), signer=signer_of(leaf(), tmp_path))
    sidecar.rename(tmp_path / "s.jpg.c2pa")  # beside what has one of its own
    found = read(signed, trust=TRUST)
    assert found.state == State.TRUSTED and "s.jpg.c2pa" in [code.where for code in found.codes]


@pytest.mark.parametrize("inherited", [False, True])
def test_a_place_in_a_signed_statement_is_told_of_before_it_is_handed_on(tmp_path, inherited):
    """Also of what the file was made from: a camera's credential goes along with every edit."""
    signer, code = signer_of(leaf(), tmp_path), "gioconda.statement.private"
    place = {"exif:GPSLatitude": "40,44.1861N", "exif:GPSLongitude": "73,59.5896W", "exif:GPSVersionID": "2.3.0.0"}
    said = {
        "stds.exif": {**place, "exifEX:BodySerialNumber": "30079", "exif:FNumber": "4"},
        "stds.iptc": {"dc:creator": "me"},
    }
    path = sign.sign_file(write_any(tmp_path / "a.jpg"), tmp_path / "b.jpg", created(assertions=said), signer=signer)
    if inherited:
        edit = claims.Credential("edit", intent="edit", actions=(claims.Action("c2pa.edited"),))
        path = sign.sign_file(path, tmp_path / "c.jpg", edit, signer=signer)
    found, names = read(path, trust=TRUST), "BodySerialNumber, GPSLatitude, GPSLongitude"
    assert [item.where for item in found.codes if item.code == code] == [names] and found.state == State.TRUSTED
    assert f"states {names}: a place" in told(found)


def test_a_sidecar_alone_needs_its_file_and_finds_it(tmp_path):
    picture = write_any(tmp_path / "p.jpg")
    sidecar = sign.sign_sidecar(picture, None, created(), signer=signer_of(leaf(), tmp_path))
    assert read(sidecar, trust=TRUST).state == State.TRUSTED  # its file lies beside it
    assert read(sidecar, trust=TRUST).sidecar
    alone = tmp_path / "elsewhere" / "p.jpg.c2pa"
    alone.parent.mkdir()
    shutil.copy(sidecar, alone)
    found = read(alone, trust=TRUST)
    assert (found.state, found.reason) == (State.INVALID, CredentialReason.INCOMPLETE)
    assert found.decided_by == ("gioconda.asset.alone",)
    assert not [code for code in found.codes if "mismatch" in code.code]
    assert "does not lie beside it" in told(found) and "not show that anything was changed" in told(found)
    assert "Test signer, Test house" in told(found)
    # By its other name, and by one that several files share.
    short = alone.with_name("p.c2pa")
    alone.rename(short)
    shutil.copy(picture, short.with_name("p.jpg"))
    assert read(short, trust=TRUST).state == State.TRUSTED
    write_picture(short.with_name("p.png"), seed=3)
    assert read(short, trust=TRUST).state == State.TRUSTED
    # Another file of that name is another file.
    short.with_name("p.png").unlink()
    write_picture(short.with_name("p.jpg"), seed=3)
    assert read(short, trust=TRUST).reason == CredentialReason.ALTERED


def test_an_initialisation_segment_needs_its_segments_and_finds_them(dash, tmp_path):
    init, segments = dash
    alone = tmp_path / "alone" / "init.mp4"
    alone.parent.mkdir()
    shutil.copy(init, alone)
    found = read(alone, trust=TRUST)
    assert (found.state, found.reason) == (State.INVALID, CredentialReason.INCOMPLETE)
    assert found.decided_by == ("gioconda.asset.segments",)
    assert "None of its segments lies beside it" in told(found) and "changed" not in told(found).split("That does")[0]
    assert read(init, trust=TRUST).state == State.TRUSTED  # in the folder of its segments
    for segment in segments:
        shutil.copy(segment, alone.parent)
    flip(alone.with_name(segments[1].name), segments[1].stat().st_size - 5)
    found = read(alone, trust=TRUST)
    assert (found.reason, found.decided_by) == (CredentialReason.INCOMPLETE, ("gioconda.asset.unfitSegments",))
    second = alone.with_name(segments[1].name)
    for other in (None, segments[0]):  # cut out of the middle; another in its place
        second.unlink(missing_ok=True)
        if other:
            shutil.copy(other, second)
        found = read(alone, trust=TRUST)
        assert (found.reason, found.decided_by) == (CredentialReason.INCOMPLETE, ("gioconda.asset.missingSegments",))
        assert "counts more segments" in told(found) and "does not show that anything was changed" in told(found)


def test_a_broken_store_keeps_its_codes(tmp_path):
    from provenance.reading import verdict

    path = sign.sign_file(
        write_any(tmp_path / "a.jpg"), tmp_path / "b.jpg", created(), signer=signer_of(leaf(), tmp_path)
    )
    with store.opened(path, TRUST.anchors) as opened:
        opened.document["manifests"] = {}
        results = opened.document["validation_results"]["activeManifest"]
        results["failure"] = [
            {"code": "claim.malformed", "url": ""},
            {"code": "signingCredential.untrusted", "url": ""},
        ]
        found = verdict.judge(opened, TRUST)
        assert (found.state, found.reason) == (State.INVALID, CredentialReason.MALFORMED)
        assert found.decided_by == ("claim.malformed",) and "cannot be read as one" in told(found)
        results["failure"] = []
        assert verdict.judge(opened, TRUST).state == State.UNREADABLE


def test_a_mutated_certificate_in_a_store_is_a_verdict_and_no_traceback(tmp_path):
    path = sign.sign_file(
        write_any(tmp_path / "a.wav"), tmp_path / "b.wav", created(), signer=signer_of(leaf(), tmp_path)
    )
    data = path.read_bytes()
    der = leaf().chain[0].public_bytes(certificates.serialization.Encoding.DER)
    at = data.index(der) + der.index(bytes.fromhex("a003020102"))
    path.write_bytes(data[: at + 4] + b"\x22" + data[at + 5 :])  # a version that X.509 does not have
    found = read(path, trust=TRUST)
    assert found.state in (State.INVALID, State.UNREADABLE)


def test_an_ingredient_that_fails_now_is_said_to_be_the_ingredient(tmp_path):
    signer = signer_of(leaf(), tmp_path)
    parent = sign.sign_file(write_any(tmp_path / "a.wav"), tmp_path / "parent.wav", created(), signer=signer)
    edit = claims.Credential(
        "edit",
        intent="edit",
        ingredients=(Ingredient("parent", "", "the parent", str(parent)),),
        actions=(claims.Action("c2pa.edited"),),
    )
    path = sign.sign_file(parent, tmp_path / "edit.wav", edit, signer=signer)
    data = path.read_bytes()
    with store.opened(path) as opened:
        labels = list(opened.document["manifests"])
        ours = opened.document["active_manifest"]
        (other,) = [label for label in labels if label != ours]
        old = cose._content(opened.store, "c2pa", other, "c2pa.assertions", "c2pa.actions.v2")
    assert data.count(old) == 1
    changed = bytearray(data)
    changed[data.index(old) + old.index(b"trainedAlgorithmicMedia")] ^= 1
    path.write_bytes(bytes(changed))
    found = read(path, trust=TRUST)
    assert (found.state, found.reason) == (State.INVALID, CredentialReason.INGREDIENT), found.codes
    assert "What was signed is unchanged" in told(found)


def test_what_is_wrong_with_a_timestamp_is_always_told(first, tmp_path):
    with Authority(wrong_imprint=True) as clock:
        found = read(resign(first[0], tmp_path / "a.wav", leaf(), clock), trust=both(TRUST, clock_list(clock)))
    assert found.state == State.TRUSTED and not found.timestamped
    assert "timeStamp.mismatch" in "\n".join(describe.lines(found))  # without --codes
    assert "Of the timestamp:" in told(found) and "made for something else" in told(found)


@pytest.mark.parametrize("code", [code for code in codes.sentences() if not rules.tolerated(code)])
def test_every_failure_has_a_reason_and_only_a_changed_hash_is_called_altered(code):
    reason = rules.reason_of(code)
    assert reason in rules._GRAVEST
    if reason == CredentialReason.ALTERED:
        assert any(word in code for word in ("ismatch", "unknownBox", "undeclared", "incorrect"))
    if code.endswith((".mismatch", ".hashMismatch")):
        assert reason == CredentialReason.ALTERED
    if code in ("assertion.required.missing", "assertion.action.missing"):  # a field is no part of the file
        assert reason == CredentialReason.MALFORMED


def test_the_standards_own_json_is_given_on_request(tmp_path, capsys):
    import json

    from gioconda.cli import main

    path = sign.sign_file(
        write_any(tmp_path / "a.jpg"), tmp_path / "b.jpg", created(), signer=signer_of(leaf(), tmp_path)
    )
    assert main(["-q", "provenance", "read", str(path), "-o", "crjson"]) == 0
    given = json.loads(capsys.readouterr().out)
    assert "trainedAlgorithmicMedia" in json.dumps(given) and isinstance(given, dict)
