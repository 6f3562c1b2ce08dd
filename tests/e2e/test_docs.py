"""The generated reference is what the code says, and the site builds without a warning."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_generated_reference_is_current(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert runpy.run_path(str(ROOT / "docs" / "generate.py"))["main"]() == 0, capsys.readouterr().err


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.stem)
def test_a_page_begins_with_a_paragraph(page):
    """Before a command, a table or a heading, a stranger is told what the page is about."""
    text = page.read_text(encoding="utf-8")
    if "```{include}" in text:  # CHANGELOG, CONTRIBUTING, SECURITY and the model card lie at the root
        text = (page.parent / text.split("```{include}")[1].split()[0]).read_text(encoding="utf-8")
    title, first = text.split("\n\n", 2)[:2]
    assert (
        title.startswith("# ") and not first.startswith(("#", "|", "- ", "```", "![")) and len(first.split()) >= 12
    ), first


@pytest.mark.parametrize(
    "page",
    sorted((ROOT / "docs").glob("how/*.md")) + sorted((ROOT / "docs").glob("guide/*.md")),
    ids=lambda page: page.stem,
)
def test_a_page_to_work_by_is_short_and_says_what_to_read_next(page):
    text = page.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 120
    assert "](" in text.rpartition("\n## Where to go on\n")[2] and "\n## Where to go on\n" in text


def test_every_link_between_pages_leads_to_a_page_and_a_heading():
    """Sphinx is told to pass over links it cannot follow, since pages of the root are read on a forge as well."""
    places = [page for page in ROOT.glob("docs/**/*.md") if "_build" not in page.parts] + sorted(ROOT.glob("*.md"))
    text = {page: re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL) for page in places}
    lost = []
    for page in places:
        for target in re.findall(r"\]\(([^)\s]+)\)", text[page]):
            name, _, anchor = target.partition("#")
            there = (page.parent / name).resolve() if name else page
            heads = [
                re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-")
                for head in re.findall(r"^#+ (.+)$", text.get(there, ""), re.M)
            ]
            if ":" not in name and (not there.exists() or (anchor and there in text and anchor not in heads)):
                lost.append(f"{page.relative_to(ROOT)}: {target}")
    assert not lost


def test_the_tests_that_hold_the_page_on_security_are_there():
    there = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"`(test_\w+?)_?…?`", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert named and not [name for name in named if f"def {name}" not in there]


def test_the_readme_stays_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    cells = [cell.strip() for line in text.splitlines() if line.startswith("|") for cell in line.split("|")]
    assert max(map(len, cells)) <= 60 and len(text.split()) < 950


@pytest.mark.slow
def test_the_site_builds(tmp_path):
    """All but the pages of source code, two of three: they can hold no mistake of ours that importing the modules would not show.

    Nor does each page list every class in its margin again: that is a third of the time, and the same list on all.
    """
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html",
         "-D", "extensions=myst_parser,sphinx.ext.autodoc,sphinx.ext.napoleon", "-D", "toc_object_entries=0", "docs", tmp_path],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_the_pages_by_task_say_what_their_commands_print():
    done = subprocess.run([sys.executable, "docs/how.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for page in (ROOT / "docs" / "how").glob("*.md"):
        assert page.stem in _order()


def _order():
    import runpy

    return runpy.run_path(str(ROOT / "docs" / "how.py"))["ORDER"]
