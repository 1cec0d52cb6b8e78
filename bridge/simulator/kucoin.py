"""A simulated KuCoin: the classic public websocket with its rules. Source: KuCoin's documentation and recordings.

Tickers go out on every change (the real one gathers them on a grid of 100 ms).
"""

from collections.abc import Mapping, Sequence
from secrets import token_hex
from time import monotonic, time_ns
from typing import Any

import msgspec
from msgspec import Struct

from bridge.simulator import kucoin_frames as frames
from bridge.simulator.kucoin_rest import KuCoinRest, Tokens
from bridge.simulator.line import Line
from bridge.simulator.port import Answer, Query
from bridge.simulator.truth import REMEMBERED
from bridge.simulator.values import Deal, Event, Listing, Quote, Source
from bridge.simulator.venue import MS, Venue

_TICKER, _MATCH, _SNAPSHOT, _CANDLES = "/market/ticker:", "/market/match:", "/market/snapshot:", "/market/candles:"
_LISTED = (_TICKER, _MATCH, _SNAPSHOT)
ALL = _TICKER + "all"


class KuCoinRules(Struct, frozen=True):
    """KuCoin's limits, as it states them; tests make the times shorter."""

    ping_interval_ms: int = 18_000
    ping_timeout_s: float = 60.5
    token_life_s: float = 86_400.0
    line_life_s: float = 86_400.0
    symbols_per_subscribe: int = 100
    topics_per_line: int = 400
    messages: int = 100
    messages_window_s: float = 10.0


