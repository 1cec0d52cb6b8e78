"""Closes an exchange's gaps in the background, one after the other: open → filling → filled, partial or unfillable."""

import asyncio
import logging
from collections.abc import Callable

from bridge.backoff import Backoff
from bridge.errors import FeedLost, FrameError
from bridge.events import Channel, Symbol
from bridge.fills.jobs import Progress
from bridge.fills.places import NOT_TAKEN, places, refusal
from bridge.fills.source import Source
from bridge.fills.trades import Result, TradeFill
from bridge.gaps import Filled, Gaps
from bridge.lost import from_told
from bridge.topics import INTERVALS_NS, MINUTE_NS, Gap, Missing

log = logging.getLogger(__name__)

S = 1_000_000_000
POLL_S = 1.0
SETTLE_NS = 3 * S
"""So long the first live trade behind a gap is waited for: with it is proven what is missing."""
CANDLES_SETTLE_NS = 10 * S
"""A candle that was forming when the line came back may still be told by the line, so long after its end."""
BACKOFF_FIRST_S = 1.0
BACKOFF_MOST_S = 60.0
LIVE = "1m"
"""The interval that lines tell."""
HOUR_NS = 3600 * S
EXPLICIT = frozenset({"sequence", "outbox full", "refused", "lost"})
"""Causes whose places are known by row; where they are not, nobody knows where to look."""


