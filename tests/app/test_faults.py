"""What goes wrong and is no bug of ours is one clear line; what is one leaves a file to attach; and resuming works after either."""

import errno
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from gioconda.audit import Audit
from gioconda.audit.journal import Journal, rows_of
from gioconda.cli import faults, main
from gioconda.report.rows import Row
from gioconda_core.errors import ExitCode, ResourceError
from gioconda_core.files import no_room


@pytest.fixture
def audited(tmp_path):
    """(tree of twenty pictures, folder of its finished audit, a function that audits again)."""
    root, out = tmp_path / "tree", tmp_path / "out"
    root.mkdir()
    for i in range(20):
        Image.new("RGB", (8, 8), (i, i, i)).save(root / f"{i:02}.png")

    def again():
        return Audit([str(root)], out, detectors=(), formats=("csv",)).run()

    assert again().examined == 20
    return root, out, again


def row(i):
    return Row(f"{i}.png", f"{i:064}", 1, mtime_ns=1, aside="", config="c")


def test_a_full_disk_is_one_line_and_nothing_is_lost(tmp_path):
    journal = Journal(tmp_path)
    (pages,) = journal._base.execute("PRAGMA page_count").fetchone()
    journal._base.execute(f"PRAGMA max_page_count = {pages + 2}")  # SQLite says "database or disk is full"
    with pytest.raises(ResourceError, match="the disk is full") as caught:
        for i in range(5000):
            journal.append(row(i))
    assert caught.value.exit_code == ExitCode.INCOMPLETE and "nothing that was done is lost" in caught.value.hint
    written = len((tmp_path / "readings.jsonl").read_text().splitlines())
    journal._base.rollback()
    journal.close()
    again = Journal(tmp_path)
    assert sum(again.done(f"{i}.png", 1, 1, "", "c") is True for i in range(5000)) == written > 20
    again.close()


# --------------------------------------------------------------------------- disks that are really full, or may only be read


def on_a_small_disk(folder, size, script, *arguments):
    """Run a shell script where ``folder/disk`` is a file system of its own of so many bytes, gone when the script ends."""
    (folder / "disk").mkdir(exist_ok=True)
    mounted = f"mount -t tmpfs -o size={size} tmpfs disk || exit 77\n{script}"
    command = ["unshare", "-rm", "sh", "-c", mounted, "sh", sys.executable, *arguments]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no file system may be mounted here")
    return done


@pytest.fixture
def pictures(tmp_path):
    root = tmp_path / "tree"
    for i in range(300):
        folder = root / ("real/a" if i % 2 else "fake/b")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (i % 256, i // 256, 0)).save(folder / f"{i:03}.png")
    return root


AUDIT = '"$1" -m gioconda audit tree --out disk/out --detectors none -j 1 -q --json'


@pytest.mark.slow
def test_an_audit_on_a_full_disk_resumes_once_there_is_room_and_says_when_it_may_not_write(pictures, tmp_path):
    script = f"""{AUDIT} > first; echo $? >> codes; cp disk/out/readings.jsonl kept
mount -o remount,size=40m disk
{AUDIT} > second; echo $? >> codes; cp disk/out/readings.jsonl whole
mount -o remount,ro disk
{AUDIT}; echo $? >> codes
{AUDIT.replace("disk/out", "disk/new")}; echo $? >> codes"""
    done = on_a_small_disk(tmp_path, "160k", script)
    full, locked, new = done.stderr.splitlines()
    assert (tmp_path / "codes").read_text().split() == ["4", "0", "4", "4"]
    assert "full" in full or "no space left" in full
    assert "read-only" in locked and "read-only" in new and "disk/new" in new
    kept, whole = (tmp_path / name for name in ("kept", "whole"))
    assert whole.read_bytes().startswith(kept.read_bytes()[: kept.read_bytes().rfind(b"\n") + 1])
    summary = json.loads((tmp_path / "second").read_text())
    assert summary["seen"] == 300 and 0 < summary["resumed"] <= kept.read_bytes().count(b"\n") < 300


def test_a_quota_on_a_file_s_size_is_a_circumstance_too(pictures, tmp_path):
    import resource

    command = [
        sys.executable,
        "-m",
        "gioconda",
        "audit",
        "tree",
        "--out",
        "out",
        "--detectors",
        "none",
        "-j",
        "1",
        "-q",
    ]

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    env = os.environ | {
        "PYTHONDONTWRITEBYTECODE": "1"
    }  # Python would leave torn bytecode behind, and read it the next time
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, preexec_fn=limited, env=env
    )
    assert done.returncode == ExitCode.INCOMPLETE and done.stderr.count("\n") == 1 and "bug" not in done.stderr
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and len(list(rows_of(tmp_path / "out"))) == 300


