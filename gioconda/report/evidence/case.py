"""A case folder: the files of one inquiry, notes, and a log that is only ever added to, each line bound to the one before by its hash.

The log shows a change of an earlier line, of a file or of their order. Not covered: a folder rewritten as a whole, or lines cut off the
end; against those, keep the last hash elsewhere, or export: the signature covers the log as it was then.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from gioconda_core.errors import MediaError, UsageError
from gioconda_core.files import atomic_path, sha256_of, write_json

__all__ = ["Action", "Entry", "add", "entries", "export", "html", "new", "note", "title", "verify"]

SCHEMA = "gioconda.case/1"


class Action(StrEnum):
    """What a line of the log says was done."""

    OPENED = "opened"
    ADDED = "added"
    NOTE = "note"
    EXPORTED = "exported"


@dataclass(frozen=True)
class Entry:
    """One line of the log. time : UTC, ISO 8601; detail : name, sha256, size of a file, or text; previous : sha256 of the line before."""

    n: int
    time: str
    who: str
    action: Action
    detail: Mapping[str, Any]
    previous: str


def new(folder: str | os.PathLike[str], name: str, who: str) -> Path:
    """Open a case: a folder that is not there yet, or is empty. Raises UsageError where it holds something."""
    place = Path(folder)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise UsageError("is there already and not empty", str(place), "give a new folder")
    if not name.strip() or not who.strip():
        raise UsageError("a case has a name and somebody who opened it", hint="--name and --by")
    (place / "files").mkdir(parents=True, exist_ok=True)
    write_json(place / "case.json", {"schema": SCHEMA, "name": name, "opened_by": who})
    _append(place, who, Action.OPENED, {"text": name})
    return place


def add(folder: str | os.PathLike[str], files: Sequence[str | os.PathLike[str]], who: str = "") -> list[Path]:
    """Copy files into a case, each under its hash and name, and note it; a file that is there already is noted as seen again."""
    place = _case(folder)
    made = []
    for item in map(Path, files):
        if not item.is_file():
            raise MediaError("no such file", str(item), "check the path")
        digest = sha256_of(item)
        target = place / "files" / f"{digest[:12]}-{_plain_name(item.name)}"
        if not target.exists():
            with atomic_path(target, mode=0o444) as partial:
                shutil.copyfile(item, partial)
                if sha256_of(partial) != digest:
                    raise MediaError("changed while it was copied", str(item), "add it again")
        detail = {"name": item.name, "file": target.name, "sha256": digest, "size": target.stat().st_size}
        _append(place, who, Action.ADDED, detail)
        made.append(target)
    return made


def note(folder: str | os.PathLike[str], text: str, who: str = "") -> Entry:
    """Write a note into the log."""
    if not text.strip():
        raise UsageError("the note is empty")
    return _append(_case(folder), who, Action.NOTE, {"text": text})


def title(folder: str | os.PathLike[str]) -> str:
    """The case's name."""
    return str(_about(_case(folder))["name"])


def entries(folder: str | os.PathLike[str]) -> list[Entry]:
    """The log, oldest first. Raises UsageError for a line that is none."""
    return [_entry(line) for line in _lines(_case(folder))]


def verify(folder: str | os.PathLike[str]) -> list[dict[str, str]]:
    """What does not hold: ``kind`` (``order``, ``broken``, ``missing``, ``changed``, ``unlogged``) and ``what``; empty where all does."""
    place = _case(folder)
    found: list[dict[str, str]] = []
    before, logged = "", set()
    for n, line in enumerate(_lines(place), 1):
        try:
            entry = _entry(line)
        except UsageError:
            found.append({"kind": "broken", "what": f"log.jsonl:{n}"})
            before = _hash(line)
            continue
        if entry.n != n or entry.previous != before:
            found.append({"kind": "order", "what": f"log.jsonl:{n}"})
        before = _hash(line)
        if entry.action == Action.ADDED:
            logged.add(str(entry.detail["file"]))
            path = place / "files" / str(entry.detail["file"])
            if not path.is_file():
                found.append({"kind": "missing", "what": path.name})
            elif sha256_of(path) != entry.detail["sha256"]:
                found.append({"kind": "changed", "what": path.name})
    found += [{"kind": "unlogged", "what": p.name} for p in sorted((place / "files").iterdir()) if p.name not in logged]
    return list({(f["kind"], f["what"]): f for f in found}.values())


