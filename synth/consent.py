"""Whose face may be used for what: consent files, and an append-only log of every run that made something.

A consent file is TOML that a person can read and sign on paper too:

    schema = "gioconda.consent/1"
    [[person]]
    who = "Lisa Gherardini"
    scope = ["reenact", "fakes"]        # tasks; "any" for all
    licence = "CC-BY-4.0"
    until = 2030-12-31                  # optional
    files = ["<sha256>", …]             # optional: only these source files

Its sha256 goes into every manifest. ``embedded`` stands for material that ships with Gioconda or is drawn by it, ``public-domain``
for works whose author and sitter are long dead or that were given to the public. What it does not cover: whether what the file says is true.
"""

import datetime as dt
import json
import os
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gioconda_core import config
from gioconda_core.errors import UsageError
from gioconda_core.files import alone, append_row, read_rows, read_toml, sha256_of, write_text
from gioconda_core.types import Claim

SCHEMA = "gioconda.consent/1"
SCOPES = ("reenact", "fakes", "evaluate", "tune", "any")
WORDS = ("embedded", "public-domain")


@dataclass(frozen=True)
class Person:
    """One person's consent. until : last day on which it holds, or None. files : sha256 of the sources it is for; empty = any."""

    who: str
    scope: tuple[str, ...]
    licence: str
    until: dt.date | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Consent:
    """What a run may rest on. id : sha256 of the file, or one of the two words."""

    id: str
    people: tuple[Person, ...] = ()
    path: str = ""

    @property
    def licence(self) -> str:
        """Licences of all people, for the claim."""
        if not self.people:
            return {"embedded": "CC0-1.0", "public-domain": "public domain"}[self.id]
        return " AND ".join(sorted({person.licence for person in self.people}))

    def claim(self, title: str, task: str, heads: Any, **more: Any) -> Claim:
        """How something that a generator drew came to be. more : as in Claim."""
        return Claim(
            title, task, "fake", heads.name, heads.version, weights_sha256=heads.weights_sha256, licence=self.licence,
            consent=self.id, **more,
        )  # fmt: skip

    def log(
        self,
        task: str,
        generator: str,
        outputs: Sequence[str],
        sources: Sequence[str] = (),
        drivers: Sequence[str] = (),
    ) -> None:
        """Add a row to the log of this user. Each row names the digest of the one before, so that a removed or changed row shows.

        outputs, sources, drivers : sha256.
        """
        file = _log_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        time = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        of, by = tuple(sorted(set(sources))), tuple(sorted(set(drivers)))
        with alone(file):  # one writer at a time: the chain needs the last row
            last = deque(read_rows(file), maxlen=1)
            before = _digest(last[0]) if last else ""
            append_row(file, asdict(LogRow(time, task, generator, self.id, of, by, tuple(outputs), before)))
            with open(file, "rb+") as written:
                os.fsync(written.fileno())


def read(value: str | os.PathLike[str]) -> Consent:
    """Read ``--consent``: a file, ``embedded`` or ``public-domain``.

    Raises
    ------
    UsageError
        The file is missing, is not a consent file, or lacks who, scope or licence.
    """
    text = os.fspath(value)
    if text in WORDS:
        return Consent(text)
    path = Path(text)
    if not path.is_file():
        raise UsageError("no such consent file", where=text, hint="make one: gioconda synth consent new FILE")
    data = read_toml(path)
    if data.get("schema") != SCHEMA:
        raise UsageError(f"schema is {data.get('schema')!r}, not {SCHEMA!r}", where=text)
    rows = data.get("person")
    if not isinstance(rows, list) or not rows:
        raise UsageError("names no [[person]]", where=text)
    return Consent(sha256_of(path), tuple(_person(row, text) for row in rows), str(path))


def _person(row: Mapping[str, Any], where: str) -> Person:
    who, scope, licence = row.get("who"), row.get("scope"), row.get("licence")
    if not (isinstance(who, str) and who.strip()):
        raise UsageError("a person has no 'who'", where=where)
    if isinstance(scope, str):
        scope = [scope]
    if not isinstance(scope, list) or not scope or any(s not in SCOPES for s in scope):
        raise UsageError(f"scope of {who!r} is not among {', '.join(SCOPES)}", where=where)
    if not (isinstance(licence, str) and licence.strip()):
        raise UsageError(f"{who!r} has no 'licence'", where=where)
    until = row.get("until")
    if isinstance(until, dt.datetime):
        until = until.date()
    if until is not None and not isinstance(until, dt.date):
        raise UsageError(f"'until' of {who!r} is not a date", where=where, hint="until = 2030-12-31")
    files = row.get("files", [])
    if not isinstance(files, list) or any(not isinstance(f, str) or len(f) != 64 for f in files):
        raise UsageError(f"'files' of {who!r} is not a list of sha256", where=where)
    return Person(who, tuple(scope), licence, until, tuple(f.lower() for f in files))


