"""Suites, degradations and runs: versioned, deterministic, resumable; failures are rows, samples are never replaced."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from score_table import table_of

from benchmarks.report import report
from benchmarks.report.options import Figures, Scores
from benchmarks.run import run as runs
from benchmarks.run import suite as suites
from benchmarks.run.options import Measure
from detect.base import Card
from gioconda_core.datasets.index import Index
from gioconda_core.errors import MediaError, UsageError
from gioconda_core.files import read_rows, sha256_of
from gioconda_core.media import degrade
from gioconda_core.media.clip import Clip, write_video
from gioconda_core.types import Footage, Label, Reading, Sample, TrackScore

SUITE = """
name = "tiny"
version = "1"
[data]
kind = "index"
[protocol]
sampling = "even:4"
degradations = ["none", "resize:scale=0.5|h264:crf=35"]
metrics = ["auc"]
resamples = 100
"""


class Brightness:
    """A detector for tests: the mean of the frames it is given; fails, abstains or counts as told."""

    weights_sha256 = None
    card = Card("brightness")

    def __init__(self, id: str = "brightness", version: str = "1", fail: int = 0) -> None:
        self.id, self.version, self.fail, self.calls = id, version, fail, 0
        self.seen: list[Footage] = []

    def read(self, footage: Footage) -> Reading:
        self.calls += 1
        self.seen.append(footage)
        if self.calls == self.fail:
            raise RuntimeError("out of paint")
        values = tuple(float(f.mean()) for f in footage.frames)
        series = (TrackScore(0, tuple(footage.times.tolist()), values),)
        return Reading(self.id, self.version, None, float(np.mean(values)), series, protocol=footage.protocol)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Twelve small clips of moving noise, fakes brighter."""
    folder, samples = tmp_path_factory.mktemp("clips"), []
    for i in range(12):
        label = Label.FAKE if i % 2 else Label.REAL
        rng = np.random.default_rng(i)
        base = rng.integers(0, 60, (48, 64, 3)) + (60 if label == Label.FAKE else 0)
        frames = [np.roll(base, t, 1).astype(np.uint8) for t in range(10)]
        path = folder / f"c{i}.mp4"
        write_video(path, iter(frames), fps=10, crf=10)
        samples.append(
            Sample(path.name, sha256_of(path), label, generator="glow" if i % 2 else "", identity=f"p{i // 2}")
        )
    return Index(tuple(samples), folder, {})


@pytest.fixture
def clips(written, tmp_path, monkeypatch):
    """Copies of the twelve, and no face model, which these tests are not about."""
    monkeypatch.setenv("GIOCONDA_CACHE", str(tmp_path / "cache"))
    from gioconda_core.faces import observe

    monkeypatch.setattr(observe, "track", lambda *a, **k: ())
    monkeypatch.setattr(
        observe, "_resolve", lambda name: type("Mark", (), {"name": "none", "version": "0", "glance": lambda *_: 0.0})()
    )
    return replace(written, root=shutil.copytree(written.root, tmp_path / "set"))


@pytest.fixture
def tiny(tmp_path):
    (tmp_path / "tiny.toml").write_text(SUITE)
    return suites.load(tmp_path / "tiny.toml")


def use(monkeypatch, *detectors):
    """These objects under their ids, instead of loading by name."""
    table = {d.id: d for d in detectors}
    monkeypatch.setattr(runs, "detectors_of", lambda specs: {s: table[s] for s in specs})
    return [d.id for d in detectors]


# --------------------------------------------------------------------------- suites


def test_every_suite_in_the_box_is_the_version_it_says():
    """Changing a suite changes its version: bump it, then add the new hash to versions.json."""
    released = suites.versions()
    for name in suites.built_in():
        suite = suites.load(name)
        assert released.get(name, {}).get(suite.version) == suite.sha256, (
            f"{name} {suite.version} has changed: {suite.sha256}"
        )
    assert set(suites.built_in()) == {"attacks", "puppets", "ladder", "protocol-ff", "leave-one-generator-out"}


