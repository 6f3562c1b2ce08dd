"""``gioconda provenance``: Content Credentials: read, verify, sign, forecast, keys, trust."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gioconda.cli.build import Commands, Rows
from gioconda.cli.common import Force, Result, clean, complain, emit, incomplete, message, notice, progress, settings
from gioconda.cli.provenance_keys import keys_app, trust_app
from gioconda.cli.provenance_marks import marks_app
from gioconda.report import compared, metadata
from gioconda.report.compared import Compared
from gioconda.report.options import Lang
from gioconda.report.wording import say
from gioconda_core.documents import to_json
from gioconda_core.errors import ExitCode, GiocondaError, MediaError, UsageError
from gioconda_core.files import read_rows
from gioconda_core.options import Option, argument
from gioconda_core.types import Code, CredentialReason, IngredientNode, Provenance, ProvenanceState
from gioconda_core.words import joined
from provenance.reading import describe
from provenance.reading.ingredients import FAILURE
from provenance.reading.open import Opened, opened
from provenance.reading.read import read as read_one
from provenance.signing import claims, signers
from provenance.signing.signers import Signer
from provenance.tools import batch
from provenance.tools.batch import Drift, Expiry
from provenance.trust import lists
from provenance.trust.lists import Trust

app = Commands("provenance", "read clip.mp4", speaks=Lang)
app.add_typer(marks_app)
app.add(keys_app, "Signing keys: make, show, renew.")
app.add(trust_app, "Trust lists: show, add, update, diff, remove.")

Jobs = Annotated[int, Option("Files at a time.", minimum=1)]
Segments = Annotated[
    tuple[Path, ...],
    Option("A further segment of a fragmented MP4; several times, in order.", flag="--fragment", repeat=True),
]
Row = tuple[Path, "Provenance | GiocondaError"]


@dataclass(frozen=True)
class Files:
    """Which files are read, and whose signatures are trusted."""

    paths: Annotated[list[Path], argument("Files or folders.")]
    trust: Annotated[
        tuple[str, ...],
        Option("A trust list (manifest, tsa or cawg); several times.", metavar="[KIND=]FILE", repeat=True),
    ] = ()
    store: Annotated[bool, Option("Use the lists added with `trust add`.")] = True
    jobs: Jobs = 2

    # Said by the options of those commands that have them.
    trust_development: bool = False
    online: bool = False
    fragment: tuple[Path, ...] = ()

    def lists(self) -> Trust:
        """The trust lists given, with those of the user's store, and the development key where that counts."""
        return lists.load(self.trust, stored=self.store, development=self.trust_development)

    def rows(self) -> list[Row]:
        """Each file with what its credential says, or why it could not be read."""
        trust = self.lists()
        if self.fragment:
            if len(self.paths) != 1:
                raise UsageError("fragments belong to one initialisation segment", where="--fragment")
            for part in self.fragment:
                if not part.is_file():
                    raise MediaError("no such file", where=str(part), hint="--fragment takes a segment")
            only = self.paths[0]
            return [(only, read_one(only, trust=trust, online=self.online, fragments=list(self.fragment)))]
        files = list(batch.files_in(self.paths))
        found = []
        with progress("reading", len(files), "files") as advance:
            for row in batch.verdicts(files, trust=trust, online=self.online, jobs=self.jobs):
                advance()
                found.append(row)
        return found


@dataclass(frozen=True)
class Reading(Files):
    """How files are read: also by the user's own development key, by the network, in fragments."""

    trust_development: Annotated[bool, Option("Also trust this user's own development key, which proves nothing.")] = (
        False
    )
    online: Annotated[bool, Option("Fetch remote manifests and ask for revocation, within limits.")] = False
    fragment: Segments = ()


@dataclass(frozen=True)
class Node:
    """One ingredient of a credential; thumbnails are given by their size only."""

    title: str
    relationship: str
    format: str
    signer: str | None
    failures: tuple[Code, ...]
    thumbnail_bytes: int
    children: "list[Node]"

    @classmethod
    def of(cls, node: IngredientNode) -> "Node":
        children, size = [cls.of(child) for child in node.children], len(node.thumbnail or b"")
        return cls(node.title, node.relationship, node.format, node.signer, node.failures, size, children)


@dataclass(frozen=True)
class _Of:
    path: str


