"""The bridge's parts and their life: opened, tended in time, changed, closed."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

from bridge.aside import asides
from bridge.books import Books
from bridge.clock import Clock, ClockChange
from bridge.coverage import Coverage, Span
from bridge.cramped import Cramped
from bridge.discovery import Home, Link, Ways
from bridge.exchanges import EXCHANGES
from bridge.feed import Past
from bridge.fills import Backfills, Jobs
from bridge.gaps import Gaps, Stopped
from bridge.health import lag_ms
from bridge.identity import Identity, children
from bridge.ledger import Ledger, Loss, Tally
from bridge.mqtt.publisher import Publisher
from bridge.outages import GAP_CHANNEL, Outages
from bridge.outbox import Outbox
from bridge.pulse import Pulse
from bridge.requests import Desk, Requests
from bridge.saving import SENSORS_UNKNOWN, ask_to_save
from bridge.settings import Settings
from bridge.states import States
from bridge.streams import Streams
from bridge.topics import LISTED, Gap, State, Topics, Trouble
from bridge.troubles import Troubles
from bridge.venue import Shared, Venue
from bridge.vitals import Vitals

log = logging.getLogger(__name__)

S = 1_000_000_000
DAY_NS = 24 * 3600 * S
FLUSH_S = 0.1
PACK_MOST = 1024
"""Messages packed at every flush: 3 ms of work at most, and more than an exchange's REST can bring."""
TEND_S = 1.0
HEALTH_S = 10.0
HEALTH_EXPIRY_S = 30
DRAIN_S = 2.0
CATALOGUES = "catalogues"
CLOCK_DIFFERS_MS = 10_000
BRIDGE = "bridge"
"""The name under which the bridge itself stands beside the exchanges in `errors/` and `health/`."""


