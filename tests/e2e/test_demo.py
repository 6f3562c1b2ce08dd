"""The demo tells its story from what it computed, goes on where it was interrupted, and never eats a folder that is not its own."""

import json
import re

import pytest

from gioconda import demo
from gioconda_core.errors import UsageError
from provenance.reading.read import read


@pytest.fixture
def story(monkeypatch):
    """Two chapters that note when they run; the page is the telling's JSON."""
    ran = []

    def chapter(name, fails=()):
        def run(stage):
            ran.append(name)
            if name in fails and ran.count(name) == 1:
                raise KeyboardInterrupt
            return {"saw": sorted(stage.chapters)}

        return run

    def page(folder, told, scale):
        (folder / "index.html").write_text(json.dumps(told))
        return folder / "index.html"

    monkeypatch.setattr(
        demo, "CHAPTERS", {"one": ("One", chapter("one")), "two": ("Two", chapter("two", fails=("two",)))}
    )
    monkeypatch.setattr(demo, "_page", page)
    return ran


def test_interrupted_it_goes_on_with_the_chapter_it_was_in(story, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        demo.run(tmp_path / "d", say=lambda text: None)
    page = demo.run(tmp_path / "d", say=lambda text: None)
    assert story == ["one", "two", "two"]
    assert json.loads(page.read_text())["two"]["saw"] == ["one"]


def test_a_finished_demo_is_kept_unless_force_is_given(story, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        demo.run(tmp_path / "d", say=lambda text: None)
    demo.run(tmp_path / "d", say=lambda text: None)
    with pytest.raises(UsageError, match="finished"):
        demo.run(tmp_path / "d", say=lambda text: None)
    demo.run(tmp_path / "d", force=True, say=lambda text: None)
    assert story == ["one", "two", "two", "one", "two"]


def test_a_folder_that_is_no_demo_is_never_touched(story, tmp_path):
    (tmp_path / "precious.txt").write_text("x")
    for force in (False, True):
        with pytest.raises(UsageError, match="no demo"):
            demo.run(tmp_path, force=force, say=lambda text: None)
    assert (tmp_path / "precious.txt").read_text() == "x"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_story_in_small(tmp_path):
    scale = demo.Scale(
        people=4, takes=1, frames=10, train_steps=4, tune_steps=2, shots=2,
        portraits=("astronaut",), drivers=("puppets:540/2",), seconds=1.0,
    )  # fmt: skip
    page = demo.run(tmp_path / "d", scale=scale, say=lambda text: None)
    text = page.read_text()
    # Backwards: what can be said of a clip, how it was made, how well such clips are told, how the network learns, your own clip.
    places = [text.index(f'id="{name}"') for name in ("check", "portraits", "benchmark", "training", "own")]
    assert places == sorted(places)
    assert text.count("data:image/") >= 4 and not re.search(r"(src|href)=.https?://", text)
    assert text.count('src="data:video/mp4') == 1 and "media-src data:" in text and len(text) < 3_000_000 * 4 / 3
    for film in (tmp_path / "d" / "films").iterdir():  # generated faces leave with their label, here too
        assert read(film).label is not None
    told = {p.name: json.loads(p.read_text()) for p in page.parent.glob("chapter-*.json")}
    states = {row["name"]: row["state"] for row in told["chapter-7.json"]["reports"]}
    assert states == {"portrait": "trusted", "fake": "trusted", "control": "trusted", "tampered": "invalid"}
    assert (
        "signed with a development key" in text and "<td>no-strong-signal" not in text and "VGG19 and VGGFace" in text
    )
    # Two people on either side of the split: four controls, four of themselves, and four across.
    assert told["chapter-4.json"]["labels"] == {"fake": 8, "real": 4}
    # Four people cannot carry an AUC with an interval: the figure is refused, not made up.
    assert all("needs at least" in row["value"] for row in told["chapter-6.json"]["board"])