# Commands that write | the file or folder that their line must name
WRITERS = """
check tree/real/a/001.png --detectors none -o html=disk/r.html | disk/r.html
data index tree --out disk/i.parquet | disk/i.
data split i.parquet --out disk/s.parquet | disk/s.parquet
data export i.parquet disk/ff --layout faceforensics | disk/ff
detect score tree/real/a/001.png --detectors scores:x.csv -o csv=disk/s.csv | disk/s.csv
provenance sign tree/real/a/001.png --claim claim.toml --out disk/s.png | disk/s.png
provenance verify tree/real/a/001.png -o jsonl=disk/v.jsonl | disk/v.jsonl
provenance strip tree/real/a/001.png disk/x.png | disk/x.png
provenance keys make k --organisation X --root disk/root.pem | disk/root.pem
synth consent new disk/c.toml --who A --scope reenact --licence CC0-1.0 --source tree/real/a/001.png | disk/c.toml
synth prepare puppets:1 --out disk/shards --size 64 --min-face 32 --puppet-frames 24 | disk/shards
synth fakes --generator warp --size 64 --shots 1 --frames 10 puppets:2 --out disk/fakes | disk/fakes
bench run suite.toml -d scores:x.csv --index i.parquet --out disk/bench --jobs 1 | disk/bench
audit tree --detectors none --out disk/audit -j 1 | disk/audit
"""
ALL = """
import json, os, sys
from gioconda.cli import main
fill = os.open("disk/fill", os.O_WRONLY | os.O_CREAT)
try:
    while True:
        os.write(fill, bytes(512))
except OSError:
    pass
for line in sys.argv[1:]:
    print(main([*line.split(), "-q"]), file=sys.stderr, flush=True)
"""


@pytest.mark.slow
def test_whatever_writes_says_which_file_a_full_disk_has_no_room_for(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["data", "index", "tree", "--out", "i.parquet", "-q"]) == 0
    Path("x.csv").write_text("path,score\ntree/real/a/001.png,0.5\n")
    Path("suite.toml").write_text('name = "x"\nversion = "1"\n[data]\nkind = "index"\n[protocol]\nresamples = 50\n')
    Path("claim.toml").write_text(
        'title = "t"\nintent = "create"\n[[actions]]\naction = "c2pa.created"\nsource_type = "digitalCapture"\n'
    )
    expected = dict(line.split(" | ") for line in WRITERS.strip().splitlines())
    Path("all.py").write_text(ALL)
    done = on_a_small_disk(tmp_path, "32k", 'program="$1"; shift; "$program" all.py "$@"', *expected)
    lines = done.stderr.splitlines()
    assert len(lines) == 2 * len(expected), done.stderr
    wrong = [
        (command, code, line)
        for (command, named), line, code in zip(expected.items(), lines[::2], lines[1::2], strict=True)
        if code != "4" or not line.startswith(f"gioconda: {named}") or "make room" not in line or "Io" in line
    ]
    assert not wrong, "\n".join(map(str, wrong))


