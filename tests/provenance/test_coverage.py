"""What the signed hash leaves out is told, and a credential that leaves out what is shown or heard does not hold."""

import hashlib
import io
import json
import struct
import time
from types import SimpleNamespace

import pytest
from provenance_forge import rewritten
from provenance_kit import authority, box, created, leaf, signer_of, trust_in, write_mp4, write_picture, write_wav
from provenance_tsa import Authority

from gioconda.report.view import credential_sentences
from gioconda.report.wording import say
from gioconda_core.media import containers
from gioconda_core.types import CredentialReason
from gioconda_core.types import ProvenanceState as State
from provenance.keys import certificates
from provenance.reading import cose, coverage
from provenance.reading.open import opened
from provenance.reading.parts import parts, store
from provenance.reading.read import read
from provenance.signing import claims, sign
from provenance.vocabulary import C2PA_BOX

TRUST = trust_in(authority())
CONTENT, PARTIAL = "gioconda.binding.content", "gioconda.binding.partial"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A picture, sound and a clip, each signed with a timestamp: that leaves room for what is forged."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("coverage")
    write_picture(folder / "bare.jpg")
    exif = Image.Exif()
    exif[0x010F] = "Example"
    with Image.open(folder / "bare.jpg") as picture:
        picture.save(folder / "plain.jpg", exif=exif)
    write_wav(folder / "plain.wav")
    write_mp4(folder / "plain.mp4", frames=12)
    with Authority() as clock:
        signer = signer_of(leaf(), folder, timestamp=clock.url)
        for kind in ("jpg", "wav", "mp4"):
            sign.sign_file(folder / f"plain.{kind}", folder / f"signed.{kind}", created(), signer=signer)
    return folder


def seen(path):
    found = read(path, trust=TRUST)
    told = " ".join(say(item, "en") for item in credential_sentences(found, [("test list", "2026-01-01")]))
    return found, {code.code: code for code in found.codes if code.code in (CONTENT, PARTIAL)}, told


def without(path, start, length):
    """Changes a hash over a whole file so that it leaves out one range more."""
    data = path.read_bytes()

    def change(said):
        ranges = sorted([*said["exclusions"], {"start": start, "length": length}], key=lambda item: item["start"])
        digest, at = hashlib.sha256(), 0
        for item in ranges:
            digest.update(data[at : item["start"]])
            at = item["start"] + item["length"]
        digest.update(data[at:])
        return {**said, "exclusions": ranges, "hash": digest.digest()}

    return {"c2pa.hash.data": change}


def test_sound_that_the_hash_leaves_out_may_be_changed_and_nothing_holds(files, tmp_path):
    path = files / "signed.wav"
    forged = rewritten(path, tmp_path / "forged.wav", leaf(), without(path, 44, 2000))
    data = bytearray(forged.read_bytes())
    data[500:900] = b"z" * 400
    (tmp_path / "changed.wav").write_bytes(data)
    for name in ("forged.wav", "changed.wav"):  # the SDK calls both trusted
        found, met, told = seen(tmp_path / name)
        assert (found.state, found.reason, found.decided_by) == (State.INVALID, CredentialReason.MALFORMED, (CONTENT,))
        assert met[CONTENT].where == "data: 2000 B" and "shows or plays" in told


def test_metadata_that_the_hash_leaves_out_are_named(files, tmp_path):
    path = files / "signed.jpg"
    at = path.read_bytes().index(b"Exif\0\0")
    forged = rewritten(path, tmp_path / "forged.jpg", leaf(), without(path, at, 20))
    found, met, told = seen(forged)
    assert found.state == State.TRUSTED and met[PARTIAL].where == "APP1: 20 B"
    assert "leaves out part of the file beside the credential itself (APP1: 20 B)" in told
    assert "changed since signing" not in told
    scan = path.read_bytes().index(b"\xff\xda") + 20
    found, met, _ = seen(rewritten(path, tmp_path / "scan.jpg", leaf(), without(path, scan, 100)))
    assert found.state == State.INVALID and met[CONTENT].where == "SOS: 100 B"


SVG = """<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" width="90" height="90"><metadata>by nobody</metadata><!-- a remark --><text>shown</text>
<foreignObject><metadata xmlns="http://www.w3.org/1999/xhtml">also shown</metadata></foreignObject></svg>"""


