"""Detectors: one file each, one preparation for all of them, and the machinery that trains, calibrates and explains them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detect.base import Abstain, Card, Detector
    from detect.reading.guard import failed, run
    from detect.reading.observe import observe
    from detect.registry import load, names

__all__ = ["Abstain", "Card", "Detector", "failed", "load", "names", "observe", "run"]

_HOME = {
    "Abstain": "detect.base",
    "Card": "detect.base",
    "Detector": "detect.base",
    "failed": "detect.reading.guard",
    "load": "detect.registry",
    "names": "detect.registry",
    "observe": "detect.reading.observe",
    "run": "detect.reading.guard",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'detect' has no attribute {name!r}")
