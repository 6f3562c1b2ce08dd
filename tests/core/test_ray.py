"""On Ray a task that dies, hangs or raises costs itself only, as in a pool."""

import os
import sys

import numpy as np
import pytest
from hostile_work import Answer, Task

from gioconda_core.errors import UsageError
from gioconda_core.workers.pool import Sharing, Why, workers

TARGET = "hostile_work:Work"


def test_a_machine_without_ray_is_told_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match="not installed"):
        workers("ray", TARGET, {}, 2, Answer)


@pytest.mark.slow
@pytest.mark.timeout(900)  # a node comes up slowly where the cores are taken
def test_a_poisoned_task_costs_itself_only(monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
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
