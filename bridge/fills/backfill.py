"""Backfills: candles of a time long past, asked for by somebody. They wait in a line and go behind everything else."""

import asyncio
import logging
from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from msgspec import Struct

from bridge.errors import FeedLost, FrameError, TickbridgeError
from bridge.events import Symbol
from bridge.exchanges.base import Catalogue
from bridge.fills.jobs import Progress
from bridge.fills.places import NOT_TAKEN, kept_from_ns
from bridge.fills.source import Source
from bridge.rest import Priority
from bridge.topics import INTERVALS_NS

log = logging.getLogger(__name__)

MAX_PATTERNS = 50
"""Each is held against every symbol."""
MAX_WAITING = 20
"""Backfills of one exchange that wait for their turn."""


class Unwilling(TickbridgeError):
    """A backfill that cannot be: the text says why and what would be right."""


class Backfill(Struct, frozen=True):
    """What is asked for: candles that open in [from_ns, to_ns). No symbols: all; they may be patterns (`*-USDT`).

    `again`: also what was told before, for a store that has lost it.
    """

    exchange: str
    interval: str
    from_ns: int
    to_ns: int
    symbols: tuple[str, ...] = ()
    again: bool = False


class _Work(Struct):
    """A backfill that was taken in."""

    wanted: Backfill
    symbols: list[Symbol]
    job: Progress
    task: asyncio.Task[None] | None = None


