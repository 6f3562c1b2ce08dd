"""Keyframes, sound, views of a still, comparisons and case folders: on puppets and on what is made of them."""

import csv as csvlib
import functools
import hashlib
import io
import json
import subprocess
import zipfile
from dataclasses import replace
from fractions import Fraction
from html import escape as html_escape
from importlib import resources

import jsonschema
import numpy as np
import pytest
from PIL import Image

from gioconda.report import as_html, as_json, as_text, view
from gioconda.report.evidence import case, compare_pages, keyframes, sound, views
from gioconda.report.evidence import compare as compare_module
from gioconda.report.evidence.compare import compare, sentences
from gioconda.report.examine import Examiner
from gioconda.report.wording import LANGUAGES, say
from gioconda_core.documents import to_json
from gioconda_core.errors import GiocondaError, UsageError
from gioconda_core.media.clip import write_image, write_video
from gioconda_core.media.pictures import jpeg
from gioconda_core.types import Evidence


@pytest.fixture(scope="module")
def take():
    """Four seconds of a puppet in a room with marks on its walls, as features have something to hold on to."""
    from synth.puppets.perform import perform

    made = perform(3, 1, frames=100, size=224)
    frames = np.pad(made.frames, ((0, 0), (0, 0), (60, 60), (0, 0)), mode="edge").copy()
    rng = np.random.default_rng(4)
    for _ in range(120):
        y, x = rng.integers(4, 216), rng.choice([*range(4, 52), *range(290, 336)])
        frames[:, y : y + 6, x : x + 6] = rng.integers(0, 255, 3)
    return frames


@pytest.fixture(scope="module")
def clip(take, tmp_path_factory):
    path = tmp_path_factory.mktemp("evidence") / "one.mp4"
    write_video(path, take, fps=Fraction(25))
    return path


def written(folder, name, frames, **options):
    write_video(folder / name, frames, fps=Fraction(25), **options)
    return folder / name


@pytest.fixture(scope="module")
def report(clip):
    """What is found in it without a detector."""
    return Examiner(()).examine(clip)


