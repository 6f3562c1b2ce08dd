"""A case folder: the files of one inquiry, notes, and a log that is only ever added to, each line bound to the one before by its hash.

The log shows a change of an earlier line, of a file or of their order. Not covered: a folder rewritten as a whole, or lines cut off the
end; against those, keep the last hash elsewhere, or export: the signature covers the log as it was then.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from gioconda.report.as_html import page, rendered
from gioconda.report.options import Lang
from gioconda.report.view import moment, now
from gioconda.report.wording import label, local
from gioconda_core.errors import MediaError, UsageError
from gioconda_core.files import alone, atomic_path, refuse_overwrite, sha256_of, write_json
from gioconda_core.options import Force, Option
from gioconda_core.version import __version__
from provenance import vocabulary

SCHEMA = "gioconda.case/1"
Place = str | os.PathLike[str]
By = Annotated[str, Option("Who does this; whoever opened the case by default.", flag="--by")]


@dataclass(frozen=True)
class Case:
    """What ``case.json`` says: how a case is called, and who opened it."""

    name: str
    opened_by: str
    schema: str = SCHEMA


class Action(StrEnum):
    """What a line of the log says was done."""

    OPENED = "opened"
    ADDED = "added"
    NOTE = "note"
    EXPORTED = "exported"


@dataclass(frozen=True)
class Kept:
    """A file of a case. name : as it came; file : as it lies in ``files``; sha256 : of its bytes; size : bytes."""

    name: str
    file: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Text:
    """A note, the case's name where it was opened, or the name of the ZIP it was exported as."""

    text: str


@dataclass(frozen=True)
class Entry:
    """One line of ``log.jsonl``. time : UTC, ISO 8601; detail : Kept where a file was added; previous : sha256 of the line before, nothing in the first."""

    n: int
    time: str
    who: str
    action: Action
    detail: Kept | Text
    previous: str


class Fault(StrEnum):
    """What can be wrong with a case."""

    ORDER = "order"
    BROKEN = "broken"
    MISSING = "missing"
    CHANGED = "changed"
    UNLOGGED = "unlogged"


@dataclass(frozen=True)
class Problem:
    """Something that does not hold. what : the file, or the line of the log."""

    kind: Fault
    what: str


@dataclass(frozen=True)
class _Folder:
    case: Case
    line: Entry


def schema() -> dict[str, Any]:
    """The JSON Schema of ``case.json``, with that of a line of ``log.jsonl`` as ``#/$defs/Entry``; published beside it in ``case.schema.json``."""
    from pydantic import TypeAdapter

    made = TypeAdapter(_Folder).json_schema(mode="serialization")
    made["$defs"]["Case"]["properties"]["schema"] = {"const": SCHEMA}
    made["$defs"]["Case"]["required"].append("schema")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA, "$ref": "#/$defs/Case"}
    return head | {"$defs": made["$defs"]}


def new(folder: Place, name: str, who: str) -> Path:
    """Open a case: a folder that is not there yet, or is empty. Raises UsageError where it holds something."""
    place = Path(folder)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise UsageError("is there already and not empty", str(place), "give a new folder")
    if not name.strip() or not who.strip():
        raise UsageError("a case has a name and somebody who opened it", hint="--name and --by")
    (place / "files").mkdir(parents=True, exist_ok=True)
    write_json(place / "case.json", asdict(Case(name, who)))
    _append(place, who, Action.OPENED, Text(name))
    return place


def add(folder: Place, files: Sequence[Place], who: str = "", *, names: Sequence[str] | None = None) -> list[Path]:
    """Copy files into a case, each under its hash and name, and note it; a file that is there already is noted as seen again.

    who : whoever opened the case, where it is not given. names : what the files are called, where not as they lie.
    """
    place = _case(folder)
    made = []
    for item, name in zip(map(Path, files), names or [Path(item).name for item in files], strict=True):
        if not item.is_file():
            raise MediaError("no such file", str(item), "check the path")
        digest = sha256_of(item)
        target = place / "files" / f"{digest[:12]}-{plain_name(name)}"
        if not target.exists():
            with atomic_path(target, mode=0o444) as partial:
                shutil.copyfile(item, partial)
                if sha256_of(partial) != digest:
                    raise MediaError("changed while it was copied", str(item), "add it again")
        _append(place, who, Action.ADDED, Kept(name, target.name, digest, target.stat().st_size))
        made.append(target)
    return made


def note(folder: Place, text: str, who: str = "") -> Entry:
    """Write a note into the log."""
    if not text.strip():
        raise UsageError("the note is empty")
    return _append(_case(folder), who, Action.NOTE, Text(text))


