"""Every way to sign: bytes in, signature out; and keys that make, show and renew themselves."""

import multiprocessing
import os
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from provenance_kit import authority, both, created, leaf, middle_of, signer_of, trust_in, write_wav

from gioconda_core.errors import CredentialError, UsageError
from gioconda_core.testing import check_signer
from gioconda_core.types import ProvenanceState as State
from provenance.keys import certificates, keys
from provenance.reading.read import read
from provenance.signing import sign, signers
from provenance.trust import lists as trust

SOFTHSM = next(
    (
        path
        for path in ("/usr/lib/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so")
        if os.path.exists(path)
    ),
    None,
)


@pytest.fixture
def plain(tmp_path):
    return write_wav(tmp_path / "plain.wav")


def signed_state(plain, signer, root=None):
    path = sign.sign_file(plain, plain.with_name("signed.wav"), created(), signer=signer, force=True)
    return read(path, trust=trust_in(root or authority()))


def test_the_contract_of_signers_is_checked(tmp_path):
    signer = signer_of(leaf(), tmp_path)
    check_signer(signer)
    for wrong, why in (
        ({"sign": lambda data: "text"}, "returns bytes"),
        ({"chain": "PRIVATE KEY BEGIN CERTIFICATE"}, "never shows its key"),
    ):
        given = {"chain": signer.chain, "sign": signer.sign} | wrong
        with pytest.raises(AssertionError, match=why):
            check_signer(SimpleNamespace(**given))


def test_a_key_service_gets_bytes_and_returns_a_signature(plain):
    made, asked = leaf("kms"), []

    def service(data):
        asked.append(data)
        return signers.sign_with(made.key, "es256", data)

    assert signed_state(plain, signers.CallbackSigner(service, made.chain_pem)).state == State.TRUSTED
    assert len(asked) == 1 and isinstance(asked[0], bytes)


SERVICE = """
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from provenance.signing.signers import CallbackSigner, sign_with

def signer(key, chain, timestamp=None):
    secret = load_pem_private_key(open(key, "rb").read(), None)
    return CallbackSigner(lambda data: sign_with(secret, "es256", data), open(chain).read(), timestamp=timestamp)
"""