# What may be done to a clip, and what a comparison must say of it.
EDITS = {
    "encoded": (lambda f: f, {"compare.recoded", "compare.common-one"}),
    "cropped": (lambda f: f[:, 30:190, 40:300], {"compare.recoded", "compare.crop-a"}),
    "mirrored": (lambda f: f[:, :, ::-1], {"compare.mirrored"}),
    "cut": (lambda f: np.concatenate([f[:30], f[60:]]), {"compare.only-a"}),
    "trimmed": (lambda f: f[50:], {"compare.only-a"}),
    "longer": (lambda f: np.concatenate([f, f[:40, :, :, ::-1] // 2]), {"compare.only-b"}),
}


def briefly(first, second):
    """A comparison with places looked for in five frames of each clip: ten take four times as long, and say the same of one unchanging scene."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare_module, "LOOKS", 5)
        return compare(first, second)


@pytest.fixture(scope="module")
def compared(clip, take, tmp_path_factory):
    """The clip beside an edit of it, by the edit's name; each made once."""
    folder = tmp_path_factory.mktemp("edits")
    return functools.cache(
        lambda how: briefly(clip, written(folder, f"{how}.mp4", np.ascontiguousarray(EDITS[how][0](take)), crf=30))
    )


# ------------------------------------------------------------------------- keyframes


def test_each_shot_has_a_keyframe_and_none_is_there_twice(take):
    rng = np.random.default_rng(1)
    scenes = [np.kron(rng.integers(0, 255, (9, 9, 3)), np.ones((24, 36, 1))).astype(np.uint8) for _ in range(5)]
    frames = [scene[:, :, :] for scene in scenes for _ in range(6)]
    found = keyframes.find(frames, [i * 0.2 for i in range(30)])
    assert [k.shot for k in found][:5] == [0, 1, 2, 3, 4] and len({k.phash for k in found}) == 5
    puppet = keyframes.find(list(take[::4]), [i * 0.16 for i in range(25)])
    assert keyframes.LEAST <= len(puppet) <= keyframes.MOST and {k.shot for k in puppet} == {0}
    times = [k.time for k in puppet]
    assert times == sorted(times) and min(np.diff(times)) > 0.3, "spread over the clip"
    assert len(keyframes.find(list(take[:1]), [0.0])) == 1


def test_the_sharpest_frame_of_a_shot_is_taken(take):
    import cv2

    frames = [cv2.GaussianBlur(frame, (0, 0), 4) for frame in take[:12]]
    frames[7] = take[7]
    assert keyframes.find(frames, [i / 25 for i in range(12)])[0].time in (0.0, 7 / 25)
    best = max(keyframes.find(frames, [i / 25 for i in range(12)]), key=lambda k: len(k.jpeg))
    assert best.time == pytest.approx(7 / 25, abs=1e-3)


def test_the_archive_holds_full_frames_whose_hashes_are_those_of_the_report(clip, report, tmp_path):
    found = report.evidence.keyframes
    assert len(found) >= keyframes.LEAST
    body = keyframes.archive("one.mp4", report.sha256, keyframes.full(clip, found))
    assert body == keyframes.archive("one.mp4", report.sha256, keyframes.full(clip, found)), "the same bytes again"
    with zipfile.ZipFile(io.BytesIO(body)) as zipped:
        zipped.extractall(tmp_path)
    rows = list(csvlib.DictReader(io.StringIO((tmp_path / "keyframes.csv").read_text())))
    assert [r["sha256"] for r in rows] == [k.sha256 for k in found] and [r["phash"] for r in rows] == [
        k.phash for k in found
    ]
    for row in rows:
        assert hashlib.sha256((tmp_path / row["file"]).read_bytes()).hexdigest() == row["sha256"]
    assert (tmp_path / "contact-sheet.jpg").stat().st_size > 5000
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    formula = keyframes.archive("=cmd()", report.sha256, keyframes.full(clip, found[:1]))
    assert ",'=cmd()," in zipfile.ZipFile(io.BytesIO(formula)).read("keyframes.csv").decode()


@pytest.mark.usefixtures("metadata_here")
def test_on_the_command_line_keyframes_are_a_zip_and_want_a_file(clip, tmp_path, capsys):
    from gioconda.cli import main

    command = ["check", str(clip), "--detectors", "none", "-q", "-o"]
    assert main([*command, "keyframes"]) == 2 and "give it a file" in capsys.readouterr().err
    assert main([*command, f"keyframes={tmp_path / 'f.zip'}"]) == 0
    assert "keyframes.csv" in zipfile.ZipFile(tmp_path / "f.zip").namelist()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_report_with_evidence_keeps_its_schema_comes_back_and_loads_nothing_from_outside(report, lang):
    import re

    body = json.loads(as_json.dumps(report, lang))
    jsonschema.validate(body, as_json.schema())
    assert as_json.from_document(body).evidence == report.evidence
    page = as_html.html(report, lang)
    outside = re.findall(r'<(\w+)[^>]*(?:href|src)="(https?://[^"]+)"', page)
    assert outside and {tag for tag, _ in outside} == {"a"}, "links that a person may follow, and nothing else"
    assert all(k.sha256 in page and k.phash in page for k in report.evidence.keyframes)
    assert report.sha256 not in "".join(address for _, address in outside)
    assert "<script" not in page and "data-copy" not in page


# ------------------------------------------------------------------------- sound


def test_stretches_without_any_sound_are_found_where_they_were_made_and_quiet_noise_is_none():
    rng = np.random.default_rng(0)
    quiet = rng.integers(-2, 3, 8 * sound.RATE).astype(np.int16)
    assert sound.gaps(quiet) == [] and sound.gaps(quiet[:100]) == [] and sound.gaps(quiet[:0]) == []
    muted = quiet.copy()
    for start, stop in ((1.0, 1.5), (3.0, 3.1), (5.25, 6.75), (7.8, 8.0)):  # one too short, one at the end
        muted[round(start * sound.RATE) : round(stop * sound.RATE)] = 0
    assert sound.gaps(muted) == [pytest.approx((1.0, 1.5), abs=0.01), pytest.approx((5.25, 6.75), abs=0.01)]
    many = np.tile(np.r_[quiet[: sound.RATE], np.zeros(sound.RATE // 2, np.int16)], 40)
    assert len(sound.gaps(many)) == sound.MOST


def test_the_sound_of_a_file_is_read_in_a_child_and_none_is_none(clip, report, tmp_path):
    assert sound.hear(clip) is None
    assert sound.hear(tmp_path / "missing.mp4") is None
    (tmp_path / "text.mp4").write_text("no sound")
    assert sound.hear(tmp_path / "text.mp4") is None
    import wave

    with wave.open(str(tmp_path / "tone.wav"), "wb") as out:
        out.setparams((1, 2, 22_050, 0, "NONE", ""))
        out.writeframes((20_000 * np.sin(np.arange(44_100) / 5)).astype("<i2").tobytes())
    heard = sound.hear(tmp_path / "tone.wav")
    assert heard.seconds == pytest.approx(2, abs=0.05) and heard.rate == 22_050 and heard.channels == 1
    assert max(heard.peaks) == pytest.approx(20_000 / 32_768, abs=0.02) and len(heard.peaks) == sound.PARTS
    assert heard.spectrogram[:3] == b"\xff\xd8\xff"
    with wave.open(str(tmp_path / "silent.wav"), "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
        out.writeframes(b"\0\0" * 48_000)
    from PIL import Image

    silent = sound.hear(tmp_path / "silent.wav")
    assert np.asarray(Image.open(io.BytesIO(silent.spectrogram)).convert("L")).min() > 240, (
        "light where nothing is heard"
    )
    shown = replace(report, evidence=Evidence(sound=silent))
    assert [s.key for s in view.heard(shown)] == ["sound.offset-none", "sound.silent"]
    assert "read of it is silent" in as_text.text(shown) and "read of it is silent" in as_html.html(shown)


@pytest.mark.usefixtures("metadata_here")
def test_a_muted_stretch_is_drawn_and_said_and_what_is_not_looked_for_is_said_too(clip, tmp_path):
    import wave

    samples = np.random.default_rng(1).integers(-4000, 4000, 64_000).astype("<i2")
    samples[20_000:32_000] = 0
    with wave.open(str(tmp_path / "muted.wav"), "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
        out.writeframes(samples.tobytes())
    heard = sound.hear(tmp_path / "muted.wav")
    assert heard.gaps == (pytest.approx((1.25, 2.0), abs=0.01),)
    shown = replace(Examiner(()).examine(clip), evidence=Evidence(sound=heard))
    assert [s.key for s in view.heard(shown)] == ["sound.offset-none", "sound.gaps", "sound.unassessed"]
    page = as_html.html(shown)
    assert page.count('class="gap"') == 1 and "1.2 s – 2 s" in page.replace("\u00a0", " ") and "Not assessed: joins in the sound" in page  # fmt: skip
    body = json.loads(as_json.dumps(shown))
    jsonschema.validate(body, as_json.schema())
    assert as_json.from_document(body).evidence == shown.evidence


# ------------------------------------------------------------------------- views


@pytest.mark.usefixtures("metadata_here")
def test_a_still_has_three_views_and_a_pasted_part_stands_out_of_the_error_level(take, tmp_path):
    from PIL import Image

    base = np.array(Image.open(io.BytesIO(jpeg(np.kron(take[0], np.ones((2, 2, 1), np.uint8)), quality=60))))
    rng = np.random.default_rng(2)
    base[100:180, 200:280] = rng.integers(60, 200, (80, 80, 3))
    made = {view.kind: np.asarray(Image.open(io.BytesIO(view.jpeg)).convert("L"), float) for view in views.views(base)}
    assert set(made) == {"grid", "noise", "error-level"}
    for kind in ("noise", "error-level"):
        assert made[kind][110:170, 210:270].mean() > 3 * made[kind].mean(), kind
    write_image(tmp_path / "still.png", base)
    report = Examiner(()).examine(tmp_path / "still.png")
    assert [v.kind for v in report.evidence.views] == ["grid", "noise", "error-level"]
    page = as_html.html(report)
    assert "Views to look at, not verdicts" in page and len(report.evidence.keyframes) == 1
    assert views.views(base[:8, :8]) == ()


# ------------------------------------------------------------------------- two clips


def published(name, schema):
    """The schema as it is published; frozen, since what changes a field's meaning or takes one away raises its number."""
    text = (resources.files("gioconda.report.evidence") / f"{name}.schema.json").read_text("utf-8")
    assert json.loads(text) == schema, "python docs/generate.py writes it"
    return schema


def keys(found):
    return [s.key for s in sentences(found)]


@pytest.mark.parametrize(
    "how",
    [how if how in ("cut", "cropped", "mirrored") else pytest.param(how, marks=pytest.mark.slow) for how in EDITS],
)
def test_what_was_done_between_two_clips_is_said(compared, how):
    found, said = compared(how), EDITS[how][1]
    assert said <= set(keys(found)), (found.spans, found.region_a, keys(found))
    wrong = {"compare.mirrored", "compare.crop-a", "compare.only-a", "compare.only-b"} - said
    if how == "trimmed":
        assert found.matched == 50 and found.spans[0].b_end == pytest.approx(2), "no more than the other has"
    if how not in ("cut", "trimmed", "longer"):
        assert not wrong & set(keys(found)), keys(found)
        assert len(found.spans) == 1 and found.spans[0].a_end == pytest.approx(4, abs=0.15)
    if how == "cut":
        assert len(found.spans) == 2 and found.only_a[0] == pytest.approx((1.2, 2.4), abs=0.2)
        assert found.spans[0].b_end <= found.spans[1].b, "no second of either is told twice"
    if how == "cropped":
        assert found.region_a.share == pytest.approx(160 * 260 / (224 * 344), abs=0.03)


def test_a_changed_face_is_not_said_to_be_encoding_nor_the_same_picture(take, tmp_path):
    """Of a face swap beside its original it said "encoded again" and "12.4 s are in both"; of a changed photograph "the picture is the same"."""
    swapped = take.copy()
    top, left = (round(0.4 * side) for side in take.shape[1:3])
    patch = swapped[:, top : top + 40, left : left + 40]
    patch[:] = patch * 0.93
    found = briefly(written(tmp_path, "a.mp4", take), written(tmp_path, "b.mp4", swapped))
    said = [say(s) for s in sentences(found)]
    assert found.equal < found.matched and not any("are in both" in line for line in said)
    assert any("changing a part of the picture" in line for line in said), said
    for name, frame in (
        ("a.png", take[0]),
        ("b.png", swapped[0]),
        ("c.png", take[0][:, ::-1][20:, 30:]),
        ("d.bmp", take[0]),
    ):
        Image.fromarray(frame).save(tmp_path / name)
    told = {name: sentences(compare(tmp_path / "a.png", tmp_path / name)) for name in ("b.png", "c.png", "d.bmp")}
    assert next(s.key for s in told["b.png"]) == "compare.picture-alike" and "face" in say(told["b.png"][0])
    assert told["b.png"][0].args["levels"] > 0
    assert {"compare.mirrored", "compare.crop-a"} <= {s.key for s in told["c.png"]}, "a cut picture does match"
    assert next(s.key for s in told["d.bmp"]) == "compare.picture-same"
    Image.fromarray(np.rot90(take[0])).save(tmp_path / "e.png")
    assert keys(compare(tmp_path / "a.png", tmp_path / "e.png")) == ["compare.picture-nothing"], "of one on its side"
    Image.fromarray(take[40]).save(tmp_path / "f.png")
    still = briefly(tmp_path / "f.png", tmp_path / "a.mp4")
    assert keys(still)[:2] == ["compare.in-clip", "compare.picture-alike"], (
        "its clip does move, and not its first frame alone"
    )
    assert still.spans[0].b == pytest.approx(40 / 25, abs=0.05)
    assert "0–0 s" not in compare_pages.text(compare(tmp_path / "a.png", tmp_path / "b.png"))


@pytest.mark.slow
def test_the_same_file_the_same_frames_and_strangers(clip, take, tmp_path):
    import av

    assert keys(compare(clip, clip)) == ["compare.same-bytes"]
    again = tmp_path / "again.mkv"
    with av.open(str(clip)) as source, av.open(str(again), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    found = compare(clip, again)
    assert keys(found)[0] == "compare.same-frames" and found.equal == found.matched > 90
    from synth.puppets.perform import perform

    stranger = written(tmp_path, "stranger.mp4", perform(40, 2, frames=50, size=224).frames)
    assert keys(compare(clip, stranger)) == ["compare.nothing"]
    frozen = written(tmp_path, "frozen.mp4", np.repeat(take[:1], 60, 0))
    softer = written(tmp_path, "softer.mp4", np.repeat(take[:1], 40, 0), crf=35)
    assert "compare.still" in keys(compare(frozen, softer))


def test_sound_behind_a_hole_is_drawn_when_it_is_due(tmp_path):
    """Of a recording whose sound pauses for two seconds, all that follows was drawn and told two seconds early."""
    import av

    with av.open(str(tmp_path / "hole.mkv"), "w") as target:
        stream = target.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for part, start in ((1, 0), (2, 3)):  # seconds 0 to 1, and 3 to 4
            samples = np.random.default_rng(part).integers(-4000, 4000, (1, 16_000)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.rate, frame.pts = 16_000, start * 16_000
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    heard = sound.hear(tmp_path / "hole.mkv")
    assert heard.seconds == pytest.approx(4, abs=0.1) and heard.gaps == (pytest.approx((1, 3), abs=0.05),)


def test_where_not_every_frame_was_looked_at_matched_ones_may_be_neighbours(compared):
    """Of a long clip cut without encoding again it was said that encoding or a change had altered half of its frames."""
    found = compared("cut")
    long = replace(found, b=replace(found.b, facts={**found.b.facts, "duration": 600.0}))
    assert "compare.sampled" in keys(long) and "compare.sampled" not in keys(found)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_comparison_is_text_a_document_and_a_page_that_say_the_same(compared, lang):
    found = compared("cut")
    body = json.loads(to_json(compare_pages.document(found, lang)))
    jsonschema.Draft202012Validator(published("comparison", compare_pages.schema())).validate(body)
    assert compare_pages.from_document(body) == found
    page, text = compare_pages.html(found, lang).replace("\u00a0", " "), compare_pages.text(found, lang)
    for sentence in body["sentences"]:
        assert html_escape(sentence["text"]) in page
        assert "".join(sentence["text"].split()) in "".join(text.replace("· ", "").split())
    assert found.a.sha256 in page and found.b.sha256 in text and page.count("<figure") == len(found.pairs) == 4
    assert "<script" not in page and "http" not in page.split("</style>")[1]


# ------------------------------------------------------------------------- a case


@pytest.fixture
def opened(tmp_path, monkeypatch):
    monkeypatch.setenv("GIOCONDA_HOME", str(tmp_path / "home"))
    (tmp_path / "clip.bin").write_bytes(b"one")
    folder = case.new(tmp_path / "case", "Clip <from> Strasbourg", "A. Editor")
    case.add(folder, [tmp_path / "clip.bin"])
    case.note(folder, "The uploader says 12 May.", "B. Reporter")
    return folder


def test_a_case_keeps_who_when_what_and_verifies(opened):
    log = case.entries(opened)
    assert [(e.n, e.who, e.action) for e in log] == [
        (1, "A. Editor", "opened"),
        (2, "A. Editor", "added"),
        (3, "B. Reporter", "note"),
    ]
    assert log[1].detail.sha256 == hashlib.sha256(b"one").hexdigest()
    lines = (opened / "log.jsonl").read_bytes().splitlines()
    assert (
        log[2].previous == hashlib.sha256(lines[1]).hexdigest()
        and case.head(opened) == hashlib.sha256(lines[2]).hexdigest()
    )
    assert case.verify(opened) == ()
    page = case.html(opened)
    assert "Clip &lt;from&gt; Strasbourg" in page and "12 May" in page and log[1].detail.sha256 in page


def test_a_case_keeps_its_published_schema(opened):
    schema = published("case", case.schema())
    jsonschema.Draft202012Validator(schema).validate(json.loads((opened / "case.json").read_text()))
    line = jsonschema.Draft202012Validator(schema | {"$ref": "#/$defs/Entry"})
    rows = [json.loads(text) for text in (opened / "log.jsonl").read_text().splitlines()]
    for row in rows:
        line.validate(row)
    assert not line.is_valid(rows[1] | {"action": "erased"}) and not line.is_valid(rows[1] | {"detail": {"name": "x"}})


def test_two_who_add_lines_at_once_break_no_chain(opened):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: case.note(opened, f"note {i}", f"person {i % 3}"), range(40)))
    assert case.verify(opened) == () and [e.n for e in case.entries(opened)] == list(range(1, 44))


def test_an_export_that_cannot_be_written_leaves_no_line_in_the_log(opened, tmp_path):
    (tmp_path / "there.zip").write_bytes(b"")
    before = case.entries(opened)
    for target, how in (("there.zip", case.Export()), ("new.zip", case.Export(signer="key:nobody"))):
        with pytest.raises(GiocondaError):
            case.export(opened, tmp_path / target, how)
    assert case.entries(opened) == before


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (lambda c: next((c / "files").iterdir()).chmod(0o644) or next((c / "files").iterdir()).write_bytes(b"two"), "changed"),
        (lambda c: next((c / "files").iterdir()).unlink(), "missing"),
        (lambda c: (c / "files" / "extra").write_bytes(b"x"), "unlogged"),
        (lambda c: (c / "log.jsonl").write_bytes((c / "log.jsonl").read_bytes().replace(b"12 May", b"13 May") + b"\n{}"), "broken"),
        (lambda c: (c / "log.jsonl").write_bytes((c / "log.jsonl").read_bytes().replace(b"A. Editor", b"Z. Editor", 1)), "order"),
        (lambda c: (c / "log.jsonl").write_bytes(b"\n".join((c / "log.jsonl").read_bytes().splitlines()[1:])), "order"),
    ],
)  # fmt: skip
def test_what_was_done_to_a_case_behind_its_log_is_found(opened, harm, kind, tmp_path):
    harm(opened)
    assert kind in {p.kind for p in case.verify(opened)}
    with pytest.raises(UsageError, match="does not verify"):
        case.export(opened, tmp_path / "out.zip")


def test_a_case_leaves_as_a_signed_zip_with_a_page(opened, tmp_path):
    from provenance.reading import read

    target = case.export(opened, tmp_path / "case.zip")
    found = read.read(target)
    assert found.state.intact and found.manifest_count == 1
    with zipfile.ZipFile(target) as zipped:
        names = zipped.namelist()
        assert {"case.html", "case.json", "log.jsonl"} <= set(names) and any(n.startswith("files/") for n in names)
        assert b"exported" in zipped.read("log.jsonl")
    assert case.entries(opened)[-1].action == "exported" and case.verify(opened) == ()


def test_a_case_is_not_opened_over_something_nor_found_where_there_is_none(opened, tmp_path):
    with pytest.raises(UsageError, match="not empty"):
        case.new(opened, "x", "y")
    with pytest.raises(UsageError, match="no case folder"):
        case.note(tmp_path, "x")
    with pytest.raises(GiocondaError, match="no such file"):
        case.add(opened, [tmp_path / "none"])
    with pytest.raises(UsageError, match="name"):
        case.new(tmp_path / "other", " ", "y")


@pytest.mark.parametrize("size", [(20_000, 20), (20, 20_000), (3000, 1), (1, 1)])
def test_a_strip_is_a_picture_like_any_other(tmp_path, size):
    """Made small, one of its sides came to no pixel: the report of a banner ended in a bug of ours."""
    path = tmp_path / "strip.png"
    Image.effect_noise(size, 90).convert("RGB").save(path)
    found = Examiner((), sandbox=False).examine(path)
    assert not found.errors and len(found.evidence.keyframes) == 1
    Image.effect_noise(size[::-1], 90).convert("RGB").save(tmp_path / "other.png")
    assert compare(path, tmp_path / "other.png").spans is not None
