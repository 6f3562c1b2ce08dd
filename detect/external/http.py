"""Somebody else's detector as a service: a ZIP of the footage by POST, one JSON document back (the format is in ``detect.external.wire``).

The one detector that sends pictures out of this computer, to the address it was given and nowhere else: redirects are
not followed, proxies and credentials of the environment are not used.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from detect.base import Card, abstaining
from detect.external import wire
from gioconda_core.errors import UsageError
from gioconda_core.types import Footage, Reading

__all__ = ["HttpDetector"]

LIMIT = 16 << 20  # bytes of an answer


class HttpDetector:
    """A service asked once a clip.

    Parameters
    ----------
    target : str
        Its address, http or https.
    token_env : str
        Name of an environment variable whose value is sent as a bearer token.
    timeout : float
        Seconds without a byte before it is given up on.
    """

    def __init__(
        self, target: str, name: str = "http", version: str = "0", token_env: str = "", timeout: float = 120.0
    ) -> None:
        parts = urlsplit(target)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError("is not an http or https address", where=f"detector http:{target}")
        self.address, self.token_env, self.timeout = target, token_env, float(timeout)
        self.id, self.version = name, version
        self.weights_sha256: str | None = None
        self.card = Card(
            summary=f"somebody else's service at {parts.hostname}, asked once a clip",
            limits=(
                "The sampled frames leave this computer.",
                "What it was trained on and how often it is wrong is unknown here.",
            ),
            network=True,
        )

    @abstaining
    def read(self, footage: Footage) -> Reading:
        import os

        import httpx

        headers = {"content-type": "application/zip", "accept": "application/json"}
        if self.token_env:
            if self.token_env not in os.environ:
                raise RuntimeError(f"the environment variable {self.token_env} is not set")
            headers["authorization"] = f"Bearer {os.environ[self.token_env]}"
        with (
            httpx.Client(timeout=self.timeout, trust_env=False, follow_redirects=False) as client,
            client.stream("POST", self.address, content=wire.pack(footage), headers=headers) as response,
        ):
            if response.status_code != 200:
                raise RuntimeError(f"the service answered with status {response.status_code}")
            body = bytearray()
            for piece in response.iter_bytes():
                body += piece
                if len(body) > LIMIT:
                    raise ValueError("the answer is larger than 16 MiB")
        import json

        return wire.reading(json.loads(bytes(body)), self, footage)