def export(folder: str | os.PathLike[str], target: str | os.PathLike[str], *, who: str = "", signer: str = "", lang: str = "en", force: bool = False) -> Path:  # fmt: skip
    """The whole case as one ZIP that carries a credential; its page (case.html) prints to PDF from any browser.

    signer : as ``gioconda provenance sign`` takes it; the development key by default. Raises UsageError where the case does not verify.
    """
    from gioconda_core.version import __version__
    from provenance import vocabulary
    from provenance.signing import claims, sign, signers

    place = _case(folder)
    if problems := verify(place):
        raise UsageError(
            f"the case does not verify: {problems[0]['kind']}: {problems[0]['what']}",
            str(place),
            "gioconda case verify",
        )
    _append(place, who, Action.EXPORTED, {"text": Path(target).name})
    made = claims.Action(
        "c2pa.created", vocabulary.source_type("dataDrivenMedia"), software="gioconda", software_version=__version__
    )
    credential = claims.Credential(title(place), actions=(made,))
    with tempfile.TemporaryDirectory() as temporary:
        bundle = Path(temporary) / "case.zip"
        with zipfile.ZipFile(bundle, "w") as archive:  # stored: the SDK reads no other
            archive.writestr(zipfile.ZipInfo("case.html"), html(place, lang))
            for path in sorted(p for p in place.rglob("*") if p.is_file()):
                archive.write(path, path.relative_to(place).as_posix(), zipfile.ZIP_STORED)
        return sign.sign_file(
            bundle, target, credential, signer=signers.from_spec(signer) if signer else signers.default(), force=force
        )


def html(folder: str | os.PathLike[str], lang: str = "en") -> str:
    """The case as one page: name, files with hashes, notes, the log."""
    from gioconda.report.as_html import environment, page
    from gioconda.report.view import moment
    from gioconda.report.wording import label

    place = _case(folder)
    log = entries(place)
    body = environment().get_template("_case.html.jinja").render(
        name=title(place), log=log, files=[e for e in log if e.action == Action.ADDED], notes=[e for e in log if e.action == Action.NOTE],
        last=head(place), moment=moment, t=lambda key: label(key, lang),
    )  # fmt: skip
    return page(f"{title(place)} · {label('case', lang)}", body, lang)


def head(folder: str | os.PathLike[str]) -> str:
    """sha256 of the log's last line: kept elsewhere, it shows that nothing was cut off."""
    return _hash(list(_lines(_case(folder)))[-1])


# ------------------------------------------------------------------------- the log


def _case(folder: str | os.PathLike[str]) -> Path:
    place = Path(folder)
    try:
        if _about(place).get("schema") == SCHEMA:
            return place
    except (OSError, ValueError, AttributeError):
        pass
    raise UsageError("is no case folder", str(place), "gioconda case new makes one")


def _about(place: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / "case.json").read_text("utf-8"))
    return found


def _lines(place: Path) -> Iterator[bytes]:
    yield from (place / "log.jsonl").read_bytes().splitlines()


def _entry(line: bytes) -> Entry:
    try:
        raw = json.loads(line)
        return Entry(**raw | {"action": Action(raw["action"])})
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError("the log has a line that is none", "log.jsonl", "gioconda case verify") from error


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _append(place: Path, who: str, action: Action, detail: Mapping[str, Any]) -> Entry:
    log = place / "log.jsonl"
    lines = list(_lines(place)) if log.exists() else []
    time = datetime.datetime.now(datetime.UTC).replace(microsecond=0).isoformat()
    entry = Entry(
        len(lines) + 1, time, who or str(_about(place)["opened_by"]), action, detail, _hash(lines[-1]) if lines else ""
    )
    line = json.dumps(asdict(entry), ensure_ascii=False, sort_keys=True)
    with open(log, "ab") as file:  # added to, never rewritten
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return entry


def _plain_name(name: str) -> str:
    return re.sub(r"[^\w.\-]+", "_", name)[-80:].lstrip(".") or "file"
