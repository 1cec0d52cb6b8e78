"""How many programs may be connected at once, and how long they may say nothing: files that are open are scarce.

Without this, somebody who connects and never asks could take every one of them, also those that the store needs.
"""

import asyncio
import logging
import time
from asyncio import AbstractServer
from typing import Any, ClassVar

import uvloop
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

MOST_CONNECTIONS = 200
"""Websockets included. Most systems let a process have 1,024 files open, a Mac 256."""
REQUEST_S = 10.0
"""So long may a request take to come; who is slower is hung up on within twice the time."""
TELL_S = 60.0
log = logging.getLogger(__name__)


class Loop(uvloop.Loop):
    """A loop whose servers give up a TLS handshake that takes too long: `Http` hears only of those that ended."""

    async def create_server(  # type: ignore[override]  # passes on all it is given
        self, *arguments: Any, **more: Any
    ) -> AbstractServer:
        if more.get("ssl") is not None:
            more.setdefault("ssl_handshake_timeout", REQUEST_S)
        return await super().create_server(*arguments, **more)


class Http(H11Protocol):
    """uvicorn's HTTP, bounded."""

    _told_s: ClassVar[float] = -TELL_S
    _seen: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self._tell()
            transport.abort()
        else:
            self.loop.call_later(REQUEST_S, self._look)

    def _look(self) -> None:
        """Hang up if no request came since the last look."""
        if self not in self.connections:  # closed, or a websocket by now
            return
        asked: RequestResponseCycle | None = self.cycle
        if asked is self._seen and (asked is None or asked.response_complete):
            self.transport.abort()
            return
        self._seen = asked
        self.loop.call_later(REQUEST_S, self._look)

    @classmethod
    def _tell(cls) -> None:
        now_s = time.monotonic()
        if now_s - cls._told_s >= TELL_S:
            cls._told_s = now_s
            log.warning("the page: more than %d connections: further ones are closed", MOST_CONNECTIONS)
