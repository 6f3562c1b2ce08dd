"""Flags beat variables beat the file beat defaults, and every refusal names its origin."""

from dataclasses import dataclass

import pytest

from gioconda_core import config
from gioconda_core.errors import UsageError


@dataclass(frozen=True)
class Job:
    lr: float = 0.1
    steps: int = 10


@pytest.fixture
def toml(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "gioconda.toml").write_text(text)

    return write


def test_precedence_and_origins(toml, monkeypatch):
    toml("[synth.train]\nlr = 0.2\nsteps = 20\n")
    monkeypatch.setenv("GIOCONDA_SYNTH_TRAIN_LR", "0.3")
    got = config.resolve(Job, "synth.train", {"steps": 40})
    assert (got.value.lr, got.value.steps) == (0.3, 40)
    assert got.origins == {"lr": "GIOCONDA_SYNTH_TRAIN_LR", "steps": "flag"}
    assert config.resolve(Job, "synth.train").value.steps == 20
    assert config.resolve(Job, "synth.tune").origins["lr"] == "default"


def test_the_file_is_found_from_a_folder_below(toml, tmp_path, monkeypatch):
    toml("[job]\nsteps = 7\n")
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert config.resolve(Job, "job").value.steps == 7


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[job]\nstepz = 1\n", "stepz"),
        ("[job]\nsteps = 'many'\n", "steps"),
        ("not toml", "TOML"),
        ("job = 3\n", "table"),
    ],
)
def test_what_cannot_be_meant_is_refused(toml, text, word):
    toml(text)
    with pytest.raises(UsageError, match=word):
        config.resolve(Job, "job")


def test_a_bad_variable_is_named(monkeypatch):
    monkeypatch.setenv("GIOCONDA_JOB_STEPS", "x")
    with pytest.raises(UsageError, match="GIOCONDA_JOB_STEPS"):
        config.resolve(Job, "job")


def test_the_merged_job_is_saved_as_json(tmp_path):
    import json

    config.save(config.core(), tmp_path / "options.json")
    assert set(json.loads((tmp_path / "options.json").read_text())) == {
        "weights",
        "cache",
        "home",
        "landmarker",
        "device",
    }


@pytest.mark.parametrize("name", ["cache", "home", "weights"])
def test_a_relative_folder_stays_where_it_was_first_asked_for(tmp_path, monkeypatch, name):
    """A thread that loads models asks late, and may ask after the working folder has changed."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv(f"GIOCONDA_{name.upper()}", f"here-{tmp_path.name}-{name}")
    monkeypatch.chdir(tmp_path)
    first = getattr(config.core(), name)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert getattr(config.core(), name) == first == tmp_path / f"here-{tmp_path.name}-{name}"
    if name == "cache":
        from gioconda_core.faces import track_cache

        assert track_cache.folder() == first
