"""Thousands of damaged tables, lists, claims and configurations through the commands that read them: a result or one clear line, never exit 1.

Clips and pictures are mutated in ``tests/core/test_media_slow.py``, credentials in ``tests/provenance/test_provenance_slow.py``.
"""

import os
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gioconda.cli import main
from gioconda_core.datasets.index import Index
from gioconda_core.types import Label, Sample

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

EACH = int(os.environ.get("GIOCONDA_MUTATIONS", "250"))

TEXTS = {
    "set.csv": "path,label,identity,split\na.png,real,p1,train\nb.png,fake,p2,test\n",
    "scores.csv": "id,label,score,generator\n"
    + "".join(f"{i},{'fake' if i % 2 else 'real'},{i / 40},g{i % 3}\n" for i in range(40)),
    "table.csv": "path,score\na.png,0.5\nb.png,0.1\n",
    "claim.toml": 'title = "t"\nintent = "create"\n[[actions]]\naction = "c2pa.created"\nsource_type = "digitalCapture"\n',
    "consent.toml": "",
    "baseline.toml": '[[accept]]\npath = "tree/*.png"\nfault = "error"\nreason = "known"\nuntil = 2030-01-01\n',
    "suite.toml": 'name = "x"\nversion = "1"\n[data]\nkind = "index"\n[protocol]\nresamples = 50\ndegradations = ["none", "h264-crf32"]\n',
    "gioconda.toml": '[core]\ndevice = "cpu"\n',
    "verdicts.jsonl": '{"path": "a.mp4", "state": "valid", "codes": [], "sdk": "1"}\n{"path": "b.mp4", "state": "absent", "codes": [], "sdk": "1"}\n',
    "list.txt": "tree/a.png\ntree/b.png\n",
}
# The file that is mutated → the command that reads it.
COMMANDS = {
    "set.csv": "data verify set.csv",
    "set.parquet": "data verify set.parquet",
    "scores.csv": "bench report scores.csv --no-sign --resamples 20",
    "table.csv": "check tree/a.png --detectors scores:table.csv",
    "claim.toml": "provenance sign tree/a.png --out signed.png --claim claim.toml --force",
    "consent.toml": "synth consent check consent.toml",
    "baseline.toml": "audit tree/a.png --out out --detectors none --baseline baseline.toml -j 1",
    "suite.toml": "bench run suite.toml -d scores:none.csv --index none.parquet --out run",
    "gioconda.toml": "config",
    "verdicts.jsonl": "provenance drift verdicts.jsonl verdicts.jsonl",
    "list.txt": "audit --from-file list.txt --exclude /* --out out2 --detectors none -j 1",
}
SLOW = {"baseline.toml": 8, "list.txt": 8, "table.csv": 3, "scores.csv": 2}  # how many times fewer


def mutated(data, dice):
    """Flipped, overwritten, removed and repeated bytes, lines, numbers and endings."""
    data = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 4, 12])):
        at = dice.randrange(len(data)) if data else 0
        match dice.randrange(9):
            case 0:
                data[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                del data[at : at + dice.choice([1, 3, 20])]
            case 2:
                data[at:at] = dice.choice(
                    [b"\0", b"\xff\xfe", b'"', b"'", b"\r", b"\n", b",", b"=", b"[", b"]", b"\\", b"\xe2\x80\xae"]
                )
            case 3:
                data[at:at] = data[at : at + dice.choice([8, 64])]
            case 4:
                data[at : at + 1] = dice.choice(
                    [b"inf", b"nan", b"-1", b"1e999", b"99999999999999999999", b"0", b"true", b"1979-05-27"]
                )
            case 5:
                data = bytearray(data.replace(b"\n", b"\r", dice.randrange(3)))
            case 6:
                data = data[: dice.randrange(len(data) + 1)]
            case 7:
                data[at:at] = b"a" * dice.choice([300, 70_000, 132_000])
            case 8:
                data = bytearray(
                    bytes(data).decode("utf-8", "replace").encode(dice.choice(["utf-16", "utf-8-sig", "utf-16-be"]))
                )
    return bytes(data)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    from gioconda_core.files import write_text
    from synth.consent import template

    monkeypatch.chdir(tmp_path)
    Path("tree").mkdir()
    for i, name in enumerate(("a", "b")):
        Image.fromarray(np.full((16, 16, 3), 90 * i, np.uint8)).save(f"tree/{name}.png")
    for name, text in TEXTS.items():
        write_text(name, text)
    Path("consent.toml").unlink()
    template(Path("consent.toml"), "P", ["fakes"], "CC0-1.0", ["tree/a.png"])
    Index((Sample("tree/a.png", "0" * 64, Label.REAL, identity="p"),), tmp_path, {}).write("set.parquet")
    return tmp_path


@pytest.mark.parametrize("name", COMMANDS)
def test_no_damaged_input_ends_in_a_bug_of_ours(name, folder, capfd):
    original, dice = Path(name).read_bytes(), random.Random(name)
    assert main([*COMMANDS[name].split(), "-q"]) in (0, 2, 3, 4)
    codes = {}
    for number in range(max(1, EACH // SLOW.get(name, 1))):
        data = mutated(original, dice)
        Path(name).write_bytes(data)
        code = main([*COMMANDS[name].split(), "-q"])
        said = capfd.readouterr()
        assert code in (0, 2, 3, 4), (number, data[:300], said.err[-600:])
        assert "Traceback" not in said.err and "internal error" not in said.err, (number, data[:300], said.err[-600:])
        if code in (2, 4) and name not in ("set.csv", "set.parquet", "list.txt", "table.csv", "gioconda.toml"):
            assert said.err.count("\n") <= 2, (number, said.err)
        codes[code] = codes.get(code, 0) + 1
    assert sum(codes.values()) >= EACH // 8
