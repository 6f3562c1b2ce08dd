"""Claims as objects and TOML, every container of the SDK, updates and redactions, codes with sentences, lists with names."""

import builtins
import json
import re

import pytest
from provenance_kit import (
    MAKERS,
    authority,
    both,
    created,
    leaf,
    signer_of,
    trust_in,
    write_any,
    write_picture,
    write_wav,
)

from gioconda.report.verdict import verdict
from gioconda.report.view import credential_sentences
from gioconda.report.wording import say
from gioconda_core.errors import CredentialError, UsageError
from gioconda_core.types import Code, Ingredient, Provenance
from gioconda_core.types import ProvenanceState as State
from gioconda_core.version import __version__
from provenance import codes, sanitise
from provenance.keys import certificates
from provenance.reading import describe, open, rules
from provenance.reading.read import read
from provenance.sdk import engine
from provenance.signing import claims, sign
from provenance.tools import batch
from provenance.trust import lists as trust
from provenance.vocabulary import MARK, SoftBinding


@pytest.fixture
def signer(tmp_path):
    return signer_of(leaf(), tmp_path)


TOML = """
title = "A restored photograph"
intent = "edit"
redactions = []
[training]
ai_training = "notAllowed"
[ai]
model_type = "c2pa.types.model"
model_name = "restorer"
oversight = "human_validated"
[[actions]]
action = "c2pa.edited"
source_type = "algorithmicallyEnhanced"
software = "Restorer"
[[ingredients]]
role = "input"
path = "scan.png"
[assertions."org.example.note"]
text = "seen by the desk"
"""


def test_a_claim_written_as_toml_comes_back(tmp_path, signer):
    (tmp_path / "claim.toml").write_text(TOML)
    write_picture(tmp_path / "scan.png", seed=3)
    plain = write_any(tmp_path / "plain.jpg")
    path = sign.sign_file(plain, tmp_path / "signed.jpg", claims.from_toml(tmp_path / "claim.toml"), signer=signer)
    found = read(path, trust=trust_in(authority()))
    assert found.state == State.TRUSTED
    assert [action["action"] for action in found.actions] == ["c2pa.opened", "c2pa.edited"]
    assert {node.relationship for node in found.ingredients} == {"parentOf", "inputTo"}
    with open.opened(path) as opened:
        said = {item["label"]: item for item in opened.active["assertions"]}
    # C2PA 2.4, 18.28: nothing is stated that was not given.
    assert said["c2pa.ai-disclosure"]["data"] == {
        "modelType": "c2pa.types.model",
        "modelName": "restorer",
        "contentProfile": {"humanOversightLevel": "human_validated"},
    }
    stated = {item["label"]: item for item in found.statements}
    assert stated["c2pa.ai-disclosure"]["data"] == said["c2pa.ai-disclosure"]["data"]
    assert set(stated) >= {"cawg.training-mining", "org.example.note"} and "c2pa.actions.v2" not in stated
    shown = "\n".join(describe.lines(found))
    told = [say(item, "en") for item in credential_sentences(found)]
    assert any("limits how the file may be used" in item and "cawg.ai_training: notAllowed" in item for item in told)
    for part in (
        "contentProfile.humanOversightLevel: human_validated",
        "cawg.ai_training.use: notAllowed",
        "seen by the desk",
    ):
        assert part in shown
    assert found.claim_generator and opened.active["claim_generator_info"][0]["specVersion"] == "2.4.0"
    assert said["cawg.training-mining"]["data"]["entries"] == {"cawg.ai_training": {"use": "notAllowed"}}
    assert said["org.example.note"]["data"] == {"text": "seen by the desk"}
    assert re.fullmatch("[0-9a-f]{64}", said["org.gioconda.ingredients"]["data"]["ingredients"][0]["sha256"])
    assert all(item.get("created") for label, item in said.items() if not label.startswith("c2pa.ingredient"))


# C2PA 2.4, table 12, copied from the specification.
TABLE_12 = """c2pa.types.model caffe caffe2 catboost coreml flax huggingface.transformers jax keras lightgbm ml_net mxnet onnx openvino
openvino.parameter openvino.topology paddle pytorch sklearn tensorflow tensorrt tflite torchscript xgboost"""


def test_model_types_are_those_of_the_specification():
    from provenance.vocabulary import MODEL_TYPES

    first, *rest = TABLE_12.split()
    assert set(MODEL_TYPES) == {first, *(f"{first}.{name}" for name in rest)}


