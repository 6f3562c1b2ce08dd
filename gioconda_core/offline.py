"""Switches off the telemetry of libraries (onnxruntime, Ray, the model hub, OpenVINO) before any is imported, for child processes too.

Imported by the package itself, so that nothing of ours can import a library first. What a variable already says stays: whoever
sets one has decided.

>>> import os
>>> os.environ["ORT_DISABLE_TELEMETRY"]
'1'
"""

import contextlib
import os
import sys
from collections.abc import Iterator

_OURS = "YES"  # by which our own HF_HUB_OFFLINE is told from the "1" that a user sets

SWITCHES = {
    # onnxruntime's Linux wheels write a device id under the user's cache and upload events from the second start on.
    "ORT_DISABLE_TELEMETRY": "1",
    # Ray sends statistics of use, and asks about it on a terminal.
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_PROMPT_ENABLED": "0",
    # The hub's client, which timm imports: telemetry, a look for a newer version, and any request that nobody asked for.
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_OFFLINE": _OURS,
    # Whatever a plugin brings along and that heeds the common sign.
    "DO_NOT_TRACK": "1",
}


def switch_off() -> None:
    """Set what is not set yet, and keep OpenVINO from its telemetry, which has no variable: it makes do with a stub without it."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # what import takes for "not installed"


@contextlib.contextmanager
def hub_allowed() -> Iterator[None]:
    """For a download that the user named (``hub:NAME``): the hub may be asked, unless the user has forbidden it (HF_HUB_OFFLINE=1)."""
    if os.environ.get("HF_HUB_OFFLINE") != _OURS:
        yield
        return
    from huggingface_hub import constants

    constants.HF_HUB_OFFLINE = False
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = True