@pytest.mark.parametrize(
    "change",
    [
        ("metrics =", "metrix ="),
        ('"auc"', '"accuracy"'),
        ("even:4", "first:4"),
        ("crf=35", "quality=35"),
        ('kind = "index"', 'kind = "web"'),
        ('version = "1"', ""),
    ],
)
def test_a_suite_with_a_slip_is_refused(tmp_path, change):
    (tmp_path / "bad.toml").write_text(SUITE.replace(*change))
    with pytest.raises(UsageError):
        suites.load(tmp_path / "bad.toml")


# --------------------------------------------------------------------------- degradations


@pytest.mark.parametrize(
    "text", ["sharpen", "h264:quality=3", "resize:scale=2", "resize", "jpeg:quality=0", "crop:keep=2", "fps:rate=-1"]
)
def test_degradations_that_mean_nothing_are_refused(text):
    with pytest.raises(UsageError):
        degrade.parse(text)


def test_degraded_clips_are_deterministic_cached_and_touch_the_whole_video(clips, tmp_path, monkeypatch):
    source, written = clips.resolve(clips.samples[0]), []

    def noted(path, *args, **options):
        written.append(path)
        write_video(path, *args, **options)

    monkeypatch.setattr(degrade, "write_video", noted)
    how = degrade.parse("h264:crf=35|resize:scale=0.5|noise:sigma=8|h264:crf=30")
    first = degrade.apply(source, how, folder=tmp_path / "one")
    assert [path.parent for path in written] == [first.parent] * 2, (
        "what a killed run leaves is in the cache, and trimmed there"
    )
    stamp = first.stat().st_mtime_ns
    again = degrade.apply(source, how, folder=tmp_path / "one")
    assert again == first and sha256_of(again) == sha256_of(first)
    assert abs(again.stat().st_mtime_ns - stamp) < 60e9
    other = degrade.apply(source, how, folder=tmp_path / "two")
    assert sha256_of(other) == sha256_of(first), "the same input gives the same bytes"
    with Clip.open(first) as clip:
        assert (clip.facts.width, clip.facts.height) == (32, 24)
        assert len(list(clip.frames("all"))) == 10
    assert not [p for p in (tmp_path / "one").rglob(".*") if p.is_file()], "no intermediate files are left"


def test_degraded_clips_are_kept_within_a_bound_the_longest_unused_going_first(tmp_path, monkeypatch):
    monkeypatch.setenv("GIOCONDA_CACHE", str(tmp_path))
    for number in range(4):
        path = degrade.cache_folder() / "ab" / f"{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(400_000))
        os.utime(path, (number, number))
    assert degrade.trim() == 0
    monkeypatch.setenv("GIOCONDA_DEGRADED_MB", "1")
    assert degrade.trim() == 2
    assert sorted(p.name for p in degrade.cache_folder().glob("*/*")) == ["2.mp4", "3.mp4"]


def test_frame_rate_crop_and_chains(clips, tmp_path):
    source = clips.resolve(clips.samples[0])
    slower = degrade.apply(source, degrade.parse("fps:rate=5"), folder=tmp_path)
    with Clip.open(slower) as clip:
        assert float(clip.fps) == 5 and len(list(clip.frames("all"))) == 5
        assert clip.duration == pytest.approx(1.0, abs=0.05)
    cropped = degrade.apply(source, degrade.parse("crop:keep=0.5"), folder=tmp_path)
    with Clip.open(cropped) as clip:
        assert (clip.facts.width, clip.facts.height) == (32, 24)
    for name in degrade.CHAINS:
        assert degrade.apply(source, degrade.parse(name), folder=tmp_path).exists()
    assert degrade.apply(source, degrade.parse("none")) == source


def test_a_clip_may_be_mirrored_and_made_brighter(clips, tmp_path):
    source = clips.resolve(clips.samples[0])

    def first(how):
        with Clip.open(degrade.apply(source, degrade.parse(how), folder=tmp_path)) as clip:
            return next(frame for _, frame in clip.frames("all")).astype(float)

    plain = first("crop:keep=1")
    assert np.abs(first("flip") - plain[:, ::-1]).mean() < 3 < np.abs(first("flip") - plain).mean()
    assert first("brightness:gain=1.4").mean() > plain.mean() * 1.15 > first("brightness:gain=0.6").mean()