class Bridge:
    """All parts. `open` it, run its `tasks` until one ends or somebody asks to stop, `close` it."""

    def __init__(
        self, settings: Settings, ledger: Ledger, known_gaps: Sequence[Gap], covered: Mapping[str, Iterable[Span]]
    ) -> None:
        self.settings = settings
        self.ledger = ledger
        self.names = Topics(settings.prefix, settings.shard)
        self.clock = Clock(settings.clock.sync)
        self.vitals = Vitals(self.clock.monotonic_ns, settings.watchdog.grace_s)
        self.outbox = Outbox(settings.outbox.bytes, settings.outbox.keep_s)
        self.cramped = Cramped(2.0 * settings.outbox.autosave_s, settings.outbox.bytes)
        self.states = States(self.names.health(BRIDGE))
        self.streams = Streams(self.outbox, self._wake)
        self.gaps = Gaps(f"{self.clock.now_ns() // 1_000_000:x}", known_gaps)
        self.pulse = Pulse(self.clock.monotonic_ns, settings.feed.stall_s)
        self.identity = Identity(self.streams, self.clock, self._bridge_figures)
        client = settings.client_id(f"bridge{settings.shard.replace('/', '-')}")
        parts = (self.names, self.outbox, self.states, self.clock, self.identity, self.vitals)
        self.publisher = Publisher(settings.broker, client, *parts)
        self.troubles = Troubles(self.streams, self.names.errors(BRIDGE))
        self.jobs = Jobs(self.names, self._put, self.states.remove, self.clock.monotonic_ns)
        self.backfills = Backfills()
        self.past = Past(lambda topic: self._known_until.get(topic, 0), Coverage(covered))
        self.books = Books(
            ledger,
            self.names,
            self.clock,
            self.streams,
            self.outbox,
            self.gaps,
            Tally(self.names),
            self.troubles,
            self.jobs,
            self.past.coverage,
            self.vitals,
        )
        self._children: dict[str, Any] | None = None
        self._aside: list[str] = []
        self._since_ns = self.clock.monotonic_ns()
        self._differing: set[str] = set()
        self._known_until: dict[str, int] = {}
        self.venues: list[Venue] = []

    @classmethod
    async def open(cls, settings: Settings) -> Self:
        """Open the ledger and make all parts; nothing is connected yet. Raises StoreError."""
        path = settings.data_dir / "bridge" / f"ledger{settings.shard.replace('/', '-')}.db"
        ledger = await asyncio.to_thread(Ledger.open, path, Topics(settings.prefix, settings.shard))
        known = await asyncio.to_thread(ledger.gaps), await asyncio.to_thread(ledger.covered)
        bridge = cls(settings, ledger, *known)
        since_ns = bridge.clock.now_ns() - 7 * DAY_NS
        bridge._known_until = await asyncio.to_thread(ledger.known_until, since_ns)
        bridge._make_venues()
        if ledger.loss is not None:
            bridge._lost(ledger.loss)
        if bridge.clock.synced:
            await bridge._begin_run()
        return bridge

    def _lost(self, loss: Loss) -> None:
        """A ledger is no more: where it ended, a gap begins on everything that is bridged."""
        self.books.to_tell.append(loss.reason)
        self.books.unanswered += [
            Stopped(venue.kind.name, GAP_CHANNEL[channel], loss.known_ns, loss.reason)
            for venue in self.venues
            for channel in sorted(venue.settings.channels & venue.kind.channels & GAP_CHANNEL.keys())
        ]

    def tasks(self) -> dict[str, Coroutine[Any, Any, None]]:
        """What must run for as long as the bridge does, by name."""
        client = self.settings.client_id(f"requests{self.settings.shard.replace('/', '-')}")
        requests = Requests(self.settings.broker, client, self.names, self._desk(), self.ledger, self.vitals)
        works: dict[str, Coroutine[Any, Any, None]] = {
            "publisher": self.publisher.run(),
            "requests": requests.run(),
            "pulse": self.pulse.run(),
            "flush": self._flush(),
            "tend": self._tend(),
            "ledger": self.books.keep(),
        }
        if self.settings.homeassistant.enabled:
            works["homeassistant"] = self._link().run()
        return works | {venue.kind.name: venue.run() for venue in self.venues}

    def _link(self) -> Link:
        client = self.settings.client_id(f"homeassistant{self.settings.shard.replace('/', '-')}")
        flag, figures = self.settings.data_dir / SENSORS_UNKNOWN, self.publisher.figures
        ways = Ways(lambda: ask_to_save(flag), lambda: figures.max_packet, self.vitals)
        return Link(self.settings.broker, client, self.names, self.home, ways)

    def change(self, settings: Settings) -> None:
        """Take other symbols from settings that were read anew; everything else needs a new start, and it is said."""
        for name in restarting(self.settings, settings):
            log.warning("%s has changed: that needs a restart", name)
        for venue in self.venues:
            venue.change(getattr(settings.exchanges, venue.kind.name))
        self.home.change(settings)

    async def _begin_run(self) -> None:
        await self.books.begin(self.publisher.figures.marker_run)
        self.publisher.renew()
        self._hand_over(self.gaps.running("stopped"))

    async def _next_run(self) -> None:
        await self.books.end("clock")
        await self._begin_run()

    async def close(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Say goodbye in order: lines, states, streams, ledger."""
        for venue in self.venues:
            venue.stop()
        self.home.stop()
        publisher = [task for task in tasks if task.get_name() == "publisher"]
        await _cancelled([task for task in tasks if task not in publisher])
        left = await self.publisher.close(DRAIN_S)
        if left:
            log.warning("%d messages could not be handed to the broker any more; the ledger keeps them as a gap", left)
        await _cancelled(publisher)
        self.outbox.abandon()
        drops = self.outbox.drops()
        self.books.uncover(drops)
        self.gaps.dropped(drops, self.names, self.clock.now_ns())
        await self.books.end("stopped")
        await asyncio.to_thread(self.ledger.close)

    # --- parts --------------------------------------------------------------------------------------
    def _make_venues(self) -> None:
        shared = Shared(
            settings=self.settings,
            names=self.names,
            streams=self.streams,
            clock=self.clock,
            pulse=self.pulse,
            put=self._put,
            outages=lambda name: Outages(name, self.gaps, self.books.tell),
            gaps_open=self.gaps.open_count,
            figures=self._figures,
            past=self.past,
            gaps=self.gaps,
            tell=self.books.tell,
            jobs=self.jobs,
            backfills=self.backfills,
            folder=self.settings.data_dir / "bridge" / CATALOGUES,
            damaged=self.books.to_tell.append,
            vitals=self.vitals,
        )
        for name, kind in EXCHANGES.items():
            settings = getattr(self.settings.exchanges, name)
            if settings.enabled:
                self.venues.append(Venue(kind, settings, shared))
        self.home = Home(self.settings, self.names, self.venues, self._put, self.clock)

    def _desk(self) -> Desk:
        return Desk(
            names=self.names,
            tally=self.books.tally,
            gaps=self.gaps,
            log=self.outbox,
            now_ns=self.clock.now_ns,
            refresh=self.books.count,
            tell=self.books.tell,
            sent=self._wake,
            run=lambda: self.streams.run,
            backfills=self.backfills,
            uncover=self.past.coverage.remove,
        )

    def _wake(self) -> None:
        self.publisher.wake()

    def _put(self, state: State) -> None:
        self.states.put(state)
        self.publisher.wake()

    # --- time passes --------------------------------------------------------------------------------
    async def _flush(self) -> None:
        while True:
            for venue in self.venues:
                venue.flush()
            self.outbox.pack(PACK_MOST)
            self.vitals.promise("flush", FLUSH_S)
            await asyncio.sleep(FLUSH_S)

    async def _tend(self) -> None:
        told_ns = 0
        while True:
            for change in (*self.clock.check(), *self._believed()):
                await self._clock_changed(change)
            run = self.streams.run
            if run is not None and self.publisher.figures.marker_run > run:
                log.warning("the broker remembers a later run than ours, of a lost ledger or a wrong clock")
                await self._next_run()
            now_ns, mono = self.clock.now_ns(), self.clock.monotonic_ns()
            if self.pulse.is_late(mono):
                self.pulse.stalled(mono)
            for venue in self.venues:
                venue.tend()
            self.home.tend(self._beat)
            if self.publisher.figures.connected:
                self.outbox.forget(mono)
                if (cramped := self.cramped.look(self.outbox.cramped_s(now_ns))) is not None:
                    log.warning("%s", cramped)
            self.books.tell_drops(now_ns)
            self.books.tell_losses()
            self.jobs.repeat()
            self.troubles.flush(now_ns)
            if mono - told_ns >= HEALTH_S * S:
                told_ns = mono
                self._compare_clocks(now_ns)
                self._children = await asyncio.to_thread(children, self.settings.data_dir)
                self._aside = await asyncio.to_thread(self._asides)
                self._put(State(self.names.health(BRIDGE), self._render_health, qos=1, expiry_s=HEALTH_EXPIRY_S))
            self._tell_vitals()
            await asyncio.sleep(TEND_S)

    def _compare_clocks(self, now_ns: int) -> None:
        """Where the system cannot tell whether its clock is right, the exchanges' clocks can: said once a change."""
        for venue in self.venues:
            lag = lag_ms(venue.feed.lags_ns)
            wrong = lag is not None and abs(lag["p50"]) > CLOCK_DIFFERS_MS
            if wrong != (venue.kind.name in self._differing):
                self._differing ^= {venue.kind.name}
                differs = f"differs from {venue.kind.title}'s by {lag['p50'] / 1000:.0f} s" if lag and wrong else ""
                reason = f"our clock {differs or f'agrees with {venue.kind.title} again'}"
                log.warning("%s", reason)
                self.troubles.note(Trouble("clock", reason), now_ns)

    def _believed(self) -> list[ClockChange]:
        """The system does not say that its clock is right: one exchange that agrees is enough, another may lag."""
        if self.clock.synced:
            return []
        lags = [lag["p50"] for venue in self.venues if (lag := lag_ms(venue.feed.lags_ns)) is not None]
        return self.clock.believe() if any(abs(one) <= CLOCK_DIFFERS_MS for one in lags) else []

    async def _clock_changed(self, change: ClockChange) -> None:
        log.warning("%s", change.reason)
        if change.step_ns:
            for venue in self.venues:
                venue.feed.lags_ns.clear()  # of the wrong clock
                if self.streams.run is None:
                    venue.clock_moved(change.step_ns)
        if change.kind in ("synchronised", "believed"):
            await self._begin_run()
            self._tell_unclocked()
        elif change.step_ns < 0 and self.streams.run is not None:
            await self._next_run()
        self.troubles.note(Trouble("clock", change.reason), self.clock.now_ns())

    def _hand_over(self, stopped: Sequence[Gap]) -> None:
        """Gaps of the time without us end with their exchange's first data, or now if it is not bridged any more."""
        now_ns = self.clock.now_ns()
        names = {venue.kind.name for venue in self.venues}
        for venue in self.venues:
            venue.adopt([gap for gap in stopped if gap.exchange == venue.kind.name])
        for gap in stopped:
            if gap.exchange not in names and (ended := self.gaps.close(gap.id, now_ns, now_ns)) is not None:
                self.books.tell(ended)

    def _tell_unclocked(self) -> None:
        """Streams waited until the clock was synchronised: one gap per exchange and channel."""
        now_ns = self.clock.now_ns()
        from_ns = now_ns - (self.clock.monotonic_ns() - self._since_ns)
        reason = "the system's clock was not synchronised yet"
        for venue in self.venues:
            for channel in sorted({name for session in venue.sessions for name in session.gap_channels}):
                gap = self.gaps.open(venue.kind.name, channel, from_ns, "clock", None, reason, now_ns)
                self.books.tell(gap)
                if (ended := self.gaps.close(gap.id, now_ns, now_ns)) is not None:
                    self.books.tell(ended)

    def _tell_vitals(self) -> None:
        feeds = ", ".join(f"{venue.kind.name} {venue.status().status}" for venue in self.venues)
        figures = self.publisher.figures
        broker = "connected" if figures.connected else f"away ({figures.reason})"
        self.vitals.status = f"{feeds or 'no exchange'}; broker {broker}, {self.outbox.unacknowledged} waiting"
        self.vitals.promise("tend", TEND_S)
        self.vitals.ready = True

    def _asides(self) -> list[str]:
        folder = self.settings.data_dir / "bridge"
        return [*asides(folder), *asides(folder / CATALOGUES)]

    # --- health -------------------------------------------------------------------------------------
    def _render_health(self, now_ns: int) -> bytes:
        return self.identity.bridge_health("online", self.publisher.connection, now_ns)

    def _figures(self) -> dict[str, Any]:
        """What every feed's health tells of the way to the broker."""
        reach_s = round(self.outbox.reach_s(self.clock.now_ns()), 1)
        outbox = {"messages": len(self.outbox), "bytes": self.outbox.bytes, "log_reach_s": reach_s}
        return {"outbox": outbox, "unheard": self.publisher.figures.unheard}

    def _beat(self) -> dict[str, Any]:
        """What `sensors/bridge` tells beside its status."""
        waiting, reconnects = self.outbox.unacknowledged, self.publisher.figures.reconnects
        return {"run": self.streams.run, "unacknowledged": waiting, "reconnects": reconnects}

    def _bridge_figures(self) -> dict[str, Any]:
        """What `health/bridge` tells beside its status."""
        figures = self.publisher.figures
        refused = {root: {"count": one.count, "reason": one.reason} for root, one in figures.refused.items()}
        return {
            **self._figures(),
            "reconnects": figures.reconnects,
            "unacknowledged": self.outbox.unacknowledged,
            "dropped": self.outbox.dropped,
            "unrepeated": self.outbox.unrepeated or None,
            "refused": refused or None,
            "stalls": self.pulse.stalls,
            "unclocked": self.streams.unclocked or None,
            "gaps_forgotten": self.gaps.forgotten or None,
            "store": self.books.trouble or self.ledger.away,
            "clock_waits": self.clock.waits(),
            "clock_differs": sorted(self._differing) or None,
            "homeassistant": self.home.figures(),
            "demo": self.settings.demo or None,
            "children": self._children,
            "put_aside": self._aside[-LISTED:] or None,
            "stuck": self.vitals.found or None,
        }


def restarting(before: Settings, after: Settings) -> list[str]:
    """The settings that have changed but are read only at the start, by their dotted names."""
    old, new = (_flat("", settings.model_dump()) for settings in (before, after))
    changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return [name for name in changed if not name.endswith(".symbols")]


def _flat(above: str, table: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flat(f"{above}{key}.", value) if isinstance(value, dict) else {f"{above}{key}": value}
    return flat


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    """End tasks; what they raised was told before."""
    for task in tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