def test_a_key_services_plugin_is_named_on_the_command_line(plain, tmp_path, monkeypatch):
    made = leaf("kms")
    (tmp_path / "key.pem").write_text(made.key_pem)
    (tmp_path / "chain.pem").write_text(made.chain_pem)
    (tmp_path / "house_kms.py").write_text(SERVICE)
    (tmp_path / "house_kms-1.dist-info").mkdir()
    (tmp_path / "house_kms-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: house-kms\nVersion: 1\n")
    (tmp_path / "house_kms-1.dist-info" / "entry_points.txt").write_text(
        "[gioconda.signers]\nhouse-kms = house_kms:signer\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    chosen = signers.from_spec(f"house-kms:key={tmp_path / 'key.pem'};chain={tmp_path / 'chain.pem'}")
    assert signed_state(plain, chosen).state == State.TRUSTED


def test_a_signature_as_r_and_s_is_taken_too(plain):
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    made = leaf("kms")

    def service(data):
        r, s = decode_dss_signature(signers.sign_with(made.key, "es256", data))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    assert signed_state(plain, signers.CallbackSigner(service, made.chain_pem)).state == State.TRUSTED


@pytest.mark.parametrize("algorithm", ["es384", "ps256", "ps384", "ed25519"])
def test_a_key_service_may_use_any_algorithm(plain, algorithm):
    made = leaf(f"kms {algorithm}", algorithm=algorithm)
    service = signers.CallbackSigner(
        lambda data: signers.sign_with(made.key, algorithm, data), made.chain_pem, algorithm=algorithm
    )
    assert signed_state(plain, service).state == State.TRUSTED


def test_an_algorithm_that_is_not_the_keys_is_refused(tmp_path):
    made = leaf("curve")
    (tmp_path / "key.pem").write_text(made.key_pem + made.chain_pem)
    with pytest.raises(UsageError, match="signs by es256, not by ps256"):
        signers.PemSigner(tmp_path / "key.pem", algorithm="ps256")


def test_a_chain_without_its_issuer_signs_too(plain, tmp_path):
    short = leaf("alone", include_issuer=False)
    assert signed_state(plain, signer_of(short, tmp_path)).state == State.TRUSTED


def test_a_wrong_signature_is_found_before_the_file_has_its_name(plain):
    service = signers.CallbackSigner(lambda data: bytes(64), leaf("kms").chain_pem)
    with pytest.raises(CredentialError):
        sign.sign_file(plain, plain.with_name("signed.wav"), created(), signer=service)
    assert not plain.with_name("signed.wav").exists()


PROGRAM = """
import sys
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
key = serialization.load_pem_private_key(open(sys.argv[1], "rb").read(), None)
sys.stdout.buffer.write(key.sign(sys.stdin.buffer.read(), ec.ECDSA(hashes.SHA256())))
"""


def test_a_command_signs(plain, tmp_path):
    made = leaf("command")
    (tmp_path / "key.pem").write_text(made.key_pem)
    (tmp_path / "chain.pem").write_text(made.chain_pem)
    (tmp_path / "sign.py").write_text(PROGRAM)
    run = f"{sys.executable} {tmp_path / 'sign.py'} {tmp_path / 'key.pem'}"
    chosen = signers.from_spec(f"command:run={run};chain={tmp_path / 'chain.pem'}")
    assert signed_state(plain, chosen).state == State.TRUSTED


def test_what_a_command_says_is_passed_on(plain, tmp_path):
    (tmp_path / "chain.pem").write_text(leaf("command").chain_pem)
    run = f"{sys.executable} -c \"import sys; sys.exit('the token is locked')\""
    chosen = signers.CommandSigner(run, tmp_path / "chain.pem")
    with pytest.raises(CredentialError, match="the token is locked"):
        sign.sign_file(plain, tmp_path / "signed.wav", created(), signer=chosen)
    slow = signers.CommandSigner("sleep 30", tmp_path / "chain.pem", timeout="0.3")
    with pytest.raises(CredentialError, match="longer than"):
        sign.sign_file(plain, tmp_path / "signed.wav", created(), signer=slow)
    with pytest.raises(CredentialError, match="cannot be run"):
        sign.sign_file(
            plain, tmp_path / "s.wav", created(), signer=signers.CommandSigner("/none", tmp_path / "chain.pem")
        )


@pytest.mark.skipif(SOFTHSM is None or shutil.which("softhsm2-util") is None, reason="SoftHSM is not installed")
@pytest.mark.parametrize("algorithm", ["es256", "ps256"])
def test_a_key_in_a_token_signs_and_never_leaves_it(plain, tmp_path, monkeypatch, algorithm):
    pytest.importorskip("pkcs11")
    # A process of its own: the token library reads its configuration once.
    made = leaf(f"token {algorithm}", algorithm=algorithm)
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm.conf").write_text(
        f"directories.tokendir = {tmp_path / 'tokens'}\nobjectstore.backend = file\n"
    )
    environment = {**os.environ, "SOFTHSM2_CONF": str(tmp_path / "softhsm.conf"), "GIOCONDA_PIN": "1234"}
    (tmp_path / "key.pem").write_text(made.key_pem)
    (tmp_path / "chain.pem").write_text(made.chain_pem)
    for arguments in (
        ["--init-token", "--free", "--label", "desk", "--pin", "1234", "--so-pin", "5678"],
        ["--import", str(tmp_path / "key.pem"), "--token", "desk", "--label", "claims", "--id", "a1", "--pin", "1234"],
    ):
        subprocess.run(["softhsm2-util", *arguments], env=environment, check=True, capture_output=True)
    (tmp_path / "key.pem").unlink()
    code = (
        "import sys; from pathlib import Path; from provenance.signing import claims, sign, signers\n"
        "made = claims.Credential('t', actions=(claims.Action('c2pa.created', 'trainedAlgorithmicMedia'),))\n"
        "chosen = signers.from_spec(sys.argv[1])\n"
        "for name in sys.argv[3:]: sign.sign_file(sys.argv[2], name, made, signer=chosen)\n"
    )
    spec = f"pkcs11:module={SOFTHSM};token=desk;label=claims;chain={tmp_path / 'chain.pem'}"
    command = [sys.executable, "-c", code, spec, str(plain), str(tmp_path / "one.wav"), str(tmp_path / "two.wav")]
    subprocess.run(command, env=environment, check=True)
    for name in ("one.wav", "two.wav"):
        assert read(tmp_path / name, trust=trust_in(authority())).state == State.TRUSTED
    done = subprocess.run(command, env={**environment, "GIOCONDA_PIN": "9"}, capture_output=True, text=True)
    assert "CredentialError" in done.stderr and "token" in done.stderr