def about(folder: Place) -> Case:
    """What a case is called, and who opened it. Raises UsageError for a folder that is no case."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        found = Case(**json.loads((Path(folder) / "case.json").read_text("utf-8")))
        if found.schema == SCHEMA:
            return found
    raise UsageError("is no case folder", str(folder), "gioconda case new makes one")


def entries(folder: Place) -> list[Entry]:
    """The lines of the log, oldest first. Raises UsageError for a line that is none."""
    return [_entry(line) for line in _lines(_case(folder))]


def verify(folder: Place) -> tuple[Problem, ...]:
    """The problems of a case, each once; empty where the log and all files are as they were written."""
    place = _case(folder)
    found: list[Problem] = []
    before, logged = "", set()
    for n, line in enumerate(_lines(place), 1):
        try:
            entry = _entry(line)
        except UsageError:
            found.append(Problem(Fault.BROKEN, f"log.jsonl:{n}"))
            before = _hash(line)
            continue
        if entry.n != n or entry.previous != before:
            found.append(Problem(Fault.ORDER, f"log.jsonl:{n}"))
        before = _hash(line)
        if isinstance(entry.detail, Kept):
            logged.add(entry.detail.file)
            path = place / "files" / entry.detail.file
            if not path.is_file():
                found.append(Problem(Fault.MISSING, path.name))
            elif sha256_of(path) != entry.detail.sha256:
                found.append(Problem(Fault.CHANGED, path.name))
    found += [Problem(Fault.UNLOGGED, p.name) for p in sorted((place / "files").iterdir()) if p.name not in logged]
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class Export:
    """How a case is exported. who : as of :func:`add`; named : what the log calls the ZIP, its file's name by default."""

    who: By = ""
    signer: Annotated[str, Option("Signer, as `provenance sign` takes it; the development key by default.")] = ""
    lang: Lang = "en"
    force: Force = False
    named: str = ""


def export(folder: Place, target: Place, how: Export = Export()) -> Path:
    """The whole case as one ZIP that carries a credential; its page (case.html) prints to PDF from any browser.

    Raises UsageError where the case does not verify, and before anything is logged where the ZIP is there already.
    """
    from provenance.signing import claims, sign, signers

    place = _case(folder)
    refuse_overwrite(target, how.force)
    if problems := verify(place):
        what = f"the case does not verify: {problems[0].kind}: {problems[0].what}"
        raise UsageError(what, str(place), "gioconda case verify")
    signer = signers.from_spec(how.signer) if how.signer else signers.default()
    _append(place, how.who, Action.EXPORTED, Text(how.named or Path(target).name))
    made = claims.Action(
        "c2pa.created", vocabulary.source_type("dataDrivenMedia"), software="gioconda", software_version=__version__
    )
    credential = claims.Credential(about(place).name, actions=(made,))
    with tempfile.TemporaryDirectory() as temporary:
        bundle = Path(temporary) / "case.zip"
        with zipfile.ZipFile(bundle, "w") as archive:  # stored: the SDK reads no other
            archive.writestr(zipfile.ZipInfo("case.html"), html(place, how.lang))
            for path in sorted(p for p in place.rglob("*") if p.is_file()):
                archive.write(path, path.relative_to(place).as_posix(), zipfile.ZIP_STORED)
        return sign.sign_file(bundle, target, credential, signer=signer, force=how.force)


def fragment(folder: Place, lang: str = "en") -> str:
    """The case's sections without a page around them: name, files with hashes, notes, the log."""
    place = _case(folder)
    log = entries(place)
    files = {e.detail.file: e.detail for e in log if isinstance(e.detail, Kept)}
    return rendered(
        "_case.html.jinja",
        lang,
        name=about(place).name,
        log=log,
        files=files.values(),
        notes=[e for e in log if e.action == Action.NOTE],
        last=head(place),
        moment=lambda text: local(moment(text), lang),
    )


def html(folder: Place, lang: str = "en") -> str:
    """The case as one page, for reading and printing."""
    return page(f"{about(folder).name} · {label('case', lang)}", fragment(folder, lang), lang)


def head(folder: Place) -> str:
    """sha256 of the log's last line: kept elsewhere, it shows that nothing was cut off."""
    return _hash(_lines(_case(folder))[-1])


def plain_name(name: str) -> str:
    """A name that any file system takes."""
    return re.sub(r"[^\w.\-]+", "_", name)[-80:].lstrip(".") or "file"


# ------------------------------------------------------------------------- the log


def _case(folder: Place) -> Path:
    about(folder)
    return Path(folder)


def _lines(place: Path) -> list[bytes]:
    return (place / "log.jsonl").read_bytes().splitlines()


def _entry(line: bytes) -> Entry:
    try:
        entry = Entry(**json.loads(line))
        action = Action(entry.action)
        raw: Any = entry.detail
        return replace(entry, action=action, detail=Kept(**raw) if action == Action.ADDED else Text(**raw))
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError("the log has a line that is none", "log.jsonl", "gioconda case verify") from error


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _append(place: Path, who: str, action: Action, detail: Kept | Text) -> Entry:
    """Add a line, bound to the one that is last at that moment; what stands there already is never written again."""
    with open(place / "log.jsonl", "a+b") as file, alone(place / "log.jsonl"):
        file.seek(0)
        lines = file.read().splitlines()
        before = _hash(lines[-1]) if lines else ""
        entry = Entry(len(lines) + 1, now(), who.strip() or about(place).opened_by, action, detail, before)
        file.write(json.dumps(asdict(entry), ensure_ascii=False, sort_keys=True).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return entry
