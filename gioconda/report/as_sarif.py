"""Rows as SARIF 2.1.0, as code-scanning dashboards take it: one result a file and fault, in files that stay under GitHub's ceilings.

A fault is what asks for a person: a file that could not be examined, a signal, a credential that does not hold. ``check`` of single files also
notes what was found without one. No score is ever more than a warning: "error" in SARIF means a defect that is certainly there.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gioconda.report.rows import Row
from gioconda.report.wording import say, visible
from gioconda_core.documents import plain, to_json
from gioconda_core.files import atomic_path, outermost, path_bytes
from gioconda_core.types import Level, ProvenanceState, Sentence
from gioconda_core.version import __version__

# GitHub's ceilings for a file it is sent; what is beyond goes into further files, each a category of its own.
MOST_RESULTS = 25_000
MOST_BYTES = 9_500_000  # gzipped; theirs are 10 MB

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_CREDENTIALS = "https://c2pa.org/"  # of levels there is no page on the web; their rules carry the text
_RULES = {
    **{f"level/{level}": f"level.{level}" for level in Level},
    **{f"credentials/{state}": f"state.{state}" for state in ProvenanceState},
    "declared/ai": "declared.heading",
    "error": None,
}
_WARNINGS = {"level/strong-signal", "level/signal", "credentials/invalid"}
# How a dashboard sorts: 7.0 to 8.9 is "high" to GitHub, 4.0 to 6.9 "medium", below "low".
_SEVERITY = {"error": "5.0", "level/strong-signal": "7.0", "level/signal": "4.0", "credentials/invalid": "7.0"}
_ROOT = "%SRCROOT%"


def faults(item: Row) -> list[str]:
    """The rules that a row breaks, the same fault once: a credential that could not be read beside an error is that error."""
    if item.error:
        return ["error"]
    found = [f"level/{item.level}"] if item.level in (Level.SIGNAL, Level.STRONG_SIGNAL) else []
    if item.state == ProvenanceState.INVALID or item.broken_ingredient:
        found.append(f"credentials/{item.state}")
    return found


def log(items: Iterable[Row], lang: str = "en") -> str:
    """A small log at once, with a note of what was found where nothing is wrong."""
    results = []
    for item in items:
        rules = ["error"] if item.error else [f"level/{item.level}"]
        if item.state and not item.error:
            rules.append(f"credentials/{item.state}")
        if item.declared_ai:
            rules.append("declared/ai")
        results += [_result(item, rule) for rule in rules]
    return _head(lang, "check/", {}) + ",\n".join(results) + _tail(None)


@dataclass(frozen=True)
class Run:
    """The run that rows come from. shard : which of how many; exit_code : its own, None where it is not known; properties : of it, such as versions.

    accepts : (row, rule) → why a baseline accepts that, which GitHub shows as dismissed, or None.
    """

    shard: tuple[int, int] = (1, 1)
    exit_code: int | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    accepts: Callable[[Row, str], str | None] = lambda row, rule: None


def write(items: Iterable[Row], file: Path, lang: str = "en", run: Run = Run()) -> list[str]:
    """Write the faults of rows into ``file`` and, beyond the ceilings, ``NAME-2.sarif`` and so on; returns the files' names."""
    shard = run.shard
    category = "audit/" + (f"shard-{shard[0]}-of-{shard[1]}/" if shard[1] > 1 else "")
    results = (_result(item, rule, run.accepts(item, rule)) for item in items for rule in faults(item))
    names: list[str] = []
    waiting = next(results, None)
    while waiting is not None or not names:
        number = len(names) + 1
        target = file if number == 1 else file.with_name(f"{file.stem}-{number}{file.suffix}")
        own = category if number == 1 else f"{category}part-{number}/"
        with atomic_path(target) as path, open(path, "w", encoding="utf-8") as out:
            head = _head(lang, own, run.properties)
            out.write(head)
            size, count, unpacked = 0, 0, head
            packer = zlib.compressobj(6)
            while waiting is not None and count < MOST_RESULTS and size < MOST_BYTES:
                text = (",\n" if count else "") + waiting
                out.write(text)
                unpacked += text
                if len(unpacked) > 1 << 16:  # else what is compressed waits in the packer, uncounted
                    size += len(packer.compress(unpacked.encode())) + len(packer.flush(zlib.Z_SYNC_FLUSH))
                    unpacked = ""
                count += 1
                waiting = next(results, None)
            out.write(_tail(run.exit_code))
        names.append(target.name)
    for old in file.parent.glob(f"{file.stem}-*{file.suffix}"):
        if old.name not in names and old.stem.removeprefix(f"{file.stem}-").isdecimal():
            old.unlink()  # of an earlier run with more of them
    return names


