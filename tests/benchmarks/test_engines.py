"""Engines: the same rows from processes and from Ray as from one process; a dying worker costs its own task only."""

from __future__ import annotations

import os
import signal

import pytest

from benchmarks.run.engines import engine
from gioconda_core.errors import UsageError
from gioconda_core.files import read_rows


def double(plan, task):
    if task == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    if task == 7:
        raise ValueError("seven")
    return plan * task


def test_here_an_error_is_that_task_s_own():
    def work(plan, task):
        if task == 3:
            raise ValueError("three")
        return plan * task

    with engine("local", 1) as here:
        found = dict(here.map(work, 2, range(6)))
    assert found[2] == 4 and found[5] == 10 and isinstance(found[3], ValueError)


def test_a_worker_that_dies_costs_only_its_task():
    with engine("local", 2) as pool:
        found = dict(pool.map(double, 2, range(12)))
    assert set(found) == set(range(12))
    assert isinstance(found[5], RuntimeError) and isinstance(found[7], ValueError)
    assert all(found[i] == 2 * i for i in range(12) if i not in (5, 7))


def test_unknown_engines_are_usage_errors():
    with pytest.raises(UsageError), engine("slurm", 1):
        pass


@pytest.mark.slow
@pytest.mark.timeout(900)  # a node comes up slowly where the cores are taken
def test_ray_gives_the_rows_local_gives(tmp_path, monkeypatch):
    """The whole run, on Ray and here: the same rows but for the time they took."""
    pytest.importorskip("ray")
    monkeypatch.setenv("GIOCONDA_CACHE", str(tmp_path / "cache"))
    import numpy as np

    from benchmarks.run import run as runs
    from benchmarks.run import suite as suites
    from gioconda_core.datasets.index import Index
    from gioconda_core.files import sha256_of
    from gioconda_core.media.clip import write_video
    from gioconda_core.types import Label, Sample

    samples = []
    for i in range(6):
        path = tmp_path / f"c{i}.mp4"
        write_video(path, list(np.random.default_rng(i).integers(0, 255, (6, 64, 64, 3), dtype=np.uint8)), fps=10)
        samples.append(Sample(path.name, sha256_of(path), Label.FAKE if i % 2 else Label.REAL, identity=f"p{i}"))
    (tmp_path / "theirs.csv").write_text("sha256,score\n" + "".join(f"{s.sha256},{i}\n" for i, s in enumerate(samples)))
    (tmp_path / "s.toml").write_text(
        'name = "s"\nversion = "1"\n[data]\nkind = "index"\n[protocol]\nsampling = "even:2"\nmetrics = ["auc"]\ndegradations = ["none", "h264:crf=40"]\n'
    )
    found = {}
    for name in ("local", "ray"):
        detectors = [f"scores:{tmp_path / 'theirs.csv'}"]
        index = Index(tuple(samples), tmp_path, {})
        done = runs.run(
            suites.load(tmp_path / "s.toml"), detectors, tmp_path / name, {"set": index}, jobs=2, engine_name=name
        )
        assert done.rows == 12 and not done.failed
        rows = [{k: v for k, v in r.items() if k != "seconds"} for r in read_rows(tmp_path / name / "readings.jsonl")]
        found[name] = sorted(map(repr, rows))
    assert found["local"] == found["ray"]
