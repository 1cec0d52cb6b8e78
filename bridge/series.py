"""What a feed remembers of one symbol: its newest tick and rhythm, and its newest trades."""

from collections import deque

from bridge.events import Symbol, Tick, Trade
from bridge.freshness import SymbolLife
from bridge.latest import Slot
from bridge.streams import Stream
from bridge.told import Sequence, ToldTrades
from bridge.topics import Missing

BREAKS = 64
"""Interruptions of one symbol's trades that wait for a fill; of more the oldest is forgotten."""


class Series:
    """One symbol's prices. `body` is the newest payload without its mark; `stale` is the reason why it is old."""

    __slots__ = ("body", "body_ns", "last", "late", "life", "slot", "stale", "stream", "symbol")

    slot: Slot

    def __init__(self, symbol: Symbol, stream: Stream, mono_ns: int) -> None:
        self.symbol = symbol
        self.stream = stream
        self.last: Tick | None = None
        self.body = ""
        self.body_ns = 0
        self.stale: str | None = None
        self.late = 0
        self.life = SymbolLife(mono_ns)


class Tape:
    """One symbol's trades. `breaks`: between which of them the line was lost; the first is the start's.

    `told_until_ns`: the newest trade's row of the runs before, 0 if there is none.
    """

    __slots__ = ("_broken", "_number", "_row_ns", "breaks", "sequence", "stream", "told")

    def __init__(self, stream: Stream, symbol: Symbol, told_until_ns: int = 0) -> None:
        self.stream = stream
        self.told = ToldTrades()
        self.sequence = Sequence()
        self.breaks: deque[Missing] = deque([Missing(symbol, told_until_ns)], maxlen=BREAKS)
        self._broken = True
        self._number = self._row_ns = 0

    def heard(self, trade: Trade, row_ns: int) -> None:
        """A live trade and its row's time: it ends an interruption."""
        if trade.number <= self._number:
            return
        if self._broken:
            self._broken = False
            self.breaks[-1].before, self.breaks[-1].before_ns = trade.number, row_ns
        self._number, self._row_ns = trade.number, row_ns

    def interrupt(self, symbol: Symbol) -> None:
        """The line is lost."""
        if not self._broken:
            self._broken = True
            self.breaks.append(Missing(symbol, self._row_ns, after=self._number))
