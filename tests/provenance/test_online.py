"""The network: never unless asked, and then never privately, endlessly or without limit."""

import datetime
import http.server
import platform
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp
from provenance_forge import resign
from provenance_kit import (
    MAKERS,
    authority,
    both,
    created,
    leaf,
    odd_authority,
    odd_leaf,
    signer_of,
    trust_in,
    write_any,
)
from provenance_tsa import Authority

from gioconda_core.errors import CredentialError
from gioconda_core.types import ProvenanceState as State
from provenance.codes import sentences
from provenance.keys import certificates
from provenance.reading import describe
from provenance.reading.read import read
from provenance.sdk import engine
from provenance.signing import claims, sign
from provenance.tools import batch
from provenance.trust import online
from provenance.trust.lists import Trust

KITS = Path(__file__).parents[1] / "kits"
PRIVATE = online.Limits(private=True, seconds=5)


@contextmanager
def served(answer):
    """An HTTP server on 127.0.0.1; ``answer(path, body)`` gives (status, headers, iterable of bytes). Yields (url, requests)."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def reply(self):
            length = int(self.headers.get("Content-Length") or 0)
            asked.append((self.path, dict(self.headers)))
            status, headers, pieces = answer(self.path, self.rfile.read(length))
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            try:
                for piece in pieces:
                    self.wfile.write(piece)
                    self.wfile.flush()
            except OSError:
                pass

        do_GET = do_POST = reply

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def remote_file(folder, url):
    """A JPEG that only points to its manifest, and that manifest."""
    import c2pa

    plain = write_any(folder / "plain.jpg")
    with (
        c2pa.Builder(claims.to_manifest(created()), context=engine.context(engine.settings())) as builder,
        open(plain, "rb") as source,
        open(folder / "remote.jpg", "w+b") as sink,
    ):
        builder.set_no_embed()
        builder.set_remote_url(url)
        manifest = builder.sign(signer_of(leaf(), folder).native(), "image/jpeg", source, sink)
    return folder / "remote.jpg", bytes(manifest)


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"), reason="the kernel's filter is Linux's"
)
def test_reading_opens_no_socket(tmp_path):
    remote, _ = remote_file(tmp_path, "http://127.0.0.1:9/manifest.c2pa")
    ocsp_url = x509.AuthorityInformationAccess(
        [x509.AccessDescription(x509.OID_OCSP, x509.UniformResourceIdentifier("http://127.0.0.1:9/ocsp"))]
    )
    signer = signer_of(
        odd_leaf(authority(), "with ocsp", "x", extra=[ocsp_url]),
        tmp_path,
    )
    files = [remote]
    for suffix, make in MAKERS.items():
        plain = tmp_path / f"{suffix}.{suffix}"  # some are made under another kind's name first
        make(plain)
        files += [plain, sign.sign_file(plain, tmp_path / f"signed.{suffix}", created(), signer=signer)]
    program = [sys.executable, str(KITS / "provenance_nosockets.py")]
    done = subprocess.run([*program, "hermetic", *map(str, files)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "unreadable | remote | http://127.0.0.1:9/manifest.c2pa"
    assert [line.split(" ")[0] for line in lines[1:]] == ["absent", "valid"] * len(MAKERS)
    careless = subprocess.run([*program, "careless", str(remote)], capture_output=True, timeout=60)
    assert careless.returncode == -31  # SIGSYS: without our settings, the SDK opens a socket


def test_a_remote_manifest_is_named_and_not_fetched(tmp_path):
    with served(lambda path, body: (200, {}, [b""])) as (url, asked):
        remote, _ = remote_file(tmp_path, f"{url}/m.c2pa")
        found = read(remote, trust=Trust())
        assert found.state == State.UNREADABLE and found.reason == "remote"
        assert found.codes[0].code == "gioconda.remote.notFetched"
        assert found.codes[0].where == f"{url}/m.c2pa" and asked == []


def test_online_refuses_private_addresses(tmp_path):
    with served(lambda path, body: (200, {}, [b""])) as (url, asked):
        remote, _ = remote_file(tmp_path, f"{url}/m.c2pa")
        found = read(remote, trust=Trust(), online=True)
        assert found.state == State.UNREADABLE and asked == []
        assert "gioconda.remote.refused" in {code.code for code in found.codes}


def test_a_fetched_manifest_is_validated_against_the_file(tmp_path, monkeypatch):
    store = {}
    with served(lambda path, body: (200, {}, [store["manifest"]])) as (url, _):
        remote, store["manifest"] = remote_file(tmp_path, f"{url}/m.c2pa")
        monkeypatch.setattr(online, "allowed", lambda address: True)
        lists = trust_in(authority())
        assert read(remote, trust=lists, online=True).state == State.TRUSTED
        data = bytearray(remote.read_bytes())
        data[-40] ^= 1
        remote.write_bytes(bytes(data))
        assert read(remote, trust=lists, online=True).state == State.INVALID


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "0.0.0.0", "::1", "fe80::1", "fc00::1", "100.64.0.1",
     "::ffff:127.0.0.1", "224.0.0.1", "2002:7f00:1::", "not an address"],
)  # fmt: skip
def test_private_addresses_are_not_allowed(address):
    assert not online.allowed(address)
    with pytest.raises(CredentialError, match="not a public one"):
        online.fetch("http://example.com/", resolve=lambda host, port: ["93.184.216.34", address])


def test_a_public_address_is_allowed():
    assert online.allowed("93.184.216.34") and online.allowed("2606:2800:220:1::1")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.com/", "http://user:pw@example.com/", "http:///x", "x"]
)
def test_other_addresses_are_not_fetched(url):
    with pytest.raises(CredentialError, match="not fetched"):
        online.fetch(url, resolve=lambda host, port: ["93.184.216.34"])


def test_a_redirect_to_a_private_address_is_refused():
    with served(lambda path, body: (302, {"Location": "http://internal.example/secret"}, [])) as (url, asked):

        def resolve(host, port):
            return ["10.0.0.7"] if host == "internal.example" else ["127.0.0.1"]

        allowed = online.allowed
        try:
            online.allowed = lambda address: address == "127.0.0.1" or allowed(address)
            with pytest.raises(CredentialError, match="not a public one"):
                online.fetch(url, resolve=resolve)
        finally:
            online.allowed = allowed
        assert len(asked) == 1


def test_redirects_end():
    with served(lambda path, body: (302, {"Location": "/again"}, [])) as (url, asked):
        with pytest.raises(CredentialError, match="too many redirects"):
            online.fetch(url, limits=PRIVATE)
        assert len(asked) == 4


def test_too_large_is_cut_off():
    limits = online.Limits(size=1 << 20, private=True)
    with (
        served(lambda path, body: (200, {}, (bytes(1 << 18) for _ in range(400)))) as (url, _),
        pytest.raises(CredentialError, match="larger than 1 MiB"),
    ):
        online.fetch(url, limits=limits)


def test_too_slow_is_cut_off():
    def drip():
        while True:
            time.sleep(0.1)
            yield b"."

    begin = time.monotonic()
    with (
        served(lambda path, body: (200, {}, drip())) as (url, _),
        pytest.raises(CredentialError, match=r"slower than|could not be fetched"),
    ):
        online.fetch(url, limits=online.Limits(private=True, seconds=0.6))
    assert time.monotonic() - begin < 5


def test_headers_that_never_end_and_names_that_are_never_found_are_cut_off():
    """A client's timeouts begin anew with every byte."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def drip():
        connection, _ = listener.accept()
        try:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while True:
                connection.sendall(b"x")
                time.sleep(0.05)
        except OSError:
            ended.set()

    threading.Thread(target=drip, daemon=True).start()
    limits = online.Limits(private=True, seconds=0.5)
    begin = time.monotonic()
    with pytest.raises(CredentialError, match=r"slower than 0\.5 s"):
        online.fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/", limits=limits)
    with pytest.raises(CredentialError, match=r"slower than 0\.5 s"):
        online.fetch("http://example.com/", limits=limits, resolve=lambda host, port: time.sleep(3) or ["127.0.0.1"])
    assert time.monotonic() - begin < 3
    assert ended.wait(5)  # and the connection is closed, not left to drip
    listener.close()


