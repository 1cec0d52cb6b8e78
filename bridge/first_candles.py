"""The first chart is not empty: the last day's 1 m candles come by REST at start, as a fill."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from msgspec import Struct

from bridge import topics
from bridge.clock import Clock
from bridge.errors import FeedLost, FrameError
from bridge.events import Candle, Symbol
from bridge.exchanges.base import Exchange
from bridge.rest import Priority, Rest
from bridge.sanity import candle_problem
from bridge.streams import Streams
from bridge.topics import State, Topics

log = logging.getLogger(__name__)

INTERVAL = "1m"
MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
TRIES = 3
RETRY_S = 10.0
ROOM_S = 0.2
JOB_EXPIRY_S = 3600


class FirstCandles(Struct):
    """One exchange's job. `known_until(topic)` tells up to when an earlier run has published candles."""

    exchange: Exchange
    rest: Rest
    streams: Streams
    names: Topics
    clock: Clock
    put: Callable[[State], None]
    known_until: Callable[[str], int]
    job: str
    hours: int
    done: int = 0
    total: int = 0
    failed: int = 0

    async def run(self, symbols: Sequence[Symbol]) -> None:
        """Fill symbol by symbol; what cannot be had is logged and told by the job's state."""
        until_ns = self.clock.now_ns() // MINUTE_NS * MINUTE_NS
        since_ns = until_ns - self.hours * HOUR_NS
        self.total = len(symbols)
        self._tell("running", since_ns, until_ns)
        for symbol in symbols:
            try:
                await self._symbol(symbol, since_ns, until_ns)
            except (FeedLost, FrameError) as problem:
                self.failed += 1
                log.warning("%s: no candles of %s by REST: %s", self.exchange.name, symbol, problem)
            self.done += 1
            self._tell("running", since_ns, until_ns)
        self._tell("failed" if self.failed else "done", since_ns, until_ns)

    async def _symbol(self, symbol: Symbol, since_ns: int, until_ns: int) -> None:
        topic = self.names.candle(self.exchange.name, symbol, INTERVAL)
        since_ns = max(since_ns, self.known_until(topic) + MINUTE_NS)
        span_ns = self.exchange.candles_per_request * MINUTE_NS
        while since_ns < until_ns:
            end_ns = min(until_ns, since_ns + span_ns)
            for candle in await self._ask(symbol, since_ns, end_ns):
                # the answer may hold more than was asked: the minute that still forms, above all
                if since_ns <= candle.open_ns < end_ns:
                    await self._publish(topic, candle)
            since_ns = end_ns

    async def _ask(self, symbol: Symbol, since_ns: int, until_ns: int) -> list[Candle]:
        request = self.exchange.candles_request(symbol, INTERVAL, since_ns, until_ns)
        for attempt in range(TRIES):
            try:
                answer = await self.rest.ask(request, Priority.FILL)
                return self.exchange.read_candles(symbol, INTERVAL, answer, self.clock.now_ns())
            except FeedLost:
                if attempt == TRIES - 1:
                    raise
                await asyncio.sleep(RETRY_S)
        raise AssertionError("unreachable")

    async def _publish(self, topic: str, candle: Candle) -> None:
        if (problem := candle_problem(candle, filled=True)) is not None:
            log.warning("%s: a candle of %s is not believed: %s", self.exchange.name, candle.symbol, problem)
            return
        while not self.streams.room_for_fill():
            await asyncio.sleep(ROOM_S)
        body = topics.candle_body(candle)
        self.streams.fill(topic, body, self.job, "rest", candle.open_ns, self.clock.now_ns())

    def _tell(self, state: str, since_ns: int, until_ns: int) -> None:
        reason = f"{self.failed} of {self.total} symbols failed" if self.failed else None
        fields = {
            "kind": "fill",
            "exchange": self.exchange.name,
            "channel": "candles",
            "from_ns": since_ns,
            "to_ns": until_ns,
            "done": self.done,
            "total": self.total,
            "state": state,
            "reason": reason,
        }
        topic = self.names.job(self.job)
        self.put(State(topic, lambda now_ns: topics.state({**fields, "time_ns": now_ns}), qos=1, expiry_s=JOB_EXPIRY_S))
