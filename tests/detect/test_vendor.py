"""A commercial service: keys, limits, retries, batches, prices; against a local one that behaves as such services do."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from http.server import BaseHTTPRequestHandler

import numpy as np
import pytest

from detect.external import http, wire
from detect.external.pace import Pace
from detect.reading.guard import run
from detect.registry import load, specs
from gioconda_core.documents import plain
from gioconda_core.errors import UsageError
from gioconda_core.types import Footage

KEY = "s3cret-key"


@pytest.fixture
def footage():
    frames = np.full((2, 16, 16, 3), 90, np.uint8)
    return Footage(frames, np.array([0.0, 0.5]), Fraction(25), 1.0, (), "2f-even")


class Service:
    """What the service has been asked, and how it behaves: ``busy`` refusals first, then answers; in batches when told."""

    def __init__(self):
        self.asked, self.now, self.most, self.lock = [], 0, 0, threading.Lock()
        self.busy, self.batch, self.status, self.slow, self.done = 0, False, 429, 0.0, 0


@pytest.fixture
def acme(served, tmp_path, monkeypatch):
    monkeypatch.setenv("ACME_KEY", KEY)
    monkeypatch.setattr(http, "LONGEST_WAIT", 0.02)
    state = Service()

    class Handler(BaseHTTPRequestHandler):
        def say(self, status, document=None, **headers):
            body = json.dumps(document or {}).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def judged(self):
            self.say(200, {"result": [{"ai_score": 0.25, "model": "face"}], "echo": dict(self.headers)})

        def do_POST(self):
            with state.lock:
                state.asked.append((time.monotonic(), dict(self.headers)))
                state.now += 1
                state.most = max(state.most, state.now)
            try:
                body = self.rfile.read(int(self.headers["content-length"]))
                time.sleep(state.slow)
            finally:  # before the answer: whoever has it makes room for the next
                with state.lock:
                    state.now -= 1
            if self.headers.get("x-api-key") != KEY:
                return self.say(401)
            with state.lock:
                state.busy -= 1
                busy = state.busy >= 0
            if busy:
                return self.say(state.status, retry_after="0")
            assert wire.unpack(body).frames.shape == (2, 16, 16, 3)
            if state.batch:
                return self.say(202, location="/jobs/7", retry_after="0")
            self.judged()

        def do_GET(self):
            assert self.path == "/jobs/7" and self.headers["x-api-key"] == KEY
            state.done += 1
            self.judged() if state.done > 2 else self.say(202, location="/jobs/7", retry_after="0")

        def log_message(self, *_):
            pass

    address = served(Handler)
    state.address = address

    def vendor(**settings):
        lines = {"url": f"{address}/v2/detect?models=face,voice", "key": "env:ACME_KEY", "header": "x-api-key",
                 "score": "result.0.ai_score", "attempts": 4, "cost": 0.004, "version": "2026-11", **settings}  # fmt: skip
        file = tmp_path / "acme.toml"
        file.write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in lines.items() if v is not None))
        return load(f"http:{file}")

    state.vendor = vendor
    return state


def test_a_vendor_is_asked_with_its_key_and_its_answer_is_understood(acme, footage):
    detector = acme.vendor()
    reading = run(detector, footage)
    assert (detector.id, reading.version, reading.score, detector.cost) == ("acme", "2026-11", 0.25, 0.004)
    assert acme.vendor(invert=True).read(footage).score == -0.25
    assert KEY not in json.dumps(plain(detector.card)) + repr(vars(detector)) + repr(reading)


def test_a_key_may_lie_in_a_file_and_a_wrong_one_is_said_without_it(acme, footage, tmp_path, monkeypatch):
    (tmp_path / "key").write_text(KEY + "\n")
    assert run(acme.vendor(key=f"file:{tmp_path / 'key'}"), footage).score == 0.25
    monkeypatch.setenv("ACME_KEY", "wrong-one")
    reading = run(acme.vendor(), footage)
    assert reading.abstained.failed and "refuses the key" in str(reading.abstained) and "wrong-one" not in repr(reading)
    assert len(acme.asked) == 2, "a refused key is not tried again"
    monkeypatch.delenv("ACME_KEY")
    assert "ACME_KEY is not set" in str(run(acme.vendor(), footage).abstained)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_is_asked_again_and_not_forever(acme, footage, status):
    acme.busy, acme.status = 3, status
    assert run(acme.vendor(), footage).score == 0.25 and len(acme.asked) == 4
    acme.busy = 99
    reading = run(acme.vendor(attempts=2), footage)
    assert reading.abstained.failed and f"status {status}, 2 times" in str(reading.abstained)


def test_a_slow_service_and_none_at_all_are_failures_of_that_clip(acme, footage):
    acme.slow = 0.5
    reading = run(acme.vendor(timeout=0.05, attempts=2), footage)
    assert reading.abstained.failed and "did not answer in 0.05 s, 2 times" in str(reading.abstained)
    reading = run(acme.vendor(url="http://127.0.0.1:9/x", attempts=2), footage)
    assert "cannot be reached" in str(reading.abstained)


def test_a_service_that_works_in_batches_is_waited_for(acme, footage):
    acme.batch = True
    assert run(acme.vendor(), footage).score == 0.25 and acme.done == 3


def test_an_answer_without_the_score_is_a_failure_not_a_zero(acme, footage):
    assert "has no result.0.nsfw" in str(run(acme.vendor(score="result.0.nsfw"), footage).abstained)
    assert run(acme.vendor(score="result.0.model"), footage).abstained.failed


def test_limits_hold_over_threads_and_detectors(acme, footage):
    acme.slow = 0.05
    detectors = [acme.vendor(at_once=2) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        assert all(r.score == 0.25 for r in pool.map(lambda i: run(detectors[i % 2], footage), range(8)))
    assert acme.most == 2


def test_asks_a_second_are_shared_by_processes(tmp_path):
    """Each takes the next free moment: eight turns of two who know nothing of each other."""
    paces = [Pace(tmp_path, per_second=50), Pace(tmp_path, per_second=50)]
    moments = []

    def take(i):
        with paces[i % 2].turn():
            moments.append(time.monotonic())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take, range(8)))
    assert max(moments) - min(moments) >= 7 / 50 * 0.9


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('url = "ftp://x"', "not an http"),
        ('key = "env:A"', "needs the address"),
        ('url = "https://x.example"\nkey = "abcdef"', "says where the key is"),
        ('url = "https://me:pass@x.example/"', "carries a key"),
        ('url = "https://x.example/?api_key=1"', "carries a key"),
        ('url = "https://x.example"\nretries = 3', "unknown in the description of a service: retries"),
        ('url = "https://x.example"\nat_once = "two"', "wrong type"),
        ('url = "https://x.example"\nper_second = 0', "above 0"),
        ("url = ", "TOML"),
    ],
)
def test_a_vendors_file_with_a_slip_is_refused_without_its_secrets(tmp_path, text, told):
    (tmp_path / "v.toml").write_text(text)
    with pytest.raises(UsageError, match=told) as error:
        load(f"http:{tmp_path / 'v.toml'}")
    assert "pass@" not in str(error.value) and "abcdef" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cnn:runs/a,contrast", ["cnn:runs/a", "contrast"]),
        ("http:https://a.example/?m=face,voice,contrast", ["http:https://a.example/?m=face,voice", "contrast"]),
        ("command:./judge --only a,b,mine=scores:x.csv", ["command:./judge --only a,b", "mine=scores:x.csv"]),
        ("acme=http:https://a.example/?a=1,b=2", ["acme=http:https://a.example/?a=1,b=2"]),
        (" contrast , onnx ", ["contrast", "onnx"]),
    ],
)
def test_commas_in_addresses_and_commands_belong_to_them(text, found):
    assert specs(text.split(",")) == found
    with pytest.raises(UsageError, match="no detector named 'nosuch'"):
        specs(["contrast", "nosuch"])
