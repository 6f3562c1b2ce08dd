"""The score table: what a CSV may get wrong is reported and counted, never dropped; keys are the sample's own."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from score_table import table_of

from benchmarks.report import report, results
from benchmarks.report.options import Figures, Scores
from benchmarks.stats import compare
from benchmarks.stats.scores import read_scores
from benchmarks.stats.table import Column, Table
from gioconda_core.errors import UsageError
from gioconda_core.stats import delong, metrics


def write(path, rows, encoding="utf-8", header="id,label,score,identity"):
    path.write_bytes((header + "\n" + "\n".join(rows) + "\n").encode(encoding))
    return path


def problems(table):
    return {p.kind: p.count for p in table.problems}


def good_rows(n=40, seed=0):
    rng = np.random.default_rng(seed)
    return [f"c{i},{'fake' if i % 2 else 'real'},{rng.normal() + (i % 2):.4f},p{i // 4}" for i in range(n)]


def test_same_named_folders_are_not_merged():
    """DeepfakeBench keys video AUC by parent folder and merges four manipulations: 700 videos became 280."""
    rng = np.random.default_rng(0)
    rows = []
    for method in ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"):
        for i in range(14):
            rows.append({"id": f"{method}/{i:03d}_sha", "label": 1, "detector": "d", "score": rng.normal(), "generator": method, "source": f"{i:03d}"})  # fmt: skip
    rows += [
        {"id": f"real/{i:03d}_sha", "label": 0, "detector": "d", "score": 0.0, "source": f"{i:03d}"} for i in range(14)
    ]
    document = results.build(table_of(rows), Figures(("auc",), resamples=100))
    assert document.data.fake == 56
    assert document.detectors[0].figures[0].n_fake == 56
    assert {e.slice for e in document.slices["generator"]} == {
        "Deepfakes",
        "Face2Face",
        "FaceSwap",
        "NeuralTextures",
    }


def test_duplicates_are_counted_once_or_failed_where_they_disagree(tmp_path):
    rows = good_rows()
    table = read_scores(Scores(write(tmp_path / "s.csv", [*rows, rows[3], "c4,real,99.0,p1"])))
    assert problems(table)["duplicate"] == 1
    assert problems(table)["duplicate-conflict"] == 1
    assert len(table) == 40
    column = table.detectors["s"]
    at = list(table.ids).index("c4")
    assert column.status[at] == "failed" and np.isnan(column.scores[at])


def test_conflicting_labels_leave_the_sample_out_and_say_so(tmp_path):
    table = read_scores(Scores(write(tmp_path / "s.csv", [*good_rows(), "c0,fake,0.5,p0"])))
    assert problems(table)["label-conflict"] == 1
    assert table.labels[list(table.ids).index("c0")] == -1


def test_missing_labels_and_scores_that_are_not_numbers_are_counted(tmp_path):
    rows = [
        *good_rows(),
        "x1,,0.3,p1",
        "x2,maybe,0.3,p1",
        "x3,real,nan,p1",
        "x4,fake,inf,p1",
        "x5,real,,p1",
        "x6,fake,high,p1",
    ]
    table = read_scores(Scores(write(tmp_path / "s.csv", rows)))
    found = problems(table)
    assert found["unlabelled"] == 2 and found["label-unread"] == 1 and found["nan"] == 3
    column = table.detectors["s"]
    assert (column.status == "failed").sum() == 3 and (column.status == "abstained").sum() == 1
    document = results.build(table, Figures(("auc",), resamples=100))
    entry = document.detectors[0]
    assert entry.coverage == pytest.approx(40 / 44)
    assert entry.statuses.failed == 3
    assert entry.figures[0].n_real + entry.figures[0].n_fake == 40
    assert any(p.kind == "nan" for p in document.problems)


def test_constant_scores_are_reported(tmp_path):
    rows = [f"c{i},{i % 2},0.5,p{i // 4}" for i in range(40)]
    document = report.document(Scores(write(tmp_path / "s.csv", rows)), Figures(resamples=100, metrics=["auc"]))
    assert any(p.kind == "constant" for p in document.problems)
    assert document.detectors[0].figures[0].value == 0.5


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_other_encodings_are_read_and_told(tmp_path, encoding):
    header = "id,label,score,identity,langue"
    rows = [row + ",français" for row in good_rows()]
    table = read_scores(Scores(write(tmp_path / "s.csv", rows, encoding, header)))
    assert set(table.columns["langue"]) == {"français"}
    assert ("encoding" in problems(table)) == (encoding == "cp1252")


def test_semicolons_with_decimal_commas(tmp_path):
    rows = [row.replace(",", ";").replace(".", ",") for row in good_rows()]
    table = read_scores(Scores(write(tmp_path / "s.csv", rows, header="id;label;score;identity")))
    plain = read_scores(Scores(write(tmp_path / "t.csv", good_rows())))
    np.testing.assert_array_equal(table.detectors["s"].scores, plain.detectors["t"].scores)


@pytest.mark.parametrize("header", ["id,score", "label,score", "id,label,points", "id,label,score,label"])
def test_missing_or_doubled_columns_are_usage_errors(tmp_path, header):
    with pytest.raises(UsageError, match=r"missing|twice"):
        read_scores(Scores(write(tmp_path / "s.csv", ["a,real,0.1,b"], header=header)))


def test_ragged_lines_and_lines_without_id_are_counted(tmp_path):
    table = read_scores(Scores(write(tmp_path / "s.csv", [*good_rows(), ",real,0.1,p1", "z,real"])))
    assert problems(table)["no-id"] == 1 and problems(table)["ragged"] == 1
    assert "z" in table.ids


def test_an_empty_file_is_a_usage_error(tmp_path):
    (tmp_path / "s.csv").write_text("id,label,score\n")
    with pytest.raises(UsageError):
        read_scores(Scores(tmp_path / "s.csv"))


def test_several_detectors_side_by_side_or_one_below_another(tmp_path):
    wide = read_scores(
        Scores(write(tmp_path / "w.csv", ["a,real,0.1,0.3", "b,fake,0.2,"], header="id,label,score:one,score:two"))
    )
    long = read_scores(
        Scores(
            write(
                tmp_path / "l.csv",
                ["a,real,0.1,one", "a,real,0.3,two", "b,fake,0.2,one"],
                header="id,label,score,detector",
            )
        )
    )
    assert list(wide.detectors) == list(long.detectors) == ["one", "two"]
    assert wide.detectors["two"].status[1] == "abstained"
    assert long.detectors["two"].status[1] == "missing"


def test_probabilities_outside_zero_and_one_are_refused(tmp_path):
    path = write(tmp_path / "s.csv", good_rows())
    with pytest.raises(UsageError, match="probabilit"):
        report.document(Scores(path, probabilities=True), Figures(resamples=100))


def two_detectors(n=400, seed=0, gap=0.8):
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        label, person = i % 2, i // 10
        shared = rng.normal()
        for name, strength in (("strong", 1.0 + gap), ("weak", 1.0), ("twin", 1.0)):
            score = label * strength + shared + 0.3 * rng.normal()
            rows.append({"id": f"c{i}", "label": label, "detector": name, "score": score, "identity": f"p{person}"})
    return table_of(rows)


def test_paired_comparison_sees_what_separate_intervals_hide():
    table = two_detectors(gap=0.35)
    found = compare.compare(table, [("strong", "weak"), ("weak", "twin")], ["auc"], resamples=500)
    assert found[0].p_corrected < 0.05 and found[0].low > 0
    assert found[1].p_corrected > 0.05
    figures = {d.name: d.figures[0] for d in results.build(table, Figures(("auc",), resamples=500)).detectors}
    assert figures["strong"].low < figures["weak"].high, "their own intervals overlap"


def test_holm_correction():
    assert compare.holm([0.01, None, 0.04, 0.03]) == [
        pytest.approx(0.03),
        None,
        pytest.approx(0.06),
        pytest.approx(0.06),
    ]


def test_samples_only_one_detector_scored_are_told_not_used():
    rows = [
        {"id": f"c{i}", "label": i % 2, "detector": d, "score": float(i % 7), "identity": f"p{i // 5}"}
        for i in range(100)
        for d in ("a", "b")
        if not (d == "b" and i < 3)
    ]
    found = compare.compare(table_of(rows), [("a", "b")], ["auc"], resamples=100)[0]
    assert (found.only_a, found.only_b) == (3, 0) and found.n_real + found.n_fake == 97


def of_protocols(*names):
    rng = np.random.default_rng(0)
    return table_of(
        {"id": f"c{i}", "label": i % 2, "detector": d, "score": rng.normal() + i % 2, "protocol": p}
        for i in range(80)
        for d, p in zip("abcde", names, strict=False)
    )


def test_how_a_black_box_samples_is_a_note_and_the_unit_must_match():
    """Five vendors of one run, one protocol each: all pairs are listed; images are not compared with videos."""
    table = of_protocols("video@32f-even", "video@8f-even", "video@theirs", "video@32f-even+theirs", "image@given")
    board = compare.leaderboard(table, list("abcde"))
    assert len(board.pairs) == 10 and len(board.differences) == 4
    refused = [d for d in board.pairs if d.finding == "refused"]
    assert {frozenset((d.a, d.b)) for d in refused} == {frozenset((x, "e")) for x in "abcd"}
    assert all("by image" in d.reason for d in refused)
    noted = next(d for d in board.pairs if (d.a, d.b) == ("a", "b"))
    assert noted.difference is not None and "video@8f-even" in noted.note


def test_a_detector_without_scores_is_never_called_undecided():
    rows = [
        {"id": f"c{i}", "label": i % 2, "detector": d, "score": None if d == "mute" else float(i % 9) + 5 * (i % 2)}
        for i in range(80)
        for d in ("one", "two", "mute")
    ]
    document = results.build(table_of(rows), Figures(("auc",), resamples=100))
    assert "not compared with mute" in document.first_line
    assert "leave open whether it is better than" in document.first_line, "equal scores are not called equal"
    assert next(d for d in document.detectors if d.name == "mute").rank is None
    shown = report.to_text(document)
    assert "mute scored no labelled clip" in shown and "no difference" not in shown and "distinguish" not in shown


def simulated(strengths, clips, seed=0, people=10):
    """Scores of detectors of known strength: what clips and people share is shared, the rest is each detector's own.

    strengths : how far apart each holds real and fake, in deviations. people : clips of each person.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(clips) % 2
    person = np.arange(clips) // people
    shared = rng.normal(size=clips) * 0.7
    detectors = {}
    for i, strength in enumerate(strengths):
        by_person = 0.5 * rng.normal(size=person.max() + 1)[person]
        scores = labels * strength + shared + by_person + 0.7 * rng.normal(size=clips)
        detectors[f"d{i:02d}"] = Column(scores, np.full(clips, "scored"), np.full(clips, "", dtype=object))
    blank = {"source": "", "generator": "", "degradation": "none"}
    columns = {"identity": person.astype(str), **{name: np.full(clips, value) for name, value in blank.items()}}
    return Table(np.arange(clips).astype(str), labels.astype(np.int8), columns, detectors)


