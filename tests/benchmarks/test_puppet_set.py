"""The embedded set: from seeds alone, the same bytes again, and nothing but the picture tells real from fake."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.run import puppet_set
from benchmarks.run.puppet_set import Puppets
from gioconda_core.media.clip import Clip
from gioconda_core.types import Label, ProvenanceState
from provenance.reading.read import read

DATA = {
    "kind": "puppets",
    "identities": 2,
    "takes": 1,
    "frames": 8,
    "size": 96,
    "seed": "7",
    "generators": ["warp", "face-swap"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return puppet_set.build(Puppets.of(DATA), tmp_path_factory.mktemp("one"))


def test_labels_say_how_each_clip_was_made(made):
    assert len(made) == Puppets.of(DATA).clips == 6
    assert {(str(s.label), s.generator) for s in made} == {("real", ""), ("fake", "warp"), ("fake", "face-swap")}
    by_source = {s.source: {t.generator for t in made if t.source == s.source} for s in made}
    assert all(found == {"", "warp", "face-swap"} for found in by_source.values()), (
        "fakes share the source of their real clip"
    )
    assert len({s.sha256 for s in made}) == 6 and made.card["licence"] == "CC0-1.0"
    assert all(s.extra.get("donor", s.identity) != "" for s in made if s.generator == "face-swap")


def test_the_container_does_not_tell_real_from_fake(made):
    facts = []
    for sample in made:
        with Clip.open(made.resolve(sample)) as clip:
            f = clip.facts
            facts.append((f.codec, f.width, f.height, f.fps, f.frame_count, f.pix_fmt, f.encoder, f.profile))
    assert len(set(facts)) == 1


def test_every_clip_has_its_credential_beside_it(made):
    takes = {s.sha256 for s in made if s.label == Label.REAL}
    for sample in made:
        found = read(made.resolve(sample))
        assert found.state == ProvenanceState.VALID and found.label["label"] == str(sample.label)
        sources = set(found.label.get("source_sha256", ()))
        assert len(sources) == {"": 0, "warp": 1, "face-swap": 2}[sample.generator] and sources <= takes


def test_fakes_differ_from_their_real_clip_where_the_face_is(made):
    pictures = {}
    for sample in made:
        with Clip.open(made.resolve(sample)) as clip:
            pictures[(sample.source, sample.generator)] = clip.sample("all")[0].astype(float)
    for (source, generator), frames in pictures.items():
        if generator:
            gap = np.abs(frames - pictures[(source, "")]).mean(axis=(0, 3))
            assert gap[30:60, 35:60].mean() > 2 * gap[:8].mean() + 1


def test_the_same_seeds_give_the_same_bytes_and_the_cache_is_used(made, tmp_path, monkeypatch):
    again = puppet_set.build(Puppets.of(DATA), tmp_path)
    assert [s.sha256 for s in again] == [s.sha256 for s in made]
    monkeypatch.setattr(puppet_set, "_Making", lambda *a: pytest.fail("made again"))
    assert [s.sha256 for s in puppet_set.build(Puppets.of(DATA), tmp_path)] == [s.sha256 for s in made]
    assert made.samples[0].label in (Label.REAL, Label.FAKE)


@pytest.mark.parametrize(
    ("limit", "clips"), [(1, 4), (2, 4), (3, 6), (8, 8), (40, 40), (41, 44), (96, 96), (None, 96), (1000, 96)]
)
def test_a_limited_run_makes_hardly_more_clips_than_it_measures(limit, clips):
    data = {"identities": 12, "takes": 2, "generators": ["warp", "face-swap", "few-shot"]}
    wanted = Puppets.of(data).part(limit)
    assert wanted.clips == clips and wanted.identities >= 2
    assert set(wanted.generators) <= set(data["generators"]) and (clips < 96 or wanted.data == data)


def test_one_clip_from_the_command_line_waits_for_four(tmp_path, monkeypatch, capsys):
    from gioconda.cli import main

    monkeypatch.setenv("GIOCONDA_CACHE", str(tmp_path / "cache"))
    suite = tmp_path / "small.toml"
    suite.write_text(
        'name = "small"\nversion = "1"\n[data]\nkind = "puppets"\nidentities = 3\ntakes = 2\nframes = 8\nsize = 96\nseed = "7"\n'
        'generators = ["warp", "face-swap"]\n[protocol]\nresamples = 50\n'
    )
    main(["bench", "run", str(suite), "-d", "contrast", "--limit", "1", "--jobs", "1", "--out", str(tmp_path / "run")])
    assert "1 reading in" in capsys.readouterr().out
    assert len(list((tmp_path / "cache").rglob("*.mp4"))) == 4
    assert json.loads((tmp_path / "run" / "config.json").read_text())["samples_in_set"] == 18, (
        "the report says: 1 of 18"
    )
