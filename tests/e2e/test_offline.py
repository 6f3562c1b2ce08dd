"""Nothing phones home: commands run under a tracer speak to no address and leave no file outside the folders that are documented."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from tracing import strace, traced

pytestmark = pytest.mark.skipif(strace() is None, reason="strace is not installed, or may not trace here")

# Libraries that would send something home of themselves, used as we use them.
LIBRARIES = """
import gioconda_core
import onnx, onnxruntime, openvino, numpy
from onnx import TensorProto, helper
value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])
graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", [value("x")], [value("y")])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
assert session.run(None, {"x": numpy.ones(2, numpy.float32)})[0][0] == -1
openvino.convert_model
"""


def test_the_tracer_sees_a_socket_and_a_file(tmp_path):
    """The control: what the other tests say is not there would be seen if it were."""
    code = "import os, socket, subprocess, sys\nopen(os.path.expanduser('~/device-id'), 'w').close()\n"
    child = "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"
    trace = traced(tmp_path, "-c", f"{code}subprocess.run([sys.executable, '-c', {child!r}])")
    assert any("socket(AF_INET" in line for line in trace.sockets) and any("connect(" in line for line in trace.sockets)
    assert [os.path.basename(path) for path in trace.outside(tmp_path / "tmp")] == ["device-id"]


@pytest.mark.parametrize("turn", ["first", "second"])
def test_runtimes_keep_to_themselves(tmp_path_factory, turn):
    """Twice over one home: onnxruntime writes its device id at the first start and speaks at the second."""
    folder = tmp_path_factory.getbasetemp() / "runtimes"
    folder.mkdir(exist_ok=True)
    trace = traced(folder, "-c", LIBRARIES)
    assert trace.returncode == 0, trace.stderr[-1500:]
    assert trace.sockets == []
    assert trace.outside(folder / "gioconda-home") == []


def test_a_child_inherits_the_switches_and_a_user_s_word_counts():
    code = "import gioconda_core, os, subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'import os; print(*(os.environ[k] for k in sys.argv[1:]))'.replace('import os', 'import os, sys'), *sys.argv[1:]], capture_output=True, text=True).stdout)"
    names = ["ORT_DISABLE_TELEMETRY", "RAY_USAGE_STATS_ENABLED", "HF_HUB_DISABLE_TELEMETRY"]
    env = {k: v for k, v in os.environ.items() if k not in names} | {"RAY_USAGE_STATS_ENABLED": "1"}
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.split() == ["1", "1", "1"]


def test_the_hub_is_asked_only_for_what_the_user_named(monkeypatch):
    from huggingface_hub import constants

    from gioconda_core.offline import hub_allowed

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "YES")
    with hub_allowed():
        assert not constants.is_offline_mode()
    assert constants.is_offline_mode()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # a user's own word
    with hub_allowed():
        assert constants.is_offline_mode()


# ------------------------------------------------------------------------- every command

# Runs of commands in one process each, in an order in which each finds what it needs | what it ends with, where that is not 0.
# Two of them, for what a library keeps until its next start; a process for each group would import everything anew.
RUNS = {
    "make": """
doctor
plugins
config
explain exit-codes
models list
models verify sfd | 4
synth prepare puppets:4 --out shards --size 64 --min-face 32 --puppet-frames 24
synth train shards --preset pocket --steps 2 --batch 1 --shots 1 --content multiscale --out run --threads 1
synth tune run/model.safetensors puppets:3/1 --mode ff --content multiscale --out person.safetensors
synth export person.safetensors --out person.onnx
synth export person.safetensors --format openvino --out person.xml
synth consent new consent.toml --who A --scope reenact --licence CC0-1.0 --source clip.mp4
synth consent check consent.toml
synth reenact --shots puppets:3/1 --drive puppets:4/1 --seconds 0.4 --frame crop --consent embedded --model person.safetensors --out made.mp4
synth consent log
synth fakes --generator warp --size 96 --shots 1 --frames 10 --split train=0.5,test=0.5 shards --out fakes
synth evaluate shards --generator warp --size 64 --shots 1 --modes ff --people 2 --frames 4 --no-baselines --detectors none --out evaluation
""",
    "judge": """
