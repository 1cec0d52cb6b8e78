"""What fills and backfills need of one exchange that is running."""

from collections.abc import Callable

from msgspec import Struct

from bridge.clock import Clock
from bridge.events import Channel, Symbol
from bridge.exchanges.base import Exchange
from bridge.feed import Feed
from bridge.fills.asking import Asker
from bridge.fills.candles import CandleFill
from bridge.fills.jobs import Jobs
from bridge.fills.telling import Teller
from bridge.rest import Priority, Rest
from bridge.settings import Settings
from bridge.streams import Streams


class Source(Struct):
    """`exchange` is for REST alone; `symbols(channel)`: those that are subscribed."""

    exchange: Exchange
    rest: Rest
    feed: Feed
    streams: Streams
    clock: Clock
    jobs: Jobs
    settings: Settings
    symbols: Callable[[Channel], list[Symbol]]

    @property
    def name(self) -> str:
        return self.exchange.name

    def asker(self, priority: Priority = Priority.FILL) -> Asker:
        return Asker(self.exchange, self.rest, self.clock, priority)

    def teller(self) -> Teller:
        return Teller(self.name, self.feed.names, self.streams, self.clock, self.settings)

    def candles(self, priority: Priority = Priority.FILL) -> CandleFill:
        return CandleFill(self.asker(priority), self.teller(), self.feed.past.coverage)
