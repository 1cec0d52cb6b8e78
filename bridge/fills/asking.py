"""Asks an exchange for what is over, through the one REST runner, again and again where it fails."""

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from bridge.backoff import Backoff
from bridge.clock import Clock
from bridge.errors import FeedLost, FeedRefused, FrameError
from bridge.events import Candle, Symbol, Trade
from bridge.exchanges.base import Exchange, HttpRequest, TradesFrom
from bridge.rest import Priority, Rest
from bridge.topics import INTERVALS_NS

log = logging.getLogger(__name__)
T = TypeVar("T")

TRIES = 4
BACKOFF_FIRST_S = 0.5
BACKOFF_MOST_S = 20.0
ASKS_MOST = 20
"""Of one stretch of candles: an answer that is shorter than it should be is asked for the rest so often."""


class Asker(Struct):
    """One exchange's REST for fills (or backfills, by `priority`). All raise FeedLost or FrameError after `TRIES`."""

    exchange: Exchange
    rest: Rest
    clock: Clock
    priority: Priority = Priority.FILL

    async def trades(self, symbol: Symbol, start: TradesFrom) -> list[Trade]:
        """One answer's trades, by number."""
        request = self.exchange.trades_request(symbol, start)
        return await self._ask(request, lambda answer, now_ns: self.exchange.read_trades(symbol, answer, now_ns))

    async def candles(self, symbol: Symbol, interval: str, since_ns: int, until_ns: int) -> list[Candle]:
        """All candles that open in [since, until), oldest first; no more than `candles_per_request` fit in there.

        An answer may be cut short without saying so, so what it leaves out at its edges is asked for again, until an
        answer brings nothing: then there is nothing.
        """
        step_ns = INTERVALS_NS[interval]
        found: dict[int, Candle] = {}
        spans = [(since_ns, until_ns)]
        for _ in range(ASKS_MOST):
            if not spans:
                return [found[at] for at in sorted(found)]
            first, last = spans.pop()
            opens = await self._page(symbol, interval, first, last, found)
            if opens:
                edges = ((first, opens[0]), (opens[-1] + step_ns, last))
                spans += [(since, until) for since, until in edges if since < until]
        raise FrameError(f"candles of {symbol}: {ASKS_MOST} answers did not tell the whole stretch")

    async def _page(
        self, symbol: Symbol, interval: str, since_ns: int, until_ns: int, found: dict[int, Candle]
    ) -> list[int]:
        """Ask once; the open times that were new, in order."""
        step_ns = INTERVALS_NS[interval]
        request = self.exchange.candles_request(symbol, interval, since_ns, until_ns)
        rows = await self._ask(
            request, lambda answer, now_ns: self.exchange.read_candles(symbol, interval, answer, now_ns)
        )
        # the answer may hold more than was asked: the one that still forms, above all
        new = {
            row.open_ns: row
            for row in rows
            if since_ns <= row.open_ns < until_ns and row.open_ns % step_ns == 0 and row.open_ns not in found
        }
        found.update(new)
        return sorted(new)

    async def _ask(self, request: HttpRequest, read: Callable[[bytes, int], T]) -> T:
        backoff = Backoff(BACKOFF_FIRST_S, BACKOFF_MOST_S)
        for tries in range(1, TRIES + 1):
            try:
                return read(await self.rest.ask(request, self.priority), self.clock.now_ns())
            except (FeedLost, FrameError) as problem:
                if tries == TRIES:
                    raise
                # what the exchange itself says of when to come back is the REST runner's to keep
                delay_s = 0.0 if isinstance(problem, FeedRefused) and problem.retry_after_s else backoff.next()
                log.debug("%s: %s; asked again in %.1f s", self.exchange.name, problem, delay_s)
                await asyncio.sleep(delay_s)
        raise AssertionError("unreachable")
