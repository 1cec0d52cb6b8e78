"""One attempt: a dialled line and its exchange object, from the first byte to its loss. Ends by raising FeedLost."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from msgspec import Struct

from bridge.clock import Clock
from bridge.errors import FeedLost, FeedRefused, FrameError
from bridge.events import Channel, Symbol
from bridge.exchanges.base import Acked, Bye, Exchange, Fetch, Look, Outcome, Pong, Refused, Send
from bridge.feed import REASON_SHOWN, Feed
from bridge.freshness import LineLife, Longest
from bridge.line import Line, open_line
from bridge.looks import Looks
from bridge.pulse import Pulse
from bridge.rest import Priority, Rest
from bridge.sender import Sender
from bridge.settings import Feed as FeedSettings
from bridge.vitals import Vitals

log = logging.getLogger(__name__)

STEP_S = 0.5
"""How often the line is tended: pings, proof of life."""
SEND_STEP_S = 0.2
"""The same while paced sends wait."""
CHECK_NS = 1_000_000_000
MAX_FETCHES = 50
ANSWERED_NS = 10_000_000_000
"""An exchange that leaves a subscription unanswered for so long is taken to have accepted it."""


class Context(Struct):
    """What all lines of one feed share."""

    feed: Feed
    rest: Rest
    clock: Clock
    pulse: Pulse
    settings: FeedSettings
    looks: Looks
    vitals: Vitals


class Listener(Protocol):
    """Hears what becomes of a line: its first data, and that all of its subscriptions are answered."""

    @property
    def name(self) -> str: ...
    def data_flows(self, mono_ns: int) -> None: ...
    def complete(self) -> None: ...


class Connection:
    """`run()` returns never: it raises what ended the line."""

    def __init__(
        self, exchange: Exchange, symbols: Sequence[Symbol], context: Context, listener: Listener, pauses: Longest
    ) -> None:
        self._exchange = exchange
        self._symbols = dict.fromkeys(symbols)
        self._context = context
        self._feed = context.feed
        self._clock = context.clock
        self._pulse = context.pulse
        self._listener = listener
        self._pauses = pauses
        self._complete = False
        self._sent_ns = 0
        settings = context.settings
        now = self._clock.monotonic_ns()
        self.life = LineLife(settings.proof_s, settings.silence_s, settings.pong_s, now, pauses)
        self.data_wall_ns = 0
        self.up_ns = now
        self._since_ns = self._clock.now_ns()
        self._sender = Sender(exchange.limits.sends_per_s, now)
        self._line = Line(self._on_frame, self._on_pong, exchange.max_frame_bytes)
        self._end: FeedLost | None = None
        self._fetches: set[asyncio.Task[None]] = set()
        self._acked: dict[Symbol, int] = {}
        self._next_ping_ns = self._next_check_ns = now
        self._ping_ns = int(settings.ping_s * 1e9)

    async def run(self) -> None:
        try:
            await self._dial()
            await self._greeted()
            self._subscribe(list(self._symbols))
            await self._keep()
        finally:
            for task in self._fetches:
                task.cancel()
            self._promise(self._context.settings.close_timeout_s)
            await self._line.close(self._context.settings.close_timeout_s)

    def change(self, added: Sequence[Symbol], removed: Sequence[Symbol]) -> None:
        """Subscribe and unsubscribe on the living line."""
        for symbol in removed:
            self._symbols.pop(symbol, None)
            self._acked.pop(symbol, None)
        self._sender.add(self._exchange.unsubscribe(removed) if removed else [])
        if added:
            self._subscribe(added)

    def clock_moved(self, step_ns: int) -> None:
        """The clock was wrong by so much."""
        self._since_ns += step_ns
        self.data_wall_ns += step_ns

    def give_up(self, lost: FeedLost) -> None:
        """End the line from outside."""
        self._end = self._end or lost
        self._line.abort(str(lost))

    def _promise(self, within_s: float) -> None:
        self._context.vitals.promise(self._listener.name, within_s)

    # --- up -----------------------------------------------------------------------------------------
    async def _dial(self) -> None:
        settings = self._context.settings
        self._context.vitals.rest(self._listener.name)  # REST promises by itself
        prelude = self._exchange.prelude()
        answer = await self._context.rest.ask(prelude) if prelude is not None else b""
        dial = self._exchange.dial(answer)
        self._ping_ns = int(min(settings.ping_s, dial.ping_every_s) * 1e9)
        self._promise(settings.connect_timeout_s)
        await open_line(dial.url, self._line, settings.connect_timeout_s, self._exchange.max_frame_bytes)
        now = self._clock.monotonic_ns()
        self._since_ns = self._clock.now_ns()
        self.life = LineLife(settings.proof_s, settings.silence_s, settings.pong_s, now, self._pauses)
        self.up_ns = now
        self._next_ping_ns = now + self._ping_ns

    async def _greeted(self) -> None:
        self._promise(self._context.settings.connect_timeout_s)
        deadline = self._clock.monotonic_ns() + int(self._context.settings.connect_timeout_s * 1e9)
        while not self._exchange.greeted():
            self._check()
            if self._clock.monotonic_ns() > deadline:
                raise FeedLost("no welcome after connecting")
            await asyncio.sleep(0.02)

    def _subscribe(self, symbols: Sequence[Symbol]) -> None:
        self._symbols.update(dict.fromkeys(symbols))
        self._sender.add(self._exchange.subscribe(symbols))
        self._feed.line_up(symbols, self._exchange.wanted, self._clock.monotonic_ns())

    # --- alive --------------------------------------------------------------------------------------
    async def _keep(self) -> None:
        while True:
            now = self._clock.monotonic_ns()
            self._check()
            if (reason := self.life.lost(now)) is not None:
                raise FeedLost(reason)
            self._ping(now)
            for text in self._sender.due(now):
                self._line.send(text)
                self._sent_ns = now
            if not self._complete and self.life.has_data and self._is_subscribed(now):
                self._complete = True
                self._listener.complete()
            if now >= self._next_check_ns:
                self._next_check_ns = now + CHECK_NS
                self._check_symbols(now)
            step_s = SEND_STEP_S if self._sender.waiting else STEP_S
            self._promise(step_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(step_s):
                    await self._line.gone.wait()

    def _is_subscribed(self, now: int) -> bool:
        """Every subscription is sent and answered, or at least sent some seconds ago."""
        answered = self._exchange.settled() or now - self._sent_ns > ANSWERED_NS
        return not self._sender.waiting and answered

    def _check(self) -> None:
        if self._line.failure is not None:
            raise self._line.failure
        if self._end is not None:
            raise self._end
        if self._line.gone.is_set():
            raise FeedLost(self._line.reason)

    def _ping(self, now: int) -> None:
        if now < self._next_ping_ns:
            return
        self._next_ping_ns = now + self._ping_ns
        text = self._exchange.ping(self._clock.now_ns())
        if text is None:
            self._line.ping()
        else:
            self._line.send(text)
        self._sender.spend()
        self.life.pinged(now)

    def _check_symbols(self, now: int) -> None:
        self._report_unheard(now)
        for fetch in self._context.looks.due(self._exchange, self._symbols, now):
            self._fetch(fetch)

    def _report_unheard(self, now: int) -> None:
        """A symbol that the exchange accepted and never told anything of: delisted, renamed or forgotten."""
        limit = int(self._context.settings.unheard_symbol_s * 1e9)
        for symbol in [symbol for symbol, since in self._acked.items() if now - since > limit]:
            del self._acked[symbol]
            if not self._feed.is_heard(symbol):
                reason = "subscribed and acknowledged, but silent since"
                self._feed.park(Refused("symbol", reason, symbol), "ticker", self._clock.now_ns())

    # --- frames -------------------------------------------------------------------------------------
    def _on_frame(self, frame: bytes) -> None:
        mono = self._clock.monotonic_ns()
        if self._pulse.is_late(mono):
            self._pulse.stalled(mono)
            return
        received_ns = mono + self._clock.offset_ns
        try:
            outcomes = self._exchange.receive(frame, received_ns)
        except FrameError as error:
            self._feed.counters.received += 1
            self._feed.park(Refused("frame", str(error)[:200]), None, received_ns, frame)
            return
        told = self._feed.deliver(outcomes, mono, self._since_ns)
        if told:
            self.data_wall_ns = received_ns
            first = not self.life.has_data
            self.life.data(mono)
            if first:
                self._listener.data_flows(mono)
        if told != len(outcomes):
            self._act(outcomes, mono)

    def _on_pong(self) -> None:
        self.life.answered(self._clock.monotonic_ns())

    def _act(self, outcomes: Sequence[Outcome], mono: int) -> None:
        """What is no market data: answers, acknowledgements, look-ups, the exchange's own words."""
        for outcome in outcomes:
            if isinstance(outcome, Pong):
                self.life.answered(mono)
            elif isinstance(outcome, Send):
                self._sender.first(outcome.text)
            elif isinstance(outcome, Fetch):
                self._fetch(outcome)
            elif isinstance(outcome, Acked):
                self._on_ack(outcome, mono)
            elif isinstance(outcome, Refused):
                self._feed.park(outcome, None, self._clock.now_ns())
            elif isinstance(outcome, Bye):
                reason = outcome.reason[:REASON_SHOWN]
                lost = FeedRefused(reason) if outcome.refused else FeedLost(reason, at_once=True)
                self.give_up(lost)
            elif isinstance(outcome, Look):
                self._looked(outcome, mono)

    def _on_ack(self, ack: Acked, mono: int) -> None:
        if ack.channel in (None, Channel.TICKER) and Channel.TICKER in self._exchange.wanted:
            self._acked.update(dict.fromkeys(ack.symbols, mono))

    def _looked(self, look: Look, mono: int) -> None:
        symbol = look.tick.symbol
        if self._context.looks.contradicts(look, mono):
            log.warning("%s: %s is told otherwise by REST: subscribing anew", self._exchange.name, symbol)
            self._sender.add(self._exchange.unsubscribe([symbol]))
            self._sender.add(self._exchange.subscribe([symbol]))

    # --- REST in mid-line ---------------------------------------------------------------------------
    def _fetch(self, fetch: Fetch) -> None:
        if len(self._fetches) >= MAX_FETCHES:
            log.warning("%s: %s is not fetched, too many are waiting", self._exchange.name, fetch.purpose)
            return
        task = asyncio.get_running_loop().create_task(self._fetched(fetch))
        self._fetches.add(task)
        task.add_done_callback(self._fetch_done)

    async def _fetched(self, fetch: Fetch) -> None:
        try:
            answer = await self._context.rest.ask(fetch.request, Priority.FETCH)
            outcomes = self._exchange.fetched(fetch, answer, self._clock.now_ns())
        except (FeedLost, FrameError) as error:
            log.warning("%s: %s could not be fetched: %s", self._exchange.name, fetch.purpose, error)
            return
        mono = self._clock.monotonic_ns()
        self._feed.deliver(outcomes, mono, self._since_ns, on_line=False)
        self._act(outcomes, mono)

    def _fetch_done(self, task: asyncio.Task[None]) -> None:
        self._fetches.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._line.failure = error
            self._line.gone.set()
