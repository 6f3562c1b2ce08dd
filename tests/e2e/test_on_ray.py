"""On Ray each job gives what it gives here, and a task that dies, hangs or raises costs itself only, as in a pool."""

import json
import os
import sys

import numpy as np
import pytest
from hostile_work import Answer, Task
from media_material import small_tree
from puppet_material import shards

from benchmarks.run import run as runs
from benchmarks.run import suite as suites
from benchmarks.run.options import Measure
from gioconda.audit import Audit
from gioconda_core.datasets.index import Index
from gioconda_core.errors import UsageError
from gioconda_core.files import read_rows, sha256_of
from gioconda_core.media.clip import write_video
from gioconda_core.types import Label, Sample
from gioconda_core.workers.pool import Sharing, Why, workers
from synth.fakes.make import make, on_ray
from synth.fakes.options import Fakes
from synth.fakes.prepare import Prepare, prepare
from synth.generators import WarpGenerator
from synth.training.shards import ShardSet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # a node comes up slowly where the cores are taken
TARGET = "hostile_work:Work"


@pytest.fixture(scope="module", autouse=True)
def node(tmp_path_factory):
    """One node for all that follow, begun as a pool begins it: each start takes eight seconds of processor time."""
    pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
        for name in ("home", "cache", "weights"):
            patch.setenv(f"GIOCONDA_{name.upper()}", str(tmp_path_factory.mktemp(name)))
        pool = workers("ray", TARGET, {}, 2, Answer)
        yield
        pool.close()


def test_a_poisoned_task_costs_itself_only():
    tasks = [Task(what) for what in ("a", "die", "b", "raise", "segv", "c", "hang")]
    tasks.append(Task("double", array=np.arange(3)))
    with workers("ray", TARGET, {}, 2, Answer, Sharing(timeout=40)) as pool:
        results = {task.do: (answer, failure) for task, answer, failure in pool.map(iter(tasks))}
        with pytest.raises(UsageError, match="made ready"):
            list(workers("ray", TARGET, {"fail": True}, 1, Answer).map([Task("a")]))
    assert {do for do, (answer, _) in results.items() if answer} == {"a", "b", "c", "double"}
    assert results["double"][0].twice.tolist() == [0, 2, 4]
    whys = {do: failure.why for do, (_, failure) in results.items() if failure}
    assert whys == {"die": Why.ENDED, "segv": Why.ENDED, "raise": Why.RAISED, "hang": Why.LATE}
    assert str(results["raise"][1]) == "ValueError: poisoned"


def test_an_audit(tmp_path):
    tree = small_tree(tmp_path / "tree")

    def rows(name, **options):
        summary = Audit([str(tree)], tmp_path / name, detectors=(), formats=(), **options).run()
        assert summary.examined == 5
        found = read_rows(tmp_path / name / "readings.jsonl")
        return sorted(({k: v for k, v in r.items() if k != "seconds"} for r in found), key=lambda r: r["path"])

    assert rows("local") == rows("ray", engine="ray", jobs=2)


def test_preparing_footage(tmp_path):
    job = Prepare(sources=("puppets:3",), size=64, puppet_frames=9, min_face=20)
    prepare(job, tmp_path / "one")
    prepare(job, tmp_path / "two", jobs=2)
    prepare(job, tmp_path / "ray", jobs=2, engine="ray")

    def content(folder):
        found = ShardSet(folder)
        return sorted((found[k].source, found[k].time, found[k].frame.tobytes()) for k in range(len(found)))

    assert content(tmp_path / "one") == content(tmp_path / "two") == content(tmp_path / "ray")
    assert json.loads((tmp_path / "one" / "prepare.json").read_text())["cut"]["size"] == 64


def test_a_labelled_set(tmp_path):
    job = Fakes(
        sources=(str(shards()),), shots=(1, 4), frames=8, splits={"train": 0.5, "test": 0.5}, crf=(30,),
        regions=("whole", "face"),
    )  # fmt: skip
    here = make(job, tmp_path / "here", WarpGenerator(size=96))
    spread = on_ray(job, tmp_path / "ray", "warp", {"size": 96}, consent=None, workers=2)
    assert spread.complete and spread.made == here.made == 28
    wanted, found = ({s.path: s.essence for s in Index.read(of.index)} for of in (here, spread))
    assert found == wanted


def test_a_benchmark(tmp_path):
    """The whole run, on Ray and here: the same rows but for the time they took."""
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
            suites.load(tmp_path / "s.toml"),
            detectors,
            tmp_path / name,
            {"set": index},
            Measure(jobs=2, engine=name),
        )
        assert done.rows == 12 and not done.failed
        rows = [{k: v for k, v in r.items() if k != "seconds"} for r in read_rows(tmp_path / name / "readings.jsonl")]
        found[name] = sorted(map(repr, rows))
    assert found["local"] == found["ray"]