QUOTA = """
import numpy, resource, signal, sys
from safetensors.numpy import save_file  # writes by the same call as that for torch, whose import takes seconds
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    save_file({"a": numpy.zeros(1 << 16)}, sys.argv[1])
except Exception as error:
    print(type(error).__mro__, error)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no limit on a file's size here")
def test_a_full_disk_is_known_where_a_library_has_only_a_text_for_it(tmp_path):
    command = [sys.executable, "-c", QUOTA, str(tmp_path / "a.safetensors")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "OSError" not in said and no_room(RuntimeError(said)), "has it a number now?"
    assert no_room(OSError(errno.EDQUOT, "")) and no_room(RuntimeError("I/O error: (os error 28)"))
    assert not no_room(OSError(errno.EACCES, "")) and not no_room(ValueError("(os error 13)"))


def test_a_row_that_a_full_disk_tore_is_written_anew(tmp_path):
    journal = Journal(tmp_path)
    journal.append(row(0))
    real = journal._file

    class Full:
        def __getattr__(self, name):
            return getattr(real, name)

        def write(self, data):
            real.write(data[:40])
            real.flush()
            raise OSError(errno.ENOSPC, "No space left on device")

    journal._file = Full()
    with pytest.raises(ResourceError, match="no space left"):
        journal.append(row(1))
    journal._file = real
    journal.close()
    again = Journal(tmp_path)
    assert [again.done(f"{i}.png", 1, 1, "", "c") for i in (0, 1)] == [True, False]
    again.append(row(1))
    assert len(list(again.rows())) == 2
    again.close()


def test_a_damaged_page_of_the_index_is_made_anew(audited):
    _, out, again = audited
    index = out / "journal.sqlite"
    base = sqlite3.connect(index)
    base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    base.close()
    data = bytearray(index.read_bytes())
    for page in range(1, len(data) // 4096):
        data[page * 4096 : page * 4096 + 200] = os.urandom(200)
    index.write_bytes(data)
    summary = again()
    assert (summary.resumed, summary.failed) == (20, 0)


def test_bytes_changed_in_a_row_cost_that_row_and_the_next_run_makes_it_anew(audited):
    _, out, again = audited
    file = out / "readings.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    lines[7] = b"x" * (len(lines[7]) - 1) + b"\n"
    file.write_bytes(b"".join(lines))
    summary = again()
    assert (summary.failed, summary.resumed) == (1, 20)
    with open(out / "readings.csv") as table:
        assert sum("is damaged; run again" in line for line in table) == 1
    summary = again()
    assert (summary.failed, summary.resumed, summary.examined) == (0, 19, 1)
    assert len(list(rows_of(out))) == 20


def test_a_folder_that_is_no_audit_s(tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "readings.jsonl").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    code = main(["audit", str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), "--detectors", "none", "-q"])
    assert code == ExitCode.USAGE and capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("command", ["check {} -o html=/sys/page.html", "audit {} --out /sys/audit"])
def test_where_nothing_may_be_written_every_command_ends_alike(command, tmp_path, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert main([*command.format(tmp_path / "a.png").split(), "--detectors", "none", "-q"]) == ExitCode.INCOMPLETE
    line = capsys.readouterr().err
    assert "/sys/" in line and ("check permissions" in line or "write elsewhere" in line)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENOMEM])
def test_what_the_machine_refuses_is_no_bug(number, capsys):
    assert faults.say(OSError(number, os.strerror(number)), ["x"]) == ExitCode.INCOMPLETE
    line = capsys.readouterr().err
    assert os.strerror(number).lower() in line and "bug" not in line and line.count("\n") == 1


@pytest.mark.parametrize("package", ["c2pa", "typer"])
def test_a_missing_package_is_an_incomplete_installation(package, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    code = (
        f"import sys; sys.modules[{package!r}] = None\nfrom gioconda.cli import main\n"
        "sys.exit(main(['check', 'a.png', '--detectors', 'none'] if 'c2pa' in sys.modules else ['config']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == ExitCode.INCOMPLETE, done.stderr
    assert "installation is incomplete" in done.stderr and package in done.stderr and "Traceback" not in done.stderr


TABLES = {
    "long.csv": b"path,score,label\n" + b"a" * 131_073 + b",0.5,fake\n",
    "latin.csv": "path,score,label\nä.mp4,0.5,fake\n".encode("latin-1"),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(
    "command", ["data verify {}", "bench audit {}", "synth prepare {} --out sh", "check a.png --detectors scores:{}"]
)
def test_a_table_that_cannot_be_read_is_refused_by_file_and_line(name, command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("a.png")
    Path(name).write_bytes(TABLES[name])
    assert main([*command.format(name).split(), "-q"]) == ExitCode.USAGE
    line = capsys.readouterr().err
    assert line.startswith(f"gioconda: {name}: ") and line.count("\n") == 1
    assert ("line 2: a cell of more than 131,072" if name == "long.csv" else "UTF-8") in line


def test_bare_carriage_returns_end_lines_too(tmp_path):
    from benchmarks.report.options import Scores
    from benchmarks.stats.scores import read_scores
    from detect.external.scores import ScoresDetector
    from gioconda_core.datasets.tables import read_sheet

    (tmp_path / "mac.csv").write_bytes(b"id,path,score,label\r1,a.mp4,0.5,fake\r2,b.mp4,0.1,real\r")
    assert read_sheet(tmp_path / "mac.csv").column("path") == ["a.mp4", "b.mp4"]
    assert len(read_scores(Scores(tmp_path / "mac.csv"))) == 2
    assert ScoresDetector(str(tmp_path / "mac.csv")).of("b.mp4").score == 0.1


@pytest.mark.parametrize(
    ("setting", "what"),
    [("resamples = inf", "resamples is inf"), ("resamples = 0", "resamples is 0"), ("slices = 3", "wrong kind")],
)
def test_a_suite_whose_settings_make_no_sense(setting, what, tmp_path, capsys):
    suite = tmp_path / "suite.toml"
    suite.write_text(f'name = "x"\nversion = "1"\n[data]\nkind = "puppets"\n[protocol]\n{setting}\n')
    assert main(["bench", "run", str(suite), "-d", "contrast", "--out", str(tmp_path / "run"), "-q"]) == ExitCode.USAGE
    assert what in capsys.readouterr().err


def test_a_damaged_file_of_ours_is_named(tmp_path):
    def reads(path):
        return json.loads(path.read_text())

    reads.__globals__["__name__"], before = "gioconda.somewhere", reads.__globals__["__name__"]
    file = tmp_path / "state.json"
    file.write_text('{"step": ')
    try:
        with pytest.raises(json.JSONDecodeError) as caught:
            reads(file)
        known = faults.circumstance(caught.value)
    finally:
        reads.__globals__["__name__"] = before
    assert isinstance(known, ResourceError) and str(known).startswith(f"{file}: is not JSON, or is cut off")
    assert faults.circumstance(json.JSONDecodeError("x", "", 0)) is None  # of no file: a bug of ours


def test_a_bug_of_ours_leaves_a_file_to_attach(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GIOCONDA_HOME", str(tmp_path / "home"))
    try:
        raise RuntimeError("never\nthought of")
    except RuntimeError as error:
        assert faults.say(error, ["check", "clip.mp4"]) == ExitCode.FAULT
    line = capsys.readouterr().err
    (file,) = (tmp_path / "home" / "bugs").iterdir()
    text = file.read_text()
    assert str(file) in line and line.count("\n") == 1 and "a bug of ours" in line
    assert (
        "Command: check clip.mp4" in text
        and "RuntimeError: never" in text
        and "test_faults.py" in text
        and "gioconda 0." in text
    )