def test_oversight_that_was_not_given_is_not_invented():
    claim = created(ai=claims.AiDisclosure("c2pa.types.model", "painter"))
    said = {item["label"]: item["data"] for item in claims.to_manifest(claim)["assertions"]}
    assert said["c2pa.ai-disclosure"] == {"modelType": "c2pa.types.model", "modelName": "painter"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('titel = "x"', "titel"),
        ('title = "x"\n[[actions]]\nacton = "c2pa.created"', "acton"),
        ('title = "x"\nintent = "destroy"', "no such intent"),
        ('title = "x"\n[[ingredients]]\nrole = "grandparent"', "no such role"),
        ('title = "x"\n[training]\nai_training = "no"', "no such use"),
        ("title = ", "not TOML"),
        ('title = "x"\n[[ingredients]]\nrole = "input"\npath = "nowhere.png"', "no such file"),
        ('title = "x"\n[[ingredients]]\nrole = "input"\npath = "claim.toml"\nsha256 = "ab"', "not the one stated"),
        ('title = "x"\n[[actions]]\naction = "c2pa.edited"\ninputs = [1]', "no such ingredient"),
        ('title = "x"\nactions = "c2pa.edited"', "not a list"),
        ("title = 3", "wrong type"),
        ('title = "x"\n[ai]\nmodel_type = "not.a.type"\nmodel_name = "P"', "no such model type"),
        (
            'title = "x"\n[ai]\nmodel_type = "c2pa.types.model"\nmodel_name = "P"\noversight = "whatever"',
            "no such oversight",
        ),
        ('title = "x"\ntraining = "no"', "wrong type"),
        ('title = "x"\n[[actions]]\naction = "c2pa.created"\nsource_type = 3', "wrong type"),
    ],
)
def test_a_typo_in_a_claim_is_an_error_not_a_silence(tmp_path, text, complaint):
    (tmp_path / "claim.toml").write_text(text)
    with pytest.raises(UsageError, match=complaint):
        claims.from_toml(tmp_path / "claim.toml")


def test_created_without_a_known_source_type_is_refused_before_signing():
    with pytest.raises(UsageError, match="digitalSourceType"):
        claims.to_manifest(claims.Credential("t", actions=(claims.Action("c2pa.created", "definitelyReal"),)))
    with pytest.raises(UsageError, match="source type"):
        claims.to_manifest(claims.Credential("t", actions=(claims.Action("c2pa.created"),)))
    with pytest.raises(UsageError, match=r"c2pa\.created"):
        claims.to_manifest(claims.Credential("t"))


def test_an_update_says_more_and_changes_nothing(tmp_path, signer):
    first = sign.sign_file(write_any(tmp_path / "a.png"), tmp_path / "b.png", created("first"), signer=signer)
    update = claims.Credential("more", intent="update", training={"ai_training": "notAllowed"})
    path = sign.sign_file(first, tmp_path / "c.png", update, signer=signer)
    found = read(path, trust=trust_in(authority()))
    assert found.state == State.TRUSTED and found.manifest_count == 2
    assert found.says_ai  # what the parent says of the pixels still holds
    assert found.ingredients[0].title == "first"  # the SDK gives an update's parent no name; it has one of its own
    from PIL import Image

    assert Image.open(first).tobytes() == Image.open(path).tobytes()


def test_a_redaction_takes_the_statement_out_and_says_so(tmp_path, signer):
    secret = created("first", label={"schema": "x", "where": "the source's address"})
    first = sign.sign_file(write_any(tmp_path / "a.jpg"), tmp_path / "b.jpg", secret, signer=signer)
    with open.opened(first) as opened:
        label = opened.document["active_manifest"]
    uri = f"self#jumbf=/c2pa/{label}/c2pa.assertions/org.gioconda.label"
    with pytest.raises(UsageError, match="needs its action"):
        claims.to_manifest(claims.Credential("silent", intent="update", redactions=(uri,)))
    redaction = claims.Credential(
        "without the address",
        intent="update",
        actions=(claims.Action("c2pa.redacted", parameters={"redacted": uri, "reason": "c2pa.PII.present"}),),
        redactions=(uri,),
    )
    path = sign.sign_file(first, tmp_path / "c.jpg", redaction, signer=signer)
    assert b"the source's address" in first.read_bytes() and b"the source's address" not in path.read_bytes()
    found = read(path, trust=trust_in(authority()))
    assert found.state == State.TRUSTED and found.redacted == (uri,)


def built(source, target, signer, change=dict, intent=None, ingredient=None):
    """Signed by the SDK from a manifest that our own claims would refuse to make. change : makes the manifest of ours."""
    import c2pa

    manifest = change(claims.to_manifest(claims.Credential("x", actions=(claims.Action("c2pa.created", "composite"),))))
    with (
        c2pa.Builder(manifest, context=engine.context(engine.settings())) as builder,
        builtins.open(source, "rb") as plain,
        builtins.open(target, "w+b") as signed,
    ):
        if intent:
            builder.set_intent(intent)
        if ingredient:
            with builtins.open(source, "rb") as part:
                builder.add_ingredient(json.dumps(ingredient), "image/jpeg", part)
        builder.sign(signer.native(), "image/jpeg", plain, signed)
    return target


def test_a_redaction_is_told_though_no_action_speaks_of_it(tmp_path, signer):
    """The action is only recommended (C2PA 2.4, 6.8); the claim lists what was taken out, and so do claims before it."""
    import c2pa

    first = sign.sign_file(
        write_any(tmp_path / "a.jpg"),
        tmp_path / "b.jpg",
        created(assertions={"org.example.note": {"by": "x"}}),
        signer=signer,
    )
    with open.opened(first) as opened:
        uri = f"self#jumbf=/c2pa/{opened.document['active_manifest']}/c2pa.assertions/org.example.note"
    update = c2pa.C2paBuilderIntent.UPDATE
    path = built(
        first, tmp_path / "c.jpg", signer, lambda made: {**made, "redactions": [uri], "assertions": []}, update
    )
    edit = claims.Credential("edit", intent="edit", actions=(claims.Action("c2pa.cropped"),))
    later = sign.sign_file(path, tmp_path / "d.jpg", edit, signer=signer)
    for file in (path, later):
        found = read(file, trust=trust_in(authority()))
        assert found.state == State.TRUSTED and found.redacted == (uri,)
        told = [say(item, "en") for item in credential_sentences(found)]
        assert any("taken out, as the standard allows: org.example.note. What" in line for line in told)
        assert f"taken out: {uri}" in list(describe.lines(found))


