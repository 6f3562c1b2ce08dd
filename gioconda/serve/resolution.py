"""C2PA's Soft Binding Resolution API (2.4) on the local page: programs of this computer may ask the user's archive for lost credentials.

Offered: matches by binding and by content, manifests by id, the algorithms known. Not offered: storing, and fetching somebody's address
(``byReference``), since this page speaks to nobody.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gioconda_core.documents import plain
from gioconda_core.errors import GiocondaError
from provenance.watermark import repository, resolution
from provenance.watermark.repository import ALGORITHMS, Binding, Match

CONTENT = f"{resolution.PREFIX}/matches/byContent"
BINDING = f"{resolution.PREFIX}/matches/byBinding"
_MOST = 100
_BODY = 1 << 16  # bytes of a binding


class Resolution:
    """The handlers of the API's requests. receive : writes a request's body to a file and gives its size, None where it is over the limit."""

    def __init__(self, folder: Path, limit: int, receive: Any) -> None:
        self.folder, self.limit, self.receive = folder, limit, receive
        self.turn = asyncio.Semaphore(1)  # decoding takes a core

    def routes(self) -> list[Route]:
        """The addresses of the API that are answered."""
        return [
            Route(BINDING, self.by_binding, methods=["GET", "POST"]),
            Route(CONTENT, self.by_content, methods=["POST"]),
            Route(f"{resolution.PREFIX}/manifests/{{id:path}}", self.manifest),
            Route(f"{resolution.PREFIX}/services/supportedAlgorithms", self.algorithms),
        ]

    async def algorithms(self, _: Request) -> Response:
        """GET /services/supportedAlgorithms."""
        return JSONResponse(plain(resolution.supported()))

    async def by_binding(self, request: Request) -> Response:
        """GET and POST /matches/byBinding."""
        given: Any = dict(request.query_params)
        if request.method == "POST":
            try:
                body = await _body(request)
                given = json.loads(body) if body is not None else None
            except (ValueError, RecursionError, ClientDisconnect):
                given = None
        if not isinstance(given, dict) or not isinstance(given.get("value"), str) or not given["value"]:
            return _error("alg and value are asked for")
        if given.get("alg") not in ALGORITHMS:
            return _error(f"alg is one of {', '.join(ALGORITHMS)}")
        try:
            binding = Binding(given["alg"], resolution.decoded(given["value"]))
        except ValueError as error:
            return _error(str(error))
        return await _answer(request, [binding])

    async def by_content(self, request: Request) -> Response:
        """POST /matches/byContent: the file as the body; it is deleted at once."""
        async with self.turn:
            with TemporaryDirectory(dir=self.folder) as folder:
                path = Path(folder) / "asset"
                try:
                    if await self.receive(request, path, self.limit) is None:
                        return _error("the file is too large", 413)
                    found = await asyncio.to_thread(repository.bindings_of, path)
                except (ClientDisconnect, TimeoutError):
                    return _error("the file did not arrive", 400)
                except GiocondaError:
                    return _error("this kind of file is not read, or it is damaged", 415)
        wanted = request.query_params.get("alg")
        return await _answer(request, [item for item in found if wanted in (None, item.algorithm)])

    async def manifest(self, request: Request) -> Response:
        """GET /manifests/{manifestId}."""
        found = await asyncio.to_thread(repository.recover, request.path_params["id"])
        if found is None:
            return _error("no such manifest", 404)
        return Response(found.manifest, media_type="application/c2pa")


async def _answer(request: Request, bindings: Sequence[Binding]) -> Response:
    text = request.query_params.get("maxResults", str(repository.MOST))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= _MOST:
        return _error(f"maxResults is a number from 1 to {_MOST}")
    found: dict[str, Match] = {}
    for binding in bindings:
        for match in await asyncio.to_thread(repository.matches, binding, int(text)):
            found.setdefault(match.manifest_id, match)
    return JSONResponse(plain(resolution.Matches.of(list(found.values())[: int(text)])))


async def _body(request: Request) -> bytes | None:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _BODY:
            return None
    return bytes(body)


def _error(why: str, status: int = 400) -> Response:
    return JSONResponse({"error": why}, status)
