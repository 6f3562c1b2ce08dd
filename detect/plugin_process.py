"""What runs in a plugin detector's own process: the plugin, loaded once, and what it answers to footage."""

from __future__ import annotations

from typing import Any

from detect.base import Abstain
from detect.external import wire
from gioconda_core.documents import plain


class Loaded:
    """A plugin detector in its own process: the target of the worker that :mod:`detect.external.plugin` starts."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        from detect.registry import load

        self.detector = load(name, isolate=False, **options)
        self.about = {
            "id": self.detector.id,
            "version": self.detector.version,
            "weights_sha256": self.detector.weights_sha256,
            "card": plain(self.detector.card),
        }

    def __call__(self, task: dict[str, Any], progress: object) -> dict[str, Any]:
        try:
            return wire.answer(self.detector.read(wire.footage(task)))
        except Abstain as said:
            return {"abstain": said.reason.document()}