MADE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
IPTC = {
    "@context": {"Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"},
    "Iptc4xmpExt:DigitalSourceType": MADE,
}


def with_type(uri):
    return lambda made: {**made, "assertions": [_typed(item, uri) for item in made["assertions"]]}


def _typed(item, uri):
    if not item["label"].startswith("c2pa.actions"):
        return item
    actions = [{**action, "digitalSourceType": uri} for action in item["data"]["actions"]]
    return {**item, "data": {**item["data"], "actions": actions}}


def with_statement(label, data):
    return lambda made: {**made, "assertions": [*made["assertions"], {"label": label, "data": data, "created": True}]}


@pytest.mark.parametrize(
    ("change", "ai"),
    [
        *(
            (with_type(MADE.replace("trainedAlgorithmicMedia", name)), True)
            for name in ("compositeSynthetic", "compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicMedia")
        ),
        *(
            (with_type(MADE.replace("trainedAlgorithmicMedia", name)), False)
            for name in ("algorithmicMedia", "humanEdits")
        ),
        (with_type(MADE.replace("http:", "https:")), True),
        (with_type(MADE + "/"), True),
        (with_statement("c2pa.ai-disclosure", {"modelType": "c2pa.types.model", "modelName": "x"}), True),
        (with_statement("c2pa.metadata", IPTC), True),
        (with_statement("stds.iptc", IPTC), True),
        (
            with_statement("cawg.training-mining", {"entries": {"cawg.ai_generative_training": {"use": "allowed"}}}),
            False,
        ),
        (with_statement("org.example.note", IPTC), False),
    ],
)
def test_a_credential_that_states_ai_is_told_to_wherever_it_states_it(tmp_path, signer, change, ai):
    path = built(write_any(tmp_path / "a.jpg"), tmp_path / "b.jpg", signer, change)
    found = read(path, trust=trust_in(authority()))
    assert found.state.intact and (found.says_ai, found.ai_inherited) == (ai, False)
    said = " ".join(say(item, "en") for item in credential_sentences(found))
    assert ("AI made or edited this media, or a part of it" in said) == ai


@pytest.mark.parametrize(("relationship", "ai"), [("componentOf", True), ("inputTo", False)])
def test_ai_of_what_went_into_a_file_is_not_said_of_the_file(tmp_path, signer, relationship, ai):
    """A page with one generated picture in it was not generated; nor is what the credential says of the picture left out."""
    made = sign.sign_file(write_any(tmp_path / "a.jpg"), tmp_path / "b.jpg", created("generated"), signer=signer)
    part = {"title": "a part", "relationship": relationship}
    # With a credential, and without.
    for file, more in ((made, {}), (tmp_path / "a.jpg", {"digital_source_type": MADE})):
        path = built(file, tmp_path / f"{file.stem}-in.jpg", signer, ingredient=part | more)
        found = read(path, trust=trust_in(authority()))
        assert found.state == State.TRUSTED and (found.says_ai, found.ai_inherited) == (ai, ai)
        assert found.source_types == (MADE.replace("trainedAlgorithmicMedia", "composite"),)
        assert found.inherited_source_types == ((MADE,) if ai else ())
        said = " ".join([*(say(item, "en") for item in credential_sentences(found)), *describe.lines(found)])
        assert ("AI made or edited something that this media was made from" in said) == ai
        assert "this media, or a part of it" not in said and "made it, or part of it" not in said
        steps = [item.key for item in verdict((), None, {}, found).next_steps]
        assert ("next.say-ai-inherited" in steps, "next.say-ai" in steps) == (ai, False)


@pytest.mark.parametrize("suffix", MAKERS)
def test_every_container_carries_a_credential(tmp_path, signer, suffix):
    plain = tmp_path / f"plain.{suffix}"
    MAKERS[suffix](plain)
    path = sign.sign_file(plain, tmp_path / f"signed.{suffix}", created(), signer=signer)
    assert read(path, trust=trust_in(authority())).state == State.TRUSTED
    assert read(plain).state == State.ABSENT


@pytest.mark.parametrize("suffix", ["arw", "nef"])
def test_a_camera_raw_is_read_and_not_written(tmp_path, signer, suffix):
    signed = sign.sign_file(write_picture(tmp_path / "a.tif"), tmp_path / "b.tif", created(), signer=signer)
    raw = signed.rename(tmp_path / f"b.{suffix}")
    assert read(raw, trust=trust_in(authority())).state == State.TRUSTED
    with pytest.raises(UsageError, match="cannot carry"):
        sign.sign_file(raw, tmp_path / f"c.{suffix}", created(), signer=signer)
    plain = write_picture(tmp_path / "plain.tif").rename(tmp_path / f"plain.{suffix}")
    sign.sign_sidecar(plain, None, created(), signer=signer)
    assert read(plain, trust=trust_in(authority())).state == State.TRUSTED


