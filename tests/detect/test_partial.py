"""``detect score`` cut short: rows are written down as they are made, and the same command goes on where it was."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from fractions import Fraction

import numpy as np
import pytest
from media_material import torn

from detect.base import Card
from gioconda.cli.app import run as gioconda
from gioconda_core.files import sha256_of
from gioconda_core.media.clip import write_video

JUDGE = """
import json, os, sys, time
sys.stdin.buffer.read()
with open(os.environ["ASKED"], "a") as file:
    file.write("asked\\n")
if os.path.exists(os.environ["ASKED"] + ".down"):
    sys.exit(3)
time.sleep(float(os.environ.get("PAUSE", "0")))
print(json.dumps({"score": 0.5}))
"""


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Six clips in a list that names them, and a program that counts how often it is asked."""
    for i in range(6):
        frames = [np.full((48, 64, 3), 10 * i + t, np.uint8) for t in range(8)]
        write_video(tmp_path / f"c{i}.mp4", frames, fps=Fraction(8))
    lines = [f"c{i}.mp4,{('real', 'fake')[i % 2]},ours-{i},{i / 2}" for i in range(6)]
    (tmp_path / "set.csv").write_text("path,label,id,cue:face size in the source\n" + "\n".join(lines) + "\n")
    (tmp_path / "judge.py").write_text(JUDGE)
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    return tmp_path


def command(desk, *more):
    judge = f"judge=command:{sys.executable} -I -S {desk / 'judge.py'}"
    return ["-q", "detect", "score", "--index", str(desk / "set.csv"), "--detectors", judge, "--jobs", "1",
            "-o", f"csv={desk / 'scores.csv'}", *more]  # fmt: skip


def asked(desk):
    return (desk / "asked").read_text().count("asked") if (desk / "asked").exists() else 0


