"""The bridge's gaps: when an interval or a message counts as missing, what joins, and how it ends. Pure.

What is returned are snapshots; the caller publishes each on `gaps/<exchange>`. Gaps of trades and candles stay `open`
when they are over, until a fill settles them; all others become `unfillable` at once.
"""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from bridge.dropped import Dropped
from bridge.events import Symbol
from bridge.gap_book import FILLABLE, UNSETTLED, GapBook, Held, Kind
from bridge.lost import Lost
from bridge.topics import INTERVALS_NS, Gap, Missing, Topics

MAX_MISSING = 20_000
"""Places of one gap where a fill has to look; beyond, one is stretched: rather too much brought than too little."""
MAX_REASON = 200
NOBODY_TELLS_TWICE = {"prices": "an exchange tells no past prices"}
OBSERVED = "what was observed cannot be asked for again"


class Loss(Struct, frozen=True):
    """Numbered messages that are lost for good, and the time between which they stood."""

    kind: Kind
    from_ns: int
    to_ns: int
    lost: tuple[Lost, ...]
    reason: str | None = None
    missing: tuple[Missing, ...] = ()


class Filled(Struct, frozen=True):
    """What a fill made of a gap. `state`: filled, partial, unfillable, or open: it has to be tried again.

    `done`: the places where there is nothing more to look for; `topics`: those of which all was brought, `short`: those
    of which not all could be.
    """

    state: str
    job: str
    rows: int = 0
    expected: int | None = None
    reason: str | None = None
    done: tuple[Missing, ...] = ()
    topics: tuple[str, ...] = ()
    short: tuple[str, ...] = ()


class Stopped(Struct, frozen=True):
    """An earlier run published on this channel of this exchange until `from_ns`."""

    exchange: str
    channel: str
    from_ns: int
    reason: str


