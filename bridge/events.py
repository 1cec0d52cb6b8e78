"""The vocabulary: what an exchange can tell, as frozen values. Holds no behaviour and knows no topic.

Prices and sizes are `Digits`: the decimal text exactly as the exchange sent it. Times are integer
nanoseconds since the epoch, UTC. Symbols are `BASE-QUOTE` in capitals, from the exchange's catalogue.
"""

from enum import StrEnum

from msgspec import Struct

Symbol = str
Digits = str


class Channel(StrEnum):
    """What one symbol can be subscribed for."""

    TICKER = "ticker"
    STATS = "stats"
    TRADES = "trades"
    CANDLES = "candles"


class Tick(Struct, frozen=True, gc=False):
    """The newest known last price and best bid/ask of one symbol on this connection. None: not told yet."""

    symbol: Symbol
    received_ns: int
    price: Digits | None = None
    size: Digits | None = None
    price_time_ns: int | None = None
    bid: Digits | None = None
    bid_size: Digits | None = None
    ask: Digits | None = None
    ask_size: Digits | None = None
    seq: int | None = None
    exchange_time_ns: int | None = None


class Trade(Struct, frozen=True, gc=False):
    """One trade. `side` is the taker's. `number` is what live feed and REST share, to tell trades of one ms apart."""

    symbol: Symbol
    received_ns: int
    id: str
    side: str
    price: Digits
    size: Digits
    exchange_time_ns: int
    number: int


class Candle(Struct, frozen=True, gc=False):
    """One interval's open, high, low, close. `closed` is None where the exchange never says so (KuCoin)."""

    symbol: Symbol
    received_ns: int
    interval: str
    open_ns: int
    open: Digits
    high: Digits
    low: Digits
    close: Digits
    volume: Digits
    quote_volume: Digits | None = None
    closed: bool | None = None


class Stats(Struct, frozen=True, gc=False):
    """24 h rolling statistics. `change` is a fraction (0.0213 is 2.13 %), not per cent."""

    symbol: Symbol
    received_ns: int
    open: Digits | None = None
    high: Digits | None = None
    low: Digits | None = None
    last: Digits | None = None
    volume: Digits | None = None
    quote_volume: Digits | None = None
    change: Digits | None = None
    exchange_time_ns: int | None = None


class Instrument(Struct, frozen=True, gc=False):
    """One market of an exchange. `native` is its name on the wire; `status` is `trading` or `halted`."""

    symbol: Symbol
    base: str
    quote: str
    native: str
    price_step: Digits | None = None
    size_step: Digits | None = None
    status: str = "trading"