data verify fakes/index.parquet
data split fakes/index.parquet --out split.parquet --train 0.5 --val 0 --test 0.5
data export fakes/index.parquet ff --layout faceforensics
data index tree --out index.parquet
detect list
detect show onnx:theirs.onnx
detect train cnn --index fakes/index.parquet --out cnn --backbone test_efficientnet --size 48 --steps 2 --batch 1
detect train contrast --index fakes/index.parquet --out contrast --rungs clean --tests clean --families lowres,animate
detect train vit-ln --index fakes/index.parquet --out vit --backbone test_vit --size 48 --steps 1 --batch 1
detect calibrate onnx:theirs.onnx --index index.parquet --name puppets
detect score clip.mp4 --detectors contrast -o csv=scores.csv
detect score clip.mp4 --detectors onnx:theirs.onnx,cnn:cnn,theirs,'command:sh judge.sh',scores:scores.csv -o csv=more.csv
bench list
bench run suite.toml --detectors onnx:theirs.onnx,cnn:cnn --index fakes/index.parquet --out bench --jobs 1
bench audit fakes/index.parquet
bench report bench -o html=bench.html --resamples 100 --no-sign
bench compare bench bench --resamples 100
provenance keys make me --organisation X --root root.pem
provenance keys show
provenance keys renew me
provenance sign clip.mp4 --out signed.mp4 --claim claim.toml --signer key:me
provenance read signed.mp4
provenance verify signed.mp4 -o jsonl=rows.jsonl
provenance drift rows.jsonl rows.jsonl
provenance forecast signed.mp4
provenance mark made.mp4
provenance strip made.mp4 bare.mp4
provenance recover bare.mp4 --out history.c2pa
provenance remember made.mp4
provenance labels fakes/clips --out labels.parquet --trust-development
provenance trust add root.pem
provenance trust show
provenance trust diff root.pem root.pem
provenance trust revoke ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
provenance trust remove root
case new strasbourg --name Clip --by A
case add strasbourg signed.mp4
case note strasbourg Seen --by A
case verify strasbourg
case export strasbourg --out strasbourg.zip --signer key:me
compare clip.mp4 signed.mp4
check signed.mp4
check clip.mp4 --detectors onnx:theirs.onnx,cnn:cnn
audit fakes/clips/test clip.mp4 --detectors onnx:theirs.onnx --out audit-out --jobs 1
audit fakes --detectors none --out audit-none --jobs 2
""",
}
ALL = """
import json, shlex, sys
from gioconda.cli import main
codes = []
for line in sys.argv[1:]:
    print("$", line, file=sys.stderr, flush=True)
    codes.append(main([*shlex.split(line), "-q"]))