def test_every_kind_the_sdk_names_is_tried_here():
    """A container that a new release of the SDK brings must be tried before it is promised."""
    reads, writes = engine.supported()
    suffixes = {kind for kind in reads if "/" not in kind}
    alike = {
        **dict.fromkeys(("jpeg", "tiff"), "pictures of another spelling"),
        **dict.fromkeys(("arw", "nef"), "camera raws"),
        **dict.fromkeys(("docm", "xlsm", "pptm", "odg", "odp", "ods", "otg", "otp", "ots", "ott"), "zip archives too"),
        "c2pa": "a credential alone",
    }
    assert suffixes == set(MAKERS) | set(alike)
    assert suffixes - writes == {"arw", "nef"}


@pytest.mark.parametrize("name", ["clip.mkv", "speech.ogg", "nameless"])
def test_any_file_at_all_can_have_its_credential_beside_it(tmp_path, signer, name):
    plain = tmp_path / name
    plain.write_bytes(b"\x1aE\xdf\xa3" + bytes(range(256)) * 20)
    beside = sign.sign_sidecar(plain, None, created(), signer=signer)
    assert beside == tmp_path / f"{name}.c2pa"
    found = read(plain, trust=trust_in(authority()))
    assert found.state == State.TRUSTED and found.sidecar
    assert list(batch.files_in([tmp_path])) == [plain]  # its own sidecar is what makes it worth looking at
    for changed in (plain.read_bytes() + b"x", plain.read_bytes()[:-1] + b"x"):
        plain.write_bytes(changed)
        found = read(plain, trust=trust_in(authority()))
        assert found.state == State.INVALID and "assertion.dataHash.mismatch" in {code.code for code in found.codes}


def test_a_sidecar_of_less_exact_name_is_not_held_against_what_it_cannot_be_of(tmp_path, signer, monkeypatch):
    beside = sign.sign_sidecar(write_wav(tmp_path / "clip.wav"), None, created(), signer=signer)
    beside.rename(tmp_path / "clip.c2pa")
    (tmp_path / "clip.srt").write_text("a subtitle")
    assert read(tmp_path / "clip.wav", trust=trust_in(authority())).state == State.TRUSTED
    assert read(tmp_path / "clip.srt").reason == "unsupported"
    write_picture(tmp_path / "clip.jpg")  # a still beside the clip
    (tmp_path / "clip.avi").write_bytes(b"RIFF")
    (tmp_path / "clip.avi").chmod(0)  # and what may not be read
    found = read(tmp_path / "clip.jpg", trust=trust_in(authority()))
    told = [*(say(item, "en") for item in credential_sentences(found)), *describe.lines(found)]
    assert found.state == State.ABSENT and "was made for clip.wav, and says nothing of this one" in told[1]
    assert told[-1].startswith("policy: gioconda.sidecar.anothers: ") and told[-1].endswith("[clip.wav]")
    asked = read(tmp_path / "clip.c2pa", trust=trust_in(authority()))  # it finds the one that it was made for
    assert (asked.state, asked.sidecar) == (State.TRUSTED, True)
    beside = sign.sign_sidecar(write_wav(tmp_path / "clip.wav", 2), None, created(), signer=signer)
    beside.rename(tmp_path / "clip.c2pa")
    with monkeypatch.context() as patch:  # a large file is not read only to learn whose credential it is
        patch.setattr(open, "_COMPARED", 9000)
        assert read(tmp_path / "clip.jpg").reason == "altered"
        assert read(tmp_path / "clip.c2pa", trust=trust_in(authority())).state == State.TRUSTED
    (tmp_path / "clip.wav").write_bytes((tmp_path / "clip.wav").read_bytes() + b"x")
    assert read(tmp_path / "clip.jpg").reason == read(tmp_path / "clip.wav").reason == "altered"
    assert read(tmp_path / "clip.c2pa").reason == "incomplete"