class KuCoin(Venue):
    """KuCoin on a real socket."""

    name = "kucoin"

    def __init__(
        self,
        listings: Sequence[Listing],
        source: Source,
        *,
        rules: KuCoinRules | None = None,
        remembered: int = REMEMBERED,
    ) -> None:
        super().__init__(listings, source, remembered=remembered)
        self.rules = rules or KuCoinRules()
        self.tokens = Tokens(self.rules.token_life_s)
        self.rest = KuCoinRest(self.listings, source, self.tokens)
        self.rest.endpoint = lambda: f"ws://{self.port.host}:{self.port.number}/endpoint"
        self.rest.ping_interval_ms = self.rules.ping_interval_ms
        self._unsaid: dict[str, int] = {}
        self._minutes: dict[str, int] = {}

    @property
    def routes(self) -> Mapping[tuple[str, str], Answer]:
        return self.rest.routes

    def denial(self, status: int) -> object:
        return {
            "code": "429000" if status == 429 else f"{status}000",
            "msg": "Too Many Requests" if status == 429 else "",
        }

    # --- the line -----------------------------------------------------------------------------------
    def greet(self, line: Line, path: str, query: Query) -> None:
        line_id = query.get("connectId") or token_hex(5)
        if self.faults.refuse_tokens or not self.tokens.use(query.get("token", "")):
            line.send(frames.error(line_id, 401, "token is invalid"))
            line.close(1000, "Bye")
            return
        line.send(msgspec.json.encode({"id": line_id, "type": "welcome"}))

    def keep(self, line: Line, now_s: float) -> None:
        if now_s - line.heard_s > self.rules.ping_timeout_s:
            line.send(frames.error(token_hex(5), 400, "ping timeout"))
            line.close(1000, "Bye")
        elif now_s - line.born_s > self.rules.line_life_s:
            line.close(1000, "Bye")

    def heard(self, line: Line, text: str) -> None:
        line.heard_s = monotonic()
        if line.too_often(line.heard_s, self.rules.messages, self.rules.messages_window_s):
            line.send(frames.error(token_hex(5), 509, "exceed max permits per second"))
            return
        try:
            told = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.DecodeError:
            line.send(frames.error(token_hex(5), 400, "request is invalid"))
            return
        kind, request_id = told.get("type"), told.get("id", "")
        if kind == "ping":
            self._pong(line, request_id)
        elif kind in ("subscribe", "unsubscribe"):
            self._subscribe(line, told)
        else:
            line.send(frames.error(request_id, 415, "type is not supported"))

    def _pong(self, line: Line, request_id: object) -> None:
        if not self.faults.ignore_pings:
            now_us = time_ns() // 1000
            line.send(msgspec.json.encode({"id": str(request_id), "type": "pong", "timestamp": now_us}))

    def _subscribe(self, line: Line, told: dict[str, Any]) -> None:
        request_id, topic = told.get("id", ""), told.get("topic")
        topics = _topics(topic) if isinstance(topic, str) else []
        if problem := self._problem(line, topic, topics, adds=told["type"] == "subscribe"):
            line.send(frames.error(request_id, *problem))
            return
        if told["type"] == "subscribe":
            self.join(line, topics)
        else:
            self.leave(line, topics)
        if told.get("response") is True:
            line.send(msgspec.json.encode({"id": str(request_id), "type": "ack"}))

    def _problem(self, line: Line, topic: object, topics: list[str], *, adds: bool) -> tuple[int, str] | None:
        limit = "exceed max subscription count limitation of"
        if not topic:
            return 406, "topic is required"
        if not topics:
            return 404, "topic does not exist"
        if len(topics) > self.rules.symbols_per_subscribe:
            return 509, f"{limit} {self.rules.symbols_per_subscribe} per time"
        if adds and len(line.topics.keys() | set(topics)) > self.rules.topics_per_line:
            return 509, f"{limit} {self.rules.topics_per_line} per session"
        return None

    # --- what is told -------------------------------------------------------------------------------
    def publish(self, event: Event) -> None:
        if isinstance(event, Quote):
            topic = _TICKER + event.native
            if topic in self.subscribers:
                self.tell(topic, event.native, frames.ticker(event, topic, "trade.ticker"), event)
            if ALL in self.subscribers:
                self.tell(ALL, event.native, frames.ticker(event, ALL, event.native), event)
            return
        topic = _MATCH + event.native
        if topic in self.subscribers:
            self.tell(topic, event.native, frames.match(event, topic), event)
        self._chart(event)

    def second(self, now_s: int) -> None:
        for native in list(self._unsaid):
            self._say_candle(native, self._unsaid.pop(native), "trade.candles.update")
        if now_s % 2 == 0:
            for topic in [topic for topic in self.subscribers if topic.startswith(_SNAPSHOT)]:
                self._say_snapshot(topic)

    def _chart(self, deal: Deal) -> None:
        """A minute's first trade is told at once, after the last state of the minute before; others once a second."""
        native, minute = deal.native, deal.time_ms // 60_000
        if self._minutes.get(native) == minute:
            self._unsaid[native] = minute
            return
        if native in self._unsaid:
            self._say_candle(native, self._unsaid.pop(native), "trade.candles.update")
        self._minutes[native] = minute
        self._say_candle(native, minute, "trade.candles.add")

    def _say_candle(self, native: str, minute: int, subject: str) -> None:
        topic = f"{_CANDLES}{native}_1min"
        if topic in self.subscribers:
            for bar in self.source.bars(native, minute * 60, minute * 60 + 60, flat=False):
                self.tell(topic, native, frames.candles(bar, topic, subject, self.now_ns), bar)

    def _say_snapshot(self, topic: str) -> None:
        listing = self.listings.get(topic.removeprefix(_SNAPSHOT))
        if listing is None:
            return
        quote, day = self.source.quote(listing.native), self.source.day(listing.native)
        if quote is not None and day is not None:
            self.tell(topic, listing.native, frames.snapshot(listing, quote, day, topic, self.now_ns // MS))


def _topics(topic: str) -> list[str]:
    """Every single topic that a subscription asks for; none if KuCoin has no such topic."""
    for prefix in _LISTED:
        if topic.startswith(prefix):
            return [prefix + native for native in topic.removeprefix(prefix).split(",") if native]
    return [topic] if topic.startswith(_CANDLES) and "_" in topic else []
