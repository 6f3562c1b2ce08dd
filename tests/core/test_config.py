"""Variables beat the file beat defaults, and every refusal names its origin."""

from pathlib import Path

import pytest

from gioconda_core import config
from gioconda_core.errors import UsageError


@pytest.fixture
def toml(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "gioconda.toml").write_text(text)

    return write


def test_precedence_and_origins(toml, monkeypatch):
    toml('[core]\ndevice = "cpu"\nlandmarker = "dlib"\n')
    monkeypatch.setenv("GIOCONDA_DEVICE", "cuda:1")
    got = config.resolve()
    assert (got.value.device, got.value.landmarker) == ("cuda:1", "dlib")
    assert got.origins["device"] == "GIOCONDA_DEVICE" and got.origins["landmarker"].endswith("gioconda.toml")
    monkeypatch.delenv("GIOCONDA_HOME", raising=False)
    assert config.resolve().origins["home"] == "default"


def test_the_file_is_found_from_a_folder_below(toml, tmp_path, monkeypatch):
    toml('[core]\nweights = "nets"\n')
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    monkeypatch.delenv("GIOCONDA_WEIGHTS", raising=False)
    assert config.resolve().value.weights == Path("nets")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('[core]\ndevise = "cpu"\n', "devise"),
        ("[core]\ndevice = 3\n", "device"),
        ("not toml", "TOML"),
        ("core = 3\n", "table"),
    ],
)
def test_what_cannot_be_meant_is_refused(toml, text, word):
    toml(text)
    with pytest.raises(UsageError, match=word):
        config.resolve()


@pytest.mark.parametrize("name", ["cache", "home", "weights"])
def test_a_relative_folder_stays_where_it_was_first_asked_for(tmp_path, monkeypatch, name):
    """A thread that loads models asks late, and may ask after the working folder has changed."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv(f"GIOCONDA_{name.upper()}", f"here-{tmp_path.name}-{name}")
    monkeypatch.chdir(tmp_path)
    first = getattr(config.core(), name)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert getattr(config.core(), name) == first == tmp_path / f"here-{tmp_path.name}-{name}"