def drawn(path):
    """A small file of a kind whose credential is not in segments or chunks."""
    from PIL import Image
    from provenance_kit import picture

    if path.suffix == ".svg":
        path.write_text(SVG)
    elif path.suffix == ".wav":
        write_wav(path)
    elif path.suffix in (".mp3", ".flac"):
        import av

        write_wav(path.with_suffix(".wav"), 1.0)
        with av.open(str(path.with_suffix(".wav"))) as tone, av.open(str(path), "w") as file:
            track = file.add_stream("libmp3lame" if path.suffix == ".mp3" else "flac", rate=8000, layout="mono")
            for part in [*tone.decode(audio=0), None]:
                file.mux(track.encode(part))
    else:
        more = {"comment": b"by nobody"} if path.suffix == ".gif" else {"description": "by nobody, as far as is known"}
        more = {"title": "by nobody"} if path.suffix == ".pdf" else more
        Image.fromarray(picture(64)).convert("P" if path.suffix == ".gif" else "RGB").save(path, **more)
    return path


@pytest.mark.parametrize(
    ("kind", "text", "length", "code", "said"),
    [
        ("gif", b"by nobody", 9, PARTIAL, "comment: 9 B"),
        ("gif", b"", 500, CONTENT, "image: 499 B"),
        ("tif", b"by nobody", 9, PARTIAL, "comment: 9 B"),
        ("tif", bytes((250, 30, 60)), 900, CONTENT, "strip: 900 B"),
        # Where the strips lie: no larger than what points to the credential.
        ("tif", b"\x11\x01\x04\x00", 12, CONTENT, ": 12 B"),
        ("svg", b"by nobody", 9, PARTIAL, "metadata: 9 B"),
        ("svg", b"a remark", 8, PARTIAL, "comment: 8 B"),
        ("svg", b"shown", 5, CONTENT, ": 5 B"),
        ("svg", b"also shown", 10, CONTENT, ": 10 B"),
        ("pdf", b"/Contents", 9, CONTENT, "PDF: 9 B"),
        ("pdf", b"startxref", 20, CONTENT, "PDF: 20 B"),
        ("wav", b"RIFF", 8, PARTIAL, "RIFF: 8 B"),
        ("mp3", b"TSSE", 9, PARTIAL, "ID3: 9 B"),
        ("mp3", b"", 600, CONTENT, "sound: 600 B"),
        ("flac", b"Lavf", 4, PARTIAL, "FLAC:comment: 4 B"),
        ("flac", b"fLaC", 12, CONTENT, "FLAC:stream: 8 B"),
    ],
)
def test_in_every_kind_of_file_what_is_left_out_is_told_as_what_it_is(tmp_path, kind, text, length, code, said):
    plain, path = drawn(tmp_path / f"plain.{kind}"), tmp_path / f"signed.{kind}"
    with Authority() as clock:
        sign.sign_file(plain, path, created(), signer=signer_of(leaf(), tmp_path, timestamp=clock.url))
    assert seen(path)[:2] == (read(path, trust=TRUST), {}) and read(path, trust=TRUST).state == State.TRUSTED
    at = path.read_bytes().rindex(text) if text else path.stat().st_size - length
    found, met, _ = seen(rewritten(path, tmp_path / f"forged.{kind}", leaf(), without(path, at, length)))
    assert (set(met), found.state) == ({code}, State.INVALID if code == CONTENT else State.TRUSTED)
    assert said in met[code].where


def named(content):
    return [part.name for part in parts(io.BytesIO(content), len(content))]


def test_a_strangers_lengths_and_numbers_cost_no_more_than_their_share():
    far = struct.pack("<2sHHHQQHHQQHHQQQ", b"II", 43, 8, 0, 16, 2, 273, 4, 3, (1 << 64) - 1, 279, 4, 1 << 63, 8, 0)
    assert named(far) == []  # a place beyond what a file can have
    assert named(b"GIF89a" + bytes(7) + b"\x21\xfe" + b"\1x" * (1 << 20) + b"\0\x2c") == []  # not a comment to its end
    # A description that covers strips of which there are too many to look at.
    said = struct.pack("<HHII", 270, 2, 9000, 8)
    strips = struct.pack("<HHIIHHII", 273, 4, 1 << 21, 8, 279, 4, 1 << 21, 8)
    assert named(b"II*\0\x08\0\0\0\3\0" + said + strips + bytes(4)) == []
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg"><!-- a -->%s</svg>'
    assert named(drawing % b"<g></g>") == ["comment"]
    assert named(drawing % (b"<g>" * 2000 + b"</g>" * 2000)) == named(drawing % (b"<!---->" * 100_001)) == ["SVG"]
    assert parts(io.BytesIO(b"BM a picture"), 12) is None
    for outside in (-1, 1 << 70):
        assert store(io.BytesIO(drawing), outside, len(drawing)) == 0


