"""gioconda detect: rows for every clip, errors as rows, cards in words; and a service asked over HTTP."""

import csv
import io
import json
from fractions import Fraction
from http.server import BaseHTTPRequestHandler

import numpy as np
import pytest
from pointing import points_inside

from detect.base import Card
from detect.external import wire
from detect.reading.explain import occlusion
from detect.reading.golden import drawn
from detect.reading.guard import failed, run
from detect.reading.score import Row, rows
from detect.registry import WEIGHTS, load
from gioconda.api import check
from gioconda.cli.app import run as gioconda
from gioconda_core.datasets.index import Index
from gioconda_core.files import sha256_of
from gioconda_core.media.clip import write_video
from gioconda_core.reasons import AbstentionReason
from gioconda_core.testing import footage
from gioconda_core.types import Label, Reading, Sample


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Two seconds without a face, and a broken file beside it."""
    folder = tmp_path_factory.mktemp("clips")
    y, x = np.mgrid[:96, :128]
    frames = [np.stack([(x + i) % 256, y, x // 2], -1).astype(np.uint8) for i in range(50)]
    write_video(folder / "empty.mp4", frames, fps=Fraction(25))
    (folder / "broken.mp4").write_bytes(b"not a video")
    return folder / "empty.mp4"


def test_every_clip_has_a_row_and_a_broken_one_has_its_error(clip, tmp_path, capsys):
    rows = tuple(Sample(name, name, Label.REAL, identity="p") for name in ("empty.mp4", "broken.mp4"))
    index = tmp_path / "set.parquet"
    Index(tuple(Sample(str(clip.parent / s.path), s.sha256, s.label, identity="p") for s in rows), tmp_path, {}).write(
        index
    )
    code = gioconda(
        ["-q", "detect", "score", "--index", str(index), "--detectors", "contrast,again=contrast", "-o", "csv"]
    )
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert code == 4 and len(table) == 4
    for row in table:
        assert row["score"] == "" and row["label"] == "real" and row["identity"] == "p"
        assert ("no face" in row["abstained"]) if "empty" in row["path"] else row["error"]


@pytest.mark.slow
def test_a_process_that_dies_while_decoding_costs_no_other_clip(clip, tmp_path, monkeypatch):
    """The detector's wish, which is asked in the process that decodes, ends it over one clip: rows stay whole and in order."""
    (tmp_path / "deadly_wish.py").write_text(
        "import os\ndef sampling(duration, fps):\n    if duration > 2.5: os._exit(5)\n    return 'even:4'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import deadly_wish

    long = tmp_path / "long.mp4"
    write_video(long, [np.zeros((64, 64, 3), np.uint8)] * 75, fps=Fraction(25))

    class Wishing:
        id, version, weights_sha256, card = "wishing", "1", None, Card("wishing")
        sampling = staticmethod(deadly_wish.sampling)

        def read(self, footage):
            return Reading(self.id, "1", None, float(len(footage.frames)), protocol=footage.protocol)

    clips = [(f"{i}", path, None) for i, path in enumerate((clip, long, clip.parent / "broken.mp4", clip))]
    first, dead, broken, last = rows(clips, [Wishing()], calibrated=False, jobs=2, cache=False)
    assert first.score == last.score == 4.0 and first.sha256 == sha256_of(clip)
    assert "code 5" in dead.error and "broken.mp4" in broken.error


def test_no_share_of_real_clips_is_told_as_nought_per_cent():
    from gioconda.cli.detect import _line

    one = Row("a.mp4", "contrast", score=2.5, false_alarm=0.0, false_alarm_low=0.0, false_alarm_high=0.03, reals=116)
    assert "of real clips none of 116 (with so few, up to 1 in 33 may) scored at least this high" in _line(one)
    some = Row("a.mp4", "contrast", score=0.5, false_alarm=0.5, false_alarm_low=0.4, false_alarm_high=0.6, reals=116)
    assert "58 of 116" in _line(some) and "%" not in _line(one) + _line(some)


def test_a_table_of_scores_speaks_of_the_clips_it_names(clip, tmp_path, capsys):
    table = tmp_path / "theirs.csv"
    table.write_text(f"sha256,path,score\n{sha256_of(clip)},,0.25\n,other.mp4,0.5\n")
    assert gioconda(["-q", "detect", "score", str(clip), "--detectors", f"scores:{table}", "--json"]) == 0
    assert [row["score"] for row in json.loads(capsys.readouterr().out)["rows"]] == [0.25]
    (said,) = check(clip, detectors=[f"scores:{table}"]).readings
    assert said.reading.score == 0.25 and said.false_alarm is None
    table.write_text("path,score\nother.mp4,0.5\n")
    (said,) = check(clip, detectors=[f"scores:{table}"]).readings
    assert said.reading.score is None and said.reading.abstained.code == AbstentionReason.NOT_IN_TABLE


def test_results_are_not_overwritten(clip, tmp_path):
    out = tmp_path / "scores.json"
    arguments = ["-q", "detect", "score", str(clip), "--detectors", "contrast", "-o", f"json={out}"]
    assert gioconda(arguments) == 0 and json.loads(out.read_text())["rows"][0]["abstained"]
    assert gioconda(arguments) == 2 and gioconda([*arguments, "--force"]) == 0


def test_list_and_show_say_what_a_detector_is(capsys):
    assert gioconda(["detect", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["detectors"]}
    assert (
        rows["contrast"]["shipped"] and not rows["http"]["shipped"] and "leave this computer" in rows["http"]["summary"]
    )
    assert gioconda(["detect", "show", "contrast"]) == 0
    said = capsys.readouterr().out
    for word in ("trained on", "person and origin unseen", "limit", "licence", "recipe", "calibration"):
        assert word in said
    assert "by method    AUC" in said
    assert gioconda(["detect", "show", "contrast", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "gioconda.detector-card/2" and document["calibration"]["strata"][0]["stratum"] == "all"
    assert document["card"]["evaluated"] == json.loads((WEIGHTS / "contrast" / "card.json").read_text())["evaluated"]
    assert "too few real clips" in said  # a rate of 0.1 % is not promised from this many
    assert gioconda(["-q", "detect", "show", "no-such"]) == 2


def test_training_from_the_command_line_refuses_a_set_of_one_class(tmp_path):
    index = tmp_path / "set.parquet"
    Index((Sample("a.mp4", "a", Label.REAL, identity="p"),), tmp_path, {}).write(index)
    arguments = [
        "-q",
        "detect",
        "train",
        "contrast",
        "--index",
        str(index),
        "--out",
        str(tmp_path / "run"),
        "--dry-run",
    ]
    assert gioconda(arguments) == 2


# --------------------------------------------------------------------------- somebody's service


@pytest.fixture
def service(served):
    """A service on this computer that answers as its path asks."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            clip = wire.unpack(self.rfile.read(int(self.headers["content-length"])))
            answers = {
                "/good": json.dumps({"score": float(len(clip.frames)), "version": "5"}),
                "/nan": '{"score": Infinity}',
                "/none": '{"abstain": "too dark"}',
                "/token": json.dumps({"score": 1.0 if self.headers["authorization"] == "Bearer s3cret" else -1.0}),
            }
            moved = self.path == "/moved"
            self.send_response(302 if moved else 200)
            if moved:
                self.send_header("location", "/good")
            self.end_headers()
            self.wfile.write(answers.get(self.path, "?").encode())

        def log_message(self, *args):
            pass

    return served(Handler)


def test_a_service_is_asked_and_believed_only_when_it_answers_well(service, monkeypatch):
    clip = footage(frames=3)
    good = run(load(f"http:{service}/good"), clip)
    assert good.score == 3.0 and good.version == "5"
    assert run(load(f"http:{service}/none"), clip).abstained.text == "too dark"
    for path in ("nan", "text", "moved"):
        assert failed(run(load(f"http:{service}/{path}"), clip)), path
    assert failed(run(load("http:http://127.0.0.1:9/"), clip))
    monkeypatch.setenv("JUDGE_TOKEN", "s3cret")
    assert run(load(f"http:{service}/token", token_env="JUDGE_TOKEN"), clip).score == 1.0
    assert load(f"http:{service}/good").card.network


# --------------------------------------------------------------------------- explanations


class Mouthy:
    """Scores how bright the lower half of the face is."""

    id, version, weights_sha256, card = "mouthy", "1", None, None

    def read(self, clip):
        from detect.face_crops import prepare

        (face,) = prepare(clip, 64, mode="square", margin=1.7, max_frames=2)
        return Reading("mouthy", "1", None, float(face.crops[:, 36:52, 20:44].std()), protocol=clip.protocol)


def test_hiding_what_a_detector_looks_at_lowers_its_score():
    clip = drawn()
    frames = clip.frames.copy()
    for i, time in enumerate(clip.times):
        x, y = np.round(clip.tracks[0].landmarks[int(time * 25 + 0.5), 57]).astype(int)
        frames[i, y - 12 : y + 12, x - 14 : x + 14] = (np.indices((24, 28)).sum(0) % 2 * 255)[..., None]
    import dataclasses

    found = occlusion(Mouthy(), dataclasses.replace(clip, frames=frames), grid=5)
    mask = np.zeros((64, 64), bool)
    mask[36:54, 18:46] = True
    result = points_inside(found, mask)
    assert result["inside"] > 3 * result["chance"] and result["peak"] == 1.0


def test_a_row_comes_back_from_its_columns_and_has_none_for_what_does_not_apply():
    read = Row(
        "ab12", "contrast", "ab12", "a.mp4", "fake", "anna", "s", "g", "7", {"noise": 1.0}, version="1", score=0.5
    )
    assert Row.of(read.columns()) == read
    assert list(read.columns())[:3] == ["cue:noise", "id", "path"] and "error" not in read.columns()
    lost = Row("a.mp4", "contrast", error="cannot be read")
    assert lost.columns() == {"id": "a.mp4", "detector": "contrast", "error": "cannot be read"}
    assert Row.of(lost.columns()) == lost