def test_of_several_credentials_for_a_file_the_one_in_it_is_read_and_the_other_told(tmp_path, signer):
    """C2PA 2.4, 15.5: what is embedded, else what the file refers to or what lies beside it."""
    import shutil

    import c2pa

    trusted, code = trust_in(authority()), "gioconda.manifest.unread"

    def seen(path):
        found = read(path, trust=trusted)
        told = " ".join(say(item, "en") for item in credential_sentences(found))
        return found, [item.where for item in found.codes if item.code == code], told

    plain, signed = write_picture(tmp_path / "plain.jpg"), tmp_path / "signed.jpg"
    sign.sign_file(plain, signed, created("in the file"), signer=signer)
    assert seen(signed)[1] == []
    with open.opened(signed) as opened:
        (tmp_path / "signed.c2pa").write_bytes(opened.store)
    assert seen(signed)[1] == []  # the same one twice
    shutil.move(sign.sign_sidecar(plain, None, created("beside"), signer=signer), tmp_path / "signed.c2pa")
    found, where, told = seen(signed)
    assert (found.state, found.sidecar, where) == (State.TRUSTED, False, ["signed.c2pa"])
    assert "(signed.c2pa) was not read and may say something else" in told
    shutil.copy(plain, tmp_path / "signed.png")  # now it may be that one's
    assert seen(signed)[1] == []

    xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    xmp += 'xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="https://example.com/other.c2pa"/></rdf:RDF></x:xmpmeta>'
    packet = b"http://ns.adobe.com/xap/1.0/\0" + xmp.encode()
    data = plain.read_bytes()
    naming = tmp_path / "naming.jpg"
    naming.write_bytes(data[:2] + b"\xff\xe1" + (len(packet) + 2).to_bytes(2, "big") + packet + data[2:])
    both_ways = sign.sign_file(naming, tmp_path / "both.jpg", created(), signer=signer)
    assert (seen(naming)[0].reason, seen(both_ways)[1]) == ("remote", ["https://example.com/other.c2pa"])

    far, store = tmp_path / "far.jpg", tmp_path / "far.jpg.c2pa"
    builder = c2pa.Builder(claims.to_manifest(created()), context=engine.context(engine.settings()))
    builder.set_remote_url("https://example.com/far.c2pa")
    builder.set_no_embed()
    with builder, plain.open("rb") as source, far.open("w+b") as target:
        manifest = builder.sign(signer.native(), "image/jpeg", source, target)
    found, where, told = seen(far)
    assert (found.reason, where) == (
        "remote",
        [],
    ) and "--online fetches them from https://example.com/far.c2pa)" in told
    store.write_bytes(bytes(manifest))
    found, where, told = seen(far)
    assert (found.state, found.sidecar, where) == (State.TRUSTED, True, ["https://example.com/far.c2pa"])
    assert "https://example.com/far.c2pa" in told

    broken = tmp_path / "broken.jpg"
    broken.write_bytes(signed.read_bytes().replace(b"jumdc2pa\0\x11\0\x10", b"jumdc2pazzzz", 1))
    shutil.copy(store, tmp_path / "broken.jpg.c2pa")
    found, where, told = seen(broken)
    assert (found.reason, where) == ("malformed", ["broken.jpg.c2pa"]) and "(broken.jpg.c2pa) was not read" in told


def test_the_mark_that_a_parent_names_is_known_of_an_edit(tmp_path, signer):
    named = SoftBinding(MARK, "0123456789abcdef")
    first, edit = tmp_path / "first.jpg", tmp_path / "edit.jpg"
    sign.sign_file(write_picture(tmp_path / "plain.jpg"), first, created(soft_bindings=(named,)), signer=signer)
    assert [item["alg"] for item in read(first).soft_bindings] == [MARK] and not read(first).inherited_soft_bindings
    sign.sign_file(first, edit, claims.Credential("edit", intent="edit"), signer=signer)
    found = read(edit)
    assert not found.soft_bindings and found.inherited_soft_bindings[0]["blocks"][0]["value"] == named.value


def test_an_action_carries_the_version_of_the_software_that_did_it_and_of_no_other(tmp_path, signer):
    acted = [
        claims.Action("c2pa.created", "digitalCapture", software="Camera"),
        claims.Action("c2pa.edited", software="Studio", software_version="3", description="cut", when="2026-05-01T00:00:00Z"),
        claims.Action("c2pa.published"),
    ]  # fmt: skip
    manifest = claims.to_manifest(claims.Credential("t", actions=tuple(acted)))
    agents = [item["softwareAgent"] for item in manifest["assertions"][0]["data"]["actions"]]
    assert agents == [
        {"name": "Camera"},
        {"name": "Studio", "version": "3"},
        {"name": "Gioconda", "version": __version__},
    ]
    path = sign.sign_file(
        write_any(tmp_path / "a.jpg"), tmp_path / "b.jpg", claims.Credential("t", actions=tuple(acted)), signer=signer
    )
    shown = list(describe.lines(read(path)))
    assert "action: c2pa.created, with Camera" in shown
    assert "action: c2pa.edited, with Studio 3, on 2026-05-01T00:00:00Z: cut" in shown


def test_a_wrong_suffix_does_not_hide_a_credential(tmp_path, signer):
    path = sign.sign_file(write_any(tmp_path / "a.jpg"), tmp_path / "b.jpg", created(), signer=signer)
    for name in ("c.mp4", "c.png", "c", "c.dat"):
        (tmp_path / name).write_bytes(path.read_bytes())
        assert read(tmp_path / name, trust=trust_in(authority())).state == State.TRUSTED


@pytest.mark.parametrize("data", [b"", b"text", b"\x1aE\xdf\xa3" + bytes(80), b"8BPS" + bytes(80)])
def test_what_the_sdk_does_not_know_is_said_to_be_unsupported(tmp_path, data):
    (tmp_path / "x.webm").write_bytes(data)
    found = read(tmp_path / "x.webm")
    assert found.state == State.UNREADABLE and found.reason == "unsupported"


