"""The synth commands as a person types them, and a run that is killed in the middle."""

from __future__ import annotations

import json
import time

import pytest
from forked import ready, start

from gioconda.cli.app import run
from gioconda_core.datasets.index import Index
from gioconda_core.errors import ExitCode
from synth.consent import check_log

FAKES = [
    "synth",
    "fakes",
    "--generator",
    "warp",
    "--size",
    "96",
    "--shots",
    "1",
    "--frames",
    "10",
    "--split",
    "train=0.5,test=0.5",
]


def test_prepare_fakes_replay_and_export(tmp_path, capsys):
    shards, out = str(tmp_path / "shards"), tmp_path / "set"
    assert (
        run(
            [
                "synth",
                "prepare",
                "puppets:4",
                "--out",
                shards,
                "--size",
                "96",
                "--min-face",
                "32",
                "--puppet-frames",
                "11",
                "--json",
                "-q",
            ]
        )
        == 0
    )
    prepared = json.loads(capsys.readouterr().out)
    assert (prepared["kept"], prepared["frames"], prepared["dropped"]) == (4, 44, {})
    arguments = [*FAKES, shards, "--out", str(out), "--json", "-q"]
    assert run([*arguments, "--export", f"df40={tmp_path / 'df40'}"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["made"] == done["planned"] == 12 and Index.read(done["index"]).leaks() == []
    assert len(list((tmp_path / "df40").rglob("*.mp4"))) == 12
    assert run(arguments) == 0 and json.loads(capsys.readouterr().out)["there"] == 12
    record = next((out / "records").glob("*.json"))
    assert run(["synth", "fakes", shards, "--generator", "warp", "--size", "96", "--replay", str(record)]) == 0
    assert "bit for bit" in capsys.readouterr().out


def test_a_dropped_clip_is_counted_in_text_and_json(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.mp4").write_bytes(b"not a film")
    arguments = ["synth", "prepare", str(tmp_path / "in"), "--out", str(tmp_path / "shards"), "--size", "96", "-q"]
    assert run([*arguments, "--json"]) == ExitCode.INCOMPLETE
    assert list(json.loads(capsys.readouterr().out)["dropped"].values()) == [1]
    assert run(arguments) == ExitCode.INCOMPLETE and "1 × unreadable" in capsys.readouterr().out


def test_reenact_consent_and_log(tmp_path, capsys):
    out = str(tmp_path / "a.mp4")
    arguments = [
        "synth",
        "reenact",
        "--shots",
        "puppets:3/1",
        "--drive",
        "puppets:4/1",
        "--generator",
        "warp",
        "--seconds",
        "0.3",
        "--out",
        out,
        "-q",
    ]
    assert run([*arguments, "--no-label"]) == ExitCode.USAGE
    assert "--no-label needs --consent" in capsys.readouterr().err
    assert run([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["clips"][0]["frames"] == 8
    assert run(arguments) == ExitCode.USAGE and "already exists" in capsys.readouterr().err
    assert run(["synth", "consent", "log"]) == 0
    assert "1 row, 0 that do not follow" in capsys.readouterr().out
    file = str(tmp_path / "c.toml")
    assert run(["synth", "consent", "new", file, "--who", "Ada", "--scope", "fakes", "--licence", "CC0-1.0"]) == 0
    assert run(["synth", "consent", "check", file, "--task", "fakes"]) == 0
    assert "allows fakes: Ada" in capsys.readouterr().out
    assert run(["synth", "consent", "check", file, "--task", "reenact"]) == ExitCode.USAGE


def test_a_list_of_no_numbers_and_no_model(tmp_path, capsys):
    assert run([*FAKES, "puppets:2", "--out", str(tmp_path / "a"), "--crf", "good"]) == ExitCode.USAGE
    assert "--crf: not a list of whole numbers" in capsys.readouterr().err
    model = str(tmp_path / "none.safetensors")
    arguments = ["synth", "reenact", "--shots", "puppets:1/1", "--drive", "puppets:2/1", "--model", model]
    assert run(arguments) == ExitCode.INCOMPLETE
    assert "no such file" in capsys.readouterr().err


@pytest.mark.slow
def test_killed_in_the_middle_the_same_set_comes_out(tmp_path):
    """kill -9 at several moments; in the end nothing is there twice and nothing is missing."""
    shards = tmp_path / "shards"
    assert (
        run(
            [
                "synth",
                "prepare",
                "puppets:6",
                "--out",
                str(shards),
                "--size",
                "96",
                "--min-face",
                "32",
                "--puppet-frames",
                "14",
                "-q",
            ]
        )
        == 0
    )
    whole, cut, log = tmp_path / "whole", tmp_path / "cut", tmp_path / "log"

    def begin(out):
        return start(log, run, [*FAKES, "--crf", "18,30", str(shards), "-q", "--out", str(out)])

    def end(out):
        process = begin(out)
        process.join()
        assert process.exitcode == 0, log.read_text()[-2000:]

    ready("gioconda.cli.synth", "synth.fakes.make")
    end(whole)
    wanted = {s.path: s.essence for s in Index.read(whole / "index.parquet")}
    for records in (1, 7, 15):
        process = begin(cut)
        while process.is_alive() and len(list((cut / "records").glob("*.json"))) < records:
            time.sleep(0.01)
        assert process.is_alive(), "it ended before it could be killed"
        process.kill()
        process.join()
        assert not (cut / "index.parquet").exists()
    end(cut)
    assert {s.path: s.essence for s in Index.read(cut / "index.parquet")} == wanted
    assert len(list(cut.rglob("*.mp4"))) == len(wanted) and Index.read(cut / "index.parquet").verify() == []
    assert not list(cut.rglob(".gioconda-*"))
    # Whole run: two rows. Three killed runs: what was begun. The last: what was left of them, then its own. Every clip once.
    log = check_log()
    rows = [row for row in log.rows if row.task == "fakes"]  # and one of each whole set's sheet
    outputs = [digest for row in rows[2:] for digest in row.outputs]
    assert not log.broken and len(rows) == 2 + 3 + 2 and all(row.sources for row in rows)
    assert sorted(outputs) == sorted(s.sha256 for s in Index.read(cut / "index.parquet"))


def test_a_personal_model_is_driven_without_tuning_again(tmp_path):
    from synth.model.config import Config
    from synth.model.networks import Model
    from synth.person.tune import Tune, tune
    from synth.reenact.shots import load_shots

    model = Model.fresh(Config("pocket", 64, 8), seed=1)
    shots = load_shots(["puppets:3/1"], 64)
    person = tune(model, shots.frames[:1], shots.landmarks[:1], Tune(mode="ff")).save(tmp_path / "person.safetensors")
    command = [
        "synth",
        "reenact",
        "--shots",
        "puppets:3/1",
        "--drive",
        "puppets:4/1",
        "--seconds",
        "0.3",
        "--frame",
        "crop",
    ]
    command += ["--consent", "embedded", "--model", str(person), "--out", str(tmp_path / "out.mp4")]
    assert run(command) == ExitCode.DONE
    assert (tmp_path / "out.mp4").exists()
    assert run([*command, "--steps", "3", "--force"]) == ExitCode.USAGE


def test_tuning_to_a_real_person_needs_consent(tmp_path, capsys):
    from gioconda_core.files import sha256_of
    from gioconda_core.media.clip import write_image
    from synth.consent import template
    from synth.model.config import Config
    from synth.model.networks import Model, save_checkpoint
    from synth.puppets.perform import perform

    model, portrait = str(tmp_path / "m.safetensors"), str(tmp_path / "p.png")
    save_checkpoint(model, Model.fresh(Config("pocket", 64, 8), seed=1))
    write_image(portrait, perform(3, 5, frames=1).frames[0])
    command = ["synth", "tune", model, portrait, "--mode", "ff", "--out", str(tmp_path / "person.safetensors")]
    assert run(command) == ExitCode.USAGE and "need consent" in capsys.readouterr().err
    for name, scope in (("no.toml", "fakes"), ("yes.toml", "tune")):
        template(tmp_path / name, "P", [scope], "CC0-1.0", [portrait])
    assert run([*command, "--consent", str(tmp_path / "no.toml")]) == ExitCode.USAGE
    assert run([*command, "--consent", str(tmp_path / "yes.toml")]) == ExitCode.DONE
    card = json.loads((tmp_path / "person.json").read_text())
    assert card["facts"]["consent"] == sha256_of(tmp_path / "yes.toml")
    row = check_log().rows[-1]
    assert (row.task, row.sources, row.outputs) == ("tune", (sha256_of(portrait),), (card["sha256"],))
