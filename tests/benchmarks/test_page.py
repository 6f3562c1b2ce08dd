"""The report's page: what a reader needs is on it, can be read in the light, in the dark and on paper, and nothing is cut off."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.report import report
from benchmarks.report.options import Figures, Scores


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """Two detectors, eight degradations, three languages; 80 reals and 80 fakes of 20 people."""
    rng = np.random.default_rng(3)
    lines = ["id,label,score:alpha,score:beta,identity,generator,degradation,language"]
    for degradation in ("none", *(f"h264-crf{crf}" for crf in range(20, 48, 4))):
        for i in range(160):
            fake = i % 2
            cells = f"{rng.normal() + 2 * fake:.4f},{rng.normal() + fake:.4f}"
            lines.append(
                f"c{i},{fake},{cells},p{i // 8},{'made' if fake else ''},{degradation},{('en', 'ja', 'de')[i % 3]}"
            )
    path = tmp_path_factory.mktemp("page") / "our scores.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def document(scores):
    return report.document(Scores(scores), Figures(metrics=["auc", "tpr@fpr=0.01"], resamples=200, prevalence=0.02))


@pytest.fixture(scope="module")
def page(document):
    return report.render(document, "html", signed="report.signed.zip")


def table_of(page: str, caption: str) -> str:
    return next(t for t in re.findall(r"<table.*?</table>", page, re.S) if caption in t)


def test_a_threshold_does_what_the_page_says_of_it(document, scores, page):
    """Thresholds are given where the reals carry the rate, hold it on the clips, and are weighed at the user's prevalence."""
    entry = next(d for d in document.detectors if d.name == "alpha")
    assert [o.fpr for o in entry.operating] == [0.05, 0.01, 0.001]
    carried, *refused = entry.operating
    table = report.load(Scores(scores))
    clean = table.columns["degradation"] == "none"
    alarm = table.detectors["alpha"].scores[clean] >= carried.threshold
    fake = table.labels[clean] == 1
    assert alarm[~fake].mean() <= 0.05 and alarm[fake].mean() == carried.value > 0.3
    (weighed,) = carried.ppv
    assert weighed.prevalence == 0.02
    assert weighed.value == pytest.approx(0.02 * carried.value / (0.02 * carried.value + 0.98 * 0.05))
    assert all(o.refused and o.threshold is None for o in refused)
    shown = table_of(page, "An alarm is a score at or above")
    assert f"{carried.threshold:.4g}" in shown and "2 % fakes" in shown
    assert "FPR 0.001 needs at least 3,000 reals" in page


def test_a_slice_says_how_many_clips_it_rests_on(page):
    assert "80 real, 80 fake" in table_of(page, "each generator's fakes against every real")


def test_many_slices_go_down_the_page_where_paper_can_follow(page):
    """27 rungs side by side are cut off in print; a few stay side by side."""
    ladder = page[page.index("By degradation") :]
    head, *rows = re.findall(r"<tr>.*?</tr>", ladder[: ladder.index("</table>")], re.S)
    assert re.findall(r'scope="col"><span>(\w+)', head) == ["Slice", "alpha", "beta"] and len(rows) == 8
    languages = page[page.index("By language") :]
    head = re.findall(r"<tr>.*?</tr>", languages, re.S)[0]
    assert re.findall(r'scope="col"><span>(\w+)', head) == ["Detector", "de", "en", "ja"]


def test_the_page_says_how_to_make_it_again_and_where_its_credential_is(document, page, scores):
    command = "gioconda bench report 'our scores.csv' --metrics 'auc;tpr@fpr=0.01' --prevalence 0.02 --resamples 200 -o html=report.html"
    assert document.report_command == command and command.replace("'", "&#39;") in page
    assert document.card["Scores"].startswith("our scores.csv, sha256 ") and document.card["Scores"] in page
    assert "report.signed.zip" in page and "this file alone carries no credential" in page
    assert "carries no credential" not in report.render(document, "html"), "nothing is said of a copy that is not made"


def test_every_table_has_a_caption_and_every_header_a_scope(page):
    tables = re.findall(r"<table.*?</table>", page, re.S)
    assert len(tables) >= 6 and all("<caption>" in t for t in tables)
    assert all("scope=" in h for h in re.findall(r"<th\b[^>]*>", page))


def test_paper_cuts_nothing_off(page):
    printed = page[page.rindex("@media print {") :]
    assert re.search(r"\.scroll[^{]*\{ overflow:visible", printed)


def luminance(colour) -> float:
    linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in colour]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def rgb(text: str) -> np.ndarray:
    text = text.lstrip("#")
    text = "".join(c * 2 for c in text) if len(text) == 3 else text
    return np.array([int(text[i : i + 2], 16) / 255 for i in (0, 2, 4)])


