"""Connections of the local page: one that asks nothing is closed, so that idle ones never shut others out."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

WAIT = 10.0  # seconds for a request's head to come
MOST = 128  # connections at once; beyond, the one that has been idle longest gives way


class Prompt(H11Protocol):
    """uvicorn's own protocol with a limit on how long a connection may ask nothing."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.since = self.loop.time()
        self._waiting = self.loop.call_later(WAIT, self._give_up)
        if len(self.connections) > MOST:
            idle = [c for c in self.connections if c is not self and isinstance(c, Prompt) and c._idle]
            if idle:
                min(idle, key=lambda c: c.since).transport.close()

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _give_up(self) -> None:
        if self._idle and not self.transport.is_closing():
            self.transport.close()

    def handle_events(self) -> None:
        super().handle_events()
        if self._waiting is not None and self.cycle is not None:
            self._waiting.cancel()
            self._waiting = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        super().connection_lost(exc)