def status(issuer, certificate, answer, signer=None, at=None, revoked=None):
    signer = signer or issuer
    now = at or datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    ended = revoked or now - datetime.timedelta(days=1)
    builder = ocsp.OCSPResponseBuilder().add_response(
        certificate,
        issuer.certificate,
        hashes.SHA1(),
        answer,
        now - datetime.timedelta(hours=1),
        now + datetime.timedelta(hours=5),
        ended if answer == ocsp.OCSPCertStatus.REVOKED else None,
        None,
    )
    built = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
    from cryptography.hazmat.primitives.serialization import Encoding

    return built.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("answer", "forged", "state", "code"),
    [
        (ocsp.OCSPCertStatus.GOOD, False, State.TRUSTED, "signingCredential.ocsp.notRevoked"),
        (ocsp.OCSPCertStatus.REVOKED, False, State.INVALID, "signingCredential.ocsp.revoked"),
        (ocsp.OCSPCertStatus.UNKNOWN, False, State.TRUSTED, "signingCredential.ocsp.unknown"),
        (ocsp.OCSPCertStatus.REVOKED, True, State.TRUSTED, "signingCredential.ocsp.inaccessible"),
    ],
)
def test_revocation_is_asked_online_and_only_the_issuer_is_believed(tmp_path, monkeypatch, answer, forged, state, code):
    root = certificates.make_authority("asked root", "x")
    box = {}
    with served(lambda path, body: (200, {}, [box["answer"]])) as (url, asked):
        access = x509.AuthorityInformationAccess(
            [x509.AccessDescription(x509.OID_OCSP, x509.UniformResourceIdentifier(f"{url}/ocsp"))]
        )
        made = odd_leaf(root, "asked about", "x", extra=[access])
        box["answer"] = status(
            root, made.chain[0], answer, certificates.make_authority("no one", "x") if forged else None
        )
        path = sign.sign_file(
            write_any(tmp_path / "a.wav"), tmp_path / "b.wav", created(), signer=signer_of(made, tmp_path)
        )
        lists = trust_in(root)
        assert read(path, trust=lists).state == State.TRUSTED and asked == []  # offline: not asked
        monkeypatch.setattr(online, "allowed", lambda address: True)
        found = read(path, trust=lists, online=True)
    said = {item.code for item in found.codes}
    assert found.state == state and code in said
    assert ("gioconda.signer.revokedByIssuer" in said) == (state == State.INVALID)
    assert len(asked) == 1
    # An answer that counts for nothing is told.
    for lang in ("en", "de"):
        told = "\n".join(describe.lines(found, lang=lang))
        assert (sentences(lang)[code] in told) == (code != "signingCredential.ocsp.notRevoked")
        assert sentences(lang)["signingCredential.ocsp.skipped"] not in told


