"""Work on many files: read and sign them, forecast when credentials expire, and compare two reports."""

import datetime
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gioconda_core.errors import GiocondaError, MediaError, UsageError
from gioconda_core.options import sha256
from gioconda_core.types import Claim, Provenance, ProvenanceState
from provenance.reading.ingredients import FAILURE, UNREAD
from provenance.reading.open import sidecar_of
from provenance.reading.read import read
from provenance.sdk import engine
from provenance.signing.claims import Credential
from provenance.signing.signers import Signer
from provenance.trust.lists import Trust

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class Requirement:
    """What ``--require`` asks of a file: ``valid``, ``trusted`` or ``signer:FINGERPRINT`` (sha256 of the leaf, hex)."""

    kind: str
    fingerprint: str = ""
    ingredients: bool = False  # whether the credentials of what it was made from must have validated as well

    @classmethod
    def parse(cls, text: str, *, ingredients: bool = False) -> "Requirement":
        """What ``--require`` was given; UsageError for anything else."""
        kind, _, rest = text.partition(":")
        if kind in ("valid", "trusted") and not rest:
            return cls(kind, ingredients=ingredients)
        if kind == "signer":
            return cls(kind, sha256(rest, text[:120]), ingredients)
        raise UsageError(
            "not a requirement", where=text[:120], hint="valid, trusted, or signer: and a sha256 fingerprint"
        )

    def met(self, found: Provenance) -> bool:
        """Whether a verdict meets it. A named signer needs no list: the fingerprint is the trust."""
        if self.ingredients and any(code.code in (FAILURE, UNREAD) for code in found.codes):
            return False
        if self.kind == "trusted":
            return found.state == ProvenanceState.TRUSTED
        if self.kind == "valid":
            return found.state.intact
        # A development key's own note is no doubt about that very key.
        doubts = {code.code for code in found.codes if code.code.startswith("gioconda.signer.")}
        doubted = doubts - {"gioconda.signer.development"}
        return found.state.intact and not doubted and found.signer_fingerprint == self.fingerprint


def files_in(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Path]:
    """Files named, and below folders every file of a kind the SDK reads or with a sidecar of its name, each once, in a steady order.

    Hidden files and sidecars below folders are left out.
    """
    seen: set[Path] = set()
    for path in _walk(paths):
        if (real := path.resolve()) not in seen:
            seen.add(real)
            yield path


def _walk(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Path]:
    for item in paths:
        path = Path(item)
        if not path.is_dir():
            yield path
            continue
        for folder, names, files in os.walk(path):
            names[:] = sorted(name for name in names if not name.startswith("."))
            for name in sorted(files):
                file = Path(folder) / name
                if name.startswith(".") or file.suffix.lower() == ".c2pa":
                    continue
                if engine.mime_of(file) or sidecar_of(file, exact=True):
                    yield file


def _pooled(work: Callable[[In], Out], items: Iterable[In], jobs: int) -> Iterator[Out]:
    """Results in order; a few items ahead at most, so that a million files do not become a million futures."""
    source = iter(items)
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        waiting = [pool.submit(work, item) for item in itertools.islice(source, 4 * max(1, jobs))]
        try:
            while waiting:
                done = waiting.pop(0)
                waiting += [pool.submit(work, item) for item in itertools.islice(source, 1)]
                yield done.result()
        finally:
            for future in waiting:
                future.cancel()


def verdicts(
    paths: Iterable[Path], *, trust: Trust, online: bool = False, jobs: int = 2
) -> Iterator[tuple[Path, Provenance | GiocondaError]]:
    """A verdict, or the error that stood in its way, for each file, in order."""

    def one(path: Path) -> tuple[Path, Provenance | GiocondaError]:
        try:
            return path, read(path, trust=trust, online=online, thumbnails=False)
        except GiocondaError as error:
            return path, error
        except OSError as error:
            return path, MediaError(f"cannot be read: {error.strerror}", where=str(path))

    return _pooled(one, paths, jobs)


def sign_many(
    pairs: Iterable[tuple[Path, Path | None]],
    claim: Claim | Credential,
    *,
    signer: Signer,
    jobs: int = 2,
    sidecar: bool = False,
    force: bool = False,
) -> Iterator[tuple[Path, Path | GiocondaError]]:
    """Sign (source, target) pairs with one signer; what failed is a row with its error, the others go on.

    A target of None is, with ``sidecar``, the source's name with ``.c2pa`` appended.
    """

    from provenance.signing.sign import sign_file, sign_sidecar

    def one(pair: tuple[Path, Path | None]) -> tuple[Path, Path | GiocondaError]:
        source, target = pair
        try:
            if sidecar:
                return source, sign_sidecar(source, target, claim, signer=signer, force=force)
            if target is None:
                raise UsageError("no target", where=str(source), hint="a file is never signed in place; name another")
            return source, sign_file(source, target, claim, signer=signer, force=force)
        except GiocondaError as error:
            return source, error

    return _pooled(one, pairs, jobs)


@dataclass(frozen=True)
class Expiry:
    """When a file's credential turns invalid. days : until then, negative when it has; never : a trusted timestamp keeps it."""

    path: str
    state: str
    signer: str | None
    expires_at: str
    days: int
    never: bool


def forecast(found: Iterable[tuple[Path, Provenance | GiocondaError]]) -> list[Expiry]:
    """When each credential turns invalid, the soonest first. Once it has, no timestamp can be added that would keep it."""
    now = datetime.datetime.now(datetime.UTC)
    rows = []
    for path, verdict in found:
        if not isinstance(verdict, Provenance) or not verdict.expires_at:
            continue
        until, state = verdict.expires_at, str(verdict.state)
        days = (datetime.datetime.fromisoformat(until) - now).days
        rows.append(Expiry(str(path), state, verdict.signer, until, days, verdict.timestamped))
    return sorted(rows, key=lambda row: (row.never, row.days, row.path))


@dataclass(frozen=True)
class Drift:
    """One file whose verdict differs between two reports. gone, new : codes; lists_gone, lists_new : trust lists looked through."""

    path: str
    before: str
    after: str
    gone: tuple[str, ...]
    new: tuple[str, ...]
    sdk_before: str
    sdk_after: str
    lists_gone: tuple[str, ...] = ()
    lists_new: tuple[str, ...] = ()


def drift(before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]) -> list[Drift]:
    """Files present in both reports (rows of ``verify -o jsonl``) whose state or codes changed."""
    old = {str(row.get("path")): row for row in before}
    found = []
    for row in after:
        if (past := old.get(str(row.get("path")))) is None:
            continue
        was, now = ({str(code.get("code")) for code in item.get("codes", [])} for item in (past, row))
        had, has = ([str(name) for name in item.get("trust_lists") or ()] for item in (past, row))
        state = str(past.get("state")), str(row.get("state"))
        sdk = str(past.get("sdk", "")), str(row.get("sdk", ""))
        if state[0] != state[1] or was != now:
            codes = tuple(sorted(was - now)), tuple(sorted(now - was))
            lists = tuple(name for name in had if name not in has), tuple(name for name in has if name not in had)
            found.append(Drift(str(row.get("path")), *state, *codes, *sdk, *lists))
    return found
