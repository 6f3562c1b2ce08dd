"""``gioconda check``: what it ends with depends on codes, never on how a sentence is worded."""

import csv
import json
import sys
from fractions import Fraction

import numpy as np
import pytest
from other_words import scramble

from gioconda.cli.app import run
from gioconda_core.media.clip import write_video

JUDGE = """
import json, sys
sys.stdin.buffer.read()
print({"score": '{"score": 1.5}', "own": '{"abstain": "the detector failed: too dark"}',
       "code": '{"abstain": {"code": "no-face", "detail": {}}}', "bad": "sorry"}[sys.argv[1]])
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A clip without a face, its first half, a picture in a container without credentials, a text, and a program that judges."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("files")
    y, x = np.mgrid[:96, :128]
    frames = [np.stack([(x + 3 * i) % 256, y, x // 2], -1).astype(np.uint8) for i in range(100)]
    write_video(folder / "whole.mp4", frames, fps=Fraction(25))
    whole = (folder / "whole.mp4").read_bytes()
    (folder / "half.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    Image.fromarray(frames[0]).save(folder / "still.bmp")
    (folder / "text.mp4").write_text("not a clip\n")
    (folder / "judge.py").write_text(JUDGE)
    return folder


def outcome(arguments, capsys):
    """Exit code and everything of the documents that is no sentence."""
    code = run(arguments)
    said = capsys.readouterr().out
    documents = json.loads(said) if said.strip() else []
    kept = []
    for body in documents if isinstance(documents, list) else [documents]:
        if "rows" in body:
            kept.append([(r["detector"], r.get("score"), r.get("reason"), "error" in r) for r in body["rows"]])
            continue
        verdict = body["verdict"]
        kept.append(
            {
                "level": verdict["level"],
                "keys": [[s["key"] for s in verdict[part]] for part in ("sentences", "caveats", "next_steps")],
                "codes": [[r["code"] for r in body[part]] for part in ("warnings", "errors")],
                "abstained": [(r["reading"]["abstained"] or {}).get("code") for r in body["readings"]],
                "credentials": (body["provenance"]["state"], body["provenance"]["reason"]),
                "exit": body["outcome"]["exit_code"],
                "tripped": len(body["outcome"]["policy"]),
            }
        )
    return code, kept


def commands(folder):
    names = ("whole.mp4", "half.mp4", "still.bmp", "text.mp4")
    for name in names:
        yield ["-q", "check", str(folder / name), "--detectors", "none", "--json"]
    for act in ("score", "own", "code", "bad"):
        judge = f"command:{sys.executable} {folder / 'judge.py'} {act}"
        yield ["-q", "check", str(folder / "whole.mp4"), "--detectors", judge, "--json", "--require", "assessed"]
        yield ["-q", "detect", "score", str(folder / "half.mp4"), "--detectors", judge, "--json"]
    yield ["-q", "check", str(folder / "half.mp4"), "--detectors", "contrast", "--json"]
    yield ["-q", "check", str(folder / "still.bmp"), "--detectors", "none", "--json", "--require", "valid"]


@pytest.mark.slow  # starts a program for each reading, three times
def test_other_sentences_change_no_verdict_and_no_exit_code(files, capsys, monkeypatch):
    before = [outcome(command, capsys) for command in commands(files)]
    assert {code for code, _ in before} == {0, 3, 4}
    seen = json.dumps(before)
    for code in ("caveat.partly-decoded", "ends-early", "media-unread", "detector-failed", "other-reason", "no-face"):
        assert code in seen, code
    assert "unsupported" in seen
    for seed in range(2):
        with monkeypatch.context() as patch:
            scramble(patch, seed)
            assert [outcome(command, capsys) for command in commands(files)] == before


def test_unreadable_footage_is_incomplete_by_its_code(files, tmp_path, capsys, monkeypatch):
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna" / "a.mp4").write_bytes((files / "text.mp4").read_bytes())

    def prepare(out):
        code = run(["-q", "synth", "prepare", str(tmp_path / "anna"), "--out", str(tmp_path / out), "--json"])
        return code, json.loads(capsys.readouterr().out)["dropped"]

    assert prepare("a") == (4, {"unreadable": 1})
    scramble(monkeypatch, 5)
    assert prepare("b") == (4, {"unreadable": 1})


def test_a_file_that_cannot_be_opened_is_named_in_every_table(files, tmp_path, capsys):
    """Whoever read one of them alone was not told that one of the files has no report."""
    outputs = [
        part for name in ("json", "csv", "sarif", "html", "text") for part in ("-o", f"{name}={tmp_path / name}")
    ]
    good = files / "whole.mp4"
    code = run(["-q", "check", "--detectors", "none", str(good), str(tmp_path / "none.mp4"), *outputs])
    capsys.readouterr()
    assert code == 4
    report, row = json.loads((tmp_path / "json").read_text())
    assert report["outcome"]["unopened"] == ["none.mp4: no such file (check the path)"]
    assert row["error"] == "no such file (check the path)" and row["outcome"] == report["outcome"]
    for page in ("html", "text"):
        assert "no such file (check the path)" in (tmp_path / page).read_text()
    two = [str(tmp_path / folder / "none.mp4") for folder in "ab"]
    run(["-q", "check", "--detectors", "none", *two, "-o", f"html={tmp_path / 'two'}", "--lang", "fr"])
    assert (tmp_path / "two").read_text().count("<p>fichier introuvable (vérifiez le chemin)</p>") == 2
    capsys.readouterr()
    whole, missing = csv.DictReader((tmp_path / "csv").read_text().splitlines())
    assert missing["path"] == "none.mp4" and missing["error"] == "no such file (check the path)"
    assert whole["faces"] == "", "no detector has looked: it is not said that there is none"
    results = json.loads((tmp_path / "sarif").read_text())["runs"][0]["results"]
    assert "no such file" in [one["message"]["text"] for one in results if one["ruleId"] == "error"][-1]


def test_of_files_none_of_which_opens_a_program_is_told_of_each(tmp_path, capsys):
    """An empty list, and exit code 4, said nothing of any; and what cannot be opened has no property that every file must have."""
    names = [str(tmp_path / "none.mp4"), str(tmp_path)]
    assert run(["-q", "check", "--detectors", "none", "--json", *names]) == 4
    rows = json.loads(capsys.readouterr().out)
    assert [row["schema"] for row in rows] == ["gioconda.row/1"] * 2
    assert "no such file" in rows[0]["error"] and "not a regular file" in rows[1]["error"]
    assert run(["-q", "check", "--detectors", "none", "-o", "jsonl", "--require", "valid", names[0]]) == 3
    assert "no such file" in json.loads(capsys.readouterr().out)["error"]