@pytest.mark.parametrize(("hours", "state"), [(48, State.INVALID), (1, State.TRUSTED)])
def test_what_was_revoked_after_it_was_stamped_stands(tmp_path, monkeypatch, hours, state):
    """A certificate is revoked when its owner stops, too: what it signed before, by a listed clock, is none the worse (C2PA 2.4, 15.9.2)."""
    now = datetime.datetime.now(datetime.UTC)
    window = (now - datetime.timedelta(days=9), now + datetime.timedelta(days=9))
    root = odd_authority("asked root", "x", window)
    box = {}
    with served(lambda path, body: (200, {}, [box["answer"]])) as (url, _):
        access = x509.AuthorityInformationAccess(
            [x509.AccessDescription(x509.OID_OCSP, x509.UniformResourceIdentifier(f"{url}/ocsp"))]
        )
        made = odd_leaf(root, "asked about", "x", window=window, extra=[access])
        revoked = (now - datetime.timedelta(hours=hours)).replace(tzinfo=None)
        box["answer"] = status(root, made.chain[0], ocsp.OCSPCertStatus.REVOKED, revoked=revoked)
        with Authority(at=now - datetime.timedelta(hours=24)) as clock:
            signer = signer_of(made, tmp_path, timestamp=clock.url)
            path = sign.sign_file(write_any(tmp_path / "a.wav"), tmp_path / "b.wav", created(), signer=signer)
        monkeypatch.setattr(online, "allowed", lambda address: True)
        lists = both(trust_in(root), trust_in(clock.root, kind="tsa", name="clock"))
        assert read(path, trust=lists).timestamped
        found = read(path, trust=lists, online=True)
        assert read(path, trust=trust_in(root), online=True).state == State.INVALID  # the clock is on no list
    assert found.state == state
    assert ("gioconda.revocation.later" in {code.code for code in found.codes}) == (state == State.TRUSTED)
    assert batch.Requirement.parse(f"signer:{found.signer_fingerprint}").met(found) == (state == State.TRUSTED)