class Backfills:
    """Those of all exchanges. Each exchange that runs serves its own by `serve`."""

    def __init__(self) -> None:
        self._sources: dict[str, Source] = {}
        self._queues: dict[str, asyncio.Queue[_Work]] = {}
        self._works: dict[str, _Work] = {}

    async def serve(self, source: Source) -> None:
        """One exchange's backfills, one after the other, until cancelled."""
        queue = self._queues.setdefault(source.name, asyncio.Queue(MAX_WAITING))
        self._sources[source.name] = source
        try:
            while True:
                work = await queue.get()
                if work.job.is_alive:
                    await self._one(source, work)
                self._works.pop(work.job.id, None)
        finally:
            del self._sources[source.name]

    # --- asked for ----------------------------------------------------------------------------------
    def start(self, wanted: Backfill) -> Progress:
        """Take one in, or find the same one that is alive already. Raises Unwilling."""
        source = self._source(wanted.exchange)
        known = next((work.job for work in self._works.values() if work.wanted == wanted and work.job.is_alive), None)
        if known is not None:
            return known
        symbols = matching(source.exchange.catalogue, wanted.symbols, source.exchange.title)
        self._check(source, wanted, len(symbols))
        job_id = source.jobs.new_id(source.streams.run or 0, source.name, "backfill")
        span = (wanted.from_ns, wanted.to_ns)
        job = Progress(job_id, "backfill", source.name, "candles", *span, 0, interval=wanted.interval)
        work = self._works[job.id] = _Work(wanted, symbols, job)
        job.total = sum(_slots(work, spans) for spans in _spans(source, work).values())
        try:
            self._queues[source.name].put_nowait(work)
        except asyncio.QueueFull:
            del self._works[job.id]
            raise Unwilling(f"{MAX_WAITING} backfills of {source.name} wait already: come back later") from None
        source.jobs.tell(job, "waiting")
        return job

    def cancel(self, job_id: str) -> Progress:
        """End one that waits or runs. Raises Unwilling."""
        work = self._works.get(job_id)
        if work is None or not work.job.is_alive:
            raise Unwilling(f"there is no backfill {job_id[:80]!r} that waits or runs")
        self._sources[work.job.exchange].jobs.tell(work.job, "cancelled")
        if work.task is not None:
            work.task.cancel()
        return work.job

    def _source(self, name: str) -> Source:
        source = self._sources.get(name)
        if source is None:
            there = ", ".join(sorted(self._sources)) or "none yet: the catalogues are being fetched"
            raise Unwilling(f"exchange {name[:40]!r} does not run here; running: {there}")
        if source.streams.run is None:
            raise Unwilling("the system's clock is not synchronised yet")
        return source

    def _check(self, source: Source, wanted: Backfill, symbols: int) -> None:
        if wanted.interval not in source.exchange.intervals or wanted.interval not in INTERVALS_NS:
            there = ", ".join(one for one in INTERVALS_NS if one in source.exchange.intervals)
            raise Unwilling(f"interval {wanted.interval[:20]!r} is none of {there}")
        if wanted.from_ns >= wanted.to_ns:
            raise Unwilling("the time ends before it begins")
        now_ns, days = source.clock.now_ns(), source.settings.history.candles_days
        if wanted.from_ns >= now_ns:
            raise Unwilling("the time begins in the future")
        if wanted.from_ns < kept_from_ns("candles", source.settings, now_ns):
            raise Unwilling(
                f"it begins before what is stored (history.candles_days = {days}): ask for less, or set that"
            )
        rows = symbols * ((min(wanted.to_ns, now_ns) - wanted.from_ns) // INTERVALS_NS[wanted.interval])
        if rows > source.settings.fills.backfill_rows:
            most = source.settings.fills.backfill_rows
            raise Unwilling(f"{rows} candles are more than fills.backfill_rows = {most}: ask for less at a time")

    # --- done ---------------------------------------------------------------------------------------
    async def _one(self, source: Source, work: _Work) -> None:
        work.task = asyncio.get_running_loop().create_task(self._run(source, work))
        try:
            await work.task
        except asyncio.CancelledError:
            if work.job.state != "cancelled":
                raise
        finally:
            work.task.cancel()
            source.streams.end_fill(work.job.id)

    async def _run(self, source: Source, work: _Work) -> None:
        job, jobs = work.job, source.jobs
        job.again = work.wanted.again
        fill = source.candles(Priority.BACKFILL)
        found = _spans(source, work)
        job.total = sum(_slots(work, spans) for spans in found.values())
        jobs.tell(job, "running")

        def step(count: int) -> None:
            job.done += count
            jobs.advance(job)

        failed: list[str] = []
        refused = 0
        for symbol, spans in found.items():
            done = job.done
            try:
                for span in spans:
                    refused += await fill.fill(symbol, work.wanted.interval, span, job, step)
            except (FeedLost, FrameError) as problem:
                failed.append(f"{symbol}: {problem}")
                log.warning("%s: backfill of %s: %s", source.name, symbol, problem)
                step(done + _slots(work, spans) - job.done)
        reason = f"{len(failed)} of {len(found)} symbols failed; {failed[0]}"[:200] if failed else None
        if refused and not failed:
            reason = f"{refused} candles {NOT_TAKEN}"
        jobs.tell(job, "failed" if failed else "done", reason)


def matching(catalogue: Catalogue, wanted: Sequence[str], title: str) -> list[Symbol]:
    """The symbols that the names and patterns mean, sorted; none: all. Raises Unwilling for what fits nothing."""
    if not wanted:
        return sorted(catalogue.by_symbol)
    if sum(name.upper() not in catalogue.by_symbol for name in wanted) > MAX_PATTERNS:
        raise Unwilling(
            f"more than {MAX_PATTERNS} of the names are patterns or no symbols of {title}: use less of them"
        )
    found: set[Symbol] = set()
    for name in wanted:
        if name.upper() in catalogue.by_symbol:
            found.add(name.upper())
            continue
        some = {symbol for symbol in catalogue.by_symbol if fnmatchcase(symbol, name.upper())}
        if not some:
            near = get_close_matches(name.upper(), catalogue.by_symbol, 1)
            hint = f": did you mean {near[0]}?" if near else ""
            raise Unwilling(f"{title} has no symbol {name[:40]!r}{hint}")
        found |= some
    return sorted(found)


def _spans(source: Source, work: _Work) -> dict[Symbol, list[tuple[int, int]]]:
    """What has to be asked for, symbol by symbol: candles that are over, and that nobody told yet."""
    wanted = work.wanted
    step_ns = INTERVALS_NS[wanted.interval]
    since_ns = -(-wanted.from_ns // step_ns) * step_ns
    until_ns = min(-(-wanted.to_ns // step_ns), source.clock.now_ns() // step_ns) * step_ns
    if since_ns >= until_ns:
        return {}
    if wanted.again:
        return {symbol: [(since_ns, until_ns)] for symbol in work.symbols}
    fill = source.candles()
    found = {symbol: fill.missing(symbol, wanted.interval, since_ns, until_ns) for symbol in work.symbols}
    return {symbol: spans for symbol, spans in found.items() if spans}


def _slots(work: _Work, spans: Sequence[tuple[int, int]]) -> int:
    return sum(last - first for first, last in spans) // INTERVALS_NS[work.wanted.interval]