def _head(lang: str, category: str, properties: Mapping[str, Any]) -> str:
    """Everything before the first result."""
    rules = []
    for rule, key in _RULES.items():
        text = say(Sentence(key), lang) if key else "The file could not be examined"
        kind, _, word = rule.partition("/")
        more = f". What it means and does not mean: gioconda explain {word}" if kind in ("level", "credentials") else ""
        entry: dict[str, Any] = {
            "id": rule,
            "name": "".join(part.capitalize() for part in rule.replace("/", "-").split("-")),
            "shortDescription": {"text": text},
            "help": {"text": text + more},
            "defaultConfiguration": {"level": _level(rule)},
        }
        if rule.startswith("credentials/"):
            entry["helpUri"] = _CREDENTIALS
        if rule in _SEVERITY:
            entry["properties"] = {"security-severity": _SEVERITY[rule], "tags": ["security"]}
        rules.append(entry)
    driver = {"name": "gioconda", "version": __version__, "semanticVersion": __version__, "rules": rules}
    root = Path.cwd().as_uri() + "/"
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"gioconda/{category}"},
        "originalUriBaseIds": {_ROOT: {"uri": root}},
        "columnKind": "unicodeCodePoints",
        "properties": dict(properties),
    }
    text = json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, ensure_ascii=False)
    return text.removesuffix("}]}") + ', "results": [\n'


def _tail(exit_code: int | None) -> str:
    """Everything after the last result."""
    invocation: dict[str, Any] = {"executionSuccessful": exit_code != 1}
    if exit_code is not None:
        invocation["exitCode"] = exit_code
    return f'\n], "invocations": [{json.dumps(invocation)}]}}]}}\n'


def _level(rule: str) -> str:
    return "error" if rule == "error" else "warning" if rule in _WARNINGS else "note"


def _result(item: Row, rule: str, reason: str | None = None) -> str:
    sentences, level = item.sentences, _level(rule)
    if rule == "error":
        sentences = (str(item.error),)
    elif rule.startswith("credentials/"):
        sentences = item.credentials or sentences
        level = "warning" if item.broken_ingredient else level  # however good the state
    elif rule == "declared/ai":
        sentences = (str(item.declared),)
    digest = item.sha256 or hashlib.sha256(item.path.encode("utf-8", "surrogateescape")).hexdigest()
    result: dict[str, Any] = {
        "ruleId": rule,
        "level": level,
        "message": {"text": visible(" ".join(sentences) or rule, 4000)},
        # A file of pixels has no lines, and a dashboard asks for one.
        "locations": [{"physicalLocation": {"artifactLocation": _place(item.path), "region": {"startLine": 1}}}],
        # The same fault of the same content is the same alert, wherever the file is moved to.
        "partialFingerprints": {"primaryLocationLineHash": f"{digest[:16]}:1"},
        "properties": {"detectors": plain(item.detectors)},
    }
    if item.sha256:
        result["partialFingerprints"]["sha256"] = item.sha256
    if reason is not None:
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": visible(reason, 1000)}]
    return to_json(result)


def _place(path: str) -> dict[str, str]:
    """An address that leads to the file, or the archive it is in: relative to the folder the program ran in where it lies below it."""
    name = path_bytes(outermost(path))
    if os.path.isabs(name):
        here = os.fsencode(os.getcwd()) + b"/"
        if not name.startswith(here):
            return {"uri": "file://" + quote(name)}
        name = name.removeprefix(here)
    # A colon in the first segment would read as a scheme.
    return {"uri": ("./" if b":" in name.partition(b"/")[0] else "") + quote(name), "uriBaseId": _ROOT}
