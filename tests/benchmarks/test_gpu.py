"""``make gpu`` records what failed and what ran out of time, and its pieces join to the very checkpoint."""

import json
import sys
from pathlib import Path

from benchmarks import gpu
from gioconda_core.files import sha256_of


def test_pieces_join_to_the_whole(tmp_path):
    whole = tmp_path / "model.safetensors"
    whole.write_bytes(bytes(range(256)) * 41)
    told = gpu.pieces(whole, tmp_path / "parts", size=1000)
    joined = b"".join((tmp_path / "parts" / p["name"]).read_bytes() for p in told["pieces"])
    assert joined == whole.read_bytes() and told["sha256"] == sha256_of(whole)
    assert max(p["bytes"] for p in told["pieces"]) == 1000


def test_a_chapter_that_fails_or_hangs_is_recorded_and_the_next_goes_on(tmp_path, monkeypatch, capsys):
    (tmp_path / "good.json").write_text('{"figure": 1}')
    chapters = [
        gpu.Chapter("fails", (sys.executable, "-c", "raise SystemExit(5)"), 0.2),
        gpu.Chapter("hangs", (sys.executable, "-c", "import time; time.sleep(60)"), 0.01),
        gpu.Chapter("good", (sys.executable, "-c", ""), 0.5, gpu._json("good.json")),
    ]
    monkeypatch.setattr(gpu, "plan", lambda *a: chapters)
    assert gpu.main(["--device", "cpu", "--out", str(tmp_path), "--minutes", "2"]) == 4
    rows = json.loads((tmp_path / "gpu.json").read_text())["chapters"]
    assert rows["fails"]["ended"] == "exit 5" and rows["hangs"]["ended"] == "time was up"
    assert rows["good"]["result"] == {"figure": 1}


def test_the_plan_fits_its_time_and_its_options_exist():
    import typer.main

    from gioconda.cli.app import app

    root = typer.main.get_command(app)
    chapters = gpu.plan(Path("o"), ("puppets:8",), "half", "cuda")
    assert sum(c.share for c in chapters) <= 1.0
    for chapter in chapters:
        if chapter.command[1:3] != ("-m", "gioconda"):
            continue
        words = [w for w in chapter.command[3:] if not w.startswith("--device") and w != "cuda"]
        command = root.commands[words[0]].commands[words[1]]
        known = {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
        used = {w for w in words[2:] if w.startswith("-")}
        assert used <= known, (chapter.name, used - known)
