"""Told rows on their way to the outbox as fills: checked, admitted while there is room, counted."""

import asyncio
import logging

from msgspec import Struct

from bridge import topics
from bridge.clock import Clock
from bridge.events import Candle, Trade
from bridge.fills.jobs import Progress
from bridge.fills.places import kept_from_ns
from bridge.sanity import candle_problem, trade_problem
from bridge.settings import Settings
from bridge.streams import Streams
from bridge.topics import Topics

log = logging.getLogger(__name__)

ROOM_S = 0.05
BLOCK = 100
"""After so many rows everybody else has a turn."""


class Teller(Struct):
    """Publishes the rows of one exchange's jobs."""

    exchange: str
    names: Topics
    streams: Streams
    clock: Clock
    settings: Settings

    async def trade(self, trade: Trade, row_ns: int, job: Progress) -> bool:
        """One trade, at its row's time. Whether it was told; what is not believed or too old is not."""
        problem = trade_problem(trade, filled=True)
        try:
            body = topics.trade_body(trade, row_ns) if problem is None else ""
        except ValueError as error:
            problem = str(error)
        topic = self.names.trade(self.exchange, trade.symbol)
        if problem is not None:
            return self._refuse(trade.symbol, problem)
        return await self._tell("trades", topic, body, row_ns, job)

    async def candle(self, candle: Candle, job: Progress) -> bool:
        """One candle. Whether it was told; what is not believed or too old is not."""
        if (problem := candle_problem(candle, filled=True)) is not None:
            return self._refuse(candle.symbol, problem)
        topic = self.names.candle(self.exchange, candle.symbol, candle.interval)
        return await self._tell("candles", topic, topics.candle_body(candle), candle.open_ns, job)

    async def _tell(self, channel: str, topic: str, body: str, row_ns: int, job: Progress) -> bool:
        while not self.streams.room_for_fill():
            await asyncio.sleep(ROOM_S)
        if row_ns < kept_from_ns(channel, self.settings, self.clock.now_ns()):
            return False  # it may have grown too old only while it waited for its turn
        self.streams.fill(topic, body, job.id, "rest", row_ns, self.clock.now_ns())
        job.rows += 1
        if job.rows % BLOCK == 0:
            await asyncio.sleep(0)
        return True

    def _refuse(self, symbol: str, problem: str) -> bool:
        log.warning("%s: a row of %s that REST told is not believed: %s", self.exchange, symbol, problem)
        return False
