"""The embedded history as it is asked: what is in memory, then what is in the file.

Questions to the file are answered in one thread of its own.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from bridge.errors import StoreError
from bridge.settings import History as Keep
from dashboard.history.base import INTERVALS_NS, History, Numbered, Page, Sequence, Span, Stored
from dashboard.history.counts import Counts
from dashboard.history.queries import Queries
from dashboard.history.ranges import Pair, cut
from dashboard.history.reader import Reader
from dashboard.history.restore import restored
from dashboard.history.rows import Row, Series, fill_key, run_key, topic_of
from dashboard.history.schema import UNBORN
from dashboard.history.tidy import DAY_NS, days_of

P = ParamSpec("P")
T = TypeVar("T")
NUMBERED = ("prices", "trades", "candles", "gaps", "errors")


class Embedded(History):
    """`reader` is an open file's; how what is in memory comes there is told by those who inherit."""

    def __init__(self, path: Path, reader: Reader, keep: Keep) -> None:
        self.path = path
        self._reader = reader
        self._days = days_of(keep)
        self._read_thread = ThreadPoolExecutor(1, "history-reader")
        self._closed = False
        self._load()

    def _load(self) -> None:
        """Have in memory what the file's journal holds."""
        self._intake, self._committed, self._last = restored(self._reader)
        self._queries = Queries(self._reader, self._committed, self._intake.waiting, self._intake.bars)
        self._counts = Counts(self._reader, self._committed)
        self._silent: dict[int, Row | None] = {}

    # --- rows ---------------------------------------------------------------------------------------
    async def rows(self, kind: str, exchange: str, symbol: str, span: Span) -> Page:
        return await self._ask(self._rows, topic_of(kind, exchange, symbol), span)

    def _rows(self, topic: str, span: Span) -> Page:
        series = self._intake.series.get(topic)
        return Page([]) if series is None else self._queries.rows(series, span)

    async def candles(self, exchange: str, symbol: str, interval: str, span: Span) -> Page:
        return await self._ask(self._candles, exchange, symbol, INTERVALS_NS[interval], span)

    def _candles(self, exchange: str, symbol: str, interval_ns: int, span: Span) -> Page:
        told, built = (self._intake.series.get(topic_of(kind, exchange, symbol, "1m")) for kind in ("candles", "bars"))
        return self._queries.candles(told, built, interval_ns, span)

    async def latest(self) -> list[tuple[str, str, bytes]]:
        return await self._ask(self._latest)

    def _latest(self) -> list[tuple[str, str, bytes]]:
        newest = self._intake.newest
        found = []
        for series in self._series("prices"):
            row = newest.get(series.number) or self._older(series)
            if row is not None:
                found.append((series.exchange, series.symbol, row[-1]))
        return found

    def _older(self, series: Series) -> Row | None:
        """The newest row of a symbol that has not ticked since the last fold before the start; looked for once."""
        if series.number not in self._silent:
            self._silent[series.number] = self._queries.told_last(series)
        return self._silent[series.number]

    async def gaps(self, exchange: str | None, symbol: str | None, span: Span) -> Page:
        return await self._ask(lambda: self._intake.gaps.find(exchange, symbol, span))

    async def errors(self, exchange: str | None, kind: str | None, symbol: str | None, span: Span) -> Page:
        return await self._ask(lambda: self._queries.errors(self._series("errors", exchange), kind, symbol, span))

    async def catalogue(self) -> list[tuple[str, bytes]]:
        return await self._ask(
            lambda: [(exchange, one) for (exchange, _), one in sorted(self._intake.instruments.items())]
        )

    def symbols(self) -> list[Stored]:
        kinds: dict[tuple[str, str], list[str]] = {}
        for series in list(self._intake.series.values()):
            if series.kind in ("prices", "trades", "candles"):
                kinds.setdefault((series.exchange, series.symbol), []).append(series.kind)
        return [Stored(exchange, symbol, tuple(sorted(set(of)))) for (exchange, symbol), of in sorted(kinds.items())]

    # --- what the audit asks ------------------------------------------------------------------------
    async def holds(self) -> Mapping[str, int]:
        return await self._ask(self._holds)

    def _holds(self) -> dict[str, int]:
        """What was pruned once stays away, even if the settings keep rows for longer since then."""
        # like pruning: a clock that is far ahead must not make everything old
        now_ns = min(time.time_ns(), max(self._intake.newest_ns, self._reader.newest_ns()))
        return {
            kind: max(self._reader.since_ns(kind), now_ns - days * DAY_NS if (days := self._days[kind]) else 0)
            for kind in NUMBERED
        }

    async def heard_since(self) -> Mapping[str, int]:
        return await self._ask(self._heard_since)

    def _heard_since(self) -> dict[str, int]:
        born_ns = self._reader.born_ns()
        if born_ns == UNBORN:
            # rows that no recorder brought: whose they are is not known
            born_ns = 0 if self._intake.series else time.time_ns()
        return dict.fromkeys(NUMBERED, born_ns) if born_ns else {}

    async def numbered(self, kind: str, run: int, span: Span, exchange: str | None = None) -> list[Numbered]:
        return await self._ask(self._numbered, kind, exchange, run_key(run), span, Sequence("", run=run))

    async def fill_numbered(self, kind: str, fill: str, span: Span) -> list[Numbered]:
        return await self._ask(self._numbered, kind, None, fill_key(fill), span, Sequence("", fill=fill))

    def _numbered(self, kind: str, exchange: str | None, key: str, span: Span, sequence: Sequence) -> list[Numbered]:
        topics = {one.number: one.topic for one in self._series(kind, exchange)}
        return self._counts.numbered(kind, key, span, topics, sequence)

    async def numbers(self, sequence: Sequence, least: int, greatest: int, span: Span) -> list[Pair]:
        key = fill_key(sequence.fill) if sequence.fill is not None else run_key(sequence.run or 0)
        return cut(await self._ask(self._numbers, sequence.topic, key, span), least, greatest)

    def _numbers(self, topic: str, key: str, span: Span) -> list[Pair]:
        series = self._intake.series.get(topic)
        return [] if series is None else self._counts.numbers(series, key, span)

    async def edges(self, topic: str, run: int, span: Span) -> tuple[int | None, int | None]:
        return await self._ask(self._edges, topic, run_key(run), span)

    def _edges(self, topic: str, key: str, span: Span) -> tuple[int | None, int | None]:
        series = self._intake.series.get(topic)
        return (None, None) if series is None else self._counts.edges(series, key, span)

    # --- helpers ------------------------------------------------------------------------------------
    def _series(self, kind: str, exchange: str | None = None) -> list[Series]:
        every = list(self._intake.series.values())
        return [one for one in every if one.kind == kind and exchange in (None, one.exchange)]

    async def _ask(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._in(self._read_thread, work, *args, **kwargs)

    async def _in(self, thread: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._closed:
            raise StoreError(f"{self.path} is closed")
        return await asyncio.get_running_loop().run_in_executor(thread, lambda: work(*args, **kwargs))

    def status(self) -> dict[str, Any]:
        return {
            "file_bytes": self.path.stat().st_size,
            "series": len(self._intake.series),
            "journal": {kind: memory.rows for kind, memory in self._committed.sizes() if memory.rows},
            "damaged": self._counts.damaged + self._reader.harmed,
            "days": self._days,
        }

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, after what is being answered."""
        self._closed = True
        self._read_thread.shutdown(cancel_futures=True)
        self._reader.close()
