"""How long a connection may say nothing: files that are open are scarce. How many there may be: `listener.py`."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

REQUEST_S = 10.0
"""So long may a request take to come; who is slower is hung up on within twice the time."""


class Http(H11Protocol):
    """uvicorn's HTTP, bounded."""

    _seen: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
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