@dataclass(frozen=True)
class Credentials(Provenance, _Of):
    """What a file's Content Credentials say, after our policy; every text in it is made safe to show.

    reason : what decided the state, where it is not plain; decided_by : the codes that did. compared : signed facts beside the file's own
    metadata, null where none was signed. met : whether the file meets what ``verify`` asked for, null where nothing was asked.
    """

    ingredients: tuple[Node, ...] = ()  # type: ignore[assignment]  # told without their pictures
    compared: list[Compared] | None = None
    met: bool | None = None
    schema: str = "gioconda.provenance/1"


@dataclass(frozen=True)
class Unread:
    """A file that could not be read at all, and why."""

    path: str
    error: str
    met: bool | None = None
    schema: str = "gioconda.provenance.unread/1"


Document = Credentials | Unread


def document(
    path: Path, found: Provenance | GiocondaError, compared: list[Compared] | None = None, met: bool | None = None
) -> Document:
    """What is printed as JSON of a file."""
    if isinstance(found, GiocondaError):
        return Unread(str(path), str(found), met)
    nodes = tuple(map(Node.of, found.ingredients))
    return Credentials(**vars(found) | {"path": str(path), "ingredients": nodes, "compared": compared, "met": met})


def _unreadable(found: Provenance | GiocondaError) -> bool:
    return not isinstance(found, Provenance) or found.state == ProvenanceState.UNREADABLE


def _beside(path: Path, found: Provenance | GiocondaError) -> list[Compared] | None:
    """The signed facts beside the file's own metadata; None where none is signed, and the metadata need not be read."""
    if not isinstance(found, Provenance) or not compared.compare(found, {}):
        return None
    read = metadata.inspect(path)
    return compared.compare(found, read.get("metadata", {}), read.get("declared", ()))


def _text(rows: Iterable[Row], beside: Iterable[list[Compared] | None], every_code: bool) -> str:
    parts, lang = [], settings.lang
    for (path, found), facts in zip(rows, beside, strict=True):
        if isinstance(found, GiocondaError):
            body = [f"error: {found}"]
        else:
            body = [
                *describe.lines(found, lang=lang, every_code=every_code),
                *(say(item, lang) for item in compared.sentences(facts or ())),
            ]
        parts.append("\n".join([clean(str(path)), *(f"  {clean(line)}" for line in body)]))
    return "\n".join(parts) or message("no-files")


def _standard(paths: list[Path], lists: Trust) -> str:
    """Each file's credential in the standard's own JSON, a document a line where there are several; empty where there is none."""
    documents = []
    for path in paths:
        with opened(path, lists.anchors) as found:
            documents += [str(found.reader.crjson())] if isinstance(found, Opened) else []
    return "\n".join(documents)


@app.command("read", "clip.mp4 --trust C2PA-TRUST-LIST.pem", formats=("text", "json", "jsonl", "crjson"))
def read(
    job: Reading,
    codes: Annotated[bool, Option("Show every status code, not only what failed.")] = False,
) -> Result:
    """Read what files say of themselves, offline: state, signer, list, actions, ingredients. Formats: text, json, jsonl, and crjson (the
    standard's own JSON, as the SDK writes it, before our policy).
    """
    rows = job.rows()
    beside = [_beside(*row) for row in rows]
    documents = [document(*row, facts) for row, facts in zip(rows, beside, strict=True)]
    return Result(
        lambda: _text(rows, beside, codes),
        documents[0] if len(documents) == 1 else documents,
        incomplete(any(_unreadable(found) for _, found in rows)),
        jsonl=lambda: list(map(to_json, documents)),
        crjson=lambda: _standard([path for path, _ in rows], job.lists()),
    )


@dataclass(frozen=True)
class Verification:
    """What ``verify`` prints as JSON: the requirement, and each file with whether it is ``met`` (null where it could not be read)."""

    require: str
    failed: int
    unread: int
    files: list[Document]
    schema: str = "gioconda.verify/1"


