"""Every option of every command: it is used, numbers have a least, results overwrite nothing, and a wrong value is one clear line."""

import ast
import errno
import inspect
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest
from typer.main import get_command

import benchmarks.run.run
from gioconda.cli import main
from gioconda.cli.app import app, hoist
from gioconda_core.datasets.index import Index
from gioconda_core.media.writer import write_image
from gioconda_core.types import Label, Sample


def commands(command=None, name=()):
    """(name, command) of every command there is."""
    command = command or get_command(app)
    for key, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*name, key))
    if not hasattr(command, "commands"):
        yield " ".join(name), command


COMMANDS = dict(commands())
ROOT = Path(__file__).resolve().parents[2]


def options(command):
    return [option for option in command.params if option.name not in ("help", "install_completion", "show_completion")]


def declared(command):
    """Each option's declaration by its name; ``built`` keeps them beside the body."""
    function = command.callback
    while not hasattr(function, "declared"):
        function = function.__wrapped__
    return function.declared


def listed():
    """A line an option: command, how it is typed, its default."""
    for name, command in sorted(COMMANDS.items()):
        for option in options(command):
            typed = "/".join([*option.opts, *option.secondary_opts])
            default = "" if option.default is None else str(option.default)
            yield f"{name},{typed},{'required' if option.required else default}"


def test_the_commands_and_their_options_are_those_of_the_list():
    """Adding, renaming or removing one is a decision: it is taken by changing the list."""
    kept = Path(__file__).with_name("options.csv").read_text().splitlines()
    now = list(listed())
    assert not sorted(set(now) - set(kept)), "not on the list"
    assert not sorted(set(kept) - set(now)), "on the list, and no longer there"
    assert len(kept) == len(now)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_parameter_of_a_command_is_used(name):
    function = inspect.unwrap(COMMANDS[name].callback)
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    read = {node.id for part in tree.body for node in ast.walk(part) if isinstance(node, ast.Name)}
    assert set(inspect.signature(function).parameters) <= read


def test_every_option_of_a_job_is_read_somewhere():
    """A field that nothing reads is a flag that does nothing."""
    read = set()
    for package in ("gioconda", "benchmarks", "detect", "synth"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    read.add(node.attr)
    taken = set(inspect.signature(benchmarks.run.run.run).parameters)  # a Measure is handed over field for field
    for name, command in COMMANDS.items():
        own = set(inspect.signature(inspect.unwrap(command.callback)).parameters)
        assert declared(command).keys() - own <= read | taken, name


@pytest.mark.parametrize("name", COMMANDS)
def test_a_number_has_a_least(name):
    """-7 processes, frames or seconds mean nothing; nothing is what some commands did with them, and said so with exit 0."""
    for key, typed in declared(COMMANDS[name]).items():
        if typed.kind in (int, float, int | None, float | None) and typed.option.parse is None:
            assert typed.option.minimum is not None, key


def wrong_values(command):
    """(option, a value that cannot be meant) of each option that has such a value."""
    for typed in declared(command).values():
        if typed.option.minimum is not None and typed.option.parse is None:
            yield typed, str(typed.option.minimum - 1)
        elif (
            typed.option.allowed()
            or (typed.option.parse and typed.option.parse is not str)
            or typed.name in ("sampling", "rungs", "tests", "date")
        ):
            yield typed, "no-such-value"


def test_a_wrong_value_is_refused_before_anything_is_loaded(tmp_path):
    """Nobody waits for torch to hear that a word is not known."""
    lines, known = [], {"suite": "puppets", "detectors": "contrast"}
    for name, command in COMMANDS.items():
        needed = [(option, declared(command)[option.name]) for option in options(command) if option.required]
        for typed, value in wrong_values(command):
            line = [*name.split()]
            for option, other in needed:
                if other.name != typed.name:
                    fill = known.get(other.name) or (other.option.allowed() or ("x",))[0]
                    line += [fill] if other.option.positional else [f"{option.opts[-1]}={fill}"]
            lines.append([*line, f"{typed.option.named(typed.name)}={value}"])
    assert len(lines) > 140
    script = (
        "import json, sys\nfrom gioconda.cli import main\n"
        "for line in json.load(open(sys.argv[1])):\n"
        "    code = main(line)\n"
        "    heavy = sorted({'torch', 'cv2', 'av', 'c2pa', 'pydantic'} & set(sys.modules))\n"
        "    if code != 2 or heavy:\n"
        "        sys.exit(f'{line}: exit {code}, {heavy} loaded')\n"
    )
    (tmp_path / "lines.json").write_text(json.dumps(lines))
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "lines.json"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-600:]
    said = done.stderr.splitlines()
    assert len(said) == len(lines)
    for line, answer in zip(lines, said, strict=True):
        assert answer.startswith("gioconda: ") and line[-1].split("=")[0] in answer, (line, answer)
    assert list(tmp_path.iterdir()) == [tmp_path / "lines.json"]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_result_in_a_file_may_be_forced(name):
    given = {option.name for option in options(COMMANDS[name])}
    assert name == "audit" or "output" not in given or "force" in given