def test_coarser_quality_is_worse(clips, tmp_path):
    source = clips.resolve(clips.samples[0])
    with Clip.open(source) as clip:
        clean, _ = clip.sample("all")
    errors = []
    for crf in (18, 30, 45):
        with Clip.open(degrade.apply(source, degrade.parse(f"h264:crf={crf}"), folder=tmp_path)) as clip:
            frames, _ = clip.sample("all")
        errors.append(float(np.mean((frames.astype(float) - clean) ** 2)))
    assert errors[0] < errors[1] < errors[2]


# --------------------------------------------------------------------------- runs


def test_a_run_writes_its_configuration_first_and_a_row_for_everything(clips, tiny, tmp_path, monkeypatch):
    detector = Brightness()
    names = use(monkeypatch, detector)
    written = []
    original = runs.Work.__call__

    def spying(work, task, progress):
        written.append((tmp_path / "out" / "config.json").exists() and (tmp_path / "out" / "environment.json").exists())
        return original(work, task, progress)

    monkeypatch.setattr(runs.Work, "__call__", spying)
    outcome = runs.run(tiny, names, tmp_path / "out", {"set": clips})
    assert all(written) and outcome.rows == 24 and not outcome.failed
    rows = list(read_rows(tmp_path / "out" / "readings.jsonl"))
    assert len(rows) == 24 and {r["degradation"] for r in rows} == {"none", "resize-scale0.5+h264-crf35"}
    assert all(r["protocol"] == "video@4f-even" for r in rows)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["identity"]["suite"]["sha256"] == tiny.sha256 and len(config["identity"]["data"]["sha256"]) == 64
    document = report.document(Scores(tmp_path / "out"), Figures(resamples=100))
    figure = document.detectors[0].figures[0]
    assert figure.name == "auc/video@4f-even" and figure.refused, "six of a class are refused, not reported"
    assert document.comparable and {e.slice for e in document.slices["degradation"]} == set(
        config["identity"]["degradations"]
    ) - {"resize:scale=0.5|h264:crf=35"} | {"resize-scale0.5+h264-crf35"}


def test_evenly_spaced_means_the_whole_clip(clips, tiny, tmp_path, monkeypatch):
    """DeepfakeBench's "evenly spaced" sampling takes the first N frames."""
    detector = Brightness()
    runs.run(tiny, use(monkeypatch, detector), tmp_path / "out", {"set": clips}, Measure(limit=2))
    times = detector.seen[0].times
    assert times[0] < 0.25 and times[-1] > 0.7 and len(times) == 4


def test_interrupted_runs_resume_and_measure_nothing_twice(clips, tiny, tmp_path, monkeypatch):
    detector = Brightness()
    names = use(monkeypatch, detector)

    class Stop(Exception):
        pass

    class Stopping:
        total = done = 0

        def begin(self, total):
            self.total = total

        def count(self, n):
            self.done += n
            if self.done >= 8:
                raise Stop

    watching = Stopping()

    with pytest.raises(Stop):
        runs.run(tiny, names, tmp_path / "out", {"set": clips}, progress=watching)
    assert watching.total == 24
    assert not (tmp_path / "out" / "complete.json").exists()
    with open(tmp_path / "out" / "readings.jsonl", "a") as file:
        file.write('{"id": "torn')  # kill -9 in the middle of a line
    halfway = report.document(Scores(tmp_path / "out"), Figures(resamples=100))
    assert not halfway.comparable and "not there yet" in halfway.not_comparable
    before = detector.calls
    runs.run(tiny, names, tmp_path / "out", {"set": clips})
    assert detector.calls == 24 and before == 8
    keys = [(r["id"], r["degradation"]) for r in read_rows(tmp_path / "out" / "readings.jsonl")]
    assert len(keys) == len(set(keys)) == 24
    runs.run(tiny, names, tmp_path / "out", {"set": clips})
    assert detector.calls == 24, "a finished run does nothing when run again"


def test_another_run_in_the_same_folder_is_refused(clips, tiny, tmp_path, monkeypatch):
    names = use(monkeypatch, Brightness(), Brightness("other"))
    out, others = tmp_path / "out", clips.with_samples(list(clips)[6:])
    runs.run(tiny, names[:1], out, {"set": clips.with_samples(list(clips)[:6])})
    other = replace(tiny, degradations=("none",))
    for suite, given, index, why in (
        (tiny, names[1:], clips, "detectors"),
        (tiny, names, others, "data"),
        (other, names, clips, "degradations"),
    ):
        with pytest.raises(UsageError, match=f"its {why} differ"):
            runs.run(suite, given, out, {"set": index})
    (out / "config.json").write_text("{")
    with pytest.raises(UsageError, match="damaged"):
        runs.run(tiny, names, out, {"set": clips})
    runs.run(tiny, names, out, {"set": clips}, Measure(limit=4, force=True))
    assert len(list(read_rows(out / "readings.jsonl"))) == 16


