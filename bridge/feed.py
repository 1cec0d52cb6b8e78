"""One exchange's stream: every event passes here on its way from the socket to the outbox. Pure.

sanity → repeat? → number → outbox, and the symbol's newest state beside it. Nothing here waits.
"""

import logging
from collections import deque
from collections.abc import Callable, Container, Iterable

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bridge import topics
from bridge.candles import Candles, Closed
from bridge.coverage import Coverage
from bridge.events import Candle, Channel, Digits, Stats, Symbol, Tick, Trade
from bridge.exchanges.base import Outcome, Refused
from bridge.freshness import SymbolLife
from bridge.latest import Conflation, Slot
from bridge.numbers import number
from bridge.sanity import candle_problem, is_sound, tick_problem, trade_problem
from bridge.series import Series, Tape
from bridge.streams import Streams
from bridge.told import Hole
from bridge.topics import INTERVALS_NS, State, Topics, Trouble
from bridge.troubles import Troubles

log = logging.getLogger(__name__)

LATEST_EXPIRY_S = 30
STATS_EXPIRY_S = 300
LATE_ACCEPTED = 10
"""After so many older sequences in a row the exchange has begun to count anew, and is believed."""
LAGS_KEPT = 512
REASON_SHOWN = 200
MS = 1_000_000


class Counters:
    """What a feed has seen since its start."""

    __slots__ = ("dropped", "late", "published", "received", "repeats", "unreadable")

    def __init__(self) -> None:
        self.received = self.published = self.repeats = self.dropped = self.unreadable = self.late = 0


class FeedRules(Struct, frozen=True):
    """What differs between feeds, and how often their states are sent at most, in seconds."""

    consecutive_trades: bool = False
    latest_s: float = 1.0
    stats_s: float = 5.0


USUAL = FeedRules()


class Past(Struct):
    """What was told before: `known_until(topic)`, the newest row of the runs before, and what of candles was told."""

    known_until: Callable[[str], int] = lambda topic: 0
    coverage: Coverage = msgspec.field(default_factory=Coverage)