@pytest.fixture
def gioconda(capfd, tmp_path, monkeypatch):
    """Run the command line in this process, in a folder with a picture, a text and an index of the picture."""
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "a.png", np.zeros((32, 32, 3), np.uint8))
    Path("text.mp4").write_text("not a clip\n" * 40)
    Index((Sample("a.png", "0" * 64, Label.REAL, identity="p"),), tmp_path, {}).write("set.parquet")

    def run(*args):
        code = main([*args])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err and "internal error" not in err, err
        return code, out, err

    return run


@pytest.mark.parametrize(
    "command",
    ["provenance keys show", "provenance trust show", "models list", "detect list", "data verify set.parquet",
     "detect show contrast", "provenance read a.png", "check a.png --detectors none"],
)  # fmt: skip
def test_a_result_goes_where_it_was_asked_for_and_replaces_nothing(gioconda, command):
    gioconda(*command.split(), "-o", "json=result.json")
    json.loads(Path("result.json").read_text())
    Path("result.json").write_text("mine")
    code, _, err = gioconda(*command.split(), "-o", "json=result.json")
    assert code == 2 and "already exists" in err and Path("result.json").read_text() == "mine"
    gioconda(*command.split(), "-o", "json=result.json", "--force")
    json.loads(Path("result.json").read_text())


WRONG = """
check a.png --detectors none -o html=text.mp4/page.html | 2 | text.mp4/page.html: cannot be written
check a.png --detectors none -o html=. --force | 2 | is a folder
check a.png --detectors none -o json= | 2 | no file after
check a.png --detectors none -o json=x -o csv=./x | 2 | two results in one file
check a.png --detectors none --sampling bogus | 2 | unknown sampling 'bogus'
check a.png --device tpu | 2 | --device: no device 'tpu'
check a.png --detectors cnn | 2 | cnn:RUN
audit a.png --out text.mp4 --detectors none | 2 | text.mp4: file exists
audit a.png --detectors none --sampling bogus | 2 | unknown sampling 'bogus'
audit a.png --detectors none --trust none.pem | 4 | none.pem: cannot be read
audit a.png --detectors none --jobs -3 | 2 | --jobs
data verify none.parquet | 4 | data index FOLDER --out index.parquet
data export set.parquet text.mp4 | 2 | text.mp4: is not an empty folder
data split set.parquet --out s.parquet --train -1 --val 1 --test 1 | 2 | --train
detect train nothing --index set.parquet --out run --dry-run | 2 | No such command 'nothing'
detect train contrast --index set.parquet --out run --dry-run --steps 3 | 2 | No such option: --steps
detect train cnn --index set.parquet --out run --dry-run --draws 3 | 2 | No such option: --draws
detect score a.png --detectors contrast --split test | 2 | give --index
bench run ladder --detectors , --index set.parquet --out run | 2 | --detectors: no detector
bench report none.csv --signer key:mine | 2 | --signer: nothing to sign
serve --port 70000 | 2 | --port
provenance read a.png --fragment none.m4s | 4 | none.m4s: no such file
provenance forecast none.mp4 | 4 | none.mp4: no such file
provenance drift text.mp4 text.mp4 | 4 | holds no verdicts
provenance strip a.png ./a.png --force | 2 | never changed in place
provenance keys make k --organisation X --request k.csr --days 9 | 2 | --days
provenance keys make k --organisation X --request k.csr --root k.pem | 2 | --root
provenance keys make k --organisation= | 2 | --organisation
provenance keys make k --organisation X --days 99999999 | 2 | --days
provenance sign a.png --claim c.toml --out b.png --role cawg.editor | 2 | give --identity
provenance labels . --signer zz | 2 | not a sha256 fingerprint
serve --port z | 2 | --port: 'z' is not a whole number
serve --timeout x | 2 | --timeout: 'x' is not a number
bench run nosuch -d contrast --out o | 2 | no suite 'nosuch'
check a.png --detectors contrast,zzz | 2 | no detector named 'zzz'
models pull vgg19-caffe --from a.png --sha256 ab | 2 | not a sha256 fingerprint
compare a.png b.png -o json=./a.png --force | 2 | would replace the input
data verify set.parquet -o json=./set.parquet --force | 2 | would replace the input
provenance labels . --sources none | 2 | none: no such
provenance trust add a.png --date yesterday | 2 | not a date: 'yesterday'
provenance trust update --kind tsa | 2 | only with --url
synth prepare . --out shards --where kind=real | 2 | --where: chooses rows of a .csv
synth prepare puppets:1 --out shards --landmarker bogus | 2 | unknown landmarker 'bogus'
synth prepare . --out shards --landmarks none | 2 | none: no such folder
synth train shards --content-file vgg=x | 2 | no content net 'vgg'
synth train shards --variant ff --match-from 3 | 2 | --match-from
synth tune none puppets:1/1 --mode ff --steps 3 | 2 | mode ff is not tuned
synth reenact --generator warp --shots puppets:1/1 --drive puppets:2/1 --mode ff --steps 3 | 2 | mode ff is not tuned
synth reenact --generator warp --shots puppets:1/1 --drive puppets:2/1 --model m.safetensors | 2 | --model: warp has no model
synth reenact --generator warp --shots puppets:1/1 --drive puppets:2/1 --start 9999 | 2 | --start
synth reenact --generator warp --shots puppets:1/1 --drive puppets:2/1 --face 0 | 2 | gioconda: --face: a puppet is one face
synth reenact --generator warp --shots puppets:1/1 --drive puppets:2/1 --driver-face 0 | 2 | --driver-face: puppets
synth reenact --generator warp --shots puppets:1/1 --drive camera:0 --start 3 | 2 | --start: a camera has no past
synth fakes puppets:2 --generator warp --modes ff --steps 3 | 2 | --steps: mode ff is not tuned
synth reenact --generator warp --shots puppets:1/1 --drive puppets:2/1 --steps 3 | 2 | --steps: warp is not tuned
synth fakes puppets:2 --generator warp --steps 3 | 2 | --steps: warp is not tuned
synth evaluate puppets:2 --generator copy --steps 3 | 2 | --steps: copy is not tuned
synth fakes puppets:2 --generator warp --kinds cross --regions face | 2 | --regions: the region face
synth reenact --generator warp --consent embedded --shots puppets:1/1 --drive puppets:2/1 --out x.txt | 2 | gioconda: x.txt: h264 is not written to .txt
synth reenact --generator warp --consent embedded --shots puppets:1/1 --drive puppets:2/1 --out x.mkv | 2 | gioconda: x.mkv: this container cannot carry
synth prepare puppets:0 --out shards | 2 | puppets:0: no puppet at all
synth fakes puppets:2 --generator few-shot --size 64 | 2 | --size: only hybrid, warp and copy
synth fakes puppets:2 --generator warp --adapt bogus | 2 | --adapt: unknown adapt 'bogus'
synth fakes puppets:2 --generator warp --layout bogus | 2 | unknown layout 'bogus'
synth fakes puppets:2 --generator warp --crf 99 | 2 | --crf: 99 is above 51
synth fakes puppets:2 --generator warp --export bogus=x | 2 | no dataset named 'bogus'
synth fakes puppets:2 --generator warp --replay text.mp4 | 2 | text.mp4: is not a record
synth consent new c.toml --who= --scope any --licence x | 2 | --who: is empty
synth consent new c.toml --who A --scope any --licence x --source none.png | 4 | none.png: no such file
synth consent check c.toml --task bogus | 2 | unknown task 'bogus'
""".strip().splitlines()