def test_a_corrected_label_a_new_clip_and_a_new_detector_keep_what_was_measured(clips, tiny, tmp_path, monkeypatch):
    first, second = Brightness(), Brightness("other")
    names = use(monkeypatch, first, second)
    out, some = tmp_path / "out", list(clips)[:8]
    runs.run(tiny, names[:1], out, {"set": clips.with_samples(some)})
    corrected = [replace(some[1], label=Label.REAL, generator=""), *some[2:]]
    done = runs.run(tiny, names[:1], out, {"set": clips.with_samples(corrected)})
    assert first.calls == 16 and done.rows == 14
    found = report.document(Scores(out), Figures(resamples=100))
    assert found.comparable and (found.data.real, found.data.fake) == (4, 3)
    listing = json.loads((out / "config.json").read_text())["identity"]["data"]["sha256"]
    assert listing in found.card["List of samples"]
    runs.run(tiny, names, out, {"set": clips})
    assert (first.calls, second.calls) == (24, 24), "what is new is measured, and nothing twice"


def test_a_new_version_of_a_detector_is_another_run(clips, tiny, tmp_path, monkeypatch):
    names = use(monkeypatch, Brightness())
    runs.run(tiny, names, tmp_path / "out", {"set": clips}, Measure(limit=2))
    use(monkeypatch, Brightness(version="2"))
    with pytest.raises(UsageError):
        runs.run(tiny, names, tmp_path / "out", {"set": clips}, Measure(limit=2))


def test_limit_is_stamped_as_not_comparable(clips, tiny, tmp_path, monkeypatch):
    runs.run(tiny, use(monkeypatch, Brightness()), tmp_path / "out", {"set": clips}, Measure(limit=4))
    document = report.document(Scores(tmp_path / "out"), Figures(resamples=100))
    assert not document.comparable and "4 of 12" in document.first_line
    assert document.data.real == document.data.fake == 2
    assert "Not comparable" in report.render(document, "html")


def test_shards_add_up_to_the_whole(clips, tiny, tmp_path, monkeypatch):
    names = use(monkeypatch, Brightness())
    runs.run(tiny, names, tmp_path / "out", {"set": clips}, Measure(shard=(1, 3)))
    partial = report.document(Scores(tmp_path / "out"), Figures(resamples=100))
    assert not partial.comparable
    for i in (2, 3):
        runs.run(tiny, names, tmp_path / "out", {"set": clips}, Measure(shard=(i, 3)))
    assert sorted(p.name for p in (tmp_path / "out").glob("readings*")) == [
        f"readings-{i}-of-3.jsonl" for i in (1, 2, 3)
    ]
    whole = report.document(Scores(tmp_path / "out"), Figures(resamples=100))
    assert whole.comparable and whole.detectors[0].statuses.scored == 24


def test_a_file_that_does_not_load_is_a_failure_of_that_row_not_another_item(clips, tiny, tmp_path, monkeypatch):
    """DeepfakeBench silently replaces a file that fails to load by item 0."""
    broken = clips.samples[3]
    clips.resolve(broken).write_bytes(b"not a video at all")
    detector = Brightness()
    outcome = runs.run(tiny, use(monkeypatch, detector), tmp_path / "out", {"set": clips})
    assert outcome.failed == 2 and detector.calls == 22
    rows = [r for r in read_rows(tmp_path / "out" / "readings.jsonl") if r.get("error")]
    assert {r["id"] for r in rows} == {broken.sha256} and all("cannot be read" in r["error"] for r in rows)
    entry = report.document(Scores(tmp_path / "out"), Figures(resamples=100)).detectors[0]
    assert entry.statuses.failed == 2 and entry.coverage == pytest.approx(11 / 12)


