"""The archive of credentials: by mark and by fingerprint, and C2PA's Soft Binding Resolution API, client and page against each other."""

import base64
import json
import os
import shutil
import threading
from fractions import Fraction

import numpy as np
import pytest
import uvicorn
from provenance_kit import created, write_picture
from starlette.testclient import TestClient

from gioconda.cli import main
from gioconda.serve.app import application
from gioconda.serve.options import Page
from gioconda_core.errors import CredentialError
from gioconda_core.media.clip import Clip, write_image, write_video
from gioconda_core.types import Claim, ProvenanceState, Synthesis
from provenance.reading.read import read
from provenance.signing import sign
from provenance.watermark import mark, repository, resolution
from synth.puppets import perform


@pytest.fixture(scope="module")
def takes():
    """Frames of two people."""
    return [perform.perform(person, 4, frames=8, size=256).frames for person in (4, 9)]


@pytest.fixture(scope="module")
def made(takes, tmp_path_factory):
    """A folder with what :func:`clips` gives, and the home of whoever made it."""
    folder = tmp_path_factory.mktemp("clips")
    marked, plain = folder / "marked.mp4", folder / "plain.mp4"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIOCONDA_HOME", str(folder / "home"))
        fake = Claim("marked", "self-reenactment", "fake", "x", "1")
        sign.write(Synthesis(takes[0], np.arange(8) / 25, Fraction(25), fake), marked, marker=repository.marker)
        write_video(folder / "unsigned.mp4", takes[1], fps=25)
        sign.sign_file(folder / "unsigned.mp4", plain, created("plain"))
        for path in (marked, plain):
            copy = folder / f"copy-{path.name}"
            with Clip.open(path) as clip:
                write_video(copy, clip.sample("all")[0], fps=25, crf=23)
            assert read(copy).state == ProvenanceState.ABSENT
    return folder


@pytest.fixture
def clips(made):
    """(a signed clip with our mark, a signed one without, a copy of each without a credential), in the home of whoever made them."""
    shutil.copytree(made / "home", os.environ["GIOCONDA_HOME"])
    return tuple(made / f"{name}.mp4" for name in ("marked", "plain", "copy-marked", "copy-plain"))


def active(path):
    from provenance.reading.open import opened

    with opened(path) as found:
        return found.document["active_manifest"]


@pytest.mark.slow
def test_a_copy_is_recovered_by_its_mark_and_one_without_by_how_it_looks(clips, tmp_path, capsys):
    marked, plain, *copies = clips
    assert main(["-q", "provenance", "recover", str(copies[1]), "--out", str(tmp_path / "no.c2pa")]) == 4
    assert main(["-q", "provenance", "remember", str(plain)]) == 0
    capsys.readouterr()
    for path, copy, how in ((marked, copies[0], "named by the mark"), (plain, copies[1], "looks alike")):
        out = tmp_path / f"{copy.stem}.c2pa"
        assert main(["-q", "provenance", "recover", str(copy), "--out", str(out)]) == 0
        said = capsys.readouterr().out
        assert how in said and active(path) in said and "not this copy" in said
        assert read(path, manifest=out.read_bytes()).state == ProvenanceState.VALID
        assert read(copy, manifest=out.read_bytes()).state == ProvenanceState.INVALID
    assert not (tmp_path / "no.c2pa").exists()


def test_strangers_pictures_lead_to_nothing_and_the_closest_comes_first(tmp_path):
    for seed in range(6):
        write_image(tmp_path / f"{seed}.png", np.random.default_rng(seed).integers(0, 255, (64, 64, 3), np.uint8))
        assert repository.remember(
            sign.sign_file(tmp_path / f"{seed}.png", tmp_path / f"s{seed}.png", created(str(seed))),
            next(b for b in repository.bindings_of(tmp_path / f"{seed}.png")),
        )
    (asked,) = repository.bindings_of(tmp_path / "3.png")
    (match,) = repository.matches(asked)
    assert match.similarity == 1.0 and repository.recover(match.manifest_id).title == "3"
    far = repository.Binding(asked.algorithm, bytes(b ^ 255 for b in asked.value))
    near = repository.Binding(asked.algorithm, bytes([asked.value[0] ^ 3, *asked.value[1:]]))
    assert repository.matches(far) == [] and repository.matches(near)[0].similarity == pytest.approx(1 - 2 / 64, 1e-3)
    assert repository.matches(repository.Binding(asked.algorithm, asked.value * 3)) == []


