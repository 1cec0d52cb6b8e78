"""What is not believed: checked before a publication number is given, because what is stored cannot be unpublished.

Pure. Each function returns the reason why a value is parked on `errors/`, or None.
"""

from math import inf
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from bridge.events import Candle, Digits, Tick, Trade
from bridge.numbers import number

AHEAD_NS = 10 * 1_000_000_000
BEHIND_NS = 24 * 3600 * 1_000_000_000
_BIG = 9e18
"""Below this, an integer surely fits 64 bits."""


_Price = Annotated[float, Meta(gt=0, lt=_BIG)]
_Size = Annotated[float, Meta(ge=0, lt=_BIG)]


class _Six(Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    price: _Price
    size: _Size
    bid: _Price
    bid_size: _Size
    ask: _Price
    ask_size: _Size


_six = msgspec.json.Decoder(_Six).decode


def is_sound(tick: Tick) -> bool:
    """Whether a tick is beyond doubt in one quick look: JSON numbers in order, an exchange's time not far off.

    False says nothing: `tick_problem` and `topics.normal` look closer.
    """
    try:
        size = 0 if tick.size is None else tick.size
        six = _six(f"[{tick.price},{size},{tick.bid},{tick.bid_size},{tick.ask},{tick.ask_size}]")
    except msgspec.DecodeError:
        return False
    return (
        six.bid <= six.ask
        and (tick.price_time_ns is None or tick.price_time_ns - tick.received_ns <= AHEAD_NS)
        and (tick.exchange_time_ns is None or -AHEAD_NS <= tick.received_ns - tick.exchange_time_ns <= BEHIND_NS)
    )


def tick_problem(tick: Tick, *, clocked: bool = True) -> str | None:
    """Price, bid and ask above zero and finite, bid not above ask. An old `price_time_ns` is never a problem.

    `clocked`: our own clock is right, so that times can be compared with it; the same goes for all that follows.
    """
    try:
        if tick.price is not None and not 0 < float(tick.price) < inf:
            return f"price {tick.price[:40]} is not above zero"
        if not _in_order(tick.bid, tick.ask):
            return f"bid {tick.bid} and ask {tick.ask} are not in order above zero"[:120]
        if _negative(tick.size) or _negative(tick.bid_size) or _negative(tick.ask_size):
            return "a size is negative"
    except ValueError as error:
        return str(error)[:100]
    return _tick_time(tick) if clocked else None


def trade_problem(trade: Trade, *, filled: bool = False, clocked: bool = True) -> str | None:
    """Price and size above zero and finite, a time near ours, old only if filled."""
    try:
        for text in (trade.price, trade.size):
            number(text)
        if not 0 < float(trade.price) < inf:
            return f"price {trade.price[:40]} is not above zero"
        if not 0 < float(trade.size) < inf:
            return f"size {trade.size[:40]} is not above zero"
    except ValueError as error:
        return str(error)[:100]
    if not clocked or (filled and trade.exchange_time_ns <= trade.received_ns + AHEAD_NS):
        return None
    return _far(trade.exchange_time_ns, trade.received_ns)


def candle_problem(candle: Candle, *, filled: bool = False, clocked: bool = True) -> str | None:
    """Prices above zero, low ≤ open and close ≤ high, volume not negative; not from the future, old only if filled."""
    try:
        for text in (
            candle.open,
            candle.high,
            candle.low,
            candle.close,
            candle.volume,
            "0" if candle.quote_volume is None else candle.quote_volume,
        ):
            number(text)
        low, high = float(candle.low), float(candle.high)
        inside = all(low <= float(price) <= high for price in (candle.open, candle.close))
        if not (low > 0 and high < inf and inside):
            return f"open {candle.open}, high {candle.high}, low {candle.low}, close {candle.close} are not in order"
        if not 0 <= float(candle.volume) < inf:
            return f"volume {candle.volume[:40]} is negative"
    except ValueError as error:
        return str(error)[:100]
    if not clocked or (filled and candle.open_ns <= candle.received_ns + AHEAD_NS):
        return None
    return _far(candle.open_ns, candle.received_ns)


def _in_order(bid: Digits | None, ask: Digits | None) -> bool:
    if bid is not None and ask is not None:
        return 0 < float(bid) <= float(ask) < inf
    only = bid if ask is None else ask
    return only is None or 0 < float(only) < inf


def _negative(size: Digits | None) -> bool:
    return size is not None and size[:1] == "-"


def _tick_time(tick: Tick) -> str | None:
    if tick.price_time_ns is not None and tick.price_time_ns - tick.received_ns > AHEAD_NS:
        return _far(tick.price_time_ns, tick.received_ns)
    return None if tick.exchange_time_ns is None else _far(tick.exchange_time_ns, tick.received_ns)


def _far(told_ns: int, received_ns: int) -> str | None:
    if told_ns - received_ns > AHEAD_NS:
        return f"its time lies {(told_ns - received_ns) / 1e9:.1f} s ahead of ours"
    if received_ns - told_ns > BEHIND_NS:
        return f"its time lies {(received_ns - told_ns) / 3.6e12:.1f} h behind ours"
    return None