def test_a_detector_that_fails_now_and_then_is_counted_and_can_be_retried(clips, tiny, tmp_path, monkeypatch):
    detector = Brightness(fail=5)
    names = use(monkeypatch, detector)
    assert runs.run(tiny, names, tmp_path / "out", {"set": clips}).failed == 1
    document = report.document(Scores(tmp_path / "out"), Figures(resamples=100))
    assert document.detectors[0].statuses.failed == 1
    assert "out of paint" in document.detectors[0].statuses.reasons[0].reason
    runs.run(tiny, names, tmp_path / "out", {"set": clips})
    assert detector.calls == 24, "a failure is not measured again unless asked"
    assert runs.run(tiny, names, tmp_path / "out", {"set": clips}, Measure(retry=True)).failed == 0
    assert report.document(Scores(tmp_path / "out"), Figures(resamples=100)).detectors[0].statuses.failed == 0


def test_a_detector_sees_no_path_and_no_label(clips, tiny, tmp_path, monkeypatch):
    detector = Brightness()
    runs.run(tiny, use(monkeypatch, detector), tmp_path / "out", {"set": clips}, Measure(limit=2))
    shown = repr(detector.seen[0].facts) + detector.seen[0].protocol
    assert "mp4" not in shown.replace("mov,mp4,m4a,3gp,3g2,mj2", "") and "fake" not in shown and "glow" not in shown


def test_scores_from_a_table_say_nothing_of_degraded_clips(clips, tiny, tmp_path):
    path = tmp_path / "theirs.csv"
    path.write_text("sha256,score\n" + "".join(f"{s.sha256},{i}\n" for i, s in enumerate(clips.samples[:11])))
    outcome = runs.run(tiny, [f"scores:{path}"], tmp_path / "out", {"set": clips})
    rows = list(read_rows(tmp_path / "out" / "readings.jsonl"))
    assert sum("score" in r for r in rows) == 11 and outcome.abstained == 13
    assert not any("score" in r for r in rows if r["degradation"] != "none")


