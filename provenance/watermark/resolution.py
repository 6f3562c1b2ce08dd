"""Ask somebody's archive for a credential that a file has lost, by C2PA's Soft Binding Resolution API (2.4), and write its documents.

What leaves this computer is the value of a mark or a fingerprint, never the file: matching by content is what our own page answers
(:mod:`gioconda.serve.resolution`), and what this client never asks. An answer is a stranger's: a credential that does not name the mark it
was found by is refused.
"""

import base64
import binascii
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from gioconda_core.errors import CredentialError
from provenance.reading.open import Opened, opened
from provenance.sanitise import tables
from provenance.trust import online
from provenance.watermark import repository
from provenance.watermark.repository import ALGORITHMS, FINGERPRINT, MOST, Binding, Match

PREFIX = "/v1"
# The address is the user's own choice and may be one of their network; where it sends us on to is not.
_OWN = replace(online.DEFAULT, private=True, redirects=0)


@dataclass(frozen=True)
class Listed:
    """One of :class:`Matches`. similarityScore : 0 to 100, or null where the match is exact."""

    manifestId: str
    similarityScore: int | None = None


@dataclass(frozen=True)
class Matches:
    """The answer to ``/matches/byBinding`` and ``/matches/byContent``."""

    matches: list[Listed]

    @classmethod
    def of(cls, found: Sequence[Match]) -> "Matches":
        """As the API writes them: similarity in whole per cents."""
        return cls([Listed(m.manifest_id, None if m.similarity is None else round(100 * m.similarity)) for m in found])


@dataclass(frozen=True)
class Algorithm:
    """One of :class:`Algorithms`."""

    alg: str


@dataclass(frozen=True)
class Algorithms:
    """The answer to ``/services/supportedAlgorithms``."""

    watermarks: list[Algorithm]
    fingerprints: list[Algorithm]


def supported() -> Algorithms:
    """What this program can look up."""
    return Algorithms([Algorithm(name) for name in ALGORITHMS if name != FINGERPRINT], [Algorithm(FINGERPRINT)])


def decoded(value: str) -> bytes:
    """A binding's value from base64, in either alphabet. Raises ValueError where it is none."""
    try:
        return base64.b64decode(value.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error as error:
        raise ValueError("the value is not base64") from error


def encoded(value: bytes) -> str:
    """A binding's value as the API writes it."""
    return base64.b64encode(value).decode()


@dataclass(frozen=True)
class Answer:
    """A credential that somebody's archive gave. manifest : the store's bytes."""

    binding: Binding
    match: Match
    manifest: bytes


class Client:
    """Asks one archive. address : its base, such as ``https://archive.example/v1``."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")

    def algorithms(self) -> set[str]:
        """What the archive can be asked for."""
        body = self._json(f"{self.address}/services/supportedAlgorithms")
        kinds = [body.get(kind) for kind in ("watermarks", "fingerprints")]
        return {str(item.get("alg")) for kind in kinds for item in tables(kind)}

    def matches(self, binding: Binding, most: int = MOST) -> list[Match]:
        """The credentials it knows for a binding, the closest first."""
        asked = {"alg": binding.algorithm, "value": encoded(binding.value), "maxResults": most}
        body = self._json(f"{self.address}/matches/byBinding?{urlencode(asked)}")
        return [
            Match(str(row["manifestId"])[:500], _share(row.get("similarityScore")))
            for row in tables(body.get("matches"))[:most]
            if row.get("manifestId")
        ]

    def manifest(self, manifest_id: str) -> bytes:
        """A manifest store by its id."""
        return online.fetch(f"{self.address}/manifests/{quote(manifest_id, safe='')}", limits=_OWN)

    def recover(self, bindings: Sequence[Binding]) -> Answer | None:
        """The first credential that one of some bindings leads to, and that names the mark it was found by."""
        known = self.algorithms()
        for binding in bindings:
            if binding.algorithm not in known:
                continue
            for match in self.matches(binding):
                store = self.manifest(match.manifest_id)
                _check(store, match, binding)
                return Answer(binding, match, store)
        return None

    def _json(self, address: str) -> Mapping[str, Any]:
        try:
            body = json.loads(online.fetch(address, limits=_OWN))
        except (ValueError, RecursionError) as error:
            raise CredentialError("did not answer with JSON", where=self.address) from error
        if not isinstance(body, Mapping):
            raise CredentialError("did not answer as the Soft Binding Resolution API does", where=self.address)
        return body


def _check(store: bytes, match: Match, binding: Binding) -> None:
    """Refuse a credential that is not the one that was asked for."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "found.c2pa"
        path.write_bytes(store)
        with opened(path) as found:
            if not isinstance(found, Opened) or found.label != match.manifest_id:
                raise CredentialError(
                    "the archive sent something else than the credential it named", where=match.manifest_id
                )
            if binding.algorithm != FINGERPRINT and binding not in repository.named_in(found):
                raise CredentialError("the archive's credential does not name this mark", where=match.manifest_id)


def _share(value: object) -> float | None:
    return min(1.0, max(0.0, value / 100)) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
