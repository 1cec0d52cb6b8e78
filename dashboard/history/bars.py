"""1 m bars built of prices while they are recorded, so that a symbol without candles has a chart. Pure.

A bar may be written in parts (a late tick, a stop in mid-minute): parts of one minute merge by their first and last
times, in any order and any number of times.
"""

import msgspec
from msgspec import Raw, Struct

from dashboard.history.base import MINUTE_NS


class Part(Struct, frozen=True):
    """Open, high, low and close of the ticks from `first_ns` to `last_ns`; numbers with their digits."""

    open: Raw
    high: Raw
    low: Raw
    close: Raw
    first_ns: int
    last_ns: int
    time_ns: int

    def payload(self) -> bytes:
        return b'{"open":%b,"high":%b,"low":%b,"close":%b,"built":true,"first_ns":%d,"last_ns":%d,"time_ns":%d}' % (
            self.open,
            self.high,
            self.low,
            self.close,
            self.first_ns,
            self.last_ns,
            self.time_ns,
        )


_decode = msgspec.json.Decoder(Part).decode


def merge_bars(one: bytes, other: bytes) -> bytes:
    """Two parts of one minute as one."""
    a, b = _decode(one), _decode(other)
    return Part(
        open=a.open if a.first_ns <= b.first_ns else b.open,
        high=a.high if float(a.high) >= float(b.high) else b.high,
        low=a.low if float(a.low) <= float(b.low) else b.low,
        close=a.close if a.last_ns > b.last_ns else b.close,
        first_ns=min(a.first_ns, b.first_ns),
        last_ns=max(a.last_ns, b.last_ns),
        time_ns=a.time_ns,
    ).payload()


class Forming:
    """The bar of one series' current minute."""

    __slots__ = ("close", "first_ns", "high", "highest", "last_ns", "low", "lowest", "minute_ns", "open")

    def __init__(self, minute_ns: int, time_ns: int, price: bytes, value: float) -> None:
        self.minute_ns = minute_ns
        self.first_ns = self.last_ns = time_ns
        self.open = self.high = self.low = self.close = price
        self.highest = self.lowest = value

    def add(self, time_ns: int, price: bytes, value: float) -> None:
        if value > self.highest:
            self.high, self.highest = price, value
        elif value < self.lowest:
            self.low, self.lowest = price, value
        if time_ns >= self.last_ns:
            self.close, self.last_ns = price, time_ns
        elif time_ns < self.first_ns:
            self.open, self.first_ns = price, time_ns

    def payload(self) -> bytes:
        numbers = Raw(self.open), Raw(self.high), Raw(self.low), Raw(self.close)
        return Part(*numbers, first_ns=self.first_ns, last_ns=self.last_ns, time_ns=self.minute_ns).payload()


class Bars:
    """The forming bars of all price series, and one of an earlier minute each, for late ticks."""

    def __init__(self) -> None:
        self._forming: dict[int, Forming] = {}
        self._late: dict[int, Forming] = {}
        self._newest_ns = 0

    def add(self, series: int, time_ns: int, price: bytes) -> tuple[int, bytes] | None:
        """Take a tick's price; the bar (its minute, payload) that this one completes, if any."""
        minute_ns, value = time_ns - time_ns % MINUTE_NS, float(price)
        current = self._forming.get(series)
        late = current is not None and minute_ns < current.minute_ns
        bars = self._late if late else self._forming
        known = bars.get(series)
        if known is not None and known.minute_ns == minute_ns:
            known.add(time_ns, price, value)
            return None
        bars[series] = Forming(minute_ns, time_ns, price, value)
        self._newest_ns = max(self._newest_ns, time_ns)
        return None if known is None else (known.minute_ns, known.payload())

    def close(self) -> list[tuple[int, int, bytes]]:
        """Take out the bars whose minute has passed by the newest tick, and the late ones: series, minute, payload."""
        minute_ns = self._newest_ns - self._newest_ns % MINUTE_NS
        passed = [(series, bar) for series, bar in self._forming.items() if bar.minute_ns < minute_ns]
        closed = [(series, bar.minute_ns, bar.payload()) for series, bar in [*passed, *self._late.items()]]
        for series, _ in passed:
            del self._forming[series]
        self._late.clear()
        return closed

    def parts(self) -> list[tuple[int, int, bytes]]:
        """What forms now, left as it is: series, minute, payload. Callable from any thread.

        Late ones are not here: they never wait longer than the ticks they are built of.
        """
        return [(series, bar.minute_ns, bar.payload()) for series, bar in list(self._forming.items())]

    def of(self, series: int) -> list[tuple[int, bytes]]:
        """What forms now of one series: minutes and payloads, the late one first. Callable from any thread."""
        bars = self._late.get(series), self._forming.get(series)
        return [(bar.minute_ns, bar.payload()) for bar in bars if bar is not None]
