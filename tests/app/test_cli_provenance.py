"""The commands: results on stdout, exit codes that tell absent, failed and unread apart."""

import json
import re

import pytest
from provenance_kit import authority, certificates, created, flip, leaf, signer_of, write_any, write_wav

from gioconda.cli import main
from gioconda.report import as_sarif
from provenance.signing import sign

CLAIM = 'title = "t"\n[[actions]]\naction = "c2pa.created"\nsource_type = "trainedAlgorithmicMedia"\n'


@pytest.fixture
def shelf(tmp_path):
    plain = write_any(tmp_path / "plain.jpg")
    sign.sign_file(plain, tmp_path / "signed.jpg", created(), signer=signer_of(leaf(), tmp_path))
    broken = tmp_path / "broken.jpg"
    broken.write_bytes((tmp_path / "signed.jpg").read_bytes())
    flip(broken, broken.stat().st_size - 40)
    (tmp_path / "odd.mkv").write_bytes(b"\x1aE\xdf\xa3" + bytes(50))
    (tmp_path / "claim.toml").write_text(CLAIM)
    (tmp_path / "list.pem").write_text(certificates.pem(authority().certificate))
    return tmp_path


def run(capsys, *arguments):
    code = main(["-q", "provenance", *map(str, arguments)])
    return code, capsys.readouterr().out


def test_read_says_what_it_found(shelf, capsys):
    code, out = run(capsys, "read", shelf / "signed.jpg", shelf / "plain.jpg", "--trust", shelf / "list.pem")
    assert code == 0 and "trusted: what was signed is unchanged" in out and "absent: no Content Credentials" in out
    code, out = run(capsys, "read", shelf / "signed.jpg", "--json")
    document = json.loads(out)
    assert code == 0 and document["state"] == "valid" and document["schema"] == "gioconda.provenance/1"
    assert document["sdk"].startswith("c2pa-python 0.38.1")
    assert run(capsys, "read", shelf / "odd.mkv")[0] == 4


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("signed.jpg", [], 0),
        ("signed.jpg", ["--require", "trusted"], 3),
        ("signed.jpg", ["--require", "trusted", "--trust", "list.pem"], 0),
        ("signed.jpg", ["--require", "trusted", "--trust", "tsa=list.pem"], 3),
        ("broken.jpg", [], 3),
        ("plain.jpg", [], 3),
        ("plain.jpg", ["--allow-absent"], 0),
        ("broken.jpg", ["--allow-absent"], 3),
        ("odd.mkv", [], 4),
        ("none.jpg", [], 4),
        ("signed.jpg", ["--require", "perfect"], 2),
        ("signed.jpg", ["--require", "signer:" + "ab" * 32], 3),
    ],
)
def test_verify_exits_as_written(shelf, capsys, monkeypatch, name, options, expected):
    monkeypatch.chdir(shelf)
    assert run(capsys, "verify", name, *options)[0] == expected


def test_verify_names_the_list_that_matched(shelf, capsys):
    _, out = run(capsys, "verify", shelf / "signed.jpg", "--trust", shelf / "list.pem")
    assert "trusted by list (" in out
    _, out = run(capsys, "verify", shelf / "broken.jpg", "--trust", shelf / "list.pem")
    assert "invalid: what was signed was changed since" in out and "by list" not in out  # no list calls a file invalid
    _, out = run(capsys, "verify", shelf / "odd.mkv")
    assert "no credential can lie in this kind of file" in out


def test_labels_go_where_o_says(shelf, capsys):
    assert run(capsys, "labels", shelf, "-o", shelf / "index.parquet")[0] == 4
    assert (shelf / "index.parquet").exists()


def test_verify_holds_a_named_signer(shelf, capsys):
    fingerprint = certificates.fingerprint(leaf().chain[0])
    assert run(capsys, "verify", shelf / "signed.jpg", "--require", f"signer:{fingerprint}")[0] == 0


