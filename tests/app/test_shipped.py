"""What ships beside the code: weights with cards that describe them, within the promised sizes."""

import json
from pathlib import Path

from detect import registry
from gioconda_core.files import sha256_of
from synth.model import networks

ROOT = Path(__file__).resolve().parents[2]


def test_the_generator_is_the_one_its_card_describes():
    weights = networks.shipped()
    card = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    model = networks.load_checkpoint(weights)
    assert model.sha256 == card["sha256"] == sha256_of(weights)
    for key in ("summary", "trained_on", "command", "steps", "evaluated", "limits", "licence", "date"):
        assert card[key], key
    for row in card["evaluated"]:
        assert row["n"] >= 1 and row["low"] <= row["value"] <= row["high"], row


def test_every_shipped_detector_has_card_calibration_and_golden_scores():
    names = registry.shipped()
    assert names
    for name in names:
        folder = registry.WEIGHTS / name
        assert {p.name for p in folder.iterdir()} >= {"card.json", "calibration.json", "golden.json"}
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        for row in card["evaluated"]:
            assert row["low"] <= row["value"] <= row["high"] and row["persons"] >= 1


def test_sizes_are_as_promised():
    def megabytes(folder: Path) -> float:
        return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 2**20

    assert megabytes(ROOT / "synth" / "weights") <= 40
    assert megabytes(ROOT / "detect" / "weights") <= 12
