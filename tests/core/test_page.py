"""The shell of every page: one head, one policy, one way past the masthead."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import jinja2
import pytest

from gioconda_core import page

ROOT = Path(page.__file__).parents[2]
PACKAGES = ("gioconda_core", "provenance", "detect", "synth", "benchmarks", "gioconda")


def shown(**values):
    style = page.stylesheet()
    given = {"lang": "ja", "title": "<b>", "skip": "Skip", "style": page.safe(style), "body": page.safe("<h1>x</h1>")}
    given |= {"policy": page.safe(page.policy(style))}
    return page.environment().get_template("shell.html.jinja").render(**given | values)


def test_no_page_has_a_head_of_its_own():
    own = [f for name in PACKAGES for f in (ROOT / name).rglob("*.jinja") if "<head>" in f.read_text("utf-8")]
    assert [f.name for f in own] == ["shell.html.jinja"]
    sheets = [
        f
        for name in PACKAGES
        for f in (ROOT / name).rglob("*.css")
        if re.search("(?<!-)color-scheme:", f.read_text("utf-8"))
    ]
    assert [f.parent.name for f in sheets] == ["page"], "colours are declared once"


def test_a_page_says_its_language_escapes_and_can_be_entered_past_the_masthead():
    html = shown()
    assert '<html lang="ja">' in html and "<title>&lt;b&gt;</title>" in html and "<h1>x</h1>" in html
    assert '<a class="skip" href="#main">Skip</a>' in html
    assert html.index('class="skip"') < html.index('class="masthead"') < html.index('<main id="main"')
    with pytest.raises(jinja2.UndefinedError):
        page.environment().from_string("{{ nobody }}").render()


def test_the_policy_allows_the_style_sheet_that_is_in_the_page_and_no_other():
    style = re.search(r"(?s)<style>(.*?)</style>", shown()).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    for policy in (page.policy(style), page.policy(style, films=True), page.policy(style, attributes=True)):
        assert policy.startswith("default-src 'none'; img-src data:") and f"'sha256-{digest}'" in policy
        assert "script" not in policy and "form-action 'none'" in policy
    assert "unsafe" not in page.policy(style) and "media-src" not in page.policy(style)
    with_plots = page.policy(style, attributes=True)
    assert f"style-src-elem 'sha256-{digest}'" in with_plots and "style-src-attr 'unsafe-inline'" in with_plots


def test_a_number_and_its_unit_stay_on_one_line():
    template = page.environment().from_string("{{ a }}|{{ b }}")
    assert template.render(a="12.5 % of 3 s", b="3 samples") == "12.5\u00a0% of 3\u00a0s|3 samples"