# C2PA 2.4, § validation, standard status codes; the last are those of earlier 2.x that it no longer has.
REGISTERED = """
assertion.accessible assertion.bmffHash.match assertion.boxesHash.match assertion.collectionHash.match
assertion.dataHash.match assertion.hashedURI.match assertion.multiAssetHash.match
assertion.alternativeContentRepresentation.match claimSignature.insideValidity claimSignature.validated
ingredient.claimSignature.validated ingredient.manifest.validated signingCredential.ocsp.notRevoked
signingCredential.trusted timeStamp.trusted timeStamp.validated algorithm.deprecated
assertion.bmffHash.additionalExclusionsPresent assertion.boxesHash.additionalExclusionsPresent
assertion.dataHash.additionalExclusionsPresent ingredient.unknownProvenance signingCredential.ocsp.inaccessible
signingCredential.ocsp.skipped signingCredential.ocsp.unknown timeOfSigning.insideValidity
timeOfSigning.outsideValidity timeStamp.credentialInvalid timeStamp.malformed timeStamp.mismatch
timeStamp.outsideValidity timeStamp.untrusted algorithm.unsupported assertion.action.ingredientMismatch
assertion.action.malformed assertion.action.redacted assertion.action.redactionMismatch
assertion.action.softBindingMissing assertion.bmffHash.malformed assertion.bmffHash.mismatch
assertion.boxesHash.malformed assertion.boxesHash.mismatch assertion.boxesHash.unknownBox assertion.cbor.invalid
assertion.cloud-data.actions assertion.cloud-data.hardBinding assertion.cloud-data.malformed
assertion.cloud-data.labelMismatch assertion.collectionHash.incorrectFileCount assertion.collectionHash.invalidURI
assertion.collectionHash.malformed assertion.collectionHash.mismatch assertion.dataHash.malformed
assertion.dataHash.mismatch assertion.dataHash.redacted assertion.external-reference.created
assertion.external-reference.hashMismatch assertion.external-reference.labelMismatch
assertion.external-reference.malformed assertion.hardBinding.redacted assertion.hashedURI.mismatch
assertion.inaccessible assertion.ingredient.malformed assertion.json.invalid assertion.missing
assertion.multiAssetHash.malformed assertion.multiAssetHash.missingPart assertion.multiAssetHash.mismatch
assertion.alternativeContentRepresentation.malformed assertion.alternativeContentRepresentation.hashMismatch
assertion.alternativeContentRepresentation.missing assertion.multipleHardBindings assertion.notRedacted
assertion.outsideManifest assertion.selfRedacted assertion.timestamp.malformed assertion.undeclared
claim.cbor.invalid claim.hardBindings.missing claim.malformed claim.missing claim.multiple claimSignature.missing
claimSignature.mismatch claimSignature.outsideValidity general.error hashedURI.missing hashedURI.mismatch
ingredient.claimSignature.missing ingredient.claimSignature.mismatch ingredient.manifest.missing
ingredient.manifest.mismatch livevideo.assertion.invalid livevideo.continuityMethod.invalid livevideo.init.invalid
livevideo.manifest.invalid livevideo.segment.invalid livevideo.sessionkey.invalid manifest.compressed.invalid
manifest.html.multipleManifests manifest.inaccessible manifest.multipleParents
manifest.structuredText.emptyReference manifest.structuredText.malformedReference
manifest.structuredText.multipleReferences manifest.structuredText.noManifest
manifest.structuredText.noResolutionPath manifest.timestamp.invalid manifest.timestamp.wrongParents
manifest.text.corruptedWrapper manifest.text.multipleWrappers manifest.update.invalid manifest.update.wrongParents
signingCredential.invalid signingCredential.ocsp.revoked signingCredential.untrusted signingCredential.revoked
signingCredential.expired ingredient.hashedURI.mismatch assertion.metadata.disallowed assertion.action.missing
assertion.external-reference.hardBinding assertion.external-reference.actions
"""

# CAWG identity assertion 1.2 and 1.3, § status codes.
IDENTITY = """
cawg.identity.trusted cawg.identity.well-formed cawg.identity.cbor.invalid cawg.identity.assertion.mismatch
cawg.identity.assertion.duplicate cawg.identity.credential_revoked cawg.identity.hard_binding_missing
cawg.identity.hard_binding_incorrect cawg.identity.sig_type.unknown cawg.identity.pad.invalid
cawg.identity.expected_partial_claim.mismatch cawg.identity.expected_claim_generator.mismatch
cawg.identity.unexpected_countersigner cawg.identity.expected_countersigner.mismatch
cawg.identity.expected_countersigner.missing cawg.identity.expected_countersigner.duplicate
cawg.identity.network_traffic_blocked cawg.x509.algorithm.unsupported cawg.x509.credential.trusted
cawg.x509.credential.untrusted cawg.x509.credential.invalid cawg.x509.credential.expired
cawg.x509.signature.validated cawg.x509.signature.mismatch cawg.x509.signature.inside_validity
cawg.x509.signature.outside_validity cawg.x509.time_stamp.trusted cawg.x509.time_stamp.validated
cawg.x509.time_stamp.malformed cawg.x509.time_stamp.mismatch cawg.x509.time_stamp.untrusted
cawg.x509.time_stamp.outside_validity cawg.x509.time_stamp.credential_invalid
cawg.x509.time_of_signing.inside_validity cawg.x509.time_of_signing.outside_validity cawg.x509.ocsp.not_revoked
cawg.x509.ocsp.skipped cawg.x509.ocsp.inaccessible cawg.x509.ocsp.unknown cawg.ica.credential_valid
cawg.ica.invalid_cose_sign1 cawg.ica.invalid_alg cawg.ica.invalid_content_type
cawg.ica.invalid_verifiable_credential cawg.ica.invalid_issuer cawg.ica.did_unsupported_method
cawg.ica.did_unavailable cawg.ica.invalid_did_document cawg.ica.untrusted_issuer cawg.ica.signature_mismatch
cawg.ica.time_stamp.validated cawg.ica.time_stamp.invalid cawg.ica.valid_from.missing cawg.ica.valid_from.invalid
cawg.ica.valid_until.invalid cawg.ica.revocation.unsupported cawg.ica.revocation.unavailable
cawg.ica.credential.not_revoked cawg.ica.credential.revoked cawg.ica.signer_payload.mismatch
cawg.ica.verified_identities.missing cawg.ica.verified_identities.invalid
"""


