"""Which candles are closed, and how each is to be published. Pure.

Some exchanges say when a candle is closed, some never do: then a later one closes it, or the clock. A candle that is
told again, or from before its line, goes out as a fill, never as a second live message.
"""

from collections.abc import Container

from msgspec import Struct

from bridge.events import Candle, Symbol
from bridge.topics import INTERVALS_NS

GRACE_NS = 5_000_000_000
"""How long after its end a candle without a closed flag may still be told: trades of its last moments come late."""


class Closed(Struct, frozen=True):
    """A candle that will change no more. `source`: None is live, else `snapshot` or `correction`, and a fill."""

    candle: Candle
    source: str | None = None


class _Chart(Struct):
    forming: Candle | None = None
    told: Candle | None = None


class Candles:
    """The candles of one exchange: the one that forms and the last that was told, per symbol and interval."""

    def __init__(self) -> None:
        self._charts: dict[tuple[Symbol, str], _Chart] = {}
        self.repeats = 0

    def receive(self, candle: Candle, line_since_ns: int) -> list[Closed]:
        """What one candle from the line closes. `line_since_ns`: what ended before is the line's snapshot."""
        chart = self._charts.setdefault((candle.symbol, candle.interval), _Chart())
        closed = []
        forming = chart.forming
        if forming is not None and candle.open_ns > forming.open_ns:
            closed += self._close(chart, forming, line_since_ns)
        if candle.closed or self._is_past(chart, candle):
            closed += self._close(chart, candle, line_since_ns)
        else:
            chart.forming = candle
        return closed

    def due(self, symbols: Container[Symbol], now_ns: int, proven_ns: int) -> list[Closed]:
        """What the clock closes: candles of exchanges that never say so, some seconds after their end.

        `proven_ns`: until then the line of these symbols surely lived; a candle that ends later may be incomplete.
        """
        closed = []
        for (symbol, _), chart in self._charts.items():
            forming = chart.forming
            if forming is None or forming.closed is not None or symbol not in symbols:
                continue
            if _end(forming) + GRACE_NS <= now_ns and _end(forming) <= proven_ns:
                closed += self._close(chart, forming, 0)
        return closed

    def forming(self, symbol: Symbol, interval: str) -> Candle | None:
        """The candle that is not closed yet."""
        chart = self._charts.get((symbol, interval))
        return chart.forming if chart else None

    def lost(self, symbols: frozenset[Symbol]) -> int | None:
        """The line of these symbols is gone: what was forming is incomplete. Returns the earliest open time, in ns."""
        opens = []
        for (symbol, _), chart in self._charts.items():
            if symbol in symbols and chart.forming is not None:
                opens.append(chart.forming.open_ns)
                chart.forming = None
        return min(opens, default=None)

    def _is_past(self, chart: _Chart, candle: Candle) -> bool:
        return chart.told is not None and candle.open_ns <= chart.told.open_ns

    def _close(self, chart: _Chart, candle: Candle, line_since_ns: int) -> list[Closed]:
        if chart.forming is not None and chart.forming.open_ns <= candle.open_ns:
            chart.forming = None
        told = chart.told
        if told is not None and candle.open_ns <= told.open_ns:
            if _content(candle) == _content(told):
                self.repeats += 1
                return []
            if candle.open_ns == told.open_ns:
                chart.told = candle
            return [Closed(candle, "correction" if candle.open_ns == told.open_ns else "snapshot")]
        chart.told = candle
        return [Closed(candle, "snapshot" if _end(candle) <= line_since_ns else None)]


def _end(candle: Candle) -> int:
    return candle.open_ns + INTERVALS_NS[candle.interval]


def _content(candle: Candle) -> tuple[object, ...]:
    return (candle.open_ns, candle.open, candle.high, candle.low, candle.close, candle.volume, candle.quote_volume)
