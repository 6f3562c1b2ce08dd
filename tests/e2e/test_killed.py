"""kill -9 at many moments, the same command again, and in the end the same set: nothing lost, nothing twice, nothing torn.

``GIOCONDA_KILLS=50`` kills at fifty moments each; few by default, since each costs a start of the program.
"""

import json
import os
import time

import pytest
from forked import ready, start
from PIL import Image

from gioconda.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

KILLS = int(os.environ.get("GIOCONDA_KILLS", "4"))


def gioconda(*arguments):
    return [*map(str, arguments), "-q"]


def killed(command, kills, ends, log):
    """Run a command that is killed at moments spread over the time it takes, each time from where it was; then to its end.

    ends : exit codes with which it may end.
    """

    def begin(name):
        return start(log, main, command(name))

    ready("gioconda.cli.app", "gioconda.audit.run", "benchmarks.run.run", "pyarrow.parquet")
    begun, process = time.monotonic(), begin("whole")
    process.join()
    assert process.exitcode in ends, log.read_text()[-2000:]
    takes = time.monotonic() - begun
    dead = 0
    for k in range(kills):
        process = begin("cut")
        # The first soon: what is beside may have made the whole run slow, and a run that goes on has less to do.
        process.join(takes * (0.1 + 0.85 * k / kills))
        if process.is_alive():
            process.kill()
            dead += 1
        process.join()
    process = begin("cut")
    process.join()
    assert process.exitcode in ends, log.read_text()[-2000:]
    assert dead, "it ended before it could be killed"


def test_audit(tmp_path):
    from gioconda.audit.journal import rows_of

    root = tmp_path / "tree"
    root.mkdir()
    for i in range(1500):
        if i % 10:
            Image.new("RGB", (8, 8), (i % 256, i // 256, 0)).save(root / f"{i:04}.png")
        else:
            (root / f"{i:04}.png").write_text(f"no picture {i // 20}")  # pairs of the same

    def command(name):
        return gioconda("audit", root, "--out", tmp_path / name, "--detectors", "none", "--jobs", "1")

    killed(command, KILLS * 2, (4,), tmp_path / "log")

    def rows(name):
        return [{k: v for k, v in row.items() if k != "seconds"} for row in map(vars, rows_of(tmp_path / name))]

    assert rows("cut") == rows("whole") and len(rows("cut")) == 1500
    torn = 0
    for line in (tmp_path / "cut" / "readings.jsonl").read_text().splitlines():
        try:
            json.loads(line)
        except ValueError:
            torn += 1
    assert torn <= KILLS * 2
    for table in ("readings.csv", "readings.sarif", "readings.junit.xml"):  # as if nothing had happened
        text = (tmp_path / "cut" / table).read_text().replace(str(tmp_path / "cut"), str(tmp_path / "whole"))
        assert len(text.splitlines()) == len((tmp_path / "whole" / table).read_text().splitlines())


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards") / "shards"
    made = gioconda(
        "synth", "prepare", "puppets:4", "--out", folder, "--size", "64", "--min-face", "32", "--puppet-frames", "24"
    )
    assert main(made) == 0
    return folder


def test_bench_run(tmp_path, shards):
    """Scores from a table, so that it is the runner that is killed and not a detector."""
    from gioconda_core.datasets.index import Index
    from gioconda_core.files import read_rows

    fakes = gioconda("synth", "fakes", "--generator", "warp", "--size", "64", "--shots", "1", "--frames", "10", shards)
    assert main([*fakes, "--out", str(tmp_path / "set")]) == 0
    index = tmp_path / "set" / "index.parquet"
    table = "".join(f"{s.sha256},{i / 100}\n" for i, s in enumerate(Index.read(index)))
    (tmp_path / "theirs.csv").write_text(f"sha256,score\n{table}")

    def command(name):
        return gioconda(
            "bench",
            "run",
            tmp_path / "suite.toml",
            "-d",
            f"scores:{tmp_path / 'theirs.csv'}",
            "--index",
            index,
            "--out",
            tmp_path / name,
            "--jobs",
            "1",
        )

    (tmp_path / "suite.toml").write_text(
        'name = "killed"\nversion = "1"\n[data]\nkind = "index"\n[protocol]\nresamples = 50\n'
    )
    killed(command, KILLS, (0, 4), tmp_path / "log")

    def rows(name):
        found = read_rows(tmp_path / name / "readings.jsonl")
        return sorted(
            json.dumps({k: v for k, v in row.items() if k not in ("seconds", "when")}, sort_keys=True) for row in found
        )

    assert rows("cut") == rows("whole") and rows("cut")
