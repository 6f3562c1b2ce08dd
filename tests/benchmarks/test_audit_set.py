"""The audit of labelled sets and the shortcut probes: planted leaks and shortcuts are found, clean sets are not accused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from score_table import table_of

from benchmarks import audit_set
from benchmarks.report import results
from benchmarks.report.options import Figures
from benchmarks.report.words import first_line
from benchmarks.run.options import AuditSet
from benchmarks.stats import probes
from gioconda_core.datasets.index import Index
from gioconda_core.files import sha256_of
from gioconda_core.media.clip import write_video
from gioconda_core.types import Label, Sample


def facts(**more):
    return {
        "container": "mp4",
        "codec": "h264",
        "width": 640,
        "height": 360,
        "fps": "25",
        "duration": 4.0,
        "encoder": "",
        **more,
    }


def rows(n=120, seed=0, plant=None):
    """Features of n clips of n/6 people; ``plant(label, rng)`` changes one clip's."""
    rng = np.random.default_rng(seed)
    out, labels, people = [], [], []
    for i in range(n):
        label = i % 2
        row = {
            "metadata": facts(bit_rate=int(rng.integers(5e5, 2e6))),
            "background": rng.normal(size=20).tolist(),
            "blur": rng.normal(size=9).tolist(),
            "spectrum": rng.normal(size=12).tolist(),
            "identity": rng.normal(size=16).tolist(),
        }
        if plant:
            plant(row, label, rng)
        out.append(row)
        labels.append(label)
        people.append(f"p{i // 6}")
    return out, np.array(labels), people


def test_a_clean_set_is_not_accused():
    found = probes.run_probes(*rows(), [""] * 120, resamples=100)
    assert not any(p.solved for p in found)
    assert all(0.3 < p.value < 0.7 for p in found)


@pytest.mark.parametrize(
    ("probe", "plant"),
    [
        ("metadata", lambda row, label, rng: row["metadata"].update(encoder="Lavf61" if label else "HandBrake")),
        (
            "metadata",
            lambda row, label, rng: row["metadata"].update(bit_rate=int(rng.integers(5e5, 9e5)) + 400_000 * label),
        ),
        ("background", lambda row, label, rng: row.update(background=(rng.normal(size=20) + 1.2 * label).tolist())),
        ("blur", lambda row, label, rng: row.update(blur=(rng.normal(size=9) - 1.5 * label).tolist())),
        ("spectrum", lambda row, label, rng: row.update(spectrum=(rng.normal(size=12) + 1.5 * label).tolist())),
    ],
)
def test_a_planted_shortcut_is_found_by_its_own_probe_only(probe, plant):
    found = {p.probe: p for p in probes.run_probes(*rows(plant=plant), [""] * 120, resamples=100)}
    assert found[probe].solved and (found[probe].low or found[probe].value) > 0.7  # no interval of a perfect probe
    assert [p for p in found if found[p].solved] == [probe]


