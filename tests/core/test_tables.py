"""Tables that people send: whatever program wrote one, the same rows come out, and what cannot be read is named by row and column."""

from __future__ import annotations

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.report.options import Scores
from benchmarks.stats.scores import read_scores
from detect.external.scores import ScoresDetector
from gioconda_core.datasets.index import Index
from gioconda_core.datasets.tables import label_of, number_of, read_sheet
from gioconda_core.errors import GiocondaError, UsageError

PLAIN = "path,label,score\nreal/a.mp4,0,0.25\nfake/b.mp4,1,0.75\n"


def excel(text: str) -> str:
    """As a German Excel writes it: semicolons, decimal commas, carriage returns."""
    return text.replace(",", ";").replace("0.", "0,").replace("\n", "\r\n")


DIALECTS = {
    "plain": PLAIN.encode(),
    "mark": b"\xef\xbb\xbf" + PLAIN.encode(),
    "semicolons": excel(PLAIN).encode(),
    "excel-mark": b"\xef\xbb\xbf" + excel(PLAIN).encode(),
    "sep-line": b"sep=;\r\n" + excel(PLAIN).encode(),
    "sep-comma": b"sep=,\r\n" + PLAIN.encode(),
    "tabs": PLAIN.replace(",", "\t").encode(),
    "bars": PLAIN.replace(",", "|").encode(),
    "utf-16": PLAIN.encode("utf-16"),
    "utf-16-le-no-mark": PLAIN.encode("utf-16-le"),
    "utf-16-be-no-mark": PLAIN.encode("utf-16-be"),
    "old-mac": PLAIN.replace("\n", "\r").encode(),
    "gzip": gzip.compress(PLAIN.encode()),
    "capitals": PLAIN.replace("path,label,score", "Path,LABEL,Score").replace(",0,", ",REAL,").replace(",1,", ",Fake,").encode(),
    "blanks": PLAIN.replace(",", " , ").replace("path", "  path").encode(),
    "blank-lines": PLAIN.replace("\n", "\n\n").encode(),
    "end-separators": PLAIN.replace("\n", ",\n").encode(),
    "pandas-float": PLAIN.replace(",0,", ",0.0,").replace(",1,", ",1.0,").encode(),
    "pandas-index": b"\n".join(f"{i if i >= 0 else ''},{line}".encode() for i, line in enumerate(PLAIN.split("\n")[:-1], -1)),
    "booleans": PLAIN.replace(",0,", ",False,").replace(",1,", ",TRUE,").encode(),
    "percent": PLAIN.replace("0.25", "25%").replace("0.75", "75 %").encode(),
    "percent-comma": excel(PLAIN).replace("0,25", "25,0 %").replace("0,75", "75,0 %").encode(),
    "windows": PLAIN.replace("/", "\\").encode(),
    "quoted": b'"path","label","score"\n"real/a.mp4","0","0.25"\n"fake/b.mp4","1","0.75"\n',
    "other-names": PLAIN.replace("path,label,score", "Video Path,is_fake,y_score").encode(),
}  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_same_rows_to_every_reader(tmp_path, dialect):
    file = tmp_path / "t.csv"
    file.write_bytes(DIALECTS[dialect])
    index = Index.read(file)
    assert [(s.path, str(s.label)) for s in index] == [("real/a.mp4", "real"), ("fake/b.mp4", "fake")]
    table = read_scores(Scores(file))
    assert table.labels.tolist() == [0, 1] and table.detectors["t"].scores.tolist() == [0.25, 0.75]
    scores = ScoresDetector(str(file))
    assert scores.of("fake/b.mp4").score == 0.75 and scores.of("b.mp4").score == 0.75


PARQUET = {
    "int": {"path": ["real/a.mp4", "fake/b.mp4"], "label": [0, 1], "score": [0.25, 0.75], "identity": [7, 8]},
    "bool": {"path": ["real/a.mp4", "fake/b.mp4"], "label": [False, True], "score": [0.25, 0.75], "identity": [7, 8]},
    "float": {"path": ["real/a.mp4", "fake/b.mp4"], "label": [0.0, 1.0], "score": ["0.25", "0.75"], "identity": [7.0, 8.0]},
    "nested": {"path": ["real/a.mp4", "fake/b.mp4"], "label": ["real", "fake"], "score": [0.25, 0.75], "identity": ["7", "8"],
               "boxes": [[1, 2], [3]], "group": [{"language": "ja"}, {"language": None}]},
    "null": {"path": ["real/a.mp4", "fake/b.mp4"], "label": ["real", "fake"], "score": [0.25, 0.75], "identity": ["7", "8"],
             "split": pa.array([None, None], pa.null())},
}  # fmt: skip


