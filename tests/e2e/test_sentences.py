"""No meaning travels in a sentence: with every sentence another, each command says the same codes and ends with the same exit code."""

import json
import re
import shutil
import zipfile

import pytest
from other_words import differences, in_this_process, scramble, without_sentences
from PIL import Image
from provenance_kit import authority, certificates, created, flip, leaf, signer_of, write_any, write_mp4

from benchmarks.run.rows import readings
from gioconda.cli.app import run
from provenance.signing import sign

TINY = """
name = "tiny"
version = "1"
title = "Clips that cannot be assessed, and one that cannot be read"
data = { kind = "index" }
protocol = { sampling = "native", degradations = ["none", "h264:crf=40"], resamples = 100 }
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Signed, altered, cut off, mislabelled and plain files, a text under the name of a clip, and an archive of some of them."""
    folder = tmp_path_factory.mktemp("tree")
    root = folder / "tree"
    root.mkdir()
    signer = signer_of(leaf(), folder)
    sign.sign_file(write_any(folder / "plain.jpg"), root / "signed.jpg", created(), signer=signer)
    shutil.copy(root / "signed.jpg", root / "altered.jpg")
    flip(root / "altered.jpg", (root / "altered.jpg").stat().st_size - 40)
    whole = write_mp4(root / "whole.mp4", frames=60).read_bytes()
    (root / "half.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    (root / "text.mp4").write_text("not a clip\n")
    (root / "notes.txt").write_text("no media\n")
    Image.new("RGB", (32, 32), (9, 90, 200)).save(root / "still.bmp")
    (root / "odd.mkv").write_bytes(b"\x1aE\xdf\xa3" + bytes(50))
    (root / "picture.png").write_bytes((folder / "plain.jpg").read_bytes())
    with zipfile.ZipFile(root / "old.zip", "w") as archive:
        sign.sign_file(folder / "plain.jpg", folder / "other.jpg", created("another"), signer=signer)
        # Of no content that is in the tree: which is copied is a matter of time.
        archive.write(folder / "other.jpg", "other.jpg")
        archive.writestr("other.mp4", "no clip either\n")
        archive.writestr("notes.txt", "no media\n")
        archive.writestr("inner.zip", b"PK")
    (root / "broken.zip").write_bytes((root / "old.zip").read_bytes()[:200])
    (root / "set.csv").write_text("path,label\nwhole.mp4,real\nhalf.mp4,fake\ntext.mp4,fake\nstill.bmp,unknown\n")
    (folder / "tiny.toml").write_text(TINY)
    (folder / "list.pem").write_text(certificates.pem(authority().certificate))
    (folder / "accepted.toml").write_text(
        '[[accept]]\npath = "*text.mp4"\nfault = "error"\nreason = "known"\nuntil = 2999-01-01\n\n'
        '[[accept]]\npath = "*altered.jpg"\nreason = "known"\nuntil = 2999-01-01\n'
    )
    return folder


def audits(tree):
    """(name, options of an audit, exit code)."""
    root, base = str(tree / "tree"), ["--detectors", "none"]
    yield "plain", [root, *base], 4
    yield "every", [root, *base, "--all", "--archives", "--trust", str(tree / "list.pem")], 4
    yield "require", [root, *base, "--require", "valid", "--require", "sound-ingredients"], 3
    yield "trusted", [str(tree / "tree" / "signed.jpg"), *base, "--require", "trusted"], 3
    yield "declared", [root, *base, "--fail-on", "declared-ai"], 3
    yield "accepted", [root, *base, "--archives", "--baseline", str(tree / "accepted.toml"), "--require", "valid"], 3
    yield "shipped", [root, "--fail-on", "signal"], 4


def left(out):
    """What an audit left, without its sentences: rows by path, rules of the SARIF, counts of the JUnit."""
    lines = map(json.loads, (out / "readings.jsonl").read_text("utf-8").splitlines())
    rows = sorted((without_sentences(row, "mtime_ns", "aside") for row in lines), key=lambda row: row["path"])
    results = json.loads((out / "readings.sarif").read_text("utf-8"))["runs"][0]["results"]
    rules = sorted((r["ruleId"], r["level"], len(r.get("suppressions", ()))) for r in results)
    junit = (out / "readings.junit.xml").read_text("utf-8")
    return (
        rows,
        rules,
        re.search(r'<testsuite name="gioconda audit" (.*?)>', junit)[1],
        len(re.findall("<skipped", junit)),
    )


@pytest.mark.slow  # seven audits, each three times
def test_audits_say_and_end_the_same_in_other_words(tree, tmp_path, capsys, monkeypatch):
    in_this_process(monkeypatch)

    def found(run_name):
        for name, options, code in audits(tree):
            out = tmp_path / run_name / name
            assert run(["-q", "audit", *options, "--out", str(out), "--json"]) == code, name
            yield without_sentences(json.loads(capsys.readouterr().out), "files"), left(out)

    before = list(found("before"))
    said = json.dumps(before)
    for code in ("nested-archive", "no-media-name", "misnamed", "altered", "unsupported", "credentials/invalid"):
        assert code in said, code
    for seed in range(2):
        with monkeypatch.context() as patch:
            scramble(patch, seed)
            for (name, *_), old, new in zip(audits(tree), before, found(f"after-{seed}"), strict=True):
                assert new == old, f"{name}: {differences(old, new)}"


def commands(tree, out):
    """(arguments, exit code) of every other command that ends by what it finds."""
    root = tree / "tree"
    read, trust = ["provenance"], ["--trust", str(tree / "list.pem")]
    yield ["compare", str(root / "whole.mp4"), str(root / "whole.mp4"), "--json"], 0
    yield ["compare", str(root / "whole.mp4"), str(root / "text.mp4"), "--json"], 4
    for name, code in (
        ("signed.jpg", 0),
        ("altered.jpg", 3),
        ("odd.mkv", 4),
        ("text.mp4", 4),
        ("still.bmp", 4),
        ("none.jpg", 4),
    ):
        yield [*read, "verify", str(root / name), "--json"], code
        yield [*read, "read", str(root / name), "--json"], 4 if code == 4 else 0
    yield [*read, "verify", str(root), "--require", "trusted", "--allow-absent", *trust, "--json"], 3
    yield [*read, "verify", str(root / "signed.jpg"), "--require", "trusted", *trust, "--json"], 0
    yield [*read, "forecast", str(root), "--fail-within", "9999", "--json"], 3
    yield [*read, "forecast", str(root / "text.mp4"), "--json"], 4
    for name, trusted in (("one", []), ("two", trust)):
        yield [*read, "verify", str(root / "signed.jpg"), *trusted, "-o", f"jsonl={out / name}"], 0
    yield [*read, "drift", str(out / "one"), str(out / "two"), "--json"], 3
    yield [*read, "drift", str(out / "one"), str(out / "one"), "--json"], 0
    yield [*read, "labels", str(root), "-o", str(out / "labels.parquet")], 4
    yield [*read, "recover", str(root / "whole.mp4"), "--out", str(out / "found.c2pa")], 4
    yield [*read, "remember", str(root / "signed.jpg"), str(root / "whole.mp4")], 4
    yield ["case", "new", str(out / "case"), "--name", "a", "--by", "b"], 0
    yield ["case", "add", str(out / "case"), str(root / "signed.jpg")], 0
    yield ["case", "verify", str(out / "case"), "--json"], 0
    yield ["data", "index", str(root / "set.csv"), "--out", str(out / "index.parquet")], 4
    yield ["data", "verify", str(out / "index.parquet"), "--json"], 4
    yield ["bench", "audit", str(out / "index.parquet"), "--fail-on", "any", "--json"], 3
    suite, measured = [str(tree / "tiny.toml"), "--detectors", "contrast"], ["--index", str(out / "index.parquet")]
    yield ["bench", "run", *suite, *measured, "--out", str(out / "run"), "--json"], 4
    yield ["models", "verify"], 0
    yield ["models", "verify", "vgg19-caffe"], 4
    yield ["doctor", "--json"], 0
    yield ["synth", "consent", "check", str(root / "notes.txt")], 2
    yield ["detect", "score", str(root / "text.mp4"), "--json"], 4


@pytest.mark.slow  # loads every plugin, twice
def test_every_command_ends_the_same_in_other_words(tree, tmp_path, capsys, monkeypatch):
    in_this_process(monkeypatch)

    def found(name):
        out = tmp_path / name
        out.mkdir()
        for arguments, _ in commands(tree, out):
            code = run(["-q", *arguments])
            said = capsys.readouterr().out.replace(str(out), "OUT")
            body = json.loads(said) if "--json" in arguments and said.strip() else {}
            yield arguments[:3], code, without_sentences(body, "created", "last")
        rows = [row.columns() for row in readings(out / "run")]
        assert {bool(row.get("error")) for row in rows} == {True, False}, "one is not read, another abstains"
        yield ["rows of bench run"], 0, without_sentences(sorted(rows, key=lambda r: (r["id"], r["degradation"])))

    expected = [code for _, code in commands(tree, tmp_path)] + [0]
    before = list(found("before"))
    assert [code for _, code, _ in before] == expected
    with monkeypatch.context() as patch:
        scramble(patch, 7)
        for (arguments, *old), (_, *new) in zip(before, found("after"), strict=True):
            assert new == old, f"{arguments}: {differences(old, new)}"
