"""Consent: what a file allows, what it refuses, and a log in which changed rows show."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from gioconda_core import config
from gioconda_core.errors import UsageError
from gioconda_core.files import sha256_of
from synth import consent

GOOD = """schema = "gioconda.consent/1"
[[person]]
who = "Lisa"
scope = ["reenact"]
licence = "CC-BY-4.0"
"""


def write(path, text):
    path.write_text(text)
    return path


def test_none_is_refused_and_words_are_taken():
    with pytest.raises(UsageError, match="need consent"):
        consent.require(None, "reenact")
    assert consent.require("public-domain", "reenact").id == "public-domain"
    assert consent.require("embedded", "fakes").licence == "CC0-1.0"


def test_a_file_is_known_by_its_hash(tmp_path):
    file = write(tmp_path / "c.toml", GOOD)
    found = consent.require(file, "reenact")
    assert found.id == sha256_of(file) and found.licence == "CC-BY-4.0" and found.people[0].who == "Lisa"


def test_scope_date_and_files_are_held_to(tmp_path):
    file = write(tmp_path / "c.toml", GOOD + "until = 2026-03-01\n" + f'files = ["{"a" * 64}"]\n')
    day = dt.date(2026, 3, 1)
    assert consent.require(file, "reenact", ["a" * 64], today=day)
    with pytest.raises(UsageError, match="covers 'fakes'"):
        consent.require(file, "fakes", today=day)
    with pytest.raises(UsageError, match="Lisa has ended"):
        consent.require(file, "reenact", today=dt.date(2026, 3, 2))
    with pytest.raises(UsageError, match="other files"):
        consent.require(file, "reenact", ["b" * 64], today=day)
    with pytest.raises(UsageError, match="do not say which they were made from"):
        consent.require(file, "reenact", [""], today=day)
    assert consent.require(write(tmp_path / "any.toml", GOOD), "reenact", [""])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("not toml [", "not TOML"),
        (GOOD.replace("consent/1", "consent/9"), "schema"),
        ('schema = "gioconda.consent/1"\n', r"no \[\[person\]\]"),
        (GOOD.replace('who = "Lisa"', 'who = " "'), "'who'"),
        (GOOD.replace('"reenact"', '"everything"'), "scope"),
        (GOOD.replace('licence = "CC-BY-4.0"', ""), "'licence'"),
        (GOOD + 'until = "some day"', "not a date"),
        (GOOD + 'files = ["short"]', "sha256"),
    ],
)
def test_a_bad_file_says_what_is_wrong(tmp_path, text, what):
    with pytest.raises(UsageError, match=what):
        consent.read(write(tmp_path / "c.toml", text))


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(UsageError, match="consent new"):
        consent.read(tmp_path / "none.toml")


def test_the_template_is_a_valid_file_whatever_the_name(tmp_path):
    source = write(tmp_path / "lisa.jpg", "pixels")
    consent.template(
        tmp_path / "c.toml", 'L. "Mona" Gherardini\n[[person]]', ["reenact", "fakes"], "CC0-1.0", [str(source)]
    )
    found = consent.require(tmp_path / "c.toml", "fakes", [sha256_of(source)])
    assert len(found.people) == 1 and found.people[0].who.startswith('L. "Mona"')


def row(number):
    """Another row; where the log lies."""
    consent.Consent("embedded").log("reenact", "warp", [str(number)], sources=["a"], drivers=["b"])
    return config.home() / "synth-log.jsonl"


def test_the_log_only_grows_and_changes_show():
    for number in range(4):
        log = row(number)
    found = consent.check_log()
    assert [r.outputs for r in found.rows] == [("0",), ("1",), ("2",), ("3",)] and found.broken == ()
    lines = log.read_text().splitlines()
    changed = json.loads(lines[1]) | {"consent": "public-domain"}
    log.write_text("\n".join([lines[0], json.dumps(changed), *lines[2:]]) + "\n")
    assert consent.check_log().broken == (2,)
    log.write_text("\n".join([lines[0], *lines[2:]]) + "\n")  # a row removed
    assert consent.check_log().broken == (1,)
    bare = {name: value for name, value in changed.items() if name != "generator"}
    log.write_text(json.dumps(bare) + "\n")  # a row that lacks what every row has
    assert consent.check_log().rows[0].generator == ""
    for other, sources in (("5", ()), ('{"sources": 5, "outputs": "abc"}', ()), ('{"sources": ["a", 7]}', ("a", "7"))):
        log.write_text(f"{other}\n")
        told = consent.check_log().rows[0]
        assert (told.sources, told.outputs, told.time) == (sources, (), ""), other
    log.write_text("5\n")
    assert consent.check_log().broken == (0,)


def test_a_torn_row_harms_nothing_that_follows():
    log = row(0)
    with open(log, "a") as file:
        file.write('{"time": "torn')
    row(1)
    found = consent.check_log()
    assert [r.outputs for r in found.rows] == [("0",), ("1",)] and found.broken == ()
