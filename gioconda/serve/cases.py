"""Cases on the local page: open one, put a clip with its report and a note into it, read its log, take the signed ZIP away.

What a case is, and how its log is kept, is said in :mod:`gioconda.report.evidence.case`; nothing here writes a line of a log itself.
Cases are kept until a person deletes their folder: the page deletes none.
"""

import asyncio
import contextlib
import hashlib
import json
import secrets
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from gioconda.report import as_html, as_json
from gioconda.report.evidence import case, compare_pages
from gioconda.report.evidence.compare import Comparison
from gioconda.report.view import moment
from gioconda.report.wording import local, say
from gioconda.serve.jobs import Clip, Refused
from gioconda_core.documents import to_json
from gioconda_core.errors import UsageError
from gioconda_core.page import safe
from gioconda_core.types import Sentence

if TYPE_CHECKING:
    from gioconda.serve.app import Site

MOST = 100_000  # bytes of what a form sends


class Cases:
    """The cases of one folder. folder : each case is a folder in it; site : the page they are shown on."""

    def __init__(self, folder: Path, site: "Site") -> None:
        self.folder, self.site = folder, site

    def routes(self) -> list[Route]:
        """Where cases are, and what can be done with them."""
        one = "/cases/{id:uuid}"
        return [
            Route("/cases", self.put, methods=["POST"]),
            Route(one, self.show),
            Route(f"{one}/export", self.export, methods=["POST"]),
            Route(f"{one}/{{zip:uuid}}.zip", self.take_away),
        ]

    def all(self) -> dict[str, Path]:
        """Every case by its id, the one that was added to last first. Ids are made of names: no path comes from a request."""
        found: dict[str, Path] = {}
        with contextlib.suppress(OSError):
            for path in sorted(self.folder.iterdir(), key=lambda p: p.stat().st_mtime, reverse=True):
                with contextlib.suppress(UsageError):
                    case.about(path)
                    found[_identity(path)] = path
        return found

    def _found(self, identity: str) -> Path:
        path = self.all().get(identity)
        if path is None:
            raise Refused(404, "case-gone")
        return path

    def shown(self, lang: str) -> list[dict[str, str]]:
        """What the list tells of each case: id, name, and when it was added to last."""
        rows = []
        for identity, path in self.all().items():
            with contextlib.suppress(UsageError):
                log = case.entries(path)
                lines = say(Sentence("label.case-lines", {"n": len(log)}), lang)
                when = local(moment(log[-1].time), lang) if log else ""
                rows.append({"id": identity, "name": case.about(path).name, "lines": lines, "when": when})
        return rows

    # ------------------------------------------------------------------ handlers

    async def show(self, request: Request) -> Response:
        """A case's page: whether it is whole, its files, notes and log."""
        identity, lang = request.path_params["id"].hex, self.site.lang(request)
        path = self._found(identity)
        problems = await asyncio.to_thread(case.verify, path)
        broken = any(p.kind == case.Fault.BROKEN for p in problems)
        values = {
            "identity": identity,
            "name": case.about(path).name,
            "opened_by": case.about(path).opened_by,
            "folder": str(path),
            "lines": 0 if problems else len(case.entries(path)),
            "problems": [(f"case-fault-{p.kind}", p.what) for p in problems],
            "body": safe("" if broken else case.fragment(path, lang)),
        }
        return self.site.render(request, "case.html.jinja", **values)

    async def put(self, request: Request) -> Response:
        """Open a case where none is named, and put a clip and a note into it, where there are any."""
        sent, lang = await _object(request), self.site.lang(request)
        path = self._found(sent["case"]) if sent.get("case") else None
        clip = self.site.jobs.get(sent["clip"]) if sent.get("clip") else None
        if sent.get("clip") and clip is None:
            raise Refused(404, "clip-gone")
        made = await asyncio.to_thread(self._put, path, clip, sent, lang)
        return JSONResponse({"url": f"/cases/{_identity(made)}"}, 201)

    def _put(self, path: Path | None, clip: Clip | None, sent: Mapping[str, str], lang: str) -> Path:
        who = sent.get("by", "")
        if path is None:
            name = sent.get("name", "")
            path = self.folder / case.plain_name(name)
            free = path.with_name(f"{path.name}-{secrets.token_hex(3)}") if path.exists() else path
            path = case.new(free, name, who)
        if clip is not None:
            with tempfile.TemporaryDirectory() as temporary:
                files = self._files(clip, Path(temporary), lang)
                case.add(path, list(files.values()), who, names=list(files))
        if sent.get("note", "").strip():
            case.note(path, sent["note"], who)
        return path

    def _files(self, clip: Clip, folder: Path, lang: str) -> dict[str, Path]:
        """The clip, and its report as a page and as JSON, by the names they get."""
        stem = Path(clip.title).stem
        media = self.site.jobs.media(clip)
        files = {} if clip.other else {clip.title: media}
        document = self.site.jobs.report(clip.id)
        if document is None:
            return files
        kind = "comparison" if clip.other else "report"
        for suffix, made in kept(document, lang).items():
            (folder / f"made.{suffix}").write_text(made(), encoding="utf-8")
            files[f"{stem}-{kind}.{suffix}"] = folder / f"made.{suffix}"
        return files

    async def export(self, request: Request) -> Response:
        """The signed ZIP, made anew since its log says who took it; its address holds for ten minutes."""
        sent, lang = await _object(request), self.site.lang(request)
        path = self._found(request.path_params["id"].hex)
        identity, target = self.site.jobs.new_file(".zip")
        how = case.Export(sent.get("by", ""), lang=lang, named=f"{path.name}.zip")
        await asyncio.to_thread(case.export, path, target, how)
        return JSONResponse({"url": f"/cases/{_identity(path)}/{identity}.zip", "again": True}, 201)

    async def take_away(self, request: Request) -> Response:
        """The ZIP that was made."""
        path = self._found(request.path_params["id"].hex)
        made = self.site.jobs.folder / "files" / f"{request.path_params['zip'].hex}.zip"
        if not made.is_file():
            raise Refused(404, "case-gone")
        return FileResponse(made, media_type="application/zip", filename=f"{path.name}.zip")


def kept(document: Mapping[str, Any], lang: str) -> dict[str, Callable[[], str]]:
    """What may be taken away of a finished job, a report or a comparison: ``html`` and ``json``, each made when it is called."""
    if document["schema"] == Comparison.schema:
        found = compare_pages.from_document(document)
        body = compare_pages.document(found, lang)
        return {"html": lambda: compare_pages.html(found, lang), "json": lambda: to_json(body, indent=1)}
    report = as_json.from_document(document)
    return {"html": lambda: as_html.html(report, lang), "json": lambda: as_json.dumps(report, lang)}


def _identity(path: Path) -> str:
    return hashlib.sha256(path.name.encode("utf-8", "surrogateescape")).hexdigest()[:32]


async def _object(request: Request) -> dict[str, str]:
    """The fields of a form as texts; nothing of a body that is none, or too large."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST:
            return {}
    try:
        found: Any = json.loads(body or b"{}")
    except ValueError:
        return {}
    return {str(k): v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}