@pytest.fixture
def service(served):
    """Somebody else's service: answers with the mean of the frames it was sent."""
    from http.server import BaseHTTPRequestHandler

    from detect.external import wire

    class Judge(BaseHTTPRequestHandler):
        def do_POST(self):
            clip = wire.unpack(self.rfile.read(int(self.headers["content-length"])))
            body = json.dumps({"score": float(clip.frames.mean())}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return served(Judge) + "/judge"


def brightness_onnx(path):
    """A network whose logit is the mean of the face's pixels."""
    import onnx
    from onnx import TensorProto, helper

    mean = helper.make_node("ReduceMean", ["x"], ["y"], axes=[1, 2, 3], keepdims=0)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 16, 16])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])
    graph = helper.make_graph([mean], "judge", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    path.with_suffix(".toml").write_text('id = "theirs"\nsize = 16\ncrop = "square"\n')


def test_one_run_takes_detectors_of_every_kind(clips, tiny, tmp_path, monkeypatch, service):
    """Ours, an ONNX file, a service, a program and a table of scores, side by side on the same clips."""
    import sys

    from gioconda_core.faces import observe
    from gioconda_core.faces.align import FACE_SHAPE
    from gioconda_core.types import FaceTrack

    def face(frames, **_):
        times = [time for time, _ in frames]
        points = np.asarray(FACE_SHAPE, np.float32)
        points = (points - points.min(0)) / np.ptp(points, axis=0).max() * 40 + 4
        many = np.repeat(points[None], len(times), 0)
        boxes = np.concatenate([many.min(1), many.max(1)], 1)
        return (FaceTrack(0, np.array(times), boxes, many, np.ones(len(times), np.float32)),)

    monkeypatch.setattr(observe, "track", face)
    clips = clips.with_samples(list(clips)[::3])  # real and fake; a program is started for each clip
    program, network, table = tmp_path / "judge.py", tmp_path / "theirs.onnx", tmp_path / "theirs.csv"
    program.write_text(
        "import json, sys\nfrom detect.external import wire\n"
        "print(json.dumps({'score': float(wire.unpack(sys.stdin.buffer.read()).frames.mean())}))\n"
    )
    brightness_onnx(network)
    table.write_text("sha256,score\n" + "".join(f"{s.sha256},{i % 2}\n" for i, s in enumerate(clips.samples)))
    specs = [
        "contrast",
        f"onnx:{network}",
        f"http:{service}",
        f"command:{sys.executable} {program}",
        f"table=scores:{table}",
    ]
    outcome = runs.run(tiny, specs, tmp_path / "out", {"set": clips})
    assert not outcome.failed
    scored = Counter(r["detector"] for r in read_rows(tmp_path / "out" / "readings.jsonl") if "score" in r)
    scored.pop("contrast", None)  # a second of film may or may not be enough for it; a table knows no degraded clip
    assert scored == {"theirs": 8, "http": 8, "command": 8, "table": 4}
    named = {row.name for row in report.document(Scores(tmp_path / "out"), Figures(resamples=100)).detectors}
    assert named == {*scored, "contrast"}


def test_two_detectors_of_one_name_are_refused(clips, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "detectors_of", lambda specs: {s: Brightness() for s in specs})
    with pytest.raises(UsageError, match="both call themselves"):
        runs.run(tiny, ["a", "b"], tmp_path / "out", {"set": clips})


def test_the_same_file_twice_is_measured_once_and_told(clips, tiny, tmp_path, monkeypatch):
    doubled = clips.with_samples([*clips.samples, clips.samples[0]])
    detector = Brightness()
    runs.run(tiny, use(monkeypatch, detector), tmp_path / "out", {"set": doubled})
    assert detector.calls == 24
    document = report.document(Scores(tmp_path / "out"), Figures(resamples=100))
    assert any(p.kind == "same-bytes" for p in document.problems)


def test_a_detector_measured_on_what_it_learned_from_is_told_first(clips, tiny, tmp_path, monkeypatch):
    detector = Brightness()
    detector.card = Card("brightness", clips=tuple(s.sha256[:12] for s in list(clips)[:5]))
    runs.run(tiny, use(monkeypatch, detector), tmp_path / "out", {"set": clips})
    line = report.document(Scores(tmp_path / "out"), Figures(resamples=100)).first_line
    assert line.startswith("brightness learned from clips of this set") and "(5 of 12)" in line


def test_frame_figures_are_named_as_such(clips, tiny, tmp_path, monkeypatch):
    runs.run(tiny, use(monkeypatch, Brightness()), tmp_path / "out", {"set": clips})
    document = report.document(Scores(tmp_path / "out"), Figures(resamples=100))
    names = [f.name for f in document.detectors[0].figures]
    assert names == ["auc/video@4f-even", "auc/frame@4f-even"]
    frame = document.detectors[0].figures[1]
    assert (
        frame.n_real == 24 and frame.clusters == 6 and frame.value == 1.0 and "needs at least 10" in frame.no_interval
    )


def test_levels_that_flip_after_sharing_are_counted(tmp_path):
    from benchmarks.report.reshare import stability

    rows = []
    for i in range(40):
        for d, level in (("none", "no-strong-signal"), ("social", "signal" if i < 8 else "no-strong-signal")):
            row = {
                "id": f"c{i}",
                "label": i % 2,
                "detector": "d",
                "degradation": d,
                "level": level,
                "score": 0.1,
                "identity": f"p{i}",
            }
            if d == "social" and i == 39:
                row = {k: v for k, v in row.items() if k != "score"} | {
                    "abstained": "too small",
                    "level": "not-assessed",
                }
            rows.append(row)
    found = stability(table_of(rows), resamples=200)
    assert len(found) == 1 and found[0].flipped == pytest.approx(9 / 40)
    assert (found[0].up, found[0].lost) == (8 / 40, 1 / 40) and found[0].low < 9 / 40 < found[0].high


def test_unreadable_media_errors_are_gioconda_errors(tmp_path):
    (tmp_path / "x.mp4").write_bytes(b"")
    with pytest.raises(MediaError):
        degrade.apply(tmp_path / "x.mp4", degrade.parse("h264:crf=30"), folder=tmp_path)


def test_suites_are_listed_from_the_command_line(capsys):
    from gioconda.cli import main

    assert main(["bench", "list"]) == 0
    out = capsys.readouterr().out
    assert "puppets" in out and "leave-one-generator-out" in out
    assert main(["bench", "run", "nonsense", "-d", "x", "--out", "y"]) == 2
