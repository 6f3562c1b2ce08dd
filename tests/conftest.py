"""Every test runs with its own home, cache and weights folders, and without a gioconda.toml of the user's."""

import contextlib
import gc
import os
import sys

import pytest

# Kept when compiled: otherwise each of the hundreds of processes that tests start compiles what it imports anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:  # the processes share the cores: each with threads for all of them is slower
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")

# Thousands of small files are written whole, and no test takes the power away: a disk's five milliseconds each would be a minute.
os.fsync = os.fstat  # a closed file is still an error


# Files of eight seconds of processor time and more, longest first, with what they take when slow tests are among those chosen.
LONGEST = (
    "test_learns", "test_docs", "test_offline", "test_newsroom_inputs", "test_browser", "test_train", "test_audit",
    "test_media_slow", "test_networks", "test_speed", "test_demo", "test_lease", "test_provenance_slow", "test_explain",
    "test_on_ray", "test_features", "test_mutated", "test_tune", "test_evidence", "test_table", "test_serve", "test_observe",
    "test_reenact", "test_sentences", "test_faults", "test_media_bad_input", "test_killed", "test_model_networks", "test_partial",
    "test_puppets", "test_resolution", "test_check", "test_fakes", "test_notebook", "test_stats", "test_run", "test_decode",
)  # fmt: skip


def pytest_configure(config):
    """What each process that runs tests does before it reads them."""
    if config.getoption("numprocesses", None) and "PYTEST_XDIST_WORKER" not in os.environ:
        return  # the process that only hands out tests
    gc.disable()  # nothing of what is imported now is ever garbage
    _begin_elsewhere(config)
    _draw_once()


def _begin_elsewhere(config):
    """Each process reads the folders of tests from another one on: what one of them has compiled, the others find compiled."""
    if [os.path.basename(each) for each in config.args] != ["tests"] or "PYTEST_XDIST_WORKER" not in os.environ:
        return
    folders = sorted(entry.path for entry in os.scandir(config.args[0]) if entry.name[0] not in "_." and entry.is_dir())
    first = len(folders) * int(os.environ["PYTEST_XDIST_WORKER"][2:]) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    config.args = folders[first:] + folders[:first]


def _draw_once():
    """Draw each take of a puppet once a run: a frame costs some 15 ms, and hundreds of tests ask for the same few takes.

    All processes find a take in the folder that they share; a shorter one is the beginning of a longer one (test_puppets, which draws anew).
    """
    import functools
    import inspect

    import numpy as np

    try:
        from synth.puppets import perform
    except ImportError:  # a rented machine has only what the generator's own tests need
        return
    draw = perform.perform
    asked = inspect.signature(draw)

    @functools.wraps(draw)
    def once(*numbers, **named):
        bound = asked.bind(*numbers, **named)
        bound.apply_defaults()
        wanted = bound.arguments
        frames, rate = wanted["frames"], perform.Fraction(wanted["fps"])
        if not SHARED or not 0 < frames * wanted["size"] ** 2 < 5_000_000:  # 15 MB
            return draw(**wanted)
        name = f"{wanted['identity']}-{wanted['motion']}-{wanted['size']}-{rate.numerator}-{rate.denominator}.npz"
        file = SHARED[0] / "takes" / name
        if file.exists():
            with np.load(file) as kept:
                known = {name: values[:frames] for name, values in kept.items()}
            if len(known["times"]) == frames:
                return perform.Performance(**known, fps=rate, identity=wanted["identity"], motion=wanted["motion"])
        made = draw(**wanted)
        file.parent.mkdir(exist_ok=True)
        part = file.with_name(f"{os.getpid()}-{name}")
        np.savez(part, frames=made.frames, landmarks=made.landmarks, times=made.times)
        part.replace(file)
        return made

    perform.perform = once


def pytest_collection_modifyitems(items):
    """Begin with the long files, so that no process is left with one while the others have nothing to do; one order in all processes."""
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (rank.get(item.path.stem, len(rank)), item.path))


def pytest_collection_finish():
    """Let each later search for garbage leave out what was imported."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # what tests leave is little, and most of it goes without a search
    gc.enable()


SHARED = []  # the folder that all processes of a run have in common, once the first test has begun


@pytest.fixture(scope="session", autouse=True)
def _converted(tmp_path_factory):
    """Where the frozen network lies once the first test has converted it, eight processor seconds that each test would take anew."""
    base = tmp_path_factory.getbasetemp()
    SHARED[:] = [base.parent if "PYTEST_XDIST_WORKER" in os.environ else base]
    folder = SHARED[0] / "backbone"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory, monkeypatch, _converted):
    base = tmp_path_factory.mktemp("user")
    (base / "cache").mkdir()
    with contextlib.suppress(OSError):  # a system without symbolic links converts again
        (base / "cache" / "backbone").symlink_to(_converted, target_is_directory=True)
    for name in ("home", "cache", "weights"):
        monkeypatch.setenv(f"GIOCONDA_{name.upper()}", str(base / name))
    monkeypatch.setenv("GIOCONDA_DEVICE", "auto")  # --device sets it
    monkeypatch.delenv("GIOCONDA_LANDMARKER", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture(scope="session")
def serving():
    """A function that starts ``gioconda serve`` on a free port and gives the process and the page's address."""
    import subprocess
    import sys

    def start(folder, *flags, stderr=None):
        command = [sys.executable, "-m", "gioconda", "serve", "--port", "0", "--folder", str(folder), *flags]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
        return process, process.stdout.readline().strip()

    return start


@pytest.fixture
def served():
    """A function that puts a request handler on a port of this computer, for the test's time, and gives its address."""
    import threading
    from http.server import ThreadingHTTPServer

    servers = []

    def serve(handler):
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield serve
    for server in servers:
        server.shutdown()


@pytest.fixture
def metadata_here(monkeypatch):
    """Metadata read in this process, by our own readers alone: for tests of what becomes of them, not of the child that reads them.

    Starting that child takes a quarter of a second; and where ExifTool is installed it would find what our readers have missed.
    """
    from PIL import Image

    from gioconda.report import metadata
    from gioconda_core.workers.child import Lost

    def here(function, *, seconds, memory, path):
        try:
            return metadata._child(path), {}
        except Exception as error:
            raise Lost(type(error).__name__) from error

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # which the reader lifts
    monkeypatch.setattr(metadata, "ask_once", here)
    monkeypatch.setattr(metadata, "_exiftool", lambda path: ("", []))
