"""Who may talk to the local page: this computer, under its own name, from the page itself.

Covered: other hosts' names resolved to 127.0.0.1 (DNS rebinding), forms and scripts of other sites (CSRF), framing, scripts
and styles from anywhere but our own files, guessing of content types. Not covered: other users and programs of the same
computer, who can open a local port as well as you can.
"""

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "Cache-Control": "no-store",
}
_SAFE = {"GET", "HEAD"}
# What a browser sends to another site without asking it first (Fetch, CORS-safelisted request-header).
_UNASKED = frozenset(("", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded"))


class Guard:
    """ASGI middleware. hosts : the ``Host`` values we answer to; token : what a changing request must carry.

    asked : paths to which this computer's programs may send without the token, of a type that no other site's page can send.
    """

    def __init__(self, app: Any, hosts: frozenset[str], token: str, asked: frozenset[str] = frozenset()) -> None:
        self.app, self.hosts, self.token, self.asked = app, hosts, token, asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no websockets here
            await send({"type": "websocket.close", "code": 1008})
            return
        refusal = self._refusal(scope["method"], scope["path"], Headers(scope=scope))

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Content-Security-Policy", POLICY)
            await send(message)

        if refusal:
            status, why = refusal
            await PlainTextResponse(why, status, headers={"Connection": "close"})(scope, receive, guarded)
        else:
            await self.app(scope, receive, guarded)

    def _refusal(self, method: str, path: str, headers: Headers) -> tuple[int, str] | None:
        hosts = headers.getlist("host")
        if not hosts or not self.hosts.issuperset(hosts):
            return 421, "this page answers only to its own address"
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if method in _SAFE:
            if site in ("cross-site", "same-site") and headers.get("sec-fetch-mode") != "navigate":
                return 403, "other sites may not read this page"
            return None
        if origin is not None and origin not in {f"http://{host}" for host in self.hosts}:
            return 403, "other sites may not change anything here"
        if site is not None and site != "same-origin":
            return 403, "other sites may not change anything here"
        kind = headers.get("content-type", "").split(";", 1)[0].strip().lower()
        if path in self.asked and kind not in _UNASKED:
            return None
        if not hmac.compare_digest(headers.get("x-gioconda-token", "").encode(), self.token.encode()):
            return 403, "the page is out of date: load it again"
        return None
