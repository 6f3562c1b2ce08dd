"""The wheel holds exactly the six packages, the files they read at run time, and no tests."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_top_level_names_and_data(tmp_path):
    # Built from a copy: a build folder left behind by an earlier build would smuggle deleted files into the wheel.
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split(
        "\n"
    )
    for name in filter(None, tracked):
        (tmp_path / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / "src" / name)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, tmp_path / "src"],
        check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names if ".dist-info" not in name.split("/")[0]}
    assert top == {"gioconda", "gioconda_core", "synth", "detect", "provenance", "benchmarks"}
    assert not [name for name in names if "test_" in name or name.startswith("tests/")]
    packaged = {f for f in tracked if f.split("/")[0] in top}
    assert packaged <= set(names), f"not in the wheel: {sorted(packaged - set(names))}"