def test_every_code_of_the_specifications_has_a_sentence():
    assert [code for code in (REGISTERED + IDENTITY).split() if code not in codes.sentences()] == []


def test_every_code_has_a_plain_sentence():
    for code, text in codes.sentences().items():
        assert re.fullmatch(r"[A-Za-z][\w.-]+", code) and text.endswith(".") and len(text) < 220, code
        assert not re.search(r"\b(fake|real|authentic)\b", text, re.IGNORECASE), code
    assert "has no sentence" in codes.sentence("assertion.brandNew")


def test_policy_codes_all_have_sentences_of_ours():
    from pathlib import Path

    import provenance

    used = set()
    for file in Path(provenance.__path__[0]).rglob("*.py"):
        if file.name != "codes.py":
            used |= set(re.findall(r'"(gioconda\.[A-Za-z]+\.[A-Za-z]+)"', file.read_text()))
    assert used and used == {code for code in codes.sentences() if code.startswith("gioconda.")}
    tried = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    assert [code for code in sorted(used) if code not in tried] == []  # no rule without a test that trips it


def test_tolerated_codes_never_mean_that_bytes_changed():
    assert {code for code in codes.sentences() if rules.tolerated(code) and not code.startswith("cawg.")} == {
        "signingCredential.untrusted"
    }


@pytest.mark.parametrize(
    "evil",
    ["\x1b[31mred", "a\u202eb", "a\u2066b", "a\nb", "a\x00b", "<b>x</b>", "a\u200bb", "\udcff", "a\u2028b", "x" * 900],
)
def test_sanitised_text_is_one_safe_line(evil):
    safe = sanitise.text(evil)
    assert safe.isprintable() and "<" not in safe and len(safe) <= 6 * 501
    assert sanitise.text("Ἀγαθὴ 東京 مرحبا é 👍") == "Ἀγαθὴ 東京 مرحبا é 👍"


def test_sanitised_documents_are_bounded():
    deep = value = {}
    for _ in range(100):
        value["k"] = value = {}
    safe = sanitise.plain(
        {"deep": deep, "wide": list(range(10000)), "key\x1b": object(), "n": 1.5, "b": True, "x": None}
    )
    assert len(safe["wide"]) == sanitise.ITEMS and "key\\x1b" in safe and safe["n"] == 1.5 and safe["b"] is True


def test_lists_are_stored_with_hash_and_date_and_guarded(tmp_path):
    file = tmp_path / "MY-TSA-LIST.pem"
    other = certificates.make_authority("second", "x")
    file.write_text("# Date: 2026-08-21\nSubject\tCN=first\n" + certificates.pem(authority().certificate))
    added = trust.add(file)
    assert (added.kind, added.date, len(added.anchors)) == ("tsa", "2026-08-21", 1)
    (loaded,) = trust.load().lists
    assert loaded.sha256 == added.sha256 and loaded.date == "2026-08-21"
    with pytest.raises(UsageError, match="already exists"):
        trust.add(file)
    stored = trust.store() / "MY-TSA-LIST.pem"
    stored.write_text(stored.read_text() + certificates.pem(other.certificate))
    with pytest.raises(CredentialError, match="sha256"):
        trust.load()
    trust.remove("MY-TSA-LIST")
    assert trust.load().lists == ()
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(CredentialError, match="no certificate"):
        trust.read_list(tmp_path / "empty.pem")


def test_two_lists_of_one_name_are_refused_because_a_verdict_names_one(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "list.pem").write_text(certificates.pem(authority().certificate))
    with pytest.raises(UsageError, match="two trust lists"):
        trust.load([tmp_path / "a" / "list.pem", tmp_path / "b" / "list.pem"])


