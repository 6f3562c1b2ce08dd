"""Through the command line: whatever is given, one clear line with what, where and hint; no traceback, nothing left behind."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import psutil
import pytest

from gioconda.cli import main
from gioconda_core.media.writer import write_image, write_video

NAME = "line\nbreak 🎭.mp4"


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """Every kind of bad file, by what is wrong with it. No face is in any of them."""
    root = tmp_path_factory.mktemp("bad")
    noise = np.random.default_rng(0).integers(0, 255, (24, 96, 128, 3), dtype=np.uint8)
    write_video(root / "whole.mp4", noise, fps=12)
    whole = (root / "whole.mp4").read_bytes()
    (root / "empty.mp4").write_bytes(b"")
    (root / "text.mp4").write_text("I am a text, whatever my name says.\n" * 40)
    (root / "cut.mp4").write_bytes(whole[: len(whole) // 3])
    (root / NAME).write_text("not a clip\n" * 40)
    write_video(root / "zero.mp4", noise[:1], fps=12)
    write_image(root / "dot.png", np.zeros((1, 1, 3), np.uint8))
    (root / "folder.mp4").mkdir()
    os.mkfifo(root / "pipe.mp4")
    return root


@pytest.fixture
def gioconda(capfd, tmp_path, monkeypatch):
    """Run the command line in this process (torch is loaded once); no temporary file may be left behind."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.chdir(tmp_path)

    def run(*args):
        code = main([str(a) for a in args])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err and "internal error" not in err, err
        return code, out, err

    yield run
    assert not [p.name for p in scratch.rglob("*") if not p.is_dir()]


def line(err):
    """The one line of an error."""
    lines = [text for text in err.splitlines() if text.startswith("gioconda: ")]
    assert len(lines) == 1, err
    return lines[0]


def shown(name):
    return name.replace("\n", "\\n")


@pytest.mark.parametrize("name", ["none.mp4", "folder.mp4", "pipe.mp4"])
def test_what_is_no_file_is_refused_at_once(gioconda, material, name):
    for command in (["check", "--detectors", "none"], ["synth", "reenact", "--generator", "warp", "--consent", "embedded",
                    "--drive", "puppets:1/1", "--shots"]):  # fmt: skip
        code, _, err = gioconda(*command, material / name)
        assert code in (2, 4) and name in line(err) and line(err).endswith(")"), err
    if name == "folder.mp4":
        return  # the others below take folders
    code, out, _ = gioconda("provenance", "read", material / name)
    assert code == 4 and f"{name}: " in out
    code, _, err = gioconda("audit", material / name, "--detectors", "none", "--out", "audit")
    assert code in (0, 2), "a pipe is passed over and counted, a missing root is refused"
    assert name in err if code == 2 else os.path.exists("audit/readings.csv")


def test_a_clip_cut_before_its_first_frame_is_one_line_too(gioconda, material):
    whole = (material / "whole.mp4").read_bytes()
    Path("stub.mp4").write_bytes(whole[: whole.index(b"mdat") + 8])
    code, out, err = gioconda("check", "--detectors", "none", "stub.mp4")
    assert code == 4 and not out and "stub.mp4" in line(err) and line(err).endswith(")")


@pytest.mark.parametrize("name", ["empty.mp4", "text.mp4", NAME])
def test_what_is_no_clip_is_incomplete_and_says_so(gioconda, material, name):
    code, out, err = gioconda("check", "--detectors", "none", material / name)
    assert code == 4 and not out and shown(name) in line(err) and line(err).endswith(")")
    code, out, err = gioconda("check", "--detectors", "none", "--json", material / name)
    assert code == 4 and json.loads(out)["errors"] and line(err), "for a program there is a document all the same"
    code, out, _ = gioconda("provenance", "read", material / name)
    assert code == 4 and shown(name) in out and "unreadable" in out
    code, _, err = gioconda("synth", "reenact", "--generator", "warp", "--consent", "embedded", "--drive", "puppets:1/1",
                            "--shots", material / name)  # fmt: skip
    assert code == 4 and shown(name) in line(err)


@pytest.mark.parametrize("name", ["empty.mp4", "text.mp4", "cut.mp4", "zero.mp4", "whole.mp4", NAME])
def test_a_detector_gives_a_row_never_a_score(gioconda, material, name):
    """No face is an abstention with exit 0; what cannot be decoded is an error row with exit 4."""
    code, out, _ = gioconda("detect", "score", material / name, "--detectors", "contrast")
    assert len(out.splitlines()) == 1 and shown(name) in out
    assert code == (4 if "not read" in out else 0), out
    assert ("not assessed" in out) or ("not read" in out)
    if name in ("zero.mp4", "whole.mp4"):
        assert code == 0 and "no face" in out


def test_a_picture_of_one_pixel(gioconda, material):
    code, out, _ = gioconda("check", "--detectors", "contrast", material / "dot.png")
    assert code == 0 and "Not assessed" in out and "1 × 1" in out


def test_a_tree_of_all_of_them(gioconda, material):
    code, out, _ = gioconda("audit", material, "--detectors", "none", "--out", "audit", "--jobs", "1")
    assert code == 4 and "7 files" in out and "not a regular file" in out
    code, _, err = gioconda("data", "index", material, "--out", "set.parquet")
    assert code == 2 and line(err)
    (material / "real").mkdir(exist_ok=True)
    for name in ("empty.mp4", "whole.mp4"):
        os.link(material / name, material / "real" / name)
    code, out, _ = gioconda("data", "index", material, "--out", "set.parquet", "-q")
    assert "1 unreadable" in out and code in (0, 4)


def test_no_process_outlives_the_command(material, tmp_path):
    command = [sys.executable, "-m", "gioconda", "check", "--detectors", "none", str(material / "text.mp4")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True) as run:
        out, _ = run.communicate()
        assert run.returncode == 4 and b"Traceback" not in out
        left = [p for p in psutil.pids() if p != run.pid and _session(p) == run.pid]
        assert not left


def _session(pid):
    try:
        return os.getsid(pid)
    except OSError:
        return None


def test_a_file_that_may_not_be_read(gioconda, material):
    if os.geteuid() == 0:
        pytest.skip("everything is readable to root")
    private = material / "private.mp4"
    private.write_bytes(b"x")
    private.chmod(0)
    for command in (["check", "--detectors", "none"], ["provenance", "read"]):
        code, out, err = gioconda(*command, private)
        assert code == 4 and "permission" in (out + err).lower()