@app.command(
    "verify", "incoming/ --require trusted --allow-absent -o jsonl=verdicts.jsonl", formats=("text", "json", "jsonl")
)
def verify(
    job: Reading,
    require: Annotated[
        str, Option("valid, trusted, or signer:FINGERPRINT; exit 3 when a file does not meet it.")
    ] = "valid",
    sound_ingredients: Annotated[
        bool,
        Option(
            "A credential among the ingredients that did not validate counts too: a trusted edit of a broken parent."
        ),
    ] = False,
    allow_absent: Annotated[bool, Option("A file without credentials does not count against the requirement.")] = False,
) -> Result:
    """Check files against a requirement. Exit 0 where all meet it, 3 where one does not, 4 where one could not be read."""
    wanted = batch.Requirement.parse(require, ingredients=sound_ingredients)
    documents, lines = [], []
    failed = unread = 0
    for path, found in job.rows():
        met = None
        if not isinstance(found, Provenance) or _unreadable(found):
            unread += 1
        else:
            met = wanted.met(found) or (allow_absent and found.state == ProvenanceState.ABSENT)
            failed += not met
        documents.append(document(path, found, met=met))
        lines.append(_verification_line(path, found, met))
    lines.append(message("held", files=(len(documents), "file"), failed=failed, require=repr(require), unread=unread))
    code = ExitCode.POLICY if failed else incomplete(unread)
    held = Verification(require, failed, unread, documents)
    return Result(lines, held, code, jsonl=lambda: list(map(to_json, documents)))


def _verification_line(path: Path, found: Provenance | GiocondaError, met: bool | None) -> str:
    """One file's line: whether it meets the requirement, and why not."""
    word = message({True: "met", False: "not-met", None: "not-read"}[met])
    if isinstance(found, GiocondaError):
        return f"{word}: {path}: {found}"

    why = joined((code.code for code in found.codes if code.kind in ("failure", "policy")), settings.lang)
    listed = ""
    if found.trust_list and found.state == ProvenanceState.TRUSTED:  # a list calls nothing invalid
        named = describe.signers_list(found, settings.lang)
        listed = describe.sentences(settings.lang)["by"].format(list=named)
    reason = f": {describe.reason(found.reason, settings.lang)}" if found.reason and not found.state.intact else ""
    return f"{word}: {path}: {found.state}{listed}{reason}{f' ({why})' if why else ''}"


@dataclass(frozen=True)
class Signing:
    """Who signs, who else attests an identity, and which authority gives the time."""

    signer: Annotated[str, Option("A PEM file, key:NAME, development, or PLUGIN:option=value;…")] = "development"
    identity: Annotated[str | None, Option("A second signer, who attests a named actor's identity (CAWG).")] = None
    role: Annotated[tuple[str, ...], Option("The actor's role, e.g. cawg.editor; several times.", repeat=True)] = ()
    timestamp: Annotated[str | None, Option("URL of a timestamp authority (RFC 3161): the one use of the network.")] = (
        None
    )

    def __post_init__(self) -> None:
        if self.role and not self.identity:
            raise UsageError("a role is the second signer's", where="--role", hint="give --identity too")

    def load(self) -> Signer:
        """The signer; says so where it is the development key."""
        chosen = signers.from_spec(self.signer, timestamp=self.timestamp)
        if chosen.development:
            notice(message("signing-development"))
        if not self.identity:
            return chosen
        return signers.IdentitySigner(chosen, signers.from_spec(self.identity), roles=self.role)


@dataclass(frozen=True)
class ToSign:
    """What is signed, and where it goes."""

    sources: Annotated[list[Path], argument("What to sign; never changed.")]
    out: Annotated[
        Path | None, Option("The signed file; for several sources, a folder. Not needed with --sidecar.")
    ] = None
    sidecar: Annotated[
        bool, Option("Leave the file as it is, of whatever kind, and write its credential to a .c2pa.")
    ] = False
    fragment: Segments = ()
    jobs: Jobs = 2
    force: Force = False

    def __post_init__(self) -> None:
        if self.out is None and not self.sidecar:
            hint = "a file is never signed in place; name another, or --sidecar"
            raise UsageError("no target", where="--out", hint=hint)
        if self.fragment and (len(self.sources) != 1 or self.sidecar):
            raise UsageError("belong to one initialisation segment and a folder", where="--fragment")

    def pairs(self) -> list[tuple[Path, Path | None]]:
        """Each source with the file it is signed to; None for a sidecar beside it."""
        if self.out is None:
            return [(source, None) for source in self.sources]
        if len(self.sources) == 1 and not self.out.is_dir():
            return [(self.sources[0], self.out)]
        names = [source.name for source in self.sources]
        if len(set(names)) != len(names):
            raise UsageError("two sources of one name", where=str(self.out), hint="sign them into different folders")
        return [(s, self.out / (s.name + ".c2pa" if self.sidecar else s.name)) for s in self.sources]


