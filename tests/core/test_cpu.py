"""Workers keep to their own cores, and so does everything that they start."""

import json
import os
import subprocess
import sys

import pytest

from gioconda_core.workers.cpu import cores, environment, keep_to

ASK = """
import json, cv2
from gioconda_core.workers.cpu import cores
print(json.dumps([cores(), cv2.getNumThreads()]))
"""


def asked(variables: dict[str, str]) -> list[int]:
    out = subprocess.run([sys.executable, "-c", ASK], env=os.environ | variables, capture_output=True, check=True)
    return json.loads(out.stdout)


def test_a_process_told_to_keep_to_one_core_does_and_hands_it_on():
    assert asked(environment(1)) == [1, 1]


def test_nobody_gets_more_cores_than_the_system_gives():
    assert asked({"GIOCONDA_CORES": "4096"})[0] == cores()


@pytest.mark.parametrize("nonsense", ["", "0", "-3", "many"])
def test_nonsense_in_the_variable_holds_nobody_up(monkeypatch, nonsense):
    monkeypatch.setenv("GIOCONDA_CORES", nonsense)
    assert cores() >= 1


def test_one_that_has_begun_is_held_too(monkeypatch):
    import cv2

    for name in environment(1):
        monkeypatch.setenv(name, os.environ.get(name, "2"))
    before = cv2.getNumThreads()
    try:
        keep_to(1)
        assert cores() == 1 and cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)


def test_a_searching_thread_is_started_only_where_a_core_is_free_and_the_search_long(monkeypatch):
    import threading

    import numpy as np

    from gioconda_core.faces import tracker

    class Searcher:
        name, threads, batch = "searcher", True, 1

        def __init__(self):
            self.seen = set()

        def detect(self, frames):
            self.seen.add(threading.get_ident())
            return [np.zeros((0, 5), np.float32) for _ in frames]

    for told, side, own in ((1, 720, True), (2, 720, False), (2, 256, True)):
        frames = [(i / 25, np.zeros((side, side, 3), np.uint8)) for i in range(10)]
        monkeypatch.setattr(tracker, "cores", lambda told=told: told)
        searcher = Searcher()
        list(tracker.ahead(frames, searcher, 5))
        assert (searcher.seen == {threading.get_ident()}) is own