def test_a_file_without_a_credential_or_a_picture_to_see_is_not_remembered(tmp_path, capsys):
    write_picture(tmp_path / "bare.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    assert main(["-q", "provenance", "remember", str(tmp_path / "bare.png"), str(tmp_path / "broken.png")]) == 4
    assert capsys.readouterr().out.count("no credential to remember") == 2
    assert repository.fingerprint_of(np.full((1, 64, 64, 3), 90, np.uint8)) is None


@pytest.fixture
def page(tmp_path):
    return Page(folder=tmp_path / "serve", port=7503, limit=3_000_000, archive=True)


@pytest.fixture
def asker(page):
    with TestClient(application(page), base_url="http://127.0.0.1:7503", raise_server_exceptions=False) as made:
        yield made


def value(data):
    return base64.b64encode(data).decode()


def test_the_api_answers_as_the_standard_says(clips, asker):
    marked, _, copy, _ = clips
    binding = next(b for b in repository.bindings_of(copy) if b.algorithm == mark.ALGORITHM)
    known = asker.get("/v1/services/supportedAlgorithms").json()
    assert known == {"watermarks": [{"alg": mark.ALGORITHM}], "fingerprints": [{"alg": repository.FINGERPRINT}]}
    asked = {"alg": mark.ALGORITHM, "value": value(binding.value)}
    by_query = asker.get("/v1/matches/byBinding", params=asked)
    by_body = asker.post("/v1/matches/byBinding", json=asked)
    assert by_query.status_code == by_body.status_code == 200
    assert by_query.json() == by_body.json() == {"matches": [{"manifestId": active(marked), "similarityScore": None}]}
    content = asker.post("/v1/matches/byContent", content=copy.read_bytes(), headers={"Content-Type": "video/mp4"})
    assert content.json()["matches"][0]["manifestId"] == active(marked)
    store = asker.get(f"/v1/manifests/{active(marked)}")
    assert store.headers["content-type"] == "application/c2pa"
    assert read(marked, manifest=store.content).state == ProvenanceState.VALID


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("matches/byBinding", 400),
        ("matches/byBinding?alg=x&value=AAAA", 400),
        (f"matches/byBinding?alg={mark.ALGORITHM}&value=!", 400),
        (f"matches/byBinding?alg={mark.ALGORITHM}&value=AAAA&maxResults=0", 400),
        (f"matches/byBinding?alg={mark.ALGORITHM}&value=AAAA&maxResults=%C2%B2", 400),
        ("manifests/urn:c2pa:nobody", 404),
        ("matches/byReference", 404),
    ],
)
def test_a_wrong_question_is_answered_as_one(asker, path, status):
    answer = asker.get(f"/v1/{path}")
    assert answer.status_code == status
    assert status == 404 or "error" in answer.json()


def test_what_is_no_media_or_too_large_is_refused_and_leaves_nothing(asker, page):
    kind = {"Content-Type": "image/png"}
    assert asker.post("/v1/matches/byContent", content=b"no picture", headers=kind).status_code == 415
    assert asker.post("/v1/matches/byContent", content=bytes(3_000_001), headers=kind).status_code == 413
    assert (
        asker.post(
            "/v1/matches/byBinding", content=b"[" * 99_999, headers={"Content-Type": "application/json"}
        ).status_code
        == 400
    )
    assert not [path for path in page.folder.rglob("*") if path.name == "asset"]