def test_a_history_of_thousands_of_updates_is_followed_to_the_hash_in_a_fraction_of_a_second():
    def manifest(label, kind, *assertions):
        listed = [superbox(name, box(b"cbor", b"\xa0")) for name in assertions]
        return superbox(label, superbox("c2pa.assertions", *listed), kind=kind)

    def superbox(label, *inside, kind=b"c2ma"):
        return box(b"jumb", box(b"jumd", kind + bytes(12) + b"\3" + label.encode() + b"\0") + b"".join(inside))

    labels = [f"urn:{i}" for i in range(3000)]
    updates = [manifest(label, b"c2um", "c2pa.ingredient.v3") for label in labels[1:]]
    store = superbox("c2pa", manifest(labels[0], b"c2ma", "c2pa.hash.data"), *updates)
    before = zip(labels[1:], labels, strict=False)
    parents = {label: {"ingredients": [{"relationship": "parentOf", "active_manifest": old}]} for label, old in before}
    document = {"active_manifest": labels[-1], "manifests": {labels[0]: {}} | parents}
    start = time.process_time()
    assert coverage._bindings(SimpleNamespace(plain=store, document=document, label=labels[-1])) == [
        ("c2pa.hash.data", {}, True)
    ]
    assert time.process_time() - start < 3  # 50 s where each update looked through all of them


def leaving_out(path, *kinds):
    """Changes a hash over boxes so that it leaves out further kinds of box, and keeps no leaves."""
    data = path.read_bytes()
    with open(path, "rb") as file:
        boxes = list(containers.boxes(file, len(data)))
    gone = {b"ftyp", b"mfra", b"free", b"skip", b"uuid", *kinds}

    def change(said):
        digest = hashlib.sha256()
        for item in boxes:
            if item.kind not in gone:
                digest.update(item.start.to_bytes(8, "big") + data[item.start : item.start + item.size])
        kept = [item for item in said["exclusions"] if item["xpath"] != "/mdat"]
        more = [{"xpath": f"/{kind.decode()}"} for kind in kinds]
        return {"exclusions": kept + more, "alg": "sha256", "hash": digest.digest(), "name": "x"}

    return {"c2pa.hash.bmff.v3": change}


@pytest.mark.parametrize("kinds", [(b"mdat",), (b"moov",), (b"mdat", b"moov")])
def test_a_clip_whose_media_the_hash_leaves_out_does_not_hold(files, tmp_path, kinds):
    path = files / "signed.mp4"
    whole = rewritten(path, tmp_path / "whole.mp4", leaf(), leaving_out(path))
    assert seen(whole)[:2] == (read(whole, trust=TRUST), {}) and read(whole, trust=TRUST).state == State.TRUSTED
    found, met, _ = seen(rewritten(path, tmp_path / "forged.mp4", leaf(), leaving_out(path, *kinds)))
    assert (found.state, found.reason) == (State.INVALID, CredentialReason.MALFORMED)
    assert all(kind.decode() in met[CONTENT].where for kind in kinds)


def test_media_that_lie_behind_more_boxes_than_are_looked_at_are_not_left_out_unseen(files, tmp_path, monkeypatch):
    path = files / "signed.mp4"
    forged = rewritten(path, tmp_path / "forged.mp4", leaf(), leaving_out(path, b"mdat"))
    monkeypatch.setattr(containers, "MOST", 2)
    found, met, _ = seen(forged)
    assert found.state == State.INVALID and met[CONTENT].where == "mdat"


