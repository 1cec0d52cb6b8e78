"""The websocket of `/api/v1/stream`: who may connect, requests and their answers, messages, and how it ends."""

import asyncio
import logging
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from dashboard.answers import refusal
from dashboard.stream.hub import Hub, Reader, Refused

PATH = "/api/v1/stream"
MOST_REQUEST_BYTES = 64 * 1024
PING_S = 20.0
TOO_SLOW = 4008
"""Close code, with the reason as its text."""
LINGER_S = 5.0
"""A reader that does not take even its close frame is cut off after so long."""
log = logging.getLogger(__name__)


class Wish(Struct, forbid_unknown_fields=True):
    """A request. `id` comes back with the answer."""

    subscribe: list[str] = []
    unsubscribe: list[str] = []
    id: int | str | None = None


_decode = msgspec.json.Decoder(Wish).decode


class Stream:
    """The endpoint."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self) -> list[BaseRoute]:
        return [
            Route(PATH, self.plain),
            WebSocketRoute(PATH, self.stream),
            WebSocketRoute("/{path:path}", self.elsewhere),
        ]

    async def plain(self, request: Request) -> Response:
        """A GET without an upgrade."""
        return refusal(f"{PATH} is a websocket", 426, {"upgrade": "websocket"})

    async def elsewhere(self, websocket: WebSocket) -> None:
        await websocket.send_denial_response(refusal(f"the only websocket here is {PATH}", 404))

    async def stream(self, websocket: WebSocket) -> None:
        """One reader from its first to its last message."""
        if stranger(websocket):
            return await websocket.send_denial_response(refusal("pages of other sites may not read here", 403))
        try:
            reader = self._hub.join()
        except Refused as refused:
            return await websocket.send_denial_response(refusal(str(refused), 503, {"retry-after": "10"}))
        try:
            await websocket.accept()
            await self._serve(websocket, reader)
        except WebSocketDisconnect:
            pass
        finally:
            await self._hub.leave(reader)

    async def _serve(self, websocket: WebSocket, reader: Reader) -> None:
        parts = (self._listen(websocket, reader), _send(websocket, reader), reader.overrun())
        tasks = [asyncio.ensure_future(part) for part in parts]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        if reader.waiting.too_slow is not None and websocket.client_state is WebSocketState.CONNECTED:
            log.warning("stream: a reader is sent away: %s", reader.waiting.too_slow)
            await websocket.close(TOO_SLOW, reader.waiting.too_slow)
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def _listen(self, websocket: WebSocket, reader: Reader) -> None:
        """Answer requests, one after the other, until the reader leaves."""
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            told = await self._answer(reader, message.get("bytes") or (message.get("text") or "").encode())
            reader.waiting.answer(msgspec.json.encode(told))
            reader.wake()

    async def _answer(self, reader: Reader, request: bytes) -> dict[str, Any]:
        wish = Wish()
        try:
            wish = _decode(request)
            filters = await self._do(reader, wish)
        except (msgspec.DecodeError, RecursionError) as error:
            told: dict[str, Any] = {"ok": False, "error": f'not like {{"subscribe":[FILTER,...]}}: {error}'[:300]}
        except Refused as refused:
            told = {"ok": False, "error": str(refused)}
        else:
            told = {"ok": True, "subscribed": filters, "broker": self._hub.broker}
        return told if wish.id is None else {"id": wish.id, **told}

    async def _do(self, reader: Reader, wish: Wish) -> list[str]:
        if not wish.subscribe and not wish.unsubscribe:
            raise Refused("nothing to do: give subscribe or unsubscribe a list of filters")
        filters = [*reader.filters]
        if wish.unsubscribe:
            filters = await self._hub.unsubscribe(reader, wish.unsubscribe)
        if wish.subscribe:
            filters = await self._hub.subscribe(reader, wish.subscribe)
        return filters


async def _send(websocket: WebSocket, reader: Reader) -> None:
    while True:
        await websocket.send_text((await reader.next()).decode())


def stranger(websocket: WebSocket) -> bool:
    """Whether a browser says that the page that connects is another site's."""
    origin = websocket.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != websocket.headers.get("host", "").lower()


class Protocol(WebSocketsSansIOProtocol):
    """uvicorn's websocket, but a reader that takes nothing any more cannot hold its socket for ever."""

    async def send(self, message: Any) -> None:
        if self.close_sent:  # the line was given up meanwhile
            raise ClientDisconnected
        if message["type"] == "websocket.close":
            self.writable.set()  # the reason stands behind what was sent, and does not wait for it
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # refused in so many words: uvicorn takes that for a bug

    def on_task_complete(self, task: "asyncio.Task[None]") -> None:
        super().on_task_complete(task)
        self.loop.call_later(LINGER_S, self.transport.abort)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()