def test_a_pin_is_never_asked_of_the_command_line(tmp_path, monkeypatch):
    pytest.importorskip("pkcs11")
    monkeypatch.delenv("GIOCONDA_PIN", raising=False)
    (tmp_path / "chain.pem").write_text(leaf().chain_pem)
    with pytest.raises(UsageError, match="GIOCONDA_PIN"):
        signers.from_spec(f"pkcs11:module=/none.so;token=t;label=l;chain={tmp_path / 'chain.pem'}")


def test_an_identity_is_attested_beside_the_claim(plain, tmp_path):
    desk_root = certificates.make_authority("Desk root", "The Daily Example")
    desk = certificates.make_leaf(desk_root, "Picture desk", "The Daily Example")
    service = leaf("kms")
    for claim in (
        signer_of(leaf(), tmp_path),
        signers.CallbackSigner(lambda data: signers.sign_with(service.key, "es256", data), service.chain_pem),
    ):
        chosen = signers.IdentitySigner(claim, signer_of(desk, tmp_path), roles=("cawg.editor",))
        for _ in range(2):  # one signer, many files
            found = signed_state(plain, chosen)
        # An unknown identity leaves the claim's own verdict alone.
        assert found.state == State.TRUSTED
        assert found.identities[0]["name"] == "Picture desk, The Daily Example" and not found.identities[0]["trusted"]
        lists = both(trust_in(authority()), trust_in(desk_root, kind="cawg", name="desks"))
        (identity,) = read(plain.with_name("signed.wav"), trust=lists).identities
        assert identity["trusted"] and identity["lists"] == ["desks"] and identity["roles"] == ["cawg.editor"]
        others = trust_in(certificates.make_authority("Another desk", "x"), kind="cawg", name="another newsroom's")
        (identity,) = read(plain.with_name("signed.wav"), trust=both(others, lists)).identities
        assert identity["lists"] == ["desks"]  # the one that vouches, not each that there is


def test_one_signer_serves_many_threads(tmp_path):
    chosen = signer_of(leaf(), tmp_path)
    plain = write_wav(tmp_path / "plain.wav")

    def one(number):
        return read(sign.sign_file(plain, tmp_path / f"{number}.wav", created(str(number)), signer=chosen)).state

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(40))) == {State.VALID}


def _in_child(plain, target, signer, queue):
    try:
        queue.put(str(read(sign.sign_file(plain, target, created(), signer=signer)).state))
    except BaseException as error:
        queue.put(repr(error))


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_signer_survives_a_fork(plain, tmp_path):
    chosen = signer_of(leaf(), tmp_path)
    signed_state(plain, chosen)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(plain, tmp_path / "child.wav", chosen, queue))
    child.start()
    assert queue.get(timeout=30) == "valid"
    child.join()


def _first_use(home, queue):
    os.environ["GIOCONDA_HOME"] = home
    queue.put(certificates.fingerprint(keys.parse(keys.development().read_bytes(), "").chain[0]))


