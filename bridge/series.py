"""What a feed remembers of one symbol: its newest tick and rhythm, and its newest trades."""

from bridge.events import Symbol, Tick
from bridge.freshness import SymbolLife
from bridge.latest import Slot
from bridge.streams import Stream
from bridge.told import Sequence, ToldTrades


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
    """One symbol's trades."""

    __slots__ = ("sequence", "stream", "told")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.told = ToldTrades()
        self.sequence = Sequence()