class Gaps(GapBook):
    """Opens, joins and ends gaps. Times are wall clock ns; nothing begins or ends later than `now_ns`."""

    # --- outages ------------------------------------------------------------------------------------
    def open(  # noqa: PLR0913, PLR0917
        self,
        exchange: str,
        channel: str,
        from_ns: int,
        cause: str,
        symbols: Sequence[Symbol] | None,
        reason: str | None,
        now_ns: int,
        *,
        expected: int | None = None,
    ) -> Gap:
        """A gap begins, or joins one that runs already (then each opener closes it once). `expected`: rows missing."""
        from_ns = min(from_ns, now_ns)
        kind = Kind(exchange, channel, cause, None if symbols is None else frozenset(symbols))
        held = self._covering(kind) or self._recent(kind, from_ns, from_ns) or self._enter(kind, from_ns)
        gap = held.gap
        gap.from_ns = min(gap.from_ns, from_ns)
        gap.to_ns, gap.state = None, "open"
        gap.reason = _reasons(gap.reason, reason)
        if expected is not None:
            gap.expected = (gap.expected or 0) + expected
        held.holders += 1
        self._running[gap.id] = held
        return self._changed(held)

    def close(self, gap_id: str, to_ns: int, now_ns: int) -> Gap | None:
        """Data flows again. None if it is unknown, over already, or another outage still holds it open."""
        held = self._running.get(gap_id)
        if held is None:
            return None
        held.until_ns = max(held.until_ns, min(to_ns, now_ns))
        held.holders -= 1
        return None if held.holders > 0 else self._end(held)

    # --- lost messages ------------------------------------------------------------------------------
    def lose(self, loss: Loss, now_ns: int) -> Gap | None:
        """Enter lost messages: a gap that is over at once. None if every one of them stood in a gap already."""
        fresh = loss.lost
        if loss.kind.cause == "lost":  # told by others; what the bridge itself dropped it has dropped once
            fresh = tuple(piece for one in loss.lost for piece in self._unknown(one))
        if not fresh:
            return None
        from_ns, to_ns = min(loss.from_ns, now_ns), min(loss.to_ns, now_ns)
        held = self._recent(loss.kind, from_ns, to_ns) or self._enter(loss.kind, from_ns)
        gap = held.gap
        gap.symbols = _both(gap.symbols, loss.kind.symbols)
        gap.expected = (gap.expected or 0) + sum(held.lost.add(one) for one in fresh)
        for one in fresh:
            held.brought.pop(one.topic, None)
        _locate(gap, loss.missing)
        gap.from_ns = min(gap.from_ns, from_ns)
        gap.reason = _reasons(gap.reason, loss.reason)
        held.until_ns = max(held.until_ns, to_ns)
        return self._end(held)

    def dropped(self, drops: Iterable[Dropped], names: Topics, now_ns: int) -> list[Gap]:
        """What the outbox dropped or parked: one gap per exchange, channel and cause."""
        together: dict[tuple[str, str, str], list[tuple[Dropped, Symbol | None]]] = {}
        for drop in drops:
            channel, exchange, symbol = names.parts(drop.topic) or ("errors", "bridge", None)
            together.setdefault((exchange, channel, drop.cause), []).append((drop, symbol))
        losses = [_loss(*key, rows) for key, rows in together.items()]
        return [gap for loss in losses if (gap := self.lose(loss, now_ns)) is not None]

    def found(self, found: Lost) -> tuple[int, list[Gap]]:
        """These messages exist after all: how many of them were told lost, and the gaps that shrank."""
        count, changed = 0, []
        for held in self._gaps.values():
            if back := held.lost.remove(found):
                count += back
                held.gap.filled = (held.gap.filled or 0) + back
                if not held.is_running and (held.gap.state in UNSETTLED or _is_whole(held)):
                    held.gap.state = _over(held)
                elif held.gap.state == "unfillable":
                    held.gap.state = "partial"
                changed.append(self._changed(held))
        return count, changed

    # --- fills --------------------------------------------------------------------------------------
    def locate(self, gap_id: str, missing: Sequence[Missing]) -> None:
        """Between which rows the trades of a gap are missing."""
        if (held := self._gaps.get(gap_id)) is not None:
            _locate(held.gap, missing)
            self._changed(held)

    def filling(self, gap_id: str) -> Gap | None:
        """A fill begins. None if the gap is not over, or settled."""
        held = self._unfilled.get(gap_id)
        if held is None:
            return None
        held.gap.state = "filling"
        return self._changed(held)

    def settle(self, gap_id: str, told: Filled) -> Gap | None:
        """A fill has ended. None if the gap is unknown; one that grew meanwhile stays open for the rest."""
        held = self._gaps.get(gap_id)
        if held is None:
            return None
        gap = held.gap
        gap.filled = (gap.filled or 0) + told.rows if told.rows or told.state == "filled" else gap.filled
        gap.expected = told.expected if gap.expected is None else gap.expected
        gap.missing = [one for one in gap.missing or () if one not in told.done] or None
        gap.short = sorted({*(gap.short or ()), *told.short}) or None
        held.brought.update((topic, told.job) for topic in told.topics if topic not in (gap.short or ()))
        if gap.state == "filling":
            # what an earlier try could not bring is missing still, however well this one went
            gap.state = "partial" if told.state == "filled" and gap.short else told.state
        if told.reason is not None:
            gap.reason = told.reason if told.reason in (gap.reason or "") else _reasons(gap.reason, told.reason)
        return self._changed(held)

    # --- a new start --------------------------------------------------------------------------------
    def recover(self, stopped: Sequence[Stopped], now_ns: int) -> list[Gap]:
        """What an earlier start left: its running gaps end where the `stopped` ones begin. Returns all that changed.

        A `stopped` gap that no start has ended yet goes on: `running("stopped")` lists those that data will end. What
        an outage of this process holds open goes on as well: a run may end within it, when the clock is set back.
        """
        ends = {(one.exchange, one.channel): one.from_ns for one in stopped}
        left = [held for held in self._running.values() if held.gap.cause != "stopped" and not held.holders]
        for held in left:
            held.until_ns = max(held.until_ns, ends.get((held.gap.exchange, held.gap.channel), 0))
        changed = [self._end(held) for held in left]
        return changed + [
            self.open(one.exchange, one.channel, one.from_ns, "stopped", None, one.reason, now_ns) for one in stopped
        ]

    def _end(self, held: Held) -> Gap:
        gap = held.gap
        gap.to_ns = held.until_ns = max(held.until_ns, gap.from_ns)
        gap.state = _over(held)
        if gap.state == "unfillable":
            gap.reason = _reasons(gap.reason, NOBODY_TELLS_TWICE.get(gap.channel, OBSERVED))
        held.holders = 0
        self._running.pop(gap.id, None)
        return self._changed(held)


