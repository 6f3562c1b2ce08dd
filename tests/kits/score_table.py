"""Tables of scores from rows as dictionaries, as tests write them down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.stats.table import ScoreRow, Table


def table_of(rows: Iterable[Mapping[str, Any]]) -> Table:
    return Table.of_rows(ScoreRow(**row) for row in rows)
