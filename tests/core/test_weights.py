"""Weights are pinned, converted without running code, checked on load, and never fetched by surprise."""

import http.server
import io
import pickle
import threading

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from gioconda_core import weights
from gioconda_core.errors import UsageError, WeightsError
from gioconda_core.files import sha256_of
from gioconda_core.weights import Entry, Store


@pytest.fixture
def original(tmp_path):
    path = tmp_path / "net.pth"
    torch.save({"state_dict": {"conv.weight": torch.arange(6.0).reshape(2, 3)}, "epoch": 3}, path)
    return path


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_a_known_upstream_file_becomes_safetensors(store, original):
    file = store.add("squeezenet10", original, sha256=sha256_of(original))
    assert file.suffix == ".safetensors"
    assert load_file(store.path("squeezenet10"))["conv.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert store.record("squeezenet10").original_sha256 == sha256_of(original)


def test_npz_is_read_without_pickle(store, tmp_path):
    good, bad = tmp_path / "good.npz", tmp_path / "bad.npz"
    np.savez(good, a=np.ones(3, np.float32))
    np.savez(bad, a=np.array([{"code": 1}], dtype=object))
    store.add("squeezenet10", good, sha256=sha256_of(good))
    with pytest.raises(WeightsError, match="unpickling"):
        store.add("squeezenet10", bad, sha256=sha256_of(bad))


class Boom:
    def __reduce__(self):
        return (print, ("this must never run",))


def test_a_file_that_would_run_code_is_refused_and_runs_nothing(store, tmp_path, capsys):
    evil = tmp_path / "evil.pth"
    buffer = io.BytesIO()
    pickle.dump({"state_dict": Boom()}, buffer)
    evil.write_bytes(buffer.getvalue())
    with pytest.raises(WeightsError):
        store.add("squeezenet10", evil, sha256=sha256_of(evil))
    assert "never run" not in capsys.readouterr().out
    assert not store.has("squeezenet10")


def test_without_a_pin_nothing_is_stored_but_the_hash_is_told(store, original):
    with pytest.raises(WeightsError, match=sha256_of(original)):
        store.add("squeezenet10", original)


def test_a_wrong_hash_is_refused(store, original):
    with pytest.raises(WeightsError, match="expected 11f355bf06"):
        store.add("fan2d-4", original)


def test_a_changed_file_is_noticed_on_load(store, original):
    file = store.add("squeezenet10", original, sha256=sha256_of(original))
    store.path("squeezenet10")
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    with pytest.raises(WeightsError, match="not the ones"):
        store.path("squeezenet10")


def test_missing_weights_say_how_to_get_them(store):
    with pytest.raises(WeightsError, match="gioconda models pull sfd"):
        store.path("sfd")
    with pytest.raises(UsageError, match="known"):
        store.path("no-such")


@pytest.fixture
def publisher(original, monkeypatch):
    """A server on this machine that hands out the file, breaking off once in the middle."""
    body = original.read_bytes()
    state = {"broken": False, "ranges": []}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers.get("Range")
            state["ranges"].append(asked)
            start = int(asked.split("=")[1].rstrip("-")) if asked else 0
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            part = body[start:]
            if not state["broken"]:
                state["broken"] = True
                part = part[: len(part) // 2]
            self.wfile.write(part)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    entry = Entry(
        "toy", "a test", f"http://127.0.0.1:{server.server_port}/net.pth", sha256_of(original)[:10], len(body), "CC0"
    )
    monkeypatch.setitem(weights.REGISTRY, "toy", entry)
    yield state
    server.shutdown()


def test_a_pull_that_breaks_off_resumes_where_it_was(store, publisher):
    got = []
    file = store.pull("toy", advance=got.append)
    assert publisher["ranges"][0] is None and publisher["ranges"][1].startswith("bytes=")
    assert file.is_file() and not list(store.folder.glob(".*part*"))
    assert store.path("toy") == file
