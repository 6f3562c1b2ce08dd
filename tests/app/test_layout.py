"""The layout keeps its shape: exit codes, one-line errors, plugins listed without import, a light front door."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gioconda.cli.app import hoist
from gioconda_core import plugins
from gioconda_core.errors import ExitCode, GiocondaError, MediaError, UsageError
from gioconda_core.files import append_row, atomic_path, read_rows
from gioconda_core.types import Reading


def test_every_exit_code_has_a_meaning():
    assert {int(code) for code in ExitCode} == {0, 1, 2, 3, 4, 130}
    assert all(code.meaning for code in ExitCode)


def test_an_error_is_one_line_whatever_the_file_is_called():
    error = MediaError("cannot be decoded", where="a\nb\x1b[31m\u202e.mp4", hint="try another")
    assert "\n" not in str(error) and "\x1b" not in str(error) and "\u202e" not in str(error)
    assert isinstance(error, GiocondaError) and error.exit_code == ExitCode.INCOMPLETE


def test_plugins_are_listed_without_being_imported():
    code = (
        "import sys; from gioconda_core import plugins; names=[p.name for p in plugins.available('gioconda.detectors')];"
        "assert 'contrast' in names, names; assert 'detect' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_plugin_is_a_usage_error():
    with pytest.raises(UsageError, match="installed"):
        plugins.load("gioconda.detectors", "no-such")


def test_a_reading_never_carries_both_or_neither():
    with pytest.raises(ValueError):
        Reading("d", "1", None)
    with pytest.raises(ValueError):
        Reading("d", "1", None, score=1.0, abstained="no face")
    with pytest.raises(ValueError):
        Reading("d", "1", None, score=float("nan"))


def test_doctor_names_a_package_that_shares_one_of_our_names(tmp_path, monkeypatch):
    """Found before ours on the path, or installed over it: the second leaves our own path in place."""
    from gioconda import doctor

    def names():
        return next(check for check in doctor.checks() if check.name == "names")

    assert names().state == "ok"
    info = tmp_path / "installed" / "sleuth-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sleuth\nVersion: 1.0\n")
    (info / "RECORD").write_text("detect/__init__.py,,\n")
    monkeypatch.syspath_prepend(tmp_path / "installed")
    assert names().state == "wrong" and "sleuth also installs a package 'detect'" in names().detail
    (tmp_path / "nearer" / "synth").mkdir(parents=True)
    (tmp_path / "nearer" / "synth" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "nearer")
    monkeypatch.delitem(sys.modules, "synth", raising=False)
    assert names().state == "wrong" and "shadows 'synth'" in names().detail


def test_global_options_may_stand_anywhere():
    assert hoist(["check", "a.mp4", "-q", "--seed", "3"]) == ["-q", "--seed", "3", "check", "a.mp4"]
    assert hoist(["check", "--", "-q"]) == ["check", "--", "-q"]


def test_atomic_path_leaves_nothing_when_the_block_fails(tmp_path):
    target = tmp_path / "a.txt"
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_rows_survive_a_torn_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    append_row(path, {"n": 1})
    with open(path, "a") as file:
        file.write('{"n": 2, "torn')
    append_row(path, {"n": 3})
    assert [row["n"] for row in read_rows(path)] == [1, 3]


def test_the_container_gets_every_package_that_the_wheel_has():
    root = Path(__file__).parents[2]
    packages = {folder.name for folder in root.iterdir() if (folder / "__init__.py").is_file()}
    copied = set(re.findall(r"^COPY (\w+) \1$", (root / "Dockerfile").read_text(), re.M))
    assert packages == copied and "gioconda_core" in packages