def test_identity_alone_does_not_solve_a_set_across_identities():
    """A probe that could see the same person on both sides would reach 1.0 here: labels are per person."""
    rng = np.random.default_rng(0)
    person = rng.normal(size=(40, 16))
    clips = [
        {"metadata": facts(), "identity": (person[i // 6] + rng.normal(size=16) * 0.01).tolist()} for i in range(240)
    ]
    labels = np.array([(i // 6) % 2 for i in range(240)])
    found = {
        p.probe: p
        for p in probes.run_probes(clips, labels, [f"p{i // 6}" for i in range(240)], [""] * 240, resamples=100)
    }
    assert found["identity"].value < 0.8 and not found["identity"].solved


def test_the_single_field_that_tells_is_named():
    def plant(row, label, rng):
        row["metadata"]["width"] = 641 if label else 640

    found = {p.probe: p for p in probes.run_probes(*rows(plant=plant), [""] * 120, resamples=100)}
    assert "width" in found["metadata"].tell


def test_too_few_clips_refuse_a_probe():
    found = probes.run_probes(*(part[:12] for part in rows()), [""] * 12, resamples=100)
    assert all(p.value is None and "10" in p.reason for p in found)


def test_a_solved_set_says_so_on_the_first_line():
    rng = np.random.default_rng(0)
    scores = [
        {"id": f"c{i}", "label": i % 2, "detector": "d", "score": rng.normal() + i % 2, "identity": f"p{i // 4}"}
        for i in range(80)
    ]
    solved = probes.run_probes(
        *rows(plant=lambda r, y, g: r["metadata"].update(fps="30" if y else "25")), [""] * 120, resamples=100
    )
    document = results.build(table_of(scores), Figures(("auc",), resamples=100))
    document = replace(document, probes=tuple(solved))
    document = replace(document, first_line=first_line(document))
    assert document.first_line.startswith("A shortcut solves this set") and "Container metadata" in document.first_line


@pytest.fixture
def set_with_trouble(tmp_path, monkeypatch):
    """Clips of noise with a shared person, a near-duplicate, a doubled file and an encoder that tells."""
    monkeypatch.setenv("GIOCONDA_CACHE", str(tmp_path / "cache"))
    from gioconda_core.faces import observe

    monkeypatch.setattr(observe, "track", lambda *a, **k: ())
    monkeypatch.setattr(
        observe, "_resolve", lambda name: type("Mark", (), {"name": "none", "version": "0", "glance": lambda *_: 0.0})()
    )
    samples = []
    for i in range(24):
        rng = np.random.default_rng(7 if i == 23 else i)  # the last is the eighth again
        picture = np.kron(rng.integers(0, 255, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        path = tmp_path / f"c{i}.mp4"
        fake = i % 2 == 1
        write_video(path, [picture] * 6, fps=12 if fake else 10, crf=12 if i == 23 else 10)
        split = "test" if i >= 16 else "train"
        person = "p3" if i == 20 else f"p{i // 2}"
        samples.append(
            Sample(
                path.name,
                sha256_of(path),
                Label.FAKE if fake else Label.REAL,
                "glow" if fake else "",
                person,
                split=split,
            )
        )
    samples.append(replace(samples[0], label=Label.FAKE))
    return Index(tuple(samples), tmp_path, {})


def test_planted_leaks_doubles_and_tells_are_found(set_with_trouble):
    document = audit_set.audit(set_with_trouble, AuditSet(resamples=100))
    kinds = {(f.kind, f.axis) for f in document.findings}
    assert {
        ("leak", "identity"),
        ("leak", "phash"),
        ("label", "sha256"),
        ("tell", "encoder"),
        ("shortcut", "metadata"),
    } <= kinds
    tell = next(f for f in document.findings if f.kind == "tell")
    assert any(t.field == "fps" for t in tell.tells)
    assert "shortcut" in document.first_line
    assert any("source" in told for told in document.not_checked)
    text = audit_set.to_text(document)
    assert "p3" in text and "c7.mp4" in text


def test_a_list_without_hashes_is_hashed_and_one_without_real_clips_is_told(set_with_trouble, capsys):
    where = set_with_trouble.root
    (where / "again.mp4").write_bytes((where / "c1.mp4").read_bytes())
    rows = "c0.mp4,fake", "c1.mp4,fake", "again.mp4,fake", "c0.mp4,unknown"
    (where / "list.csv").write_text("\n".join(("path,label", *rows)))
    document = audit_set.audit(Index.read(where / "list.csv"), AuditSet(resamples=100))
    assert {(f.kind, f.axis, f.count) for f in document.findings} == {
        ("label", "label", 0), ("label", "sha256", 1), ("duplicate", "sha256", 1), ("label", "label", 1)
    }  # fmt: skip
    assert "no clip is labelled real" in document.first_line and "hashed" not in audit_set.to_text(document)


def test_unreadable_clips_are_listed_not_dropped(set_with_trouble):
    set_with_trouble.resolve(set_with_trouble.samples[2]).write_bytes(b"nothing")
    document = audit_set.audit(set_with_trouble, AuditSet(resamples=100))
    assert document.unread_count == 1 and document.unread[0].path == "c2.mp4"
    assert "Not read: 1" in audit_set.to_text(document)


def test_audit_exit_codes(set_with_trouble, tmp_path, capsys):
    from gioconda.cli import main

    set_with_trouble.write(tmp_path / "index.parquet", {})
    where = str(tmp_path / "index.parquet")
    assert main(["bench", "audit", where, "--no-probes", "-q"]) == 0
    assert main(["bench", "audit", where, "--no-probes", "-q", "--fail-on", "leak"]) == 3
    assert main(["bench", "audit", where, "--no-probes", "-q", "--fail-on", "luck"]) == 2
    assert "people are on both sides" in capsys.readouterr().out


def test_each_shortcut_that_solves_a_set_has_a_sentence_of_its_own():
    found = {"Sharpness": 0.99, "The power spectrum": 1.0}
    solved = [probes.Probe(title, title, value, solved=True) for title, value in found.items()]
    assert probes.warning(solved).endswith(
        "fakes: Sharpness alone reaches AUC 0.99. The power spectrum alone reaches AUC 1.00."
    )
    assert not probes.warning([])