def table(desk):
    with open(desk / "scores.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_killed_command_asks_for_what_is_missing_and_no_more(desk, monkeypatch):
    monkeypatch.setenv("PAUSE", "0.5")
    process = subprocess.Popen([sys.executable, "-m", "gioconda", *command(desk)], stderr=subprocess.DEVNULL)
    partial = desk / "scores.csv.partial"
    until = time.monotonic() + 100
    while not (partial.exists() and len(partial.read_text().splitlines()) >= 3):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(1.0)  # the program that was under way has no parent now, and ends by itself
    there = len(partial.read_text().splitlines()) - 1
    assert 2 <= there < 6 and not (desk / "scores.csv").exists()
    with partial.open("a") as file:
        file.write('{"clip": ["c5.mp4", 1')  # as a killed writer leaves its last line
    monkeypatch.setenv("PAUSE", "0")
    (desk / "asked").unlink()
    assert gioconda(command(desk)) == 0
    assert asked(desk) == 6 - there, "what was there is not asked for again"
    found = table(desk)
    assert [row["path"] for row in found] == [f"c{i}.mp4" for i in range(6)] and not partial.exists()
    assert all(float(row["score"]) == 0.5 for row in found)


@pytest.mark.slow
def test_what_failed_or_changed_is_asked_for_again_and_other_detectors_are_refused(desk, capsys):
    assert gioconda(command(desk)) == 0 and asked(desk) == 6
    rows = table(desk)
    (desk / "scores.csv").unlink()
    assert gioconda(command(desk)) == 0 and asked(desk) == 12, "a whole table keeps nothing back"
    (desk / "scores.csv").unlink()
    (desk / "asked.down").write_text("")
    partial = desk / "scores.csv.partial"
    about = {"schema": "gioconda.scores.partial/1", "detectors": [["judge", "0", None]]}

    def line(i, **row):
        stat = (desk / f"c{i}.mp4").stat()
        own = {"id": "x", "path": f"c{i}.mp4", "detector": "judge", **row}
        return json.dumps({"clip": [f"c{i}.mp4", stat.st_size, stat.st_mtime_ns], "rows": [own]})

    kept = [line(0, score=0.25), line(1, error="was down"), line(2, score=0.25)]
    partial.write_text("\n".join([json.dumps(about), *kept]) + "\n")
    write_video(desk / "c2.mp4", [np.full((48, 64, 3), 99, np.uint8)] * 4, fps=Fraction(8), force=True)
    (desk / "asked.down").unlink()
    (desk / "asked").unlink()
    assert gioconda(command(desk)) == 0 and asked(desk) == 5
    assert [row["score"] for row in table(desk)] == ["0.25"] + ["0.5"] * 5
    (desk / "scores.csv").unlink()
    partial.write_text(json.dumps({**about, "detectors": [["other", "0", None]]}) + "\n")
    assert gioconda(command(desk)) == 2 and "other detectors" in capsys.readouterr().err
    assert gioconda(command(desk, "--force")) == 0 and table(desk)[0]["label"] == rows[0]["label"]


@pytest.mark.slow
def test_what_is_lost_of_a_clip_stands_beside_its_score(desk):
    torn(desk / "c3.mp4")
    assert gioconda(command(desk)) == 0
    told = [row["warnings"] for row in table(desk)]
    assert "frames are lost" in told[3] and not any(told[:3] + told[4:])


def test_rows_of_a_labelled_set_carry_what_a_report_sets_beside_scores(desk, monkeypatch, capsys):
    """Cues, which clips the detector learned from, ids by which a run and a table of paths are met, and labels as they are now."""
    seen = sha256_of(desk / "c1.mp4")
    monkeypatch.setattr(Card, "learned", lambda self, digest: digest == seen)
    assert gioconda([*command(desk), "-o", "text"]) == 0
    assert capsys.readouterr().out.count("it learned from this very file") == 1
    rows = table(desk)
    row = rows[3]
    assert (
        float(row["cue:frame rate"]) == 8 and float(row["cue:length"]) == 1.0 and float(row["cue:bytes a second"]) > 0
    )
    assert float(row["cue:sharpness"]) < 0 and "cue:face size" not in row, "nobody is there"
    assert float(row["cue:face size in the source"]) == 1.5, "what the list measured itself"
    assert row["id"] == row["sha256"] == sha256_of(desk / "c3.mp4"), "as a run calls it, so that both can be compared"
    scores = desk / "scores.csv"
    assert gioconda(["-q", "bench", "report", str(scores), "--resamples", "100"]) == 0
    assert "judge learned from clips of this set" in (said := capsys.readouterr().out) and "(1 of 6)" in said
    (desk / "theirs.csv").write_text("path,label,score\n" + "".join(f"c{i}.mp4,{i % 2},{i}\n" for i in range(6)))
    compare = ["-q", "bench", "compare", str(scores), str(desk / "theirs.csv"), "--resamples", "100", "--json"]
    assert gioconda(compare) == 0
    found = json.loads(capsys.readouterr().out)["differences"][0]
    assert (found["n_real"], found["n_fake"]) == (3, 3) and "judge learned from 1 clip of" in found["note"]
    (desk / "named.csv").write_text("id,label,score\n" + "".join(f"ours-{i},{i % 2},{i}\n" for i in range(6)))
    assert gioconda([*compare[:4], str(desk / "named.csv"), *compare[5:]]) == 0
    assert json.loads(capsys.readouterr().out)["differences"][0]["n_real"] == 3, "by the list's own ids"
    # The list is put right between a kill and the next try, which asks for no clip again.
    scores.unlink()
    lines = [{"schema": "gioconda.scores.partial/1", "detectors": [["judge", "0", None]]}]
    for kept in rows:
        stat = (desk / kept["path"]).stat()
        own = {name: value for name, value in kept.items() if value}
        lines.append({"clip": [kept["path"], stat.st_size, stat.st_mtime_ns], "rows": [own]})
    (desk / "scores.csv.partial").write_text("".join(json.dumps(line) + "\n" for line in lines))
    listed = desk / "set.csv"
    listed.write_text(listed.read_text().replace("c0.mp4,real", "c0.mp4,fake"))
    assert gioconda(command(desk)) == 0 and asked(desk) == 6
    assert [row["label"] for row in table(desk)] == ["fake", "fake", "real", "fake", "real", "fake"]


@pytest.mark.slow
def test_a_table_is_asked_by_the_ids_that_the_user_chose(desk, capsys):
    """An index's own ids and its paths find scores, in ``detect score`` and in a run, and a run meets the table by them."""
    (desk / "theirs.csv").write_text("id,label,score\n" + "".join(f"ours-{i},{i % 2},{i}\n" for i in range(6)))
    (desk / "suite.toml").write_text(
        'name = "s"\nversion = "1"\n[data]\nkind = "index"\n[protocol]\nmetrics = ["auc"]\n'
    )
    scores = f"theirs=scores:{desk / 'theirs.csv'}"
    assert gioconda(["-q", "detect", "score", "--index", str(desk / "set.csv"), "--detectors", scores, "--json"]) == 0
    assert [row["score"] for row in json.loads(capsys.readouterr().out)["rows"]] == [0, 1, 2, 3, 4, 5]
    run = ["-q", "bench", "run", str(desk / "suite.toml"), "--index", str(desk / "set.csv"), "--jobs", "1"]
    assert gioconda([*run, "--detectors", scores, "--out", str(desk / "run")]) == 0
    capsys.readouterr()
    assert (
        gioconda(["-q", "bench", "compare", str(desk / "run"), str(desk / "theirs.csv"), "--metrics", "auc", "--json"])
        == 0
    )
    (found,) = json.loads(capsys.readouterr().out)["differences"]
    assert "needs at least 10 real" in found["reason"] and (found["n_real"], found["n_fake"]) == (3, 3)
    (desk / "twice").mkdir()
    (desk / "paths.csv").write_text("path,score\nc1.mp4,7\ntwice/c1.mp4,8\n")
    again = f"p=scores:{desk / 'paths.csv'}"
    assert gioconda([*run, "--detectors", again, "--out", str(desk / "paths")]) == 0
    rows = [json.loads(line) for line in (desk / "paths" / "readings.jsonl").read_text().splitlines()]
    assert [row["score"] for row in rows if "score" in row] == [7]
