"""The process in which a plugin detector runs: it loads the plugin once and answers footage until the parent closes the pipe.

What it speaks is described in :mod:`detect.external.plugin`, which starts it.
"""

from __future__ import annotations

import json
import struct
import sys
from typing import Any, BinaryIO

from detect.base import Abstain
from detect.external import wire


def _serve(name: str, options: dict[str, Any], source: BinaryIO, sink: BinaryIO) -> None:
    """The child's loop: load once, then read footage until the parent closes the pipe."""
    from detect.registry import load

    def say(document: dict[str, Any]) -> None:
        sink.write(json.dumps(document).encode() + b"\n")
        sink.flush()

    try:
        detector = load(name, isolate=False, **options)
    except Exception as error:
        say({"error": str(error)})
        return
    say(
        {
            "id": detector.id,
            "version": detector.version,
            "weights_sha256": detector.weights_sha256,
            "card": detector.card.json(),
        }
    )
    while head := source.read(8):
        footage = wire.unpack(source.read(struct.unpack("<Q", head)[0]))
        try:
            say(wire.answer(detector.read(footage)))
        except Abstain as reason:
            say({"abstain": str(reason)})
        except Exception as error:
            say({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    import os

    # The plugin may print: its stdout becomes stderr, and the answers keep the real one to themselves.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _serve(sys.argv[1], json.loads(sys.argv[2]), sys.stdin.buffer, answers)