def test_other_sites_pages_cannot_ask_and_the_archive_is_closed_by_default(asker, page, tmp_path):
    asked = json.dumps({"alg": mark.ALGORITHM, "value": "AAAAAAAAAAA="})
    for headers in (
        {"Content-Type": "text/plain"},  # what a form or a script of another site sends unasked
        {"Content-Type": "application/json", "Origin": "http://evil.example"},
        {"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"},
    ):
        assert asker.post("/v1/matches/byBinding", content=asked, headers=headers).status_code == 403
    assert (
        asker.get(
            "/v1/services/supportedAlgorithms", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
        ).status_code
        == 403
    )
    assert asker.get("/v1/services/supportedAlgorithms", headers={"Host": "evil.example"}).status_code == 421
    closed = Page(folder=tmp_path / "closed", port=7503)
    with TestClient(application(closed), base_url="http://127.0.0.1:7503") as other:
        assert other.get("/v1/services/supportedAlgorithms").status_code == 404


@pytest.fixture
def served(tmp_path):
    """The page on loopback, as ``gioconda serve --archive`` has it; its address."""
    import socket

    here = socket.create_server(("127.0.0.1", 0))
    port = here.getsockname()[1]
    app = application(Page(folder=tmp_path / "served", port=port, archive=True))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [here]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port}/v1"
    server.should_exit = True
    thread.join(20)


@pytest.mark.slow
def test_another_computers_archive_is_asked_and_is_sent_no_file(clips, served, tmp_path, monkeypatch, capsys):
    marked, plain, *copies = clips
    repository.remember(plain, repository.bindings_of(plain)[0])
    sent = []
    real = resolution.online.fetch
    monkeypatch.setattr(resolution.online, "fetch", lambda url, **more: sent.append((url, more)) or real(url, **more))
    # Here nothing is remembered: the archive of the page is another computer's.
    monkeypatch.setattr("gioconda.cli.provenance_marks._in_archive", lambda bindings: None)
    for path, copy in ((marked, copies[0]), (plain, copies[1])):
        out = tmp_path / f"{copy.stem}.c2pa"
        assert main(["-q", "provenance", "recover", str(copy), "--out", str(out), "--ask", served]) == 0
        assert active(path) in capsys.readouterr().out
        assert read(path, manifest=out.read_bytes()).state == ProvenanceState.VALID
    assert sent and all(url.startswith(served) and "data" not in more for url, more in sent)
    # Without being asked to, nobody is spoken to.
    sent.clear()
    assert main(["-q", "provenance", "recover", str(copies[0]), "--out", str(tmp_path / "x.c2pa")]) == 4
    assert not sent


def test_a_credential_that_does_not_name_the_mark_is_refused(clips, served, monkeypatch):
    marked, plain, copy, _ = clips
    repository.remember(plain, repository.Binding(repository.FINGERPRINT, bytes(range(8))))
    binding = next(b for b in repository.bindings_of(copy) if b.algorithm == mark.ALGORITHM)
    client = resolution.Client(served)
    assert client.recover([binding]).match.manifest_id == active(marked)
    monkeypatch.setattr(client, "matches", lambda *_: [repository.Match(active(plain))])
    with pytest.raises(CredentialError, match="does not name this mark"):
        client.recover([binding])
    other = client.manifest(active(plain))
    monkeypatch.setattr(client, "matches", lambda *_: [repository.Match(active(marked))])
    monkeypatch.setattr(client, "manifest", lambda _: other)
    with pytest.raises(CredentialError, match="something else"):
        client.recover([binding])


def test_an_address_that_is_no_archive_is_said_in_a_line(tmp_path, capsys):
    write_image(tmp_path / "a.png", np.random.default_rng(7).integers(0, 255, (64, 64, 3), np.uint8))
    command = ["-q", "provenance", "recover", str(tmp_path / "a.png"), "--out", str(tmp_path / "a.c2pa"), "--ask"]
    assert main([*command, "ftp://archive.example"]) == 2
    assert main([*command, "http://127.0.0.1:9/v1"]) == 4
    said = capsys.readouterr().err
    assert "not the address of an archive" in said and "could not be fetched" in said
