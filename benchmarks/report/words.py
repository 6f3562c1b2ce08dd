"""How a report says what a comparison shows, the same in text and on the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.stats.compare import Finding

__all__ = ["read_as", "small"]


def small(p: float) -> str:
    """A p-value to three digits, never as zero."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def read_as(x: Mapping[str, Any]) -> str:
    """What a comparison shows, in words; what it leaves open is never called equal."""
    match x["finding"]:
        case Finding.A_BETTER:
            return f"{x['a']} is better"
        case Finding.B_BETTER:
            return f"{x['b']} is better"
        case Finding.REFUSED:
            return f"not compared: {x['reason']}"
    return "left open" if x["low"] is not None else f"left open: {x['reason']}"
