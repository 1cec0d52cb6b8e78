"""One exchange, put together: its catalogue, feed, lines, first candles and health. Trouble here stays here."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from bridge import topics
from bridge.backoff import Backoff
from bridge.catalogues import load
from bridge.clock import Clock
from bridge.connection import Context
from bridge.errors import FeedLost, FeedRefused, FrameError
from bridge.events import Channel, Symbol
from bridge.exchanges.base import Catalogue, Exchange, Hosts, Refused
from bridge.feed import Feed, FeedRules, Past
from bridge.fills import Backfills, Filler, Jobs, Source, first_candles
from bridge.gaps import Gaps
from bridge.health import LineStatus, clocked, feed_health, feed_status
from bridge.looks import Looks
from bridge.outages import Outages
from bridge.plan import Plan, known, per_line, plan, rearrange
from bridge.pulse import Pulse
from bridge.rest import Moves, Rest
from bridge.sensors import Display, Sensors
from bridge.session import Session
from bridge.settings import ExchangeSettings, Settings
from bridge.streams import Streams
from bridge.topics import Gap, State, Topics
from bridge.vitals import Vitals

log = logging.getLogger(__name__)

HEALTH_EXPIRY_S = 30
CATALOGUE_AGAIN_S = 600.0


class Shared(Struct):
    """What all exchanges of the bridge share."""

    settings: Settings
    names: Topics
    streams: Streams
    clock: Clock
    pulse: Pulse
    put: Callable[[State], None]
    outages: Callable[[str], Outages]
    gaps_open: Callable[[str], int]
    figures: Callable[[], dict[str, Any]]
    past: Past
    gaps: Gaps
    tell: Callable[[Gap], None]
    jobs: Jobs
    backfills: Backfills
    folder: Path
    vitals: Vitals
    damaged: Callable[[str], None]
    """Told when a file was put aside."""


class Venue:
    """One exchange for as long as the bridge runs."""

    def __init__(self, kind: type[Exchange], settings: ExchangeSettings, shared: Shared) -> None:
        self.kind = kind
        self.settings = settings
        self.sessions: list[Session] = []
        self._shared = shared
        self._stopped_gaps: list[Gap] = []
        clock = shared.clock
        latest = shared.settings.latest
        self.feed = Feed(
            kind.name,
            shared.names,
            shared.streams,
            shared.put,
            rules=FeedRules(kind.consecutive_trades, latest.interval_s, latest.stats_interval_s),
            synced=lambda: clock.synced,
        )
        self.feed.past = shared.past
        self.sensors = Sensors(self.feed, shared.put, shared.settings.homeassistant.interval_s)
        self.display = Display(self.feed, shared.put, shared.settings.display.interval_s)
        self.outages = shared.outages(kind.name)
        self.hosts = Hosts(settings.rest_host or kind.hosts.rest, settings.ws_host or kind.hosts.ws)
        self._starting = LineStatus("connecting", "fetching the catalogue", clock.now_ns())
        self._told: tuple[str, str, int] | None = None
        self._stopping = False
        self._group: asyncio.TaskGroup | None = None
        self.catalogue: Catalogue | None = None

    async def run(self) -> None:
        """Until cancelled. Anything but FeedLost and FrameError is our bug, and ends the process."""
        moves = Moves(self._shared.vitals, f"{self.kind.name} REST")
        async with Rest(self.kind.limits, moves=moves) as rest:
            plans = await self._plans(rest)
            assert self.catalogue is not None
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._context = self._make_context(rest)
                for one in plans:
                    self._start(one)
                self._adopt_stopped()
                source = self._source(rest, self.catalogue)
                group.create_task(self._first_candles(source))
                group.create_task(Filler(source, self._shared.gaps, self._shared.tell).run())
                group.create_task(self._shared.backfills.serve(source))

    def change(self, settings: ExchangeSettings) -> None:
        """Other symbols: subscribed and unsubscribed on the living lines; more lines where they do not fit."""
        self.settings = settings
        if self.catalogue is None or self._group is None:
            return
        wanted, refused = known(settings.symbols, self.catalogue)
        self._report(refused)
        lines = [session for session in self.sessions if not session.whole]
        if not lines:
            log.warning("%s: symbols of a feed without lines take effect at the next start", self.kind.name)
            return
        channels = lines[0].channels
        arranged = rearrange([session.symbols for session in lines], wanted, per_line(self.kind, channels))
        for session, symbols in zip(lines, arranged, strict=False):
            session.change(symbols)
        for symbols in arranged[len(lines) :]:
            self._start(Plan(f"{self.kind.name}/{len(self.sessions) + 1}", tuple(symbols), channels))
        self._tell_catalogue(self.catalogue)

    def clock_moved(self, step_ns: int) -> None:
        """The clock was wrong by so much, and no stream had begun: times that are still to be told are corrected."""
        self.feed.clock_moved(step_ns)
        self._starting.since_ns += step_ns
        for session in self.sessions:
            session.clock_moved(step_ns)

    # --- time passes --------------------------------------------------------------------------------
    def tend(self) -> None:
        """Once a second."""
        now_ns, mono = self._shared.clock.now_ns(), self._shared.clock.monotonic_ns()
        for session in self.sessions:
            session.tend()
        self.feed.tend(now_ns, mono)
        for symbol, tape in self.feed.tapes.items():
            for hole in tape.sequence.holes(mono):
                self.outages.hole(symbol, hole, now_ns)
        self._tell_health(mono)

    def flush(self) -> None:
        """Several times a second."""
        self.feed.flush(self._shared.clock.monotonic_ns())

    def stop(self) -> None:
        """The last word of a clean stop."""
        self._stopping = True
        self._told = None
        self._tell_health(self._shared.clock.monotonic_ns())

    # --- parts --------------------------------------------------------------------------------------
    @property
    def name(self) -> str:
        return self.kind.name

    @property
    def title(self) -> str:
        return self.kind.title

    def status(self) -> LineStatus:
        if self._stopping:
            return LineStatus("stopped", "the bridge was stopped", self._shared.clock.now_ns())
        if not self.sessions:
            return self._starting
        return feed_status(self.feed, [session.status for session in self.sessions])

    def _make_context(self, rest: Rest) -> Context:
        feed_settings = self._shared.settings.feed
        looks = Looks(self.feed, feed_settings.looks_per_minute)
        shared = self._shared
        return Context(self.feed, rest, shared.clock, shared.pulse, feed_settings, looks, shared.vitals)

    def _start(self, one: Plan) -> None:
        def make() -> Exchange:
            assert self.catalogue is not None
            return self.kind(self.catalogue, one.channels, whole=one.whole, hosts=self.hosts)

        session = Session(one.name, make, one.symbols, self._context, self.outages)
        self._shared.pulse.listen(session.stalled)
        self.sessions.append(session)
        assert self._group is not None
        self._group.create_task(session.run(), name=one.name)

    def adopt(self, gaps: Sequence[Gap]) -> None:
        """Gaps of the time in which the bridge was stopped: they end when a line that carries their channel lives."""
        self._stopped_gaps += gaps
        if self.sessions:
            self._adopt_stopped()

    def _adopt_stopped(self) -> None:
        now_ns = self._shared.clock.now_ns()
        for gap in self._stopped_gaps:
            carriers = [session for session in self.sessions if gap.channel in session.gap_channels]
            waiting = [session.name for session in carriers if not session.has_data]
            if waiting:
                self.outages.adopt(waiting, gap, now_ns)
            else:
                self.outages.finish(gap, now_ns)
        self._stopped_gaps = []

    async def _plans(self, rest: Rest) -> list[Plan]:
        """The lines to open; while the catalogue holds none of the wanted symbols, it is asked for again and again."""
        while True:
            self.catalogue = await self._catalogue(rest)
            self._tell_catalogue(self.catalogue)
            plans, refused = plan(self.kind, self.settings, self.catalogue)
            self._report(refused)
            if plans:
                return plans
            reason = "none of the wanted symbols is in the exchange's catalogue"
            self._not_yet("refused", reason)
            await self._sleep(CATALOGUE_AGAIN_S)

    async def _catalogue(self, rest: Rest) -> Catalogue:
        """Never gives up; says in health why there is none yet."""
        settings = self._shared.settings.feed
        backoff = Backoff(settings.backoff_first_s, settings.backoff_most_s)
        told = ""
        while True:
            try:
                catalogue, refused, _ = await load(
                    self.kind, self.hosts, rest, self._shared.folder, self._shared.damaged
                )
            except (FeedLost, FrameError) as problem:
                delay_s = backoff.next()
                if isinstance(problem, FeedRefused):
                    delay_s = max(delay_s, problem.retry_after_s or 0.0)
                status = "refused" if isinstance(problem, FeedRefused) else "reconnecting"
                reason = f"no catalogue: {problem}"
                self._not_yet(status, reason)
                if reason != told:
                    log.warning("%s: %s; it is tried again until it works", self.kind.name, reason)
                told = reason
                await self._sleep(delay_s)
                continue
            for one in refused[: topics.LISTED]:
                log.info("%s: an instrument cannot be used: %s", self.kind.name, one.reason)
            return catalogue

    def _not_yet(self, status: str, reason: str) -> None:
        """Why nothing has begun; `since_ns` stays while only the tries go on."""
        goes_on = status == self._starting.status
        since_ns = self._starting.since_ns if goes_on else self._shared.clock.now_ns()
        self._starting = LineStatus(status, reason, since_ns)

    async def _sleep(self, seconds: float) -> None:
        """Wait before the next try, which is promised."""
        self._shared.vitals.promise(self.kind.name, seconds)
        await asyncio.sleep(seconds)
        self._shared.vitals.rest(self.kind.name)  # what is asked for now promises by itself

    def _source(self, rest: Rest, catalogue: Catalogue) -> Source:
        exchange = self.kind(catalogue, frozenset(), hosts=self.hosts)
        parts = (self._shared.streams, self._shared.clock, self._shared.jobs, self._shared.settings)
        return Source(exchange, rest, self.feed, *parts, self._subscribed)

    def _subscribed(self, channel: Channel) -> list[Symbol]:
        carriers = (session for session in self.sessions if channel in session.channels)
        return [symbol for session in carriers for symbol in session.symbols]

    async def _first_candles(self, source: Source) -> None:
        wanted = self._subscribed(Channel.CANDLES)
        if not self._shared.settings.feed.first_candles_h or not wanted:
            return
        while self._shared.streams.run is None:
            await asyncio.sleep(1.0)
        await first_candles(source, wanted)

    def _report(self, refused: Sequence[Refused]) -> None:
        for one in refused:
            self.feed.park(one, None, self._shared.clock.now_ns())

    def _tell_catalogue(self, catalogue: Catalogue) -> None:
        in_use = {symbol for session in self.sessions for symbol in session.symbols} or set(self.settings.symbols)
        if self.settings.whole_market:
            in_use = set(catalogue.by_symbol)
        listed = [one for symbol, one in sorted(catalogue.by_symbol.items()) if symbol in in_use]
        clock = self._shared.clock
        mono_ns = clock.monotonic_ns()

        def render(now_ns: int) -> bytes:
            return topics.catalogue(listed, mono_ns + clock.offset_ns if clock.synced else None)

        self._shared.put(State(self._shared.names.catalogue(self.kind.name), render, qos=1))

    def _tell_health(self, mono: int) -> None:
        """On every change, and again at a third of its expiry."""
        status = self.status()
        told = self._told
        if told and told[:2] == (status.status, status.reason) and mono - told[2] < HEALTH_EXPIRY_S * 10**9 // 3:
            return
        self._told = (status.status, status.reason, mono)
        topic = self._shared.names.health(self.kind.name)
        self._shared.put(State(topic, self._render_health, qos=1, expiry_s=HEALTH_EXPIRY_S))

    def _render_health(self, now_ns: int) -> bytes:
        if self._told is not None:  # a reconnect sends it between two looks, too
            self._told = (self.status().status, self.status().reason, self._told[2])
        return topics.state(clocked(self.health(), synced=self._shared.clock.synced, now_ns=now_ns))

    def health(self) -> dict[str, Any]:
        """What `health/<exchange>` tells, without the time."""
        lines = [session.status.status for session in self.sessions]
        more = {
            "reconnects": sum(session.reconnects for session in self.sessions),
            "lines": len(lines),
            "lines_up": sum(status in ("online", "quiet") for status in lines),
            "gaps_open": self._shared.gaps_open(self.kind.name),
            "jobs": self._shared.jobs.counts(self.kind.name),
            "whole_market": self.settings.whole_market,
            "book": self.kind.whole_market_has_book or not self.settings.whole_market,
            **self._shared.figures(),
        }
        return feed_health(self.feed, self.status(), more)
