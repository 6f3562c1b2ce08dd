"""The local page: who may talk to it, what it takes in, and a queue that survives."""

import dataclasses
import json
import socket
import threading
import time
from pathlib import Path

import pytest
import uvicorn
from report_samples import HOSTILE, hostile, report, signed
from starlette.testclient import TestClient

from gioconda.report import as_json
from gioconda.serve.app import application
from gioconda.serve.connections import Prompt
from gioconda.serve.jobs import ATTEMPTS, Jobs, Runner
from gioconda.serve.options import Page

# A worker that needs no detector: the file's text says what happens to it.
STUB = """
import json, os, time
from gioconda.serve.jobs import Task
class Stub:
    def __init__(self, reports=None): self.reports = reports
    def __call__(self, task: Task, progress):
        path, title = task.clips[0]
        what = open(path, "rb").read(200).decode("latin-1")
        progress("faces", 0.4)
        if what.startswith("slow"): time.sleep(60)
        if what.startswith("die"): os._exit(9)
        if what.startswith("bad"): raise ValueError("cannot be decoded")
        body = json.load(open(self.reports))
        body["title"] = title
        return body
"""


@pytest.fixture
def page(tmp_path, monkeypatch):
    (tmp_path / "stub_work.py").write_text(STUB)
    root = str(Path(as_json.__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", f"{root}:{tmp_path}")
    (tmp_path / "report.json").write_text(json.dumps(as_json.document(report(provenance=signed()))))
    return Page(
        folder=tmp_path / "serve",
        port=7503,
        limit=100_000,
        keep=3,
        seconds=20.0,
        target="stub_work:Stub",
        options={"reports": str(tmp_path / "report.json")},
    )


@pytest.fixture
def client(page):
    with TestClient(application(page), base_url="http://127.0.0.1:7503", raise_server_exceptions=False) as made:
        made.headers["X-Gioconda-Token"] = made.app.state.token
        yield made


def drop(client, body=b"clip", name="clip.mp4", **headers):
    return client.post("/clips", content=body, headers={"X-File-Name": name} | headers)


def wait(client, identity, seconds=20.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        state = client.get(f"/clips/{identity}/state.json").json()
        if not state["active"]:
            return state
        time.sleep(0.05)
    raise AssertionError("the clip was never done")


def test_drop_watch_read_delete(client, page):
    answer = drop(client)
    assert answer.status_code == 201
    identity = answer.json()["id"]
    assert wait(client, identity)["state"] == "done"
    shown = client.get(f"/clips/{identity}")
    assert "A strong signal was found" in shown.text and "<video" in shown.text
    assert 'role="slider"' in shown.text and "<script>" not in shown.text and " style=" not in shown.text
    assert "表情操作されたことを示す強い兆候が見つかりました" in client.get(f"/clips/{identity}?lang=ja").text
    assert "強い兆候" in client.get(f"/clips/{identity}", headers={"Accept-Language": "ja,en"}).text
    french = client.get("/?lang=fr").text
    assert 'data-refused="Le fichier n’a pas été pris : "' in french and 'aria-label="Supprimer : ' in french
    assert client.get(f"/clips/{identity}/report.json").json()["schema"] == "gioconda.report/1"
    saved = client.get(f"/clips/{identity}/report.html")
    assert "attachment" in saved.headers["content-disposition"] and "<script" not in saved.text
    assert client.get(f"/clips/{identity}/boxes.json").json()["tracks"][0]["boxes"]
    part = client.get(f"/clips/{identity}/media", headers={"Range": "bytes=1-2"})
    assert part.status_code == 206 and part.content == b"li"
    assert client.post(f"/clips/{identity}/delete").status_code == 204
    assert client.get(f"/clips/{identity}").status_code == 404
    assert list((page.folder / "files").iterdir()) == []


def test_another_name_for_this_computer_is_refused(client):
    """DNS rebinding: the browser believes it talks to evil.example, which now resolves to 127.0.0.1."""
    for host in ("evil.example", "evil.example:7503", "127.0.0.1", "127.0.0.1:80", "localhost.evil.example:7503", ""):
        assert client.get("/", headers={"Host": host}).status_code == 421, host
    assert client.get("/", headers={"Host": "localhost:7503"}).status_code == 200


def test_other_sites_can_neither_change_nor_read(client):
    token = client.headers.pop("X-Gioconda-Token")
    assert drop(client).status_code == 403  # CSRF: a plain form of another site carries no token
    client.headers["X-Gioconda-Token"] = "0" * 64
    assert drop(client).status_code == 403
    client.headers["X-Gioconda-Token"] = token
    for origin in ("http://evil.example", "null", "http://127.0.0.1:7504", "https://127.0.0.1:7503"):
        assert drop(client, Origin=origin).status_code == 403, origin
    for site in ("cross-site", "same-site", "none"):
        assert drop(client, **{"Sec-Fetch-Site": site}).status_code == 403
    embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert client.get("/clips.json", headers=embedded).status_code == 403
    assert client.get("/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}).status_code == 200
    assert drop(client, Origin="http://127.0.0.1:7503", **{"Sec-Fetch-Site": "same-origin"}).status_code == 201


def test_every_answer_carries_the_policy(client):
    for path in ("/", "/app.js", "/style.css", "/clips.json", "/nothing"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'"), path
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
    identity = drop(client, b"<html><script>alert(1)</script>", "page.html").json()["id"]
    media = client.get(f"/clips/{identity}/media")
    assert media.headers["content-type"] == "application/octet-stream"
    assert media.headers["content-security-policy"].startswith("sandbox")


@pytest.mark.parametrize(
    "name",
    ["../../../etc/passwd.mp4", "..\\..\\x.mp4", "%2e%2e%2fevil.mp4", "/abs/x.mp4", "a\x00b.mp4", "x" * 5000 + ".mp4"],
)
def test_a_file_name_is_shown_and_never_a_path(client, page, name):
    from urllib.parse import quote

    answer = drop(client, name=quote(name, safe=""))
    assert answer.status_code == 201
    files = list((page.folder / "files").rglob("*"))
    assert all(len(f.stem) == 32 and f.parent == page.folder / "files" for f in files)
    assert not (page.folder.parent / "evil.mp4").exists()


def test_only_ids_are_paths(client):
    for path in (
        "/clips/../../etc/passwd",
        "/clips/%2e%2e%2f%2e%2e%2fetc",
        "/clips/" + "g" * 32,
        "/clips/" + "a" * 31,
        "/style.css/../x",
    ):
        assert client.get(path).status_code == 404
    assert client.get("/clips/" + "a" * 32 + "/media").status_code == 404


def test_too_large_is_refused_by_its_length_and_by_its_bytes(client, page):
    told = drop(client, b"x" * 100_001)
    assert told.status_code == 413 and "100 kB" in told.json()["error"]

    def endless():
        for _ in range(1000):
            yield b"y" * 1000

    untold = client.post("/clips", content=endless(), headers={"X-File-Name": "a.mp4"})
    assert untold.status_code == 413
    assert drop(client, b"").status_code == 400
    assert list((page.folder / "files").iterdir()) == []


def test_two_clips_are_compared_in_the_queue_and_strangers_are_not(client):
    ids = [drop(client, name=f"{n}.mp4").json()["id"] for n in "ab"]
    for identity in ids:
        assert wait(client, identity)["state"] == "done"
    made = client.post(f"/compare?a={ids[0]}&b={ids[1]}")
    assert made.status_code == 201
    assert wait(client, made.json()["id"])["state"] == "done"
    assert "a.mp4 ↔ b.mp4" in client.get("/").text
    for a, b in ((ids[0], ids[0]), (ids[0], "0" * 32), (ids[0], made.json()["id"]), ("", "")):
        assert client.post(f"/compare?a={a}&b={b}").status_code == 404
    assert client.post(f"/compare?a={ids[0]}&b={ids[1]}").status_code == 507, "three are kept here"
    client.post(f"/clips/{made.json()['id']}/delete")
    assert client.get(f"/clips/{ids[0]}/media").status_code == 200, "what was compared is still there"


def test_the_list_tells_level_and_length_and_waiting_tells_its_place(client):
    first = drop(client, b"slow").json()["id"]
    second = drop(client, name="second.mp4").json()["id"]
    deadline = time.monotonic() + 20
    while client.get(f"/clips/{first}/state.json").json()["state"] != "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert client.get(f"/clips/{second}/state.json?lang=de").json()["text"] == "wartet; davor: 1"
    client.post(f"/clips/{first}/cancel")
    assert wait(client, second)["state"] == "done"
    row = client.get("/?lang=en").text.split(f'data-clip="{second}"')[1].split("</li>")[0]
    assert "A strong signal was found" in row and "6.4" in row and "data:image/jpeg" in row and ">done<" not in row


def test_a_queue_of_before_gets_its_new_columns(tmp_path):
    import sqlite3

    (tmp_path / "old").mkdir()
    with sqlite3.connect(tmp_path / "old" / "queue.sqlite") as base:
        base.execute(
            "CREATE TABLE clips (id TEXT PRIMARY KEY, title TEXT NOT NULL, file TEXT NOT NULL, size INTEGER NOT NULL, created REAL NOT NULL, "
            "state TEXT NOT NULL, stage TEXT NOT NULL DEFAULT '', share REAL NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, "
            "error TEXT NOT NULL DEFAULT '')"
        )
        base.execute(
            "INSERT INTO clips (id, title, file, size, created, state) VALUES ('a', 'old.mp4', 'a.mp4', 1, 5.0, 'done')"
        )
    jobs = Jobs(tmp_path / "old")
    assert jobs.get("a").other == "" and jobs.get("a").summary == "{}" and jobs.get("a").left is None
    jobs.close()


def test_what_is_gone_is_said_in_the_language_of_the_page(client):
    for path in ("", "/report.html", "/report.json", "/media", "/keyframes.zip", "/keyframes/1.jpg", "/state.json"):
        answer = client.get(f"/clips/{'0' * 32}{path}?lang=es")
        assert answer.status_code == 404 and "Este clip ya no está" in answer.text, path
    identity = drop(client).json()["id"]
    wait(client, identity)
    assert client.get(f"/clips/{identity}/keyframes.zip").status_code == 404, "what is no media has no frames"


def test_how_long_clips_are_kept_is_written_as_the_language_writes_it(page):
    """Of a page that keeps clips for an hour it was said that they go "after 1 hours", and in German of "0.5 Stunden"."""
    page = dataclasses.replace(page, hours=0.5)
    with TestClient(application(page), base_url="http://127.0.0.1:7503") as kept:
        for path in ("/", f"/clips/{'0' * 32}"):
            assert "nach 0,5 h" in kept.get(f"{path}?lang=de").text and "after 0.5 h" in kept.get(path).text


@pytest.mark.parametrize(
    ("name", "body", "shown", "kind"),
    [
        ("clip.mp4", b"\xff\xd8\xff\xe0", "<img", "image/jpeg"),
        ("clip.jpg", b"\x89PNG\r\n\x1a\n", "<img", "image/png"),
        ("clip.mp4", b"RIFF\0\0\0\0AVI LIST", "", "application/octet-stream"),
        ("clip.mp4", b"clip", "<video", "video/mp4"),
    ],
)
def test_a_browser_is_given_what_a_file_is_and_not_what_its_name_lies(client, name, body, shown, kind):
    """Of a JPEG called .mp4 the page said that the browser does not know its codec."""
    identity = drop(client, body, name).json()["id"]
    assert wait(client, identity)["state"] == "done"
    page = client.get(f"/clips/{identity}").text
    assert [tag for tag in ("<video", "<img") if f'{tag} id="video"' in page] == [shown][: bool(shown)]
    assert client.get(f"/clips/{identity}/media").headers["content-type"] == kind


def test_only_so_many_clips_are_kept(client):
    assert [drop(client).status_code for _ in range(4)] == [201, 201, 201, 507]


def test_cancel_ends_what_runs_and_the_next_goes_on(client):
    slow = drop(client, b"slow").json()["id"]
    after = drop(client, b"clip").json()["id"]
    end = time.monotonic() + 15
    while client.get(f"/clips/{slow}/state.json").json()["stage"] != "following faces" and time.monotonic() < end:
        time.sleep(0.05)
    assert client.post(f"/clips/{slow}/cancel").status_code == 204
    assert wait(client, slow)["state"] == "cancelled" and wait(client, after)["state"] == "done"
    assert "cancelled" in client.get(f"/clips/{slow}").text


def test_what_kills_its_worker_fails_alone(client):
    dead, bad, good = (drop(client, body).json()["id"] for body in (b"die", b"bad", b"clip"))
    assert "process" in wait(client, dead)["error"]
    assert "cannot be decoded" in wait(client, bad)["error"]
    assert wait(client, good)["state"] == "done"
    assert "could not be examined" in client.get(f"/clips/{bad}").text


def test_hostile_strings_in_a_report_stay_text(client, page, tmp_path):
    (tmp_path / "report.json").write_text(json.dumps(as_json.document(hostile())))
    from urllib.parse import quote

    identity = drop(client, name=quote(HOSTILE + ".mp4", safe="")).json()["id"]
    assert wait(client, identity)["state"] == "done"
    for path in (f"/clips/{identity}", "/", f"/clips/{identity}/report.html"):
        text = client.get(path).text
        assert "<script>alert" not in text and "\u202e" not in text and "\x1b" not in text


def test_the_queue_survives_a_restart_but_a_deadly_clip_does_not(tmp_path):
    jobs = Jobs(tmp_path)
    identity, file = jobs.new_file(".mp4")
    file.write_bytes(b"clip")
    jobs.add(identity, "clip", file, 4)
    assert jobs.take().state == "running"
    jobs.close()  # as if killed
    for attempt in range(2, ATTEMPTS + 1):
        jobs = Jobs(tmp_path)
        assert jobs.get(identity).state == "queued"
        assert jobs.take().attempts == attempt
        jobs.close()
    jobs = Jobs(tmp_path)
    assert jobs.get(identity).state == "failed"
    jobs.close()


def test_a_restart_goes_on_with_what_was_running(page, tmp_path):
    jobs = Jobs(tmp_path / "serve")
    identity, file = jobs.new_file(".mp4")
    file.write_bytes(b"clip")
    jobs.add(identity, "clip", file, 4)
    jobs.take()
    jobs.close()
    jobs = Jobs(tmp_path / "serve")
    runner = Runner(jobs, page.target, page.options)
    runner.start()
    end = time.monotonic() + 15
    while jobs.get(identity).state != "done" and time.monotonic() < end:
        time.sleep(0.05)
    assert jobs.get(identity).state == "done" and jobs.report(identity)["schema"] == "gioconda.report/1"
    runner.stop()
    jobs.close()


def test_old_clips_and_stray_files_are_swept(tmp_path):
    import os

    jobs = Jobs(tmp_path)
    identity, file = jobs.new_file(".mp4")
    file.write_bytes(b"clip")
    jobs.add(identity, "clip", file, 4)
    stray = tmp_path / "files" / "half.bin"
    stray.write_bytes(b"half an upload")
    os.utime(stray, (1, 1))
    assert jobs.sweep(1.0) == 0 and not stray.exists() and file.exists()
    assert jobs.sweep(-1.0) == 1 and not file.exists()
    assert (tmp_path.stat().st_mode & 0o777) == 0o700
    jobs.close()


def test_a_clip_has_only_so_many_seconds(page, tmp_path):
    jobs = Jobs(tmp_path / "serve")
    ids = []
    for body in (b"slow", b"clip"):
        identity, file = jobs.new_file(".mp4")
        file.write_bytes(body)
        jobs.add(identity, "clip", file, 4)
        ids.append(identity)
    runner = Runner(jobs, page.target, page.options, seconds=3.0)
    runner.start()
    end = time.monotonic() + 30
    while jobs.get(ids[1]).state != "done" and time.monotonic() < end:
        time.sleep(0.05)
    assert [jobs.get(i).state for i in ids] == ["failed", "done"] and "within 3 s" in jobs.get(ids[0]).error
    runner.stop()
    jobs.close()


def test_a_clip_deleted_while_its_report_is_written_leaves_nothing(page, tmp_path, monkeypatch):
    from gioconda.serve import jobs as module

    jobs = Jobs(tmp_path / "serve")
    identity, file = jobs.new_file(".mp4")
    file.write_bytes(b"clip")
    jobs.add(identity, "clip", file, 4)
    written = threading.Event()

    def late(path, text, **options):
        jobs.delete(identity)
        path.write_text(text)
        written.set()

    monkeypatch.setattr(module, "write_text", late)
    runner = Runner(jobs, page.target, page.options)
    runner.start()
    assert written.wait(20)
    runner.stop()
    assert list((tmp_path / "serve" / "files").iterdir()) == []
    jobs.close()


@pytest.fixture
def server(page):
    """The page on a real socket: its port and token."""
    import dataclasses

    here = socket.socket()
    here.bind(("127.0.0.1", 0))
    here.listen()
    port = here.getsockname()[1]
    app = application(dataclasses.replace(page, port=port))
    made = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none", http=Prompt))
    thread = threading.Thread(target=made.run, kwargs={"sockets": [here]}, daemon=True)
    thread.start()
    yield port, app.state.token
    made.should_exit = True
    thread.join(10)


def begin(server, length, body=b""):
    port, token = server
    line = socket.create_connection(("127.0.0.1", port), timeout=10)
    head = f"POST /clips HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Gioconda-Token: {token}\r\nContent-Length: {length}\r\n\r\n"
    line.sendall(head.encode() + body)
    return line


def test_two_gigabytes_are_refused_before_their_first_byte(server):
    """The answer comes although nothing of the body was sent."""
    with begin(server, 2_000_000_000) as line:
        assert line.recv(100).startswith(b"HTTP/1.1 413")


def test_an_upload_that_stops_or_goes_away_is_given_up(server, page, monkeypatch):
    from gioconda.serve import app

    monkeypatch.setattr(app, "IDLE", 0.5)
    begin(server, 1000, b"half").close()
    with begin(server, 1000, b"half of it, and no more") as line:
        assert line.recv(100).startswith(b"HTTP/1.1 400")
    assert list((page.folder / "files").iterdir()) == []


def test_the_page_listens_here_only_opens_in_the_browser_and_two_quick_interrupts_end_it_quietly(
    serving, tmp_path, monkeypatch
):
    import signal
    import subprocess

    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path / "opened"}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    server, address = serving(tmp_path / "kept", "--detectors", "none", "--open", stderr=subprocess.PIPE)
    port = int(address.rstrip("/").rpartition(":")[2])
    assert raw_get(port).startswith(b"HTTP/1.1 200")
    with pytest.raises(OSError):  # another of this computer's addresses: only 127.0.0.1 is listened on
        socket.create_connection(("127.0.0.2", port), timeout=5)
    for _ in range(2):
        server.send_signal(signal.SIGINT)
        time.sleep(0.05)
    _, said = server.communicate(timeout=30)
    assert server.returncode == 0 and "Traceback" not in said and "the page has ended" in said
    assert "no browser could be opened" not in said and (tmp_path / "opened").read_text().strip() == address


def test_where_no_browser_opens_it_is_said(serving, tmp_path, monkeypatch):
    import signal
    import subprocess

    monkeypatch.setenv("BROWSER", str(tmp_path / "no-such-browser"))
    monkeypatch.setenv("PATH", str(tmp_path))  # none of the machine's own browsers is tried
    server, address = serving(tmp_path / "kept", "--detectors", "none", "--open", stderr=subprocess.PIPE)
    assert raw_get(int(address.rstrip("/").rpartition(":")[2])).startswith(b"HTTP/1.1 200")
    server.send_signal(signal.SIGINT)
    _, said = server.communicate(timeout=30)
    assert server.returncode == 0 and "no browser could be opened" in said


def raw_get(port, path="/", timeout=10):
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as line:
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        return line.recv(100)


def test_uploads_that_drip_give_their_places_back(server, page, monkeypatch):
    """The wrong way: four clients that send a byte now and then own all places for as long as they like."""
    from gioconda.serve import app

    monkeypatch.setattr(app, "GRACE", 0.5)
    lines = [begin(server, 50_000, b"x") for _ in range(4)]
    stop = time.monotonic() + 60
    answers = {}
    while len(answers) < 4 and time.monotonic() < stop:
        for line in lines:
            if line in answers:
                continue
            try:
                line.sendall(b"x")
                line.settimeout(0.05)
                answers[line] = line.recv(100)
            except TimeoutError:
                pass
            except OSError:
                answers[line] = b"closed"
    assert len(answers) == 4 and all(a.startswith((b"HTTP/1.1 400", b"closed")) for a in answers.values())
    with begin(server, 4, b"clip") as line:
        assert line.recv(100).startswith(b"HTTP/1.1 201")
    for line in lines:
        line.close()


def test_who_finds_no_place_reads_429_and_is_not_reset(server, page):
    lines = [begin(server, 50_000, b"x" * 40_000) for _ in range(4)]
    time.sleep(0.3)
    for _ in range(5):
        with begin(server, 90_000, b"y" * 90_000) as line:
            answer = b""
            while piece := line.recv(1000):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 429") and b"retry-after" in answer.lower() and b"error" in answer
    for line in lines:
        line.close()


def test_idle_connections_do_not_shut_the_page_out(server, monkeypatch):
    """The wrong way: so many connections that ask nothing, and everybody else reads 503."""
    from gioconda.serve import connections

    port, _ = server
    idle = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(connections.MOST + 40)]
    assert raw_get(port).startswith(b"HTTP/1.1 200")
    monkeypatch.setattr(connections, "WAIT", 0.3)
    late = socket.create_connection(("127.0.0.1", port), timeout=10)
    late.sendall(b"GET / HT")  # half a head
    assert late.recv(10) == b""  # closed: nothing was asked in time
    for line in [*idle, late]:
        line.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_hundreds_of_uploads_by_eight_clients_leave_nothing_behind(server, page, monkeypatch):
    import os

    import httpx
    import psutil

    port, token = server
    me = psutil.Process()
    url = f"http://127.0.0.1:{port}"
    headers = {"X-Gioconda-Token": token, "X-File-Name": "clip.mp4"}

    def one(client, number):
        body = b"clip %d" % number + b"x" * (number % 50_000)
        while True:
            answer = client.post(f"{url}/clips", content=body, headers=headers)
            if answer.status_code == 201:
                break
            assert answer.status_code in (429, 507), answer.text  # no place, or too many kept: again in a moment
            time.sleep(0.02)
        identity = answer.json()["id"]
        while client.get(f"{url}/clips/{identity}/state.json").json()["active"]:
            time.sleep(0.02)
        assert client.post(f"{url}/clips/{identity}/delete", headers=headers).status_code == 204

    def work(numbers):
        with httpx.Client(timeout=60, trust_env=False) as client:
            for number in numbers:
                one(client, number)

    def soak(numbers):
        errors = []

        def run(part):
            try:
                work(part)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=run, args=(numbers[i::8],)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, errors[0]
        time.sleep(0.5)
        return (
            len(os.listdir("/proc/self/fd")),
            len(me.children(recursive=True)),
            len(list((page.folder / "files").iterdir())),
        )

    first = soak(range(40))
    last = soak(range(40, int(os.environ.get("GIOCONDA_UPLOADS", "240"))))
    assert last[0] <= first[0] + 5 and last[1] <= first[1] and last[2] == first[2] == 0, (first, last)


# ------------------------------------------------------------------------- cases


@pytest.fixture
def examined(client, tmp_path, monkeypatch):
    monkeypatch.setenv("GIOCONDA_HOME", str(tmp_path / "home"))
    identity = drop(client, b"a clip", "Clip from <b>Lyon.mp4").json()["id"]
    assert wait(client, identity)["state"] == "done"
    return identity


def opened(client, **sent):
    answer = client.post("/cases", json={"name": "Lyon & Co.", "by": "A. Editor"} | sent)
    assert answer.status_code == 201, answer.text
    return answer.json()["url"]


def test_a_case_is_opened_added_to_read_and_taken_away(client, page, examined, tmp_path):
    import io
    import zipfile

    from gioconda.report.evidence import case
    from provenance.reading import read

    assert "No case yet" in client.get("/").text
    url = opened(client, clip=examined, note="The uploader says 12 May.")
    identity = url.rsplit("/", 1)[1]
    again = client.post("/cases", json={"case": identity, "by": "B. Reporter", "note": "Called the uploader."})
    assert again.json()["url"] == url
    (folder,) = (page.folder / "cases").iterdir()
    log = case.entries(folder)
    assert [(e.n, e.who, str(e.action)) for e in log] == [
        (1, "A. Editor", "opened"),
        *((n, "A. Editor", "added") for n in (2, 3, 4)),
        (5, "A. Editor", "note"),
        (6, "B. Reporter", "note"),
    ]
    assert [e.detail.name for e in log[1:4]] == [f"Clip from <b>Lyon{end}" for end in (".mp4", "-report.html", "-report.json")]  # fmt: skip
    assert (folder / "files" / log[1].detail.file).read_bytes() == b"a clip"
    shown = client.get(url).text
    assert (
        "Lyon &amp; Co." in shown
        and "<b>Lyon" not in shown
        and "Called the uploader." in shown
        and "B. Reporter" in shown
    )
    assert "Whole: the log’s lines (6) are in order" in shown and case.head(folder) in shown and str(folder) in shown
    assert "Lyon &amp; Co." in client.get("/").text and f'value="{identity}"' in client.get(f"/clips/{examined}").text
    client.post(f"/clips/{examined}/delete")
    assert case.verify(folder) == (), "a case keeps what was deleted here"

    made = client.post(f"/cases/{identity}/export", json={"by": "C. Chief"})
    zipped = client.get(made.json()["url"])
    assert zipped.headers["content-type"] == "application/zip" and "Lyon_Co." in zipped.headers["content-disposition"]
    (tmp_path / "case.zip").write_bytes(zipped.content)
    assert read.read(tmp_path / "case.zip").state.intact
    names = zipfile.ZipFile(io.BytesIO(zipped.content)).namelist()
    assert {"case.html", "case.json", "log.jsonl"} <= set(names) and sum(n.startswith("files/") for n in names) == 3
    assert [(e.who, str(e.action)) for e in case.entries(folder)][6:] == [("C. Chief", "exported")]
    assert case.verify(folder) == ()


def test_what_a_case_cannot_be_is_said_in_the_pages_language_and_nothing_is_made(client, page, examined):
    url = opened(client)
    for sent, status in (
        ({"name": " ", "by": "A. Editor"}, 400),
        ({"name": "x"}, 400),
        ({"case": "0" * 32, "by": "x", "note": "y"}, 404),
        ({"case": "../../etc", "by": "x", "note": "y"}, 404),
        ({"name": "x", "by": "y", "clip": "0" * 32}, 404),
    ):
        answer = client.post("/cases?lang=de", json=sent)
        assert (
            answer.status_code == status
            and answer.json()["error"]
            and "case" not in answer.json()["error"].replace("gioconda case", "")
        ), answer.text
    assert len(list((page.folder / "cases").iterdir())) == 1
    assert client.post("/cases", content=b"{" * 200_000).status_code == 400
    assert client.post("/cases", content=b"[1]").status_code == 400
    assert "gibt es hier nicht" in client.get(f"/cases/{'0' * 32}?lang=de").text
    assert client.post(url, json={}).status_code == 405
    token = client.headers.pop("X-Gioconda-Token")
    assert client.post("/cases", json={"name": "x", "by": "y"}).status_code == 403
    client.headers["X-Gioconda-Token"] = token


def test_a_case_that_was_changed_behind_its_log_says_so_and_is_not_taken_away(client, page, examined):
    url = opened(client, clip=examined)
    (folder,) = (page.folder / "cases").iterdir()
    file = next((folder / "files").glob("*.mp4"))
    file.chmod(0o644)
    file.write_bytes(b"another")
    shown = client.get(url).text
    assert "the file is not as it was added" in shown and "Whole" not in shown and "/export" not in shown
    assert client.post(f"{url}/export", json={"by": "x"}).status_code == 400
    (folder / "log.jsonl").write_text("none\n")
    assert "cannot be read as a line of the log" in client.get(url).text and client.get("/").status_code == 200


def test_two_cases_of_one_name_are_two(client, page):
    assert opened(client) != opened(client)
    assert client.get("/").text.count("Lyon &amp; Co.") == 2