def test_significance_does_not_run_out_over_many_pairs():
    """A bootstrap p cannot fall below 1/2,001: Holm over 190 pairs never showed a thing. Differences of 0.1 are shown here."""
    strengths = [1.0] * 10 + [0.6] * 10
    table = simulated(strengths, 2000)
    order = [f"d{i:02d}" for i in range(20)]
    board = compare.leaderboard(table, order)
    shown = {(d.a, d.b) for d in board.pairs if d.finding == "a-better"}
    true = {(a, b) for a in order[:10] for b in order[10:]}
    assert len(board.pairs) == 190 and shown == true, "every difference there is, and none that is not"
    assert sum(d.finding == "a-better" for d in board.differences) == 10
    assert all(s.low <= 10 and s.high <= 10 for s in board.standings[:10])
    assert all(s.low >= 11 for s in board.standings[10:])


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("gap", "least", "sets"), [(0.0, None, 120), (0.3, 0.95, 60)])
def test_errors_and_power_of_twenty_detectors_on_two_thousand_clips(gap, least, sets):
    """Over simulated sets: the leader is called better than its equals in at most 5 % of them, and real gaps are shown."""
    order = [f"d{i:02d}" for i in range(20)]
    wrong, found, named = [], [], []
    for seed in range(sets):
        table = simulated([1.0 + gap] + [1.0] * 19, 2000, seed)
        values = {n: delong.auc_shares(table.labels, table.detectors[n].scores).auc for n in order}
        ranked = sorted(order, key=lambda n: -values[n])
        board = compare.leaderboard(table, ranked)
        better = [{"a-better": d.a, "b-better": d.b}[d.finding] for d in board.pairs if d.finding.endswith("better")]
        wrong.append(any(name != "d00" or not gap for name in better))
        found.append(better.count("d00") / 19)
        named.append(board.standings[ranked.index("d00")].low == 1)
    assert np.mean(wrong) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / sets)
    assert np.mean(named) >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / sets), "the rank of the best is said rightly"
    assert least is None or np.mean(found) >= least


