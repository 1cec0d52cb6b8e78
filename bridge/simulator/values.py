"""What a simulated market tells, as frozen values, and how its integers become digits. Pure.

Inside, prices and sizes are integers in their smallest step; outside, digits as each exchange writes them.
"""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

Text = Callable[[int, int], str]
"""Makes digits of an integer and its number of decimals."""


class Listing(Struct, frozen=True):
    """One market: its names, its steps in decimals, where its price starts (in steps) and how lively it is."""

    native: str
    name: str
    base: str
    quote: str
    price_decimals: int
    size_decimals: int
    start: int
    weight: float


class Quote(Struct, frozen=True, gc=False):
    """Best bid and ask and the last trade at one moment. `time_ms` is the last trade's."""

    native: str
    seq: int
    time_ms: int
    price: str
    size: str
    bid: str
    bid_size: str
    ask: str
    ask_size: str


class Deal(Struct, frozen=True, gc=False):
    """One trade; `side` is the taker's. `first_id`..`last_id` are the single trades that an aggregate stands for."""

    native: str
    id: int
    time_ms: int
    side: str
    price: str
    size: str
    first_id: int
    last_id: int


class Bar(Struct, frozen=True, gc=False):
    """One minute. `first_id`..`last_id` are -1 in a minute without trades; `taker` is what takers bought."""

    native: str
    open_s: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    turnover: str
    count: int
    first_id: int
    last_id: int
    taker_volume: str
    taker_turnover: str


class Day(Struct, frozen=True, gc=False):
    """The last 24 hours. `rate` is a fraction of the price 24 hours ago, `average` the mean price by volume."""

    native: str
    open: str
    high: str
    low: str
    last: str
    volume: str
    turnover: str
    change: str
    rate: str
    average: str
    count: int


Event = Quote | Deal


class Source(Protocol):
    """What the REST side of a simulated exchange asks, of an invented market or of a recording."""

    def quote(self, native: str) -> Quote | None:
        """The newest quote, None if nothing is known."""

    def trades(self, native: str) -> list[Deal]:
        """The remembered trades, oldest first."""

    def bars(self, native: str, since_s: int, until_s: int, *, flat: bool) -> list[Bar]:
        """Candles that open in [since, until), oldest first; `flat`: minutes without trades, too."""

    def day(self, native: str) -> Day | None:
        """24 h statistics, None if nothing is known."""


def padded(value: int, decimals: int) -> str:
    """Binance's way: always eight decimals; what is finer is rounded."""
    if decimals > 8:
        value = (value + 5 * 10 ** (decimals - 9)) // 10 ** (decimals - 8)
    else:
        value *= 10 ** (8 - decimals)
    sign = "-" if value < 0 else ""
    whole, part = divmod(abs(value), 10**8)
    return f"{sign}{whole}.{part:08d}"


def trimmed(value: int, decimals: int) -> str:
    """KuCoin's way: no zeros at the end."""
    if decimals == 0:
        return str(value)
    sign = "-" if value < 0 else ""
    whole, part = divmod(abs(value), 10**decimals)
    return f"{sign}{whole}.{part:0{decimals}d}".rstrip("0").rstrip(".")