def test_verify_writes_rows_and_drift_compares_them(shelf, capsys):
    (shelf / "tree").mkdir()
    (shelf / "signed.jpg").rename(shelf / "tree" / "a.jpg")
    run(capsys, "verify", shelf / "tree", "-o", f"jsonl={shelf / 'one.jsonl'}")
    run(capsys, "verify", shelf / "tree", "-o", f"jsonl={shelf / 'two.jsonl'}", "--trust", shelf / "list.pem")
    code, out = run(capsys, "drift", shelf / "one.jsonl", shelf / "two.jsonl")
    assert code == 3 and "valid → trusted" in out and "+signingCredential.trusted" in out
    assert "; + manifest: list (" in out  # the list is what made the difference
    assert run(capsys, "drift", shelf / "one.jsonl", shelf / "one.jsonl")[0] == 0


def test_sign_one_and_many(shelf, capsys):
    options = ["--claim", shelf / "claim.toml"]
    code, out = run(capsys, "sign", shelf / "plain.jpg", "--out", shelf / "new.jpg", *options)
    assert code == 0 and out.strip() == str(shelf / "new.jpg")
    assert run(capsys, "sign", shelf / "plain.jpg", "--out", shelf / "new.jpg", *options)[0] == 2
    assert run(capsys, "sign", shelf / "plain.jpg", "--out", shelf / "plain.jpg", *options, "--force")[0] == 2
    sound = write_wav(shelf / "sound.wav")
    (shelf / "out").mkdir()
    code, out = run(capsys, "sign", shelf / "plain.jpg", sound, shelf / "odd.mkv", "--out", shelf / "out", *options)
    assert code == 4 and sorted(path.name for path in (shelf / "out").iterdir()) == ["plain.jpg", "sound.wav"]
    code, _ = run(capsys, "sign", sound, "--out", shelf / "beside.c2pa", *options, "--sidecar")
    assert code == 0 and (shelf / "beside.c2pa").read_bytes()[4:8] == b"jumb"


def test_a_sidecar_needs_no_target_and_a_failure_is_said_even_when_quiet(shelf, capsys):
    options = ["--claim", shelf / "claim.toml"]
    code, out = run(capsys, "sign", shelf / "plain.jpg", shelf / "odd.mkv", "--sidecar", *options)
    assert code == 0 and out.split() == [str(shelf / "plain.jpg.c2pa"), str(shelf / "odd.mkv.c2pa")]
    assert run(capsys, "verify", shelf / "plain.jpg", shelf / "odd.mkv")[0] == 0
    assert run(capsys, "sign", shelf / "plain.jpg", *options)[0] == 2
    assert (
        main(["-q", "provenance", "sign", str(shelf / "odd.mkv"), "--out", str(shelf / "x.mkv"), *map(str, options)])
        == 2
    )
    assert "--sidecar" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spec", "said"),
    [("key:nobody", "no such key"), ("command:rum=true", "run, chain, algorithm, timestamp, timeout")],
)
def test_a_signer_that_cannot_be_had_says_what_there_is(shelf, capsys, spec, said):
    options = ["--claim", str(shelf / "claim.toml"), "--signer", spec]
    assert main(["provenance", "sign", str(shelf / "plain.jpg"), "--out", str(shelf / "n.jpg"), *options]) != 0
    assert said in capsys.readouterr().err


def test_signing_with_the_development_key_says_so(shelf, capsys):
    main(
        [
            "provenance",
            "sign",
            str(shelf / "plain.jpg"),
            "--out",
            str(shelf / "n.jpg"),
            "--claim",
            str(shelf / "claim.toml"),
        ]
    )
    assert "development key: it proves nothing" in capsys.readouterr().err


def test_forecast_fails_early(shelf, capsys):
    code, out = run(capsys, "forecast", shelf / "signed.jpg", shelf / "plain.jpg")
    assert code == 0 and "1 signed file, 1 without a trusted timestamp" in out
    assert run(capsys, "forecast", shelf / "signed.jpg", "--fail-within", "400")[0] == 3
    assert run(capsys, "forecast", shelf / "signed.jpg", "--fail-within", "30")[0] == 0


