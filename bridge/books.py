"""The books: which run it is, what was published in it, what is missing, and all of it on disk in time."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec
from msgspec import Struct

from bridge import topics
from bridge.clock import Clock
from bridge.coverage import Coverage, Span
from bridge.dropped import Dropped
from bridge.errors import Damaged, StoreError
from bridge.fills.jobs import Jobs
from bridge.gaps import Gaps, Stopped
from bridge.ledger import RUNS_KEPT_DAYS, Ledger, Query, Tally, next_run
from bridge.outbox import Outbox
from bridge.streams import Streams
from bridge.topics import INTERVALS_NS, Gap, Topics, Trouble
from bridge.troubles import Troubles
from bridge.vitals import Vitals

log = logging.getLogger(__name__)
T = TypeVar("T")

S = 1_000_000_000
DAY_NS = 24 * 3600 * S
LEDGER_S = 60.0
GAPS_S = 5.0
"""Gaps are rare and small, so they are written sooner than the counts."""
TOLD_AGAIN_NS = 60 * S
TELL_NS = S
"""While the outbox overflows, what has changed is told so often: each message drops another one."""
UNTOLD_MOST = 500
"""Gaps of the last moments before a stop or a power cut that are told again: their messages may not have left us."""


class Books(Struct):
    """Runs, counts and gaps of the bridge."""

    ledger: Ledger
    names: Topics
    clock: Clock
    streams: Streams
    outbox: Outbox
    gaps: Gaps
    tally: Tally
    troubles: Troubles
    jobs: Jobs
    coverage: Coverage
    vitals: Vitals
    trouble: str | None = None
    """Why the ledger's file cannot be used now."""
    gaps_changed: bool = False
    untold: dict[str, Gap] = {}
    """Gaps that have grown since the last time that drops were told."""
    drops_told_ns: int = 0
    unanswered: list[Stopped] = []
    """What a ledger that is no more would have told of the runs before, until a run begins."""
    to_tell: list[str] = []
    """What was put aside, until a run begins in which it can be told."""

    # --- runs ---------------------------------------------------------------------------------------
    async def end(self, how: str) -> None:
        """End the run: `stopped`, or `clock` where another one follows at once and nothing is missing."""
        await self.save()
        if self.streams.run is not None:
            await self._written(self.ledger.end, self.streams.run, self.clock.now_ns(), how)

    async def begin(self, remembered: int) -> None:
        """A new run, later than any known one (`remembered`: by the broker); what earlier runs left becomes gaps."""
        now_ns = self.clock.now_ns()
        known = (self.streams.run or 0, remembered)
        if self.streams.run is None:
            self.jobs.interrupted(await self._written(self.ledger.interrupt_jobs) or [])
        latest = await self._written(self.ledger.latest_run) or 0
        told_ns = await self._written(self._told_until) or now_ns
        run = next_run(now_ns, latest, *known)
        stopped = [*(await self._written(self.ledger.stopped) or []), *self.unanswered]
        self.unanswered.clear()
        changed = self.gaps.recover(stopped, now_ns)
        await self._written(self.ledger.begin, run, now_ns, changed)
        self.count()  # the last numbers of the run before, which nobody counts after the next line
        self.streams.begin(run)
        untold = [gap for gap in self.gaps.select(None, None, told_ns, now_ns) if gap.id not in {g.id for g in changed}]
        for gap in (*untold[-UNTOLD_MOST:], *changed):
            self.tell(gap)
        log.info("run %d begins", run)
        await self._written(self.ledger.prune, now_ns - RUNS_KEPT_DAYS * DAY_NS)

    def _told_until(self) -> int | None:
        """Until then the run before surely handed on its messages: what its gaps said later is told again."""
        return next((run.known_ns - TOLD_AGAIN_NS for run in self.ledger.runs()), None)

    async def _written(self, call: Callable[..., T], *values: object) -> T | None:
        """A call of the ledger, off the loop. None if its file cannot be used now: that is said, and nothing ends."""
        try:
            return await asyncio.to_thread(call, *values)
        except StoreError as error:
            self._failed(error)
            return None

    # --- gaps ---------------------------------------------------------------------------------------
    def tell(self, gap: Gap) -> None:
        """Publish a gap that has changed, and have it written soon."""
        self.gaps_changed = True
        stream = self.streams.stream(self.names.gaps(gap.exchange))
        now_ns = self.clock.now_ns()
        time_ns = self.streams.observed_ns(stream, now_ns)
        self.streams.publish(stream, topics.gap_body(gap, time_ns), time_ns, now_ns)

    def tell_drops(self, now_ns: int) -> None:
        """What the outbox had to drop becomes gaps; a gap whose own message was dropped is told again."""
        drops = self.outbox.drops()
        self.uncover(drops)
        changed = self.gaps.dropped(drops, self.names, now_ns)
        for drop in drops:
            channel, exchange, _ = self.names.parts(drop.topic) or ("", "", None)
            if channel == "gaps" and drop.cause == "outbox full":
                changed += self.gaps.select(exchange, None, drop.from_ns, drop.to_ns)
        self.untold.update((gap.id, gap) for gap in changed)
        if self.untold and abs(now_ns - self.drops_told_ns) >= TELL_NS:
            self.drops_told_ns = now_ns
            for gap in self.untold.values():
                self.tell(gap)
            self.untold.clear()

    def uncover(self, drops: Iterable[Dropped]) -> None:
        """Candles that were dropped were not told after all."""
        for drop in drops:
            channel, _, _ = self.names.parts(drop.topic) or ("", "", None)
            times = [told.time_ns for told in map(_timed, (drop.first, drop.last)) if told is not None]
            if channel == "candles" and times:
                self.coverage.remove(drop.topic, min(times), max(times) + 1)

    def _surely(self, changed: dict[str, list[Span]]) -> dict[str, list[Span]]:
        """What of candles was told, less what waits for the broker: after a kill, that was not told after all."""
        waiting: dict[str, list[Span]] = {}
        for topic, payload, *_ in self.outbox.waiting():
            interval_ns = INTERVALS_NS.get(topic.rsplit("/", 1)[-1])
            told = _timed(payload) if interval_ns is not None and self.names.parts(topic) else None
            if interval_ns is not None and told is not None:
                waiting.setdefault(topic, []).append((told.time_ns, told.time_ns + interval_ns))
        self.coverage.unsave(waiting)
        return changed | {topic: self.coverage.without(topic, spans) for topic, spans in waiting.items()}

    # --- the file -----------------------------------------------------------------------------------
    async def keep(self) -> None:
        """Write what has changed, in time, until cancelled."""
        due_ns = 0
        while True:
            self.vitals.promise("ledger", GAPS_S)
            await asyncio.sleep(GAPS_S)
            mono = self.clock.monotonic_ns()
            if self.gaps_changed or mono >= due_ns:
                self.gaps_changed = False
                due_ns = mono + int(LEDGER_S * S)
                if self.ledger.away is not None:
                    await self._regain()
                await self.save()

    def count(self) -> None:
        """Bring the tally up to date."""
        if self.streams.run is not None:
            self.tally.update(self.streams.run, self.streams.tally(), self.outbox.waiting(), self.clock.now_ns())
        for job in list(self.streams.over):
            if all(row.acknowledged == row.n for row in self.tally.rows(Query(fill=job))):
                self.streams.forget_fill(job)

    async def save(self) -> None:
        """Write what has changed. A disk that is full is said once; nothing is lost, it is written later."""
        run = self.streams.run
        if run is None:
            return
        self.count()
        rows, gaps = self.tally.unsaved(), self.gaps.unsaved()
        jobs, covered = self.jobs.unsaved(), self._surely(self.coverage.unsaved())
        try:
            await asyncio.to_thread(self.ledger.save, run, self.tally.known_ns, rows, gaps, jobs, covered)
        except StoreError as error:
            self.tally.unsave(rows)
            self.gaps.unsave(gaps)
            self.jobs.unsave(jobs)
            self.coverage.unsave(covered)
            self._failed(error)
            if isinstance(error, Damaged):
                await self._renew(error, run)
        else:
            self.trouble = None

    async def _renew(self, error: Damaged, run: int) -> None:
        """Another file, or none while the disk refuses it."""
        self.to_tell.append(await asyncio.to_thread(self.ledger.renew, error))
        await self._fill(run)

    async def _regain(self) -> None:
        """Try the disk again."""
        reason = await self._written(self.ledger.regain)
        if reason is not None and self.streams.run is not None:
            self.to_tell.append(reason)
            await self._fill(self.streams.run)

    async def _fill(self, run: int) -> None:
        """An empty ledger gets everything that is in memory: this run, the gaps, what of candles was told."""
        self.tally.unsave(self.tally.rows(Query()))
        self.coverage.unsave(self.coverage.topics())
        gaps = self.gaps.select(None, None, 0, self.clock.now_ns())
        await self._written(self.ledger.begin, run, run * 1_000_000, gaps)
        self.gaps_changed = True

    def tell_losses(self) -> None:
        """Files that were put aside, to `errors/bridge`, as soon as there is a run to number that in."""
        while self.to_tell and self.streams.run is not None:
            reason = self.to_tell.pop(0)
            log.error("%s", reason)
            self.troubles.note(Trouble("store", reason), self.clock.now_ns())

    def _failed(self, error: StoreError) -> None:
        """Say it once."""
        if str(error) != self.trouble:
            log.error("%s", error)
            self.troubles.note(Trouble("store", str(error)), self.clock.now_ns())
        self.trouble = str(error)


class _Timed(Struct):
    """A row's own time."""

    time_ns: int


_decode = msgspec.json.Decoder(_Timed).decode


def _timed(payload: bytes) -> _Timed | None:
    try:
        return _decode(payload)
    except msgspec.DecodeError:
        return None
