"""A simulated exchange on a real socket, REST and websocket on one port. Each exchange's rules are in its own file."""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import ClassVar

import msgspec
from aiohttp import WSMsgType, web

from bridge.simulator.faults import Faults
from bridge.simulator.line import Line
from bridge.simulator.player import Player
from bridge.simulator.port import SHUTDOWN_S, Answer, Denied, Port, Query, reply
from bridge.simulator.recording import Recorded
from bridge.simulator.truth import REMEMBERED, Truth
from bridge.simulator.values import Bar, Event, Listing, Source

MAX_CLIENT_MESSAGE = 1024 * 1024
MS, S = 1_000_000, 1_000_000_000


class Venue(ABC):
    """One simulated exchange. Its driver calls `beat` often; everything else is answered as clients ask."""

    name: ClassVar[str]

    def __init__(self, listings: Sequence[Listing], source: Source, *, remembered: int = REMEMBERED) -> None:
        self.listings = {one.native: one for one in listings}
        self.source = source
        self.lines: dict[int, Line] = {}
        self.faults = Faults(lambda: list(self.lines.values()))
        self.truth = Truth(remembered)
        self.subscribers: dict[str, dict[Line, None]] = {}
        self.connections = 0
        self.asked: Counter[str] = Counter()
        """REST calls answered, by path."""
        self.now_ns = 0
        self.player: Player | None = None
        self.port = Port(self.name, self._handle)

    @property
    def rest_url(self) -> str:
        """Where REST is."""
        return f"http://{self.port.host}:{self.port.number}"

    # --- what goes out ------------------------------------------------------------------------------
    def beat(self, now_ns: int, events: Sequence[Event]) -> None:
        """Tell these events; once in a second what is due by the clock; then write it all."""
        seconds_passed = now_ns // S != self.now_ns // S
        self.now_ns = now_ns
        for event in events:
            self.publish(event)
        if seconds_passed:
            self.second(now_ns // S)
        now_s = monotonic()
        for line in list(self.lines.values()):
            self.keep(line, now_s)
            if self.player is not None:
                self.player.play(line, now_s, self._replay)
            line.flush()

    def tell(self, topic: str, symbol: str, text: bytes, event: Event | Bar | None = None) -> None:
        """Send a frame to all who subscribed this topic, faults permitting, and remember what was told."""
        went = [self.send(line, topic, symbol, text) for line in list(self.subscribers.get(topic, ()))]
        if any(went):
            self.truth.frame(text)
            if event is not None:
                self.truth.event(event)

    def send(self, line: Line, topic: str, symbol: str, text: bytes) -> bool:
        """Queue a frame for one line, unless the line is at its end or a fault deals with it."""
        shaped = self.shape(line, topic, text)
        if line.frozen or not line.open or self.faults.strike(line, shaped, symbol):
            return False
        line.send(shaped)
        return True

    def _replay(self, line: Line, frame: Recorded) -> None:
        if self.send(line, frame.topic, frame.native, frame.text):
            self.truth.frame(frame.text)

    def shape(self, line: Line, topic: str, text: bytes) -> bytes:
        """The frame as this line wants it."""
        return text

    def join(self, line: Line, topics: Sequence[str]) -> None:
        """Enter a line's subscriptions."""
        line.subscribed_s = monotonic()
        for topic in topics:
            line.topics[topic] = None
            self.subscribers.setdefault(topic, {})[line] = None

    def leave(self, line: Line, topics: Sequence[str]) -> None:
        """Remove a line's subscriptions."""
        for topic in topics:
            line.topics.pop(topic, None)
            lines = self.subscribers.get(topic, {})
            lines.pop(line, None)
            if not lines:
                self.subscribers.pop(topic, None)

    # --- what each exchange says for itself -----------------------------------------------------------
    @abstractmethod
    def publish(self, event: Event) -> None:
        """Tell one event of the market."""

    @abstractmethod
    def second(self, now_s: int) -> None:
        """Tell what is due once a second."""

    @abstractmethod
    def keep(self, line: Line, now_s: float) -> None:
        """On every beat, for every line: pings, time limits. `now_s` is monotonic."""

    @abstractmethod
    def greet(self, line: Line, path: str, query: Query) -> None:
        """A client has connected."""

    @abstractmethod
    def heard(self, line: Line, text: str) -> None:
        """A client has sent a text."""

    def pinged(self, line: Line, payload: bytes) -> None:
        """A client has sent a protocol ping."""
        if not self.faults.ignore_pings:
            line.pong(payload)

    def ponged(self, line: Line) -> None:
        """A client has answered our ping."""
        line.ponged_s = monotonic()

    @property
    @abstractmethod
    def routes(self) -> Mapping[tuple[str, str], Answer]:
        """REST: (method, path) → answer."""

    @abstractmethod
    def denial(self, status: int) -> object:
        """The body that goes with a refusal of everything, or an unknown path (404)."""

    # --- what comes in --------------------------------------------------------------------------------
    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._serve_line(request)
        struck = self.faults.strikes_rest(request.path)
        if struck and self.faults.rest_delay_s:
            await asyncio.sleep(self.faults.rest_delay_s)
        if struck and self.faults.rest_status is not None:
            return self._refuse(self.faults.rest_status)
        answer = self.routes.get((request.method, request.path))
        if answer is None:
            return reply(404, self.denial(404))
        self.asked[request.path] += 1
        try:
            told = answer(request.query)
        except Denied as denied:
            return reply(denied.status, denied.body)
        return reply(200, self.faults.damaged(msgspec.json.encode(told)) if struck else told)

    def _refuse(self, status: int) -> web.Response:
        headers = {} if self.faults.retry_after_s is None else {"Retry-After": str(self.faults.retry_after_s)}
        return reply(status, self.denial(status), headers)

    async def _serve_line(self, request: web.Request) -> web.StreamResponse:
        if self.faults.ws_status is not None:
            return self._refuse(self.faults.ws_status)
        ws = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=MAX_CLIENT_MESSAGE, timeout=SHUTDOWN_S)
        await ws.prepare(request)
        transport = request.transport
        if not isinstance(transport, asyncio.Transport):
            return ws
        line = Line(ws, transport, monotonic())
        self.lines[line.number] = line
        self.connections += 1
        line.listen(hears=not self.faults.deaf)
        try:
            self.greet(line, request.path, request.query)
            line.flush()
            await self._listen(ws, line)
        finally:
            del self.lines[line.number]
            self.leave(line, list(line.topics))
        return ws

    async def _listen(self, ws: web.WebSocketResponse, line: Line) -> None:
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                self.heard(line, message.data)
            elif message.type is WSMsgType.PING:
                self.pinged(line, bytes(message.data))
            elif message.type is WSMsgType.PONG:
                self.ponged(line)
            line.flush()