def test_keys_and_lists(shelf, capsys):
    assert run(capsys, "keys", "make", "desk", "--organisation", "The Daily Example")[0] == 0
    _, out = run(capsys, "keys", "show", "--json")
    assert [key["name"] for key in json.loads(out)["keys"]] == ["desk"] and "PRIVATE" not in out
    assert run(capsys, "keys", "renew", "desk", "--root", shelf / "new-root.pem")[0] == 0
    assert "PRIVATE" not in (shelf / "new-root.pem").read_text()
    run(
        capsys,
        "sign",
        shelf / "plain.jpg",
        "--out",
        shelf / "d.jpg",
        "--claim",
        shelf / "claim.toml",
        "--signer",
        "key:desk",
    )
    trusted = ["--require", "trusted", "--trust", shelf / "new-root.pem"]
    assert run(capsys, "verify", shelf / "d.jpg", *trusted)[0] == 0
    assert run(capsys, "trust", "add", shelf / "list.pem", "--name", "mine", "--date", "2026-08-21")[0] == 0
    _, out = run(capsys, "trust", "show", "--json")
    assert json.loads(out)["lists"][0]["date"] == "2026-08-21"
    _, out = run(capsys, "read", shelf / "signed.jpg")
    assert "trust list: mine (2026-08-21" in out
    other = shelf / "other.pem"
    other.write_text(certificates.pem(certificates.make_authority("new", "x").certificate))
    _, out = run(capsys, "trust", "diff", "mine", other)
    assert out.count("\n+ ") + out.startswith("+ ") == 1 and "\n- " in out
    assert run(capsys, "trust", "revoke", certificates.fingerprint(leaf().chain[0]))[0] == 0
    assert "valid: " in run(capsys, "read", shelf / "signed.jpg")[1]
    assert run(capsys, "trust", "remove", "mine")[0] == 0


def test_an_update_of_a_list_shows_the_difference_and_waits_for_a_yes(shelf, capsys, monkeypatch):
    from provenance.trust import online

    text = {"pem": certificates.pem(authority().certificate)}
    monkeypatch.setattr(online, "fetch", lambda url, **more: text["pem"].encode())
    code, out = run(capsys, "trust", "update", "C2PA-TSA-TRUST-LIST")
    assert code == 0 and "1 anchor (0 expired), " in out
    assert "unchanged" in run(capsys, "trust", "update", "C2PA-TSA-TRUST-LIST")[1]
    text["pem"] = certificates.pem(certificates.make_authority("new", "x").certificate)
    _, out = run(capsys, "trust", "update", "C2PA-TSA-TRUST-LIST")
    assert "+ " in out and "- " in out
    assert "+ " in run(capsys, "trust", "update", "C2PA-TSA-TRUST-LIST")[1]  # still the old one
    run(capsys, "trust", "update", "C2PA-TSA-TRUST-LIST", "--yes")
    assert "unchanged" in run(capsys, "trust", "update", "C2PA-TSA-TRUST-LIST")[1]
    _, out = run(capsys, "trust", "show", "--json")
    assert json.loads(out)["lists"][0]["kind"] == "tsa"
    text["pem"] = "<html>not found</html>"
    assert main(["-q", "provenance", "trust", "update", "C2PA-TSA-TRUST-LIST"]) != 0
    assert "main/trust-list/C2PA-TSA-TRUST-LIST.pem: no certificate in it" in capsys.readouterr().err


def test_a_credential_is_told_in_japanese_too(tmp_path, capsys):
    from provenance_kit import created, write_any

    from gioconda.cli import main
    from provenance.signing import sign

    path = sign.sign_file(write_any(tmp_path / "a.jpg"), tmp_path / "b.jpg", created())
    data = bytearray(path.read_bytes())
    data[-40] ^= 1
    path.write_bytes(bytes(data))
    assert main(["-q", "provenance", "read", str(path), "--lang", "ja"]) == 0
    told = capsys.readouterr().out
    assert "署名後に変更されたか、認証情報が別のファイルのものです" in told and "署名時のハッシュと一致しません" in told
    assert "不適合：assertion.dataHash.mismatch" in told and "failure" not in told
    assert main(["-q", "explain", "assertion.dataHash.mismatch", "--lang", "ja"]) == 0
    assert "署名時のハッシュと一致しません" in capsys.readouterr().out
    for reason in ("altered", "identity", "unsupported"):
        for lang in ("en", "ja"):
            assert main(["-q", "explain", reason, "--lang", lang]) == 0
            assert len(capsys.readouterr().out.strip()) > 8