def test_tables_of_places_that_the_first_kind_of_hash_leaves_out_are_no_content(files, tmp_path):
    """As the SDK itself wrote them in 2021 and 2022; two of C2PA's own test files were said not to hold."""
    places = [f"/moov/trak/mdia/minf/stbl/{kind}" for kind in ("stco", "co64")] + ["/moof/traf/trun"]
    change = {
        "c2pa.hash.bmff.v3": lambda said: said | {"exclusions": said["exclusions"] + [{"xpath": p} for p in places]}
    }
    with opened(rewritten(files / "signed.mp4", tmp_path / "places.mp4", leaf(), change)) as credential:
        (met,) = coverage.findings(credential)  # its hash is not made anew, so a reading would not come to this
    assert met.code == PARTIAL and "stbl/stco" in met.where


def by_names(path, left_out):
    """What makes a hash over named segments of the hash over a whole JPEG; one segment is left out."""
    data = path.read_bytes()
    names, at, made = {0xC0: "SOF0", 0xC4: "DHT", 0xDB: "DQT", 0xEB: "C2PA"}, 2, [("SOI", 0, 2)]
    while data[at + 1] != 0xDA:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        made.append((names.get(marker) or f"APP{marker - 0xE0}", at, at + 2 + length))
        at += 2 + length
    made += [("SOS", at, len(data) - 2), ("EOI", len(data) - 2, len(data))]
    boxes = [
        {"names": [name], "hash": hashlib.sha256(data[begin:end]).digest(), "pad": b""}
        | ({"excluded": True} if name == left_out else {})
        for name, begin, end in made
    ]
    return {"c2pa.hash.data": lambda said: {"boxes": boxes, "alg": "sha256", "name": "x"}}


@pytest.mark.parametrize(("name", "code"), [("SOS", CONTENT), ("APP1", PARTIAL), ("", None)])
def test_a_segment_that_a_hash_by_names_leaves_out_is_told(files, tmp_path, name, code):
    path = files / "signed.jpg"
    labels = {"c2pa.hash.data": "c2pa.hash.boxes"}
    forged = rewritten(path, tmp_path / "forged.jpg", leaf(), by_names(path, name), labels=labels)
    found, met, _ = seen(forged)
    assert "assertion.boxesHash.match" in {item.code for item in found.codes}
    assert found.state == (State.INVALID if code == CONTENT else State.TRUSTED)
    assert {item: told.where for item, told in met.items()} == ({code: name} if code else {})


def test_a_compressed_credential_is_looked_into_like_any_other(files, tmp_path):
    """What the SDK unpacks by itself (C2PA 2.4, 11.2.4) hid its signer and what its hash leaves out from us."""
    import c2pa

    from provenance.sdk import engine

    document = engine.settings()
    document["core"]["prefer_compress_manifests"] = True
    manifest = claims.to_manifest(created())
    path = tmp_path / "packed.jpg"
    with (
        c2pa.Builder(manifest, context=c2pa.Context.from_json(json.dumps(document))) as builder,
        open(files / "plain.jpg", "rb") as plain,
        open(path, "w+b") as signed,
    ):
        builder.sign(signer_of(leaf(), tmp_path).native(), "image/jpeg", plain, signed)
    assert b"brob" in path.read_bytes()
    found, met, _ = seen(path)
    assert (found.state, found.reason, met) == (State.TRUSTED, None, {})
    assert found.signer_fingerprint == certificates.fingerprint(leaf().chain[0])
    with opened(path) as credential:
        assert "c2pa.hash.boxes" in cose.assertions_of(credential.plain, credential.document["active_manifest"])
        broken = credential.store.replace(b"brob", b"brob", 1)[:-40] + bytes(40)
    assert cose.unpacked(broken)  # never an error: what cannot be unpacked stays as it is


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("1864", 100),
        ("3b00000000ffffffff", -(2**32)),
        ("5f42010243030405ff", b"\1\2\3\4\5"),  # in pieces, as the next two
        ("7f61616162ff", "ab"),
        ("bf616101820203ff", "malformed"),
        ("bf6161018202038104ff", {"a": 1, "[2, 3]": [4]}),
        ("9f0102ff", [1, 2]),
        ("c2820af5", [10, True]),
        ("a1f6f6", {None: None}),
        ("62c328", "\ufffd("),
        ("9f01", "ends early"),
        ("420a", "ends early"),
        ("5f01ff", "malformed"),
        ("1c", "malformed"),
        ("9b00ffffffffffffff", "more items"),
        ("bb7fffffffffffffff", "more items"),
        ("81" * 40 + "01", "too deep"),
    ],
)
def test_cbor_of_every_form_is_read_and_none_by_the_length_that_it_claims(data, value):
    if isinstance(value, str) and value in ("ends early", "malformed", "more items", "too deep"):
        with pytest.raises(ValueError, match=value if value != "malformed" else "malformed|longer than|shorter than"):
            cose.decode(bytes.fromhex(data))
    else:
        assert cose.decode(bytes.fromhex(data)) == value