print(json.dumps(codes))
"""
APART = {  # and why
    "demo": "is made of the commands here",
    "serve": "has a test of its own",
    "models pull": "is asked to fetch",
    "provenance trust update": "is asked to fetch",
}
# PyTorch's folder for compiled code and matplotlib's list of fonts: SECURITY.md names them.
LEFT = re.compile(r"tmp/torchinductor_\w+|home/\.(cache|config)(/matplotlib(/.*)?)?$")


def names(command=None, name=()):
    from typer.main import get_command

    from gioconda.cli.app import app

    command = command or get_command(app)
    for key, inner in getattr(command, "commands", {}).items():
        yield from names(inner, (*name, key))
    if not hasattr(command, "commands"):
        yield " ".join(name)


def test_no_command_is_forgotten():
    asked = {
        name
        for name in names()
        if any(f"{line} ".startswith(f"{name} ") for line in "".join(RUNS.values()).splitlines())
    }
    assert asked | set(APART) == set(names())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A clip of a puppet, detectors of strangers in each of their kinds, and what signing asks for."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from puppet_material import clip

    folder = tmp_path_factory.mktemp("commands")
    clip(folder / "clip.mp4")
    for i in range(22):  # as many as a calibration asks for
        (folder / "tree" / ("real" if i < 20 else "fake") / f"person{i}").mkdir(parents=True)
        clip(next(folder.glob(f"tree/*/person{i}")) / "clip.mp4", frames=6, crf=18 + i)
    weight = numpy_helper.from_array(np.array([[1.0, -1.0]] * 3, np.float32), "w")
    nodes = [("GlobalAveragePool", ["x"], ["p"]), ("Flatten", ["p"], ["f"]), ("MatMul", ["f", "w"], ["y"])]
    graph = helper.make_graph(
        [helper.make_node(*node) for node in nodes],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 48, 48])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [weight],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), folder / "theirs.onnx"
    )
    (folder / "theirs.toml").write_text(
        'summary = "brightness"\nsize = 48\noutput = "softmax"\nfake = 0\nlicence = "MIT"\n'
    )
    (folder / "claim.toml").write_text(
        'title = "t"\nintent = "create"\n[[actions]]\naction = "c2pa.created"\nsource_type = "digitalCapture"\n'
    )
    (folder / "judge.sh").write_text("cat > /dev/null; echo '{\"score\": 1.0}'")
    (folder / "suite.toml").write_text(
        'name = "own"\nversion = "1"\n[data]\nkind = "index"\n[protocol]\nresamples = 50\n'
    )
    plugin = folder / "plugins"
    (plugin / "theirs-2.dist-info").mkdir(parents=True)
    (plugin / "theirs-2.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 2\n")
    (plugin / "theirs-2.dist-info" / "entry_points.txt").write_text("[gioconda.detectors]\ntheirs = theirs:D\n")
    (plugin / "theirs.py").write_text(
        "from detect.base import Card\nfrom gioconda_core.types import Reading\nclass D:\n"
        "    id, version, weights_sha256, card = 'theirs', '2', None, Card('somebody\\'s')\n"
        "    def read(self, clip):\n"
        "        import onnxruntime, openvino\n"
        "        return Reading('theirs', '2', None, 1.0, protocol=clip.protocol)\n"
    )
    return folder


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("run", RUNS)
def test_commands_keep_to_themselves(folder, run):
    """Each in turn over one home, so that what a library keeps for its next start would be found by the next run."""
    expected = {
        line: int(code or 0) for line, _, code in (each.partition(" | ") for each in RUNS[run].strip().split("\n"))
    }
    paths = f"{folder / 'plugins'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}".rstrip(os.pathsep)
    env = {"PYTHONPATH": paths, "GIOCONDA_WEIGHTS": str(folder / "weights")}
    trace = traced(folder, "-c", ALL, *expected, env=env, timeout=800)
    assert trace.returncode == 0, trace.stderr[-3000:]
    ended = dict(zip(expected, json.loads(trace.stdout.splitlines()[-1]), strict=True))
    assert ended == expected, trace.stderr[-3000:]
    assert trace.sockets == [] and trace.outside(folder) == []
    left = [str(path.relative_to(folder)) for top in ("home", "tmp") for path in (folder / top).rglob("*")]
    assert [path for path in left if not LEFT.match(path)] == []


@pytest.mark.slow
def test_the_page_and_a_service_speak_with_this_computer_only(tmp_path, served):
    """``serve``, and a detector that is an address: what they open leads to where they were told, and nowhere else."""
    from http.server import BaseHTTPRequestHandler

    from puppet_material import clip

    class Judge(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"score": 1.0}')

        def log_message(self, *args):
            pass

    clip(tmp_path / "clip.mp4")
    page = "import os, signal, threading\nthreading.Timer(8, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
    page += "from gioconda.cli import main\nmain(['serve', '--port', '0', '--folder', 'kept'])"
    judge = ["-m", "gioconda", "check", "clip.mp4", "--detectors", f"http:{served(Judge)}/", "-q"]
    for command in (["-c", page], judge):
        trace = traced(tmp_path, *command)
        addresses = {found for text in trace.sockets for found in re.findall(r'inet_addr\("([^"]+)"\)', text)}
        assert addresses == {"127.0.0.1"}, trace.stderr[-500:]
        assert not any("AF_INET6" in text and "connect" in text for text in trace.sockets)
        assert trace.outside(tmp_path) == [] and not list((tmp_path / "home").rglob("*"))
