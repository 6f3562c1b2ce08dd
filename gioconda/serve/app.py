"""Requests of the local page: take a file in, show how far it is, show its report.

Uploads are limited before and while they arrive; the name a browser gives is shown and never used as a path.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gioconda.report import as_html, as_json
from gioconda.report.view import bytes_text
from gioconda.report.wording import LANGUAGES, label, problem, visible
from gioconda.serve.guard import Guard
from gioconda.serve.jobs import ACTIVE, Clip, Jobs, Runner

# What a browser is told a file is; nothing it would run. Anything else is bytes to it.
TYPES = {
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm", ".mkv": "video/x-matroska", ".ogv": "video/ogg",
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".gif": "image/gif", ".avif": "image/avif",
}  # fmt: skip
IDLE = 30.0  # seconds without a byte after which an upload is given up
SLOWEST, GRACE = (
    100_000,
    10.0,
)  # bytes a second that an upload must come at, once so many seconds have passed: others wait for its place
LONGEST = 3600.0  # seconds that an upload may take in all
SPARE = 500_000_000  # bytes of disk left free


@dataclass(frozen=True)
class Page:
    """How the page is served. limit : bytes of one file; keep : clips at once; hours : after which a clip is deleted.

    archive : whether programs of this computer may look up credentials in the user's archive (Soft Binding Resolution API).
    """

    folder: Path
    port: int
    limit: int = 1_000_000_000
    keep: int = 100
    hours: float = 24.0
    seconds: float = 900.0
    lang: str | None = None
    archive: bool = False
    target: str = "gioconda.serve.jobs:Examine"
    options: dict[str, Any] = field(default_factory=lambda: {"detectors": None, "trust": [], "development": False})

    @property
    def hosts(self) -> frozenset[str]:
        """The names under which this computer may call us."""
        return frozenset({f"127.0.0.1:{self.port}", f"localhost:{self.port}"})


def application(page: Page) -> Starlette:
    """The ASGI application, with its queue and worker started and stopped with it."""
    jobs = Jobs(page.folder)
    jobs.sweep(page.hours)
    runner = Runner(jobs, page.target, page.options, page.seconds)
    token = secrets.token_hex(32)
    site = _Site(page, jobs, token)

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        runner.start()
        sweeper = asyncio.create_task(_sweep(jobs, page.hours))
        try:
            yield
        finally:
            sweeper.cancel()
            await asyncio.to_thread(runner.stop)
            jobs.close()

    clip = "/clips/{id:clip}"
    from starlette.convertors import Convertor, register_url_convertor

    class Identity(Convertor[str]):
        regex = "[0-9a-f]{32}"

        def convert(self, value: str) -> str:
            return value

        def to_string(self, value: str) -> str:
            return value

    register_url_convertor("clip", Identity())
    routes = [
        Route("/", site.index),
        Route("/style.css", site.style),
        Route("/app.js", site.script),
        Route("/clips.json", site.states),
        Route("/clips", site.take, methods=["POST"]),
        Route(clip, site.clip),
        Route(f"{clip}/state.json", site.state),
        Route(f"{clip}/media", site.media),
        Route(f"{clip}/boxes.json", site.boxes),
        Route(f"{clip}/report.json", site.document),
        Route(f"{clip}/report.html", site.file),
        Route(f"{clip}/cancel", site.cancel, methods=["POST"]),
        Route(f"{clip}/delete", site.delete, methods=["POST"]),
    ]
    asked: frozenset[str] = frozenset()
    if page.archive:
        from gioconda.serve import resolution

        routes += resolution.Resolution(page.folder, page.limit, _receive).routes()
        asked = frozenset((resolution.BINDING, resolution.CONTENT))
    guard = Middleware(Guard, hosts=page.hosts, token=token, asked=asked)
    app = Starlette(routes=routes, lifespan=life, middleware=[guard])
    app.state.token, app.state.jobs = token, jobs
    return app


async def _sweep(jobs: Jobs, hours: float) -> None:
    while True:
        await asyncio.sleep(600)
        await asyncio.to_thread(jobs.sweep, hours)


class _Site:
    """The handlers."""

    def __init__(self, page: Page, jobs: Jobs, token: str) -> None:
        self.page, self.jobs, self.token = page, jobs, token
        self.arriving = 0

    # ------------------------------------------------------------------ pages

    def _lang(self, request: Request) -> str:
        wanted = request.query_params.get("lang") or self.page.lang
        if wanted in LANGUAGES:
            return str(wanted)
        first = request.headers.get("accept-language", "").split(",")[0].strip().lower()
        return "ja" if first.startswith("ja") else "en"

    def _render(self, request: Request, template: str, **values: Any) -> HTMLResponse:
        lang = self._lang(request)
        other = "ja" if lang == "en" else "en"
        base = {
            "lang": lang,
            "other": other,
            "token": self.token,
            "t": lambda key, **a: _label(key, lang, a),
            "page": self.page,
        }
        return HTMLResponse(_pages().get_template(template).render(**base, **values))

    async def index(self, request: Request) -> Response:
        clips = await asyncio.to_thread(self.jobs.all)
        return self._render(request, "index.html.jinja", clips=clips, limit=bytes_text(self.page.limit), active=ACTIVE)

    async def clip(self, request: Request) -> Response:
        found = self._found(request)
        if found is None:
            return PlainTextResponse("no such clip", 404)
        document = self.jobs.report(found.id) if found.state == "done" else None
        if document is None:
            error = visible(problem(found.error, self._lang(request)))
            return self._render(request, "waiting.html.jinja", clip=found, error=error, active=ACTIVE)
        lang = self._lang(request)
        report = as_json.from_document(document)
        kind = TYPES.get(Path(found.file).suffix, "")
        player = _pages().get_template("player.html.jinja").render(
            clip=found, kind=kind, faces=len(report.tracks), t=lambda key: label(key, lang)
        )  # fmt: skip
        body = as_html.fragment(report, lang, seek=True, player=player)
        return self._render(request, "clip.html.jinja", clip=found, body=as_html.safe(body))

    # ------------------------------------------------------------------ facts

    def _found(self, request: Request) -> Clip | None:
        return self.jobs.get(request.path_params["id"])

    def _state(self, clip: Clip, lang: str) -> dict[str, Any]:
        stage = _label(f"stage-{clip.stage}", lang, {}) if clip.state == "running" and clip.stage else ""
        return {
            "id": clip.id,
            "state": clip.state,
            "share": round(clip.share, 3),
            "active": clip.state in ACTIVE,
            "text": _label(f"state-{clip.state}", lang, {}),
            "stage": stage,
            "error": visible(problem(clip.error, lang)),
        }

    async def states(self, request: Request) -> Response:
        lang = self._lang(request)
        return JSONResponse([self._state(clip, lang) for clip in self.jobs.all()])

    async def state(self, request: Request) -> Response:
        clip = self._found(request)
        return JSONResponse(self._state(clip, self._lang(request))) if clip else PlainTextResponse("no such clip", 404)

    async def boxes(self, request: Request) -> Response:
        document = self.jobs.report(request.path_params["id"])
        if document is None:
            return PlainTextResponse("no report", 404)
        tracks = [{"id": t["id"], "times": t.get("times", []), "boxes": t.get("boxes", [])} for t in document["tracks"]]
        return JSONResponse({"tracks": tracks})

    async def document(self, request: Request) -> Response:
        report = self.jobs.report(request.path_params["id"])
        if report is None:
            return PlainTextResponse("no report", 404)
        text = as_json.dumps(as_json.from_document(report), self._lang(request))
        return Response(text, media_type="application/json", headers=_attachment("report.json"))

    async def file(self, request: Request) -> Response:
        report = self.jobs.report(request.path_params["id"])
        if report is None:
            return PlainTextResponse("no report", 404)
        page = as_html.html(as_json.from_document(report), self._lang(request))
        return HTMLResponse(page, headers=_attachment("report.html"))

    async def media(self, request: Request) -> Response:
        clip = self._found(request)
        if clip is None or not self.jobs.media(clip).is_file():
            return PlainTextResponse("no such clip", 404)
        kind = TYPES.get(Path(clip.file).suffix, "application/octet-stream")
        # Whatever the bytes are, a browser that opens them by themselves runs nothing.
        headers = {"Content-Security-Policy": "sandbox; default-src 'none'; img-src 'self'; media-src 'self'"}
        return FileResponse(self.jobs.media(clip), media_type=kind, headers=headers)

    async def style(self, request: Request) -> Response:
        return Response(as_html.stylesheet(), media_type="text/css")

    async def script(self, request: Request) -> Response:
        text = (resources.files("gioconda.serve") / "pages" / "app.js").read_text("utf-8")
        return Response(text, media_type="text/javascript")

    # ------------------------------------------------------------------ changes

    async def cancel(self, request: Request) -> Response:
        self.jobs.cancel(request.path_params["id"])
        return Response(status_code=204)

    async def delete(self, request: Request) -> Response:
        await asyncio.to_thread(self.jobs.delete, request.path_params["id"])
        return Response(status_code=204)

    async def take(self, request: Request) -> Response:
        """A file as the request's body; refused before it is read where its size is told, and while it is read where not."""
        lang = self._lang(request)
        limit = self.page.limit
        too_large = _label("too-large", lang, {"limit": bytes_text(limit)})
        told = request.headers.get("content-length")
        if told is not None and (not told.isdigit() or int(told) > limit):
            return await _refuse(request, too_large, 413)
        if len(self.jobs.all()) >= self.page.keep:
            return await _refuse(request, _label("too-many", lang, {"keep": self.page.keep}), 507)
        if shutil.disk_usage(self.page.folder).free < int(told or 0) + SPARE:
            return await _refuse(request, _label("disk-full", lang, {}), 507)
        if self.arriving >= 4:
            return await _refuse(request, _label("too-busy", lang, {}), 429)
        title = visible(
            unquote(request.headers.get("x-file-name", ""), errors="replace").replace("\\", "/").split("/")[-1], 200
        )
        suffix = os.path.splitext(title)[1].lower()
        identity, path = self.jobs.new_file(suffix if suffix in TYPES else ".bin")
        self.arriving += 1
        try:
            size = await _receive(request, path, limit)
            if size is None:
                return await _refuse(request, too_large, 413)
            if size == 0:
                path.unlink(missing_ok=True)
                return await _refuse(request, _label("empty-file", lang, {}), 400)
        except (ClientDisconnect, TimeoutError, OSError):
            path.unlink(missing_ok=True)
            return await _refuse(request, _label("cut-short", lang, {}), 400)
        finally:
            self.arriving -= 1
        clip = self.jobs.add(identity, title or "clip", path, size)
        return JSONResponse({"id": clip.id, "url": f"/clips/{clip.id}"}, 201)