def test_first_use_by_many_processes_makes_one_key(tmp_path):
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    queue = context.Queue()
    children = [context.Process(target=_first_use, args=(str(tmp_path / "new"), queue)) for _ in range(6)]
    for child in children:
        child.start()
    assert len({queue.get(timeout=30) for _ in children}) == 1
    for child in children:
        child.join()


def test_the_development_key_is_private_named_and_its_root_key_is_nowhere():
    path = keys.development()
    assert keys.development() == path
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    text = path.read_text()
    assert text.count("PRIVATE KEY-----") == 2 and text.count("BEGIN CERTIFICATE") == 2
    (shown,) = keys.show()
    assert shown.development and "proves nothing" in shown.subject and shown.days_left > 1000
    assert all("PRIVATE" not in file.read_text() for file in path.parent.glob("*roots.pem"))


def test_a_made_key_signs_and_renews_and_what_it_signed_stays(plain):
    path = keys.make("newsroom", "The Daily Example", days=40)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    old = keys.load("newsroom")
    found = signed_state(plain, signers.from_spec("key:newsroom"), old.chain[-1])
    assert found.state == State.TRUSTED and found.signer == "newsroom, The Daily Example"
    with pytest.raises(UsageError, match="already exists"):
        keys.make("newsroom", "Somebody Else")
    keys.renew("newsroom")
    new = keys.load("newsroom")
    assert certificates.fingerprint(new.chain[0]) != certificates.fingerprint(old.chain[0])
    assert len(list(path.parent.glob("newsroom*.pem"))) == 2
    assert read(plain.with_name("signed.wav"), trust=trust_in(old.chain[-1])).state == State.TRUSTED


def test_a_renewed_development_key_keeps_its_past(plain):
    path = sign.sign_file(plain, plain.with_name("signed.wav"), created())
    keys.renew(keys.DEVELOPMENT)
    again = sign.sign_file(plain, plain.with_name("again.wav"), created())
    lists = trust.load(development=True)
    assert {read(item, trust=lists).state for item in (path, again)} == {State.TRUSTED}
    assert read(path, trust=lists).signer_fingerprint != read(again, trust=lists).signer_fingerprint


def test_a_request_asks_for_what_a_claim_signer_needs(plain):
    from cryptography import x509

    _, text = keys.make_with_request("desk", "The Daily Example")
    request = x509.load_pem_x509_csr(text.encode())
    purposes = [oid.dotted_string for oid in request.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value]
    assert purposes == [certificates.EMAIL_PROTECTION, certificates.CLAIM_SIGNING] and request.is_signature_valid
    with pytest.raises(CredentialError, match="no certificate"):
        keys.load("desk")
    assert any(key.name == "desk" for key in keys.show())


def test_key_files_that_do_not_fit_are_refused(tmp_path):
    file = tmp_path / "mixed.pem"
    file.write_text(leaf("a").key_pem + leaf("b").chain_pem)
    with pytest.raises(CredentialError, match="not this key's"):
        signers.PemSigner(file)
    file.write_text(leaf("a").chain_pem)
    with pytest.raises(CredentialError, match="no private key"):
        signers.PemSigner(file)
    with pytest.raises(UsageError, match="no such signer"):
        signers.from_spec("nobody")
    with pytest.raises(UsageError, match="not a name"):
        keys.key_path("../../etc/passwd")


def test_a_renewal_of_somebody_elses_certificate_is_refused(tmp_path):
    middle = middle_of(authority())
    made = certificates.make_leaf(middle, "issued", "x")
    path = keys.key_path("issued")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(made.key_pem + made.chain_pem)
    with pytest.raises(CredentialError, match="issued by somebody else"):
        keys.renew("issued")
    assert path.exists()


def test_every_built_in_signer_is_listed():
    from gioconda_core import plugins

    assert {"pem", "pkcs11", "command", "development"} <= {item.name for item in plugins.available("gioconda.signers")}
    assert isinstance(signers.from_spec("development"), signers.Signer)
