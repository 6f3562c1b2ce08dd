"""Plugins, models, configuration and diagnosis through the real entry point."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gioconda.cli import main

ROOT = Path(__file__).parents[2]


def process(*args):
    return subprocess.run([sys.executable, "-m", "gioconda", *map(str, args)], capture_output=True, text=True)


@pytest.fixture
def gioconda(capfd):
    """What the entry point does in this process: its exit code, output and errors."""

    def run(*args):
        code = main([str(a) for a in args])
        out, err = capfd.readouterr()
        return SimpleNamespace(returncode=code, stdout=out, stderr=err)

    return run


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom gioconda.cli import main\nmain(['--help'])\n"
        "print('HEAVY', sorted({'torch', 'cv2', 'numpy', 'av', 'sklearn', 'c2pa'} & set(sys.modules)))"
    )
    assert "HEAVY []" in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_every_help_has_an_example_and_it_and_the_readme_s_commands_can_be_typed():
    import typer.main

    from gioconda.cli.app import app

    def commands(command, path):
        yield path, command, f"{command.epilog or ''}\n{command.help or ''}"
        for name, child in getattr(command, "commands", {}).items():
            yield from commands(child, (*path, name))

    found = list(commands(typer.main.get_command(app), ("gioconda",)))
    assert len(found) > 50
    assert not [" ".join(path) for path, _, text in found if "Example: gioconda" not in text]
    leaves = {path: command for path, command, _ in found if not getattr(command, "commands", {})}
    typed = [line for *_, text in found for line in re.findall(r"Example: (gioconda .*?)(?:\n| {2,}|$)", text)]
    typed += re.findall(r"\| `(gioconda .*?)` \|", (ROOT / "README.md").read_text(encoding="utf-8"))
    for line in typed:
        words = shlex.split(line)
        path = next(tuple(words[:n]) for n in (4, 3, 2) if tuple(words[:n]) in leaves)
        leaves[path].make_context(path[-1], words[len(path) :])  # an option that is unknown or missing is an error


def test_usage_errors_are_exit_2_and_one_line():
    done = process("data", "index", "/no/such/folder")
    assert done.returncode == 2 and done.stderr.strip().count("\n") == 0 and "not a folder" in done.stderr
    assert process("no-such-command").returncode == 2


def test_explain_config_plugins_models(gioconda):
    assert "policy" in gioconda("explain", "3").stdout
    assert "130" in gioconda("explain", "exit-codes").stdout
    assert "authentic" in gioconda("explain", "no-strong-signal").stdout
    assert "puts clips in order" in gioconda("explain", "raw score").stdout
    assert "順位づけに使う" in gioconda("explain", "raw-score", "--lang", "ja").stdout
    config = json.loads(gioconda("config", "--json").stdout)
    assert config["sections"]["core"]["home"]["origin"] == "GIOCONDA_HOME"
    names = {p["name"] for p in json.loads(gioconda("plugins", "--json").stdout)["plugins"]}
    assert {"contrast", "dlib", "faceforensics", "development"} <= names
    listed = gioconda("models", "list").stdout
    assert "vgg19-caffe" in listed and " 0 MB" not in listed  # the smallest has half a megabyte
    assert gioconda("models", "verify", "sfd").returncode == 4


def test_a_pull_without_an_address_says_what_to_do(gioconda):
    done = gioconda("models", "pull", "squeezenet10")
    assert done.returncode == 4 and "--from FILE" in done.stderr


@pytest.fixture
def tree(tmp_path):
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for label in ("real", "fake/few-shot"):
        for i in range(4):
            path = tmp_path / "set" / label / f"p{i}" / f"{i}.png"
            path.parent.mkdir(parents=True)
            Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)
    return tmp_path


def test_index_verify_split_export(gioconda, tree):
    index = tree / "all.parquet"
    done = gioconda("data", "index", tree / "set", "--out", index, "-q")
    assert done.returncode == 0, done.stderr
    assert gioconda("data", "verify", index, "-q").returncode == 0
    assert gioconda("data", "index", tree / "set", "--out", index).returncode == 2  # never overwrites without --force
    split = tree / "split.parquet"
    shares = ("--train", "0.5", "--val", "0", "--test", "0.5")
    assert gioconda("data", "split", index, "--out", split, *shares, "-q").returncode == 0
    assert "0 leaks" in gioconda("data", "verify", split, "-q").stdout
    assert gioconda("data", "export", split, tree / "ff", "--layout", "faceforensics").returncode == 0
    assert len(list((tree / "ff").rglob("*.png"))) == 8
    (tree / "set" / "real" / "p0" / "0.png").write_bytes(b"changed")
    done = gioconda("data", "verify", split, "-q", "--json")
    assert done.returncode == 4 and json.loads(done.stdout)["problems"][0]["what"].startswith("has changed")


def test_an_unreadable_file_is_a_counted_row_not_a_crash(gioconda, tree):
    (tree / "set" / "real" / "p0" / "text.mp4").write_text("not a clip")
    done = gioconda("data", "index", tree / "set", "--out", tree / "i.parquet", "-q")
    assert done.returncode == 4 and "1 unreadable" in done.stdout and "9 samples" in done.stdout


def test_a_page_that_is_ended_promises_no_resumption(serving, tmp_path):
    import signal
    import urllib.request

    with open(tmp_path / "said", "w") as said:
        page, address = serving(tmp_path / "kept", stderr=said)
        with page:
            with urllib.request.urlopen(address, timeout=60) as answer:  # answered once the server runs
                assert answer.status == 200
            page.send_signal(signal.SIGINT)
            code = page.wait(timeout=60)
    text = (tmp_path / "said").read_text()
    assert code == 0 and "the page has ended" in text and "resume" not in text
