"""Requests of the local page: take a file in, show how far it is, show its report.

Uploads are limited before and while they arrive; the name a browser gives is shown and never used as a path.
"""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import tempfile
import time
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from gioconda.report import as_html, as_json
from gioconda.report.evidence import compare_pages, keyframes
from gioconda.report.view import bytes_text
from gioconda.report.wording import LANGUAGES, NAMES, label, language_of, problem, say, visible
from gioconda.serve import resolution
from gioconda.serve.cases import Cases, kept
from gioconda.serve.guard import Guard
from gioconda.serve.jobs import ACTIVE, Clip, Jobs, Refused, Runner
from gioconda.serve.options import Page
from gioconda_core.errors import GiocondaError, MediaError
from gioconda_core.files import atomic_path
from gioconda_core.media.clip import write_video
from gioconda_core.media.sniff import HEAD, misnamed
from gioconda_core.media.suffixes import KIND_OF
from gioconda_core.page import safe, stylesheet
from gioconda_core.types import Claim, Sentence
from provenance.signing import sign

T = TypeVar("T")
# What a browser is told a file is; nothing it would run. Anything else is bytes to it.
TYPES = {
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm", ".mkv": "video/x-matroska", ".ogv": "video/ogg",
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".gif": "image/gif", ".avif": "image/avif",
}  # fmt: skip
_BLANK = {"level": "", "seconds": 0, "jpeg": ""}  # what the list shows of a clip that has no report yet
IDLE = 30.0  # seconds without a byte after which an upload is given up
# Bytes a second that an upload must come at, once so many seconds have passed: others wait for its place.
SLOWEST, GRACE = (100_000, 10.0)
LONGEST = 3600.0  # seconds that an upload may take in all
SPARE = 500_000_000  # bytes of disk left free


def _type_of(file: Path) -> str:
    """What a browser is told a file is: what its name says, and where that lies, what it is; empty where it is nothing to show."""
    try:
        with open(file, "rb") as opened:
            lies = misnamed(file, opened.read(HEAD))
    except OSError:
        return ""
    if lies is None:
        return TYPES.get(file.suffix, "")
    return next((kind for suffix, kind in TYPES.items() if KIND_OF[suffix] == lies["kind"]), "")


def application(page: Page) -> Starlette:
    """The ASGI application, with its queue and worker started and stopped with it."""
    jobs = Jobs(page.folder)
    jobs.sweep(page.hours)
    runner = Runner(jobs, page.target, page.options or {}, page.seconds)
    token = secrets.token_hex(32)
    site = Site(page, jobs, token)

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

    clip = "/clips/{id:uuid}"
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
        Route(f"{clip}/keyframes.zip", site.frames),
        Route(f"{clip}/keyframes/{{number:int}}.jpg", site.frame),
        Route("/compare", site.compare, methods=["POST"]),
        Route("/example", site.example, methods=["POST"]),
        Route(f"{clip}/report.json", site.document),
        Route(f"{clip}/report.html", site.file),
        Route(f"{clip}/cancel", site.cancel, methods=["POST"]),
        Route(f"{clip}/delete", site.delete, methods=["POST"]),
        *site.cases.routes(),
    ]
    asked: frozenset[str] = frozenset()
    if page.archive:
        routes += resolution.Resolution(page.folder, page.limit, _receive).routes()
        asked = frozenset((resolution.BINDING, resolution.CONTENT))
    guard = Middleware(Guard, hosts=page.hosts, token=token, asked=asked)
    handlers = {Refused: site.refused, GiocondaError: site.refused}
    app = Starlette(routes=routes, lifespan=life, middleware=[guard], exception_handlers=handlers)  # type: ignore[arg-type]
    app.state.token, app.state.jobs = token, jobs
    return app


async def _sweep(jobs: Jobs, hours: float) -> None:
    while True:
        await asyncio.sleep(600)
        await asyncio.to_thread(jobs.sweep, hours)


