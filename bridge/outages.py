"""Gaps as they happen to the lines: opened when one is lost, ended when its data flows again. Pure.

A gap of prices cannot be filled by anybody; gaps of trades and candles stay open until a fill closes them.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from bridge.events import Channel, Symbol
from bridge.gaps import Gaps
from bridge.told import Hole
from bridge.topics import Gap, Missing

GAP_CHANNEL = {Channel.TICKER: "prices", Channel.TRADES: "trades", Channel.CANDLES: "candles"}
MINUTE_NS = 60_000_000_000


class Outage(Struct, frozen=True):
    """Nothing was told since `from_ns` on these channels. `symbols` None: all of the exchange's."""

    channels: frozenset[Channel]
    symbols: frozenset[Symbol] | None
    from_ns: int
    cause: str
    reason: str


class Outages:
    """The running gaps of one exchange's lines. `tell` publishes a gap that has changed."""

    def __init__(self, exchange: str, gaps: Gaps, tell: Callable[[Gap], None]) -> None:
        self._exchange = exchange
        self._gaps = gaps
        self._tell = tell
        self._running: dict[str, list[Gap]] = {}

    def begin(self, line: str, outage: Outage, now_ns: int) -> None:
        """A line is silent or gone; an outage of it that runs already goes on."""
        if line not in self._running:
            channels = sorted(GAP_CHANNEL[channel] for channel in outage.channels if channel in GAP_CHANNEL)
            self._running[line] = [self._open(channel, outage, now_ns) for channel in channels]

    def adopt(self, lines: Sequence[str], gap: Gap, now_ns: int) -> None:
        """A gap that was opened elsewhere (the bridge was stopped) ends when all of these lines have ended theirs."""
        for k, line in enumerate(lines):
            if k:  # it runs already: opened once more, it is closed once more
                why = (gap.cause, gap.symbols, gap.reason)
                gap = self._gaps.open(gap.exchange, gap.channel, gap.from_ns, *why, now_ns)
            self._running.setdefault(line, []).append(gap)

    def finish(self, gap: Gap, now_ns: int) -> None:
        """A gap that no line of ours will end: it ends now."""
        self._close(gap, now_ns, now_ns)

    def end(self, line: str, to_ns: int, now_ns: int) -> None:
        """Data flows again."""
        for gap in self._running.pop(line, ()):
            self._close(gap, to_ns, now_ns)

    def hole(self, symbol: Symbol, hole: Hole, now_ns: int) -> None:
        """Consecutive trade ids of one symbol never came."""
        channels, symbols = frozenset({Channel.TRADES}), frozenset({symbol})
        outage = Outage(channels, symbols, hole.from_ns, "sequence", f"{hole.missing} ids are missing")
        gap = self._open("trades", outage, now_ns, hole.missing)
        rows = (hole.from_ns, hole.to_ns, hole.first - 1, hole.first + hole.missing)
        self._gaps.locate(gap.id, [Missing(symbol, *rows)])
        self._close(gap, hole.to_ns, now_ns)

    def _open(self, channel: str, outage: Outage, now_ns: int, missing: int | None = None) -> Gap:
        from_ns = outage.from_ns
        if channel == "candles":
            from_ns = from_ns // MINUTE_NS * MINUTE_NS
        symbols = None if outage.symbols is None else sorted(outage.symbols)
        why = (outage.cause, symbols, outage.reason)
        gap = self._gaps.open(self._exchange, channel, from_ns, *why, now_ns, expected=missing)
        self._tell(gap)
        return gap

    def _close(self, gap: Gap, to_ns: int, now_ns: int) -> None:
        if (ended := self._gaps.close(gap.id, to_ns, now_ns)) is not None:
            self._tell(ended)