async def _receive(request: Request, path: Path, limit: int) -> int | None:
    """Write a body to a new file; None, and no file, when it grows past the limit."""
    size, begun = 0, time.monotonic()
    stream = request.stream()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with os.fdopen(handle, "wb") as file:
        while True:
            try:
                piece = await asyncio.wait_for(anext(stream), IDLE)
            except StopAsyncIteration:
                return size
            size += len(piece)
            if size > limit:
                break
            took = time.monotonic() - begun
            if took > LONGEST or (took > GRACE and size < SLOWEST * took):
                raise TimeoutError
            await asyncio.to_thread(file.write, piece)
    path.unlink()
    return None


async def _refuse(request: Request, why: str, status: int) -> Response:
    """Say no. What is on its way is read first, for a moment: a connection closed over unread bytes is reset, and nobody reads why."""
    with contextlib.suppress(ClientDisconnect, TimeoutError, RuntimeError, StopAsyncIteration):
        async with asyncio.timeout(2.0):
            stream = request.stream()
            while True:
                await asyncio.wait_for(anext(stream), 0.2)
    headers = {"Connection": "close"} | ({"Retry-After": "5"} if status == 429 else {})
    return JSONResponse({"error": why}, status, headers=headers)


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="gioconda-{name}"'}


def _label(key: str, lang: str, values: dict[str, Any]) -> str:
    from gioconda.report.wording import say
    from gioconda_core.types import Sentence

    return say(Sentence(f"label.{key}", values), lang)


def _pages() -> Any:
    """The page's own templates, in the environment all templates share."""
    import jinja2

    shared = as_html.environment()
    if not isinstance(shared.loader, jinja2.ChoiceLoader):
        shared.loader = jinja2.ChoiceLoader([shared.loader, jinja2.PackageLoader("gioconda.serve", "pages")])
    return shared


def describe(page: Page) -> str:
    """One line for the terminal."""
    return json.dumps({"url": f"http://127.0.0.1:{page.port}/", "folder": str(page.folder)})