def test_a_certificate_that_names_nobody_to_ask_is_told_to_whoever_asks(tmp_path):
    path = sign.sign_file(
        write_any(tmp_path / "a.wav"), tmp_path / "b.wav", created(), signer=signer_of(leaf(), tmp_path)
    )
    found = read(path, trust=trust_in(authority()), online=True)
    told = "\n".join(describe.lines(found, every_code=True))
    assert sentences()["gioconda.revocation.unasked"] in told and "unless --online is given" not in told
    assert batch.Requirement.parse(f"signer:{found.signer_fingerprint}").met(found)  # no doubt about who signed


def said_to_be_signed(body, way):
    """An answer that names another algorithm than it was signed by."""
    from asn1crypto import core
    from asn1crypto import ocsp as asn1

    answer = asn1.OCSPResponse.load(body)
    inner = answer["response_bytes"]["response"].parsed
    inner["signature_algorithm"] = {"algorithm": way}
    answer["response_bytes"]["response"] = core.ParsableOctetString(inner.dump(force=True))
    return answer.dump(force=True)


@pytest.mark.parametrize(
    ("answer", "case", "said"),
    [
        (ocsp.OCSPCertStatus.GOOD, "", "signingCredential.ocsp.notRevoked"),
        (ocsp.OCSPCertStatus.REVOKED, "", "signingCredential.ocsp.revoked"),
        (ocsp.OCSPCertStatus.UNKNOWN, "", None),
        (ocsp.OCSPCertStatus.REVOKED, "by a stranger", None),
        (ocsp.OCSPCertStatus.GOOD, "of another day", None),
        (ocsp.OCSPCertStatus.REVOKED, "without a listed clock", None),
        (ocsp.OCSPCertStatus.GOOD, "no answer at all", None),
        (ocsp.OCSPCertStatus.REVOKED, "signed in a way that is not known", None),
        (ocsp.OCSPCertStatus.REVOKED, "signed in a way that names no hash", None),
    ],
)
def test_the_issuers_answer_beside_the_signature_counts_where_a_timestamp_shows_its_time(tmp_path, answer, case, said):
    """C2PA 2.4, 15.9.1; the SDK passes over it, also where it says that the certificate was revoked."""
    made = leaf()
    with Authority() as clock:
        signer = signer_of(made, tmp_path, timestamp=clock.url)
        signed = sign.sign_file(write_any(tmp_path / "a.wav"), tmp_path / "b.wav", created(), signer=signer)
        signer = authority("stranger") if case == "by a stranger" else authority()
        at = datetime.datetime(2026, 1, 1) if case == "of another day" else None
        body = b"nothing" if case == "no answer at all" else status(authority(), made.chain[0], answer, signer, at)
        if case.startswith("signed in a way"):
            # The latter is Ed25519.
            body = said_to_be_signed(body, "1.2.3.4" if case.endswith("known") else "1.3.101.112")
        forged = resign(signed, tmp_path / "c.wav", made, clock, beside={"rVals": {"ocspVals": [body]}})
    listed = trust_in(authority())
    if case != "without a listed clock":
        listed = both(listed, trust_in(clock.root, kind="tsa", name="clock"))
    found = read(forged, trust=listed)
    codes = {code.code for code in found.codes if "ocsp" in code.code}
    assert codes == ({said} if said else set())
    assert found.state == (State.INVALID if str(said).endswith(".revoked") else State.TRUSTED)
