"""The connection loop, written once for every exchange: dial, greet, subscribe, keep alive, lose, wait, again.

A fresh Exchange object per attempt; the backoff is reset by data only; proof of life is not data. It never gives up.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from bridge.backoff import Backoff
from bridge.clock import Clock
from bridge.connection import Connection, Context
from bridge.errors import FeedLost, FeedRefused, FrameError
from bridge.events import Channel, Symbol
from bridge.exchanges.base import Exchange
from bridge.freshness import RHYTHM_NS, Longest
from bridge.health import LineStatus
from bridge.outages import GAP_CHANNEL, Outage, Outages

log = logging.getLogger(__name__)

AT_ONCE_NS = 60_000_000_000
"""A line that lived for so long and was ended with notice is replaced without a pause."""


class Session:
    """One line of a feed, for as long as the bridge runs. `make()` gives the fresh Exchange of an attempt."""

    def __init__(
        self, name: str, make: Callable[[], Exchange], symbols: Iterable[Symbol], context: Context, outages: Outages
    ) -> None:
        self.name = name
        self.symbols: dict[Symbol, None] = dict.fromkeys(symbols)
        self.status = LineStatus()
        self.reconnects = 0
        sample = make()
        self.channels, self.whole = sample.wanted, sample.whole
        self._make = make
        self._context = context
        self._outages = outages
        self._connection: Connection | None = None
        settings = context.settings
        self._backoff = Backoff(settings.backoff_first_s, settings.backoff_most_s)
        self.has_data = False
        now = context.clock.monotonic_ns()
        self._since_mono_ns = now
        self._pauses = Longest(RHYTHM_NS, now)
        self._data_ns: int | None = None
        self._data_mono_ns: int | None = None
        self._set("connecting", "")

    @property
    def gap_channels(self) -> set[str]:
        """The channels of this line as gaps name them."""
        return {GAP_CHANNEL[channel] for channel in self.channels if channel in GAP_CHANNEL}

    @property
    def _clock(self) -> Clock:
        return self._context.clock

    async def run(self) -> None:
        """Connect again and again, until cancelled."""
        while True:
            delay_s = await self._attempt()
            self.reconnects += 1
            self._context.vitals.promise(self.name, delay_s)
            await asyncio.sleep(delay_s)

    async def _attempt(self) -> float:
        """One line from dial to loss. Returns how long to wait before the next, in seconds."""
        connection = Connection(self._make(), list(self.symbols), self._context, self, self._pauses)
        self._connection = connection
        try:
            await connection.run()
        except FeedRefused as lost:
            delay_s = max(self._backoff.next(), lost.retry_after_s or 0.0)
            self._lost(connection, lost, "refused", f"{lost}; next try in {delay_s:.0f} s")
            return delay_s
        except (FeedLost, FrameError) as lost:
            self._lost(connection, lost, "reconnecting", str(lost))
            lived_ns = self._clock.monotonic_ns() - connection.up_ns
            at_once = isinstance(lost, FeedLost) and lost.at_once and lived_ns > AT_ONCE_NS
            return 0.0 if at_once else self._backoff.next()
        finally:
            self._connection = None
        raise AssertionError("a connection ends by an error only")

    def change(self, symbols: Iterable[Symbol]) -> None:
        """Subscribe and unsubscribe on the living line, so that it carries just these symbols."""
        wanted = dict.fromkeys(symbols)
        added = [symbol for symbol in wanted if symbol not in self.symbols]
        removed = [symbol for symbol in self.symbols if symbol not in wanted]
        self.symbols = wanted
        if self._connection is not None:
            self._connection.change(added, removed)
        for symbol in removed:
            self._context.feed.retire(symbol, self._clock.monotonic_ns())

    def stalled(self, seconds: float) -> None:
        """The process stood still: what waits in the socket's buffer is dropped unread."""
        if self._connection is not None:
            self._connection.give_up(FeedLost(f"the bridge stood still for {seconds:.0f} s", cause="stalled"))

    def clock_moved(self, step_ns: int) -> None:
        """The clock was wrong by so much: what it said is corrected."""
        self.status.since_ns += step_ns
        self._data_ns = self._data_ns and self._data_ns + step_ns
        if self._connection is not None:
            self._connection.clock_moved(step_ns)

    def tend(self) -> None:
        """Once a second: quiet or not, and what candles the clock closes."""
        connection = self._connection
        if connection is not None and Channel.CANDLES in self.channels:
            now_ns, mono = self._clock.now_ns(), self._clock.monotonic_ns()
            self._context.feed.close_candles(self.symbols, now_ns, now_ns - (mono - connection.life.proven_ns))
        if connection is not None and self.status.status in ("online", "quiet"):
            quiet = connection.life.is_quiet(self._clock.monotonic_ns())
            self._set("quiet" if quiet else "online", "no data, though the line answers" if quiet else "")

    # --- transitions --------------------------------------------------------------------------------
    def data_flows(self, mono_ns: int) -> None:
        """First data of a line: a fast retry is earned; the pause between two lines belongs to the feed's rhythm."""
        if self._data_mono_ns is not None:
            self._pauses.note(mono_ns - self._data_mono_ns, mono_ns)
        self._backoff.reset()
        self.has_data = True
        self._set("online", "")
        log.info("%s: online", self.name)

    def complete(self) -> None:
        """Data flows and every subscription is answered: the gap ends."""
        now_ns = self._clock.now_ns()
        self._outages.end(self.name, now_ns, now_ns)

    def _lost(self, connection: Connection, lost: FeedLost | FrameError, status: str, reason: str) -> None:
        now_ns = self._clock.now_ns()
        cause = lost.cause if isinstance(lost, FeedLost) else "line lost"
        if connection.life.has_data:
            self._data_ns, self._data_mono_ns = connection.data_wall_ns, connection.life.data_ns
        if self._clock.synced:
            from_ns = self._data_ns or now_ns - (self._clock.monotonic_ns() - self._since_mono_ns)
            symbols = None if self.whole else frozenset(self.symbols)
            self._outages.begin(self.name, Outage(self.channels, symbols, from_ns, cause, reason), now_ns)
        if self.status.status != status or self.status.reason != reason:
            log.warning("%s: %s", self.name, reason)
        self._set(status, reason)
        feed = self._context.feed
        reason = f"{feed.exchange}: {status}"
        for symbol, hole in feed.line_lost(self.symbols, self.channels, reason, self._clock.monotonic_ns()):
            self._outages.hole(symbol, hole, now_ns)

    def _set(self, status: str, reason: str) -> None:
        if status != self.status.status:
            self.status.since_ns = self._clock.now_ns()
        self.status.status, self.status.reason = status, reason