@app.command(
    "sign",
    "clip.mp4 --out signed.mp4 --claim claim.toml --signer key:newsroom",
    "clip.mkv --sidecar --claim claim.toml --signer key:newsroom",
    "init.mp4 --fragment 1.m4s --fragment 2.m4s --out signed/ --claim claim.toml",
)
def sign(
    job: ToSign,
    claim: Annotated[Path, Option("What to say, as TOML: title, intent, actions, ingredients, ai…")],
    signing: Signing,
) -> int:
    """Sign files into new files, which get their names only once they are written and verified. The development key is used unless told otherwise."""
    statement = claims.from_toml(claim)
    signer = signing.load()
    if job.fragment and job.out:
        from provenance.signing import stream

        emit(str(stream.sign_stream([*job.sources, *job.fragment], job.out, statement, signer=signer, force=job.force)))
        return ExitCode.DONE
    pairs = job.pairs()
    if statement.intent != "create":
        for path in dict.fromkeys([*job.sources, *(Path(item.path) for item in statement.ingredients if item.path)]):
            _warn_of(path)
    failed: list[GiocondaError] = []
    with progress("signing", len(pairs), "files") as advance:
        for _, result in batch.sign_many(
            pairs, statement, signer=signer, jobs=job.jobs, sidecar=job.sidecar, force=job.force
        ):
            advance()
            if isinstance(result, GiocondaError):
                failed.append(result)
                complain(result)
            else:
                emit(str(result))
    return failed[0].exit_code if len(pairs) == 1 and failed else incomplete(failed)


def _warn_of(path: Path) -> None:
    """Say before it is signed what somebody who reads the edit will be told of its parent."""
    try:
        found = read_one(path, thumbnails=False)
    except GiocondaError:
        return  # signing says what is wrong with it
    if found.state == ProvenanceState.INVALID:
        why = describe.reason(found.reason or CredentialReason.UNJUDGED, settings.lang)
        notice(message("warn-parent", name=path.name, why=why))
    if any(code.code == FAILURE for code in found.codes):
        notice(message("warn-ingredient", name=path.name))
    if found.says_ai:
        notice(message("warn-ai", name=path.name))


@app.command("forecast", "archive/ --fail-within 90", rows=Rows("gioconda.forecast/1", "files", Expiry))
def forecast(
    job: Files,
    within: Annotated[
        int | None, Option("Exit 3 when something turns invalid within so many days.", flag="--fail-within", minimum=0)
    ] = None,
) -> Result:
    """Say when credentials turn invalid, the soonest first: without a trusted timestamp, on the day the certificate expires."""
    found = job.rows()
    unread = 0
    for path, verdict in found:
        if _unreadable(verdict):
            unread += 1
            complain(verdict if isinstance(verdict, GiocondaError) else MediaError("cannot be read", where=str(path)))
    rows = batch.forecast(found)
    left = [message("never") if row.never else message("days", days=(row.days, "day")) for row in rows]
    soon = within is not None and any(not row.never and row.days <= within for row in rows)
    lines = [f"{when}: {r.path}: {r.expires_at}, {r.signer}" for when, r in zip(left, rows, strict=True)]
    without = sum(not row.never for row in rows)
    lines.append(message("forecast", files=(len(rows), "signed file"), without=without, unread=unread))
    return Result(lines, rows, ExitCode.POLICY if soon else incomplete(unread))


@app.command("drift", "may.jsonl june.jsonl", rows=Rows("gioconda.drift/1", "files", Drift))
def drift(
    before: Annotated[Path, argument("Rows of an earlier `verify -o jsonl=FILE`.")],
    after: Annotated[Path, argument("Rows of a later one.")],
) -> Result:
    """List files whose verdict changed between two reports, with the codes, SDK versions and trust lists that changed. Exit 3 when there are any."""
    reports = []
    for file in (before, after):
        if not file.exists():
            raise UsageError("no such report", where=str(file))
        reports.append([row for row in read_rows(file) if "path" in row])
        if not reports[-1] and file.stat().st_size:
            raise MediaError("holds no verdicts", where=str(file), hint="gioconda provenance verify -o jsonl=FILE")
    rows = batch.drift(*reports)
    lines = []
    for row in rows:
        changes = [*(f"-{code}" for code in row.gone), *(f"+{code}" for code in row.new)]
        lists = [*(f"- {name}" for name in row.lists_gone), *(f"+ {name}" for name in row.lists_new)]
        why = "; ".join([f"{row.sdk_before} → {row.sdk_after}", *lists])
        lines.append(f"{row.path}: {row.before} → {row.after} {' '.join(changes)} ({why})")
    lines.append(message("changed", count=(len(rows), "verdict")))
    return Result(lines, rows, ExitCode.POLICY if rows else ExitCode.DONE)