def test_explain_alone_lists_what_it_explains_and_a_log_sends_to_nothing_else(capsys):
    assert main(["-q", "explain"]) == 0
    listed = [word for line in capsys.readouterr().out.splitlines() for word in line.split(": ")[1].split(", ")]
    sent = re.findall("gioconda explain ([a-z-]+)", as_sarif.log([]))
    assert {"false-alarm", "signal", "trusted", "not-read", "altered", "130"} <= set(listed) and "signal" in sent
    for word in (*listed, *sent):
        assert main(["-q", "explain", word]) == 0 and len(capsys.readouterr().out) > 6, word
    assert main(["-q", "explain", "--lang", "ja"]) == 0
    assert [line.split(": ")[0] for line in capsys.readouterr().out.splitlines()][-1] == "終了コード"


def test_every_command_for_credentials_speaks_every_language(tmp_path, capsys):
    """What each prints differs by the language in its words only: the files' names and numbers are the same."""
    from gioconda.cli.provenance import app

    def all_of(group, above=()):
        for command in group.registered_commands:
            yield (*above, command.name or command.callback.__name__), command
        for inner in group.registered_groups:
            yield from all_of(inner.typer_instance, (*above, inner.name))

    for name, command in all_of(app):
        function = command.callback
        while not hasattr(function, "declared"):
            function = function.__wrapped__
        assert "lang" in function.declared, name

    def said(*words):
        main(["-q", "provenance", *map(str, words)])
        return capsys.readouterr().out

    signed = sign.sign_file(write_any(tmp_path / "a.jpg"), tmp_path / "b.jpg", created())
    (tmp_path / "list.pem").write_text(certificates.pem(authority().certificate))
    said("trust", "add", tmp_path / "list.pem")
    (tmp_path / "rows.jsonl").write_text("")
    for words in (
        ("read", signed), ("verify", signed), ("forecast", signed), ("mark", signed), ("remember", signed),
        ("drift", tmp_path / "rows.jsonl", tmp_path / "rows.jsonl"), ("keys", "show"), ("trust", "show"),
        ("trust", "diff", tmp_path / "list.pem", tmp_path / "list.pem"),
        ("recover", tmp_path / "a.jpg", "--out", tmp_path / "x.c2pa", "--force"),
        ("strip", signed, tmp_path / "s.jpg", "--force"),
    ):  # fmt: skip
        english, japanese = (said(*words, "--lang", lang) for lang in ("en", "ja"))
        if words[0] == "remember":  # it prints what it kept, which is no sentence
            assert english == japanese
        else:
            assert english and not re.search("[ぁ-ヿ一-鿿]", english) and re.search("[ぁ-ヿ一-鿿]", japanese), words
    for name, words in {"a": (), "b": ("--request", tmp_path / "b.csr"), "c": ("--root", tmp_path / "c.pem")}.items():
        assert main(["provenance", "keys", "make", name, "--organisation", "X", *map(str, words), "--lang", "ja"]) == 0
        assert re.search("[ぁ-ヿ一-鿿]", capsys.readouterr().err)
    for code in ("exit-codes", "3", "altered", "trusted", "assertion.dataHash.mismatch"):
        assert main(["-q", "explain", code, "--lang", "ja"]) == 0
        assert re.search("[ぁ-ヿ一-鿿]", capsys.readouterr().out)


def test_exit_codes_are_said_as_the_enum_has_them(capsys):
    from gioconda_core.errors import ExitCode

    assert main(["explain", "exit-codes", "--lang", "en"]) == 0
    assert capsys.readouterr().out == "".join(f"{int(code):>4}  {code.meaning}\n" for code in ExitCode)