def test_a_statement_that_is_only_named_like_a_hash_hides_none(files, tmp_path):
    path = tmp_path / "decoy.wav"
    decoy = created(assertions={"c2pa.hash.a": {"exclusions": []}})
    with Authority() as clock:
        signer = signer_of(leaf(), tmp_path, timestamp=clock.url)
        sign.sign_file(files / "plain.wav", path, decoy, signer=signer)
    forged = rewritten(path, tmp_path / "forged.wav", leaf(), without(path, 44, 2000))
    found, met, _ = seen(forged)
    assert found.state == State.INVALID and CONTENT in met


STRAY = C2PA_BOX + bytes(4) + b"garbage\0" + b"hidden"


@pytest.mark.parametrize(
    ("kind", "payload", "said"),
    [
        (b"free", b"a message" * 100, "free: 908 B"),
        (b"skip", b"x", "skip: 9 B"),
        (b"ftyp", b"isom\0\0\0\0isom", "ftyp: 20 B"),
        (b"uuid", STRAY, "uuid: 42 B"),
        (b"free", bytes(900), None),
    ],
)
def test_what_is_appended_where_no_hash_reaches_is_named(files, tmp_path, kind, payload, said):
    """By the standard the credential holds; that the file is the same to the byte is never said."""
    path = tmp_path / "more.mp4"
    path.write_bytes((files / "signed.mp4").read_bytes() + box(kind, payload))
    found, met, told = seen(path)
    assert found.state == State.TRUSTED and CONTENT not in met
    assert (met[PARTIAL].where if PARTIAL in met else None) == said
    assert ("leaves out part of the file" in told) == bool(said)
    assert "what was signed is unchanged" in told


@pytest.mark.parametrize("kind", [b"mdat", b"moov", b"uuid", b"udta"])
def test_a_box_that_is_shown_or_read_cannot_be_appended(files, tmp_path, kind):
    path = tmp_path / "more.mp4"
    path.write_bytes((files / "signed.mp4").read_bytes() + box(kind, bytes(64)))
    assert read(path, trust=TRUST).reason == CredentialReason.ALTERED


def test_an_update_is_measured_by_the_hash_of_what_it_updates(files, tmp_path):
    """It has none of its own; that its store has grown moves what lies behind it."""
    path = files / "signed.jpg"
    scan = path.read_bytes().index(b"\xff\xda") + 20
    forged = rewritten(path, tmp_path / "forged.jpg", leaf(), without(path, scan, 100))
    later = tmp_path / "later.jpg"
    update = claims.Credential("more said", intent="update")
    sign.sign_file(forged, later, update, signer=signer_of(leaf(), tmp_path))
    _, met, _ = seen(later)
    assert met[CONTENT].where == "SOS: 100 B"


def test_an_update_that_has_a_hash_of_its_own_hides_nothing(files, tmp_path):
    """The SDK trusts it, and it stood before the hash that counts."""
    path = files / "signed.jpg"
    scan = path.read_bytes().index(b"\xff\xda") + 20
    forged, later = tmp_path / "forged.jpg", tmp_path / "later.jpg"
    rewritten(path, forged, leaf(), without(path, scan, 100))
    update = claims.Credential("more said", intent="update", assertions={"org.example.x": {"exclusions": []}})
    with Authority() as clock:
        sign.sign_file(forged, later, update, signer=signer_of(leaf(), tmp_path, timestamp=clock.url))
    found, met, _ = seen(rewritten(later, tmp_path / "decoy.jpg", leaf(), labels={"org.example.x": "c2pa.hash.data"}))
    assert met[CONTENT].where == "SOS: 100 B"
    assert (found.reason, set(found.decided_by)) == (CredentialReason.MALFORMED, {"manifest.update.invalid", CONTENT})