@pytest.mark.parametrize("kind", PARQUET)
def test_parquet_of_any_types(tmp_path, kind):
    file = tmp_path / "t.parquet"
    pq.write_table(pa.table(PARQUET[kind]), file)
    index = Index.read(file)
    assert [(str(s.label), s.identity, s.split) for s in index] == [("real", "7", ""), ("fake", "8", "")]
    assert kind != "nested" or [s.group for s in index] == [{"language": "ja"}, {}]
    assert read_scores(Scores(file)).detectors["t"].scores.tolist() == [0.25, 0.75]
    assert ScoresDetector(str(file)).of("a.mp4").score == 0.25


WRONG = {
    "header": (b"path,label,score\n", "no rows"),
    "blank-row": (b"path,label,score\n,,\n", "no rows"),
    "empty": (b"", "empty"),
    "mark-alone": (b"\xef\xbb\xbf", "empty"),
    "empty-path": (b"path,label,score\na,0,1\n,1,1\n", r"row 3, column path"),
    "label": (
        b"path,label,score\na,0,1\nb,perhaps,1\nc,2,1\n",
        r"row 3, column label: 'perhaps'.*; row 4, column label",
    ),
    "two-labels": (b"path,label,is_fake,score\na,0,1,1\n", "row 2: two columns name the label and contradict"),
    "twice": (b"path,label,label\na,0,0\n", "twice"),
    "no-label": (b"path,score\na,1\n", "label"),
    "long-cell": (b"path,label,score\n" + b"a" * 200_000 + b",0,1\n", "line 2: a cell of more than 131,072"),
    "open-quote": (b'path,label,score\n"a,0,1\n' + b"b,1,0\n" * 300_000, "quotation"),
    "cut-gzip": (gzip.compress(PLAIN.encode() * 100)[:-30], "unpacked"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_be_read_is_one_clear_line(tmp_path, kind):
    content, told = WRONG[kind]
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(GiocondaError, match=told) as error:
        Index.read(tmp_path / "t.csv")
    assert "t.csv" in str(error.value) and "\n" not in str(error.value)


def test_scores_that_are_no_numbers_are_named_by_row_and_column(tmp_path):
    (tmp_path / "t.csv").write_text("path,score\na,high\nb,1\nb,2\nc,inf\n")
    with pytest.raises(UsageError, match=r"row 2, column score: 'high'.*row 4.*second.*row 5"):
        ScoresDetector(str(tmp_path / "t.csv"))


def test_a_folder_as_path_is_a_problem(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "t.csv").write_text("path,label\nclips,0\n")
    assert [p.what for p in Index.read(tmp_path / "t.csv").verify()] == ["is a folder, not a clip"]


def test_a_file_name_that_stands_for_two_rows_stands_for_none(tmp_path):
    (tmp_path / "t.csv").write_text("path,score\nx/a.mp4,1\ny/a.mp4,2\n")
    scores = ScoresDetector(str(tmp_path / "t.csv"))
    assert scores.of("a.mp4").abstained and scores.of("y/a.mp4").score == 2


def test_a_published_matrix_is_read_as_it_is(tmp_path):
    """One column a detector, one of each latency, three kinds of media in one file."""
    (tmp_path / "m.csv").write_text(
        "id,modality,label,generator,prob_one,lat_one,prob_two,lat_two,prob_ear,lat_ear\n"
        "v1,videos,real,,0.1,12,0.2,7,,\nv2,videos,fake,sora,0.9,13,,9,,\na1,audio,fake,tts,,,,,0.7,3\n"
    )
    with pytest.raises(UsageError, match="mixes units"):
        read_scores(Scores(tmp_path / "m.csv", score=("prob_*",)))
    with pytest.raises(UsageError, match="no column"):
        read_scores(Scores(tmp_path / "m.csv", score=("p_*",), unit="video"))
    table = read_scores(Scores(tmp_path / "m.csv", score=("prob_*",), unit="video"))
    assert list(table.detectors) == ["one", "two"] and len(table) == 2
    assert any("ear" in p.sentence for p in table.problems if p.kind == "silent")
    assert table.detectors["one"].protocol == "video@given" and not table.slices
    assert (
        read_scores(Scores(tmp_path / "m.csv", score=("prob_*",), unit="audio")).detectors["ear"].protocol
        == "audio@given"
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.5", 0.5), ("0,5", 0.5), ("1.234,5", 1234.5), ("50 %", 0.5), ("12,5%", 0.125), ("−3", -3.0), ("1e-3", 0.001), ("", None), ("N/A", None)],
)  # fmt: skip
def test_numbers_as_people_write_them(text, value):
    assert number_of(text, decimal_comma=True) == value


def test_a_comma_that_separates_is_no_decimal_one():
    with pytest.raises(ValueError):
        number_of("0,5")
    assert label_of("bona-fide") == 0 and label_of("1.0") == 1 and label_of("2") is None and label_of("nan") == -1


def test_line_numbers_are_those_of_the_program_that_wrote_it(tmp_path):
    (tmp_path / "t.csv").write_text('path,label\n"a\nb",0\n\nc,1\n')
    assert list(read_sheet(tmp_path / "t.csv").rows) == [3, 5]
