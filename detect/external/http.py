"""Asks somebody else's detector that is a service: a ZIP of the footage by POST, a JSON document back (the format is in ``detect.external.wire``).

The one detector that sends pictures out of this computer, to the address it was given and nowhere else: redirects are
not followed, proxies and credentials of the environment are not used.

``http:https://…`` asks a service that needs nothing more. A commercial one is described in a file, ``http:acme.toml``::

    url = "https://api.acme.example/v2/detect?models=face,voice"
    key = "env:ACME_KEY"          # or "file:/run/secrets/acme"; never the key itself
    header = "x-api-key"          # where the key goes; authorization, as a bearer token, when not given
    score = "result.ai_score"     # where the score lies in its answer; "score" when not given
    per_second = 2                # asks a second, and at once, over all processes of a run
    at_once = 4
    attempts = 5                  # on 429, 502, 503, 504, timeouts and lost connections, waiting longer each time
    timeout = 60                  # seconds without a byte
    cost = 0.004                  # of a clip, in any currency: the report adds it up
    version = "2026-11"

A service that answers 202 with a ``location`` works in batches: that address is asked until the answer is there.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from detect.base import Card, abstaining
from detect.external import wire
from detect.external.pace import Pace
from gioconda_core import config
from gioconda_core.errors import UsageError
from gioconda_core.files import from_table, read_toml, sha256_of
from gioconda_core.types import Footage, Reading

LIMIT = 16 << 20  # bytes of an answer
LONGEST_WAIT = 60.0  # seconds between two attempts, whatever a service asks for
PATIENCE = 600.0  # seconds a batch may take
AGAIN = frozenset({429, 502, 503, 504})
SECRETS = {"key", "api_key", "apikey", "token", "access_token", "secret", "password"}


@dataclass(frozen=True)
class Vendor:
    """What is known of a service; the keys of its file."""

    url: str
    key: str = ""
    header: str = "authorization"
    score: str = "score"
    invert: bool = False  # its score is of being real
    per_second: float | None = None
    at_once: int | None = None
    attempts: int = 5
    timeout: float = 120.0
    cost: float | None = None
    version: str = "0"

    @classmethod
    def read(cls, path: Path) -> "Vendor":
        """A vendor's file.

        Raises
        ------
        UsageError
            It is no TOML, lacks the address, or holds a setting that is unknown or of the wrong kind.
        """
        document = read_toml(path)
        if "url" not in document:
            raise UsageError('needs the address: url = "https://…"', where=str(path))
        found = from_table(cls, document, str(path), "the description of a service")
        for name in ("per_second", "at_once", "attempts", "timeout"):
            value = getattr(found, name)
            if value is not None and value <= 0:
                raise UsageError(f"{name} must be above 0", where=str(path))
        return found


class _Again(Exception):
    """Asking once more may help. wait : seconds the service asked for."""

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


class HttpDetector:
    """A service asked once a clip.

    Parameters
    ----------
    target : str
        Its address, http or https, or a file that describes it (see the module's first lines).
    name : str
        The id its readings carry; the file's own name when not given.
    token_env : str
        Name of an environment variable whose value is sent as a bearer token.
    timeout : float
        Seconds without a byte before it is given up on.
    """

    def __init__(
        self, target: str, name: str = "", version: str = "0", token_env: str = "", timeout: float = 120.0
    ) -> None:
        if "://" in target:
            vendor = Vendor(
                target, key=f"env:{token_env}" if token_env else "", timeout=float(timeout), version=version
            )
            where = f"detector http:{target}"
        else:
            if not Path(target).is_file():
                raise UsageError(
                    "is neither an address nor a file",
                    where=f"detector http:{target}",
                    hint="http:https://… or http:vendor.toml",
                )
            vendor, where = Vendor.read(Path(target)), target
        parts = urlsplit(vendor.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError("is not an http or https address", where=where)
        secret = next((k for k, _ in parse_qsl(parts.query) if k.lower() in SECRETS), "")
        if parts.username or parts.password or (secret and "://" not in target):
            raise UsageError(
                "carries a key in its address, which runs write down",
                where=where.split("?")[0].split("@")[-1],
                hint='key = "env:NAME" in a vendor\'s file',
            )
        kind, _, what = vendor.key.partition(":")
        if vendor.key and (kind not in ("env", "file") or not what):
            raise UsageError(
                "key says where the key is, not what it is", where=where, hint='key = "env:NAME" or "file:PATH"'
            )
        self.vendor, self.cost = vendor, vendor.cost
        self.id, self.version = name or ("http" if "://" in target else Path(target).stem), vendor.version
        self.weights_sha256: str | None = None
        self.card = Card(
            summary=f"somebody else's service at {parts.hostname}, asked once a clip",
            limits=(
                "The sampled frames leave this computer.",
                "What it was trained on and how often it is wrong is unknown here.",
            ),
            network=True,
        )
        pace = config.core().cache / "pace" / sha256_of(vendor.url.encode())[:16]
        self._pace = Pace(pace, vendor.per_second, vendor.at_once)

    def _headers(self) -> dict[str, str]:
        """What goes along, with the key from where it lies: read for each ask, so that it may be changed, and kept nowhere."""
        headers = {"content-type": "application/zip", "accept": "application/json"}
        kind, _, what = self.vendor.key.partition(":")
        if kind == "env":
            if what not in os.environ:
                raise RuntimeError(f"the environment variable {what} is not set")
            key = os.environ[what]
        elif kind == "file":
            try:
                key = Path(what).expanduser().read_text(encoding="utf-8")
            except OSError as error:
                raise RuntimeError(f"the key's file cannot be read: {error.strerror}") from None
        else:
            return headers
        plain = self.vendor.header.lower() != "authorization"
        return headers | {self.vendor.header: key.strip() if plain else f"Bearer {key.strip()}"}

    @abstaining
    def read(self, footage: Footage) -> Reading:
        import tenacity

        body, headers = wire.pack(footage), self._headers()
        longer = tenacity.wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT)

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.wait if isinstance(error, _Again) else None
            return longer(state) if asked is None else min(asked, LONGEST_WAIT)

        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.vendor.attempts),
            wait=wait,
            retry=tenacity.retry_if_exception_type(_Again),
            reraise=True,
        )
        try:
            document = retrying(self._ask, body, headers)
        except _Again as error:
            raise RuntimeError(f"{error}, {self.vendor.attempts} times") from None
        return wire.reading(self._answer(document), self, footage)

    def _ask(self, body: bytes, headers: Mapping[str, str]) -> Any:
        import time

        import httpx

        with httpx.Client(timeout=self.vendor.timeout, trust_env=False, follow_redirects=False) as client:
            try:
                with self._pace.turn():
                    status, found, raw = self._send(client, "POST", self.vendor.url, headers, body)
                end = time.monotonic() + PATIENCE
                while status == 202:
                    place = urljoin(self.vendor.url, found.get("location", ""))
                    if not found.get("location") or urlsplit(place)[:2] != urlsplit(self.vendor.url)[:2]:
                        raise RuntimeError("the service puts the clip off without saying where its answer will be")
                    if time.monotonic() > end:
                        raise RuntimeError(f"the service's batch was not done in {PATIENCE:g} s")
                    time.sleep(min(_seconds(found.get("retry-after")) or 1.0, LONGEST_WAIT))
                    with self._pace.turn():
                        status, found, raw = self._send(client, "GET", place, {**headers, "content-type": ""}, b"")
            except httpx.TimeoutException:
                raise _Again(f"the service did not answer in {self.vendor.timeout:g} s") from None
            except httpx.TransportError as error:
                raise _Again(f"the service cannot be reached ({type(error).__name__})") from None
        return json.loads(raw)

    def _send(
        self, client: Any, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        sent = {k: v for k, v in headers.items() if v}
        with client.stream(method, url, content=body or None, headers=sent) as response:
            if response.status_code in AGAIN:
                problem = f"the service answered with status {response.status_code}"
                raise _Again(problem, _seconds(response.headers.get("retry-after")))
            if response.status_code in (401, 403):
                raise RuntimeError(f"the service refuses the key (status {response.status_code})")
            if response.status_code not in (200, 202):
                raise RuntimeError(f"the service answered with status {response.status_code}")
            raw = bytearray()
            for piece in response.iter_bytes():
                raw += piece
                if len(raw) > LIMIT:
                    raise ValueError("the answer is larger than 16 MiB")
            return response.status_code, response.headers, bytes(raw)

    def _answer(self, document: Any) -> Any:
        """The service's own document as the one that ``wire`` reads."""
        if self.vendor.score == "score" and not self.vendor.invert:
            return document
        if isinstance(document, dict) and document.get("abstain"):
            return document
        value = document
        for step in self.vendor.score.split("."):
            try:
                value = value[int(step)] if isinstance(value, list) else value[step]
            except (KeyError, IndexError, TypeError, ValueError):
                raise ValueError(f"the answer has no {self.vendor.score}") from None
        if self.vendor.invert and isinstance(value, int | float) and not isinstance(value, bool):
            value = -value
        return {"score": value}


def _seconds(text: str | None) -> float | None:
    """``retry-after`` in seconds, which may be a date; None where it is neither."""
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