def _is_whole(held: Held) -> bool:
    """Whether all that was lost has been found."""
    return bool(held.gap.filled) and not held.lost.count and not held.lost.unlisted


def _over(held: Held) -> str:
    """The state of a gap that is just over, or that shrank before a fill settled it."""
    if _is_whole(held):
        return "filled"
    if held.gap.channel in FILLABLE:
        return "open"
    return "partial" if held.gap.filled else "unfillable"


def _locate(gap: Gap, missing: Sequence[Missing]) -> None:
    """Enter places: one that follows upon the last one of its symbol, by number, becomes one with it."""
    places = list(gap.missing or ())
    newest = {one.symbol: k for k, one in enumerate(places)}
    for one in missing:
        last = places[newest[one.symbol]] if one.symbol in newest else None
        if last is not None and (len(places) >= MAX_MISSING or (last.before and last.before - 1 == one.after)):
            places[newest[one.symbol]] = _hull(last, one)
        elif one != last:
            newest[one.symbol] = len(places)
            places.append(one)
    gap.missing = places or None


def _hull(one: Missing, other: Missing) -> Missing:
    after = None if one.after is None or other.after is None else min(one.after, other.after)
    before = None if one.before is None or other.before is None else max(one.before, other.before)
    before_ns = None if one.before_ns is None or other.before_ns is None else max(one.before_ns, other.before_ns)
    return Missing(one.symbol, min(one.after_ns, other.after_ns), before_ns, after, before)


def _both(known: list[Symbol] | None, more: frozenset[Symbol] | None) -> list[Symbol] | None:
    return None if known is None or more is None else sorted(more.union(known))


def _reasons(known: str | None, more: str | None) -> str | None:
    """Both, once each, as far as there is room."""
    if known is None or more is None or more in known:
        return known if known is not None else more
    return f"{known}; {more}" if len(known) + len(more) <= MAX_REASON else known


def _loss(exchange: str, channel: str, cause: str, rows: Sequence[tuple[Dropped, Symbol | None]]) -> Loss:
    symbols = frozenset(symbol for _, symbol in rows if symbol is not None) or None
    lost = tuple(Lost(drop.topic, drop.run, drop.from_n, drop.to_n) for drop, _ in rows)
    spans = [_candles(drop) if channel == "candles" else (drop.from_ns, drop.to_ns) for drop, _ in rows]
    from_ns, to_ns = min(first for first, _ in spans), max(last for _, last in spans)
    places = [_place(drop, symbol) for drop, symbol in rows if channel == "trades" and symbol is not None]
    missing = tuple(place for place in places if place is not None)
    return Loss(Kind(exchange, channel, cause, symbols), from_ns, to_ns, lost, missing=missing)


class _CandleRow(Struct):
    """What of a published candle tells its place."""

    time_ns: int


_candle_row = msgspec.json.Decoder(_CandleRow).decode


def _candles(drop: Dropped) -> tuple[int, int]:
    """The time that dropped candles tell of; they were appended after it, a backfill's long after."""
    try:
        times = [_candle_row(payload).time_ns for payload in (drop.first, drop.last)]
    except msgspec.DecodeError:
        return drop.from_ns, drop.to_ns
    return min(times), max(times) + INTERVALS_NS.get(drop.topic.rsplit("/", 1)[-1], 0)


class _TradeRow(Struct):
    """What of a published trade tells its place."""

    id: str
    time_ns: int


_trade_row = msgspec.json.Decoder(_TradeRow).decode


def _place(drop: Dropped, symbol: Symbol) -> Missing | None:
    """Where dropped trades stood: from the first to the last, both included. None: their payloads do not tell."""
    try:
        first, last = _trade_row(drop.first), _trade_row(drop.last)
    except msgspec.DecodeError:
        return None
    after, before = (int(row.id) if row.id.isdecimal() else None for row in (first, last))
    return Missing(
        symbol,
        first.time_ns - 1,
        last.time_ns + 1,
        None if after is None else after - 1,
        None if before is None else before + 1,
    )
