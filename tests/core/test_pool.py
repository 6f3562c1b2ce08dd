"""The pool: a task that dies, hangs or raises costs itself only, here and in processes; nothing is left running; no pickle crosses."""

import os
import queue
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from hostile_work import Answer, Task

from gioconda_core.errors import GiocondaError, UsageError
from gioconda_core.workers import pool
from gioconda_core.workers.child import Channel, Lost, Silent
from gioconda_core.workers.pool import Pool, Sharing, Why, Worker, workers

TARGET = "hostile_work:Work"


def gone(pid, within=20.0):
    """Whether a process ends in that time."""
    end = time.monotonic() + within
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("depth", [1, 8])
def test_a_poisoned_task_costs_itself_only(depth):
    tasks = [Task(what, i) for i, what in enumerate(["a", "die", "b", "raise", "segv", "c", "exit", "hang", "d"])]
    with Pool(TARGET, {}, 2, Answer, Sharing(timeout=1.5, depth=depth)) as workers:
        results = {task.i: (task.do, answer, failure) for task, answer, failure in workers.map(iter(tasks))}
    assert sorted(results) == list(range(9))
    assert {do for do, answer, _ in results.values() if answer} == {"a", "b", "c", "d"}
    failures = {do: failure for do, _, failure in results.values() if failure}
    assert {do: failure.why for do, failure in failures.items()} == {
        "die": Why.ENDED, "segv": Why.ENDED, "exit": Why.ENDED, "hang": Why.LATE, "raise": Why.RAISED,
    }  # fmt: skip
    texts = {do: str(failure) for do, failure in failures.items()}
    assert "code 7" in texts["die"] and "code 3" in texts["exit"] and "signal 11 (SIGSEGV)" in texts["segv"]
    assert "within 1.5 s" in texts["hang"] and texts["raise"] == "ValueError: poisoned"


def test_in_this_process_an_error_is_its_tasks_own():
    with workers("local", TARGET, {}, 1, Answer) as here:
        results = {
            task.do: (answer, failure) for task, answer, failure in here.map(Task(d) for d in ("a", "raise", "b"))
        }
    assert results["a"][0].pid == os.getpid() and results["b"][0]
    assert results["raise"][0] is None and str(results["raise"][1]) == "ValueError: poisoned"
    with workers("local", TARGET, {}, 1, Answer, Sharing(apart=True)) as other:
        ((_, answer, _),) = other.map([Task("a")])
        assert answer.pid != os.getpid()


def test_unknown_engines_are_usage_errors():
    with pytest.raises(UsageError, match="slurm"):
        workers("slurm", TARGET, {}, 1, Answer)


def test_arrays_go_there_and_come_back_as_they_are():
    given = [
        np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::2],
        np.zeros((0, 4), np.uint8),
        np.float64([1.5, np.nan]),
    ]
    with Pool(TARGET, {}, 2, Answer) as workers:
        for task, answer, _ in workers.map(Task("double", array=array) for array in given):
            assert answer.names == (str(task.array.dtype),) and answer.task is None
            np.testing.assert_array_equal(answer.twice, task.array * 2)
        ((_, answer, failure),) = workers.map([Task("objects")])
    assert answer is None and "only arrays of numbers" in str(failure)


def test_results_come_in_order_and_few_wait_for_their_turn():
    taken = []

    def tasks():
        for i, what in enumerate(["slow", *"abcdefgh"]):
            taken.append(i)
            yield Task(what, i)

    with Pool(TARGET, {}, 2, Answer) as workers:
        results = workers.map(tasks(), ordered=True)
        first = next(results)
        assert first[0].do == "slow" and len(taken) <= 1 + 2 + 1
        assert [task.i for task, _, _ in results] == list(range(1, 9))


def test_small_files_are_left_to_the_workers_and_large_ones_go_to_the_readers_too():
    small, large = ([Task("a", size=size)] * 6 for size in (1_000, 5_000_000))
    with Pool(TARGET, {}, 1, Answer, Sharing(depth=64, readers=2)) as workers:
        assert len({answer.pid for _, answer, _ in workers.map(iter(small))}) == 1
        assert len({answer.pid for _, answer, _ in workers.map(iter(small + large))}) == 3


def test_no_worker_is_started_that_nothing_waits_for():
    with Pool(TARGET, {}, 4, Answer, Sharing(depth=64, readers=8)) as workers:
        for n in (1, 3, 9):
            assert len(list(workers.map(Task("a", size=9) for _ in range(n)))) == n
            assert len(workers.workers) <= min(n, 4)


def test_workers_that_cannot_be_made_end_the_run_with_their_reason(monkeypatch):
    with (
        Pool(TARGET, {"fail": True}, 2, Answer) as workers,
        pytest.raises(GiocondaError, match="no such detector") as caught,
    ):
        list(workers.map(iter([Task("a")])))
    assert caught.value.exit_code == 2
    with (
        Pool(TARGET, {"fail": "dies"}, 2, Answer) as workers,
        pytest.raises(GiocondaError, match="before they are ready"),
    ):
        list(workers.map(iter([Task("a")])))
    monkeypatch.setattr(pool, "_START_SECONDS", 0.2)
    with Pool(TARGET, {"fail": "hangs"}, 1, Answer) as workers, pytest.raises(GiocondaError, match="not ready"):
        list(workers.map(iter([Task("a")])))


def test_ending_a_pool_leaves_no_process_nor_what_it_started():
    with Pool(TARGET, {}, 2, Answer, Sharing(timeout=60)) as workers:
        answers = workers.map(iter([Task("child"), Task("hang")]))
        pids = [next(answers)[1].pid, *(w.child.process.pid for w in workers.workers)]
    assert all(map(gone, pids))


def test_a_killed_parent_leaves_no_worker():
    code = (
        "import sys; from gioconda_core.workers.pool import Pool; from hostile_work import Answer, Task; p = Pool(sys.argv[1], {}, 1, Answer); a = p.map(iter([Task('a'), Task('hang')]));"
        "print(next(a)[1].pid, flush=True); next(a)"
    )
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    parent = subprocess.Popen([sys.executable, "-c", code, TARGET], stdout=subprocess.PIPE, text=True, env=variables)
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert gone(pid)


def test_a_worker_says_what_it_is_and_how_far_it_is():
    inbox = queue.Queue()
    worker = Worker(TARGET, {}, inbox)
    try:
        assert inbox.get(timeout=60) == (worker, {"ready": {"name": "hostile"}})
        worker.send(5, Task("a"))
        _, message = inbox.get(timeout=60)
        assert message["n"] == 5 and message["answer"]["did"] == "a" and worker.done(5) == Task("a")
    finally:
        worker.kill()
    assert inbox.get(timeout=60) == (worker, None)


@pytest.mark.parametrize(
    "body",
    [
        b"[1",
        b"{}",
        b'[{}, [["a", "|O", [1]]]]',
        b'[{}, [["a", "|u1", [-1]]]]',
        b'[{}, [["a", "<f8", [99999999]]]]',
        b"\xff",
    ],
)
def test_what_is_no_message_is_refused_and_nothing_of_it_run(body):
    read, write = os.pipe()
    channel = Channel(os.fdopen(read, "rb", 0), os.fdopen(write, "wb", 0), most=1 << 20)
    os.write(write, len(body).to_bytes(4, "big") + body)
    with pytest.raises(Lost, match="no message"):
        channel.receive(5)
    with pytest.raises(Silent):
        channel.receive(0.05)
