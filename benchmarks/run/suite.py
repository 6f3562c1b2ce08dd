"""Reads suites, which say what is measured and how, as versioned TOML. Changing a suite changes its version; results carry name, version, hash."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.run.options import SUITES, suite_file
from gioconda_core.errors import UsageError
from gioconda_core.files import read_toml, sha256_of
from gioconda_core.media import degrade
from gioconda_core.media.sampling import Sampling
from gioconda_core.stats import metrics

NATIVE = "native"  # each detector's own sampling; its name is in the protocol of each figure
_DATA = {"kind", "split", "train", "leave_out", "identities", "takes", "frames", "size", "seed", "generators"}
_PROTOCOL = {"sampling", "degradations", "metrics", "slices", "resamples"}


@dataclass(frozen=True)
class Suite:
    """One suite.

    data : ``kind`` ("puppets" makes its own clips, "index" needs ``--index``) and what that kind needs.
    sampling : as in :mod:`gioconda_core.media.sampling`, or ``native``.
    sha256 : of the parsed content, so that a comment or the order of keys does not change it.
    """

    name: str
    version: str
    title: str
    data: Mapping[str, Any]
    sampling: str
    degradations: tuple[str, ...]
    metrics: tuple[str, ...]
    slices: tuple[str, ...]
    resamples: int
    sha256: str

    @property
    def identity(self) -> dict[str, str]:
        """What results name a suite by."""
        return {"name": self.name, "version": self.version, "sha256": self.sha256}


def built_in() -> list[str]:
    """Names of the suites in the box."""
    return sorted(path.stem for path in SUITES.glob("*.toml"))


def versions() -> dict[str, dict[str, str]]:
    """name → {version: sha256} of every built-in suite as released; a test keeps it true."""
    found: dict[str, dict[str, str]] = json.loads((SUITES / "versions.json").read_text(encoding="utf-8"))
    return found


def load(name: str | Path) -> Suite:
    """A built-in suite by name, or any TOML file.

    Raises
    ------
    UsageError
        No such suite, or one with an unknown key, a missing part, or a setting that makes no sense.
    """
    text = str(name)
    document = read_toml(suite_file(text))
    try:
        return _read(document, text)
    except (TypeError, ValueError, OverflowError) as error:  # a text where a table should be, a number that is none
        raise UsageError(
            "a setting is of the wrong kind", where=text, hint=f"see a suite that works: {built_in()[0]}"
        ) from error


def _read(document: Mapping[str, Any], where: str) -> Suite:
    for key in ("name", "version", "data", "protocol"):
        if key not in document:
            raise UsageError(f"a suite needs {key!r}", where=where)
    if not isinstance(document["data"], dict) or not isinstance(document["protocol"], dict):
        raise UsageError("data and protocol are tables: [data] and [protocol]", where=where)
    data, protocol = dict(document["data"]), dict(document["protocol"])
    unknown = [
        *(set(document) - {"name", "version", "title", "data", "protocol"}),
        *(set(data) - _DATA),
        *(set(protocol) - _PROTOCOL),
    ]
    if unknown:
        raise UsageError(f"unknown setting {unknown[0]!r}", where=where)
    if data.get("kind") not in ("puppets", "index"):
        raise UsageError("data.kind is puppets or index", where=where)
    sampling = str(protocol.get("sampling", NATIVE))
    if sampling != NATIVE:
        Sampling.parse(sampling)
    degradations = tuple(protocol.get("degradations", ["none"]))
    for item in degradations:
        degrade.parse(item)
    names = tuple(protocol.get("metrics", metrics.DEFAULT_METRICS))
    for item in names:
        metrics.parse(item)
    resamples = protocol.get("resamples", 2000)
    if isinstance(resamples, bool) or not isinstance(resamples, int) or resamples < 1:
        raise UsageError(f"resamples is {resamples!r}, and must be a whole number", where=where, hint="2000, say")
    return Suite(
        name=str(document["name"]),
        version=str(document["version"]),
        title=str(document.get("title", document["name"])),
        data=data,
        sampling=sampling,
        degradations=degradations,
        metrics=names,
        slices=tuple(protocol.get("slices", ())),
        resamples=resamples,
        sha256=sha256_of(json.dumps(document, sort_keys=True).encode()),
    )