class Feed:
    """All symbols of one exchange. `synced()` tells whether times may be published."""

    def __init__(
        self,
        exchange: str,
        names: Topics,
        streams: Streams,
        put: Callable[[State], None],
        *,
        rules: FeedRules = USUAL,
        synced: Callable[[], bool] = lambda: True,
    ) -> None:
        self.exchange = exchange
        self.past = Past()
        self.names = names
        self.synced = synced
        self._consecutive_trades = rules.consecutive_trades
        self.counters = Counters()
        self.last_tick_ns: int | None = None
        self.lags_ns: deque[int] = deque(maxlen=LAGS_KEPT)
        self.series: dict[Symbol, Series] = {}
        self.tapes: dict[Symbol, Tape] = {}
        self.candles = Candles()
        self.troubles = Troubles(streams, names.errors(exchange))
        self._streams = streams
        second = 1_000_000_000
        latest_ns, stats_ns = int(rules.latest_s * second), int(rules.stats_s * second)
        self.latest = Conflation(put, latest_ns, LATEST_EXPIRY_S * second // 3)
        self.forming = Conflation(put, second, LATEST_EXPIRY_S * second // 3)
        self.stats = Conflation(put, stats_ns, STATS_EXPIRY_S * second // 3)
        self._forming_slots: dict[tuple[Symbol, str], Slot] = {}
        self._stats_slots: dict[Symbol, tuple[Slot, list[bytes]]] = {}
        self.changes: dict[Symbol, Digits] = {}
        """The change of 24 h, as a fraction, where a living line tells it."""
        self._retired: set[Symbol] = set()
        """What an exchange still tells of these, before it has heard that we want no more, is left unheard."""
        self._parted: set[Symbol] = set()
        """Once subscribed and given up: what the runs before told of them says nothing any more."""
        self._covering: dict[tuple[Symbol, str], int] = {}
        """Since when the living line tells all candles."""
        self._mono_ns = 0
        self._on_line = True
        self._line_since_ns = 0

    def deliver(
        self, outcomes: Iterable[Outcome], mono_ns: int, line_since_ns: int = 0, *, on_line: bool = True
    ) -> int:
        """Take what one frame (or REST, `on_line` False) told. How many were market data; the rest is the session's."""
        self._mono_ns = mono_ns
        self._on_line = on_line
        self._line_since_ns = line_since_ns
        data = 0
        for outcome in outcomes:
            kind = type(outcome)
            if kind is Tick:
                self.tick(outcome)  # type: ignore[arg-type]
            elif kind is Trade:
                self._trade(outcome)  # type: ignore[arg-type]
            elif kind is Candle:
                self._candle(outcome)  # type: ignore[arg-type]
            elif kind is Stats:
                self._stat(outcome)  # type: ignore[arg-type]
            else:
                continue
            data += 1
        return data

    # --- ticks: the hot path ------------------------------------------------------------------------
    def tick(self, tick: Tick) -> None:
        """Publish a tick, unless it repeats the last one, is older than it, or is not believed."""
        self.counters.received += 1
        series = self.series.get(tick.symbol)
        if series is None:
            if tick.symbol in self._retired:
                return
            series = self._open(tick.symbol)
        last = series.last
        if last is not None:
            if tick.seq == last.seq:
                if _same(last, tick):
                    self._repeated(series)
                    return
            elif _before(tick, last) and self._is_late(series, tick):
                return
        if tick.exchange_time_ns is not None:
            self.lags_ns.append(tick.received_ns - tick.exchange_time_ns)
        if is_sound(tick):
            self._accepted(series, tick)
        elif (sound := self._examined(tick)) is not None:
            self._accepted(series, sound)

    def _examined(self, tick: Tick) -> Tick | None:
        """A closer look at what is not sound at first sight: made sound, or parked."""
        problem = tick_problem(tick, clocked=self.synced())
        if problem is None:
            try:
                return topics.normal(tick)
            except ValueError as error:
                problem = str(error)
        self.park(Refused("value", problem, tick.symbol), "prices", tick.received_ns)
        return None

    def _accepted(self, series: Series, tick: Tick) -> None:
        stream = series.stream
        received_ns = tick.received_ns
        time_ns = received_ns if received_ns > stream.time_ns else stream.time_ns + 1
        series.last = tick
        series.body = body = topics.tick_body(tick, time_ns)
        series.body_ns = time_ns
        series.late = 0
        if series.stale is not None:
            self._refresh(series)
        life, mono_ns = series.life, self._mono_ns
        if mono_ns - life.heard_ns <= life.usual_ns:
            life.heard_ns = mono_ns
        else:
            life.heard(mono_ns, on_line=self._on_line)
        self.last_tick_ns = received_ns
        if self._streams.publish(stream, body, time_ns, received_ns):
            self.counters.published += 1
        if not series.slot.pending:
            self.latest.touch(series.slot)

    def _repeated(self, series: Series) -> None:
        """Life, but no tick."""
        self.counters.repeats += 1
        series.life.heard(self._mono_ns, on_line=self._on_line)
        if series.stale is not None:
            self._refresh(series)
            self.latest.touch(series.slot)

    def _is_late(self, series: Series, tick: Tick) -> bool:
        series.late += 1
        if series.late >= LATE_ACCEPTED:
            series.late = 0
            return False
        self.counters.late += 1
        last = series.last.seq if series.last else None
        reason = f"late: sequence {tick.seq} after {last}"
        self.park(Refused("value", reason, tick.symbol), "prices", tick.received_ns)
        return True

    def _refresh(self, series: Series) -> None:
        """The exchange told this price on a living line: it is the market's again."""
        series.stale = None
        series.slot.alive = True

    def _open(self, symbol: Symbol) -> Series:
        stream = self._streams.stream(self.names.price(self.exchange, symbol))
        series = Series(symbol, stream, self._mono_ns)

        def render(now_ns: int) -> bytes | None:
            if not series.body:
                return None
            return topics.latest(series.body, series.body_ns, now_ns, stale=series.stale, synced=self.synced())

        state = State(self.names.latest(self.exchange, symbol), render, expiry_s=LATEST_EXPIRY_S)
        series.slot = self.latest.slot(state)
        self.series[symbol] = series
        return series

    # --- trades, candles, statistics ----------------------------------------------------------------
    def _trade(self, trade: Trade) -> None:
        if trade.symbol in self._retired:
            return
        self.counters.received += 1
        tape = self.tapes.get(trade.symbol) or self._open_tape(trade.symbol)
        problem = trade_problem(trade, clocked=self.synced())
        if problem is not None:
            self.park(Refused("value", problem, trade.symbol), "trades", trade.received_ns)
            return
        if self._consecutive_trades:
            tape.sequence.seen(trade.number, trade.exchange_time_ns, self._mono_ns)
        key = tape.told.place(trade)
        if key is None:
            self.counters.repeats += 1
            return
        try:
            body = topics.trade_body(trade, key)
        except ValueError as error:
            self.park(Refused("value", str(error), trade.symbol), "trades", trade.received_ns)
            return
        if self._streams.publish(tape.stream, body, key, trade.received_ns):
            self.counters.published += 1
            tape.heard(trade, key)

    def tape(self, symbol: Symbol) -> Tape:
        """A symbol's trades, also before the first."""
        return self.tapes.get(symbol) or self._open_tape(symbol)

    def _open_tape(self, symbol: Symbol) -> Tape:
        topic = self.names.trade(self.exchange, symbol)
        told_until_ns = 0 if symbol in self._parted else self.past.known_until(topic)
        tape = Tape(self._streams.stream(topic), symbol, told_until_ns)
        self.tapes[symbol] = tape
        return tape

    def _candle(self, candle: Candle) -> None:
        if candle.symbol in self._retired:
            return
        self.counters.received += 1
        problem = candle_problem(candle, clocked=self.synced())
        if problem is not None:
            self.park(Refused("value", problem, candle.symbol), "candles", candle.received_ns)
            return
        for closed in self.candles.receive(candle, self._line_since_ns):
            self.publish_candle(closed, candle.received_ns)
        self._touch_forming(candle)

    def publish_candle(self, closed: Closed, now_ns: int) -> None:
        """A closed candle: live and numbered, or as a fill of the run's snapshots or corrections."""
        candle = closed.candle
        topic = self.names.candle(self.exchange, candle.symbol, candle.interval)
        try:
            body = topics.candle_body(candle)
        except ValueError as error:
            self.park(Refused("value", str(error), candle.symbol), "candles", now_ns)
            return
        run = self._streams.run
        if closed.source is not None and run is not None:
            self._streams.fill(topic, body, f"{run}-{closed.source}", closed.source, candle.open_ns, now_ns)
            self._cover(topic, candle, candle.open_ns)
        elif self._streams.publish(self._streams.stream(topic), body, candle.open_ns, now_ns):
            self.counters.published += 1
            since_ns = self._covering.setdefault((candle.symbol, candle.interval), candle.open_ns)
            self._cover(topic, candle, since_ns)
        slot = self._forming_slots.get((candle.symbol, candle.interval))
        if slot is not None and self.candles.forming(candle.symbol, candle.interval) is None:
            self.forming.end(slot)

    def _cover(self, topic: str, candle: Candle, since_ns: int) -> None:
        self.past.coverage.add(topic, since_ns, candle.open_ns + INTERVALS_NS[candle.interval])

    def _touch_forming(self, candle: Candle) -> None:
        key = (candle.symbol, candle.interval)
        if self.candles.forming(*key) is None:
            return
        slot = self._forming_slots.get(key)
        if slot is None:

            def render(now_ns: int) -> bytes | None:
                forming = self.candles.forming(*key)
                return None if forming is None else topics.plain(topics.candle_body(forming))

            topic = self.names.forming(self.exchange, *key)
            slot = self.forming.slot(State(topic, render, expiry_s=LATEST_EXPIRY_S))
            self._forming_slots[key] = slot
        slot.alive = True
        self.forming.touch(slot)

    def _stat(self, told: Stats) -> None:
        if told.symbol in self._retired:
            return
        try:
            payload = topics.stats(told, synced=self.synced())
        except ValueError as error:
            self.park(Refused("value", str(error), told.symbol), "stats", told.received_ns)
            return
        if told.change is not None:
            self.changes[told.symbol] = number(told.change)
        known = self._stats_slots.get(told.symbol)
        if known is None:
            newest = [payload]
            topic = self.names.stats(self.exchange, told.symbol)
            slot = self.stats.slot(
                State(topic, lambda now_ns: newest[0] if slot.alive else None, expiry_s=STATS_EXPIRY_S)
            )
            known = self._stats_slots[told.symbol] = (slot, newest)
        known[1][0] = payload
        known[0].alive = True
        self.stats.touch(known[0])

    # --- lines --------------------------------------------------------------------------------------
    def life(self, symbol: Symbol, mono_ns: int) -> SymbolLife:
        """The symbol's rhythm."""
        self._mono_ns = mono_ns
        return (self.series.get(symbol) or self._open(symbol)).life

    def is_heard(self, symbol: Symbol) -> bool:
        """Whether its line has told anything of this symbol."""
        series = self.series.get(symbol)
        return series is not None and series.life.on_line

    def line_up(self, symbols: Iterable[Symbol], channels: frozenset[Channel], mono_ns: int) -> None:
        """These symbols were subscribed on a new line: unheard on it until they speak."""
        self._retired.difference_update(symbols)
        if Channel.TICKER in channels:
            for symbol in symbols:
                self.life(symbol, mono_ns).line_up(mono_ns)

    def line_lost(
        self, symbols: Iterable[Symbol], channels: frozenset[Channel], reason: str, mono_ns: int
    ) -> list[tuple[Symbol, Hole]]:
        """The line of these symbols is gone: their prices are old, their forming candles incomplete.

        Returns the holes in trade ids that were not told yet.
        """
        symbols = frozenset(symbols)
        if Channel.TICKER in channels:
            for symbol in symbols:
                self.mark_stale(symbol, reason, mono_ns)
        if Channel.CANDLES in channels:
            self.candles.lost(symbols)
            for key in [key for key in self._covering if key[0] in symbols]:
                del self._covering[key]
        if Channel.STATS in channels:
            for symbol in symbols & self._stats_slots.keys():
                self.stats.end(self._stats_slots[symbol][0])
                self.changes.pop(symbol, None)
        if Channel.TRADES not in channels:
            return []
        tapes = [(symbol, self.tapes[symbol]) for symbol in symbols & self.tapes.keys()]
        for symbol, tape in tapes:
            tape.interrupt(symbol)
        return [(symbol, hole) for symbol, tape in tapes for hole in tape.sequence.restart()]

    # --- trouble and staleness ----------------------------------------------------------------------
    def park(self, refused: Refused, channel: str | None, now_ns: int, frame: bytes | None = None) -> None:
        """Keep what is not published in the error table, and count it."""
        if refused.kind == "frame":
            self.counters.unreadable += 1
        elif refused.kind == "value":
            self.counters.dropped += 1
        told = None if frame is None else topics.shown(frame)
        refused = replace(refused, reason=refused.reason[:REASON_SHOWN])
        trouble = Trouble(refused.kind, refused.reason, refused.channel or channel, refused.symbol, told)
        if self.troubles.note(trouble, now_ns):
            log.warning("%s: %s %s: %s", self.exchange, refused.symbol or "", refused.kind, refused.reason)
            if told is not None:
                log.info("%s: the frame begins %r", self.exchange, told)

    def mark_stale(self, symbol: Symbol, reason: str, mono_ns: int) -> None:
        """The symbol's price is old: say so once, at once."""
        series = self.series.get(symbol)
        if series is None or series.stale is not None:
            return
        series.stale = reason
        self.latest.send_now(series.slot, mono_ns)
        self.latest.end(series.slot)

    def retire(self, symbol: Symbol, mono_ns: int) -> None:
        """No longer subscribed: stale for good, and not counted any more."""
        self.mark_stale(symbol, "no longer subscribed", mono_ns)
        self._retired.add(symbol)
        self.candles.lost(frozenset({symbol}))
        series = self.series.pop(symbol, None)
        if series is not None:
            self.latest.drop(series.slot)
        if (known := self._stats_slots.pop(symbol, None)) is not None:
            self.stats.end(known[0])
            self.stats.drop(known[0])
            self.changes.pop(symbol, None)
        for key in [key for key in self._forming_slots if key[0] == symbol]:
            self.forming.drop(self._forming_slots.pop(key))
        self.tapes.pop(symbol, None)
        self._parted.add(symbol)
        self._covering = {key: since_ns for key, since_ns in self._covering.items() if key[0] != symbol}

    def close_candles(self, symbols: Container[Symbol], now_ns: int, proven_ns: int) -> None:
        """Once a second for each living line: candles that the clock closes."""
        for closed in self.candles.due(symbols, now_ns, proven_ns):
            self.publish_candle(closed, now_ns)

    def vindicate(self, series: Series, mono_ns: int) -> None:
        """REST tells the same: the price is the market's, however long the symbol is silent."""
        series.life.vindicated(mono_ns)
        if series.stale is not None:
            self._refresh(series)
            self.latest.touch(series.slot)

    def clock_moved(self, step_ns: int) -> None:
        """The clock was wrong by so much: the newest ticks get the times that they came at."""
        self.last_tick_ns = self.last_tick_ns and self.last_tick_ns + step_ns
        for series in self.series.values():
            if series.last is not None:
                series.body_ns += step_ns
                series.body = topics.tick_body(series.last, series.body_ns)

    def tend(self, now_ns: int, mono_ns: int) -> None:
        """Once a second: repeats, the errors' summary."""
        for conflation in (self.latest, self.forming, self.stats):
            conflation.repeat(mono_ns)
        self.troubles.flush(now_ns)

    def flush(self, mono_ns: int) -> None:
        """Several times a second: the states whose interval is over."""
        for conflation in (self.latest, self.forming, self.stats):
            conflation.flush(mono_ns)


def _before(tick: Tick, last: Tick) -> bool:
    return tick.seq is not None and last.seq is not None and tick.seq < last.seq


def _same(last: Tick, tick: Tick) -> bool:
    """Equal in everything but the arrival."""
    return (
        last.price == tick.price
        and last.bid == tick.bid
        and last.ask == tick.ask
        and last.bid_size == tick.bid_size
        and last.ask_size == tick.ask_size
        and last.size == tick.size
        and last.price_time_ns == tick.price_time_ns
        and last.exchange_time_ns == tick.exchange_time_ns
    )
