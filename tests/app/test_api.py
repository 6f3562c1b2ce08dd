"""Gioconda from Python: what may be checked, how detectors are named, and where it may be called."""

import asyncio
import io
import json
import multiprocessing
import subprocess
import sys
import threading
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

import gioconda
from gioconda.audit import Audit, table
from gioconda_core.errors import MediaError, UsageError


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("api") / "picture.png"
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(path)
    return path


def _looked_at(path):
    return gioconda.check(path, "none", sandbox=False).sha256


@pytest.mark.usefixtures("metadata_here")
def test_a_path_a_text_bytes_and_a_file_object_are_the_same_picture(picture):
    data = picture.read_bytes()
    with open(picture, "rb") as file:
        reports = gioconda.check(
            [picture, str(picture), data, bytearray(data), io.BytesIO(data), file], "none", sandbox=False
        )
    assert len({report.sha256 for report in reports}) == 1 and len(reports) == 6
    assert {report.facts["width"] for report in reports} == {64}
    assert [report.title for report in reports] == [
        "picture.png",
        "picture.png",
        "bytes",
        "bytes",
        "stream",
        "picture.png",
    ]


@pytest.mark.usefixtures("metadata_here")
def test_one_clip_gives_a_report_and_a_list_gives_a_list(picture):
    assert isinstance(gioconda.check(picture, "none", sandbox=False), gioconda.Report)
    assert gioconda.check([], "none") == []
    (report,) = gioconda.check((picture,), "none", sandbox=False)
    assert report.title == "picture.png"


def test_of_a_list_the_missing_file_is_named_before_the_first_is_examined(picture, tmp_path):
    stages = []
    with pytest.raises(MediaError, match="no such file"):
        gioconda.check([picture, tmp_path / "none.mp4"], "none", progress=lambda *step: stages.append(step))
    assert not stages
    with pytest.raises(UsageError, match="int"):
        gioconda.check(7)
    with pytest.raises(UsageError, match="opened with 'rb'"), open(picture) as text:
        gioconda.check(text)


@pytest.mark.usefixtures("metadata_here")
def test_progress_rises_from_nothing_to_all_over_a_whole_list(picture):
    shares = []
    gioconda.check([picture, picture], "none", sandbox=False, progress=lambda stage, share: shares.append(share))
    assert shares == sorted(shares) and shares[0] == 0 and 0.9 < shares[-1] <= 1


@pytest.mark.usefixtures("metadata_here")
def test_a_text_of_detectors_is_names_and_never_letters(picture):
    with pytest.raises(UsageError, match="'spectrogram'"):
        gioconda.check(picture, "spectrogram")
    with pytest.raises(UsageError, match="'nobody'"):
        gioconda.check(picture, "contrast,nobody")
    assert Audit("media", detectors="contrast").detectors == ("contrast",)
    assert Audit("media", detectors="none", exclude="*.gif").exclude == ("*.gif",)
    assert list(Audit("media").roots) == ["media"]
    (reading,) = gioconda.check(picture, "contrast", sandbox=False).readings
    assert reading.reading.detector == "contrast" and reading.reading.abstained


def test_an_audit_is_a_table(picture, tmp_path):
    Audit(str(picture.parent), out=tmp_path / "out", detectors="none", jobs=1).run()
    rows = table(tmp_path / "out")
    assert rows.num_rows == 1 and rows.column("size").to_pylist() == [picture.stat().st_size]
    if find_spec("pandas"):
        frame = rows.to_pandas()
        assert list(frame["path"]) == [str(picture)] and list(frame["size"]) == [picture.stat().st_size]
        assert frame["error"].isna().all() and frame.select_dtypes("number").columns.size > 0
    else:
        with pytest.raises(ModuleNotFoundError, match="pandas"):
            rows.to_pandas()
    with pytest.raises(UsageError, match="no table"):
        table(tmp_path)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("gioconda.", {"check", "Clip", "Report"}),
        ("gioconda.check('clip.mp4').", {"verdict", "provenance", "readings", "facts"}),
        ("gioconda.check('clip.mp4').verdict.", {"level", "caveats"}),
        ("gioconda.check(['a.mp4', 'b.mp4']).", {"append"}),
    ],
)
def test_an_editor_completes(typed, offered):
    import jedi

    script = jedi.Script(f"import gioconda\n{typed}")
    assert {found.name for found in script.complete(2, len(typed))} >= offered


def test_what_the_documentation_names_is_there_after_one_import_and_is_offered_by_a_notebook():
    code = "import gioconda; print(dir(gioconda), gioconda.audit.table.__name__, gioconda.report.text.__name__, gioconda.audit.Audit.__doc__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'audit', 'check', 'report'" in done.stdout and "table text" in done.stdout


def test_an_editor_shows_what_a_check_takes():
    import jedi

    call = jedi.Script("import gioconda\ngioconda.check(").get_signatures(2, len("gioconda.check("))
    assert {"source", "detectors", "progress", "trust"} <= {p.name for p in call[0].params}


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_child_process_may_check(picture, start):
    with multiprocessing.get_context(start).Pool(1) as pool:
        assert pool.map(_looked_at, [picture]) == [_looked_at(picture)]


def test_threads_and_an_event_loop_may_check(picture):
    found = []
    threads = [threading.Thread(target=lambda: found.append(_looked_at(picture))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def awaited():
        return [await asyncio.to_thread(_looked_at, picture), _looked_at(picture)]

    assert {*found, *asyncio.run(awaited())} == {_looked_at(picture)} and len(found) == 4


def test_in_a_notebook_a_report_shows_as_its_page(picture):
    pytest.importorskip("IPython")
    code = f"""
from IPython.core.interactiveshell import InteractiveShell
import json, gioconda
shell = InteractiveShell.instance()
report = gioconda.check({str(picture)!r}, "none", sandbox=False)
shown, _ = shell.display_formatter.format(report)
print(json.dumps(shown["text/html"]))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    page = json.loads(said.splitlines()[-1])
    assert page.startswith("<iframe") and "sandbox" in page and "picture.png" in page