@pytest.mark.parametrize("media", ["light", "dark", "print"])
def test_figures_can_be_read_on_the_deepest_shade(page, media):
    """WCAG 2.1 AA, 4.5 to 1, for everything written into a heat map's fullest cell, intervals and refusals too."""
    style = page[page.index("<style>") : page.index("</style>")]
    # What applies: the plain rules, then those of the medium, as the cascade has it.
    medium = {"dark": "@media (prefers-color-scheme: dark)", "print": "@media print"}.get(media)
    plain = re.split(r"@media", style)[0]
    ours = style[style.index(".heat {") :]
    inside = "".join(style.split(medium)[1:]) if medium else ""
    values = dict(re.findall(r"--([\w-]+):\s*(#\w+)", plain)) | dict(
        re.findall(r"--(ink|sheet|plot):\s*(#\w+)", inside)
    )
    deepest = float(re.search(r"--deepest:([.\d]+)", inside if "--deepest" in inside else ours)[1])
    shade = deepest * rgb(values["plot"]) + (1 - deepest) * rgb(values["sheet"])
    light, dark = sorted((luminance(shade), luminance(rgb(values["ink"]))), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5
    assert re.search(r"\.heat \.interval, \.heat \.refused \{ color:inherit", ours), (
        "they take the ink, not a fainter colour"
    )


def test_thumbnails_are_found_in_the_folds_of_a_run(tmp_path, document):
    from benchmarks.report.page import to_html

    folder = tmp_path / "fold-x" / "thumbs"
    folder.mkdir(parents=True)
    (folder / "c1.jpg").write_bytes(b"\xff\xd8picture")
    worst = replace(document.worst[0], id="c1@x", detector="alpha")
    assert "data:image/jpeg;base64," in to_html(replace(document, worst=(worst,)), thumbs=[folder])
    assert "data:image/jpeg;base64," not in to_html(
        replace(document, worst=(replace(worst, id="../c1"),)), thumbs=[folder]
    )


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A published matrix in small: 18 detectors by 23 generators, and one that scored nothing."""
    rng = np.random.default_rng(5)
    lines = ["id,label,generator,seconds:d00,cost:d00," + ",".join(f"score:d{i:02d}" for i in range(19))]
    for n in range(920):
        fake = n % 2
        method = (n // 2) % 23
        scores = [f"{rng.normal() + fake * (2.5 - 0.1 * i - 0.08 * method):.4f}" for i in range(18)]
        lines.append(f"c{n},{fake},{f'g{method:02d}' if fake else ''},0.2,0.004,{','.join(scores)},")
    path = tmp_path_factory.mktemp("many") / "matrix.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return report.document(Scores(path), Figures(metrics=["auc", "tpr@fpr=0.01"], resamples=100))


@pytest.mark.slow
def test_eighteen_detectors_and_twenty_three_generators_begin_with_one_row_each(many):
    shown = report.to_text(many).splitlines()
    assert shown[3].split()[:2] == ["detector", "AUC"] and shown[4].startswith("d00")
    row = shown[4]
    assert re.search(r"0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]", row) and " 200 " in row and " 0.004 " in row
    assert re.search(r"g22 0\.\d\d", row) and "cover" in shown[3] and "weakest generators" in shown[3]
    assert shown[22].startswith("d18") and "refused" in shown[22]
    matrix = next(i for i, line in enumerate(shown) if line.startswith("every pair (153 asked"))
    cells = shown[matrix + 2].split()[2:]
    assert len(cells) == 18 and cells[-1] == "?" and "+" in cells
    assert any("d18 scored no labelled clip" in line for line in shown)


def test_the_page_of_many_detectors_folds_pairs_and_keeps_within_its_width(many):
    page = report.render(many, "html")
    assert page.index("One row a detector") < page.index("What was not scored")
    folded = table_of(page, "the row's detector is better")
    assert folded.count("<tr>") == 20 and folded.count('class="self"') == 19
    dense = table_of(page, "each generator's fakes against every real")
    assert 'class="heat dense"' in dense and "interval" not in re.sub("<caption.*?</caption>", "", dense, flags=re.S)
    assert len(re.findall(r"<polyline|<path", page[page.index('id="curves"') : page.index('id="slices"')])) < 200
    assert "of the eight that rank highest" in page


def test_an_entry_names_its_weakest_generators(many):
    best = next(d for d in many.detectors if d.name == "d00")
    found = best.generators
    values = {e.slice: e.figures[0].value for e in many.slices["generator"] if e.detector == "d00"}
    assert found.weakest[0].value == min(values.values()) and found.strongest[0].value == max(values.values())
    assert found.spread == pytest.approx(max(values.values()) - min(values.values())) and found.count == 23
