"""What an editor knows of a user's three lines: mypy checks this file with the packages (`make lint`); nothing runs it."""

from pathlib import Path
from typing import assert_type

import pyarrow

import gioconda
from gioconda.audit import table
from gioconda_core.types import Level

assert_type(gioconda.check("clip.mp4", detectors="contrast"), gioconda.Report)
assert_type(gioconda.check(Path("clip.mp4"), "none").verdict.level, Level)
assert_type(gioconda.check(["a.mp4", b"bytes"]), list[gioconda.Report])
rows: pyarrow.Table = table("audit-out")