def test_naming_one_beforehand_asks_fewer_questions():
    table = simulated([0.9] * 6, 600, seed=2)
    order = [f"d{i:02d}" for i in range(6)]
    named = compare.leaderboard(table, order, against="d03")
    open_ = compare.leaderboard(table, order)
    assert named.first == "d03" and {d.asked for d in named.differences} == {5}
    assert {d.asked for d in open_.differences} == {15}
    with pytest.raises(UsageError, match="no scores"):
        compare.leaderboard(table, order, against="nobody")


@pytest.mark.parametrize("crossed", [False, True])
def test_the_error_of_an_auc_is_that_of_resampled_people(crossed):
    """Clustered DeLong against the bootstrap over the same clusters."""
    from gioconda_core.stats import bootstrap, delong

    table = simulated([1.0, 0.7], 1000, people=20)
    axes = [np.arange(1000) // 20] + ([np.random.default_rng(1).integers(60, size=1000)] if crossed else [])
    resampler = bootstrap.Resampler(tuple(axes), 0)
    one, two = (table.detectors[n].scores for n in ("d00", "d01"))
    drawn = [
        bootstrap.distribution([metrics.parse("auc")], table.labels, s, None, resampler, 2000)["auc"]
        for s in (one, two)
    ]
    share = [delong.auc_shares(table.labels, s) for s in (one, two)]
    assert share[0].auc == pytest.approx(metrics.value(metrics.parse("auc"), table.labels, one))
    error = delong.standard_error(share[0].influence - share[1].influence, axes)
    assert error == pytest.approx(float(np.std(drawn[0] - drawn[1])), rel=0.6 if crossed else 0.1)
    assert not crossed or error < float(np.std(drawn[0] - drawn[1])), "product weights are the wider of the two"


def test_scores_that_detect_wrote_are_reported(tmp_path):
    """The columns of ``detect score``: the help promises that ``bench report`` reads them."""
    from detect.reading.observe import readings
    from detect.reading.score import row_of
    from gioconda_core.types import Footage, Reading

    class Sure:
        id, version, weights_sha256 = "sure", "1", None

        def read(self, footage):
            return Reading("sure", "1", None, 1.0, protocol=footage.protocol)

    footage = Footage(np.zeros((1, 8, 8, 3), np.uint8), np.zeros(1), Fraction(25), 0.04, (), "32f-even")
    row = {"label": "real", **row_of("c", *readings(footage, [Sure()])).columns()}
    file = tmp_path / "scores.csv"
    file.write_text(",".join(row) + "\n" + ",".join(str(v if v is not None else "") for v in row.values()) + "\n")
    table = read_scores(Scores(file))
    assert str(metrics.Protocol.parse(table.detectors["sure"].protocol)) == "video@32f-even" and not table.slices


def test_one_reason_for_every_refusal_is_said_once(tmp_path):
    file = tmp_path / "few.csv"
    file.write_text("id,label,score\na,real,0\nb,fake,1\n")
    shown = report.to_text(report.document(Scores(file), Figures(resamples=100)))
    assert shown.count("needs at least 10 real") == 1
    page = report.render(report.document(Scores(file), Figures(resamples=100)), "html")
    listed = page[page.index("Refused, and why") :]
    listed = listed[: listed.index("</ul>")]
    assert listed.count("needs at least") == 1 and listed.count("<code>") == len(metrics.DEFAULT_METRICS)


def test_the_text_says_why_clips_were_not_scored(tmp_path):
    file = write(tmp_path / "s.csv", ["a,1,,no face", "b,0,,no face", "c,1,2,"], header="id,label,score,abstained")
    assert "not scored: no face (2)" in report.to_text(report.document(Scores(file), Figures(resamples=100)))
    rows = [f"{n},1,,{why}" for n, why in enumerate(("a", "a", "b", "b", "c", "c", "d", "e"))]
    write(file, [*rows, "x,0,1,"], header="id,label,score,abstained")
    assert "not scored: a (2); b (2); c (2); others (2)" in report.to_text(report.document(Scores(file), Figures()))


def test_what_a_doubled_clip_is_told_as_is_true_of_it_and_told_once(tmp_path):
    """A clip with two labels was told as one without a label, too, and each of its rows as the same row or another failure."""
    rows = ["a,1,0.5", "a,0,0.5", "a,1,0.4", "a,1,0.3", "b,1,0.5", "b,1,0.5", "c,,0.5"]
    found = report.document(Scores(write(tmp_path / "s.csv", rows)), Figures(resamples=100))
    told = {p.kind: (p.count, p.examples) for p in found.problems}
    assert told["label-conflict"] == told["duplicate-conflict"] == (1, ("a",))
    assert (told["duplicate"], told["unlabelled"]) == ((1, ("b",)), (1, ("c",)))


@pytest.mark.parametrize(("people", "told"), [(1, "of 1 identity, score has"), (30, "of 30 identities, score has")])
def test_the_first_sentence_speaks_of_no_interval_where_there_is_none(people, told, tmp_path):
    rows = [f"c{i},{i % 2},0.5,p{i // 2 % people}" for i in range(120)]
    file = write(tmp_path / "s.csv", rows, header="id,label,score,identity")
    found = report.document(Scores(file, score=("score",)), Figures(resamples=100))
    assert told in found.first_line and "interval that holds" not in found.first_line
    assert "EER have no interval" in report.to_text(found)


def test_every_form_of_the_report(tmp_path):
    """One CSV, five forms: self-contained HTML, JSON without NaN, CSV, LaTeX, text; refusals carry their reasons."""
    import json

    rng = np.random.default_rng(1)
    header = "id,label,score:alpha,score:beta,identity,generator,degradation,language"
    rows = []
    for i in range(240):
        for deg in ("none", "h264-crf40"):
            label = i % 2
            generator = ("g1", "g<2>&")[i % 4 == 1] if label else ""
            rows.append(
                f"c{i},{label},{rng.normal() + label:.4f},{rng.normal() + label / 2:.4f},p{i // 8},{generator},{deg},{('en', 'ja')[i % 3 == 0]}"
            )
    path = write(tmp_path / "s.csv", rows, header=header)
    document = report.document(Scores(path), Figures(resamples=200))
    html = report.render(document, "html")
    assert "http://" not in html.replace("http://www.w3.org", "") and "https://" not in html and "<script" not in html
    assert "g&lt;2&gt;&amp;" in html and "g<2>" not in html
    assert html.count("<svg") >= 5 and 'role="img"' in html and 'lang="en"' in html
    assert "needs at least 3,000 reals" in html
    parsed = json.loads(report.render(document, "json"))
    assert parsed["schema"] == "gioconda.benchmark/2"
    assert "auc/video@given" in report.render(document, "csv")
    assert r"\begin{tabular}" in report.render(document, "latex")
    text = report.render(document, "text")
    assert "refused" in text and "alpha − beta" in text
    assert text.count("h264-crf40 ") == 2, "a line a detector under each degradation"
    assert {"degradation", "generator", "language"} <= set(document.slices)
    held = document.slices["degradation"][0].held
    assert held is not None and held.false_alarms <= 0.05


def test_report_and_compare_from_the_command_line(tmp_path, capsys):
    from gioconda.cli import main

    path = write(
        tmp_path / "s.csv",
        [f"{r},{d}" for r in good_rows(60) for d in ("a", "b")],
        header="id,label,score,identity,detector",
    )
    out = tmp_path / "r.html"
    assert main(["bench", "report", str(path), "-o", f"html={out}", "--resamples", "100", "-q", "--no-sign"]) == 0
    assert out.read_text().startswith("<!doctype html>")
    assert main(["bench", "report", str(path), "-o", f"html={out}", "-q"]) == 2, "never overwrites without --force"
    assert main(["bench", "compare", f"{path}:a", f"{path}:b", "--json", "--resamples", "100"]) == 0
    assert '"gioconda.comparison/1"' in capsys.readouterr().out


def test_a_signed_report_carries_credentials_and_shows_tampering(tmp_path, monkeypatch):
    import zipfile

    from provenance.reading import read

    monkeypatch.setenv("GIOCONDA_HOME", str(tmp_path / "home"))
    document = report.document(Scores(write(tmp_path / "s.csv", good_rows())), Figures(resamples=100, metrics=["auc"]))
    page = tmp_path / "report.html"
    page.write_text(report.render(document, "html"), encoding="utf-8")
    assert "report.signed.zip" in report.sign_report(page, document)[0]
    signed = tmp_path / "report.signed.zip"
    found = read.read(signed)
    assert found.state == "valid" and found.development_key and not found.says_ai
    with zipfile.ZipFile(signed) as archive:
        assert archive.read("report.html") == page.read_bytes() and "report.json" in archive.namelist()
    raw = signed.read_bytes()
    signed.write_bytes(raw.replace(b"Benchmark report", b"Benchmark rep0rt", 1))
    assert read.read(signed).state == "invalid"
    assert "not signed" in report.sign_report(page, document)[0], "never overwrites without being told"


def test_several_protocols_of_one_detector_are_named_or_called_mixed():
    def table(*names):
        return table_of(
            {"id": f"c{i}", "label": i % 2, "detector": "d", "score": float(i), "protocol": names[i % len(names)]}
            for i in range(40)
        )

    assert table("video@32f-even").detectors["d"].protocol == "video@32f-even"
    ranged = table("video@8f-at", "video@32f-at")
    assert ranged.detectors["d"].protocol == "video@8-32f-at" and not ranged.problems
    mixed = table("video@32f-even", "video@all")
    assert mixed.detectors["d"].protocol == "video@mixed" and mixed.problems[0].kind == "mixed-protocol"
    assert results.build(ranged, Figures(("auc",), resamples=100)).detectors[0].figures[0].name == "auc/video@8-32f-at"


def test_slices_a_suite_names_are_the_only_ones():
    rows = [
        {
            "id": f"c{i}",
            "label": i % 2,
            "detector": "d",
            "score": float(i % 9),
            "group": {"set": "ab"[i % 3 == 0], "hair": "cd"[i % 5 == 0]},
        }
        for i in range(90)
    ]
    assert {"set", "hair"} <= set(results.build(table_of(rows), Figures(("auc",), resamples=100)).slices)
    assert "hair" not in results.build(table_of(rows), Figures(("auc",), resamples=100), slices=["set"]).slices


def test_figures_do_not_depend_on_the_order_of_rows():
    """DeepfakeBench computes per-class accuracy on an array that was shuffled beside its labels."""
    rows = [
        {"id": f"c{i}", "label": i % 2, "detector": "d", "score": i % 2 + 0.01 * (i % 7), "identity": f"p{i % 20}"}
        for i in range(80)
    ]
    shuffled = [rows[i] for i in np.random.default_rng(0).permutation(80)]
    figures = [
        results.build(
            table_of(r),
            Figures(
                (
                    "auc",
                    "eer",
                    "tpr@fpr=0.1",
                ),
                resamples=100,
            ),
        )
        .detectors[0]
        .figures
        for r in (rows, shuffled)
    ]
    assert [f.value for f in figures[0]] == [f.value for f in figures[1]] == [1.0, 0.0, 1.0]


def test_a_suite_that_is_not_utf8_and_damaged_runs_are_one_clear_line(tmp_path, capsys):
    """Circumstances of the user's, each of which ended in "internal error"."""
    from gioconda.cli import main

    suite = tmp_path / "s.toml"
    suite.write_bytes('name = "s"\ntitle = "Prüfung"\n'.encode("latin-1"))
    assert main(["bench", "run", str(suite), "-d", "contrast", "--out", str(tmp_path / "r")]) == 2
    assert "UTF-8" in capsys.readouterr().err
    run = tmp_path / "run"
    run.mkdir()
    good = {
        "identity": {"data": {"sha256": "x"}, "limit": None, "detectors": [{"id": "d"}], "degradations": ["none"],
                     "suite": {"name": "n", "version": "1", "sha256": "x"}},
        "samples_in_set": 1, "suite": {"title": "t", "metrics": ["auc"], "slices": []}, "command": "", "cards": {},
    }  # fmt: skip
    for config, samples, environment in (
        ("[]", "", "{}"),
        ("{", "", "{}"),
        ("{}", "", "{}"),
        (json.dumps({**good, "identity": {}}), "", "{}"),
        (json.dumps(good), '{"id": "a"}\n', "{}"),
        (
            json.dumps(good),
            '{"id": "a", "label": 0, "generator": "", "identity": "", "source": "", "group": {}}\n',
            "no",
        ),
    ):
        (run / "config.json").write_text(config)
        (run / "samples.jsonl").write_text(samples)
        (run / "readings.jsonl").write_text('{"id": "a", "degradation": "none", "detector": "d", "score": 1}\n')
        (run / "environment.json").write_text(environment)
        assert main(["bench", "report", str(run)]) == 2
        told = capsys.readouterr().err
        assert "damaged" in told and "internal" not in told, config