def test_a_list_of_clocks_or_identities_does_not_make_signers_trusted(tmp_path, signer):
    """The SDK takes an authority on any list for any purpose; the published timestamp list would widen who may sign."""
    path = sign.sign_file(write_wav(tmp_path / "a.wav"), tmp_path / "b.wav", created(), signer=signer)
    for kind in ("tsa", "cawg"):
        lists = trust_in(authority(), kind=kind)
        with open.opened(path, lists.anchors) as opened:
            assert opened.document["validation_state"] == "Trusted"
        found = read(path, trust=lists)
        assert found.state == State.VALID and "gioconda.anchor.otherList" in {code.code for code in found.codes}
    lists = both(trust_in(authority(), kind="tsa", name="clock"), trust_in(authority(), name="mine"))
    assert read(path, trust=lists).trust_list.startswith("mine")


def test_requirements():
    def verdict(state, mark="ab" * 32):
        return Provenance(state, signer_fingerprint=mark)

    valid, trusted = batch.Requirement.parse("valid"), batch.Requirement.parse("trusted")
    named = batch.Requirement.parse("signer:" + ":".join(["AB"] * 32))
    assert (
        valid.met(verdict(State.VALID))
        and not valid.met(verdict(State.INVALID))
        and not valid.met(verdict(State.ABSENT))
    )
    assert trusted.met(verdict(State.TRUSTED)) and not trusted.met(verdict(State.VALID))
    assert named.met(verdict(State.VALID)) and not named.met(verdict(State.VALID, "cd" * 32))
    assert not named.met(verdict(State.INVALID))
    revoked = Provenance(
        State.VALID, signer_fingerprint="ab" * 32, codes=(Code("gioconda.signer.revoked", "policy", "x"),)
    )
    assert valid.met(revoked) and not named.met(revoked)
    for wrong in ("", "good", "signer:", "signer:xyz", "trusted:1"):
        with pytest.raises(UsageError, match=r"not a (requirement|sha256 fingerprint)"):
            batch.Requirement.parse(wrong)


def test_the_forecast_puts_first_what_expires_first(tmp_path):
    from provenance_tsa import Authority

    plain = write_wav(tmp_path / "plain.wav")
    rows = []
    with Authority() as clock:
        for days, url in ((300, None), (20, None), (5, clock.url)):
            chosen = signer_of(leaf(f"for {days} days", days=days), tmp_path, timestamp=url)
            rows.append(sign.sign_file(plain, tmp_path / f"{days}.wav", created(), signer=chosen))
    lists = both(trust_in(authority()), trust_in(clock.root, kind="tsa", name="clock"))
    found = batch.forecast(batch.verdicts([*rows, plain], trust=lists))
    assert [(row.path.rsplit("/", 1)[1], row.never) for row in found] == [
        ("20.wav", False),
        ("300.wav", False),
        ("5.wav", True),
    ]
    assert 18 <= found[0].days <= 20


def test_drift_between_two_reports():
    before = [
        {"path": "a", "state": "trusted", "codes": [{"code": "x"}], "sdk": "1"},
        {"path": "b", "state": "valid", "codes": []},
    ]
    after = [
        {"path": "a", "state": "valid", "codes": [{"code": "y"}], "sdk": "2"},
        {"path": "b", "state": "valid", "codes": []},
    ]
    (row,) = batch.drift(before, after)
    assert (row.path, row.before, row.after, row.gone, row.new) == ("a", "trusted", "valid", ("x",), ("y",))


def test_a_batch_goes_on_past_what_fails(tmp_path, signer):
    sources = [write_wav(tmp_path / f"{n}.wav") for n in range(4)]
    sources[2].write_bytes(b"not a wav")
    pairs = [(source, tmp_path / "out" / source.name) for source in sources]
    done = list(batch.sign_many(pairs, created(), signer=signer, jobs=3))
    assert [path.name for path, _ in done] == ["0.wav", "1.wav", "2.wav", "3.wav"]
    assert [isinstance(result, Exception) for _, result in done] == [False, False, True, False]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.wav", "1.wav", "3.wav"]


def test_folders_are_walked_once_and_steadily(tmp_path):
    (tmp_path / "sub" / ".hidden").mkdir(parents=True)
    for name in ("b.jpg", "a.mp4", "note.txt", "a.mp4.c2pa", "sub/c.wav", "sub/.hidden/d.jpg", ".e.jpg"):
        (tmp_path / name).write_bytes(b"")
    names = [
        str(path.relative_to(tmp_path)) for path in batch.files_in([tmp_path, tmp_path / "sub", tmp_path / "b.jpg"])
    ]
    assert names == ["a.mp4", "b.jpg", "sub/c.wav"]


def test_signed_ingredients_are_judged_by_the_lists_given(tmp_path, signer):
    """Without our lists in the builder, 'untrusted' would be baked in beside the ingredient for good."""
    part = sign.sign_file(write_any(tmp_path / "a.jpg"), tmp_path / "part.jpg", created(), signer=signer)
    whole = claims.Credential(
        "whole", actions=(claims.Action("c2pa.created", "trainedAlgorithmicMedia", inputs=(0,)),),
        ingredients=(Ingredient("source", "", "part", str(part)),),
    )  # fmt: skip
    path = sign.sign_file(
        write_any(tmp_path / "b.jpg"), tmp_path / "w.jpg", whole, signer=signer, trust=trust_in(authority())
    )
    with open.opened(path) as found:
        results = found.active["ingredients"][0]["validation_results"]["activeManifest"]
    assert "signingCredential.trusted" in [item["code"] for item in results["success"]]
