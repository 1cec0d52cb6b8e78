"""Candles that nobody told yet, by REST. What was told is remembered, so that nothing is told twice."""

from collections.abc import Callable

from msgspec import Struct

from bridge.coverage import Coverage
from bridge.events import Symbol
from bridge.fills.asking import Asker
from bridge.fills.jobs import Progress
from bridge.fills.telling import Teller
from bridge.topics import INTERVALS_NS


class CandleFill(Struct):
    """Fills stretches of one exchange's candles."""

    asker: Asker
    teller: Teller
    coverage: Coverage

    def missing(self, symbol: Symbol, interval: str, since_ns: int, until_ns: int) -> list[tuple[int, int]]:
        """The stretches between whole intervals of which nothing was told."""
        step_ns = INTERVALS_NS[interval]
        since_ns, until_ns = since_ns // step_ns * step_ns, -(-until_ns // step_ns) * step_ns
        found = self.coverage.missing(self._topic(symbol, interval), since_ns, until_ns)
        # what is covered begins and ends with candles, so these do too, unless the interval was lost in parts
        return [(first // step_ns * step_ns, -(-last // step_ns) * step_ns) for first, last in found]

    async def fill(
        self, symbol: Symbol, interval: str, span: tuple[int, int], job: Progress, step: Callable[[int], None]
    ) -> int:
        """Bring one stretch; `step` hears how many intervals are done. How many candles were not believed."""
        refused = 0
        page_ns = self.asker.exchange.candles_per_request * INTERVALS_NS[interval]
        since_ns, until_ns = span
        while since_ns < until_ns:
            end_ns = min(until_ns, since_ns + page_ns)
            refused += await self._page(symbol, interval, (since_ns, end_ns), job)
            step((end_ns - since_ns) // INTERVALS_NS[interval])
            since_ns = end_ns
        return refused

    async def _page(self, symbol: Symbol, interval: str, span: tuple[int, int], job: Progress) -> int:
        topic, step_ns = self._topic(symbol, interval), INTERVALS_NS[interval]
        told_ns, refused = span[0], 0
        try:
            for candle in await self.asker.candles(symbol, interval, *span):
                if self.coverage.missing(topic, candle.open_ns, candle.open_ns + step_ns) or job.again:
                    refused += not await self.teller.candle(candle, job)
                told_ns = candle.open_ns + step_ns
            told_ns = span[1]
        finally:  # cancelled in the middle, the next time goes on from here
            self.coverage.add(topic, span[0], told_ns)
        return refused

    def _topic(self, symbol: Symbol, interval: str) -> str:
        return self.teller.names.candle(self.teller.exchange, symbol, interval)