class Filler:
    """One exchange's worker. `tell` publishes a gap that has changed."""

    def __init__(self, source: Source, gaps: Gaps, tell: Callable[[Gap], None]) -> None:
        self._source = source
        self._gaps = gaps
        self._tell = tell
        self._tries: dict[str, int] = {}

    async def run(self) -> None:
        """Until cancelled."""
        backoff = Backoff(BACKOFF_FIRST_S, BACKOFF_MOST_S)
        while True:
            gap = self._next()
            if gap is None:
                await asyncio.sleep(POLL_S)
            elif await self._fill(gap):
                backoff.reset()
            else:
                await asyncio.sleep(backoff.next())

    def _next(self) -> Gap | None:
        """The gap that failed least, among those that can be looked at now."""
        if self._source.streams.run is None or not self._source.streams.room_for_fill():
            return None
        ready = [gap for gap in self._gaps.unfilled(self._source.name) if self._is_ready(gap)]
        return min(ready, key=lambda gap: self._tries.get(gap.id, 0), default=None)

    def _is_ready(self, gap: Gap) -> bool:
        now_ns, to_ns = self._source.clock.now_ns(), gap.to_ns or 0
        if refusal(gap, self._source.settings, now_ns) is not None:
            return True
        if gap.channel == "candles":
            return now_ns >= -(-to_ns // MINUTE_NS) * MINUTE_NS + CANDLES_SETTLE_NS
        if not self._source.exchange.past_trades.by_number:
            return True  # the newest trades are soon no more the newest
        return now_ns >= to_ns + SETTLE_NS or all(one.before_ns is not None for one in self._places(gap))

    # --- one gap ------------------------------------------------------------------------------------
    async def _fill(self, gap: Gap) -> bool:
        """Whether the gap is settled; else it is tried again."""
        job = self._job(gap)
        if (problem := refusal(gap, self._source.settings, self._source.clock.now_ns())) is not None:
            self._settle(gap, Filled("unfillable", job.id, reason=problem))
            return True
        found = self._places(gap) if gap.channel == "trades" else []
        self._gaps.locate(gap.id, found)
        self._changed(self._gaps.filling(gap.id))
        self._source.jobs.tell(job, "running")
        done: list[Missing] = []
        results: dict[str, Result] = {}
        try:
            if gap.channel == "trades":
                await self._trades(found, job, results, done)
            else:
                await self._candles(gap, job, results)
        except (FeedLost, FrameError) as problem_:
            self._failed(gap, job, str(problem_), done, results)
            return False
        finally:
            self._source.streams.end_fill(job.id)
        self._finish(gap, job, results, done)
        return True

    def _job(self, gap: Gap) -> Progress:
        source = self._source
        job_id = source.jobs.new_id(source.streams.run or 0, source.name, "fill")
        span = (gap.from_ns, gap.to_ns or gap.from_ns)
        return Progress(job_id, "fill", source.name, gap.channel, *span, total=0, gap=gap.id)

    async def _trades(
        self, found: list[Missing], job: Progress, results: dict[str, Result], done: list[Missing]
    ) -> None:
        source = self._source
        work = TradeFill(source.asker(), source.teller(), source.settings.fills.gap_rows)
        job.total = len(found)
        subscribed = set(source.symbols(Channel.TRADES))
        listed = [one for one in found if one.symbol in source.exchange.catalogue]
        for place in sorted(listed, key=lambda one: one.before_ns is None):
            tape = source.feed.tape(place.symbol) if place.symbol in subscribed else None
            result = await work.fill(place, tape, job)
            topic = source.feed.names.trade(source.name, place.symbol)
            results[topic] = _both(results.get(topic), result)
            done.append(place)
            if tape is not None and place.before is not None and place in tape.breaks:
                tape.breaks.remove(place)
            job.done += 1
            source.jobs.advance(job)

    async def _candles(self, gap: Gap, job: Progress, results: dict[str, Result]) -> None:
        work = self._source.candles()
        spans = [
            (symbol, interval, span)
            for symbol, interval in self._charts(gap)
            for span in work.missing(symbol, interval, gap.from_ns, gap.to_ns or gap.from_ns)
        ]
        most = self._source.settings.fills.gap_rows
        job.total = sum((last - first) // INTERVALS_NS[interval] for _, interval, (first, last) in spans)
        if job.total > most:
            results[""] = Result(0, job.total, reason=f"{job.total} candles are more than fills.gap_rows = {most}")
            return

        def step(count: int) -> None:
            job.done += count
            self._source.jobs.advance(job)

        for symbol, interval, span in spans:
            before = job.rows
            refused = await work.fill(symbol, interval, span, job, step)
            reason = f"{refused} candles {NOT_TAKEN}" if refused else None
            rows = job.rows - before
            topic = self._source.feed.names.candle(self._source.name, symbol, interval)
            results[topic] = _both(results.get(topic), Result(rows, rows + refused, not refused, reason))

    # --- its end ------------------------------------------------------------------------------------
    def _finish(self, gap: Gap, job: Progress, results: dict[str, Result], done: list[Missing]) -> None:
        for topic in self._unplaced(gap, results):
            results[topic] = Result(reason="it is not known between which trades they stood")
        rows = list(results.values())
        known = [one.expected for one in rows if one.expected is not None]
        expected = sum(known) if len(known) == len(rows) else None
        whole = all(one.whole for one in rows)
        part = bool(gap.filled) or any(one.whole or one.rows for one in rows)
        state = "filled" if whole else "partial" if part else "unfillable"
        reason = next((one.reason for one in rows if one.reason is not None), None)
        if gap.channel == "trades" and not rows and (gap.cause in EXPLICIT or gap.lost):
            state, reason = "unfillable", "it is not known between which trades they stood"
        gone = [symbol for symbol in gap.symbols or () if symbol not in self._source.exchange.catalogue]
        if gone and state == "filled":
            state = "partial" if rows else "unfillable"
            reason = f"the exchange lists {gone[0]} no more"
        told = Filled(state, job.id, job.rows, expected, reason, tuple(done), *_sorted(results))
        self._source.jobs.tell(job, "done", reason)
        self._settle(gap, told)

    def _failed(self, gap: Gap, job: Progress, problem: str, done: list[Missing], results: dict[str, Result]) -> None:
        """REST does not answer: later again, but not for ever."""
        self._source.jobs.tell(job, "failed", problem)
        self._tries[gap.id] = self._tries.get(gap.id, 0) + 1
        hours = self._source.settings.fills.give_up_h
        over = self._source.clock.now_ns() - (gap.to_ns or 0) > hours * HOUR_NS
        state = ("partial" if job.rows or gap.filled else "unfillable") if over else "open"
        log.warning("%s: gap %s is not filled yet: %s", self._source.name, gap.id, problem)
        reason = f"REST: {problem}"[:120] if over else None
        reason = reason or next((one.reason for one in results.values() if not one.whole), None)
        self._settle(gap, Filled(state, job.id, job.rows, None, reason, tuple(done), *_sorted(results)))

    def _settle(self, gap: Gap, told: Filled) -> None:
        self._gaps.filling(gap.id)
        settled = self._gaps.settle(gap.id, told)
        if told.state != "open":
            self._tries.pop(gap.id, None)
            log.info("%s: gap %s of %s is %s: %d rows", self._source.name, gap.id, gap.channel, told.state, told.rows)
        self._changed(settled)

    def _changed(self, gap: Gap | None) -> None:
        if gap is not None:
            self._tell(gap)

    # --- where to look ------------------------------------------------------------------------------
    def _places(self, gap: Gap) -> list[Missing]:
        if gap.missing is not None:
            return gap.missing
        if gap.cause in EXPLICIT or gap.lost:
            return []
        feed = self._source.feed
        symbols = self._symbols(gap, Channel.TRADES)
        return places(
            gap, symbols, feed.tapes, lambda symbol: feed.past.known_until(feed.names.trade(feed.exchange, symbol))
        )

    def _unplaced(self, gap: Gap, results: dict[str, Result]) -> set[str]:
        """The topics of lost trades for which no fill had a place to look at."""
        if gap.channel != "trades":
            return set()
        lost = {from_told(one).topic for one in gap.lost or () if "filled" not in one}
        listed = self._source.exchange.catalogue
        return {topic for topic in lost - results.keys() - {*(gap.short or ())} if topic.rsplit("/", 1)[-1] in listed}

    def _charts(self, gap: Gap) -> list[tuple[Symbol, str]]:
        """Symbols and intervals of a candle gap: what lines tell, and the topics of what was lost."""
        # of what was dropped or lost the topics say it all: the other intervals and symbols were told
        lines = () if gap.cause in EXPLICIT and gap.lost else self._symbols(gap, Channel.CANDLES)
        charts = dict.fromkeys((symbol, LIVE) for symbol in lines)
        for topic in {from_told(one).topic for one in gap.lost or ()}:
            symbol, interval = topic.rsplit("/", 2)[-2:]
            if interval in INTERVALS_NS and symbol in self._source.exchange.catalogue:
                charts[symbol, interval] = None
        return list(charts)

    def _symbols(self, gap: Gap, channel: Channel) -> list[Symbol]:
        """Those of the gap that the exchange lists."""
        wanted = self._source.symbols(channel) if gap.symbols is None else gap.symbols
        return [symbol for symbol in wanted if symbol in self._source.exchange.catalogue]


def _both(one: Result | None, other: Result) -> Result:
    if one is None:
        return other
    known = one.expected is not None and other.expected is not None
    expected = (one.expected or 0) + (other.expected or 0) if known else None
    return Result(one.rows + other.rows, expected, one.whole and other.whole, one.reason or other.reason)


def _sorted(results: dict[str, Result]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The topics of which all came, and those of which not all could be brought."""
    whole = tuple(topic for topic, one in results.items() if one.whole)
    return whole, tuple(topic for topic, one in results.items() if not one.whole)