def require(
    consent: str | os.PathLike[str] | None,
    task: str,
    sources: Sequence[str] = (),
    *,
    whose: str = "faces of real people",
    today: dt.date | None = None,
) -> Consent:
    """The consent for a task on sources (sha256), or a refusal that says what is missing.

    Every source must be covered by somebody whose scope holds the task today; ``""`` is one that is not known. whose : begins the refusal where none was given.
    """
    if consent is None:
        hint = "--consent FILE, or --consent embedded, or --consent public-domain"
        raise UsageError(f"{whose} need consent", "--consent", hint)
    found = read(consent)
    if not found.people:
        return found
    day = today or dt.datetime.now(dt.UTC).date()
    able = [p for p in found.people if (task in p.scope or "any" in p.scope) and (p.until is None or day <= p.until)]
    if not able:
        late = [p.who for p in found.people if p.until is not None and day > p.until]
        reason = f"the consent of {', '.join(late)} has ended" if late else f"no consent in it covers {task!r}"
        raise UsageError(reason, where=found.path)
    for source in sources:
        if any(not p.files or source.lower() in p.files for p in able):
            continue
        if not source:
            what = "is for certain files, and the shards do not say which they were made from"
            raise UsageError(what, found.path, "prepare the footage again: gioconda synth prepare")
        raise UsageError(f"covers other files, not {source[:16]}…", where=found.path, hint="add its sha256 to files")
    return found


def template(path: str | os.PathLike[str], who: str, scope: Sequence[str], licence: str, files: Sequence[str]) -> None:
    """Write a consent file to fill in, with the sha256 of the given sources."""
    hashes = ",\n  ".join(json.dumps(sha256_of(f)) for f in files)
    lines = [
        f'schema = "{SCHEMA}"',
        "",
        "[[person]]",
        f"who = {json.dumps(who, ensure_ascii=False)}",
        f"scope = {json.dumps(list(scope))}",
        f"licence = {json.dumps(licence, ensure_ascii=False)}",
        "# until = 2030-12-31   # the last day on which this holds",
    ]
    if hashes:
        lines.append(f"files = [\n  {hashes},\n]")
    write_text(path, "\n".join(lines) + "\n")


def _log_file() -> Path:
    return config.home() / "synth-log.jsonl"


@dataclass(frozen=True)
class LogRow:
    """One run that made something. sources, drivers, outputs : sha256 of files. before : digest of the row it was written after."""

    time: str
    task: str
    generator: str
    consent: str
    sources: tuple[str, ...]
    drivers: tuple[str, ...]
    outputs: tuple[str, ...]
    before: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "LogRow":
        """From a line of the log; a row that was tampered with may lack anything, or hold something else."""
        lists = [row[name] if isinstance(row.get(name), list) else [] for name in ("sources", "drivers", "outputs")]
        texts = {name: str(row.get(name, "")) for name in ("time", "task", "generator", "consent", "before")}
        sources, drivers, outputs = (tuple(map(str, listed)) for listed in lists)
        return cls(**texts, sources=sources, drivers=drivers, outputs=outputs)


@dataclass(frozen=True)
class Log:
    """What was made on this account. broken : numbers of rows that do not follow the one before."""

    rows: tuple[LogRow, ...]
    broken: tuple[int, ...]
    schema: str = "gioconda.synth.log/1"


def _digest(row: Mapping[str, Any]) -> str:
    return sha256_of(json.dumps(row, sort_keys=True, ensure_ascii=False).encode())


def check_log() -> Log:
    """The log, and which rows' predecessor is not the one they were written after."""
    file = _log_file()
    rows: list[dict[str, Any]] = []
    broken: list[int] = []
    if file.exists():
        for line in file.read_text("utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue  # torn by a kill; the next row says which row it follows
            if not isinstance(row, dict):
                broken.append(len(rows))
                row = {}
            elif row.get("before", "") != (_digest(rows[-1]) if rows else ""):
                broken.append(len(rows))
            rows.append(row)
    return Log(tuple(map(LogRow.of, rows)), tuple(broken))
