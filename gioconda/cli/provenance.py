"""``gioconda provenance``: Content Credentials: read, verify, sign, forecast, keys, trust."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gioconda.cli.common import Force, JsonFlag, Output, clean, complain, deliver, emit, notice, parse_outputs, progress
from gioconda.cli.provenance_keys import keys_app
from gioconda.cli.provenance_trust import trust_app

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gioconda_core.errors import GiocondaError
    from gioconda_core.types import Provenance
    from provenance.trust.lists import Trust

app = typer.Typer(
    no_args_is_help=True,
    help="Content Credentials: read, verify, sign, forecast, keys, trust.",
    epilog="Example: gioconda provenance read clip.mp4",
)
app.add_typer(keys_app, name="keys")
app.add_typer(trust_app, name="trust")

Files = Annotated[list[Path], typer.Argument(help="Files or folders.", show_default=False)]
TrustLists = Annotated[
    list[str] | None,
    typer.Option("--trust", metavar="[KIND=]FILE", help="A trust list (manifest, tsa or cawg); several times."),
]
Stored = Annotated[bool, typer.Option("--store/--no-store", help="Use the lists added with `trust add`.")]
OwnDevelopment = Annotated[
    bool, typer.Option("--trust-development", help="Also trust this user's own development key, which proves nothing.")
]
Online = Annotated[bool, typer.Option("--online", help="Fetch remote manifests and ask for revocation, within limits.")]
Fragments = Annotated[
    list[Path] | None, typer.Option("--fragment", help="A further segment of a fragmented MP4; several times.")
]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Files at a time.")]


def _trust(lists: list[str] | None, stored: bool, development: bool) -> Trust:
    from provenance.trust import lists as trust

    return trust.load(lists or (), stored=stored, development=development)


def _write(outputs: list[tuple[str, str | None]], made: dict[str, Any]) -> None:
    """Each result where it was asked for; ``made`` maps a format to a function that makes its text."""
    for name, file in outputs:
        deliver(made[name](), file)


def _json(document: object) -> str:
    import json

    return json.dumps(document, indent=1, ensure_ascii=False)


def _row(path: Path, found: Provenance | GiocondaError) -> dict[str, Any]:
    from gioconda_core.types import Provenance
    from provenance.reading import describe

    if isinstance(found, Provenance):
        return describe.document(str(path), found)
    return {"schema": describe.SCHEMA, "path": str(path), "error": str(found)}


def _text(rows: Iterable[tuple[Path, Provenance | GiocondaError]], every_code: bool = False) -> str:
    from gioconda_core.types import Provenance
    from provenance.reading import describe

    parts = []
    for path, found in rows:
        if isinstance(found, Provenance):
            body = list(describe.lines(found, every_code=every_code))
        else:
            body = [f"error: {found}"]
        parts.append("\n".join([clean(str(path)), *(f"  {clean(line)}" for line in body)]))
    return "\n".join(parts) or "no files"


def _jsonl(rows: Iterable[tuple[Path, Provenance | GiocondaError]]) -> str:
    import json

    return "".join(json.dumps(_row(*row), ensure_ascii=False) + "\n" for row in rows)


def _collect(
    paths: list[Path], lists: Trust, online: bool, jobs: int, fragments: list[Path] | None = None
) -> Iterator[tuple[Path, Provenance | GiocondaError]]:
    from gioconda_core.errors import MediaError, UsageError
    from provenance.reading.read import read as read_one
    from provenance.tools import batch

    if fragments:
        if len(paths) != 1:
            raise UsageError("fragments belong to one initialisation segment", where="--fragment")
        for part in fragments:
            if not part.is_file():
                raise MediaError("no such file", where=str(part), hint="--fragment takes a segment")
        yield paths[0], read_one(paths[0], trust=lists, online=online, fragments=fragments)
        return
    files = list(batch.files_in(paths))
    with progress("reading", len(files), "files") as advance:
        for row in batch.verdicts(files, trust=lists, online=online, jobs=jobs):
            advance()
            yield row


@app.command()
def read(
    paths: Files,
    trust: TrustLists = None,
    store: Stored = True,
    trust_development: OwnDevelopment = False,
    online: Online = False,
    fragment: Fragments = None,
    codes: Annotated[bool, typer.Option("--codes", help="Show every status code, not only what failed.")] = False,
    jobs: Jobs = 2,
    output: Output = None,
    json: JsonFlag = False,
    force: Force = False,
) -> int:
    """What files say of themselves, offline: state, signer, list, actions, ingredients. Formats: text, json, jsonl.

    Example: gioconda provenance read clip.mp4 --trust C2PA-TRUST-LIST.pem
    """
    from gioconda_core.errors import ExitCode
    from gioconda_core.types import Provenance, ProvenanceState

    outputs = parse_outputs(output, json, ("text", "json", "jsonl"), force)
    lists = _trust(trust, store, trust_development)
    rows = list(_collect(paths, lists, online, jobs, fragment))
    documents = [_row(*row) for row in rows]
    made = {
        "text": lambda: _text(rows, codes),
        "json": lambda: _json(documents[0] if len(documents) == 1 else documents),
        "jsonl": lambda: _jsonl(rows),
    }
    _write(outputs, made)
    unread = any(not isinstance(found, Provenance) or found.state == ProvenanceState.UNREADABLE for _, found in rows)
    return ExitCode.INCOMPLETE if unread else ExitCode.DONE


@app.command()
def verify(
    paths: Files,
    require: Annotated[
        str,
        typer.Option("--require", help="valid, trusted, or signer:FINGERPRINT; exit 3 when a file does not meet it."),
    ] = "valid",
    sound_ingredients: Annotated[
        bool,
        typer.Option(
            "--sound-ingredients",
            help="A credential among the ingredients that did not validate counts too: a trusted edit of a broken parent.",
        ),
    ] = False,
    allow_absent: Annotated[
        bool, typer.Option("--allow-absent", help="A file without credentials does not count against the requirement.")
    ] = False,
    trust: TrustLists = None,
    store: Stored = True,
    trust_development: OwnDevelopment = False,
    online: Online = False,
    fragment: Fragments = None,
    jobs: Jobs = 2,
    output: Output = None,
    json: JsonFlag = False,
    force: Force = False,
) -> int:
    """Hold files to a requirement. Exit 0 met by all, 3 not met by one, 4 one could not be read.

    Example: gioconda provenance verify incoming/ --require trusted --allow-absent -o jsonl=verdicts.jsonl
    """
    from gioconda_core.errors import ExitCode
    from gioconda_core.types import Provenance, ProvenanceState
    from provenance.tools import batch

    outputs = parse_outputs(output, json, ("text", "json", "jsonl"), force)
    wanted = batch.Requirement.parse(require, ingredients=sound_ingredients)
    rows = list(_collect(paths, _trust(trust, store, trust_development), online, jobs, fragment))
    failed, unread, documents = [], [], []
    for path, found in rows:
        document = _row(path, found)
        if not isinstance(found, Provenance) or found.state == ProvenanceState.UNREADABLE:
            unread.append(path)
            document["met"] = None
        else:
            document["met"] = wanted.met(found) or (allow_absent and found.state == ProvenanceState.ABSENT)
            if not document["met"]:
                failed.append(path)
        documents.append(document)

    def text() -> str:
        shown = []
        for (path, found), document in zip(rows, documents, strict=True):
            word = {True: "met", False: "NOT MET", None: "not read"}[document["met"]]
            said = found.state if isinstance(found, Provenance) else str(found)
            if isinstance(found, Provenance) and found.trust_list:
                said += f" by {found.trust_list}"
            why = (
                [code.code for code in found.codes if code.kind in ("failure", "policy")]
                if isinstance(found, Provenance)
                else []
            )
            shown.append(clean(f"{word}: {path}: {said}{' (' + ', '.join(why) + ')' if why else ''}"))
        shown.append(f"{len(rows)} files, {len(failed)} do not meet {require!r}, {len(unread)} not read")
        return "\n".join(shown)

    import json as codec

    made = {
        "text": text,
        "json": lambda: _json({"require": require, "failed": len(failed), "unread": len(unread), "files": documents}),
        "jsonl": lambda: "".join(codec.dumps(document, ensure_ascii=False) + "\n" for document in documents),
    }
    _write(outputs, made)
    return ExitCode.POLICY if failed else ExitCode.INCOMPLETE if unread else ExitCode.DONE


@app.command()
def sign(
    sources: Annotated[list[Path], typer.Argument(help="What to sign; never changed.", show_default=False)],
    claim: Annotated[
        Path, typer.Option("--claim", help="What to say, as TOML: title, intent, actions, ingredients, ai…")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The signed file; for several sources, a folder. Not needed with --sidecar."),
    ] = None,
    signer: Annotated[
        str, typer.Option("--signer", help="A PEM file, key:NAME, development, or PLUGIN:option=value;…")
    ] = "development",
    identity: Annotated[
        str | None, typer.Option("--identity", help="A second signer, who attests a named actor's identity (CAWG).")
    ] = None,
    role: Annotated[
        list[str] | None, typer.Option("--role", help="The actor's role, e.g. cawg.editor; several times.")
    ] = None,
    timestamp: Annotated[
        str | None,
        typer.Option("--timestamp", help="URL of a timestamp authority (RFC 3161): the one use of the network."),
    ] = None,
    sidecar: Annotated[
        bool,
        typer.Option(
            "--sidecar", help="Leave the file as it is, of whatever kind, and write its credential to a .c2pa."
        ),
    ] = False,
    jobs: Jobs = 2,
    force: Force = False,
) -> int:
    """Sign files to new files: written aside, verified, flushed, renamed. The development key is used unless told otherwise.

    Example: gioconda provenance sign clip.mp4 --out signed.mp4 --claim claim.toml --signer key:newsroom

    Example: gioconda provenance sign clip.mkv --sidecar --claim claim.toml --signer key:newsroom
    """
    from gioconda_core.errors import ExitCode, GiocondaError, UsageError
    from provenance.signing import claims, signers
    from provenance.tools import batch

    if out is None and not sidecar:
        raise UsageError("no target", where="--out", hint="a file is never signed in place; name another, or --sidecar")
    if role and not identity:
        raise UsageError("a role is the second signer's", where="--role", hint="give --identity too")
    statement = claims.from_toml(claim)
    chosen: Any = signers.from_spec(signer, timestamp=timestamp)
    if chosen.development:
        notice("signing with the Gioconda development key: it proves nothing about who signed")
    if identity:
        chosen = signers.IdentitySigner(chosen, signers.from_spec(identity), roles=tuple(role or ()))
    pairs: list[tuple[Path, Path | None]]
    if out is None:
        pairs = [(source, None) for source in sources]
    elif len(sources) > 1 or out.is_dir():
        names = [source.name for source in sources]
        if len(set(names)) != len(names):
            raise UsageError("two sources of one name", where=str(out), hint="sign them into different folders")
        pairs = [(source, out / (source.name + ".c2pa" if sidecar else source.name)) for source in sources]
    else:
        pairs = [(sources[0], out)]
    failed: list[GiocondaError] = []
    with progress("signing", len(pairs), "files") as advance:
        for _, result in batch.sign_many(pairs, statement, signer=chosen, jobs=jobs, sidecar=sidecar, force=force):
            advance()
            if isinstance(result, GiocondaError):
                failed.append(result)
                complain(result)
            else:
                emit(str(result))
    if len(pairs) == 1 and failed:
        return failed[0].exit_code
    return ExitCode.INCOMPLETE if failed else ExitCode.DONE


@app.command()
def forecast(
    paths: Files,
    within: Annotated[
        int | None,
        typer.Option("--fail-within", min=0, help="Exit 3 when something turns invalid within so many days."),
    ] = None,
    trust: TrustLists = None,
    store: Stored = True,
    jobs: Jobs = 2,
    output: Output = None,
    json: JsonFlag = False,
    force: Force = False,
) -> int:
    """When credentials turn invalid, the soonest first: without a trusted timestamp, on the day the certificate expires.

    Example: gioconda provenance forecast archive/ --fail-within 90
    """
    import dataclasses

    from gioconda_core.errors import ExitCode, MediaError
    from gioconda_core.types import Provenance, ProvenanceState
    from provenance.tools import batch

    outputs = parse_outputs(output, json, ("text", "json"), force)
    found = list(_collect(paths, _trust(trust, store, False), False, jobs))
    unread = 0
    for path, verdict in found:
        if not isinstance(verdict, Provenance) or verdict.state == ProvenanceState.UNREADABLE:
            unread += 1
            complain(MediaError("cannot be read", where=str(path)) if isinstance(verdict, Provenance) else verdict)
    rows = batch.forecast(found)
    soon = [row for row in rows if not row.never and row.days is not None and within is not None and row.days <= within]

    def text() -> str:
        shown = [
            clean(f"{'never' if row.never else f'{row.days} days'}: {row.path}: {row.expires_at}, {row.signer}")
            for row in rows
        ]
        return "\n".join(
            [
                *shown,
                f"{len(rows)} signed files, {sum(not row.never for row in rows)} without a trusted timestamp, {unread} not read",
            ]
        )

    _write(outputs, {"text": text, "json": lambda: _json([dataclasses.asdict(row) for row in rows])})
    return ExitCode.POLICY if soon else ExitCode.INCOMPLETE if unread else ExitCode.DONE


@app.command()
def drift(
    before: Annotated[Path, typer.Argument(help="Rows of an earlier `verify -o jsonl=FILE`.")],
    after: Annotated[Path, typer.Argument(help="Rows of a later one.")],
    output: Output = None,
    json: JsonFlag = False,
    force: Force = False,
) -> int:
    """Files whose verdict changed between two reports, with the codes, SDK versions and trust lists that changed. Exit 3 when there are any.

    Example: gioconda provenance drift may.jsonl june.jsonl
    """
    import dataclasses

    from gioconda_core.errors import ExitCode, MediaError, UsageError
    from gioconda_core.files import read_rows
    from provenance.tools import batch

    outputs = parse_outputs(output, json, ("text", "json"), force)
    reports = []
    for file in (before, after):
        if not file.exists():
            raise UsageError("no such report", where=str(file))
        reports.append([row for row in read_rows(file) if "path" in row])
        if not reports[-1] and file.stat().st_size:
            raise MediaError("holds no verdicts", where=str(file), hint="gioconda provenance verify -o jsonl=FILE")
    rows = batch.drift(*reports)

    def text() -> str:
        shown = []
        for row in rows:
            changes = [f"-{code}" for code in row.gone] + [f"+{code}" for code in row.new]
            lists = [f"- {name}" for name in row.lists_gone] + [f"+ {name}" for name in row.lists_new]
            why = "; ".join([f"{row.sdk_before} → {row.sdk_after}", *lists])
            shown.append(clean(f"{row.path}: {row.before} → {row.after} {' '.join(changes)} ({why})"))
        return "\n".join([*shown, f"{len(rows)} verdicts changed"])

    _write(outputs, {"text": text, "json": lambda: _json([dataclasses.asdict(row) for row in rows])})
    return ExitCode.POLICY if rows else ExitCode.DONE
