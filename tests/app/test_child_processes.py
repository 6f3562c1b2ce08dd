"""Processes started beside this one take no modules from the folder they are run in: it may hold a stranger's files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Each starts a child and waits for what it says; the strangers' modules are in the working folder.
STARTS = {
    "sandbox": "from gioconda_core.media.clip import Clip\nwith Clip.open('clip.mp4', sandbox=True) as clip: clip.sample('all')",
    "detector": "from detect.external.plugin import IsolatedDetector\nIsolatedDetector('contrast').kill()",
    "metadata": "from gioconda.report import metadata\nassert 'error' not in metadata.inspect('clip.mp4')",
    "worker": (
        "import queue\nfrom gioconda_core.workers.pool import Worker\n"
        "inbox = queue.Queue()\nworker = Worker('builtins:dict', {}, inbox)\ninbox.get(timeout=60)\nworker.kill()"
    ),
}


@pytest.mark.parametrize("name", STARTS)
def test_a_childs_modules_are_not_the_working_folders(tmp_path, name):
    from provenance_kit import write_mp4

    write_mp4(tmp_path / "clip.mp4")
    for module in ("json", "struct", "numpy", "queue", "cv2", "av"):
        (tmp_path / f"{module}.py").write_text("open('taken', 'w').close()\nraise ImportError('a stranger')\n")
    # The parent is kept from the folder itself, as an installed program is.
    done = subprocess.run(
        [sys.executable, "-P", "-c", STARTS[name]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert not (tmp_path / "taken").exists()
    assert done.returncode == 0, done.stderr[-1500:]