@pytest.mark.parametrize("line", WRONG, ids=lambda line: line.split(" | ")[0])
def test_a_wrong_value_is_one_clear_line(gioconda, line):
    typed, expected, said = line.split(" | ")
    before = sorted(Path().iterdir())
    code, _, err = gioconda("-q", *typed.split())
    assert code == int(expected) and said in err, err
    assert sum(text.startswith(("gioconda: ", "Error: ")) for text in err.splitlines()) <= 1
    assert sorted(Path().iterdir()) == before or "--out" in typed, "nothing half made is left"


def test_a_file_s_name_is_shown_and_never_obeyed_by_the_terminal(gioconda):
    Index((Sample("a\x1b[2J.png", "0" * 64, Label.REAL, identity="p"),), Path().resolve(), {}).write("hostile.parquet")
    code, out, err = gioconda("data", "verify", "hostile.parquet")
    assert code == 4 and "\\x1b[2J.png: " in out and "\x1b" not in out + err


def test_short_flags_may_be_joined_and_a_value_may_not_be_missing(gioconda):
    assert hoist(["check", "a.mp4", "-qv"]) == ["-qv", "check", "a.mp4"]
    code, _, err = gioconda("check", "a.png", "--seed")
    assert code == 2 and "--seed" in err and "argument" in err


def test_a_reader_that_has_heard_enough_is_no_error():
    for command in (["models", "list"], ["--help"]):
        with subprocess.Popen([sys.executable, "-m", "gioconda", *command], stdout=PIPE, stderr=PIPE) as run:
            run.stdout.close()
            assert run.stderr.read() == b"" and run.wait() == 0


def test_without_a_home_to_write_to_clips_are_read_all_the_same(gioconda, monkeypatch):
    for name in ("HOME", "CACHE", "WEIGHTS"):
        monkeypatch.setenv(f"GIOCONDA_{name}", str(Path("text.mp4").resolve() / name))
    assert gioconda("check", "a.png", "--detectors", "contrast")[0] == 0
    assert gioconda("provenance", "read", "a.png")[0] == 0
    Path("claim.toml").write_text('intent = "edit"\n')
    code, _, err = gioconda("-q", "provenance", "sign", "a.png", "--claim", "claim.toml", "--out", "b.png")
    assert code == 2 and "text.mp4" in err and not Path("b.png").exists()


def test_a_full_disk_is_incomplete_work_not_wrong_usage(gioconda, monkeypatch):
    def full(**_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gioconda_core.files.tempfile.mkstemp", full)
    code, _, err = gioconda("data", "verify", "set.parquet", "-o", "json=x.json")
    assert code == 4 and "no space left" in err and "internal error" not in err
