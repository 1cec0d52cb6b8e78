"""The embedded history: what the recorder hears goes in, what the API asks comes out.

`append` and `commit` belong to the event loop's thread; the file is written by one thread of its own and read by
another. Rows travel from a layer to committed memory to a segment, and queries look in that order (see memory.py).
"""

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from bridge.errors import StoreError
from bridge.settings import History as Keep
from dashboard.history.base import INTERVALS_NS, History, Page, Span, Stored
from dashboard.history.intake import Intake
from dashboard.history.memory import Committed, Layer
from dashboard.history.queries import Queries
from dashboard.history.reader import Reader, Want
from dashboard.history.rows import KINDS, Row, Series, read_mark, series_of
from dashboard.history.schema import lock_file
from dashboard.history.tidy import Tidy, days_of
from dashboard.history.writer import Writer

P = ParamSpec("P")
T = TypeVar("T")


class SqliteHistory(History):
    """One file. Opening it raises StoreError, with the cure, if it cannot be used; then it is left as it is."""

    def __init__(self, path: Path, keep: Keep) -> None:
        self.path = path
        self._lock = lock_file(path)
        try:
            self._writer = Writer(path)
            self._reader = Reader(path, self._writer.packing)
            self._intake = Intake()
            self._committed = Committed()
            self._restore()
        except BaseException:
            os.close(self._lock)
            raise
        self._days = days_of(keep)
        self._tidy = Tidy(self._writer, self._committed, self._intake.bars.parts, keep)
        self._queries = Queries(self._reader, self._committed, self._intake.waiting, self._intake.bars)
        self._write_thread = ThreadPoolExecutor(1, "history-writer")
        self._read_thread = ThreadPoolExecutor(1, "history-reader")
        self._commits = 0
        self._silent: dict[int, Row | None] = {}
        self._closed = False
        self._sizes = self._writer.sizes()

    def _restore(self) -> None:
        """Have in memory again what the journal holds, and the newest state of every gap."""
        intake, names = self._intake, {}
        for topic, number in self._writer.topics().items():
            names[number] = intake.series[topic] = series_of(number, topic)
        for series in names.values():
            if series.kind == "gaps":
                for _, payload in self._reader.scan("gaps", series.number, Want())[0]:
                    intake.gaps.note(series.exchange, payload)
        for kind in KINDS:
            intake.heard[kind] = self._writer.heard(kind)
            self._committed.heard[kind] = self._writer.heard(kind)
        layer = self._journal(names)
        self._committed.absorb(layer)
        for kind, heard in layer.heard.items():
            intake.heard[kind].update(heard)

    def _journal(self, names: dict[int, Series]) -> Layer:
        layer = Layer()
        for _, number, payload in self._writer.journal():
            mark = read_mark(payload)
            layer.add(names[number], mark, payload)
            self._intake.note(names[number], mark, payload)
        # bars of minutes that are over stand in the journal themselves
        self._intake.bars.close()
        return layer

    # --- the recorder's side ------------------------------------------------------------------------
    def append(self, topic: str, payload: bytes) -> bool:
        """Take a message (topic without prefix); False if it is a repeat. Raises FrameError if it cannot be stored."""
        return self._intake.append(topic, payload)

    @property
    def waiting_rows(self) -> int:
        """Rows that are not on disk yet."""
        return self._intake.waiting_rows

    async def commit(self) -> None:
        """Have on disk what was appended until now. Raises StoreError: then it waits for the next commit."""
        self._intake.seal()
        if self._intake.layers:
            await self._in(self._write_thread, self._commit)

    async def tidy(self) -> None:
        """Fold, merge and prune what is due. Raises StoreError; nothing is lost then."""
        await self._in(self._write_thread, self._tidy_now)

    def _commit(self) -> None:
        layers = list(self._intake.layers)
        self._writer.commit(layers)
        for layer in layers:
            self._committed.absorb(layer)
        del self._intake.layers[: len(layers)]
        self._commits += 1

    def _tidy_now(self) -> None:
        before = self._tidy.folds + self._tidy.pruned
        # a clock that is far ahead (a Pi has none of its own) must not prune everything: no later than the newest row
        self._tidy.run(min(time.time_ns(), self._intake.newest_ns), time.monotonic())
        if self._tidy.folds + self._tidy.pruned != before:
            self._sizes = self._writer.sizes()

    # --- the API's side -----------------------------------------------------------------------------
    async def rows(self, kind: str, exchange: str, symbol: str, span: Span) -> Page:
        series = self._intake.series.get("/".join(part for part in (kind, exchange, symbol) if part))
        if series is None:
            return Page([])
        return await self._in(self._read_thread, self._queries.rows, series, span)

    async def candles(self, exchange: str, symbol: str, interval: str, span: Span) -> Page:
        told, built = (
            self._intake.series.get("/".join((kind, exchange, symbol, "1m"))) for kind in ("candles", "bars")
        )
        return await self._in(self._read_thread, self._queries.candles, told, built, INTERVALS_NS[interval], span)

    async def latest(self) -> list[tuple[str, str, bytes]]:
        return await self._in(self._read_thread, self._latest)

    def _latest(self) -> list[tuple[str, str, bytes]]:
        newest = self._intake.newest
        found = []
        for series in list(self._intake.series.values()):
            if series.kind == "prices":
                row = newest.get(series.number) or self._older(series)
                if row is not None:
                    found.append((series.exchange, series.symbol, row[-1]))
        return found

    def _older(self, series: Series) -> Row | None:
        """The newest row of a symbol that has not ticked since the start; looked for once."""
        if series.number not in self._silent:
            self._silent[series.number] = self._queries.newest(series)
        return self._silent[series.number]

    async def gaps(self, exchange: str | None, symbol: str | None, span: Span) -> Page:
        return self._intake.gaps.find(exchange, symbol, span)

    def symbols(self) -> list[Stored]:
        kinds: dict[tuple[str, str], list[str]] = {}
        for series in list(self._intake.series.values()):
            if series.kind in ("prices", "trades", "candles"):
                kinds.setdefault((series.exchange, series.symbol), []).append(series.kind)
        return [Stored(exchange, symbol, tuple(sorted(set(of)))) for (exchange, symbol), of in sorted(kinds.items())]

    def status(self) -> dict[str, Any]:
        intake = self._intake
        journal = {kind: memory.rows for kind, memory in self._committed.sizes() if memory.rows}
        return {
            "file_bytes": self.path.stat().st_size,
            "series": len(intake.series),
            "segments": {kind: {"rows": rows, "bytes": size} for kind, (rows, size) in self._sizes.items()},
            "journal": journal,
            "waiting": intake.waiting_rows,
            "stored": intake.stored,
            "repeats": intake.repeats,
            "commits": self._commits,
            "folds": self._tidy.folds,
            "pruned": self._tidy.pruned,
            "gaps_forgotten": intake.gaps.forgotten,
            "days": self._days,
        }

    # --- threads ------------------------------------------------------------------------------------
    async def _in(self, thread: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._closed:
            raise StoreError(f"{self.path} is closed")
        return await asyncio.get_running_loop().run_in_executor(thread, lambda: work(*args, **kwargs))

    def close(self) -> None:
        """Close the file, after what is being written; what was not committed stays with the broker."""
        if self._closed:
            return
        self._closed = True
        self._write_thread.shutdown(cancel_futures=True)
        self._read_thread.shutdown(cancel_futures=True)
        self._writer.close()
        self._reader.close()
        os.close(self._lock)
