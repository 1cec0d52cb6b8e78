"""Candles of any interval: minute by minute where that is few, else made of the coarsest rows that serve."""

import asyncio
import time

from dashboard.history.base import INTERVALS_NS, MINUTE_NS, Page, Span
from dashboard.history.candles import gathered, told_first
from dashboard.history.influx.bars import Bars, Window
from dashboard.history.influx.client import Client
from dashboard.history.influx.payloads import payload
from dashboard.history.influx.reads import Reads
from dashboard.history.influx.series import MOST_NS
from dashboard.history.rows import Row

MOST_MINUTES = 10_000
"""Up to so many a page is made minute by minute, every sum exact, a told minute before a built one."""
MOST_MIXED = 8
"""So many windows of a coarse page, the newest, are made by the minute where told candles do not fill them."""
LEVEL = {"1h": "1h", "4h": "1h", "1d": "1d"}
BUDGET_S = 1.5
"""After this long an answer ends early and says where to go on."""


class Charts:
    """Every method raises StoreError."""

    def __init__(self, client: Client, reads: Reads) -> None:
        self._client = client
        self._reads = reads

    async def candles(self, exchange: str, symbol: str, interval: str, span: Span) -> Page:
        """One page. Sums over a coarse page (more than MOST_MINUTES) are floats, told to 13 digits."""
        bars = Bars(self._client, self._reads, exchange, symbol)
        every_ns = INTERVALS_NS[interval]
        to_ns = min(span.to_ns, MOST_NS)
        from_ns = await self._beginning(bars, every_ns, span) if span.from_ns is None else span.from_ns
        start_ns, deadline = -(-from_ns // every_ns) * every_ns, time.monotonic() + BUDGET_S
        found: list[Row] = []
        while start_ns < to_ns and len(found) <= span.limit:
            if (to_ns - start_ns) // MINUTE_NS > MOST_MINUTES:
                start_ns = await self._next_ns(bars, every_ns, start_ns, to_ns)
            if start_ns >= to_ns:
                break
            if found and time.monotonic() > deadline:
                return _page(found, span.limit, start_ns)
            end_ns = min(start_ns + (span.limit + 1 - len(found)) * every_ns, -(-to_ns // every_ns) * every_ns)
            found += await self._window(bars, interval, Window(start_ns, end_ns, every_ns))
            start_ns = end_ns
        return _page(found, span.limit, None)

    async def _window(self, bars: Bars, interval: str, window: Window) -> list[Row]:
        if (window.to_ns - window.from_ns) // MINUTE_NS <= MOST_MINUTES:
            return gathered(await self._minutes(bars, window), window.every_ns)
        return await self._coarse(bars, interval, window)

    async def _minutes(self, bars: Bars, window: Window) -> list[Row]:
        from_ns, to_ns = window.from_ns, window.to_ns
        series = bars.told_series if window.every_ns == MINUTE_NS else bars.told_numbers
        told = await self._reads.all(series, from_ns, to_ns)
        rows = [(at, payload("candles", {**fields, "time_ns": str(at)})) for at, fields in told if "close" in fields]
        there = {at for at, _ in rows}
        missing = [at for at in range(from_ns, to_ns, MINUTE_NS) if at not in there]
        if not missing:
            return rows
        return told_first(rows, await self._built(bars, Window(missing[0], missing[-1] + MINUTE_NS)))

    async def _built(self, bars: Bars, window: Window) -> list[Row]:
        """Windows of 1 m roll-ups, and of raw rows from the newest roll-up on, if they are there."""
        raw_ns = await bars.rolled_up_to("1m", window)
        raw_ns -= raw_ns % window.every_ns
        rolled, raw = await asyncio.gather(
            bars.rollups("1m", Window(window.from_ns, raw_ns + window.every_ns, window.every_ns)),
            bars.raw(Window(raw_ns, window.to_ns, window.every_ns)),
        )
        return sorted({**dict(rolled), **dict(raw)}.items())

    async def _coarse(self, bars: Bars, interval: str, window: Window) -> list[Row]:
        told = dict(await bars.told(window))
        counts = await bars.told_minutes(window)
        whole = window.every_ns // MINUTE_NS
        built = await self._coarsely_built(bars, interval, window, told, counts)
        rows = {**built, **told}
        mixed = [start_ns for start_ns in sorted(told) if counts.get(start_ns, 0) < whole and start_ns in built]
        for start_ns in mixed[-MOST_MIXED:]:
            minutes = await self._minutes(bars, Window(start_ns, start_ns + window.every_ns, window.every_ns))
            rows.update(gathered(minutes, window.every_ns))
        return gathered(sorted(rows.items()), window.every_ns)

    async def _coarsely_built(
        self, bars: Bars, interval: str, window: Window, told: dict[int, bytes], counts: dict[int, int]
    ) -> dict[int, bytes]:
        """Windows of built rows; none is asked for where the exchange told every minute of all."""
        whole = window.every_ns // MINUTE_NS
        if len(told) * window.every_ns == window.to_ns - window.from_ns and min(counts.values(), default=0) == whole:
            return {}
        level = LEVEL.get(interval, "1m")
        fine_ns = await bars.rolled_up_to(level, window)
        fine_ns -= fine_ns % window.every_ns
        rolled = await bars.rollups(level, Window(window.from_ns, fine_ns + window.every_ns, window.every_ns))
        return {**dict(rolled), **dict(gathered(await self._finer(bars, window, fine_ns), window.every_ns))}

    async def _finer(self, bars: Bars, window: Window, from_ns: int) -> list[Row]:
        """Of finer rows, from the newest row of a level on: by the minute if that is little."""
        rest = Window(from_ns, window.to_ns, window.every_ns)
        if (rest.to_ns - rest.from_ns) // MINUTE_NS <= MOST_MINUTES:
            return await self._built(bars, Window(rest.from_ns, rest.to_ns))
        return await self._built(bars, rest)

    async def _beginning(self, bars: Bars, every_ns: int, span: Span) -> int:
        """Where the newest `limit` candles begin."""
        to_ns = min(span.to_ns, MOST_NS)
        edges = await asyncio.gather(*(self._reads.edge_ns(series, "last", 0, to_ns) for series in bars.sources()))
        end_ns = min(to_ns, max(edges) + 1)
        return max(0, -(-end_ns // every_ns) - span.limit) * every_ns

    async def _next_ns(self, bars: Bars, every_ns: int, start_ns: int, to_ns: int) -> int:
        """Where from `start_ns` on there are rows: emptiness is jumped over."""
        asked = (self._reads.edge_ns(series, "first", start_ns, to_ns) for series in bars.sources())
        first_ns = min(await asyncio.gather(*asked))
        return to_ns if first_ns >= to_ns else first_ns - first_ns % every_ns


def _page(rows: list[Row], limit: int, complete_ns: int | None) -> Page:
    next_ns = rows[limit][0] if len(rows) > limit else complete_ns
    return Page([row for _, row in rows[:limit]], next_ns)