class Site:
    """The handlers of the local page's requests."""

    def __init__(self, page: Page, jobs: Jobs, token: str) -> None:
        self.page, self.jobs, self.token = page, jobs, token
        self.cases = Cases(page.cases or page.folder / "cases", self)
        self.arriving = 0

    # ------------------------------------------------------------------ pages

    def lang(self, request: Request) -> str:
        """The language of the address, else of ``--lang``, else of the browser."""
        wanted = request.query_params.get("lang") or self.page.lang
        if wanted in LANGUAGES:
            return str(wanted)
        return language_of(request.headers.get("accept-language", "").split(",")[0].strip())

    def render(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page of the templates in ``pages``."""
        lang = self.lang(request)
        base = {"languages": NAMES, "token": self.token, "skip": label("skip", lang), "page": self.page}
        return HTMLResponse(_rendered(template, lang, **base, **values), status)

    async def index(self, request: Request) -> Response:
        """The first page: where to drop a clip, and those that were dropped."""
        lang = self.lang(request)
        clips = await asyncio.to_thread(self.jobs.all)
        return self.render(
            request,
            "index.html.jinja",
            rows=[(clip, _BLANK | json.loads(clip.summary)) for clip in clips],
            level_text=lambda level: say(Sentence(f"level.{level}"), lang) if level else "",
            when=lambda seconds: time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds)),
            limit=bytes_text(self.page.limit, lang),
            hours=self.page.hours,
            active=ACTIVE,
            cases=await asyncio.to_thread(self.cases.shown, lang),
        )

    async def refused(self, request: Request, error: Exception) -> Response:
        """Why a request is not served: as a page or, where a script sent something, as JSON."""
        lang, status = self.lang(request), getattr(error, "status_code", 400)
        if request.method in ("GET", "HEAD") and isinstance(error, Refused):
            return self.render(request, "gone.html.jinja", status, what=error.detail)
        # What is on its way is read first, for a moment: a connection closed over unread bytes is reset, and nobody reads why.
        with contextlib.suppress(ClientDisconnect, TimeoutError, RuntimeError, StopAsyncIteration):
            # By the clock, not by asyncio.timeout: Python 3.11's wait_for loses a cancellation that comes with a byte, and who drips stays for ever.
            stream, end = request.stream(), time.monotonic() + 2.0
            while time.monotonic() < end:
                await asyncio.wait_for(anext(stream), 0.2)
        facts = {"hours": self.page.hours, "keep": self.page.keep, "limit": bytes_text(self.page.limit, lang)}
        why = problem(error.what, lang) if isinstance(error, GiocondaError) else label(error.detail, lang, **facts)  # type: ignore[attr-defined]
        headers = {"Connection": "close"} | ({"Retry-After": "5"} if status == 429 else {})
        return JSONResponse({"error": why}, status, headers=headers)

    async def clip(self, request: Request) -> Response:
        """A clip's report, or how far it is."""
        found = self._found(request)
        document = self.jobs.report(found.id) if found.state == "done" else None
        if document is None:
            error = visible(problem(found.error, self.lang(request)))
            return self.render(request, "waiting.html.jinja", clip=found, error=error, active=ACTIVE)
        lang = self.lang(request)
        cases = await asyncio.to_thread(self.cases.shown, lang)
        if found.other:  # both clips are played together, along what they have in common
            both = [one for identity in found.other.split() if (one := self.jobs.get(identity))]
            spans = json.dumps(document.get("spans", []))
            player = _rendered("players.html.jinja", lang, clips=both, spans=spans)
            body = compare_pages.fragment(compare_pages.from_document(document), lang, player)
            return self.render(request, "clip.html.jinja", clip=found, cases=cases, body=safe(body))
        report = as_json.from_document(document)
        kind = _type_of(self.jobs.media(found))
        facts = {"kind": kind, "faces": len(report.tracks), "fps": report.facts.get("fps") or 25}
        facts["start"] = report.facts.get("start") or 0
        player = _rendered("player.html.jinja", lang, clip=found, **facts)
        body = as_html.fragment(report, lang, seek=True, player=player, frames=f"/clips/{found.id}")
        return self.render(request, "clip.html.jinja", clip=found, cases=cases, body=safe(body))

    # ------------------------------------------------------------------ facts

    def _found(self, request: Request) -> Clip:
        return self._there(self.jobs.get(request.path_params["id"].hex))

    def _report(self, request: Request) -> Mapping[str, Any]:
        return self._there(self.jobs.report(request.path_params["id"].hex))

    @staticmethod
    def _there(found: T | None) -> T:
        """What was found; refuses where nothing was."""
        if found is None:
            raise Refused(404, "clip-gone")
        return found

    def _state(self, clip: Clip, lang: str) -> dict[str, Any]:
        stage = label(f"stage-{clip.stage}", lang) if clip.state == "running" and clip.stage else ""
        if clip.of:
            stage = label("frames-of", lang, done=clip.frames, of=clip.of)
        text = label(f"state-{clip.state}", lang)
        if clip.state == "queued":
            text = label("place-in-queue", lang, before=self.jobs.before(clip))
        left = clip.left
        return {
            "left": "" if left is None else label("time-left", lang, seconds=max(1, round(left))),
            "id": clip.id,
            "state": clip.state,
            "share": round(clip.share, 3),
            "active": clip.state in ACTIVE,
            "text": text,
            "stage": stage,
            "error": visible(problem(clip.error, lang)),
        }

    async def states(self, request: Request) -> Response:
        """How far every clip is."""
        lang = self.lang(request)
        return JSONResponse([self._state(clip, lang) for clip in self.jobs.all()])

    async def state(self, request: Request) -> Response:
        """How far one clip is."""
        return JSONResponse(self._state(self._found(request), self.lang(request)))

    async def frames(self, request: Request) -> Response:
        """The archive of a clip's keyframes, made when it is first asked for."""
        path = await asyncio.to_thread(self._archive, request)
        return FileResponse(path, media_type="application/zip", headers=_attachment("keyframes.zip"))

    async def frame(self, request: Request) -> Response:
        """One keyframe at full size."""
        begin = f"keyframe-{request.path_params['number']:02d}-"
        with zipfile.ZipFile(await asyncio.to_thread(self._archive, request)) as archive:
            name = self._there(next((name for name in archive.namelist() if name.startswith(begin)), None))
            return Response(archive.read(name), media_type="image/jpeg")

    def _archive(self, request: Request) -> Path:
        clip, document = self._found(request), self._report(request)
        path = self.jobs.frames_path(clip.id)
        if not path.is_file():
            report = as_json.from_document(document) if not clip.other else None
            full = []
            with contextlib.suppress(MediaError):
                full = keyframes.full(self.jobs.media(clip), report.evidence.keyframes) if report else []
            if report is None or not full:
                raise Refused(404, "clip-gone")
            with atomic_path(path, mode=0o600) as partial:
                partial.write_bytes(keyframes.archive(report.title, report.sha256, full))
        return path

    async def boxes(self, request: Request) -> Response:
        """Where the faces are at which time, for the player's overlay."""
        tracks = self._report(request)["tracks"]
        return JSONResponse({"tracks": [{"id": t["id"], "times": t["times"], "boxes": t["boxes"]} for t in tracks]})

    async def document(self, request: Request) -> Response:
        """The report as JSON, to keep."""
        made = kept(self._report(request), self.lang(request))["json"]()
        return Response(made, media_type="application/json", headers=_attachment("report.json"))

    async def file(self, request: Request) -> Response:
        """The report as one HTML file, to keep."""
        made = kept(self._report(request), self.lang(request))["html"]()
        return HTMLResponse(made, headers=_attachment("report.html"))

    async def media(self, request: Request) -> Response:
        """The clip itself, for the player."""
        clip = self._found(request)
        if clip.other or not self.jobs.media(clip).is_file():
            raise Refused(404, "clip-gone")
        kind = _type_of(self.jobs.media(clip)) or "application/octet-stream"
        # Whatever the bytes are, a browser that opens them by themselves runs nothing.
        headers = {"Content-Security-Policy": "sandbox; default-src 'none'; img-src 'self'; media-src 'self'"}
        return FileResponse(self.jobs.media(clip), media_type=kind, headers=headers)

    async def style(self, request: Request) -> Response:
        """The stylesheet of every page."""
        return Response(stylesheet(as_html.ROOM), media_type="text/css")

    async def script(self, request: Request) -> Response:
        """The script of every page."""
        text = (resources.files("gioconda.serve") / "pages" / "app.js").read_text("utf-8")
        return Response(text, media_type="text/javascript")

    # ------------------------------------------------------------------ changes

    def _room(self) -> None:
        """Refuse what the queue has no room for."""
        if len(self.jobs.all()) >= self.page.keep:
            raise Refused(507, "too-many")

    @staticmethod
    def _queued(clip: Clip) -> Response:
        return JSONResponse({"id": clip.id, "url": f"/clips/{clip.id}"}, 201)

    async def compare(self, request: Request) -> Response:
        """Put a comparison of two clips into the queue."""
        both = [self._there(self.jobs.get(request.query_params.get(name, ""))) for name in ("a", "b")]
        if any(clip.other for clip in both) or both[0].id == both[1].id:
            raise Refused(404, "clip-gone")
        self._room()
        identity = secrets.token_hex(16)
        ids, title = " ".join(clip.id for clip in both), " ↔ ".join(clip.title for clip in both)
        return self._queued(self.jobs.add(identity, title[:200], Path(f"{identity}.none"), 0, ids))

    async def example(self, request: Request) -> Response:
        """Draw a face, sign the clip as what it is, and put it into the queue."""
        self._room()
        identity, path = self.jobs.new_file(".mp4")
        await asyncio.to_thread(draw_example, path)
        return self._queued(self.jobs.add(identity, "example.mp4", path, path.stat().st_size))

    async def cancel(self, request: Request) -> Response:
        """Stop waiting for a clip, or examining it."""
        self.jobs.cancel(request.path_params["id"].hex)
        return Response(status_code=204)

    async def delete(self, request: Request) -> Response:
        """Forget a clip and its report."""
        await asyncio.to_thread(self.jobs.delete, request.path_params["id"].hex)
        return Response(status_code=204)

    async def take(self, request: Request) -> Response:
        """A file as the request's body; refused before it is read where its size is told, and while it is read where not."""
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self.page.limit:
            raise Refused(413, "too-large")
        self._room()
        if shutil.disk_usage(self.page.folder).free < int(length) + SPARE:
            raise Refused(507, "disk-full")
        if self.arriving >= 4:
            raise Refused(429, "too-busy")
        name = unquote(request.headers.get("x-file-name", ""), errors="replace")
        title = visible(name.replace("\\", "/").split("/")[-1], 200)
        suffix = os.path.splitext(title)[1].lower()
        identity, path = self.jobs.new_file(suffix if suffix in TYPES else ".bin")
        self.arriving += 1
        try:
            size = await _receive(request, path, self.page.limit)
        except (ClientDisconnect, TimeoutError, OSError) as error:
            path.unlink(missing_ok=True)
            raise Refused(400, "cut-short") from error
        finally:
            self.arriving -= 1
        if size is None:
            raise Refused(413, "too-large")
        if size == 0:
            path.unlink(missing_ok=True)
            raise Refused(400, "empty-file")
        return self._queued(self.jobs.add(identity, title or "clip", path, size))


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


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="gioconda-{name}"'}


def draw_example(target: Path) -> None:
    """Write a clip of a drawn face, signed with this user's development key as generated."""
    from synth.puppets.perform import perform

    take = perform(5, 2, frames=150, size=320)
    claim = Claim("An example", "self-reenactment", "fake", "puppets", "1")
    with tempfile.TemporaryDirectory() as folder:
        write_video(Path(folder) / "drawn.mp4", take.frames, fps=take.fps)
        sign.sign_file(Path(folder) / "drawn.mp4", target, claim)


def _rendered(template: str, lang: str, **values: Any) -> str:
    """One of the page's own templates, which stand beside those of reports."""
    return as_html.rendered(template, lang, ("gioconda.serve", "pages"), **values)
